# SPDX-License-Identifier: LGPL-2.1-or-later
"""Firewalls of the host that stop what networks forward: told of, or passed by two rules at the
head of their chains (option coexist)."""
import errno
import fcntl
import subprocess

import legacy
import oracle
from killing import KillingTest
from library import Failed, Library
from rulesets import DOCKER, FIREWALLD, UFW
from topology import Bn, FAMILIES, KernelTest, for_backend, for_each_backend, wait_until

SUBNET = {4: "172.30.0.0/24", 6: "fd00:30::/64"}
RESTORE = {"nft": ("iptables-nft-restore", "ip6tables-nft-restore"),
           "legacy": ("iptables-legacy-restore", "ip6tables-legacy-restore")}


class Firewall:
    """The administrator's rules, there within `with`."""

    def __init__(self, host, text=None, restore=None, kind="nft"):
        self.host, self.text, self.restore, self.kind = host, text, restore, kind

    def apply(self):
        if self.text:
            self.host.run("nft", "-f", "-", stdin=self.text)
        for text, command in zip(self.restore or (), RESTORE[self.kind]):
            # of the tables there is one that matters here
            self.host.run(command, stdin=text[:text.index("COMMIT")] + "COMMIT\n")

    def __enter__(self):
        self.apply()
        return self

    def __exit__(self, *unused):
        if self.kind == "legacy":
            for command in legacy.COMMAND.values():
                for argv in (("-F", "FORWARD"), ("-P", "FORWARD", "ACCEPT")):
                    self.host.run(command, *argv)
            return
        for family, name in self.tables():
            self.host.run("nft", "delete", "table", family, name)

    def tables(self):
        return [(entry["table"]["family"], entry["table"]["name"])
                for entry in oracle.nft(self.host, "list", "tables")
                if "table" in entry and entry["table"]["name"] != "bridgenet"]

    def flush(self):
        """As a reload: the rules are what they were, and what others had put in is gone."""
        if self.kind == "legacy":
            for command in legacy.COMMAND.values():
                self.host.run(command, "-F", "FORWARD")
            self.apply()
            return
        for family, name in self.tables():
            self.host.run("nft", "delete", "table", family, name)
        self.apply()

    def dump(self):
        """All that is not ours, byte for byte, but for what counts."""
        return "".join(self.host.run("nft", "-s", "list", "table", *table).stdout
                       for table in self.tables()) + "\n".join(
            str((table.family, table.policies["FORWARD"],
                 [text for text, _ in table.rules["FORWARD"]
                  if not legacy.is_ours(legacy.target(text))]))
            for table in legacy.tables(self.host) if table.name == "filter" and
            self.kind == "legacy")


DROP = "*filter\n:FORWARD DROP [0:0]\n" \
       "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
NFT_DROP = """table inet site {
    set lan { type ifname; elements = { "lan0", "lan1" }; }
    chain early { type filter hook prerouting priority -150; policy accept; counter; }
    chain more { accept; }
    chain forward { type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname @lan accept
        iifname vmap { "lan2" : accept, "lan3" : jump more }
        tcp dport 9999 accept
        ip saddr 198.51.100.0/24 ip daddr 172.30.0.0/16 accept
        counter
    }
}
"""
NFT_REJECT = """table ip site {
    chain fw { type filter hook forward priority 10; policy accept;
        ct state established,related accept
        jump last
    }
    chain last { reject; }
}
table ip6 site {
    chain fw { type filter hook forward priority -10; policy accept;
        ct state established,related accept
        ip6 daddr fd00:77::/64 accept
        reject
    }
}
"""
# of a network's two subnets of each family the second is stopped, of one with its answers alone
FIRST = ("--subnet", "172.29.0.0/24", "--subnet", "fd00:29::/64")
NFT_SECOND = """table inet site {
    chain forward { type filter hook forward priority filter; policy accept;
        ip saddr 172.30.0.0/24 drop
        ip6 daddr fd00:30::/64 ct state established drop
    }
}
"""
# what is published is led to the first
NFT_NEW = """table inet site {
    chain forward { type filter hook forward priority filter; policy accept;
        ip daddr 172.30.0.0/24 ct state new drop
        ip6 daddr fd00:30::/64 ct state new drop
    }
}
"""
LEGACY_SECOND = ("*filter\n-A FORWARD -s 172.30.0.0/24 -j DROP\nCOMMIT\n",
                 "*filter\n-A FORWARD -d fd00:30::/64 -m conntrack --ctstate ESTABLISHED "
                 "-j DROP\nCOMMIT\n")
