/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A change of the plan as one transaction. */
#include "firewall/nft/nft.h"
#include "model/port.h"

#define REFUSED_MAX 4
/* For each element that it tells of, the kernel fills a page until all of them are told. */
#define ECHOES_MAX 128

struct change {
	struct nft *nft;
	struct error *error; /* only of what the kernel was not asked */
	uint32_t flags;
	nft_element_vector add, remove;
	uint32_t base_begin, base_end,
		remove_end; /* the last sequence numbers of the batch's parts */
	bool empty;
	size_t unmet;      /* elements it removed, as the kernel has told */
	bool made;         /* a commit was */
	bool refused_base; /* somebody else's is in its place; change->error says so */
	/* other programs commit all the time: the change is made to whatever rule set there is, and
	 * the base looked at afterwards */
	bool hurried;
	uint32_t extra;       /* of the base: what it adds needs it */
	bool fresh;           /* the base was looked at just now */
	bool told;            /* another process has, which says nothing of elements */
	bool look;            /* at what stands where elements are to be added */
	unsigned int refused; /* with nothing in the way: it has come meanwhile, or overlaps */
	bool differs; /* found: another one is there, or the same key is to be added twice */
};

/* ---- what stands already ---- */

static void found_to_remove(struct nft_element *element, const struct nft_element_view *view,
			    void *data)
{
	(void)data;
	/* Somebody else's element under the same key is not the rule that is to go. */
	element->skip = !view || !nft_element_matches(element, view);
}

/* What is missing is left to the kernel to say. */
static void found_of_others(struct nft_element *element, const struct nft_element_view *view,
			    void *data)
{
	(void)data;
	element->skip = view && !nft_element_matches(element, view);
}

static bool is_removed(const struct change *change, const struct nft_element *element)
{
	const struct nft_element *removed = NULL;

	if (change->remove.len)
		removed = bsearch(element, change->remove.items, change->remove.len,
				  sizeof(*element), nft_element_order);
	return removed && !removed->skip;
}

static void found_to_add(struct nft_element *element, const struct nft_element_view *view,
			 void *data)
{
	struct change *change = data;
	bool there = view && !is_removed(change, element);

	element->skip = there && nft_element_matches(element, view);
	element->over = there && !element->skip && change->flags & FIREWALL_REPAIR &&
			nft_element_goes_unseen(element, view);
	if ((there && !element->skip && !element->over) ||
	    (element > change->add.items && nft_element_order(element - 1, element) == 0))
		change->differs = true;
}

/* unseen: others may have put their own in the place of what is to be removed. */
static int change_look_up(struct change *change, bool unseen, struct nft_reply *reply)
{
	int r = 0;

	if (change->flags & FIREWALL_MISSING_OK || unseen)
		r = nft_elements_look_up(change->nft, &change->remove,
					 change->flags & FIREWALL_MISSING_OK ? found_to_remove :
									       found_of_others,
					 NULL, reply);
	change->differs = false;
	if (r == 0 && change->look)
		r = nft_elements_look_up(change->nft, &change->add, found_to_add, change, reply);
	return r;
}

/* ---- the transaction ---- */

/* Does the rule set matter in which the change is made? */
static bool is_watched(const struct change *change)
{
	return !(change->flags & (FIREWALL_BASE | FIREWALL_LEAVING));
}

/* nft->generation, if it is whole; else FIREWALL_BASE_MISSING. */
static int base_look(struct change *change, struct nft_reply *reply)
{
	struct nft_base_state state = { 0 };
	int r = nft_base_look(change->nft, false, &state, reply);

	change->fresh = true;
	if (r == 0 && (!nft_base_is_whole(&state) || !nft_extra_stands(&state, change->extra)))
		r = FIREWALL_BASE_MISSING;
	change->nft->generation = r == 0 ? state.generation : 0;
	nft_base_state_clear(&state);
	return r;
}

