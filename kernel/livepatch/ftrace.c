// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ftrace.c - the way from a patched function to the Rust core
 *
 * One ftrace_ops serves all patched functions: its filter is the set of them,
 * so that any number of functions enters or leaves ftrace in one update.
 */

#include <linux/ftrace.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include "rust.h"

static void notrace klp_ftrace_handler(unsigned long ip,
				       unsigned long parent_ip,
				       struct ftrace_ops *fops,
				       struct ftrace_regs *fregs)
{
	unsigned long target;

	/*
	 * This is what klp_synchronize_transition() waits for: functions can
	 * be patched where RCU is not watching.
	 *
	 * Nothing in between can be traced, so that there is no recursion to
	 * guard against, but for the one warning, which comes once.
	 */
	preempt_disable_notrace();
	target = klp_rust_redirect(ip, current);
	preempt_enable_notrace();

	if (target)
		ftrace_regs_set_instruction_pointer(fregs, target);
}

static struct ftrace_ops klp_fops = {
	.func	= klp_ftrace_handler,
	.flags	= FTRACE_OPS_FL_DYNAMIC |
#ifndef CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS
		  FTRACE_OPS_FL_SAVE_REGS |
#endif
		  FTRACE_OPS_FL_IPMODIFY |
		  FTRACE_OPS_FL_PERMANENT,
};

/* Adds functions to those that are traced, or removes them. */
int klp_ftrace_set_filter(unsigned long *ips, unsigned int cnt, bool remove)
{
	return ftrace_set_filter_ips(&klp_fops, ips, cnt, remove, 0);
}

/* Removes all functions.  Not while registered; needs no memory. */
void klp_ftrace_clear_filter(void)
{
	ftrace_free_filter(&klp_fops);
}

bool klp_ftrace_registered(void)
{
	return klp_fops.flags & FTRACE_OPS_FL_ENABLED;
}

/* To be called with a filter set: an empty one means all functions. */
int klp_ftrace_register(void)
{
	return register_ftrace_function(&klp_fops);
}

/* Returns when no handler runs any more. */
int klp_ftrace_unregister(void)
{
	return unregister_ftrace_function(&klp_fops);
}

/* For klp_rust_redirect(), which may call nothing that can be traced. */
void notrace klp_smp_rmb(void)
{
	/* What it orders, and its partners, are said where it is called. */
	smp_rmb();
}
