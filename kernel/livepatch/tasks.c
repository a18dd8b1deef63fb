// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tasks.c - tasks, their flags and their stacks, for the Rust core
 *
 * The buffers for stacks and klp_sync() are derived from transition.c:
 * Copyright (C) 2015-2016 Josh Poimboeuf <jpoimboe@redhat.com>
 */

#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/livepatch_sched.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched/idle.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "rust.h"

#define MAX_STACK_ENTRIES 100
static DEFINE_PER_CPU(unsigned long[MAX_STACK_ENTRIES], klp_stack_entries);

/* On while a transition is in progress: then __schedule() tries to switch. */
DEFINE_STATIC_KEY_FALSE(klp_sched_try_switch_key);

void klp_set_sched_switching(bool on)
{
	if (on)
		static_branch_enable(&klp_sched_try_switch_key);
	else
		static_branch_disable(&klp_sched_try_switch_key);
}

/*
 * Tasks that exit: from exit_notify(), after which they can leave the task list
 * at any time, to their last __schedule().  A task joins while tasklist_lock is
 * held for writing, and leaves with klp_exiting_lock alone.
 */
static LIST_HEAD(klp_exiting_tasks);
static DEFINE_RAW_SPINLOCK(klp_exiting_lock);

/*
 * The place of a walk over this list, and its end: tasks that join the list
 * during the walk come behind that.  The mutex is taken before tasklist_lock,
 * and makes walks wait for each other.  klp_exiting_lock protects both places.
 */
static LIST_HEAD(klp_exiting_cursor);
static LIST_HEAD(klp_exiting_end);
static DEFINE_MUTEX(klp_exiting_cursor_mutex);

/**
 * klp_exit_start() - keep sight of a task that is about to leave the task list
 * @task:	the current task
 *
 * Context: tasklist_lock is held for writing.
 */
void klp_exit_start(struct task_struct *task)
{
	lockdep_assert_held_write(&tasklist_lock);

	/*
	 * No interrupt may come under klp_exiting_lock: it could wait for
	 * tasklist_lock, the writer of which waits here.  The caller has
	 * disabled interrupts with tasklist_lock.  With PREEMPT_RT that leaves
	 * them on, but no interrupt takes tasklist_lock there.
	 */
	raw_spin_lock(&klp_exiting_lock);
	list_add_tail(&task->klp_exiting, &klp_exiting_tasks);
	raw_spin_unlock(&klp_exiting_lock);
}

/**
 * klp_exit_finish() - lose sight of a task that ends
 * @task:	the current task
 *
 * Context: preemption is disabled, and stays so until the task is dead:
 * klp_synchronize_transition() waits for the rest of its life.
 */
void klp_exit_finish(struct task_struct *task)
{
	unsigned long flags;

	lockdep_assert_preemption_disabled();

	raw_spin_lock_irqsave(&klp_exiting_lock, flags);
	list_del(&task->klp_exiting);
	raw_spin_unlock_irqrestore(&klp_exiting_lock, flags);
}

static void klp_begin_exiting(void)
{
	lockdep_assert_held(&klp_exiting_cursor_mutex);

	guard(raw_spinlock_irqsave)(&klp_exiting_lock);
	list_add(&klp_exiting_cursor, &klp_exiting_tasks);
	list_add_tail(&klp_exiting_end, &klp_exiting_tasks);
}

static void klp_end_exiting(void)
{
	guard(raw_spinlock_irqsave)(&klp_exiting_lock);
	list_del_init(&klp_exiting_cursor);
	list_del_init(&klp_exiting_end);
}

/* Returns the next of the tasks that exit, and moves the place behind it. */
static struct task_struct *klp_pass_exiting(void)
{
	struct list_head *next = klp_exiting_cursor.next;

	lockdep_assert_held(&klp_exiting_lock);

	if (next == &klp_exiting_end)
		return NULL;
	list_move(&klp_exiting_cursor, next);

	return list_entry(next, struct task_struct, klp_exiting);
}

/*
 * Visits the next of the tasks that exit, unless it is still on the task list.
 * Returns whether there was one.
 */
