// SPDX-License-Identifier: GPL-2.0-only
/*
 * init-module FILE - load a module, and print the time stamp counter's ticks
 * that init_module(2) took
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

int main(int argc, char **argv)
{
	struct stat status;
	unsigned long long ticks;
	FILE *file;
	void *image;

	if (argc != 2) {
		fprintf(stderr, "usage: init-module FILE\n");
		return 2;
	}
	file = fopen(argv[1], "r");
	if (!file || fstat(fileno(file), &status)) {
		perror(argv[1]);
		return 1;
	}
	image = malloc(status.st_size);
	if (!image || fread(image, status.st_size, 1, file) != 1) {
		perror(argv[1]);
		return 1;
	}
	/* Deferred work of earlier operations ends in this time. */
	sleep(2);
	ticks = __rdtsc();
	if (syscall(SYS_init_module, image, status.st_size, "")) {
		perror(argv[1]);
		return 1;
	}
	printf("%llu\n", __rdtsc() - ticks);
	return 0;
}
