// SPDX-License-Identifier: GPL-2.0

//! Callbacks of a type that does not implement `Callbacks`.
//~ error[E0277]: the trait bound `Wrong: Callbacks` is not satisfied

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            callbacks: Wrong,
        },
    },
}

struct Wrong;
