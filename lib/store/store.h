/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept between calls. Everything above is unaware of how.
 *
 * A change that needs the kernel runs in two short transactions: one reserves (rows that belong to
 * an open operation), then the kernel is changed, then one settles. An operation is owned by the
 * process that opened it for as long as that lives and holds a lock on it, which the kernel drops
 * with the process; so what a dead process left is told from what a live one is doing.
 */
#ifndef BN_STORE_STORE_H
#define BN_STORE_STORE_H

#include <errno.h>

#include "base/clock.h"
#include "model/port.h"

struct store;

/* Makes the directory and the database when missing, for their owner alone; read_only: makes
 * nothing, and a missing state is an empty one. Of an older version or with older modes, it becomes
 * today's, but on a file system that can't be written. -EACCES/-EROFS/... BN_REASON_STATE with a
 * sentence naming it. It waits until the deadline, as do all calls on the store, which keeps the
 * pointer. */
int store_open(const char *directory, bool read_only, const struct deadline *deadline,
	       struct store **ret_store, struct error *error);
void store_close(struct store *store);
/* In a forked child: closes the lock file, whose locks stay with the parent's descriptor, and
 * leaves SQLite's handle and its files open. Closing them would roll back, or drop locks, for
 * both. */
void store_close_in_child(struct store *store);
/* Was the directory or a file in it deleted or replaced, or is there more now than when nothing was
 * there, or nothing to be written? Then the store is to be opened anew. */
bool store_is_stale(struct store *store);
/*
 * A short write transaction. Between begin and commit the kernel is asked little, and changed only
 * by what must be alone: the rule base, a move, the host's settings. Waits for other writers, in
 * line, until the deadline: -ETIMEDOUT. Reads outside see committed state.
 *
 * 1 if it goes on from a look (store_look()), and nobody has changed anything since; else 0, and
 * what was read before may hold no longer.
 */
int store_begin(struct store *store, struct error *error);
int store_commit(struct store *store, struct error *error);
/* One that only reads: until store_rollback() all queries see one state. Goes on from a look. */
int store_begin_read(struct store *store, struct error *error);
bool store_has_begun(const struct store *store);
void store_rollback(struct store *store); /* no-op outside a transaction */

/* What a call asks first, in one go. Begins a transaction that reads, if none has begun; the next
 * to begin goes on from there. */
#define META_MAX 128
struct store_look {
	char about[META_MAX]; /* "namespace" of the small info, and "backend" */
	char backend[META_MAX];
	bool has_persistent; /* networks that outlive it have been taken in */
	bool has_operations; /* some are open */
};
int store_look(struct store *store, struct store_look *ret_look, struct error *error);
/* -EBADMSG if what it has found is older than what the state held. Write transactions begin with
 * that. */
int store_check(struct store *store, struct error *error);

/* ---- operations ---- */

enum operation_kind {
	OPERATION_NETWORK_CREATE = 1, /* undone when found dead */
	OPERATION_NETWORK_DELETE,     /* finished when found dead */
	OPERATION_ATTACH,             /* undone */
	OPERATION_DETACH,             /* finished */
	OPERATION_PUBLISH,            /* undone */
	OPERATION_UNPUBLISH,          /* finished */
	OPERATION_BACKEND_SWITCH,     /* has no rows; the other backends are emptied */
	OPERATION_UPDATE,             /* undone */
	OPERATION_PORT_CHANGE,        /* ports in the place of others: finished */
	OPERATION_DETACH_MOVE,        /* a detach with such ports: finished */
};
/* Do rows go (true) or come (false) when such an operation is closed? */
bool operation_removes(enum operation_kind kind);
/* Does it insert ports in the place of those that it marks? Then it removes. */
bool operation_replaces(enum operation_kind kind);

struct operation {
	int64_t id;
	int64_t lock; /* which its owner holds */
	enum operation_kind kind;
};

/* Settling an operation that another has taken over. */
#define OPERATION_GONE (-EOWNERDEAD)

