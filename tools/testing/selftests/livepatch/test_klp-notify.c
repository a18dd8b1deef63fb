// SPDX-License-Identifier: GPL-2.0
/*
 * Waits for notifications of livepatches, and prints one line for each.  It has
 * no timeout, so that each line comes from a notification.
 *
 *   poll FILE	prints the value of a file in sysfs at the beginning and after
 *		each change, and "gone" when the file is gone
 *   uevents	prints "ready", and then the action and all variables but
 *		SEQNUM of each uevent of the subsystem livepatch
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>

static int poll_file(const char *path)
{
	struct pollfd pollfd = { .events = POLLPRI };
	char value[64];
	ssize_t len;

	pollfd.fd = open(path, O_RDONLY);
	if (pollfd.fd < 0) {
		perror(path);
		return 1;
	}
	for (;;) {
		/* The next poll() waits for a change after this. */
		len = pread(pollfd.fd, value, sizeof(value), 0);
		if (len < 0 && errno == ENODEV) {
			puts("gone");
			return 0;
		}
		if (len < 0) {
			perror(path);
			return 1;
		}
		fwrite(value, 1, len, stdout);

		if (poll(&pollfd, 1, -1) != 1) {
			perror("poll");
			return 1;
		}
		if (!(pollfd.revents & POLLERR) || !(pollfd.revents & POLLPRI)) {
			fprintf(stderr, "poll: %#x\n", pollfd.revents);
			return 1;
		}
	}
}

/* A message is action@path, and then a variable after each null byte. */
static void print_uevent(const char *message, const char *end)
{
	const char *var;

	for (var = message; var < end; var += strlen(var) + 1) {
		if (!strcmp(var, "SUBSYSTEM=livepatch"))
			break;
	}
	if (var >= end)
		return;

	printf("%.*s", (int)strcspn(message, "@"), message);
	for (var = message + strlen(message) + 1; var < end; var += strlen(var) + 1) {
		if (strncmp(var, "SEQNUM=", strlen("SEQNUM=")))
			printf(" %s", var);
	}
	putchar('\n');
}

static int listen_to_uevents(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	char message[8192];
	ssize_t len;
	int fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
	if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof(kernel))) {
		perror("netlink");
		return 1;
	}
	puts("ready");
	for (;;) {
		len = recv(fd, message, sizeof(message) - 1, 0);
		if (len < 0) {
			perror("recv");
			return 1;
		}
		message[len] = '\0';
		print_uevent(message, message + len);
	}
}

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "poll"))
		return poll_file(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "uevents"))
		return listen_to_uevents();

	fprintf(stderr, "usage: %s poll FILE | uevents\n", argv[0]);
	return 1;
}
