# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nobody owns: links and routes of ours that no state knows, and rows about nothing."""
import os
import shutil
import sqlite3

import oracle
from findings import CheckTest
from library import DETACH_QUICK, Library
from topology import Bn, for_each_backend, wait_until

AT = ("--ip", "172.30.0.9", "--ip", "fd00:30::9")
GONE = {"network": "5" * 12, "endpoint": "6" * 12}


class StraysTest(CheckTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def strays(self):
        return [entry["object"] for entry in self.found()
                if entry["code"] in ("bridge-stray", "link-stray")]

    def make_strays(self):
        """A bridge with an endpoint's pair, and an ifb is not to be had everywhere."""
        namespace = self.net.endpoint("lost")
        self.host.batch(
            f"link add bn-lost type bridge\nlink set bn-lost alias bridgenet:{GONE['network']}\n"
            f"link add veth-lost type veth peer name eth0 netns {namespace.name}\n"
            f"link set veth-lost alias bridgenet:{GONE['network']}/c9\n"
            "link set veth-lost up master bn-lost\nlink set bn-lost up\n")
        return namespace

    def database(self):
        return sqlite3.connect(os.path.join(self.net.state, "state.db"), isolation_level=None)


@for_each_backend
class Links(StraysTest):
    def test_shown_and_taken_out_when_told(self):
        self.attach("net", "c1", *AT, "-p", "8080:80")
        before = self.net.host_state()
        self.make_strays()
        self.assertEqual(["bridge-stray", "link-stray"], self.codes())
        self.assert_clean("net")
        found = self.found()
        self.assertEqual({"bn-lost", "veth-lost"}, {entry["object"] for entry in found})
        for entry in found:
            self.assertIn(f"bridgenet:{GONE['network']}", entry["is"])
        for argv in ((), ("--plan",), ("--plan", "--remove-unknown")):
            self.assertEqual([False, False], [entry["repaired"] for entry in self.repair(*argv)])
            self.assertEqual(["bridge-stray", "link-stray"], self.codes())
        self.assertEqual([True, True],
                         [entry["repaired"] for entry in self.repair("--remove-unknown")])
        self.assertEqual(before, self.net.host_state())
        self.assert_clean()

    def test_renamed_ones_and_those_of_others(self):
        """By the mark alone: a name of ours is anybody's."""
        self.make_strays()
        self.host.batch("link set veth-lost down\nlink set veth-lost name other0\n"
                        "link set other0 up\nlink add bn-123456789012 type bridge\n"
                        "link set bn-123456789012 alias mine\n")
        self.assertEqual({"bn-lost", "other0"}, set(self.strays()))
        self.repair("--remove-unknown")
        self.assert_clean()
        self.assertIn("bn-123456789012", self.host.links())
        self.host.run("ip", "link", "del", "bn-123456789012")

    def test_what_a_quick_detach_has_left(self):
        """It goes with its namespace, and is nobody's business."""
        self.attach("net", "c1")
        before = set(self.host.links())
        library = Library(self.net, self.backend)
        self.addCleanup(library.close)
        library.detach("net", "c1", flags=DETACH_QUICK)
        self.assertEqual(before, set(self.host.links()))
        self.assert_clean()
        self.repair("--remove-unknown")
        self.assertEqual(before, set(self.host.links()))
        self.net.drop_endpoints()
        wait_until(lambda: set(self.host.links()) < before, what="the end of the pair")

    def test_of_another_state(self):
        """They are no business of this one, unless it is told that they are."""
        other = Bn(self.host, self.net.state + "/other", self.backend)
        other("network", "create", "more", "--subnet", "172.31.0.0/24")
        bridge = oracle.network(other, "more")["bridge"]
        self.assertEqual([bridge], self.strays())
        self.repair()
        self.assertIn(bridge, self.host.links())
        other("network", "rm", "more")

    def test_while_a_network_is_being_made(self):
        """What is on its way is nobody's stray."""
        process = self.bn.popen("attach", "net", "c1", "--netns", self.net.endpoint("c1").path)
        while process.poll() is None:
            self.assertEqual([], self.strays())
            self.repair("--remove-unknown")
        self.assertEqual(0, process.wait())
        self.assert_clean()


@for_each_backend
class Routes(StraysTest):
    def test_of_no_endpoint(self):
        self.attach("net", "c1", *AT, "--opt", "routes-for=10.77.0.0/16,fd00:77::/32")
        self.assert_clean()
        bridge = oracle.network(self.bn, "net")["bridge"]
        for route in (("10.78.0.0/16", "via", "172.30.0.9"), ("fd00:78::/32", "via", "fd00:30::9")):
            argv = (*route, "dev", bridge, "proto", "178")
            # one that does not have the mark, and one by another interface, are not ours
            self.host.run("ip", "route", "add", *route[:1], *route[1:], "dev", bridge,
                          "metric", "77", "proto", "static")
            self.host.run("ip", "route", "add", *argv)
            found = [entry for entry in self.found() if entry["code"] == "route-stray"]
            self.assertEqual([route[0]], [entry["object"] for entry in found])
            self.assertEqual(["net"], [entry["network"] for entry in found])
            self.repair()
            self.assert_clean()
            self.host.run("ip", "route", "del", *route[:1], "dev", bridge, "metric", "77")


@for_each_backend
class Rows(StraysTest):
    def test_an_address_of_nobody(self):
        """It is given again."""
        self.attach("net", "c1", *AT)
        with self.database() as database:
            database.execute("INSERT INTO addresses (network, family, address, endpoint) "
                             "VALUES ('net', 4, '172.30.0.66', 999)")
            database.execute("INSERT INTO addresses (network, family, address, released) "
                             "VALUES ('gone', 4, '172.30.9.66', 1)")
        entries = self.found()
        self.assertEqual({"state-row"}, {entry["code"] for entry in entries})
        self.assertEqual(["172.30.0.66", "172.30.9.66"],
                         sorted(entry["object"].split()[2] for entry in entries))
        namespace = self.net.endpoint("c2")
        self.fails("attach", "net", "c2", "--netns", namespace.path, "--ip", "172.30.0.66")
        self.repair()
        self.assert_clean()
        self.attach("net", "c2", "--ip", "172.30.0.66", namespace=namespace)

    def test_a_binding_without_a_network(self):
        self.attach("net", "c1", *AT)
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.assert_clean()
        cookie = f"{self.net.state}/state.db"
        with sqlite3.connect(cookie) as database:
            self.assertEqual("", self.binding(database))
        self.create("again")
        with sqlite3.connect(cookie) as database:
            binding = self.binding(database)
        self.bn("network", "rm", "again")
        with sqlite3.connect(cookie) as database:
            database.execute("UPDATE facts SET value = ? WHERE key = 'namespace'", (binding,))
        self.one("state-row")
        elsewhere = self.net.endpoint("elsewhere")
        refused = elsewhere.run(*self.bn.argv("network", "create", "there"), check=False)
        self.assertIn("another network namespace", refused.stderr)
        self.repair()
        self.assert_clean()
        elsewhere.run(*self.bn.argv("network", "create", "there"))
        elsewhere.run(*self.bn.argv("network", "rm", "there"))

    @staticmethod
    def binding(database):
        row = database.execute("SELECT value FROM facts WHERE key = 'namespace'").fetchone()
        return row[0] if row else ""

    def test_an_operation_of_a_dead_process(self):
        """A look shows it, and changes nothing; a repair ends it."""
        namespace = self.net.endpoint("c1")
        self.attach("net", "c1", *AT, namespace=namespace)
        with self.database() as database:
            database.execute("INSERT INTO operations (id, kind, lock) VALUES (999, 3, 999)")
            database.execute("UPDATE endpoints SET operation = 999")
        entry, = [entry for entry in self.found() if entry["code"] == "operation-dead"]
        self.assertEqual(("net", "c1", "attaching"),
                         (entry["network"], entry["endpoint"], entry["object"]))
        self.assertTrue(namespace.link("eth0"))
        self.repair()
        self.assert_clean()
        self.assertEqual([], oracle.endpoints(self.bn))
        self.assertNotIn("eth0", namespace.links())

    def test_a_state_that_is_damaged(self):
        """What the kernel has of rows that can't be told any more looks like nobody's: it stays."""
        namespace = self.attach("net", "c1", *AT, "-p", "8080:80")
        server = self.serve(namespace, 80)
        with self.database() as database:
            database.execute("UPDATE endpoints SET network = 'nes' WHERE id = 'c1'")
        before = self.net.host_state()
        damaged = [entry for entry in self.found() if entry["code"] == "state-damaged"]
        self.assertEqual(["endpoint c1 of a network nes"], [entry["object"] for entry in damaged])
        self.assertEqual([], [entry for entry in self.repair() if entry["repaired"]])
        self.assertEqual(before, self.net.host_state())
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, server[4])
        self.repair("--remove-unknown")
        self.repair("--remove-unknown")
        self.assert_clean()
        self.assertNotIn("eth0", namespace.links())
        self.attach("net", "c1", *AT, "-p", "8080:80", namespace=namespace)
        self.assert_clean()

