# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is there is taken as it is by the next process, with no packet lost; and after a reboot what
is to come back comes back, and nothing else does."""
import json
import os
import shutil
import socket
import sqlite3
import struct
import threading
import time
import unittest

import oracle
from library import Library
from test_persistent import ARGV, PersistentTest
from topology import BACKENDS, FAMILIES, Bn, KernelTest, for_backend, for_each_backend, wait_until

SO_RCVBUFFORCE = 33  # Python does not know it


class Flood:
    """Numbered datagrams from outside to published ports, and which of them arrive and are
    answered."""

    PAUSE = 0.0002
    LOST = 5    # seconds after which what has not come never will

    def __init__(self, test, namespace, port):
        self.ended = threading.Event()
        self.threads, self.sent, self.arrived, self.answered = [], {}, {}, {}
        for family in FAMILIES:
            server = test.keep(namespace.udp(family, 80, timeout=0.2))
            client = test.keep(test.remote.udp(family, timeout=0.2))
            for made in (server, client):
                made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            client.connect((test.net.host_address(family), port))
            self.sent[family], self.arrived[family], self.answered[family] = 0, set(), set()
            self.threads += [threading.Thread(target=self.send, args=(family, client)),
                             threading.Thread(target=self.answer, args=(family, server)),
                             threading.Thread(target=self.listen, args=(family, client))]
        for thread in self.threads:
            thread.start()
        wait_until(lambda: all(len(heard) > 50 for heard in self.answered.values()),
                   what="the flood under way")

    def send(self, family, client):
        while not self.ended.is_set():
            client.send(struct.pack("!I", self.sent[family]))
            self.sent[family] += 1
            time.sleep(self.PAUSE)

    def take(self, family, made, into):
        """Until all has come after the end, or nothing any more for long."""
        last = time.monotonic()
        while True:
            try:
                data, peer = made.recvfrom(16)
            except TimeoutError:
                if self.ended.is_set() and (len(into) == self.sent[family] or
                                            time.monotonic() - last > self.LOST):
                    return
                continue
            last = time.monotonic()
            into.add(data)
            yield data, peer

    def answer(self, family, server):
        for data, peer in self.take(family, server, self.arrived[family]):
            server.sendto(data, peer)

    def listen(self, family, client):
        for _ in self.take(family, client, self.answered[family]):
            pass

    def end(self):
        """{family: (sent, lost on the way there, lost on the way back)}"""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return {family: (count, count - len(self.arrived[family]),
                         len(self.arrived[family]) - len(self.answered[family]))
                for family, count in self.sent.items()}


@for_each_backend
class Adoption(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.create("other", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.namespace = self.attach("net", "c1", "-p", "8080:80/udp", "-p", "8080:80")

    def objects(self):
        """What would be another if it had been made anew."""
        links = {name: (link["ifindex"], link.get("ifalias"), link["address"])
                 for name, link in self.host.links().items()}
        if self.backend == "nftables":
            rules = json.loads(self.host.run("nft", "-j", "-a", "list", "ruleset").stdout)
            handles = sorted((kind, thing.get("table"), thing.get("chain"), thing["handle"])
                             for entry in rules["nftables"] for kind, thing in entry.items()
                             if "handle" in thing)
        else:
            handles = None
        return links, handles

    def counted(self):
        return sum(rule["packets"] for rule in oracle.rules(self.bn, "-v")
                   if rule.get("target") in ("DNAT", "ACCEPT", "DROP"))

    def test_no_packet_is_lost(self):
        before = self.objects()
        flood = Flood(self, self.namespace, 8080)
        counted = self.counted()
        try:
            for _ in range(5):
                # processes that know nothing but what the state has
                self.bn("network", "ls")
                for argv in (("check",), ("repair",), ("check", "net", "c1"), ("repair", "net")):
                    result = self.bn.result("--json", *argv)
                    self.assertEqual(([], 0), (json.loads(result.stdout)["findings"],
                                               result.returncode))
                library = Library(self.net, self.backend)
                self.attach("other", "c2")
                library.publish("other", "c2", "8090:80")
                self.bn("detach", "other", "c2")
                library.close()
        finally:
            lost = flood.end()
        for family, (sent, there, back) in lost.items():
            self.assertGreater(sent, 500)
            self.assertEqual((0, 0), (there, back), f"of {sent} of IPv{family}")
        self.assertEqual(before, self.objects())
        self.assertGreaterEqual(self.counted(), counted)

    def test_none_while_something_else_is_mended(self):
        """What was right stays as it is beside what was not."""
        bridge, other = [oracle.network(self.bn, name)["bridge"] for name in ("net", "other")]
        before = self.objects()[0]
        flood = Flood(self, self.namespace, 8080)
        try:
            for damage in (f"link set {other} down", f"link set {other} name lost",
                           f"link set {other} mtu 1200", f"addr flush dev {other}",
                           f"link del {other}"):
                self.host.batch(damage + "\n")
                self.host.sysctl(f"net/ipv4/conf/{bridge}/route_localnet", 0)
                result = self.bn.result("--json", "repair")
                self.assertEqual(0, result.returncode, result.stdout + result.stderr)
                self.assertNotEqual([], json.loads(result.stdout)["findings"])
        finally:
            lost = flood.end()
        for family, (sent, there, back) in lost.items():
            self.assertEqual((0, 0), (there, back), f"of {sent} of IPv{family}")
        after = self.objects()[0]
        before.pop(other)
        after.pop(other)
        self.assertEqual(before, after)

    def test_connections_outlive_the_process(self):
        """One that made them is killed; the next goes on with what there is."""
        library = Library(self.net, self.backend)
        second = self.net.endpoint("c2")
        library.attach("net", "c2", second, ports=("8081:80",))
        talking = {}
        for family in FAMILIES:
            listener = self.keep(second.listen(family, 80))
            client = self.connect(self.remote, self.net.host_address(family), 8081)
            talking[family] = client, self.keep(listener.accept()[0])
        library.process.kill()
        library.close()
        result = self.bn.result("repair")
        self.assertEqual(0, result.returncode, result.stderr)
        for client, server in talking.values():
            client.sendall(b"still there")
            self.assertEqual(b"still there", server.recv(64))
            server.sendall(b"as before")
            self.assertEqual(b"as before", client.recv(64))
        self.bn("detach", "net", "c2")


@for_each_backend
class Reboot(PersistentTest):
    def repair(self, bn, *argv, code=0):
        result = bn.result("--json", "repair", *argv)
        self.assertEqual(code, result.returncode, result.stdout + result.stderr)
        return json.loads(result.stdout)["findings"]

    def check(self, bn, *argv, code=0):
        result = bn.result("--json", "check", *argv)
        self.assertEqual(code, result.returncode, result.stdout + result.stderr)
        return json.loads(result.stdout)["findings"]

    def kernel(self, bn, bridge):
        host = bn.bn.host
        link = host.link(bridge)
        return (link["address"], link["mtu"], link["ifalias"], "UP" in link["flags"],
                [host.addresses(bridge, family, scope=None) for family in FAMILIES])

    def test_repair_brings_them_back(self):
        """With ids, bridges, addresses and rules; and only those that are to outlive a boot."""
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "create", "named", "--persistent", "--bridge", "ownbr", "--subnet",
                 "172.31.0.0/24")
        self.pbn("network", "create", "passing", "--subnet", "172.29.0.0/24")
        before = {name: self.pbn.network(name) for name in ("blue", "named")}
        self.attach_to(self.pbn, "blue", "c1", "-p", "8080:80")
        kernel = {name: self.kernel(self.pbn, shown["bridge"]) for name, shown in before.items()}
        booted = self.boot()
        host = booted.bn.host
        # no bridge yet is no fault, and nothing is made by looking
        self.assertEqual([], self.check(booted))
        self.assertEqual([("network-unmade", False)] * 2,
                         [(found["code"], found["repaired"])
                          for found in self.repair(booted, "--plan", code=3)])
        self.assertEqual({"lo"}, set(host.links()))
        self.assertEqual({("network-unmade", "blue", True), ("network-unmade", "named", True)},
                         {(found["code"], found["network"], found["repaired"])
                          for found in self.repair(booted)})
        for name, shown in before.items():
            again = booted.network(name)
            for key in ("id", "name", "bridge", "mtu", "subnets", "reserved", "options"):
                self.assertEqual(shown[key], again[key], key)
            self.assertEqual(kernel[name], self.kernel(booted, shown["bridge"]))
        self.assertEqual({"blue", "named"}, self.names(booted))
        self.assertEqual([], oracle.endpoints(booted.bn))
        self.assertEqual([], self.check(booted))
        self.assertEqual([], self.repair(booted))
        # the address of the one that died with the boot is free
        namespace = self.attach_to(booted, "blue", "c2", "-p", "8080:80", "--ip", "172.30.0.11")
        self.assertEqual(["172.30.0.11/24"], namespace.addresses("eth0", 4))
        for gateway in ("172.30.0.9", "fd00:30::99"):
            namespace.ping(gateway)
        booted("detach", "blue", "c2")
        booted("network", "rm", "blue", "named")
        self.assertEqual([], self.files())
        self.assertEqual({"lo"}, set(host.links()))

    def test_one_alone(self):
        for number, name in enumerate(("blue", "green")):
            self.pbn("network", "create", name, "--persistent", "--subnet",
                     f"172.3{number}.0.0/24")
        booted = self.boot()
        self.repair(booted, "green")
        self.assertNotEqual("", booted.network("green")["bridge"])
        self.assertEqual("", booted.network("blue")["bridge"])
        booted("network", "rm", "green", "blue")

    def test_a_failure_leaves_it_as_it_was(self):
        self.pbn("network", "create", "blue", "--persistent", "--bridge", "ownbr", "--subnet",
                 "172.31.0.0/24")
        booted = self.boot()
        host = booted.bn.host
        host.batch("link add ownbr type veth peer name other\n")
        found, = self.repair(booted, code=3)
        self.assertEqual(("network-unmade", False), (found["code"], found["repaired"]))
        self.assertEqual(["blue.network"], self.files())
        self.assertEqual("", booted.network("blue")["bridge"])
        self.assertEqual({"lo", "ownbr", "other"}, set(host.links()))
        host.batch("link del ownbr\n")
        self.repair(booted)
        self.assertEqual("ownbr", booted.network("blue")["bridge"])
        booted("network", "rm", "blue")

    def test_a_state_that_outlived_its_boot(self):
        """/run of the boot before: its endpoints are dead, and their addresses are free."""
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "create", "passing", "--subnet", "172.29.0.0/24")
        self.attach_to(self.pbn, "blue", "c1", "-p", "8080:80")
        booted = self.boot()
        state = booted.bn.state
        shutil.rmtree(state)
        shutil.copytree(self.net.state, state)
        os.unlink(state + "/generation")  # a copy may be older than what is copied next
        connection = sqlite3.connect(state + "/state.db")
        about, = connection.execute("SELECT value FROM facts WHERE key = 'namespace'").fetchone()
        device, cookie, boot = about.split()
        connection.execute("UPDATE facts SET value = ? WHERE key = 'namespace'",
                           (" ".join((device, cookie, "0" * 8 + boot[8:])),))
        connection.commit()
        connection.close()
        self.assertEqual({"blue"}, {found["network"] for found in self.repair(booted)})
        self.assertEqual({"blue"}, self.names(booted))
        self.assertEqual([], oracle.endpoints(booted.bn))
        self.assertEqual([], self.check(booted))
        namespace = self.attach_to(booted, "blue", "c2", "--ip", "172.30.0.11", "-p", "8080:80")
        self.assertEqual(["172.30.0.11/24"], namespace.addresses("eth0", 4))
        booted("detach", "blue", "c2")
        booted("network", "rm", "blue")

    def test_a_state_of_another_namespace(self):
        """It is said, and neither looked at nor put right from here."""
        self.pbn("network", "create", "blue", *ARGV)
        elsewhere = self.net.namespace("elsewhere")
        for verb in ("check", "repair"):
            result = elsewhere.run(*self.bn.argv(verb), check=False)
            self.assertEqual((1, ""), (result.returncode, result.stdout))
            for words in ("another network namespace", "--take-over-state", self.net.state):
                self.assertIn(words, result.stderr)
        self.assertEqual(["lo"], [link["ifname"] for link in elsewhere.ip("link")])

    def test_a_definition_that_is_readable_by_now(self):
        """The first call could not read it; it is said, and taken in as soon as it can be."""
        for number, name in enumerate(("blue", "green")):
            self.pbn("network", "create", name, "--persistent", "--subnet",
                     f"172.3{number}.0.0/24")
        path = self.definitions / "blue.network"
        text = path.read_text()
        identity = self.pbn.network("blue")["id"]
        path.write_text("junk\n")
        booted = self.boot()
        booted.result("network", "ls")
        found, = self.check(booted, code=3)
        self.assertEqual("definition-damaged", found["code"])
        self.assertIn(str(path), found["is"])
        self.attach_to(booted, "green", "c1")
        path.write_text(text)
        found, = self.check(booted, code=3)
        self.assertEqual(("definition-missing", "blue", str(path)),
                         tuple(found[key] for key in ("code", "network", "object")))
        self.assertEqual({("definition-missing", True), ("network-unmade", True)},
                         {(found["code"], found["repaired"]) for found in self.repair(booted)})
        self.assertEqual(identity, booted.network("blue")["id"])
        self.assertIn(f"bn-{identity[:12]}", booted.bn.host.links())
        self.assertEqual([], self.check(booted))
        # and what is deleted does not come back
        booted("network", "rm", "blue")
        self.assertEqual([], self.check(booted))
        self.repair(booted)
        self.assertEqual({"green"}, self.names(booted))
        booted("detach", "green", "c1")
        booted("network", "rm", "green")


if __name__ == "__main__":
    unittest.main()
