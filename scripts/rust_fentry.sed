# SPDX-License-Identifier: GPL-2.0
#
# Make functions in Rust begin with the call of __fentry__ that ftrace needs, in
# assembler output of rustc for x86-64.  With -Zpatchable-function-entry=5,
# rustc emits a NOP there that appears nowhere else.
s/^\tnopl\t8(%rax,%rax)$/\t.pushsection __mcount_loc, "a", @progbits\
\t.balign 8\
\t.quad 771f\
\t.popsection\
771:\tcall __fentry__/
# Before DWARF 5, gas takes a directory and a file in one string alone.  In DWARF 5 they are
# followed by a checksum; file 0 has none.
s/^\(\t\.file\t[1-9][0-9]* "[^"]*\)" "\([^"]*"\)$/\1\/\2/
