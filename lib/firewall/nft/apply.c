/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A change of the plan as one transaction. */
#include "firewall/nft/nft.h"
#include "model/port.h"

/* An attribute holds 64 KiB at most; a message ends before that. */
#define ELEMENTS_LIMIT 60000
#define ELEMENT_ROOM 320
/* Requests sent at once: their answers, a page or two each, must fit the socket's queue. */
#define LOOKUPS 32

struct change {
	struct nft *nft;
	uint32_t flags;
	nft_element_vector add, remove;
	uint32_t base_end, remove_end; /* the last sequence numbers of the batch's parts */
	bool empty;
	bool look;    /* at what stands where elements are to be added */
	bool differs; /* found: another one is there, or the same key is to be added twice */
};

/* ---- writing ---- */

struct element_writer {
	struct nft *nft;
	uint16_t type, flags;
	bool values; /* write values and comments too */
	int set;     /* of the open message, -1 for none */
	size_t nest; /* where its list of elements starts */
};

static int element_writer_open(struct element_writer *writer, size_t set)
{
	struct nlmsghdr *message;
	struct nlattr *nest;

	message = nft_object_message(writer->nft, writer->type, writer->flags,
				     NFTA_SET_ELEM_LIST_TABLE, ELEMENT_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, nft_fixed_at(set)->set);
	nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	writer->nest = (size_t)((char *)nest - (char *)message);
	writer->set = (int)set;
	return 0;
}

_Static_assert(2 * KEY_MAX + VALUE_MAX + sizeof(struct nft_comment) + 8 * sizeof(struct nlattr) <=
		       ELEMENT_ROOM,
	       "an element does not fit its room");

static void put_data(struct nlmsghdr *message, uint16_t type, const uint8_t *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put(message, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(message, nest);
}

static int element_writer_put(struct element_writer *writer, const struct nft_element *element)
{
	const struct nft_fixed *fixed = nft_fixed_at(element->set);
	uint8_t key_end[KEY_MAX];
	struct nft_comment comment;
	struct nlmsghdr *message;
	struct nlattr *item;
	int r = 0;

	if (writer->set != element->set)
		r = element_writer_open(writer, element->set);
	message = r < 0 ? NULL : nft_batch_room(writer->nft, ELEMENT_ROOM);
	if (message && message->nlmsg_len > ELEMENTS_LIMIT) {
		r = element_writer_open(writer, element->set);
		message = r < 0 ? NULL : nft_batch_room(writer->nft, ELEMENT_ROOM);
	}
	if (!message)
		return -ENOMEM;
	item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	put_data(message, NFTA_SET_ELEM_KEY, element->key, nft_fields_size(fixed->key));
	if (element->end)
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	if (nft_fixed_ranges(fixed) == RANGES_CONCATENATED) {
		nft_element_key_end(element, key_end);
		put_data(message, NFTA_SET_ELEM_KEY_END, key_end, nft_fields_size(fixed->key));
	}
	if (writer->values && fixed->value[0])
		put_data(message, NFTA_SET_ELEM_DATA, element->value,
			 nft_fields_size(fixed->value));
	if (writer->values && !element->end) {
		nft_comment_owner(element->rule, &comment);
		if (comment.len)
			mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, comment.len, comment.data);
	}
	mnl_attr_nest_end(message, item);
	mnl_attr_nest_end(message, (struct nlattr *)((char *)message + writer->nest));
	return 0;
}

/* ---- looking up what is there ---- */

struct lookup {
	struct nft_element *elements[LOOKUPS];
	size_t len;
	uint32_t first; /* sequence number of the first request */
	size_t index;   /* of the request that is being answered */
	bool seen[LOOKUPS];
	nft_found_fn found;
	void *data;
};

static int lookup_element(const struct nft_element_view *view, void *data)
{
	struct lookup *lookup = data;

	/* for the first key of a range that is not there, the end of the one before it */
	if (view->end)
		return 0;
	lookup->seen[lookup->index] = true;
	lookup->found(lookup->elements[lookup->index], view, lookup->data);
	return 0;
}

