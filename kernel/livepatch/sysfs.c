// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysfs.c - the files under /sys/kernel/livepatch, and the kobjects they are in
 *
 * /sys/kernel/livepatch/<patch>/enabled
 * /sys/kernel/livepatch/<patch>/force
 * /sys/kernel/livepatch/<patch>/replace
 * /sys/kernel/livepatch/<patch>/stack_order
 * /sys/kernel/livepatch/<patch>/transition
 * /sys/kernel/livepatch/<patch>/<object>/patched
 * /sys/kernel/livepatch/<patch>/<object>/<function,position>/
 *
 * sysfs.rs reads and writes the values.  The rules in model/ decide when pollers
 * are woken up.
 *
 * The attributes and kobjects are derived from core.c:
 * Copyright (C) 2014 Seth Jennings <sjenning@redhat.com>
 * Copyright (C) 2014 SUSE
 */

#include <linux/completion.h>
#include <linux/kobject.h>
#include <linux/livepatch.h>
#include <linux/sysfs.h>
#include "rust.h"

/* A kset, because uevents are only sent for kobjects in a kset. */
static struct kset *klp_kset;

static struct klp_patch *to_patch(struct kobject *kobj)
{
	return container_of(kobj, struct klp_patch, kobj);
}

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", klp_rust_enabled_show(to_patch(kobj)));
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	int ret = klp_rust_enabled_store(to_patch(kobj), buf);

	return ret ?: count;
}

static ssize_t transition_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", klp_rust_transition_show(to_patch(kobj)));
}

static ssize_t force_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	int ret = klp_rust_force_store(to_patch(kobj), buf);

	return ret ?: count;
}

static ssize_t replace_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", to_patch(kobj)->replace);
}

static ssize_t stack_order_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", klp_rust_stack_order_show(to_patch(kobj)));
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);
static struct kobj_attribute transition_attr = __ATTR_RO(transition);
static struct kobj_attribute force_attr = __ATTR_WO(force);
static struct kobj_attribute replace_attr = __ATTR_RO(replace);
static struct kobj_attribute stack_order_attr = __ATTR_RO(stack_order);

static struct attribute *klp_patch_attrs[] = {
	&enabled_attr.attr,
	&transition_attr.attr,
	&force_attr.attr,
	&replace_attr.attr,
	&stack_order_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(klp_patch);

static ssize_t patched_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct klp_object *obj = container_of(kobj, struct klp_object, kobj);

	return sysfs_emit(buf, "%d\n", READ_ONCE(obj->patched));
}

static struct kobj_attribute patched_attr = __ATTR_RO(patched);

static struct attribute *klp_object_attrs[] = {
	&patched_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(klp_object);

/* The patch is in its module, which may go once this has completed. */
static void klp_release_patch(struct kobject *kobj)
{
	complete(&to_patch(kobj)->finish);
}

static void klp_release_object(struct kobject *kobj)
{
	klp_rust_release_object(container_of(kobj, struct klp_object, kobj));
}

static void klp_release_func(struct kobject *kobj)
{
	klp_rust_release_func(container_of(kobj, struct klp_func, kobj));
}

static const struct kobj_type klp_patch_ktype = {
	.release	= klp_release_patch,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= klp_patch_groups,
};

static const struct kobj_type klp_object_ktype = {
	.release	= klp_release_object,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= klp_object_groups,
};

static const struct kobj_type klp_func_ktype = {
	.release	= klp_release_func,
	.sysfs_ops	= &kobj_sysfs_ops,
};

void klp_kobj_init_patch(struct klp_patch *patch)
{
	kobject_init(&patch->kobj, &klp_patch_ktype);
	init_completion(&patch->finish);
}

void klp_kobj_init_object(struct klp_object *obj)
{
	kobject_init(&obj->kobj, &klp_object_ktype);
}

void klp_kobj_init_func(struct klp_func *func)
{
	kobject_init(&func->kobj, &klp_func_ktype);
}

int klp_kobj_add_patch(struct klp_patch *patch)
{
	/* Only kobject_add() takes the reference, and a failing one drops it. */
	patch->kobj.kset = klp_kset;

	return kobject_add(&patch->kobj, &klp_kset->kobj, "%s",
			   patch->mod->name);
}

int klp_kobj_add_object(struct klp_object *obj, struct klp_patch *patch)
{
	return kobject_add(&obj->kobj, &patch->kobj, "%s",
			   obj->name ?: "vmlinux");
}

int klp_kobj_add_func(struct klp_func *func, struct klp_object *obj)
{
	/* A position of 0 stands for a unique symbol, which is the first. */
	return kobject_add(&func->kobj, &obj->kobj, "%s,%lu", func->old_name,
			   func->old_sympos ?: 1);
}

/* Returns when the patch's files have no more users.  May sleep. */
void klp_kobj_put_patch(struct klp_patch *patch)
{
	kobject_put(&patch->kobj);
	wait_for_completion(&patch->finish);
}

void klp_kobj_put_object(struct klp_object *obj)
{
	kobject_put(&obj->kobj);
}

void klp_kobj_put_func(struct klp_func *func)
{
	kobject_put(&func->kobj);
}

/*
 * Wake up the pollers of a file, after its value has changed.  A kobject that
 * is not in sysfs yet, or not any more, has no pollers.
 */
void klp_notify_enabled(struct klp_patch *patch)
{
	sysfs_notify(&patch->kobj, NULL, enabled_attr.attr.name);
}

void klp_notify_transition(struct klp_patch *patch)
{
	sysfs_notify(&patch->kobj, NULL, transition_attr.attr.name);
}

void klp_notify_patched(struct klp_object *obj)
{
	sysfs_notify(&obj->kobj, NULL, patched_attr.attr.name);
}

/*
 * Sends a uevent about a patch that is in sysfs.  @transition is "TRANSITION="
 * and the stage of the patch's transition.  The patch has sent no "add", so the
 * driver core sends no "remove" when the patch goes.
 */
void klp_send_uevent(struct klp_patch *patch, const char *transition,
		     bool patching)
{
	char name[sizeof("PATCH=") + MODULE_NAME_LEN];
	char *envp[4];

	snprintf(name, sizeof(name), "PATCH=%s", patch->mod->name);
	envp[0] = name;
	envp[1] = (char *)transition; /* is only read */
	envp[2] = patching ? "DIRECTION=patching" : "DIRECTION=unpatching";
	envp[3] = NULL;
	kobject_uevent_env(&patch->kobj, KOBJ_CHANGE, envp);
}

bool klp_sysfs_ready(void)
{
	return klp_kset;
}

int __init klp_sysfs_init(void)
{
	klp_kset = kset_create_and_add("livepatch", NULL, kernel_kobj);

	return klp_kset ? 0 : -ENOMEM;
}
