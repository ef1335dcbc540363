# SPDX-License-Identifier: LGPL-2.1-or-later
"""The answer leaves by the way of the request, and what the user routes is routed so."""
import itertools
import os
import unittest

import oracle
from frames import Sniffer
from library import DETACH_QUICK
from networks import NetworksTest, defaults, gateway, inside, subnet
from topology import FAMILIES, PATIENCE, Bn, for_each_backend

PROTOCOL = "178"
FAR = {4: "198.51.100.9", 6: "2001:db8:99::9"}


def flag(family):
    return "-4" if family == 4 else "-6"


def ours(namespace, family):
    """[(priority, source, table, suppressed prefix length)] of the rules of the library."""
    return [(rule["priority"], rule["src"], rule["table"], rule.get("suppress_prefixlen"))
            for rule in namespace.ip(flag(family), "rule", "show")
            if rule.get("protocol") == PROTOCOL]


def sources(namespace, family):
    """The addresses whose answers have a way of their own."""
    return [source for _, source, _, _ in ours(namespace, family) if source != "all"]


def tables(namespace, family):
    """{table: (gateway, interface)} of the library's tables that have a default route."""
    return {route["table"]: (route.get("gateway"), route["dev"])
            for route in namespace.ip(flag(family), "route", "show", "table", "all", "proto",
                                      PROTOCOL)
            if route["dst"] == "default" and "table" in route}


class Ways(NetworksTest):
    """Ports of one sandbox on each of its networks, and who reaches them."""

    def ports(self, number):
        return ("-p", f"{8080 + number}:80", "-p", f"{7000 + number}:7/udp")

    def begin(self, namespace, *networks):
        """Attach to (name, number, arguments...), with ports and servers."""
        self.listeners = self.serve(namespace, 80)
        self.published = {}
        for name, number, *argv in networks:
            self.join(name, namespace, *self.ports(number), *argv)
            self.published[name] = (number, self.udp_servers(namespace, name))

    def udp_servers(self, namespace, name):
        shown = [text.split("/")[0] for text in
                 oracle.endpoint(self.bn, name, "c1")["addresses"]]
        return {6 if ":" in address else 4:
                self.keep(namespace.udp(6 if ":" in address else 4, 7, address, PATIENCE))
                for address in shown}

    def tcp(self, client, address, port):
        family = 6 if ":" in address else 4
        token = os.urandom(8)
        listener = self.listeners[family]
        listener.settimeout(PATIENCE)
        with client.socket(family, timeout=PATIENCE) as made:
            try:
                made.connect((address, port))
                made.sendall(token)
                # one that was given up may come late
                for _ in range(64):
                    server, _ = listener.accept()
                    with server:
                        server.settimeout(PATIENCE)
                        if server.recv(8) == token:
                            server.sendall(token)
                            return made.recv(8) == token
            except OSError:
                pass
        return False

    def udp(self, client, address, port, server):
        token = os.urandom(8)
        with client.udp(6 if ":" in address else 4, timeout=PATIENCE) as made:
            try:
                made.connect((address, port))
                made.send(token)
                for _ in range(64):
                    data, peer = server.recvfrom(64)
                    if data == token:
                        server.sendto(token, peer)
                        return made.recv(64) == token
            except OSError:
                pass
        return False

    def unreached(self):
        """What nobody gets to of all that is published, as text."""
        lost = []
        for name, (number, servers) in self.published.items():
            for family, server in servers.items():
                inside = server.getsockname()[0]
                here = self.net.host_address(family)
                ways = [(self.remote, here), (self.host, here)]
                for client, address in ways + [(self.host, "127.0.0.1")] * (family == 4):
                    if not self.tcp(client, address, 8080 + number):
                        lost.append(f"{client.name} to {address}, port on {name}/tcp")
                    if not self.udp(client, address, 7000 + number, server):
                        lost.append(f"{client.name} to {address}, port on {name}/udp")
                if not self.tcp(self.host, inside, 80):
                    lost.append(f"host to {inside}/tcp")
        return lost

    def files(self):
        """{interface: rp_filter} of the host."""
        with self.host:
            folder = "/proc/sys/net/ipv4/conf"
            return {name: open(f"{folder}/{name}/rp_filter").read().strip()
                    for name in os.listdir(folder)}

    def set_rp_filter(self, value):
        """For what there is, and what comes."""
        before = {name: old for name, old in self.files().items() if name != "lo"}
        for name in before:
            self.host.sysctl(f"net/ipv4/conf/{name}/rp_filter", value)

        def restore():
            for name in before.keys() & self.files().keys():
                self.host.sysctl(f"net/ipv4/conf/{name}/rp_filter", before[name])
        self.addCleanup(restore)