/* Nothing is to be changed, so the kernel does not say whether others have changed something. */
static int base_look_again(struct change *change, struct nft_reply *reply)
{
	uint32_t generation = 0;
	int r = 0;

	if (!change->fresh)
		r = nft_generation(change->nft, &generation, reply);
	if (r < 0 || change->fresh || generation == change->nft->generation)
		return r;
	return base_look(change, reply);
}

static int make_base(struct change *change, struct nft_reply *reply)
{
	struct nft *nft = change->nft;
	struct nft_base_state state = { 0 };
	/* Which rules are missing is true only of the rule set that was read. */
	int r = nft_base_look(nft, true, &state, reply);

	if (r == 0) {
		r = nft_base_check(&state, change->error);
		change->refused_base = r < 0;
	}
	if (r == 0)
		r = nft_batch_begin(nft, change->hurried ? 0 : state.generation);
	change->base_begin = nft->sequence;
	if (r == 0)
		r = nft_base_add(nft, &state, change->extra);
	if (nft->sequence != change->base_begin)
		change->empty = false;
	nft->generation = r == 0 ? state.generation : 0;
	nft_base_state_clear(&state);
	return r;
}

static int write_base(struct change *change, struct nft_reply *reply)
{
	struct nft *nft = change->nft;
	int r = 0;

	if (change->flags & FIREWALL_BASE)
		return make_base(change, reply);
	change->fresh = false;
	/* the number of a rule set says nothing of what is not always there */
	if (is_watched(change) && (!nft->generation || change->extra) && !change->hurried)
		r = base_look(change, reply);
	if (r < 0)
		return r;
	return nft_batch_begin(nft, is_watched(change) && !change->hurried ? nft->generation : 0);
}

/* What has met its elements matters of mappings alone. */
static bool is_of_mappings(const nft_element_vector *elements)
{
	for (size_t i = 0; i < elements->len; i++)
		if (!nft_fixed_at(elements->items[i].set)->value[0])
			return false;
	return elements->len;
}

/* The kernel echoes an element as it was when no packet that comes later could find it any more. */
static int take_removed(const struct nft_element_view *view, void *data)
{
	struct change *change = data;

	change->unmet += view->first && view->counts && !view->packets && !view->bytes;
	return 0;
}

/* What can't be read is not known to be unmet. */
static int take_echo(const struct nlmsghdr *message, void *data)
{
	if (NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_DELSETELEM)
		nft_message_elements(message, take_removed, data);
	return 0;
}

static int write_elements(struct change *change)
{
	struct nft_element_writer delete = { .nft = change->nft,
					     .type = NFT_MSG_DELSETELEM,
					     .set = -1 };
	struct nft_element_writer add = { .nft = change->nft,
					  .type = NFT_MSG_NEWSETELEM,
					  .set = -1,
					  .flags = NLM_F_CREATE | NLM_F_EXCL,
					  .values = true,
					  .counts = change->flags & FIREWALL_REPAIR,
					  .first = change->flags & FIREWALL_FIRST };
	int r = 0;

	if (change->remove.len <= ECHOES_MAX && is_of_mappings(&change->remove))
		delete.flags = NLM_F_ECHO;
	change->unmet = 0;
	change->base_end = change->nft->sequence;
	for (size_t i = 0; r == 0 && i < change->remove.len; i++) {
		if (!change->remove.items[i].skip)
			r = nft_element_write(&delete, &change->remove.items[i]);
	}
	for (size_t i = 0; r == 0 && i < change->add.len; i++) {
		if (change->add.items[i].over)
			r = nft_element_write(&delete, &change->add.items[i]);
	}
	change->remove_end = change->nft->sequence;
	for (size_t i = 0; r == 0 && i < change->add.len; i++) {
		if (!change->add.items[i].skip)
			r = nft_element_write(&add, &change->add.items[i]);
		if (r == 0)
			r = deadline_check(change->nft->base.deadline);
	}
	if (change->nft->sequence != change->base_end)
		change->empty = false;
	return r;
}

/* Mostly nothing of what is added is there, so that is found out by trying. What is there and equal
 * needs no adding; the kernel judges what differs once more. */
