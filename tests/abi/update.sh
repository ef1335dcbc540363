#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Write what the ABI checks compare with, from a build: tests/abi/update.sh [BUILD-DIRECTORY]
# Before the first release, and after that only to add.
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
build_dir=${1:-$source_dir/build}

abidw --no-corpus-path --no-comp-dir-path --no-show-locs --drop-private-types \
	--exported-interfaces-only --headers-dir "$source_dir/include" \
	--out-file "$source_dir/tests/abi/libbridgenet-0.1.abi" "$build_dir/.libs/libbridgenet.so"
sed -nE 's/^#define (BN_[A-Z0-9_]+) +((0x)?[0-9a-f]+u?).*/\1 \2/p' \
	"$source_dir/include/bridgenet.h" >"$source_dir/tests/abi/constants"
# Where it was built is no part of it.
sed -i "s| path='$source_dir/| path='|" "$source_dir/tests/abi/libbridgenet-0.1.abi"
