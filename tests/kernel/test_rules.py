# SPDX-License-Identifier: LGPL-2.1-or-later
"""The listing: what is in the kernel, with counters and reasons; the plan; the user's own."""
import re
import shutil
import unittest

import legacy
import oracle
from topology import FAMILIES, NOBODY, KernelTest, for_each_backend

PLANNED = ("family", "table", "chain", "target", "protocol", "source", "destination", "extra")


def planned(rules):
    return sorted(tuple(rule[key] for key in PLANNED) for rule in rules)


@for_each_backend
class Listing(KernelTest):
    def setUp(self):
        super().setUp()
        self.create("net", "--subnet", "172.17.0.0/16", "--subnet", "fd00:30::/64")
        self.namespace = self.attach("net", "c1", "--ip", "172.17.0.4", "--ip", "fd00:30::4",
                                     "-p", "8799:1337")

    def ports(self, *argv):
        return [rule for rule in oracle.rules(self.bn, *argv) if rule["target"] == "DNAT"]

    def test_one_rule_for_a_published_port(self):
        rules = {rule["family"]: rule for rule in self.ports()}
        self.assertEqual({"ipv4", "ipv6"}, set(rules))
        rule = rules["ipv4"]
        self.assertEqual("tcp dpt:8799 to:172.17.0.4:1337", rule["extra"])
        self.assertEqual(("nat", "tcp", "0.0.0.0/0", "0.0.0.0/0"),
                         (rule["table"], rule["protocol"], rule["source"], rule["destination"]))
        rule = rules["ipv6"]
        self.assertEqual("tcp dpt:8799 to:[fd00:30::4]:1337", rule["extra"])
        self.assertEqual(("::/0", "::/0"), (rule["source"], rule["destination"]))

    def test_text_without_counters(self):
        text = self.bn("rules")
        lines = [line for line in text.splitlines() if "172.17.0.4:1337" in line]
        self.assertEqual(1, len(lines), text)
        self.assertEqual(["DNAT", "tcp"], lines[0].split()[:2])
        self.assertTrue(lines[0].endswith("tcp dpt:8799 to:172.17.0.4:1337"), lines[0])
        header = next(line for line in text.splitlines() if "target" in line)
        self.assertEqual(["target", "prot"], header.split()[:2])
        self.assertNotIn("pkts", text)

    def test_text_with_counters(self):
        """The columns of iptables -t nat -L -v, and the purpose at the end of the line."""
        text = self.bn("rules", "-v")
        header = next(line for line in text.splitlines() if "pkts" in line)
        self.assertEqual(["pkts", "bytes", "target", "prot"], header.split()[:4])
        for column in ("in", "out", "source", "destination"):
            self.assertIn(column, header.split())
        (line,) = [line for line in text.splitlines() if "to:172.17.0.4:1337" in line]
        fields = line.split()
        self.assertEqual(["0", "0", "DNAT", "tcp"], fields[:4])
        (rule,) = [rule for rule in self.ports("-v") if rule["family"] == "ipv4"]
        self.assertTrue(line.endswith(rule["purpose"]), line)

    def test_quiet_fields_are_for_verbose_alone(self):
        for rule in oracle.rules(self.bn):
            for key in ("packets", "bytes", "handle", "purpose", "in_interface"):
                self.assertFalse(rule.get(key), rule)

    def test_bound_address_and_ranges(self):
        address = self.net.host_address(4)
        self.bn("publish", "net", "c1", "-p", f"{address}:7000:70/udp", "-p", "7100-7102:71-73")
        extras = {rule["extra"]: rule["destination"] for rule in self.ports()}
        self.assertEqual(address, extras["udp dpt:7000 to:172.17.0.4:70"])
        shown = [extra for extra in extras if extra.startswith("tcp dpt") and ":71" in extra
                 and "172.17.0.4" in extra]
        self.assertEqual(self.oracle.range_extras("tcp", 7100, 7102, "172.17.0.4", 71),
                         sorted(shown))

    def test_owner_and_purpose(self):
        rules = oracle.rules(self.bn, "-v")
        for rule in rules:
            self.assertGreater(len(rule["purpose"]), 20, rule)
            self.assertNotIn("\n", rule["purpose"])
            self.assertIn(rule["network"], ("", "net"))
        for rule in self.ports("-v"):
            self.assertEqual(("net", "c1"), (rule["network"], rule["endpoint"]))
            for word in ("8799", "1337", "c1"):
                self.assertIn(word, rule["purpose"])

    def test_purpose_of_the_masquerade_rule(self):
        bridge = oracle.network(self.bn, "net")["bridge"]
        rules = [rule for rule in oracle.rules(self.bn, "-v") if rule["target"] == "MASQUERADE"
                 and rule["out_interface"] == f"!{bridge}"]
        self.assertTrue(rules)
        for rule in rules:
            purpose = rule["purpose"].lower()
            for words in ("net", "another interface", "host's address", "bridge", "left alone"):
                self.assertIn(words, purpose)

    def test_of_one_network(self):
        self.create("two", "--subnet", "172.30.2.0/24")
        self.attach("two", "c2", "-p", "8800:80")
        every = oracle.rules(self.bn, "-v")
        one = oracle.rules(self.bn, "-v", "two")
        self.assertEqual({"two"}, {rule["network"] for rule in one})
        self.assertEqual([rule for rule in every if rule["network"] == "two"], one)

    def test_what_is_in_the_kernel_not_what_should_be(self):
        self.oracle.flush()
        self.assertEqual([], oracle.rules(self.bn))
        self.assertNotEqual([], oracle.rules(self.bn, "--plan"))
        self.remove_all()


