/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/names.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ops/driver.h"
#include "ops/rows.h"

int ops_names_list(bn_ctx *ctx, const char *network, endpoint_vector *endpoints,
		   host_name_vector *names)
{
	CLEANUP(rows_clear) struct rows rows = { 0 };
	int r = rows_read(ctx, network, NULL, &rows);

	if (r < 0)
		return r;
	*endpoints = rows.endpoints;
	rows.endpoints = (endpoint_vector){ 0 };
	return hosts_list(endpoints, names) < 0 ? error_oom(&ctx->error) : 0;
}

/* ---- files ---- */

/* What a file of that name is like is the administrator's business, but for its size. */
#define FILE_MAX 65536
static int read_text(const char *path, char **ret_text, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = malloc(FILE_MAX + 1);
	ssize_t len = 0, size = 0;

	if (!text)
		return error_oom(error);
	while (fd >= 0 && size < FILE_MAX &&
	       (len = read(fd, text + size, (size_t)(FILE_MAX - size))) > 0)
		size += len;
	/* without one, a resolver asks the host itself (resolv.conf(5)) */
	if ((fd < 0 || len < 0) && errno != ENOENT)
		return error_set(error, -errno, BN_REASON_KERNEL, "cannot read %s: %s", path,
				 errno_text(errno));
	text[size] = '\0';
	*ret_text = TAKE_POINTER(text);
	return 0;
}

/* Where the host's own resolver listens on one of its loopback addresses, it may say here whom it
 * asks itself. */
#define RESOLV_CONF "/etc/resolv.conf"
#define UPSTREAM_RESOLV_CONF "/run/systemd/resolve/resolv.conf"

static int make_resolv_conf(bn_ctx *ctx, const addr_vector *given, bool ipv4, bool ipv6,
			    char **ret_text)
{
	static const char *const paths[] = { RESOLV_CONF, UPSTREAM_RESOLV_CONF };
	bool loopback = false, any_loopback = false;
	int r = -EADDRNOTAVAIL;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && r == -EADDRNOTAVAIL; i++) {
		CLEANUP_FREE char *text = NULL;

		r = read_text(paths[i], &text, &ctx->error);
		if (r < 0)
			return r;
		r = resolver_file(text, given, ipv4, ipv6, ret_text, &loopback);
		any_loopback |= loopback;
	}
	if (r == -ENOMEM)
		return error_oom(&ctx->error);
	if (r < 0)
		return error_set(&ctx->error, r, BN_REASON_UNSUPPORTED,
				 "%s names no nameserver that can be reached from the namespace%s, "
				 "and %s has none either; give the network nameservers by its "
				 "option dns",
				 RESOLV_CONF,
				 any_loopback ? " (one on a loopback address of the host can't)" :
						"",
				 UPSTREAM_RESOLV_CONF);
	return 0;
}

/* The endpoints of the namespace and those of its networks; all are *rows'. */
static int sort_endpoints(const struct rows *rows, const struct endpoint *of, endpoint_vector *own,
			  endpoint_vector *neighbours)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < rows->endpoints.len; i++) {
			const struct endpoint *endpoint = &rows->endpoints.items[i];
			struct sandbox a = sandbox_of(endpoint), b = sandbox_of(of);
			bool is_own = endpoint == of || sandbox_is_same(&a, &b), is_near = false;

			for (size_t j = 0; pass == 1 && j < own->len; j++)
				is_near |= strcmp(own->items[j].network, endpoint->network) == 0;
			if ((pass == 0 ? is_own : is_near && !is_own) &&
			    vector_append(pass == 0 ? own : neighbours, *endpoint) < 0)
				return -ENOMEM;
		}
	return 0;
}

static const struct endpoint *find(const struct rows *rows, const char *network,
				   const char *endpoint)
{
	for (size_t i = 0; i < rows->endpoints.len; i++)
		if (strcmp(rows->endpoints.items[i].network, network) == 0 &&
		    strcmp(rows->endpoints.items[i].id, endpoint) == 0)
			return &rows->endpoints.items[i];
	return NULL;
}

int ops_sandbox_files(bn_ctx *ctx, const char *network, const char *endpoint, char **ret_hosts,
		      char **ret_resolv_conf)
{
	CLEANUP(rows_clear) struct rows one = { 0 }, all = { 0 };
	CLEANUP_VECTOR endpoint_vector own = { 0 };
	CLEANUP_VECTOR endpoint_vector neighbours = { 0 };
	const struct endpoint *of = NULL;
	bool ipv4 = false, ipv6 = false;
	int r = store_begin_read(ctx->store, &ctx->error);

	if (r >= 0)
		r = rows_load(ctx, network, endpoint, &one);
	if (r >= 0)
		r = rows_load(ctx, NULL, NULL, &all);
	store_rollback(ctx->store);
	if (r < 0)
		return r;
	if (!endpoint_has_address(one.endpoints.items))
		return error_set(&ctx->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "endpoint %s has no address on network %s, so there is nothing to "
				 "say in its files; use the host's",
				 endpoint, one.networks.items->name);
	of = find(&all, one.endpoints.items->network, one.endpoints.items->id);
	if (!of || sort_endpoints(&all, of, &own, &neighbours) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < own.len; i++) {
		ipv4 |= own.items[i].ipv4.addr.family != 0;
		ipv6 |= own.items[i].ipv6.addr.family != 0;
	}
	r = make_resolv_conf(ctx, &one.networks.items->policy.dns, ipv4, ipv6, ret_resolv_conf);
	if (r >= 0 && hosts_file(&own, &neighbours, ret_hosts) < 0)
		r = error_oom(&ctx->error);
	return r;
}
