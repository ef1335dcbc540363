# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways out of a namespace change while its endpoints stand: metric, default-route, priorities."""
import re
import socket
import threading
import time

import oracle
from networks import NetworksTest, defaults, gateway, inside
from topology import FAMILIES, PATIENCE, for_each_backend

OPTIONS = ("metric", "default-route", "gateway-priority-ipv4", "gateway-priority-ipv6")


class Pulse:
    """Datagrams of an unbound socket each millisecond, and what became of them."""

    def __init__(self, namespace, family, address, port):
        self.socket = namespace.udp(family)
        self.target = (address, port)
        self.sent, self.failed, self.ends = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ends.wait(0.001):
            try:
                self.socket.sendto(b"pulse", self.target)
                self.sent += 1
            except OSError as error:
                self.failed.append(error)

    def end(self):
        self.ends.set()
        self.thread.join()
        self.socket.close()


class LiveTest(NetworksTest):
    def update(self, network, *options, **kinds):
        self.bn("endpoint", "update", network, "c1", *kinds.get("argv", ()),
                *(word for option in options for word in ("--opt", option)))

    def shown(self, network):
        """[(family, metric)] of the default routes that the state tells of."""
        return sorted((6 if ":" in route["destination"] else 4, route["metric"])
                      for route in oracle.endpoint(self.bn, network, "c1")["routes"]
                      if route["destination"] in ("0.0.0.0/0", "::/0"))

    def assert_shown(self, namespace, *names):
        """What is shown of each is what there is."""
        for name in names:
            number = self.NAMES.index(name) + 1
            there = sorted((family, metric) for family in FAMILIES
                           for metric, via, _ in defaults(namespace, family)
                           if via == gateway(number, family))
            self.assertEqual(there, self.shown(name), name)


@for_each_backend
class Alone(LiveTest):
    def test_each_option(self):
        """As if attached so; and back, nothing of it is left."""
        namespace = self.attach("one", "c1")
        before = inside(namespace)
        servers = self.outside()
        for options, metrics in ((("metric=7",), (7, 7)), (("metric=9",), (9, 9)),
                                 (("metric=",), (100, 100)),
                                 (("gateway-priority-ipv4=5",), (80, 100)),
                                 (("gateway-priority-ipv6=-1",), (80, 200)),
                                 (("default-route=no",), (None, None)),
                                 (("default-route=", "metric=40"), (40, 40)),
                                 (tuple(f"{key}=" for key in OPTIONS[3:] + OPTIONS[:2]) +
                                  ("gateway-priority-ipv4=0",), (100, 100))):
            self.update("one", *options)
            with self.subTest(options=options):
                for family, metric in zip(FAMILIES, metrics):
                    self.assertEqual([] if metric is None else
                                     [(metric, gateway(1, family), "eth0")],
                                     defaults(namespace, family))
                    if metric is not None:
                        self.assert_way_out(namespace, servers, (family,))
                self.assert_shown(namespace, "one")
        self.assertEqual(before, inside(namespace))

    def test_setter(self):
        namespace = self.attach("one", "c1")
        self.update("one", argv=("--gateway-priority", "5"))
        self.assertEqual([80, None, None], self.metrics(namespace))
        self.assertEqual(5, oracle.endpoint(self.bn, "one", "c1")["gateway_priority"])
        # what has a say of its own goes by that
        self.update("one", "gateway-priority-ipv6=5", argv=("--gateway-priority", "0"))
        self.assertEqual([(4, 100), (6, 80)], self.shown("one"))

    def test_others_route_of_that_metric(self):
        namespace = self.net.endpoint("c1")
        namespace.batch("link add spare type bridge\nlink set spare up\n"
                        "addr add 198.18.0.2/24 dev spare\n"
                        "route add default via 198.18.0.1 dev spare metric 80\n")
        self.attach("one", "c1", namespace=namespace)
        self.update("one", "gateway-priority-ipv4=5", "gateway-priority-ipv6=5")
        self.assertEqual([(80, "198.18.0.1", "spare"), (81, gateway(1, 4), "eth0")],
                         defaults(namespace, 4))
        self.assertEqual([(80, gateway(1, 6), "eth0")], defaults(namespace, 6))
        self.assert_shown(namespace, "one")

    def test_refused(self):
        """All stays: what can't be is known before anything changes."""
        namespace = self.attach("one", "c1", "--opt", "metric=50")
        for family in ("-4", "-6"):
            namespace.run("ip", family, "route", "add", "unreachable", "default", "metric",
                          "4294967295")
        before = inside(namespace)
        self.fails("endpoint", "update", "one", "c1", "--opt", "metric=4294967295",
                   mention="default routes of others")
        self.assertEqual(before, inside(namespace))
        namespace.run("ip", "link", "set", "eth0", "down")
        before = inside(namespace)
        self.fails("endpoint", "update", "one", "c1", "--opt", "metric=6", mention="eth0")
        self.assertEqual(before, inside(namespace))
        self.assertEqual({"metric": "50"}, oracle.endpoint(self.bn, "one", "c1")["options"])
        namespace.run("ip", "link", "set", "eth0", "up")

    def test_never_without(self):
        """What is sent meanwhile always has a way."""
        namespace = self.attach("one", "c1")
        servers = self.outside()
        pulses = [Pulse(namespace, family, self.net.address("remote", family),
                        servers[family].getsockname()[1]) for family in FAMILIES]
        for metric in (7, 300, 8, 301, 9, 302):
            self.update("one", f"metric={metric}")
        for pulse in pulses:
            pulse.end()
            self.assertEqual([], pulse.failed)
            self.assertGreater(pulse.sent, 10)


