// SPDX-License-Identifier: GPL-2.0
/*
 * Makes ftrace call a trampoline for a function of the kernel, as BPF does for
 * its fentry and fexit programs.  The parameter "share" selects whether
 * livepatches may change the function meanwhile.  The parameter "shared" is the
 * number of users of ftrace that change the function: ftrace asks the module
 * before one is added, and tells it when one is removed.
 *
 * The trampoline does nothing.  The module has one for arm64, s390 and x86-64.
 */

#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/string.h>

static char *function = "cmdline_proc_show";
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "name of the function (default=cmdline_proc_show)");

static bool share_function;
module_param_named(share, share_function, bool, 0444);
MODULE_PARM_DESC(share, "let livepatches change the function, too (default=false)");

static int shared;
module_param(shared, int, 0444);
MODULE_PARM_DESC(shared, "number of users of ftrace that change the function (read only)");

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS

/*
 * The trampoline returns to the address at which ftrace, or a livepatch, lets calls
 * go on.  It keeps all registers that hold arguments, so it cannot be in C, which
 * instrumentation such as KCOV may change.
 */
#if defined(CONFIG_X86_64)
#include <asm/asm-offsets.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>

#define DIRECT_TRAMPOLINE		\
	"	" ASM_ENDBR		\
	CALL_DEPTH_ACCOUNT		\
	"	" ASM_RET
#elif defined(CONFIG_ARM64)
/*
 * x30 holds that address, and x9 the return address in the function's caller.
 * "hint 34" is "bti c".
 */
#define DIRECT_TRAMPOLINE		\
"	hint	34\n"			\
"	mov	x10, x30\n"		\
"	mov	x30, x9\n"		\
"	ret	x10\n"
#elif defined(CONFIG_S390)
/* r0 holds that address, and r14 the return address in the caller. */
#define DIRECT_TRAMPOLINE		\
"	lgr	%r1,%r0\n"		\
"	br	%r1\n"
#endif

#ifdef DIRECT_TRAMPOLINE
extern void direct_trampoline(void);

asm("	.pushsection	.text, \"ax\", @progbits\n"
"	.balign	8\n"
"	.type	direct_trampoline, @function\n"
"direct_trampoline:\n"
	DIRECT_TRAMPOLINE
"	.size	direct_trampoline, .-direct_trampoline\n"
"	.popsection\n"
);
#endif /* DIRECT_TRAMPOLINE */

#endif /* CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS */

#ifdef DIRECT_TRAMPOLINE

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
	int ret;

	if (share_function)
		direct_ops.ops_func = direct_command;
	ret = ftrace_set_filter(&direct_ops, function, strlen(function), 1);
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

#else /* !DIRECT_TRAMPOLINE */

static int test_klp_direct_init(void)
{
	return -EOPNOTSUPP;
}

static void test_klp_direct_exit(void)
{
}

#endif /* DIRECT_TRAMPOLINE */

module_init(test_klp_direct_init);
module_exit(test_klp_direct_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: a function that has a direct trampoline");
