/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the store share: the database handle, its prepared statements, row readers. */
#ifndef BN_STORE_PRIVATE_H
#define BN_STORE_PRIVATE_H

#include <sqlite3.h>

#include "base/process.h"
#include "store/place.h"
#include "store/store.h"

enum statement {
	STATEMENT_BEGIN,
	STATEMENT_BEGIN_READ,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_LOCK,
	STATEMENT_OPERATION_INSERT,
	STATEMENT_OPERATION_DELETE,
	STATEMENT_OPERATION_LIST,
	STATEMENT_OPERATION_TAKE,
	STATEMENT_OPERATION_TURN_BACK,
	STATEMENT_OPERATION_SET_REBUILT,
	STATEMENT_OPERATION_OF_HEIR,
	STATEMENT_NUMBERS_GET,
	STATEMENT_NUMBERS_SET,
	STATEMENT_LOOK,
	STATEMENT_ORPHANS,
	STATEMENT_META_GET,
	STATEMENT_META_SET,
	STATEMENT_NETWORK_BY_NAME,
	STATEMENT_NETWORK_BY_ID,
	STATEMENT_NETWORK_LIST,
	STATEMENT_NETWORK_STANDING,
	STATEMENT_NETWORK_OF_OPERATION,
	STATEMENT_NETWORK_UPDATING,
	STATEMENT_NETWORK_UPDATED,
	STATEMENT_NETWORK_HOLDER,
	STATEMENT_NETWORK_INSERT,
	STATEMENT_NETWORK_MARK,
	STATEMENT_NETWORK_UNMARK,
	STATEMENT_NETWORK_UPDATE,
	STATEMENT_NETWORK_UPDATE_CLOSE,
	STATEMENT_NETWORK_UPDATE_ABANDON,
	STATEMENT_NETWORK_BUSY,
	STATEMENT_NETWORK_SET_FOUND,
	STATEMENT_NETWORK_FOUND,
	STATEMENT_NETWORK_FOUND_ALL,
	STATEMENT_NETWORK_FOUND_SETTLED,
	STATEMENT_NETWORK_HAND_OVER,
	STATEMENT_NETWORK_DELETE,
	STATEMENT_ENDPOINT_COUNT,
	STATEMENT_ENDPOINT_COUNT_OTHERS,
	STATEMENT_ENDPOINT_COUNTS,
	STATEMENT_ENDPOINT_GET,
	STATEMENT_ENDPOINT_NAMES,
	STATEMENT_ENDPOINT_LIST,
	STATEMENT_ENDPOINT_STANDING,
	STATEMENT_ENDPOINT_LIST_NETWORK,
	STATEMENT_ENDPOINT_LIST_SANDBOX,
	STATEMENT_ENDPOINT_BRIEFS,
	STATEMENT_ENDPOINT_NUMBER,
	STATEMENT_ENDPOINT_OF_OPERATION,
	STATEMENT_ENDPOINT_INSERT,
	STATEMENT_ENDPOINT_MARK,
	STATEMENT_ENDPOINT_UNMARK,
	STATEMENT_ENDPOINT_DELETE,
	STATEMENT_ENDPOINT_UPDATING,
	STATEMENT_ENDPOINT_UPDATED,
	STATEMENT_ENDPOINT_UPDATE,
	STATEMENT_ENDPOINT_UPDATE_CLOSE,
	STATEMENT_ENDPOINT_UPDATE_ABANDON,
	STATEMENT_ENDPOINT_FOLLOW_MTU,
	STATEMENT_ENDPOINT_SET_COOKIE,
	STATEMENT_ENDPOINT_SET_METRIC,
	STATEMENT_ENDPOINT_MAC,
	STATEMENT_ENDPOINT_HOST_INTERFACE,
	STATEMENT_ADDRESS_USED,
	STATEMENT_ADDRESS_USED_NETWORK,
	STATEMENT_ADDRESS_HOLDER,
	STATEMENT_ADDRESS_TAKE,
	STATEMENT_ADDRESS_RELEASE,
	STATEMENT_ADDRESS_OLDEST,
	STATEMENT_ADDRESS_FORGET,
	STATEMENT_ADDRESS_FORGET_OLDEST,
	STATEMENT_ADDRESS_FORGET_NETWORK,
	STATEMENT_SEARCH_FORGET_NETWORK,
	STATEMENT_SEARCH_SET,
	STATEMENT_ADDRESS_HIGHEST,
	STATEMENT_ADDRESS_SET_HIGHEST,
	STATEMENT_ADDRESS_SET_FORGOTTEN,
	STATEMENT_PORT_WINDOW,
	STATEMENT_PORT_NEXT,
	STATEMENT_PORT_INSERT,
	STATEMENT_PORT_INSERT_RUN,
	STATEMENT_PORT_MARK,
	STATEMENT_PORT_MARK_KEY,
	STATEMENT_PORT_BUSY,
	STATEMENT_PORT_UNMARK,
	STATEMENT_PORT_DELETE_MARKED,
	STATEMENT_PORT_DELETE_INSERTED,
	STATEMENT_PORT_DELETE_ENDPOINTS,
	STATEMENT_PORT_LIST,
	STATEMENT_PORT_STANDING,
	STATEMENT_PORT_LIST_NETWORK,
	STATEMENT_PORT_LIST_ID,
	STATEMENT_PORT_LIST_ENDPOINT,
	STATEMENT_PORT_MARKED,
	STATEMENT_PORT_INSERTED,
	STATEMENT_PORT_OF_ENDPOINTS,
	STATEMENT_COUNT
};

