# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules that others have changed: shown by a check, and put right by one repair."""
import json
import re
import socket
import struct

import oracle
from library import REPAIR_PLAN, REPAIR_REMOVE_UNKNOWN, Failed, Library
from topology import FAMILIES, Bn, KernelTest, for_backend, for_each_backend

NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 10 << 8 | 16
SEVERITY_NOTE, SEVERITY_BROKEN, SEVERITY_OPEN = 1, 2, 3


class RulesTest(KernelTest):
    """A network of both families, and two endpoints with published ports."""

    maxDiff = 6000

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
        self.quiet = self.attach("net", "c2", "-p", "9090:80")
        self.listeners = self.serve(self.namespace, 80)
        self.closed = self.serve(self.namespace, 81)
        for family in FAMILIES:
            self.attacker.run("ip", "route", "replace", self.subnet(family), "via",
                              self.net.host_address(family))
        self.library = Library(self.net, self.backend)
        self.addCleanup(self.library.close)
        self.assertEqual([], self.library.check())
        self.sound = self.ruleset()

    def tearDown(self):
        for family in FAMILIES:
            self.attacker.run("ip", "route", "del", self.subnet(family))
        super().tearDown()

    @staticmethod
    def subnet(family):
        return "172.30.0.0/24" if family == 4 else "fd00:30::/64"

    def ruleset(self):
        """All that is there, as a tool tells it that knows nothing of us: a line for each thing;
        what has a handle gets another when it is made again."""
        def order(entry):
            kind, what = next(iter(entry.items())) if isinstance(entry, dict) else ("", {})
            return kind, what.get("chain") or what.get("name") or ""

        def line(entry):
            return re.sub(r', "handle": \d+|"handle": \d+, ', "", json.dumps(entry))

        return "\n".join(map(line, sorted(oracle.ruleset(self.host), key=order)))

    def planned(self):
        still = ("packets", "bytes", "handle")
        return [[{key: value for key, value in rule.items() if key not in still}
                 for rule in oracle.rules(self.bn, "-v", *argv)] for argv in ((), ("--plan",))]

    def assert_works(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                            self.listeners[family])
            for port, listener in ((80, self.listeners), (81, self.closed)):
                self.assert_no_tcp(self.attacker, self.namespace.address(family), port,
                                   listener[family])

    def assert_sound(self):
        """All is as it was before the damage."""
        kernel, plan = self.planned()
        self.assertEqual(plan, kernel)
        self.assertMultiLineEqual(self.sound, self.ruleset())

    def codes(self, findings):
        for finding in findings:
            self.assertTrue(finding["text"])
            self.assertEqual(0, finding["repaired"], finding)
        return {finding["code"] for finding in findings}

    def mended(self, *codes):
        """The check shows these, the repair puts right all of it, and then there is nothing."""
        found = self.library.check()
        self.assertEqual(set(codes), self.codes(found), json.dumps(found, indent=1))
        damaged = self.ruleset()
        self.assertEqual(found, self.library.repair(flags=REPAIR_PLAN))
        self.assertEqual(damaged, self.ruleset(), "changed by a plan")
        for finding in self.library.repair():
            self.assertEqual(1, finding["repaired"], finding)
        self.assertEqual([], self.library.check())
        self.assert_sound()
        return found


@for_each_backend
class AnyDamage(RulesTest):
    def test_all_is_gone(self):
        self.oracle.flush()
        self.assertLessEqual({SEVERITY_OPEN}, {finding["severity"]
                                               for finding in self.library.check()})
        for finding in self.library.repair():
            self.assertEqual(1, finding["repaired"], finding)
        self.assertEqual([], self.library.check())
        self.assert_sound()
        self.assert_works()
        self.assertEqual([], self.library.repair())

    def test_one_endpoint(self):
        self.assertEqual([], self.library.check("net", "c1"))
        self.oracle.flush()
        self.assertTrue(self.library.check("net", "c1"))
        self.library.repair("net", "c1")
        self.assertEqual([], self.library.check())
        self.assert_sound()
        with self.assertRaises(Failed):
            self.library.check("net", "c3")


