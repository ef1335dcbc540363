# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who reaches whom, as the options of networks say: each network with each other, with the host and
with the outside, both families, all at once."""
import contextlib
import itertools
import socket

import oracle
import packets
from networks import defaults, gateway, subnet
from probes import Probe, Round, Servers
from topology import FAMILIES, KernelTest, for_each_backend

# name: what its endpoint publishes, and its options
NETWORKS = {
    "plain": ("8001:80", ()),
    "other": ("8002:80", ()),
    "internal": (None, ("internal=yes",)),
    "secret": (None, ("internal=yes", "icc=no")),
    "open": ("8003:80", ("gateway-mode-ipv4=nat-unprotected", "gateway-mode-ipv6=nat-unprotected")),
    "routed": ("80", ("gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed")),
    "mixed": ("8004:80", ("gateway-mode-ipv6=routed",)),
    "free": ("8005:80", ("isolate=no",)),
    "freer": ("8006:80", ("isolate=no",)),
    "shy": ("8007:80", ("isolate=yes",)),
    "shyer": ("8008:80", ("isolate=yes", "icc=no")),
}
NAMES = list(NETWORKS)
WHAT = (("tcp", 80), ("udp", 53), ("icmp", 0))
ISOLATE = {"free": "no", "freer": "no", "shy": "yes", "shyer": "yes"}


def is_internal(name):
    return name in ("internal", "secret")


def is_routed(name, family):
    return name == "routed" or (name == "mixed" and family == 6)


def is_open(name, protocol, family):
    """To whoever has a way there."""
    return name == "open" or (is_routed(name, family) and protocol in ("tcp", "icmp"))


def are_peers(one, other):
    found = sorted(ISOLATE.get(name, "strict") for name in (one, other))
    return found in (["no", "no"], ["no", "yes"])


def number(name):
    return 20 + NAMES.index(name)


class PoliciesTest(KernelTest):
    networks = NETWORKS

    def setUp(self):
        super().setUp()
        self.machines = {"host": self.host, "remote": self.remote}
        for name, (port, options) in self.networks.items():
            self.create(name, *itertools.chain.from_iterable(("--opt", one) for one in options),
                        *itertools.chain.from_iterable(("--subnet", subnet(number(name), family))
                                                       for family in FAMILIES))
            self.machines[name] = self.attach(name, "c1", *(("-p", port) if port else ()))
            for family in FAMILIES:
                self.remote.run("ip", "route", "replace", subnet(number(name), family), "via",
                                self.net.host_address(family))
        self.addresses = {(name, family): self.machines[name].address(family)
                          for name in self.networks for family in FAMILIES}
        self.servers = Servers(self.machines)
        self.addCleanup(self.servers.close)

    def tearDown(self):
        for name in self.networks:
            for family in FAMILIES:
                self.remote.run("ip", "route", "del", subnet(number(name), family), check=False)
        super().tearDown()

    def expect(self, table):
        """table: [(probe, what becomes of it)]"""
        results = Round(self.machines, self.servers).ask([probe for probe, _ in table])
        wrong = [f"{probe.name}: {results[probe.name]}, not {wanted}"
                 for probe, wanted in table if results[probe.name] != wanted]
        self.assertEqual([], wrong, f"{len(wrong)} of {len(table)}")

    def answer(self, protocol, server, source):
        return "pong" if protocol == "icmp" else f"{server} saw {source}"

    def forward_policy(self, policy):
        """Of the host's own firewall: where that is another table, a drop there drops ours too."""
        if self.backend == "iptables-legacy":
            for tool in ("iptables-legacy", "ip6tables-legacy"):
                self.host.run(tool, "-P", "FORWARD", policy)

    def bridged(self, value):
        for key in ("iptables", "ip6tables"):
            self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)

    def for_each_host(self):
        """Whatever the policy of FORWARD is, and whether bridged frames pass the IP hooks."""
        for policy, value in itertools.product(("ACCEPT", "DROP"), (0, 1)):
            if policy == "DROP" and self.backend != "iptables-legacy":
                continue
            self.forward_policy(policy)
            self.bridged(value)
            try:
                with self.subTest(policy=policy, bridged=value):
                    yield
            finally:
                self.forward_policy("ACCEPT")
                self.bridged(0)


