# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source that others see of what leaves a network, and who may send straight to endpoints."""
import contextlib
import shutil
import tempfile
import unittest

import legacy
import oracle
from forging import under
from networks import gateway, subnet
from topology import FAMILIES, PATIENCE, Bn, KernelTest, for_backend, for_each_backend, wait_until

OFF = ("--opt", "masquerade=no")
SERVER = 6000           # of the machine outside
ASPECTS = [(rp_filter, netfilter, policy) for policy in ("ACCEPT", "DROP")
           for rp_filter, netfilter in ((0, 0), (1, 1), (2, 0))]


class RoutedTest(KernelTest):
    """The machines outside have a route to the networks, by way of the host."""

    def make(self, *argv, name="red", number=1):
        self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6), *argv)
        for machine in (self.remote, self.attacker):
            for family in FAMILIES:
                machine.run("ip", "route", "replace", subnet(number, family), "via",
                            self.net.host_address(family))

    def outside(self, kind="udp"):
        """A server on the machine outside, for each family."""
        make = self.remote.udp if kind == "udp" else self.remote.listen
        return {family: self.keep(make(family, SERVER)) for family in FAMILIES}

    def assert_seen_as(self, client, expected):
        """What the machine outside sees of both protocols, and the answers come."""
        for family in FAMILIES:
            # else a connection that looks the same goes on as it was
            self.host.run("conntrack", "-F", "-f", f"ipv{family}")
            remote = self.net.address("remote", family)
            self.assertEqual(expected[family], self.assert_udp(client, remote, SERVER,
                                                               self.datagrams[family]))
            self.assertEqual(expected[family], self.assert_tcp(client, remote, SERVER,
                                                               self.listeners[family]))

    def serve_outside(self):
        self.datagrams, self.listeners = self.outside("udp"), self.outside("tcp")

    @staticmethod
    def own(namespace):
        return {family: namespace.address(family) for family in FAMILIES}

    @property
    def host_addresses(self):
        return {family: self.net.host_address(family) for family in FAMILIES}

    def assert_unheard(self, client, address, port, server):
        """Neither a datagram nor an echo request gets there."""
        made = self.keep(client.udp(6 if ":" in address else 4))
        made.sendto(b"unasked", (address, port))
        self.assert_silent(server, 0.1)
        self.assertFalse(client.pings(address))

    def serve_inside(self, namespace, port=80):
        """{family: (listener, server of datagrams)}"""
        return {family: (self.serve(namespace, port, (family,))[family],
                         self.keep(namespace.udp(family, port))) for family in FAMILIES}

    def assert_closed(self, namespace, servers, clients, port=80):
        """Nobody begins a connection straight to the endpoint, and the host does."""
        for family, (listener, server) in servers.items():
            with self.subTest(family=family):
                address = namespace.address(family)
                self.assert_tcp(self.host, address, port, listener)
                for client in clients:
                    self.assert_no_tcp(client, address, port, listener)
                    self.assert_unheard(client, address, port, server)


