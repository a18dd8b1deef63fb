/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock of the live patching benchmark
 *
 * The time stamp counter is the clock.  The emulator advances it by one with
 * each instruction, and to the next timer at once when the CPU idles.  So the
 * ticks of a span, less those in idle, are the number of instructions.
 */
#ifndef _KLP_BENCH_H
#define _KLP_BENCH_H

#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <asm/tsc.h>

struct klp_bench_span {
	u64 ticks;
	/* The part of the ticks in which the CPU was idle. */
	u64 idle;
};

/* Functions of the module klp_bench: see idle.c, tasks.c and gone.c. */
u64 klp_bench_idle(void);
int klp_bench_watch_begin(void);
void klp_bench_watch_end(void);
int klp_bench_await_gone(const char *name, const struct klp_bench_span *begin);

static inline u64 klp_bench_now(void)
{
	return rdtsc_ordered();
}

/*
 * Begins a span, after at least one and a half seconds in which deferred work
 * of earlier operations ends.  The span begins right after a timer tick, and half
 * a second away from timers that are rounded to seconds.  So each run is the same.
 * Sleeps.
 */
static inline void klp_bench_begin(struct klp_bench_span *span)
{
	schedule_timeout_uninterruptible(5 * HZ / 2 - jiffies % HZ);
	span->idle = klp_bench_idle();
	span->ticks = klp_bench_now();
}

/* Returns the ticks since a span began. */
static inline struct klp_bench_span
klp_bench_passed(const struct klp_bench_span *begin)
{
	struct klp_bench_span span;

	span.ticks = klp_bench_now() - begin->ticks;
	span.idle = klp_bench_idle() - begin->idle;
	return span;
}

/* Lets a kernel thread sleep until it is asked to stop. */
static inline void klp_bench_sleep_until_stop(void)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

#endif /* _KLP_BENCH_H */
