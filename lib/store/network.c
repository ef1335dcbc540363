/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks as rows. */
#include <errno.h>
#include <stdio.h>

#include "model/ipam.h"
#include "store/private.h"

/* NETWORK_COLUMNS */
enum {
	NAME,
	ID,
	DRIVER,
	BRIDGE,
	BRIDGE_ADOPTED,
	MTU,
	IPV4_SUBNET,
	IPV4_GATEWAY,
	IPV4_RANGE,
	IPV6_SUBNET,
	IPV6_GATEWAY,
	IPV6_RANGE,
	RESERVED,
	OPTIONS,
	BUILTIN,
	PERSISTENT,
	PENDING,
	OPERATION,
	REMOVAL,
	UPDATING
};

int network_unknown_error(const char *name, struct error *error)
{
	return error_set(error, -ENOENT, BN_REASON_NETWORK_UNKNOWN,
			 "there is no network %s; list the networks, or create it", name);
}

static int network_busy_error(struct store *store, sqlite3_stmt *row, struct error *error)
{
	bool pending = sqlite3_column_int(row, PENDING);
	int64_t updating = sqlite3_column_int64(row, UPDATING);
	int at = pending ? OPERATION : updating ? UPDATING : REMOVAL;

	claim_note_blocker(store, sqlite3_column_int64(row, at));
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "network %s is just being %s by another process; try again",
			 column_text(row, NAME),
			 pending  ? "created" :
			 updating ? "changed" :
				    "deleted");
}

/* Addresses of one text, separated by blanks. */
static int parse_reserved_addresses(const char *text, struct network *network)
{
	char one[ADDR_TEXT_MAX];
	int r;

	while ((r = next_word(&text, one, sizeof(one))) > 0) {
		struct addr *addr = vector_push(&network->reserved);

		if (!addr)
			return -ENOMEM;
		if (addr_parse(one, addr) < 0)
			return -EINVAL;
	}
	if (r < 0)
		return r;
	/* the first release kept them in the order in which they were given */
	ipam_sort_reserved(network);
	return 0;
}

static int format_reserved_addresses(const struct network *network, char **ret_text)
{
	char *text = malloc(network->reserved.len * ADDR_TEXT_MAX + 1), *end = text;
	char one[ADDR_TEXT_MAX];

	if (!text)
		return -ENOMEM;
	*end = '\0';
	for (size_t i = 0; i < network->reserved.len; i++) {
		if (i > 0)
			*end++ = ' ';
		end = stpcpy(end, addr_format(&network->reserved.items[i], one));
	}
	*ret_text = text;
	return 0;
}

