# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is set of the host so that it forwards, and who tells it of routers then."""
import contextlib
import glob
import unittest

import oracle
from frames import ALL_NODES, packet_socket, router_advertisement
from hosts import OLD_KERNEL, READ_ONLY
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

BAD = "2001:db8:bad::"
LOGGED = ("--sandbox-ipv6", "leave")  # then bn prints the log


class SettingsTest(KernelTest):
    def setUp(self):
        super().setUp()
        for family in FAMILIES:
            self.forwarding(family, "all", 0)

    def tearDown(self):
        try:
            complaints = self.remove_all()
            self.assertEqual([], complaints)
            if self.before:
                self.assertEqual(self.before, self.settings())
        finally:
            self.take_away()
            super().tearDown()

    def take_away(self):
        pass

    before = None

    def settings(self):
        """All of each interface, and of what others begin with."""
        found = {}
        with self.host:
            for path in glob.glob("/proc/sys/net/ipv[46]/conf/*/*"):
                # its own address of privacy, which can't be read
                with contextlib.suppress(OSError), open(path) as file:
                    found[path] = file.read()
        return found

    def remember(self):
        """To be the same when all is removed."""
        self.before = self.settings()

    def forwarding(self, family, interface, value=None):
        return self.host.sysctl(f"net/ipv{family}/conf/{interface}/forwarding", value)

    def ipv6(self, interface, key, value=None):
        return self.host.sysctl(f"net/ipv6/conf/{interface}/{key}", value)

    def is_guarded(self):
        """Whether a network is left or not."""
        return "guard-stopped" in self.host.run("nft", "list", "ruleset").stdout or \
            any("BRIDGENET-GUARD" in self.host.run(f"{program}-legacy-save").stdout
                for program in ("iptables", "ip6tables"))

    def bridge(self, network="net"):
        return oracle.network(self.bn, network)["bridge"]

    def under(self, prefix, *argv):
        result = self.host.run(*prefix, *self.bn.argv(*argv), check=False)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stderr

    def assert_serves(self, namespace, families=FAMILIES):
        """In by port 8080, and out."""
        inside, outside = self.serve(namespace, 80), self.serve(self.remote, 80)
        for family in families:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, inside[family])
            self.assert_tcp(namespace, self.net.address("remote", family), 80, outside[family])

    def advertise(self, machine):
        mac = machine.link("eth0")["address"]
        with contextlib.closing(packet_socket(machine, "eth0")) as sender:
            sender.send(router_advertisement(mac, "fe80::bad", BAD, ALL_NODES))

    def taken(self, interface):
        return [address for address in self.host.addresses(interface, 6)
                if address.startswith(BAD.rstrip(":"))]

    def forget(self, interface):
        self.host.run("ip", "-6", "addr", "flush", "dev", interface, "dynamic")
        self.host.run("ip", "-6", "route", "flush", "proto", "ra")
        self.host.run("ip", "-6", "route", "flush", "dev", interface, "proto", "kernel", "exact",
                      BAD + "/64", check=False)


