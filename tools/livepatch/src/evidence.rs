// SPDX-License-Identifier: GPL-2.0

//! The reason why a task holds a transition up, and the evidence for it.
//!
//! While a patch is being applied, a task cannot switch as long as its stack has code on it that
//! the patch replaces: the original function or, if another patch already serves that function,
//! that patch's version. While a patch is being reverted, the patch's own code is in the way. Sysfs
//! names the functions, and the stack names the frames. A reason that the kernel itself gives takes
//! precedence.

use std::collections::{HashMap, HashSet};

use crate::demangle;
use crate::functions::Changed;
use crate::kmsg::Verdict;
use crate::name::Name;
use crate::proc::{Frame, Stack, Task};
use crate::sysfs::{Direction, Function, Patch, VMLINUX};
use crate::system::System;

/// The reason why a task holds a transition, or a module, up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A function that the transition changes is on the stack.
    Function {
        function: Name,
        object: Name,
        /// The patch that the version of the function belongs to. `None` is the original function.
        version: Option<Name>,
    },
    /// Code of this patch is on the stack. It is not known which of the patch's functions it is.
    PatchCode {
        version: Name,
    },
    Running,
    /// The kernel cannot rely on the stack.
    Unreliable,
    /// The stack shows no function that the transition changes.
    Nothing,
    /// The stack may not be read, or not now, or the kernel does not show it.
    Unseen,
}

impl Reason {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Function { .. } => "function",
            Self::PatchCode { .. } => "patch-code",
            Self::Running => "running",
            Self::Unreliable => "unreliable-stack",
            Self::Nothing => "nothing-seen",
            Self::Unseen => "unseen",
        }
    }

    /// Returns the place in the order of usefulness, from 0. Reasons that name a place in the code
    /// come first, then the other certain ones.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Function { .. } => 0,
            Self::PatchCode { .. } => 1,
            Self::Unreliable => 2,
            Self::Running => 3,
            Self::Unseen => 4,
            Self::Nothing => 5,
        }
    }
}

/// The source that a reason is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The kernel log or the tracepoint names the reason.
    Kernel,
    /// The stack shows the reason.
    Stack,
    /// The task's state in procfs implies the reason.
    State,
    /// None of the other sources names a reason.
    Guess,
}

impl Evidence {
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Stack => "stack",
            Self::State => "state",
            Self::Guess => "guess",
        }
    }
}

/// The functions that a transition changes.
pub struct Changes<'a> {
    system: &'a System,
    patch: &'a Patch,
    direction: Direction,
    /// The names of the functions, by object.
    names: HashMap<&'a Name, HashSet<&'a Name>>,
}

impl<'a> Changes<'a> {
    /// Returns the changes of the running transition, or `None` if no transition runs.
    pub fn of(system: &'a System) -> Option<Self> {
        let moving = system.moving()?;
        let names = moving.patch.objects.iter().map(|object| {
            let functions = object.functions.iter().map(|function| &function.name);
            (&object.name, functions.collect())
        });
        Some(Self {
            system,
            patch: &moving.patch,
            direction: moving.direction?,
            names: names.collect(),
        })
    }

    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the reason if a frame prevents its task from switching.
    pub fn blocks(&self, frame: &Frame) -> Option<Reason> {
        match self.direction {
            Direction::Unpatching => self.patch_code(frame, self.patch),
            Direction::Patching => self.original(frame).or_else(|| {
                let patches = self.system.patches.iter().map(|status| &status.patch);
                let version = patches
                    .filter(|patch| patch.name != self.patch.name)
                    .find(|patch| frame.module.as_ref() == Some(&patch.name))?;
                self.patch_code(frame, version)
            }),
        }
    }

    /// Returns the reason if the frame is one of an original function.
    fn original(&self, frame: &Frame) -> Option<Reason> {
        let object = match &frame.module {
            Some(module) => module.clone(),
            None => VMLINUX.into(),
        };
        self.names
            .get(&object)?
            .contains(&frame.function)
            .then(|| Reason::Function {
                function: frame.function.clone(),
                object,
                version: None,
            })
    }

