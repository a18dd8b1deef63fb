/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVER_INTERNAL_H
#define DRIVER_INTERNAL_H

#include "machine.h"
#include <linux/livepatch.h>
#include "driver.h"

#define DRIVER_FUNCTION_SIZE 0x100UL
#define DRIVER_FUNCTIONS_EACH (DRIVER_FUNCTIONS / DRIVER_MODULES)

/* Addresses: of the kernel's functions, and of each patch's. */
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

/* The states that klp_get_state() and klp_get_prev_state() find, as text. */
const char *driver_states(struct klp_patch *patch);
extern struct module machine_modules[DRIVER_MODULES];
bool machine_fails(void);
struct ftrace_ops *machine_handler(unsigned int function);
void driver_note(const char *format, ...);
void driver_released(struct kobject *kobj);
void machine_reset_memory(void);

#endif
