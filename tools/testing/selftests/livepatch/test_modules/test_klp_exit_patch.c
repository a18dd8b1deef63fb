// SPDX-License-Identifier: GPL-2.0
/*
 * Patches add_device_randomness(), which a task that releases itself calls after
 * it has left the task list.  In the new function, a task named klp_victim calls
 * test_klp_leave_a() and test_klp_leave_b(), and sleeps in the first one.
 *
 * The original function adds entropy, which the machine can do without.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "test_klp_leave.h"

static void exit_patch_add_device_randomness(const void *buf, size_t len)
{
	if (strcmp(current->comm, "klp_victim"))
		return;

	test_klp_leave_a(NULL);
	test_klp_leave_b(NULL);
	pr_info("done\n");
}

static struct klp_func funcs[] = {
	{
		.old_name = "add_device_randomness",
		.new_func = exit_patch_add_device_randomness,
	}, {}
};

static struct klp_object objs[] = {
	{
		/* name being NULL means vmlinux */
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_exit_patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_exit_patch_exit(void)
{
}

module_init(test_klp_exit_patch_init);
module_exit(test_klp_exit_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch of a function that exiting tasks call");
