// SPDX-License-Identifier: GPL-2.0

//! Which task switches when, and what is done about those that do not.

use super::*;

#[test]
fn a_task_that_runs_stays_until_it_switches_itself() {
    test(|t| {
        t.run(0, true);
        driver::enable(&t.patch);
        assert_eq!(t.states(), [Unpatched, Patched, Patched, Patched, Patched]);
        assert_eq!(t.all_pending(), [true, false, false, false, false]);
        let log = t.log();
        assert_eq!(log[4..], ["task 0: Running", "retry later"]);
        t.switch(0);
        assert_eq!((t.state(0), t.pending(0)), (Patched, false));
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn the_last_task_counts_like_the_first() {
    test(|t| {
        t.run(1, true);
        driver::enable(&t.patch);
        assert!(t.patch.under_way());
        t.run(1, false);
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn an_idle_task_that_runs_is_woken() {
    test(|t| {
        t.run(ONLINE, true);
        driver::enable(&t.patch);
        assert_eq!(t.state(ONLINE), Unpatched);
        let log = t.log();
        assert_eq!(
            log[4..],
            ["task 2: Running", "wake idle task 2", "retry later"]
        );
        t.switch(ONLINE);
        transition::try_complete(&t.patch);
        assert_eq!(t.logged("wake idle task 2"), 0);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn an_offline_cpus_task_switches_whatever_its_stack() {
    test(|t| {
        t.put_inside(OFFLINE, Some(0));
        t.run(0, true);
        driver::enable(&t.patch);
        assert_eq!((t.state(OFFLINE), t.pending(OFFLINE)), (Patched, false));
    });
}

#[test]
fn a_task_inside_the_old_function_stays_when_patching() {
    test(|t| {
        t.put_inside(0, Some(0));
        driver::enable(&t.patch);
        assert_eq!((t.state(0), t.pending(0)), (Unpatched, true));
        assert_eq!(t.logged("task 0: SleepsOn(1)"), 1);
        t.put_inside(0, None);
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn a_task_inside_the_new_function_stays_when_unpatching() {
    test(|t| {
        driver::settle(&t.patch);
        t.put_inside(0, Some(1));
        driver::disable(&t.patch);
        assert_eq!((t.state(0), t.pending(0)), (Patched, true));
        assert!(t.machine.stacks.is_patched(1));
        t.put_inside(0, None);
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn a_task_inside_the_previous_patchs_function_stays_when_it_is_patched_again() {
    test(|t| {
        driver::settle(&t.patch);
        let second = Transition::new(&t.machine, 1);
        t.put_inside(0, Some(1));
        t.put_inside(1, Some(0));
        driver::enable(&second);
        assert_eq!(t.state(0), Unpatched);
        // The original is not what is called until now: nobody can be inside and matter.
        assert_eq!(t.state(1), Patched);
    });
}

#[test]
fn without_reliable_stacks_a_task_switches_itself() {
    test(|t| {
        t.machine.books().no_reliable_stacks = true;
        driver::enable(&t.patch);
        assert_eq!(
            t.states(),
            [Unpatched, Unpatched, Unpatched, Unpatched, Patched]
        );
        assert_eq!(t.logged("task 1: NoReliableStack"), 1);
        ALL.iter().for_each(|&task| t.switch(task));
        transition::try_complete(&t.patch);
        assert!(!t.patch.under_way());
    });
}

#[test]
fn a_task_that_is_not_asked_does_not_switch() {
    test(|t| {
        driver::start_enabling(&t.patch);
        t.patch.tasks().set_pending(0, false);
        t.switch(0);
        transition::sched_switch(&t.as_task(0));
        assert_eq!(t.state(0), Unpatched);
    });
}

#[test]
fn schedule_switches_the_task_that_calls_it() {
    test(|t| {
        t.run(0, true);
        driver::start_enabling(&t.patch);
        t.put_inside(0, Some(0));
        transition::sched_switch(&t.as_task(0));
        assert_eq!((t.state(0), t.pending(0)), (Unpatched, true));
        t.put_inside(0, None);
        transition::sched_switch(&t.as_task(0));
        assert_eq!((t.state(0), t.pending(0)), (Patched, false));
        assert_eq!(t.state(1), Unpatched);
    });
}

#[test]
fn a_child_is_where_its_parent_is() {
    test(|t| {
        driver::start_enabling(&t.patch);
        let (parent, child) = (0, OFFLINE);
        t.patch.tasks().set_state(child, Idle);
        t.patch.tasks().set_pending(child, false);
        transition::fork(&t.as_task(parent), child);
        assert_eq!((t.state(child), t.pending(child)), (Unpatched, true));
        t.switch(parent);
        transition::fork(&t.as_task(parent), child);
        assert_eq!((t.state(child), t.pending(child)), (Patched, false));
    });
}

#[test]
fn stragglers_are_woken_at_every_fifteenth_attempt() {
    test(|t| {
        t.run(0, true);
        driver::enable(&t.patch);
        for attempt in 1..=46 {
            t.log();
            assert_eq!(t.patch.attempts(), attempt);
            transition::try_complete(&t.patch);
            let log = t.log();
            let has = |line: &str| log.iter().any(|found| found == line);
            assert_eq!(has("nudge task 0"), attempt % 15 == 0, "{attempt}: {log:?}");
            // Said once; and tasks that have switched are left alone.
            assert_eq!(has("Signaling"), attempt == 15, "{attempt}: {log:?}");
            assert!(!has("nudge task 1"));
        }
    });
}
