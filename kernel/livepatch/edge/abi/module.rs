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
    sync::rcu,
    types::Opaque, //
};

/// A kernel module.
#[repr(transparent)]
pub(crate) struct Module(Opaque<bindings::module>);

impl Module {
    /// The view of the module at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` points to a module that lives as long as `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *const bindings::module) -> &'a Self {
        // SAFETY: By the safety requirement; the view is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The module itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::module {
        self.0.get()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The module lives, and its name is a string that does not change.
        unsafe { CStr::from_char_ptr((&raw const (*self.as_ptr()).name).cast()) }
    }

    /// Whether it is marked as a livepatch in its module information.
    pub(crate) fn is_livepatch(&self) -> bool {
        // SAFETY: The module lives; the field is set before its init function is called.
        unsafe { (*self.as_ptr()).klp }
    }

    /// Whether patches are applied to it: [`Module::set_patchable`].
    pub(crate) fn patchable(&self, _: &Locked) -> bool {
        // SAFETY: The module lives, and `Locked` excludes writers.
        unsafe { (*self.as_ptr()).klp_alive }
    }

    /// From `klp_module_coming()` to `klp_module_going()` a new patch finds the module; before and
    /// after, those two see to it.
    pub(crate) fn set_patchable(&self, patchable: bool, _: &Locked) {
        // SAFETY: The module lives, and `Locked` excludes others.
        unsafe { (*self.as_ptr()).klp_alive = patchable };
    }

    /// The module's code, without the part that serves its initialization.
    pub(crate) fn text(&self) -> Range<usize> {
        // SAFETY: The module lives, and this part of its memory stays what it is while it does.
        let (start, size) = unsafe {
            let parts = &raw const (*self.as_ptr()).mem;
            let part = parts
                .cast::<bindings::module_memory>()
                .add(bindings::mod_mem_type_MOD_TEXT as usize);
            ((*part).base as usize, (*part).size as usize)
        };
        start..start.saturating_add(size)
    }

    /// The part of the module's memory that `address` lies in.
    pub(crate) fn region(&self, address: usize) -> Option<Range<usize>> {
        const PARTS: usize = bindings::mod_mem_type_MOD_MEM_NUM_TYPES as usize;

        // SAFETY: The module lives; nothing is loaded.
        let parts = unsafe { &raw const (*self.as_ptr()).mem };
        let parts = parts.cast::<bindings::module_memory>();
        let region = |part: usize| {
            // SAFETY: There are as many parts. The loader clears those of the init code when the
            // init function has returned, without a lock that is held here: each field is loaded
            // once. Half of it cleared, the part is empty, or is where there is no code.
            let (start, size) = unsafe {
                let part = parts.add(part);
                let base = (&raw const (*part).base).read_volatile();
                let size = (&raw const (*part).size).read_volatile();
                (base as usize, size as usize)
            };
            start..start.saturating_add(size)
        };
        (0..PARTS)
            .map(region)
            .find(|region| region.contains(&address))
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
        // SAFETY: The module lives.
        unsafe { (&raw const (*self.as_ptr()).state).read_volatile() }
    }

    /// Takes a reference to the module, unless it is on its way out.
    pub(crate) fn get(&self) -> bool {
        // SAFETY: The module lives.
        unsafe { bindings::klp_module_get(self.as_ptr()) }
    }

    /// Drops a reference that [`Module::get`] took. The module may be gone afterwards.
    pub(crate) fn put(&self) {
        // SAFETY: The module lives until here.
        unsafe { bindings::klp_module_put(self.as_ptr()) };
    }

    /// Calls `found` with the module called `name` if that can be patched, see [`Module::patchable`].
    pub(crate) fn with_patchable(name: &CStr, locked: &Locked, found: impl FnOnce(&Self)) {
        let _rcu = rcu::read_lock();
        // SAFETY: `name` is a string, and this is an RCU read side critical section.
        let module = unsafe { bindings::find_module(name.as_char_ptr()) };
        if module.is_null() {
            return;
        }
        // SAFETY: RCU keeps the module during the call. No reference is taken, so as not to keep it
        // from being unloaded: `klp_module_going()` clears what `found` stores, before the module
        // goes, and `Locked` keeps that out.
        let module = unsafe { Self::from_raw(module) };
        if module.patchable(locked) {
            found(module);
        }
    }
}
