# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unpublishing a port by whose mapping nothing came looks for no flows: each way in which a mapping
can have counted nothing and there are flows all the same."""
import re
import unittest

import oracle
from test_flows import ADDRESS, AT, TWO, FlowsTest
from topology import BACKENDS, FAMILIES, for_backend

TABLE = ("inet", "bridgenet")
# as strace(1) says it of a socket that it knows, and of others
REMOVES = r"nlmsg_type=(0xa0e|\S*NFT_MSG_DELSETELEM)\b"
DROPS = r"nlmsg_type=(0x10[12]|\S*IPCTNL_MSG_CT_(?:GET|DELETE))\b"


@for_backend("nftables")
class Counted(FlowsTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", *AT)
        # else no flow would be taken for one that began with a packet
        self.assertEqual({"0"}, self.inserted())

    def inserted(self):
        return set(re.findall(r"\binsert=(\d+)", self.host.run("conntrack", "-S").stdout))

    def publish(self, *specs):
        self.bn("publish", "net", "c1", *[word for spec in specs for word in ("-p", spec)])

    def unpublish(self, spec):
        self.bn("unpublish", "net", "c1", "-p", spec)

    def counts(self):
        return {key[0] * 100000 + key[3]: found[2] for key, found in self.oracle.ports().items()}

    def assert_unmet(self, *ports):
        """By the mappings that there are now."""
        counts = self.counts()
        for family in FAMILIES:
            for port in ports:
                self.assertEqual(0, counts[family * 100000 + port])

    def assert_ended(self, sides, spec="8080:80"):
        """What goes on until then ends when the port is unpublished."""
        for each in sides:
            self.assert_lives(each)
        self.unpublish(spec)
        self.assertEqual({"0"}, self.inserted())
        for each in sides:
            self.assert_dead(each)
            for made in each:
                made.close()
        for family in FAMILIES:
            self.assert_no_flows(family)

    def both(self, port=8080):
        return [self.talk(family, port) for family in FAMILIES]

    def requests(self, *argv):
        """What bn asks conntrack for flows, or to drop some."""
        text = self.host.run("strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0", "-e",
                             "trace=sendmsg", *self.bn.argv(*argv)).stderr
        self.assertRegex(text, REMOVES)
        return re.findall(DROPS, text)

    def test_is_spared(self):
        self.publish("8080:80", "9000-9003:5000-5003", "127.0.0.1:8081:80", "8053:53/udp")
        for spec in ("8080:80", "9000-9003:5000-5003", "127.0.0.1:8081:80", "8053:53/udp"):
            with self.subTest(spec=spec):
                self.assertEqual([], self.requests("unpublish", "net", "c1", "-p", spec))
        self.publish("8080:80")
        sides = self.talk(4, 8080)
        self.assertNotEqual([], self.requests("unpublish", "net", "c1", "-p", "8080:80"))
        self.assert_dead(sides)

    def test_is_spared_to_the_ports_of_an_attach(self):
        self.attach("net", "c2", "-p", "8090:80")
        self.assertEqual([], self.requests("unpublish", "net", "c2", "-p", "8090:80"))

    def test_of_one_family(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.publish("8080:80")
                self.assert_ended([self.talk(family, 8080)])

    def test_one_of_a_range(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.publish("9000-9003:5000-5003")
                sides = self.talk(family, 9002, server=5002)
                self.assert_ended([sides], "9000-9003:5000-5003")

    def test_one_of_several(self):
        self.publish("8080:80", "8081:80", "8082:80")
        sides = self.talk(4, 8081)
        self.bn("unpublish", "net", "c1", "-p", "8080:80", "-p", "8081:80", "-p", "8082:80")
        self.assert_dead(sides)

    def test_udp(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.publish("8053:53/udp")
                server = self.keep(self.namespace.udp(family, 53))
                self.datagram(self.remote, self.net.host_address(family), 8053, server)
                self.unpublish("8053:53/udp")
                self.assert_no_flows(family)
                server.close()

    def test_bound_to_loopback(self):
        self.publish("127.0.0.1:8081:80")
        listener = self.serve(self.namespace, 80, (4,))[4]
        made = self.connect(self.host, "127.0.0.1", 8081)
        self.converse(made, listener)
        self.unpublish("127.0.0.1:8081:80")
        self.assert_dead((made, self.server_side))
        self.assert_no_flows(4)

    def test_made_again(self):
        """By the next change, and by one that adds a port."""
        for what in (("flush", "ruleset"), ("delete", "table", *TABLE)):
            for change in (("network", "create", "two", *TWO), ("publish", "net", "c1", "-p",
                                                                "8099:80")):
                with self.subTest(what=what, change=change):
                    self.publish("8080:80")
                    sides = self.both()
                    self.host.run("nft", *what)
                    self.bn(*change)
                    self.assert_unmet(8080)
                    self.assert_ended(sides)
                    if "two" in change:
                        self.bn("network", "rm", "two")
                    else:
                        self.unpublish("8099:80")

    def test_is_missing(self):
        for families in ((4,), (6,), FAMILIES):
            with self.subTest(families=families):
                self.publish("8080:80")
                sides = self.both()
                for family in families:
                    self.host.run("nft", "flush", "map", *TABLE, f"ports{family}")
                self.assert_ended(sides)

    def test_moved_there_and_back(self):
        if len(BACKENDS) < 2:
            self.skipTest("BN_BACKENDS names one backend alone")
        self.publish("8080:80")
        sides = self.both()
        self.bn.backend = "auto"
        self.addCleanup(setattr, self.bn, "backend", self.backend)
        for name in ("iptables-legacy", self.backend):
            self.bn("backend", "switch", name)
        self.assert_unmet(8080)
        self.assert_ended(sides)

    def test_loaded_again(self):
        """A listing without counters, as configuration is kept."""
        self.publish("8080:80")
        sides = self.both()
        text = self.host.run("nft", "-s", "list", "table", *TABLE).stdout
        self.assertIn('comment "net/c1"', text)
        self.oracle.flush()
        self.host.run("nft", "-f", "-", stdin=text)
        self.assert_unmet(8080)
        self.assert_ended(sides)

    def element(self, verb, family, end):
        self.host.run("nft", verb, "element", *TABLE, f"ports{family}",
                      f"{{ tcp . 8080 {end} }}")

    def value(self, family, endpoint="c1"):
        return f'comment "net/{endpoint}" : {ADDRESS[family]} . 80'

    def test_added_again_by_hand(self):
        self.publish("8080:80")
        sides = self.both()
        for family in FAMILIES:
            self.element("delete", family, "")
            self.element("add", family, self.value(family))
        self.assert_unmet(8080)
        self.assert_ended(sides)

    def test_one_family_added_again_by_hand(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.publish("8080:80")
                sides = self.talk(family, 8080)
                self.element("delete", family, "")
                self.element("add", family, self.value(family))
                self.assert_unmet(8080)
                self.assert_ended([sides])

    def test_was_there_before(self):
        """By hand, as it is to be; and of one that is no more, which makes room."""
        for endpoint in ("c1", "gone"):
            with self.subTest(endpoint=endpoint):
                for family in FAMILIES:
                    self.element("add", family, self.value(family, endpoint))
                sides = self.both()
                for family in FAMILIES:
                    self.element("delete", family, "")
                    self.element("add", family, self.value(family, endpoint))
                self.publish("8080:80")
                self.assert_unmet(8080)
                self.assert_ended(sides)

    def test_listing_shows_no_mark(self):
        """nft(8) shows the owner, and the library what it planned."""
        self.publish("8080:80")
        self.talk(4, 8080)
        self.assertIn('comment "net/c1"',
                      self.host.run("nft", "list", "map", *TABLE, "ports4").stdout)
        self.assertEqual(1, self.counts()[4 * 100000 + 8080])
        kernel, plan = ([rule["purpose"] for rule in oracle.rules(self.bn, "-v", *argv)]
                        for argv in ((), ("--plan",)))
        self.assertEqual(plan, kernel)


if __name__ == "__main__":
    unittest.main()
