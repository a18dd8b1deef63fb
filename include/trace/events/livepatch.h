/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of live patching: patches, transitions, and the tasks in them.
 * Only the core in Rust (CONFIG_LIVEPATCH_RUST) has these tracepoints.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM livepatch

#if !defined(_TRACE_LIVEPATCH_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LIVEPATCH_H

#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#ifndef _TRACE_LIVEPATCH_ENUMS
#define _TRACE_LIVEPATCH_ENUMS

/**
 * enum klp_switch_way - the way in which a task has switched
 * @KLP_WAY_STACK_CHECK: a pass checked its stack while it was still
 * @KLP_WAY_SCHEDULE: it checked its own stack, in __schedule()
 * @KLP_WAY_KERNEL_EXIT: it left the kernel
 * @KLP_WAY_IDLE_LOOP: an idle task passed through its loop
 * @KLP_WAY_OFFLINE: an idle task's CPU is offline
 * @KLP_WAY_FORK: its parent had switched before it was on the task list; the
 *	fork can still fail after the event, and the task then never runs
 * @KLP_WAY_FORCED: the administrator forced the transition
 */
enum klp_switch_way {
	KLP_WAY_STACK_CHECK,
	KLP_WAY_SCHEDULE,
	KLP_WAY_KERNEL_EXIT,
	KLP_WAY_IDLE_LOOP,
	KLP_WAY_OFFLINE,
	KLP_WAY_FORK,
	KLP_WAY_FORCED,
};

/**
 * enum klp_block_reason - why a task cannot switch
 * @KLP_REASON_RUNNING: it runs, so its stack cannot be checked
 * @KLP_REASON_UNRELIABLE_STACK: its stack could not be walked to the end
 * @KLP_REASON_FUNCTION: a function that changes is on its stack
 * @KLP_REASON_NO_RELIABLE_STACKS: the architecture has no reliable stack traces
 * @KLP_REASON_ERROR: the scheduler could not keep it still
 */
enum klp_block_reason {
	KLP_REASON_RUNNING,
	KLP_REASON_UNRELIABLE_STACK,
	KLP_REASON_FUNCTION,
	KLP_REASON_NO_RELIABLE_STACKS,
	KLP_REASON_ERROR,
};

#endif /* _TRACE_LIVEPATCH_ENUMS */

TRACE_DEFINE_ENUM(KLP_WAY_STACK_CHECK);
TRACE_DEFINE_ENUM(KLP_WAY_SCHEDULE);
TRACE_DEFINE_ENUM(KLP_WAY_KERNEL_EXIT);
TRACE_DEFINE_ENUM(KLP_WAY_IDLE_LOOP);
TRACE_DEFINE_ENUM(KLP_WAY_OFFLINE);
TRACE_DEFINE_ENUM(KLP_WAY_FORK);
TRACE_DEFINE_ENUM(KLP_WAY_FORCED);

#define show_klp_way(way)						\
	__print_symbolic(way,						\
		{ KLP_WAY_STACK_CHECK,	"stack_check" },		\
		{ KLP_WAY_SCHEDULE,	"schedule" },			\
		{ KLP_WAY_KERNEL_EXIT,	"kernel_exit" },		\
		{ KLP_WAY_IDLE_LOOP,	"idle_loop" },			\
		{ KLP_WAY_OFFLINE,	"offline" },			\
		{ KLP_WAY_FORK,		"fork" },			\
		{ KLP_WAY_FORCED,	"forced" })

TRACE_DEFINE_ENUM(KLP_REASON_RUNNING);
TRACE_DEFINE_ENUM(KLP_REASON_UNRELIABLE_STACK);
TRACE_DEFINE_ENUM(KLP_REASON_FUNCTION);
TRACE_DEFINE_ENUM(KLP_REASON_NO_RELIABLE_STACKS);
TRACE_DEFINE_ENUM(KLP_REASON_ERROR);

#define show_klp_reason(reason)						\
	__print_symbolic(reason,					\
		{ KLP_REASON_RUNNING,			"running" },	\
		{ KLP_REASON_UNRELIABLE_STACK,				\
		  "unreliable_stack" },					\
		{ KLP_REASON_FUNCTION,			"function" },	\
		{ KLP_REASON_NO_RELIABLE_STACKS,			\
		  "no_reliable_stacks" },				\
		{ KLP_REASON_ERROR,			"error" })

