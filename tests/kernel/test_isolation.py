# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must not get through, each next to the thing that must."""
import unittest

import legacy
import oracle
from topology import FAMILIES, KernelTest, for_each_backend

SUBNET = {4: "172.30.0.0/24", 6: "fd00:30::/64"}
GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
OTHER_GATEWAY = {4: "172.30.2.1", 6: "fd00:32::1"}


def host_policy(namespace, policy):
    """A firewall of the host's own, with a forward chain of that policy."""
    namespace.run("nft", "-f", "-", stdin=f"""
        table inet site {{
            chain forward {{
                type filter hook forward priority 10; policy {policy};
            }}
        }}""")


@for_each_backend
class FromOutside(KernelTest):
    """remote and attacker have a route to the network by way of the host."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        for machine in (self.remote, self.attacker):
            for family in FAMILIES:
                machine.run("ip", "route", "replace", SUBNET[family], "via",
                            self.net.host_address(family))
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.published = self.serve(self.namespace, 80)
        self.unpublished = self.serve(self.namespace, 81)

    def drops(self, family):
        return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                   if rule["target"] == "DROP" and rule["family"] in (f"ipv{family}", "any"))

    def test_published_and_not(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.published[family])
                self.assert_tcp(self.host, self.namespace.address(family), 81,
                                self.unpublished[family])
                before = self.drops(family)
                self.assert_no_tcp(self.remote, self.namespace.address(family), 81,
                                   self.unpublished[family])
                self.assert_no_tcp(self.remote, self.net.host_address(family), 81,
                                   self.unpublished[family])
                self.assertGreater(self.drops(family), before)

    def test_published_port_by_the_endpoints_address(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_tcp(self.host, self.namespace.address(family), 80,
                                self.published[family])
                before = self.drops(family)
                self.assert_no_tcp(self.attacker, self.namespace.address(family), 80,
                                   self.published[family])
                self.assertGreater(self.drops(family), before)

    def test_udp_and_ping(self):
        for family in FAMILIES:
            server = self.keep(self.namespace.udp(family, 53))
            client = self.keep(self.remote.udp(family))
            client.sendto(b"datagram", (self.namespace.address(family), 53))
            self.assert_silent(server)
            self.assertFalse(self.remote.pings(self.namespace.address(family)))
            self.host.ping(self.namespace.address(family))

    def test_any_forward_policy(self):
        """Isolation does not lean on the host's policy, nor does the library touch it."""
        host_policy(self.host, "accept")
        text = oracle.others_text(self.host)
        try:
            for family in FAMILIES:
                self.assert_no_tcp(self.remote, self.namespace.address(family), 81,
                                   self.unpublished[family])
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.published[family])
            self.assertEqual(text, oracle.others_text(self.host))
        finally:
            self.host.run("nft", "delete", "table", "inet", "site")

    def test_spoofed_source(self):
        """An outsider who takes a neighbour's address gets no further."""
        self.attacker.run("ip", "addr", "add", "172.30.0.66/32", "dev", "eth0")
        try:
            client = self.keep(self.attacker.socket(4, timeout=0.25))
            client.bind(("172.30.0.66", 0))
            with self.assertRaises(OSError):
                client.connect((self.namespace.address(4), 80))
            self.published[4].settimeout(0)
            self.assertRaises(OSError, self.published[4].accept)
        finally:
            self.attacker.run("ip", "addr", "del", "172.30.0.66/32", "dev", "eth0")

    def test_after_detach_nothing_is_let_in(self):
        address = self.namespace.address(4)
        self.bn("detach", "net", "c1")
        self.attach("net", "c2", "--ip", address, namespace=self.namespace)
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.net.host_address(family), 8080,
                               self.published[family])
        self.assert_no_tcp(self.remote, address, 80, self.published[4])

    def test_answers_come_back(self):
        """Out is open, and what was asked for gets in."""
        for family in FAMILIES:
            server = self.keep(self.remote.udp(family, 6000))
            peer = self.assert_udp(self.namespace, self.net.address("remote", family), 6000, server)
            self.assertEqual(self.net.host_address(family), peer)


