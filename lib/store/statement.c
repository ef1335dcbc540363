/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The statements of the store, prepared once and kept, and what is bound to and read from them. */
#include <errno.h>

#include "store/private.h"

/* Does the operation that inserts the row still stand open? */
#define PENDING "operation IN (SELECT id FROM operations)"
/* Will the row be there when all that is under way has come to its end? */
#define STANDING(row) \
	row "removal IS NULL AND " row "operation NOT IN (SELECT id FROM operations WHERE undoing)"

/* A column that updates change: as it is; as it is to be; and as it will be when all that is under
 * way has come to its end. */
#define AS_IS(column) column
#define AS_NEXT(column) "next_" column
#define AS_STANDING(column)                                                                     \
	"CASE WHEN updating > 0 AND updating NOT IN (SELECT id FROM operations WHERE undoing) " \
	"THEN next_" column " ELSE " column " END"

/* clang-format off */
#define NETWORK_VALUES(as)                                                                \
	"name, id, driver, bridge, bridge_adopted, " as("mtu") ", "                       \
	"ipv4_subnet, ipv4_gateway, ipv4_range, ipv6_subnet, ipv6_gateway, ipv6_range, "  \
	"reserved, " as("options") ", builtin, persistent"
/* clang-format on */
#define NETWORK_COLUMNS_AS(as) NETWORK_VALUES(as) ", " PENDING ", operation, removal, updating"
#define NETWORK_COLUMNS NETWORK_COLUMNS_AS(AS_IS)

#define FOUND                                                                                  \
	"SELECT coalesce(group_concat(found, ''), ''), coalesce(group_concat(guard, ''), '') " \
	"FROM networks WHERE "
#define HAS_FOUND "(found <> '' OR guard <> '')"

/* The network that what was found of family ?1 passes to: rather one that stands than one that
 * comes or goes. Each of these ends with the first that it meets. */
#define HEIR_THAT(is)                                                 \
	"(SELECT name FROM networks WHERE NOT builtin AND "           \
	"CASE ?1 WHEN 4 THEN ipv4_subnet ELSE ipv6_subnet END <> '' " \
	"AND removal " is " ORDER BY name LIMIT 1)"
/* clang-format off */
#define HEIR                                                     \
	"NOT builtin AND name = coalesce("                       \
	HEIR_THAT("IS NULL AND NOT " PENDING) ", "               \
	HEIR_THAT("IS NULL") ", "                                \
	HEIR_THAT("IS NOT NULL AND NOT " PENDING) ", "           \
	HEIR_THAT("IS NOT NULL") ")"
/* clang-format on */

/* clang-format off */
#define ENDPOINT_VALUES(as)                                                                     \
	"network, id, sandbox, sandbox_device, sandbox_inode, interface, host_interface, mac, " \
	as("mtu") ", ipv4, ipv6, " as("gateway_priority") ", routes, " as("options") ", "         \
	"sandbox_cookie, " \
	as("metric") ", " as("metric_ipv6") ", gateway_ipv4, gateway_ipv6"
/* clang-format on */
#define ENDPOINT_COLUMNS_AS(as) \
	"sequence, " ENDPOINT_VALUES(as) ", " PENDING ", operation, removal, updating"
#define ENDPOINT_COLUMNS ENDPOINT_COLUMNS_AS(AS_IS)
/* ?1 is the operation, which inserts none but from ?2 to ?3, or removes. */
#define ENDPOINT_OF_OPERATION "(removal = ?1 OR (sequence BETWEEN ?2 AND ?3 AND operation = ?1))"

/* Endpoints outside, ports inside: both indexes then give the order of the listing. */
#define PORT_COLUMNS "e.network, e.id, p.key, p.host_addr, p.container_port, p.count, p.options"
#define PORT_LIST                                                                \
	"SELECT " PORT_COLUMNS                                                   \
	" FROM endpoints AS e CROSS JOIN ports AS p ON p.endpoint = e.sequence " \
	"WHERE (?1 OR p.operation NOT IN (SELECT id FROM operations)) "
#define PORT_OF                \
	"SELECT " PORT_COLUMNS \
	" FROM ports AS p JOIN endpoints AS e ON e.sequence = p.endpoint WHERE "
#define PORT_ORDER "ORDER BY e.network, e.id, p.key"

