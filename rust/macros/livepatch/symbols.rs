// SPDX-License-Identifier: GPL-2.0-or-later

//! Functions and variables that a livepatch uses although they are not exported.
//!
//! A function is called by a jump, and a variable is found by a pointer. The kernel writes the
//! address into both when it loads the livepatch or the module that has the symbol:
//! `Documentation/livepatch/module-elf-format.rst` describes the relocations. Compilers and linkers
//! cannot make them. So the macro emits the same as `objtool klp diff`, and `objtool klp post-link`
//! makes the relocations from it at the end of the module's build:
//!
//! - a relocation of an ordinary kind, for a weak symbol `.klp.tombstone.NAME`, so that objtool
//!   understands the code;
//! - in the section `__klp_relocs.OBJECT` its place, its type, and the symbol
//!   `.klp.sym.OBJECT.NAME,POSITION` that takes the place of the other.

use super::names::{
    name,
    position,
    Name, //
};
use proc_macro2::TokenStream;
use quote::{
    format_ident,
    quote, //
};
use std::ffi::{
    CStr,
    CString, //
};
use syn::{
    parenthesized,
    parse::{
        Parse,
        ParseStream, //
    },
    punctuated::Punctuated,
    Attribute,
    BareFnArg,
    Error,
    Ident,
    Path,
    Result,
    ReturnType,
    Token,
    Type, //
};

/// The type of a function, as the livepatch declares it.
pub(super) struct Signature {
    pub(super) args: Punctuated<BareFnArg, Token![,]>,
    pub(super) output: ReturnType,
}

impl Parse for Signature {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let args;
        parenthesized!(args in input);
        let args: Punctuated<BareFnArg, _> = Punctuated::parse_terminated(&args)?;
        if let Some(attribute) = args.iter().flat_map(|arg| &arg.attrs).next() {
            return Err(Error::new_spanned(
                attribute,
                "the macro does not see attributes of arguments: a function has the same \
                 arguments in each configuration",
            ));
        }
        Ok(Self {
            args,
            output: input.parse()?,
        })
    }
}

/// The name after `as`, if there is one.
pub(super) fn alias(input: ParseStream<'_>) -> Result<Option<Ident>> {
    if input.peek(Token![as]) {
        input.parse::<Token![as]>()?;
        return input.parse().map(Some);
    }
    Ok(None)
}

/// The type of a symbol.
pub(super) enum Kind {
    Function(Signature),
    Variable(Type),
}

/// A symbol that the livepatch uses.
pub(super) struct Symbol {
    attributes: Vec<Attribute>,
    pub(super) name: Name,
    pub(super) position: usize,
    /// Its name in the livepatch.
    alias: Ident,
    pub(super) kind: Kind,
}

impl Parse for Symbol {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (positions, attributes): (Vec<_>, Vec<_>) = input
            .call(Attribute::parse_outer)?
            .into_iter()
            .partition(|attribute| attribute.path().is_ident("sympos"));
        let position = position(&positions)?;
        let condition = |path: &Path| path.is_ident("cfg") || path.is_ident("cfg_attr");
        if let Some(attribute) = attributes.iter().find(|attr| condition(attr.path())) {
            return Err(Error::new_spanned(
                attribute,
                "the kernel looks for the symbol in each configuration: the macro does not see \
                 this condition",
            ));
        }
        if !input.peek(Token![unsafe]) {
            return Err(input.error(
                "the compiler cannot check that the symbol has this type: \
                 claim it with `unsafe fn` or `unsafe static`, and a `// SAFETY:` comment",
            ));
        }
        input.parse::<Token![unsafe]>()?;
        let is_variable = input.peek(Token![static]);
        if is_variable {
            input.parse::<Token![static]>()?;
        } else {
            input.parse::<Token![fn]>()?;
        }
        let name = name(input)?;
        let Some(alias) = alias(input)?.or_else(|| name.ident.clone()) else {
            return Err(Error::new(
                name.span,
                "this is no name in Rust: give it one with `as`",
            ));
        };
        let kind = if is_variable {
            input.parse::<Token![:]>()?;
            Kind::Variable(input.parse()?)
        } else {
            Kind::Function(input.parse()?)
        };
        Ok(Self {
            attributes,
            name,
            position,
            alias,
            kind,
        })
    }
}

/// The symbols of a livepatch: the items by which it uses them, and their relocations.
#[derive(Default)]
pub(super) struct Symbols {
    items: TokenStream,
    /// The number of items, which makes the names of the assembler's symbols unique.
    count: usize,
    /// The assembler's text for all kernels.
    text: String,
    /// The text for kernels whose functions may begin with `ENDBR`.
    with_endbr: String,
    /// The text for other kernels.
    without_endbr: String,
}

