# SPDX-License-Identifier: GPL-2.0

import unittest

from style.unsafe_reasons import LONGEST_BLOCK, check


class Reasons(unittest.TestCase):
    def test_findings(self):
        reason = "// SAFETY: `ptr` is not null, and points to a func by the requirements."
        long = "\n".join(["unsafe {"] + ["call();"] * LONGEST_BLOCK)
        cases = [
            ("a reason", f"{reason}\nunsafe {{ call() }};", []),
            ("no reason", "fn f() {\n    unsafe { call() };\n}", ["missing"]),
            ("another comment", "// A call.\nunsafe { call() };", ["missing"]),
            ("a reason for the line before", f"{reason}\nunsafe {{ a() }};\nunsafe {{ b() }};", ["missing"]),
            ("a reason above the statement", f"{reason}\nlet found =\n    unsafe {{ call() }};", []),
            ("a reason above an attribute", f"{reason}\n#[cfg(X)]\nunsafe {{ call() }};", []),
            ("two lines", "// SAFETY: By the type invariants,\n// `ptr` points to a func.\nunsafe { call() }", []),
            ("type invariants", "// SAFETY: By the type invariants.\nunsafe { call() }", ["bare"]),
            ("requirement", "// SAFETY: By the safety requirement.\nunsafe { call() }", ["bare"]),
            ("above", "// SAFETY: As above; the view is transparent.\nunsafe { call() }", ["bare"]),
            ("lives", "// SAFETY: The task lives.\nunsafe { call() }", ["bare"]),
            ("nothing", "// SAFETY: No requirements.\nunsafe { call() }", ["bare"]),
            ("bare twice", "// SAFETY: By the type invariants, and `Locked` excludes others.\nunsafe { call() }", ["bare"]),
            ("invariant first", f"// INVARIANT: A list.\n{reason}\nunsafe {{ call() }}", []),
            ("invariant last", "// SAFETY: As above.\n// INVARIANT: It is the head of a list of funcs.\nunsafe { call() }", ["bare"]),
            ("impl", "unsafe impl Sync for Table {}", ["missing"]),
            ("short block", f"{reason}\n{long}\n}}", []),
            ("long block", f"{reason}\n{long}\ncall();\n}}", ["long"]),
            ("comments in a block", f"{reason}\n{long}\n// One.\n\n// Two.\n}}", []),
            ("braces in a block", f"{reason}\nunsafe {{\nif a {{\ncall();\n}} else {{\ncall();\n}}\ncall();\n}}", ["long"]),
            ("a brace in a string", f"{reason}\nunsafe {{ call(\"{{\", '{{', b'}}') }}\n\n\n\n\n\n\nfn f() {{}}", []),
            ("an example", "/// unsafe { call() }\nfn f<'a>(x: &'a str) {}", []),
            ("a function", "unsafe fn f();\nunsafe extern \"C\" fn g();", []),
        ]
        for name, text, expected in cases:
            with self.subTest(name):
                found = [kind for kind, _, _ in check(text) if kind != "unsafe"]
                self.assertEqual(found, expected)
