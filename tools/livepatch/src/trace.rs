// SPDX-License-Identifier: GPL-2.0

//! The kernel's reasons for blocked tasks, from the tracepoint `livepatch:klp_task_blocked`.
//!
//! The event has the reasons that the kernel log has, see [`kmsg`](crate::kmsg), without dynamic
//! debug. The kernel only emits it while a tracer listens. klpctl creates an instance of
//! its own, listens until the kernel has looked at the tasks again, and removes the instance. Other
//! users of tracing do not notice it. A captured tree has the events from the time of the capture.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crate::kmsg::Verdict;
use crate::root::{self, Root};

const TRACEFS: &str = "/sys/kernel/tracing";
const EVENT: &str = "events/livepatch/klp_task_blocked";
const INSTANCE: &str = "klpctl-";

/// The file in a report that has the events.
pub const KEPT: &str = "/sys/kernel/tracing/klp_task_blocked";

/// The longest time to listen. The kernel looks at the tasks about once a second.
const LONGEST: Duration = Duration::from_millis(1800);
const POLL: Duration = Duration::from_millis(20);

/// The default size of a CPU's buffer.
const USUAL_KB: usize = 1408;

/// The kernel's reasons, as far as klpctl has received them.
#[derive(Debug, Default)]
pub struct Told {
    /// The last reason for each task with the text of the event, by thread ID.
    words: HashMap<u32, (Verdict, Vec<u8>)>,
    /// Whether klpctl could listen at all.
    pub listened: bool,
}

impl Told {
    pub fn verdict(&self, tid: u32) -> Option<&Verdict> {
        self.words.get(&tid).map(|(verdict, _)| verdict)
    }

    /// Returns the text that [`kept`] reads.
    pub fn to_text(&self) -> Vec<u8> {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|&(tid, _)| tid);
        let lines = words.into_iter().map(|(_, (_, line))| line.as_slice());
        lines.flat_map(|line| [line, b"\n"].concat()).collect()
    }

    fn add(&mut self, line: &[u8]) {
        if let Some((tid, verdict, text)) = parse(line) {
            self.words.insert(tid, (verdict, text.to_vec()));
        }
    }

    fn knows(&self, tids: &HashSet<u32>) -> bool {
        tids.iter().all(|tid| self.words.contains_key(tid))
    }
}

/// Reads the events that a captured tree has.
pub fn kept(root: &Root) -> Told {
    let mut told = Told::default();
    if let Ok(content) = root.read(KEPT) {
        told.listened = true;
        content.split(|&b| b == b'\n').for_each(|l| told.add(l));
    }
    told
}

/// Listens until the kernel has given a reason for each of the tasks, but not for long. It may emit
/// an event for each of `waiting` tasks.
pub fn listen(tids: &HashSet<u32>, waiting: usize) -> Told {
    let mut told = Told::default();
    if let Some(instance) = Instance::new(Path::new(TRACEFS), waiting) {
        told.listened = instance.read(&mut told, tids);
    }
    told
}

/// A trace instance, which is removed on drop.
struct Instance(PathBuf);

impl Instance {
    /// Creates an instance with the event enabled. Returns `None` if there is no such event, or no
    /// permission.
    fn new(tracefs: &Path, waiting: usize) -> Option<Self> {
        if !tracefs.join(EVENT).is_dir() {
            return None;
        }
        let instances = tracefs.join("instances");
        remove_leftovers(&instances);
        let path = instances.join(format!("{INSTANCE}{}", process::id()));
        fs::create_dir(&path).ok()?;
        let instance = Self(path);

        // An event takes less than a hundred bytes, and all events can be on one CPU. Each CPU has
        // a buffer of this size, so the size stays within the default.
        let kilobytes = (64 + waiting / 8).min(USUAL_KB);
        instance.write("buffer_size_kb", &kilobytes.to_string())?;
        instance.write(&format!("{EVENT}/enable"), "1")?;
        Some(instance)
    }

