#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks found, beside what is aimed at: tables.py ROWS MACHINE [README]

ROWS is the file that BN_BENCH_ROWS named (bench.h says what is in it). MACHINE says in words what
they ran on. A README gets its tables made anew: each stands below the line that begins with its
title, and goes to the next empty line.
"""

import re
import sys
import textwrap
from typing import NamedTuple, Optional

COLUMNS = 100
PROGRAM = ", beside its program"
WHOLE = ", whole process"


class Row(NamedTuple):
    name: str  # as the benchmark has it, but for the start that the table's rows share
    aim: str = ""  # for the ratio; or for the time, "3 ms"
    shown: bool = True  # in the README
    label: str = ""  # there, unless it is the name, without WHOLE


class Table(NamedTuple):
    title: str
    columns: tuple[str, ...]  # the library's, the floor's, and their ratio; with a fourth, PROGRAM
    start: str
    rows: list[Row]


TABLES = [
    Table("with nftables", ("library", "bare netlink", "ratio"), "", [
        Row("attach, no port", "1.4"),
        Row("attach, one port", "1.4"),
        Row("detach, no port", "1.15"),
        Row("detach, one port", "1.15", shown=False),
        Row("detach, quick"),
        Row("detach, asynchronous", "1.7 ms"),
        Row("detach 32 in one call", "1.0"),
        Row("detach 1,000 in one call"),
        Row("create a network", "1.2"),
        Row("delete a network", "1.2"),
        Row("publish one TCP, 0 present", "5.5"),
        Row("publish one TCP, 1,000 present", "5.5", shown=False),
        Row("publish one TCP, 10,000 present", "5.5", shown=False),
        Row("publish one TCP, 65,000 present", "5.5"),
        Row("publish one TCP, after another's commit"),
        Row("publish one UDP, 0 present", "5.5", shown=False),
        Row("publish one UDP, 1,000 present", "5.5", shown=False),
        Row("publish one UDP, 10,000 present", "5.5"),
        Row("publish one UDP, 65,000 present", "5.5", shown=False),
        Row("unpublish one TCP, 0 present", "8"),
        Row("unpublish one TCP, 1,000 present", "8", shown=False),
        Row("unpublish one TCP, 10,000 present", "8", shown=False),
        Row("unpublish one TCP, 65,000 present", "8"),
        Row("unpublish one UDP, 0 present", "8", shown=False),
        Row("unpublish one UDP, 1,000 present", "8", shown=False),
        Row("unpublish one UDP, 10,000 present", "8"),
        Row("unpublish one UDP, 65,000 present", "8", shown=False),
        Row("unpublish one UDP that was used"),
        Row("publish 100 in one call"),
        Row("unpublish 100 in one call"),
        Row("publish 10,000 in one call", "1.6"),
        Row("unpublish 10,000 in one call", "2.5"),
        Row("list 10,000 rules with counters", "1.2"),
        Row("list a network's 19 rules among 4,000"),
        Row("list 1,000 endpoints"),
        Row("collect, none of 1,000 gone"),
    ]),
    Table("with iptables-legacy", ("library", "bare options", "ratio", "iptables-legacy"),
          "iptables-legacy, ", [
        Row("publish one, 1 present", "3"),
        Row("publish one, 100 present", "1.3"),
        Row("publish one, 1,000 present", "1.15"),
        Row("publish one, 10,000 present", "1.1"),
        Row("unpublish one, 1 present"),
        Row("unpublish one, 100 present", shown=False),
        Row("unpublish one, 1,000 present"),
        Row("unpublish one, 10,000 present", shown=False),
        Row("publish 1,000 in one call", "2"),
        Row("unpublish 1,000 in one call"),
        Row("attach, 100 ports, 1 present", shown=False),
        Row("attach, 100 ports, 100 present", shown=False),
        Row("attach, 100 ports, 1,000 present"),
        Row("attach, 100 ports, 10,000 present", shown=False),
        Row("list 10,000 rules with counters", "1.2"),
    ]),
    Table("check, repair and watch", ("library", "bare netlink", "ratio"), "", [
        Row("check 10,000 ports"),
        Row("check a network among 10,000 ports", shown=False),
        Row("check an endpoint among 10,000 ports", "0.2 ms"),
        Row("repair one of 10,000 ports"),
        Row("repair 10,000 ports after a flush", "1.5"),
        Row("nftables: rules back after a flush, 1,000 ports", "10 ms"),
        Row("nftables: rules back after a flush, 10,000 ports", "50 ms"),
        Row("nftables: and all else looked at, 1,000 ports", shown=False),
        Row("nftables: and all else looked at, 10,000 ports", shown=False),
        Row("nftables: a second beside a storm, 1,000 ports", "10 ms"),
        Row("nftables: a second beside a storm, 10,000 ports", "10 ms", shown=False),
        Row("iptables-legacy: rules back after a flush, 1,000 ports", "10 ms"),
        Row("iptables-legacy: rules back after a flush, 10,000 ports", "50 ms"),
        Row("iptables-legacy: and all else looked at, 1,000 ports", shown=False),
        Row("iptables-legacy: and all else looked at, 10,000 ports", shown=False),
        Row("iptables-legacy: a second beside a storm, 1,000 ports", "10 ms"),
        Row("iptables-legacy: a second beside a storm, 10,000 ports", "10 ms", shown=False),
    ]),
    Table("on a crowded bridge", ("library", "bare netlink", "ratio"), "", [
        Row("attach at 0 to 10"),
        Row("attach at 90 to 100"),
        Row("attach at 900 to 1,000"),
        Row("attach at 0 to 10, IPv4 and IPv6"),
        Row("attach at 90 to 100, IPv4 and IPv6"),
        Row("attach at 900 to 1,000, IPv4 and IPv6"),
    ]),
    Table("of 8 processes at once", ("8 at once", "one alone", "ratio"), "", [
        Row("publish, 8 processes at once", label="publish"),
        Row("unpublish, 8 processes at once", label="unpublish"),
        Row("attach with a port, 8 processes at once", label="attach with a port"),
        Row("detach, quick, 8 processes at once", label="detach, quick"),
    ]),
    Table("whole processes", ("with it", "floor", "ratio"), "", [
        Row("bn version, whole process"),
        Row("bn attach, whole process", "3 ms"),
        Row("bn publish, whole process"),
        Row("bn run, whole process"),
        Row("bn network ls, whole process", shown=False),
        Row("bn rules, whole process", shown=False),
        Row("bn ps of 1,000 endpoints, whole process", "10 ms"),
        Row("bn rules of 1,000 endpoints, whole process", shown=False),
        Row("start, the library, beside libc alone"),
        Row("start, the library, beside its dependencies"),
    ]),
    Table("a connection, 10,000 ports published", ("10,000 ports", "1 port", "ratio"),
          "connect, ", [
        Row("nftables, 10,000 ports, first", "1.15", shown=False),
        Row("nftables, 10,000 ports, middle", "1.15", shown=False),
        Row("nftables, 10,000 ports, last", "1.15", label="nftables, to the last of them"),
        Row("nftables, 10,000 ports, unpublished", "1.2",
            label="nftables, to a port that is not published"),
        Row("iptables-legacy, 10,000 ports, first", "1.15", shown=False),
        Row("iptables-legacy, 10,000 ports, middle", "1.15", shown=False),
        Row("iptables-legacy, 10,000 ports, last", "1.15",
            label="iptables-legacy, to the last of them"),
        Row("iptables-legacy, 10,000 ports, unpublished", "1.2",
            label="iptables-legacy, to one that is not published"),
        Row("linear list, 10,000 ports, first", shown=False),
        Row("linear list, 10,000 ports, middle", shown=False),
        Row("linear list, 10,000 ports, last", label="a list of 10,000 DNAT rules, to the last"),
        Row("linear list, 10,000 ports, unpublished", shown=False),
    ]),
    Table("a round trip, 1,000 networks", ("1,000 networks", "1, or none", "ratio"),
          "round trip, ", [
        Row("nftables, 1,000 networks, published", label="nftables, to a published port"),
        Row("nftables, 1,000 networks, outwards", label="nftables, from an endpoint"),
        Row("nftables, 1,000 networks, others'", label="nftables, of others"),
        Row("iptables-legacy, 1,000 networks, published",
            label="iptables-legacy, to a published port"),
        Row("iptables-legacy, 1,000 networks, outwards", label="iptables-legacy, from an endpoint"),
        Row("iptables-legacy, 1,000 networks, others'", label="iptables-legacy, of others"),
    ]),
]


class Found(NamedTuple):
    """Microseconds: a tenth of the times, and half of them, were below."""

    library: tuple[float, float]
    floor: Optional[tuple[float, float]]

    def ratio(self, i: int) -> str:
        return "%.2f" % (self.library[i] / self.floor[i]) if self.floor and self.floor[i] else "-"

    def misses(self, aim: str) -> bool:
        if aim.endswith(" ms"):
            return self.library[1] > float(aim[:-3]) * 1000
        ratio = self.ratio(1)
        return bool(aim) and ratio != "-" and float(ratio) > float(aim)


def read_rows(path: str) -> dict[str, Found]:
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, *numbers = line.rstrip("\n").split("\t")
            library = float(numbers[0]), float(numbers[1])
            floor = None if numbers[2] == "-" else (float(numbers[2]), float(numbers[3]))
            if name in found:
                raise SystemExit(f"tables.py: two rows are '{name}'")
            found[name] = Found(library, floor)
    return found


def time(microseconds: float) -> str:
    value, unit = (microseconds, "us") if microseconds < 1000 else (microseconds / 1000, "ms")
    return f"{value:.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"


def print_all(found: dict[str, Found]) -> None:
    """Every row, of a table or not, with its aim."""
    aims = {}
    for table in TABLES:
        for row in table.rows:
            aims[table.start + row.name] = row.aim
            if len(table.columns) > 3 and table.start + row.name + PROGRAM in found:
                aims[table.start + row.name + PROGRAM] = ""
    aims.update((name, "") for name in found if name not in aims)
    width = max(map(len, aims))
    print(" " * width, " %21s %21s %15s %7s" % ("library", "floor", "ratio", "aim"))
    print(" " * width, " %10s %10s %10s %10s %7s %7s" % (("p10", "p50") * 3))
    for name, aim in aims.items():
        row = found.get(name)
        if not row:
            continue
        floor = tuple(map(time, row.floor)) if row.floor else ("-", "-")
        print(name.ljust(width), " %10s %10s %10s %10s %7s %7s %7s" %
              (*map(time, row.library), *floor, row.ratio(0), row.ratio(1), aim or "-"),
              "missed" if row.misses(aim) else "")
    missing = [name for name in aims if name not in found]
    if missing:
        print("not measured:", *missing, sep="\n    ")


def table_lines(table: Table, found: dict[str, Found]) -> list[str]:
    """As the README has it; nothing if nothing of it was measured."""
    cells = []
    for row in table.rows:
        one = found.get(table.start + row.name)
        if not one or not row.shown:
            continue
        cells.append([row.label or row.name.removesuffix(WHOLE), time(one.library[1]),
                      time(one.floor[1]) if one.floor else "-", one.ratio(1)])
        if len(table.columns) > 3:
            beside = found.get(table.start + row.name + PROGRAM)
            cells[-1].append(time(beside.floor[1]) if beside and beside.floor else "-")
    if not cells:
        return []
    cells.insert(0, [table.title, *table.columns])
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["    " + line[0].ljust(max(widths[0], 40)) +
            "".join("  " + cell.rjust(max(width, 10))
                    for cell, width in zip(line[1:], widths[1:])) for line in cells]


def replace(text: str, start: str, lines: list[str]) -> str:
    """The lines from the one that begins so to the next empty one."""
    text, count = re.subn(rf"^{re.escape(start)}.*?(?=\n\n)", lambda _: "\n".join(lines), text,
                          flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        print(f"the README has {count} times: {start.strip()}", file=sys.stderr)
    return text


def write_readme(path: str, machine: str, found: dict[str, Found]) -> None:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = replace(text, "Medians on ", textwrap.wrap(
        f"Medians on {machine}, the state in memory:", COLUMNS))
    for table in TABLES:
        lines = table_lines(table, found)
        if lines:
            text = replace(text, f"    {table.title}  ", lines)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(rows: str, machine: str, readme: Optional[str] = None) -> None:
    found = read_rows(rows)
    print_all(found)
    if readme:
        write_readme(readme, machine, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
