#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What linking the library adds to the start of a program that does nothing, against one with libc
# alone and one with the bare dependencies: tests/bench/start.sh [BUILD-DIRECTORY [ROUNDS]]
# Fails if it is more than 2.2 times libc alone.
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

mapfile -t times < <("$work/start" "$rounds" "$work/libc" "$work/bare" "$work/bridgenet")
[ ${#times[@]} -eq 3 ]
awk -v libc="${times[0]}" -v bare="${times[1]}" -v library="${times[2]}" 'BEGIN {
	printf "libc alone         %5d us\n", libc
	printf "bare dependencies  %5d us  %.2f\n", bare, bare / libc
	printf "libbridgenet       %5d us  %.2f\n", library, library / libc
	exit library / libc > 2.2
}'
