// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of several functions of vmlinux.  With the parameter "target", it
 * also patches a function of a module that is loaded and unloaded.  With "busy",
 * it also patches a function in which a task sleeps, so that the transition waits.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "replace all other livepatches (default=false)");

static bool target;
module_param(target, bool, 0444);
MODULE_PARM_DESC(target, "patch test_klp_mod_target, too (default=false)");

static bool busy;
module_param(busy, bool, 0444);
MODULE_PARM_DESC(busy, "patch test_klp_callbacks_busy, too (default=false)");

static int new_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%s: patched\n", THIS_MODULE->name);
	return 0;
}

static void new_work_func(struct work_struct *work)
{
}

static struct klp_func vmlinux_funcs[] = {
	{ .old_name = "version_proc_show", .new_func = new_show, },
	{ .old_name = "loadavg_proc_show", .new_func = new_show, },
	{ }
};

static struct klp_func target_funcs[] = {
	{ .old_name = "test_klp_mod_target_show", .new_func = new_show, },
	{ }
};

static struct klp_func busy_funcs[] = {
	{ .old_name = "busymod_work_func", .new_func = new_work_func, },
	{ }
};

/* Filled up by the module's init; the last entry stays empty. */
static struct klp_object objs[4] = {
	{ .funcs = vmlinux_funcs, },
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_oom_init(void)
{
	struct klp_object *obj = objs + 1;

	patch.replace = replace;
	if (target) {
		obj->name = "test_klp_mod_target";
		obj->funcs = target_funcs;
		obj++;
	}
	if (busy) {
		obj->name = "test_klp_callbacks_busy";
		obj->funcs = busy_funcs;
	}
	return klp_enable_patch(&patch);
}

static void test_klp_oom_exit(void)
{
}

module_init(test_klp_oom_init);
module_exit(test_klp_oom_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch that is enabled and disabled without memory");
