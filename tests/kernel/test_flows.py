# SPDX-License-Identifier: LGPL-2.1-or-later
"""Flows that conntrack remembers end with what they led to, and no others do."""
import re
import signal
import socket
import struct
import unittest

import oracle
from library import DELETE_ENDPOINTS, DETACH_QUICK, Library
from topology import FAMILIES, PATIENCE, KernelTest, Topology, for_each_backend, wait_until

ADDRESS = {4: "172.30.0.9", 6: "fd00:30::9"}
AT = ("--ip", ADDRESS[4], "--ip", ADDRESS[6])
PORTS = ("-p", "8080:80", "-p", "8053:53/udp")
TWO = ("--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")
TCP_REPAIR = 19


class FlowsTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.host.run("conntrack", "-F")

    def flows(self, family, *words):
        """Those of the kernel whose line has all the words, by their ids."""
        return {number: line for number, line in
                oracle.conntrack(self.host, "-f", f"ipv{family}").items()
                if all(re.search(rf"\b{word}(?![\w.:])", line) for word in words)}

    def insert(self, *argv):
        self.host.run("conntrack", "-I", "-t", "600", *argv)

    def datagram(self, client, address, port, server, source=0):
        """One there and one back; the socket, and whom the server saw."""
        family = 6 if ":" in address else 4
        made = self.keep(client.udp(family, source))
        made.connect((address, port))
        made.send(b"question")
        server.settimeout(PATIENCE)
        data, peer = server.recvfrom(64)
        self.assertEqual(b"question", data)
        server.sendto(b"answer", peer)
        self.assertEqual(b"answer", made.recv(64))
        return made, peer

    def dial(self, client, address, port, source):
        """A TCP socket from that port."""
        made = self.keep(client.socket(address, timeout=0.5))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("", source))
        made.connect((address, port))
        return made

    def forget(self, made):
        """As a machine that lost its power: no packet tells of it."""
        made.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        made.close()

    @staticmethod
    def send(made, data=b"again"):
        """What was said about an earlier one is of no interest."""
        for _ in range(2):
            try:
                made.send(data)
                return
            except ConnectionRefusedError:
                continue

    def talk(self, family, port, address=None, server=80):
        """An established connection: the client's side and the server's."""
        listener = self.serve(self.namespace, server, (family,))[family]
        made = self.connect(self.remote, address or self.net.host_address(family), port)
        self.converse(made, listener)
        listener.close()
        return made, self.server_side

    def assert_lives(self, sides):
        client, server = sides
        client.sendall(b"more")
        self.assertEqual(b"more", server.recv(64))

    def assert_dead(self, sides):
        client, server = sides
        server.settimeout(0.2)
        try:
            client.sendall(b"more")
            data = server.recv(64)
        except OSError:
            return
        self.fail(f"the server got {data}")

    def assert_no_flows(self, family, address=None):
        """As a source of either way: in zone 0."""
        self.assertEqual([], [line for line in
                              self.flows(family, f"src={address or ADDRESS[family]}").values()
                              if "zone=" not in line])

    def assert_kept(self, before):
        for family, flows in before.items():
            left = self.flows(family)
            self.assertEqual([], [line for number, line in flows.items() if number not in left])


