# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every function of the library from Python, by examples/python/bridgenet.py: what each refuses, and
one live scenario in a network namespace that stands for the host."""
import ctypes
import errno
import os
import pathlib
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BN_BUILD_DIR", SOURCE / "build"))
os.environ.setdefault("BRIDGENET_LIBRARY", str(BUILD / ".libs/libbridgenet.so.0"))
sys.path.insert(0, str(SOURCE / "examples/python"))

import bridgenet as bn  # noqa: E402

BACKENDS = os.environ.get("BN_BACKENDS", "nftables,iptables-legacy").split(",")
CLONE_NEWNET = 0x40000000
HOST_PORT = 8799

libc = ctypes.CDLL(None, use_errno=True)
called = set()


class Recorded:
    """A function of the library that notes that it was called."""

    def __init__(self, name, function):
        self.name = name
        self.function = function
        self.argtypes = function.argtypes
        self.restype = function.restype
        self.__name__ = name

    def __call__(self, *arguments):
        called.add(self.name)
        return self.function(*arguments)


def record_calls():
    for name in bn.PROTOTYPES:
        recorded = Recorded(name, getattr(bn.lib, name))
        setattr(bn.lib, name, recorded)
        setattr(bn, name, recorded)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter(fd):
    check(libc.setns(fd, CLONE_NEWNET))


host_fd = -1


def setUpModule():
    global host_fd
    record_calls()
    check(libc.unshare(CLONE_NEWNET))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    host_fd = os.open("/proc/self/ns/net", os.O_RDONLY)


class Sandbox:
    """A process in a network namespace of its own."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        self.pid = self.process.pid
        self.path = f"/proc/{self.pid}/ns/net"
        while os.readlink(self.path) == os.readlink("/proc/self/ns/net"):
            time.sleep(0.005)
        self.fd = os.open(self.path, os.O_RDONLY)

    def socket(self, *arguments):
        """A socket belongs to the namespace in which it was made."""
        enter(self.fd)
        try:
            return socket.socket(*arguments)
        finally:
            enter(host_fd)

    def close(self):
        os.close(self.fd)
        self.process.communicate()


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="bn-ctypes-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.ctx = self.context()

    def context(self):
        ctx = bn.new(bn.bn_ctx_new, 0)
        self.addCleanup(ctx.free)
        bn.call(bn.bn_ctx_set_state_dir, ctx, self.directory)
        return ctx

    def keep(self, handle):
        """Freed at the end of the test."""
        self.addCleanup(handle.free)
        return handle

    def sandbox(self):
        sandbox = Sandbox()
        self.addCleanup(sandbox.close)
        return sandbox

    def fails(self, code, reason, function, *arguments):
        """The call fails so, says why, and leaves its result alone."""
        results = []
        parameters = list(function.argtypes)
        if len(arguments) < len(parameters):
            results = [parameters[-1]._type_(0xbad)]
            arguments += (ctypes.byref(results[0]),)
        with self.assertRaises(bn.Error) as caught:
            bn.call(function, *arguments)
        error = caught.exception
        self.assertEqual(errno.errorcode[error.errno], errno.errorcode[code], str(error))
        self.assertEqual(bn.bn_reason_name(error.reason), bn.bn_reason_name(reason), str(error))
        if isinstance(arguments[0], bn.Ctx):
            self.assertEqual(bn.bn_error_errno(arguments[0]), code)
            self.assertNotEqual(str(error), "")
            self.assertNotIn("\n", str(error))
        for result in results:
            self.assertEqual(result.value, 0xbad)
        return str(error)

    def network(self, name, *subnets, **settings):
        spec = self.keep(bn.new(bn.bn_network_spec_new, name))
        for subnet in subnets:
            bn.call(bn.bn_network_spec_add_subnet, spec, subnet)
        for key, value in settings.items():
            bn.call(getattr(bn, f"bn_network_spec_{key}"), spec, value)
        return spec

    def create(self, *arguments, **settings):
        spec = self.network(*arguments, **settings)
        self.addCleanup(bn.bn_network_delete, self.ctx, arguments[0],
                        bn.BN_DELETE_MISSING_OK | bn.BN_DELETE_ENDPOINTS)
        return self.keep(bn.new(bn.bn_network_create, self.ctx, spec, 0))

    def endpoint(self, network, name, sandbox):
        spec = self.keep(bn.new(bn.bn_endpoint_spec_new, network, name))
        bn.call(bn.bn_endpoint_spec_set_sandbox_pid, spec, sandbox.pid)
        return spec

    def port(self, mapping):
        return self.keep(bn.new(bn.bn_port_spec_new, mapping))


class Version(Case):
    def test_version_as_number_and_text(self):
        version = bn.bn_version()
        self.assertEqual(bn.bn_version_string(),
                         f"{version >> 16}.{version >> 8 & 255}.{version & 255}")

    def test_features(self):
        for backend in BACKENDS:
            self.assertEqual(bn.bn_has_feature(backend), 1)
        self.assertEqual(bn.bn_has_feature("no such feature"), 0)
        self.assertEqual(bn.bn_has_feature(None), 0)

    def test_reasons_have_the_names_of_the_header(self):
        header = (SOURCE / "include/bridgenet.h").read_text()
        names = [line.split()[1:3] for line in header.splitlines()
                 if line.startswith("#define BN_REASON_")]
        self.assertGreater(len(names), 25)
        for name, value in names:
            self.assertEqual("BN_REASON_" + bn.bn_reason_name(int(value)), name)
            self.assertEqual(getattr(bn, name), int(value))
        self.assertEqual(bn.bn_reason_name(-1), "UNKNOWN")
        after = max(int(value) for _, value in names) + 1
        self.assertEqual(bn.bn_reason_name(after), "UNKNOWN")

    def test_constants_are_those_of_the_header(self):
        for line in (SOURCE / "tests/abi/constants").read_text().splitlines():
            name, value = line.split()
            self.assertEqual(getattr(bn, name), int(value.rstrip("u"), 0), name)


