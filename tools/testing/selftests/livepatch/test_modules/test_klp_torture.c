// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel threads, a kworker, a timer, readers of /proc/test_klp_torture, and tasks
 * that exit call functions that livepatches change meanwhile.  A call of
 * test_klp_torture_outer(), with all calls that it makes, is a visit.  It is an
 * error if functions of one visit have different versions, or if the module of a
 * function is gone.  /proc/test_klp_torture_stats has the counts.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/math.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include "test_klp_torture.h"

static unsigned int threads = 6;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "number of kernel threads (default=6)");

static unsigned int seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "decides, with a visit's number, the steps of the visit (default=1)");

static bool leaves;
module_param(leaves, bool, 0444);
MODULE_PARM_DESC(leaves, "call functions that tasks' stacks do not show (default=false)");

static bool exiting;
module_param(exiting, bool, 0444);
MODULE_PARM_DESC(exiting, "let the timer interrupt tasks that exit (default=false)");

static unsigned int forces;
module_param(forces, uint, 0644);
MODULE_PARM_DESC(forces, "incremented by the script before and after it forces a transition");

static bool slow;
module_param(slow, bool, 0644);
MODULE_PARM_DESC(slow, "let threads hold up transitions for seconds (default=false)");

static bool closed;
module_param(closed, bool, 0644);
MODULE_PARM_DESC(closed, "do not call the module that comes and goes (default=false)");

static const char * const callers[TORTURE_CALLERS] = {
	[TORTURE_THREAD] = "threads",
	[TORTURE_WORK] = "works",
	[TORTURE_TIMER] = "timers",
	[TORTURE_READER] = "readers",
	[TORTURE_EXITING] = "exiting",
};

/* Counts of visits */
static atomic_long_t visits[TORTURE_CALLERS];
static atomic_long_t versions[TORTURE_VERSIONS];
static atomic_long_t in_transition;
static atomic_long_t unjudged;
static atomic_long_t far_calls;
static atomic_long_t leaf_calls;

/* The judged functions */
enum place {
	PLACE_NEAR,
	PLACE_FAR,
	PLACE_FAR_TOO,
	PLACE_INT_POW,
	PLACE_INT_SQRT,
	PLACE_NESTED,
	PLACE_RESULT,
	PLACES
};

static const char * const places[PLACES] = {
	[PLACE_NEAR] = "near",
	[PLACE_FAR] = "far",
	[PLACE_FAR_TOO] = "far_too",
	[PLACE_INT_POW] = "int_pow",
	[PLACE_INT_SQRT] = "int_sqrt",
	[PLACE_NESTED] = "nested",
	[PLACE_RESULT] = "result",
};

/* Counts of errors */
static atomic_long_t mixes[PLACES];
static atomic_long_t stale;

/* The first errors are enough to see the cause. */
#define ERRORS_SHOWN	10

/* Whether a version's module is loaded; see torture_module_begin(). */
static bool alive[TORTURE_VERSIONS];

static const struct torture_target __rcu *current_target;

/* Always 0.  The compiler must not know the results of original functions. */
static int original_version;

static unsigned int draw(struct torture_visit *visit, unsigned int below)
{
	return prandom_u32_state(&visit->random) % below;
}

/*
 * Returns whether a transition has been forced since the visit began, or was being
 * forced when it began.  The number is odd while one is being forced.
 */
static bool is_forced(const struct torture_visit *visit)
{
	return visit->forces & 1 || visit->forces != READ_ONCE(forces);
}

static void judge(struct torture_visit *visit, int version, enum place place)
{
	if (version == visit->version)
		return;
	if (is_forced(visit))
		atomic_long_inc(&unjudged);
	else if (atomic_long_inc_return(&mixes[place]) <= ERRORS_SHOWN)
		pr_err("mixed versions: %d in outer, %d in %s, called by %s, %s/%d\n",
		       visit->version, version, places[place], callers[visit->caller],
		       current->comm, current->pid);
}

/**
 * torture_check() - check that a livepatch's code may run
 * @version: number of the livepatch
 * @canary: canary of the livepatch's module
 * @where: name of the function that runs
 */
void torture_check(int version, const unsigned long *canary, const char *where)
{
	/* Check the table first: the canary is in the module, which may be gone. */
	if (READ_ONCE(alive[version]) && READ_ONCE(*canary) == TORTURE_ALIVE)
		return;
	if (atomic_long_inc_return(&stale) <= ERRORS_SHOWN)
		pr_err("%s of version %d is used, which is gone, by %s/%d\n",
		       where, version, current->comm, current->pid);
}
EXPORT_SYMBOL_GPL(torture_check);

/**
 * torture_pause() - give other tasks and transitions time to go on
 * @visit: the visit; its random numbers decide how long and how
 */
void torture_pause(struct torture_visit *visit)
{
	unsigned int kind = draw(visit, 64);

	if (READ_ONCE(slow) && visit->caller == TORTURE_THREAD)
		msleep(500);
	if (kind < 16)
		return;
	if (kind < 24 || visit->caller == TORTURE_TIMER)
		udelay(draw(visit, 20));
	else if (kind < 40)
		cond_resched();
	else if (kind < 44)
		schedule();
	else if (kind < 63)
		usleep_range(100, 100 + draw(visit, 4000));
	else
		msleep(draw(visit, 400));
}
EXPORT_SYMBOL_GPL(torture_pause);

