// SPDX-License-Identifier: GPL-2.0-only
/* The operations of histories, done on the C core of live patching. */

#include "driver_internal.h"
#include "core.h"
#include "patch.h"
#include "transition.h"

int machine_init(void);

struct slot slots[DRIVER_PATCHES];

static struct task_struct *task_of(unsigned int task)
{
	return task < DRIVER_TASKS ? &machine_tasks[task] : &machine_idle[task - DRIVER_TASKS];
}

/* What the core does, and the messages of the rules. */
struct journal {
	char text[262144];
	size_t written;
};

static struct journal of_core, of_rules;
static struct journal *journal = &of_core;
static int unwilling = -1;

void driver_note(const char *format, ...)
{
	size_t left = sizeof(journal->text) - journal->written;
	va_list arguments;

	va_start(arguments, format);
	journal->written += vsnprintf(journal->text + journal->written, left, format, arguments);
	va_end(arguments);
	/* The lines of one operation need a small part of the journal. */
	if (journal->written + 2 > sizeof(journal->text))
		abort();
	journal->text[journal->written++] = '\n';
}

static const char *read_journal(struct journal *read)
{
	read->text[read->written] = '\0';
	read->written = 0;
	return read->text;
}

const char *driver_journal(void)
{
	return read_journal(&of_core);
}

/* ---- the messages of the rules, which messages.c prints */

const char *driver_message(unsigned int event, int patch, int module, int err, bool patching)
{
	char patch_name[16], module_name[16] = "vmlinux";

	snprintf(patch_name, sizeof(patch_name), "patch_%d", patch);
	if (module > 0)
		snprintf(module_name, sizeof(module_name), "module_%d", module);
	journal = &of_rules;
	klp_log(event, patch < 0 ? NULL : patch_name, module < 0 ? NULL : module_name, err,
		patching);
	journal = &of_core;
	return read_journal(&of_rules);
}

const char *driver_task_message(unsigned int task, int err, unsigned int function)
{
	char name[16];

	snprintf(name, sizeof(name), "function_%u", function);
	journal = &of_rules;
	klp_try_switch_task(task_of(task), err, name);
	journal = &of_core;
	return read_journal(&of_rules);
}

/* ---- patches */

static unsigned int slot_of(struct klp_patch *patch)
{
	return container_of(patch, struct slot, patch) - slots;
}

void driver_released(struct kobject *kobj)
{
	unsigned int i;

	for (i = 0; i < DRIVER_PATCHES; i++) {
		if (kobj == &slots[i].patch.kobj)
			driver_note("freed %u%s", i, slots[i].patch.forced ? ", forced" : "");
	}
}

static void note_callback(const char *what, struct klp_object *object)
{
	unsigned int i;

	for (i = 0; i < DRIVER_PATCHES; i++) {
		if (object >= slots[i].objects && object < slots[i].objects + DRIVER_MODULES)
			driver_note("%s %u %s, states: %s", what, i, object->name ?: "vmlinux",
				    driver_states(&slots[i].patch));
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

int driver_object(unsigned int patch, unsigned int place)
{
	struct klp_patch *whole = &slots[patch].patch;
	struct klp_object *object;
	struct klp_func *func;
	int result;

	klp_for_each_object(whole, object) {
		if (place--)
			continue;
		result = object->name ? object->name[strlen(object->name) - 1] - '0' : 0;
		klp_for_each_func(object, func)
			result += 1 << 8;
		if (object->dynamic)
			result |= DRIVER_IS_NOP;
		if (klp_is_object_loaded(object))
			result |= DRIVER_IS_LOADED;
		if (object->patched)
			result |= DRIVER_IS_PATCHED;
		return result;
	}
	return -1;
}

/* The patch that has a func, or a number that no patch has. */
static int patch_of(struct klp_func *wanted)
{
	struct klp_object *object;
	struct klp_patch *patch;
	struct klp_func *func;

	klp_for_each_patch(patch) {
		klp_for_each_object(patch, object) {
			klp_for_each_func(object, func) {
				if (func == wanted)
					return slot_of(patch);
			}
		}
	}
	return DRIVER_PATCHES;
}

int driver_stacked(unsigned int function, unsigned int place)
{
	struct klp_ops *ops = klp_find_ops((void *)driver_original(function));
	struct klp_func *func;

	if (!ops)
		return -1;
	list_for_each_entry(func, &ops->func_stack, stack_node) {
		if (!place--)
			return patch_of(func) | (func->nop ? DRIVER_IS_NOP : 0);
	}
	return -1;
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
	machine_tasks[child].pid = child;
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

unsigned int driver_nudges(unsigned int task)
{
	return task_of(task)->nudges;
}

bool driver_switching(void)
{
	return klp_sched_try_switch_key.on;
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
		new_task(&machine_idle[i], DRIVER_TASKS + i);
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
	driver_journal();
	machine_reset_memory();
}
