#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What bridgenet.h promises: any compiler of C or C++ and any binding generator can take it whole.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
header=$source_dir/include/bridgenet.h
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '#include <bridgenet.h>\n' >"$work/only.c"
cp "$work/only.c" "$work/only.cc"
printf '#include <bridgenet.h>\n#include <openssl/bn.h>\n' >"$work/before.c"
printf '#include <openssl/bn.h>\n#include <bridgenet.h>\n' >"$work/after.c"

compile()
{
	"$@" -I"$source_dir/include" -fsyntax-only
}

for standard in c89 c99 gnu11 c17; do
	check "header-$standard" compile gcc "-std=$standard" -pedantic-errors -Wall -Wextra -Werror \
		"$work/only.c"
done
for standard in c++98 c++20; do
	if have g++; then
		check "header-$standard" compile g++ "-std=$standard" -pedantic-errors -Wall -Wextra \
			-Werror "$work/only.cc"
	else
		skip "header-$standard" "no g++"
	fi
done
if have clang; then
	check header-clang-everything compile clang -std=c99 -Weverything -Werror "$work/only.c"
else
	skip header-clang-everything "no clang"
fi
for order in before after; do
	if compile gcc -include openssl/bn.h -x c /dev/null 2>/dev/null; then
		check "header-openssl-$order" compile gcc -Wall -Wextra -Werror "$work/$order.c"
	else
		skip "header-openssl-$order" "no openssl/bn.h"
	fi
done

# The header without comments and directives, as a compiler sees its declarations.
gcc -E -P -DBN_CDEF "$header" >"$work/declarations"
gcc -fpreprocessed -dD -E -P "$header" >"$work/uncommented"

absent()
{
	! grep -nE -e "$1" "$2"
}

while read -r name pattern; do
	check "header-no-$name" absent "$pattern" "$work/declarations"
done <<'END'
varargs \.\.\.
va_list \bva_list\b
FILE \bFILE\b
union \bunion\b
struct-layout \{
bit-field :[[:space:]]*[0-9]
array \[
inline \binline\b
bool \b(bool|_Bool)\b
long \b(long|short|char[[:space:]]*[^*[:space:]]|float|double)\b
enum \benum\b
END

foreign_names()
{
	# Tokens at file scope that are neither ours, nor the types allowed, nor parameter names.
	! grep -oE '\b[A-Za-z_][A-Za-z0-9_]*[[:space:]]*\(' "$work/declarations" |
		tr -d '( ' | grep -vE '^(bn_[a-z0-9_]+|void|int)$'
}
check header-names-are-ours foreign_names

foreign_macros()
{
	! grep -E '^[[:space:]]*#[[:space:]]*define' "$work/uncommented" |
		grep -vE 'define (BN_[A-Z0-9_]+ (0x)?[0-9a-f]+u?|BRIDGENET_H)[[:space:]]*$'
}
check header-macros-are-numbers foreign_macros

openssl_macros()
{
	! grep -E 'define BN_(F|R|FLG|CTX)_' "$work/uncommented"
}
check header-avoids-openssl openssl_macros

includes()
{
	same_lines header "$(grep -oE '#[[:space:]]*include.*' "$header")" \
		allowed '#include <stddef.h>
#include <stdint.h>'
}
check header-includes includes

# A paragraph of the header that declares functions opens with a comment, which is about all of them,
# and says since which version they are there.
documented()
{
	! awk '
		BEGIN { RS = "" }
		/^[a-z].*[ *]bn_[a-z0-9_]+\(/ || /\n[a-z][^\n]*[ *]bn_[a-z0-9_]+\(/ {
			if ($0 !~ /^\/\*/ || $0 !~ /[ *]Since: [0-9]+\.[0-9]+/)
				print "no comment, or no Since:\n" $0
		}
	' "$header" | grep .
}
check header-documented documented

constants()
{
	same_lines header "$(sed -nE 's/^#define (BN_[A-Z0-9_]+) +((0x)?[0-9a-f]+u?).*/\1 \2/p' \
		"$header")" tests/abi/constants "$(cat "$source_dir/tests/abi/constants")"
}
check header-constants constants

if /usr/bin/python3 -c 'import cffi' 2>/dev/null; then
	check header-cffi /usr/bin/python3 -c '
import cffi, sys
ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1]).read())
' "$work/declarations"
else
	skip header-cffi "no python3-cffi"
fi

exit $cases_failed
