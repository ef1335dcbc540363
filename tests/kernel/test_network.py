# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks: the three that are always there, made ones, their addresses, and what is refused."""
import ipaddress
import unittest

import oracle
from topology import KernelTest, for_each_backend

POOL = [ipaddress.ip_network(f"172.{second}.0.0/16") for second in range(17, 32)] + [
    ipaddress.ip_network(f"192.168.{third}.0/20") for third in range(0, 256, 16)]


@for_each_backend
class Builtin(KernelTest):
    def test_listed_before_anything_is_made(self):
        lines = self.bn("network", "ls").splitlines()
        self.assertEqual(["NETWORK", "ID", "NAME", "DRIVER"], lines[0].split())
        rows = sorted(line.split()[1:] for line in lines[1:])
        self.assertEqual([["bridge", "bridge"], ["host", "host"], ["none", "null"]], rows)
        for line in lines[1:]:
            self.assertRegex(line.split()[0], r"\A[0-9a-f]{12}\Z")

    def test_listing_makes_nothing(self):
        before = self.net.host_state()
        for command in (("network", "ls"), ("network", "inspect", "bridge"), ("ps",), ("rules",)):
            self.bn(*command)
        self.assertEqual(before, self.net.host_state())

    def test_same_id_each_time(self):
        first = {entry["name"]: entry["id"] for entry in oracle.networks(self.bn)}
        second = {entry["name"]: entry["id"] for entry in oracle.networks(self.bn)}
        self.assertEqual(first, second)
        self.assertEqual(3, len(set(first.values())))

    def test_bridge_is_made_on_first_use(self):
        namespace = self.attach("bridge", "c1")
        self.assertEqual("bridge", self.host.link("bn0")["linkinfo"]["info_kind"])
        self.assertEqual(["172.17.0.1/16"], self.host.addresses("bn0", 4))
        self.assertEqual(["172.17.0.2/16"], namespace.addresses("eth0", 4))
        self.assertEqual([("172.17.0.1", "eth0")], namespace.default_routes(4))
        shown = oracle.network(self.bn, "bridge")
        self.assertEqual("bn0", shown["bridge"])
        self.assertEqual(["172.17.0.0/16"], subnets(shown))

    def test_bridge_gives_way_to_docker0(self):
        self.host.batch("link add docker0 type bridge\nlink set docker0 up\n"
                        "addr add 172.17.0.1/16 dev docker0\n")
        try:
            namespace = self.attach("bridge", "c1")
            self.assertEqual(["172.18.0.2/16"], namespace.addresses("eth0", 4))
            self.assertEqual(["172.18.0.1/16"], self.host.addresses("bn0", 4))
            self.assertEqual(["172.17.0.1/16"], self.host.addresses("docker0", 4))
            self.bn("detach", "bridge", "c1")
            self.bn("network", "rm", "bridge")
        finally:
            self.host.run("ip", "link", "del", "docker0")

    def test_bridge_gives_way_to_a_device_called_bn0(self):
        self.host.batch("link add bn0 type veth peer name bn0-peer\n")
        try:
            before = self.host.link("bn0")
            self.attach("bridge", "c1")
            made = oracle.network(self.bn, "bridge")["bridge"]
            self.assertNotEqual("bn0", made)
            self.assertEqual(["172.17.0.1/16"], self.host.addresses(made, 4))
            self.assertEqual(before["ifindex"], self.host.link("bn0")["ifindex"])
            self.bn("detach", "bridge", "c1")
            self.bn("network", "rm", "bridge")
        finally:
            self.host.run("ip", "link", "del", "bn0")

    def test_bridge_gives_way_to_a_route(self):
        self.host.batch(f"route add 172.17.128.0/17 via {self.net.address('remote', 4)}\n")
        try:
            namespace = self.attach("bridge", "c1")
            self.assertEqual(["172.18.0.2/16"], namespace.addresses("eth0", 4))
            self.bn("detach", "bridge", "c1")
            self.bn("network", "rm", "bridge")
        finally:
            self.host.run("ip", "route", "del", "172.17.128.0/17")

    def test_can_be_neither_made_nor_deleted(self):
        for name in ("host", "none"):
            with self.subTest(name=name):
                self.fails("network", "create", name, mention=name)
                self.fails("network", "rm", name, mention=name)
        self.fails("network", "rm", "bridge", mention="bridge")

    def test_bridge_by_ones_own_wishes(self):
        """It may be made with other addresses, and goes back to what it was when deleted."""
        identity = oracle.network(self.bn, "bridge")["id"]
        self.create("bridge", "--subnet", "10.200.0.0/24")
        self.assertEqual(["10.200.0.2/24"], self.attach("bridge", "c1").addresses("eth0", 4))
        self.assertEqual(["10.200.0.1/24"], self.host.addresses("bn0", 4))
        self.fails("network", "create", "bridge", mention="bridge")
        self.bn("detach", "bridge", "c1")
        self.bn("network", "rm", "bridge")
        shown = oracle.network(self.bn, "bridge")
        self.assertEqual((identity, "", []), (shown["id"], shown["bridge"], shown["subnets"]))
        self.assertEqual(["172.17.0.2/16"], self.attach("bridge", "c1").addresses("eth0", 4))


