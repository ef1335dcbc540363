# SPDX-License-Identifier: LGPL-2.1-or-later
"""IP packets made by hand, whoever they claim to be from, and those that come back."""
import ipaddress
import socket
import struct

from frames import ETH_P_IP, ETH_P_IPV6, NEXT_ICMPV6, Sniffer, checksum, mac_bytes
from topology import PATIENCE

ICMP, TCP, UDP = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP
FIN, SYN, RST, PSH, ACK, URG = (1 << bit for bit in range(6))
ECHO_REQUEST, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}


def packet(source, destination, protocol, body, hops=64, extension=b""):
    """An IP packet; `extension` is a header of IPv6 that begins with the next one's number."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if source.version == 6:
        first = socket.IPPROTO_HOPOPTS if extension else protocol
        return struct.pack("!IHBB16s16s", 0x60000000, len(extension + body), first, hops,
                           source.packed, destination.packed) + extension + body
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, hops, protocol, 0,
                         source.packed, destination.packed)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def _summed(source, destination, protocol, body, at):
    """The body with its checksum, which begins at `at`."""
    pseudo = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    pseudo += struct.pack("!II", len(body), protocol)
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]


def udp(source, destination, data):
    """From (address, port) to (address, port)."""
    body = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data
    return packet(source[0], destination[0], UDP,
                  _summed(source[0], destination[0], UDP, body, 6))


def tcp(source, destination, flags, data=b"", sequence=0, acknowledged=0, wrong_sum=False):
    """From (address, port) to (address, port)."""
    body = struct.pack("!HHIIBBHHH", source[1], destination[1], sequence, acknowledged, 0x50,
                       flags, 65535, 0, 0) + data
    body = _summed(source[0], destination[0], TCP, body, 16)
    if wrong_sum:
        body = body[:16] + bytes([body[16] ^ 0xff]) + body[17:]
    return packet(source[0], destination[0], TCP, body)


def icmpv6(source, destination, kind, rest, hops=255, extension=b""):
    body = struct.pack("!BBH", kind, 0, 0) + rest
    return packet(source, destination, NEXT_ICMPV6,
                  _summed(source, destination, NEXT_ICMPV6, body, 2), hops, extension)


def echo(source, destination, kinds, data):
    """A request or a reply, of either family."""
    if ":" in source:
        return icmpv6(source, destination, kinds[6], struct.pack("!HH", 7, 7) + data, 64)
    body = struct.pack("!BBHHH", kinds[4], 0, 0, 7, 7) + data
    return packet(source, destination, ICMP,
                  body[:2] + struct.pack("!H", checksum(body)) + body[4:])


class Segment:
    """The TCP or UDP packet of a frame; the protocol is None of others."""

    def __init__(self, frame):
        self.protocol = None
        data = frame.data
        if frame.kind not in (ETH_P_IP, ETH_P_IPV6):
            return
        six = frame.kind == ETH_P_IPV6
        addresses, at = ((data[22:38], data[38:54]), 54) if six else \
            ((data[26:30], data[30:34]), 34)
        protocol = data[20 if six else 23]
        if protocol not in (TCP, UDP):
            return
        self.protocol = protocol
        ports = struct.unpack("!HH", data[at:at + 4])
        self.source, self.destination = (
            (str(ipaddress.ip_address(address)), port) for address, port in zip(addresses, ports))
        self.data = data[at + 8:]
        if protocol == TCP:
            self.sequence, = struct.unpack("!I", data[at + 4:at + 8])
            self.flags = data[at + 13]
            self.data = data[at + (data[at + 12] >> 4) * 4:]


class Wire(Sniffer):
    """A machine's interface; what is sent by it goes to one MAC address, that of a router."""

    def __init__(self, namespace, to, interface="eth0"):
        super().__init__(namespace, interface)
        self.to = to
        self.mac = namespace.link(interface)["address"]

    def send(self, data, to=None):
        kind = ETH_P_IPV6 if data[0] >> 4 == 6 else ETH_P_IP
        self.socket.send(mac_bytes(to or self.to) + mac_bytes(self.mac) +
                         struct.pack("!H", kind) + data)

    def segments(self, wanted=lambda segment: True, count=0, seconds=0.0):
        """Those that came in, and were waited for until they are as many."""
        def is_wanted(frame):
            segment = Segment(frame)
            return not frame.outgoing and segment.protocol and wanted(segment)

        return [Segment(frame) for frame in self.await_frames(is_wanted, count, seconds)]


class Connection:
    """A TCP connection by hand, where the kernel would not have one."""

    def __init__(self, wire, source, destination):
        self.wire = wire
        self.ends = source, destination
        self.sequence = 1000
        self._send(SYN)

    def _send(self, flags, data=b"", acknowledged=0):
        self.wire.send(tcp(*self.ends, flags, data, self.sequence, acknowledged))

    def _answer(self, wanted, seconds):
        return self.wire.segments(
            lambda segment: segment.protocol == TCP and wanted(segment) and
            (segment.destination, segment.source) == self.ends, 1, seconds)

    def opened(self, seconds=PATIENCE):
        """Whether the other side took it up."""
        answers = self._answer(lambda segment: segment.flags & (SYN | ACK) == SYN | ACK, seconds)
        if not answers:
            return False
        self.sequence += 1
        self.next = (answers[0].sequence + 1) & 0xffffffff
        self._send(ACK, acknowledged=self.next)
        return True

    def ask(self, data):
        self._send(PSH | ACK, data, self.next)

    def heard(self, seconds=PATIENCE):
        answers = self._answer(lambda segment: segment.data, seconds)
        return answers[0].data if answers else b""
