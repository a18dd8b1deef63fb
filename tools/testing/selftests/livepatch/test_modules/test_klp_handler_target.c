// SPDX-License-Identifier: GPL-2.0

/*
 * A task that is preempted in ftrace, when a handler for the function that it calls has
 * chosen a livepatch's version of the function.
 *
 * Writing Y to "held" has the caller, a real-time thread, call
 * test_klp_handler_outer().  An ftrace_ops of this module wakes up another thread with a
 * higher priority on the same CPU, in front of that function.  So the caller is
 * preempted as soon as ftrace enables preemption, and the other thread keeps the CPU
 * until N is written.  Then "result" is what the function has returned: ten times its
 * version, plus the version of test_klp_handler_inner().
 */

#include <linux/err.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include "test_klp_handler.h"

static unsigned int cpu;
module_param(cpu, uint, 0444);
MODULE_PARM_DESC(cpu, "the CPU of the threads (default=0)");

static int result = -1;
module_param(result, int, 0444);
MODULE_PARM_DESC(result, "the versions that the caller has met, or -1 while it calls");

static bool holds;
module_param(holds, bool, 0444);
MODULE_PARM_DESC(holds, "whether the other thread has the CPU");

static struct task_struct *caller;
static struct task_struct *holder;
static bool held;
static bool calls;

static int original_version;

noinline int test_klp_handler_inner(void)
{
	return READ_ONCE(original_version);
}
EXPORT_SYMBOL_GPL(test_klp_handler_inner);

static noinline int test_klp_handler_outer(void)
{
	return 10 * READ_ONCE(original_version) + test_klp_handler_inner();
}

static void notrace preempt_caller(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	if (current == READ_ONCE(caller) && READ_ONCE(held))
		wake_up_process(holder);
}

static struct ftrace_ops ops = {
	.func = preempt_caller,
};

static int caller_main(void *unused)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		if (!READ_ONCE(calls)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		WRITE_ONCE(calls, false);
		WRITE_ONCE(result, test_klp_handler_outer());
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int holder_main(void *unused)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
		while (READ_ONCE(held) && !kthread_should_stop()) {
			WRITE_ONCE(holds, true);
			cpu_relax();
		}
		WRITE_ONCE(holds, false);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Parameters are set one at a time. */
static int held_set(const char *val, const struct kernel_param *kp)
{
	bool value;
	int ret;

	ret = kstrtobool(val, &value);
	if (ret)
		return ret;
	if (value && READ_ONCE(caller)) {
		WRITE_ONCE(result, -1);
		WRITE_ONCE(held, true);
		WRITE_ONCE(calls, true);
		wake_up_process(caller);
	} else {
		WRITE_ONCE(held, false);
	}
	return 0;
}

static const struct kernel_param_ops held_ops = {
	.set = held_set,
	.get = param_get_bool,
};
module_param_cb(held, &held_ops, &held, 0644);
MODULE_PARM_DESC(held, "whether the caller calls, and is kept from its CPU (default=false)");

static int test_klp_handler_target_init(void)
{
	unsigned long outer = (unsigned long)test_klp_handler_outer;
	struct task_struct *thread;
	int ret;

	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;

	holder = kthread_create_on_cpu(holder_main, NULL, cpu, "klp_holder/%u");
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	sched_set_fifo(holder);
	wake_up_process(holder);

	thread = kthread_create_on_cpu(caller_main, NULL, cpu, "klp_caller/%u");
	if (IS_ERR(thread)) {
		ret = PTR_ERR(thread);
		goto stop_holder;
	}
	sched_set_fifo_low(thread);
	wake_up_process(thread);

	ret = ftrace_set_filter_ip(&ops, outer, 0, 0);
	if (!ret)
		ret = register_ftrace_function(&ops);
	if (ret)
		goto stop_caller;

	WRITE_ONCE(caller, thread);
	return 0;

stop_caller:
	ftrace_free_filter(&ops);
	kthread_stop(thread);
stop_holder:
	kthread_stop(holder);
	return ret;
}

static void test_klp_handler_target_exit(void)
{
	WRITE_ONCE(held, false);
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	kthread_stop(caller);
	kthread_stop(holder);
}

module_init(test_klp_handler_target_init);
module_exit(test_klp_handler_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module with a task that is preempted in ftrace");
