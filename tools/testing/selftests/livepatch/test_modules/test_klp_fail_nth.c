// SPDX-License-Identifier: GPL-2.0
/*
 * Lets the nth memory allocation inside calls of some kernel functions fail.
 * When a task enters such a function, the module writes the task's fail_nth, as
 * /proc/self/fail-nth does, and takes it back when the function returns.
 *
 * The module loader allocates much memory before and after it calls live
 * patching.  This way only the allocations inside the functions count, and the
 * functions are the same ones with both cores.
 *
 * The parameter nth counts down.  It is 0 after an allocation has failed.  The
 * parameter failed has a count of these allocations for each function.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

#define MAX_FUNCTIONS 5

static char *functions[MAX_FUNCTIONS];
static unsigned int nr_functions;
module_param_array(functions, charp, &nr_functions, 0444);
MODULE_PARM_DESC(functions, "names of the functions, none of which calls another");

static unsigned int nth;
module_param(nth, uint, 0644);
MODULE_PARM_DESC(nth, "which allocation is to fail, from 1; 0 for none");

static unsigned int calls;
module_param(calls, uint, 0644);
MODULE_PARM_DESC(calls, "calls of the functions in which allocations were counted");

static unsigned int returns;
module_param(returns, uint, 0644);
MODULE_PARM_DESC(returns, "returns from these calls");

static unsigned int failed[MAX_FUNCTIONS];
module_param_array(failed, uint, NULL, 0444);
MODULE_PARM_DESC(failed, "allocations that failed in each of the functions");

#ifdef CONFIG_FAULT_INJECTION
static struct kretprobe probes[MAX_FUNCTIONS];

static int enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	/* Only the task that takes the number counts, until it returns the number. */
	unsigned int taken = xchg(&nth, 0);

	if (!taken)
		return 1;
	calls++;
	current->fail_nth = taken;
	return 0;
}

static int leave(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	unsigned int left = current->fail_nth;

	current->fail_nth = 0;
	if (left)
		WRITE_ONCE(nth, left);
	else
		failed[get_kretprobe(instance) - probes]++;
	returns++;
	return 0;
}

static void test_klp_fail_nth_exit(void)
{
	while (nr_functions)
		unregister_kretprobe(&probes[--nr_functions]);
}

static int test_klp_fail_nth_init(void)
{
	unsigned int wanted = nr_functions;
	struct kretprobe *probe;
	int ret = 0;

	for (nr_functions = 0; nr_functions < wanted; nr_functions++) {
		probe = &probes[nr_functions];
		probe->kp.symbol_name = functions[nr_functions];
		probe->entry_handler = enter;
		probe->handler = leave;
		ret = register_kretprobe(probe);
		if (ret) {
			test_klp_fail_nth_exit();
			break;
		}
	}
	return ret;
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
MODULE_DESCRIPTION("Livepatch test: fault injection inside functions");
