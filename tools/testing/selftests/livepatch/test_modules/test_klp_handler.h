/* SPDX-License-Identifier: GPL-2.0 */

/* What test_klp_handler_target.ko has for the livepatches of its functions */
int test_klp_handler_inner(void);
