// SPDX-License-Identifier: GPL-2.0-or-later

//! kallsyms, which knows the symbols of vmlinux and of modules.

use core::{
    cmp::Ordering,
    ffi::CStr,
    marker::PhantomData,
    ops::ControlFlow,
    ptr, //
};
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
    prelude::*, //
};

/// Calls `visit` with the address of each symbol of vmlinux called `name`, in the order of
/// kallsyms, until it breaks. Sleeps.
pub(crate) fn each_vmlinux_symbol<F>(name: &CStr, mut visit: F)
where
    F: FnMut(usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`.
    unsafe extern "C" fn call<F: FnMut(usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `visit` points to an `F` by the safety requirement. `each_vmlinux_symbol()` does
        // not use it meanwhile, and the calls come one after the other.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(address).is_break().into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `name` is a string, and `call` gets `visit`, which points to an `F`.
    unsafe { bindings::kallsyms_on_each_match_symbol(Some(call::<F>), name.as_char_ptr(), visit) };
}

/// Calls `visit` for each symbol of vmlinux that has one of the `names`, which are sorted, with the
/// index of the name and the address of the symbol. The symbols of one name come in the order of
/// kallsyms. Sleeps.
///
/// # Errors
///
/// [`ENOMEM`].
pub(crate) fn each_vmlinux_symbol_of<F>(names: &[&CStr], mut visit: F) -> Result
where
    F: FnMut(usize, usize),
{
    /// # Safety
    ///
    /// `visit` points to an `F`, to which there is no other reference.
    unsafe extern "C" fn call<F: FnMut(usize, usize)>(
        visit: *mut c_void,
        index: c_uint,
        address: c_ulong,
    ) {
        // SAFETY: By the safety requirement the pointer is valid, and the reference is the only one
        // there is.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(index as usize, address);
    }

    let count = u32::try_from(names.len()).map_err(|_| ENOMEM)?;
    let mut pointers = KVVec::with_capacity(names.len(), GFP_KERNEL)?;
    for name in names {
        pointers.push(name.as_char_ptr(), GFP_KERNEL)?;
    }
    let visit = (&raw mut visit).cast();
    // SAFETY: `pointers` has `count` strings, in the order of `strcmp()`, which is that of `CStr`.
    // `call` gets the pointer to `visit`, in one call after the other.
    unsafe { bindings::kallsyms_lookup_many(pointers.as_ptr(), count, Some(call::<F>), visit) };
    Ok(())
}

/// Bytes that names begin with.
///
/// # Invariants
///
/// None of the bytes is nul.
pub(crate) struct Prefix<'a>(&'a [u8]);

impl<'a> Prefix<'a> {
    /// The bytes that both names begin with.
    pub(crate) fn shared_by(one: &'a CStr, other: &CStr) -> Self {
        let bytes = one.to_bytes();
        let same = bytes.iter().zip(other.to_bytes());
        let count = same.take_while(|(one, other)| one == other).count();
        // INVARIANT: `to_bytes()` leaves the nul out.
        Self(bytes.get(..count).unwrap_or_default())
    }

    /// The rest of a name that begins with the bytes.
    pub(crate) fn rest_of<'b>(&self, name: &'b CStr) -> &'b CStr {
        let rest = name.to_bytes_with_nul().get(self.0.len()..);
        rest.and_then(|rest| CStr::from_bytes_with_nul(rest).ok())
            .unwrap_or_default()
    }
}

/// The name of a symbol, for as long as a visit to it.
///
/// A module has thousands of symbols, and callers look for a few of them. So the methods read no
/// more of the name than they need, and never take its length.
///
/// # Invariants
///
/// The pointer is to a string that ends with a nul, and that lives and does not change as long as
/// `'a`.
pub(crate) struct SymbolName<'a>(*const u8, PhantomData<&'a CStr>);

