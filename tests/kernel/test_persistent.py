# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks that outlive the state: one file each, and the same network after a reboot."""
import itertools
import os
import pathlib
import shutil
import tempfile
import unittest

import oracle
from topology import Bn, KernelTest, for_each_backend

boots = itertools.count()

ARGV = ("--subnet", "172.30.0.0/24", "--ip-range", "172.30.0.9-172.30.0.20", "--subnet",
        "fd00:30::/64", "--gateway", "fd00:30::99", "--reserve", "172.30.0.10", "--mtu", "1400",
        "--opt", "label.note=a=b 'c'", "--opt", "source-ports=keep")


class Persistent:
    """bn with a directory of definitions."""

    def __init__(self, host, state, backend, directory):
        self.bn = Bn(host, state, backend)
        self.option = ("--option", f"persistent-dir={directory}")

    def __call__(self, *argv):
        return self.bn(*self.option, *argv)

    def result(self, *argv):
        return self.bn.result(*self.option, *argv)

    def network(self, name):
        return self.bn.json(*self.option, "network", "inspect", name)


class PersistentTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=self.net.prefix))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.definitions = self.directory / "definitions"
        self.pbn = Persistent(self.host, self.net.state, self.backend, self.definitions)

    def boot(self):
        """Another host, with an empty state and the same directory."""
        state = tempfile.mkdtemp(prefix=self.net.prefix)
        self.addCleanup(shutil.rmtree, state, True)
        namespace = self.net.namespace(f"boot{next(boots)}")
        namespace.run("ip", "link", "set", "lo", "up")
        return Persistent(namespace, state, self.backend, self.definitions)

    def files(self):
        return sorted(os.listdir(self.definitions)) if self.definitions.exists() else []

    def text(self, name="blue"):
        return (self.definitions / f"{name}.network").read_text()

    def names(self, bn):
        return {entry["name"] for entry in bn.bn.json(*bn.option, "network", "ls")} - \
            {"bridge", "host", "none"}

    def attach_to(self, bn, network, role, *argv):
        namespace = self.net.endpoint(role)
        bn("attach", network, role, "--netns", namespace.path, *argv)
        return namespace

    def said(self, bn, *argv, code=0):
        result = bn.result(*argv)
        self.assertEqual(code, result.returncode, result.stderr)
        return result.stderr


