# SPDX-License-Identifier: LGPL-2.1-or-later
"""A state that is damaged, or taken away: refused in a sentence, or as it was, and whatever lives
goes on. With BN_SOAK=1 many more are damaged. The seed is fixed, or BN_SEED; a damage that is
reported has its number, and BN_DAMAGE=NUMBER is that one alone."""
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess

import oracle
from library import Failed, Library
from topology import KernelTest, for_each_backend

DAMAGES = 3000 if os.environ.get("BN_SOAK") else 30
SEED = int(os.environ.get("BN_SEED", "20"))
ONLY = os.environ.get("BN_DAMAGE")
JOURNAL, DATABASE, INDEX = "state.db-wal", "state.db", "state.db-shm"
FILES = (JOURNAL, DATABASE, INDEX, "generation", "operations.lock")
AT = ("--ip", "172.30.0.9", "--ip", "fd00:30::9")


def rules(host):
    """Each rule and each element that the kernel has, in the words of nft and iptables."""
    found, where = set(), ""
    for line in host.run("nft", "-s", "list", "ruleset").stdout.splitlines():
        if line.endswith("{"):
            where = where + "|" + line.strip() if line.startswith("\t") else line
        for word in re.split(r"elements = \{|[,}]", line):
            found.add((where.strip(), word.strip()))
        if line == "\t}":
            where = where.split("|")[0]
    for save in ("iptables-legacy-save", "ip6tables-legacy-save"):
        for line in host.run(save).stdout.splitlines():
            if line.startswith("*"):
                where = save + line
            elif line.startswith("-A"):
                found.add((where, line))
    return found


class DamageTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.create("more", "--subnet", "172.31.0.0/24")
        self.first = self.attach("net", "c1", *AT, "-p", "8080:80", "-p", "8053:53/udp")
        self.attach("more", "c2", "-p", "8100-8109:80-89")
        # what comes last stands in the journal alone
        self.bn("publish", "net", "c1", "-p", "8081:81")
        self.server = self.serve(self.first, 80)
        self.place = pathlib.Path(self.net.state)
        self.links = set(self.host.links())
        self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
        self.shown = self.show()
        self.live = rules(self.host)

    def tearDown(self):
        self.put_back()
        super().tearDown()

    def show(self):
        """What listings say: "" where they refuse."""
        said = []
        for verb in (("network", "ls"), ("ps",), ("rules", "--plan")):
            result = self.bn.result("--json", *verb)
            self.judge(result)
            said.append(result.stdout)
        return said

    def judge(self, result):
        """Done, or a sentence on one line; never a crash."""
        self.assertIn(result.returncode, (0, 1), result.stderr)
        if result.returncode:
            self.assertRegex(result.stderr, r"\Abn: [^\n]{20,}\n\Z")
        else:
            self.assertEqual("", result.stderr)

    def put_back(self):
        self.host.run("umount", self.net.state, check=False)
        if self.place.is_symlink():
            self.place.unlink()
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(mode=0o700)
        for name, content in self.whole.items():
            path = self.place / name
            path.write_bytes(content)
            path.chmod(0o600)

    def assert_live(self):
        self.assertEqual(set(), self.live - rules(self.host))
        self.assertEqual(set(), self.links - set(self.host.links()))

    def assert_all_as_it_was(self):
        self.put_back()
        self.assertEqual(self.live, rules(self.host))
        self.assertEqual(self.shown, self.show())
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.server[4])


