/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two files about ports share. */
#ifndef BN_STORE_PORTS_H
#define BN_STORE_PORTS_H

#include "store/private.h"

#define SLOT_MAX 0xffff

/* STATEMENT_PORT_WINDOW */
enum { KEY, HOST_ADDR, CONTAINER_PORT, COUNT, ENDPOINT, PENDING, REMOVAL, OPERATION, OPTIONS };

unsigned int port_class(uint16_t count);
int64_t port_key(uint8_t protocol, unsigned int size_class, unsigned int host_port,
		 unsigned int slot);
/* The ports of a class that begin in the range. */
int port_window(struct store *store, uint8_t protocol, unsigned int size_class, unsigned int first,
		unsigned int last, sqlite3_stmt **ret_statement, struct error *error);
/* All of a port but its owner. */
int port_read_columns(struct store *store, sqlite3_stmt *row, int key_column, struct port *port,
		      struct error *error);
/* What stands in that column. */
int port_read_options(struct store *store, sqlite3_stmt *row, int column, struct port *port,
		      struct error *error);
int ports_append(struct store *store, sqlite3_stmt *row, port_vector *ports, struct error *error);
int port_check_numbers(const struct port *port, struct error *error);
/* By that operation; 0: it is not known by which. */
int port_busy_error(struct store *store, const struct port *port, int64_t operation,
		    struct error *error);
/* The endpoint's row, in store->endpoint; a batch has many ports of one endpoint. */
int port_find_endpoint(struct store *store, int64_t operation, const struct port *port,
		       struct error *error);

/* How many of the ports, the first and what follows it, have host ports that follow each other, and
 * container ports that do too (stride 1) or are one (0), the rest being the same. */
size_t port_run_length(const struct port *ports, size_t len);
unsigned int port_run_stride(const struct port *ports, size_t len);

/* The operation has rows there. */
void port_note_range(struct store *store, int64_t operation, int64_t first, int64_t last);

#endif
