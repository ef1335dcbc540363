# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks and endpoints that change while they stand."""
import itertools
import threading

from networks import subnet
from topology import FAMILIES, PATIENCE, KernelTest, for_each_backend

# What a network can be, each of which it can become from each other.
SETS = (
    (),
    ("source-ports=keep",),
    ("icc=no",),
    ("isolate=yes",),
    ("isolate=no", "icc=no"),
    ("gateway-mode-ipv4=nat-unprotected", "gateway-mode-ipv6=nat-unprotected"),
    ("gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed", "icc=no"),
    ("gateway-mode-ipv6=routed",),
    ("gateway-mode-ipv4=nat-unprotected", "isolate=no", "source-ports=keep"),
)
KEYS = sorted({option.split("=")[0] for options in SETS for option in options})


class UpdateTest(KernelTest):
    def make(self, name="red", number=1, *argv):
        self.create(name, *itertools.chain.from_iterable(("--subnet", subnet(number, family))
                                                         for family in FAMILIES), *argv)

    def update(self, name, *options):
        return self.bn("network", "update", name,
                       *itertools.chain.from_iterable(("--opt", option) for option in options))

    def options(self, name):
        return self.bn.json("network", "inspect", name)["options"]

    def rules(self, *argv):
        """Without counters and handles."""
        return self.bn("rules", *argv)

    def assert_as_planned(self):
        self.assertEqual(self.rules("--plan"), self.rules())

    def counters(self, name):
        """{the rule as it is without them: packets}"""
        return {tuple((key, value) for key, value in rule.items()
                      if key not in ("packets", "bytes", "handle")): rule["packets"]
                for rule in self.bn.json("rules", "-v", name)}

    def refused(self, mention, *argv):
        rules = self.rules()
        self.fails(*argv, mention=mention)
        self.assertEqual(rules, self.rules())


