# SPDX-License-Identifier: LGPL-2.1-or-later
"""The MTU of a network that stands: its bridge and all ends of its endpoints' links follow."""
import contextlib
import socket

import oracle
from topology import FAMILIES, KernelTest, for_each_backend

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DISCOVER_DO = 10, 23, 2
HEADERS = {4: 28, 6: 48}


@for_each_backend
class Live(KernelTest):
    def setUp(self):
        super().setUp()
        self.inside = {}

    def attach(self, network, role, *argv, **options):
        self.inside[role] = super().attach(network, role, *argv, **options)
        return self.inside[role]

    @contextlib.contextmanager
    def link_of_host(self, name, what):
        self.host.batch(f"link add {name} {what}\nlink set {name} up\n")
        try:
            yield
        finally:
            self.host.run("ip", "link", "del", name)

    def link(self, name, what):
        """Of the host, until the test ends."""
        made = contextlib.ExitStack()
        made.enter_context(self.link_of_host(name, what))
        self.keep(made)

    def update(self, *argv):
        self.bn("network", "update", "net", *argv)

    def host_end(self, name):
        return self.host.link(oracle.endpoint(self.bn, "net", name)["host_interface_name"])

    def assert_mtu(self, mtu, names, bridge=None):
        shown = oracle.network(self.bn, "net")
        self.assertEqual(mtu, shown["mtu"])
        self.assertEqual(bridge or mtu, self.host.link(shown["bridge"])["mtu"])
        for name in names:
            self.assert_endpoint_mtu(mtu, name)

    def assert_endpoint_mtu(self, mtu, name):
        self.assertEqual(mtu, oracle.endpoint(self.bn, "net", name)["mtu"])
        self.assertEqual(mtu, self.host_end(name)["mtu"])
        self.assertEqual(mtu, self.inside[name].link("eth0")["mtu"])

    def send(self, client, to, family, length, port=5000):
        """A datagram that is not to be cut in pieces, of that length with its headers."""
        with client.udp(family) as sender:
            if family == 4:
                sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DISCOVER_DO)
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, DISCOVER_DO)
            sender.sendto(bytes(length - HEADERS[family]), (to, port))

    def assert_passes(self, client, server, to, family, length):
        self.send(client, to, family, length)
        self.assertEqual(length - HEADERS[family], len(server.recv(65536)))
        with self.assertRaises(OSError):
            self.send(client, to, family, length + 1)

    def test_an_update_says_which(self):
        """What the host would give is asked when a network is made, and not again."""
        self.bn("network", "create", "net", "--mtu", "1400")
        for option in ("mtu=0", "mtu=", "com.docker.network.driver.mtu=0"):
            self.fails("network", "update", "net", "--opt", option, mention=("mtu", "in bytes"))
        self.assertEqual(1400, self.bn.json("network", "inspect", "net")["mtu"])

    def test_all_ends_follow(self):
        """With packets of full length, between endpoints and with the host."""
        self.create(dual=True)
        one, two = self.attach("net", "c1"), self.attach("net", "c2")
        self.attach("net", "own", "--opt", "mtu=1300")
        servers = {(machine, family): self.keep(machine.udp(family, 5000))
                   for machine in (one, two, self.host) for family in FAMILIES}
        bridge = oracle.network(self.bn, "net")["bridge"]
        for mtu in (9000, 1400, 1500, 1280):
            with self.subTest(mtu=mtu):
                self.update("--mtu", str(mtu))
                self.assert_mtu(mtu, ("c1", "c2"))
                self.assert_endpoint_mtu(1300, "own")
                for family in FAMILIES:
                    host = self.host.address(family, bridge)
                    for client, server, to in ((one, two, two.address(family)),
                                               (self.host, two, two.address(family)),
                                               (one, self.host, host)):
                        self.assert_passes(client, servers[server, family], to, family, mtu)
        self.attach("net", "late")
        self.assert_endpoint_mtu(1280, "late")
        self.bn("endpoint", "update", "net", "own", "--opt", "mtu=")
        self.assert_endpoint_mtu(1280, "own")

    def test_that_of_a_link(self):
        """Which has changed since, or is another, or given."""
        self.link("tunnel", "mtu 1420 type veth peer name tunnel-peer")
        self.create(dual=True)
        self.attach("net", "c1")
        self.update("--opt", "mtu-from=tunnel")
        self.assert_mtu(1420, ("c1",))
        self.host.run("ip", "link", "set", "tunnel", "mtu", "1350")
        self.update("--opt", "mtu-from=tunnel")
        self.assert_mtu(1350, ("c1",))
        self.fails("network", "update", "net", "--mtu", "1400", mention="one of the two")
        self.assert_mtu(1350, ("c1",))
        self.update("--mtu", "1400", "--opt", "mtu-from=")
        self.assert_mtu(1400, ("c1",))
        self.update("--opt", "mtu=1450")
        self.assert_mtu(1450, ("c1",))

    def test_bridge_of_somebody_else_keeps_its_own(self):
        self.link("brf", "mtu 1450 type bridge")
        self.create("net", "--bridge", "brf", dual=True)
        self.attach("net", "c1")
        # of a bridge whose MTU nobody has set the kernel sees to it
        self.host.run("ip", "link", "set", "brf", "mtu", "1440")
        self.update("--mtu", "1400")
        self.assert_mtu(1400, ("c1",), bridge=1440)
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.assertEqual(1440, self.host.link("brf")["mtu"])

    def test_what_is_gone(self):
        self.create(dual=True)
        self.attach("net", "c1")
        self.attach("net", "c2")
        self.attach("net", "c3")
        self.host.run("ip", "link", "del", self.host_end("c2")["ifname"])
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.host.run("ip", "link", "set", self.host_end("c3")["ifname"], "name", "renamed")
        self.update("--mtu", "1400")
        self.assertEqual(1400, self.host.link("renamed")["mtu"])
        self.assertEqual(1400, self.inside["c3"].link("eth0")["mtu"])
        self.host.run("ip", "link", "del", bridge)
        self.update("--mtu", "1350")
        self.assert_endpoint_mtu(1350, "c1")

    def test_is_refused(self):
        """Below what IPv6 needs the kernel would take that from all links, and bring it back
        without what was set; and of an endpoint whose burst would hold no packet. All stays."""
        self.create(dual=True)
        self.attach("net", "c1")
        self.fails("network", "update", "net", "--mtu", "1279", mention=("1279", "1280"))
        self.bn("endpoint", "update", "net", "c1", "--opt", "rate-in=8M", "--opt", "burst-in=8k")
        self.fails("network", "update", "net", "--mtu", "9000", "--opt", "label.a=b",
                   mention=("burst-in", "9000"))
        self.assert_mtu(1500, ("c1",))
        self.assertEqual({}, oracle.network(self.bn, "net")["options"])
        self.create("small", "--subnet", "172.30.9.0/24", "--mtu", "1000")
        self.fails("network", "update", "small", "--mtu", "1500", mention=("1500", "1280"))
        self.attach("small", "c4")
        self.fails("endpoint", "update", "small", "c4", "--opt", "mtu=1300", mention="1280")
        self.bn("network", "update", "small", "--mtu", "500")
        self.assertEqual(500, self.inside["c4"].link("eth0")["mtu"])

    def test_bucket_holds_a_packet(self):
        """That which a rate has by default."""
        self.create(dual=True)
        self.attach("net", "c1", "--opt", "rate-in=64k")
        self.update("--mtu", "40000")
        shown = self.host.run("tc", "-r", "qdisc", "show", "dev", self.host_end("c1")["ifname"])
        burst = shown.stdout.split("burst ")[1].split()[0].split("/")[0]
        self.assertLess(40000, int(burst.rstrip("bKb")) * (1024 if "K" in burst else 1))
