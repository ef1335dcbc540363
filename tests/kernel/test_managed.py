# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks of links alone (managed=no), of layer 2, and bridges without an address."""
import oracle
from topology import FAMILIES, KernelTest, for_each_backend

UNMANAGED = ("--opt", "managed=no")
FORWARDING = ("net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding",
              "net/ipv4/ip_forward")


def settings(host):
    """Those of the host that networks change."""
    values = {key: host.sysctl(key) for key in FORWARDING}
    for name in ("all", "default", "eth0"):
        for key in ("ipv6/conf/{}/accept_ra", "ipv4/conf/{}/route_localnet"):
            values[key.format(name)] = host.sysctl("net/" + key.format(name))
    return values


@for_each_backend
class Unmanaged(KernelTest):
    def setUp(self):
        super().setUp()
        for key in FORWARDING[:2]:
            self.addCleanup(self.host.sysctl, key, self.host.sysctl(key))
            self.host.sysctl(key, 0)
        self.settings = settings(self.host)

    def assert_untouched(self):
        self.assertEqual([], oracle.rules(self.bn))
        self.assertTrue(self.oracle.empty())
        self.assertEqual(self.settings, settings(self.host))

    def addresses(self, namespace):
        return {family: namespace.addresses("eth0", family) for family in FAMILIES}

    def assert_talk(self, one, two, address):
        for family in FAMILIES:
            served = self.serve(two, 80, (family,))[family]
            self.assert_tcp(one, address(two, family), 80, served)

    def test_links_alone(self):
        """Neighbours reach each other; nothing else was done, nor is left."""
        self.create("net", *UNMANAGED, dual=True)
        bridge = oracle.network(self.bn, "net")["bridge"]
        one, two = self.attach("net", "c1"), self.attach("net", "c2")
        for family in FAMILIES:
            self.assertEqual([], self.host.addresses(bridge, family))
            self.assertEqual([], one.default_routes(family))
            self.assertEqual(1, len(one.addresses("eth0", family)))
        self.assert_talk(one, two, lambda namespace, family: namespace.address(family))
        self.assert_untouched()
        self.bn("network", "update", "net", "--mtu", "1400", "--opt", "label.a=b")
        self.assertEqual(1400, one.link("eth0")["mtu"])
        self.bn("detach", "net", "c1")
        self.assert_untouched()
        self.bn("detach", "net", "c2")
        self.bn("network", "rm", "net")
        self.assert_untouched()

    def test_beside_others(self):
        """A managed network comes and goes, and takes all that it needs with it."""
        self.create("net", *UNMANAGED, dual=True)
        one, two = self.attach("net", "c1"), self.attach("net", "c2")
        self.create("front", "--subnet", "172.30.7.0/24")
        self.attach("front", "web", "-p", "8080:80")
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.assertTrue(oracle.rules(self.bn))
        self.assertNotIn(bridge, str(oracle.rules(self.bn)))
        self.assertNotIn(bridge, oracle.ruleset(self.host))
        self.assertNotEqual(self.settings, settings(self.host))
        self.bn("detach", "front", "web")
        self.bn("network", "rm", "front")
        self.assert_untouched()
        # the state is still about this namespace
        self.attach("net", "c3")
        self.assert_talk(one, two, lambda namespace, family: namespace.address(family))

    def test_default_gateway(self):
        """Somebody else on the bridge, by whom alone there is a way out."""
        self.create("net", *UNMANAGED, "--opt", "default-gateway-ipv4=172.30.0.9",
                    "--opt", "default-gateway-ipv6=fd00:30::9", dual=True)
        gateway = self.attach("net", "gateway", "--ip", "172.30.0.9", "--ip", "fd00:30::9")
        one = self.attach("net", "c1")
        for family, far in ((4, "192.0.2.77"), (6, "2001:db8::77")):
            self.assertEqual([], gateway.default_routes(family))
            (route,) = one.default_routes(family)
            self.assertEqual(gateway.address(family), route[0])
            length = 32 if family == 4 else 128
            gateway.batch(f"addr add {far}/{length} dev lo nodad\n" if family == 6 else
                          f"addr add {far}/{length} dev lo\n")
            served = self.serve(gateway, 81, (family,))[family]
            self.assert_tcp(one, far, 81, served)
        self.assert_untouched()

    def test_layer_2(self):
        """An interface and no address; whoever has it gives it one."""
        for argv in ((), ("--bridge", "brf")):
            with self.subTest(argv=argv):
                if argv:
                    self.host.batch("link add brf type bridge\n")
                    self.host.sysctl("net/ipv6/conf/brf/accept_ra", 1)
                self.create("net", *UNMANAGED, "--opt", "ipv4=no", "--opt", "ipv6=no", *argv)
                one, two = self.attach("net", "c1"), self.attach("net", "c2")
                self.assertEqual([], oracle.endpoint(self.bn, "net", "c1")["addresses"])
                self.assertEqual({4: [], 6: []}, self.addresses(one))
                self.assertNotEqual(one.link("eth0")["address"], two.link("eth0")["address"])
                one.batch("addr add 10.1.1.1/24 dev eth0\n")
                two.batch("addr add 10.1.1.2/24 dev eth0\n")
                self.assert_tcp(one, "10.1.1.2", 80, self.serve(two, 80, (4,))[4])
                self.assertEqual([], [name for name in self.bn.json("names")
                                      if name.get("address")])
                self.assert_untouched()
                for name in ("c1", "c2"):
                    self.bn("detach", "net", name)
                self.bn("network", "rm", "net")
                if argv:
                    self.assertEqual("1", str(self.host.sysctl("net/ipv6/conf/brf/accept_ra")))
                    self.assertNotIn("UP", self.host.link("brf")["flags"])
                    self.host.run("ip", "link", "del", "brf")

    def test_is_refused(self):
        self.fails("network", "create", "net", "--opt", "ipv4=no", mention=("neither", "managed"))
        for option in ("icc=no", "internal=yes", "masquerade=no", "isolate=no", "mss-clamp=yes",
                       "bind=127.0.0.1", "anti-spoof=full", "bridge-address-ipv4=yes",
                       "gateway-mode-ipv6=routed", "host-access=none"):
            self.fails("network", "create", "net", *UNMANAGED, "--opt", option,
                       mention=("managed=no", option.split("=")[0]))
        self.create("net", *UNMANAGED, dual=True)
        self.create("bare", *UNMANAGED, "--opt", "ipv4=no")
        namespace = self.net.endpoint("c1")
        for network in ("net", "bare"):
            self.fails("attach", network, "c1", "--netns", namespace.path, "-p", "8080:80",
                       mention=("8080", network, "managed"))
        self.fails("attach", "bare", "c1", "--netns", namespace.path, "--ip", "10.0.0.1",
                   mention=("bare", "subnet"))
        self.fails("network", "update", "net", "--opt", "managed=yes", mention="managed")
        self.assert_untouched()


