# SPDX-License-Identifier: LGPL-2.1-or-later
"""libbridgenet through ctypes: every function and constant of bridgenet.h, under its own name.

Text goes in as str and comes out as str. Objects are handles, each of a class of its own, so that
one can't be passed for another. The three helpers at the end make calling short: call(), new()
and items(). An object that new() gave is freed when nothing refers to it any more, neither its
handle nor that of anything that belongs to it. Ctrl-C ends a verb that call() or new() waits for:
they run what may take long on a thread of its own, in the caller's network namespace.

The library is found by the dynamic linker; BRIDGENET_LIBRARY in the environment names another.
"""
import _thread
import ctypes
import os
import signal
import threading
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

lib = ctypes.CDLL(os.environ.get("BRIDGENET_LIBRARY", "libbridgenet.so.0"))


class Error(OSError):
    """A call that failed. errno is positive, as in any OSError; strerror is the sentence."""

    def __init__(self, errno, message, reason=0, kernel_message=""):
        super().__init__(errno, message)
        self.message = message
        self.reason = reason
        self.kernel_message = kernel_message

    def __str__(self):
        return self.message


class Text(c_char_p):
    """const char * that takes a str."""

    @classmethod
    def from_param(cls, value):
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape")
        if isinstance(value, bytes) and b"\0" in value:
            raise ValueError("a text for the library can't hold a NUL")
        return c_char_p.from_param(value)


class _Memory:
    """An object of the library, freed with the last handle that keeps this: its own, or one of
    what belongs to it."""

    def __init__(self, handle):
        self.type = type(handle)
        self.pointer = handle.value

    def __del__(self):
        if self.pointer:
            getattr(lib, self.type.prefix + "_free")(self.type(self.pointer))


class Handle(c_void_p):
    """A pointer to an opaque object. At the end of a with statement, or by free(), it lets go of
    the object; items of a list, and all else that belongs to it, stay good. A handle that has let
    go can't be used any more."""

    prefix = ""
    freed = False
    memory = None  # a _Memory, of what new() gave and what belongs to that

    @classmethod
    def from_param(cls, value):
        if value is None:
            return value
        if not isinstance(value, cls):
            raise TypeError(f"{cls.__name__} expected, not {type(value).__name__}")
        if value.freed or (value.memory and not value.memory.pointer):
            raise ReferenceError(f"this {cls.__name__} was freed")
        return value

    def free(self):
        if not self.freed and self.memory is None and self.value:
            getattr(lib, self.prefix + "_free")(self)
        self.freed = True
        self.value = self.memory = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.free()


def _handle(name):
    words = name.split("_")[1:]
    return type("".join(word.capitalize() for word in words), (Handle,), {"prefix": name})


Ctx = _handle("bn_ctx")
Endpoint = _handle("bn_endpoint")
EndpointList = _handle("bn_endpoint_list")
EndpointSpec = _handle("bn_endpoint_spec")
EndpointSpecList = _handle("bn_endpoint_spec_list")
Finding = _handle("bn_finding")
FindingList = _handle("bn_finding_list")
Watch = _handle("bn_watch")
Event = _handle("bn_event")
Interface = _handle("bn_interface")
NameList = _handle("bn_name_list")
Name = _handle("bn_name")
Names = _handle("bn_names")
Network = _handle("bn_network")
NetworkList = _handle("bn_network_list")
NetworkSpec = _handle("bn_network_spec")
Option = _handle("bn_option")
OptionList = _handle("bn_option_list")
Port = _handle("bn_port")
PortList = _handle("bn_port_list")
PortSpec = _handle("bn_port_spec")
PortSpecList = _handle("bn_port_spec_list")
Rule = _handle("bn_rule")
SandboxFiles = _handle("bn_sandbox_files")
RuleList = _handle("bn_rule_list")
LogFunction = CFUNCTYPE(None, c_void_p, c_int, c_char_p)