noinline int test_klp_torture_outer(struct torture_visit *visit)
{
	int ret = torture_walk(visit, READ_ONCE(original_version));

	/* Without a sibling call, this function stays on the stack. */
	barrier();
	return ret;
}
EXPORT_SYMBOL_GPL(test_klp_torture_outer);

noinline int test_klp_torture_near(struct torture_visit *visit)
{
	torture_pause(visit);
	return READ_ONCE(original_version);
}
EXPORT_SYMBOL_GPL(test_klp_torture_near);

/* Pauses twice, so that the compiler does not merge it with test_klp_torture_near(). */
noinline int test_klp_torture_leaf(struct torture_visit *visit)
{
	torture_pause(visit);
	torture_pause(visit);
	return READ_ONCE(original_version);
}
EXPORT_SYMBOL_GPL(test_klp_torture_leaf);

/**
 * test_klp_torture_twice() - call a function twice
 * @visit: the visit
 * @call: the function
 *
 * No livepatch changes this function.  New functions reach it by a sibling call, so
 * that between the two calls the stack shows no function of a livepatch.
 *
 * Return: the result of the second call
 */
noinline int test_klp_torture_twice(struct torture_visit *visit,
				    int (*call)(struct torture_visit *visit))
{
	call(visit);
	torture_pause(visit);
	return call(visit);
}
EXPORT_SYMBOL_GPL(test_klp_torture_twice);

/**
 * torture_set_target() - add or remove the module that comes and goes
 * @target: its functions, or NULL
 */
