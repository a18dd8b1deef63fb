// SPDX-License-Identifier: GPL-2.0
/*
 * Has the nth memory allocation inside calls of one kernel function fail: it
 * writes the calling task's fail_nth, as /proc/self/fail-nth does, when the
 * function is entered, and takes it back when the function returns.
 *
 * Loading a module allocates a lot before and after live patching is called;
 * this way neither is counted, and with either core it is the same function.
 *
 * The parameter nth counts down; what is left in it says whether an allocation
 * has failed: 0 if one has.
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
	/* One task at a time: whoever takes the number brings it back. */
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
