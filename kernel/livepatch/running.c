// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * running.c - tasks that run, and the CPUs on which they are not disturbed, for
 * the Rust core
 */

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>
#include <linux/tick.h>
#include "rust.h"

/*
 * Passes and looks do not disturb tasks on these CPUs.  The tasks switch when
 * they sleep, or leave the kernel, and get the signal after 15 seconds as on
 * other CPUs.  The mask is read without a lock: a pass that runs while the
 * administrator changes it may find each CPU in either state.
 */
static struct cpumask klp_undisturbed_cpus;

#ifdef CONFIG_NO_HZ_FULL
static int __init klp_undisturbed_init(void)
{
	if (tick_nohz_full_enabled())
		cpumask_copy(&klp_undisturbed_cpus, tick_nohz_full_mask);

	return 0;
}
core_initcall(klp_undisturbed_init);
#endif

static int klp_undisturbed_set(const char *val, const struct kernel_param *kp)
{
	/* Too large for the stack.  Parameters are set one at a time. */
	static struct cpumask cpus;
	int ret;

	ret = cpulist_parse(val, &cpus);
	if (!ret)
		cpumask_copy(&klp_undisturbed_cpus, &cpus);

	return ret;
}

static int klp_undisturbed_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%*pbl\n",
			  cpumask_pr_args(&klp_undisturbed_cpus));
}

static const struct kernel_param_ops klp_undisturbed_ops = {
	.set = klp_undisturbed_set,
	.get = klp_undisturbed_get,
};

/* Set after core_initcall(), so that the command line replaces the default. */
postcore_param_cb(undisturbed_cpus, &klp_undisturbed_ops, NULL, 0644);
MODULE_PARM_DESC(undisturbed_cpus,
		 "CPUs on which transitions do not interrupt tasks, as a list");

static bool klp_may_disturb(unsigned int cpu)
{
	return !cpumask_test_cpu(cpu, &klp_undisturbed_cpus);
}

/*
 * If the task runs, interrupts its CPU: a task in user space enters the kernel,
 * and switches on its way back.  On a CPU without a tick, no other interrupt may
 * come for a long time.
 */
void klp_task_kick(struct task_struct *task)
{
	if (klp_may_disturb(task_cpu(task)))
		kick_process(task);
}

struct klp_in_place {
	void (*func)(void *arg);
	void *arg;
};

static int klp_in_place_fn(void *arg)
{
	struct klp_in_place *call = arg;

	call->func(call->arg);

	return 0;
}

/*
 * Calls @func on the CPU of a task, in place of the task that runs there, even
 * if that is a real-time task.  @task may have gone to another CPU meanwhile.
 * @func is not called if the CPU must not be disturbed or is offline.  An idle
 * CPU has no task that this could disturb.
 */
void klp_call_in_place_of(struct task_struct *task, void (*func)(void *arg),
			  void *arg)
{
	struct klp_in_place call = { .func = func, .arg = arg };
	unsigned int cpu = task_cpu(task);

	if (klp_may_disturb(cpu) || is_idle_task(task))
		stop_one_cpu(cpu, klp_in_place_fn, &call);
}
