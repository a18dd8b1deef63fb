// SPDX-License-Identifier: GPL-2.0-or-later

//! The comparison of a declared type with the one in `kernel::bindings`, where there is one.
//!
//! `bindings` declares the functions and variables of many headers. A macro cannot know whether
//! a given one is among them. So the compiler resolves the name inside a block that imports all of
//! `bindings`. If it is not in there, the compiler continues outside of the block, and finds a
//! function or variable that has the declared type.

use super::{
    names::Name,
    symbols::{
        Kind,
        Signature,
        Symbol, //
    }, //
};
use proc_macro2::TokenStream;
use quote::{
    format_ident,
    quote,
    quote_spanned, //
};
use syn::{
    spanned::Spanned,
    Ident,
    ReturnType,
    Type, //
};

/// The comparison for a function.
///
/// There is none for a name in quotation marks, or if there are several of that name: the one in
/// `bindings` may be another one.
pub(super) fn check_function(name: &Name, position: usize, signature: &Signature) -> TokenStream {
    let Some(ident) = name.ident.as_ref().filter(|_| position == 0) else {
        return TokenStream::new();
    };
    let Signature { args, output } = signature;
    let types: Vec<&Type> = args.iter().map(|arg| &arg.ty).collect();
    let names: Vec<Ident> = (0..types.len())
        .map(|index| format_ident!("__arg{index}"))
        .collect();
    let any: Vec<Ident> = (0..types.len())
        .map(|index| format_ident!("__Arg{index}"))
        .collect();
    let unknown = types.iter().map(|_| quote!(_));
    // Errors are shown at the type that is wrong.
    let passed = types.iter().zip(&names).map(|(ty, name)| {
        quote_spanned! { ty.span() => ::kernel::livepatch::declared::argument(#name) }
    });
    // A function with a variable number of arguments does not become one with these. The function
    // is not called: a result of one that does not return would be of any type.
    let call = quote_spanned! { ident.span() =>
        __result(
            {
                use ::kernel::bindings::*;
                let function: unsafe extern "C" fn(#(#unknown),*) -> _ = #ident;
                function
            },
            #(#passed),*
        )
    };
    let result = match output {
        ReturnType::Default => {
            quote_spanned! { ident.span() => ::kernel::livepatch::declared::result(#call) }
        }
        ReturnType::Type(_, ty) => {
            quote_spanned! { ty.span() => ::kernel::livepatch::declared::result(#call) }
        }
    };
    quote! {
        #[allow(dead_code, unused_imports, improper_ctypes, clippy::too_many_arguments)]
        // The reason for the declaration is above its types, and so above these calls.
        #[allow(clippy::unnecessary_safety_comment)]
        const _: () = {
            unsafe extern "C" {
                fn #ident(#(_: #types),*) #output;
            }
            fn __result<#(#any,)* __Result>(
                _: unsafe extern "C" fn(#(#any),*) -> __Result,
                #(_: #any),*
            ) -> ::core::marker::PhantomData<__Result> {
                ::core::marker::PhantomData
            }
            fn __check(#(#names: #types),*) #output {
                #result
            }
        };
    }
}

/// The comparison for a symbol that the livepatch uses.
pub(super) fn check_symbol(symbol: &Symbol) -> TokenStream {
    let ty = match &symbol.kind {
        Kind::Function(signature) => {
            return check_function(&symbol.name, symbol.position, signature);
        }
        Kind::Variable(ty) => ty,
    };
    let Some(ident) = symbol.name.ident.as_ref().filter(|_| symbol.position == 0) else {
        return TokenStream::new();
    };
    let call = quote_spanned! { ty.span() => ::kernel::livepatch::declared::variable(place) };
    quote! {
        #[allow(dead_code, unused_imports, unused_unsafe, improper_ctypes)]
        // The reason for the declaration is above its type, and so above this call.
        #[allow(clippy::unnecessary_safety_comment)]
        const _: () = {
            unsafe extern "C" {
                static #ident: #ty;
            }
            fn __check() -> *const #ty {
                // SAFETY: This is never called.
                let place = unsafe {
                    use ::kernel::bindings::*;
                    &raw const #ident
                };
                #call
            }
        };
    }
}
