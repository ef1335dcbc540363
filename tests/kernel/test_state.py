# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state against the world: other namespaces, numbers given again, things named twice."""
import oracle
from topology import Bn, KernelTest, for_each_backend


@for_each_backend
class State(KernelTest):
    def test_another_namespace_is_refused(self):
        """What is deleted from elsewhere would stand here for ever."""
        self.create()
        self.attach("net", "c1", "-p", "8080:80")
        elsewhere = self.net.endpoint("elsewhere")
        before = self.net.host_state()
        for argv in (("detach", "net", "c1"), ("network", "rm", "net"), ("rules",),
                     ("network", "create", "other")):
            result = elsewhere.run(*self.bn.argv(*argv), check=False)
            self.assertEqual(1, result.returncode, argv)
            self.assertIn("another network namespace", result.stderr)
        self.assertEqual(before, self.net.host_state())
        self.assertEqual(["c1"], [entry["endpoint"] for entry in oracle.endpoints(self.bn)])

    def test_state_is_free_again_when_empty(self):
        self.create()
        self.bn("network", "rm", "net")
        elsewhere = self.net.endpoint("elsewhere")
        elsewhere.run(*self.bn.argv("network", "create", "net"))
        elsewhere.run(*self.bn.argv("network", "rm", "net"))

    def test_two_states_with_networks_of_one_name(self):
        """Neither takes away what the other needs."""
        other = Bn(self.host, self.net.state + "/other", self.backend)
        self.create("net", "--subnet", "172.30.0.0/24")
        other("network", "create", "net", "--subnet", "172.31.0.0/24")
        first = self.attach("net", "c1", "-p", "8080:80")
        second = self.net.endpoint("second")
        other("attach", "net", "c1", "--netns", second.path, "-p", "8081:80")
        listeners = [self.serve(namespace, 80, (4,))[4] for namespace in (first, second)]
        for port, listener in zip((8080, 8081), listeners):
            self.assert_tcp(self.remote, self.net.host_address(4), port, listener)
        result = other.result("publish", "net", "c1", "-p", "8080:80")
        self.assertEqual(1, result.returncode)
        self.assertIn("8080", result.stderr)
        self.assertEqual([], self.remove_all())
        self.assert_tcp(self.remote, self.net.host_address(4), 8081, listeners[1])
        self.remote.batch("route add 172.31.0.0/24 via 192.0.2.1\n")
        self.assert_no_tcp(self.remote, second.address(4), 80, listeners[1])
        self.remote.batch("route del 172.31.0.0/24\n")
        other("detach", "net", "c1")
        other("network", "rm", "net")

    def test_namespace_number_given_again(self):
        """A namespace that died with its endpoint attached is no sibling of the next."""
        self.create()
        for number in range(3):
            namespace = self.attach("net", f"c{number}")
            self.assertTrue(namespace.link("eth0"))
            self.assertEqual(1, len(namespace.default_routes(4)))
            namespace.delete()
            self.net.endpoints.remove(namespace)
            self.net.namespaces.remove(namespace)

    def test_named_twice(self):
        self.create()
        self.attach("net", "c1", "-p", "8080:80", "-p", "8081:80/udp")
        self.bn("unpublish", "net", "c1", "-p", "8080:80", "-p", "8081:80/udp", "-p", "8080:80")
        self.assertEqual([], oracle.endpoints(self.bn)[0]["ports"])
        self.bn("detach", "net", "c1", "c1")
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_unpublish_what_is_not(self):
        self.create()
        self.attach("net", "c1", "-p", "8080:80")
        self.fails("unpublish", "net", "c1", "-p", "81", mention="81")
        self.fails("unpublish", "net", "c1", "-p", "8080:81", mention="8080")
        self.bn("unpublish", "net", "c1", "-p", "80")

    def test_default_bridge_name_held_by_another_network(self):
        self.create("other", "--bridge", "bn0", "--subnet", "10.9.0.0/24")
        self.host.run("ip", "link", "del", "bn0")
        self.attach("bridge", "c1")
        bridges = {entry["name"]: entry["bridge"] for entry in oracle.networks(self.bn)}
        self.assertEqual(("bn0", "bn1"), (bridges["other"], bridges["bridge"]))

    def test_failed_create_leaves_forwarding_to_others(self):
        self.host.sysctl("net/ipv4/ip_forward", 0)
        self.create()
        self.fails("network", "create", "bad", "--bridge", "lo", mention="lo")
        self.assertEqual("1", self.host.sysctl("net/ipv4/ip_forward"))
