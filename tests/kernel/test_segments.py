# SPDX-License-Identifier: LGPL-2.1-or-later
"""How large the segments are that the two ends of a TCP connection agree on (mss-clamp)."""
import socket
import unittest

import oracle
from networks import gateway, subnet
from topology import FAMILIES, PATIENCE, KernelTest, for_each_backend

HEADERS = {4: 40, 6: 60}
UPLINK, ELSEWHERE = 1400, 1500
CLAMP = ("--opt", "mss-clamp=yes")
OWN = ("--opt", f"mtu={ELSEWHERE}")     # and not that of the uplink; an adopted bridge has its own


@for_each_backend
class Segments(KernelTest):
    """The host's uplink takes less than the links of the ends, which know nothing of it."""

    def setUp(self):
        super().setUp()
        self.host.run("ip", "link", "set", "eth0", "mtu", str(UPLINK))
        # what they take of a segment is no part of the question
        self.remote.sysctl("net/ipv4/tcp_timestamps", 0)

    def tearDown(self):
        self.host.run("ip", "link", "set", "eth0", "mtu", str(ELSEWHERE))
        super().tearDown()

    def make(self, name, number, *argv):
        self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6), *argv)
        namespace = self.net.endpoint("c1")
        namespace.sysctl("net/ipv4/tcp_timestamps", 0)
        return self.attach(name, "c1", "-p", f"{8080 + number}:80", namespace=namespace)

    def seen(self, client, address, port, listener):
        """The largest segments that each side sends: the client, the server."""
        made = self.connect(client, address, port)
        listener.settimeout(PATIENCE)
        server = self.keep(listener.accept()[0])
        answer = tuple(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                       for end in (made, server))
        made.close()
        server.close()
        return answer

    def assert_segments(self, namespace, number, mtu):
        """On connections that either side begins."""
        outside, inside = self.serve(self.remote, 7000), self.serve(namespace, 80)
        for family in FAMILIES:
            expected = (mtu - HEADERS[family],) * 2
            self.assertEqual(expected, self.seen(namespace, self.net.address("remote", family),
                                                 7000, outside[family]), f"out, IPv{family}")
            self.assertEqual(expected, self.seen(self.remote, self.net.host_address(family),
                                                 8080 + number, inside[family]),
                             f"in, IPv{family}")
        for listener in (*outside.values(), *inside.values()):
            listener.close()

    def clamps(self):
        """{(network, family): packets} of the rules that clamp."""
        counted = {}
        for rule in oracle.rules(self.bn, "-v"):
            if rule["target"] == "TCPMSS":
                key = rule["network"], rule["family"]
                counted.setdefault(key, []).append(rule["packets"])
        return counted

    def test_both_ends_of_both_families(self):
        red, blue = self.make("red", 1, *OWN, *CLAMP), self.make("blue", 2, *OWN)
        self.assert_segments(red, 1, UPLINK)
        self.assert_segments(blue, 2, ELSEWHERE)
        counted = self.clamps()
        self.assertEqual({"red"}, {network for network, _ in counted})
        # a connection each way, of which each side has sent a segment of the kind
        self.assertEqual([[2, 2]] * 2, list(counted.values()))

    def test_no_larger_than_asked_for(self):
        """Who asks for less than the route takes gets less."""
        red = self.make("red", 1, *OWN, *CLAMP)
        outside = self.serve(self.remote, 7000)
        for family in FAMILIES:
            made = self.keep(red.socket(family))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 600)
            made.connect((self.net.address("remote", family), 7000))
            server = self.keep(outside[family].accept()[0])
            self.assertEqual(600, server.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))

    def test_live(self):
        red = self.make("red", 1, *OWN)
        for value, mtu in (("no", ELSEWHERE), ("yes", UPLINK), ("no", ELSEWHERE)):
            self.bn("network", "update", "red", "--opt", f"mss-clamp={value}")
            self.assertEqual(2 * (value == "yes"), len(self.clamps()))
            self.assert_segments(red, 1, mtu)

    def stranger(self):
        """Somebody else on the adopted bridge, whom the machine outside knows the way to."""
        made = self.net.endpoint("stranger")
        made.settle("default")
        made.sysctl("net/ipv4/tcp_timestamps", 0)
        self.host.batch(f"link add other type veth peer name eth0 netns {made.name}\n"
                        "link set other master brf up\n")
        made.run("ip", "link", "set", "eth0", "up")
        for family in FAMILIES:
            network, via = subnet(2, family), gateway(2, family)
            address = via[:-1] + "9" + network[network.index("/"):]
            made.run("ip", "addr", "add", address, "dev", "eth0",
                     *(["nodad"] if family == 6 else []))
            made.run("ip", "route", "add", "default", "via", via)
            self.remote.run("ip", "route", "replace", network, "via",
                            self.net.host_address(family))
        return made

    def test_adopted(self):
        """The network's own connections, and not those of others by the same bridge."""
        self.host.batch("link add brf type bridge\nlink set brf up\n")
        self.host.settle("brf")
        for family in FAMILIES:
            for number in (1, 2):
                network = subnet(number, family)
                self.host.run("ip", "addr", "add",
                              gateway(number, family) + network[network.index("/"):], "dev", "brf",
                              *(["nodad"] if family == 6 else []))
        red = self.make("red", 1, "--bridge", "brf", *CLAMP)
        stranger = self.stranger()
        self.assert_segments(red, 1, UPLINK)
        outside = self.serve(self.remote, 7000)
        for family in FAMILIES:
            self.assertEqual((ELSEWHERE - HEADERS[family],) * 2,
                             self.seen(stranger, self.net.address("remote", family), 7000,
                                       outside[family]))
        self.remove_all()
        self.host.batch("link del other\nlink del brf\n")


if __name__ == "__main__":
    unittest.main()
