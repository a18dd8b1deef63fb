// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of shadow variables while many exist
 *
 *   shadow     write N: measures while N variables exist; read: the ticks that
 *              PROBES allocations, look-ups and removals took, and the ticks
 *              that the removal of all N took
 *
 * During the look-ups, exactly N variables exist.  Allocations and removals
 * alternate, BATCH at a time, so that at most BATCH more exist.  The ticks are
 * those of whole loops, and include one reading of the clock for each BATCH.
 */

#include <linux/livepatch.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "bench.h"

#define PROBES 1000
#define BATCH 10
#define MOST_VARIABLES 1000000
#define ID 1

/* An object with a variable.  It has a usual size, which decides about addresses. */
struct attached {
	char bytes[192];
};

static struct {
	u64 alloc, get, free, free_all;
} shadow;

static int probe(struct attached *objects, unsigned int there)
{
	struct klp_bench_span begin;
	struct attached *more = objects + there;
	unsigned int i, j;
	u64 ticks;

	for (i = 0; i < there; i++) {
		if (!klp_shadow_alloc(&objects[i], ID, sizeof(long), GFP_KERNEL,
				      NULL, NULL))
			return -ENOMEM;
	}
	/* The work item that grows the Rust core's table ends in this time. */
	schedule_timeout_uninterruptible(HZ);

	klp_bench_begin(&begin);
	for (i = 0; i < PROBES; i++) {
		if (!klp_shadow_get(&objects[i * 7919ULL % there], ID))
			return -EIO;
	}
	shadow.get = klp_bench_passed(&begin).ticks;

	shadow.alloc = 0;
	shadow.free = 0;
	klp_bench_begin(&begin);
	for (i = 0; i < PROBES; i += BATCH) {
		ticks = klp_bench_now();
		for (j = i; j < i + BATCH; j++) {
			if (!klp_shadow_alloc(&more[j], ID, sizeof(long),
					      GFP_KERNEL, NULL, NULL))
				return -ENOMEM;
		}
		shadow.alloc += klp_bench_now() - ticks;

		ticks = klp_bench_now();
		for (j = i; j < i + BATCH; j++)
			klp_shadow_free(&more[j], ID, NULL);
		shadow.free += klp_bench_now() - ticks;
	}

	for (i = 0; i < PROBES; i++) {
		if (klp_shadow_get(&more[i], ID))
			return -EIO;
	}
	return 0;
}

static int shadow_set(const char *value, const struct kernel_param *kp)
{
	struct klp_bench_span begin;
	struct attached *objects;
	unsigned int there;
	int err;

	err = kstrtouint(value, 0, &there);
	if (err)
		return err;
	if (!there || there > MOST_VARIABLES)
		return -EINVAL;
	objects = kvcalloc(there + PROBES, sizeof(*objects), GFP_KERNEL);
	if (!objects)
		return -ENOMEM;
	err = probe(objects, there);
	klp_bench_begin(&begin);
	klp_shadow_free_all(ID, NULL);
	shadow.free_all = klp_bench_passed(&begin).ticks;
	if (!err && klp_shadow_get(&objects[0], ID))
		err = -EIO;
	/* Until a grace period has ended, readers may use removed variables. */
	synchronize_rcu();
	kvfree(objects);
	return err;
}

static int shadow_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu %llu %llu %llu\n", shadow.alloc,
			  shadow.get, shadow.free, shadow.free_all);
}

static const struct kernel_param_ops shadow_ops = {
	.set = shadow_set,
	.get = shadow_get,
};
module_param_cb(shadow, &shadow_ops, NULL, 0600);
