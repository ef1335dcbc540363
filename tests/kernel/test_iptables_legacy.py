# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the legacy backend has: a lock, jumps among the rules of others, chains of ports."""
import contextlib
import fcntl
import random
import threading
import time
import unittest

import legacy
import oracle
from topology import FAMILIES, PATIENCE, KernelTest, for_backend, wait_until

LOCK = "/run/xtables.lock"
# udp, in the classic BPF of the raw IPv4 packet
UDP_PROGRAM = "4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0"

legacy_only = for_backend("iptables-legacy")


@contextlib.contextmanager
def lock_held():
    """As iptables-legacy(8) holds it."""
    with open(LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@legacy_only
class Lock(KernelTest):
    def setUp(self):
        super().setUp()
        self.create("net", "--subnet", "172.30.0.0/24")
        self.attach("net", "c1")

    def test_waits_for_who_holds_it(self):
        with lock_held():
            process = self.bn.popen("publish", "net", "c1", "-p", "8080:80", stdout=-1, stderr=-1)
            self.processes.append(process)
            time.sleep(0.5)
            self.assertIsNone(process.poll())
            self.assertEqual({}, self.oracle.ports())
        output, error = process.communicate(timeout=PATIENCE)
        self.assertEqual((0, ""), (process.returncode, error), output)
        self.assertEqual([(4, "tcp", "", 8080)], list(self.oracle.ports()))

    def test_gives_up_after_its_time(self):
        with lock_held():
            started = time.monotonic()
            self.fails("--timeout", "1", "publish", "net", "c1", "-p", "8080:80", mention=LOCK)
            self.assertLess(time.monotonic() - started, PATIENCE)
        self.bn("publish", "net", "c1", "-p", "8080:80")

    def test_may_be_unloaded_while_it_waits(self):
        """A program that is done with the library, while a call that gave up stands in line."""
        process = self.fixture("unload.py")
        with lock_held():
            self.assertEqual("unloaded\n", process.stdout.readline())
        process.stdin.close()
        self.assertEqual(0, process.wait(PATIENCE))

    def test_is_held_while_a_table_is_written(self):
        """A program that takes the lock and reads never meets half of a change."""
        self.bn("publish", "net", "c1", "-p", "8080:80", "-p", "8082:82")
        log = f"{self.net.state}/trace"
        self.host.run("strace", "-f", "-qq", "-y", "-E", "ASAN_OPTIONS=detect_leaks=0", "-o", log,
                      "-e", "trace=flock,setsockopt,close", *self.bn.argv(
                          "unpublish", "net", "c1", "-p", "8080:80"))
        with open(log) as file:
            lines = file.read().splitlines()
        mine = [i for i, line in enumerate(lines) if "flock(" in line and LOCK in line]
        writes = [i for i, line in enumerate(lines)
                  if "setsockopt(" in line and "SO_SET" in line]
        self.assertTrue(writes, lines)
        closes = [i for i, line in enumerate(lines) if "close(" in line and LOCK in line]
        self.assertTrue(mine, lines)
        for write in writes:
            last_lock = max(i for i in mine if i < write)
            self.assertEqual([], [i for i in closes if last_lock < i < write])


@legacy_only
class Jumps(KernelTest):
    """Where our chains are entered: before what others have that could keep a packet from us, but
    in nat behind those who want to translate a connection themselves."""

    BUILTIN = (("filter", "FORWARD"), ("nat", "PREROUTING"), ("nat", "OUTPUT"),
               ("nat", "POSTROUTING"), ("raw", "PREROUTING"))

    def others(self, action, number):
        """A rule of somebody else's in each chain, put in or taken out."""
        for family in FAMILIES:
            source = f"203.0.113.{number}" if family == 4 else f"2001:db8:99::{number}"
            for table, chain in self.BUILTIN:
                self.host.run(legacy.COMMAND[family], "-t", table, action, chain,
                              "-s" if chain != "OUTPUT" else "-d", source, "-j", "ACCEPT")

    def assert_in_place(self, nat):
        """Ours come first, in nat as said: which are ours, one by one."""
        for family in FAMILIES:
            for name, chain in self.BUILTIN:
                rules = self.oracle.table(family, name).rules[chain]
                ours = [legacy.is_ours(legacy.target(text)) for text, _ in rules]
                with self.subTest(family=family, table=name, chain=chain, rules=rules):
                    self.assertIn(True, ours)
                    self.assertIn(False, ours)
                    self.assertEqual(nat if name == "nat" else sorted(ours, reverse=True), ours)

    def test_first_of_all_but_in_nat(self):
        self.others("-A", 1)
        try:
            self.create(dual=True)
            self.assert_in_place([False, True])
            self.others("-A", 2)
            self.attach("net", "c1", "-p", "8080:80")
            self.assert_in_place([False, True, False])
            targets = [legacy.target(text) for text, _ in
                       self.oracle.table(4, "filter").rules["FORWARD"]]
            self.assertEqual(["BRIDGENET-USER", "BRIDGENET-FORWARD"], targets[:2])
            self.others("-D", 2)
        finally:
            self.others("-D", 1)

    def test_no_accept_of_others_opens_the_network(self):
        """The rules of a firewall that lets everything through come after ours."""
        self.host.run("iptables-legacy", "-A", "FORWARD", "-j", "ACCEPT")
        try:
            self.create("net", "--subnet", "172.30.0.0/24")
            namespace = self.attach("net", "c1", "-p", "8080:80")
            listener = self.serve(namespace, 80, (4,))[4]
            self.remote.run("ip", "route", "replace", "172.30.0.0/24", "via",
                            self.net.host_address(4))
            self.assert_tcp(self.remote, self.net.host_address(4), 8080, listener)
            self.assert_no_tcp(self.remote, namespace.address(4), 80, listener)
        finally:
            self.host.run("iptables-legacy", "-D", "FORWARD", "-j", "ACCEPT")

    def test_no_drop_of_others_closes_it(self):
        self.host.run("iptables-legacy", "-P", "FORWARD", "DROP")
        try:
            self.create("net", "--subnet", "172.30.0.0/24")
            listener = self.serve(self.attach("net", "c1", "-p", "8080:80"), 80, (4,))[4]
            self.assert_tcp(self.remote, self.net.host_address(4), 8080, listener)
        finally:
            self.host.run("iptables-legacy", "-P", "FORWARD", "ACCEPT")


@legacy_only
class Ports(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")
        self.chains = {family: self.oracle.chains("nat", family) for family in FAMILIES}

    def specs(self, first, step, count=200):
        return [word for i in range(count) for word in ("-p", f"{first + i * step}:{100 + i}")]

    def assert_reached(self, first, step, index):
        listeners = self.serve(self.namespace, 100 + index)
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), first + index * step,
                            listeners[family])
            listeners[family].close()

    def test_two_hundred(self):
        """However they lie: next to each other by different commands, apart, far apart."""
        for first, step in ((1000, 3), (1000, 10), (2000, 64), (1200, 300)):
            with self.subTest(first=first, step=step):
                specs = self.specs(first, step)
                self.bn("publish", "net", "c1", *specs)
                self.assertEqual(400, len(self.oracle.ports()))
                self.assertEqual(400, len([rule for rule in oracle.rules(self.bn)
                                           if rule["target"] == "DNAT"]))
                for index in (0, 100, 199):
                    self.assert_reached(first, step, index)
                self.bn("unpublish", "net", "c1", *specs)
                self.assertEqual({}, self.oracle.ports())
                self.assertEqual(self.chains, {family: self.oracle.chains("nat", family)
                                               for family in FAMILIES})

    def test_two_hundred_by_many_commands(self):
        """Chains are split and joined as they grow and shrink, and every port stays right."""
        specs = self.specs(1000, 7)
        parts = [specs[i:i + 20] for i in range(0, len(specs), 20)]
        for number, part in enumerate(parts, 1):
            self.bn("publish", "net", "c1", *part)
            self.assertEqual(20 * number, len(self.oracle.ports()))
        for index in (0, 100, 199):
            self.assert_reached(1000, 7, index)
        for number, part in enumerate(parts[::2] + parts[1::2], 1):
            self.bn("unpublish", "net", "c1", *part)
            self.assertEqual(20 * (len(parts) - number), len(self.oracle.ports()))
        self.assertEqual(self.chains, {family: self.oracle.chains("nat", family)
                                       for family in FAMILIES})

    def test_chains_go_with_the_endpoint(self):
        self.bn("publish", "net", "c1", *self.specs(1000, 10))
        self.assertGreater(len(self.oracle.chains("nat")), len(self.chains[4]))
        self.bn("detach", "net", "c1")
        self.assertEqual(self.chains, {family: self.oracle.chains("nat", family)
                                       for family in FAMILIES})

    def test_any_mixture(self):
        """Ranges and single ports put in and taken out at random, against a model."""
        seed = int(time.time())
        pick = random.Random(seed)
        live = {}       # (protocol, first port, count): container port
        for step in range(30):
            verb = "publish" if step < 4 or pick.random() < 0.5 else "unpublish"
            if verb == "unpublish":
                chosen = pick.sample(sorted(live), pick.randint(min(1, len(live)), len(live)))
                specs = [self.spec(key, live.pop(key)) for key in chosen]
            else:
                fresh = self.fresh(pick, live)
                live.update(fresh)
                specs = [self.spec(*item) for item in fresh.items()]
            if not specs:
                continue
            self.bn(verb, "net", "c1", *(word for spec in specs for word in ("-p", spec)))
            expected = {(family, protocol, "", first + i): to + i for family in FAMILIES
                        for (protocol, first, count), to in live.items() for i in range(count)}
            with self.subTest(seed=seed, step=step, verb=verb, specs=specs):
                self.assertEqual(expected,
                                 {key: value[1] for key, value in self.oracle.ports().items()})

    @staticmethod
    def spec(key, to):
        protocol, first, count = key
        return f"{first}-{first + count - 1}:{to}-{to + count - 1}/{protocol}"

    @staticmethod
    def fresh(pick, live):
        """Up to a hundred mappings that nothing of live is in the way of."""
        taken = {(protocol, first + i) for protocol, first, count in live for i in range(count)}
        found = {}
        top = pick.choice((3000, 60000))
        for _ in range(pick.choice((1, 10, 100))):
            protocol, count = pick.choice(("tcp", "udp")), pick.choice((1, 1, 1, 3, 70, 2100))
            first = pick.randint(1000, top)
            ports = {(protocol, first + i) for i in range(count)}
            if not ports & taken:
                taken |= ports
                found[protocol, first, count] = pick.randint(1, 60000)
        return found

    def test_range_is_one_rule(self):
        before = set(self.oracle.elements())
        self.bn("publish", "net", "c1", "-p", "8000-8010:9000-9010")
        self.assertEqual(2, len(set(self.oracle.elements()) - before))
        for family in FAMILIES:
            address = self.namespace.address(family)
            for port in range(8000, 8011):
                self.assertEqual((address, port + 1000),
                                 self.oracle.ports()[family, "tcp", "", port][:2])
        for offset in (0, 5, 10):
            listeners = self.serve(self.namespace, 9000 + offset)
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 8000 + offset,
                                listeners[family])
        beyond = self.serve(self.namespace, 9011)[4]
        self.assert_no_tcp(self.remote, self.net.host_address(4), 8011, beyond)

    def test_range_across_the_chains(self):
        """A range wider than what one chain of ports has is still right at both of its ends."""
        specs = self.specs(1000, 10, 100)
        self.bn("publish", "net", "c1", *specs, "-p", "30000-34999:40000-44999")
        ports = self.oracle.ports()
        self.assertEqual(2 * 5100, len(ports))
        for port in (30000, 32047, 32048, 34999):
            self.assertEqual(port + 10000, ports[4, "tcp", "", port][1])
        for port in (30000, 34999):
            listener = self.serve(self.namespace, port + 10000, (4,))[4]
            self.assert_tcp(self.remote, self.net.host_address(4), port, listener)