static int lookup_message(const struct nlmsghdr *message, void *data)
{
	struct lookup *lookup = data;

	lookup->index = message->nlmsg_seq - lookup->first;
	if (lookup->index >= lookup->len)
		return 0;
	return nft_message_elements(message, lookup_element, lookup);
}

static int lookup_some(struct nft *nft, struct lookup *lookup, struct nft_reply *reply)
{
	int r;

	memset(lookup->seen, 0, sizeof(lookup->seen));
	lookup->first = nft->sequence + 1;
	nft_requests_begin(nft);
	for (size_t i = 0; i < lookup->len; i++) {
		/* One element a request: the first that is missing ends a request. */
		struct element_writer writer = { .nft = nft,
						 .type = NFT_MSG_GETSETELEM,
						 .set = -1 };

		r = element_writer_put(&writer, lookup->elements[i]);
		if (r < 0)
			return r;
	}
	r = nft_batch_send(nft, lookup_message, lookup, reply);
	if (r < 0 && r != -ENOENT)
		return r;
	for (size_t i = 0; i < lookup->len; i++) {
		if (!lookup->seen[i])
			lookup->found(lookup->elements[i], NULL, lookup->data);
	}
	return 0;
}

/* Where a range ends can't be asked for: with another that begins there the kernel misses it. What
 * is true of its first key, just before it in the order of keys, is true of it. */
static void ends_follow(nft_element_vector *elements)
{
	for (size_t i = 1; i < elements->len; i++) {
		struct nft_element *end = &elements->items[i];
		const struct nft_element *start = end - 1;

		if (!end->end)
			continue;
		while (start > elements->items && start->rule != end->rule)
			start--;
		end->skip = start->skip;
		end->replace = start->replace;
	}
}

int nft_elements_look_up(struct nft *nft, nft_element_vector *elements, nft_found_fn found,
			 void *data, struct nft_reply *reply)
{
	struct lookup lookup = { .found = found, .data = data };
	int r = 0;

	for (size_t i = 0; r == 0 && i < elements->len; i++) {
		if (!elements->items[i].end)
			lookup.elements[lookup.len++] = &elements->items[i];
		if (lookup.len == LOOKUPS || (i + 1 == elements->len && lookup.len)) {
			r = lookup_some(nft, &lookup, reply);
			lookup.len = 0;
		}
	}
	ends_follow(elements);
	return r;
}

static void found_to_remove(struct nft_element *element, const struct nft_element_view *view,
			    void *data)
{
	(void)data;
	/* Somebody else's element under the same key is not the rule that is to go. */
	element->skip = !view || !nft_element_matches(element, view);
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
	element->replace = there && !element->skip && change->flags & FIREWALL_REPLACE;
	if ((there && !element->skip && !element->replace) ||
	    (element > change->add.items && nft_element_order(element - 1, element) == 0))
		change->differs = true;
}

static int change_look_up(struct change *change, struct nft_reply *reply)
{
	int r = 0;

	if (change->flags & FIREWALL_MISSING_OK)
		r = nft_elements_look_up(change->nft, &change->remove, found_to_remove, NULL,
					 reply);
	change->differs = false;
	if (r == 0 && change->look)
		r = nft_elements_look_up(change->nft, &change->add, found_to_add, change, reply);
	return r;
}

/* ---- the transaction ---- */

static int write_base(struct change *change, struct nft_reply *reply)
{
	struct nft *nft = change->nft;
	struct nft_base_state state = { 0 };
	uint32_t generation = 0;
	int r;

	if (!(change->flags & FIREWALL_BASE))
		return nft_batch_begin(nft, 0);
	/* Which rules are missing is true only of the rule set that was read. */
	r = nft_generation(nft, &generation, reply);
	if (r == 0)
		r = nft_base_state_read(nft, &state, reply);
	if (r == 0)
		r = nft_batch_begin(nft, generation);
	if (r == 0)
		r = nft_base_add(nft, &state);
	change->empty = false;
	nft_base_state_clear(&state);
	return r;
}

