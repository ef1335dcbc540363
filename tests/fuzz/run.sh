#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Feed arbitrary bytes to what reads entries of the kernel: tests/fuzz/run.sh [SECONDS]
# With "seeds" instead of a number the seeds in corpus/ are made again.
# shellcheck disable=SC2317 # functions are called by name
set -u

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
BN_CASES= # each case needs those before it
seconds=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Only what the readers need: all of it with the sanitizers and the fuzzer's counters.
sources=("$source_dir"/lib/base/*.c "$source_dir"/lib/model/*.c
	"$source_dir"/lib/firewall/iptables/{decode,encode,extension,place}.c
	"$source_dir/lib/firewall/firewall.c" "$source_dir/tests/fuzz/fuzz_entry.c")

build()
{
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -DBN_TESTING -fno-sanitize-recover=all "$@" \
		-I"$source_dir/lib" -I"$source_dir/include" "${sources[@]}" -lmnl
}

make_seeds()
{
	build -fsanitize=address,undefined -DSEEDS -o "$work/seeds" &&
		rm -f "$source_dir"/tests/fuzz/corpus/rule-* &&
		"$work/seeds" "$source_dir/tests/fuzz/corpus"
}

# What it finds goes with the directory, so the input is shown.
fuzz()
{
	mkdir -p "$work/corpus" "$work/found"
	"$work/fuzz_entry" -max_total_time="$seconds" -max_len=1200 -timeout=10 \
		-print_final_stats=1 -artifact_prefix="$work/found/" \
		"$work/corpus" "$source_dir/tests/fuzz/corpus" >"$work/log" 2>&1 && return
	tail -n 60 "$work/log"
	find "$work/found" -type f -exec base64 {} +
	return 1
}

if ! have clang; then
	skip "fuzz entry" "there is no clang"
	exit 0
fi
if [ "$seconds" = seeds ]; then
	check "fuzz seeds" make_seeds
	exit "$cases_failed"
fi
check "fuzz entry build" build -fsanitize=fuzzer,address,undefined -o "$work/fuzz_entry"
[ "$cases_failed" -ne 0 ] || check "fuzz entry" fuzz
[ -z "${BN_FUZZ_LOG:-}" ] || cp "$work/log" "$BN_FUZZ_LOG"
exit "$cases_failed"
