# SPDX-License-Identifier: LGPL-2.1-or-later
"""anti-spoof=full: an endpoint sends as itself alone. Frames are forged at one and looked for at
its neighbour, and at the bridge."""
import ipaddress
import json
import select
import struct
import subprocess

import oracle
from forging import bridge_netfilter
from frames import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Sniffer, checksum, mac_bytes
from frames import router_advertisement
from topology import Bn, FAMILIES, KernelTest, for_each_backend

MAC_A, MAC_B, MAC_NONE = "02:42:ac:1e:00:02", "02:42:ac:1e:00:03", "02:00:00:00:0a:0a"
A, B = {4: "172.30.0.2", 6: "fd00:30::2"}, {4: "172.30.0.3", 6: "fd00:30::3"}
LINK_A, LINK_B = "fe80::42:acff:fe1e:2", "fe80::42:acff:fe1e:3"
GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
EVERYBODY, GROUP = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
UDP, ICMP, ICMPV6 = 17, 1, 58
ETH_P_VLAN, ETH_P_SERVICE_VLAN, ETH_P_LOCAL = 0x8100, 0x88a8, 0x88b5


def packed(address):
    return ipaddress.ip_address(address).packed


def frame(kind, data, mac=MAC_A, hears=EVERYBODY, tags=()):
    head = mac_bytes(hears) + mac_bytes(mac)
    for tag, vlan in tags:
        head += struct.pack("!HH", tag, vlan)
    return head + struct.pack("!H", kind) + data.ljust(46, b"\0")


def udp(source, to, ports, mac=MAC_A, **options):
    body = struct.pack("!HHHH", *ports, 8 + 32, 0) + b"data, so that nothing is padded.."[:32]
    return internet(source, to, UDP, body, mac, **options)


def internet(source, to, protocol, body, mac=MAC_A, **options):
    if ":" in source:
        total = checksum(packed(source) + packed(to) + struct.pack("!II", len(body), protocol)
                         + body)
        at = 6 if protocol == UDP else 2
        body = body[:at] + struct.pack("!H", total) + body[at + 2:]
        head = struct.pack("!IHBB", 0x60000000, len(body), protocol, 255)
        return frame(ETH_P_IPV6, head + packed(source) + packed(to) + body, mac, **options)
    if protocol == ICMP:
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    head += packed(source) + packed(to)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return frame(ETH_P_IP, head + body, mac, **options)


def arp(sender, address, mac=MAC_A, operation=2, target=B[4]):
    return frame(ETH_P_ARP, struct.pack("!HHBBH6s4s6s4s", 1, ETH_P_IP, 6, 4, operation,
                                        mac_bytes(sender), packed(address), bytes(6),
                                        packed(target)), mac)


def neighbour(kind, source, target, mac=MAC_A):
    option = b"" if source == "::" else struct.pack("!BB6s", 2, 1, mac_bytes(mac))
    body = struct.pack("!BBHI16s", kind, 0, 0, 0x20000000, packed(target)) + option
    return internet(source, "ff02::1", ICMPV6, body, mac, hears=GROUP)


