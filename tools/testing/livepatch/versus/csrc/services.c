// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's services for the C core of live patching, with one thread. */

#include "driver_internal.h"

struct task_struct machine_tasks[MACHINE_TASKS];
struct task_struct machine_idle[MACHINE_CPUS];
bool machine_online[MACHINE_CPUS];
struct task_struct *current;
struct kobject *kernel_kobj;
const struct sysfs_ops kobj_sysfs_ops;
int tasklist_lock;

struct module machine_modules[DRIVER_MODULES];
static LIST_HEAD(queue);
static struct delayed_work *delayed;
static unsigned int warnings;
static int failing = -1;
static struct ftrace_ops *handlers[DRIVER_FUNCTIONS];
static unsigned int kobjects;

/* ---- the log, and warnings */

void machine_log(const char *level, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	text[strcspn(text, "\n")] = '\0';
	driver_note("%s: %s", level, text);
}

bool machine_warn(bool condition, const char *file, int line)
{
	if (condition) {
		warnings++;
		driver_note("warning %s:%d", strrchr(file, '/') + 1, line);
	}
	return condition;
}

unsigned int driver_warnings(void)
{
	unsigned int count = warnings;

	warnings = 0;
	return count;
}

/* ---- locks */

void mutex_lock(struct mutex *mutex)
{
	WARN_ON(mutex->held);
	mutex->held = true;
}

void mutex_unlock(struct mutex *mutex)
{
	WARN_ON(!mutex->held);
	mutex->held = false;
}

/* ---- operations that can fail */

bool machine_fails(void)
{
	if (failing < 0)
		return false;
	return failing-- == 0;
}

void driver_set_failing(int after)
{
	failing = after;
}

int driver_failing(void)
{
	return failing;
}

/*
 * The header of an allocation.  Freed memory is poisoned, and stays until the
 * next reset, so that the machine notices when it is used or freed again.  The
 * memory in front of an allocation has the address of a function that is on all
 * stacks, so that it matters if the core takes that for one of a func.
 */
struct allocation {
	struct allocation *next;
	size_t size;
	bool freed;
	unsigned long in_front[16];
} __aligned(16);

static struct allocation *freed, *freed_later;
static unsigned int allocations;

void *machine_alloc(size_t size)
{
	struct allocation *new = machine_fails() ? NULL : calloc(1, sizeof(*new) + size);
	unsigned int i;

	if (!new)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(new->in_front); i++)
		new->in_front[i] = DRIVER_ENTRY;
	new->size = size;
	allocations++;
	return new + 1;
}

void machine_free(const void *pointer)
{
	struct allocation *old = (struct allocation *)pointer - 1;

	if (!pointer || WARN_ON(old->freed))
		return;
	memset(old + 1, 0x6b, old->size);
	old->freed = true;
	old->next = freed;
	freed = old;
	allocations--;
}

void machine_free_later(const void *pointer)
{
	struct allocation *old = (struct allocation *)pointer - 1;

	old->next = freed_later;
	freed_later = old;
}

void machine_reset_memory(void)
{
	struct allocation *old;

	allocations = 0;
	kobjects = 0;
	while ((old = freed)) {
		freed = old->next;
		free(old);
	}
}

unsigned int driver_allocations(void)
{
	return allocations;
}

char *machine_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = machine_alloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* ---- work */

void schedule_work(struct work_struct *work)
{
	if (work->queued)
		return;
	work->queued = true;
	list_add_tail(&work->node, &queue);
}

void schedule_delayed_work(struct delayed_work *work, unsigned long delay)
{
	(void)delay;
	delayed = work;
}

int schedule_on_each_cpu(void (*function)(struct work_struct *work))
{
	function(NULL);
	return 0;
}

void driver_work(void)
{
	struct allocation *old;
	struct work_struct *work;

	while ((old = freed_later)) {
		freed_later = old->next;
		machine_free(old + 1);
	}
	while (!list_empty(&queue)) {
		work = list_first_entry(&queue, struct work_struct, node);
		list_del(&work->node);
		work->queued = false;
		work->func(work);
	}
}

bool driver_arranged(void)
{
	return delayed;
}

void driver_second(void)
{
	struct delayed_work *work = delayed;

	delayed = NULL;
	if (work)
		work->work.func(&work->work);
	driver_work();
}

void wait_for_completion(struct completion *completion)
{
	/* There is no other thread that could complete it. */
	WARN_ON(!completion->done);
}

/* ---- kobjects */

struct kobject *kobject_create_and_add(const char *name, struct kobject *parent)
{
	struct kobject *kobj = calloc(1, sizeof(*kobj));

	(void)name;
	if (!kobj)
		return NULL;
	kobj->parent = parent;
	kobj->references = 1;
	return kobj;
}

void kobject_init(struct kobject *kobj, const struct kobj_type *type)
{
	*kobj = (struct kobject) { .ktype = type, .references = 1 };
	kobjects++;
}

