// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that keep a machine busy, and one that measures delays meanwhile
 *
 *   load user          a loop without system calls, on each CPU
 *   load calls         a loop of system calls, on each CPU
 *   load fifo          a loop without system calls, on each CPU, SCHED_FIFO
 *   load forks N       N processes, each of which forks children that exit at once
 *   load watch         forks children that exit at once, one after the other; a
 *                      SCHED_FIFO thread wakes up each millisecond.  On SIGTERM
 *                      it prints two numbers of nanoseconds and ends: how long
 *                      the longest fork took, and how late the latest wake-up
 *                      was
 *
 * All but the last run until they are killed.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND 1000000LL
#define SECOND (1000 * MILLISECOND)

static atomic_int ended;

static void end(int signal)
{
	ended = signal;
}

static void become_fifo(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		err(1, "SCHED_FIFO");
}

/*
 * At this instruction, an emulator that has one thread for all CPUs goes on to
 * another CPU.  Without it, QEMU emulates one CPU for a tenth of a second at a
 * time, and the figures would show only that.
 */
static void relax(void)
{
	__builtin_ia32_pause();
}

static void loop_user(void)
{
	for (;;)
		relax();
}

static void loop_calls(void)
{
	for (;;) {
		syscall(SYS_getppid);
		relax();
	}
}

static void loop_fifo(void)
{
	become_fifo(1);
	loop_user();
}

/* Forks a child that exits at once, and waits for it. */
static void fork_once(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child)
		_exit(0);
	while (waitpid(child, NULL, 0) < 0) {
		if (errno != EINTR)
			err(1, "waitpid");
	}
}

static void loop_forks(void)
{
	for (;;)
		fork_once();
}

/* Starts a process that runs the loop, and is killed when its parent ends. */
static void start(void (*loop)(void), int cpu)
{
	cpu_set_t cpus;
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus))
			err(1, "CPU %d", cpu);
	}
	loop();
}

static void on_each_cpu(void (*loop)(void))
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		start(loop, cpu);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static long long latest;

static void *watch_timer(void *unused)
{
	struct timespec until;
	long long wanted = now();
	long long late;

	become_fifo(50);
	while (!ended) {
		wanted += MILLISECOND;
		until.tv_sec = wanted / SECOND;
		until.tv_nsec = wanted % SECOND;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		late = now() - wanted;
		if (late > latest)
			latest = late;
		if (late > 0)
			wanted += late;
	}
	return unused;
}

static void watch(void)
{
	long long longest = 0, took;
	pthread_t thread;

	signal(SIGTERM, end);
	if (pthread_create(&thread, NULL, watch_timer, NULL))
		errx(1, "no thread");
	while (!ended) {
		took = now();
		fork_once();
		took = now() - took;
		if (took > longest)
			longest = took;
	}
	pthread_join(thread, NULL);
	printf("%lld %lld\n", longest, latest);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int i;

	if (!strcmp(what, "watch")) {
		watch();
		return 0;
	}
	if (!strcmp(what, "user")) {
		on_each_cpu(loop_user);
	} else if (!strcmp(what, "calls")) {
		on_each_cpu(loop_calls);
	} else if (!strcmp(what, "fifo")) {
		on_each_cpu(loop_fifo);
	} else if (!strcmp(what, "forks") && argc > 2 && atoi(argv[2]) > 0) {
		for (i = 0; i < atoi(argv[2]); i++)
			start(loop_forks, -1);
	} else {
		errx(2, "usage: load user|calls|fifo|forks N|watch");
	}
	for (;;)
		pause();
}
