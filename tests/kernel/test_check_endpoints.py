# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody has done to links, sandboxes and what is in them: check says it, repair puts it
right, and what is right is left alone."""
import json
import re
import socket
import time

import oracle
from library import DELETE_ENDPOINTS
from networks import NetworksTest, defaults, inside, subnet
from test_ways_live import Pulse
from topology import BACKENDS, FAMILIES, PATIENCE, for_backend, for_each_backend, wait_until

SO_RCVBUFFORCE = 33
SEVERITY_OPEN = 3

# what the endpoints' part of check says
OURS = re.compile(r"(link|interface|route|sandbox)-|address-missing")
# what the kernel gives to IPv6 by itself, and takes its time for
KERNEL = re.compile(r"fe80:|ff00:")


def bare(text):
    """What `ip` says, less numbers that a link made anew has others of, and times."""
    return re.sub(r"^\d+: |@if\d+|link-netnsid \d+|valid_lft \S+ preferred_lft \S+|16441\d+", "",
                  text, flags=re.M)


class CheckTest(NetworksTest):
    def ask(self, *argv):
        result = self.bn.result("--json", *argv)
        self.assertIn(result.returncode, (0, 3), result.stderr)
        answer = json.loads(result.stdout)
        self.assertEqual(answer["ok"], result.returncode == 0)
        return answer["findings"], result.stderr

    def found(self, *argv):
        """[(code, endpoint, is, should_be)]"""
        findings, _ = self.ask("check", *argv)
        return sorted((finding["code"], finding["endpoint"], finding["is"], finding["should_be"])
                      for finding in findings if OURS.match(finding["code"]))

    def codes(self, *argv):
        return sorted({code for code, *_ in self.found(*argv)})

    def host_end(self, network="one", endpoint="c1"):
        ident = oracle.network(self.bn, network)["id"][:12]
        return next(name for name, link in self.host.links().items()
                    if link.get("ifalias") == f"bridgenet:{ident}/{endpoint}" and
                    link["linkinfo"]["info_kind"] == "veth")

    def look(self, *namespaces):
        """All that the kernel shows of the endpoints, for comparing."""
        ports = {}
        for name, link in self.host.links().items():
            if str(link.get("ifalias", "")).startswith("bridgenet:"):
                data = link["linkinfo"].get("info_slave_data", {})
                ports[name] = (link["ifalias"], link["mtu"], link["address"], link.get("master"),
                               "UP" in link["flags"], link["qdisc"],
                               [data.get(flag) for flag in ("isolated", "locked", "hairpin",
                                                            "learning")])
        return ports, [sorted(line.strip() for text in inside(namespace)
                              for line in bare(text).splitlines() if not KERNEL.search(line))
                       for namespace in namespaces]

    def repair(self, *argv, left=()):
        """All that was found, or but for that; nothing is left to find after it."""
        before, _ = self.ask("check", *argv)
        self.assertEqual(before, self.ask("repair", "--plan", *argv)[0])
        findings, log = self.ask("repair", *argv)
        stays = sorted({finding["code"] for finding in findings if not finding["repaired"] and
                        OURS.match(finding["code"])})
        self.assertEqual(sorted(left), stays, log)
        self.assertEqual(sorted(left), self.codes(*argv))
        return findings

    def serve_all(self, namespace, port=80):
        self.listeners = {family: self.keep(namespace.listen(family, port))
                          for family in FAMILIES}

    def assert_served(self, port=8080):
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), port,
                            self.listeners[family])


@for_each_backend
class Damages(CheckTest):
    """Each, one after another, on an endpoint that is published and goes out; and all together."""

    def setUp(self):
        super().setUp()
        self.first = self.attach("one", "c1", "-p", "8080:80", "--route",
                                 "10.9.0.0/16=172.30.1.77", "--route", "blackhole,10.8.0.0/16")
        self.second = self.attach("one", "c2")
        self.serve_all(self.first)
        self.servers = self.outside()
        self.name = self.host_end()
        self.bridge = oracle.network(self.bn, "one")["bridge"]
        self.assertEqual([], self.found())

    def ip(self, text, namespace=None):
        (namespace or self.host).batch(text.format(name=self.name))

    def damages(self):
        """(codes that are found of it, how it is done)"""
        return {
            "veth down": (["link-down"], lambda: self.ip("link set {name} down")),
            "off its bridge": (["link-off-bridge"], lambda: self.ip("link set {name} nomaster")),
            "on another": (["link-off-bridge"], self.put_on_another),
            "renamed": (["link-renamed"], lambda: self.ip("link set {name} name renamed")),
            "alias": (["link-changed"], lambda: self.ip("link set {name} alias mine")),
            "without alias": (["link-changed"],
                              lambda: self.host.run("ip", "link", "set", self.name, "alias", "")),
            "renamed, without alias": (["link-changed", "link-renamed"],
                                       lambda: self.ip("link set {name} name renamed\n"
                                                       "link set renamed alias mine")),
            "MTU": (["link-changed"], lambda: self.ip("link set {name} mtu 1400")),
            "port": (["link-changed"],
                     lambda: self.ip("link set {name} type bridge_slave hairpin off isolated on")),
            "deleted": (["link-missing"], lambda: self.ip("link del {name}")),
            "deleted inside": (["link-missing"], lambda: self.ip("link del eth0", self.first)),
            "down inside": (["address-missing", "interface-down", "route-missing"],
                            lambda: self.ip("link set eth0 down", self.first)),
            "renamed inside": (["interface-renamed"],
                               lambda: self.ip("link set eth0 name lan", self.first)),
            "MAC": (["interface-changed"],
                    lambda: self.ip("link set eth0 address 02:00:00:00:77:77", self.first)),
            "MTU inside": (["interface-changed"],
                           lambda: self.ip("link set eth0 mtu 1300", self.first)),
            "too small for IPv6": (["address-missing", "interface-changed", "route-missing"],
                                   lambda: self.ip("link set eth0 mtu 1000", self.first)),
            "accept_ra": (["interface-changed"],
                          lambda: self.first.sysctl("net/ipv6/conf/eth0/accept_ra", 2)),
            "disable_ipv6": (["address-missing", "interface-changed", "route-missing"],
                             lambda: self.first.sysctl("net/ipv6/conf/eth0/disable_ipv6", 1)),
            "addresses": (["address-missing", "route-missing"],
                          lambda: self.ip("addr flush dev eth0 scope global", self.first)),
            "default routes": (["route-missing"], self.drop_defaults),
            "routes": (["route-missing"],
                       lambda: self.ip("route del 10.9.0.0/16\nroute del blackhole 10.8.0.0/16",
                                       self.first)),
        }

    def drop_defaults(self):
        for flag in ("-4", "-6"):
            self.first.run("ip", flag, "route", "del", "default")

    def put_on_another(self):
        self.host.batch(f"link set {self.name} master "
                        f"{oracle.network(self.bn, 'two')['bridge']}")

    def check_works(self):
        self.assert_served()
        self.assert_way_out(self.first, self.servers)
        server = self.keep(self.second.udp(4, 7000))
        self.assert_udp(self.first, self.second.address(4), 7000, server)
        server.close()

    def test_each(self):
        before = self.look(self.first, self.second)
        index = self.second.link("eth0")["ifindex"]
        for what, (codes, damage) in self.damages().items():
            with self.subTest(what):
                damage()
                self.assertEqual(codes, self.codes())
                self.assertEqual({"c1"}, {endpoint for _, endpoint, *_ in self.found()})
                self.assertEqual(codes, self.codes("one", "c1"))
                self.assertEqual(codes, self.codes("one"))
                self.assertEqual([], self.codes("one", "c2"))
                self.assertEqual([], self.codes("two"))
                self.repair()
                self.assertEqual(before, self.look(self.first, self.second))
                self.check_works()
        self.assertEqual(index, self.second.link("eth0")["ifindex"])
        self.assertEqual([], self.ask("repair")[0])

    def test_by_itself(self):
        """One endpoint is put right, the other is nobody's business."""
        before = self.look(self.first)
        other = self.host_end("one", "c2")
        self.host.batch(f"link set {other} down\nlink del {self.name}\n")
        self.repair("one", "c1")
        self.assertEqual(before[1], self.look(self.first)[1])
        self.assert_served()
        self.assertEqual(["link-down"], self.codes())
        self.repair()

    def test_all_together(self):
        before = self.look(self.first, self.second)
        self.ip("link set {name} name renamed\nlink set renamed down nomaster mtu 1400 alias mine")
        self.ip("addr flush dev eth0 scope global\nlink set eth0 down name lan\n", self.first)
        self.repair()
        self.assertEqual(before, self.look(self.first, self.second))
        self.check_works()

    def test_peer_taken_away(self):
        """Its other end is in another namespace, of somebody else or the host's."""
        before = self.look(self.first)
        other = self.net.endpoint("other")
        for place in (other.name, "1"):
            with self.subTest(place):
                if place == "1":
                    # a number of a process of the host
                    process = self.host.popen("sleep", "60")
                    self.processes.append(process)
                    place = str(process.pid)
                self.first.batch(f"link set eth0 netns {place} name taken\n")
                self.assertEqual(["interface-missing"], self.codes())
                self.repair()
                self.assertEqual(before, self.look(self.first))
                for place in (other, self.host):
                    self.assertNotIn("taken", place.links())
                self.check_works()

    def test_connection_survives(self):
        """What is made again has the same MAC and addresses: streams go on."""
        for family in FAMILIES:
            client = self.connect(self.remote, self.net.host_address(family), 8080)
            self.converse(client, self.listeners[family])
            server = self.server_side
            self.ip("link del {name}")
            self.repair()
            client.sendall(b"again")
            server.settimeout(PATIENCE)
            self.assertEqual(b"again", server.recv(64))

    def test_working_packets(self):
        """Of what is right no packet is lost while the rest is put right."""
        for server in self.servers.values():
            server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        pulses = [Pulse(self.first, family, self.net.address("remote", family), 6000)
                  for family in FAMILIES]
        time.sleep(0.05)
        for damage in ("link set {name} alias mine", "link set {name} name renamed",
                       "link set {name} mtu 1600"):
            self.ip(damage)
            self.repair()
        self.first.batch("route del 10.9.0.0/16\n")
        self.repair()
        for pulse in pulses:
            pulse.end()
            self.assertEqual([], pulse.failed)
        for family, pulse in zip(FAMILIES, pulses):
            server = self.servers[family]
            server.settimeout(PATIENCE)
            got = 0
            try:
                while got < pulse.sent:
                    server.recvfrom(64)
                    got += 1
            except OSError:
                pass
            self.assertEqual(pulse.sent, got)