class Null(Case):
    """NULL for every pointer."""

    @staticmethod
    def nothing(parameters):
        return [0 if p in (bn.c_int, bn.c_uint32, bn.c_size_t) else
                bn.LogFunction() if p is bn.LogFunction else None for p in parameters]

    def test_calls_refuse_it(self):
        names = [name for name in bn.PROTOTYPES if name.rsplit("_", 1)[-1] in
                 ("new", "add", "create", "delete", "get", "list", "attach", "detach", "collect",
                  "publish", "unpublish", "plan", "check", "repair", "next") or "_set_" in name or "_add_" in name]
        self.assertGreater(len(names), 40)
        for name in names:
            with self.subTest(name):
                result, parameters = bn.PROTOTYPES[name]
                self.assertIs(result, bn.c_int)
                self.assertEqual(getattr(bn, name)(*self.nothing(parameters)), -errno.EINVAL)

    def test_getters_have_nothing_to_say(self):
        expected = {bn.Text: "", bn.c_uint32: 0, bn.c_uint64: 0, bn.c_size_t: 0}
        for name, (result, parameters) in bn.PROTOTYPES.items():
            if not parameters or not issubclass(parameters[0], bn.Handle):
                continue
            if result not in expected and not issubclass(result or int, bn.Handle):
                continue
            with self.subTest(name):
                self.assertEqual(getattr(bn, name)(*self.nothing(parameters)),
                                 expected.get(result))
        self.assertEqual(bn.bn_port_fd_at(None, 0), -1)
        self.assertEqual(bn.bn_endpoint_gateway_priority(None), 0)
        self.assertEqual(bn.bn_network_is_persistent(None), 0)
        self.assertEqual(bn.bn_finding_severity(None), 0)
        self.assertEqual(bn.bn_finding_repaired(None), 0)
        self.assertEqual(bn.bn_watch_fd(None), -1)

    def test_parts_of_a_port(self):
        spec = bn.PortSpec()
        for count, where in ((0, spec), (1, None)):
            self.assertEqual(-errno.EINVAL,
                             bn.bn_port_spec_new_parts(None, 80, 80, count, None, where))
        self.assertEqual(0, bn.bn_port_spec_new_parts("::1", 80, 8080, 2, "udp", spec))
        bn.bn_port_spec_free(spec)

    def test_free_does_nothing(self):
        names = [name for name in bn.PROTOTYPES if name.endswith("_free")]
        self.assertEqual(len(names), 20)
        for name in names:
            getattr(bn, name)(None)

    def test_verbs_refuse_it_with_a_context(self):
        for name, (_, parameters) in bn.PROTOTYPES.items():
            if not parameters or parameters[0] is not bn.Ctx or "_ctx_" in name or "_error_" in name:
                continue
            if name == "bn_endpoints_collect":
                continue  # of all networks, and who calls need not know what went
            with self.subTest(name):
                result = getattr(bn, name)(self.ctx, *self.nothing(parameters[1:]))
                self.assertEqual(result, -errno.EINVAL)
                self.assertNotEqual(bn.bn_error_message(self.ctx), "")


class Context(Case):
    def test_settings(self):
        for backend in BACKENDS:
            with self.subTest(backend):
                self.settings(backend)

    def settings(self, backend):
        ctx = self.context()
        lines = []
        log = bn.LogFunction(lambda userdata, level, line: lines.append(line))
        bn.call(bn.bn_ctx_set_backend, ctx, backend)
        bn.call(bn.bn_ctx_set_timeout_ms, ctx, 5000)
        bn.call(bn.bn_ctx_set_log, ctx, log, None)
        self.assertEqual(bn.bn_ctx_backend(ctx), "")
        self.keep(bn.new(bn.bn_network_create, ctx, self.network("logged", "172.29.0.0/24"), 0))
        self.assertEqual(bn.bn_ctx_backend(ctx), backend)
        self.assertNotEqual(bn.bn_ctx_backend_reason(ctx), "")
        self.assertTrue([line for line in lines if b"logged" in line], lines)
        bn.call(bn.bn_network_delete, ctx, "logged", 0)
        bn.call(bn.bn_ctx_set_log, ctx, bn.LogFunction(), None)

    def test_cancelled(self):
        bn.bn_ctx_cancel(None)
        bn.bn_ctx_cancel(self.ctx)
        self.fails(errno.ECANCELED, bn.BN_REASON_CANCELLED, bn.bn_networks_list, self.ctx, 0)
        self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))

    def test_settings_are_refused_after_the_first_verb(self):
        self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))
        for function, value in ((bn.bn_ctx_set_state_dir, "/x"),
                                *((bn.bn_ctx_set_backend, backend) for backend in BACKENDS),
                                (bn.bn_ctx_set_timeout_ms, 1)):
            with self.assertRaises(bn.Error) as caught:
                bn.call(function, self.ctx, value)
            self.assertEqual(caught.exception.errno, errno.EBUSY)

    def test_bad_settings(self):
        for function, value in ((bn.bn_ctx_set_state_dir, "relative"),
                                (bn.bn_ctx_set_backend, "ipfw")):
            with self.assertRaises(bn.Error) as caught:
                bn.call(function, self.ctx, value)
            self.assertEqual(caught.exception.errno, errno.EINVAL)
            self.assertIn(value, str(caught.exception))
        self.assertEqual(bn.bn_ctx_new(1, ctypes.byref(bn.Ctx())), -errno.EINVAL)

    def test_a_state_that_cannot_be_used(self):
        """The errno is one of the manual's, whatever the system says."""
        for path, code, words in (("none/state", errno.ENOENT, "No such file"),
                                  ("file/state", errno.ENOTDIR, "Not a directory"),
                                  ("loop/state", errno.EIO, "symbolic links"),
                                  ("damaged", errno.EIO, "is damaged")):
            with self.subTest(path):
                directory = pathlib.Path(self.directory)
                if path == "damaged":
                    (directory / path).mkdir()
                    (directory / path / "state.db").write_bytes(b"x" * 8192)
                elif path == "loop/state":
                    (directory / "loop").symlink_to(directory / "loop")
                elif path == "file/state":
                    (directory / "file").touch()
                bn.call(bn.bn_ctx_set_state_dir, self.ctx, str(directory / path))
                self.assertIn(words, self.fails(code, bn.BN_REASON_STATE, bn.bn_networks_list,
                                                self.ctx, 0))

    def test_a_success_clears_the_error(self):
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_network_get, self.ctx,
                   "nowhere", 0)
        self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))
        self.assertEqual(bn.bn_error_message(self.ctx), "")
        self.assertEqual(bn.bn_error_kernel_message(self.ctx), "")
        self.assertEqual((bn.bn_error_reason(self.ctx), bn.bn_error_errno(self.ctx)), (0, 0))

    def test_a_child_is_refused(self):
        self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))
        pid = os.fork()
        if pid == 0:
            networks = bn.NetworkList()
            result = bn.bn_networks_list(self.ctx, 0, ctypes.byref(networks))
            os._exit(-result if result < 0 else 0)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), errno.ECHILD)
        self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))

    def test_unknown_flags(self):
        spec, port = self.network("x"), self.port("80")
        endpoint = self.keep(bn.new(bn.bn_endpoint_spec_new, "bridge", "x"))
        names = self.keep(bn.new(bn.bn_name_list_new))
        ports = self.keep(bn.new(bn.bn_port_spec_list_new))
        bad = 0x80000000
        for function, arguments in (
                (bn.bn_network_create, (spec, bad)), (bn.bn_network_delete, ("x", bad)),
                (bn.bn_network_get, ("bridge", bad)), (bn.bn_networks_list, (bad,)),
                (bn.bn_endpoint_attach, (endpoint, bad)),
                (bn.bn_endpoint_detach, ("bridge", "x", bad)),
                (bn.bn_endpoints_detach, ("bridge", names, bad)),
                (bn.bn_endpoint_get, ("bridge", "x", bad)),
                (bn.bn_endpoints_list, (None, bad)), (bn.bn_endpoints_collect, (None, bad)),
                (bn.bn_endpoint_open_sandbox, ("bridge", "x", bad)),
                (bn.bn_port_publish, ("bridge", "x", port, bad)),
                (bn.bn_ports_publish, ("bridge", "x", ports, bad)),
                (bn.bn_port_unpublish, ("bridge", "x", port, bad)),
                (bn.bn_ports_unpublish, ("bridge", "x", ports, bad)),
                (bn.bn_ports_list, (None, None, bad)), (bn.bn_rules_list, (None, bad)),
                (bn.bn_rules_plan, (None, bad)), (bn.bn_check, (None, None, bad)),
                (bn.bn_repair, (None, None, bad))):
            with self.subTest(function.name):
                message = self.fails(errno.EINVAL, bn.BN_REASON_INVALID, function, self.ctx,
                                     *arguments)
                self.assertIn("0x80000000", message)


