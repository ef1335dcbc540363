# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks of several subnets of a family: what holds for the first holds for each, and for each
address of an endpoint."""
import contextlib
import json
import os
import shutil
import tempfile

import oracle
from topology import Bn, FAMILIES, KernelTest, for_each_backend

SUBNETS = {4: ("172.30.0.0/24", "172.31.0.0/24"), 6: ("fd00:30::/64", "fd00:31::/64")}
GATEWAYS = {4: ("172.30.0.1", "172.31.0.1"), 6: ("fd00:30::1", "fd00:31::1")}
# of c1 and of c2
FIRST = {4: ("172.30.0.10", "172.31.0.10"), 6: ("fd00:30::10", "fd00:31::10")}
OTHER = {4: ("172.30.0.20", "172.31.0.20"), 6: ("fd00:30::20", "fd00:31::20")}
LENGTH = {4: 24, 6: 64}
# of the other network's endpoint
FAR = {4: ("10.1.0.10", "10.2.0.10"), 6: ("fd00:41::10", "fd00:42::10")}
FAR_ARGV = ("--subnet", "10.1.0.0/24", "--subnet", "10.2.0.0/24",
            "--subnet", "fd00:41::/64", "--subnet", "fd00:42::/64")
ROUTED = ("--opt", "gateway-mode-ipv4=routed", "--opt", "gateway-mode-ipv6=routed")
BEYOND = {4: "198.51.100.9", 6: "2001:db8:99::9"}
WEB, SERVICE, HIDDEN = 8080, 7000, 9999
ARGV = tuple(word for family in FAMILIES for subnet in SUBNETS[family]
             for word in ("--subnet", subnet))


def named(addresses):
    """In an order of its own: which subnet it is of says the address."""
    return tuple(word for family in FAMILIES for address in reversed(addresses[family])
                 for word in ("--ip", address))


class SubnetsTest(KernelTest):
    def make(self, *argv, port=f"{WEB}:80"):
        """Network net with c1, which publishes 80, and c2."""
        self.create("net", *ARGV, *argv)
        self.c1 = self.attach("net", "c1", *named(FIRST), "-p", port)
        self.c2 = self.attach("net", "c2", *named(OTHER))

    def make_bridge(self):
        """Somebody else's."""
        self.host.run("ip", "link", "add", "br9", "type", "bridge")
        self.host.run("ip", "link", "set", "br9", "up")

    def pairs(self):
        """Each family, and whether it is the first or the second subnet of it."""
        for family in FAMILIES:
            for at in range(2):
                with self.subTest(family=family, at=at):
                    yield family, at

    def route_to_subnets(self, machine):
        for family in FAMILIES:
            for subnet in SUBNETS[family]:
                machine.run("ip", "route", "replace", subnet, "via",
                            self.net.host_address(family))

    @contextlib.contextmanager
    def having(self, machine, address):
        """Somebody claims an address."""
        length = 128 if ":" in address else 32
        argv = (f"{address}/{length}", "dev", "lo")
        machine.run("ip", "addr", "add", *argv, *(("nodad",) if ":" in address else ()))
        try:
            yield
        finally:
            machine.run("ip", "addr", "del", *argv)

    def send_as(self, machine, source, destination, port):
        with self.having(machine, source):
            made = machine.udp(6 if ":" in source else 4, address=source)
            made.sendto(source.encode(), (destination, port))
            made.close()

    def found(self, *codes):
        result = self.bn.result("--json", "check")
        self.assertIn(result.returncode, (0, 3), result.stderr)
        return [(one["code"], one["should_be"] or one["object"])
                for one in json.loads(result.stdout)["findings"]]


