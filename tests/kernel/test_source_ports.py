# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source ports of what leaves with the host's address."""
import contextlib
import mmap
import os
import re
import socket
import struct
import unittest

from forging import find_neighbours
from networks import subnet
from packets import Wire, mac_bytes, udp
from topology import FAMILIES, KernelTest, for_each_backend

SERVER = 5300
FIRST = 20000           # of the ports that are asked from
KEEP = ("--opt", "source-ports=keep")


class PortsTest(KernelTest):
    def make(self, *argv):
        self.create("red", "--subnet", subnet(1, 4), "--subnet", subnet(1, 6), *argv)

    def seen(self, namespace, family, kind):
        """[(port that is asked from, port that the machine outside sees)]"""
        remote, pairs = self.net.address("remote", family), []
        with contextlib.ExitStack() as stack:
            if kind == socket.SOCK_STREAM:
                server = stack.enter_context(self.remote.listen(family, SERVER))
            else:
                server = stack.enter_context(self.remote.udp(family, SERVER))
            for port in range(FIRST, FIRST + 8):
                client = stack.enter_context(namespace.socket(family, kind))
                client.bind(("", port))
                client.connect((remote, SERVER))
                if kind == socket.SOCK_STREAM:
                    taken, peer = server.accept()
                    stack.enter_context(taken)
                else:
                    client.send(b"question")
                    peer = server.recvfrom(64)[1]
                self.assertEqual(self.net.host_address(family), peer[0])
                pairs.append((port, peer[1]))
        return pairs

    def check_all(self, namespace, check):
        for family in FAMILIES:
            # else a connection that looks the same goes on as it was
            self.host.run("conntrack", "-F", "-f", f"ipv{family}")
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with self.subTest(family=family, kind=kind):
                    check(self.seen(namespace, family, kind))


@for_each_backend
class Ports(PortsTest):
    def test_random(self):
        def check(pairs):
            # one of them may be so by chance
            self.assertLess(sum(asked == seen for asked, seen in pairs), 2, pairs)
            steps = {seen - before for (_, before), (_, seen) in zip(pairs, pairs[1:])}
            self.assertGreater(len(steps), 4, pairs)

        self.make()
        self.check_all(self.attach("red", "r1"), check)

    def test_kept(self):
        def check(pairs):
            self.assertEqual([asked for asked, _ in pairs], [seen for _, seen in pairs])

        self.make(*KEEP)
        self.check_all(self.attach("red", "r1"), check)

    def test_kept_where_it_is_free(self):
        """Else another is taken."""
        self.make(*KEEP)
        namespaces = [self.attach("red", f"r{number}") for number in (1, 2)]
        for family in FAMILIES:
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(self.remote.udp(family, SERVER))
                ports = []
                for namespace in namespaces:
                    client = stack.enter_context(namespace.udp(family, FIRST))
                    client.connect((self.net.address("remote", family), SERVER))
                    client.send(b"question")
                    data, peer = server.recvfrom(64)
                    server.sendto(b"answer", peer)
                    self.assertEqual(b"answer", client.recv(64))
                    ports.append(peer[1])
                self.assertEqual(FIRST, ports[0])
                self.assertNotEqual(FIRST, ports[1])


class Asking(PortsTest):
    """Endpoints that ask one server from the same port, each half of them on a processor."""

    ENDPOINTS = 6

    def begin(self, *argv):
        self.make(*argv)
        self.namespaces = [self.attach("red", f"r{number}") for number in range(self.ENDPOINTS)]
        bridge = next(name for name, link in self.host.links().items()
                      if link.get("linkinfo", {}).get("info_kind") == "bridge")
        self.wires = [self.keep(Wire(namespace, self.host.link(bridge)["address"]))
                      for namespace in self.namespaces]
        # so that nobody waits for a neighbour meanwhile
        find_neighbours(self.host, *(self.net.address("remote", family) for family in FAMILIES))
        self.server = {family: self.keep(self.remote.udp(family, SERVER)) for family in FAMILIES}
        for server in self.server.values():
            server.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)       # SO_RCVBUFFORCE

    def frames(self, family, ports):
        """[[(socket, frame) for each endpoint] for each port]"""
        to = self.net.address("remote", family), SERVER
        addresses = [namespace.address(family) for namespace in self.namespaces]
        return [[(wire.socket, mac_bytes(wire.to) + mac_bytes(wire.mac) +
                  struct.pack("!H", 0x800 if family == 4 else 0x86dd) +
                  udp((address, port), to, struct.pack("!HB", port, number)))
                 for number, (wire, address) in enumerate(zip(self.wires, addresses))]
                for port in ports]

    @staticmethod
    def send_in_step(rounds, processor, counters):
        """This processor's half of each round, once the other is there."""
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[processor]})
        for number, frames in enumerate(rounds, 1):
            struct.pack_into("=I", counters, 4 * processor, number)
            while struct.unpack_from("=I", counters, 4 * (1 - processor))[0] < number:
                pass
            for packets, data in frames[processor::2]:
                packets.send(data)

    def lost(self, family, ports):
        """How many questions never came to the server, or their answers never came back."""
        rounds = self.frames(family, ports)
        with mmap.mmap(-1, 4096) as counters:
            child = os.fork()
            if child == 0:
                try:
                    self.send_in_step(rounds, 1, counters)
                finally:
                    os._exit(0)
            before = os.sched_getaffinity(0)
            try:
                self.send_in_step(rounds, 0, counters)
            finally:
                os.sched_setaffinity(0, before)
                os.waitpid(child, 0)
        server, asked = self.server[family], set()
        server.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                data, peer = server.recvfrom(64)
                asked.add(data)
                server.sendto(b"to " + data, peer)
        answered = set()
        for number, wire in enumerate(self.wires):
            answered |= {segment.data[3:] for segment in wire.segments(
                lambda segment: segment.data[:3] == b"to ", 0)}
            wire.frames.clear()
        total = len(ports) * self.ENDPOINTS
        return total - len(asked), total - len(answered)

    def insert_failed(self):
        text = self.host.run("conntrack", "-S").stdout
        return sum(map(int, re.findall(r"\binsert_failed=(\d+)", text)))


@for_each_backend
class AtOnce(Asking):
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "takes two processors")
    def test_hardly_any_is_lost(self):
        """Two may choose one port by chance; those that keep theirs lose one of ten here."""
        self.begin()
        for family in FAMILIES:
            with self.subTest(family=family):
                before = self.insert_failed()
                questions, answers = self.lost(family, range(FIRST, FIRST + 100))
                self.assertEqual(questions, answers)
                self.assertLess(questions, 3)
                self.assertLess(self.insert_failed() - before, 3)


if __name__ == "__main__":
    unittest.main()
