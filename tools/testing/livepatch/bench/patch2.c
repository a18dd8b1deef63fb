// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same livepatch as a second module, with versions of its own
 */

#define VERSION 2
#include "patch.c"
