// SPDX-License-Identifier: GPL-2.0
/*
 * Calls __do_sys_getpid() in the kernel until it is killed.
 */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	for (;;)
		syscall(SYS_getpid);
}
