// SPDX-License-Identifier: GPL-2.0-only
/* The operations of histories, done on the C core of live patching. */

#include "driver_internal.h"
#include "core.h"
#include "patch.h"
#include "transition.h"

int machine_init(void);

static struct slot {
	struct module module;
	struct klp_modinfo info;
	struct klp_patch patch;
	struct klp_object objects[DRIVER_MODULES + 1];
	struct klp_func funcs[DRIVER_MODULES][DRIVER_FUNCTIONS_EACH + 1];
	char names[DRIVER_FUNCTIONS][16];
} slots[DRIVER_PATCHES];

static char journal[65536];
static size_t written;
static int unwilling = -1;

void driver_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	written += vsnprintf(journal + written, sizeof(journal) - written, format, arguments);
	va_end(arguments);
	/* The lines of one operation need a small part of the journal. */
	if (written + 2 > sizeof(journal))
		abort();
	journal[written++] = '\n';
}

const char *driver_journal(void)
{
	journal[written] = '\0';
	written = 0;
	return journal;
}

/* ---- patches */

static unsigned int slot_of(struct klp_patch *patch)
{
	return container_of(patch, struct slot, patch) - slots;
}

static void note_callback(const char *what, struct klp_object *object)
{
	unsigned int i;

	for (i = 0; i < DRIVER_PATCHES; i++) {
		if (object >= slots[i].objects && object < slots[i].objects + DRIVER_MODULES)
			driver_note("%s %u %s", what, i, object->name ?: "vmlinux");
	}
}

static int pre_patch(struct klp_object *object)
{
	unsigned int module = object->name ? object->mod->number : 0;

	note_callback("pre_patch", object);
	return unwilling == (int)module ? -EIO : 0;
}

static void post_patch(struct klp_object *object)
{
	note_callback("post_patch", object);
}

static void pre_unpatch(struct klp_object *object)
{
	note_callback("pre_unpatch", object);
}

static void post_unpatch(struct klp_object *object)
{
	note_callback("post_unpatch", object);
}

void driver_describe(unsigned int patch, bool replaces, unsigned int modules,
		     unsigned long functions)
{
	struct slot *slot = &slots[patch];
	struct klp_object *object = slot->objects;
	unsigned int module, function;
	struct klp_func *func;

	memset(slot, 0, sizeof(*slot));
	snprintf(slot->module.name, sizeof(slot->module.name), "patch_%u", patch);
	slot->module.klp = true;
	slot->module.klp_info = &slot->info;
	slot->patch.mod = &slot->module;
	slot->patch.objs = slot->objects;
	slot->patch.replace = replaces;
	for (module = 0; module < DRIVER_MODULES; module++) {
		if (!(modules & 1U << module))
			continue;
		func = slot->funcs[module];
		object->name = module ? machine_modules[module].name : NULL;
		object->funcs = func;
		object->callbacks = (struct klp_callbacks) {
			.pre_patch = pre_patch,
			.post_patch = post_patch,
			.pre_unpatch = pre_unpatch,
			.post_unpatch = post_unpatch,
		};
		object++;
		for (function = 0; function < DRIVER_FUNCTIONS; function++) {
			if (driver_home(function) != module || !(functions & 1UL << function))
				continue;
			snprintf(slot->names[function], sizeof(slot->names[function]),
				 "function_%u", function);
			func->old_name = slot->names[function];
			func->new_func = (void *)driver_replacement(patch, function);
			func++;
		}
	}
}

int driver_enable(unsigned int patch)
{
	return klp_enable_patch(&slots[patch].patch);
}

static int write_file(unsigned int patch, const char *name, const char *text)
{
	struct kobject *kobj = &slots[patch].patch.kobj;
	struct attribute **attr = kobj->ktype->default_groups[0]->attrs;
	struct kobj_attribute *file;
	ssize_t stored;

	while (strcmp((*attr)->name, name))
		attr++;
	file = container_of(*attr, struct kobj_attribute, attr);
	stored = file->store(kobj, file, text, strlen(text));
	return stored < 0 ? stored : 0;
}

int driver_write_enabled(unsigned int patch, bool enabled)
{
	return write_file(patch, "enabled", enabled ? "1" : "0");
}

int driver_write_force(unsigned int patch)
{
	return write_file(patch, "force", "1");
}

int driver_patch_at(unsigned int place)
{
	struct klp_patch *patch;

	klp_for_each_patch(patch) {
		if (!place--)
			return slot_of(patch);
	}
	return -1;
}

int driver_transition_patch(void)
{
	return klp_transition_patch ? (int)slot_of(klp_transition_patch) : -1;
}