/* Who an endpoint's row belongs to. */
struct endpoint_row {
	int64_t sequence;
	int64_t operation; /* that inserts it, 0 once settled */
	int64_t removal;   /* that removes it, 0 for none */
	int64_t updating;  /* that changes it, 0 for none */
};

typedef VECTOR(int64_t) id_vector;

#define PORT_RUN_MAX 100 /* of STATEMENT_PORT_INSERT_RUN */

/* Of ports, or of endpoints' numbers. */
struct key_range {
	int64_t first, last;
};

enum claim_on { CLAIM_STATE, CLAIM_NETWORK, CLAIM_ENDPOINT };

/* What a call waits for, and since when. */
struct claim {
	bool heeds;     /* a call is reserving */
	bool is_behind; /* what was in the way is another's claim */
	/* what it was about to use */
	enum claim_on on;
	uint32_t key;
	bool alone;
	int64_t blocker; /* the operation that was in the way; 0: not known */
	int64_t ended;   /* one that was gone when it was to be waited for */
	/* in line */
	uint64_t ticket; /* 0: it is not */
	int64_t locked;  /* the byte */
	uint64_t begun;  /* by clock_now_ms() */
};

struct store {
	sqlite3 *database;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	char *directory; /* as it was given */
	struct place place;
	int lock_fd;       /* holds the locks of our operations; -1 when read-only */
	int probe_fd;      /* a second description of the same file, which sees them held */
	int generation_fd; /* -1: none */
	struct process self;
	bool read_only;      /* or nothing is there to read */
	uint64_t generation; /* of the last transaction that began */
	uint64_t newest;     /* what the file said before it */
	int64_t last;        /* operation's number, of that transaction */
	bool looked;         /* one that reads has begun so */
	bool in_transaction; /* one that may write */
	int frames;          /* in the journal after the last commit */
	bool is_ending;      /* it is being committed or rolled back, which nothing breaks off */
	bool is_hasty;       /* it does not wait for who is writing */
	uint64_t number;     /* of its place in line; 0: none */
	bool has_claims;     /* there were some when the transaction began */
	struct claim claim;
	struct waiter *waiter, *claim_waiter;
	const struct deadline *deadline;
	/* of the transaction: locks to drop if it is rolled back, and once it is committed */
	id_vector opened, closed;
	/* Valid within the transaction: the endpoint that the last port was inserted for, and which
	 * classes of port ranges a protocol has. */
	struct endpoint_row endpoint;
	char endpoint_network[NETWORK_NAME_MAX + 1];
	char endpoint_id[ENDPOINT_ID_MAX + 1];
	uint32_t classes; /* 0: not known */
	uint8_t classes_protocol;
	/* and where no port is, so that the next ones of a batch are not looked for one by one */
	uint8_t clear_protocol;
	unsigned int clear_from, clear_to;
	/* The ports of the operation opened last are in these ranges, and the endpoints that it
	 * inserts in this one; 0: not known. */
	int64_t ranges_of;
	VECTOR(struct key_range) ranges;
	struct key_range endpoints;
};

/* ---- sentences ---- */

/* SQLite's last failure as an errno and a sentence that names the directory. */
int store_error(struct store *store, struct error *error);
int store_busy_error(struct store *store, struct error *error);

/* ---- statements ---- */

/* What is bound to a statement, in the order of its parameters: VALUES(TEXT(name), INT(id)). A text
 * must live until the statement has run; NULL is passed over, for one without that parameter. */
struct value {
	enum { VALUE_END, VALUE_INT, VALUE_TEXT, VALUE_ADDR } type;
	union {
		int64_t number;
		const char *text;
		const struct addr *addr;
	};
};
/* clang-format off */
#define INT(value) { VALUE_INT, .number = (int64_t)(value) }
#define TEXT(value) { VALUE_TEXT, .text = (value) }
#define ADDR(value) { VALUE_ADDR, .addr = (value) }
#define VALUES(...) ((const struct value[]){ __VA_ARGS__, { VALUE_END } })
/* clang-format on */

