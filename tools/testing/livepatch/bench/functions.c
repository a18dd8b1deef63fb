// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that are patched, in a file without their callers,
 * so that the compiler inlines no call
 */

#include "functions.h"

#define F(number) \
	int klp_bench_##number(int x) \
	{ \
		return x + KLP_BENCH_RESULT(number, 0); \
	}
#include "functions.inc"
#undef F
