// SPDX-License-Identifier: GPL-2.0

//! `klpctl load`

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::wait::{self, AtEnd, Cause, Ended, Goal};
use super::{boot, check, loading, module_name, unload, Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::identity::{self, Build};
use crate::kmsg;
use crate::modfile::{self, ModuleFile};
use crate::modinfo::module_of;
use crate::name::{self, Name};
use crate::replaced;
use crate::root::Root;
use crate::signals::Signals;
use crate::store::{self, Store};
use crate::sysfs;
use crate::system::{PatchStatus, State};

pub fn run(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    context.catch_signals();
    let mut files = files(&context.options.operands)?;
    for (file, _) in &mut files {
        if let Some(found) = find(&context.root, file)? {
            *file = found;
        }
    }

    // The first change comes after the last check, so that an error in a later file changes
    // nothing.
    let mut modules = Vec::new();
    for (file, parameters) in files {
        modules.push((ModuleFile::read(&file)?, file, parameters));
    }
    for (module, file, parameters) in modules {
        let exit = load(context, &module, file, parameters)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

/// Loads the installed patches.
pub fn all(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    context.catch_signals();
    boot::run(context)
}

/// Splits the operands into files, each with the parameters that follow it. The value of a
/// parameter may have a slash, its name has none.
fn files(operands: &[OsString]) -> Result<Vec<(PathBuf, Vec<OsString>)>, Failure> {
    let mut files: Vec<(PathBuf, Vec<OsString>)> = Vec::new();

    for operand in operands {
        let bytes = operand.as_bytes();
        let parameter = bytes.iter().find(|b| b"/=".contains(b)) == Some(&b'=');
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

/// Finds the file of a module that is given by its name: among the installed patches, then among
/// the modules of the running kernel, as modprobe(8) does. A file of that name in the working
/// directory does not count: another user may have put it there.
fn find(root: &Root, operand: &Path) -> Result<Option<PathBuf>, Failure> {
    let bytes = operand.as_os_str().as_bytes();
    if bytes.contains(&b'/') || modfile::name_of(bytes).is_some() {
        return Ok(None);
    }
    let name = module_of(bytes);
    let kernel = store::running_kernel(root)?;
    let installed = Store::new(root).installed(&kernel)?;
    if let Some(installed) = installed.into_iter().find(|i| i.name == name) {
        return Ok(Some(installed.file));
    }
    let folder = Path::new("/lib/modules").join(kernel.as_os_str());
    let list = root
        .read_long(folder.join("modules.dep"))
        .unwrap_or_default();
    let mut files = list.split(|&b| b == b'\n').filter_map(|line| {
        let end = line.iter().position(|&b| b == b':')?;
        Some(Name::from(&line[..end]))
    });
    let file = files.find(|file| module_name(file.as_os_str()) == name);
    match file {
        Some(file) => Ok(Some(root.path(folder.join(file.as_os_str())))),
        None => {
            let path = name::shell(&[b"./", bytes].concat());
            let hint = match operand.is_file() {
                true => format!("; to load the file of that name: klpctl load {path}"),
                false => String::new(),
            };
            Err(Failure::error(format!(
                "{}: no patch of that name is installed for {kernel}, and /lib/modules/{kernel} \
                 has no such module{hint}",
                name::escape(bytes)
            )))
        }
    }
}

pub fn load(
    context: &mut Context<'_>,
    content: &ModuleFile,
    file: PathBuf,
    parameters: Vec<OsString>,
) -> Outcome {
    let module = &content.name;
    loading::until_settled(context, module)?;
    let system = context.look()?;

    let going = |status: &PatchStatus| status.state == State::Disabled;
    if system.find_disabled(module).is_some() || system.find(module).is_some_and(going) {
        return Err(Failure::error(format!(
            "module {module} is loaded, but its patch is disabled, which the kernel cannot undo; \
             unload it first: klpctl unload {module}"
        )));
    }
    let loaded = system.find(module);
    let same = loaded.and_then(|status| content.build.is_same(&status.patch.identity.build));
    if loaded.is_some() && same != Some(false) && !context.options.dry_run {
        // After a soft reboot the kernel still has the patch, but the record of this boot is new.
        Store::new(&context.root).mark(module)?;
    }
    if let Some(failure) = context.busy(&system) {
        return Err(failure);
    }
    if let Some(status) = loaded {
        if status.state == State::Unknown {
            return Err(wait::unreadable(module));
        }
        let loaded = &status.patch.identity.build;
        let unsure = match same {
            Some(true) => "",
            None if !context.options.replace => "; it is not known whether it is this build",
            Some(false) | None => return replace(context, content, loaded, file, parameters),
        };
        let text = format!(
            "{module} is loaded already: {}{unsure}",
            status.state.word()
        );
        let members = vec![
            ("patch", module.into()),
            ("state", status.state.word().into()),
            ("same_build", same.into()),
        ];
        context.event("done", members, &text)?;
        return Ok(Exit::Done);
    }

    insert(context, content, file, parameters)
}

/// Loads a build of a patch in place of one that is, or may be, another one. The kernel has one
/// module of a name, so the old build goes first, and tasks run the original functions in between.
/// The old build stays if the kernel would refuse the new one.
fn replace(
    context: &mut Context<'_>,
    content: &ModuleFile,
    loaded: &Build,
    file: PathBuf,
    parameters: Vec<OsString>,
) -> Outcome {
    let module = &content.name;
    let (old, new) = (loaded.text(&content.build), content.build.text(loaded));
    let shown = name::escape(file.as_os_str().as_bytes());
    if !context.options.replace {
        return Err(Failure::error(format!(
            "another build of {module} is loaded, {old}; {shown} is {new}; to load it in place of \
             the other: klpctl load --replace {}",
            name::shell(file.as_os_str().as_bytes())
        )));
    }
    let against = check::against(&context.root, content);
    if !against.is_empty() {
        return Err(Failure::error(format!(
            "{shown} cannot take the place of the loaded build, which stays: {}",
            against.join("; ")
        )));
    }
    let members = vec![
        ("patch", module.into()),
        ("old", old.as_str().into()),
        ("new", new.as_str().into()),
    ];
    let text = format!(
        "{module}, {old}, is unloaded first for {new}; until that is applied, tasks run the \
         original functions"
    );
    context.event("replace", members, &text)?;
    let timeout = context.options.timeout.unwrap_or(wait::TIMEOUT);
    match unload::unload(context, module, timeout)? {
        Exit::Done => insert(context, content, file, parameters)
            .map_err(|failure| without_a_build(&context.root, module, failure)),
        exit => Ok(exit),
    }
}

/// Adds to the error that the old build is gone, unless the new one is loaded all the same.
fn without_a_build(root: &Root, module: &Name, mut failure: Failure) -> Failure {
    if !root.exists(Path::new("/sys/module").join(module.as_os_str())) {
        if !failure.message.is_empty() {
            failure.message += "; ";
        }
        failure.message += &format!(
            "the other build is unloaded already, so no build of {module} is loaded and tasks run \
             the original functions; load a build that the kernel takes: klpctl load FILE"
        );
    }
    failure
}

fn insert(
    context: &mut Context<'_>,
    content: &ModuleFile,
    file: PathBuf,
    parameters: Vec<OsString>,
) -> Outcome {
    let module = &content.name;
    if let Some(signal) = context.signals.as_ref().and_then(Signals::take) {
        return Err(Failure::new(
            signal.exit(),
            format!("{} has come before {module} was loaded", signal.name()),
        ));
    }
    // The time begins before the module's own functions run, which may take long.
    let deadline = wait::deadline(context.options.timeout.unwrap_or(wait::TIMEOUT));
    if !context.options.dry_run {
        Store::new(&context.root).mark(module)?;
    }
    let log_before = kmsg::newest(&context.root);
    let before = replaced::others(&context.root, module);
    let inserted = context.act(&Action::Insert { file, parameters });
    if context.options.dry_run {
        return inserted.map(|()| Exit::Done);
    }
    if let Err(mut failure) = inserted {
        // A signal that is sent to insmod as well, as when a service is stopped, can end it after
        // the kernel has loaded the module.
        let killed = failure.exit != Exit::Error;
        if !killed || !context.root.exists(sysfs::folder_of(module)) {
            // A patch that the kernel has refused crashes nothing. If this fails, allow() mends it.
            let _ = Store::new(&context.root).unmark(module);
            let words = kmsg::about_loading(&context.root, module, log_before.unwrap_or(u64::MAX));
            if !words.is_empty() {
                failure.message += "; the kernel says: ";
                failure.message += &words.join("; ");
            }
            return Err(failure);
        }
    }
    // Without the record klpctl knows less of the patch, which status shows.
    let _ = identity::keep(&context.root, content);
    replaced::keep(&context.root, module, &before);
    let outcome = finish(context, module, deadline);
    for old in replaced::settle(&context.root, module, before) {
        // A patch that stays noted is blamed for a crash without reason, which allow() mends.
        let _ = Store::new(&context.root).unmark(&old);
    }
    outcome
}

/// Waits for the end of the transition, and takes the patch back if that is wanted.
pub fn finish(context: &mut Context<'_>, module: &Name, deadline: Option<Instant>) -> Outcome {
    if !context.options.revert_on_timeout {
        return follow(context, module, deadline, AtEnd::Leave);
    }
    // The patch is taken back even if the output fails meanwhile.
    let mut out = Lasting {
        out: &mut *context.out,
        error: None,
    };
    let mut inner = Context {
        options: context.options,
        root: context.root.clone(),
        term: context.term,
        out: &mut out,
        signals: context.signals.take(),
    };
    let outcome = follow(&mut inner, module, deadline, AtEnd::TurnBack);
    context.signals = inner.signals;
    match out.error {
        None => outcome,
        Some(error) => Err(unwritten(outcome, error.into())),
    }
}

fn follow(
    context: &mut Context<'_>,
    module: &Name,
    deadline: Option<Instant>,
    at_end: AtEnd,
) -> Outcome {
    match wait::until_settled(context, module, deadline, at_end)? {
        Ended::Done => wait::finish(context, module, Goal::Applied),
        Ended::Early(cause) => wait::ended_early(context, module, cause),
        Ended::TurnedBack(cause, written) => take_back(context, module, cause, written),
    }
}

/// Output that takes everything, and keeps the first error for the end.
struct Lasting<'a> {
    out: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Lasting<'_> {
    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(self.out).err();
        }
    }
}

impl Write for Lasting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|out| out.flush());
        Ok(())
    }
}

