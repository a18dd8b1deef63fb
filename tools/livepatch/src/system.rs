// SPDX-License-Identifier: GPL-2.0

//! The state of the system in the words that klpctl uses for it.
//!
//! All of it is derived from files at one moment. Sysfs does not show when a transition started,
//! nor that one was forced. The kernel log does, as long as it reaches back. klpctl leaves
//! out facts that no file shows.

use std::time::{Duration, SystemTime};

use crate::forced;
use crate::hidepid;
use crate::kmsg::Log;
use crate::name::Name;
use crate::proc::{self, PatchState, Progress};
use crate::root::{ReadError, Root};
use crate::sysfs::{self, Direction, Hold, Livepatches, Module, Order, Patch};

/// The state of a patch, or of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All tasks run the new code.
    Applied,
    /// All tasks run the new code, but the transition was forced.
    Forced,
    Applying,
    Reverting,
    /// Applying or reverting for longer than it should take.
    Stuck,
    /// The module is loaded, but the patch is not applied.
    Disabled,
    /// The files of the patch cannot be read.
    Unknown,
}

impl State {
    pub const ALL: [Self; 7] = [
        Self::Applied,
        Self::Forced,
        Self::Applying,
        Self::Reverting,
        Self::Stuck,
        Self::Disabled,
        Self::Unknown,
    ];

    /// Whether all tasks run the new code.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::Forced)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Forced => "forced",
            Self::Applying => "applying",
            Self::Reverting => "reverting",
            Self::Stuck => "stuck",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }

    /// The system has the state of the patch with the largest weight, which needs the most
    /// attention.
    fn weight(self) -> u8 {
        match self {
            Self::Disabled => 0,
            Self::Applied => 1,
            Self::Forced => 2,
            Self::Unknown => 3,
            Self::Applying | Self::Reverting => 4,
            Self::Stuck => 5,
        }
    }
}

/// The time that a transition has been running for.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    pub elapsed: Duration,
    /// The transition may have started earlier.
    pub at_least: bool,
    pub source: &'static str,
}

#[derive(Debug)]
pub struct PatchStatus {
    pub patch: Patch,
    pub state: State,
    /// The direction of the patch's transition, or `None` if it is not in transition.
    pub direction: Option<Direction>,
    pub age: Option<Age>,
    /// The time for which a patch has been applied, if the log has the end of its transition.
    pub applied: Option<Age>,
    /// Whether an applied patch was forced, if that is known.
    pub forced: Option<bool>,
}

#[derive(Debug)]
pub struct System {
    /// In stack order, the lowest first.
    pub patches: Vec<PatchStatus>,
    pub order: Order,
    pub disabled: Vec<Module>,
    /// The progress of the transition. There can be one at a time.
    pub progress: Option<Progress>,
    /// The facts that klpctl could not learn, each with the reason.
    pub notes: Vec<String>,
    pub log: Log,
    /// The time of the look by the wall clock.
    pub now: Option<SystemTime>,
    /// The time of the look since boot.
    pub uptime: Option<Duration>,
}

impl System {
    /// Looks at everything. Returns an error if the directory of all patches cannot be read.
    pub fn look(root: &Root, stuck_after: Duration) -> Result<Self, ReadError> {
        let Livepatches {
            patches,
            order,
            disabled,
            unreadable,
        } = sysfs::livepatches(root)?;
        let mut notes: Vec<_> = unreadable
            .into_iter()
            .map(|reason| format!("cannot read {reason}"))
            .collect();

        let log = match patches.is_empty() {
            true => Log::default(),
            false => Log::read(root).unwrap_or_else(|error| {
                notes.push(format!(
                    "kernel log ({error}): not known whether a patch was forced, nor exactly \
                     since when one is in transition"
                ));
                Log::default()
            }),
        };
        let now = match root.is_live() {
            true => Some(SystemTime::now()),
            false => root
                .read_number("/captured")
                .and_then(|s| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(s))),
        };
        let uptime = uptime(root);
        let patches: Vec<_> = patches
            .into_iter()
            .map(|patch| {
                let direction = patch.direction();
                let age = direction.and_then(|d| age(root, &patch.name, d, &log, now, uptime));
                let kept = forced::is_kept(root, &patch.name);
                status(patch, direction, age, &log, kept, uptime, stuck_after)
            })
            .collect();
        if log.cut {
            notes.extend(cut_notes(&patches));
        }
        if order == Order::Unknown {
            notes.push(
                "order of the patches: neither stack_order nor the order of the modules can be \
                 read, so which patch serves a function is a guess"
                    .to_owned(),
            );
        }
        if patches.iter().any(|p| p.state == State::Unknown) {
            notes.push("some patches: their state cannot be read".to_owned());
        }

