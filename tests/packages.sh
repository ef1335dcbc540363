#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Install what is missing of the named sections of tests/packages: tests/packages.sh SECTION...
set -euo pipefail

missing=()
for section in "$@"; do
	while read -r package; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$state" = installed ] || missing+=("$package")
	done < <(awk -v section="$section" \
		'/^#/ { on = $2 == section; next } on && NF' "$(dirname "$0")/packages")
done
[ ${#missing[@]} -gt 0 ] || exit 0

export DEBIAN_FRONTEND=noninteractive
echo "Installing: ${missing[*]}"
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
