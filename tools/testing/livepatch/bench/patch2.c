// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same livepatch as a second module, with another version
 */

#define VERSION 2
#include "patch.c"
