/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nftables backend as an object. */
#include <sys/utsname.h>

#include "firewall/nft/nft.h"

static void nft_close(struct firewall *firewall)
{
	struct nft *nft = (struct nft *)firewall;

	if (!nft)
		return;
	cleanup_close(&nft->fd);
	free(nft->batch);
	free(nft->digests);
	free(nft);
}

static int nft_open_error(struct error *error, int r, const struct nft_reply *reply)
{
	switch (r) {
	case -EPROTONOSUPPORT:
	case -EAFNOSUPPORT:
	case -EINVAL:
	case -EOPNOTSUPP:
		return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the kernel has no nf_tables: load the module nf_tables, or use "
				 "a kernel that has it");
	default:
		return nft_error(error, r, reply, "use nftables");
	}
}

static int open_table(const struct nft_table *table, struct firewall **ret_firewall,
		      struct error *error)
{
	struct nft *nft = calloc(1, sizeof(*nft));
	struct nft_reply reply = { 0 };
	uint32_t generation = 0;
	int r;

	if (!nft)
		return error_oom(error);
	nft->table = table;
	nft->base.backend = &nft_backend;
	nft->fd = -1;
	r = nft_socket_open(nft);
	/* Loads the module where that is allowed, and tells at once what is missing. */
	if (r == 0)
		r = nft_generation(nft, &generation, &reply);
	if (r < 0) {
		nft_close(&nft->base);
		return nft_open_error(error, r, &reply);
	}
	*ret_firewall = &nft->base;
	return 0;
}

static int nft_open(const struct firewall_config *config, struct firewall **ret_firewall,
		    struct error *error)
{
	(void)config;
	return open_table(&nft_packets, ret_firewall, error);
}

int nft_open_frames(struct firewall **ret_firewall, struct error *error)
{
	return open_table(&nft_frames, ret_firewall, error);
}

int nft_has_frames(struct firewall *firewall, struct error *error)
{
	return nft_can_have((struct nft *)firewall, error);
}

static void rule_chain_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	string_copy(name, CHAIN_NAME_MAX, nft_chain_name(rule->chain));
}

static void rule_jump_name(const struct rule *rule, char name[static CHAIN_NAME_MAX])
{
	string_copy(name, CHAIN_NAME_MAX, nft_chain_name(rule->jump));
}

/* From 6.5 on a rule can ask whether a map has a key, without what the key leads to. With it, it
 * would be counted as what came by it. */
uint32_t nft_traits(const char *release)
{
	bool asks = firewall_kernel_is(release, 6, 6);

	return NFT_TRAITS & ~(asks ? PLAN_LISTS_PORTS : PLAN_ASKS_PORTS);
}

static uint32_t traits_here(void)
{
	struct utsname name;

	return nft_traits(uname(&name) < 0 ? "" : name.release);
}

bool nft_fixed_is_here(size_t id)
{
	uint32_t needs = kind_of(nft_fixed_kind(id))->needs;

	return !(needs & (PLAN_ASKS_PORTS | PLAN_LISTS_PORTS)) || !(needs & ~traits_here());
}

/* To ask costs no more than to find out. */
static bool may_stop(void)
{
	return true;
}

const struct firewall_backend nft_backend = {
	.name = "nftables",
	.traits = traits_here,
	.open = nft_open,
	.close = nft_close,
	.present = nft_present,
	.in_use = nft_in_use,
	.apply = nft_apply,
	.inspect = nft_inspect,
	.list = nft_list,
	.is_as_left = nft_is_as_left,
	.remove_base = nft_remove_base,
	.watch = nft_watch,
	.hear = nft_hear,
	.unwatch = nft_unwatch,
	.stands = nft_stands,
	.may_stop = may_stop,
	.find_barriers = nft_find_barriers,
	.find_openings = nft_find_openings,
	.set_openings = nft_set_openings,
	.can_count = nft_can_count,
	.can_log = nft_can_log,
	.chain_name = rule_chain_name,
	.jump_name = rule_jump_name,
};