static int write_elements(struct change *change)
{
	struct element_writer delete = { .nft = change->nft,
					 .type = NFT_MSG_DELSETELEM,
					 .set = -1 };
	struct element_writer add = { .nft = change->nft,
				      .type = NFT_MSG_NEWSETELEM,
				      .set = -1,
				      .flags = NLM_F_CREATE | NLM_F_EXCL,
				      .values = true };
	int r = 0;

	change->base_end = change->nft->sequence;
	for (size_t i = 0; r == 0 && i < change->remove.len; i++) {
		if (!change->remove.items[i].skip)
			r = element_writer_put(&delete, &change->remove.items[i]);
	}
	for (size_t i = 0; r == 0 && i < change->add.len; i++) {
		if (change->add.items[i].replace)
			r = element_writer_put(&delete, &change->add.items[i]);
	}
	change->remove_end = change->nft->sequence;
	for (size_t i = 0; r == 0 && i < change->add.len; i++) {
		if (!change->add.items[i].skip)
			r = element_writer_put(&add, &change->add.items[i]);
		if (r == 0)
			r = deadline_check(change->nft->base.deadline);
	}
	if (change->nft->sequence != change->base_end)
		change->empty = false;
	return r;
}

/* Mostly nothing of what is added is there, so that is found out by trying. What is there and equal
 * needs no adding; the kernel judges what differs once more. */
static int exists_already(struct change *change, int r)
{
	/* ranges that overlap need not begin at the same key */
	if (change->look && (change->differs || r == -ENOTEMPTY))
		return -EEXIST;
	change->look = true;
	return -ERESTART;
}

/* -ERESTART: something changed between looking and committing; begin again. */
static int change_try(struct change *change, struct nft_reply *reply)
{
	int r = change_look_up(change, reply);

	change->empty = true;
	if (r == 0)
		r = write_base(change, reply);
	if (r == 0)
		r = write_elements(change);
	if (r < 0 || change->empty)
		return r;
	r = nft_batch_commit(change->nft, reply);
	if (!reply->code || reply->sequence <= change->base_end)
		return r;
	if (r == -ENOENT && reply->sequence > change->remove_end)
		return change->flags & FIREWALL_BASE ? -ERESTART : FIREWALL_BASE_MISSING;
	if (r == -EEXIST || r == -ENOTEMPTY)
		return exists_already(change, r);
	if (r == -ENOENT && change->flags & (FIREWALL_MISSING_OK | FIREWALL_REPLACE))
		return -ERESTART;
	return r;
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
	int r = nft_base_state_read(change->nft, &state, reply);

	for (size_t i = 0; i < NFT_FIXED && r == 0; i++)
		*ret_whole &= !nft_fixed_has_rule(i) || state.handle[i];
	nft_base_state_clear(&state);
	return r;
}

static int look_for_set(struct change *change, size_t set)
{
	struct nft_reply reply;
	struct nlmsghdr *message;

	nft_requests_begin(change->nft);
	message = nft_object_message(change->nft, NFT_MSG_GETSET, 0, NFTA_SET_TABLE, ELEMENT_ROOM);
	if (!message)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_SET_NAME, nft_fixed_at(set)->set);
	return nft_batch_send(change->nft, NULL, NULL, &reply);
}

static bool base_is_missing(struct change *change)
{
	int r = -ENOBUFS;

	for (int i = 0; i < OUTCOME_LOOKS && r < 0 && r != -ENOENT; i++)
		r = look_for_set(change, change->remove.items[0].set);
	return r == -ENOENT;
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
	if (r == 0 && outcome.done && change->remove.len && base_is_missing(change))
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
	int r = -ERESTART;

	for (int i = 0; i < NFT_ATTEMPTS && r == -ERESTART; i++)
		r = change_try(change, reply);
	return reply->lost ? change_outcome(change, r) : r;
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
	if (!nft_element_decode(element->set, view, &refused->holder))
		memset(&refused->holder, 0, sizeof(refused->holder));
}

static void found_missing(struct nft_element *element, const struct nft_element_view *view,
			  void *data)
{
	struct refused_element *refused = data;

	if (!refused->element && !view)
		refused->element = element;
}

