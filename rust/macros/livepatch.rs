// SPDX-License-Identifier: GPL-2.0-or-later

//! [`module_livepatch!`](crate::module_livepatch).

mod names;
mod symbols;
mod types;

use self::{
    names::{
        fixes_field,
        name,
        position,
        symbol,
        Name, //
    },
    symbols::{
        Signature,
        Symbol,
        Symbols, //
    }, //
};
use std::ffi::CString;

use proc_macro2::{
    Span,
    TokenStream,
    TokenTree, //
};
use quote::{
    format_ident,
    quote,
    quote_spanned, //
};
use syn::{
    braced,
    bracketed,
    ext::IdentExt,
    parse::{
        Parse,
        ParseStream, //
    },
    punctuated::Punctuated,
    spanned::Spanned,
    Attribute,
    Error,
    Ident,
    LitBool,
    LitStr,
    Path,
    Result,
    Token, //
};

/// A function that is replaced.
struct Func {
    name: Name,
    position: usize,
    /// The name by which the livepatch calls the original.
    original: Option<Ident>,
    signature: Signature,
    new: Path,
}

impl Parse for Func {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let position = position(&input.call(Attribute::parse_outer)?)?;
        if !input.peek(Token![unsafe]) {
            return Err(input.error(
                "the compiler cannot check that the original has this type: \
                 vouch for it with `unsafe fn` and a `// SAFETY:` comment",
            ));
        }
        input.parse::<Token![unsafe]>()?;
        input.parse::<Token![fn]>()?;
        let name = name(input)?;
        let original = symbols::alias(input)?;
        let signature = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Func {
            name,
            position,
            original,
            signature,
            new: input.parse()?,
        })
    }
}

fn check_duplicate(key: &Ident, duplicate: bool) -> Result<()> {
    if duplicate {
        return Err(Error::new_spanned(key, format!("duplicated key \"{key}\"")));
    }
    Ok(())
}

/// An object: the kernel, without a name, or a module.
struct Object {
    name: Option<CString>,
    name_span: Span,
    callbacks: Option<Path>,
    funcs: Vec<Func>,
    symbols: Vec<Symbol>,
}

impl Parse for Object {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name_span = input.span();
        let name = if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            if name.value() == "vmlinux" {
                return Err(Error::new_spanned(
                    name,
                    "no module has this name: the kernel is `vmlinux` without quotation marks",
                ));
            }
            Some(symbol(&name.value(), name.span())?)
        } else {
            let name: Ident = input.parse()?;
            if name != "vmlinux" {
                return Err(Error::new_spanned(
                    name,
                    "an object is `vmlinux`, or the name of a module in quotation marks",
                ));
            }
            None
        };
        input.parse::<Token![:]>()?;
        let fields;
        braced!(fields in input);

        let mut callbacks = None;
        let mut funcs = None;
        let mut symbols = None;
        while !fields.is_empty() {
            let key: Ident = fields.parse()?;
            fields.parse::<Token![:]>()?;
            let duplicate = match &*key.to_string() {
                "callbacks" => callbacks.replace(fields.parse::<Path>()?).is_some(),
                "funcs" => {
                    let list;
                    braced!(list in fields);
                    funcs
                        .replace(Punctuated::<Func, Token![,]>::parse_terminated(&list)?)
                        .is_some()
                }
                "symbols" => {
                    let list;
                    braced!(list in fields);
                    symbols
                        .replace(Punctuated::<Symbol, Token![,]>::parse_terminated(&list)?)
                        .is_some()
                }
                _ => {
                    return Err(Error::new_spanned(
                        key,
                        "an object has `callbacks`, `funcs` and `symbols`",
                    ));
                }
            };
            check_duplicate(&key, duplicate)?;
            if !fields.is_empty() {
                fields.parse::<Token![,]>()?;
            }
        }

        let funcs: Vec<Func> = funcs.into_iter().flatten().collect();
        let symbols: Vec<Symbol> = symbols.into_iter().flatten().collect();
        if funcs.is_empty() && callbacks.is_none() {
            // The symbols of the kernel are always there, and those of a module from when the
            // livepatch changes it.
            if symbols.is_empty() {
                return Err(Error::new(
                    name_span,
                    "nothing is done to this object: give it `funcs`, `callbacks`, or both",
                ));
            }
            if name.is_some() {
                return Err(Error::new(
                    name_span,
                    "the symbols of a module are there while the livepatch changes the module: \
                     give it `funcs`, `callbacks`, or both",
                ));
            }
        }
        for (index, func) in funcs.iter().enumerate() {
            // Without a position, the function is the only one of its name.
            let same = |other: &Func| {
                other.name.text == func.name.text
                    && (other.position == func.position
                        || other.position == 0
                        || func.position == 0)
            };
            if funcs.iter().take(index).any(same) {
                return Err(Error::new(
                    func.name.span,
                    "this function is replaced already",
                ));
            }
        }
        Ok(Object {
            name,
            name_span,
            callbacks,
            funcs,
            symbols,
        })
    }
}