BN_REASON_NONE = 0
BN_REASON_INVALID = 1
BN_REASON_NETWORK_UNKNOWN = 2
BN_REASON_NETWORK_EXISTS = 3
BN_REASON_NETWORK_IN_USE = 4
BN_REASON_NETWORK_BUILTIN = 5
BN_REASON_ENDPOINT_UNKNOWN = 6
BN_REASON_ENDPOINT_EXISTS = 7
BN_REASON_PORT_UNKNOWN = 8
BN_REASON_PORT_IN_USE = 9
BN_REASON_PORT_LISTENER = 10
BN_REASON_PORT_NONE_FREE = 11
BN_REASON_SUBNET_OVERLAP = 12
BN_REASON_POOL_EXHAUSTED = 13
BN_REASON_ADDRESS_IN_USE = 14
BN_REASON_ADDRESS_OUTSIDE = 15
BN_REASON_ADDRESS_EXHAUSTED = 16
BN_REASON_SANDBOX_GONE = 17
BN_REASON_SANDBOX_INVALID = 18
BN_REASON_INTERFACE_EXISTS = 19
BN_REASON_BRIDGE_INVALID = 20
BN_REASON_BRIDGE_FULL = 21
BN_REASON_BACKEND_UNAVAILABLE = 22
BN_REASON_BACKEND_MISMATCH = 23
BN_REASON_PRIVILEGE = 24
BN_REASON_STATE = 25
BN_REASON_TIMEOUT = 26
BN_REASON_OPTION_UNKNOWN = 27
BN_REASON_KERNEL = 28
BN_REASON_UNSUPPORTED = 29
BN_REASON_BUSY = 30
BN_REASON_OPTION_CONFLICT = 31
BN_REASON_NOT_LIVE = 32
BN_REASON_CANCELLED = 33
BN_REASON_UNKNOWN_OUTCOME = 34
BN_REASON_METRIC_NONE_FREE = 35
BN_CREATE_EXISTING_OK = 0x1
BN_CREATE_HOST_SUBNET_OK = 0x2
BN_DELETE_MISSING_OK = 0x1
BN_DELETE_ENDPOINTS = 0x2
BN_GET_INTERFACE = 0x1
BN_ATTACH_HOLD_PORTS = 0x1
BN_ATTACH_OVER_LISTENER = 0x2
BN_ATTACH_SKIP_FAMILY = 0x4
BN_ATTACH_SAME_NETWORK = 0x8
BN_DETACH_MISSING_OK = 0x1
BN_DETACH_QUICK = 0x2
BN_DETACH_DELETE_EMPTY = 0x4
BN_DETACH_ASYNC = 0x8
BN_DETACH_MOVE_PORTS = 0x10
BN_PUBLISH_HOLD_PORTS = 0x1
BN_PUBLISH_OVER_LISTENER = 0x2
BN_PUBLISH_SKIP_FAMILY = 0x4
BN_PUBLISH_UPDATE = 0x8
BN_UNPUBLISH_MISSING_OK = 0x1
BN_SEVERITY_NOTE = 1
BN_SEVERITY_BROKEN = 2
BN_SEVERITY_OPEN = 3
BN_WATCH_LISTENERS = 0x1
BN_REPAIR_PLAN = 0x1
BN_REPAIR_REMOVE_UNKNOWN = 0x2
BN_RULES_VERBOSE = 0x1

