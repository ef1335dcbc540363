# SPDX-License-Identifier: LGPL-2.1-or-later
"""Default routes: one of each endpoint's own, none taken from anybody, the next serves at once."""
import errno
import itertools
import os
import random
import subprocess
import unittest

import oracle
from library import DETACH_QUICK
from networks import NetworksTest, defaults, gateway, inside, subnet
from topology import FAMILIES, for_each_backend

METRIC_MAX = 4294967295
PRIORITY_MAX = 2147483647
ROUNDS = 30


@for_each_backend
class Metrics(NetworksTest):
    def test_lone(self):
        namespace = self.attach("one", "c1")
        for family in FAMILIES:
            self.assertEqual([(100, gateway(1, family), "eth0")], defaults(namespace, family))
            (route,) = namespace.ip("-4" if family == 4 else "-6", "route", "show", "default")
            self.assertEqual("static", route["protocol"])
        self.assertEqual({}, oracle.endpoint(self.bn, "one", "c1")["options"])

    def test_equal_priorities(self):
        """In the order of attach, and a number that is free again is given again."""
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        self.join("three", namespace)
        self.assertEqual([100, 101, 102], self.metrics(namespace))
        self.bn("detach", "two", "c1")
        self.assertEqual([100, None, 102], self.metrics(namespace))
        self.join("two", namespace)
        one, two, three = self.metrics(namespace)
        self.assertEqual((100, 102), (one, three))
        self.assertIn(two, (101, 103))

    def test_priorities_in_any_order(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        for priorities in itertools.permutations((-10, 0, 10)):
            with self.subTest(priorities=priorities):
                for name, priority in zip(self.NAMES, priorities):
                    library.attach(name, "c1", namespace, priority=priority)
                metrics = self.metrics(namespace)
                order = sorted(range(3), key=lambda i: -priorities[i])
                self.assertEqual(sorted(set(metrics)), [metrics[i] for i in order])
                self.assertGreater(min(metrics), 0)
                if priorities[0] == 0:
                    self.assertEqual(100, metrics[0])
                for name in self.NAMES:
                    library.detach(name, "c1")

    def test_lone_of_a_priority(self):
        library = self.library()
        for priority in (10, 99, 100, 1000, PRIORITY_MAX, -10, -PRIORITY_MAX - 1):
            with self.subTest(priority=priority):
                namespace = self.net.endpoint("lone")
                library.attach("one", "c1", namespace, priority=priority)
                (metric, _, _) = self.metrics(namespace)
                self.assertGreaterEqual(metric, 1)
                self.assertLessEqual(metric, METRIC_MAX)
                if priority > 0:
                    self.assertLess(metric, 100)
                else:
                    self.assertGreater(metric, 100)
                library.detach("one", "c1")

    def test_ends_of_the_range(self):
        """0 is never given: it would be 1024 in IPv6, and no number of a route in IPv4."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        for priorities in ((PRIORITY_MAX, PRIORITY_MAX, 0), (0, PRIORITY_MAX, -PRIORITY_MAX - 1),
                           (-PRIORITY_MAX - 1, 0, PRIORITY_MAX)):
            with self.subTest(priorities=priorities):
                for name, priority in zip(self.NAMES, priorities):
                    library.attach(name, "c1", namespace, priority=priority)
                metrics = self.metrics(namespace)
                order = sorted(range(3), key=lambda i: (-priorities[i], i))
                self.assertEqual(sorted(set(metrics)), [metrics[i] for i in order])
                self.assertGreater(min(metrics), 0)
                for name in self.NAMES:
                    library.detach(name, "c1")

    def test_none_free_between_two(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        library.attach("one", "c1", namespace, priority=10, options={"metric": "100"})
        library.attach("two", "c1", namespace, options={"metric": "101"})
        before = self.net.host_state(), inside(namespace)
        self.refused(errno.ENOSPC, ("metric", "network one", "network two"), library, "three",
                     "c1", namespace, priority=5)
        self.assertEqual(before, (self.net.host_state(), inside(namespace)))
        self.assertEqual([100, 101, None], self.metrics(namespace))
        error = self.fails("attach", "three", "c1", "--netns", namespace.path,
                           "--gateway-priority", "5", mention="metric")
        self.assertNotIn("No space left", error)
        library.attach("three", "c1", namespace, priority=5, options={"metric": "50"})
        self.assertEqual([100, 101, 50], self.metrics(namespace))

    def test_none_free_below_one(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        library.attach("one", "c1", namespace, options={"metric": "1"})
        self.refused(errno.ENOSPC, "metric", library, "two", "c1", namespace, priority=10)
        library.attach("two", "c1", namespace)
        one, two, _ = self.metrics(namespace)
        self.assertEqual(1, one)
        self.assertGreater(two, 1)

    def test_option(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        answer = library.attach("one", "c1", namespace, options={"metric": "7"})
        self.assertEqual({"metric": "7"}, answer["options"])
        self.assertEqual([7, None, None], self.metrics(namespace))
        answer = library.attach("two", "c1", namespace, options={"metric": "7"})
        self.assertEqual({"metric": "8"}, answer["options"])
        self.assertEqual([7, 8, None], self.metrics(namespace))
        self.assertEqual({"metric": "8"}, oracle.endpoint(self.bn, "two", "c1")["options"])
        answer = library.attach("three", "c1", namespace, options={"metric": str(METRIC_MAX)})
        self.assertEqual([7, 8, METRIC_MAX], self.metrics(namespace))
        library.detach("one", "c1")
        library.attach("one", "c1", namespace, options={"metric": "7"})
        self.assertEqual([7, 8, METRIC_MAX], self.metrics(namespace))

    def test_options_by_words(self):
        namespace = self.attach("one", "c1", "--opt", "metric=7")
        self.join("two", namespace, "--opt", "default-route=no")
        self.assertEqual([7, None, None], self.metrics(namespace))
        self.fails("attach", "three", "c1", "--netns", namespace.path, "--opt", "metric=0",
                   mention="metric")

    def test_options_refused(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        for key, values in (("metric", ("0", "-1", "4294967296", "junk", "", "1.5", "0x10")),
                            ("default-route", ("maybe", "2", ""))):
            for value in values:
                with self.subTest(key=key, value=value):
                    self.refused(errno.EINVAL, (key, value), library, "one", "c1", namespace,
                                 options={key: value})
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_no_default_route(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        server = {family: self.keep(self.host.udp(family, 6001)) for family in FAMILIES}
        answer = library.attach("one", "c1", namespace, options={"default-route": "no"})
        self.assertEqual("no", answer["options"]["default-route"])
        self.assertEqual([None, None, None], self.metrics(namespace))
        for family in FAMILIES:
            self.assert_udp(namespace, gateway(1, family), 6001, server[family])
        self.join("two", namespace)
        self.assertEqual([None, 100, None], self.metrics(namespace))
        self.assert_way_out(namespace, self.outside())
        self.bn("detach", "two", "c1")
        self.assertEqual([None, None, None], self.metrics(namespace))
        library.detach("one", "c1")
        answer = library.attach("one", "c1", namespace, options={"default-route": "yes"})
        self.assertEqual([100, None, None], self.metrics(namespace))

    def test_one_visit(self):
        """An attach enters the sandbox once, however many endpoints there are."""
        namespace = self.net.endpoint("c1")
        for name in self.NAMES:
            # the leak checker would be a second tracer
            result = self.host.run("strace", "-f", "-qq", "-e", "trace=setns", "-E",
                                   "ASAN_OPTIONS=detect_leaks=0",
                                   *self.bn.argv("attach", name, "c1", "--netns", namespace.path))
            self.assertEqual(1, result.stderr.count("setns("), result.stderr)

    def test_families_of_their_own(self):
        """A family has the best of the endpoints that have it."""
        self.create("four", "--subnet", "172.30.4.0/24")
        namespace = self.join("four", self.net.endpoint("c1"), "--gateway-priority", "10")
        self.join("one", namespace)
        (best, one) = defaults(namespace, 4)
        self.assertEqual(("172.30.4.1", gateway(1, 4)), (best[1], one[1]))
        self.assertEqual([(one[0], gateway(1, 6), "eth1")], defaults(namespace, 6))
        self.assert_way_out(namespace, self.outside())


@for_each_backend
class Strangers(NetworksTest):
    """A default route that somebody else put there stays as it is."""

    FIRST = {4: "10.77.0.1", 6: "fd00:77::1"}

    def setUp(self):
        super().setUp()
        self.namespace = self.net.endpoint("c1")
        self.namespace.batch("link set lo up\n"
                             "link add s0 type veth peer name s1\n"
                             "link set s1 up\nlink set s0 up\n"
                             "addr add 10.77.0.2/24 dev s0\n"
                             "addr add fd00:77::2/64 dev s0 nodad\n")

    def put(self, family, metric, device="s0", via=None):
        flag = "-4" if family == 4 else "-6"
        extra = ("metric", str(metric)) if metric else ()
        self.namespace.run("ip", flag, "route", "add", "default", "via", via or self.FIRST[family],
                           "dev", device, *extra)

    def text(self, family):
        return self.namespace.run("ip", "-d", "-4" if family == 4 else "-6", "route", "show",
                                  "dev", "s0").stdout

    def check(self, family, metric):
        self.put(family, metric)
        before = {each: self.text(each) for each in FAMILIES}
        self.assertIn("default via", before[family])

        def untouched():
            for each in FAMILIES:
                self.assertEqual(before[each], self.text(each))

        self.join("one", self.namespace)
        untouched()
        one, _, _ = self.metrics(self.namespace)
        self.assertNotEqual(metric, one)
        self.join("two", self.namespace)
        untouched()
        one, two, _ = self.metrics(self.namespace)
        self.assertNotIn(metric, (one, two))
        self.assertLess(one, two)
        # who has the lowest number is obeyed
        (answer,) = self.namespace.ip("route", "get", self.net.address("remote", family))
        self.assertEqual("s0" if metric < one else "eth0", answer["dev"])
        self.bn("detach", "one", "c1")
        untouched()
        self.bn("detach", "two", "c1")
        untouched()
        self.namespace.run("ip", "-4" if family == 4 else "-6", "route", "flush", "default")

    def test_our_numbers(self):
        for family in FAMILIES:
            for metric in (100, 101):
                with self.subTest(family=family, metric=metric):
                    self.check(family, metric)

    def test_lower(self):
        for family, metric in ((4, 0), (4, 99), (6, 1), (6, 99)):
            with self.subTest(family=family, metric=metric):
                self.check(family, metric)

    def test_higher(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.check(family, 1024)

    def test_ours_is_next_to_it(self):
        """The number that the stranger has is passed over, for both families."""
        self.put(4, 100)
        self.join("one", self.namespace)
        self.assertEqual([101, None, None], self.metrics(self.namespace))
        self.assert_way_out(self.namespace, self.outside(), (6,))

    def test_of_the_other_family(self):
        """A number is free where only a family has it that the network lacks."""
        self.put(6, 100)
        self.create("four", "--subnet", "172.30.4.0/24")
        self.join("four", self.namespace)
        self.assertEqual([(100, "172.30.4.1", "eth0")], defaults(self.namespace, 4))

    def test_no_number_is_left(self):
        self.put(6, 100)
        library = self.library()
        library.attach("one", "c1", self.namespace, options={"metric": "101"})
        before = self.net.host_state(), inside(self.namespace)
        self.refused(errno.ENOSPC, "metric", library, "two", "c1", self.namespace, priority=1,
                     options={"metric": "100"})
        self.assertEqual(before, (self.net.host_state(), inside(self.namespace)))

    def test_put_there_later(self):
        """Before ours by its number, on our own interface: gone with that and no sooner."""
        self.join("one", self.namespace)
        self.put(4, 50, "eth0", "172.30.1.77")
        self.put(6, 50, "s0")
        self.join("two", self.namespace)
        self.assertIn((50, "172.30.1.77", "eth0"), defaults(self.namespace, 4))
        self.assertIn((50, self.FIRST[6], "s0"), defaults(self.namespace, 6))
        self.bn("detach", "two", "c1")
        self.assertIn((50, "172.30.1.77", "eth0"), defaults(self.namespace, 4))
        self.assertIn((50, self.FIRST[6], "s0"), defaults(self.namespace, 6))
        self.bn("detach", "one", "c1")
        self.assertEqual([], defaults(self.namespace, 4))
        self.assertEqual([(50, self.FIRST[6], "s0")], defaults(self.namespace, 6))


@for_each_backend
class Promoted(NetworksTest):
    """When the best goes, the kernel has the next one already."""

    def setUp(self):
        super().setUp()
        self.servers = self.outside()

    def test_linkdown_is_passed_over(self):
        namespace = self.attach("one", "c1")
        self.join("two", namespace)
        for family, device in itertools.product(FAMILIES, ("eth0", "eth1")):
            key = f"net/ipv{family}/conf/{device}/ignore_routes_with_linkdown"
            self.assertEqual("1", namespace.sysctl(key), key)
        for name in ("all", "default", "lo"):
            self.assertEqual("0", namespace.sysctl(
                f"net/ipv4/conf/{name}/ignore_routes_with_linkdown"))

    def test_first_packet_after_detach(self):
        for quick in (False, True):
            namespace = self.attach("one", "c1", "--gateway-priority", "10",
                                    namespace=self.net.endpoint("quick" if quick else "c1"))
            self.join("two", namespace)
            self.assert_way_out(namespace, self.servers)
            senders = {family: self.keep(namespace.udp(family)) for family in FAMILIES}
            if quick:
                self.library().detach("one", "c1", flags=DETACH_QUICK)
                self.carrier_gone(namespace)
            else:
                self.bn("detach", "one", "c1")
            for family in FAMILIES:
                with self.subTest(quick=quick, family=family):
                    senders[family].sendto(b"first", (self.net.address("remote", family), 6000))
                    self.assertEqual(b"first", self.servers[family].recv(64))
            self.bn("detach", "two", "c1")

    def test_link_cut_by_hand(self):
        namespace = self.attach("one", "c1", "--gateway-priority", "10")
        self.join("two", namespace)
        device = oracle.endpoint(self.bn, "one", "c1")["host_interface_name"]
        self.host.run("ip", "link", "set", device, "down", "nomaster")
        self.carrier_gone(namespace)
        self.assert_way_out(namespace, self.servers)

    def test_quick_detach_then_attach(self):
        """Ghosts of cut interfaces stay in the sandbox, and nothing goes by way of them."""
        library = self.library()
        inside = {family: self.keep(self.host.udp(family, 6001)) for family in FAMILIES}
        namespace = self.net.endpoint("c1")
        fixed = ("172.30.1.50", "fd00:31::50")
        for addresses in ((), (), fixed, fixed):
            library.attach("one", "c1", namespace, addresses=addresses)
            with self.subTest(addresses=addresses):
                for family in FAMILIES:
                    self.assert_udp(namespace, gateway(1, family), 6001, inside[family])
                self.assert_way_out(namespace, self.servers)
            library.detach("one", "c1", flags=DETACH_QUICK)
            self.carrier_gone(namespace)

    def test_ghosts_pile_up(self):
        """Between two that are near each other there is room for the next, again and again."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        library.attach("two", "c1", namespace)
        for i in range(10):
            library.attach("one", "c1", namespace, priority=1)
            self.assertEqual(gateway(1, 4), self.living(namespace)[0])
            library.detach("one", "c1", flags=DETACH_QUICK)
            self.carrier_gone(namespace)
        for i in range(2):
            library.attach("three", "c1", namespace, options={"metric": "99"})
            self.assertEqual(gateway(3, 4), self.living(namespace)[0])
            library.detach("three", "c1", flags=DETACH_QUICK)
            self.carrier_gone(namespace)

    def test_quick_detach_beside_a_sibling(self):
        """Nothing goes by way of a cut interface, and the number that it had is free at once."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        library.attach("one", "c1", namespace)
        seen = []
        for _ in range(12):
            library.attach("two", "c1", namespace, priority=1)
            seen.append(self.metrics(namespace))
            library.detach("two", "c1", flags=DETACH_QUICK)
            for family in FAMILIES:
                self.assertEqual([(100, gateway(1, family), "eth0")], defaults(namespace, family))
        self.assertEqual(seen[:1] * 12, seen)

    def living(self, namespace):
        """Gateways by interfaces that are not cut, the best first."""
        links = namespace.links()
        return [via for _, via, device in defaults(namespace, 4)
                if "LOWER_UP" in links[device]["flags"]]

    def test_quick_detach_then_attach_elsewhere(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        for name in ("one", "two", "three"):
            library.attach(name, "c1", namespace)
            self.assert_way_out(namespace, self.servers)
            library.detach(name, "c1", flags=DETACH_QUICK)
            self.carrier_gone(namespace)

    def test_known_by_descriptor(self):
        library = self.library()
        for by_path in ((), ("one",), ("two",)):
            with self.subTest(by_path=by_path):
                namespace = self.net.endpoint("fd")
                namespace.unlink()
                process = namespace.popen("sleep", "60")
                self.processes.append(process)
                for name, priority in (("one", 10), ("two", 0)):
                    path = f"/proc/{process.pid}/ns/net"
                    if name not in by_path:
                        path = f"/proc/{os.getpid()}/fd/{namespace.fd}"
                    library.attach(name, "c1", path, by_descriptor=name not in by_path,
                                   priority=priority)
                self.assertEqual(gateway(1, 4), defaults(namespace, 4)[0][1])
                self.bn("detach", "one", "c1")
                for family in FAMILIES:
                    ((_, via, device),) = defaults(namespace, family)
                    self.assertEqual((gateway(2, family), "eth1"), (via, device))
                self.assert_way_out(namespace, self.servers)
                self.bn("detach", "two", "c1")

    def test_path_is_gone(self):
        """Nobody can get in any more, and nobody has to."""
        namespace = self.attach("one", "c1", "--gateway-priority", "10")
        self.join("two", namespace)
        namespace.unlink()
        self.bn("detach", "one", "c1")
        self.assert_way_out(namespace, self.servers)


@for_each_backend
class AtOnce(NetworksTest):
    """Verbs side by side in one sandbox."""

    def test_two_attach(self):
        pair = self.library(), self.library()
        namespace = self.net.endpoint("c1")
        # it is one sandbox, whatever it is called
        paths = namespace.path, f"/proc/{os.getpid()}/fd/{namespace.fd}"
        for i in range(ROUNDS):
            priorities = (10, 0) if i % 2 else (0, 10)
            for library, name, priority, path in zip(pair, self.NAMES, priorities, paths):
                library.ask("attach", name, "c1", path=path, priority=priority)
            for library in pair:
                library.answer()
            best = 1 + priorities.index(10)
            for family in FAMILIES:
                found = defaults(namespace, family)
                self.assertEqual([gateway(best, family), gateway(3 - best, family)],
                                 [via for _, via, _ in found], f"round {i}: {found}")
                self.assertLess(found[0][0], found[1][0])
            for library, name in zip(pair, self.NAMES):
                library.ask("detach", name, "c1")
            for library in pair:
                library.answer()
            for family in FAMILIES:
                self.assertEqual([], defaults(namespace, family))

    def test_attach_beside_detach(self):
        pair = self.library(), self.library()
        namespace = self.net.endpoint("c1")
        old, new = "one", "two"
        pair[0].attach(old, "c1", namespace)
        for i in range(ROUNDS):
            pair[0].ask("detach", old, "c1")
            pair[1].ask("attach", new, "c1", path=namespace.path)
            for library in pair:
                library.answer()
            for family in FAMILIES:
                self.assertEqual([gateway(self.NAMES.index(new) + 1, family)],
                                 [via for _, via, _ in defaults(namespace, family)], f"round {i}")
            old, new = new, old
        self.assert_way_out(namespace, self.outside())

    def test_twenty_attach(self):
        names = [f"n{number}" for number in range(10, 30)]
        for number, name in enumerate(names, 10):
            self.create(name, "--subnet", subnet(number, 4), "--subnet", subnet(number, 6))
        namespace = self.net.endpoint("c1")
        priorities = [10] + [5] * 9 + [0] * 10
        random.Random(9).shuffle(priorities)
        processes = [self.bn.popen("attach", name, "c1", "--netns", namespace.path,
                                   "--gateway-priority", str(priority), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
                     for name, priority in zip(names, priorities)]
        for process in processes:
            _, errors = process.communicate()
            self.assertEqual((0, ""), (process.returncode, errors))
        for family in FAMILIES:
            found = defaults(namespace, family)
            priority = {gateway(10 + i, family): priorities[i] for i in range(20)}
            self.assertEqual(sorted(priorities, reverse=True),
                             [priority[via] for _, via, _ in found])
            self.assertEqual(20, len({metric for metric, _, _ in found}))
        self.assert_way_out(namespace, self.outside())


if __name__ == "__main__":
    unittest.main()