@for_backend("iptables-legacy")
class Names(KernelTest):
    def test_chain_of_the_administrator_that_looks_like_ours(self):
        self.create(dual=True)
        for words in (("-N", "BN-mine"), ("-A", "BN-mine", "-s", "203.0.113.7", "-j", "DROP"),
                      ("-A", "BRIDGENET-USER", "-j", "BN-mine")):
            self.host.run("iptables-legacy", *words)
        try:
            rules = oracle.rules(self.bn, "-v")
            self.assertNotIn("203.0.113.7", [rule["source"] for rule in rules])
            self.assertEqual({"", "net"}, {rule["network"] for rule in rules})
            self.assertEqual([], self.remove_all())
            kept = self.host.run("iptables-legacy-save", "-t", "filter").stdout
            self.assertIn("-A BN-mine -s 203.0.113.7/32 -j DROP", kept)
            self.assertIn("-A BRIDGENET-USER -j BN-mine", kept)
            self.assertIn("-A FORWARD -j BRIDGENET-USER", kept)
        finally:
            for words in (("-F", "BRIDGENET-USER"), ("-F", "BN-mine"), ("-X", "BN-mine")):
                self.host.run("iptables-legacy", *words)
        self.create("again")
        self.bn("network", "rm", "again")


@legacy_only
class Flushed(KernelTest):
    """Others flush what they take for theirs alone; the next change puts all of it back."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80", "-p", "127.0.0.1:9000:90")
        self.listeners = self.serve(self.namespace, 80)
        self.direct = self.serve(self.namespace, 81)
        for family in FAMILIES:
            subnet = ("172.30.0.0/24", "fd00:30::/64")[family == 6]
            self.remote.run("ip", "route", "replace", subnet, "via", self.net.host_address(family))

    def assert_works(self):
        for family in FAMILIES:
            address = self.net.host_address(family)
            self.assert_tcp(self.remote, address, 8080, self.listeners[family])
            self.assert_no_tcp(self.remote, self.namespace.address(family), 81,
                               self.direct[family])
            outside = self.remote.listen(family, 7000)
            peer = self.assert_tcp(self.namespace, self.net.address("remote", family), 7000,
                                   outside)
            self.assertEqual(address, peer)
            outside.close()

    def comes_back(self, *names):
        self.assert_works()
        settled = oracle.ruleset(self.host)
        self.oracle.flush(names)
        self.assertNotEqual(settled, oracle.ruleset(self.host))
        self.bn("publish", "net", "c1", "-p", "8090:80")
        self.assert_works()
        self.assert_tcp(self.remote, self.net.host_address(4), 8090, self.listeners[4])
        self.bn("unpublish", "net", "c1", "-p", "8090:80")
        self.assertEqual(settled, oracle.ruleset(self.host))

    def test_everything(self):
        self.comes_back(*legacy.TABLES)

    def test_one_table(self):
        # mangle holds something only of networks with options that need it
        for name in sorted({rules[1] for rules in oracle.ruleset(self.host)}):
            with self.subTest(table=name):
                self.comes_back(name)

    def test_rules_but_not_chains(self):
        """As `iptables -F` does, which everybody knows; the chains are left empty."""
        settled = oracle.ruleset(self.host)
        for family in FAMILIES:
            self.host.run(legacy.COMMAND[family], "-F")
        self.bn("publish", "net", "c1", "-p", "8090:80")
        self.assert_works()
        self.bn("unpublish", "net", "c1", "-p", "8090:80")
        self.assertEqual(settled, oracle.ruleset(self.host))

    def test_one_family(self):
        settled = oracle.ruleset(self.host)
        self.host.run("ip6tables-legacy", "-F")
        self.host.run("ip6tables-legacy", "-X")
        self.bn("publish", "net", "c1", "-p", "8090:80")
        self.assert_works()
        self.bn("unpublish", "net", "c1", "-p", "8090:80")
        self.assertEqual(settled, oracle.ruleset(self.host))

    def test_gone_by_detach(self):
        for names in (("filter",), ("nat",), ("raw",), legacy.TABLES):
            with self.subTest(names=names):
                self.oracle.flush(names)
                self.bn("detach", "net", "c1")
                self.assertEqual({}, self.oracle.ports())
                self.attach("net", "c1", "-p", "8080:80", namespace=self.namespace)
                self.assert_works()


class Traffic(threading.Thread):
    """Datagrams to a port of the host's own, and connections to a published one, one by one."""

    def __init__(self, test, listener):
        super().__init__(daemon=True)
        self.address = test.net.host_address(4)
        self.remote = test.remote
        self.listener = listener
        self.sender = test.keep(test.remote.udp(4))
        # a namespace is a thread's own matter: every socket is made before
        self.clients = [test.keep(test.remote.socket(4)) for _ in range(300)]
        self.enough = threading.Event()
        self.datagrams = self.connections = 0

    def run(self):
        self.listener.settimeout(PATIENCE)
        while not self.enough.is_set():
            for _ in range(5):
                self.sender.sendto(b"datagram", (self.address, 7000))
                self.datagrams += 1
            if self.connections < len(self.clients):
                client = self.clients[self.connections]
                client.connect((self.address, 8080))
                self.listener.accept()[0].close()
                client.close()
                self.connections += 1
            time.sleep(0.001)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.enough.set()
        self.join()


