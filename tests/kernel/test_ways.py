# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways out of a namespace: priorities of each family, gateways of a network's own, typed routes."""
import errno
import itertools

import oracle
from forging import bridge_netfilter
from library import DETACH_QUICK
from networks import NetworksTest, defaults, gateway, inside, subnet
from topology import FAMILIES, KernelTest, for_each_backend

BEHIND = {4: "10.77.0.0/16", 6: "fd77::/64"}
THERE = {4: "10.77.0.5", 6: "fd77::5"}
REFUSALS = {"blackhole": {errno.EINVAL}, "unreachable": {errno.EHOSTUNREACH},
            "prohibit": {errno.EACCES}}


def flag(family):
    return "-4" if family == 4 else "-6"


@for_each_backend
class Priorities(NetworksTest):
    """Each family has a way out of its own."""

    def best(self, namespace, family):
        return defaults(namespace, family)[0][1]

    def test_families_differ(self):
        servers = self.outside()
        namespace = self.attach("one", "c1", "--opt", "gateway-priority-ipv4=5")
        self.join("two", namespace, "--opt", "gateway-priority-ipv6=5")
        self.assertEqual(gateway(1, 4), self.best(namespace, 4))
        self.assertEqual(gateway(2, 6), self.best(namespace, 6))
        for number, family in ((1, 4), (2, 6)):
            self.assertEqual(80, defaults(namespace, family)[0][0])
            made = namespace.run("ip", flag(family), "route", "get",
                                 self.net.address("remote", family)).stdout
            self.assertIn(f"via {gateway(number, family)} ", made)
        self.assert_way_out(namespace, servers)
        self.bn("detach", "one", "c1")
        for family in FAMILIES:
            self.assertEqual(gateway(2, family), self.best(namespace, family))
        self.assert_way_out(namespace, servers)

    def test_any_order(self):
        """Whatever comes first, each family goes by its own highest."""
        orders = {"one": (1, 9), "two": (5, 5), "three": (9, 1)}
        for names in itertools.permutations(self.NAMES):
            with self.subTest(names=names):
                namespace = self.net.endpoint("c1")
                for name in names:
                    ipv4, ipv6 = orders[name]
                    self.join(name, namespace, "--opt", f"gateway-priority-ipv4={ipv4}",
                              "--opt", f"gateway-priority-ipv6={ipv6}")
                for family, wanted in ((4, (3, 2, 1)), (6, (1, 2, 3))):
                    self.assertEqual([gateway(number, family) for number in wanted],
                                     [via for _, via, _ in defaults(namespace, family)])
                for name in self.NAMES:
                    self.bn("detach", name, "c1")

    def test_own_over_the_setter(self):
        namespace = self.attach("one", "c1", "--gateway-priority", "3")
        self.join("two", namespace, "--gateway-priority", "9", "--opt", "gateway-priority-ipv6=1")
        self.assertEqual(gateway(2, 4), self.best(namespace, 4))
        self.assertEqual(gateway(1, 6), self.best(namespace, 6))
        shown = oracle.endpoint(self.bn, "two", "c1")
        self.assertEqual({"gateway-priority-ipv6": "1"}, shown["options"])
        for route in shown["routes"]:
            family = 6 if ":" in route["destination"] else 4
            (metric,) = [metric for metric, via, _ in defaults(namespace, family)
                         if via == route["gateway"]]
            self.assertEqual(metric, route["metric"])

    def test_answers_leave_by_the_way_they_came(self):
        """In each family those of the endpoint that is not the best."""
        namespace = self.attach("one", "c1", "-p", "8080:80", "--opt", "gateway-priority-ipv4=5")
        self.join("two", namespace, "-p", "8081:80", "--opt", "gateway-priority-ipv6=5")
        served = self.serve(namespace, 80)
        for family in FAMILIES:
            for port in (8080, 8081):
                self.assert_tcp(self.remote, self.net.host_address(family), port, served[family])

    def test_others_route_of_that_metric(self):
        """Both families move up, by as much."""
        namespace = self.net.endpoint("c1")
        namespace.batch("link add spare type bridge\nlink set spare up\n"
                        "addr add 198.18.0.2/24 dev spare\n"
                        "route add default via 198.18.0.1 dev spare metric 80\n")
        self.attach("one", "c1", "--opt", "gateway-priority-ipv4=5", namespace=namespace)
        self.assertEqual([(80, "198.18.0.1", "spare"), (81, gateway(1, 4), "eth0")],
                         defaults(namespace, 4))
        self.assertEqual([(101, gateway(1, 6), "eth0")], defaults(namespace, 6))
        self.assertEqual([81, 101], [route["metric"] for route in
                                     oracle.endpoint(self.bn, "one", "c1")["routes"]])

    def test_refused(self):
        namespace = self.net.endpoint("c1")
        for value in ("much", "2147483648", ""):
            self.fails("attach", "one", "c1", "--netns", namespace.path, "--opt",
                       f"gateway-priority-ipv4={value}", mention="gateway-priority-ipv4")


