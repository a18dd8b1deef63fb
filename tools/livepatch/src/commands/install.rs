// SPDX-License-Identifier: GPL-2.0

//! `klpctl install`, `uninstall`, `installed` and `allow`

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::identity::Identity;
use crate::json::Json;
use crate::modfile::ModuleFile;
use crate::name::{self, Name};
use crate::order::{self, in_order, Patch};
use crate::replaced;
use crate::root::Root;
use crate::store::{running_kernel, Installed, Store, STORE};
use crate::sysfs;
use crate::term;

/// Returns the version of the kernel that `--kernel` names, or the running one.
fn wanted_kernel(context: &Context<'_>) -> Result<Name, Failure> {
    match &context.options.kernel {
        // It is the name of a directory.
        Some(kernel)
            if kernel.as_os_str().as_bytes().contains(&b'/') || kernel.starts_with("..") =>
        {
            let shown = name::escape(kernel.as_os_str().as_bytes());
            Err(Failure::usage(format!(
                "--kernel: '{shown}' is no version of a kernel"
            )))
        }
        Some(kernel) => Ok(kernel.as_os_str().into()),
        None => running_kernel(&context.root),
    }
}

/// Copies modules to the directory of the kernel that they are built for.
pub fn install(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let mut modules = Vec::new();
    for operand in &context.options.operands {
        let module = ModuleFile::read(operand.as_ref())?;
        let shown = name::escape(operand.as_bytes());
        let kernel = module.release().ok_or_else(|| {
            Failure::error(format!(
                "{shown} has no vermagic, so it is not known for which kernel it is"
            ))
        })?;
        modules.push((kernel, module));
    }
    for (kernel, module) in modules {
        let name = module.name.clone();
        let would = context.options.dry_run;
        let file = match would {
            true => Store::file_of(Path::new(STORE), &kernel, &module),
            false => Store::new(&context.root).install(&kernel, &module)?,
        };
        let shown = name::escape(file.as_os_str().as_bytes());
        let members = vec![
            ("patch", (&name).into()),
            ("kernel", (&kernel).into()),
            ("file", shown.as_str().into()),
        ];
        let (event, text) = match would {
            true => (
                "would",
                format!("would install {name} for {kernel}: {shown}"),
            ),
            false => (
                "installed",
                format!("{name} is installed for {kernel}: {shown}"),
            ),
        };
        context.event(event, members, &text)?;
    }
    Ok(Exit::Done)
}

pub fn uninstall(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let kernel = wanted_kernel(context)?;
    let patches = context.patch_names();
    let there = Store::new(&context.root).installed(&kernel)?;
    let is_there = |patch: &&Name| there.iter().any(|installed| &&installed.name == patch);
    // The first change comes after the last check.
    if let Some(patch) = patches.iter().find(|patch| !is_there(patch)) {
        return Err(Failure::new(
            Exit::Nothing,
            format!("{patch} is not installed for {kernel}; see klpctl installed"),
        ));
    }
    for patch in patches {
        let members = vec![("patch", (&patch).into()), ("kernel", (&kernel).into())];
        if context.options.dry_run {
            context.event(
                "would",
                members,
                &format!("would uninstall {patch} of {kernel}"),
            )?;
            continue;
        }
        Store::new(&context.root).uninstall(&kernel, &patch)?;
        let text = format!("{patch} is not installed for {kernel} any more");
        context.event("uninstalled", members, &text)?;
    }
    Ok(Exit::Done)
}

/// Lets patches be loaded at boot again that were loaded when the machine crashed.
pub fn allow(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let kernel = wanted_kernel(context)?;
    let patches = context.patch_names();
    let crashed = Store::new(&context.root).crashed(&kernel)?;
    // The first change comes after the last check.
    if let Some(patch) = patches.iter().find(|patch| !crashed.contains(patch)) {
        return Err(Failure::new(
            Exit::Nothing,
            format!("{patch} was not loaded in a crash of {kernel}; see klpctl installed"),
        ));
    }
    for patch in patches {
        let members = vec![("patch", (&patch).into()), ("kernel", (&kernel).into())];
        if context.options.dry_run {
            context.event(
                "would",
                members,
                &format!("would allow {patch} of {kernel}"),
            )?;
            continue;
        }
        Store::new(&context.root).allow(&kernel, &patch)?;
        let text = format!("{patch} of {kernel} is not held back any more");
        context.event("allowed", members, &text)?;
    }
    Ok(Exit::Done)
}