@for_backend("nftables")
class Damage(RulesTest):
    TABLE = ("inet", "bridgenet")

    def nft(self, *words):
        return self.host.run("nft", *words).stdout

    def load(self, text):
        return self.host.run("nft", "-f", "-", stdin=text)

    def entries(self, kind):
        return [entry[kind] for entry in oracle.nft(self.host, "list", "table", *self.TABLE)
                if kind in entry]

    def test_the_table(self):
        for damage, code in (("flush ruleset", "rules-gone"), ("delete table", "rules-gone"),
                             ("flush table", "rules-gone")):
            with self.subTest(damage):
                words = damage.split()
                self.nft(*words, *(self.TABLE if words[1] == "table" else ()))
                found = self.mended(code)
                self.assertEqual([SEVERITY_OPEN], [finding["severity"] for finding in found])
                self.assert_works()

    def test_asleep(self):
        self.load("add table inet bridgenet { flags dormant; }\n")
        self.mended("table-dormant")
        self.assert_works()

    def test_each_chain_flushed(self):
        for chain in self.entries("chain"):
            with self.subTest(chain["name"]):
                self.nft("flush", "chain", *self.TABLE, chain["name"])
                if any(rule["chain"] == chain["name"] for rule in self.entries("rule")):
                    self.fail("a rule is left")
                if chain["name"] in ("BRIDGENET-USER",):
                    self.assertEqual([], self.library.check())
                    continue
                found = self.library.check()
                self.assertIn("rules-base", self.codes(found))
                for finding in self.library.repair():
                    self.assertEqual(1, finding["repaired"], finding)
                self.assertEqual([], self.library.check())
                self.assert_sound()
        self.assert_works()

    def test_each_rule_deleted_or_altered(self):
        for position in range(len(self.entries("rule"))):
            # a third of them for each: all of both take minutes
            for alter in [(True,), (False,), ()][position % 3]:
                rule = self.entries("rule")[position]
                where = (*self.TABLE, rule["chain"], "handle", str(rule["handle"]))
                with self.subTest(rule=rule, alter=alter):
                    # ours are known by handles that were given together
                    if alter:
                        self.nft("flush", "ruleset")
                        self.library.repair()
                        rule = self.entries("rule")[position]
                        where = (*self.TABLE, rule["chain"], "handle", str(rule["handle"]))
                        self.nft("replace", "rule", *where, "counter", "accept")
                    else:
                        self.nft("delete", "rule", *where)
                    found = self.library.check()
                    self.assertIn("rule-altered" if alter else "rules-base", self.codes(found))
                    self.assertNotIn("rule-alien", self.codes(found))
                    for finding in self.library.repair():
                        self.assertEqual(1, finding["repaired"], finding)
                    self.assertEqual([], self.library.check())
                    self.assert_sound()
        self.assert_works()

    def test_a_rule_moved(self):
        rule = next(rule for rule in self.entries("rule") if rule["chain"] == "raw-prerouting")
        text = re.search(r"chain raw-prerouting \{.*?\n.*?\n\s*([^\n]*)\n",
                         self.nft("list", "chain", *self.TABLE, "raw-prerouting"), re.DOTALL)[1]
        self.load(f"delete rule inet bridgenet raw-prerouting handle {rule['handle']}\n"
                  f"add rule inet bridgenet raw-prerouting {text}\n")
        self.mended("rules-order")

    def elements(self):
        """(set, text of a key) of all that are there."""
        for kind in ("set", "map"):
            for entry in self.entries(kind):
                text = self.nft("-s", "list", kind, *self.TABLE, entry["name"])
                inside = re.search(r"elements = \{(.*?)\}", text, re.DOTALL)
                for item in re.split(r",\s+", inside[1].strip()) if inside else ():
                    yield entry["name"], re.sub(r' counter| comment "[^"]*"', "", item)

    def test_each_element_deleted(self):
        drops = 0
        for name, element in list(self.elements()):
            with self.subTest(set=name, element=element):
                self.nft("delete", "element", *self.TABLE, name, "{", element.split(" : ")[0], "}")
                found = self.library.check()
                self.assertIn(self.codes(found), ({"rule-missing"}, {"rule-altered"}))
                drops += found[0]["severity"] == SEVERITY_OPEN
                for finding in self.library.repair():
                    self.assertEqual(1, finding["repaired"], finding)
                self.assertEqual([], self.library.check())
                self.assert_sound()
        self.assertGreater(drops, 4)
        self.assert_works()

    def port(self, number=9090):
        name, element = next((name, element) for name, element in self.elements()
                             if re.search(rf"\. {number} : 172", element))
        return name, *element.split(" : ")

    def counted_ports(self):
        return {key: count for key, count in self.oracle.elements().items()
                if key[0].startswith("ports")}

    def test_an_element_altered(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                            self.listeners[family])
        name, key, value = self.port(8080)
        before = self.counted_ports()
        counted = before[name, tuple(key.split(" . "))]
        self.assertGreater(counted[0], 0)
        for other, comment in ((value.replace(". 80", ". 81"), 'comment "net/c1"'),
                               ("172.30.0.9 . 81", "")):
            with self.subTest(other=other, comment=comment):
                self.load(f"delete element inet bridgenet {name} {{ {key} }}\n"
                          f"add element inet bridgenet {name} {{ {key} counter packets "
                          f"{counted[0]} bytes {counted[1]} {comment} : {other} }}\n")
                found = self.mended("rule-altered")
                self.assertEqual(("net", "c1"), (found[0]["network"], found[0]["endpoint"]))
                self.assertIn(":81", found[0]["is"])
                self.assertIn(":80", found[0]["should_be"])
        self.assertEqual(before, self.counted_ports())

    def test_what_is_right_stays(self):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                            self.listeners[family])
        handles = {rule["handle"] for rule in self.entries("rule")}
        name, key, _ = self.port()
        flow = self.keep(self.remote.socket(4))
        flow.connect((self.net.host_address(4), 8080))
        peer = self.keep(self.listeners[4].accept()[0])
        before = self.counted_ports()
        self.nft("delete", "element", *self.TABLE, name, "{", key, "}")
        self.nft("flush", "chain", *self.TABLE, "filter-input")
        self.library.repair()
        after = self.counted_ports()
        kept = {rule["handle"] for rule in self.entries("rule")}
        self.assertLess(len(handles - kept), 6)
        self.assertEqual(before, after)
        flow.sendall(b"goes on")
        self.assertEqual(b"goes on", peer.recv(16))

    def commits(self):
        """The number of the rule set, which each commit of anybody changes."""
        with self.host:
            made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        with made:
            made.send(struct.pack("=IHHII4x", 20, NFT_MSG_GETGEN, 1, 1, 0))
            # behind the two headers the first attribute
            return struct.unpack_from(">I", made.recv(4096), 16 + 4 + 4)[0]

    def test_nothing_to_do_is_no_commit(self):
        before = self.commits()
        self.assertEqual([], self.library.repair())
        self.assertEqual(before, self.commits())
        self.nft("flush", "table", *self.TABLE)
        self.nft("insert", "rule", *self.TABLE, "filter-forward", "counter", "accept")
        self.library.repair()
        before = self.commits()
        self.library.repair()
        self.library.repair("net", "c1")
        self.assertEqual(before, self.commits())
        self.nft("flush", "chain", *self.TABLE, "filter-forward")
        self.library.repair()

    def test_what_others_put_there(self):
        for chain, words, severity in (
                ("raw-prerouting", ("counter", "accept"), SEVERITY_OPEN),
                ("filter-forward", ("tcp", "dport", "80", "drop"), SEVERITY_BROKEN)):
            with self.subTest(chain):
                self.nft("insert", "rule", *self.TABLE, chain, *words)
                found, = self.library.check()
                self.assertEqual("rule-alien", found["code"])
                self.assertEqual(severity, found["severity"])
                self.assertIn(words[-1], found["is"])
                self.assertEqual([0], [left["repaired"] for left in self.library.repair()])
                # as the finding says
                self.host.run("sh", "-c", re.search(r"\((nft .*)\)", found["should_be"])[1])
                self.assertEqual([], self.library.check())
                self.assert_sound()
        self.nft("add", "rule", *self.TABLE, "BRIDGENET-USER", "counter", "accept")
        self.assertEqual([], self.library.check())
        self.nft("flush", "chain", *self.TABLE, "BRIDGENET-USER")
        self.load("add chain inet bridgenet filter-input { policy drop; }\n")
        found, = self.library.check()
        self.assertEqual("policy drop", found["is"])
        self.host.run("sh", "-c", re.search(r"\((nft .*)\)", found["should_be"])[1])
        self.assertEqual([], self.library.check())

    def test_a_dump_loaded_twice(self):
        dump = self.nft("list", "ruleset")
        self.load(dump)
        self.mended("rule-twice")
        self.assert_works()
        self.load("flush ruleset\n" + dump + dump)
        self.mended("rule-twice")
        self.assert_works()

    def test_an_old_dump(self):
        """What was there when it was made, and has gone since, blocks nothing any more."""
        self.create("old", "--subnet", "172.31.7.0/24")
        self.attach("old", "c3", "-p", "7070:80")
        self.bn("publish", "net", "c1", "-p", "7071:80")
        dump = self.nft("list", "ruleset")
        self.bn("unpublish", "net", "c1", "-p", "7071:80")
        self.bn("detach", "old", "c3")
        self.bn("network", "rm", "old")
        self.bn("publish", "net", "c2", "-p", "7071:80")
        self.sound = self.ruleset()
        for flush in ("flush ruleset\n", ""):
            with self.subTest(flush=flush):
                self.load("delete table inet bridgenet\n" + flush + dump)
                self.assertIn("7070", self.nft("list", "ruleset"))
                found = self.library.check()
                self.assertIn("rule-stray", self.codes(found))
                for finding in self.library.repair():
                    self.assertEqual(1, finding["repaired"], finding)
                self.assertEqual([], self.library.check())
                self.assert_sound()
                self.assert_works()

    def test_another_state_beside(self):
        """Its rules are its own, but for those that are told to go."""
        state = f"{self.net.state}/second"
        other = Bn(self.host, state, self.backend)
        other("network", "create", "theirs", "--subnet", "172.31.9.0/24")
        namespace = self.net.endpoint("c9")
        other("attach", "theirs", "c9", "--netns", namespace.path, "-p", "7079:80")
        both = self.ruleset()
        self.assertEqual([("rules-unknown", SEVERITY_NOTE, "theirs")],
                         [(finding["code"], finding["severity"], finding["network"])
                          for finding in self.library.check()
                          if finding["code"].startswith("rule")])
        self.nft("flush", "chain", *self.TABLE, "raw-prerouting")
        self.library.repair()
        self.assertEqual(both, self.ruleset())
        for finding in self.library.repair(flags=REPAIR_REMOVE_UNKNOWN):
            self.assertEqual(1, finding["repaired"], finding)
        self.assertMultiLineEqual(self.sound, self.ruleset())
        other("detach", "theirs", "c9")
        other("network", "rm", "theirs")

    def test_an_element_of_others(self):
        name, key, value = self.port()
        element = f"{key.replace('9090', '6060')} : {value}"
        self.nft("add", "element", *self.TABLE, name, "{", element, "}")
        found, = self.library.check()
        self.assertEqual("rule-alien", found["code"])
        self.library.repair()
        self.assertIn("6060", self.nft("list", "ruleset"))
        self.nft("delete", "element", *self.TABLE, name, "{", element.split(" : ")[0], "}")

    def test_an_element_behind_a_rule_that_is_gone(self):
        """The repair that puts the rule back looks at what the rule then looks up."""
        name, key, value = self.port()
        key = key.replace("9090", "6060")
        self.nft("add", "element", *self.TABLE, name, "{", f"{key} : {value}", "}")
        for rule in self.entries("rule"):
            if f'"@{name}"' in json.dumps(rule):
                self.nft("delete", "rule", *self.TABLE, rule["chain"], "handle",
                         str(rule["handle"]))
        found = {(finding["code"], finding["repaired"]) for finding in self.library.repair()}
        self.assertIn(("rules-base", 1), found)
        self.assertIn(("rule-alien", 0), found)
        self.nft("delete", "element", *self.TABLE, name, "{", key, "}")
        self.assertEqual([], self.library.check())
        self.assert_sound()

    def test_another_table_of_the_name(self):
        self.load("table ip bridgenet {\n chain raw-prerouting {\n"
                  "  type filter hook prerouting priority 300; counter\n }\n}\n")
        before = self.nft("-s", "list", "table", "ip", "bridgenet")
        self.assertEqual([], self.library.check())
        self.nft("flush", "table", *self.TABLE)
        self.library.repair()
        self.assertEqual([], self.library.check())
        self.assertEqual(before, self.nft("-s", "list", "table", "ip", "bridgenet"))
        self.nft("delete", "table", "ip", "bridgenet")
        self.assert_sound()

    def test_what_takes_a_port_before_ours(self):
        for family, table in ((4, "ip"), (6, "ip6")):
            other = self.net.HOST_SECOND[family]
            rule = f"tcp dport 8080 counter dnat to {other}"
            for lines in (f"chain pre {{ type nat hook prerouting priority dstnat; {rule}; }}",
                          f"chain ports {{ {rule}; }}\nchain pre {{ type nat hook prerouting "
                          "priority dstnat; fib daddr type local jump ports; }",
                          "chain pre { type filter hook prerouting priority raw; "
                          "tcp dport 8000-8100 drop; }"):
                with self.subTest(table=table, lines=lines):
                    self.load(f"table {table} foreign {{\n{lines}\n}}\n")
                    self.assert_no_tcp(self.remote, self.net.host_address(family), 8080,
                                       self.listeners[family])
                    found, = self.library.check()
                    self.assertEqual(("rule-shadows", "net", "c1"),
                                     (found["code"], found["network"], found["endpoint"]))
                    self.assertIn(f"table {table} foreign", found["object"])
                    self.assertEqual([0], [left["repaired"] for left in self.library.repair()])
                    self.nft("delete", "table", table, "foreign")
                    self.assertEqual([], self.library.check())
        for lines in ("chain pre { type nat hook prerouting priority dstnat; tcp dport 8079 "
                      "redirect to :1; }",
                      "chain pre { type nat hook prerouting priority dstnat; udp dport 8080 "
                      "redirect to :1; }",
                      "chain pre { type nat hook prerouting priority dstnat + 10; tcp dport 8080 "
                      "redirect to :1; }",
                      "chain pre { type nat hook prerouting priority dstnat; ip daddr 192.0.2.77 "
                      "tcp dport 8081 redirect to :1; }"):
            with self.subTest(lines=lines):
                self.load(f"table ip foreign {{\n{lines}\n}}\n")
                self.assertEqual([], self.library.check())
                self.nft("delete", "table", "ip", "foreign")
