# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames as they are on the wire: some to send, and those that pass by an interface."""
import ipaddress
import select
import socket
import struct
import time

from topology import PATIENCE

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 3, 0x0800, 0x0806, 0x86dd
SO_TIMESTAMPNS = 35
NEXT_ICMPV6 = 58
ALL_NODES = "33:33:00:00:00:01"
ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT = 134, 136


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def packet_socket(namespace, interface):
    with namespace:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        made.bind((interface, 0))
    return made


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def router_advertisement(mac, source, prefix, to=ALL_NODES):
    """Of a router that has itself taken for one, and a /64 to pick addresses from."""
    source = ipaddress.ip_address(source).packed
    destination = ipaddress.ip_address("ff02::1").packed
    body = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0x08, 1800, 0, 0)
    body += struct.pack("!BB6s", 1, 1, mac_bytes(mac))
    body += struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, 3600, 3600, 0,
                        ipaddress.ip_address(prefix).packed)
    sum_ = checksum(source + destination + struct.pack("!II", len(body), NEXT_ICMPV6) + body)
    body = body[:2] + struct.pack("!H", sum_) + body[4:]
    header = struct.pack("!IHBB16s16s", 0x60000000, len(body), NEXT_ICMPV6, 255, source,
                         destination)
    return mac_bytes(to) + mac_bytes(mac) + struct.pack("!H", ETH_P_IPV6) + \
        header + body


def arp_request(mac, source, target):
    """For everybody on the wire."""
    return b"\xff" * 6 + mac_bytes(mac) + struct.pack(
        "!HHHBBH6s4s6s4s", ETH_P_ARP, 1, ETH_P_IP, 6, 4, 1, mac_bytes(mac),
        socket.inet_aton(source), bytes(6), socket.inet_aton(target))


class Frame:
    """What a test asks of a frame; `when` is in seconds."""

    def __init__(self, data, when=0.0, outgoing=False):
        self.when = when
        self.outgoing = outgoing
        self.data = data
        self.to = data[:6].hex(":")
        self.mac = data[6:12].hex(":")
        self.kind = struct.unpack("!H", data[12:14])[0]

    @property
    def destination(self):
        """The address of an IP packet that is under way to there, else None."""
        if self.kind == ETH_P_IP:
            return str(ipaddress.ip_address(self.data[30:34]))
        return str(ipaddress.ip_address(self.data[38:54])) if self.kind == ETH_P_IPV6 else None

    @property
    def icmpv6(self):
        return self.data[54] if self.kind == ETH_P_IPV6 and self.data[20] == NEXT_ICMPV6 else None

    @property
    def advertised(self):
        """(address, MAC) that an endpoint tells unasked, by ARP or neighbour discovery."""
        if self.kind == ETH_P_ARP:
            source, target = self.data[28:32], self.data[38:42]
            return (socket.inet_ntoa(source), self.data[22:28].hex(":")) \
                if source == target else None
        if self.icmpv6 == NEIGHBOUR_ADVERTISEMENT and not self.data[58] & 0x40:
            return str(ipaddress.ip_address(self.data[62:78])), self.data[80:86].hex(":")
        return None


class Sniffer:
    """What passes an interface, from now on."""

    def __init__(self, namespace, interface):
        self.socket = packet_socket(namespace, interface)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.frames = []

    def _take(self, seconds):
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        data, ancillary, _, address = self.socket.recvmsg(65536, 256)
        when = [struct.unpack("qq", value[:16]) for level, kind, value in ancillary
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
        if len(data) >= 14:
            self.frames.append(Frame(data, when[0][0] + when[0][1] / 1e9,
                                     address[2] == socket.PACKET_OUTGOING))
        return True

    def seen(self, wanted, seconds=0.0):
        """The frames so far that `wanted` is true of, and those of the seconds to come."""
        deadline = time.monotonic() + seconds
        while self._take(max(0.0, deadline - time.monotonic())):
            pass
        return [frame for frame in self.frames if wanted(frame)]

    def await_frames(self, wanted, count, seconds=PATIENCE):
        """Those that `wanted` is true of, once they are as many, or no more come."""
        deadline = time.monotonic() + seconds
        found = self.seen(wanted)
        while len(found) < count and self._take(max(0.0, deadline - time.monotonic())):
            found = self.seen(wanted)
        return found

    def close(self):
        self.socket.close()