@for_each_backend
class Shape(SubnetsTest):
    def test_shown(self):
        self.make()
        shown = oracle.network(self.bn, "net")
        self.assertEqual([subnet for family in FAMILIES for subnet in SUBNETS[family]],
                         [one["subnet"] for one in shown["subnets"]])
        self.assertEqual([gateway for family in FAMILIES for gateway in GATEWAYS[family]],
                         [one["gateway"] for one in shown["subnets"]])
        self.assertEqual([3] * 4, [one["addresses_used"] for one in shown["subnets"]])
        self.assertEqual([251] * 2, [one["addresses_free"] for one in shown["subnets"][:2]])
        for family in FAMILIES:
            expected = [f"{address}/{LENGTH[family]}" for address in FIRST[family]]
            self.assertCountEqual(expected, self.c1.addresses("eth0", family))
            self.assertEqual(expected, [
                address for address in oracle.endpoint(self.bn, "net", "c1")["addresses"]
                if (":" in address) == (family == 6)])
            self.assertCountEqual(
                [f"{gateway}/{LENGTH[family]}" for gateway in GATEWAYS[family]],
                self.host.addresses(shown["bridge"], family))
            routes = self.c1.ip(f"-{family}", "route", "show", "default")
            self.assertEqual([GATEWAYS[family][0]], [route["gateway"] for route in routes])
        names = [one["address"] for one in self.bn.json("names", "net") if one["name"] == "c1"]
        self.assertEqual([address for family in FAMILIES for address in FIRST[family]], names)

    def test_picked_from_each(self):
        self.create("net", *ARGV, "--ip-range", "172.31.0.128/25", "--gateway", "172.31.0.9",
                    "--reserve", "172.30.0.2")
        c1 = self.attach("net", "c1")
        self.assertEqual(["172.30.0.3/24", "172.31.0.128/24"], sorted(c1.addresses("eth0", 4)))
        self.assertEqual(["fd00:30::2/64", "fd00:31::2/64"], sorted(c1.addresses("eth0", 6)))
        shown = oracle.network(self.bn, "net")["subnets"][1]
        self.assertEqual(("172.31.0.9", "172.31.0.128/25"), (shown["gateway"], shown["ip_range"]))
        # one that is named leaves the other to be picked
        c2 = self.attach("net", "c2", "--ip", "172.31.0.77")
        self.assertEqual(["172.30.0.4/24", "172.31.0.77/24"], sorted(c2.addresses("eth0", 4)))

    def test_by_size(self):
        """Of any of a size there may be several, and beside named ones; none overlaps."""
        self.create("net", "--subnet", "0.0.0.0/28", "--subnet", "172.17.0.0/24", "--subnet",
                    "0.0.0.0/28")
        shown = [one["subnet"] for one in oracle.network(self.bn, "net")["subnets"]]
        self.assertEqual(3, len(set(shown)))
        self.assertEqual("172.17.0.0/24", shown[1])
        self.assertTrue(shown[0].endswith("/28") and shown[2].endswith("/28"), shown)
        self.assertFalse(shown[0].startswith("172.17.0.") or shown[2].startswith("172.17.0."))

    def test_refused(self):
        self.fails("network", "create", "net", *(
            word for number in range(9) for word in ("--subnet", f"10.{number}.0.0/24")),
            mention=("10.8.0.0/24", "up to 8"))
        self.fails("network", "create", "net", "--subnet", "10.1.0.0/24", "--subnet",
                   "10.1.0.128/25", mention=("10.1.0.0/24", "10.1.0.128/25", "overlap"))
        self.fails("network", "create", "net", *ARGV, "--gateway", "10.9.9.9",
                   mention="10.9.9.9 is outside")
        self.fails("network", "create", "net", *ARGV, "--reserve", "10.9.9.9",
                   mention="10.9.9.9 is in no subnet")
        self.create("net", *ARGV)
        for family, at in self.pairs():
            self.fails("network", "create", "two", "--subnet", SUBNETS[family][at],
                       mention=(SUBNETS[family][at], "net"))
        role = self.net.endpoint("c1").path
        attach = ("attach", "net", "c1", "--netns", role)
        self.fails(*attach, "--ip", "172.31.0.5", "--ip", "172.31.0.6",
                   mention=("172.31.0.6", "172.31.0.0/24"))
        self.fails(*attach, "--ip", "10.9.9.9", mention=("10.9.9.9", "all subnets"))
        self.fails(*attach, "--ip", "172.31.0.1", mention=("172.31.0.1", "gateway"))
        self.attach("net", "c2", "--ip", "172.31.0.7")
        self.fails(*attach, "--ip", "172.31.0.7", mention=("172.31.0.7", "c2"))

    def test_eight(self):
        argv = [word for number in range(8)
                for word in ("--subnet", f"10.{number}.0.0/24", "--subnet", f"fd00:{number}::/64")]
        self.create("net", *argv)
        c1 = self.attach("net", "c1")
        c2 = self.attach("net", "c2", "-p", f"{WEB}:80")
        self.assertEqual(8, len(c1.addresses("eth0", 4)))
        self.assertEqual(8, len(c1.addresses("eth0", 6)))
        c1.ping("10.7.0.3")
        c1.ping("fd00:7::1")
        self.assert_tcp(self.remote, self.net.host_address(4), WEB, self.serve(c2, 80)[4])
        self.bn("check")

    def test_small(self):
        """Of two addresses each: of the second subnet too there is one for an endpoint."""
        self.create("net", "--subnet", "10.1.0.0/31", "--subnet", "10.2.0.0/31", "--subnet",
                    "fd00:1::/127", "--subnet", "fd00:2::/127")
        c1 = self.attach("net", "c1")
        self.assertEqual(["10.1.0.1/31", "10.2.0.1/31"], sorted(c1.addresses("eth0", 4)))
        for address in ("10.1.0.0", "10.2.0.0", "fd00:1::", "fd00:2::"):
            if ":" not in address:
                c1.ping(address)
        self.bn("check")

    def test_exhausted(self):
        """What one subnet lacks takes nothing of the other."""
        self.create("net", "--subnet", "172.30.0.0/24", "--subnet", "172.31.0.0/30")
        self.attach("net", "c1")
        path = self.net.endpoint("c2").path
        for _ in range(2):
            self.fails("attach", "net", "c2", "--netns", path, mention="172.31.0.0/30")
        shown = oracle.network(self.bn, "net")["subnets"]
        self.assertEqual([(2, 252), (2, 0)],
                         [(one["addresses_used"], one["addresses_free"]) for one in shown])
        self.bn("detach", "net", "c1")
        again = self.attach("net", "c3")
        self.assertEqual(["172.30.0.3/24", "172.31.0.2/30"], sorted(again.addresses("eth0", 4)))

    def test_unmanaged(self):
        """Only addresses are given, of each."""
        self.make_bridge()
        before = self.host.addresses("br9", 4)
        self.create("net", *ARGV, "--bridge", "br9", "--opt", "managed=no")
        c1 = self.attach("net", "c1")
        self.assertEqual(["172.30.0.1/24", "172.31.0.1/24"], sorted(c1.addresses("eth0", 4)))
        self.assertEqual(before, self.host.addresses("br9", 4))
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", "net")
        self.host.run("ip", "link", "del", "br9")