@for_each_backend
class Others(CheckTest):
    """What is somebody else's stays, and is said."""

    def test_name_taken(self):
        self.attach("one", "c1")
        name = self.host_end()
        self.host.batch(f"link set {name} name renamed\nlink add {name} type bridge\n")
        self.assertEqual(["link-renamed"], self.codes())
        self.repair(left=["link-renamed"])
        self.host.batch(f"link del {name}\n")
        self.repair()
        self.host.batch(f"link del {name}\nlink add {name} type bridge\n")
        ((_, _, there, _),) = self.found()
        self.assertIn("another", there)
        self.repair(left=["link-missing"])
        self.assertEqual("bridge", self.host.link(name)["linkinfo"]["info_kind"])
        self.host.batch(f"link del {name}\n")
        self.repair()

    def test_name_inside_taken(self):
        namespace = self.attach("one", "c1")
        namespace.batch("link del eth0\nlink add eth0 type bridge\n")
        self.assertEqual(["interface-missing", "link-missing"], self.codes())
        _, log = self.ask("repair")
        self.assertIn("another interface eth0", log)
        self.assertEqual("bridge", namespace.link("eth0")["linkinfo"]["info_kind"])
        namespace.batch("link del eth0\n")
        self.repair()
        namespace.batch("link set eth0 name lan\nlink add eth0 type bridge\n")
        self.assertEqual(["interface-renamed"], self.codes())
        namespace.batch("addr flush dev lan\n")
        self.repair(left=["interface-renamed"])
        self.assertEqual(1, len(namespace.addresses("lan", 4)))
        self.assertEqual("bridge", namespace.link("eth0")["linkinfo"]["info_kind"])
        namespace.batch("link del eth0\n")
        self.repair()

    def test_another_default_route(self):
        """One before ours is no damage; one in its place stays there."""
        namespace = self.attach("one", "c1")
        for family, via in ((4, "172.30.1.99"), (6, "fd00:31::99")):
            flag = f"-{family}"
            namespace.run("ip", flag, "route", "add", "default", "via", via, "metric", "5")
            self.assertEqual([], self.found())
            namespace.run("ip", flag, "route", "del", "default", "via", via)
            namespace.run("ip", flag, "route", "replace", "default", "via", via, "metric", "100",
                          "dev", "eth0")
            ((code, _, there, wanted),) = self.found()
            self.assertEqual("route-replaced", code)
            self.assertIn(via, there)
            self.assertIn("metric 100", wanted)
            self.repair(left=["route-replaced"])
            self.assertEqual([(100, via, "eth0")], defaults(namespace, family))
            namespace.run("ip", flag, "route", "del", "default", "via", via)
            self.repair()
        # of a link that is made again
        namespace.batch("link del eth0\nlink add mine type bridge\nlink set mine up\n"
                        "addr add 192.168.7.1/24 dev mine\n"
                        "route add default via 192.168.7.2 metric 100\n")
        self.repair(left=["route-replaced"])
        self.assertEqual([(100, "192.168.7.2", "mine")], defaults(namespace, 4))

    def test_without_damage(self):
        """Addresses, links and routes that somebody has added are no damage."""
        namespace = self.attach("one", "c1")
        namespace.batch("addr add 192.168.9.1/24 dev eth0\nlink add mine type bridge\n"
                        "route add 10.66.0.0/16 via 172.30.1.5\n")
        self.assertEqual([], self.found())
        self.assertEqual([], self.found("one", "c1"))


