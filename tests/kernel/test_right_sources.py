# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that look as if their source were not where it belongs, and are right."""
import contextlib
import socket
import struct
import unittest

import oracle
from forging import BEYOND, COLLUDER, SERVICE, SourcesTest, find_neighbours, under
from networks import gateway, subnet
from packets import SYN, Wire, icmpv6, packet, tcp, udp
from topology import FAMILIES, PATIENCE, KernelTest, for_each_backend, wait_until


@for_each_backend
class Right(SourcesTest):
    """What looks like it, and belongs where it comes from."""

    CONDITIONS = [{"rp_filter": rp_filter, "netfilter": netfilter}
                  for rp_filter in (0, 1, 2) for netfilter in (0, 1)] + [{"policy": "DROP"}]

    def setUp(self):
        super().setUp()
        self.neighbour = self.attach("red", "r2")
        self.listeners = self.serve(self.red, 82)
        self.datagrams = {family: self.keep(self.red.udp(family, 82)) for family in FAMILIES}

    def check_published(self, family):
        """r1's port, by all who may."""
        here = self.net.host_address(family)
        ways = [(self.remote, here), (self.blue, here), (self.blue, gateway(1, family)),
                (self.blue, gateway(2, family)), (self.red, here), (self.red, gateway(1, family)),
                (self.neighbour, here), (self.neighbour, gateway(1, family)), (self.host, here),
                (self.host, gateway(1, family)), (self.host, gateway(2, family))]
        for client, address in ways + [(self.host, "127.0.0.1")] * (family == 4):
            self.assert_tcp(client, address, 8080, self.listeners[family])
            self.assert_udp(client, address, 8080, self.datagrams[family])
        self.assert_tcp(self.neighbour, self.red.address(family), 82, self.listeners[family])
        self.assert_udp(self.host, self.red.address(family), 82, self.datagrams[family])

    def check_asked(self, family, outside, services):
        """What r1 and b1 ask, and are answered."""
        here = self.net.host_address(family)
        for client, number in ((self.red, 1), (self.blue, 2)):
            self.assertEqual(here, self.assert_udp(
                client, self.net.address("remote", family), COLLUDER, outside[family]))
            for address in (here, gateway(1, family), gateway(2, family)):
                self.assertEqual(client.address(family), self.assert_tcp(
                    client, address, SERVICE, services[family]))
            client.ping(self.net.address("remote", family))
            client.ping(gateway(number, family))

    def test_connections(self):
        outside = {family: self.keep(self.remote.udp(family, COLLUDER)) for family in FAMILIES}
        services = self.serve(self.host, SERVICE)
        for conditions in self.CONDITIONS:
            with under(self, **conditions):
                for family in FAMILIES:
                    self.check_published(family)
                    self.check_asked(family, outside, services)

    def check_link_local(self):
        service = self.keep(self.host.udp(6, SERVICE))
        bridge = oracle.network(self.bn, "red")["bridge"]
        address = self.host.addresses(bridge, 6, "link")[0].split("/")[0]
        with self.red:
            index = socket.if_nametoindex("eth0")
        for netfilter in (0, 1):
            with under(self, netfilter=netfilter):
                client = self.keep(self.red.udp(6))
                client.connect((address, SERVICE, 0, index))
                client.send(b"question")
                data, peer = service.recvfrom(64)
                self.assertTrue(peer[0].startswith("fe80::"), peer)
                service.sendto(b"answer", peer)
                self.assertEqual(b"answer", client.recv(64))

    def check_dhcp(self):
        server = self.keep(self.host.udp(4, 67))
        wire = self.wire(self.red)
        for conditions in self.CONDITIONS:
            with under(self, **conditions):
                wire.send(udp(("0.0.0.0", 68), ("255.255.255.255", 67), b"discover"),
                          "ff:ff:ff:ff:ff:ff")
                self.assertEqual((b"discover", ("0.0.0.0", 68)), server.recvfrom(64))

    def check_multicast(self):
        bridge = oracle.network(self.bn, "red")["bridge"]
        with self.host:
            index = socket.if_nametoindex(bridge)
        with self.red:
            inside = socket.if_nametoindex("eth0")
        groups = {4: "239.1.1.1", 6: "ff15::1"}
        for family in FAMILIES:
            server, client = self.keep(self.host.udp(family, 5000)), self.keep(self.red.udp(family))
            if family == 4:
                joined = socket.inet_aton(groups[4]) + struct.pack("=4xi", index)
                server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            else:
                joined = socket.inet_pton(socket.AF_INET6, groups[6]) + struct.pack("=I", index)
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
            for conditions in self.CONDITIONS[:4]:
                with under(self, **conditions):
                    to = (groups[4], 5000) if family == 4 else (groups[6], 5000, 0, inside)
                    client.sendto(b"to a group", to)
                    data, peer = server.recvfrom(64)
                    self.assertEqual((b"to a group", self.red.address(family)), (data, peer[0]))

    def test_on_the_link(self):
        """What is for the host, and not for an address that routes lead to."""
        self.check_link_local()
        self.check_dhcp()
        self.check_multicast()

    # What a machine says before it has an address, or to keep it: how nft(8) knows it, and a
    # packet for a MAC address.
    MLD = b"\0\0\0\1\4\0\0\0" + socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:77")
    ROUTER_ALERT = b"\x3a\0\5\2\0\0\1\0"
    WORDS = {
        "duplicate address": (
            "icmpv6 type nd-neighbor-solicit ip6 saddr ::", "33:33:ff:00:00:77",
            icmpv6("::", "ff02::1:ff00:77", 135,
                   bytes(4) + socket.inet_pton(socket.AF_INET6, "fd00:31::77"))),
        "router, by nobody": (
            "icmpv6 type nd-router-solicit ip6 saddr ::", "33:33:00:00:00:02",
            icmpv6("::", "ff02::2", 133, bytes(4))),
        "router": (
            "icmpv6 type nd-router-solicit ip6 saddr fe80::77", "33:33:00:00:00:02",
            icmpv6("fe80::77", "ff02::2", 133, bytes(4))),
        "listener": (
            "icmpv6 type mld2-listener-report ip6 saddr fe80::77", "33:33:00:00:00:16",
            icmpv6("fe80::77", "ff02::16", 143, MLD, 1, ROUTER_ALERT)),
        "listener, by nobody": (
            "icmpv6 type mld2-listener-report ip6 saddr ::", "33:33:00:00:00:16",
            icmpv6("::", "ff02::16", 143, MLD, 1, ROUTER_ALERT)),
        "group, by nobody": (
            "ip saddr 0.0.0.0 ip daddr 224.0.0.22 ip protocol igmp", "01:00:5e:00:00:16",
            packet("0.0.0.0", "224.0.0.22", socket.IPPROTO_IGMP,
                   bytes.fromhex("2200e9fb0000000104000000ef010101"), 1)),
    }

    def counted(self):
        """{name: (packets that came, packets that were not dropped)}"""
        found = {}
        for entry in oracle.nft(self.host, "list", "table", "inet", "witness"):
            if "rule" in entry:
                packets = [part["counter"]["packets"] for part in entry["rule"]["expr"]
                           if "counter" in part]
                found.setdefault(entry["rule"]["comment"], []).extend(packets)
        return found

    def test_words_between_neighbours(self):
        bridge = oracle.network(self.bn, "red")["bridge"]
        rules = "\n".join(f'iifname "{bridge}" {match} counter comment "{name}"'
                          for name, (match, _, _) in self.WORDS.items())
        self.host.run("nft", "-f", "-", stdin=f"""
            table inet witness {{
                chain first {{ type filter hook prerouting priority -400; {rules}
                }}
                chain second {{ type filter hook prerouting priority -299; {rules}
                }}
            }}""")
        wire = self.wire(self.red)
        try:
            for netfilter in (0, 1):
                with under(self, netfilter=netfilter):
                    before = self.counted()
                    for _, mac, words in self.WORDS.values():
                        wire.send(words, mac)
                    wait_until(lambda: all(counts[0] > before[name][0] for name, counts in
                                           self.counted().items()), what=f"{self.counted()}")
                    self.assertEqual({}, {name: counts for name, counts in self.counted().items()
                                          if counts[0] != counts[1]})
        finally:
            self.host.run("nft", "delete", "table", "inet", "witness")

    def test_neighbours_are_found(self):
        """And an address that is taken is defended."""
        wire = self.wire(self.red)
        for netfilter in (0, 1):
            with under(self, netfilter=netfilter):
                for namespace in (self.host, self.red, self.neighbour):
                    namespace.run("ip", "neigh", "flush", "all")
                self.red.ping(gateway(1, 6))
                self.host.ping(self.red.address(6))
                self.red.ping(self.neighbour.address(6))
                target = socket.inet_pton(socket.AF_INET6, gateway(1, 6))
                wire.frames.clear()
                wire.send(icmpv6("::", "ff02::1:ff00:1", 135, bytes(4) + target),
                          "33:33:ff:00:00:01")
                self.assertTrue(wire.await_frames(
                    lambda frame: frame.icmpv6 == 136 and not frame.outgoing and
                    frame.data[62:78] == target, 1))


