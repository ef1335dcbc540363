# SPDX-License-Identifier: LGPL-2.1-or-later
"""Check finds what has come in the way of ports and addresses since, and flows to nobody."""
import os
import socket

import oracle
from findings import CheckTest
from library import HOLD_PORTS, Library
from topology import FAMILIES, for_each_backend, wait_until

ADDRESS = {4: "172.30.0.9", 6: "fd00:30::9"}
AT = ("--ip", ADDRESS[4], "--ip", ADDRESS[6])
NOBODY = {4: "172.30.0.77", 6: "fd00:30::77"}


class PortsTest(CheckTest):
    def setUp(self):
        super().setUp()
        self.host.run("conntrack", "-F")
        self.create(dual=True)


@for_each_backend
class Listeners(PortsTest):
    def come_later(self, family, port, address=None):
        return self.keep(self.host.listen(family, port, address))

    def test_one_that_came_later(self):
        for count in (1, 12):  # asked about one by one, and all at once
            specs = [word for number in range(count)
                     for word in ("-p", f"{8080 + number}:80")]
            self.attach("net", "c1", *AT, *specs)
            self.assert_clean()
            for family in FAMILIES:
                with self.subTest(family=family, count=count):
                    own = self.come_later(family, 8080)
                    finding = self.one("port-listener", network="net", endpoint="c1",
                                       object="8080/tcp")
                    self.assertIn(str(os.getpid()), finding["is"])
                    self.assertEqual([finding], self.found("net", "c1"))
                    self.assertIn("python", finding["text"])
                    own.close()
                    self.assert_clean()
                    self.assert_clean("net", "c1")
            self.bn("detach", "net", "c1")
            self.net.drop_endpoints()

    def test_within_a_range_and_at_its_ends(self):
        self.attach("net", "c1", "-p", "8000-8009:90-99")
        for port in (7999, 8010):
            self.come_later(4, port)
        self.assert_clean()
        for port in (8000, 8005, 8009):
            own = self.come_later(4, port)
            self.one("port-listener", object=f"{port}/tcp")
            own.close()

    def test_an_address(self):
        """That of another address of the host is in nobody's way."""
        first, second = self.net.host_address(4), self.net.HOST_SECOND[4]
        self.attach("net", "c1", "-p", f"{first}:8080:80")
        self.come_later(4, 8080, second)
        self.come_later(6, 8080, self.net.host_address(6))
        self.assert_clean()
        self.come_later(4, 8080, first)
        self.one("port-listener", object=f"{first}:8080/tcp")

    def test_udp(self):
        self.attach("net", "c1", *AT, "-p", "8053:53/udp")
        for family in FAMILIES:
            own = self.keep(self.host.udp(family, 8053))
            self.one("port-listener", object="8053/udp")
            # what it has for a connection of its own takes nothing else in
            own.connect((self.net.address("remote", family), 9))
            self.assert_clean()
            own.close()

    def test_sockets_that_take_nothing_in(self):
        """Bound ones, and connections out."""
        self.attach("net", "c1", "-p", "8080:80")
        bound = self.keep(self.host.socket(4))
        bound.bind(("0.0.0.0", 8080))
        self.assert_clean()
        self.assert_clean("net", "c1")
        bound.listen(1)
        self.one("port-listener")

    def test_over_a_listener(self):
        """Where that was meant nothing is said, whatever is made of the port later."""
        self.come_later(4, 8080)
        self.come_later(4, 8081)
        self.attach("net", "c1", "-p", "8080:80", "--over-listener")
        self.assert_clean()
        self.bn("publish", "net", "c1", "-p", "8081:81", "-p", "8082-8084:82-84",
                "--over-listener")
        self.come_later(4, 8083)
        self.bn("publish", "net", "c1", "-p", "8085:85")
        self.assert_clean()
        self.assert_clean("net", "c1")
        self.come_later(4, 8085)
        self.one("port-listener", object="8085/tcp")
        self.bn("unpublish", "net", "c1", "-p", "8080:80", "-p", "8081:81", "-p", "8082-8084:82-84",
                "-p", "8085:85")
        self.assertEqual([], oracle.ports(self.bn, "net", "c1"))

    def test_held_by_the_library(self):
        """Of UDP a socket that holds a port looks as if it read."""
        self.attach("net", "c1", *AT)
        library = Library(self.net, self.backend)
        self.addCleanup(library.close)
        for port in ("8080:80", "8053-8055:53-55/udp"):
            library.publish("net", "c1", port, flags=HOLD_PORTS)
        for kind, port in ((socket.SOCK_STREAM, 8080), (socket.SOCK_DGRAM, 8054)):
            self.assertRaises(OSError, self.keep(self.host.socket(4, kind)).bind, ("", port))
        self.assert_clean()
        self.assert_clean("net", "c1")


