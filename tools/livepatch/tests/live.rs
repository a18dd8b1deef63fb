// SPDX-License-Identifier: GPL-2.0

//! The program itself on a machine of its own: a tree in place of the running system's files, and
//! scripts in place of kmod's tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::store::{install_for, watch};
use super::{left_out, Scratch};
use crate::root::Root;
use crate::store::Store;

/// The directories of the system in whose place those of the tree are.
const PLACES: [&str; 3] = ["sys", "run", "var/lib"];

/// A machine which has no patch yet, and the kernel of this one.
pub struct Machine {
    pub tree: Scratch,
    program: PathBuf,
    pub kernel: String,
}

impl Machine {
    /// Returns `None` if there is no program, or no namespace for the machine.
    pub fn new() -> Option<Self> {
        let Some(program) = std::env::var_os("KLPCTL").map(PathBuf::from) else {
            left_out("the program: KLPCTL does not name it, as make test does");
            return None;
        };
        let tree = Scratch::new();
        for place in PLACES.iter().chain(&["sys/kernel/livepatch", "bin"]) {
            fs::create_dir_all(tree.path().join(place)).unwrap();
        }
        watch(&tree, true);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let machine = Self {
            tree,
            program,
            kernel: release.trim_end().to_owned(),
        };
        if !machine.shell("true").status.success() {
            left_out("the program on a machine of its own: unshare(1) makes no namespace here");
            return None;
        }
        Some(machine)
    }

    /// Installs a patch for the machine's kernel.
    pub fn install(&self, fields: &[&str]) {
        let root = Root::captured(self.tree.path());
        install_for(&Store::new(&root), &self.kernel, fields);
    }

    /// Has a script of the shell take the place of one of kmod's tools.
    pub fn tool(&self, name: &str, script: &str) {
        let file = self.tree.path().join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script of the shell, in which `klpctl` is the program, as root of the machine.
    pub fn shell(&self, script: &str) -> Output {
        let tree = self.tree.path().display();
        let mut all = String::from("set -e\n");
        for place in PLACES {
            all += &format!("mount --bind {tree}/{place} /{place}\n");
        }
        let program = self.program.canonicalize().unwrap();
        all += &format!(
            "klpctl() {{ {} \"$@\"; }}\nset +e\n{script}\n",
            program.display()
        );
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &all])
            .env("PATH", format!("{tree}/bin:{path}"))
            .current_dir(self.tree.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|_| Command::new("false").output().unwrap())
    }

    /// Returns the mode of a file, and of none that is not there.
    pub fn mode(&self, file: &str) -> Option<u32> {
        let metadata = fs::metadata(self.tree.path().join(file)).ok()?;
        Some(metadata.permissions().mode() & 0o7777)
    }

    /// Runs a script as [`Machine::shell`], and returns its output.
    pub fn text(&self, script: &str) -> String {
        let output = self.shell(&format!("exec 2>&1\n{script}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
