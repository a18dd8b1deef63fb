// SPDX-License-Identifier: GPL-2.0
/*
 * Patches one of the functions that test_klp_leave_patch.ko patches, or both, or
 * functions that it does not patch: the caller of test_klp_leave_a(), or
 * test_klp_leave_walk(), in which tasks then stay while "hold" is Y.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "test_klp_leave.h"

static bool both;
module_param(both, bool, 0444);
MODULE_PARM_DESC(both, "patch both functions, not only test_klp_leave_b() (default=false)");

static bool outer;
module_param(outer, bool, 0444);
MODULE_PARM_DESC(outer, "patch test_klp_leave_outer() alone (default=false)");

static bool walk;
module_param(walk, bool, 0444);
MODULE_PARM_DESC(walk, "patch test_klp_leave_walk() alone (default=false)");

static bool hold = true;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "keep tasks in the new test_klp_leave_walk() (default=true)");

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

static int leave_other_outer(struct seq_file *m)
{
	test_klp_leave_say(m, "other outer");
	return 0;
}

static int leave_other_walk(struct seq_file *m, int (*visit)(struct seq_file *m))
{
	test_klp_leave_say(m, "other walk");
	while (READ_ONCE(hold))
		msleep(100);
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
	if (outer) {
		funcs[0].old_name = "test_klp_leave_outer";
		funcs[0].new_func = leave_other_outer;
	} else if (walk) {
		funcs[0].old_name = "test_klp_leave_walk";
		funcs[0].new_func = leave_other_walk;
	}
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
