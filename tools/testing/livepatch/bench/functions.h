/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions that are patched
 *
 * klp_bench_<number>(x) returns x + KLP_BENCH_RESULT(<number>, version).  The
 * version of the original functions is 0; each patch has a version of its own.
 */
#ifndef _KLP_BENCH_FUNCTIONS_H
#define _KLP_BENCH_FUNCTIONS_H

#define KLP_BENCH_FIRST 1000
#define KLP_BENCH_COUNT 2000
#define KLP_BENCH_VERSIONS 3

#define KLP_BENCH_RESULT(number, version) \
	((number) * KLP_BENCH_VERSIONS + (version))

#include "prototypes.inc"

#endif /* _KLP_BENCH_FUNCTIONS_H */
