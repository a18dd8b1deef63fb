// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shadow_table.c - shadow variables: the exported functions, and the C that
 * their table needs
 *
 * shadow.rs implements the functions.  The table is in edge/shadow_table/.
 *
 * The interface and the messages are derived from shadow.c:
 * Copyright (C) 2014 Josh Poimboeuf <jpoimboe@redhat.com>
 * Copyright (C) 2014 Seth Jennings <sjenning@redhat.com>
 * Copyright (C) 2017 Joe Lawrence <joe.lawrence@redhat.com>
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/irq_work.h>
#include <linux/livepatch.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "rust.h"

/* Serializes changes of the table, constructors and destructors. */
static DEFINE_SPINLOCK(klp_shadow_spinlock);

/*
 * These two are not traced, which saves two instructions for each operation.
 * Tracers still see the exported functions and those of the spinlock.
 */
unsigned long notrace klp_shadow_lock(void)
	__acquires(&klp_shadow_spinlock)
{
	unsigned long flags;

	spin_lock_irqsave(&klp_shadow_spinlock, flags);

	return flags;
}

void notrace klp_shadow_unlock(unsigned long flags)
	__releases(&klp_shadow_spinlock)
{
	spin_unlock_irqrestore(&klp_shadow_spinlock, flags);
}

struct klp_shadow *klp_shadow_new(size_t size, gfp_t gfp_flags)
{
	return kzalloc(size_add(size, sizeof(struct klp_shadow)), gfp_flags);
}

static void klp_shadow_resize_fn(struct work_struct *work)
{
	klp_rust_shadow_resize();
}

static DECLARE_WORK(klp_shadow_resize_work, klp_shadow_resize_fn);

static void klp_shadow_resize_irq_fn(struct irq_work *irq_work)
{
	/* With many variables this takes long: let no CPU be bound to it. */
	queue_work(system_dfl_wq, &klp_shadow_resize_work);
}

/* With PREEMPT_RT, this runs in the interrupt as well: see klp_hurry_work. */
static struct irq_work klp_shadow_resize_irq_work =
	IRQ_WORK_INIT_HARD(klp_shadow_resize_irq_fn);

/*
 * This does not call queue_work() at once: that may wake up a worker, which
 * takes locks that the patched function may hold already.
 *
 * Returns false on a CPU that goes offline and has run its irq_work for the
 * last time: see klp_hurry_transition().  The caller tries again later.
 */
bool klp_shadow_resize_later(void)
{
	guard(preempt)();
	if (!cpu_online(smp_processor_id()))
		return false;
	irq_work_queue(&klp_shadow_resize_irq_work);

	return true;
}

void klp_shadow_warn_duplicate(void *obj, unsigned long id)
{
	WARN(1, "Duplicate shadow variable <%p, %lx>\n", obj, id);
}

void klp_shadow_report_constructor(void *obj, unsigned long id, int err)
{
	pr_err("Failed to construct shadow variable <%p, %lx> (%d)\n",
	       obj, id, err);
}

/**
 * klp_shadow_get() - find a shadow variable
 * @obj:	the structure that the variable belongs to
 * @id:		the identifier of the variable
 *
 * Context: any.
 * Return: the variable's data, or NULL if there is none.
 */
void *klp_shadow_get(void *obj, unsigned long id)
{
	guard(rcu)();

	return klp_rust_shadow_find(obj, id);
}
EXPORT_SYMBOL_GPL(klp_shadow_get);

/**
 * klp_shadow_alloc() - make a shadow variable
 * @obj:	the structure that the variable belongs to
 * @id:		the identifier of the variable
 * @size:	size of its data, in bytes
 * @gfp_flags:	flags for the allocation
 * @ctor:	called to initialize the data, which is zeroed, or NULL
 * @ctor_data:	passed to @ctor
 *
 * If the variable exists already, that is a bug in the caller, and the kernel
 * warns of it.
 *
 * Context: as @gfp_flags allow.  @ctor is called under a spinlock, where it must
 * not sleep.
 * Return: the variable's data, or NULL if the variable exists already, @ctor
 * has failed, or there is no memory.
 */
void *klp_shadow_alloc(void *obj, unsigned long id,
		       size_t size, gfp_t gfp_flags,
		       klp_shadow_ctor_t ctor, void *ctor_data)
{
	return klp_rust_shadow_alloc(obj, id, size, gfp_flags, ctor, ctor_data);
}
EXPORT_SYMBOL_GPL(klp_shadow_alloc);

/**
 * klp_shadow_get_or_alloc() - find a shadow variable, or make it
 * @obj:	the structure that the variable belongs to
 * @id:		the identifier of the variable
 * @size:	size of its data, in bytes
 * @gfp_flags:	flags for the allocation
 * @ctor:	called to initialize the data, which is zeroed, or NULL
 * @ctor_data:	passed to @ctor
 *
 * If several callers come at the same time, only one variable is made, and only
 * for that one is @ctor called.
 *
 * Context: as @gfp_flags allow.  @ctor is called under a spinlock, where it must
 * not sleep.
 * Return: the variable's data, or NULL if @ctor has failed or there is no
 * memory.
 */
void *klp_shadow_get_or_alloc(void *obj, unsigned long id,
			      size_t size, gfp_t gfp_flags,
			      klp_shadow_ctor_t ctor, void *ctor_data)
{
	return klp_rust_shadow_get_or_alloc(obj, id, size, gfp_flags, ctor,
					    ctor_data);
}
EXPORT_SYMBOL_GPL(klp_shadow_get_or_alloc);

/**
 * klp_shadow_free() - remove a shadow variable
 * @obj:	the structure that the variable belongs to
 * @id:		the identifier of the variable
 * @dtor:	called with the data before it is freed, or NULL
 *
 * Context: any, but not NMI, and with PREEMPT_RT only where a task may sleep.
 * @dtor is called under a spinlock, where it must not sleep.
 */
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor)
{
	klp_rust_shadow_free(obj, id, dtor);
}
EXPORT_SYMBOL_GPL(klp_shadow_free);

/**
 * klp_shadow_free_all() - remove all shadow variables with an identifier
 * @id:		the identifier
 * @dtor:	called with the data of each before it is freed, or NULL
 *
 * Context: any, but not NMI, and with PREEMPT_RT only where a task may sleep.
 * @dtor is called under a spinlock, where it must not sleep.
 */
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	klp_rust_shadow_free_all(id, dtor);
}
EXPORT_SYMBOL_GPL(klp_shadow_free_all);
