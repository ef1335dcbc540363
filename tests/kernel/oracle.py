# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is in the kernel, as tools that have nothing to do with the library see it."""
import ipaddress
import json
import re

import legacy


def nft(namespace, *argv):
    return json.loads(namespace.run("nft", "-j", *argv).stdout)["nftables"]


def _nft_ruleset(namespace):
    def still(value):
        if isinstance(value, dict):
            return {key: still(item) for key, item in value.items()
                    if key not in ("packets", "bytes")}
        return [still(item) for item in value] if isinstance(value, list) else value

    def order(entry):
        for kind in ("set", "map"):
            if kind in entry and "elem" in entry[kind]:
                entry[kind]["elem"].sort(key=json.dumps)
        return entry

    return [order(still(entry)) for entry in nft(namespace, "list", "ruleset")
            if "metainfo" not in entry]


def ruleset(namespace):
    """The whole rule set of both kinds less what moves by itself, for comparing."""
    return _nft_ruleset(namespace) + legacy.ruleset(namespace)


def others_text(namespace):
    """Every table and legacy rule that is not the library's, byte for byte."""
    tables = [entry["table"] for entry in nft(namespace, "list", "tables") if "table" in entry]
    return "".join(
        namespace.run("nft", "-a", "list", "table", table["family"], table["name"]).stdout
        for table in tables if "bridgenet" not in table["name"]) + "\n".join(
            map(str, legacy.others(namespace)))


def conntrack(namespace, *argv):
    """Flows as lines of text, without the time they have left."""
    text = namespace.run("conntrack", "-L", "-o", "id", *argv).stdout
    return {re.search(r"id=(\d+)", line).group(1): line for line in text.splitlines()
            if "id=" in line}


# ---- listings of bn, by what the tests need of them ----

def _list(answer):
    if isinstance(answer, dict) and len(answer) == 1:
        answer = next(iter(answer.values()))
    return answer


def networks(bn):
    return _list(bn.json("network", "ls"))


def network(bn, name):
    answer = bn.json("network", "inspect", name)
    return answer[0] if isinstance(answer, list) else answer


def endpoints(bn, verbose=False):
    return _list(bn.json("ps", *(("-v",) if verbose else ())))


def endpoint(bn, network_name, name, verbose=False):
    found = [entry for entry in endpoints(bn, verbose)
             if (entry["network"], entry["endpoint"]) == (network_name, name)]
    if len(found) != 1:
        raise AssertionError(f"bn ps shows {len(found)} endpoints {network_name}/{name}")
    return found[0]


def ports(bn, network_name, name):
    return endpoint(bn, network_name, name)["ports"]


def rules(bn, *argv):
    return _list(bn.json("rules", *argv))


class Nftables:
    """Published ports and counters, from `nft -j`."""

    def __init__(self, namespace):
        self.namespace = namespace

    def empty(self):
        return not ruleset(self.namespace)

    def tables(self):
        return [entry["table"] for entry in nft(self.namespace, "list", "tables")
                if "bridgenet" in entry.get("table", {}).get("name", "")]

    def entries(self):
        return [entry for table in self.tables()
                for entry in nft(self.namespace, "list", "table", table["family"], table["name"])]

    @staticmethod
    def _key(value):
        parts = value.get("concat", value) if isinstance(value, dict) else value
        return parts if isinstance(parts, list) else [parts]

    def elements(self):
        """{(set, key): (packets, bytes)} of every element with a counter."""
        found = {}
        for entry in self.entries():
            for kind in ("map", "set"):
                if kind not in entry:
                    continue
                for item in entry[kind].get("elem", []):
                    key = item[0] if kind == "map" and isinstance(item, list) else item
                    if not isinstance(key, dict) or "elem" not in key:
                        continue
                    counter = key["elem"].get("counter")
                    name = tuple(str(part) for part in self._key(key["elem"]["val"]))
                    if counter:
                        found[entry[kind]["name"], name] = (counter["packets"], counter["bytes"])
        return found

    def ports(self):
        """{(family, protocol, host address or "", host port): (to, port, packets, bytes)}"""
        found = {}
        for entry in self.entries():
            for item in entry.get("map", {}).get("elem", []):
                key, value = item[0], self._key(item[1])
                counter = key.get("elem", {}).get("counter", {}) if isinstance(key, dict) else {}
                key = self._key(key["elem"]["val"] if isinstance(key, dict) and "elem" in key
                                else key)
                numbers = [part for part in key if isinstance(part, int)]
                protocols = [part for part in key if part in ("tcp", "udp", "sctp")]
                addresses = [part for part in key if isinstance(part, str) and _is_address(part)]
                if len(value) != 2 or not _is_address(str(value[0])) or not protocols:
                    continue
                address = addresses[0] if addresses else ""
                if address and ipaddress.ip_address(address).is_unspecified:
                    address = ""
                family = 6 if ":" in value[0] else 4
                found[family, protocols[0], address, numbers[0]] = (
                    value[0], value[1], counter.get("packets"), counter.get("bytes"))
        return found

    def user_chain(self):
        """How nft(8) is told the chain that is the user's."""
        chains = [entry["chain"] for entry in self.entries()
                  if entry.get("chain", {}).get("name", "").upper() == "BRIDGENET-USER"]
        if len(chains) != 1:
            raise AssertionError(f"chains for the user's rules: {chains}")
        return [chains[0]["family"], chains[0]["table"], chains[0]["name"]]

    def user_add(self, verdict, source=None, protocol=None, port=None, comment=None):
        words = ["ip6" if ":" in source else "ip", "saddr", source] if source else []
        words += [protocol, "dport", str(port)] if protocol else []
        words += ["counter", verdict] + (["comment", f'"{comment}"'] if comment else [])
        self.namespace.run("nft", "add", "rule", *self.user_chain(), *words)

    def user_packets(self):
        """What each rule of the user counted."""
        return [int(count) for count in re.findall(r"counter packets (\d+)", self.user_text())]

    def user_text(self):
        return self.namespace.run("nft", "list", "chain", *self.user_chain()).stdout

    def user_flush(self):
        self.namespace.run("nft", "flush", "chain", *self.user_chain())

    def flush(self):
        """What somebody does who wants to be rid of all rules."""
        self.namespace.run("nft", "flush", "ruleset")

    @staticmethod
    def range_extras(protocol, first, last, address, to):
        """How the listing shows a range: a rule for each port."""
        return [f"{protocol} dpt:{port} to:{address}:{to + port - first}"
                for port in range(first, last + 1)]


def _is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


class IptablesLegacy(legacy.Rules):
    """The same, from the legacy tools."""

    def empty(self):
        return not ruleset(self.namespace)


ORACLES = {"nftables": Nftables, "iptables-legacy": IptablesLegacy}
