// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * helpers.c - macros, inline functions and work items, for the Rust core
 */

#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/module_symbol.h>
#include <linux/moduleloader.h>
#include <linux/rculist.h>
#include <linux/workqueue.h>
#include "rust.h"

static void klp_free_patch_work_fn(struct work_struct *work)
{
	klp_rust_free_patch_work(container_of(work, struct klp_patch, free_work));
}

/* INIT_WORK() is a macro that makes a lock class at each use. */
void klp_init_free_work(struct klp_patch *patch)
{
	INIT_WORK(&patch->free_work, klp_free_patch_work_fn);
}

void klp_queue_free_work(struct klp_patch *patch)
{
	schedule_work(&patch->free_work);
}

void klp_list_del(struct list_head *node)
{
	list_del(node);
}

void klp_list_add_rcu(struct list_head *node, struct list_head *head)
{
	list_add_rcu(node, head);
}

void klp_list_del_rcu(struct list_head *node)
{
	list_del_rcu(node);
}

bool klp_is_mapping_symbol(const char *name)
{
	return is_mapping_symbol(name);
}

bool klp_module_get(struct module *mod)
{
	return try_module_get(mod);
}

void klp_module_put(struct module *mod)
{
	module_put(mod);
}

/* For architectures that can write a relocation over another. */
void __weak clear_relocate_add(Elf_Shdr *sechdrs, const char *strtab,
			       unsigned int symindex, unsigned int relsec,
			       struct module *me)
{
}

void klp_clear_relocations(Elf_Shdr *sechdrs, const char *strtab,
			   unsigned int symndx, unsigned int secndx,
			   struct module *pmod)
{
	clear_relocate_add(sechdrs, strtab, symndx, secndx, pmod);
}
