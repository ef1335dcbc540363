/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables, and how a database made by an older version becomes today's. */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "store/private.h"

/*
 * `operation` is the operation that inserted a row. It is pending while that operation has a row in
 * `operations`, so that settling any number of rows is the deletion of one. `removal` is the
 * operation that is about to delete the row.
 *
 * Row 0 of `operations` keeps the last number given, for a number must never come twice.
 *
 * The three networks that are always there have builtin = 1; what is made of `bridge` on first use
 * is a second row of its name, which hides the first for as long as it exists.
 *
 * A row of `addresses` was given out: it is in use by an endpoint, or was released as the n-th.
 * networks.ipv4_highest is how far those chosen by us have come. Of released addresses the last
 * ones are kept; networks.forgotten says of which families some are not (address.c).
 *
 * ports.key orders by protocol, class of length, first host port (port.c); all that is asked of
 * ports in a hurry is a range of it.
 */
static const char version_1[] =
	"CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE operations (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL);"
	"INSERT INTO operations (id, kind) VALUES (0, 0);"
	"CREATE TABLE networks ("
	" name TEXT NOT NULL, builtin INTEGER NOT NULL, id TEXT NOT NULL, driver TEXT NOT NULL,"
	" bridge TEXT NOT NULL, bridge_adopted INTEGER NOT NULL, mtu INTEGER NOT NULL,"
	" ipv4_subnet TEXT NOT NULL, ipv4_gateway TEXT NOT NULL, ipv4_range TEXT NOT NULL,"
	" ipv6_subnet TEXT NOT NULL, ipv6_gateway TEXT NOT NULL, ipv6_range TEXT NOT NULL,"
	" reserved TEXT NOT NULL, options TEXT NOT NULL,"
	" ipv4_highest TEXT NOT NULL DEFAULT '', ipv6_highest TEXT NOT NULL DEFAULT '',"
	" operation INTEGER, removal INTEGER,"
	" PRIMARY KEY (name, builtin)) WITHOUT ROWID;"
	"CREATE INDEX networks_id ON networks (id);"
	"CREATE TABLE endpoints ("
	" sequence INTEGER PRIMARY KEY, network TEXT NOT NULL, id TEXT NOT NULL,"
	" sandbox TEXT NOT NULL, sandbox_device INTEGER NOT NULL, sandbox_inode INTEGER NOT NULL,"
	" interface TEXT NOT NULL, host_interface TEXT NOT NULL, mac TEXT NOT NULL,"
	" mtu INTEGER NOT NULL, ipv4 TEXT NOT NULL, ipv6 TEXT NOT NULL,"
	" gateway_priority INTEGER NOT NULL, routes TEXT NOT NULL, options TEXT NOT NULL,"
	" operation INTEGER NOT NULL, removal INTEGER,"
	" UNIQUE (network, id));"
	"CREATE INDEX endpoints_sandbox ON endpoints (sandbox_inode, sandbox_device);"
	"CREATE INDEX endpoints_operation ON endpoints (operation);"
	"CREATE INDEX endpoints_removal ON endpoints (removal) WHERE removal IS NOT NULL;"
	"CREATE TABLE addresses ("
	" network TEXT NOT NULL, family INTEGER NOT NULL, address TEXT NOT NULL,"
	" endpoint INTEGER, released INTEGER,"
	" PRIMARY KEY (network, family, address)) WITHOUT ROWID;"
	"CREATE INDEX addresses_released ON addresses (network, family, released)"
	" WHERE released IS NOT NULL;"
	"CREATE TABLE ports ("
	" key INTEGER PRIMARY KEY, host_addr TEXT NOT NULL, container_port INTEGER NOT NULL,"
	" count INTEGER NOT NULL, endpoint INTEGER NOT NULL, operation INTEGER NOT NULL,"
	" removal INTEGER);"
	"CREATE INDEX ports_endpoint ON ports (endpoint);"
	"CREATE INDEX ports_removal ON ports (removal) WHERE removal IS NOT NULL;";

/*
 * An operation belongs to the process that holds the lock on byte `lock` of the lock file, and is
 * the one that is named; lock_inode is which file that was, 0: not known. `undoing` is that it is
 * on its way back, `rebuilt` that somebody has made the rule base again since it began, or left its
 * network what another had found. Row 0 has the number of the last transaction, too (generation.c).
 * `found` is gone from here (version_4).
 *
 * networks.forgotten has a bit for each family of which released addresses were forgotten
 * (address.c).
 */
