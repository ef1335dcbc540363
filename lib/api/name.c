/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as data. */
#include <errno.h>

#include "api/api.h"
#include "ops/names.h"

struct bn_name {
	const char *text, *network, *endpoint; /* the list's */
	char address[ADDR_TEXT_MAX];
};
struct bn_names {
	endpoint_vector endpoints;
	VECTOR(struct bn_name) names;
};
struct bn_sandbox_files {
	char *hosts, *resolv_conf;
};

/* ---- verbs ---- */

static const struct api_call names_list = {
	.names = "bn_names_list",
	.errnos = {
		API_ERRNO(ENOENT, "No such network."),
	},
};

static int fill_names(bn_ctx *ctx, const char *network, struct bn_names *list)
{
	CLEANUP_VECTOR host_name_vector names = { 0 };
	int r = ops_names_list(ctx, network, &list->endpoints, &names);

	if (r >= 0 && vector_reserve(&list->names, names.len) < 0)
		r = error_oom(&ctx->error);
	for (size_t i = 0; i < names.len && r >= 0; i++) {
		struct bn_name *name = vector_push(&list->names);

		name->text = names.items[i].text;
		name->network = names.items[i].endpoint->network;
		name->endpoint = names.items[i].endpoint->id;
		addr_format(&names.items[i].addr, name->address);
	}
	return r;
}

int bn_names_list(bn_ctx *ctx, const char *network, uint32_t flags, bn_names **ret_names)
{
	bn_names *list = NULL;
	int r;

	if (!ret_names)
		return api_missing(ctx, "the result");
	r = api_enter(ctx, &names_list, flags);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list ? fill_names(ctx, network, list) : error_oom(&ctx->error);
	}
	if (r >= 0)
		*ret_names = TAKE_POINTER(list);
	bn_names_free(list);
	return api_leave(ctx, &names_list, r);
}

static const struct api_call sandbox_files_get = {
	.names = "bn_sandbox_files_get",
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
		API_ERRNO(EADDRNOTAVAIL, "The host names no nameserver that can be reached from "
					 "the namespace, and the network's option dns gives none."),
		API_ERRNO(EOPNOTSUPP, "The endpoint has no address of its own, as on networks host "
				      "and none."),
	},
};

int bn_sandbox_files_get(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
			 bn_sandbox_files **ret_files)
{
	bn_sandbox_files *files = NULL;
	int r;

	if (!network || !endpoint || !ret_files)
		return api_missing(ctx, "the network, the endpoint or the result");
	r = api_enter(ctx, &sandbox_files_get, flags);
	if (r >= 0) {
		files = calloc(1, sizeof(*files));
		r = files ? ops_sandbox_files(ctx, network, endpoint, &files->hosts,
					      &files->resolv_conf) :
			    error_oom(&ctx->error);
	}
	if (r >= 0)
		*ret_files = TAKE_POINTER(files);
	bn_sandbox_files_free(files);
	return api_leave(ctx, &sandbox_files_get, r);
}

/* ---- snapshots ---- */

GETTER(size_t, bn_names_len, bn_names, self->names.len, 0)
GETTER_AT(const bn_name *, bn_names_at, bn_names, bn_names_len, &self->names.items[i], NULL)

void bn_names_free(bn_names *names)
{
	if (!names)
		return;
	endpoints_clear(&names->endpoints);
	free(names->names.items);
	free(names);
}

GETTER(const char *, bn_name_text, bn_name, self->text, "")
GETTER(const char *, bn_name_network, bn_name, self->network, "")
GETTER(const char *, bn_name_endpoint, bn_name, self->endpoint, "")
GETTER(const char *, bn_name_address, bn_name, self->address, "")

void bn_sandbox_files_free(bn_sandbox_files *files)
{
	if (!files)
		return;
	free(files->hosts);
	free(files->resolv_conf);
	free(files);
}

GETTER(const char *, bn_sandbox_files_hosts, bn_sandbox_files, self->hosts, "")
GETTER(const char *, bn_sandbox_files_resolv_conf, bn_sandbox_files, self->resolv_conf, "")
