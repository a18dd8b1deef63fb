// SPDX-License-Identifier: GPL-2.0
/*
 * Calls the functions that live patching exports in unusual or wrong ways, and
 * logs the results.  The module patches no function.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/string.h>

#define ID	0xca11

static char objects[2];

static int fill(void *obj, void *data, void *ctor_data)
{
	strscpy(data, ctor_data, 8);
	return 0;
}

static int fail(void *obj, void *data, void *ctor_data)
{
	return *(int *)ctor_data;
}

static void gone(void *obj, void *data)
{
	pr_info("destructor: '%.8s'\n", (char *)data);
}

static void try_shadow_variables(void)
{
	int errors[] = { -EDOM, 1 };
	void *data, *again;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		data = klp_shadow_alloc(&objects[0], ID, 8, GFP_KERNEL, fail, &errors[i]);
		pr_info("alloc, constructor returns %d: %s\n", errors[i],
			data ? "data" : "NULL");
		data = klp_shadow_get_or_alloc(&objects[0], ID, 8, GFP_KERNEL, fail,
					       &errors[i]);
		pr_info("get_or_alloc, constructor returns %d: %s\n", errors[i],
			data ? "data" : "NULL");
		pr_info("get: %s\n", klp_shadow_get(&objects[0], ID) ? "data" : "NULL");
	}

	data = klp_shadow_alloc(&objects[0], ID, 8, GFP_KERNEL, fill, "first");
	pr_info("alloc: '%.8s'\n", data ? (char *)data : "NULL");
	again = klp_shadow_alloc(&objects[0], ID, 8, GFP_KERNEL, fill, "second");
	pr_info("alloc of a duplicate: %s\n", again ? "data" : "NULL");
	again = klp_shadow_get_or_alloc(&objects[0], ID, 8, GFP_KERNEL, fill, "third");
	pr_info("get_or_alloc: %s, '%.8s'\n", again == data ? "the same" : "another",
		again ? (char *)again : "NULL");

	data = klp_shadow_alloc(&objects[1], ID, 8, GFP_KERNEL, NULL, NULL);
	pr_info("without constructor: %s\n",
		data && !memchr_inv(data, 0, 8) ? "zeroes" : "not zeroes");
	data = klp_shadow_alloc(NULL, ID + 1, 0, GFP_KERNEL, NULL, NULL);
	pr_info("no object, no size: %s\n", data ? "data" : "NULL");
	pr_info("get: %s\n", klp_shadow_get(NULL, ID + 1) == data ? "the same" : "another");

	klp_shadow_free(&objects[1], ID + 1, gone);
	pr_info("freed what is not there\n");
	klp_shadow_free_all(ID + 2, gone);
	pr_info("freed all that are not there\n");
	klp_shadow_free(&objects[1], ID, NULL);
	pr_info("freed without destructor\n");
	klp_shadow_free_all(ID, gone);
	pr_info("freed all\n");
	klp_shadow_free(NULL, ID + 1, NULL);
	pr_info("get: %s\n", klp_shadow_get(&objects[0], ID) ? "data" : "NULL");
}

static struct klp_state system_states[] = {
	{ .id = 3, .version = 1 }, { .id = 5, .version = 2 }, { }
};

static struct klp_patch patch;

static void try_states(void)
{
	struct klp_state *state;
	unsigned long id;

	pr_info("state of a patch without states: %s\n",
		klp_get_state(&patch, 3) ? "found" : "NULL");
	patch.states = system_states;
	for (id = 0; id < 7; id++) {
		state = klp_get_state(&patch, id);
		if (state)
			pr_info("state %lu: id %lu, version %u\n", id, state->id,
				state->version);
		else
			pr_info("state %lu: NULL\n", id);
	}
	/* Only callbacks of a patch in transition may call this. */
	for (id = 0; id < 2; id++)
		pr_info("previous state: %s\n", klp_get_prev_state(3) ? "found" : "NULL");
}

static void try_sections(void)
{
	static const char *const names[] = {
		".modinfo", ".text", ".klp_calls", ".no.such.section", "",
	};
	size_t size;
	void *section;
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		size = ~0UL;
		section = klp_find_section_by_name(THIS_MODULE, names[i], &size);
		pr_info("section '%s': %s, size %s\n", names[i],
			section ? "found" : "NULL", size ? "not 0" : "0");
	}
}

/* The module needs a section that this name finds. */
static int in_section __used __section(".klp_calls") = 1;

static int test_klp_calls_init(void)
{
	try_shadow_variables();
	try_states();
	try_sections();
	return 0;
}

static void test_klp_calls_exit(void)
{
}

module_init(test_klp_calls_init);
module_exit(test_klp_calls_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Livepatch test: unusual calls of the interface");
