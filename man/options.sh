#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Write bridgenet-options(7) from the table of the library that was built: man/options.sh BUILD
# With --check nothing is written; what would change is shown, and makes it fail.
set -euo pipefail
build=$1
check=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")"

"$build/bn" --json options | python3 -c '
import json, re, sys

HEAD = r"""
.\" SPDX-License-Identifier: LGPL-2.1-or-later
.\" Written by options.sh, from the table of options.
.Dd November 26, 2026
.Dt BRIDGENET-OPTIONS 7
.Os
.Sh NAME
.Nm bridgenet-options
.Nd options of contexts, networks, endpoints and ports
.Sh DESCRIPTION
What
.Xr bn_ctx_set_option 3 ,
.Xr bn_network_spec_set_option 3 ,
.Xr bn_endpoint_spec_set_option 3
and
.Xr bn_port_spec_set_option 3
take; a program has the same from
.Xr bn_options_list 3 .
A key that is not known is refused with
.Er EOPNOTSUPP
and
.Dv BN_REASON_OPTION_UNKNOWN ,
a value that is not legal with
.Er EINVAL ,
and options that mean nothing beside each other with
.Er EINVAL
and
.Dv BN_REASON_OPTION_CONFLICT ,
all by the call that takes the spec, and for a context by the call that sets it.
Keys and values hold no control characters, keys no
.Ql = .
.Pp
Where yes and no are values, true and 1, false and 0 are taken for them.
What stands as
.Dq also
is the name that others have for an option; it is kept, and shown, by the key and in the words of
this page.
Both at once must agree.
What is
.Dq live
can be changed while its object stands, by
.Xr bn_network_update 3 ,
.Xr bn_endpoint_update 3
or
.Xr bn_port_publish 3 ;
what is
.Dq "live for new ones"
then counts for what is made from then on.
Other changes are refused with
.Er EBUSY
and
.Dv BN_REASON_NOT_LIVE .
""".strip("\n")

TITLES = {
    "context": ("Contexts", "Set by\n.Xr bn_ctx_set_option 3 ;\n.Xr bn 1\nhas\n.Fl Fl option\n"
                            "for them."),
    "network": ("Networks", ""), "endpoint": ("Endpoints", ""), "port": ("Ports", ""),
}
TAIL = """
.Sh SEE ALSO
.Xr bn_ctx_new 3 ,
.Xr bn_endpoint_spec_new 3 ,
.Xr bn_network_spec_new 3 ,
.Xr bn_options_list 3 ,
.Xr bn_port_spec_new 3 ,
.Xr bridgenet 7
""".strip("\n")


def wrap(text):
    """Lines of text, a sentence begins a line, and a page that is named is a reference."""
    lines, line = [], ""
    for word in text.replace("\\", r"\e").split():
        page = re.match(r"^([a-z_0-9-]+)\((\d)\)([.,:;)]*)$", word)
        if page:
            if line:
                lines.append(line)
            lines.append(".Xr %s %s%s" % (page[1], page[2], " " + page[3] if page[3] else ""))
            line = ""
        elif line and (line.endswith(".") or len(line) + len(word) > 97):
            lines.append(line)
            line = word
        else:
            line = line + " " + word if line else word
    if line:
        lines.append(line)
    return [r"\&" + line if re.match(r"^[.\x27]", line) and not line.startswith(".Xr") else line
            for line in lines]


def entry(option):
    key = re.sub(r"^(.*\.)([A-Z]+)$", r"\1 Ns Ar \2", option["key"])
    said = [option["type"] + ";", "by default " + option["default"] + ";"
            if option["default"] else ""]
    said.append({"no": "", "yes": "live;", "new": "live for new ones;"}[option["live"]])
    said.append("also " + option["alias"] + ";" if option["alias"] else "")
    said.append("since " + option["since"] + ".")
    return [".It Li " + key] + wrap(" ".join(filter(None, said))) + [".br"] + \
        wrap(option["description"])


options = json.load(sys.stdin)
print(HEAD)
for scope in ("context", "network", "endpoint", "port"):
    title, text = TITLES[scope]
    print(".Ss " + title)
    if text:
        print(text)
    print(".Bl -tag -width Ds")
    for option in options:
        if option["scope"] == scope:
            print("\n".join(entry(option)))
    print(".El")
print(TAIL)
' >"$work/page"
if [ "$check" = --check ]; then
	diff -u bridgenet-options.7 "$work/page"
else
	cp "$work/page" bridgenet-options.7
fi