static int parse_driver(const char *text, enum driver *ret_driver)
{
	for (enum driver i = 0; i < DRIVER_COUNT; i++) {
		if (strcmp(text, driver_name(i)) == 0) {
			*ret_driver = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_network_columns(sqlite3_stmt *row, struct network *network)
{
	int r = column_copy(row, NAME, network->name, sizeof(network->name));

	if (r == 0)
		r = column_copy(row, ID, network->id, sizeof(network->id));
	if (r == 0)
		r = parse_driver(column_text(row, DRIVER), &network->driver);
	if (r == 0)
		r = column_copy(row, BRIDGE, network->bridge, sizeof(network->bridge));
	if (r == 0)
		r = column_copy(row, PERSISTENT, network->persistent, sizeof(network->persistent));
	if (sqlite3_column_int(row, BUILTIN) && network->persistent[0]) {
		memcpy(network->planned_bridge, network->bridge, sizeof(network->bridge));
		network->bridge[0] = '\0';
	}
	network->bridge_adopted = sqlite3_column_int(row, BRIDGE_ADOPTED) != 0;
	network->mtu = (uint32_t)sqlite3_column_int64(row, MTU);
	if (r == 0)
		r = column_subnets(row, IPV4_SUBNET, network->ipv4_subnets);
	if (r == 0)
		r = column_subnets(row, IPV6_SUBNET, network->ipv6_subnets);
	if (r == 0)
		r = parse_reserved_addresses(column_text(row, RESERVED), network);
	return r == 0 ? options_parse(column_text(row, OPTIONS), &network->options) : r;
}

static int read_network(struct store *store, sqlite3_stmt *row, struct network *ret_network,
			struct error *error)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = read_network_columns(row, &network);

	if (r == -ENOMEM)
		return error_oom(error);
	/* only what is built in may have no bridge yet */
	if (r == 0 && network.driver == DRIVER_BRIDGE && !network.bridge[0] &&
	    !sqlite3_column_int(row, BUILTIN))
		r = -EINVAL;
	if (r < 0)
		return store_damaged_error(store, "a network", error);
	r = options_check(&network.options, OPTION_NETWORK, &network.policy, NULL);
	if (r == -ENOMEM)
		return error_oom(error);
	if (r < 0)
		return error_set(error, -ENOTSUP, BN_REASON_STATE,
				 "network %s of the state in %s has an option that this version "
				 "does not know; use the newer version that made it",
				 network.name, store->directory);
	*ret_network = network;
	memset(&network, 0, sizeof(network));
	return 0;
}

/* Rows come with what was made of `bridge` before what is built in: the first one counts. */
static bool is_hidden(const network_vector *networks, size_t first, sqlite3_stmt *row)
{
	return networks->len > first &&
	       strcmp(networks->items[networks->len - 1].name, column_text(row, NAME)) == 0;
}

static int append_networks(struct store *store, sqlite3_stmt *row, uint32_t flags,
			   network_vector *networks, struct error *error)
{
	size_t first = networks->len;
	int r;

	while ((r = statement_step(store, row, error)) > 0) {
		if (is_hidden(networks, first, row) ||
		    (sqlite3_column_int(row, PENDING) &&
		     !(flags & (STORE_PENDING | STORE_STANDING))))
			continue;
		if (vector_reserve(networks, 1) < 0)
			return error_oom(error);
		r = read_network(store, row, &networks->items[networks->len], error);
		if (r < 0)
			return r;
		networks->len++;
	}
	return r;
}

int store_networks(struct store *store, uint32_t flags, network_vector *networks,
		   struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	bool standing = flags & STORE_STANDING;
	int r = statement_get(store, standing ? STATEMENT_NETWORK_STANDING : STATEMENT_NETWORK_LIST,
			      NULL, &row, error);

	return r < 0 ? r : append_networks(store, row, flags, networks, error);
}

int networks_of_operation(struct store *store, int64_t operation, network_vector *networks,
			  struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store, STATEMENT_NETWORK_OF_OPERATION, VALUES(INT(operation)), &row,
			      error);

	return r < 0 ? r : append_networks(store, row, STORE_PENDING, networks, error);
}

int networks_updating(struct store *store, int64_t operation, bool next, network_vector *networks,
		      struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_get(store, next ? STATEMENT_NETWORK_UPDATED : STATEMENT_NETWORK_UPDATING,
			      VALUES(INT(operation)), &row, error);

	return r < 0 ? r : append_networks(store, row, STORE_PENDING, networks, error);
}

/* What a look-up of one network makes of another operation's rows. */
enum in_work {
	PASS_OVER_NEW, /* to read: what is being made is not there, what is being removed is */
	REFUSE,        /* to change: either is -EBUSY */
	REFUSE_ALONE,  /* and nobody else is to be at it */
};

/* Is another operation at it, or does another wait to have it alone? */
static int check_network_row(struct store *store, sqlite3_stmt *row, bool alone,
			     struct error *error)
{
	int r = claim_check(store, CLAIM_NETWORK, alone, column_text(row, NAME), NULL, error);

	if (r < 0)
		return r;
	return sqlite3_column_int(row, PENDING) || sqlite3_column_int64(row, UPDATING) ||
			       sqlite3_column_int64(row, REMOVAL) ?
		       network_busy_error(store, row, error) :
		       0;
}

/* Those of the rows that count: 1 and the network, 0 for none, -EINVAL for two networks. */
static int find_network_row(struct store *store, enum statement which, const char *text,
			    enum in_work in_work, struct network *network, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int found = 0, r = statement_get(store, which, VALUES(TEXT(text)), &row, error);

	if (r < 0)
		return r;
	while ((r = statement_step(store, row, error)) > 0) {
		bool pending = sqlite3_column_int(row, PENDING);

		if (in_work != PASS_OVER_NEW)
			r = check_network_row(store, row, in_work == REFUSE_ALONE, error);
		if (r < 0)
			return r;
		if (pending || (found && strcmp(network->name, column_text(row, NAME)) == 0))
			continue;
		if (found)
			return error_set(error, -EINVAL, BN_REASON_INVALID,
					 "network id %s is ambiguous: networks %s and %s begin "
					 "with it; give more digits",
					 text, network->name, column_text(row, NAME));
		r = read_network(store, row, network, error);
		if (r < 0)
			return r;
		found = 1;
	}
	return r < 0 ? r : found;
}

#define ID_DIGITS_READ 4
#define ID_DIGITS_CHANGE 12

static bool is_id_beginning(const char *text)
{
	size_t len = strspn(text, "0123456789abcdef");

	return len >= ID_DIGITS_READ && len <= ID_LEN && !text[len];
}

/* A few digits are soon those of another network, when the one that was meant is gone. */
static int check_digits(const char *id, const struct network *network, struct error *error)
{
	if (strlen(id) >= ID_DIGITS_CHANGE)
		return 1;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "network id %s is too short to change something by, though only network "
			 "%s begins with it; give the name, or %d digits",
			 id, network->name, ID_DIGITS_CHANGE);
}

