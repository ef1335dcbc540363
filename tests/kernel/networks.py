# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of several networks that one namespace is on."""
import errno

from library import Failed, Library
from topology import FAMILIES, KernelTest, wait_until


def subnet(number, family):
    return f"172.30.{number}.0/24" if family == 4 else f"fd00:{30 + number}::/64"


def gateway(number, family):
    return f"172.30.{number}.1" if family == 4 else f"fd00:{30 + number}::1"


def defaults(namespace, family):
    """[(metric, gateway, interface)], the best first."""
    flag = "-4" if family == 4 else "-6"
    return sorted((route.get("metric", 0), route.get("gateway"), route.get("dev"))
                  for route in namespace.ip(flag, "route", "show", "default"))


def inside(namespace):
    """All that routing goes by in a namespace, as text."""
    return [namespace.run("ip", flag, *words).stdout for flag in ("-4", "-6")
            for words in (("rule",), ("route", "show", "table", "all"), ("addr", "show"))]


class NetworksTest(KernelTest):
    """Networks one, two and three, of both families."""

    NAMES = ("one", "two", "three")

    def setUp(self):
        super().setUp()
        for number, name in enumerate(self.NAMES, 1):
            self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6))

    def library(self, **options):
        made = Library(self.net, self.backend, **options)
        self.addCleanup(made.close)
        return made

    def join(self, network, namespace, *argv, **options):
        return self.attach(network, "c1", *argv, namespace=namespace, **options)

    def metrics(self, namespace):
        """[metric] of the networks in the order of their numbers, None where one has none; both
        families must have the same."""
        answers = []
        for family in FAMILIES:
            found = {via: metric for metric, via, _ in defaults(namespace, family)}
            answers.append([found.get(gateway(i, family))
                            for i in range(1, len(self.NAMES) + 1)])
        self.assertEqual(*answers, "IPv4 and IPv6")
        return answers[0]

    def refused(self, code, mention, library, *argv, **arguments):
        """The attach fails with that errno, and a sentence."""
        with self.assertRaises(Failed) as caught:
            library.attach(*argv, **arguments)
        self.assertEqual(errno.errorcode[code], errno.errorcode.get(caught.exception.errno),
                         caught.exception)
        for text in (mention,) if isinstance(mention, str) else mention:
            self.assertIn(text, str(caught.exception))

    def carrier_gone(self, namespace):
        """The other end of a link that was cut is told by a worker of the kernel, a moment later."""
        ports = {port["ifindex"] for port in self.host.links().values() if "master" in port}
        ghosts = [name for name, link in namespace.links().items()
                  if name.startswith("eth") and link["link_index"] not in ports]
        wait_until(lambda: all("linkdown" in route["flags"] for name in ghosts
                               for route in namespace.ip("route", "show", "dev", name)),
                   what="the carrier of a cut interface gone")

    def left_over(self):
        """What a quick detach leaves goes with its namespace, a moment later."""
        wait_until(lambda: not any("/c1" in str(link.get("ifalias"))
                                   for link in self.host.links().values()),
                   what="the links of a dead namespace gone")
        return super().left_over()

    def outside(self, port=6000):
        """A server on the machine outside, for each family."""
        return {family: self.keep(self.remote.udp(family, port)) for family in FAMILIES}

    def assert_way_out(self, namespace, servers, families=FAMILIES):
        for family in families:
            port = servers[family].getsockname()[1]
            self.assert_udp(namespace, self.net.address("remote", family), port, servers[family])
