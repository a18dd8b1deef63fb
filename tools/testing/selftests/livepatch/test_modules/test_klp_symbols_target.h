/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TEST_KLP_SYMBOLS_TARGET_H
#define _TEST_KLP_SYMBOLS_TARGET_H

int test_klp_symbols_second(int value);

#endif /* _TEST_KLP_SYMBOLS_TARGET_H */
