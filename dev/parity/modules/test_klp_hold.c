// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch with transitions that can be held up in both directions.  While
 * test_klp_callbacks_busy blocks, its worker is in a function that this patch
 * changes.  While the parameter "hold" is set, readers of /proc/version stay in
 * a new function of this patch.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

static bool hold;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "keep readers of /proc/version waiting (default=false)");

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "replace all other livepatches (default=false)");

static int hold_version_proc_show(struct seq_file *m, void *v)
{
	while (READ_ONCE(hold))
		msleep(20);

	seq_printf(m, "%s: this has been live patched\n", THIS_MODULE->name);
	return 0;
}

static void hold_busymod_work_func(struct work_struct *work)
{
	pr_info("the new busymod_work_func\n");
}

static struct klp_func vmlinux_funcs[] = {
	{
		.old_name = "version_proc_show",
		.new_func = hold_version_proc_show,
	}, { }
};

static struct klp_func busymod_funcs[] = {
	{
		.old_name = "busymod_work_func",
		.new_func = hold_busymod_work_func,
	}, { }
};

static struct klp_object objs[] = {
	{
		.funcs = vmlinux_funcs,
	}, {
		.name = "test_klp_callbacks_busy",
		.funcs = busymod_funcs,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_hold_init(void)
{
	patch.replace = replace;
	return klp_enable_patch(&patch);
}

static void test_klp_hold_exit(void)
{
}

module_init(test_klp_hold_init);
module_exit(test_klp_hold_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: transitions that wait in both directions");