# what goes to the network passes
NFT_OUT = """table inet site {
    chain forward { type filter hook forward priority filter; policy drop;
        oifname "%s" accept
    }
}
"""
FIREWALLS = {
    "nft": (dict(text=NFT_DROP), "nft insert rule inet site forward iifname {bridge} accept"),
    "reject": (dict(text=NFT_REJECT), "nft insert rule ip6 site fw iifname {bridge} accept"),
    "iptables_nft": (dict(restore=(DROP, DROP)), "iptables-nft -I FORWARD -i {bridge} -j ACCEPT"),
    "ufw": (dict(restore=UFW), "ufw route allow in on {bridge}"),
    "docker": (dict(restore=DOCKER), "iptables-nft -I DOCKER-USER -i {bridge} -j ACCEPT"),
    "legacy": (dict(restore=(DROP, DROP), kind="legacy"),
               "iptables-legacy -I FORWARD -i {bridge} -j ACCEPT"),
}


def with_firewalls(case):
    def test_of(name):
        return lambda self: self.check(name)

    for name in FIREWALLS:
        setattr(case, f"test_{name}", test_of(name))
    return case


class CoexistTest(KernelTest):
    def begin(self, *options):
        self.create("net", *options, dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.web = self.serve(self.namespace, 80)
        self.closed = self.serve(self.namespace, 81)
        self.outside = self.serve(self.remote, 7000)

    def bridge(self):
        return oracle.network(self.bn, "net")["bridge"]

    def passes(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, self.web[family])
            self.assert_tcp(self.namespace, self.net.address("remote", family), 7000,
                            self.outside[family])

    def stops(self):
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.net.host_address(family), 8080, self.web[family])
            self.assert_no_tcp(self.namespace, self.net.address("remote", family), 7000,
                               self.outside[family])

    def shut(self):
        """What is not published."""
        for family in FAMILIES:
            self.attacker.run("ip", "route", "replace", SUBNET[family], "via",
                              self.net.host_address(family))
            self.assert_no_tcp(self.attacker, self.namespace.address(family), 81,
                               self.closed[family])
            self.assert_no_tcp(self.attacker, self.namespace.address(family), 80,
                               self.web[family])
            self.attacker.run("ip", "route", "del", SUBNET[family])

    def findings(self, verb="check", *argv):
        result = self.bn.result("--json", verb, *argv)
        self.assertEqual("", result.stderr)
        return oracle.json.loads(result.stdout)["findings"]

    def codes(self, *argv):
        return [finding["code"] for finding in self.findings(*argv)]

    def openings(self):
        return [rule for rule in oracle.rules(self.bn, "-v", "net")
                if "coexist=insert" in rule["purpose"]]

    def native_tools_read_it(self):
        for command in ("iptables-nft", "ip6tables-nft"):
            self.host.run(command, "-S")
            self.host.run(command, "-L", "-n")
        text = self.host.run("nft", "list", "ruleset").stdout
        self.host.run("nft", "-c", "-f", "-", stdin="flush ruleset\n" + text)


@for_each_backend
@with_firewalls
class Coexist(CoexistTest):
    def check(self, name):
        options, remedy = FIREWALLS[name]
        ours = name == "legacy" and self.backend == "iptables-legacy"
        with Firewall(self.host, **options) as firewall:
            self.begin()
            before = firewall.dump()
            if ours:
                # our own accepts stand in that chain
                self.passes()
                self.assertEqual([], self.findings())
            else:
                self.stops()
                found = self.findings()
                self.assertEqual({"forward-stopped"}, {one["code"] for one in found}, found)
                text = "\n".join(one["text"] for one in found)
                self.assertIn(remedy.format(bridge=self.bridge()), text)
                self.assertIn("what comes for its published ports", text)
                self.assertIn("what its endpoints send", text)
            self.assertEqual(before, firewall.dump())
            self.insert(firewall, before, ours)
            self.assertEqual([], self.remove_all())
            self.assertEqual(before, firewall.dump())

    def insert(self, firewall, before, ours):
        self.bn("network", "update", "net", "--opt", "coexist=insert")
        self.assertEqual([], self.findings())
        self.passes()
        self.shut()
        self.native_tools_read_it()
        self.assertEqual(ours, not self.openings())
        for rule in self.openings():
            self.assertEqual(("filter", "ACCEPT", "net"),
                             (rule["table"], rule["target"], rule["network"]))
        self.assertEqual(not ours, any(rule["packets"] for rule in self.openings()))
        # a second time there is nothing to do
        again = firewall.dump()
        self.bn("network", "update", "net", "--opt", "mss-clamp=yes")
        self.assertEqual(again, firewall.dump())
        if not ours:
            # somebody loads his rules again
            firewall.flush()
            self.stops()
            self.assertEqual({"coexist-missing"}, set(self.codes()))
            self.assertTrue(all(one["repaired"] for one in self.findings("repair")))
            self.passes()
            self.assertEqual([], self.findings())
        self.bn("network", "update", "net", "--opt", "coexist=")
        if firewall.kind == "nft":
            self.assertEqual(before, firewall.dump())
        self.assertEqual(ours, not self.codes())
        # and once more, for the deletion
        self.bn("network", "update", "net", "--opt", "coexist=insert")