/// Adds the failure of the output to an outcome. The exit status tells of the patch, if that is
/// not as wanted.
fn unwritten(outcome: Outcome, output: Failure) -> Failure {
    match outcome {
        Ok(Exit::Done) => output,
        Ok(exit) => Failure::new(exit, output.message),
        Err(mut failure) => {
            if !output.message.is_empty() {
                failure.message += "; ";
                failure.message += &output.message;
            }
            failure
        }
    }
}

/// Goes on with a patch that has been disabled because it was not applied in time. The function
/// waits until the patch is gone, and unloads its module. That has the default timeout, because the
/// given one is over.
fn take_back(
    context: &mut Context<'_>,
    module: &Name,
    cause: Cause,
    written: Result<(), Failure>,
) -> Outcome {
    let (when, why) = match cause {
        Cause::Timeout => ("in time", "timeout"),
        Cause::Signal(signal) => ("yet", signal.name()),
    };
    let prefix = match cause {
        Cause::Timeout => String::new(),
        Cause::Signal(signal) => format!("{}: ", signal.name()),
    };
    let members = vec![("patch", module.into()), ("cause", why.into())];
    let text = format!("{prefix}{module} is not applied {when}, and is taken back");
    context.event("revert", members, &text)?;
    written?;

    match unload::unload(context, module, wait::TIMEOUT)? {
        Exit::Done => Err(Failure::new(
            Exit::TakenBack,
            format!("{prefix}{module} was not applied {when}, and was taken back"),
        )),
        exit => Ok(exit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Scratch;

    #[test]
    fn the_old_build_is_gone() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        let text = |message: &str| {
            let failure = Failure::error(message);
            without_a_build(&root, &"a".into(), failure).message
        };
        let end = "the other build is unloaded already, so no build of a is loaded and tasks run \
                   the original functions; load a build that the kernel takes: klpctl load FILE";
        assert_eq!(
            text("insmod x.ko: refused"),
            format!("insmod x.ko: refused; {end}")
        );
        assert_eq!(text(""), end);
        std::fs::create_dir_all(scratch.path().join("sys/module/a")).unwrap();
        assert_eq!(text("too slow"), "too slow");
    }

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

    #[test]
    fn an_equals_sign_in_a_path() {
        let operands = ["a/x=1.ko", "b=2.ko", "./c=3"].map(OsString::from);
        let files = files(&operands).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].1, ["b=2.ko"]);
        assert_eq!(files[1].0, Path::new("./c=3"));
    }
}