@for_each_backend
class Packets(SubnetsTest):
    def setUp(self):
        super().setUp()
        self.make()
        self.web = self.serve(self.c1, 80)
        self.hidden = self.serve(self.c1, HIDDEN)

    def test_neighbours_and_host(self):
        for family, at in self.pairs():
            for client in (self.c2, self.host):
                self.assert_tcp(client, FIRST[family][at], HIDDEN, self.hidden[family])
            self.c1.ping(GATEWAYS[family][at])

    def test_straight_from_outside(self):
        self.route_to_subnets(self.remote)
        for family, at in self.pairs():
            for port in (80, HIDDEN):
                self.assert_no_tcp(self.remote, FIRST[family][at], port)
            # nor does the gateway answer
            self.assertFalse(self.remote.pings(GATEWAYS[family][at]))

    def test_forged(self):
        """As a source that is behind the bridge, from elsewhere."""
        self.create("two", *FAR_ARGV)
        far = self.attach("two", "far", *named(FAR))
        for family, at in self.pairs():
            server = self.keep(self.host.udp(family, SERVICE))
            for machine, to in ((self.attacker, self.net.host_address(family)),
                                (far, {4: "10.2.0.1", 6: "fd00:42::1"}[family])):
                self.send_as(machine, FIRST[family][at], to, SERVICE)
            self.send_as(self.attacker, BEYOND[family], self.net.host_address(family), SERVICE)
            # its own from the network is heard
            made = self.keep(self.c1.udp(family, address=FIRST[family][at]))
            made.sendto(b"own", (GATEWAYS[family][at], SERVICE))
            heard = {server.recvfrom(64)[0], server.recvfrom(64)[0]}
            self.assertEqual({BEYOND[family].encode(), b"own"}, heard)
            self.assert_silent(server, 0.1)
            server.close()

    def test_published(self):
        for family in FAMILIES:
            self.assertEqual(
                self.net.address("remote", family),
                self.assert_tcp(self.remote, self.net.host_address(family), WEB,
                                self.web[family]))
        self.assert_tcp(self.host, "127.0.0.1", WEB, self.web[4])

    def test_hairpin(self):
        """By a published port a neighbour, and itself, from each address."""
        for family, at in self.pairs():
            for client, source in ((self.c2, OTHER[family][at]), (self.c1, FIRST[family][at])):
                self.assertIn(
                    self.assert_tcp(client, self.net.host_address(family), WEB, self.web[family],
                                    source), GATEWAYS[family])

    def test_masqueraded(self):
        server = self.serve(self.remote, SERVICE)
        for family, at in self.pairs():
            self.assertEqual(
                self.net.host_address(family),
                self.assert_tcp(self.c1, self.net.address("remote", family), SERVICE,
                                server[family], FIRST[family][at]))

    def test_isolated(self):
        self.create("two", *FAR_ARGV)
        far = self.attach("two", "far", *named(FAR))
        for family, at in self.pairs():
            for source in FAR[family]:
                made = self.keep(far.socket(family, timeout=0.15))
                made.bind((source, 0))
                with self.assertRaises(OSError):
                    made.connect((FIRST[family][at], HIDDEN))
            self.assert_no_tcp(self.c1, FAR[family][at], HIDDEN, timeout=0.15)

    def test_flows_end(self):
        server = self.serve(self.remote, SERVICE)
        for family in FAMILIES:
            for source in FIRST[family]:
                made = self.connect(self.c1, self.net.address("remote", family), SERVICE, source)
                self.converse(made, server[family])
                self.assertIn(f"src={source} ", self.flows(family))
        self.bn("detach", "net", "c1")
        for family, at in self.pairs():
            self.assertNotIn(f"src={FIRST[family][at]} ", self.flows(family))

    def test_next_tenant_is_found(self):
        """Neighbours and the host learn at once who has each address now."""
        for family, at in self.pairs():
            for client in (self.c2, self.host):
                client.ping(FIRST[family][at])
        self.bn("detach", "net", "c1")
        again = self.attach("net", "c3", *named(FIRST), "--mac", "02:42:00:00:00:99")
        hidden = self.serve(again, HIDDEN)
        for family, at in self.pairs():
            for client in (self.c2, self.host):
                made = self.connect(client, FIRST[family][at], HIDDEN, timeout=0.9)
                self.converse(made, hidden[family])

    def flows(self, family):
        return "\n".join(oracle.conntrack(self.host, "-f", f"ipv{family}").values())


