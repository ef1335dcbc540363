# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines made of network namespaces, and the bn command line run inside one of them.

    remote ----+
    attacker --+-- segment (an Ethernet switch) -- host: bn and its networks -- endpoints

A socket belongs to the namespace it was made in, so the test process steps into a namespace only to
make one and drives it from outside: no further processes, nothing to wait for.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import oracle

BUILD = os.environ.get("BN_BUILD_DIR", str(pathlib.Path(__file__).resolve().parents[2] / "build"))
# Itself, and not libtool's script about it, which takes several times as long as most of its verbs.
BN = os.path.join(BUILD, ".libs", "bn")
if os.path.exists(BN):
    os.environ["LD_LIBRARY_PATH"] = os.path.join(BUILD, ".libs")
BACKENDS = os.environ.get("BN_BACKENDS", "nftables,iptables-legacy").split(",")
FAMILIES = (4, 6)
PATIENCE = 30.0  # seconds that what is to come may take; no wait is longer than it has to be
CLONE_NEWNET = 0x40000000
NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)
_home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def bn_binary():
    for candidate in (BN, os.path.join(BUILD, "bn")):
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise RuntimeError(f"no bn below {BUILD}: build first, or set BN_BUILD_DIR")


def setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def af(address_or_family):
    if address_or_family in (4, 6):
        return socket.AF_INET if address_or_family == 4 else socket.AF_INET6
    return socket.AF_INET6 if ":" in address_or_family else socket.AF_INET


def run(*argv, check=True, stdin=None, **options):
    result = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            input=stdin, **options)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(argv)}: exit {result.returncode}: {result.stderr}")
    return result


def sanitizer_of(library):
    """What a program needs that was built without the sanitizer, and loads a library with it."""
    with open(library, "rb") as file:
        if b"__asan_init" not in file.read():
            return {}
    runtime = run("gcc", "-print-file-name=libasan.so").stdout.strip()
    return {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}


def wait_until(condition, seconds=PATIENCE, what="condition"):
    """Of a machine that does other things; where all is well it takes some milliseconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Namespace:
    """A named network namespace; `with` steps into it."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        run("ip", "netns", "add", name)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        setns(self.fd)
        return self

    def __exit__(self, *unused):
        setns(_home)

    def unlink(self):
        """Remove the name; the namespace goes with the last descriptor."""
        if os.path.exists(self.path):
            run("ip", "netns", "del", self.name, check=False)

    def delete(self):
        self.unlink()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    # ---- commands ----

    def run(self, *argv, **options):
        with self:
            return run(*argv, **options)

    def popen(self, *argv, **options):
        with self:
            return subprocess.Popen(argv, **options)

    def batch(self, text):
        self.run("ip", "-batch", "-", stdin=text)

    def ip(self, *argv):
        """The parsed answer of `ip -j`."""
        return json.loads(self.run("ip", "-j", *argv).stdout or "[]")

    def sysctl(self, key, value=None):
        with self:
            path = "/proc/sys/" + key
            if value is None:
                with open(path) as file:
                    return file.read().strip()
            with open(path, "w") as file:
                file.write(str(value))
            return str(value)

    def settle(self, interface):
        """Its link-local address, by which a router asks for its neighbours, is not to wait."""
        self.sysctl(f"net/ipv6/conf/{interface}/accept_dad", 0)

    def ping(self, address):
        """Until it answers: an address may have no route yet, or be looked for."""
        self.run("ping", "-n", "-c1", f"-w{PATIENCE:.0f}", address)

    def pings(self, address, seconds=0.25):
        """Of one that is not to answer."""
        return not self.run("ping", "-n", "-c1", f"-W{seconds}", address, check=False).returncode

    # ---- what is there ----

    def links(self):
        return {link["ifname"]: link for link in self.ip("-d", "link", "show")}

    def link(self, name):
        return self.links()[name]

    def addresses(self, interface, family, scope="global"):
        flag = "-4" if family == 4 else "-6"
        answer = self.ip(flag, "addr", "show", "dev", interface)
        return [f"{info['local']}/{info['prefixlen']}" for entry in answer if entry
                for info in entry.get("addr_info", []) if scope in (None, info["scope"])]

    def address(self, family, interface="eth0"):
        found = self.addresses(interface, family)
        if len(found) != 1:
            raise AssertionError(f"{self.name}: {interface} has IPv{family} addresses {found}")
        return found[0].split("/")[0]

    def default_routes(self, family):
        flag = "-4" if family == 4 else "-6"
        return [(route.get("gateway"), route["dev"])
                for route in self.ip(flag, "route", "show", "default")]

    # ---- sockets ----

    def socket(self, family, kind=socket.SOCK_STREAM, timeout=PATIENCE):
        with self:
            made = socket.socket(af(family), kind)
        made.settimeout(timeout)
        if af(family) == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return made

    def listen(self, family, port, address=None, backlog=64):
        listener = self.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address or ("0.0.0.0" if family == 4 else "::"), port))
        listener.listen(backlog)
        return listener

    def udp(self, family, port=0, address=None, timeout=PATIENCE):
        made = self.socket(family, socket.SOCK_DGRAM, timeout)
        made.bind((address or ("0.0.0.0" if family == 4 else "::"), port))
        return made