static int find_network(struct store *store, const char *name, enum in_work in_work,
			struct network *ret_network, struct error *error)
{
	CLEANUP(network_clear) struct network network = { 0 };
	int r = find_network_row(store, STATEMENT_NETWORK_BY_NAME, name, in_work, &network, error);

	if (r == 0 && is_id_beginning(name))
		r = find_network_row(store, STATEMENT_NETWORK_BY_ID, name, in_work, &network,
				     error);
	if (r > 0 && in_work != PASS_OVER_NEW && strcmp(name, network.name) != 0)
		r = check_digits(name, &network, error);
	if (r < 0)
		return r;
	if (r == 0)
		return network_unknown_error(name, error);
	*ret_network = network;
	memset(&network, 0, sizeof(network));
	return 0;
}

int store_network_get(struct store *store, const char *name, struct network *ret_network,
		      struct error *error)
{
	return find_network(store, name, PASS_OVER_NEW, ret_network, error);
}

int store_network_use(struct store *store, const char *name, struct network *ret_network,
		      struct error *error)
{
	return find_network(store, name, REFUSE, ret_network, error);
}

int store_network_use_alone(struct store *store, const char *name, struct network *ret_network,
			    struct error *error)
{
	return find_network(store, name, REFUSE_ALONE, ret_network, error);
}

/* May a network of that name be inserted? For `bridge` in its empty form, under the id it has; one
 * that has come back, as itself alone. */
static int check_name(struct store *store, const char *name, const struct network *own,
		      char ret_id[static ID_LEN + 1], struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_NETWORK_BY_NAME, VALUES(TEXT(name)), &row,
				  error);
	int claimed = 0;

	*ret_id = '\0';
	if (r >= 0)
		claimed = claim_check(store, CLAIM_NETWORK, true, name, NULL, error);
	if (r <= 0 || claimed < 0)
		return r < 0 ? r : claimed;
	if (sqlite3_column_int(row, PENDING) || sqlite3_column_int64(row, REMOVAL))
		return network_busy_error(store, row, error);
	if (!sqlite3_column_int(row, BUILTIN) ||
	    (*column_text(row, PERSISTENT) && (!own || strcmp(own->id, column_text(row, ID)) != 0)))
		return error_set(error, -EEXIST, BN_REASON_NETWORK_EXISTS,
				 "there is a network %s already; use it, or choose another name",
				 name);
	if (strcmp(column_text(row, DRIVER), driver_name(DRIVER_BRIDGE)) != 0)
		return error_set(error, -EEXIST, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in; choose another name", name);
	if (string_copy(ret_id, ID_LEN + 1, column_text(row, ID)) < 0)
		return store_damaged_error(store, "a network", error);
	return 0;
}

int store_network_check_name(struct store *store, const char *name, char ret_id[static ID_LEN + 1],
			     struct error *error)
{
	return check_name(store, name, NULL, ret_id, error);
}

