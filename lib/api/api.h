/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands behind the opaque types of bridgenet.h. */
#ifndef BN_API_API_H
#define BN_API_API_H

#include "bridgenet.h"
#include "ops/backend.h"
#include "ops/collect.h"
#include "ops/detach.h"
#include "ops/endpoint.h"
#include "ops/life.h"
#include "ops/list.h"
#include "ops/move.h"
#include "ops/network.h"
#include "ops/publish.h"
#include "ops/recover.h"
#include "ops/rows.h"
#include "ops/update.h"

/* What is true of a call, or of several that are alike; it stands beside the function, and
 * man/errors.sh makes the ERRORS of the manual from it. */
struct api_call {
	const char *names;        /* "bn_port_publish, bn_ports_publish" */
	uint32_t flags;           /* that it knows */
	enum ctx_need need;       /* before it can start */
	enum ctx_need flags_need; /* the same when flags are given, if that is more */
	uint32_t looks;           /* with these it only looks: CTX_RULES */
	bool setting;             /* no verb: the errnos are all that there are */
	short errnos[16];         /* beside those of any verb, or with more to say than there */
};
#define API_ERRNO(number, when) number

/* Another call runs in the context, which must not be touched: the verb does nothing more with it
 * than to pass this on to api_leave(). */
#define API_REFUSED (-4096)
/* Every call on a context begins here: it is its own until api_leave(). NULL and unknown flags are
 * -EINVAL, a forked child -ECHILD. */
int api_claim(bn_ctx *ctx, const struct api_call *call, uint32_t flags);
/* The same for a verb: what it needs is opened. */
int api_enter(bn_ctx *ctx, const struct api_call *call, uint32_t flags);
/* The second half of that, for one that does something between. */
int api_open(bn_ctx *ctx, const struct api_call *call, uint32_t flags);
/* And ends here: a failure has a sentence, and a code that its page names. */
int api_leave(bn_ctx *ctx, const struct api_call *call, int r);
/* A call that ends before it began: -EINVAL for a required argument that is NULL, -ENOMEM. */
int api_missing(bn_ctx *ctx, const char *what);
int api_oom(bn_ctx *ctx);

/* The first setter that failed: its caller may not have looked, and the verb will say it. */
struct spec_failure {
	int code; /* negative errno, 0 for none */
	const char *setter;
	char value[64]; /* the beginning of what it was given, "" for NULL */
};
/* The first failure of a spec's is kept. Returns r. */
int spec_keep_failure(struct spec_failure *failure, const char *setter, const char *value, int r);
int spec_set_option(struct options *options, const char *key, const char *value);
/* 0, or that code with its sentence. */
int spec_failure_error(const struct spec_failure *failure, struct error *error);

struct bn_name_list {
	VECTOR(char *) names;
	struct spec_failure failure;
};

/* Specs keep what they were given as text; the verb judges it. */
struct bn_network_spec {
	char *name, *id, *driver; /* NULL for the last two: not given */
	struct bn_name_list subnets, gateways, ranges, reserved, pools;
	int ipv4, ipv6; /* -1: as the subnets say */
	int persistent;
	uint32_t mtu;
	char *bridge;
	struct options options;
	struct spec_failure failure;
};
/* With options by our own keys, those that setters say put where these put them, and what is not
 * said as the options of the context say it. For parsing; cleared by the caller, also on failure,
 * and before the spec is freed. */
int network_spec_settle(const struct bn_network_spec *spec, const struct options *context,
			struct bn_network_spec *settled, struct error *error);
void network_spec_settled_clear(struct bn_network_spec *settled);
/* The parsed form of a settled spec; the caller frees request->pools.items, and *reserved, which
 * request->reserved points to. */
int network_spec_parse(const struct bn_network_spec *spec, const struct deadline *deadline,
		       struct network_request *request, struct addr **reserved,
		       struct error *error);

struct bn_port_spec {
	char *mapping;
	struct options options;
	struct spec_failure failure;
};
struct bn_port_spec_list {
	VECTOR(struct bn_port_spec) specs;
	struct spec_failure failure;
};
/* What BN_PUBLISH_* and BN_ATTACH_* say alike. -EINVAL for what excludes each other. */
#define PORT_FLAGS (BN_PUBLISH_HOLD_PORTS | BN_PUBLISH_OVER_LISTENER | BN_PUBLISH_SKIP_FAMILY)
_Static_assert(PORT_FLAGS ==
		       (BN_ATTACH_HOLD_PORTS | BN_ATTACH_OVER_LISTENER | BN_ATTACH_SKIP_FAMILY),
	       "the flags must agree");
