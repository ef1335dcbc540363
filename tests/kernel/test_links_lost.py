# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links of ours that somebody has renamed, links of others under the names of ours, and bridges that
are not as they have to be."""
import errno
import itertools
import shlex

import oracle
from library import DELETE_ENDPOINTS, DETACH_QUICK, Failed, Library
from topology import BACKENDS, FAMILIES, KernelTest, for_backend

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
LENGTH = {4: 24, 6: 64}


class LinksTest(KernelTest):
    """The packet filter has no part in it."""

    def setUp(self):
        super().setUp()
        self.foreign = []

    def remove_all(self):
        """What is not ours is there meanwhile."""
        complaints = super().remove_all()
        for name in self.foreign:
            self.host.run("ip", "link", "del", name)
        return complaints

    def library(self):
        made = Library(self.net, self.backend)
        self.addCleanup(made.close)
        return made

    def bridge(self):
        return oracle.network(self.bn, "net")["bridge"]

    def host_end(self, endpoint):
        return next(name for name, link in self.host.links().items()
                    if str(link.get("ifalias", "")).endswith("/" + endpoint))

    def with_index(self, index):
        """The link, or None."""
        return next((link for link in self.host.links().values() if link["ifindex"] == index), None)

    def make_foreign(self, name):
        """One that is up on a bridge that is not ours."""
        self.host.batch("link add brx type bridge\n"
                        f"link add {name} type veth peer name foreign-peer\n"
                        f"link set {name} master brx\n"
                        f"link set {name} up\n")
        self.foreign += [name, "brx"]
        return self.host.link(name)

    def assert_untouched(self, foreign):
        now = self.with_index(foreign["ifindex"])
        for key in ("ifname", "master", "flags", "ifalias", "group"):
            self.assertEqual(foreign.get(key), now.get(key), key)


@for_backend(BACKENDS[0])
class Ends(LinksTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.first = self.attach("net", "c1", "--ip", "172.30.0.9")
        self.name = self.host_end("c1")
        self.index = self.host.link(self.name)["ifindex"]

    def rename(self, *more):
        self.host.batch(f"link set {self.name} name renamed\n" +
                        "".join(f"link set renamed {words}\n" for words in more))

    def assert_successor_alone(self):
        """The address is another's now, and nobody else answers for it."""
        second = self.attach("net", "c2", "--ip", "172.30.0.9")
        server = self.keep(second.udp(4, 7000))
        for _ in range(3):
            self.assert_udp(self.host, "172.30.0.9", 7000, server)
            self.assertEqual(second.link("eth0")["address"], next(
                entry["lladdr"] for entry in self.host.ip("neigh", "show", "to", "172.30.0.9")))
            self.host.run("ip", "neigh", "flush", "dev", self.bridge())
        self.bn("detach", "net", "c2")

    def state(self):
        return oracle.endpoint(self.bn, "net", "c1")["state"]

    def check_detached(self, foreign=None):
        self.assertIsNone(self.with_index(self.index))
        self.assertNotIn("eth0", self.first.links())
        if foreign:
            self.assert_untouched(foreign)
        self.assert_successor_alone()

    def test_renamed(self):
        self.rename()
        self.assertEqual("running", self.state())
        self.host.batch("link set renamed down\n")
        self.assertEqual("cut", self.state())
        self.bn("detach", "net", "c1")
        self.check_detached()

    def test_renamed_and_its_name_taken(self):
        self.rename()
        foreign = self.make_foreign(self.name)
        self.assertEqual("running", self.state())
        self.bn("detach", "net", "c1")
        self.check_detached(foreign)

    def test_renamed_without_its_alias(self):
        """Known by its MAC, and by the namespace that its other end is in."""
        self.rename("alias 'the admin'")
        self.bn("detach", "net", "c1")
        self.check_detached()

    def test_another_of_that_mac(self):
        """Whose other end is elsewhere."""
        mac = self.host.link(self.name)["address"]
        self.host.batch(f"link del {self.name}\n")
        foreign = self.make_foreign("mine")
        self.host.batch(f"link set mine address {mac}\n")
        self.bn("detach", "net", "c1")
        self.assert_untouched(foreign)

    def test_deleted_and_its_name_taken(self):
        self.host.batch(f"link del {self.name}\n")
        foreign = self.make_foreign(self.name)
        self.bn("detach", "net", "c1")
        self.check_detached(foreign)

    def test_quickly(self):
        for more in ((), ("alias 'the admin'",)):
            with self.subTest(more):
                self.rename(*more)
                foreign = self.make_foreign(self.name)
                self.library().detach("net", "c1", flags=DETACH_QUICK)
                ours = self.with_index(self.index)
                self.assertNotIn("master", ours)
                self.assertNotIn("UP", ours["flags"])
                self.assert_untouched(foreign)
                self.assert_successor_alone()
                self.host.batch("link del renamed\n")
                self.host.batch(f"link del {self.name}\nlink del brx\n")
                self.foreign.clear()
            self.first = self.attach("net", "c1", "--ip", "172.30.0.9")
            self.name = self.host_end("c1")
            self.index = self.host.link(self.name)["ifindex"]

    def test_with_its_network(self):
        self.rename()
        foreign = self.make_foreign(self.name)
        self.library().delete("net", flags=DELETE_ENDPOINTS)
        self.assertIsNone(self.with_index(self.index))
        self.assert_untouched(foreign)

    def test_second_on_the_same_network(self):
        """It is still there, so the two could be made a ring."""
        self.rename()
        self.fails("attach", "net", "c2", "--netns", self.first.path, mention="as endpoint c1")


