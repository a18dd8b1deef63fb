// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ftrace.c - the way from a patched function to the Rust core
 *
 * Functions that are patched together share an ftrace_ops.  They are its
 * filter, so that any number of them enters or leaves ftrace in one update.
 *
 * The handler's frame and the flags of its ftrace_ops are derived from patch.c:
 * Copyright (C) 2014 Seth Jennings <sjenning@redhat.com>
 * Copyright (C) 2014 SUSE
 * Copyright (C) 2015 Josh Poimboeuf <jpoimboe@redhat.com>
 */

#include <linux/ftrace.h>
#include <linux/jiffies.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include "rust.h"

static void notrace klp_ftrace_handler(unsigned long ip,
				       unsigned long parent_ip,
				       struct ftrace_ops *fops,
				       struct ftrace_regs *fregs)
{
	unsigned long target;

	/*
	 * klp_synchronize_transition() waits for this section, which RCU may
	 * not do: functions can be patched where RCU is not watching.
	 *
	 * No function that is called in between can be traced, so there is no
	 * recursion to guard against: ftrace does not reach lib.o, and Rust's
	 * helpers in C are inline functions, which are notrace.  The exception
	 * is one warning, which is printed once.
	 *
	 * On every architecture, @ip is the ftrace_location() of the function,
	 * by which the table finds the function's stack.
	 */
	preempt_disable_notrace();
	target = klp_rust_redirect(ip, current);
	preempt_enable_notrace();

	if (target)
		ftrace_regs_set_instruction_pointer(fregs, target);
}

/* Initializes an ftrace_ops that is all zero, for the handler. */
void klp_ftrace_init(struct ftrace_ops *ops)
{
	ops->func = klp_ftrace_handler;
	ops->flags = FTRACE_OPS_FL_DYNAMIC |
#ifndef CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS
		     FTRACE_OPS_FL_SAVE_REGS |
#endif
		     FTRACE_OPS_FL_IPMODIFY |
		     FTRACE_OPS_FL_PERMANENT;
}

#ifndef CONFIG_LIVEPATCH_RUST_JUMP
/* Without that option, functions always call the handler. */
int klp_ftrace_jump(struct ftrace_ops *ops)
{
	return 0;
}
#endif

static void klp_leave_ftrace_work_fn(struct work_struct *work)
{
	klp_rust_leave_ftrace_work();
}

/*
 * Transitions have a work item of their own, which has to run sooner: while the
 * timer of a delayed work runs, scheduling it with a shorter delay has no
 * effect.
 */
static DECLARE_DELAYED_WORK(klp_leave_ftrace_work, klp_leave_ftrace_work_fn);

void klp_leave_ftrace_later(unsigned int delay_ms)
{
	unsigned long delay = msecs_to_jiffies(delay_ms);

	schedule_delayed_work(&klp_leave_ftrace_work,
			      round_jiffies_relative(delay));
}
