// SPDX-License-Identifier: GPL-2.0
/*
 * Has ftrace call a trampoline for cmdline_proc_show(), as BPF does for its
 * fentry and fexit programs.  The parameter "share" says whether livepatches may
 * change the function meanwhile; "shared", how many times one does.
 *
 * The trampoline does nothing.  What that takes is known here for arm64, s390 and
 * x86-64.
 */

#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/string.h>

static bool share_function;
module_param_named(share, share_function, bool, 0444);
MODULE_PARM_DESC(share, "let livepatches change the function, too (default=false)");

static int shared;
module_param(shared, int, 0444);
MODULE_PARM_DESC(shared, "how many ftrace_ops that change it there are");

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS

/* Returns to where ftrace, or a livepatch, lets the function go on. */
#if defined(CONFIG_X86_64)
#define HAVE_TRAMPOLINE
static noinline notrace void direct_trampoline(void)
{
}
#elif defined(CONFIG_ARM64)
/* x30 leads there, and x9 to the caller of the function: "bti c" is hint 34. */
#define HAVE_TRAMPOLINE			\
"	hint	34\n"			\
"	mov	x10, x30\n"		\
"	mov	x30, x9\n"		\
"	ret	x10\n"
#elif defined(CONFIG_S390)
/* r0 leads there, and r14 to the caller of the function. */
#define HAVE_TRAMPOLINE			\
"	lgr	%r1,%r0\n"		\
"	br	%r1\n"
#endif

#if defined(HAVE_TRAMPOLINE) && !defined(CONFIG_X86_64)
extern void direct_trampoline(void);

asm("	.pushsection	.text, \"ax\", @progbits\n"
"	.balign	8\n"
"	.type	direct_trampoline, @function\n"
"direct_trampoline:\n"
	HAVE_TRAMPOLINE
"	.size	direct_trampoline, .-direct_trampoline\n"
"	.popsection\n"
);
#endif

#endif /* CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS */

#ifdef HAVE_TRAMPOLINE

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

	if (share_function)
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
