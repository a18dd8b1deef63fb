// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of the torture: see test_klp_torture.h.  Its version is the last digit
 * of its name.  It patches the functions that a visit judges;
 * test_klp_torture_leaf(), whose new function leaves by a sibling call, so that
 * stacks do not show it; and with "exiting" add_device_randomness(), in which tasks
 * that exit make a visit.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/math.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "test_klp_torture.h"

#define VERSION	(KBUILD_MODNAME[sizeof(KBUILD_MODNAME) - 2] - '0')

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "replace all other livepatches (default=false)");

static bool exiting;
module_param(exiting, bool, 0444);
MODULE_PARM_DESC(exiting, "let tasks that exit make a visit (default=false)");

static bool lie;
module_param(lie, bool, 0444);
MODULE_PARM_DESC(lie, "let functions return a wrong version now and then (default=false)");

static bool dead;
module_param(dead, bool, 0444);
MODULE_PARM_DESC(dead, "have the canary of a module that is gone (default=false)");

static unsigned long canary = TORTURE_ALIVE;

static void check(const char *where)
{
	torture_check(VERSION, &canary, where);
}

/* Returns the version, or with "lie", at random, a wrong one. */
static int version(void)
{
	return lie && get_random_u32_below(16) == 0 ? VERSION - 1 : VERSION;
}

static int torture_patch_outer(struct torture_visit *visit)
{
	int ret;

	check("outer");
	ret = torture_walk(visit, visit->depth ? version() : VERSION);
	check("outer, after its visit,");
	return visit->depth ? ret : version();
}

static int torture_patch_near(struct torture_visit *visit)
{
	check("near");
	torture_pause(visit);
	check("near, after a pause,");
	return version();
}

static int torture_patch_far(struct torture_visit *visit)
{
	check("far");
	torture_pause(visit);
	check("far, after a pause,");
	return version();
}

static int torture_patch_far_too(struct torture_visit *visit)
{
	check("far_too");
	return version();
}

static noinline int torture_patch_wait(struct torture_visit *visit)
{
	check("wait");
	torture_pause(visit);
	check("wait, after a pause,");
	return VERSION;
}

/* The compiler makes both calls sibling calls. */
static int torture_patch_leaf(struct torture_visit *visit)
{
	if (prandom_u32_state(&visit->random) % 2)
		return torture_patch_wait(visit);
	return test_klp_torture_twice(visit, torture_patch_wait);
}

static u64 torture_patch_int_pow(u64 base, unsigned int exp)
{
	u64 result = 1;

	if (base == TORTURE_ROOT && exp == 1)
		return TORTURE_ROOT + version();
	for (; exp; exp--)
		result *= base;
	return result;
}

static unsigned long torture_patch_int_sqrt(unsigned long x)
{
	unsigned long bit = 1UL << (BITS_PER_LONG / 2 - 1);
	unsigned long root = 0;

	if (x == TORTURE_SQUARE)
		return TORTURE_ROOT + version();
	for (; bit; bit >>= 1) {
		if ((root | bit) * (root | bit) <= x)
			root |= bit;
	}
	return root;
}

/* The original function adds entropy, which the machine can do without. */
static void torture_patch_add_device_randomness(const void *buf, size_t len)
{
	if (strncmp(current->comm, TORTURE_EXITING_NAME, strlen(TORTURE_EXITING_NAME)))
		return;

	check("add_device_randomness");
	torture_exiting();
	check("add_device_randomness, after its visit,");
}

static struct klp_func vmlinux_funcs[] = {
	{
		.old_name = "int_pow",
		.new_func = torture_patch_int_pow,
	}, {
		.old_name = "int_sqrt",
		.new_func = torture_patch_int_sqrt,
	}, {
		.old_name = "add_device_randomness",
		.new_func = torture_patch_add_device_randomness,
	}, {}
};

static struct klp_func torture_funcs[] = {
	{
		.old_name = "test_klp_torture_outer",
		.new_func = torture_patch_outer,
	}, {
		.old_name = "test_klp_torture_near",
		.new_func = torture_patch_near,
	}, {
		.old_name = "test_klp_torture_leaf",
		.new_func = torture_patch_leaf,
	}, {}
};

static struct klp_func target_funcs[] = {
	{
		.old_name = "test_klp_torture_far",
		.new_func = torture_patch_far,
	}, {
		.old_name = "test_klp_torture_far_too",
		.new_func = torture_patch_far_too,
	}, {}
};

static struct klp_object objs[] = {
	{
		/* name being NULL means vmlinux */
		.funcs = vmlinux_funcs,
	}, {
		.name = "test_klp_torture",
		.funcs = torture_funcs,
	}, {
		.name = "test_klp_torture_target",
		.funcs = target_funcs,
	}, {}
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_torture_patch_init(void)
{
	int ret;

	if (!exiting)
		vmlinux_funcs[2] = (struct klp_func){};
	if (dead)
		canary = TORTURE_POISON;
	patch.replace = replace;
	torture_module_begin(VERSION);
	ret = klp_enable_patch(&patch);
	if (ret)
		torture_module_end(VERSION);
	return ret;
}

static void test_klp_torture_patch_exit(void)
{
	torture_module_end(VERSION);
	WRITE_ONCE(canary, TORTURE_POISON);
}

module_init(test_klp_torture_patch_init);
module_exit(test_klp_torture_patch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: a livepatch of the torture");
