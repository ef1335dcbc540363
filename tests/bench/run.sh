#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every benchmark, and a table of what they found: tests/bench/run.sh [--write-readme], as root
# Builds in build/, or BN_BUILD_DIR, and takes some minutes; each runs in namespaces of its own, and
# the machine's own network is not changed. The README gets its tables from what was found. Nothing
# fails for being slow.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
build_dir=${BN_BUILD_DIR:-$source_dir/build}
failed=0
readme=

usage()
{
	echo "usage: tests/bench/run.sh [--write-readme]" >&2
	exit 2
}

case $#:${1-} in
0:) ;;
1:--write-readme) readme=$source_dir/README ;;
*) usage ;;
esac
if [ "$(id -u)" -ne 0 ]; then
	echo "tests/bench/run.sh: it makes network namespaces, which takes root: run it as root" >&2
	exit 1
fi

work=$(mktemp -d)
# shellcheck disable=SC2317 # the trap calls it
finish()
{
	jobs -p | xargs -r kill 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# What the figures depend on, in the README's words.
machine()
{
	local number=(no one two three four five six seven eight)
	local cores what='a machine'
	cores=$(nproc)
	! grep -qw hypervisor /proc/cpuinfo || what='a virtual machine'
	echo "${number[cores]:-$cores} core$([ "$cores" -eq 1 ] || echo s) of $what," \
		"Linux $(uname -r | cut -d. -f1,2), $(buckets) buckets of connections"
}

# A filtered walk over the connections takes the longer the more there are. The kernel shows it as
# soon as it tracks any.
buckets()
{
	sed -E ':a; s/([0-9])([0-9]{3})(,|$)/\1,\2\3/; ta' \
		/proc/sys/net/netfilter/nf_conntrack_buckets 2>/dev/null || echo '?'
}

load()
{
	echo "load $1: $(cut -d' ' -f1-3 /proc/loadavg), $(date -u '+%F %T UTC')"
}

# bench SECONDS COMMAND...: at most so long. Its files in memory go with it, too.
bench()
{
	local begun=$SECONDS seconds=$1
	shift
	echo "== ${*##*/}"
	# shellcheck disable=SC2016 # for the shell inside
	timeout --kill-after=5 "$seconds" "$source_dir/tests/private.sh" \
		bash -c 'mount -t tmpfs tmpfs /dev/shm && "$@"' bash "$@" </dev/null &
	if ! wait $!; then
		echo "tests/bench/run.sh: ${*##*/} failed" >&2
		failed=1
	fi
	echo "-- $((SECONDS - begun)) s"
}

programs=(endpoint many publish repair watch datapath networks process)
for name in crowd parallel; do
	[ ! -e "$source_dir/tests/bench/$name.c" ] || programs+=("$name")
done

echo "== building in $build_dir"
if ! { "$source_dir/tests/packages.sh" quickstart && "$source_dir/tests/build.sh" "$build_dir" &&
	make -s -C "$build_dir" "${programs[@]/#/tests/bench/}"; } >"$work/log" 2>&1; then
	cat "$work/log" >&2
	exit 1
fi
build_dir=$(cd "$build_dir" && pwd)

export BN_BENCH_ROWS=$work/rows BN_BUILD_DIR=$build_dir BN_SOURCE_DIR=$source_dir
uname -srm
load before
bench 60 "$source_dir/tests/bench/start.sh" "$build_dir"
for name in "${programs[@]}"; do
	set --
	case $name in
	# Not both at once: the kernel has one table of neighbours for all namespaces, with room for
	# those of some thousand bridges.
	networks)
		bench 300 "$build_dir/tests/bench/networks" nftables
		set -- iptables-legacy
		;;
	process) set -- "$build_dir/.libs/bn" ;;
	esac
	bench 300 "$build_dir/tests/bench/$name" "$@"
done

echo
machine
load after
echo
[ $failed -eq 0 ] || readme=
"$source_dir/tests/bench/tables.py" "$BN_BENCH_ROWS" "$(machine)" ${readme:+"$readme"}
exit $failed
