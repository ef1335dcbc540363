# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state and its place: whose it is, which namespace and boot it is about, and that it stays."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import unittest

import oracle
from topology import NOBODY, PATIENCE, Bn, KernelTest, for_each_backend

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FILES = ("state.db", "state.db-wal", "state.db-shm", "operations.lock", "generation")
SO_NETNS_COOKIE = 71
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@contextlib.contextmanager
def database(state):
    """The state's own, for what the library would never write."""
    connection = sqlite3.connect(os.path.join(state, "state.db"), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def fact(state, key, value=None):
    with database(state) as connection:
        if value is not None:
            connection.execute("UPDATE facts SET value = ? WHERE key = ?", (value, key))
        row = connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
    return row[0] if row else ""


def bridge_id(state):
    with database(state) as connection:
        return connection.execute(
            "SELECT id FROM networks WHERE name = 'bridge' AND builtin").fetchone()[0]


def cookie(namespace):
    with namespace.socket(4) as made:
        return struct.unpack("Q", made.getsockopt(1, SO_NETNS_COOKIE, 8))[0]


def as_first_release(state):
    """Write a state as the first release had it: its tables and modes, nothing that came later."""
    with sqlite3.connect(os.path.join(state, "old.db"), isolation_level=None) as old:
        old.executescript((SOURCE / "tests/kernel/fixtures/state-1.sql").read_text())
        old.execute("ATTACH ? AS today", (os.path.join(state, "state.db"),))
        old.execute("DELETE FROM operations")
        tables = [row[0] for row in
                  old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}")
        old.execute("UPDATE facts SET value = substr(value, 1, instr(value, ' ') - 1) "
                    "WHERE key = 'namespace'")
        old.execute("DETACH today")
    old.close()
    for name in FILES:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(state, name))
    os.rename(os.path.join(state, "old.db"), os.path.join(state, "state.db"))
    os.chmod(os.path.join(state, "state.db"), 0o644)
    os.chmod(state, 0o755)


