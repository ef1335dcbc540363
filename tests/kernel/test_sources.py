# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets whose source is not where it belongs, and those that belong to no connection."""
import contextlib
import re
import unittest

import oracle
from forging import BEYOND, COLLUDER, SERVICE, SourcesTest, under
from networks import gateway, subnet
from packets import (ACK, ECHO_REPLY, FIN, PSH, RST, SYN, TCP, UDP, URG, Connection, Wire, echo,
                     tcp, udp)
from topology import FAMILIES, PATIENCE, for_each_backend, wait_until

UNPUBLISHED = {UDP: 53, TCP: 80}
OWN = {UDP: 6053, TCP: 6080}
NOWHERE = {4: "203.0.113.9", 6: "2001:db8:77::9"}


class Forgery:
    """What one machine sends, with sources that it does not have, to many destinations."""

    def __init__(self, test, wire, own, family):
        self.test = test
        self.wire = wire
        self.own = own
        self.family = family
        self.host_server = test.keep(test.host.udp(family, SERVICE))

    def close(self):
        self.host_server.close()

    def destinations(self, colluder):
        """{where: address and port}, all those that a packet may be for."""
        here = self.test.net.host_address(self.family)
        return {"the outside": (self.test.net.address("remote", self.family), colluder),
                "the host": (here, SERVICE),
                "the gateway of blue": (gateway(2, self.family), SERVICE),
                "the gateway of red": (gateway(1, self.family), SERVICE),
                "a port of r1": (here, 8080), "a port of b1": (here, 8090),
                "r1": (self.test.red.address(self.family), UNPUBLISHED[UDP])}

    def send(self, what, source, colluder, ports):
        """To all of them, UDP and TCP; each says in its data what it is."""
        for where, to in self.destinations(colluder).items():
            tag = f"<{what} to {where}".encode()
            self.wire.send(udp((source, ports[UDP]), to, tag + b", UDP>"))
            self.wire.send(tcp((source, ports[TCP]), to, SYN, tag + b", TCP>", 1000))

    def heard(self, wires):
        """What was sent and came to somebody."""
        found = set()
        self.host_server.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.add(self.host_server.recv(128).decode())
        for wire in wires:
            for segment in wire.segments(lambda segment: segment.data[:1] == b"<"):
                found.add(re.match(rb"<[^>]*>", segment.data)[0].decode())
        return found

    def to_own(self, wires, where):
        """What came of others when all with the right source, sent after them, did."""
        self.send("own", self.own, COLLUDER, OWN)
        wanted = {f"<own to {place}, {protocol}>" for place in where for protocol in ("UDP", "TCP")
                  # for UDP the host has a socket, and nobody looks at its SYNs
                  if protocol == "UDP" or place[:5] not in ("the h", "the g")}
        heard = set()

        def arrived():
            heard.update(self.heard(wires))
            return wanted <= heard
        with contextlib.suppress(AssertionError):
            wait_until(arrived)
        self.test.assertEqual(set(), wanted - heard, "not heard")
        return {text for text in heard if not text.startswith("<own")}