/* Inside a transaction. Rows inserted or marked with this id belong to it until it is closed. A
 * kind that is undone when found dead inserts rows, one that is finished marks them; and of ports
 * it may insert those that take the place of what it marks. */
int store_operation_open(struct store *store, enum operation_kind kind,
			 struct operation *ret_operation, struct error *error);
/* Settle, inside a transaction: close keeps the rows it inserted and drops those it marked for
 * removal; abandon is the reverse: inserted rows go, marked ones stay. O(rows of the operation)
 * only for what goes. OPERATION_GONE. */
int store_operation_close(struct store *store, const struct operation *operation,
			  struct error *error);
int store_operation_abandon(struct store *store, const struct operation *operation,
			    struct error *error);
/* Inside a transaction: what it inserted is on its way out again, and is not STORE_STANDING any
 * more. OPERATION_GONE. */
int store_operation_turn_back(struct store *store, const struct operation *operation,
			      struct error *error);
/* Leave it as it is, open and without an owner, for the next call to undo or finish: when neither
 * of the above succeeded. Outside a transaction. */
void store_operation_leave(struct store *store, const struct operation *operation);
/* Take over the oldest operation after that number (0: of all) whose owner is dead: 1 and
 * *ret_operation (now ours, and turned back), 0 if there is none. Cheap when no operation is open.
 * Outside a transaction. */
int store_operation_take_dead(struct store *store, int64_t after, struct operation *ret_operation,
			      struct error *error);
/* The same, and it stays as it is: a look. */
int store_operation_find_dead(struct store *store, int64_t after, struct operation *ret_operation,
			      struct error *error);
/* 1 if no other operation is open, 0 if one is. Inside a transaction. */
int store_operation_is_alone(struct store *store, const struct operation *operation,
			     struct error *error);
/* 1 if an operation of that kind is open, and whether its owner lives; 0 if none is. */
int store_operation_pending(struct store *store, enum operation_kind kind, bool *ret_alive,
			    struct error *error);
/* The rows of an operation, for undoing or finishing it. */
int store_operation_rows(struct store *store, const struct operation *operation, struct rows *rows,
			 struct error *error);
/* What an OPERATION_UPDATE changes, as it is and as it is to be; in the same order. */
int store_operation_updates(struct store *store, const struct operation *operation,
			    struct rows *before, struct rows *after, struct error *error);
/* Somebody makes all rules of what is STORE_STANDING again, inside a transaction; and whether
 * somebody did so since the operation was opened, or left it what it had found: 1 or 0. */
int store_operations_set_rebuilt(struct store *store, struct error *error);
int store_operation_is_rebuilt(struct store *store, const struct operation *operation,
			       struct error *error);

/* Inside a transaction, of an OPERATION_UPDATE: what a network or an endpoint is to be. Its options
 * and MTU, and of an endpoint the metric, change when the operation is closed; the endpoints that
 * have no MTU of their own get the network's. -EBUSY BN_REASON_BUSY while another operation is at
 * it, or at what belongs to it. */
int store_network_update(struct store *store, const struct operation *operation,
			 const struct network *network, struct error *error);
int store_endpoint_update(struct store *store, const struct operation *operation,
			  const struct endpoint *endpoint, struct error *error);

/* Listings and look-ups below give the rows that are settled and those of deletions under way, but
 * not what an open operation has yet to make, unless they take STORE_PENDING. */
#define STORE_PENDING 0x1u
/* What will be there when all that is under way has come to its end: with what is being made, less
 * what is being removed or undone, and as updates will leave it. Only of lists of everything. */
#define STORE_STANDING 0x2u

/* ---- waiting for operations ---- */

/* A call that is to reserve, and finds that another is at what it is about, waits in line, and
 * those that come later stand behind it. Before each try; and once there is none any more. */