class Bn:
    """The command line, run in a namespace."""

    def __init__(self, host, state, backend):
        self.host = host
        self.state = state
        self.backend = backend

    def argv(self, *argv):
        return (bn_binary(), "--state-dir", self.state, "--backend", self.backend,
                "--timeout", f"{PATIENCE:.0f}") + argv

    def result(self, *argv, **options):
        return self.host.run(*self.argv(*argv), check=False, **options)

    def __call__(self, *argv, **options):
        result = self.result(*argv, **options)
        if result.returncode or result.stderr:
            raise AssertionError(
                f"bn {' '.join(argv)}: exit {result.returncode}\n{result.stderr}")
        return result.stdout

    def json(self, *argv, **options):
        return json.loads(self("--json", *argv, **options))

    def popen(self, *argv, **options):
        return self.host.popen(*self.argv(*argv), text=True, stdin=subprocess.DEVNULL, **options)


class Topology:
    """The machines of one test class. Only `host` knows of the library."""

    ADDRESSES = {
        "host": ("192.0.2.1", "2001:db8:1::1"),
        "remote": ("192.0.2.2", "2001:db8:1::2"),
        "attacker": ("192.0.2.3", "2001:db8:1::3"),
    }
    HOST_SECOND = {4: "192.0.2.11", 6: "2001:db8:1::11"}

    count = 0

    def __init__(self, backend):
        Topology.count += 1
        self.prefix = f"bt{os.getpid()}-{Topology.count}-"
        self.namespaces = []
        self.endpoints = []
        self.state = tempfile.mkdtemp(prefix=self.prefix)
        os.chmod(self.state, 0o755)
        try:
            self.segment = self.namespace("segment")
            self.segment.batch("link add switch type bridge\nlink set switch up\n")
            self.host = self.machine("host")
            self.remote = self.machine("remote")
            self.attacker = self.machine("attacker")
            self.host.batch(
                "link set lo up\n"
                f"addr add {self.HOST_SECOND[4]}/24 dev eth0\n"
                # the other one is the source, where the host picks
                f"addr add {self.HOST_SECOND[6]}/64 dev eth0 nodad preferred_lft 0\n"
                f"route add default via {self.address('remote', 4)}\n"
                f"route add default via {self.address('remote', 6)}\n")
            self.remote.batch("link set lo up\n")
            self.bn = Bn(self.host, self.state, backend)
            wait_until(self.host_is_settled, what="the routes to the host's own addresses")
            self.pristine = self.host_state()
        except BaseException:
            self.close()
            raise

    def namespace(self, role):
        made = Namespace(self.prefix + role)
        self.namespaces.append(made)
        return made

    def machine(self, role):
        made = self.namespace(role)
        ipv4, ipv6 = self.ADDRESSES[role]
        self.segment.batch(
            f"link add {role} type veth peer name eth0 netns {made.name}\n"
            f"link set {role} master switch up\n")
        made.settle("eth0")
        made.batch(
            "link set eth0 up\n"
            f"addr add {ipv4}/24 dev eth0\n"
            f"addr add {ipv6}/64 dev eth0 nodad\n")
        return made

    @classmethod
    def address(cls, role, family):
        return cls.ADDRESSES[role][0 if family == 4 else 1]

    def host_address(self, family):
        return self.address("host", family)

    def endpoint(self, role):
        """An empty namespace that can be joined to networks."""
        taken = {endpoint.name for endpoint in self.endpoints}
        name, number = role, 1
        while self.prefix + name in taken:
            number += 1
            name = f"{role}-{number}"
        made = self.namespace(name)
        self.endpoints.append(made)
        return made

    def drop_endpoints(self):
        for endpoint in self.endpoints:
            endpoint.delete()
            self.namespaces.remove(endpoint)
        self.endpoints.clear()

    def host_is_settled(self):
        """The kernel adds the route to an IPv6 address a moment after the address."""
        local = {route["dst"] for route in self.host.ip("-6", "route", "show", "table", "local")}
        return {self.host_address(6), self.HOST_SECOND[6]} <= local

    def host_state(self):
        """What the host has, for judging that nothing was added or lost."""
        links = {name: (link.get("link_type"), link["mtu"]) for name, link in
                 self.host.links().items()}
        addresses = sorted((entry["ifname"], info["local"], info["prefixlen"])
                           for entry in self.host.ip("addr", "show")
                           for info in entry.get("addr_info", []) if info["scope"] != "link")
        routes = sorted((str(route.get("type")), route["dst"], str(route.get("gateway")),
                         str(route.get("dev")), str(route.get("table")))
                        for flag in ("-4", "-6")
                        for route in self.host.ip(flag, "route", "show", "table", "all")
                        # those come and go by themselves
                        if route.get("type") not in ("multicast", "anycast")
                        and not route["dst"].startswith("fe80:"))
        return {"links": links, "addresses": addresses, "routes": routes,
                "rules": oracle.ruleset(self.host)}

    def close(self):
        self.drop_endpoints()
        for namespace in self.namespaces:
            namespace.delete()
        self.namespaces.clear()
        shutil.rmtree(self.state, ignore_errors=True)


