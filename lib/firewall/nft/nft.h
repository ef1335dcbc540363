/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The nftables backend: one table `inet bridgenet` of constant size. Base chains with a fixed set
 * of rules look packets up in hash sets and maps; what comes and goes is their elements.
 */
#ifndef BN_FIREWALL_NFT_NFT_H
#define BN_FIREWALL_NFT_NFT_H

#include "firewall/firewall.h" /* <netinet/in.h> comes before <linux/netfilter.h> */
#include "base/netlink.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#define NFT_TABLE "bridgenet"
/* Of PLAN_ASKS_PORTS and PLAN_LISTS_PORTS a kernel has one. */
#define NFT_TRAITS                                                                    \
	(PLAN_BOTH_FAMILIES | PLAN_POSTROUTING_IN | PLAN_OWNERS | PLAN_DEVICE_KINDS | \
	 PLAN_INVALID_INPUT | PLAN_ASKS_PORTS | PLAN_LISTS_PORTS | PLAN_FRAMES)
uint32_t nft_traits(const char *release); /* as uname(2) has it */
/* How often work is begun again that another process's change to the rule set made void; with how
 * many of these it insists on the rule set that was read: whoever commits all the time would keep
 * it from ever being done. */
#define NFT_ATTEMPTS 30
#define NFT_INSISTS 4

/* As libmnl's, which converts lengths without saying so. */
#define NFT_ALIGN(len) (((len) + 3u) & ~3u)

extern const struct firewall_backend nft_backend;

/* There are two tables: what is about packets, and what is about frames that come to a bridge. An
 * object works on one of them. */
struct nft_table {
	const char *name; /* "inet bridgenet" */
	uint8_t family;   /* NFPROTO_* */
	enum rule_chain first_chain, end_chain;
	size_t first, end; /* numbers of fixed rules */
};
extern const struct nft_table nft_packets, nft_frames;

struct nft {
	struct firewall base;
	const struct nft_table *table;
	int fd;
	uint32_t sequence;
	size_t send_limit; /* bytes the kernel takes in one send, for now */
	char *batch;
	size_t batch_len, batch_capacity;
	size_t message; /* where the open message of the batch starts */
	/* The rule set in which the base was last found whole, or which came of our own commit to
	 * that: nobody has changed anything since. 0: the base is to be looked at. */
	uint32_t generation;
	/* In which an inspection last found nothing, 0: none; was that of all there is, and
	 * of which extras, too? */
	uint32_t inspected;
	bool inspected_all;
	uint32_t inspected_extra;
	uint32_t followed;  /* is_as_left() of firewall.h, while it is this one; 0: never */
	uint32_t refused;   /* the last that was no longer current */
	uint64_t *digests;  /* of the fixed rules; NULL: not made yet */
	bool extra_digests; /* those of extras as well, which few need; else 0 */
	uint64_t base_key;  /* of the base as we make it; 0: not made yet */
};

/* ---- netlink.c: transport ---- */

/* What the kernel said: the first error of an exchange. */
struct nft_reply {
	int code;                   /* negative errno, 0 */
	uint32_t sequence;          /* of the message it is about */
	char text[KERNEL_TEXT_MAX]; /* extended ack, "" for none */
	bool lost;                  /* a transaction was sent, and its answer not heard */
};

/* A new socket takes the place of the one there is. 0 or -errno, and then all is as it was. */
int nft_socket_open(struct nft *nft);

/* One message of the answer; non-zero ends the exchange with that code. */
typedef int (*nft_message_fn)(const struct nlmsghdr *message, void *data);

/* Start collecting messages; commit with nft_batch_commit(). generation: the commit is refused with
 * -ERESTART unless it is still the rule set's; 0 for any. 0, -ENOMEM */
int nft_batch_begin(struct nft *nft, uint32_t generation);
/* The same for requests that are not a transaction: sent with nft_batch_send(). */
void nft_requests_begin(struct nft *nft);
/* A new message with the given room for its attributes; NULL for -ENOMEM. Valid until the next. */
struct nlmsghdr *nft_batch_message(struct nft *nft, uint16_t type, uint16_t flags, size_t room);
/* The same for one about an object of our table, which that attribute names. */
struct nlmsghdr *nft_object_message(struct nft *nft, uint16_t type, uint16_t flags, uint16_t table,
				    size_t room);
