// SPDX-License-Identifier: GPL-2.0
/*
 * Starts tasks that read /proc/test_klp_torture, fork, sleep, spin and exit, until
 * they are killed.  They are a process group of their own.  Prints "ready" when all
 * of them are there.
 *
 *   test_klp-torture SEED SLEEPERS
 *
 * SLEEPERS is the number of threads that sleep most of the time.
 *
 * Each task draws from a sequence of its own, which the seed repeats.  The numbers of
 * its visits and of those that its children make come from it, too.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS	4
#define STACK	(64 * 1024)

/* See TORTURE_EXITING_NAME in test_klp_torture.h. */
#define EXITING	"klp_end"

static int file;
static pthread_attr_t attr;
static unsigned long longest_sleep = 10000000;	/* microseconds */

/* The number decides the steps of the visit. */
static void visit(unsigned int number)
{
	char byte;

	if (pread(file, &byte, 1, number) < 0)
		perror("pread");
}

static void pause_us(unsigned int us)
{
	struct timespec time = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&time, NULL);
}

static void *sleeper(void *arg)
{
	unsigned int random = (unsigned long)arg;

	for (;;) {
		pause_us(100000 + rand_r(&random) % longest_sleep);
		visit(rand_r(&random));
	}
	return NULL;
}

/*
 * Ends at once.  Threads, and children of even workers, release themselves, after
 * which the kernel makes its last visit.
 */
static void *short_thread(void *arg)
{
	unsigned int number = (unsigned long)arg;
	char name[16];

	snprintf(name, sizeof(name), EXITING "%08x", number);
	prctl(PR_SET_NAME, name);
	if (number % 2)
		visit(number);
	return NULL;
}

static void run_thread(unsigned int number)
{
	pthread_t thread;

	pthread_create(&thread, &attr, short_thread, (void *)(unsigned long)number);
}

static void run_child(int reap, unsigned int number)
{
	pid_t pid = fork();

	if (!pid) {
		short_thread((void *)(unsigned long)number);
		_exit(0);
	}
	if (reap && pid > 0)
		waitpid(pid, NULL, 0);
}

static void spin(unsigned int rounds)
{
	while (rounds--)
		asm volatile("");
}

/* Children of an even worker release themselves. */
static void worker(unsigned int number, unsigned int random)
{
	int reap = number % 2;

	if (!reap)
		signal(SIGCHLD, SIG_IGN);
	for (;;) {
		unsigned int value = rand_r(&random) / 8;

		switch (value % 8) {
		case 0:
		case 1:
			visit(value);
			break;
		case 2:
			run_child(reap, value / 8);
			break;
		case 3:
			run_thread(value / 8);
			break;
		case 4:
			spin(value % 1000000);
			break;
		case 5:
			sched_yield();
			break;
		default:
			pause_us(value % 50000);
		}
	}
}

static int start(unsigned int seed, unsigned int sleepers)
{
	unsigned int i;

	/* Any number of them keeps the machine as busy as 200 do. */
	if (sleepers > 200)
		longest_sleep = sleepers * 50000UL;
	for (i = 0; i < WORKERS; i++) {
		switch (fork()) {
		case -1:
			perror("fork");
			return 1;
		case 0:
			worker(i, seed - 1 - i);
		}
	}
	for (i = 0; i < sleepers; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attr, sleeper, (void *)(unsigned long)(seed + i))) {
			fprintf(stderr, "only %u threads\n", i);
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char *argv[])
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s SEED SLEEPERS\n", argv[0]);
		return 1;
	}
	file = open("/proc/test_klp_torture", O_RDONLY);
	if (file < 0 || setpgid(0, 0)) {
		perror("/proc/test_klp_torture");
		return 1;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	return start(atoi(argv[1]), atoi(argv[2]));
}
