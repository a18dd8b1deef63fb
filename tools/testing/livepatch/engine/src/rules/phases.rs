// SPDX-License-Identifier: GPL-2.0

//! How a transition begins, turns round and ends.

use super::*;

#[test]
fn states_are_their_numbers() {
    for (state, raw) in [(Idle, -1), (Unpatched, 0), (Patched, 1)] {
        assert_eq!(state as i32, raw);
        assert_eq!(TaskState::from_raw(raw), state);
    }
}

#[test]
fn init_puts_every_task_in_the_opposite_state() {
    test(|t| {
        driver::begin(&t.patch);
        transition::init(&t.patch, Patched);
        assert_eq!(t.states(), [Unpatched; 5]);
        assert_eq!(t.all_pending(), [false; 5]);
        assert_eq!(t.patch.tasks().target(), Patched);
        assert_eq!(t.log(), ["Initializing", "funcs begin"]);
    });
    test(|t| {
        driver::settle(&t.patch);
        driver::begin(&t.patch);
        transition::init(&t.patch, Unpatched);
        assert_eq!(t.states(), [Patched; 5]);
        assert_eq!(t.patch.tasks().target(), Unpatched);
    });
}

#[test]
fn init_expects_no_transition() {
    wrong(|t| {
        t.patch.set_target(Patched);
        driver::begin(&t.patch);
        transition::init(&t.patch, Patched);
    });
}

#[test]
fn init_expects_idle_tasks() {
    for task in [0, 1, ONLINE, OFFLINE] {
        wrong(move |t| {
            t.patch.tasks().set_state(task, Unpatched);
            driver::begin(&t.patch);
            transition::init(&t.patch, Patched);
        });
    }
}

#[test]
fn start_asks_every_task() {
    test(|t| {
        t.patch.set_attempts(7);
        driver::start_enabling(&t.patch);
        assert_eq!(t.all_pending(), [true; 5]);
        assert_eq!(t.patch.attempts(), 0);
        assert_eq!(
            t.log(),
            [
                "Initializing",
                "funcs begin",
                "Starting",
                "sched switching true"
            ]
        );
    });
}

#[test]
fn start_expects_a_target() {
    wrong(|t| {
        transition::start(&t.patch);
    });
}

#[test]
fn an_attempt_expects_a_target() {
    wrong(|t| {
        driver::begin(&t.patch);
        t.run(0, true);
        t.patch.tasks().set_state(0, Unpatched);
        transition::try_complete(&t.patch);
    });
}

#[test]
fn sleeping_tasks_switch_at_the_first_attempt() {
    test(|t| {
        driver::enable(&t.patch);
        assert_eq!(t.states(), [Idle; 5]);
        assert_eq!(t.all_pending(), [false; 5]);
        assert_eq!(t.patch.tasks().target(), Idle);
        assert!(t.patch.enabled() && !t.patch.under_way());
        assert_eq!(
            t.log(),
            [
                "Initializing",
                "funcs begin",
                "Starting",
                "sched switching true",
                "sched switching false",
                "Completing",
                "funcs end",
                "synchronize",
                "callbacks Patched",
                "Complete",
                "Completed",
            ]
        );
    });
}

#[test]
fn disabling_takes_the_funcs_off_their_stacks() {
    test(|t| {
        driver::settle(&t.patch);
        assert!(t.machine.stacks.is_patched(0) && t.machine.stacks.is_patched(1));
        t.log();
        driver::disable(&t.patch);
        assert!(!t.machine.stacks.is_patched(0) && !t.machine.stacks.is_patched(1));
        assert_eq!(t.states(), [Idle; 5]);
        assert!(!t.patch.enabled() && !t.patch.under_way());
        assert_eq!(
            t.log(),
            [
                "Initializing",
                "funcs begin",
                "Starting",
                "sched switching true",
                "sched switching false",
                "Completing",
                "unpatch",
                "synchronize",
                "funcs end",
                "callbacks Unpatched",
                "Complete",
                "Completed",
            ]
        );
    });
}