@for_each_backend
class Addresses(PortsTest):
    def tearDown(self):
        self.host.run("ip", "addr", "replace", f"{self.net.HOST_SECOND[4]}/24", "dev", "eth0")
        self.host.run("ip", "addr", "replace", f"{self.net.HOST_SECOND[6]}/64", "dev", "eth0",
                      "nodad", "preferred_lft", "0")
        wait_until(self.net.host_is_settled, what="the host's addresses")
        super().tearDown()

    def test_published_on_an_address_that_is_gone(self):
        second = self.net.HOST_SECOND
        self.attach("net", "c1", *AT, "-p", f"{second[4]}:8080:80", "-p", f"[{second[6]}]:8081:80",
                    "-p", f"{self.net.host_address(4)}:8082:80", "-p", "8083:80")
        self.assert_clean()
        for family, shown in ((4, f"{second[4]}:8080/tcp"), (6, f"[{second[6]}]:8081/tcp")):
            length = 24 if family == 4 else 64
            self.host.run("ip", "addr", "del", f"{second[family]}/{length}", "dev", "eth0")
            finding = self.one("port-address-gone", network="net", endpoint="c1", object=shown)
            self.assertEqual([finding], self.found("net", "c1"))
            self.assertIn(second[family], finding["is"])
            self.host.run("ip", "addr", "add", f"{second[family]}/{length}", "dev", "eth0",
                          *(() if family == 4 else ("nodad", "preferred_lft", "0")))
            wait_until(lambda: not self.found(), what="the address again")

    def test_published_on_an_interface_that_is_gone(self):
        self.host.run("ip", "link", "add", "more0", "type", "bridge")
        self.attach("net", "c1", "-p", "%more0:8080:80")
        self.assert_clean()
        self.host.run("ip", "link", "del", "more0")
        self.one("port-address-gone", object="%more0:8080/tcp")

    def test_another_interface_of_the_host_has_it(self):
        self.attach("net", "c1", *AT)
        self.host.run("ip", "link", "add", "more0", "up", "type", "bridge")
        self.addCleanup(self.host.run, "ip", "link", "del", "more0", check=False)
        for family, length in ((4, 32), (6, 128)):
            self.host.run("ip", "addr", "add", f"{ADDRESS[family]}/{length}", "dev", "more0",
                          *(() if family == 4 else ("nodad",)))
            wait_until(lambda: self.found("net", "c1"), what="the address")
            self.one("address-twice", "net", "c1", network="net", endpoint="c1",
                     object=ADDRESS[family])
            # that it forwards nothing of IPv6 is another matter
            entries = {entry["code"]: entry for entry in self.found()
                       if entry["code"] != "forwarding-off"}
            self.assertEqual({"address-twice", "subnet-overlap"}, set(entries))
            self.assertIn("more0", entries["address-twice"]["is"])
            self.host.run("ip", "addr", "del", f"{ADDRESS[family]}/{length}", "dev", "more0")
            wait_until(lambda: not self.found("net", "c1"), what="the address to go")
        self.host.run("ip", "link", "del", "more0")

    def test_a_route_leads_away(self):
        self.attach("net", "c1", *AT)
        for family in FAMILIES:
            self.host.run("ip", "route", "add", ADDRESS[family], "via",
                          self.net.address("remote", family))
            finding = self.one("address-twice", "net", "c1", object=ADDRESS[family])
            self.assertIn("eth0", finding["is"])
            self.host.run("ip", "route", "del", ADDRESS[family])
            self.assert_clean()

    def test_a_route_that_overlaps(self):
        """A default route and its halves are no overlap, nor is what another network has."""
        self.create("other", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.attach("net", "c1", *AT)
        for destination in ("128.0.0.0/1", "8000::/1"):
            self.host.run("ip", "route", "add", destination, "via",
                          self.net.address("remote", 6 if ":" in destination else 4))
        self.assert_clean()
        for wide, subnet, family in (("172.16.0.0/12", "172.30.0.0/24", 4),
                                     ("fd00:30::/32", "fd00:30::/64", 6)):
            self.host.run("ip", "route", "add", wide, "via", self.net.address("remote", family))
            overlaps = [entry for entry in self.found() if entry["object"] == subnet]
            self.assertEqual(["subnet-overlap"], [entry["code"] for entry in overlaps])
            self.assertIn(f"{wide} by eth0", overlaps[0]["is"])
            self.assertEqual(1, overlaps[0]["severity"])
            self.assert_clean("net", "c1")
            self.host.run("ip", "route", "del", wide)
        for destination in ("128.0.0.0/1", "8000::/1"):
            self.host.run("ip", "route", "del", destination)

    def test_somebody_else_on_the_bridge_answers(self):
        self.attach("net", "c1", *AT)
        bridge = oracle.network(self.bn, "net")["bridge"]
        stranger = self.net.endpoint("stranger")
        self.host.run("ip", "link", "add", "tap0", "master", bridge, "up", "type", "veth", "peer",
                      "name", "eth0", "netns", stranger.name)
        stranger.batch("link set eth0 up\n"
                       f"addr add {ADDRESS[4]}/24 dev eth0\n"
                       f"addr add {ADDRESS[6]}/64 dev eth0 nodad\n")
        self.host.run("ip", "neigh", "flush", "dev", bridge)
        self.assert_clean("net", "c1")
        for family in FAMILIES:
            mac = stranger.link("eth0")["address"]
            self.host.run("ip", "neigh", "replace", ADDRESS[family], "lladdr", mac, "nud", "stale",
                          "dev", bridge)
            finding = self.one("address-twice", "net", "c1", object=ADDRESS[family])
            self.assertIn(mac, finding["is"])
            self.host.run("ip", "neigh", "del", ADDRESS[family], "dev", bridge)
        stranger.run("ip", "link", "set", "eth0", "down")
        self.host.run("ip", "link", "del", "tap0")


@for_each_backend
class Flows(PortsTest):
    def insert(self, *argv):
        self.host.run("conntrack", "-I", "-t", "600", *argv)

    def flow(self, family, protocol, address, port=40000):
        """Of a client to a port of the host, which was led to the address."""
        state = ("--state", "ESTABLISHED") if protocol == "tcp" else ()
        self.insert("-p", protocol, *state, "-u", "SEEN_REPLY,ASSURED",
                    "-s", self.net.address("remote", family), "-d", self.net.host_address(family),
                    "--sport", str(port), "--dport", "8080",
                    "-g", f"{address}:80" if family == 4 else f"[{address}]:80")

    def count(self, port="8080"):
        """Of those to that port: the host may say something of its own meanwhile."""
        return sum(f"dport={port} " in line for family in ("ipv4", "ipv6")
                   for line in oracle.conntrack(self.host, "-f", family).values())

    def test_to_an_address_that_nobody_has(self):
        self.attach("net", "c1", *AT, "-p", "8080:80")
        for family in FAMILIES:
            for protocol in ("tcp", "udp"):
                with self.subTest(family=family, protocol=protocol):
                    # that of an endpoint, of a stranger, and of the gateway stay
                    self.flow(family, protocol, ADDRESS[family])
                    self.flow(family, protocol, self.net.address("attacker", family), port=40001)
                    self.flow(family, protocol, "172.30.0.1" if family == 4 else "fd00:30::1",
                              port=40002)
                    before = self.count()
                    self.assert_clean()
                    for port in (40003, 40004):
                        self.flow(family, protocol, NOBODY[family], port=port)
                    self.one("flows-stale", network="net", object=NOBODY[family])
                    self.assertEqual([True], [entry["repaired"] for entry in self.repair()])
                    self.assertEqual(before, self.count())
                    self.assert_clean()
                    self.host.run("conntrack", "-F")

    def test_from_an_address_that_nobody_has(self):
        self.insert("-p", "udp", "-s", NOBODY[4], "-d", self.net.address("remote", 4),
                    "-n", self.net.host_address(4), "--sport", "5000", "--dport", "53")
        self.one("flows-stale", object=NOBODY[4])
        self.repair()
        self.assert_clean()
        self.assertEqual([], [line for line in oracle.conntrack(self.host).values()
                              if NOBODY[4] in line])

    def test_a_question_that_nobody_answered(self):
        """The host looks for somebody: that ends by itself."""
        self.host.udp(4).sendto(b"hello", (NOBODY[4], 9))
        self.assert_clean()

    def test_a_guest_of_somebody_else(self):
        """Its flows are its own, whatever the state knows of it."""
        bridge = oracle.network(self.bn, "net")["bridge"]
        guest = self.net.endpoint("guest")
        self.host.run("ip", "link", "add", "tap0", "master", bridge, "up", "type", "veth", "peer",
                      "name", "eth0", "netns", guest.name)
        guest.batch(f"link set eth0 up\naddr add {NOBODY[4]}/24 dev eth0\n")
        server = self.keep(guest.udp(4, 53))
        client = self.keep(self.host.udp(4))
        client.sendto(b"question", (NOBODY[4], 53))
        _, peer = server.recvfrom(64)
        server.sendto(b"answer", peer)
        self.assertEqual(b"answer", client.recv(64))
        before = self.count("53")
        self.assertTrue(before)
        self.assert_clean()
        self.assertEqual([], self.repair())
        self.assertEqual(before, self.count("53"))
        self.host.run("ip", "link", "del", "tap0")

    def test_of_a_port_that_leads_elsewhere(self):
        """Of UDP; one of TCP goes on for as long as the endpoint is there that it went to."""
        self.attach("net", "c1", *AT)
        self.attach("net", "c2", "-p", "8080:80", "-p", "8080:80/udp")
        for family in FAMILIES:
            self.flow(family, "tcp", ADDRESS[family])
            self.assert_clean()
            self.flow(family, "udp", ADDRESS[family])
            shown = ADDRESS[family] if family == 4 else f"[{ADDRESS[family]}]"
            self.one("flows-stale", object=f"{shown}:80/udp")
            before = self.count()
            self.repair()
            self.assertEqual(before - 1, self.count())
            self.assert_clean()
            self.host.run("conntrack", "-F")
