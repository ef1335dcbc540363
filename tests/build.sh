#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Build in a directory of its own: tests/build.sh [DIRECTORY [CONFIGURE-OPTION]...]
# BN_TARGETS in the environment is what of it is made, instead of the library and bn.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${1:-$source_dir/build}
shift $(($# > 0))

"$source_dir/tests/packages.sh" build

cd "$source_dir"
if [ ! -x configure ] || [ configure.ac -nt configure ] || [ Makefile.am -nt Makefile.in ] ||
	[ m4/bn_flags.m4 -nt configure ]; then
	autoreconf -fi
fi
mkdir -p "$build_dir"
cd "$build_dir"
if [ ! -f config.status ] || [ $# -gt 0 ]; then
	"$source_dir/configure" -q "$@"
fi
read -ra targets <<<"${BN_TARGETS:-all}"
make -s -j"$(nproc)" "${targets[@]}"
