/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table of one family, between reading it and putting another in its place. */
#ifndef BN_FIREWALL_IPTABLES_TABLE_H
#define BN_FIREWALL_IPTABLES_TABLE_H

#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"

#define NEW_ENTRY UINT32_MAX
#define NO_CHAIN UINT32_MAX
#define NEXT_RULE (UINT32_MAX - 1)

/* An entry. What leads to a chain has the offset of it in the block, which is written when it is
 * known. */
struct slot {
	const uint8_t *data; /* in the block, or in table->added */
	uint32_t number;     /* in the block, and so of its counters; NEW_ENTRY: it has none yet */
	uint32_t chain;      /* that it leads to; NEXT_RULE: it only counts; NO_CHAIN */
};

struct chain {
	char name[CHAIN_NAME_MAX];
	int hook;                /* of one of the kernel's; NO_HOOK */
	struct slot head;        /* without a hook */
	struct slot end;         /* its policy, or what leads back */
	struct slot *slots;      /* its rules */
	size_t len, capacity;    /* capacity 0: they are in table->slots */
	unsigned int references; /* jumps to it */
	uint32_t start;          /* offset of the first rule, or of the end */
};
#define NO_HOOK (-1)

typedef VECTOR(uint32_t) number_vector; /* of chains */

struct table {
	int family, fd;
	enum table_id id;
	bool changed;
	struct ipt_getinfo info; /* of the kernel's, until the table is in its place */
	struct ipt_get_entries *block;
	const uint8_t *entries; /* of the block */
	struct slot *slots;     /* of the rules in it */
	size_t slots_len;
	struct slot end; /* the last entry */
	VECTOR(struct chain) chains;
	number_vector order;     /* those that are not dropped, as they come in the table */
	number_vector names;     /* the same, by name */
	VECTOR(uint8_t *) added; /* entries */
};

size_t entry_size(int family, const uint8_t *data);
struct xt_standard_target *entry_target(int family, const uint8_t *data);
/* A verdict, or the offset of what is jumped to; false: the target is of a module. */
bool entry_verdict(int family, const uint8_t *data, int *ret_verdict);
/* `at`: its place in the order of the table. NULL without memory. */
struct chain *table_add_chain(struct table *table, const char *name, size_t at);

#endif
