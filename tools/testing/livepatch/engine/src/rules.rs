// SPDX-License-Identifier: GPL-2.0

//! A transition step by step: one thread, one history.

use crate::{
    livepatch::model::{
        transition,
        Host,
        TaskHost,
        TaskState::{
            self,
            Idle,
            Patched,
            Unpatched, //
        }, //
    },
    machine::{
        driver,
        faults::Faults,
        stacks::Stacks,
        tasks::{
            TaskId,
            Tasks, //
        },
        transition::Transition,
        Machine,
        Size,
        SMALL, //
    }, //
};
use std::sync::Arc;

/// Two tasks, and three CPUs, the last of which is offline.
const WITH_IDLE: Size = Size { idle: 3, ..SMALL };
const ALL: [TaskId; 5] = [0, 1, ONLINE, 3, OFFLINE];
const ONLINE: TaskId = 2;
const OFFLINE: TaskId = 4;

/// A machine, and a patch on it.
struct Test {
    machine: Arc<Machine>,
    patch: Transition,
}

impl Test {
    fn state(&self, task: TaskId) -> TaskState {
        self.machine.final_state(task).0
    }

    fn pending(&self, task: TaskId) -> bool {
        self.machine.final_state(task).1
    }

    fn states(&self) -> [TaskState; 5] {
        ALL.map(|task| self.state(task))
    }

    fn all_pending(&self) -> [bool; 5] {
        ALL.map(|task| self.pending(task))
    }

    /// A task, as itself.
    fn as_task(&self, task: TaskId) -> Tasks {
        Tasks {
            machine: self.machine.clone(),
            current: Some(task),
        }
    }

    fn run(&self, task: TaskId, running: bool) {
        self.machine.task(task).set_running(running);
    }

    /// The task is, or is not, inside a version of function 1.
    fn put_inside(&self, task: TaskId, version: Option<usize>) {
        let mut stack = self.machine.task(task).stack();
        stack.clear();
        stack.extend(version.map(|version| Stacks::code(1, version).start + 4));
    }

    /// What was done since the last look.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.machine.books().log)
    }

    fn logged(&self, line: &str) -> usize {
        self.log().iter().filter(|found| *found == line).count()
    }

    fn switch(&self, task: TaskId) {
        transition::update(&self.as_task(task), task);
    }
}

/// Runs `body` on a machine with patch 0.
fn on_machine(body: impl Fn(&Test) + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.max_branches = 100_000;
    loom.check(move || {
        let machine = Arc::new(Machine::new(WITH_IDLE, &Arc::new(Faults::default())));
        let patch = Transition::new(&machine, 0);
        body(&Test { machine, patch });
    });
}

/// A test of what the rules expect.
fn test(body: fn(&Test)) {
    on_machine(move |test| {
        body(test);
        assert_eq!(test.machine.violation(), None);
    });
}

/// A test of what they do not.
fn wrong(body: impl Fn(&Test) + Send + Sync + 'static) {
    on_machine(move |test| {
        body(test);
        let violation = test.machine.violation().unwrap_or_default();
        assert!(violation.contains("expectation"), "{violation}");
    });
}

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
        assert_eq!(t.log(), ["Initializing"]);
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
            ["Initializing", "Starting", "sched switching true"]
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
                "Starting",
                "sched switching true",
                "sched switching false",
                "Completing",
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
                "Starting",
                "sched switching true",
                "sched switching false",
                "Completing",
                "unpatch",
                "callbacks Unpatched",
                "Complete",
                "Completed",
            ]
        );
    });
}

#[test]
fn a_task_that_runs_stays_until_it_switches_itself() {
    test(|t| {
        t.run(0, true);
        driver::enable(&t.patch);
        assert_eq!(t.states(), [Unpatched, Patched, Patched, Patched, Patched]);
        assert_eq!(t.all_pending(), [true, false, false, false, false]);
        let log = t.log();
        assert_eq!(log[3..], ["task 0: Running", "retry later"]);
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
            log[3..],
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
        assert_eq!(t.log(), ["Reversing", "Starting", "sched switching true"]);
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
                "Canceling",
                "Completing",
                "unpatch",
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