@for_each_backend
class FirstRelease(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.attach("bridge", "c2")
        as_first_release(self.net.state)

    def test_works_on(self):
        """What it made is listed, changed and removed, and nothing of it stays."""
        self.assertEqual({"c1", "c2"}, {entry["endpoint"] for entry in oracle.endpoints(self.bn)})
        self.assertEqual(0o700, mode(self.net.state))
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            self.assertEqual(0o600, mode(os.path.join(self.net.state, name)))
        self.bn("publish", "net", "c1", "-p", "8081:81")
        listeners = {port: self.serve(self.namespace, port, (4,))[4] for port in (80, 81)}
        for port, listener in listeners.items():
            self.assert_tcp(self.remote, self.net.host_address(4), 8000 + port, listener)
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.bn("detach", "net", "c1")
        self.bn("detach", "bridge", "c2")
        self.bn("network", "rm", "net")
        self.bn("network", "rm", "bridge")
        self.assertEqual([], self.left_over())

    def test_learns_which_namespaces(self):
        before = fact(self.net.state, "namespace")
        self.assertEqual(1, len(before.split()))
        self.bn("publish", "net", "c1", "-p", "8081:81")
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.assertEqual(f"{before} {cookie(self.host)} {boot}", fact(self.net.state, "namespace"))
        with database(self.net.state) as connection:
            found = dict(connection.execute("SELECT id, sandbox_cookie FROM endpoints"))
        self.assertEqual({endpoint.name.rsplit("-", 1)[1]: cookie(endpoint)
                          for endpoint in self.net.endpoints}, found)

    def test_of_another_namespace(self):
        elsewhere = self.net.endpoint("elsewhere")
        result = elsewhere.run(*self.bn.argv("network", "create", "other"), check=False)
        self.assertEqual(1, result.returncode)
        self.assertIn("another network namespace", result.stderr)


@for_each_backend
class Owner(KernelTest):
    def test_other_users(self):
        """They neither read a label nor hold a writer up."""
        self.create("net", "--opt", "label.secret=xyzzy")
        for argv in (("network", "ls"), ("network", "inspect", "net"), ("ps",), ("rules", "--plan"),
                     ("network", "create", "other")):
            result = self.bn.result(*argv, **AS_NOBODY)
            self.assertEqual(1, result.returncode, argv)
            self.assertNotIn("xyzzy", result.stdout + result.stderr)
            self.assertIn("belongs to user 0", result.stderr)
        for name in FILES:
            path = os.path.join(self.net.state, name)
            self.assertEqual(0o600, mode(path))
            result = self.host.run("cat", path, check=False, **AS_NOBODY)
            self.assertEqual(1, result.returncode, name)

    def test_lock_of_another_user(self):
        """The one lock that stopped every verb: for reading, on the shared memory."""
        self.create()
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                file = open(self.net.state + "/state.db-shm", "rb")
                fcntl.lockf(file, fcntl.LOCK_SH, 1, 120)
                os.write(told, b"held")
            except PermissionError:
                os.write(told, b"refused")
            signal.pause()
            os._exit(1)
        try:
            self.assertEqual(b"refused", os.read(ready, 16))
            self.create("second", timeout=PATIENCE)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(ready)
            os.close(told)

    def test_directory_of_another_user(self):
        path = self.net.state + "-nobody"
        os.mkdir(path, 0o700)
        os.chown(path, NOBODY, NOBODY)
        other = Bn(self.host, path, self.backend)
        try:
            for argv in (("network", "ls"), ("network", "create", "net")):
                result = other.result(*argv)
                self.assertEqual(1, result.returncode)
                self.assertIn("belongs to user 65534", result.stderr)
            self.assertEqual([], os.listdir(path))
        finally:
            os.rmdir(path)

    def test_file_system_that_cannot_be_written(self):
        self.create()
        os.mkdir(self.net.state + "-read")
        frozen = Bn(self.host, self.net.state + "-read", self.backend)
        try:
            subprocess.run(["mount", "--bind", self.net.state, frozen.state], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", frozen.state], check=True)
            self.assertEqual(oracle.networks(self.bn), oracle.networks(frozen))
            self.assertEqual(self.bn("ps"), frozen("ps"))
            result = frozen.result("network", "create", "other")
            self.assertEqual(1, result.returncode)
            self.assertIn("can't be written", result.stderr)
        finally:
            subprocess.run(["umount", frozen.state], check=False)
            os.rmdir(frozen.state)

    def test_user_namespace(self):
        """The machine's own directories belong to a user that is unknown there."""
        state = f"/run/user-namespace-{os.getpid()}"
        result = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "--net", "bash", "-c",
             'mount -t tmpfs -o mode=0755 tmpfs /run && "$@" network create net && '
             '"$@" network rm net', "bash", *self.bn.argv()[:1], "--state-dir", state,
             "--backend", self.backend], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            user=NOBODY, group=NOBODY, extra_groups=())
        if "Operation not permitted" in result.stderr and "unshare" in result.stderr:
            self.skipTest("no user namespaces here")
        self.assertEqual((0, ""), (result.returncode, result.stderr))