#[test]
fn reversing_asks_those_who_have_switched() {
    test(|t| {
        driver::start_enabling(&t.patch);
        t.switch(0);
        t.switch(ONLINE);
        t.log();
        transition::reverse(&t.patch);
        assert_eq!(t.patch.tasks().target(), Unpatched);
        assert_eq!(t.all_pending(), [true, false, true, false, false]);
        assert!(!t.patch.enabled());
        assert_eq!(
            t.log(),
            [
                "Reversing",
                "synchronize",
                "Starting",
                "sched switching true"
            ]
        );
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
        assert!(!t.machine.stacks.is_patched(0));
    });
}

#[test]
fn reversing_twice_goes_on_as_before() {
    test(|t| {
        t.run(0, true);
        driver::enable(&t.patch);
        transition::reverse(&t.patch);
        transition::reverse(&t.patch);
        assert!(t.patch.enabled());
        assert_eq!(t.patch.tasks().target(), Patched);
        assert_eq!(t.all_pending(), [true, false, false, false, false]);
        t.run(0, false);
        transition::try_complete(&t.patch);
        assert!(t.machine.stacks.is_patched(0) && !t.patch.under_way());
    });
}

#[test]
fn canceling_leaves_nothing() {
    test(|t| {
        driver::fail_to_enable(&t.patch);
        assert_eq!(t.states(), [Idle; 5]);
        assert!(!t.machine.stacks.is_patched(0) && !t.patch.under_way());
        assert_eq!(
            t.log(),
            [
                "Initializing",
                "funcs begin",
                "Canceling",
                "Completing",
                "unpatch",
                "synchronize",
                "funcs end",
                "callbacks Unpatched",
                "Complete",
                "Canceled",
            ]
        );
    });
}

#[test]
fn only_patching_can_be_canceled() {
    wrong(|t| {
        driver::settle(&t.patch);
        driver::begin(&t.patch);
        transition::init(&t.patch, Unpatched);
        transition::cancel(&t.patch);
        // Nothing has happened.
        assert_eq!(t.states(), [Patched; 5]);
        assert!(t.machine.stacks.is_patched(0));
    });
}

#[test]
fn forcing_switches_tasks_that_run() {
    test(|t| {
        t.run(0, true);
        t.run(ONLINE, true);
        t.put_inside(1, Some(0));
        driver::enable(&t.patch);
        assert!(t.patch.under_way());
        t.log();
        transition::force(&t.patch);
        assert_eq!(t.log(), ["Forcing", "forced Patched"]);
        assert_eq!(t.states(), [Patched; 5]);
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn a_patch_that_replaces_takes_the_others_away() {
    test(|t| {
        driver::settle(&t.patch);
        t.machine.books().replaces = true;
        t.log();
        let second = Transition::new(&t.machine, 1);
        driver::enable(&second);
        assert_eq!(t.logged("unpatch replaced"), 1);
        assert!(!t.machine.stacks.is_patched(0) && t.machine.stacks.is_patched(2));
        assert!(!t.patch.enabled() && second.enabled());
    });
}

#[test]
fn a_patch_that_does_not_replace_leaves_the_others() {
    test(|t| {
        driver::settle(&t.patch);
        t.log();
        let second = Transition::new(&t.machine, 1);
        driver::enable(&second);
        assert_eq!(t.logged("unpatch replaced"), 0);
        assert!(t.machine.stacks.is_patched(0) && t.machine.stacks.is_patched(2));
        assert!(t.patch.enabled());
    });
}

#[test]
fn disabling_a_patch_that_replaces_takes_nothing_else_away() {
    test(|t| {
        driver::settle(&t.patch);
        let second = Transition::new(&t.machine, 1);
        driver::settle(&second);
        t.machine.books().replaces = true;
        t.log();
        driver::disable(&second);
        assert_eq!(t.logged("unpatch replaced"), 0);
        assert!(t.machine.stacks.is_patched(0) && !t.machine.stacks.is_patched(2));
    });
}

#[test]
fn a_flag_that_is_left_is_noticed() {
    for task in [0, OFFLINE] {
        wrong(move |t| {
            driver::start_enabling(&t.patch);
            t.patch.tasks().set_state(task, Patched);
            transition::try_complete(&t.patch);
        });
    }
}
