// SPDX-License-Identifier: GPL-2.0

/* Patches the function of test_klp_spin_target.ko.  The new function does nothing. */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static void livepatch_test_klp_spin(void)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_spin",
		.new_func = livepatch_test_klp_spin,
	}, {}
};

static struct klp_object objs[] = {
	{
		.name = "test_klp_spin_target",
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_spin_patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_spin_patch_exit(void)
{
}

module_init(test_klp_spin_patch_init);
module_exit(test_klp_spin_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch of a function that threads never leave by themselves");
