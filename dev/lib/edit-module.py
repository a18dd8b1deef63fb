#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Edit a built kernel module: add to what it tells of itself, or make one that no compiler
makes, for tests.

    edit-module.py IN OUT [--name NAME] [--relocs SECTION NAME] [--symbol SYMBOL NAME]
                          [--plain-symbol SYMBOL NAME] [--modinfo FIELD]

--name NAME                  the name that the module has once it is loaded
--relocs SECTION NAME        make the relocation section SECTION a livepatch
                             relocation section, called NAME
--symbol SYMBOL NAME         make SYMBOL a livepatch symbol, called NAME
--plain-symbol SYMBOL NAME   the same, but make it an ordinary, absolute symbol
--modinfo FIELD              add FIELD, such as author=me, to the section .modinfo

Names are taken as they are, well-formed or not.  64-bit little-endian ELF only.
"""

import argparse
import os
import struct
import sys

SHF_ALLOC = 0x2
SHF_RELA_LIVEPATCH = 0x00100000
SHN_LIVEPATCH = 0xFF20
SHN_ABS = 0xFFF1

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")


class Module:
    """An ELF file whose string tables grow at its end."""

    def __init__(self, data):
        self.data = bytearray(data)
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        header = HEADER.unpack_from(self.data)
        self.table, self.count, self.names_index = header[6], header[12], header[13]
        self.sections = [
            list(SECTION.unpack_from(self.data, self.table + i * SECTION.size))
            for i in range(self.count)
        ]

    def content(self, index):
        offset, size = self.sections[index][4:6]
        return bytes(self.data[offset : offset + size])

    def string(self, table, offset):
        text = self.content(table)[offset:]
        return text[: text.index(b"\0")]

    def find(self, name):
        for index, section in enumerate(self.sections):
            if self.string(self.names_index, section[0]) == name:
                return index
        raise ValueError(f"no section {os.fsdecode(name)}")

    def add_string(self, table, text):
        """Move the string table to the end of the file, with one more string."""
        strings = self.content(table)
        self.sections[table][4:6] = len(self.data), len(strings) + len(text) + 1
        self.data += strings + text + b"\0"
        return len(strings)

    def set_name(self, name):
        old = os.fsencode(self.old_name())
        index = self.find(b".gnu.linkonce.this_module")
        offset = self.content(index).index(old + b"\0")
        if len(name) > 55:
            raise ValueError("a module's name has at most 55 characters")
        begin = self.sections[index][4] + offset
        room = max(len(old), len(name))
        self.data[begin : begin + room] = name.ljust(room, b"\0")

    def old_name(self):
        for entry in self.content(self.find(b".modinfo")).split(b"\0"):
            if entry.startswith(b"name="):
                return os.fsdecode(entry[5:])
        raise ValueError("the module does not tell its name")

    def make_relocs(self, section, name):
        index = self.find(section)
        self.sections[index][0] = self.add_string(self.names_index, name)
        self.sections[index][2] |= SHF_ALLOC | SHF_RELA_LIVEPATCH

    def make_symbol(self, symbol, name, section):
        table = self.find(b".symtab")
        strings = self.sections[table][6]
        offset, size = self.sections[table][4:6]
        for at in range(offset, offset + size, SYMBOL.size):
            entry = list(SYMBOL.unpack_from(self.data, at))
            if self.string(strings, entry[0]) == symbol:
                entry[0] = self.add_string(strings, name)
                entry[3:5] = section, 0
                SYMBOL.pack_into(self.data, at, *entry)
                return
        raise ValueError(f"no symbol {os.fsdecode(symbol)}")

    def bytes(self):
        for index, section in enumerate(self.sections):
            SECTION.pack_into(self.data, self.table + index * SECTION.size, *section)
        return bytes(self.data)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--name", type=os.fsencode)
    parser.add_argument("--modinfo", type=os.fsencode, action="append", default=[])
    for option in ("--relocs", "--symbol", "--plain-symbol"):
        parser.add_argument(option, nargs=2, type=os.fsencode, action="append", default=[])
    args = parser.parse_args()
    try:
        with open(args.input, "rb") as file:
            module = Module(file.read())
        if args.name is not None:
            module.set_name(args.name)
        for section, name in args.relocs:
            module.make_relocs(section, name)
        for symbol, name in args.symbol:
            module.make_symbol(symbol, name, SHN_LIVEPATCH)
        for symbol, name in args.plain_symbol:
            module.make_symbol(symbol, name, SHN_ABS)
        for field in args.modinfo:
            module.add_string(module.find(b".modinfo"), field)
        with open(args.output, "wb") as file:
            file.write(module.bytes())
    except (OSError, ValueError, struct.error) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: error: {args.input}: {error}")


if __name__ == "__main__":
    main()