        let mut system = Self {
            patches,
            order,
            disabled,
            progress: None,
            notes,
            log,
            now,
            uptime,
        };
        system.look_at_tasks(root);
        Ok(system)
    }

    fn look_at_tasks(&mut self, root: &Root) {
        let looks = self.moving().is_some() || self.held().next().is_some();
        let hidden = looks && hidepid::hides(root);
        if hidden {
            self.notes.push(
                "tasks of other users: hidden, as /proc is mounted with hidepid; try as root"
                    .to_owned(),
            );
        }
        let Some(direction) = self.moving().and_then(|patch| patch.direction) else {
            return;
        };
        match proc::progress(root, target(direction)) {
            Ok(mut progress) => {
                progress.hidden = hidden;
                if progress.denied > 0 {
                    self.notes.push(format!(
                        "{} tasks: whether they have switched may not be read; try as root",
                        progress.denied
                    ));
                }
                self.progress = Some(progress);
            }
            Err(error) => self.notes.push(format!("tasks: /proc: {error}")),
        }
        if root.is_live() && in_pid_namespace() {
            self.notes
                .push("tasks outside of this PID namespace cannot be seen".to_owned());
        }
    }

    /// Returns the patch in transition.
    pub fn moving(&self) -> Option<&PatchStatus> {
        self.patches.iter().find(|p| p.direction.is_some())
    }

    pub fn find(&self, name: &Name) -> Option<&PatchStatus> {
        self.patches.iter().find(|p| &p.patch.name == name)
    }

    pub fn find_disabled(&self, name: &Name) -> Option<&Module> {
        self.disabled.iter().find(|module| &module.name == name)
    }

    /// Returns the modules of patches that are gone which cannot be unloaded.
    pub fn held(&self) -> impl Iterator<Item = &Module> {
        let modules = self.disabled.iter();
        modules.filter(|module| module.hold() == Some(Hold::Held))
    }

    /// Returns the state of the system, or `None` if there is no patch in sysfs.
    pub fn state(&self) -> Option<State> {
        self.patches
            .iter()
            .map(|patch| patch.state)
            .max_by_key(|state| state.weight())
    }

    /// Returns the word for the state of the system.
    pub fn word(&self) -> &'static str {
        self.state().map_or("none", State::word)
    }
}

/// Returns the state of a task that has switched.
pub fn target(direction: Direction) -> PatchState {
    match direction {
        Direction::Patching => PatchState::Patched,
        Direction::Unpatching => PatchState::Unpatched,
    }
}

fn status(
    patch: Patch,
    direction: Option<Direction>,
    age: Option<Age>,
    log: &Log,
    kept: bool,
    uptime: Option<Duration>,
    stuck_after: Duration,
) -> PatchStatus {
    let stuck = age.is_some_and(|age| age.elapsed >= stuck_after);
    let applied = patch.enabled == Some(true) && patch.transition == Some(false);
    let transition = log
        .transition(&patch.name)
        .filter(|t| applied && t.direction == Direction::Patching);
    let completed = transition.and_then(|t| t.completed);
    let logged = completed.and(transition).and_then(|t| t.forced);
    let forced = logged.or((applied && kept).then_some(true));
    let applied = completed.zip(uptime).map(|(completed, uptime)| Age {
        elapsed: uptime.saturating_sub(completed),
        at_least: false,
        source: "log",
    });

    let state = match (patch.enabled, patch.transition) {
        (Some(_), Some(true)) if stuck => State::Stuck,
        (Some(true), Some(true)) => State::Applying,
        (Some(false), Some(true)) => State::Reverting,
        (Some(true), Some(false)) if forced == Some(true) => State::Forced,
        (Some(true), Some(false)) => State::Applied,
        (Some(false), Some(false)) => State::Disabled,
        _ => State::Unknown,
    };
    PatchStatus {
        patch,
        state,
        direction,
        age,
        applied,
        forced,
    }
}

/// Returns notes on the facts that the beginning of the log would have.
fn cut_notes(patches: &[PatchStatus]) -> impl Iterator<Item = String> {
    let names = |is: fn(&PatchStatus) -> bool| {
        let patches = patches.iter().filter(|status| is(status));
        let names: Vec<_> = patches.map(|p| p.patch.name.to_string()).collect();
        names.join(", ")
    };
    let forced = names(|p| p.state == State::Applied && p.forced.is_none());
    let since = names(|p| p.direction.is_some() && p.age.is_none_or(|age| age.at_least));
    let notes = [
        ("whether it was forced", forced),
        ("exactly since when it is in transition", since),
    ];
    notes
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| {
            format!("kernel log (its beginning is gone): not known {what}: {names}")
        })
}

/// Finds out how long a patch has been in transition.
///
/// The log has the start. Without the log there is a lower bound for a patch that is being applied:
/// sysfs creates the inode of the patch's directory at the first look, when the patch was on its
/// way already. If an administrator reversed the patch meanwhile, the usual way to open `enabled`
/// for writing has set the time of that file. There is no such bound for a patch that is being
/// reverted.
fn age(
    root: &Root,
    patch: &Name,
    direction: Direction,
    log: &Log,
    now: Option<SystemTime>,
    uptime: Option<Duration>,
) -> Option<Age> {
    if let Some(transition) = log.transition(patch) {
        if transition.direction == direction && !transition.is_complete() {
            let elapsed = uptime?.saturating_sub(transition.started?);
            return Some(Age {
                elapsed,
                at_least: false,
                source: "log",
            });
        }
    }
    if direction == Direction::Unpatching {
        return None;
    }

    let folder = sysfs::folder_of(patch);
    let seen = root.modified(&folder)?;
    let written = root.modified(folder.join("enabled"))?;
    Some(Age {
        elapsed: now?.duration_since(seen.max(written)).ok()?,
        at_least: true,
        source: "sysfs",
    })
}

fn uptime(root: &Root) -> Option<Duration> {
    let content = root.read("/proc/uptime").ok()?;
    let seconds: f64 = std::str::from_utf8(&content)
        .ok()?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn in_pid_namespace() -> bool {
    /// PROC_PID_INIT_INO
    const INITIAL: &str = "pid:[4026531836]";

    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() != INITIAL)
}
