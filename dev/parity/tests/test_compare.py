# SPDX-License-Identifier: GPL-2.0

import contextlib
import io
import os
import tempfile
import unittest

from parity import compare

STEPS = 60


def record(number):
    return f"# step {number}\ninsmod: done\n"


def kmsg_of(number):
    return [f"13,{number}0,{number}0,-;parity: begin {number} step {number}",
            f"6,{number}1,{number}1,-,caller=T{number};livepatch: first",
            " SUBSYSTEM=x",
            f"5,{number}2,{number}2,-;livepatch: at 0x{number * 7919:08x}"]


class Tours(unittest.TestCase):
    """Two tours that are the same; then one thing is changed, which must be seen."""

    def setUp(self):
        self.records = {core: {number: record(number) for number in range(1, STEPS + 1)} for core in compare.CORES}
        self.kmsg = {core: {number: kmsg_of(number) for number in range(1, STEPS + 1)} for core in compare.CORES}
        self.end = {core: ["13,999,999,-;parity: end of the tour"] for core in compare.CORES}

    def compared(self, partial=False):
        """The last line, and all that was printed."""
        output = io.StringIO()
        with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(output):
            for core in compare.CORES:
                os.mkdir(os.path.join(scratch, core))
                for number, text in self.records[core].items():
                    compare.write(os.path.join(scratch, core, f"{number:03}"), text)
                lines = [line for step in self.kmsg[core].values() for line in step] + self.end[core]
                compare.write(os.path.join(scratch, core, "kmsg"), "".join(line + "\n" for line in lines))
            comparison = compare.Comparison()
            self.steps = compare.compare_tours({core: os.path.join(scratch, core) for core in compare.CORES},
                                               partial, comparison)
            self.status = comparison.totals()
        text = output.getvalue()
        return text.splitlines()[-1], text

    def check(self, totals, text):
        last, output = self.compared()
        self.assertEqual(last, totals)
        self.assertIn(text, output)
        self.assertEqual(self.status, 1)

    def test_same(self):
        self.assertEqual(self.compared(), ("60 passed, 0 failed", "60 passed, 0 failed\n"))
        self.assertEqual(self.status, 0)
        self.assertEqual(self.steps["c"]["007"],
                         "# step 7\ninsmod: done\n# messages\n6: livepatch: first\n5: livepatch: at ADDRESS\n")

    def test_another_text(self):
        self.kmsg["rust"][7][1] = "6,71,71,-;livepatch: fist"
        self.check("59 passed, 1 failed", "not ok: 007 step 7\n--- 007 step 7: core in C\n+++ 007 step 7: core in Rust\n"
                   "@@ -1,5 +1,5 @@\n # step 7\n insmod: done\n # messages\n-6: livepatch: first\n+6: livepatch: fist\n")

    def test_another_level(self):
        self.kmsg["rust"][7][1] = "4,71,71,-;livepatch: first"
        self.check("59 passed, 1 failed", "\n+4: livepatch: first\n")

    def test_another_order(self):
        self.kmsg["rust"][7][1], self.kmsg["rust"][7][3] = self.kmsg["rust"][7][3], self.kmsg["rust"][7][1]
        self.check("59 passed, 1 failed", "not ok: 007")

    def test_a_message_more(self):
        self.kmsg["rust"][7].append(self.kmsg["rust"][7][1])
        self.check("59 passed, 1 failed", "\n+6: livepatch: first\n")

    def test_another_error(self):
        self.records["rust"][7] = "# step 7\ninsmod: Invalid parameters\n"
        self.check("59 passed, 1 failed", "\n+insmod: Invalid parameters\n")

    def test_bytes_that_are_no_text(self):
        self.records["c"][7] += "\udcff\x0b\x85\n"
        self.records["rust"][7] += "\udcff\x0b\x85\n"
        self.assertEqual(self.compared()[0], "60 passed, 0 failed")

    def test_no_end(self):
        self.end["rust"] = []
        self.check("60 passed, 1 failed", "the tour with the core in Rust: it did not come to its end")

    def test_a_report(self):
        for line in "BUG: sleeping", "INFO: task hung", "Oops: 0000", "kernel BUG at x", "x: kernel BUG at x":
            with self.subTest(line):
                self.setUp()
                for core in compare.CORES:
                    self.kmsg[core][7].append("4,1,1,-;" + line)
                self.check("60 passed, 2 failed", "core in C: the kernel's own checks report: 4,1,1,-;" + line)

    def test_too_short(self):
        for core in compare.CORES:
            del self.records[core][STEPS], self.kmsg[core][STEPS]
        self.check("59 passed, 1 failed", "the tour: it has no more than 59 steps")
        self.assertEqual(self.compared(partial=True)[0], "59 passed, 0 failed")

    def test_both_wait_in_vain(self):
        for core in compare.CORES:
            self.records[core][7] = "# step 7\nTIMED OUT waiting for it\n"
        self.check("60 passed, 1 failed", "not ok: 007 step 7: a state was never reached: TIMED OUT waiting for it\n")

    def test_a_step_is_missing(self):
        del self.records["rust"][60], self.kmsg["rust"][60]
        self.check("59 passed, 1 failed", "not ok: 060 step 60\n")

    def test_nothing_is_recorded(self):
        self.records = {core: {} for core in compare.CORES}
        self.kmsg = {core: {} for core in compare.CORES}
        self.check("0 passed, 1 failed", "no more than 0 steps")


