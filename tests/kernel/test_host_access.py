# SPDX-License-Identifier: LGPL-2.1-or-later
"""What endpoints reach of the host itself, by the network's host-access."""
import oracle
from topology import FAMILIES, KernelTest, for_each_backend

GATEWAY = {4: "172.30.0.1", 6: "fd00:30::1"}
SERVICE, DNS, REDIRECTED = 7000, 53, 5353
# what of it each value lets through
REACHED = {
    "all": {"ping", "dns", "service", "published"},
    "dns+icmp": {"ping", "dns", "published"},
    "published": {"ping", "published"},
    "none": set(),
}


@for_each_backend
class HostAccess(KernelTest):
    def begin(self, access):
        self.create("net", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64",
                    "--opt", f"host-access={access}")
        self.client = self.attach("net", "c1")
        self.server = self.attach("net", "c2", "-p", "8080:80")

    def check(self, what, reached, address, port, listener):
        if what in reached:
            self.assert_tcp(self.client, address, port, listener)
        else:
            self.assert_no_tcp(self.client, address, port, listener)

    def judge(self, reached, family):
        web = self.serve(self.server, 80, (family,))[family]
        service = self.keep(self.host.listen(family, SERVICE))
        names = self.keep(self.host.listen(family, DNS, GATEWAY[family]))
        asked = self.keep(self.host.udp(family, DNS, GATEWAY[family]))
        for address in (GATEWAY[family], self.net.host_address(family)):
            if "ping" in reached:
                self.client.ping(address)
            else:
                self.assertFalse(self.client.pings(address), address)
            self.check("service", reached, address, SERVICE, service)
        self.check("dns", reached, GATEWAY[family], DNS, names)
        if "dns" in reached:
            self.assert_udp(self.client, GATEWAY[family], DNS, asked)
        else:
            self.keep(self.client.udp(family)).sendto(b"?", (GATEWAY[family], DNS))
            self.assert_silent(asked)
        self.check("published", reached, self.net.host_address(family), 8080, web)
        # nothing else is touched: neighbours, outsiders, the way out, and the host's own way in
        self.assert_tcp(self.client, self.server.address(family), 80, web)
        self.assert_tcp(self.remote, self.net.host_address(family), 8080, web)
        outside = self.keep(self.remote.udp(family, 6000))
        self.assert_udp(self.client, self.net.address("remote", family), 6000, outside)
        self.host.run("ip", "neigh", "flush", "dev", self.bridge())
        self.client.run("ip", "neigh", "flush", "dev", "eth0")
        self.assert_tcp(self.host, self.server.address(family), 80, web)
        self.assert_tcp(self.host, self.net.host_address(family), 8080, web)
        for made in (web, service, names, asked, outside):
            made.close()

    def bridge(self):
        return oracle.network(self.bn, "net")["bridge"]

    def judge_all(self, access):
        self.begin(access)
        for value in (0, 1):
            for key in ("iptables", "ip6tables"):
                self.host.sysctl(f"net/bridge/bridge-nf-call-{key}", value)
            for family in FAMILIES:
                with self.subTest(access=access, family=family, bridge_netfilter=value):
                    self.judge(REACHED[access], family)

    def test_all(self):
        self.judge_all("all")
        self.assertEqual([], [rule for rule in oracle.rules(self.bn)
                              if rule["network"] == "net" and "host" in rule["chain"]])

    def test_dns_and_icmp(self):
        self.judge_all("dns+icmp")

    def test_published(self):
        self.judge_all("published")

    def test_none(self):
        self.judge_all("none")

    def test_dns_that_the_host_redirects(self):
        """Port 53 is the one that was asked, wherever the host's resolver listens."""
        self.begin("dns+icmp")
        self.host.run("nft", "-f", "-", stdin=f"""
            table inet site {{
                chain moved {{
                    type nat hook prerouting priority dstnat;
                    meta l4proto {{ tcp, udp }} th dport {DNS} redirect to :{REDIRECTED}
                }}
            }}""")
        try:
            for family in FAMILIES:
                names = self.keep(self.host.listen(family, REDIRECTED))
                asked = self.keep(self.host.udp(family, REDIRECTED))
                self.assert_tcp(self.client, GATEWAY[family], DNS, names)
                self.assert_udp(self.client, GATEWAY[family], DNS, asked)
                self.assert_no_tcp(self.client, GATEWAY[family], REDIRECTED, names)
        finally:
            self.host.run("nft", "delete", "table", "inet", "site")

    def test_what_is_dropped_is_counted(self):
        self.begin("none")
        for family in FAMILIES:
            service = self.keep(self.host.listen(family, SERVICE))
            self.assert_no_tcp(self.client, GATEWAY[family], SERVICE, service)
            self.assertTrue([rule for rule in oracle.rules(self.bn, "-v")
                             if "host-access" in rule["purpose"] and rule["packets"] and
                             rule["target"] == "DROP" and rule["family"] == f"ipv{family}"])
