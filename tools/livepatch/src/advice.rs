// SPDX-License-Identifier: GPL-2.0

//! The steps that usually help when a task holds a transition or a module up.
//!
//! The advice depends on the reason and on the kind of task. Its first line is usually an event to
//! wait for. The other lines are actions that the administrator may take. No line names an action
//! that cannot help, such as a signal for a task that no signal reaches, or one that harms the
//! system, such as the end of process 1.

use std::time::Duration;

use crate::evidence::Reason;
use crate::proc::{Stack, Task};
use crate::sysfs::{Direction, VMLINUX};
use crate::system::Age;
use crate::unit::{Guest, Manager, Unit};

/// The time between two rounds in which the kernel interrupts or wakes up the remaining tasks.
const ROUND: Duration = Duration::from_secs(15);

/// The circumstances of a transition that the advice depends on.
pub struct Situation {
    pub direction: Direction,
    pub age: Option<Age>,
    /// Whether the kernel was asked for its reasons.
    pub asked: bool,
    /// Whether klpctl runs as root, on the system that it looks at.
    pub privileged: bool,
}

/// Returns the advice for a task that has to switch.
pub fn to_switch(task: &Task, reason: &Reason, situation: &Situation) -> Vec<String> {
    let mut advice = vec![first_line(task, reason, situation)];

    if let Reason::Function {
        object,
        version: None,
        ..
    } = reason
    {
        if task.kthread && object.as_bytes() != VMLINUX {
            advice.push(format!("or let module {object} finish or stop that work"));
        }
    }
    advice.extend(by_hand(task));
    // A kernel with tracepoints has already been asked.
    let patching = situation.direction == Direction::Patching;
    if !situation.asked && patching && *reason == Reason::Nothing {
        advice.push(
            "to have the kernel say why: echo 'func klp_try_switch_task +p' > \
             /sys/kernel/debug/dynamic_debug/control"
                .to_owned(),
        );
    }
    advice
}

/// Returns the advice for a task that has to leave the code of a module.
pub fn to_leave(task: &Task) -> Vec<String> {
    let first = match task.state {
        'D' => format!(
            "wait until it has left this code; {}",
            uninterruptible(task)
        ),
        _ => "wait until it has left this code".to_owned(),
    };
    let mut advice = vec![first];
    advice.extend(by_hand(task));
    advice
}

/// A sleep that is killable looks like any other in /proc. Kernel threads ignore SIGKILL.
fn uninterruptible(task: &Task) -> &'static str {
    match task.kthread {
        true => "no signal ends its sleep",
        false => "no signal ends its sleep, except SIGKILL if the sleep is killable",
    }
}

/// Returns the event that lets the task switch, or the way to learn the reason.
fn first_line(task: &Task, reason: &Reason, situation: &Situation) -> String {
    match (reason, task.state) {
        _ if matches!(task.stack, Stack::Unread) => {
            "look again later: it may be in a system call that waits for a file server".to_owned()
        }
        (_, 'T') => "it is stopped, and cannot switch before it continues".to_owned(),
        (_, 't') => "its debugger has stopped it: let it continue, or detach".to_owned(),
        (Reason::Unseen, _) => unseen(task, situation),
        (Reason::Running, _) if task.kthread => {
            "wait: it switches when it is scheduled away, or sleeps".to_owned()
        }
        (Reason::Running, _) => {
            "wait: it switches when it leaves the kernel, is scheduled away, or sleeps".to_owned()
        }
        (Reason::Unreliable, _) if task.kthread => {
            "wait until it sleeps elsewhere, where its stack can be checked".to_owned()
        }
        (Reason::Unreliable, 'D') => format!(
            "wait: it switches when it leaves the kernel; asleep, its stack cannot be checked, and \
             {}",
            uninterruptible(task)
        ),
        (Reason::Unreliable, _) => {
            "wait: it switches when it leaves the kernel; asleep, its stack cannot be checked"
                .to_owned()
        }
        (Reason::Nothing, _) => {
            "wait: the kernel looks again within a second; if it stays, its stack may be unreliable"
                .to_owned()
        }
        (Reason::Function { .. } | Reason::PatchCode { .. }, 'S') => interrupted(task, situation),
        (Reason::Function { .. } | Reason::PatchCode { .. }, 'R') => {
            "wait: it runs, and switches when it has left the function".to_owned()
        }
        // An idle kernel thread sleeps as uninterruptibly as one in D.
        (Reason::Function { .. } | Reason::PatchCode { .. }, _) => {
            format!("wait until its sleep ends: {}", uninterruptible(task))
        }
    }
}