class ForgeryTest(SourcesTest):
    """r1 serves on ports that it does not publish, which nobody is to reach."""

    def setUp(self):
        super().setUp()
        self.serve_unpublished()
        for namespace in (self.remote, self.attacker, self.blue):
            self.mute(namespace)
        self.wires = {"the outside": self.wire(self.remote), "r1": self.wire(self.red),
                      "b1": self.wire(self.blue)}
        for family, flag in ((4, "-4"), (6, "-6")):
            self.host.run("ip", flag, "route", "add", "unreachable", NOWHERE[family])

    def tearDown(self):
        for family, flag in ((4, "-4"), (6, "-6")):
            self.host.run("ip", flag, "route", "del", "unreachable", NOWHERE[family])
        super().tearDown()

    def mute(self, namespace):
        """Its kernel says nothing about packets that its sockets know nothing of."""
        namespace.run("nft", "-f", "-", stdin=f"""
            table inet mute {{
                chain input {{
                    type filter hook input priority 0;
                    meta l4proto {{ tcp, udp }} th dport {{ 82, {COLLUDER}-{COLLUDER + 99} }} drop
                }}
            }}""")
        if namespace not in self.net.endpoints:
            self.addCleanup(namespace.run, "nft", "delete", "table", "inet", "mute")

    def serve_unpublished(self):
        self.listeners = self.serve(self.red, UNPUBLISHED[TCP])
        self.servers = {family: self.keep(self.red.udp(family, UNPUBLISHED[UDP]))
                        for family in FAMILIES}

    def flows(self, family, sources):
        """Entries of the host's for packets from one of the addresses."""
        lines = oracle.conntrack(self.host, "-f", f"ipv{family}").values()
        found = [re.findall(r"\b(?:src|dst|sport|dport|type)=(\S+)", line) for line in lines]
        # those of TCP and UDP: it has groups to tell of to multicast routers as well
        return [f"flow {' '.join(words)}" for words in found
                if len(words) == 8 and words[0] in sources]

    def answers(self, family):
        """{(wire, source, destination, protocol)} for packets that were forged as r1's."""
        here, r1 = self.net.host_address(family), self.red.address(family)
        outside = "the outside", (self.net.address("remote", family), COLLUDER)
        ways = {(*way, (address, port), protocol) for protocol, port in UNPUBLISHED.items()
                for way, address in ((outside, here),
                                     (("b1", (self.blue.address(family), 82)), r1))}
        # by the addresses and ports that they came from
        for name in ("the outside", "b1"):
            ways |= {(name, segment.destination, segment.source, segment.protocol) for segment in
                     self.wires[name].segments(lambda segment: segment.data[:3] == b"<r1")}
        return ways

    def reached(self, family):
        """By whom r1 is reached at ports that it does not publish."""
        found = []
        connections = {}
        for name, source, destination, protocol in self.answers(family):
            text = f"{name} by {source} to {destination}"
            if protocol == UDP:
                self.wires[name].send(udp(source, destination, text.encode()))
            else:
                connections[text] = Connection(self.wires[name], source, destination)
        for text, connection in connections.items():
            # all of them had this time
            if connection.opened(0.02):
                connection.ask(text.encode())
                found.append(f"connected, {text}")
        found += self.accepted(family)
        server = self.servers[family]
        server.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(f"heard by UDP, {server.recv(128).decode()}")
        return found

    def accepted(self, family):
        """What is asked by TCP connections to the unpublished port, whose answers are taken."""
        found = []
        listener = self.listeners[family]
        listener.settimeout(0.02)
        while True:
            try:
                taken, _ = listener.accept()
            except TimeoutError:
                return found
            with taken, contextlib.suppress(OSError):
                taken.settimeout(0.2)
                question = taken.recv(256)
                taken.sendall(b"answer to " + question)
                if any(wire.segments(lambda segment: segment.data == b"answer to " + question,
                                     1, 0.2) for wire in self.wires.values()):
                    found.append(f"talked by TCP, {question.decode()}")

    def check(self, wire, own, sources, where, family):
        """None of the sources gets anything through, and what is right all does."""
        with contextlib.closing(Forgery(self, wire, own, family)) as forgery:
            for number, (what, source) in enumerate(sources.items()):
                forgery.send(what, source, COLLUDER + number, UNPUBLISHED)
            complaints = sorted(forgery.to_own(self.wires.values(), where))
        complaints += self.flows(family, set(sources.values())) + self.reached(family)
        for watched in self.wires.values():
            watched.frames.clear()
        self.host.run("conntrack", "-F", "-f", f"ipv{family}")
        self.assertEqual([], complaints)