void store_claim_begin(struct store *store);
void store_claim_end(struct store *store);
/* In the transaction, before anything else: what it is about is the state as a whole, or a part. Or
 * all of a network; what is smaller is told by using it. -EBUSY BN_REASON_BUSY if it has to stand
 * behind one that waits for the same. */
int store_claim_state(struct store *store, bool alone, struct error *error);
int store_claim_network(struct store *store, const char *name, struct error *error);
/* Outside a transaction, after -EBUSY BN_REASON_BUSY: until there is reason to try again. 1, or 0
 * if it is not known what for, or what deadline_check() says. */
int store_claim_wait(struct store *store);

/* ---- networks ---- */

/* -EEXIST when the name or the bridge is taken, also by an open operation. Of the name "bridge",
 * while that network has no bridge yet: defines it, under the id it has; when the definition is
 * abandoned or deleted, the network is back in its first form. */
int store_network_insert(struct store *store, const struct operation *operation,
			 const struct network *network, struct error *error);
/* One that has come back, without its bridge, in a transaction: -EEXIST when the name, the id or
 * the bridge is taken. When it is made, it is inserted once more. */
int store_network_define(struct store *store, const struct network *network, struct error *error);
/* What networks keep about the host; "" for nothing. */
struct host_text {
	char *found; /* its settings before it was changed for them: link/found.c */
	char *guard; /* that they ask for: guard_parse() */
};
void host_text_clear(struct host_text *text);
/* Of the network that the operation makes. Inside a transaction. */
int store_network_set_found(struct store *store, const struct operation *operation,
			    const struct host_text *text, struct error *error);
/* Of the network that it makes or removes. Another may leave its own there at any time, so what
 * goes by it is done in one transaction. */
int store_network_found(struct store *store, const struct operation *operation,
			struct host_text *ret_text, struct error *error);
/* Of all of them together, with or without STORE_PENDING. */
int store_networks_found(struct store *store, uint32_t flags, struct host_text *ret_text,
			 struct error *error);
/* What a network has kept that goes passes to another of that family, if there is one. Inside a
 * transaction. */
int store_network_hand_over(struct store *store, int family, const struct host_text *text,
			    struct error *error);
/* By name. -ENOENT, -EPERM BN_REASON_NETWORK_BUILTIN, -EBUSY when another operation is at it. */
int store_network_mark(struct store *store, const struct operation *operation, const char *name,
		       struct error *error);
/* By name, id, or an unambiguous beginning (4 or more digits) of an id. -ENOENT
 * BN_REASON_NETWORK_UNKNOWN with a sentence; -EINVAL for an ambiguous one. */
int store_network_get(struct store *store, const char *name, struct network *ret_network,
		      struct error *error);
/* The same for a call that goes on to change it: 12 digits at least, the first of which are what
 * listings show; -EBUSY BN_REASON_BUSY while another operation makes or removes it. Inside a
 * transaction. */
int store_network_use(struct store *store, const char *name, struct network *ret_network,
		      struct error *error);
/* To change or remove it as a whole: later calls stand behind this one from the first try on. */
int store_network_use_alone(struct store *store, const char *name, struct network *ret_network,
			    struct error *error);
/* May a network of that name be made? 0, -EEXIST, -EBUSY. ret_id: which it is to have, "" for a new
 * one. */
int store_network_check_name(struct store *store, const char *name, char ret_id[static ID_LEN + 1],
			     struct error *error);
/* -EBUSY BN_REASON_BUSY while another operation makes or removes it. */
int store_network_check_idle(struct store *store, const char *name, struct error *error);
/* May it go? Endpoints that the operation has marked don't count. -EBUSY: BN_REASON_NETWORK_IN_USE
 * for endpoints that stay, BN_REASON_BUSY while others come and go. */
int store_network_check_empty(struct store *store, const struct operation *operation,
			      const char *name, struct error *error);
int store_networks(struct store *store, uint32_t flags, network_vector *networks,
		   struct error *error); /* sorted by name */
