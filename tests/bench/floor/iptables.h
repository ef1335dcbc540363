/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel asks for a published port where the rules are those of iptables-legacy: table nat
 * read, spliced and replaced, by bare socket options, by libiptc alone, and by the programs of
 * iptables. The floors that the library is measured against.
 *
 * All work on one chain, which is flat and jumped to from PREROUTING and OUTPUT, in a namespace of
 * its own, so that this table and the library's can have the same number of rules. Rule n leads TCP
 * port n + 1 to an address; rules are appended and removed at the end of the chain.
 */
#ifndef BN_BENCH_FLOOR_IPTABLES_H
#define BN_BENCH_FLOOR_IPTABLES_H

#include <stddef.h>

#define FLOOR_IPTABLES_CHAIN "FLOOR"

struct floor_iptables;

/* The namespace and the empty chain. All return 0 or a negative errno. */
int floor_iptables_open(struct floor_iptables **ret_floor);
void floor_iptables_close(struct floor_iptables *floor);

/* The calling thread goes there, where libiptc and the programs work, and back. */
void floor_iptables_enter(struct floor_iptables *floor);
void floor_iptables_leave(struct floor_iptables *floor);

/* Bare socket options; one commit. */
int floor_iptables_add(struct floor_iptables *floor, size_t first, size_t len);
int floor_iptables_delete(struct floor_iptables *floor, size_t len);
/* The information and the entries, with counters; how many rules of the chain there are. */
int floor_iptables_read(struct floor_iptables *floor, size_t *ret_len);

/* libiptc; one commit. count: how many rules there are before. The list goes to each rule. */
int floor_libiptc_add(size_t first, size_t len);
int floor_libiptc_delete(size_t count, size_t len);
int floor_libiptc_list(size_t *ret_len);

/* iptables-legacy once for each rule; iptables-legacy-restore --noflush once for all. */
int floor_program_add(size_t first, size_t len);
int floor_program_delete(size_t first, size_t len);
int floor_restore_add(size_t first, size_t len);
int floor_restore_delete(size_t first, size_t len);
/* iptables-legacy -t nat -L -v -n into nowhere. */
int floor_program_list(void);

/* Run a program, with the text as its input if there is one; -EIO if it fails. */
int floor_run_program(const char *const argv[], const char *input);

#endif
