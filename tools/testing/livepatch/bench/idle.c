// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ticks in which the first CPU is idle
 *
 * The kernel's own figure is not exact enough.  While the timer ticks in idle,
 * the kernel counts a whole tick of idle time where it was idle for a part of the
 * tick.  For an operation that only waited for a minute, the kernel's idle time
 * was longer than the operation.
 */

#include <linux/errno.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include "bench.h"
#include "main.h"

/* The idle time until now, and when the idle task began to run. */
static u64 idle, since;
static struct tracepoint *sched_switch;

static void switched(void *unused, bool preempt, struct task_struct *prev,
		     struct task_struct *next, unsigned int prev_state)
{
	u64 now = klp_bench_now();

	if (smp_processor_id())
		return;
	if (is_idle_task(prev))
		idle += now - since;
	if (is_idle_task(next))
		since = now;
}

/* The tracepoint is not exported. */
static void find(struct tracepoint *tracepoint, void *unused)
{
	if (!strcmp(tracepoint->name, "sched_switch"))
		sched_switch = tracepoint;
}

/* Returns the ticks in which the idle task has run on the first CPU. */
u64 klp_bench_idle(void)
{
	return idle;
}
EXPORT_SYMBOL_GPL(klp_bench_idle);

int klp_bench_idle_init(void)
{
	for_each_kernel_tracepoint(find, NULL);
	if (!sched_switch)
		return -ENOENT;
	return tracepoint_probe_register(sched_switch, switched, NULL);
}

void klp_bench_idle_exit(void)
{
	tracepoint_probe_unregister(sched_switch, switched, NULL);
	tracepoint_synchronize_unregister();
}