@for_each_backend
class Answers(Ways):
    """Also where the host looks whether a source is where it belongs."""

    NAMES = ()

    def create_three(self):
        for number, name in enumerate(("one", "two", "three"), 1):
            self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6))

    def sandbox(self, rp_filter=0):
        """What a new namespace has is otherwise that of the first one of the machine."""
        namespace = self.net.endpoint("c1")
        for name in ("all", "default"):
            namespace.sysctl(f"net/ipv4/conf/{name}/rp_filter", rp_filter)
        return namespace

    def check_under(self, value):
        self.set_rp_filter(value)
        before = self.files()
        self.create_three()
        self.begin(self.sandbox(), ("one", 1), ("two", 2), ("three", 3))
        self.assertEqual([], self.unreached())
        after = self.files()
        self.assertEqual(before, {name: after[name] for name in before})
        self.assertEqual({str(value)}, {after[name] for name in after.keys() - before.keys()})

    def test_rp_filter_off(self):
        self.check_under(0)

    def test_rp_filter_strict(self):
        self.check_under(1)

    def test_rp_filter_loose(self):
        self.check_under(2)

    def test_who_is_best_changes(self):
        """A connection by way of one that stays goes on."""
        self.set_rp_filter(1)
        self.create_three()
        namespace = self.sandbox()
        self.begin(namespace, ("one", 1), ("two", 2, "--gateway-priority", "5"))
        self.assertEqual([], self.unreached())
        pairs = []
        for family in FAMILIES:
            client = self.connect(self.remote, self.net.host_address(family), 8081)
            pairs.append((client, self.keep(self.listeners[family].accept()[0])))

        def goes_on():
            for client, server in pairs:
                server.settimeout(PATIENCE)
                client.sendall(b"still there?")
                self.assertEqual(b"still there?", server.recv(64))
        self.join("three", namespace, *self.ports(3), "--gateway-priority", "10")
        goes_on()
        self.published["three"] = 3, self.udp_servers(namespace, "three")
        self.assertEqual([], self.unreached())
        for name in ("three", "two"):
            self.bn("detach", name, "c1")
            goes_on()
            del self.published[name]
            self.assertEqual([], self.unreached(), f"without {name}")

    def test_quick_detach_and_back(self):
        """With the same address, which the cut interface has still."""
        self.set_rp_filter(1)
        self.create_three()
        namespace = self.sandbox()
        fixed = ("--ip", "172.30.2.50", "--ip", "fd00:32::50")
        self.begin(namespace, ("one", 1), ("two", 2, *fixed))
        library = self.library()
        for name, argv in (("two", fixed), ("one", ())):
            library.detach(name, "c1", flags=DETACH_QUICK)
            self.carrier_gone(namespace)
            number, servers = self.published[name]
            self.join(name, namespace, *self.ports(number), *argv)
            for server in servers.values():
                server.close()
            self.published[name] = number, self.udp_servers(namespace, name)
            self.assertEqual([], self.unreached(), name)

    def test_strict_inside(self):
        self.create_three()
        namespace = self.sandbox(rp_filter=1)
        self.begin(namespace, ("one", 1), ("two", 2), ("three", 3))
        self.assertEqual([], self.unreached())

    def test_networks_of_other_families(self):
        self.set_rp_filter(1)
        self.create("dual", "--subnet", subnet(1, 4), "--subnet", subnet(1, 6))
        self.create("four", "--subnet", subnet(2, 4))
        self.create("six", "--subnet", subnet(3, 6))
        numbers = {"dual": 1, "four": 2, "six": 3}
        outside = self.outside()
        for names in itertools.permutations(numbers, 2):
            with self.subTest(networks=names):
                namespace = self.sandbox()
                self.begin(namespace, *((name, numbers[name]) for name in names))
                try:
                    self.assertEqual([], self.unreached())
                    self.assert_way_out(namespace, outside)
                finally:
                    for name in names:
                        self.bn("detach", name, "c1")

    def test_without_a_default_route(self):
        """An endpoint that wants none still answers who asks."""
        self.set_rp_filter(1)
        self.create_three()
        namespace = self.sandbox()
        ports = [f"{8081}:80", f"{7001}:7/udp"]
        self.library().attach("one", "c1", namespace, options={"default-route": "no"}, ports=ports)
        self.begin(namespace, ("two", 2))
        self.published["one"] = 1, self.udp_servers(namespace, "one")
        self.assertEqual([], self.unreached())


