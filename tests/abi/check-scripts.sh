#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every shell script of the tree under shellcheck.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir" || exit 1

for script in .ci/run $(find examples man tests -name '*.sh' | sort); do
	if have shellcheck; then
		check "shellcheck-$script" shellcheck -x -P "$source_dir" "$script"
	else
		skip "shellcheck-$script" "no shellcheck"
	fi
done

exit $cases_failed