@for_each_backend
class MasqueradeOff(RoutedTest):
    def setUp(self):
        super().setUp()
        self.make(*OFF)
        self.namespace = self.attach("red", "c1", "-p", "8080:80")

    def test_the_source_is_kept(self):
        self.serve_outside()
        for aspect in ASPECTS:
            with under(self, *aspect):
                self.assert_seen_as(self.namespace, self.own(self.namespace))

    def test_errors_come_back(self):
        """That nobody listens there, from the machine itself."""
        for family in FAMILIES:
            client = self.keep(self.namespace.udp(family))
            client.connect((self.net.address("remote", family), 9))
            client.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                client.recv(64)

    def test_nobody_else_begins(self):
        servers = self.serve_inside(self.namespace)
        for aspect in ASPECTS[::3]:
            with under(self, *aspect):
                self.assert_closed(self.namespace, servers, (self.remote, self.attacker))

    def test_only_answers(self):
        """Of one machine outside, and not of its neighbour."""
        server = self.outside()
        for family in FAMILIES:
            client = self.keep(self.namespace.udp(family, 7000))
            client.sendto(b"question", (self.net.address("remote", family), SERVER))
            self.assertEqual(self.namespace.address(family), server[family].recvfrom(64)[1][0])
            other = self.keep(self.attacker.udp(family, SERVER))
            other.sendto(b"forged", (self.namespace.address(family), 7000))
            server[family].sendto(b"answer", (self.namespace.address(family), 7000))
            self.assertEqual(b"answer", client.recv(64))
            self.assert_silent(client, 0.1)

    def test_published_port(self):
        """With the source of who asks, of endpoints too, and the way back is found."""
        listeners = self.serve(self.namespace, 80)
        neighbour = self.attach("red", "c2")
        for family in FAMILIES:
            host = self.net.host_address(family)
            self.assertEqual(self.net.address("remote", family),
                             self.assert_tcp(self.remote, host, 8080, listeners[family]))
            for client in (self.namespace, neighbour):
                self.assertEqual(gateway(1, family),
                                 self.assert_tcp(client, host, 8080, listeners[family]))
        self.assertEqual(gateway(1, 4), self.assert_tcp(self.host, "127.0.0.1", 8080, listeners[4]))

    def test_between_networks(self):
        """By published ports alone; the source is kept that way, too."""
        self.make(name="blue", number=2)
        blue = self.attach("blue", "b1", "-p", "8090:80")
        for client, server, port, seen in (
                (self.namespace, blue, 8090, self.own(self.namespace)),
                (blue, self.namespace, 8080, {family: gateway(1, family) for family in FAMILIES})):
            listeners = self.serve(server, 80)
            for family in FAMILIES:
                with self.subTest(server=server.name, family=family):
                    self.assertEqual(seen[family], self.assert_tcp(
                        client, self.net.host_address(family), port, listeners[family]))
                    self.assert_no_tcp(client, server.address(family), 80, listeners[family])

    def test_the_hosts_own_addresses_are_closed(self):
        """The gateway is there for the network and for others of the library."""
        self.make(name="blue", number=2)
        blue = self.attach("blue", "b1")
        for family in FAMILIES:
            with self.subTest(family=family):
                server = self.keep(self.host.udp(family, 5300, gateway(1, family)))
                for client in (self.namespace, blue):
                    self.assert_udp(client, gateway(1, family), 5300, server)
                self.assert_unheard(self.attacker, gateway(1, family), 5300, server)

    def test_broadcast_of_the_subnet(self):
        last = subnet(1, 4).replace("0/24", "255")
        with self.host:
            server = self.keep(self.host.udp(4, 5301))
        made = self.keep(self.attacker.udp(4))
        made.setsockopt(1, 6, 1)        # SO_BROADCAST
        made.sendto(b"everybody", (last, 5301))
        self.assert_silent(server, 0.1)
        self.assertEqual([1], [rule["packets"] for rule in oracle.rules(self.bn, "-v")
                               if rule["destination"] == last])

    def test_forged_sources(self):
        """Nobody outside is taken for an endpoint."""
        neighbour = subnet(1, 4).replace("0/24", "66")
        self.attacker.run("ip", "addr", "add", f"{neighbour}/32", "dev", "eth0")
        self.addCleanup(self.attacker.run, "ip", "addr", "del", f"{neighbour}/32", "dev", "eth0")
        listeners = self.serve(self.namespace, 80)
        client = self.keep(self.attacker.socket(4, timeout=0.25))
        client.bind((neighbour, 0))
        with self.assertRaises(OSError):
            client.connect((self.net.host_address(4), 8080))
        listeners[4].settimeout(0)
        self.assertRaises(OSError, listeners[4].accept)

    def test_the_rules_load_again(self):
        if self.backend == "nftables":
            listing = ("nft", "-s", "list", "ruleset")      # without what counts meanwhile
            before = self.host.run(*listing).stdout
            self.host.run("nft", "-f", "-", stdin="flush ruleset\n" + before)
            self.assertEqual(before, self.host.run(*listing).stdout)
        self.serve_outside()
        self.assert_seen_as(self.namespace, self.own(self.namespace))


