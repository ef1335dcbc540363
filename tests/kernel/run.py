# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run the unittest files named and print one line for each case: run.py [--list] [-k PATTERN] FILE...

PATTERN is a regular expression, looked for in the names of the cases; BN_CASES in the environment is
another way to give it. With --list the names are printed and nothing runs.
"""

import argparse
import importlib.util
import os
import pathlib
import re
import sys
import unittest


class Lines(unittest.TestResult):
    """One line when a case ends, with what it says when it failed."""

    def startTest(self, test):
        super().startTest(test)
        self.problems = []
        self.reason = None

    def stopTest(self, test):
        super().stopTest(test)
        name = test.id()
        if self.problems:
            print(f"not ok {name}")
            print("    " + "\n".join(self.problems).rstrip().replace("\n", "\n    "))
        elif self.reason is not None:
            print(f"skipped {name}: {self.reason}")
        else:
            print(f"ok {name}")
        sys.stdout.flush()

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.suite._ErrorHolder):
            print(f"skipped {test.id()}: {reason}", flush=True)
        else:
            self.reason = reason

    def addFailure(self, test, err):
        self.problem(test, err)

    def addError(self, test, err):
        self.problem(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.problem(subtest, err)

    def addUnexpectedSuccess(self, test):
        self.problems.append("passes, and was expected to fail")
        self.failures.append((test, self.problems[-1]))

    def problem(self, test, err):
        text = self._exc_info_to_string(err, test)
        self.failures.append((test, text))
        if isinstance(test, unittest.suite._ErrorHolder):
            # setUpClass, setUpModule or a tearDown of theirs: no case is running.
            print(f"not ok {test.id()}")
            print("    " + text.rstrip().replace("\n", "\n    "), flush=True)
        else:
            self.problems.append(text)


def load(path):
    path = pathlib.Path(path).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-k", dest="pattern", default=os.environ.get("BN_CASES", ""))
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True
    wanted = [test for path in arguments.files for test in cases(load(path))
              if re.search(arguments.pattern, test.id())]
    if arguments.list:
        print(*(test.id() for test in wanted), sep="\n")
        return 0
    result = Lines()
    unittest.TestSuite(wanted).run(result)
    if result.testsRun == 0 and not result.skipped:
        print("not ok no case was found")
        return 1
    return 0 if not result.failures else 1


if __name__ == "__main__":
    sys.exit(main())
