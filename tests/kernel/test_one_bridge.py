# SPDX-License-Identifier: LGPL-2.1-or-later
"""What neighbours on one bridge must agree about: MAC addresses, the MTU, who has an address."""
import ipaddress
import socket
import time

import oracle
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}


def from_mac(mac):
    """The link-local address that RFC 4291 makes of it."""
    octets = bytes.fromhex(mac.replace(":", ""))
    octets = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.ip_address(b"\xfe\x80" + bytes(6) + octets))


class NeighbourTest(KernelTest):
    def bridge(self, network="net"):
        return oracle.network(self.bn, network)["bridge"]

    def mac(self, namespace, interface="eth0"):
        return namespace.link(interface)["address"]

    def reach(self, namespace, address):
        """The host asks for something that is served in the namespace, and gets it."""
        family = 6 if ":" in address else 4
        listener = self.keep(namespace.listen(family, 80))
        self.assert_tcp(self.host, address, 80, listener)
        listener.close()


@for_each_backend
class Macs(NeighbourTest):
    def test_of_all_of_an_ipv6_address(self):
        self.create("net", "--subnet", "fd00:30::/64")
        namespaces = {address: self.attach("net", f"c{number}", "--ip", address)
                      for number, address in enumerate(("fd00:30::1:0:5", "fd00:30::2:0:5",
                                                        "fd00:30::3:0:1"))}
        macs = {self.mac(namespace) for namespace in namespaces.values()}
        self.assertEqual(3, len(macs))
        self.assertEqual({"02:42"}, {mac[:5] for mac in macs})
        self.assertNotIn(self.mac(self.host, self.bridge()), macs)
        for address, namespace in namespaces.items():
            with self.subTest(address=address):
                self.reach(namespace, address)

    def test_the_same_again(self):
        self.create("net", "--subnet", "fd00:30::/64")
        before = self.mac(self.attach("net", "c", "--ip", "fd00:30::1:0:5"))
        self.bn("detach", "net", "c")
        self.assertEqual(before, self.mac(self.attach("net", "d", "--ip", "fd00:30::1:0:5")))

    def test_bridges_of_ipv6(self):
        """No two have the same, nor the same link-local address, which is made of it."""
        locals_ = set()
        for number in (30, 31):
            self.create(f"n{number}", "--subnet", f"fd00:{number}::/64")
            bridge = self.bridge(f"n{number}")
            shown = self.host.addresses(bridge, 6, "link")
            self.assertEqual([from_mac(self.mac(self.host, bridge)) + "/64"], shown)
            locals_.update(shown)
        self.assertEqual(2, len(locals_))

    def test_another_than_one_given(self):
        self.create(dual=True)
        self.attach("net", "given", "--mac", "02:42:ac:1e:00:03", "--ip", "172.30.0.9")
        self.attach("net", "c1")
        namespace = self.attach("net", "c2")
        self.assertEqual("172.30.0.3", namespace.address(4))
        mac = self.mac(namespace)
        self.assertNotEqual("02:42:ac:1e:00:03", mac)
        self.assertEqual("02:42", mac[:5])
        self.assertEqual(mac, oracle.endpoint(self.bn, "net", "c2")["mac"])
        for family in FAMILIES:
            self.reach(namespace, namespace.address(family))

    def test_given_twice(self):
        self.create(dual=True)
        self.create("other", "--subnet", "172.30.1.0/24")
        self.attach("net", "c1", "--mac", "0a:11:22:33:44:55")
        late = self.net.endpoint("late")
        sentence = self.fails("attach", "net", "late", "--netns", late.path, "-p", "8080:80",
                              "--mac", "0A:11:22:33:44:55",
                              mention=("0a:11:22:33:44:55", "network net", "endpoint c1"))
        self.assertIn("detach", sentence)
        # as that of its address has it
        self.attach("net", "c2")
        self.fails("attach", "net", "late", "--netns", late.path, "--mac", "02:42:ac:1e:00:03",
                   mention=("02:42:ac:1e:00:03", "c2"))
        self.assertEqual({"lo"}, set(late.links()))
        self.attach("other", "late", "--mac", "0a:11:22:33:44:55", namespace=late)
        self.bn("detach", "net", "c1")
        self.attach("net", "c3", "--mac", "0a:11:22:33:44:55")

    def refused(self, mac, bridge):
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, "--mac", mac,
                   mention=(mac, f"bridge {bridge}", "network net"))

    def test_given_as_the_bridge_has(self):
        self.create(dual=True)
        self.refused("02:42:ac:1e:00:01", self.bridge())

    def test_given_as_a_bridge_of_an_older_version_has(self):
        """It keeps the one that it was made with."""
        self.create("net", "--subnet", "fd00:30::/64")
        self.host.batch(f"link set {self.bridge()} address 02:42:00:00:00:01\n")
        self.refused("02:42:00:00:00:01", self.bridge())

    def test_given_as_an_adopted_bridge_has(self):
        self.host.batch("link add br5 address 0a:00:00:00:00:05 type bridge\n")
        try:
            self.create("net", "--bridge", "br5", dual=True)
            self.refused("0a:00:00:00:00:05", "br5")
            # which is free there
            self.attach("net", "c1", "--mac", "02:42:ac:1e:00:01")
            self.assertEqual([], self.remove_all())
        finally:
            self.host.batch("link del br5\n")

    def test_on_first_use(self):
        """The network is made by the same call, and its bridge is not there yet."""
        late = self.net.endpoint("late")
        self.fails("attach", "bridge", "late", "--netns", late.path, "--mac", "02:42:ac:11:00:01",
                   mention=("02:42:ac:11:00:01", "bn0"))


