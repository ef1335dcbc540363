# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rule sets made after those of programs that hosts have, for nft(8) and for iptables-restore."""
import itertools
import re


def counted(text):
    """What iptables-restore -c reads: no two rules have counted the same."""
    numbers = itertools.count(1)
    return re.sub(r"^-A", lambda _: "[{0}:{1}] -A".format(n := next(numbers), 84 * n),
                  re.sub(r"^ +", "", text, flags=re.MULTILINE), flags=re.MULTILINE)


# Every chain has a policy of accept and comes after the usual place; a bare reject is the end.
FIREWALLD = """table inet firewalld {
    chain mangle_PREROUTING {
        type filter hook prerouting priority mangle + 10; policy accept;
        jump mangle_PREROUTING_ZONES
    }
    chain mangle_PREROUTING_ZONES {
        iifname "eth0" goto mangle_PRE_public
        goto mangle_PRE_public
    }
    chain mangle_PRE_public {
    }
    chain nat_PREROUTING {
        type nat hook prerouting priority dstnat + 10; policy accept;
        iifname "eth0" goto nat_PRE_public
    }
    chain nat_PRE_public {
        meta nfproto ipv4 tcp dport 8888 counter packets 3 bytes 180 redirect to :88
    }
    chain nat_POSTROUTING {
        type nat hook postrouting priority srcnat + 10; policy accept;
        oifname "eth0" goto nat_POST_public
    }
    chain nat_POST_public {
        meta nfproto ipv4 oifname != "lo" ip saddr 10.99.0.0/16 masquerade
    }
    chain filter_PREROUTING {
        type filter hook prerouting priority filter + 10; policy accept;
        icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
    }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } counter packets 4711 bytes 815815 accept
        ct status dnat accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_INPUT_ZONES
        counter packets 17 bytes 1020 reject with icmpx admin-prohibited
    }
    chain filter_INPUT_ZONES {
        iifname "eth0" goto filter_IN_public
        goto filter_IN_public
    }
    chain filter_IN_public {
        tcp dport 22 ct state { new, untracked } counter packets 42 bytes 2520 accept
        ip6 daddr fe80::/64 udp dport 546 ct state { new, untracked } accept
        meta l4proto { icmp, ipv6-icmp } accept
    }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_FORWARD_POLICIES
        counter packets 5 bytes 300 reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_POLICIES {
        iifname "eth0" oifname "eth0" goto filter_FWD_public
        iifname "eth0" goto filter_FWD_public
        oifname "eth0" goto filter_FWD_public
    }
    chain filter_FWD_public {
        reject with icmpx admin-prohibited
    }
    chain filter_OUTPUT {
        type filter hook output priority filter + 10; policy accept;
        ct state { established, related } accept
        oifname "lo" accept
    }
}
"""

_UFW_USER = """*filter
:INPUT DROP [31:2604]
:FORWARD DROP [2:120]
:OUTPUT ACCEPT [11:924]
:%(ufw)s-before-input - [0:0]
:%(ufw)s-before-forward - [0:0]
:%(ufw)s-after-input - [0:0]
:%(ufw)s-user-input - [0:0]
:%(ufw)s-user-limit - [0:0]
:%(ufw)s-logging-deny - [0:0]
:%(ufw)s-track-output - [0:0]
-A INPUT -j %(ufw)s-before-input
-A INPUT -j %(ufw)s-after-input
-A FORWARD -j %(ufw)s-before-forward
-A OUTPUT -j %(ufw)s-track-output
-A %(ufw)s-before-input -i lo -j ACCEPT
-A %(ufw)s-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A %(ufw)s-before-input -m conntrack --ctstate INVALID -j %(ufw)s-logging-deny
-A %(ufw)s-before-input -m conntrack --ctstate INVALID -j DROP
%(special)s
-A %(ufw)s-before-input -j %(ufw)s-user-input
-A %(ufw)s-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A %(ufw)s-after-input -p udp -m udp --dport 137 -j RETURN
-A %(ufw)s-after-input -m addrtype --dst-type LOCAL -j RETURN
-A %(ufw)s-user-input -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m limit \
--limit 6/min --limit-burst 6 -j ACCEPT
-A %(ufw)s-user-input -p tcp -m multiport --dports 80,443 -m comment --comment "the web's" -j ACCEPT
-A %(ufw)s-user-limit -m limit --limit 3/min -j LOG --log-prefix "[UFW LIMIT BLOCK] "
-A %(ufw)s-user-limit -j REJECT
-A %(ufw)s-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A %(ufw)s-track-output -p tcp -m conntrack --ctstate NEW -j ACCEPT
COMMIT
"""
UFW = (
    _UFW_USER % {"ufw": "ufw", "special": """\
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT"""},
    _UFW_USER % {"ufw": "ufw6", "special": """\
-A ufw6-before-input -m rt --rt-type 0 -j DROP
-A ufw6-before-input -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT
-A ufw6-before-input -s fe80::/10 -d fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT"""})