@for_each_backend
class Reboot(PersistentTest):
    def test_it_is_the_same_again(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "create", "named", "--persistent", "--bridge", "ownbr", "--subnet",
                 "172.31.0.0/24")
        self.pbn("network", "create", "passing", "--subnet", "172.29.0.0/24")
        before = {name: self.pbn.network(name) for name in ("blue", "named")}
        self.assertEqual(["blue.network", "named.network"], self.files())
        self.assertTrue(before["blue"]["persistent"])
        self.assertFalse(self.pbn.network("passing")["persistent"])
        booted = self.boot()
        self.assertEqual({"blue", "named"}, self.names(booted))
        for name, shown in before.items():
            again = booted.network(name)
            for key in ("id", "name", "mtu", "subnets", "reserved", "options", "persistent"):
                self.assertEqual(shown[key], again[key], key)
            # it comes with the first endpoint
            self.assertEqual("", again["bridge"])
        self.assertEqual({"lo"}, set(booted.bn.host.links()))
        namespace = self.attach_to(booted, "blue", "c1", "-p", "8080:80")
        self.assertEqual(["172.30.0.11/24"], namespace.addresses("eth0", 4))
        self.assertEqual(1400, namespace.link("eth0")["mtu"])
        self.assertEqual(before["blue"]["bridge"], booted.network("blue")["bridge"])
        for gateway in ("172.30.0.9", "fd00:30::99"):
            namespace.ping(gateway)
        self.attach_to(booted, before["named"]["id"], "d1")
        self.assertEqual("ownbr", booted.network("named")["bridge"])
        # and the next one is as any other
        self.attach_to(booted, "blue", "c2")
        booted("detach", "blue", "c1", "c2")
        booted("detach", "named", "d1")
        booted("network", "rm", "blue", "named")
        self.assertEqual([], self.files())
        self.assertEqual(set(), self.names(booted))
        self.assertEqual({"lo"}, set(booted.bn.host.links()))
        self.assertEqual(set(), self.names(self.boot()))

    def test_one_without_its_bridge(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        identity = self.pbn.network("blue")["id"]
        booted = self.boot()
        self.assertIn("blue", self.said(booted, "network", "create", "blue", code=1))
        self.assertEqual(identity + "\n", booted("network", "create", "blue", "--existing-ok",
                                                 "--persistent", *ARGV))
        # its subnet and its id are taken
        self.assertIn("blue", self.said(booted, "network", "create", "x", "--subnet",
                                        "172.30.0.0/25", code=1))
        self.assertIn("blue", self.said(booted, "network", "create", "x", "--id", identity, code=1))
        self.assertIn("blue", self.said(booted, "network", "create", "x", "--bridge",
                                        f"bn-{identity[:12]}", code=1))
        self.assertIn("endpoint", self.said(booted, "network", "update", "blue", "--opt",
                                            "icc=no", code=1))
        # an attach that fails leaves it as it was
        namespace = self.net.endpoint("late")
        self.said(booted, "attach", "blue", "late", "--netns", namespace.path, "--ip", "10.0.0.1",
                  code=1)
        self.assertEqual("", booted.network("blue")["bridge"])
        self.assertEqual(["blue.network"], self.files())
        # and so does its removal, of the network that it is on
        self.attach_to(booted, "blue", "c1")
        booted("detach", "blue", "c1", "--delete-empty")
        self.assertEqual([], self.files())
        self.assertEqual(set(), self.names(booted))

    def test_removed_without_its_bridge(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        booted = self.boot()
        booted("network", "rm", "blue")
        self.assertEqual([], self.files())
        self.assertEqual(set(), self.names(booted))
        booted("network", "create", "blue", "--persistent", "--subnet", "172.30.0.0/24")
        booted("network", "rm", "blue")

    def test_an_update_is_kept(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "update", "blue", "--opt", "icc=no", "--mtu", "1300")
        again = self.boot().network("blue")
        self.assertEqual(("no", 1300), (again["options"]["icc"], again["mtu"]))
        self.assertIn("option icc=no\n", self.text())


@for_each_backend
class Files(PersistentTest):
    def test_private(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.assertEqual(0o700, self.definitions.stat().st_mode & 0o777)
        self.assertEqual(0o600, (self.definitions / "blue.network").stat().st_mode & 0o777)
        self.assertEqual(["bridgenet-network 1", "end"], [self.text().splitlines()[i]
                                                          for i in (0, -1)])

    def test_no_directory(self):
        self.fails("network", "create", "blue", "--persistent", mention=("blue", "persistent-dir"))
        result = self.bn.result("--option", "persistent-dir=", "network", "create", "blue",
                                "--persistent")
        self.assertEqual(1, result.returncode)
        self.assertIn("persistent-dir", result.stderr)
        result = self.pbn.result("network", "create", "bridge", "--persistent")
        self.assertEqual(1, result.returncode)
        self.assertIn("bridge", result.stderr)
        self.assertEqual([], self.files())

    def test_what_fails_leaves_no_file(self):
        self.definitions.mkdir(0o700)
        self.host.run("ip", "link", "add", "busy0", "type", "veth", "peer", "name", "busy1")
        try:
            for argv in (("--bridge", "busy0"), ("--subnet", "172.30.0.1/24"),
                         ("--opt", "nonesuch=1")):
                self.assertEqual(1, self.pbn.result("network", "create", "blue", "--persistent",
                                                    *argv).returncode)
                self.assertEqual([], self.files())
        finally:
            self.host.run("ip", "link", "del", "busy0")

    def test_directories_that_are_not_to_be_trusted(self):
        self.definitions.mkdir(0o700)
        for make, undo in (
                (lambda: self.definitions.chmod(0o777), lambda: self.definitions.chmod(0o700)),
                (lambda: os.chown(self.definitions, 65534, 65534),
                 lambda: os.chown(self.definitions, 0, 0))):
            make()
            result = self.pbn.result("network", "create", "blue", "--persistent", *ARGV)
            self.assertEqual(1, result.returncode)
            self.assertIn(str(self.definitions), result.stderr)
            # nothing else is broken by it
            self.said(self.pbn, "network", "ls")
            undo()
        self.definitions.rmdir()
        real = self.directory / "real"
        real.mkdir(0o700)
        self.definitions.symlink_to(real)
        result = self.pbn.result("network", "create", "blue", "--persistent", *ARGV)
        self.assertEqual(1, result.returncode)
        self.assertIn(str(self.definitions), result.stderr)
        self.assertEqual([], os.listdir(real))

    def test_damaged_and_foreign(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "create", "good", "--persistent", "--subnet", "172.28.0.0/24")
        text = self.text()
        path = self.definitions / "blue.network"
        lines = text.splitlines(keepends=True)
        damaged = [text[:-2], "".join(lines[:-1]), "".join(lines[1:]), "", "junk\n", text + "x\n",
                   text.replace("id ", "id g"), text.replace("1400", "14000000"),
                   text.replace("172.30.0.0/24", "172.30.0.1/24"), text.replace("blue", "green"),
                   text.replace("mtu 1400\n", ""), text.replace("source-ports=", "nonesuch="),
                   text.replace("end\n", "subnet 172.30.0.0/24\nend\n"), text + "\0"]
        for content in damaged:
            with self.subTest(content=content):
                path.write_text(content)
                booted = self.boot()
                # what is damaged is named, and the others are there
                self.assertIn(str(path), self.said(booted, "network", "ls"))
                self.assertIn(str(path), self.said(booted, "network", "inspect", "blue", code=1))
                self.assertEqual({"good"}, {entry["name"] for entry in booted.bn.json(
                    "network", "ls")} - {"bridge", "host", "none"})
                self.assertIn(str(path), self.said(booted, "network", "create", "blue",
                                                   "--persistent", code=1))
                self.assertEqual(content, path.read_text())
        path.unlink()
        for make in (lambda: path.symlink_to(self.definitions / "good.network"), path.mkdir,
                     lambda: os.mkfifo(path), lambda: (path.write_text(text), path.chmod(0o666)),
                     lambda: (path.write_text(text), os.chown(path, 65534, 65534))):
            make()
            self.assertIn(str(path), self.said(self.boot(), "network", "inspect", "blue", code=1))
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        # and what is no definition by its name is nobody's business
        for name in ("README", ".blue.network-1", "x.network.bak", ".network"):
            (self.definitions / name).write_text("junk")
        booted = self.boot()
        self.assertEqual("", self.said(booted, "network", "ls"))
        self.assertEqual({"good"}, self.names(booted))
        self.pbn("network", "rm", "blue", "good")

    def test_of_another_state(self):
        """Its file stays when a network of its name goes here."""
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        text = self.text().replace("id ", "id 0")
        lines = ["id " + "0" * 64 if line.startswith("id ") else line
                 for line in self.text().splitlines()]
        text = "\n".join(lines) + "\n"
        (self.definitions / "blue.network").write_text(text)
        self.pbn("network", "rm", "blue")
        self.assertEqual(text, self.text())
        result = self.pbn.result("network", "create", "blue", "--persistent", *ARGV)
        self.assertEqual(1, result.returncode)
        self.assertIn("blue.network", result.stderr)

    def test_two_that_overlap(self):
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.pbn("network", "create", "green", "--persistent", "--subnet", "172.28.0.0/24")
        path = self.definitions / "green.network"
        path.write_text(path.read_text().replace("172.28.0.", "172.30.0."))
        booted = self.boot()
        self.assertRegex(self.said(booted, "network", "ls"), r"(blue|green)\.network")
        self.assertEqual(1, len(self.names(booted)))

    def test_read_only_directory(self):
        """A file that can't be removed: the network is not gone, and says why."""
        self.pbn("network", "create", "blue", "--persistent", *ARGV)
        self.host.run("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(self.definitions))
        try:
            self.host.run("mount", "-o", "remount,ro", str(self.definitions))
            result = self.pbn.result("network", "create", "green", "--persistent")
            self.assertEqual(1, result.returncode)
            self.assertIn("green.network", result.stderr)
            self.assertEqual({"blue"}, self.names(self.pbn))
        finally:
            self.host.run("umount", str(self.definitions))


if __name__ == "__main__":
    unittest.main()