@for_each_backend
class Sandboxes(CheckTest):
    def test_gone(self):
        """Its ports and addresses are free after repair."""
        namespace = self.attach("one", "c1", "-p", "8080:80", "--ip", "172.30.1.50")
        self.attach("one", "c2")
        self.join("two", namespace)
        self.attach("none", "a-lone", namespace=namespace)
        path = namespace.path
        namespace.delete()
        self.net.endpoints.remove(namespace)
        self.net.namespaces.remove(namespace)
        self.assertEqual([("sandbox-gone", name) for name in ("a-lone", "c1", "c1")],
                         [row[:2] for row in self.found()])
        self.assertEqual(["sandbox-gone"], self.codes("one", "c1"))
        for finding in self.ask("check", "one")[0]:
            self.assertIn(path, finding["text"])
        self.assertTrue(all(finding["repaired"] for finding in self.ask("repair", "one", "c1")[0]))
        self.assertEqual(["a-lone", "c1", "c2"],
                         sorted(entry["endpoint"] for entry in oracle.endpoints(self.bn)))
        self.repair()
        self.assertEqual(["c2"], [entry["endpoint"] for entry in oracle.endpoints(self.bn)])
        again = self.attach("one", "c3", "-p", "8080:80", "--ip", "172.30.1.50")
        self.serve_all(again)
        self.assert_served()

    def test_path_made_anew(self):
        """Another namespace is there by now; ours lives on, and is found by its number."""
        namespace = self.attach("one", "c1", "-p", "8080:80")
        self.serve_all(namespace)
        self.host.run("ip", "netns", "del", namespace.name)
        self.assertEqual([], self.found())
        self.host.run("ip", "netns", "add", namespace.name)
        self.assertEqual(["sandbox-path"], self.codes())
        self.assertEqual(["sandbox-path"], self.codes("one", "c1"))
        before = self.look(namespace)
        namespace.batch("link set eth0 down\n")
        self.repair(left=["sandbox-path"])
        self.host.batch(f"link del {self.host_end()}\n")
        self.repair(left=["sandbox-path"])
        self.assertEqual(before, self.look(namespace))
        self.assert_served()

    def test_by_descriptor(self):
        """One without a path."""
        namespace = self.net.endpoint("c1")
        self.library().attach("one", "c1", namespace, by_descriptor=True)
        namespace.unlink()
        self.host.batch(f"link del {self.host_end()}\n")
        self.assertEqual(["link-missing"], self.codes())
        self.repair()
        self.assert_way_out(namespace, self.outside())

    def test_none_and_host(self):
        namespace = self.attach("none", "lone")
        self.attach("host", "self", namespace=self.host)
        self.assertEqual([], self.found())
        self.assertEqual([], self.found("none", "lone"))
        self.assertEqual([], self.found("host", "self"))
        self.assertEqual([], self.ask("repair")[0])
        self.assertEqual({"lo"}, set(namespace.links()))