@for_each_backend
class NextTenant(FlowsTest):
    """An endpoint goes in every way there is, and the next that gets its address publishes
    nothing."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.create("two", *TWO)
        self.old = self.attach("net", "old", *AT, *PORTS)
        self.other = self.attach("two", "other", "-p", "9080:80", "-p", "9053:53/udp")
        self.peer = {}
        self.clients = {}
        self.of_old = []
        for family in FAMILIES:
            self.make_flows(family)
        self.kept = {family: self.others(family) for family in FAMILIES}

    def left_over(self):
        """What a quick detach leaves goes with its namespace, a moment later."""
        wait_until(lambda: not any(str(link.get("ifalias")).endswith("/old")
                                   for link in self.host.links().values()),
                   what="the links of a dead namespace gone")
        return super().left_over()

    def others(self, family):
        """Flows that have nothing to do with the endpoint."""
        server = self.keep(self.other.udp(family, 53))
        self.datagram(self.remote, self.net.host_address(family), 9053, server)
        outside = self.keep(self.remote.udp(family, 7001))
        self.datagram(self.other, self.net.address("remote", family), 7001, outside)
        self.datagram(self.host, self.net.address("remote", family), 7001, outside)
        self.assert_tcp(self.remote, self.net.host_address(family), 9080,
                        self.serve(self.other, 80, (family,))[family])
        self.insert("-p", "udp", "-s", ADDRESS[family], "-d",
                    self.net.address("remote", family), "--sport", "5", "--dport", "5", "-w", "5")
        before = {number: line for number, line in self.flows(family).items()
                  if f"src={ADDRESS[family]} " not in line or "zone=5" in line}
        self.assertGreaterEqual(len(before), 5)
        return before

    def make_flows(self, family):
        """Each of its kind: published, of its own, from another network, through the host from
        within its own."""
        host = self.net.host_address(family)
        datagrams = self.keep(self.old.udp(family, 53))
        listener = self.serve(self.old, 80, (family,))[family]
        tcp = self.dial(self.remote, host, 8080, 6000)
        self.converse(tcp, listener)
        self.forget(tcp)
        # what waits for an answer to its end keeps the namespace
        self.server_side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.clients[family] = [self.datagram(client, host, 8053, datagrams, 6001)[0]
                                for client in (self.remote, self.other, self.old)]
        self.datagram(self.host, ADDRESS[family], 53, datagrams)
        outside = self.keep(self.remote.udp(family, 7000))
        _, self.peer[family] = self.datagram(
            self.old, self.net.address("remote", family), 7000, outside, 6002)
        self.insert("-p", "sctp", "-s", self.net.address("remote", family), "-d", host,
                    "--sport", "7", "--dport", "7", "-g", ADDRESS[family], "--state",
                    "ESTABLISHED", "--orig-vtag", "1", "--reply-vtag", "2")
        self.assertGreaterEqual(len(self.flows(family, f"src={ADDRESS[family]}")), 7)
        self.of_old += [outside, datagrams, listener, self.server_side]

    def check(self, network="net"):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_no_flows(family)
        self.assert_kept(self.kept)
        for made in self.of_old:
            made.close()
        new = self.attach(network, "new", *AT)
        for family in FAMILIES:
            with self.subTest(family=family):
                self.check_new(family, new)
        self.bn("detach", network, "new")

    def check_new(self, family, new):
        listener = self.serve(new, 80, (family,))[family]
        with self.assertRaises(OSError):
            self.dial(self.remote, self.net.host_address(family), 8080, 6000)
        listener.settimeout(0)
        self.assertRaises(OSError, listener.accept)
        datagrams = self.keep(new.udp(family, 53))
        for client in self.clients[family][:2]:
            self.send(client)
        own = self.keep(new.udp(family, 6002))
        answer = self.keep(self.remote.udp(family, 7000))
        answer.connect((self.peer[family][0], self.peer[family][1]))
        self.send(answer)
        self.assert_silent(datagrams, 0.1)
        self.assert_silent(own, 0.1)

    def library(self):
        made = Library(self.net, self.backend)
        self.addCleanup(made.close)
        return made

    def test_detached(self):
        self.bn("detach", "net", "old")
        self.check()

    def test_detached_quickly(self):
        self.library().detach("net", "old", flags=DETACH_QUICK)
        self.check()

    def test_deleted_with_the_network(self):
        self.library().delete("net", flags=DELETE_ENDPOINTS)
        self.create(dual=True)
        self.check()

    def test_detached_with_the_network(self):
        self.bn("detach", "net", "old", "--delete-empty")
        self.create(dual=True)
        self.check()

    def test_collected(self):
        for made in self.of_old + [clients[2] for clients in self.clients.values()]:
            made.close()
        # those that the test had inside keep it alive
        for made in self.sockets:
            made.close()
        self.sockets.clear()
        self.net.endpoints.remove(self.old)
        self.net.namespaces.remove(self.old)
        self.old.delete()
        wait_until(lambda: "old" in self.bn("collect"), what="the end of the namespace")
        for family in FAMILIES:
            self.assert_no_flows(family)
        self.assert_kept(self.kept)


@for_each_backend
class NotSettled(FlowsTest):
    """What an endpoint that came to nothing, or whose removal was killed, has left."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def leave_flows(self):
        for family in FAMILIES:
            self.insert("-p", "tcp", "-s", self.net.address("remote", family), "-d",
                        self.net.host_address(family), "--sport", "6000", "--dport", "8080", "-g",
                        f"{ADDRESS[4]}:80" if family == 4 else f"[{ADDRESS[6]}]:80", "--state",
                        "ESTABLISHED")
            self.assertEqual(1, len(self.flows(family, f"src={ADDRESS[family]}")))

    def test_attach_fails(self):
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "link", "add", "eth0", "type", "bridge")
        self.leave_flows()
        result = self.bn.result("attach", "net", "c1", "--netns", namespace.path, "--ifname",
                                "eth0", *AT, *PORTS)
        self.assertEqual(1, result.returncode, result.stdout)
        for family in FAMILIES:
            self.assert_no_flows(family)

    def kill_everywhere(self, prepare, argv, settle):
        """At each message to the kernel, and what the next call makes of it."""
        killed = 0
        for n in range(1, 100):
            prepare()
            result = self.host.run("strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0",
                                   "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                                   f"inject=sendmsg:signal=KILL:when={n}", *self.bn.argv(*argv),
                                   check=False)
            was_killed = result.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
            with self.subTest(command=argv[0], n=n):
                settle()
            if not was_killed:
                break
            killed += 1
        self.assertGreater(killed, 3)

    def test_detach_is_killed(self):
        namespace = self.net.endpoint("c1")

        def prepare():
            self.attach("net", "c1", *AT, *PORTS, namespace=namespace)
            self.leave_flows()

        def settle():
            result = self.bn.result("detach", "net", "c1")
            if result.returncode:
                self.assertIn("c1", result.stderr)
            self.attach("net", "new", *AT, namespace=other)
            for family in FAMILIES:
                self.assert_no_flows(family)
            self.bn("detach", "net", "new")

        other = self.net.endpoint("new")
        self.kill_everywhere(prepare, ("detach", "net", "c1"), settle)

    def test_unpublish_is_killed(self):
        self.attach("net", "c1", *AT)

        def prepare():
            self.bn("publish", "net", "c1", "-p", "8080:80")
            self.leave_flows()

        def settle():
            result = self.bn.result("unpublish", "net", "c1", "-p", "8080:80")
            if result.returncode:
                self.assertIn("8080", result.stderr)
            for family in FAMILIES:
                self.assert_no_flows(family)

        self.kill_everywhere(prepare, ("unpublish", "net", "c1", "-p", "8080:80"), settle)