/* 0 to PORT_RUN_MAX - 1 */
#define TEN(tens)                                                                              \
	"(" tens "0),(" tens "1),(" tens "2),(" tens "3),(" tens "4),(" tens "5),(" tens "6)," \
	"(" tens "7),(" tens "8),(" tens "9)"
#define NUMBERS                                                                                \
	TEN("")                                                                                \
	"," TEN("1") "," TEN("2") "," TEN("3") "," TEN("4") "," TEN("5") "," TEN("6") "," TEN( \
		"7") "," TEN("8") "," TEN("9")

static const char *const texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_BEGIN_READ] = "BEGIN DEFERRED",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	/* writes nothing, but the transaction may from then on */
	[STATEMENT_LOCK] = "UPDATE operations SET kind = kind WHERE 0",

	[STATEMENT_OPERATION_INSERT] = "INSERT INTO operations "
				       "(id, kind, lock, lock_inode, pid, started, pid_namespace) "
				       "VALUES (?1, ?2, ?1, ?3, ?4, ?5, ?6)",
	[STATEMENT_OPERATION_DELETE] = "DELETE FROM operations WHERE id = ?1 AND lock = ?2",
	[STATEMENT_OPERATION_LIST] =
		"SELECT id, kind, lock, lock_inode, pid, started, pid_namespace, rebuilt "
		"FROM operations WHERE id > ?1 ORDER BY id",
	[STATEMENT_OPERATION_TAKE] = "UPDATE operations SET lock = ?2, lock_inode = ?3, pid = ?4, "
				     "started = ?5, pid_namespace = ?6, undoing = ?7 WHERE id = ?1",
	[STATEMENT_OPERATION_TURN_BACK] =
		"UPDATE operations SET undoing = 1 WHERE id = ?1 AND lock = ?2",
	[STATEMENT_OPERATION_SET_REBUILT] = "UPDATE operations SET rebuilt = 1 WHERE id > 0",
	[STATEMENT_OPERATION_OF_HEIR] = "UPDATE operations SET rebuilt = 1 WHERE id = "
					"(SELECT operation FROM networks WHERE " HEIR ")",

	[STATEMENT_NUMBERS_GET] = "SELECT generation, kind FROM operations WHERE id = 0",
	[STATEMENT_NUMBERS_SET] = "UPDATE operations SET generation = ?1, kind = ?2 WHERE id = 0",
	[STATEMENT_LOOK] = "SELECT generation, kind, "
			   "EXISTS (SELECT 1 FROM operations WHERE id > 0), "
			   "(SELECT value FROM facts WHERE key = 'namespace'), "
			   "(SELECT value FROM facts WHERE key = 'backend'), "
			   "(SELECT value FROM facts WHERE key = 'persistent') "
			   "FROM operations WHERE id = 0",

	[STATEMENT_ORPHANS] =
		"SELECT 'endpoint ' || id || ' of a network ' || network, 1 FROM endpoints "
		"WHERE network NOT IN (SELECT name FROM networks) "
		"UNION ALL SELECT 'host port ' || (key >> 16 & 65535), 1 FROM ports "
		"WHERE endpoint NOT IN (SELECT sequence FROM endpoints) "
		"UNION ALL SELECT 'the address ' || address || ' of network ' || network, 0 "
		"FROM addresses WHERE network NOT IN (SELECT name FROM networks) "
		"OR (endpoint IS NOT NULL AND endpoint NOT IN (SELECT sequence FROM endpoints)) "
		"LIMIT 1000",
	[STATEMENT_META_GET] = "SELECT value FROM facts WHERE key = ?1",
	[STATEMENT_META_SET] = "REPLACE INTO facts (key, value) VALUES (?1, ?2)",

	[STATEMENT_NETWORK_BY_NAME] = "SELECT " NETWORK_COLUMNS
				      " FROM networks WHERE name = ?1 ORDER BY builtin",
	/* Past every id that begins with ?1 is ?1 and the letter after 'f'. */
	[STATEMENT_NETWORK_BY_ID] = "SELECT " NETWORK_COLUMNS
				    " FROM networks WHERE id >= ?1 AND id < ?1 || 'g' "
				    "ORDER BY id, builtin",
	[STATEMENT_NETWORK_LIST] = "SELECT " NETWORK_COLUMNS
				   " FROM networks ORDER BY name, builtin",
	[STATEMENT_NETWORK_STANDING] = "SELECT " NETWORK_COLUMNS_AS(
		AS_STANDING) " FROM networks WHERE NOT builtin AND " STANDING("") " ORDER BY name",
	[STATEMENT_NETWORK_OF_OPERATION] = "SELECT " NETWORK_COLUMNS
					   " FROM networks WHERE operation = ?1 OR removal = ?1 "
					   "ORDER BY name, builtin",
	[STATEMENT_NETWORK_UPDATING] = "SELECT " NETWORK_COLUMNS
				       " FROM networks WHERE updating = ?1 ORDER BY name",
	[STATEMENT_NETWORK_UPDATED] = "SELECT " NETWORK_COLUMNS_AS(
		AS_NEXT) " FROM networks WHERE updating = ?1 ORDER BY name",
	[STATEMENT_NETWORK_HOLDER] = "SELECT name, substr(id, 1, 12) = ?2 FROM networks "
				     "WHERE name <> ?1 AND ((id >= ?2 AND id < ?2 || 'g') OR "
				     "(bridge = ?3 AND bridge <> ''))",
	[STATEMENT_NETWORK_INSERT] = "INSERT INTO networks (" NETWORK_VALUES(
		AS_IS) ", operation) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
		       "?16, "
		       "?17)",
	[STATEMENT_NETWORK_MARK] = "UPDATE networks SET removal = ?1 "
				   "WHERE name = ?2 AND (NOT builtin OR persistent <> '')",
	[STATEMENT_NETWORK_UNMARK] = "UPDATE networks SET removal = NULL WHERE removal = ?1",
	[STATEMENT_NETWORK_UPDATE] =
		"UPDATE networks SET updating = ?1, next_options = ?3, next_mtu = ?4 "
		"WHERE name = ?2 AND NOT builtin AND coalesce(updating, ?1) = ?1",
	[STATEMENT_NETWORK_UPDATE_CLOSE] =
		"UPDATE networks SET options = next_options, mtu = next_mtu, "
		"updating = NULL, next_options = '' WHERE updating = ?1",
	[STATEMENT_NETWORK_UPDATE_ABANDON] =
		"UPDATE networks SET updating = NULL, next_options = '' WHERE updating = ?1",
	/* is another operation at an endpoint or a port of it? */
	[STATEMENT_NETWORK_BUSY] =
		"SELECT id, coalesce(removal, updating, operation) "
		"FROM endpoints WHERE network = ?1 "
		"AND (removal IS NOT NULL OR updating IS NOT NULL OR " PENDING ") "
		"UNION ALL SELECT e.id, coalesce(p.removal, p.operation) "
		"FROM endpoints AS e JOIN ports AS p "
		"ON p.endpoint = e.sequence WHERE e.network = ?1 AND (p.removal IS NOT NULL "
		"OR p.operation IN (SELECT id FROM operations)) LIMIT 1",
	[STATEMENT_NETWORK_SET_FOUND] =
		"UPDATE networks SET found = ?2, guard = ?3 WHERE operation = ?1",
	[STATEMENT_NETWORK_FOUND] = FOUND "operation = ?1 OR removal = ?1",
	[STATEMENT_NETWORK_FOUND_ALL] = FOUND "NOT builtin AND " HAS_FOUND,
	[STATEMENT_NETWORK_FOUND_SETTLED] = FOUND "NOT builtin AND " HAS_FOUND " AND NOT " PENDING,
	[STATEMENT_NETWORK_HAND_OVER] =
		"UPDATE networks SET found = found || ?2, guard = guard || ?3 WHERE " HEIR,
	[STATEMENT_NETWORK_DELETE] = "DELETE FROM networks WHERE operation = ?1 OR removal = ?1",

	[STATEMENT_ENDPOINT_COUNT] =
		"SELECT count(*) FROM endpoints WHERE network = ?1 AND NOT " PENDING,
	/* in all, and settled ones; less those that ?2 removes */
	[STATEMENT_ENDPOINT_COUNT_OTHERS] =
		"SELECT count(*), count(*) FILTER (WHERE removal IS NULL AND NOT " PENDING "), "
		"max(coalesce(removal, operation)) FILTER (WHERE removal IS NOT NULL OR " PENDING
		") "
		"FROM endpoints WHERE network = ?1 AND removal IS NOT ?2",
	[STATEMENT_ENDPOINT_COUNTS] = "SELECT network, count(*) FROM endpoints WHERE NOT " PENDING
				      " GROUP BY network ORDER BY network",
	[STATEMENT_ENDPOINT_GET] = "SELECT " ENDPOINT_COLUMNS
				   " FROM endpoints WHERE network = ?1 AND id = ?2",
	[STATEMENT_ENDPOINT_NAMES] =
		"SELECT network, id, removal FROM endpoints WHERE sequence = ?1",
	[STATEMENT_ENDPOINT_LIST] = "SELECT " ENDPOINT_COLUMNS
				    " FROM endpoints ORDER BY network, id",
	[STATEMENT_ENDPOINT_STANDING] = "SELECT " ENDPOINT_COLUMNS_AS(
		AS_STANDING) " FROM endpoints WHERE " STANDING("") " ORDER BY network, id",
	[STATEMENT_ENDPOINT_LIST_NETWORK] = "SELECT " ENDPOINT_COLUMNS
					    " FROM endpoints WHERE network = ?1 ORDER BY id",
	[STATEMENT_ENDPOINT_LIST_SANDBOX] =
		"SELECT " ENDPOINT_COLUMNS " FROM endpoints "
		"WHERE sandbox_inode = ?1 AND sandbox_device = ?2 "
		"AND (sandbox_cookie = ?3 OR sandbox_cookie = 0 OR ?3 = 0) ORDER BY network, id",
	[STATEMENT_ENDPOINT_BRIEFS] =
		"SELECT sequence, network, host_interface, sandbox_inode, sandbox_cookie "
		"FROM endpoints WHERE removal IS NULL AND NOT " PENDING,
	[STATEMENT_ENDPOINT_NUMBER] = "SELECT " ENDPOINT_COLUMNS
				      " FROM endpoints WHERE sequence = ?1 "
				      "AND host_interface = ?2 AND sandbox_inode = ?3 "
				      "AND sandbox_cookie = ?4 "
				      "AND removal IS NULL AND NOT " PENDING,
	[STATEMENT_ENDPOINT_UPDATING] = "SELECT " ENDPOINT_COLUMNS
					" FROM endpoints WHERE updating = ?1 "
					"ORDER BY network, id",
	[STATEMENT_ENDPOINT_UPDATED] = "SELECT " ENDPOINT_COLUMNS_AS(
		AS_NEXT) " FROM endpoints WHERE updating = ?1 ORDER BY network, id",
	[STATEMENT_ENDPOINT_UPDATE] =
		"UPDATE endpoints SET updating = ?1, next_options = ?3, next_mtu = ?4, "
		"next_metric = ?5, next_metric_ipv6 = ?6, next_gateway_priority = ?7 "
		"WHERE sequence = ?2 AND coalesce(updating, ?1) = ?1",
	[STATEMENT_ENDPOINT_UPDATE_CLOSE] =
		"UPDATE endpoints SET options = next_options, mtu = next_mtu, "
		"metric = next_metric, metric_ipv6 = next_metric_ipv6, "
		"gateway_priority = next_gateway_priority, "
		"updating = NULL, next_options = '' WHERE updating = ?1",
	[STATEMENT_ENDPOINT_UPDATE_ABANDON] =
		"UPDATE endpoints SET updating = NULL, next_options = '' WHERE updating = ?1",
	/* Those that have the MTU of their network, which an update gives another. */
	[STATEMENT_ENDPOINT_FOLLOW_MTU] =
		"UPDATE endpoints SET mtu = n.next_mtu FROM networks AS n "
		"WHERE n.updating = ?1 AND n.next_mtu <> n.mtu AND endpoints.network = n.name "
		"AND instr(char(10) || endpoints.options, char(10) || 'mtu=') = 0",
	[STATEMENT_ENDPOINT_SET_COOKIE] = "UPDATE endpoints SET sandbox_cookie = ?1 "
					  "WHERE sequence = ?2 AND sandbox_cookie = 0",
	[STATEMENT_ENDPOINT_SET_METRIC] =
		"UPDATE endpoints SET metric = ?1, metric_ipv6 = ?2 WHERE sequence = ?3",
	[STATEMENT_ENDPOINT_MAC] = "SELECT id, removal, " PENDING " FROM endpoints "
				   "WHERE network = ?1 AND mac = ?2 LIMIT 1",
	[STATEMENT_ENDPOINT_HOST_INTERFACE] = "SELECT network, id, removal IS NOT NULL OR " PENDING
					      ", coalesce(removal, operation) FROM endpoints "
					      "WHERE host_interface = ?1 LIMIT 1",
	[STATEMENT_ENDPOINT_OF_OPERATION] = "SELECT " ENDPOINT_COLUMNS
					    " FROM endpoints WHERE " ENDPOINT_OF_OPERATION
					    " ORDER BY network, id",
	/* Or nothing where something is in the way: another of that name, or, by a NULL that its
	 * column refuses, one of that MAC, or an operation that makes or removes the network. */
	[STATEMENT_ENDPOINT_INSERT] = "INSERT OR IGNORE INTO endpoints (" ENDPOINT_VALUES(
		AS_IS) ", operation) VALUES ("
		       "(SELECT CASE WHEN removal IS NULL AND "
		       "(operation IS ?20 OR coalesce(" PENDING ", 0) = 0) THEN ?1 END "
		       "FROM networks WHERE name = ?1 ORDER BY builtin LIMIT 1), "
		       "?2, ?3, ?4, ?5, ?6, ?7, CASE WHEN ?8 = '' OR NOT EXISTS "
		       "(SELECT 1 FROM endpoints WHERE network = ?1 AND mac = ?8) THEN ?8 END, "
		       "?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
	[STATEMENT_ENDPOINT_MARK] = "UPDATE endpoints SET removal = ?1 WHERE sequence = ?2",
	[STATEMENT_ENDPOINT_UNMARK] = "UPDATE endpoints SET removal = NULL WHERE removal = ?1",
	[STATEMENT_ENDPOINT_DELETE] = "DELETE FROM endpoints WHERE " ENDPOINT_OF_OPERATION,

	[STATEMENT_ADDRESS_USED] = "SELECT network, address, family FROM addresses "
				   "WHERE endpoint IS NOT NULL ORDER BY network",
	[STATEMENT_ADDRESS_USED_NETWORK] = "SELECT network, address, family FROM addresses "
					   "WHERE network = ?1 AND endpoint IS NOT NULL",
	[STATEMENT_ADDRESS_HOLDER] =
		"SELECT released IS NOT NULL, e.id, e.removal, "
		"e.operation IN (SELECT id FROM operations) FROM addresses AS a "
		"LEFT JOIN endpoints AS e ON e.sequence = a.endpoint "
		"WHERE a.network = ?1 AND a.family = ?2 AND a.address = ?3",
	/* Or nothing where it is in use. */
	[STATEMENT_ADDRESS_TAKE] = "INSERT INTO addresses (network, family, address, endpoint) "
				   "VALUES (?1, ?2, ?3, ?4) "
				   "ON CONFLICT (network, family, address) DO UPDATE "
				   "SET endpoint = ?4, released = NULL WHERE released IS NOT NULL",
	[STATEMENT_ADDRESS_RELEASE] =
		"UPDATE addresses SET endpoint = NULL, released = "
		"(SELECT coalesce(max(released), 0) + 1 FROM addresses "
		"WHERE network = ?1 AND family = ?2 AND released IS NOT NULL) "
		"WHERE network = ?1 AND family = ?2 AND address = ?3",
	[STATEMENT_ADDRESS_OLDEST] = "SELECT address FROM addresses "
				     "WHERE network = ?1 AND family = ?2 AND released IS NOT NULL "
				     "ORDER BY released LIMIT 1",
	[STATEMENT_ADDRESS_FORGET] =
		"DELETE FROM addresses WHERE network = ?1 AND family = ?2 AND address = ?3",
	[STATEMENT_ADDRESS_FORGET_OLDEST] =
		"DELETE FROM addresses WHERE network = ?1 AND family = ?2 AND released <= "
		"(SELECT max(released) - ?3 FROM addresses "
		"WHERE network = ?1 AND family = ?2 AND released IS NOT NULL)",
	[STATEMENT_ADDRESS_FORGET_NETWORK] =
		"DELETE FROM addresses WHERE network IN "
		"(SELECT name FROM networks WHERE operation = ?1 OR removal = ?1)",
	[STATEMENT_SEARCH_FORGET_NETWORK] =
		"DELETE FROM searches WHERE network IN "
		"(SELECT name FROM networks WHERE operation = ?1 OR removal = ?1)",
	/* of a further subnet */
	[STATEMENT_SEARCH_SET] = "REPLACE INTO searches (network, family, highest) "
				 "VALUES (?1, ?2, ?3)",
	[STATEMENT_ADDRESS_HIGHEST] =
		"SELECT CASE ?2 WHEN 4 THEN ipv4_highest WHEN 6 THEN ipv6_highest "
		"ELSE (SELECT highest FROM searches WHERE network = ?1 AND family = ?2) END, "
		"forgotten & ?3 FROM networks "
		"WHERE name = ?1 ORDER BY builtin LIMIT 1",
	[STATEMENT_ADDRESS_SET_HIGHEST] =
		"UPDATE networks SET ipv4_highest = CASE ?2 WHEN 4 THEN ?3 ELSE ipv4_highest END, "
		"ipv6_highest = CASE ?2 WHEN 6 THEN ?3 ELSE ipv6_highest END "
		"WHERE name = ?1 AND builtin = 0",
	[STATEMENT_ADDRESS_SET_FORGOTTEN] =
		"UPDATE networks SET forgotten = (forgotten & ~?2) | ?3 "
		"WHERE name = ?1 AND builtin = 0",

	[STATEMENT_PORT_WINDOW] = "SELECT key, host_addr, container_port, count, endpoint, " PENDING
				  ", removal, operation, options "
				  "FROM ports WHERE key BETWEEN ?1 AND ?2",
	[STATEMENT_PORT_NEXT] =
		"SELECT key FROM ports WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
	/* up to the ?8-th after the first */
	[STATEMENT_PORT_INSERT_RUN] =
		"INSERT INTO ports (key, host_addr, container_port, count, endpoint, operation) "
		"SELECT ?1 + (column1 << 16), ?2, ?3 + ?7 * column1, ?4, ?5, ?6 "
		"FROM (VALUES " NUMBERS ") WHERE column1 <= ?8",
	[STATEMENT_PORT_INSERT] =
		"INSERT INTO ports (key, host_addr, container_port, count, endpoint, operation, "
		"options) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	/* By the key, which a run has in one piece, and not by the index of endpoints. An operation
	 * older than every open one is not pending. */
	[STATEMENT_PORT_MARK] = "UPDATE ports SET removal = ?1 WHERE key BETWEEN ?2 AND ?3 "
				"AND +endpoint = ?4 AND host_addr = ?5 AND count = ?6 "
				"AND container_port = ?7 + ?8 * ((key - ?2) >> 16) "
				"AND options IS NULL AND coalesce(removal, ?1) = ?1 "
				"AND (operation < (SELECT min(id) FROM operations WHERE id > 0) "
				"OR NOT " PENDING ")",
	[STATEMENT_PORT_MARK_KEY] = "UPDATE ports SET removal = ?1 WHERE key = ?2",
	[STATEMENT_PORT_BUSY] =
		"SELECT coalesce(removal, operation) FROM ports WHERE endpoint = ?1 AND "
		"((removal IS NOT NULL AND removal <> ?2) OR " PENDING ") LIMIT 1",
	[STATEMENT_PORT_UNMARK] =
		"UPDATE ports SET removal = NULL WHERE key BETWEEN ?2 AND ?3 AND removal = ?1",
	[STATEMENT_PORT_DELETE_MARKED] =
		"DELETE FROM ports WHERE key BETWEEN ?2 AND ?3 AND removal = ?1",
	[STATEMENT_PORT_DELETE_INSERTED] =
		"DELETE FROM ports WHERE key BETWEEN ?2 AND ?3 AND operation = ?1",
	[STATEMENT_PORT_DELETE_ENDPOINTS] =
		"DELETE FROM ports WHERE endpoint IN "
		"(SELECT sequence FROM endpoints WHERE " ENDPOINT_OF_OPERATION ")",
	[STATEMENT_PORT_LIST] = PORT_LIST PORT_ORDER,
	/* ?1 is passed over: all of PORT_LIST */
	[STATEMENT_PORT_STANDING] = PORT_LIST
	"AND e.removal IS NULL AND " STANDING("p.") " " PORT_ORDER,
	[STATEMENT_PORT_LIST_NETWORK] = PORT_LIST "AND e.network = ?2 " PORT_ORDER,
	[STATEMENT_PORT_LIST_ID] = PORT_LIST "AND e.id = ?3 " PORT_ORDER,
	[STATEMENT_PORT_LIST_ENDPOINT] = PORT_LIST "AND e.network = ?2 AND e.id = ?3 " PORT_ORDER,
	[STATEMENT_PORT_MARKED] = PORT_OF "p.key BETWEEN ?2 AND ?3 AND p.removal = ?1 " PORT_ORDER,
	[STATEMENT_PORT_INSERTED] = PORT_OF
	"p.key BETWEEN ?2 AND ?3 AND p.operation = ?1 " PORT_ORDER,
	[STATEMENT_PORT_OF_ENDPOINTS] = PORT_OF
	"p.endpoint IN "
	"(SELECT sequence FROM endpoints WHERE " ENDPOINT_OF_OPERATION ") " PORT_ORDER,
};

