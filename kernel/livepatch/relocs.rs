// SPDX-License-Identifier: GPL-2.0-or-later

//! Relocations of a livepatch module that are written when the patch is applied to an object.
//!
//! A section `.klp.rela.OBJECT.SECTION` has relocations for OBJECT. A section for vmlinux is
//! written when the livepatch module is loaded. A section for a module is written when that module
//! is loaded, or when the patch is enabled if the module is loaded already. Its symbols are named
//! `.klp.sym.OBJECT.SYMBOL,POSITION`. See `Documentation/livepatch/module-elf-format.rst`.

use crate::{
    edge::{
        abi::{
            Object,
            Patch, //
        },
        elf::{
            Image,
            Relocations,
            Symbol, //
        },
        log::Text, //
    },
    model::{
        names,
        relocs::{
            self,
            Sections, //
        }, //
    },
    symbols, //
};
use core::ffi::CStr;
use kernel::{
    bindings,
    prelude::*, //
};

// Every name that the parser accepts fits into its buffer. The parser refuses no symbol name that
// would fit.
const _: () = {
    assert!(bindings::KLP_OBJECT_NAME_LEN as usize > names::OBJECT_MAX);
    assert!(bindings::KLP_FUNC_NAME_LEN as usize == names::SYMBOL_MAX + 1);
};

/// Writes the relocations of one section if they are for `object`, `None` being vmlinux. Sleeps.
///
/// The module loader calls this for a livepatch module that is being loaded. If the function fails,
/// the loader frees the module with all relocations in it, so that none is cleared here.
///
/// # Errors
///
/// [`EINVAL`], with a message, if a name has the wrong format, or if a symbol is not marked, cannot
/// be found or must not be used; the architecture's error if it cannot write a relocation.
pub(crate) fn write_section(
    image: &Image<'_>,
    section: Relocations<'_>,
    object: Option<&CStr>,
) -> Result {
    let object = object.unwrap_or(c"vmlinux");
    if is_meant(section.name(), object)? {
        resolve_section(image, section, object)?;
        section.write()?;
    }
    Ok(())
}

/// Whether the section called `name` is for `object`.
fn is_meant(name: &CStr, object: &CStr) -> Result<bool> {
    let Some(meant) = names::section_object(name.to_bytes()) else {
        let name = Text(name);
        pr_err!("section {name} has an incorrectly formatted name\n");
        return Err(EINVAL);
    };
    Ok(meant == object.to_bytes())
}

/// Finds the symbols of a section that is for `object`.
fn resolve_section(image: &Image<'_>, section: Relocations<'_>, object: &CStr) -> Result {
    for (index, symbol) in section.symbols().enumerate() {
        resolve(image, symbol, index, object.to_bytes())?;
    }
    Ok(())
}

fn resolve(image: &Image<'_>, symbol: Symbol<'_>, index: usize, section_object: &[u8]) -> Result {
    let text = Text(symbol.name());
    if !symbol.is_livepatch() {
        pr_err!(
            "symbol {text} at rela sec {} idx {index} is not marked as a livepatch symbol\n",
            image.symbols()
        );
        return Err(EINVAL);
    }
    let Some(parsed) = names::symbol(text.0.to_bytes()) else {
        pr_err!("symbol {text} has an incorrectly formatted name\n");
        return Err(EINVAL);
    };

    let mut name = [0; bindings::KLP_FUNC_NAME_LEN as usize];
    let name = copy(parsed.name, &mut name)?;
    let mut object = [0; bindings::KLP_OBJECT_NAME_LEN as usize];
    let object = copy(parsed.object, &mut object)?;
    let object = (object != c"vmlinux").then_some(object);

    // A module's special sections may be in use before these relocations are written. So a section
    // for a module must not refer to vmlinux. Ordinary relocations can do that, because the symbols
    // of vmlinux are there from the start.
    if object.is_none() && section_object != b"vmlinux" {
        let name = Text(name);
        pr_err!(
            "invalid access to vmlinux symbol '{name}' from module-specific livepatch relocation section\n"
        );
        return Err(EINVAL);
    }
    symbol.set_address(symbols::find(object, name, parsed.position)?);
    Ok(())
}

/// Copies `bytes` into `buffer`, followed by a nul.
fn copy<'a>(bytes: &[u8], buffer: &'a mut [u8]) -> Result<&'a CStr> {
    // The parser accepts only names that fit.
    buffer
        .get_mut(..bytes.len())
        .ok_or(EINVAL)?
        .copy_from_slice(bytes);
    CStr::from_bytes_until_nul(buffer).map_err(|_| EINVAL)
}

/// The relocation sections of a patch's module, and a module that the patch changes.
struct ForObject<'a> {
    image: &'a Image<'a>,
    object: &'a CStr,
}

impl<'a> Sections for ForObject<'a> {
    type Section = Relocations<'a>;
    type Error = Error;

    fn all(&self) -> impl Iterator<Item = Relocations<'a>> {
        let sections = self.image.kept_sections();
        sections.filter_map(|section| section.relocations())
    }

    fn is_meant(&self, section: Relocations<'a>) -> Result<bool> {
        is_meant(section.name(), self.object)
    }

    fn resolve(&self, section: Relocations<'a>) -> Result {
        resolve_section(self.image, section, self.object)
    }

    fn write(&self, section: Relocations<'a>) -> Result {
        section.write()
    }

    fn clear(&self, section: Relocations<'a>) {
        section.clear();
    }
}

/// Writes the relocations that wait for `object`, or none of them if one cannot be written. Those
/// for vmlinux were written when the patch's module was loaded. Sleeps.
///
/// # Errors
///
/// As for [`write_section`].
pub(crate) fn write_for_object(patch: &Patch, object: &Object) -> Result {
    for_object(patch, object, |sections| relocs::write_all(sections)).unwrap_or(Ok(()))
}

/// Clears the relocations that [`write_for_object`] has written: the object goes away, or is
/// refused. Sleeps.
pub(crate) fn clear_for_object(patch: &Patch, object: &Object) {
    for_object(patch, object, |sections| relocs::clear_all(sections));
}

fn for_object<R>(
    patch: &Patch,
    object: &Object,
    body: impl FnOnce(&ForObject<'_>) -> R,
) -> Option<R> {
    let object = object.name()?;
    let image = Image::kept(patch.module())?;
    Some(body(&ForObject {
        image: &image,
        object,
    }))
}