/* Make room for more attributes in the open message, which may move. */
struct nlmsghdr *nft_batch_room(struct nft *nft, size_t room);
/* The transaction. 0 or reply->code, or an error of the transport (reply->code is 0 then):
 * -EMSGSIZE for one that is larger than nft->send_limit, the most that this process may send at
 * once. Where reply->lost, it was done as a whole or not at all. message: for what is echoed. */
int nft_batch_commit(struct nft *nft, nft_message_fn message, void *data, struct nft_reply *reply);
/* Send the requests, hand their answers to `message`. */
int nft_batch_send(struct nft *nft, nft_message_fn message, void *data, struct nft_reply *reply);

/* The number of the current rule set of the namespace. */
int nft_generation(struct nft *nft, uint32_t *ret_generation, struct nft_reply *reply);
/* The answer to that, among others. */
int nft_generation_message(const struct nlmsghdr *message, void *ret_generation);
/* Of the rule set that a change of ours to that one makes. */
uint32_t nft_generation_next(uint32_t generation);

/* *error from a failed exchange, -ERESTART if it came to nothing each time; `what` says what was
 * tried: "read the nftables rules". */
int nft_error(struct error *error, int r, const struct nft_reply *reply, const char *what);

/* ---- fixed.c: how each kind of rule is said ---- */

/* What a key or a value is made of; each field starts on a boundary of four bytes. */
enum nft_field {
	FIELD_NONE,
	FIELD_SOURCE4,
	FIELD_SOURCE6,
	FIELD_DESTINATION4,
	FIELD_DESTINATION6,
	FIELD_SOURCE4_NET, /* what lies in the prefix */
	FIELD_SOURCE6_NET,
	FIELD_DESTINATION4_NET,
	FIELD_DESTINATION6_NET,
	FIELD_PROTOCOL,
	FIELD_SOURCE_PORT,
	FIELD_PORT,
	FIELD_ORIGINAL4, /* where the connection was made to, before translation */
	FIELD_ORIGINAL6,
	FIELD_ORIGINAL_PROTOCOL,
	FIELD_ORIGINAL_PORT,
	FIELD_FAMILY,
	FIELD_IN,
	FIELD_OUT,
	FIELD_TO4,
	FIELD_TO6,
	FIELD_TO_PORT,
	FIELD_MAC,     /* that the frame comes from */
	FIELD_ARP_MAC, /* of the sender, as it says */
	FIELD_ARP_SOURCE,
	FIELD_TARGET6, /* of neighbour discovery */
	FIELD_COUNT
};
#define FIELDS_MAX 5          /* as many as nft(8) can say in a type */
#define HEADER_FRAME 0xfe     /* NFT_PAYLOAD_LL_HEADER is 0 */
#define HEADER_CONNTRACK 0xff /* no header, but the connection's original tuple */

/*
 * A rule of the plan is an element of more than one set where one look-up can't say all of it. The
 * others are parts: their set is looked up before by the rule of the set that follows them in their
 * kind, and those of the same family behind it. They count nothing, and a listing joins them to it.
 */
enum nft_part {
	NFT_PART_NONE,
	NFT_PART_GUARD,     /* the rule is about what is there, and spares others the rest */
	NFT_PART_EXCEPTION, /* the rule is not about what is there */
	NFT_PART_PASS,      /* a rule of its own: what comes by lo is through with the chain */
	NFT_PART_TWIN       /* and this: as that of the next set, but of another protocol */
};

