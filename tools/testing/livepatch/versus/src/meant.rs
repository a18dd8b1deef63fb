// SPDX-License-Identifier: GPL-2.0

//! The points in which the cores are meant to differ, as far as histories could show them.
//!
//! Each name is that of an entry in `Documentation/livepatch/rust-core-differences.rst`. Without
//! this list, every other difference fails the test. `dev/test/scripts/differences.sh` of the
//! repository checks the names.

/// The rules hold a module until no task is in its text. The C core puts it at once, or never after
/// a forced transition.
pub(crate) const MODULE_STAYS: &str = "module-stays";

/// The C core reports tasks that try in vain to switch in `__schedule()`.
pub(crate) const SCHEDULE_IS_QUIET: &str = "schedule-is-quiet";

/// The C core finds that a shadow variable exists before it allocates another.
pub(crate) const DUPLICATE_WITHOUT_MEMORY: &str = "duplicate-without-memory";

/// The rules need memory to disable a patch.
pub(crate) const INDEX_NEEDS_MEMORY: &str = "index";

/// The C core takes the end of a func stack for a func.
pub(crate) const END_OF_STACK: &str = "end-of-func-stack";

/// The differences that the comparison leaves out. The histories have to contain each of them.
pub(crate) const LEFT_OUT: [&str; 5] = [
    MODULE_STAYS,
    SCHEDULE_IS_QUIET,
    DUPLICATE_WITHOUT_MEMORY,
    INDEX_NEEDS_MEMORY,
    END_OF_STACK,
];

/// The differences that no history contains.
#[allow(dead_code, reason = "a script reads the names")]
pub(crate) const AVOIDED: [&str; 8] = [
    // `Machine::each_second` makes the rules look at tasks as the C core does.
    "ends-when-it-can",
    "disturbs-running-tasks",
    "force-ends-at-once",
    // No operation takes a task off the task list before it is gone.
    "exiting-tasks",
    // No task is preempted in a handler.
    "preempted-in-a-handler",
    // Each task can be frozen where it sleeps.
    "switches-at-any-sleep",
    // A map is in the place of the table. The order of destructors is not compared.
    "shadow-table",
    // Callbacks return 0 or a negative number.
    "positive-callback",
];