@for_each_backend
class Namespaces(KernelTest):
    def of_a_namespace(self):
        """A state of its own with a network, and the namespace that it is about."""
        home = self.net.namespace("home")
        state = Bn(home, self.net.state + "-own", self.backend)
        self.addCleanup(shutil.rmtree, state.state, ignore_errors=True)
        state("network", "create", "net")
        return home, Bn(self.host, state.state, self.backend)

    def forget(self, home):
        home.delete()
        self.net.namespaces.remove(home)

    def test_taken_over_when_it_has_gone(self):
        home, here = self.of_a_namespace()
        identity = bridge_id(here.state)
        for argv in (("network", "rm", "net"), ("network", "create", "other")):
            result = here.result(*argv)
            self.assertEqual(1, result.returncode)
            self.assertIn("--take-over-state", result.stderr)
        result = here.result("--take-over-state", "if-gone", "network", "create", "other")
        self.assertEqual(1, result.returncode)
        self.assertIn("still exists", result.stderr)
        self.forget(home)
        self.assertEqual(1, here.result("network", "create", "other").returncode)
        here("--take-over-state", "if-gone", "network", "create", "other")
        self.assertEqual({"bridge", "host", "none", "other"},
                         {entry["name"] for entry in oracle.networks(here)})
        self.assertEqual(identity, bridge_id(here.state))
        here("network", "rm", "other")

    def test_taken_over_at_any_rate(self):
        home, here = self.of_a_namespace()
        here("--take-over-state", "yes", "network", "create", "other")
        here("network", "rm", "other")
        self.forget(home)

    def test_option_changes_nothing_at_home(self):
        self.create()
        self.bn("--take-over-state", "yes", "network", "create", "other")
        self.assertEqual({"bridge", "host", "none", "net", "other"},
                         {entry["name"] for entry in oracle.networks(self.bn)})

    def test_another_boot(self):
        """All that it says has gone with the kernel that had it."""
        self.create("old", "--subnet", "172.30.0.0/24")
        elsewhere = self.net.namespace("after-boot")
        there = Bn(elsewhere, self.net.state + "-boot", self.backend)
        self.addCleanup(shutil.rmtree, there.state, ignore_errors=True)
        shutil.copytree(self.net.state, there.state)
        os.unlink(there.state + "/generation") # a copy may be older than what is copied next
        identity = bridge_id(there.state)
        now = fact(there.state, "namespace").split()
        fact(there.state, "namespace", " ".join(now[:2] + ["0" * 8 + now[2][8:]]))
        with database(there.state) as connection:
            connection.execute("INSERT INTO operations (id, kind) VALUES (99, 2)")
        self.assertEqual(["bridge", "host", "none"],
                         sorted(entry["name"] for entry in oracle.networks(there)))
        there("network", "create", "new", "--subnet", "172.30.0.0/24")
        self.assertEqual(identity, bridge_id(there.state))
        there("network", "rm", "new")

    def test_two_share_a_fresh_state(self):
        """The first to reserve something has it, whoever looked first."""
        pair = [self.net.namespace("one"), self.net.namespace("two")]
        for number in range(12):
            state = f"{self.net.state}-shared{number}"
            self.addCleanup(shutil.rmtree, state, ignore_errors=True)
            runs = [Bn(home, state, self.backend).popen(
                "network", "create", f"net{i}", "--subnet", f"10.{i}.0.0/16",
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i, home in enumerate(pair)]
            answers = [process.communicate() for process in runs]
            results = [process.returncode for process in runs]
            self.assertEqual([0, 1], sorted(results), answers)
            self.assertIn("another network namespace", answers[results.index(1)][1])
            winner = results.index(0)
            Bn(pair[winner], state, self.backend)("network", "rm", f"net{winner}")

    def test_endpoint_of_a_number_given_again(self):
        """Same device, same inode, another namespace: no longer where the endpoint is."""
        self.create()
        self.attach("net", "c1")
        self.assertIn("rx_packets", self.bn("--json", "ps", "-v"))
        with database(self.net.state) as connection:
            connection.execute("UPDATE endpoints SET sandbox_cookie = sandbox_cookie + 1")
        self.assertNotIn("rx_packets", self.bn("--json", "ps", "-v"))


@for_each_backend
class Replaced(KernelTest):
    def setUp(self):
        super().setUp()
        # what is lost from the state is taken from the kernel by hand
        self.expect_clean = False

    @staticmethod
    def ask(context, name, subnet):
        print(name, subnet, file=context.stdin, flush=True)
        return context.stdout.readline().strip()

    def test_directory(self):
        """A context that lives on sees what is there now: no subnet is given twice."""
        context = self.fixture("context.py")
        self.assertEqual("ok", self.ask(context, "one", "10.1.0.0/16"))
        shutil.rmtree(self.net.state)
        self.create("two", "--subnet", "10.2.0.0/16")
        self.assertIn("10.2.0.0/16", self.ask(context, "three", "10.2.0.0/16"))
        self.assertEqual("ok", self.ask(context, "four", "10.4.0.0/16"))
        self.assertEqual({"bridge", "host", "none", "two", "four"},
                         {entry["name"] for entry in oracle.networks(self.bn)})

    def test_database(self):
        context = self.fixture("context.py")
        self.assertEqual("ok", self.ask(context, "one", "10.1.0.0/16"))
        os.unlink(self.net.state + "/state.db")
        self.assertIn("older than its last change", self.ask(context, "two", "10.2.0.0/16"))
        for name in ("state.db", "state.db-wal", "state.db-shm", "generation"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.net.state, name))
        self.assertEqual("ok", self.ask(context, "three", "10.3.0.0/16"))


if __name__ == "__main__":
    unittest.main()