# name: (result, parameters)
PROTOTYPES = {
    "bn_version": (c_uint32, []),
    "bn_version_string": (Text, []),
    "bn_has_feature": (c_int, [Text]),
    "bn_ctx_new": (c_int, [c_uint32, POINTER(Ctx)]),
    "bn_ctx_free": (None, [Ctx]),
    "bn_ctx_set_state_dir": (c_int, [Ctx, Text]),
    "bn_ctx_set_backend": (c_int, [Ctx, Text]),
    "bn_ctx_set_timeout_ms": (c_int, [Ctx, c_uint32]),
    "bn_ctx_set_log": (c_int, [Ctx, LogFunction, c_void_p]),
    "bn_ctx_set_option": (c_int, [Ctx, Text, Text]),
    "bn_ctx_cancel": (None, [Ctx]),
    "bn_ctx_backend": (Text, [Ctx]),
    "bn_ctx_backend_reason": (Text, [Ctx]),
    "bn_backend_switch": (c_int, [Ctx, Text, c_uint32]),
    "bn_error_message": (Text, [Ctx]),
    "bn_error_reason": (c_int, [Ctx]),
    "bn_error_errno": (c_int, [Ctx]),
    "bn_error_kernel_message": (Text, [Ctx]),
    "bn_reason_name": (Text, [c_int]),
    "bn_name_list_new": (c_int, [POINTER(NameList)]),
    "bn_name_list_add": (c_int, [NameList, Text]),
    "bn_name_list_free": (None, [NameList]),
    "bn_network_spec_new": (c_int, [Text, POINTER(NetworkSpec)]),
    "bn_network_spec_free": (None, [NetworkSpec]),
    "bn_network_spec_add_subnet": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_add_pool": (c_int, [NetworkSpec, Text, c_uint32]),
    "bn_network_spec_set_persistent": (c_int, [NetworkSpec, c_int]),
    "bn_network_is_persistent": (c_int, [Network]),
    "bn_network_spec_set_id": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_set_driver": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_set_ipv4": (c_int, [NetworkSpec, c_int]),
    "bn_network_spec_set_ipv6": (c_int, [NetworkSpec, c_int]),
    "bn_network_spec_add_gateway": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_add_ip_range": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_add_reserved": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_set_mtu": (c_int, [NetworkSpec, c_uint32]),
    "bn_network_spec_set_bridge": (c_int, [NetworkSpec, Text]),
    "bn_network_spec_set_option": (c_int, [NetworkSpec, Text, Text]),
    "bn_network_create": (c_int, [Ctx, NetworkSpec, c_uint32, POINTER(Network)]),
    "bn_network_update": (c_int, [Ctx, NetworkSpec, c_uint32, POINTER(Network)]),
    "bn_network_delete": (c_int, [Ctx, Text, c_uint32]),
    "bn_network_get": (c_int, [Ctx, Text, c_uint32, POINTER(Network)]),
    "bn_networks_list": (c_int, [Ctx, c_uint32, POINTER(NetworkList)]),
    "bn_network_list_len": (c_size_t, [NetworkList]),
    "bn_network_list_at": (Network, [NetworkList, c_size_t]),
    "bn_network_list_free": (None, [NetworkList]),
    "bn_network_free": (None, [Network]),
    "bn_network_name": (Text, [Network]),
    "bn_network_id": (Text, [Network]),
    "bn_network_driver": (Text, [Network]),
    "bn_network_bridge": (Text, [Network]),
    "bn_network_mtu": (c_uint32, [Network]),
    "bn_network_subnet_count": (c_size_t, [Network]),
    "bn_network_subnet_at": (Text, [Network, c_size_t]),
    "bn_network_gateway_at": (Text, [Network, c_size_t]),
    "bn_network_ip_range_at": (Text, [Network, c_size_t]),
    "bn_network_addresses_used_at": (c_uint64, [Network, c_size_t]),
    "bn_network_addresses_free_at": (c_uint64, [Network, c_size_t]),
    "bn_network_reserved_count": (c_size_t, [Network]),
    "bn_network_reserved_at": (Text, [Network, c_size_t]),
    "bn_network_option_count": (c_size_t, [Network]),
    "bn_network_option_key_at": (Text, [Network, c_size_t]),
    "bn_network_option_value_at": (Text, [Network, c_size_t]),
    "bn_network_endpoint_count": (c_size_t, [Network]),
    "bn_network_interface": (Interface, [Network]),
    "bn_names_list": (c_int, [Ctx, Text, c_uint32, POINTER(Names)]),
    "bn_names_len": (c_size_t, [Names]),
    "bn_names_at": (Name, [Names, c_size_t]),
    "bn_names_free": (None, [Names]),
    "bn_name_text": (Text, [Name]),
    "bn_name_network": (Text, [Name]),
    "bn_name_endpoint": (Text, [Name]),
    "bn_name_address": (Text, [Name]),
    "bn_sandbox_files_get": (c_int, [Ctx, Text, Text, c_uint32, POINTER(SandboxFiles)]),
    "bn_sandbox_files_free": (None, [SandboxFiles]),
    "bn_sandbox_files_hosts": (Text, [SandboxFiles]),
    "bn_sandbox_files_resolv_conf": (Text, [SandboxFiles]),
    "bn_options_list": (c_int, [Text, c_uint32, POINTER(OptionList)]),
    "bn_option_list_len": (c_size_t, [OptionList]),
    "bn_option_list_at": (Option, [OptionList, c_size_t]),
    "bn_option_list_free": (None, [OptionList]),
    "bn_option_scope": (Text, [Option]),
    "bn_option_key": (Text, [Option]),
    "bn_option_type": (Text, [Option]),
    "bn_option_default": (Text, [Option]),
    "bn_option_live": (Text, [Option]),
    "bn_option_alias": (Text, [Option]),
    "bn_option_since": (Text, [Option]),
    "bn_option_description": (Text, [Option]),
    "bn_endpoint_spec_new": (c_int, [Text, Text, POINTER(EndpointSpec)]),
    "bn_endpoint_spec_free": (None, [EndpointSpec]),
    "bn_endpoint_spec_set_sandbox_path": (c_int, [EndpointSpec, Text]),
    "bn_endpoint_spec_set_sandbox_pid": (c_int, [EndpointSpec, c_int]),
    "bn_endpoint_spec_set_sandbox_fd": (c_int, [EndpointSpec, c_int]),
    "bn_endpoint_spec_set_interface_name": (c_int, [EndpointSpec, Text]),
    "bn_endpoint_spec_add_address": (c_int, [EndpointSpec, Text]),
    "bn_endpoint_spec_set_mac": (c_int, [EndpointSpec, Text]),
    "bn_endpoint_spec_add_route": (c_int, [EndpointSpec, Text, Text]),
    "bn_endpoint_spec_add_typed_route": (c_int, [EndpointSpec, Text, Text, Text, c_uint32]),
    "bn_endpoint_spec_set_gateway_priority": (c_int, [EndpointSpec, c_int]),
    "bn_endpoint_spec_set_option": (c_int, [EndpointSpec, Text, Text]),
    "bn_endpoint_spec_add_port": (c_int, [EndpointSpec, PortSpec]),
    "bn_endpoint_attach": (c_int, [Ctx, EndpointSpec, c_uint32, POINTER(Endpoint)]),
    "bn_endpoint_update": (c_int, [Ctx, EndpointSpec, c_uint32, POINTER(Endpoint)]),
    "bn_endpoint_spec_list_new": (c_int, [POINTER(EndpointSpecList)]),
    "bn_endpoint_spec_list_add": (c_int, [EndpointSpecList, EndpointSpec]),
    "bn_endpoint_spec_list_free": (None, [EndpointSpecList]),
    "bn_endpoints_attach": (c_int, [Ctx, EndpointSpecList, c_uint32, POINTER(EndpointList)]),
    "bn_endpoint_detach": (c_int, [Ctx, Text, Text, c_uint32]),
    "bn_endpoints_detach": (c_int, [Ctx, Text, NameList, c_uint32]),
    "bn_endpoints_collect": (c_int, [Ctx, Text, c_uint32, POINTER(EndpointList)]),
    "bn_endpoint_open_sandbox": (c_int, [Ctx, Text, Text, c_uint32, POINTER(c_int)]),
    "bn_endpoint_get": (c_int, [Ctx, Text, Text, c_uint32, POINTER(Endpoint)]),
    "bn_endpoints_list": (c_int, [Ctx, Text, c_uint32, POINTER(EndpointList)]),
    "bn_endpoint_list_len": (c_size_t, [EndpointList]),
    "bn_endpoint_list_at": (Endpoint, [EndpointList, c_size_t]),
    "bn_endpoint_list_free": (None, [EndpointList]),
    "bn_endpoint_free": (None, [Endpoint]),
    "bn_endpoint_network": (Text, [Endpoint]),
    "bn_endpoint_id": (Text, [Endpoint]),
    "bn_endpoint_sandbox": (Text, [Endpoint]),
    "bn_endpoint_interface_name": (Text, [Endpoint]),
    "bn_endpoint_host_interface_name": (Text, [Endpoint]),
    "bn_endpoint_mac": (Text, [Endpoint]),
    "bn_endpoint_mtu": (c_uint32, [Endpoint]),
    "bn_endpoint_address_count": (c_size_t, [Endpoint]),
    "bn_endpoint_address_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_gateway_count": (c_size_t, [Endpoint]),
    "bn_endpoint_gateway_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_gateway_priority": (c_int, [Endpoint]),
    "bn_endpoint_state": (Text, [Endpoint]),
    "bn_endpoint_route_count": (c_size_t, [Endpoint]),
    "bn_endpoint_route_destination_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_route_type_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_route_gateway_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_route_metric_at": (c_uint32, [Endpoint, c_size_t]),
    "bn_endpoint_option_count": (c_size_t, [Endpoint]),
    "bn_endpoint_option_key_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_option_value_at": (Text, [Endpoint, c_size_t]),
    "bn_endpoint_ports": (PortList, [Endpoint]),
    "bn_endpoint_interface": (Interface, [Endpoint]),
    "bn_interface_name": (Text, [Interface]),
    "bn_interface_index": (c_uint32, [Interface]),
    "bn_interface_mac": (Text, [Interface]),
    "bn_interface_mtu": (c_uint32, [Interface]),
    "bn_interface_flags": (c_uint32, [Interface]),
    "bn_interface_flags_text": (Text, [Interface]),
    "bn_interface_address_count": (c_size_t, [Interface]),
    "bn_interface_address_at": (Text, [Interface, c_size_t]),
    "bn_interface_rx_packets": (c_uint64, [Interface]),
    "bn_interface_rx_bytes": (c_uint64, [Interface]),
    "bn_interface_rx_errors": (c_uint64, [Interface]),
    "bn_interface_rx_dropped": (c_uint64, [Interface]),
    "bn_interface_tx_packets": (c_uint64, [Interface]),
    "bn_interface_tx_bytes": (c_uint64, [Interface]),
    "bn_interface_tx_errors": (c_uint64, [Interface]),
    "bn_interface_tx_dropped": (c_uint64, [Interface]),
    "bn_port_spec_new": (c_int, [Text, POINTER(PortSpec)]),
    "bn_port_spec_free": (None, [PortSpec]),
    "bn_port_spec_new_parts": (c_int, [Text, c_uint32, c_uint32, c_uint32, Text,
                                       POINTER(PortSpec)]),
    "bn_port_spec_set_option": (c_int, [PortSpec, Text, Text]),
    "bn_port_spec_list_new": (c_int, [POINTER(PortSpecList)]),
    "bn_port_spec_list_add": (c_int, [PortSpecList, PortSpec]),
    "bn_port_spec_list_free": (None, [PortSpecList]),
    "bn_port_publish": (c_int, [Ctx, Text, Text, PortSpec, c_uint32, POINTER(Port)]),
    "bn_ports_publish": (c_int, [Ctx, Text, Text, PortSpecList, c_uint32, POINTER(PortList)]),
    "bn_port_unpublish": (c_int, [Ctx, Text, Text, PortSpec, c_uint32]),
    "bn_ports_unpublish": (c_int, [Ctx, Text, Text, PortSpecList, c_uint32]),
    "bn_port_move": (c_int, [Ctx, Text, Text, Text, Text, PortSpec, c_uint32, POINTER(PortList)]),
    "bn_ports_list": (c_int, [Ctx, Text, Text, c_uint32, POINTER(PortList)]),
    "bn_port_list_len": (c_size_t, [PortList]),
    "bn_port_list_at": (Port, [PortList, c_size_t]),
    "bn_port_list_free": (None, [PortList]),
    "bn_port_free": (None, [Port]),
    "bn_port_network": (Text, [Port]),
    "bn_port_endpoint": (Text, [Port]),
    "bn_port_protocol": (Text, [Port]),
    "bn_port_host_address": (Text, [Port]),
    "bn_port_host_port": (c_uint32, [Port]),
    "bn_port_container_port": (c_uint32, [Port]),
    "bn_port_count": (c_uint32, [Port]),
    "bn_port_text": (Text, [Port]),
    "bn_port_mode": (Text, [Port, Text]),
    "bn_port_option_count": (c_size_t, [Port]),
    "bn_port_option_key_at": (Text, [Port, c_size_t]),
    "bn_port_option_value_at": (Text, [Port, c_size_t]),
    "bn_port_fd_count": (c_size_t, [Port]),
    "bn_port_fd_at": (c_int, [Port, c_size_t]),
    "bn_check": (c_int, [Ctx, Text, Text, c_uint32, POINTER(FindingList)]),
    "bn_repair": (c_int, [Ctx, Text, Text, c_uint32, POINTER(FindingList)]),
    "bn_finding_list_len": (c_size_t, [FindingList]),
    "bn_finding_list_at": (Finding, [FindingList, c_size_t]),
    "bn_finding_list_free": (None, [FindingList]),
    "bn_finding_code": (Text, [Finding]),
    "bn_finding_severity": (c_int, [Finding]),
    "bn_finding_network": (Text, [Finding]),
    "bn_finding_endpoint": (Text, [Finding]),
    "bn_finding_object": (Text, [Finding]),
    "bn_finding_is": (Text, [Finding]),
    "bn_finding_should_be": (Text, [Finding]),
    "bn_finding_text": (Text, [Finding]),
    "bn_finding_repaired": (c_int, [Finding]),
    "bn_watch_new": (c_int, [Ctx, c_uint32, POINTER(Watch)]),
    "bn_watch_fd": (c_int, [Watch]),
    "bn_watch_next": (c_int, [Watch, c_uint32, POINTER(Event)]),
    "bn_watch_free": (None, [Watch]),
    "bn_event_free": (None, [Event]),
    "bn_event_kind": (Text, [Event]),
    "bn_event_text": (Text, [Event]),
    "bn_event_network": (Text, [Event]),
    "bn_event_endpoint": (Text, [Event]),
    "bn_event_program": (Text, [Event]),
    "bn_rules_list": (c_int, [Ctx, Text, c_uint32, POINTER(RuleList)]),
    "bn_rules_plan": (c_int, [Ctx, Text, c_uint32, POINTER(RuleList)]),
    "bn_rule_list_len": (c_size_t, [RuleList]),
    "bn_rule_list_at": (Rule, [RuleList, c_size_t]),
    "bn_rule_list_free": (None, [RuleList]),
    "bn_rule_family": (Text, [Rule]),
    "bn_rule_table": (Text, [Rule]),
    "bn_rule_chain": (Text, [Rule]),
    "bn_rule_target": (Text, [Rule]),
    "bn_rule_protocol": (Text, [Rule]),
    "bn_rule_source": (Text, [Rule]),
    "bn_rule_destination": (Text, [Rule]),
    "bn_rule_extra": (Text, [Rule]),
    "bn_rule_packets": (c_uint64, [Rule]),
    "bn_rule_bytes": (c_uint64, [Rule]),
    "bn_rule_in_interface": (Text, [Rule]),
    "bn_rule_out_interface": (Text, [Rule]),
    "bn_rule_handle": (c_uint64, [Rule]),
    "bn_rule_network": (Text, [Rule]),
    "bn_rule_endpoint": (Text, [Rule]),
    "bn_rule_purpose": (Text, [Rule]),
}


