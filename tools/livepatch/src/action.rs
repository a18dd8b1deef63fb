// SPDX-License-Identifier: GPL-2.0

//! The actions that change the state of live patching. No other code does.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::edge::{self, Wanted};
use crate::exit::{Exit, Failure};
use crate::name::{self, Name};
use crate::root::Root;
use crate::signals::Signal;
use crate::sysfs;

#[derive(Debug)]
pub enum Action {
    Insert {
        file: PathBuf,
        parameters: Vec<OsString>,
    },
    Remove(Name),
    /// The loading of a module that a patch depends on.
    Probe(Name),
    /// A write to a file of a patch.
    Write {
        patch: Name,
        file: &'static str,
        value: &'static str,
    },
}

impl Action {
    pub fn write(patch: &Name, file: &'static str, value: &'static str) -> Self {
        Self::Write {
            patch: patch.clone(),
            file,
            value,
        }
    }

    pub fn run(&self, root: &Root) -> Result<(), Failure> {
        match self {
            Self::Insert { file, parameters } => {
                let mut insmod = Command::new(find_tool("insmod"));
                let result = tool(insmod.arg(as_operand(file)).args(parameters));
                result.map(drop).map_err(|mut failure| {
                    failure.message.push_str(hint(&failure.message, root));
                    failure
                })
            }
            Self::Remove(module) => {
                let mut rmmod = Command::new(find_tool("rmmod"));
                tool(rmmod.arg("--").arg(module.as_os_str())).map(drop)
            }
            Self::Probe(module) => {
                let mut modprobe = Command::new(find_tool("modprobe"));
                tool(modprobe.arg("--").arg(module.as_os_str())).map(drop)
            }
            Self::Write { patch, file, value } => {
                let path = root.path(sysfs::folder_of(patch).join(file));
                // The flags are those of a shell, which set the file's time: see System::look().
                let written = fs::OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
                written.map_err(|error| self.refused(&error))
            }
        }
    }

    fn refused(&self, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "; try as root",
            io::ErrorKind::ResourceBusy => "; another patch is in transition",
            io::ErrorKind::InvalidInput => "; the patch is not in a state that allows it",
            io::ErrorKind::NotFound => "; the patch is gone",
            _ => "",
        };
        Failure::error(format!("{self}: {error}{hint}"))
    }
}

/// Shows the shell command for the action.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { file, parameters } => {
                let file = as_operand(file);
                write!(f, "insmod {}", name::shell(file.as_os_str().as_bytes()))?;
                for parameter in parameters {
                    write!(f, " {}", name::shell(parameter.as_bytes()))?;
                }
                Ok(())
            }
            Self::Remove(module) => write!(f, "rmmod {}", module.shell()),
            Self::Probe(module) => write!(f, "modprobe {}", module.shell()),
            Self::Write { patch, file, value } => {
                let path = sysfs::folder_of(patch).join(file);
                write!(
                    f,
                    "echo {value} > {}",
                    name::shell(path.as_os_str().as_bytes())
                )
            }
        }
    }
}

/// Returns the output of a tool that reads a module's file, or `None` if it is missing or fails.
/// Output of `most` bytes may have been cut, as a small file can have endless content.
pub fn output(program: &str, file: &Path, options: &[&str], most: u64) -> Option<Vec<u8>> {
    let mut command = Command::new(find_tool(program));
    command.args(options).arg(as_operand(file)).process_group(0);
    edge::with_signals(&mut command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut output = Vec::new();
    let pipe = child.stdout.take();
    let read = pipe.map(|pipe| pipe.take(most).read_to_end(&mut output));
    // The pipe is closed, which ends a tool that has more to write.
    let status = child.wait().ok()?;
    let cut = output.len() as u64 == most;
    (cut || (matches!(read, Some(Ok(_))) && status.success())).then_some(output)
}

/// Returns a path that does not look like an option if it begins with a dash.
fn as_operand(file: &Path) -> PathBuf {
    match file.as_os_str().as_bytes().starts_with(b"-") {
        true => Path::new(".").join(file),
        false => file.to_path_buf(),
    }
}

/// Finds one of kmod's tools. Debian's su and cron leave its directory out of `PATH`.
fn find_tool(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_tool_in(tool, &path)
}

fn find_tool_in(tool: &str, path: &OsStr) -> PathBuf {
    let always = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let files = std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .chain(always)
        .map(|dir| dir.join(tool));
    files
        .into_iter()
        .find(|file| file.is_file())
        .unwrap_or_else(|| tool.into())
}

/// Returns the usual meaning of an error of insmod, for the end of its message.
fn hint(message: &str, root: &Root) -> &'static str {
    let has = |text| message.contains(text);
    if has("Operation not permitted") && !root.is_privileged() {
        "; try as root"
    } else if has("Operation not permitted") {
        "; root lacks CAP_SYS_MODULE here, or the kernel takes no modules: see \
         kernel.modules_disabled and the lockdown in dmesg"
    } else if has("Key was rejected by service") || has("Required key not available") {
        "; the kernel does not accept the module's signature"
    } else if has("Invalid module format") || has("Exec format error") {
        "; the module is not for this kernel: see dmesg"
    } else {
        ""
    }
}

