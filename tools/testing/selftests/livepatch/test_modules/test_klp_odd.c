// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch with two functions.  The new function for cmdline_proc_show() is
 * at an odd address, where no compiler puts a function.  The new function for
 * version_proc_show() is at an even one.
 *
 * The module is for x86-64 only: on other architectures, instructions cannot be
 * at odd addresses.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#ifdef CONFIG_X86_64
#include <asm/ibt.h>

static noinline __used int livepatch_even_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%s: %s\n", THIS_MODULE->name,
		   "this has been live patched");
	return 0;
}

/* A jump with the lowest bit of the address cleared would reach the int3. */
asm("	.pushsection	.text, \"ax\", @progbits\n"
	"	.balign		16\n"
	"	int3\n"
	"	.type		livepatch_odd_show, @function\n"
	"	.globl		livepatch_odd_show\n"
	"livepatch_odd_show:\n"
	ASM_ENDBR
	"	jmp		livepatch_even_show\n"
	"	.size		livepatch_odd_show, .-livepatch_odd_show\n"
	"	.popsection\n");

typeof(livepatch_even_show) livepatch_odd_show;

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = livepatch_odd_show,
	}, {
		.old_name = "version_proc_show",
		.new_func = livepatch_even_show,
	}, { }
};

static struct klp_object objs[] = {
	{
		/* name being NULL means vmlinux */
		.funcs = funcs,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int test_klp_odd_init(void)
{
	return klp_enable_patch(&patch);
}

#else

static int test_klp_odd_init(void)
{
	return -EOPNOTSUPP;
}

#endif

static void test_klp_odd_exit(void)
{
}

module_init(test_klp_odd_init);
module_exit(test_klp_odd_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: a new function at an odd address");
