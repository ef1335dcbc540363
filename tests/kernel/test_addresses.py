# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which address of a subnet goes to whom, how many there are left, and a network's own id."""
import ipaddress
import unittest

import oracle
from topology import KernelTest, for_each_backend

LAST = 2 ** 63 - 1  # the most that bn says in JSON


class AddressTest(KernelTest):
    def join(self, network, role, *argv):
        """The endpoint's addresses, IPv4 first."""
        namespace = self.attach(network, role, *argv)
        return [entry.split("/")[0] for family in (4, 6)
                for entry in namespace.addresses("eth0", family)]

    def refuse(self, network, *argv, mention):
        late = self.net.endpoint("late")
        self.fails("attach", network, "late", "--netns", late.path, *argv, mention=mention)


@for_each_backend
class Ranges(AddressTest):
    def test_first_and_last(self):
        self.create("net", "--subnet", "172.30.0.0/24", "--ip-range", "172.30.0.9-172.30.0.11",
                    "--subnet", "fd00:30::/64", "--ip-range", "fd00:30::a-fd00:30::c")
        subnets = oracle.network(self.bn, "net")["subnets"]
        self.assertEqual(["172.30.0.9-172.30.0.11", "fd00:30::a-fd00:30::c"],
                         [entry["ip_range"] for entry in subnets])
        self.assertEqual(["172.30.0.9", "fd00:30::a"], [entry["gateway"] for entry in subnets])
        self.assertEqual(["172.30.0.10", "fd00:30::b"], self.join("net", "c1"))
        self.assertEqual(["172.30.0.11", "fd00:30::c"], self.join("net", "c2"))
        self.refuse("net", mention="172.30.0.9-172.30.0.11")
        # what is asked for may be anywhere in the subnet
        self.assertEqual(["172.30.0.200", "fd00:30::200"],
                         self.join("net", "c3", "--ip", "172.30.0.200", "--ip", "fd00:30::200"))
        self.refuse("net", "--ip", "172.30.0.200", "--ip", "fd00:30::201", mention="172.30.0.200")
        self.refuse("net", "--ip", "172.30.1.1", mention=("172.30.1.1", "outside"))
        self.refuse("net", "--ip", "172.30.0.255", mention="172.30.0.255")
        self.refuse("net", "--ip", "172.30.0.0", mention="172.30.0.0")

    def test_existing_one_is_as_asked(self):
        argv = ("--existing-ok", "--subnet", "172.30.0.0/24", "--ip-range")
        made = self.create("net", *argv, "172.30.0.64-172.30.0.127")
        self.assertEqual(made, self.create("net", *argv, "172.30.0.64/26"))
        self.assertEqual("172.30.0.64/26",
                         oracle.network(self.bn, "net")["subnets"][0]["ip_range"])
        self.fails("network", "create", "net", *argv, "172.30.0.64-172.30.0.126",
                   mention=("172.30.0.64/26", "172.30.0.64-172.30.0.126"))

    def test_at_the_64_bit_limit(self):
        self.create("net", "--subnet", "fd00:30::/48", "--gateway", "fd00:30::1",
                    "--ip-range", "fd00:30::ffff:ffff:ffff:fffe-fd00:30:0:1::1")
        for i, address in enumerate(("fd00:30::ffff:ffff:ffff:fffe", "fd00:30::ffff:ffff:ffff:ffff",
                                     "fd00:30:0:1::", "fd00:30:0:1::1")):
            self.assertEqual([address], self.join("net", f"c{i}"))
        self.refuse("net", mention="no free address")
        self.create("end", "--subnet", "fd00:31::/64",
                    "--ip-range", "fd00:31::ffff:ffff:ffff:fffe/127")
        self.assertEqual(["fd00:31::ffff:ffff:ffff:ffff"], self.join("end", "e1"))
        self.refuse("end", mention="fd00:31::ffff:ffff:ffff:fffe/127")
        self.create("wide", "--subnet", "fd00:32::/32", "--ip-range", "fd00:32:5::/64")
        self.assertEqual(["fd00:32:5::1"], self.join("wide", "w1"))

    def test_refused(self):
        subnet = ("--subnet", "172.30.0.0/24")
        for value, mention in (("172.30.0.9-172.30.0.3", "before the last"),
                               ("172.30.0.9-172.30.1.3", "not inside"),
                               ("172.29.0.9-172.30.0.3", "not inside"),
                               ("172.30.0.9-fd00::1", "172.30.0.9-fd00::1"),
                               ("172.30.0.9-", "172.30.0.9-"), ("172.30.0.9", "172.30.0.9"),
                               ("172.30.0.1/25", "use 172.30.0.0/25"),
                               ("172.30.0.9-172.30.0.9", "172.30.0.9/32"),
                               ("fd00::1-fd00::9", "fd00::1-fd00::9")):
            with self.subTest(value=value):
                self.fails("network", "create", "net", *subnet, "--ip-range", value,
                           mention=mention)
        self.create("blue", "--subnet", "172.30.0.0/16")
        self.fails("network", "create", "net", "--subnet", "172.30.9.0/24",
                   "--ip-range", "172.30.9.4-172.30.9.9", mention=("172.30.9.0/24", "blue"))


