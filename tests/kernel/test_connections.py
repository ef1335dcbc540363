# SPDX-License-Identifier: LGPL-2.1-or-later
"""connections: how many an endpoint may have open at once that it began itself."""
import contextlib
import select
import socket
import time
import unittest

import oracle
from findings import CheckTest
from library import Library
from topology import FAMILIES, PATIENCE, for_each_backend

PORT = 4000
LIMIT = 20


class ConnectionsTest(CheckTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.listeners = {family: self.keep(self.remote.listen(family, PORT, backlog=200))
                          for family in FAMILIES}

    def limited(self, name, number=LIMIT):
        return self.attach("net", name, "--opt", f"connections={number}")

    def set(self, name, number):
        self.bn("endpoint", "update", "net", name, "--opt", f"connections={number}")

    def open(self, client, family, tries, address=None, number=0):
        """The connections that come about, of so many tried at once; `number` are to."""
        opened, asked = [], []
        for _ in range(tries):
            asked.append(client.socket(family))
            asked[-1].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                asked[-1].connect((address or self.net.address("remote", family), PORT))
        # whoever is let through is so at once; and nobody by the second try, a second later
        quiet, end = time.monotonic() + 0.2, time.monotonic() + PATIENCE
        while time.monotonic() < (quiet if len(opened) >= number else end):
            ready = [one for one in asked if one not in opened and self.is_open(one)]
            if ready:
                quiet = time.monotonic() + 0.2
            opened += ready
            self.pause(0.02)
        for one in asked:
            if one not in opened:
                one.close()
        return [self.keep(one) for one in opened]

    def assert_open(self, number, client, family, tries, address=None):
        """So many come about, and no more."""
        self.assertEqual(number, len(self.open(client, family, tries, address, number)))

    def assert_room(self, client, family, number, tries):
        """So many come about: not at once after many that did not, since the kernel forgets of these
        a few at each try alone, and not again within one tick (nf_conncount.c)."""
        deadline = time.monotonic() + PATIENCE
        while True:
            opened = self.open(client, family, tries)
            self.assertLessEqual(len(opened), number)
            if len(opened) == number:
                return opened
            self.assertLess(time.monotonic(), deadline, f"{len(opened)} of {number}")
            self.end(opened)

    @staticmethod
    def end(opened):
        """By a reset: one that is closed at one side alone still counts."""
        for one in opened:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            one.close()

    @staticmethod
    def pause(seconds):
        select.select([], [], [], seconds)

    @staticmethod
    def is_open(one):
        try:
            one.getpeername()
        except OSError:
            return False
        return True

    def rules(self):
        return [rule for rule in oracle.rules(self.bn, "-v", "net") if "#conn" in rule["extra"]]

    def dropped(self, name, family):
        """The counter of its rule; None without one."""
        found = [rule["packets"] for rule in self.rules()
                 if rule["endpoint"] == name and (":" in rule["source"]) == (family == 6)]
        return found[0] if found else None

    def heard(self, family, count):
        """What arrives at the other end of so many connections."""
        heard = []
        self.listeners[family].settimeout(PATIENCE)
        for _ in range(count):
            server = self.keep(self.listeners[family].accept()[0])
            server.settimeout(PATIENCE)
            heard.append(server.recv(20))
        return heard

    def assert_nothing_left(self):
        """In the kernel itself."""
        if self.backend == "nftables":
            text = self.host.run("nft", "list", "table", "inet", "bridgenet").stdout
            self.assertNotIn("connections4", text)
            self.assertNotIn("ct count", text)
        for program in ("iptables-legacy-save", "ip6tables-legacy-save"):
            self.assertNotIn("connlimit", self.host.run(program).stdout)

    def damages(self, end):
        """(what somebody does, the code of what is found)"""
        if self.backend == "nftables":
            element = f"inet bridgenet connections4 {{ {end.address(4)}"
            return (
                (f"nft delete element {element} }}", "rule-missing"),
                (f"nft 'delete element {element} }}; "
                 f"add element {element} ct count over 7 counter }}'", "rule-altered"),
                ("nft -a list chain inet bridgenet mangle-prerouting | "
                 "sed -n 's/.*@connections6.*handle /nft delete rule inet bridgenet "
                 "mangle-prerouting handle /p' | sh -e", "rules-base"),
            )
        chain = "$(iptables-legacy-save -t mangle | sed -n 's/^:\\(BN-[^ ]*:count\\).*/\\1/p')"
        rule = (f"{chain} 1 -s {end.address(4)} -m conntrack ! --ctstatus CONFIRMED -m connlimit "
                "--connlimit-above 7 --connlimit-mask 32 --connlimit-saddr -j DROP")
        return (
            (f"iptables-legacy -t mangle -D {chain} 1", "rule-missing"),
            (f"iptables-legacy -t mangle -R {rule}", "rule-altered"),
            ("ip6tables-legacy -t mangle -F PREROUTING", "rule-missing"),
        )


@for_each_backend
class Connections(ConnectionsTest):
    def test_so_many_and_no_more(self):
        """Each has its own number, and others any."""
        few, more, other = self.limited("few", 5), self.limited("more"), self.attach("net", "other")
        for family in FAMILIES:
            with self.subTest(family=family):
                self.assert_open(5, few, family, 50)
                self.assert_open(LIMIT, more, family, 50)
                self.assert_open(50, other, family, 50)
                self.assertGreaterEqual(self.dropped("few", family), 45)
                self.assertGreaterEqual(self.dropped("more", family), 30)

    def test_to_the_host_itself(self):
        end = self.limited("few", 5)
        for family in FAMILIES:
            self.keep(self.host.listen(family, PORT, backlog=200))
            self.assert_open(5, end, family, 10, self.net.host_address(family))

    def test_datagrams(self):
        """A flow goes on that nobody answers."""
        end = self.limited("few", 3)
        for family in FAMILIES:
            server = self.keep(self.remote.udp(family))
            to = (self.net.address("remote", family), server.getsockname()[1])
            clients = [self.keep(end.udp(family)) for _ in range(6)]
            for _ in range(10):
                for client in clients:
                    client.sendto(b"x", to)
            arrived = [server.recvfrom(10)[1] for _ in range(30)]
            self.assert_silent(server, 0.2)
            self.assertEqual(3, len(set(arrived)))

    def test_what_others_begin_does_not_count(self):
        end = self.limited("few", 1)
        self.bn("publish", "net", "few", "-p", "8080:80")
        servers = self.serve(end, 80)
        for family in FAMILIES:
            self.assert_open(1, end, family, 3)
            for _ in range(3):
                self.assert_tcp(self.remote, self.net.host_address(family), 8080,
                                servers[family])

    def test_one_that_ends_makes_room(self):
        end = self.limited("few", 2)
        for family in FAMILIES:
            self.end(self.open(end, family, 100))
            self.assert_room(end, family, 2, 4)

    def test_changed_while_it_lives(self):
        """What is open stays, and what others have counted."""
        end, other = self.limited("few", 3), self.limited("other", 1)
        for family in FAMILIES:
            opened = self.open(end, family, 5, number=3)
            self.assertEqual(3, len(opened))
            self.assert_open(1, other, family, 4)
            counted = self.dropped("other", family)
            self.assertGreaterEqual(counted, 3)
            self.set("few", 1)
            for one in opened:
                one.send(b"still there")
            self.assertEqual([b"still there"] * 3, self.heard(family, 3))
            self.assert_room(end, family, 1, 5)
            self.set("few", 0)
            self.assert_open(20, end, family, 20)
            self.assertIsNone(self.dropped("few", family))
            self.assertEqual(counted, self.dropped("other", family))
            self.set("few", 3)
        self.assertEqual("3", oracle.endpoint(self.bn, "net", "few", verbose=True)["options"]
                         ["connections"])

    def test_whoever_comes_next_to_the_address_has_none(self):
        end = self.limited("few", 1)
        addresses = [word for family in FAMILIES for word in ("--ip", end.address(family))]
        self.bn("detach", "net", "few")
        self.assertEqual([], self.rules())
        heir = self.attach("net", "heir", *addresses)
        for family in FAMILIES:
            self.assert_open(10, heir, family, 10)
        self.assert_nothing_left()

    def test_check_and_repair(self):
        end = self.limited("few", 5)
        for command, code in self.damages(end):
            with self.subTest(command=command):
                self.host.run("sh", "-ec", command)
                self.assertIn(code, self.codes())
                self.repair()
                self.assert_clean()
                for family in FAMILIES:
                    self.end(self.assert_room(end, family, 5, 10))

    def test_one_look_does_not_speak_for_another(self):
        """In one context, and with nothing changed in between."""
        end = self.limited("few", 5)
        self.attach("net", "other")
        library = Library(self.net, self.backend)
        self.addCleanup(library.close)
        command, code = self.damages(end)[-1]
        self.host.run("sh", "-ec", command)
        self.assertEqual([], library.check("net", "other"))
        self.assertIn(code, [one["code"] for one in library.check("net", "few")])
        self.repair()
        insert, delete = (
            ("nft insert rule inet bridgenet mangle-prerouting accept",
             "nft -a list chain inet bridgenet mangle-prerouting | sed -n 's/.*\taccept # handle /"
             "nft delete rule inet bridgenet mangle-prerouting handle /p' | sh -e")
            if self.backend == "nftables" else
            ("iptables-legacy -t mangle -I PREROUTING -j ACCEPT",
             "iptables-legacy -t mangle -D PREROUTING -j ACCEPT"))
        self.host.run("sh", "-ec", insert)
        library.check("net", "other")
        found = [one["code"] for one in library.check()]
        self.assertEqual(self.codes(), found)
        self.assertNotEqual([], found)
        self.host.run("sh", "-ec", delete)

    def test_moved_to_the_other_backend(self):
        end = self.limited("few", 5)
        other = {"nftables": "iptables-legacy", "iptables-legacy": "nftables"}[self.backend]
        self.bn.backend = "auto"
        self.addCleanup(setattr, self.bn, "backend", self.backend)
        self.bn("backend", "switch", other)
        for family in FAMILIES:
            self.assert_open(5, end, family, 10)
        self.assert_clean()
        self.bn("backend", "switch", self.backend)
        for family in FAMILIES:
            self.assert_open(5, end, family, 10)

    def test_refused_where_nothing_counts(self):
        self.bn("network", "create", "plain", "--opt", "managed=no")
        end = self.net.endpoint("few")
        self.fails("attach", "plain", "few", "--netns", end.path, "--opt", "connections=5",
                   mention=("managed=no",))
        self.fails("attach", "host", "few", "--opt", "connections=5", mention=("no interface",))
        self.fails("attach", "net", "few", "--netns", end.path, "--opt", "connections=1000001",
                   mention=("connections", "1000000"))
        self.assertEqual([], oracle.endpoints(self.bn))
        self.bn("attach", "host", "few")
        self.fails("endpoint", "update", "host", "few", "--opt", "connections=5",
                   mention=("no interface",))


if __name__ == "__main__":
    unittest.main()
