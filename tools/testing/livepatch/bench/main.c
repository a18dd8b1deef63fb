// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of the live patching benchmark that patch nothing
 *
 * Parameters, to be read and written in sysfs:
 *
 *   calibrate  read: the ticks that 2,000,000 instructions take
 *   align      write N: returns N ms after the beginning of a second
 *   busy, disable, gone, jumps, shadow, profile
 *              see busy.c, gone.c, jumps.c, shadow.c, and profile.c
 *   tasks, held, threads
 *              see tasks.c
 */

#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "bench.h"
#include "main.h"

static int calibrate_get(char *buffer, const struct kernel_param *kp)
{
	unsigned long flags, loops = 1000000;
	u64 ticks;

	local_irq_save(flags);
	ticks = klp_bench_now();
	asm volatile("1: dec %0; jnz 1b" : "+r" (loops));
	ticks = klp_bench_now() - ticks;
	local_irq_restore(flags);
	return sysfs_emit(buffer, "%llu\n", ticks);
}

static const struct kernel_param_ops calibrate_ops = { .get = calibrate_get };
module_param_cb(calibrate, &calibrate_ops, NULL, 0400);

static int align_set(const char *value, const struct kernel_param *kp)
{
	unsigned int ms;
	int err;

	err = kstrtouint(value, 0, &ms);
	if (err)
		return err;
	/* A second begins at a value to which round_jiffies() rounds. */
	schedule_timeout_uninterruptible(HZ - jiffies % HZ +
					 msecs_to_jiffies(ms));
	return 0;
}

static const struct kernel_param_ops align_ops = { .set = align_set };
module_param_cb(align, &align_ops, NULL, 0200);

static int __init main_init(void)
{
	return klp_bench_idle_init();
}

static void __exit main_exit(void)
{
	klp_bench_busy_exit();
	klp_bench_profile_exit();
	klp_bench_jumps_exit();
	klp_bench_tasks_exit();
	klp_bench_idle_exit();
}

module_init(main_init);
module_exit(main_exit);
MODULE_DESCRIPTION("Clock, tasks and shadow variables for the live patching benchmark");
MODULE_LICENSE("GPL");