static bool klp_visit_exiting(void (*visit)(struct task_struct *task, void *arg),
			      void *arg)
{
	struct task_struct *task;

	/* The task does not end during the visit. */
	guard(raw_spinlock_irqsave)(&klp_exiting_lock);
	task = klp_pass_exiting();
	if (task && !pid_alive(task))
		visit(task, arg);

	return task;
}

/*
 * Visits all threads but the idle tasks, under tasklist_lock: those on the task
 * list, and those that have left it and are not dead yet.  Visits must be
 * short, because no task can fork or exit meanwhile.
 *
 * No task joins or leaves the task list meanwhile.  Tasks that exit can end,
 * except while they are visited.  The list of these can be long, because a task
 * stays on it while it waits for a CPU.  So interrupts are off for one visit
 * only.
 */
void klp_visit_tasks(void (*visit)(struct task_struct *task, void *arg),
		     void *arg)
{
	struct task_struct *g, *task;

	guard(mutex)(&klp_exiting_cursor_mutex);

	read_lock(&tasklist_lock);
	/*
	 * Mark the end with tasklist_lock held.  Without it, a task could join
	 * behind the end, leave the task list, and be missed.
	 */
	klp_begin_exiting();
	for_each_process_thread(g, task)
		visit(task, arg);
	while (klp_visit_exiting(visit, arg))
		;
	klp_end_exiting();
	read_unlock(&tasklist_lock);
}

/* Gets a reference to the next thread after number *@nr, and advances *@nr. */
static struct task_struct *klp_next_thread(int *nr)
{
	struct task_struct *task;
	struct pid *pid;

	guard(rcu)();
	while ((pid = find_ge_pid(*nr + 1, &init_pid_ns))) {
		*nr = pid_nr(pid);
		task = pid_task(pid, PIDTYPE_PID);
		if (task)
			return get_task_struct(task);
	}

	return NULL;
}

/* Returns a reference to the next of the tasks that exit. */
static struct task_struct *klp_next_exiting(void)
{
	struct task_struct *task;

	guard(raw_spinlock_irqsave)(&klp_exiting_lock);
	task = klp_pass_exiting();

	return task ? get_task_struct(task) : NULL;
}

static void klp_scan_exiting(void (*visit)(struct task_struct *task, void *arg),
			     void *arg)
{
	struct task_struct *task;

	guard(mutex)(&klp_exiting_cursor_mutex);
	klp_begin_exiting();

	while ((task = klp_next_exiting())) {
		visit(task, arg);
		put_task_struct(task);
		cond_resched();
	}

	klp_end_exiting();
}

/*
 * Visits the threads that klp_visit_tasks() visits, but without a spinlock, so
 * that a visit may take long, and sleep.  A visit must not walk over the tasks
 * itself: klp_exiting_cursor_mutex may be held.  Threads come and go meanwhile:
 * some of these are missed, or visited twice, or dead when they are visited.
 */
void klp_scan_tasks(void (*visit)(struct task_struct *task, void *arg),
		    void *arg)
{
	struct task_struct *task;
	int nr = 0;

	while ((task = klp_next_thread(&nr))) {
		visit(task, arg);
		put_task_struct(task);
		cond_resched();
	}
	klp_scan_exiting(visit, arg);
}

void klp_visit_idle_tasks(void (*visit)(struct task_struct *task, bool online,
					void *arg), void *arg)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		visit(idle_task(cpu), cpu_online(cpu), arg);
}

/* These are inline functions if CPUs cannot go offline. */
void klp_cpus_read_lock(void)
{
	cpus_read_lock();
}

void klp_cpus_read_unlock(void)
{
	cpus_read_unlock();
}

void klp_task_set_pending(struct task_struct *task, bool pending)
{
	update_tsk_thread_flag(task, TIF_PATCH_PENDING, pending);
}

bool klp_task_pending(struct task_struct *task)
{
	return klp_patch_pending(task);
}

bool klp_task_test_and_clear_pending(struct task_struct *task)
{
	return test_and_clear_tsk_thread_flag(task, TIF_PATCH_PENDING);
}

