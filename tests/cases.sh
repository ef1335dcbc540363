# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
# Sourced by the checks: one line for each case, and an exit status that says if one failed.

cases_failed=0

# check NAME COMMAND...: the case passes if the command does; else its output is shown. Only what
# matches the expression BN_CASES runs.
check()
{
	local name=$1 output
	[[ $name =~ ${BN_CASES-} ]] || return 0
	shift
	if output=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "not ok $name"
		[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/    /'
		cases_failed=1
	fi
}

# skip NAME REASON
skip()
{
	[[ $1 =~ ${BN_CASES-} ]] || return 0
	echo "skipped $1: $2"
}

# same_lines WHAT LINES WHAT LINES: fails and shows what only one of them has.
same_lines()
{
	local difference
	difference=$(diff <(sort -u <<<"$2") <(sort -u <<<"$4")) && return
	echo "< only in $1, > only in $3"
	grep '^[<>]' <<<"$difference"
	return 1
}

have()
{
	command -v "$1" >/dev/null
}

# The tests in the directory, as FILE.CLASS.CASE without the backend that ends the name of each class,
# and FILE.CASE of those in C.
list_tests()
{
	local file
	BN_CASES='' python3 run.py --list test_*.py | sed -E 's/(Nftables|IptablesLegacy)\././' &&
		for file in test_*.c; do
			grep -oE '\(test_[a-z0-9_]+[,)]' "$file" | tr -d '(,)' | sed "s/^/${file%.c}./"
		done
}
