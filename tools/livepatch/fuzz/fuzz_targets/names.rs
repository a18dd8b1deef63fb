// SPDX-License-Identifier: GPL-2.0

//! The parsers of the core in Rust, compared with the C core's formats. The kernel runs them on the
//! names of a livepatch's sections and symbols. The strings end at zeros.

#![no_main]

#[path = "../../../../kernel/livepatch/model/names.rs"]
mod names;
#[path = "../../../testing/livepatch/engine/src/parsers/reference.rs"]
mod reference;

fn check(name: &[u8]) {
    assert_eq!(names::section_object(name), reference::section_object(name));
    let symbol = names::symbol(name).map(|symbol| (symbol.object, symbol.name, symbol.position));
    assert_eq!(symbol, reference::symbol(name));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bytes.split(|&b| b == 0).for_each(check));
