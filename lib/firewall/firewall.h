/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The backend interface. A backend translates rules (model/rule.h) to and from the kernel; it
 * decides nothing. It works in the network namespace of the thread that opened it.
 */
#ifndef BN_FIREWALL_FIREWALL_H
#define BN_FIREWALL_FIREWALL_H

#include "base/clock.h"
#include "firewall/passage.h"
#include "model/finding.h"
#include "model/plan.h"

struct firewall;

struct firewall_config {
	const char *lock_file; /* of the xtables tables; NULL: the usual one */
	bool comments;         /* say in each rule whose it is, where that is a choice */
};

/* The base (tables, chains, base rules) is missing: apply again with FIREWALL_BASE. */
#define FIREWALL_BASE_MISSING (-ENOTCONN)

#define CHAIN_NAME_MAX 32

#define FIREWALL_BASE 0x1u       /* make the base first where it is missing, same commit */
#define FIREWALL_MISSING_OK 0x2u /* a rule to remove that is not there is no error */
#define FIREWALL_LEAVING 0x4u    /* nothing relies on the base any more: it is not looked at */
#define FIREWALL_FIRST 0x8u      /* the mappings to add have never been in force before */
/* Whatever of the base is not as it was made is put right with it, and what is to be added and has
 * been altered: in the same commit, so all that is right stays, with its counters. Where rules have
 * an order, that too: `stand` and what is to be added are all that there is to be. */
#define FIREWALL_REPAIR 0x10u

/* Nothing about frames: those rules are the same with every backend, and stay where they are. */
#define FIREWALL_PACKETS 0x20u

/* One change: all of it or nothing, but for what says that a part was done (firewall->partly).
 * Drops are in force before accepts and DNATs, and go after. A rule to add that is there already,
 * equal and of the same owner, is no error and stays as it is. */
struct firewall_change {
	const struct rule *add;
	size_t add_len;
	const struct rule *remove;
	size_t remove_len;
	/* of the networks and endpoints that it is about: they must be there as well, where the
	 * backend reads them anyway; else FIREWALL_BASE_MISSING */
	const struct rule *stand;
	size_t stand_len;
	uint32_t flags;
};

/* Changes of rules as they are heard of. It needs the firewall for nothing that it keeps. */
#define FIREWALL_PROGRAM_MAX 16
struct firewall_news {
	bool ours;   /* where rules of ours are, or belong, something may have been changed */
	bool others; /* something was changed elsewhere */
	/* by whom, as the kernel names the last one that is known; "": it does not say */
	char program[FIREWALL_PROGRAM_MAX];
};
#define FIREWALL_CHANGED_OURS 0x1u
#define FIREWALL_CHANGED_OTHERS 0x2u
struct firewall_watch {
	const struct firewall_backend *backend;
	/* to be polled, and heard then: at once, and once in a while; -1: there is none, and each
	 * second it is to be heard without being asked */
	int ours, others;
};

struct firewall_backend {
	const char *name;
	uint32_t (*traits)(void); /* PLAN_*, on this kernel */

	/* -EOPNOTSUPP with BN_REASON_BACKEND_UNAVAILABLE when the kernel lacks it, -EPERM. */
	int (*open)(const struct firewall_config *config, struct firewall **ret_firewall,
		    struct error *error);
	void (*close)(struct firewall *firewall);

	/* 1 if rules of ours are in the kernel, 0 if not, negative on error. A look takes no lock,
	 * and makes nothing. */
	int (*present)(struct firewall *firewall, struct error *error);

	/* It looks whether the base is as it was made, where others have changed something since.
	 * -EEXIST with BN_REASON_PORT_IN_USE when a host port leads elsewhere in the kernel itself,
	 * or BN_REASON_SUBNET_OVERLAP or BN_REASON_ADDRESS_IN_USE, of a MAC (the sentence names
	 * what it is), or with
	 * BN_REASON_KERNEL when somebody else's is where a part of the base belongs,
	 * FIREWALL_BASE_MISSING (no sentence; the change may have been made all the same), -ENOENT
	 * a rule to remove is missing, -ETIMEDOUT, OUTCOME_UNKNOWN. */
	int (*apply)(struct firewall *firewall, const struct firewall_change *change,
		     struct error *error);

	/* Append what is not as apply() made it, but for rules that list() shows to be missing
	 * or to be nobody's: the base gone, or in parts (FINDING_RULES_GONE, FINDING_RULES_BASE,
	 * FINDING_TABLE_DORMANT, FINDING_RULES_ORDER), rules of others in chains of ours
	 * (FINDING_RULE_ALIEN), or before ours (FINDING_RULE_SHADOWS). planned: what should be
	 * there, without the base; whole: it is all of that. A look, which changes nothing. */
	int (*inspect)(struct firewall *firewall, const rule_vector *planned, bool whole,
		       finding_vector *findings, struct error *error);

	/* 1 if rules that are not ours are in its tables, 0 if not, negative on error. A look as
	 * well. */
	int (*in_use)(struct firewall *firewall, struct error *error);

