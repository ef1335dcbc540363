# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rates of endpoints, measured with real streams: in, out, inside the bridge, and back to none.

All goes on in the kernel's queues, whatever the backend of the rules, so one stands for both.
"""
import contextlib
import socket
import threading
import time
import unittest

from topology import FAMILIES, PATIENCE, KernelTest, for_backend, wait_until

RATE = 20_000_000   # bits a second
FREE = 3 * RATE     # what is not limited is faster than that
SECONDS = 0.8
SETTLE = 0.3        # the burst is over by then
TRIES = 5           # the machine may be busy


def pump(sender, ended):
    """Send until it is over."""
    block = bytes(65536)
    with contextlib.suppress(OSError):
        while not ended.is_set():
            sender.send(block)


def read_for(receiver, seconds):
    """How many bytes came in, and in what time."""
    end, count, began = time.monotonic() + seconds, 0, time.monotonic()
    while time.monotonic() < end:
        count += len(receiver.recv(262144))
    return count, time.monotonic() - began


def speed(sender, receiver):
    """Bits a second that arrive."""
    ended = threading.Event()
    thread = threading.Thread(target=pump, args=(sender, ended))
    thread.start()
    try:
        read_for(receiver, SETTLE)
        count, seconds = read_for(receiver, SECONDS)
    finally:
        ended.set()
        receiver.shutdown(socket.SHUT_RDWR)
        thread.join()
    return count * 8 / seconds


class Bandwidth(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.neighbour = self.attach("net", "neighbour")

    def limited(self, *options):
        options = [word for option in options for word in ("--opt", option)]
        self.end = self.attach("net", "limited", *options)
        return self.end

    def stream(self, family, other, outwards):
        """(sender, receiver) of a connection between the limited endpoint and another machine."""
        at = self.neighbour.address(family) if other is self.neighbour else \
            self.net.address("remote", family)
        listener = other.listen(family, 0)
        try:
            client = self.connect(self.end, at, listener.getsockname()[1], timeout=PATIENCE)
            listener.settimeout(PATIENCE)
            server = self.keep(listener.accept()[0])
            server.settimeout(PATIENCE)
        finally:
            listener.close()
        return (client, server) if outwards else (server, client)

    def measured(self, is_right, family, other, outwards):
        """The first of some measurements that is right, else the last."""
        for _ in range(TRIES):
            found = speed(*self.stream(family, other, outwards))
            if is_right(found):
                break
        return found

    def assert_limited(self, family, other, outwards, rate=RATE):
        """What is measured is what the packets carry, their headers take 4 to 5 %."""
        found = self.measured(lambda bits: 0.9 * rate <= bits <= 1.1 * rate, family, other,
                              outwards)
        self.assertTrue(0.9 * rate <= found <= 1.1 * rate,
                        f"IPv{family} {'out' if outwards else 'in'}: {found / 1e6:.2f} Mbit/s "
                        f"where {rate / 1e6} are set")

    def assert_free(self, family, other, outwards):
        found = self.measured(lambda bits: bits > FREE, family, other, outwards)
        self.assertGreater(found, FREE, f"IPv{family} {'out' if outwards else 'in'}")

    def test_in(self):
        self.limited(f"rate-in={RATE}")
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_limited(family, self.remote, False)
                self.assert_limited(family, self.neighbour, False)
                self.assert_free(family, self.remote, True)

    def test_out(self):
        self.limited(f"rate-out={RATE}")
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_limited(family, self.remote, True)
                self.assert_limited(family, self.neighbour, True)
                self.assert_free(family, self.remote, False)

    def test_both(self):
        self.limited(f"rate-in={RATE}", f"rate-out={RATE // 2}", "burst-in=40k",
                     "burst-out=40k")
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_limited(family, self.remote, False)
                self.assert_limited(family, self.remote, True, RATE // 2)

    def test_local_is_free(self):
        self.limited(f"rate-in={RATE}", f"rate-out={RATE}", "rate-local=no")
        for family in FAMILIES:
            for outwards in (False, True):
                with self.subTest(family=family, outwards=outwards):
                    self.assert_limited(family, self.remote, outwards)
                    self.assert_free(family, self.neighbour, outwards)

    def test_fast(self):
        """Ten times as fast, and with large frames."""
        self.create("fast", "--subnet", "172.29.0.0/24", "--mtu", "9000")
        self.end = self.attach("fast", "limited", "--opt", f"rate-in={10 * RATE}", "--opt",
                               f"rate-out={10 * RATE}")
        for outwards in (False, True):
            self.assert_limited(4, self.remote, outwards, 10 * RATE)

    def test_changed_live(self):
        """From none to one, to another, to neither, while a stream runs all the time."""
        self.limited()
        sender, receiver = self.stream(4, self.remote, False)
        ended = threading.Event()
        thread = threading.Thread(target=pump, args=(sender, ended))
        thread.start()
        try:
            for rate in (RATE, 2 * RATE, RATE // 2, None):
                self.bn("endpoint", "update", "net", "limited", "--opt",
                        f"rate-in={rate or ''}", "--opt", f"rate-out={rate or ''}")
                for _ in range(TRIES):
                    read_for(receiver, SETTLE)
                    count, seconds = read_for(receiver, SECONDS)
                    found = count * 8 / seconds
                    right = 0.9 * rate <= found <= 1.1 * rate if rate else found > FREE
                    if right:
                        break
                self.assertTrue(right, f"{found / 1e6:.2f} Mbit/s where {rate} is set")
        finally:
            ended.set()
            receiver.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.assertEqual([], self.host.ip("link", "show", "type", "ifb"))

    def test_local_changed_live(self):
        self.limited(f"rate-in={RATE}", f"rate-out={RATE}")
        for local, check in (("no", self.assert_free), ("yes", self.assert_limited)):
            self.bn("endpoint", "update", "net", "limited", "--opt", f"rate-local={local}")
            for outwards in (False, True):
                self.assert_limited(4, self.remote, outwards)
                check(4, self.neighbour, outwards)

    def test_update_is_refused(self):
        """And what was set before stays."""
        self.create("fast", "--subnet", "172.29.0.0/24", "--mtu", "9000")
        self.attach("fast", "limited", "--opt", f"rate-in={RATE}")
        before = self.host.run("tc", "qdisc", "show").stdout
        self.fails("endpoint", "update", "fast", "limited", "--opt", "burst-in=8k",
                   mention=("burst-in", "8192", "9000"))
        self.assertEqual(before, self.host.run("tc", "qdisc", "show").stdout)

    def test_burst_is_too_small(self):
        """A burst that holds no packet would let none through."""
        self.create("fast", "--subnet", "172.29.0.0/24", "--mtu", "9000")
        namespace = self.net.endpoint("limited")
        for which in ("in", "out"):
            self.fails("attach", "fast", "limited", "--netns", namespace.path, "--opt",
                       f"rate-{which}={RATE}", "--opt", f"burst-{which}=8k",
                       mention=(f"burst-{which}", "8192", "9000"))

    def test_no_interface(self):
        """Where nothing of the library's is between the endpoint and the others."""
        namespace = self.net.endpoint("limited")
        self.fails("attach", "none", "limited", "--netns", namespace.path, "--opt",
                   f"rate-in={RATE}", mention=("none", "rates"))

    def test_namespace_is_lost(self):
        self.limited(f"rate-out={RATE}")
        self.assertEqual(1, len(self.host.ip("link", "show", "type", "ifb")))
        self.end.delete()
        self.net.endpoints.remove(self.end)
        self.net.namespaces.remove(self.end)

        def collected():
            self.bn("collect")
            return not self.host.ip("link", "show", "type", "ifb")
        # the kernel may not have ended it yet
        wait_until(collected, what="the device gone")


for_backend("nftables")(Bandwidth)
del Bandwidth


if __name__ == "__main__":
    unittest.main()
