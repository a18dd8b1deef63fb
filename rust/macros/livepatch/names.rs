// SPDX-License-Identifier: GPL-2.0-or-later

//! Names of symbols and modules, and positions of symbols.

use proc_macro2::Span;
use std::ffi::CString;
use syn::{
    ext::IdentExt,
    parse::ParseStream,
    Attribute,
    Error,
    Ident,
    LitInt,
    LitStr,
    Result, //
};

/// The name of a function or variable in C.
pub(super) struct Name {
    pub(super) text: CString,
    /// The same, unless it is in quotation marks.
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
        let span = name.span();
        (name.unraw().to_string(), Some(name), span)
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