GOOD = {
    "IPv4": udp(A[4], B[4], (1000, 2000)),
    "IPv6": udp(A[6], B[6], (1000, 2000)),
    "IPv6 of the link": udp(LINK_A, LINK_B, (1000, 2000)),
    "DHCP from no address": udp("0.0.0.0", "255.255.255.255", (68, 67)),
    "DHCPv6": udp(LINK_A, "ff02::1:2", (546, 547), hears=GROUP),
    "ARP answer": arp(MAC_A, A[4]),
    "ARP probe": arp(MAC_A, "0.0.0.0", operation=1, target=A[4]),
    "own neighbour advertisement": neighbour(136, A[6], A[6]),
    "that of the link": neighbour(136, LINK_A, LINK_A),
    "neighbour solicitation": neighbour(135, A[6], B[6]),
    "duplicate address detection": neighbour(135, "::", A[6]),
}
BAD = {
    "MAC of nobody": udp(A[4], B[4], (1000, 2000), MAC_NONE),
    "MAC of a neighbour": udp(A[4], B[4], (1000, 2000), MAC_B),
    "IPv4 of a neighbour": udp(B[4], A[4], (1000, 2000)),
    "IPv4 of the gateway": udp(GATEWAY[4], B[4], (1000, 2000)),
    "IPv4 of nobody": udp("192.0.2.7", B[4], (1000, 2000)),
    "IPv6 of a neighbour": udp(B[6], A[6], (1000, 2000)),
    "IPv6 of the gateway": udp(GATEWAY[6], B[6], (1000, 2000)),
    "IPv6 of a neighbour's link": udp(LINK_B, B[6], (1000, 2000)),
    "ARP for a neighbour": arp(MAC_A, B[4]),
    "ARP for the gateway": arp(MAC_A, GATEWAY[4]),
    "ARP of another MAC": arp(MAC_B, A[4]),
    "ARP for the gateway, asked": arp(MAC_A, GATEWAY[4], operation=1),
    "advertisement for a neighbour": neighbour(136, A[6], B[6]),
    "advertisement for the gateway": neighbour(136, A[6], GATEWAY[6]),
    "advertisement by the gateway": neighbour(136, GATEWAY[6], GATEWAY[6]),
    "solicitation by the gateway": neighbour(135, GATEWAY[6], B[6]),
    "dispute of an address": neighbour(135, "::", B[6]),
    "router advertisement": router_advertisement(MAC_A, LINK_A, "fd00:66::"),
    "redirect": internet(A[4], B[4], ICMP, struct.pack("!BBH4s", 5, 1, 0, packed(A[4]))
                         + bytes(28)),
    "redirect of IPv6": internet(LINK_A, B[6], ICMPV6, struct.pack("!BBHI", 137, 0, 0, 0)
                                 + packed(A[6]) + packed(A[6])),
    "DHCP server": udp(A[4], "255.255.255.255", (67, 68)),
    "DHCPv6 server": udp(LINK_A, LINK_B, (547, 546)),
    "VLAN": udp(A[4], B[4], (1000, 2001), tags=((ETH_P_VLAN, 5),)),
    "VLAN 0": udp(A[4], B[4], (1000, 2001), tags=((ETH_P_VLAN, 0),)),
    "VLAN of a provider": udp(A[4], B[4], (1000, 2001), tags=((ETH_P_SERVICE_VLAN, 5),)),
    "forged in a VLAN": udp(B[4], B[4], (1000, 2000), tags=((ETH_P_VLAN, 5),)),
    "another protocol": frame(ETH_P_LOCAL, b"anything"),
    "802.1X": frame(0x888e, b"\1\1"),
    "a length": frame(0x0026, b"\x42\x42\x03"),
}
OWN = [mac_bytes(mac) for mac in (MAC_A, MAC_NONE)]


class AntiSpoof(KernelTest):
    OPTIONS = ("--opt", "anti-spoof=full")

    def setUp(self):
        super().setUp()
        self.addCleanup(bridge_netfilter, self.host, 0)
        bridge_netfilter(self.host, 1)
        self.create("net", *self.OPTIONS, dual=True)
        self.a = self.attach("net", "a")
        self.b = self.attach("net", "b", "--publish", "8080:80")
        self.web = self.serve(self.b, 80)
        self.sender = self.wire(self.a, "eth0")
        self.witness = self.wire(self.b, "eth0")

    def wire(self, namespace, interface):
        made = Sniffer(namespace, interface)
        self.addCleanup(made.close)
        return made

    def passes(self, frames):
        """The names of those that get to b. What is sent last is waited for, so all before it
        that pass have come."""
        arrived = []
        for name, data in frames.items():
            self.witness.seen(lambda _: False)
            self.witness.frames = []
            self.sender.socket.send(data)
            self.sender.socket.send(GOOD["IPv4"])
            seen = self.witness.await_frames(
                lambda one: not one.outgoing and one.data[:len(GOOD["IPv4"])] == GOOD["IPv4"],
                1 + (data == GOOD["IPv4"]), 2)
            self.assertTrue(seen, f"nothing comes after {name}")
            if any(not one.outgoing and (one.data == data or one.data[12:] == data[16:])
                   for one in self.witness.frames
                   if data != GOOD["IPv4"]) or (data == GOOD["IPv4"] and len(seen) == 2):
                arrived.append(name)
        return arrived

    def table(self):
        return self.host.run("nft", "list", "table", "bridge", "bridgenet", check=False)

    def elements(self):
        """{set: the texts of its elements}, as nft(8) has them."""
        listed = json.loads(self.host.run("nft", "-j", "list", "table", "bridge",
                                          "bridgenet").stdout)
        return {entry["set"]["name"]: entry["set"].get("elem", [])
                for entry in listed["nftables"] if "set" in entry}

    def link(self, role):
        """The host's end."""
        return next(elem["elem"]["val"] for elem in self.elements()["judged"]
                    if elem["elem"]["comment"] == f"net/{role}")


