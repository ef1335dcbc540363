# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bridges of networks and the host's settings: what is shown of what somebody did to them, and
that it is put right, and nothing else."""
import contextlib
import json
import unittest

import oracle
from topology import BACKENDS, FAMILIES, KernelTest, for_backend, for_each_backend, wait_until

NOTE, BROKEN, OPEN = 1, 2, 3  # of bn_finding_severity()
GATEWAY = {4: "172.30.0.1/24", 6: "fd00:30::1/64"}
SECOND = ("--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")


class CheckTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.options = ()

    def found(self, *argv, verb="check", code=None):
        """What bn finds, and its exit status is that of it."""
        result = self.bn.result(*self.options, "--json", verb, *argv)
        self.assertIn(result.returncode, (0, 3), result.stderr)
        answer = json.loads(result.stdout)
        left = [finding for finding in answer["findings"] if not finding["repaired"]]
        self.assertEqual((not left, 3 if left else 0), (answer["ok"], result.returncode))
        if code is not None:
            self.assertEqual(code, result.returncode, answer["findings"])
        return answer["findings"]

    def codes(self, *argv, **options):
        return sorted(finding["code"] for finding in self.found(*argv, **options))

    def repair(self, *argv):
        return self.found(*argv, verb="repair")

    def assert_clean(self, *argv):
        self.assertEqual([], self.found(*argv, code=0))

    def link_of(self, name):
        """What a link is, without what changes by itself."""
        link = self.host.link(name)
        kind = link.get("linkinfo", {}).get("info_kind")
        return (link["ifname"], "UP" in link["flags"], link["mtu"], link["address"],
                link.get("ifalias"), link.get("altnames", []), kind, link.get("group"))

    def settings_of(self, name):
        """Every setting of an interface."""
        read = 'cd /proc/sys/net; for file in ipv?/conf/"$1"/*; do case $file in ' \
               '*stable_secret) ;; *) echo "$file $(cat "$file")";; esac; done'
        lines = self.host.run("bash", "-c", read, "read", name).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def state_of(self, name):
        addresses = {family: sorted(self.host.addresses(name, family, scope=None))
                     for family in FAMILIES}
        return self.link_of(name), addresses, self.settings_of(name)

    def all_links(self):
        return {name: (self.link_of(name), [self.host.addresses(name, family, scope=None)
                                            for family in FAMILIES])
                for name in self.host.links()}

    def index_of(self, name):
        return self.host.link(name)["ifindex"]

    def serves(self, namespace, families=FAMILIES, port=8080):
        """From outside, and for IPv4 from the host's own loopback address."""
        for family in families:
            with contextlib.closing(namespace.listen(family, 80)) as listener:
                self.assert_tcp(self.remote, self.net.host_address(family), port, listener)
                if family == 4:
                    self.assert_tcp(self.host, "127.0.0.1", port, listener)


