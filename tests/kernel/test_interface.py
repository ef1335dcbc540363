# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interface of an endpoint: names of both ends, MTU, settings in the namespace."""
import oracle
from topology import FAMILIES, KernelTest, for_each_backend

MARTIANS = "net.ipv4.conf.IFNAME.log_martians"


@for_each_backend
class Names(KernelTest):
    def test_host_end(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1", "--opt", "host-interface-name=web-out", "-p",
                                "8080:80")
        link = self.host.link("web-out")
        self.assertEqual(oracle.network(self.bn, "net")["bridge"], link["master"])
        shown = oracle.endpoint(self.bn, "net", "c1")
        self.assertEqual("web-out", shown["host_interface_name"])
        self.assertEqual("running", shown["state"])
        served = self.serve(namespace, 80)
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, served[family])
        self.bn("detach", "net", "c1")
        self.assertNotIn("web-out", self.host.links())

    def test_host_end_is_taken(self):
        """By a stranger, by another endpoint, by the bridge: nothing is left, nor renamed."""
        self.create(dual=True)
        bridge = oracle.network(self.bn, "net")["bridge"]
        self.attach("net", "first", "--opt", "host-interface-name=mine")
        self.host.run("ip", "link", "add", "theirs", "type", "bridge")
        self.addCleanup(self.host.run, "ip", "link", "del", "theirs", check=False)
        namespace = self.net.endpoint("c1")
        before = namespace.links()
        for name, mention in (("mine", "endpoint first"), ("theirs", "host-interface-name"),
                              (bridge, "is the bridge")):
            with self.subTest(name=name):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "-p", "8080:80",
                           "--opt", f"host-interface-name={name}", mention=(name, mention))
                self.assertEqual(before, namespace.links())
        for name in ("", ".", "a/b", "sixteen-bytes-xx", "a b"):
            with self.subTest(name=name):
                self.fails("attach", "net", "c1", "--netns", namespace.path,
                           "--opt", f"host-interface-name={name}", mention="host-interface-name")
        self.attach("net", "c1", "-p", "8080:80", namespace=namespace)
        self.assertIn("mine", self.host.links())
        self.host.run("ip", "link", "del", "theirs")

    def test_prefix(self):
        """Numbers pass over what is taken: by another endpoint, by a name of its own that fits
        the prefix, by a stranger."""
        self.create("one", "--subnet", "172.30.1.0/24", "--opt", "interface-prefix=lan")
        self.create("two", "--subnet", "172.30.2.0/24", "--opt", "interface-prefix=lan")
        self.create("three", "--subnet", "172.30.3.0/24", "--opt",
                    "com.docker.network.container_iface_prefix=lan")
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "link", "add", "lan2", "type", "bridge")
        self.attach("one", "c1", "--opt", "com.docker.network.endpoint.ifname=lan1",
                    namespace=namespace)
        for network in ("two", "three", "four"):
            self.attach(network, "c1", namespace=namespace)
        self.assertEqual({"lo", "lan0", "lan1", "lan2", "lan3", "eth0"}, set(namespace.links()))
        self.assertEqual(1, len(namespace.addresses("lan3", 4)))

    def test_prefix_is_refused(self):
        for value, mention in (("a-long-prefix", "shorter"), ("a/b", "interface-prefix"),
                               ("", "interface-prefix")):
            with self.subTest(value=value):
                self.fails("network", "create", "net", "--subnet", "172.30.0.0/24",
                           "--opt", f"interface-prefix={value}", mention=mention)