	/* Append what is in the kernel to *rules, in the order of rule_compare(). wanted: those of
	 * these rules alone, which are looked up; NULL for all, base and foreign rules in our
	 * chains too. Without PLAN_OWNERS always all, in no order, until somebody says whose they
	 * are. */
	int (*list)(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		    struct error *error);

	/* Is all that the kernel has what the last list() of all has shown, and what apply() has
	 * made of it since? NULL: nobody knows. */
	bool (*is_as_left)(struct firewall *firewall);

	/* Take the base away, unless it still serves someone: a user chain that holds a rule stays
	 * (with the jump to it), and nothing is removed while network rules are left. What others
	 * made stays, and what their rules use: firewall->note says so. */
	int (*remove_base)(struct firewall *firewall, struct error *error);

	/* Tell from now on when rules may have been changed, by whoever. */
	int (*watch)(struct firewall *firewall, struct firewall_watch **ret_watch,
		     struct error *error);
	/* What was heard since it was last asked; waits for nothing. */
	void (*hear)(struct firewall_watch *watch, struct firewall *firewall,
		     struct firewall_news *ret_news);
	void (*unwatch)(struct firewall_watch *watch);
	/* Does the base stand, as far as that is seen at once? 1; 0: not, or not all of it. */
	int (*stands)(struct firewall_watch *watch, struct firewall *firewall, struct error *error);
	/* FIREWALL_CHANGED_*: what is another since this was last asked, after `ours` was heard; it
	 * may take long. NULL: what is heard is so. */
	uint32_t (*changed)(struct firewall_watch *watch, struct firewall *firewall);

	/* Chains of others at the forward hook, in tables of its kind (passage.h). Can there be one
	 * at all? */
	bool (*may_stop)(void);
	int (*find_barriers)(struct firewall *firewall, const struct passage *passages, size_t len,
			     barrier_vector *barriers, struct error *error);
	/* All that are there, of whoever's networks. */
	int (*find_openings)(struct firewall *firewall, opening_vector *openings,
			     struct error *error);
	/* Makes those of the network stand at the head of each of the chains, and nowhere else in
	 * it; or takes out all of its openings, wherever, where barriers is NULL. What is there
	 * already, or gone, is no error. owner: digits of the network's id. */
	int (*set_openings)(struct firewall *firewall, const char *owner, const char *bridge,
			    const barrier_vector *barriers, struct error *error);
	/* 0 if rules can count connections here; or -EOPNOTSUPP. It changes nothing. */
	int (*can_count)(struct firewall *firewall, struct error *error);
	/* The same of rules that write into the kernel's log. */
	int (*can_log)(struct firewall *firewall, struct error *error);

	/* How this backend calls the chain that a rule stands in, and the one that it jumps to. */
	void (*chain_name)(const struct rule *rule, char name[static CHAIN_NAME_MAX]);
	void (*jump_name)(const struct rule *rule, char name[static CHAIN_NAME_MAX]);
};

/* What a backend tells itself from one process to the next: a number that counts up, under a key
 * that says what it is true of. It may be lost at any time. */
struct firewall_memory {
	uint64_t (*recall)(void *data, uint64_t key); /* 0: nothing */
	void (*keep)(void *data, uint64_t key, uint64_t number);
	void *data;
};

#define FIREWALL_NOTE_MAX 320
struct firewall {
	const struct firewall_backend *backend;
	const struct deadline *deadline; /* of its calls; set once it is open */
	struct firewall_memory memory;   /* set then, too; all NULL: there is none */
	/* The last change was more than this process may send at once, so it went in parts; when it
	 * failed, those before the failure stand. */
	bool partly;
	/* The last change was done as it was asked for, and all that it removed were mappings that
	 * no packet has ever met, as long as they stood: of their counters, and since
	 * FIREWALL_FIRST. */
	bool unmet;
	struct firewall *frames;      /* in which rules about frames are; NULL: not needed yet */
	char note[FIREWALL_NOTE_MAX]; /* what the last call has left, for the log; "": nothing */
};

/* NULL-terminated, in order of preference. */
extern const struct firewall_backend *const firewall_backends[];
const struct firewall_backend *firewall_backend_by_name(const char *name); /* NULL: unknown */

/* Is a kernel of that release, as uname(2) has it, at least that one? */
bool firewall_kernel_is(const char *release, unsigned long major, unsigned long minor);

/* of nft/: the object of the table, and whether the kernel can have it */
int nft_open_frames(struct firewall **ret_firewall, struct error *error);
int nft_has_frames(struct firewall *firewall, struct error *error);

/* ---- frames.c: a backend, and beside it the table of rules about frames ---- */

uint32_t firewall_traits(void); /* PLAN_FRAMES, of this build */
void firewall_close(struct firewall *firewall);
/* Can there be rules about frames? 1; 0: not with this kernel, or this build; or negative. */
int firewall_has_frames(struct firewall *firewall, struct error *error);
/* As those of the backend. A change of both is two, and the first stands when the second fails:
 * firewall->partly. */