@for_each_backend
class Counters(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80", "-p", "8081:80")
        self.listeners = self.serve(self.namespace, 80)

    def shown(self):
        """{(family, port): (packets, bytes)} of the listing, which must be the kernel's own."""
        found = {}
        for rule in oracle.rules(self.bn, "-v"):
            match = re.fullmatch(r"(tcp|udp) dpt:(\d+) to:.*", rule["extra"])
            if rule["target"] == "DNAT" and match:
                key = int(rule["family"][-1]), match[1], "", int(match[2])
                found[key] = rule["packets"], rule["bytes"]
        self.assertEqual({key: value[2:] for key, value in self.oracle.ports().items()}, found)
        return found

    def test_exactly_the_connections_made(self):
        for family in FAMILIES:
            for count in (1, 5, 12):
                before = self.shown()
                for _ in range(count):
                    self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                    self.listeners[family])
                after = self.shown()
                key = family, "tcp", "", 8080
                self.assertEqual(count, after[key][0] - before[key][0])
                self.assertGreaterEqual(after[key][1] - before[key][1], 40 * count)
                del before[key], after[key]
                self.assertEqual(before, after)

    def test_from_the_host_and_from_neighbours_too(self):
        neighbour = self.attach("net", "c2")
        for count, client in enumerate((self.host, neighbour, self.namespace), 1):
            self.assert_tcp(client, self.net.host_address(4), 8080, self.listeners[4])
            self.assertEqual(count, self.shown()[4, "tcp", "", 8080][0])

    def test_udp_by_flow(self):
        self.bn("publish", "net", "c1", "-p", "8053:53/udp")
        server = self.keep(self.namespace.udp(4, 53))
        for _ in range(3):
            self.assert_udp(self.remote, self.net.host_address(4), 8053, server)
        self.assertEqual(3, self.shown()[4, "udp", "", 8053][0])

    def test_unchanged_by_unrelated_changes(self):
        for family in FAMILIES:
            for port in (8080, 8081, 8081):
                self.assert_tcp(self.remote, self.net.host_address(family), port,
                                self.listeners[family])
        shown, elements = self.shown(), self.oracle.elements()
        self.assertEqual((1, 2), (shown[4, "tcp", "", 8080][0], shown[6, "tcp", "", 8081][0]))
        handles = {rule["extra"]: rule["handle"] for rule in oracle.rules(self.bn, "-v")}
        self.create("two")
        self.attach("two", "c9", "-p", "9000-9099:9000-9099", "-p", "9500:80/udp")
        self.attach("net", "c2", "-p", "8090:80")
        self.bn("publish", "net", "c1", "-p", "8091:80")
        self.bn("unpublish", "net", "c1", "-p", "8091:80")
        self.bn("detach", "two", "c9")
        self.bn("detach", "net", "c2")
        self.bn("network", "rm", "two")
        self.assertEqual(shown, self.shown())
        after = self.oracle.elements()
        self.assertEqual(set(elements), set(after))
        # a multicast of an endpoint's IPv6 may come between; nothing ever goes back
        for key, (packets, octets) in elements.items():
            self.assertGreaterEqual(after[key], (packets, octets), key)
        self.assertEqual(handles,
                         {rule["extra"]: rule["handle"] for rule in oracle.rules(self.bn, "-v")})

    def test_unchanged_by_what_fails(self):
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.listeners[4])
        shown = self.shown()
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, "-p", "8082:80", "-p", "8080:80")
        self.assertEqual(shown, self.shown())

    def test_masquerade_counts(self):
        def masqueraded():
            bridge = oracle.network(self.bn, "net")["bridge"]
            return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                       if rule["target"] == "MASQUERADE"
                       and rule["out_interface"] == f"!{bridge}" and rule["family"] == "ipv4")

        listener = self.keep(self.remote.listen(4, 7000))
        before = masqueraded()
        for _ in range(4):
            self.assert_tcp(self.namespace, self.net.address("remote", 4), 7000, listener)
        self.assertEqual(before + 4, masqueraded())