    fn write(&self, file: &str, text: &str) -> Option<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .open(self.0.join(file))
            .ok()?;
        file.write_all(text.as_bytes()).ok()
    }

    /// Reads events until every task has one, or for [`LONGEST`]. Returns whether the instance is
    /// readable.
    fn read(&self, told: &mut Told, tids: &HashSet<u32>) -> bool {
        let Ok(mut pipe) = root::open_without_waiting(&self.0.join("trace_pipe")) else {
            return false;
        };
        let begin = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        let mut rest = Vec::new();

        while !told.knows(tids) && begin.elapsed() < LONGEST {
            match pipe.read(&mut buffer) {
                Ok(0) => thread::sleep(POLL),
                Ok(length) => {
                    rest.extend_from_slice(&buffer[..length]);
                    let mut lines = rest.split(|&b| b == b'\n');
                    // The text after the last newline is not a line yet.
                    let unfinished = lines.next_back().unwrap_or_default().to_vec();
                    lines.for_each(|line| told.add(line));
                    rest = unfinished;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the instances of klpctl processes that were killed while they listened.
fn remove_leftovers(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.strip_prefix(INSTANCE));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// `... klp_task_blocked: pid=TID target=WORD reason=WORD func=NAME err=N comm=...`, as in a trace.
/// A report has the text from the event's name on. The name of a task is too short to contain the
/// event's name.
pub fn parse(line: &[u8]) -> Option<(u32, Verdict, &[u8])> {
    const NAME: &[u8] = b"klp_task_blocked: ";

    let begin = line.windows(NAME.len()).position(|window| window == NAME)?;
    let text = &line[begin..];
    let mut fields = HashMap::new();
    for field in text[NAME.len()..].splitn(6, |&b| b == b' ') {
        let equals = field.iter().position(|&b| b == b'=')?;
        fields.insert(&field[..equals], &field[equals + 1..]);
    }
    let value = |name: &str| fields.get(name.as_bytes()).copied();
    let tid = std::str::from_utf8(value("pid")?).ok()?.parse().ok()?;
    let verdict = match value("reason")? {
        b"running" => Verdict::Running,
        b"unreliable_stack" | b"no_reliable_stacks" => Verdict::Unreliable,
        b"function" => Verdict::Function(value("func")?.into()),
        _ => return None,
    };
    Some((tid, verdict, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "     kworker/1:2-43      [001] ...1.    25.443238: klp_task_blocked: \
                        pid=62 target=patched reason=function func=f err=0 comm=cat";

    fn told(lines: &[&str]) -> Told {
        let mut told = Told::default();
        lines.iter().for_each(|line| told.add(line.as_bytes()));
        told
    }

    #[test]
    fn lines() {
        let told = told(&[
            LINE,
            "x klp_task_blocked: pid=7 target=patched reason=running func=(null) err=0 comm=a b=c",
            "klp_task_blocked: pid=8 target=unpatched reason=unreliable_stack func=(null) err=0 \
             comm=",
            "klp_task_blocked: pid=9 target=patched reason=error func=(null) err=-11 comm=x",
            "klp_task_blocked: pid=10 target=patched reason=0x7 func=(null) err=0 comm=x",
            "klp_task_switched: pid=11 target=patched way=fork comm=x",
            "klp_task_blocked: pid=12",
            "pid=13 target=patched reason=running func=(null) err=0 comm=x",
            "",
        ]);
        assert_eq!(told.verdict(62), Some(&Verdict::Function("f".into())));
        assert_eq!(told.verdict(7), Some(&Verdict::Running));
        assert_eq!(told.verdict(8), Some(&Verdict::Unreliable));
        for tid in [9, 10, 11, 12, 13] {
            assert_eq!(told.verdict(tid), None, "{tid}");
        }
        assert!(told.knows(&HashSet::from([7, 8, 62])));
        assert!(!told.knows(&HashSet::from([7, 9])));
    }

    #[test]
    fn the_last_word_counts() {
        let later = LINE.replace("function func=f", "running func=(null)");
        let told = told(&[LINE, &later]);
        assert_eq!(told.verdict(62), Some(&Verdict::Running));
    }

    #[test]
    fn what_is_kept_is_what_was_heard() {
        let heard = told(&[LINE]);
        let text = String::from_utf8(heard.to_text()).unwrap();
        assert!(text.starts_with("klp_task_blocked: pid=62 "), "{text}");
        let again = told(&text.lines().collect::<Vec<_>>());
        assert_eq!(again.verdict(62), heard.verdict(62));
    }

    #[test]
    fn without_the_event_nothing_is_made() {
        let folder = std::env::temp_dir().join(format!("klpctl-trace-{}", process::id()));
        let instances = folder.join("instances");
        fs::create_dir_all(&instances).unwrap();
        assert!(Instance::new(&folder, 1).is_none());

        // With the event, the instance is created, and removed when the rest fails.
        fs::create_dir_all(folder.join(EVENT)).unwrap();
        fs::create_dir(instances.join("klpctl-0")).unwrap();
        fs::create_dir(instances.join("other")).unwrap();
        assert!(Instance::new(&folder, 1).is_none());
        let left: Vec<_> = fs::read_dir(&instances).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].file_name(), "other");
        fs::remove_dir_all(&folder).unwrap();
    }
}