def subnets(shown):
    return [entry["subnet"] for entry in shown["subnets"]]


def gateways(shown):
    return [entry["gateway"] for entry in shown["subnets"]]


@for_each_backend
class Create(KernelTest):
    def test_id_name_and_device(self):
        self.create("blue", "--subnet", "172.30.0.0/24")
        shown = oracle.network(self.bn, "blue")
        self.assertRegex(shown["id"], r"\A[0-9a-f]{64}\Z")
        self.assertEqual("bridge", shown["driver"])
        short = shown["id"][:12]
        row = [line.split() for line in self.bn("network", "ls").splitlines() if "blue" in line]
        self.assertEqual([[short, "blue", "bridge"]], row)
        self.assertEqual("bn-" + short, shown["bridge"])
        link = self.host.link("bn-" + short)
        self.assertEqual("bridge", link["linkinfo"]["info_kind"])
        self.assertIn("UP", link["flags"])
        self.assertEqual("bridgenet:" + short, link["ifalias"])
        self.assertEqual(["172.30.0.1/24"], self.host.addresses(link["ifname"], 4))
        self.assertEqual(["172.30.0.1"], gateways(shown))

    def test_found_by_id_and_its_beginning(self):
        self.create("blue")
        identity = oracle.network(self.bn, "blue")["id"]
        for name in (identity, identity[:12], identity[:6]):
            self.assertEqual("blue", oracle.network(self.bn, name)["name"])
        for argv in (("network", "rm", identity[:11]), ("detach", identity[:6], "c1"),
                     ("publish", identity[:4], "c1", "-p", "80"),
                     ("unpublish", identity[:4], "c1", "-p", "80")):
            self.fails(*argv, mention=("blue", "12 digits"))
        self.bn("network", "rm", identity[:12])
        self.fails("network", "inspect", "blue", mention="blue")

    def test_existing_one_is_as_good_when_it_is_as_asked(self):
        made = self.create("blue", "--existing-ok", "--subnet", "172.30.0.0/24", "--mtu", "1400")
        before = self.net.host_state()
        for argv in ((), ("--subnet", "172.30.0.0/24"), ("--mtu", "1400")):
            self.assertEqual(made, self.create("blue", "--existing-ok", *argv))
        self.assertEqual(before, self.net.host_state())
        self.fails("network", "create", "blue", "--existing-ok", "--subnet", "172.31.0.0/24",
                   mention=("blue", "172.30.0.0/24", "172.31.0.0/24"))
        self.fails("network", "create", "blue", mention="blue")

    def test_goes_with_its_last_endpoint_when_asked(self):
        self.create("blue")
        bridge = oracle.network(self.bn, "blue")["bridge"]
        for role in ("c1", "c2", "c3"):
            self.attach("blue", role)
        self.bn("detach", "blue", "c1", "--delete-empty")
        self.assertEqual(bridge, oracle.network(self.bn, "blue")["bridge"])
        self.bn("detach", "--delete-empty", "blue", "c2", "c3")
        self.fails("network", "inspect", "blue", mention="blue")
        shown = self.host.run("ip", "link", "show", bridge, check=False)
        self.assertNotEqual(0, shown.returncode)

    def test_ipv4_only_has_no_ipv6(self):
        self.create("blue")
        bridge = oracle.network(self.bn, "blue")["bridge"]
        namespace = self.attach("blue", "c1")
        self.assertEqual([], self.host.addresses(bridge, 6, scope=None))
        self.assertEqual([], namespace.addresses("eth0", 6, scope=None))

    def test_both_families(self):
        self.create("blue", dual=True)
        shown = oracle.network(self.bn, "blue")
        self.assertEqual(["172.30.0.0/24", "fd00:30::/64"], subnets(shown))
        self.assertEqual(["172.30.0.1", "fd00:30::1"], gateways(shown))
        self.assertEqual(["172.30.0.1/24"], self.host.addresses(shown["bridge"], 4))
        self.assertEqual(["fd00:30::1/64"], self.host.addresses(shown["bridge"], 6))

    def test_ipv6_alone(self):
        self.create("six", "--subnet", "fd00:36::/64")
        namespace = self.attach("six", "c1")
        self.assertEqual(["fd00:36::2/64"], namespace.addresses("eth0", 6))
        self.assertEqual([], namespace.addresses("eth0", 4))
        self.assertEqual([("fd00:36::1", "eth0")], namespace.default_routes(6))

    def test_automatic_ipv6(self):
        self.create("blue", "--ipv6")
        self.create("green", "--ipv6")
        picked = [ipaddress.ip_network(subnets(oracle.network(self.bn, name))[1])
                  for name in ("blue", "green")]
        for subnet in picked:
            self.assertEqual(64, subnet.prefixlen)
            self.assertTrue(subnet.subnet_of(ipaddress.ip_network("fd00::/8")), subnet)
        self.assertFalse(picked[0].overlaps(picked[1]))
        self.assertEqual(picked[0].supernet(new_prefix=48), picked[1].supernet(new_prefix=48))

    def test_gateway(self):
        self.create("blue", "--subnet", "172.30.0.0/24", "--gateway", "172.30.0.254",
                    "--subnet", "fd00:30::/64", "--gateway", "fd00:30::fe")
        bridge = oracle.network(self.bn, "blue")["bridge"]
        self.assertEqual(["172.30.0.254/24"], self.host.addresses(bridge, 4))
        self.assertEqual(["fd00:30::fe/64"], self.host.addresses(bridge, 6))
        namespace = self.attach("blue", "c1")
        self.assertEqual([("172.30.0.254", "eth0")], namespace.default_routes(4))
        self.assertEqual([("fd00:30::fe", "eth0")], namespace.default_routes(6))
        self.assertEqual(["172.30.0.1/24"], namespace.addresses("eth0", 4))

    def test_ip_range(self):
        self.create("blue", "--subnet", "172.30.0.0/24", "--gateway", "172.30.0.1",
                    "--ip-range", "172.30.0.128/30")
        given = [self.attach("blue", f"c{i}").address(4) for i in range(4)]
        self.assertEqual([f"172.30.0.{last}" for last in range(128, 132)], given)
        self.assertEqual(["172.30.0.7/24"],
                         self.attach("blue", "s", "--ip", "172.30.0.7").addresses("eth0", 4))
        late = self.net.endpoint("late")
        self.fails("attach", "blue", "late", "--netns", late.path, mention="blue")

    def test_gateway_is_picked_from_the_range(self):
        self.create("blue", "--subnet", "172.30.0.0/24", "--ip-range", "172.30.0.128/29")
        shown = oracle.network(self.bn, "blue")
        gateway = ipaddress.ip_address(gateways(shown)[0])
        self.assertIn(gateway, ipaddress.ip_network("172.30.0.128/29"))
        self.assertNotEqual(str(gateway), self.attach("blue", "c1").address(4))

    def test_reserved_addresses_are_never_given(self):
        self.create("blue", "--subnet", "172.30.0.0/29", "--reserve", "172.30.0.2",
                    "--reserve", "172.30.0.4")
        given = [self.attach("blue", f"c{i}").address(4) for i in range(3)]
        self.assertEqual(["172.30.0.3", "172.30.0.5", "172.30.0.6"], given)
        late = self.net.endpoint("late")
        self.fails("attach", "blue", "late", "--netns", late.path)
        self.fails("attach", "blue", "late", "--netns", late.path, "--ip", "172.30.0.4",
                   mention="172.30.0.4")

    def test_mtu_is_inherited_from_the_default_route(self):
        self.host.run("ip", "link", "set", "eth0", "mtu", "1400")
        try:
            self.create("blue")
            shown = oracle.network(self.bn, "blue")
            namespace = self.attach("blue", "c1")
            self.assertEqual(1400, shown["mtu"])
            self.assertEqual(1400, self.host.link(shown["bridge"])["mtu"])
            self.assertEqual(1400, namespace.link("eth0")["mtu"])
        finally:
            self.host.run("ip", "link", "set", "eth0", "mtu", "1500")

    def test_mtu_is_that_of_the_familys_way_out(self):
        """Of a network of IPv6 alone by the default route of IPv6."""
        self.host.batch("link add narrow mtu 1380 type veth peer name narrow-peer\n"
                        "link set narrow up\nlink set narrow-peer up\n")
        way = ("ip", "-6", "route", "replace", "default")
        try:
            self.host.run(*way, "dev", "narrow")
            self.bn("network", "create", "six", "--ipv6", "--opt", "ipv4=no")
            self.assertEqual(1380, oracle.network(self.bn, "six")["mtu"])
            self.create("blue")
            self.assertEqual(1500, oracle.network(self.bn, "blue")["mtu"])
        finally:
            self.host.run(*way, "via", self.net.address("remote", 6), "dev", "eth0")
            self.host.run("ip", "link", "del", "narrow")

    def test_mtu_of_a_link(self):
        self.host.run("ip", "link", "add", "tunnel", "mtu", "1420", "type", "veth",
                      "peer", "name", "tunnel-peer")
        try:
            self.create("blue", "--opt", "mtu-from=tunnel")
            namespace = self.attach("blue", "c1")
            shown = oracle.network(self.bn, "blue")
            self.assertEqual(1420, shown["mtu"])
            self.assertEqual(1420, self.host.link(shown["bridge"])["mtu"])
            self.assertEqual(1420, namespace.link("eth0")["mtu"])
        finally:
            self.host.run("ip", "link", "del", "tunnel")
        self.create("loop", "--subnet", "172.30.3.0/24", "--opt", "mtu-from=lo")
        self.assertEqual(65535, oracle.network(self.bn, "loop")["mtu"])
        for argv, mention in ((("--opt", "mtu-from=nonesuch"), "nonesuch"),
                              (("--opt", "mtu-from=eth0", "--mtu", "1400"), "one of the two")):
            self.fails("network", "create", "red", *argv, mention=("mtu-from", mention))

    def test_mtu_explicit(self):
        self.create("blue", "--mtu", "9000")
        namespace = self.attach("blue", "c1")
        bridge = oracle.network(self.bn, "blue")["bridge"]
        self.assertEqual(9000, self.host.link(bridge)["mtu"])
        self.assertEqual(9000, namespace.link("eth0")["mtu"])
        (port,) = [link for link in self.host.links().values() if link.get("master") == bridge]
        self.assertEqual(9000, port["mtu"])

    def test_labels(self):
        self.create("blue", "--opt", "label.owner=ops & dev", "--opt", "label.empty=")
        options = oracle.network(self.bn, "blue")["options"]
        self.assertEqual("ops & dev", options["label.owner"])
        self.assertEqual("", options["label.empty"])

    def test_inspect_shows_the_device_as_the_kernel_does(self):
        self.create("blue", "--subnet", "172.30.0.0/24")
        self.attach("blue", "c1")
        shown = oracle.network(self.bn, "blue")
        link = self.host.link(shown["bridge"])
        device = shown["interface"]
        self.assertEqual((link["ifname"], link["ifindex"], link["address"], link["mtu"]),
                         (device["name"], device["index"], device["mac"], device["mtu"]))
        self.assertEqual(["172.30.0.1/24"], device["addresses"])
        self.assertIn("UP", device["flags_text"].split())
        for key in ("rx_packets", "rx_bytes", "rx_errors", "rx_dropped",
                    "tx_packets", "tx_bytes", "tx_errors", "tx_dropped"):
            self.assertIsInstance(device[key], int)

    def test_again_and_again(self):
        """Names, subnets and devices come free with the network."""
        for _ in range(10):
            self.create("blue", "--subnet", "172.30.0.0/24")
            self.bn("network", "rm", "blue")
        self.assertEqual([], self.left_over())


