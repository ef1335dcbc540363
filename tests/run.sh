#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test: tests/run.sh [-k PATTERN], as root
# -k runs only what has a name that matches the extended regular expression: groups, and single cases
# by the names that they are reported with. What runs twice, with sanitizers or under valgrind, does
# so if the pattern says "sanitized", "races" or "valgrind". The builds are kept in build/, build-devel/
# and build-races/, or below BN_BUILD_ROOT; with -k they are made when they are not there, packages and all, and otherwise
# brought up to date in what the cases need.
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
grep -qE -e "$pattern" </dev/null
[ $? -lt 2 ] || usage
if [ "$(id -u)" -ne 0 ]; then
	echo "tests/run.sh: the tests make network namespaces, which takes root: run it as root" >&2
	exit 1
fi

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_root=${BN_BUILD_ROOT:-$source_dir}
build=$build_root/build
devel=$build_root/build-devel
races=$build_root/build-races
work=$(mktemp -d)
passed=0 failed=0 skipped=0
limit=900 # seconds that a group may take

finish()
{
	trap - EXIT
	jobs -p | xargs -r kill 2>/dev/null
	rm -rf "$work"
	[ -z "$pattern" ] || [ $((passed + failed + skipped)) -gt 0 ] ||
		echo "tests/run.sh: nothing has a name that matches '$pattern'" >&2
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

# The names of the cases of a file of tests/, as far as it has them word by word.
cases_of()
{
	case $1 in
	*.c) grep -oE '\(test_[a-z0-9_]+[,)]' "$source_dir/tests/$1" | tr -d '(,)' ;;
	*.py) grep "^$(basename "$1" .py)\." <<<"$python_cases" ;;
	*.sh) sed -nE 's/^[[:space:]]*check ([a-z0-9-]+) .*/\1/p' "$source_dir/tests/$1" ;;
	esac
}

# wanted NAME FILE: is the group, or a case of its file? BN_CASES is the pattern of the cases, or empty
# for all of them.
wanted()
{
	local word
	export BN_CASES=
	[ -n "$pattern" ] || return 0
	for word in sanitized races valgrind; do
		[[ $1 != *$word* ]] || [[ $pattern == *$word* ]] || return 1
	done
	grep -qE -e "$pattern" <<<"$1" && return
	case $pattern in
	"$1"/*) BN_CASES=${pattern#"$1"/} ;;
	*) BN_CASES=$(cases_of "$2" | sed "s|^|$1/|" | grep -E -e "$pattern" |
		sed 's|.*/||; s|.*|^&$|' | paste -sd '|') ;;
	esac
	[ -n "$BN_CASES" ]
}

# Turn the output of cmocka (TAP) or of our own scripts into lines of the form
# "ok NAME", "not ok NAME", "skipped NAME: why", with GROUP/ before the name.
lines()
{
	sed -nE -e "s|^(not )?ok [0-9]+ # SKIP (.*)|skipped $1/\2: it says so|p;t" \
		-e "s|^((not )?ok) [0-9]+ - (.*)|\1 $1/\3|p;t" \
		-e "s/^(ok|not ok|skipped) ([^0-9 ].*)/\1 ${1//\//\\/}\/\2/p"
}

# group NAME FILE [WRAPPER...]: run a program or script of tests/ that reports cases, and count them.
group()
{
	local name=$1 file=$2 log status=0 line before=$failed reported=0 begun=$SECONDS
	wanted "$name" "$file" || return 0
	shift 2
	log=$work/${name//\//-}.log
	case $file in
	*.c)
		set -- "$@" "$BN_BUILD_DIR/tests/${file%.c}"
		[ -z "$pattern" ] || make_in "$BN_BUILD_DIR" "tests/${file%.c}" || return 0
		;;
	*.py)
		[[ -z $pattern || $file != kernel/test_hosts.py ]] ||
			make_in "$BN_BUILD_DIR" tests/kernel/faulting || return 0
		set -- "$@" python3 "$source_dir/tests/kernel/run.py" "$source_dir/tests/$file"
		;;
	*.sh) set -- "$@" "$source_dir/tests/$file" ;;
	esac
	CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 || status=$?
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
	[ $((SECONDS - begun)) -lt 20 ] || echo "# $name took $((SECONDS - begun)) s"
}

# The test programs of a folder, and its tests in Python.
programs()
{
	(cd "$source_dir/tests" && printf '%s\n' "$1"/test_*.c)
}

scripts()
{
	(cd "$source_dir/tests" && printf '%s\n' "$1"/test_*.py)
}

# ---- Packages and builds ----

# step NAME COMMAND...: what it says is shown if it fails.
step()
{
	local log
	log=$(mktemp -p "$work")
	"${@:2}" >"$log" 2>&1 && return
	failed=$((failed + 1))
	echo "not ok $1"
	sed "s/^/    | /" "$log"
	return 1
}

