// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jump.c - functions that jump to their replacements, past ftrace
 *
 * settle.rs in model/ decides which functions do, and when.
 */

#include <linux/ftrace.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include "rust.h"

static unsigned long klp_jump_target(unsigned long ip)
{
	return klp_rust_jump_target(ip);
}

/* Makes the settled functions of @ops jump, and no others. */
int klp_ftrace_jump(struct ftrace_ops *ops)
{
	lockdep_assert_held(&klp_mutex);

	return ftrace_ops_jump(ops, klp_jump_target);
}
