// SPDX-License-Identifier: GPL-2.0

/*
 * A thread that injects idle time on the last CPU, as drivers do that cool a CPU.
 * It stays in a function that test_klp_idle_patch.ko patches, and calls the idle
 * loop from there, until the parameter "hold" is N.
 */

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/time64.h>

static bool hold = true;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "whether the thread stays in the function (default=Y)");

static struct task_struct *thread;

static noinline void test_klp_idle_inject(void)
{
	while (READ_ONCE(hold) && !kthread_should_stop()) {
		play_idle_precise(5 * NSEC_PER_MSEC, U64_MAX);
		/* Let the other tasks of the CPU run. */
		msleep(20);
	}
}

static int thread_main(void *unused)
{
	test_klp_idle_inject();
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int test_klp_idle_target_init(void)
{
	thread = kthread_create(thread_main, NULL, "klp_idle");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	kthread_bind(thread, cpumask_last(cpu_online_mask));
	sched_set_fifo(thread);
	wake_up_process(thread);
	return 0;
}

static void test_klp_idle_target_exit(void)
{
	kthread_stop(thread);
}

module_init(test_klp_idle_target_init);
module_exit(test_klp_idle_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module with a thread that injects idle time");
