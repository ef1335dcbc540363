#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Serve a page from a network namespace on port 8799 of its host, as docker run -p 8799:1337 does.

The host is a network namespace too, made for the purpose, so nothing of this machine changes.
Run as root: python3 examples/python/serve.py [BACKEND]
"""
import ctypes
import fcntl
import http.server
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import urllib.request

import bridgenet as bn

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
PR_SET_PDEATHSIG = 1
PAGE = b"Hello from a namespace of its own.\n"

libc = ctypes.CDLL(None, use_errno=True)


def new_network_namespace():
    if libc.unshare(CLONE_NEWNET) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"can't make a network namespace: {os.strerror(errno)}")


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *arguments):
        pass


def serve(ready):
    """The child: a web server in a namespace that has no network yet."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    new_network_namespace()
    server = http.server.HTTPServer(("", 1337), Page)
    os.write(ready, b"r")
    server.serve_forever()


def start_server():
    ready, ready_in_child = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            serve(ready_in_child)
        finally:
            os._exit(1)
    os.close(ready_in_child)
    if os.read(ready, 1) != b"r":
        raise RuntimeError("the web server did not start")
    os.close(ready)
    return pid


def attach(ctx, pid):
    with bn.new(bn.bn_endpoint_spec_new, "bridge", "web") as spec, \
            bn.new(bn.bn_port_spec_new, "8799:1337") as port:
        bn.call(bn.bn_endpoint_spec_set_sandbox_pid, spec, pid)
        bn.call(bn.bn_endpoint_spec_add_port, spec, port)
        with bn.new(bn.bn_endpoint_attach, ctx, spec, 0) as endpoint:
            print(bn.bn_endpoint_interface_name(endpoint), bn.bn_endpoint_address_at(endpoint, 0))


def print_rules(ctx):
    """Print the rules of the network; return the packets that the DNAT rule has counted."""
    packets = 0
    with bn.new(bn.bn_rules_list, ctx, "bridge", bn.BN_RULES_VERBOSE) as rules:
        for rule in bn.items(rules):
            print(f"{bn.bn_rule_packets(rule):5} {bn.bn_rule_bytes(rule):6}"
                  f" {bn.bn_rule_target(rule):10} {bn.bn_rule_extra(rule)}"
                  f"  # {bn.bn_rule_purpose(rule)}")
            if bn.bn_rule_target(rule) == "DNAT":
                packets += bn.bn_rule_packets(rule)
    return packets


def run(ctx, pid):
    attach(ctx, pid)
    # no proxy that the environment names: the address is in this namespace
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open("http://127.0.0.1:8799/", timeout=10) as response:
        page = response.read()
    print(page.decode(), end="")
    packets = print_rules(ctx)
    bn.call(bn.bn_endpoint_detach, ctx, "bridge", "web", 0)
    bn.call(bn.bn_network_delete, ctx, "bridge", 0)
    if page != PAGE or packets != 1:
        raise RuntimeError(f"one connection was made, and the DNAT rule counted {packets}")


def main():
    new_network_namespace()
    loopback_up()
    state = tempfile.mkdtemp(prefix="bridgenet-")
    pid = start_server()
    try:
        with bn.new(bn.bn_ctx_new, 0) as ctx:
            bn.call(bn.bn_ctx_set_state_dir, ctx, state)
            if len(sys.argv) > 1:
                bn.call(bn.bn_ctx_set_backend, ctx, sys.argv[1])
            run(ctx, pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError) as error:
        sys.exit(f"serve.py: {error}")
