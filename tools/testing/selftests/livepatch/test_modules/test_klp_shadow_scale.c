// SPDX-License-Identifier: GPL-2.0
/*
 * Many shadow variables.  The tests check that each exists and has the right
 * data, measure how long it takes to find one, and check both while other tasks
 * and interrupts add and remove variables, and while allocations fail.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/livepatch.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "the test to run");

static unsigned int count = 100000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "number of shadow variables (default=100000)");

static unsigned int max_ratio;
module_param(max_ratio, uint, 0444);
MODULE_PARM_DESC(max_ratio, "how many times longer gets among all variables may take (default=any)");

static unsigned long few_us;
module_param(few_us, ulong, 0444);
MODULE_PARM_DESC(few_us, "result: time for 1000 gets among 1000 variables");

static unsigned long many_us;
module_param(many_us, ulong, 0444);
MODULE_PARM_DESC(many_us, "result: time for 1000 gets among all variables");

enum {
	EVEN = 0x5ca1e0,
	ODD,
	STABLE,
	IN_IRQ,
	SHORT,
};

/* The objects to which variables are attached; only their addresses matter. */
struct object {
	char dummy[64];
};

static struct object *objects;

/* How often the variable of each object has been destroyed. */
static u8 *destroyed;

/* How many variables have been constructed, always under the lock of shadow variables. */
static unsigned int constructed;

struct data {
	unsigned long index;
	unsigned long check;
};

static unsigned long id_of(unsigned int i)
{
	return i % 2 ? ODD : EVEN;
}

static int construct(void *obj, void *shadow_data, void *ctor_data)
{
	struct data *data = shadow_data;

	data->index = (struct object *)obj - objects;
	data->check = ~data->index;
	constructed++;
	return 0;
}

static void destroy(void *obj, void *shadow_data)
{
	destroyed[(struct object *)obj - objects]++;
}

static bool is_right(const struct data *data, unsigned int i)
{
	return data->index == i && data->check == ~(unsigned long)i;
}

static struct data *add(unsigned int i, unsigned long id, gfp_t gfp)
{
	return klp_shadow_get_or_alloc(&objects[i], id, sizeof(struct data),
				       gfp, construct, NULL);
}

static int fill(unsigned int first, unsigned int end)
{
	unsigned int i;

	for (i = first; i < end; i++) {
		struct data *data = add(i, id_of(i), GFP_KERNEL);

		if (!data || !is_right(data, i)) {
			pr_err("variable %u cannot be made\n", i);
			return -EINVAL;
		}
		cond_resched();
	}
	return 0;
}

/* Checks that exactly the variables of the wanted kinds exist. */
static int expect(bool even, bool odd)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct data *data = klp_shadow_get(&objects[i], id_of(i));
		bool wanted = i % 2 ? odd : even;

		if (wanted != !!data || (data && !is_right(data, i))) {
			pr_err("variable %u is %s\n", i,
			       !data ? "missing" : wanted ? "wrong" : "still there");
			return -EINVAL;
		}
		if (klp_shadow_get(&objects[i], id_of(i + 1))) {
			pr_err("variable %u is there with another identifier\n", i);
			return -EINVAL;
		}
		cond_resched();
	}
	return 0;
}

