// SPDX-License-Identifier: GPL-2.0

//! `klpctl report`
//!
//! The report is a tar file with copies of the files that klpctl reads, under the same paths, so
//! that `--root` gives the answers of this system elsewhere. It leaves out everything that the
//! answers do not need, because reports are given to others: other kernel messages, command lines,
//! environments, addresses.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::why::Answer;
use super::{status, Context, Outcome};
use crate::bounded::{self, Files};
use crate::exit::{Exit, Failure};
use crate::forced;
use crate::gzip::Gzip;
use crate::hidepid;
use crate::identity;
use crate::json::Json;
use crate::kmsg;
use crate::name;
use crate::proc::{self, TaskId};
use crate::root::Root;
use crate::sysfs;
use crate::system::System;
use crate::tar::Tar;
use crate::term;
use crate::trace;

/// The directory in the tar file that `--root` takes.
const TOP: &str = "klpctl-report";

const PATCH_FILES: [&str; 4] = ["enabled", "transition", "replace", "stack_order"];
/// The files of tasks that hold the transition or a module up. The report has only the state of the
/// other tasks.
const TASK_FILES: [&str; 4] = ["stat", "stack", "wchan", "cgroup"];

/// The contents of the files of a task.
type TaskFiles = [Option<Vec<u8>>; TASK_FILES.len()];

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let now = SystemTime::now();
    let file = context
        .options
        .output
        .clone()
        .unwrap_or_else(|| default_name(now));
    let wrong = |error: io::Error| {
        Failure::error(format!(
            "{}: {error}",
            name::escape(file.as_os_str().as_bytes())
        ))
    };

    if file.as_os_str() == "-" {
        if context.term.terminal {
            return Err(Failure::usage(
                "a report is not for a terminal: redirect it",
            ));
        }
        write_tar(&mut context.out, &context.root, &system, now)?;
        return Ok(Exit::Done);
    }
    let (target, new) = open(&file, context.options.output.is_some()).map_err(wrong)?;
    let target = BufWriter::new(target);
    let written = match is_compressed(&file) {
        true => Gzip::new(target).and_then(|gzip| {
            write_tar(gzip, &context.root, &system, now)?
                .finish()
                .map(drop)
        }),
        false => write_tar(target, &context.root, &system, now).map(drop),
    };
    if let Err(error) = written {
        // The command removes an incomplete report, but not a file that existed before.
        if new {
            let _ = fs::remove_file(&file);
        }
        return Err(wrong(error));
    }

    let shown = name::escape(file.as_os_str().as_bytes());
    if context.options.json {
        context.print_json(vec![("file", shown.into()), ("root", TOP.into())])?;
    } else {
        writeln!(
            context.out,
            "{shown}\nTo read it elsewhere: tar xf {} && klpctl --root {TOP} status",
            name::shell(file.as_os_str().as_bytes())
        )?;
    }
    Ok(Exit::Done)
}

/// Opens the file to write to, and returns whether it is new. An existing file is overwritten only
/// if the user has named it. A new one is readable for its owner alone, as the stacks in it are.
fn open(file: &Path, asked_for: bool) -> io::Result<(File, bool)> {
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);

    match new {
        Err(error) if asked_for && error.kind() == io::ErrorKind::AlreadyExists => {
            let there = OpenOptions::new().write(true).truncate(true).open(file)?;
            Ok((there, false))
        }
        new => Ok((new?, true)),
    }
}

fn default_name(now: SystemTime) -> PathBuf {
    let time = term::timestamp(now, std::time::Duration::ZERO).unwrap_or_default();
    let digits: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("klpctl-report-{digits}.tar.gz").into()
}

/// Whether the name of a report wants it compressed.
fn is_compressed(file: &Path) -> bool {
    let bytes = file.as_os_str().as_bytes();
    bytes.ends_with(b".gz") || bytes.ends_with(b".tgz")
}

/// Writes the whole report, and returns the output.
fn write_tar<W: Write>(out: W, root: &Root, system: &System, now: SystemTime) -> io::Result<W> {
    let mut tar = Tar::new(out);
    write_report(&mut tar, root, system, now)?;
    tar.finish()
}

