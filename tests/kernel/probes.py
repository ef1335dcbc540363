# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many connections, datagrams and pings at once between machines, and what became of each.

All sockets are the test's own and never block, so a table of a hundred probes takes as long as the
one that is waited for: `patience`, for those that nobody answers.
"""
import contextlib
import errno
import functools
import itertools
import os
import select
import socket
import struct
import time

from frames import checksum
from topology import FAMILIES, PATIENCE, af

TCP_PORT, UDP_PORT = 80, 53
ICMP = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
# those of a probe are nobody's again for long: what the host knows of a flow outlives its sockets
FIRST_PORT, PORTS = 10000, 22000
STRAY = b"stray answer"
HOPS = 8
# until a datagram that nobody stopped has surely arrived, of however many are under way
QUIET = 0.08


class Probe:
    """A question and, once it was asked, its result in words."""

    def __init__(self, client, server, family, protocol, address, port=0, source=None):
        self.client, self.server, self.family, self.protocol = client, server, family, protocol
        self.address, self.port, self.source = address, port, source

    @property
    def name(self):
        where = f"{self.server}:{self.port}" if self.port else self.server
        source = f" as {self.source}" if self.source else ""
        return f"{self.client}{source} to {where}, IPv{self.family} {self.protocol}"


def drain():
    """Until the packets that the kernel has put off are dealt with. Where others keep a processor
    busy, all that passes a pair of interfaces there waits in one line; so one sent over the loopback
    interface arrives after those, and as often as one is sent they have come a hop further."""
    everywhere = os.sched_getaffinity(0)
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(PATIENCE)
        try:
            for processor in sorted(everywhere) * HOPS:
                os.sched_setaffinity(0, {processor})
                made.sendto(b"", made.getsockname())
                made.recv(1)
        finally:
            os.sched_setaffinity(0, everywhere)


def watch(waiting, others, patience):
    """Hand what is ready to its callable by descriptor, until none of `waiting` is left or there
    was nothing for a while. A callable that says so is done with."""
    quiet = time.monotonic() + patience
    end = quiet + PATIENCE
    with contextlib.closing(select.epoll()) as poller:
        for fd in (*waiting, *others):
            poller.register(fd, select.EPOLLIN)
        while waiting and time.monotonic() < end:
            ready = poller.poll(max(0.0, quiet - time.monotonic()))
            if not ready:
                drain()
                ready = poller.poll(0)
            if not ready:
                return
            quiet = time.monotonic() + patience
            for fd, _ in ready:
                if (waiting.get(fd) or others[fd])():
                    waiting.pop(fd, None)
                    poller.unregister(fd)


class Servers:
    """On every machine, in both families, for TCP and UDP, that say whom they see; and one that
    hears answers to pings which nobody sent."""

    def __init__(self, machines):
        self.callables, self.sockets, self.served = {}, [], []
        self.arrived = {}
        for name, machine in machines.items():
            for family in FAMILIES:
                with machine:
                    icmp = socket.socket(af(family), socket.SOCK_RAW, ICMP[family][0])
                for made, ready in ((machine.listen(family, TCP_PORT, backlog=256), self._accept),
                                    (machine.udp(family, UDP_PORT), self._answer),
                                    (icmp, self._stray)):
                    made.setblocking(False)
                    self.sockets.append(made)
                    self.callables[made.fileno()] = functools.partial(ready, name, made)

    def _accept(self, name, listener):
        with contextlib.suppress(BlockingIOError):
            while True:
                made, peer = listener.accept()
                self.served.append(made)
                made.setblocking(False)
                with contextlib.suppress(OSError):
                    made.send(f"{name} saw {peer[0]}".encode())

    def _answer(self, name, datagram):
        with contextlib.suppress(BlockingIOError):
            while True:
                question, peer = datagram.recvfrom(64)
                self.arrived[question] = f"{name} saw {peer[0]}"
                with contextlib.suppress(OSError):
                    datagram.sendto(question + b" " + self.arrived[question].encode(), peer)

    def _stray(self, name, icmp):
        with contextlib.suppress(BlockingIOError):
            while True:
                data, peer = icmp.recvfrom(256)
                if data.endswith(STRAY):
                    self.arrived[data[-len(STRAY) - 4:-len(STRAY) - 2]] = f"{name} saw {peer[0]}"

    def take(self):
        """What was accepted is the caller's."""
        taken, self.served = self.served, []
        return taken

    def hang_up(self):
        for made in self.take():
            made.close()

    def close(self):
        self.hang_up()
        for made in self.sockets:
            made.close()


