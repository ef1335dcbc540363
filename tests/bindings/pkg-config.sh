#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A program outside the tree, built with what pkg-config says of an installed library, serves a page;
# and so do the Python example and "bn run" from the same installation. Wants namespaces of its own
# (tests/private.sh). The build directory is BN_BUILD_DIR.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
BN_CASES= # each case needs those before it
build_dir=${BN_BUILD_DIR:-$source_dir/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

prefix=$(sed -n 's/^prefix = //p' "$build_dir/Makefile")
stage=$work/stage
check install-destdir make -s -C "$build_dir" install "DESTDIR=$stage"
# Alone: what the library is made with need not be there.
export PKG_CONFIG_LIBDIR=$stage$prefix/lib/pkgconfig LD_LIBRARY_PATH=$stage$prefix/lib

flags()
{
	PKG_CONFIG_SYSROOT_DIR=$stage pkg-config "$@" bridgenet
}

version()
{
	[ "$(pkg-config --modversion bridgenet)" = "$("$stage$prefix/bin/bn" version)" ]
}
check pkg-config-version version

libs()
{
	# A program is linked with the library alone, not with what that is linked with.
	same_lines pkg-config "$(flags --libs | xargs -n 1)" wanted "-L$stage$prefix/lib
-lbridgenet"
}
check pkg-config-libs libs

static_libs()
{
	local flag known
	known=$(flags --static --libs | xargs -n 1)
	for flag in -lbridgenet -lmnl -lnftnl -lnl-3 -lsqlite3 -pthread; do
		grep -qxF -e "$flag" <<<"$known" || { echo "$flag is not in: $known"; return 1; }
	done
}
check pkg-config-static-libs static_libs

compiled()
{
	# shellcheck disable=SC2046 # flags are words
	gcc -std=c11 -Wall -Wextra -Werror "$source_dir/examples/serve.c" -o serve \
		$(flags --cflags --libs)
}
check c-program-compiles compiled

# served COMMAND...: prints the page, and exits with 0.
served()
{
	local output
	output=$("$@") || { echo "$output"; return 1; }
	grep -q 'Hello' <<<"$output" || { echo "$output"; return 1; }
}
check c-program-serves served ./serve
check python-program-serves served python3 "$source_dir/examples/python/serve.py"

command_serves()
{
	local bn=$stage$prefix/bin/bn name page status=1
	mkdir served && echo Hello >served/index.html
	name=$("$bn" run -d -p 8799:1337 -- python3 -m http.server -d served 1337) || return
	for _ in $(seq 600); do
		page=$(curl -sf http://127.0.0.1:8799/) && break
		sleep 0.05
	done
	[ "$page" = Hello ] && status=0
	"$bn" detach bridge "$name"
	return "$status"
}
check command-serves command_serves

links()
{
	local page functions missing
	functions=$(grep -oE 'bn_[a-z0-9_]+;' "$source_dir/lib/bridgenet.map" | tr -d ';')
	missing=0
	for page in $functions; do
		[ -s "$stage$prefix/share/man/man3/$page.3" ] || { echo "no $page(3)"; missing=1; }
	done
	return "$missing"
}
check manual-page-of-every-function links

uninstalled()
{
	make -s -C "$build_dir" uninstall "DESTDIR=$stage" && ! find "$stage" -type f | grep .
}
check uninstall-leaves-nothing uninstalled

exit $cases_failed