int firewall_apply(struct firewall *firewall, const struct firewall_change *change,
		   struct error *error);
int firewall_remove_base(struct firewall *firewall, struct error *error);
int firewall_list(struct firewall *firewall, const rule_vector *wanted, rule_vector *rules,
		  struct error *error);
int firewall_inspect(struct firewall *firewall, const rule_vector *planned, bool all,
		     finding_vector *findings, struct error *error);
/* What the backend does not hear of by itself, of which `ours` is to be polled; NULL: nothing. */
int firewall_watch_frames(struct firewall *firewall, struct firewall_watch **ret_watch,
			  struct error *error);
void firewall_chain_name(const struct firewall_backend *backend, const struct rule *rule,
			 char name[static CHAIN_NAME_MAX]);
void firewall_jump_name(const struct firewall_backend *backend, const struct rule *rule,
			char name[static CHAIN_NAME_MAX]);

/* ---- render.c: rules -> text ---- */

#define RULE_EXTRA_MAX 160
/* The last column of iptables -L: "tcp dpt:8799 to:172.17.0.4:1337", "ctstate DNAT",
 * "ADDRTYPE match dst-type LOCAL"; "" if there is nothing to say. */
void rule_render_extra(const struct rule *rule, char text[static RULE_EXTRA_MAX]);
/* All of it in a line: "DNAT in ports, tcp dpt:8799 to:172.17.0.4:1337". */
#define RULE_LINE_MAX 1200
void rule_render_line(const struct firewall_backend *backend, const struct rule *rule,
		      char text[static RULE_LINE_MAX]);
/* "172.17.0.0/16", "!127.0.0.0/8", "172.17.0.2" (no /32), "0.0.0.0/0" or "::/0" for anywhere
 * ("anywhere" when the family is both). */
void rule_render_address(const struct rule *rule, const struct prefix *prefix, bool negated,
			 char text[static PREFIX_TEXT_MAX + 1]);
void rule_render_interface(const char *name, bool negated, char text[static IFNAMSIZ + 1]);

/* ---- conntrack.c: flows that end with what they led to ---- */

struct conntrack;

enum flow_kind {
	/* whose original source, or whose reply source, is the address `to`, of any protocol */
	FLOWS_OF_ADDRESS,
	/* that the mapping leads to `to` */
	FLOWS_OF_MAPPING,
	/* that go there by themselves: host_addr is `to`, host_port to_port */
	FLOWS_STRAIGHT,
	/* of the mapping's host ports, before its rules are there: what those of others lead
	 * somewhere */
	FLOWS_LED_AWAY,
	/* the same, once they are there: what does not go to `to` */
	FLOWS_PAST_MAPPING,
};

struct flow_filter {
	enum flow_kind kind;
	struct addr to; /* an endpoint's address; one filter for each family */
	/* of the mapping */
	uint8_t protocol;
	struct addr host_addr; /* family 0, or unspecified: any address of the host */
	uint16_t host_port, count, to_port;
};

/*
 * Drop the flows that match, in the caller's network namespace and its zone 0, and no others: a
 * flow to another host's address with the same port number stays, so `local` has all that is the
 * host's own. It is not looked at but for FLOWS_LED_AWAY and FLOWS_PAST_MAPPING of any address.
 *
 * Few filters of IPv4 are given to the kernel, which drops what matches them. Many, and those that
 * the kernel does not know, take one dump for each family. FLOWS_LED_AWAY then wait for the dump of
 * FLOWS_PAST_MAPPING. A kernel without ctnetlink has nothing to drop: 0.
 *
 * *handle is opened when it is first needed, and to be kept: to close it after rules of nftables
 * were removed waits for them, 8 to 18 ms.
 */
int conntrack_drop_flows(struct conntrack **handle, const struct flow_filter *filters, size_t len,
			 const struct prefix *local, size_t local_len,
			 const struct deadline *deadline, struct error *error);
/* What there is, to be looked at one by one. */
struct conntrack_flow {
	uint8_t protocol;
	bool is_translated, is_answered;
	struct addr from, asked; /* whose first packet it was, and what that was for */
	uint16_t asked_port;
	struct addr to; /* whom it has come to */
	uint16_t to_port;
};
/* What `ends` says true of is dropped; it is told each flow of zone 0 once, or more often where the
 * kernel's table changes meanwhile. Without any flow nothing is listed. */
int conntrack_each(struct conntrack **handle,
		   bool (*ends)(void *userdata, const struct conntrack_flow *flow), void *userdata,
		   const struct deadline *deadline, struct error *error);
/* Has each flow there is begun with a packet? False where others have ever put some into the table,
 * as conntrackd(8) does for another host, and where the kernel does not tell. */
bool conntrack_is_of_packets(struct conntrack **handle, const struct deadline *deadline);
void conntrack_close(struct conntrack *conntrack);

#endif