@for_each_backend
class Matrix(PoliciesTest):
    def source_between(self, client, server, family):
        """Whom the server sees: the host's address there, but where the client's network is
        routed."""
        return self.addresses[client, family] if is_routed(client, family) else \
            gateway(number(server), family)

    def between_networks(self):
        for client, server in itertools.permutations(NAMES, 2):
            for family, (protocol, port) in itertools.product(FAMILIES, WHAT):
                passes = is_open(server, protocol, family) or are_peers(client, server)
                probe = Probe(client, server, family, protocol, self.addresses[server, family],
                              port)
                if is_internal(client):
                    yield probe, "ENETUNREACH"
                elif passes and not is_internal(server):
                    yield probe, self.answer(protocol, server,
                                             self.source_between(client, server, family))
                else:
                    yield probe, "silence"

    def from_outside(self):
        for server, family, (protocol, port) in itertools.product(NAMES, FAMILIES, WHAT):
            passes = is_open(server, protocol, family) and not is_internal(server)
            yield (Probe("remote", server, family, protocol, self.addresses[server, family], port),
                   self.answer(protocol, server, self.net.address("remote", family))
                   if passes else "silence")

    def from_host(self):
        for server, family, (protocol, port) in itertools.product(NAMES, FAMILIES, WHAT):
            yield (Probe("host", server, family, protocol, self.addresses[server, family], port),
                   self.answer(protocol, server, gateway(number(server), family)))

    def to_outside(self):
        for client, family, (protocol, port) in itertools.product(NAMES, FAMILIES, WHAT):
            source = self.addresses[client, family] if is_routed(client, family) else \
                self.net.host_address(family)
            yield (Probe(client, "remote", family, protocol, self.net.address("remote", family),
                         port),
                   "ENETUNREACH" if is_internal(client) else
                   self.answer(protocol, "remote", source))

    def to_gateways(self):
        """An internal network has its host, and its host alone."""
        for client, family, (protocol, port) in itertools.product(NAMES, FAMILIES, WHAT):
            yield (Probe(client, "host", family, protocol, gateway(number(client), family), port),
                   self.answer(protocol, "host", self.addresses[client, family]))

    def test_straight(self):
        for _ in self.for_each_host():
            for table in (self.between_networks, self.from_outside, self.from_host,
                          self.to_outside, self.to_gateways):
                with self.subTest(table=table.__name__):
                    self.expect(list(table()))

    def published(self, server):
        port = NETWORKS[server][0]
        return int(port.partition(":")[0]) if port and ":" in port else None

    def by_published_ports(self):
        """From other networks by each address that the host has, their own gateway and that of the
        other network among them; from outside by the host's own."""
        for client, server in itertools.permutations(NAMES, 2):
            port = self.published(server)
            for family in FAMILIES if port else ():
                for name, address in (("host", self.net.host_address(family)),
                                      ("its gateway", gateway(number(client), family)),
                                      (f"{server}'s gateway", gateway(number(server), family))):
                    # nothing of the host, and nobody there
                    wanted = "ECONNREFUSED" if is_routed(server, family) else \
                        f"{server} saw {self.source_between(client, server, family)}"
                    if is_internal(client):
                        wanted = wanted if name == "its gateway" and is_routed(server, family) \
                            else "silence" if name == "its gateway" else "ENETUNREACH"
                    yield (Probe(client, name, family, "tcp", address, port), wanted)
        for server, family in itertools.product(NAMES, FAMILIES):
            port = self.published(server)
            if port:
                yield (Probe("remote", server, family, "tcp", self.net.host_address(family), port),
                       "ECONNREFUSED" if is_routed(server, family) else
                       f"{server} saw {self.net.address('remote', family)}")

    def test_published(self):
        for _ in self.for_each_host():
            self.expect(list(self.by_published_ports()))

    def test_what_gets_to_the_host_goes_no_further(self):
        """An internal network with a route by its gateway, which somebody has put there."""
        table = []
        for family in FAMILIES:
            self.machines["internal"].run("ip", "route", "add", "default", "via",
                                          gateway(number("internal"), family))
            for protocol, port in WHAT:
                table.append((Probe("internal", "remote", family, protocol,
                                    self.net.address("remote", family), port), "silence"))
                table += [(Probe("internal", server, family, protocol,
                                 self.addresses[server, family], port), "silence")
                          for server in NAMES if server != "internal"]
            table += [(Probe("internal", "host", family, "tcp", self.net.host_address(family),
                             self.published(server)), "silence")
                      for server in NAMES
                      if self.published(server) and not is_routed(server, family)]
        for _ in self.for_each_host():
            self.expect(table)

    def test_the_hosts_own_addresses_there(self):
        """Of the networks that are reached from outside, too: the gateway, and what it hears as
        the broadcast address or as that of all routers, are not for others."""
        table = []
        for name in NAMES:
            own = {4: (gateway(number(name), 4), subnet(number(name), 4).replace(".0/24", ".255")),
                   6: (gateway(number(name), 6), subnet(number(name), 6).replace("/64", ""))}
            for family, (protocol, port) in itertools.product(FAMILIES, WHAT):
                for address in own[family]:
                    # a broadcast is not connected to
                    if not address.endswith(".255"):
                        table.append((Probe("remote", f"{name} {address}", family, protocol,
                                            address, port), "silence"))
        self.expect(table)

    def test_routes_as_told(self):
        for name, family in itertools.product(NAMES, FAMILIES):
            with self.subTest(network=name, family=family):
                found = [via for _, via, _ in defaults(self.machines[name], family)]
                wanted = [] if is_internal(name) else [gateway(number(name), family)]
                self.assertEqual(wanted, found)
        for name in NAMES:
            shown = oracle.endpoint(self.bn, name, "c1")
            told = [route for route in shown["routes"]
                    if route["destination"] in ("0.0.0.0/0", "::/0")]
            self.assertEqual(0 if is_internal(name) else 2, len(told), name)
            self.assertEqual(0 if is_internal(name) else 2, len(shown["gateways"]), name)