static int exists_already(struct change *change)
{
	/* what overlaps a range can't be found by its first key */
	if (change->look && (change->differs || ++change->refused == REFUSED_MAX))
		return -EEXIST;
	change->look = true;
	return -ERESTART;
}

/* Whoever was in a hurry looks afterwards what it was that the change was made to. */
static int change_made(struct change *change, struct nft_reply *reply)
{
	struct nft *nft = change->nft;

	change->made = true;
	nft->base.unmet = change->remove.len && change->unmet == change->remove.len;
	/* others may have come in between */
	if (change->hurried || change->flags & FIREWALL_LEAVING || nft->followed != nft->generation)
		nft->followed = 0;
	if (nft->followed)
		nft->followed = nft_generation_next(nft->followed);
	nft->generation = change->flags & FIREWALL_LEAVING ? 0 :
							     nft_generation_next(nft->generation);
	if (!change->hurried || change->flags & FIREWALL_LEAVING || base_look(change, reply) == 0) {
		nft_known_keep(nft);
		return 0;
	}
	return change->flags & FIREWALL_BASE ? -ERESTART : FIREWALL_BASE_MISSING;
}

static int change_refused(struct change *change, int r, const struct nft_reply *reply)
{
	if (reply->code == -ERESTART)
		nft_known_refuse(change->nft);
	if (reply->code && reply->sequence <= change->base_end)
		return change->hurried && (r == -ENOENT || r == -EEXIST) ? -ERESTART : r;
	if (!reply->code)
		return r;
	if (r == -ENOENT && reply->sequence > change->remove_end)
		return change->flags & FIREWALL_BASE ? -ERESTART : FIREWALL_BASE_MISSING;
	if (r == -EEXIST || r == -ENOTEMPTY)
		return exists_already(change);
	if (r == -ENOENT && change->flags & FIREWALL_MISSING_OK)
		return -ERESTART;
	return r;
}

/* -ERESTART: something changed between looking and committing; begin again. */
static int change_try(struct change *change, struct nft_reply *reply)
{
	bool unseen;
	int looked, r = 0;

	if (!change->nft->generation && is_watched(change) && !change->hurried)
		change->told = nft_known_recall(change->nft);
	unseen = change->remove.len && (change->told || !change->nft->generation);
	if (unseen && !change->told && is_watched(change) && !change->hurried)
		r = base_look(change, reply);
	if (r < 0)
		return r;
	r = looked = change_look_up(change, unseen, reply);
	change->empty = true;
	/* a set of our name that is not ours can't be looked into: the base says which */
	if (r == 0 || (r == -EINVAL && change->flags & FIREWALL_BASE))
		r = write_base(change, reply);
	if (r == 0)
		r = looked;
	if (r == 0)
		r = write_elements(change);
	if (r < 0)
		return r;
	if (change->empty)
		return is_watched(change) ? base_look_again(change, reply) : 0;
	r = nft_batch_commit(change->nft, take_echo, change, reply);
	return r == 0 ? change_made(change, reply) : change_refused(change, r, reply);
}

/* ---- when the answer is lost ---- */

struct outcome {
	const struct change *change;
	bool done;
};

static void found_added(struct nft_element *element, const struct nft_element_view *view,
			void *data)
{
	struct outcome *outcome = data;

	outcome->done &= view && nft_element_matches(element, view);
}

static void found_removed(struct nft_element *element, const struct nft_element_view *view,
			  void *data)
{
	struct outcome *outcome = data;
	const nft_element_vector *add = &outcome->change->add;

	if (!view || !nft_element_matches(element, view) ||
	    (add->len &&
	     bsearch(element, add->items, add->len, sizeof(*element), nft_element_order)))
		return;
	outcome->done = false;
}

static int base_is_whole(struct change *change, bool *ret_whole, struct nft_reply *reply)
{
	struct nft_base_state state = { 0 };
	int r = nft_base_look(change->nft, false, &state, reply);

	*ret_whole &= nft_base_is_whole(&state);
	nft_base_state_clear(&state);
	return r;
}

/* 1 if all of it stands, 0 if not: a transaction is done as a whole or not at all. Where the base
 * is missing it is somebody else's doing that there is nothing to be removed. */
