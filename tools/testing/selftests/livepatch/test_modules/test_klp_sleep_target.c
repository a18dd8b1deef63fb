// SPDX-License-Identifier: GPL-2.0

/*
 * Files in /proc whose readers sleep until they are killed:
 *
 * test_klp_sleep		in a function that test_klp_sleep_patch.ko patches
 * test_klp_sleep_unreliable	in one whose stack frame cannot be unwound
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static DECLARE_COMPLETION(never);

static noinline int test_klp_sleep_show(struct seq_file *m, void *v)
{
	int ret = wait_for_completion_killable(&never);

	seq_puts(m, "original\n");
	return ret;
}

static noinline int test_klp_sleep_unreliable_show(struct seq_file *m, void *v)
{
	int ret = wait_for_completion_killable(&never);

	seq_puts(m, "unreliable\n");
	return ret;
}

STACK_FRAME_NON_STANDARD(test_klp_sleep_unreliable_show);

static int test_klp_sleep_target_init(void)
{
	if (!proc_create_single("test_klp_sleep", 0, NULL, test_klp_sleep_show))
		return -ENOMEM;
	if (!proc_create_single("test_klp_sleep_unreliable", 0, NULL,
				test_klp_sleep_unreliable_show)) {
		remove_proc_entry("test_klp_sleep", NULL);
		return -ENOMEM;
	}
	return 0;
}

static void test_klp_sleep_target_exit(void)
{
	remove_proc_entry("test_klp_sleep", NULL);
	remove_proc_entry("test_klp_sleep_unreliable", NULL);
}

module_init(test_klp_sleep_target_init);
module_exit(test_klp_sleep_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module whose users sleep in it");
