/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What counts connections, and what tells of drops. Few have any, and not each kernel takes them:
 * so their sets, and the rules that look them up, are in the base only while there is an element.
 */
#include <stdio.h> /* libnftnl's headers use FILE */
#include <sys/utsname.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "firewall/nft/nft.h"

#define PROBE_TABLE NFT_TABLE "-probe"
#define PROBE_CHAIN "probe"
#define PROBE_ROOM 256

uint32_t nft_elements_extra(const nft_element_vector *elements)
{
	uint32_t extra = 0;

	for (size_t i = 0; i < elements->len; i++)
		extra |= nft_fixed_extra(elements->items[i].set);
	return extra;
}

uint32_t nft_rules_extra(const rule_vector *rules)
{
	uint32_t extra = 0;

	for (size_t i = 0; i < rules->len; i++) {
		const struct kind *kind = kind_of(rules->items[i].kind);

		extra |= (kind->connections ? NFT_COUNTS : 0) |
			 (kind->target == TARGET_LOG ? NFT_LOGS : 0);
	}
	return extra;
}

bool nft_extra_stands(const struct nft_base_state *state, uint32_t extra)
{
	for (size_t i = 0; i < NFT_FIXED && extra; i++)
		if (nft_fixed_has_rule(i) && nft_fixed_extra(i) & extra && !state->handle[i])
			return false;
	return true;
}

/* ---- the end ---- */

static bool is_empty(struct nft *nft, size_t set, struct nft_reply *reply)
{
	bool found = false;

	return nft_set_dump(nft, set, nft_element_found, &found, reply) == 0 && !found;
}

static int set_delete(struct nft *nft, size_t set)
{
	struct nlmsghdr *message =
		nft_object_message(nft, NFT_MSG_DELSET, 0, NFTA_SET_TABLE, PROBE_ROOM);

	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(set)->set);
	return 0;
}

/* Sets of an extra are there together, or not at all. */
static bool all_are_empty(struct nft *nft, const struct nft_base_state *state, uint32_t extra,
			  struct nft_reply *reply)
{
	for (size_t i = 0; i < NFT_FIXED; i++)
		if (state->set[i] && nft_fixed_extra(i) & extra && !is_empty(nft, i, reply))
			return false;
	return true;
}

static int write_end(struct nft *nft, const struct nft_base_state *state, uint32_t extra)
{
	int r = nft_batch_begin(nft, state->generation);

	for (size_t i = 0; i < NFT_FIXED && r == 0; i++)
		if (nft_fixed_extra(i) & extra && state->handle[i])
			r = nft_rule_delete(nft, kind_of(nft_fixed_kind(i))->chain,
					    state->handle[i]);
	for (size_t i = 0; i < NFT_FIXED && r == 0; i++)
		if (nft_fixed_extra(i) & extra && state->set[i])
			r = set_delete(nft, i);
	return r;
}

static void end_one(struct nft *nft, uint32_t extra)
{
	struct nft_base_state state = { 0 };
	struct nft_reply reply = { 0 };
	bool known;
	int r;

	r = nft_base_look(nft, true, &state, &reply);
	known = r == 0 && nft->generation == state.generation;
	if (r == 0 && all_are_empty(nft, &state, extra, &reply)) {
		/* all that was read is of that rule set, or nothing is done */
		nft->generation = 0;
		r = write_end(nft, &state, extra);
		if (r == 0)
			r = nft_batch_commit(nft, NULL, NULL, &reply);
		if (r == 0 && known)
			nft->generation = nft_generation_next(state.generation);
		nft_known_keep(nft);
	}
	nft_base_state_clear(&state);
}

void nft_extra_end(struct nft *nft, uint32_t extra)
{
	for (uint32_t one = NFT_COUNTS; one <= NFT_LOGS; one <<= 1)
		if (extra & one)
			end_one(nft, one);
}

/* ---- asking ---- */