fn write_report<W: Write>(
    tar: &mut Tar<W>,
    root: &Root,
    system: &System,
    now: SystemTime,
) -> io::Result<()> {
    let mut report = Report { tar, root, now };
    let captured = system.now.unwrap_or(now);
    let seconds = captured
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |duration| duration.as_secs());

    report.tar.folder(TOP.as_bytes(), now)?;
    report.add("captured", format!("{seconds}\n").as_bytes())?;
    // The answers help a reader without klpctl.
    let answer = |command, members| Json::document(command, members).pretty() + "\n";
    let text = answer("status", status::members(system));
    report.add("status.json", text.as_bytes())?;
    let why = Answer::find(root, system, None);
    let text = answer("why", why.for_report(system));
    report.add("why.json", text.as_bytes())?;
    if why.told.listened {
        report.add(trace::KEPT.trim_start_matches('/'), &why.told.to_text())?;
    }

    report.patches()?;
    report.modules(system)?;
    report.log()?;
    if let Some(line) = hidepid::line(root).filter(|_| hidepid::hides(root)) {
        report.add(hidepid::MOUNTS.trim_start_matches('/'), line.as_bytes())?;
    }
    for file in ["/proc/uptime", "/proc/version", "/proc/sys/kernel/tainted"] {
        report.copy(Path::new(file))?;
    }
    report.tasks(system, &why)
}

struct Report<'a, W: Write> {
    tar: &'a mut Tar<W>,
    root: &'a Root,
    now: SystemTime,
}

