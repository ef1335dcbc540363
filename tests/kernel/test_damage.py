# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others do to the library's networks (damages.py): who notices, and what heals it.

Each damage is done to a host with all that the library makes, and found out: does a listing show it,
does check, does watch tell of it; is all as before after the next verb, and after repair? The judges
are nft, iptables-legacy, ip and packets. What comes of it is the table in bridgenet(7), with which
this compares; run by itself as

    tests/private.sh python3 tests/kernel/test_damage.py --write

it writes that table, and with names of damages (a regular expression) instead of --write it shows
what it found of those.
"""
import difflib
import functools
import json
import multiprocessing
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import unittest

import legacy
import oracle
from damages import DAMAGES, LEGACY, NFT
from probes import Probe, Round, Servers
from topology import BACKENDS, FAMILIES, PATIENCE, Namespace, Topology, run, wait_until

PAGE = pathlib.Path(__file__).resolve().parents[2] / "man/bridgenet.7"
BEGIN = '.\\" What follows is written by tests/kernel/test_damage.py --write.\n'
END = '.\\" So far.\n'
COLUMNS = ("list", "check", "event", "verb", "repair")
NO_EVENT = 1.6          # until an event has surely not come: tables of legacy are polled
QUIET = (0.08, 0.5)     # of the probes; more at the second try
WORKERS = int(os.environ.get("BN_WORKERS", 0)) or 2 * os.cpu_count()

SUBNETS = {"net": ("172.30.0.0/24", "fd00:30::/64"), "other": ("172.31.0.0/24", "fd00:31::/64")}
C1 = {4: "172.30.0.2", 6: "fd00:30::2"}
C1_OTHER = {4: "172.31.0.2", 6: "fd00:31::2"}
C2 = {4: "172.30.0.3", 6: "fd00:30::3"}
GATEWAY = {4: "172.30.0.1/24", 6: "fd00:30::1/64"}
OUR_CHAIN = re.compile(r"BN-|BRIDGENET")


# ---- what is there ----

def lines_of_nft(host):
    """Our tables, less what moves by itself and an order that means nothing."""
    def still(value):
        if isinstance(value, dict):
            return {key: still(item) for key, item in value.items()
                    if key not in ("packets", "bytes", "handle", "index")}
        return [still(item) for item in value] if isinstance(value, list) else value

    lines, rules = [], {}
    for entry in oracle.nft(host, "list", "ruleset"):
        kind, body = next(iter(entry.items()))
        name = body.get("table", body.get("name"))
        if kind == "metainfo" or body.get("family") not in ("inet", "bridge") or \
                name != "bridgenet":
            continue
        body = still(body)
        if "elem" in body:
            body["elem"].sort(key=json.dumps)
        line = f"nft {kind} {json.dumps(body, sort_keys=True)}"
        if kind == "rule":
            # their order is kept, within a chain
            number = rules[body["chain"]] = rules.get(body["chain"], 0) + 1
            line = f"nft rule {body['chain']} {number:03} {line}"
        lines.append(line)
    return lines


def lines_of_legacy(host):
    """Our chains, and where they are jumped to from: nobody's rule may come before that. What order
    is in our chains depends on what came first; where it matters packets tell."""
    lines = []
    for family, table, chain, policy, texts in legacy.ruleset(host):
        if not OUR_CHAIN.match(chain):
            ours = [OUR_CHAIN.match(legacy.target(text)) is not None for text in texts]
            last = len(ours) - ours[::-1].index(True) if True in ours else 0
            texts = [text if our else "another's" for text, our in zip(texts[:last], ours)]
            policy = ""
            if not texts:
                continue
        else:
            texts.sort()
        lines.append(f"legacy {family} {table} {chain} {policy}")
        lines += [f"legacy {family} {table} {chain} {number:03} {text}"
                  for number, text in enumerate(texts)]
    return lines


def lines_of_links(where, namespace, mine):
    """`mine`: which links are looked at."""
    lines = []
    for link in namespace.ip("-d", "addr", "show"):
        if not mine(link):
            continue
        name = link["ifname"]
        slave = link.get("linkinfo", {}).get("info_slave_data", {})
        lines.append(f"{where} link {name} {link.get('ifalias')} on {link.get('master')} mtu "
                     f"{link['mtu']} {link['address']} {'UP' in link['flags']} "
                     f"{slave.get('hairpin')} {slave.get('isolated')} {slave.get('locked')}")
        lines += [f"{where} address {name} {info['local']}/{info['prefixlen']}"
                  for info in link["addr_info"] if info["scope"] != "link"]
    return lines


def lines_of_routes(where, namespace):
    lines = []
    for flag in ("-4", "-6"):
        for route in namespace.ip(flag, "route", "show", "table", "all"):
            if route.get("type") in ("multicast", "anycast") or route["dst"].startswith("fe80:"):
                continue
            lines.append(f"{where} route {route.get('type', '')} {route['dst']} via "
                         f"{route.get('gateway')} dev {route.get('dev')} {route.get('metric')} "
                         f"{route.get('table')}")
        lines += [f"{where} rule {json.dumps(rule, sort_keys=True)}"
                  for rule in namespace.ip(flag, "rule", "show")]
    return lines


def is_our_link(link):
    return str(link.get("ifalias")).startswith("bridgenet:") or \
        link["ifname"] in ("net0", "other0") or link.get("master") in ("net0", "other0")


class Watcher:
    """bn watch, and whether it has told of anything."""

    def __init__(self, net):
        self.process = net.bn.popen("--json", "watch", stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, bufsize=0)
        try:
            wait_until(self.listens, what="bn watch listens")
        except AssertionError:
            self.close()
            raise

    def ended(self):
        return self.process.poll() is not None

    def listens(self):
        """Does it wait for something to happen?"""
        if self.ended():
            raise AssertionError(f"bn watch has ended: {self.process.returncode}")
        return "poll" in pathlib.Path(f"/proc/{self.process.pid}/wchan").read_text()

    def told(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        told = bool(ready and os.read(self.process.stdout.fileno(), 1))
        if self.ended():
            raise AssertionError(f"bn watch has ended: {self.process.returncode}")
        return told

    def close(self):
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class World:
    """Two networks, of both families; c1 is on both, with ports, and c2 on the first."""

    def __init__(self, backend):
        self.backend = backend
        self.directory = tempfile.TemporaryDirectory()
        self.net = Topology(backend)
        self.bn, self.host = self.net.bn, self.net.host
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        for number, (name, subnets) in enumerate(SUBNETS.items()):
            self.bn("network", "create", name, "--bridge", f"{name}0", "--subnet", subnets[0],
                    "--subnet", subnets[1])
            self.net.attacker.batch("".join(
                f"route add {subnet} via {self.net.host_address(family)}\n"
                for family, subnet in zip(FAMILIES, subnets)))
        self.c1, self.c2 = self.net.endpoint("c1"), self.net.endpoint("c2")
        self.attach("net", "c1", self.c1, "-p", "8080:80", "-p", "127.0.0.1:8081:80")
        self.attach("other", "c1", self.c1, "-p", "8090:80")
        self.attach("net", "c2", self.c2)
        self.dump()
        self.machines = {"c1": self.c1, "c2": self.c2, "outside": self.net.remote}
        self.probes = list(self.all_probes())
        self.before = self.look()
        self.answers = self.ask(QUIET[1])
        self.listing = self.list()
        if self.list_differs():
            raise AssertionError("rules differ from the plan before anything was done")

    def close(self):
        self.net.close()
        self.directory.cleanup()

    def attach(self, network, endpoint, namespace, *argv):
        self.bn("attach", network, endpoint, "--netns", namespace.path, *argv)

    def dump(self):
        """The rules when there was an endpoint more."""
        self.old = self.net.endpoint("old")
        self.attach("net", "old", self.old, "-p", "9070:80")
        text = self.host.run("nft", "list", "ruleset").stdout
        pathlib.Path(self.path("dump")).write_text("flush ruleset\n" + text)
        for family, command in legacy.SAVE.items():
            pathlib.Path(self.path(f"dump-{family}")).write_text(self.host.run(command).stdout)
        self.bn("detach", "net", "old")

    def path(self, name):
        return os.path.join(self.directory.name, name)

    # ---- judging ----

    def all_probes(self):
        for family in FAMILIES:
            host, outside = self.net.host_address(family), self.net.address("remote", family)
            yield Probe("outside", "port", family, "tcp", host, 8080)
            yield Probe("outside", "port of the other network", family, "tcp", host, 8090)
            yield Probe("c2", "neighbour's port", family, "tcp", host, 8080)
            yield Probe("c1", "own port", family, "tcp", host, 8080)
            yield Probe("c2", "neighbour", family, "tcp", C1[family], 80)
            yield Probe("c2", "outside", family, "tcp", outside, 80)
            yield Probe("c1", "outside", family, "tcp", outside, 80)
            # what is to be refused
            yield Probe("attacker", "endpoint", family, "tcp", C1[family], 80)
            yield Probe("attacker", "endpoint", family, "tcp", C2[family], 80)
            yield Probe("c2", "other network", family, "tcp", C1_OTHER[family], 80)
        yield Probe("host", "port of loopback", 4, "tcp", "127.0.0.1", 8081)

    def ask(self, patience):
        clients = {**self.machines, "attacker": self.net.attacker, "host": self.host}
        servers = Servers(self.machines)
        try:
            return Round(clients, servers, patience).ask(self.probes)
        finally:
            servers.close()

    def look(self):
        lines = lines_of_nft(self.host) + lines_of_legacy(self.host)
        lines += lines_of_links("host", self.host, is_our_link) + lines_of_routes("host", self.host)
        lines += lines_of_links("c1", self.c1, lambda link: True) + lines_of_routes("c1", self.c1)
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/net0/forwarding",
                    "ipv6/conf/net0/forwarding", "ipv4/conf/net0/route_localnet"):
            try:
                lines.append(f"host setting {key} {self.host.sysctl('net/' + key)}")
            except OSError:
                lines.append(f"host setting {key} none")
        lines += [f"file {name}" for name in os.listdir(self.net.state) if "-" not in name]
        return sorted(lines)

    def differences(self):
        """What is otherwise than before, in lines."""
        now = self.look()
        found = [line for line in difflib.unified_diff(self.before, now, n=0, lineterm="")
                 if not line.startswith(("---", "+++", "@@"))]
        for patience in QUIET:
            answers = self.ask(patience)
            wrong = [f"{name}: {answers[name]}, not {self.answers[name]}" for name in answers
                     if answers[name] != self.answers[name]]
            if not wrong:
                break
        return found + wrong

    def nothing_left(self):
        """The same when nothing of the library is to be left."""
        now = self.net.host_state()
        return [f"{what}: {now[what]}" for what, was in self.net.pristine.items()
                if now[what] != was]

    def list(self):
        return json.loads(self.bn.result("--json", "ps").stdout or "[]")

    def list_differs(self):
        """Does a listing show it?"""
        texts = [self.bn.result(*argv).stdout for argv in (("rules",), ("rules", "--plan"))]
        return texts[0] != texts[1] or self.list() != self.listing

    # ---- doing ----

    def words(self, family):
        lost = self.net.prefix + "lost"
        return {
            "net": "net0", "other": "other0", "c1": self.c1.name, "lost": lost,
            "table": "inet bridgenet", "address": C1[family], "length": 24 if family == 4 else 64,
            "gateway": GATEWAY[family], "elsewhere": C2[family], "flag": f"-{family}",
            "ip": f"ipv{family}", "iptables": legacy.COMMAND[family], "save": legacy.SAVE[family],
            "metric": self.c1.ip(f"-{family}", "route", "show", "default", "dev", "eth0")[0]["metric"],
            "forwarding": "net.ipv4.ip_forward" if family == 4 else "net.ipv6.conf.all.forwarding",
            "state": self.net.state, "dump": self.path("dump"),
            "veth": next(link["ifname"] for link in self.host.links().values()
                         if link.get("master") == "net0" and "/c1" in link.get("ifalias", "")),
        }

    def shell(self, command, words, check=True):
        text = re.sub(r"\{(\w+)\}", lambda found: str(words[found[1]]), command)
        self.host.run("bash", "-ec", "handle() { nft -a list chain inet bridgenet $1 | "
                      "sed -n \"/$2/s/.*# handle //p\" | head -1; }; " + text, check=check)

    def lose(self):
        """An endpoint that is there, and whose namespace goes."""
        lost = Namespace(self.net.prefix + "lost")
        self.attach("net", "lost", lost, "-p", "8085:80")
        return lost

    def verb(self):
        """Another endpoint comes and goes."""
        self.bn.result("attach", "net", "next", "--netns", self.old.path, "-p", "9099:80")
        self.bn.result("detach", "net", "next")


def answer(yes):
    return "yes" if yes else "no"


class Trial:
    """One damage, of one backend and family."""

    def __init__(self, world, damage, family):
        self.world, self.damage = world, damage
        self.words = world.words(family)
        self.lost = world.lose() if damage.losing else None
        self.notes = []

    def harm(self):
        if self.lost:
            self.lost.delete()
            # the kernel takes the link away in the background
            wait_until(lambda: not any("/lost" in str(link.get("ifalias")) for link in
                                       self.world.host.links().values()), what="the link gone")
        self.world.shell(self.damage.commands[self.world.backend], self.words)

    def wrong(self, when):
        found = self.world.nothing_left() if self.damage.gone else self.world.differences()
        self.notes += [f"  {when}: {line[:300]}" for line in found[:12]]
        return found

    def clean_up(self):
        """All that was done is undone, or else there has to be another world."""
        run("ip", "netns", "del", self.world.net.prefix + "lost", check=False)
        for command in filter(None, self.damage.undo.split("; ")):
            self.world.shell(command, self.words, check=False)
        return not self.damage.gone and not self.world.differences()

    def harm_watched(self):
        """Does bn watch tell of it?"""
        if self.damage.unheard:
            self.harm()
            return False
        watcher = Watcher(self.world.net)
        try:
            self.harm()
            silent = is_silent(self.damage, self.world.backend)
            return watcher.told(NO_EVENT if silent else PATIENCE)
        finally:
            watcher.close()

    def found(self):
        """{column: whether}"""
        told = self.harm_watched()
        harmless = not self.wrong("damaged")
        listed = self.world.list_differs()
        check = self.world.bn.result("check")
        repair = self.world.bn.result("repair", *self.damage.repair)
        self.notes += [f"  check {check.returncode}: {line}"
                       for line in (check.stdout + check.stderr).splitlines()[:6]]
        self.notes += [f"  repair {repair.returncode}: {line}"
                       for line in (repair.stdout + repair.stderr).splitlines()[:6]]
        return {"list": answer(listed), "check": answer(check.returncode == 3),
                "event": answer(told),
                "repair": "-" if harmless else answer(not self.wrong("repaired"))}

    def found_by_verb(self):
        self.harm()
        if not self.wrong("damaged again"):
            return "-"
        self.world.verb()
        return answer(not self.wrong("after a verb"))


# ---- side by side ----

def jobs_of(backend, pattern):
    return [(part, row, family) for part, (_, damages) in enumerate(DAMAGES)
            for row, damage in enumerate(damages)
            if backend in damage.commands and pattern.search(damage.name)
            for family in damage.families]


def worker(backend, jobs, results):
    """Takes jobs until there are none."""
    world = None
    while (job := jobs.get()) is not None:
        part, row, family = job
        damage = DAMAGES[part][1][row]
        cells, notes = {}, []
        for find in (Trial.found, lambda trial: {"verb": trial.found_by_verb()}):
            try:
                world = world or World(backend)
                trial = Trial(world, damage, family)
                try:
                    cells |= find(trial)
                finally:
                    notes += trial.notes
                clean = trial.clean_up()
            except Exception:
                cells["failed"] = traceback.format_exc()
                clean = False
            if world and not clean:
                world.close()
                world = None
        results.put((backend, part, row, family, cells, notes))
    if world:
        world.close()
    results.put(None)


def measure(pattern="", backends=BACKENDS, tell=lambda *_: None):
    """{(part, row, family): {backend: {column: cell}}}; a cell "failed" has why nothing came of it,
    and tell() is called for each with all that was found."""
    pattern = re.compile(pattern)
    jobs, results, workers = {}, multiprocessing.Queue(), []
    for backend in backends:
        queue = jobs[backend] = multiprocessing.Queue()
        found = jobs_of(backend, pattern)
        count = min(len(found), max(1, WORKERS // len(backends)))
        for job in found + [None] * count:
            queue.put(job)
        workers += [multiprocessing.Process(target=worker, args=(backend, queue, results))
                    for _ in range(count)]
    for process in workers:
        process.start()
    cells, running = {}, len(workers)
    while running:
        result = results.get()
        if result is None:
            running -= 1
            continue
        backend, part, row, family, found, said = result
        cells.setdefault((part, row, family), {})[backend] = found
        tell(DAMAGES[part][1][row], family, backend, found, said)
    for process in workers:
        process.join()
    return cells


# ---- the table of the manual ----

def rows_of(cells):
    """[(part, name, {backend: {column: cell}})]: a damage once, where families are alike."""
    rows = []
    for part, (title, damages) in enumerate(DAMAGES):
        for row, damage in enumerate(damages):
            found = [(family, cells[part, row, family]) for family in damage.families
                     if (part, row, family) in cells]
            alike = all(each == found[0][1] for _, each in found)
            for family, each in found[:1] if alike else found:
                rows.append((title, damage.name + ("" if alike else f" (IPv{family})"), each))
    return rows


def cell(found, column):
    """Of nftables and of iptables-legacy, where they differ."""
    values = [found[backend][column] for backend in (NFT, LEGACY) if backend in found]
    return values[0] if len(set(values)) == 1 else "/".join(values)


def page_part(rows):
    text, last = "", None
    for part, name, found in rows:
        if part != last:
            text += ".El\n" * bool(last) + f".Pp\n{part}:\n"
            text += ('.Bl -column -compact "another of its name is made there, now" "yes/no" "yes/no" '
                     '"yes/no" "yes/no" "yes/no"\n')
            text += ".It Em Damage Ta " + " Ta ".join(f"Em {column}" for column in COLUMNS) + "\n"
        last = part
        text += f".It {escaped(name)} Ta " + " Ta ".join(
            cell(found, column) for column in COLUMNS) + "\n"
    return text + ".El\n"


def escaped(name):
    """No word of it is a macro."""
    return re.sub(r"^-", r"\\-", name.replace("'", "\\(aq"))


def split_page():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    part, after = rest.split(END)
    return before + BEGIN, part, END + after


def rows_of_page():
    """{(part, name): {backend: {column: cell}}}"""
    rows, part = {}, ""
    for line in split_page()[1].splitlines():
        if not line.startswith("."):
            part = line.rstrip(":")
        if not line.startswith(".It ") or line.startswith(".It Em"):
            continue
        name, *cells = line[4:].split(" Ta ")
        values = [each.split("/") for each in cells]
        rows[part, name] = {backend: dict(zip(COLUMNS, (value[which] for value in values)))
                            for backend, which in ((NFT, 0), (LEGACY, -1))}
    return rows


@functools.lru_cache(maxsize=None)
def is_silent(damage, backend):
    """Is there to be no event?"""
    return any(cells[backend]["event"] == "no" for (_, name), cells in rows_of_page().items()
               if name == escaped(damage.name) or name.startswith(escaped(damage.name) + " (IPv"))


def unlike_page(rows):
    """Lines about the rows that the page has otherwise, or lacks, or has too many."""
    page, lines = rows_of_page(), []
    for part, name, found in rows:
        wanted = page.pop((part, escaped(name)), None)
        for backend, cells in found.items():
            if cells != (wanted or {}).get(backend):
                lines.append(f"{name}, {backend}: {cells}; the page has "
                             f"{wanted and wanted[backend]}")
    if set(BACKENDS) == {NFT, LEGACY}:
        lines += [f"{name}: in the page, and nowhere else" for _, name in page]
    return lines


def failures(cells):
    return [f"{DAMAGES[part][1][row].name}, IPv{family}, {backend}: {found['failed']}"
            for (part, row, family), each in cells.items() for backend, found in each.items()
            if "failed" in found]


class Damages(unittest.TestCase):
    maxDiff = None

    def test_the_manual_is_true(self):
        cells = measure()
        self.assertEqual("", "\n".join(failures(cells)))
        self.assertEqual("", "\n".join(unlike_page(rows_of(cells))))


def tell(damage, family, backend, found, notes):
    text = " ".join(f"{column} {found.get(column)}," for column in COLUMNS)
    print(f"{damage.name}, IPv{family}, {backend}: {text.rstrip(',')}", *notes, sep="\n")
    print(found.get("failed", ""), end="", flush=True)


def main(argv):
    if argv != ["--write"]:
        measure("|".join(argv), tell=tell)
        return 0
    cells = measure()
    failed = failures(cells)
    print(*failed, sep="\n")
    if not failed:
        before, _, after = split_page()
        PAGE.write_text(before + page_part(rows_of(cells)) + after)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