@for_each_backend
class Ways(SubnetsTest):
    """The policies that let in, or lead elsewhere."""

    def straight(self, allowed):
        """What reaches 80 and what HIDDEN of c1 from remote, at each address."""
        web, hidden = self.serve(self.c1, 80), self.serve(self.c1, HIDDEN)
        self.route_to_subnets(self.remote)
        for family, at in self.pairs():
            if allowed:
                self.assert_tcp(self.remote, FIRST[family][at], 80, web[family])
            self.assert_no_tcp(self.remote, FIRST[family][at], HIDDEN, hidden[family], 0.15)

    def test_routed(self):
        self.make(*ROUTED, port="80")
        self.straight(True)
        flows = {(family, at): self.connect(self.remote, FIRST[family][at], 80)
                 for family in FAMILIES for at in range(2)}
        self.bn("unpublish", "net", "c1", "-p", "80")
        for family, at in self.pairs():
            self.assert_no_tcp(self.remote, FIRST[family][at], 80, timeout=0.15)
            # those that were there have ended
            flows[family, at].settimeout(0.15)
            flows[family, at].send(b"more")
            with self.assertRaises(OSError):
                flows[family, at].recv(8)

    def test_direct(self):
        self.make("--opt", "direct-routing=yes")
        self.straight(True)

    def test_trusted(self):
        self.make("--opt", "trusted=192.0.2.0/24,2001:db8:1::/64")
        self.straight(True)

    def test_untranslated(self):
        """Answers come straight to each address, and nothing else does."""
        self.make("--opt", "masquerade=no")
        self.straight(False)
        server = self.serve(self.remote, SERVICE)
        for family, at in self.pairs():
            self.assertEqual(FIRST[family][at], self.assert_tcp(
                self.c1, self.net.address("remote", family), SERVICE, server[family],
                FIRST[family][at]))

    def test_without_neighbours(self):
        self.make("--opt", "icc=no")
        hidden = self.serve(self.c1, HIDDEN)
        for family, at in self.pairs():
            self.assert_no_tcp(self.c2, FIRST[family][at], HIDDEN, hidden[family], 0.15)

    def test_internal(self):
        self.create("net", *ARGV, "--opt", "internal=yes")
        c1 = self.attach("net", "c1", *named(FIRST))
        for family, at in self.pairs():
            c1.ping(GATEWAYS[family][at])
            made = self.keep(c1.socket(family, timeout=0.15))
            made.bind((FIRST[family][at], 0))
            with self.assertRaises(OSError):
                made.connect((self.net.address("remote", family), SERVICE))

    def test_of_two_networks(self):
        """Answers from each address leave by the network that it is of."""
        self.create("two", *FAR_ARGV)
        self.make(*ROUTED, port="80")
        self.attach("two", "far", "--gateway-priority", "7", *named(FAR), namespace=self.c1)
        self.route_to_subnets(self.remote)
        web = self.serve(self.c1, 80)
        for family, at in self.pairs():
            self.assert_tcp(self.remote, FIRST[family][at], 80, web[family])
        self.bn("check")
        for family, at in self.pairs():
            self.c1.run("ip", f"-{family}", "rule", "del", "from", FIRST[family][at])
            self.assertEqual(3, self.bn.result("check").returncode)
            self.bn("repair")
            self.assert_tcp(self.remote, FIRST[family][at], 80, web[family])

    def test_policies(self):
        """What is read back is what was planned, on a bridge of our own and on somebody else's."""
        self.make_bridge()
        for bridge in ((), ("--bridge", "br9")):
            for option in ("internal=yes", "icc=no", "host-access=none", "host-access=dns+icmp",
                           "isolate=no", "isolate=yes", "masquerade=no", "mss-clamp=yes",
                           "nat-exclude=10.0.0.0/8,2001:db8::/32", "snat-ipv4=192.0.2.1",
                           "trusted=10.0.0.0/8,eth0", "direct-routing=yes", "source-ports=keep",
                           "gateway-mode-ipv4=nat-unprotected", "gateway-mode-ipv4=routed"):
                with self.subTest(option=option, bridge=bridge):
                    self.create("net", *ARGV, *bridge, "--opt", option)
                    try:
                        self.assertEqual([], self.found())
                        for subnet in (1, 0):
                            self.assertIn(SUBNETS[4][subnet], str(oracle.rules(self.bn)))
                        self.bn("network", "update", "net", "--opt", f"{option.split('=')[0]}=")
                        self.assertEqual([], self.found())
                    finally:
                        self.bn("network", "rm", "net")
        self.host.run("ip", "link", "del", "br9")

    def test_adopted(self):
        self.make_bridge()
        self.make("--bridge", "br9")
        web, hidden = self.serve(self.c1, 80), self.serve(self.c1, HIDDEN)
        server = self.serve(self.remote, SERVICE)
        self.route_to_subnets(self.remote)
        for family, at in self.pairs():
            self.assert_tcp(self.c2, FIRST[family][at], HIDDEN, hidden[family])
            self.assert_no_tcp(self.remote, FIRST[family][at], HIDDEN, hidden[family], 0.15)
            self.assert_tcp(self.remote, self.net.host_address(family), WEB, web[family])
            self.assertEqual(
                self.net.host_address(family),
                self.assert_tcp(self.c1, self.net.address("remote", family), SERVICE,
                                server[family], FIRST[family][at]))
            self.assertIn(
                self.assert_tcp(self.c2, self.net.host_address(family), WEB, web[family],
                                OTHER[family][at]), GATEWAYS[family])
            # forged as an endpoint's
            heard = self.keep(self.host.udp(family, SERVICE))
            self.send_as(self.attacker, FIRST[family][at], self.net.host_address(family), SERVICE)
            self.assert_silent(heard, 0.1)
            heard.close()
        self.bn("check")
        self.bn("detach", "net", "c1", "c2")
        self.bn("network", "rm", "net")
        self.assertEqual([], self.host.addresses("br9", 4) + self.host.addresses("br9", 6))
        self.host.run("ip", "link", "del", "br9")


