// SPDX-License-Identifier: GPL-2.0
/* Functions that test_klp_torture.ko calls while this module is loaded. */

#include <linux/module.h>
#include "test_klp_torture.h"

static unsigned long canary = TORTURE_ALIVE;

/* torture_check() also checks this module, under the version of original functions. */
#define ORIGINAL	0

static noinline int test_klp_torture_far(struct torture_visit *visit)
{
	torture_check(ORIGINAL, &canary, "far");
	torture_pause(visit);
	torture_check(ORIGINAL, &canary, "far, after a pause,");
	return ORIGINAL;
}

static noinline int test_klp_torture_far_too(struct torture_visit *visit)
{
	torture_check(ORIGINAL, &canary, "far_too");
	return ORIGINAL;
}

static const struct torture_target target = {
	.owner = THIS_MODULE,
	.far = test_klp_torture_far,
	.far_too = test_klp_torture_far_too,
};

static int test_klp_torture_target_init(void)
{
	torture_module_begin(ORIGINAL);
	torture_set_target(&target);
	return 0;
}

static void test_klp_torture_target_exit(void)
{
	torture_set_target(NULL);
	torture_module_end(ORIGINAL);
	WRITE_ONCE(canary, TORTURE_POISON);
}

module_init(test_klp_torture_target_init);
module_exit(test_klp_torture_target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: target of the torture that comes and goes");
