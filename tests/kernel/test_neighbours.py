# SPDX-License-Identifier: LGPL-2.1-or-later
"""What neighbours hear of an endpoint that comes, and of its MAC address."""
import errno
import os
import time
import unittest

import oracle
from frames import Sniffer, arp_request, packet_socket
from library import DETACH_QUICK, Failed, Library
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

FIXED = {4: "172.30.0.50", 6: "fd00:30::50"}
ADDRESSES = ("--ip", FIXED[4], "--ip", FIXED[6])
TRIES = 5   # of what takes no longer than a machine has it wait that does other things
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


class NeighboursTest(KernelTest):
    def library(self, **options):
        made = Library(self.net, self.backend, **options)
        self.addCleanup(made.close)
        return made

    def bridge(self):
        return oracle.network(self.bn, "net")["bridge"]

    def left_over(self):
        """What a quick detach leaves goes with its namespace, a moment later."""
        wait_until(lambda: not any(str(link.get("ifalias")).endswith("/m")
                                   for link in self.host.links().values()),
                   what="the links of a dead namespace gone")
        return super().left_over()


@for_each_backend
class NewMac(NeighboursTest):
    """An address that comes back with another MAC address is reached at once."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def known(self, namespace, interface):
        """{family: (MAC, state)} that a machine has of the fixed addresses."""
        found = {entry["dst"]: (entry.get("lladdr"), entry["state"])
                 for entry in namespace.ip("neigh", "show", "dev", interface)}
        return {family: found.get(FIXED[family]) for family in FAMILIES}

    def serve_all(self, namespace):
        listeners = self.serve(namespace, 80)
        return listeners, {family: self.keep(namespace.udp(family, 4000)) for family in FAMILIES}

    def check_reached(self, servers, clients):
        """By the first datagram, and the first attempt at a connection."""
        listeners, datagrams = servers
        for family in FAMILIES:
            for client in clients:
                with self.subTest(client=client.name, family=family):
                    sender = self.keep(client.udp(family))
                    sender.sendto(b"first", (FIXED[family], 4000))
                    self.assertEqual(b"first", datagrams[family].recv(64))
            with self.subTest(client="remote", family=family):
                self.connect(self.remote, self.net.host_address(family), 8080, timeout=0.9)
                listeners[family].accept()[0].close()

    def replace(self, detach):
        neighbour = self.attach("net", "n")
        for mac in MACS:
            namespace = self.net.endpoint("m")
            servers = self.serve_all(namespace)
            self.attach("net", "m", *ADDRESSES, "--mac", mac, "-p", "8080:80", namespace=namespace)
            for machine, interface in ((self.host, self.bridge()), (neighbour, "eth0")):
                for family, entry in self.known(machine, interface).items():
                    # nothing is known before the first packet, or what is right
                    if entry and entry[0]:
                        self.assertEqual(mac, entry[0], f"{machine.name}, IPv{family}")
            self.check_reached(servers, (self.host, neighbour))
            self.assertEqual({mac}, {entry[0] for entry in
                                     self.known(self.host, self.bridge()).values()})
            detach()

    def test_detach_and_attach(self):
        self.replace(lambda: self.bn("detach", "net", "m"))

    def test_quick_detach_and_attach(self):
        library = self.library()
        self.replace(lambda: library.detach("net", "m", flags=DETACH_QUICK))

    def test_in_the_same_namespace(self):
        neighbour = self.attach("net", "n")
        namespace = self.net.endpoint("m")
        servers = self.serve_all(namespace)
        for mac in MACS:
            self.attach("net", "m", *ADDRESSES, "--mac", mac, "-p", "8080:80", namespace=namespace)
            self.check_reached(servers, (self.host, neighbour))
            self.bn("detach", "net", "m")

    def test_entry_of_the_administrator(self):
        """One that is permanent is not ours to change."""
        for address in FIXED.values():
            self.host.run("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "nud",
                          "permanent", "dev", self.bridge())
        before = self.known(self.host, self.bridge())
        self.assertEqual({("02:00:00:00:00:99", ("PERMANENT",))},
                         {(mac, tuple(state)) for mac, state in before.values()})
        self.attach("net", "m", *ADDRESSES, "--mac", MACS[0])
        self.assertEqual(before, self.known(self.host, self.bridge()))
        self.bn("detach", "net", "m")
        self.assertEqual(before, self.known(self.host, self.bridge()))


@for_each_backend
class Advertisements(NeighboursTest):
    """What an endpoint tells unasked when it comes."""

    def begin(self, *options, subnets=("172.30.0.0/24", "fd00:30::/64")):
        words = [word for cidr in subnets for word in ("--subnet", cidr)]
        words += [word for option in options for word in ("--opt", option)]
        self.create("net", *words)
        self.sniffer = self.keep(Sniffer(self.host, self.bridge()))
        self.mac = MACS[0]

    def told(self, address, count):
        """When it was told who has the address: so many times, and no more a moment later."""
        def wanted(frame):
            return not frame.outgoing and (frame.advertised or [None])[0] == address

        self.sniffer.await_frames(wanted, count)
        frames = self.sniffer.seen(wanted, 0.1)
        self.assertEqual(count, len(frames))
        for frame in frames:
            self.assertEqual((address, self.mac), frame.advertised)
            self.assertEqual(self.mac, frame.mac)
        return [frame.when for frame in frames]

    def join(self, library=None, families=FAMILIES):
        arguments = {"addresses": [FIXED[family] for family in families], "mac": self.mac}
        return (library or self.library()).attach("net", "m", self.net.endpoint("m"), **arguments)

    def test_one_by_default(self):
        self.begin()
        for _ in range(TRIES):
            begin = time.time()
            spent = self.join()["seconds"]
            whens = [when for family in FAMILIES for when in self.told(FIXED[family], 1)]
            if max(spent, max(whens) - begin) < 1.0:
                break
            self.sniffer.frames.clear()
            self.bn("detach", "net", "m")
        self.assertLess(spent, 1.0)
        self.assertLess(max(whens) - begin, 1.0)

    def test_none(self):
        self.begin("advertise-count=0")
        self.join()
        for family in FAMILIES:
            self.told(FIXED[family], 0)

    def test_three(self):
        self.begin("advertise-count=3", "advertise-interval-ms=150")
        for _ in range(TRIES):
            spent = self.join()["seconds"]
            times = [self.told(FIXED[family], 3) for family in FAMILIES]
            gaps = [later - earlier for each in times for earlier, later in zip(each, each[1:])]
            if spent < 2.0 and max(gaps) < 1.0 and min(gaps) > 0.05:
                break
            self.sniffer.frames.clear()
            self.bn("detach", "net", "m")
        self.assertGreater(spent, 0.29)
        self.assertLess(spent, 2.0)
        self.assertLess(max(gaps), 1.0)
        self.assertGreater(min(gaps), 0.05)

    def test_of_one_family(self):
        for family, cidr in ((4, "172.30.0.0/24"), (6, "fd00:30::/64")):
            self.begin("advertise-count=2", "advertise-interval-ms=100", subnets=(cidr,))
            self.join(families=(family,))
            self.told(FIXED[family], 2)
            self.assertEqual([], self.remove_all())

    def test_within_its_time(self):
        """Fewer are sent where the call has less time, and the endpoint stands all the same."""
        self.begin("advertise-count=3", "advertise-interval-ms=2000")
        self.join(self.library(timeout_ms=1900))
        self.assertEqual("m", oracle.endpoint(self.bn, "net", "m")["endpoint"])
        self.told(FIXED[4], 1)

    def test_nobody_waits_for_it(self):
        """Others attach meanwhile."""
        self.begin("advertise-count=3", "advertise-interval-ms=2000")
        self.create("other", "--subnet", "172.30.7.0/24")
        library = self.library()
        namespace = self.net.endpoint("m")
        library.ask("attach", "net", "m", path=namespace.path, addresses=[FIXED[4]], mac=self.mac)
        wait_until(lambda: "eth0" in namespace.links(), what="the first interface")
        self.attach("other", "o")
        self.bn("detach", "other", "o")
        self.assertFalse(library.has_answered())
        self.assertGreater(library.answer()["seconds"], 3.9)

    def test_refused(self):
        for option in ("advertise-count=4", "advertise-count=-1", "advertise-count=",
                       "advertise-count=one", "advertise-interval-ms=99",
                       "advertise-interval-ms=2001", "advertise-interval-ms=1s"):
            with self.subTest(option=option):
                self.fails("network", "create", "bad", "--subnet", "172.30.9.0/24", "--opt",
                           option, mention=option.split("="))


@for_each_backend
class SideBySide(NeighboursTest):
    """Who asks at the same moment for what only one can have."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def check(self, namespaces, **arguments):
        pair = self.library(), self.library()
        for i in range(10):
            for library, namespace, name in zip(pair, namespaces, "ab"):
                library.ask("attach", "net", name, path=namespace.path, **arguments)
            got = []
            for library, name in zip(pair, "ab"):
                try:
                    library.answer()
                    got.append(name)
                except Failed as problem:
                    self.assertIn(problem.errno, (errno.EEXIST, errno.EADDRINUSE), problem)
            self.assertEqual(1, len(got), f"round {i}")
            self.bn("detach", "net", got[0])

    def test_one_mac(self):
        self.check((self.net.endpoint("a"), self.net.endpoint("b")), mac="0a:11:22:33:44:55")

    def test_one_sandbox(self):
        self.check((self.net.endpoint("a"),) * 2)


