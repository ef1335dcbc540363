# SPDX-License-Identifier: LGPL-2.1-or-later
"""The family that a network lacks is off, and nobody but the library gives an endpoint anything."""
import contextlib
import pathlib
import socket
import struct
import unittest

import oracle
from frames import (ALL_NODES, ROUTER_ADVERTISEMENT, Sniffer, packet_socket,
                    router_advertisement)
from library import Failed, Library
from networks import defaults
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

BAD = "2001:db8:bad::"
RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTA_OIF = 0x100, 0x400, 4
READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount --bind /proc/sys /proc/sys && '
             'mount -o remount,bind,ro /proc/sys && exec "$@"', "sh")
LEAVE = {"sandbox-ipv6": "leave"}


def oif(attributes):
    """The device of a route, out of a netlink message."""
    while len(attributes) >= 4:
        length, kind = struct.unpack("HH", attributes[:4])
        if kind == RTA_OIF:
            return attributes[4:8]
        attributes = attributes[max(4, length + 3 & ~3):]
    return None


def about_ipv6(log):
    return [line for line in log if "ipv6" in line.lower()]


class FamiliesTest(KernelTest):
    """Networks four, six and dual."""

    GATEWAY = {4: "172.31.3.1", 6: "fd00:33::1"}

    def setUp(self):
        super().setUp()
        self.create("four", "--subnet", "172.31.1.0/24")
        self.create("six", "--subnet", "fd00:32::/64")
        self.create("dual", "--subnet", "172.31.3.0/24", "--subnet", "fd00:33::/64")

    def ipv6(self, namespace, key, interface="eth0"):
        return namespace.sysctl(f"net/ipv6/conf/{interface}/{key}")

    def everything(self, namespace, interface="eth0"):
        """All IPv6 addresses, of any scope and state."""
        return [info for entry in namespace.ip("-6", "addr", "show", "dev", interface) if entry
                for info in entry.get("addr_info", [])]

    def assert_none(self, namespace):
        """There is no IPv6 at all on its interface."""
        self.assertEqual("1", self.ipv6(namespace, "disable_ipv6"))
        self.assertEqual([], self.everything(namespace))
        self.assertEqual([], namespace.ip("-6", "route", "show", "dev", "eth0"))

    def assert_ready(self, namespace, interface="eth0"):
        """It has IPv6, and no address is one that has to wait."""
        found = self.everything(namespace, interface)
        self.assertEqual({"global", "link"}, {info["scope"] for info in found})
        for info in found:
            self.assertFalse(info.get("tentative"), info)


@for_each_backend
class Sysctls(FamiliesTest):
    def test_without_ipv6(self):
        namespace = self.attach("four", "c1")
        self.assert_none(namespace)
        for name in ("all", "default", "lo"):
            self.assertEqual("0", self.ipv6(namespace, "disable_ipv6", name))

    def test_off_before_it_is_up(self):
        """No address and no route, not for a moment."""
        namespace = self.net.endpoint("c1")
        with namespace:
            monitor = self.keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
        monitor.bind((0, RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE))
        self.attach("four", "c1", namespace=namespace)
        index = struct.pack("I", namespace.link("eth0")["ifindex"])
        # loopback has its own, so that there is something to see
        heard = []
        monitor.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(monitor.recv(65536))
        self.assertTrue(heard)
        self.assertEqual([], [message for message in heard if index in
                              (message[20:24], oif(message[28:]))])

    def test_with_ipv6(self):
        for name in ("dual", "six"):
            with self.subTest(network=name):
                namespace = self.attach(name, name)
                self.assertEqual(["0", "0", "0", "0"],
                                 [self.ipv6(namespace, key) for key in
                                  ("disable_ipv6", "accept_ra", "autoconf", "accept_dad")])
                self.assert_ready(namespace)

    def test_nothing_else_is_written(self):
        """What is set for all, for lo, and for what comes later is the sandbox's own."""
        def settings(namespace):
            with namespace:
                return {path: path.read_text() for family in FAMILIES
                        for name in ("all", "default", "lo")
                        for path in pathlib.Path(f"/proc/sys/net/ipv{family}/conf/{name}").iterdir()
                        if path.name != "stable_secret"}

        wanted = settings(self.net.endpoint("fresh"))
        for network in ("four", "dual", "six"):
            self.assertEqual(wanted, settings(self.attach(network, network)))

    def test_off_by_default(self):
        """As container runtimes leave a namespace."""
        server = {family: self.keep(self.host.udp(family, 6001)) for family in FAMILIES}
        for names in (("default",), ("all", "default"), ("all", "default", "lo")):
            with self.subTest(off=names):
                namespace = self.net.endpoint("c1")
                for name in names:
                    namespace.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", 1)
                self.attach("dual", f"c{len(names)}", namespace=namespace)
                self.assertEqual("0", self.ipv6(namespace, "disable_ipv6"))
                self.assert_ready(namespace)
                for family in FAMILIES:
                    self.assert_udp(namespace, self.GATEWAY[family], 6001, server[family])
                self.attach("four", f"c{len(names)}", namespace=namespace)
                self.assertEqual("1", self.ipv6(namespace, "disable_ipv6", "eth1"))

    def test_first_packet_by_a_second_network(self):
        """Nobody waits for anything after attach: the first datagram arrives."""
        self.create("second", "--subnet", "fd00:34::/64")
        namespace = self.attach("dual", "c1")
        servers = [self.keep(namespace.udp(6, 4000)), self.keep(self.host.udp(6, 4001)),
                   self.keep(self.remote.udp(6, 4002))]
        outside = self.keep(self.remote.udp(6))
        self.attach("second", "c1", "-p", "5000:4000/udp", namespace=namespace)
        self.assert_ready(namespace, "eth1")
        address = namespace.address(6, "eth1")
        sender = self.keep(namespace.udp(6, address=address))
        for server in servers:
            server.settimeout(0.8)
        outside.sendto(b"in", (self.net.host_address(6), 5000))
        self.assertEqual(b"in", servers[0].recv(64))
        sender.sendto(b"gateway", ("fd00:34::1", 4001))
        self.assertEqual(b"gateway", servers[1].recv(64))
        sender.sendto(b"out", (self.net.address("remote", 6), 4002))
        self.assertEqual(b"out", servers[2].recv(64))


