// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text.c - the search for tasks in the text of livepatch modules
 *
 * model/text.rs decides when such a module can go.
 */

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/context_tracking_state.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/tick.h>
#include <linux/workqueue.h>
#include "rust.h"

/* The lowest address of a sleeping task's stack that is in use. */
static unsigned long klp_stack_pointer(struct task_struct *task)
{
#if defined(CONFIG_X86)
	return READ_ONCE(task->thread.sp);
#elif defined(CONFIG_ARM64)
	return thread_saved_sp(task);
#elif defined(CONFIG_S390) || defined(CONFIG_PPC)
	return task->thread.ksp;
#elif defined(CONFIG_LOONGARCH)
	return task->thread.reg03;
#else
	return (unsigned long)task_stack_page(task);
#endif
}

/*
 * The number of words at the beginning of struct thread_struct in which
 * switch_to() saves registers.  x86, s390 and powerpc save them on the stack.
 * On an architecture that is not named here, all of the structure is searched:
 * at worst, the module stays for longer.
 */
#if defined(CONFIG_ARM64)
#define KLP_SAVED_REGISTERS	(sizeof(struct cpu_context) / sizeof(long))
#elif defined(CONFIG_LOONGARCH)
#define KLP_SAVED_REGISTERS	12
#elif defined(CONFIG_X86) || defined(CONFIG_S390) || defined(CONFIG_PPC)
#define KLP_SAVED_REGISTERS	0
#else
#define KLP_SAVED_REGISTERS	(sizeof(struct thread_struct) / sizeof(long))
#endif

/* Some CPUs sign return addresses.  A signature is in bits that addresses do not use. */
static unsigned long klp_plain_address(unsigned long word)
{
#ifdef CONFIG_ARM64
	return ptrauth_strip_kernel_insn_pac(word);
#else
	return word;
#endif
}

/*
 * On powerpc, a redirected function returns to livepatch_handler.  The handler
 * keeps the return address in the function's caller on a stack of its own, which
 * the unwinder does not read.  That stack grows from the lowest address of the
 * task's.  An entry has three words, and the address is the second one.
 *
 * Returns the first entry, and the end of the last one in *@end.  The caller has
 * a reference to the task's stack.
 */
#define KLP_CALLER_WORDS	3

static const unsigned long *klp_callers(struct task_struct *task,
					const unsigned long **end)
{
#ifdef CONFIG_LIVEPATCH_64
	*end = task_thread_info(task)->livepatch_sp;
	return end_of_stack(task) + 1;
#else
	*end = NULL;
	return NULL;
#endif
}

/*
 * Adds these return addresses to the @count that are in @entries already.
 * Returns how many there are then, or a negative error code if there are more
 * than @max.
 */
int klp_add_callers(struct task_struct *task, unsigned long *entries, int count,
		    int max)
{
	const unsigned long *caller, *end;

	if (!try_get_task_stack(task))
		return count;

	for (caller = klp_callers(task, &end); caller < end;
	     caller += KLP_CALLER_WORDS) {
		if (count == max) {
			count = -EINVAL;
			break;
		}
		entries[count++] = READ_ONCE_NOCHECK(caller[1]);
	}
	put_task_stack(task);

	return count;
}

/*
 * Whether one of these words is an address in [@start, @start + @size) that
 * @wanted accepts.
 */
static __no_kmsan_checks bool
klp_words_point_into(const unsigned long *words, const unsigned long *end,
		     unsigned long start, unsigned long size,
		     bool (*wanted)(unsigned long address, void *arg), void *arg)
{
	for (; words < end; words++) {
		unsigned long address = klp_plain_address(READ_ONCE_NOCHECK(*words));

		if (address - start < size && wanted(address, arg))
			return true;
	}

	return false;
}

/*
 * Whether restart_syscall(2) would call a function there, be it by the kernel's
 * arrangement or because the program asks for it.
 */
static bool klp_restarts_in(struct task_struct *task, unsigned long start,
			    unsigned long size)
{
	unsigned long function;

	/* If the task runs and changes this, the caller drops the result. */
	function = (unsigned long)data_race(READ_ONCE(task->restart_block.fn));

	return function - start < size;
}

