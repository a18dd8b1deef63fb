// SPDX-License-Identifier: GPL-2.0
/*
 * Shows the instruction of the kernel at the address in the parameter "address".
 * The parameter "code" is "jmp SYMBOL", "call SYMBOL", "nop", or the bytes of any
 * other instruction.
 *
 * The module decodes only instructions of x86-64.
 */

#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

static unsigned long address;
module_param(address, ulong, 0644);
MODULE_PARM_DESC(address, "address of the instruction");

#ifdef CONFIG_X86_64
#include <asm/nops.h>

#define JMP	0xe9
#define CALL	0xe8

static const u8 nop[] = { BYTES_NOP5 };

static int code_get(char *buffer, const struct kernel_param *param)
{
	u8 code[sizeof(nop)];
	unsigned long end = address + sizeof(code);
	int ret;

	ret = copy_from_kernel_nofault(code, (void *)address, sizeof(code));
	if (ret)
		return ret;
	if (!memcmp(code, nop, sizeof(nop)))
		return sysfs_emit(buffer, "nop\n");
	if (code[0] != JMP && code[0] != CALL)
		return sysfs_emit(buffer, "%*ph\n", (int)sizeof(code), code);
	return sysfs_emit(buffer, "%s %pS\n", code[0] == JMP ? "jmp" : "call",
			  (void *)(end + (s32)get_unaligned_le32(code + 1)));
}

static int test_klp_code_init(void)
{
	return 0;
}

#else

static int code_get(char *buffer, const struct kernel_param *param)
{
	return -EOPNOTSUPP;
}

static int test_klp_code_init(void)
{
	return -EOPNOTSUPP;
}

#endif

static const struct kernel_param_ops code_ops = {
	.get = code_get,
};
module_param_cb(code, &code_ops, NULL, 0400);
MODULE_PARM_DESC(code, "the instruction, and the symbol that it leads to (read only)");

static void test_klp_code_exit(void)
{
}

module_init(test_klp_code_init);
module_exit(test_klp_code_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch test: look at the kernel's code");