@for_each_backend
class BridgeAddress(KernelTest):
    NONE = ("--opt", "bridge-address-ipv4=no", "--opt", "bridge-address-ipv6=no")

    def test_none(self):
        """Endpoints reach each other, and have no way out but one that is named."""
        for number, argv in enumerate(((), ("--bridge", "brf"))):
            with self.subTest(argv=argv):
                if argv:
                    self.host.batch("link add brf type bridge\n")
                self.create("net", *self.NONE, *argv, dual=True)
                bridge = oracle.network(self.bn, "net")["bridge"]
                one, two = self.attach("net", f"a{number}"), self.attach("net", f"b{number}")
                for family in FAMILIES:
                    self.assertEqual([], self.host.addresses(bridge, family))
                    self.assertEqual([], one.default_routes(family))
                    served = self.serve(two, 80, (family,))[family]
                    self.assert_tcp(one, two.address(family), 80, served)
                for name in (f"a{number}", f"b{number}"):
                    self.bn("detach", "net", name)
                self.bn("network", "rm", "net")
                if argv:
                    self.host.run("ip", "link", "del", "brf")

    def test_one_family(self):
        self.create("net", "--opt", "bridge-address-ipv4=no", dual=True)
        bridge = oracle.network(self.bn, "net")["bridge"]
        one = self.attach("net", "c1")
        self.assertEqual([], self.host.addresses(bridge, 4))
        self.assertEqual([], one.default_routes(4))
        self.assertEqual(1, len(self.host.addresses(bridge, 6)))
        self.assertEqual(1, len(one.default_routes(6)))
        served = self.serve(self.remote, 6001, (6,))[6]
        self.assert_tcp(one, self.net.address("remote", 6), 6001, served)

    def test_two_of_two_addresses(self):
        """Of a /31 and a /127 both are endpoints' where nothing leads out."""
        self.create("net", "--opt", "internal=yes", *self.NONE, "--subnet", "172.30.0.0/31",
                    "--subnet", "fd00:30::/127")
        one, two = self.attach("net", "c1"), self.attach("net", "c2")
        self.assertEqual(["172.30.0.0", "172.30.0.1"], [one.address(4), two.address(4)])
        for family in FAMILIES:
            served = self.serve(two, 80, (family,))[family]
            self.assert_tcp(one, two.address(family), 80, served)
            served = self.serve(one, 80, (family,))[family]
            self.assert_tcp(two, one.address(family), 80, served)
        self.fails("attach", "net", "c3", "--netns", self.net.endpoint("c3").path)