fn unseen(task: &Task, situation: &Situation) -> String {
    match task.stack {
        Stack::Denied if !situation.privileged => "run this as root to see its stack",
        Stack::Denied => "not even root may read its stack here: CAP_SYS_ADMIN is missing",
        _ => "its stack is not shown: by this kernel, or in this report",
    }
    .to_owned()
}

/// Returns how the kernel treats a task that sleeps interruptibly, and whether it has done so.
fn interrupted(task: &Task, situation: &Situation) -> String {
    let rounds = situation
        .age
        .map(|age| age.elapsed.as_secs() / ROUND.as_secs());
    let exact = situation.age.is_some_and(|age| !age.at_least);
    match (task.kthread, rounds) {
        (true, Some(1..)) => {
            "the kernel wakes it up every 15 s, which has not helped yet".to_owned()
        }
        (true, Some(0)) if exact => {
            "wait: after 15 s the kernel wakes it up, which helps if it then leaves the function"
                .to_owned()
        }
        (true, _) => {
            "wait: every 15 s the kernel wakes it up, which helps if it then leaves the function"
                .to_owned()
        }
        (false, Some(1..)) => {
            "the kernel interrupts its sleep every 15 s, as a signal would, which has not helped \
             yet"
            .to_owned()
        }
        (false, Some(0)) if exact => {
            "wait: after 15 s the kernel interrupts its sleep, as a signal would, unnoticed by the \
             program"
                .to_owned()
        }
        (false, _) => {
            "wait: every 15 s the kernel interrupts its sleep, as a signal would, unnoticed by the \
             program"
                .to_owned()
        }
    }
}

/// Returns the actions by which an administrator may release a user task, or `None` if there is
/// none.
fn by_hand(task: &Task) -> Option<String> {
    // No signal reaches a task in D, so that a service cannot be stopped either.
    if task.kthread || matches!(task.state, 'D' | 'Z' | 'X') || matches!(task.stack, Stack::Unread)
    {
        return None;
    }
    let pid = task.id.pid;
    if pid == 1 {
        return Some(match (&task.unit, task.state) {
            (Some(unit), 'S') if unit.is_manager() => {
                "never end it: it is process 1; systemctl daemon-reexec wakes it up".to_owned()
            }
            _ => "never end it: it is process 1".to_owned(),
        });
    }
    match task.state {
        'T' => return Some(format!("let it continue: kill -CONT {pid}")),
        't' => return None,
        _ => {}
    }
    Some(match &task.unit {
        Some(unit) if unit.is_manager() => format!(
            "do not end it: it is the service manager{}",
            of_manager(&unit.manager)
        ),
        Some(unit) => match (unit.harm(), &unit.guest) {
            (Some(harm), _) => format!(
                "do not restart {}{}: {harm}",
                unit.name,
                of_manager(&unit.manager)
            ),
            (None, Some(guest)) => of_guest(pid, guest),
            (None, None) if unit.is_service() => restart(unit),
            (None, None) => format!(
                "or end the process {pid}, of {}{}",
                unit.name,
                of_manager(&unit.manager)
            ),
        },
        None => format!("or restart the program of process {pid}"),
    })
}

fn of_guest(pid: u32, guest: &Guest) -> String {
    let guest = match guest {
        Guest::Virtual(name) => {
            return format!(
                "do not end process {pid}: virtual machine {name} would end; a live migration \
                 takes it to another host"
            )
        }
        Guest::Machine(name) => format!("machine {name}"),
        Guest::Container(name) => format!("container {name}"),
    };
    format!("do not end process {pid}: {guest} may end; restart it with the tool that manages it")
}

fn of_manager(manager: &Manager) -> String {
    match manager {
        Manager::System => String::new(),
        Manager::User(id) => format!(" of user {id}"),
        Manager::Machine(name) => format!(" of machine {name}"),
        Manager::Container(name) => format!(" in container {name}"),
    }
}

