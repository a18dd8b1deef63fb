/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KLP_BENCH_MAIN_H
#define _KLP_BENCH_MAIN_H

/* Ends all tasks that tasks.c has started. */
void klp_bench_tasks_exit(void);

/* Ends the threads of busy.c. */
void klp_bench_busy_exit(void);

/* Stops the sampling of profile.c and removes its file. */
void klp_bench_profile_exit(void);

/* Starts and stops the measurement of idle.c. */
int klp_bench_idle_init(void);
void klp_bench_idle_exit(void);

/* Removes the probe of jumps.c. */
void klp_bench_jumps_exit(void);

#endif /* _KLP_BENCH_MAIN_H */
