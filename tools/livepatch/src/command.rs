// SPDX-License-Identifier: GPL-2.0

//! The table of commands.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    #[default]
    Status,
    List,
    Why,
    Wait,
    Check,
    Load,
    Install,
    Uninstall,
    Installed,
    Allow,
    Unload,
    Enable,
    Disable,
    Force,
    Watch,
    Report,
    Metrics,
    Help,
}

pub struct CommandSpec {
    pub command: Command,
    pub name: &'static str,
    pub operands: &'static str,
    /// The smallest and the largest number of operands.
    pub count: (usize, usize),
    pub about: &'static str,
    /// The facts that a reader of the answer wants, for help COMMAND.
    pub more: &'static str,
}

const ANY: usize = usize::MAX;

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        command: Command::Status,
        name: "status",
        operands: "[PATCH]",
        count: (0, 1),
        about: "the state of the patches (the default)",
        more: "\
applied     all tasks run the new code
forced      the same, but the transition was forced
applying    the transition to the new code runs
reverting   the transition back runs
stuck       either, for longer than --stuck-after
disabled    the module is loaded, its patch is not applied; the module is held by
            tasks in its code, or free to be unloaded
unknown     the files of the patch cannot be read
",
    },
    CommandSpec {
        command: Command::List,
        name: "list",
        operands: "[PATCH]",
        count: (0, 1),
        about: "the patches in stack order, and which serves what",
        more: "\
A function is served by the patch that has its present version:
  P                     patch P
  (original)            no patch
  P -> Q                Q for tasks that have switched, P for the others
  (object not loaded)   the module of the function is not there
If the answer would have more than 60 lines, the last functions are left out, and their
number is given. Patches, notes and the first function are always shown. With --all,
nothing is left out.
",
    },
    CommandSpec {
        command: Command::Why,
        name: "why",
        operands: "[PATCH]",
        count: (0, 1),
        about: "the tasks that hold the transition or a module up, and why",
        more: "\
Reasons, the most useful first:
  on function F of O          a function that changes is on the task's stack
  in code of P                code of a patch is on its stack
  its stack is unreliable     the kernel cannot be certain of the stack
  running                     the stack of a running task cannot be checked
  its stack cannot be seen    it may not be read; try as root
  its files cannot be read    just now: the kernel waits for a lock of the process
  no function that changes    perhaps the kernel has not looked again yet
The frames in the way are marked by >. Behind a reason may stand how it is known:
\"says the kernel\", by a tracepoint or its log; \"it seems\", a guess. Without either, the
stack or the state of the task shows it.
",
    },
    CommandSpec {
        command: Command::Wait,
        name: "wait",
        operands: "[PATCH]",
        count: (0, 1),
        about: "wait for the transition to end",
        more: "\
applied     all tasks run the new code (exit status 0)
forced      the same, but the transition was forced (6)
reverted    the patch was disabled (5)
replaced    another patch has replaced it (5)
gone        it is not known how the patch has left (5)
If the time is up before that, the answer is that of why (3, or 4 if it is stuck).
",
    },
    CommandSpec {
        command: Command::Check,
        name: "check",
        operands: "FILE...",
        count: (1, ANY),
        about: "obstacles to loading livepatch modules",
        more: "\
refused     the kernel would refuse the module
never       a kernel thread would never switch
waits       tasks are now in a function that changes, or in a loaded
            patch's version of it
note        a fact that is not known, or may matter
",
    },
    CommandSpec {
        command: Command::Load,
        name: "load",
        operands: "[FILE [PARAM=VALUE...]]...",
        count: (0, ANY),
        about: "load livepatch modules, and wait",
        more: "\
FILE may be the name of an installed patch, or of a module in /lib/modules. A file has a
slash in it, as ./FILE has, or ends in .ko, .ko.gz, .ko.xz or .ko.zst. When the time is up,
the transition goes on (exit status 3, or 4 if it is stuck); with --revert-on-timeout, the
patch is disabled and unloaded (7).
",
    },
    CommandSpec {
        command: Command::Install,
        name: "install",
        operands: "FILE...",
        count: (1, ANY),
        about: "install livepatches, to be loaded at each boot",
        more: "",
    },
    CommandSpec {
        command: Command::Uninstall,
        name: "uninstall",
        operands: "PATCH...",
        count: (1, ANY),
        about: "remove installed livepatches",
        more: "",
    },
    CommandSpec {
        command: Command::Installed,
        name: "installed",
        operands: "",
        count: (0, 0),
        about: "the livepatches that are loaded at boot",
        more: "\
loaded          the patch is loaded
another build   another build of it is loaded; see klpctl load --replace
not loaded      it is for this kernel, and not loaded
replaced        another patch, which is in effect, has replaced it
crashed         it was loaded when the machine crashed, and is not now; see klpctl allow
other kernel    it is for another version of the kernel
held back       it was loaded when the machine crashed, and by hand since; see klpctl allow
",
    },
    CommandSpec {
        command: Command::Allow,
        name: "allow",
        operands: "PATCH...",
        count: (1, ANY),
        about: "load patches at boot again after a crash",
        more: "",
    },
    CommandSpec {
        command: Command::Unload,
        name: "unload",
        operands: "[PATCH...]",
        count: (0, ANY),
        about: "disable patches, and unload their modules",
        more: "\
When the time is up, the transition goes on (exit status 3, or 4 if it is stuck). A module
that is held is waited for, too. If it still is when the time is up, the tasks in its code
are named, and the exit status is 1.
",
    },
    CommandSpec {
        command: Command::Enable,
        name: "enable",
        operands: "PATCH",
        count: (1, 1),
        about: "reverse the disabling of a patch",
        more: "",
    },
    CommandSpec {
        command: Command::Disable,
        name: "disable",
        operands: "PATCH",
        count: (1, 1),
        about: "disable a patch, or reverse its transition",
        more: "",
    },
    CommandSpec {
        command: Command::Force,
        name: "force",
        operands: "[PATCH]",
        count: (0, 1),
        about: "end the transition without its safety",
        more: "",
    },
    CommandSpec {
        command: Command::Watch,
        name: "watch",
        operands: "",
        count: (0, 0),
        about: "a live view of the transition",
        more: "",
    },
    CommandSpec {
        command: Command::Report,
        name: "report",
        operands: "",
        count: (0, 0),
        about: "write everything to a tar file for --root",
        more: "",
    },
    CommandSpec {
        command: Command::Metrics,
        name: "metrics",
        operands: "",
        count: (0, 0),
        about: "the state for Prometheus, in OpenMetrics",
        more: "",
    },
    CommandSpec {
        command: Command::Help,
        name: "help",
        operands: "[COMMAND]",
        count: (0, 1),
        about: "the description of a command",
        more: "",
    },
];
