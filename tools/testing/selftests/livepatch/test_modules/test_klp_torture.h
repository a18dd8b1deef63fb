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

/* Livepatches have the numbers from 1. */
#define TORTURE_VERSIONS	5

/*
 * A canary says whether the text and data of its module may be in use.  The
 * module's exit function poisons it.
 */
#define TORTURE_ALIVE		0x616c697665UL
#define TORTURE_POISON		0x64656164UL

enum torture_caller {
	TORTURE_THREAD,		/* a kernel thread */
	TORTURE_WORK,		/* a kworker */
	TORTURE_TIMER,		/* an interrupt, in whichever task */
	TORTURE_READER,		/* a process in a system call */
	TORTURE_EXITING,	/* a task that has left the task list */
	TORTURE_CALLERS
};

/**
 * struct torture_visit - one call of test_klp_torture_outer()
 * @caller: the kind of task
 * @depth: calls of test_klp_torture_outer() that it is in
 * @version: version of the outermost test_klp_torture_outer()
 * @forces: number of forced transitions at the begin
 * @random: decides about its way
 *
 * All livepatches change the outer function and those that it reaches.  The outer
 * function stays on the stack, so that no task switches in a visit: all functions
 * have the same version, except if a transition is forced meanwhile.
 */
struct torture_visit {
	enum torture_caller caller;
	int depth;
	int version;
	unsigned int forces;
	struct rnd_state *random;
};

/*
 * Functions of vmlinux have callers that are not of the torture.  With these
 * arguments, int_pow() and int_sqrt() return TORTURE_ROOT plus the version.
 */
#define TORTURE_ROOT		0x6b6c70UL
#define TORTURE_SQUARE		(TORTURE_ROOT * TORTURE_ROOT)

/* The name of tasks that make a visit when they exit. */
#define TORTURE_EXITING_NAME	"klp_torture_end"

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
 * @far: one that livepatches change
 * @far_too: another one
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
