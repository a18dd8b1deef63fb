// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many sleeping tasks, the longest wait for the CPU, and the cost of creating
 * and ending a task
 *
 *   tasks      write N: starts or ends kernel threads, which sleep, so that
 *              N tasks of all kinds exist; read: the number of tasks
 *   held       read: the longest time, in ticks, that a real-time task had to
 *              wait for the CPU while it watched
 *   threads    write N: creates and ends N kernel threads, one after the other;
 *              read: the ticks that this took, without those in idle
 *
 * With one CPU, a real-time task waits only for code that disables preemption, as
 * a task does while it holds tasklist_lock for reading.  So with many tasks, the
 * longest wait during a transition is the longest time for which the transition
 * holds the lock.  The watcher sleeps for one PERIOD between two looks at the
 * clock, so the figure is too small by less than one PERIOD.
 *
 * Live patching has hooks in copy_process() and in do_exit(), which kernel
 * threads call like the threads of a process.  Kernel threads do little beside
 * that: they have no memory, files or signals to give back, and read no program
 * from the disk.  So the hooks are as large a part of the figure as they can be.
 */

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "bench.h"
#include "main.h"

#define MOST_TASKS 8192
#define PERIOD (20 * NSEC_PER_USEC)

static struct task_struct *sleepers[MOST_TASKS];
static unsigned int sleeping;

static int sleeper_main(void *unused)
{
	klp_bench_sleep_until_stop();
	return 0;
}

static unsigned int count_tasks(void)
{
	struct task_struct *process, *task;
	unsigned int count = 0;

	rcu_read_lock();
	for_each_process_thread(process, task)
		count++;
	rcu_read_unlock();
	return count;
}

static int tasks_set(const char *value, const struct kernel_param *kp)
{
	struct task_struct *task;
	unsigned int wanted;
	unsigned int count;
	int err;

	err = kstrtouint(value, 0, &wanted);
	if (err)
		return err;
	for (count = count_tasks(); count < wanted; count++) {
		if (sleeping == MOST_TASKS)
			return -ERANGE;
		task = kthread_run(sleeper_main, NULL, "klp_bench/%u", sleeping);
		if (IS_ERR(task))
			return PTR_ERR(task);
		sleepers[sleeping++] = task;
	}
	while (count > wanted && sleeping) {
		kthread_stop(sleepers[--sleeping]);
		count--;
	}
	return 0;
}

static int tasks_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", count_tasks());
}

static const struct kernel_param_ops tasks_ops = {
	.set = tasks_set,
	.get = tasks_get,
};
module_param_cb(tasks, &tasks_ops, NULL, 0600);

static struct task_struct *watcher;
static u64 longest;

static int watcher_main(void *unused)
{
	u64 ticks;
	ktime_t until;
	s64 late;

	while (!kthread_should_stop()) {
		until = ktime_add_ns(ktime_get(), PERIOD);
		set_current_state(TASK_INTERRUPTIBLE);
		ticks = klp_bench_now();
		schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
		ticks = klp_bench_now() - ticks;
		late = ticks - PERIOD;
		if (late > (s64)longest)
			longest = late;
	}
	return 0;
}

/* Starts the watcher.  Sleeps. */
int klp_bench_watch_begin(void)
{
	struct task_struct *task;

	task = kthread_create(watcher_main, NULL, "klp_bench_watch");
	if (IS_ERR(task))
		return PTR_ERR(task);
	sched_set_fifo(task);
	longest = 0;
	watcher = task;
	wake_up_process(task);
	return 0;
}
EXPORT_SYMBOL_GPL(klp_bench_watch_begin);

/* Ends the watcher.  Sleeps. */
void klp_bench_watch_end(void)
{
	kthread_stop(watcher);
	watcher = NULL;
}
EXPORT_SYMBOL_GPL(klp_bench_watch_end);

static int held_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", longest);
}

static const struct kernel_param_ops held_ops = { .get = held_get };
module_param_cb(held, &held_ops, NULL, 0400);

static u64 threads;

static int threads_set(const char *value, const struct kernel_param *kp)
{
	struct klp_bench_span begin, passed;
	struct task_struct *task;
	unsigned int wanted, i;
	int err;

	err = kstrtouint(value, 0, &wanted);
	if (err)
		return err;
	klp_bench_begin(&begin);
	for (i = 0; i < wanted; i++) {
		task = kthread_create(sleeper_main, NULL, "klp_bench");
		if (IS_ERR(task))
			return PTR_ERR(task);
		/* The thread has not begun to run, and ends without running. */
		kthread_stop(task);
	}
	/* The kernel frees the last threads after a grace period. */
	rcu_barrier();
	passed = klp_bench_passed(&begin);
	threads = passed.ticks - passed.idle;
	return 0;
}

static int threads_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", threads);
}

static const struct kernel_param_ops threads_ops = {
	.set = threads_set,
	.get = threads_get,
};
module_param_cb(threads, &threads_ops, NULL, 0600);

void klp_bench_tasks_exit(void)
{
	while (sleeping)
		kthread_stop(sleepers[--sleeping]);
}
