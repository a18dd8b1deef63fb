// SPDX-License-Identifier: GPL-2.0

//! A livepatch that changes nothing.
//~ this livepatch changes nothing: give it `objects`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {},
}
