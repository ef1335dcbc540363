# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that forwards for others, and the firewalls that its administrator may have.

    remote, attacker -- eth0 -- host -- up1 -- inner
                                 |
                                brf -- a, b: foreign machines on a bridge of the host
                                 |
                                far: a router behind the bridge's uplink, with an address beyond
"""
import re

import legacy
import oracle
from topology import FAMILIES, Topology, wait_until

NETWORKS = {"inner": ("198.51.100", "2001:db8:51:"), "brf": ("203.0.113", "2001:db8:113:"),
            "far": ("198.18.0", "2001:db8:18:")}
MEMBERS = {"inner": ("inner", 2), "a": ("brf", 10), "b": ("brf", 11), "far": ("brf", 2)}
FAR = {4: "198.18.0.1", 6: "2001:db8:18::1"}


def member(name, family, number=None):
    network, own = MEMBERS[name]
    number = own if number is None else number
    prefix = NETWORKS[network][0 if family == 4 else 1]
    return f"{prefix}.{number}" if family == 4 else f"{prefix}:{number}"


def subnet(name, family):
    prefix = NETWORKS[name][0 if family == 4 else 1]
    return f"{prefix}.0/24" if family == 4 else f"{prefix}:/64"


class Forwarding(Topology):
    """Forwards in both families before there is anything of ours."""

    INNER = "up1"

    def __init__(self, backend):
        super().__init__(backend)
        try:
            self.extend()
            self.machines = {"outside": self.remote, "other": self.attacker, "host": self.host,
                             **{name: self.member(name) for name in MEMBERS}}
            for machine in self.machines.values():
                # each refusal is told, however many there are
                machine.sysctl("net/ipv4/icmp_ratemask", 0)
                machine.sysctl("net/ipv6/icmp/ratelimit", 0)
            self.pristine = self.host_state()
        except BaseException:
            self.close()
            raise

    def extend(self):
        self.host.sysctl("net/ipv4/ip_forward", 1)
        self.host.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.bridge_netfilter(0)
        self.host.batch("link add brf type bridge\n")
        self.host.settle("brf")
        self.host.batch("link set brf up\n")
        for family in FAMILIES:
            length = "/24" if family == 4 else "/64 nodad"
            self.host.batch(f"addr add {member('a', family, 1)}{length} dev brf\n")
            for machine in (self.remote, self.attacker):
                for name in NETWORKS:
                    machine.batch(f"route add {subnet(name, family)} via "
                                  f"{self.host_address(family)}\n")

    def member(self, name):
        made = self.namespace(name)
        made.batch("link set lo up\n")
        port = self.INNER if name == "inner" else f"p{name}"
        self.host.batch(f"link add {port} type veth peer name eth0 netns {made.name}\n" +
                        (f"link set {port} master brf\n" if name != "inner" else ""))
        self.host.settle(port)
        self.host.batch(f"link set {port} up\n")
        made.settle("eth0")
        made.batch("link set eth0 up\n")
        for family in FAMILIES:
            length = "/24" if family == 4 else "/64 nodad"
            if name == "inner":
                self.host.batch(f"addr add {member(name, family, 1)}{length} dev {self.INNER}\n")
            made.batch(f"addr add {member(name, family)}{length} dev eth0\n")
            source = ""
            if name == "far":
                made.batch(f"addr add {FAR[family]} dev lo\n")
                self.host.batch(f"route add {subnet(name, family)} via {member(name, family)}\n")
                source = f" src {FAR[family]}"
            # the source is one a moment after it is there
            wait_until(lambda route=f"route add default via {member(name, family, 1)}{source}":
                       not made.run("ip", *route.split(), check=False).returncode,
                       what=f"the default route of {name}")
        return made

    def bridge_netfilter(self, value):
        for key in ("iptables", "ip6tables"):
            self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)

    def names(self, family):
        """What the text of a rule may speak of."""
        return {"outside": self.address("remote", family),
                "other": self.address("attacker", family),
                "host": self.host_address(family), "second": self.HOST_SECOND[family],
                "inner": member("inner", family), "a": member("a", family),
                "b": member("b", family), "far": FAR[family], "bridged": subnet("brf", family),
                "behind": subnet("inner", family), "ip": "ip" if family == 4 else "ip6",
                "icmp": "icmp" if family == 4 else "ipv6-icmp",
                "l": "" if family == 4 else "[", "r": "" if family == 4 else "]"}

    def where(self, name, family):
        return self.names(family)[name]


# ---- the administrator's tools: apply, remove, and what each rule counted ----

class Tool:
    """The rules are there within `with`."""

    def __enter__(self):
        self.apply()
        return self

    def __exit__(self, *unused):
        self.remove()


class Nft(Tool):
    """A rule set is the inside of a table, for either family."""

    name = "nft"

    def __init__(self, net, text):
        self.net, self.text = net, text

    def apply(self):
        self.net.host.run("nft", "-f", "-", stdin="".join(
            f"table {names['ip']} site {{\n" + self.text % names + "\n}\n"
            for names in map(self.net.names, FAMILIES)))

    def remove(self):
        self.net.host.run("nft", "-f", "-", stdin="delete table ip site\ndelete table ip6 site\n")

    def packets(self):
        """{(family, number of the rule, its chain): packets}"""
        found = {}
        for family in ("ip", "ip6"):
            for entry in oracle.nft(self.net.host, "list", "table", family, "site"):
                rule = entry.get("rule", {})
                for expression in rule.get("expr", ()):
                    if "counter" in expression:
                        key = (family, len(found), rule["chain"])
                        found[key] = expression["counter"]["packets"]
        return found


class Legacy(Tool):
    """A rule set is what iptables-restore reads, with -A and -I, and the policies."""

    name = "legacy"

    def __init__(self, net, text):
        self.net = net
        self.text = re.sub(r"^ +", "", text, flags=re.MULTILINE)

    def _restore(self, text):
        for family in FAMILIES:
            self.net.host.run(f"{legacy.COMMAND[family]}-restore", "--noflush",
                              stdin=text % self.net.names(family))

    def apply(self):
        self._restore(self.text)

    def remove(self):
        self._restore(re.sub(r"^-[AI]", "-D", self.text.replace("DROP [", "ACCEPT ["),
                             flags=re.MULTILINE))

    def packets(self):
        found = {}
        for table in legacy.tables(self.net.host):
            for chain, rules in sorted(table.rules.items()):
                for text, (packets, _) in rules:
                    if not legacy.is_ours(chain) and not legacy.is_ours(legacy.target(text)):
                        found[table.family, table.name, chain, text] = packets
        return found
