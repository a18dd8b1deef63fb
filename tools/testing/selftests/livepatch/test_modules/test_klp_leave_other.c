// SPDX-License-Identifier: GPL-2.0
/*
 * Patches one of the functions that test_klp_leave_patch.ko patches, or both.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "test_klp_leave.h"

static bool both;
module_param(both, bool, 0444);
MODULE_PARM_DESC(both, "patch both functions, not only test_klp_leave_b() (default=false)");

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "replace all other livepatches (default=false)");

static int leave_other_a(struct seq_file *m)
{
	test_klp_leave_say(m, "other a");
	return 0;
}

static int leave_other_b(struct seq_file *m)
{
	test_klp_leave_say(m, "other b");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_leave_b",
		.new_func = leave_other_b,
	}, {
		.old_name = "test_klp_leave_a",
		.new_func = leave_other_a,
	}, {}
};

static struct klp_object objs[] = {
	{
		.name = "test_klp_leave_target",
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_leave_other_init(void)
{
	if (!both)
		funcs[1] = (struct klp_func){};
	patch.replace = replace;
	return klp_enable_patch(&patch);
}

static void test_klp_leave_other_exit(void)
{
}

module_init(test_klp_leave_other_init);
module_exit(test_klp_leave_other_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: livepatch that overlaps with another, or replaces it");
