// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ticks in which the first CPU is idle
 *
 * The kernel's own figure is not exact enough.  As long as the timer ticks in
 * idle, the kernel counts a whole tick where it was idle for the rest of one.
 * An operation of a minute that only waits had more idle time than time.
 */

#include <linux/errno.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include "bench.h"
#include "main.h"

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

/* The ticks in which the idle task has run on the first CPU. */
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
