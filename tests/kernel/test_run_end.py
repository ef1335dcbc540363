# SPDX-License-Identifier: LGPL-2.1-or-later
"""bn run: signals to any of its processes, at any time."""
import contextlib
import fcntl
import itertools
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import time
import unittest

from running import ROLES, WITHOUT_ADMIN, RunTest, kill, parent, status
from topology import BACKENDS, PATIENCE, for_backend, wait_until

# Says the name of each signal that it gets.
COUNTER = """
import os, signal, sys, time
def say(number, frame):
    os.write(out, signal.Signals(number).name.encode() + b" ")
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2"):
    signal.signal(getattr(signal, "SIG" + name), say)
open(sys.argv[2], "w").close()
while True:
    time.sleep(1)
"""

ROUNDS = 24


def is_bn(pid):
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "bn"
    return False


@for_backend(BACKENDS[0])
class Death(RunTest):
    """SIGKILL to any of the processes, and to two at once, whenever it comes."""

    VICTIMS = [set(chosen) for count in (1, 2) for chosen in itertools.combinations(ROLES, count)]

    def kill(self, process, pids, victims):
        for pid in (pids[role] for role in ROLES if role in victims):
            kill(pid)
        process.wait(PATIENCE)

    def test_while_it_runs(self):
        for detach, victims in itertools.product(((), ("-d",)), self.VICTIMS):
            if detach and "front" in victims:
                continue
            with self.subTest(detach=detach, victims=victims):
                process = self.start(*detach, "--", *self.daemon())
                pids = self.roles()
                self.kill(process, pids, victims)
                if detach or "front" not in victims:
                    self.assertEqual(0 if detach else 137, process.returncode)
                if "supervisor" not in victims or not detach and "front" not in victims:
                    self.gone()
                else:
                    self.collected()

    def test_while_it_is_attached(self):
        for victims in self.VICTIMS:
            with self.subTest(victims=victims):
                with self.attach_held():
                    process = self.start("--", *self.noting())
                    pids = self.roles_held()
                    for role in victims:
                        kill(pids[role])
                process.wait(PATIENCE)
                self.assertNotEqual(0, process.returncode)
                self.collected()
                self.assertFalse(os.path.exists(self.ready), "the command was run")

    def test_at_any_time(self):
        """As often as that, or for BN_SECONDS."""
        end = time.monotonic() + float(os.environ.get("BN_SECONDS") or 0)
        killed = 0
        for round_ in itertools.count():
            if round_ >= ROUNDS and time.monotonic() > end:
                break
            seed = time.monotonic_ns()
            chance = random.Random(seed)
            detach = chance.choice(((), ("-d",)))
            process = self.start(*detach, "--", *self.daemon())
            time.sleep(chance.uniform(0, 0.1))
            left = list(filter(is_bn, self.processes_left())) or [process.pid]
            victims = chance.sample(left, chance.choice((1, len(left))))
            with self.subTest(round=round_, seed=seed, detach=detach, left=left, victims=victims):
                for pid in victims:
                    kill(pid)
                process.wait(PATIENCE)
                # one that has detached lives on where its front alone was killed
                for pid in filter(is_bn, self.processes_left() if detach else ()):
                    victims.append(pid)
                    kill(pid)
                killed += len(victims)
                self.collected()
        print("# figure processes-of-bn-run-killed", killed, file=sys.stderr)

    def test_of_a_supervisor_that_is_stopped(self):
        process = self.start("--", *self.noting())
        pids = self.roles()
        kill(pids["first"], signal.SIGSTOP)
        kill(pids["supervisor"], signal.SIGSTOP)
        kill(pids["supervisor"])
        self.assertEqual(137, process.wait(PATIENCE))
        self.gone()

    def test_where_no_pid_namespace_can_be(self):
        """As it was without: the command dies with its supervisor; a warning says so."""
        for victim in "front", "supervisor", "command":
            with self.subTest(victim=victim):
                process = self.host.popen(*WITHOUT_ADMIN, *self.bn.argv(
                    "run", "--network", "host", "--", *self.noting()), text=True,
                    stderr=subprocess.PIPE)
                self.processes.append(process)
                wait_until(lambda: os.path.exists(self.ready), what="the command")
                os.unlink(self.ready)
                parents = {parent(pid): pid for pid in self.processes_left()}
                pids = {"front": process.pid, "supervisor": parents[process.pid]}
                pids["command"] = parents[pids["supervisor"]]
                kill(pids[victim])
                process.wait(PATIENCE)
                self.ended()
                self.assertRegex(process.stderr.read(), r"\Abn: [^\n]*pid namespace[^\n]*\n")
                self.collected()


