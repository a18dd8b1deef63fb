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
/// The module loader has read and checked the following, and keeps it while the value exists:
///
/// 1. `sections` points to the section headers of `module`, of which there are at least `count`.
/// 2. `section_names` points to the section names: a header's `sh_name` is the offset of a string.
/// 3. `symbols` is the index of a section header. Its `sh_addr` is the symbol table.
/// 4. `symbol_names` points to the symbol names: a symbol's `st_name` is the offset of a string.
pub(crate) struct Image<'a> {
    module: &'a Module,
    sections: *mut bindings::Elf64_Shdr,
    count: u32,
    section_names: *const c_char,
    symbol_names: *const c_char,
    symbols: u32,
}

/// A section of an [`Image`].
///
/// # Invariants
///
/// `header` is the header of `image` that has the index `index`.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    image: &'a Image<'a>,
    header: &'a bindings::Elf64_Shdr,
    index: u32,
}

/// A section that holds relocations, which are written when a livepatch is applied.
///
/// # Invariants
///
/// `sh_addr` and `sh_size` of the section's header are the place and the size of an array of
/// `Elf64_Rela`. Each element refers to a symbol in the image's table.
#[derive(Clone, Copy)]
pub(crate) struct Relocations<'a>(Section<'a>);

/// A symbol that a relocation refers to.
///
/// # Invariants
///
/// `symbol` points to a symbol in the table of `image`.
#[derive(Clone, Copy)]
pub(crate) struct Symbol<'a> {
    image: &'a Image<'a>,
    symbol: *mut bindings::Elf64_Sym,
}

impl<'a> Image<'a> {
    /// The module as the loader has it, while it loads it.
    ///
    /// # Safety
    ///
    /// The arguments are as the invariants of the type demand, for as long as `'a`.
    pub(crate) unsafe fn new(
        module: &'a Module,
        sections: *mut bindings::Elf64_Shdr,
        section_names: *const c_char,
        symbol_names: *const c_char,
        symbols: u32,
    ) -> Self {
        // INVARIANT: The loader does not pass the number of sections, and 0 is always safe. The
        // safety requirement covers the rest.
        Self {
            module,
            sections,
            count: 0,
            section_names,
            symbol_names,
            symbols,
        }
    }

    /// The sections and symbols that the loader keeps of a livepatch module.
    pub(crate) fn kept(module: &'a Module) -> Option<Self> {
        let ptr = module.as_ptr();
        // SAFETY: `ptr` points to a module by the invariant of `Module`. The loader sets `klp_info`
        // of a livepatch module before it calls the init function, which passes the patch in. No
        // caller comes earlier. The loader frees `klp_info` with the module. The field is null for
        // other modules.
        let info = unsafe { (*ptr).klp_info.as_ref() }?;
        // SAFETY: `ptr` points to a module, and `core_kallsyms` stays the same once the loader has
        // filled it in.
        let symbol_names = unsafe { (*ptr).core_kallsyms.strtab };
        // INVARIANT: The loader keeps these headers and names until it frees the module. The ELF
        // header has the number of the section headers.
        Some(Self {
            module,
            sections: info.sechdrs,
            count: u32::from(info.hdr.e_shnum),
            section_names: info.secstrings,
            symbol_names,
            symbols: info.symndx,
        })
    }

    /// The index of the symbol table.
    pub(crate) fn symbols(&self) -> u32 {
        self.symbols
    }