@for_each_backend
class Repair(SubnetsTest):
    def test_each_address(self):
        self.make()
        bridge = oracle.network(self.bn, "net")["bridge"]
        for family, at in self.pairs():
            for machine, link, address in ((self.host, bridge, GATEWAYS[family][at]),
                                           (self.c1, "eth0", FIRST[family][at])):
                text = f"{address}/{LENGTH[family]}"
                machine.run("ip", "addr", "del", text, "dev", link)
                self.assertIn(text, str(self.found()))
                if machine is self.host:
                    path = self.net.endpoint("late").path
                    self.assertIn(address, self.bn.result("attach", "net", "late", "--netns",
                                                          path).stderr)
                self.bn("repair")
                self.assertEqual([], self.found())
                self.assertIn(text, machine.addresses(link, family))
                self.c2.ping(address)

    def test_bridge_made_again(self):
        self.make()
        self.host.run("ip", "link", "del", oracle.network(self.bn, "net")["bridge"])
        self.bn("repair")
        hidden = self.serve(self.c1, HIDDEN)
        for family, at in self.pairs():
            self.assert_tcp(self.c2, FIRST[family][at], HIDDEN, hidden[family])
            self.assert_tcp(self.host, FIRST[family][at], HIDDEN, hidden[family])

    def test_rules_made_again(self):
        """Whatever was taken out comes back, of each address."""
        self.make()
        before = oracle.rules(self.bn)
        if self.backend == "nftables":
            self.host.run("nft", "flush", "table", "inet", "bridgenet")
        else:
            for command in ("iptables-legacy", "ip6tables-legacy"):
                self.host.run(command, "-t", "raw", "-F")
                self.host.run(command, "-t", "nat", "-F")
        codes = str(self.found())
        self.assertIn("rule", codes)
        self.bn("repair")
        self.assertEqual([], self.found())
        self.assertEqual(len(before), len(oracle.rules(self.bn)))
        self.route_to_subnets(self.remote)
        for family, at in self.pairs():
            self.assert_no_tcp(self.remote, FIRST[family][at], 80, timeout=0.15)

    def test_address_of_another(self):
        """Somebody else has the second one."""
        self.make()
        for family, at in self.pairs():
            with self.having(self.host, FIRST[family][at]):
                self.assertIn(FIRST[family][at], str(self.found()))
        self.assertEqual([], self.found())