bool driver_enabled(unsigned int patch)
{
	return slots[patch].patch.enabled;
}

bool driver_forced(unsigned int patch)
{
	return slots[patch].patch.forced;
}

void driver_set_unwilling(int module)
{
	unwilling = module;
}

/* ---- modules */

int driver_module_coming(unsigned int module)
{
	struct module *mod = &machine_modules[module];
	int err;

	mod->loaded = true;
	mod->state = MODULE_STATE_COMING;
	err = klp_module_coming(mod);
	if (err)
		mod->loaded = false;
	else
		mod->state = MODULE_STATE_LIVE;
	return err;
}

void driver_module_going(unsigned int module)
{
	struct module *mod = &machine_modules[module];

	mod->state = MODULE_STATE_GOING;
	klp_module_going(mod);
	mod->loaded = false;
}

/* ---- tasks */

static struct task_struct *task_of(unsigned int task)
{
	return task < DRIVER_TASKS ? &machine_tasks[task] : &machine_idle[task - DRIVER_TASKS];
}

bool driver_is_traced(unsigned int function)
{
	return machine_handler(function);
}

int driver_reaches(unsigned int task, unsigned int function)
{
	struct ftrace_ops *ops = machine_handler(function);
	struct ftrace_regs regs = { .ip = 0 };

	if (!ops)
		return -1;
	current = task_of(task);
	ops->func(ops->location, 0, ops, &regs);
	current = NULL;
	return regs.ip ? (int)((regs.ip - DRIVER_REPLACEMENTS) / DRIVER_PATCH_SIZE) : -1;
}

void driver_clear(unsigned int task)
{
	task_of(task)->depth = 0;
}

void driver_push(unsigned int task, unsigned int function, int patch)
{
	struct task_struct *p = task_of(task);

	p->stack[p->depth++] = patch < 0 ? driver_original(function) :
					   driver_replacement(patch, function);
}

void driver_set_running(unsigned int task, bool running, bool unreliable)
{
	task_of(task)->running = running;
	task_of(task)->unreliable = unreliable;
}

void driver_schedule(unsigned int task)
{
	current = task_of(task);
	klp_sched_try_switch(current);
	current = NULL;
}

void driver_leave(unsigned int task)
{
	struct task_struct *p = task_of(task);

	p->depth = 0;
	p->running = false;
	p->unreliable = false;
	klp_update_patch_state(p);
}

void driver_copy(unsigned int child, unsigned int parent)
{
	machine_tasks[child] = *task_of(parent);
	machine_tasks[child].exists = false;
	machine_tasks[child].depth = 0;
	machine_tasks[child].running = false;
	machine_tasks[child].unreliable = false;
}

void driver_attach(unsigned int child, unsigned int parent)
{
	current = task_of(parent);
	klp_copy_process(&machine_tasks[child]);
	current = NULL;
	machine_tasks[child].exists = true;
}

void driver_exit(unsigned int task)
{
	machine_tasks[task].exists = false;
}

void driver_online(unsigned int cpu, bool online)
{
	machine_online[cpu] = online;
}

int driver_task_state(unsigned int task)
{
	return task_of(task)->patch_state;
}

bool driver_task_pending(unsigned int task)
{
	return task_of(task)->pending;
}

/* ---- the initial state */

static void new_task(struct task_struct *task, unsigned int number)
{
	*task = (struct task_struct) {
		.exists = true,
		.patch_state = KLP_TRANSITION_IDLE,
		.__state = TASK_INTERRUPTIBLE | TASK_FREEZABLE,
		.pid = number,
	};
	snprintf(task->comm, sizeof(task->comm), "task");
}

/*
 * Resets the machine.  The core has its state in static variables, which this
 * function does not reset: a history undoes its operations before it ends.
 */
void driver_reset(unsigned int tasks)
{
	static bool initialized;
	static struct kobject root;
	unsigned int i;

	if (!initialized) {
		kernel_kobj = &root;
		root.references = 1;
		machine_init();
		initialized = true;
	}
	memset(machine_tasks, 0, sizeof(machine_tasks));
	for (i = 0; i < tasks; i++)
		new_task(&machine_tasks[i], i);
	for (i = 0; i < DRIVER_CPUS; i++) {
		new_task(&machine_idle[i], 0);
		machine_online[i] = true;
	}
	for (i = 0; i < DRIVER_MODULES; i++) {
		memset(&machine_modules[i], 0, sizeof(machine_modules[i]));
		snprintf(machine_modules[i].name, MODULE_NAME_LEN, "module_%u", i);
		machine_modules[i].number = i;
	}
	unwilling = -1;
	driver_set_failing(-1);
	driver_warnings();
	written = 0;
}