    /// The section with that index.
    ///
    /// # Safety
    ///
    /// The module has a section with that index.
    unsafe fn section(&'a self, index: u32) -> Section<'a> {
        // INVARIANT: The header is the one with that index.
        Section {
            image: self,
            // SAFETY: By the first invariant `sections` points to the headers, and by the safety
            // requirement there is one at `index`. Nothing writes to a header meanwhile.
            header: unsafe { &*self.sections.add(index as usize) },
            index,
        }
    }

    /// The relocations in the section with that index.
    ///
    /// # Safety
    ///
    /// The module has a section with that index, and it holds relocations that are written when a
    /// livepatch is applied.
    pub(crate) unsafe fn relocations(&'a self, index: u32) -> Relocations<'a> {
        // INVARIANT: By the safety requirement the section holds relocations. A livepatch module is
        // trusted to refer to symbols that it has, as `apply_relocate_add()` trusts it.
        // SAFETY: By the safety requirement there is a section with that index.
        Relocations(unsafe { self.section(index) })
    }

    /// The sections that the loader keeps, except for the first, which is the null section.
    pub(crate) fn kept_sections(&'a self) -> impl Iterator<Item = Section<'a>> {
        // SAFETY: By the first invariant the module has `count` sections at least.
        (1..self.count).map(|index| unsafe { self.section(index) })
    }

    /// The place of the symbol table.
    fn symbol_table(&self) -> *mut bindings::Elf64_Sym {
        // SAFETY: By the third invariant `symbols` is the index of a section.
        unsafe { self.section(self.symbols) }.address() as *mut bindings::Elf64_Sym
    }
}

impl<'a> Section<'a> {
    /// The section's name.
    pub(crate) fn name(self) -> &'a CStr {
        let offset = self.header.sh_name as usize;
        // SAFETY: By the second invariant of the image, `section_names` has a string at the offset
        // that the header gives, and keeps it.
        unsafe { CStr::from_char_ptr(self.image.section_names.add(offset)) }
    }

    /// The section's relocations, if it holds some that are written when a livepatch is applied.
    pub(crate) fn relocations(self) -> Option<Relocations<'a>> {
        let flags = self.header.sh_flags;
        // INVARIANT: The flag marks sections of such relocations. A livepatch module is trusted to
        // refer to symbols that it has, as `apply_relocate_add()` trusts it.
        (flags & u64::from(bindings::SHF_RELA_LIVEPATCH) != 0).then_some(Relocations(self))
    }

    /// Where it is in memory.
    pub(crate) fn address(self) -> usize {
        self.header.sh_addr as usize
    }

    /// Its size in bytes.
    pub(crate) fn size(self) -> usize {
        self.header.sh_size as usize
    }
}

impl<'a> Relocations<'a> {
    /// The section's name.
    pub(crate) fn name(self) -> &'a CStr {
        self.0.name()
    }

    /// The symbols that the relocations refer to, in order.
    pub(crate) fn symbols(self) -> impl Iterator<Item = Symbol<'a>> {
        let image = self.0.image;
        let table = image.symbol_table();
        let relocations = self.0.address() as *const bindings::Elf64_Rela;
        let count = self.0.size() / size_of::<bindings::Elf64_Rela>();
        (0..count).map(move |index| {
            // SAFETY: By the type invariants `relocations` is an array of `count` elements.
            let info = unsafe { (*relocations.add(index)).r_info };
            // SAFETY: The upper half of `r_info` is the index of a symbol, which is in the table by
            // the type invariants.
            let symbol = unsafe { table.add((info >> 32) as usize) };
            // INVARIANT: It is in the table of this image.
            Symbol { image, symbol }
        })
    }

    /// Writes the relocations. Their symbols have been resolved. Sleeps.
    ///
    /// If one cannot be written, those before it in the section are.
    pub(crate) fn write(self) -> Result {
        let Section { image, index, .. } = self.0;
        let module = image.module.as_ptr();
        let (sections, names) = (image.sections, image.symbol_names);
        // SAFETY: By the invariants of the image the arguments are the headers, the symbol names
        // and the symbol table of `module`; by those of this type the section at `index` holds
        // relocations.
        to_result(unsafe {
            bindings::apply_relocate_add(sections, names, image.symbols, index, module)
        })
    }

    /// Clears the relocations. Their symbols have the addresses with which [`Relocations::write`]
    /// has written them. Sleeps.
    ///
    /// x86 compares each relocation with the value that it would write, and stops at the first
    /// that differs. So this clears a section that was written in part in the same part, and
    /// repeats the architecture's message about the relocation that could not be written.
    pub(crate) fn clear(self) {
        let Section { image, index, .. } = self.0;
        let module = image.module.as_ptr();
        let (sections, names) = (image.sections, image.symbol_names);
        // SAFETY: The arguments are those of `write()`, for the same reasons.
        unsafe { bindings::klp_clear_relocations(sections, names, image.symbols, index, module) };
    }
}

impl<'a> Symbol<'a> {
    /// The symbol's name.
    pub(crate) fn name(self) -> &'a CStr {
        // SAFETY: `symbol` points to a symbol by the type invariants.
        let offset = unsafe { (*self.symbol).st_name } as usize;
        // SAFETY: By the fourth invariant of the image, `symbol_names` has a string at the offset
        // that the symbol gives, and keeps it.
        unsafe { CStr::from_char_ptr(self.image.symbol_names.add(offset)) }
    }

    /// Whether it is marked as one that is resolved when a livepatch is applied.
    pub(crate) fn is_livepatch(self) -> bool {
        // SAFETY: `symbol` points to a symbol by the type invariants.
        u32::from(unsafe { (*self.symbol).st_shndx }) == bindings::SHN_LIVEPATCH
    }

    /// Resolves the symbol.
    pub(crate) fn set_address(self, address: usize) {
        // SAFETY: `symbol` points to a symbol by the type invariants. There is no other writer: the
        // loader is the caller while it loads the module, and later callers hold `klp_mutex`.
        unsafe { (*self.symbol).st_value = address as u64 };
    }
}