@for_each_backend
class Behind(SourcesTest):
    """Addresses that the host has behind an endpoint, as those of a VPN's clients."""

    INNER = {4: ("10.9.0.1", "10.9.0.2", "10.9.0.0/24"),
             6: ("fd00:9::1", "fd00:9::2", "fd00:9::/64")}

    def setUp(self):
        super().setUp()
        self.client = self.net.endpoint("client")
        self.blue.batch(f"link add wg0 type veth peer name eth0 netns {self.client.name}\n"
                        "link set wg0 up\n")
        self.client.batch("link set eth0 up\n")
        for family, (router, client, _) in self.INNER.items():
            length = 24 if family == 4 else 64
            nodad = " nodad" if family == 6 else ""
            self.blue.batch(f"addr add {router}/{length} dev wg0{nodad}\n")
            self.client.batch(f"addr add {client}/{length} dev eth0{nodad}\n"
                              f"route add default via {router}\n")
        self.blue.sysctl("net/ipv4/ip_forward", 1)
        self.blue.sysctl("net/ipv6/conf/all/forwarding", 1)

    def route(self, family, verb):
        self.host.run("ip", "route", verb, self.INNER[family][2], "via",
                      self.blue.address(family))

    def test_as_the_host_routes_it(self):
        for conditions in ({}, {"rp_filter": 1, "netfilter": 1}, {"rp_filter": 2},
                           {"policy": "DROP"}):
            for family in FAMILIES:
                with under(self, **conditions), self.subTest(family=family):
                    self.check_route(family)

    def check_route(self, family):
        remote = self.net.address("remote", family)
        with contextlib.closing(self.remote.udp(family, COLLUDER)) as outside, \
                contextlib.closing(self.remote.listen(family, 80)) as listener, \
                contextlib.closing(self.red.listen(family, 82)) as published, \
                contextlib.closing(self.client.udp(family)) as client:
            # without the route it is an address like any other
            client.sendto(b"too early", (remote, COLLUDER))
            self.assert_silent(outside, 0.05)
            self.route(family, "add")
            try:
                here = self.net.host_address(family)
                self.assertEqual(here, self.assert_udp(self.client, remote, COLLUDER, outside))
                self.assertEqual(here, self.assert_tcp(self.client, remote, 80, listener))
                self.assert_tcp(self.client, here, 8080, published)
                self.client.ping(remote)
                self.host.ping(self.INNER[family][1])
            finally:
                self.route(family, "del")