@for_each_backend
class Subnets(CoexistTest):
    """What stops one of several subnets stops the network."""

    def sent(self):
        """Which families get out from the second."""
        passed = []
        for family in FAMILIES:
            made = self.namespace.socket(family, timeout=0.3)
            made.bind(({4: "172.30.0.2", 6: "fd00:30::2"}[family], 0))
            try:
                made.connect((self.net.address("remote", family), 7000))
                passed.append(family)
            except OSError:
                pass
            made.close()
        return passed

    def check(self, ours, **firewall):
        with Firewall(self.host, **firewall):
            self.begin(*FIRST)
            if ours:
                self.assertEqual([4, 6], self.sent())
                self.assertEqual([], self.findings())
            else:
                self.assertEqual([], self.sent())
                found = self.findings()
                self.assertEqual({"forward-stopped"}, {one["code"] for one in found}, found)
                text = "\n".join(one["text"] for one in found)
                self.assertIn("172.30.0.0/24", text)
                self.assertNotIn("published", text)
                self.bn("network", "update", "net", "--opt", "coexist=insert")
                self.assertEqual([], self.findings())
                self.assertEqual([4, 6], self.sent())
            self.assertEqual([], self.remove_all())

    def test_nft(self):
        self.check(False, text=NFT_SECOND)

    def test_legacy(self):
        self.check(self.backend == "iptables-legacy", restore=LEGACY_SECOND, kind="legacy")

    def test_published_ports_are_of_the_first(self):
        with Firewall(self.host, NFT_NEW):
            self.begin(*FIRST)
            self.passes()
            self.assertEqual([], self.findings())
            self.bn("network", "update", "net", "--opt", "gateway-mode-ipv4=routed")
            self.assertEqual(["forward-stopped"], self.codes())
            self.assertEqual([], self.remove_all())


@for_each_backend
class Refused(CoexistTest):
    def test_firewalld(self):
        with Firewall(self.host, FIREWALLD) as firewall:
            before = firewall.dump()
            sentence = self.fails("network", "create", "net", "--opt", "coexist=insert",
                                  mention="firewall-cmd --permanent --zone=trusted")
            self.assertIn("--add-interface=bn-", sentence)
            self.begin()
            self.assertTrue(all("firewall-cmd" in one["text"] for one in self.findings()))
            self.assertEqual({"forward-stopped"}, set(self.codes()))
            self.fails("network", "update", "net", "--opt", "coexist=insert",
                       mention=f"--add-interface={self.bridge()}")
            self.assertEqual(before, firewall.dump())
            # the zone that the sentence names
            for direction in ("iifname", "oifname"):
                self.host.run("nft", "insert", "rule", "inet", "firewalld", "filter_FORWARD",
                              direction, self.bridge(), "accept")
            self.assertEqual([], self.findings())
            self.bn("network", "update", "net", "--opt", "coexist=insert")
            self.assertEqual([], self.openings())
            self.passes()
            self.assertEqual([], self.remove_all())

    def test_bridge_of_others(self):
        """All that crosses it would pass, in both families."""
        with Firewall(self.host, NFT_DROP) as firewall:
            before = firewall.dump()
            self.host.run("ip", "link", "add", "br0", "up", "type", "bridge")
            create = ("network", "create", "net", "--bridge", "br0")
            self.fails(*create, "--opt", "coexist=insert", mention=("br0", "report"))
            self.bn(*create)
            self.fails("network", "update", "net", "--opt", "coexist=insert", mention="br0")
            self.assertEqual(before, firewall.dump())
            self.bn("network", "rm", "net")
            self.host.run("ip", "link", "del", "br0")

    def test_owned_table(self):
        process = self.host.popen("nft", "-i", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  text=True)
        self.processes.append(process)
        process.stdin.write("table inet owned { flags owner; chain f { type filter hook forward "
                            "priority 0; policy drop; }; }\n")
        process.stdin.flush()
        wait_until(lambda: "owned" in self.host.run("nft", "list", "tables").stdout,
                   what="the table")
        self.fails("network", "create", "net", "--opt", "coexist=insert",
                   mention=("owned", "owned by a program"))
        process.stdin.close()
        process.wait()

    def test_nothing_for_who_forwards_nothing(self):
        with Firewall(self.host, NFT_DROP) as firewall:
            before = firewall.dump()
            self.create("in", "--opt", "internal=yes", "--opt", "coexist=insert")
            self.assertEqual(before, firewall.dump())
            self.assertEqual([], self.findings())
            self.bn("network", "rm", "in")
            self.fails("network", "create", "un", "--opt", "managed=no", "--opt", "coexist=insert",
                       mention="coexist=insert")