/// A symbol of an object, from which places in the livepatch get their addresses.
struct Target<'a> {
    object: &'a str,
    name: &'a str,
    position: usize,
}

impl Target<'_> {
    /// The symbol of the relocation of an ordinary kind, in the assembler.
    fn tombstone(&self) -> String {
        format!("\".klp.tombstone.{}\"", self.name)
    }

    /// The declarations of both symbols. Weak symbols may be undefined.
    fn declare(&self) -> String {
        let Self {
            object,
            name,
            position,
        } = self;
        format!(
            ".weak {}\n.weak \".klp.sym.{object}.{name},{position}\"\n",
            self.tombstone()
        )
    }

    /// The entry for the place `place`, whose relocation has the type `kind` and adds `addend`.
    fn entry(&self, place: &str, kind: u32, addend: i64) -> String {
        let Self {
            object,
            name,
            position,
        } = self;
        format!(
            ".pushsection __klp_relocs.{object},\"a\",@progbits\n\
             .balign 8\n\
             .quad {place}\n\
             .quad \".klp.sym.{object}.{name},{position}\" + {addend}\n\
             .long {kind}\n\
             .long 0\n\
             .popsection\n"
        )
    }
}

const R_X86_64_64: u32 = 1;
const R_X86_64_PC32: u32 = 2;

/// A jump that continues `offset` bytes after the beginning of the target. Until the relocation is
/// written, and after it is cleared, the processor runs into the `int3` behind the jump.
fn jump(target: &Target<'_>, label: &str, offset: i64) -> String {
    let addend = offset - 4;
    let tombstone = target.tombstone();
    let entry = target.entry(&format!("{label} + 1"), R_X86_64_PC32, addend);
    format!("{label}:\n.byte 0xe9\n.long {tombstone} + {addend} - .\nint3\n{entry}")
}

/// A function of the assembler, with `body`, and with the padding that call thunks need.
fn function(name: &str, body: &str) -> String {
    format!(
        ".pushsection .text,\"ax\",@progbits\n\
         .balign 16\n\
         .skip 16, 0x90\n\
         .type {name}, @function\n\
         {name}:\n\
         {body}\
         .size {name}, . - {name}\n\
         .popsection\n"
    )
}

/// The name of an object or of a symbol, which [`symbol()`](super::names::symbol) has made of text.
fn text(name: &CStr) -> &str {
    name.to_str().unwrap_or_default()
}