/* A fixed rule of the table, and the set or map in which it looks packets up; or a part of one. */
struct nft_fixed {
	const char *set;                            /* NULL: one of the base */
	uint8_t key[FIELDS_MAX], value[FIELDS_MAX]; /* enum nft_field; a value makes it a map */
	const char *comment;                        /* NULL: of a part */
	enum nft_part part;
	uint8_t family;   /* of the packets, where the key does not tell */
	uint8_t protocol; /* the only one that the rule is about, whatever the set has; 0: any */
	uint16_t ether;   /* of frames of that type alone; 0: any */
	/* what spares others the look-up */
	bool bridges;                /* only what crosses a bridge, of whoever's */
	const struct prefix *within; /* only what goes there; NULL: to wherever */
	bool counts;                 /* its elements count connections */
};
/* By number, in the order of their chains and within them. */
#define NFT_FIXED_PER_KIND 12
#define NFT_FIXED (RULE_FOREIGN * NFT_FIXED_PER_KIND)
#define NFT_FIXED_OF(kind) ((kind)*NFT_FIXED_PER_KIND) /* the first of a kind */
const struct nft_fixed *nft_fixed_at(size_t id);       /* NULL: nothing has that number */
bool nft_fixed_has_rule(size_t id);                    /* false of a part, too */
bool nft_fixed_is_here(size_t id);                     /* on this kernel */
/* In the base, whatever elements there are. */
bool nft_fixed_always_stands(size_t id);
/* Which extra of the base the rule and its set belong to (extras.c); 0: to none. */
#define NFT_COUNTS 0x1u /* its elements count connections */
#define NFT_LOGS 0x2u   /* it tells of what is dropped */
uint32_t nft_fixed_extra(size_t id);
/* Does the rule of that number look the part up? */
bool nft_fixed_takes_part(size_t rule, size_t part);
enum rule_kind nft_fixed_kind(size_t id);
/* Of the packets that it looks at; AF_UNSPEC: both, and the family is part of the key. */
int nft_fixed_family(size_t id);
/*
 * Are the keys ranges? A range of several fields is one element with two keys. One of a single
 * field is two: that of its first key, and one that says where the next begins that is not in it.
 */
enum nft_ranges { RANGES_NONE, RANGES_SINGLE, RANGES_CONCATENATED };
enum nft_ranges nft_fixed_ranges(const struct nft_fixed *fixed);

/* How a rule has it. */
enum nft_form {
	FORM_NONE,
	FORM_ADDR,
	FORM_PREFIX, /* a single address */
	FORM_NET,    /* all that lie in the prefix */
	FORM_NAME,
	FORM_PORT,
	FORM_BYTE,
	FORM_FAMILY,
	FORM_MAC
};

struct nft_field_type {
	uint8_t size;
	uint8_t type; /* nft's number for it */
	bool host_order;
	uint8_t family;        /* of the rules that have it; AF_UNSPEC: both */
	uint8_t header, place; /* NFT_PAYLOAD_* and the offset in it; 0 and NFT_META_*;
				* HEADER_CONNTRACK and NFT_CT_* */
	uint8_t form;
	size_t member; /* of struct rule */
};
extern const struct nft_field_type nft_fields[FIELD_COUNT];

#define FIELD_SPACE(field) NFT_ALIGN(nft_fields[field].size)
#define KEY_MAX 64
#define VALUE_MAX 20
size_t nft_fields_size(const uint8_t fields[static FIELDS_MAX]);
/* nft's number for the concatenation. */
uint32_t nft_fields_type(const uint8_t fields[static FIELDS_MAX]);

/* ---- element.c: rules <-> set elements ---- */

struct nft_element {
	const struct rule *rule;
	uint16_t set; /* number of the fixed rule that looks there */
	bool end;     /* of a range, see nft_fixed_ranges() */
	bool skip;    /* nothing to do about it */
	bool over;    /* what is there under its key, and is of no form of ours, goes first */
	bool unlike;  /* what the kernel has of its first key is another range */
	uint8_t key[KEY_MAX];
	uint8_t value[VALUE_MAX];
};
typedef VECTOR(struct nft_element) nft_element_vector;

