// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a name means, and how long it is.

use crate::{
    edge::{
        abi::Module,
        kallsyms::{
            self,
            Prefix, //
        },
        log::Text, //
    },
    model::symbols::{
        self,
        Extent,
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
            if found.cmp(name).is_eq() && search.see(address) {
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
/// kallsyms finds the symbols of vmlinux by their names, but a module's only by looking at each:
/// that is done once.
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
    names.sort_unstable();
    let Some(module) = object else {
        let mut sorted = KVVec::new();
        for &(name, _) in &names {
            sorted.push(name, GFP_KERNEL)?;
        }
        kallsyms::each_vmlinux_symbol_of(&sorted, |index, address| {
            let place = names.get(index).map(|&(_, place)| place);
            if let Some(search) = place.and_then(|place| searches.get_mut(place)) {
                search.see(address);
            }
        })?;
        return Ok(searches);
    };
    let (Some(&(first, _)), Some(&(last, _))) = (names.first(), names.last()) else {
        return Ok(searches);
    };
    // Most symbols differ from all of the names in bytes that all of them share.
    let prefix = Prefix::shared_by(first, last);
    for (name, _) in names.iter_mut() {
        *name = prefix.rest_of(name);
    }
    kallsyms::each_module_symbol(module, |found, address| {
        let Some(found) = found.strip_prefix(&prefix) else {
            return ControlFlow::Continue(());
        };
        let first = names.partition_point(|&(name, _)| found.cmp(name).is_gt());
        let same = names
            .iter()
            .skip(first)
            .take_while(|(name, _)| found.cmp(name).is_eq());
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

/// So many functions of a module are looked up one by one: kallsyms looks at a symbol with a fifth
/// of the instructions that it takes to pass it to us.
const FEW: usize = 4;

/// How long functions are.
pub(crate) struct Sizes<'a> {
    module: Option<&'a Module>,
    /// The addresses in the module, in order; none if they are few.
    extents: KVVec<Extent>,
}

impl<'a> Sizes<'a> {
    /// Prepares to tell the sizes of the functions at `addresses`, most of them in `module`, or in
    /// vmlinux. Sleeps.
    ///
    /// kallsyms is quick to tell a size in vmlinux, but in a module it looks at each symbol. If
    /// there are more than a [`FEW`], that is done once.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn new(
        module: Option<&'a Module>,
        addresses: impl Iterator<Item = usize>,
    ) -> Result<Self> {
        let mut extents = KVVec::new();
        let Some(within) = module else {
            return Ok(Self { module, extents });
        };
        for address in addresses.filter(|&address| within.region(address).is_some()) {
            extents.push(Extent::new(address), GFP_KERNEL)?;
        }
        if extents.len() <= FEW {
            extents.clear();
        } else {
            extents.sort_unstable_by_key(|extent| extent.address());
            kallsyms::each_module_symbol(within.name(), |name, address| {
                // A symbol whose name means nothing does not end a function, either.
                if !name.is_empty() && !name.is_mapping() {
                    symbols::see(&mut extents, address);
                }
                ControlFlow::Continue(())
            });
            symbols::finish(&mut extents);
        }
        Ok(Self { module, extents })
    }

    /// The size in bytes of the function at `address`, if kallsyms knows it.
    pub(crate) fn size(&self, address: usize) -> Option<usize> {
        let Some(region) = self.module.and_then(|module| module.region(address)) else {
            return kallsyms::symbol_size(address);
        };
        if self.extents.is_empty() {
            return kallsyms::symbol_size(address);
        }
        let place = self
            .extents
            .binary_search_by_key(&address, |extent| extent.address());
        self.extents.get(place.ok()?)?.size(region)
    }
}
