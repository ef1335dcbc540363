# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source that others see of what leaves a network, and who may send straight to endpoints."""
import shutil
import tempfile
import unittest

import legacy
import oracle
from forging import under
from networks import gateway, subnet
from topology import FAMILIES, Bn, KernelTest, for_backend, for_each_backend

OFF = ("--opt", "masquerade=no")
SERVER = 6000           # of the machine outside
ASPECTS = [(rp_filter, netfilter, policy) for policy in ("ACCEPT", "DROP")
           for rp_filter, netfilter in ((0, 0), (1, 1), (2, 0))]


class RoutedTest(KernelTest):
    """The machines outside have a route to the networks, by way of the host."""

    def make(self, *argv, name="red", number=1):
        self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6), *argv)
        for machine in (self.remote, self.attacker):
            for family in FAMILIES:
                machine.run("ip", "route", "replace", subnet(number, family), "via",
                            self.net.host_address(family))

    def outside(self, kind="udp"):
        """A server on the machine outside, for each family."""
        make = self.remote.udp if kind == "udp" else self.remote.listen
        return {family: self.keep(make(family, SERVER)) for family in FAMILIES}

    def assert_seen_as(self, client, expected):
        """What the machine outside sees of both protocols, and the answers come."""
        for family in FAMILIES:
            # else a connection that looks the same goes on as it was
            self.host.run("conntrack", "-F", "-f", f"ipv{family}")
            remote = self.net.address("remote", family)
            self.assertEqual(expected[family], self.assert_udp(client, remote, SERVER,
                                                               self.datagrams[family]))
            self.assertEqual(expected[family], self.assert_tcp(client, remote, SERVER,
                                                               self.listeners[family]))

    def serve_outside(self):
        self.datagrams, self.listeners = self.outside("udp"), self.outside("tcp")

    @staticmethod
    def own(namespace):
        return {family: namespace.address(family) for family in FAMILIES}

    @property
    def host_addresses(self):
        return {family: self.net.host_address(family) for family in FAMILIES}

    def assert_unheard(self, client, address, port, server):
        """Neither a datagram nor an echo request gets there."""
        made = self.keep(client.udp(6 if ":" in address else 4))
        made.sendto(b"unasked", (address, port))
        self.assert_silent(server, 0.1)
        self.assertNotEqual(0, client.run("ping", "-n", "-c1", "-W0.2", address,
                                          check=False).returncode)

    def serve_inside(self, namespace, port=80):
        """{family: (listener, server of datagrams)}"""
        return {family: (self.serve(namespace, port, (family,))[family],
                         self.keep(namespace.udp(family, port))) for family in FAMILIES}

    def assert_closed(self, namespace, servers, clients, port=80):
        """Nobody begins a connection straight to the endpoint, and the host does."""
        for family, (listener, server) in servers.items():
            with self.subTest(family=family):
                address = namespace.address(family)
                self.assert_tcp(self.host, address, port, listener)
                for client in clients:
                    self.assert_no_tcp(client, address, port, listener)
                    self.assert_unheard(client, address, port, server)


