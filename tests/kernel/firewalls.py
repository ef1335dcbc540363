# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rule sets that a host may have, in nft's words and in those of iptables-legacy.

`unmet` are the rules that nothing is to come to; every other one has to count something, so that a
set can't be without effect.
"""


class Firewall:
    def __init__(self, nft, legacy, unmet=0, bridge_netfilter=0, rp_filter=0):
        self.text = {"nft": nft, "legacy": legacy}
        self.unmet = unmet
        self.bridge_netfilter, self.rp_filter = bridge_netfilter, rp_filter


FORWARD = "chain forward { type filter hook forward priority filter; policy accept;"

FIREWALLS = {
    "few_accepts": Firewall(
        """chain forward { type filter hook forward priority filter; policy drop;
            %(ip)s saddr %(outside)s %(ip)s daddr %(inner)s tcp dport 80 counter accept
            %(ip)s saddr %(a)s %(ip)s daddr %(outside)s udp dport 53 counter accept
            meta l4proto %(icmp)s counter accept
            ct state established counter accept
        }""",
        """*filter
        :FORWARD DROP [0:0]
        -A FORWARD -s %(outside)s -d %(inner)s -p tcp --dport 80 -j ACCEPT
        -A FORWARD -s %(a)s -d %(outside)s -p udp --dport 53 -j ACCEPT
        -A FORWARD -p %(icmp)s -j ACCEPT
        -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
        COMMIT
        """),
    "nothing_but_drops": Firewall(
        FORWARD.replace("accept", "drop") + "\n counter\n}",
        """*filter
        :FORWARD DROP [0:0]
        -A FORWARD -j DROP
        COMMIT
        """),
    "drops_here_and_there": Firewall(
        FORWARD + """
            %(ip)s saddr %(other)s counter drop
            %(ip)s daddr %(inner)s meta l4proto udp counter drop
            iifname brf oifname eth0 meta l4proto tcp counter drop
            iifname up1 meta l4proto %(icmp)s counter drop
        }""",
        """*filter
        -A FORWARD -s %(other)s -j DROP
        -A FORWARD -d %(inner)s -p udp -j DROP
        -A FORWARD -i brf -o eth0 -p tcp -j DROP
        -A FORWARD -i up1 -p %(icmp)s -j DROP
        COMMIT
        """, rp_filter=1),
    "established_passes_new_does_not": Firewall(
        FORWARD + """
            ct state established,related counter accept
            iifname eth0 oifname brf counter drop
            iifname brf oifname up1 ct state new counter drop
        }""",
        """*filter
        -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        -A FORWARD -i eth0 -o brf -j DROP
        -A FORWARD -i brf -o up1 -m conntrack --ctstate NEW -j DROP
        COMMIT
        """),
    "established_is_cut": Firewall(
        FORWARD + """
            %(ip)s saddr %(outside)s ct state established counter drop
            %(ip)s saddr %(inner)s %(ip)s daddr %(a)s ct state established counter drop
        }""",
        """*filter
        -A FORWARD -s %(outside)s -m conntrack --ctstate ESTABLISHED -j DROP
        -A FORWARD -s %(inner)s -d %(a)s -m conntrack --ctstate ESTABLISHED -j DROP
        COMMIT
        """),
    "port_forward_for_some": Firewall(
        """chain arrive { type nat hook prerouting priority dstnat;
            iifname eth0 %(ip)s daddr %(host)s tcp dport 9999 counter dnat to %(l)s%(inner)s%(r)s:80
            iifname eth0 %(ip)s daddr %(host)s udp dport 9999 counter dnat to %(l)s%(a)s%(r)s:53
        }
        chain output { type nat hook output priority -100;
            %(ip)s daddr %(host)s tcp dport 9999 counter dnat to %(l)s%(inner)s%(r)s:80
        }
        """ + FORWARD + """
            %(ip)s saddr %(other)s %(ip)s daddr %(inner)s tcp dport 80 counter drop
            %(ip)s saddr %(other)s ct status dnat counter drop
        }""",
        """*nat
        -A PREROUTING -i eth0 -d %(host)s -p tcp --dport 9999 -j DNAT --to %(l)s%(inner)s%(r)s:80
        -A PREROUTING -i eth0 -d %(host)s -p udp --dport 9999 -j DNAT --to %(l)s%(a)s%(r)s:53
        -A OUTPUT -d %(host)s -p tcp --dport 9999 -j DNAT --to-destination %(l)s%(inner)s%(r)s:80
        COMMIT
        *filter
        -A FORWARD -s %(other)s -d %(inner)s -p tcp --dport 80 -j DROP
        -A FORWARD -s %(other)s -m conntrack --ctstate DNAT -j DROP
        COMMIT
        """),
    "port_forward_under_policy_drop": Firewall(
        """chain arrive { type nat hook prerouting priority dstnat;
            iifname eth0 %(ip)s daddr %(host)s tcp dport 9999 counter dnat to %(l)s%(a)s%(r)s:80
        }
        chain forward { type filter hook forward priority filter; policy drop;
            %(ip)s saddr %(outside)s tcp dport 80 counter accept
            iifname brf ct state established,related counter accept
        }""",
        """*nat
        -A PREROUTING -i eth0 -d %(host)s -p tcp --dport 9999 -j DNAT --to %(l)s%(a)s%(r)s:80
        COMMIT
        *filter
        :FORWARD DROP [0:0]
        -A FORWARD -s %(outside)s -p tcp --dport 80 -j ACCEPT
        -A FORWARD -i brf -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        COMMIT
        """),
    "own_masquerade": Firewall(
        """chain leave { type nat hook postrouting priority srcnat;
            %(ip)s saddr %(bridged)s oifname eth0 counter masquerade
            %(ip)s saddr %(behind)s oifname eth0 counter snat to %(second)s
            %(ip)s saddr %(outside)s oifname brf counter masquerade
        }""",
        """*nat
        -A POSTROUTING -s %(bridged)s -o eth0 -j MASQUERADE
        -A POSTROUTING -s %(behind)s -o eth0 -j SNAT --to-source %(second)s
        -A POSTROUTING -s %(outside)s -o brf -j MASQUERADE
        COMMIT
        """),
    # bridged frames are judged as if they were forwarded
    "ports_of_the_bridge": Firewall(
        FORWARD + """
            iifname brf oifname brf meta l4proto udp counter drop
            iifname brf oifname brf counter accept
            iifname brf counter drop
        }""",
        """*filter
        -A FORWARD -m physdev --physdev-in pa --physdev-is-bridged -p udp -j DROP
        -A FORWARD -m physdev --physdev-in pb --physdev-is-bridged -p udp -j DROP
        -A FORWARD -m physdev --physdev-is-bridged -j ACCEPT
        -A FORWARD -i brf -j DROP
        COMMIT
        """, bridge_netfilter=1),
    "policy_drop_on_the_bridge": Firewall(
        """chain forward { type filter hook forward priority filter; policy drop;
            meta l4proto %(icmp)s counter accept
            %(ip)s saddr %(b)s counter accept
        }""",
        """*filter
        :FORWARD DROP [0:0]
        -A FORWARD -p %(icmp)s -j ACCEPT
        -A FORWARD -s %(b)s -j ACCEPT
        COMMIT
        """, bridge_netfilter=1),
    "accept_in_front": Firewall(
        FORWARD + """
            counter accept
            counter drop
        }""",
        """*filter
        -A FORWARD -s %(other)s -j DROP
        -I FORWARD -j ACCEPT
        COMMIT
        """, unmet=1),
    "refusals": Firewall(
        FORWARD + """
            %(ip)s daddr %(inner)s meta l4proto udp counter reject
            %(ip)s daddr %(a)s meta l4proto tcp counter reject with tcp reset
            iifname up1 oifname brf counter reject
        }""",
        """*filter
        -A FORWARD -d %(inner)s -p udp -j REJECT
        -A FORWARD -d %(a)s -p tcp -j REJECT --reject-with tcp-reset
        -A FORWARD -i up1 -o brf -j REJECT
        COMMIT
        """, rp_filter=2),
    "raw_and_mangle": Firewall(
        """chain first { type filter hook prerouting priority raw;
            %(ip)s saddr %(other)s %(ip)s daddr %(inner)s counter drop
        }
        chain later { type filter hook prerouting priority mangle;
            %(ip)s saddr %(inner)s %(ip)s daddr %(outside)s meta l4proto tcp counter drop
        }
        chain forward { type filter hook forward priority mangle;
            %(ip)s saddr %(a)s %(ip)s daddr %(outside)s meta l4proto udp counter drop
        }
        chain leave { type filter hook postrouting priority mangle;
            %(ip)s saddr %(outside)s oifname brf meta l4proto tcp counter drop
        }""",
        """*raw
        -A PREROUTING -s %(other)s -d %(inner)s -j DROP
        COMMIT
        *mangle
        -A PREROUTING -s %(inner)s -d %(outside)s -p tcp -j DROP
        -A FORWARD -s %(a)s -d %(outside)s -p udp -j DROP
        -A POSTROUTING -s %(outside)s -o brf -p tcp -j DROP
        COMMIT
        """),
    "invalid": Firewall(
        FORWARD + """
            iifname brf ct state invalid counter drop
            iifname eth0 oifname up1 ct state invalid counter drop
        }""",
        """*filter
        -A FORWARD -i brf -m conntrack --ctstate INVALID -j DROP
        -A FORWARD -i eth0 -o up1 -m conntrack --ctstate INVALID -j DROP
        COMMIT
        """),
    "untracked": Firewall(
        """chain first { type filter hook prerouting priority raw;
            %(ip)s saddr %(behind)s counter notrack
            %(ip)s daddr %(behind)s counter notrack
        }
        """ + FORWARD + """
            ct state untracked %(ip)s saddr %(other)s counter drop
        }""",
        """*raw
        -A PREROUTING -s %(behind)s -j CT --notrack
        -A PREROUTING -d %(behind)s -j CT --notrack
        COMMIT
        *filter
        -A FORWARD -m conntrack --ctstate UNTRACKED -s %(other)s -j DROP
        COMMIT
        """),
    "strict_reverse_path": Firewall(
        """chain first { type filter hook prerouting priority raw;
            iifname eth0 fib saddr . iif oif missing counter drop
        }""",
        """*raw
        -A PREROUTING -i eth0 -m rpfilter --invert -j DROP
        COMMIT
        """),
}
