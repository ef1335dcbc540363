#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Feed arbitrary bytes to what reads texts, the kernel's answers and the entries of its tables:
# tests/fuzz/run.sh [SECONDS [TARGET]...]; SECONDS are those of each target.
# With "seeds" instead of a number the seeds of the entries in corpus/ are made again; "replies" are
# what the kernel that runs says of namespaces of their own, and with BN_BUILD_DIR of a network.
# shellcheck disable=SC2317 # functions are called by name
set -u

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
BN_CASES= # each case needs those before it
seconds=${1:-10}
shift $(($# > 0))
targets=("$@")
[ $# -gt 0 ] || targets=(entry text replies)
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
	replies) echo "$source_dir"/lib/link/*.c "$source_dir"/lib/firewall/{*,nft/*}.c ;;
	esac
}

# build TARGET OUTPUT OPTION...
build()
{
	local sources replies=()
	[ "$1" != replies ] || replies=(-DHAVE_NFTABLES=1 "-Wl,--wrap=sendmsg,--wrap=recvmsg" -lnftnl
		-lnl-3 -lpthread)
	read -ra sources <<<"$(sources_of "$1" | tr '\n' ' ')"
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -DBN_TESTING -fno-sanitize-recover=all "${@:3}" \
		-I"$source_dir/lib" -I"$source_dir/include" -I/usr/include/libnl3 \
		"${sources[@]}" -lmnl "${replies[@]}" -o "$2"
}

# What stands in the kernel when it is asked.
ask_kernel()
{
	[ -z "${BN_BUILD_DIR:-}" ] || {
		ip netns add web
		"$BN_BUILD_DIR/bn" --backend nftables network create front --subnet 172.17.0.0/16 \
			--subnet fd00:17::/64
		"$BN_BUILD_DIR/bn" attach front web --netns /run/netns/web -p 8000-8001:80-81
	}
	"$@"
}

make_seeds()
{
	build "$1" "$work/seeds" -fsanitize=address,undefined -DSEEDS &&
		rm -f "$source_dir/tests/fuzz/corpus/${seeds[$1]}"-* || return
	[ "$1" = replies ] || { "$work/seeds" "$source_dir/tests/fuzz/corpus"; return; }
	export -f ask_kernel
	"$source_dir/tests/private.sh" bash -c 'ask_kernel "$@"' bash "$work/seeds" \
		"$source_dir/tests/fuzz/corpus"
}

declare -A seeds=([entry]=rule [text]=text [replies]=reply)
declare -A longest=([entry]=1200 [text]=2000 [replies]=16384)

# What it finds goes with the directory, so the input is shown.
fuzz()
{
	local private=()
	# the library looks at more than what is received
	[ "$1" != replies ] || private=("$source_dir/tests/private.sh")
	mkdir -p "$work/corpus_$1" "$work/found_$1"
	cp "$source_dir/tests/fuzz/corpus/${seeds[$1]}"-* "$work/corpus_$1"
	"${private[@]}" "$work/fuzz_$1" -max_total_time="$seconds" \
		-max_len="${longest[$1]}" -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$work/found_$1/" "$work/corpus_$1" \
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
	for target in "${targets[@]}"; do
		[ "$target" = text ] || check "fuzz seeds $target" make_seeds "$target"
	done
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
