# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports that are published on what arrives by an interface, whichever addresses it has."""
import unittest

import oracle
from topology import FAMILIES, KernelTest, Topology, for_each_backend

LATER = {4: "192.0.2.77", 6: "2001:db8:1::77"}
ELSEWHERE = {4: "203.0.113.9", 6: "2001:db8:9::9"}


@for_each_backend
class Interface(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")
        self.servers = self.serve(self.namespace, 80)

    def publish(self, *specs):
        return self.bn("publish", "net", "c1", *(word for spec in specs for word in ("-p", spec)))

    def test_each_address_of_it_and_of_no_other(self):
        self.host.batch("link add other0 type bridge\nlink set other0 up\n"
                        f"addr add {ELSEWHERE[4]}/32 dev other0\n"
                        f"addr add {ELSEWHERE[6]}/128 dev other0 nodad\n")
        for family in FAMILIES:
            self.remote.batch(f"route add {ELSEWHERE[family]} via {self.net.host_address(family)}\n")
        own = {family: self.keep(self.host.listen(family, 8081)) for family in FAMILIES}
        try:
            self.publish("%eth0:8080:80")
            for family in FAMILIES:
                for address in (self.net.host_address(family), Topology.HOST_SECOND[family]):
                    with self.subTest(address=address):
                        self.assert_tcp(self.remote, address, 8080, self.servers[family])
                # it arrives by eth0, but is for what another has
                self.assert_tcp(self.remote, ELSEWHERE[family], 8081, own[family])
                self.assert_no_tcp(self.remote, ELSEWHERE[family], 8080, self.servers[family])
                # of the host itself, and of endpoints, nothing arrives by it
                self.assert_no_tcp(self.host, self.net.host_address(family), 8080,
                                   self.servers[family])
                self.assert_no_tcp(self.namespace, self.net.host_address(family), 8080,
                                   self.servers[family])
        finally:
            self.host.batch("link del other0\n")
            for family in FAMILIES:
                self.remote.batch(f"route del {ELSEWHERE[family]}\n")

    def test_an_address_that_it_gets_later(self):
        self.publish("%eth0:8080:80", "%eth0:8053:53/udp")
        self.host.batch(f"addr add {LATER[4]}/24 dev eth0\n"
                        f"addr add {LATER[6]}/64 dev eth0 nodad\n")
        try:
            for family in FAMILIES:
                server = self.keep(self.namespace.udp(family, 53))
                self.assert_tcp(self.remote, LATER[family], 8080, self.servers[family])
                self.assert_udp(self.remote, LATER[family], 8053, server)
        finally:
            self.host.batch(f"addr del {LATER[4]}/24 dev eth0\naddr del {LATER[6]}/64 dev eth0\n")

    def test_shown_and_taken_away_by_its_name(self):
        self.publish("%eth0:8080:80", "%eth0:9000-9004:9000-9004")
        ports = oracle.ports(self.bn, "net", "c1")
        self.assertEqual({"%eth0"}, {port["host_address"] for port in ports})
        self.assertEqual(["%eth0:8080:80/tcp", "%eth0:9000-9004:9000-9004/tcp"],
                         sorted(port["text"] for port in ports))
        self.assertEqual(oracle.rules(self.bn), oracle.rules(self.bn, "--plan"))
        for spec in ("8080:80", f"{self.net.host_address(4)}:8080:80", "%eth1:8080:80"):
            self.fails("unpublish", "net", "c1", "-p", spec, mention="8080")
        self.bn("unpublish", "net", "c1", "-p", "%eth0:8080:80")
        self.assert_no_tcp(self.remote, self.net.host_address(4), 8080, self.servers[4])
        self.bn("detach", "net", "c1")
        self.assertEqual([], [rule for rule in oracle.rules(self.bn) if rule["endpoint"] == "c1"])

    def test_conflicts_with_every_other_address(self):
        address = self.net.host_address(4)
        self.attach("net", "c2")
        self.publish("%eth0:8080:80", f"{address}:8081:80", "8082:80")
        for spec in ("8080:80", f"{address}:8080:80", "[::]:8080:80", "127.0.0.1:8080:80",
                     "%eth0:8080:80", "%eth1:8080:80", "8079-8081:1-3"):
            with self.subTest(spec=spec):
                self.fails("publish", "net", "c2", "-p", spec, mention=("8080", "c1"))
        for spec in ("%eth0:8081:80", "%eth0:8082:80"):
            self.fails("publish", "net", "c2", "-p", spec, mention="c1")
        self.bn("publish", "net", "c2", "-p", "%eth0:8080:80/udp")

    def test_with_lists(self):
        self.bn("publish", "net", "c1", "-p", "%eth0:8080:80", "--port-opt",
                f"deny-from={self.net.address('attacker', 4)}")
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.servers[4])
        self.assert_no_tcp(self.attacker, self.net.host_address(4), 8080, self.servers[4])

    def test_picked(self):
        (port,) = self.bn.json("publish", "net", "c1", "-p", "%eth0::80")
        self.assertIn(port["host_port"], range(32768, 61000))
        self.assert_tcp(self.remote, self.net.host_address(4), port["host_port"], self.servers[4])

    def test_refused(self):
        for spec in ("%:8080:80", "%lo:8080:80", "%sixteen-and-more-x:8080:80", "%a/b:8080:80"):
            with self.subTest(spec=spec):
                self.fails("publish", "net", "c1", "-p", spec, mention=spec.split(":")[0].strip("%"))


if __name__ == "__main__":
    unittest.main()
