// SPDX-License-Identifier: GPL-2.0-or-later

//! The addresses of the functions that names stand for, and the sizes of functions.

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
/// `position` selects one of several symbols of that name, from 1, in the order of kallsyms. With 0
/// there must be only one. Sleeps.
///
/// # Errors
///
/// [`EINVAL`], with a message, if there is no such symbol, if there are several and `position` is
/// 0, or if there are fewer than `position`.
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

/// Searches for many symbols at once, given by their names and positions. The result has the
/// searches in the same order; the caller passes each to [`result`]. Sleeps.
///
/// kallsyms finds a symbol of vmlinux by its name. To find a symbol of a module it looks at all
/// symbols of the module, so this does that once for all names.
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
    // Most symbols of a module do not begin with the bytes that all wanted names begin with.
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
            Failure::NotFound => return not_found(name),
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

/// The error, with its message, if there is no symbol called `name`.
pub(crate) fn not_found(name: &CStr) -> Error {
    pr_err!("symbol '{}' not found in symbol table\n", Text(name));
    EINVAL
}

/// Up to this number, functions of a module are looked up one by one. kallsyms looks at a symbol
/// with a fifth of the instructions that it takes to pass the symbol to a caller.
const FEW: usize = 4;

/// The sizes of functions.
pub(crate) struct Sizes<'a> {
    module: Option<&'a Module>,
    /// The addresses in the module, sorted. Empty if there are no more than [`FEW`].
    extents: KVVec<Extent>,
}

impl<'a> Sizes<'a> {
    /// Prepares the sizes of the functions at `addresses`. Most of the functions are in `module`,
    /// or in vmlinux if there is no module. Sleeps.
    ///
    /// kallsyms finds a size in vmlinux quickly. To find a size in a module it looks at all symbols
    /// of the module, so for more than [`FEW`] functions this does that once for all of them.
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
                // As in kallsyms, symbols without a name and mapping symbols do not end a function.
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
