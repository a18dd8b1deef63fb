// SPDX-License-Identifier: GPL-2.0
/*
 * Functions for livepatches that end while tasks are in their code.  Readers of
 * /proc/test_klp_leave_a call test_klp_leave_a(), through test_klp_leave_outer().
 * New functions of livepatches call test_klp_leave_walk(), which stands for a
 * function of the kernel that calls back, and test_klp_leave_tell(), which stands
 * for one that sleeps and then uses its arguments.
 *
 * While a parameter is Y, tasks sleep in its function.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include "test_klp_leave.h"

static bool hold_readers;
module_param(hold_readers, bool, 0644);
MODULE_PARM_DESC(hold_readers, "keep readers in test_klp_leave_a() (default=false)");

static bool hold_exiting;
module_param(hold_exiting, bool, 0644);
MODULE_PARM_DESC(hold_exiting, "keep exiting tasks in test_klp_leave_a() (default=false)");

static bool hold_walk;
module_param(hold_walk, bool, 0644);
MODULE_PARM_DESC(hold_walk, "keep tasks in test_klp_leave_walk() between two callbacks, and in test_klp_leave_tell() (default=false)");

static void wait_while(const bool *hold)
{
	while (READ_ONCE(*hold))
		msleep(100);
}

noinline int test_klp_leave_a(struct seq_file *m)
{
	test_klp_leave_say(m, "original a");
	wait_while(m ? &hold_readers : &hold_exiting);
	return 0;
}
EXPORT_SYMBOL_GPL(test_klp_leave_a);

noinline int test_klp_leave_b(struct seq_file *m)
{
	test_klp_leave_say(m, "original b");
	return 0;
}
EXPORT_SYMBOL_GPL(test_klp_leave_b);

noinline int test_klp_leave_walk(struct seq_file *m,
				 int (*visit)(struct seq_file *m))
{
	int ret = visit(m);

	wait_while(&hold_walk);
	return ret ?: visit(m);
}
EXPORT_SYMBOL_GPL(test_klp_leave_walk);

noinline int test_klp_leave_tell(struct seq_file *m, const char *text)
{
	wait_while(&hold_walk);
	test_klp_leave_say(m, text);
	return 0;
}
EXPORT_SYMBOL_GPL(test_klp_leave_tell);

/* Stays on the stack while its callee runs, for livepatches that change it. */
noinline int test_klp_leave_outer(struct seq_file *m)
{
	int ret = test_klp_leave_a(m);

	/* Code after the call keeps the compiler from making a sibling call. */
	barrier();
	return ret;
}
EXPORT_SYMBOL_GPL(test_klp_leave_outer);

/* For livepatches that create threads of their new version of it. */
noinline int test_klp_leave_thread(void *arg)
{
	return 0;
}
EXPORT_SYMBOL_GPL(test_klp_leave_thread);

static int a_show(struct seq_file *m, void *v)
{
	return test_klp_leave_outer(m);
}

static int test_klp_leave_target_init(void)
{
	return proc_create_single("test_klp_leave_a", 0, NULL, a_show) ? 0 : -ENOMEM;
}

static void test_klp_leave_target_exit(void)
{
	remove_proc_entry("test_klp_leave_a", NULL);
}

module_init(test_klp_leave_target_init);
module_exit(test_klp_leave_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target of livepatches that end while tasks are in them");
