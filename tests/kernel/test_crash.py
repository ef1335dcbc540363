# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at every step, and many processes at once."""
import random
import signal
import subprocess
import time
import unittest

import oracle
from killing import KillingTest
from topology import KernelTest, for_each_backend


@for_each_backend
class Killed(KillingTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.net.endpoint("c1")
        self.attach_c1 = ("attach", "net", "c1", "--netns", self.namespace.path, "--ip",
                          "172.30.0.9", "-p", "8080:80", "-p", "8053:53/udp")
        self.settled = self.net.host_state()

    def kill_everywhere(self, prepare, argv, settle):
        """Kill argv at each point; settle() must be able to put things in order, alone."""
        prepare()
        points = list(self.points(argv))
        settle()
        self.assertGreater(len(points), 5)
        killed = 0
        for call, n in points:
            with self.subTest(command=argv[0], call=call, n=n):
                prepare()
                result = self.kill(argv, call, n)
                killed += result.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
                settle()
        # a first run does some things that later ones need not do
        self.assertGreater(killed, len(points) // 3)

    def test_attach(self):
        def settle():
            result = self.bn.result(*self.attach_c1)
            if result.returncode:
                self.assertIn("c1", result.stderr)
            self.assertEqual(["172.30.0.9/24"], self.namespace.addresses("eth0", 4))
            self.assertEqual(4, len(self.oracle.ports()))
            self.bn("detach", "net", "c1")
            self.assertEqual({"lo"}, set(self.namespace.links()))
            self.assertEqual(self.settled, self.net.host_state())

        self.kill_everywhere(lambda: None, self.attach_c1, settle)

    def test_detach(self):
        def settle():
            result = self.bn.result("detach", "net", "c1")
            if result.returncode:
                self.assertIn("c1", result.stderr)
            self.assertEqual([], oracle.endpoints(self.bn))
            self.assertEqual({"lo"}, set(self.namespace.links()))
            self.assertEqual(self.settled, self.net.host_state())

        self.kill_everywhere(lambda: self.bn(*self.attach_c1), ("detach", "net", "c1"), settle)

    def test_publish(self):
        self.attach("net", "c1", namespace=self.namespace)
        attached = self.net.host_state()
        publish = ("net", "c1", "-p", "8080-8083:80-83", "-p", "8053:53/udp")

        def settle():
            result = self.bn.result("publish", *publish)
            if result.returncode:
                self.assertIn("c1", result.stderr)
            self.assertEqual(10, len(self.oracle.ports()))
            self.bn("unpublish", *publish)
            self.assertEqual(attached, self.net.host_state())

        self.kill_everywhere(lambda: None, ("publish",) + publish, settle)

    def test_unpublish(self):
        self.attach("net", "c1", namespace=self.namespace)
        attached = self.net.host_state()
        publish = ("net", "c1", "-p", "8080-8083:80-83", "-p", "8053:53/udp")

        def settle():
            result = self.bn.result("unpublish", *publish)
            if result.returncode:
                self.assertIn("8080", result.stderr)
            self.assertEqual({}, self.oracle.ports())
            self.assertEqual(attached, self.net.host_state())

        self.kill_everywhere(lambda: self.bn("publish", *publish), ("unpublish",) + publish,
                             settle)

    def test_create(self):
        create = ("network", "create", "two", "--subnet", "172.30.2.0/24", "--subnet",
                  "fd00:32::/64")

        def settle():
            result = self.bn.result(*create)
            if result.returncode:
                self.assertIn("two", result.stderr)
            bridge = oracle.network(self.bn, "two")["bridge"]
            self.assertEqual(["172.30.2.1/24"], self.host.addresses(bridge, 4))
            self.bn("network", "rm", "two")
            self.assertEqual(self.settled, self.net.host_state())

        self.kill_everywhere(lambda: None, create, settle)

    def test_remove(self):
        def settle():
            result = self.bn.result("network", "rm", "two")
            if result.returncode:
                self.assertIn("two", result.stderr)
            self.assertEqual(self.settled, self.net.host_state())

        self.kill_everywhere(lambda: self.create("two", "--subnet", "172.30.2.0/24"),
                             ("network", "rm", "two"), settle)

    def test_first_and_last(self):
        """The tables, too, come with the first network and go with the last."""
        self.bn("network", "rm", "net")
        self.assertEqual([], self.left_over())
        create = ("network", "create", "net", "--subnet", "172.30.0.0/24")

        def settle():
            self.bn.result(*create)
            self.bn("network", "rm", "net")
            self.assertEqual([], self.left_over())

        self.kill_everywhere(lambda: None, create, settle)

    def test_at_random_moments(self):
        seed = int(time.time())
        moment = random.Random(seed)
        state = self.settled
        for round_ in range(30):
            for argv in (self.attach_c1, ("publish", "net", "c1", "-p", "9000:90"),
                         ("detach", "net", "c1")):
                process = self.bn.popen(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.processes.append(process)
                time.sleep(moment.uniform(0, 0.05))
                process.kill()
                process.wait()
                if moment.random() < 0.2:
                    self.bn("network", "ls")
            with self.subTest(seed=seed, round=round_):
                self.bn.result("detach", "net", "c1")
                self.assertEqual([], oracle.endpoints(self.bn))
                self.assertEqual({"lo"}, set(self.namespace.links()))
                self.assertEqual(state, self.net.host_state())


@for_each_backend
class AtOnce(KernelTest):
    def at_once(self, commands):
        """Start them all, wait for all; [(exit status, standard error)]."""
        processes = [self.bn.popen(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                     for argv in commands]
        self.processes += processes
        return [(process.wait(), process.stderr.read()) for process in processes]

    def assert_all(self, results):
        self.assertEqual([], [result for result in results if result != (0, "")])

    def test_two_attach_fifty_each(self):
        self.create(dual=True)
        namespaces = [[self.net.endpoint(f"{side}{i}") for i in range(50)] for side in "ab"]
        for pair in zip(*namespaces):
            roles = [namespace.name.rsplit("-", 1)[1] for namespace in pair]
            self.assert_all(self.at_once(
                ("attach", "net", role, "--netns", namespace.path)
                for role, namespace in zip(roles, pair)))
        shown = oracle.endpoints(self.bn)
        self.assertEqual(100, len(shown))
        for family in (0, 1):
            self.assertEqual(100, len({entry["addresses"][family] for entry in shown}))
        for namespace in namespaces[0][:5] + namespaces[1][45:]:
            role = namespace.name.rsplit("-", 1)[1]
            self.assertEqual(namespace.addresses("eth0", 4) + namespace.addresses("eth0", 6),
                             oracle.endpoint(self.bn, "net", role)["addresses"])
        self.bn("detach", "net", *(entry["endpoint"] for entry in shown))
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_eight_publish_one_port(self):
        self.create(dual=True)
        for i in range(8):
            self.attach("net", f"c{i}")
        for port in (8080, 8081, 8082):
            results = self.at_once(("publish", "net", f"c{i}", "-p", f"{port}:80")
                                   for i in range(8))
            winners = [i for i, (status, _) in enumerate(results) if status == 0]
            self.assertEqual(1, len(winners), results)
            for status, error in results:
                if status:
                    self.assertEqual(1, status)
                    self.assertRegex(error, r"\Abn: [^\n]*" + str(port) + r"[^\n]*\n\Z")
            namespace = self.net.endpoints[winners[0]]
            self.assertEqual((namespace.address(4), 80),
                             self.oracle.ports()[4, "tcp", "", port][:2])

    def test_eight_make_one_name(self):
        results = self.at_once(("network", "create", "net") for _ in range(8))
        self.assertEqual([0] + 7 * [1], sorted(status for status, _ in results), results)
        bridges = [name for name, link in self.host.links().items()
                   if str(link.get("ifalias", "")).startswith("bridgenet:")]
        self.assertEqual([oracle.network(self.bn, "net")["bridge"]], bridges)

    def test_eight_make_networks(self):
        self.assert_all(self.at_once(("network", "create", f"n{i}", "--ipv6") for i in range(8)))
        for index in (0, 1):
            subnets = {oracle.network(self.bn, f"n{i}")["subnets"][index]["subnet"]
                       for i in range(8)}
            self.assertEqual(8, len(subnets))
        self.assert_all(self.at_once(("network", "rm", f"n{i}") for i in range(8)))
        self.assertEqual([], self.left_over())

    def test_eight_use_bridge_first(self):
        namespaces = [self.net.endpoint(f"c{i}") for i in range(8)]
        self.assert_all(self.at_once(("attach", "bridge", f"c{i}", "--netns", namespace.path)
                                     for i, namespace in enumerate(namespaces)))
        addresses = {namespace.address(4) for namespace in namespaces}
        self.assertEqual({f"172.17.0.{i}" for i in range(2, 10)}, addresses)

    def test_one_endpoint_by_eight(self):
        self.create()
        namespaces = [self.net.endpoint(f"c{i}") for i in range(8)]
        results = self.at_once(("attach", "net", "c", "--netns", namespace.path)
                               for namespace in namespaces)
        self.assertEqual([0] + 7 * [1], sorted(status for status, _ in results), results)
        joined = [namespace for namespace in namespaces if "eth0" in namespace.links()]
        self.assertEqual(1, len(joined))
        results = self.at_once(("detach", "net", "c") for _ in range(8))
        self.assertEqual(0, min(status for status, _ in results))
        self.assertEqual({"lo"}, set(joined[0].links()))

    def test_attach_and_remove_at_once(self):
        """Whoever is first, the other is refused, or both are done in order."""
        for round_ in range(6):
            self.create("net", "--subnet", "172.30.0.0/24")
            namespace = self.net.endpoint(f"r{round_}")
            self.at_once((("attach", "net", "c", "--netns", namespace.path),
                          ("network", "rm", "net")))
            names = [entry["name"] for entry in oracle.networks(self.bn)]
            if "net" in names:
                self.assertIn("eth0", namespace.links())
                self.assertEqual([], self.remove_all())
            else:
                self.assertEqual({"lo"}, set(namespace.links()))
            self.assertEqual([], self.left_over())


if __name__ == "__main__":
    unittest.main()