@for_each_backend
class Bridges(CheckTest):
    """Ours."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.bridge = oracle.network(self.bn, "net")["bridge"]
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.before = self.state_of(self.bridge)
        self.index = self.index_of(self.bridge)

    # what somebody does, {} the bridge; and what is found
    DAMAGES = {
        "down": ("link set {} down",
                 ["bridge-address-missing", "bridge-address-missing", "bridge-down"]),
        "renamed": ("link set {} name lost", ["bridge-renamed"]),
        "renamed-and-down": ("link set {} down name lost",
                             ["bridge-address-missing", "bridge-address-missing", "bridge-down",
                              "bridge-renamed"]),
        "its-name-an-alternative-one": ("link set {} name lost\nlink property add dev lost altname {}",
                                        ["bridge-renamed"]),
        "mtu": ("link set {} mtu 1400", ["bridge-changed"]),
        "mtu-without-ipv6": ("link set {} mtu 1000",
                             ["bridge-address-missing", "bridge-address-missing",
                              "bridge-changed"]),
        "mac": ("link set {} address 02:00:00:00:00:77", ["bridge-changed"]),
        "alias-gone": ('link set {} alias ""', ["bridge-changed"]),
        "another-alias": ("link set {} alias mine", ["bridge-changed"]),
        "no-addresses": ("addr flush dev {}", ["bridge-address-missing"] * 3),
        "no-gateway-of-ipv4": (f"addr del {GATEWAY[4]} dev {{}}", ["bridge-address-missing"]),
        "no-gateway-of-ipv6": (f"addr del {GATEWAY[6]} dev {{}}", ["bridge-address-missing"]),
        "another-length": (f"addr del {GATEWAY[4]} dev {{}}\naddr add 172.30.0.1/16 dev {{}}",
                           ["bridge-address-missing"]),
        "many-at-once": ("link set {} address 02:00:00:00:00:77 mtu 1300 name lost\n"
                         "addr flush dev lost",
                         ["bridge-address-missing"] * 3 + ["bridge-changed"] * 2 +
                         ["bridge-renamed"]),
    }

    def test_each_is_shown_and_healed(self):
        talking = {}
        for family in FAMILIES:
            listener = self.keep(self.namespace.listen(family, 81))
            client = self.connect(self.host, self.namespace.address(family), 81)
            talking[family] = client, self.keep(listener.accept()[0])
        self.assert_clean()
        for name, (commands, codes) in self.DAMAGES.items():
            with self.subTest(name):
                self.host.batch(commands.format(*[self.bridge] * commands.count("{}")) + "\n")
                damaged = self.all_links()
                found = self.found(code=3)
                bridge_codes = [finding["code"] for finding in found
                                if finding["code"].startswith("bridge")]
                self.assertEqual(codes, sorted(bridge_codes))
                for finding in found:
                    self.assertEqual("net", finding["network"], finding)
                # of that network alone, and of its endpoint
                for argv in (("net",), ("net", "c1")):
                    self.assertEqual(sorted(bridge_codes),
                                     [code for code in self.codes(*argv)
                                      if code.startswith("bridge")])
                # to look changes nothing, nor does a plan
                self.assertEqual(found, self.found("--plan", verb="repair"))
                self.assertEqual(damaged, self.all_links())
                self.assertTrue(all(finding["repaired"] for finding in self.repair()))
                if name == "another-length":
                    self.host.batch(f"addr del 172.30.0.1/16 dev {self.bridge}\n")
                self.assertEqual(self.before, self.state_of(self.bridge))
                self.assertEqual(self.index, self.index_of(self.bridge))
                self.assert_clean()
                self.assertEqual([], self.repair())
                self.serves(self.namespace)
                for client, server in talking.values():
                    client.sendall(b"still there")
                    self.assertEqual(b"still there", server.recv(64))

    def test_deleted(self):
        """And with it all that the endpoints had there."""
        self.host.batch(f"link del {self.bridge}\n")
        self.assertIn("bridge-missing", self.codes("net", code=3))
        self.assertEqual([], [found for found in self.repair() if not found["repaired"]])
        self.assertEqual(self.before, self.state_of(self.bridge))
        self.assert_clean()
        self.serves(self.namespace)
        self.serves(self.attach("net", "c2", "-p", "8081:80"), port=8081)

    def test_another_of_its_name(self):
        """It is said what that is, and it is left alone; once it has gone all is put right."""
        for make in ("link add {} type bridge", "link add {} type veth peer name other"):
            with self.subTest(make):
                self.host.batch(f"link del {self.bridge}\n" + make.format(self.bridge) + "\n")
                taken = self.link_of(self.bridge)
                found, = [finding for finding in self.repair()
                          if finding["code"].startswith("bridge")]
                self.assertEqual(("bridge-taken", "net", self.bridge, False),
                                 tuple(found[key] for key in ("code", "network", "object",
                                                              "repaired")))
                self.assertIn("veth" if "veth" in make else "another bridge", found["is"])
                self.assertEqual(taken, self.link_of(self.bridge))
                self.host.batch(f"link del {self.bridge}\n")
                self.repair()
                self.assertEqual(self.before, self.state_of(self.bridge))

    def test_its_name_given_to_another(self):
        """It can't have it back before that one has gone."""
        self.host.batch(f"link set {self.bridge} name lost\nlink add {self.bridge} type bridge\n")
        taken = self.link_of(self.bridge)
        self.assertEqual([("bridge-renamed", False)],
                         [(finding["code"], finding["repaired"]) for finding in self.repair()
                          if finding["code"].startswith("bridge")])
        self.assertEqual(taken, self.link_of(self.bridge))
        self.host.batch(f"link del {self.bridge}\n")
        self.repair()
        self.assertEqual(self.before, self.state_of(self.bridge))
        self.assertEqual(self.index, self.index_of(self.bridge))
        self.assert_clean()
        self.serves(self.namespace)

    def test_one_network_of_two(self):
        self.create("other", *SECOND)
        other = oracle.network(self.bn, "other")["bridge"]
        self.host.batch(f"link set {self.bridge} down\nlink set {other} down\n")
        self.assertEqual({"net"}, {finding["network"] for finding in self.found("net")})
        self.repair("net")
        self.assertEqual(self.before, self.state_of(self.bridge))
        self.assertFalse(self.link_of(other)[1])
        self.assert_clean("net")
        self.assertIn("bridge-down", self.codes("other", code=3))
        self.repair()
        self.assert_clean()

    def test_what_is_not_ours_stays(self):
        """What making a network would leave alone."""
        self.host.batch(f"addr add 10.9.9.9/32 dev {self.bridge}\n"
                        f"link property add dev {self.bridge} altname mine\n"
                        f"link set {self.bridge} txqueuelen 77\n"
                        f"link set {self.bridge} type bridge ageing_time 100\n")
        for key in ("proxy_arp", "rp_filter", "accept_redirects", "log_martians"):
            self.host.sysctl(f"net/ipv4/conf/{self.bridge}/{key}", 1)
        changed = self.state_of(self.bridge)
        self.assert_clean()
        self.host.batch(f"link set {self.bridge} mtu 1400\n")
        self.repair()
        self.assertEqual(changed, self.state_of(self.bridge))
        self.serves(self.namespace)