@for_each_backend
class Several(CheckTest):
    """Endpoints of several networks in one namespace."""

    def setUp(self):
        super().setUp()
        self.namespace = self.attach("one", "c1", "-p", "8080:80")
        self.join("two", self.namespace, "-p", "8081:80")
        self.join("three", self.namespace)
        self.serve_all(self.namespace)
        self.before = self.look(self.namespace)
        self.assertEqual([], self.found())

    def check_works(self):
        self.assertEqual(self.before, self.look(self.namespace))
        self.assert_served(8080)
        self.assert_served(8081)
        for name in self.NAMES:
            self.assertEqual([], self.found(name, "c1"))

    def test_rules_gone(self):
        for flag in ("-4", "-6"):
            self.namespace.run("ip", flag, "rule", "del", "priority", "32764")
            self.namespace.run("ip", flag, "rule", "del", "priority", "32765")
        self.assertEqual(["route-missing"], self.codes())
        self.repair()
        self.check_works()

    def test_table_emptied(self):
        (table,) = {word for line in self.namespace.run("ip", "rule").stdout.splitlines()
                    for word in re.findall(r"from 172.30.2.2 lookup (\d+)", line)}
        self.namespace.run("ip", "route", "flush", "table", table)
        ((code, _, _, wanted),) = self.found()
        self.assertEqual("route-missing", code)
        self.assertIn("172.30.2.2", wanted)
        self.assertEqual(["route-missing"], self.codes("two", "c1"))
        self.assertEqual([], self.codes("one", "c1"))
        self.repair("two", "c1")
        self.check_works()

    def test_links_deleted(self):
        """The first, which has the best route; another; all of them."""
        for names in (("one",), ("two",), self.NAMES):
            with self.subTest(names):
                for name in names:
                    self.host.batch(f"link del {self.host_end(name)}\n")
                self.assertEqual(len(names), [code for code, *_ in self.found()].count(
                    "link-missing"))
                self.repair()
                self.check_works()

    def test_beside_none(self):
        """What is on network none has no link, and is no hindrance."""
        self.attach("none", "a", namespace=self.namespace)
        self.namespace.run("ip", "rule", "del", "priority", "32764")
        self.assertEqual(["route-missing"], self.codes())
        self.repair()
        self.check_works()

    def test_all_down(self):
        self.namespace.batch("".join(f"link set eth{i} down\n" for i in range(3)))
        self.repair()
        self.check_works()