@for_each_backend
class Live(PoliciesTest):
    """A policy that changes while it stands is in force for the next connection."""

    networks = {"plain": ("8001:80", ()), "free": ("8005:80", ("isolate=no",))}

    def reach(self, client, wanted):
        """{what: whether the other reaches plain's endpoint so}, in both families."""
        probes = {(family, protocol): Probe(client, "plain", family, protocol,
                                            self.addresses["plain", family], port)
                  for family, (protocol, port) in itertools.product(FAMILIES, WHAT)}
        results = Round(self.machines, self.servers).ask(probes.values())
        found = {protocol: [results[probes[family, protocol].name] != "silence"
                            for family in FAMILIES] for protocol, _ in WHAT}
        self.assertEqual({protocol: [protocol in wanted] * 2 for protocol, _ in WHAT}, found,
                         results)

    def update(self, *options):
        self.bn("network", "update", "plain",
                *itertools.chain.from_iterable(("--opt", one) for one in options))

    def modes(self, mode):
        self.update(f"gateway-mode-ipv4={mode}", f"gateway-mode-ipv6={mode}")

    def test_isolate(self):
        self.reach("free", ())
        for value, wanted in (("yes", ("tcp", "udp", "icmp")), ("strict", ()),
                              ("no", ("tcp", "udp", "icmp")), ("", ())):
            with self.subTest(isolate=value):
                self.update(f"isolate={value}")
                self.reach("free", wanted)
                self.reach("remote", ())

    def test_gateway_mode(self):
        for mode, wanted in (("nat-unprotected", ("tcp", "udp", "icmp")),
                             ("routed", ("tcp", "icmp")), ("nat", ())):
            with self.subTest(mode=mode):
                self.modes(mode)
                for client in ("free", "remote"):
                    self.reach(client, wanted)
                port, = oracle.ports(self.bn, "plain", "c1")
                self.assertEqual("routed" if mode == "routed" else "nat", port["mode_ipv6"])

    def test_routed_without_ports_of_the_host(self):
        self.modes("routed")
        self.bn("publish", "plain", "c1", "-p", "53/udp")
        self.fails("network", "update", "plain", "--opt", "gateway-mode-ipv6=nat",
                   mention="publishes port 53:53/udp")
        self.bn("unpublish", "plain", "c1", "-p", "53/udp")
        self.modes("nat")
        self.reach("free", ())


