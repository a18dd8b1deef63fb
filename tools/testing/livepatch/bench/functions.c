// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that are patched, apart from what calls them,
 * so that the compiler leaves each call a call
 */

#include "functions.h"

#define F(number) \
	int klp_bench_##number(int x) \
	{ \
		return x + KLP_BENCH_RESULT(number, 0); \
	}
#include "functions.inc"
#undef F