@for_each_backend
class Forwarding(SettingsTest):
    def test_forwarding_where_new_interfaces_have_none(self):
        """As networkd and others leave it: on as a whole, and off for what comes."""
        for family in FAMILIES:
            self.forwarding(family, "all", 1)
            self.forwarding(family, "default", 0)
        try:
            self.create("net", dual=True)
        finally:
            for family in FAMILIES:
                self.forwarding(family, "default", 1)
        namespace = self.attach("net", "c1", "-p", "8080:80")
        self.assertEqual("1", self.forwarding(4, self.bridge()))
        self.assert_serves(namespace)

    def test_routers_still_tell_the_host(self):
        """Of IPv6 the interfaces that packets come by forward alone."""
        try:
            self.ipv6("eth0", "force_forwarding")
        except FileNotFoundError:
            self.skipTest("a kernel before 6.17")
        self.ipv6("eth0", "accept_ra", 1)
        self.remember()
        self.create(dual=True)
        namespace = self.attach("net", "c1", "-p", "8080:80")
        self.assertEqual(("1", "0"), tuple(self.forwarding(family, "all") for family in FAMILIES))
        for interface, value in (("eth0", "1"), (self.bridge(), "1"), ("lo", "0"), ("all", "0"),
                                 ("default", "0")):
            self.assertEqual(value, self.ipv6(interface, "force_forwarding"), interface)
        self.assert_serves(namespace)
        self.assertEqual("1", self.ipv6("eth0", "accept_ra"))
        try:
            self.advertise(self.remote)
            wait_until(lambda: self.taken("eth0"), what="an address of the router's")
        finally:
            self.forget("eth0")

    def test_a_host_without_a_default_route(self):
        via = self.net.address("remote", 6)
        self.host.batch(f"route del default via {via}\n")
        try:
            self.remember()
            self.create(dual=True)
            self.assert_serves(self.attach("net", "c1", "-p", "8080:80"))
        finally:
            self.host.batch(f"route add default via {via}\n")

    def test_a_host_without_a_route(self):
        """It is off for IPv6, though there is no interface that could be turned on yet."""
        routes = self.host.run("ip", "-6", "route", "show").stdout.splitlines()
        for route in routes:
            self.host.run("ip", "-6", "route", "del", *route.split(), check=False)
        try:
            self.fails("--option", "forwarding=require", "network", "create", "net", "--subnet",
                       "fd00:30::/64", mention="net.ipv6.conf.all.forwarding is 0")
            self.bn("--option", "forwarding=guard", "network", "create", "net", "--subnet",
                    "fd00:30::/64")
            self.assertTrue(self.is_guarded())
            self.bn("network", "rm", "net")
            self.assertFalse(self.is_guarded())
        finally:
            for route in routes:
                self.host.run("ip", "-6", "route", "replace", *route.split(), check=False)

    def test_a_kernel_that_forwards_all(self):
        """There the host goes on to learn of routers by what is no port of a bridge."""
        self.host.batch("link add brx type bridge\n"
                        "link add px master brx type veth peer name py\n")
        try:
            for interface, value in (("eth0", 1), ("px", 1), ("py", 0)):
                self.ipv6(interface, "accept_ra", value)
            self.under(OLD_KERNEL, "network", "create", "net", "--subnet", "172.30.0.0/24",
                       "--subnet", "fd00:30::/64")
            self.assertEqual("1", self.forwarding(6, "all"))
            for interface, value in (("eth0", "2"), ("px", "1"), ("py", "0"), ("default", "1")):
                self.assertEqual(value, self.ipv6(interface, "accept_ra"), interface)
            self.assert_serves(self.attach("net", "c1", "-p", "8080:80"))
            self.bn("detach", "net", "c1")
            self.bn("network", "rm", "net")
            for interface, value in (("eth0", "1"), ("px", "1"), ("py", "0")):
                self.assertEqual(value, self.ipv6(interface, "accept_ra"), interface)
            self.assertEqual("0", self.forwarding(6, "all"))
        finally:
            self.host.batch("link del px\nlink del brx\n")


