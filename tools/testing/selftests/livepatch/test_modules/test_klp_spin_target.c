// SPDX-License-Identifier: GPL-2.0

/*
 * Kernel threads that never sleep and never leave the kernel: one on each
 * online CPU, or one real-time thread on the CPU "fifo_cpu".  While "inside"
 * is Y, they are in a function that test_klp_spin_patch.ko patches.
 */

#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

static bool inside;
module_param(inside, bool, 0644);
MODULE_PARM_DESC(inside, "the threads are in the function that is patched (default=false)");

static int fifo_cpu = -1;
module_param(fifo_cpu, int, 0444);
MODULE_PARM_DESC(fifo_cpu, "start only one thread, a real-time one on this CPU (default=none)");

static struct task_struct **threads;
static unsigned int thread_count;

static noinline void test_klp_spin(void)
{
	while (READ_ONCE(inside) && !kthread_should_stop())
		cpu_relax();
}

static int thread_main(void *unused)
{
	while (!kthread_should_stop()) {
		if (READ_ONCE(inside))
			test_klp_spin();
		/* Without this, no grace period of RCU Tasks would end. */
		cond_resched_tasks_rcu_qs();
	}
	return 0;
}

static int start_on(unsigned int cpu)
{
	struct task_struct *thread;

	thread = kthread_create_on_cpu(thread_main, NULL, cpu, "klp_spin/%u");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	if (fifo_cpu >= 0)
		sched_set_fifo_low(thread);
	threads[thread_count++] = thread;
	wake_up_process(thread);
	return 0;
}

static void stop_threads(void)
{
	while (thread_count)
		kthread_stop(threads[--thread_count]);
	kfree(threads);
}

static int start_threads(void)
{
	unsigned int cpu;
	int ret = 0;

	threads = kcalloc(nr_cpu_ids, sizeof(*threads), GFP_KERNEL);
	if (!threads)
		return -ENOMEM;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (fifo_cpu < 0 || cpu == fifo_cpu)
			ret = start_on(cpu);
		if (ret)
			break;
	}
	cpus_read_unlock();
	if (!ret && !thread_count)
		ret = -EINVAL;
	if (ret)
		stop_threads();
	return ret;
}

static int test_klp_spin_target_init(void)
{
	return start_threads();
}

static void test_klp_spin_target_exit(void)
{
	stop_threads();
}

module_init(test_klp_spin_target_init);
module_exit(test_klp_spin_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module with threads that never sleep");
