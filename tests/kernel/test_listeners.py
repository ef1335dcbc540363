# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets of the host at the ports that are published: whose they may be, and which are none."""
import os
import socket
import unittest

import oracle
from topology import FAMILIES, KernelTest, Topology, for_each_backend


class ListenersTest(KernelTest):
    """A network of both families and an endpoint c1 that serves."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")
        self.servers = self.serve(self.namespace, 80)

    def tearDown(self):
        self.host.sysctl("net/ipv4/ip_local_port_range", "32768 60999")
        super().tearDown()

    def publish(self, *specs, flags=()):
        return self.bn("publish", "net", "c1", *flags, *(word for spec in specs
                                                         for word in ("-p", spec)))

    def unpublish(self, *specs):
        return self.bn("unpublish", "net", "c1", *(word for spec in specs for word in ("-p", spec)))


@for_each_backend
class OverListener(ListenersTest):
    def test_the_endpoint_is_reached_and_the_listener_is_not(self):
        own = {family: self.keep(self.host.listen(family, 8080)) for family in FAMILIES}
        self.fails("publish", "net", "c1", "-p", "8080:80", mention=("8080", str(os.getpid())))
        self.publish("8080:80", flags=["--over-listener"])
        for family in FAMILIES:
            for client in (self.remote, self.host):
                self.assert_tcp(client, self.net.host_address(family), 8080, self.servers[family])
            own[family].settimeout(0)
            self.assertRaises(OSError, own[family].accept)
        self.unpublish("8080:80")
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, own[family])

    def test_udp(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                own = self.keep(self.host.udp(family, 8080))
                server = self.keep(self.namespace.udp(family, 53))
                self.fails("publish", "net", "c1", "-p", "8080:53/udp", mention="8080")
                # a flow to the listener is no way past the mapping
                self.assert_udp(self.remote, self.net.host_address(family), 8080, own)
                self.publish("8080:53/udp", flags=["--over-listener"])
                self.assert_udp(self.remote, self.net.host_address(family), 8080, server)
                self.unpublish("8080:53/udp")
                own.close()

    def test_attach_with_a_socket_for_each_port_of_a_range(self):
        for port in range(8000, 8005):
            self.keep(self.host.listen(4, port))
        namespace = self.net.endpoint("c2")
        self.fails("attach", "net", "c2", "--netns", namespace.path, "-p", "8000-8004:90-94",
                   mention="8000")
        self.attach("net", "c2", "-p", "8000-8004:90-94", "--over-listener", namespace=namespace)
        server = self.serve(namespace, 93, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8003, server)

    def test_a_bound_socket_that_does_not_listen(self):
        bound = self.keep(self.host.socket(4))
        bound.bind(("0.0.0.0", 8080))
        self.fails("publish", "net", "c1", "-p", "8080:80", mention="8080")
        self.publish("8080:80", flags=["--over-listener"])
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.servers[4])

    def test_ports_of_endpoints_stay_taken(self):
        self.publish("8080:80")
        self.attach("net", "c2")
        for spec in ("8080:80", f"{self.net.host_address(4)}:8080:80", "8079-8081:1-3"):
            self.fails("publish", "net", "c2", "--over-listener", "-p", spec,
                       mention=("8080", "c1"))

    def test_another_machines_address_is_refused(self):
        self.fails("publish", "net", "c1", "--over-listener", "-p", "192.0.2.99:8080:80",
                   mention="192.0.2.99")

    def test_what_is_picked_is_free_all_the_same(self):
        self.keep(self.host.listen(4, 9000))
        self.publish("9000-9001:80", flags=["--over-listener"])
        self.assertEqual([9001], [port["host_port"] for port in oracle.ports(self.bn, "net", "c1")])


@for_each_backend
class Outgoing(ListenersTest):
    """A connection that leaves from a port leads nobody there who comes from outside."""

    def outgoing(self, family, port):
        """(socket, listener) of one that the kernel gave the port."""
        self.host.sysctl("net/ipv4/ip_local_port_range", f"{port} {port}")
        listener = self.keep(self.remote.listen(family, 7000))
        made = self.connect(self.host, self.net.address("remote", family), 7000)
        self.host.sysctl("net/ipv4/ip_local_port_range", "32768 60999")
        self.assertEqual(port, made.getsockname()[1])
        return made, listener

    def test_a_connection_is_no_listener(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                made, listener = self.outgoing(family, 8080)
                self.publish("8080:80")
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.servers[family])
                # and it goes on
                self.converse(made, listener)
                made.close()
                # what is left of it for a minute is none either
                self.unpublish("8080:80")
                self.publish("8080:80")
                self.unpublish("8080:80")
                listener.close()

    def test_many_ports_at_once(self):
        made, listener = self.outgoing(4, 20100)
        self.publish("20000-20299:20000-20299")
        self.converse(made, listener)

    def test_a_connected_udp_socket_is_no_listener(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                outside = self.keep(self.remote.udp(family, 7000))
                made = self.keep(self.host.udp(family, 8080))
                made.connect((self.net.address("remote", family), 7000))
                server = self.keep(self.namespace.udp(family, 53))
                self.publish("8080:53/udp")
                self.assert_udp(self.remote, self.net.host_address(family), 8080, server)
                made.send(b"question")
                data, peer = outside.recvfrom(64)
                self.assertEqual(b"question", data)
                outside.sendto(b"answer", peer)
                self.assertEqual(b"answer", made.recv(64))
                self.unpublish("8080:53/udp")
                made.close()

    def test_a_listener_beside_a_connection_is_one(self):
        """Both of the same port: on another address it is none, on ours it is."""
        made = self.keep(self.host.socket(4))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.net.host_address(4), 8090))
        listener = self.keep(self.remote.listen(4, 7000))
        made.connect((self.net.address("remote", 4), 7000))
        own = self.host.listen(4, 8090, Topology.HOST_SECOND[4])
        self.publish(f"{self.net.host_address(4)}:8090:80")
        self.assert_tcp(self.remote, self.net.host_address(4), 8090, self.servers[4])
        self.unpublish(f"{self.net.host_address(4)}:8090:80")
        self.fails("publish", "net", "c1", "-p", "8090:80", mention=("8090", str(os.getpid())))
        own.close()
        both = self.keep(socket_of_both_families(self.host, 8090))
        self.fails("publish", "net", "c1", "-p", f"{self.net.host_address(4)}:8090:80",
                   mention=("8090", str(os.getpid())))
        self.assertTrue(listener and both)

    def test_a_port_that_is_picked_is_one_that_no_socket_has(self):
        made, _ = self.outgoing(4, 9000)
        self.publish("9000-9001:80")
        self.assertEqual([9001], [port["host_port"] for port in oracle.ports(self.bn, "net", "c1")])
        self.assertTrue(made)


def socket_of_both_families(namespace, port):
    with namespace:
        made = socket.socket(socket.AF_INET6)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("::", port))
    made.listen(8)
    return made


@for_each_backend
class SkipFamily(KernelTest):
    def test_an_address_of_a_family_that_the_endpoint_lacks(self):
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.net.endpoint("c1")
        specs = ("-p", "8080:80", "-p", f"[{self.net.host_address(6)}]:8081:81", "-p",
                 f"{self.net.host_address(4)}:8082:82", "-p", "[::]:8083:83")
        self.fails("attach", "four", "c1", "--netns", namespace.path, *specs,
                   mention=("IPv6", "8081"))
        self.attach("four", "c1", "--skip-family", *specs, namespace=namespace)
        self.assertEqual([80, 82], [port["container_port"]
                                    for port in oracle.ports(self.bn, "four", "c1")])
        self.assertEqual([], self.bn.json("publish", "four", "c1", "--skip-family", "-p",
                                          "[::]:8084:84"))
        self.assertEqual({8080, 8082}, {key[3] for key in self.oracle.ports()})

    def test_an_address_of_ipv4_of_an_endpoint_of_ipv6(self):
        self.create("six", "--subnet", "fd00:36::/64")
        self.attach("six", "c1")
        spec = f"{self.net.host_address(4)}:8080:80"
        self.fails("publish", "six", "c1", "-p", spec, mention=("IPv4", "8080"))
        picked = self.bn.json("publish", "six", "c1", "--skip-family", "-p", spec, "-p", "81",
                              "-p", "0.0.0.0::82", "-p", "9000-9009:83")
        self.assertEqual([81, 83], [port["container_port"] for port in picked])


if __name__ == "__main__":
    unittest.main()
