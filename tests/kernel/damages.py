# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others do to the library's networks: a line for each damage, as a command of the host.

Words in braces are those of the world in test_damage.py: {net} and {other} are bridges, {veth} is
the host's end of endpoint c1 on the first, {c1} and {lost} are namespaces, {address} is that of c1
and {gateway} that of the bridge, {flag} is -4 or -6, {iptables} and {save} are the programs for
that family, {table} is the table of nftables, {state} the state directory, {dump} a file with the
rules of before, when there was an endpoint more. handle CHAIN PATTERN is the handle of a rule of
nftables.
"""

NFT, LEGACY = "nftables", "iptables-legacy"


class Damage:
    """`command` is one for both backends, or {backend: command}, and may be done for each family by
    itself. `undo` takes away what is none of the library's. A `losing` one is about an endpoint
    whose namespace has gone before it. With `gone` the state is lost: all is well when nothing of
    the library is there any more. `repair` is what that is told. An `unheard` one is done while
    nobody watches."""

    def __init__(self, name, command, families=False, undo="", repair=(), gone=False, losing=False,
                 unheard=False):
        self.name = name
        self.commands = command if isinstance(command, dict) else {NFT: command, LEGACY: command}
        self.families = (4, 6) if families else (4,)
        self.undo, self.repair = undo, repair
        self.gone, self.losing, self.unheard = gone, losing, unheard


def nft(name, command, **options):
    return Damage(name, {NFT: command}, **options)


def legacy(name, command, **options):
    return Damage(name, {LEGACY: command}, families=True, **options)


FIREWALL_NFT = "flush ruleset; table inet firewall { chain input { " \
               "type filter hook input priority 0; tcp dport 9 drop; }; }"
FIREWALL_LEGACY = "; ".join(
    f"printf '*{table}\\n{rule}COMMIT\\n' | {{iptables}}-restore"
    for table, rule in (("raw", ""), ("mangle", ""), ("nat", ""),
                        ("filter", "-A INPUT -p tcp --dport 9 -j DROP\\n")))
SHADOW = "PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 192.0.2.77:80"

# [(part, [damage])]
DAMAGES = [
    ("Rules, nftables", [
        nft("flush ruleset", "nft flush ruleset"),
        nft("flush table", "nft flush table {table}"),
        nft("delete table", "nft delete table {table}"),
        nft("flush chain of drops", "nft flush chain {table} raw-prerouting"),
        nft("flush chain of ports", "nft flush chain {table} ports"),
        nft("delete chain", "nft delete chain {table} mangle-prerouting"),
        nft("flush map of ports", "nft flush map {table} ports4"),
        nft("delete set", "nft flush chain {table} mangle-prerouting; "
                          "nft delete set {table} answered4"),
        nft("one port deleted", "nft delete element {table} ports4 '{ tcp . 8080 }'"),
        nft("one port altered", "nft 'delete element {table} ports4 { tcp . 8080 }; "
                                "add element {table} ports4 { tcp . 8080 : 172.30.0.9 . 80 }'"),
        nft("one port added",
            "nft add element {table} ports4 '{ tcp . 7777 : 172.30.0.2 . 80 }'"),
        nft("one drop deleted", "nft delete element {table} direct4 '{ {address} }'"),
        nft("one rule deleted", "nft delete rule {table} raw-prerouting handle "
                                "$(handle raw-prerouting @direct4)"),
        nft("one rule altered", "nft replace rule {table} nat-prerouting handle "
                                "$(handle nat-prerouting type.local.counter) counter return"),
        nft("one rule moved", "nft \"delete rule {table} raw-prerouting handle "
                              "$(handle raw-prerouting iifname..lo); "
                              "add rule {table} raw-prerouting iifname lo return\""),
        nft("rule added in front", "nft insert rule {table} filter-forward counter accept"),
        nft("table dormant", "nft add table {table} '{ flags dormant; }'"),
        nft("old dump restored", "nft -f {dump}"),
        nft("dump loaded twice", "nft list table {table} > {dump}.twice; nft -f {dump}.twice"),
        nft("another's table of the same name",
            "nft delete table {table}; nft -f - <<'END'\n"
            "table {table} { chain mine { type filter hook input priority 7; }; }\nEND\n"),
    ]),
    ("Rules, iptables-legacy", [
        legacy("-F of all tables", "for table in raw mangle nat filter; do "
                                   "{iptables} -t $table -F; done"),
        legacy("-F and -X of all tables", "for table in raw mangle nat filter; do "
                                          "{iptables} -t $table -F; {iptables} -t $table -X; done"),
        legacy("-F of raw", "{iptables} -t raw -F"),
        legacy("-F of nat", "{iptables} -t nat -F"),
        legacy("-F of filter", "{iptables} -t filter -F"),
        legacy("-F of BRIDGENET-RAW", "{iptables} -t raw -F BRIDGENET-RAW"),
        legacy("-F of BRIDGENET in nat", "{iptables} -t nat -F BRIDGENET"),
        legacy("-F of BRIDGENET-FORWARD", "{iptables} -F BRIDGENET-FORWARD"),
        legacy("-F of a network's drops", "{iptables} -t raw -F BN-net"),
        legacy("-F of a network's ports", "{iptables} -t nat -F BN-net"),
        legacy("-F of a network's accepts", "{iptables} -F BN-net"),
        legacy("-D of one port", "{iptables} -t nat -D BN-net 1"),
        legacy("-D of one drop", "{iptables} -t raw -D BN-net 1"),
        legacy("-D of a jump of ours", "{iptables} -t nat -D BRIDGENET -j BN-net"),
        legacy("-D of the jump from PREROUTING", "{iptables} -t raw -D PREROUTING 1"),
        legacy("-D of the jump from FORWARD", "{iptables} -D FORWARD -j BRIDGENET-FORWARD"),
        legacy("ACCEPT put before the jump", "{iptables} -I FORWARD -j ACCEPT",
               undo="{iptables} -D FORWARD -j ACCEPT"),
        legacy("one rule altered", "{iptables} -R BN-net 4 -o {net} -j ACCEPT"),
        legacy("one rule moved", "{iptables} -D BN-net -o {net} -j DROP; "
                                 "{iptables} -I BN-net -o {net} -j DROP"),
        legacy("ACCEPT added in a chain of ours", "{iptables} -I BRIDGENET-FORWARD -j ACCEPT"),
        legacy("old dump restored", "{iptables}-restore < {dump}{flag}"),
        legacy("dump loaded twice", "{save} > {dump}.twice; {iptables}-restore -n < {dump}.twice"),
    ]),
    ("Rules, with either", [
        Damage("another firewall's rules loaded in place of all",
               {NFT: f"nft '{FIREWALL_NFT}'", LEGACY: FIREWALL_LEGACY},
               families=True,
               undo="nft delete table inet firewall; {iptables} -D INPUT -p tcp --dport 9 -j DROP"),
        Damage("another's DNAT of the same port comes first",
               {NFT: "nft 'table ip shadow { chain pre { type nat hook prerouting priority -101; "
                     "tcp dport 8080 dnat to 192.0.2.77:80; }; }'",
                LEGACY: "iptables-legacy -t nat -I " + SHADOW},
               undo="nft delete table ip shadow; iptables-legacy -t nat -D " + SHADOW),
        Damage("another's table of our name in another family",
               "nft 'table ip bridgenet { chain mine { type filter hook input priority 0; }; }'",
               undo="nft delete table ip bridgenet"),
        Damage("connection tracking flushed", "conntrack -F 2>&1"),
    ]),
    ("Interfaces of endpoints", [
        Damage("veth deleted", "ip link del {veth}"),
        Damage("veth down", "ip link set {veth} down"),
        Damage("veth renamed", "ip link set {veth} down; ip link set {veth} name veth9; "
                               "ip link set veth9 up"),
        Damage("veth off its bridge", "ip link set {veth} nomaster"),
        Damage("veth on another bridge", "ip link set {veth} master {other}"),
        Damage("veth's MTU", "ip link set {veth} mtu 1300"),
        Damage("veth's alias", "ip link set {veth} alias mine"),
        Damage("veth no longer in hairpin mode", "bridge link set dev {veth} hairpin off"),
    ]),
    ("Bridges", [
        Damage("bridge deleted", "ip link del {net}"),
        Damage("bridge deleted, another of its name made",
               "ip link del {net}; ip link add {net} type bridge; ip link set {net} up"),
        Damage("bridge down", "ip link set {net} down"),
        Damage("bridge renamed", "ip link set {net} down; ip link set {net} name br9; "
                                 "ip link set br9 up"),
        Damage("bridge's address gone", "ip {flag} addr del {gateway} dev {net}", families=True),
        Damage("bridge's alias", "ip link set {net} alias mine"),
        Damage("bridge's MTU", "ip link set {net} mtu 1300"),
    ]),
    ("Sandboxes", [
        Damage("sandbox gone", "true", losing=True),
        Damage("sandbox gone, its path made anew", "ip netns add {lost}", losing=True),
        Damage("interface in it renamed", "ip -n {c1} link set eth0 down; "
                                          "ip -n {c1} link set eth0 name mine; "
                                          "ip -n {c1} link set mine up"),
        Damage("interface in it deleted", "ip -n {c1} link del eth0"),
        Damage("interface in it down", "ip -n {c1} link set eth0 down"),
        Damage("interface's address gone", "ip -n {c1} {flag} addr del {address}/{length} dev eth0",
               families=True),
        Damage("interface's MTU", "ip -n {c1} link set eth0 mtu 1300"),
        Damage("default route gone", "ip -n {c1} {flag} route del default dev eth0", families=True),
        Damage("default route replaced by another of its metric",
               "ip -n {c1} {flag} route replace default via {elsewhere} dev eth0 metric {metric}",
               families=True),
    ]),
    ("Settings of the host", [
        Damage("ip_forward off", "sysctl -wq {forwarding}=0", families=True),
        Damage("forwarding of the bridge off", "sysctl -wq net.{ip}.conf.{net}.forwarding=0",
               families=True),
        Damage("route_localnet of the bridge off",
               "sysctl -wq net.ipv4.conf.{net}.route_localnet=0"),
        Damage("rp_filter of all on", "sysctl -wq net.ipv4.conf.all.rp_filter=1",
               undo="sysctl -wq net.ipv4.conf.all.rp_filter=0"),
        Damage("bridge-nf-call-iptables on", "sysctl -wq net.bridge.bridge-nf-call-iptables=1 "
                                             "net.bridge.bridge-nf-call-ip6tables=1",
               undo="sysctl -wq net.bridge.bridge-nf-call-iptables=0 "
                    "net.bridge.bridge-nf-call-ip6tables=0"),
    ]),
    ("The state", [
        # a watch would make it again
        Damage("lock file removed", "rm {state}/operations.lock", unheard=True),
        Damage("clock set back: files are of tomorrow", "touch -d '1 day' {state} {state}/*"),
        Damage("state removed", "rm -r {state}/*", gone=True),
        Damage("state removed, repair told to remove what is unknown", "rm -r {state}/*", gone=True,
               repair=("--remove-unknown",)),
    ]),
]
