#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What linking the library adds to the start of a program that does nothing, against one with libc
# alone and one with the bare dependencies: tests/bench/start.sh [BUILD-DIRECTORY [ROUNDS]]
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
build_dir=$(cd "${1:-$source_dir/build}" && pwd)
rounds=${2:-400}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

gcc -O2 -o "$work/start" "$source_dir/tests/bench/start.c"
echo 'int main(void) { return 0; }' >"$work/nothing.c"
# link NAME LIBRARY...
link()
{
	local name=$1
	shift
	gcc -O2 -o "$work/$name" "$work/nothing.c" -Wl,--no-as-needed "$@"
}
link libc
mapfile -t needed < <(readelf -d "$build_dir/.libs/libbridgenet.so" |
	sed -nE 's/.*NEEDED.*\[(lib.*)\]/-l:\1/p' | grep -v 'libc\.so')
link bare "${needed[@]}"
link bridgenet "-L$build_dir/.libs" "-Wl,-rpath,$build_dir/.libs" -lbridgenet

times=$("$work/start" "$rounds" "$work/libc" "$work/bare" "$work/bridgenet")
# The rows are those that bench_row() of bench.h writes.
awk -v rows="${BN_BENCH_ROWS-}" '
	{ low[NR] = $1; median[NR] = $2 }
	END {
		printf "libc alone         %5d us\n", median[1]
		printf "bare dependencies  %5d us  %.2f\n", median[2], median[2] / median[1]
		printf "libbridgenet       %5d us  %.2f\n", median[3], median[3] / median[1]
		if (rows == "")
			exit
		row = "%s\t%.2f\t%.2f\t%.2f\t%.2f\n"
		printf row, "start, the library, beside libc alone",
			low[3], median[3], low[1], median[1] >>rows
		printf row, "start, the library, beside its dependencies",
			low[3], median[3], low[2], median[2] >>rows
	}' <<<"$times"