impl Symbols {
    /// Adds a symbol of `object`.
    pub(super) fn add(&mut self, object: &str, symbol: &Symbol) {
        let target = Target {
            object,
            name: text(&symbol.name.text),
            position: symbol.position,
        };
        let Symbol {
            attributes, alias, ..
        } = symbol;
        match &symbol.kind {
            Kind::Function(signature) => {
                let link_name = self.next("call");
                let label = format!(".L{link_name}");
                self.text.push_str(&target.declare());
                self.text
                    .push_str(&function(&link_name, &jump(&target, &label, 0)));
                self.call(attributes, alias, signature, &link_name);
            }
            Kind::Variable(ty) => {
                let link_name = self.next("variable");
                self.slot(&target, &link_name);
                // This is a function, and not the static itself: no argument or local variable
                // could have the name of a static.
                self.items.extend(quote! {
                    #(#attributes)*
                    #[inline(always)]
                    fn #alias() -> *mut #ty {
                        #[allow(improper_ctypes)]
                        unsafe extern "C" {
                            #[link_name = #link_name]
                            safe static VARIABLE: ::kernel::livepatch::Variable<#ty>;
                        }
                        VARIABLE.get()
                    }
                });
            }
        }
    }

    /// Adds a function `alias` that calls the original of a function that is replaced: it
    /// continues after the instruction that ftrace replaces, as if nothing were patched.
    ///
    /// This instruction is the first one, or the one after `ENDBR`, which the kernel may have
    /// overwritten with a NOP of its own.
    pub(super) fn add_original(
        &mut self,
        object: &str,
        name: &CStr,
        position: usize,
        alias: &Ident,
        signature: &Signature,
    ) {
        let target = Target {
            object,
            name: text(name),
            position,
        };
        let link_name = self.next("original");
        let label = format!(".L{link_name}");
        let tombstone = target.tombstone();
        self.text.push_str(&target.declare());
        self.without_endbr
            .push_str(&function(&link_name, &jump(&target, &label, 5)));
        let first = format!("{label}_first");
        let second = format!("{label}_second");
        let with = format!("{label}_with");
        // The constants are written with all bits inverted: the bytes of an `ENDBR` must not be in
        // the code where no function begins.
        let mut body = String::new();
        for (place, inverted) in [(&first, "0x05e1f00c"), (&second, "0x29bfe0f0")] {
            body.push_str(&format!(
                "movl ${inverted}, %r11d\n\
                 notl %r11d\n\
                 .byte 0x44, 0x3b, 0x1d\n\
                 {place}:\n\
                 .long {tombstone} - 4 - .\n\
                 je {with}\n"
            ));
            body.push_str(&target.entry(place, R_X86_64_PC32, -4));
        }
        body.push_str(&jump(&target, &label, 5));
        body.push_str(&jump(&target, &with, 9));
        self.with_endbr.push_str(&function(&link_name, &body));
        self.call(&[], alias, signature, &link_name);
    }

    /// A name for the assembler.
    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("__klp_{what}_{}", self.count)
    }

    /// A pointer to the target.
    fn slot(&mut self, target: &Target<'_>, name: &str) {
        let tombstone = target.tombstone();
        self.text.push_str(&target.declare());
        self.text.push_str(&format!(
            ".pushsection .data,\"aw\",@progbits\n\
             .balign 8\n\
             {name}:\n\
             .L{name}:\n\
             .quad {tombstone}\n\
             .popsection\n"
        ));
        self.text
            .push_str(&target.entry(&format!(".L{name}"), R_X86_64_64, 0));
    }

    /// A function `alias` that calls the assembler's `link_name`. It is no `extern "C"` function,
    /// so that the livepatch cannot pass it to the kernel as a callback: the jump does not begin
    /// with `ENDBR`, and so is no target of an indirect call.
    fn call(
        &mut self,
        attributes: &[Attribute],
        alias: &Ident,
        signature: &Signature,
        link_name: &str,
    ) {
        let Signature { args, output } = signature;
        let types: Vec<&Type> = args.iter().map(|arg| &arg.ty).collect();
        let names: Vec<Ident> = (0..types.len())
            .map(|index| format_ident!("__arg{index}"))
            .collect();
        self.items.extend(quote! {
            #(#attributes)*
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            unsafe fn #alias(#(#names: #types),*) #output {
                #[allow(improper_ctypes)]
                unsafe extern "C" {
                    #[link_name = #link_name]
                    fn symbol(#(_: #types),*) #output;
                }
                // SAFETY: The livepatch claims that the symbol has this type. The caller answers
                // for the call.
                unsafe { symbol(#(#names),*) }
            }
        });
    }

    /// The items of the livepatch, and if it uses symbols, an expression that is true if their
    /// relocations have been made.
    pub(super) fn finish(mut self) -> (TokenStream, Option<TokenStream>) {
        if self.count == 0 {
            return (TokenStream::new(), None);
        }
        // This function is in every kernel that can load the livepatch.
        self.slot(
            &Target {
                object: "vmlinux",
                name: "klp_enable_patch",
                position: 0,
            },
            "__klp_linked",
        );
        // The mark for the module's build. The linker discards it.
        self.text.push_str(
            ".pushsection .discard.klp_post_link,\"a\",@progbits\n.byte 0\n.popsection\n",
        );
        let Self {
            items,
            text,
            with_endbr,
            without_endbr,
            ..
        } = self;
        let items = quote! {
            #items

            #[cfg(not(all(MODULE, CONFIG_X86_64, CONFIG_OBJTOOL)))]
            ::core::compile_error!(
                "`symbols` and originals need a module, and objtool with `klp post-link`, \
                 which there is for x86-64"
            );
            #[cfg(all(MODULE, CONFIG_X86_64, CONFIG_OBJTOOL))]
            ::core::arch::global_asm!(#text, options(att_syntax, raw));
            #[cfg(all(MODULE, CONFIG_X86_64, CONFIG_OBJTOOL, CONFIG_X86_KERNEL_IBT))]
            ::core::arch::global_asm!(#with_endbr, options(att_syntax, raw));
            #[cfg(all(MODULE, CONFIG_X86_64, CONFIG_OBJTOOL, not(CONFIG_X86_KERNEL_IBT)))]
            ::core::arch::global_asm!(#without_endbr, options(att_syntax, raw));
        };
        let linked = quote! {
            {
                unsafe extern "C" {
                    #[link_name = "__klp_linked"]
                    safe static LINKED: ::kernel::livepatch::Variable<::kernel::ffi::c_void>;
                }
                !LINKED.get().is_null()
            }
        };
        (items, Some(linked))
    }
}

/// The name of an object in the assembler.
pub(super) fn object_text(name: Option<&CString>) -> &str {
    name.map_or("vmlinux", |name| text(name))
}