@for_each_backend
class Mtu(KernelTest):
    def test_both_ends(self):
        self.create(dual=True)
        plain = self.attach("net", "plain")
        namespace = self.attach("net", "c1", "--opt", "mtu=1400")
        host_end = oracle.endpoint(self.bn, "net", "c1")["host_interface_name"]
        self.assertEqual(1400, namespace.link("eth0")["mtu"])
        self.assertEqual(1400, self.host.link(host_end)["mtu"])
        self.assertEqual(1500, plain.link("eth0")["mtu"])
        self.assertEqual(1500, self.host.link(oracle.network(self.bn, "net")["bridge"])["mtu"])
        self.assertEqual(1400, oracle.endpoint(self.bn, "net", "c1")["mtu"])
        for family in FAMILIES:
            served = self.serve(namespace, 80, (family,))[family]
            self.assert_tcp(plain, namespace.address(family), 80, served)

    def test_below_that_of_ipv6(self):
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.attach("four", "c1", "--opt", "mtu=68")
        self.assertEqual(68, namespace.link("eth0")["mtu"])
        self.create(dual=True)
        other = self.net.endpoint("c2")
        self.fails("attach", "net", "c2", "--netns", other.path, "--opt", "mtu=1279",
                   mention=("1279", "1280"))
        self.attach("net", "c2", "--opt", "mtu=1280", namespace=other)
        self.assertEqual(1, len(other.addresses("eth0", 6)))

    def test_refused(self):
        self.create()
        namespace = self.net.endpoint("c1")
        for value in ("67", "65536", "-1", "big", ""):
            with self.subTest(value=value):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "--opt",
                           f"mtu={value}", mention="mtu")


@for_each_backend
class Sysctls(KernelTest):
    def test_of_the_interface(self):
        """By our key and by Docker's, of names that have a dot, in both families."""
        self.create(dual=True)
        namespace = self.attach("net", "c1", "--ifname", "lan.10", "--opt", f"sysctl.{MARTIANS}=1",
                                "--opt", "sysctl.net.ipv6.conf.IFNAME.hop_limit=33",
                                "--opt", "sysctl.net.ipv4.neigh.IFNAME.gc_stale_time=77")
        for path, value in (("net/ipv4/conf/lan.10/log_martians", "1"),
                            ("net/ipv6/conf/lan.10/hop_limit", "33"),
                            ("net/ipv4/neigh/lan.10/gc_stale_time", "77"),
                            ("net/ipv4/conf/default/log_martians", "0")):
            self.assertEqual(value, namespace.sysctl(path), path)
        self.assertEqual("1", oracle.endpoint(self.bn, "net", "c1")["options"]
                         [f"sysctl.{MARTIANS}"])
        other = self.attach("net", "c2", "--opt", "com.docker.network.endpoint.sysctls="
                            f"{MARTIANS}=1,net.ipv4.conf.IFNAME.forwarding=1")
        self.assertEqual("1", other.sysctl("net/ipv4/conf/eth0/log_martians"))
        self.assertEqual("1", other.sysctl("net/ipv4/conf/eth0/forwarding"))
        self.assertEqual("0", self.host.sysctl("net/ipv4/conf/default/log_martians"))

    def test_what_we_set_ourselves(self):
        """What was asked for stands in the end."""
        self.create(dual=True)
        keys = {"net/ipv4/conf/eth0/arp_notify": "0",
                "net/ipv4/conf/eth0/ignore_routes_with_linkdown": "0",
                "net/ipv6/conf/eth0/accept_ra": "2", "net/ipv6/conf/eth0/autoconf": "1"}
        plain = self.attach("net", "plain")
        for path, value in keys.items():
            self.assertNotEqual(value, plain.sysctl(path), path)
        asked = [word for path, value in keys.items() for word in
                 ("--opt", f"sysctl.{path.replace('/', '.').replace('eth0', 'IFNAME')}={value}")]
        namespace = self.attach("net", "c1", *asked)
        for path, value in keys.items():
            self.assertEqual(value, namespace.sysctl(path), path)

    def test_refused(self):
        self.create(dual=True)
        namespace = self.net.endpoint("c1")
        before = namespace.links()
        for key in ("net.ipv4.conf.eth0.log_martians", "net.ipv4.conf.all.log_martians",
                    "net.ipv4.ip_forward", "net.ipv4.conf.IFNAME", "kernel.core_pattern",
                    "net.core.conf.IFNAME.x", "net.ipv4.conf.IFNAME.a.b",
                    "net.ipv4.conf.IFNAME.log_martians.", "net.ipv4...IFNAME.log_martians",
                    "net.ipv4.../../../IFNAME.log_martians", "net.ipv4.conf.IFNAME.../x",
                    "net.ipv4.conf/all.IFNAME.rp_filter", "net.ipv4.conf.IFNAME.", "net"):
            with self.subTest(key=key):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "--opt",
                           f"sysctl.{key}=1", mention=(key, "IFNAME"))
        for option, mention in ((f"sysctl.{MARTIANS}=", "value"),
                                ("sysctl.net.ipv4.conf.IFNAME.no_such_key=1", "no_such_key"),
                                (f"sysctl.{MARTIANS}=much", "log_martians"),
                                ("com.docker.network.endpoint.sysctls=oops", "KEY=VALUE")):
            with self.subTest(option=option):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "-p", "8080:80",
                           "--opt", option, mention=mention)
                self.assertEqual(before, namespace.links())
        self.attach("net", "c1", "-p", "8080:80", namespace=namespace)

    def test_files_that_are_not_writable(self):
        """What is so already need not be written; what is not is said, and leaves nothing."""
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.net.endpoint("c1")
        shut = ("unshare", "--mount", "sh", "-c", "mount -o bind,ro /proc/sys /proc/sys && exec "
                '"$@"', "sh")

        def attach(*argv):
            return self.host.run(*shut, *self.bn.argv("--option", "sandbox-ipv6=leave", "attach",
                                                      "four", "c1", "--netns", namespace.path,
                                                      *argv), check=False)

        # for the interfaces to come
        namespace.sysctl("net/ipv4/conf/default/log_martians", 1)
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        result = attach("--opt", f"sysctl.{MARTIANS}=0")
        self.assertEqual(1, result.returncode, result.stdout)
        self.assertIn("log_martians", result.stderr)
        self.assertEqual({"lo"}, set(namespace.links()))
        result = attach("--opt", f"sysctl.{MARTIANS}=1")
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual("1", namespace.sysctl("net/ipv4/conf/eth0/log_martians"))


