// SPDX-License-Identifier: GPL-2.0

/* The same livepatch under another name, with another version of the functions */
#define VERSION 2
#include "test_klp_handler_patch1.c"