class Messages(unittest.TestCase):
    def of(self, *lines):
        return compare.messages("".join(line + "\n" for line in ("13,1,1,-;parity: begin 1 step", *lines)))[1]

    def test_level_without_facility(self):
        self.assertEqual(self.of("30,1,1,-;daemon, it says; so"), ["6: daemon, it says; so"])

    def test_addresses(self):
        self.assertEqual(self.of("6,1,1,-;at 0xffffffff81000000 and 00000000deadbeef, 0x1234, xdeadbeefdeadbeef"),
                         ["6: at ADDRESS and ADDRESS, 0x1234, xdeadbeefdeadbeef"])

    def test_warning(self):
        self.assertEqual(self.of("4,1,1,-;WARNING: a.c:1 at f", "4,1,1,-;Modules linked in: x", "4,1,1,-;CPU: 0 UID: 0",
                                 "4,1,1,-;---[ end trace 0000000000000000 ]---", "6,1,1,-;after"),
                         ["4: WARNING", "4: ---[ end trace ADDRESS ]---", "6: after"])

    def test_stack(self):
        self.assertEqual(self.of("4,1,1,-;CPU: 0 UID: 0", "4,1,1,-;Call Trace:", "4,1,1,-; </TASK>", "6,1,1,-;after"),
                         ["6: after"])

    def test_a_stack_ends_with_its_step(self):
        steps = compare.messages("13,1,1,-;parity: begin 1 a\n4,1,1,-;CPU: 0 UID: 0\n"
                                 "13,1,1,-;parity: begin 2 b\n6,1,1,-;message\n")
        self.assertEqual(steps, {1: [], 2: ["6: message"]})

    def test_by_chance(self):
        self.assertEqual(self.of("6,1,1,-;workqueue: f hogged CPU for", "6,1,1,-;clocksource: x", "6,1,1,-;sched: x",
                                 "6,1,1,-;rcu: x expedited y", "5,1,1,-;livepatch: signaling remaining tasks"), [])
        self.assertEqual(self.of("6,1,1,-;rcu: stall", "6,1,1,-;the sched: x"), ["6: rcu: stall", "6: the sched: x"])

    def test_outside_of_steps(self):
        self.assertEqual(compare.messages("6,1,1,-;boot\n13,1,1,-;parity: begin 3 x\n13,1,1,-;parity: end of the tour\n"
                                          "6,1,1,-;after\n"), {3: []})


SYMVERS = ("0x1\tklp_enable_patch\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"
           "0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n")
NM = ("ffffffff81000000 T klp_enable_patch\nffffffff81000001 D klp_key\nffffffff81000002 t local\n"
      "ffffffff81000003 R __ksymtab_klp_enable_patch\n")
HEADERS = ("int klp_enable_patch(struct klp_patch *);\nDECLARE_STATIC_KEY_FALSE(klp_key);\n"
           "static inline int klp_inline(void)\n")


class Builds(unittest.TestCase):
    def compared(self, symvers=SYMVERS, nm=NM, headers=HEADERS):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            comparison = compare.Comparison()
            compare.compare_builds({"c": (SYMVERS, NM), "rust": (symvers, nm)}, headers, comparison)
            comparison.totals()
        return output.getvalue()

    def test_same(self):
        self.assertEqual(self.compared(), "5 passed, 0 failed\n")

    def test_the_checksum_does_not_count(self):
        self.assertEqual(self.compared(symvers=SYMVERS.replace("0x1", "0x9")), "5 passed, 0 failed\n")

    def test_another_type_of_export(self):
        self.assertIn("not ok: exported klp_* symbols\n", self.compared(symvers=SYMVERS.replace("_GPL", "")))

    def test_a_mangled_symbol_more(self):
        text = self.compared(symvers=SYMVERS + "0x3\t_RNvLivePatch\tvmlinux\tEXPORT_SYMBOL\t\n")
        self.assertIn("not ok: exported symbols of the core\n", text)
        self.assertIn("\n+_RNvLivePatch vmlinux\n", text)

    def test_the_export_table(self):
        self.assertIn("not ok: export table of vmlinux\n", self.compared(nm=NM + "1 R __ksymtab_KLP_more\n"))

    def test_another_section(self):
        self.assertIn("not ok: declared: klp_key\n", self.compared(nm=NM.replace("D klp_key", "B klp_key")))

    def test_a_symbol_that_is_local(self):
        self.assertIn("not ok: declared: klp_key\n", self.compared(nm=NM.replace("D klp_key", "d klp_key")))

    def test_a_declaration_for_the_rust_core(self):
        alone = "#ifdef CONFIG_LIVEPATCH_RUST\nvoid klp_more(void);\n#else\nvoid klp_less(void);\n#endif\n"
        self.assertNotIn("klp_more", self.compared(headers=HEADERS + alone))
        self.assertIn("declared: klp_less", self.compared(headers=HEADERS + alone))

    def test_a_declaration_of_nothing(self):
        self.assertIn("declared: klp_more: it is not in the C core either", self.compared(headers=HEADERS + "void klp_more(void);\n"))