class BridgeTest(LinksTest):
    """A network of both families with an endpoint on it."""

    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.first = self.attach("net", "c1")
        self.name = self.bridge()
        # one that has seen the bridge as it should be, and one that has not
        self.verbs = [self.library(), self.library()]
        self.verbs[0].attach("net", "c2", self.net.endpoint("c2"))
        self.verbs[0].detach("net", "c2")
        self.published = 8000

    def refused(self, code, mention, attach=True):
        """Neither verb returns 0, and both say what to do: that."""
        second = self.net.endpoint("c2")
        told = set()
        before = (self.host.links().keys(), oracle.ruleset(self.host))
        verbs = ("attach", "publish") if attach else ("publish",)
        for verb, library in itertools.product(verbs, self.verbs):
            with self.assertRaises(Failed) as caught:
                if verb == "attach":
                    library.attach("net", "c2", second)
                else:
                    library.publish("net", "c1", f"{self.published}:80")
            failure = caught.exception
            self.assertEqual(errno.errorcode[code], errno.errorcode.get(failure.errno), failure)
            for text in (mention, self.name, "net"):
                self.assertIn(text, str(failure))
            told.add(str(failure))
        self.assertEqual(before, (self.host.links().keys(), oracle.ruleset(self.host)))
        self.assertEqual(1, len(told))
        return told.pop()

    def follow(self, sentence):
        for command in sentence.rsplit(": ", 1)[1].split("; "):
            self.host.run(*shlex.split(command))

    def assert_works(self):
        """What was refused is not any more, and packets go where they should."""
        second = self.attach("net", "c2")
        self.bn("publish", "net", "c1", "-p", f"{self.published}:80")
        for family in FAMILIES:
            listener = self.keep(self.first.listen(family, 80))
            self.assert_tcp(self.remote, self.net.host_address(family), self.published, listener)
            if family == 4:
                self.assert_tcp(self.host, "127.0.0.1", self.published, listener)
            outside = self.keep(self.remote.udp(family, 7000))
            self.assert_udp(second, self.net.address("remote", family), 7000, outside)
            outside.close()
            listener.close()
        self.bn("detach", "net", "c2")
        self.published += 1


