#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every C file as clang-format writes it. The public header is not among them: its constants are set
# out by hand.
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir" || exit 1

# Each version has its own mind: this one decides.
version=14
for folder in lib examples tests; do
	if clang-format --version 2>/dev/null | grep -q " version $version\."; then
		mapfile -d '' files < <(find "$folder" -name '*.[ch]' -print0)
		check "format-$folder" clang-format --dry-run -Werror "${files[@]}"
	else
		skip "format-$folder" "no clang-format $version"
	fi
done

exit $cases_failed