fn restart(unit: &Unit) -> String {
    let name = unit.name.shell();
    match &unit.manager {
        Manager::System => format!("or restart the service: systemctl restart {name}"),
        Manager::User(id) => {
            format!("or restart the service, as user {id}: systemctl --user restart {name}")
        }
        Manager::Machine(machine) => format!(
            "or restart the service: systemctl --machine={} restart {name}",
            machine.shell()
        ),
        Manager::Container(container) => {
            format!("or restart the service, in container {container}: {name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::TaskId;

    fn task(pid: u32, state: char, cgroup: &str) -> Task {
        Task {
            id: TaskId { pid, tid: pid },
            comm: "x".into(),
            state,
            kthread: cgroup.is_empty(),
            stack: Stack::Denied,
            wchan: None,
            unit: Unit::parse(cgroup.as_bytes()),
        }
    }

    fn situation(seconds: u64) -> Situation {
        Situation {
            direction: Direction::Patching,
            age: Some(Age {
                elapsed: Duration::from_secs(seconds),
                at_least: false,
                source: "log",
            }),
            asked: true,
            privileged: true,
        }
    }

    fn on_function(task: &Task, seconds: u64) -> String {
        let reason = Reason::PatchCode {
            version: "p".into(),
        };
        to_switch(task, &reason, &situation(seconds)).join("\n")
    }

    #[test]
    fn process_1_is_never_to_be_ended() {
        for state in ['S', 'R', 'T', 't', 'D'] {
            for cgroup in ["0::/init.scope", "0::/", "0::/system.slice/x.service"] {
                let text = on_function(&task(1, state, cgroup), 1);
                assert!(!text.contains("restart"), "{text}");
                assert!(!text.contains("end the process"), "{text}");
            }
        }
        let text = on_function(&task(1, 'S', "0::/init.scope"), 1);
        assert!(text.contains("daemon-reexec"), "{text}");
        let user = "0::/user.slice/user@7.service/init.scope";
        let text = on_function(&task(9, 'S', user), 1);
        assert!(text.ends_with("do not end it: it is the service manager of user 7"));
    }

    #[test]
    fn no_signal_reaches_a_task_in_d() {
        let text = on_function(&task(9, 'D', "0::/system.slice/x.service"), 1);
        assert!(!text.contains("restart"), "{text}");
        assert!(text.contains("if the sleep is killable"), "{text}");
        let text = to_leave(&task(9, 'D', "0::/system.slice/x.service")).join("\n");
        assert!(!text.contains("restart"), "{text}");
        // Nor does SIGKILL end a kernel thread.
        for text in [
            on_function(&task(9, 'D', ""), 1),
            to_leave(&task(9, 'D', "")).join("\n"),
        ] {
            assert!(text.contains("no signal ends its sleep"), "{text}");
            assert!(!text.contains("KILL"), "{text}");
        }
    }

    #[test]
    fn a_task_that_runs_does_not_sleep() {
        for cgroup in ["", "0::/system.slice/x.service"] {
            let text = on_function(&task(9, 'R', cgroup), 1);
            assert!(text.starts_with("wait: it runs"), "{text}");
            assert!(!text.contains("sleep"), "{text}");
        }
    }

    #[test]
    fn a_stopped_task_continues() {
        let text = on_function(&task(9, 'T', "0::/system.slice/x.service"), 1);
        assert!(text.ends_with("kill -CONT 9"), "{text}");
        assert!(!text.contains("sleep"), "{text}");
    }

    #[test]
    fn services_of_others() {
        let text = |cgroup| on_function(&task(9, 'S', cgroup), 1);
        assert!(text("0::/system.slice/x.service").ends_with("systemctl restart x.service"));
        let user = text("0::/user.slice/user@7.service/app.slice/x.service");
        assert!(user.ends_with("as user 7: systemctl --user restart x.service"));
        let machine = text("0::/machine.slice/machine-m.scope/payload/system.slice/x.service");
        assert!(machine.ends_with("systemctl --machine=m restart x.service"));
        let docker = text("0::/system.slice/docker-1.scope/system.slice/x.service");
        assert!(!docker.contains("systemctl"), "{docker}");
        let lxc = text("0::/lxc/101/ns/system.slice/ssh.service");
        assert!(
            lxc.ends_with("in container lxc/101/ns: ssh.service"),
            "{lxc}"
        );
        let docker = text("0::/docker/01ab/system.slice/kubelet.service");
        assert!(
            docker.ends_with("in container docker/01ab: kubelet.service"),
            "{docker}"
        );
        let bus = text("0::/system.slice/dbus.service");
        assert!(!bus.contains("systemctl"), "{bus}");
    }

    #[test]
    fn services_whose_restart_harms() {
        for (unit, harm) in [
            ("dbus.service", "others depend on it"),
            ("systemd-logind.service", "others depend on it"),
            ("user@1000.service", "others depend on it"),
            (
                "auditd.service",
                "systemd may refuse it, and the kernel's audit log needs it",
            ),
            ("networking.service", "this host may lose its network"),
            ("NetworkManager.service", "this host may lose its network"),
            ("systemd-networkd.service", "this host may lose its network"),
            ("ifup@eth0.service", "this host may lose its network"),
            (
                "openvswitch-switch.service",
                "this host may lose its network",
            ),
            ("docker.service", "its containers may end"),
            ("containerd.service", "its containers may end"),
            ("k3s.service", "its containers may end"),
            ("lxc@web.service", "its containers may end"),
            ("pve-container@101.service", "its containers may end"),
            ("snap.docker.dockerd.service", "its containers may end"),
            ("snap.lxd.daemon.service", "its containers may end"),
            ("sanlock.service", "a watchdog may reset this host"),
            ("watchdog.service", "a watchdog may reset this host"),
            ("wdmd.service", "a watchdog may reset this host"),
            ("corosync.service", "its cluster may fence this host"),
            ("pacemaker.service", "its cluster may fence this host"),
            ("getty@tty1.service", "a session on that terminal may end"),
            (
                "serial-getty@ttyS0.service",
                "a session on that terminal may end",
            ),
        ] {
            let text = on_function(&task(9, 'S', &format!("0::/system.slice/{unit}")), 1);
            let line = format!("\ndo not restart {unit}: {harm}");
            assert!(text.ends_with(&line), "{line}: {text}");
        }
    }

    #[test]
    fn machines_and_containers() {
        let text =
            |scope: &str| on_function(&task(9, 'S', &format!("0::/machine.slice/{scope}")), 1);
        let machine = text("machine-qemu\\x2d1\\x2dweb.scope");
        let line =
            "\ndo not end process 9: virtual machine qemu-1-web would end; a live migration \
                    takes it to another host";
        assert!(machine.ends_with(line), "{machine}");
        let machine = on_function(&task(9, 'S', "0::/qemu.slice/100.scope"), 1);
        let line = line.replace("qemu-1-web", "100");
        assert!(machine.ends_with(&line), "{machine}");
        let machine = text("machine-web.scope");
        let line =
            "\ndo not end process 9: machine web may end; restart it with the tool that manages it";
        assert!(machine.ends_with(line), "{machine}");
        for scope in [
            "docker-01",
            "libpod-01",
            "libpod-conmon-01",
            "cri-containerd-01",
            "crio-01",
        ] {
            let container = text(&format!("{scope}.scope"));
            let line = format!(
                "\ndo not end process 9: container {scope}.scope may end; restart it with the tool \
                 that manages it"
            );
            assert!(container.ends_with(&line), "{container}");
        }
        let session = text("session-1.scope");
        assert!(
            session.ends_with("or end the process 9, of session-1.scope"),
            "{session}"
        );
    }

    #[test]
    fn time_that_has_passed_is_not_waited_for() {
        let cron = task(9, 'S', "0::/system.slice/x.service");
        for task in [cron, task(9, 'S', "")] {
            assert!(on_function(&task, 14).contains("after 15 s"));
            let text = on_function(&task, 1900);
            assert!(text.contains("every 15 s"), "{text}");
            assert!(text.contains("has not helped yet"), "{text}");
        }
        // The kernel does not wake up an idle thread.
        assert!(on_function(&task(9, 'I', ""), 1).contains("no signal"));
    }

    #[test]
    fn root_is_not_told_to_become_root() {
        let mut situation = situation(1);
        let task = task(9, 'S', "0::/");
        let text = to_switch(&task, &Reason::Unseen, &situation).join("\n");
        assert!(!text.contains("run this as root"), "{text}");
        situation.privileged = false;
        let text = to_switch(&task, &Reason::Unseen, &situation).join("\n");
        assert!(text.contains("run this as root"), "{text}");
    }
}
