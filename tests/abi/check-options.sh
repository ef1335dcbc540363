#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The other ways to build: what configure refuses, without a backend, without jansson and tests,
# with clang, with musl, and from a tarball. BN_BUILD_DIR has the usual build.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# configured DIRECTORY ARGUMENT...: what one gcc has learned about itself, the next need not ask.
configured()
{
	mkdir -p "$work/$1" && cd "$work/$1" || return
	shift
	"$source_dir/configure" -q "$@"
}

# built DIRECTORY CONFIGURE-ARGUMENT...: no warning either.
built()
{
	configured "$@" && make -s -j"$(nproc)" CFLAGS='-O2 -Werror'
}

cache=--cache-file=$work/cache

without_nftables()
{
	built without-nftables "$cache" --disable-nftables --disable-tests --without-jansson &&
		[ ! -e bn ] || return
	! readelf -d .libs/libbridgenet.so | grep -F libnftnl
}
check build-without-nftables without_nftables

without_iptables()
{
	built without-iptables "$cache" --disable-iptables-legacy --disable-tests \
		--with-state-dir="$work/states" --prefix="$work/moved" || return
	! readelf -n .libs/libbridgenet.so | grep -F 0x407c0c0a || return
	! ./bn --backend iptables-legacy rules 2>error && grep -F "unknown to this build" error
}
check build-without-iptables-legacy without_iptables

# The build before has another default: the library's, that of the help, of the manual, and what
# pkg-config tells.
state_dir()
{
	cd "$work/without-iptables" && make -s install >install.log 2>&1 || return
	"$source_dir/tests/private.sh" ./bn network create one >/dev/null &&
		[ -f "$work/states/state.db" ] || return
	./bn --help | grep -F "($work/states)" || return
	! grep -rF /run/bridgenet "$work/moved/share/man" || return
	[ "$(grep -rlF "$work/states" "$work/moved/share/man" | wc -l)" -ge 4 ] || return
	[ "$(PKG_CONFIG_LIBDIR=$work/moved/lib/pkgconfig \
		pkg-config --variable=state_dir bridgenet)" = "$work/states" ]
}
check build-with-state-dir state_dir

# ---- What configure refuses, and the way out that it names ----

# What is known already, but for what these lack.
sed -e /pkg_cv_/d -e /ac_cv_env_/d "$work/cache" >"$work/cache-lacking"
mkdir "$work/modules"
pkg-config --variable pc_path pkg-config | tr : '\n' | while read -r directory; do
	find "$directory" -name '*.pc' ! -name jansson.pc ! -name cmocka.pc \
		-exec ln -sf -t "$work/modules" {} + 2>/dev/null
done

# refused SENTENCE CONFIGURE-ARGUMENT...: and nothing is left that make would take.
refused()
{
	local sentence=$1
	shift
	rm -rf "$work/refused"
	! configured refused "$@" 2>"$work/error" && grep -F -e "$sentence" "$work/error" &&
		[ ! -e "$work/refused/Makefile" ] && return
	cat "$work/error"
	return 1
}
check refuses-no-backend refused 'needs a backend' --disable-nftables --disable-iptables-legacy
check refuses-bn-without-jansson refused 'bn needs jansson' --without-jansson --enable-bn
check refuses-relative-state-dir refused 'not "states"' --with-state-dir=states
lacking=("--cache-file=$work/cache-lacking" "PKG_CONFIG_LIBDIR=$work/modules")
check refuses-no-jansson refused '(Debian: libjansson-dev), or leave those out with --without-jansson' \
	"${lacking[@]}"
check refuses-no-cmocka refused '(Debian: libcmocka-dev), or leave those out with --disable-tests' \
	"${lacking[@]}" --without-jansson
check takes-no-bn configured no-bn "${lacking[@]}" --disable-bn --disable-tests

# ---- The usual library ----

# What is loaded later is said in a note of the library.
noted()
{
	cd "${BN_BUILD_DIR:-$source_dir/build}" && readelf -n .libs/libbridgenet.so | grep -F 0x407c0c0a &&
		readelf -p .note.dlopen .libs/libbridgenet.so | grep -F libip4tc.so.2 &&
		! readelf -d .libs/libbridgenet.so | grep -F libip4tc
}
check build-notes-libiptc noted

# ---- Other compilers and C libraries ----

if have clang; then
	check build-clang built clang CC=clang --disable-tests
else
	skip build-clang "no clang"
fi

# With nothing of glibc in sight: of what the host has for it, only the headers of the kernel and of
# the libraries, and these. What the linker does not find now, musl does not have.
with_musl()
{
	local root=$work/root name
	mkdir -p "$root/include" "$root/lib"
	ln -s /usr/include/{linux,asm-generic,libmnl,libnftnl,sqlite3.h,jansson.h,jansson_config.h} \
		"/usr/include/$(gcc -print-multiarch)/asm" "$root/include"
	for name in libmnl libnftnl libnl-3 libsqlite3 libjansson; do
		ln -s "$(gcc -print-file-name="$name.so")" "$root/lib"
	done
	configured musl CC=musl-gcc CPPFLAGS="-idirafter $root/include" \
		LDFLAGS="-L$root/lib -Wl,--allow-shlib-undefined" --disable-tests &&
		make -s -j"$(nproc)" CFLAGS="-Werror=implicit-function-declaration \
			-Werror=int-conversion -Werror=incompatible-pointer-types" || return
	for name in .libs/libbridgenet.so .libs/bn; do
		readelf -d "$name" | grep -F '[libc.so]' || return
	done
}
if have musl-gcc; then
	check build-musl with_musl
else
	skip build-musl "no musl-gcc"
fi

# ---- The tarball ----

tarball()
{
	mkdir -p "$work/tarball" && cd "$work/tarball" && "$source_dir/configure" -q &&
		make -s -j"$(nproc)" distcheck
}
check build-distcheck tarball

exit $cases_failed