@for_each_backend
class Snat(RoutedTest):
    """The address is the host's second one."""

    def setUp(self):
        super().setUp()
        self.serve_outside()

    def made(self, *argv, families=FAMILIES):
        for family in families:
            argv += ("--opt", f"snat-ipv{family}={self.net.HOST_SECOND[family]}")
        self.make(*argv)
        return self.attach("red", "c1", "-p", "8080:80")

    def test_the_address_that_is_seen(self):
        namespace = self.made()
        for aspect in ASPECTS:
            with under(self, *aspect):
                self.assert_seen_as(namespace, self.net.HOST_SECOND)

    def test_of_that_network_and_family_alone(self):
        namespace = self.made(families=(4,))
        self.make(name="blue", number=2)
        self.assert_seen_as(namespace, {4: self.net.HOST_SECOND[4], 6: self.net.host_address(6)})
        self.assert_seen_as(self.attach("blue", "b1"), self.host_addresses)

    def test_source_ports(self):
        for ports, same in (("keep", True), ("random", False)):
            with self.subTest(ports=ports):
                namespace = self.made("--opt", f"source-ports={ports}")
                for family in FAMILIES:
                    seen = []
                    for port in range(20000, 20004):
                        client = self.keep(namespace.udp(family, port))
                        client.sendto(b"question", (self.net.address("remote", family), SERVER))
                        peer = self.datagrams[family].recvfrom(64)[1]
                        self.assertEqual(self.net.HOST_SECOND[family], peer[0])
                        seen.append(peer[1] == port)
                    self.assertEqual(same, all(seen), seen)
                self.bn("detach", "red", "c1")
                self.bn("network", "rm", "red")

    def test_nothing_else_is_translated(self):
        """Who asks a published port is seen as before; endpoints are closed as before."""
        namespace = self.made()
        servers = self.serve_inside(namespace)
        for family in FAMILIES:
            self.assertEqual(self.net.address("remote", family), self.assert_tcp(
                self.remote, self.net.host_address(family), 8080, servers[family][0]))
            self.assertEqual(gateway(1, family), self.assert_tcp(
                namespace, self.net.host_address(family), 8080, servers[family][0]))
        self.assert_closed(namespace, servers, (self.remote,))

    def test_an_address_that_the_host_does_not_have(self):
        """Is told to the log, and taken all the same."""
        # bn shows the log to who sets an option of the context
        result = self.bn.result("--option", "forwarding=on", "network", "create", "red", "--ipv6",
                                "--opt", "snat-ipv4=203.0.113.5",
                                "--opt", f"snat-ipv6={self.net.HOST_SECOND[6]}")
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertRegex(result.stderr, r"network red has the address 203\.0\.113\.5, which is none")
        self.assertNotIn(self.net.HOST_SECOND[6], result.stderr)
        client = self.keep(self.attach("red", "c1").udp(4))
        client.sendto(b"question", (self.net.address("remote", 4), SERVER))
        self.assertEqual("203.0.113.5", self.datagrams[4].recvfrom(64)[1][0])

    def test_refused(self):
        for option, mention in (("masquerade=no", "masquerade=no"), ("internal=yes", "internal")):
            self.fails("network", "create", "red", "--opt", "snat-ipv4=192.0.2.11", "--opt", option,
                       mention=("snat-ipv4", mention))
        self.fails("network", "create", "red", "--opt", "snat-ipv4=2001:db8::1",
                   mention=("snat-ipv4", "2001:db8::1"))


