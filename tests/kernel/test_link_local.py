# SPDX-License-Identifier: LGPL-2.1-or-later
"""IPv6 link-local addresses and ::1: the kernel can't pass on what goes to them, so a published
port is none of theirs. They are the host's, which answers at once."""
import socket
import unittest

import oracle
from frames import Sniffer
from topology import KernelTest, for_each_backend, wait_until


def link_local(namespace, interface):
    def settled():
        return [info["local"] for entry in namespace.ip("-6", "addr", "show", "dev", interface)
                if entry for info in entry["addr_info"]
                if info["scope"] == "link" and not info.get("tentative")]
    return wait_until(settled, what=f"the link-local address of {interface}")[0]


@for_each_backend
class LinkLocal(KernelTest):
    def setUp(self):
        super().setUp()
        self.create("net", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")
        self.web = self.attach("net", "web", "-p", "8080:80", "-p", "8080:80/udp")
        self.listener = self.serve(self.web, 80)
        self.address = link_local(self.host, "eth0")
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.bridge_address = link_local(self.host, bridge)
        self.ways = {"outside": (self.remote, self.address, "eth0"),
                     "endpoint": (self.web, self.bridge_address, "eth0"),
                     "host": (self.host, self.address, "eth0"),
                     "host by its bridge": (self.host, self.bridge_address, bridge),
                     "host by lo": (self.host, "::1", "lo")}

    def dial(self, way, port=8080, kind=socket.SOCK_STREAM):
        client, address, interface = self.ways[way]
        made = self.keep(client.socket(6, kind))
        with client:
            index = socket.if_nametoindex(interface)
        made.connect((address, port, 0, index))
        return made

    def refused(self, way, port=8080):
        """Rather than left without an answer."""
        with self.assertRaises(ConnectionRefusedError):
            self.dial(way, port)

    def answered(self, way, listener):
        made = self.dial(way, listener.getsockname()[1])
        self.converse(made, listener)
        self.server_side.close()
        made.close()

    def service(self, port):
        """Of the host, on the link-local address of its uplink alone."""
        made = self.keep(self.host.socket(6))
        with self.host:
            index = socket.if_nametoindex("eth0")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.address, port, 0, index))
        made.listen()
        return made

    def assert_untouched(self):
        self.listener[6].settimeout(0)
        self.assertRaises(BlockingIOError, self.listener[6].accept)

    def test_refused_at_once(self):
        for way in self.ways:
            with self.subTest(way=way):
                self.refused(way)
        self.assert_untouched()
        # the port is there
        self.assert_tcp(self.remote, self.net.host_address(6), 8080, self.listener[6])

    def test_datagrams_are_refused_too(self):
        for way in self.ways:
            with self.subTest(way=way):
                made = self.dial(way, kind=socket.SOCK_DGRAM)
                made.send(b"datagram")
                with self.assertRaises(ConnectionRefusedError):
                    made.recv(64)

    def test_nothing_of_the_endpoint_leaves_by_the_uplink(self):
        """The host's own connection, translated, went out with the endpoint's address."""
        sniffer = self.keep(Sniffer(self.remote, "eth0"))
        self.refused("host")
        self.refused("outside")
        address = self.web.address(6)
        self.assertEqual([], sniffer.seen(lambda frame: frame.destination == address, 0.1))
        self.assertTrue(sniffer.seen(lambda frame: frame.destination == self.address))

    def test_the_hosts_own_service_is_reached(self):
        """One that listens there, on a port that is published on every address."""
        made = self.service(8080)
        for way in ("outside", "host"):
            with self.subTest(way=way):
                self.answered(way, made)
        self.refused("endpoint")
        self.refused("host by lo")
        self.assert_tcp(self.remote, self.net.host_address(6), 8080, self.listener[6])

    def test_a_service_that_was_there(self):
        """It keeps its port, as one on every address does: nothing is published beside it."""
        made = self.service(9090)
        self.fails("publish", "net", "web", "-p", "9090:80", mention=("9090/tcp", "used by"))
        self.answered("outside", made)
        made.close()
        self.bn("publish", "net", "web", "-p", "9090:80")
        self.refused("outside", 9090)

    def test_not_published_there(self):
        for address in (self.address, "fe80::1", "febf::1"):
            with self.subTest(address=address):
                sentence = self.fails("publish", "net", "web", "-p", f"[{address}]:8081:80",
                                      mention=address)
                self.assertIn("link-local", sentence)
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, "-p", "[fe80::1]:8081:80",
                   mention="link-local")


if __name__ == "__main__":
    unittest.main()