@for_backend(BACKENDS[0])
class Signals(RunTest):
    def setUp(self):
        super().setUp()
        self.terminals = []

    def tearDown(self):
        super().tearDown()
        for terminal in self.terminals:
            terminal.close()

    def counting(self, *before):
        self.counts = self.path("counts")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.counts)
        return before + (sys.executable, "-c", COUNTER, self.counts, self.ready)

    def got(self, *names):
        """Just these, and no more of them a moment later."""
        def said():
            with open(self.counts) as file:
                return tuple(file.read().split())
        wait_until(lambda: len(said()) >= len(names), what=f"{names}")
        time.sleep(0.1)
        self.assertEqual(names, said())

    def on_terminal(self, *argv, shell=()):
        """bn run on a terminal of its own, at its head if no shell is."""
        ours, other = pty.openpty()
        self.terminal = open(ours, "wb", buffering=0)
        self.terminals.append(self.terminal)
        process = self.host.popen(
            *shell, *self.bn.argv("run", "--network", "net", *argv), stdin=other, stdout=other,
            stderr=other, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        self.processes.append(process)
        return process

    def test_each_once(self):
        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
        for detach, role in itertools.product(((), ("-d",)), ROLES):
            if detach and role == "front":
                continue
            with self.subTest(detach=detach, role=role):
                process = self.start(*detach, "--", *self.counting())
                pids = self.roles()
                for count, name in enumerate(names, 1):
                    kill(pids[role], getattr(signal, name))
                    self.got(*names[:count])
                kill(pids["command"])
                self.assertEqual(0 if detach else 137, process.wait(PATIENCE))
                self.gone()

    def test_interrupt_on_a_terminal(self):
        """Also for a command that has left the terminal's group, and under a shell."""
        shell = ("bash", "-c", 'set -m; "$@"; exit $?', "bash")
        for before, shell in itertools.product(((), ("setsid",)), ((), shell)):
            with self.subTest(before=before, shell=shell):
                process = self.on_terminal("--", *self.counting(*before), shell=shell)
                pids = self.roles()
                self.terminal.write(b"\x03")
                self.got("SIGINT")
                self.terminal.write(b"\x1c")
                self.got("SIGINT", "SIGQUIT")
                kill(pids["command"])
                self.assertEqual(137, process.wait(PATIENCE))
                self.gone()

    def test_interrupt_is_not_for_who_has_detached(self):
        self.on_terminal("-d", "--", *self.counting(),
                         shell=("bash", "-c", 'trap : INT; "$@"; while :; do sleep 1; done', "sh"))
        pids = self.roles()
        wait_until(lambda: not status(pids["front"], "State") or
                   pids["front"] not in self.processes_left(), what="the front gone")
        self.terminal.write(b"\x03")
        time.sleep(0.2)
        kill(pids["supervisor"], signal.SIGUSR1)
        self.got("SIGUSR1")

    def test_interrupt_while_it_is_attached(self):
        for detach, status_ in ((), 130), (("-d",), 0):
            with self.subTest(detach=detach):
                with self.attach_held():
                    process = self.on_terminal(*detach, "--", *self.noting())
                    self.roles_held()
                    self.terminal.write(b"\x03")
                    time.sleep(0.05)
                self.assertEqual(status_, process.wait(PATIENCE))
                self.gone()
                self.assertFalse(os.path.exists(self.ready), "the command was run")

    def test_interrupt_at_any_time(self):
        """Before there is a command too: it does not run on."""
        for round_ in range(24):
            process = self.on_terminal("--", "sleep", "1000")
            delay = random.uniform(0, 0.02)
            with self.subTest(round=round_, delay=delay):
                time.sleep(delay)
                self.terminal.write(b"\x03")
                self.assertIn(process.wait(PATIENCE), (130, -signal.SIGINT))
                self.gone()

    def test_hangup(self):
        process = self.on_terminal("--", *self.counting())
        pids = self.roles()
        self.terminal.close()
        self.got("SIGHUP")
        kill(pids["command"])
        process.wait(PATIENCE)
        self.gone()

    def test_stop_and_go_on(self):
        stopped, go = self.path("stopped"), self.path("go")
        script = f'set -m; "$@"; : >{stopped}; until [ -e {go} ]; do sleep 0.01; done; fg; exit $?'
        process = self.on_terminal("--", *self.counting(), shell=("bash", "-c", script, "bash"))
        pids = self.roles()
        self.terminal.write(b"\x1a")
        wait_until(lambda: os.path.exists(stopped), what="the shell")
        wait_until(lambda: status(pids["command"], "State")[0] == "T", what="stopping")
        open(go, "w").close()
        wait_until(lambda: status(pids["command"], "State")[0] != "T", what="going on")
        self.terminal.write(b"\x03")
        self.got("SIGINT")
        kill(pids["command"])
        self.assertEqual(137, process.wait(PATIENCE))
        self.gone()

    def test_ignored_by_the_command(self):
        process = self.start("--", *self.daemon())
        pids = self.roles()
        for role in ROLES:
            kill(pids[role], signal.SIGTERM)
        time.sleep(0.1)
        self.assertIsNone(process.poll())
        process.kill()
        self.gone()


if __name__ == "__main__":
    unittest.main()
