// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kunit_target.c - functions for the KUnit tests of live patching to patch
 *
 * They are in C because ftrace cannot trace functions in Rust.
 */

#include <linux/compiler.h>
#include "rust.h"

noinline int klp_kunit_target(int value)
{
	return value + 1;
}

noinline int klp_kunit_other_target(int value)
{
	return value + 2;
}
