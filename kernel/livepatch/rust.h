/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The border between the C edge of live patching and its Rust core.
 *
 * The edge does the things that Rust cannot do: the rest of the kernel calls it
 * by name, it exports symbols, and it uses macros and inline functions.  It
 * decides nothing.  It is not in rust/helpers/, because functions in there are
 * exported to modules.
 */
#ifndef _LIVEPATCH_RUST_H
#define _LIVEPATCH_RUST_H

#include <linux/ftrace.h>
#include <linux/livepatch.h>
#include <linux/wait.h>

struct mutex;

/* Longest names plus one; enumerators, because bindgen takes no macros. */
enum {
	KLP_OBJECT_NAME_LEN = MODULE_NAME_LEN,
	KLP_FUNC_NAME_LEN = KSYM_NAME_LEN,
};

/**
 * struct klp_shadow - shadow variable
 * @next:	links; a table uses one of them, and the next table the other
 * @rcu:	used to free the variable when readers are done
 * @obj:	the structure that the variable belongs to
 * @id:		the identifier of the variable; with @obj, the key
 * @data:	the data that the livepatch keeps in the variable
 */
struct klp_shadow {
	struct klp_shadow *next[2];
	struct rcu_head rcu;
	void *obj;
	unsigned long id;
	char data[];
};

/*
 * Debuggers look these up by name.  klp_mutex protects the lists.  Writers of
 * klp_transition_patch hold it; sysfs reads the pointer without it.
 */
extern struct mutex klp_mutex;
extern struct list_head klp_patches;
extern struct klp_patch *klp_transition_patch;
extern struct list_head klp_departing_patches;

/* In Rust (hooks.rs), called from C. */
int klp_rust_enable_patch(struct klp_patch *patch);
void klp_rust_free_patch_work(struct klp_patch *patch);
int klp_rust_module_coming(struct module *mod);
void klp_rust_module_going(struct module *mod);
void *klp_rust_find_section(const struct module *mod, const char *name,
			    size_t *size);
int klp_rust_apply_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			  const char *shstrtab, const char *strtab,
			  unsigned int symndx, unsigned int secndx,
			  const char *objname);
struct klp_state *klp_rust_get_state(struct klp_patch *patch, unsigned long id);
struct klp_state *klp_rust_get_prev_state(unsigned long id);
unsigned long klp_rust_redirect(unsigned long ip, struct task_struct *task);
unsigned long klp_rust_jump_target(unsigned long ip);
void klp_rust_leave_ftrace_work(void);
void klp_rust_transition_work(void);
void klp_rust_let_go_work(void);
void klp_rust_update_patch_state(struct task_struct *task);
void klp_rust_sched_try_switch(void);
void klp_rust_copy_process(struct task_struct *child);
bool klp_rust_enabled_show(struct klp_patch *patch);
int klp_rust_enabled_store(struct klp_patch *patch, const char *buf);
bool klp_rust_transition_show(struct klp_patch *patch);
int klp_rust_force_store(struct klp_patch *patch, const char *buf);
int klp_rust_stack_order_show(struct klp_patch *patch);
void klp_rust_release_object(struct klp_object *obj);
void klp_rust_release_func(struct klp_func *func);
void *klp_rust_shadow_find(void *obj, unsigned long id);
void *klp_rust_shadow_alloc(void *obj, unsigned long id, size_t size,
			    gfp_t gfp_flags, klp_shadow_ctor_t ctor,
			    void *ctor_data);
void *klp_rust_shadow_get_or_alloc(void *obj, unsigned long id, size_t size,
				   gfp_t gfp_flags, klp_shadow_ctor_t ctor,
				   void *ctor_data);
void klp_rust_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_rust_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);
void klp_rust_shadow_resize(void);

/* In C, called from Rust (edge/). */

/* helpers.c */
void klp_init_free_work(struct klp_patch *patch);
void klp_queue_free_work(struct klp_patch *patch);
void klp_list_del(struct list_head *node);
void klp_list_add_rcu(struct list_head *node, struct list_head *head);
void klp_list_del_rcu(struct list_head *node);
void klp_clear_relocations(Elf_Shdr *sechdrs, const char *strtab,
			   unsigned int symndx, unsigned int secndx,
			   struct module *pmod);
bool klp_is_mapping_symbol(const char *name);
bool klp_module_get(struct module *mod);
void klp_module_put(struct module *mod);

/* ftrace.c */
void klp_ftrace_init(struct ftrace_ops *ops);
void klp_leave_ftrace_later(unsigned int delay_ms);