static const char version_2[] =
	"ALTER TABLE operations ADD COLUMN lock INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN lock_inode INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN started INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN pid_namespace TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE operations ADD COLUMN found TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE operations ADD COLUMN undoing INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN rebuilt INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
	"UPDATE operations SET lock = id;"
	"ALTER TABLE endpoints ADD COLUMN sandbox_cookie INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE networks ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;";

/*
 * endpoints.metric is that of the default routes, 0 for none: those of an earlier version had one
 * without a metric, or none. A MAC is looked for when one is given.
 */
static const char version_3[] =
	"ALTER TABLE endpoints ADD COLUMN metric INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX endpoints_mac ON endpoints (network, mac);";

/*
 * networks.found is what the host's settings were before the network was made, to be given back
 * when it goes. It was kept with the operation before, until that settled: of what stands then
 * nothing is known. networks.guard is the guard that it asks for (model/records.h); that of the
 * state is all of them.
 */
static const char version_4[] =
	"ALTER TABLE networks ADD COLUMN found TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE networks ADD COLUMN guard TEXT NOT NULL DEFAULT '';"
	"UPDATE networks SET found = coalesce("
	"(SELECT o.found FROM operations AS o WHERE o.id = networks.operation), '')"
	" WHERE NOT builtin;"
	"ALTER TABLE operations DROP COLUMN found;";

/*
 * What is asked of one operation must not take a look at every row. Of networks, which come and go
 * seldom, that is an index. Of ports an index would be one more page of each transaction: those
 * that go with their endpoint are told by its mark, and of others the operation is in the row,
 * which its process knows where to find (port_operation.c). So it does for an endpoint that is
 * inserted.
 */
static const char version_5[] =
	"CREATE INDEX networks_bridge ON networks (bridge);"
	"CREATE INDEX networks_operation ON networks (operation);"
	"CREATE INDEX networks_removal ON networks (removal) WHERE removal IS NOT NULL;"
	"CREATE INDEX networks_found ON networks (name) WHERE found <> '' OR guard <> '';"
	"DROP INDEX endpoints_operation;"
	"DROP INDEX ports_removal;"
	"UPDATE ports SET removal = NULL WHERE endpoint IN "
	"(SELECT sequence FROM endpoints WHERE removal IS NOT NULL);";

/*
 * endpoints.metric is that of IPv4; both were the same before. gateway_ipv4 and gateway_ipv6 are
 * for those whose default routes lead by another than that of their network's bridge.
 *
 * networks.persistent is the directory with the definition. What comes from there after a reboot is
 * builtin = 1, with the name that the bridge is to have: like `bridge`, it is made on first use, as
 * a second row, and is there again without it.
 *
 * What an update is about to change has the operation's number in `updating`, and what it is to be
 * in the columns next_* (update.c).
 *
 * ports.options is what was given for a mapping, NULL for nothing, which is how nearly all are: a
 * row takes a byte more, and nothing more is asked of it.
 */
static const char version_6[] =
	"ALTER TABLE endpoints ADD COLUMN metric_ipv6 INTEGER NOT NULL DEFAULT 0;"
	"UPDATE endpoints SET metric_ipv6 = metric;"
	"ALTER TABLE endpoints ADD COLUMN gateway_ipv4 TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE endpoints ADD COLUMN gateway_ipv6 TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE networks ADD COLUMN persistent TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE networks ADD COLUMN updating INTEGER;"
	"ALTER TABLE networks ADD COLUMN next_options TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE networks ADD COLUMN next_mtu INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX networks_updating ON networks (updating) WHERE updating IS NOT NULL;"
	"ALTER TABLE endpoints ADD COLUMN updating INTEGER;"
	"ALTER TABLE endpoints ADD COLUMN next_options TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE endpoints ADD COLUMN next_mtu INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE endpoints ADD COLUMN next_metric INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE endpoints ADD COLUMN next_metric_ipv6 INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE endpoints ADD COLUMN next_gateway_priority INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX endpoints_updating ON endpoints (updating) WHERE updating IS NOT NULL;"
	"ALTER TABLE ports ADD COLUMN options TEXT;";