/*
 * Whether a word on the task's stack or in its registers, in use or left over, is
 * an address in [@start, @start + @size) that @wanted accepts.  The registers of
 * user space do not count.  The function by which the task is to restart a
 * system call counts if it is in the range, without a call of @wanted.  The
 * caller keeps the task still, and the task does not run.
 */
bool klp_task_points_into(struct task_struct *task, unsigned long start,
			  unsigned long size,
			  bool (*wanted)(unsigned long address, void *arg),
			  void *arg)
{
	const unsigned long *registers = (const unsigned long *)&task->thread;
	const unsigned long *stack, *end, *callers, *callers_end;
	bool found;

	if (!try_get_task_stack(task))
		return false;

	stack = (const unsigned long *)ALIGN(klp_stack_pointer(task),
					     sizeof(long));
	end = task_stack_page(task) + THREAD_SIZE;
	if (!(task->flags & PF_KTHREAD))
		end = (const unsigned long *)task_pt_regs(task);
	callers = klp_callers(task, &callers_end);
	found = klp_restarts_in(task, start, size) ||
		klp_words_point_into(stack, end, start, size, wanted, arg) ||
		klp_words_point_into(registers,
				     registers + KLP_SAVED_REGISTERS, start,
				     size, wanted, arg) ||
		klp_words_point_into(callers, callers_end, start, size, wanted,
				     arg);
	put_task_stack(task);

	return found;
}

/*
 * Whether return addresses of the task are elsewhere than on its stack, because
 * a tracer or a probe waits for functions to return.  The caller keeps the task
 * still, and the task does not run.
 */
bool klp_task_hides_returns(struct task_struct *task)
{
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	if (task->curr_ret_stack > 0)
		return true;
#endif
#ifdef CONFIG_RETHOOK
	if (!llist_empty(&task->rethooks))
		return true;
#endif
#ifdef CONFIG_KRETPROBES
	if (!llist_empty(&task->kretprobe_instances))
		return true;
#endif
	return false;
}

/*
 * Returns -EBUSY if the task, which runs, is not known to have been in user space
 * at a moment during this call.  Otherwise returns whether restart_syscall(2)
 * would have called a function in [@start, @start + @size) then.  The caller
 * keeps the task still, so that it stays on its CPU, but it may enter the kernel
 * at any time.
 *
 * Only on CPUs of nohz_full= does context tracking order the changes of its
 * state.  Code of the kernel that runs at the edges of user space has interrupts
 * disabled, so that klp_synchronize_transition() has waited for it.
 *
 * The acquire pairs with the full barrier by which ct_kernel_exit() stops RCU's
 * watch of the CPU: the earlier calls of the task in the kernel are over.
 */
int klp_user_task_restarts_in(struct task_struct *task, unsigned long start,
			      unsigned long size)
{
#ifdef CONFIG_NO_HZ_FULL
	const atomic_t *state;
	bool restarts;
	int seen;

	lockdep_assert_held(&task->pi_lock);

	if (!tick_nohz_full_cpu(task_cpu(task)))
		return -EBUSY;

	state = &per_cpu(context_tracking, task_cpu(task)).state;
	seen = atomic_read_acquire(state);
	if ((seen & (CT_RCU_WATCHING | CT_STATE_MASK)) != CT_STATE_USER)
		return -EBUSY;

	restarts = klp_restarts_in(task, start, size);
	/*
	 * The state has a counter.  If it is the same, the task was in user
	 * space when the function was read.  Pairs with the full barrier in
	 * ct_kernel_enter(), which changes the counter before the task can
	 * change the function.
	 */
	smp_rmb();
	return atomic_read(state) == seen ? restarts : -EBUSY;
#else
	return -EBUSY;
#endif
}

static void klp_let_go_work_fn(struct work_struct *work)
{
	klp_rust_let_go_work();
}

static DECLARE_DELAYED_WORK(klp_let_go_work, klp_let_go_work_fn);

void klp_let_go_later(unsigned int delay_ms)
{
	mod_delayed_work(system_dfl_long_wq, &klp_let_go_work,
			 msecs_to_jiffies(delay_ms));
}

/*
 * Waits until every task that was ready to run has gone to sleep or to user
 * space of its own accord, wherever it was: in a function, in a trampoline of
 * ftrace, or on its way out.
 */
void klp_synchronize_runnable_tasks(void)
{
	synchronize_rcu_tasks();
}