class Full(AntiSpoof):
    def test_what_is_its_own_passes(self):
        self.assertEqual(list(GOOD), self.passes(GOOD))

    def test_what_is_forged_does_not(self):
        self.assertEqual([], self.passes(BAD))

    def test_connections(self):
        for family in FAMILIES:
            self.assert_tcp(self.a, B[family], 80, self.web[family])
            self.assert_tcp(self.host, B[family], 80, self.web[family])
            self.assert_tcp(self.a, self.net.address("host", family), 8080, self.web[family])

    def test_listed_with_counters(self):
        self.sender.socket.send(BAD["another protocol"])
        self.passes({"IPv4": GOOD["IPv4"]})
        rules = [rule for rule in self.bn.json("rules", "-v", "net")
                 if rule["family"] == "bridge"]
        planned = [rule for rule in self.bn.json("rules", "--plan", "net")
                   if rule["family"] == "bridge"]
        self.assertEqual(len(planned), len(rules))
        self.assertEqual({("net", "a"), ("net", "b")},
                         {(rule["network"], rule["endpoint"]) for rule in rules})
        self.assertTrue(all(rule["purpose"] for rule in rules))
        dropped = [rule for rule in rules if rule["chain"] == "frames-judged"
                   and rule["target"] == "DROP" and not rule["extra"]
                   and rule["endpoint"] == "a"]
        self.assertEqual(1, len(dropped))
        self.assertGreaterEqual(dropped[0]["packets"], 1)

    def test_comes_and_goes(self):
        self.assertEqual(2, len(self.elements()["judged"]))
        self.bn("detach", "net", "a")
        self.assertEqual(1, len(self.elements()["judged"]))
        self.bn("detach", "net", "b")
        self.assertNotEqual(0, self.table().returncode)
        self.attach("net", "c")
        self.assertEqual(1, len(self.elements()["judged"]))
        self.bn("detach", "net", "c")
        self.assertNotEqual(0, self.table().returncode)

    def test_renamed_link_is_shut(self):
        """Its port has another name then: nothing passes, rather than anything."""
        link = self.link("a")
        self.host.batch(f"link set {link} name other0\n")
        self.witness.seen(lambda _: False)
        self.witness.frames = []
        self.sender.socket.send(GOOD["IPv4"])
        self.sender.socket.send(BAD["IPv4 of a neighbour"])
        self.sender.socket.send(BAD["MAC of nobody"])
        found = self.witness.seen(lambda one: not one.outgoing and mac_bytes(one.mac) in OWN, 0.2)
        self.assertEqual([], [one.data.hex() for one in found])
        self.host.batch(f"link set other0 name {link}\n")
        self.assertEqual(["IPv4"], self.passes({"IPv4": GOOD["IPv4"]}))

    def test_flushed_and_mended(self):
        before = self.elements()
        for damage in (("flush", "ruleset"), ("delete", "table", "bridge", "bridgenet"),
                       ("flush", "set", "bridge", "bridgenet", "forged"),
                       ("flush", "chain", "bridge", "bridgenet", "frames-judged")):
            with self.subTest(damage=damage):
                self.host.run("nft", *damage)
                findings = self.bn.result("check", "--json")
                self.assertEqual(3, findings.returncode)
                self.assertIn(3, [one["severity"] for one in
                                  json.loads(findings.stdout)["findings"]])
                self.bn("repair")
                self.bn("check")
                self.assertEqual({name: len(elem) for name, elem in before.items()},
                                 {name: len(elem) for name, elem in self.elements().items()})
                self.assertEqual([], self.passes({"one": BAD["IPv4 of a neighbour"]}))

    def test_read_back(self):
        """A listing that is loaded again is what there was."""
        listed = self.table().stdout
        self.host.run("nft", "delete", "table", "bridge", "bridgenet")
        self.host.run("nft", "-f", "-", stdin=listed)
        self.bn("check")

    def test_table_of_others(self):
        """What is in the way, and not ours, is refused, and stays."""
        self.bn("detach", "net", "a")
        self.bn("detach", "net", "b")
        self.host.run("nft", "add table bridge bridgenet; add chain bridge bridgenet frames")
        namespace = self.net.endpoint("c")
        self.fails("attach", "net", "c", "--netns", namespace.path,
                   mention=("bridge bridgenet", "frames", "not ours"))
        self.assertNotIn("judged", self.table().stdout)
        self.assertEqual([], oracle.endpoints(self.bn))
        self.host.run("nft", "delete", "table", "bridge", "bridgenet")

    def test_other_backend(self):
        """A switch leaves them as they are, with their counters."""
        own = self.backend
        other = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}[own]
        self.sender.socket.send(BAD["IPv4 of a neighbour"])
        self.passes({"one": BAD["IPv4 of a neighbour"]})
        before = self.elements()["forged"]
        self.bn.backend = "auto"
        for name in (other, own):
            self.bn("backend", "switch", name)
            self.assertEqual(before, self.elements()["forged"])
            self.bn("check")
        self.bn.backend = own
        self.assertEqual([], self.passes({"one": BAD["IPv4 of a neighbour"]}))

    def test_heard_of(self):
        """A watch tells of what is done to the table, with either backend."""
        watch = self.bn.popen("watch", "--json", stdout=subprocess.PIPE)
        self.processes.append(watch)
        for name in ("forged", "tagged", "judged", "dhcp4"):    # it may not listen yet
            self.host.run("nft", "flush", "set", "bridge", "bridgenet", name)
            if select.select([watch.stdout], [], [], 1)[0]:
                break
        else:
            self.fail("nothing is told")
        event = json.loads(watch.stdout.readline())
        self.assertEqual("rules", event["kind"])
        self.bn("repair")

    def test_mac_of_another_network(self):
        """Its frames come by one link only, so it is one endpoint's."""
        self.create("other", "--subnet", "172.31.0.0/24", *self.OPTIONS)
        namespace = self.net.endpoint("c")
        self.fails("attach", "other", "c", "--netns", namespace.path, "--mac", MAC_A,
                   mention=(MAC_A, "net", "'a'"))
        self.assertEqual(2, len(self.elements()["judged"]))

    def lose(self):
        """A saved rule set is loaded when the state that it was of is gone."""
        saved = self.table().stdout
        for role in "ab":
            self.bn("detach", "net", role)
        self.bn("network", "rm", "net")
        self.host.run("nft", "-f", "-", stdin=saved)

    def test_left_over_of_a_lost_state(self):
        """Whoever gets the address again, and the MAC with it, takes its place."""
        old = {self.link(role) for role in "ab"}
        self.lose()
        self.create("again", *self.OPTIONS, dual=True)
        a = self.attach("again", "a")
        self.assertEqual(MAC_A, a.link("eth0")["address"])
        names = {elem["elem"]["val"] for elem in self.elements()["judged"]}
        self.assertEqual(1, len(names - old))
        self.assertNotIn(MAC_A, {elem["elem"]["val"]["concat"][1] for elem in
                                 self.elements()["frames-own"]
                                 if elem["elem"]["val"]["concat"][0] in old})
        self.attach("again", "b")
        self.assertFalse(old & {elem["elem"]["val"] for elem in self.elements()["judged"]})
        self.bn("check")

    def test_left_over_of_other_addresses(self):
        """Its port has gone, and does not come."""
        self.lose()
        self.create("again", "--subnet", "172.31.0.0/24", *self.OPTIONS)
        a = self.attach("again", "a", "--mac", MAC_A)
        self.assertEqual(MAC_A, a.link("eth0")["address"])
        self.bn.result("repair", "--remove-unknown")
        self.bn("check")

    def rules(self):
        """Without what they count."""
        return self.host.run("nft", "-s", "list", "table", "bridge", "bridgenet").stdout

    def test_mac_of_another_state(self):
        other = Bn(self.host, self.net.state + "/other", self.backend)
        other("network", "create", "other", "--subnet", "172.31.0.0/24", *self.OPTIONS)
        namespace = self.net.endpoint("c")
        before = self.rules()
        result = other.result("attach", "other", "c", "--netns", namespace.path, "--mac", MAC_A)
        self.assertEqual(1, result.returncode)
        self.assertIn(MAC_A, result.stderr)
        self.assertEqual(before, self.rules())
        other("network", "rm", "other")

    def test_adopted_bridge(self):
        """Only what is the library's own is judged there."""
        self.host.batch("link add br9 type bridge\nlink set br9 up\n")
        other = self.net.endpoint("other")
        self.host.batch(f"link add port9 type veth peer name eth0 netns {other.name}\n"
                        "link set port9 master br9 up\n")
        other.batch("link set eth0 up\n")
        self.create("guests", "--bridge", "br9", "--subnet", "172.31.0.0/24", *self.OPTIONS)
        d = self.attach("guests", "d")
        mine = d.link("eth0")["address"]
        seen, sender = self.wire(d, "eth0"), self.wire(other, "eth0")
        sender.socket.send(frame(ETH_P_LOCAL, b"of nobody's business", MAC_NONE))
        self.assertTrue(seen.await_frames(lambda one: one.mac == MAC_NONE, 1))
        back, forger = self.wire(other, "eth0"), self.wire(d, "eth0")
        forger.socket.send(udp("172.31.0.99", "172.31.0.77", (1000, 2000), mine))
        forger.socket.send(udp(d.address(4), "172.31.0.77", (1000, 2000), mine))
        found = back.await_frames(lambda one: one.mac == mine and one.kind == ETH_P_IP, 1)
        self.assertEqual([packed(d.address(4))], [one.data[26:30] for one in found])
        self.bn("detach", "guests", "d")
        self.bn("network", "rm", "guests")
        self.host.batch("link del br9\nlink del port9\n")


