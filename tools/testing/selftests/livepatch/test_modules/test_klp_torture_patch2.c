// SPDX-License-Identifier: GPL-2.0

/* The same livepatch under another name, and so with another version. */
#include "test_klp_torture_patch1.c"