@for_backend(BACKENDS[0])
class Bridges(BridgeTest):
    def test_down(self):
        self.host.batch(f"link set {self.name} down\n")
        self.follow(self.refused(errno.ENETDOWN, "is down"))
        # the kernel has taken its addresses of IPv6
        self.follow(self.refused(errno.ENETDOWN, "has lost its addresses"))
        self.assert_works()

    def test_without_its_address(self):
        for family in FAMILIES:
            with self.subTest(family):
                self.host.batch(f"addr del {GATEWAY[family]}/{LENGTH[family]} dev {self.name}\n")
                self.follow(self.refused(errno.ENETDOWN, f"its address {GATEWAY[family]}"))
                self.assert_works()

    def test_not_forwarding(self):
        for key in (f"net/ipv4/conf/{self.name}/forwarding", "net/ipv4/ip_forward",
                    "net/ipv6/conf/all/forwarding"):
            with self.subTest(key):
                self.host.sysctl(key, 0)
                if "ipv6" in key:
                    self.host.run("bash", "-c", "for file in /proc/sys/net/ipv6/conf/*/"
                                  "force_forwarding; do echo 0 >$file; done")
                self.follow(self.refused(errno.ENETDOWN, "does not forward IPv" +
                                         ("6" if "ipv6" in key else "4")))
                self.host.sysctl("net/ipv6/conf/all/forwarding", 1)
                self.assert_works()

    def test_without_route_localnet(self):
        self.host.sysctl(f"net/ipv4/conf/{self.name}/route_localnet", 0)
        sentence = self.refused(errno.ENETDOWN, "127.0.0.0/8", attach=False)
        # which one that is not for the host's own connections does without
        self.bn("publish", "net", "c1", "-p", f"{self.net.host_address(4)}:7999:80")
        self.follow(sentence)
        self.assert_works()

    def test_renamed(self):
        self.host.batch(f"link set {self.name} name renamed\n")
        self.follow(self.refused(errno.ENODEV, "renamed"))
        self.assert_works()
        # found by an alternative name, which rules don't go by
        self.host.batch(f"link set {self.name} name renamed\n"
                        f"link property add dev renamed altname {self.name}\n")
        sentence = self.refused(errno.ENODEV, "renamed")
        self.host.batch(f"link property del dev renamed altname {self.name}\n")
        self.follow(sentence)

    def test_renamed_and_its_name_taken(self):
        index = self.host.link(self.name)["ifindex"]
        self.host.batch(f"link set {self.name} name renamed\n")
        foreign = self.make_foreign(self.name)
        self.refused(errno.ENODEV, "renamed")
        self.library().delete("net", flags=DELETE_ENDPOINTS)
        self.assertIsNone(self.with_index(index))
        self.assert_untouched(foreign)

    def test_deleted_and_its_name_taken(self):
        """By a bridge of somebody else's, which nothing joins."""
        self.host.batch(f"link del {self.name}\n"
                        f"link add {self.name} type bridge\n"
                        f"link set {self.name} up\n")
        self.foreign.append(self.name)
        foreign = self.host.link(self.name)
        self.assertIsNone(self.bn.json("network", "inspect", "net")["interface"])
        self.refused(errno.ENODEV, "not the bridge of network net")
        self.library().delete("net", flags=DELETE_ENDPOINTS)
        self.assert_untouched(foreign)

    def test_without_its_alias(self):
        """Its name and the MAC that it was given say whose it is."""
        for alias in ("", "the admin"):
            with self.subTest(alias):
                self.host.run("ip", "link", "set", self.name, "alias", alias)
                self.assert_works()
        self.library().delete("net", flags=DELETE_ENDPOINTS)
        self.assertNotIn(self.name, self.host.links())

    def test_deleted(self):
        self.host.batch(f"link del {self.name}\n")
        self.assertIn("bn repair", self.refused(errno.ENODEV, "does not exist any more"))
        self.bn("repair")
        self.assert_works()

    def test_without_a_port(self):
        """It has no carrier then, which is as it should be."""
        self.bn("detach", "net", "c1")
        self.assertNotIn("LOWER_UP", self.host.link(self.name)["flags"])
        self.first = self.attach("net", "c1")
        self.assert_works()


@for_backend(BACKENDS[0])
class Adopted(BridgeTest):
    def create(self, name="net", *argv, dual=False, **options):
        self.host.batch("link add brf type bridge\n")
        self.host.settle("brf")
        self.foreign.append("brf")
        return super().create(name, *argv, "--bridge", "brf", dual=dual, **options)

    def test_down(self):
        self.host.batch("link set brf down\n")
        self.follow(self.refused(errno.ENETDOWN, "is down"))
        self.follow(self.refused(errno.ENETDOWN, "has lost its address"))
        self.assert_works()
        self.library().delete("net", flags=DELETE_ENDPOINTS)

    def test_renamed(self):
        self.host.batch("link set brf name renamed\n")
        self.refused(errno.ENODEV, "does not exist any more")
        self.host.batch("link set renamed name brf\n")
        self.library().delete("net", flags=DELETE_ENDPOINTS)