/* Prepared once per store, bound, reset when it leaves the scope of a CLEANUP_STATEMENT variable.
 * values: NULL for none. */
int statement_get(struct store *store, enum statement which, const struct value *values,
		  sqlite3_stmt **ret_statement, struct error *error);
void cleanup_statement(sqlite3_stmt **statement);
#define CLEANUP_STATEMENT CLEANUP(cleanup_statement)
/* 1 for a row, 0 at the end, or a negative errno. */
int statement_step(struct store *store, sqlite3_stmt *statement, struct error *error);
/* For one that gives a row at most: get and step. */
int statement_look_up(struct store *store, enum statement which, const struct value *values,
		      sqlite3_stmt **ret_statement, struct error *error);
/* For one that gives no rows: get, step and reset. */
int statement_run(struct store *store, enum statement which, const struct value *values,
		  struct error *error);
const char *column_text(sqlite3_stmt *statement, int column); /* never NULL */
int column_copy(sqlite3_stmt *statement, int column, char *text, size_t size);
int column_addr(sqlite3_stmt *statement, int column, struct addr *ret_addr);
/* Three columns: prefixes, gateways and ranges. */
int column_subnets(sqlite3_stmt *statement, int column,
		   struct subnet ret_subnets[static SUBNETS_MAX]);
struct subnet_columns {
	char prefixes[SUBNETS_MAX * PREFIX_TEXT_MAX];
	char gateways[SUBNETS_MAX * ADDR_TEXT_MAX];
	char ranges[SUBNETS_MAX * RANGE_TEXT_MAX];
};

void format_subnets(const struct network *network, int family, struct subnet_columns *columns);
/* clang-format off */
#define SUBNETS(columns) TEXT((columns).prefixes), TEXT((columns).gateways), TEXT((columns).ranges)
/* clang-format on */
/* Takes the next of those of one text that are separated by blanks: 1, 0 for the end, or -EINVAL
 * for one that is longer than there is room. */
int next_word(const char **text, char *word, size_t size);
/* A value in the database that can't be understood. */
int store_damaged_error(struct store *store, const char *what, struct error *error);
/* 0, or the sentence for a write outside a transaction. */
int transaction_check(struct store *store, struct error *error);

/* ---- schema ---- */

int schema_migrate(struct store *store, struct error *error);
/* What the database says; 0 for an empty one. */
int schema_version(struct store *store, int *ret_version, struct error *error);

/* Takes everything out but what a new database has. Inside a transaction. */
int schema_empty(struct store *store, struct error *error);

/* ---- generation ---- */

int generation_open(struct store *store, struct error *error);
/* What the file says, before a transaction begins: later it may have the number of a commit that
 * the transaction does not see. */
void generation_look(struct store *store);
/* -EBADMSG if the state is older than it was. */
int generation_check(struct store *store, struct error *error);
int generation_skip(struct store *store, struct error *error);
/* With the number of the last operation. */
int generation_raise(struct store *store, struct error *error);
/* After the commit. */
void generation_write(const struct store *store);

/* ---- operations ---- */

int operation_check(struct store *store, const struct operation *operation, bool removes,
		    struct error *error);
void operations_unlock(struct store *store, id_vector *ids);
/* -EBUSY if an operation's owner lives. Inside a transaction. */
int operations_check_dead(struct store *store, struct error *error);
/* Byte 0, which is no operation's: held by the one that makes or migrates the database. */
int migration_lock(struct store *store, struct error *error);
void migration_unlock(struct store *store);

/* Of the lock file, for the description. 0, or -errno; -EAGAIN when another holds it. */
int lock_byte(int fd, int64_t byte, short type);

/* ---- the line of those that wait to write ---- */

/* Where in the lock file, which is far from what operations lock; and where claims are. */
#define LINE_BEGIN (INT64_C(1) << 62)
#define LINE_CLAIMS (INT64_C(3) << 61)

/* Sets has_claims. */
bool line_is_empty(struct store *store);
/* Where that can't be done, whoever waits is a first one. */
void line_join(struct store *store);
/* 1: nobody is before it any more; 0: try, without its turn. Or what deadline_check() says. */
int line_wait(struct store *store);
/* in_turn: not one that was served without its turn. */
void line_leave(struct store *store, bool in_turn);
/* A byte from `first` on before `end` that another description has locked, any; -1: none. */
int64_t line_find(const struct store *store, int64_t first, int64_t end);
/* One at a time takes a number and locks what stands for it. */
int line_open_door(const struct store *store);
void line_close_door(const struct store *store);
/* In the kernel, until nobody has the byte locked. 0, what deadline_check() says, or -EAGAIN: that
 * can't be done. */
