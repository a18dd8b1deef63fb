// SPDX-License-Identifier: GPL-2.0

/*
 * Files in /proc.  Their readers sleep until they are killed:
 *
 * test_klp_sleep		in a function that test_klp_sleep_patch.ko patches
 * test_klp_sleep_unreliable	in a function that some unwinders cannot unwind
 *
 * The module also starts kernel threads, which sleep until it is unloaded:
 * "inside" threads in the first function, and "elsewhere" others.
 */

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

static unsigned int elsewhere;
module_param(elsewhere, uint, 0444);
MODULE_PARM_DESC(elsewhere, "kernel threads that sleep where nothing is patched (default=0)");

static unsigned int inside;
module_param(inside, uint, 0444);
MODULE_PARM_DESC(inside, "kernel threads that sleep as readers of test_klp_sleep do (default=0)");

static struct task_struct **threads;
static unsigned int thread_count;

static DECLARE_COMPLETION(never);

static noinline int test_klp_sleep_show(struct seq_file *m, void *v)
{
	int ret = wait_for_completion_killable(&never);

	/* Kernel threads have no file to write to. */
	if (m)
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

static int thread_main(void *in_show)
{
	if (in_show)
		test_klp_sleep_show(NULL, NULL);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void stop_threads(void)
{
	complete_all(&never);
	while (thread_count)
		kthread_stop(threads[--thread_count]);
	kvfree(threads);
}

static int start_threads(void)
{
	struct task_struct *thread;
	unsigned int i;

	threads = kvcalloc(inside + elsewhere, sizeof(*threads), GFP_KERNEL);
	if (!threads)
		return -ENOMEM;
	for (i = 0; i < inside + elsewhere; i++) {
		thread = kthread_run(thread_main, i < inside ? &inside : NULL,
				     "klp_sleep/%u", i);
		if (IS_ERR(thread)) {
			stop_threads();
			return PTR_ERR(thread);
		}
		threads[thread_count++] = thread;
	}
	return 0;
}

/* test-bad-input.sh tries to patch this function.  It has no caller. */
static noinline __used void __init test_klp_sleep_freed(void)
{
}

static int test_klp_sleep_target_init(void)
{
	int ret;

	if (!proc_create_single("test_klp_sleep", 0, NULL, test_klp_sleep_show))
		return -ENOMEM;
	if (!proc_create_single("test_klp_sleep_unreliable", 0, NULL,
				test_klp_sleep_unreliable_show)) {
		remove_proc_entry("test_klp_sleep", NULL);
		return -ENOMEM;
	}
	ret = start_threads();
	if (ret) {
		remove_proc_entry("test_klp_sleep", NULL);
		remove_proc_entry("test_klp_sleep_unreliable", NULL);
	}
	return ret;
}

static void test_klp_sleep_target_exit(void)
{
	remove_proc_entry("test_klp_sleep", NULL);
	remove_proc_entry("test_klp_sleep_unreliable", NULL);
	stop_threads();
}

module_init(test_klp_sleep_target_init);
module_exit(test_klp_sleep_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target module whose users sleep in it");
