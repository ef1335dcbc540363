# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports at an endpoint's own address, where its network is routed; and ports of internal networks,
which there are none of."""
import itertools

import oracle
from topology import FAMILIES, KernelTest, for_each_backend

SUBNETS = {
    "routed": ("172.30.0.0/24", "fd00:30::/64"),
    "mixed": ("172.30.1.0/24", "fd00:31::/64"),
    "plain": ("172.30.2.0/24", "fd00:32::/64"),
}
OPTIONS = {
    "routed": ("gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed"),
    "mixed": ("gateway-mode-ipv6=routed",),
    "plain": (),
}


@for_each_backend
class RoutedPorts(KernelTest):
    def setUp(self):
        super().setUp()
        for name, subnets in SUBNETS.items():
            self.create(name, *itertools.chain.from_iterable(("--subnet", one) for one in subnets),
                        *itertools.chain.from_iterable(("--opt", one) for one in OPTIONS[name]))
            for family, one in zip(FAMILIES, subnets):
                self.remote.run("ip", "route", "replace", one, "via",
                                self.net.host_address(family))

    def tearDown(self):
        for subnets in SUBNETS.values():
            for one in subnets:
                self.remote.run("ip", "route", "del", one, check=False)
        super().tearDown()

    def reached(self, namespace, port, listeners, families=FAMILIES, interface="eth0"):
        for family in families:
            peer = self.assert_tcp(self.remote, namespace.address(family, interface), port,
                                   listeners[family])
            self.assertEqual(self.net.address("remote", family), peer)

    def unreached(self, namespace, port, listeners, families=FAMILIES):
        for family in families:
            self.assert_no_tcp(self.remote, namespace.address(family), port, listeners[family])

    def test_many_have_the_same(self):
        """And a program of the host, which has nothing to do with it."""
        own = self.serve(self.host, 80)
        for name in ("a", "b"):
            namespace = self.attach("routed", name, "-p", "80")
            listeners = self.serve(namespace, 80)
            self.reached(namespace, 80, listeners)
            self.unreached(namespace, 81, self.serve(namespace, 81))
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 80, own[family])

    def test_opened_and_shut_while_it_lives(self):
        namespace = self.attach("routed", "a", "-p", "79/udp")
        listeners = self.serve(namespace, 80)
        self.unreached(namespace, 80, listeners)
        self.bn("publish", "routed", "a", "-p", "80:80")
        self.reached(namespace, 80, listeners)
        flows = {}
        for family in FAMILIES:
            flows[family] = self.connect(self.remote, namespace.address(family), 80)
            self.converse(flows[family], listeners[family])
        self.bn("unpublish", "routed", "a", "-p", "80")
        self.unreached(namespace, 80, listeners)
        # what came by the port goes with it
        for family, flow in flows.items():
            flow.settimeout(0.25)
            flow.sendall(b"more")
            self.assertRaises(OSError, flow.recv, 64)

    def test_a_range(self):
        namespace = self.attach("routed", "a", "-p", "8000-8002/udp")
        for family, port in itertools.product(FAMILIES, (8000, 8002)):
            server = self.keep(namespace.udp(family, port))
            peer = self.assert_udp(self.remote, namespace.address(family), port, server)
            self.assertEqual(self.net.address("remote", family), peer)
        for family in FAMILIES:
            server = self.keep(namespace.udp(family, 8003))
            client = self.keep(self.remote.udp(family))
            client.sendto(b"question", (namespace.address(family), 8003))
            self.assert_silent(server)

    def test_one_family_alone(self):
        """The port of the host is that of IPv4; of IPv6 another may have it."""
        mixed = self.attach("mixed", "a", "-p", "8080:80")
        other = self.attach("plain", "b", "-p", "[::]:8080:80")
        listeners, others = self.serve(mixed, 80), self.serve(other, 80)
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, listeners[4])
        self.assert_tcp(self.remote, self.net.host_address(6), 8080, others[6])
        self.reached(mixed, 80, listeners, (6,))
        self.unreached(mixed, 80, listeners, (4,))
        self.fails("attach", "plain", "c", "--netns", self.net.endpoint("c").path, "-p",
                   "0.0.0.0:8080:80", mention="already published by endpoint a")
        port, = oracle.ports(self.bn, "mixed", "a")
        self.assertEqual(("nat", "routed", 8080),
                         (port["mode_ipv4"], port["mode_ipv6"], port["host_port"]))

    def test_as_told(self):
        self.attach("routed", "a", "-p", "80", "-p", "0.0.0.0:81:81")
        everywhere, one = oracle.ports(self.bn, "routed", "a")
        if everywhere["container_port"] != 80:
            everywhere, one = one, everywhere
        self.assertEqual(["routed", "routed"], [everywhere["mode_ipv4"], everywhere["mode_ipv6"]])
        self.assertEqual(["routed", ""], [one["mode_ipv4"], one["mode_ipv6"]])
        self.assertIn("80/tcp (routed)", self.bn("ps"))

    def test_one_that_is_not_the_way_out(self):
        namespace = self.attach("plain", "first")
        self.attach("routed", "a", "-p", "80", "--gateway-priority", "-1", namespace=namespace)
        # the sender must not mind that the answer takes another way than its route says
        self.reached(namespace, 80, self.serve(namespace, 80), interface="eth1")

    def test_refused(self):
        path = self.net.endpoint("a").path
        for port, mention in (("8080:80", ("leave the host port out", "network routed")),
                              ("8080-8090:80", "leave the host port out"),
                              ("127.0.0.1:80:80", "leave the address out"),
                              ("[2001:db8:1::1]:80:80", "leave the address out")):
            with self.subTest(port=port):
                self.fails("attach", "routed", "a", "--netns", path, "-p", port, mention=mention)
        self.fails("attach", "routed", "a", "--netns", path, "-p", "80", "-p", "70-90",
                   mention="publish it once")
        self.fails("attach", "mixed", "a", "--netns", path, "-p", "8080:80", "-p", "8081:80",
                   mention="publish it once")
        self.attach("routed", "a", "-p", "80")
        self.fails("publish", "routed", "a", "-p", "80", mention="publish it once")

    def test_of_an_internal_network(self):
        self.create("internal", "--opt", "internal=yes")
        path = self.net.endpoint("a").path
        self.fails("attach", "internal", "a", "--netns", path, "-p", "8080:80",
                   mention=("network internal, which is internal", "leave the port out"))
        self.attach("internal", "a")
        for port in ("8080:80", "80", "127.0.0.1:8080:80"):
            self.fails("publish", "internal", "a", "-p", port, mention="which is internal")
