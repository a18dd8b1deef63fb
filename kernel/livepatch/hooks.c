// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hooks.c - entry points called by the rest of the kernel and by modules
 *
 * Every function passes its arguments on to the Rust core, which decides.
 * lib.rs has a map of the core.
 */

#include <linux/export.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sched/task.h>
#include "rust.h"

/*
 * Serializes all changes of patches, objects and funcs.  It is not defined in
 * Rust, because a module can be loaded before Rust could initialize a lock.
 */
DEFINE_MUTEX(klp_mutex);

/* Patches that are enabled or in transition, in the order of their loading. */
LIST_HEAD(klp_patches);

/*
 * Patches that are off the func stacks, but have modules that must not go yet,
 * because a task may be in their text.  Protected by klp_mutex.
 */
LIST_HEAD(klp_departing_patches);

/* The patch in transition, or NULL.  Written under klp_mutex. */
struct klp_patch *klp_transition_patch;

/**
 * klp_enable_patch() - enable the livepatch
 * @patch:	patch to be enabled
 *
 * Creates the patch's sysfs entries, resolves its symbols, registers its
 * functions with ftrace and starts the transition.  The module_init() function
 * of the livepatch module calls this.
 *
 * Context: Process context.  May sleep.
 * Return: 0 on success, otherwise a negative error code, and nothing is left
 * behind.
 */
int klp_enable_patch(struct klp_patch *patch)
{
	return klp_rust_enable_patch(patch);
}
EXPORT_SYMBOL_GPL(klp_enable_patch);

/**
 * klp_module_coming() - apply patches to a module that is being loaded
 * @mod:	the module, fully formed, its init function not yet called
 *
 * Context: Process context.  May sleep.
 * Return: 0, or a negative error code with which to refuse the module.
 */
int klp_module_coming(struct module *mod)
{
	return klp_rust_module_coming(mod);
}

/**
 * klp_module_going() - revert patches on a module that is being unloaded
 * @mod:	the module, its exit function done, or its loading failed
 *
 * Context: Process context.  May sleep.
 */
void klp_module_going(struct module *mod)
{
	klp_rust_module_going(mod);
}

/**
 * klp_find_section_by_name() - find an ELF section of a livepatch module
 * @mod:	the livepatch module
 * @name:	name of the section
 * @sec_size:	where to store its size, or 0 if there is none of that name
 *
 * Return: the address of the section, or NULL.
 */
void *klp_find_section_by_name(const struct module *mod, const char *name,
			       size_t *sec_size)
{
	return klp_rust_find_section(mod, name, sec_size);
}
EXPORT_SYMBOL_GPL(klp_find_section_by_name);

/**
 * klp_apply_section_relocs() - write one livepatch relocation section
 * @pmod:	the livepatch module
 * @sechdrs:	its section headers
 * @shstrtab:	names of its sections
 * @strtab:	names of its symbols
 * @symndx:	index of its symbol table
 * @secndx:	index of the relocation section
 * @objname:	the object that is being patched, or NULL for vmlinux; sections
 *		meant for others are passed over
 *
 * Return: 0 or a negative error code.
 */
int klp_apply_section_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			     const char *shstrtab, const char *strtab,
			     unsigned int symndx, unsigned int secndx,
			     const char *objname)
{
	return klp_rust_apply_relocs(pmod, sechdrs, shstrtab, strtab, symndx,
				     secndx, objname);
}

/**
 * klp_get_state() - find a system state that a patch modifies
 * @patch:	the patch
 * @id:		identifier of the state
 *
 * For the patch's own callbacks and functions.
 *
 * Return: the state, or NULL if the patch does not modify it.
 */
struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id)
{
	return klp_rust_get_state(patch, id);
}
EXPORT_SYMBOL_GPL(klp_get_state);

/**
 * klp_get_prev_state() - find a system state that the installed patches modify
 * @id:		identifier of the state
 *
 * For callbacks that run while a patch is in transition: they learn how the
 * patches that were loaded before it have modified the state.  If several of
 * these modify it, the latest one counts.
 *
 * Return: the state, or NULL if none of them modifies it.
 */
struct klp_state *klp_get_prev_state(unsigned long id)
{
	return klp_rust_get_prev_state(id);
}
EXPORT_SYMBOL_GPL(klp_get_prev_state);

/**
 * klp_update_patch_state() - switch a task that is in no kernel function
 * @task:	the current task
 *
 * A task calls this on its way out of the kernel and in the idle loop.
 */
void klp_update_patch_state(struct task_struct *task)
{
	/*
	 * klp_synchronize_transition() waits for this section without
	 * preemption.  The variants that are not traced are needed, because RCU
	 * may not be watching here.
	 */
	preempt_disable_notrace();
	klp_rust_update_patch_state(task);
	preempt_enable_notrace();
}

/**
 * __klp_sched_try_switch() - let the current task switch in __schedule()
 *
 * Context: preemption disabled, about to switch to another task.
 */
void __klp_sched_try_switch(void)
{
	lockdep_assert_preemption_disabled();

	if (likely(!klp_patch_pending(current)))
		return;

	klp_rust_sched_try_switch();
}

/**
 * klp_copy_process() - give a new task its parent's place in the transition
 * @child:	the new task
 *
 * Context: called from copy_process() with tasklist_lock held for writing.
 */
void klp_copy_process(struct task_struct *child)
{
	lockdep_assert_held_write(&tasklist_lock);

	/*
	 * With PREEMPT_RT, the lock leaves preemption on.  A scan could find the
	 * parent off its CPU then, and switch it while its state is copied.
	 */
	guard(preempt)();
	klp_rust_copy_process(child);
}

static int __init klp_init(void)
{
	return klp_sysfs_init();
}
module_init(klp_init);
