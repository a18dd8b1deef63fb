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
#include <linux/sched.h>
#include <asm/tsc.h>

struct klp_bench_span {
	u64 ticks;
	/* Those of the ticks that the CPU was idle. */
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
 * of earlier operations ends.  The span begins right after a timer tick, half a
 * second away from timers that are rounded to seconds, so that it is the same
 * in each run.  Sleeps.
 */
static inline void klp_bench_begin(struct klp_bench_span *span)
{
	schedule_timeout_uninterruptible(5 * HZ / 2 - jiffies % HZ);
	span->idle = klp_bench_idle();
	span->ticks = klp_bench_now();
}

/* Returns the ticks since the begin of a span. */
static inline struct klp_bench_span
klp_bench_passed(const struct klp_bench_span *begin)
{
	struct klp_bench_span span;

	span.ticks = klp_bench_now() - begin->ticks;
	span.idle = klp_bench_idle() - begin->idle;
	return span;
}

#endif /* _KLP_BENCH_H */
