# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be refused is refused at every moment: while verbs run, and after one was killed.

All that an endpoint or the host's 127.0.0.1 must not get is sent to it all the time, with a rule of
the administrator's that accepts whatever is forwarded, so that only what comes before it keeps
anything out. With BN_SOAK=1 each verb is killed at each step.
"""
import collections
import itertools
import multiprocessing
import os
import select
import socket
import threading
import time
import unittest

import frames
import oracle
import packets
from killing import SENDS, KillingTest
from library import DETACH_QUICK, Failed, Library
from topology import BACKENDS, BUILD, FAMILIES, Bn, bn_binary, for_each_backend, wait_until

ADDRESS = {4: "172.30.1.10", 6: "fd00:31::10"}
RED = ("--subnet", "172.30.1.0/24", "--subnet", "fd00:31::/64")
BLUE = ("--subnet", "172.30.2.0/24", "--subnet", "fd00:32::/64")
LOOPBACK = "127.0.0.1"
SERVICE, PUBLISHED, LATER = 9999, 5354, 5355    # of the host's own; by attach; by publish
MARK = b"probe:"
PACE = 0.002
SOAK = "BN_SOAK" in os.environ
ROUNDS = 20 if SOAK else 1
POINTS_IN_CI = 3    # of each verb
QUICK = ("detach", "quick")


def frame(to, mac, protocol, source, destination, port, label):
    """A datagram, or the first packet of a connection, that says what it is."""
    ends = (source, 40000), (destination, port)
    data = MARK + label.encode()
    packet = packets.udp(*ends, data) if protocol == packets.UDP else \
        packets.tcp(*ends, packets.SYN, data)
    kind = frames.ETH_P_IPV6 if ":" in source else frames.ETH_P_IP
    return frames.mac_bytes(to) + frames.mac_bytes(mac) + kind.to_bytes(2, "big") + packet


class Sender(threading.Thread):
    """Sends the frames, by label, of each socket over and over."""

    def __init__(self):
        super().__init__(daemon=True)
        self.work = []
        self.rounds = 0
        self.stop = threading.Event()

    def add(self, namespace, frames_):
        made = frames.packet_socket(namespace, "eth0")
        # nothing is read from it
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.work.append((made, frames_))

    def run(self):
        while not self.stop.wait(PACE):
            for made, frames_ in self.work:
                for data in frames_:
                    try:
                        made.send(data)
                    except OSError:
                        pass
            self.rounds += 1


class Receiver(threading.Thread):
    """Counts what arrives of the marked packets, by where and by label."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sockets = {}
        self.seen = collections.Counter()
        self.stop = threading.Event()

    def add(self, where, namespace, families=FAMILIES):
        for family in families:
            for protocol in (packets.UDP, packets.TCP):
                with namespace:
                    made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                         socket.SOCK_RAW, protocol)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                self.sockets[made] = where

    def run(self):
        while not self.stop.is_set():
            for made in select.select(list(self.sockets), [], [], 0.1)[0]:
                data = made.recv(2048)
                at = data.find(MARK)
                # on the host, what is sent to its other addresses is its own affair
                if at >= 0 and (self.sockets[made] != "host" or
                                data[16:17] == b"\x7f"):
                    self.seen[self.sockets[made], data[at + len(MARK):].decode()] += 1