@legacy_only
class Others(KernelTest):
    """Rules of others in the same tables, written back with every change of ours."""

    RULES = (
        ("filter", "INPUT", "-p", "udp", "--dport", "7000", "-m", "comment", "--comment",
         'it\'s "mine" \\ here'),
        ("filter", "INPUT", "-p", "udp", "-m", "string", "--algo", "bm", "--string", "nonesuch",
         "-j", "DROP"),
        ("filter", "INPUT", "-p", "tcp", "--dport", "22", "-m", "recent", "--name", "ssh",
         "--update", "--seconds", "60", "-j", "DROP"),
        ("filter", "INPUT", "-m", "set", "--match-set", "known", "src", "-j", "DROP"),
        ("filter", "INPUT", "-s", "203.0.113.0/24", "-j", "LOG", "--log-prefix", "odd one: "),
        ("filter", "FORWARD", "-m", "bpf", "--bytecode", UDP_PROGRAM, "-j", "MINE"),
        ("filter", "MINE", "-m", "limit", "--limit", "3/min", "-j", "REJECT"),
        ("filter", "MINE", "-m", "hashlimit", "--hashlimit-name", "many", "--hashlimit-above",
         "20/sec", "-g", "MINE-TOO"),
        ("filter", "MINE-TOO", "-p", "tcp", "-m", "multiport", "--dports", "1,2,9:12", "-j",
         "RETURN"),
        ("nat", "POSTROUTING", "-s", "10.99.0.0/16", "-j", "MASQUERADE"),
        ("nat", "PREROUTING", "-d", "10.99.0.1", "-p", "tcp", "--dport", "80", "-j", "DNAT",
         "--to-destination", "10.99.0.2:80"),
        ("raw", "PREROUTING", "-p", "udp", "--dport", "7000"),
        ("raw", "PREROUTING", "-s", "203.0.113.0/24", "-j", "CT", "--notrack"),
    )

    def setUp(self):
        super().setUp()
        self.host.run("ipset", "create", "known", "hash:ip")
        self.host.run("iptables-legacy", "-N", "MINE")
        self.host.run("iptables-legacy", "-N", "MINE-TOO")
        self.put = [rule for rule in self.RULES if self.put_in(*rule)]
        # what the machine's kernel lacks can't be kept; most it has
        self.assertGreater(len(self.put), 8)

    def put_in(self, table, chain, *rule):
        result = self.host.run("iptables-legacy", "-t", table, "-A", chain, "-c", "1234567", "89",
                               *rule, check=False)
        return result.returncode == 0

    def tearDown(self):
        try:
            self.remove_all()
        finally:
            for table, chain, *rule in self.put:
                self.host.run("iptables-legacy", "-t", table, "-D", chain, *rule)
            self.host.run("iptables-legacy", "-X", "MINE")
            self.host.run("iptables-legacy", "-X", "MINE-TOO")
            self.host.run("ipset", "destroy", "known")
            super().tearDown()

    def change_everything(self):
        self.create("two", "--subnet", "172.30.2.0/24")
        self.attach("two", "c2", "-p", "8090:80", "-p", "127.0.0.1:9000-9010:9000-9010")
        self.bn("publish", "two", "c2", "-p", "8091:80")
        self.bn("unpublish", "two", "c2", "-p", "8090:80")
        self.bn("detach", "two", "c2")
        self.bn("network", "rm", "two")

    def test_byte_for_byte(self):
        before = legacy.others(self.host)
        self.assertEqual(len(self.put), sum(len(rules) for *_, rules in before))
        self.change_everything()
        self.assertEqual(before, legacy.others(self.host))
        # a program of its own: no chain is an orphan, nor is any mark of the kernel's left
        text = self.host.run("iptables-legacy-save", "-c").stdout
        self.assertNotIn("BRIDGENET", text)
        self.host.run("iptables-legacy-restore", "-c", "--test", stdin=text)

    def counted(self, table, chain, words):
        found = [packets for text, (packets, _) in self.oracle.table(4, table).rules[chain]
                 if words in text]
        self.assertEqual(1, len(found), (chain, words))
        return found[0] - 1234567

    def test_counters_while_packets_flow(self):
        """Each packet is counted once, those that come while a table is written too."""
        self.create("net", "--subnet", "172.30.0.0/24")
        namespace = self.attach("net", "c1", "-p", "8080:80")
        listener = self.serve(namespace, 80, (4,))[4]
        self.keep(self.host.udp(4, 7000))
        with Traffic(self, listener) as traffic:
            for _ in range(5):
                self.change_everything()
            wait_until(lambda: traffic.connections > 20 and traffic.datagrams > 200,
                       what="connections, and datagrams")
        wait_until(lambda: self.counted("raw", "PREROUTING", "--dport 7000") >= traffic.datagrams)
        self.assertEqual(traffic.datagrams, self.counted("raw", "PREROUTING", "--dport 7000"))
        self.assertEqual(traffic.datagrams, self.counted("filter", "INPUT", "--dport 7000"))
        self.assertEqual(traffic.connections, self.oracle.ports()[4, "tcp", "", 8080][2])


if __name__ == "__main__":
    unittest.main()