#define show_klp_target(target)						\
	__print_symbolic(target,					\
		{ KLP_TRANSITION_UNPATCHED,		"unpatched" },	\
		{ KLP_TRANSITION_PATCHED,		"patched" })

/**
 * klp_patch_enable - a patch becomes enabled
 * @patch: the patch
 *
 * The patch is wanted from now on, although tasks do not use it yet. Right
 * after this event, the transition of the tasks begins or turns round, and the
 * file enabled in sysfs shows it. A patch that is refused has no such event.
 */
TRACE_EVENT(klp_patch_enable,
	    TP_PROTO(const struct klp_patch *patch),
	    TP_ARGS(patch),
	    TP_STRUCT__entry(__string(patch, patch->mod->name)
			     __field(bool, replace)
	    ),
	    TP_fast_assign(__assign_str(patch);
			   __entry->replace = patch->replace;
	    ),
	    TP_printk("patch=%s replace=%d",
		      __get_str(patch), __entry->replace)
);

/**
 * klp_patch_disable - a patch becomes disabled
 * @patch: the patch
 *
 * The counterpart of klp_patch_enable, except where a patch is replaced.
 */
TRACE_EVENT(klp_patch_disable,
	    TP_PROTO(const struct klp_patch *patch),
	    TP_ARGS(patch),
	    TP_STRUCT__entry(__string(patch, patch->mod->name)),
	    TP_fast_assign(__assign_str(patch);),
	    TP_printk("patch=%s", __get_str(patch))
);

/**
 * klp_patch_replace - a patch becomes disabled because another has replaced it
 * @patch: the patch that is replaced
 * @by: the patch that replaces it, and that all tasks use
 */
TRACE_EVENT(klp_patch_replace,
	    TP_PROTO(const struct klp_patch *patch, const struct klp_patch *by),
	    TP_ARGS(patch, by),
	    TP_STRUCT__entry(__string(patch, patch->mod->name)
			     __string(by, by->mod->name)
	    ),
	    TP_fast_assign(__assign_str(patch);
			   __assign_str(by);
	    ),
	    TP_printk("patch=%s by=%s", __get_str(patch), __get_str(by))
);

DECLARE_EVENT_CLASS(klp_transition,
		    TP_PROTO(const struct klp_patch *patch, int target,
			     unsigned int waiting, unsigned int tasks,
			     u64 elapsed_ms),
		    TP_ARGS(patch, target, waiting, tasks, elapsed_ms),
		    TP_STRUCT__entry(__string(patch, patch->mod->name)
				     __field(int, target)
				     __field(unsigned int, waiting)
				     __field(unsigned int, tasks)
				     __field(u64, elapsed_ms)
		    ),
		    TP_fast_assign(__assign_str(patch);
				   __entry->target = target;
				   __entry->waiting = waiting;
				   __entry->tasks = tasks;
				   __entry->elapsed_ms = elapsed_ms;
		    ),
		    TP_printk("patch=%s target=%s waiting=%u tasks=%u elapsed_ms=%llu",
			      __get_str(patch),
			      show_klp_target(__entry->target),
			      __entry->waiting, __entry->tasks,
			      __entry->elapsed_ms)
);

/**
 * klp_transition_start - tasks are about to be asked to switch
 * @patch: the patch in transition
 * @target: the state that tasks switch to: 1 for the patch's functions, 0 for
 *	those from before
 * @waiting: tasks that are not in that state
 * @tasks: all tasks, the idle tasks of all possible CPUs included
 * @elapsed_ms: 0
 *
 * A transition that turns round starts again.
 */
DEFINE_EVENT(klp_transition, klp_transition_start,
	     TP_PROTO(const struct klp_patch *patch, int target,
		      unsigned int waiting, unsigned int tasks,
		      u64 elapsed_ms),
	     TP_ARGS(patch, target, waiting, tasks, elapsed_ms)
);

/**
 * klp_transition_reverse - a transition is about to turn round
 * @patch: the patch in transition
 * @target: the state that is given up; see klp_transition_start
 * @waiting: tasks that have not reached it
 * @tasks: all tasks
 * @elapsed_ms: milliseconds since klp_transition_start, which may have come
 *	before tracing was enabled
 */