@for_each_backend
class Small(AddressTest):
    def test_two_addresses(self):
        """One is the bridge's (RFC 3021, RFC 6164)."""
        self.create("net", "--subnet", "172.30.0.4/31", "--subnet", "fd00:30::4/127")
        self.assertEqual(["172.30.0.5", "fd00:30::5"], self.join("net", "c1"))
        namespace = self.net.endpoints[0]
        for gateway in ("172.30.0.4", "fd00:30::4"):
            namespace.ping(gateway)
        self.refuse("net", mention="172.30.0.4/31")

    def test_four_addresses(self):
        self.create("net", "--subnet", "172.30.0.4/30", "--subnet", "fd00:30::4/126")
        self.assertEqual(["172.30.0.6", "fd00:30::6"], self.join("net", "c1"))
        self.refuse("net", mention="172.30.0.4/30")
        # there is no broadcast in IPv6, and so one more
        self.create("six", "--subnet", "fd00:31::4/126")
        self.assertEqual([["fd00:31::6"], ["fd00:31::7"]],
                         [self.join("six", role) for role in ("s1", "s2")])

    def test_one_address(self):
        for cidr in ("172.30.0.4/32", "fd00:30::4/128"):
            self.fails("network", "create", "net", "--subnet", cidr, mention=(cidr, "gateway"))


@for_each_backend
class Reserved(AddressTest):
    def test_named_as_docker_does(self):
        self.create("net", "--subnet", "172.30.0.0/29", "--aux-address", "printer=172.30.0.2",
                    "--aux-address", "172.30.0.3", "--reserve", "other=172.30.0.4")
        shown = oracle.network(self.bn, "net")
        self.assertEqual(["172.30.0.2", "172.30.0.3", "172.30.0.4"], shown["reserved"])
        self.assertEqual(["172.30.0.5"], self.join("net", "c1"))
        self.refuse("net", "--ip", "172.30.0.2", mention="172.30.0.2")

    def test_gateway_and_aux(self):
        """The gateway may be one of them, if it is named, and is not if it is picked."""
        self.create("net", "--subnet", "172.30.0.0/29", "--aux-address", "a=172.30.0.1")
        self.assertEqual("172.30.0.2", oracle.network(self.bn, "net")["subnets"][0]["gateway"])
        self.assertEqual(["172.30.0.3"], self.join("net", "c1"))
        self.create("two", "--subnet", "172.30.1.0/29", "--gateway", "172.30.1.3",
                    "--aux-address", "a=172.30.1.3", "--aux-address", "b=172.30.1.1")
        self.assertEqual(["172.30.1.2"], self.join("two", "d1"))
        self.assertEqual(["172.30.1.4"], self.join("two", "d2"))

    def test_default_gateway(self):
        self.create("net", "--subnet", "172.30.0.0/29", "--subnet", "fd00:30::/64",
                    "--aux-address", "DefaultGatewayIPv4=172.30.0.2",
                    "--aux-address", "DefaultGatewayIPv6=fd00:30::2")
        options = oracle.network(self.bn, "net")["options"]
        self.assertEqual(("172.30.0.2", "fd00:30::2"),
                         (options["default-gateway-ipv4"], options["default-gateway-ipv6"]))
        self.assertEqual(["172.30.0.3", "fd00:30::3"], self.join("net", "c1"))
        # as an option alone it is nobody's by chance, and whose it is asks for it
        self.create("two", "--subnet", "172.30.1.0/29", "--opt", "default-gateway-ipv4=172.30.1.2")
        self.assertEqual(["172.30.1.3"], self.join("two", "d1"))
        self.assertEqual(["172.30.1.2"], self.join("two", "d2", "--ip", "172.30.1.2"))

    def test_refused(self):
        subnet = ("--subnet", "172.30.0.0/24")
        for argv, mention in ((("--aux-address", "a=172.31.0.1"), "172.31.0.1"),
                              (("--aux-address", "a=junk"), "junk"),
                              (("--aux-address", "=172.30.0.1"), "172.30.0.1"),
                              (("--aux-address", "DefaultGatewayIPv4=172.30.0.1", "--aux-address",
                                "DefaultGatewayIPv4=172.30.0.2"), "172.30.0.2"),
                              (("--aux-address", "DefaultGatewayIPv4=fd00::1"), "fd00::1")):
            with self.subTest(argv=argv):
                self.fails("network", "create", "net", *subnet, *argv, mention=mention)

    def test_released_one_is_not_given_again_at_once(self):
        self.create("net", "--subnet", "172.30.0.0/29")
        self.assertEqual(["172.30.0.2"], self.join("net", "c1"))
        for last in (3, 4, 5, 6, 2, 3):
            self.bn("detach", "net", "c1")
            self.assertEqual([f"172.30.0.{last}"], self.join("net", "c1"))