/// An installed patch, as the list shows it.
pub struct Row {
    kernel: Name,
    /// Whether that is the running kernel.
    pub running: bool,
    pub name: Name,
    pub state: &'static str,
    /// The patch that is in effect in its place, if its state is `replaced`.
    replaced_by: Option<Name>,
    /// Whether it is not loaded at boot, because the machine crashed while it was loaded.
    pub held_back: bool,
    file: PathBuf,
}

/// Returns the installed patches of all kernels.
pub fn rows(context: &Context<'_>) -> Result<Vec<Row>, Failure> {
    let store = Store::new(&context.root);
    let running = running_kernel(&context.root).ok();
    let mut rows = Vec::new();
    for kernel in store.kernels()? {
        let crashed = store.crashed(&kernel)?;
        let installed = store.installed(&kernel)?;
        if running.as_ref() == Some(&kernel) {
            rows_of_running(context, &kernel, &crashed, installed, &mut rows);
            continue;
        }
        rows.extend(installed.into_iter().map(|Installed { name, file }| {
            let held_back = crashed.contains(&name);
            Row {
                kernel: kernel.clone(),
                running: false,
                name,
                state: if held_back { "crashed" } else { "other kernel" },
                replaced_by: None,
                held_back,
                file,
            }
        }));
    }
    Ok(rows)
}

/// Adds the installed patches of the running kernel, in the order in which they are loaded.
fn rows_of_running(
    context: &Context<'_>,
    kernel: &Name,
    crashed: &BTreeSet<Name>,
    installed: Vec<Installed>,
    rows: &mut Vec<Row>,
) {
    let root = &context.root;
    let patches = in_order(installed);
    for (i, patch) in patches.iter().enumerate() {
        let Installed { name, file } = &patch.installed;
        let held_back = crashed.contains(name);
        let by = match held_back {
            true => None,
            false => replaced::successor(root, name, order::names(&patches[i + 1..])),
        };
        // A patch that is loaded by hand is in effect, whatever has crashed before.
        let state = match (root.exists(sysfs::folder_of(name)), held_back, &by) {
            (true, ..) if is_other_build(root, patch) => "another build",
            (true, ..) => "loaded",
            (_, true, _) => "crashed",
            (_, _, Some(_)) => "replaced",
            _ => "not loaded",
        };
        rows.push(Row {
            kernel: kernel.clone(),
            running: true,
            name: name.clone(),
            state,
            replaced_by: by,
            held_back,
            file: file.clone(),
        });
    }
}

/// Whether the loaded patch is known to be of another build than the installed file.
fn is_other_build(root: &Root, patch: &Patch) -> bool {
    let loaded = Identity::read(root, &patch.installed.name).build;
    let file = patch.file.as_ref();
    file.is_ok_and(|file| file.build.is_same(&loaded) == Some(false))
}

/// Lists the installed patches of all kernels.
pub fn list(context: &mut Context<'_>) -> Outcome {
    let rows = rows(context)?;
    let exit = match rows.is_empty() {
        true => Exit::Nothing,
        false => Exit::Done,
    };
    let shown = |file: &PathBuf| name::escape(file.as_os_str().as_bytes());
    if context.options.json {
        let patches = rows.iter().map(|row| {
            Json::Object(vec![
                ("kernel", (&row.kernel).into()),
                ("name", (&row.name).into()),
                ("state", row.state.into()),
                ("replaced_by", row.replaced_by.as_ref().into()),
                ("held_back", row.held_back.into()),
                ("file", shown(&row.file).into()),
            ])
        });
        let patches = patches.collect();
        let exit = Json::Number(exit as i64);
        context.print_json(vec![("exit", exit), ("patches", patches)])?;
    } else if rows.is_empty() {
        writeln!(context.out, "no livepatch is installed")?;
    } else {
        let cells = rows.iter().map(|row| {
            let state = match (row.state, &row.replaced_by) {
                (state @ ("loaded" | "another build"), _) if row.held_back => {
                    format!("{state}, held back")
                }
                (state, Some(by)) => format!("{state} by {by}"),
                (state, None) => state.to_owned(),
            };
            let name = row.name.to_string();
            vec![row.kernel.to_string(), name, state, shown(&row.file)]
        });
        let heading = ["KERNEL", "PATCH", "STATE", "FILE"];
        let cells: Vec<_> = cells.collect();
        let text = term::table(&heading, &cells, |_, _, cell| cell.to_owned());
        write!(context.out, "{text}")?;
    }
    Ok(exit)
}