static int check_network_holder(struct store *store, const struct network *network,
				struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	char digits[ID_SHORT_LEN + 1];
	int r;

	/* so many tell whose a rule or a link is */
	snprintf(digits, sizeof(digits), "%.*s", ID_SHORT_LEN, network->id);
	r = statement_look_up(store, STATEMENT_NETWORK_HOLDER,
			      VALUES(TEXT(network->name), TEXT(digits), TEXT(network->bridge)),
			      &row, error);
	if (r <= 0)
		return r;
	r = network_check_usable(store, 0, column_text(row, 0), error);
	if (r < 0)
		return r;
	if (sqlite3_column_int(row, 1))
		return error_set(error, -EEXIST, BN_REASON_NETWORK_EXISTS,
				 "network %s has an id that begins with %s already; choose another "
				 "for network %s",
				 column_text(row, 0), digits, network->name);
	return error_set(error, -EEXIST, BN_REASON_BRIDGE_INVALID,
			 "bridge %s belongs to network %s; choose another bridge for network %s",
			 network->bridge, column_text(row, 0), network->name);
}

static int insert_network(struct store *store, int64_t operation, bool builtin,
			  const struct network *network, const char *id, struct error *error)
{
	CLEANUP_FREE char *reserved = NULL, *options = NULL;
	struct subnet_columns ipv4, ipv6;

	format_subnets(network, AF_INET, &ipv4);
	format_subnets(network, AF_INET6, &ipv6);
	if (format_reserved_addresses(network, &reserved) < 0 ||
	    options_serialize(&network->options, &options) < 0)
		return error_oom(error);
	return statement_run(store, STATEMENT_NETWORK_INSERT,
			     VALUES(TEXT(network->name), TEXT(id),
				    TEXT(driver_name(network->driver)), TEXT(network->bridge),
				    INT(network->bridge_adopted), INT(network->mtu), SUBNETS(ipv4),
				    SUBNETS(ipv6), TEXT(reserved), TEXT(options), INT(builtin),
				    TEXT(network->persistent), INT(operation)),
			     error);
}

int store_network_insert(struct store *store, const struct operation *operation,
			 const struct network *network, struct error *error)
{
	char id[ID_LEN + 1] = "";
	int r = operation_check(store, operation, false, error);

	if (r == 0)
		r = check_name(store, network->name, network, id, error);
	if (r == 0)
		r = check_network_holder(store, network, error);
	if (r < 0)
		return r;
	return insert_network(store, operation->id, false, network, *id ? id : network->id, error);
}

int store_network_define(struct store *store, const struct network *network, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = transaction_check(store, error);

	if (r == 0)
		r = statement_look_up(store, STATEMENT_NETWORK_BY_NAME, VALUES(TEXT(network->name)),
				      &row, error);
	if (r > 0)
		return error_set(error, -EEXIST, BN_REASON_NETWORK_EXISTS,
				 "there is a network %s already", network->name);
	if (r == 0)
		r = check_network_holder(store, network, error);
	/* no operation's, and those count from 0 */
	return r < 0 ? r : insert_network(store, -1, true, network, network->id, error);
}

int store_network_mark(struct store *store, const struct operation *operation, const char *name,
		       struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int64_t removal;
	int r = operation_check(store, operation, true, error);

	if (r < 0)
		return r;
	r = statement_look_up(store, STATEMENT_NETWORK_BY_NAME, VALUES(TEXT(name)), &row, error);
	if (r < 0)
		return r;
	if (r == 0)
		return network_unknown_error(name, error);
	if (sqlite3_column_int(row, BUILTIN) && !*column_text(row, PERSISTENT))
		return error_set(error, -EPERM, BN_REASON_NETWORK_BUILTIN,
				 "network %s is built in and can't be deleted", name);
	removal = sqlite3_column_int64(row, REMOVAL);
	if (sqlite3_column_int(row, PENDING) || (removal && removal != operation->id))
		return network_busy_error(store, row, error);
	return statement_run(store, STATEMENT_NETWORK_MARK, VALUES(INT(operation->id), TEXT(name)),
			     error);
}