# make_in DIRECTORY TARGET...
make_in()
{
	step "${1##*/}" flock "$work/${1##*/}.lock" make -s -C "$1" -j"$(nproc)" "${@:2}"
}

# build_into DIRECTORY [CONFIGURE-OPTION]...: with -k what is there is only brought up to date, and
# the test programs are left to those who run them. The benchmarks are made from the tarball.
build_into()
{
	if [ -n "$pattern" ] && [ -f "$1/Makefile" ]; then
		make_in "$1" all
	elif step "${1##*/}" "$source_dir/tests/build.sh" "$@"; then
		[ -z "$pattern" ] || return 0
		make_in "$1" test-programs || return
		passed=$((passed + 1))
		echo "ok ${1##*/}"
	else
		return 1
	fi
}

# Of the build that looks for races between threads only what they are in.
build_races()
{
	local in_threads="tests/kernel/test_deadline tests/kernel/test_threads"
	step "${races##*/}" env BN_TARGETS="$in_threads" "$source_dir/tests/build.sh" "$races" \
		--disable-static --disable-bn CFLAGS="-O1 -g -fsanitize=thread" &&
		echo "ok ${races##*/}"
}

[ -n "$pattern" ] && [ -f "$build/Makefile" ] ||
	"$source_dir/tests/packages.sh" build quickstart test ||
	{ failed=1; echo "not ok packages"; exit 1; }
build_into "$build" || exit 1

export BN_BUILD_DIR=$build
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
if [ -n "$pattern" ]; then
	python_cases=$(cd "$source_dir/tests" &&
		BN_CASES='' python3 kernel/run.py --list kernel/test_*.py bindings/test_*.py) ||
		{ failed=1; exit 1; }
fi

# ---- Many at once ----

# The kernel's tests wait more than they compute, so there are more at once than processors.
workers=$(($(nproc) + 2))
queue=()

# job COMMAND...: to be run beside others; what it says is held back until it ends.
job()
{
	queue+=("$(printf '%q ' "$@")")
}

# made DIRECTORY COMMAND...: makes another build, for which those wait that are of it.
made()
{
	if "${@:2}"; then
		touch "$work/${1##*/}.made"
	else
		touch "$work/${1##*/}.failed"
	fi
}

# of DIRECTORY COMMAND...: with that build, once it is there. What -k does not name is not made.
of()
{
	[[ $1 == "$build" || ${queue[*]} == *"made $1 "* ]] || return 0
	until [ "$1" = "$build" ] || [ -e "$work/${1##*/}.made" ]; do
		[ ! -e "$work/${1##*/}.failed" ] || { echo "# not run: ${*:2}"; return; }
		sleep 0.2
	done
	BN_BUILD_DIR=$1 "${@:2}"
}