@for_each_backend
class Plan(KernelTest):
    def populate(self):
        self.create(dual=True)
        self.create("two", "--subnet", "172.30.2.0/24")
        self.attach("net", "c1", "-p", "8080:80", "-p", "8081-8084:81-84", "-p", "8080:80/udp",
                    "-p", "127.0.0.1:9000:90", "-p", f"[{self.net.host_address(6)}]:9001:91",
                    "-p", "8080:80/sctp")
        self.attach("net", "c2")
        self.attach("two", "c1", "-p", f"{self.net.host_address(4)}:9000:90")

    def test_is_what_is_in_the_kernel(self):
        self.populate()
        for network in ((), ("net",), ("two",)):
            with self.subTest(network=network):
                actual = planned(oracle.rules(self.bn, *network))
                self.assertEqual(actual, planned(oracle.rules(self.bn, "--plan", *network)))
                self.assertGreater(len(actual), 5)

    def test_same_reasons(self):
        self.populate()
        still = lambda rules: [{key: value for key, value in rule.items()
                                if key not in ("packets", "bytes", "handle")} for rule in rules]
        self.assertEqual(still(oracle.rules(self.bn, "-v")),
                         still(oracle.rules(self.bn, "-v", "--plan")))

    def test_needs_no_privilege_but_for_the_state(self):
        self.populate()
        expected = self.bn("--json", "rules", "--plan")
        self.assertEqual(expected, self.host.run(
            "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--",
            *self.bn.argv("--json", "rules", "--plan")).stdout)
        result = self.bn.result("rules", "--plan", user=NOBODY, group=NOBODY, extra_groups=())
        self.assertEqual((1, ""), (result.returncode, result.stdout))
        self.assertIn("belongs to user 0", result.stderr)

    def test_needs_no_state(self):
        state = self.net.state + "-nonesuch"
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        result = self.host.run(self.bn.argv()[0], "--state-dir", state,
                               "rules", "--plan", check=False, user=NOBODY, group=NOBODY,
                               extra_groups=())
        self.assertEqual((0, ""), (result.returncode, result.stderr))

    def test_changes_nothing(self):
        before = self.net.host_state()
        self.bn("rules", "--plan")
        self.assertEqual(before, self.net.host_state())
        self.populate()
        before = self.net.host_state()
        self.bn("rules", "--plan", "-v")
        self.assertEqual(before, self.net.host_state())

    def test_kernel_listing_needs_privilege(self):
        self.populate()
        result = self.bn.result("rules", user=NOBODY, group=NOBODY, extra_groups=())
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n\Z")


