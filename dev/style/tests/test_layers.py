# SPDX-License-Identifier: GPL-2.0

import pathlib
import tempfile
import unittest

from style.layers import Crate, uses


class Uses(unittest.TestCase):
    def test_tree_is_taken_apart(self):
        text = "use crate::{\n    a,\n    b::{\n        self,\n        C as D, //\n    }, //\n};\n"
        self.assertEqual(list(uses(text)), [("crate", "a"), ("crate", "b", "self"), ("crate", "b", "C")])

    def test_other_lines_are_none(self):
        self.assertEqual(list(uses("/// use crate::a;\nfn used() {}\n")), [])


class Layers(unittest.TestCase):
    def crate(self, **files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        for name, used in files.items():
            path = root / (name.replace("__", "/") + ".rs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"use {path};\n" for path in used))
        return Crate(root)

    def test_downward_is_right(self):
        crate = self.crate(
            hooks=["crate::patch::enable"],
            patch=["crate::edge::log::Text", "crate::model::rule"],
            edge__log=["crate::model::mod_item"],
            model__mod=[],
        )
        self.assertEqual((crate.upward(), crate.circles()), ([], []))
        self.assertEqual(len(crate.arrows), 4)

    def test_upward_is_found(self):
        crate = self.crate(patch=[], edge__log=["crate::patch::Kernel"], model__rule=["crate::edge::log"])
        self.assertEqual(
            crate.upward(),
            [(("edge", "log"), ("patch",)), (("model", "rule"), ("edge", "log"))],
        )

    def test_use_by_super_is_found(self):
        crate = self.crate(hooks=[], patch=["super::hooks::entry"])
        self.assertEqual(crate.upward(), [(("patch",), ("hooks",))])

    def test_circle_is_found(self):
        crate = self.crate(a=["crate::b"], b=["crate::c"], c=["crate::a"], d=["crate::a"])
        self.assertEqual(crate.circles(), [(("a",), ("b",), ("c",))])

    def test_tests_are_left_out(self):
        crate = self.crate(patch=[], tests__patch=["crate::patch"])
        self.assertEqual(list(crate.text), [("patch",)])
