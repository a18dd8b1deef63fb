// SPDX-License-Identifier: GPL-2.0-only
/*
 * The time that a patch takes to leave
 *
 *   disable    write a name: disables that patch, and waits until its module is
 *              free
 *   gone       read: for the last patch that was waited for, the ticks until it
 *              was gone from sysfs, those of them in idle, and the ticks until
 *              its module was free
 *
 * A patch leaves sysfs when its transition is over.  Its module is free when
 * nothing holds a reference to it, so that rmmod unloads it.  The Rust core drops
 * its reference later, when no task can be in the module's text.  Therefore a
 * patch's own module cannot wait for this: the task that waits would be in it.
 */

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/namei.h>
#include "bench.h"

/* The longest wait, in ticks. */
#define LIMIT (600ULL * NSEC_PER_SEC)
#define PATH_SIZE (64 + MODULE_NAME_LEN)

/* The times that the last patch took, from the beginning of the operation. */
static struct klp_bench_span until_gone, until_free;

/* Returns 1 if the patch is gone from sysfs, and 0 if it is there. */
static int is_gone(const char *name)
{
	char path[PATH_SIZE];
	struct path found;
	int err;

	snprintf(path, sizeof(path), "/sys/kernel/livepatch/%s", name);
	err = kern_path(path, 0, &found);
	if (err)
		return err == -ENOENT ? 1 : err;
	path_put(&found);
	return 0;
}

/* Returns 1 if nothing holds the module, and 0 if something does. */
static int is_free(const char *name)
{
	char path[PATH_SIZE], text[16] = "";
	struct file *file;
	loff_t pos = 0;
	ssize_t count;
	int references;
	int err;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	count = kernel_read(file, text, sizeof(text) - 1, &pos);
	filp_close(file, NULL);
	if (count < 0)
		return count;
	err = kstrtoint(text, 10, &references);
	return err ?: !references;
}

/* Waits until @done returns 1, and sets @passed to the time since @begin. */
static int await(int (*done)(const char *name), const char *name,
		 const struct klp_bench_span *begin,
		 struct klp_bench_span *passed)
{
	unsigned long pause;
	int ret;

	for (;;) {
		ret = done(name);
		*passed = klp_bench_passed(begin);
		if (ret)
			return ret < 0 ? ret : 0;
		if (passed->ticks > LIMIT)
			return -ETIMEDOUT;
		/*
		 * Each pause is 1/400 of the time until now, and at least 20
		 * microseconds.  So the figure is too large by one such pause
		 * at most, and the checks are too few to change it.
		 */
		pause = passed->ticks / 400 / NSEC_PER_USEC;
		pause = max(pause, 20);
		usleep_range(pause, pause + 1);
	}
}

/* Waits until the patch is gone and its module free.  Sleeps. */
int klp_bench_await_gone(const char *name, const struct klp_bench_span *begin)
{
	return await(is_gone, name, begin, &until_gone) ?:
	       await(is_free, name, begin, &until_free);
}
EXPORT_SYMBOL_GPL(klp_bench_await_gone);

static int disable_set(const char *value, const struct kernel_param *kp)
{
	struct klp_bench_span begin;
	char path[PATH_SIZE];
	struct file *file;
	loff_t pos = 0;
	ssize_t count;

	snprintf(path, sizeof(path), "/sys/kernel/livepatch/%s/enabled", value);
	file = filp_open(path, O_WRONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	klp_bench_begin(&begin);
	count = kernel_write(file, "0", 1, &pos);
	filp_close(file, NULL);
	if (count != 1)
		return count < 0 ? count : -EIO;
	return klp_bench_await_gone(value, &begin);
}

static const struct kernel_param_ops disable_ops = { .set = disable_set };
module_param_cb(disable, &disable_ops, NULL, 0200);

static int gone_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu %llu %llu\n", until_gone.ticks,
			  until_gone.idle, until_free.ticks);
}

static const struct kernel_param_ops gone_ops = { .get = gone_get };
module_param_cb(gone, &gone_ops, NULL, 0400);
