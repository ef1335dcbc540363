# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a bridge of ours and its ports are to the kernel: how much is learned, what comes back."""
import os
import struct
import unittest

import frames
import oracle
from topology import BACKENDS, FAMILIES, KernelTest, for_backend, wait_until

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
LEARNED_MAX = 16384     # lib/link/bridge.c
UNUSED = 0x88b5         # an EtherType that is nobody's


class BridgeTest(KernelTest):
    """The packet filter has no part in it."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.bridge = oracle.network(self.bn, "net")["bridge"]


@for_backend(BACKENDS[0])
class Learned(BridgeTest):
    def flood(self, namespace, count):
        """Frames for nobody, each from an address of its own."""
        sender = self.keep(frames.packet_socket(namespace, "eth0"))
        for i in range(count):
            sender.send(frames.mac_bytes("02:00:00:00:00:01") + struct.pack(
                "!HIH", 0x02ee, i, UNUSED) + bytes(46))

    def learned(self):
        lines = self.host.run("bridge", "fdb", "show", "br", self.bridge).stdout.splitlines()
        return [line for line in lines if "permanent" not in line]

    def is_learned(self, namespace):
        mac = namespace.link("eth0")["address"]
        return any(mac in line for line in self.learned())

    def check_reached(self, namespace, neighbour):
        for family in FAMILIES:
            for server, client in ((namespace, self.host), (namespace, neighbour),
                                   (neighbour, namespace)):
                with self.subTest(family=family, server=server.name, client=client.name):
                    listener = self.keep(server.listen(family, 80))
                    self.assert_tcp(client, server.address(family), 80, listener)
                    listener.close()

    def test_no_more_than_the_limit(self):
        flooder, known = self.attach("net", "flooder"), self.attach("net", "known")
        for family in FAMILIES:
            known.ping(GATEWAY[family])
        self.assertTrue(self.is_learned(known))
        self.flood(flooder, 2 * LEARNED_MAX)
        release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
        count = len(self.learned())
        if release < (6, 7):
            self.skipTest(f"Linux {release} has no limit: {count} are learned")
        self.assertIn(count, range(LEARNED_MAX - 1, LEARNED_MAX + 1))
        self.check_reached(known, flooder)
        # nothing is learned of one that comes later, and so it is flooded to
        late = self.attach("net", "late", "-p", "8080:80")
        self.assertFalse(self.is_learned(late))
        self.check_reached(late, known)
        for family in FAMILIES:
            listener = self.keep(late.listen(family, 80))
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, listener)
            listener.close()


@for_backend(BACKENDS[0])
class Hairpin(BridgeTest):
    """Whatever an endpoint sends to all comes back to it."""

    def test_on_every_port(self):
        for value in (0, 1):
            self.filter_bridged(value)
            self.attach("net", f"c{value}")
        ports = self.host.run("bridge", "-d", "link", "show").stdout
        self.assertEqual(2, ports.count("hairpin on"), ports)

    def filter_bridged(self, value):
        for key in ("iptables", "ip6tables"):
            try:
                self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)
            except FileNotFoundError:
                self.skipTest("the kernel has no br_netfilter")

    def test_own_port_whatever_is_filtered_since(self):
        """br_netfilter may be loaded, or turned off, at any time after the endpoint came."""
        for first in (0, 1):
            self.filter_bridged(first)
            role = f"c{first}"
            namespace = self.attach("net", role, "-p", f"808{first}:80")
            listeners = self.serve(namespace, 80)
            for value in (first, 1 - first):
                self.filter_bridged(value)
                for family in FAMILIES:
                    for address in (self.net.host_address(family), GATEWAY[family]):
                        with self.subTest(first=first, value=value, address=address):
                            self.assert_tcp(namespace, address, 8080 + first,
                                            listeners[family])

    def test_duplicate_address_detection(self):
        """Of the endpoint's own addresses: what it asks all comes back, and is known as its own."""
        namespace = self.attach("net", "c")
        namespace.sysctl("net/ipv6/conf/eth0/accept_dad", 1)
        namespace.run("ip", "addr", "add", "fd00:30::77/64", "dev", "eth0")
        # at the latest when a second has gone by without an answer
        wait_until(lambda: not [info for entry in namespace.ip("-6", "addr", "show", "dev", "eth0")
                                for info in entry["addr_info"] if info.get("tentative")],
                   what="the address is no longer tentative")
        flags = namespace.run("ip", "-6", "addr", "show", "dev", "eth0").stdout
        self.assertNotIn("dadfailed", flags)
        self.assertIn("fd00:30::77", flags)

    def test_neighbours_are_not_confused(self):
        """A request and an announcement of its own come back; it goes on as before."""
        namespace, neighbour = self.attach("net", "c"), self.attach("net", "d")
        mac, address = namespace.link("eth0")["address"], namespace.address(4)
        sniffer = frames.Sniffer(namespace, "eth0")
        self.addCleanup(sniffer.close)
        for target in (GATEWAY[4], neighbour.address(4), address):
            sniffer.socket.send(frames.arp_request(mac, address, target))
        back = sniffer.await_frames(
            lambda frame: frame.kind == frames.ETH_P_ARP and frame.mac == mac and
            frame.to == "ff:ff:ff:ff:ff:ff" and not frame.outgoing, 3)
        self.assertEqual(3, len(back))
        self.assertNotIn(address, [entry["dst"] for entry in namespace.ip("neigh", "show")])
        for family in FAMILIES:
            for server, client in ((namespace, self.host), (namespace, neighbour),
                                   (neighbour, namespace)):
                listener = self.keep(server.listen(family, 80))
                self.assert_tcp(client, server.address(family), 80, listener)
                listener.close()


if __name__ == "__main__":
    unittest.main()
