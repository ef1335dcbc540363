/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The iptables-legacy backend as an object. */
#include <sys/utsname.h>

#include "base/waiter.h"
#include "firewall/iptables/iptables.h"

static void iptables_close(struct firewall *firewall)
{
	struct iptables *iptables = (struct iptables *)firewall;

	if (!iptables)
		return;
	for (int i = 0; i < FAMILY_COUNT; i++) {
		cleanup_close(&iptables->fd[i]);
		iptc_unload(&iptables->iptc[i]);
	}
	rules_clear(&iptables->rules);
	waiter_put(iptables->waiter);
	free(iptables->lock_file);
	free(iptables);
}

/* IPv6 may be missing from a kernel: then networks of IPv4 alone work. */
static int open_family(struct iptables *iptables, int index, struct error *error)
{
	int r = iptc_load(FAMILY_OF(index), &iptables->iptc[index], error);

	if (r == 0)
		r = iptables_probe(FAMILY_OF(index), &iptables->fd[index], error);
	if (r == -EOPNOTSUPP && index == FAMILY_IPV6 && iptables->iptc[index].library) {
		error_clear(error);
		return 0;
	}
	return r;
}

static int iptables_open(const struct firewall_config *config, struct firewall **ret_firewall,
			 struct error *error)
{
	struct iptables *iptables = calloc(1, sizeof(*iptables));
	const char *lock_file = config && config->lock_file ? config->lock_file : XTABLES_LOCK;
	int r = 0;

	if (!iptables)
		return error_oom(error);
	iptables->base.backend = &iptables_backend;
	iptables->fd[FAMILY_IPV4] = iptables->fd[FAMILY_IPV6] = -1;
	iptables->comments = config && config->comments;
	iptables->lock_file = strdup(lock_file);
	if (!iptables->lock_file ||
	    plan_rules(iptables_backend.traits(), PLAN_BASE, NULL, &iptables->rules) < 0)
		r = error_oom(error);
	for (int i = 0; i < FAMILY_COUNT && r == 0; i++)
		r = open_family(iptables, i, error);
	if (r < 0) {
		iptables_close(&iptables->base);
		return r;
	}
	*ret_firewall = &iptables->base;
	return 0;
}

static uint32_t traits_here(void)
{
	struct utsname name;

	return iptables_traits(uname(&name) < 0 ? "" : name.release) | firewall_traits();
}

const struct firewall_backend iptables_backend = {
	.name = "iptables-legacy",
	.traits = traits_here,
	.open = iptables_open,
	.close = iptables_close,
	.present = iptables_present,
	.in_use = iptables_in_use,
	.apply = iptables_apply,
	.inspect = iptables_inspect,
	.list = iptables_list,
	.remove_base = iptables_remove_base,
	.watch = iptables_watch,
	.hear = iptables_hear,
	.unwatch = iptables_unwatch,
	.stands = iptables_stands,
	.can_count = iptables_can_count,
	.can_log = iptables_can_log,
	.changed = iptables_changed,
	.may_stop = iptables_may_stop,
	.find_barriers = iptables_find_barriers,
	.find_openings = iptables_find_openings,
	.set_openings = iptables_set_openings,
	.chain_name = iptables_chain_name,
	.jump_name = iptables_jump_name,
};
