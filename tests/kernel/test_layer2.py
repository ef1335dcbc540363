# SPDX-License-Identifier: LGPL-2.1-or-later
"""What endpoints of one network see of each other at layer 2, and whose MAC they can take."""
import struct
import unittest

from forging import bridge_netfilter
from frames import Sniffer, arp_request, mac_bytes
from topology import FAMILIES, PATIENCE, KernelTest, for_each_backend

UNKNOWN = "02:00:00:00:0a:0a"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
MANY = "01:00:5e:00:00:fb"
KIND = 0x88b5   # for local experiments


def frame(to, mac, data=b"seen by whom?"):
    return mac_bytes(to) + mac_bytes(mac) + struct.pack("!H", KIND) + data.ljust(46, b"\0")


class Layer2Test(KernelTest):
    OPTIONS = ()

    def setUp(self):
        super().setUp()
        self.addCleanup(bridge_netfilter, self.host, 0)
        self.create("net", *(word for option in self.OPTIONS for word in ("--opt", option)),
                    dual=True)
        self.a = self.attach("net", "a")
        self.b = self.attach("net", "b", "--publish", "8080:80")
        self.web = self.serve(self.b, 80)
        self.outside = self.serve(self.remote, 81)

    def wire(self, namespace):
        made = Sniffer(namespace, "eth0")
        self.addCleanup(made.close)
        return made

    def mac(self, namespace):
        return namespace.link("eth0")["address"]

    def each_netfilter(self):
        for value in (0, 1):
            bridge_netfilter(self.host, value)
            with self.subTest(netfilter=value):
                yield value


class IccOff(Layer2Test):
    OPTIONS = ("icc=no",)

    def test_neighbours_are_out_of_reach(self):
        for _ in self.each_netfilter():
            for family in FAMILIES:
                self.assert_no_tcp(self.a, self.b.address(family), 80, self.web[family])

    def test_no_frame_is_seen(self):
        seen, sender = self.wire(self.b), self.wire(self.a)
        kinds = [mac_bytes(self.mac(self.a))]
        for _ in self.each_netfilter():
            for to in (self.mac(self.b), UNKNOWN, EVERYBODY, MANY):
                sender.socket.send(frame(to, self.mac(self.a)))
            sender.socket.send(arp_request(self.mac(self.a), self.a.address(4),
                                           self.b.address(4)))
            found = seen.seen(lambda one: not one.outgoing and mac_bytes(one.mac) in kinds, 0.2)
            self.assertEqual([], [(one.to, hex(one.kind)) for one in found])

    def test_all_else_works(self):
        """The host and the endpoints, the way out, and the gateway's answers."""
        for _ in self.each_netfilter():
            for family in FAMILIES:
                self.assert_tcp(self.host, self.b.address(family), 80, self.web[family])
                self.assert_tcp(self.a, self.net.address("remote", family), 81,
                                self.outside[family])
                self.assert_tcp(self.remote, self.net.address("host", family), 8080,
                                self.web[family])

    def test_published_by_the_own_network(self):
        bridge_netfilter(self.host, 0)
        for family in FAMILIES:
            for client in (self.a, self.b):
                self.assert_tcp(client, self.net.address("host", family), 8080,
                                self.web[family])


class Live(Layer2Test):
    def assert_heard(self, is_heard, mac):
        """Whether b hears what a sends to all with that MAC."""
        seen, sender = self.wire(self.b), self.wire(self.a)
        sender.socket.send(frame(EVERYBODY, mac))
        found = seen.await_frames(lambda one: one.kind == KIND, 1, PATIENCE if is_heard else 0.2)
        self.assertEqual(is_heard, bool(found))

    def test_icc(self):
        for icc in ("no", "yes", "no"):
            self.bn("network", "update", "net", "--opt", f"icc={icc}")
            self.assert_heard(icc == "yes", self.mac(self.a))
            for family in FAMILIES:
                reach = self.assert_tcp if icc == "yes" else self.assert_no_tcp
                reach(self.a, self.b.address(family), 80, self.web[family])
                self.assert_tcp(self.host, self.b.address(family), 80, self.web[family])

    def test_anti_spoof(self):
        for value in ("mac", "no", "mac"):
            self.bn("network", "update", "net", "--opt", f"anti-spoof={value}")
            self.assert_heard(value == "no", UNKNOWN)
            self.assert_heard(True, self.mac(self.a))
        self.bn("endpoint", "update", "net", "a", "--opt", "anti-spoof=no")
        self.assert_heard(True, UNKNOWN)
        self.bn("network", "update", "net", "--opt", "anti-spoof=no")
        self.bn("endpoint", "update", "net", "a", "--opt", "anti-spoof=mac")
        self.assert_heard(False, UNKNOWN)
        self.bn("endpoint", "update", "net", "a", "--opt", "anti-spoof=")
        self.assert_heard(True, UNKNOWN)


