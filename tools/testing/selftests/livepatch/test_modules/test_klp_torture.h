/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The modules of test-torture.sh share these declarations.
 *
 * test_klp_torture.ko stays, and makes visits.  test_klp_torture_target.ko comes
 * and goes.  The livepatches test_klp_torture_patch*.ko patch functions of both,
 * and of vmlinux.  Each version of a function returns the number of its
 * livepatch, and the original one returns 0.
 */

#ifndef _TEST_KLP_TORTURE_H
#define _TEST_KLP_TORTURE_H

#include <linux/compiler.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/types.h>

/* The original functions have version 0, and the livepatches 1 to 4. */
#define TORTURE_VERSIONS	5

/*
 * Each livepatch, and the module that comes and goes, has a canary, which shows that
 * its text and data may be used.  The module's exit function poisons the canary.
 */
#define TORTURE_ALIVE		0x616c697665UL
#define TORTURE_POISON		0x64656164UL

enum torture_caller {
	TORTURE_THREAD,		/* a kernel thread */
	TORTURE_WORK,		/* a kworker */
	TORTURE_TIMER,		/* an interrupt, in any task */
	TORTURE_READER,		/* a process in a system call */
	TORTURE_EXITING,	/* a task that has left the task list */
	TORTURE_CALLERS
};

/**
 * struct torture_visit - one call of test_klp_torture_outer()
 * @caller: the kind of task
 * @depth: number of nested calls of test_klp_torture_outer()
 * @version: version of the outermost test_klp_torture_outer()
 * @forces: the parameter "forces" when the visit began
 * @random: the random numbers that decide the steps of the visit.  They follow from the
 *	seed and from a number that the task has drawn.
 *
 * All livepatches change test_klp_torture_outer() and the functions that a visit judges.
 * It stays on the stack, so a task cannot switch during a visit.  Therefore all
 * functions have the same version, unless a transition is forced meanwhile.
 */
struct torture_visit {
	enum torture_caller caller;
	int depth;
	int version;
	unsigned int forces;
	struct rnd_state random;
};

/*
 * Functions of vmlinux also have other callers.  Only with these arguments,
 * int_pow() and int_sqrt() return TORTURE_ROOT plus the version.
 */
#define TORTURE_ROOT		0x6b6c70UL
#define TORTURE_SQUARE		(TORTURE_ROOT * TORTURE_ROOT)

/*
 * Tasks that make a visit when they exit have a name that begins so.  The number of
 * the visit follows, in 8 hexadecimal digits.
 */
#define TORTURE_EXITING_NAME	"klp_end"

int test_klp_torture_outer(struct torture_visit *visit);
int test_klp_torture_near(struct torture_visit *visit);
int test_klp_torture_leaf(struct torture_visit *visit);
int test_klp_torture_twice(struct torture_visit *visit,
			   int (*call)(struct torture_visit *visit));

int torture_walk(struct torture_visit *visit, int version);
void torture_pause(struct torture_visit *visit);
void torture_exiting(void);

/**
 * struct torture_target - functions of the module that comes and goes
 * @owner: the module
 * @far: a function that livepatches change
 * @far_too: another function that livepatches change
 */
struct torture_target {
	struct module *owner;
	int (*far)(struct torture_visit *visit);
	int (*far_too)(struct torture_visit *visit);
};

void torture_set_target(const struct torture_target *target);

void torture_module_begin(int version);
void torture_module_end(int version);
void torture_check(int version, const unsigned long *canary, const char *where);

#endif
