# SPDX-License-Identifier: LGPL-2.1-or-later
"""log-drops: what a network drops is told in the kernel's log. Judged by the counters of the rules
that write there, as nft and iptables-legacy-save show them."""
import re
import socket
import unittest

import oracle
from findings import CheckTest
from topology import FAMILIES, for_each_backend

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
NOBODY = {4: "172.30.0.99", 6: "fd00:30::99"}
OTHER = ("--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
RATE, BURST = 5, 10


class LogDropsTest(CheckTest):
    def setUp(self):
        super().setUp()
        for family in FAMILIES:
            for subnet in (("172.30.0.0/15",) if family == 4 else ("fd00:30::/31",)):
                self.remote.run("ip", f"-{family}", "route", "replace", subnet, "via",
                                self.net.host_address(family))

    def begin(self, *options, other="no"):
        """Network `net`, which logs, and `other`, which may."""
        self.create("net", "--opt", "log-drops=yes",
                    *(word for option in options for word in ("--opt", option)), dual=True)
        self.create("other", *OTHER, "--opt", f"log-drops={other}")
        return self.attach("net", "one"), self.attach("other", "two")

    # ---- what the kernel shows ----

    def logs(self):
        """[(network or "", reason, family or 0, what it is about, packets)]"""
        return self.logs_nft() if self.backend == "nftables" else self.logs_legacy()

    def logs_nft(self):
        """From its text: in JSON it says one thing of an element alone."""
        text = self.host.run("nft", "list", "ruleset").stdout
        reasons = dict(re.findall(r'@(\S+) log prefix "bn (\S+): "', text))
        found = []
        for name, elements in re.findall(r"\tset (\S+) \{[^{}]*elements = \{([^{}]*)\}", text):
            for key, packets, owner in re.findall(
                    r' ?([^,{}]+?) limit rate 5/second burst 10 packets counter packets (\d+) '
                    r'bytes \d+ comment "([^"/]+)', elements):
                family = 6 if "ipv6" in key or "::" in key or "6" in name else 4
                found.append((owner, reasons[name], family, key.strip(), int(packets)))
        return found

    def logs_legacy(self):
        found = []
        for family, program in ((4, "iptables-legacy-save"), (6, "ip6tables-legacy-save")):
            for line in self.host.run(program, "-c").stdout.splitlines():
                match = re.fullmatch(r'\[(\d+):\d+\] (.*)-m limit --limit 5/sec --limit-burst 10 '
                                     r'-j LOG --log-prefix "bn (\S+) (\S+): "', line)
                if match:
                    found.append((match[3], match[4], family, match[2], int(match[1])))
                else:
                    self.assertNotIn("LOG", line)
        return found

    def told(self, reason, family, network="net"):
        return sum(packets for owner, why, of, _, packets in self.logs()
                   if (owner, why, of) == (network, reason, family))

    def told_at_all(self, network):
        return sum(packets for owner, _, _, _, packets in self.logs() if owner == network)

    def drops(self):
        """{rule: packets}, of the listing."""
        return {tuple(rule[key] for key in ("chain", "in_interface", "out_interface", "source",
                                            "destination", "extra", "network", "endpoint")): rule["packets"]
                for rule in oracle.rules(self.bn, "-v") if rule["target"] == "DROP"}

    def texts(self):
        return "".join(self.host.run(*argv).stdout for argv in (
            ("nft", "list", "ruleset"), ("iptables-legacy-save",), ("ip6tables-legacy-save",)))

    def assert_none(self):
        """Nothing that logs, nor what it takes."""
        for word in (" log ", "LOG", "-log", "limit rate", "-m limit"):
            self.assertNotIn(word, self.texts())
        self.assertEqual([], [rule for rule in oracle.rules(self.bn) if rule["target"] == "LOG"])

    # ---- what is dropped ----

    def send(self, client, family, address, count=3, port=9):
        made = self.keep(client.udp(family))
        for _ in range(count):
            made.sendto(b"x", (address, port))

    def answer_nobody(self, client, family, address):
        """An echo reply that nobody asked for is of no connection."""
        kind = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
        with client:
            made = self.keep(socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                           socket.SOCK_RAW, kind))
        packet = bytes((0 if family == 4 else 129, 0, 0, 0, 0, 7, 0, 1))
        if family == 4:
            total = sum(int.from_bytes(packet[i:i + 2], "big") for i in range(0, 8, 2))
            packet = packet[:2] + (0xffff - total).to_bytes(2, "big") + packet[4:]
        for _ in range(3):
            made.sendto(packet, (address, 0))


