// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shadow_table.c - shadow variables: the exported functions, and the table
 *
 * What the functions do is decided in rust/kernel/livepatch/shadow.rs.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/livepatch.h>
#include <linux/printk.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "rust.h"

static const struct rhashtable_params klp_shadow_params = {
	.head_offset		= offsetof(struct klp_shadow, node),
	.key_offset		= offsetof(struct klp_shadow, obj),
	.key_len		= offsetof(struct klp_shadow, data) -
				  offsetof(struct klp_shadow, obj),
	.automatic_shrinking	= true,
};

static struct rhashtable klp_shadow_table;

/* Excludes all who change the table or run constructors and destructors. */
static DEFINE_SPINLOCK(klp_shadow_spinlock);

struct klp_shadow_key {
	void *obj;
	unsigned long id;
};

unsigned long klp_shadow_lock(void)
	__acquires(&klp_shadow_spinlock)
{
	unsigned long flags;

	spin_lock_irqsave(&klp_shadow_spinlock, flags);

	return flags;
}

void klp_shadow_unlock(unsigned long flags)
	__releases(&klp_shadow_spinlock)
{
	spin_unlock_irqrestore(&klp_shadow_spinlock, flags);
}

void *klp_shadow_find(void *obj, unsigned long id)
{
	const struct klp_shadow_key key = { obj, id };
	struct klp_shadow *shadow;

	shadow = rhashtable_lookup_fast(&klp_shadow_table, &key,
					klp_shadow_params);

	return shadow ? shadow->data : NULL;
}

struct klp_shadow *klp_shadow_new(void *obj, unsigned long id, size_t size,
				  gfp_t gfp_flags)
{
	struct klp_shadow *shadow;

	shadow = kzalloc(size_add(size, sizeof(*shadow)), gfp_flags);
	if (shadow) {
		shadow->obj = obj;
		shadow->id = id;
	}

	return shadow;
}

int klp_shadow_insert(struct klp_shadow *shadow)
{
	return rhashtable_insert_fast(&klp_shadow_table, &shadow->node,
				      klp_shadow_params);
}

static void klp_shadow_destroy(struct klp_shadow *shadow,
			       klp_shadow_dtor_t dtor)
{
	rhashtable_remove_fast(&klp_shadow_table, &shadow->node,
			       klp_shadow_params);
	if (dtor)
		dtor(shadow->obj, shadow->data);
	kfree_rcu(shadow, rcu_head);
}

void klp_shadow_remove(void *obj, unsigned long id, klp_shadow_dtor_t dtor)
{
	void *data = klp_shadow_find(obj, id);

	if (data)
		klp_shadow_destroy(container_of(data, struct klp_shadow, data),
				   dtor);
}

void klp_shadow_remove_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	struct rhashtable_iter iter;
	struct klp_shadow *shadow;

	rhashtable_walk_enter(&klp_shadow_table, &iter);
	rhashtable_walk_start(&iter);
	while ((shadow = rhashtable_walk_next(&iter))) {
		/* -EAGAIN: the table is growing, and the walk begins again. */
		if (!IS_ERR(shadow) && shadow->id == id)
			klp_shadow_destroy(shadow, dtor);
	}
	rhashtable_walk_stop(&iter);
	rhashtable_walk_exit(&iter);
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

int __init klp_shadow_init(void)
{
	return rhashtable_init(&klp_shadow_table, &klp_shadow_params);
}

/**
 * klp_shadow_get() - find a shadow variable
 * @obj:	the structure it belongs to
 * @id:		its identifier
 *
 * Context: any, but not NMI.
 * Return: the variable's data, or NULL if there is none.
 */
void *klp_shadow_get(void *obj, unsigned long id)
{
	return klp_rust_shadow_get(obj, id);
}
EXPORT_SYMBOL_GPL(klp_shadow_get);

/**
 * klp_shadow_alloc() - make a shadow variable
 * @obj:	the structure it belongs to
 * @id:		its identifier
 * @size:	size of its data, in bytes
 * @gfp_flags:	how to allocate it
 * @ctor:	called to initialize the data, which is zeroed, or NULL
 * @ctor_data:	passed to @ctor
 *
 * That the variable exists already is a bug in the caller, and warned of.
 *
 * Context: as @gfp_flags allow.  @ctor is called under a spinlock, with
 * interrupts disabled.
 * Return: the variable's data, or NULL if the variable exists already, @ctor
 * has failed, or there is no memory.
 */
void *klp_shadow_alloc(void *obj, unsigned long id,
		       size_t size, gfp_t gfp_flags,
		       klp_shadow_ctor_t ctor, void *ctor_data)
{
	return klp_rust_shadow_alloc(obj, id, size, gfp_flags, ctor, ctor_data,
				     false);
}
EXPORT_SYMBOL_GPL(klp_shadow_alloc);

/**
 * klp_shadow_get_or_alloc() - find a shadow variable, or make it
 * @obj:	the structure it belongs to
 * @id:		its identifier
 * @size:	size of its data, in bytes
 * @gfp_flags:	how to allocate it
 * @ctor:	called to initialize the data, which is zeroed, or NULL
 * @ctor_data:	passed to @ctor
 *
 * However many callers there are at a time, one variable is made, and @ctor is
 * called for that one alone.
 *
 * Context: as @gfp_flags allow.  @ctor is called under a spinlock, with
 * interrupts disabled.
 * Return: the variable's data, or NULL if @ctor has failed or there is no
 * memory.
 */
void *klp_shadow_get_or_alloc(void *obj, unsigned long id,
			      size_t size, gfp_t gfp_flags,
			      klp_shadow_ctor_t ctor, void *ctor_data)
{
	return klp_rust_shadow_alloc(obj, id, size, gfp_flags, ctor, ctor_data,
				     true);
}
EXPORT_SYMBOL_GPL(klp_shadow_get_or_alloc);

/**
 * klp_shadow_free() - remove a shadow variable
 * @obj:	the structure it belongs to
 * @id:		its identifier
 * @dtor:	called with the data before it is freed, or NULL
 *
 * Context: any, but not NMI.  @dtor is called under a spinlock, with interrupts
 * disabled.
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
 * Context: any, but not NMI.  @dtor is called under a spinlock, with interrupts
 * disabled.
 */
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	klp_rust_shadow_free_all(id, dtor);
}
EXPORT_SYMBOL_GPL(klp_shadow_free_all);