@for_each_backend
class Excluded(RoutedTest):
    """The link that the host is on is excluded, and what is beyond it is not."""

    BEYOND = {4: "198.51.100.9", 6: "2001:db8:99::9"}

    def setUp(self):
        super().setUp()
        for family in FAMILIES:
            words = ("addr", "add", f"{self.BEYOND[family]}/{32 if family == 4 else 128}",
                     "dev", "lo")
            self.remote.run("ip", *words)
            self.addCleanup(self.remote.run, "ip", "addr", "del", *words[2:])
        self.serve_outside()

    def assert_beyond_seen_as(self, client, expected):
        for family in FAMILIES:
            self.assertEqual(expected[family], self.assert_tcp(
                client, self.BEYOND[family], SERVER, self.listeners[family]))

    def test_who_is_seen(self):
        self.make("--opt", "nat-exclude=192.0.2.0/24,2001:db8:1::/64,192.0.2.128/25")
        namespace = self.attach("red", "c1", "-p", "8080:80")
        servers = self.serve_inside(namespace)
        for aspect in ASPECTS:
            with under(self, *aspect):
                self.assert_seen_as(namespace, self.own(namespace))
                self.assert_beyond_seen_as(namespace, self.host_addresses)
        self.assert_closed(namespace, servers, (self.remote, self.attacker))

    def test_one_family(self):
        """The other is left as it is, and closed before connection tracking."""
        self.make("--opt", "nat-exclude=2001:db8:1::/64")
        namespace = self.attach("red", "c1")
        self.assert_seen_as(namespace, {4: self.net.host_address(4), 6: namespace.address(6)})
        self.assertEqual({("raw", "ipv4"), ("mangle", "ipv6")},
                         {(rule["table"], rule["family"]) for rule in oracle.rules(self.bn, "-v")
                          if rule["destination"] == namespace.address(
                              4 if rule["family"] == "ipv4" else 6)})

    def test_all_with_an_address(self):
        self.make("--opt", "nat-exclude=0.0.0.0/0", "--opt",
                  f"snat-ipv6={self.net.HOST_SECOND[6]}")
        namespace = self.attach("red", "c1")
        expected = {4: namespace.address(4), 6: self.net.HOST_SECOND[6]}
        self.assert_seen_as(namespace, expected)
        self.assert_beyond_seen_as(namespace, expected)

    def test_refused(self):
        self.fails("network", "create", "red", "--opt", "nat-exclude=10.0.0.0/8", *OFF,
                   mention=("nat-exclude", "masquerade=no"))


VPN = {4: ("10.8.0.1/24", "10.8.0.2/24"), 6: ("fd08::1/64", "fd08::2/64")}
VPN_NETS = "10.8.0.0/24,fd08::/64"


class TrustTest(RoutedTest):
    """Ports 80 and 81 of an endpoint, of both protocols, of which the first is published."""

    PORTS = ("-p", "8080:80", "-p", "8080:80/udp")

    def made(self, *options, ports=PORTS):
        self.make(*(word for option in options for word in ("--opt", option)))
        self.namespace = self.attach("red", "c1", *ports)
        self.published = self.serve_inside(self.namespace)
        self.unpublished = self.serve_inside(self.namespace, 81)

    @contextlib.contextmanager
    def vpn(self):
        """A machine beyond another interface of the host, with a route to the network."""
        machine = self.net.endpoint("vpn")
        self.host.batch(f"link add vpn0 type veth peer name eth0 netns {machine.name}\n"
                        "link set vpn0 up\n")
        try:
            machine.batch("link set eth0 up\n")
            for family in FAMILIES:
                for where, name, address in ((self.host, "vpn0", VPN[family][0]),
                                             (machine, "eth0", VPN[family][1])):
                    where.settle(name)
                    where.run("ip", "addr", "add", address, "dev", name,
                              *(("nodad",) if family == 6 else ()))
                machine.run("ip", "route", "add", subnet(1, family), "via",
                            VPN[family][0].split("/")[0])
            yield machine
        finally:
            self.host.run("ip", "link", "del", "vpn0")

    def assert_direct(self, client, source=None):
        """It reaches what is published, and that alone."""
        for family in FAMILIES:
            with self.subTest(client=client.name, family=family):
                address = self.namespace.address(family)
                own = source[family] if source else client.address(family)
                listener, server = self.published[family]
                self.assertEqual(own, self.assert_tcp(client, address, 80, listener))
                self.assertEqual(own, self.assert_udp(client, address, 80, server))
                listener, server = self.unpublished[family]
                self.assert_no_tcp(client, address, 81, listener)
                self.assert_unheard(client, address, 81, server)

    def assert_not_direct(self, *clients):
        self.assert_closed(self.namespace, self.published, clients)

    def assert_gateway_closed(self, *clients):
        for family in FAMILIES:
            server = self.keep(self.host.udp(family, 5300, gateway(1, family)))
            for client in clients:
                self.assert_unheard(client, gateway(1, family), 5300, server)


