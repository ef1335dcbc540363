# SPDX-License-Identifier: LGPL-2.1-or-later
"""No rule of ours decides about what is not ours: what others send by way of the host fares as it
did before, whatever firewall the host has, and that firewall still sees it."""
import unittest

from firewalls import FIREWALLS
from foreign import Forwarding, Legacy, Nft, member
from probes import Flows, Probe, Round, Servers
from topology import FAMILIES, KernelTest, for_backend, for_each_backend

PROTOCOLS = ("tcp", "udp", "icmp", "stray")
PAIRS = (("outside", "inner"), ("inner", "outside"), ("outside", "a"), ("a", "outside"),
         ("a", "b"), ("b", "a"), ("a", "inner"), ("inner", "a"), ("other", "inner"), ("other", "a"),
         ("host", "inner"), ("host", "a"), ("outside", "host"), ("a", "host"), ("inner", "host"),
         ("outside", "far"), ("far", "inner"), ("far", "outside"))
ESTABLISHED = (("outside", "inner"), ("outside", "a"), ("a", "outside"), ("inner", "a"), ("a", "b"),
               ("other", "inner"))
# what the host's own port forwards are asked by
FORWARDED = ("outside", "other", "a", "host")
ROUNDS = 6
TRACKING = """table inet tracking {
    chain forward {
        type filter hook forward priority 0
        ct state new counter
    }
}"""


class ForeignTest(KernelTest):
    topology = Forwarding

    def setUp(self):
        super().setUp()
        self.servers = Servers(self.net.machines)
        self.addCleanup(self.servers.close)
        self.probes = [Probe(client, server, family, protocol, self.net.where(server, family))
                       for client, server in PAIRS for family in FAMILIES for protocol in PROTOCOLS]
        self.probes += [Probe(client, "host", family, protocol, self.net.host_address(family), 9999)
                        for client in FORWARDED for family in FAMILIES
                        for protocol in ("tcp", "udp")]
        # one whose answers go another way: from the link, with an address that is behind the host
        for family in FAMILIES:
            address = member("inner", family, 77)
            length = "/32" if family == 4 else "/128 nodad preferred_lft 0"
            self.attacker.batch(f"addr replace {address}{length} dev eth0\n")
            self.probes.append(Probe("other", "a", family, "udp", self.net.where("a", family),
                                     source=address))

    def flows(self):
        pairs = [(client, server, family, self.net.where(server, family))
                 for client, server in ESTABLISHED for family in FAMILIES]
        made = Flows(self.net.machines, self.servers, pairs, ROUNDS)
        self.addCleanup(made.close)
        return made

    def networks(self):
        self.create("own", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")
        self.create("four", "--subnet", "172.31.1.0/24")
        self.create("adopted", "--bridge", "brf", "--subnet", "172.31.9.0/24", "--subnet",
                    "fd00:39::/64")
        self.attach("own", "c1", "-p", "8080:80")
        self.attach("adopted", "c2", "-p", "8081:80")

    def look(self, admin, flows, before=()):
        """(what became of each probe, which rules of the host counted since `before`, that)"""
        results = Round(self.net.machines, self.servers).ask(self.probes, flows)
        now = admin.packets()
        before = dict(before) or dict.fromkeys(now, 0)
        self.assertEqual(set(before), set(now), "rules of the host")
        return results, {rule for rule in now if now[rule] > before[rule]}, now

    def compare(self, when, alone, found):
        self.assertEqual({}, {name: f"{alone[0][name]} -> {result}" for name, result in
                              found[0].items() if alone[0][name] != result}, when)
        self.assertEqual(alone[1], found[1], f"rules of the host that count {when}")

    def prepare(self, firewall):
        self.net.bridge_netfilter(firewall.bridge_netfilter)
        for name in ("all", "default", "eth0", "up1", "brf"):
            self.host.sysctl(f"net/ipv4/conf/{name}/rp_filter", firewall.rp_filter)
        # flows are known once somebody asks for them
        self.host.run("nft", "-f", "-", stdin=TRACKING)
        self.addCleanup(self.host.run, "nft", "flush", "ruleset")
        return self.flows()

    def check(self, firewall):
        tools = [tool(self.net, firewall.text[tool.name]) for tool in (Nft, Legacy)]
        # that of the backend sees the networks come
        tools.sort(key=lambda tool: tool.name not in self.backend)
        flows = self.prepare(firewall)
        alone = {}
        for admin in reversed(tools):
            with admin:
                self.host.run("nft", "delete", "table", "inet", "tracking", check=not alone)
                found = alone[admin] = self.look(admin, flows)
                self.assertEqual(firewall.unmet * len(FAMILIES), len(found[2]) - len(found[1]),
                                 found[2])
                if admin is tools[0]:
                    self.networks()
                    again = self.look(admin, flows, found[2])
                    self.compare(f"{admin.name}, networks that came later", found, again)
        for admin in tools:
            with admin:
                found = self.look(admin, flows)
                self.compare(f"{admin.name}, rules that came later", alone[admin], found)
                if admin is tools[-1]:
                    self.assertEqual([], self.remove_all())
                    again = self.look(admin, flows, found[2])
                    self.compare(f"{admin.name}, after the networks", alone[admin], again)


def with_firewalls(case):
    """A test for each of them."""
    def test_of(firewall):
        return lambda self: self.check(firewall)

    for name, firewall in FIREWALLS.items():
        setattr(case, f"test_{name}", test_of(firewall))
    return case


@for_each_backend
@with_firewalls
class ForeignForward(ForeignTest):
    pass


class NamedAlike(Forwarding):
    """The link to the inner server has a name as bridges of ours have."""

    INNER = "bn-0123456789ab"


@for_backend("iptables-legacy")
class ManyNetworks(ForeignTest):
    """More than 64, whose bridges are told apart by the beginning of their names."""

    topology = NamedAlike
    COUNT = 70

    def test_an_interface_that_is_named_alike(self):
        alone = {}
        for when in ("without", "with"):
            for policy in ("ACCEPT", "DROP"):
                with Legacy(self.net, f"*filter\n:FORWARD {policy} [0:0]\nCOMMIT\n"):
                    found = Round(self.net.machines, self.servers).ask(self.probes)
                self.assertEqual(alone.setdefault(policy, found), found, f"{policy}, {when}")
            if when == "without":
                self.assertNotEqual(alone["ACCEPT"], alone["DROP"])
                self.many()
        self.bn("network", "rm", *(f"n{number}" for number in range(self.COUNT)))

    def many(self):
        for number in range(self.COUNT):
            self.create(f"n{number}", "--subnet", f"172.30.{number}.0/24")
        rules = self.oracle.table(4, "filter").rules
        self.assertTrue(any("-o bn-0+" in text for text, _ in sum(rules.values(), [])))


if __name__ == "__main__":
    unittest.main()
