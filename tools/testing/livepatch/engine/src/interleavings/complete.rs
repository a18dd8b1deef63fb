// SPDX-License-Identifier: GPL-2.0

//! The unchanged rules hold in all interleavings.
//!
//! - No task calls both old and new functions between two of its switching points.
//! - No freed func redirects a task.
//! - No handler finds a func in transition for a task that is idle.
//! - A task that has to switch is asked until it has switched, and transitions end.
//! - No task runs in the text of a module that was let go, and every module is let go in the end.
//! - No task enters a new function after the post-unpatch callback.
//! - The expectations that the rules state themselves are met.

use super::*;
use crate::machine::SMALL;

const ONE: Size = Size { tasks: 1, ..SMALL };
const PARENT: Size = Size {
    tasks: 1,
    unborn: 1,
    ..SMALL
};

/// Defines a test for each scenario, with the name of the scenario.
macro_rules! explored {
    (deep: $size:expr, $depth:expr; $($scenario:ident)*) => {
        $(
            #[test]
            #[ignore = "takes minutes: cargo test -- --include-ignored"]
            fn $scenario() {
                holds($depth, $size, &[], scenarios::$scenario);
            }
        )*
    };
    ($size:expr, $depth:expr; $($scenario:ident)*) => {
        $(
            #[test]
            fn $scenario() {
                holds($depth, $size, &[], scenarios::$scenario);
            }
        )*
    };
}

/// One task and a transition, in all interleavings.
mod one_task_unbounded {
    use super::*;

    explored! { ONE, Depth::Unbounded;
        cancel_during_the_last_call
        disable_during_the_last_call
        reverse_during_the_last_call
        enable_and_visits
        enable_and_sleepers
        enable_and_schedulers
        enable_and_inner_schedulers
        disable_and_exits
        disable_and_sleepers
        disable_and_schedulers
        disable_and_inner_schedulers
        reverse_enable_and_visits
        reverse_enable_and_double_exits
        reverse_enable_and_schedulers
        reverse_disable_and_visits
        reverse_disable_and_double_exits
        reverse_disable_and_schedulers
        reverse_twice_and_exits
        cancel_and_calls
        stack_and_visits
        replace_and_visits
        replace_and_sleepers
        disable_and_helpers
        disable_and_arrivals
        disable_two_and_helpers
        force_and_helpers
        force_and_arrivals
        force_and_short_arrivals
        replace_and_helpers
    }
}

/// One task, and func stacks that settle.
mod settling {
    use super::*;

    const SETTLING: Size = Size {
        settles: true,
        ..ONE
    };

    explored! { SETTLING, Depth::Preemptions(3);
        enable_and_visits
        disable_and_visits
        disable_and_exits
        disable_and_sleepers
        reverse_enable_and_double_exits
        reverse_disable_and_double_exits
        cancel_and_calls
        stack_and_visits
        replace_and_visits
        replace_and_sleepers
        disable_and_arrivals
    }
}

/// One task, and functions that jump when their func stacks are settled.
mod jumping {
    use super::*;

    const JUMPING: Size = Size {
        settles: true,
        jumps: true,
        ..ONE
    };

    explored! { JUMPING, Depth::Preemptions(3);
        enable_and_visits
        enable_and_come
        disable_and_visits
        disable_and_exits
        disable_and_sleepers
        disable_and_schedulers
        disable_and_inner_schedulers
        disable_and_come
        reverse_enable_and_double_exits
        reverse_disable_and_double_exits
        cancel_and_calls
        stack_and_visits
        replace_and_visits
        replace_and_sleepers
        replace_by_nops_and_exits
        disable_and_helpers
        disable_and_arrivals
        disable_and_short_arrivals
        disable_and_exits_of_tasks
        force_and_arrivals
        force_and_short_arrivals
        replace_and_helpers
    }
}

/// Two tasks, and functions that jump, with at most two preemptions.
mod jumping_two_tasks {
    use super::*;

    const JUMPING: Size = Size {
        settles: true,
        jumps: true,
        ..SMALL
    };

    explored! { JUMPING, Depth::Preemptions(2);
        disable_and_exit_and_sleeper
        disable_and_arrivals
        replace_and_sleepers
    }
}

/// One task, which passes preempt to look at it.
mod insisting {
    use super::*;

    const INSISTING: Size = Size {
        insists: true,
        ..ONE
    };

    explored! { INSISTING, Depth::Preemptions(3);
        enable_and_visits
        disable_and_exits
        disable_and_sleepers
        disable_and_arrivals
        disable_and_helpers
    }
}

/// One task, with at most three preemptions.
mod one_task_three_preemptions {
    use super::*;

    explored! { ONE, Depth::Preemptions(3);
        force_while_another_departs
        disable_and_exits_of_tasks
        disable_and_ends_of_tasks
    }
}

/// Two tasks and a transition, in all interleavings.
mod two_tasks_unbounded {
    use super::*;

    explored! { SMALL, Depth::Unbounded;
        enable_and_call_and_exit
    }
}

/// Two tasks and a transition, with at most four preemptions.
mod two_tasks_four_preemptions {
    use super::*;

    explored! { SMALL, Depth::Preemptions(4);
        enable_and_exits
        enable_and_exit_and_sleeper
    }
}

/// Two tasks and a transition, with at most three preemptions.
mod two_tasks_three_preemptions {
    use super::*;

    explored! { SMALL, Depth::Preemptions(3);
        enable_and_visits
        enable_and_sleepers
        enable_and_schedulers
        enable_and_inner_schedulers
        disable_and_exits
        disable_and_sleepers
        disable_and_exit_and_sleeper
        reverse_enable_and_exits
        reverse_enable_and_double_exits
        reverse_disable_and_visits
        reverse_disable_and_double_exits
        reverse_disable_and_schedulers
        reverse_twice_and_exits
        replace_and_visits
        replace_and_sleepers
    }
}

/// Two tasks and a transition, with at most two preemptions.
mod two_tasks_two_preemptions {
    use super::*;

    explored! { SMALL, Depth::Preemptions(2);
        disable_and_visits
        disable_and_schedulers
        disable_and_inner_schedulers
        reverse_enable_and_visits
        reverse_enable_and_schedulers
        cancel_and_calls
        stack_and_visits
        replace_by_nops_and_exits
        disable_and_helpers
        disable_and_arrivals
        force_and_arrivals
    }
}

/// A parent, its child and a transition, with at most three preemptions.
mod fork_three_preemptions {
    use super::*;

    explored! { PARENT, Depth::Preemptions(3);
        enable_and_fork
        enable_and_exit_and_fork
        disable_and_fork
        reverse_and_exit_and_fork
    }
}

/// Tests that take minutes: one task, in all interleavings.
mod deep_one_task_unbounded {
    use super::*;

    explored! { deep: ONE, Depth::Unbounded;
        disable_and_visits
        replace_by_nops_and_exits
    }
}

/// Tests that take minutes: two tasks, or a parent and its child, with at most four preemptions.
mod deep_four_preemptions {
    use super::*;

    explored! { deep: SMALL, Depth::Preemptions(4);
        disable_and_exits
        reverse_enable_and_exits
    }

    explored! { deep: PARENT, Depth::Preemptions(4);
        enable_and_fork
        enable_and_exit_and_fork
        disable_and_fork
        reverse_and_exit_and_fork
    }
}
