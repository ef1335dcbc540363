/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The iptables-legacy backend: rules in chains of our own in the xtables tables raw, filter and
 * nat, changed in process by libip4tc and libip6tc, one commit for each table and family.
 */
#ifndef BN_FIREWALL_IPTABLES_IPTABLES_H
#define BN_FIREWALL_IPTABLES_IPTABLES_H

#include "firewall/firewall.h"

#include <errno.h>

extern const struct firewall_backend iptables_backend;

/* In the order in which what is added becomes effective: drops first. In mangle there is no rule of
 * the base: it is left alone unless a network has one there. */
enum table_id { TABLE_RAW, TABLE_MANGLE, TABLE_FILTER, TABLE_NAT, TABLE_COUNT };
enum { FAMILY_IPV4, FAMILY_IPV6, FAMILY_COUNT };
#define FAMILY_OF(index) ((index) == FAMILY_IPV4 ? AF_INET : AF_INET6)
#define FAMILY_INDEX(family) ((family) == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6)

/* ---- library.c: libip4tc and libip6tc ---- */

struct xtc_handle;
struct xt_counters;

/* Both have the same functions under two prefixes; an entry is a struct ipt_entry or ip6t_entry. A
 * chain's name comes in a buffer of CHAIN_NAME_MAX bytes. */
struct iptc {
	void *library;
	struct xtc_handle *(*init)(const char *table);
	void (*free)(struct xtc_handle *handle);
	int (*commit)(struct xtc_handle *handle);
	int (*is_chain)(const char *chain, struct xtc_handle *handle);
	int (*builtin)(const char *chain, struct xtc_handle *handle);
	const char *(*first_chain)(struct xtc_handle *handle);
	const char *(*next_chain)(struct xtc_handle *handle);
	int (*create_chain)(const char *chain, struct xtc_handle *handle);
	int (*delete_chain)(const char *chain, struct xtc_handle *handle);
	int (*get_references)(unsigned int *references, const char *chain,
			      struct xtc_handle *handle);
	const void *(*first_rule)(const char *chain, struct xtc_handle *handle);
	const void *(*next_rule)(const void *entry, struct xtc_handle *handle);
	const char *(*get_target)(const void *entry, struct xtc_handle *handle);
	int (*append_entry)(const char *chain, const void *entry, struct xtc_handle *handle);
	int (*insert_entry)(const char *chain, const void *entry, unsigned int index,
			    struct xtc_handle *handle);
	int (*delete_num_entry)(const char *chain, unsigned int index, struct xtc_handle *handle);
	const char *(*get_policy)(const char *chain, struct xt_counters *counters,
				  struct xtc_handle *handle);
	int (*set_policy)(const char *chain, const char *policy, struct xt_counters *counters,
			  struct xtc_handle *handle);
};

/* -EOPNOTSUPP with a sentence that says what to install. */
int iptc_load(int family, struct iptc *iptc, struct error *error);
void iptc_unload(struct iptc *iptc);

/* ---- lock.c: the lock that all programs take which change the tables ---- */

#define XTABLES_LOCK "/run/xtables.lock"
struct iptables;
struct waiter;
/* *ret_lock holds it until xtables_unlock(). -ETIMEDOUT, -ECANCELED */
int xtables_lock(struct iptables *iptables, int *ret_lock, struct error *error);
void xtables_unlock(const int *lock); /* for CLEANUP() */

/* An entry of a chain. */
struct table_entry {
	int family;
	const void *data;
	size_t len;
	const char *target; /* as libiptc names it, "" for none */
	unsigned int index;
};

/* ---- place.c: where rules stand ---- */

enum place {
	PLACE_RAW_PREROUTING,
	PLACE_RAW,
	PLACE_LOOPBACK,
	PLACE_OUTSIDE,
	PLACE_NETWORK_RAW,
	PLACE_SOURCES,
	PLACE_MANGLE_PREROUTING,
	PLACE_NETWORK_DIRECT,
	PLACE_CONNECTIONS,
	PLACE_MANGLE_FORWARD,
	PLACE_NETWORK_CLAMP,
	PLACE_INPUT,
	PLACE_HOST,
	PLACE_FORWARD,
	PLACE_USER,
	PLACE_OWN_FORWARD,
	PLACE_TO,
	PLACE_LISTS,
	PLACE_PEERS,
	PLACE_OPEN,
	PLACE_NETWORK_TRUSTED,
	PLACE_FROM,
	PLACE_GUARD,
	PLACE_NAT_PREROUTING,
	PLACE_NAT_OUTPUT,
	PLACE_INTERFACES,
	PLACE_PORTS,
	PLACE_NETWORK_PORTS,
	PLACE_POSTROUTING,
	PLACE_OWN_POSTROUTING,
	PLACE_NETWORK_POSTROUTING,
	PLACE_COUNT
};