static int expect_destroyed(bool even, bool odd)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (destroyed[i] != (i % 2 ? odd : even)) {
			pr_err("variable %u was destroyed %u times\n", i,
			       destroyed[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static int test_correct(void)
{
	unsigned int i;
	int ret;

	ret = fill(0, count) ?: expect(true, true);
	if (ret)
		return ret;
	/* Again: each variable is found, and none is constructed again. */
	ret = fill(0, count);
	if (ret)
		return ret;
	if (constructed != count) {
		pr_err("%u variables constructed, not %u\n", constructed, count);
		return -EINVAL;
	}
	klp_shadow_free_all(EVEN, destroy);
	ret = expect(false, true) ?: expect_destroyed(true, false);
	if (ret)
		return ret;
	klp_shadow_free_all(EVEN, destroy);
	for (i = 0; i < count; i++) {
		klp_shadow_free(&objects[i], ODD, destroy);
		cond_resched();
	}
	return expect(false, false) ?: expect_destroyed(true, true);
}

/* The number of variables among which gets are fast. */
#define FEW	1000

/* The number of different variables that a round of gets finds. */
#define SAMPLE	32

/*
 * Returns the shortest time of several rounds of gets, or 0 if a variable is
 * missing.
 *
 * The rounds always look for the same few variables, so that these and the
 * heads of their chains stay in the caches and the TLB, real or emulated.
 * Then only the length of the chains makes a difference.  A round is so short
 * that in some of them no other task takes the CPU, even if it is busy.
 */
static u64 time_gets(unsigned int first)
{
	const unsigned int gets = 1000;
	unsigned int round, i, at = 0;
	u64 best = U64_MAX;

	for (round = 0; round < 200; round++) {
		u64 begin, spent;

		begin = ktime_get_ns();
		for (i = 0; i < gets; i++) {
			at = (at + 1) % SAMPLE;
			if (!klp_shadow_get(&objects[first + at],
					    id_of(first + at)))
				return 0;
		}
		spent = ktime_get_ns() - begin;
		best = min(best, spent);
		usleep_range(5000, 10000);
	}
	return best;
}

/* The time limit for a table to grow, and for a round without other tasks. */
#define PATIENCE	(300 * HZ)

static int test_scale(void)
{
	u64 few, many, first, last;
	unsigned long end;
	int ret;

	ret = fill(0, FEW);
	if (ret)
		return ret;
	few = time_gets(0);
	ret = fill(FEW, count);
	if (ret)
		return ret;
	end = jiffies + PATIENCE;
	do {
		/* The Rust core's table grows in the background. */
		msleep(1000);
		/* The oldest and the newest are at different ends of chains. */
		first = time_gets(0);
		last = time_gets(count - SAMPLE);
		many = max(first, last);
		if (!few || !first || !last) {
			pr_err("a variable is missing\n");
			return -EINVAL;
		}
	} while (max_ratio && many > few * max_ratio &&
		 time_before(jiffies, end));
	few_us = few / 1000;
	many_us = many / 1000;
	if (max_ratio && many > few * max_ratio) {
		pr_err("%lu us among " __stringify(FEW) ", %lu us among %u\n",
		       few_us, many_us, count);
		return -EINVAL;
	}
	return 0;
}

/* The number of variables that exist all the time, of the first objects. */
#define STABLES 500

static atomic_t problems = ATOMIC_INIT(0);
static atomic_long_t reads = ATOMIC_LONG_INIT(0);
static atomic_long_t found = ATOMIC_LONG_INIT(0);
static unsigned long interrupts;

static int reader(void *unused)
{
	unsigned int at = 0;

	while (!kthread_should_stop()) {
		struct data *data;

		at = (at + 7919) % count;
		rcu_read_lock();
		data = klp_shadow_get(&objects[at], id_of(at));
		if (data) {
			atomic_long_inc(&found);
			if (!is_right(data, at))
				atomic_inc(&problems);
		}
		data = klp_shadow_get(&objects[at % STABLES], STABLE);
		if (!data || !is_right(data, at % STABLES))
			atomic_inc(&problems);
		rcu_read_unlock();
		if (!(atomic_long_inc_return(&reads) % 64))
			cond_resched();
	}
	return 0;
}

/* Does most operations that are allowed in an interrupt, on its own variable. */
static void interrupt_fn(struct irq_work *unused)
{
	struct data *data = klp_shadow_get(&objects[1], STABLE);

	if (!data || !is_right(data, 1))
		atomic_inc(&problems);
	data = klp_shadow_alloc(&objects[1], IN_IRQ, sizeof(*data), GFP_ATOMIC,
				construct, NULL);
	if (data && klp_shadow_get(&objects[1], IN_IRQ) != data)
		atomic_inc(&problems);
	if (++interrupts % 2)
		klp_shadow_free(&objects[1], IN_IRQ, NULL);
	else
		klp_shadow_free_all(IN_IRQ, NULL);
	if (klp_shadow_get(&objects[1], IN_IRQ))
		atomic_inc(&problems);
}

static DEFINE_IRQ_WORK(interrupt, interrupt_fn);

/* Interrupts the task that runs. */
static void timer_fn(struct timer_list *timer)
{
	irq_work_queue(&interrupt);
	mod_timer(timer, jiffies + msecs_to_jiffies(20));
}

static DEFINE_TIMER(timer, timer_fn);

static int test_concurrent(void)
{
	struct task_struct *readers[2] = {};
	unsigned int i, round;
	int ret = 0;

	for (i = 0; i < STABLES; i++) {
		if (!add(i, STABLE, GFP_KERNEL))
			return -ENOMEM;
	}
	mod_timer(&timer, jiffies + msecs_to_jiffies(20));
	for (i = 0; i < ARRAY_SIZE(readers) && !ret; i++) {
		readers[i] = kthread_run(reader, NULL, "klp_shadow_reader");
		ret = PTR_ERR_OR_ZERO(readers[i]);
		if (ret)
			readers[i] = NULL;
	}
	/* The table grows and shrinks, several times. */
	for (round = 0; round < 3 && !ret; round++) {
		ret = fill(0, count);
		for (i = 1; i < count && !ret; i += 2) {
			klp_shadow_free(&objects[i], ODD, NULL);
			cond_resched();
		}
		klp_shadow_free_all(EVEN, NULL);
		ret = ret ?: expect(false, false);
		msleep(200);
	}
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		if (readers[i])
			kthread_stop(readers[i]);
	}
	timer_delete_sync(&timer);
	irq_work_sync(&interrupt);
	if (ret)
		return ret;
	if (atomic_read(&problems) || !atomic_long_read(&reads) ||
	    !atomic_long_read(&found) || !interrupts) {
		pr_err("%d problems in %ld reads, %ld of which found one, and %lu interrupts\n",
		       atomic_read(&problems), atomic_long_read(&reads),
		       atomic_long_read(&found), interrupts);
		return -EINVAL;
	}
	return 0;
}

#ifdef CONFIG_FAULT_INJECTION
static struct data *add_short(bool atomic, unsigned int nth, unsigned int *left)
{
	/* PREEMPT_RT allocates no memory with interrupts disabled. */
	bool irqs_off = atomic && !IS_ENABLED(CONFIG_PREEMPT_RT);
	unsigned long flags;
	struct data *data;

	if (irqs_off)
		local_irq_save(flags);
	current->fail_nth = nth;
	data = add(0, SHORT, atomic ? GFP_ATOMIC : GFP_KERNEL);
	*left = current->fail_nth;
	current->fail_nth = 0;
	if (irqs_off)
		local_irq_restore(flags);
	return data;
}

/* Lets each allocation fail once. */
static int test_short(void)
{
	unsigned int i, nth, left, failed = 0;
	struct data *data;
	int ret;

	ret = fill(0, count);
	if (ret)
		return ret;
	for (i = 0; i < 2; i++) {
		nth = 0;
		do {
			constructed = 0;
			data = add_short(i, ++nth, &left);
			if (data != klp_shadow_get(&objects[0], SHORT) ||
			    constructed != !!data || (!data && left)) {
				pr_err("allocation %u failed, and the variable is wrong\n",
				       nth);
				return -EINVAL;
			}
			failed += !data;
			klp_shadow_free(&objects[0], SHORT, NULL);
		} while (!left);
		if (nth == 1) {
			pr_err("no allocation failed\n");
			return -EINVAL;
		}
	}
	pr_info("a variable was not made for want of memory: %s\n",
		failed ? "yes" : "no");
	return expect(true, true);
}
#else
static int test_short(void)
{
	return -EOPNOTSUPP;
}
#endif

static int test_klp_shadow_scale_init(void)
{
	int ret = -EINVAL;

	count = max(count, 2000u);
	objects = vzalloc(array_size(count, sizeof(*objects)));
	destroyed = vzalloc(count);
	if (!objects || !destroyed)
		ret = -ENOMEM;
	else if (!strcmp(what, "correct"))
		ret = test_correct();
	else if (!strcmp(what, "scale"))
		ret = test_scale();
	else if (!strcmp(what, "concurrent"))
		ret = test_concurrent();
	else if (!strcmp(what, "short"))
		ret = test_short();
	else
		pr_err("no such test: '%s'\n", what);

	/* Remove the variables that the test has left. */
	klp_shadow_free_all(EVEN, NULL);
	klp_shadow_free_all(ODD, NULL);
	klp_shadow_free_all(STABLE, NULL);
	klp_shadow_free_all(IN_IRQ, NULL);
	klp_shadow_free_all(SHORT, NULL);
	vfree(objects);
	vfree(destroyed);
	if (!ret)
		pr_info("%s: all is well\n", what);
	return ret;
}

static void test_klp_shadow_scale_exit(void)
{
}

module_init(test_klp_shadow_scale_init);
module_exit(test_klp_shadow_scale_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: many shadow variables");
