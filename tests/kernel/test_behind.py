# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lies behind an endpoint that forwards (routes-for), and what of an endpoint changes live."""
import oracle
from forging import bridge_netfilter
from topology import FAMILIES, KernelTest, for_each_backend

CLIENTS = {4: "10.8.0.0/24", 6: "fd08::/64"}
CLIENT = {4: "10.8.0.5", 6: "fd08::5"}
GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
ROUTES = f"routes-for={CLIENTS[4]},{CLIENTS[6]}"


@for_each_backend
class Behind(KernelTest):
    def make(self, *argv):
        """A VPN with a client, which is a namespace behind its own."""
        self.create("net", dual=True)
        self.vpn = self.attach("net", "vpn", "--opt", ROUTES, *argv)
        client = self.net.endpoint("client")
        self.vpn.batch(f"link add tun0 type veth peer name tun0 netns {client.name}\n")
        for machine, last in ((self.vpn, 1), (client, 5)):
            machine.settle("tun0")
            machine.batch(f"link set tun0 up\naddr add 10.8.0.{last}/24 dev tun0\n"
                          f"addr add fd08::{last}/64 dev tun0 nodad\n")
        for family in FAMILIES:
            self.vpn.sysctl(f"net/ipv{family}/conf/all/forwarding", 1)
        client.batch("route add default via 10.8.0.1\nroute add default via fd08::1\n")
        return client

    def ours(self):
        return sorted((route["dst"], route["gateway"])
                      for flag in ("-4", "-6")
                      for route in self.host.ip(flag, "route", "show", "proto", "178")
                      if "gateway" in route)

    def test_clients(self):
        """They reach the host and are reached from there, by their own addresses; a neighbour
        that forges one of theirs is not taken for them."""
        client = self.make()
        self.assertEqual([("10.8.0.0/24", "172.30.0.2"), ("fd08::/64", "fd00:30::2")], self.ours())
        for family in FAMILIES:
            server = self.keep(self.host.udp(family, 5000))
            self.assert_udp(client, GATEWAY[family], 5000, server)
            server = self.keep(client.udp(family, 5001))
            self.assert_udp(self.host, CLIENT[family], 5001, server)
        self.bn("detach", "net", "vpn")
        self.assertEqual([], self.ours())

    def test_way_out(self):
        """To the outside with the host's address, as the network's own."""
        client = self.make()
        bridge_netfilter(self.host, 0)
        for family in FAMILIES:
            server = self.keep(self.remote.udp(family, 6000))
            with client.udp(family) as sender:
                sender.connect((self.net.address("remote", family), 6000))
                sender.send(b"question")
                data, peer = server.recvfrom(64)
                self.assertEqual(self.net.host_address(family), peer[0])
                server.sendto(b"answer", peer)
                self.assertEqual(b"answer", sender.recv(64))

    def test_without_it(self):
        """What comes from behind an endpoint that did not ask for it is forged."""
        self.make()
        self.bn("endpoint", "update", "net", "vpn", "--opt", "routes-for=")
        self.assertEqual([], self.ours())
        for family in FAMILIES:
            server = self.keep(self.host.udp(family, 5000))
            with self.vpn.udp(family, 0, CLIENT[family][:-1] + "1") as sender:
                sender.sendto(b"x", (GATEWAY[family], 5000))
                self.assert_silent(server)

    def test_live(self):
        self.make()
        self.bn("endpoint", "update", "net", "vpn", "--opt",
                f"routes-for=10.9.0.0/24,{CLIENTS[6]}")
        self.assertEqual([("10.9.0.0/24", "172.30.0.2"), ("fd08::/64", "fd00:30::2")], self.ours())
        self.fails("endpoint", "update", "net", "vpn", "--opt", "routes-for=192.0.2.0/25",
                   mention="192.0.2.0/25")
        self.assertEqual(2, len(self.ours()))

    def test_refused(self):
        """Conflicts with what the host has, with other networks, with other endpoints."""
        self.make()
        self.create("other", "--subnet", "172.31.5.0/24")
        self.host.run("ip", "route", "add", "10.55.1.0/24", "via", self.net.address("remote", 4))
        self.addCleanup(self.host.run, "ip", "route", "del", "10.55.1.0/24", check=False)
        namespace = self.net.endpoint("c1")
        for value, mention in (("192.0.2.0/25", "eth0"), ("10.55.0.0/16", "10.55.1.0/24"),
                               ("10.55.1.0/24", "10.55.1.0/24"), ("172.31.5.128/25", "other"),
                               ("172.30.0.128/25", "net"), (CLIENTS[4], "vpn"),
                               ("0.0.0.0/0", "default route"), ("10.0.0.1/8", "routes-for"),
                               ("junk", "routes-for")):
            with self.subTest(value=value):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "--opt",
                           f"routes-for={value}", mention=mention)
        self.fails("attach", "other", "c1", "--netns", namespace.path, "--opt",
                   "routes-for=fd09::/64", mention="family")
        self.host.run("ip", "route", "del", "10.55.1.0/24")
        # a part of what the host sends elsewhere is the caller's to know
        self.host.run("ip", "route", "add", "10.55.0.0/16", "via", self.net.address("remote", 4))
        self.attach("net", "c1", "--opt", "routes-for=10.55.1.0/24", namespace=namespace)
        self.bn("detach", "net", "c1")
        self.host.run("ip", "route", "del", "10.55.0.0/16")


@for_each_backend
class Live(KernelTest):
    def test_mtu(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1")
        host_end = oracle.endpoint(self.bn, "net", "c1")["host_interface_name"]
        for value, mtu in (("1400", 1400), ("", 1500), ("9000", 9000)):
            self.bn("endpoint", "update", "net", "c1", "--opt", f"mtu={value}")
            self.assertEqual(mtu, namespace.link("eth0")["mtu"])
            self.assertEqual(mtu, self.host.link(host_end)["mtu"])
            self.assertEqual(mtu, oracle.endpoint(self.bn, "net", "c1")["mtu"])
        self.fails("endpoint", "update", "net", "c1", "--opt", "mtu=1000", mention="1280")
        self.assertEqual(9000, namespace.link("eth0")["mtu"])
