# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a watch tells of what others do, and what it does not; and bn watch --repair."""
import json
import os
import select
import signal
import subprocess
import time
import unittest

import oracle
from topology import PATIENCE, KernelTest, bn_binary, for_backend, for_each_backend, wait_until



class Watch:
    """bn watch --json; events are kept until they are asked for."""

    def __init__(self, test, *flags):
        self.process = test.bn.popen("--json", "watch", *flags, stdout=subprocess.PIPE)
        test.processes.append(self.process)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text, self.events = "", []
        # it hears once its descriptor is polled
        path = f"/proc/{self.process.pid}/wchan"
        stat = f"/proc/{self.process.pid}/syscall"
        wait_until(lambda: self.is_polling(stat, path), what="the watch to begin")

    @staticmethod
    def is_polling(stat, wchan):
        with open(wchan) as file:
            return "poll" in file.read()

    def read(self, seconds):
        if select.select([self.process.stdout], [], [], seconds)[0]:
            self.text += os.read(self.process.stdout.fileno(), 1 << 16).decode()
        *lines, self.text = self.text.split("\n")
        self.events += [json.loads(line) for line in lines]

    def take(self, kind, mention=(), network=None, endpoint=None):
        """The next event of that kind, which mentions that; those before it are forgotten."""
        end = time.monotonic() + PATIENCE
        passed = []
        while time.monotonic() < end:
            while self.events:
                event = self.events.pop(0)
                if event["kind"] == kind and all(word in event["text"] for word in mention) and \
                        network in (None, event["network"]) and \
                        endpoint in (None, event["endpoint"]):
                    return event
                passed.append(event)
            self.read(0.5)
        raise AssertionError(f"no {kind} event with {mention}, but {passed}")

    def rest(self, seconds=1.5):
        """All that comes in that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
        events, self.events = self.events, []
        return events


class WatchTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1", "-p", "8080:80")

    def watch(self, *flags):
        return Watch(self, *flags)

    def host_interface(self):
        return next(name for name in self.host.links() if name.startswith("bv"))

    def bridge(self):
        return next(entry["bridge"] for entry in oracle.networks(self.bn)
                    if entry["name"] == "net")

    def flush(self):
        if self.backend == "nftables":
            self.host.run("nft", "flush", "ruleset")
        else:
            self.host.run("iptables-legacy", "-t", "nat", "-F")

    def repair(self):
        self.bn("repair")


@for_each_backend
class Rules(WatchTest):
    def test_a_flush(self):
        watch = self.watch()
        self.flush()
        self.assertIn(watch.take("rules", ["base of the rules"])["program"], ("nft", ""))
        self.repair()
        watch.rest()
        self.flush()
        watch.take("rules", ["base of the rules"])
        self.repair()

    def test_verbs_of_others_are_no_damage(self):
        watch = self.watch()
        for _ in range(3):
            self.bn("publish", "net", "c1", "-p", "8081:81")
            self.bn("unpublish", "net", "c1", "-p", "8081:81")
            self.attach("net", "c2")
            self.bn("detach", "net", "c2")
        kinds = {event["kind"] for event in watch.rest()}
        self.assertEqual({"state"}, kinds)

    def test_rules_of_others_are_none_of_ours(self):
        watch = self.watch()
        self.host.run("nft", "add", "table", "ip", "other")
        self.host.run("iptables-legacy", "-A", "INPUT", "-s", "192.0.2.77", "-j", "ACCEPT")
        self.host.run("iptables-legacy", "-D", "INPUT", "-s", "192.0.2.77", "-j", "ACCEPT")
        self.host.run("nft", "delete", "table", "ip", "other")
        self.assertEqual([], watch.rest())


@for_backend("nftables")
class RulesOfNftables(WatchTest):
    def test_one_element(self):
        watch = self.watch()
        rules = self.host.run("nft", "list", "ruleset").stdout
        name, inside = None, ""
        for line in rules.splitlines():
            words = line.split()
            if words[:1] == ["map"]:
                name = words[1]
            if "8080" in line and "elements" in line and name:
                inside = line.split("{")[1].split("counter")[0].strip()
                break
        self.assertTrue(inside, rules)
        self.host.run("nft", "delete", "element", "inet", "bridgenet", name, "{", inside, "}")
        self.assertEqual("nft", watch.take("rules", network="net")["program"])
        self.repair()

    def test_dormant(self):
        watch = self.watch()
        self.host.run("nft", "add", "table", "inet", "bridgenet", "{", "flags", "dormant;", "}")
        watch.take("rules")
        self.repair()


@for_each_backend
class Links(WatchTest):
    def test_the_interface_down_and_deleted(self):
        watch = self.watch()
        self.host.run("ip", "link", "set", self.host_interface(), "down")
        watch.take("link", ["down"], "net", "c1")
        self.repair()
        watch.rest()
        self.host.run("ip", "link", "del", self.host_interface())
        watch.take("link", ["missing"], "net", "c1")
        self.repair()

    def test_off_its_bridge(self):
        watch = self.watch()
        self.host.run("ip", "link", "set", self.host_interface(), "nomaster")
        watch.take("link", [self.bridge()], "net", "c1")
        self.repair()

    def test_renamed_without_its_alias(self):
        watch = self.watch()
        name = self.host_interface()
        self.host.batch(f"link set {name} alias nothing\nlink set {name} name other0\n")
        watch.take("link", [name], "net", "c1")
        self.repair()

    def test_the_bridge(self):
        watch = self.watch()
        self.host.run("ip", "link", "set", self.bridge(), "down")
        watch.take("link", ["down"], "net", "")
        self.repair()

    def test_forwarding(self):
        watch = self.watch()
        self.host.sysctl("net/ipv4/ip_forward", 0)
        watch.take("link", ["forwarding"], "")
        self.repair()

    def test_inside_of_the_namespace(self):
        watch = self.watch()
        self.namespace.run("ip", "route", "del", "default")
        watch.take("link", ["route"], "net", "c1")
        self.repair()
        watch.rest()
        self.namespace.run("ip", "-4", "addr", "flush", "dev", "eth0")
        watch.take("link", ["address"], "net", "c1")
        self.repair()
        watch.rest()
        self.namespace.run("ip", "link", "set", "eth0", "down")
        watch.take("link", ["down"], "net", "c1")
        self.repair()

    def test_the_namespace_ends_although_it_is_watched(self):
        watch = self.watch()
        self.namespace.delete()
        watch.take("link", ["namespace"], "net", "c1")

        def collected():
            self.bn("collect")
            return not oracle.endpoints(self.bn)
        # the kernel may not have ended it yet
        wait_until(collected, what="the endpoint detached")
        watch.take("state", ["detached"], "net", "c1")


@for_each_backend
class State(WatchTest):
    def test_what_is_made_and_removed(self):
        watch = self.watch()
        self.bn("network", "create", "blue")
        watch.take("state", ["made"], "blue", "")
        self.attach("blue", "c2")
        watch.take("state", ["attached"], "blue", "c2")
        self.bn("publish", "blue", "c2", "-p", "8082:82")
        watch.take("state", ["ports"], "blue", "c2")
        self.bn("network", "update", "blue", "--label", "a=b")
        watch.take("state", ["changed"], "blue", "")
        self.bn("detach", "blue", "c2")
        watch.take("state", ["detached"], "blue", "c2")
        self.bn("network", "rm", "blue")
        watch.take("state", ["deleted"], "blue", "")


@for_each_backend
class Listeners(WatchTest):
    def test_one_that_comes_later(self):
        watch = self.watch("--listeners")
        self.keep(self.host.listen(4, 8080))
        watch.take("listener", ["8080"], "net", "c1")
        self.assertEqual([], watch.rest(3))


@for_each_backend
class Storms(WatchTest):
    def change_another(self, times):
        """That often, a link that is none of ours."""
        self.host.batch("link add other type bridge\n" +
                        "link set other mtu 1400\nlink set other mtu 1300\n" * (times // 2) +
                        "link del other\n")

    def test_links_of_others_do_not_starve_ours(self):
        watch = self.watch()
        self.change_another(2000)
        self.host.run("ip", "link", "set", self.host_interface(), "down")
        watch.take("link", ["down"], "net", "c1")
        self.repair()

    def test_what_is_lost_is_told(self):
        watch = self.watch()
        watch.process.send_signal(signal.SIGSTOP)
        self.change_another(20000)
        self.host.run("ip", "link", "set", self.host_interface(), "down")
        watch.process.send_signal(signal.SIGCONT)
        watch.take("lost", ["everything"], "", "")
        watch.take("link", ["down"], "net", "c1")
        self.repair()


@for_each_backend
class Repairing(WatchTest):
    def test_it_begins_with_a_repair(self):
        self.host.run("ip", "link", "set", self.host_interface(), "down")
        watch = self.watch("--repair")
        watch.take("repaired", ["down"], "net", "c1")

    def test_all_is_put_back(self):
        watch = self.watch("--repair")
        server = self.serve(self.namespace, 80, (4,))[4]
        for _ in range(3):
            self.flush()
            watch.take("repaired")
        self.host.run("ip", "link", "set", self.host_interface(), "down")
        watch.take("repaired", ["down"])
        self.host.sysctl("net/ipv4/ip_forward", 0)
        watch.take("repaired", ["forwarding"])
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, server)
        self.bn("check")

    def test_a_signal_ends_it_with_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            watch = self.watch("--repair")
            watch.process.send_signal(number)
            self.assertEqual(0, watch.process.wait(PATIENCE))


if __name__ == "__main__":
    unittest.main()
