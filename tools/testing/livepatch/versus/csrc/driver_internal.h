/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVER_INTERNAL_H
#define DRIVER_INTERNAL_H

#include "machine.h"
#include <linux/livepatch.h>
#include "driver.h"

#define DRIVER_FUNCTION_SIZE 0x100UL
#define DRIVER_FUNCTIONS_EACH (DRIVER_FUNCTIONS / DRIVER_MODULES)

/*
 * Addresses: of the function by which all tasks have entered the kernel, of the
 * functions that patches change, and of those of each patch.
 */
#define DRIVER_ENTRY 0x800000UL
#define DRIVER_ORIGINALS 0x1000000UL
#define DRIVER_REPLACEMENTS 0x2000000UL
#define DRIVER_PATCH_SIZE (DRIVER_FUNCTIONS * DRIVER_FUNCTION_SIZE)

static inline unsigned int driver_home(unsigned int function)
{
	return function / DRIVER_FUNCTIONS_EACH;
}

static inline unsigned long driver_original(unsigned int function)
{
	return DRIVER_ORIGINALS + function * DRIVER_FUNCTION_SIZE;
}

static inline unsigned long driver_replacement(unsigned int patch, unsigned int function)
{
	return DRIVER_REPLACEMENTS + patch * DRIVER_PATCH_SIZE + function * DRIVER_FUNCTION_SIZE;
}

static inline unsigned int driver_function_at(unsigned long location)
{
	return (location - DRIVER_ORIGINALS) / DRIVER_FUNCTION_SIZE;
}

struct slot {
	struct module module;
	struct klp_modinfo info;
	struct klp_patch patch;
	struct klp_object objects[DRIVER_MODULES + 1];
	struct klp_func funcs[DRIVER_MODULES][DRIVER_FUNCTIONS_EACH + 1];
	struct klp_state states[DRIVER_STATES + 1];
	char names[DRIVER_FUNCTIONS][16];
};

extern struct slot slots[DRIVER_PATCHES];

/* messages.c */
void klp_log(unsigned int event, const char *patch, const char *object, int err, bool patching);
void klp_try_switch_task(const struct task_struct *task, int err, const char *func);

/* The states that klp_get_state() and klp_get_prev_state() find, as text. */
const char *driver_states(struct klp_patch *patch);
extern struct module machine_modules[DRIVER_MODULES];
bool machine_fails(void);
struct ftrace_ops *machine_handler(unsigned int function);
void driver_note(const char *format, ...);
void driver_released(struct kobject *kobj);
void machine_reset_memory(void);

#endif