class Live(AntiSpoof):
    OPTIONS = ()

    def test_network(self):
        """no, mac, full and back, while it runs."""
        forged = {"IPv4": BAD["IPv4 of a neighbour"]}
        for value in ("full", "mac", "full", "no"):
            self.bn("network", "update", "net", "--opt", f"anti-spoof={value}")
            self.assertEqual([] if value == "full" else ["IPv4"], self.passes(forged))
            self.assertEqual(value == "full", self.table().returncode == 0)
            self.bn("check")

    def test_endpoint(self):
        """Of one endpoint; what it routes for is its own as well."""
        behind = {"IPv4": udp("10.8.0.5", B[4], (1000, 2000)),
                  "IPv6": udp("fd08::5", B[6], (1000, 2000))}
        self.bn("endpoint", "update", "net", "a", "--opt", "anti-spoof=full")
        self.assertEqual([], self.passes(behind))
        self.bn("endpoint", "update", "net", "a", "--opt", "routes-for=10.8.0.0/24,fd08::/64")
        self.assertEqual(list(behind), self.passes(behind))
        self.assertEqual([], self.passes({"other": udp("10.9.0.5", B[4], (1000, 2000))}))
        self.bn("check")
        self.bn("endpoint", "update", "net", "a", "--opt", "routes-for=")
        self.assertEqual([], self.passes(behind))
        self.bn("endpoint", "update", "net", "a", "--opt", "anti-spoof=")
        # or what is forged is dropped as a packet
        bridge_netfilter(self.host, 0)
        self.assertEqual(list(behind), self.passes(behind))
        self.assertNotEqual(0, self.table().returncode)

    def test_ipv4_alone(self):
        """Of the family that a network does not have nothing passes."""
        self.create("four", "--subnet", "172.31.0.0/24", "--opt", "anti-spoof=full")
        c, d = self.attach("four", "c"), self.attach("four", "d")
        mac = c.link("eth0")["address"]
        seen, sender = self.wire(d, "eth0"), self.wire(c, "eth0")
        sender.socket.send(udp("fe80::1", "ff02::1", (1000, 2000), mac, hears=GROUP))
        sender.socket.send(udp(c.address(4), d.address(4), (1000, 2000), mac))
        found = seen.await_frames(lambda one: one.mac == mac and not one.outgoing, 1)
        self.assertEqual([ETH_P_IP], [one.kind for one in found])


for case in (Full, Live):
    for_each_backend(case)
del AntiSpoof, Full, Live, case
