// SPDX-License-Identifier: GPL-2.0
/*
 * Lets the nth memory allocation inside calls of one kernel function fail.
 * When a task enters the function, the module writes the task's fail_nth, as
 * /proc/self/fail-nth does, and takes it back when the function returns.
 *
 * The module loader allocates much memory before and after it calls live
 * patching.  This way only the allocations inside the function count, and the
 * function is the same one with both cores.
 *
 * The parameter nth counts down.  It is 0 after an allocation has failed.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

static char *function = "";
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "name of the function");

static unsigned int nth;
module_param(nth, uint, 0644);
MODULE_PARM_DESC(nth, "which allocation is to fail, from 1; 0 for none");

static unsigned int calls;
module_param(calls, uint, 0644);
MODULE_PARM_DESC(calls, "calls of the function in which allocations were counted");

static unsigned int returns;
module_param(returns, uint, 0644);
MODULE_PARM_DESC(returns, "returns from these calls");

#ifdef CONFIG_FAULT_INJECTION
static int enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	/* One task at a time: the task that takes the number returns it. */
	unsigned int taken = xchg(&nth, 0);

	if (!taken)
		return 1;
	calls++;
	current->fail_nth = taken;
	return 0;
}

static int leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	WRITE_ONCE(nth, current->fail_nth);
	current->fail_nth = 0;
	returns++;
	return 0;
}

static struct kretprobe probe = {
	.entry_handler	= enter,
	.handler	= leave,
};

static int test_klp_fail_nth_init(void)
{
	probe.kp.symbol_name = function;
	return register_kretprobe(&probe);
}

static void test_klp_fail_nth_exit(void)
{
	unregister_kretprobe(&probe);
}
#else
static int test_klp_fail_nth_init(void)
{
	return -EOPNOTSUPP;
}

static void test_klp_fail_nth_exit(void)
{
}
#endif

module_init(test_klp_fail_nth_init);
module_exit(test_klp_fail_nth_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: fault injection around one function");