@for_each_backend
class Lost(StraysTest):
    def lose(self, *names):
        for name in names or os.listdir(self.net.state):
            path = os.path.join(self.net.state, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def test_the_state_is_lost(self):
        """All that stands is shown by its marks, and goes when that is said."""
        namespace = self.attach("net", "c1", *AT, "-p", "8080:80")
        bridge = oracle.network(self.bn, "net")["bridge"]
        end, = (name for name, link in self.host.links().items()
                if str(link.get("ifalias", "")).endswith("/c1"))
        self.lose()
        before = self.net.host_state()
        self.assertEqual({bridge, end}, set(self.strays()))
        self.repair()
        self.assertEqual(before["links"], self.net.host_state()["links"])
        self.assertTrue(namespace.link("eth0"))
        self.repair("--remove-unknown")
        self.assert_clean()
        self.assertNotIn("eth0", namespace.links())
        self.assertEqual(self.net.pristine["links"], self.net.host_state()["links"])
        self.create(dual=True)
        self.attach("net", "c1", *AT, "-p", "8080:80", namespace=namespace)
        self.assert_clean()

    def test_what_is_made_meanwhile_does_not_collide(self):
        """Neither a subnet nor a host port is given twice."""
        self.attach("net", "c1", *AT, "-p", "8080:80")
        self.lose()
        self.fails("network", "create", "net", "--subnet", "172.30.0.0/24", mention="172.30.0.0/24")
        self.create("more")
        self.assertNotIn("172.30.", str(oracle.network(self.bn, "more")["subnets"]))
        namespace = self.net.endpoint("c2")
        refused = self.bn.result("attach", "more", "c2", "--netns", namespace.path,
                                 "-p", "8080:80")
        self.assertIn("8080", refused.stderr)
        self.assertEqual(1, refused.returncode)
        self.attach("more", "c2", "-p", "8081:80", namespace=namespace)
        self.repair("--remove-unknown")
        self.assert_clean()
        self.bn("publish", "more", "c2", "-p", "8080:80")