@for_each_backend
class DefaultGateway(KernelTest):
    """An address of the subnet that is not the bridge's."""

    ROUTER = {4: "172.30.0.200", 6: "fd00:30::200"}

    def make(self):
        self.create("net", "--opt", f"default-gateway-ipv4={self.ROUTER[4]}",
                    "--opt", f"default-gateway-ipv6={self.ROUTER[6]}", dual=True)

    def test_by_an_endpoint_that_routes(self):
        """What others send passes it, and it goes on by the bridge's."""
        # else the flow has passed the bridge before it is routed, and keeps its address
        bridge_netfilter(self.host, 0)
        self.make()
        router = self.attach("net", "router", "--ip", self.ROUTER[4], "--ip", self.ROUTER[6])
        client = self.attach("net", "client")
        for family, by_bridge in ((4, "172.30.0.1"), (6, "fd00:30::1")):
            self.assertEqual([(self.ROUTER[family], "eth0")], client.default_routes(family))
            self.assertEqual([(by_bridge, "eth0")], router.default_routes(family))
            self.assertEqual([self.ROUTER[family]],
                             [route["gateway"] for route in
                              oracle.endpoint(self.bn, "net", "client")["routes"]
                              if (":" in route["gateway"]) == (family == 6)])
        self.assertEqual([self.ROUTER[4], self.ROUTER[6]],
                         oracle.endpoint(self.bn, "net", "client")["gateways"])
        for key in ("ipv4/conf/all", "ipv6/conf/all"):
            router.sysctl(f"net/{key}/forwarding", 1)
        router.sysctl("net/ipv4/conf/eth0/send_redirects", 0)
        for family in FAMILIES:
            server = self.keep(self.remote.udp(family, 6000))
            before = self.forwarded(router, family)
            self.assert_udp(client, self.net.address("remote", family), 6000, server)
            self.assertLess(before, self.forwarded(router, family))

    def forwarded(self, router, family):
        with router:
            if family == 6:
                with open("/proc/net/snmp6") as file:
                    (line,) = [line for line in file if line.startswith("Ip6OutForwDatagrams")]
                    return int(line.split()[1])
            with open("/proc/net/snmp") as file:
                names, values = [line.split() for line in file if line.startswith("Ip:")]
                return int(values[names.index("ForwDatagrams")])

    def test_never_picked(self):
        self.create("net", "--subnet", "172.30.0.0/29", "--opt", "default-gateway-ipv4=172.30.0.2")
        for number, wanted in enumerate((3, 4, 5, 6)):
            namespace = self.attach("net", f"c{number}")
            self.assertEqual(f"172.30.0.{wanted}", namespace.address(4))
        full = self.net.endpoint("full")
        self.fails("attach", "net", "full", "--netns", full.path, mention="172.30.0.0/29")
        self.attach("net", "full", "--ip", "172.30.0.2", namespace=full)

    def test_refused(self):
        for value, code in (("172.31.0.5", "outside"), ("172.30.0.0", "no host"),
                            ("172.30.0.255", "no host"), ("fd00:30::5", "default-gateway-ipv4")):
            with self.subTest(value=value):
                self.fails("network", "create", "net", "--subnet", "172.30.0.0/24",
                           "--opt", f"default-gateway-ipv4={value}", mention=code)
        self.fails("network", "create", "net", "--subnet", "172.30.0.0/24",
                   "--opt", "default-gateway-ipv6=fd00:30::5", mention="no IPv6")

    def test_other_network_beside(self):
        """Answers of an endpoint that is not the best leave by that gateway, too."""
        self.make()
        self.create("other", "--subnet", subnet(5, 4), "--subnet", subnet(5, 6))
        namespace = self.attach("other", "c1", "--gateway-priority", "5")
        self.bn("attach", "net", "c1", "--netns", namespace.path)
        for family in FAMILIES:
            own = namespace.address(family, "eth1")
            (route,) = namespace.ip(flag(family), "route", "get",
                                    self.net.address("remote", family), "from", own)
            self.assertEqual(self.ROUTER[family], route["gateway"])


