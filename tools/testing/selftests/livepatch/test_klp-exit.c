// SPDX-License-Identifier: GPL-2.0
/*
 * Creates a task named klp_victim, which ends at once and releases itself.  The
 * task is a "thread", or a "child" of a parent that ignores SIGCHLD.  Then the
 * program waits until it is killed.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *victim(void *arg)
{
	prctl(PR_SET_NAME, "klp_victim");
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t thread;

	if (argc == 2 && !strcmp(argv[1], "thread")) {
		if (pthread_create(&thread, NULL, victim, NULL)) {
			fprintf(stderr, "cannot create a thread\n");
			return 1;
		}
	} else if (argc == 2 && !strcmp(argv[1], "child")) {
		signal(SIGCHLD, SIG_IGN);
		switch (fork()) {
		case -1:
			perror("fork");
			return 1;
		case 0:
			victim(NULL);
			_exit(0);
		}
	} else {
		fprintf(stderr, "usage: %s thread|child\n", argv[0]);
		return 1;
	}

	for (;;)
		pause();
}
