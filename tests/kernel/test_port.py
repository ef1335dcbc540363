# SPDX-License-Identifier: LGPL-2.1-or-later
"""Published ports: who reaches them, from which address, what collides, and stale flows."""
import os
import unittest

import oracle
from topology import FAMILIES, KernelTest, Topology, for_each_backend, wait_until

LOOPBACK = "127.0.0.1"


class PortTest(KernelTest):
    """A network of both families and an endpoint c1 on it."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def service(self, *ports, role="c1", network="net"):
        return self.attach(network, role, *(arg for port in ports for arg in ("-p", port)))


@for_each_backend
class Reach(PortTest):
    def test_from_another_machine_with_its_own_address(self):
        listeners = self.serve(self.service("8080:80"), 80)
        for family in FAMILIES:
            with self.subTest(family=family):
                peer = self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                       listeners[family])
                self.assertEqual(self.net.address("remote", family), peer)

    def test_udp_from_another_machine_with_its_own_address(self):
        namespace = self.service("8080:53/udp")
        for family in FAMILIES:
            with self.subTest(family=family):
                server = self.keep(namespace.udp(family, 53))
                peer = self.assert_udp(self.remote, self.net.host_address(family), 8080, server)
                self.assertEqual(self.net.address("remote", family), peer)

    def test_every_address_of_the_host(self):
        listeners = self.serve(self.service("8080:80"), 80)
        for family in FAMILIES:
            for client in (self.remote, self.host):
                with self.subTest(family=family, client=client.name):
                    self.assert_tcp(client, Topology.HOST_SECOND[family], 8080, listeners[family])

    def test_no_other_port(self):
        namespace = self.service("8080:80")
        listeners = self.serve(namespace, 80)
        others = self.serve(namespace, 8080)
        for family in FAMILIES:
            address = self.net.host_address(family)
            self.assert_no_tcp(self.remote, address, 80, listeners[family])
            self.assert_no_tcp(self.remote, address, 8081, listeners[family])
            self.assert_tcp(self.remote, address, 8080, listeners[family])
            others[family].settimeout(0)
            self.assertRaises(OSError, others[family].accept)

    def test_tcp_is_not_udp(self):
        namespace = self.service("8080:80/udp")
        listener = self.serve(namespace, 80, (4,))[4]
        self.assert_no_tcp(self.remote, self.net.host_address(4), 8080, listener)

    def test_another_machines_port_is_left_alone(self):
        """A connection through or from the host to that port elsewhere is nobody's business."""
        namespace = self.service("8080:80")
        wrong = self.serve(namespace, 80)
        for family in FAMILIES:
            listener = self.keep(self.remote.listen(family, 8080))
            for client in (self.host, namespace):
                self.assert_tcp(client, self.net.address("remote", family), 8080, listener)
            wrong[family].settimeout(0)
            self.assertRaises(OSError, wrong[family].accept)

    def test_from_the_host_by_loopback(self):
        namespace = self.service("8080:80", "8053:53/udp")
        listener = self.serve(namespace, 80, (4,))[4]
        server = self.keep(namespace.udp(4, 53))
        for address in (LOOPBACK, "127.9.8.7"):
            with self.subTest(address=address):
                self.assert_tcp(self.host, address, 8080, listener)
                self.assert_udp(self.host, address, 8053, server)

    def test_from_the_host_by_its_own_addresses(self):
        namespace = self.service("8080:80", "8053:53/udp")
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            server = self.keep(namespace.udp(family, 53))
            gateway = "172.30.0.1" if family == 4 else "fd00:30::1"
            for address in (self.net.host_address(family), gateway):
                with self.subTest(address=address):
                    self.assert_tcp(self.host, address, 8080, listeners[family])
                    self.assert_udp(self.host, address, 8053, server)

    def test_from_a_neighbour_and_from_itself(self):
        namespace = self.service("8080:80", "8053:53/udp")
        neighbour = self.service(role="c2")
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            server = self.keep(namespace.udp(family, 53))
            gateway = "172.30.0.1" if family == 4 else "fd00:30::1"
            for client in (neighbour, namespace):
                for address in (self.net.host_address(family), gateway):
                    with self.subTest(client=client.name, address=address):
                        self.assert_tcp(client, address, 8080, listeners[family])
                        self.assert_udp(client, address, 8053, server)

    def test_from_another_network(self):
        self.create("two", "--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")
        namespace = self.service("8080:80", "8053:53/udp")
        client = self.service(role="other", network="two")
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            server = self.keep(namespace.udp(family, 53))
            gateways = (("172.30.0.1", "172.30.2.1"), ("fd00:30::1", "fd00:32::1"))[family == 6]
            for address in (self.net.host_address(family),) + gateways:
                with self.subTest(address=address):
                    self.assert_tcp(client, address, 8080, listeners[family])
                    self.assert_udp(client, address, 8053, server)

    def test_hairpin_with_and_without_bridge_netfilter(self):
        """Both settings of the host, where it has them: 1 wherever the module is loaded."""
        namespace = self.service("8080:80")
        neighbour = self.service(role="c2")
        listener = self.serve(namespace, 80, (4,))[4]
        for value in (0, 1):
            try:
                self.host.sysctl("net/bridge/bridge-nf-call-iptables", value)
            except FileNotFoundError:
                pass
            for client in (namespace, neighbour):
                with self.subTest(value=value, client=client.name):
                    self.assert_tcp(client, self.net.host_address(4), 8080, listener)

    def test_sctp_by_its_rules(self):
        """The kernel may have no such sockets; the rules are the same."""
        namespace = self.service("8080:80/sctp")
        for family in FAMILIES:
            to = self.oracle.ports()[family, "sctp", "", 8080]
            self.assertEqual((namespace.address(family), 80), to[:2])
        extras = [rule["extra"] for rule in oracle.rules(self.bn) if rule["target"] == "DNAT"]
        self.assertEqual([f"sctp dpt:8080 to:{namespace.address(4)}:80",
                          f"sctp dpt:8080 to:[{namespace.address(6)}]:80"], sorted(extras))

    def test_ipv6_network_alone(self):
        self.create("six", "--subnet", "fd00:36::/64")
        namespace = self.service("8080:80", role="c6", network="six")
        listeners = self.serve(namespace, 80)
        self.assert_tcp(self.remote, self.net.host_address(6), 8080, listeners[6])
        self.assertEqual([6], [key[0] for key in self.oracle.ports()])

    def test_out_of_the_network(self):
        """From an endpoint to another machine, which sees the host's address."""
        namespace = self.service()
        for family in FAMILIES:
            listener = self.keep(self.remote.listen(family, 7000))
            peer = self.assert_tcp(namespace, self.net.address("remote", family), 7000, listener)
            self.assertEqual(self.net.host_address(family), peer)

    def test_neighbours_see_each_others_address(self):
        """Traffic that stays on the bridge is left alone."""
        namespace, neighbour = self.service(), self.service(role="c2")
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            peer = self.assert_tcp(neighbour, namespace.address(family), 80, listeners[family])
            self.assertEqual(neighbour.address(family), peer)