@for_each_backend
class OneNetwork(KernelTest):
    """Neighbours on one bridge."""

    def neighbours(self, *argv, ports=("8080:80", "8081:80")):
        self.create("net", *argv, dual=True)
        self.machines = {"host": self.host, "remote": self.remote}
        for name, port in zip(("a", "b"), ports):
            self.machines[name] = self.attach("net", name, *(("-p", port) if port else ()))
        self.servers = Servers(self.machines)
        self.addCleanup(self.servers.close)

    def round(self, probes):
        return Round(self.machines, self.servers).ask(probes)

    def probes(self, client, server):
        return [Probe(client, server, family, protocol, self.machines[server].address(family), port)
                for family, (protocol, port) in itertools.product(FAMILIES, WHAT)]

    @contextlib.contextmanager
    def bridged(self):
        for key in ("iptables", "ip6tables"):
            self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", 1)
        try:
            yield
        finally:
            for key in ("iptables", "ip6tables"):
                self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", 0)

    def check_apart(self):
        """By published ports alone, of the neighbour and of oneself; the host is there, and what
        was asked for outside comes back."""
        with self.bridged():
            results = self.round(self.probes("a", "b") + self.probes("b", "a"))
            self.assertEqual({"silence"}, set(results.values()), results)
            out = [Probe("a", "remote", family, protocol, self.net.address("remote", family), port)
                   for family, (protocol, port) in itertools.product(FAMILIES, WHAT)]
            results = self.round(out + self.probes("host", "a"))
            self.assertNotIn("silence", results.values(), results)
        published = [Probe(client, server, family, "tcp", self.net.host_address(family), port)
                     for family in FAMILIES for client in ("a", "b")
                     for server, port in (("a", 8080), ("b", 8081))]
        results = self.round(published)
        for probe in published:
            self.assertIn(f"{probe.server} saw", results[probe.name])

    def test_icc_no(self):
        self.neighbours("--opt", "icc=no")
        self.check_apart()

    def test_icc_no_where_others_are_let_in(self):
        """Nor does what lets in others let in a neighbour."""
        for options in (("gateway-mode-ipv4=nat-unprotected", "gateway-mode-ipv6=nat-unprotected"),
                        ("isolate=no",)):
            with self.subTest(options=options):
                self.neighbours("--opt", "icc=no", *itertools.chain.from_iterable(
                    ("--opt", one) for one in options))
                self.check_apart()
                self.servers.close()
                self.remove_all()
                self.net.drop_endpoints()

    def test_internal(self):
        self.neighbours("--opt", "internal=yes", ports=(None, None))
        for bridged in (contextlib.nullcontext(), self.bridged()):
            with bridged:
                results = self.round(self.probes("a", "b"))
                self.assertEqual([], [name for name, result in results.items()
                                      if result != "pong" and "b saw" not in result], results)

    def test_isolated(self):
        """The host is not on it: neither with an address, nor as a router that says so."""
        self.neighbours("--opt", "internal=yes", "--opt", "gateway-mode-ipv4=isolated",
                        "--opt", "gateway-mode-ipv6=isolated", ports=(None, None))
        bridge = oracle.network(self.bn, "net")["bridge"]
        for family in FAMILIES:
            self.assertEqual([], self.host.addresses(bridge, family, None))
            for name in ("a", "b"):
                self.assertEqual([], self.machines[name].default_routes(family))
        self.assertEqual("1", self.host.sysctl(f"net/ipv6/conf/{bridge}/disable_ipv6"))
        for bridged in (contextlib.nullcontext(), self.bridged()):
            with bridged:
                results = self.round(self.probes("a", "b"))
                self.assertEqual([], [name for name, result in results.items()
                                      if result != "pong" and "b saw" not in result], results)
        results = self.round(self.probes("host", "a"))
        self.assertEqual([], [name for name, result in results.items()
                              if "saw" in result or result == "pong"], results)
        self.send_to_the_host(bridge)

    def send_to_the_host(self, bridge):
        """What is put on the wire for it does not get there either, as if from a neighbour."""
        server = self.keep(self.host.udp(4, 5354))
        with self.machines["a"]:
            raw = self.keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        raw.bind(("eth0", 0))
        mac = [bytes.fromhex(namespace.link(name)["address"].replace(":", ""))
               for namespace, name in ((self.host, bridge), (self.machines["a"], "eth0"))]
        raw.send(mac[0] + mac[1] + b"\x08\0" +
                 packets.udp((self.machines["a"].address(4), 9), (self.net.host_address(4), 5354),
                             b"let me in"))
        self.assert_silent(server)

    def test_isolated_in_one_family(self):
        self.neighbours("--opt", "internal=yes", "--opt", "gateway-mode-ipv6=isolated",
                        ports=(None, None))
        results = self.round(self.probes("host", "a"))
        for probe in self.probes("host", "a"):
            passes = "saw" in results[probe.name] or results[probe.name] == "pong"
            self.assertEqual(probe.family == 4, passes, results)

    def test_multicast_in_an_internal_network(self):
        """Which no rule about the subnet would let pass, where bridged frames meet the rules."""
        self.neighbours("--opt", "internal=yes", ports=(None, None))
        with self.bridged():
            group = self.keep(self.machines["b"].udp(4, 5353))
            index = int(self.machines["b"].link("eth0")["ifindex"])
            group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                             socket.inet_aton("224.0.0.251") + socket.inet_aton("0.0.0.0")
                             + index.to_bytes(4, "little"))
            sender = self.keep(self.machines["a"].udp(4, address=self.machines["a"].address(4)))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                              socket.inet_aton(self.machines["a"].address(4)))
            sender.sendto(b"to all", ("224.0.0.251", 5353))
            self.assertEqual(b"to all", group.recv(64))