int store_network_set_found(struct store *store, const struct operation *operation,
			    const struct host_text *text, struct error *error)
{
	int r = operation_check(store, operation, false, error);

	return r < 0 ? r :
		       statement_run(store, STATEMENT_NETWORK_SET_FOUND,
				     VALUES(INT(operation->id), TEXT(text->found),
					    TEXT(text->guard)),
				     error);
}

void host_text_clear(struct host_text *text)
{
	free(text->found);
	free(text->guard);
	*text = (struct host_text){ 0 };
}

static int read_host_text(sqlite3_stmt *row, struct host_text *ret_text, struct error *error)
{
	struct host_text text = { strdup(column_text(row, 0)), strdup(column_text(row, 1)) };

	if (text.found && text.guard) {
		*ret_text = text;
		return 0;
	}
	host_text_clear(&text);
	return error_oom(error);
}

int store_network_found(struct store *store, const struct operation *operation,
			struct host_text *ret_text, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_NETWORK_FOUND, VALUES(INT(operation->id)), &row,
				  error);

	return r < 0 ? r : read_host_text(row, ret_text, error);
}

int store_networks_found(struct store *store, uint32_t flags, struct host_text *ret_text,
			 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store,
				  flags & STORE_PENDING ? STATEMENT_NETWORK_FOUND_ALL :
							  STATEMENT_NETWORK_FOUND_SETTLED,
				  NULL, &row, error);

	return r < 0 ? r : read_host_text(row, ret_text, error);
}

int store_network_hand_over(struct store *store, int family, const struct host_text *text,
			    struct error *error)
{
	const struct value number = INT(family == AF_INET ? 4 : 6);
	int r = transaction_check(store, error);

	if (r == 0)
		r = statement_run(store, STATEMENT_NETWORK_HAND_OVER,
				  VALUES(number, TEXT(text->found), TEXT(text->guard)), error);
	return r < 0 ? r : statement_run(store, STATEMENT_OPERATION_OF_HEIR, VALUES(number), error);
}

int networks_delete(struct store *store, int64_t operation, struct error *error)
{
	int r = statement_run(store, STATEMENT_ADDRESS_FORGET_NETWORK, VALUES(INT(operation)),
			      error);

	if (r == 0)
		r = statement_run(store, STATEMENT_SEARCH_FORGET_NETWORK, VALUES(INT(operation)),
				  error);
	if (r == 0)
		r = statement_run(store, STATEMENT_NETWORK_DELETE, VALUES(INT(operation)), error);
	return r;
}

int network_check_usable(struct store *store, int64_t operation, const char *name,
			 struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	int r = statement_look_up(store, STATEMENT_NETWORK_BY_NAME, VALUES(TEXT(name)), &row,
				  error);

	if (r <= 0)
		return r < 0 ? r : network_unknown_error(name, error);
	if ((sqlite3_column_int(row, PENDING) &&
	     sqlite3_column_int64(row, OPERATION) != operation) ||
	    sqlite3_column_int64(row, REMOVAL))
		return network_busy_error(store, row, error);
	return 0;
}

int store_network_check_idle(struct store *store, const char *name, struct error *error)
{
	return network_check_usable(store, 0, name, error);
}

int store_network_check_empty(struct store *store, const struct operation *operation,
			      const char *name, struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *row = NULL;
	long long all, settled;
	int r = store_claim_network(store, name, error);

	if (r == 0)
		r = statement_look_up(store, STATEMENT_ENDPOINT_COUNT_OTHERS,
				      VALUES(TEXT(name), INT(operation->id)), &row, error);
	if (r <= 0)
		return r;
	all = sqlite3_column_int64(row, 0);
	settled = sqlite3_column_int64(row, 1);
	claim_note_blocker(store, sqlite3_column_int64(row, 2));
	if (all > settled)
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "another process is just attaching to network %s, or detaching "
				 "from it; try again",
				 name);
	if (settled)
		return error_set(error, -EBUSY, BN_REASON_NETWORK_IN_USE,
				 "network %s still has %lld endpoint%s; detach %s first", name,
				 settled, settled == 1 ? "" : "s", settled == 1 ? "it" : "them");
	return 0;
}