static int change_is_done(struct change *change)
{
	struct outcome outcome = { change, true };
	struct nft_reply reply;
	int r = 0;

	if (change->flags & FIREWALL_BASE)
		r = base_is_whole(change, &outcome.done, &reply);
	if (r == 0)
		r = nft_elements_look_up(change->nft, &change->add, found_added, &outcome, &reply);
	if (r == 0)
		r = nft_elements_look_up(change->nft, &change->remove, found_removed, &outcome,
					 &reply);
	if (r == 0 && outcome.done && change->remove.len &&
	    nft_set_is_missing(change->nft, change->remove.items[0].set))
		return 0;
	return r < 0 ? r : outcome.done;
}

/* 0 if it was done after all, OUTCOME_UNKNOWN, or `lost`, the error with which the answer was: then
 * nothing is changed. */
static int change_outcome(struct change *change, int lost)
{
	const struct deadline *deadline = change->nft->base.deadline;
	const struct deadline look = deadline_after(OUTCOME_LOOK_MS);
	int r = -ENOBUFS;

	change->nft->base.deadline = &look;
	for (int i = 0; i < OUTCOME_LOOKS && r < 0; i++)
		r = change_is_done(change);
	change->nft->base.deadline = deadline;
	return r < 0 ? OUTCOME_UNKNOWN : r ? 0 : lost;
}

static int change_run(struct change *change, struct nft_reply *reply)
{
	unsigned int overtaken = 0;
	int r = -ERESTART;

	for (int i = 0; i < NFT_ATTEMPTS && r == -ERESTART; i++) {
		r = change_try(change, reply);
		if (r != -ERESTART || reply->code != -ERESTART)
			continue;
		change->hurried = ++overtaken >= NFT_INSISTS;
		/* mostly it was one commit, since the last call */
		if (overtaken > 1)
			r = deadline_pause(change->nft->base.deadline, overtaken - 2);
		if (r == 0)
			r = -ERESTART;
	}
	/* of a base that was not made nothing is known */
	if (reply->lost || (r < 0 && change->flags & FIREWALL_BASE))
		change->nft->generation = 0;
	if (reply->lost)
		r = change_outcome(change, r);
	return r < 0 && r != FIREWALL_BASE_MISSING && change->made ? OUTCOME_UNKNOWN : r;
}

/* ---- saying what went wrong ---- */

struct refused_element {
	struct change *change;
	const struct nft_element *element;
	struct rule holder; /* whose element is in the way */
};

static void found_in_the_way(struct nft_element *element, const struct nft_element_view *view,
			     void *data)
{
	struct refused_element *refused = data;

	if (refused->element || !view || is_removed(refused->change, element) ||
	    nft_element_matches(element, view))
		return;
	refused->element = element;
	nft_element_blank(element->set, &refused->holder);
	if (!nft_element_decode(nft_fixed_at(element->set), view, &refused->holder))
		memset(&refused->holder, 0, sizeof(refused->holder));
}

static void found_missing(struct nft_element *element, const struct nft_element_view *view,
			  void *data)
{
	struct refused_element *refused = data;

	if (!refused->element && !view)
		refused->element = element;
}

static int reason_of(const struct nft_element *element)
{
	if (mac_is_set(element->rule->mac))
		return BN_REASON_ADDRESS_IN_USE;
	if (nft_element_has_subnet(element))
		return BN_REASON_SUBNET_OVERLAP;
	return element->rule->host_port ? BN_REASON_PORT_IN_USE : BN_REASON_KERNEL;
}

/* A range may lie in that of another without a key of it that could be asked for. */
static int not_found_error(const struct change *change, struct error *error)
{
	char prefix[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < change->add.len; i++) {
		if (!nft_element_has_subnet(&change->add.items[i]))
			continue;
		prefix_format(nft_element_prefix(&change->add.items[i]), prefix);
		return error_set(error, -EEXIST, BN_REASON_SUBNET_OVERLAP,
				 "subnet %s overlaps one in the nftables table inet " NFT_TABLE
				 ", of another state directory; choose another",
				 prefix);
	}
	return error_set(error, -EEXIST, BN_REASON_KERNEL,
			 "a rule to add is in the kernel already; try again");
}