enum place_type {
	PLACE_BUILTIN, /* a chain of the kernel: others' rules, and our jumps */
	PLACE_BASE,    /* a chain of ours that is there from the first network on */
	PLACE_NETWORK  /* a chain for each network */
};

struct place_info {
	uint8_t type;  /* enum place_type */
	uint8_t table; /* enum table_id */
	uint8_t chain; /* enum rule_chain: where a listing shows it */
	const char *name;
	const char *end; /* PLACE_NETWORK: the name is followed by the network's label and this */
	bool shared;     /* PLACE_BASE: networks have rules in it, and others of them lead there */
};
extern const struct place_info places[PLACE_COUNT];

#define IPTABLES_TRAITS (PLAN_PORT_RANGES | PLAN_OWN_CHAINS | PLAN_POSTROUTING_IN)
/* What a rule can say on a kernel of that release, as uname(2) has it. */
uint32_t iptables_traits(const char *release);
enum place rule_place(const struct rule *rule);
enum table_id rule_table(const struct rule *rule);
/* Where what it leads to stands. */
enum place jump_place(const struct rule *rule);
/* Among those of its place the order is of no matter. */
bool rule_in_any_order(const struct rule *rule);
void place_chain(enum place place, const char *label, char name[static CHAIN_NAME_MAX]);
/* Which of a network's chains in that table has the name; those of the tree count as the one that
 * they hang from. */
enum place network_place(enum table_id id, const char *chain);
void iptables_chain_name(const struct rule *rule, char name[static CHAIN_NAME_MAX]);
void iptables_jump_name(const struct rule *rule, char name[static CHAIN_NAME_MAX]);

/* As entry_decode(), of an entry that stands in that place: with chain, kind and jump. RULE_FOREIGN
 * for what is like no rule of ours there. */
int place_read(enum place place, const struct table_entry *entry, struct rule *rule);
/* So read, it leads on through the tree. */
bool place_is_node_jump(enum place place, int decoded, const struct rule *rule);

/*
 * The tree of ports. The first DNAT rules stand in their network's chain, flat; what comes when
 * FLAT_MAX are there goes by its port into a node below: chains of 64 ports, below chains of
 * 2048 ports, below the network's. A rule never moves once it stands: the kernel counts packets
 * while a table is being replaced, and they would be lost to a rule that is taken out and put in
 * again.
 */
#define FLAT_MAX 64
#define LEAF_PORTS 64u
#define BRANCH_PORTS 2048u
/* How many ports the smallest node spans that has room for all ports of the rule: LEAF_PORTS,
 * BRANCH_PORTS, or 0 for the network's own chain. */
uint32_t node_span(const struct rule *rule);
/* The node of that span with the rule's ports, of the network whose chain is named. */
void node_chain(const struct rule *rule, uint32_t span, const char *chain,
		char name[static CHAIN_NAME_MAX]);
/* The rule that leads to it. */
void node_jump(const struct rule *rule, uint32_t span, struct rule *ret_jump);

/* ---- encode.c, decode.c: rules <-> entries of the kernel ---- */

#define ENTRY_MAX 1024
struct entry {
	_Alignas(8) uint8_t data[ENTRY_MAX];
	size_t len;
};
#define ENTRY_COMMENT 0x1u /* say whose it is */
#define ENTRY_PREFIX 0x2u  /* interfaces: all whose names begin so */
/* jump: the chain, for a rule that jumps. */
void entry_encode(const struct rule *rule, const char *jump, uint32_t flags, struct entry *entry);

/* What an entry says, as far as a rule can say it. */
#define DECODED_FOREIGN 1 /* it says more than *rule does */
#define DECODED_PREFIX 2  /* just that, of all interfaces whose names begin so */
/* rule->kind and rule->chain are left to the caller. 0, one of DECODED_*, or -EBADMSG for what is
 * malformed. */
int entry_decode(const struct table_entry *entry, struct rule *rule);
/* The ports alone, and fast: false if the entry does not match ports of a protocol. */
bool entry_ports(const struct table_entry *entry, uint8_t *ret_protocol, uint16_t *ret_first,
		 uint16_t *ret_last);
