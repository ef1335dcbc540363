# SPDX-License-Identifier: LGPL-2.1-or-later
"""What iptables-legacy(8) and ip6tables-legacy(8) know of a namespace."""
import itertools
import re
import shlex

SAVE = {4: "iptables-legacy-save", 6: "ip6tables-legacy-save"}
COMMAND = {4: "iptables-legacy", 6: "ip6tables-legacy"}
TABLES = ("filter", "mangle", "nat", "raw")


class Table:
    """One table as saved: policies, the chains' counters, and the rules in their order."""

    def __init__(self, family, name):
        self.family = family
        self.name = name
        self.policies = {}
        self.chain_counters = {}
        self.rules = {}     # chain: [(text, (packets, bytes))]

    def add(self, line):
        chain = re.fullmatch(r":(\S+) (\S+) \[(\d+):(\d+)\]", line)
        rule = re.fullmatch(r"\[(\d+):(\d+)\] -A (\S+)(.*)", line)
        if chain:
            self.policies[chain[1]] = chain[2]
            self.chain_counters[chain[1]] = (int(chain[3]), int(chain[4]))
            self.rules[chain[1]] = []
        elif rule:
            self.rules[rule[3]].append((rule[4].strip(), (int(rule[1]), int(rule[2]))))
        else:
            raise AssertionError(f"iptables-legacy-save says {line!r}")

    def untouched(self):
        """As a table is that someone only looked at."""
        return all(policy == "ACCEPT" and not self.rules[chain]
                   for chain, policy in self.policies.items())


def tables(namespace):
    found = []
    for family, command in SAVE.items():
        for line in namespace.run(command, "-c").stdout.splitlines():
            if line.startswith("*"):
                found.append(Table(family, line[1:]))
            elif line and not line.startswith("#") and line != "COMMIT":
                found[-1].add(line)
    return found


def ruleset(namespace):
    """All that is there less the counters, and less an order that means nothing."""
    found = []
    for table in tables(namespace):
        if table.untouched():
            continue
        for chain, policy in sorted(table.policies.items()):
            texts = [text for text, _ in table.rules[chain]]
            if is_ours(chain):
                texts = _ordered(texts)
            found.append([table.family, table.name, chain, policy, texts])
    return found


def _ordered(texts):
    """Neighbours that do the same may stand in any order: what leads to networks never overlaps."""
    def kind(text):
        return "BN-" if target(text).startswith("BN-") else target(text)

    return [text for _, run in itertools.groupby(texts, kind) for text in sorted(run)]


def is_ours(chain):
    return chain.startswith(("BN-", "BRIDGENET"))


def target(text):
    """Where a rule leads, "" for nowhere."""
    words = shlex.split(text)
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return ""


def others(namespace):
    """What is somebody else's: chains, and the rules with their counters."""
    found = []
    for table in tables(namespace):
        for chain, rules in sorted(table.rules.items()):
            theirs = [rule for rule in rules if not is_ours(target(rule[0]))]
            if not is_ours(chain) and (theirs or table.policies[chain] != "ACCEPT"):
                found.append((table.family, table.name, chain, table.policies[chain], theirs))
    return found


def _option(words, option):
    """The value of an option, which must not be negated; None where there is none."""
    if option not in words:
        return None
    at = words.index(option)
    if at and words[at - 1] == "!":
        raise AssertionError(f"negated {option} in {words}")
    return words[at + 1]


def _range(text):
    """The first and last of 80 or 80:90."""
    first, _, last = text.partition(":")
    return int(first), int(last or first)


class Port:
    """A DNAT rule."""

    def __init__(self, family, words):
        self.family = family
        self.protocol = _option(words, "-p")
        self.address = (_option(words, "-d") or "").split("/")[0]
        self.first, self.last = _range(_option(words, "--dport"))
        to = re.fullmatch(r"\[?([0-9a-f.:]+?)\]?:(\d+)(?:-(\d+)/(\d+))?",
                          _option(words, "--to-destination"))
        self.to, self.to_port = to[1], int(to[2])
        count = self.last - self.first
        if (int(to[3] or to[2]) - self.to_port, int(to[4] or self.first)) != (count, self.first):
            raise AssertionError(f"the ranges differ: {words}")

    def each(self):
        for port in range(self.first, self.last + 1):
            key = self.family, self.protocol, self.address, port
            yield key, (self.to, self.to_port + port - self.first)