@for_each_backend
class Unpublished(FlowsTest):
    """The flows of the mapping, exactly those."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", *AT)
        self.neighbour = self.attach("net", "c2")

    def test_one_of_two_mappings(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.bn("publish", "net", "c1", "-p", "80:80", "-p", "8081:80")
                gone = self.talk(family, 80)
                stays = self.talk(family, 8081)
                listener = self.serve(self.namespace, 80, (family,))[family]
                straight = self.connect(self.host, ADDRESS[family], 80)
                self.converse(straight, listener)
                straight = straight, self.server_side
                listener.close()
                self.assertEqual(3, len(self.flows(family, f"src={ADDRESS[family]}", "tcp")))
                self.bn("unpublish", "net", "c1", "-p", "80:80")
                self.assertEqual(2, len(self.flows(family, f"src={ADDRESS[family]}", "tcp")))
                self.assert_dead(gone)
                self.assert_lives(stays)
                self.assert_lives(straight)
                self.bn("unpublish", "net", "c1", "-p", "8081:80")
                self.assert_dead(stays)
                self.assert_lives(straight)
                for made in gone + stays + straight:
                    made.close()

    def test_bound_and_not(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                first = self.net.host_address(family)
                second = Topology.HOST_SECOND[family]
                self.bn("publish", "net", "c1", "-p", self.spec(first, "8090:80"), "-p",
                        self.spec(second, "8090:80"), "-p", "8091:80")
                bound = self.talk(family, 8090)
                other = self.talk(family, 8090, second)
                anywhere = self.talk(family, 8091), self.talk(family, 8091, second)
                self.bn("unpublish", "net", "c1", "-p", self.spec(first, "8090:80"))
                self.assert_dead(bound)
                for sides in (other,) + anywhere:
                    self.assert_lives(sides)
                self.bn("unpublish", "net", "c1", "-p", "8091:80")
                self.assert_lives(other)
                for sides in anywhere:
                    self.assert_dead(sides)
                self.bn("unpublish", "net", "c1", "-p", self.spec(second, "8090:80"))
                self.assert_dead(other)
                for sides in (bound, other) + anywhere:
                    for made in sides:
                        made.close()

    @staticmethod
    def spec(address, ports):
        return f"[{address}]:{ports}" if ":" in address else f"{address}:{ports}"

    def test_range(self):
        self.bn("publish", "net", "c1", "-p", "9000-9003:5000-5003/udp", "-p", "9004:5001/udp")
        self.bn("publish", "net", "c2", "-p", "9005:5001/udp")
        for family in FAMILIES:
            host = self.net.host_address(family)
            server = self.keep(self.namespace.udp(family, 5001))
            other = self.keep(self.neighbour.udp(family, 5001))
            self.datagram(self.remote, host, 9001, server)
            self.datagram(self.remote, host, 9004, server)
            self.datagram(self.remote, host, 9005, other)
        self.bn("unpublish", "net", "c1", "-p", "9000-9003:5000-5003/udp")
        for family in FAMILIES:
            self.assertEqual({}, self.flows(family, "dport=9001"))
            self.assertEqual(1, len(self.flows(family, "dport=9004")))
            self.assertEqual(1, len(self.flows(family, "dport=9005")))

    def test_sctp_and_zones(self):
        self.bn("publish", "net", "c1", "-p", "7777:7777/sctp", "-p", "7778:7778/sctp", "-p",
                "7777:7777/udp")
        state = ("--state", "ESTABLISHED", "--orig-vtag", "1", "--reply-vtag", "2")
        for family in FAMILIES:
            for port in ("7777", "7778"):
                self.insert("-p", "sctp", "-s", self.net.address("remote", family), "-d",
                            self.net.host_address(family), "--sport", "7", "--dport", port, "-g",
                            ADDRESS[family], *state)
            self.insert("-p", "sctp", "-s", self.net.address("remote", family), "-d",
                        self.net.host_address(family), "--sport", "7", "--dport", "7777", "-g",
                        ADDRESS[family], "-w", "5", *state)
            server = self.keep(self.namespace.udp(family, 7777))
            self.datagram(self.remote, self.net.host_address(family), 7777, server)
        self.bn("unpublish", "net", "c1", "-p", "7777:7777/sctp")
        for family in FAMILIES:
            left = list(self.flows(family, "dport=7777", "sctp").values())
            self.assertEqual([True], ["zone=5" in line for line in left])
            self.assertEqual(1, len(self.flows(family, "dport=7778", "sctp")))
            self.assertEqual(1, len(self.flows(family, "dport=7777", "udp")))


@for_each_backend
class Published(FlowsTest):
    def test_at_an_address_by_route(self):
        """That the host has no address of an interface for."""
        self.create(dual=True)
        routes = {4: ("10.99.0.0/24", "10.99.0.7"), 6: ("fd00:99::/64", "fd00:99::7")}
        for family, (prefix, _) in routes.items():
            self.host.run("ip", "route", "add", "local", prefix, "dev", "lo")
            self.addCleanup(self.host.run, "ip", "route", "del", "local", prefix, "dev", "lo",
                            check=False)
            self.remote.run("ip", "route", "add", prefix, "via", self.net.host_address(family))
            self.addCleanup(self.remote.run, "ip", "route", "del", prefix)
        namespace = self.attach("net", "c1")
        clients = {}
        for family, (_, address) in routes.items():
            clients[family] = self.keep(self.remote.udp(family, 40000))
            clients[family].connect((address, 8080))
            self.send(clients[family])
        self.bn("publish", "net", "c1", "-p", "8080:53/udp")
        for family, client in clients.items():
            with self.subTest(family=family):
                server = self.keep(namespace.udp(family, 53))
                server.settimeout(PATIENCE)
                self.send(client)
                self.assertEqual(b"again", server.recv(64))
        for prefix, _ in routes.values():
            self.host.run("ip", "route", "del", "local", prefix, "dev", "lo")

    def test_what_others_led_away(self):
        """Somebody's own forwarding of the port, which is no more."""
        self.create(dual=True)
        namespace = self.attach("net", "c1")
        for family in FAMILIES:
            with self.subTest(family=family):
                host, remote = self.net.host_address(family), self.net.address("remote", family)
                client = self.keep(self.remote.udp(family, 40000))
                client.connect((host, 8080))
                self.insert("-p", "udp", "-s", remote, "-d", host, "--sport", "40000",
                            "--dport", "8080", "-g", "172.30.0.77" if family == 4 else
                            "fd00:30::77")
                self.bn("publish", "net", "c1", "-p", "8080:53/udp")
                server = self.keep(namespace.udp(family, 53))
                server.settimeout(PATIENCE)
                self.send(client)
                self.assertEqual(b"again", server.recv(64))
                self.bn("unpublish", "net", "c1", "-p", "8080:53/udp")


@for_each_backend
class Many(FlowsTest):
    def test_more_than_are_asked_for_one_by_one(self):
        self.create(dual=True)
        self.create("two", *TWO)
        stays = self.attach("two", "stays")
        outside = {family: self.keep(self.remote.udp(family, 7000)) for family in FAMILIES}
        names = [f"c{n}" for n in range(12)]
        for name in names:
            namespace = self.attach("net", name)
            for family in FAMILIES:
                self.datagram(namespace, self.net.address("remote", family), 7000,
                              outside[family])
        for family in FAMILIES:
            self.datagram(stays, self.net.address("remote", family), 7000, outside[family])
            self.assertEqual(13, len(self.flows(family, "dport=7000")))
        self.bn("detach", "net", *names)
        for family in FAMILIES:
            left = list(self.flows(family, "dport=7000").values())
            self.assertEqual([True], [f"src={stays.address(family)} " in line for line in left])


if __name__ == "__main__":
    unittest.main()