/* It matches every packet. */
bool entry_is_unconditional(const struct table_entry *entry);
/* It takes every packet and gives none back; asked of others' rules. */
bool entry_is_dead_end(const struct table_entry *entry);
/* In the words of iptables-save(8), and what has none as "[match NAME]". */
#define ENTRY_TEXT_MAX 512
void entry_text(const struct table_entry *entry, char text[static ENTRY_TEXT_MAX]);

/* What both families' entries have in common. */
struct entry_head {
	uint8_t *source, *source_mask, *destination, *destination_mask;
	char *in, *out;
	unsigned char *in_mask, *out_mask;
	uint8_t *flags, *inverted;
	uint16_t *target_offset, *next_offset;
	struct xt_counters *counters;
	size_t len;
	uint8_t goto_flag;
};
void entry_head(int family, void *data, struct entry_head *ret_head);

/* ---- table.c: one table of one family ---- */

struct table {
	const struct iptc *iptc;
	struct xtc_handle *handle;
	int family;
	enum table_id id;
	bool changed;
};

const char *table_name(enum table_id id);
/* The chains of the kernel, of whichever table: some tables have only some of them. */
#define HOOK_COUNT 5
extern const char table_hooks[HOOK_COUNT][CHAIN_NAME_MAX];
/* -EOPNOTSUPP when the kernel lacks it. */
int table_open(const struct iptc *iptc, int family, enum table_id id, struct table *ret_table,
	       struct error *error);
void table_close(struct table *table);

/* Each entry of a chain, none if there is no such chain. Non-zero ends the walk with it. The walk
 * must neither change the table nor start another. */
typedef int (*table_fn)(const struct table *table, const struct table_entry *entry, void *data);
int table_walk(const struct table *table, const char *chain, table_fn fn, void *data);

bool table_has_chain(const struct table *table, const char *chain);
/* All of them, NULL at the end; not while chains come or go. */
const char *table_first_chain(const struct table *table);
const char *table_next_chain(const struct table *table);
bool table_chain_is_empty(const struct table *table, const char *chain);
unsigned int table_references(const struct table *table, const char *chain);
/* 0 or -errno of libiptc, which is -ENOMEM but for a mistake of ours. */
int table_create_chain(struct table *table, const char *chain);
/* Only a chain that is there, empty and that nothing jumps to. */
int table_drop_chain(struct table *table, const char *chain);
#define TABLE_END UINT32_MAX
int table_insert(struct table *table, const char *chain, unsigned int index,
		 const struct entry *entry);
int table_delete(struct table *table, const char *chain, unsigned int index);
/* All entries that jump to `target`. */
int table_delete_jumps(struct table *table, const char *chain, const char *target);
/* -EAGAIN: it was changed since it was opened. */
int table_commit(struct table *table);

/* ---- edit.c, ports.c: a change of one table, before it is committed ---- */

struct item {
	const struct rule *rule;
	char chain[CHAIN_NAME_MAX];
	char jump[CHAIN_NAME_MAX]; /* where it leads on, "" */
	size_t flat;               /* not found: how many of its kind stand in its chain */
	uint64_t packets, bytes;   /* that it goes on from when it is put in */
	bool found;                /* in the kernel */
	bool moved;                /* was there, but out of its place: taken out */
	bool is_blocked;           /* others' rule in its chain lets no packet past */
	struct item *origin;       /* of which this is a part of the work, NULL */
};
typedef VECTOR(struct item) item_vector;

/* To be sorted by chain, then rule_compare_unowned(). Counters are those of the rule. */
int item_add(item_vector *items, const struct rule *rule);
/* Those of a table. */
int items_pick(item_vector *items, const struct rule *rules, size_t len, const struct table *table);
void items_sort(item_vector *items);
/* How many of the sorted items, from that one on, are of its chain. */
size_t items_run(const item_vector *items, size_t first);

struct edit {
	struct table *table;
	item_vector add, remove;
	uint32_t flags; /* FIREWALL_*; with FIREWALL_REPAIR, `add` is all that is to be there */
	bool comments;
	bool is_part; /* `add` is about some networks only */
	/* A look: what is not in order is added here, and nothing put in. NULL: it is a change. */
	finding_vector *findings;
	/* where the last DNAT rule went, and the next goes if it is of that chain: one after the
	 * other, they are not to be looked for a place each */
	struct {
		char chain[CHAIN_NAME_MAX];
		unsigned int index;
	} filling;
};

