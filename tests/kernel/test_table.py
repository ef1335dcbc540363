# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others do to the table inet bridgenet, and put into it, as the verbs meet it."""
import contextlib
import re
import shutil
import subprocess
import tempfile
import time

import oracle
from killing import KillingTest
from library import Failed, Library
from topology import BACKENDS, FAMILIES, for_backend

TABLE = "inet bridgenet"


@for_backend("nftables")
class Table(KillingTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.listeners = self.serve(self.namespace, 80)

    def nft(self, *commands):
        return self.host.run("nft", "-f", "-", stdin="".join(f"{line}\n" for line in commands))

    def listing(self):
        return self.host.run("nft", "list", "table", "inet", "bridgenet").stdout

    def planned(self):
        still = ("packets", "bytes", "handle")
        return [[{key: value for key, value in rule.items() if key not in still}
                 for rule in oracle.rules(self.bn, "-v", *argv)] for argv in ((), ("--plan",))]

    def assert_whole(self):
        kernel, plan = self.planned()
        self.assertEqual(plan, kernel)
        self.assertNotIn("dormant", self.listing())
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                            self.listeners[family])

    def verbs(self):
        """Each thing that a state can come to, and back."""
        second = self.net.endpoint("c2")
        yield "publish", "net", "c1", "-p", "9090:80"
        yield "unpublish", "net", "c1", "-p", "9090:80"
        yield "attach", "net", "c2", "--netns", second.path, "-p", "9091:80"
        yield "detach", "net", "c2"
        yield "network", "create", "other", "--subnet", "172.31.5.0/24"
        yield "network", "rm", "other"

    def test_damage_is_mended(self):
        for damage in ((f"flush table {TABLE}",),
                       (f"add table {TABLE} {{ flags dormant; }}",),
                       (f"flush chain {TABLE} raw-prerouting", f"flush chain {TABLE} ports"),
                       ("flush ruleset",)):
            for verb in self.verbs():
                with self.subTest(damage=damage, verb=verb):
                    self.nft(*damage)
                    self.bn(*verb)
                    self.assert_whole()

    def test_the_last_network_goes_from_a_damaged_table(self):
        for damage in (f"flush table {TABLE}", f"add table {TABLE} {{ flags dormant; }}"):
            self.nft(damage)
            self.bn("detach", "net", "c1")
            self.nft(damage)
            self.bn("network", "rm", "net")
            self.assertTrue(self.oracle.empty())
            self.create(dual=True)
            self.attach("net", "c1")

    def test_another_chain_of_our_name(self):
        self.nft("flush ruleset", f"add table {TABLE}",
                 f"add chain {TABLE} nat-output {{ type filter hook output priority 7; }}")
        before = self.listing()
        self.fails("publish", "net", "c1", "-p", "9090:80", mention=(
            "chain nat-output of the nftables table inet bridgenet is not ours (type filter, hook "
            "output, priority 7): rename or delete it",))
        self.assertEqual(before, self.listing())
        # what could not be undone is still in the way, and why
        with contextlib.closing(Library(self.net, self.backend, timeout_ms=500)) as library:
            with self.assertRaisesRegex(Failed, "what an earlier call has left can't be taken "
                                                "out: .*chain nat-output"):
                library.publish("net", "c1", "9090:80")
        self.nft(f"delete chain {TABLE} nat-output")
        self.bn("publish", "net", "c1", "-p", "9090:80")
        self.assert_whole()
        # whoever made the table has it back
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.assertEqual("table inet bridgenet {\n}\n", self.listing())
        self.nft("delete table inet bridgenet")

    def test_dormant_is_said(self):
        self.nft(f"add table {TABLE} {{ flags dormant; }}")
        self.assertIn("The table inet bridgenet is dormant", self.bn("rules", "-v").replace(
            "the table", "The table"))
        for argv in ((), ("net",)):
            rows = [rule for rule in oracle.rules(self.bn, "-v", *argv)
                    if "inet bridgenet is dormant" in rule["purpose"]]
            self.assertEqual(1, len(rows), argv)
        self.nft(f"add table {TABLE}")
        self.assert_whole()

    def test_a_policy_is_said(self):
        """Who gave it to the chain is let have it; it is no rule of the plan."""
        for chain in ("raw-prerouting", "filter-forward"):
            self.nft(f"add chain {TABLE} {chain} {{ policy drop; }}")
            rows = [rule for rule in oracle.rules(self.bn, "-v")
                    if f"the policy of chain {chain} is drop" in rule["purpose"]]
            self.assertEqual([chain], [rule["chain"] for rule in rows])
            self.nft(f"add chain {TABLE} {chain} {{ policy accept; }}")
        self.assert_whole()

    # ---- what others hold ----

    def assert_works(self, others):
        for verb in self.verbs():
            self.bn(*verb)
        kernel, plan = self.planned()
        theirs = [rule for rule in kernel if "Not made by bridgenet" in rule["purpose"]]
        self.assertEqual(plan, [rule for rule in kernel if rule not in theirs])
        self.assertEqual(bool(theirs), any("to-networks" in command for command in others))

    def switch(self, name):
        self.bn.backend = "auto"
        try:
            self.bn("backend", "switch", name)
        finally:
            self.bn.backend = name

    def test_switch_beside_what_others_use(self):
        if "iptables-legacy" not in BACKENDS:
            self.skipTest("BN_BACKENDS names one backend alone")
        for held in ((f"add chain {TABLE} theirs", f"add rule {TABLE} theirs jump ports",
                      f"add rule {TABLE} theirs ip daddr @direct4 counter"),
                     (f"add rule {TABLE} to-networks jump from-networks",), ()):
            self.nft(*held)
            if not held:
                self.nft(self.listing())
            for name in ("iptables-legacy", "nftables"):
                self.switch(name)
                # more than that stands of what others hold
                self.assert_works(held if name == "nftables" else ())
            self.bn("detach", "net", "c1")
            self.bn("network", "rm", "net")
            self.nft("flush ruleset")
            self.create(dual=True)
            self.attach("net", "c1", "-p", "8080:80")

    # ---- what nobody has ----

    def ports(self):
        """(host port, whose) by the kernel's DNATs of IPv4."""
        return {(int(re.search(r"dpt:(\d+)", rule["extra"]).group(1)), rule["endpoint"])
                for rule in oracle.rules(self.bn, "-v") if rule["target"] == "DNAT"}

    def leads_to(self, port):
        return self.oracle.ports()[4, "tcp", "", port][0]

    def test_a_saved_rule_set_that_is_loaded_again(self):
        second = self.attach("net", "c2", "-p", "7000:80")
        self.bn("publish", "net", "c1", "-p", "7001:80")
        saved = self.listing()
        addresses = [second.address(family) for family in FAMILIES]
        self.bn("detach", "net", "c2")
        self.bn("unpublish", "net", "c1", "-p", "7001:80")
        self.nft(saved)
        self.bn("publish", "net", "c1", "-p", "7000:80")
        # the same addresses come again, too
        self.attach("net", "c3", "-p", "7001:80", "--ip", addresses[0], "--ip", addresses[1],
                    namespace=second)
        self.assertEqual({(8080, "c1"), (7000, "c1"), (7001, "c3")}, self.ports())
        self.assert_whole()

    def test_a_network_of_a_saved_rule_set(self):
        self.create("old", "--subnet", "172.31.9.0/24")
        saved = self.listing()
        self.bn("network", "rm", "old")
        self.nft(saved)
        self.create("new", "--subnet", "172.31.0.0/16")
        self.assertTrue(any(rule["source"] == "172.31.0.0/16" for rule in
                            oracle.rules(self.bn, "-v", "new")))
        # what is in nobody's way is left to whoever looks for it
        self.bn("network", "rm", "new")
        self.nft("flush ruleset")
        self.bn("publish", "net", "c1", "-p", "9090:80")
        self.assert_whole()

    def other_state(self):
        other = type(self.bn)(self.host, tempfile.mkdtemp(), "nftables")
        self.addCleanup(shutil.rmtree, other.state)
        return other

    @contextlib.contextmanager
    def before_its_link(self, other, argv, undo, shows):
        """While another state has put its rules in, and not yet made its link."""
        trace = ("strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0", "-o",
                 f"{self.net.state}/trace", "-e", "trace=sendmsg")
        self.host.run(*trace, *other.argv(*argv))
        with open(f"{self.net.state}/trace") as file:
            sent = [line for line in file if "sendmsg(" in line]
        at = next(number for number, line in enumerate(sent, 1) if "RTM_NEWLINK" in line)
        other(*undo)
        process = self.host.popen(
            *trace, "-e", f"inject=sendmsg:delay_enter=1000000:when={at}",
            *other.argv(*argv), stdout=subprocess.DEVNULL)
        self.processes.append(process)
        end = time.monotonic() + 10
        while shows not in self.listing() and time.monotonic() < end:
            time.sleep(0.02)
        yield
        self.assertEqual(0, process.wait())

    def refused(self, mention, *argv):
        """By then the other may have gone on."""
        result = self.host.run(*self.bn.argv(*argv), check=False)
        self.assertIn(mention, result.stderr)

    def test_another_state_on_its_way(self):
        other = self.other_state()
        inside = self.net.endpoint("d1")
        with self.before_its_link(other, ("network", "create", "far", "--subnet", "172.31.7.0/24"),
                                  ("network", "rm", "far"), "172.31.7."):
            self.refused("subnet 172.31.0.0/16 ", "network", "create", "more", "--subnet",
                         "172.31.0.0/16")
        attach = ("attach", "far", "c1", "--netns", inside.path, "-p", "127.0.0.1:7002:80", "-p",
                  "7003:80")
        with self.before_its_link(other, attach, ("detach", "far", "c1"), ": 172.31.7."):
            for port in ("127.0.0.1:7002:80", "0.0.0.0:7003:80"):
                self.refused("of network 'far'", "publish", "net", "c1", "-p", port)
        self.assertTrue(self.leads_to(7003).startswith("172.31.7."))
        other("detach", "far", "c1")
        other("network", "rm", "far")

    def test_another_state(self):
        other = self.other_state()
        inside = self.net.endpoint("d1")
        # an endpoint by the name of one of ours, of a network by the name of ours
        other("network", "create", "net", "--subnet", "172.31.7.0/24")
        other("attach", "net", "c1", "--netns", inside.path, "-p", "7002:80")
        self.fails("publish", "net", "c1", "-p", "7002:80", mention=(
            "port 7002/tcp belongs to endpoint 'c1' of network 'net' already",))
        self.assertIn((7002, "c1"), self.ports())
        self.fails("network", "create", "more", "--subnet", "172.31.0.0/16", mention=("172.31.",))
        # what died before it had the port does not give it back for the other
        for call in range(2, 6):
            self.kill(("publish", "net", "c1", "-p", "0.0.0.0:7002:80"), "sendmsg", call)
            self.bn("publish", "net", "c1", "-p", "7003:80")
            self.bn("unpublish", "net", "c1", "-p", "7003:80")
            self.assertEqual("172.31.7.2", self.leads_to(7002), call)
        # nor does it take it while it makes the base again
        self.nft(f"flush chain {TABLE} nat-prerouting")
        self.refused("port 7002/tcp belongs to endpoint", "publish", "net", "c1", "-p", "7002:80")
        self.assertEqual("172.31.7.2", self.leads_to(7002))
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.listeners[4])
        # nor does what gives back a port that the other has got since somebody flushed it
        self.bn("publish", "net", "c1", "-p", "0.0.0.0:7003:80")
        self.nft("flush ruleset")
        other("publish", "net", "c1", "-p", "0.0.0.0:7003:80")
        self.bn("unpublish", "net", "c1", "-p", "0.0.0.0:7003:80")
        self.assertEqual("172.31.7.2", self.leads_to(7003))
        other("detach", "net", "c1")
        other("network", "rm", "net")
        self.bn("publish", "net", "c1", "-p", "7002:80")

    def test_a_move_to_where_another_state_is(self):
        if "iptables-legacy" not in BACKENDS:
            self.skipTest("BN_BACKENDS names one backend alone")
        saved = self.listing()
        self.switch("iptables-legacy")
        self.bn.backend = "auto"
        other = self.other_state()
        other("network", "create", "far", "--subnet", "172.31.7.0/24")
        other("attach", "far", "c1", "--netns", self.net.endpoint("d1").path, "-p", "8080:80")
        self.fails("backend", "switch", "nftables", mention=(
            "port 8080/tcp belongs to endpoint 'c1' of network 'far' already",))
        self.assertTrue(self.leads_to(8080).startswith("172.31.7."))
        other("detach", "far", "c1")
        other("network", "rm", "far")
        # what is this state's own, and has been given to another endpoint since, makes room
        self.nft(saved)
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.attach("net", "c2", "-p", "8080:80")
        self.switch("nftables")
        self.assertEqual({(8080, "c2")}, self.ports())