/* By set, since neighbours of one set share a message; then by key. */
int nft_element_order(const void *a, const void *b);
/* The subnet or address that its key begins with; NULL where that is an interface or a port. */
const struct prefix *nft_element_prefix(const struct nft_element *element);
bool nft_element_has_subnet(const struct nft_element *element);
/* What it takes: "port 8799/tcp of 127.0.0.1", a subnet, an address, a MAC, a link or a bridge. */
#define ELEMENT_TEXT_MAX 160
void nft_element_describe(const struct nft_element *element, char text[static ELEMENT_TEXT_MAX]);
/* The elements of the rules in that order; base rules have none. 0, -ENOMEM, -EINVAL */
int nft_elements_encode(const struct rule *rules, size_t len, nft_element_vector *elements,
			struct error *error);
/* Of a change: a part that rules of one network have in common, as it says nothing of what they
 * differ in, comes and goes once. */
void nft_elements_join(nft_element_vector *elements);

/* As in a comment that nft(8) shows: type 0, length, text with its NUL. */
#define COMMENT_MAX 128
struct nft_comment {
	uint8_t len;
	uint8_t data[COMMENT_MAX + 5];
};
void nft_comment_text(const char *text, struct nft_comment *ret_comment);
void nft_comment_owner(const struct rule *rule, struct nft_comment *ret_comment);
/* Behind it, of a mapping that is added with FIREWALL_FIRST. nft(8) does not show it, so that what
 * it lists and loads again, as what we make again, has none. */
void nft_comment_mark(struct nft_comment *comment);

/* One element as the kernel shows it; pointers into the message, NULL for none. The userdata is
 * without our mark. */
struct nft_element_view {
	const uint8_t *key, *key_end, *value, *userdata;
	size_t key_len, key_end_len, value_len, userdata_len;
	uint64_t packets, bytes;
	bool counts;          /* it has a counter */
	uint32_t connections; /* it is met when more than these are open; 0: always */
	bool first;           /* it is marked: it was made for FIREWALL_FIRST */
	bool end;
};
/* 0, -EBADMSG */
int nft_element_view(const struct nlattr *element, struct nft_element_view *ret_view);
bool nft_element_matches(const struct nft_element *element, const struct nft_element_view *view);
/* What is there in its place is of no form of ours, or a part of no rule: no list shows it, so
 * nobody can ask for it to be taken out. */
bool nft_element_goes_unseen(const struct nft_element *element,
			     const struct nft_element_view *view);
/* The last key of the range. */
void nft_element_key_end(const struct nft_element *element, uint8_t key_end[static KEY_MAX]);
/* What is the same in the rules of all elements of a set. */
void nft_element_blank(size_t set, struct rule *ret_rule);
/* The rest, into such a rule. False if it is not of the set's form. The owner is "" where the
 * element does not say. Of a range of a single field the addresses have no length. */
bool nft_element_decode(const struct nft_fixed *fixed, const struct nft_element_view *view,
			struct rule *rule);

/* ---- expression.c: what the rules are made of ---- */

struct nftnl_rule;

/* NULL for -ENOMEM. */
struct nftnl_rule *nft_fixed_build(size_t id);

/* The expressions as one line of text, without what counters count: equal text, equal rule. */
#define RULE_TEXT_MAX 1024
void nft_rule_text(struct nftnl_rule *rule, char text[static RULE_TEXT_MAX]);

/* ---- foreign.c ---- */

/* What someone else's rule matches and does, as far as a rule can say it, and its text in
 * rule->foreign. 0, -ENOMEM */
int nft_foreign_decode(struct nftnl_rule *kernel, struct rule *rule);

/* ---- whole.c ---- */

/* It is an answer to what we ask, and its attributes are as long as they should be, but for those
 * of elements and of a rule's expressions. */
bool nft_message_is_whole(const struct nlmsghdr *message);
/* "" for one that is not there, or no text. */
const char *nft_text(const struct nlattr *attribute);
/* False: libnftnl does not understand it, or would not survive it. */
bool nft_rule_parse(const struct nlmsghdr *message, struct nftnl_rule *rule);

/* ---- digest.c ---- */

/* Of equal rules it is equal, but for what a kernel may say that we don't know, and of others it is
 * not. rule: what its counter has counted. expressions: NULL for none. */
