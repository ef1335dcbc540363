#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The other ways to build: without the backend, with clang, and from a tarball.
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