int kobject_add(struct kobject *kobj, struct kobject *parent, const char *format, ...)
{
	(void)format;
	if (machine_fails())
		return -ENOMEM;
	kobj->parent = parent;
	kobj->added = true;
	parent->references++;
	return 0;
}

void kobject_put(struct kobject *kobj)
{
	struct kobject *parent = kobj->added ? kobj->parent : NULL;

	WARN_ON(kobj->references <= 0);
	if (--kobj->references)
		return;
	kobjects--;
	driver_released(kobj);
	kobj->ktype->release(kobj);
	if (parent)
		kobject_put(parent);
}

unsigned int driver_kobjects(void)
{
	return kobjects;
}

int sysfs_emit(char *buffer, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, 4096, format, arguments);
	va_end(arguments);
	return length;
}

int kstrtobool(const char *text, bool *result)
{
	if (*text != '0' && *text != '1')
		return -EINVAL;
	*result = *text == '1';
	return 0;
}

/* ---- modules and their symbols */

struct module *find_module(const char *name)
{
	unsigned int i;

	for (i = 1; i < DRIVER_MODULES; i++) {
		if (machine_modules[i].loaded && !strcmp(machine_modules[i].name, name))
			return &machine_modules[i];
	}
	return NULL;
}

bool try_module_get(struct module *module)
{
	module->references++;
	return true;
}

void module_put(struct module *module)
{
	WARN_ON(--module->references < 0);
	driver_note("put %s", module->name);
}

static int each_symbol(unsigned int module, int (*by_name)(void *, const char *, unsigned long),
		       int (*by_address)(void *, unsigned long), const char *wanted, void *data)
{
	unsigned int i;
	char name[16];
	int stop = 0;

	for (i = 0; i < DRIVER_FUNCTIONS && !stop; i++) {
		if (driver_home(i) != module)
			continue;
		snprintf(name, sizeof(name), "function_%u", i);
		if (by_name)
			stop = by_name(data, name, driver_original(i));
		else if (!strcmp(name, wanted))
			stop = by_address(data, driver_original(i));
	}
	return stop;
}

int module_kallsyms_on_each_symbol(const char *module,
				   int (*function)(void *, const char *, unsigned long), void *data)
{
	struct module *found = find_module(module);

	return found ? each_symbol(found->number, function, NULL, NULL, data) : 0;
}

int kallsyms_on_each_match_symbol(int (*function)(void *, unsigned long), const char *name,
				  void *data)
{
	return each_symbol(0, NULL, function, name, data);
}

int kallsyms_lookup_size_offset(unsigned long address, unsigned long *size,
				unsigned long *offset)
{
	(void)address;
	(void)offset;
	*size = DRIVER_FUNCTION_SIZE;
	return 1;
}

int apply_relocate_add(Elf_Shdr *sechdrs, const char *strtab, unsigned int symndx,
		       unsigned int section, struct module *module)
{
	(void)sechdrs, (void)strtab, (void)symndx, (void)section, (void)module;
	return 0;
}

/* ---- ftrace */

int ftrace_set_filter_ip(struct ftrace_ops *ops, unsigned long ip, int remove, int reset)
{
	(void)reset;
	if (!remove && machine_fails())
		return -ENOMEM;
	ops->location = remove ? 0 : ip;
	return 0;
}

int register_ftrace_function(struct ftrace_ops *ops)
{
	struct ftrace_ops **handler = &handlers[driver_function_at(ops->location)];

	if (machine_fails())
		return -ENOMEM;
	if (*handler)
		return -EBUSY;
	*handler = ops;
	ops->registered = true;
	return 0;
}

int unregister_ftrace_function(struct ftrace_ops *ops)
{
	struct ftrace_ops **handler = &handlers[driver_function_at(ops->location)];

	if (*handler != ops)
		return -EBUSY;
	*handler = NULL;
	ops->registered = false;
	return 0;
}

struct ftrace_ops *machine_handler(unsigned int function)
{
	return handlers[function];
}

/* ---- tasks */

int task_call_func(struct task_struct *task, task_call_f function, void *arg)
{
	return function(task, arg);
}

int stack_trace_save_tsk_reliable(struct task_struct *task, unsigned long *entries,
				  unsigned int size)
{
	unsigned int i;

	if (task->unreliable)
		return -EINVAL;
	for (i = 0; i < task->depth && i < size - 1; i++)
		entries[i] = task->stack[i] + 1;
	entries[i] = DRIVER_ENTRY + 1;
	return i + 1;
}

void wake_up_state(struct task_struct *task, unsigned int state)
{
	(void)state;
	task->nudges++;
}

void set_notify_signal(struct task_struct *task)
{
	task->nudges++;
}

void wake_up_if_idle(int cpu)
{
	(void)cpu;
}
