// SPDX-License-Identifier: GPL-2.0

/*
 * Patches the function in which readers of /proc/test_klp_sleep sleep.  Readers
 * sleep in the new function as well, so that they also hold up the unpatching.
 */

#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static DECLARE_COMPLETION(never);

static int livepatch_test_klp_sleep_show(struct seq_file *m, void *v)
{
	int ret = wait_for_completion_killable(&never);

	seq_puts(m, "patched\n");
	return ret;
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_sleep_show",
		.new_func = livepatch_test_klp_sleep_show,
	}, {}
};

static struct klp_object objs[] = {
	{
		.name = "test_klp_sleep_target",
		.funcs = funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

/* test-bad-input.sh tries to patch this function.  It has no caller. */
static noinline __used void __init test_klp_sleep_freed(void)
{
}

static int test_klp_sleep_patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_sleep_patch_exit(void)
{
}

module_init(test_klp_sleep_patch_init);
module_exit(test_klp_sleep_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: patch of a function that tasks sleep in");