def for_each_backend(case, backends=None):
    """Replace a test class by one of it for each backend."""
    module = sys.modules[case.__module__]
    for backend in BACKENDS if backends is None else backends:
        name = case.__name__ + backend.title().replace("-", "")
        made = type(name, (case,), {"backend": backend, "__module__": case.__module__})
        setattr(module, name, made)
    return None


def for_backend(backend):
    """A test class about what one backend alone has."""
    return lambda case: for_each_backend(case, [backend] if backend in BACKENDS else [])


class KernelTest(unittest.TestCase):
    """One topology for a class. Every test takes away what it made; the teardown of each looks."""

    backend = None
    maxDiff = None
    topology = Topology

    @classmethod
    def setUpClass(cls):
        cls.net = cls.topology(cls.backend)
        cls.oracle = oracle.ORACLES[cls.backend](cls.net.host)

    @classmethod
    def tearDownClass(cls):
        cls.net.close()

    def setUp(self):
        self.bn = self.net.bn
        self.host = self.net.host
        self.remote = self.net.remote
        self.attacker = self.net.attacker
        self.sockets = []
        self.processes = []
        self.expect_clean = True

    def tearDown(self):
        for made in self.sockets:
            made.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        complaints = self.remove_all()
        self.net.drop_endpoints()
        left = self.left_over()
        if left:
            self.renew()
        if self.expect_clean:
            self.assertEqual([], complaints + left, "left after removing all")

    def remove_all(self):
        """Take away what the test made, by the command line alone."""
        complaints = []
        try:
            for entry in oracle.endpoints(self.bn):
                result = self.bn.result("detach", entry["network"], entry["endpoint"])
                # one that lost its namespace went with the one before it
                if result.returncode and any(
                        (left["network"], left["endpoint"]) ==
                        (entry["network"], entry["endpoint"]) for left in oracle.endpoints(self.bn)):
                    complaints.append(f"detach: {result.stderr}")
            for entry in oracle.networks(self.bn):
                # that of the default network goes too, once it was made
                if not entry["bridge"]:
                    continue
                result = self.bn.result("network", "rm", entry["name"])
                if result.returncode:
                    complaints.append(f"network rm: {result.stderr}")
        except (AssertionError, ValueError) as problem:
            complaints.append(str(problem))
        return complaints

    def left_over(self):
        """What of the library is still there."""
        left = [f"link {name} with our alias" for name, link in self.host.links().items()
                if str(link.get("ifalias", "")).startswith("bridgenet:")]
        now = self.net.host_state()
        for what in ("links", "addresses", "routes"):
            before = self.net.pristine[what]
            if now[what] != before:
                left.append(f"{what}: {now[what]} where there was {before}")
        if now["rules"]:
            left.append(f"rules: {now['rules']}")
        return left

    def renew(self):
        """A new topology, so that one failure does not become everybody's."""
        type(self).net.close()
        type(self).net = self.topology(self.backend)
        type(self).oracle = oracle.ORACLES[self.backend](type(self).net.host)

    # ---- doing ----

    def create(self, name="net", *argv, dual=False, **options):
        if dual:
            argv += ("--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")
        return self.bn("network", "create", name, *argv, **options)

    def attach(self, network, role, *argv, namespace=None):
        """Join a namespace, made when none is given, as endpoint `role`."""
        namespace = namespace or self.net.endpoint(role)
        self.bn("attach", network, role, "--netns", namespace.path, *argv)
        return namespace

    def fixture(self, name):
        """A program of fixtures/ on the host, which uses the library by itself."""
        library = os.path.join(BUILD, ".libs", "libbridgenet.so.0")
        environment = dict(os.environ, BRIDGENET_LIBRARY=library, **sanitizer_of(library))
        program = pathlib.Path(__file__).resolve().parent / "fixtures" / name
        process = self.host.popen(sys.executable, str(program), self.net.state, self.backend,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=environment)
        self.processes.append(process)
        self.addCleanup(process.stdin.close)
        return process

    def keep(self, made):
        self.sockets.append(made)
        return made

    def serve(self, namespace, port, families=FAMILIES):
        """Listeners by family, in a namespace."""
        return {family: self.keep(namespace.listen(family, port)) for family in families}

    def connect(self, client, address, port, source=None, timeout=PATIENCE):
        made = self.keep(client.socket(address, timeout=timeout))
        if source:
            made.bind((source, 0))
        made.connect((address, port))
        return made

    def converse(self, client, listener):
        """Say something both ways over an established connection; the address the server saw."""
        listener.settimeout(PATIENCE)
        server, peer = listener.accept()
        self.keep(server).settimeout(PATIENCE)
        client.settimeout(PATIENCE)
        client.sendall(b"question")
        self.assertEqual(b"question", server.recv(64))
        server.sendall(b"answer")
        self.assertEqual(b"answer", client.recv(64))
        self.server_side = server
        return peer[0]

    def fetch(self, client, address, port, listener, source=None):
        """Connect, talk both ways, close; the address the server saw."""
        made = self.connect(client, address, port, source, timeout=PATIENCE)
        peer = self.converse(made, listener)
        made.close()
        self.server_side.close()
        return peer

    # ---- judging ----

    def fails(self, *argv, code=1, mention=()):
        """bn must fail with one sentence, and change nothing; the sentence."""
        before = self.net.host_state()
        result = self.bn.result(*argv)
        self.assertEqual(code, result.returncode, f"bn {' '.join(argv)}: {result.stdout}"
                                                  f"{result.stderr}")
        self.assertEqual("", result.stdout)
        if code != 2:
            self.assertRegex(result.stderr, r"\Abn: [^\n]{10,}\n\Z")
        for text in (mention,) if isinstance(mention, str) else mention:
            self.assertIn(text, result.stderr)
        self.assertEqual(before, self.net.host_state(), f"left by the refusal of {argv}")
        return result.stderr

    def assert_tcp(self, client, address, port, listener, source=None):
        try:
            return self.fetch(client, address, port, listener, source)
        except OSError as problem:
            self.fail(f"{client.name} to {address} port {port}: {problem}")

    def assert_no_tcp(self, client, address, port, listener=None, timeout=0.25):
        """The connection must not come about, nor reach the listener."""
        made = client.socket(address, timeout=timeout)
        try:
            made.connect((address, port))
        except OSError:
            pass
        else:
            self.fail(f"{client.name} reached {address} port {port}")
        finally:
            made.close()
        if listener:
            listener.settimeout(0)
            with self.assertRaises(OSError):
                listener.accept()

    def assert_udp(self, client, address, port, server, source=None):
        """One datagram there and one back, the answer from the address that was asked."""
        made = self.keep(client.udp(4 if ":" not in address else 6, address=source))
        made.connect((address, port))
        made.settimeout(PATIENCE)
        made.send(b"question")
        server.settimeout(PATIENCE)
        try:
            data, peer = server.recvfrom(64)
            self.assertEqual(b"question", data)
            server.sendto(b"answer", peer)
            self.assertEqual(b"answer", made.recv(64))
        except OSError as problem:
            self.fail(f"{client.name} to {address} port {port}/udp: {problem}")
        return peer[0]

    def assert_silent(self, server, seconds=0.25):
        server.settimeout(seconds)
        with self.assertRaises(OSError):
            server.recvfrom(64)