void item_encode(const struct edit *edit, const struct item *item, struct entry *entry);
/* It is taken out, to be put in elsewhere: what it has counted is not to be lost. */
void item_take(struct item *item, const struct table_entry *entry);

/* Which of the items, all of one chain and sorted, stand in it in their place. Copies of them are
 * taken out: somebody has loaded a saved rule set twice. */
#define FIND_DELETE 0x1u /* take them out, wherever in it they stand */
#define FIND_REVIVE 0x2u /* take out those that are out of their place, to be put in again */
int chain_find(const struct edit *edit, struct item *items, size_t len, uint32_t flags);
/* Add a chain of a network or of the tree to those to be looked at; once, where others may have
 * added it. 0, -ENOMEM */
int chain_note(item_vector *chains, const char *chain, bool may_be_known);
/* -EEXIST, -ENOENT, FIREWALL_BASE_MISSING as firewall.h has it. */
int edit_table(struct edit *edit, struct error *error);
/* Does the base stand? What is missing is added with FIREWALL_BASE, else FIREWALL_BASE_MISSING.
 * With FIREWALL_REPAIR it is added in any case, to be looked at with the rest. */
int base_check(struct edit *edit, item_vector *base);

/* position.c: where in a chain a rule of the kind is to stand, or a jump to a node of such.
 * moved: it was there, out of its place. */
unsigned int edit_position(const struct edit *edit, const char *chain, enum rule_kind kind,
			   bool is_node_jump, bool moved);

/* ---- repair.c: what only FIREWALL_REPAIR looks at ---- */

static inline bool edit_repairs(const struct edit *edit)
{
	return edit->flags & FIREWALL_REPAIR;
}
/* In a look, about a chain: severity and should_be as in struct finding; label: of the network
 * that it is of. Nothing in a change. 0, -ENOMEM */
int edit_report(const struct edit *edit, const struct finding *finding, const char *chain);
bool is_own_chain(const char *name);
/* In a look, of the base: what is missing of the networks, others see as well. */
int edit_report_missing(const struct edit *edit);
/* Chains of ours that nothing leads to, and that are of nothing that is to be there. */
int edit_drop_leftovers(struct edit *edit);

/* ---- foreign.c: rules of others before ours ---- */

/* The first in the chain that lets past ours what they are about, TABLE_END for none. */
int foreign_first_past(const struct edit *edit, enum place place, const char *chain,
		       unsigned int *ret_index);
/* Those of a chain that have been told of. */
struct foreign_notes {
	VECTOR(unsigned int) indexes;
	unsigned int last_of_ours;
};
/* In a look: others' rule in the chain of the item; and how bad they are, when all is known. */
int foreign_note(const struct edit *edit, enum place place, const struct table_entry *entry,
		 const struct item *item, struct foreign_notes *notes);
void foreign_notes_end(const struct edit *edit, struct foreign_notes *notes);
/* In a look: what translates connections before ours do, and what drops them. */
int foreign_look(const struct edit *edit);

int iptables_inspect(struct firewall *firewall, const rule_vector *planned, bool whole,
		     finding_vector *findings, struct error *error);

/*
 * dispatch.c: where so many rules of a kind about networks stand in a chain of ours, those of
 * further networks go into nodes below it: by the first hexadecimal digit of the bridge's name,
 * where the library has made it up, or by how the subnet begins. So a packet meets few of them with
 * any number of networks. No rule moves here either. What is in a node is listed as if it stood in
 * the chain.
 */
#define DISPATCH_BRIDGES 8 /* each may have a node of its own */
#define DISPATCH_SUBNETS 1 /* mostly all are in one node, which most packets pass by */
/* The node of a rule, whether it stands there or not; false: it has none. */
bool dispatch_node(const struct rule *rule, char name[static CHAIN_NAME_MAX]);
/* The kind of the rules whose node is named so, RULE_FOREIGN if it is no name of one. */
enum rule_kind dispatch_kind(const char *chain);
/* The same of the node that an entry leads to, which was read as *rule. */
enum rule_kind dispatch_read(const struct table_entry *entry, int decoded, const struct rule *rule);
/* Those of the items that are not found in their chain itself; flags: FIND_* */
int dispatch_find(const struct edit *edit, struct item *items, size_t len, uint32_t flags);
/* Who among those to be added goes into a node, which is made. */
int dispatch_place(struct edit *edit);
/* A node that nothing leads to: FIREWALL_BASE_MISSING, or it is mended. With FIREWALL_REPAIR, to be
 * called when the rules of the chains were looked for: what leads there is one, in its place. */
