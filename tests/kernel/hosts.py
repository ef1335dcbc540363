# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts as there are: a namespace each, at the other end of whose eth0 is a router."""
import os
import re
import shutil
import subprocess
import tempfile
import time

import frames
import rulesets
import snapshot
from topology import BUILD, PATIENCE, Namespace, bn_binary, run, wait_until

HOST = {4: "192.0.2.10", 6: "2001:db8:1::10"}
ROUTER = {4: "192.0.2.254", 6: "2001:db8:1::fe"}
MANY = 1000

# what a command is started by that is to find such a host
READ_ONLY = ("unshare", "--mount", "sh", "-ec", 'mount --bind /proc/sys /proc/sys; '
             'mount -o remount,bind,ro /proc/sys; exec "$@"', "sh")
# without force_forwarding
OLD_KERNEL = ("unshare", "--mount", "sh", "-ec", 'all=/proc/sys/net/ipv6/conf/all; '
              'mkdir -p /run/bn-all; mount --bind $all /run/bn-all; mount -t tmpfs none $all; '
              'for file in forwarding disable_ipv6; do '
              ': >$all/$file; mount --bind /run/bn-all/$file $all/$file; done; exec "$@"', "sh")

HOSTS = {}


def host(build):
    """Name it: what makes the host of a Site."""
    HOSTS[build.__name__] = build
    return build