impl Object {
    /// Whether the livepatch changes it, and does not only use its symbols.
    fn changes(&self) -> bool {
        !self.funcs.is_empty() || self.callbacks.is_some()
    }
}

pub(crate) struct Livepatch {
    /// The fields for [`module!`](crate::module).
    module: TokenStream,
    replace: Option<LitBool>,
    fixes: Punctuated<LitStr, Token![,]>,
    states: Punctuated<Path, Token![,]>,
    objects: Vec<Object>,
}

impl Parse for Livepatch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let span = input.span();
        let mut module = TokenStream::new();
        let mut replace = None;
        let mut fixes = None;
        let mut states = None;
        let mut objects = None;

        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![:]>()?;
            let duplicate = match &*key.to_string() {
                "replace" => replace.replace(input.parse()?).is_some(),
                "fixes" => {
                    let list;
                    bracketed!(list in input);
                    fixes
                        .replace(Punctuated::parse_terminated(&list)?)
                        .is_some()
                }
                "states" => {
                    let list;
                    bracketed!(list in input);
                    states
                        .replace(Punctuated::parse_terminated(&list)?)
                        .is_some()
                }
                "objects" => {
                    let list;
                    braced!(list in input);
                    objects
                        .replace(Punctuated::<Object, Token![,]>::parse_terminated(&list)?)
                        .is_some()
                }
                "type" => {
                    return Err(Error::new_spanned(
                        key,
                        "the type of the module is not chosen",
                    ));
                }
                _ => {
                    module.extend(quote!(#key:));
                    while !input.is_empty() && !input.peek(Token![,]) {
                        module.extend([input.parse::<TokenTree>()?]);
                    }
                    module.extend(quote!(,));
                    false
                }
            };
            check_duplicate(&key, duplicate)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }

        let objects: Vec<Object> = objects.into_iter().flatten().collect();
        if !objects.iter().any(Object::changes) {
            return Err(Error::new(
                span,
                "this livepatch changes nothing: give it `objects`",
            ));
        }
        for (index, object) in objects.iter().enumerate() {
            let same = |other: &Object| other.name == object.name;
            if objects.iter().take(index).any(same) {
                return Err(Error::new(object.name_span, "this object is there already"));
            }
        }
        Ok(Livepatch {
            module,
            replace,
            fixes: fixes.unwrap_or_default(),
            states: states.unwrap_or_default(),
            objects,
        })
    }
}