    /// Returns the reason if the frame is one of a patch's version of a function.
    fn patch_code(&self, frame: &Frame, version: &Patch) -> Option<Reason> {
        let changed =
            |object: &Name, function: &Function| self.patch.has_function(object, function);
        Some(match code_of(frame, version, changed)? {
            Code::Of(object, function) => Reason::Function {
                function: function.name.clone(),
                object: object.clone(),
                version: Some(version.name.clone()),
            },
            Code::OfSome => Reason::PatchCode {
                version: version.name.clone(),
            },
        })
    }

    /// Returns the object of a function that the kernel has named.
    fn object_of(&self, function: &Name) -> Option<&Name> {
        let object = self
            .names
            .iter()
            .find(|(_, names)| names.contains(function));
        object.map(|(object, _)| *object)
    }
}

/// The part of a patch's code that a frame is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// The version of this function, of this object.
    Of(&'a Name, &'a Function),
    /// The version of one of the wanted functions. It is not known of which.
    OfSome,
}

/// Returns the wanted function of which a patch's version is in the frame, or `None` if the frame
/// is elsewhere. Sysfs does not show the names of the new functions. Tools that make livepatches
/// keep the old name, people put a word in front of it.
pub fn code_of<'a>(
    frame: &Frame,
    version: &'a Patch,
    wanted: impl Fn(&Name, &Function) -> bool,
) -> Option<Code<'a>> {
    if frame.module.as_ref() != Some(&version.name) {
        return None;
    }
    let functions: Vec<(&Name, &Function)> = version
        .objects
        .iter()
        .flat_map(|object| object.functions.iter().map(move |f| (&object.name, f)))
        .filter(|(object, function)| wanted(object, function))
        .collect();
    let new = demangle::last_part(frame.function.as_bytes());
    let named = functions
        .iter()
        .filter(|(_, f)| is_version_of(&new, f.name.as_bytes()))
        .max_by_key(|(_, f)| f.name.as_bytes().len());

    match (named, functions.as_slice()) {
        (Some((object, function)), _) | (None, [(object, function)]) => {
            Some(Code::Of(object, function))
        }
        (None, []) => None,
        (None, _) => Some(Code::OfSome),
    }
}

/// Whether the name of a new function contains that of an old one: `livepatch_f`, `f_new`, `f`.
fn is_version_of(new: &[u8], old: &[u8]) -> bool {
    let word_ends = |rest: Option<&u8>| rest.is_none_or(|&b| b == b'_' || b == b'.');

    new.strip_prefix(old).is_some_and(|r| word_ends(r.first()))
        || new.strip_suffix(old).is_some_and(|r| word_ends(r.last()))
}

/// The code that a livepatch replaces before it is loaded: original functions, and the versions
/// that loaded patches have of them.
pub struct Replaced<'a> {
    changed: &'a [Changed],
    patches: Vec<&'a Patch>,
}

impl<'a> Replaced<'a> {
    /// Without a `system`, no patch is loaded.
    pub fn new(changed: &'a [Changed], system: Option<&'a System>) -> Self {
        let patches = system.into_iter().flat_map(|system| &system.patches);
        let patches = patches.map(|status| &status.patch).collect();
        Self { changed, patches }
    }

    /// Returns the loaded patches.
    pub fn patches(&self) -> impl Iterator<Item = &'a Patch> + '_ {
        self.patches.iter().copied()
    }

    /// Whether the frame is in code that is replaced.
    pub fn has(&self, frame: &Frame) -> bool {
        let mut patches = self.patches();
        self.changed
            .iter()
            .any(|changed| is_original(frame, changed))
            || patches.any(|patch| self.code(frame, patch).is_some())
    }

