# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done to our chains in the xtables tables is shown by a check, and put right by one repair;
judged by iptables-legacy-save(8) and by packets. test_iptables_repair.c has many more damages."""
import re

import legacy
import library
from library import REPAIR_PLAN
from topology import FAMILIES, KernelTest, for_backend

legacy_only = for_backend("iptables-legacy")

NOTE, BROKEN, OPEN = 1, 2, 3
OTHERS = {"rule-alien", "rule-shadows"}     # codes of findings that repair has nothing to do about


class Damaged(KernelTest):
    """A network of two endpoints. Port 8080 leads to port 80 of the first; nobody is to reach its
    port 81 from outside."""

    maxDiff = 4000

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.second = self.attach("net", "c2", "-p", "9090:90")
        self.listeners = self.serve(self.namespace, 80)
        self.shut = self.serve(self.namespace, 81)
        for family in FAMILIES:
            subnet = ("172.30.0.0/24", "fd00:30::/64")[family == 6]
            self.remote.run("ip", "route", "replace", subnet, "via", self.net.host_address(family))
        self.library = library.Library(self.net, self.backend)
        self.addCleanup(self.library.close)
        self.assertEqual([], self.library.check())
        self.before = self.saved()
        self.theirs = []

    def tearDown(self):
        for families, chain, argv in self.theirs:
            self.iptables("-D", chain, *argv, families=families)
        super().tearDown()

    # ---- the tools ----

    def iptables(self, *argv, families=FAMILIES):
        for family in families:
            self.host.run(legacy.COMMAND[family], *argv)

    def foreign(self, chain, *argv, families=FAMILIES):
        """First in that chain, until the end of the case."""
        self.iptables("-I", chain, *argv, families=families)
        self.theirs.append((families, chain, argv))

    def save(self, family, *argv):
        return self.host.run(legacy.SAVE[family], *argv).stdout

    def load(self, family, text, *argv):
        self.host.run(f"{legacy.COMMAND[family]}-restore", *argv, stdin=text)

    def edit(self, table, function):
        """Load what the function makes of the lines of a table as saved, of both families."""
        for family in FAMILIES:
            lines = self.save(family, "-c", "-t", table).splitlines()
            self.load(family, "\n".join(function(lines)) + "\n", "-c")

    def saved(self, counters=False):
        """Both families as rules in the order that they have in their chains; ports have none."""
        found = {}
        for table in legacy.tables(self.host):
            if table.untouched():
                continue
            for chain, rules in table.rules.items():
                key = table.family, table.name, chain, table.policies[chain]
                texts = [rule if counters else rule[0] for rule in rules]
                found[key] = sorted(texts) if (table.name, chain) == ("nat", "BN-net") else texts
        return found

    # ---- the judges ----

    def assert_works(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                            self.listeners[family])

    def assert_shut(self):
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.namespace.address(family), 81, self.shut[family])

    def assert_open(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.namespace.address(family), 81, self.shut[family])

    def let_past_raw(self):
        """The jump to our drops is missing, which a repair puts back."""
        self.iptables("-t", "raw", "-F", "PREROUTING")

    def check(self, *codes, severity=None):
        found = self.library.check()
        self.assertLessEqual(set(codes), {finding["code"] for finding in found}, found)
        if severity:
            self.assertEqual(severity, max(finding["severity"] for finding in found), found)
        return found

    def repair(self, others=0):
        """One call puts all right but the others', and the next has nothing to do."""
        found = self.library.check()
        damaged = self.saved()
        planned = self.library.repair(flags=REPAIR_PLAN)
        self.assertEqual({one["text"] for one in found}, {one["text"] for one in planned})
        self.assertEqual(damaged, self.saved(), "changed by a plan")
        repaired = self.library.repair()
        left = [finding for finding in repaired if not finding["repaired"]]
        self.assertLessEqual({finding["code"] for finding in left}, OTHERS, left)
        after = self.library.check()
        self.assertEqual(others, len(after), after)
        return repaired

    def mended(self, *codes, severity=None):
        self.check(*codes, severity=severity)
        self.repair()
        self.assertEqual(self.before, self.saved())


