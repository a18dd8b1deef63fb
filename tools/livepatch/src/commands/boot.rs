// SPDX-License-Identifier: GPL-2.0

//! `klpctl load --all`, which loads the installed patches at boot
//!
//! A patch that cannot be loaded does not keep the others from being loaded, but those that depend
//! on it. The kernel loads no patch during the transition of another, so each patch waits for that.
//! A patch that another one has replaced is not loaded again, as it would take the other one back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::wait::{self, AtEnd, Cause, Ended};
use super::{load, Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::name::{self, Name};
use crate::note::Note;
use crate::order::{self, in_order, Patch};
use crate::replaced;
use crate::root::Root;
use crate::store::{self, Store};
use crate::sysfs;
use crate::trust;

/// The parameter of the kernel that switches the loading at boot off.
const OFF: &[u8] = b"klpctl.enable=0";

pub fn run(context: &mut Context<'_>) -> Outcome {
    if is_off(&context.root) {
        let text = "the kernel's parameter klpctl.enable=0 switches this off: nothing is loaded";
        context.event("off", Vec::new(), text)?;
        return Ok(Exit::Done);
    }
    let kernel = store::running_kernel(&context.root)?;
    let store = Store::new(&context.root);
    let crashed = store.crashed(&kernel).map_err(|mut failure| {
        failure.message.insert_str(0, "nothing is loaded: ");
        failure
    })?;
    let new = match context.options.dry_run {
        true => Vec::new(),
        false => store.begin()?,
    };
    let patches = in_order(store.installed(&kernel)?);
    let installed: BTreeSet<_> = order::names(&patches).cloned().collect();
    for Note { kernel: on, patch } in new {
        let members = vec![("patch", (&patch).into()), ("kernel", on.as_ref().into())];
        let mut text = format!("the machine has crashed, or lost power, while {patch} was loaded");
        if let Some(on) = on.filter(|on| on != &kernel) {
            text += &format!(" in {on}");
        }
        context.event("crashed", members, &text)?;
    }

    let mut missing = BTreeMap::new();
    let mut late = Late::default();
    for (i, patch) in patches.iter().enumerate() {
        let name = patch.installed.name.clone();
        if !is_held_back(context, &crashed, &name) {
            late.wait(context, &mut missing)?;
            if is_replaced(context, &name, &patches[i + 1..])? {
                continue;
            }
        }
        let exit = match load_one(context, patch, &installed, &crashed, &missing) {
            Ok(Exit::Done) => continue,
            Ok(exit) if is_signal(exit) => return Ok(exit),
            Ok(exit) => {
                late.loaded = Some(name.clone());
                exit
            }
            Err(failure) if is_signal(failure.exit) => return Err(failure),
            Err(failure) => {
                let members = vec![
                    ("patch", (&name).into()),
                    ("error", failure.message.as_str().into()),
                ];
                context.event(
                    "failed",
                    members,
                    &format!("{name} is not loaded: {}", failure.message),
                )?;
                failure.exit
            }
        };
        missing.insert(name, exit);
    }
    let worst = missing.values().copied().max_by_key(|exit| *exit as u8);
    match missing.len() {
        0 if installed.is_empty() => {
            let text = format!("no livepatch is installed for {kernel}");
            context.event("done", vec![("patch", None::<&Name>.into())], &text)?;
            Ok(Exit::Done)
        }
        0 => Ok(Exit::Done),
        count => Err(Failure::new(
            worst.unwrap_or(Exit::Error),
            format!(
                "of {} installed patches, {count} not applied",
                installed.len()
            ),
        )),
    }
}

/// The transitions that take longer than a command waits.
#[derive(Default)]
struct Late {
    /// The last patch that was loaded and was not applied in time.
    loaded: Option<Name>,
    /// The patch that was waited for once more, in vain. The network waits for this command at
    /// boot, so the other patches do not wait for the same transition again.
    given_up: Option<Name>,
}

impl Late {
    /// Waits for the running transition, so that the next patch can be loaded. A patch that is
    /// applied by then is not missing any more.
    fn wait(
        &mut self,
        context: &mut Context<'_>,
        missing: &mut BTreeMap<Name, Exit>,
    ) -> Result<(), Failure> {
        let system = context.look()?;
        let moving = system.moving().map(|status| status.patch.name.clone());
        if let Some(moving) = moving.filter(|name| self.given_up.as_ref() != Some(name)) {
            if context.options.dry_run {
                return Ok(());
            }
            let deadline = wait::deadline(context.options.timeout.unwrap_or(wait::TIMEOUT));
            match wait::until_settled(context, &moving, deadline, AtEnd::Leave)? {
                Ended::Done => {}
                Ended::Early(Cause::Signal(signal)) => {
                    let name = signal.name();
                    let text = format!("{name}: the transition of {moving} goes on");
                    return Err(Failure::new(signal.exit(), text));
                }
                _ => self.given_up = Some(moving),
            }
        }
        let Some(loaded) = &self.loaded else {
            return Ok(());
        };
        let system = context.look()?;
        let status = system.find(loaded);
        if status.is_some_and(|status| status.state.is_applied()) {
            missing.remove(loaded);
            self.loaded = None;
        }
        Ok(())
    }
}

fn is_signal(exit: Exit) -> bool {
    matches!(exit, Exit::Hangup | Exit::Interrupted | Exit::Terminated)
}

/// Whether the kernel's command line has the parameter. The last one counts.
fn is_off(root: &Root) -> bool {
    let line = root.read("/proc/cmdline").unwrap_or_default();
    let words = line.split(|b| b.is_ascii_whitespace());
    let mut ours = words.filter(|word| word.starts_with(b"klpctl.enable="));
    ours.next_back() == Some(OFF)
}

/// Whether a patch is not loaded because of a crash. One that was loaded by hand since is in
/// effect, and others may depend on it.
fn is_held_back(context: &Context<'_>, crashed: &BTreeSet<Name>, patch: &Name) -> bool {
    crashed.contains(patch) && !context.root.exists(sysfs::folder_of(patch))
}

/// Whether a patch is not loaded because another one has replaced it, which the function prints.
fn is_replaced(context: &mut Context<'_>, patch: &Name, later: &[Patch]) -> Result<bool, Failure> {
    let Some(by) = replaced::successor(&context.root, patch, order::names(later)) else {
        return Ok(false);
    };
    if !context.options.dry_run {
        // A patch that stays noted is blamed for a crash without reason, which allow() mends.
        let _ = Store::new(&context.root).unmark(patch);
    }
    let members = vec![("patch", patch.into()), ("by", (&by).into())];
    context.event("replaced", members, &format!("{patch} is replaced by {by}"))?;
    Ok(true)
}

fn load_one(
    context: &mut Context<'_>,
    patch: &Patch,
    installed: &BTreeSet<Name>,
    crashed: &BTreeSet<Name>,
    missing: &BTreeMap<Name, Exit>,
) -> Outcome {
    let name = &patch.installed.name;
    if is_held_back(context, crashed, name) {
        return Err(Failure::error(format!(
            "it was loaded when the machine crashed; to have it loaded again: klpctl allow {name}"
        )));
    }
    if let Some(needed) = patch
        .needs
        .iter()
        .find(|needed| missing.contains_key(needed))
    {
        return Err(Failure::error(format!(
            "it needs {needed}, which is not applied"
        )));
    }
    let file = match &patch.file {
        Ok(file) => file,
        Err(failure) => return Err(Failure::new(failure.exit, failure.message.clone())),
    };
    if &file.name != name {
        let shown = name::escape(patch.installed.file.as_os_str().as_bytes());
        return Err(Failure::error(format!(
            "{shown} is the module {}",
            file.name
        )));
    }
    if let Some(reason) = trust::reason_against(&patch.installed.file) {
        return Err(Failure::error(reason));
    }
    let depends = file.info.modules("depends");
    for needed in &depends {
        // It may be in /lib/modules as well, where modprobe would find it.
        if is_held_back(context, crashed, needed) {
            return Err(Failure::error(format!(
                "it needs {needed}, which was loaded when the machine crashed"
            )));
        }
    }
    for needed in depends {
        let folder = Path::new("/sys/module").join(needed.as_os_str());
        if !installed.contains(&needed) && !context.root.exists(folder) {
            context.act(&Action::Probe(needed))?;
        }
    }
    load::load(context, file, patch.installed.file.clone(), Vec::new())
}
