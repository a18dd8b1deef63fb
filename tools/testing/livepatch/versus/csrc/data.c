// SPDX-License-Identifier: GPL-2.0-only
/* States and shadow variables, on the C core of live patching. */

#include "driver_internal.h"
#include "transition.h"

/* ---- states */

void driver_set_state(unsigned int patch, unsigned int place, unsigned long id,
		      unsigned int version)
{
	struct slot *slot = &slots[patch];

	slot->states[place] = (struct klp_state) { .id = id, .version = version };
	slot->patch.states = slot->states;
}

static void append(char *text, struct klp_state *state)
{
	if (state)
		sprintf(text + strlen(text), " %lu:%u", state->id, state->version);
	else
		strcat(text, " -");
}

const char *driver_states(struct klp_patch *patch)
{
	static char text[256];
	unsigned long id;

	snprintf(text, sizeof(text), "own");
	for (id = 1; id <= DRIVER_STATES; id++)
		append(text, klp_get_state(patch, id));
	if (!klp_transition_patch)
		return text;
	strcat(text, ", previous");
	for (id = 1; id <= DRIVER_STATES; id++)
		append(text, klp_get_prev_state(id));
	return text;
}

/* ---- shadow variables */

struct request {
	unsigned long value;
	int error;
};

static void *object_at(unsigned int object)
{
	return (void *)(0x1000UL * (object + 1));
}

static int ctor(void *object, void *data, void *argument)
{
	struct request *request = argument;

	driver_note("construct %p, which was %lu", object, *(unsigned long *)data);
	if (request->error)
		return request->error;
	*(unsigned long *)data = request->value;
	return 0;
}

static void dtor(void *object, void *data)
{
	driver_note("destroy %p, which was %lu", object, *(unsigned long *)data);
}

unsigned long driver_shadow_get(unsigned int object, unsigned long id)
{
	unsigned long *data = klp_shadow_get(object_at(object), id);

	return data ? *data : 0;
}

bool driver_shadow_alloc(unsigned int object, unsigned long id, unsigned long value, int error)
{
	struct request request = { .value = value, .error = error };

	return klp_shadow_alloc(object_at(object), id, sizeof(value), GFP_KERNEL, ctor,
				&request);
}

bool driver_shadow_get_or_alloc(unsigned int object, unsigned long id, unsigned long value,
				int error)
{
	struct request request = { .value = value, .error = error };

	return klp_shadow_get_or_alloc(object_at(object), id, sizeof(value), GFP_KERNEL,
				       ctor, &request);
}

void driver_shadow_free(unsigned int object, unsigned long id)
{
	klp_shadow_free(object_at(object), id, dtor);
}

void driver_shadow_free_all(unsigned long id)
{
	klp_shadow_free_all(id, dtor);
}
