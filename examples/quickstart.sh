#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a container's network is made of, shown alive, as root: examples/quickstart.sh [--backend NAME]
# Installs the packages that are missing, builds into build/, and plays the rest in namespaces of
# its own: the machine's own network is not changed.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
host=192.0.2.1
connections=10
export no_proxy='*'

usage()
{
	echo "usage: examples/quickstart.sh [--backend nftables|iptables-legacy]" >&2
	exit 2
}

# ---- Showing ----

fail()
{
	echo "quickstart: $*" >&2
	exit 1
}

step()
{
	printf '\n== %s\n\n' "$*" | fmt -w 100
}

# Print the command as one would type it, and run it.
show()
{
	printf '$ %s\n' "$*"
	"$@"
	echo
}

# The same on the machine outside, the other end of a cable to this host.
show_outside()
{
	printf 'outside$ %s\n' "$*"
	ip netns exec outside "$@"
	echo
}

bn()
{
	"$build_dir/bn" --backend "$backend" "$@"
}

# ---- Asking ----

wait_until()
{
	for ((tries = 0; tries < 100; tries++)); do
		! "$@" || return 0
		sleep 0.1
	done
	fail "this did not come about: $*"
}

# How many connections the DNAT rule of port 8799 has counted.
counted()
{
	bn rules -v --json | python3 -c '
import json, sys
print(sum(rule["packets"] for rule in json.load(sys.stdin)
          if rule["target"] == "DNAT" and "dpt:8799" in rule["extra"].split()))'
}

# The process that an endpoint was started for: its namespace is /proc/PID/ns/net.
process_of()
{
	bn ps --json | python3 -c '
import json, sys
print([endpoint["sandbox"].split("/")[2] for endpoint in json.load(sys.stdin)
       if endpoint["endpoint"] == sys.argv[1]][0])' "$1"
}

answers()
{
	ip netns exec outside curl -s -o /dev/null "http://$host:8799/"
}

no_endpoints()
{
	[ "$(bn ps --json | tr -d '[:space:]')" = '[]' ]
}

# ---- The story ----

make_outside()
{
	ip netns add outside
	ip link add uplink type veth peer name eth0 netns outside
	ip addr add "$host/24" dev uplink
	ip link set uplink up
	ip -n outside addr add 192.0.2.2/24 dev eth0
	ip -n outside link set eth0 up
	ip -n outside link set lo up
}

networks_and_endpoints()
{
	step "Three networks are there from the start."
	show bn network ls

	step "Two commands, each in a namespace of its own on the network bridge. One serves a page on" \
		"its port 1337, which becomes port 8799 of the host."
	mkdir -p /run/page
	echo '<h1>Hello from a namespace of its own</h1>' >/run/page/index.html
	show bn run -d --name web -p 8799:1337 -- python3 -m http.server 1337 --directory /run/page
	show bn run -d --name idle -- sleep infinity
	show bn ps

	step "The network has made the bridge bn0, and each command has an eth0 with an address."
	show bn network inspect bridge
	show bn ps -v
	show bn exec bridge idle -- ip -brief address
	show bn exec bridge idle -- ip route
}

page_and_rules()
{
	local before after

	wait_until answers
	step "The page is fetched from another machine, by the host's address."
	show_outside curl -sS "http://$host:8799/"

	step "These rules of the packet filter have done it."
	show bn rules

	step "With -v: counters, interfaces, and what each rule is for."
	show bn rules -v

	if [ "$backend" = iptables-legacy ]; then
		step "The same as iptables has it."
		show iptables-legacy -t nat -L -v -n
	fi

	step "The DNAT rule counts connections, exactly: $connections more."
	before=$(counted)
	for ((i = 0; i < connections; i++)); do
		answers || fail "connection $i failed"
	done
	after=$(counted)
	echo "It stood at $before, and stands at $after."
	[ "$((after - before))" -eq "$connections" ] ||
		fail "the counter moved by $((after - before)), not by $connections"
}

end_of_all()
{
	step "When a command ends, all that was made for it goes. End both, then remove the network."
	show kill "$(process_of web)" "$(process_of idle)"
	wait_until no_endpoints
	show bn ps
	show bn network rm bridge

	step "Nothing is left: no rule, no bridge."
	show bn rules
	show ip -brief link
	if [ "$backend" = iptables-legacy ]; then
		show iptables-legacy-save
		! iptables-legacy-save | grep -q '^-A' || fail "iptables-legacy still has a rule"
	else
		show nft list ruleset
		[ -z "$(nft list ruleset)" ] || fail "nft still has a rule set"
	fi
	[ -z "$(bn rules)" ] || fail "there are rules left"
	! ip link show bn0 >/dev/null 2>&1 || fail "the bridge is left"
	! answers || fail "the port still answers"
	echo "That was all of it. The machine's own network has not been touched."
}

# ---- The two halves: outside of the namespaces, and inside ----

backend=nftables
inside=
while [ $# -gt 0 ]; do
	case $1 in
	--backend) [ $# -gt 1 ] || usage; backend=$2; shift ;;
	--inside) [ $# -gt 1 ] || usage; inside=$2; shift ;;
	*) usage ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || fail "it makes network namespaces, which takes root: run it as root"

if [ -z "$inside" ]; then
	"$source_dir/tests/packages.sh" build quickstart
	"$source_dir/tests/build.sh" "${BN_BUILD_DIR:-$source_dir/build}"
	# a pipe, so that bn run -d does not take the output for a log file of the web server's
	"$source_dir/tests/private.sh" "$source_dir/examples/quickstart.sh" \
		--backend "$backend" --inside "${BN_BUILD_DIR:-$source_dir/build}" | cat
	exit
fi
build_dir=$inside
make_outside
networks_and_endpoints
page_and_rules
end_of_all