void torture_set_target(const struct torture_target *target)
{
	rcu_assign_pointer(current_target, target);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(torture_set_target);

static void call_far(struct torture_visit *visit)
{
	const struct torture_target *target;

	if (READ_ONCE(closed))
		return;

	rcu_read_lock();
	target = rcu_dereference(current_target);
	if (target && !try_module_get(target->owner))
		target = NULL;
	rcu_read_unlock();
	if (!target)
		return;

	judge(visit, target->far(visit), PLACE_FAR);
	torture_pause(visit);
	judge(visit, target->far_too(visit), PLACE_FAR_TOO);
	atomic_long_inc(&far_calls);
	module_put(target->owner);
}

/**
 * torture_walk() - the body of all versions of test_klp_torture_outer()
 * @visit: the visit
 * @version: the version
 *
 * Return: the version
 */
int torture_walk(struct torture_visit *visit, int version)
{
	unsigned int steps;

	if (!visit->depth)
		visit->version = version;
	else
		judge(visit, version, PLACE_NESTED);

	visit->depth++;
	for (steps = 2 + draw(visit, 6); steps; steps--) {
		torture_pause(visit);
		switch (draw(visit, visit->depth < 3 ? 5 : 4)) {
		case 0:
			judge(visit, test_klp_torture_near(visit), PLACE_NEAR);
			break;
		case 1:
			judge(visit, int_pow(TORTURE_ROOT, 1) - TORTURE_ROOT, PLACE_INT_POW);
			break;
		case 2:
			judge(visit, int_sqrt(TORTURE_SQUARE) - TORTURE_ROOT, PLACE_INT_SQRT);
			break;
		case 3:
			call_far(visit);
			break;
		case 4:
			test_klp_torture_outer(visit);
			break;
		}
	}
	visit->depth--;
	return version;
}
EXPORT_SYMBOL_GPL(torture_walk);

/*
 * Each visit has a sequence of its own, so that it does not change the choices of
 * the next.
 */
static void seed_random(struct rnd_state *random, enum torture_caller caller,
			unsigned int number)
{
	prandom_seed_state(random, jhash_3words(seed, caller, number, 0));
}

static void make_visit(enum torture_caller caller, unsigned int number)
{
	struct torture_visit visit = {
		.caller = caller,
		.forces = READ_ONCE(forces),
	};
	int version;

	seed_random(&visit.random, caller, number);
	if (leaves && caller != TORTURE_TIMER && !draw(&visit, 4)) {
		/* A task may switch in this function, so its version is not judged. */
		test_klp_torture_leaf(&visit);
		atomic_long_inc(&leaf_calls);
		return;
	}

	version = test_klp_torture_outer(&visit);
	judge(&visit, version, PLACE_RESULT);
	atomic_long_inc(&visits[caller]);
	if (version >= 0 && version < TORTURE_VERSIONS)
		atomic_long_inc(&versions[version]);
	if (READ_ONCE(current->patch_state) != KLP_TRANSITION_IDLE)
		atomic_long_inc(&in_transition);
}

/**
 * torture_exiting() - make a visit in a task that has left the task list
 */
void torture_exiting(void)
{
	unsigned int number;

	if (!kstrtouint(current->comm + strlen(TORTURE_EXITING_NAME), 16, &number))
		make_visit(TORTURE_EXITING, number);
}
EXPORT_SYMBOL_GPL(torture_exiting);

/**
 * torture_module_begin() - allow the use of a module's code
 * @version: number of the livepatch, or 0 for the module that comes and goes
 */
void torture_module_begin(int version)
{
	WRITE_ONCE(alive[version], true);
}
EXPORT_SYMBOL_GPL(torture_module_begin);

/**
 * torture_module_end() - forbid the use of a module's code, before it is freed
 * @version: number of the livepatch, or 0 for the module that comes and goes
 */
void torture_module_end(int version)
{
	WRITE_ONCE(alive[version], false);
}
EXPORT_SYMBOL_GPL(torture_module_end);

/* The position in the file is the number of the visit. */
static ssize_t torture_read(struct file *file, char __user *buffer, size_t count,
			    loff_t *pos)
{
	make_visit(TORTURE_READER, *pos);
	return 0;
}

static const struct proc_ops torture_proc_ops = {
	.proc_read = torture_read,
};

static int stats_show(struct seq_file *m, void *v)
{
	int i;

	for (i = 0; i < TORTURE_CALLERS; i++)
		seq_printf(m, "%s %ld\n", callers[i], atomic_long_read(&visits[i]));
	for (i = 0; i < TORTURE_VERSIONS; i++)
		seq_printf(m, "version%d %ld\n", i, atomic_long_read(&versions[i]));
	seq_printf(m, "in_transition %ld\n", atomic_long_read(&in_transition));
	seq_printf(m, "far %ld\n", atomic_long_read(&far_calls));
	seq_printf(m, "leaves %ld\n", atomic_long_read(&leaf_calls));
	seq_printf(m, "unjudged %ld\n", atomic_long_read(&unjudged));
	for (i = 0; i < PLACES; i++)
		seq_printf(m, "mixes_%s %ld\n", places[i], atomic_long_read(&mixes[i]));
	seq_printf(m, "stale %ld\n", atomic_long_read(&stale));
	return 0;
}

static struct rnd_state timer_random;
static void timer_visit(struct timer_list *unused);
static DEFINE_TIMER(timer, timer_visit);

static void timer_visit(struct timer_list *unused)
{
	unsigned int number = prandom_u32_state(&timer_random);

	/* A core that does not find exiting tasks may end a transition meanwhile. */
	if (exiting || !READ_ONCE(current->exit_state))
		make_visit(TORTURE_TIMER, number);
	mod_timer(&timer, jiffies + 1 + prandom_u32_state(&timer_random) % 8);
}

static struct rnd_state work_random;
static void work_visit(struct work_struct *unused);
static DECLARE_DELAYED_WORK(work, work_visit);

static void work_visit(struct work_struct *unused)
{
	make_visit(TORTURE_WORK, prandom_u32_state(&work_random));
	schedule_delayed_work(&work, prandom_u32_state(&work_random) % 16);
}

static struct proc_dir_entry *visit_file, *stats_file;
static struct task_struct **tasks;
static unsigned int task_count;

static int thread_main(void *number)
{
	struct rnd_state random;

	seed_random(&random, TORTURE_THREAD, (uintptr_t)number);
	while (!kthread_should_stop()) {
		make_visit(TORTURE_THREAD, prandom_u32_state(&random));
		if (prandom_u32_state(&random) % 4) {
			/* A task in this state can switch in __schedule(). */
			set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
			schedule_timeout(1 + prandom_u32_state(&random) % (HZ / 25));
		} else {
			cond_resched();
		}
	}
	return 0;
}

static void stop(void)
{
	timer_shutdown_sync(&timer);
	cancel_delayed_work_sync(&work);
	while (task_count)
		kthread_stop(tasks[--task_count]);
	kfree(tasks);
	proc_remove(visit_file);
	proc_remove(stats_file);
}

static int start_threads(void)
{
	struct task_struct *task;

	while (task_count < threads) {
		task = kthread_run(thread_main, (void *)(uintptr_t)(task_count + 1),
				   "klp_torture/%u", task_count);
		if (IS_ERR(task))
			return PTR_ERR(task);
		tasks[task_count++] = task;
	}
	return 0;
}

static int test_klp_torture_init(void)
{
	int ret = -ENOMEM;

	tasks = kcalloc(threads, sizeof(*tasks), GFP_KERNEL);
	if (!tasks)
		return ret;
	visit_file = proc_create("test_klp_torture", 0444, NULL, &torture_proc_ops);
	stats_file = proc_create_single("test_klp_torture_stats", 0444, NULL, stats_show);
	if (visit_file && stats_file)
		ret = start_threads();
	if (ret) {
		stop();
		return ret;
	}
	seed_random(&timer_random, TORTURE_TIMER, 0);
	seed_random(&work_random, TORTURE_WORK, 0);
	mod_timer(&timer, jiffies + 1);
	schedule_delayed_work(&work, 1);
	return 0;
}

static void test_klp_torture_exit(void)
{
	stop();
}

module_init(test_klp_torture_init);
module_exit(test_klp_torture_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: visits to functions that change");