@for_each_backend
class FromAnEndpoint(ForgeryTest):
    """b1 sends with sources of all kinds; a colluder outside, or b1 itself, waits for them."""

    WHERE = ("the outside", "the host", "the gateway of blue", "the gateway of red",
             "a port of r1", "a port of b1")

    def sources(self, family):
        found = {"r1": self.red.address(family), "gateway of blue": gateway(2, family),
                 "gateway of red": gateway(1, family), "host": self.net.host_address(family),
                 "attacker": self.net.address("attacker", family), "beyond": BEYOND[family],
                 "nowhere": NOWHERE[family]}
        # but the subnet's own broadcast address, which lies there as its neighbours do
        if family == 4:
            return found | {"loopback": "127.0.0.2", "zero": "0.0.0.0",
                            "limited broadcast": "255.255.255.255",
                            "broadcast of red": "172.30.1.255",
                            "multicast": "224.0.0.9", "multicast, wide": "239.1.1.1"}
        return found | {"loopback": "::1", "zero": "::",
                        "multicast": "ff02::9", "multicast, wide": "ff0e::9"}

    def check_under(self, **conditions):
        with under(self, **conditions):
            for family in FAMILIES:
                sources = self.sources(family)
                if family == 6 and conditions.get("netfilter"):
                    # IPv6 drops these when it routes, which comes after the bridge
                    del sources["multicast"], sources["multicast, wide"]
                if family == 6 and self.backend == "iptables-legacy":
                    # the match rpfilter lets it pass, whatever it is for; nobody has the answers
                    del sources["zero"]
                with self.subTest(family=family):
                    self.check(self.wires["b1"], self.blue.address(family), sources, self.WHERE,
                               family)

    def check_by_hand(self):
        """What the attacks use gets through where it may."""
        wire = self.wires["the outside"]
        for family in FAMILIES:
            listener = self.serve(self.red, 82, (family,))[family]
            connection = Connection(wire, (self.net.address("remote", family), COLLUDER),
                                    (self.net.host_address(family), 8080))
            self.assertTrue(connection.opened())
            connection.ask(b"question")
            with listener.accept()[0] as server:
                self.assertEqual(b"question", server.recv(64))
                server.sendall(b"answer")
                self.assertEqual(b"answer", connection.heard())

    def test_forged(self):
        self.check_by_hand()
        self.check_under()
        self.check_under(netfilter=1, policy="DROP")
        self.check_under(rp_filter=2)

    def test_of_the_family_that_a_network_lacks(self):
        """Whatever an endpoint there gives itself in that family, it belongs nowhere."""
        for number, family, lacking, nobody in ((3, 4, 6, "fd00:99::9"), (4, 6, 4, "172.30.99.9")):
            name = f"only{family}"
            self.create(name, "--subnet", subnet(number, family))
            namespace = self.attach(name, name)
            wire = self.wire(namespace, self.host.link(
                oracle.network(self.bn, name)["bridge"])["address"])
            sources = self.sources(lacking) | {"nobody": nobody}
            if lacking == 6 and self.backend == "iptables-legacy":
                del sources["zero"]
            wires = self.wires.values()
            for watched in wires:
                watched.frames.clear()
            with self.subTest(lacking=lacking), \
                    contextlib.closing(Forgery(self, wire, None, lacking)) as forgery, \
                    contextlib.closing(Forgery(self, wire, namespace.address(family),
                                               family)) as right:
                for colluder, (what, source) in enumerate(sources.items(), COLLUDER):
                    forgery.send(what, source, colluder, UNPUBLISHED)
                complaints = right.to_own(wires, ("the outside",)) | {
                    text for text in forgery.heard(wires) if not text.startswith("<own")}
                self.assertEqual([], sorted(complaints) +
                                 self.flows(lacking, set(sources.values())))

    def test_neighbour(self):
        """Within its subnet an endpoint's source is its own affair."""
        neighbour = self.attach("blue", "b2")
        wire, outside = self.wires["b1"], self.wires["the outside"]
        for family in FAMILIES:
            wire.send(udp((neighbour.address(family), 53),
                          (self.net.address("remote", family), COLLUDER), b"neighbour"))
            (segment,) = outside.segments(
                lambda segment: segment.data == b"neighbour" and
                segment.source[0] == self.net.host_address(family), 1, PATIENCE)
            server = self.keep(neighbour.udp(family, 53))
            outside.send(udp(segment.destination, segment.source, b"answer"))
            self.assertEqual(b"answer", server.recv(64))
            outside.frames.clear()


@for_each_backend
class FromOutside(ForgeryTest):
    """An outsider sends as an endpoint; another outsider, or an endpoint, waits for it.

    There is an adopted bridge too, br5, with the network green, and a machine behind its uplink.
    """

    def setUp(self):
        super().setUp()
        self.machine = self.net.namespace("machine")
        self.host.batch("link add br5 address 02:00:00:00:05:01 type bridge\nlink set br5 up\n"
                        f"link add up5 type veth peer name eth0 netns {self.machine.name}\n"
                        "link set up5 master br5 up\n")
        self.machine.batch("link set eth0 up\naddr add 172.30.5.77/24 dev eth0\n"
                           "addr add fd00:35::77/64 dev eth0 nodad\n")
        self.create("green", "--bridge", "br5", "--subnet", subnet(5, 4), "--subnet",
                    subnet(5, 6))
        self.green = self.attach("green", "g1")

    def left_over(self):
        self.host.batch("link del up5\nlink del br5\n")
        self.net.namespaces.remove(self.machine)
        self.machine.delete()
        return super().left_over()

    def sources(self, family):
        return {"r1": self.red.address(family), "b1": self.blue.address(family),
                "gateway of red": gateway(1, family), "gateway of blue": gateway(2, family),
                "of red, nobody's": "172.30.1.99" if family == 4 else "fd00:31::99"}

    WHERE = ("the host", "a port of r1", "a port of b1")

    def test_from_the_link(self):
        wire = self.wire(self.attacker)
        for conditions in ({}, {"netfilter": 1, "policy": "DROP"}, {"rp_filter": 2}):
            with under(self, **conditions):
                for family in FAMILIES:
                    with self.subTest(family=family):
                        sources = self.sources(family) | {"g1": self.green.address(family)}
                        self.check(wire, self.net.address("attacker", family), sources,
                                   self.WHERE, family)

    def test_from_the_uplink_of_an_adopted_bridge(self):
        wire = self.wire(self.machine, "02:00:00:00:05:01")
        own = {4: "172.30.5.77", 6: "fd00:35::77"}
        for conditions in ({}, {"netfilter": 1, "policy": "DROP"}):
            with under(self, **conditions):
                for family in FAMILIES:
                    with self.subTest(family=family):
                        self.check(wire, own[family], self.sources(family), self.WHERE, family)


