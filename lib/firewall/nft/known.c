/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that changes a rule set in which the base was whole leaves one in which it is whole,
 * and whoever knows that one's number need not look. The kernel makes sure that nothing came
 * between: a change is made to the rule set of that number or not at all. So a number that is
 * wrong, for its process died, or wrote it late, costs what none does.
 */
#include "firewall/nft/nft.h"

/* Two versions of the library may make different bases. */
static int make_base_key(struct nft *nft)
{
	uint64_t key = HASH_START;
	int r;

	if (nft->base_key)
		return 0;
	r = nft_digests_make(nft);
	if (r < 0)
		return r;
	for (enum rule_chain i = nft->table->first_chain; i < nft->table->end_chain; i++) {
		const struct nft_chain *chain = &nft_chains[i];

		key = hash_text(key, chain->name);
		key = hash_text(key, chain->type ? chain->type : "");
		key = hash_bytes(key, &chain->hook, sizeof(chain->hook));
		key = hash_bytes(key, &chain->priority, sizeof(chain->priority));
	}
	for (size_t i = nft->table->first; i < nft->table->end; i++)
		if (nft_fixed_always_stands(i))
			key = hash_bytes(key, &nft->digests[i], sizeof(*nft->digests));
	nft->base_key = key ? key : 1;
	return 0;
}

bool nft_known_recall(struct nft *nft)
{
	const struct firewall_memory *memory = &nft->base.memory;
	uint32_t generation;

	if (!memory->recall || make_base_key(nft) < 0)
		return false;
	generation = (uint32_t)memory->recall(memory->data, nft->base_key);
	if (!generation || generation == nft->refused)
		return false;
	nft->generation = generation;
	return true;
}

void nft_known_keep(struct nft *nft)
{
	const struct firewall_memory *memory = &nft->base.memory;

	if (nft->generation && memory->keep && make_base_key(nft) == 0)
		memory->keep(memory->data, nft->base_key, nft->generation);
}

void nft_known_refuse(struct nft *nft)
{
	nft->refused = nft->generation;
	nft->generation = 0;
}