class Memory(Case):
    """What Python lets go of while something else still needs it."""

    def test_items_keep_their_list(self):
        with bn.new(bn.bn_networks_list, self.ctx, 0) as networks:
            kept = bn.items(networks)
        # what was freed would be written over by these
        others = [bn.new(bn.bn_network_spec_new, f"filler{i}") for i in range(100)]
        self.assertEqual([bn.bn_network_name(network) for network in kept],
                         ["bridge", "host", "none"])
        with self.assertRaisesRegex(ctypes.ArgumentError, "NetworkList was freed"):
            bn.bn_network_list_len(networks)
        del others

    def test_what_belongs_to_a_snapshot_keeps_it(self):
        self.create("green", "172.27.0.0/24")
        spec = self.endpoint("green", "web", self.sandbox())
        bn.call(bn.bn_endpoint_spec_add_port, spec, self.port("8799:1337"))
        with bn.new(bn.bn_endpoint_attach, self.ctx, spec, 0) as endpoint:
            port, = bn.items(bn.bn_endpoint_ports(endpoint))
        self.assertEqual(bn.bn_port_text(port), "8799:1337/tcp")

    def test_it_is_freed_with_the_last_that_needs_it(self):
        frees = []
        free = bn.lib.bn_network_list_free
        self.addCleanup(setattr, bn.lib, "bn_network_list_free", free)
        bn.lib.bn_network_list_free = lambda handle: (frees.append(handle.value), free(handle))
        networks = bn.new(bn.bn_networks_list, self.ctx, 0)
        address = networks.value
        kept = bn.items(networks)[1:]
        networks.free()
        networks.free()
        self.assertEqual(frees, [])
        kept.pop()
        self.assertEqual(frees, [])
        kept.pop()
        self.assertEqual(frees, [address])
        bn.new(bn.bn_networks_list, self.ctx, 0)
        self.assertEqual(len(frees), 2)

    def test_what_was_freed_says_so(self):
        ctx = self.context()
        network = bn.new(bn.bn_network_get, ctx, "host", 0)
        networks = bn.new(bn.bn_networks_list, ctx, 0)
        first = bn.items(networks)[0]
        ctx.free()
        network.free()
        bn.bn_network_list_free(networks)
        for name, function, *arguments in (("Ctx", bn.bn_error_message, ctx),
                                           ("Ctx", bn.bn_networks_list, ctx, 0, None),
                                           ("Ctx", bn.bn_ctx_cancel, ctx),
                                           ("Network", bn.bn_network_name, network),
                                           ("NetworkList", bn.bn_network_list_len, networks),
                                           ("Network", bn.bn_network_name, first)):
            with self.assertRaisesRegex(ctypes.ArgumentError, f"this {name} was freed"):
                function(*arguments)

    def test_log_functions_are_kept(self):
        lines = []

        def logger(number):
            return bn.LogFunction(lambda userdata, level, line: lines.append((number, line)))

        ctx = self.context()
        bn.call(bn.bn_ctx_set_log, ctx, logger(1), None)
        # what was let go of would be another's by now
        others = [logger(2) for _ in range(100)]
        self.keep(bn.new(bn.bn_network_create, ctx, self.network("logged", "172.29.0.0/24"), 0))
        bn.call(bn.bn_network_delete, ctx, "logged", 0)
        self.assertEqual({number for number, _ in lines}, {1})
        del others

    def test_log_lines_say_what_was_found(self):
        lines = []
        ctx = self.context()
        bn.call(bn.bn_ctx_set_log, ctx,
                bn.LogFunction(lambda userdata, level, line: lines.append((level, line))), None)
        self.keep(bn.new(bn.bn_network_create, ctx, self.network("logged", "172.29.0.0/24"), 0))
        found = f"backend {bn.bn_ctx_backend(ctx)}: {bn.bn_ctx_backend_reason(ctx)}"
        bn.call(bn.bn_network_delete, ctx, "logged", 0)
        self.assertEqual([line.decode() for level, line in lines if level == 7], [found])


class Interrupts(Case):
    def setUp(self):
        super().setUp()
        # a change makes the state, also one that comes to nothing
        bn.call(bn.bn_network_delete, self.ctx, "none-such", bn.BN_DELETE_MISSING_OK)

    def test_ctrl_c_ends_a_verb(self):
        state = sqlite3.connect(f"{self.directory}/state.db", isolation_level=None)
        self.addCleanup(state.close)
        state.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            bn.new(bn.bn_network_create, self.ctx, self.network("never", "172.28.0.0/24"), 0)
        self.assertEqual(bn.bn_error_errno(self.ctx), errno.ECANCELED)
        state.execute("ROLLBACK")
        # that was for one call, and it left nothing
        self.create("never", "172.28.0.0/24")

    def test_a_handler_that_does_not_raise_ends_nothing(self):
        seen = []
        before = signal.signal(signal.SIGINT, lambda *_: seen.append(time.monotonic()))
        self.addCleanup(signal.signal, signal.SIGINT, before)
        state = sqlite3.connect(f"{self.directory}/state.db", isolation_level=None,
                                check_same_thread=False)
        self.addCleanup(state.close)
        state.execute("BEGIN IMMEDIATE")
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Timer(0.3, state.execute, ("ROLLBACK",)).start()
        self.create("late", "172.28.0.0/24")
        self.assertEqual(1, len(seen))

    def test_the_thread_is_in_the_namespace_of_the_caller(self):
        inside = self.sandbox()
        directory = tempfile.mkdtemp(prefix="bn-ctypes-")
        self.addCleanup(shutil.rmtree, directory)
        enter(inside.fd)
        try:
            with bn.new(bn.bn_ctx_new, 0) as ctx:
                bn.call(bn.bn_ctx_set_state_dir, ctx, directory)
                with self.network("there", "172.28.0.0/24", set_bridge="there0") as spec:
                    bn.call(bn.bn_network_create, ctx, spec, 0, None)
                self.assertIn("there0", [name for _, name in socket.if_nameindex()])
                bn.call(bn.bn_network_delete, ctx, "there", 0)
        finally:
            enter(host_fd)