@for_each_backend
class Kept(CoexistTest):
    def test_others_may_do_what_they_like(self):
        """The chain may go; ours may be halved, copied, or put back when they are not wanted."""
        with Firewall(self.host, NFT_DROP) as firewall:
            self.begin("--opt", "coexist=insert")
            self.passes()
            chain = ("inet", "site", "forward")
            handles = [entry["rule"]["handle"] for entry in
                       oracle.nft(self.host, "list", "chain", *chain)
                       if "bridgenet" in entry.get("rule", {}).get("comment", "")]
            self.assertEqual(2, len(handles))
            self.host.run("nft", "delete", "rule", *chain, "handle", str(handles[0]))
            self.assertEqual({"coexist-missing"}, set(self.codes()))
            self.findings("repair")
            self.assertEqual([], self.findings())
            self.passes()
            inserted = self.host.run("nft", "list", "table", "inet", "site").stdout
            # somebody has saved them, and loads them when nobody wants them
            self.bn("network", "update", "net", "--opt", "coexist=report")
            self.host.run("nft", "delete", "table", "inet", "site")
            self.host.run("nft", "-f", "-", stdin=inserted)
            self.assertEqual(["coexist-stray"], self.codes())
            self.findings("repair")
            self.assertEqual({"forward-stopped"}, set(self.codes()))
            self.bn("network", "update", "net", "--opt", "coexist=insert")
            self.host.run("nft", "delete", "table", "inet", "site")
            self.assertEqual([], self.findings())
            self.assertEqual([], self.remove_all())
            # of a network that nobody knows
            self.host.run("nft", "-f", "-", stdin=inserted)
            self.assertEqual(["rules-unknown"], self.codes())
            self.bn.result("repair", "--remove-unknown")
            self.assertNotIn("bridgenet", firewall.dump())

    def test_two_of_a_kind_are_not_two(self):
        """One is there twice, and the other, which nothing needs just now, not at all."""
        with Firewall(self.host, NFT_OUT % "bn0"):
            self.begin("--bridge", "bn0", "--opt", "coexist=insert")
            before = self.lines()
            self.assertEqual(["iifname", "oifname"], [line.split()[0] for line in before])
            handle, comment = before[1].split()[-1], before[1].split('"')[3]
            self.host.run("nft", "replace rule inet site forward handle", handle,
                          f'iifname bn0 counter accept comment "{comment}"')
            found, = self.findings()
            self.assertEqual("coexist-missing", found["code"])
            self.assertIn("2 of iifname bn0, 0 of oifname bn0", found["is"])
            self.findings("repair")
            self.assertEqual([], self.findings())
            self.assertEqual(["iifname", "oifname"], [line.split()[0] for line in self.lines()])
            self.assertEqual([], self.remove_all())

    def lines(self):
        text = self.host.run("nft", "-a", "list", "chain", "inet", "site", "forward").stdout
        return [line.strip() for line in text.splitlines() if "bridgenet:" in line]

    def test_explicit_accepts_are_seen(self):
        with Firewall(self.host, NFT_DROP):
            self.begin()
            self.host.run("nft", "-f", "-", stdin=f"""table inet site {{
                set ours {{ type ifname; elements = {{ "{self.bridge()}" }} }}
            }}
            insert rule inet site forward iifname @ours accept
            insert rule inet site forward ip daddr 172.16.0.0/12 accept
            insert rule inet site forward ip6 daddr fd00::/8 accept
            """)
            self.assertEqual([], self.findings())
            self.passes()
            self.assertEqual([], self.remove_all())


