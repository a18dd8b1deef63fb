// SPDX-License-Identifier: GPL-2.0-or-later

//! Names of symbols and modules, positions of symbols, and identifiers of defects.

use proc_macro2::{
    Span,
    TokenStream, //
};
use quote::quote;
use std::ffi::CString;
use syn::{
    ext::IdentExt,
    parse::ParseStream,
    punctuated::Punctuated,
    Attribute,
    Error,
    Ident,
    LitByteStr,
    LitInt,
    LitStr,
    Result,
    Token, //
};

/// The name of a function or variable in C.
pub(super) struct Name {
    pub(super) text: CString,
    /// The same, unless it is in quotation marks, or a keyword of Rust.
    pub(super) ident: Option<Ident>,
    pub(super) span: Span,
}

/// The name of a function or variable, an identifier or a string: names that the compiler has made
/// up are not identifiers.
pub(super) fn name(input: ParseStream<'_>) -> Result<Name> {
    let (text, ident, span) = if input.peek(LitStr) {
        let name: LitStr = input.parse()?;
        (name.value(), None, name.span())
    } else if input.peek(syn::token::Paren) {
        return Err(input.error("the function needs a name"));
    } else {
        let name = input.call(Ident::parse_any)?;
        let (text, span) = (name.unraw().to_string(), name.span());
        let ident = syn::parse_str::<Ident>(&text).is_ok().then_some(name);
        (text, ident, span)
    };
    Ok(Name {
        text: symbol(&text, span)?,
        ident,
        span,
    })
}

/// The value of `#[sympos(...)]`: 0, if there is none, for a name that is unique.
pub(super) fn position(attributes: &[Attribute]) -> Result<usize> {
    let mut position = 0;
    for attribute in attributes {
        if !attribute.path().is_ident("sympos") {
            return Err(Error::new_spanned(
                attribute,
                "only `#[sympos(number)]` is known here",
            ));
        }
        if position != 0 {
            return Err(Error::new_spanned(attribute, "there is a position already"));
        }
        let number: LitInt = attribute.parse_args()?;
        position = number.base10_parse()?;
        if position == 0 {
            return Err(Error::new_spanned(number, "positions count from 1"));
        }
    }
    Ok(position)
}

/// The name of a symbol or a module.
pub(super) fn symbol(name: &str, span: Span) -> Result<CString> {
    if name.is_empty() {
        return Err(Error::new(span, "a name must not be empty"));
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '/' | '-' | ',' | '"' | '\\'))
    {
        return Err(Error::new(span, format!("{bad:?} cannot be in a name")));
    }
    CString::new(name).map_err(|error| Error::new(span, error))
}

/// The field `klp_fixes` of the module's `.modinfo`, which `klpctl` shows.
pub(super) fn fixes_field(fixes: &Punctuated<LitStr, Token![,]>) -> Result<Option<TokenStream>> {
    let mut field = String::from("klp_fixes=");
    for (index, fix) in fixes.iter().enumerate() {
        let id = fix.value();
        let is_one = id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
        if id.is_empty() || !is_one {
            return Err(Error::new_spanned(
                fix,
                "the identifier of a defect has visible ASCII characters and no comma",
            ));
        }
        if index > 0 {
            field.push(' ');
        }
        field.push_str(&id);
    }
    if fixes.is_empty() {
        return Ok(None);
    }
    field.push('\0');
    let bytes = LitByteStr::new(field.as_bytes(), Span::call_site());
    let len = field.len();
    Ok(Some(quote! {
        #[cfg(MODULE)]
        #[cfg_attr(not(target_os = "macos"), link_section = ".modinfo")]
        #[used(compiler)]
        static __FIXES: [u8; #len] = *#bytes;
    }))
}