class Networks(Case):
    def test_setters_that_were_refused_are_told_by_the_verb(self):
        def network():
            return self.keep(bn.new(bn.bn_network_spec_new, "never"))

        def endpoint():
            return self.keep(bn.new(bn.bn_endpoint_spec_new, "never", "mind"))

        def told(made, setter, values, shown, code, verb, *arguments):
            name = setter.name
            with self.subTest(name):
                self.assertEqual(setter(made, *values), -code)
                # the first is kept, whatever comes after it
                setter(made, *(None if value is None or isinstance(value, bn.Handle) else value
                               for value in values))
                message = self.fails(code, bn.BN_REASON_INVALID if code == errno.EINVAL else
                                     bn.BN_REASON_NONE, verb, self.ctx, *arguments)
                self.assertIn(name, message)
                self.assertIn(f"'{shown}'", message)

        for setter, values, shown in (
                (bn.bn_network_spec_add_subnet, [None], ""),
                (bn.bn_network_spec_add_gateway, [None], ""),
                (bn.bn_network_spec_add_ip_range, [None], ""),
                (bn.bn_network_spec_add_reserved, [None], ""),
                (bn.bn_network_spec_set_bridge, [None], ""),
                (bn.bn_network_spec_set_option, ["label.a", None], "label.a"),
                (bn.bn_network_spec_set_option, ["a=b", "c"], "a=b")):
            spec = network()
            told(spec, setter, values, shown, errno.EINVAL, bn.bn_network_create, spec, 0)
        for setter, values, shown, code in (
                (bn.bn_endpoint_spec_set_sandbox_path, [None], "", errno.EINVAL),
                (bn.bn_endpoint_spec_set_sandbox_pid, [-3], "-3", errno.EINVAL),
                (bn.bn_endpoint_spec_set_sandbox_fd, [99999], "99999", errno.EBADF),
                (bn.bn_endpoint_spec_set_interface_name, [None], "", errno.EINVAL),
                (bn.bn_endpoint_spec_add_address, [None], "", errno.EINVAL),
                (bn.bn_endpoint_spec_set_mac, [None], "", errno.EINVAL),
                (bn.bn_endpoint_spec_add_route, ["10.0.0.0/8", None], "10.0.0.0/8", errno.EINVAL),
                (bn.bn_endpoint_spec_set_option, [None, "b"], "", errno.EINVAL),
                (bn.bn_endpoint_spec_add_port, [None], "", errno.EINVAL)):
            spec = endpoint()
            told(spec, setter, values, shown, code, bn.bn_endpoint_attach, spec, 0)
        for verb in (bn.bn_ports_publish, bn.bn_ports_unpublish):
            ports = self.keep(bn.new(bn.bn_port_spec_list_new))
            told(ports, bn.bn_port_spec_list_add, [None], "", errno.EINVAL, verb, "never", "mind",
                 ports, 0)
        names = self.keep(bn.new(bn.bn_name_list_new))
        told(names, bn.bn_name_list_add, [None], "", errno.EINVAL, bn.bn_endpoints_detach, "never",
             names, 0)

    def test_the_three_are_there(self):
        networks = self.keep(bn.new(bn.bn_networks_list, self.ctx, 0))
        self.assertEqual(bn.bn_network_list_len(networks), 3)
        self.assertIsNone(bn.bn_network_list_at(networks, 3))
        self.assertEqual([(bn.bn_network_name(n), bn.bn_network_driver(n))
                          for n in bn.items(networks)],
                         [("bridge", "bridge"), ("host", "host"), ("none", "null")])

    def test_all_of_a_network(self):
        made = self.create("blue", "172.28.0.0/24", "fd00:28::/64", set_mtu=1400,
                           set_bridge="bnblue", add_gateway="172.28.0.9",
                           add_ip_range="172.28.0.128/25", add_reserved="172.28.0.129")
        network = self.keep(bn.new(bn.bn_network_get, self.ctx, bn.bn_network_id(made)[:12],
                                   bn.BN_GET_INTERFACE))
        self.assertEqual(bn.bn_network_name(network), "blue")
        self.assertRegex(bn.bn_network_id(network), "^[0-9a-f]{64}$")
        self.assertEqual(bn.bn_network_bridge(network), "bnblue")
        self.assertEqual(bn.bn_network_mtu(network), 1400)
        self.assertEqual([(bn.bn_network_subnet_at(network, i), bn.bn_network_gateway_at(network, i),
                           bn.bn_network_ip_range_at(network, i))
                          for i in range(bn.bn_network_subnet_count(network))],
                         [("172.28.0.0/24", "172.28.0.9", "172.28.0.128/25"),
                          ("fd00:28::/64", "fd00:28::1", "")])
        self.assertEqual(bn.bn_network_subnet_at(network, 2), "")
        self.assertEqual(bn.bn_network_reserved_count(network), 1)
        self.assertEqual(bn.bn_network_reserved_at(network, 0), "172.28.0.129")
        self.assertEqual(bn.bn_network_endpoint_count(network), 0)
        interface = bn.bn_network_interface(network)
        self.assertEqual(bn.bn_interface_name(interface), "bnblue")
        self.assertEqual(bn.bn_interface_index(interface), socket.if_nametoindex("bnblue"))
        self.assertIn("172.28.0.9/24", [bn.bn_interface_address_at(interface, i) for i in
                                        range(bn.bn_interface_address_count(interface))])
        self.assertIsNone(bn.bn_network_interface(made))

    def test_options(self):
        spec = self.network("labelled", "172.28.1.0/24")
        bn.call(bn.bn_network_spec_set_option, spec, "label.owner", "Ä")
        self.addCleanup(bn.bn_network_delete, self.ctx, "labelled", bn.BN_DELETE_MISSING_OK)
        network = self.keep(bn.new(bn.bn_network_create, self.ctx, spec, 0))
        self.assertEqual([(bn.bn_network_option_key_at(network, i),
                           bn.bn_network_option_value_at(network, i))
                          for i in range(bn.bn_network_option_count(network))],
                         [("label.owner", "Ä")])
        spec = self.network("other", "172.28.2.0/24")
        bn.call(bn.bn_network_spec_set_option, spec, "colour", "blue")
        self.fails(errno.EOPNOTSUPP, bn.BN_REASON_OPTION_UNKNOWN, bn.bn_network_create, self.ctx,
                   spec, 0)

    def test_ipv6_alone(self):
        network = self.create("six", set_ipv4=0, set_ipv6=1)
        self.assertEqual(bn.bn_network_subnet_count(network), 1)
        self.assertRegex(bn.bn_network_subnet_at(network, 0), "^fd.*/64$")

    def test_a_subnet_of_the_host(self):
        subprocess.run(["ip", "link", "add", "lan", "type", "bridge"], check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "lan"], check=True)
        subprocess.run(["ip", "addr", "add", "10.9.9.1/24", "dev", "lan"], check=True)
        spec = self.network("second", "10.9.9.128/25")
        self.assertIn("10.9.9.1/24", self.fails(
            errno.EADDRINUSE, bn.BN_REASON_SUBNET_OVERLAP, bn.bn_network_create, self.ctx, spec,
            bn.BN_CREATE_EXISTING_OK))
        for flags in (bn.BN_CREATE_HOST_SUBNET_OK, bn.BN_CREATE_EXISTING_OK):
            self.keep(bn.new(bn.bn_network_create, self.ctx, spec, flags))
        bn.call(bn.bn_network_delete, self.ctx, "second", 0)

    def test_refusals(self):
        self.create("taken", "172.28.3.0/24")
        for code, reason, spec in (
                (errno.EEXIST, bn.BN_REASON_NETWORK_EXISTS, self.network("taken", "10.9.0.0/24")),
                (errno.EADDRINUSE, bn.BN_REASON_SUBNET_OVERLAP,
                 self.network("second", "172.28.3.128/25")),
                (errno.EINVAL, bn.BN_REASON_INVALID, self.network("second", "172.28.4.1/24")),
                (errno.EINVAL, bn.BN_REASON_INVALID, self.network("a/b", "10.9.0.0/24")),
                (errno.ERANGE, bn.BN_REASON_ADDRESS_OUTSIDE,
                 self.network("second", "10.9.0.0/24", add_gateway="10.9.1.1")),
                (errno.EINVAL, bn.BN_REASON_BRIDGE_INVALID,
                 self.network("second", "10.9.0.0/24", set_bridge="lo"))):
            self.fails(code, reason, bn.bn_network_create, self.ctx, spec, 0)
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_network_delete, self.ctx,
                   "second", 0)
        self.fails(errno.EPERM, bn.BN_REASON_NETWORK_BUILTIN, bn.bn_network_delete, self.ctx,
                   "host", 0)
        bn.call(bn.bn_network_delete, self.ctx, "second", bn.BN_DELETE_MISSING_OK)

    def test_delete_with_endpoints(self):
        self.create("full", "172.28.5.0/24")
        bn.call(bn.bn_endpoint_attach, self.ctx, self.endpoint("full", "one", self.sandbox()), 0,
                None)
        self.fails(errno.EBUSY, bn.BN_REASON_NETWORK_IN_USE, bn.bn_network_delete, self.ctx,
                   "full", 0)
        bn.call(bn.bn_network_delete, self.ctx, "full", bn.BN_DELETE_ENDPOINTS)
        with self.assertRaises(OSError):
            socket.if_nametoindex("full")
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_network_get, self.ctx,
                   "full", 0)


