# SPDX-License-Identifier: LGPL-2.1-or-later
"""The gateway's address of a network belongs to the network: who reaches it, and who does not."""
import contextlib
import unittest

import oracle
from forging import BEYOND, COLLUDER, SERVICE, find_neighbours, under
from networks import gateway, subnet
from packets import ECHO_REQUEST, SYN, Wire, echo, tcp, udp
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

CONDITIONS = ({}, {"netfilter": 1, "policy": "DROP"}, {"rp_filter": 1})


class GatewayTest(KernelTest):
    """r1 on red has a port on every address; the host serves on all of its own."""

    def setUp(self):
        super().setUp()
        self.make_bridge()
        self.create("red", *self.BRIDGE, "--subnet", subnet(1, 4), "--subnet", subnet(1, 6))
        self.red = self.attach("red", "r1", "-p", "8080:82", "-p", "8080:82/udp")
        self.published = self.serve(self.red, 82)
        self.service = self.serve(self.host, SERVICE)
        self.published_udp = {family: self.keep(self.red.udp(family, 82)) for family in FAMILIES}
        self.service_udp = {family: self.keep(self.host.udp(family, SERVICE))
                            for family in FAMILIES}
        for machine in (self.remote, self.attacker):
            for family in FAMILIES:
                machine.run("ip", "route", "replace", subnet(1, family), "via",
                            self.net.host_address(family))

    def make_bridge(self):
        pass

    def tearDown(self):
        for machine in (self.remote, self.attacker):
            for family in FAMILIES:
                machine.run("ip", "route", "del", subnet(1, family), check=False)
        super().tearDown()

    def check_reached(self, client, address, family):
        with self.subTest(client=client.name, address=address):
            self.assert_tcp(client, address, SERVICE, self.service[family])
            with client.udp(family) as sender:
                # whose answer would be from the address that it leaves by
                sender.sendto(b"datagram", (address, SERVICE))
                self.assertEqual(b"datagram", self.service_udp[family].recv(64))
            self.assert_tcp(client, address, 8080, self.published[family])
            self.assert_udp(client, address, 8080, self.published_udp[family])
            client.ping(address)

    def check_not_reached(self, client, address, family):
        with self.subTest(client=client.name, address=address):
            # side by side: each of them waits in vain
            with contextlib.ExitStack() as stack:
                made = [stack.enter_context(client.socket(family, timeout=0))
                        for port in (SERVICE, 8080)]
                for one, port in zip(made, (SERVICE, 8080)):
                    with contextlib.suppress(BlockingIOError):
                        one.connect((address, port))
                sender = stack.enter_context(client.udp(family))
                for port in (SERVICE, 8080):
                    sender.sendto(b"datagram", (address, port))
                self.assertFalse(client.pings(address))
                for server in (self.service[family], self.published[family]):
                    server.settimeout(0)
                    self.assertRaises(BlockingIOError, server.accept)
                for server in (self.service_udp[family], self.published_udp[family]):
                    self.assert_silent(server, 0.01)

    def from_anywhere(self, address, family):
        """By raw frames: the ways in which an outsider may send to it."""
        mac = self.host.link("eth0")["address"]
        wire = self.keep(Wire(self.attacker, mac))
        for source in (self.net.address("attacker", family), self.net.address("remote", family),
                       BEYOND[family]):
            wire.send(echo(source, address, ECHO_REQUEST, b"echo"))
            for port in (SERVICE, 8080):
                wire.send(udp((source, COLLUDER), (address, port), b"datagram"))
                wire.send(tcp((source, COLLUDER), (address, port), SYN))


@for_each_backend
class OfAnOwnBridge(GatewayTest):
    BRIDGE = ()

    def setUp(self):
        super().setUp()
        self.create("blue", "--subnet", subnet(2, 4), "--subnet", subnet(2, 6))
        self.blue = self.attach("blue", "b1")

    def test_not_from_outside(self):
        for conditions in CONDITIONS[:2]:
            for family in FAMILIES:
                with under(self, **conditions), self.subTest(family=family):
                    here = self.net.host_address(family)
                    self.assert_tcp(self.remote, here, 8080, self.published[family])
                    self.assert_tcp(self.remote, here, SERVICE, self.service[family])
                    for machine in (self.remote, self.attacker):
                        self.check_not_reached(machine, gateway(1, family), family)

    def heard(self, address, family):
        """What is answered from there, and what came of that which was sent to it by hand."""
        for each in FAMILIES:
            self.host.run("conntrack", "-F", "-f", f"ipv{each}")
        answers = self.keep(Wire(self.attacker, self.host.link("eth0")["address"]))
        self.from_anywhere(address, family)
        found = [segment.source for segment in answers.segments(
            lambda segment: segment.source[0] == address, 1, 0.05)]
        for server in (self.service_udp[family], self.published_udp[family]):
            server.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(server.recvfrom(64))
        return found + list(oracle.conntrack(self.host, "-f", f"ipv{family}", "-d",
                                             address).values())

    def test_not_by_hand(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                wait_until(lambda: self.heard(self.net.host_address(family), family),
                           what="what comes by hand where it may")
                self.assertEqual([], self.heard(gateway(1, family), family))

    def test_not_by_what_else_leads_to_the_host(self):
        """A subnet's broadcast address, and that of any router of it, which IPv6 has."""
        for address, family in (("172.30.1.255", 4), ("172.30.1.0", 4), ("fd00:31::", 6)):
            with self.subTest(address=address):
                self.assertEqual([], self.heard(address, family))

    def test_from_what_is_ours(self):
        for conditions in CONDITIONS:
            for family in FAMILIES:
                with under(self, **conditions), self.subTest(family=family):
                    for client in (self.red, self.blue, self.host):
                        self.check_reached(client, gateway(1, family), family)


@for_each_backend
class OfAnAdoptedBridge(GatewayTest):
    """Who owned it says who reaches it."""

    BRIDGE = ("--bridge", "br5")

    def make_bridge(self):
        self.host.batch("link add br5 type bridge\nlink set br5 up\n")

    def setUp(self):
        super().setUp()
        find_neighbours(self.host, self.red.address(6))

    def left_over(self):
        self.host.batch("link del br5\n")
        return super().left_over()

    def test_as_before(self):
        for conditions in CONDITIONS[::2]:
            for family in FAMILIES:
                with under(self, **conditions), self.subTest(family=family):
                    for client in (self.remote, self.red, self.host):
                        self.check_reached(client, gateway(1, family), family)


if __name__ == "__main__":
    unittest.main()
