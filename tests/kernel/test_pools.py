# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where subnets come from that nobody named: pools of the call and the context, any of a size."""
import contextlib
import ipaddress
import os
import unittest

import oracle
from topology import FAMILIES, KernelTest, for_each_backend, run


@for_each_backend
class Pools(KernelTest):
    def subnets(self, name):
        return [entry["subnet"] for entry in oracle.network(self.bn, name)["subnets"]]

    def make(self, name, *argv, context=()):
        """The network's subnets."""
        self.bn(*context, "network", "create", name, *argv)
        return self.subnets(name)

    @contextlib.contextmanager
    def routes(self, *lines):
        self.host.batch("".join(f"route add {line}\n" for line in lines))
        try:
            yield
        finally:
            self.host.batch("".join(f"route del {line}\n" for line in lines))

    def test_of_the_call(self):
        pools = ("--pool", "10.99.0.0/23:24", "--pool", "fd00:99::/63:64", "--ipv6")
        self.assertEqual(["10.99.0.0/24", "fd00:99::/64"], self.make("one", *pools))
        self.assertEqual(["10.99.1.0/24", "fd00:99:0:1::/64"], self.make("two", *pools))
        self.fails("network", "create", "three", "--pool", "10.99.0.0/23:24",
                   mention=("10.99.0.0/23", "delete a network"))
        self.fails("network", "create", "three", "--ipv6", "--pool", "fd00:99::/63:64",
                   mention="fd00:99::/63")
        # the next pool is for when the first has no more
        more = ("--pool", "10.99.0.0/23:24", "--pool", "10.98.0.0/24:28")
        self.assertEqual(["10.98.0.0/28"], self.make("three", *more))
        self.bn("network", "rm", "one")
        self.assertEqual(["10.99.0.0/24"], self.make("one", *more))
        # another call is as before
        self.assertEqual(["172.17.0.0/16"], self.make("four"))

    def test_of_the_context(self):
        context = ("--option", "pools=10.97.0.0/24:25,10.96.0.0/24:26,fd00:97::/48:56")
        self.assertEqual(["10.97.0.0/25", "fd00:97::/56"],
                         self.make("one", "--ipv6", context=context))
        self.assertEqual(["10.97.0.128/25"], self.make("two", context=context))
        self.assertEqual(["10.96.0.0/26"], self.make("three", context=context))
        # those of the call come first, each family by itself
        self.assertEqual(["10.95.0.0/30", "fd00:97:0:100::/56"],
                         self.make("four", "--ipv6", "--pool", "10.95.0.0/16:30", context=context))
        # and `bridge`, which is made by the first who needs it, has them too
        namespace = self.net.endpoint("c1")
        self.bn(*context, "attach", "bridge", "c1", "--netns", namespace.path)
        self.assertEqual(["10.96.0.64/26"], self.subnets("bridge"))
        self.assertEqual("10.96.0.66", namespace.address(4))

    def test_any_of_a_size(self):
        self.assertEqual(["172.17.0.0/28"], self.make("one", "--subnet", "0.0.0.0/28"))
        self.assertEqual(["172.17.0.16/28"], self.make("two", "--subnet", "0.0.0.0/28"))
        (picked,) = self.make("six", "--subnet", "::/80")
        self.assertEqual(80, ipaddress.ip_network(picked).prefixlen)
        (other,) = self.make("six2", "--subnet", "::/80")
        self.assertEqual(ipaddress.ip_network(picked).supernet(new_prefix=64),
                         ipaddress.ip_network(other).supernet(new_prefix=64))
        self.assertNotEqual(picked, other)
        # what is left of 172.17.0.0/16 is too small for one without a size
        self.assertEqual(["172.18.0.0/16"], self.make("three"))
        self.assertEqual(["10.99.0.0/25"],
                         self.make("four", "--subnet", "0.0.0.0/25", "--pool", "10.99.0.0/16:24"))
        # an endpoint on the first
        namespace = self.attach("one", "c1")
        self.assertEqual(["172.17.0.2/28"], namespace.addresses("eth0", 4))
        namespace.ping("172.17.0.1")
        for size, mention in (("0.0.0.0/8", ("/8", "172.20.0.0/14")), ("::/40", "/40"),
                              ("0.0.0.0/0", "0.0.0.0/0"), ("0.0.0.0/32", "/32"),
                              ("::/128", "/128")):
            with self.subTest(size=size):
                self.fails("network", "create", "late", "--subnet", size, mention=mention)
        both = [ipaddress.ip_network(one) for one in
                self.make("both", "--subnet", "0.0.0.0/24", "--subnet", "0.0.0.0/25")]
        self.assertEqual([24, 25], [one.prefixlen for one in both])
        self.assertFalse(both[0].overlaps(both[1]))
        self.fails("network", "create", "late", "--subnet", "0.0.0.0/24", "--gateway",
                   "172.17.0.1", mention="172.17.0.1")

    def test_existing_one_is_as_asked(self):
        made = self.create("one", "--pool", "10.99.0.0/16:24")
        for argv in (("--pool", "10.99.0.0/16:24"), ("--subnet", "0.0.0.0/24"), ()):
            self.assertEqual(made, self.create("one", "--existing-ok", *argv))
        self.fails("network", "create", "one", "--existing-ok", "--subnet", "0.0.0.0/25",
                   mention=("10.99.0.0/24", "/25"))
        self.fails("network", "create", "one", "--existing-ok", "--pool", "10.98.0.0/16:24",
                   mention=("10.99.0.0/24", "pools"))

    def test_a_vpn_that_takes_all_does_not_exhaust_the_pools(self):
        remote = [self.net.address("remote", family) for family in FAMILIES]
        with self.routes(f"0.0.0.0/1 via {remote[0]}", f"128.0.0.0/1 via {remote[0]}",
                         f"default via {remote[0]} table 51", f"::/1 via {remote[1]}",
                         f"8000::/1 via {remote[1]}"):
            picked = self.make("one", "--ipv6")
            self.assertEqual("172.17.0.0/16", picked[0])
            self.assertEqual(2, len(picked))
            self.bn("network", "rm", "one")

    def test_routes_of_both_families_in_any_table(self):
        remote = [self.net.address("remote", family) for family in FAMILIES]
        pools = ("--pool", "10.99.0.0/22:24", "--pool", "fd00:99::/62:64", "--ipv6")
        with self.routes(f"10.99.0.128/25 via {remote[0]}", f"10.99.1.0/24 via {remote[0]} table 7",
                         f"fd00:99::/64 via {remote[1]}",
                         f"fd00:99:0:1::1:0/112 via {remote[1]} table 7"):
            self.assertEqual(["10.99.2.0/24", "fd00:99:0:2::/64"], self.make("one", *pools))
            self.bn("network", "rm", "one")

    def test_nameservers_are_kept_away_from(self):
        text = ("; 10.99.0.1\nnameserver 10.99.0.53\nnameserver\t172.17.9.9  \n"
                "nameserver fd00:99::53%eth0\nsearch 10.99.1.1\nnameservers 10.99.1.1\n"
                "nameserver junk\nnameserver 10.99.1.300\n")
        real = "nameserver 10.99.2.53\n"
        path = os.path.join(self.net.state, "resolv.conf")
        with open(path, "w") as file:
            file.write(text)
        os.makedirs("/run/systemd/resolve", exist_ok=True)
        with open("/run/systemd/resolve/resolv.conf", "w") as file:
            file.write(real)
        run("mount", "--bind", path, "/etc/resolv.conf")
        try:
            self.assertEqual(["172.18.0.0/16"], self.make("auto"))
            pools = ("--pool", "10.99.0.0/16:24", "--pool", "fd00:99::/48:64", "--ipv6")
            self.assertEqual(["10.99.1.0/24", "fd00:99:0:1::/64"], self.make("one", *pools))
            self.assertEqual(["10.99.3.0/24", "fd00:99:0:2::/64"], self.make("two", *pools))
            # who names one knows
            self.assertEqual(["10.99.0.0/24"], self.make("named", "--subnet", "10.99.0.0/24"))
        finally:
            run("umount", "/etc/resolv.conf")
            os.unlink("/run/systemd/resolve/resolv.conf")
            os.unlink(path)

    def test_refused(self):
        for pool, mention in (("10.99.0.0/16:8", "from 16 to 31"), ("10.99.0.0/16:32", "31"),
                              ("10.99.0.1/16:24", "use 10.99.0.0/16"), ("224.0.0.0/8:24", "224"),
                              ("127.0.0.0/8:24", "loopback"), ("fd00::/48:128", "127"),
                              ("junk/:24", "junk")):
            with self.subTest(pool=pool):
                self.fails("network", "create", "late", "--pool", pool, mention=mention)
        self.fails("network", "create", "late", "--pool", "10.99.0.0/16", code=2)
        result = self.bn.result("--option", "pools=10.99.0.0/16", "network", "create", "late")
        self.assertEqual(1, result.returncode)
        self.assertIn("pools", result.stderr)


if __name__ == "__main__":
    unittest.main()
