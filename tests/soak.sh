#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests/run.sh takes a part of, whole: each pair of verbs, each kill, each lost answer, with each
# backend and family, and each step of a verb on some hosts: tests/soak.sh [BUILD], as root. It takes
# hours.
set -u

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source_dir/build}
export BN_SOAK=1
failed=0

programs=()
for name in pairs kills lost time; do
	programs+=("tests/kernel/test_$name")
done
make -s -C "$build" -j"$(nproc)" "${programs[@]}" tests/kernel/faulting || exit 1
for program in "${programs[@]}"; do
	"$source_dir/tests/private.sh" "$build/$program" || failed=1
done
BN_BUILD_DIR=$build "$source_dir/tests/private.sh" python3 "$source_dir/tests/kernel/run.py" \
	"$source_dir/tests/kernel/test_hosts.py" || failed=1
exit $failed
