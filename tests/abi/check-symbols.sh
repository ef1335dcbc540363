#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One list of functions, kept in five places; what the library imports; and its ABI against the
# baseline. The build directory is BN_BUILD_DIR, or this one.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "${BN_BUILD_DIR:-.}" || exit 1
library=.libs/libbridgenet.so
if [ ! -f "$library" ]; then
	echo "not ok symbols: $PWD/$library is missing"
	exit 1
fi

header=$(gcc -E -P -DBN_CDEF "$source_dir/include/bridgenet.h" | grep -oE '\bbn_[a-z0-9_]+ *\(' |
	tr -d ' (')
map=$(grep -oE '^[[:space:]]+bn_[a-z0-9_]+;' "$source_dir/lib/bridgenet.map" | tr -d '\t ;')
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
python=$(sed -nE 's/^ +"(bn_[a-z0-9_]+)": \(.*/\1/p' "$source_dir/examples/python/bridgenet.py")
manual=$(sed -nE 's/^\.Nm (bn_[a-z0-9_]+).*/\1/p' "$source_dir"/man/*.3)

check symbols-exported same_lines header "$header" exported "$exported"
check symbols-map same_lines header "$header" bridgenet.map "$map"
check symbols-python same_lines header "$header" bridgenet.py "$python"
check symbols-manual same_lines header "$header" man "$manual"

versions()
{
	! nm -D --defined-only "$library" | grep ' bn_' | grep -v '@@LIBBRIDGENET_0\.[12]$'
}
check symbols-versions versions

soname()
{
	readelf -d "$library" | grep -F 'soname: [libbridgenet.so.0]'
}
check symbols-soname soname

imports()
{
	! nm -D --undefined-only "$library" | sed 's/@.*//' | awk '{ print $NF }' | grep -xE \
'_?exit|_Exit|abort|__assert.*|printf|__printf_chk|fprintf|__fprintf_chk|vfprintf|__vfprintf_chk|puts|putchar|fputs|perror|err|errx|warn|warnx|stdout|stderr|v?fork|system|popen|posix_spawnp?|exec[lv].*|(secure_)?getenv|signal|sigaction|chdir|fchdir'
}
check symbols-imports imports

needed()
{
	local unexpected
	unexpected=$(readelf -d "$library" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' |
		grep -vxE 'lib(c|mnl|nftnl|nl-3|sqlite3)\.so\.[0-9]+|ld-linux.*')
	[ -z "$unexpected" ] || { echo "$unexpected"; return 1; }
}
check symbols-needed needed

writable_globals()
{
	# State of the process that could change: none of it may be the library's own.
	! find lib -name 'libbridgenet_la-*.o' -path '*/.libs/*' -print0 |
		xargs -0 objdump -t | awk '$NF !~ /^\./' |
		grep -E ' O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)[[:space:]]'
}
check symbols-no-global-state writable_globals

baseline=$source_dir/tests/abi/libbridgenet-0.1.abi
if ! have abidiff; then
	skip abi-baseline "no abidiff"
elif [ ! -f "$baseline" ]; then
	echo "not ok abi-baseline: run tests/abi/update.sh"
	cases_failed=1
else
	check abi-baseline abidiff --drop-private-types --headers-dir2 "$source_dir/include" "$baseline" "$library"
fi

exit $cases_failed
