#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Feed arbitrary bytes to what reads texts, and entries of the kernel:
# tests/fuzz/run.sh [SECONDS [TARGET]...]; SECONDS are those of each target.
# With "seeds" instead of a number the seeds of the entries in corpus/ are made again.
# shellcheck disable=SC2317 # functions are called by name
set -u

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
BN_CASES= # each case needs those before it
seconds=${1:-10}
shift $(($# > 0))
targets=("$@")
[ $# -gt 0 ] || targets=(entry text)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Only what the readers need: all of it with the sanitizers and the fuzzer's counters.
sources_of()
{
	echo "$source_dir"/lib/base/*.c "$source_dir"/lib/model/*.c "$source_dir/tests/fuzz/fuzz_$1.c"
	case $1 in
	entry)
		echo "$source_dir"/lib/firewall/{firewall,iptables/{decode,encode,extension,place}}.c
		;;
	esac
}

# build TARGET OUTPUT OPTION...
build()
{
	local sources
	read -ra sources <<<"$(sources_of "$1" | tr '\n' ' ')"
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -DBN_TESTING -fno-sanitize-recover=all "${@:3}" \
		-I"$source_dir/lib" -I"$source_dir/include" "${sources[@]}" -lmnl -o "$2"
}

make_seeds()
{
	build entry "$work/seeds" -fsanitize=address,undefined -DSEEDS &&
		rm -f "$source_dir"/tests/fuzz/corpus/rule-* &&
		"$work/seeds" "$source_dir/tests/fuzz/corpus"
}

declare -A seeds=([entry]=rule [text]=text)
declare -A longest=([entry]=1200 [text]=2000)

# What it finds goes with the directory, so the input is shown.
fuzz()
{
	mkdir -p "$work/corpus_$1" "$work/found_$1"
	cp "$source_dir/tests/fuzz/corpus/${seeds[$1]}"-* "$work/corpus_$1"
	"$work/fuzz_$1" -max_total_time="$seconds" -max_len="${longest[$1]}" -timeout=10 \
		-print_final_stats=1 -artifact_prefix="$work/found_$1/" "$work/corpus_$1" \
		>"$work/log_$1" 2>&1 && return
	grep -vE '^(#|INFO|NEW_FUNC)' "$work/log_$1" | head -n 60
	find "$work/found_$1" -type f -exec gzip -c {} \; | base64
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
for target in "${targets[@]}"; do
	check "fuzz $target build" build "$target" "$work/fuzz_$target" \
		-fsanitize=fuzzer,address,undefined
	[ "$cases_failed" -ne 0 ] || check "fuzz $target" fuzz "$target"
	[ ! -f "$work/log_$target" ] ||
		echo "# figure fuzz-$target $(sed -n 's/^stat::number_of_executed_units: *//p' \
			"$work/log_$target")"
done
exit "$cases_failed"