class Rules:
    """Published ports, counters and the user's chain."""

    def __init__(self, namespace):
        self.namespace = namespace

    def table(self, family, name):
        found = [table for table in tables(self.namespace)
                 if (table.family, table.name) == (family, name)]
        return found[0] if found else Table(family, name)

    def chains(self, name, family=4):
        return [chain for chain in self.table(family, name).rules if is_ours(chain)]

    def elements(self):
        """{((family, table, chain), rule): (packets, bytes)} of every rule of ours."""
        return {((table.family, table.name, chain), text): counters
                for table in tables(self.namespace)
                for chain, rules in table.rules.items() for text, counters in rules
                if is_ours(chain) or is_ours(target(text))}

    def ports(self):
        """{(family, protocol, host address or "", host port): (to, port, packets, bytes)}

        Only what a packet can come to: the chains are followed from the kernel's own.
        """
        found = {}
        for table in tables(self.namespace):
            if table.name == "nat":
                self._follow(table, "PREROUTING", {}, found)
        return found

    def _follow(self, table, chain, limits, found):
        """limits are the ports by protocol that get here."""
        for text, counters in table.rules.get(chain, ()):
            words, to = shlex.split(text), target(text)
            if to == "DNAT" and is_ours(chain):
                port = Port(table.family, words)
                low, high = limits.get(port.protocol, (0, 65535) if not limits else (1, 0))
                for key, value in port.each():
                    # the first rule that matches is the one that counts
                    if low <= key[3] <= high:
                        found.setdefault(key, value + counters)
            elif is_ours(to):
                self._follow(table, to, self._narrow(words, limits), found)

    @staticmethod
    def _narrow(words, limits):
        protocol, ports = _option(words, "-p"), _option(words, "--dport")
        if not ports:
            return limits
        first, last = _range(ports)
        low, high = limits.get(protocol, (0, 65535))
        return {protocol: (max(low, first), min(high, last))}

    # ---- the user's chain ----

    def user_families(self):
        return [family for family in (4, 6)
                if "BRIDGENET-USER" in self.table(family, "filter").rules]

    def user_add(self, verdict, source=None, protocol=None, port=None, comment=None):
        words = ["-s", source] if source else []
        words += ["-p", protocol, "--dport", str(port)] if protocol else []
        words += ["-m", "comment", "--comment", comment] if comment else []
        families = self.user_families()
        if not families:
            raise AssertionError("there is no chain for the user's rules")
        for family in families if not source else [6 if ":" in source else 4]:
            self.namespace.run(COMMAND[family], "-A", "BRIDGENET-USER", *words, "-j",
                               verdict.upper())

    def user_packets(self):
        """What each rule of the user counted."""
        if not self.user_families():
            raise AssertionError("there is no chain for the user's rules")
        return [counters[0] for family in self.user_families()
                for _, counters in self.table(family, "filter").rules["BRIDGENET-USER"]]

    def user_text(self):
        return "".join(self.namespace.run(COMMAND[family], "-v", "-S", "BRIDGENET-USER").stdout
                       for family in self.user_families())

    def user_flush(self):
        for family in self.user_families():
            self.namespace.run(COMMAND[family], "-F", "BRIDGENET-USER")

    def flush(self, names=TABLES):
        """What somebody does who wants to be rid of all rules."""
        for family in (4, 6):
            for name in names:
                self.namespace.run(COMMAND[family], "-t", name, "-F")
                self.namespace.run(COMMAND[family], "-t", name, "-X")

    @staticmethod
    def range_extras(protocol, first, last, address, to):
        """How the listing shows a range: as one rule."""
        return [f"{protocol} dpts:{first}:{last} to:{address}:{to}-{to + last - first}"]