@for_each_backend
class MasqueradeOff(RoutedTest):
    def setUp(self):
        super().setUp()
        self.make(*OFF)
        self.namespace = self.attach("red", "c1", "-p", "8080:80")

    def test_the_source_is_kept(self):
        self.serve_outside()
        for aspect in ASPECTS:
            with under(self, *aspect):
                self.assert_seen_as(self.namespace, self.own(self.namespace))

    def test_errors_come_back(self):
        """That nobody listens there, from the machine itself."""
        for family in FAMILIES:
            client = self.keep(self.namespace.udp(family))
            client.connect((self.net.address("remote", family), 9))
            client.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                client.recv(64)

    def test_nobody_else_begins(self):
        servers = self.serve_inside(self.namespace)
        for aspect in ASPECTS[::3]:
            with under(self, *aspect):
                self.assert_closed(self.namespace, servers, (self.remote, self.attacker))

    def test_only_answers(self):
        """Of one machine outside, and not of its neighbour."""
        server = self.outside()
        for family in FAMILIES:
            client = self.keep(self.namespace.udp(family, 7000))
            client.sendto(b"question", (self.net.address("remote", family), SERVER))
            self.assertEqual(self.namespace.address(family), server[family].recvfrom(64)[1][0])
            other = self.keep(self.attacker.udp(family, SERVER))
            other.sendto(b"forged", (self.namespace.address(family), 7000))
            server[family].sendto(b"answer", (self.namespace.address(family), 7000))
            self.assertEqual(b"answer", client.recv(64))
            self.assert_silent(client, 0.1)

    def test_published_port(self):
        """With the source of who asks, of endpoints too, and the way back is found."""
        listeners = self.serve(self.namespace, 80)
        neighbour = self.attach("red", "c2")
        for family in FAMILIES:
            host = self.net.host_address(family)
            self.assertEqual(self.net.address("remote", family),
                             self.assert_tcp(self.remote, host, 8080, listeners[family]))
            for client in (self.namespace, neighbour):
                self.assertEqual(gateway(1, family),
                                 self.assert_tcp(client, host, 8080, listeners[family]))
        self.assertEqual(gateway(1, 4), self.assert_tcp(self.host, "127.0.0.1", 8080, listeners[4]))

    def test_between_networks(self):
        """By published ports alone; the source is kept that way, too."""
        self.make(name="blue", number=2)
        blue = self.attach("blue", "b1", "-p", "8090:80")
        for client, server, port, seen in (
                (self.namespace, blue, 8090, self.own(self.namespace)),
                (blue, self.namespace, 8080, {family: gateway(1, family) for family in FAMILIES})):
            listeners = self.serve(server, 80)
            for family in FAMILIES:
                with self.subTest(server=server.name, family=family):
                    self.assertEqual(seen[family], self.assert_tcp(
                        client, self.net.host_address(family), port, listeners[family]))
                    self.assert_no_tcp(client, server.address(family), 80, listeners[family])

    def test_the_hosts_own_addresses_are_closed(self):
        """The gateway is there for the network and for others of the library."""
        self.make(name="blue", number=2)
        blue = self.attach("blue", "b1")
        for family in FAMILIES:
            with self.subTest(family=family):
                server = self.keep(self.host.udp(family, 5300, gateway(1, family)))
                for client in (self.namespace, blue):
                    self.assert_udp(client, gateway(1, family), 5300, server)
                self.assert_unheard(self.attacker, gateway(1, family), 5300, server)

    def test_broadcast_of_the_subnet(self):
        last = subnet(1, 4).replace("0/24", "255")
        with self.host:
            server = self.keep(self.host.udp(4, 5301))
        made = self.keep(self.attacker.udp(4))
        made.setsockopt(1, 6, 1)        # SO_BROADCAST
        made.sendto(b"everybody", (last, 5301))
        self.assert_silent(server, 0.1)
        self.assertEqual([1], [rule["packets"] for rule in oracle.rules(self.bn, "-v")
                               if rule["destination"] == last])

    def test_forged_sources(self):
        """Nobody outside is taken for an endpoint."""
        neighbour = subnet(1, 4).replace("0/24", "66")
        self.attacker.run("ip", "addr", "add", f"{neighbour}/32", "dev", "eth0")
        self.addCleanup(self.attacker.run, "ip", "addr", "del", f"{neighbour}/32", "dev", "eth0")
        listeners = self.serve(self.namespace, 80)
        client = self.keep(self.attacker.socket(4, timeout=0.25))
        client.bind((neighbour, 0))
        with self.assertRaises(OSError):
            client.connect((self.net.host_address(4), 8080))
        listeners[4].settimeout(0)
        self.assertRaises(OSError, listeners[4].accept)

    def test_the_rules_load_again(self):
        if self.backend == "nftables":
            listing = ("nft", "-s", "list", "ruleset")      # without what counts meanwhile
            before = self.host.run(*listing).stdout
            self.host.run("nft", "-f", "-", stdin="flush ruleset\n" + before)
            self.assertEqual(before, self.host.run(*listing).stdout)
        self.serve_outside()
        self.assert_seen_as(self.namespace, self.own(self.namespace))


@for_backend("iptables-legacy")
class Mangle(RoutedTest):
    def test_it_is_left_alone(self):
        """A host that has no rules in that table gets them with the first network that needs them;
        to ask for a table makes it, so nobody must before."""
        host = self.net.endpoint("fresh")
        state = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, state)
        bn = Bn(host, state, self.backend)

        def tables():
            with host:
                return [open(f"/proc/self/net/{ip}_tables_names").read().split()
                        for ip in ("ip", "ip6")]

        bn("network", "create", "red", "--ipv6")
        bn("attach", "red", "c1", "--netns", self.net.endpoint("c1").path, "-p", "8080:80")
        bn("detach", "red", "c1")
        for names in tables():
            self.assertEqual({"filter", "nat", "raw"}, set(names))
        bn("network", "create", "blue", "--ipv6", *OFF)
        for names in tables():
            self.assertIn("mangle", names)
        for name in ("red", "blue"):
            bn("network", "rm", name)
        for save in legacy.SAVE.values():
            self.assertNotIn("-A", host.run(save).stdout)


if __name__ == "__main__":
    unittest.main()