@for_each_backend
class Typed(NetworksTest):
    def ours(self, namespace, family):
        """[(type, destination, metric)] that lead nowhere."""
        return sorted((kind, route["dst"], route.get("metric", 0)) for kind in REFUSALS
                      for route in namespace.ip(flag(family), "route", "show", "type", kind))

    def test_each_type(self):
        for family in FAMILIES:
            for kind, errnos in REFUSALS.items():
                with self.subTest(kind=kind, family=family):
                    namespace = self.net.endpoint("c1")
                    self.attach("one", "c1", "--route", f"{kind},{BEHIND[family]}",
                                namespace=namespace)
                    metric = 0 if family == 4 else 1024
                    self.assertEqual([(kind, BEHIND[family], metric)],
                                     self.ours(namespace, family))
                    sender = self.keep(namespace.udp(family))
                    with self.assertRaises(OSError) as caught:
                        sender.connect((THERE[family], 9))
                    self.assertIn(caught.exception.errno, errnos)
                    shown = oracle.endpoint(self.bn, "one", "c1")["routes"][-1]
                    self.assertEqual({"type": kind, "destination": BEHIND[family], "gateway": "",
                                      "metric": metric}, shown)
                    self.bn("detach", "one", "c1")
                    self.assertEqual([], self.ours(namespace, family))

    def test_on_link_and_metric(self):
        """A neighbour that has an address of elsewhere is reached without a gateway."""
        bridge_netfilter(self.host, 0)  # else what is not in the network's subnet is forged
        namespace = self.attach("one", "c1", *(word for family in FAMILIES for word in
                                               ("--route", f"unicast,{BEHIND[family]},300")))
        other = self.attach("one", "c2")
        for family in FAMILIES:
            (route,) = namespace.ip(flag(family), "route", "show", BEHIND[family])
            self.assertEqual(("eth0", 300), (route["dev"], route["metric"]))
            self.assertNotIn("gateway", route)
            address = f"{THERE[family]}/{32 if family == 4 else 128}"
            other.run("ip", "addr", "add", address, "dev", "eth0",
                      *(["nodad"] if family == 6 else []))
            server = self.keep(other.udp(family, 7000, THERE[family]))
            with self.subTest(family=family):
                self.assert_udp(namespace, THERE[family], 7000, server)

    def test_by_a_gateway_with_a_metric(self):
        namespace = self.attach("one", "c1", "--route", "unicast,10.9.0.0/16=172.30.1.9,7",
                                "--route", "unicast,10.9.0.0/16=172.30.1.8,5")
        self.assertEqual([("172.30.1.8", 5), ("172.30.1.9", 7)],
                         sorted((route["gateway"], route["metric"])
                                for route in namespace.ip("route", "show", "10.9.0.0/16")))

    def test_of_a_family_that_the_network_lacks(self):
        """No way out by IPv6, whatever else brings one."""
        self.create("four", "--subnet", "172.30.9.0/24")
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "link", "set", "lo", "up")
        before = inside(namespace)
        self.attach("four", "c1", "--route", "unreachable,::/0,5", namespace=namespace)
        self.assertEqual([("unreachable", "default", 5)], self.ours(namespace, 6))
        self.bn("detach", "four", "c1")
        self.assertEqual(before, inside(namespace))

    def test_stays_as_long_as_the_endpoint(self):
        """Neither a stranger's nor that of another endpoint goes with it."""
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "route", "add", "blackhole", "10.66.0.0/16", "metric", "9")
        self.attach("one", "c1", "--route", "blackhole,10.77.0.0/16", "--route",
                    "blackhole,10.66.0.0/16", namespace=namespace)
        self.join("two", namespace, "--route", "blackhole,10.77.0.0/16,5",
                  "--route", "blackhole,fd77::/64,5", "--route", "prohibit,10.88.0.0/16")
        before = self.ours(namespace, 4), self.ours(namespace, 6)
        self.assertEqual(5, len(before[0]))
        self.bn("detach", "two", "c1")
        self.assertEqual([("blackhole", "10.66.0.0/16", 0), ("blackhole", "10.66.0.0/16", 9),
                          ("blackhole", "10.77.0.0/16", 0)], self.ours(namespace, 4))
        self.assertEqual([], self.ours(namespace, 6))
        self.bn("detach", "one", "c1")
        self.assertEqual([("blackhole", "10.66.0.0/16", 9)], self.ours(namespace, 4))

    def test_quick_detach(self):
        library = self.library()
        namespace = self.attach("one", "c1", "--route", "blackhole,10.77.0.0/16")
        library.detach("one", "c1", flags=DETACH_QUICK)
        self.assertEqual([], self.ours(namespace, 4))
        namespace.delete()

    def test_siblings_have_the_same(self):
        namespace = self.attach("one", "c1", "--route", "blackhole,10.77.0.0/16",
                                "--route", "blackhole,fd77::/64")
        before = inside(namespace)
        for route in ("blackhole,10.77.0.0/16", "prohibit,10.77.0.0/16", "unicast,fd77::/64,1024",
                      "unicast,10.77.0.0/16=172.30.2.9"):
            with self.subTest(route=route):
                self.fails("attach", "two", "c1", "--netns", namespace.path, "--route", route,
                           mention=("network one", "metric"))
                self.assertEqual(before, inside(namespace))

    def test_failure_takes_back(self):
        """The last one is there already, of somebody's: those before it go again."""
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "link", "set", "lo", "up")
        namespace.run("ip", "route", "add", "blackhole", "10.88.0.0/16")
        before = inside(namespace)
        self.fails("attach", "one", "c1", "--netns", namespace.path,
                   "--route", "blackhole,10.77.0.0/16", "--route", "unreachable,fd77::/64",
                   "--route", "blackhole,10.88.0.0/16", mention="10.88.0.0/16")
        self.assertEqual(before, inside(namespace))

    def test_refused(self):
        namespace = self.net.endpoint("c1")
        self.create("four", "--subnet", "172.30.9.0/24")
        for network, route, mention in (
                ("one", "hole,10.0.0.0/8", "blackhole"),
                ("one", "blackhole,10.0.0.0/8=172.30.1.9", "no gateway"),
                ("one", "blackhole,10.0.0.1/8", "10.0.0.0/8"),
                ("one", "blackhole,ten", "ten"),
                ("one", "unicast,10.0.0.0/8=10.0.0.1", "not in the subnet"),
                ("one", "unicast,10.0.0.0/8=fd00:31::9", "mixes"),
                ("one", "unicast,10.0.0.0/8=0.0.0.0", "no machine's"),
                ("four", "unicast,fd77::/64", "no IPv6")):
            with self.subTest(route=route):
                self.fails("attach", network, "c1", "--netns", namespace.path, "--route", route,
                           mention=mention)
        self.fails("attach", "one", "c1", "--netns", namespace.path, "--route",
                   "blackhole,10.0.0.0/8", "--route", "prohibit,10.0.0.0/8", mention="two routes")