@for_each_backend
class Invalid(SourcesTest):
    """What belongs to no connection, and could not be translated, stays where it came from."""

    def packets(self, source, family):
        """To the machine outside; each says what it is."""
        to = (self.net.address("remote", family), COLLUDER)

        def stray(name):
            return b"stray " + name.encode()

        found = [tcp((source, 6080), to, flags, stray(name), 5000, 5000)
                 for name, flags in (("RST", RST), ("FIN", FIN), ("SYN ACK", SYN | ACK),
                                     ("none", 0), ("all", FIN | SYN | RST | PSH | ACK | URG),
                                     ("RST ACK", RST | ACK), ("bare ACK", ACK))]
        return found + [tcp((source, 6081), to, SYN, stray("wrong sum"), wrong_sum=True),
                        echo(source, to[0], ECHO_REPLY, stray("echo reply"))]

    def test_out_of_the_network(self):
        wire, outside = self.wire(self.blue), self.wire(self.remote)
        # else a bare ACK begins a connection, and is translated
        self.host.sysctl("net/netfilter/nf_conntrack_tcp_loose", 0)
        try:
            for conditions in ({}, {"netfilter": 1}, {"policy": "DROP"}):
                for family in FAMILIES:
                    with under(self, **conditions), self.subTest(family=family):
                        for data in self.packets(self.blue.address(family), family):
                            wire.send(data)
                        wire.send(udp((self.blue.address(family), 9),
                                      (self.net.address("remote", family), COLLUDER), b"own"))
                        self.assertTrue(outside.segments(
                            lambda segment: segment.data == b"own", 1, PATIENCE))
                        strays = outside.seen(lambda frame: b"stray " in frame.data, 0.03)
                        self.assertEqual([], [frame.data.split(b"stray ")[1] for frame in strays])
                        outside.frames.clear()
        finally:
            self.host.sysctl("net/netfilter/nf_conntrack_tcp_loose", 1)

    def check_middle_of_a_connection(self):
        """One that the host did not see begin goes on, with the host's address."""
        wire, outside = self.wire(self.blue), self.wire(self.remote)
        for family in FAMILIES:
            wire.send(tcp((self.blue.address(family), 6082),
                          (self.net.address("remote", family), COLLUDER), ACK, b"middle", 9, 9))
            (segment,) = outside.segments(lambda segment: segment.data == b"middle", 1, PATIENCE)
            self.assertEqual(self.net.host_address(family), segment.source[0])
            outside.frames.clear()

    def check_between_neighbours(self):
        """Theirs is no affair of the host's."""
        neighbour = self.attach("blue", "b2")
        wire = self.wire(self.blue, neighbour.link("eth0")["address"])
        heard = self.keep(Wire(neighbour, "00:00:00:00:00:00"))
        to = (neighbour.address(4), COLLUDER)
        for netfilter in (0, 1):
            with under(self, netfilter=netfilter):
                wire.send(tcp((self.blue.address(4), 6080), to, RST, b"<RST", 5000, 5000))
                self.assertTrue(heard.segments(lambda segment: segment.data == b"<RST", 1,
                                               PATIENCE))
                heard.frames.clear()

    def test_what_goes_on(self):
        self.check_middle_of_a_connection()
        self.check_between_neighbours()


if __name__ == "__main__":
    unittest.main()
