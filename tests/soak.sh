#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests/run.sh takes a part of, for as long as that, by chance and in turns:
# tests/soak.sh [-b BUILD] [-p PART]... [MINUTES], as root; 60 if nothing is said. Instead of MINUTES
# "all" has everything done once, which takes hours.
#
# The programs say what they did in lines "# figure NAME NUMBER". A run of all parts writes them to
# tests/RELIABILITY, with what came of it.
# shellcheck disable=SC2317 # functions are called by name
set -u

usage()
{
	echo "usage: tests/soak.sh [-b BUILD] [-p PART]... [MINUTES|all]" >&2
	exit 2
}

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build=$source_dir/build
chosen=()
while getopts b:p: option; do
	case $option in
	b) build=$(realpath "$OPTARG") ;;
	p) chosen+=("$OPTARG") ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
minutes=${1:-60}
[[ $# -le 1 && $minutes =~ ^([1-9][0-9]*|all)$ ]] || usage
if [ "$(id -u)" -ne 0 ]; then
	echo "tests/soak.sh: the tests make network namespaces, which takes root: run it as root" >&2
	exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# Part, its share of the time, and what it is about.
parts="
crowd	4	64 processes, and 64 threads, at anything on shared networks, some stopped or killed
claims	1	a network, an endpoint or the state wanted alone, beside 64 processes
line	1	64 processes that wait for the state
kills	5	a verb is killed
errnos	4	a system call of a verb fails
lost	3	an answer of the kernel is lost
pairs	4	a verb runs at a step of another
time	1	steps that take their time, locks that are held
damage	1	the files of the state are damaged
order	2	packets that are to be refused, while verbs run and after one was killed
run	2	bn run: any of its processes is killed
hosts	1	verbs that fail, on hosts of many kinds
fuzz	3	arbitrary bytes for all that reads
"

# What hangs is ended, which is a failure.
within=()

# in_time SECONDS COMMAND...: BN_SECONDS is for each of its cases; "" for all that there is.
in_time()
{
	if [ -n "$1" ]; then
		BN_SECONDS=$1 "${within[@]}" "${@:2}"
	else
		BN_SOAK=1 "${@:2}"
	fi
}

# program NAME SECONDS
program()
{
	in_time "$2" "$source_dir/tests/private.sh" "$build/tests/$1"
}

# Over and over for that time; once if it is all.
script()
{
	local end=$((SECONDS + ${2:-0})) runs=0 file="$source_dir/tests/kernel/$1.py"
	while :; do
		BN_SEED=$RANDOM BN_BUILD_DIR=$build in_time "${2:-}" "$source_dir/tests/private.sh" \
			python3 "$source_dir/tests/kernel/run.py" "$file" "${@:3}" || return
		runs=$((runs + 1))
		[ "$SECONDS" -lt "$end" ] || break
	done
	echo "# figure runs-of-$1 $runs"
}

# There are two cases, of which each runs with both backends.
part_crowd() { program kernel/test_crowd "${1:+$(($1 / 4))}"; }
part_claims() { program kernel/test_claims "${1:+$(($1 / 3))}"; }
part_line() { program kernel/test_line "$1"; }
part_kills() { program kernel/test_kills "${1:+$(($1 / 2))}"; }
part_errnos() { program kernel/test_errnos "$1"; }
part_lost() { program kernel/test_lost "$1"; }
part_pairs() { program kernel/test_pairs "$1"; }
part_time() { program kernel/test_time "$1"; }
part_order() { script test_order "$1"; }
part_run() { script test_run_end "$1" -k Death.*test_at_any_time; }
part_damage() { script test_state_damage "$1"; }
part_hosts() { script test_hosts "$1"; }

part_fuzz()
{
	local targets=("$source_dir"/tests/fuzz/fuzz_*.c)
	"$source_dir/tests/fuzz/run.sh" "$((${1:-3600} / ${#targets[@]} + 1))"
}

make_programs()
{
	local programs=() name
	for name in crowd claims line kills errnos lost pairs time; do
		programs+=("tests/kernel/test_$name")
	done
	make -s -C "$build" -j"$(nproc)" all "${programs[@]}" tests/kernel/faulting
}

# Those of a part with the same name together; of the longest the longest.
figures_of()
{
	awk '/^# figure / {
		if (!($3 in sum))
			order[++count] = $3
		if ($3 !~ /^longest/)
			sum[$3] += $4
		else if ($4 > sum[$3])
			sum[$3] = $4
	}
	END {
		for (i = 1; i <= count; i++)
			printf "%s %d\n", order[i], sum[order[i]]
	}' "$1"
}

write_table()
{
	local commit part share about name number
	commit=$(git -C "$source_dir" rev-parse --short=12 HEAD 2>/dev/null || echo 'not known')
	[ -z "$(git -C "$source_dir" status --porcelain -uno 2>/dev/null)" ] || commit+=" with changes"
	echo "What tests/soak.sh did, and what came of it. Written by it: don't edit."
	echo
	echo "date       $(date -u '+%Y-%m-%d %H:%M') UTC"
	echo "commit     $commit"
	echo "kernel     $(uname -s) $(uname -r | cut -d. -f1,2), $(nproc) processors"
	echo "asked for  $([ "$minutes" = all ] && echo everything || echo "$minutes minutes")"
	echo "took       $(((SECONDS + 59) / 60)) minutes"
	echo "verdict    $1"
	while IFS=$'\t' read -r part share about; do
		[ -e "$work/$part.log" ] || continue
		printf '\n%-9s %s: %s\n' "$part" "$about" "$(cat "$work/$part.verdict")"
		figures_of "$work/$part.log" | while read -r name number; do
			printf "%15s  %s\n" "$(sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta' \
				<<<"$number")" "${name//-/ }"
		done
	done <<<"$parts"
}

is_chosen()
{
	local name
	[ ${#chosen[@]} -gt 0 ] || return 0
	for name in "${chosen[@]}"; do
		[ "$name" != "$1" ] || return 0
	done
	return 1
}

total=0 failed=0
while IFS=$'\t' read -r part share _; do
	[ -n "$part" ] || continue
	! is_chosen "$part" || total=$((total + share))
done <<<"$parts"
[ "$total" -gt 0 ] || usage
make_programs || exit 1

while IFS=$'\t' read -r part share about <&3; do
	if [ -z "$part" ] || ! is_chosen "$part"; then
		continue
	fi
	begun=$SECONDS seconds=
	if [ "$minutes" != all ]; then
		seconds=$((minutes * 60 * share / total))
		within=(timeout --kill-after=10 $((seconds * 3 + 300)))
	fi
	echo "== $part: $about${seconds:+, $seconds s}"
	if "part_$part" "$seconds" >"$work/$part.log" 2>&1; then
		verdict="nothing lost"
	else
		verdict="FAILED" failed=$((failed + 1))
		grep -vE '^# figure ' "$work/$part.log" | grep -A12 -E 'FAULT|FAIL|ERROR|Error|rror:' |
			head -n 100
	fi
	echo "$verdict" >"$work/$part.verdict"
	figures_of "$work/$part.log" | sed 's/^/   /'
	echo "   $verdict, after $((SECONDS - begun)) s"
done 3<<<"$parts"

verdict="nothing lost"
[ "$failed" -eq 0 ] || verdict="$failed parts FAILED"
[ ${#chosen[@]} -gt 0 ] || write_table "$verdict" >"$source_dir/tests/RELIABILITY"
echo "tests/soak.sh: $verdict"
[ "$failed" -eq 0 ]
