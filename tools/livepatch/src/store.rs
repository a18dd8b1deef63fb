// SPDX-License-Identifier: GPL-2.0

//! The patches that are installed, to be loaded at each boot.
//!
//! `/var/lib/klpctl` has a directory for each version of the kernel, with modules in it and a file
//! `order`. Two more files protect the machine from a patch that crashes it:
//!
//! - `running` has the ID of a boot and the patches that were loaded in it, each behind the version
//!   of the kernel. When the machine is shut down, the systemd unit `klpctl-clean` removes the file
//!   if it has the ID of that boot. So if the file has the ID of another boot, that boot has
//!   crashed. A boot in which nothing would remove the file has none: `/run/klpctl.watched` is
//!   there as long as the unit is active.
//! - `crashed` has the patches that were loaded in boots that crashed, with the kernel as well.
//!   That kernel does not load them at boot until an administrator installs them for it again or
//!   allows them.
//!
//! Both are on disk before the kernel gets a module.
//!
//! Several commands may run at once, so each takes a lock before it reads a file that it changes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::edge;
use crate::exit::Failure;
use crate::modfile::{self, ModuleFile};
use crate::modinfo::module_of;
use crate::name::{self, Name};
use crate::note::Note;
use crate::root::{read_whole, ReadError, Root};
use crate::sysfs;
use crate::whole;

pub const STORE: &str = "/var/lib/klpctl";

/// The file with the lock. `/run` is local, where a lock on a file of a network may fail.
const LOCK: &str = "/run/klpctl.lock";

/// The file that is there while the unit `klpctl-clean` is active.
const WATCHED: &str = "/run/klpctl.watched";

const ORDER: &str = "order";
const RUNNING: &str = "running";
const CRASHED: &str = "crashed";

/// An installed patch.
#[derive(Debug)]
pub struct Installed {
    pub name: Name,
    pub file: PathBuf,
}

#[derive(Debug)]
pub struct Store<'a> {
    pub root: &'a Root,
    folder: PathBuf,
}

impl<'a> Store<'a> {
    pub fn new(root: &'a Root) -> Self {
        Self {
            root,
            folder: root.path(STORE),
        }
    }

