# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forwarding: turned on where it is off, guarded or not, and off again when no network needs it."""
import re

import oracle
from foreign import Forwarding
from library import Library
from topology import FAMILIES, Bn, KernelTest, for_each_backend

KEYS = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
LISTED = ("family", "table", "chain", "target", "protocol", "in_interface", "out_interface",
          "source", "destination", "extra", "purpose")
GUARD = ("--option", "forwarding=guard")


class Settings(KernelTest):
    def forwards(self, value=None):
        """What the host is set to in each family; or set it."""
        return [self.host.sysctl(KEYS[family], value) for family in FAMILIES]

    def guarded(self):
        """For which families the guard drops, in whichever backend's tables."""
        nft = self.host.run("nft", "list", "ruleset").stdout
        stopped = re.search(r"set guard-stopped \{[^}]*elements = \{([^}]*)", nft)
        return [family for family, save in ((4, "iptables"), (6, "ip6tables"))
                if (stopped and f"ipv{family}" in stopped.group(1)) or
                "-A BRIDGENET-GUARD -j DROP" in self.host.run(f"{save}-legacy-save").stdout]

    def settings(self):
        """What making a network changes of the host."""
        return self.host.run("grep", "-r", ".", "/proc/sys/net/ipv4/conf",
                             "/proc/sys/net/ipv6/conf", "--include=*forwarding",
                             "--include=accept_ra", "--include=route_localnet").stdout