@for_each_backend
class Pool(KernelTest):
    def test_automatic_subnets_do_not_meet(self):
        for name in ("a", "b", "c"):
            self.create(name)
        picked = [ipaddress.ip_network(subnets(oracle.network(self.bn, name))[0])
                  for name in ("a", "b", "c")]
        for subnet in picked:
            self.assertIn(subnet, POOL)
        self.assertEqual(3, len(set(picked)))

    def test_what_the_host_routes_is_skipped(self):
        remote = self.net.address("remote", 4)
        self.host.batch(f"route add 172.18.7.0/24 via {remote}\n"
                        f"route add 172.16.0.0/14 via {remote} table 77\n"
                        "link add other type bridge\nlink set other up\n"
                        "addr add 172.21.3.4/32 dev other\n")
        try:
            for name in ("a", "b", "c"):
                self.create(name)
            picked = [subnets(oracle.network(self.bn, name))[0] for name in ("a", "b", "c")]
            self.assertEqual(["172.20.0.0/16", "172.22.0.0/16", "172.23.0.0/16"], picked)
            for name in ("a", "b", "c"):
                self.bn("network", "rm", name)
        finally:
            self.host.batch("route del 172.18.7.0/24\nroute del 172.16.0.0/14 table 77\n"
                            "link del other\n")

    def test_given_subnets_are_skipped(self):
        self.create("given", "--subnet", "172.16.0.0/13")
        self.create("auto")
        self.assertEqual(["172.24.0.0/16"], subnets(oracle.network(self.bn, "auto")))

    def test_exhausted_after_31_and_free_again(self):
        for i in range(31):
            self.create(f"n{i}")
        picked = {ipaddress.ip_network(subnets(entry)[0]) for entry in
                  (oracle.network(self.bn, f"n{i}") for i in range(31))}
        self.assertEqual(set(POOL), picked)
        self.fails("network", "create", "late", mention=("172.17.0.0/16", "192.168.0.0/16"))
        freed = subnets(oracle.network(self.bn, "n13"))
        self.bn("network", "rm", "n13")
        self.create("late")
        self.assertEqual(freed, subnets(oracle.network(self.bn, "late")))