static int element_exists_error(struct change *change, struct error *error)
{
	struct refused_element refused = { .change = change };
	struct nft_reply reply = { 0 };
	char text[ELEMENT_TEXT_MAX];
	int reason;

	if (nft_elements_look_up(change->nft, &change->add, found_in_the_way, &refused, &reply) <
		    0 ||
	    !refused.element)
		return not_found_error(change, error);
	nft_element_describe(refused.element, text);
	reason = reason_of(refused.element);
	if (!refused.holder.network[0])
		return error_set(error, -EEXIST, reason,
				 "%s is in the nftables table %s already; remove it there or "
				 "choose another",
				 text, change->nft->table->name);
	return error_set(error, -EEXIST, reason,
			 "%s belongs to %s%s%snetwork '%s' already; remove it there or choose "
			 "another",
			 text, refused.holder.endpoint[0] ? "endpoint '" : "",
			 refused.holder.endpoint, refused.holder.endpoint[0] ? "' of " : "",
			 refused.holder.network);
}

static int element_missing_error(struct change *change, struct error *error)
{
	struct refused_element refused = { .change = change };
	struct nft_reply reply = { 0 };
	char text[ELEMENT_TEXT_MAX];

	if (nft_set_is_missing(change->nft, change->remove.items[0].set))
		return FIREWALL_BASE_MISSING;
	if (nft_elements_look_up(change->nft, &change->remove, found_missing, &refused, &reply) <
		    0 ||
	    !refused.element)
		return error_set(error, -ENOENT, BN_REASON_KERNEL,
				 "a rule to remove is not in the kernel; try again");
	nft_element_describe(refused.element, text);
	return error_set(error, -ENOENT, BN_REASON_KERNEL,
			 "the %s rule of %s is not in the kernel any more: someone else removed it",
			 rule_table_name(refused.element->rule->chain), text);
}

static int change_error(struct change *change, int r, const struct nft_reply *reply,
			struct error *error)
{
	bool of_elements = reply->code && reply->sequence > change->base_end;

	if (r == FIREWALL_BASE_MISSING || change->refused_base)
		return r;
	if (r == OUTCOME_UNKNOWN)
		return error_unknown_outcome(error, "change the nftables rules");
	if (r == -EEXIST && of_elements)
		return element_exists_error(change, error);
	if (r == -ENOENT && of_elements)
		return element_missing_error(change, error);
	return nft_table_error(change->nft, error, r, reply, "change the nftables rules");
}

int nft_apply_once(struct nft *nft, const struct firewall_change *change, struct error *error)
{
	struct change work = { .nft = nft,
			       .error = error,
			       .flags = change->flags,
			       /* what is missing was told by a list just now */
			       .look = change->flags & FIREWALL_BASE &&
				       !(change->flags & FIREWALL_REPAIR) };
	struct nft_reply reply = { 0 };
	int r;

	nft->base.unmet = false;
	/* planning many ports took its time, and so does encoding them */
	r = deadline_check(nft->base.deadline);
	if (r < 0)
		return nft_error(error, r, &reply, "change the nftables rules");
	r = nft_elements_encode(change->remove, change->remove_len, &work.remove, error);
	if (r == 0)
		r = nft_elements_encode(change->add, change->add_len, &work.add, error);
	if (r < 0)
		goto out;
	nft_elements_join(&work.remove);
	nft_elements_join(&work.add);
	work.extra = nft_elements_extra(&work.add);
	r = change_run(&work, &reply);
	/* nothing was changed */
	if (r == -ENOBUFS)
		r = change_run(&work, &reply);
	if (r < 0)
		r = change_error(&work, r, &reply, error);
	else
		nft_extra_end(nft, nft_elements_extra(&work.remove) & ~work.extra);
out:
	free(work.add.items);
	free(work.remove.items);
	return r;
}