@for_each_backend
class Trusted(TrustTest):
    def check(self, trusted):
        with self.vpn() as machine:
            self.made(f"trusted={trusted}")
            self.serve_outside()
            for aspect in ASPECTS:
                with under(self, *aspect):
                    self.assert_direct(machine)
                    # nothing else has changed
                    self.assert_seen_as(self.namespace, self.host_addresses)
            self.assert_not_direct(self.remote, self.attacker)
            self.assert_gateway_closed(machine, self.remote)

    def test_interface(self):
        self.check("vpn0")

    def test_networks(self):
        self.check(VPN_NETS)

    def test_networks_without_masquerade(self):
        with self.vpn() as machine:
            self.made(f"trusted={VPN_NETS}", "masquerade=no")
            self.serve_outside()
            self.assert_direct(machine)
            self.assert_seen_as(self.namespace, self.own(self.namespace))
            self.assert_not_direct(self.remote, self.attacker)

    def test_others_names_for_it(self):
        with self.vpn() as machine:
            self.made("com.docker.network.bridge.trusted_host_interfaces=none9:vpn0")
            self.assert_direct(machine)
            self.assert_not_direct(self.remote)

    def test_forged(self):
        """Who claims to be where the network trusts, but is elsewhere."""
        def dropped():
            return sorted(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                          if "rpfilter" in rule["extra"] and
                          rule["source"] in VPN_NETS.split(","))

        with self.vpn():
            self.made(f"trusted={VPN_NETS}")
            for count, family in enumerate(FAMILIES, 1):
                forged = VPN[family][1].split("/")[0][:-1] + "9"
                words = (f"{forged}/{32 if family == 4 else 128}", "dev", "eth0")
                self.attacker.run("ip", "addr", "add", *words, *(("nodad",) * (family == 6)))
                client = self.keep(self.attacker.udp(family, address=forged))
                client.sendto(b"forged", (self.namespace.address(family), 80))
                # it is sent once the neighbour is known, from an address that is there still
                wait_until(lambda count=count: sum(dropped()) == count, what="the drop")
                self.attacker.run("ip", "addr", "del", *words)
                self.assert_silent(self.published[family][1], 0.1)
            self.assertEqual([1, 1], dropped())

    def test_one_family(self):
        """The other is closed before connection tracking, as ever."""
        with self.vpn() as machine:
            self.made("trusted=fd08::/64")
            self.assert_tcp(machine, self.namespace.address(6), 80, self.published[6][0])
            self.assert_no_tcp(machine, self.namespace.address(4), 80, self.published[4][0])

    def test_for_the_host_alone(self):
        """A port of a loopback address is not for those whom the network trusts."""
        with self.vpn() as machine:
            self.made("trusted=vpn0", ports=("-p", "127.0.0.1:8080:80"))
            self.assert_no_tcp(machine, self.namespace.address(4), 80, self.published[4][0])

    def test_unpublished_again(self):
        with self.vpn() as machine:
            self.made("trusted=vpn0,none9")
            self.assert_direct(machine)
            self.bn("unpublish", "red", "c1", "-p", "8080:80")
            for family in FAMILIES:
                self.assert_no_tcp(machine, self.namespace.address(family), 80,
                                   self.published[family][0])
                self.assert_udp(machine, self.namespace.address(family), 80,
                                self.published[family][1])

    def test_one_port_twice(self):
        """One rule says that it is open; it would go with the first of the two."""
        self.made("trusted=none9")
        self.fails("publish", "red", "c1", "-p", "8081:80", mention=("8081:80", "8080:80", "red"))
        self.bn("publish", "red", "c1", "-p", "127.0.0.1:8081:80", "-p", "8082:82")

    def test_others_of_the_library(self):
        """A network that is strict does not get there by way of the trust in others."""
        self.make(name="blue", number=2)
        blue = self.attach("blue", "b1")
        self.made("trusted=none9", "isolate=yes")
        self.assert_not_direct(blue, self.remote)


