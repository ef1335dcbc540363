# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that a host is, as lines that can be compared: links, addresses, routes, rules of routing,
what bridges know, sysctls, and the rule sets of both packet filters with counters and handles."""
import difflib
import json
import os
import re

import legacy

FOREVER = 2 ** 32 - 1
# what moves by itself, or is what the ports of the moment make it
MOVING = re.compile(r"_timer$|^fdb_n_learned$|^tso_max_")
SHOWN = 30  # of the differences of one part
UNREAD = ("net/netfilter/nf_conntrack_count",)
# what a module brings that was loaded meanwhile
OF_MODULES = ("net/netfilter/", "net/bridge/")


def _flat(value, path=""):
    """(path, value) of all that is in an answer of `ip -j`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if MOVING.search(key):
                continue
            if key.endswith("_life_time") or key == "expires":
                inner = inner if inner == FOREVER else "some"
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for inner in value:
            # whatever the order, an entry is told by all that it says
            yield path, " ".join(f"{key}={item}" for key, item in _flat(inner))
    else:
        yield path, value


def _links(namespace):
    found = []
    for link in namespace.ip("-d", "addr", "show"):
        if link.get("linkinfo", {}).get("info_kind") == "bridge":
            # as its ports are, which it tells a second later
            del link["operstate"]
            link["flags"] = sorted({*link["flags"]} - {"NO-CARRIER", "LOWER_UP"})
        found += [f"{link['ifname']}: {key} {value}" for key, value in sorted(_flat(link), key=str)]
    return found


def _routes(namespace, flag):
    routes = namespace.ip(flag, "-d", "route", "show", "table", "all")
    for route in routes:
        # as the link's carrier is
        route["flags"] = sorted({*route.get("flags", ())} - {"linkdown"})
    return _lines(routes)


def _lines(entries):
    return sorted(" ".join(f"{key}={value}" for key, value in _flat(entry)) for entry in entries)


def _bridges(namespace):
    answer = namespace.run("bridge", "-j", "fdb", "show").stdout
    entries = [entry for entry in json.loads(answer or "[]") if entry.get("state") == "permanent"]
    entries += json.loads(namespace.run("bridge", "-j", "vlan", "show").stdout or "[]")
    return _lines(entries)


def _nft(namespace):
    """Generations are not in it: a handle is an object's from its birth."""
    return namespace.run("nft", "-a", "list", "ruleset").stdout.splitlines()


def _legacy(namespace, command):
    """Less the tables that are as one is that somebody asked for, or took all rules from: once the
    kernel has made a table it keeps it."""
    tables = namespace.run(command, "-c").stdout.split("\nCOMMIT\n")
    kept = []
    for table in tables:
        lines = [line for line in table.splitlines() if not line.startswith("#")]
        if any(not re.fullmatch(r"\*\w+|:\w+ ACCEPT \[0:0\]", line) for line in lines):
            kept += lines
    return kept


def _sysctls(namespace, unread):
    """{name: value}; `unread` is of the names of interfaces that are like others."""
    found = {}

    def walk(directory):
        with os.scandir(f"/proc/sys/{directory}") as entries:
            for entry in entries:
                name = f"{directory}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if not unread or not unread.fullmatch(entry.name):
                        walk(name)
                elif name not in UNREAD:
                    found[name] = _read(entry.path)

    with namespace:
        walk("net")
    return found


def _read(path):
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        return problem.strerror
    try:
        return os.read(file, 65536).decode(errors="replace").strip()
    except OSError as problem:
        return problem.strerror
    finally:
        os.close(file)


def take(namespace, unread=None):
    return {
        "links and addresses": _links(namespace),
        "IPv4 routes": _routes(namespace, "-4"),
        "IPv6 routes": _routes(namespace, "-6"),
        "IPv4 rules": _lines(namespace.ip("-4", "rule", "show")),
        "IPv6 rules": _lines(namespace.ip("-6", "rule", "show")),
        "bridges": _bridges(namespace),
        "sysctls": _sysctls(namespace, unread),
        "nft": _nft(namespace),
        **{command: _legacy(namespace, command) for command in legacy.SAVE.values()},
    }


def _of_sysctls(before, after):
    for name in sorted(before.keys() | after.keys()):
        was, is_ = before.get(name), after.get(name)
        if was != is_ and not (was is None and name.startswith(OF_MODULES)):
            yield (f"{name}: {'(none)' if was is None else was} -> "
                   f"{'(gone)' if is_ is None else is_}")


def differences(before, after):
    """Lines for a reader, by part; none if all is the same."""
    found = []
    for part, was in before.items():
        is_ = after[part]
        if was == is_:
            continue
        if isinstance(was, dict):
            lines = list(_of_sysctls(was, is_))
        else:
            lines = [line for line in difflib.unified_diff(was, is_, n=0, lineterm="")
                     if not line.startswith(("---", "+++", "@@"))]
        found += [f"{part}: {line}" for line in lines[:SHOWN]]
        found += [f"{part}: and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return found
