// SPDX-License-Identifier: GPL-2.0

//! The wait for a module that another process loads or unloads just now.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::{wait, Context};
use crate::exit::{Exit, Failure};
use crate::name::Name;
use crate::notice::Notices;
use crate::signals::Signals;
use crate::sysfs;

/// Waits until the kernel neither loads nor unloads a module. It shows no patch of the module
/// before `klp_enable_patch()`, and takes no other module of that name.
pub fn until_settled(context: &mut Context<'_>, module: &Name) -> Result<(), Failure> {
    let timeout = match context.options.dry_run {
        true => Duration::ZERO,
        false => context.options.timeout.unwrap_or(wait::TIMEOUT),
    };
    let deadline = wait::deadline(timeout);
    let mut notices = Notices::new();

    while sysfs::is_changing(&context.root, module) {
        let text = format!("another process loads or unloads module {module}");
        if let Some(signal) = context.signals.as_ref().and_then(Signals::take) {
            let text = format!("{}: {text}", signal.name());
            return Err(Failure::new(signal.exit(), text));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Failure::new(Exit::Error, text));
        }
        let signals: Vec<_> = context.signals.iter().map(AsFd::as_fd).collect();
        notices.wait(&signals, deadline)?;
    }
    Ok(())
}