/* How many addresses endpoints have, of those that come and go too; and how many of these it might
 * have chosen for one. */
struct subnet_usage {
	uint64_t endpoints, dynamic;
};
struct address_usage {
	struct subnet_usage ipv4[SUBNETS_MAX], ipv6[SUBNETS_MAX];
};
/* Of many networks at once, sorted by name. */
int store_address_usages(struct store *store, const network_vector *networks,
			 struct address_usage *ret_usages, struct error *error);
/* Of those endpoints that a listing shows. */
int store_endpoint_count(struct store *store, const char *network, size_t *ret_count,
			 struct error *error);
/* The same of many at once, sorted by name. */
int store_endpoint_counts(struct store *store, const network_vector *networks, size_t *ret_counts,
			  struct error *error);

/* ---- endpoints and their addresses ---- */

/* Also takes its addresses. -EEXIST BN_REASON_ENDPOINT_EXISTS, -EADDRINUSE
 * BN_REASON_ADDRESS_IN_USE naming the holder of an address or of the MAC. -EBUSY when the network
 * is being deleted. Sets endpoint->sequence. */
int store_endpoint_insert(struct store *store, const struct operation *operation,
			  struct endpoint *endpoint, struct error *error);
/* Its ports go with it. -ENOENT BN_REASON_ENDPOINT_UNKNOWN; -EBUSY when another live
 * operation is at it. */
int store_endpoint_mark(struct store *store, const struct operation *operation, const char *network,
			const char *endpoint, struct error *error);
int store_endpoint_get(struct store *store, const char *network, const char *id,
		       struct endpoint *ret_endpoint, struct error *error);
/* For a call that goes on to change it, as store_network_use(). */
int store_endpoint_use(struct store *store, const char *network, const char *id,
		       struct endpoint *ret_endpoint, struct error *error);
int store_endpoints(struct store *store, const char *network, uint32_t flags,
		    endpoint_vector *endpoints, struct error *error); /* network NULL: all */
/*
 * The other endpoints with an interface in the namespace of this one. Those that stand; or, for an
 * operation, in its transaction, with what it makes and without what it removes, and -EBUSY
 * BN_REASON_BUSY while another operation is at one of them. Appends.
 */
int store_siblings(struct store *store, const struct operation *operation,
		   const struct endpoint *endpoint, endpoint_vector *siblings, struct error *error);
/* May it have the name of its host end, which was asked for? -EEXIST BN_REASON_INTERFACE_EXISTS, or
 * -EBUSY while one that has it comes or goes. Inside a transaction. */
int store_host_interface_check(struct store *store, const struct endpoint *endpoint,
			       struct error *error);
/* Other numbers than it was inserted with, in a transaction. */
int store_endpoint_set_metric(struct store *store, const struct endpoint *endpoint,
			      struct error *error);

/* What tells whether an endpoint lives, of all that are settled and not about to go: many can be
 * looked through in no time. */
struct endpoint_brief {
	uint64_t sequence;
	char network[NETWORK_NAME_MAX + 1];
	char host_interface[IFNAMSIZ];
	uint64_t sandbox_inode, sandbox_cookie;
};
typedef VECTOR(struct endpoint_brief) brief_vector;
int store_endpoint_briefs(struct store *store, brief_vector *briefs, struct error *error);
/* All of one of them: 1, or 0 if it is not there any more, or about to go. */
int store_endpoint_of_brief(struct store *store, const struct endpoint_brief *brief,
			    struct endpoint *ret_endpoint, struct error *error);

/* For those that an older version made. Inside a transaction. */
int store_endpoint_set_cookie(struct store *store, const struct endpoint *endpoint,
			      struct error *error);

/* A free address of the network for a dynamic request, inside the transaction that inserts the
 * endpoint: one never given out before if there is one, else the one released longest ago.
 * -ENOSPC BN_REASON_ADDRESS_EXHAUSTED. */