impl<W: Write> Report<'_, W> {
    fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.tar
            .file(format!("{TOP}/{path}").as_bytes(), content, self.now)
    }

    /// Copies a file with its time. The report leaves out a file that cannot be read.
    fn copy(&mut self, path: &Path) -> io::Result<()> {
        match self.root.read(path) {
            Ok(content) => {
                let modified = self.root.modified(path).unwrap_or(self.now);
                self.tar.file(&inside(path), &content, modified)
            }
            Err(_) => Ok(()),
        }
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        let modified = self.root.modified(path).unwrap_or(self.now);
        self.tar.folder(&inside(path), modified)
    }

    fn patches(&mut self) -> io::Result<()> {
        let top = Path::new(sysfs::FOLDER);
        let folders = |root: &Root, path: &Path| root.folders(path).unwrap_or_default();

        self.folder(top)?;
        for patch in folders(self.root, top) {
            let patch = top.join(patch);
            self.folder(&patch)?;
            for file in PATCH_FILES {
                self.copy(&patch.join(file))?;
            }
            self.identity(&patch)?;
            for object in folders(self.root, &patch) {
                let object = patch.join(object);
                self.folder(&object)?;
                self.copy(&object.join("patched"))?;
                for function in folders(self.root, &object) {
                    self.folder(&object.join(function))?;
                }
            }
        }
        Ok(())
    }

    /// Adds the files that show which build a patch is.
    fn identity(&mut self, patch: &Path) -> io::Result<()> {
        let name = patch.file_name().unwrap_or_default();
        let module = Path::new("/sys/module").join(name);
        for file in ["version", "srcversion", "notes/.note.gnu.build-id"] {
            self.copy(&module.join(file))?;
        }
        let name = name.into();
        if forced::is_kept(self.root, &name) {
            let record = forced::record_of(&name);
            self.tar
                .file(&inside(&record), forced::REPORTED, self.now)?;
        }
        self.copy(&identity::record_of(&name))
    }

    /// Adds the lines of the livepatch modules, without addresses.
    fn modules(&mut self, system: &System) -> io::Result<()> {
        let content = self.root.read("/proc/modules").unwrap_or_default();
        let mut kept = Vec::new();

        for line in content.split(|&b| b == b'\n') {
            let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
            let [name, size, references, users, state, _, rest @ ..] = fields.as_slice() else {
                continue;
            };
            let ours = system.patches.iter().map(|status| &status.patch.name);
            let mut ours = ours.chain(system.disabled.iter().map(|module| &module.name));
            if ours.any(|n| n.as_bytes() == *name) {
                let mut fields = vec![*name, *size, *references, *users, *state, b"0x0"];
                fields.extend(rest);
                kept.extend(fields.join(&b' '));
                kept.push(b'\n');
            }
        }
        self.add("proc/modules", &kept)
    }

    /// Adds the messages of live patching, a record on each line.
    fn log(&mut self) -> io::Result<()> {
        let Ok(records) = kmsg::records(self.root) else {
            return Ok(());
        };
        let mut kept = Vec::new();
        for (i, record) in records.iter().enumerate() {
            let ours = kmsg::message(record).is_some_and(|(_, m)| m.starts_with("livepatch: "));
            // The number of the first record shows whether there were others before it.
            if let (0, false, Some(header)) = (i, ours, record.split(|&b| b == b';').next()) {
                kept.extend([header, b";\n"].concat());
            }
            if let (true, Some(line)) = (ours, record.split(|&b| b == b'\n').next()) {
                kept.extend(line);
                kept.push(b'\n');
            }
        }
        self.add("dev/kmsg", &kept)
    }

    fn tasks(&mut self, system: &System, why: &Answer<'_>) -> io::Result<()> {
        let waiting = system.progress.iter().flat_map(|p| &p.waiting).copied();
        let inside = why.held.iter().flat_map(|held| &held.tasks);
        let named: BTreeSet<TaskId> = waiting.chain(inside.map(|b| b.task.id)).collect();

        if system.moving().is_some() {
            for pid in self.root.numbers("/proc").unwrap_or_default() {
                let tasks = format!("/proc/{pid}/task");
                for tid in self.root.numbers(&tasks).unwrap_or_default() {
                    self.copy(&task_folder(TaskId { pid, tid }).join("patch_state"))?;
                }
            }
        }
        let ids: Vec<TaskId> = named.into_iter().collect();
        let mut contents: Vec<Option<TaskFiles>> = vec![None; ids.len()];
        let visit = |place: usize, files| contents[place] = Some(files);
        bounded::each(self.root, Files::Stack, &ids, task_files, visit);
        for (&id, files) in ids.iter().zip(&contents) {
            match files {
                Some(files) => self.task(id, files)?,
                // The files cannot be read now, but for the name.
                None => self.copy(&task_folder(id).join("comm"))?,
            }
        }
        Ok(())
    }

    fn task(&mut self, id: TaskId, files: &TaskFiles) -> io::Result<()> {
        for (file, content) in TASK_FILES.iter().zip(files) {
            let kept = content.as_ref().and_then(|content| match *file {
                "stat" => short_stat(content),
                "stack" => Some(proc::without_addresses(content)),
                _ => Some(content.clone()),
            });
            if let Some(kept) = kept {
                let path = inside(&task_folder(id).join(file));
                self.tar.file(&path, &kept, self.now)?;
            }
        }
        Ok(())
    }
}

fn task_files(root: &Root, id: TaskId) -> TaskFiles {
    TASK_FILES.map(|file| root.read(task_folder(id).join(file)).ok())
}

/// Returns a task's `stat` up to its flags. The fields after them have addresses.
fn short_stat(content: &[u8]) -> Option<Vec<u8>> {
    const FIELDS: usize = 7;

    let comm_end = content.iter().rposition(|&b| b == b')')?;
    let rest = content[comm_end + 1..].split(|&b| b == b' ').skip(1);
    let rest: Vec<&[u8]> = rest.take(FIELDS).collect();
    Some([&content[..=comm_end], b" ", &rest.join(&b' '), b"\n"].concat())
}

/// Returns the directory of a task's files. A report treats the first thread of a process as any
/// other.
fn task_folder(TaskId { pid, tid }: TaskId) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/task/{tid}"))
}

/// Returns the path in the tar file for a path of the system.
fn inside(path: &Path) -> Vec<u8> {
    [TOP.as_bytes(), path.as_os_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_overwritten() {
        let file = std::env::temp_dir().join(format!("klpctl-open-{}", std::process::id()));
        assert!(open(&file, false).unwrap().1);
        fs::write(&file, "x").unwrap();
        let error = open(&file, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"x");
        assert!(!open(&file, true).unwrap().1);
        assert_eq!(fs::read(&file).unwrap(), b"");
        fs::remove_file(&file).unwrap();
    }
}
