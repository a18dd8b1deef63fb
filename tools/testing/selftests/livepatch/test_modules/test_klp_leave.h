/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The functions of test_klp_leave_target.ko, for the livepatches that patch it.
 */

#ifndef _TEST_KLP_LEAVE_H
#define _TEST_KLP_LEAVE_H

#include <linux/printk.h>
#include <linux/seq_file.h>

int test_klp_leave_a(struct seq_file *m);
int test_klp_leave_b(struct seq_file *m);
int test_klp_leave_outer(struct seq_file *m);
int test_klp_leave_tell(struct seq_file *m, const char *text);
int test_klp_leave_thread(void *arg);
int test_klp_leave_walk(struct seq_file *m, int (*visit)(struct seq_file *m));

/* Writes to the reader's file, or to the log if @m is NULL, in a task that exits. */
static inline void test_klp_leave_say(struct seq_file *m, const char *text)
{
	if (m)
		seq_printf(m, "%s\n", text);
	else
		pr_info("%s\n", text);
}

#endif