uint64_t nft_rule_digest(const struct nlattr *expressions, struct rule *rule);
/* nft->digests. 0, -ENOMEM */
int nft_digests_make(struct nft *nft);
int nft_extra_digests_make(struct nft *nft); /* after that */

/* ---- look.c: what stands of the base ---- */

/* A rule of ours where none belongs, beyond the first in its place; or what another has become. */
struct nft_copy {
	size_t id;
	enum rule_chain chain;
	uint64_t handle;
};

#define STRANGER_MAX 200
struct nft_base_state {
	const struct nft_table *of;
	uint32_t generation;  /* of the rule set, before anything of this was read */
	bool table, own;      /* it is there; and made by us */
	uint32_t table_flags; /* NFT_TABLE_F_* */
	bool chain[CHAIN_COUNT], set[NFT_FIXED]; /* there, and as we make it */
	bool settled[CHAIN_COUNT];               /* somebody has given it a policy */
	/* a chain or set by a name of ours that is another, as a sentence; "": none */
	char stranger[STRANGER_MAX];
	uint64_t handle[NFT_FIXED]; /* of the fixed rules; 0: missing */
	uint64_t packets[NFT_FIXED], bytes[NFT_FIXED];
	VECTOR(struct nft_copy) copies;
	rule_vector foreign; /* what else stands in our chains */
	/* which of our rules that are missing a foreign one was, as its handle says */
	uint64_t altered[NFT_FIXED]; /* its handle; 0: it is not there in another form */
};
void nft_base_state_clear(struct nft_base_state *state);
/* That each rule is there, and no more: its handle is 1. */
void nft_base_state_whole(const struct nft *nft, struct nft_base_state *state);
/* True of one rule set if state->generation is still its number. all: chains without a hook and
 * sets, too. */
int nft_base_look(struct nft *nft, bool all, struct nft_base_state *state, struct nft_reply *reply);
/* The table is in force, with chains and fixed rules: the same for every packet as when it was
 * made, but for what others have put before. */
bool nft_base_is_whole(const struct nft_base_state *state);
/* As nft_error(), of a failed change: a table that a program's socket owns is nobody else's. */
int nft_table_error(struct nft *nft, struct error *error, int r, const struct nft_reply *reply,
		    const char *what);
/* Into a listing: a row for what is amiss with the table or a chain as such. 0, -ENOMEM */
int nft_say_state(const struct nft_base_state *state, rule_vector *rules);

/* ---- known.c: what other processes know of it ---- */

/* nft->generation is the rule set that one of them has left, with the base that we make: true. */
bool nft_known_recall(struct nft *nft);
/* Tells them nft->generation. */
void nft_known_keep(struct nft *nft);
/* It is no longer current. */
void nft_known_refuse(struct nft *nft);

/* ---- table.c: making the base ---- */

#define NFT_TABLE_COMMENT "bridgenet: networks, endpoints and published ports"

struct nft_chain {
	const char *name;
	const char *type; /* NULL: not a base chain */
	uint32_t hook;
	int priority;
};
extern const struct nft_chain nft_chains[CHAIN_COUNT];
const char *nft_chain_name(enum rule_chain chain);
/* CHAIN_COUNT: none of that table's */
enum rule_chain nft_chain_by_name(const struct nft_table *table, const char *name);
bool nft_has_set(size_t id);
uint32_t nft_set_flags(const struct nft_fixed *fixed);

/* Into the batch: whatever of the base is missing, and of these extras. */
int nft_base_add(struct nft *nft, const struct nft_base_state *state, uint32_t extra);
/* Into the batch, a set as the base has it; with another name for its table. */
int nft_set_add(struct nft *nft, size_t id, const char *table);
int nft_rule_delete(struct nft *nft, enum rule_chain chain, uint64_t handle);
/* Why it can't be made over what is there; 0: it can. */
int nft_base_check(const struct nft_base_state *state, struct error *error);
/* Can the kernel have the table? 1; 0: it knows no frames. */
int nft_can_have(struct nft *nft, struct error *error);
int nft_present(struct firewall *firewall, struct error *error);
int nft_in_use(struct firewall *firewall, struct error *error);
/* nft(8) also writes where the first range does not begin yet, into a set without any. */
int nft_element_found(const struct nft_element_view *view, void *found);