# The number of the next of the queue, until there is none.
take()
{
	local number
	exec 9>"$work/queue.lock"
	flock 9
	read -r number <"$work/next"
	echo $((number + 1)) >"$work/next"
	[ "$number" -lt ${#queue[@]} ] && echo "$number"
}

work_off()
{
	local number
	while number=$(take); do
		(eval "${queue[number]}") >"$work/said.$number" 2>&1
		[ -n "$pattern" ] || [ -s "$work/said.$number" ] ||
			echo "not ok ${queue[number]}: says nothing" >"$work/said.$number"
		(
			flock 9
			tee -a "$work/results" <"$work/said.$number"
		) 9>"$work/results.lock"
	done
}

# passes_alone NUMBER CASE: does that case of the queue pass, three times in a row?
passes_alone()
{
	local pattern=$2
	for _ in 1 2 3; do
		(eval "${queue[$1]}") >"$work/again" 2>&1
		grep -qxF "ok $2" "$work/again" && ! grep -q '^not ok ' "$work/again" || return
	done
}

# Hundreds of cases wait for packets, and now and then one of them was late because much else ran. Up
# to three are asked again when all is quiet, and it is said that they were; with more, or with what
# finds faults that come by chance, once is a fault.
ask_again()
{
	local number name test
	[ -z "$pattern" ] && [ "$(grep -c '^not ok ' "$work/results")" -le 3 ] || return
	for number in "${!queue[@]}"; do
		while read -r name; do
			test=${name#*/}
			has "$by_chance" "${test%%/*}" && continue
			passes_alone "$number" "$name" || continue
			sed -i "s|^not ok $name\$|ok $name|" "$work/results"
			echo "# late: $name failed beside others, and passed three times alone"
		done < <(sed -nE 's/^not ok (kernel(-sanitized)?\/[^ ]+\/[^ ]+)$/\1/p' \
			"$work/said.$number")
	done
}

# Those that take longest begin first, so that what is left at the end is short.
run_queue()
{
	local number
	echo 0 >"$work/next"
	: >"$work/results"
	for ((number = 0; number < workers; number++)); do
		(trap - EXIT; work_off) &
	done
	wait
	ask_again
	passed=$((passed + $(grep -c '^ok ' "$work/results")))
	failed=$((failed + $(grep -c '^not ok ' "$work/results")))
	skipped=$((skipped + $(grep -c '^skipped ' "$work/results")))
}

# is_turn NUMBER COUNT: of what takes turns over that many days; with -k it is always.
day=$(($(date +%s) / 86400))
is_turn()
{
	[ -n "$pattern" ] || [ $(((day + $1) % $2)) -eq 0 ]
}
[ -z "$pattern" ] || export BN_EACH_DAY=1

# has LIST WORD
has()
{
	[[ $1 == *[[:space:]]$2[[:space:]]* ]]
}

# ---- What needs no kernel ----

checks()
{
	local name
	for name in manual format scripts header layers symbols attacks scenarios; do
		job group $name abi/check-$name.sh
	done
}

# Under valgrind, which finds what is not initialized and takes fifty times as long, a third each day.
models()
{
	local kind file test number=0
	for kind in unit golden; do
		for file in $(programs $kind); do
			test=${file#*/} test=${test%.c} number=$((number + 1))
			job of "$build" group "$kind/$test" "$file"
			job of "$devel" group "$kind-sanitized/$test" "$file"
			# its thousands of ports are the same again and again
			[ -z "$pattern" ] && [ "$test" = test_store_ports ] && continue
			is_turn $number 3 || continue
			job of "$build" group "$kind-valgrind/$test" "$file" valgrind -q --leak-check=full \
				--errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 \
				--suppressions="$source_dir/tests/valgrind.supp"
		done
	done
}

# ---- The kernel ----

private=$source_dir/tests/private.sh

# What these ask is what packets meet, what is left of the killed, or how long something takes: the
# same with sanitizers, which they need not be run with.
without_sanitizers=" test_adopted test_answers test_bandwidth test_check_endpoints \
	test_check_host test_check_legacy test_check_ports test_check_rules test_claims test_coexist \
	test_crash \
	test_crowd test_damage test_endpoint test_errnos test_files test_foreign_forward \
	test_forwarding test_gateway test_guard test_host_access test_host_subnet test_hosts \
	test_kills test_lacking test_layer2 test_line test_link_local test_listeners \
	test_log_drops test_managed test_nat_order test_order test_pairs test_policies \
	test_port_interface test_port_lists test_restart test_right_sources test_routed test_connections test_segments \
	test_source_ports test_sources test_state_damage test_translation test_update \
	test_ways "

# Each of these takes minutes, or nearly.
long=" test_check_strays test_damage test_errnos test_fault test_iptables_repair test_kills \
	test_link_shape test_lost test_pairs test_run test_time test_together test_undo test_watch "

# What is killed or fails at any step, and what meets another call at any of its steps.
by_chance=" test_claims test_crash test_crowd test_damage test_errnos test_fault test_guard test_kills \
	test_line test_lost test_memory test_order test_pairs test_run_end test_state_damage test_threads \
	test_time test_together "

# All but those above run with one build: with sanitizers today, without tomorrow. With -k they run
# without, and with them if the pattern says so. kernel_groups long: those that take long;
# kernel_groups short: others.
kernel_groups()
{
	local file name plain=() sanitized=() number=0
	for file in $(programs kernel) $(scripts kernel); do
		name=${file#*/} name=${name%.*} number=$((number + 1))
		if has "$long" "$name"; then
			[ "$1" = long ] || continue
		else
			[ "$1" = short ] || continue
		fi
		if has "$without_sanitizers" "$name"; then
			plain+=("$file")
		elif [ -n "$pattern" ]; then
			plain+=("$file") sanitized+=("$file")
		elif is_turn $number 2; then
			sanitized+=("$file")
		else
			plain+=("$file")
		fi
	done
	for file in "${plain[@]}"; do
		name=${file#*/}
		job of "$build" group "kernel/${name%.*}" "$file" "$private"
	done
	for file in "${sanitized[@]}"; do
		name=${file#*/}
		job of "$devel" group "kernel-sanitized/${name%.*}" "$file" "$private"
	done
}

# ---- All ----

# With -k those builds are made that the pattern has the word of.
[[ -n $pattern && $pattern != *sanitized* ]] ||
	job made "$devel" build_into "$devel" --enable-devel CFLAGS="-O1 -g"
job limit=1800 group build-options abi/check-options.sh
kernel_groups long
[[ -n $pattern && $pattern != *races* ]] || job made "$races" build_races
job group fuzz fuzz/run.sh
job group bindings bindings/test_ctypes.py "$private"
kernel_groups short
job group kernel-valgrind kernel/valgrind.sh "$private"
job group pkg-config bindings/pkg-config.sh "$private"
# A signal comes late there, which is what the other cases of the deadline measure.
job of "$races" group kernel-races/test_deadline kernel/test_deadline.c "$private" \
	env BN_CASES='cancelled_while_waiting|two_threads_in_one_context'
job of "$races" group kernel-races/test_threads kernel/test_threads.c "$private"
models
checks
run_queue
