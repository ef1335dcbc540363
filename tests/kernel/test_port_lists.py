# SPDX-License-Identifier: LGPL-2.1-or-later
"""allow-from and deny-from: who reaches a published port, and who does not."""
import unittest

import oracle
from topology import FAMILIES, KernelTest, Topology, for_each_backend

NEAR = {4: "192.0.2.2", 6: "2001:db8:1::2"}      # remote
FAR = {4: "192.0.2.3", 6: "2001:db8:1::3"}       # attacker
BOTH = "192.0.2.0/24,2001:db8:1::/64"


class ListsTest(KernelTest):
    """A network of both families, and an endpoint c1 on it that serves."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")
        self.servers = self.serve(self.namespace, 80)

    def publish(self, spec, *options, verb=("publish",)):
        return self.bn(*verb, "net", "c1", "-p", spec,
                       *(word for option in options for word in ("--port-opt", option)))

    def update(self, spec, *options):
        return self.bn("publish", "net", "c1", "--update", "-p", spec,
                       *(word for option in options for word in ("--port-opt", option)))

    def assert_who(self, port, families=FAMILIES, remote=True, attacker=True, host=True,
                   address=None):
        """Who reaches the port."""
        for family in families:
            target = (address or self.net.host_address)(family)
            for client, is_let in ((self.remote, remote), (self.attacker, attacker),
                                   (self.host, host)):
                with self.subTest(family=family, client=client.name):
                    if is_let:
                        self.assert_tcp(client, target, port, self.servers[family])
                    else:
                        self.assert_no_tcp(client, target, port, self.servers[family])


@for_each_backend
class Lists(ListsTest):
    def test_allowed_only(self):
        self.publish("8080:80", f"allow-from={NEAR[4]},{NEAR[6]}")
        self.publish("8081:80")
        self.assert_who(8080, attacker=False)
        self.assert_who(8081)

    def test_denied(self):
        self.publish("8080:80", f"deny-from={FAR[4]},{FAR[6]}")
        self.assert_who(8080, attacker=False)

    def test_deny_wins(self):
        self.publish("8080:80", f"allow-from={BOTH}", f"deny-from={NEAR[4]},{NEAR[6]}")
        self.assert_who(8080, remote=False)

    def test_overlapping_networks(self):
        self.publish("8080:80", f"allow-from=192.0.2.0/24,192.0.2.0/30,{NEAR[4]},192.0.0.0/16,"
                     f"2001:db8:1::/64,{NEAR[6]},::/1", "deny-from=192.0.2.3/32,192.0.2.2/31,"
                     f"{FAR[6]}")
        self.assert_who(8080, families=(4,), remote=False, attacker=False)
        self.assert_who(8080, families=(6,), attacker=False)

    def test_a_list_of_one_family_says_nobody_of_the_other(self):
        self.publish("8080:80", f"allow-from={NEAR[4]}")
        self.assert_who(8080, families=(4,), attacker=False)
        self.assert_who(8080, families=(6,), remote=False, attacker=False)

    def test_everybody_and_nobody(self):
        self.publish("8080:80", "allow-from=0.0.0.0/0,::/0")
        self.assert_who(8080)
        self.publish("8081:80", "deny-from=0.0.0.0/0,::/0")
        self.assert_who(8081, remote=False, attacker=False)

    def test_two_ports_of_one_place(self):
        """What is said of one mapping is not said of another that leads to the same."""
        self.publish("8080:80", f"allow-from={NEAR[4]},{NEAR[6]}")
        self.publish("8081:80", f"allow-from={FAR[4]},{FAR[6]}")
        self.assert_who(8080, attacker=False)
        self.assert_who(8081, remote=False)

    def test_the_same_port_of_two_addresses(self):
        def second(family):
            return Topology.HOST_SECOND[family]
        for family in FAMILIES:
            for address, who in ((self.net.host_address(family), NEAR), (second(family), FAR)):
                host = address if family == 4 else f"[{address}]"
                self.publish(f"{host}:8080:80", f"allow-from={who[family]}")
        self.assert_who(8080, attacker=False)
        self.assert_who(8080, remote=False, address=second)

    def test_refused_is_silent_and_never_the_hosts_own_listener(self):
        own = self.keep(self.host.listen(4, 8080))
        self.bn("publish", "net", "c1", "--over-listener", "-p", "8080:80", "--port-opt",
                f"allow-from={NEAR[4]}")
        self.assert_who(8080, families=(4,), attacker=False)
        own.settimeout(0)
        self.assertRaises(OSError, own.accept)

    def test_of_port_53(self):
        """Which in other chains is a question for a name: changed, and gone again."""
        self.publish("53:80", f"allow-from={NEAR[4]},{NEAR[6]}")
        self.assert_who(53, attacker=False)
        self.update("53:80", f"allow-from={FAR[4]},{FAR[6]}")
        self.assert_who(53, remote=False)
        self.bn("unpublish", "net", "c1", "-p", "53:80")
        left = [rule for rule in self.bn.json("rules", "-v")
                if rule["source"] in (NEAR[4], FAR[4], NEAR[6], FAR[6])]
        self.assertEqual([], left)

    def test_udp(self):
        for family in FAMILIES:
            server = self.keep(self.namespace.udp(family, 53))
            self.publish(f"{8050 + family}:53/udp", f"allow-from={NEAR[family]}")
            address = self.net.host_address(family)
            self.assert_udp(self.remote, address, 8050 + family, server)
            client = self.keep(self.attacker.udp(family))
            client.sendto(b"question", (address, 8050 + family))
            self.assert_silent(server)

    def test_a_range(self):
        self.bn("publish", "net", "c1", "-p", "8000-8004:78-82", "--port-opt",
                f"allow-from={NEAR[4]},{NEAR[6]}")
        self.assert_who(8002, attacker=False)

    def test_endpoints_are_sources_as_others_are(self):
        self.create("two", "--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")
        neighbour, other = self.attach("net", "c2"), self.attach("two", "c3")
        self.publish("8080:80", f"allow-from={neighbour.address(4)},{neighbour.address(6)}")
        self.publish("8081:80", f"allow-from={other.address(4)},{other.address(6)}")
        for family in FAMILIES:
            address = self.net.host_address(family)
            self.assert_tcp(neighbour, address, 8080, self.servers[family])
            self.assert_no_tcp(other, address, 8080, self.servers[family])
            self.assert_no_tcp(self.namespace, address, 8080, self.servers[family])
            self.assert_tcp(other, address, 8081, self.servers[family])
            self.assert_no_tcp(neighbour, address, 8081, self.servers[family])

    def test_the_host_is_always_allowed(self):
        self.publish("8080:80", "deny-from=0.0.0.0/0,::/0")
        self.assert_tcp(self.host, "127.0.0.1", 8080, self.servers[4])
        for family in FAMILIES:
            self.assert_tcp(self.host, self.net.host_address(family), 8080, self.servers[family])

    def test_gone_with_the_port(self):
        rules = len(oracle.rules(self.bn))
        self.publish("8080:80", f"allow-from={BOTH}", f"deny-from={FAR[4]}")
        self.publish("127.0.0.1:8082:80", f"deny-from={FAR[4]}")
        self.assertGreater(len(oracle.rules(self.bn)), rules + 5)
        self.assertEqual(oracle.rules(self.bn), oracle.rules(self.bn, "--plan"))
        self.bn("unpublish", "net", "c1", "-p", "8080:80", "-p", "127.0.0.1:8082:80")
        self.assertEqual(rules, len(oracle.rules(self.bn)))
        self.publish("8080:80", f"allow-from={BOTH}")
        self.bn("detach", "net", "c1")
        self.assertEqual([], [rule for rule in oracle.rules(self.bn) if rule["endpoint"] == "c1"])

    def test_with_the_endpoint(self):
        namespace = self.net.endpoint("c9")
        self.bn("attach", "net", "c9", "--netns", namespace.path, "-p", "8090:80", "--port-opt",
                f"allow-from={NEAR[4]}", "-p", "8091:80")
        ports = {port["host_port"]: port["options"] for port in oracle.ports(self.bn, "net", "c9")}
        self.assertEqual({8090: {"allow-from": NEAR[4]}, 8091: {}}, ports)
        server = self.serve(namespace, 80, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8090, server)
        self.assert_no_tcp(self.attacker, self.net.host_address(4), 8090, server)
        self.assert_tcp(self.attacker, self.net.host_address(4), 8091, server)

    def test_nobody_gets_past_them(self):
        """No list where some reach the endpoint at its own address, and no such option where there
        are lists."""
        ways = ("direct-routing=yes", "trusted=eth0", "trusted=192.0.2.0/24,2001:db8:1::/64",
                "gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed",
                "gateway-mode-ipv4=nat-unprotected")
        for number, way in enumerate(ways):
            with self.subTest(way=way):
                name = f"way{number}"
                self.bn("network", "create", name, "--subnet", f"172.30.{number + 40}.0/24",
                        "--subnet", f"fd00:{number + 40}::/64", "--opt", way)
                space = self.net.endpoint(f"e{number}")
                port = ("-p", "8080:80", "--port-opt", f"deny-from={FAR[4]}")
                self.fails("attach", name, f"e{number}", "--netns", space.path, *port,
                           mention=way.split("=")[0])
                self.bn("attach", name, f"e{number}", "--netns", space.path)
                self.fails("publish", name, f"e{number}", *port, mention=way.split("=")[0])
        self.publish("8080:80", f"deny-from={FAR[4]},{FAR[6]}")
        for way in ways:
            with self.subTest(live=way):
                self.fails("network", "update", "net", "--opt", way, mention="8080:80")
        self.assert_who(8080, attacker=False)
        self.update("8080:80")
        self.bn("network", "update", "net", "--opt", "direct-routing=yes")

    def test_for_this_host_alone_there_is_no_way_round(self):
        self.publish("127.0.0.1:8080:80", f"deny-from={FAR[4]}")
        self.bn("network", "update", "net", "--opt", "direct-routing=yes", "--opt", "trusted=eth0")

    def test_refused(self):
        for option, mention in (("allow-from=junk", "junk"), ("allow-from=192.0.2.1/24", "allow-from"),
                                ("deny-from=192.0.2.0/33", "deny-from"),
                                ("alow-from=192.0.2.0/24", "allow-from"),
                                ("label.x=1", "label.x")):
            with self.subTest(option=option):
                self.fails("publish", "net", "c1", "-p", "8080:80", "--port-opt", option,
                           mention=mention)
        self.assertEqual({}, self.oracle.ports())


@for_each_backend
class Update(ListsTest):
    def test_in_one_step_and_connections_stay(self):
        self.publish("8080:80", f"allow-from={FAR[4]},{FAR[6]}")
        lasting = {}
        for family in FAMILIES:
            lasting[family] = self.connect(self.attacker, self.net.host_address(family), 8080)
            self.converse(lasting[family], self.servers[family])
            lasting[family, "server"] = self.server_side
        self.update("8080:80", f"allow-from={NEAR[4]},{NEAR[6]}")
        self.assert_who(8080, attacker=False)
        for family in FAMILIES:
            lasting[family].sendall(b"still here")
            self.assertEqual(b"still here", lasting[family, "server"].recv(64))
        self.update("8080:80")
        self.assert_who(8080)
        self.update("8080:80", f"deny-from={NEAR[4]},{NEAR[6]}")
        self.assert_who(8080, remote=False)
        self.assertEqual(oracle.rules(self.bn), oracle.rules(self.bn, "--plan"))
        (port,) = oracle.ports(self.bn, "net", "c1")
        self.assertEqual({"deny-from": f"{NEAR[4]},{NEAR[6]}"}, port["options"])

    def test_counters_stay(self):
        self.publish("8080:80")
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.servers[4])
        self.update("8080:80", f"deny-from={FAR[4]}")
        counts = [rule["packets"] for rule in oracle.rules(self.bn, "-v")
                  if rule["target"] == "DNAT" and "dpt:8080" in rule["extra"]]
        self.assertEqual(1, sum(counts))

    def test_of_a_port_that_is_not_there(self):
        self.publish("8080:80")
        for spec in ("8081:80", "8080:81", "8080:80/udp", "127.0.0.1:8080:80"):
            self.fails("publish", "net", "c1", "--update", "-p", spec, "--port-opt",
                       f"deny-from={FAR[4]}", mention=spec.split(":")[-2])
        self.fails("publish", "net", "c1", "--update", "--over-listener", "-p", "8080:80")
        self.assert_who(8080, families=(4,))

    def test_many_at_once(self):
        self.publish("8000-8009:70-79", f"deny-from={FAR[4]}")
        self.bn("publish", "net", "c1", "-p", "8080:80", "-p", "8081:80")
        self.bn("publish", "net", "c1", "--update", "-p", "8081:80", "--port-opt",
                f"deny-from={FAR[4]},{FAR[6]}", "-p", "8080:80", "--port-opt",
                f"deny-from={NEAR[4]},{NEAR[6]}", "-p", "8000-8009:70-79")
        self.assert_who(8080, remote=False)
        self.assert_who(8081, attacker=False)
        self.assertEqual(oracle.rules(self.bn), oracle.rules(self.bn, "--plan"))


if __name__ == "__main__":
    unittest.main()
