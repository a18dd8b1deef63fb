// SPDX-License-Identifier: GPL-2.0-or-later

//! The ELF sections and symbols of a livepatch module, as the module loader has them.

use crate::edge::abi::Module;
use core::ffi::CStr;
use kernel::{
    bindings,
    error::to_result,
    ffi::c_char,
    prelude::*, //
};

/// A livepatch module's sections and symbols.
///
/// # Invariants
///
/// The pointers are to the section headers, to the names of the sections and of the symbols, of
/// `module`, which the module loader has read and checked; `symbols` is the index of the symbol
/// table among the sections.
pub(crate) struct Image<'a> {
    module: &'a Module,
    sections: *mut bindings::Elf64_Shdr,
    section_names: *const c_char,
    symbol_names: *const c_char,
    symbols: u32,
}

/// A section of an [`Image`].
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    header: &'a bindings::Elf64_Shdr,
    index: u32,
    names: *const c_char,
}

/// A symbol that a relocation refers to.
#[derive(Clone, Copy)]
pub(crate) struct Symbol<'a> {
    symbol: *mut bindings::Elf64_Sym,
    names: *const c_char,
    _image: core::marker::PhantomData<&'a ()>,
}

impl<'a> Image<'a> {
    /// The module as the loader has it, while it loads it.
    ///
    /// # Safety
    ///
    /// As the type invariants say, for as long as `'a`.
    pub(crate) unsafe fn new(
        module: &'a Module,
        sections: *mut bindings::Elf64_Shdr,
        section_names: *const c_char,
        symbol_names: *const c_char,
        symbols: u32,
    ) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            module,
            sections,
            section_names,
            symbol_names,
            symbols,
        }
    }

    /// What the loader keeps of a livepatch module, and how many sections that has.
    pub(crate) fn kept(module: &'a Module) -> Option<(Self, u32)> {
        let ptr = module.as_ptr();
        // SAFETY: A livepatch module has kept this from before its init function is called, and
        // keeps it until it is freed.
        unsafe {
            let info = (*ptr).klp_info.as_ref()?;
            // INVARIANT: This is what the loader has kept.
            let image = Self {
                module,
                sections: info.sechdrs,
                section_names: info.secstrings,
                symbol_names: (*ptr).core_kallsyms.strtab,
                symbols: info.symndx,
            };
            Some((image, u32::from(info.hdr.e_shnum)))
        }
    }

    /// The index of the symbol table.
    pub(crate) fn symbols(&self) -> u32 {
        self.symbols
    }

    /// The section with that index, which there must be.
    ///
    /// # Safety
    ///
    /// The module has as many sections.
    pub(crate) unsafe fn section(&self, index: u32) -> Section<'_> {
        Section {
            // SAFETY: By the type invariants and the safety requirement.
            header: unsafe { &*self.sections.add(index as usize) },
            index,
            names: self.section_names,
        }
    }

    /// The sections that the loader keeps, but for the first, which is none.
    pub(crate) fn kept_sections(&self, count: u32) -> impl Iterator<Item = Section<'_>> {
        // SAFETY: `count` is what `kept()` has returned.
        (1..count).map(|index| unsafe { self.section(index) })
    }

    /// The symbols that the relocations in `section` refer to, in order.
    pub(crate) fn relocated_symbols(
        &self,
        section: Section<'_>,
    ) -> impl Iterator<Item = Symbol<'_>> {
        let relocations = section.header.sh_addr as *const bindings::Elf64_Rela;
        let count = section.header.sh_size as usize / size_of::<bindings::Elf64_Rela>();
        (0..count).map(move |index| {
            // SAFETY: By the type invariants the symbol table is kept, and a livepatch module is
            // trusted to refer to symbols that there are, as `apply_relocate_add()` trusts it.
            unsafe {
                let symbol = (*relocations.add(index)).r_info >> 32;
                let table = (*self.sections.add(self.symbols as usize)).sh_addr;
                Symbol {
                    symbol: (table as *mut bindings::Elf64_Sym).add(symbol as usize),
                    names: self.symbol_names,
                    _image: core::marker::PhantomData,
                }
            }
        })
    }

    /// Writes the relocations of a section, whose symbols are resolved. Sleeps.
    ///
    /// If one cannot be written, those before it in the section are.
    pub(crate) fn write(&self, section: Section<'_>) -> Result {
        // SAFETY: By the type invariants.
        to_result(unsafe {
            bindings::apply_relocate_add(
                self.sections,
                self.symbol_names,
                self.symbols,
                section.index,
                self.module.as_ptr(),
            )
        })
    }

    /// Clears the relocations of a section, whose symbols have the addresses with which
    /// [`Image::write`] has written it. Sleeps.
    ///
    /// x86 compares each relocation with the value that it would write, and stops at the first
    /// that differs. So this clears a section that was written in part in the same part, and
    /// repeats the architecture's message about the relocation that could not be written.
    pub(crate) fn clear(&self, section: Section<'_>) {
        // SAFETY: By the type invariants.
        unsafe {
            bindings::klp_clear_relocations(
                self.sections,
                self.symbol_names,
                self.symbols,
                section.index,
                self.module.as_ptr(),
            )
        };
    }
}

impl Section<'_> {
    /// The section's name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: By the invariants of the image that the section is of.
        unsafe { CStr::from_char_ptr(self.names.add(self.header.sh_name as usize)) }
    }

    /// Whether it holds relocations that are written when a livepatch is applied.
    pub(crate) fn has_livepatch_relocations(&self) -> bool {
        self.header.sh_flags & u64::from(bindings::SHF_RELA_LIVEPATCH) != 0
    }

    /// Where it is in memory.
    pub(crate) fn address(&self) -> usize {
        self.header.sh_addr as usize
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.header.sh_size as usize
    }
}

impl Symbol<'_> {
    /// The symbol's name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: By the invariants of the image that the symbol is of.
        unsafe { CStr::from_char_ptr(self.names.add((*self.symbol).st_name as usize)) }
    }

    /// Whether it is marked as one that is resolved when a livepatch is applied.
    pub(crate) fn is_livepatch(&self) -> bool {
        // SAFETY: By the invariants of the image that the symbol is of.
        u32::from(unsafe { (*self.symbol).st_shndx }) == bindings::SHN_LIVEPATCH
    }

    /// Resolves the symbol.
    pub(crate) fn set_address(&self, address: usize) {
        // SAFETY: By the invariants of the image that the symbol is of; the table is written by
        // the loader of the module and, under `klp_mutex`, here.
        unsafe { (*self.symbol).st_value = address as u64 };
    }
}