@for_each_backend
class Options(CheckTest):
    """What options ask for of a link."""

    def test_kept_apart(self):
        """icc=no and anti-spoof: what lets in what is to be refused is said to be open."""
        self.create("apart", "--opt", "icc=no", "--opt", "anti-spoof=mac",
                    "--subnet", "172.30.8.0/24")
        namespace = self.attach("apart", "c1")
        other = self.attach("apart", "c2")
        before = self.look(namespace)
        name = self.host_end("apart")
        for words in ("type bridge_slave isolated off", "type bridge_slave locked off", "nomaster",
                      None):
            with self.subTest(words):
                self.host.batch(f"link set {name} {words}\n" if words else f"link del {name}\n")
                findings, _ = self.ask("check", "apart", "c1")
                if words and "slave" in words:
                    self.assertEqual([SEVERITY_OPEN],
                                     [finding["severity"] for finding in findings])
                self.assertTrue(findings)
                self.repair()
                self.assertEqual(before, self.look(namespace))
                server = self.keep(namespace.udp(4, 7000))
                self.assert_udp(self.host, namespace.address(4), 7000, server)
                if not words:
                    entry = f"{namespace.link('eth0')['address']} dev {self.host_end('apart')} master"
                    self.host.run(*f"bridge fdb del {entry}".split())
                    self.assertEqual(["link-changed"], self.codes())
                    self.repair()
                    self.assertIn("sticky", self.host.run("bridge", "fdb").stdout)
                    self.assert_udp(self.host, namespace.address(4), 7000, server)
                # isolated: the neighbour does not get through
                client = self.keep(other.udp(4))
                client.sendto(b"hello", (namespace.address(4), 7000))
                self.assert_silent(server)
                server.close()

    def test_rates(self):
        namespace = self.attach("one", "c1", "--opt", "rate-in=20M", "--opt", "rate-out=20M")
        name = self.host_end()

        def shown():
            return [re.sub(r"dev \S+|Sent.*|backlog.*", "", line)
                    for line in self.host.run("tc", "qdisc").stdout.splitlines()]

        before = sorted(shown())
        ifb = next(name for name, link in self.host.links().items()
                   if link.get("linkinfo", {}).get("info_kind") == "ifb")
        for command in (f"tc qdisc del dev {name} root", f"tc qdisc del dev {name} ingress",
                        f"tc qdisc del dev {ifb} root", f"ip link del {ifb}",
                        f"ip link del {name}"):
            with self.subTest(command):
                self.host.run(*command.split())
                self.assertNotEqual([], self.found())
                self.repair()
                self.assertEqual(before, sorted(shown()))
        self.assert_way_out(namespace, self.outside())

    def test_sysctls(self):
        namespace = self.attach(
            "one", "c1", "--opt", "sysctl.net.ipv4.conf.IFNAME.log_martians=1",
            "--opt", "sysctl.net.ipv6.conf.IFNAME.accept_ra=2")
        self.assertEqual([], self.found())
        namespace.sysctl("net/ipv4/conf/eth0/log_martians", 0)
        ((code, _, _, wanted),) = self.found()
        self.assertEqual(("interface-changed", "net/ipv4/conf/eth0/log_martians = 1"),
                         (code, wanted))
        self.repair()
        self.assertEqual("1", namespace.sysctl("net/ipv4/conf/eth0/log_martians"))
        namespace.sysctl("net/ipv6/conf/eth0/accept_ra", 0)
        self.repair()
        self.host.batch(f"link del {self.host_end()}\n")
        self.repair()
        self.assertEqual("1", namespace.sysctl("net/ipv4/conf/eth0/log_martians"))
        self.assertEqual("2", namespace.sysctl("net/ipv6/conf/eth0/accept_ra"))

    def test_routes_behind(self):
        namespace = self.attach("one", "c1", "--opt", "routes-for=10.55.0.0/16,fd00:55::/48")
        for family, prefix in ((4, "10.55.0.0/16"), (6, "fd00:55::/48")):
            before = self.host.run("ip", f"-{family}", "route", "show", prefix).stdout
            self.assertIn("via " + namespace.address(family), before)
            self.host.run("ip", f"-{family}", "route", "del", prefix)
            self.assertEqual(["route-missing"], self.codes())
            self.assertEqual(["route-missing"], self.codes("one", "c1"))
            self.repair()
            self.assertEqual(before,
                             self.host.run("ip", f"-{family}", "route", "show", prefix).stdout)

    def test_links_alone(self):
        """Networks without rules, and without addresses."""
        self.create("plain", "--opt", "managed=no", "--subnet", "172.30.9.0/24")
        self.create("wire", "--opt", "managed=no", "--opt", "ipv4=no")
        for network in ("plain", "wire"):
            with self.subTest(network):
                namespace = self.attach(network, "c1")
                before = self.look(namespace)
                self.assertEqual([], self.found())
                for words in ("set {} down", "set {} nomaster", "del {}"):
                    self.host.batch("link " + words.format(self.host_end(network)) + "\n")
                    self.assertEqual(1, len(self.found(network, "c1")))
                    self.repair()
                    self.assertEqual(before, self.look(namespace))


