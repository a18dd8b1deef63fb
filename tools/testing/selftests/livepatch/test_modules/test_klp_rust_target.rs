// SPDX-License-Identifier: GPL-2.0

//! A module in Rust with a function that livepatches can replace.
//!
//! The compiler does not emit the call of `__fentry__` that ftrace needs. So livepatches replace
//! `test_klp_rust_answer()`, a few instructions of assembly, which call `__fentry__` and then the
//! function in Rust. They do not jump to it, so that the stack of a task in it shows
//! `test_klp_rust_answer()`.

use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    prelude::*, //
};

module! {
    type: Target,
    name: "test_klp_rust_target",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: target in Rust",
    license: "GPL",
}

// Records the address of the call of `__fentry__`, unless objtool does that.
#[cfg(not(CONFIG_FTRACE_MCOUNT_USE_OBJTOOL))]
macro_rules! record {
    () => {
        ".pushsection __mcount_loc, \"a\", @progbits\n.balign 8\n.quad 1f\n.popsection\n"
    };
}
#[cfg(CONFIG_FTRACE_MCOUNT_USE_OBJTOOL)]
macro_rules! record {
    () => {
        ""
    };
}

#[cfg(CONFIG_X86_KERNEL_IBT)]
macro_rules! begin {
    () => {
        "endbr64\n"
    };
}
#[cfg(not(CONFIG_X86_KERNEL_IBT))]
macro_rules! begin {
    () => {
        ""
    };
}

#[cfg(CONFIG_MITIGATION_RETHUNK)]
macro_rules! end {
    () => {
        "jmp __x86_return_thunk\n"
    };
}
#[cfg(not(CONFIG_MITIGATION_RETHUNK))]
macro_rules! end {
    () => {
        "ret\n"
    };
}

core::arch::global_asm!(
    concat!(
        ".pushsection .text\n",
        ".balign 16\n",
        ".type test_klp_rust_answer, @function\n",
        "test_klp_rust_answer:\n",
        begin!(),
        record!(),
        "1: call __fentry__\n",
        "push %rbp\n",
        "mov %rsp, %rbp\n",
        "call {answer}\n",
        "pop %rbp\n",
        end!(),
        ".size test_klp_rust_answer, . - test_klp_rust_answer\n",
        ".popsection\n",
    ),
    answer = sym answer,
    options(att_syntax),
);

extern "C" {
    fn test_klp_rust_answer(value: c_int) -> c_int;
}

extern "C" fn answer(value: c_int) -> c_int {
    value.wrapping_add(1)
}

fn show(value: &c_int, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
    // SAFETY: The function is defined above, with this type.
    let answer = unsafe { test_klp_rust_answer(*value) };
    writeln!(f, "{answer}")
}

struct Target {
    _file: Pin<KBox<File<c_int>>>,
    _dir: Dir,
}

impl kernel::Module for Target {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let dir = Dir::new(c"test_klp_rust_target");
        let file = KBox::pin_init(dir.read_callback_file(c"answer", 41, &show), GFP_KERNEL)?;
        Ok(Self {
            _file: file,
            _dir: dir,
        })
    }
}