impl SymbolName<'_> {
    /// The byte at `index`, which may be the nul that ends the name, and no further.
    ///
    /// # Safety
    ///
    /// No byte before the index is the nul.
    #[inline]
    unsafe fn byte(&self, index: usize) -> u8 {
        // SAFETY: By the type invariants, every byte up to the nul is there. By the safety
        // requirement this is one of them.
        unsafe { *self.0.add(index) }
    }

    /// Whether the name has no characters.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: No byte comes before the first, and so none of these is the nul.
        unsafe { self.byte(0) == 0 }
    }

    /// Whether the symbol marks a place for tools, and is no function or object.
    #[inline]
    pub(crate) fn is_mapping(&self) -> bool {
        // SAFETY: The pointer is to a string by the type invariants. The function only reads its
        // first characters.
        unsafe { bindings::klp_is_mapping_symbol(self.0.cast()) }
    }

    /// Whether the name begins with bytes of a prefix.
    ///
    /// # Safety
    ///
    /// None of the bytes is nul.
    #[inline(always)]
    unsafe fn begins_with(&self, bytes: &[u8]) -> bool {
        let same = |(index, &byte): (usize, &u8)| {
            // SAFETY: All bytes before this one were equal to some that are not nul.
            byte == unsafe { self.byte(index) }
        };
        bytes.iter().enumerate().all(same)
    }

    /// The rest of a name that begins with `prefix`.
    #[inline]
    pub(crate) fn strip_prefix(&self, prefix: &Prefix<'_>) -> Option<Self> {
        // The symbols of a module can have a long prefix in common. The bytes of pieces of known
        // length are compared without counting them.
        const PIECE: usize = 4;
        let mut pieces = prefix.0.chunks_exact(PIECE);
        let mut rest = Self(self.0, PhantomData);
        for piece in pieces.by_ref() {
            // SAFETY: None of the bytes is nul by the invariants of `Prefix`.
            if !unsafe { rest.begins_with(piece) } {
                return None;
            }
            // INVARIANT: None of the bytes that are left out is the nul that ends the string.
            rest = Self(rest.0.wrapping_add(PIECE), PhantomData);
        }
        let last = pieces.remainder();
        // SAFETY: None of the bytes is nul by the invariants of `Prefix`.
        let begins = unsafe { rest.begins_with(last) };
        // INVARIANT: As above.
        begins.then(|| Self(rest.0.wrapping_add(last.len()), PhantomData))
    }

    /// Compares the name with another, byte by byte.
    #[inline]
    pub(crate) fn cmp(&self, other: &CStr) -> Ordering {
        for (index, &theirs) in other.to_bytes_with_nul().iter().enumerate() {
            // SAFETY: All bytes before this one were equal to bytes of `other` that are not its
            // nul, which is the last.
            match unsafe { self.byte(index) }.cmp(&theirs) {
                Ordering::Equal => {}
                different => return different,
            }
        }
        Ordering::Equal
    }
}

/// Calls `visit` with the name and the address of each symbol of the module called `module`, in
/// the order of kallsyms, until it breaks. Sleeps.
pub(crate) fn each_module_symbol<F>(module: &CStr, mut visit: F)
where
    F: FnMut(&SymbolName<'_>, usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`, and `name` to a string.
    unsafe extern "C" fn call<F: FnMut(&SymbolName<'_>, usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        name: *const c_char,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `visit` points to an `F` by the safety requirement. `each_module_symbol()` does
        // not use it meanwhile, and the calls come one after the other.
        let visit = unsafe { &mut *visit.cast::<F>() };
        // INVARIANT: `name` points to a string by the safety requirement, which lives during the
        // call.
        visit(&SymbolName(name.cast(), PhantomData), address)
            .is_break()
            .into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `module` is a string, and `call` gets `visit`, which points to an `F`, and strings.
    unsafe {
        bindings::module_kallsyms_on_each_symbol(module.as_char_ptr(), Some(call::<F>), visit)
    };
}

/// Whether a function that kallsyms knows begins at `address`.
pub(crate) fn is_function(address: usize) -> bool {
    let (mut size, mut offset) = (0, 0);
    // SAFETY: The function stores to both variables, and any address may be looked up.
    let found = unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, &mut offset) };
    found != 0 && offset == 0
}

/// The size of the function at `address`, if kallsyms knows it. The C function returns 0 for an
/// unknown address.
pub(crate) fn symbol_size(address: usize) -> Option<usize> {
    let mut size = 0;
    // SAFETY: The function stores to `size`, and takes null for an offset that is not wanted.
    let found =
        unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, ptr::null_mut()) };
    (found != 0).then_some(size)
}
