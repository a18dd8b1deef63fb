// SPDX-License-Identifier: GPL-2.0

//! `klpctl check`
//!
//! The command reads a file as `load` does, compares it with the running kernel, and changes
//! nothing. The kernel has the last word: it may refuse a file that has passed.

use std::path::{Path, PathBuf};

use super::findings::{members, print, Finding, Kind};
use super::{Context, Outcome};
use crate::describe;
use crate::evidence::Replaced;
use crate::exit::Exit;
use crate::functions::{self, Changed};
use crate::json::Json;
use crate::modfile::ModuleFile;
use crate::modinfo::module_of;
use crate::name::Name;
use crate::proc::{self, Frame, Stacks, Task};
use crate::root::Root;
use crate::symbols::{self, Symbols};
use crate::sysfs::{self, VMLINUX};
use crate::system::System;

/// Returns the reasons for which a file could not take the place of a loaded build: the kernel
/// would refuse it, or its transition would not end.
pub fn against(root: &Root, file: &ModuleFile) -> Vec<String> {
    let changed = file.elf.as_ref().map(functions::of).unwrap_or_default();
    let findings = Check::of(root, None, file, &changed).into_iter();
    findings
        .filter(Finding::is_against)
        .map(|finding| finding.text)
        .collect()
}

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let files: Vec<PathBuf> = context.options.operands.iter().map(PathBuf::from).collect();
    let mut exit = Exit::Done;
    let mut answers = Vec::new();

    for path in files {
        let file = ModuleFile::read(&path)?;
        let changed = file.elf.as_ref().map(functions::of).unwrap_or_default();
        let findings = Check::of(&context.root, Some(&system), &file, &changed);
        if findings.iter().any(Finding::is_against) {
            exit = Exit::Refused;
        }
        match context.options.json {
            true => answers.push(members(&path, &file, &changed, &findings)),
            false => print(context, &path, &file, &changed, &findings)?,
        }
    }
    if context.options.json {
        let files = answers.into_iter().map(Json::Object).collect();
        context.print_json(vec![("exit", Json::Number(exit as i64)), ("files", files)])?;
    }
    Ok(exit)
}