class Held(Namespace):
    """The network namespace that a command starts its command in, and what else is of it."""

    def __init__(self, name, *argv):
        self.process = subprocess.Popen(argv + ("sh", "-c", "echo; exec cat"),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.name, self.path = name, f"/run/netns/{name}"
        run("ip", "netns", "attach", name, str(self.process.pid))
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def delete(self):
        super().delete()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Site:
    """A host, before there is anything of ours.

    `within` is what commands of the host are started by, `options` what bn is told besides; `adopt`
    says of which bridge of the host a network is made, and with what. `unread` matches interfaces
    that there are enough others of. `meddle` is called while networks stand, and gives back what
    undoes what it did.
    """

    count = 0

    def __init__(self, backend, name):
        Site.count += 1
        self.prefix = f"bh{os.getpid()}-{Site.count}-"
        self.backend = backend
        self.namespaces = []
        self.within, self.options, self.adopt = (), (), ()
        self.unread = self.meddle = None
        self.state = tempfile.mkdtemp(prefix=self.prefix)
        self.fault_log = os.path.join(self.state, "fault")
        try:
            self.router = self.namespace("router")
            build = HOSTS[name]
            self.host = self.namespace("host", *getattr(build, "within", ()))
            if isinstance(self.host, Held):
                self.within = ("nsenter", "-t", str(self.host.process.pid),
                               "--user", "--preserve-credentials", "--net")
            self.host.batch("link set lo up\n")
            self.plug()
            build(self)
            self.quieten()
            self.settle()
        except BaseException:
            self.close()
            raise

    def close(self):
        for namespace in self.namespaces:
            namespace.delete()
        shutil.rmtree(self.state, ignore_errors=True)

    def namespace(self, role, *argv):
        made = Held(self.prefix + role, *argv) if argv else Namespace(self.prefix + role)
        self.namespaces.append(made)
        return made

    def endpoint(self, role):
        """To be joined to networks; in the user namespace that the host is in."""
        held = (*self.within, "unshare", "-n") if isinstance(self.host, Held) else ()
        return self.namespace(role, *held)

    # ---- the verbs ----

    def bn(self, *argv, fault=None):
        """fault: not bn, but what fails at that step, or at none of them for 0."""
        program = (bn_binary(),)
        if fault is not None:
            program = ("env", f"BN_FAULT={fault}", f"BN_FAULT_LOG={self.fault_log}",
                       os.path.join(BUILD, "tests/kernel/faulting"))
        return self.host.run(*self.within, *program, "--state-dir", self.state, "--backend",
                             self.backend, "--timeout", f"{PATIENCE:.0f}", *self.options, *argv,
                             check=False)

    def fault(self):
        """The step that failed in the last call, None for none."""
        try:
            with open(self.fault_log) as file:
                step = file.read()
        except FileNotFoundError:
            return None
        os.unlink(self.fault_log)
        return step

    def take(self):
        return snapshot.take(self.host, self.unread)

    # ---- what the builders need ----

    def plug(self):
        # IPv4's settings are those of the machine else
        self.host.sysctl("net/ipv4/ip_forward", 0)
        self.host.sysctl("net/ipv4/conf/default/rp_filter", 2)
        self.host.batch(f"link add eth0 type veth peer name host netns {self.router.name}\n")
        self.host.settle("eth0")
        self.router.settle("host")
        # what it sends by itself is when the test wants it
        self.router.sysctl("net/ipv6/conf/host/router_solicitations", 0)
        self.router.batch("link set host up\n" + "".join(
            f"addr add {ROUTER[family]}{length} dev host\n"
            for family, length in ((4, "/24"), (6, "/64 nodad"))))
        self.host.sysctl("net/ipv6/conf/eth0/router_solicitations", 0)
        self.host.batch("link set eth0 up\n")

    def address(self, interface="eth0"):
        self.host.batch("".join(
            f"addr add {HOST[family]}{length} dev {interface}\n"
            for family, length in ((4, "/24"), (6, "/64 nodad"))))
        for family in (4, 6):
            # a moment after the address there is the route
            words = f"-{family} route add default via {ROUTER[family]} dev {interface}".split()
            wait_until(lambda argv=words: not self.host.run("ip", *argv, check=False).returncode,
                       what=f"the default route of IPv{family}")

    def bridge(self, name, *addresses, options="", ports=()):
        self.host.batch(f"link add {name} type bridge {options}\n")
        self.host.settle(name)
        self.host.batch("".join(f"link set {port} master {name}\n" for port in ports) +
                        f"link set {name} up\n" +
                        "".join(f"addr add {address} dev {name}\n" for address in addresses))

    def restore(self, tool, *texts):
        """By iptables-TOOL-restore and its sister, with counters that are not 0."""
        for command, text in zip(("iptables", "ip6tables"), texts):
            self.host.run(f"{command}-{tool}-restore", "-c", stdin=rulesets.counted(text))

    def nft(self, text):
        self.host.run("nft", "-f", "-", stdin=text)

    def quieten(self):
        """Interfaces that come and go make the kernel ask for neighbours and routers and report
        groups, with which whoever counts all packets counts these. They are stopped before that."""
        self.nft("table inet quiet {\n" + "".join(
            f"chain {hook} {{ type filter hook {hook} priority -400; policy accept;\n"
            "meta l4proto { icmp, ipv6-icmp, igmp } drop\n}\n"
            for hook in ("prerouting", "output")) + "}\n")

    def settle(self):
        """Links tell of their carriers a moment later, and addresses bring routes."""
        wait_until(lambda: all(link["operstate"] == "UP" for name, link in self.host.links().items()
                               if name == "eth0" or link.get("master")), what="the links up")
        before = self.take()
        deadline = time.monotonic() + PATIENCE
        while True:
            time.sleep(0.05)
            now = self.take()
            found = snapshot.differences(before, now)
            if not found:
                break
            if time.monotonic() > deadline:
                raise AssertionError("moves by itself:\n" + "\n".join(found))
            before = now


# ---- packet filters of others ----

@host
def firewalld(site):
    site.address()
    site.nft(rulesets.FIREWALLD)


@host
def ufw_nft(site):
    site.address()
    site.restore("nft", *rulesets.UFW)


@host
def ufw_legacy(site):
    site.address()
    site.restore("legacy", *rulesets.UFW)


def _docker(site, tool):
    site.address()
    site.host.sysctl("net/ipv4/ip_forward", 1)
    site.bridge("docker0", "172.17.0.1/16")
    site.host.sysctl("net/ipv4/conf/docker0/route_localnet", 1)
    site.restore(tool, *rulesets.DOCKER)


@host
def docker_nft(site):
    _docker(site, "nft")


@host
def docker_legacy(site):
    _docker(site, "legacy")


@host
def libvirt(site):
    site.address()
    site.host.sysctl("net/ipv4/ip_forward", 1)
    site.bridge("virbr0", "192.168.122.1/24", options="stp_state 1 forward_delay 200")
    site.host.sysctl("net/ipv6/conf/virbr0/disable_ipv6", 1)
    site.restore("nft", *rulesets.LIBVIRT)


@host
def table_of_our_name(site):
    """Somebody has objects of his own in a table named as ours, and uses one of ours."""
    site.address()
    site.nft(rulesets.TABLE_OF_OUR_NAME)

    def meddle():
        for name in _chains_of_ours(site):
            added = site.host.run("nft", "-ae", "add", "rule", "inet", "bridgenet", "site_forward",
                                  "ip saddr 203.0.113.9 counter jump", name, check=False)
            if not added.returncode:
                handle = re.search(r"handle (\d+)", added.stdout)[1]
                return lambda: site.host.run("nft", "delete", "rule", "inet", "bridgenet",
                                             "site_forward", "handle", handle)
        raise AssertionError("no chain of ours can be jumped to")

    site.meddle = meddle if site.backend == "nftables" else None


def _chains_of_ours(site):
    text = site.host.run("nft", "list", "table", "inet", "bridgenet").stdout
    return [name for name, inside in re.findall(r"chain (\S+) \{\n(.*?)\t\}", text, re.DOTALL)
            if not name.startswith("site_") and "hook" not in inside]


# ---- settings ----

@host
def autoconfigured(site):
    """Forwards nothing, and has its IPv6 from the router."""
    site.host.batch(f"addr add {HOST[4]}/24 dev eth0\nroute add default via {ROUTER[4]}\n")
    site.host.sysctl("net/ipv6/conf/eth0/accept_ra", 1)
    mac = site.router.link("host")["address"]
    sender = frames.packet_socket(site.router, "host")
    source = wait_until(lambda: site.router.addresses("host", 6, "link"), what="its address")[0]

    def heard():
        sender.send(frames.router_advertisement(mac, source.split("/")[0], "2001:db8:1::"))
        return site.host.default_routes(6) and site.host.addresses("eth0", 6)

    try:
        wait_until(heard, what="the route that the router advertised")
    finally:
        sender.close()


@host
def guarded(site):
    """One that routes for networks alone, and has other bridges."""
    autoconfigured(site)
    site.bridge("lan0", "10.77.0.1/24")
    site.options = ("--option", "forwarding=guard")


@host
def guarded_with_uplink(site):
    bridge_with_uplink(site)
    site.options = ("--option", "forwarding=guard")


@host
def autoconfigured_on_an_older_kernel(site):
    """Where forwarding is for all interfaces, or none."""
    autoconfigured(site)
    site.within = OLD_KERNEL


@host
def forwards_but_what_comes_later(site):
    site.address()
    for family in ("ipv4", "ipv6"):
        site.host.sysctl(f"net/{family}/conf/all/forwarding", 1)
        site.host.sysctl(f"net/{family}/conf/default/forwarding", 0)
    site.host.sysctl("net/ipv4/conf/all/rp_filter", 1)
    site.host.sysctl("net/ipv4/conf/default/rp_filter", 1)
    site.host.sysctl("net/ipv6/conf/default/accept_ra", 0)


@host
def hardened(site):
    """What its owner has set differs from what all of them have by the one that is for all."""
    site.address()
    site.host.sysctl("net/ipv6/conf/default/forwarding", 1)
    site.host.sysctl("net/ipv4/conf/default/forwarding", 1)
    site.bridge("lan0", "10.77.0.1/24")
    for family in ("ipv4", "ipv6"):
        site.host.sysctl(f"net/{family}/conf/eth0/forwarding", 1)
    for name in ("all", "default", "eth0", "lan0"):
        for key, value in (("accept_redirects", 0), ("secure_redirects", 0), ("send_redirects", 0),
                           ("rp_filter", 1), ("log_martians", 1)):
            site.host.sysctl(f"net/ipv4/conf/{name}/{key}", value)
        site.host.sysctl(f"net/ipv6/conf/{name}/accept_redirects", 0)
        site.host.sysctl(f"net/ipv6/conf/{name}/accept_ra", 0)


@host
def hardened_on_an_older_kernel(site):
    hardened(site)
    site.within = OLD_KERNEL


@host
def read_only(site):
    """As a container is that has CAP_NET_ADMIN: what it needs is as it needs it."""
    site.address()
    for family in ("ipv4", "ipv6"):
        site.host.sysctl(f"net/{family}/conf/all/forwarding", 1)
    site.within = READ_ONLY
    # the settings of endpoints can't be written either
    site.options = ("--sandbox-ipv6", "leave")


@host
def user_namespace(site):
    site.address()


user_namespace.within = ("unshare", "-U", "-r", "-n")


# ---- links ----

@host
def bridge_with_uplink(site):
    """The network is that of the bridge, whose address is the gateway, and one more."""
    site.host.batch("link set eth0 down\n")
    site.bridge("br0", ports=("eth0",))
    site.host.batch("link set eth0 up\n")
    site.address("br0")
    site.adopt = ("--bridge", "br0", "--subnet", "192.0.2.0/24", "--gateway", HOST[4],
                  "--ip-range", "192.0.2.128/26", "--subnet", "fd00:39::/64")


@host
def bridge_that_is_down(site):
    site.address()
    site.bridge("br0", "198.51.100.1/24", options="mcast_snooping 0 ageing_time 9000")
    # one whose address nobody set has that of a port, and with the last it loses it for good
    site.host.batch("link set br0 down alias spare mtu 1400 address 02:00:00:00:09:01\n")
    site.adopt = ("--bridge", "br0", "--subnet", "172.31.9.0/24", "--subnet", "fd00:39::/64")


@host
def many_interfaces(site):
    site.address()
    site.host.batch("".join(f"tuntap add d{i} mode tap\n" for i in range(MANY)))
    site.host.batch("".join(f"link set d{i} up\naddr add 10.{i}.0.1/24 dev d{i}\n"
                            for i in range(0, 250, 10)))
    site.unread = re.compile(r"d\d*[1-9]")


@host
def tunnel(site):
    """All goes by way of wg0, but for what wg0 itself sends."""
    site.address()
    site.host.batch("tuntap add wg0 mode tun\nlink set wg0 mtu 1420 up\n"
                    "addr add 10.8.0.2/32 dev wg0\naddr add fd00:8::2/128 dev wg0 nodad\n"
                    "route add 0.0.0.0/1 dev wg0\nroute add 128.0.0.0/1 dev wg0\n"
                    "route add ::/1 dev wg0\nroute add 8000::/1 dev wg0\n"
                    "route add default dev wg0 table 51820\n"
                    "rule add not fwmark 0xca6c table 51820\n"
                    "rule add table main suppress_prefixlength 0\n")
    site.host.run("ip", "-6", "route", "add", "default", "dev", "wg0", "table", "51820")
    site.host.run("ip", "-6", "rule", "add", "not", "fwmark", "0xca6c", "table", "51820")
    site.host.sysctl("net/ipv4/conf/all/src_valid_mark", 1)
    site.nft(rulesets.TUNNEL)
