/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the kernel that the C core of live patching uses, for one
 * thread.  All headers that the core includes lead to this file, except those
 * of live patching itself, linux/errno.h, linux/kernel.h, linux/list.h and
 * linux/types.h.
 *
 * services.c defines the functions.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <errno.h>
#include <elf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/list.h>

#undef KBUILD_MODNAME
#define KBUILD_MODNAME "livepatch"
#define CONFIG_LIVEPATCH 1
#define CONFIG_STACKTRACE 1
#define CONFIG_HAVE_RELIABLE_STACKTRACE 1
#define CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS 1
#undef IS_ENABLED
#define IS_ENABLED(option) option

/* ---- the compiler, and memory order, which one thread does not need */

#undef notrace
#define notrace
#define __init
#define __initdata
#undef smp_mb
#undef smp_rmb
#undef smp_wmb
#undef smp_load_acquire
#undef smp_store_release
#define smp_load_acquire(pointer) (*(pointer))
#define smp_store_release(pointer, value) (*(pointer) = (value))
#define smp_mb() do { } while (0)
#define smp_rmb() do { } while (0)
#define smp_wmb() do { } while (0)
#define lockdep_assert_preemption_disabled() do { } while (0)
#define lockdep_assert_held(lock) ((void)(lock))
#define lockdep_is_held(lock) true
#define preempt_disable_notrace() do { } while (0)
#define preempt_enable_notrace() do { } while (0)
#define cpus_read_lock() do { } while (0)
#define cpus_read_unlock() do { } while (0)
#define EXPORT_SYMBOL_GPL(symbol) extern int machine_has_no_exports
#define module_init(function) int machine_init(void) { return function(); }
#define DEFINE_PER_CPU(type, name) __typeof__(type) name
#define this_cpu_ptr(pointer) (pointer)
#define guard(what) machine_guard_ ## what
static inline void machine_guard_rcu(void) { }
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
#define kfree_rcu(pointer, head) machine_free_later(pointer)

/* ---- numbers and flags */

#define ENOTSUPP 524
#define HZ 1000
#define MODULE_NAME_LEN 56
#define KSYM_NAME_LEN 512
#define KSYM_SYMBOL_LEN (KSYM_NAME_LEN + MODULE_NAME_LEN)
#define SHF_RELA_LIVEPATCH 0x00100000
#define SHN_LIVEPATCH 0xff20
#define GFP_KERNEL 0
#define __GFP_ZERO 1
#define TASK_INTERRUPTIBLE 1
#define TASK_FREEZABLE 2
#define PF_KTHREAD 1
#define TAINT_LIVEPATCH 15
#define LOCKDEP_STILL_OK 1
#define FTRACE_OPS_FL_DYNAMIC 1
#define FTRACE_OPS_FL_IPMODIFY 2
#define FTRACE_OPS_FL_PERMANENT 4

typedef Elf64_Ehdr Elf_Ehdr;
typedef Elf64_Shdr Elf_Shdr;
typedef Elf64_Sym Elf_Sym;
typedef Elf64_Rela Elf_Rela;
#define ELF_R_SYM(info) ELF64_R_SYM(info)

/* ---- the log */

