// SPDX-License-Identifier: GPL-2.0

/*
 * A task that is preempted in ftrace, when a handler for the function that it calls has
 * chosen a livepatch's version of the function.
 *
 * Writing Y to "held" has the caller, a real-time thread, call
 * test_klp_handler_outer().  An ftrace_ops of this module wakes up another thread with a
 * higher priority on the same CPU, in front of that function.  So the caller is
 * preempted as soon as ftrace enables preemption, and the other thread keeps the CPU
 * until N is written.  Then "result" is the value of the function: ten times its
 * version, plus the version of test_klp_handler_inner().
 */

#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/ftrace.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <uapi/linux/sched/types.h>
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
static bool entered;

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
	if (current == READ_ONCE(caller) && READ_ONCE(held)) {
		WRITE_ONCE(entered, true);
		wake_up_process(holder);
	}
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
		/* Pairs with held_set(). */
		if (!smp_load_acquire(&calls)) {
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

/* A hold ends without an N, too, so that the CPU is not lost for ever. */
#define LONGEST_HOLD (900 * HZ)

static int holder_main(void *unused)
{
	unsigned long end;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
		end = jiffies + LONGEST_HOLD;
		while (READ_ONCE(held) && READ_ONCE(entered) && time_before(jiffies, end) &&
		       !kthread_should_stop()) {
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
	struct task_struct *thread = caller;
	bool value;
	int ret;

	ret = kstrtobool(val, &value);
	if (ret)
		return ret;
	if (value && thread) {
		WRITE_ONCE(result, -1);
		WRITE_ONCE(entered, false);
		WRITE_ONCE(held, true);
		/* The caller, if it is awake, finds the above. */
		smp_store_release(&calls, true);
		wake_up_process(thread);
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

/* start_fifo() - start a real-time thread on the CPU, with this priority. */
static struct task_struct *start_fifo(int (*fn)(void *unused), int priority, const char *name)
{
	struct sched_attr attr = {
		.sched_policy = SCHED_FIFO,
		.sched_priority = priority,
	};
	struct task_struct *thread;

	thread = kthread_create_on_cpu(fn, NULL, cpu, name);
	if (IS_ERR(thread))
		return thread;
	WARN_ON(sched_setattr_nocheck(thread, &attr));
	wake_up_process(thread);
	return thread;
}

/*
 * The priorities are below those of threads that the kernel needs.  The CPU must be
 * online.
 */
static int start_threads(void)
{
	struct task_struct *thread;

	holder = start_fifo(holder_main, 2, "klp_holder/%u");
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	thread = start_fifo(caller_main, 1, "klp_caller/%u");
	if (IS_ERR(thread)) {
		kthread_stop(holder);
		return PTR_ERR(thread);
	}
	WRITE_ONCE(caller, thread);
	return 0;
}

static void stop_threads(void)
{
	struct task_struct *thread = caller;

	/* The files of the parameters are still there. */
	kernel_param_lock(THIS_MODULE);
	WRITE_ONCE(caller, NULL);
	WRITE_ONCE(held, false);
	kernel_param_unlock(THIS_MODULE);
	kthread_stop(thread);
	kthread_stop(holder);
}

static int test_klp_handler_target_init(void)
{
	int ret = -EINVAL;

	cpus_read_lock();
	if (cpu < nr_cpu_ids && cpu_online(cpu))
		ret = start_threads();
	cpus_read_unlock();
	if (ret)
		return ret;

	ret = ftrace_set_filter_ip(&ops, (unsigned long)test_klp_handler_outer, 0, 0);
	if (!ret)
		ret = register_ftrace_function(&ops);
	if (ret) {
		ftrace_free_filter(&ops);
		stop_threads();
	}
	return ret;
}

static void test_klp_handler_target_exit(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	stop_threads();
}

module_init(test_klp_handler_target_init);
module_exit(test_klp_handler_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module with a task that is preempted in ftrace");
