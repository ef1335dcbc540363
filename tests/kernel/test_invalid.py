# SPDX-License-Identifier: LGPL-2.1-or-later
"""A segment that fits no connection, for a published port, is not answered by the host; others'
are, as they were without the library."""
import oracle
from packets import ACK, PSH, RST, SYN, TCP, Wire, tcp
from topology import FAMILIES, PATIENCE, KernelTest, for_backend

# far beyond any window
WILD = 0x40000000
CLOSED = 8081


@for_backend("nftables")
class Invalid(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.wire = Wire(self.remote, self.host.link("eth0")["address"])
        self.addCleanup(self.wire.close)

    def resets(self, source, port, count=0, seconds=0.25):
        return self.wire.segments(
            lambda segment: segment.protocol == TCP and segment.flags & RST and
            segment.source[1] == port and segment.destination[1] == source, count, seconds)

    def dropped(self):
        return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                   if rule["chain"] == "unconnected" and rule["target"] == "DROP")

    def counted(self):
        return [rule["packets"] for rule in oracle.rules(self.bn, "-v")
                if rule["target"] == "DNAT"]

    def talk(self, family, address, published=8080):
        """A connection to a published port, and segments that do not fit it: it goes on."""
        listener = self.serve(self.namespace, 80, (family,))[family]
        client = self.connect(self.remote, address, published)
        self.converse(client, listener)
        source = client.getsockname()
        before, counts = self.dropped(), self.counted()
        for flags in (ACK, PSH | ACK, SYN | ACK):
            self.wire.send(tcp((source[0], source[1]), (address, published), flags, b"",
                               WILD,
                               WILD))
        self.assertEqual([], self.resets(source[1], published))
        self.assertGreater(self.dropped(), before)
        self.assertEqual(counts, self.counted(), "what fits no connection came by no mapping")
        client.sendall(b"more")
        self.assertEqual(b"more", self.server_side.recv(64))
        self.server_side.sendall(b"answer")
        self.assertEqual(b"answer", client.recv(64))
        listener.close()

    def test_of_every_address(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.talk(family, self.net.host_address(family))

    def test_of_one_address(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                address = self.net.HOST_SECOND[family]
                bound = f"[{address}]" if family == 6 else address
                self.bn("publish", "net", "c1", "-p", f"{bound}:8090:80")
                self.talk(family, address, 8090)
                # the same port of another address is nobody's
                self.answered(family, self.net.host_address(family), 8090)

    def answered(self, family, address, port):
        """By a reset, as the kernel does."""
        source = 20000 + port + family
        before = self.dropped()
        self.wire.send(tcp((self.net.address("remote", family), source), (address, port),
                           SYN | ACK, b"", 1000, WILD))
        self.assertEqual(1, len(self.resets(source, port, 1, PATIENCE)))
        self.assertEqual(before, self.dropped())

    def test_others_are_answered(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.answered(family, self.net.host_address(family), CLOSED)
                self.keep(self.host.listen(family, 7000))
                self.answered(family, self.net.host_address(family), 7000)

    def test_no_longer_once_it_is_unpublished(self):
        for family in FAMILIES:
            self.talk(family, self.net.host_address(family))
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        for family in FAMILIES:
            self.answered(family, self.net.host_address(family), 8080)


@for_backend("iptables-legacy")
class OfTheAdministrator(KernelTest):
    """There it takes a rule of the administrator's, which the README has."""
    RULE = ("INPUT", "-p", "tcp", "--dport", "8080", "-m", "conntrack", "--ctstate", "INVALID",
            "-j", "DROP")

    def test_dropped(self):
        self.create()
        namespace = self.attach("net", "c1", "-p", "8080:80")
        address = self.net.host_address(4)
        wire = Wire(self.remote, self.host.link("eth0")["address"])
        self.addCleanup(wire.close)
        self.serve(namespace, 80, (4,))
        source = self.connect(self.remote, address, 8080).getsockname()
        self.host.run("iptables-legacy", "-I", *self.RULE)
        try:
            for port in (8080, CLOSED):
                wire.send(tcp(source, (address, port), SYN | ACK, b"", WILD, WILD))
            answers = wire.segments(
                lambda segment: segment.protocol == TCP and segment.flags & RST and
                segment.destination[1] == source[1], 2, 0.5)
        finally:
            self.host.run("iptables-legacy", "-D", *self.RULE)
        self.assertEqual([CLOSED], [segment.source[1] for segment in answers])
