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
}

const ANY: usize = usize::MAX;

pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        command: Command::Status,
        name: "status",
        operands: "[PATCH]",
        count: (0, 1),
        about: "what state the patches are in (the default)",
    },
    CommandSpec {
        command: Command::List,
        name: "list",
        operands: "",
        count: (0, 0),
        about: "the patches in stack order, and which serves what",
    },
    CommandSpec {
        command: Command::Why,
        name: "why",
        operands: "[PATCH]",
        count: (0, 1),
        about: "the tasks that hold the transition or a module up, and why",
    },
    CommandSpec {
        command: Command::Wait,
        name: "wait",
        operands: "[PATCH]",
        count: (0, 1),
        about: "wait for the transition to end",
    },
    CommandSpec {
        command: Command::Check,
        name: "check",
        operands: "FILE...",
        count: (1, ANY),
        about: "what stands against loading livepatch modules",
    },
    CommandSpec {
        command: Command::Load,
        name: "load",
        operands: "[FILE [PARAM=VALUE...]]...",
        count: (0, ANY),
        about: "load livepatch modules, and wait",
    },
    CommandSpec {
        command: Command::Install,
        name: "install",
        operands: "FILE...",
        count: (1, ANY),
        about: "have livepatches loaded at each boot",
    },
    CommandSpec {
        command: Command::Uninstall,
        name: "uninstall",
        operands: "PATCH...",
        count: (1, ANY),
        about: "have them not loaded at boot any more",
    },
    CommandSpec {
        command: Command::Installed,
        name: "installed",
        operands: "",
        count: (0, 0),
        about: "the livepatches that are loaded at boot",
    },
    CommandSpec {
        command: Command::Allow,
        name: "allow",
        operands: "PATCH...",
        count: (1, ANY),
        about: "load at boot again what was loaded in a crash",
    },
    CommandSpec {
        command: Command::Unload,
        name: "unload",
        operands: "[PATCH...]",
        count: (0, ANY),
        about: "disable patches, and unload their modules",
    },
    CommandSpec {
        command: Command::Enable,
        name: "enable",
        operands: "PATCH",
        count: (1, 1),
        about: "turn a patch round that is being disabled",
    },
    CommandSpec {
        command: Command::Disable,
        name: "disable",
        operands: "PATCH",
        count: (1, 1),
        about: "disable a patch, or turn it round",
    },
    CommandSpec {
        command: Command::Force,
        name: "force",
        operands: "[PATCH]",
        count: (0, 1),
        about: "end the transition without its safety",
    },
    CommandSpec {
        command: Command::Watch,
        name: "watch",
        operands: "",
        count: (0, 0),
        about: "a live view of the transition",
    },
    CommandSpec {
        command: Command::Report,
        name: "report",
        operands: "",
        count: (0, 0),
        about: "write everything to a tar file for --root",
    },
    CommandSpec {
        command: Command::Metrics,
        name: "metrics",
        operands: "",
        count: (0, 0),
        about: "the state for Prometheus, in OpenMetrics",
    },
    CommandSpec {
        command: Command::Help,
        name: "help",
        operands: "[COMMAND]",
        count: (0, 1),
        about: "what there is to know of a command",
    },
];
