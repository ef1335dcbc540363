#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each command of bn under valgrind: no leak, no bad access, no descriptor that a child could inherit.
# Wants namespaces of its own (tests/private.sh). The build directory is BN_BUILD_DIR.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
BN_CASES= # each case needs those before it
build_dir=${BN_BUILD_DIR:-$source_dir/build}
export LD_LIBRARY_PATH=$build_dir/.libs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# bn WANTED-STATUS ARGUMENT...
bn()
{
	local wanted=$1 status=0
	shift
	valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
		--suppressions="$source_dir/tests/valgrind.supp" --error-exitcode=99 \
		"$build_dir/.libs/bn" --state-dir "$work/state" "$@" || status=$?
	[ "$status" -eq "$wanted" ] || { echo "exit status $status"; return 1; }
}

ip netns add one && ip netns add two

check valgrind-network-create bn 0 network create blue --subnet 172.30.0.0/24 \
	--subnet fd00:30::/64 --gateway 172.30.0.1 --ip-range 172.30.0.128/25 --opt label.a=b
check valgrind-network-ls bn 0 network ls
check valgrind-attach bn 0 attach blue one --netns /run/netns/one -p 8799:1337 -p 9000-9009:90-99/udp
check valgrind-attach-default bn 0 attach bridge two --netns /run/netns/two
check valgrind-publish bn 0 publish blue one -p 127.0.0.1:8080:80
check valgrind-network-inspect bn 0 network inspect blue
check valgrind-ps bn 0 ps -v
check valgrind-ps-json bn 0 --json ps -v
check valgrind-rules bn 0 rules
check valgrind-rules-verbose bn 0 rules -v
check valgrind-rules-json bn 0 --json rules -v blue
check valgrind-rules-plan bn 0 rules --plan
check valgrind-check bn 0 check
check valgrind-check-json bn 0 --json check blue one
check valgrind-repair bn 0 repair
check valgrind-repair-plan bn 0 repair --plan blue
check valgrind-refuse-check bn 1 check red
# from here on with the other backend
check valgrind-switch bn 0 backend switch iptables-legacy
check valgrind-switch-back bn 0 backend switch nftables
check valgrind-switch-again bn 0 backend switch iptables-legacy
check valgrind-backend bn 0 backend
check valgrind-legacy-rules bn 0 --json rules -v
check valgrind-legacy-check bn 0 check
check valgrind-legacy-repair bn 0 --json repair
check valgrind-legacy-publish bn 0 publish blue one -p 127.0.0.1:8081:80
check valgrind-legacy-unpublish bn 0 unpublish blue one -p 127.0.0.1:8081:80
check valgrind-exec bn 0 exec blue one -- true
check valgrind-collect bn 0 collect
check valgrind-refuse-collect bn 1 collect red
check valgrind-refuse-exec bn 125 exec blue three -- true
check valgrind-refuse-network bn 1 network create blue
check valgrind-refuse-overlap bn 1 network create red --subnet 172.30.0.128/25
check valgrind-refuse-attach bn 1 attach blue one --netns /run/netns/two
check valgrind-refuse-sandbox bn 1 attach blue three --netns /run/netns/three
check valgrind-refuse-port bn 1 publish bridge two -p 8799:80
check valgrind-refuse-delete bn 1 network rm blue
check valgrind-usage bn 2 network create
check valgrind-unpublish bn 0 unpublish blue one -p 127.0.0.1:8080:80
check valgrind-detach bn 0 detach blue one
check valgrind-detach-default bn 0 detach bridge two
check valgrind-network-rm bn 0 network rm blue

exit $cases_failed
