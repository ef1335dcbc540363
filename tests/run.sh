#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test: sudo tests/run.sh [-k PATTERN]
# -k runs only the groups whose name matches the extended regular expression. The builds are kept in
# build/ and build-devel/, or below BN_BUILD_ROOT.
set -u

usage()
{
	echo "usage: tests/run.sh [-k PATTERN]" >&2
	exit 2
}

pattern=
while getopts k: option; do
	case $option in
	k) pattern=$OPTARG ;;
	*) usage ;;
	esac
done
[ $OPTIND -gt $# ] || usage
if [ "$(id -u)" -ne 0 ]; then
	echo "tests/run.sh: needs root, for network namespaces" >&2
	exit 1
fi

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_root=${BN_BUILD_ROOT:-$source_dir}
build=$build_root/build
devel=$build_root/build-devel
work=$(mktemp -d)
passed=0 failed=0 skipped=0

finish()
{
	trap - EXIT
	jobs -p | xargs -r kill 2>/dev/null
	rm -rf "$work"
	local line="$passed passed, $failed failed"
	[ "$skipped" -eq 0 ] || line+=", $skipped skipped"
	echo "$line"
	[ "$failed" -eq 0 ] || exit 1
	[ "$passed" -gt 0 ] || exit 1
	[ "$skipped" -eq 0 ] || [ "${CI:-}" != true ] || exit 1
	exit 0
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

wanted()
{
	[ -z "$pattern" ] || grep -qE -e "$pattern" <<<"$1"
}

# Turn the output of cmocka (TAP) or of our own scripts into lines of the form
# "ok NAME", "not ok NAME", "skipped NAME: why", with GROUP/ before the name.
lines()
{
	sed -nE -e "s|^(not )?ok [0-9]+ # SKIP (.*)|skipped $1/\2: it says so|p;t" \
		-e "s|^((not )?ok) [0-9]+ - (.*)|\1 $1/\3|p;t" \
		-e "s/^(ok|not ok|skipped) ([^0-9 ].*)/\1 ${1//\//\\/}\/\2/p"
}

# group NAME COMMAND...: run a program that reports cases, and count them.
group()
{
	local name=$1 log status=0 line before=$failed reported=0
	shift
	wanted "$name" || return 0
	log=$work/${name//\//-}.log
	CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=10 "${limit:-300}" "$@" >"$log" 2>&1 || status=$?
	while IFS= read -r line; do
		reported=1
		case $line in
		ok*) passed=$((passed + 1)) ;;
		not*) failed=$((failed + 1)) ;;
		skipped*) skipped=$((skipped + 1)) ;;
		esac
		echo "$line"
	done < <(lines "$name" <"$log")
	if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
		failed=$((failed + 1))
		echo "not ok $name: exit status $status"
	elif [ "$reported" -eq 0 ]; then
		failed=$((failed + 1))
		echo "not ok $name: reports no case"
	fi
	[ "$failed" -eq "$before" ] || grep -v "^ok " "$log" | sed "s/^/    | /"
}

# The names of the test programs of a folder.
programs()
{
	find "$source_dir/tests/$1" -name 'test_*.c' -printf '%f\n' | sed 's/\.c$//' | sort
}

# ---- Packages and builds ----

"$source_dir/tests/packages.sh" build quickstart test || { failed=1; echo "not ok packages"; exit 1; }

# No -k leaves the builds out.
build_into()
{
	local log=$work/build.log name=${1##*/}
	if "$source_dir/tests/build.sh" "$@" >"$log" 2>&1 &&
		make -s -C "$1" -j"$(nproc)" check TESTS= >>"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		echo "not ok $name"
		sed "s/^/    | /" "$log"
	fi
}
build_into "$build"
build_into "$devel" --enable-devel CFLAGS="-O1 -g"
[ "$failed" -eq 0 ] || exit 1

export BN_BUILD_DIR=$build BN_SOURCE_DIR=$source_dir
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

# ---- What needs no kernel ----

group header "$source_dir/tests/abi/check-header.sh"
group layers "$source_dir/tests/abi/check-layers.sh"
group symbols "$source_dir/tests/abi/check-symbols.sh" "$build"
group manual "$source_dir/tests/abi/check-manual.sh"
group scripts "$source_dir/tests/abi/check-scripts.sh"

for kind in unit golden; do
	for test in $(programs $kind); do
		group "$kind/$test" "$build/tests/$kind/$test"
		group "$kind-sanitized/$test" "$devel/tests/$kind/$test"
		group "$kind-valgrind/$test" valgrind -q --leak-check=full \
			--errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 \
			--suppressions="$source_dir/tests/valgrind.supp" \
			"$build/tests/$kind/$test"
	done
done

# ---- The kernel ----

# kernel_groups MODE BUILD: the kernel tests of a build.
kernel_groups()
{
	local mode=$1 directory=$2 test name
	for test in $(programs kernel); do
		BN_BUILD_DIR=$directory group "$mode/$test" "$source_dir/tests/private.sh" \
			"$directory/tests/kernel/$test"
	done
	for test in "$source_dir"/tests/kernel/test_*.py; do
		name=${test##*/}
		BN_BUILD_DIR=$directory group "$mode/${name%.py}" "$source_dir/tests/private.sh" \
			python3 "$source_dir/tests/kernel/run.py" "$test"
	done
}

# They wait for the kernel more than they compute, so those of the two builds run side by side; what
# the second says is held back, and counted, when both are done.
limit=600
(trap - EXIT; kernel_groups kernel-sanitized "$devel") >"$work/sanitized" 2>&1 &
kernel_groups kernel "$build"
wait $!
limit=
cat "$work/sanitized"
passed=$((passed + $(grep -c '^ok ' "$work/sanitized")))
failed=$((failed + $(grep -c '^not ok ' "$work/sanitized")))
skipped=$((skipped + $(grep -c '^skipped ' "$work/sanitized")))
group kernel-valgrind "$source_dir/tests/private.sh" "$source_dir/tests/kernel/valgrind.sh"

group fuzz "$source_dir/tests/fuzz/run.sh" 20

# ---- Those who use the library ----

group bindings "$source_dir/tests/private.sh" python3 "$source_dir/tests/kernel/run.py" \
	"$source_dir/tests/bindings/test_ctypes.py"
group pkg-config "$source_dir/tests/private.sh" "$source_dir/tests/bindings/pkg-config.sh"
group build-options "$source_dir/tests/abi/check-options.sh"
