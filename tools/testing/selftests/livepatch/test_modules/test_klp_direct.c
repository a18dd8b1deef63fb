// SPDX-License-Identifier: GPL-2.0
/*
 * Has ftrace call a trampoline for cmdline_proc_show(), as BPF does for its
 * fentry and fexit programs.  The parameter "share" says whether livepatches may
 * change the function meanwhile; "shared", how many times one does.
 *
 * The trampoline does nothing.  What that takes is known here for x86-64 only.
 */

#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/string.h>

static bool share;
module_param(share, bool, 0444);
MODULE_PARM_DESC(share, "let livepatches change the function, too (default=false)");

static int shared;
module_param(shared, int, 0444);
MODULE_PARM_DESC(shared, "how many ftrace_ops that change it there are");

#if defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)

/* Returns to where ftrace, or a livepatch, lets the function go on. */
static noinline notrace void direct_trampoline(void)
{
}

static int direct_command(struct ftrace_ops *ops, unsigned long ip,
			  enum ftrace_ops_cmd cmd)
{
	switch (cmd) {
	case FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_SELF:
	case FTRACE_OPS_CMD_ENABLE_SHARE_IPMODIFY_PEER:
		shared++;
		break;
	case FTRACE_OPS_CMD_DISABLE_SHARE_IPMODIFY_PEER:
		shared--;
		break;
	}
	return 0;
}

static struct ftrace_ops direct_ops;

static int test_klp_direct_init(void)
{
	char name[] = "cmdline_proc_show";
	int ret;

	if (share)
		direct_ops.ops_func = direct_command;
	ret = ftrace_set_filter(&direct_ops, name, strlen(name), 1);
	if (!ret)
		ret = register_ftrace_direct(&direct_ops,
					     (unsigned long)direct_trampoline);
	if (ret)
		ftrace_free_filter(&direct_ops);
	return ret;
}

static void test_klp_direct_exit(void)
{
	unregister_ftrace_direct(&direct_ops, (unsigned long)direct_trampoline,
				 true);
}

#else

static int test_klp_direct_init(void)
{
	return -EOPNOTSUPP;
}

static void test_klp_direct_exit(void)
{
}

#endif

module_init(test_klp_direct_init);
module_exit(test_klp_direct_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: a function that has a direct trampoline");
