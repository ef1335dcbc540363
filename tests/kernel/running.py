# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of bn run share: its processes, whoever their parents are by now."""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile

import oracle
from topology import BUILD, Bn, KernelTest, bn_binary, wait_until

ROLES = ("front", "supervisor", "first", "command")
WITHOUT_ADMIN = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")

# Leaves a process that does not hear, out of reach of all that asks; makes a file, and ends, or
# does not.
DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
os.wait()
open(sys.argv[1], "w").close()
time.sleep(float(sys.argv[2]))
"""


def status(pid, field):
    """The words of a field of a process's status; none once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(line for line in file if line.startswith(field + ":")).split()[1:]
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return []


def parent(pid):
    return int((status(pid, "PPid") or [0])[0])


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class MarkedBn(Bn):
    """The program itself, without libtool's script, and with a mark in its environment."""

    def __init__(self, bn, mark):
        super().__init__(bn.host, bn.state, bn.backend)
        self.mark = mark

    def argv(self, *argv):
        program = os.path.join(BUILD, ".libs", "bn")
        return ("env", self.mark, f"LD_LIBRARY_PATH={BUILD}/.libs",
                program if os.path.exists(program) else bn_binary()) + super().argv(*argv)[1:]


class RunTest(KernelTest):
    """All that a test's bn starts bears a mark in its environment."""

    def setUp(self):
        super().setUp()
        self.directory = tempfile.TemporaryDirectory()
        self.ready = self.path("ready")
        self.mark = f"BN_TEST_RUN={os.path.basename(self.directory.name)}"
        self.seen = set()
        self.bn = MarkedBn(self.bn, self.mark)
        self.create(dual=True)

    def tearDown(self):
        for pid in self.processes_left():
            kill(pid)
        super().tearDown()
        self.directory.cleanup()

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def processes_left(self):
        """A process that dies loses its mark before its namespaces, so those seen count too."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                if self.mark.encode() in file.read().split(b"\0"):
                    self.seen.add(int(pid))
        self.seen = {pid for pid in self.seen
                     if (status(pid, "State") or ["X"])[0] not in ("Z", "X")}
        return sorted(self.seen)

    def roles(self):
        """The processes by what they are, once the command has said that it runs."""
        wait_until(lambda: os.path.exists(self.ready), what="the command")
        os.unlink(self.ready)
        return self.roles_now()

    def roles_now(self):
        pids = {}
        for pid in self.processes_left():
            numbers = status(pid, "NSpid")
            if len(numbers) > 1 and numbers[-1] in ("1", "2"):
                pids["first" if numbers[-1] == "1" else "command"] = pid
        pids["supervisor"] = parent(pids["first"])
        pids["front"] = parent(pids["supervisor"])
        return pids

    def noting(self, *command):
        """The command, which says that it runs."""
        return ("sh", "-c", f': >{self.ready}; exec "$@"', "sh") + (command or ("sleep", "1000"))

    def start(self, *argv, network="net", **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = self.bn.popen("run", "--network", network, *argv, **options)
        self.processes.append(process)
        return process

    def result(self, *argv, network="net", **options):
        return self.bn.result("run", "--network", network, *argv, **options)

    def start_detached(self, *command, name="web"):
        result = self.result("-d", "--name", name, "--json", "--", *command)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        return json.loads(result.stdout)

    @contextlib.contextmanager
    def attach_held(self):
        """Nothing is attached meanwhile: the command is there, and waits."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.bn.state, "state.db"),
                                                isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")

    def roles_held(self):
        def both():
            numbers = [status(pid, "NSpid")[1:] for pid in self.processes_left()]
            return ["1"] in numbers and ["2"] in numbers
        wait_until(both, what="the command's process")
        return self.roles_now()

    def daemon(self, seconds=1000):
        """A command that leaves another behind, and then says that it runs."""
        return (sys.executable, "-c", DAEMON, self.ready, str(seconds))

    def ended(self):
        wait_until(lambda: not self.processes_left(), what="all processes gone")

    def links(self):
        bridge = oracle.network(self.bn, "net")["bridge"]
        return [name for name, link in self.host.links().items() if link.get("master") == bridge]

    def gone(self):
        """No endpoint, link, rule or process, soon."""
        self.ended()
        wait_until(lambda: not oracle.endpoints(self.bn), what="the endpoint gone")
        self.assertEqual({}, self.oracle.ports())
        wait_until(lambda: not self.links(), what="its link gone")

    def collected(self):
        """All processes are gone, and what nobody is left to undo goes with the next change."""
        self.ended()
        # the kernel takes its time with what was in the namespace
        wait_until(lambda: not self.links(), what="its link gone")
        self.bn("network", "create", "next")
        self.bn("network", "rm", "next")
        self.gone()
