/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations of histories on the C core of live patching, and the state
 * that they read.  Patches, modules, functions, tasks and CPUs have numbers.
 * Module 0 is vmlinux.  Functions that return int return 0 or a negative errno.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>

#define DRIVER_PATCHES 8
#define DRIVER_MODULES 4
#define DRIVER_FUNCTIONS 64
#define DRIVER_TASKS 256
#define DRIVER_CPUS 4
#define DRIVER_STATES 3

/* Resets the machine to the state after boot: no patch, only vmlinux. */
void driver_reset(unsigned int tasks);

/*
 * Describes the next patch of that number: an object for each module of the
 * mask modules, and a func for each function of the mask functions.
 */
void driver_describe(unsigned int patch, bool replaces, unsigned int modules,
		     unsigned long functions);
/* Describes one more state of that patch, at the next place.  Identifiers begin at 1. */
void driver_set_state(unsigned int patch, unsigned int place, unsigned long id,
		      unsigned int version);
int driver_enable(unsigned int patch);
int driver_write_enabled(unsigned int patch, bool enabled);
int driver_write_force(unsigned int patch);
int driver_module_coming(unsigned int module);
void driver_module_going(unsigned int module);

/* Makes the pre-patch callbacks for this module fail from now on; -1: none. */
void driver_set_unwilling(int module);
/* Makes one of the calls that can fail do so: 0 is the next one, -1 none. */
void driver_set_failing(int after);
int driver_failing(void);

/* Lets a second go by: delayed work runs, and then all other work. */
void driver_second(void);
/* Whether delayed work is arranged. */
bool driver_arranged(void);
/* Runs all work but delayed work. */
void driver_work(void);

/*
 * Tasks.  Numbers from DRIVER_TASKS on are the idle tasks of the CPUs.
 *
 * driver_clear() takes the task out of all functions.  driver_push() puts it
 * into one more: the version of the patch, or the original if patch is -1.
 */
void driver_clear(unsigned int task);
void driver_push(unsigned int task, unsigned int function, int patch);
void driver_set_running(unsigned int task, bool running, bool unreliable);
void driver_schedule(unsigned int task);
void driver_leave(unsigned int task);
void driver_copy(unsigned int child, unsigned int parent);
void driver_attach(unsigned int child, unsigned int parent);
void driver_exit(unsigned int task);
void driver_online(unsigned int cpu, bool online);

/* The patch of the version that a call reaches, or -1 for the original. */
int driver_reaches(unsigned int task, unsigned int function);
int driver_task_state(unsigned int task);
bool driver_task_pending(unsigned int task);
/* How often a task was woken up or signaled. */
unsigned int driver_nudges(unsigned int task);
/* Whether tasks try to switch in __schedule(). */
bool driver_switching(void);

/* The patch at a place in the list of patches, or -1. */
int driver_patch_at(unsigned int place);
int driver_transition_patch(void);
bool driver_enabled(unsigned int patch);
bool driver_forced(unsigned int patch);
/* Whether ftrace calls the handler for the function. */
bool driver_is_traced(unsigned int function);

/*
 * The object at a place of a patch: its module, the number of its funcs shifted
 * by 8, and flags; or -1.
 */
#define DRIVER_IS_NOP 0x10000
#define DRIVER_IS_LOADED 0x20000
#define DRIVER_IS_PATCHED 0x40000
int driver_object(unsigned int patch, unsigned int place);
/* The patch of the func at a place of a func stack, and flags; or -1.  0 is the top. */
int driver_stacked(unsigned int function, unsigned int place);

/* Memory and kobjects that were not freed. */
unsigned int driver_allocations(void);
unsigned int driver_kobjects(void);

/*
 * Shadow variables: their objects are numbers, and the data is a value, or 0 if
 * there is no variable.  With an error, the constructor fails.  The result of
 * the functions that return bool is whether there is a variable then.
 */
unsigned long driver_shadow_get(unsigned int object, unsigned long id);
bool driver_shadow_alloc(unsigned int object, unsigned long id, unsigned long value, int error);
bool driver_shadow_get_or_alloc(unsigned int object, unsigned long id, unsigned long value,
				int error);
void driver_shadow_free(unsigned int object, unsigned long id);
void driver_shadow_free_all(unsigned long id);

/*
 * The log with its warnings, the callbacks, the constructors and destructors of
 * shadow variables, the patches that were freed and the modules that were put,
 * since the last call, one a line.
 */
const char *driver_journal(void);
/* The number of warnings since the last call. */
unsigned int driver_warnings(void);

/*
 * The line that messages.c logs for an event of the rules.  The patch and the
 * module are -1 if the event has none.
 */
const char *driver_message(unsigned int event, int patch, int module, int err, bool patching);
/* The line that it logs for a task that cannot switch, because of a function or of err. */
const char *driver_task_message(unsigned int task, int err, unsigned int function);

#endif
