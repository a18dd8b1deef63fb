// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel threads that keep every CPU busy
 *
 *   busy       write "resched": starts a thread on each online CPU, which calls
 *              cond_resched() in a loop; write "spin": starts threads that loop
 *              without it; write "none": ends the threads
 */

#include <linux/cpu.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "main.h"

static DEFINE_PER_CPU(struct task_struct *, busy_thread);

static int resched_main(void *unused)
{
	while (!kthread_should_stop()) {
		cond_resched();
		/* As the loops in load.c do, and for the same reason. */
		cpu_relax();
	}
	return 0;
}

static int spin_main(void *unused)
{
	while (!kthread_should_stop())
		cpu_relax();
	return 0;
}

void klp_bench_busy_exit(void)
{
	struct task_struct **thread;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		thread = per_cpu_ptr(&busy_thread, cpu);
		if (*thread)
			kthread_stop(*thread);
		*thread = NULL;
	}
}

static int busy_set(const char *value, const struct kernel_param *kp)
{
	int (*function)(void *unused);
	struct task_struct *thread;
	unsigned int cpu;

	if (sysfs_streq(value, "resched"))
		function = resched_main;
	else if (sysfs_streq(value, "spin"))
		function = spin_main;
	else if (sysfs_streq(value, "none"))
		function = NULL;
	else
		return -EINVAL;

	klp_bench_busy_exit();
	if (!function)
		return 0;
	guard(cpus_read_lock)();
	for_each_online_cpu(cpu) {
		thread = kthread_create_on_cpu(function, NULL, cpu,
					       "klp_busy/%u");
		if (IS_ERR(thread)) {
			klp_bench_busy_exit();
			return PTR_ERR(thread);
		}
		per_cpu(busy_thread, cpu) = thread;
		wake_up_process(thread);
	}
	return 0;
}

static const struct kernel_param_ops busy_ops = { .set = busy_set };
module_param_cb(busy, &busy_ops, NULL, 0200);
