// SPDX-License-Identifier: GPL-2.0
/*
 * The second file of test_klp_symbols_target.
 */

#include <linux/compiler.h>

#include "test_klp_symbols_target.h"

static noinline int test_klp_symbols_helper(int value)
{
	return value + 2;
}

int test_klp_symbols_second(int value)
{
	return test_klp_symbols_helper(value);
}