@for_each_backend
class Policies(UpdateTest):
    def test_each_from_each(self):
        """The rules are those of a network that was made so."""
        self.make()
        self.attach("red", "r1", "-p", "8080:80", "-p", "5353:53/udp")
        self.attach("red", "r2")
        for before, after in itertools.permutations(SETS, 2):
            with self.subTest(before=before, after=after):
                for options in (before, after):
                    given = dict(option.split("=") for option in options)
                    self.update("red", *(f"{key}={given.get(key, '')}" for key in KEYS))
                    self.assertEqual(given, self.options("red"))
                    self.assert_as_planned()

    def test_ports_that_name_something_of_the_host(self):
        """Where nothing of the host leads to an endpoint they would be there for nothing."""
        self.make()
        for port in ("127.0.0.1:5353:53/udp", "%eth0:8080:80"):
            self.attach("red", "r1", "-p", port)
            self.fails("network", "update", "red", "--opt", "gateway-mode-ipv4=routed",
                       mention=("r1", port.split("/")[0], "unpublish"))
            self.assert_as_planned()
            self.bn("detach", "red", "r1")

    def test_many_endpoints(self):
        """Those of every one of them, where they differ."""
        self.make()
        for number in range(12):
            self.attach("red", f"r{number}", "-p", f"{8100 + number}:80")
        for mode in ("nat-unprotected", "routed", "nat"):
            self.update("red", f"gateway-mode-ipv4={mode}", f"gateway-mode-ipv6={mode}")
            self.assert_as_planned()

    def test_adopted_bridge(self):
        self.host.run("ip", "link", "add", "old0", "type", "bridge")
        self.make("red", 1, "--bridge", "old0")
        self.attach("red", "r1", "-p", "8080:80")
        for options in SETS + ((),):
            given = dict(option.split("=") for option in options)
            self.update("red", *(f"{key}={given.get(key, '')}" for key in KEYS))
            self.assert_as_planned()
        self.bn("detach", "red", "r1")
        self.bn("network", "rm", "red")
        self.host.run("ip", "link", "del", "old0")

    def test_what_is_open_goes_on(self):
        """And what has counted goes on counting. What the change shuts out ends."""
        self.make()
        one, other = self.attach("red", "r1", "-p", "8080:80"), self.attach("red", "r2")
        for family in FAMILIES:
            with self.subTest(family=family):
                self.update("red", "icc=")
                inside = self.keep(one.listen(family, 80))
                self.assert_tcp(other, one.address(family), 80, inside, other.address(family))
                far = self.connect(self.remote, self.net.host_address(family), 8080)
                self.assertEqual(self.net.address("remote", family), self.converse(far, inside))
                server, before = self.server_side, self.counters("red")
                self.update("red", "icc=no", "source-ports=keep")
                far.sendall(b"more")
                self.assertEqual(b"more", server.recv(64))
                server.sendall(b"less")
                self.assertEqual(b"less", far.recv(64))
                after = self.counters("red")
                for rule, packets in before.items():
                    self.assertGreaterEqual(after.get(rule, packets), packets, rule)
                mapped = [rule for rule, packets in before.items()
                          if packets and ("target", "DNAT") in rule]
                self.assertTrue(mapped)
                self.assertLessEqual(set(mapped), set(after))
                self.assert_no_tcp(other, one.address(family), 80, inside)
                self.assert_tcp(self.remote, self.net.host_address(family), 8080, inside)
                self.update("red", "source-ports=")
                inside.close()

    def test_internal(self):
        """Shut, and open again, while nobody is there who has a default route."""
        self.make()
        for family in FAMILIES:
            with self.subTest(family=family):
                outside = self.keep(self.remote.listen(family, 5301))
                address = self.net.address("remote", family)
                self.update("red", "internal=yes")
                self.assert_as_planned()
                client = self.attach("red", "r1")
                self.assertEqual([], client.default_routes(family))
                self.assert_no_tcp(client, address, 5301, outside)
                self.refused(("internal", "endpoints"), "network", "update", "red", "--opt",
                             "internal=no")
                self.bn("detach", "red", "r1")
                self.update("red", "internal=no")
                self.assert_as_planned()
                self.assert_tcp(self.attach("red", "r1", namespace=client), address, 5301, outside)
                self.refused(("internal", "endpoints"), "network", "update", "red", "--opt",
                             "internal=yes")
                self.bn("detach", "red", "r1")

    def test_nothing_gets_in_between(self):
        """From the one to the other and back: what neither lets in is not let in meanwhile."""
        self.make()
        one = self.attach("red", "r1", "-p", "8080:80")
        servers = {family: self.keep(one.udp(family, 53)) for family in FAMILIES}
        for family in FAMILIES:
            self.remote.run("ip", "route", "replace", subnet(1, family), "via",
                            self.net.host_address(family))
            self.addCleanup(self.remote.run, "ip", "route", "del", subnet(1, family))
        stop = threading.Event()

        def ask(family):
            while not stop.is_set():
                with self.remote.udp(family) as client:
                    client.sendto(b"let me in", (one.address(family), 53))

        asking = [threading.Thread(target=ask, args=(family,)) for family in FAMILIES]
        for thread in asking:
            thread.start()
        try:
            for _ in range(15):
                self.update("red", "gateway-mode-ipv4=routed", "gateway-mode-ipv6=routed", "icc=no")
                self.update("red", "gateway-mode-ipv4=", "gateway-mode-ipv6=", "icc=", "isolate=no")
                self.update("red", "isolate=")
        finally:
            stop.set()
            for thread in asking:
                thread.join()
        for family in FAMILIES:
            self.assert_silent(servers[family])
            # and would be heard
            self.update("red", f"gateway-mode-ipv{family}=nat-unprotected")
            with self.remote.udp(family) as client:
                client.sendto(b"let me in", (one.address(family), 53))
                servers[family].settimeout(PATIENCE)
                self.assertEqual(b"let me in", servers[family].recv(64))


