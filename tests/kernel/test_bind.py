# SPDX-License-Identifier: LGPL-2.1-or-later
"""The option bind: the address of the host for ports that name none."""
import unittest

import oracle
from topology import FAMILIES, KernelTest, Topology, for_each_backend

OTHER = {4: 6, 6: 4}


@for_each_backend
class Bind(KernelTest):
    def bound(self, address):
        self.create("net", "--opt", f"bind={address}", dual=True)
        self.namespace = self.attach("net", "c1")
        self.servers = self.serve(self.namespace, 80)

    def publish(self, spec):
        self.bn("publish", "net", "c1", "-p", spec)

    def addresses(self):
        return {port["host_port"]: port["host_address"]
                for port in oracle.ports(self.bn, "net", "c1")}

    def assert_reached(self, port, family, address=None):
        self.assert_tcp(self.remote, address or self.net.host_address(family), port,
                        self.servers[family])

    def assert_not_reached(self, port, family, address=None):
        self.assert_no_tcp(self.remote, address or self.net.host_address(family), port,
                           self.servers[family])

    def check_one_address(self, family):
        address = Topology.HOST_SECOND[family]
        self.bound(address)
        self.publish("8080:80")
        self.assert_reached(8080, family, address)
        self.assert_not_reached(8080, family)
        self.assert_not_reached(8080, OTHER[family])
        # named is named, and what has another address may have the same port
        own = self.net.host_address(family)
        self.publish(f"{own if family == 4 else f'[{own}]'}:8080:80")
        self.assert_reached(8080, family)
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.assert_not_reached(8080, family, address)
        self.assert_reached(8080, family)

    def test_an_ipv4_address(self):
        self.check_one_address(4)

    def test_an_ipv6_address(self):
        self.check_one_address(6)

    def test_every_address_of_both_families(self):
        self.bound("0.0.0.0")
        self.publish("8080:80")
        for family in FAMILIES:
            self.assert_reached(8080, family)

    def test_every_address_of_ipv6(self):
        self.bound("::")
        self.publish("8080:80")
        self.assert_reached(8080, 6)
        self.assert_reached(8080, 6, Topology.HOST_SECOND[6])
        self.assert_not_reached(8080, 4)

    def test_with_the_endpoint_and_picked(self):
        self.bound(Topology.HOST_SECOND[4])
        space = self.net.endpoint("c2")
        self.bn("attach", "net", "c2", "--netns", space.path, "-p", "80", "-p", "8085:81",
                "-p", "127.0.0.1:8086:82")
        ports = {port["container_port"]: port for port in oracle.ports(self.bn, "net", "c2")}
        server = self.serve(space, 80, (4,))[4]
        self.assert_tcp(self.remote, Topology.HOST_SECOND[4], ports[80]["host_port"], server)
        self.assert_no_tcp(self.remote, self.net.host_address(4), ports[80]["host_port"], server)
        self.bn("unpublish", "net", "c2", "-p", "80", "-p", "8085:81")
        self.assertEqual([82], [port["container_port"]
                                for port in oracle.ports(self.bn, "net", "c2")])

    def test_changed_for_new_ports(self):
        self.bound("0.0.0.0")
        self.publish("8080:80")
        self.bn("network", "update", "net", "--opt", f"bind={Topology.HOST_SECOND[4]}")
        self.publish("8081:80")
        for family in FAMILIES:
            self.assert_reached(8080, family)
        self.assert_reached(8081, 4, Topology.HOST_SECOND[4])
        self.assert_not_reached(8081, 4)
        self.assert_not_reached(8081, 6)
        self.assertEqual(oracle.rules(self.bn), oracle.rules(self.bn, "--plan"))
        # both are found without an address
        self.bn("publish", "net", "c1", "--update", "-p", "8081:80", "--port-opt",
                "deny-from=192.0.2.2")
        self.assert_not_reached(8081, 4, Topology.HOST_SECOND[4])
        self.bn("unpublish", "net", "c1", "-p", "8080:80", "-p", "8081:80")
        self.assertEqual({}, self.addresses())

    def test_not_where_it_is_routed(self):
        self.create("net", "--opt", f"bind={Topology.HOST_SECOND[4]}", "--opt",
                    "gateway-mode-ipv4=routed", "--opt", "gateway-mode-ipv6=routed", dual=True)
        self.attach("net", "c1")
        self.publish("80")
        self.assertEqual({80: ""}, {key: value or "" for key, value in self.addresses().items()})


if __name__ == "__main__":
    unittest.main()