def _decode(result, function, arguments):
    value = result.value
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _part(result, function, arguments):
    """What belongs to the object asked, and keeps it."""
    if result.value is None:
        return None
    result.memory = arguments[0].memory
    return result


_log_functions = {}  # by the address of the context; ctypes keeps none


def _keep_log_function(result, function, arguments):
    if result == 0:
        _log_functions[arguments[0].value] = arguments[1]
    return result


def _freed(result, function, arguments):
    handle = arguments[0]
    if handle is None:
        return
    if isinstance(handle, Ctx):
        _log_functions.pop(handle.value, None)
    if handle.memory:
        handle.memory.pointer = None
    handle.freed = True
    handle.value = None


def _declare():
    for name, (result, parameters) in PROTOTYPES.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = parameters
        if result is Text:
            function.errcheck = _decode
        elif isinstance(result, type) and issubclass(result, Handle):
            function.errcheck = _part
        elif name == "bn_ctx_set_log":
            function.errcheck = _keep_log_function
        elif name.endswith("_free"):
            function.errcheck = _freed
        globals()[name] = function


_declare()


# Those that read the state, and wait for nobody: a thread would cost more than they do.
_SHORT = {"bn_network_get", "bn_networks_list", "bn_endpoint_get", "bn_endpoints_list",
          "bn_ports_list", "bn_rules_plan"}