@legacy_only
class Flushed(Damaged):
    def test_chain_of_ours(self):
        for table, chain in (("raw", "BRIDGENET-RAW"), ("raw", "BN-net"),
                             ("filter", "BRIDGENET-FORWARD"), ("filter", "BN-net"),
                             ("filter", "BN-net:from"), ("nat", "BRIDGENET"), ("nat", "BN-net"),
                             ("nat", "BRIDGENET-POSTROUTING"), ("nat", "BN-net:post")):
            with self.subTest(table=table, chain=chain):
                self.iptables("-t", table, "-F", chain)
                self.mended()
        self.assert_works()
        self.assert_shut()

    def test_opens_and_is_shut(self):
        """By both: raw and filter are each other's second line."""
        self.let_past_raw()
        for chain in ("BN-net", "BRIDGENET-FORWARD", "FORWARD"):
            with self.subTest(chain=chain):
                self.let_past_raw()
                self.iptables("-F", chain)
                self.assert_open()
                self.mended(severity=OPEN)
                self.assert_shut()
                self.assert_works()

    def test_chain_of_the_kernel(self):
        for table, chain in (("raw", "PREROUTING"), ("filter", "FORWARD"), ("nat", "PREROUTING"),
                             ("nat", "OUTPUT"), ("nat", "POSTROUTING")):
            with self.subTest(table=table, chain=chain):
                self.iptables("-t", table, "-F", chain)
                self.mended("rules-base")
        self.assert_works()
        self.assert_shut()

    def test_everything(self):
        self.oracle.flush()
        self.assert_open()
        self.mended("rules-gone", severity=OPEN)
        self.assert_works()
        self.assert_shut()

    def test_jump_or_rule_taken_out(self):
        for argv in (("raw", "PREROUTING", "-j", "BRIDGENET-RAW"),
                     ("filter", "FORWARD", "-j", "BRIDGENET-FORWARD"),
                     ("filter", "FORWARD", "-j", "BRIDGENET-USER"),
                     ("nat", "PREROUTING", "1"), ("nat", "OUTPUT", "1"),
                     ("nat", "POSTROUTING", "1"), ("filter", "BN-net", "1"),
                     ("filter", "BN-net:from", "1"), ("filter", "BRIDGENET-FORWARD", "1"),
                     ("nat", "BRIDGENET", "1"), ("nat", "BN-net:post", "2")):
            with self.subTest(argv):
                self.iptables("-t", argv[0], "-D", *argv[1:])
                self.mended()
        self.assert_works()
        self.assert_shut()

    def test_one_endpoint_or_network(self):
        """What is asked about alone is seen, and put right."""
        for argv in (("net",), ("net", "c1")):
            with self.subTest(argv):
                self.assertEqual([], self.library.check(*argv))
                self.iptables("-t", "nat", "-F", "BN-net")
                self.assertTrue(self.library.check(*argv))
                self.library.repair(*argv)
                self.assertEqual([], self.library.check())
                self.assertEqual(self.before, self.saved())