@for_each_backend
class ReadOnly(SettingsTest):
    """A container that has CAP_NET_ADMIN, and whose /proc/sys can't be written."""

    def service(self, *argv):
        self.remember()
        namespace = self.net.endpoint("c1")
        self.under(READ_ONLY, "network", "create", "net", *argv)
        self.under(READ_ONLY, *LOGGED, "attach", "net", "c1", "--netns",
                   namespace.path, "-p", "8080:80")
        return namespace

    def test_ipv4(self):
        self.assert_serves(self.service("--subnet", "172.30.0.0/24"), (4,))
        self.assertEqual("0", self.forwarding(4, "all"))
        self.assertEqual("1", self.forwarding(4, self.bridge()))
        self.under(READ_ONLY, "detach", "net", "c1")
        self.under(READ_ONLY, "network", "rm", "net")

    def test_says_what_it_leaves(self):
        said = self.under(READ_ONLY, *LOGGED, "network", "create", "net", "--subnet",
                          "172.30.0.0/24")
        self.assertIn(f"/proc/sys/net/ipv6/conf/{self.bridge()}/disable_ipv6", said)

    def test_right_already(self):
        for family in FAMILIES:
            self.forwarding(family, "all", 1)
        self.assert_serves(self.service("--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64"))

    def test_what_is_to_be_written(self):
        before = self.net.host_state()
        result = self.host.run(*READ_ONLY, *self.bn.argv("network", "create", "net", "--subnet",
                                                         "fd00:30::/64"), check=False)
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r"\Abn: [^\n]*ipv6[^\n]*forwarding to 1[^\n]*\n\Z")
        self.assertEqual(before, self.net.host_state())

    def test_required_and_guarded(self):
        """All is off, and one interface at a time is turned on."""
        before = self.net.host_state()
        for option, status in (("require", 1), ("guard", 0)):
            result = self.host.run(*READ_ONLY, *self.bn.argv(
                "--option", "forwarding=" + option, "network", "create", "net", "--subnet",
                "172.30.0.0/24"), check=False)
            self.assertEqual(status, result.returncode, result.stderr)
            self.assertEqual(option == "guard", self.is_guarded())
            if option == "require":
                self.assertIn("net.ipv4.conf.all.forwarding is 0", result.stderr)
                self.assertEqual(before, self.net.host_state())
        self.under(READ_ONLY, "network", "rm", "net")
        self.assertFalse(self.is_guarded())

    def test_read_only_since(self):
        """What can't be given back keeps no network, and a guard stays before what stays on."""
        for options, guarded in (((), False), (("--option", "forwarding=guard"), True)):
            self.bn(*options, "network", "create", "net", "--subnet", "172.30.0.0/24")
            said = self.under(READ_ONLY, *LOGGED, "network", "rm", "net")
            self.assertIn("/proc/sys/net/ipv4/conf/all/forwarding", said)
            self.assertNotIn("net", [each["name"] for each in oracle.networks(self.bn)])
            self.assertEqual("1", self.forwarding(4, "all"))
            self.assertEqual(guarded, self.is_guarded())
            # and so with who comes and goes behind it
            self.bn("network", "create", "net", "--subnet", "172.30.0.0/24")
            self.bn("network", "rm", "net")
            self.assertEqual(guarded, self.is_guarded())
            self.forwarding(4, "all", 0)
            self.bn("network", "create", "net", "--subnet", "172.30.0.0/24")
            self.bn("network", "rm", "net")
            self.assertFalse(self.is_guarded())


@for_each_backend
class Adopted(SettingsTest):
    """Endpoints on a bridge of somebody else's that say they are routers."""

    def setUp(self):
        super().setUp()
        self.host.batch("link add br9 address 02:00:00:00:00:09 type bridge\n"
                        "link add port9 type veth peer name other9\nlink set br9 up\n"
                        "link set other9 up\n")
        self.ipv6("br9", "accept_ra", 1)

    def take_away(self):
        self.host.batch("link del br9\nlink del port9\n")

    def adopt(self):
        self.remember()
        return self.under((), *LOGGED, "network", "create", "net", "--bridge", "br9", "--subnet",
                          "172.30.0.0/24")

    def test_the_host_believes_no_endpoint(self):
        said = self.adopt()
        self.assertNotIn("router advertisements", said)
        self.assertEqual("0", self.ipv6("br9", "accept_ra"))
        namespace = self.attach("net", "c1")
        self.advertise(namespace)
        # what came after it has been dealt with
        self.assert_tcp(namespace, "172.30.0.1", 80, self.serve(self.host, 80, (4,))[4])
        self.assertEqual([], self.taken("br9"))

    def test_an_uplink_stays_one(self):
        self.host.batch("link set port9 master br9 up\n")
        said = self.adopt()
        self.assertEqual("1", self.ipv6("br9", "accept_ra"))
        for words in ("router advertisements", "net.ipv6.conf.br9.accept_ra", "net"):
            self.assertIn(words, said)
        namespace = self.attach("net", "c1")
        self.advertise(namespace)
        wait_until(lambda: self.taken("br9"), what="an address of the router's")
        self.forget("br9")

    def test_where_new_interfaces_do_not_forward(self):
        self.forwarding(4, "all", 1)
        self.forwarding(4, "br9", 0)
        self.adopt()
        self.assertEqual("1", self.forwarding(4, "br9"))
        self.assert_serves(self.attach("net", "c1", "-p", "8080:80"), (4,))

    def test_goes_while_another_network_stands(self):
        """What is the bridge's own goes with its network."""
        self.forwarding(4, "all", 1)
        self.forwarding(4, "br9", 0)
        self.remember()
        self.create("net", "--bridge", "br9", "--subnet", "172.30.0.0/24", "--subnet",
                    "fd00:30::/64")
        self.create("other", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.assertEqual("1", self.forwarding(4, "br9"))
        self.bn("network", "rm", "net")
        changed = {path for path, value in self.settings().items()
                   if "/br9/" in path and value != self.before[path]}
        self.assertEqual(set(), changed)
        self.bn("network", "rm", "other")


if __name__ == "__main__":
    unittest.main()
