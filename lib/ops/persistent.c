/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/persistent.h"

#include <errno.h>
#include <syslog.h>

#include "base/fault.h"
#include "store/definitions.h"

#define DEFAULT_DIR "/var/lib/bridgenet"

/* "": there is none. */
static const char *directory_of(const bn_ctx *ctx)
{
	const char *given = options_get(&ctx->options, "persistent-dir");

	if (given)
		return given;
	return strcmp(ctx->state_dir, DEFAULT_STATE_DIR) == 0 ? DEFAULT_DIR : "";
}

/* ---- taking in ---- */

static void complain(void *userdata, const struct error *error)
{
	ctx_log(userdata, LOG_WARNING, "%s", error->message);
}

static const struct network *find_overlap(const network_vector *networks,
					  const struct network *network)
{
	const struct subnet *own, *other;

	for (size_t i = 0; i < networks->len; i++)
		if (networks_overlap(network, &networks->items[i], &own, &other))
			return &networks->items[i];
	return NULL;
}

int persistent_define(bn_ctx *ctx, const struct network *network)
{
	CLEANUP(networks_clear) network_vector others = { 0 };
	const struct network *other;
	int r = store_networks(ctx->store, STORE_PENDING, &others, &ctx->error);

	if (r < 0)
		return r;
	other = find_overlap(&others, network);
	if (other && strcmp(other->name, network->name) != 0) {
		ctx_log(ctx, LOG_WARNING,
			"%s/%s.network has a subnet that overlaps that of network %s; remove one "
			"of them",
			network->persistent, network->name, other->name);
		return 0;
	}
	r = store_network_define(ctx->store, network, &ctx->error);
	if (r != -EEXIST)
		return r < 0 ? r : 1;
	/* of the name itself it was there before */
	if (ctx->error.reason != BN_REASON_NETWORK_EXISTS || !other)
		ctx_log(ctx, LOG_WARNING, "%s/%s.network: %s", network->persistent, network->name,
			ctx->error.message);
	error_clear(&ctx->error);
	return 0;
}

static int define_all(bn_ctx *ctx, const network_vector *networks)
{
	char loaded[META_MAX];
	int r = store_begin(ctx->store, &ctx->error);

	if (r >= 0)
		r = store_meta_get(ctx->store, "persistent", loaded, &ctx->error);
	/* another process was faster */
	if (r >= 0 && !loaded[0]) {
		for (size_t i = 0; i < networks->len && r >= 0; i++)
			r = persistent_define(ctx, &networks->items[i]);
		if (r >= 0)
			r = FAULT("persistent.load");
		if (r >= 0)
			r = store_meta_set(ctx->store, "persistent", "loaded", &ctx->error);
	}
	if (r >= 0)
		r = store_commit(ctx->store, &ctx->error);
	store_rollback(ctx->store);
	return r;
}

int persistent_read(bn_ctx *ctx, network_vector *networks, complain_fn tell, void *userdata)
{
	const char *directory = directory_of(ctx);
	int r = directory[0] ? definitions_read(directory, networks, tell, userdata, &ctx->error) :
			       0;

	if (r >= 0 || r == -ENOMEM)
		return r;
	tell(userdata, &ctx->error);
	error_clear(&ctx->error);
	return 0;
}

int persistent_load(bn_ctx *ctx, enum ctx_need need)
{
	CLEANUP(networks_clear) network_vector networks = { 0 };
	int r;

	if (ctx->look.has_persistent || !directory_of(ctx)[0])
		return 0;
	r = persistent_read(ctx, &networks, complain, ctx);
	if (r < 0)
		return r;
	/* who only reads writes for what there is alone, and where that can be written */
	if (need != CTX_CHANGE && !networks.len)
		return 0;
	store_rollback(ctx->store);
	r = define_all(ctx, &networks);
	if (r < 0 && need != CTX_CHANGE) {
		error_clear(&ctx->error);
		r = 0;
	}
	return r < 0 ? r : ctx_begin_state(ctx, need);
}

int persistent_explain(bn_ctx *ctx, const char *network, int r)
{
	CLEANUP(network_clear) struct network found = { 0 };
	const char *directory = directory_of(ctx);
	struct error why = { 0 };

	if (r != -ENOENT || !directory[0] || ctx->error.reason != BN_REASON_NETWORK_UNKNOWN ||
	    definition_read(directory, network, &found, &why) >= 0)
		return r;
	return error_set(&ctx->error, -ENOENT, BN_REASON_NETWORK_UNKNOWN,
			 "there is no network %s: %s", network, why.message);
}

/* ---- its file ---- */

int persistent_resolve(bn_ctx *ctx, struct network *network)
{
	CLEANUP(network_clear) struct network found = { 0 };
	const char *directory = directory_of(ctx);
	int r;

	if (!directory[0])
		return error_set(&ctx->error, -EINVAL, BN_REASON_INVALID,
				 "network %s can't be persistent: with the state in %s there is no "
				 "directory for that; name one (bn --option persistent-dir=DIR)",
				 network->name, ctx->state_dir);
	if (string_copy(network->persistent, sizeof(network->persistent), directory) < 0)
		return error_set(&ctx->error, -ENAMETOOLONG, BN_REASON_INVALID,
				 "persistent-dir %.64s... is longer than %d bytes", directory,
				 PERSISTENT_DIR_MAX - 1);
	r = definition_read(directory, network->name, &found, &ctx->error);
	if (r <= 0)
		return r;
	return error_set(&ctx->error, -EEXIST, BN_REASON_NETWORK_EXISTS,
			 "%s/%s.network defines a network of that name, which this state does not "
			 "have; remove the file, or choose another name",
			 directory, network->name);
}

int persistent_write(bn_ctx *ctx, const struct network *network)
{
	int r;

	if (!network->persistent[0])
		return 0;
	r = FAULT("persistent.write");
	if (r < 0)
		return r;
	ctx->changed = true;
	r = definition_write(network->persistent, network, &ctx->error);
	return r < 0 ? r : FAULT("persistent.written");
}

int persistent_remove(bn_ctx *ctx, const struct network *network)
{
	int r;

	if (!network->persistent[0])
		return 0;
	r = FAULT("persistent.remove");
	if (r < 0)
		return r;
	ctx->changed = true;
	return definition_remove(network->persistent, network, &ctx->error);
}
