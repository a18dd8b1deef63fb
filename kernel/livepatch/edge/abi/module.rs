// SPDX-License-Identifier: GPL-2.0-or-later

//! `struct module`, as far as live patching is concerned.

use crate::edge::mutex::Locked;
use core::{
    ffi::CStr,
    ops::Range, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            atomic_load,
            Relaxed, //
        },
        rcu, //
    },
    types::Opaque, //
};

/// A kernel module.
///
/// # Invariants
///
/// - The structure lives as long as the view.
/// - `name`, `klp` and the part of `mem` that holds the module's code do not change.
/// - `klp_mutex` protects `klp_alive`.
/// - The module loader changes the other fields at any time, each in one store.
#[repr(transparent)]
pub(crate) struct Module(Opaque<bindings::module>);

impl Module {
    /// The view of the module at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` points to a module that lives as long as `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *const bindings::module) -> &'a Self {
        // INVARIANT: The module loader sets `name`, `klp` and the module's code up before the
        // module can be found.
        // SAFETY: `ptr` points to a module that lives as long as `'a` by the safety requirement.
        // The view is transparent, and anything may change behind an `Opaque`.
        unsafe { &*ptr.cast() }
    }

    /// The module itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::module {
        self.0.get()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The structure, and so the field, lives by the type invariants. Nothing is loaded.
        let name = unsafe { &raw const (*self.as_ptr()).name };
        // SAFETY: `name` is a string that does not change, by the type invariants.
        unsafe { CStr::from_char_ptr(name.cast()) }
    }

    /// Whether it is marked as a livepatch in its module information.
    pub(crate) fn is_livepatch(&self) -> bool {
        // SAFETY: The structure lives, and `klp` does not change, by the type invariants.
        unsafe { (*self.as_ptr()).klp }
    }

    /// Whether patches are applied to it: [`Module::set_patchable`].
    pub(crate) fn patchable(&self, _: &Locked) -> bool {
        // SAFETY: The structure lives by the type invariants. `klp_mutex` protects the field, and
        // `Locked` shows that it is held.
        unsafe { (*self.as_ptr()).klp_alive }
    }

    /// Sets whether new patches find the module. They do between `klp_module_coming()` and
    /// `klp_module_going()`, which apply and revert the patches that are enabled at that time.
    pub(crate) fn set_patchable(&self, patchable: bool, _: &Locked) {
        // SAFETY: The structure lives by the type invariants. `klp_mutex` protects the field, and
        // `Locked` shows that it is held.
        unsafe { (*self.as_ptr()).klp_alive = patchable };
    }

    /// The module's code, without the part that serves its initialization.
    pub(crate) fn text(&self) -> Range<usize> {
        const TEXT: usize = bindings::mod_mem_type_MOD_TEXT as usize;

        self.regions().nth(TEXT).unwrap_or(0..0)
    }

    /// The module's data, without the part that serves its initialization.
    pub(crate) fn data(&self) -> impl Iterator<Item = Range<usize>> {
        const DATA: [bindings::mod_mem_type; 3] = [
            bindings::mod_mem_type_MOD_DATA,
            bindings::mod_mem_type_MOD_RODATA,
            bindings::mod_mem_type_MOD_RO_AFTER_INIT,
        ];

        let regions = self.regions().enumerate();
        let is_data = |index| DATA.iter().any(|&part| part as usize == index);
        regions.filter_map(move |(index, region)| is_data(index).then_some(region))
    }

    /// Whether `address` is in memory that the module keeps until it is unloaded. The loader frees
    /// the parts that serve its initialization when the init function has returned.
    pub(crate) fn keeps(&self, address: usize) -> bool {
        self.text().contains(&address) || self.data().any(|region| region.contains(&address))
    }

    /// The parts of the module's memory.
    ///
    /// The loader clears those of the init code when the init function has returned, without a lock
    /// that callers hold. If one field of a part is cleared and the other is not, the part is
    /// empty, or it is at an address where there is no code.
    fn regions(&self) -> impl Iterator<Item = Range<usize>> {
        const COUNT: usize = bindings::mod_mem_type_MOD_MEM_NUM_TYPES as usize;

        // SAFETY: The structure, and so the field, lives by the type invariants. Nothing is loaded.
        let parts: *mut [_; COUNT] = unsafe { &raw mut (*self.as_ptr()).mem };
        let parts: *mut bindings::module_memory = parts.cast();
        (0..COUNT).map(move |index| {
            // SAFETY: `parts` points to an array of `COUNT` elements.
            let part = unsafe { parts.add(index) };
            // SAFETY: `part` points to an element of `mem`, and the field is stored whole.
            let base = unsafe { atomic_load(&raw mut (*part).base, Relaxed) } as usize;
            // SAFETY: `part` points to an element of `mem`, and the field is stored whole.
            let size = unsafe { atomic_load(&raw mut (*part).size, Relaxed) } as usize;
            base..base.saturating_add(size)
        })
    }

    /// The part of the module's memory that `address` lies in.
    pub(crate) fn region(&self, address: usize) -> Option<Range<usize>> {
        self.regions().find(|region| region.contains(&address))
    }

    /// Whether the module is on its way in.
    pub(crate) fn is_coming(&self) -> bool {
        self.state() == bindings::module_state_MODULE_STATE_COMING
    }

    /// Whether the module is on its way out.
    pub(crate) fn is_going(&self) -> bool {
        self.state() == bindings::module_state_MODULE_STATE_GOING
    }

    fn state(&self) -> bindings::module_state {
        // SAFETY: The structure lives by the type invariants, and the loader stores the state
        // whole.
        unsafe { atomic_load(&raw mut (*self.as_ptr()).state, Relaxed) }
    }

    /// Takes a reference to the module, unless it is on its way out.
    pub(crate) fn get(&self) -> bool {
        // SAFETY: The structure lives by the type invariants. The function refuses a module that is
        // on its way out.
        unsafe { bindings::klp_module_get(self.as_ptr()) }
    }

    /// Drops a reference that [`Module::get`] took.
    ///
    /// # Safety
    ///
    /// The reference is the caller's. The module may be gone afterwards: only callers that keep it
    /// otherwise go on to use it.
    pub(crate) unsafe fn put(&self) {
        // SAFETY: The structure lives until here by the type invariants. The caller has taken the
        // reference that this drops, by the safety requirement.
        unsafe { bindings::klp_module_put(self.as_ptr()) };
    }

    /// Calls `found` with the module called `name` if that can be patched, see
    /// [`Module::patchable`].
    pub(crate) fn with_patchable(name: &CStr, locked: &Locked, found: impl FnOnce(&Self)) {
        let _rcu = rcu::read_lock();
        // SAFETY: `name` is a string, and `find_module()` demands an RCU read side critical
        // section, which this is.
        let module = unsafe { bindings::find_module(name.as_char_ptr()) };
        if module.is_null() {
            return;
        }
        // SAFETY: `module` is not null, and RCU keeps the module that it points to during the call.
        // No reference is taken, so that the module can be unloaded. `klp_module_going()` clears
        // the pointer that `found` stores before the module goes, and cannot do so now, because
        // `Locked` shows that this task holds `klp_mutex`.
        let module = unsafe { Self::from_raw(module) };
        if module.patchable(locked) {
            found(module);
        }
    }
}