/* "port 8799/tcp of 127.0.0.1", or what kind of rule it is. */
#define DESCRIPTION_MAX 160
static void describe_rule(const struct rule *rule, char text[static DESCRIPTION_MAX])
{
	char address[ADDR_TEXT_MAX], prefix[PREFIX_TEXT_MAX];

	if (rule->kind == RULE_SUBNET_SOURCE_DROP)
		snprintf(text, DESCRIPTION_MAX, "subnet %s", prefix_format(&rule->source, prefix));
	else if (!rule->host_port)
		snprintf(text, DESCRIPTION_MAX, "the %s rule of interface %s",
			 rule_table_name(rule->chain), rule->in[0] ? rule->in : rule->out);
	else if (addr_is_set(&rule->destination.addr))
		snprintf(text, DESCRIPTION_MAX, "port %u/%s of %s", (unsigned int)rule->host_port,
			 protocol_name(rule->protocol),
			 addr_format(&rule->destination.addr, address));
	else
		snprintf(text, DESCRIPTION_MAX, "port %u/%s", (unsigned int)rule->host_port,
			 protocol_name(rule->protocol));
}

static int element_exists_error(struct change *change, struct error *error)
{
	struct refused_element refused = { .change = change };
	struct nft_reply reply = { 0 };
	char text[DESCRIPTION_MAX];
	bool port;

	if (nft_elements_look_up(change->nft, &change->add, found_in_the_way, &refused, &reply) <
		    0 ||
	    !refused.element)
		return error_set(error, -EEXIST, BN_REASON_KERNEL,
				 "a rule to add is in the kernel already; try again");
	describe_rule(refused.element->rule, text);
	port = refused.element->rule->host_port != 0;
	if (!refused.holder.network[0])
		return error_set(error, -EEXIST, port ? BN_REASON_PORT_IN_USE : BN_REASON_KERNEL,
				 "%s is in the nftables table inet " NFT_TABLE " already; "
				 "remove it there or choose another",
				 text);
	return error_set(error, -EEXIST, port ? BN_REASON_PORT_IN_USE : BN_REASON_KERNEL,
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
	char text[DESCRIPTION_MAX];

	if (base_is_missing(change))
		return FIREWALL_BASE_MISSING;
	if (nft_elements_look_up(change->nft, &change->remove, found_missing, &refused, &reply) <
		    0 ||
	    !refused.element)
		return error_set(error, -ENOENT, BN_REASON_KERNEL,
				 "a rule to remove is not in the kernel; try again");
	describe_rule(refused.element->rule, text);
	return error_set(error, -ENOENT, BN_REASON_KERNEL,
			 "%s is not in the kernel any more: someone else removed it", text);
}

static int change_error(struct change *change, int r, const struct nft_reply *reply,
			struct error *error)
{
	bool of_elements = reply->code && reply->sequence > change->base_end;

	if (r == FIREWALL_BASE_MISSING)
		return r;
	if (r == OUTCOME_UNKNOWN)
		return error_unknown_outcome(error, "change the nftables rules");
	if (r == -EEXIST && of_elements)
		return element_exists_error(change, error);
	if (r == -ENOENT && of_elements)
		return element_missing_error(change, error);
	return nft_error(error, r, reply, "change the nftables rules");
}

int nft_apply(struct firewall *firewall, const struct firewall_change *change, struct error *error)
{
	struct change work = { .nft = (struct nft *)firewall,
			       .flags = change->flags,
			       .look = change->flags & FIREWALL_REPLACE };
	struct nft_reply reply = { 0 };
	int r;

	/* planning many ports took its time, and so does encoding them */
	r = deadline_check(firewall->deadline);
	if (r < 0)
		return nft_error(error, r, &reply, "change the nftables rules");
	r = nft_elements_encode(change->remove, change->remove_len, &work.remove, error);
	if (r == 0)
		r = nft_elements_encode(change->add, change->add_len, &work.add, error);
	if (r < 0)
		goto out;
	r = change_run(&work, &reply);
	/* nothing was changed */
	if (r == -ENOBUFS)
		r = change_run(&work, &reply);
	if (r < 0)
		r = change_error(&work, r, &reply, error);
out:
	free(work.add.items);
	free(work.remove.items);
	return r;
}