@for_backend(BACKENDS[0])
class Many(CheckTest):
    COUNT = 200

    def setUp(self):
        super().setUp()
        self.create("many", "--subnet", "172.31.0.0/22", "--subnet", "fd00:77::/64")
        self.deleter = library = self.library()
        self.namespaces = [self.net.endpoint("m") for _ in range(self.COUNT)]
        begun = time.monotonic()
        for number, namespace in enumerate(self.namespaces):
            library.attach("many", f"m{number}", namespace)
        self.attached = (time.monotonic() - begun) / self.COUNT
        self.before = self.look(*self.namespaces[:3])
        self.bridge = oracle.network(self.bn, "many")["bridge"]

    def remove_all(self):
        self.deleter.delete("many", flags=DELETE_ENDPOINTS)
        return super().remove_all()

    def check_all(self):
        begun = time.monotonic()
        findings = self.repair("many")
        spent = (time.monotonic() - begun) / self.COUNT
        self.assertEqual(self.before, self.look(*self.namespaces[:3]))
        servers = self.outside()
        for namespace in (self.namespaces[0], self.namespaces[-1]):
            self.assert_way_out(namespace, servers)
        for server in servers.values():
            server.close()
        # with two checks and a plan beside it
        print(f"# {self.COUNT} endpoints: attach {self.attached * 1e3:.2f} ms each, "
              f"check, repair and check {spent * 1e3:.2f} ms", flush=True)
        return findings

    def test_links_deleted(self):
        self.host.batch("".join(f"link del {name}\n" for name, link in self.host.links().items()
                                if str(link.get("ifalias", "")).startswith("bridgenet:") and
                                name != self.bridge and link["linkinfo"]["info_kind"] == "veth"))
        self.assertEqual(self.COUNT, len(self.found("many")))
        self.check_all()

    def test_bridge_deleted(self):
        self.host.batch(f"link del {self.bridge}\n")
        self.assertEqual(self.COUNT, len(self.found("many")))
        self.check_all()