@for_each_backend
class Bound(PortTest):
    def test_one_address_only(self):
        for family in FAMILIES:
            address = self.net.host_address(family)
            host = address if family == 4 else f"[{address}]"
            namespace = self.service(f"{host}:8080:80", role=f"c{family}")
            listeners = self.serve(namespace, 80)
            with self.subTest(family=family):
                self.assert_tcp(self.remote, address, 8080, listeners[family])
                self.assert_tcp(self.host, address, 8080, listeners[family])
                self.assert_no_tcp(self.remote, Topology.HOST_SECOND[family], 8080,
                                   listeners[family])
                self.assert_no_tcp(self.host, Topology.HOST_SECOND[family], 8080,
                                   listeners[family])
                self.assertEqual([(family, "tcp", address, 8080)],
                                 [key for key in self.oracle.ports() if key[0] == family])
        self.assert_no_tcp(self.host, LOOPBACK, 8080)

    def test_same_port_on_two_addresses(self):
        first, second = self.net.host_address(4), Topology.HOST_SECOND[4]
        a = self.serve(self.service(f"{first}:8080:80"), 80, (4,))[4]
        b = self.serve(self.service(f"{second}:8080:80", role="c2"), 80, (4,))[4]
        self.assert_tcp(self.remote, first, 8080, a)
        self.assert_tcp(self.remote, second, 8080, b)

    def test_loopback_is_for_the_host_alone(self):
        """An attacker on the link who routes 127.0.0.1 to a host that would take it."""
        listener = self.serve(self.service(f"{LOOPBACK}:8080:80"), 80, (4,))[4]
        open_service = self.keep(self.host.listen(4, 8081, LOOPBACK))
        self.attacker.sysctl("net/ipv4/conf/all/route_localnet", 1)
        self.host.sysctl("net/ipv4/conf/eth0/route_localnet", 1)
        self.attacker.batch("route replace 127.0.0.0/8 dev eth0 via "
                            f"{self.net.host_address(4)}\n")
        try:
            self.assert_tcp(self.attacker, LOOPBACK, 8081, open_service)
            self.assert_no_tcp(self.attacker, LOOPBACK, 8080, listener)
            self.assert_no_tcp(self.remote, self.net.host_address(4), 8080, listener)
            self.assert_tcp(self.host, LOOPBACK, 8080, listener)
            drops = [rule for rule in oracle.rules(self.bn, "-v") if rule["target"] == "DROP"
                     and "dpt:8080" in rule["extra"]]
            self.assertEqual(1, len(drops))
            self.assertGreaterEqual(drops[0]["packets"], 1)
        finally:
            self.host.sysctl("net/ipv4/conf/eth0/route_localnet", 0)

    def test_loopback_of_several(self):
        a = self.serve(self.service("127.0.0.2:8080:80"), 80, (4,))[4]
        b = self.serve(self.service("127.0.0.3:8080:80", role="c2"), 80, (4,))[4]
        self.assert_tcp(self.host, "127.0.0.2", 8080, a)
        self.assert_tcp(self.host, "127.0.0.3", 8080, b)
        self.assert_no_tcp(self.host, LOOPBACK, 8080)

    def test_loopback_from_another_bridge(self):
        self.create("two", "--subnet", "172.30.2.0/24")
        listener = self.serve(self.service(f"{LOOPBACK}:8080:80"), 80, (4,))[4]
        client = self.service(role="other", network="two")
        client.sysctl("net/ipv4/conf/all/route_localnet", 1)
        client.batch("route flush table local dev lo\n"
                     "route add 127.0.0.0/8 via 172.30.2.1 dev eth0\n")
        self.assert_no_tcp(client, LOOPBACK, 8080, listener)
        self.assert_no_tcp(client, "172.30.2.1", 8080, listener)

    def test_foreign_address(self):
        namespace = self.net.endpoint("c1")
        self.fails("attach", "net", "c1", "--netns", namespace.path, "-p", "192.0.2.99:8080:80",
                   mention="192.0.2.99")
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_ipv6_loopback_is_refused(self):
        """There is no route_localnet for IPv6: better said than never answered."""
        namespace = self.net.endpoint("c1")
        self.fails("attach", "net", "c1", "--netns", namespace.path, "-p", "[::1]:8080:80",
                   mention="::1")


