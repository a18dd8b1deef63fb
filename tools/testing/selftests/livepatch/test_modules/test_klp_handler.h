/* SPDX-License-Identifier: GPL-2.0 */

/* The function of test_klp_handler_target.ko that its livepatches call */
int test_klp_handler_inner(void);
