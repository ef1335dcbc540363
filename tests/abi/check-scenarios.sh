#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/kernel/SCENARIOS has each scenario, and every test that it names is there.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir/tests/kernel" || exit 1

scenarios_are_whole()
{
	# 1 to 85, each once and in order, with a test or a reason
	awk '/^#/ { next } /^[0-9]+\. / { if (open) { print open " has no test"; bad = 1 }
			open = $0; if ($1 + 0 != ++count) { print "after " count - 1 ": " $0; bad = 1 } }
		/^\t/ { open = "" }
		END { if (open || count != 85) { print count " scenarios"; bad = 1 } exit bad }' \
		SCENARIOS
}
check scenarios-are-whole scenarios_are_whole

scenarios_are_played()
{
	local there name status=0
	there=$(list_tests) || return
	while read -r name; do
		if [ "${name%\*}" != "$name" ]; then
			grep -qF -e "${name%\*}" <<<"$there"
		else
			grep -qxF -e "$name" <<<"$there"
		fi || { echo "$name is not there"; status=1; }
	done < <(sed -nE 's/^\t([a-z].*\..*)$/\1/p' SCENARIOS)
	return "$status"
}
check scenarios-are-played scenarios_are_played

exit $cases_failed
