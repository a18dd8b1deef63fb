// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kunit_target.c - functions for the KUnit tests of live patching to patch
 *
 * They are in C because ftrace does not reach the Rust code of the core.
 */

#include <linux/compiler.h>
#include <linux/ftrace.h>
#include <linux/stacktrace.h>
#include "rust.h"

noinline int klp_kunit_target(int value)
{
	return value + 1;
}

noinline int klp_kunit_other_target(int value)
{
	return value + 2;
}

static struct {
	unsigned long *entries;
	unsigned int size;
	unsigned int depth;
} klp_kunit_stack;

static void notrace klp_kunit_handler(unsigned long ip,
				      unsigned long parent_ip,
				      struct ftrace_ops *fops,
				      struct ftrace_regs *fregs)
{
	klp_kunit_stack.depth = stack_trace_save(klp_kunit_stack.entries,
						 klp_kunit_stack.size, 0);
}

static struct ftrace_ops klp_kunit_fops = {
	.func	= klp_kunit_handler,
	.flags	= FTRACE_OPS_FL_DYNAMIC,
};

/*
 * Stores the return addresses that are on the stack in an ftrace handler of
 * klp_kunit_target(), and returns their number.  Only one caller at a time.
 */
unsigned int klp_kunit_stack_in_handler(unsigned long *entries,
					unsigned int size)
{
	unsigned long ip = ftrace_location((unsigned long)klp_kunit_target);
	int (*target)(int value) = klp_kunit_target;

	/* Otherwise there would be no call, because its result is not used. */
	OPTIMIZER_HIDE_VAR(target);

	klp_kunit_stack.entries = entries;
	klp_kunit_stack.size = size;
	klp_kunit_stack.depth = 0;
	if (ftrace_set_filter_ip(&klp_kunit_fops, ip, 0, 1))
		return 0;
	if (!register_ftrace_function(&klp_kunit_fops)) {
		target(0);
		unregister_ftrace_function(&klp_kunit_fops);
	}
	ftrace_free_filter(&klp_kunit_fops);
	return klp_kunit_stack.depth;
}
