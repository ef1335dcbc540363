# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network on a bridge of somebody else's: it is what is on the bridge and in its subnet. All else
that crosses the bridge meets no rule of ours, and fares as it did."""
import contextlib
import unittest

import legacy
import oracle
from foreign import FAR, Forwarding, member
from probes import Probe, Round, Servers
from topology import FAMILIES, KernelTest, for_backend, for_each_backend

PREFIX = {4: "172.31.9.", 6: "fd00:39::"}
SUBNET = {4: PREFIX[4] + "0/24", 6: PREFIX[6] + "/64"}
GUEST = {family: PREFIX[family] + "200" for family in FAMILIES}

VERDICTS = ("ACCEPT", "DROP", "DNAT", "MASQUERADE")
PROTOCOLS = ("tcp", "udp", "icmp", "stray")
# by the bridge, and by way of the host from and to the bridge
FOREIGN = (("a", "b"), ("b", "a"), ("a", "gate"), ("far", "a"), ("outside", "a"), ("a", "outside"),
           ("inner", "a"), ("a", "inner"), ("outside", "far"), ("far", "outside"),
           ("inner", "far"), ("far", "inner"), ("host", "a"), ("host", "far"), ("a", "host"),
           ("far", "host"), ("outside", "inner"), ("inner", "outside"))


class Adopting(Forwarding):
    """With a guest on the bridge that is not ours, but has an address of the network's subnet."""

    def extend(self):
        super().extend()
        self.guest = self.namespace("guest")
        self.host.batch(f"link add pguest type veth peer name eth0 netns {self.guest.name}\n"
                        "link set pguest master brf up\n")
        self.guest.batch("link set eth0 up\n")
        for family in FAMILIES:
            length = "/24" if family == 4 else "/64 nodad"
            self.guest.batch(f"addr add {GUEST[family]}{length} dev eth0\n"
                             f"route add default via {PREFIX[family]}1\n")
            for machine in (self.remote, self.attacker):
                machine.batch(f"route add {SUBNET[family]} via {self.host_address(family)}\n")


class AdoptedTest(KernelTest):
    topology = Adopting

    def machines(self, **more):
        self.all = {**self.net.machines, "gate": self.net.machines["far"], **more}
        servers = Servers({name: machine for name, machine in self.all.items() if name != "gate"})
        self.addCleanup(servers.close)
        return servers

    def where(self, name, family):
        return member("far", family) if name == "gate" else self.net.where(name, family)

    def ask(self, servers, probes):
        return Round(self.all, servers).ask(probes)

    def foreign(self, servers):
        return self.ask(servers, [Probe(client, server, family, protocol,
                                        self.where(server, family))
                                  for client, server in FOREIGN for family in FAMILIES
                                  for protocol in PROTOCOLS])

    def adopt(self, families, name="net"):
        self.create(name, "--bridge", "brf",
                    *(word for family in families for word in ("--subnet", SUBNET[family])))

    def met(self):
        """How often what is not just on the way to somewhere was met: verdicts, and jumps by what a
        packet is."""
        return [(rule["purpose"], rule["packets"]) for rule in oracle.rules(self.bn, "-v")
                if rule["target"] in VERDICTS or (rule["network"] and rule["table"] != "nat")]


@for_each_backend
class Foreign(AdoptedTest):
    def check(self, families, netfilter):
        self.net.bridge_netfilter(netfilter)
        servers = self.machines()
        alone = self.foreign(servers)
        self.assertNotIn("silence", alone.values())
        self.adopt(families)
        self.attach("net", "c1", "-p", "8080:80")
        # what the endpoint has said when it came
        before = self.met()
        self.assertTrue(before)
        self.assertEqual(alone, self.foreign(servers))
        self.assertEqual(before, self.met())

    def test_ipv4_network(self):
        self.check((4,), 0)

    def test_ipv4_network_with_bridge_netfilter(self):
        self.check((4,), 1)

    def test_ipv6_network(self):
        self.check((6,), 0)

    def test_ipv6_network_with_bridge_netfilter(self):
        self.check((6,), 1)

    def test_dual_stack_network(self):
        self.check(FAMILIES, 0)

    def test_dual_stack_network_with_bridge_netfilter(self):
        self.check(FAMILIES, 1)

    def test_the_bridge_keeps_its_address(self):
        """One that has none of its own has the lowest of its ports, as its neighbours know."""
        before = self.host.link("brf")["address"]
        self.adopt(FAMILIES)
        for number in range(6):
            self.attach("net", f"c{number}")
            self.assertEqual(before, self.host.link("brf")["address"])


