# SPDX-License-Identifier: LGPL-2.1-or-later
"""The xtables tables belong to the whole host: what others do to our chains in them, and what they
build on them."""
import contextlib
import unittest

import legacy
import library
import oracle
from topology import FAMILIES, KernelTest, for_backend

legacy_only = for_backend("iptables-legacy")


class Shared(KernelTest):
    """A network with an endpoint, whose port 81 nobody is to reach from outside."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.direct = self.serve(self.namespace, 81)
        for family in FAMILIES:
            subnet = ("172.30.0.0/24", "fd00:30::/64")[family == 6]
            self.remote.run("ip", "route", "replace", subnet, "via", self.net.host_address(family))
        self.settled = oracle.ruleset(self.host)

    def tearDown(self):
        self.iptables("-t", "raw", "-D", "PREROUTING", "-i", "eth0", "-j", "ACCEPT", check=False)
        super().tearDown()

    def iptables(self, *argv, families=FAMILIES, check=True):
        for family in families:
            self.host.run(legacy.COMMAND[family], *argv, check=check)

    def drop_raw(self):
        """So that filter alone keeps others out."""
        self.iptables("-t", "raw", "-I", "PREROUTING", "-i", "eth0", "-j", "ACCEPT")

    def assert_shut(self):
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.namespace.address(family), 81,
                               self.direct[family])

    def assert_open(self):
        """That the damage is one."""
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.namespace.address(family), 81, self.direct[family])

    def planned(self):
        """Does the listing say what the plan says?"""
        still = ("packets", "bytes", "handle")
        return [[{key: value for key, value in rule.items() if key not in still}
                 for rule in self.bn.json("rules", *argv)] for argv in ((), ("--plan",))]


@legacy_only
class Damaged(Shared):
    """Whatever is done to what a verb relies on is put right by it."""

    VERBS = (("attach", "net", "c2"), ("network", "create", "two", "--subnet", "172.31.0.0/24"))

    def verb(self, argv):
        if argv[0] == "attach":
            self.attach("net", "c2")
        else:
            self.bn(*argv)
        self.assert_shut()
        listed, planned = self.planned()
        self.assertEqual(planned, listed)
        if argv[0] == "attach":
            self.bn("detach", "net", "c2")
        else:
            self.bn("network", "rm", "two")

    def test_network_chain_flushed(self):
        """Of the network itself: seen by a verb on it, also in tables where it adds nothing."""
        self.drop_raw()
        for chain in ("BN-net", "BN-net:from"):
            with self.subTest(chain=chain):
                self.iptables("-F", chain)
                if chain == "BN-net":
                    self.assert_open()
                self.verb(self.VERBS[0])

    def test_base_flushed_or_undone(self):
        self.drop_raw()
        for damage in (("-F", "BRIDGENET-FORWARD"), ("-D", "FORWARD", "-j", "BRIDGENET-FORWARD"),
                       ("-F", "FORWARD")):
            for verb in self.VERBS if damage[0] != "-F" or damage[1] == "FORWARD" else \
                    self.VERBS[:1]:
                with self.subTest(damage=damage, verb=verb):
                    self.iptables(*damage)
                    self.assert_open()
                    self.verb(verb)

    def test_same_number_of_rules(self):
        """A context that lives on: the table has as many entries as it left there."""
        self.drop_raw()
        caller = library.Library(self.net, self.backend)
        self.addCleanup(caller.close)
        second = self.net.endpoint("c2")
        caller.attach("net", "c2", second)
        caller.detach("net", "c2")
        self.iptables("-D", "FORWARD", "-j", "BRIDGENET-FORWARD")
        self.iptables("-A", "FORWARD", "-j", "BRIDGENET-USER")
        self.assert_open()
        caller.attach("net", "c2", second)
        self.assert_shut()

    def test_accept_put_first(self):
        """In a chain of ours, and in that of the kernel; it stays, behind what it had undone."""
        self.drop_raw()
        for chain in ("FORWARD", "BRIDGENET-FORWARD", "BN-net"):
            with self.subTest(chain=chain):
                self.iptables("-I", chain, "-j", "ACCEPT")
                self.assert_open()
                self.attach("net", "c2")
                self.assert_shut()
                self.iptables("-D", chain, "-j", "ACCEPT")
                self.bn("detach", "net", "c2")
                self.assertEqual(self.settled, self.without_drop_raw())

    def without_drop_raw(self):
        return [[family, table, chain, policy,
                 [text for text in texts if text != "-i eth0 -j ACCEPT"]]
                for family, table, chain, policy, texts in oracle.ruleset(self.host)]

    def test_publish_sees_its_table(self):
        """It writes nat alone."""
        listener = self.serve(self.namespace, 80)
        self.iptables("-t", "nat", "-F", "BN-net:post")
        self.bn("publish", "net", "c1", "-p", "8090:80")
        self.assertEqual(*self.planned())
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8090, listener[family])

    def test_what_goes_sees_its_tables(self):
        """What stays is put back also by what takes something out of the table."""
        self.bn("publish", "net", "c1", "-p", "8090:80")
        for chain in ("BRIDGENET", "BRIDGENET-POSTROUTING", "BN-net:post"):
            with self.subTest(chain=chain):
                self.iptables("-t", "nat", "-F", chain)
                self.bn("unpublish", "net", "c1", "-p", "8090:80")
                self.assertEqual(*self.planned())
                self.bn("publish", "net", "c1", "-p", "8090:80")
        for chain in ("BRIDGENET-OUTSIDE", "BRIDGENET-RAW"):
            with self.subTest(chain=chain):
                self.attach("net", "c2")
                self.iptables("-t", "raw", "-F", chain)
                self.bn("detach", "net", "c2")
                self.assertEqual(*self.planned())
        # what all networks share
        for table, chain, families in (
                ("raw", "BRIDGENET-OUTSIDE", FAMILIES), ("raw", "BRIDGENET-LOOPBACK", (4,)),
                ("filter", "BRIDGENET-FORWARD", FAMILIES), ("nat", "BRIDGENET", FAMILIES)):
            for argv in (("create", "two", "--subnet", "172.31.0.0/24"), ("rm", "two")):
                with self.subTest(argv=argv, chain=chain):
                    self.iptables("-t", table, "-F", chain, families=families)
                    self.bn("network", *argv)
                    self.assertEqual(*self.planned())

    def test_others_chain_of_our_name(self):
        """It was there before the first network: what it has stays, and ours hold all the same."""
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.iptables("-N", "BRIDGENET-FORWARD")
        self.iptables("-A", "BRIDGENET-FORWARD", "-j", "ACCEPT")
        self.create(dual=True)
        self.attach("net", "c1", "-p", "8080:80", namespace=self.namespace)
        self.drop_raw()
        self.assert_shut()
        self.remove_all()
        for family in FAMILIES:
            self.assertEqual([("-j ACCEPT", (0, 0))],
                             [(text, (0, 0)) for text, _ in self.oracle.table(
                                 family, "filter").rules["BRIDGENET-FORWARD"]])
        self.iptables("-F", "BRIDGENET-FORWARD")
        # nothing leads there, as nothing did before
        self.iptables("-X", "BRIDGENET-FORWARD")


@legacy_only
class Held(Shared):
    """Others' rules lead to our chains, or stand in them, or a saved rule set was loaded twice: no
    verb fails for it, and what is held stays, without a rule of ours."""

    @contextlib.contextmanager
    def others_use_ours(self):
        self.iptables("-N", "MINE")
        self.iptables("-A", "MINE", "-j", "BRIDGENET-FORWARD")
        self.iptables("-A", "MINE", "-j", "BN-net")
        self.iptables("-A", "BN-net:from", "-s", "203.0.113.1", "-j", "ACCEPT", families=(4,))
        try:
            yield
        finally:
            self.iptables("-F", "MINE")
            self.iptables("-X", "MINE")
            for chain in ("BRIDGENET-FORWARD", "BN-net", "BN-net:from"):
                self.iptables("-F", chain, check=False)
                self.iptables("-X", chain, check=False)

    def load_twice(self):
        for family in FAMILIES:
            text = self.host.run(legacy.SAVE[family]).stdout
            lines = [line for line in text.splitlines() if not line.startswith((":BN-", ":BRIDG"))]
            self.host.run(legacy.COMMAND[family] + "-restore", "--noflush",
                          stdin="\n".join(lines) + "\n")

    def held(self):
        """What is there in the chains that are left."""
        return {(table.family, table.name, chain): [text for text, _ in rules]
                for table in legacy.tables(self.host) for chain, rules in table.rules.items()
                if legacy.is_ours(chain)}

    def through_all_verbs(self):
        self.bn("publish", "net", "c1", "-p", "8081:81")
        self.bn("unpublish", "net", "c1", "-p", "8081:81")
        self.attach("net", "c2", "-p", "8082:80")
        self.bn("detach", "net", "c2")
        self.bn("detach", "net", "c1")

    LEFT = {(4, "filter", "BN-net"): [], (6, "filter", "BN-net"): [],
            (4, "filter", "BN-net:from"): ["-s 203.0.113.1/32 -j ACCEPT"],
            (4, "filter", "BRIDGENET-FORWARD"): [], (6, "filter", "BRIDGENET-FORWARD"): []}

    def test_chains_that_others_use(self):
        with self.others_use_ours():
            self.through_all_verbs()
            caller = library.Library(self.net, self.backend)
            self.addCleanup(caller.close)
            said = [line for line in caller.delete("net")["log"] if "stays" in line]
            self.assertEqual(1, len(said), said)
            self.assertIn("of table filter (IPv4) stays, without bridgenet's rules", said[0])
            self.assertEqual(self.LEFT, self.held())
            # the state is bound to no backend
            self.bn.backend = "nftables"
            self.create(dual=True)
            self.bn("network", "rm", "net")
            self.bn.backend = self.backend
            # and once is enough
            self.create(dual=True)
            self.bn("network", "rm", "net")
            self.assertEqual(self.LEFT, self.held())

    def test_a_move_past_what_others_use(self):
        with self.others_use_ours():
            self.bn.backend = "auto"
            self.bn("backend", "switch", "nftables")
            self.assertEqual(self.LEFT, self.held())
            self.through_all_verbs()
            self.bn("network", "rm", "net")
            self.bn.backend = self.backend

    def test_loaded_twice(self):
        self.load_twice()
        self.assertNotEqual(self.settled, oracle.ruleset(self.host))
        self.attach("net", "c2")
        self.bn("detach", "net", "c2")
        # those of endpoints and ports go with the original
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.assertEqual({}, self.held())

    def test_a_move_past_what_was_loaded_twice(self):
        self.load_twice()
        self.bn.backend = "auto"
        self.bn("backend", "switch", "nftables")
        self.assertEqual({}, self.held())
        self.through_all_verbs()
        self.bn("network", "rm", "net")
        self.bn.backend = self.backend


@legacy_only
class Restored(Shared):
    """A saved rule set is loaded that is older than the state."""

    def saved(self):
        return {family: self.host.run(legacy.SAVE[family]).stdout for family in FAMILIES}

    def restore(self, saved):
        for family, text in saved.items():
            self.host.run(legacy.COMMAND[family] + "-restore", stdin=text)

    def assert_leads(self, to, port=8080):
        listener = self.serve(to, 80)
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), port, listener[family])
        self.assertEqual({to.address(family) for family in FAMILIES},
                         {value[0] for key, value in self.oracle.ports().items()
                          if key[3] == port})

    def test_port_of_an_endpoint_that_is_gone(self):
        saved = self.saved()
        self.bn("detach", "net", "c1")
        self.restore(saved)
        second = self.attach("net", "c2", "-p", "8080:80")
        self.assert_leads(second)

    def test_port_of_one_that_lives(self):
        """It was given back meanwhile."""
        saved = self.saved()
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.restore(saved)
        second = self.attach("net", "c2", "-p", "8080:80")
        self.assert_leads(second)

    def test_port_of_a_network_that_is_gone(self):
        self.create("old", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.attach("old", "c2", "-p", "8090:80")
        saved = self.saved()
        self.bn("detach", "old", "c2")
        self.bn("network", "rm", "old")
        self.restore(saved)
        try:
            self.bn("publish", "net", "c1", "-p", "8090:80")
            self.assert_leads(self.namespace, 8090)
        finally:
            # the rest of what was loaded is for a check to find
            self.remove_all()
            self.oracle.flush()

    def test_endpoint_that_is_gone(self):
        """What it had goes with the network."""
        saved = self.saved()
        self.bn("detach", "net", "c1")
        self.restore(saved)
        self.bn("network", "rm", "net")
        self.assertTrue(self.oracle.empty())

    def test_while_all_is_made_again(self):
        saved = self.saved()
        self.bn("detach", "net", "c1")
        second = self.attach("net", "c2", "-p", "8080:80")
        self.restore(saved)
        self.iptables("-F", "FORWARD")
        self.attach("net", "c3")
        self.assert_leads(second)

    def test_port_of_another_state(self):
        """That one is alive, and stays."""
        elsewhere = (*self.bn.argv()[:1], "--state-dir", self.net.state + "/other",
                     "--backend", self.backend)
        self.host.run(*elsewhere, "network", "create", "far", "--subnet", "172.31.0.0/24")
        far = self.net.endpoint("far")
        try:
            self.host.run(*elsewhere, "attach", "far", "c1", "--netns", far.path, "-p",
                          "8090:80")
            self.fails("publish", "net", "c1", "-p", "0.0.0.0:8090:80", mention="BN-far")
        finally:
            self.host.run(*elsewhere, "network", "rm", "--force", "far", check=False)
            self.host.run(*elsewhere, "detach", "far", "c1", check=False)
            self.host.run(*elsewhere, "network", "rm", "far", check=False)


if __name__ == "__main__":
    unittest.main()