/*
 * What a network has of several subnets of a family stands in the columns of that family one after
 * another, with blanks between, "-" for what one lacks; and so do the addresses of an endpoint, in
 * the same order. addresses.family is 16 more for each further subnet; how far the addresses chosen
 * by us have come in it is in `searches`, and networks.forgotten has two bits for each place in
 * that order. An older version would take all this for damage.
 */
static const char version_7[] =
	"CREATE TABLE searches ("
	" network TEXT NOT NULL, family INTEGER NOT NULL, highest TEXT NOT NULL,"
	" PRIMARY KEY (network, family)) WITHOUT ROWID;";

/* From each version to the next. */
static const char *const migrations[] = {
	version_1, version_2, version_3, version_4, version_5, version_6, version_7,
};

static int execute(struct store *store, const char *text, struct error *error)
{
	if (sqlite3_exec(store->database, text, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(store, error);
	return 0;
}

int schema_empty(struct store *store, struct error *error)
{
	return execute(
		store,
		"DELETE FROM networks WHERE NOT builtin OR persistent <> ''; DELETE FROM endpoints;"
		"DELETE FROM ports; DELETE FROM addresses; DELETE FROM searches;"
		"DELETE FROM operations WHERE id <> 0;"
		"DELETE FROM facts WHERE key IN ('namespace', 'backend', 'port.last', "
		"'persistent');",
		error);
}

static int insert_builtins(struct store *store, struct error *error)
{
	static const struct {
		const char *name;
		enum driver driver;
	} builtins[] = {
		{ "bridge", DRIVER_BRIDGE },
		{ "host", DRIVER_HOST },
		{ "none", DRIVER_NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
		uint8_t bytes[32];
		char id[ID_LEN + 1];
		int r;

		if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
			return error_set(error, -EIO, BN_REASON_STATE,
					 "the kernel gave no random bytes for the id of network %s",
					 builtins[i].name);
		id_format(bytes, id);
		r = statement_run(store, STATEMENT_NETWORK_INSERT,
				  VALUES(TEXT(builtins[i].name), TEXT(id),
					 TEXT(driver_name(builtins[i].driver)), TEXT(""), INT(0),
					 INT(0), TEXT(""), TEXT(""), TEXT(""), TEXT(""), TEXT(""),
					 TEXT(""), TEXT(""), TEXT(""), INT(true), TEXT("")),
				  error);
		if (r < 0)
			return r;
	}
	return 0;
}

int schema_version(struct store *store, int *ret_version, struct error *error)
{
	sqlite3_stmt *statement;
	int r;

	if (sqlite3_prepare_v2(store->database, "PRAGMA user_version", -1, &statement, NULL) !=
	    SQLITE_OK)
		return store_error(store, error);
	r = statement_step(store, statement, error);
	if (r > 0)
		*ret_version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return r < 0 ? r : 0;
}

static int migrate(struct store *store, size_t version, struct error *error)
{
	char text[40];
	int r;

	for (size_t i = version; i < ARRAY_SIZE(migrations); i++) {
		r = execute(store, migrations[i], error);
		if (r < 0)
			return r;
	}
	/* all columns are there by now */
	r = version == 0 ? insert_builtins(store, error) : 0;
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "PRAGMA user_version = %zu", ARRAY_SIZE(migrations));
	return execute(store, text, error);
}

int schema_migrate(struct store *store, struct error *error)
{
	int version, r = schema_version(store, &version, error);

	if (r < 0)
		return r;
	if (version < 0 || version > (int)ARRAY_SIZE(migrations))
		return error_set(error, -ENOTSUP, BN_REASON_STATE,
				 "the state in %s has format %d and this version knows up to %zu; "
				 "use the newer version that made it",
				 store->directory, version, ARRAY_SIZE(migrations));
	if (version == (int)ARRAY_SIZE(migrations))
		return 0;

	r = execute(store, "BEGIN IMMEDIATE", error);
	if (r < 0)
		return r;
	r = migrate(store, (size_t)version, error);
	if (r == 0)
		r = execute(store, "COMMIT", error);
	if (r < 0)
		sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
