// SPDX-License-Identifier: GPL-2.0

//! The kernel's own messages about its transitions: when they started, how they ended, and why it
//! could not switch a task.
//!
//! The source is the kernel log, `/dev/kmsg`. Both cores write the same messages to it. The log
//! names blocked tasks only while dynamic debug is on for `klp_try_switch_task`. The tracepoint in
//! [`trace`](crate::trace) is another source of that.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::name::{self, Name};
use crate::root::{ReadError, Root};
use crate::sysfs::Direction;

/// The kernel's reason for not switching a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Running,
    Unreliable,
    /// The task sleeps in this function.
    Function(Name),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Starting(Name, Direction),
    Complete(Name, Direction),
    Forcing,
    Blocked(u32, Verdict),
}

/// The latest transition of a patch in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub direction: Direction,
    /// The time since boot at which the kernel started in this direction, unless that is no longer
    /// in the log.
    pub started: Option<Duration>,
    /// The time since boot at which the transition was complete.
    pub completed: Option<Duration>,
    /// `None` if the log does not reach back to the start, so that the message may be gone.
    pub forced: Option<bool>,
}

impl Transition {
    pub fn is_complete(&self) -> bool {
        self.completed.is_some()
    }
}

#[derive(Debug, Default)]
pub struct Log {
    /// Whether the oldest messages are gone.
    pub cut: bool,
    /// Whether the log begins within a transition that was forced.
    forcing: bool,
    transitions: HashMap<Name, Transition>,
    /// The last message on each task in the running transition, and its time, by thread ID.
    blocked: HashMap<u32, (Duration, Verdict)>,
}

impl Log {
    pub fn transition(&self, patch: &Name) -> Option<&Transition> {
        self.transitions.get(patch)
    }

    /// Returns the kernel's verdict on a task if it is fresh; `now` is the time since boot. The
    /// kernel repeats the message every second, so an older one may no longer be true.
    pub fn blocked(&self, tid: u32, now: Duration) -> Option<&Verdict> {
        const FRESH: Duration = Duration::from_secs(5);

        let (said, verdict) = self.blocked.get(&tid)?;
        (now.saturating_sub(*said) <= FRESH).then_some(verdict)
    }

    pub fn read(root: &Root) -> Result<Self, ReadError> {
        let mut log = Self::default();

        let records = records(root)?;
        log.cut = records
            .first()
            .and_then(|r| sequence(r))
            .is_none_or(|n| n > 0);
        for record in records {
            if let Some((time, event)) = parse(&record) {
                log.add(time, event);
            }
        }
        Ok(log)
    }

    fn add(&mut self, time: Duration, event: Event) {
        match event {
            Event::Starting(patch, direction) => {
                self.blocked.clear();
                self.forcing = false;
                let transition = Transition {
                    direction,
                    started: Some(time),
                    completed: None,
                    forced: Some(false),
                };
                self.transitions.insert(patch, transition);
            }
            Event::Complete(patch, direction) => {
                self.blocked.clear();
                let running = self.transitions.get_mut(&patch);
                let running = running.filter(|t| !t.is_complete() && t.direction == direction);
                if let Some(transition) = running {
                    transition.completed = Some(time);
                } else {
                    // The log begins within this transition.
                    let transition = Transition {
                        direction,
                        started: None,
                        completed: Some(time),
                        forced: self.forcing.then_some(true),
                    };
                    self.transitions.insert(patch, transition);
                }
                self.forcing = false;
            }
            // The message does not name the patch, but only one can be in transition: the one
            // that started last.
            Event::Forcing => {
                let running = self.transitions.values_mut().filter(|t| !t.is_complete());
                match running.max_by_key(|t| t.started) {
                    Some(transition) => transition.forced = Some(true),
                    None => self.forcing = true,
                }
            }
            Event::Blocked(tid, verdict) => {
                self.blocked.insert(tid, (time, verdict));
            }
        }
    }
}

/// Reads the records of the log. The device returns one record for each read. A captured file has
/// one record on each line.
pub fn records(root: &Root) -> Result<Vec<Vec<u8>>, ReadError> {
    if !root.is_live() {
        let content = root.read("/dev/kmsg")?;
        return Ok(content.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect());
    }

    let mut device = root.open_log()?;
    let mut records = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match device.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => records.push(buffer[..length].to_vec()),
            // The device has no further record yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The kernel has overwritten records before they were read. The next read returns the
            // oldest.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(records)
}