int store_address_pick(struct store *store, const struct network *network, int family, size_t at,
		       struct addr *ret_addr, struct error *error); /* of the at-th subnet */

/* Sets endpoint->mac, inside the transaction that inserts it: one made of its address that no
 * endpoint of its network has, and that is not its bridge's. */
int store_mac_pick(struct store *store, struct endpoint *endpoint,
		   const uint8_t bridge[static MAC_LEN], struct error *error);

/* ---- ports ---- */

/* Of an endpoint that is settled or belongs to the same operation: -ENOENT
 * BN_REASON_ENDPOINT_UNKNOWN, -EBUSY. -EADDRINUSE BN_REASON_PORT_IN_USE; the sentence names network
 * and endpoint of the holder. */
int store_ports_insert(struct store *store, const struct operation *operation,
		       const struct port *ports, size_t len, struct error *error);
/* By protocol, host address, host port, container port and count of the endpoint's, each once.
 * -ENOENT BN_REASON_PORT_UNKNOWN, but with missing_ok it leaves the list; -EBUSY when another
 * operation is at it. */
/* What an operation that removes has inserted, in the place of what it marked. Appends. */
int store_ports_replacing(struct store *store, const struct operation *operation,
			  port_vector *ports, struct error *error);
int store_ports_mark(struct store *store, const struct operation *operation, bool missing_ok,
		     port_vector *ports, struct error *error);
/* network and endpoint may be NULL. Sorted by network, endpoint, protocol, host address, port. */
int store_ports(struct store *store, const char *network, const char *endpoint, uint32_t flags,
		port_vector *ports, struct error *error);
/* Set the bit of each host port that one of ours, settled or pending, takes from a port of that
 * protocol and host address (family 0: any). */
int store_ports_taken(struct store *store, uint8_t protocol, const struct addr *host_addr,
		      uint8_t bits[static PORT_BITS], struct error *error);

/* Rows that belong to nothing: endpoints and ports (is_object), of which the kernel may have
 * something still, and addresses, which nobody can have again. Appends the first of them. */
struct orphan {
	char text[64 + NETWORK_NAME_MAX + ENDPOINT_ID_MAX]; /* "endpoint c1 of a network net" */
	bool is_object;
};
typedef VECTOR(struct orphan) orphan_vector;
int store_orphans(struct store *store, orphan_vector *orphans, struct error *error);
/* Inside a transaction: the addresses go, and with `objects` the others. */
int store_orphans_remove(struct store *store, bool objects, struct error *error);
/* Has each endpoint its network, and each port its endpoint? -EBADMSG BN_REASON_STATE. */
int store_check_whole(struct store *store, struct error *error);

/* ---- small info ---- */

/* The number of the last transaction that changed something. */
int store_generation(struct store *store, uint64_t *ret_number, struct error *error);
/* Since the last transaction of this store began, as far as the file shows; takes no lock. */
bool store_has_changed(const struct store *store);
/* Have that inotify descriptor tell of changes, and of files that are removed or replaced; to be
 * asked for again then. */
int store_watch(const struct store *store, int inotify, struct error *error);
/* What the processes that share the state tell each other, outside transactions: the last number
 * that was set, or nearly; 0: none, or it was not set under that key. It may be lost at any time.
 * Numbers count up. */
uint64_t store_hint_get(const struct store *store, uint64_t key);
void store_hint_set(const struct store *store, uint64_t key, uint64_t number);
/* "backend", "ipv6.global-id", "persistent", "port.last". *ret_value is "" when unset. */
int store_meta_get(struct store *store, const char *key, char ret_value[static META_MAX],
		   struct error *error);
int store_meta_set(struct store *store, const char *key, const char *value, struct error *error);

/* Forgets every network, endpoint, port, address and operation, and that the state is about
 * anything, if the value of that key is still what it was when that was decided: 1, else 0. -EBUSY
 * if an operation's owner lives. A transaction of its own. */
int store_take_over(struct store *store, const char *key, const char *value, struct error *error);

#endif