class Endpoints(Case):
    def setUp(self):
        super().setUp()
        self.create("green", "172.27.0.0/24", "fd00:27::/64")

    def test_all_of_an_endpoint(self):
        sandbox = self.sandbox()
        spec = self.keep(bn.new(bn.bn_endpoint_spec_new, "green", "web"))
        bn.call(bn.bn_endpoint_spec_set_sandbox_path, spec, sandbox.path)
        bn.call(bn.bn_endpoint_spec_set_interface_name, spec, "net0")
        bn.call(bn.bn_endpoint_spec_add_address, spec, "172.27.0.77")
        bn.call(bn.bn_endpoint_spec_set_mac, spec, "02:00:00:00:00:77")
        bn.call(bn.bn_endpoint_spec_add_route, spec, "10.8.0.0/16", "172.27.0.99")
        bn.call(bn.bn_endpoint_spec_set_gateway_priority, spec, 7)
        bn.call(bn.bn_endpoint_spec_set_option, spec, "hostname", "web.example")
        made = self.keep(bn.new(bn.bn_endpoint_attach, self.ctx, spec, 0))
        endpoint = self.keep(bn.new(bn.bn_endpoint_get, self.ctx, "green", "web",
                                    bn.BN_GET_INTERFACE))
        self.assertEqual((bn.bn_endpoint_network(endpoint), bn.bn_endpoint_id(endpoint)),
                         ("green", "web"))
        self.assertEqual(bn.bn_endpoint_sandbox(endpoint), sandbox.path)
        self.assertEqual(bn.bn_endpoint_interface_name(endpoint), "net0")
        self.assertEqual(bn.bn_endpoint_mac(endpoint), "02:00:00:00:00:77")
        self.assertEqual(bn.bn_endpoint_mtu(endpoint), 1500)
        self.assertEqual(bn.bn_endpoint_gateway_priority(endpoint), 7)
        self.assertEqual(bn.bn_endpoint_address_at(endpoint, 0), "172.27.0.77/24")
        self.assertEqual(bn.bn_endpoint_address_count(endpoint), 2)
        self.assertEqual([bn.bn_endpoint_gateway_at(endpoint, i)
                          for i in range(bn.bn_endpoint_gateway_count(endpoint))],
                         ["172.27.0.1", "fd00:27::1"])
        self.assertEqual([(bn.bn_endpoint_option_key_at(endpoint, i),
                           bn.bn_endpoint_option_value_at(endpoint, i))
                          for i in range(bn.bn_endpoint_option_count(endpoint))],
                         [("hostname", "web.example")])
        self.assertEqual(bn.bn_port_list_len(bn.bn_endpoint_ports(endpoint)), 0)
        self.assertGreater(socket.if_nametoindex(bn.bn_endpoint_host_interface_name(endpoint)), 0)
        self.assertIsNone(bn.bn_endpoint_interface(made))
        for one in made, endpoint:
            self.assertEqual(bn.bn_endpoint_state(one), "running")
            self.assertIn(("10.8.0.0/16", "172.27.0.99", 0),
                          [(bn.bn_endpoint_route_destination_at(one, i),
                            bn.bn_endpoint_route_gateway_at(one, i),
                            bn.bn_endpoint_route_metric_at(one, i))
                           for i in range(bn.bn_endpoint_route_count(one))])
        self.interface(bn.bn_endpoint_interface(endpoint))
        routes = subprocess.run(["nsenter", f"--net={sandbox.path}", "ip", "route"], check=True,
                                capture_output=True, text=True).stdout
        self.assertIn("default via 172.27.0.1 dev net0", routes)
        self.assertIn("10.8.0.0/16 via 172.27.0.99 dev net0", routes)

    def interface(self, interface):
        self.assertEqual(bn.bn_interface_name(interface), "net0")
        self.assertGreater(bn.bn_interface_index(interface), 1)
        self.assertEqual(bn.bn_interface_mac(interface), "02:00:00:00:00:77")
        self.assertEqual(bn.bn_interface_mtu(interface), 1500)
        self.assertEqual(bn.bn_interface_flags(interface) & 0x41, 0x41)
        self.assertIn("UP", bn.bn_interface_flags_text(interface).split())
        self.assertIn("172.27.0.77/24",
                      [bn.bn_interface_address_at(interface, i)
                       for i in range(bn.bn_interface_address_count(interface))])
        for way in "rx", "tx":
            for what in "packets", "bytes", "errors", "dropped":
                count = getattr(bn, f"bn_interface_{way}_{what}")(interface)
                self.assertLess(count, 1 << 20)
                if what in ("errors", "dropped"):
                    self.assertEqual(count, 0, f"{way} {what}")

    def test_life(self):
        """Its namespace is opened as long as it is there; what is left of it is collected."""
        sandbox = Sandbox()
        bn.call(bn.bn_endpoint_attach, self.ctx, self.endpoint("green", "web", sandbox), 0, None)
        name = bn.bn_endpoint_host_interface_name(
            self.keep(bn.new(bn.bn_endpoint_get, self.ctx, "green", "web", 0)))
        fd = ctypes.c_int(-1)
        bn.call(bn.bn_endpoint_open_sandbox, self.ctx, "green", "web", 0, ctypes.byref(fd))
        self.assertEqual(os.fstat(fd.value).st_ino, os.fstat(sandbox.fd).st_ino)
        self.assertFalse(os.get_inheritable(fd.value))
        os.close(fd.value)
        nothing = self.keep(bn.new(bn.bn_endpoints_collect, self.ctx, None, 0))
        self.assertEqual(bn.bn_endpoint_list_len(nothing), 0)
        sandbox.close()
        while name in (name_ for _, name_ in socket.if_nameindex()):
            time.sleep(0.01)
        endpoint = self.keep(bn.new(bn.bn_endpoint_get, self.ctx, "green", "web", 0))
        self.assertEqual(bn.bn_endpoint_state(endpoint), "sandbox-gone")
        self.fails(errno.ENOENT, bn.BN_REASON_SANDBOX_GONE, bn.bn_endpoint_open_sandbox, self.ctx,
                   "green", "web", 0)
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_endpoints_collect, self.ctx,
                   "nowhere", 0)
        gone = self.keep(bn.new(bn.bn_endpoints_collect, self.ctx, "green", 0))
        self.assertEqual([(bn.bn_endpoint_id(e), bn.bn_endpoint_state(e)) for e in bn.items(gone)],
                         [("web", "sandbox-gone")])
        self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, bn.bn_endpoint_get, self.ctx,
                   "green", "web", 0)
        self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, bn.bn_endpoint_open_sandbox,
                   self.ctx, "green", "web", 0)

    def test_counters_are_the_interfaces_own(self):
        sandbox = self.sandbox()
        bn.call(bn.bn_endpoint_attach, self.ctx, self.endpoint("green", "sink", sandbox), 0, None)

        def received():
            endpoint = self.keep(bn.new(bn.bn_endpoint_get, self.ctx, "green", "sink",
                                        bn.BN_GET_INTERFACE))
            interface = bn.bn_endpoint_interface(endpoint)
            address = bn.bn_endpoint_address_at(endpoint, 0).split("/")[0]
            return (address, bn.bn_interface_rx_packets(interface),
                    bn.bn_interface_rx_bytes(interface))

        address, packets, octets = received()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(b"x" * 1000, (address, 9))
        self.assertGreaterEqual(received()[1], packets + 20)
        self.assertGreaterEqual(received()[2], octets + 20 * 1000)

    def test_three_ways_to_name_a_sandbox(self):
        sandboxes = [self.sandbox() for _ in range(3)]
        setters = (bn.bn_endpoint_spec_set_sandbox_path, bn.bn_endpoint_spec_set_sandbox_pid,
                   bn.bn_endpoint_spec_set_sandbox_fd)
        names = self.keep(bn.new(bn.bn_name_list_new))
        for i, setter in enumerate(setters):
            value = (sandboxes[i].path, sandboxes[i].pid, sandboxes[i].fd)[i]
            spec = self.keep(bn.new(bn.bn_endpoint_spec_new, "green", f"n{i}"))
            bn.call(setter, spec, value)
            bn.call(bn.bn_endpoint_attach, self.ctx, spec, 0, None)
            bn.call(bn.bn_name_list_add, names, f"n{i}")
        endpoints = self.keep(bn.new(bn.bn_endpoints_list, self.ctx, "green", 0))
        self.assertEqual([bn.bn_endpoint_id(e) for e in bn.items(endpoints)], ["n0", "n1", "n2"])
        self.assertIsNone(bn.bn_endpoint_list_at(endpoints, 3))
        bn.call(bn.bn_endpoints_detach, self.ctx, "green", names, 0)
        self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, bn.bn_endpoints_detach, self.ctx,
                   "green", names, 0)
        bn.call(bn.bn_endpoints_detach, self.ctx, "green", names, bn.BN_DETACH_MISSING_OK)
        empty = self.keep(bn.new(bn.bn_endpoints_list, self.ctx, None, 0))
        self.assertEqual(bn.bn_endpoint_list_len(empty), 0)

    def test_refusals(self):
        sandbox = self.sandbox()
        bn.call(bn.bn_endpoint_attach, self.ctx, self.endpoint("green", "first", sandbox), 0, None)
        first = self.keep(bn.new(bn.bn_endpoint_get, self.ctx, "green", "first", 0))
        address = bn.bn_endpoint_address_at(first, 0).split("/")[0]

        def spec(name="second", network="green", **settings):
            made = self.endpoint(network, name, sandbox)
            for key, value in settings.items():
                bn.call(getattr(bn, f"bn_endpoint_spec_{key}"), made, value)
            return made

        for code, reason, made in (
                (errno.EEXIST, bn.BN_REASON_ENDPOINT_EXISTS, spec("first")),
                (errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, spec(network="nowhere")),
                (errno.EEXIST, bn.BN_REASON_INTERFACE_EXISTS, spec(set_interface_name="eth0")),
                (errno.EADDRINUSE, bn.BN_REASON_ADDRESS_IN_USE, spec(add_address=address)),
                (errno.ERANGE, bn.BN_REASON_ADDRESS_OUTSIDE, spec(add_address="10.1.1.1")),
                (errno.EINVAL, bn.BN_REASON_INVALID, spec(set_mac="01:00:00:00:00:01")),
                (errno.ENOENT, bn.BN_REASON_SANDBOX_GONE, spec(set_sandbox_path="/run/netns/no")),
                (errno.EINVAL, bn.BN_REASON_SANDBOX_INVALID,
                 spec(set_sandbox_path="/etc/hostname"))):
            self.fails(code, reason, bn.bn_endpoint_attach, self.ctx, made,
                       bn.BN_ATTACH_SAME_NETWORK)
        self.fails(errno.EEXIST, bn.BN_REASON_ENDPOINT_EXISTS, bn.bn_endpoint_attach, self.ctx,
                   spec(), 0)
        self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, bn.bn_endpoint_get, self.ctx,
                   "green", "second", 0)
        self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, bn.bn_endpoint_detach, self.ctx,
                   "green", "second", 0)
        bn.call(bn.bn_endpoint_detach, self.ctx, "green", "second", bn.BN_DETACH_MISSING_OK)
        self.fails(errno.EINVAL, bn.BN_REASON_INVALID, bn.bn_endpoint_detach, self.ctx, "green",
                   "first", bn.BN_DETACH_QUICK | bn.BN_DETACH_ASYNC)
        for flag in bn.BN_DETACH_ASYNC, bn.BN_DETACH_QUICK:
            bn.call(bn.bn_endpoint_detach, self.ctx, "green", "first", flag)
            bn.bn_endpoint_free(bn.new(bn.bn_endpoint_attach, self.ctx, spec("first"), 0))


