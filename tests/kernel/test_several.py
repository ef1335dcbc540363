# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several endpoints of one namespace in one call: in order, all or none."""
import errno

import oracle
from library import Failed
from networks import NetworksTest, defaults, gateway, inside
from topology import FAMILIES, for_each_backend

SAME_NETWORK = 0x8


@for_each_backend
class Several(NetworksTest):
    def test_in_order(self):
        """As if one after another, and so listed; everything of each works."""
        library = self.library()
        servers = self.outside()
        namespace = self.net.endpoint("c1")
        made = library.attach_all(namespace, "two", "three", "one", one={"priority": 5},
                                  two={"ports": ["8080:80"]}, three={"ports": ["8081:80/tcp"]})
        self.assertEqual([("two", "eth0"), ("three", "eth1"), ("one", "eth2")],
                         [(one["network"], one["interface"]) for one in made])
        for family in FAMILIES:
            self.assertEqual([gateway(number, family) for number in (1, 2, 3)],
                             [via for _, via, _ in defaults(namespace, family)])
        served = self.serve(namespace, 80)
        for family in FAMILIES:
            for port in (8080, 8081):
                self.assert_tcp(self.remote, self.net.host_address(family), port, served[family])
        self.assert_way_out(namespace, servers)
        for name in self.NAMES:
            self.assertEqual("running", oracle.endpoint(self.bn, name, "c1")["state"])
            library.detach(name, "c1")
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_ports_that_are_picked(self):
        """Two that pick get different ones."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        library.attach_all(namespace, *self.NAMES, **{name: {"ports": ["80", "81/udp"]}
                                                      for name in self.NAMES})
        ports = [(port["protocol"], port["host_port"]) for name in self.NAMES
                 for port in oracle.endpoint(self.bn, name, "c1")["ports"]]
        self.assertEqual(6, len(set(ports)))

    def test_all_or_none(self):
        """Whichever fails, and however late, nothing is left of the others."""
        library = self.library()
        self.attach("three", "taken", "-p", "9000:80", "--ip", "172.30.3.77")
        namespace = self.net.endpoint("c1")
        namespace.batch("link add uplink0 type bridge\nlink set lo up\n"
                        "route add blackhole 10.99.0.0/16\n")
        before, host = inside(namespace), self.net.host_state()
        for wrong, code in (({"ports": ["9000:81"]}, errno.EADDRINUSE),
                            ({"addresses": ["172.30.3.77"]}, errno.EADDRINUSE),
                            ({"options": {"interface-name": "uplink0"}}, errno.EEXIST),
                            ({"options": {"no-such": "1"}}, errno.ENOTSUP),
                            ({"routes": [["blackhole", "10.99.0.0/16", None, 0]]}, errno.EEXIST)):
            with self.subTest(wrong=wrong):
                with self.assertRaises(Failed) as caught:
                    library.attach_all(namespace, *self.NAMES, three=wrong,
                                       one={"ports": ["9001:80"],
                                            "routes": [["blackhole", "10.1.0.0/16", None, 0]]})
                self.assertEqual(code, caught.exception.errno, caught.exception)
                self.assertEqual(before, inside(namespace))
                self.assertEqual(host, self.net.host_state())
        made = library.attach_all(namespace, *self.NAMES, one={"ports": ["9001:80"]})
        self.assertEqual(3, len(made))

    def test_name_in_use_is_passed_over(self):
        """A stranger has the name that the second would get."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        namespace.run("ip", "link", "add", "eth1", "type", "bridge")
        made = library.attach_all(namespace, *self.NAMES)
        self.assertEqual(["eth0", "eth2", "eth3"], [one["interface"] for one in made])

    def test_one_namespace(self):
        library = self.library()
        namespace, other = self.net.endpoint("c1"), self.net.endpoint("c2")
        with self.assertRaises(Failed) as caught:
            library.attach_all(namespace, "one", "two", two={"path": other.path})
        self.assertEqual(errno.EINVAL, caught.exception.errno)
        for text in (namespace.path, other.path):
            self.assertIn(text, str(caught.exception))
        self.assertEqual({"lo"}, set(namespace.links()))

    def test_twice_on_one_network(self):
        library = self.library()
        namespace = self.net.endpoint("c1")
        specs = {"one": {}, "two": {"network": "one", "endpoint": "again"}}
        with self.assertRaises(Failed) as caught:
            library.attach_all(namespace, "one", "two", **specs)
        self.assertEqual(errno.EEXIST, caught.exception.errno)
        self.assertEqual({"lo"}, set(namespace.links()))
        made = library.attach_all(namespace, "one", "two", flags=SAME_NETWORK, **specs)
        self.assertEqual(["eth0", "eth1"], [one["interface"] for one in made])

    def test_default_network_is_made(self):
        """Together with what is on others; and goes again with them when one fails."""
        library = self.library()
        namespace = self.net.endpoint("c1")
        before, host = inside(namespace), self.net.host_state()
        for place in range(3):
            names = ["one", "two"]
            names.insert(place, "bridge")
            with self.subTest(names=names):
                with self.assertRaises(Failed):
                    library.attach_all(namespace, *names, "three",
                                       three={"addresses": ["10.1.1.1"]})
                self.assertEqual(before, inside(namespace))
                self.assertEqual(host, self.net.host_state())
        namespace.run("ip", "link", "add", "uplink0", "type", "bridge")
        with self.assertRaises(Failed):
            library.attach_all(namespace, "one", "bridge", "two",
                               two={"options": {"interface-name": "uplink0"}})
        self.assertEqual(host, self.net.host_state())
        made = library.attach_all(namespace, "one", "bridge", "two")
        self.assertEqual(["one", "bridge", "two"], [one["network"] for one in made])
        for name in ("one", "bridge", "two"):
            library.detach(name, "c1")
        self.bn("network", "rm", "bridge")

    def test_none(self):
        library = self.library()
        self.assertEqual([], library.attach_all(self.net.endpoint("c1")))

    def test_by_the_command(self):
        """Options are about the network that stands before them; the namespace is that of all."""
        namespace = self.net.endpoint("c1")
        before = inside(namespace)
        attach = ("attach", "two", "c1", "--netns", namespace.path, "--ip", "172.30.2.9",
                  "-p", "8080:80", "--network", "three", "--network", "one",
                  "--gateway-priority", "5", "--ip")
        refused = self.bn.result(*attach, "172.30.2.9")
        self.assertEqual(1, refused.returncode)
        self.assertIn("172.30.2.9", refused.stderr)
        self.assertEqual(before, inside(namespace))
        made = self.bn.json(*attach, "172.30.1.9")
        self.assertEqual([("two", "eth0"), ("three", "eth1"), ("one", "eth2")],
                         [(one["network"], one["interface_name"]) for one in made])
        self.assertIn("172.30.2.9/24", made[0]["addresses"])
        self.assertIn("172.30.1.9/24", made[2]["addresses"])
        self.assertEqual([1, 0, 0], [len(one["ports"]) for one in made])
        for family in FAMILIES:
            self.assertEqual(gateway(1, family), defaults(namespace, family)[0][1])
        usage = self.bn.result("attach", "two", "c2", "--netns", namespace.path, "-p", "81:81",
                               "--network", "one", "--port-opt", "allow-from=10.0.0.0/8")
        self.assertEqual(2, usage.returncode)