class OursTest(AdoptedTest):
    """What the network is for works there too."""

    @contextlib.contextmanager
    def rp_filter(self, value):
        paths = [f"net/ipv4/conf/{name}/rp_filter" for name in ("all", "brf", "eth0", "up1")]
        for path in paths:
            self.host.sysctl(path, value)
        try:
            yield
        finally:
            for path in paths:
                self.host.sysctl(path, 0)

    def check(self, families, netfilter):
        self.net.bridge_netfilter(netfilter)
        self.adopt(families)
        web = self.attach("net", "web", "-p", "8080:80")
        peer = self.attach("net", "peer")
        servers = self.machines(web=web, peer=peer, guest=self.net.guest)
        expected = {}
        probes = []

        def expect(client, server, address, result, port=0, protocols=("tcp", "udp")):
            for protocol in protocols:
                probe = Probe(client, server, family, protocol, address, port)
                probes.append(probe)
                expected[probe.name] = result

        for family in families:
            own, second = web.address(family), peer.address(family)
            host = self.net.host_address(family)
            # out of the bridge with the address of the host, on it with the own one
            expect("web", "outside", self.where("outside", family), f"outside saw {host}")
            expect("guest", "outside", self.where("outside", family), f"outside saw {host}")
            expect("web", "inner", self.where("inner", family),
                   f"inner saw {member('inner', family, 1)}")
            expect("web", "a", self.where("a", family), f"a saw {own}")
            expect("web", "far", FAR[family], f"far saw {own}")
            expect("web", "peer", second, f"peer saw {own}")
            expect("web", "guest", GUEST[family], f"guest saw {own}")
            expect("guest", "web", own, f"web saw {GUEST[family]}")
            for client in ("web", "guest", "host"):
                expect(client, "gateway", PREFIX[family] + "1", "pong", protocols=("icmp",))
            # published: by everybody, who are seen as they are, but for those of the network
            for client, address in (("outside", host), ("other", host), ("inner", host),
                                    ("a", member("a", family, 1)), ("far", host)):
                source = self.where(client, family)
                expect(client, "host", address, f"web saw {source}", 8080, ("tcp",))
            for client in ("web", "peer", "guest"):
                expect(client, "host", host, f"web saw {PREFIX[family]}1", 8080, ("tcp",))
            # and nothing else, from elsewhere than the bridge
            for client in ("outside", "other", "inner"):
                expect(client, "web", own, "silence", protocols=("tcp", "udp", "icmp"))
                expect(client, "peer", second, "silence", protocols=("tcp", "udp", "icmp"))
                expect(client, "guest", GUEST[family], "silence", protocols=("tcp", "icmp"))
            expect("host", "web", own, f"web saw {PREFIX[family]}1")
        self.assertEqual(expected, self.ask(servers, probes))
        servers.close()


@for_each_backend
class Ours(OursTest):
    def test_ipv4_network(self):
        self.check((4,), 0)

    def test_ipv4_network_with_bridge_netfilter(self):
        self.check((4,), 1)

    def test_ipv6_network(self):
        self.check((6,), 0)

    def test_ipv6_network_with_bridge_netfilter(self):
        self.check((6,), 1)

    def test_dual_stack_network(self):
        self.check(FAMILIES, 0)

    def test_dual_stack_network_with_bridge_netfilter(self):
        self.check(FAMILIES, 1)

    def test_with_the_kernels_check_of_sources(self):
        for value in (1, 2):
            with self.subTest(rp_filter=value), self.rp_filter(value):
                self.check(FAMILIES, 0)
                self.assertEqual([], self.remove_all())
                self.net.drop_endpoints()

    def test_an_endpoints_address_from_elsewhere(self):
        """A packet that claims to come from an endpoint, by another interface than its bridge,
        makes no connection by whose answer anybody gets in."""
        self.adopt(FAMILIES)
        web = self.attach("net", "web")
        servers = self.machines(web=web)
        # who knows the host's neighbours, and they it
        known = [Probe("other", server, family, "tcp", self.where(server, family))
                 for family in FAMILIES for server in ("a", "host")]
        self.assertNotIn("silence", self.ask(servers, known).values())
        probes = []
        for family in FAMILIES:
            length = "/32" if family == 4 else "/128 nodad"
            self.attacker.batch(f"addr add {web.address(family)}{length} dev eth0\n")
            self.addCleanup(self.attacker.batch,
                            f"addr del {web.address(family)}{length.split()[0]} dev eth0\n")
            probes += [Probe("other", server, family, "udp", self.where(server, family),
                             source=web.address(family)) for server in ("a", "host")]
        self.assertEqual({"silence"}, set(self.ask(servers, probes).values()))


@for_backend("iptables-legacy")
class OursUnderPolicyDrop(OursTest):
    """Accepts of iptables are final, where those of nftables are for their own table alone."""

    def check(self, families, netfilter):
        for command in legacy.COMMAND.values():
            self.host.run(command, "-P", "FORWARD", "DROP")
        try:
            super().check(families, netfilter)
        finally:
            for command in legacy.COMMAND.values():
                self.host.run(command, "-P", "FORWARD", "ACCEPT")

    def test_dual_stack_network(self):
        self.check(FAMILIES, 0)

    def test_dual_stack_network_with_bridge_netfilter(self):
        self.check(FAMILIES, 1)


if __name__ == "__main__":
    unittest.main()