@for_each_backend
class Ephemeral(PortTest):
    def tearDown(self):
        self.host.sysctl("net/ipv4/ip_local_port_range", "32768 60999")
        self.host.sysctl("net/ipv4/ip_local_reserved_ports", "")
        super().tearDown()

    def picked(self, name="c1"):
        return sorted(port["host_port"] for port in oracle.ports(self.bn, "net", name))

    def test_picked_shown_and_served(self):
        namespace = self.service("80")
        (port,) = self.picked()
        self.assertIn(port, range(32768, 61000))
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), port, listeners[family])

    def test_range_reserved_and_exhausted(self):
        self.host.sysctl("net/ipv4/ip_local_port_range", "40000 40003")
        self.host.sysctl("net/ipv4/ip_local_reserved_ports", "40001")
        self.keep(self.host.listen(4, 40002))
        self.service("80", "81")
        self.assertEqual([40000, 40003], self.picked())
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, "-p", "80")
        self.bn("unpublish", "net", "c1", "-p", "40003:81")
        self.bn("attach", "net", "late", "--netns", late.path, "-p", "80")
        self.assertEqual([40003], self.picked("late"))

    def test_reserved_may_be_asked_for(self):
        self.host.sysctl("net/ipv4/ip_local_reserved_ports", "40001")
        self.service("40001:80")
        self.assertEqual([40001], self.picked())

    def test_one_of_a_range(self):
        self.keep(self.host.listen(4, 9000))
        self.service("9000-9002:80")
        self.service("9000-9002:80", role="c2")
        self.assertEqual([9001, 9002], self.picked() + self.picked("c2"))
        late = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", late.path, "-p", "9000-9002:80",
                   mention="9000")