@for_each_backend
class ReadOnly(FamiliesTest):
    """/proc/sys can't be written, as in most containers that run the library."""

    def library(self, **options):
        made = Library(self.net, self.backend, prefix=READ_ONLY, **options)
        self.addCleanup(made.close)
        return made

    def test_refused(self):
        namespace = self.net.endpoint("c1")
        before = self.net.host_state()
        result = self.host.run(*READ_ONLY, *self.bn.argv("attach", "four", "c1", "--netns",
                                                         namespace.path, "-p", "8080:80"),
                               check=False)
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n\Z")
        self.assertIn("/proc/sys", result.stderr)
        self.assertTrue(about_ipv6([result.stderr]), result.stderr)
        self.assertEqual({"lo"}, set(namespace.links()))
        self.assertEqual(before, self.net.host_state())
        self.assertEqual([], oracle.endpoints(self.bn))
        # all that it had is free again
        self.attach("four", "c1", "--ip", "172.31.1.2", "-p", "8080:80", namespace=namespace)

    def hidden(self, where, namespace):
        return self.host.run("unshare", "--mount", "sh", "-c",
                             f'mount -t tmpfs tmpfs {where} && exec "$@"', "sh",
                             *self.bn.argv("attach", "four", "c1", "--netns", namespace.path),
                             check=False)

    def test_hidden(self):
        """It is not there at all, and IPv6 is: not known to be off, and not told to be left."""
        namespace = self.net.endpoint("c1")
        result = self.hidden("/proc/sys", namespace)
        self.assertEqual(1, result.returncode)
        self.assertIn("/proc/sys", result.stderr)
        self.assertEqual({"lo"}, set(namespace.links()))
        # what is mounted on a file of one namespace is not on those of others
        result = self.hidden("/proc/sys/net/ipv6", namespace)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertEqual("1", self.ipv6(namespace, "disable_ipv6"))

    def test_few_descriptors(self):
        """Where they run out, it is refused, or all of it done."""
        namespace = self.net.endpoint("c1")
        for limit in range(8, 40):
            result = self.host.run("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh",
                                   *self.bn.argv("attach", "four", "c1", "--netns",
                                                 namespace.path), check=False)
            if result.returncode:
                self.assertEqual({"lo"}, set(namespace.links()), limit)
                continue
            self.assertEqual("1", self.ipv6(namespace, "disable_ipv6"), limit)
            self.bn("detach", "four", "c1")

    def test_left_as_the_option_says(self):
        namespaces = [self.net.endpoint(name) for name in ("c1", "c2")]
        library = self.library(options=LEAVE)
        server = self.keep(self.host.udp(4, 6001))
        for name, namespace in zip(("c1", "c2"), namespaces):
            said = about_ipv6(library.attach("four", name, namespace)["log"])
            self.assertEqual(1, len(said), said)
            self.assertIn(name, said[0])
            self.assertEqual("0", self.ipv6(namespace, "disable_ipv6"))
            self.assert_udp(namespace, "172.31.1.1", 6001, server)

    def test_left_with_ipv6(self):
        """Of all that can't be written, what is said is that it listens to routers."""
        # what is made later is not in the library's mounts
        namespaces = {name: self.net.endpoint(name) for name in ("dual", "six")}
        library = self.library(options=LEAVE)
        for name, namespace in namespaces.items():
            said = about_ipv6(library.attach(name, name, namespace)["log"])
            self.assertEqual(1, len(said), said)
            self.assertIn(f"endpoint {name}", said[0])
            self.assertIn("/eth0/accept_ra", said[0])
            self.assertEqual("1", self.ipv6(namespace, "accept_ra"))

    def test_option_by_words(self):
        namespace = self.net.endpoint("c1")
        self.host.run(*READ_ONLY, *self.bn.argv("--sandbox-ipv6", "leave", "attach", "four", "c1",
                                                "--netns", namespace.path))
        self.assertIn("eth0", namespace.links())

    def test_bn_says_what_it_leaves(self):
        namespace = self.net.endpoint("c1")
        result = self.host.run(*READ_ONLY, *self.bn.argv("--sandbox-ipv6", "leave", "attach",
                                                         "four", "c1", "--netns",
                                                         namespace.path), check=False)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertTrue(about_ipv6([result.stderr]), result.stderr)

    def test_option_where_it_can_be_written(self):
        """It is turned off where that can be done, and nothing said."""
        library = Library(self.net, self.backend, options=LEAVE)
        self.addCleanup(library.close)
        namespace = self.net.endpoint("c1")
        self.assertEqual([], about_ipv6(library.attach("four", "c1", namespace)["log"]))
        self.assert_none(namespace)

    def test_option_is_off_or_leave(self):
        Library(self.net, self.backend, options={"sandbox-ipv6": "off"}).close()
        for value in ("yes", "on", ""):
            with self.assertRaises(Failed):
                Library(self.net, self.backend, options={"sandbox-ipv6": value}).close()

    def test_off_already(self):
        for options in ({}, LEAVE):
            namespace = self.net.endpoint("c1")
            namespace.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
            library = self.library(options=options)
            self.assertEqual([], about_ipv6(library.attach("four", "c1", namespace)["log"]))
            self.assert_none(namespace)
            library.detach("four", "c1")