@for_each_backend
class Damage(DamageTest):
    """Bits flipped, parts cut off, overwritten or missing, older ones put there."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.counts = {"refused": 0, "whole": 0, "other": 0, "lost": 0}

    # ---- ways to damage a file ----

    def flip(self, content):
        at = self.random.randrange(len(content))
        content[at] ^= 1 << self.random.randrange(8)

    def flip_many(self, content):
        for _ in range(self.random.randrange(2, 40)):
            self.flip(content)

    def cut(self, content):
        del content[self.random.choice((0, 1, 31, 32, 100, 1024, len(content) - 1,
                                        self.random.randrange(len(content)))):]

    def wipe(self, content):
        at = self.random.randrange(len(content))
        length = self.random.choice((1, 16, 512, 1024, 4096))
        content[at:at + length] = bytes(len(content[at:at + length]))

    def garble(self, content):
        content[:] = self.random.randbytes(self.random.choice((1, 100, len(content))))

    def append(self, content):
        content += self.random.randbytes(self.random.choice((1, 24, 1048, 5000)))

    def remove(self, content):
        content.clear()
        return True

    def damage(self):
        """One file, or two; which they were."""
        ways = (self.flip, self.flip, self.flip, self.flip_many, self.cut, self.cut, self.wipe,
                self.garble, self.append, self.remove)
        names = self.random.choices(FILES, (8, 5, 2, 2, 1))
        if self.random.random() < 0.15:
            names.append(self.random.choice(FILES))
        names = [name for name in dict.fromkeys(names) if self.whole.get(name)]
        made = []
        for name in names:
            content = bytearray(self.whole[name])
            way = self.random.choice(ways)
            path = self.place / name
            if way(content):
                path.unlink()
            else:
                path.write_bytes(content)
            made.append(f"{name} {way.__name__}")
        return names, ", ".join(made)

    # ---- what comes of it ----

    def change(self):
        """A verb that changes something, and back: whether it was refused."""
        made = self.bn.result("publish", "net", "c1", "-p", "9090:90")
        self.judge(made)
        if made.returncode == 0:
            self.judge(self.bn.result("unpublish", "net", "c1", "-p", "9090:90"))
        return made.returncode != 0

    def look(self):
        """Whether a check was refused. It changes nothing, whatever it finds."""
        result = self.bn.result("--json", "check")
        self.assertIn(result.returncode, (0, 1, 3), result.stderr)
        if result.returncode != 1:
            json.loads(result.stdout)
        return result.returncode == 1

    def outcome(self, names):
        shown = self.show()
        self.look()
        self.assertEqual(self.live, rules(self.host))
        refused = self.change()
        self.assert_live()
        if refused:
            return "refused"
        if shown == self.shown:
            return "whole"
        # a file of its own is no state: it has no trace of what was there
        if DATABASE not in names:
            self.assertEqual(self.shown, shown)
        return "other" if json.loads(shown[1] or "[]") else "lost"

    def test_damaged(self):
        for number in range(DAMAGES):
            self.put_back()
            names, how = self.damage()
            if ONLY and number != int(ONLY):
                continue
            with self.subTest(number=number, how=how):
                self.counts[self.outcome(names)] += 1
                # what was added by a state that has lost its rows goes with the whole one
                self.put_back()
                if rules(self.host) != self.live:
                    self.bn("publish", "net", "c1", "-p", "9090:90")
                    self.bn("unpublish", "net", "c1", "-p", "9090:90")
                    self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
        print(f"# {sum(self.counts.values())} states damaged, "
              + ", ".join(f"{count} {name}" for name, count in self.counts.items())
              + "; no live rule removed", flush=True)
        print("# figure states-damaged", sum(self.counts.values()), flush=True)
        self.assert_all_as_it_was()
        self.assertGreater(self.counts["refused"], 0)


@for_each_backend
class Dump(DamageTest):
    def dump(self, code=0):
        result = self.bn.result("state", "dump")
        self.assertEqual(code, result.returncode, result.stderr)
        answer = json.loads(result.stdout)
        self.assertEqual([f"bn: {line}" for line in answer["errors"]], result.stderr.splitlines())
        return answer

    def change(self, *statement):
        with sqlite3.connect(self.place / DATABASE) as database:
            database.execute(*statement)
        database.close()

    def test_all_of_it(self):
        answer = self.dump()
        self.assertEqual(["networks", "endpoints", "ports", "errors"], list(answer))
        self.assertEqual([], answer["errors"])
        self.assertEqual(json.loads(self.shown[0]), answer["networks"])
        self.assertEqual(json.loads(self.shown[1]), answer["endpoints"])
        self.assertEqual([("c2", 8100), ("c1", 8080), ("c1", 8081), ("c1", 8053)],
                         [(port["endpoint"], port["host_port"]) for port in answer["ports"]])

    def test_without_the_kernel(self):
        """In another namespace, of which it is not."""
        elsewhere = self.net.endpoint("elsewhere")
        result = elsewhere.run(*self.bn.argv("state", "dump"))
        there, here = json.loads(result.stdout), self.dump()
        for answer in (there, here):
            for entry in answer["endpoints"]:
                # that asks the kernel
                del entry["state"]
        self.assertEqual(here, there)

    def test_a_row_that_makes_no_sense(self):
        """What is no part of it is there still."""
        self.change("UPDATE endpoints SET ipv4 = '172.30.0.x' WHERE id = 'c1'")
        answer = self.dump(1)
        self.assertEqual(["c2"], [entry["endpoint"] for entry in answer["endpoints"]])
        self.assertEqual(5, len(answer["networks"]))
        self.assertIn("damaged", answer["errors"][0])

    def test_nothing_can_be_read(self):
        (self.place / DATABASE).write_bytes(b"no database" * 1000)
        answer = self.dump(1)
        self.assertEqual([], answer["networks"] + answer["endpoints"] + answer["ports"])

    def test_older_than_its_last_change(self):
        self.bn("publish", "net", "c1", "-p", "8082:82")
        for name in (JOURNAL, DATABASE):
            (self.place / name).write_bytes(self.whole[name])
        (self.place / INDEX).unlink()
        self.assertIn("older", self.dump(1)["errors"][0])
        (self.place / "generation").unlink()
        self.assertEqual(4, len(self.dump()["ports"]))
        self.bn("publish", "net", "c1", "-p", "8082:82")
        self.bn("unpublish", "net", "c1", "-p", "8082:82")
        self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}


@for_each_backend
class Place(DamageTest):
    def refused(self, *mention, argv=("publish", "net", "c1", "-p", "9090:90")):
        self.fails(*argv, mention=mention)
        self.assertEqual(self.live, rules(self.host))

    def test_newer_version(self):
        with sqlite3.connect(self.place / DATABASE) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        for argv in (("publish", "net", "c1", "-p", "9090:90"), ("network", "ls"), ("check",),
                     ("repair", "--remove-unknown"), ("rules",)):
            self.refused("newer version", argv=argv)
        self.assert_all_as_it_was()

    def test_full_disk(self):
        """What has no room for its row is not done; what there is goes on, and may go."""
        self.host.run("mount", "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs", self.net.state)
        for name, content in self.whole.items():
            (self.place / name).write_bytes(content)
            (self.place / name).chmod(0o600)
        filler = self.place / "filler"
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        result = None
        for port in range(9000, 9400):
            result = self.bn.result("publish", "net", "c1", "-p", f"{port}:90")
            if result.returncode:
                break
        self.assertEqual(1, result.returncode)
        self.assertIn("No space left on device", result.stderr)
        self.assertEqual(set(), self.live - rules(self.host))
        self.assert_tcp(self.remote, self.net.host_address(4), 8080, self.server[4])
        self.assertEqual(0, self.bn.result("network", "ls").returncode)
        filler.unlink()
        for gone in range(9000, port):
            self.bn("unpublish", "net", "c1", "-p", f"{gone}:90")
        self.assertEqual(self.live, rules(self.host))
        self.assertEqual(self.shown, self.show())
        self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
        self.assert_all_as_it_was()

    def test_taken_away_while_it_is_open(self):
        """The directory, or any file of it: what goes on goes on, what can't is refused."""
        for name in ("", *FILES):
            with self.subTest(name=name):
                library = Library(self.net, self.backend)
                library.publish("net", "c1", "9090:90")
                library.unpublish("net", "c1", "9090:90")
                self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
                if name:
                    (self.place / name).unlink()
                else:
                    shutil.rmtree(self.place)
                for verb in (library.publish, library.unpublish):
                    try:
                        verb("net", "c1", "9090:90")
                    except Failed as failure:
                        self.assertGreater(len(str(failure)), 20)
                library.close()
                self.assert_live()
                if name in ("", DATABASE, JOURNAL):
                    self.put_back()
                if rules(self.host) != self.live:
                    self.bn("publish", "net", "c1", "-p", "9090:90")
                    self.bn("unpublish", "net", "c1", "-p", "9090:90")
                self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
                self.assert_all_as_it_was()

    def test_replaced_by_an_older_one(self):
        self.bn("publish", "net", "c1", "-p", "8082:82")
        live = rules(self.host)
        for name in (JOURNAL, DATABASE):
            (self.place / name).write_bytes(self.whole[name])
        (self.place / INDEX).unlink()
        self.fails("publish", "net", "c1", "-p", "9090:90", mention="older than its last change")
        self.fails("repair", mention="older than its last change")
        self.fails("check", mention="older than its last change")
        self.assertEqual(live, rules(self.host))
        # which is the way on that the sentence gives
        (self.place / "generation").unlink()
        self.bn("publish", "net", "c1", "-p", "8082:82")
        self.bn("unpublish", "net", "c1", "-p", "8082:82")
        self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
        self.assertEqual(self.live, rules(self.host))

    def test_what_is_no_directory_of_ours(self):
        """Links, files, fifos and devices in its place, and in the place of its files."""
        aside = self.place.with_suffix(".aside")
        self.place.rename(aside)
        self.addCleanup(shutil.rmtree, aside, ignore_errors=True)
        self.place.symlink_to(aside)
        self.refused("symbolic link")
        self.place.unlink()
        for argv in (("mkfifo", self.net.state), ("mknod", self.net.state, "c", "1", "5"),
                     ("touch", self.net.state)):
            self.host.run(*argv)
            self.refused(self.net.state)
            self.place.unlink()
        aside.rename(self.place)
        for name in FILES:
            path = self.place / name
            for argv in (("ln", "-s", "/etc/passwd", path), ("mkfifo", path), ("mkdir", path),
                         ("mknod", path, "c", "1", "5")):
                path.unlink(missing_ok=True)
                self.host.run(*map(str, argv))
                self.refused(name)
                path.rmdir() if argv[0] == "mkdir" else path.unlink()
            self.put_back()
        self.assert_all_as_it_was()

    def test_links_while_it_is_opened(self):
        """Somebody swaps the directory for a link and back as fast as he can: nothing is made, or
        changed, beyond the link."""
        target, aside = self.place.with_suffix(".target"), self.place.with_suffix(".aside")
        target.mkdir(mode=0o700)
        self.addCleanup(shutil.rmtree, target, ignore_errors=True)
        script = (f"while :; do mv -T {self.place} {aside}; ln -s {target} {self.place}; "
                  f"rm {self.place}; mv -T {aside} {self.place}; done")
        swapper = subprocess.Popen(("bash", "-c", script), start_new_session=True,
                                   stderr=subprocess.DEVNULL)
        try:
            for _ in range(12):
                self.judge(self.bn.result("publish", "net", "c1", "-p", "9090:90"))
                self.judge(self.bn.result("unpublish", "net", "c1", "-p", "9090:90"))
        finally:
            os.killpg(swapper.pid, 9)
            swapper.wait()
        self.assertEqual([], list(target.iterdir()))
        self.assert_live()
        if aside.exists():
            shutil.rmtree(self.place) if self.place.is_dir() and not self.place.is_symlink() else \
                self.place.unlink(missing_ok=True)
            aside.rename(self.place)
        self.bn("publish", "net", "c1", "-p", "9091:91")
        for port in (9090, 9091):
            self.bn.result("unpublish", "net", "c1", "-p", f"{port}:{port - 9000}")
        self.whole = {path.name: path.read_bytes() for path in self.place.iterdir()}
        self.assert_all_as_it_was()

    def fails_with_bridge(self, name):
        result = self.bn.result("network", "create", "fine", "--bridge", name)
        self.assertEqual(1, result.returncode, name[:20])
        return result

    def test_names(self):
        """Refused before anything is touched, whatever they are made of."""
        namespace = self.net.endpoint("c3")
        for name in ("", ".", "..", "../net", "a/b", "a\nb", "a\tb", "\x1b[31m", "a b", "\x7f",
                     "\u00e4", "-a", "a" * 65, "a" * 65536, "%s%n", "a'b", 'a"b', "a;b", "*"):
            with self.subTest(name=name[:20]):
                for argv in (("network", "create", "--", name),
                             ("attach", "--netns", namespace.path, "--", "net", name),
                             ("attach", "--netns", namespace.path, "--", name, "c3"),
                             ("publish", "-p", "9090:90", "--", "net", name),
                             ("detach", "--", "net", name), ("network", "rm", "--", name)):
                    result = self.bn.result(*argv)
                    self.assertIn(result.returncode, (1, 2), (argv[:2], result.stdout))
                    self.assertNotRegex(result.stderr[:-1], "[\\x00-\\x08\\x0b-\\x1f\\x7f]")
                    self.assertLess(len(result.stderr), 4096)
        # the kernel takes nearly all else for an interface
        for name in (".", "..", "a/b", "a\nb", "a b", "a:b", "a" * 16, "a" * 65536, "%d"):
            self.judge(self.fails_with_bridge(name))
        for state in ("", "a" * 65536, "/proc/self/fd", "/dev/null", "relative\n", "/" + "x/" * 3000):
            result = self.host.run(*self.bn.argv("network", "ls")[:1], "--state-dir", state,
                                   "network", "create", "fine", check=False)
            self.assertIn(result.returncode, (1, 2), state[:20])
            self.assertLess(len(result.stderr), 4096)
        self.assert_all_as_it_was()