@for_each_backend
class Ranges(PortTest):
    def test_each_port_to_its_own(self):
        namespace = self.service("8000-8004:9000-9004")
        for offset in (0, 2, 4):
            listeners = self.serve(namespace, 9000 + offset)
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 8000 + offset,
                                listeners[family])
        beyond = self.serve(namespace, 9005)[4]
        self.assert_no_tcp(self.remote, self.net.host_address(4), 8005, beyond)

    def test_refused(self):
        namespace = self.net.endpoint("c1")
        for spec in ("8000-8001:80-83", "8005-8001:80-84", "8000-8001:81-80", "8080:0", "65536:80",
                     "8080:65536", "8080:80/icmp", "8080:80/", "junk:80", "8080:", ":",
                     "1:2:3:4:5", "8080:80-81", "-1:80", "8080:8 0", "0-5:80-85", "999.1.1.1:1:1",
                     "65530-65540:1-11", "2001:db8:1::1:8080:80", "[2001:db8:1::1:8080:80",
                     "8080:80/TCPX", "8080:99999999999"):
            with self.subTest(spec=spec):
                self.fails("attach", "net", "c1", "--netns", namespace.path, f"-p{spec}",
                           mention=spec)
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_thousand(self):
        namespace = self.net.endpoint("c1")
        self.bn("attach", "net", "c1", "--netns", namespace.path, "-p", "20000-20999:30000-30999")
        self.assertEqual(2000, len(self.oracle.ports()))
        for port in (0, 499, 999):
            listeners = self.serve(namespace, 30000 + port)
            for family in FAMILIES:
                self.assert_tcp(self.remote, self.net.host_address(family), 20000 + port,
                                listeners[family])
        self.bn("detach", "net", "c1")
        self.assertEqual({}, self.oracle.ports())

    def test_thousand_one_by_one(self):
        """As many mappings in one command: one operation all the same."""
        self.service()
        specs = [arg for port in range(1000) for arg in ("-p", f"{20000 + 2 * port}:{port + 1}")]
        self.bn("publish", "net", "c1", *specs)
        self.assertEqual(2000, len(self.oracle.ports()))
        self.fails("publish", "net", "c1", "-p", "18000:1", "-p", "21998:1", "-p", "18001:1",
                   mention="21998")
        self.bn("unpublish", "net", "c1", *specs)
        self.assertEqual({}, self.oracle.ports())