bool klp_reliable_stack_available(void)
{
	return klp_have_reliable_stack();
}

/*
 * Calls @func with the task kept still, and preemption disabled.  If the task
 * is the caller, it is still by itself, but preemption has to be disabled here:
 * a scan visits its own task with preemption enabled.
 */
int klp_call_still(struct task_struct *task, task_call_f func, void *arg)
{
	if (task != current)
		return task_call_func(task, func, arg);

	guard(preempt)();
	return func(task, arg);
}

/*
 * Stores the task's return addresses in this CPU's buffer and returns how many
 * there are, or a negative error code if the stack is not reliable.  The buffer
 * is the caller's while it keeps preemption disabled.
 */
int klp_task_stack(struct task_struct *task, unsigned long **entries)
{
	int count;

	lockdep_assert_preemption_disabled();

	*entries = *this_cpu_ptr(&klp_stack_entries);
	count = stack_trace_save_tsk_reliable(task, *entries, MAX_STACK_ENTRIES);
	if (IS_ENABLED(CONFIG_LIVEPATCH_64) && count >= 0)
		count = klp_add_callers(task, *entries, count, MAX_STACK_ENTRIES);

	return count;
}

void klp_task_wake_idle(struct task_struct *task)
{
	wake_up_if_idle(task_cpu(task));
}

void klp_task_nudge(struct task_struct *task)
{
	if (task->flags & PF_KTHREAD)
		wake_up_state(task, TASK_INTERRUPTIBLE);
	else
		set_notify_signal(task);
}

static void klp_transition_work_fn(struct work_struct *work)
{
	klp_rust_transition_work();
}

static DECLARE_DELAYED_WORK(klp_transition_work, klp_transition_work_fn);

void klp_retry_transition(unsigned int delay_ms)
{
	unsigned long delay = msecs_to_jiffies(delay_ms);

	/*
	 * Long waits can share a wake-up with others.  The work is not bound to
	 * a CPU, so that a busy CPU does not have to do it.
	 */
	queue_delayed_work(system_dfl_wq, &klp_transition_work,
			   delay < HZ ? delay : round_jiffies_relative(delay));
}

static void klp_hurry_work_fn(struct irq_work *work)
{
	mod_delayed_work(system_dfl_wq, &klp_transition_work, 0);
}

/*
 * An irq_work, because __schedule() cannot wake up a worker.  It runs in the
 * interrupt with PREEMPT_RT, too: a real-time task can keep the thread for other
 * irq_work from its CPU.
 */
static struct irq_work klp_hurry_work = IRQ_WORK_INIT_HARD(klp_hurry_work_fn);

/*
 * A CPU that goes offline runs __schedule() and its idle loop once more, after
 * it has run its irq_work for the last time.  Work that is queued there would
 * stay pending until the CPU is back, and block all other irq_work of that CPU
 * then.  So nothing is queued there, and the next pass finds the calling task.
 */
void klp_hurry_transition(void)
{
	guard(preempt)();
	if (cpu_online(smp_processor_id()))
		irq_work_queue(&klp_hurry_work);
}

static void klp_sync(struct work_struct *work)
{
}

/* Protected by klp_mutex. */
static DEFINE_PER_CPU(struct work_struct, klp_sync_work);

/*
 * Waits until every CPU has scheduled.  Unlike RCU, this also waits for code
 * that disables preemption where RCU is not watching: in the idle loop and on
 * the way out to user space, where functions can be patched as well.
 *
 * This does not use schedule_on_each_cpu(), which needs memory and can fail.
 * Callers go on to free memory that handlers can have seen, and cannot put that
 * off.
 */
void klp_synchronize_transition(void)
{
	struct work_struct *work;
	unsigned int cpu;

	lockdep_assert_held(&klp_mutex);

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		work = per_cpu_ptr(&klp_sync_work, cpu);
		INIT_WORK(work, klp_sync);
		schedule_work_on(cpu, work);
	}
	for_each_online_cpu(cpu)
		flush_work(per_cpu_ptr(&klp_sync_work, cpu));
	cpus_read_unlock();
}
