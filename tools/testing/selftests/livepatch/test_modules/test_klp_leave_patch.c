// SPDX-License-Identifier: GPL-2.0
/*
 * Patches test_klp_leave_a() and test_klp_leave_b() of test_klp_leave_target.ko, and
 * for two values of "reach" test_klp_leave_thread().  Callers of the new
 * test_klp_leave_a() stay in leave_patch_wait() while the parameter "hold" is Y.
 * The parameter "reach" selects the way there:
 *
 * call		by a call, so that both functions are on the stack
 * jump		by a sibling call, so that the new function is not on the stack
 * callback	by a sibling call of test_klp_leave_walk(), which calls
 *		leave_patch_wait() twice
 * inside	by a sibling call of leave_patch_inside(), which calls
 *		test_klp_leave_walk(), which calls leave_patch_wait() twice
 * data		not at all: a sibling call of test_klp_leave_tell() passes a string of
 *		the livepatch
 * restart	not at all: restart_syscall(2) would call leave_patch_again()
 * thread	as call; and a kernel thread is created to run the new
 *		test_klp_leave_thread(), and stays there while "hold" is Y
 * created	the same, but the thread is not started while "hold" is Y
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include "test_klp_leave.h"

static struct task_struct *thread;

static bool hold = true;

static int set_hold(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_bool(val, kp);

	if (!ret && !hold && thread)
		wake_up_process(thread);
	return ret;
}

static const struct kernel_param_ops hold_ops = {
	.set = set_hold,
	.get = param_get_bool,
};
module_param_cb(hold, &hold_ops, &hold, 0644);
MODULE_PARM_DESC(hold, "keep tasks in leave_patch_wait(), and the thread in its function or unstarted (default=true)");

static bool spin;
module_param(spin, bool, 0444);
MODULE_PARM_DESC(spin, "tasks do not sleep in leave_patch_wait() (default=false)");

static char *reach = "call";
module_param(reach, charp, 0444);
MODULE_PARM_DESC(reach, "how tasks get there: call, jump, callback, inside, data, restart, thread or created (default=call)");

static noinline int leave_patch_wait(struct seq_file *m)
{
	int ret = 0;

	test_klp_leave_say(m, "new a");
	while (READ_ONCE(hold)) {
		if (spin)
			cpu_relax();
		else
			msleep(100);
	}
	test_klp_leave_say(m, "done");
	/*
	 * If clang knew the result, it would let leave_patch_jump() call this
	 * function and return the result itself, instead of jumping here.
	 */
	OPTIMIZER_HIDE_VAR(ret);
	return ret;
}

static int leave_patch_call(struct seq_file *m)
{
	int ret = leave_patch_wait(m);

	/* Code after the call keeps the compiler from making a sibling call. */
	barrier();
	return ret;
}

static int leave_patch_jump(struct seq_file *m)
{
	return leave_patch_wait(m);
}

static int leave_patch_callback(struct seq_file *m)
{
	return test_klp_leave_walk(m, leave_patch_wait);
}

static noinline int leave_patch_inside(struct seq_file *m)
{
	int ret = test_klp_leave_walk(m, leave_patch_wait);

	barrier();
	return ret;
}

static int leave_patch_jump_inside(struct seq_file *m)
{
	return leave_patch_inside(m);
}

static const char leave_patch_text[] = "new a";

static int leave_patch_data(struct seq_file *m)
{
	return test_klp_leave_tell(m, leave_patch_text);
}

static long leave_patch_again(struct restart_block *restart)
{
	return -EINTR;
}

static int leave_patch_restart(struct seq_file *m)
{
	current->restart_block.fn = leave_patch_again;
	test_klp_leave_say(m, "new a");
	return 0;
}

static int leave_patch_thread(void *arg)
{
	while (READ_ONCE(hold) && !kthread_should_stop())
		msleep(100);
	return 0;
}

static int leave_patch_b(struct seq_file *m)
{
	test_klp_leave_say(m, "new b");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_leave_a",
		.new_func = leave_patch_call,
	}, {
		.old_name = "test_klp_leave_b",
		.new_func = leave_patch_b,
	}, {}, {}
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

static int enable_with_thread(bool start)
{
	int ret;

	funcs[2].old_name = "test_klp_leave_thread";
	funcs[2].new_func = leave_patch_thread;
	thread = kthread_create(leave_patch_thread, NULL, "test_klp_leave");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	get_task_struct(thread);
	if (start)
		wake_up_process(thread);

	ret = klp_enable_patch(&patch);
	if (ret)
		kthread_stop_put(thread);
	return ret;
}

static int test_klp_leave_patch_init(void)
{
	if (!strcmp(reach, "jump"))
		funcs[0].new_func = leave_patch_jump;
	else if (!strcmp(reach, "callback"))
		funcs[0].new_func = leave_patch_callback;
	else if (!strcmp(reach, "inside"))
		funcs[0].new_func = leave_patch_jump_inside;
	else if (!strcmp(reach, "data"))
		funcs[0].new_func = leave_patch_data;
	else if (!strcmp(reach, "restart"))
		funcs[0].new_func = leave_patch_restart;
	else if (!strcmp(reach, "thread"))
		return enable_with_thread(true);
	else if (!strcmp(reach, "created"))
		return enable_with_thread(false);
	else if (strcmp(reach, "call"))
		return -EINVAL;

	return klp_enable_patch(&patch);
}

static void test_klp_leave_patch_exit(void)
{
	/* The thread has ended, or this module would still be in use. */
	if (thread)
		put_task_struct(thread);
}

module_init(test_klp_leave_patch_init);
module_exit(test_klp_leave_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: livepatch that ends while tasks are in it");