@for_each_backend
class LogDrops(LogDropsTest):
    def assert_told(self, reason, family, do, count=3, network="net"):
        """As many as were dropped."""
        with self.subTest(reason=reason, family=family):
            before, drops = self.told(reason, family, network), sum(self.drops().values())
            do()
            self.assertEqual(count, self.told(reason, family, network) - before)
            self.assertEqual(count, sum(self.drops().values()) - drops)

    def test_reasons(self):
        one, two = self.begin("host-access=none", other="yes")
        for family in FAMILIES:
            outside = self.net.address("remote", family)
            self.assert_told("direct", family,
                             lambda: self.send(self.remote, family, one.address(family)))
            self.assert_told("direct", family,
                             lambda: self.send(two, family, one.address(family)))
            self.assert_told("direct", family, network="other",
                             do=lambda: self.send(one, family, two.address(family)))
            self.assert_told("outside", family,
                             lambda: self.send(self.remote, family, GATEWAY[family]))
            self.assert_told("host", family,
                             lambda: self.send(one, family, GATEWAY[family]))
            self.assert_told("invalid", family,
                             lambda: self.answer_nobody(one, family, outside))

    def test_forged(self):
        one, _ = self.begin()
        for family in FAMILIES:
            for machine, source in ((one, "198.51.100.7" if family == 4 else "2001:db8:7::7"),
                                    (self.remote, NOBODY[family])):
                length = 32 if family == 4 else 128
                machine.run("ip", f"-{family}", "addr", "add", f"{source}/{length}", "dev", "lo",
                            *(("nodad",) if family == 6 else ()))
                made = self.keep(machine.udp(family, 0, source))
                self.assert_told("forged", family, lambda: [
                    made.sendto(b"x", (self.net.address(
                        "attacker" if machine is one else "host", family), 9)) for _ in range(3)])
                machine.run("ip", f"-{family}", "addr", "del", f"{source}/{length}", "dev", "lo")

    def test_no_port(self):
        one, _ = self.begin("gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed")
        for family in FAMILIES:
            self.assert_told("no-port", family,
                             lambda: self.send(self.remote, family, one.address(family)))

    def test_denied(self):
        self.begin()
        self.attach("net", "web", "-p", "8080:80/udp", "--port-opt",
                    f"deny-from={self.net.address('remote', 4)},"
                    f"{self.net.address('remote', 6)}")
        for family in FAMILIES:
            self.assert_told("denied", family, lambda: self.send(
                self.remote, family, self.net.host_address(family), port=8080))

    def test_internal(self):
        one, _ = self.begin("internal=yes")
        for family in FAMILIES:
            one.run("ip", f"-{family}", "route", "add", "default", "via", GATEWAY[family])
            self.assert_told("internal", family, lambda: self.send(
                one, family, self.net.address("remote", family)))

    def test_loopback(self):
        one, _ = self.begin()
        self.bn("publish", "net", "one", "-p", "127.0.0.1:8080:80/udp")
        one.sysctl("net/ipv4/conf/all/route_localnet", "1")
        one.run("ip", "route", "add", "127.9.9.9", "via", GATEWAY[4])
        self.assert_told("loopback", 4, lambda: self.send(one, 4, "127.9.9.9"))
        self.remote.sysctl("net/ipv4/conf/all/route_localnet", "1")
        self.addCleanup(self.remote.sysctl, "net/ipv4/conf/all/route_localnet", "0")
        self.remote.run("ip", "route", "del", "local", "127.0.0.1", "table", "local")
        self.remote.run("ip", "route", "add", "127.0.0.1", "via", self.net.host_address(4), "src",
                        self.net.address("remote", 4))
        self.addCleanup(self.remote.run, "ip", "route", "add", "local", "127.0.0.1", "dev", "lo",
                        "table", "local")
        self.addCleanup(self.remote.run, "ip", "route", "del", "127.0.0.1")
        made = self.keep(self.remote.udp(4, 0, self.net.address("remote", 4)))
        self.assert_told("loopback", 4, lambda: [
            made.sendto(b"x", ("127.0.0.1", 8080)) for _ in range(3)])

    def test_a_flood_is_not_told(self):
        """And all of it is dropped and counted."""
        one, _ = self.begin()
        for family in FAMILIES:
            before = sum(self.drops().values())
            self.send(self.remote, family, one.address(family), 400)
            told = self.told("direct", family)
            self.assertEqual(400, sum(self.drops().values()) - before)
            self.assertGreaterEqual(told, BURST)
            self.assertLess(told, 200)

    def test_of_two_networks_one(self):
        one, two = self.begin()
        for family in FAMILIES:
            self.send(self.remote, family, two.address(family))
            self.send(one, family, two.address(family))
        self.assertEqual(0, self.told_at_all("net"))
        self.assertEqual({"net"}, {owner for owner, *_ in self.logs()})

    def test_changed_while_it_lives(self):
        """What is counted goes on, and so does what is open."""
        self.create("net", dual=True)
        end = self.attach("net", "one", "-p", "8080:80")
        self.assert_none()
        servers = self.serve(end, 80)
        opened = {}
        for family in FAMILIES:
            opened[family] = self.keep(self.remote.socket(family))
            opened[family].connect((self.net.host_address(family), 8080))
            self.send(self.remote, family, end.address(family), 7)
        before = self.drops()
        self.bn("network", "update", "net", "--opt", "log-drops=yes")
        self.assertEqual(before, self.drops())
        self.assert_clean()
        for family in FAMILIES:
            self.assert_told("direct", family,
                             lambda: self.send(self.remote, family, end.address(family)))
        before = self.drops()
        self.bn("network", "update", "net", "--opt", "log-drops=no")
        self.assertEqual(before, self.drops())
        self.assert_none()
        self.assert_clean()
        for family in FAMILIES:
            server = self.keep(servers[family].accept()[0])
            opened[family].send(b"still there")
            self.assertEqual(b"still there", server.recv(20))

    def damages(self, end):
        """(what somebody does, the code of what is found)"""
        if self.backend == "nftables":
            return (
                (f"nft delete element inet bridgenet direct4-log {{ {end.address(4)} }}",
                 "rule-missing"),
                ("nft -a list chain inet bridgenet raw-prerouting | "
                 "sed -n 's/.*@direct6-log.*handle /nft delete rule inet bridgenet "
                 "raw-prerouting handle /p' | sh -e", "rules-base"),
            )
        match = f"-d {end.address(4)}/32 ! -i {self.bridge()} -m limit --limit"
        return (
            ("iptables-legacy -t raw -D BN-net 1", "rule-missing"),
            (f"iptables-legacy -t raw -R BN-net 1 {match} 5/sec --limit-burst 10 -j LOG "
             "--log-prefix 'bn ten direct: '", "rule-altered"),
        )

    def bridge(self):
        return oracle.network(self.bn, "net")["bridge"]

    def test_check_and_repair(self):
        end, _ = self.begin()
        for command, code in self.damages(end):
            with self.subTest(command=command):
                self.host.run("sh", "-ec", command)
                self.assertIn(code, self.codes())
                self.repair()
                self.assert_clean()
                for family in FAMILIES:
                    self.assert_told("direct", family, lambda: self.send(
                        self.remote, family, end.address(family), 1), 1)

    def test_put_back_after_a_flush(self):
        end, _ = self.begin()
        before = sorted(log[:4] for log in self.logs())
        self.host.run("sh", "-ec", "nft flush ruleset" if self.backend == "nftables" else
                      "iptables-legacy -t raw -F; ip6tables-legacy -F")
        self.assertNotEqual([], self.codes())
        self.repair()
        self.assert_clean()
        self.assertEqual(before, sorted(log[:4] for log in self.logs()))
        for family in FAMILIES:
            self.assert_told("direct", family,
                             lambda: self.send(self.remote, family, end.address(family)))

    def test_moved_to_the_other_backend(self):
        end, _ = self.begin()
        other = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}[self.backend]
        self.bn.backend = "auto"
        self.addCleanup(setattr, self.bn, "backend", self.backend)
        self.addCleanup(setattr, type(self), "backend", self.backend)
        for backend in (other, self.backend):
            self.bn("backend", "switch", backend)
            type(self).backend = backend
            for family in FAMILIES:
                self.assert_told("direct", family,
                                 lambda: self.send(self.remote, family, end.address(family)))
            self.assert_clean()

    def test_nothing_left(self):
        self.begin("host-access=none")
        for network, endpoint in (("net", "one"), ("other", "two")):
            self.bn("detach", network, endpoint)
        self.bn("network", "rm", "net")
        self.assert_none()
        self.assert_clean()

    def test_refused_without_rules(self):
        self.fails("network", "create", "plain", "--opt", "managed=no", "--opt", "log-drops=yes",
                   mention=("log-drops", "managed=no"))
        self.assertNotIn("plain", [network["name"] for network in oracle.networks(self.bn)])


if __name__ == "__main__":
    unittest.main()
