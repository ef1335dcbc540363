# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a bridge of ours and its ports are to the kernel."""
import os
import struct
import unittest

import frames
import oracle
from topology import BACKENDS, FAMILIES, KernelTest, for_backend

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
LEARNED_MAX = 16384     # lib/link/bridge.c
UNUSED = 0x88b5         # an EtherType that is nobody's


class BridgeTest(KernelTest):
    """The packet filter has no part in it."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.bridge = oracle.network(self.bn, "net")["bridge"]


@for_backend(BACKENDS[0])
class Learned(BridgeTest):
    def flood(self, namespace, count):
        """Frames for nobody, each from an address of its own."""
        sender = self.keep(frames.packet_socket(namespace, "eth0"))
        for i in range(count):
            sender.send(frames.mac_bytes("02:00:00:00:00:01") + struct.pack(
                "!HIH", 0x02ee, i, UNUSED) + bytes(46))

    def learned(self):
        lines = self.host.run("bridge", "fdb", "show", "br", self.bridge).stdout.splitlines()
        return [line for line in lines if "permanent" not in line]

    def is_learned(self, namespace):
        mac = namespace.link("eth0")["address"]
        return any(mac in line for line in self.learned())

    def check_reached(self, namespace, neighbour):
        for family in FAMILIES:
            for server, client in ((namespace, self.host), (namespace, neighbour),
                                   (neighbour, namespace)):
                with self.subTest(family=family, server=server.name, client=client.name):
                    listener = self.keep(server.listen(family, 80))
                    self.assert_tcp(client, server.address(family), 80, listener)
                    listener.close()

    def test_no_more_than_the_limit(self):
        flooder, known = self.attach("net", "flooder"), self.attach("net", "known")
        for family in FAMILIES:
            known.run("ping", "-n", "-c1", "-W1", GATEWAY[family])
        self.assertTrue(self.is_learned(known))
        self.flood(flooder, 2 * LEARNED_MAX)
        release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
        count = len(self.learned())
        if release < (6, 7):
            self.skipTest(f"Linux {release} has no limit: {count} are learned")
        self.assertIn(count, range(LEARNED_MAX - 1, LEARNED_MAX + 1))
        self.check_reached(known, flooder)
        # nothing is learned of one that comes later, and so it is flooded to
        late = self.attach("net", "late", "-p", "8080:80")
        self.assertFalse(self.is_learned(late))
        self.check_reached(late, known)
        for family in FAMILIES:
            listener = self.keep(late.listen(family, 80))
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, listener)
            listener.close()


if __name__ == "__main__":
    unittest.main()
