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

/*
 * Tells a forked child from the process that opened it: by a page that the kernel wipes in a child,
 * so that asking takes no system call, or, before Linux 4.14, by pid and start time.
 *
 * After vfork(), or clone() with CLONE_VM, parent and child have the same memory, this included:
 * such a child counts as the parent, which is right, as what it does there the parent finds done.
 */
struct fork_guard {
	unsigned char *page; /* holds 1; NULL without such pages */
	int64_t pid;
	uint64_t started; /* 0: /proc did not say */
};
int fork_guard_open(struct fork_guard *guard); /* -ENOMEM */
void fork_guard_close(struct fork_guard *guard);
/* Fit for a signal handler. */
bool fork_guard_is_child(const struct fork_guard *guard);

/* Returns when what packets met on their way through the kernel as this was called they have behind
 * them: 8 to 20 ms. At once where the kernel does not let us wait. */
void process_await_packets(void);

#endif