class OrderTest(KillingTest):
    """Networks red, about which it is, and blue, of which an endpoint is one of the senders."""

    def setUp(self):
        super().setUp()
        self.bn = Direct(self.bn)
        self.create("blue", *BLUE)
        self.bystander = self.attach("blue", "b")
        self.namespace = self.net.endpoint("e")
        for namespace in (self.host, self.namespace):
            for device in ("all", "default", "eth0" if namespace is self.host else "lo"):
                namespace.sysctl(f"net/ipv4/conf/{device}/rp_filter", 0)
        self.accept_all()
        self.bn.backend = "auto"
        self.sender, self.receiver, self.expected = Sender(), Receiver(), set()
        self.receiver.add("endpoint", self.namespace)
        self.receiver.add("host", self.host, (4,))
        self.send_from("outside", self.attacker, "eth0", self.net.address("attacker", 4),
                       self.net.address("attacker", 6))
        self.send_from("blue", self.bystander, oracle.network(self.bn, "blue")["bridge"],
                       self.bystander.address(4), self.bystander.address(6))
        self.library = Library(self.net, "auto")
        self.addCleanup(self.library.close)

    def tearDown(self):
        for thread in (self.sender, self.receiver):
            thread.stop.set()
            if thread.ident:
                thread.join()
        for made in [work[0] for work in self.sender.work] + list(self.receiver.sockets):
            made.close()
        # a chain of the administrator's stays for as long as it holds a rule
        self.accept_all(False)
        for turn in (0, 1):
            self.bn.result(*self.switch(turn))
        super().tearDown()

    def remove_all(self):
        complaints = super().remove_all()
        if "bradm" in self.host.links():
            self.host.batch("link del bradm\nlink del foreign\n")
        return complaints

    def left_over(self):
        """What a quick detach leaves goes with its namespace, a moment later."""
        wait_until(lambda: not any("/e" in str(link.get("ifalias"))
                                   for link in self.host.links().values()),
                   what="the links of a dead namespace gone")
        return super().left_over()

    def accept_all(self, accept=True):
        """The administrator's rule, in whichever backend has its chain by now; or no more."""
        chain = ("inet", "bridgenet", "BRIDGENET-USER")
        if not self.host.run("nft", "flush", "chain", *chain, check=False).returncode and accept:
            self.host.run("nft", "add", "rule", *chain, "accept")
        for command in ("iptables-legacy", "ip6tables-legacy"):
            if not self.host.run(command, "-F", chain[2], check=False).returncode and accept:
                self.host.run(command, "-A", chain[2], "-j", "ACCEPT")

    # ---- what is sent ----

    def send_from(self, origin, namespace, device, ipv4, ipv6=None):
        to, mac = self.host.link(device)["address"], namespace.link("eth0")["address"]
        udp, tcp = packets.UDP, packets.TCP
        wanted = [("published", udp, ipv4, LOOPBACK, PUBLISHED),
                  ("later", udp, ipv4, LOOPBACK, LATER),
                  ("service", udp, ipv4, LOOPBACK, SERVICE),
                  ("service-tcp", tcp, ipv4, LOOPBACK, SERVICE),
                  ("from-loopback", udp, "127.0.0.2", LOOPBACK, SERVICE)]
        if ipv6:
            wanted += [("unpublished-udp4", udp, ipv4, ADDRESS[4], 53),
                       ("unpublished-tcp4", tcp, ipv4, ADDRESS[4], 80),
                       ("unpublished-udp6", udp, ipv6, ADDRESS[6], 53),
                       ("unpublished-tcp6", tcp, ipv6, ADDRESS[6], 80)]
        # from elsewhere the kernel itself has no way to 127.0.0.0/8
        self.expected |= {
            ("endpoint" if "published" in label or label == "later" else "host",
             f"{origin} {label}") for label, *_ in wanted
            if origin != "outside" or not label.startswith(("service", "from-loopback"))}
        self.sender.add(namespace, [
            frame(to, mac, protocol, source, destination, port, f"{origin} {label}")
            for label, protocol, source, destination, port in wanted])

    # ---- what is done meanwhile ----

    def verbs(self, bridge):
        """[(a verb, what undoes it)], each where those above it have left off."""
        create = ("network", "create", "red", "--bridge", bridge) + RED
        remove = ("network", "rm", "red")
        attach = ("attach", "red", "e", "--netns", self.namespace.path, "--ip", ADDRESS[4], "--ip",
                  ADDRESS[6], "-p", f"{LOOPBACK}:{PUBLISHED}:53/udp")
        detach, detach_all = ("detach", "red", "e"), ("detach", "red", "e", "--delete-empty")
        later = ("red", "e", "-p", f"{LOOPBACK}:{LATER}:53/udp")
        publish, unpublish = ("publish",) + later, ("unpublish",) + later
        there, back = self.switch(0), self.switch(1)
        return ((create, (remove,)), (attach, (detach,)), (publish, (unpublish,)),
                (unpublish, (publish,)), (there, (back,)), (back, (there,)), (detach, (attach,)),
                (remove, (create,)), (create, (remove,)), (attach, (detach,)), (QUICK, (attach,)),
                (attach, (detach,)), (detach_all, (create, attach)))

    def switch(self, turn):
        others = [name for name in BACKENDS if name != self.backend]
        return ("backend", "switch", others[0] if others and not turn else self.backend)

    def do(self, argv, bn=None):
        if argv == QUICK:
            self.library.detach("red", "e", flags=DETACH_QUICK)
        else:
            (bn or self.bn)(*argv)
        if argv[0] == "backend":
            self.accept_all()

    def check(self, *what):
        time.sleep(3 * PACE)
        seen, self.receiver.seen = self.receiver.seen, collections.Counter()
        self.assertEqual({}, dict(seen), f"what got through during {' '.join(what)}")

    def undo(self, undoing):
        """What was killed may have been done or not, so there may be nothing to do."""
        for argv in undoing:
            self.do(argv, self.bn.result)

    def kill_some(self, argv, undoing):
        points = [point for point in self.points(argv) if SOAK or point[0] in SENDS]
        self.undo(undoing)
        stride = 1 if SOAK else max(1, len(points) // POINTS_IN_CI)
        for call, n in points[stride // 2::stride]:
            self.kill(argv, call, n)
            self.check(*argv, "killed at", call, str(n))
            self.undo(undoing)
            self.check(*argv, "undone after", call, str(n))

    def kill_quick(self, attach):
        """Which bn has no words for."""
        for call in ("sendmsg", "setsockopt", "write"):
            for n in itertools.count(1):
                prefix = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                          f"inject={call}:signal=KILL:when={n}")
                try:
                    library = Library(self.net, "auto", prefix=prefix)
                    library.detach("red", "e", flags=DETACH_QUICK)
                except (Failed, OSError):
                    pass
                else:
                    break
                self.check("quick detach killed at", call, str(n))
                self.do(attach, self.bn.result)
                self.check("quick detach undone after", call, str(n))
            library.close()
            self.do(attach)

    def probe(self, bridge):
        self.receiver.start()
        self.sender.start()
        for _ in range(ROUNDS):
            for argv, _ in self.verbs(bridge):
                self.do(argv)
                self.check(*argv)
        done = set()
        for argv, undoing in self.verbs(bridge):
            if argv == QUICK and SOAK:
                self.kill_quick(*undoing)
            elif argv != QUICK and argv not in done:
                self.kill_some(argv, undoing)
            done.add(argv)
            self.do(argv)
        self.check("all of it")
        self.assertGreater(self.sender.rounds, 100)
        self.control(bridge)

    def control(self, bridge):
        """Without what keeps them out the same packets arrive."""
        for argv, _ in self.verbs(bridge)[:3]:
            self.do(argv)
        self.check("the last of it")
        if self.backend == "nftables":
            self.host.run("nft", "flush", "chain", "inet", "bridgenet", "raw-prerouting")
        for command in ("iptables-legacy", "ip6tables-legacy"):
            self.host.run(command, "-t", "raw", "-F")
        wait_until(lambda: set(self.receiver.seen) >= self.expected,
                   what=f"all of {sorted(self.expected)} arrives")
        self.sender.stop.set()
        self.sender.join()
        self.do(("detach", "red", "e", "--delete-empty"))


class Direct(Bn):
    """The program itself, without libtool's script."""

    def __init__(self, bn):
        super().__init__(bn.host, bn.state, bn.backend)

    def argv(self, *argv):
        program = os.path.join(BUILD, ".libs", "bn")
        return ("env", f"LD_LIBRARY_PATH={BUILD}/.libs",
                program if os.path.exists(program) else bn_binary()) + super().argv(*argv)[1:]


@for_each_backend
class Order(OrderTest):
    def test_own_bridge(self):
        self.probe("brred")

    def flood(self, stop):
        """Nothing but connections to a port that the host alone may use."""
        made = self.sender.work[0][0]
        syn = frame(self.host.link("eth0")["address"], self.attacker.link("eth0")["address"],
                    packets.TCP, self.net.address("attacker", 4), LOOPBACK, LATER,
                    "outside later")
        while not stop.is_set():
            for _ in range(50):
                made.send(syn)
            time.sleep(0.0001)  # others need the processor

    def test_packets_on_their_way_meet_the_drop_first(self):
        """Those that are between two hooks while a port is published: rules change under them."""
        for argv, _ in self.verbs("brred")[:2]:
            self.do(argv)
        self.receiver.start()
        stop = multiprocessing.Event()
        flood = multiprocessing.Process(target=self.flood, args=(stop,), daemon=True)
        flood.start()
        end = time.monotonic() + (30 if SOAK else 1.5)
        rounds = 0
        while time.monotonic() < end:
            self.library.publish("red", "e", f"{LOOPBACK}:{LATER}:80")
            self.library.unpublish("red", "e", f"{LOOPBACK}:{LATER}:80")
            rounds += 1
        stop.set()
        flood.join()
        self.check(f"{rounds} times publish")
        self.do(("detach", "red", "e", "--delete-empty"))

    def adopt(self):
        """A bridge with another machine on it, which sends to whatever the host has."""
        self.host.batch("link add bradm type bridge\nlink set bradm up\n")
        foreign = self.net.endpoint("foreign")
        self.host.batch(f"link add foreign type veth peer name eth0 netns {foreign.name}\n"
                        "link set foreign master bradm up\n")
        foreign.batch("link set eth0 up\naddr add 172.30.1.50/24 dev eth0\n")
        self.send_from("foreign", foreign, "bradm", "172.30.1.50")

    def test_adopted_bridge(self):
        self.adopt()
        self.probe("bradm")

    def flushes(self):
        if self.backend == "iptables-legacy":
            return [("iptables-legacy", "-t", "raw", "-F"),
                    ("iptables-legacy", "-t", "raw", "-F", "BRIDGENET-LOOPBACK")]
        return [("nft", "flush", "set", "inet", "bridgenet", name)
                for name in ("loopback-bridges", "loopback-sources")] + [
            ("nft", "flush", "chain", "inet", "bridgenet", "raw-prerouting"),
            ("nft", "delete", "table", "inet", "bridgenet")]

    def test_adopted_bridge_after_a_flush(self):
        """Whoever attaches looks whether 127.0.0.1 of the host is guarded from the bridge."""
        for made, _ in self.sender.work:
            made.close()
        self.sender.work.clear()    # about the others nobody is asked
        self.adopt()
        self.receiver.start()
        self.sender.start()
        self.do(self.verbs("bradm")[0][0])
        self.check("create")
        attach, detach = self.verbs("bradm")[1][0], ("detach", "red", "e")
        for flush in self.flushes():
            with self.subTest(flush=" ".join(flush)):
                self.host.run(*flush)
                self.do(attach)
                # those that came through meanwhile
                time.sleep(5 * PACE)
                self.receiver.seen.clear()
                time.sleep(20 * PACE)
                self.check(*attach)
                self.do(detach)


if __name__ == "__main__":
    unittest.main()