@for_each_backend
class GivenBack(Settings):
    def test_with_the_last_network_that_needs_it(self):
        self.forwards(0)
        self.host.sysctl("net/ipv4/conf/eth0/forwarding", 1)
        before = self.settings()
        self.create("blue", dual=True)
        self.create("green")
        self.create("red", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        for name, left in (("blue", "1"), ("red", "1"), ("green", "0")):
            self.bn("network", "rm", name)
            self.assertEqual(left, self.forwards()[0], name)
        self.assertEqual(before, self.settings())

    def test_what_others_turned_on_stays(self):
        self.forwards(1)
        before = self.settings()
        self.create("blue", dual=True)
        self.bn("network", "rm", "blue")
        self.assertEqual(before, self.settings())

    def test_what_another_state_uses_stays(self):
        self.forwards(0)
        self.create("blue", "--subnet", "172.30.0.0/24")
        other = Bn(self.host, self.net.state + "/other", self.backend)
        other("network", "create", "green", "--subnet", "172.31.0.0/24")
        self.bn("network", "rm", "blue")
        self.assertEqual("1", self.forwards()[0])
        other("network", "rm", "green")

    def test_what_another_state_uses_of_one_family(self):
        """By another backend, and another network of this one stays."""
        for backend in ("nftables", "iptables-legacy"):
            other = Bn(self.host, f"{self.net.state}/{backend}", backend)
            for guard in ((), GUARD):
                self.forwards(0)
                self.bn(*guard, "network", "create", "blue", "--subnet", "172.30.0.0/24")
                self.bn(*guard, "network", "create", "six", "--subnet", "fd00:30::/64")
                other("network", "create", "green", "--subnet", "172.31.0.0/24")
                self.bn("network", "rm", "blue")
                self.assertEqual("1", self.forwards()[0], backend)
                self.bn("network", "rm", "six")
                self.assertEqual(["1", "0"], self.forwards(), backend)
                other("network", "rm", "green")
            self.assertEqual([4], self.guarded(), backend)
            # with the next one that finds it off
            self.forwards(0)
            self.create("blue", "--subnet", "172.30.0.0/24")
            self.bn("network", "rm", "blue")
            self.assertEqual(["0", "0"], self.forwards())

    def test_what_is_open_is_said(self):
        self.forwards(0)
        for option, times in (("on", 1), ("guard", 0)):
            library = Library(self.net, self.backend, options={"forwarding": option})
            self.addCleanup(library.close)
            log = library.attach("bridge", "c1", self.net.endpoint("c1"))["log"]
            said = [line for line in log if "between all its interfaces" in line]
            self.assertEqual(times, len(said), log)
            for line in said:
                self.assertIn("forwarding=guard", line)
            self.bn("detach", "bridge", "c1")
            self.bn("network", "rm", "bridge")

    def test_required(self):
        self.forwards(0)
        before = self.settings()
        require = ("--option", "forwarding=require", "network", "create", "blue", "--subnet")
        self.fails(*require, "172.30.0.0/24",
                   mention=("net.ipv4.conf.all.forwarding is 0", "network blue", "set it to 1"))
        self.host.sysctl(KEYS[4], 1)
        self.fails(*require, "172.30.0.0/24", "--subnet", "fd00:30::/64",
                   mention="net.ipv6.conf.all.forwarding is 0")
        self.bn(*require, "172.30.0.0/24")
        self.bn("network", "rm", "blue")
        self.host.sysctl(KEYS[4], 0)
        self.assertEqual(before, self.settings())
        # one that stands has turned it on
        self.create("on", "--subnet", "172.31.0.0/24")
        self.bn(*require, "172.30.0.0/24")


@for_each_backend
class Guarded(Settings):
    """The host forwards for networks alone, and the foreign machines fare as they did before."""

    topology = Forwarding

    def setUp(self):
        super().setUp()
        self.forwards(0)
        self.host.sysctl("net/ipv6/conf/brf/accept_ra", 0)
        self.net.bridge_netfilter(1)
        self.before = self.settings(), oracle.ruleset(self.host)
        self.machines = self.net.machines
        self.servers = {name: self.serve(self.machines[name], 80)
                        for name in ("outside", "inner", "a", "b")}

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.before, (self.settings(), oracle.ruleset(self.host)))

    def reaches(self, client, server, family):
        try:
            self.fetch(self.machines[client], self.net.where(server, family), 80,
                       self.servers[server][family])
        except OSError:
            return False
        return True

    def assert_apart(self):
        """One way is enough: the answer may not come by way of the host."""
        asked = []
        for family in FAMILIES:
            for client, server in (("outside", "inner"), ("inner", "outside"), ("a", "inner")):
                receiver = self.keep(self.machines[server].udp(family))
                sender = self.keep(self.machines[client].udp(family))
                sender.sendto(b"x", (self.net.where(server, family), receiver.getsockname()[1]))
                asked.append(receiver)
            self.assertTrue(self.reaches("a", "b", family))
        for receiver in asked:
            self.assert_silent(receiver, 0.05)

    def assert_served(self, namespace, port, inside=None):
        inside = inside or self.serve(namespace, 80)
        for family in FAMILIES:
            self.assert_tcp(namespace, self.net.where("outside", family), 80,
                            self.servers["outside"][family])
            self.assert_tcp(self.machines["outside"], self.net.host_address(family), port,
                            inside[family])

    def stopped(self):
        return [rule["packets"] for rule in oracle.rules(self.bn, "-v")
                if rule["purpose"].startswith("Packets that neither come from a network nor")]

    def assert_listed(self):
        def shown(*argv):
            return sorted(tuple(str(rule[key]) for key in LISTED)
                          for rule in oracle.rules(self.bn, "-v", *argv))
        self.assertEqual(shown("--plan"), shown())

    def test_nothing_between_others(self):
        self.assert_apart()
        self.bn(*GUARD, "network", "create", "blue", "--subnet", "172.30.0.0/24", "--subnet",
                "fd00:30::/64")
        self.assertEqual("1", self.forwards()[0])
        namespace = self.attach("blue", "c1", "-p", "8080:80")
        self.assert_listed()
        self.assert_served(namespace, 8080)
        self.assertEqual([0, 0], self.stopped())
        self.assert_apart()
        self.assertTrue(all(self.stopped()), self.stopped())
        # one that does not ask for it takes nothing away
        self.create("green", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.bn("detach", "blue", "c1")
        self.bn("network", "rm", "blue")
        self.assert_listed()
        self.assert_served(self.attach("green", "c2", "-p", "8081:80"), 8081)
        self.assert_apart()

    def test_over_what_is_on(self):
        """Forwarding is on for one network, and another asks for the guard."""
        self.create("green", "--subnet", "172.31.0.0/24")
        self.assertTrue(self.reaches("inner", "outside", 4))
        self.bn(*GUARD, "network", "create", "blue", "--subnet", "172.30.0.0/24", "--subnet",
                "fd00:30::/64")
        self.assert_apart()
        self.fails(*GUARD, "network", "create", "bad", "--bridge", "lo", mention="lo")
        self.assert_apart()
        # IPv6 goes, IPv4 stays
        self.bn("network", "rm", "blue")
        self.assert_listed()
        self.assert_apart()

    def test_undone_over_what_is_on(self):
        self.create("green", "--subnet", "172.31.0.0/24")
        self.fails(*GUARD, "network", "create", "bad", "--bridge", "lo", mention="lo")
        self.assertTrue(self.reaches("inner", "outside", 4))

    def test_not_where_others_turned_it_on(self):
        self.forwards(1)
        self.bn(*GUARD, "network", "create", "blue", "--subnet", "172.30.0.0/24", "--subnet",
                "fd00:30::/64")
        for family in FAMILIES:
            self.assertTrue(self.reaches("inner", "outside", family))
        self.bn("network", "rm", "blue")
        self.forwards(0)

    def test_on_somebody_elses_bridge(self):
        """What goes by it is let through, as a network is on it."""
        self.bn(*GUARD, "network", "create", "blue", "--bridge", "brf", "--subnet",
                "172.30.0.0/24", "--subnet", "fd00:30::/64")
        self.assert_listed()
        self.assert_served(self.attach("blue", "c1", "-p", "8080:80"), 8080)
        self.assertTrue(self.reaches("a", "inner", 4))
        self.assert_no_tcp(self.machines["inner"], self.net.where("outside", 4), 80,
                           self.servers["outside"][4])
        for family in FAMILIES:
            self.assertTrue(self.reaches("a", "b", family))

    def test_moved(self):
        other = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}[self.backend]
        self.bn(*GUARD, "network", "create", "blue", "--subnet", "172.30.0.0/24", "--subnet",
                "fd00:30::/64")
        namespace = self.attach("blue", "c1", "-p", "8080:80")
        inside = self.serve(namespace, 80)
        for backend in (other, self.backend):
            Bn(self.host, self.net.state, backend)("backend", "switch", backend)
            self.assert_served(namespace, 8080, inside)
            self.assert_apart()
        self.assert_listed()