/// Returns the number of the newest record.
pub fn newest(root: &Root) -> Option<u64> {
    sequence(records(root).ok()?.iter().rev().find(|r| !r.is_empty())?)
}

/// Returns the kernel's messages after a record that may be about the loading of a module.
pub fn about_loading(root: &Root, module: &Name, after: u64) -> Vec<String> {
    /// A module that cannot be loaded may have hundreds of unknown symbols.
    const MOST: usize = 5;

    let module = module.to_string();
    let records = records(root).unwrap_or_default();
    records
        .iter()
        .filter(|record| is_of_kernel(record) && sequence(record).is_some_and(|n| n > after))
        .filter_map(|record| message(record))
        .map(|(_, text)| text)
        .filter(|text| {
            let starts = [
                "livepatch: ",
                "Loading of ",
                "Lockdown: insmod",
                "Lockdown: modprobe",
            ];
            text.contains(&module) || starts.iter().any(|start| text.starts_with(start))
        })
        .take(MOST)
        .map(|text| name::escape(text.as_bytes()))
        .collect()
}

/// Whether the kernel has written a record: its facility is 0, in the bits above the level.
fn is_of_kernel(record: &[u8]) -> bool {
    const LEVELS: u32 = 8;

    let priority = record.split(|&b| b == b',').next().unwrap_or_default();
    let priority = std::str::from_utf8(priority)
        .ok()
        .and_then(|p| p.parse().ok());
    priority.is_some_and(|priority: u32| priority < LEVELS)
}

