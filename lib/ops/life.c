/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/life.h"

#include <errno.h>

#include "ops/driver.h"
#include "ops/rows.h"

#define LIFE_TRIES 4 /* against a state that changes while links are looked at */

/* Both come by name; *position is where the last one was. NULL in a state that is damaged. */
static const struct network *network_of(const struct rows *rows, const struct endpoint *endpoint,
					size_t *position)
{
	int order = -1;

	for (; *position < rows->networks.len; (*position)++) {
		order = strcmp(rows->networks.items[*position].name, endpoint->network);
		if (order >= 0)
			break;
	}
	return order == 0 ? &rows->networks.items[*position] : NULL;
}

/* ---- links ---- */

static bool is_running(const struct link_port *port, uint32_t bridge)
{
	return port->up && bridge && port->bridge == bridge;
}

static void judge_ports(bn_ctx *ctx, const struct rows *rows, const struct link_port *ports,
			enum life *lives)
{
	const struct network *last = NULL;
	size_t position = 0;
	uint32_t bridge = 0;

	for (size_t i = 0; i < rows->endpoints.len; i++) {
		const struct endpoint *endpoint = &rows->endpoints.items[i];
		const struct network *network = network_of(rows, endpoint, &position);

		if (network && network != last)
			bridge = link_index(ctx->link, network->bridge);
		last = network;
		if (endpoint->host_interface[0])
			lives[i] = is_running(ports++, bridge) ? LIFE_RUNNING : LIFE_UNKNOWN;
	}
}

/* Under another name it runs as well. LIFE_UNKNOWN: there is no link, so the namespace is to be
 * looked for. */
static int look_for_renamed(bn_ctx *ctx, const struct rows *rows, enum life *lives)
{
	const endpoint_vector *all = &rows->endpoints;
	CLEANUP_FREE struct link_end *ends = calloc(all->len + 1, sizeof(*ends));
	CLEANUP_FREE struct link_place *places = calloc(all->len + 1, sizeof(*places));
	size_t position = 0, len = 0;
	int r;

	if (!ends || !places)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < all->len; i++) {
		const struct network *network = network_of(rows, &all->items[i], &position);

		if (network && all->items[i].host_interface[0] && lives[i] != LIFE_RUNNING)
			ends[len++] = (struct link_end){ &all->items[i], network->id };
	}
	if (!len)
		return 0;
	r = link_places_get(ctx->link, ends, len, places, &ctx->error);
	position = 0;
	for (size_t i = 0; i < len && r >= 0; i++) {
		const struct endpoint *endpoint = ends[i].endpoint;
		const struct network *network = network_of(rows, endpoint, &position);
		uint32_t bridge = link_index(ctx->link, network->bridge);
		const struct link_port port = { NULL, places[i].bridge, places[i].up };

		lives[endpoint - all->items] = !places[i].is_there       ? LIFE_UNKNOWN :
					       is_running(&port, bridge) ? LIFE_RUNNING :
									   LIFE_CUT;
	}
	return r;
}

static int look_at_links(bn_ctx *ctx, const struct rows *rows, enum life *lives)
{
	CLEANUP_FREE struct link_port *ports = calloc(rows->endpoints.len + 1, sizeof(*ports));
	size_t len = 0;
	int r;

	if (!ports)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (rows->endpoints.items[i].host_interface[0])
			ports[len++].name = rows->endpoints.items[i].host_interface;
	if (!len)
		return 0;
	r = link_ports_get(ctx->link, ports, len, &ctx->error);
	if (r < 0)
		return r;
	judge_ports(ctx, rows, ports, lives);
	return look_for_renamed(ctx, rows, lives);
}

/* ---- namespaces ---- */

static enum life life_of_sandbox(const struct endpoint *endpoint, enum sandbox_sight sight)
{
	if (sight == SANDBOX_GONE)
		return LIFE_GONE;
	if (endpoint->host_interface[0])
		return LIFE_CUT;
	return sight == SANDBOX_THERE ? LIFE_RUNNING : LIFE_UNKNOWN;
}