@for_backend("nftables")
class Moved(CoexistTest):
    def test_backends(self):
        """In legacy's own table an accept is final: there is none beside our own rules."""
        with Firewall(self.host, restore=(DROP, DROP), kind="legacy"):
            self.begin("--opt", "coexist=insert")
            self.passes()
            self.shut()
            for backend, there in (("iptables-legacy", False), ("nftables", True)):
                self.bn("backend", "switch", backend)
                self.bn.backend = backend
                self.passes()
                self.shut()
                self.assertEqual([], self.findings())
                self.assertEqual(there, "BRIDGENET-COEXIST" in
                                 self.host.run("iptables-legacy-save").stdout)
            self.assertEqual([], self.remove_all())
            self.assertNotIn("BRIDGENET", self.host.run("iptables-legacy-save").stdout)


@for_backend("nftables")
class Others(CoexistTest):
    """In legacy's tables a bridge alone says whose a rule is."""

    def begin(self, *options):
        super().begin("--bridge", "bn0", "--opt", "coexist=insert", *options)

    def legacy(self):
        """With what they have counted: what is put there anew begins with 0."""
        return [line for line in self.host.run("iptables-legacy-save", "-c").stdout.splitlines()
                if "-A BRIDGENET-COEXIST" in line]

    def test_a_lost_network_of_the_same_bridge(self):
        """What is unknown in one table says nothing of those in another."""
        with Firewall(self.host, NFT_DROP), \
                Firewall(self.host, restore=(DROP, DROP), kind="legacy"):
            self.begin()
            self.passes()
            before = self.legacy()
            self.assertEqual(2, len(before))
            self.host.run("nft", "insert rule inet site forward iifname bn0 counter accept "
                          'comment "bridgenet:777777777777"')
            self.assertEqual(["rules-unknown"], self.codes())
            self.findings("repair", "--remove-unknown")
            self.assertEqual(before, self.legacy())
            self.assertEqual([], self.findings())
            self.assertEqual([], self.remove_all())

    def test_a_network_of_another_state_on_that_bridge(self):
        with Firewall(self.host, restore=(DROP, DROP), kind="legacy"):
            self.begin()
            before = self.legacy()
            other = Bn(self.host, self.net.state + "/other", "iptables-legacy")
            other("network", "create", "more", "--bridge", "bn0", "--subnet", "172.31.0.0/24")
            codes = [one["code"] for one in
                     oracle.json.loads(other.result("--json", "check").stdout)["findings"]]
            self.assertNotIn("coexist-stray", codes)
            other.result("repair")
            self.assertEqual(before, self.legacy())
            other("network", "rm", "more")
            self.assertEqual(before, self.legacy())
            self.assertEqual([], self.remove_all())


@for_backend("nftables")
class Halfway(CoexistTest):
    def test_a_delete_that_fails_between_two_tables_has_changed_something(self):
        """The rules in one of them are gone already: so it is gone on with."""
        with Firewall(self.host, NFT_DROP) as first, \
                Firewall(self.host, restore=(DROP, DROP), kind="legacy") as second:
            before = first.dump(), second.dump()
            self.create("net", "--opt", "coexist=insert", dual=True)
            library = Library(self.net, self.backend, timeout_ms=300)
            self.addCleanup(library.close)
            # that of the namespaces in which all of this runs
            with open("/run/xtables.lock", "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                with self.assertRaises(Failed) as caught:
                    library.delete("net")
            self.assertEqual(errno.ETIMEDOUT, caught.exception.errno, caught.exception)
            self.assertNotIn("nothing was changed", str(caught.exception))
            # any call that changes something ends it
            self.create("other", "--subnet", "172.31.0.0/24")
            self.assertEqual(["other"], [one["name"] for one in oracle.networks(self.bn)
                                         if one["driver"] == "bridge" and one["bridge"]])
            self.bn("network", "rm", "other")
            self.assertEqual(before, (first.dump(), second.dump()))


@for_each_backend
class Killed(KillingTest):
    CREATE = ("network", "create", "net", "--opt", "coexist=insert")

    def test_a_dead_create_leaves_nothing_there(self):
        with Firewall(self.host, NFT_DROP) as firewall:
            before = firewall.dump()
            # the tracer's log is to be beside a state that is there
            self.create("first")
            self.assertEqual([], self.remove_all())
            points = [point for point in self.points(self.CREATE) if point[0].startswith("send")]
            self.assertIn("bridgenet:", firewall.dump())
            self.assertEqual([], self.remove_all())
            for call, n in points[1::2]:
                with self.subTest(call=call, n=n):
                    self.kill(self.CREATE, call, n)
                    self.bn.result("repair")
                    self.assertEqual([], self.remove_all())
                    self.assertEqual(before, firewall.dump())
