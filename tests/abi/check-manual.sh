#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual: no warning of mandoc, examples that compile, and every constant, reason and option in it.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$source_dir/man" || exit 1

lint()
{
	# References to pages of other packages, or of this one before it is installed, are no fault.
	! mandoc -T lint -W warning "$1" | grep -v 'referenced manual not found' | grep .
}
for page in *.[1-8]; do
	if have mandoc; then
		check "manual-lint-$page" lint "$page"
	else
		skip "manual-lint-$page" "no mandoc"
	fi
done

# Each display of EXAMPLES that includes the header is a program.
examples()
{
	awk -v prefix="$work/${1%.*}" '
		/^\.Sh / { on = $2 == "EXAMPLES" }
		on && /^\.Bd / { text = ""; shown = 1; next }
		/^\.Ed/ {
			if (shown && text ~ /#include <bridgenet.h>/) {
				file = prefix "-" ++n ".c"
				printf "%s", text >file
				close(file)
			}
			shown = 0
			next
		}
		shown { gsub(/\\e/, "\\"); gsub(/\\&/, ""); gsub(/\\-/, "-"); text = text $0 "\n" }
	' "$1"
}
for page in *.3 *.7; do
	examples "$page"
done
for program in "$work"/*.c; do
	name=${program##*/}
	check "manual-example-${name%.c}" gcc -std=c11 -Wall -Wextra -Werror -fsyntax-only \
		-I"$source_dir/include" "$program"
done

# The errno of a verb stand in a table beside it, and its page says them as the table does.
check manual-errors ./errors.sh --check

# Builders have no table: what their pages name is what the code has.
builders()
{
	same_lines 'the pages' "$(sed -nE 's/^\.It Bq Er (.*)/\1/p' bn_*_spec_new.3 bn_name_list_new.3 |
		sort -u)" lib/api/spec.c "$(grep -ohE -e '-E[A-Z]+' ../lib/api/spec.c ../lib/api/port_spec.c | tr -d - | sort -u)"
}
check manual-builders builders

# has_all PAGE WORD...
has_all()
{
	local page=$1 word status=0
	shift
	for word in "$@"; do
		grep -qE "(^|[^A-Z0-9_])$word([^A-Z0-9_]|\$)" "$page" ||
			{ echo "$page lacks $word"; status=1; }
	done
	return "$status"
}
mapfile -t reasons < <(sed -nE 's/^#define (BN_REASON_[A-Z0-9_]+).*/\1/p' \
	"$source_dir/include/bridgenet.h")
check manual-reasons has_all bridgenet-errors.7 "${reasons[@]}"
mapfile -t flags < <(sed -nE 's/^#define (BN_[A-Z0-9_]+) +0x.*/\1/p' \
	"$source_dir/include/bridgenet.h")
for flag in "${flags[@]}"; do
	check "manual-flag-$flag" grep -qwF "$flag" bn_*.3
done

# Of each option the table has all that its page says.
if [ -x "${BN_BUILD_DIR:-}/bn" ]; then
	check manual-options ./options.sh "$BN_BUILD_DIR" --check
else
	skip manual-options "no build in BN_BUILD_DIR"
fi

exit $cases_failed