def _is_interruptible(function, arguments):
    """Python runs a signal's handler on the main thread, and not during a call of C there."""
    return (arguments and isinstance(arguments[0], Ctx) and
            function.__name__ not in _SHORT and not function.__name__.startswith("bn_ctx_") and
            threading.current_thread() is threading.main_thread() and
            callable(signal.getsignal(signal.SIGINT)))


def _call_interruptibly(function, arguments):
    """On a thread in the network namespace of this one, while this one waits in Python."""
    done = _thread.allocate_lock()
    done.acquire()
    result = []

    def work():
        try:
            result.append(function(*arguments))
        except BaseException as error:  # it is the caller's
            result.append(error)
        finally:
            done.release()

    _thread.start_new_thread(work, ())
    try:
        done.acquire()
    except BaseException:
        bn_ctx_cancel(arguments[0])
        done.acquire()
        raise
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def call(function, *arguments):
    """Call what returns 0 or a negative errno; raise Error for the latter."""
    if _is_interruptible(function, arguments):
        result = _call_interruptibly(function, arguments)
    else:
        result = function(*arguments)
    if result >= 0:
        return result
    if arguments and isinstance(arguments[0], Ctx):
        ctx = arguments[0]
        raise Error(-result, lib.bn_error_message(ctx), lib.bn_error_reason(ctx),
                    lib.bn_error_kernel_message(ctx))
    raise Error(-result, os.strerror(-result))


def new(function, *arguments):
    """The same for a function with a result in its last parameter, which is returned."""
    handle = function.argtypes[-1]._type_()
    try:
        call(function, *arguments, ctypes.byref(handle))
    finally:
        if handle.value:
            handle.memory = _Memory(handle)
    return handle


def items(handle):
    """What is in a list. Each item belongs to the list, and keeps it."""
    at = getattr(lib, handle.prefix + "_at")
    return [at(handle, i) for i in range(getattr(lib, handle.prefix + "_len")(handle))]