static int bind_value(sqlite3_stmt *statement, int index, const struct value *value)
{
	char text[ADDR_TEXT_MAX] = "";

	switch (value->type) {
	case VALUE_END:
		break;
	case VALUE_INT:
		return sqlite3_bind_int64(statement, index, value->number);
	case VALUE_TEXT:
		/* one that the statement does not ask for may be missing */
		if (!value->text)
			return index > sqlite3_bind_parameter_count(statement) ?
				       SQLITE_OK :
				       sqlite3_bind_null(statement, index);
		return sqlite3_bind_text(statement, index, value->text, -1, SQLITE_STATIC);
	case VALUE_ADDR:
		addr_format(value->addr, text);
		break;
	}
	/* Short enough for SQLite's copy to be cheaper than keeping buffers in every caller. */
	return sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

int statement_get(struct store *store, enum statement which, const struct value *values,
		  sqlite3_stmt **ret_statement, struct error *error)
{
	sqlite3_stmt **slot = &store->statements[which];

	if (!*slot && sqlite3_prepare_v3(store->database, texts[which], -1,
					 SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
		return store_error(store, error);
	for (int i = 0; values && values[i].type != VALUE_END; i++) {
		if (bind_value(*slot, i + 1, &values[i]) != SQLITE_OK)
			return store_error(store, error);
	}
	*ret_statement = *slot;
	return 0;
}

void cleanup_statement(sqlite3_stmt **statement)
{
	if (*statement)
		sqlite3_reset(*statement);
}

/* That it has no memory for a text SQLite says by NULL, when the text is asked for, and by an error
 * of the next step, which a look-up never takes. Once asked for, it is there. */
static bool texts_are_had(sqlite3_stmt *statement)
{
	int count = sqlite3_data_count(statement);

	for (int i = 0; i < count; i++)
		if (sqlite3_column_type(statement, i) == SQLITE_TEXT &&
		    !sqlite3_column_text(statement, i))
			return false;
	return true;
}

int statement_step(struct store *store, sqlite3_stmt *statement, struct error *error)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return texts_are_had(statement) ? 1 : error_oom(error);
	if (code == SQLITE_DONE)
		return 0;
	return store_error(store, error);
}

int statement_look_up(struct store *store, enum statement which, const struct value *values,
		      sqlite3_stmt **ret_statement, struct error *error)
{
	int r = statement_get(store, which, values, ret_statement, error);

	return r < 0 ? r : statement_step(store, *ret_statement, error);
}

int statement_run(struct store *store, enum statement which, const struct value *values,
		  struct error *error)
{
	CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;

	return statement_look_up(store, which, values, &statement, error);
}

const char *column_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text ? (const char *)text : "";
}

int column_copy(sqlite3_stmt *statement, int column, char *text, size_t size)
{
	return string_copy(text, size, column_text(statement, column));
}

int column_addr(sqlite3_stmt *statement, int column, struct addr *ret_addr)
{
	const char *text = column_text(statement, column);

	if (*text)
		return addr_parse(text, ret_addr);
	memset(ret_addr, 0, sizeof(*ret_addr));
	return 0;
}

int next_word(const char **text, char *word, size_t size)
{
	size_t len = strcspn(*text, " ");

	if (!len)
		return 0;
	if (len >= size)
		return -EINVAL;
	memcpy(word, *text, len);
	word[len] = '\0';
	*text += len + ((*text)[len] == ' ');
	return 1;
}

int store_damaged_error(struct store *store, const char *what, struct error *error)
{
	return error_set(error, -EBADMSG, BN_REASON_STATE,
			 "the state in %s is damaged (%s can't be read); detach everything and "
			 "remove that directory",
			 store->directory, what);
}
