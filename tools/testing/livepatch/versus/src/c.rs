// SPDX-License-Identifier: GPL-2.0

//! The core in C, as `include/driver.h` describes it.

#![allow(unsafe_code)]

use std::{
    ffi::{
        c_char,
        CStr, //
    },
    marker::PhantomData,
    sync::{
        Mutex,
        MutexGuard,
        PoisonError, //
    }, //
};

#[allow(dead_code, non_camel_case_types, non_upper_case_globals)]
mod driver {
    include!(concat!(env!("OUT_DIR"), "/driver.rs"));
}

pub(crate) use driver::klp_event;

pub(crate) const TASKS: usize = driver::DRIVER_TASKS as usize;

/// The identifiers of states are 1 and so on up to this number.
pub(crate) const STATES: usize = driver::DRIVER_STATES as usize;

/// The flags in numbers that stand for objects and funcs.
pub(crate) struct Flags;

impl Flags {
    pub(crate) const IS_NOP: i32 = driver::DRIVER_IS_NOP as i32;
    pub(crate) const IS_LOADED: i32 = driver::DRIVER_IS_LOADED as i32;
    pub(crate) const IS_PATCHED: i32 = driver::DRIVER_IS_PATCHED as i32;
}

/// Serialises the users of the core, which has its state in static variables.
static CORE: Mutex<()> = Mutex::new(());

/// The core in C, for one user at a time.
pub(crate) struct Core {
    _lock: MutexGuard<'static, ()>,
    _not_shared: PhantomData<*const ()>,
}

macro_rules! calls {
    ($($name:ident as $c:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(pub(crate) fn $name(&self $(, $argument: $kind)*) -> $result {
            // SAFETY: The lock is held, so that no other thread uses the core. The arguments are
            // numbers of patches, tasks and so on. They are below the limits of `driver.h`, because
            // the generator of histories makes no others.
            unsafe { driver::$c($($argument as _),*) }
        })*
    };
}

impl Core {
    /// Resets the machine to the state after booting, with this number of tasks. The last user must
    /// have undone its operations, because the core's own state is not reset.
    pub(crate) fn new(tasks: usize) -> Self {
        let lock = CORE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: The lock is held, so that no other thread uses the core. Callers pass at most
        // `DRIVER_TASKS`.
        unsafe { driver::driver_reset(tasks as _) };
        Self {
            _lock: lock,
            _not_shared: PhantomData,
        }
    }

    calls! {
        describe as driver_describe(
            patch: usize, replaces: bool, modules: u32, functions: u64
        ) -> ();
        set_state as driver_set_state(patch: usize, place: usize, id: usize, version: u32) -> ();
        enable as driver_enable(patch: usize) -> i32;
        write_enabled as driver_write_enabled(patch: usize, enabled: bool) -> i32;
        write_force as driver_write_force(patch: usize) -> i32;
        coming as driver_module_coming(module: usize) -> i32;
        going as driver_module_going(module: usize) -> ();
        set_unwilling as driver_set_unwilling(module: i32) -> ();
        set_failing as driver_set_failing(after: i32) -> ();
        failing as driver_failing() -> i32;
        second as driver_second() -> ();
        arranged as driver_arranged() -> bool;
        work as driver_work() -> ();
        clear as driver_clear(task: usize) -> ();
        push as driver_push(task: usize, function: usize, patch: i32) -> ();
        set_running as driver_set_running(task: usize, running: bool, unreliable: bool) -> ();
        schedule as driver_schedule(task: usize) -> ();
        leave as driver_leave(task: usize) -> ();
        copy as driver_copy(child: usize, parent: usize) -> ();
        attach as driver_attach(child: usize, parent: usize) -> ();
        exit as driver_exit(task: usize) -> ();
        online as driver_online(cpu: usize, online: bool) -> ();
        reaches as driver_reaches(task: usize, function: usize) -> i32;
        task_state as driver_task_state(task: usize) -> i32;
        task_pending as driver_task_pending(task: usize) -> bool;
        nudges as driver_nudges(task: usize) -> u32;
        switching as driver_switching() -> bool;
        object as driver_object(patch: usize, place: usize) -> i32;
        stacked as driver_stacked(function: usize, place: usize) -> i32;
        allocations as driver_allocations() -> u32;
        kobjects as driver_kobjects() -> u32;
        shadow_get as driver_shadow_get(object: usize, id: usize) -> u64;
        shadow_alloc as driver_shadow_alloc(
            object: usize, id: usize, value: u64, error: i32
        ) -> bool;
        shadow_get_or_alloc as driver_shadow_get_or_alloc(
            object: usize, id: usize, value: u64, error: i32
        ) -> bool;
        shadow_free as driver_shadow_free(object: usize, id: usize) -> ();
        shadow_free_all as driver_shadow_free_all(id: usize) -> ();
        patch_at as driver_patch_at(place: usize) -> i32;
        transition_patch as driver_transition_patch() -> i32;
        enabled as driver_enabled(patch: usize) -> bool;
        forced as driver_forced(patch: usize) -> bool;
        is_traced as driver_is_traced(function: usize) -> bool;
        warnings as driver_warnings() -> u32;
    }

    /// The lines that the driver has noted since the last call.
    pub(crate) fn journal(&self) -> Vec<String> {
        // SAFETY: The lock is held, so that no other thread calls the driver.
        let text = unsafe { driver::driver_journal() };
        self.text(text).lines().map(str::to_owned).collect()
    }

    /// The line that `messages.c` logs for an event of the rules.
    pub(crate) fn message(
        &self,
        event: klp_event,
        patch: Option<usize>,
        module: Option<usize>,
        error: i32,
        patching: bool,
    ) -> String {
        let number = |it: Option<usize>| it.map_or(-1, |it| it as i32);
        let (patch, module) = (number(patch), number(module));
        // SAFETY: The lock is held, so that no other thread calls the driver.
        let text = unsafe { driver::driver_message(event as _, patch, module, error, patching) };
        self.text(text).trim_end().to_owned()
    }

    /// The line that `messages.c` logs for a task that cannot switch.
    pub(crate) fn task_message(&self, task: usize, error: i32, function: usize) -> String {
        // SAFETY: The lock is held, so that no other thread calls the driver. The number of the
        // task is below the limits of `driver.h`.
        let text = unsafe { driver::driver_task_message(task as _, error, function as _) };
        self.text(text).trim_end().to_owned()
    }

    /// A string of the driver's.
    fn text(&self, text: *const c_char) -> String {
        // SAFETY: The driver's strings end with a zero, and do not change before its next call,
        // which needs `self`.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }
}
