#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Readers of the source that look for faults: tests/lint.sh
# Each is told to be silent about what it can't see: none of them follows a vector through its macros,
# or frees what __attribute__((cleanup)) frees; cppcheck stumbles over statements in parentheses.
# shellcheck disable=SC2317 # functions are called by name
set -u

source_dir=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir" || exit 1

includes=(-std=gnu11 -D_GNU_SOURCE -DPACKAGE_VERSION='"0"' -DDEFAULT_STATE_DIR='"/run"'
	-DBN_VERSION_MAJOR=0 -DBN_VERSION_MINOR=0 -DBN_VERSION_PATCH=0 -Ilib -Iinclude -I/usr/include/libnl3)
tidy_checks='-*,bugprone-*,-bugprone-assignment-in-if-condition,-bugprone-branch-clone'
tidy_checks+=',-bugprone-easily-swappable-parameters,-bugprone-implicit-widening*'
tidy_checks+=',-bugprone-macro-parentheses,-bugprone-narrowing-conversions'
tidy_checks+=',-bugprone-reserved-identifier,-bugprone-sizeof-expression'
tidy_checks+=',-bugprone-suspicious-include'

# each TOOL...: of each source, as many at once as there are processors; what it says fails it.
each()
{
	! find lib examples -name '*.c' -print0 |
		xargs -0 -P "$(nproc)" -I{} "$@" 2>&1 | grep -E 'warning:|error:' |
		grep -v '"_GNU_SOURCE" redefined'
}

analyzer()
{
	each gcc "${includes[@]}" -O2 -fanalyzer -Wno-analyzer-malloc-leak \
		-Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-null-dereference \
		-Wno-analyzer-null-argument -Wno-analyzer-possible-null-dereference \
		-c {} -o /dev/null
}

tidy()
{
	each clang-tidy --quiet -checks="$tidy_checks" {} -- "${includes[@]}"
}

check_cpp()
{
	local suppressed=() id
	for id in missingInclude internalAstError uninitvar memleak autoVariables ctunullpointer \
		ctuPointerArith nullPointerArithmeticRedundantCheck; do
		suppressed+=("--suppress=$id")
	done
	cppcheck -q -j "$(nproc)" --enable=warning,portability --error-exitcode=1 \
		"${suppressed[@]}" -D_GNU_SOURCE -Ilib -Iinclude --std=c11 lib examples
}

tool()
{
	if have "$2"; then
		check "$1" "$3"
	else
		skip "$1" "no $2"
	fi
}
tool gcc-analyzer gcc analyzer
tool clang-tidy clang-tidy tidy
tool cppcheck cppcheck check_cpp
exit "$cases_failed"
