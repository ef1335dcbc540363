/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Check and repair. */
#include <errno.h>

#include "api/api.h"
#include "ops/check.h"

struct bn_finding {
	struct finding record; /* the list's */
	char *text;
};
struct bn_finding_list {
	finding_vector records;
	VECTOR(struct bn_finding) findings;
};

/* ---- verbs ---- */

static const struct api_call check = {
	.names = "bn_check",
	.need = CTX_RULES,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
	},
};

static const struct api_call repair = {
	.names = "bn_repair",
	.flags = BN_REPAIR_PLAN | BN_REPAIR_REMOVE_UNKNOWN,
	.need = CTX_CHANGE,
	.looks = BN_REPAIR_PLAN,
	.errnos = {
		API_ERRNO(ENOENT, "No such network or endpoint."),
	},
};

static int fill(bn_ctx *ctx, bn_finding_list *list)
{
	if (vector_reserve(&list->findings, list->records.len) < 0)
		return error_oom(&ctx->error);
	for (size_t i = 0; i < list->records.len; i++) {
		struct bn_finding *finding = vector_push(&list->findings);

		finding->record = list->records.items[i];
		if (finding_text(&finding->record, &finding->text) < 0)
			return error_oom(&ctx->error);
	}
	return 0;
}

typedef int (*look_fn)(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
		       finding_vector *findings);

static int look(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
		finding_vector *findings)
{
	(void)flags;
	return ops_check(ctx, network, endpoint, findings);
}

static int run(bn_ctx *ctx, const struct api_call *call, look_fn verb, const char *network,
	       const char *endpoint, uint32_t flags, bn_finding_list **ret_list)
{
	bn_finding_list *list = NULL;
	int r;

	if (!ret_list)
		return api_missing(ctx, "the result");
	if (endpoint && !network)
		return api_missing(ctx, "the network of the endpoint");
	r = api_enter(ctx, call, flags);
	if (r >= 0) {
		list = calloc(1, sizeof(*list));
		r = list ? verb(ctx, network, endpoint, flags, &list->records) :
			   error_oom(&ctx->error);
	}
	if (r >= 0)
		r = fill(ctx, list);
	if (r >= 0)
		*ret_list = TAKE_POINTER(list);
	bn_finding_list_free(list);
	return api_leave(ctx, call, r);
}

int bn_check(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	     bn_finding_list **ret_list)
{
	return run(ctx, &check, look, network, endpoint, flags, ret_list);
}

int bn_repair(bn_ctx *ctx, const char *network, const char *endpoint, uint32_t flags,
	      bn_finding_list **ret_list)
{
	return run(ctx, &repair, ops_repair, network, endpoint, flags, ret_list);
}

/* ---- snapshots ---- */

GETTER(size_t, bn_finding_list_len, bn_finding_list, self->findings.len, 0)
GETTER_AT(const bn_finding *, bn_finding_list_at, bn_finding_list, bn_finding_list_len,
	  &self->findings.items[i], NULL)

void bn_finding_list_free(bn_finding_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->findings.len; i++)
		free(list->findings.items[i].text);
	free(list->findings.items);
	findings_clear(&list->records);
	free(list);
}

GETTER(const char *, bn_finding_code, bn_finding, finding_code_text(self->record.code), "")
GETTER(int, bn_finding_severity, bn_finding, self->record.severity, 0)
GETTER(const char *, bn_finding_network, bn_finding, self->record.network, "")
GETTER(const char *, bn_finding_endpoint, bn_finding, self->record.endpoint, "")
GETTER(const char *, bn_finding_object, bn_finding, self->record.object, "")
GETTER(const char *, bn_finding_is, bn_finding, self->record.is, "")
GETTER(const char *, bn_finding_should_be, bn_finding, self->record.should_be, "")
GETTER(const char *, bn_finding_text, bn_finding, self->text, "")
GETTER(int, bn_finding_repaired, bn_finding, self->record.repaired, 0)
