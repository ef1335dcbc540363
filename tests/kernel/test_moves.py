# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports that go from one endpoint of a namespace to another."""
import unittest

import oracle
from networks import NetworksTest, gateway
from topology import FAMILIES, for_each_backend


class MovesTest(NetworksTest):
    """One namespace on networks one and two, and what it serves."""

    def setUp(self):
        super().setUp()
        self.namespace = self.net.endpoint("c1")
        self.join("one", self.namespace, "-p", "8080:80", "-p", "8053:53/udp", "-p",
                  "127.0.0.1:8081:80", "-p", "9000-9009:9000-9009")
        self.join("two", self.namespace)
        self.servers = self.serve(self.namespace, 80)

    def owners(self):
        """{host port: network}"""
        return {port["host_port"]: port["network"] for entry in oracle.endpoints(self.bn)
                for port in entry["ports"]}

    def targets(self, port, protocol="tcp"):
        return {key[0]: to[0] for key, to in self.oracle.ports().items()
                if key[1] == protocol and key[3] == port}

    def address(self, network, family):
        """Of the namespace there."""
        for entry in oracle.endpoints(self.bn):
            if entry["network"] == network:
                return [address.split("/")[0] for address in entry["addresses"]
                        if (":" in address) == (family == 6)][0]
        raise AssertionError(f"nothing is on {network}")


@for_each_backend
class Moves(MovesTest):
    def test_all_of_them(self):
        moved = self.bn.json("port", "move", "one", "c1", "two", "c1")
        self.assertEqual({"two"}, {port["network"] for port in moved})
        self.assertEqual({8080: "two", 8053: "two", 8081: "two", 9000: "two"}, self.owners())
        for family in FAMILIES:
            self.assertEqual(self.address("two", family), self.targets(8080)[family])
            self.assertEqual(self.address("two", family), self.targets(9009)[family])
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, self.servers[family])
        self.assert_tcp(self.host, "127.0.0.1", 8081, self.servers[4])
        self.assert_no_tcp(self.attacker, self.net.host_address(4), 8081)
        # and from there they are the other's in every way
        self.fails("unpublish", "one", "c1", "-p", "8080:80", mention="8080")
        self.bn("detach", "one", "c1")
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, self.servers[family])
        self.bn("unpublish", "two", "c1", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
        self.assertEqual({8053, *range(9000, 9010)}, {key[3] for key in self.oracle.ports()})
        self.bn("detach", "two", "c1")
        self.assertEqual({}, self.oracle.ports())

    def test_one_of_them(self):
        before = self.targets(8053, "udp")
        self.bn("port", "move", "one", "c1", "two", "c1", "-p", "8080:80")
        self.assertEqual({8080: "two", 8053: "one", 8081: "one", 9000: "one"}, self.owners())
        self.assertEqual(before, self.targets(8053, "udp"))
        self.bn("port", "move", "two", "c1", "one", "c1", "-p", "8080:80")
        self.assertEqual({"one"}, set(self.owners().values()))

    def test_connections_stay_and_datagrams_are_led_to_the_new_place(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                lasting = self.connect(self.remote, self.net.host_address(family), 8080)
                self.converse(lasting, self.servers[family])
                server_side = self.server_side
                old = self.keep(self.namespace.udp(family, 53, self.address("one", family)))
                new = self.keep(self.namespace.udp(family, 53, self.address("two", family)))
                client = self.keep(self.remote.udp(family, 40000))
                client.connect((self.net.host_address(family), 8053))
                client.send(b"first")
                self.assertEqual(b"first", old.recv(64))
                self.bn("port", "move", "one", "c1", "two", "c1")
                client.send(b"second")
                self.assertEqual(b"second", new.recv(64))
                lasting.sendall(b"still here")
                self.assertEqual(b"still here", server_side.recv(64))
                for made in (old, new, client):
                    made.close()
                self.bn("port", "move", "two", "c1", "one", "c1")

    def test_what_can_not_be(self):
        other = self.net.endpoint("other")
        self.attach("two", "other", namespace=other)
        self.create("four", "--subnet", "172.30.9.0/24")
        self.attach("four", "c1", namespace=self.namespace)
        self.bn("publish", "one", "c1", "-p", f"[{self.net.host_address(6)}]:8090:80")
        before = self.oracle.ports(), self.owners()
        for argv, mention in (
                (("one", "c1", "two", "other"), ("different namespaces", "other")),
                (("one", "c1", "one", "c1"), "itself"),
                (("one", "c1", "four", "c1"), ("IPv6", "8090")),
                (("one", "c1", "two", "nobody"), "nobody"),
                (("one", "nobody", "two", "c1"), "nobody"),
                (("one", "c1", "nowhere", "c1"), "nowhere"),
                (("one", "c1", "two", "c1", "-p", "8082:80"), "8082"),
                (("one", "c1", "two", "c1", "-p", "8080:81"), "8080")):
            with self.subTest(argv=argv):
                self.fails("port", "move", *argv, mention=mention)
        self.assertEqual(before, (self.oracle.ports(), self.owners()))
        self.assertEqual([], self.bn.json("port", "move", "four", "c1", "two", "c1"))

    def test_in_one_commit(self):
        """Somebody who connects all the time is never refused."""
        for _ in range(10):
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.servers[family])
            self.bn("port", "move", "one", "c1", "two", "c1")
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                self.servers[family])
            self.bn("port", "move", "two", "c1", "one", "c1")


@for_each_backend
class Detach(MovesTest):
    def test_to_the_one_whose_default_route_comes_first(self):
        self.join("three", self.namespace, "--gateway-priority", "5")
        self.bn("detach", "one", "c1", "--move-ports")
        self.assertEqual({"three"}, set(self.owners().values()))
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, self.servers[family])
        self.bn("detach", "three", "c1", "--move-ports")
        self.assertEqual({"two"}, set(self.owners().values()))
        self.assertEqual(self.address("two", 4), self.targets(9003)[4])
        self.bn("detach", "two", "c1", "--move-ports")
        self.assertEqual({}, self.oracle.ports())

    def test_datagrams_are_led_there_and_connections_end(self):
        client = self.keep(self.remote.udp(4, 40000))
        client.connect((self.net.host_address(4), 8053))
        old = self.keep(self.namespace.udp(4, 53, self.address("one", 4)))
        new = self.keep(self.namespace.udp(4, 53, self.address("two", 4)))
        client.send(b"first")
        self.assertEqual(b"first", old.recv(64))
        self.bn("detach", "one", "c1", "--move-ports")
        client.send(b"second")
        self.assertEqual(b"second", new.recv(64))

    def test_what_the_other_can_not_have_goes(self):
        self.bn("detach", "two", "c1")
        self.create("four", "--subnet", "172.30.9.0/24")
        self.attach("four", "c1", namespace=self.namespace)
        self.bn("publish", "one", "c1", "-p", f"[{self.net.host_address(6)}]:8090:80")
        self.bn("detach", "one", "c1", "--move-ports")
        self.assertEqual({8080, 8053, 8081, 9000}, set(self.owners()))
        self.assertEqual({4}, {key[0] for key in self.oracle.ports()})
        self.assertNotIn(8090, {key[3] for key in self.oracle.ports()})

    def test_without_the_flag_they_go(self):
        self.bn("detach", "one", "c1")
        self.assertEqual({}, self.owners())
        self.assertEqual({}, self.oracle.ports())
        self.assertTrue(gateway(2, 4))


if __name__ == "__main__":
    unittest.main()