/* ---- extras.c: what is in the base only while some element needs it ---- */

uint32_t nft_elements_extra(const nft_element_vector *elements);
uint32_t nft_rules_extra(const rule_vector *rules);
/* All that there is of them stands. */
bool nft_extra_stands(const struct nft_base_state *state, uint32_t extra);
/* Takes away, of each, the sets and their rules, if there is nothing in them any more. What it
 * can't do stays, and does no harm. */
void nft_extra_end(struct nft *nft, uint32_t extra);
int nft_can_count(struct firewall *firewall, struct error *error);
int nft_can_log(struct firewall *firewall, struct error *error);

/* ---- guards.c ---- */

/* Takes out of a listing, from the first on, those whose guards are missing. */
int nft_guards_check(struct nft *nft, rule_vector *rules, size_t first, struct nft_reply *reply);

/* ---- inspect.c ---- */

int nft_inspect(struct firewall *firewall, const rule_vector *planned, bool whole,
		finding_vector *findings, struct error *error);

/* ---- shadow.c ---- */

int nft_find_shadows(struct nft *nft, const rule_vector *planned, finding_vector *findings,
		     struct nft_reply *reply);

/* ---- openings.c ---- */

int nft_find_barriers(struct firewall *firewall, const struct passage *passages, size_t len,
		      barrier_vector *barriers, struct error *error);
int nft_find_openings(struct firewall *firewall, opening_vector *openings, struct error *error);
int nft_set_openings(struct firewall *firewall, const char *owner, const char *bridge,
		     const barrier_vector *barriers, struct error *error);

/* ---- remove.c ---- */

int nft_remove_base(struct firewall *firewall, struct error *error);

/* ---- watch.c ---- */

int nft_watch(struct firewall *firewall, struct firewall_watch **ret_watch, struct error *error);
void nft_hear(struct firewall_watch *watch, struct firewall *firewall,
	      struct firewall_news *ret_news);
void nft_unwatch(struct firewall_watch *watch);
int nft_stands(struct firewall_watch *watch, struct firewall *firewall, struct error *error);

/* ---- apply.c, parts.c, list.c ---- */

/* The change as one transaction; -EMSGSIZE: it does not fit one. */
int nft_apply_once(struct nft *nft, const struct firewall_change *change, struct error *error);
int nft_apply(struct firewall *firewall, const struct firewall_change *change, struct error *error);
int nft_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
	     struct error *error);
bool nft_is_as_left(struct firewall *firewall);

/* ---- lookup.c: elements and the kernel ---- */

/* Neighbours of one set share a message. */
struct nft_element_writer {
	struct nft *nft;
	uint16_t type, flags;
	bool values; /* write values and comments too */
	bool first;  /* and the mark */
	bool counts; /* and what its rule has counted */
	int set;     /* of the open message, -1 for none */
	size_t nest; /* where its list of elements starts */
};
/* 0, -ENOMEM */
int nft_element_write(struct nft_element_writer *writer, const struct nft_element *element);

/* What the kernel has for an element's key, NULL if nothing; called for each in order, but for the
 * ends of ranges. */
typedef void (*nft_found_fn)(struct nft_element *element, const struct nft_element_view *view,
			     void *data);
int nft_elements_look_up(struct nft *nft, nft_element_vector *elements, nft_found_fn found,
			 void *data, struct nft_reply *reply);

bool nft_set_is_missing(struct nft *nft, size_t set);

/* A negative return ends the walk. */
typedef int (*nft_element_fn)(const struct nft_element_view *view, void *data);
/* Each element that a message of the kernel has, of those that there are or that went. */
int nft_message_elements(const struct nlmsghdr *message, nft_element_fn element, void *data);
/* Each element of one set; -ENOENT without the set. The rule set may change meanwhile: compare
 * nft_generation() from before and after. */
int nft_set_dump(struct nft *nft, size_t set, nft_element_fn element, void *data,
		 struct nft_reply *reply);

#endif
