# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a network is somebody else's already: the host's own, or another state's."""
import tempfile
import unittest

from topology import Bn, KernelTest, for_each_backend


@for_each_backend
class HostSubnet(KernelTest):
    """A subnet that the host is in: an endpoint would get the address of its router."""
    LINKS = ("lan", "tunnel", "port", "br9")

    def setUp(self):
        super().setUp()
        self.host.batch("link add lan type veth peer name lan-peer\nlink set lan-peer up\n"
                        "link set lan up\naddr add 10.200.2.9/24 dev lan\n"
                        "addr add 10.7.0.1 peer 10.7.1.1/32 dev lan\n"
                        "addr add fd09:9::9/64 dev lan nodad\n"
                        "addr add 198.51.100.9/32 dev lan\n"
                        "route add 198.51.100.128/25 dev lan\n"
                        "route add 10.66.0.0/16 via 203.0.113.77 dev lan onlink\n"
                        "link add br9 address 02:00:00:00:00:09 type bridge\n"
                        "link add port type veth peer name port-peer\nlink set port master br9\n"
                        "addr add 10.9.0.1/24 dev br9\naddr add 10.9.5.1/24 dev port\n"
                        "tuntap add tunnel mode tun\nlink set tunnel up\n"
                        "addr add 10.8.0.2/24 dev tunnel\nroute add 10.0.0.0/9 dev tunnel\n"
                        "route add 0.0.0.0/1 dev tunnel\naddr add 10.99.0.1/24 dev lo\n")

    def tearDown(self):
        try:
            self.remove_all()
        finally:
            for name in self.LINKS:
                self.host.run("ip", "link", "del", name, check=False)
            self.host.run("ip", "addr", "del", "10.99.0.1/24", "dev", "lo", check=False)
            super().tearDown()

    def test_refused(self):
        for subnet, taken, interface in (
                ("10.200.2.0/24", "10.200.2.9/24", "lan"), ("10.200.2.64/26", "10.200.2.9/24", "lan"),
                ("10.200.0.0/16", "10.200.2.9/24", "lan"), ("10.7.0.0/24", "10.7.0.1/32", "lan"),
                ("10.7.1.0/24", "10.7.1.1/32", "lan"),
                ("fd09:9::/64", "fd09:9::9/64", "lan"),
                ("fd09::/16", "fd09:9::9/64", "lan"),
                ("198.51.100.0/28", "198.51.100.9/32", "lan"),
                ("198.51.100.160/28", "198.51.100.128/25", "lan"),
                ("203.0.113.0/24", "203.0.113.77/32", "lan"),
                ("10.8.0.0/28", "10.8.0.2/24", "tunnel"), ("10.9.0.0/24", "10.9.0.1/24", "br9"),
                ("10.9.5.0/24", "10.9.5.1/24", "port")):
            with self.subTest(subnet=subnet):
                self.fails("network", "create", "net", "--subnet", subnet,
                           mention=f"subnet {subnet} overlaps {taken} on the host's own interface "
                                   f"{interface}; ")
        self.fails("network", "create", "net", "--bridge", "br9", "--subnet", "10.9.5.0/24",
                   mention="port")
        self.fails("network", "create", "net", "--subnet", "172.30.0.0/24", "--subnet",
                   "fd09:9::/80", mention="fd09:9::9/64")

    def test_taken(self):
        """What tunnels are given as routes, what lo has, and the bridge that is adopted."""
        for argv in (("--subnet", "10.50.0.0/24"), ("--subnet", "10.66.0.0/24"),
                     ("--subnet", "10.99.0.0/24"), ("--subnet", "10.9.0.0/24", "--bridge", "br9"),
                     ("--subnet", "10.200.2.0/24", "--host-subnet-ok")):
            with self.subTest(argv=argv):
                self.create("net", *argv)
                # that it stands is said first, and the host is in it by its own bridge alone
                self.fails("network", "create", "net", *argv[:2], mention="net")
                self.fails("network", "create", "other", *argv[:2], mention="of network net")
                self.create("net", "--existing-ok", *argv[:2])
                self.bn("network", "rm", "net")

    def test_another_state_has_a_network_there(self):
        """Maps of nftables hold each key once, and what is taken is named, and whose it is."""
        self.create("blue", "--subnet", "10.9.0.0/24", "--bridge", "br9")
        if self.backend != "nftables":
            return
        with tempfile.TemporaryDirectory() as state:
            other = Bn(self.host, state, self.backend)
            for argv, taken in ((("--bridge", "br9"), "bridge br9"), ((), "subnet 10.9.0.0/24")):
                result = other.result("network", "create", "green", "--subnet", "10.9.0.0/24",
                                      "--host-subnet-ok", *argv)
                self.assertEqual((1, f"bn: {taken} belongs to network 'blue' already; remove it "
                                     "there or choose another\n"),
                                 (result.returncode, result.stderr))


if __name__ == "__main__":
    unittest.main()
