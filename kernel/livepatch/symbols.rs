// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a name means, and how long it is.

use crate::{
    edge::{
        abi::Module,
        kallsyms,
        log::Text, //
    },
    model::symbols::{
        self,
        Failure,
        Search, //
    }, //
};
use core::{
    ffi::CStr,
    ops::ControlFlow, //
};
use kernel::prelude::*;

/// The address of the symbol called `name` in `object`, or in vmlinux.
///
/// `position` says which of several, from 1, in the order of kallsyms; 0 says that there is one.
/// Sleeps.
///
/// # Errors
///
/// [`EINVAL`], with a message, if there is none, more than one, or not as many.
pub(crate) fn find(object: Option<&CStr>, name: &CStr, position: usize) -> Result<usize> {
    let mut search = Search::new(position);
    match object {
        None => find_in_vmlinux(name, &mut search),
        Some(module) => kallsyms::each_module_symbol(module, |found, address| {
            if found == name && search.see(address) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }),
    }
    result(search, object, name)
}

fn find_in_vmlinux(name: &CStr, search: &mut Search) {
    kallsyms::each_vmlinux_symbol(name, |address| {
        if search.see(address) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
}

/// Searches for many symbols at once, given by their names and positions. What they find, in the
/// same order, goes to [`result`]. Sleeps.
///
/// kallsyms finds a symbol of vmlinux by its name, but a module's only by looking at each: that is
/// done once.
///
/// # Errors
///
/// [`ENOMEM`].
pub(crate) fn search<'a>(
    object: Option<&CStr>,
    wanted: impl Iterator<Item = (&'a CStr, usize)>,
) -> Result<KVVec<Search>> {
    let mut searches = KVVec::new();
    let mut names = KVVec::new();
    for (name, position) in wanted {
        names.push((name, searches.len()), GFP_KERNEL)?;
        searches.push(Search::new(position), GFP_KERNEL)?;
    }
    let Some(module) = object else {
        for ((name, _), search) in names.iter().zip(searches.iter_mut()) {
            find_in_vmlinux(name, search);
        }
        return Ok(searches);
    };
    names.sort_unstable();
    kallsyms::each_module_symbol(module, |found, address| {
        let first = names.partition_point(|&(name, _)| name < found);
        let same = names
            .iter()
            .skip(first)
            .take_while(|(name, _)| *name == found);
        for &(_, place) in same {
            if let Some(search) = searches.get_mut(place) {
                search.see(address);
            }
        }
        ControlFlow::Continue(())
    });
    Ok(searches)
}

/// The address that a search for the symbol called `name` in `object` has found.
///
/// # Errors
///
/// As for [`find`].
pub(crate) fn result(search: Search, object: Option<&CStr>, name: &CStr) -> Result<usize> {
    search.result().map_err(|failure| {
        let text = Text(name);
        match failure {
            Failure::NotFound => pr_err!("symbol '{text}' not found in symbol table\n"),
            Failure::Ambiguous => {
                // The C core prints a null pointer for vmlinux here.
                let object = Text(object.unwrap_or(c"(null)"));
                pr_err!("unresolvable ambiguity for symbol '{text}' in object '{object}'\n");
            }
            Failure::TooFew => {
                let object = Text(object.unwrap_or(c"vmlinux"));
                let position = search.position();
                pr_err!(
                    "symbol position {position} for symbol '{text}' in object '{object}' not found\n"
                );
            }
        }
        EINVAL
    })
}

/// How long functions are.
pub(crate) struct Sizes<'a> {
    module: Option<&'a Module>,
    /// The addresses of the module's symbols.
    sorted: KVVec<usize>,
}

impl<'a> Sizes<'a> {
    /// Prepares to tell the sizes of many functions, most of them in `module`, or in vmlinux.
    /// Sleeps.
    ///
    /// kallsyms is quick to tell a size in vmlinux, but in a module it looks at each symbol: that
    /// is done once.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(module: Option<&'a Module>) -> Result<Self> {
        let mut sorted = KVVec::new();
        let mut pushed = Ok(());
        if let Some(module) = module {
            kallsyms::each_module_symbol(module.name(), |name, address| {
                // What has no name that means something does not end a function, either.
                if !name.is_empty() && !kallsyms::is_mapping_symbol(name) {
                    pushed = sorted.push(address, GFP_KERNEL);
                }
                match pushed {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
        }
        pushed?;
        sorted.sort_unstable();
        Ok(Self { module, sorted })
    }

    /// The size in bytes of the function at `address`, if kallsyms knows it.
    pub(crate) fn size(&self, address: usize) -> Option<usize> {
        match self.module.and_then(|module| module.region(address)) {
            Some(region) => symbols::size(address, &self.sorted, region),
            None => kallsyms::symbol_size(address),
        }
    }
}
