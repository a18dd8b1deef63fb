// SPDX-License-Identifier: GPL-2.0

/*
 * Replaces the function that BPF's test modify_return attaches its programs to.  The new
 * function has the same effect as the original, because the test checks that.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static unsigned int calls;
module_param(calls, uint, 0444);
MODULE_PARM_DESC(calls, "how often the new function was called");

static int livepatch_bpf_modify_return_test(int first, int *second)
{
	calls++;
	return first + ++*second;
}

static struct klp_func funcs[] = {
	{
		.old_name = "bpf_modify_return_test",
		.new_func = livepatch_bpf_modify_return_test,
	}, {}
};

static struct klp_object objs[] = {
	{
		/* The name is NULL for vmlinux. */
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int livepatch_modify_return_init(void)
{
	return klp_enable_patch(&patch);
}

static void livepatch_modify_return_exit(void)
{
}

module_init(livepatch_modify_return_init);
module_exit(livepatch_modify_return_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch of a function that BPF programs modify the return value of");
