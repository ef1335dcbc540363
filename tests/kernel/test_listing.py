# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists beside calls that change what is listed, and lists of a state that was damaged."""
import os
import sqlite3
import threading
import time

import oracle
from topology import BACKENDS, KernelTest, for_each_backend

OTHER = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}
SECONDS = 3


class Beside(threading.Thread):
    """Does one thing over and over until it is stopped."""

    def __init__(self, work):
        super().__init__()
        self.work, self.failure = work, None
        self.stop = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self):
        try:
            while not self.stop.is_set():
                self.work()
        except Exception as failure:
            self.failure = failure


@for_each_backend
class Listing(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.attach("net", "c1", "-p", "8080:80", "-p", "127.0.0.1:9000:90")

    def until(self):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            yield

    def test_rules_while_the_state_moves(self):
        if len(BACKENDS) < 2:
            self.skipTest("BN_BACKENDS names one backend alone")
        self.bn.backend = "auto"
        dnats = {len(self.dnats()), self.moved(OTHER[self.backend]), self.moved(self.backend)}

        def move():
            self.moved(OTHER[self.backend])
            self.moved(self.backend)

        def look(*network):
            self.assertIn(len(self.dnats(*network)), dnats)

        with Beside(move), Beside(look), Beside(look), Beside(lambda: look("net")):
            for _ in self.until():
                look()

    def dnats(self, *network):
        return [rule for rule in oracle.rules(self.bn, "-v", *network) if rule["target"] == "DNAT"]

    def moved(self, name):
        self.bn("backend", "switch", name)
        return len(self.dnats())

    def test_network_that_comes_and_goes(self):
        lasting = self.net.endpoint("c2")
        wrong = []

        def come_and_go():
            self.bn("network", "create", "brief", "--subnet", "172.30.9.0/24")
            self.bn("attach", "brief", "c2", "--netns", lasting.path)
            self.bn("detach", "brief", "c2")
            self.bn("network", "rm", "brief")

        with Beside(come_and_go):
            for _ in self.until():
                for argv in (("network", "ls"), ("ps",), ("ps", "-v"), ("rules",),
                             ("rules", "-v", "net"), ("network", "inspect", "net")):
                    self.bn("--json", *argv)
                result = self.bn.result("--json", "network", "inspect", "brief")
                if result.returncode and "no network brief" not in result.stderr:
                    wrong.append(result.stderr)
                shown = oracle.network(self.bn, "net")
                self.assertEqual(shown["endpoint_count"], len(shown["endpoints"]))
        self.assertEqual([], wrong)


@for_each_backend
class Damaged(KernelTest):
    def change(self, text):
        database = sqlite3.connect(os.path.join(self.bn.state, "state.db"))
        with database:
            database.execute(text)
        database.close()

    def damaged(self, text, undo):
        self.change(text)
        result = self.bn.result("rules", "--plan")
        self.change(undo)
        self.assertEqual((1, ""), (result.returncode, result.stdout))
        self.assertIn("damaged", result.stderr)

    def test_plan(self):
        self.create()
        self.attach("net", "c1", "-p", "8080:80")
        self.damaged("UPDATE networks SET name = 'gone' WHERE name = 'net'",
                     "UPDATE networks SET name = 'net' WHERE name = 'gone'")
        self.damaged("UPDATE ports SET endpoint = endpoint + 1000",
                     "UPDATE ports SET endpoint = endpoint - 1000")
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.damaged("UPDATE networks SET bridge = '' WHERE name = 'net'",
                     f"UPDATE networks SET bridge = '{bridge}' WHERE name = 'net'")
