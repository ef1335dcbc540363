# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving a state from one backend to the other, and which one is picked."""
import fcntl
import os
import random
import signal
import subprocess
import threading
import time

import oracle
from topology import BACKENDS, FAMILIES, NOBODY, KernelTest, for_backend, for_each_backend

OTHER = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}


class Prober(threading.Thread):
    """Tries over and over what is refused; a namespace's sockets may be made in any thread."""

    def __init__(self, client, targets):
        super().__init__()
        self.client, self.targets = client, targets
        self.tries, self.reached = 0, []
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            for address, port in self.targets:
                with self.client.socket(address, timeout=0.003) as made:
                    try:
                        made.connect((address, port))
                        self.reached.append((address, port))
                    except OSError:
                        self.tries += 1


@for_each_backend
class Switch(KernelTest):
    def setUp(self):
        super().setUp()
        if len(BACKENDS) < 2:
            self.skipTest("BN_BACKENDS names one backend alone")
        self.other = OTHER[self.backend]
        self.other_oracle = oracle.ORACLES[self.other](self.host)
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80", "-p", "127.0.0.1:9000:90",
                                     "-p", "7000-7009:70-79/udp")
        self.listeners = self.serve(self.namespace, 80)

    def tearDown(self):
        # whatever backend the test ends in is the one that takes all away
        self.bn.backend = "auto"
        super().tearDown()
        self.bn.backend = self.backend

    def move(self, name):
        self.bn.backend = "auto"
        self.bn("backend", "switch", name)

    def planned(self):
        still = ("packets", "bytes", "handle")
        return [[{key: value for key, value in rule.items() if key not in still}
                 for rule in oracle.rules(self.bn, "-v", *argv)] for argv in ((), ("--plan",))]

    def assert_in(self, name, left):
        self.assertEqual(name, self.bn.json("backend")["backend"])
        kernel, plan = self.planned()
        self.assertEqual(plan, kernel)
        self.assertGreater(len(kernel), 10)
        self.assertTrue(left.empty() or not left.ports(), f"left behind: {left.ports()}")

    def test_there_and_back(self):
        kernel, _ = self.planned()
        for name, left in ((self.other, self.oracle), (self.backend, self.other_oracle)):
            self.move(name)
            self.assert_in(name, left)
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.listeners[family])
        self.assertEqual(kernel, self.planned()[0])

    def test_nothing_is_left_of_the_other(self):
        self.move(self.other)
        self.assertEqual({}, self.oracle.ports())
        if self.backend == "nftables":
            self.assertEqual([], oracle.nft(self.host, "list", "tables")[1:])
        else:
            saved = self.host.run("iptables-legacy-save").stdout
            saved += self.host.run("ip6tables-legacy-save").stdout
            self.assertNotIn("BN-", saved)
            self.assertNotIn("BRIDGENET", saved)

    def test_connections_survive(self):
        lasting = {family: self.connect(self.remote, self.net.host_address(family), 8080)
                   for family in FAMILIES}
        servers = {}
        for family, client in lasting.items():
            self.converse(client, self.listeners[family])
            servers[family] = self.server_side
        for name in (self.other, self.backend):
            self.move(name)
            for family, client in lasting.items():
                client.sendall(b"question")
                self.assertEqual(b"question", servers[family].recv(64))
                servers[family].sendall(b"answer")
                self.assertEqual(b"answer", client.recv(64))

    def test_nothing_gets_through_meanwhile(self):
        """The attacker routes the subnets to the host and asks all the time."""
        direct = {family: self.namespace.address(family) for family in FAMILIES}
        self.serve(self.namespace, 4444)
        self.attacker.batch(
            f"route add 172.30.0.0/24 via {self.net.address('host', 4)}\n"
            f"route add fd00:30::/64 via {self.net.address('host', 6)}\n")
        self.bn("publish", "net", "c1", *[word for port in range(20000, 20300)
                                          for word in ("-p", f"{port}:80")])
        prober = Prober(self.attacker, [(direct[4], 4444), (direct[6], 4444), (direct[4], 80),
                                        (self.net.host_address(4), 4444),
                                        (self.net.host_address(4), 9000)])
        prober.start()
        try:
            for _ in range(3):
                self.move(self.other)
                self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.listeners[4])
                self.move(self.backend)
        finally:
            prober.stop.set()
            prober.join()
            self.attacker.batch("route del 172.30.0.0/24\nroute del fd00:30::/64\n")
        self.assertEqual([], prober.reached)
        self.assertGreater(prober.tries, 20)

    def test_rules_of_the_administrator_stay_in_force(self):
        address = self.net.host_address(4)
        self.oracle.user_add("drop", source=self.net.address("attacker", 4))
        try:
            self.move(self.other)
            self.assert_no_tcp(self.attacker, address, 8080, self.listeners[4])
            self.assert_tcp(self.remote, address, 8080, self.listeners[4])
        finally:
            self.move(self.backend)
            self.oracle.user_flush()

    def test_the_wrong_one_is_an_error_that_says_how(self):
        self.bn.backend = self.other
        message = self.fails("network", "create", "more", mention=(self.backend, self.other))
        self.assertIn(f"bn backend switch {self.other}", message)
        # but a move is no matter of the backend that is asked for
        self.bn("backend", "switch", self.other)
        self.assert_in(self.other, self.oracle)

    def test_nothing_to_do(self):
        before = self.net.host_state()
        self.move(self.backend)
        self.assertEqual(before, self.net.host_state())
        self.fails("backend", "switch", "nosuch", mention="nosuch")

    def test_killed_half_way(self):
        """Whatever it was at, the next change finishes or undoes it."""
        chance = random.Random(7)
        for number in range(25):
            self.bn.backend = "auto"
            process = self.bn.popen("backend", "switch", (self.other, self.backend)[number % 2])
            # in the way of it, and at work as soon as it is dead
            others = [self.bn.popen("publish", "net", "c1", "-p", f"{9990 + number % 2}:99",
                                    stdout=subprocess.DEVNULL)]
            if number:
                others.append(self.bn.popen("unpublish", "net", "c1", "-p",
                                            f"{9990 + (number - 1) % 2}:99"))
            time.sleep(chance.uniform(0, 0.012))
            process.send_signal(signal.SIGKILL)
            process.wait()
            for other in others:
                self.processes.append(other)
                self.assertEqual(0, other.wait())
            now = self.bn.json("backend")["backend"]
            left = self.oracle if now != self.backend else self.other_oracle
            self.assert_in(now, left)
            self.assertEqual({}, left.ports())

    def test_many_at_once(self):
        for _ in range(8):
            self.bn.backend = "auto"
            movers = [self.bn.popen("backend", "switch", name)
                      for name in (self.other, self.backend, self.other, self.backend)]
            for process in movers:
                self.processes.append(process)
                self.assertEqual(0, process.wait())
            now = self.bn.json("backend")["backend"]
            self.assert_in(now, self.oracle if now != self.backend else self.other_oracle)
            self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.listeners[4])

    def test_together_with_others(self):
        """Publishing goes on while the state is moved to and fro."""
        self.bn.backend = "auto"
        publishers = [self.bn.popen("publish", "net", "c1", "-p", f"{port}:80",
                                   stdout=subprocess.DEVNULL)
                      for port in range(10000, 10008)]
        self.move(self.other)
        publishers += [self.bn.popen("publish", "net", "c1", "-p", f"{port}:80",
                                    stdout=subprocess.DEVNULL)
                       for port in range(10008, 10016)]
        self.move(self.backend)
        for process in publishers:
            self.processes.append(process)
            self.assertEqual(0, process.wait())
        self.assert_in(self.backend, self.other_oracle)
        kept = {key[3] for key in self.oracle.ports() if key[0] == 4}
        self.assertTrue(set(range(10000, 10016)) <= kept, kept)


class DetectionTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.bn.backend = "auto"

    def tearDown(self):
        super().tearDown()
        self.bn.backend = self.backend

    def picked(self):
        return self.bn.json("backend")["backend"]


@for_each_backend
class Detection(DetectionTest):
    """Without a name: the one with our rules, else the one that the host uses, else nftables."""

    def test_of_the_state(self):
        self.bn.backend = self.backend
        self.create()
        self.bn.backend = "auto"
        self.assertEqual(self.backend, self.picked())

    def test_of_the_host(self):
        self.assertEqual("nftables", self.picked())
        if self.backend == "nftables":
            self.host.run("nft", "add", "table", "ip", "site")
        else:
            self.host.run("iptables-legacy", "-A", "INPUT", "-s", "203.0.113.9", "-j", "DROP")
        try:
            self.assertEqual(self.backend, self.picked())
        finally:
            self.host.run("nft", "flush", "ruleset")
            self.host.run("iptables-legacy", "-F")

    def test_by_a_look_alone(self):
        """Somebody holds the lock for long; and what nobody uses does not come about."""
        fresh = self.net.namespace("fresh")
        argv = self.bn.argv("backend")
        with open("/run/xtables.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            result = fresh.run(*argv)
        self.assertTrue(result.stdout.startswith("nftables"), result.stdout)
        for names in ("ip_tables_names", "ip6_tables_names"):
            self.assertEqual("", fresh.run("cat", f"/proc/net/{names}").stdout)

    def test_of_another_state(self):
        self.bn.backend = self.backend
        self.create()
        elsewhere = self.bn.argv()[:2] + (self.net.state + "/other",)
        result = self.host.run(*elsewhere, "backend")
        self.assertTrue(result.stdout.startswith(self.backend + ": it holds"), result.stdout)


@for_backend("nftables")
class DetectionBeside(DetectionTest):
    """Whatever is known of xtables, or not."""

    def test_of_any_family(self):
        """iptables-nft(8) has tables of its own families; who has both uses nftables."""
        self.host.run("iptables-legacy", "-A", "INPUT", "-s", "203.0.113.9", "-j", "DROP")
        try:
            self.assertEqual("iptables-legacy", self.picked())
            # one in ip, of our own name, is somebody else's
            for table in ("ip filter", "ip6 site", "arp site", "bridge site", "ip bridgenet"):
                with self.subTest(table=table):
                    self.host.run("nft", "add", "table", *table.split())
                    self.assertEqual("nftables: the host's own firewall uses it\n",
                                     self.bn("backend"))
                    self.host.run("nft", "delete", "table", *table.split())
        finally:
            self.host.run("nft", "flush", "ruleset")
            self.host.run("iptables-legacy", "-F")

    def in_a_container(self, *prefix, **options):
        """A network comes and goes where xtables, or their lock, are out of reach."""
        script = ('mount -t tmpfs -o mode=0700 tmpfs /mnt && "$@" network create net && '
                  '"$@" backend && "$@" network rm net')
        result = subprocess.run(
            [*prefix, "--mount", "--net", "bash", "-c", script, "bash", *self.bn.argv()[:1],
             "--state-dir", "/mnt/state"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, check=False, **options)
        if "Operation not permitted" in result.stderr and "unshare" in result.stderr:
            self.skipTest("no user namespaces here")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertIn("nftables: ", result.stdout)

    def test_in_a_user_namespace(self):
        # as iptables(8) makes it
        os.close(os.open("/run/xtables.lock", os.O_RDONLY | os.O_CREAT))
        os.chmod("/run/xtables.lock", 0o600)
        self.in_a_container("unshare", "--user", "--map-root-user", user=NOBODY, group=NOBODY,
                            extra_groups=())

    def test_without_the_privilege_for_xtables(self):
        self.in_a_container("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw",
                            "unshare")
