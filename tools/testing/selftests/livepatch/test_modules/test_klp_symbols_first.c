// SPDX-License-Identifier: GPL-2.0
/*
 * A module with functions and a variable that livepatches use although they are
 * not exported.  Two functions have the same name, one in each file of the
 * module.
 */

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "test_klp_symbols_target.h"

static struct proc_dir_entry *pde;

/* A parameter, so that the compiler does not replace it with its value. */
static int test_klp_symbols_limit = 40;
module_param_named(limit, test_klp_symbols_limit, int, 0644);
MODULE_PARM_DESC(limit, "a number (default=40)");

static noinline int test_klp_symbols_helper(int value)
{
	return value + 1;
}

static noinline int test_klp_symbols_show(struct seq_file *m, void *v)
{
	seq_printf(m, "original: %d %d\n",
		   test_klp_symbols_helper(test_klp_symbols_limit),
		   test_klp_symbols_second(test_klp_symbols_limit));
	return 0;
}

static int test_klp_symbols_init(void)
{
	pde = proc_create_single("test_klp_symbols", 0, NULL,
				 test_klp_symbols_show);
	return pde ? 0 : -ENOMEM;
}

static void test_klp_symbols_exit(void)
{
	proc_remove(pde);
}

module_init(test_klp_symbols_init);
module_exit(test_klp_symbols_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: symbols that are not exported");