@for_each_backend
class Mtus(NeighbourTest):
    def mtus(self, namespace):
        """Of the network, of its bridge and of both ends of the endpoint c."""
        shown = oracle.network(self.bn, "net")
        port = oracle.endpoint(self.bn, "net", "c")["host_interface_name"]
        return [shown["mtu"]] + [where.link(name)["mtu"] for where, name in (
            (self.host, shown["bridge"]), (self.host, port), (namespace, "eth0"))]

    def test_of_a_default_route_by_a_larger_one(self):
        remote = self.net.address("remote", 4)
        self.host.batch("route replace default dev lo\n")
        try:
            self.create(dual=True)
            self.assertEqual([65535] * 4, self.mtus(self.attach("net", "c")))
            self.assertEqual([], self.remove_all())
        finally:
            self.host.batch(f"route replace default via {remote}\n")

    def test_larger_ones_that_are_asked_for(self):
        self.fails("network", "create", "net", "--mtu", "65536", mention=("65536", "65535"))

    def adopt(self, mtu, *argv):
        # apart: the bridge would go on to take that of its ports
        self.host.batch(f"link add br5 type bridge\nlink set br5 mtu {mtu}\n")
        try:
            self.create("net", "--bridge", "br5", *argv, dual=True)
            namespace = self.attach("net", "c")
            mtus = self.mtus(namespace)
            for family in FAMILIES:
                self.reach(namespace, namespace.address(family))
            # as it was
            self.assertEqual(mtu, self.host.link("br5")["mtu"])
            self.assertEqual([], self.remove_all())
            return mtus
        finally:
            self.host.batch("link del br5\n")

    def test_of_an_adopted_bridge(self):
        for mtu in (1400, 9000):
            with self.subTest(mtu=mtu):
                self.assertEqual([mtu] * 4, self.adopt(mtu))

    def test_asked_for_on_an_adopted_bridge(self):
        self.assertEqual([1300, 1400, 1300, 1300], self.adopt(1400, "--mtu", "1300"))


@for_each_backend
class SameNetwork(NeighbourTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def test_refused(self):
        namespace = self.attach("net", "c1")
        for argv in ((), ("--ifname", "other0"), ("--ip", "172.30.0.9", "-p", "8080:80")):
            with self.subTest(argv=argv):
                sentence = self.fails("attach", "net", "c2", "--netns", namespace.path, *argv,
                                      mention=("endpoint c1", "network net", namespace.path))
                self.assertIn("detach", sentence)
        self.assertEqual({"lo", "eth0"}, set(namespace.links()))
        # that the endpoint is there is said first
        self.fails("attach", "net", "c1", "--netns", namespace.path,
                   mention="network net has an endpoint c1 already")
        self.create("other", "--subnet", "172.30.1.0/24")
        self.attach("other", "c2", namespace=namespace)
        self.attach("net", "c2")
        self.bn("detach", "net", "c1")
        self.attach("net", "c3", namespace=namespace)

    def test_one_whose_interface_was_deleted(self):
        """It is not in the way, neither of another nor of being detached."""
        namespace = self.attach("net", "c1")
        namespace.batch("link del eth0\n")
        self.attach("net", "c2", namespace=namespace)
        interface = oracle.endpoint(self.bn, "net", "c2")["interface_name"]
        self.bn("detach", "net", "c1")
        for family in FAMILIES:
            self.reach(namespace, namespace.address(family, interface))

    def test_one_that_was_cut(self):
        """By hand; the interface is there, and so is the endpoint."""
        namespace = self.attach("net", "c1")
        port = oracle.endpoint(self.bn, "net", "c1")["host_interface_name"]
        self.host.batch(f"link set {port} down nomaster\n")
        self.fails("attach", "net", "c2", "--netns", namespace.path, mention="endpoint c1")
        self.bn("detach", "net", "c1")
        self.attach("net", "c2", namespace=namespace)

    def count(self, namespace):
        (link,) = namespace.ip("-s", "link", "show", "dev", "eth0")
        return link["stats64"]["rx"]["packets"]

    def shout(self, neighbour, family):
        with neighbour.udp(family) as sender:
            if family == 4:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sender.sendto(b"all", ("172.30.0.255", 9))
            else:
                with neighbour:
                    index = socket.if_nametoindex("eth0")
                sender.sendto(b"all", ("ff02::1", 9, 0, index))

    def test_asked_for(self):
        """Both serve, and a broadcast comes to each of them once, whatever is forwarded there."""
        namespace = self.attach("net", "c1")
        neighbour = self.attach("net", "neighbour")
        self.attach("net", "c2", "--same-network", namespace=namespace)
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            namespace.sysctl(f"net/{key}", 1)
        for interface in ("eth0", "eth1"):
            for family in FAMILIES:
                self.reach(namespace, namespace.address(family, interface))
        for family in FAMILIES:
            before = self.count(neighbour), self.count(namespace)
            self.shout(neighbour, family)
            wait_until(lambda: self.count(namespace) > before[1], what="the broadcast")
            time.sleep(0.3)
            # beside it there is what IPv6 says of itself; a storm is 100,000
            self.assertLess(self.count(neighbour) - before[0], 100)
            self.assertIn(self.count(namespace) - before[1], range(1, 100))
