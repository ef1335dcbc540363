# SPDX-License-Identifier: LGPL-2.1-or-later
"""The family that a network lacks is as closed as the other, whoever gives an endpoint an address.
"""
import unittest

import oracle
from foreign import Forwarding
from probes import QUIET, Probe, Round, Servers
from topology import KernelTest, for_each_backend

SUBNET = {4: "172.30.0.0/24", 6: "fd00:30::/64"}
OTHER = {4: "172.31.3.0/24", 6: "fd00:33::/64"}
# what somebody gives by hand
PREFIX = {4: "10.44.0.", 6: "fd00:44::"}


class LackingTest(KernelTest):
    topology = Forwarding

    def by_hand(self, family, namespace, interface, number):
        length = "/24" if family == 4 else "/64 nodad"
        if family == 6:
            namespace.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", 0)
        namespace.batch(f"addr add {PREFIX[family]}{number}{length} dev {interface}\n")
        if number > 1:
            namespace.batch(f"route add default via {PREFIX[family]}1\n")

    def prepare(self, lacking, alone):
        """An address of that family for each endpoint of a network without it, and for the host.
        alone: no network has that family."""
        self.create("net", "--subnet", SUBNET[10 - lacking])
        if not alone:
            self.create("other", "--subnet", OTHER[4], "--subnet", OTHER[6])
        self.web = self.attach("net", "web", "-p", "8080:80")
        self.peer = self.attach("net", "peer")
        self.members = {"web": self.web, "peer": self.peer}
        if not alone:
            self.members["stranger"] = self.attach("other", "stranger")
        self.by_hand(lacking, self.host, oracle.network(self.bn, "net")["bridge"], 1)
        self.by_hand(lacking, self.web, "eth0", 2)
        self.by_hand(lacking, self.peer, "eth0", 3)
        for machine in (self.remote, self.attacker):
            subnet = PREFIX[lacking] + ("0/24" if lacking == 4 else "/64")
            machine.batch(f"route replace {subnet} via {self.net.host_address(lacking)}\n")

    def ask(self, family, pairs, protocols=("tcp", "udp", "icmp"), patience=QUIET):
        machines = {**self.net.machines, **self.members}
        servers = Servers(machines)
        where = {"web": PREFIX[family] + "2", "peer": PREFIX[family] + "3",
                 "gateway": PREFIX[family] + "1"}
        try:
            return Round(machines, servers, patience).ask([
                Probe(client, server, family, protocol, where[server])
                for client, server in pairs for protocol in protocols])
        finally:
            servers.close()

    def check(self, lacking, alone=False, netfilter=0):
        self.net.bridge_netfilter(netfilter)
        self.prepare(lacking, alone)
        # the addresses are good: on the link, and from the host
        found = self.ask(lacking, (("host", "web"), ("web", "peer"), ("peer", "web")), patience=2)
        self.assertNotIn("silence", found.values(), found)
        self.assertEqual({"pong"}, set(self.ask(lacking, (("web", "gateway"),), ("icmp",),
                                                patience=2).values()))
        before = self.drops()
        found = self.ask(lacking, [(client, server) for server in ("web", "peer") for client in
                                   ("outside", "other", "inner", "a", *self.members)
                                   if client not in ("web", "peer")],
                         ("tcp", "udp", "icmp", "stray"))
        self.assertEqual({"silence"}, set(found.values()), found)
        self.assertGreater(self.drops(), before)

    def drops(self):
        return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v", "net")
                   if rule["target"] == "DROP")


@for_each_backend
class Lacking(LackingTest):
    def test_ipv6(self):
        self.check(6)

    def test_ipv6_alone(self):
        self.check(6, alone=True)

    def test_ipv6_with_bridge_netfilter(self):
        self.check(6, netfilter=1)

    def test_ipv4(self):
        self.check(4)

    def test_ipv4_alone(self):
        self.check(4, alone=True)

    def test_ipv4_with_bridge_netfilter(self):
        self.check(4, netfilter=1)


if __name__ == "__main__":
    unittest.main()
