// SPDX-License-Identifier: GPL-2.0

/*
 * Patches the function in which idle tasks leave their CPUs, and the function of
 * test_klp_idle_target.ko.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>

/* An idle task that is off its CPU has this on its stack. */
static void livepatch_schedule_idle(void)
{
	do {
		/* The task has preemption disabled once, and schedule() does so, too. */
		__preempt_count_sub(1);
		schedule();
		__preempt_count_add(1);
		barrier();
	} while (need_resched());
}

static void livepatch_test_klp_idle_inject(void)
{
}

static struct klp_func vmlinux_funcs[] = {
	{
		.old_name = "schedule_idle",
		.new_func = livepatch_schedule_idle,
	}, {}
};

static struct klp_func target_funcs[] = {
	{
		.old_name = "test_klp_idle_inject",
		.new_func = livepatch_test_klp_idle_inject,
	}, {}
};

static struct klp_object objs[] = {
	{
		.funcs = vmlinux_funcs,
	}, {
		.name = "test_klp_idle_target",
		.funcs = target_funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_idle_patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_idle_patch_exit(void)
{
}

module_init(test_klp_idle_patch_init);
module_exit(test_klp_idle_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch of a function of the idle loop");
