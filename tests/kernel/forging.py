# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that are set up in one way and another, and two networks, for tests of sources."""
import contextlib
import os

import legacy
import oracle
from networks import subnet
from packets import Wire
from topology import KernelTest

SERVICE = 7000          # of the host
COLLUDER = 7100         # and on: those of whoever waits for a forged packet
BEYOND = {4: "198.51.100.9", 6: "2001:db8:99::9"}


def rp_filters(host, value):
    with host:
        names = os.listdir("/proc/sys/net/ipv4/conf")
    for name in names:
        host.sysctl(f"net/ipv4/conf/{name}/rp_filter", value)


def bridge_netfilter(host, value):
    for key in ("iptables", "ip6tables"):
        with contextlib.suppress(FileNotFoundError):
            host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)


@contextlib.contextmanager
def under(test, rp_filter=0, netfilter=0, policy="ACCEPT"):
    """A host that is set up so, whose own firewall drops what is forwarded, or does not."""
    rp_filters(test.host, rp_filter)
    bridge_netfilter(test.host, netfilter)
    try:
        if policy == "DROP" and test.backend == "nftables":
            # that ours accept it is not the last word there
            test.host.run("nft", "-f", "-", stdin="""
                table inet site {
                    chain forward {
                        type filter hook forward priority 10; policy drop;
                        iifname { "bn-*", "br5" } accept
                        oifname { "bn-*", "br5" } accept
                    }
                }""")
        elif policy == "DROP":
            for command in legacy.COMMAND.values():
                test.host.run(command, "-P", "FORWARD", "DROP")
        with test.subTest(rp_filter=rp_filter, netfilter=netfilter, policy=policy):
            yield
    finally:
        bridge_netfilter(test.host, 0)
        rp_filters(test.host, 0)
        if policy == "DROP" and test.backend == "nftables":
            test.host.run("nft", "delete", "table", "inet", "site")
        elif policy == "DROP":
            for command in legacy.COMMAND.values():
                test.host.run(command, "-P", "FORWARD", "ACCEPT")


def find_neighbours(machine, *addresses):
    """For others' packets the kernel asks who has an IPv6 address by the link-local one of the
    interface, which may not be there yet; for its own it asks at once."""
    for address in addresses:
        machine.ping(address)


class SourcesTest(KernelTest):
    """The networks red (1) and blue (2), an endpoint on each; a port of each is published."""

    def setUp(self):
        super().setUp()
        for number, name in ((1, "red"), (2, "blue")):
            self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6))
        self.red = self.attach("red", "r1", "-p", "8080:82", "-p", "8080:82/udp")
        self.blue = self.attach("blue", "b1", "-p", "8090:82", "-p", "8090:82/udp")
        find_neighbours(self.host, self.net.address("remote", 6), self.red.address(6),
                        self.blue.address(6))

    def wire(self, namespace, to=None, interface="eth0"):
        """`to` is the MAC address of the router, else that of the bridge's, or the uplink's."""
        if not to:
            bridge = {self.red: "red", self.blue: "blue"}.get(namespace)
            name = oracle.network(self.bn, bridge)["bridge"] if bridge else "eth0"
            to = self.host.link(name)["address"]
        return self.keep(Wire(namespace, to, interface))
