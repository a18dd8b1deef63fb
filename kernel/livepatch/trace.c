// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - the tracepoints of live patching
 *
 * edge/trace.rs calls them.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/livepatch.h>