@for_each_backend
class Lasting(SubnetsTest):
    def test_reboot(self):
        """A definition has them all, in their order."""
        directory = tempfile.mkdtemp(prefix=self.net.prefix)
        self.addCleanup(shutil.rmtree, directory, True)
        option = ("--option", f"persistent-dir={directory}/definitions")
        self.bn(*option, "network", "create", "net", "--persistent", *ARGV, "--ip-range",
                "172.31.0.128/25", "--gateway", "fd00:31::99")
        before = self.bn.json(*option, "network", "inspect", "net")
        state = os.path.join(directory, "state")
        os.mkdir(state)
        host = self.net.namespace("booted")
        host.run("ip", "link", "set", "lo", "up")
        booted = Bn(host, state, self.backend)
        again = booted.json(*option, "network", "inspect", "net")
        self.assertEqual(before["subnets"], again["subnets"])
        namespace = self.net.endpoint("c1")
        booted(*option, "attach", "net", "c1", "--netns", namespace.path)
        self.assertEqual(["172.30.0.2/24", "172.31.0.129/24"],
                         sorted(namespace.addresses("eth0", 4)))
        for gateway in ("172.30.0.1", "172.31.0.128", "fd00:30::1", "fd00:31::99"):
            namespace.ping(gateway)
        booted(*option, "detach", "net", "c1")
        booted(*option, "network", "rm", "net")
        self.assertEqual([], os.listdir(os.path.join(directory, "definitions")))

    def test_switched(self):
        """To the other backend and back: the rules of each address move."""
        self.make()
        hidden = self.serve(self.c1, HIDDEN)
        web = self.serve(self.c1, 80)
        self.route_to_subnets(self.remote)
        other = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}[self.backend]
        for backend in (other, self.backend):
            self.bn("backend", "switch", backend)
            for family, at in self.pairs():
                self.assert_no_tcp(self.remote, FIRST[family][at], HIDDEN, hidden[family], 0.15)
                self.assertIn(
                    self.assert_tcp(self.c2, self.net.host_address(family), WEB, web[family],
                                    OTHER[family][at]), GATEWAYS[family])
