// SPDX-License-Identifier: GPL-2.0-or-later

//! Relocations of a livepatch module that are written when what they refer to is there.
//!
//! A section `.klp.rela.OBJECT.SECTION` is written when OBJECT is patched: that of vmlinux when the
//! module is loaded, any other when the object is. Its symbols are named
//! `.klp.sym.OBJECT.SYMBOL,POSITION`. See `Documentation/livepatch/module-elf-format.rst`.

#![deny(unsafe_code)]

use super::{
    abi::{
        Object,
        Patch, //
    },
    elf::{
        Image,
        Section,
        Symbol, //
    },
    host::{
        klp_err,
        Text, //
    },
    model::names,
    symbols, //
};
use crate::{
    bindings,
    prelude::*, //
};
use core::ffi::CStr;

// What the parser lets through fits, and nothing else would be refused.
const _: () = {
    assert!(bindings::KLP_OBJECT_NAME_LEN as usize > names::OBJECT_MAX);
    assert!(bindings::KLP_FUNC_NAME_LEN as usize == names::SYMBOL_MAX + 1);
};

/// Writes the relocations of one section if they are for `object`, `None` being vmlinux; clears
/// them if `apply` is false. Sleeps.
///
/// # Errors
///
/// [`EINVAL`], with a message, for a name that cannot be understood and for a symbol that is not
/// marked, that cannot be found or that must not be used; what writing them returns.
pub(crate) fn write_section(
    image: &Image<'_>,
    section: Section<'_>,
    object: Option<&CStr>,
    apply: bool,
) -> Result {
    let Some(meant) = names::section_object(section.name().to_bytes()) else {
        klp_err!(
            "section {} has an incorrectly formatted name\n",
            Text(section.name())
        );
        return Err(EINVAL);
    };
    if meant != object.unwrap_or(c"vmlinux").to_bytes() {
        return Ok(());
    }
    if apply {
        for (index, symbol) in image.relocated_symbols(section).enumerate() {
            resolve(image, symbol, index, meant)?;
        }
    }
    image.relocate(section, apply)
}

fn resolve(image: &Image<'_>, symbol: Symbol<'_>, index: usize, section_object: &[u8]) -> Result {
    let text = Text(symbol.name());
    if !symbol.is_livepatch() {
        klp_err!(
            "symbol {text} at rela sec {} idx {index} is not marked as a livepatch symbol\n",
            image.symbols()
        );
        return Err(EINVAL);
    }
    let Some(parsed) = names::symbol(text.0.to_bytes()) else {
        klp_err!("symbol {text} has an incorrectly formatted name\n");
        return Err(EINVAL);
    };

    let mut name = [0; bindings::KLP_FUNC_NAME_LEN as usize];
    let name = copy(parsed.name, &mut name)?;
    let mut object = [0; bindings::KLP_OBJECT_NAME_LEN as usize];
    let object = copy(parsed.object, &mut object)?;
    let object = (object != c"vmlinux").then_some(object);

    // A module's special sections may be in use before the module's relocations are written; what
    // vmlinux has is there from the start, by ordinary relocations.
    if object.is_none() && section_object != b"vmlinux" {
        let name = Text(name);
        klp_err!(
            "invalid access to vmlinux symbol '{name}' from module-specific livepatch relocation section\n"
        );
        return Err(EINVAL);
    }
    symbol.set_address(symbols::find(object, name, parsed.position)?);
    Ok(())
}

/// `bytes`, in `buffer` and followed by a nul.
fn copy<'a>(bytes: &[u8], buffer: &'a mut [u8]) -> Result<&'a CStr> {
    // The parser lets through what fits.
    buffer
        .get_mut(..bytes.len())
        .ok_or(EINVAL)?
        .copy_from_slice(bytes);
    CStr::from_bytes_until_nul(buffer).map_err(|_| EINVAL)
}

/// Writes the relocations that wait for `object`, a module that is loaded. Sleeps.
pub(crate) fn apply_for_object(patch: &Patch, object: &Object) -> Result {
    write_for_object(patch, object, true)
}

/// Clears the relocations that [`apply_for_object`] wrote: the object goes away.
pub(crate) fn clear_for_object(patch: &Patch, object: &Object) {
    // Clearing resolves nothing, so that the names alone could be refused: those of the sections,
    // which were good when they were written.
    let _ = write_for_object(patch, object, false);
}

fn write_for_object(patch: &Patch, object: &Object, apply: bool) -> Result {
    let Some((image, count)) = Image::kept(patch.module()) else {
        return Ok(());
    };
    for section in image.kept_sections(count) {
        if section.has_livepatch_relocations() {
            write_section(&image, section, object.name(), apply)?;
        }
    }
    Ok(())
}