    fn wrong(path: &Path, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "; try as root",
            _ => "",
        };
        let shown = name::escape(path.as_os_str().as_bytes());
        Failure::error(format!("{shown}: {error}{hint}"))
    }

    /// Keeps other commands from changing the store until the caller drops the file.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.root.path(LOCK);
        // With this mode, other users cannot lock the file.
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let folder = path.parent().unwrap_or(&path);
        let file = whole::create_folder(folder)
            .and_then(|()| options.open(&path))
            .and_then(|file| edge::lock(&file).map(|()| file));
        file.map_err(|error| Self::wrong(&path, &error))
    }

    /// Returns the versions of the kernel that patches are installed for.
    pub fn kernels(&self) -> Result<Vec<Name>, Failure> {
        match self.root.folders(STORE) {
            Ok(names) => Ok(names.iter().map(|name| name.as_os_str().into()).collect()),
            Err(ReadError::Gone) => Ok(Vec::new()),
            Err(error) => Err(Failure::error(format!("{STORE}: {error}"))),
        }
    }

    fn folder_of(&self, kernel: &Name) -> PathBuf {
        self.folder.join(kernel.as_os_str())
    }

    /// Returns the patches for a version of the kernel, in the order in which they are loaded, but
    /// for dependencies.
    pub fn installed(&self, kernel: &Name) -> Result<Vec<Installed>, Failure> {
        let folder = self.folder_of(kernel);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Self::wrong(&folder, &error)),
        };
        let entries: io::Result<Vec<_>> = entries.collect();
        let entries = entries.map_err(|error| Self::wrong(&folder, &error))?;
        let mut installed: Vec<Installed> = entries
            .into_iter()
            .filter_map(|entry| {
                let file = entry.file_name();
                let name = modfile::name_of(file.as_bytes())?;
                Some(Installed {
                    name: module_of(name),
                    file: entry.path(),
                })
            })
            .collect();
        let order = lines(&folder.join(ORDER))?;
        installed.sort_by_key(|patch| {
            let mut order = order.iter().map(|name| module_of(name.as_bytes()));
            let position = order.position(|name| name == patch.name);
            (position.unwrap_or(usize::MAX), patch.name.clone())
        });
        Ok(installed)
    }

    /// Returns the file in which a patch is installed, in a store in `folder`.
    pub fn file_of(folder: &Path, kernel: &Name, module: &ModuleFile) -> PathBuf {
        let file = format!("{}.{}", module.name, module.ending);
        folder.join(kernel.as_os_str()).join(file)
    }

    /// Installs a patch behind the others. One that was installed keeps its place.
    pub fn install(&self, kernel: &Name, module: &ModuleFile) -> Result<PathBuf, Failure> {
        let _lock = self.lock()?;
        let folder = self.folder_of(kernel);
        let before = self.installed(kernel)?;
        // If this fails, it does so before the first change.
        self.crashed(kernel)?;
        let file = Self::file_of(&self.folder, kernel, module);
        let all = |error: io::Error| Self::wrong(&file, &error);

        whole::create_folder(&folder).map_err(all)?;
        whole::write(&file, &module.bytes).map_err(all)?;
        for old in before
            .iter()
            .filter(|old| old.name == module.name && old.file != file)
        {
            fs::remove_file(&old.file).map_err(all)?;
        }
        let mut order: Vec<Name> = before.into_iter().map(|patch| patch.name).collect();
        if !order.contains(&module.name) {
            order.push(module.name.clone());
        }
        whole::write(&folder.join(ORDER), &text(&order)).map_err(all)?;
        self.allow_locked(kernel, &module.name)?;
        Ok(file)
    }

    /// Removes a patch. Returns false if it is not installed for this version of the kernel.
    pub fn uninstall(&self, kernel: &Name, patch: &Name) -> Result<bool, Failure> {
        let _lock = self.lock()?;
        let (ours, others): (Vec<_>, Vec<_>) = self
            .installed(kernel)?
            .into_iter()
            .partition(|installed| &installed.name == patch);
        let folder = self.folder_of(kernel);
        for installed in &ours {
            fs::remove_file(&installed.file).map_err(|e| Self::wrong(&installed.file, &e))?;
        }
        if ours.is_empty() {
            return Ok(false);
        }
        let order: Vec<Name> = others.into_iter().map(|patch| patch.name).collect();
        let result = match order.is_empty() {
            // A directory with files of the administrator's own stays. Modules that were copied by
            // hand have no order.
            true => remove(&folder.join(ORDER)).and_then(|()| fs::remove_dir(&folder).or(Ok(()))),
            false => whole::write(&folder.join(ORDER), &text(&order)),
        };
        result.map_err(|error| Self::wrong(&folder, &error))?;
        Ok(true)
    }

    fn boot(&self) -> Option<Name> {
        let id = self.root.read("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim_ascii().into())
    }

    /// Returns the patches that are not loaded at boot of this version of the kernel, because the
    /// machine has crashed with them.
    pub fn crashed(&self, kernel: &Name) -> Result<BTreeSet<Name>, Failure> {
        let notes = self.notes()?.into_iter();
        let ours = notes.filter(|note| note.is_for(kernel));
        Ok(ours.map(|note| note.patch).collect())
    }

    /// Returns the notes of all crashes.
    fn notes(&self) -> Result<BTreeSet<Note>, Failure> {
        let noted = self.noted(CRASHED)?.into_iter();
        let noted = noted.map(|line| Note::of(&line));
        Ok(noted.chain(self.crashed_now()?).collect())
    }

    /// Reads `running` or `crashed`.
    fn noted(&self, file: &str) -> Result<Vec<Name>, Failure> {
        lines(&self.folder.join(file)).map_err(|mut failure| {
            failure.message += "; so it is not known which patches were loaded in a crash";
            failure
        })
    }

    /// Returns the patches that were loaded in the last boot, if that has crashed.
    fn crashed_now(&self) -> Result<Vec<Note>, Failure> {
        let running = self.noted(RUNNING)?;
        Ok(match (running.split_first(), self.boot()) {
            (Some((last, patches)), Some(boot)) if *last != boot => {
                patches.iter().map(Note::of).collect()
            }
            _ => Vec::new(),
        })
    }

    /// Begins the notes of this boot, if it is watched. Returns the patches that were loaded when
    /// the last boot crashed.
    pub fn begin(&self) -> Result<Vec<Note>, Failure> {
        let _lock = self.lock()?;
        self.begin_locked()
    }

    fn begin_locked(&self) -> Result<Vec<Note>, Failure> {
        let running = self.folder.join(RUNNING);
        let Some(boot) = self.boot() else {
            return Err(Failure::error(
                "/proc/sys/kernel/random/boot_id cannot be read",
            ));
        };
        if self.noted(RUNNING)?.first() == Some(&boot) {
            return Ok(Vec::new());
        }
        let crashed = self.crashed_now()?;
        let all: Vec<Name> = self.notes()?.iter().map(Note::line).collect();
        let write = |path: &Path, content: &[u8]| {
            let result =
                whole::create_folder(&self.folder).and_then(|()| whole::write(path, content));
            result.map_err(|error| Self::wrong(path, &error))
        };
        // In this order, a crash between the two writes loses nothing.
        if !all.is_empty() {
            write(&self.folder.join(CRASHED), &text(&all))?;
        }
        if self.is_watched() {
            // The unit may have been stopped and started, as by a soft reboot, which removes the
            // notes of the patches that the kernel still has.
            let loaded = self.root.folders(sysfs::FOLDER).unwrap_or_default();
            let loaded = loaded.iter().map(|name| name.as_os_str().into());
            let notes = loaded.map(|patch| self.note(&patch).line());
            let lines: Vec<Name> = [boot].into_iter().chain(notes).collect();
            write(&running, &text(&lines))?;
            return Ok(crashed);
        }
        remove(&running).map_err(|error| Self::wrong(&running, &error))?;
        Ok(crashed)
    }

    /// Whether a unit removes the file `running` when the machine is shut down.
    fn is_watched(&self) -> bool {
        self.root.exists(WATCHED)
    }

    /// Notes that a patch is about to be loaded, if this boot is watched.
    pub fn mark(&self, patch: &Name) -> Result<(), Failure> {
        if self.is_watched() {
            self.begin()?;
        }
        let line = self.note(patch).line();
        self.change_running(|running| {
            if !running.contains(&line) {
                running.push(line);
            }
        })
    }

    /// Notes that a patch is not loaded. One that the kernel has all the same, because another
    /// command has loaded it, stays noted.
    pub fn unmark(&self, patch: &Name) -> Result<(), Failure> {
        if self.root.exists(sysfs::folder_of(patch)) {
            return Ok(());
        }
        let line = self.note(patch).line();
        self.change_running(|running| running.retain(|other| other != &line && other != patch))
    }

    /// Returns the note of a patch that is loaded in the running kernel.
    fn note(&self, patch: &Name) -> Note {
        Note {
            kernel: running_kernel(self.root).ok(),
            patch: patch.clone(),
        }
    }

    fn change_running(&self, change: impl FnOnce(&mut Vec<Name>)) -> Result<(), Failure> {
        let path = self.folder.join(RUNNING);
        if !path.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let before = self.noted(RUNNING)?;
        if before.is_empty() || before.first() != self.boot().as_ref() {
            return Ok(());
        }
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        whole::write(&path, &text(&after)).map_err(|error| Self::wrong(&path, &error))
    }

    /// Lets a patch be loaded at boot of this version of the kernel again. Returns false if it was
    /// not loaded in a crash.
    pub fn allow(&self, kernel: &Name, patch: &Name) -> Result<bool, Failure> {
        let _lock = self.lock()?;
        self.allow_locked(kernel, patch)
    }

    fn allow_locked(&self, kernel: &Name, patch: &Name) -> Result<bool, Failure> {
        if !self.crashed(kernel)?.contains(patch) {
            return Ok(false);
        }
        self.begin_locked()?;
        let mut rest = BTreeSet::new();
        for note in self.notes()? {
            match &note.kernel {
                _ if &note.patch != patch || !note.is_for(kernel) => {
                    rest.insert(note);
                }
                Some(_) => {}
                // The other kernels do not load the patch.
                None => rest.extend(self.notes_of_others(kernel, patch)?),
            }
        }
        let rest: Vec<Name> = rest.iter().map(Note::line).collect();
        let path = self.folder.join(CRASHED);
        let result = match rest.is_empty() {
            true => fs::remove_file(&path),
            false => whole::write(&path, &text(&rest)),
        };
        result.map_err(|error| Self::wrong(&path, &error))?;
        Ok(true)
    }

    /// Returns a note for each other kernel that the patch is installed for.
    fn notes_of_others(&self, kernel: &Name, patch: &Name) -> Result<Vec<Note>, Failure> {
        let mut notes = Vec::new();
        for other in self.kernels()? {
            let installed = self.installed(&other)?;
            if &other != kernel && installed.iter().any(|installed| &installed.name == patch) {
                notes.push(Note {
                    kernel: Some(other),
                    patch: patch.clone(),
                });
            }
        }
        Ok(notes)
    }
}

/// Removes a file, which need not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads names, one on each line. A file that is not there has none. One that cannot be read may
/// have some, and would lose them if it was written anew.
fn lines(path: &Path) -> Result<Vec<Name>, Failure> {
    let content = match read_whole(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        content => content.map_err(|error| Store::wrong(path, &error))?,
    };
    let lines = content.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty());
    Ok(lines.map(Name::from).collect())
}

fn text(names: &[Name]) -> Vec<u8> {
    let lines = names.iter().map(|name| [name.as_bytes(), b"\n"].concat());
    lines.flatten().collect()
}

/// Returns the version of the running kernel.
pub fn running_kernel(root: &Root) -> Result<Name, Failure> {
    const FILE: &str = "/proc/sys/kernel/osrelease";

    let release = root
        .read(FILE)
        .map_err(|error| Failure::error(format!("{FILE}: {error}")))?;
    Ok(release.trim_ascii().into())
}
