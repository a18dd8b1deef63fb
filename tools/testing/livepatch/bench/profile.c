// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sampling profiler
 *
 *   profile    write 1: begins to take samples; write 0: stops
 *
 * The samples are the addresses, outside of idle, that a timer has interrupted.
 * They are unsigned longs in the file klp_bench of debugfs.  Time that is spent
 * with interrupts disabled counts for the place that enables them again.
 */

#include <linux/debugfs.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include <asm/irq_regs.h>
#include "main.h"

#define MOST_SAMPLES 200000
#define PERIOD (10 * NSEC_PER_USEC)

static struct hrtimer timer;
static unsigned long *samples;
static unsigned int taken;
static struct debugfs_blob_wrapper blob;
static struct dentry *file;

static enum hrtimer_restart take_sample(struct hrtimer *unused)
{
	struct pt_regs *regs = get_irq_regs();

	if (taken == MOST_SAMPLES)
		return HRTIMER_NORESTART;
	if (regs && !is_idle_task(current))
		samples[taken++] = instruction_pointer(regs);
	hrtimer_forward_now(&timer, ns_to_ktime(PERIOD));
	return HRTIMER_RESTART;
}

static void forget(void)
{
	debugfs_remove(file);
	file = NULL;
	vfree(samples);
	samples = NULL;
}

static int profile_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int err;

	err = kstrtobool(value, &on);
	if (err)
		return err;
	if (!on) {
		if (!samples || file)
			return -EALREADY;
		hrtimer_cancel(&timer);
		blob.data = samples;
		blob.size = taken * sizeof(*samples);
		file = debugfs_create_blob("klp_bench", 0400, NULL, &blob);
		return 0;
	}
	if (samples && !file)
		return -EALREADY;
	forget();
	samples = vmalloc_array(MOST_SAMPLES, sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	taken = 0;
	hrtimer_setup(&timer, take_sample, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_HARD);
	hrtimer_start(&timer, ns_to_ktime(PERIOD), HRTIMER_MODE_REL_HARD);
	return 0;
}

static const struct kernel_param_ops profile_ops = { .set = profile_set };
module_param_cb(profile, &profile_ops, NULL, 0200);

void klp_bench_profile_exit(void)
{
	if (samples && !file)
		hrtimer_cancel(&timer);
	forget();
}