DEFINE_EVENT(klp_transition, klp_transition_reverse,
	     TP_PROTO(const struct klp_patch *patch, int target,
		      unsigned int waiting, unsigned int tasks,
		      u64 elapsed_ms),
	     TP_ARGS(patch, target, waiting, tasks, elapsed_ms)
);

/**
 * klp_transition_force - the administrator is about to end a transition
 * @patch: the patch in transition
 * @target: see klp_transition_start
 * @waiting: tasks that are switched although they may use functions that change
 * @tasks: all tasks
 * @elapsed_ms: milliseconds since the latest klp_transition_start
 */
DEFINE_EVENT(klp_transition, klp_transition_force,
	     TP_PROTO(const struct klp_patch *patch, int target,
		      unsigned int waiting, unsigned int tasks,
		      u64 elapsed_ms),
	     TP_ARGS(patch, target, waiting, tasks, elapsed_ms)
);

/**
 * klp_transition_complete - all tasks have switched
 * @patch: the patch in transition
 * @target: see klp_transition_start
 * @waiting: 0
 * @tasks: all tasks
 * @elapsed_ms: milliseconds since the latest klp_transition_start
 */
DEFINE_EVENT(klp_transition, klp_transition_complete,
	     TP_PROTO(const struct klp_patch *patch, int target,
		      unsigned int waiting, unsigned int tasks,
		      u64 elapsed_ms),
	     TP_ARGS(patch, target, waiting, tasks, elapsed_ms)
);

/**
 * klp_task_switched - a task has switched
 * @task: the task
 * @target: the state it is in now; see klp_transition_start
 * @way: the way in which it has switched
 */
TRACE_EVENT(klp_task_switched,
	    TP_PROTO(const struct task_struct *task, int target,
		     enum klp_switch_way way),
	    TP_ARGS(task, target, way),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(int, target)
			     __field(int, way)
			     __array(char, comm, TASK_COMM_LEN)
	    ),
	    TP_fast_assign(__entry->pid = task->pid;
			   __entry->target = target;
			   __entry->way = way;
			   memcpy(__entry->comm, task->comm, TASK_COMM_LEN);
	    ),
	    /* The name of a task may hold anything, so it comes last. */
	    TP_printk("pid=%d target=%s way=%s comm=%s",
		      __entry->pid, show_klp_target(__entry->target),
		      show_klp_way(__entry->way), __entry->comm)
);

/**
 * klp_task_blocked - a pass over the tasks finds a task that cannot switch
 * @task: the task
 * @target: the state it should go to; see klp_transition_start
 * @reason: the reason for which it cannot
 * @func: for KLP_REASON_FUNCTION the function of the patch whose code, old or
 *	new, is on the stack; otherwise NULL, which is traced as "(null)"
 * @err: for KLP_REASON_ERROR the error code, otherwise 0
 *
 * Each pass over the tasks has this event again: after 10 ms at first, then
 * less and less often, up to once each second. With
 * CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND, passes come once each second from
 * the beginning. A task that looks at its own stack when it goes to sleep, and
 * finds that it cannot switch, has no event: there could be thousands of them
 * in a second.
 *
 * klpctl reads the text: this format and tools/livepatch/src/trace.rs change
 * together.
 */
TRACE_EVENT(klp_task_blocked,
	    TP_PROTO(const struct task_struct *task, int target,
		     enum klp_block_reason reason, const char *func, int err),
	    TP_ARGS(task, target, reason, func, err),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(int, target)
			     __field(int, reason)
			     __field(int, err)
			     __string(func, func)
			     __array(char, comm, TASK_COMM_LEN)
	    ),
	    TP_fast_assign(__entry->pid = task->pid;
			   __entry->target = target;
			   __entry->reason = reason;
			   __entry->err = err;
			   __assign_str(func);
			   memcpy(__entry->comm, task->comm, TASK_COMM_LEN);
	    ),
	    TP_printk("pid=%d target=%s reason=%s func=%s err=%d comm=%s",
		      __entry->pid, show_klp_target(__entry->target),
		      show_klp_reason(__entry->reason), __get_str(func),
		      __entry->err, __entry->comm)
);

#endif /* _TRACE_LIVEPATCH_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
