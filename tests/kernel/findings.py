# SPDX-License-Identifier: LGPL-2.1-or-later
"""What check and repair say, by the command line."""
import json

from topology import KernelTest

FOUND = 3


class CheckTest(KernelTest):
    def ask(self, verb, *argv):
        """The findings, each as what bn prints of it."""
        result = self.bn.result("--json", verb, *argv)
        self.assertIn(result.returncode, (0, FOUND), result.stderr)
        answer = json.loads(result.stdout)
        left = [entry for entry in answer["findings"] if not entry["repaired"]]
        self.assertEqual(not left, answer["ok"])
        self.assertEqual(FOUND if left else 0, result.returncode)
        return answer["findings"]

    def found(self, *argv):
        return self.ask("check", *argv)

    def codes(self, *argv):
        return sorted(entry["code"] for entry in self.found(*argv))

    def one(self, code, *argv, **fields):
        """The only finding there is, which has that code, and these fields."""
        entries = self.found(*argv)
        self.assertEqual([code], [entry["code"] for entry in entries], entries)
        for key, value in fields.items():
            self.assertEqual(value, entries[0][key], entries[0])
        return entries[0]

    def repair(self, *argv):
        return self.ask("repair", *argv)

    def assert_clean(self, *argv):
        self.assertEqual([], self.found(*argv))
