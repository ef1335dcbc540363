#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which lines of the library the tests run: tests/coverage.sh [-k PATTERN] [DIRECTORY], as root
# The build in DIRECTORY, or build-coverage/, counts what the cases run that PATTERN names, or all that
# ask the library itself. Prints a table of the folders; DIRECTORY/uncovered has the lines that nothing
# runs, by file. Fails when less is run than the project promises.
set -euo pipefail

usage()
{
	echo "usage: tests/coverage.sh [-k PATTERN] [DIRECTORY]" >&2
	exit 2
}

pattern='^(unit|golden|kernel|bindings)/'
while getopts k: option; do
	case $option in
	k) pattern=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || usage
if [ "$(id -u)" -ne 0 ]; then
	echo "tests/coverage.sh: the tests make network namespaces, which takes root: run it as root" >&2
	exit 1
fi

source_dir=$(cd "$(dirname "$0")/.." && pwd)
root=$(realpath -m "${1:-$source_dir/build-coverage}")
build=$root/build

"$source_dir/tests/packages.sh" build quickstart test coverage
mkdir -p "$root"
[ -f "$build/Makefile" ] || "$source_dir/tests/build.sh" "$build" --disable-static \
	CFLAGS="-O0 -g --coverage -fprofile-update=atomic"
find "$build" -name '*.gcda' -delete -o -name '*conftest.gcno' -delete
BN_BUILD_ROOT=$root "$source_dir/tests/run.sh" -k "$pattern" >"$root/log" || {
	grep '^not ok' "$root/log" || true
	echo "# some cases failed (above): what they would have run is missing" >&2
}

gcovr --root "$source_dir" --filter "$source_dir/lib/" --object-directory "$build" \
	--exclude-unreachable-branches --json "$root/lines.json" "$build"
python3 - "$root" <<'EOF'
import collections, json, pathlib, sys

promised = {"lib/model": 90, "all": 85}
root = pathlib.Path(sys.argv[1])
run, all_lines = collections.Counter(), collections.Counter()
missed = []
for file in json.loads((root / "lines.json").read_text())["files"]:
    lines = [line for line in file["lines"] if not line["gcovr/noncode"]]
    folder = str(pathlib.Path(file["file"]).parent)
    for name in (folder, "all"):
        all_lines[name] += len(lines)
        run[name] += sum(line["count"] > 0 for line in lines)
    numbers = [line["line_number"] for line in lines if not line["count"]]
    if numbers:
        missed.append((len(numbers), file["file"], numbers))
with open(root / "uncovered", "w") as output:
    for count, name, numbers in sorted(missed, reverse=True):
        print(name, count, *numbers, file=output)
failed = False
for name in sorted(all_lines):
    percent = 100 * run[name] / all_lines[name]
    failed |= percent < promised.get(name, 0)
    print(f"{name:28} {run[name]:6} of {all_lines[name]:6} lines  {percent:5.1f} %",
          f"(promised: {promised[name]})" if name in promised else "")
sys.exit(failed)
EOF