/* jump.c, or ftrace.c without CONFIG_LIVEPATCH_RUST_JUMP */
int klp_ftrace_jump(struct ftrace_ops *ops);

/* tasks.c */
void klp_visit_tasks(void (*visit)(struct task_struct *task, void *arg),
		     void *arg);
void klp_scan_tasks(void (*visit)(struct task_struct *task, void *arg),
		    void *arg);
void klp_visit_idle_tasks(void (*visit)(struct task_struct *task, bool online,
					void *arg), void *arg);
void klp_cpus_read_lock(void);
void klp_cpus_read_unlock(void);
void klp_task_set_pending(struct task_struct *task, bool pending);
bool klp_task_pending(struct task_struct *task);
bool klp_task_test_and_clear_pending(struct task_struct *task);
bool klp_reliable_stack_available(void);
int klp_call_still(struct task_struct *task, task_call_f func, void *arg);
int klp_task_stack(struct task_struct *task, unsigned long **entries);
void klp_task_wake_idle(struct task_struct *task);
void klp_task_nudge(struct task_struct *task);
void klp_set_sched_switching(bool on);
void klp_retry_transition(unsigned int delay_ms);
void klp_hurry_transition(void);
void klp_synchronize_transition(void);

/* running.c */
void klp_task_kick(struct task_struct *task);
void klp_call_in_place_of(struct task_struct *task, void (*func)(void *arg),
			  void *arg);

/* text.c */
void klp_synchronize_runnable_tasks(void);
int klp_add_callers(struct task_struct *task, unsigned long *entries, int count,
		    int max);
bool klp_task_points_into(struct task_struct *task, unsigned long start,
			  unsigned long size,
			  bool (*wanted)(unsigned long address, void *arg),
			  void *arg);
bool klp_task_hides_returns(struct task_struct *task);
int klp_user_task_restarts_in(struct task_struct *task, unsigned long start,
			      unsigned long size);
void klp_let_go_later(unsigned int delay_ms);

/* kunit_target.c, for tests */
int klp_kunit_target(int value);
int klp_kunit_other_target(int value);
unsigned int klp_kunit_stack_in_handler(unsigned long *entries,
					unsigned int size);

/* sysfs.c */
int klp_sysfs_init(void);
bool klp_sysfs_ready(void);
void klp_kobj_init_patch(struct klp_patch *patch);
void klp_kobj_init_object(struct klp_object *obj);
void klp_kobj_init_func(struct klp_func *func);
int klp_kobj_add_patch(struct klp_patch *patch);
int klp_kobj_add_object(struct klp_object *obj, struct klp_patch *patch);
int klp_kobj_add_func(struct klp_func *func, struct klp_object *obj);
void klp_kobj_put_patch(struct klp_patch *patch);
void klp_kobj_put_object(struct klp_object *obj);
void klp_kobj_put_func(struct klp_func *func);
void klp_notify_enabled(struct klp_patch *patch);
void klp_notify_transition(struct klp_patch *patch);
void klp_notify_patched(struct klp_object *obj);
void klp_send_uevent(struct klp_patch *patch, const char *transition,
		     bool patching);

/* messages.c */
enum klp_event {
	KLP_ENABLING,
	KLP_ENABLE_FAILED,
	KLP_PRE_PATCH_FAILED,
	KLP_PATCH_FAILED,
	KLP_RESOLVE_FAILED,
	KLP_APPLYING,
	KLP_APPLY_FAILED,
	KLP_REFUSING,
	KLP_REVERTING,
	KLP_INITIALIZING,
	KLP_STARTING,
	KLP_REVERSING,
	KLP_CANCELING,
	KLP_SIGNALING,
	KLP_FORCING,
	KLP_COMPLETING,
	KLP_COMPLETE,
};

void klp_log(enum klp_event event, const char *patch, const char *object,
	     int err, bool patching);
void klp_try_switch_task(const struct task_struct *task, int err,
			 const char *func);

/* shadow_table.c */
unsigned long klp_shadow_lock(void);
void klp_shadow_unlock(unsigned long flags);
struct klp_shadow *klp_shadow_new(size_t size, gfp_t gfp_flags);
bool klp_shadow_resize_later(void);
void klp_shadow_warn_duplicate(void *obj, unsigned long id);
void klp_shadow_report_constructor(void *obj, unsigned long id, int err);

#endif /* _LIVEPATCH_RUST_H */