@for_each_backend
class SameNetwork(NeighboursTest):
    """One namespace on one network, by two endpoints."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def test_by_whatever_name(self):
        namespace = self.attach("net", "c1")
        process = namespace.popen("sleep", "60")
        self.processes.append(process)
        for how in (("--pid", str(process.pid)),
                    ("--netns", f"/proc/{os.getpid()}/fd/{namespace.fd}")):
            with self.subTest(how=how):
                self.fails("attach", "net", "c2", *how, "-p", "8080:80", mention=("c1", "net"))
        self.assertEqual({"lo", "eth0"}, set(namespace.links()))

    def test_by_descriptor(self):
        library = self.library()
        namespace = self.net.endpoint("fd")
        namespace.unlink()
        path = f"/proc/{os.getpid()}/fd/{namespace.fd}"
        library.attach("net", "first", path, by_descriptor=True)
        with self.assertRaises(Failed) as caught:
            library.attach("net", "second", path, by_descriptor=True)
        self.assertIn("first", str(caught.exception))
        self.assertEqual({"lo", "eth0"}, set(namespace.links()))

    def test_asked_for(self):
        """The ports of both are reached, and one broadcast is a few packets."""
        neighbour = self.attach("net", "n")
        namespace = self.attach("net", "c1", "-p", "8081:80")
        self.attach("net", "c2", "--same-network", "-p", "8082:80", namespace=namespace)
        for family in FAMILIES:
            listener = self.serve(namespace, 80, (family,))[family]
            for port in (8081, 8082):
                for client in (self.remote, self.host):
                    self.assert_tcp(client, self.net.host_address(family), port, listener)
            for interface in ("eth0", "eth1"):
                self.assert_tcp(neighbour, namespace.address(family, interface), 80, listener)
        def is_for_all(frame):
            return frame.to == "ff:ff:ff:ff:ff:ff"

        namespace.sysctl("net/ipv4/ip_forward", 1)
        sniffer = self.keep(Sniffer(namespace, "eth0"))
        with packet_socket(neighbour, "eth0") as sender:
            sender.send(arp_request(neighbour.link("eth0")["address"], neighbour.address(4),
                                    "172.30.0.99"))
        sniffer.await_frames(is_for_all, 1)
        self.assertIn(len(sniffer.seen(is_for_all, 0.2)), range(1, 10))


if __name__ == "__main__":
    unittest.main()