@for_each_backend
class Judged(UpdateTest):
    def test_not_live(self):
        self.make()
        self.attach("red", "r1", "-p", "8080:80")
        for option, mention in (("bridge-address-ipv4=no", "bridge-address-ipv4"),
                                ("managed=no", "managed"),
                                ("internal=yes", ("internal", "8080:80/tcp")),
                                ("bridge=other0", ("bridge", "other0")),
                                ("ipv6=no", "IPv6")):
            with self.subTest(option):
                self.refused(mention, "network", "update", "red", "--opt", option)
        # what is so already is no change
        self.update("red", "bridge-address-ipv4=yes", "managed=yes", "internal=no", "ipv6=yes",
                    f"bridge={self.bn.json('network', 'inspect', 'red')['bridge']}")

    def test_isolated(self):
        self.make()
        self.refused("gateway-mode-ipv4", "network", "update", "red", "--opt", "internal=yes",
                     "--opt", "gateway-mode-ipv4=isolated")
        self.bn("network", "rm", "red")
        self.make("red", 1, "--opt", "internal=yes", "--opt", "gateway-mode-ipv4=isolated")
        self.refused("gateway-mode-ipv4", "network", "update", "red", "--opt",
                     "gateway-mode-ipv4=nat")

    def test_bad_input(self):
        self.make("red", 1, "--opt", "icc=no")
        self.attach("red", "r1")
        for argv in (("network", "update", "red", "--opt", "nonsense=1"),
                     ("network", "update", "red", "--opt", "nonsense="),
                     ("network", "update", "red", "--opt", "icc=maybe"),
                     ("network", "update", "red", "--opt", "snat-ipv4=192.0.2.1", "--opt",
                      "masquerade=no"),
                     ("network", "update", "host", "--opt", "label.x=1"),
                     ("network", "update", "bridge", "--opt", "label.x=1"),
                     ("network", "update", "nobody", "--opt", "label.x=1"),
                     ("endpoint", "update", "red", "r1", "--opt", "icc=no"),
                     ("endpoint", "update", "red", "r1", "--opt", "hostname=-"),
                     ("endpoint", "update", "red", "r2", "--opt", "label.x=1")):
            with self.subTest(argv):
                self.refused((), *argv)
        self.assertEqual({"icc": "no"}, self.options("red"))

    def test_labels(self):
        self.make("red", 1, "--opt", "label.a=1", "--opt", "label.b=2")
        self.update("red", "label.a=", "label.c=3")
        self.assertEqual({"label.b": "2", "label.c": "3"}, self.options("red"))
        self.attach("red", "r1", "--label", "a=1", "--opt", "alias.db")
        self.bn("endpoint", "update", "red", "r1", "--label", "b=2", "--opt", "label.a=",
                "--opt", "alias.web", "--opt", "alias.db=no")
        made = next(entry for entry in self.bn.json("ps") if entry["endpoint"] == "r1")
        self.assertEqual({"label.b": "2", "alias.web": ""}, made["options"])

    def test_aliases_of_options(self):
        """Docker's names, and other words for yes and no."""
        self.make()
        self.update("red", "com.docker.network.bridge.enable_icc=false")
        self.assertEqual({"icc": "no"}, self.options("red"))
        self.update("red", "icc=1")
        self.assertEqual({"icc": "yes"}, self.options("red"))
        self.assert_as_planned()

    def test_by_id(self):
        self.make()
        network = self.bn.json("network", "inspect", "red")["id"]
        self.update(network[:12], "label.x=1")
        self.assertEqual({"label.x": "1"}, self.options("red"))
        self.refused("too short", "network", "update", network[:8], "--opt", "label.x=2")

    def test_flushed(self):
        """Somebody has taken all rules out: they come back as they are to be."""
        self.make()
        self.attach("red", "r1", "-p", "8080:80")
        self.oracle.flush()
        self.update("red", "icc=no")
        self.assert_as_planned()