@for_each_backend
class Conflict(PortTest):
    def refused(self, spec, *mention):
        namespace = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", namespace.path, "-p", spec,
                   mention=mention)
        self.assertEqual({"lo"}, set(namespace.links()))
        self.assertNotIn("late", [entry["endpoint"] for entry in oracle.endpoints(self.bn)])

    def test_with_a_port_of_ours(self):
        self.create("two", "--subnet", "172.30.2.0/24")
        self.service("8080:80", role="holder", network="two")
        address = self.net.host_address(4)
        for spec in ("8080:80", "8080:81", f"{address}:8080:80", "8070-8090:70-90"):
            with self.subTest(spec=spec):
                self.refused(spec, "8080", "two", "holder")

    def test_every_address_after_one(self):
        address = self.net.host_address(4)
        self.service(f"{address}:8080:80", role="holder")
        self.refused("8080:80", "8080", "net", "holder")
        self.refused(f"{address}:8080:80", "8080", "net", "holder")
        self.service(f"{Topology.HOST_SECOND[4]}:8080:80", role="other")
        self.service(f"[{self.net.host_address(6)}]:8080:80", role="another")

    def test_protocols_are_apart(self):
        self.service("8080:80", "8080:80/udp", "8080:80/sctp")
        self.assertEqual({"tcp", "udp", "sctp"}, {key[1] for key in self.oracle.ports()})

    def test_twice_in_one_request(self):
        namespace = self.net.endpoint("late")
        self.fails("attach", "net", "late", "--netns", namespace.path, "-p", "8080:80",
                   "-p", "8080:81", mention="8080")

    def test_with_a_listener(self):
        with open("/proc/self/comm") as file:
            name = file.read().strip()
        for family in FAMILIES:
            for address in (None, self.net.host_address(family)):
                with self.subTest(family=family, address=address):
                    listener = self.host.listen(family, 8080, address)
                    self.refused("8080:80", "8080", name, str(os.getpid()))
                    self.refused("8079-8081:79-81", "8080", name)
                    listener.close()
        listener = self.keep(self.host.listen(4, 8080, LOOPBACK))
        self.refused(f"{LOOPBACK}:8080:80", "8080", name)

    def test_with_a_udp_socket(self):
        server = self.keep(self.host.udp(4, 8080))
        self.refused("8080:80/udp", "8080", str(os.getpid()))
        self.service("8080:80/tcp")
        self.assertTrue(server)

    def test_listener_on_another_address_is_none(self):
        self.keep(self.host.listen(4, 8080, Topology.HOST_SECOND[4]))
        listener = self.serve(self.service(f"{self.net.host_address(4)}:8080:80"), 80, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, listener)

    def test_time_wait_is_no_conflict(self):
        listener = self.keep(self.host.listen(4, 8080))
        client = self.connect(self.remote, self.net.host_address(4), 8080)
        server, _ = listener.accept()
        server.close()
        listener.close()
        client.close()
        wait_until(lambda: "TIME-WAIT" in self.host.run("ss", "-Htan", "sport", "=", "8080").stdout)
        self.service("8080:80")

    def test_publish_on_a_live_endpoint(self):
        self.service("8080:80", role="holder")
        self.service()
        self.fails("publish", "net", "c1", "-p", "8081:81", "-p", "8080:80",
                   mention=("8080", "holder"))
        self.assertEqual({8080}, {key[3] for key in self.oracle.ports()})


@for_each_backend
class Live(PortTest):
    def test_publish_and_unpublish(self):
        namespace = self.service()
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.net.host_address(family), 8080,
                               listeners[family])
        self.bn("publish", "net", "c1", "-p", "8080:80")
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, listeners[family])
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        for family in FAMILIES:
            self.assert_no_tcp(self.remote, self.net.host_address(family), 8080,
                               listeners[family])

    def test_unknown(self):
        self.service("8080:80")
        for spec in ("8081:80", "8080:81", "8080:80/udp",
                     f"{self.net.host_address(4)}:8080:80"):
            with self.subTest(spec=spec):
                self.fails("unpublish", "net", "c1", "-p", spec, mention="c1")
        self.fails("publish", "net", "nonesuch", "-p", "8081:80", mention="nonesuch")
        self.fails("publish", "nonesuch", "c1", "-p", "8081:80", mention="nonesuch")
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.fails("unpublish", "net", "c1", "-p", "8080:80", mention="8080")

    def test_two_host_ports_to_one(self):
        namespace = self.service("8080:80", "8081:80")
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            address = self.net.host_address(family)
            lasting = self.connect(self.remote, address, 8081)
            self.converse(lasting, listeners[family])
            server = self.server_side
            self.bn("unpublish", "net", "c1", "-p", "8080:80")
            self.assert_no_tcp(self.remote, address, 8080, listeners[family])
            self.assert_tcp(self.remote, address, 8081, listeners[family])
            lasting.sendall(b"still here")
            self.assertEqual(b"still here", server.recv(64))
            self.bn("publish", "net", "c1", "-p", "8080:80")
            self.assert_tcp(self.remote, address, 8080, listeners[family])

    def test_connections_outlast_other_changes(self):
        namespace = self.service("8080:80")
        listener = self.serve(namespace, 80, (4,))[4]
        lasting = self.connect(self.remote, self.net.host_address(4), 8080)
        self.converse(lasting, listener)
        server = self.server_side
        self.create("two")
        self.service("9000-9100:9000-9100", role="c2", network="two")
        self.bn("publish", "net", "c1", "-p", "8090:80")
        self.bn("detach", "two", "c2")
        self.bn("network", "rm", "two")
        lasting.sendall(b"still here")
        self.assertEqual(b"still here", server.recv(64))

    def test_host_port_moves_to_another_endpoint(self):
        first = self.service("8080:80")
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        second = self.service("8080:80", role="c2")
        wrong = self.serve(first, 80, (4,))[4]
        right = self.serve(second, 80, (4,))[4]
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, right)
        wrong.settimeout(0)
        self.assertRaises(OSError, wrong.accept)

    def test_detach_takes_the_ports(self):
        self.service("8080:80", "8081:81/udp", "9000-9009:9000-9009")
        self.assertEqual(24, len(self.oracle.ports()))
        self.bn("detach", "net", "c1")
        self.assertEqual({}, self.oracle.ports())
        self.service("8080:80", role="c2")