/// The table of an object's functions, in a static called `table`.
fn funcs_table(object: &Object, table: &Ident) -> TokenStream {
    let funcs = object.funcs.iter().map(|func| {
        let Func {
            name,
            position,
            signature: Signature { args, output },
            new,
            ..
        } = func;
        let name = &name.text;
        // The type is checked here. With the span of the replacement, that is where errors are.
        let new = quote_spanned! { new.span() =>
            {
                let new: unsafe extern "C" fn(#args) #output = #new;
                new as *mut ::kernel::ffi::c_void
            }
        };
        quote!(::kernel::livepatch::table::func(#name, #position, #new))
    });
    let len = object.funcs.len() + 1;
    quote! {
        static #table: ::kernel::livepatch::table::Table<[::kernel::bindings::klp_func; #len]> =
            ::kernel::livepatch::table::Table::new([
                #(#funcs,)*
                ::kernel::livepatch::table::end(),
            ]);
    }
}

/// The element of the table of objects.
fn object_element(object: &Object, table: &Ident) -> TokenStream {
    let name = match &object.name {
        Some(name) => quote!(::core::option::Option::Some(#name)),
        None => quote!(::core::option::Option::None),
    };
    let callbacks = match &object.callbacks {
        Some(path) => quote!(::kernel::livepatch::callbacks::<__Livepatch, #path>()),
        None => quote!(::kernel::livepatch::table::end()),
    };
    quote!(::kernel::livepatch::table::object(#name, #table.first(), #callbacks))
}

pub(crate) fn module_livepatch(livepatch: Livepatch) -> Result<TokenStream> {
    let Livepatch {
        module,
        replace,
        fixes,
        states,
        objects,
    } = livepatch;
    let fixes = fixes_field(&fixes)?;

    let module = crate::module::module(syn::parse2(quote! {
        type: __Livepatch,
        #module
    })?)?;

    let mut symbols = Symbols::default();
    let mut checks = TokenStream::new();
    for object in &objects {
        let object_text = symbols::object_text(object.name.as_ref());
        for func in &object.funcs {
            checks.extend(types::check_function(
                &func.name,
                func.position,
                &func.signature,
            ));
            if let Some(original) = &func.original {
                symbols.add_original(
                    object_text,
                    &func.name.text,
                    func.position,
                    original,
                    &func.signature,
                );
            }
        }
        for symbol in &object.symbols {
            checks.extend(types::check_symbol(symbol));
            symbols.add(object_text, symbol);
        }
    }
    let (symbols, linked) = symbols.finish();
    let refuse = linked.map(|linked| {
        quote! {
            if !#linked {
                ::kernel::pr_err!(
                    "`objtool klp post-link` has not made the relocations of this module\n"
                );
                return Err(::kernel::error::code::ENOEXEC);
            }
        }
    });

    let objects: Vec<Object> = objects.into_iter().filter(Object::changes).collect();
    let tables: Vec<Ident> = (0..objects.len())
        .map(|index| format_ident!("__FUNCS_{index}"))
        .collect();
    let funcs = objects
        .iter()
        .zip(&tables)
        .map(|(object, table)| funcs_table(object, table));
    let elements = objects
        .iter()
        .zip(&tables)
        .map(|(object, table)| object_element(object, table));
    let objects_len = objects.len() + 1;
    let states: Vec<Path> = states.into_iter().collect();
    let states_len = states.len() + 1;
    let replace = replace.is_some_and(|replace| replace.value);

    Ok(quote! {
        /// The livepatch, as a module.
        #[doc(hidden)]
        struct __Livepatch {
            _enabled: ::kernel::livepatch::Enabled<Self>,
        }

        #module

        #symbols

        #checks

        // The paths that the livepatch gives are resolved in here. No name of a table hides one of
        // them, because these names begin with underscores.
        const _: () = {
            /// Without this mark, the core refuses the module.
            #[cfg(MODULE)]
            #[cfg_attr(not(target_os = "macos"), link_section = ".modinfo")]
            #[used(compiler)]
            static __MARK: [u8; 12] = *b"livepatch=Y\0";

            #fixes

            #(#funcs)*

            static __OBJECTS:
                ::kernel::livepatch::table::Table<[::kernel::bindings::klp_object; #objects_len]> =
                ::kernel::livepatch::table::Table::new([
                    #(#elements,)*
                    ::kernel::livepatch::table::end(),
                ]);

            static __STATES:
                ::kernel::livepatch::table::Table<[::kernel::bindings::klp_state; #states_len]> =
                ::kernel::livepatch::table::Table::new(
                    [const { ::kernel::livepatch::table::end() }; #states_len]
                );

            static __PATCH: ::kernel::livepatch::table::Table<::kernel::bindings::klp_patch> =
                ::kernel::livepatch::table::Table::new(::kernel::livepatch::table::patch(
                    ::kernel::module::this_module::<__Livepatch>().as_ptr(),
                    __OBJECTS.first(),
                    __STATES.first(),
                    #replace,
                ));

            static __PASSED: ::kernel::sync::atomic::AtomicFlag =
                ::kernel::sync::atomic::AtomicFlag::new(false);

            // SAFETY: All of it is static, and other code cannot name it, or use the pointers
            // without `unsafe`. Each table ends with zeros. There is one more state than in
            // `STATES`.
            unsafe impl ::kernel::livepatch::Livepatch for __Livepatch {
                const STATES: &'static [&'static dyn ::kernel::livepatch::DeclaredState] =
                    &[#(&#states),*];

                fn patch() -> *mut ::kernel::bindings::klp_patch {
                    __PATCH.get()
                }

                fn states() -> *mut ::kernel::bindings::klp_state {
                    __STATES.first()
                }

                unsafe fn passed() -> &'static ::kernel::sync::atomic::AtomicFlag {
                    &__PASSED
                }
            }

            impl ::kernel::Module for __Livepatch {
                fn init(_module: &'static ::kernel::ThisModule) -> ::kernel::error::Result<Self> {
                    #refuse
                    Ok(Self {
                        // SAFETY: The kernel calls this before any other code of the module runs,
                        // and drops the result when the module exits. Any other call comes later.
                        _enabled: unsafe { ::kernel::livepatch::Enabled::new() }?,
                    })
                }
            }
        };
    })
}
