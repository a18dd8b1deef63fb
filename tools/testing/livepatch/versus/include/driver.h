/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What histories do to the core of live patching in C, and what they see of it.
 * Patches, modules, functions, tasks and CPUs go by number.  Module 0 is vmlinux.
 * Functions that return int return 0 or a negative errno.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>

#define DRIVER_PATCHES 8
#define DRIVER_MODULES 4
#define DRIVER_FUNCTIONS 64
#define DRIVER_TASKS 256
#define DRIVER_CPUS 4

/* Everything is as when the kernel has booted: no patch, no module but vmlinux. */
void driver_reset(unsigned int tasks);

/*
 * The next patch of that number: with an object for each module of the mask modules, and
 * with funcs for the functions of the mask functions.
 */
void driver_describe(unsigned int patch, bool replaces, unsigned int modules,
		     unsigned long functions);
int driver_enable(unsigned int patch);
int driver_write_enabled(unsigned int patch, bool enabled);
int driver_write_force(unsigned int patch);
int driver_module_coming(unsigned int module);
void driver_module_going(unsigned int module);

/* The pre-patch callback for this module fails from now on; for none if it is -1. */
void driver_set_unwilling(int module);
/* This call from now on fails, of those that can: 0 is the next, -1 none. */
void driver_set_failing(int after);
int driver_failing(void);

/* A second goes by: delayed work is done. */
void driver_second(void);
/* All work but delayed work is done. */
void driver_work(void);

/* Tasks: numbers from DRIVER_TASKS on are the idle tasks of the CPUs. */
/* The task is in no function; in one more, of the patch or, with -1, the kernel's own. */
void driver_clear(unsigned int task);
void driver_push(unsigned int task, unsigned int function, int patch);
void driver_set_running(unsigned int task, bool running, bool unreliable);
void driver_schedule(unsigned int task);
void driver_leave(unsigned int task);
void driver_copy(unsigned int child, unsigned int parent);
void driver_attach(unsigned int child, unsigned int parent);
void driver_exit(unsigned int task);
void driver_online(unsigned int cpu, bool online);

/* What a call of the function reaches: a patch, or -1 for the kernel's own. */
int driver_reaches(unsigned int task, unsigned int function);
int driver_task_state(unsigned int task);
bool driver_task_pending(unsigned int task);

/* -1 if there is none at that place. */
int driver_patch_at(unsigned int place);
int driver_transition_patch(void);
bool driver_enabled(unsigned int patch);
bool driver_forced(unsigned int patch);
/* Whether ftrace calls the handler for the function. */
bool driver_is_traced(unsigned int function);

/* Callbacks and frees since the last call, one a line. */
const char *driver_journal(void);
/* WARN_ON() since the last call. */
unsigned int driver_warnings(void);

#endif