@for_each_backend
class Rogue(FamiliesTest):
    """A neighbour that says it is a router."""

    def advertise(self, machine, to=ALL_NODES):
        mac = machine.link("eth0")["address"]
        with contextlib.closing(packet_socket(machine, "eth0")) as sender:
            sender.send(router_advertisement(mac, "fe80::bad", BAD, to))

    def taken(self, namespace, interface="eth0"):
        return [info["local"] for info in self.everything(namespace, interface)
                if info["local"].startswith(BAD.rstrip(":"))] + \
            [via for _, via, _ in defaults(namespace, 6) if via == "fe80::bad"]

    def test_is_one_that_others_believe(self):
        """The frame is good: a machine that listens to routers takes it."""
        machine = self.attacker
        for key, value in (("accept_ra", 2), ("autoconf", 1)):
            machine.sysctl(f"net/ipv6/conf/eth0/{key}", value)
        try:
            # not the host, which is on the same wire
            self.advertise(self.remote, machine.link("eth0")["address"])
            wait_until(lambda: len(self.taken(machine)) == 2, what="an address and a route")
        finally:
            machine.sysctl("net/ipv6/conf/eth0/accept_ra", 0)
            machine.run("ip", "-6", "addr", "flush", "dev", "eth0", "dynamic")
            machine.run("ip", "-6", "route", "flush", "proto", "ra")

    def check(self, network):
        victim, rogue = self.attach(network, "victim"), self.attach(network, "rogue")
        before = self.everything(victim), defaults(victim, 6)
        routes = self.net.host_state()["routes"]
        rogue.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
        sniffer = self.keep(Sniffer(victim, "eth0"))
        for _ in range(2):
            self.advertise(rogue)
        heard = sniffer.await_frames(lambda frame: frame.icmpv6 == ROUTER_ADVERTISEMENT, 2)
        self.assertEqual(2, len(heard))
        # routes and addresses come with the frame, but from another processor
        sniffer.seen(lambda frame: False, 0.1)
        self.assertEqual([], self.taken(victim))
        self.assertEqual(before, (self.everything(victim), defaults(victim, 6)))
        self.assertEqual(routes, self.net.host_state()["routes"])

    def test_without_ipv6(self):
        self.check("four")

    def test_dual(self):
        self.check("dual")

    def test_ipv6_alone(self):
        self.check("six")


if __name__ == "__main__":
    unittest.main()