@for_each_backend
class DirectRouting(TrustTest):
    def test_everybody(self):
        self.made("direct-routing=yes")
        self.serve_outside()
        for aspect in ASPECTS:
            with under(self, *aspect):
                for client in (self.remote, self.attacker):
                    self.assert_direct(client)
                self.assert_seen_as(self.namespace, self.host_addresses)
        self.assert_gateway_closed(self.remote)

    def test_forged(self):
        """As a neighbour of the endpoint."""
        self.made("direct-routing=yes")
        for family in FAMILIES:
            forged = subnet(1, family).replace("0/24", "66").replace("/64", "66")
            words = (f"{forged}/{32 if family == 4 else 128}", "dev", "eth0")
            self.attacker.run("ip", "addr", "add", *words, *(("nodad",) * (family == 6)))
            client = self.keep(self.attacker.udp(family, address=forged))
            client.sendto(b"forged", (self.namespace.address(family), 80))
            self.attacker.run("ip", "addr", "del", *words)
            self.assert_silent(self.published[family][1], 0.1)

    def test_for_the_host_alone(self):
        self.made("direct-routing=yes", ports=("-p", "127.0.0.1:8080:80"))
        self.assert_no_tcp(self.remote, self.namespace.address(4), 80, self.published[4][0])


@for_each_backend
class Updated(TrustTest):
    """Of a network that stands, with a connection each way."""

    def update(self, *options):
        self.bn("network", "update", "red",
                *(word for option in options for word in ("--opt", option)))

    def held(self):
        """[(one end, the other)] of connections that are to go on"""
        pairs = []
        for family in FAMILIES:
            for client, address, port, listener in (
                    (self.namespace, self.net.address("remote", family), SERVER,
                     self.listeners[family]),
                    (self.remote, self.net.host_address(family), 8080, self.published[family][0])):
                made = self.connect(client, address, port)
                listener.settimeout(PATIENCE)
                pairs.append((made, self.keep(listener.accept()[0])))
        return pairs

    def assert_goes_on(self, pairs):
        for ends in pairs:
            for one, other in (ends, ends[::-1]):
                one.sendall(b"still there")
                other.settimeout(PATIENCE)
                self.assertEqual(b"still there", other.recv(64))

    def test_each_in_its_turn(self):
        self.made()
        self.serve_outside()
        pairs = self.held()
        second = self.net.HOST_SECOND
        for options, seen in (
                (("masquerade=no",), self.own(self.namespace)),
                (("masquerade=",), self.host_addresses),
                ((f"snat-ipv4={second[4]}", f"snat-ipv6={second[6]}"), second),
                (("nat-exclude=192.0.2.0/24",), {4: self.namespace.address(4), 6: second[6]}),
                (("nat-exclude=", "snat-ipv4=", "snat-ipv6="), self.host_addresses)):
            with self.subTest(options=options):
                self.update(*options)
                self.assert_goes_on(pairs)
                self.datagrams = {family: self.datagrams[family] for family in FAMILIES}
                for family in FAMILIES:
                    remote = self.net.address("remote", family)
                    self.assertEqual(seen[family], self.assert_tcp(
                        self.namespace, remote, SERVER, self.listeners[family]))
                self.assert_not_direct(self.remote, self.attacker)

    def test_trust(self):
        with self.vpn() as machine:
            self.made()
            self.serve_outside()
            pairs = self.held()
            self.assert_not_direct(machine)
            self.update("trusted=vpn0")
            self.assert_direct(machine)
            self.assert_not_direct(self.remote)
            self.update("direct-routing=yes", "trusted=")
            self.assert_direct(self.remote)
            self.update("direct-routing=no")
            self.assert_not_direct(machine, self.remote)
            self.assert_goes_on(pairs)


@for_backend("iptables-legacy")
class Mangle(RoutedTest):
    def test_it_is_left_alone(self):
        """A host that has no rules in that table gets them with the first network that needs them;
        to ask for a table makes it, so nobody must before."""
        host = self.net.endpoint("fresh")
        state = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, state)
        bn = Bn(host, state, self.backend)

        def tables():
            with host:
                return [open(f"/proc/self/net/{ip}_tables_names").read().split()
                        for ip in ("ip", "ip6")]

        bn("network", "create", "red", "--ipv6")
        bn("attach", "red", "c1", "--netns", self.net.endpoint("c1").path, "-p", "8080:80")
        bn("detach", "red", "c1")
        for names in tables():
            self.assertEqual({"filter", "nat", "raw"}, set(names))
        bn("network", "create", "blue", "--ipv6", *OFF)
        for names in tables():
            self.assertIn("mangle", names)
        for name in ("red", "blue"):
            bn("network", "rm", name)
        for save in legacy.SAVE.values():
            self.assertNotIn("-A", host.run(save).stdout)


if __name__ == "__main__":
    unittest.main()