/// Returns the number of a record. The kernel counts from 0 at boot.
fn sequence(record: &[u8]) -> Option<u64> {
    let number = record.split(|&b| b == b',').nth(1)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Returns the time and the text of a record `priority,sequence,microseconds,flags;message`.
pub fn message(record: &[u8]) -> Option<(Duration, &str)> {
    let semicolon = record.iter().position(|&b| b == b';')?;
    let prefix = std::str::from_utf8(&record[..semicolon]).ok()?;
    let micros = prefix.split(',').nth(2)?.parse().ok()?;
    let text = record[semicolon + 1..].split(|&b| b == b'\n').next()?;

    Some((
        Duration::from_micros(micros),
        std::str::from_utf8(text).ok()?,
    ))
}

fn parse(record: &[u8]) -> Option<(Duration, Event)> {
    let (time, text) = message(record)?;
    let text = text.strip_prefix("livepatch: ")?;
    let event = patch_event(text).or_else(|| task_event(text)).or_else(|| {
        text.starts_with("forcing remaining tasks")
            .then_some(Event::Forcing)
    })?;

    Some((time, event))
}

/// `'PATCH': starting patching transition`, `'PATCH': patching complete`
fn patch_event(text: &str) -> Option<Event> {
    let (patch, what) = text.strip_prefix('\'')?.split_once("': ")?;
    let patch = Name::from(patch);

    Some(match what {
        "starting patching transition" => Event::Starting(patch, Direction::Patching),
        "starting unpatching transition" => Event::Starting(patch, Direction::Unpatching),
        "patching complete" => Event::Complete(patch, Direction::Patching),
        "unpatching complete" => Event::Complete(patch, Direction::Unpatching),
        _ => return None,
    })
}

/// `klp_try_switch_task: COMM:TID is running` and the like. COMM may contain any byte. Older
/// kernels name the function `klp_check_stack()`.
fn task_event(text: &str) -> Option<Event> {
    let prefixes = ["klp_try_switch_task: ", "klp_check_stack: "];
    let text = prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let (task, verdict) = if let Some(task) = text.strip_suffix(" is running") {
        (task, Verdict::Running)
    } else if let Some(task) = text.strip_suffix(" has an unreliable stack") {
        (task, Verdict::Unreliable)
    } else {
        let (task, function) = text.rsplit_once(" is sleeping on function ")?;
        (task, Verdict::Function(function.into()))
    };
    let (_, tid) = task.rsplit_once(':')?;

    Some(Event::Blocked(tid.parse().ok()?, verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Log {
        let mut log = Log::default();
        for (i, line) in lines.iter().enumerate() {
            let record = format!("5,{i},{}000000,-;livepatch: {line}\n SUBSYSTEM=x\n", i + 1);
            if let Some((time, event)) = parse(record.as_bytes()) {
                log.add(time, event);
            }
        }
        log
    }

    #[test]
    fn a_transition() {
        let lines = [
            "'a': starting patching transition",
            "'a': patching complete",
            "'b': starting patching transition",
            "forcing remaining tasks to the patched state",
            "'b': patching complete",
            "'a': starting unpatching transition",
        ];
        let transition = |count: usize, patch: &str| {
            log(&lines[..count])
                .transition(&patch.into())
                .cloned()
                .unwrap()
        };

        assert!(!transition(1, "a").is_complete());
        assert!(transition(2, "a").is_complete());
        assert_eq!(transition(4, "a").forced, Some(false));
        assert_eq!(transition(4, "b").forced, Some(true));
        assert!(transition(5, "b").is_complete());
        assert_eq!(transition(5, "b").forced, Some(true));
        let again = transition(6, "a");
        assert_eq!(again.direction, Direction::Unpatching);
        assert_eq!(again.started, Some(Duration::from_secs(6)));
        assert!(!again.is_complete());
        assert_eq!(again.forced, Some(false));
    }

    #[test]
    fn a_log_that_is_cut() {
        let lines = [
            "forcing remaining tasks to the patched state",
            "'a': patching complete",
            "'b': starting patching transition",
            "'b': patching complete",
        ];
        let forced = |from: usize, patch: &str| {
            let transition = log(&lines[from..]).transition(&patch.into()).cloned();
            transition.and_then(|t| t.forced)
        };
        assert_eq!(forced(0, "a"), Some(true));
        assert_eq!(forced(0, "b"), Some(false));
        assert_eq!(forced(1, "a"), None);
        assert_eq!(forced(3, "b"), None);
        assert_eq!(forced(2, "a"), None);
        assert_eq!(sequence(b"5,500,9000,-;x"), Some(500));
        assert_eq!(sequence(b"x"), None);
    }

    #[test]
    fn verdicts() {
        let log = log(&[
            "klp_try_switch_task: old:1 is running",
            "'a': starting patching transition",
            "klp_try_switch_task: x is running:2 is running",
            "klp_try_switch_task: kworker/0:1:43 is sleeping on function busy",
            "klp_try_switch_task: a b:44 has an unreliable stack",
            "klp_check_stack: c:45 has an unreliable stack",
            "klp_try_switch_task: nonsense",
        ]);
        let at = |tid, seconds| log.blocked(tid, Duration::from_secs(seconds));
        assert_eq!(at(1, 6), None, "it was said of an earlier transition");
        assert_eq!(at(2, 6), Some(&Verdict::Running));
        assert_eq!(at(43, 6), Some(&Verdict::Function("busy".into())));
        assert_eq!(at(44, 6), Some(&Verdict::Unreliable));
        assert_eq!(at(45, 10), Some(&Verdict::Unreliable));
        assert_eq!(at(44, 10), Some(&Verdict::Unreliable));
        assert_eq!(at(44, 11), None, "it is too old");
    }

    #[test]
    fn words_about_a_module() {
        let scratch = crate::tests::Scratch::new();
        std::fs::create_dir(scratch.path().join("dev")).unwrap();
        let log = "3,7,1,-;klp_x: an earlier attempt\n\
                   3,8,1,-;klp_x: Unknown symbol printq (err -2)\n\
                   3,9,1,-;livepatch: symbol 'f' not found in symbol table\n\
                   14,10,1,-;a program writes klp_x\n\
                   6,11,1,-;usb 1-1: new device\n";
        std::fs::write(scratch.path().join("dev/kmsg"), log).unwrap();
        let root = Root::captured(scratch.path());
        assert_eq!(newest(&root), Some(11));
        assert_eq!(
            about_loading(&root, &"klp_x".into(), 7),
            [
                "klp_x: Unknown symbol printq (err -2)",
                "livepatch: symbol 'f' not found in symbol table"
            ]
        );
        assert!(about_loading(&root, &"klp_x".into(), 11).is_empty());
    }

    #[test]
    fn other_messages_are_nothing() {
        for record in [
            "",
            ";",
            "5,1,2,-",
            "5,1,x,-;livepatch: 'a': patching complete",
        ] {
            assert!(parse(record.as_bytes()).is_none());
        }
        assert!(parse(b"5,1,2,-;usb: 'a': patching complete").is_none());
    }
}
