#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test that tests/kernel/ATTACKS names is there.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir/tests/kernel" || exit 1

attacks_are_played()
{
	local names there
	names=$(sed -n 's/^\t//p' ATTACKS)
	[ -n "$names" ] && there=$(list_tests) || return
	! grep -vxF -e "$there" <<<"$names"
}
check attacks-are-played attacks_are_played

attacks_have_tests()
{
	# An attack is a line or some, headings are underlined.
	! awk '/^#/ { next } /^\t/ { open = 0; next } /^=/ { open = 0; next }
		/^$/ { if (open) print line; open = 0; next } { open = 1; line = $0 }
		END { if (open) print line }' ATTACKS | grep .
}
check attacks-have-tests attacks_have_tests

exit $cases_failed