/// The time between two looks at a tool that runs.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a program as `Command::output()` does, but does not wait for the end of its output when it
/// has ended itself: a helper that it has started may keep that open. A program that does not end
/// has no time limit.
fn output_of(command: &mut Command) -> io::Result<Output> {
    let command = command.stdin(Stdio::null());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ends = [
        (child.stdout.take().map(OwnedFd::from), &mut stdout),
        (child.stderr.take().map(OwnedFd::from), &mut stderr),
    ];
    let mut pipes: Vec<_> = ends
        .into_iter()
        .filter_map(|(end, bytes)| Some((File::from(end?), bytes)))
        .collect();
    let mut chunk = vec![0; 0x10000];
    // A pipe holds at most 1 MiB of the program that has ended. A helper may write for ever.
    let mut left = 32;

    while !pipes.is_empty() && left > 0 {
        // This look comes first, so that the pipes have all that the program has written.
        let ended = child.try_wait()?.is_some();
        let timeout = if ended { Duration::ZERO } else { LOOK };
        let files: Vec<_> = pipes
            .iter()
            .map(|pipe| (pipe.0.as_fd(), Wanted::Input))
            .collect();
        let ready = edge::wait(&files, Some(timeout))?;
        if ended {
            left = if ready.contains(&true) { left - 1 } else { 0 };
        }
        let mut ready = ready.into_iter();
        pipes.retain_mut(|(pipe, bytes)| {
            if ready.next() != Some(true) {
                return true;
            }
            let count = pipe.read(&mut chunk).unwrap_or(0);
            bytes.extend(&chunk[..count]);
            count > 0
        });
    }
    let status = child.wait()?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Runs one of kmod's tools. If a signal ends it, that is the exit status of the error.
fn tool(command: &mut Command) -> Result<Output, Failure> {
    // Signals from a terminal are for klpctl, which waits for the tool. Those that are sent to the
    // tool, as when a service is stopped, end it.
    edge::with_signals(command.env("LC_ALL", "C").process_group(0));
    let output = output_of(command).map_err(|error| {
        Failure::error(format!(
            "cannot run {}: {error}; it belongs to kmod",
            name::escape(command.get_program().as_bytes())
        ))
    })?;
    if output.status.success() {
        return Ok(output);
    }

    let said: Vec<_> = output.stderr.trim_ascii().split(|&b| b == b'\n').collect();
    let said: Vec<_> = said.into_iter().map(name::escape).collect();
    let signal = output.status.signal().and_then(Signal::of);
    let exit = signal.map_or(Exit::Error, Signal::exit);
    let message = match said.join("; ") {
        text if text.is_empty() => format!(
            "{}: {}",
            name::escape(command.get_program().as_bytes()),
            output.status
        ),
        text => text,
    };
    Err(Failure::new(exit, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn actions_are_commands_of_a_shell() {
        let insert = Action::Insert {
            file: "-a dir/with space.ko".into(),
            parameters: vec!["text=it's".into()],
        };
        assert_eq!(
            insert.to_string(),
            "insmod './-a dir/with space.ko' 'text=it'\\''s'"
        );
        let write = Action::write(&"a b".into(), "enabled", "0");
        assert_eq!(
            write.to_string(),
            "echo 0 > '/sys/kernel/livepatch/a b/enabled'"
        );
    }

    #[test]
    fn tools_are_found_without_path() {
        let scratch = crate::tests::Scratch::new();
        let insmod = scratch.path().join("insmod");
        fs::write(&insmod, "").unwrap();
        assert_eq!(find_tool_in("insmod", scratch.path().as_os_str()), insmod);
        // /sbin has a few programs on every system.
        let there = fs::read_dir("/sbin").into_iter().flatten().flatten();
        let mut files = there.filter(|entry| entry.path().is_file());
        if let Some(entry) = files.next() {
            let name = entry.file_name();
            let found = find_tool_in(name.to_str().unwrap(), OsStr::new("/nonexistent"));
            assert!(found.is_absolute(), "{found:?}");
        }
        let none = find_tool_in("no-such-tool", OsStr::new("."));
        assert_eq!(none, Path::new("no-such-tool"));
    }

    /// A tool that hangs can be stopped, although klpctl itself catches the signals.
    #[test]
    fn tools_get_signals() {
        let mask_in = |status: &str| {
            let mut lines = status.lines();
            let mask = lines.find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap()
        };
        let signals = [1, 2, 15].map(|signal| 1 << (signal - 1));
        let signals = signals.iter().sum::<u64>();
        let _caught = edge::signals(&[1, 2, 15]).unwrap();
        let ours = mask_in(&fs::read_to_string("/proc/thread-self/status").unwrap());
        assert_eq!(ours & signals, signals);
        let output = tool(Command::new("cat").arg("/proc/self/status")).unwrap();
        let status = String::from_utf8_lossy(&output.stdout);
        assert_eq!(mask_in(&status) & signals, 0, "{status}");

        let failure = tool(Command::new("sh").args(["-c", "kill $$"])).unwrap_err();
        assert_eq!(failure.exit, Exit::Terminated);
    }

    /// modprobe may start a helper that goes on, and keeps the output open.
    #[test]
    fn helpers_of_tools_are_not_waited_for() {
        let run = |script: &str| tool(Command::new("sh").args(["-c", script]));
        let begin = Instant::now();
        let failure = run("sleep 20 & echo refused >&2; exit 1").unwrap_err();
        assert_eq!(failure.message, "refused");
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(!run("yes & echo").unwrap().stdout.is_empty());

        // All that a tool itself writes is there.
        let script = "head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2; sleep 0.3; echo";
        let output = run(script).unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (3_000_001, 300_000)
        );
    }

    #[test]
    fn hints() {
        let root = Root::captured(Path::new("/"));
        let hint = |text| hint(text, &root);
        assert_eq!(hint("x.ko: Operation not permitted"), "; try as root");
        assert!(hint("x.ko: Key was rejected by service").contains("signature"));
        assert!(hint("x.ko: Invalid module format").contains("not for this kernel"));
        assert_eq!(hint("x.ko: File exists"), "");
    }
}