@for_each_backend
class Counts(AddressTest):
    def counts(self, name="net"):
        return [(entry["addresses_used"], entry["addresses_free"])
                for entry in oracle.network(self.bn, name)["subnets"]]

    def test_used_and_free(self):
        made = self.bn.json("network", "create", "net", "--subnet", "172.30.0.0/24", "--subnet",
                            "fd00:30::/120", "--aux-address", "a=172.30.0.9")
        expected = [(2, 252), (1, 254)]
        self.assertEqual(expected, [(entry["addresses_used"], entry["addresses_free"])
                                    for entry in made["subnets"]])
        self.assertEqual(expected, self.counts())
        self.attach("net", "c1")
        self.attach("net", "c2", "--ip", "172.30.0.99")
        self.assertEqual([(4, 250), (3, 252)], self.counts())
        again = self.bn.json("network", "create", "net", "--existing-ok")
        self.assertEqual([4, 3], [entry["addresses_used"] for entry in again["subnets"]])
        self.bn("detach", "net", "c1")
        self.assertEqual([(3, 251), (2, 253)], self.counts())
        self.assertIn("3 used, 251 free", self.bn("network", "inspect", "net"))

    def test_as_many_as_can_be_given(self):
        self.create("net", "--subnet", "172.30.0.0/24", "--ip-range", "172.30.0.8-172.30.0.12",
                    "--aux-address", "a=172.30.0.10")
        self.create("other", "--subnet", "172.30.1.0/29")
        self.assertEqual([(2, 3)], self.counts())
        # outside the range it is used, and no fewer are free
        self.attach("net", "s", "--ip", "172.30.0.77")
        self.assertEqual([(3, 3)], self.counts())
        for left in (2, 1, 0):
            self.attach("net", f"c{left}")
            self.assertEqual(left, self.counts()[0][1])
        self.refuse("net", mention="no free address")
        self.assertEqual([(1, 5)], self.counts("other"))
        listed = {entry["name"]: entry["subnets"] for entry in self.bn.json("network", "ls")}
        self.assertEqual([(6, 0), (1, 5)], [(listed[name][0]["addresses_used"],
                                             listed[name][0]["addresses_free"])
                                            for name in ("net", "other")])

    def test_more_than_can_be_counted(self):
        self.create("net", "--subnet", "fd00:30::/64")
        self.create("wide", "--subnet", "fd00:40::/32")
        self.assertEqual([(1, LAST)], self.counts())
        self.attach("net", "c1")
        self.assertIn(f"2 used, {2 ** 64 - 3} free", self.bn("network", "inspect", "net"))
        self.assertIn("1 used, 2^64 or more free", self.bn("network", "inspect", "wide"))


@for_each_backend
class Identity(AddressTest):
    ID = "0123456789abcdef" * 4

    def test_given(self):
        self.assertEqual(self.ID + "\n", self.create("net", "--id", self.ID))
        shown = oracle.network(self.bn, "net")
        self.assertEqual((self.ID, "bn-0123456789ab"), (shown["id"], shown["bridge"]))
        self.attach(self.ID, "c1", "-p", "8080:80")
        self.create("net", "--existing-ok", "--id", self.ID)
        self.fails("network", "create", "net", "--existing-ok", "--id", self.ID[::-1],
                   mention=(self.ID, self.ID[::-1]))
        # what begins alike would be taken for it
        for identity in (self.ID, self.ID[:12] + "f" * 52):
            for argv in ((), ("--bridge", "otherbr"), ("--existing-ok",)):
                self.fails("network", "create", "other", "--id", identity, *argv,
                           mention=("net", self.ID[:12], "other"))
        self.create("other", "--id", self.ID[:11] + "f" * 53)
        self.bn("detach", "net", "c1")
        self.bn("network", "rm", self.ID)
        self.create("third", "--id", self.ID)

    def test_refused(self):
        for identity in ("", "0123", self.ID[:-1], self.ID + "0", self.ID.upper(), "g" * 64):
            with self.subTest(identity=identity):
                self.fails("network", "create", "net", "--id", identity, mention="hexadecimal")
        self.fails("network", "create", "bridge", "--id", self.ID, mention="bridge")
        self.fails("network", "create", "host", "--id", self.ID, mention="host")
        own = oracle.network(self.bn, "bridge")["id"]
        self.fails("network", "create", "net", "--id", own, mention="bridge")
        self.create("bridge", "--id", own)


if __name__ == "__main__":
    unittest.main()
