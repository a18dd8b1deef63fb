// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * messages.c - the debug messages of live patching
 *
 * Rust has no dynamic debug, so these are in C.  User space finds them in
 * the dynamic debug control file by "file kernel/livepatch/" and "func
 * klp_try_switch_task".  That is why the function has this name.  The Rust core
 * prints all other messages.
 *
 * The messages are derived from transition.c:
 * Copyright (C) 2015-2016 Josh Poimboeuf <jpoimboe@redhat.com>
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include "rust.h"

void klp_debug_transition(enum klp_debug_event event, const char *patch,
			  bool patching)
{
	const char *direction = patching ? "patching" : "unpatching";

	switch (event) {
	case KLP_DEBUG_INITIALIZING:
		pr_debug("'%s': initializing %s transition\n", patch, direction);
		break;
	case KLP_DEBUG_COMPLETING:
		pr_debug("'%s': completing %s transition\n", patch, direction);
		break;
	case KLP_DEBUG_CANCELING:
		pr_debug("'%s': canceling patching transition, going to unpatch\n",
			 patch);
		break;
	case KLP_DEBUG_REVERSING:
		pr_debug("'%s': reversing transition from %s\n", patch,
			 patching ? "patching to unpatching" :
				    "unpatching to patching");
		break;
	}
}

/*
 * Logs the reason for which a task did not switch.  For -EADDRINUSE, @func is
 * the name of the function that the task sleeps on.
 */
void klp_try_switch_task(const struct task_struct *task, int err,
			 const char *func)
{
	switch (err) {
	case -EBUSY:
		pr_debug("%s: %s:%d is running\n",
			 __func__, task->comm, task->pid);
		break;
	case -EINVAL:
		pr_debug("%s: %s:%d has an unreliable stack\n",
			 __func__, task->comm, task->pid);
		break;
	case -EADDRINUSE:
		pr_debug("%s: %s:%d is sleeping on function %s\n",
			 __func__, task->comm, task->pid, func);
		break;
	default:
		pr_debug("%s: Unknown error code (%d) when trying to switch %s:%d\n",
			 __func__, err, task->comm, task->pid);
		break;
	}
}