@for_each_backend
class Rules(NetworksTest):
    """What is in the sandbox for it."""

    def address(self, number, family):
        return oracle.endpoint(self.bn, self.NAMES[number - 1], "c1")["addresses"][
            FAMILIES.index(family)].split("/")[0]

    def check(self, namespace, *numbers):
        """Networks but the best have a rule each, and a table with a default route."""
        for family in FAMILIES:
            self.assertEqual(sorted(self.address(number, family) for number in numbers),
                             sorted(sources(namespace, family)))
            found = tables(namespace, family)
            self.assertEqual(len(numbers), len(found), found)
            for priority, source, table, suppress in ours(namespace, family):
                self.assertGreater(priority, 32000)
                self.assertLess(priority, 32766)
                if source == "all":
                    self.assertEqual(("main", 0), (table, suppress))
                    continue
                number = [i for i in numbers if self.address(i, family) == source][0]
                self.assertEqual(gateway(number, family), found[table][0])
            alone = [rule for rule in ours(namespace, family) if rule[1] == "all"]
            self.assertEqual(1 if numbers else 0, len(alone))
            if numbers:
                self.assertEqual(alone, ours(namespace, family)[:1])
                first, second = (ours(namespace, family)[i][0] for i in (0, 1))
                self.assertLess(first, second)

    def test_lone_has_none(self):
        fresh = self.net.endpoint("fresh")
        namespace = self.attach("one", "c1")
        for family in FAMILIES:
            self.assertEqual(fresh.ip(flag(family), "rule"), namespace.ip(flag(family), "rule"))
        self.check(namespace)

    def test_all_but_the_best(self):
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        self.check(namespace, 2)
        self.join("three", namespace)
        self.check(namespace, 2, 3)
        for family, number in itertools.product(FAMILIES, (1, 2, 3)):
            (answer,) = namespace.ip("route", "get", FAR[family], "from",
                                     self.address(number, family))
            self.assertEqual((gateway(number, family), f"eth{number - 1}"),
                             (answer["gateway"], answer["dev"]))

    def test_they_change(self):
        namespace = self.attach("two", "c1")
        self.join("three", namespace)
        self.check(namespace, 3)
        self.join("one", namespace, "--gateway-priority", "10")
        self.check(namespace, 2, 3)
        self.bn("detach", "one", "c1")
        self.check(namespace, 3)
        self.join("one", namespace)
        self.check(namespace, 1, 3)
        self.bn("detach", "two", "c1")
        self.check(namespace, 1)
        self.bn("detach", "one", "c1")
        self.check(namespace)

    def test_known_by_descriptor(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        namespace.unlink()
        path = f"/proc/{os.getpid()}/fd/{namespace.fd}"
        for name in self.NAMES:
            library.attach(name, "c1", path, by_descriptor=True)
        self.check(namespace, 2, 3)

    def test_link_deleted_by_hand(self):
        """The kernel leaves the rule; the next visit does not."""
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        stale = {family: sources(namespace, family) for family in FAMILIES}
        namespace.run("ip", "link", "del", "eth1")
        for family in FAMILIES:
            self.assertEqual(stale[family], sources(namespace, family))
        self.bn("detach", "two", "c1")
        self.join("three", namespace)
        self.check(namespace, 3)

    def test_detached_unseen(self):
        """The sandbox can't be reached when its endpoint goes."""
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        self.join("three", namespace)
        process = namespace.popen("sleep", "60")
        self.processes.append(process)
        namespace.unlink()
        self.bn("detach", "two", "c1")
        self.bn("detach", "one", "c1")
        self.host.run("ip", "netns", "attach", namespace.name, str(process.pid))
        self.join("one", namespace)
        self.check(namespace, 1)

    def test_another_state_s_stay(self):
        """A second host has endpoints in the same sandbox: neither takes the other's rules."""
        other = Bn(self.net.endpoint("other"), self.net.state + "/other", self.backend)
        for number in (4, 5):
            other("network", "create", f"n{number}", "--subnet", subnet(number, 4), "--subnet",
                  subnet(number, 6))
        namespace = self.attach("one", "c1")
        self.join("two", namespace)

        def seen():
            return [(ours(namespace, family), tables(namespace, family)) for family in FAMILIES]

        def gateways():
            return [sorted(via for via, _ in tables(namespace, family).values())
                    for family in FAMILIES]

        def both(*numbers):
            return [sorted(gateway(number, family) for number in numbers) for family in FAMILIES]

        before = seen()
        for name, wanted in (("n4", both(2)), ("n5", both(2, 5))):
            other("attach", name, "e", "--netns", namespace.path)
            self.assertEqual(wanted, gateways())
        self.join("three", namespace)
        self.assertEqual(both(2, 3, 5), gateways())
        self.bn("detach", "three", "c1")
        self.assertEqual(both(2, 5), gateways())
        for name in ("n5", "n4"):
            other("detach", name, "e")
            self.assertEqual(before, seen())
        # and the other way round, to the last rule of each
        for name in ("n4", "n5"):
            other("attach", name, "e", "--netns", namespace.path)
        self.bn("detach", "two", "c1")
        self.bn("detach", "one", "c1")
        self.assertEqual(both(5), gateways())
        for family in FAMILIES:
            self.assertEqual(["main"], [table for _, source, table, _ in ours(namespace, family)
                                        if source == "all"])
        for name in ("n5", "n4"):
            other("detach", name, "e")
        self.check(namespace)
        for name in ("n5", "n4"):
            other("network", "rm", name)

    def test_the_users_come_first(self):
        """A rule without a priority stands before ours, and all of the user's stay."""
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        for family in FAMILIES:
            source = self.address(2, family)
            namespace.run("ip", flag(family), "route", "add", "unreachable", "default", "table",
                          "77")
            namespace.run("ip", flag(family), "rule", "add", "from", source, "lookup", "77")
            namespace.run("ip", flag(family), "rule", "add", "pref", "32764", "from",
                          gateway(3, family), "lookup", "78")
            namespace.run("ip", flag(family), "rule", "add", "pref", "32765", "from",
                          gateway(3, family), "lookup", "78")
            self.assertNotEqual(0, namespace.run("ip", "route", "get", FAR[family], "from", source,
                                                 check=False).returncode)

        def users():
            return [[rule for rule in namespace.ip(flag(family), "rule")
                     if rule.get("protocol") != PROTOCOL] for family in FAMILIES]
        before = users()
        for family, rules in zip(FAMILIES, before):
            (first,) = [rule for rule in rules if rule["table"] == "77"]
            self.assertLess(first["priority"], min(rule[0] for rule in ours(namespace, family)))
        self.join("three", namespace)
        self.assertEqual(before, users())
        for name in ("two", "one", "three"):
            self.bn("detach", name, "c1")
            self.assertEqual(before, users())

    def test_attach_that_fails(self):
        """Late, when it would have been the best: all is as it was."""
        namespace = self.attach("one", "c1")
        namespace.batch("route add 10.8.0.0/16 dev lo\n")
        for joined in ((), ("two",)):
            for name in joined:
                self.join(name, namespace)
            before = inside(namespace)
            self.fails("attach", "three", "c1", "--netns", namespace.path, "--gateway-priority",
                       "10", "--route", "10.8.0.0/16=172.30.3.77", mention="10.8.0.0/16")
            self.assertEqual(before, inside(namespace))

    def test_global_addresses_alone(self):
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        self.assertEqual(2, len(namespace.addresses("eth1", 6, scope=None)))
        self.check(namespace, 2)
        for rule in namespace.ip("-6", "rule"):
            self.assertFalse(str(rule["src"]).startswith("fe80:"), rule)

    def test_one_of_a_family(self):
        """Who is alone in a family is the best in it."""
        self.create("four", "--subnet", subnet(4, 4))
        namespace = self.attach("one", "c1", "--gateway-priority", "10")
        self.join("four", namespace)
        self.assertEqual(["172.30.4.2"], sources(namespace, 4))
        self.assertEqual([], sources(namespace, 6))
        self.bn("detach", "one", "c1")
        for family in FAMILIES:
            self.assertEqual([], ours(namespace, family))


@for_each_backend
class OwnRoutes(NetworksTest):
    """A default route to a VPN's gateway, a neighbour, on the primary link."""

    def setUp(self):
        super().setUp()
        self.vpn = self.attach("one", "vpn")
        # what a new namespace has is that of the first one of the machine
        self.vpn.sysctl("net/ipv4/ip_forward", 0)
        self.namespace = self.attach("one", "c1")
        self.join("two", self.namespace)
        self.sniffers = {machine.name: Sniffer(machine, "eth0")
                         for machine in (self.vpn, self.remote)}
        self.sockets += self.sniffers.values()

    def send(self, family, source=None):
        """A datagram and the first packet of a connection, to far away."""
        with self.namespace.udp(family, address=source) as datagram:
            datagram.sendto(b"secret", (FAR[family], 9))
        with self.namespace.socket(family) as stream:
            if source:
                stream.bind((source, 0))
            stream.setblocking(False)
            stream.connect_ex((FAR[family], 9))

    def arrived(self, machine, family, count=0):
        return len(self.sniffers[machine.name].await_frames(
            lambda frame: frame.destination == FAR[family] and not frame.outgoing, count))

    def assert_goes(self, to, other, family, source=None):
        there, elsewhere = self.arrived(to, family), self.arrived(other, family)
        self.send(family, source)
        self.assertEqual(there + 2, self.arrived(to, family, there + 2))
        self.assertEqual(elsewhere, self.arrived(other, family))

    def route(self, family, *words):
        self.namespace.run("ip", flag(family), "route", "add", *words, "via",
                           self.vpn.address(family), "dev", "eth0")

    def test_default(self):
        primary = {family: self.namespace.address(family) for family in FAMILIES}
        for family in FAMILIES:
            self.assert_goes(self.remote, self.vpn, family)
            self.route(family, "default", "metric", "50")

        def obeyed(what):
            for family, source in itertools.product(FAMILIES, (None, primary)):
                with self.subTest(what, family=family, bound=source is not None):
                    self.assert_goes(self.vpn, self.remote, family, source and source[family])

        obeyed("two networks")
        self.join("three", self.namespace)
        obeyed("three networks")
        self.bn("detach", "two", "c1")
        obeyed("without the second")
        for family in FAMILIES:
            self.assertEqual((50, self.vpn.address(family), "eth0"),
                             defaults(self.namespace, family)[0])

    def test_ports_beside_it(self):
        """What is published on the other network is answered there."""
        self.bn("detach", "two", "c1")
        self.join("two", self.namespace, "-p", "8080:80")
        for family in FAMILIES:
            self.route(family, "default", "metric", "50")
            listener = self.serve(self.namespace, 80, (family,))[family]
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, listener)

    def test_more_exact_ones(self):
        """Of all but the default routes those in main are for every source. Where bridged packets
        are filtered, one of another network's is forged."""
        for family in ("ip", "ip6"):
            self.host.sysctl(f"net/bridge/bridge-nf-call-{family}tables", 0)
        second = {family: self.namespace.address(family, "eth1") for family in FAMILIES}
        halves = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
        for family in FAMILIES:
            for half in halves[family]:
                self.route(family, half)
            for source in (None, second[family]):
                self.assert_goes(self.vpn, self.remote, family, source)


if __name__ == "__main__":
    unittest.main()