@for_backend(BACKENDS[0])
class Kinds(CheckTest):
    """Of networks: what each is expected to have."""

    def shapes(self):
        return {
            "ipv4": ("--subnet", "172.30.0.0/24"),
            "ipv6": ("--opt", "ipv4=no", "--subnet", "fd00:30::/64"),
            "internal": ("--opt", "internal=yes", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64"),
            "without an address": ("--opt", "bridge-address-ipv4=no", "--opt",
                                   "bridge-address-ipv6=no", "--subnet", "172.30.0.0/24",
                                   "--subnet", "fd00:30::/64"),
            "isolated": ("--opt", "gateway-mode-ipv4=isolated", "--opt",
                         "gateway-mode-ipv6=isolated", "--opt", "internal=yes", "--subnet", "172.30.0.0/24",
                         "--subnet", "fd00:30::/64"),
            "unmanaged": ("--opt", "managed=no", "--subnet", "172.30.0.0/24"),
            "layer 2": ("--opt", "managed=no", "--opt", "ipv4=no"),
            "small packets": ("--mtu", "600", "--subnet", "172.30.0.0/24"),
            "large packets": ("--mtu", "9000", "--subnet", "172.30.0.0/24"),
        }

    def test_each(self):
        for name, argv in self.shapes().items():
            with self.subTest(name):
                self.create("net", *argv)
                bridge = oracle.network(self.bn, "net")["bridge"]
                before = self.state_of(bridge)
                self.assert_clean()
                self.host.batch(f"link set {bridge} down mtu 1400 alias \"\"\naddr flush dev {bridge}\n")
                self.assertIn("bridge-down", self.codes(code=3))
                self.repair()
                self.assertEqual(before, self.state_of(bridge))
                self.assert_clean()
                self.host.batch(f"link del {bridge}\n")
                self.assertIn("bridge-missing", self.codes(code=3))
                self.repair()
                self.assertEqual(before, self.state_of(bridge))
                self.assert_clean()
                self.bn("network", "rm", "net")

    def test_after_an_update(self):
        self.create(dual=True)
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.bn("network", "update", "net", "--mtu", "1400")
        self.assert_clean()
        self.host.batch(f"link set {bridge} mtu 1500\n")
        self.assertEqual(["bridge-changed"], self.codes())
        self.repair()
        self.assertEqual(1400, self.host.link(bridge)["mtu"])

    def test_no_bridge_yet(self):
        """The default network, which nobody has used."""
        self.assert_clean()
        self.assert_clean("bridge")
        self.assertEqual([], self.repair())
        self.assertEqual([], [name for name, link in self.host.links().items()
                              if "bridge" == link.get("linkinfo", {}).get("info_kind")])


@for_each_backend
class Adopted(CheckTest):
    def setUp(self):
        super().setUp()
        self.host.batch("link add br9 address 02:00:00:00:00:09 type bridge\n"
                        "link set br9 mtu 1400\nlink set br9 up alias theirs\n")
        self.create("net", "--bridge", "br9", dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.settled()
        self.before = self.state_of("br9")

    def settled(self):
        """The link-local address is the kernel's own, which asks first whether another has it."""
        wait_until(lambda: "tentative" not in self.host.run(
            "ip", "addr", "show", "dev", "br9").stdout, what="an address of its own")

    def tearDown(self):
        try:
            self.remove_all()
        finally:
            if "br9" in self.host.links():
                self.host.batch("link del br9\n")
            super().tearDown()

    def test_what_the_network_needs(self):
        self.assert_clean()
        for commands in ("link set br9 down",
                         f"addr del {GATEWAY[4]} dev br9\naddr del {GATEWAY[6]} dev br9"):
            with self.subTest(commands):
                self.host.batch(commands + "\n")
                self.assertNotEqual([], self.found(code=3))
                self.repair()
                for family, gateway in GATEWAY.items():
                    self.assertEqual([gateway], self.host.addresses("br9", family))
                self.settled()
                self.assertTrue(self.link_of("br9")[1])
                self.assert_clean()
                self.serves(self.namespace)
        for key in ("forwarding", "route_localnet"):
            self.host.sysctl(f"net/ipv4/conf/br9/{key}", 0)
        self.assertEqual(["forwarding-off", "setting-changed"], self.codes(code=3))
        self.repair()
        self.assert_clean()
        self.serves(self.namespace)

    def test_what_is_its_owners(self):
        """How it is called, its MAC, MTU and alias; the first of these is said."""
        self.host.batch("link set br9 mtu 1300\nlink set br9 alias mine\n"
                        "link set br9 address 02:00:00:00:00:99\n")
        changed = self.link_of("br9")
        self.assertEqual([], [code for code in self.codes() if code.startswith("bridge")])
        self.repair()
        self.assertEqual(changed, self.link_of("br9"))
        self.host.batch("link set br9 name br8\n")
        try:
            found, = [finding for finding in self.repair()
                      if finding["code"].startswith("bridge")]
            self.assertEqual(("bridge-left", False), (found["code"], found["repaired"]))
            self.assertIn("br8", found["is"])
            self.assertNotIn("br9", self.host.links())
        finally:
            self.host.batch("link set br8 name br9\n")
        self.assertEqual([], [code for code in self.codes() if code.startswith("bridge")])
        self.serves(self.namespace)

    def test_deleted(self):
        self.host.batch("link del br9\n")
        found, = [finding for finding in self.repair() if finding["code"].startswith("bridge")]
        self.assertEqual(("bridge-left", False), (found["code"], found["repaired"]))
        self.assertNotIn("br9", self.host.links())

    def test_without_ipv6(self):
        self.host.sysctl("net/ipv6/conf/br9/disable_ipv6", 1)
        self.assertIn("setting-others", self.codes(code=3))
        self.repair()
        self.assertEqual("1", self.host.sysctl("net/ipv6/conf/br9/disable_ipv6"))
        self.host.sysctl("net/ipv6/conf/br9/disable_ipv6", 0)
        self.repair()
        self.settled()
        self.assert_clean()


@for_each_backend
class Settings(CheckTest):
    def setUp(self):
        super().setUp()
        for family in FAMILIES:
            self.forwarding(family, 0)
        self.before = self.all_settings()

    def forwarding(self, family, *value, interface="all", key="forwarding"):
        return self.host.sysctl(f"net/ipv{family}/conf/{interface}/{key}", *value)

    def all_settings(self):
        return {name: self.settings_of(name) for name in ("all", "default", "eth0", "lo")}

    def build(self, *argv):
        self.bn(*self.options, "network", "create", "net", "--subnet", "172.30.0.0/24",
                "--subnet", "fd00:30::/64", *argv)
        self.bridge = oracle.network(self.bn, "net")["bridge"]
        self.namespace = self.attach("net", "c1", "-p", "8080:80")
        self.state = self.state_of(self.bridge)

    # {} is the bridge; what is found, how bad, and of which family ports are dead meanwhile
    DAMAGES = (
        ("net/ipv4/ip_forward", 0, "forwarding-off", BROKEN, 4),
        ("net/ipv4/conf/{}/forwarding", 0, "forwarding-off", BROKEN, 4),
        ("net/ipv4/conf/{}/route_localnet", 0, "setting-changed", BROKEN, None),
        ("net/ipv6/conf/{}/accept_ra", 2, "setting-changed", OPEN, None),
        ("net/ipv6/conf/{}/disable_ipv6", 1, "setting-changed", BROKEN, 6),
        ("net/ipv6/conf/{}/force_forwarding", 0, "forwarding-off", BROKEN, 6),
        ("net/ipv6/conf/eth0/force_forwarding", 0, "forwarding-off", BROKEN, 6),
    )

    def test_each_is_shown_and_healed(self):
        self.build()
        self.assert_clean()
        for key, value, code, severity, dead in self.DAMAGES:
            key = key.format(self.bridge)
            with self.subTest(key):
                try:
                    self.host.sysctl(key, value)
                except FileNotFoundError:
                    continue
                found = [finding for finding in self.found(code=3)
                         if not finding["code"].startswith("bridge")]
                self.assertEqual([(code, severity, str(value))],
                                 [(finding["code"], finding["severity"], finding["is"])
                                  for finding in found])
                if self.bridge in key:
                    self.assertEqual(("net", key.replace("/", ".")),
                                     (found[0]["network"], found[0]["object"]))
                if dead:
                    listener = self.keep(self.namespace.listen(dead, 80))
                    self.assert_no_tcp(self.remote, self.net.host_address(dead), 8080, listener)
                    listener.close()
                self.assertTrue(all(finding["repaired"] for finding in self.repair()))
                self.assertEqual(self.state, self.state_of(self.bridge))
                self.assert_clean()
                self.serves(self.namespace)
        self.assertEqual([], self.remove_all())
        self.assertEqual(self.before, self.all_settings())

    def test_no_port_at_loopback(self):
        """The setting is as it was not made, but nothing fails of it."""
        self.create(dual=True)
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.host.sysctl(f"net/ipv4/conf/{bridge}/route_localnet", 0)
        self.assertEqual([("setting-changed", NOTE)],
                         [(finding["code"], finding["severity"]) for finding in self.found()])

    def test_it_was_on_before(self):
        """Turned off since: it is given back as the network came to find it."""
        for family in FAMILIES:
            self.forwarding(family, 1)
        self.build()
        for family in FAMILIES:
            self.forwarding(family, 0)
        off = self.all_settings()
        self.assertEqual({"forwarding-off"}, set(self.codes(code=3)))
        self.repair()
        self.assert_clean()
        self.serves(self.namespace)
        self.assertEqual([], self.remove_all())
        self.assertEqual(off, self.all_settings())

    def test_again_and_again(self):
        self.build()
        for _ in range(3):
            self.host.sysctl("net/ipv4/ip_forward", 0)
            self.repair()
            self.assertEqual("1", self.host.sysctl("net/ipv4/ip_forward"))
        self.assertEqual([], self.remove_all())
        self.assertEqual(self.before, self.all_settings())

    def test_behind_a_guard(self):
        """Turning it on again opens no more than making the network would."""
        self.options = ("--option", "forwarding=guard")
        self.forwarding(4, 1)
        self.build()
        self.assert_forwards_for_strangers(True)
        self.forwarding(4, 0)
        self.repair()
        self.assertEqual("1", self.host.sysctl("net/ipv4/ip_forward"))
        self.assert_forwards_for_strangers(False)
        self.assert_clean()
        self.serves(self.namespace)
        self.assertEqual([], self.remove_all())
        self.assertEqual("0", self.host.sysctl("net/ipv4/ip_forward"))

    def assert_forwards_for_strangers(self, does):
        """For who has nothing to do with networks."""
        self.remote.batch("addr add 198.51.100.1/32 dev lo\n")
        self.host.batch(f"route add 198.51.100.1/32 via {self.net.address('remote', 4)}\n")
        self.attacker.batch(f"route add 198.51.100.1/32 via {self.net.host_address(4)}\n")
        try:
            if does:
                self.attacker.ping("198.51.100.1")
            else:
                self.assertFalse(self.attacker.pings("198.51.100.1"))
        finally:
            self.attacker.batch("route del 198.51.100.1/32\n")
            self.host.batch("route del 198.51.100.1/32\n")
            self.remote.batch("addr del 198.51.100.1/32 dev lo\n")

    def test_forwarding_is_required(self):
        for family in FAMILIES:
            self.forwarding(family, 1)
        self.options = ("--option", "forwarding=require")
        self.build()
        self.assert_clean()
        self.host.sysctl("net/ipv4/ip_forward", 0)
        found, = self.repair()
        self.assertEqual(("forwarding-required", False), (found["code"], found["repaired"]))
        self.assertEqual("0", self.host.sysctl("net/ipv4/ip_forward"))
        self.host.sysctl("net/ipv4/ip_forward", 1)
        self.assert_clean()

    def test_strict_checks_of_sources(self):
        """Answers leave by the way that the request came: nothing to be found, as nothing fails."""
        self.build()
        self.create("other", *SECOND)
        self.attach("other", "c1", "-p", "8081:80", namespace=self.namespace)
        for interface in ("all", self.bridge, oracle.network(self.bn, "other")["bridge"]):
            self.host.sysctl(f"net/ipv4/conf/{interface}/rp_filter", 1)
        self.assert_clean()
        for port in (8080, 8081):
            self.serves(self.namespace, port=port)
        self.host.sysctl("net/ipv4/conf/all/rp_filter", 0)

    def test_frames_that_are_filtered(self):
        def filtered(value):
            for key in ("iptables", "ip6tables"):
                self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)

        filtered(0)
        self.addCleanup(filtered, 0)
        self.build("--opt", "icc=no")
        neighbour = self.attach("net", "c2")
        listener = self.serve(self.namespace, 80, (4,))[4]
        self.assert_clean()
        self.assert_tcp(neighbour, self.net.host_address(4), 8080, listener)
        filtered(1)
        self.assertEqual([("frames-filtered", NOTE, "net")],
                         [(finding["code"], finding["severity"], finding["network"])
                          for finding in self.found()])
        self.assert_no_tcp(neighbour, self.net.host_address(4), 8080, listener)
        self.repair()
        self.assertEqual("1", self.host.sysctl("net/bridge/bridge-nf-call-iptables"))


if __name__ == "__main__":
    unittest.main()