static int write_chain(struct nft *nft)
{
	struct nlmsghdr *message =
		nft_batch_message(nft, NFT_MSG_NEWCHAIN, NLM_F_CREATE, PROBE_ROOM);

	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, PROBE_CHAIN);
	return 0;
}

/* A rule that does nothing but to write. */
static int write_rule(struct nft *nft)
{
	struct nftnl_expr *expression = nftnl_expr_alloc("log");
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nlmsghdr *message;
	int r = -ENOMEM;

	message = nft_batch_message(nft, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, PROBE_ROOM);
	if (message && rule && expression &&
	    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, PROBE_TABLE) == 0 &&
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, PROBE_CHAIN) == 0 &&
	    nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, "bn ") == 0) {
		nftnl_rule_add_expr(rule, expression);
		expression = NULL;
		nftnl_rule_nlmsg_build_payload(message, rule);
		r = 0;
	}
	if (expression)
		nftnl_expr_free(expression);
	if (rule)
		nftnl_rule_free(rule);
	return r;
}

/* The last of these the kernel refuses, and with it all: nothing has ever been there.
 * *ret_last: that of those which tell whether it can. log: a rule as well. */
static int write_probe(struct nft *nft, size_t set, bool log, uint32_t *ret_last)
{
	struct nlmsghdr *message;
	int r = nft_batch_begin(nft, 0);

	if (r < 0)
		return r;
	message = nft_batch_message(nft, NFT_MSG_NEWTABLE, NLM_F_CREATE, PROBE_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE);
	r = nft_set_add(nft, set, PROBE_TABLE);
	if (r == 0 && log)
		r = write_chain(nft);
	if (r == 0 && log)
		r = write_rule(nft);
	*ret_last = nft->sequence;
	message = r < 0 ? NULL : nft_batch_message(nft, NFT_MSG_DELTABLE, 0, PROBE_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE "-none");
	return 0;
}

/* 0; 1: the kernel can't, reply.code says why; or negative. */
static int ask(struct nft *nft, size_t set, bool log, const char *what, struct nft_reply *reply,
	       struct error *error)
{
	uint32_t last = 0;
	int r = write_probe(nft, set, log, &last);

	if (r == 0)
		r = nft_batch_commit(nft, NULL, NULL, reply);
	if (reply->code == -ENOENT && reply->sequence > last)
		return 0;
	if (reply->code && reply->sequence <= last && reply->code != -EPERM)
		return 1;
	return nft_error(error, r < 0 ? r : -EIO, reply, what);
}

/* An older kernel would take the elements, and of what they have to match one alone. */
static int check_release(const char *option, struct error *error)
{
	struct utsname name;

	if (uname(&name) == 0 && firewall_kernel_is(name.release, 5, 11))
		return 0;
	return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "option %s needs Linux 5.11 or newer with nftables; use iptables-legacy, "
			 "or leave it out",
			 option);
}

int nft_can_count(struct firewall *firewall, struct error *error)
{
	struct nft_reply reply = { 0 };
	int r = check_release("connections", error);

	if (r == 0)
		r = ask((struct nft *)firewall, NFT_FIXED_OF(RULE_CONNECTIONS_DROP), false,
			"ask whether nftables can count connections", &reply, error);
	if (r <= 0)
		return r;
	return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "the kernel can't count connections for nftables (%s): load the module "
			 "nft_connlimit, use a kernel that has it, or leave out option connections",
			 errno_text(-reply.code));
}

int nft_can_log(struct firewall *firewall, struct error *error)
{
	struct nft_reply reply = { 0 };
	int r = check_release("log-drops", error);

	if (r == 0)
		r = ask((struct nft *)firewall, NFT_FIXED_OF(RULE_SOURCE_LOG), true,
			"ask whether nftables can log drops", &reply, error);
	if (r <= 0)
		return r;
	return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
			 "the kernel can't log drops for nftables (%s): load the modules nft_log, "
			 "nf_log_syslog and nft_limit, use a kernel that has them, or leave out "
			 "option log-drops",
			 errno_text(-reply.code));
}
