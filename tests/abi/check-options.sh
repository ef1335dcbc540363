#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The other ways to build: what configure refuses, without a backend, without jansson and tests,
# static, with clang, with musl, and from a tarball. BN_BUILD_DIR has the usual build.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# Asked is what is compiled, and what is warned of: that takes half as long without optimizing.
export CFLAGS=-O0

# is_turn NUMBER: of builds that take turns by day; with BN_EACH_DAY all are made each day.
is_turn()
{
	[ -n "${BN_EACH_DAY:-}" ] || [ $((($(date +%s) / 86400 + $1) % 2)) -eq 0 ]
}

# configured DIRECTORY ARGUMENT...
configured()
{
	mkdir -p "$work/$1" && cd "$work/$1" || return
	shift
	"$source_dir/configure" -q "$@"
}

# built DIRECTORY CONFIGURE-ARGUMENT...: no warning either, but those that gcc is wrong about when it
# does not optimize.
built()
{
	# clang knows nothing of those
	configured "$@" && make -s -j"$(nproc)" CFLAGS="$CFLAGS -Werror -Wno-format-truncation \
		-Wno-stringop-overread -Wno-unknown-warning-option"
}

# What is known of gcc once need not be asked again.
cache=--cache-file=$work/cache

without_nftables()
{
	built without-nftables "$cache" --disable-nftables --disable-tests --without-jansson &&
		[ ! -e bn ] || return
	! readelf -d .libs/libbridgenet.so | grep -F libnftnl
}
is_turn 0 && check build-without-nftables without_nftables

# Two cases look at this build.
build_without_iptables()
{
	cd "$work/without-iptables" 2>/dev/null && [ -f bn ] && return
	built without-iptables "$cache" --disable-iptables-legacy --disable-tests \
		--with-state-dir="$work/states" --prefix="$work/moved"
}

without_iptables()
{
	build_without_iptables || return
	! readelf -n .libs/libbridgenet.so | grep -F 0x407c0c0a || return
	! ./bn --backend iptables-legacy rules 2>error && grep -F "unknown to this build" error
}
is_turn 1 && check build-without-iptables-legacy without_iptables

# It has another default: the library's, that of the help, of the manual, and what pkg-config tells.
state_dir()
{
	build_without_iptables && make -s install >install.log 2>&1 || return
	"$source_dir/tests/private.sh" ./bn network create one >/dev/null &&
		[ -f "$work/states/state.db" ] || return
	./bn --help | grep -F "($work/states)" || return
	! grep -rF /run/bridgenet "$work/moved/share/man" || return
	[ "$(grep -rlF "$work/states" "$work/moved/share/man" | wc -l)" -ge 4 ] || return
	[ "$(PKG_CONFIG_LIBDIR=$work/moved/lib/pkgconfig \
		pkg-config --variable=state_dir bridgenet)" = "$work/states" ]
}
is_turn 1 && check build-with-state-dir state_dir

# ---- What configure refuses, and the way out that it names ----

# What is known already, but for what these lack.
[ ! -f "$work/cache" ] ||
	sed -e /pkg_cv_/d -e /OBJCOPY/d -e /ac_cv_env_/d "$work/cache" >"$work/cache-lacking"
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
check refuses-no-objcopy refused 'objcopy is missing' "${lacking[@]}" --enable-static \
	ac_cv_prog_OBJCOPY= ac_cv_prog_ac_ct_OBJCOPY=
check takes-no-bn configured no-bn "${lacking[@]}" --disable-bn --disable-tests

# ---- The static library ----

install_archive()
{
	cd "$work/archive" 2>/dev/null && [ -f install.log ] && return
	built archive "$cache" --enable-static --disable-tests --without-jansson \
		--prefix="$work/static" && make -s install >install.log 2>&1
}

exports()
{
	install_archive || return
	same_lines bridgenet.map \
		"$(grep -oE '\bbn_[a-z0-9_]+;' "$source_dir/lib/bridgenet.map" | tr -d ';')" \
		libbridgenet.a "$(nm -g --defined-only "$work/static/lib/libbridgenet.a" |
			awk 'NF == 3 { print $3 }')"
}
check static-exports-the-interface exports

# A program that has a name of its own for each that is global in the library's objects.
collides()
{
	local output
	install_archive || return
	find lib -name '*.o' ! -path '*/.libs/*' -exec nm -g --defined-only {} + |
		awk 'NF == 3 && $3 !~ /^bn_/ { print "void " $3 "(void) { abort(); }" }' >names
	[ "$(wc -l <names)" -gt 100 ] || return
	(echo '#include <stdlib.h>' && cat names) >names.c
	cat >program.c <<'END'
#include <bridgenet.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	bn_ctx *ctx = NULL;
	bn_network_list *networks = NULL;

	if (argc != 2 || bn_ctx_new(0, &ctx) < 0 || bn_ctx_set_state_dir(ctx, "relative") == 0)
		return 1;
	puts(bn_error_message(ctx));
	if (bn_ctx_set_state_dir(ctx, argv[1]) < 0 || bn_networks_list(ctx, 0, &networks) < 0) {
		puts(bn_error_message(ctx));
		return 1;
	}
	bn_network_list_free(networks);
	bn_ctx_free(ctx);
	return 0;
}
END
	rm -f "$work/static/lib"/libbridgenet.so*
	# shellcheck disable=SC2046 # flags are words
	gcc -o program program.c names.c $(PKG_CONFIG_LIBDIR=$work/static/lib/pkgconfig \
		pkg-config --static --cflags --libs bridgenet) || return
	! readelf -d program | grep -F libbridgenet || return
	output=$(./program "$work/none") && [[ $output == *'is not an absolute path'* ]]
}
check static-collides-with-nothing collides

uninstalled()
{
	install_archive && make -s uninstall >uninstall.log 2>&1 &&
		! find "$work/static" -type f | grep .
}
check static-uninstalls uninstalled

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

# Here without the shared library: bn is linked with the archive.
with_clang()
{
	built clang CC=clang --enable-static --disable-shared --disable-tests &&
		! readelf -d bn | grep -F libbridgenet && ./bn version
}
if ! have clang; then
	skip build-clang "no clang"
elif is_turn 1; then
	check build-clang with_clang
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
		make -s -j"$(nproc)" CFLAGS="$CFLAGS -Werror=implicit-function-declaration \
			-Werror=int-conversion -Werror=incompatible-pointer-types" || return
	for name in .libs/libbridgenet.so .libs/bn; do
		readelf -d "$name" | grep -F '[libc.so]' || return
	done
}
if ! have musl-gcc; then
	skip build-musl "no musl-gcc"
elif is_turn 0; then
	check build-musl with_musl
fi

# ---- The tarball ----

tarball()
{
	configured tarball "$cache" &&
		make -s -j"$(nproc)" distcheck DISTCHECK_CONFIGURE_FLAGS="$cache"
}
check build-distcheck tarball

exit $cases_failed
