// SPDX-License-Identifier: GPL-2.0

//! `klpctl load`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::wait::{self, Ended, Goal};
use super::{module_name, unload, Context, Outcome};
use crate::action::{self, Action};
use crate::exit::{Exit, Failure};
use crate::name::{self, Name};
use crate::system::{PatchStatus, State};

pub fn run(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let files = files(&context.options.operands)?;

    // The first change comes after the last check, so that an error in a later file changes
    // nothing.
    let mut modules = Vec::new();
    for (file, parameters) in files {
        modules.push((check(&file)?, file, parameters));
    }
    for (module, file, parameters) in modules {
        let exit = load(context, &module, file, parameters)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

/// Splits the operands into files, each with the parameters that follow it.
fn files(operands: &[OsString]) -> Result<Vec<(PathBuf, Vec<OsString>)>, Failure> {
    let mut files: Vec<(PathBuf, Vec<OsString>)> = Vec::new();

    for operand in operands {
        let bytes = operand.as_bytes();
        let parameter = bytes.contains(&b'=') && !Path::new(operand).exists();
        match files.last_mut() {
            Some((_, parameters)) if parameter => parameters.push(operand.clone()),
            None if parameter => {
                return Err(Failure::usage(format!(
                    "'{}' is a parameter, and wants a FILE before it",
                    name::escape(bytes)
                )))
            }
            _ => files.push((operand.into(), Vec::new())),
        }
    }
    Ok(files)
}

/// Checks that a file can be loaded. Returns the name of its module.
fn check(file: &Path) -> Result<Name, Failure> {
    let shown = name::escape(file.as_os_str().as_bytes());

    if let Err(error) = std::fs::File::open(file) {
        return Err(Failure::error(format!("{shown}: {error}")));
    }
    match action::module_info(file) {
        Some((_, false)) => Err(Failure::error(format!("{shown} is not a livepatch"))),
        Some((name, true)) => Ok(name),
        None => Ok(module_name(file.as_os_str())),
    }
}

fn load(
    context: &mut Context<'_>,
    module: &Name,
    file: PathBuf,
    parameters: Vec<OsString>,
) -> Outcome {
    let system = context.look()?;

    let going = |status: &PatchStatus| status.state == State::Disabled;
    if system.find_disabled(module).is_some() || system.find(module).is_some_and(going) {
        return Err(Failure::error(format!(
            "module {module} is loaded, but its patch is disabled, which the kernel cannot undo; \
             unload it first: klpctl unload {module}"
        )));
    }
    if let Some(moving) = system.moving() {
        return Err(Failure::new(
            Exit::of(&system),
            format!(
                "{} is in transition, and there can be one at a time; see klpctl wait, klpctl why",
                moving.patch.name
            ),
        ));
    }
    if let Some(status) = system.find(module) {
        let text = format!("{module} is loaded already: {}", status.state.word());
        let members = vec![
            ("patch", module.into()),
            ("state", status.state.word().into()),
        ];
        context.event("done", members, &text)?;
        return Ok(Exit::Done);
    }

    context.act(&Action::Insert { file, parameters })?;
    if context.options.dry_run {
        return Ok(Exit::Done);
    }
    let timeout = context.options.timeout.unwrap_or(wait::TIMEOUT);
    if wait::until_settled(context, module, Some(timeout))? == Ended::Done {
        return wait::finish(context, module, Goal::Applied);
    }
    let exit = wait::timed_out(context)?;
    match context.options.revert_on_timeout {
        true => revert(context, module),
        false => Ok(exit),
    }
}

/// Takes back a patch that was not applied in time. The reverting gets the default timeout, because
/// the given one may be short.
fn revert(context: &mut Context<'_>, module: &Name) -> Outcome {
    let exit = unload::unload(context, module, wait::TIMEOUT)?;

    match exit {
        Exit::Done => Err(Failure::error(format!(
            "{module} could not be applied in time, and was taken back"
        ))),
        _ => Ok(exit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_their_file() {
        let operands = ["a.ko", "x=1", "y=/z", "b.ko"].map(OsString::from);
        let files = files(&operands).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].0, Path::new("a.ko"));
        assert_eq!(files[0].1, ["x=1", "y=/z"]);
        assert!(files[1].1.is_empty());
        assert!(super::files(&operands[1..]).is_err());
    }
}
