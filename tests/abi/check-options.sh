#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The other ways to build: without a backend, with clang, and from a tarball.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# built DIRECTORY CONFIGURE-OPTION...: no warning either.
built()
{
	mkdir -p "$work/$1" && cd "$work/$1" || return
	shift
	"$source_dir/configure" -q "$@" && make -s -j"$(nproc)" CFLAGS='-O2 -Werror'
}

without_nftables()
{
	built without-nftables --disable-nftables || return
	! readelf -d .libs/libbridgenet.so | grep -F libnftnl
}
check build-without-nftables without_nftables

without_iptables()
{
	built without-iptables --disable-iptables-legacy || return
	! readelf -n .libs/libbridgenet.so | grep -F 0x407c0c0a || return
	! ./bn --backend iptables-legacy rules 2>error && grep -F "unknown to this build" error
}
check build-without-iptables-legacy without_iptables

# What is loaded later is said in a note of the library.
noted()
{
	built both && readelf -n .libs/libbridgenet.so | grep -F 0x407c0c0a &&
		readelf -p .note.dlopen .libs/libbridgenet.so | grep -F libip4tc.so.2 &&
		! readelf -d .libs/libbridgenet.so | grep -F libip4tc
}
check build-notes-libiptc noted

if have clang; then
	check build-clang built clang CC=clang
else
	skip build-clang "no clang"
fi

tarball()
{
	mkdir -p "$work/tarball" && cd "$work/tarball" && "$source_dir/configure" -q &&
		make -s -j"$(nproc)" distcheck
}
check build-distcheck tarball

exit $cases_failed