@for_each_backend
class Several(LiveTest):
    def make(self, *argv):
        """On one and two, of which the first is the best."""
        namespace = self.attach("one", "c1", "-p", "8080:80", *argv)
        self.join("two", namespace, "-p", "8081:80")
        return namespace

    def assert_answers(self, namespace):
        served = self.served
        for family in FAMILIES:
            for port in (8080, 8081):
                self.assert_tcp(self.remote, self.net.host_address(family), port, served[family])

    def test_best_changes(self):
        """Of each family by itself; answers go back the way that they came all the while."""
        namespace = self.make()
        self.served = self.serve(namespace, 80)
        servers = self.outside()
        first = inside(namespace)
        for options, bests in ((("gateway-priority-ipv4=5",), (2, 1)),
                               (("gateway-priority-ipv6=5",), (2, 2)),
                               (("gateway-priority-ipv4=-5",), (1, 2)),
                               (("default-route=no",), (1, 1)),
                               (("default-route=yes",), (1, 2)),
                               (("metric=20",), (2, 2)),
                               (("metric=", "gateway-priority-ipv6=0", "gateway-priority-ipv4=0"),
                                (1, 1))):
            self.update("two", *options)
            with self.subTest(options=options):
                for family, best in zip(FAMILIES, bests):
                    self.assertEqual(gateway(best, family), defaults(namespace, family)[0][1])
                    for number in (1, 2):
                        (route,) = namespace.ip("-4" if family == 4 else "-6", "route", "get",
                                                self.net.address("remote", family), "from",
                                                namespace.address(family, f"eth{number - 1}"))
                        self.assertEqual(gateway(number, family), route["gateway"])
                self.assert_shown(namespace, "one", "two")
                self.assert_way_out(namespace, servers)
                self.assert_answers(namespace)
        self.assertEqual(first, inside(namespace))

    def test_as_attached_so(self):
        """The rules and tables are those of endpoints that were attached in that order."""
        namespace = self.make()
        self.update("two", "gateway-priority-ipv4=5", "gateway-priority-ipv6=5")
        changed = inside(namespace)
        self.bn("detach", "two", "c1")
        self.bn("detach", "one", "c1")
        self.attach("one", "c1", namespace=namespace)
        self.join("two", namespace, "--gateway-priority", "5")
        for new, old in zip(inside(namespace)[::3], changed[::3]):
            # but for the tables, which are numbered as the interfaces are, and other addresses
            self.assertEqual(*([re.sub(r"from \S+|lookup 1\d{9}", "", line)
                                for line in text.splitlines()] for text in (new, old)))
        self.assertEqual([100, 80, None], self.metrics(namespace))

    def test_connections_stay(self):
        """One that goes out by the best goes on, whatever the best is then."""
        namespace = self.make()
        for family in FAMILIES:
            flag = socket.AF_INET if family == 4 else socket.AF_INET6
            with self.remote:
                listener = self.keep(socket.create_server(("", 7000), family=flag))
            with namespace:
                client = self.keep(socket.create_connection(
                    (self.net.address("remote", family), 7000), timeout=PATIENCE))
            server = self.keep(listener.accept()[0])
            server.settimeout(PATIENCE)
            source = client.getsockname()[0]
            self.assertEqual(namespace.address(family, "eth0"), source)
            ends = threading.Event()
            lost = []

            def talk():
                while not ends.is_set():
                    try:
                        client.sendall(b"x")
                        if server.recv(1) != b"x":
                            raise OSError("closed")
                        server.sendall(b"y")
                        client.recv(1)
                    except OSError as error:
                        lost.append(error)
                        return
                    time.sleep(0.001)

            thread = threading.Thread(target=talk)
            thread.start()
            for options in (("gateway-priority-ipv4=5", "gateway-priority-ipv6=5"),
                            ("metric=300",), ("metric=",)):
                self.update("two", *options)
            self.update("one", "default-route=no")
            self.update("one", "default-route=")
            self.update("two", "gateway-priority-ipv4=0", "gateway-priority-ipv6=0")
            ends.set()
            thread.join()
            self.assertEqual([], lost)
            listener.close()

    def test_never_without(self):
        namespace = self.make()
        servers = self.outside()
        pulses = [Pulse(namespace, family, self.net.address("remote", family),
                        servers[family].getsockname()[1]) for family in FAMILIES]
        for priority in (5, -5, 6, -6):
            self.update("two", f"gateway-priority-ipv4={priority}",
                        f"gateway-priority-ipv6={-priority}")
        for pulse in pulses:
            pulse.end()
            self.assertEqual([], pulse.failed)
            self.assertGreater(pulse.sent, 10)

    def test_taken_by_a_sibling(self):
        namespace = self.make()
        self.update("two", "metric=100")
        self.assertEqual([100, 101, None], self.metrics(namespace))
        self.update("one", "metric=101")
        self.assertEqual([102, 101, None], self.metrics(namespace))
        self.join("three", namespace, "--gateway-priority", "1")
        self.bn("detach", "two", "c1")
        self.assert_shown(namespace, "one", "three")