struct Check<'a> {
    root: &'a Root,
    file: &'a ModuleFile,
    changed: &'a [Changed],
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    /// Without a `system`, the loaded patches and modules are left out.
    fn of(
        root: &'a Root,
        system: Option<&System>,
        file: &'a ModuleFile,
        changed: &'a [Changed],
    ) -> Vec<Finding> {
        let mut check = Self {
            root,
            file,
            changed,
            findings: Vec::new(),
        };
        check.kernel();
        check.signature();
        if let Some(system) = system {
            check.name(system);
        }
        check.targets();
        check.functions();
        check.tasks(system);
        check.findings
    }

    fn add(&mut self, kind: Kind, about: &'static str, text: impl Into<String>) {
        self.findings.push(Finding {
            kind,
            about,
            text: text.into(),
        });
    }

    fn line(&self, path: &str) -> Option<Name> {
        let content = self.root.read(path).ok()?;
        Some(content.trim_ascii().into())
    }

    /// Compares the kernel that the module is built for with this one.
    fn kernel(&mut self) {
        if self.line("/proc/sys/kernel/modules_disabled") == Some("1".into()) {
            let text = "the kernel takes no modules until it is booted again: \
                        kernel.modules_disabled is 1";
            self.add(Kind::Refused, "modules", text);
        }
        let Some(magic) = self.file.info.first("vermagic").map(trimmed) else {
            return self.add(Kind::Refused, "vermagic", "the file has no vermagic");
        };
        let Some(release) = self.line("/proc/sys/kernel/osrelease") else {
            return self.add(
                Kind::Note,
                "vermagic",
                "the kernel's version cannot be read",
            );
        };
        // With checksums of the symbols the version may differ, but not the words behind it.
        let flags = |magic: &Name| magic.to_string().split_once(' ').map(|m| m.1.to_owned());
        let versions = magic
            .to_string()
            .split(' ')
            .any(|word| word == "modversions");
        if self.file.release().as_ref() != Some(&release) && !versions {
            self.add(
                Kind::Refused,
                "vermagic",
                format!("it is built for another kernel: '{magic}'; this one is {release}"),
            );
        }
        let other = self.module_of_kernel(&release);
        if let Some(other) = other.filter(|other| flags(other) != flags(&magic)) {
            self.add(
                Kind::Refused,
                "vermagic",
                format!("its vermagic is '{magic}', that of the kernel's modules is '{other}'"),
            );
        }
    }

    /// Returns the vermagic of one of the kernel's own modules.
    fn module_of_kernel(&self, release: &Name) -> Option<Name> {
        let folder = Path::new("/lib/modules").join(release.as_os_str());
        let list = self.root.read(folder.join("modules.dep")).ok()?;
        let end = list.iter().position(|&b| b == b':')?;
        let first = Name::from(&list[..end]);
        let file = self.root.path(folder.join(first.as_os_str()));
        let (module, _) = ModuleFile::read_any(&file).ok()?;
        module.info.first("vermagic").map(trimmed)
    }

    fn signature(&mut self) {
        let enforced = self.line("/sys/module/module/parameters/sig_enforce") == Some("Y".into());
        let lockdown = self.line("/sys/kernel/security/lockdown");
        let locked = lockdown.is_some_and(|l| {
            let l = l.to_string();
            l.contains("[integrity]") || l.contains("[confidentiality]")
        });
        match &self.file.signature {
            None if enforced || locked => self.add(
                Kind::Refused,
                "signature",
                "it is not signed, and the kernel takes signed modules alone",
            ),
            Some(signature) => {
                let Some(signer) = signature.signer.clone() else {
                    return;
                };
                let keys = self.root.read("/proc/keys").unwrap_or_default();
                let keys = keys.split(|&b| b == b'\n').map(Name::from);
                let keys: Vec<_> = keys
                    .map(|key| key.to_string())
                    .filter(|key| key.contains("asymm"))
                    .collect();
                let signer = signer.to_string();
                let known = keys.iter().any(|key| key.contains(&signer));
                if !known && !keys.is_empty() {
                    let text = format!("none of the keys in /proc/keys is that of {signer}");
                    self.add(Kind::Note, "signature", text);
                }
            }
            None => {}
        }
    }

    fn name(&mut self, system: &System) {
        let name = &self.file.name;
        if let Some(status) = system.find(name) {
            let loaded = &status.patch.identity.build;
            let (kind, text) = match self.file.build.is_same(loaded) {
                Some(true) => (Kind::Note, "this build is loaded already".to_owned()),
                Some(false) => (
                    Kind::Refused,
                    format!(
                        "another build of {name} is loaded, {}; see klpctl load --replace",
                        loaded.text(&self.file.build)
                    ),
                ),
                None => (
                    Kind::Note,
                    format!(
                        "a patch {name} is loaded already; it is not known whether it is this build"
                    ),
                ),
            };
            self.add(kind, "name", text);
        } else if self
            .root
            .exists(Path::new("/sys/module").join(name.as_os_str()))
        {
            let text = match sysfs::is_changing(self.root, name) {
                true => format!("another process loads or unloads module {name}"),
                false => format!("a module {name} is loaded; unload it first"),
            };
            self.add(Kind::Refused, "name", text);
        }
        if let Some(moving) = system.moving().filter(|m| &m.patch.name != name) {
            let text = format!("{} is in transition; see klpctl wait", moving.patch.name);
            self.add(Kind::Refused, "transition", text);
        }
    }

    /// Compares the builds of the modules that the patch changes with those that it is made for.
    fn targets(&mut self) {
        for target in self.file.info.words("klp_target") {
            let target = target.to_string();
            let Some((module, wanted)) = target.split_once(':') else {
                continue;
            };
            let module = module_of(module.as_bytes());
            let path = format!("/sys/module/{module}/srcversion");
            match self.line(&path).map(|line| line.to_string()) {
                Some(loaded) if loaded != wanted => self.add(
                    Kind::Refused,
                    "target",
                    format!(
                        "it is made for {module} of srcversion {wanted}; loaded is {loaded}, whose \
                         functions may differ"
                    ),
                ),
                _ => {}
            }
        }
    }

    /// Whether an object is there: the kernel proper, or a module that is loaded.
    fn is_loaded(&self, object: &Name) -> bool {
        object.as_bytes() == VMLINUX
            || self
                .root
                .exists(Path::new("/sys/module").join(object.as_os_str()))
    }

    fn functions(&mut self) {
        if self.changed.is_empty() {
            let text = "no function that it changes is found in the file";
            return self.add(Kind::Note, "functions", text);
        }
        let passed_on = self.changed.iter().filter(|c| c.is_passed_on);
        let passed_on: Vec<_> = passed_on
            .map(|c| describe::function_name(&c.function))
            .collect();
        if !passed_on.is_empty() {
            let text = format!(
                "the new code passes on the address of the new {}; the module must not be unloaded \
                 while the kernel can still call it",
                passed_on.join(", ")
            );
            self.add(Kind::Note, "functions", text);
        }
        let symbols = match Symbols::read(self.root, self.changed) {
            Ok(symbols) => symbols,
            Err(error) => {
                let text = format!("/proc/kallsyms: {error}; its functions are not looked up");
                return self.add(Kind::Note, "functions", text);
            }
        };
        if let Some(note) = symbols.note() {
            self.add(Kind::Note, "functions", note);
        }
        let mut absent: Vec<&Name> = Vec::new();
        for changed in self.changed {
            if !self.is_loaded(&changed.object) {
                absent.push(&changed.object);
            } else if let Some(problem) = symbols::problem(changed, &symbols) {
                self.add(Kind::Refused, "functions", problem);
            }
        }
        absent.dedup();
        for object in absent {
            let text = format!("{object} is not loaded, so its functions are not looked up");
            self.add(Kind::Note, "functions", text);
        }
    }

    fn tasks(&mut self, system: Option<&System>) {
        let root = self.root;
        let changed = self.changed;
        let replaced = Replaced::new(changed, system);
        let wanted = |frames: &[Frame]| frames.iter().any(|frame| replaced.has(frame));
        let Stacks {
            found,
            denied,
            unread,
        } = match proc::stacks(root, wanted) {
            Ok(stacks) => stacks,
            Err(error) => return self.add(Kind::Note, "tasks", format!("/proc: {error}")),
        };
        for changed in changed {
            // The function that a kernel thread was started with is called by kthread().
            let never = |task: &&Task| {
                let mut pairs = task.frames().windows(2);
                let first = |f: &Frame| f.function.as_bytes() == b"kthread";
                task.kthread
                    && pairs.any(|pair| replaced.is_of(&pair[0], changed) && first(&pair[1]))
            };
            let is_of = |frame: &Frame| replaced.is_of(frame, changed);
            let tasks = found.iter();
            let tasks = tasks.filter(|task| task.frames().iter().any(is_of));
            let (never, waits): (Vec<&Task>, Vec<&Task>) = tasks.partition(never);
            let function = describe::function_name(&changed.function);
            let object = &changed.object;
            if !never.is_empty() {
                let text = format!(
                    "{function} of {object} is the main function of {}, and is never left",
                    describe::task_names(&never)
                );
                self.add(Kind::Never, "tasks", text);
            }
            if !waits.is_empty() {
                let text = format!(
                    "{function} of {object} is in use by {}",
                    describe::task_names(&waits)
                );
                self.add(Kind::Waits, "tasks", text);
            }
        }
        for patch in replaced.patches() {
            let is_of_some = |frame: &Frame| replaced.is_of_some(frame, patch);
            let tasks = found.iter();
            let tasks: Vec<&Task> = tasks
                .filter(|task| task.frames().iter().any(is_of_some))
                .collect();
            if !tasks.is_empty() {
                let text = format!(
                    "code of {} is in use by {}",
                    patch.name,
                    describe::task_names(&tasks)
                );
                self.add(Kind::Waits, "tasks", text);
            }
        }
        if denied > 0 {
            let hint = describe::hint_for_stacks(root);
            let text = format!("{denied} stacks may not be read; {hint}");
            self.add(Kind::Note, "tasks", text);
        }
        if !unread.is_empty() {
            let names = describe::task_names(&unread.iter().collect::<Vec<_>>());
            let text = format!("the stacks of some tasks cannot be read just now: {names}");
            self.add(Kind::Note, "tasks", text);
        }
    }
}

fn trimmed(value: &[u8]) -> Name {
    value.trim_ascii().into()
}
