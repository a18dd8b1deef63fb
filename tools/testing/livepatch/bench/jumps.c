// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of letting functions jump past the ftrace handler, and of letting
 * them call it again
 *
 *   jumps      write 1: begins to count; write 0: stops; read: the ticks that
 *              klp_ftrace_jump() has taken since counting began
 *
 * The Rust core calls klp_ftrace_jump() for both, once for all functions of an
 * object.  Figures include the entry and the exit of the return probe: a few
 * hundred instructions.
 */

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>
#include "bench.h"
#include "main.h"

static u64 spent;
static bool counting;

static int jump_begins(struct kretprobe_instance *instance,
		       struct pt_regs *regs)
{
	*(u64 *)instance->data = klp_bench_now();
	return 0;
}

static int jump_ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	spent += klp_bench_now() - *(u64 *)instance->data;
	return 0;
}

static struct kretprobe probe;

static int jumps_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int err;

	err = kstrtobool(value, &on);
	if (err)
		return err;
	if (on == counting)
		return -EALREADY;
	if (on) {
		/* A kretprobe cannot be registered again with its old state. */
		probe = (struct kretprobe) {
			.kp.symbol_name = "klp_ftrace_jump",
			.entry_handler = jump_begins,
			.handler = jump_ends,
			.data_size = sizeof(u64),
		};
		err = register_kretprobe(&probe);
		if (err)
			return err;
		spent = 0;
	} else {
		unregister_kretprobe(&probe);
	}
	counting = on;
	return 0;
}

static int jumps_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", spent);
}

static const struct kernel_param_ops jumps_ops = {
	.set = jumps_set,
	.get = jumps_get,
};
module_param_cb(jumps, &jumps_ops, NULL, 0600);

void klp_bench_jumps_exit(void)
{
	if (counting)
		unregister_kretprobe(&probe);
}