@for_each_backend
class Users(KernelTest):
    """The chain that is the user's, and what is somebody else's."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.listeners = self.serve(self.namespace, 80)

    def test_made_empty(self):
        self.assertEqual([], self.oracle.user_packets())

    def test_takes_effect_before_our_verdicts(self):
        address = self.net.host_address(4)
        self.assert_tcp(self.attacker, address, 8080, self.listeners[4])
        lasting = self.connect(self.attacker, address, 8080)
        self.converse(lasting, self.listeners[4])
        server = self.server_side
        self.oracle.user_add("drop", source=self.net.address("attacker", 4))
        try:
            self.assert_no_tcp(self.attacker, address, 8080, self.listeners[4])
            self.assert_tcp(self.remote, address, 8080, self.listeners[4])
            lasting.sendall(b"question")
            server.settimeout(0.2)
            self.assertRaises(OSError, server.recv, 64)
            (packets,) = self.oracle.user_packets()
            self.assertGreaterEqual(packets, 2)
        finally:
            self.oracle.user_flush()

    def test_kept_over_everything(self):
        self.oracle.user_add("drop", source="203.0.113.7")
        self.oracle.user_add("accept", protocol="tcp", port=99, comment="mine")
        text = self.oracle.user_text()
        try:
            self.create("two")
            self.attach("two", "c2", "-p", "8090:80")
            self.bn("detach", "two", "c2")
            self.bn("network", "rm", "two")
            self.assertEqual(text, self.oracle.user_text())
            self.assertEqual([], self.remove_all())
            self.assertEqual(text, self.oracle.user_text())
        finally:
            self.oracle.user_flush()
        self.create("again")
        self.bn("network", "rm", "again")
        self.assertTrue(self.oracle.empty())

    def test_listed(self):
        self.oracle.user_add("drop", source="203.0.113.7")
        try:
            found = [rule for rule in oracle.rules(self.bn, "-v")
                     if rule["chain"] == "BRIDGENET-USER"]
            self.assertEqual(["DROP"], [rule["target"] for rule in found])
            self.assertEqual([rule for rule in oracle.rules(self.bn, "-v", "net")
                              if rule["chain"] == "BRIDGENET-USER"], [])
        finally:
            self.oracle.user_flush()

    def test_masks_with_holes(self):
        """No prefix: neither in the text nor in the columns; and what has one keeps it."""
        masks = (("10.0.0.1", "255.0.255.255", False), ("10.0.0.1", "255.255.0.255", True),
                 ("fd00:0:0:1::1", "ffff:0:0:ffff::ff", False))
        nft, lines = self.backend == "nftables", []
        for address, mask, negated in masks:
            ip = "ip6" if ":" in address else "ip"
            if nft:
                lines.append(f"{ip} daddr & {mask} {'!=' if negated else '=='} {address} "
                             "counter drop")
                self.host.run("nft", "add", "rule", "inet", "bridgenet", "BRIDGENET-USER",
                              *lines[-1].split())
            else:
                lines.append(f"{'! ' if negated else ''}-d {address}/{mask} -j DROP")
                self.host.run(f"{ip}tables-legacy", "-A", "BRIDGENET-USER", *lines[-1].split())
        self.oracle.user_add("drop", source="10.0.0.0/9")
        try:
            found = [rule for rule in oracle.rules(self.bn, "-v")
                     if rule["chain"] == "BRIDGENET-USER"]
            self.assertEqual(sorted([*lines, "ip saddr 10.0.0.0/9 counter drop" if nft else
                                     "-s 10.0.0.0/9 -j DROP"]),
                             sorted(rule["extra"] for rule in found))
            self.assertEqual({"0.0.0.0/0", "::/0"}, {rule["destination"] for rule in found})
            self.assertEqual(["10.0.0.0/9"], [rule["source"] for rule in found
                                              if not rule["source"].endswith("/0")])
        finally:
            self.oracle.user_flush()

    def test_other_tables_byte_for_byte(self):
        self.host.run("nft", "-f", "-", stdin="""
            table inet site {
                set known {
                    type ipv4_addr; flags timeout
                    elements = { 192.0.2.99 timeout 1d }
                }
                map ports {
                    type inet_service : ipv4_addr
                    elements = { 99 : 192.0.2.99 }
                }
                chain input {
                    type filter hook input priority 0; policy accept;
                    ip saddr 192.0.2.99 tcp dport 22 counter drop comment "mine"
                }
                chain forward {
                    type filter hook forward priority 0; policy accept;
                    ct state invalid limit rate 5/second counter log prefix "odd " drop
                }
            }
            table ip nat {
                chain post {
                    type nat hook postrouting priority 100;
                    ip saddr 10.99.0.0/16 counter masquerade
                }
            }
            """)
        text = re.sub(r"expires \w+", "", oracle.others_text(self.host))
        self.assertIn("masquerade", text)
        try:
            self.create("two", dual=False)
            self.attach("two", "c2", "-p", "8090:80", "-p", "9000-9010:9000-9010")
            self.bn("unpublish", "two", "c2", "-p", "8090:80")
            self.bn("detach", "two", "c2")
            self.bn("network", "rm", "two")
            self.assertEqual([], self.remove_all())
            self.assertEqual(text, re.sub(r"expires \w+", "", oracle.others_text(self.host)))
        finally:
            self.host.run("nft", "delete", "table", "inet", "site")
            self.host.run("nft", "delete", "table", "ip", "nat")

    def test_iptables_legacy_rules_of_others(self):
        self.host.run("iptables-legacy-restore", "--noflush", stdin="*filter\n:INPUT ACCEPT [0:0]\n"
                      ":FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:MINE - [0:0]\n"
                      "-A FORWARD -s 203.0.113.0/24 -j MINE\n-A MINE -m limit --limit 3/min "
                      "-j DROP\nCOMMIT\n")
        before = legacy.others(self.host)
        self.assertEqual(2, sum(len(rules) for *_, rules in before))
        try:
            self.create("two")
            self.attach("two", "c2", "-p", "8090:80")
            self.assertEqual(before, legacy.others(self.host))
            self.assertEqual([], self.remove_all())
            self.assertEqual(before, legacy.others(self.host))
        finally:
            self.host.run("iptables-legacy", "-D", "FORWARD", "-s", "203.0.113.0/24", "-j", "MINE")
            self.host.run("iptables-legacy", "-F", "MINE")
            self.host.run("iptables-legacy", "-X", "MINE")


if __name__ == "__main__":
    unittest.main()
