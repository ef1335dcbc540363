# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints: the interface inside, addresses, routes, several networks, and what goes wrong."""
import os
import subprocess
import unittest

import oracle
from networks import defaults
from topology import FAMILIES, KernelTest, for_each_backend

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
FIRST = {4: "172.30.0.2", 6: "fd00:30::2"}


@for_each_backend
class Interface(KernelTest):
    def test_address_mac_mtu_and_routes(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1")
        link = namespace.link("eth0")
        self.assertEqual("02:42:ac:1e:00:02", link["address"])
        self.assertEqual(1500, link["mtu"])
        self.assertEqual("veth", link["linkinfo"]["info_kind"])
        self.assertEqual({"UP", "LOWER_UP", "BROADCAST", "MULTICAST"}, set(link["flags"]))
        self.assertEqual(["172.30.0.2/24"], namespace.addresses("eth0", 4))
        self.assertEqual(["fd00:30::2/64"], namespace.addresses("eth0", 6))
        for family in FAMILIES:
            self.assertEqual([(GATEWAY[family], "eth0")], namespace.default_routes(family))
        self.assertEqual({"lo", "eth0"}, set(namespace.links()))

    def test_loopback_is_up(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1")
        for family, loopback in ((4, "127.0.0.1"), (6, "::1")):
            listener = self.serve(namespace, 80, (family,))[family]
            self.assert_tcp(namespace, loopback, 80, listener)

    def test_host_end(self):
        self.create()
        self.attach("net", "c1")
        shown = oracle.network(self.bn, "net")
        (port,) = [link for link in self.host.links().values()
                   if link.get("master") == shown["bridge"]]
        self.assertEqual(f"bridgenet:{shown['id'][:12]}/c1", port["ifalias"])
        self.assertEqual(port["ifname"],
                         oracle.endpoint(self.bn, "net", "c1")["host_interface_name"])
        self.assertEqual("forwarding", port["linkinfo"]["info_slave_data"]["state"])

    def test_listing(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1", "-p", "8080:80")
        shown = oracle.endpoint(self.bn, "net", "c1")
        self.assertEqual(["172.30.0.2/24", "fd00:30::2/64"], shown["addresses"])
        self.assertEqual("02:42:ac:1e:00:02", shown["mac"])
        self.assertEqual("eth0", shown["interface_name"])
        self.assertEqual(namespace.path, shown["sandbox"])
        self.assertEqual(["172.30.0.1", "fd00:30::1"], shown["gateways"])
        text = self.bn("ps")
        self.assertIn("c1", text)
        self.assertIn("172.30.0.2", text)
        self.assertIn("8080->80/tcp", text)

    def test_no_duplicate_address_detection(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1")
        for where, device in ((namespace, "eth0"),
                              (self.host, oracle.network(self.bn, "net")["bridge"])):
            with self.subTest(where=where.name):
                (entry,) = where.ip("-6", "addr", "show", "dev", device, "scope", "global")
                for info in entry["addr_info"]:
                    self.assertFalse(info.get("tentative"), info)

    def test_first_packet_out(self):
        """A datagram sent the moment attach returns arrives, with nothing in between."""
        self.create(dual=True)
        for family in FAMILIES:
            with self.subTest(family=family):
                namespace = self.net.endpoint(f"out{family}")
                sender = self.keep(namespace.udp(family))
                server = self.keep(self.host.udp(family, 4000 + family))
                self.attach("net", f"out{family}", namespace=namespace)
                sender.sendto(b"first", (GATEWAY[family], 4000 + family))
                self.assertEqual(b"first", server.recv(64))

    def test_first_packet_in(self):
        self.create(dual=True)
        for number, family in enumerate(FAMILIES):
            with self.subTest(family=family):
                namespace = self.net.endpoint(f"in{family}")
                server = self.keep(namespace.udp(family, 4000))
                sender = self.keep(self.host.udp(family))
                address = ("172.30.0.9", "fd00:30::9")[number]
                self.attach("net", f"in{family}", "--ip", address, namespace=namespace)
                sender.sendto(b"first", (address, 4000))
                self.assertEqual(b"first", server.recv(64))

    def test_first_packet_between_neighbours(self):
        self.create(dual=True)
        old = self.attach("net", "old")
        for family in FAMILIES:
            with self.subTest(family=family):
                namespace = self.net.endpoint(f"new{family}")
                server = self.keep(old.udp(family, 4000 + family))
                sender = self.keep(namespace.udp(family))
                self.attach("net", f"new{family}", namespace=namespace)
                sender.sendto(b"first", (FIRST[family], 4000 + family))
                self.assertEqual(b"first", server.recv(64))

    def test_first_packet_from_another_machine(self):
        self.create(dual=True)
        for family in FAMILIES:
            with self.subTest(family=family):
                namespace = self.net.endpoint(f"p{family}")
                server = self.keep(namespace.udp(family, 4000))
                sender = self.keep(self.remote.udp(family))
                self.attach("net", f"p{family}", "-p", f"{5000 + family}:4000/udp",
                            namespace=namespace)
                sender.sendto(b"first", (self.net.host_address(family), 5000 + family))
                self.assertEqual(b"first", server.recv(64))

    def test_mac(self):
        self.create()
        namespace = self.attach("net", "c1", "--mac", "0a:11:22:33:44:55")
        self.assertEqual("0a:11:22:33:44:55", namespace.link("eth0")["address"])
        late = self.net.endpoint("late")
        for mac in ("junk", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:42:ac:1e:00",
                    "ff:ff:ff:ff:ff:ff", "02:42:ac:1e:00:02:03"):
            with self.subTest(mac=mac):
                self.fails("attach", "net", "c2", "--netns", late.path, "--mac", mac, mention=mac)

    def test_interface_name(self):
        self.create()
        namespace = self.attach("net", "c1", "--ifname", "uplink0")
        self.assertEqual({"lo", "uplink0"}, set(namespace.links()))

    def test_interface_name_taken(self):
        self.create()
        namespace = self.net.endpoint("c1")
        namespace.batch("link add eth0 type bridge\nlink add uplink0 type bridge\n")
        before = namespace.links()
        self.fails("attach", "net", "c1", "--netns", namespace.path, "--ifname", "uplink0",
                   "-p", "8080:80", mention="uplink0")
        self.assertEqual(before, namespace.links())
        self.attach("net", "c1", namespace=namespace)
        self.assertEqual({"lo", "eth0", "eth1", "uplink0"}, set(namespace.links()))
        self.assertEqual(1, len(namespace.addresses("eth1", 4)))

    def test_refusal_keeps_no_address(self):
        """Also the last one of a subnet is there for the next who asks."""
        self.create("net", "--subnet", "172.30.0.0/30", "--subnet", "fd00:30::/126")
        namespace = self.net.endpoint("c1")
        namespace.batch("link add eth0 type bridge\n")
        for _ in range(3):
            self.fails("attach", "net", "c1", "--netns", namespace.path, "--ifname", "eth0",
                       mention="eth0")
        self.attach("net", "c1", namespace=namespace)
        self.assertEqual(["172.30.0.2/30"], namespace.addresses("eth1", 4))

    def test_bad_interface_names(self):
        self.create()
        namespace = self.net.endpoint("c1")
        for name in ("sixteen-letters-", "a/b", "eth%d", ".", "lo", "a b"):
            with self.subTest(name=name):
                self.fails("attach", "net", "c1", "--netns", namespace.path, "--ifname", name,
                           mention=name)

    def test_static_routes(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1", "--route", "10.8.0.0/16=172.30.0.77",
                                "--route", "fd00:99::/48=fd00:30::77")
        (route,) = namespace.ip("-4", "route", "show", "10.8.0.0/16")
        self.assertEqual(("172.30.0.77", "eth0"), (route["gateway"], route["dev"]))
        (route,) = namespace.ip("-6", "route", "show", "fd00:99::/48")
        self.assertEqual(("fd00:30::77", "eth0"), (route["gateway"], route["dev"]))
        late = self.net.endpoint("late")
        for route in ("10.8.0.0/16=10.1.1.1", "10.8.0.1/16=172.30.0.77", "junk=172.30.0.77",
                      "10.8.0.0/16=fd00:30::77"):
            with self.subTest(route=route):
                self.fails("attach", "net", "c2", "--netns", late.path, "--route", route)

    def test_statistics_are_the_kernels(self):
        self.create("net", "--subnet", "172.30.0.0/24")
        namespace = self.attach("net", "c1")
        server = self.keep(self.host.udp(4, 4000))
        for _ in range(7):
            self.assert_udp(namespace, "172.30.0.1", 4000, server)
        for _ in range(5):
            before = statistics(namespace, "eth0")
            shown = oracle.endpoint(self.bn, "net", "c1", verbose=True)["interface"]
            if before == statistics(namespace, "eth0"):
                break
        else:
            self.fail("the interface is never quiet")
        self.assertEqual(before, {key: shown[key] for key in before})
        self.assertGreaterEqual(shown["tx_packets"], 7)
        link = namespace.link("eth0")
        self.assertEqual((link["ifindex"], link["address"], link["mtu"]),
                         (shown["index"], shown["mac"], shown["mtu"]))
        self.assertEqual(namespace.addresses("eth0", 4),
                         shown["addresses"])

    def test_by_process(self):
        self.create()
        namespace = self.net.endpoint("c1")
        process = namespace.popen("sleep", "60")
        self.processes.append(process)
        self.bn("attach", "net", "c1", "--pid", str(process.pid))
        self.assertEqual(1, len(namespace.addresses("eth0", 4)))

    def test_hostname_and_labels(self):
        self.create()
        self.attach("net", "c1", "--hostname", "web1", "--label", "tier=front & back")
        options = oracle.endpoint(self.bn, "net", "c1")["options"]
        self.assertEqual({"hostname": "web1", "label.tier": "front & back"}, options)


def statistics(namespace, interface):
    (link,) = namespace.ip("-s", "-s", "link", "show", "dev", interface)
    stats = link["stats64"]
    return {f"{way}_{key}": stats[way][key] for way in ("rx", "tx")
            for key in ("packets", "bytes", "errors", "dropped")}


@for_each_backend
class Addresses(KernelTest):
    def test_order_and_release(self):
        """One never given before a released one, and of those the one released longest ago."""
        self.create("net", "--subnet", "172.30.0.0/29")
        given = [self.attach("net", f"c{i}").address(4) for i in range(3)]
        self.assertEqual(["172.30.0.2", "172.30.0.3", "172.30.0.4"], given)
        self.bn("detach", "net", "c1")
        self.bn("detach", "net", "c0")
        given = [self.attach("net", f"d{i}").address(4) for i in range(4)]
        self.assertEqual(["172.30.0.5", "172.30.0.6", "172.30.0.3", "172.30.0.2"], given)
        late = self.net.endpoint("late")
        error = self.fails("attach", "net", "late", "--netns", late.path, "-p", "8080:80")
        self.assertRegex(error, r"net\b.*172\.30\.0\.0/29|172\.30\.0\.0/29.*net\b")
        self.bn("detach", "net", "d0")
        self.assertEqual("172.30.0.5", self.attach("net", "late", namespace=late).address(4))

    def test_ipv6_order_and_exhaustion(self):
        self.create("net", "--subnet", "fd00:30::/126")
        given = [self.attach("net", f"c{i}").address(6) for i in range(2)]
        self.assertEqual(["fd00:30::2", "fd00:30::3"], given)
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, mention="fd00:30::/126")

    def test_static(self):
        self.create(dual=True)
        namespace = self.attach("net", "c1", "--ip", "172.30.0.77", "--ip", "fd00:30::77")
        self.assertEqual(["172.30.0.77/24"], namespace.addresses("eth0", 4))
        self.assertEqual(["fd00:30::77/64"], namespace.addresses("eth0", 6))
        self.assertEqual("02:42:ac:1e:00:4d", namespace.link("eth0")["address"])

    def test_dynamic_skips_static(self):
        self.create(dual=True)
        self.attach("net", "c1", "--ip", "172.30.0.2", "--ip", "fd00:30::3")
        namespace = self.attach("net", "c2")
        self.assertEqual("172.30.0.3", namespace.address(4))
        self.assertEqual("fd00:30::2", namespace.address(6))

    def test_refused(self):
        self.create(dual=True)
        self.attach("net", "c1")
        late = self.net.endpoint("late")
        for address, mention in (
                ("172.30.0.2", ("172.30.0.2", "c1")), ("fd00:30::2", ("fd00:30::2", "c1")),
                ("172.31.0.2", ("172.31.0.2", "172.30.0.0/24")),
                ("fd00:31::2", ("fd00:31::2", "fd00:30::/64")),
                ("172.30.0.0", "172.30.0.0"), ("172.30.0.255", "172.30.0.255"),
                ("172.30.0.1", "172.30.0.1"), ("fd00:30::", "fd00:30::"),
                ("fd00:30::1", "fd00:30::1"), ("junk", "junk"), ("172.30.0.9/24", "172.30.0.9/24"),
                ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")):
            with self.subTest(address=address):
                self.fails("attach", "net", "c2", "--netns", late.path, "--ip", address,
                           "-p", "8080:80", mention=mention)
        self.assertEqual({"lo"}, set(late.links()))

    def test_static_of_a_family_the_network_lacks(self):
        self.create("net", "--subnet", "172.30.0.0/24")
        late = self.net.endpoint("late")
        self.fails("attach", "net", "c2", "--netns", late.path, "--ip", "fd00:30::2",
                   mention="fd00:30::2")

    def test_static_on_an_automatic_subnet(self):
        self.create()
        self.assertEqual("172.17.200.3", self.attach("net", "c", "--ip", "172.17.200.3").address(4))


@for_each_backend
class SeveralNetworks(KernelTest):
    def setUp(self):
        super().setUp()
        self.create("one", "--subnet", "172.30.1.0/24", "--subnet", "fd00:31::/64")
        self.create("two", "--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")

    def routes(self, namespace):
        """Those that are used, the best of each family."""
        return [(gateway, device) for family in FAMILIES
                for _, gateway, device in defaults(namespace, family)[:1]]

    def test_numbered_and_the_first_has_the_default_route(self):
        namespace = self.attach("one", "c1")
        self.attach("two", "c1", namespace=namespace)
        self.assertEqual(["172.30.1.2/24"], namespace.addresses("eth0", 4))
        self.assertEqual(["172.30.2.2/24"], namespace.addresses("eth1", 4))
        self.assertEqual([("172.30.1.1", "eth0"), ("fd00:31::1", "eth0")], self.routes(namespace))

    def test_priority_takes_it_and_detach_gives_it_back(self):
        namespace = self.attach("one", "c1")
        self.attach("two", "c1", "--gateway-priority", "10", namespace=namespace)
        self.assertEqual([("172.30.2.1", "eth1"), ("fd00:32::1", "eth1")], self.routes(namespace))
        self.bn("detach", "two", "c1")
        self.assertEqual([("172.30.1.1", "eth0"), ("fd00:31::1", "eth0")], self.routes(namespace))
        self.assertEqual({"lo", "eth0"}, set(namespace.links()))

    def test_low_priority_leaves_it(self):
        namespace = self.attach("one", "c1")
        self.attach("two", "c1", "--gateway-priority", "-5", namespace=namespace)
        self.assertEqual([("172.30.1.1", "eth0"), ("fd00:31::1", "eth0")], self.routes(namespace))
        self.bn("detach", "one", "c1")
        self.assertEqual([("172.30.2.1", "eth1"), ("fd00:32::1", "eth1")], self.routes(namespace))

    def test_families_choose_on_their_own(self):
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.attach("one", "c1")
        self.attach("four", "c1", "--gateway-priority", "10", namespace=namespace)
        self.assertEqual([("172.30.4.1", "eth1"), ("fd00:31::1", "eth0")], self.routes(namespace))

    def test_free_number_is_used_again(self):
        namespace = self.attach("one", "c1")
        self.attach("two", "c1", namespace=namespace)
        self.bn("detach", "one", "c1")
        self.attach("one", "c2", namespace=namespace)
        self.assertEqual({"lo", "eth0", "eth1"}, set(namespace.links()))

    def test_both_reached_from_the_host(self):
        namespace = self.attach("one", "c1")
        self.attach("two", "c1", namespace=namespace)
        listeners = self.serve(namespace, 80)
        for address in ("172.30.1.2", "172.30.2.2", "fd00:31::2", "fd00:32::2"):
            self.assert_tcp(self.host, address, 80, listeners[6 if ":" in address else 4])

    def test_same_id_on_two_networks(self):
        a = self.attach("one", "c1")
        b = self.attach("two", "c1", namespace=self.net.endpoint("other"))
        self.bn("detach", "one", "c1")
        self.assertEqual({"lo"}, set(a.links()))
        self.assertEqual({"lo", "eth0"}, set(b.links()))


@for_each_backend
class HostAndNone(KernelTest):
    def test_host(self):
        """Nothing is changed, and the addresses are the host's."""
        before = self.net.host_state()
        self.bn("attach", "host", "c1", "--netns", self.host.path)
        self.assertEqual(before, self.net.host_state())
        shown = oracle.endpoint(self.bn, "host", "c1")
        for address in ("192.0.2.1/24", "192.0.2.11/24", "2001:db8:1::1/64"):
            self.assertIn(address, shown["addresses"])
        self.bn("detach", "host", "c1")
        self.assertEqual(before, self.net.host_state())

    def test_none(self):
        before = self.net.host_state()
        namespace = self.net.endpoint("c1")
        self.bn("attach", "none", "c1", "--netns", namespace.path)
        self.assertEqual({"lo"}, set(namespace.links()))
        self.assertIn("UP", namespace.link("lo")["flags"])
        self.assertEqual(before, self.net.host_state())
        self.bn("detach", "none", "c1")
        self.assertEqual(before, self.net.host_state())

    def test_nothing_to_publish_there(self):
        namespace = self.net.endpoint("c1")
        self.fails("attach", "none", "c1", "--netns", namespace.path, "-p", "8080:80",
                   mention="none")


@for_each_backend
class Wrong(KernelTest):
    def test_missing_namespace(self):
        self.create()
        for path in ("/run/netns/nonesuch", "relative", ""):
            with self.subTest(path=path):
                self.fails("attach", "net", "c1", "--netns", path, "-p", "8080:80", mention=path)

    def test_no_namespace(self):
        self.create()
        process_namespace = f"/proc/{os.getpid()}/ns/uts"
        for path in ("/etc/passwd", "/tmp", "/dev/null", process_namespace):
            with self.subTest(path=path):
                self.fails("attach", "net", "c1", "--netns", path, mention=path)

    def test_no_process(self):
        self.create()
        process = subprocess.Popen(["true"])
        process.wait()
        self.fails("attach", "net", "c1", "--pid", str(process.pid), mention=str(process.pid))

    def test_hosts_own_namespace(self):
        self.create()
        self.fails("attach", "net", "c1", "--netns", self.host.path, mention=self.host.path)

    def test_none_named(self):
        self.create()
        result = self.bn.result("attach", "net", "c1")
        self.assertIn(result.returncode, (1, 2))
        self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n")
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_unknown_network(self):
        namespace = self.net.endpoint("c1")
        self.fails("attach", "nonesuch", "c1", "--netns", namespace.path, mention="nonesuch")
        self.fails("detach", "nonesuch", "c1", mention="nonesuch")

    def test_duplicate(self):
        self.create()
        namespace = self.attach("net", "c1", "-p", "8080:80")
        other = self.net.endpoint("other")
        self.fails("attach", "net", "c1", "--netns", other.path, mention=("c1", "net"))
        self.assertEqual(1, len(namespace.addresses("eth0", 4)))

    def test_second_detach(self):
        self.create()
        self.attach("net", "c1")
        self.bn("detach", "net", "c1")
        self.fails("detach", "net", "c1", mention=("c1", "net"))

    def test_bad_ids(self):
        self.create()
        namespace = self.net.endpoint("c1")
        for name in ("", "a b", "a/b", "a" * 65, "a\nb"):
            with self.subTest(name=name):
                result = self.bn.result("attach", "net", name, "--netns", namespace.path)
                self.assertIn(result.returncode, (1, 2))
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_detach_many_is_all_or_none(self):
        self.create()
        namespaces = [self.attach("net", f"c{i}", "-p", f"{8000 + i}:80") for i in range(8)]
        self.fails("detach", "net", "c0", "nonesuch", "c1", mention="nonesuch")
        self.assertEqual({"lo", "eth0"}, set(namespaces[0].links()))
        self.bn("detach", "net", *(f"c{i}" for i in range(8)))
        for namespace in namespaces:
            self.assertEqual({"lo"}, set(namespace.links()))
        self.assertEqual({}, self.oracle.ports())
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_no_privilege(self):
        self.create()
        namespace = self.net.endpoint("c1")
        result = self.bn.result("attach", "net", "c1", "--netns", namespace.path,
                                user=65534, group=65534, extra_groups=())
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n\Z")
        self.assertEqual({"lo"}, set(namespace.links()))


@for_each_backend
class BehindOurBack(KernelTest):
    """What someone else removed first is no error."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")

    def gone(self):
        self.bn("detach", "net", "c1")
        self.assertEqual([], oracle.endpoints(self.bn))
        self.assertEqual({}, self.oracle.ports())
        self.bn("network", "rm", "net")
        self.assertEqual([], self.left_over())

    def test_namespace(self):
        self.net.endpoints.remove(self.namespace)
        self.net.namespaces.remove(self.namespace)
        self.namespace.delete()
        self.gone()

    def test_interface(self):
        self.namespace.run("ip", "link", "del", "eth0")
        self.gone()

    def test_address_and_default_route(self):
        self.namespace.batch("addr flush dev eth0\nlink set lo down\n")
        self.gone()

    def test_host_end_off_the_bridge(self):
        name = oracle.endpoint(self.bn, "net", "c1")["host_interface_name"]
        self.host.run("ip", "link", "set", name, "nomaster")
        self.gone()

    def test_bridge(self):
        self.host.run("ip", "link", "del", oracle.network(self.bn, "net")["bridge"])
        self.gone()

    def test_rules(self):
        self.oracle.flush()
        self.gone()

    def test_everything(self):
        self.oracle.flush()
        self.host.run("ip", "link", "del", oracle.network(self.bn, "net")["bridge"])
        self.namespace.run("ip", "link", "del", "eth0")
        self.gone()

    def test_namespace_made_anew_under_the_same_name(self):
        """The path leads to another namespace now, which is left alone."""
        self.namespace.delete()
        self.namespace.__init__(self.namespace.name)
        self.namespace.batch("link add eth0 type bridge\n")
        before = self.namespace.links()
        self.gone()
        self.assertEqual(before, self.namespace.links())

    def test_address_is_free_again(self):
        self.namespace.run("ip", "link", "del", "eth0")
        self.bn("detach", "net", "c1")
        again = self.attach("net", "c2", "--ip", "172.30.0.2", "-p", "8080:80")
        self.assertEqual("172.30.0.2", again.address(4))


if __name__ == "__main__":
    unittest.main()
