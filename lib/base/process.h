/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which process this is, and whether another one still lives. */
#ifndef BN_BASE_PROCESS_H
#define BN_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#define PID_NAMESPACE_MAX 48

/* Process ids come again, so the start time belongs to them; and they mean something only within a
 * namespace of processes: "" where /proc does not show ours. */
struct process {
	int64_t pid;
	uint64_t started; /* clock ticks after the boot */
	char pid_namespace[PID_NAMESPACE_MAX];
};

void process_self(struct process *ret_self);
/* Is it certain, seen from `self`, that the other has ended? Of one in another namespace it never
 * is. */
bool process_is_gone(const struct process *self, const struct process *other);

#endif
