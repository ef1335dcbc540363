#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Run a command in namespaces of its own, network, mounts and processes: tests/private.sh COMMAND...
# Whatever it leaves behind, or is killed with, goes when it ends, what it puts into TMPDIR too, and
# nothing of the machine is changed. Bash stays as the first process, which has to bury the orphans.

# shellcheck disable=SC2016 # for the shell inside
exec unshare --net --mount --pid --fork --kill-child --mount-proc bash -c '
	mount -t tmpfs -o mode=0755 tmpfs /run && mkdir -p /run/netns && mkdir -m 1777 /run/tmp &&
	ip link set lo up && TMPDIR=/run/tmp "$@"
	exit $?' bash "$@"