    /// Whether the frame is in this function, or in a loaded patch's version of it.
    pub fn is_of(&self, frame: &Frame, changed: &Changed) -> bool {
        let is_version = |patch: &Patch| match self.code(frame, patch) {
            Some(Code::Of(object, function)) => is_same(changed, object, function),
            _ => false,
        };
        is_original(frame, changed) || self.patches().any(is_version)
    }

    /// Whether the frame is in the patch's version of one of the functions, it is not known which.
    pub fn is_of_some(&self, frame: &Frame, patch: &Patch) -> bool {
        self.code(frame, patch) == Some(Code::OfSome)
    }

    fn code<'b>(&self, frame: &Frame, patch: &'b Patch) -> Option<Code<'b>> {
        let wanted = |object: &Name, function: &Function| {
            let mut changed = self.changed.iter();
            changed.any(|changed| is_same(changed, object, function))
        };
        code_of(frame, patch, wanted)
    }
}

fn is_original(frame: &Frame, changed: &Changed) -> bool {
    let object = frame.module.as_ref().map_or(VMLINUX, Name::as_bytes);
    frame.function == changed.function && object == changed.object.as_bytes()
}

/// Whether it is the function in sysfs. A position may be unknown on either side.
fn is_same(changed: &Changed, object: &Name, function: &Function) -> bool {
    let position = function.sympos.map_or(0, u64::from);
    changed.object == *object
        && changed.function == function.name
        && (changed.sympos == position || changed.sympos == 0 || position == 0)
}

/// Judges why a task holds the transition up. `seen` is the reason that the stack shows, `verdict`
/// the kernel's, which takes precedence.
pub fn judge(
    task: &Task,
    seen: Option<&Reason>,
    verdict: Option<&Verdict>,
    changes: &Changes<'_>,
) -> (Reason, Evidence) {
    match verdict {
        Some(Verdict::Running) => return (Reason::Running, Evidence::Kernel),
        Some(Verdict::Unreliable) => return (Reason::Unreliable, Evidence::Kernel),
        Some(Verdict::Function(function)) => {
            // The kernel uses the old function's name. Only the stack shows whether the frame
            // belongs to the original or to a patch.
            let version = match seen {
                Some(Reason::Function {
                    function: seen,
                    version,
                    ..
                }) if seen == function => version.clone(),
                _ => None,
            };
            if let Some(object) = changes.object_of(function) {
                let reason = Reason::Function {
                    function: function.clone(),
                    object: object.clone(),
                    version,
                };
                return (reason, Evidence::Kernel);
            }
        }
        None => {}
    }
    if let Some(reason) = seen {
        return (reason.clone(), Evidence::Stack);
    }
    match &task.stack {
        _ if task.state == 'R' => (Reason::Running, Evidence::State),
        Stack::Frames(frames) if !reaches_the_end(frames) => (Reason::Unreliable, Evidence::Guess),
        Stack::Frames(_) => (Reason::Nothing, Evidence::Guess),
        Stack::Denied | Stack::Unknown | Stack::Unread => (Reason::Unseen, Evidence::Guess),
    }
}

/// Whether the stack reaches the point where the kernel was entered or the thread was created. The
/// unwinder gave up on a stack that does not.
fn reaches_the_end(frames: &[Frame]) -> bool {
    const ENDS: [&[u8]; 9] = [
        b"entry_",
        b"asm_",
        b"ret_from_",
        b"__ret_from_",
        b"el0",
        b"system_call",
        b"__do_syscall",
        b"handle_syscall",
        b"interrupt_return",
    ];

    frames.last().is_none_or(|frame| {
        let function = frame.function.as_bytes();
        ENDS.iter().any(|end| function.starts_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions() {
        let version = |new: &str, old: &str| is_version_of(new.as_bytes(), old.as_bytes());
        assert!(version("f", "f"));
        assert!(version("livepatch_cmdline_proc_show", "cmdline_proc_show"));
        assert!(version("f_new", "f"));
        assert!(version("f.cold", "f"));
        assert!(!version("foo", "f"));
        assert!(!version("xf", "f"));
        assert!(!version("g", "f"));
    }
}
