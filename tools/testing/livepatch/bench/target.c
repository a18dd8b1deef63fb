// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module that is patched, which also measures calls
 *
 * Parameters, to be read and written in sysfs:
 *
 *   calls      read: the instructions of CALLS calls of the first function, and
 *              the version that they reach
 *   versions   read: the numbers of functions that have version 0, 1, and 2
 *   block      write 1: a task enters klp_bench_wait() and stays there;
 *              write 0: the task returns; read: the time of its last return
 *   calls_blocked
 *              read: the same as calls, by the task in klp_bench_wait()
 */

#include <linux/completion.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "bench.h"
#include "functions.h"

#define CALLS 100000

static int (*const functions[])(int x) = {
#define F(number) klp_bench_##number,
#include "functions.inc"
#undef F
};

/* Measures calls, and writes the text of the parameter for its reader. */
static int measure_calls(char *buffer)
{
	unsigned long flags;
	int version, x = 0;
	unsigned int i;
	u64 ticks;

	local_irq_save(flags);
	version = klp_bench_1000(-KLP_BENCH_RESULT(1000, 0));
	ticks = klp_bench_now();
	for (i = 0; i < CALLS; i++)
		x = klp_bench_1000(x);
	ticks = klp_bench_now() - ticks;
	local_irq_restore(flags);

	if (x != (int)(KLP_BENCH_RESULT(1000U, version) * CALLS))
		return -EIO;
	return sysfs_emit(buffer, "%llu %d\n", ticks, version);
}

static int calls_get(char *buffer, const struct kernel_param *kp)
{
	return measure_calls(buffer);
}

static const struct kernel_param_ops calls_ops = { .get = calls_get };
module_param_cb(calls, &calls_ops, NULL, 0400);

static int versions_get(char *buffer, const struct kernel_param *kp)
{
	unsigned int i, version, count[KLP_BENCH_VERSIONS] = { 0 };

	for (i = 0; i < KLP_BENCH_COUNT; i++) {
		version = functions[i](-KLP_BENCH_RESULT(KLP_BENCH_FIRST + (int)i, 0));
		if (version >= KLP_BENCH_VERSIONS)
			return -EIO;
		count[version]++;
	}
	return sysfs_emit(buffer, "%u %u %u\n", count[0], count[1], count[2]);
}

static const struct kernel_param_ops versions_ops = { .get = versions_get };
module_param_cb(versions, &versions_ops, NULL, 0400);

/* The lock of the module's parameters protects all of this. */
static struct task_struct *blocker;
static DECLARE_COMPLETION(entered);
static DECLARE_COMPLETION(asked);
static DECLARE_COMPLETION(answered);
static char *answer;
static int answer_length;
static u64 left_at;

/* The function that keeps a transition from completing. */
noinline void klp_bench_wait(void);
noinline void klp_bench_wait(void)
{
	complete(&entered);
	for (;;) {
		wait_for_completion(&asked);
		if (!answer)
			break;
		answer_length = measure_calls(answer);
		complete(&answered);
	}
	left_at = klp_bench_now();
}

static int blocker_main(void *unused)
{
	klp_bench_wait();
	complete(&answered);
	klp_bench_sleep_until_stop();
	return 0;
}

static void release(void)
{
	answer = NULL;
	complete(&asked);
	wait_for_completion(&answered);
	kthread_stop(blocker);
	blocker = NULL;
}

static int block_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int err;

	err = kstrtobool(value, &on);
	if (err)
		return err;
	if (on == !!blocker)
		return -EALREADY;
	if (on) {
		blocker = kthread_run(blocker_main, NULL, "klp_bench_block");
		if (IS_ERR(blocker)) {
			err = PTR_ERR(blocker);
			blocker = NULL;
			return err;
		}
		wait_for_completion(&entered);
	} else {
		release();
	}
	return 0;
}

static int block_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", left_at);
}

static const struct kernel_param_ops block_ops = {
	.set = block_set,
	.get = block_get,
};
module_param_cb(block, &block_ops, NULL, 0600);

static int calls_blocked_get(char *buffer, const struct kernel_param *kp)
{
	if (!blocker)
		return -ENOENT;
	answer = buffer;
	complete(&asked);
	wait_for_completion(&answered);
	return answer_length;
}

static const struct kernel_param_ops calls_blocked_ops = {
	.get = calls_blocked_get,
};
module_param_cb(calls_blocked, &calls_blocked_ops, NULL, 0400);

static int __init target_init(void)
{
	return 0;
}

static void __exit target_exit(void)
{
	if (blocker)
		release();
}

module_init(target_init);
module_exit(target_exit);
MODULE_DESCRIPTION("Functions for the live patching benchmark to patch");
MODULE_LICENSE("GPL");