#define WARN_ON(condition) machine_warn(!!(condition), __FILE__, __LINE__)
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN(condition, format, ...) \
	((condition) ? (machine_log("warning", format, ##__VA_ARGS__), true) : false)
bool machine_warn(bool condition, const char *file, int line);
void machine_log(const char *level, const char *format, ...);
#define pr_err(format, ...) machine_log("err", pr_fmt(format), ##__VA_ARGS__)
#define pr_warn(format, ...) machine_log("warn", pr_fmt(format), ##__VA_ARGS__)
#define pr_warn_once(format, ...) pr_warn(format, ##__VA_ARGS__)
#define pr_notice(format, ...) machine_log("notice", pr_fmt(format), ##__VA_ARGS__)
#define pr_debug(format, ...) machine_log("debug", pr_fmt(format), ##__VA_ARGS__)

/* ---- locks */

struct mutex { bool held; };
#define DEFINE_MUTEX(name) struct mutex name
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
typedef struct { int unused; } spinlock_t;
#define DEFINE_SPINLOCK(name) spinlock_t name
#define spin_lock_irqsave(lock, flags) ((void)(lock), (void)((flags) = 0))
#define spin_unlock_irqrestore(lock, flags) ((void)(lock), (void)(flags))
extern int tasklist_lock;
#define read_lock(lock) ((void)(lock))
#define read_unlock(lock) ((void)(lock))

/* ---- memory: the machine counts it, and can let allocations fail */

void *machine_alloc(size_t size);
void machine_free(const void *pointer);
/* Readers may use the memory until the operation is over. */
void machine_free_later(const void *pointer);
#define kzalloc(size, flags) machine_alloc(size)
#define kmalloc(size, flags) machine_alloc(size)
#define kzalloc_obj(object, ...) machine_alloc(sizeof(object))
#define kzalloc_objs(object, count, ...) machine_alloc(sizeof(object) * (count))
#undef kfree
#define kfree(pointer) machine_free(pointer)
#define kstrdup(text, flags) machine_strdup(text)
char *machine_strdup(const char *text);

/* ---- work */

struct work_struct {
	void (*func)(struct work_struct *work);
	bool queued;
	struct list_head node;
};
struct delayed_work { struct work_struct work; };
#define DECLARE_DELAYED_WORK(name, function) \
	struct delayed_work name = { .work = { .func = function } }
#define INIT_WORK(item, function) ((item)->func = (function), (item)->queued = false)
void schedule_work(struct work_struct *work);
void schedule_delayed_work(struct delayed_work *work, unsigned long delay);
int schedule_on_each_cpu(void (*function)(struct work_struct *work));
#define round_jiffies_relative(jiffies) (jiffies)

struct completion { bool done; };
#define init_completion(completion) ((completion)->done = false)
#define complete(completion) ((completion)->done = true)
void wait_for_completion(struct completion *completion);

/* ---- lists that readers walk */

#define list_add_rcu(new, head) list_add(new, head)
#define list_del_rcu(entry) list_del(entry)
#define list_for_each_entry_rcu(object, head, member, condition) \
	list_for_each_entry(object, head, member)
#define list_entry_rcu(pointer, type, member) list_entry(pointer, type, member)
#define list_first_or_null_rcu(head, type, member) \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_next_or_null_rcu(head, pointer, type, member) \
	((pointer)->next == (head) ? NULL : list_entry((pointer)->next, type, member))
struct rcu_head { int unused; };
#define DEFINE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define hash_add_rcu(table, node, key) \
	hlist_add_head(node, &table[machine_hash(key, ARRAY_SIZE(table))])
#define hash_del_rcu(node) machine_hlist_del(node)
#define hash_for_each_possible_rcu(table, object, member, key) \
	hlist_for_each_entry(object, &table[machine_hash(key, ARRAY_SIZE(table))], member)
#define hash_for_each_possible(table, object, member, key) \
	hash_for_each_possible_rcu(table, object, member, key)
#define hash_for_each(table, bucket, object, member) \
	for ((bucket) = 0; (bucket) < (int)ARRAY_SIZE(table); (bucket)++) \
		hlist_for_each_entry(object, &table[bucket], member)
#define hash_for_each_safe(table, bucket, next, object, member) \
	for ((bucket) = 0; (bucket) < (int)ARRAY_SIZE(table); (bucket)++) \
		hlist_for_each_entry_safe(object, next, &table[bucket], member)
/* Leaves the link to the next node, which readers follow. */
static inline void machine_hlist_del(struct hlist_node *node)
{
	struct hlist_node *next = node->next;

	hlist_del_init(node);
	node->next = next;
}
static inline size_t machine_hash(unsigned long key, size_t size)
{
	return (key >> 4) % size;
}

/* ---- kobjects */

struct attribute { const char *name; };
struct attribute_group { struct attribute **attrs; };
struct kobject {
	const struct kobj_type *ktype;
	struct kobject *parent;
	int references;
	bool added;
};
struct sysfs_ops { int unused; };
struct kobj_type {
	void (*release)(struct kobject *kobj);
	const struct sysfs_ops *sysfs_ops;
	const struct attribute_group **default_groups;
};
struct kobj_attribute {
	struct attribute attr;
	ssize_t (*show)(struct kobject *kobj, struct kobj_attribute *attr, char *buffer);
	ssize_t (*store)(struct kobject *kobj, struct kobj_attribute *attr, const char *buffer,
			 size_t count);
};
#define __ATTR_RW(file) { .attr = { #file }, .show = file ## _show, .store = file ## _store }
#define __ATTR_RO(file) { .attr = { #file }, .show = file ## _show }
#define __ATTR_WO(file) { .attr = { #file }, .store = file ## _store }
#define __ATTR(file, mode, reader, writer) \
	{ .attr = { #file }, .show = reader, .store = writer }
#define ATTRIBUTE_GROUPS(name) \
	static const struct attribute_group name ## _group = { .attrs = name ## _attrs }; \
	static const struct attribute_group *name ## _groups[] = { &name ## _group, NULL }
extern const struct sysfs_ops kobj_sysfs_ops;
extern struct kobject *kernel_kobj;
struct kobject *kobject_create_and_add(const char *name, struct kobject *parent);
void kobject_init(struct kobject *kobj, const struct kobj_type *type);
int kobject_add(struct kobject *kobj, struct kobject *parent, const char *format, ...);
void kobject_put(struct kobject *kobj);
int sysfs_emit(char *buffer, const char *format, ...);
int kstrtobool(const char *text, bool *result);

/* ---- modules and their symbols */

enum module_state { MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING };
struct klp_modinfo {
	Elf_Ehdr hdr;
	Elf_Shdr *sechdrs;
	char *secstrings;
	unsigned int symndx;
};
struct mod_kallsyms { char *strtab; };
struct module {
	char name[MODULE_NAME_LEN];
	enum module_state state;
	bool klp, klp_alive;
	struct klp_modinfo *klp_info;
	struct mod_kallsyms *kallsyms;
	struct mod_kallsyms core_kallsyms;
	int references;
	int number;
	bool loaded;
};
#define is_livepatch_module(module) ((module)->klp)
struct module *find_module(const char *name);
bool try_module_get(struct module *module);
void module_put(struct module *module);
/* The C core with its fixes asks.  Modules have no init functions here. */
static inline bool within_module_core(unsigned long address, const struct module *module)
{
	return true;
}
int module_kallsyms_on_each_symbol(const char *module,
				   int (*function)(void *, const char *, unsigned long),
				   void *data);
int kallsyms_on_each_match_symbol(int (*function)(void *, unsigned long), const char *name,
				  void *data);
int kallsyms_lookup_size_offset(unsigned long address, unsigned long *size,
				unsigned long *offset);
int apply_relocate_add(Elf_Shdr *sechdrs, const char *strtab, unsigned int symndx,
		       unsigned int section, struct module *module);
void clear_relocate_add(Elf_Shdr *sechdrs, const char *strtab, unsigned int symndx,
			unsigned int section, struct module *module);

/* ---- ftrace */

struct ftrace_regs { unsigned long ip; };
struct ftrace_ops {
	void (*func)(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		     struct ftrace_regs *regs);
	unsigned long flags;
	unsigned long location;
	bool registered;
};
#define ftrace_test_recursion_trylock(ip, parent) 0
#define ftrace_test_recursion_unlock(bit) ((void)(bit))
#define ftrace_regs_set_instruction_pointer(regs, address) ((regs)->ip = (address))
#define ftrace_location(address) (address)
int ftrace_set_filter_ip(struct ftrace_ops *ops, unsigned long ip, int remove, int reset);
int register_ftrace_function(struct ftrace_ops *ops);
int unregister_ftrace_function(struct ftrace_ops *ops);

/* ---- tasks */

struct task_struct {
	bool exists, pending;
	int patch_state;
	unsigned int __state, flags;
	int pid, cpu;
	char comm[16];
	/* Whether it runs, and whether its stack is unreliable. */
	bool running, unreliable;
	/* How often it was woken up or signaled. */
	unsigned int nudges;
	unsigned int depth;
	unsigned long stack[100];
};
#define MACHINE_TASKS 256
#define MACHINE_CPUS 4
extern struct task_struct machine_tasks[MACHINE_TASKS];
extern struct task_struct machine_idle[MACHINE_CPUS];
extern bool machine_online[MACHINE_CPUS];
extern struct task_struct *current;
#define TIF_PATCH_PENDING 0
#define test_tsk_thread_flag(task, flag) ((task)->pending)
#define set_tsk_thread_flag(task, flag) ((task)->pending = true)
#define clear_tsk_thread_flag(task, flag) ((task)->pending = false)
static inline bool test_and_clear_tsk_thread_flag(struct task_struct *task, int flag)
{
	bool pending = task->pending;

	task->pending = false;
	return pending;
}
/* Every task is a process of one thread. */
#define for_each_process_thread(process, task) \
	for ((process) = (task) = machine_tasks; (task) < machine_tasks + MACHINE_TASKS; (task)++) \
		if (!(task)->exists) ; else
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < MACHINE_CPUS; (cpu)++)
#define idle_task(cpu) (&machine_idle[cpu])
#define cpu_online(cpu) machine_online[cpu]
#define task_curr(task) ((task)->running)
/* Fixes ask for these.  No task is preempted, and none injects idle time. */
#define task_is_runnable(task) ((task)->running)
#define is_idle_task(task) false
typedef int (*task_call_f)(struct task_struct *task, void *arg);
int task_call_func(struct task_struct *task, task_call_f function, void *arg);
int stack_trace_save_tsk_reliable(struct task_struct *task, unsigned long *entries,
				  unsigned int size);
void wake_up_state(struct task_struct *task, unsigned int state);
void wake_up_if_idle(int cpu);
void set_notify_signal(struct task_struct *task);
#define add_taint(flag, lockdep) do { } while (0)

/* ---- code that changes */

struct static_key_false { bool on; };
#define DECLARE_STATIC_KEY_FALSE(name) extern struct static_key_false name
#define DEFINE_STATIC_KEY_FALSE(name) struct static_key_false name
#define static_branch_unlikely(key) ((key)->on)
#define static_branch_enable(key) ((key)->on = true)
#define static_branch_disable(key) ((key)->on = false)

#endif