@for_each_backend
class StaleFlows(PortTest):
    """A UDP client keeps its source port, so an old flow would decide where it goes."""

    def client(self, family=4, port=8080, address=None):
        made = self.keep(self.remote.udp(family, 40000))
        made.connect((address or self.net.host_address(family), port))
        return made

    @staticmethod
    def send(client):
        """A datagram; what was said about an earlier one is of no interest."""
        for _ in range(2):
            try:
                client.send(b"datagram")
                return
            except ConnectionRefusedError:
                continue

    def test_dropped_on_publish(self):
        namespace = self.service("7000:7000")
        for family in FAMILIES:
            with self.subTest(family=family):
                server = self.keep(namespace.udp(family, 53))
                client = self.client(family)
                self.send(client)
                self.assert_silent(server, 0.1)
                flows = oracle.conntrack(self.host, "-f", f"ipv{family}", "-p", "udp")
                self.assertTrue(any("dport=8080" in flow for flow in flows.values()), flows)
                self.bn("publish", "net", "c1", "-p", "8080:53/udp")
                self.send(client)
                self.assertEqual(b"datagram", server.recv(64))
                self.bn("unpublish", "net", "c1", "-p", "8080:53/udp")
                client.close()

    def test_dropped_on_unpublish(self):
        namespace = self.service("8080:53/udp")
        for family in FAMILIES:
            with self.subTest(family=family):
                server = self.keep(namespace.udp(family, 53))
                client = self.client(family)
                self.send(client)
                self.assertEqual(b"datagram", server.recv(64))
                self.bn("unpublish", "net", "c1", "-p", "8080:53/udp")
                self.send(client)
                self.assert_silent(server)
                self.bn("publish", "net", "c1", "-p", "8080:53/udp")
                client.close()

    def test_dropped_on_detach_so_the_next_is_reached(self):
        first = self.service("8080:53/udp")
        server = self.keep(first.udp(4, 53))
        client = self.client()
        self.send(client)
        self.assertEqual(b"datagram", server.recv(64))
        self.bn("detach", "net", "c1")
        second = self.service("8080:53/udp", role="c2")
        server = self.keep(second.udp(4, 53))
        self.send(client)
        self.assertEqual(b"datagram", server.recv(64))

    def test_no_others(self):
        """The same port of another address, of another machine, another protocol: all stay."""
        second = Topology.HOST_SECOND[4]
        namespace = self.service("9000:53/udp", f"{second}:8080:54/udp", "8080:80/tcp")
        listener = self.serve(namespace, 80, (4,))[4]
        neighbour = self.service(role="c2")
        kept = self.keep(namespace.udp(4, 54))
        self.assert_udp(self.remote, second, 8080, kept)
        outside = self.keep(self.remote.udp(4, 8080))
        self.assert_udp(neighbour, self.net.address("remote", 4), 8080, outside)
        self.assert_udp(self.host, self.net.address("remote", 4), 8080, outside)
        other = self.keep(namespace.udp(4, 53))
        self.assert_udp(self.remote, self.net.host_address(4), 9000, other)
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, listener)
        before = set(oracle.conntrack(self.host))
        self.assertGreaterEqual(len(before), 5)
        spec = f"{self.net.host_address(4)}:8080:53/udp"
        self.bn("publish", "net", "c2", "-p", spec)
        self.assertEqual(set(), before - set(oracle.conntrack(self.host)))
        self.bn("unpublish", "net", "c2", "-p", spec)
        self.assertEqual(set(), before - set(oracle.conntrack(self.host)))
        self.bn("publish", "net", "c1", "-p", "53:8080/udp")
        self.bn("unpublish", "net", "c1", "-p", "53:8080/udp")
        self.assertEqual(set(), before - set(oracle.conntrack(self.host)))


if __name__ == "__main__":
    unittest.main()