@for_each_backend
class Adopted(KernelTest):
    def setUp(self):
        super().setUp()
        # without an address of its own it would take that of a port, and lose it
        self.host.batch("link add br9 address 02:00:00:00:00:09 type bridge\n"
                        "link set br9 up\naddr add 10.9.0.1/24 dev br9\n")

    def tearDown(self):
        try:
            self.remove_all()
        finally:
            self.host.run("ip", "link", "del", "br9", check=False)
            super().tearDown()

    def test_used_and_never_deleted(self):
        before = self.host.link("br9")
        self.create("blue", "--subnet", "172.30.0.0/24", "--bridge", "br9")
        self.assertEqual("br9", oracle.network(self.bn, "blue")["bridge"])
        self.assertEqual(["10.9.0.1/24", "172.30.0.1/24"], self.host.addresses("br9", 4))
        namespace = self.attach("blue", "c1", "-p", "8080:80")
        listener = self.serve(namespace, 80, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, listener)
        self.bn("detach", "blue", "c1")
        self.bn("network", "rm", "blue")
        after = self.host.link("br9")
        self.assertEqual((before["ifindex"], before["address"], before["mtu"]),
                         (after["ifindex"], after["address"], after["mtu"]))
        self.assertIn("UP", after["flags"])
        self.assertEqual(before.get("ifalias"), after.get("ifalias"))
        self.assertEqual(["10.9.0.1/24"], self.host.addresses("br9", 4))

    def test_its_own_address_as_gateway_is_kept(self):
        self.create("blue", "--subnet", "10.9.0.0/24", "--bridge", "br9")
        self.assertEqual(["10.9.0.2/24"], self.attach("blue", "c1").addresses("eth0", 4))
        self.bn("detach", "blue", "c1")
        self.bn("network", "rm", "blue")
        self.assertEqual(["10.9.0.1/24"], self.host.addresses("br9", 4))

    def test_one_network_for_a_bridge(self):
        self.create("blue", "--subnet", "172.30.0.0/24", "--bridge", "br9")
        self.fails("network", "create", "green", "--subnet", "172.31.0.0/24", "--bridge", "br9",
                   mention=("br9", "blue"))

    def test_another_kind_of_device(self):
        self.fails("network", "create", "blue", "--bridge", "eth0", mention="eth0")

    def test_a_name_of_our_own(self):
        self.create("blue", "--bridge", "bluebr")
        self.assertEqual("bridge", self.host.link("bluebr")["linkinfo"]["info_kind"])
        self.bn("network", "rm", "blue")
        self.assertNotIn("bluebr", self.host.links())


