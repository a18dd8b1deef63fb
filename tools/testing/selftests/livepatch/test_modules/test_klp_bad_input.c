// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch that passes klp_enable_patch() a description with one flaw.  The
 * parameter "what" selects the flaw.  Two descriptions are unusual but valid:
 * "no_objects", and "object_longest", with an object name of the greatest
 * length.  "symbol_longest" has a symbol name of the greatest length, which is
 * valid, but no such symbol exists.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#define GOOD_SYMBOL	"cmdline_proc_show"

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "the flaw of the patch");

static char *symbol = GOOD_SYMBOL;
module_param(symbol, charp, 0444);
MODULE_PARM_DESC(symbol, "name of the function to patch (default=" GOOD_SYMBOL ")");

static unsigned long sympos;
module_param(sympos, ulong, 0444);
MODULE_PARM_DESC(sympos, "position of the function among its namesakes (default=0)");

static char *object;
module_param(object, charp, 0444);
MODULE_PARM_DESC(object, "module that has the function (default=vmlinux)");

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "replace all other livepatches (default=false)");

/* Room for a name that is one longer than the longest possible */
static char long_symbol[KSYM_NAME_LEN + 1];
static char long_object[MODULE_NAME_LEN + 1];

static int replacement(struct seq_file *m, void *v)
{
	seq_printf(m, "%s: replaced\n", THIS_MODULE->name);
	return 0;
}

/* Filled in by the module's init; the last entry stays empty. */
static struct klp_func funcs[5];
static struct klp_object objs[2];

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static void use_long_symbol(size_t len)
{
	memset(long_symbol, 'x', len);
	funcs[0].old_name = long_symbol;
}

static void use_long_object(size_t len)
{
	memset(long_object, 'x', len);
	objs[0].name = long_object;
}

static int test_klp_bad_input_init(void)
{
	objs[0].name = object;
	objs[0].funcs = funcs;
	funcs[0].old_name = symbol;
	funcs[0].old_sympos = sympos;
	funcs[0].new_func = replacement;
	patch.replace = replace;

	if (!strcmp(what, "null_patch"))
		return klp_enable_patch(NULL);

	if (!strcmp(what, "null_mod")) {
		patch.mod = NULL;
	} else if (!strcmp(what, "null_objs")) {
		patch.objs = NULL;
	} else if (!strcmp(what, "null_funcs")) {
		/* An object without both would be the end of the list. */
		objs[0].name = "test_klp_mod_target";
		objs[0].funcs = NULL;
	} else if (!strcmp(what, "no_objects")) {
		objs[0].name = NULL;
		objs[0].funcs = NULL;
	} else if (!strcmp(what, "null_old_name")) {
		funcs[0].old_name = NULL;
	} else if (!strcmp(what, "null_new_func")) {
		funcs[0].new_func = NULL;
	} else if (!strcmp(what, "symbol_longest")) {
		use_long_symbol(KSYM_NAME_LEN - 1);
	} else if (!strcmp(what, "symbol_too_long")) {
		use_long_symbol(KSYM_NAME_LEN);
	} else if (!strcmp(what, "object_longest")) {
		use_long_object(MODULE_NAME_LEN - 1);
	} else if (!strcmp(what, "object_too_long")) {
		use_long_object(MODULE_NAME_LEN);
	} else if (!strcmp(what, "second_symbol")) {
		/* The flawed function comes after a good one. */
		funcs[1] = funcs[0];
		funcs[0].old_name = GOOD_SYMBOL;
		funcs[0].old_sympos = 0;
	} else if (!strcmp(what, "first_symbol")) {
		/* The flawed function comes before a good one. */
		funcs[1] = funcs[0];
		funcs[1].old_name = GOOD_SYMBOL;
		funcs[1].old_sympos = 0;
	} else if (!strcmp(what, "third_symbol")) {
		/* The flawed function is the third of four. */
		funcs[1] = funcs[0];
		funcs[2] = funcs[0];
		funcs[3] = funcs[0];
		funcs[0].old_name = "version_proc_show";
		funcs[1].old_name = "loadavg_proc_show";
		funcs[3].old_name = "uptime_proc_show";
	} else if (!strcmp(what, "second_null_new_func")) {
		funcs[1] = funcs[0];
		funcs[1].old_name = "version_proc_show";
		funcs[1].new_func = NULL;
	} else if (strcmp(what, "symbol")) {
		/* "symbol": the caller's choice of symbol is the flaw. */
		pr_err("no such flaw: '%s'\n", what);
		return -EOPNOTSUPP;
	}

	return klp_enable_patch(&patch);
}

static void test_klp_bad_input_exit(void)
{
}

module_init(test_klp_bad_input_init);
module_exit(test_klp_bad_input_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: malformed patches");