@for_each_backend
class WithoutIpv6(KernelTest):
    OPTION = "sysctl.net.ipv6.conf.IFNAME.disable_ipv6"

    def test_no_address_is_given(self):
        """Nor a route, nor a rule about one; its ports are there by IPv4."""
        self.create(dual=True)
        namespace = self.attach("net", "c1", "--opt", f"{self.OPTION}=1", "-p", "8080:80")
        self.assertEqual("1", namespace.sysctl("net/ipv6/conf/eth0/disable_ipv6"))
        self.assertEqual([], namespace.addresses("eth0", 6, None))
        self.assertEqual([], namespace.default_routes(6))
        shown = oracle.endpoint(self.bn, "net", "c1")
        self.assertEqual(["172.30.0.2/24"], shown["addresses"])
        self.assertEqual(["0.0.0.0/0"], [route["destination"] for route in shown["routes"]])
        served = self.serve(namespace, 80, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, served)
        other = self.attach("net", "c2")
        self.assertEqual(["fd00:30::2/64"], other.addresses("eth0", 6))
        self.attach("net", "c3", "--opt", f"{self.OPTION}=0", "-p", "9090-9099:80")
        self.assertEqual(2, len(oracle.endpoint(self.bn, "net", "c3")["addresses"]))

    def test_ports_that_are_picked(self):
        self.create(dual=True)
        self.attach("net", "c1", "--opt", f"{self.OPTION}=1", "-p", "80")
        (port,) = oracle.endpoint(self.bn, "net", "c1")["ports"]
        self.assertEqual(80, port["container_port"])

    def test_refused(self):
        self.create(dual=True)
        self.create("six", "--subnet", "fd00:66::/64")
        namespace = self.net.endpoint("c1")
        self.fails("attach", "net", "c1", "--netns", namespace.path, "--opt", f"{self.OPTION}=1",
                   "--ip", "fd00:30::9", mention="IPv6 address")
        self.fails("attach", "six", "c1", "--netns", namespace.path, "--opt", f"{self.OPTION}=1",
                   mention="nothing else")