int dispatch_check(struct edit *edit);

/* DNAT rules: out of the tree; and whether they may come, and where to. */
int ports_remove(struct edit *edit, struct item *items, size_t len);
int ports_remove_strays(struct edit *edit, const struct rule *jump, const struct prefix *subnet);
int ports_place(struct edit *edit, struct error *error);
int ports_insert(struct edit *edit, const struct item *item);
/* A node, with what leads there, unless something does; or that alone. */
int ports_make_node(struct edit *edit, const struct rule *rule, uint32_t span, const char *parent,
		    const char *node);
int ports_put_node(struct edit *edit, const struct rule *rule, uint32_t span, const char *parent,
		   const char *node);
/* It is that of the network's, or hangs from it. */
bool ports_chain_is_of(const char *chain, const char *network);

/* tree.c: in a repair, the tree below the chains of the DNAT rules */
int tree_mend(struct edit *edit);
/* A rule of that network's chain is met in that one. */
bool ports_are_reached(const char *chain, const struct item *item);

/* ---- the object ---- */

struct known_table {
	unsigned int entries, size; /* as the kernel said when the base stood; 0: not known */
};

struct iptables {
	struct firewall base;
	struct iptc iptc[FAMILY_COUNT];
	int fd[FAMILY_COUNT]; /* for asking; -1: the kernel lacks the family */
	struct known_table known[FAMILY_COUNT][TABLE_COUNT];
	rule_vector rules; /* the base */
	char *lock_file;
	struct waiter *waiter; /* left in line by a call that ended */
	bool comments;
};

/* probe.c */
/* Is there such a table in this namespace already? Asking for one makes it. */
bool iptables_table_exists(int family, enum table_id id);
int iptables_probe(int family, int *ret_fd, struct error *error);
int iptables_table_info(const struct iptables *iptables, int family, enum table_id id,
			struct known_table *ret_known);
int iptables_can_log(struct firewall *firewall, struct error *error);
int iptables_can_count(struct firewall *firewall, struct error *error);
/* *error for a commit that the kernel refused: names what it lacks. */
int iptables_commit_error(const struct iptables *iptables, const struct table *table, int code,
			  struct error *error);

/* For each table that is there, until `fn` gives other than 0; asking for another would make it. */
int iptables_each_table(const struct iptables *iptables, int (*fn)(const struct table *, void *),
			void *data, struct error *error);
/* To apply wants the lock to be held; and so does a list whose counters are to be right, as they
 * are incomplete between a commit and the putting back of the old ones. */
int iptables_apply_locked(struct iptables *iptables, const struct firewall_change *change,
			  struct error *error);
int iptables_list_locked(struct iptables *iptables, rule_vector *rules, struct error *error);
/* A network, of this or of another state, has rules among these. */
bool rules_have_network(const rule_vector *rules);

int iptables_apply(struct firewall *firewall, const struct firewall_change *change,
		   struct error *error);
int iptables_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		  struct error *error);
int iptables_present(struct firewall *firewall, struct error *error);
int iptables_in_use(struct firewall *firewall, struct error *error);
int iptables_remove_base(struct firewall *firewall, struct error *error);

/* openings.c */
#define COEXIST_CHAIN "BRIDGENET-COEXIST"
bool iptables_may_stop(void);
int iptables_find_barriers(struct firewall *firewall, const struct passage *passages, size_t len,
			   barrier_vector *barriers, struct error *error);
int iptables_find_openings(struct firewall *firewall, opening_vector *openings,
			   struct error *error);
int iptables_set_openings(struct firewall *firewall, const char *owner, const char *bridge,
			  const barrier_vector *barriers, struct error *error);

/* watch.c */
int iptables_watch(struct firewall *firewall, struct firewall_watch **ret_watch,
		   struct error *error);
void iptables_hear(struct firewall_watch *watch, struct firewall *firewall,
		   struct firewall_news *ret_news);
void iptables_unwatch(struct firewall_watch *watch);
int iptables_stands(struct firewall_watch *watch, struct firewall *firewall, struct error *error);
uint32_t iptables_changed(struct firewall_watch *watch, struct firewall *firewall);

#endif