@legacy_only
class Others(Damaged):
    """Rules of somebody else's, which stay as they are."""

    def test_accept_before_ours(self):
        self.let_past_raw()
        self.foreign("FORWARD", "-i", "eth0", "-j", "ACCEPT")
        self.assert_open()
        theirs = legacy.others(self.host)
        self.assertNotEqual([], theirs)
        self.check("rules-order", severity=OPEN)
        self.repair()
        self.assertEqual(theirs, legacy.others(self.host))
        self.assert_shut()
        self.assert_works()

    def test_accept_in_a_chain_that_others_jump_to(self):
        """As other managers of networks do when they start again."""
        self.let_past_raw()
        for family in FAMILIES:
            self.load(family, "*filter\n:OTHER -\n-A OTHER -i eth0 -j ACCEPT\n"
                              "-I FORWARD -j OTHER\nCOMMIT\n", "--noflush")
        self.assert_open()
        self.check("rules-order", severity=OPEN)
        self.repair()
        self.assert_shut()
        self.iptables("-D", "FORWARD", "-j", "OTHER")
        self.iptables("-F", "OTHER")
        self.iptables("-X", "OTHER")
        self.assertEqual(self.before, self.saved())

    def test_ban_stays_first(self):
        """What others kept out is still kept out."""
        self.foreign("FORWARD", "-i", "eth0", "-j", "ACCEPT")
        for family in FAMILIES:
            self.foreign("FORWARD", "-s", self.remote.address(family), "-j", "DROP",
                         families=(family,))
        self.check("rules-order", "rule-shadows")
        self.repair(others=2)
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.net.host_address(family), 8080,
                               self.listeners[family])
            first = self.oracle.table(family, "filter").rules["FORWARD"][0][0]
            self.assertEqual("DROP", legacy.target(first))

    def test_accept_among_ours(self):
        self.let_past_raw()
        self.foreign("BN-net", "-i", "eth0", "-j", "ACCEPT")
        self.assert_open()
        self.check("rules-order", "rule-alien", severity=OPEN)
        self.repair(others=2)
        self.assertEqual([NOTE], sorted({one["severity"] for one in self.library.check()}))
        self.assert_shut()
        self.assert_works()
        for family in FAMILIES:
            rules = self.oracle.table(family, "filter").rules["BN-net"]
            self.assertIn("-i eth0 -j ACCEPT", [text for text, _ in rules])

    def test_translates_first(self):
        """It is told of, and stays: whose port it is, is not for us to say."""
        for family in FAMILIES:
            self.host.run(legacy.COMMAND[family], "-t", "nat", "-I", "PREROUTING", "-p", "tcp",
                          "--dport", "8080", "-j", "REDIRECT", "--to-ports", "1")
        found = self.check("rule-shadows", severity=BROKEN)
        self.assertEqual([("net", "c1")] * 2, [(one["network"], one["endpoint"]) for one in found])
        self.repair(others=2)
        self.iptables("-t", "nat", "-D", "PREROUTING", "1")
        self.assertEqual([], self.library.check())
        self.assertEqual(self.before, self.saved())


@legacy_only
class Saved(Damaged):
    """Rule sets that were saved, and are loaded later."""

    def test_old_one(self):
        old = {family: self.save(family) for family in FAMILIES}
        self.bn("detach", "net", "c2")
        third = self.attach("net", "c3", "-p", "7070:70")
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.bn("publish", "net", "c1", "-p", "8888:80")
        now = self.saved()
        for family in FAMILIES:
            self.load(family, old[family])
        self.check()
        self.repair()
        self.assertEqual(now, self.saved())
        listeners = self.serve(third, 70)
        for family in FAMILIES:
            host = self.net.host_address(family)
            self.assert_tcp(self.remote, host, 8888, self.listeners[family])
            self.assert_tcp(self.remote, host, 7070, listeners[family])
            self.assert_no_tcp(self.remote, host, 8080, self.listeners[family])

    def test_loaded_twice(self):
        """With their chains, which are flushed first, and without."""
        for whole in (True, False):
            with self.subTest(whole=whole):
                for family in FAMILIES:
                    text = self.save(family)
                    if not whole:
                        text = re.sub(r"(?m)^:.*\n", "", text)
                    self.load(family, text, "--noflush")
                self.check("rule-twice")
                self.repair()
                self.assertEqual(self.before, self.saved())
        self.assert_works()
        self.assert_shut()

    def test_reordered(self):
        def backwards(lines):
            rules = [line for line in lines if line.startswith("[")]
            return lines[:lines.index(rules[0])] + rules[::-1] + ["COMMIT"]

        for table in ("filter", "raw", "nat"):
            with self.subTest(table=table):
                self.edit(table, backwards)
                if table != "raw":      # its chains of drops have no order
                    self.check("rules-order")
                self.repair()
                if table != "nat":      # nor have ports
                    self.assertEqual([], self.library.repair())
        self.assert_works()
        self.assert_shut()

    def test_altered(self):
        """Another address or port, another verdict."""
        altered = (("nat", r"(--to-destination \S*):80$", r"\1:99", ()),
                   ("nat", r"--dport 8080", r"--dport 8081", ()),
                   ("raw", r"(-A BN-net -d \S+) ", r"\g<1> -s 192.0.2.1 ", ()),
                   ("filter", r"(-A BN-net .*) -j DROP", r"\1 -j ACCEPT", ("rule-alien",)))
        for table, pattern, replacement, left in altered:
            with self.subTest(pattern):
                def alter(lines):
                    return [re.sub(pattern, replacement if "::" not in line else
                                   replacement.replace("192.0.2.1", "2001:db8::1"), line)
                            for line in lines]

                self.edit(table, alter)
                self.assertNotEqual(self.before, self.saved())
                self.repair(others=len(self.of_others(left)))
                self.assert_works()
                self.assert_shut()
                self.edit(table, lambda lines: [line for line in lines
                                                if not re.search(r"192\.0\.2\.1|2001:db8::1|"
                                                                 r"BN-net -o \S+ -j ACCEPT", line)])
                self.assertEqual([], self.library.check())
                self.assertEqual(self.before, self.saved())

    def of_others(self, codes):
        return [one for one in self.library.check() if one["code"] in codes + ("rule-alien",)]


