#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which part of the library may include which, how long files, lines and functions may be, and that
# the build knows every file.
# shellcheck disable=SC2317 # functions are called by name
set -u
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/cases.sh
. "$source_dir/tests/cases.sh"
cd "$source_dir" || exit 1

# only LAYER PATTERN: what files of the layer include in quotes must match the pattern.
only()
{
	! grep -rnoE --include='*.[ch]' '#[[:space:]]*include[[:space:]]+"[^"]*"' "lib/$1" |
		grep -vE "\"($2)\"\$"
}
check layer-base only base 'bridgenet\.h|base/[a-z_]+\.h'
check layer-model only model 'bridgenet\.h|(base|model)/[a-z_]+\.h'
check layer-link only link 'bridgenet\.h|(base|model|link)/[a-z_]+\.h'
check layer-store only store 'bridgenet\.h|(base|model|store)/[a-z_]+\.h'
check layer-firewall only firewall \
	'bridgenet\.h|(base|model|firewall)/[a-z_]+\.h|firewall/[a-z]+/[a-z_]+\.h'
check layer-ops only ops 'bridgenet\.h|(base|model|link|store|firewall|ops)/[a-z_]+\.h'
check layer-api only api 'bridgenet\.h|(base|model|ops|api)/[a-z_]+\.h'

# What ops/ is made of, from the bottom up: each file includes headers of those before it alone.
ops_order="context binding persistent rows plan strays rules coexist flows siblings opened ports named base mtu restraint
	driver behind interface routing wiring bridge settings removal change operation recover resolve backend
	network update move detach endpoint publish life collect names list comparison
	rewire inspection inspect_rules inspect_coexist inspect_definitions inspect_host inspect_bridges judge
	inspect_endpoints inspect_ports inspect_addresses inspect_flows inspect_strays
	check event sources watched watch suspects looking"

ops_top_to_bottom()
{
	local name before='context'
	for name in $ops_order; do
		before+="|$name"
		! grep -nE '#[[:space:]]*include[[:space:]]+"ops/' "lib/ops/$name".[ch] /dev/null |
			grep -vE "\"ops/($before)\.h\"\$" || return
	done
	same_lines 'the order' "$(tr -s ' \t\n' '\n' <<<"$ops_order")" lib/ops \
		"$(basename -a lib/ops/*.c | sed 's/\.c$//')"
}
check layer-ops-top-to-bottom ops_top_to_bottom

api_by_way_of_ops()
{
	# It may ask what backends there are, and how a rule reads.
	! grep -nE '\<(store|link|sandbox|hostport|sysctl|conntrack)_[a-z_]+\(' lib/api/*.c
}
check layer-api-by-way-of-ops api_by_way_of_ops

private_headers()
{
	! grep -nE '"(link/(private|rtnl)|store/private)\.h"' lib/ops/*.[ch] lib/api/*.[ch] ||
		return
	! grep -n '"firewall/iptables/' lib/firewall/nft/*.[ch] || return
	! grep -n '"firewall/nft/' lib/firewall/iptables/*.[ch]
}
check layer-private-headers private_headers

backends_apart()
{
	# What is shared by the backends names none of them but in the table of firewall.c.
	! grep -nE '#[[:space:]]*include[[:space:]]+"firewall/[a-z]+/' lib/firewall/*.[ch] \
		lib/base/*.[ch] lib/model/*.[ch] lib/link/*.[ch] lib/store/*.[ch]
}
check layer-backends backends_apart

model_is_pure()
{
	! grep -nE '#[[:space:]]*include[[:space:]]+<(sys/(ioctl|stat|mman|wait|file)|fcntl|pthread|sched|poll|sqlite3|libmnl|libnftnl|netlink)[./]' \
		lib/model/*.[ch]
}
check layer-model-is-pure model_is_pure

examples_use_the_header()
{
	! grep -rnE --include='*.[ch]' '#[[:space:]]*include[[:space:]]+["<](base|model|link|store|firewall|ops|api)/' \
		examples
}
check layer-examples examples_use_the_header

sources()
{
	find lib examples -name '*.[ch]' -o -name '*.py' -path 'examples/*'
}

file_length()
{
	! sources | xargs wc -l | awk '$1 > 600 && $2 != "total"' | grep .
}
check style-file-length file_length

line_length()
{
	! sources | while read -r file; do
		expand "$file" | awk -v file="$file" 'length > 100 { print file ":" NR ": " length }'
	done | grep .
}
check style-line-length line_length

function_length()
{
	local tags
	tags=$(find lib examples -name '*.c' -print0 |
		xargs -0 ctags --fields=+ne --kinds-C=f -f - 2>/dev/null) || return
	! awk -F '\t' '{
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/) first = substr($i, 6)
			if ($i ~ /^end:/) last = substr($i, 5)
		}
		if (last - first + 1 > 60) print $2 ": " $1 ": " last - first + 1 " lines"
	}' <<<"$tags" | grep .
}
if have ctags && ctags --version 2>/dev/null | grep -q Universal; then
	check style-function-length function_length
else
	skip style-function-length "no universal-ctags"
fi

licence()
{
	! find lib include examples tests configure.ac Makefile.am m4/bn_*.m4 -type f \
		\( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name '*.ac' -o -name '*.am' \
		-o -name '*.m4' -o -name '*.map' \) -print0 |
		xargs -0 grep -L 'SPDX-License-Identifier: LGPL-2.1-or-later' | grep .
}
check style-licence licence

sources_listed()
{
	same_lines 'the tree' "$(find lib -name '*.[ch]')" Makefile.am \
		"$(grep -oE '\blib/[a-z0-9_/]+\.[ch]\b' Makefile.am)"
}
check build-lists-sources sources_listed

tests_listed()
{
	same_lines 'the tree' "$(find tests -name '*.c' | sed 's/\.c$//')" Makefile.am \
		"$(grep -oE '\btests/[a-z0-9_/]+(\.c\b)?' Makefile.am | sed 's/\.c$//' |
			while read -r path; do [ ! -f "$path.c" ] || echo "$path"; done)"
}
check build-lists-tests tests_listed

exit $cases_failed
