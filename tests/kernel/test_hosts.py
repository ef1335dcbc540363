# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host is after the last verb as it was before the first, whatever it is like, and also when a
verb in between failed: its links, addresses and routes, its settings, and the rule sets of both
packet filters with all that they have counted."""
import itertools
import os
import time
import unittest

import hosts
import snapshot
from topology import PATIENCE, for_backend, for_each_backend

OWN = ("own", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")
# of one network and of the other
PORTS = {"own": 8000, "adopted": 9000}
# Where a verb fails at one of so many steps, by backend; or at all of them, and everywhere.
FAILING = {"nftables": ["autoconfigured", "bridge_with_uplink", "table_of_our_name"],
           "iptables-legacy": ["bridge_with_uplink", "docker_legacy"]}
STRIDE = 3
if os.environ.get("BN_SOAK"):
    FAILING, STRIDE = dict.fromkeys(FAILING, list(hosts.HOSTS)), 1


class HostsTest(unittest.TestCase):
    backend = None

    def site(self, name):
        self.name = name
        self.net = hosts.Site(self.backend, name)
        self.addCleanup(self.net.close)
        self.before = self.net.take()

    def bn(self, *argv, **options):
        result = self.net.bn(*argv, **options)
        self.assertEqual(0, result.returncode, f"bn {' '.join(argv)}: {result.stderr}")
        return result.stdout

    def assert_as(self, before, what):
        """What the kernel has put off has its time."""
        deadline = time.monotonic() + PATIENCE
        while found := snapshot.differences(before, self.net.take()):
            if time.monotonic() > deadline:
                self.fail(f"{what}:\n" + "\n".join(found))
            time.sleep(0.02)

    # ---- what the verbs are called with ----

    def networks(self):
        return {"own": OWN, **({"adopted": ("adopted", *self.net.adopt)} if self.net.adopt else {})}

    @staticmethod
    def ports(network):
        first = PORTS[network]
        return ("-p", f"{first + 80}-{first + 89}:80-89", "-p", f"127.0.0.1:{first + 43}:443",
                "-p", f"{first + 53}:53/udp")

    def attach_words(self, network, namespace):
        return ("attach", network, "web", "--netns", namespace.path,
                "-p", f"{PORTS[network]}:8000", "-p", f"127.0.0.1:{PORTS[network] + 1}:8001")


def on_each(names):
    """A test of a class for each host named, which is its check() there."""
    def add(case):
        for name in names:
            setattr(case, f"test_{name}", lambda self, name=name: self.check(name))
        return case
    return add


@for_each_backend
@on_each(hosts.HOSTS)
class Hosts(HostsTest):
    def check(self, name):
        self.site(name)
        networks = self.networks()
        undo = []
        for network, words in networks.items():
            self.bn("network", "create", *words)
            self.bn(*self.attach_words(network, self.net.endpoint(network)))
            if self.net.meddle:
                undo.append(self.net.meddle())
            self.bn("publish", network, "web", *self.ports(network))
        self.assert_at_work()
        for network in networks:
            self.bn("unpublish", network, "web", *self.ports(network))
            self.bn("detach", network, "web")
        for call in undo:
            call()
        for network in networks:
            self.bn("network", "rm", network)
        self.assert_as(self.before, "after the last verb")

    def assert_at_work(self):
        """It would be as before as well if nothing had been done."""
        found = snapshot.differences(self.before, self.net.take())
        for part in ("links and addresses", "nft" if self.backend == "nftables" else
                     "iptables-legacy-save"):
            self.assertTrue(any(line.startswith(part) for line in found), found)


class FailingTest(HostsTest):
    """A verb that makes something leaves nothing, one that removes something has done it when it is
    called again."""

    def steps(self, *argv):
        """Which of argv's steps failed, and whether argv did, until there is no such step: then it
        is done."""
        first = 1 + FAILING[self.backend].index(self.name) % STRIDE
        for step in itertools.count(first, STRIDE):
            result = self.net.bn(*argv, fault=step)
            failed = self.net.fault()
            if failed is None:
                self.assertEqual(0, result.returncode, result.stderr)
                self.assertGreater(step, first)
                return
            yield f"{' '.join(argv[:3])}: step {step}, {failed}", result.returncode != 0

    def make(self, *argv, undo):
        before = self.net.take()
        for what, failed in self.steps(*argv):
            if not failed:
                self.bn(*undo, fault=0)
            with self.subTest(what):
                self.assert_as(before, what)

    def remove(self, *argv, again, without):
        for what, failed in self.steps(*argv):
            if failed:
                # it says that it is gone, or it is gone now
                self.net.bn(*argv, fault=0)
            with self.subTest(what):
                self.assert_as(without, what)
            self.bn(*again, fault=0)

    def check(self, name):
        self.site(name)
        network, words = list(self.networks().items())[-1]
        namespace = self.net.endpoint("web")
        create = ("network", "create", *words)
        attach = self.attach_words(network, namespace)
        publish = (network, "web", *self.ports(network))
        self.make(*create, undo=("network", "rm", network))
        # a bridge is another one after its first port than before
        self.bn(*attach, fault=0)
        self.bn("detach", network, "web", fault=0)
        made = self.net.take()
        self.make(*attach, undo=("detach", network, "web"))
        attached = self.net.take()
        self.make("publish", *publish, undo=("unpublish", *publish))
        self.remove("unpublish", *publish, again=("publish", *publish), without=attached)
        self.bn("publish", *publish, fault=0)
        self.remove("detach", network, "web", again=attach, without=made)
        self.remove("network", "rm", network, again=create, without=self.before)
        self.assert_as(self.before, "after the last verb")


for backend, names in FAILING.items():
    for_backend(backend)(on_each(names)(type("Failing", (FailingTest,), {"__module__": __name__})))


if __name__ == "__main__":
    unittest.main()