int line_wait_for(const struct store *store, struct waiter **waiter, int64_t locked,
		  const struct deadline *deadline);

/* ---- claims (claim.c) ---- */

/* Before it looks whether another operation is at it. -EBUSY BN_REASON_BUSY if it has to stand
 * behind one that waits for the same. network, endpoint: NULL where it is about more. */
int claim_check(struct store *store, enum claim_on on, bool alone, const char *network,
		const char *endpoint, struct error *error);
/* That operation is in the way. */
void claim_note_blocker(struct store *store, int64_t operation);
/* 1 and where it is locked, 0 if there is no such operation any more. */
int operation_find_lock(struct store *store, int64_t operation, int64_t *ret_lock,
			struct error *error);

/* ---- rows, for settling ---- */

int networks_of_operation(struct store *store, int64_t operation, network_vector *networks,
			  struct error *error);
int endpoints_of_operation(struct store *store, int64_t operation, endpoint_vector *endpoints,
			   struct error *error);
/* What an operation updates: as it is, or as it is to be. */
int networks_updating(struct store *store, int64_t operation, bool next, network_vector *networks,
		      struct error *error);
int endpoints_updating(struct store *store, int64_t operation, bool next,
		       endpoint_vector *endpoints, struct error *error);
int ports_of_operation(struct store *store, const struct operation *operation, port_vector *ports,
		       struct error *error);
/* Delete what an operation inserted, or marked: ports before their endpoints. */
int ports_delete(struct store *store, const struct operation *operation, struct error *error);
int networks_delete(struct store *store, int64_t operation, struct error *error);
int endpoints_delete(struct store *store, int64_t operation, struct error *error);
/* What an OPERATION_UPDATE is about becomes what it is to be, or stays as it is. */
int updates_close(struct store *store, int64_t operation, struct error *error);
int updates_abandon(struct store *store, int64_t operation, struct error *error);
/* Of an OPERATION_UNPUBLISH: its ports stay. */
int ports_delete_replacing(struct store *store, const struct operation *operation,
			   struct error *error);
int ports_unmark(struct store *store, const struct operation *operation, struct error *error);
/* It is the one of which is noted where its rows are; 0: that of none is. */
void note_operation(struct store *store, int64_t operation);
/* For a statement about the endpoints of an operation: within which numbers those are that it has
 * inserted. */
const struct key_range *endpoint_range(const struct store *store, int64_t operation);
/* clang-format off */
#define ENDPOINTS_OF(store, operation)                                     \
	VALUES(INT(operation), INT(endpoint_range(store, operation)->first), \
	       INT(endpoint_range(store, operation)->last))
/* clang-format on */

/* 1 and the row, 0 if there is no such endpoint. */
int endpoint_find(struct store *store, const char *network, const char *id,
		  struct endpoint_row *ret_row, struct error *error);
/* -EBUSY if another operation is at the endpoint, or at one of its ports. */
int endpoint_check_idle(struct store *store, int64_t operation, const struct endpoint_row *endpoint,
			const char *network, const char *id, struct error *error);
/* By that operation. */
int endpoint_busy_error(struct store *store, const char *network, const char *endpoint,
			int64_t operation, struct error *error);
int endpoint_unknown_error(const char *network, const char *id, struct error *error);
/* May an endpoint be put there? -ENOENT; -EBUSY while another operation makes or deletes it. */
int network_check_usable(struct store *store, int64_t operation, const char *name,
			 struct error *error);
int network_unknown_error(const char *name, struct error *error);

/* ---- addresses, MAC addresses ---- */

/* An endpoint that was inserted has its addresses from now on, if no other has. */
int addresses_take(struct store *store, const struct endpoint *endpoint, struct error *error);
/* May one that is to be inserted have them? */
int addresses_check(struct store *store, const struct endpoint *endpoint, struct error *error);
int addresses_release(struct store *store, const struct endpoint *endpoint, struct error *error);
/* Of `addresses`: of which family, and which of the subnets of it. */
bool address_place(int64_t number, int *ret_family, size_t *ret_at);
/* As the row of an endpoint has them, one of each subnet: of a column, and of a family. */
int column_addresses(sqlite3_stmt *row, int column,
		     struct prefix ret_addresses[static SUBNETS_MAX]);
#define ADDRESSES_TEXT_MAX (SUBNETS_MAX * PREFIX_TEXT_MAX)
const char *format_addresses(const struct endpoint *endpoint, int family,
			     char text[static ADDRESSES_TEXT_MAX]);
/* Has no endpoint of its network the MAC of one that is to be inserted? */
int mac_check(struct store *store, const struct endpoint *endpoint, struct error *error);

#endif