int port_flags_check(uint32_t flags, bool has_result, struct error *error);
/* *requests: as many, to be freed on failure as well. */
void port_specs_clear(struct bn_port_spec_list *list);
int port_specs_add(struct bn_port_spec_list *list, const struct bn_port_spec *spec); /* a copy */
int port_specs_parse(const struct bn_port_spec *specs, size_t len, const struct deadline *deadline,
		     struct port_request **requests, struct error *error);
void port_requests_free(struct port_request *requests, size_t len);

struct route_text {
	char *type, *destination, *gateway; /* gateway "": none */
	uint32_t metric;
};

struct bn_endpoint_spec {
	char *network, *endpoint;
	char *sandbox_path;
	int sandbox_pid, sandbox_fd;
	int sandbox_fd_number; /* that it is a copy of */
	char *interface, *mac;
	struct bn_name_list addresses;
	VECTOR(struct route_text) routes;
	int gateway_priority;
	bool gateway_priority_given;
	struct options options;
	struct bn_port_spec_list ports;
	struct spec_failure failure;
};
struct bn_endpoint_spec_list {
	VECTOR(struct bn_endpoint_spec *) specs;
	struct spec_failure failure;
};
/* The caller clears request->endpoint and frees *ports, request->ports_len of them. */
int endpoint_spec_parse(const struct bn_endpoint_spec *spec, const struct deadline *deadline,
			struct endpoint_request *request, struct port_request **ports,
			struct error *error);

struct bn_interface {
	struct interface data;
	char mac[MAC_TEXT_MAX];
	char flags[128];
	char (*addresses)[PREFIX_TEXT_MAX];
};
/* Takes the data over. NULL without memory. */
struct bn_interface *interface_new(struct interface *data);
void interface_free(struct bn_interface *interface_);

struct bn_network {
	struct network record;
	char subnets[2 * SUBNETS_MAX][PREFIX_TEXT_MAX];
	char gateways[2 * SUBNETS_MAX][ADDR_TEXT_MAX], ranges[2 * SUBNETS_MAX][RANGE_TEXT_MAX];
	uint64_t used[2 * SUBNETS_MAX], free[2 * SUBNETS_MAX]; /* addresses */
	size_t subnet_count;
	char (*reserved)[ADDR_TEXT_MAX];
	size_t endpoint_count;
	struct bn_interface *interface;
};
/* All but the record; the caller clears the snapshot. */
int network_snapshot_of_rows(bn_ctx *ctx, const struct rows *rows, void *snapshot);
struct bn_network_list {
	VECTOR(struct bn_network) networks;
};

struct bn_port {
	struct port record;
	char host_addr[PORT_HOST_MAX];
	char text[PORT_TEXT_MAX];
	const char *mode_ipv4, *mode_ipv6;
	fd_vector fds;
};
struct bn_port_list {
	VECTOR(struct bn_port) ports;
};
/* Of ports without descriptors, with their endpoints and networks; held: those of each, which can't
 * fail. */
int port_list_fill(struct bn_port_list *list, const struct rows *rows, struct error *error);
void port_list_hold(struct bn_port_list *list, held_vector *held);
void port_list_clear(struct bn_port_list *list);

struct bn_endpoint_route {
	const char *type;
	char destination[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX];
	uint32_t metric;
};
struct bn_endpoint {
	struct endpoint record;
	enum life life;
	struct options options; /* with what was chosen where that differs */
	char mac[MAC_TEXT_MAX];
	char (*addresses)[PREFIX_TEXT_MAX];
	size_t address_count;
	char gateways[2][ADDR_TEXT_MAX];
	size_t gateway_count;
	VECTOR(struct bn_endpoint_route) routes;
	struct bn_port_list ports;
	struct bn_interface *interface;
};
/* The same, of the one endpoint among the rows, its network and its ports. */
int endpoint_snapshot_of_rows(bn_ctx *ctx, const struct rows *rows, enum life life,
			      struct bn_endpoint *endpoint);
struct bn_endpoint_list {
	VECTOR(struct bn_endpoint) endpoints;
};

/*
 * Getters: what a snapshot says, with `self` for it; and what is said of NULL, or past the end.
 * Each is declared, and described, in bridgenet.h.
 */
#define GETTER(type, name, object, value, none) \
	type name(const object *self)           \
	{                                       \
		return self ? (value) : (none); \
	}
#define GETTER_AT(type, name, object, count, value, none)  \
	type name(const object *self, size_t i)            \
	{                                                  \
		return i < count(self) ? (value) : (none); \
	}

#endif