@for_each_backend
class Uplinks(KernelTest):
    """A host with a second way out, where what comes by the wrong one is its own affair."""

    def setUp(self):
        super().setUp()
        self.second = self.net.namespace("second")
        self.host.batch(
            f"link add eth1 type veth peer name eth0 netns {self.second.name}\n"
            "link set eth1 up\naddr add 192.0.3.1/24 dev eth1\n"
            "addr add 2001:db8:3::1/64 dev eth1 nodad\n")
        self.second.batch(
            "link set eth0 up\naddr add 192.0.3.2/24 dev eth0\n"
            "addr add 2001:db8:3::2/64 dev eth0 nodad\n")
        self.host.sysctl("net/ipv4/ip_forward", 1)
        self.host.sysctl("net/ipv6/conf/all/forwarding", 1)
        find_neighbours(self.host, self.net.address("remote", 6), "2001:db8:3::2")

    def left_over(self):
        self.host.batch("link del eth1\n")
        self.net.namespaces.remove(self.second)
        self.second.delete()
        return super().left_over()

    def come(self, wire, outside, family):
        """What gets to whom of packets that come by the way that leads elsewhere."""
        source = (BEYOND[family], 9)
        found = []
        with contextlib.closing(self.host.udp(family, SERVICE, timeout=0.2)) as service:
            for name, to in (("host", self.net.host_address(family)),
                             ("second address", "192.0.3.1" if family == 4 else "2001:db8:3::1")):
                wire.send(udp(source, (to, SERVICE), name.encode()))
                with contextlib.suppress(TimeoutError):
                    found.append((service.recv(64).decode(), BEYOND[family]))
        wire.send(udp(source, (self.net.address("remote", family), COLLUDER), b"forwarded"))
        wire.send(tcp(source, (self.net.address("remote", family), COLLUDER), SYN, b"forwarded"))
        found += [(segment.protocol, segment.source) for segment in outside.segments(
            lambda segment: segment.data == b"forwarded", 2, 0.3)]
        outside.frames.clear()
        return found

    def test_foreign_sources(self):
        wire = self.keep(Wire(self.second, self.host.link("eth1")["address"]))
        outside = self.keep(Wire(self.remote, self.host.link("eth0")["address"]))
        for rp_filter in (0, 1):
            with under(self, rp_filter=rp_filter):
                before = {family: self.come(wire, outside, family) for family in FAMILIES}
                self.assertEqual(4, len(before[6]))
                self.assertEqual(0 if rp_filter == 1 else 4, len(before[4]))
                self.create("red", "--subnet", subnet(1, 4), "--subnet", subnet(1, 6))
                endpoint = self.attach("red", "r1", "-p", "8080:82/udp")
                self.assertEqual(before, {family: self.come(wire, outside, family)
                                          for family in FAMILIES})
                for family in FAMILIES:
                    with contextlib.closing(endpoint.udp(family, 82)) as server:
                        self.check_published(wire, outside, server, family,
                                             family == 6 or rp_filter != 1)
                self.assertEqual([], self.remove_all())

    def check_published(self, wire, outside, server, family, comes):
        """Its port, whose answers leave by the other way."""
        wire.send(udp((BEYOND[family], 9), (self.net.host_address(family), 8080), b"question"))
        if not comes:
            return self.assert_silent(server, 0.05)
        data, peer = server.recvfrom(64)
        self.assertEqual((b"question", BEYOND[family]), (data, peer[0]))
        server.sendto(b"answer", peer)
        (answer,) = outside.segments(lambda segment: segment.data == b"answer", 1, PATIENCE)
        self.assertEqual((self.net.host_address(family), 8080), answer.source)
        outside.frames.clear()
        return None

    def test_rules_of_a_network(self):
        """What it sends leaves by the second way, as the host's rules say."""
        self.create("red", "--subnet", subnet(1, 4), "--subnet", subnet(1, 6))
        endpoint = self.attach("red", "r1")
        bridge = oracle.network(self.bn, "red")["bridge"]
        for family, flag, via, nodad in ((4, "-4", "192.0.3.2", ()),
                                         (6, "-6", "2001:db8:3::2", ("nodad",))):
            self.second.run("ip", flag, "addr", "add", BEYOND[family], "dev", "eth0", *nodad)
            # the kernel adds the route to an IPv6 address a moment after the address
            wait_until(lambda: any(route["dst"] == BEYOND[family] for route in self.second.ip(
                flag, "route", "show", "table", "local")), what="the route to the address")
            self.host.run("ip", flag, "route", "add", "default", "via", via, "dev", "eth1",
                          "table", "77")
            with contextlib.closing(self.second.udp(family, COLLUDER, BEYOND[family])) as server:
                for which in (("from", subnet(1, family)), ("iif", bridge)):
                    self.host.run("ip", flag, "rule", "add", *which, "lookup", "77")
                    for rp_filter in (0, 2):
                        with under(self, rp_filter=rp_filter), self.subTest(rule=which):
                            self.assertEqual("192.0.3.1" if family == 4 else "2001:db8:3::1",
                                             self.assert_udp(endpoint, BEYOND[family], COLLUDER,
                                                             server))
                    self.host.run("ip", flag, "rule", "del", *which, "lookup", "77")
            self.host.run("ip", flag, "route", "flush", "table", "77")


if __name__ == "__main__":
    unittest.main()
