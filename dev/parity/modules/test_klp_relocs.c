// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch with two relocations in a separate section.  Tests turn them into
 * livepatch relocations, well-formed or not, in the built module: see
 * Documentation/livepatch/module-elf-format.rst.  The parameter "slots" and the
 * replaced function show the values of the relocations.  "refusals" is the
 * number of times that the livepatch refuses the target, after the core has
 * written the target's relocations.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>

/* Tests rename these in the built module.  They are global for relocations. */
char test_klp_relocs_first[1];
char test_klp_relocs_second[1];

static void *slots[2] __used __section(".klp_slots") = {
	test_klp_relocs_first,
	test_klp_relocs_second,
};

static int slots_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%ps %ps\n", READ_ONCE(slots[0]),
			  READ_ONCE(slots[1]));
}

static const struct kernel_param_ops slots_ops = {
	.get = slots_get,
};
module_param_cb(slots, &slots_ops, NULL, 0444);
MODULE_PARM_DESC(slots, "what the relocations have been resolved to");

static unsigned int refusals;
module_param(refusals, uint, 0444);
MODULE_PARM_DESC(refusals, "how many more times to refuse the target (default=0)");

static int pre_patch(struct klp_object *obj)
{
	if (!refusals)
		return 0;

	refusals--;
	return -EAGAIN;
}

static int relocs_mod_target_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%s: %ps %ps\n", THIS_MODULE->name, READ_ONCE(slots[0]),
		   READ_ONCE(slots[1]));
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "test_klp_mod_target_show",
		.new_func = relocs_mod_target_show,
	}, { }
};

static struct klp_object objs[] = {
	{
		.name = "test_klp_mod_target",
		.funcs = funcs,
		.callbacks = {
			.pre_patch = pre_patch,
		},
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_relocs_init(void)
{
	return klp_enable_patch(&patch);
}

static void test_klp_relocs_exit(void)
{
}

module_init(test_klp_relocs_init);
module_exit(test_klp_relocs_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: livepatch relocations");
