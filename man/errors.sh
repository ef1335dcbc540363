#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Write the ERRORS of the manual from the tables beside the functions, in lib/api: man/errors.sh
# With --check nothing is written; pages that would change are shown, and make it fail.
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/.." && pwd)
check=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$source_dir"

# One line for each errno: the functions, "setting" or "verb", the errno, when.
awk '
	/^static const (struct api_call|short common_errnos)/ { text = ""; on = 1 }
	on { text = text $0 " " }
	/^};/ && on {
		on = 0
		gsub(/"[ \t]+"/, "", text)
		names = "any"
		if (match(text, /\.names = "[^"]*"/))
			names = substr(text, RSTART + 10, RLENGTH - 11)
		kind = text ~ /\.setting = true/ ? "setting" : "verb"
		while (match(text, /API_ERRNO\([A-Z0-9]+,[ \t]+"[^"]*"\)/)) {
			entry = substr(text, RSTART + 10, RLENGTH - 12)
			text = substr(text, RSTART + RLENGTH)
			comma = index(entry, ",")
			sub(/,[ \t]+"/, "\t", entry)
			print names "\t" kind "\t" entry
		}
	}
' lib/api/*.c >"$work/tables"

# page FILE: the page with its lists as the tables say; what has none stays as it is.
page()
{
	awk -F '\t' '
		function put(text, i, len, words, line) {
			len = split(text, words, " ")
			line = words[1]
			for (i = 2; i <= len; i++) {
				if (words[i - 1] ~ /\.$/ || length(line " " words[i]) > 98) {
					print line
					line = words[i]
				} else {
					line = line " " words[i]
				}
			}
			print line
		}
		function put_list(names, macro, i) {
			print ".Bl -tag -width Er"
			for (i = 1; i <= count; i++)
				if (owner[i] == names) {
					print ".It " macro number[i]
					put(when[i])
				}
			print ".El"
		}
		function put_names(names, i, len, list) {
			len = split(names, list, ", ")
			for (i = 1; i <= len; i++)
				print (i > 1 ? "and\n" : "") ".Fn " list[i]
			print (len > 1 ? "fail with:" : "fails with:")
		}
		FNR == NR {
			owner[++count] = $1; kind[count] = $2; number[count] = $3; when[count] = $4
			next
		}
		/^\.Nm bn_/ { split($0, word, " "); here[word[2]] = 1 }
		/^\.S[hs] / { skip = 0 }
		!skip
		/^\.Ss Of any verb/ {
			put_list("any", "Er ")
			skip = 1
		}
		/^\.Sh ERRORS/ {
			for (i = 1; i <= count; i++) {
				first = owner[i]
				sub(/,.*/, "", first)
				if (!(first in here) || owner[i] == owner[i - 1])
					continue
				if (kind[i] == "verb" && !skip)
					print "Beside what any verb may return, see\n" \
						".Xr bridgenet-errors 7 ,"
				else if (skip)
					print ".Pp"
				if (kind[i] == "verb" || skip)
					put_names(owner[i])
				put_list(owner[i], "Bq Er ")
				skip = 1
			}
		}
	' "$work/tables" "$1"
}

status=0
for file in man/*.[37]; do
	page "$file" >"$work/page"
	cmp -s "$file" "$work/page" && continue
	if [ "$check" = --check ]; then
		diff -u "$file" "$work/page" || status=1
	else
		cat "$work/page" >"$file"
	fi
done
exit "$status"
