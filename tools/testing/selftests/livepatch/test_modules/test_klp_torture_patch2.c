// SPDX-License-Identifier: GPL-2.0

/* Differs in its name alone, and so in its number. */
#include "test_klp_torture_patch1.c"