class Ports(Case):
    def setUp(self):
        super().setUp()
        self.create("red", "172.26.0.0/24")
        self.inside = self.sandbox()

    def attach(self, *mappings, flags=0):
        spec = self.endpoint("red", "web", self.inside)
        for mapping in mappings:
            bn.call(bn.bn_endpoint_spec_add_port, spec, self.port(mapping))
        return self.keep(bn.new(bn.bn_endpoint_attach, self.ctx, spec, flags))

    def texts(self, ports):
        return [bn.bn_port_text(port) for port in bn.items(ports)]

    def test_all_of_a_port(self):
        self.attach()
        port = self.keep(bn.new(bn.bn_port_publish, self.ctx, "red", "web",
                                self.port("127.0.0.1:9000-9002:90-92/udp"), 0))
        self.assertEqual((bn.bn_port_network(port), bn.bn_port_endpoint(port),
                          bn.bn_port_protocol(port), bn.bn_port_host_address(port),
                          bn.bn_port_host_port(port), bn.bn_port_container_port(port),
                          bn.bn_port_count(port), bn.bn_port_text(port)),
                         ("red", "web", "udp", "127.0.0.1", 9000, 90, 3,
                          "127.0.0.1:9000-9002:90-92/udp"))
        self.assertEqual([bn.bn_port_mode(port, family) for family in ("ipv4", "ipv6", "ipx")],
                         ["nat", "", ""])
        self.assertEqual(bn.bn_port_fd_count(port), 0)
        self.assertEqual(bn.bn_port_fd_at(port, 0), -1)

    def test_lists_and_many_at_once(self):
        endpoint = self.attach("8799:1337")
        self.assertEqual(self.texts(bn.bn_endpoint_ports(endpoint)), ["8799:1337/tcp"])
        specs = self.keep(bn.new(bn.bn_port_spec_list_new))
        for mapping in "8001:81", "8002:82/udp":
            bn.call(bn.bn_port_spec_list_add, specs, self.port(mapping))
        published = self.keep(bn.new(bn.bn_ports_publish, self.ctx, "red", "web", specs, 0))
        self.assertEqual(bn.bn_port_list_len(published), 2)
        for filters in (None, None), ("red", None), ("red", "web"):
            ports = self.keep(bn.new(bn.bn_ports_list, self.ctx, *filters, 0))
            self.assertEqual(self.texts(ports), ["8001:81/tcp", "8799:1337/tcp", "8002:82/udp"])
        bn.call(bn.bn_ports_unpublish, self.ctx, "red", "web", specs, 0)
        bn.call(bn.bn_port_unpublish, self.ctx, "red", "web", self.port("8799:1337"), 0)
        ports = self.keep(bn.new(bn.bn_ports_list, self.ctx, None, None, 0))
        self.assertEqual(self.texts(ports), [])
        self.assertIsNone(bn.bn_port_list_at(ports, 0))

    def test_held_ports_are_closed_with_the_snapshot(self):
        self.attach()
        port = bn.new(bn.bn_port_publish, self.ctx, "red", "web", self.port("127.0.0.1:8003:83"),
                      bn.BN_PUBLISH_HOLD_PORTS)
        self.assertEqual(bn.bn_port_fd_count(port), 1)
        fd = bn.bn_port_fd_at(port, 0)
        held = socket.socket(fileno=os.dup(fd))
        self.assertEqual(held.getsockname(), ("127.0.0.1", 8003))
        self.assertFalse(os.get_inheritable(fd))
        held.close()
        port.free()
        with self.assertRaises(OSError):
            os.fstat(fd)

    def test_refusals(self):
        self.attach("8799:1337")
        bn.call(bn.bn_endpoint_attach, self.ctx, self.endpoint("red", "other", self.sandbox()), 0,
                None)
        listener = socket.create_server(("127.0.0.1", 8004))
        self.addCleanup(listener.close)
        for code, reason, mapping in (
                (errno.EADDRINUSE, bn.BN_REASON_PORT_IN_USE, "8799:80"),
                (errno.EADDRINUSE, bn.BN_REASON_PORT_LISTENER, "8004:80"),
                (errno.EINVAL, bn.BN_REASON_INVALID, "8000:0"),
                (errno.EINVAL, bn.BN_REASON_INVALID, "65536:80"),
                (errno.EINVAL, bn.BN_REASON_INVALID, "8000-8002:80-81"),
                (errno.EINVAL, bn.BN_REASON_INVALID, "80/icmp"),
                (errno.EINVAL, bn.BN_REASON_INVALID, "")):
            with self.subTest(mapping):
                self.fails(code, reason, bn.bn_port_publish, self.ctx, "red", "other",
                           self.port(mapping), 0)
        message = self.fails(errno.EADDRINUSE, bn.BN_REASON_PORT_IN_USE, bn.bn_port_publish,
                             self.ctx, "red", "other", self.port("8799:80"), 0)
        self.assertIn("web", message)
        gone = self.port("8005:85")
        self.fails(errno.ENOENT, bn.BN_REASON_PORT_UNKNOWN, bn.bn_port_unpublish, self.ctx, "red",
                   "web", gone, 0)
        bn.call(bn.bn_port_unpublish, self.ctx, "red", "web", gone, bn.BN_UNPUBLISH_MISSING_OK)

    def fetch(self):
        """A connection of the host to the published port; what the server was sent."""
        server = self.inside.socket(socket.AF_INET, socket.SOCK_STREAM)
        with server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("", 1337))
            server.listen()
            with socket.create_connection(("127.0.0.1", HOST_PORT), timeout=30) as client:
                server.settimeout(30)
                connection, _ = server.accept()
                with connection:
                    client.sendall(b"ping")
                    return connection.recv(4)

    def dnat(self, flags=bn.BN_RULES_VERBOSE):
        rules = self.keep(bn.new(bn.bn_rules_list, self.ctx, "red", flags))
        found = [rule for rule in bn.items(rules) if bn.bn_rule_target(rule) == "DNAT"]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_served_and_counted(self):
        endpoint = self.attach(f"{HOST_PORT}:1337")
        address = bn.bn_endpoint_address_at(endpoint, 0).split("/")[0]
        for connections in range(3):
            self.assertEqual(bn.bn_rule_packets(self.dnat()), connections)
            self.assertEqual(self.fetch(), b"ping")
        rule = self.dnat()
        self.assertEqual(bn.bn_rule_bytes(rule), 3 * 60)
        self.assertEqual((bn.bn_rule_family(rule), bn.bn_rule_table(rule),
                          bn.bn_rule_chain(rule), bn.bn_rule_protocol(rule),
                          bn.bn_rule_source(rule), bn.bn_rule_destination(rule),
                          bn.bn_rule_extra(rule)),
                         ("ipv4", "nat", "ports", "tcp", "0.0.0.0/0", "0.0.0.0/0",
                          f"tcp dpt:{HOST_PORT} to:{address}:1337"))
        self.assertEqual((bn.bn_rule_in_interface(rule), bn.bn_rule_out_interface(rule),
                          bn.bn_rule_network(rule), bn.bn_rule_endpoint(rule)),
                         ("*", "*", "red", "web"))
        self.assertIn("1337", bn.bn_rule_purpose(rule))

    def test_terse_rules_keep_their_counters_to_themselves(self):
        self.attach(f"{HOST_PORT}:1337")
        self.fetch()
        rule = self.dnat(0)
        self.assertEqual((bn.bn_rule_packets(rule), bn.bn_rule_bytes(rule),
                          bn.bn_rule_handle(rule), bn.bn_rule_in_interface(rule),
                          bn.bn_rule_out_interface(rule), bn.bn_rule_network(rule),
                          bn.bn_rule_endpoint(rule), bn.bn_rule_purpose(rule)),
                         (0, 0, 0, "", "", "", "", ""))
        self.assertIn(f"dpt:{HOST_PORT}", bn.bn_rule_extra(rule))

    def test_what_is_planned_is_there(self):
        self.attach(f"{HOST_PORT}:1337", "127.0.0.1:9000:90/udp")
        getters = [getattr(bn, f"bn_rule_{what}") for what in
                   ("family", "table", "chain", "target", "protocol", "source", "destination",
                    "extra", "in_interface", "out_interface", "network", "endpoint", "purpose")]
        lists = [self.keep(bn.new(function, self.ctx, None, bn.BN_RULES_VERBOSE))
                 for function in (bn.bn_rules_list, bn.bn_rules_plan)]
        there, planned = [[tuple(getter(rule) for getter in getters) for rule in bn.items(rules)]
                          for rules in lists]
        self.assertEqual(there, planned)
        self.assertGreater(len(there), 10)
        self.assertIsNone(bn.bn_rule_list_at(lists[0], bn.bn_rule_list_len(lists[0])))
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_rules_list, self.ctx,
                   "nowhere", 0)
        self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, bn.bn_rules_plan, self.ctx,
                   "nowhere", 0)