@for_each_backend
class BetweenNetworks(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.create("two", "--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")
        self.a = self.attach("net", "a", "-p", "8080:80")
        self.b = self.attach("two", "b", "-p", "8090:80")

    def check(self):
        for family in FAMILIES:
            for client, server, port in ((self.a, self.b, 8090), (self.b, self.a, 8080)):
                with self.subTest(family=family, server=server.name):
                    listener = self.serve(server, 80, (family,))[family]
                    other = self.serve(server, 81, (family,))[family]
                    self.assert_tcp(client, self.net.host_address(family), port, listener)
                    for number, wrong in ((80, listener), (81, other)):
                        self.assert_no_tcp(client, server.address(family), number, wrong)
                        for gateway in (GATEWAY[family], OTHER_GATEWAY[family]):
                            self.assert_no_tcp(client, gateway, number, wrong, timeout=0.1)
                    listener.close()
                    other.close()

    def test_only_by_published_ports(self):
        self.check()

    def test_with_forward_policy_accept(self):
        host_policy(self.host, "accept")
        try:
            self.check()
        finally:
            self.host.run("nft", "delete", "table", "inet", "site")

    def test_with_a_forwarding_host_of_old(self):
        """Forwarding was on before, and iptables-legacy has its chains."""
        self.host.run("iptables-legacy", "-P", "FORWARD", "ACCEPT")
        self.host.run("iptables-legacy", "-A", "FORWARD", "-s", "203.0.113.7", "-j", "DROP")
        before = legacy.others(self.host)
        try:
            self.check()
            self.assertEqual(before, legacy.others(self.host))
        finally:
            self.host.run("iptables-legacy", "-D", "FORWARD", "-s", "203.0.113.7", "-j", "DROP")

    def test_udp(self):
        for family in FAMILIES:
            server = self.keep(self.b.udp(family, 53))
            client = self.keep(self.a.udp(family))
            client.sendto(b"datagram", (self.b.address(family), 53))
            self.assert_silent(server)
            self.assert_udp(self.host, self.b.address(family), 53, server)


@for_each_backend
class WithinANetwork(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.a = self.attach("net", "a")
        self.b = self.attach("net", "b")

    def test_every_port_both_ways_with_and_without_bridge_netfilter(self):
        for value in (0, 1):
            for key in ("iptables", "ip6tables"):
                try:
                    self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)
                except FileNotFoundError:
                    pass
            for family in FAMILIES:
                for client, server in ((self.a, self.b), (self.b, self.a)):
                    with self.subTest(value=value, family=family, server=server.name):
                        listener = self.serve(server, 80, (family,))[family]
                        self.assert_tcp(client, server.address(family), 80, listener)
                        listener.close()
                        datagram = self.keep(server.udp(family, 53))
                        self.assert_udp(client, server.address(family), 53, datagram)
                        datagram.close()

    def test_ping(self):
        for family in FAMILIES:
            self.a.ping(self.b.address(family))

    def test_host_reaches_endpoints(self):
        for family in FAMILIES:
            listener = self.serve(self.a, 80, (family,))[family]
            peer = self.assert_tcp(self.host, self.a.address(family), 80, listener)
            self.assertEqual(GATEWAY[family], peer)

    def test_endpoint_reaches_the_hosts_own_services(self):
        for family in FAMILIES:
            listener = self.keep(self.host.listen(family, 7000))
            for address in (GATEWAY[family], self.net.host_address(family)):
                peer = self.assert_tcp(self.a, address, 7000, listener)
                self.assertEqual(self.a.address(family), peer)

    def test_not_those_on_its_loopback(self):
        """route_localnet is on for the bridge, so an endpoint may try 127.0.0.1 of the host."""
        listener = self.keep(self.host.listen(4, 7000, "127.0.0.1"))
        self.a.sysctl("net/ipv4/conf/all/route_localnet", 1)
        self.a.batch(f"route flush table local dev lo\n"
                     f"route add 127.0.0.0/8 via {GATEWAY[4]} dev eth0\n")
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.host.run("nft", "-f", "-", stdin=f"""
            table ip witness {{
                chain arrive {{ type filter hook prerouting priority -400;
                    iifname {bridge} ip daddr 127.0.0.0/8 counter
                }}
            }}""")
        try:
            self.assert_no_tcp(self.a, "127.0.0.1", 7000, listener)
            arrived = [expression["counter"]["packets"]
                       for entry in oracle.nft(self.host, "list", "table", "ip", "witness")
                       for expression in entry.get("rule", {}).get("expr", [])
                       if "counter" in expression]
            self.assertGreater(arrived[0], 0)
        finally:
            self.host.run("nft", "delete", "table", "ip", "witness")

    def test_loopback_source_from_a_bridge(self):
        """A martian from an endpoint is not taken for the host's own.

        The kernel itself refuses 127.0.0.1, an address that the host has; with route_localnet on
        the bridge and no rp_filter it does not refuse the rest of 127.0.0.0/8.
        """
        bridge = oracle.network(self.bn, "net")["bridge"]
        for device in ("all", bridge):
            self.host.sysctl(f"net/ipv4/conf/{device}/rp_filter", 0)
        self.a.sysctl("net/ipv4/conf/all/route_localnet", 1)
        server = self.keep(self.host.udp(4, 7000))
        self.assert_udp(self.a, GATEWAY[4], 7000, server)
        before = self.source_drops()
        for address in ("127.0.0.1", "127.9.9.9"):
            with self.subTest(address=address):
                sender = self.keep(self.a.udp(4, address=address))
                sender.sendto(b"datagram", (GATEWAY[4], 7000))
                self.assert_silent(server)
        self.assertEqual(before + 2, self.source_drops())

    def source_drops(self):
        return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                   if rule["target"] == "DROP" and rule["source"] == "127.0.0.0/8")


if __name__ == "__main__":
    unittest.main()