@for_each_backend
class Refused(KernelTest):
    """Each names the thing and the value, and changes nothing: fails() looks."""

    def test_cidr(self):
        for cidr, right in (("172.30.0.1/16", "172.30.0.0/16"), ("172.30.5.0/20", "172.30.0.0/20"),
                            ("fd00:30::1/64", "fd00:30::/64"), ("10.1.2.3/8", "10.0.0.0/8")):
            with self.subTest(cidr=cidr):
                self.fails("network", "create", "blue", "--subnet", cidr, mention=(cidr, right))
        for cidr in ("172.30.0.0/33", "172.30.0.0", "junk", "172.30.0/16", "fd00::/129", "/16",
                     "172.30.0.0/", "172.30.0.0/-1", "172.30.0.0/16x", "300.1.0.0/16", ""):
            with self.subTest(cidr=cidr):
                self.fails("network", "create", "blue", "--subnet", cidr, mention=cidr)

    def test_subnets_that_cannot_serve(self):
        for cidr in ("224.0.0.0/8", "ff00::/64", "127.0.0.0/24", "0.0.0.0/0", "::/0", "::1/128",
                     "172.30.0.0/32"):
            with self.subTest(cidr=cidr):
                self.fails("network", "create", "blue", "--subnet", cidr, mention=cidr)

    def test_subnets_of_a_family(self):
        """Not one in another, and not more than eight."""
        self.fails("network", "create", "blue", "--subnet", "172.30.0.0/16",
                   "--subnet", "172.30.7.0/24", mention=("172.30.0.0/16", "172.30.7.0/24"))
        many = [word for i in range(9) for word in ("--subnet", f"172.30.{i}.0/24")]
        self.fails("network", "create", "blue", *many, mention="8")

    def test_overlap(self):
        self.create("blue", "--subnet", "172.30.0.0/16", "--subnet", "fd00:30::/64")
        for cidr in ("172.30.0.0/16", "172.30.7.0/24", "172.16.0.0/12", "fd00:30::/64",
                     "fd00:30::/48"):
            with self.subTest(cidr=cidr):
                self.fails("network", "create", "green", "--subnet", cidr, mention=(cidr, "blue"))
        self.fails("network", "create", "green", "--subnet", "172.30.7.0/24",
                   "--ip-range", "172.30.7.0/28", mention="blue")

    def test_gateway_range_and_reserved_outside(self):
        subnet = ("--subnet", "172.30.0.0/24")
        for option, value in (("--gateway", "172.31.0.1"), ("--ip-range", "172.31.0.0/28"),
                              ("--reserve", "172.31.0.9"), ("--gateway", "172.30.0.0"),
                              ("--gateway", "172.30.0.255"), ("--ip-range", "172.30.0.0/16"),
                              ("--gateway", "fd00::1"), ("--gateway", "junk"),
                              ("--reserve", "junk"), ("--ip-range", "172.30.0.1/28")):
            with self.subTest(option=option, value=value):
                self.fails("network", "create", "blue", *subnet, option, value, mention=value)

    def test_names(self):
        for name in ("", "a b", "a/b", "-a", "a\nb", "a" * 61, ".", "ä", "a;b"):
            with self.subTest(name=name):
                result = self.bn.result("network", "create", name)
                self.assertIn(result.returncode, (1, 2))
                self.assertTrue(result.stderr.startswith("bn: "), result.stderr)
        self.assertEqual([], self.left_over())

    def test_duplicate(self):
        self.create("blue")
        self.fails("network", "create", "blue", mention="blue")

    def test_unknown(self):
        for command in (("inspect",), ("rm",)):
            self.fails("network", *command, "nonesuch", mention="nonesuch")
        self.fails("rules", "nonesuch", mention="nonesuch")

    def test_second_delete(self):
        self.create("blue")
        self.bn("network", "rm", "blue")
        self.fails("network", "rm", "blue", mention="blue")

    def test_delete_in_use(self):
        self.create("blue")
        self.attach("blue", "c1")
        self.fails("network", "rm", "blue", mention="blue")

    def test_mtu(self):
        for mtu in ("1", "-1", "junk", "70000", "4294967296"):
            with self.subTest(mtu=mtu):
                result = self.bn.result("network", "create", "blue", "--mtu", mtu)
                self.assertIn(result.returncode, (1, 2))
                self.assertIn(mtu, result.stderr)
        self.assertEqual([], self.left_over())

    def test_options(self):
        self.fails("network", "create", "blue", "--opt", "nonesuch=1", mention="nonesuch")

    def test_bridge_names(self):
        for name in ("sixteen-letters-", "a/b", "br%d", "."):
            with self.subTest(name=name):
                self.fails("network", "create", "blue", "--bridge", name, mention=name)
        for name in ("br+", "b*r", 'b"r', "b\\r"):
            with self.subTest(name=name):
                why = (f"bridge name '{name}' is not valid", "restored")
                self.fails("network", "create", "blue", "--bridge", name, mention=why)
                self.host.run("ip", "link", "add", "name", name, "type", "bridge")
                try:
                    self.fails("network", "create", "blue", "--bridge", name, mention=why)
                finally:
                    self.host.run("ip", "link", "del", name)

    def test_state_directory(self):
        for path in ("/proc/nonesuch", "/dev/null"):
            result = self.host.run(*self.bn.argv()[:1], "--state-dir", path, "network", "create",
                                   "blue", check=False)
            self.assertEqual(1, result.returncode)
            self.assertRegex(result.stderr, r"\Abn: [^\n]*" + path + r"[^\n]*\n\Z")

    def test_no_privilege(self):
        self.create("blue")
        before = self.net.host_state()
        for command in (("network", "create", "green"), ("network", "rm", "blue")):
            result = self.bn.result(*command, user=65534, group=65534, extra_groups=())
            self.assertEqual(1, result.returncode, result.stdout)
            self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n\Z")
        self.assertEqual(before, self.net.host_state())

    def test_unknown_backend(self):
        result = self.host.run(*self.bn.argv()[:3], "--backend", "nonesuch", "network", "ls",
                               check=False)
        self.assertIn(result.returncode, (1, 2))
        self.assertIn("nonesuch", result.stderr)


if __name__ == "__main__":
    unittest.main()