class Findings(Case):
    def setUp(self):
        super().setUp()
        self.create("amber", "172.25.0.0/24")
        self.keep(bn.new(bn.bn_endpoint_attach, self.ctx,
                         self.endpoint("amber", "web", self.sandbox()), 0))

    def found(self, function, *of, flags=0):
        return self.keep(bn.new(function, self.ctx, *(of or (None, None)), flags))

    def test_nothing_wrong(self):
        for of in ((None, None), ("amber", None), ("amber", "web")):
            for function in (bn.bn_check, bn.bn_repair):
                found = self.found(function, *of)
                self.assertEqual(0, bn.bn_finding_list_len(found))
                self.assertIsNone(bn.bn_finding_list_at(found, 0))

    def test_refusals(self):
        for function in (bn.bn_check, bn.bn_repair):
            self.fails(errno.ENOENT, bn.BN_REASON_NETWORK_UNKNOWN, function, self.ctx, "nowhere",
                       None, 0)
            self.fails(errno.ENOENT, bn.BN_REASON_ENDPOINT_UNKNOWN, function, self.ctx, "amber",
                       "db", 0)
            self.fails(errno.EINVAL, bn.BN_REASON_INVALID, function, self.ctx, None, "web", 0)


class Watching(Case):
    def setUp(self):
        super().setUp()
        self.watch = self.keep(bn.new(bn.bn_watch_new, self.ctx, 0))

    def event(self, seconds=30):
        """The next, waited for by its descriptor as a program would."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            event = bn.Event()
            result = bn.bn_watch_next(self.watch, 0, event)
            if result == 0:
                return self.keep(event)
            self.assertEqual(-errno.EAGAIN, result)
            select.select([bn.bn_watch_fd(self.watch)], [], [], 1)
        return self.fail("there was no event")

    def test_a_network_is_made(self):
        self.create("amber", "172.25.0.0/24")
        event = self.event()
        self.assertEqual(("state", "amber", "", ""),
                         (bn.bn_event_kind(event), bn.bn_event_network(event),
                          bn.bn_event_endpoint(event), bn.bn_event_program(event)))
        self.assertIn("amber", bn.bn_event_text(event))

    def test_it_outlives_the_context(self):
        self.ctx.free()
        self.ctx = self.context()
        self.create("amber", "172.25.0.0/24")
        self.assertEqual("amber", bn.bn_event_network(self.event()))

    def test_refusals(self):
        event = bn.Event()
        self.fails(errno.EINVAL, bn.BN_REASON_INVALID, bn.bn_watch_new, self.ctx, 2)
        self.assertEqual(-errno.EINVAL, bn.bn_watch_next(self.watch, 1, event))
        self.assertEqual(-errno.EAGAIN, bn.bn_watch_next(self.watch, 0, event))
        self.assertIsNone(event.value)

    def test_a_forked_child_may_only_free_it(self):
        pid = os.fork()
        if pid == 0:
            result = bn.bn_watch_next(self.watch, 0, bn.Event())
            bn.bn_watch_free(self.watch)
            os._exit(0 if result == -errno.ECHILD else 1)
        self.assertEqual(0, os.waitpid(pid, 0)[1])
        self.create("amber", "172.25.0.0/24")
        self.assertEqual("amber", bn.bn_event_network(self.event()))


class Unprivileged(Case):
    def test_a_user_may_neither_look_nor_touch(self):
        self.create("seen", "172.25.0.0/24")
        pid = os.fork()
        if pid == 0:
            refused = 0
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                ctx = bn.new(bn.bn_ctx_new, 0)
                bn.call(bn.bn_ctx_set_state_dir, ctx, self.directory)
                for function, arguments in ((bn.bn_networks_list, (0,)),
                                            (bn.bn_rules_plan, (None, 0))):
                    try:
                        bn.new(function, ctx, *arguments)
                    except bn.Error as error:
                        refused += error.errno in (errno.EPERM, errno.EACCES)
                try:
                    bn.call(bn.bn_network_delete, ctx, "seen", 0)
                except bn.Error as error:
                    refused += error.errno in (errno.EPERM, errno.EACCES)
            finally:
                os._exit(0 if refused == 3 else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class Everything(unittest.TestCase):
    def test_every_function_was_called(self):
        self.assertEqual(set(bn.PROTOTYPES) - called, set())


def load_tests(loader, tests, pattern):
    """The last one looks back at all the others."""
    suite = unittest.TestSuite()
    for case in (Version, Null, Context, Memory, Interrupts, Networks, Endpoints, Ports, Findings,
                 Unprivileged, Everything):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite
