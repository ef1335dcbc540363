# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forwarding: turned on where it is off, and off again when no network needs it any more."""
from topology import Bn, KernelTest, for_each_backend


@for_each_backend
class GivenBack(KernelTest):
    def settings(self):
        """What making a network changes of the host."""
        return self.host.run("grep", "-r", ".", "/proc/sys/net/ipv4/conf",
                             "/proc/sys/net/ipv6/conf", "--include=*forwarding",
                             "--include=accept_ra", "--include=route_localnet").stdout

    def forwarding(self):
        return self.host.sysctl("net/ipv4/ip_forward")

    def test_with_the_last_network_that_needs_it(self):
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.host.sysctl("net/" + key, 0)
        self.host.sysctl("net/ipv4/conf/eth0/forwarding", 1)
        before = self.settings()
        self.create("blue", dual=True)
        self.create("green")
        self.create("red", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        for name, left in (("blue", "1"), ("red", "1"), ("green", "0")):
            self.bn("network", "rm", name)
            self.assertEqual(left, self.forwarding(), name)
        self.assertEqual(before, self.settings())

    def test_what_others_turned_on_stays(self):
        self.host.sysctl("net/ipv4/ip_forward", 1)
        self.create("blue")
        self.bn("network", "rm", "blue")
        self.assertEqual("1", self.forwarding())

    def test_what_another_state_uses_stays(self):
        self.host.sysctl("net/ipv4/ip_forward", 0)
        self.create("blue", "--subnet", "172.30.0.0/24")
        other = Bn(self.host, self.net.state + "/other", self.backend)
        other("network", "create", "green", "--subnet", "172.31.0.0/24")
        self.bn("network", "rm", "blue")
        self.assertEqual("1", self.forwarding())
        other("network", "rm", "green")