/* A link that is there has a namespace; of the others that is looked for. */
static int look_at_sandboxes(bn_ctx *ctx, const struct rows *rows, enum life *lives)
{
	const endpoint_vector *all = &rows->endpoints;
	CLEANUP_FREE const struct endpoint **endpoints = calloc(all->len + 1, sizeof(*endpoints));
	CLEANUP_FREE enum sandbox_sight *sights = calloc(all->len + 1, sizeof(*sights));
	size_t len = 0;
	int r;

	if (!endpoints || !sights)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < all->len; i++)
		if (lives[i] == LIFE_UNKNOWN)
			endpoints[len++] = &all->items[i];
	r = sandboxes_look(endpoints, len, &ctx->deadline, sights, &ctx->error);
	len = 0;
	for (size_t i = 0; i < all->len && r >= 0; i++)
		if (lives[i] == LIFE_UNKNOWN)
			lives[i] = life_of_sandbox(&all->items[i], sights[len++]);
	return r;
}

/* ---- a listing ---- */

/* What can't be seen from here is no failure: 0. */
static int pass_unseen(bn_ctx *ctx, int r)
{
	if (deadline_ended(r) || r == -ENOMEM)
		return r;
	error_clear(&ctx->error);
	return 0;
}

/* Links can be looked at only where the state is about. */
static int look(bn_ctx *ctx, const struct rows *rows, enum life *lives)
{
	size_t position = 0;
	int r;

	for (size_t i = 0; i < rows->endpoints.len; i++) {
		const struct network *network =
			network_of(rows, &rows->endpoints.items[i], &position);

		if (network && driver_of(network)->in_host)
			lives[i] = LIFE_RUNNING;
	}
	r = ctx_check_thread(ctx);
	if (r >= 0)
		r = ctx_check_state(ctx);
	if (r >= 0)
		r = ctx_open_links(ctx);
	if (r >= 0)
		r = look_at_links(ctx, rows, lives);
	return r < 0 ? r : look_at_sandboxes(ctx, rows, lives);
}

/* What is about to go counts as there until it has gone, whatever its link is by now. */
static bool all_run(const struct rows *rows, enum life *lives)
{
	bool all = true;

	for (size_t i = 0; i < rows->endpoints.len; i++) {
		if (rows->endpoints.items[i].leaving && lives[i] == LIFE_CUT)
			lives[i] = LIFE_RUNNING;
		all &= lives[i] == LIFE_RUNNING;
	}
	return all;
}

/* 1: of endpoints that are not there any more, or not as they were, too. */
static int read_once(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows,
		     enum life **ret_lives)
{
	uint64_t before = 0, after = 0;
	int r;

	rows_clear(rows);
	free(*ret_lives);
	*ret_lives = NULL;
	r = store_generation(ctx->store, &before, &ctx->error);
	if (r >= 0)
		r = rows_read(ctx, network, endpoint, rows);
	if (r < 0)
		return r;
	*ret_lives = calloc(rows->endpoints.len + 1, sizeof(**ret_lives));
	if (!*ret_lives)
		return error_oom(&ctx->error);
	r = rows->endpoints.len ? look(ctx, rows, *ret_lives) : 0;
	if (r < 0)
		return pass_unseen(ctx, r);
	if (all_run(rows, *ret_lives))
		return 0;
	r = store_generation(ctx->store, &after, &ctx->error);
	return r < 0 ? r : before != after;
}

int life_read(bn_ctx *ctx, const char *network, const char *endpoint, struct rows *rows,
	      enum life **ret_lives)
{
	int r = 1;

	for (int tries = 0; tries < LIFE_TRIES && r > 0; tries++)
		r = read_once(ctx, network, endpoint, rows, ret_lives);
	return r < 0 ? r : 0;
}

/* ---- opening ---- */

/* The one that the state is about. */
static int open_own(bn_ctx *ctx, struct sandbox *ret_sandbox)
{
	int r;

	r = ctx_check_thread(ctx);
	if (r >= 0)
		r = ctx_check_state(ctx);
	return r < 0 ? r : sandbox_open_path("/proc/thread-self/ns/net", ret_sandbox, &ctx->error);
}

int ops_open_sandbox(bn_ctx *ctx, const char *network, const char *endpoint, int *ret_fd)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	struct sandbox sandbox;
	int r;

	r = rows_read(ctx, network, endpoint, &rows);
	if (r < 0)
		return r;
	if (driver_of(rows.networks.items)->in_host)
		r = open_own(ctx, &sandbox);
	else
		r = sandbox_find(rows.endpoints.items, &ctx->deadline, &sandbox, &ctx->error);
	if (r >= 0)
		*ret_fd = sandbox.fd;
	return r < 0 ? r : 0;
}
