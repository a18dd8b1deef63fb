// SPDX-License-Identifier: GPL-2.0

/* Patches both functions of test_klp_handler_target.ko. */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "test_klp_handler.h"

#ifndef VERSION
#define VERSION 1
#endif

static int livepatch_test_klp_handler_inner(void)
{
	return VERSION;
}

static int livepatch_test_klp_handler_outer(void)
{
	return 10 * VERSION + test_klp_handler_inner();
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_handler_inner",
		.new_func = livepatch_test_klp_handler_inner,
	}, {
		.old_name = "test_klp_handler_outer",
		.new_func = livepatch_test_klp_handler_outer,
	}, {}
};

static struct klp_object objs[] = {
	{
		.name = "test_klp_handler_target",
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_handler_patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_handler_patch_exit(void)
{
}

module_init(test_klp_handler_patch_init);
module_exit(test_klp_handler_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch of a function that calls another one");
