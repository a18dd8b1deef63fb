// SPDX-License-Identifier: GPL-2.0-only
/*
 * A livepatch with a variable number of functions
 *
 * Parameters, given when the module is loaded:
 *
 *   names      a file with the names of functions, one a line
 *   n          the number of functions to patch, from the first of the file
 *   object     the module of the functions; vmlinux if it is not given
 *   replace    whether the patch replaces those before it
 *   watch      whether a task of klp_bench watches while the patch is enabled
 *
 * and to be read and written in sysfs:
 *
 *   enable     write 1: enables the patch; read: the ticks that the call took,
 *              and those of them in idle
 *   enable_and_replace
 *              write a name: enables the patch, and waits until that other
 *              patch is gone and its module free (gone.c)
 *   settled    read: the time when the last transition to this patch completed
 *   called     read: the patched function of vmlinux that was called last.  It
 *              must be "none", because the new functions of vmlinux do not do
 *              the work of the old ones
 *
 * New functions of a module have this patch's version (functions.h).  The
 * functions of vmlinux must be ones that no task calls during the benchmark.
 */

#include <linux/atomic.h>
#include <linux/kernel_read_file.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "bench.h"
#include "functions.h"

#ifndef VERSION
#define VERSION 1
#endif

static char *names;
module_param(names, charp, 0400);
static unsigned int n = 1;
module_param(n, uint, 0400);
static char *object;
module_param(object, charp, 0400);
static bool replace;
module_param(replace, bool, 0400);
static bool watch;
module_param(watch, bool, 0400);
static u64 settled;
module_param(settled, ullong, 0400);

/* The number of the new function for vmlinux that was called last, or 0. */
static atomic_t called = ATOMIC_INIT(0);

/* The new functions for a module, and below those for vmlinux, which note calls. */
#define F(number) \
	static noinline int klp_bench_new_##number(int x) \
	{ \
		return x + KLP_BENCH_RESULT(number, VERSION); \
	}
#include "functions.inc"
#undef F

static int note_call(int number, int x)
{
	atomic_set(&called, number);
	return x + KLP_BENCH_RESULT(number, VERSION);
}

#define F(number) \
	static noinline int klp_bench_call_##number(int x) \
	{ \
		return note_call(number, x); \
	}
#include "functions.inc"
#undef F

static int (*const new_functions[])(int x) = {
#define F(number) klp_bench_new_##number,
#include "functions.inc"
#undef F
};

static int (*const call_functions[])(int x) = {
#define F(number) klp_bench_call_##number,
#include "functions.inc"
#undef F
};

static void post_patch(struct klp_object *obj)
{
	settled = klp_bench_now();
}

static struct klp_object objects[] = {
	{ .callbacks.post_patch = post_patch },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

/* The time that the call took. */
static struct klp_bench_span call;

static int enable(struct klp_bench_span *begin)
{
	int err;

	klp_bench_begin(begin);
	if (watch) {
		err = klp_bench_watch_begin();
		if (err)
			return err;
	}
	err = klp_enable_patch(&patch);
	call = klp_bench_passed(begin);
	if (watch)
		klp_bench_watch_end();
	return err;
}

static int enable_set(const char *value, const struct kernel_param *kp)
{
	struct klp_bench_span begin;

	return enable(&begin);
}

static int replace_set(const char *value, const struct kernel_param *kp)
{
	struct klp_bench_span begin;

	return enable(&begin) ?: klp_bench_await_gone(value, &begin);
}

static int enable_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu %llu\n", call.ticks, call.idle);
}

static const struct kernel_param_ops enable_ops = {
	.set = enable_set,
	.get = enable_get,
};
module_param_cb(enable, &enable_ops, NULL, 0600);

static const struct kernel_param_ops replace_ops = { .set = replace_set };
module_param_cb(enable_and_replace, &replace_ops, NULL, 0200);

static int called_get(char *buffer, const struct kernel_param *kp)
{
	int number = atomic_read(&called);
	const char *name = "none";

	if (number)
		name = objects[0].funcs[number - KLP_BENCH_FIRST].old_name;
	return sysfs_emit(buffer, "%s\n", name);
}

static const struct kernel_param_ops called_ops = { .get = called_get };
module_param_cb(called, &called_ops, NULL, 0400);

static void *text;

/* Reads the file with the names, and fills the funcs with its first n lines. */
static int __init read_names(struct klp_func *funcs)
{
	char *line, *rest;
	unsigned int i;
	int size;

	size = kernel_read_file_from_path(names, 0, &text, INT_MAX, NULL,
					  READING_UNKNOWN);
	if (size < 0)
		return size;
	rest = text;
	if (!size || rest[size - 1] != '\n')
		return -EINVAL;
	rest[size - 1] = '\0';
	for (i = 0; i < n; i++) {
		line = strsep(&rest, "\n");
		if (!line || !*line) {
			pr_err("%s has no %u names\n", names, n);
			return -EINVAL;
		}
		funcs[i].old_name = line;
		funcs[i].new_func = object ? new_functions[i] : call_functions[i];
	}
	return 0;
}

static int __init patch_init(void)
{
	struct klp_func *funcs;
	int err;

	if (!names || !n || n > KLP_BENCH_COUNT)
		return -EINVAL;
	funcs = kvcalloc(n + 1, sizeof(*funcs), GFP_KERNEL);
	if (!funcs)
		return -ENOMEM;
	err = read_names(funcs);
	if (err) {
		vfree(text);
		kvfree(funcs);
		return err;
	}
	objects[0].name = object;
	objects[0].funcs = funcs;
	patch.replace = replace;
	return 0;
}

/* Runs when the patch is gone, or if it was never enabled, so nothing uses the funcs. */
static void __exit patch_exit(void)
{
	kvfree(objects[0].funcs);
	vfree(text);
}

module_init(patch_init);
module_exit(patch_exit);
MODULE_DESCRIPTION("A livepatch of as many functions as wanted");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