class Round:
    """Probes all asked at once, and watched until the answers cease."""

    numbers = itertools.count(1)

    def __init__(self, machines, servers, patience=QUIET):
        self.machines, self.servers, self.patience = machines, servers, patience
        self.open, self.results, self.over = {}, {}, []

    def ask(self, probes, flows=None):
        """{the probe's name: what became of it}, and the same of flows that go on meanwhile"""
        self.servers.arrived.clear()
        clients, servers = flows.go_on(self.results) if flows else ({}, {})
        by_client = sorted(probes, key=lambda probe: probe.client)
        for client, group in itertools.groupby(by_client, key=lambda probe: probe.client):
            with self.machines[client]:
                sockets = [(probe, self._socket(probe)) for probe in group]
            for probe, made in sockets:
                self._begin(probe, made)
        waiting = {fd: functools.partial(self._answered, fd) for fd in self.open}
        watch({**waiting, **clients}, {**servers, **self.servers.callables}, self.patience)
        for fd in list(self.open):
            self._end(fd, "silence")
        for made in self.over:
            made.close()
        self.servers.hang_up()
        return self.results

    @staticmethod
    def _socket(probe):
        if probe.protocol in ("icmp", "stray"):
            made = socket.socket(af(probe.family), socket.SOCK_RAW, ICMP[probe.family][0])
        else:
            kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
            made = socket.socket(af(probe.family), kind)
        made.setblocking(False)
        return made

    def _begin(self, probe, made):
        number = next(self.numbers) & 0xffff
        self.open[made.fileno()] = (probe, made, number)
        port = {"tcp": TCP_PORT, "udp": UDP_PORT}.get(probe.protocol, 0)
        try:
            if probe.protocol in ("tcp", "udp"):
                made.bind((probe.source or "", FIRST_PORT + number % PORTS))
            made.connect((probe.address, probe.port or port))
            if probe.protocol == "udp":
                made.send(f"{number}".encode())
            elif probe.protocol != "tcp":
                made.send(self._echo(probe, number))
        except BlockingIOError:
            pass
        except OSError as problem:
            self._end(made.fileno(), errno.errorcode[problem.errno])

    @staticmethod
    def _echo(probe, number):
        stray = probe.protocol == "stray"
        kind = ICMP[probe.family][1 + stray]
        message = struct.pack("!BBHHH", kind, 0, 0, number, 1) + STRAY * stray
        # the kernel sums those of IPv6
        return message if probe.family == 6 else \
            message[:2] + struct.pack("!H", checksum(message)) + message[4:]

    def _answered(self, fd):
        probe, made, number = self.open[fd]
        try:
            data = made.recv(256)
        except BlockingIOError:
            return False
        except OSError as problem:
            self._end(fd, errno.errorcode[problem.errno])
            return True
        if probe.protocol == "stray":
            return False
        if probe.protocol == "icmp":
            message = data[(data[0] & 0xf) * 4:] if probe.family == 4 else data
            if (message[0], struct.unpack("!H", message[4:6])[0]) != (ICMP[probe.family][2],
                                                                     number):
                return False
            data = b"pong"
        elif probe.protocol == "udp":
            data = data.partition(b" ")[2]
        self._end(fd, data.decode() or "closed")
        return True

    def _end(self, fd, result):
        probe, made, number = self.open.pop(fd)
        if result == "silence" and probe.protocol in ("udp", "stray"):
            key = f"{number}".encode() if probe.protocol == "udp" else struct.pack("!H", number)
            heard = self.servers.arrived.get(key)
            result = f"{heard}, unanswered" if heard else result
        if result == "silence" and probe.protocol == "tcp" and is_connected(made):
            result = "connected, unheard"
        self.results[probe.name] = result
        # not closed yet: the number would be another's, while it is watched
        self.over.append(made)


def is_connected(made):
    try:
        made.getpeername()
        return True
    except OSError:
        return False


class Flows:
    """Connections and exchanges from before. Each round has connections of its own, since TCP waits
    longer after each loss."""

    def __init__(self, machines, servers, pairs, rounds):
        """pairs: [(client, server, family, address)]"""
        self.servers = servers
        self.all, self.datagrams = [], []
        self.rounds = [[] for _ in range(rounds)]
        for client, server, family, address in pairs:
            name = f"established: {client} to {server}, IPv{family}"
            self._begin(self.datagrams, name, machines[client], socket.SOCK_DGRAM, address)
            for connections in self.rounds:
                self._begin(connections, name, machines[client], socket.SOCK_STREAM, address)
        waiting = {made.fileno(): functools.partial(made.recv, 256) for made in self.all}
        watch(waiting, servers.callables, PATIENCE)
        if waiting:
            raise AssertionError(f"{len(waiting)} flows did not come about")
        self.served = servers.take()

    def _begin(self, flows, name, client, kind, address):
        made = client.socket(address, kind)
        self.all.append(made)
        try:
            made.connect((address, UDP_PORT if kind == socket.SOCK_DGRAM else TCP_PORT))
        except OSError as problem:
            raise AssertionError(f"{name} does not come about: {problem}") from problem
        if kind == socket.SOCK_DGRAM:
            made.send(b"begin")
        made.setblocking(False)
        flows.append((f"{name} {'udp' if kind == socket.SOCK_DGRAM else 'tcp'}", made))

    def go_on(self, results):
        """A word from each client; ({descriptor: callable}, the same of the servers), for watch(),
        which leave in `results` what became of it."""
        flows = self.datagrams + self.rounds.pop(0)
        results.update((name, "silence") for name, _ in flows)
        for _, made in flows:
            # of the round before; what is sent with it pending is not sent
            made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            with contextlib.suppress(OSError):
                made.send(b"more")
        return ({made.fileno(): functools.partial(self._heard, results, name, made)
                 for name, made in flows},
                {made.fileno(): functools.partial(self._echo, made) for made in self.served})

    @staticmethod
    def _heard(results, name, made):
        try:
            results[name] = "passes" if made.recv(256) else "closed"
        except OSError as problem:
            results[name] = errno.errorcode[problem.errno]
        return True

    @staticmethod
    def _echo(made):
        try:
            return made.send(made.recv(64)) == 0
        except OSError:
            return True

    def close(self):
        for made in self.all + self.served:
            made.close()
