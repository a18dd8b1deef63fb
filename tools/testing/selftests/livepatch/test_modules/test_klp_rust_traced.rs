// SPDX-License-Identifier: GPL-2.0

//! A module in Rust with functions that ftrace reaches, so that livepatches can replace them.

use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    prelude::*, //
};

module! {
    type: Target,
    name: "test_klp_rust_traced",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: target in Rust whose functions are traced",
    license: "GPL",
}

/// A livepatch replaces this by its name. The compiler must not inline it.
#[no_mangle]
#[inline(never)]
pub extern "C" fn test_klp_rust_traced_answer(value: c_int) -> c_int {
    value.wrapping_add(1)
}

fn show(value: &c_int, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
    let answer: extern "C" fn(c_int) -> c_int = test_klp_rust_traced_answer;
    // The caller must not know what the function returns for a given value.
    let answer = core::hint::black_box(answer);
    writeln!(f, "{}", answer(*value))
}

struct Target {
    _file: Pin<KBox<File<c_int>>>,
    _dir: Dir,
}

impl kernel::Module for Target {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let dir = Dir::new(c"test_klp_rust_traced");
        let file = KBox::pin_init(dir.read_callback_file(c"answer", 41, &show), GFP_KERNEL)?;
        Ok(Self {
            _file: file,
            _dir: dir,
        })
    }
}