_DOCKER_FILTER = """*filter
:INPUT ACCEPT [100:8400]
:FORWARD DROP [3:180]
:OUTPUT ACCEPT [90:7560]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
%(published)s
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -s %(blocked)s -j DROP
-A DOCKER-USER -j RETURN
COMMIT
"""
DOCKER = (
    _DOCKER_FILTER % {
        "published": "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80"
                     " -j ACCEPT",
        "blocked": "203.0.113.66/32"} + """*nat
:PREROUTING ACCEPT [9:540]
:INPUT ACCEPT [8:480]
:OUTPUT ACCEPT [7:420]
:POSTROUTING ACCEPT [6:360]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*raw
:PREROUTING ACCEPT [200:16800]
:OUTPUT ACCEPT [201:16884]
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
""",
    _DOCKER_FILTER % {"published": "-A DOCKER -i docker0 -j RETURN",
                      "blocked": "2001:db8:66::/48"})

LIBVIRT = """*filter
:INPUT ACCEPT [55:4620]
:FORWARD ACCEPT [5:420]
:OUTPUT ACCEPT [44:3696]
:LIBVIRT_INP - [0:0]
:LIBVIRT_OUT - [0:0]
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWX - [0:0]
-A INPUT -j LIBVIRT_INP
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A OUTPUT -j LIBVIRT_OUT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 67 -j ACCEPT
-A LIBVIRT_OUT -o virbr0 -p udp -m udp --dport 68 -j ACCEPT
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [1:60]
:POSTROUTING ACCEPT [2:120]
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN
-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE \
--to-ports 1024-65535
-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE
COMMIT
*mangle
:POSTROUTING ACCEPT [4:240]
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -o virbr0 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT
""", """*filter
:INPUT ACCEPT [3:216]
:LIBVIRT_INP - [0:0]
-A INPUT -j LIBVIRT_INP
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
COMMIT
"""

TABLE_OF_OUR_NAME = """table inet bridgenet {
    comment "somebody else was here first"
    set site_blocked {
        type ipv4_addr
        flags interval
        elements = { 203.0.113.0/25, 203.0.113.200 }
    }
    map site_marks {
        type inet_service : mark
        elements = { 22 : 0x16, 443 : 0x1bb }
    }
    counter site_count {
        packets 12 bytes 1008
    }
    chain site_forward {
        type filter hook forward priority filter - 5; policy accept;
        ip saddr @site_blocked counter packets 6 bytes 504 drop
        jump site_more
    }
    chain site_more {
        tcp dport 25 counter name "site_count" drop
        meta mark set tcp dport map @site_marks
    }
}
"""

TUNNEL = """table ip tunnel-wg0 {
    chain preraw {
        type filter hook prerouting priority raw; policy accept;
        iifname != "wg0" ip daddr 10.8.0.2 fib saddr type != local counter packets 8 bytes 672 drop
    }
    chain premangle {
        type filter hook prerouting priority mangle; policy accept;
        meta l4proto udp meta mark set ct mark
    }
    chain postmangle {
        type filter hook postrouting priority mangle; policy accept;
        meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark
    }
}
"""