@legacy_only
class Careful(Damaged):
    def test_counters_stay(self):
        """Of all that is right, and of what is put elsewhere."""
        for _ in range(3):
            self.assert_works()
        counted = {key: dict(rules) for key, rules in self.saved(counters=True).items()}
        self.foreign("FORWARD", "-i", "eth0", "-j", "ACCEPT")
        self.iptables("-t", "nat", "-D", "BN-net:post", "1")
        self.iptables("-t", "raw", "-F", "BN-net")
        self.repair()
        now = {key: dict(rules) for key, rules in self.saved(counters=True).items()}
        lost = [(key, text) for key, rules in counted.items() for text, counters in rules.items()
                if now[key].get(text, (0, 0)) < counters]
        self.assertLessEqual({(key[1], key[2]) for key, _ in lost},
                             {("raw", "BN-net"), ("nat", "BN-net:post")})
        for family in FAMILIES:
            dnat = [counters for text, counters in
                    self.oracle.table(family, "nat").rules["BN-net"] if "8080" in text]
            self.assertEqual(3, dnat[0][0])

    def test_flows_go_on(self):
        made = {family: self.connect(self.remote, self.net.host_address(family), 8080)
                for family in FAMILIES}
        servers = {family: self.converse(made[family], self.listeners[family])
                   for family in FAMILIES}
        self.assertTrue(servers)
        self.oracle.flush()
        self.library.repair()
        for family in FAMILIES:
            made[family].send(b"again")

    def test_commits(self):
        """One for each table and family, drops before what lets in; and none without need."""
        log = f"{self.net.state}/trace"
        traced = library.Library(self.net, self.backend,
                                 prefix=("strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0",
                                         "-o", log, "-e", "trace=setsockopt", "-s", "40"))
        self.addCleanup(traced.close)
        self.oracle.flush()
        traced.repair()
        self.assertEqual(["raw", "raw", "filter", "filter", "nat", "nat"], self.commits(log))
        self.iptables("-t", "nat", "-F", "BN-net", families=(4,))
        traced.repair()
        self.assertEqual(["nat"], self.commits(log)[6:])
        traced.repair()
        self.assertEqual([], self.commits(log)[7:])

    @staticmethod
    def commits(log):
        with open(log) as file:
            return re.findall(r'_SO_SET_REPLACE, "(\w+)\\', file.read())
