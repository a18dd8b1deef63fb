// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * messages.c - the messages about patches, transitions and tasks
 *
 * These are in C, because Rust has no dynamic debug and no index of printk
 * formats.  User space finds the debug messages in the dynamic debug control file
 * by "file kernel/livepatch/" and "func klp_try_switch_task".  That is why the
 * function has this name.
 *
 * The messages are derived from core.c and transition.c:
 * Copyright (C) 2014 Seth Jennings <sjenning@redhat.com>
 * Copyright (C) 2014 SUSE
 * Copyright (C) 2015-2016 Josh Poimboeuf <jpoimboe@redhat.com>
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include "rust.h"

/**
 * klp_log() - print the message about an event of a patch
 * @event:	the event
 * @patch:	the name of the patch, or %NULL if the message does not name it
 * @object:	the name of the object, or %NULL if the message does not name it
 * @err:	the error with which a step has failed, or 0
 * @patching:	the direction of the transition
 *
 * Context: Any.
 */
void klp_log(enum klp_event event, const char *patch, const char *object,
	     int err, bool patching)
{
	const char *direction = patching ? "patching" : "unpatching";

	switch (event) {
	case KLP_ENABLING:
		pr_notice("enabling patch '%s'\n", patch);
		break;
	case KLP_ENABLE_FAILED:
		pr_warn("failed to enable patch '%s'\n", patch);
		break;
	case KLP_PRE_PATCH_FAILED:
		pr_warn("pre-patch callback failed for object '%s'\n", object);
		break;
	case KLP_PATCH_FAILED:
		pr_warn("failed to patch object '%s'\n", object);
		break;

	case KLP_RESOLVE_FAILED:
		pr_warn("failed to initialize patch '%s' for module '%s' (%d)\n",
			patch, object, err);
		break;
	case KLP_APPLYING:
		pr_notice("applying patch '%s' to loading module '%s'\n",
			  patch, object);
		break;
	case KLP_APPLY_FAILED:
		pr_warn("failed to apply patch '%s' to module '%s' (%d)\n",
			patch, object, err);
		break;
	case KLP_REFUSING:
		pr_warn("patch '%s' failed for module '%s', refusing to load module '%s'\n",
			patch, object, object);
		break;
	case KLP_REVERTING:
		pr_notice("reverting patch '%s' on unloading module '%s'\n",
			  patch, object);
		break;

	case KLP_INITIALIZING:
		pr_debug("'%s': initializing %s transition\n", patch, direction);
		break;
	case KLP_STARTING:
		pr_notice("'%s': starting %s transition\n", patch, direction);
		break;
	case KLP_REVERSING:
		pr_debug("'%s': reversing transition from %s\n", patch,
			 patching ? "patching to unpatching" :
				    "unpatching to patching");
		break;
	case KLP_CANCELING:
		pr_debug("'%s': canceling patching transition, going to unpatch\n",
			 patch);
		break;
	case KLP_SIGNALING:
		pr_notice("signaling remaining tasks\n");
		break;
	case KLP_FORCING:
		pr_warn("forcing remaining tasks to the patched state\n");
		break;
	case KLP_COMPLETING:
		pr_debug("'%s': completing %s transition\n", patch, direction);
		break;
	case KLP_COMPLETE:
		pr_notice("'%s': %s complete\n", patch, direction);
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
