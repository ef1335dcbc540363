# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which translation a connection gets that two could give it: the administrator's or ours."""
import unittest

import legacy
from foreign import Forwarding, Legacy, Nft
from probes import Probe, Round, Servers
from topology import FAMILIES, KernelTest, for_backend, for_each_backend

DNAT_NFT = """
    chain arrive { type nat hook prerouting priority dstnat;
        %(ip)s daddr %(host)s tcp dport 8080 counter dnat to %(l)s%(second)s%(r)s:80
    }
    chain output { type nat hook output priority -100;
        %(ip)s daddr %(host)s tcp dport 8080 counter dnat to %(l)s%(second)s%(r)s:80
    }"""
SNAT_NFT = """
    chain leave { type nat hook postrouting priority srcnat;
        oifname eth0 counter snat to %(second)s
    }"""
DNAT_LEGACY = """*nat
        -A PREROUTING -d %(host)s -p tcp --dport 8080 -j DNAT --to %(l)s%(second)s%(r)s:80
        -A OUTPUT -d %(host)s -p tcp --dport 8080 -j DNAT --to-destination %(l)s%(second)s%(r)s:80
        COMMIT
        """
SNAT_LEGACY = """*nat
        -A POSTROUTING -o eth0 -j SNAT --to-source %(second)s
        COMMIT
        """


class OrderTest(KernelTest):
    """A port of an endpoint, and one of the host's own, for the same port of the host."""

    topology = Forwarding

    def network(self):
        self.create("net", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")
        self.web = self.attach("net", "web", "-p", "8080:80")

    def ask(self):
        """What the outside and the host see at the port, and the outside of the endpoint."""
        machines = {"outside": self.remote, "host": self.host, "web": self.web}
        servers = Servers(machines)
        try:
            found = Round(machines, servers).ask(
                [Probe(client, server, family, "tcp", self.net.where(server, family),
                       8080 if server == "host" else 0) for family in FAMILIES
                 for client, server in (("outside", "host"), ("host", "host"), ("web", "outside"))])
        finally:
            servers.close()
        return found

    def expected(self, dnat, snat):
        """By who translates: the administrator or we."""
        found = {}
        for family in FAMILIES:
            names = self.net.names(family)
            for client, source in (("outside", names["outside"]), ("host", names["host"])):
                name = f"{client} to host:8080, IPv{family} tcp"
                found[name] = f"{'web' if dnat == 'ours' else 'host'} saw {source}"
            source = names["host"] if snat == "ours" else names["second"]
            found[f"web to outside, IPv{family} tcp"] = f"outside saw {source}"
        return found

    def check(self, tool, text, dnat="ours", snat="ours", first=True):
        admin = tool(self.net, text)
        if not first:
            self.network()
        with admin:
            if first:
                self.network()
            self.assertEqual(self.expected(dnat, snat), self.ask())
            if "theirs" in (dnat, snat):
                self.assertNotIn(0, admin.packets().values())
            if not first:
                return
            # also when the network changes
            self.attach("net", "c2", "-p", "8081:80")
            self.assertEqual(self.expected(dnat, snat), self.ask())
        self.assertEqual(self.expected("ours", "ours"), self.ask())


@for_each_backend
class AdministratorFirst(OrderTest):
    def setUp(self):
        super().setUp()
        # see OfOnePriority
        for command in legacy.COMMAND.values():
            self.host.run(command, "-t", "nat", "-n", "-L")

    def test_dnat_by_nft(self):
        self.check(Nft, DNAT_NFT, dnat="theirs")

    def test_dnat_by_iptables(self):
        self.check(Legacy, DNAT_LEGACY, dnat="theirs")

    def test_snat_by_nft(self):
        self.check(Nft, SNAT_NFT, snat="theirs")

    def test_snat_by_iptables(self):
        self.check(Legacy, SNAT_LEGACY, snat="theirs")


@for_each_backend
class AdministratorLater(OrderTest):
    def test_dnat_by_nft(self):
        self.check(Nft, DNAT_NFT, dnat="theirs", first=False)

    def test_dnat_by_iptables_inserted(self):
        self.check(Legacy, DNAT_LEGACY.replace("-A", "-I"), dnat="theirs", first=False)

    def test_dnat_by_iptables_appended(self):
        self.check(Legacy, DNAT_LEGACY, first=False,
                   dnat="ours" if self.backend == "iptables-legacy" else "theirs")

    def test_snat_by_nft(self):
        self.check(Nft, SNAT_NFT, snat="theirs", first=False)

    def test_snat_by_iptables_inserted(self):
        self.check(Legacy, SNAT_LEGACY.replace("-A", "-I"), snat="theirs", first=False)

    def test_snat_by_iptables_appended(self):
        self.check(Legacy, SNAT_LEGACY, first=False,
                   snat="ours" if self.backend == "iptables-legacy" else "theirs")


@for_backend("iptables-legacy")
class OfOnePriority(OrderTest):
    """The tables of iptables have the usual priorities, dstnat and srcnat. Of two with the same,
    the kernel asks the one first that came last, and that of iptables comes when it is first used.
    """

    def setUp(self):
        super().setUp()
        if {table.name for table in legacy.tables(self.host)} & {"nat"}:
            self.renew()
            super().setUp()

    def test_dnat_by_nft(self):
        self.check(Nft, DNAT_NFT)

    def test_snat_by_nft(self):
        self.check(Nft, SNAT_NFT)

    def test_dnat_by_nft_of_an_earlier_one(self):
        text = DNAT_NFT.replace("dstnat", "dstnat - 1").replace("-100", "-101")
        self.check(Nft, text, dnat="theirs")

    def test_snat_by_nft_of_an_earlier_one(self):
        self.check(Nft, SNAT_NFT.replace("srcnat", "srcnat - 1"), snat="theirs")


if __name__ == "__main__":
    unittest.main()
