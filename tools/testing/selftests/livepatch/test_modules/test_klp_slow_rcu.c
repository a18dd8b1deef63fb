// SPDX-License-Identifier: GPL-2.0
/*
 * Makes every grace period of RCU long, by a reader that is in a critical section
 * for most of the time, for reads_ms milliseconds each.
 */

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

static unsigned int reads_ms = 2000;
module_param(reads_ms, uint, 0444);
MODULE_PARM_DESC(reads_ms, "milliseconds that a critical section takes (default=2000)");

static struct task_struct *reader;

static int read_slowly(void *arg)
{
	while (!kthread_should_stop()) {
		rcu_read_lock();
		mdelay(reads_ms);
		rcu_read_unlock();
		schedule_timeout_uninterruptible(1);
	}
	return 0;
}

static int test_klp_slow_rcu_init(void)
{
	reader = kthread_run(read_slowly, NULL, "test_klp_slow_rcu");
	return PTR_ERR_OR_ZERO(reader);
}

static void test_klp_slow_rcu_exit(void)
{
	kthread_stop(reader);
}

module_init(test_klp_slow_rcu_init);
module_exit(test_klp_slow_rcu_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: slow grace periods");