class IccOn(Layer2Test):
    def test_neighbours_reach_each_other(self):
        seen, sender = self.wire(self.b), self.wire(self.a)
        sender.socket.send(frame(EVERYBODY, self.mac(self.a)))
        self.assertTrue(seen.await_frames(lambda one: one.kind == KIND, 1))
        for family in FAMILIES:
            self.assert_tcp(self.a, self.b.address(family), 80, self.web[family])


class AntiSpoofMac(Layer2Test):
    OPTIONS = ("anti-spoof=mac",)

    def test_foreign_macs_are_refused(self):
        seen, sender = self.wire(self.b), self.wire(self.a)
        sender.socket.send(frame(EVERYBODY, UNKNOWN))
        sender.socket.send(frame(EVERYBODY, self.mac(self.b)))
        sender.socket.send(frame(EVERYBODY, self.mac(self.a)))
        found = seen.await_frames(lambda one: one.kind == KIND and not one.outgoing, 1)
        found = seen.seen(lambda one: one.kind == KIND and not one.outgoing, 0.2)
        self.assertEqual([self.mac(self.a)], [one.mac for one in found])

    def test_nobody_is_robbed(self):
        """Where the MAC of another is, is not learned of whoever sends with it."""
        sender = self.wire(self.a)
        for _ in range(3):
            sender.socket.send(frame(EVERYBODY, self.mac(self.b)))
        for family in FAMILIES:
            self.assert_tcp(self.host, self.b.address(family), 80, self.web[family])
            self.assert_tcp(self.a, self.b.address(family), 80, self.web[family])
            self.assert_tcp(self.b, self.net.address("remote", family), 81, self.outside[family])

    def test_one_that_may(self):
        """Its own option comes before the network's; nor does it rob the others."""
        c = self.attach("net", "c", "--opt", "anti-spoof=no")
        seen, sender = self.wire(self.b), self.wire(c)
        sender.socket.send(frame(EVERYBODY, UNKNOWN))
        self.assertTrue(seen.await_frames(lambda one: one.kind == KIND, 1))
        sender.socket.send(frame(EVERYBODY, self.mac(self.b)))
        for family in FAMILIES:
            self.assert_tcp(self.a, self.b.address(family), 80, self.web[family])

    def test_neighbours_find_each_other(self):
        for family in FAMILIES:
            self.assert_tcp(self.a, self.b.address(family), 80, self.web[family])


class AntiSpoofOfOne(Layer2Test):
    def test_endpoint_alone(self):
        """On a network without it."""
        c = self.attach("net", "c", "--opt", "anti-spoof=mac")
        seen, sender = self.wire(self.b), self.wire(c)
        sender.socket.send(frame(EVERYBODY, UNKNOWN))
        sender.socket.send(frame(EVERYBODY, self.mac(c)))
        found = seen.await_frames(lambda one: one.kind == KIND, 1)
        self.assertEqual([self.mac(c)], [one.mac for one in found])
        # who is not held to anything sends with its MAC
        self.wire(self.a).socket.send(frame(EVERYBODY, self.mac(c)))
        web = self.serve(c, 80)
        for family in FAMILIES:
            self.assert_tcp(self.b, c.address(family), 80, web[family])


for case in (IccOff, IccOn, Live, AntiSpoofMac, AntiSpoofOfOne):
    for_each_backend(case)
del Layer2Test, IccOff, IccOn, Live, AntiSpoofMac, AntiSpoofOfOne, case


if __name__ == "__main__":
    unittest.main()
