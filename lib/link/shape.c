/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bandwidth of endpoints, by traffic control at the host end of the pair, where nobody inside can
 * take it away. What goes towards the endpoint leaves by that end, and waits there in a token
 * bucket. What comes from it arrives there, where nothing can wait: it is sent by way of a device
 * of its own (ifb), whose bucket it leaves by, and then arrives at the host end as if for the first
 * time.
 *
 * Where traffic inside the bridge is left alone, a classful discipline has a limited class that
 * all goes to but what the filters send past it.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <netinet/in.h>

#include "link/private.h"

#define BURST_MIN 16384 /* bytes: below it a bucket lets less through than its rate */
#define BURST_PART 50   /* of what goes in a second */
#define QUEUE_PART 20   /* the same, of what waits */
#define FRAME_MORE 18   /* a frame is so much longer than the MTU, with a VLAN tag */
#define TICK_NS 64      /* the kernel's unit of times in these messages */

#define ROOT SHAPE_ROOT
#define LIMITED TC_H_MAKE(ROOT, 1)
#define INGRESS SHAPE_INGRESS

/* Filters go by these, those of one protocol in the order in which they are put. */
enum filter_place { PLACE_ARP = 1, PLACE_IPV4, PLACE_IPV6, PLACE_ALL };

enum shape {
	SHAPE_NONE,
	SHAPE_ALL,
	SHAPE_LEAVING, /* what leaves the network, or enters it */
};

struct shaper {
	struct link_handle *handle;
	const struct network *network;
	const struct endpoint *endpoint;
	uint32_t port, ifb; /* indexes: of the host end, and of that device, 0: none */
	struct error *error;
};

static enum shape shape_of(const struct endpoint_policy *policy, uint64_t rate)
{
	if (!rate)
		return SHAPE_NONE;
	return policy->rate_local == RATE_LOCAL_NO ? SHAPE_LEAVING : SHAPE_ALL;
}

static enum shape shape_in(const struct endpoint *endpoint)
{
	return shape_of(&endpoint->policy, endpoint->policy.rate_in);
}

static enum shape shape_out(const struct endpoint *endpoint)
{
	return shape_of(&endpoint->policy, endpoint->policy.rate_out);
}

/* ---- buckets ---- */

struct bucket {
	uint64_t bytes; /* a second */
	uint64_t burst;
	uint32_t queue; /* bytes that wait at most */
};

static uint64_t at_least(uint64_t value, uint64_t least)
{
	return value < least ? least : value;
}

static struct bucket bucket_of(const struct endpoint *endpoint, uint64_t rate, uint64_t burst)
{
	struct bucket bucket = { .bytes = at_least(rate / 8, 1), .burst = burst };
	uint64_t queue;

	if (!burst)
		bucket.burst = at_least(bucket.bytes / BURST_PART,
					at_least(BURST_MIN, endpoint->mtu + FRAME_MORE));
	queue = bucket.burst + at_least(bucket.bytes / QUEUE_PART, BURST_MIN);
	bucket.queue = queue < UINT32_MAX ? (uint32_t)queue : UINT32_MAX;
	return bucket;
}

static struct bucket bucket_in(const struct endpoint *endpoint)
{
	return bucket_of(endpoint, endpoint->policy.rate_in, endpoint->policy.burst_in);
}

static struct bucket bucket_out(const struct endpoint *endpoint)
{
	return bucket_of(endpoint, endpoint->policy.rate_out, endpoint->policy.burst_out);
}

/* The kernel takes such a burst, and lets no packet of that length through. */
static int check_burst(const struct endpoint *endpoint, const char *direction, uint64_t burst,
		       struct error *error)
{
	if (!burst || burst >= endpoint->mtu + FRAME_MORE)
		return 0;
	return error_set(
		error, -EINVAL, BN_REASON_OPTION_CONFLICT,
		"burst-%s %llu of endpoint %s is less than a packet of its MTU %u, so that "
		"none would pass; give %u or more, or none",
		direction, (unsigned long long)burst, endpoint->id, endpoint->mtu,
		endpoint->mtu + FRAME_MORE);
}

int link_shape_check(const struct endpoint *endpoint, struct error *error)
{
	int r = check_burst(endpoint, "in", endpoint->policy.burst_in, error);

	return r < 0 ? r : check_burst(endpoint, "out", endpoint->policy.burst_out, error);
}

/* A packet that waits and has no room in it any more would wait for ever, and all behind it: what
 * waits goes with the larger bucket. */
static bool shrinks(struct bucket before, struct bucket after)
{
	return after.burst < before.burst;
}

/* Said to be Ethernet's, a rate needs no table that says how long each packet takes. */
static struct tc_ratespec rate_of(const struct bucket *bucket)
{
	return (struct tc_ratespec){
		.linklayer = TC_LINKLAYER_ETHERNET,
		.rate = bucket->bytes < UINT32_MAX ? (uint32_t)bucket->bytes : UINT32_MAX,
	};
}

static void add_discipline(struct rtnl_batch *batch, int type, int flags, uint32_t index,
			   uint32_t parent, uint32_t handle, const char *kind)
{
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)index,
		.tcm_parent = parent,
		.tcm_handle = handle,
	};

	rtnl_add(batch, type, flags, &header, sizeof(header));
	if (kind)
		rtnl_put_string(batch, TCA_KIND, kind);
}

static void add_bucket(struct rtnl_batch *batch, int flags, uint32_t index,
		       const struct bucket *bucket)
{
	const struct tc_tbf_qopt parameters = { .rate = rate_of(bucket), .limit = bucket->queue };
	struct nlattr *options;

	add_discipline(batch, RTM_NEWQDISC, flags, index, TC_H_ROOT, ROOT, "tbf");
	options = rtnl_nest(batch, TCA_OPTIONS);
	rtnl_put(batch, TCA_TBF_PARMS, &parameters, sizeof(parameters));
	rtnl_put_u32(batch, TCA_TBF_BURST, (uint32_t)bucket->burst);
	if (bucket->bytes >= UINT32_MAX)
		rtnl_put(batch, TCA_TBF_RATE64, &bucket->bytes, sizeof(bucket->bytes));
	rtnl_nest_end(batch, options);
}

static uint32_t ticks_of(const struct bucket *bucket)
{
	uint64_t ticks = bucket->burst * (1000000000u / TICK_NS) / bucket->bytes;

	return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

/* What is in no class passes at once. */
static void add_classes(struct rtnl_batch *batch, uint32_t index, const struct bucket *bucket)
{
	const struct tc_htb_glob global = {
		.version = TC_HTB_PROTOVER,
		.rate2quantum = 10,
		.defcls = TC_H_MIN(LIMITED),
	};
	const struct tc_htb_opt parameters = {
		.rate = rate_of(bucket),
		.ceil = rate_of(bucket),
		.buffer = ticks_of(bucket),
		.cbuffer = ticks_of(bucket),
		.quantum = BURST_MIN, /* there is no other class to take turns with */
	};
	const struct tc_fifo_qopt queue = { .limit = bucket->queue };
	struct nlattr *options;

	add_discipline(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, TC_H_ROOT, ROOT,
		       "htb");
	options = rtnl_nest(batch, TCA_OPTIONS);
	rtnl_put(batch, TCA_HTB_INIT, &global, sizeof(global));
	rtnl_nest_end(batch, options);
	add_discipline(batch, RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_EXCL, index, ROOT, LIMITED,
		       "htb");
	options = rtnl_nest(batch, TCA_OPTIONS);
	rtnl_put(batch, TCA_HTB_PARMS, &parameters, sizeof(parameters));
	if (bucket->bytes >= UINT32_MAX) {
		rtnl_put(batch, TCA_HTB_RATE64, &bucket->bytes, sizeof(bucket->bytes));
		rtnl_put(batch, TCA_HTB_CEIL64, &bucket->bytes, sizeof(bucket->bytes));
	}
	rtnl_nest_end(batch, options);
	add_discipline(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, LIMITED, 0, "bfifo");
	rtnl_put(batch, TCA_OPTIONS, &queue, sizeof(queue));
}

/* ---- filters ---- */

/* What a packet is told by: words of its IP header, in network order. */
union words {
	struct tc_u32_sel head;
	uint8_t room[sizeof(struct tc_u32_sel) + 4 * sizeof(struct tc_u32_key)];
};

static void add_word(union words *words, int offset, uint32_t mask, uint32_t value)
{
	words->head.keys[words->head.nkeys++] =
		(struct tc_u32_key){ .off = offset, .mask = mask, .val = value };
}

static union words words_of_address(const struct prefix *prefix, bool source)
{
	union words words = { .head.flags = TC_U32_TERMINAL };
	size_t size = addr_size(prefix->addr.family);
	int offset = size == 4 ? 12 : 8;
	struct prefix mask = { { .family = prefix->addr.family }, prefix->len };

	memset(mask.addr.bytes, 0xff, sizeof(mask.addr.bytes));
	mask = prefix_mask(&mask);
	if (!source)
		offset += (int)size;
	for (size_t at = 0; at < size; at += 4) {
		uint32_t bits, value;

		memcpy(&bits, mask.addr.bytes + at, 4);
		memcpy(&value, prefix->addr.bytes + at, 4);
		if (bits || !at)
			add_word(&words, offset + (int)at, bits, value & bits);
	}
	return words;
}

static union words words_of_all(void)
{
	union words words = { .head.flags = TC_U32_TERMINAL };

	add_word(&words, 0, 0, 0);
	return words;
}

/* ICMPv6 from that type on, as many as the mask leaves open. */
static union words words_of_icmpv6(uint8_t mask, uint8_t type)
{
	union words words = { .head.flags = TC_U32_TERMINAL };

	add_word(&words, 4, htonl(0xff00), htonl(IPPROTO_ICMPV6 << 8));
	add_word(&words, 40, htonl((uint32_t)mask << 24), htonl((uint32_t)type << 24));
	return words;
}

/* A direction in which some of what goes there is limited. */
struct direction {
	struct rtnl_batch *batch;
	uint32_t port, parent;
	uint32_t ifb; /* what is limited is sent there; 0: it goes to its class */
	bool sources; /* packets are told by where they come from, not by where they go */
};

static void put_redirection(struct rtnl_batch *batch, uint32_t index)
{
	const struct tc_mirred parameters = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = index,
	};
	struct nlattr *actions = rtnl_nest(batch, TCA_U32_ACT), *action, *options;

	action = rtnl_nest(batch, 1);
	rtnl_put_string(batch, TCA_ACT_KIND, "mirred");
	options = rtnl_nest(batch, TCA_ACT_OPTIONS);
	rtnl_put(batch, TCA_MIRRED_PARMS, &parameters, sizeof(parameters));
	rtnl_nest_end(batch, options);
	rtnl_nest_end(batch, action);
	rtnl_nest_end(batch, actions);
}

static void add_filter(const struct direction *direction, enum filter_place place,
		       uint16_t protocol, union words words, bool limited)
{
	struct rtnl_batch *batch = direction->batch;
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)direction->port,
		.tcm_parent = direction->parent,
		.tcm_info = TC_H_MAKE((uint32_t)place << 16, htons(protocol)),
	};
	struct nlattr *options;

	rtnl_add(batch, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	rtnl_put_string(batch, TCA_KIND, "u32");
	options = rtnl_nest(batch, TCA_OPTIONS);
	/* of a class that is the discipline itself: past all of them */
	rtnl_put_u32(batch, TCA_U32_CLASSID,
		     limited && !direction->ifb ? LIMITED : direction->parent);
	rtnl_put(batch, TCA_U32_SEL, &words,
		 sizeof(words.head) + words.head.nkeys * sizeof(words.head.keys[0]));
	if (limited && direction->ifb)
		put_redirection(batch, direction->ifb);
	rtnl_nest_end(batch, options);
}

/* What is inside the bridge besides the subnets: link-local scope. */
static const struct prefix link_scope[] = {
	{ { AF_INET, { 169, 254 } }, 16 },           { { AF_INET, { 224, 0, 0 } }, 24 },
	{ { AF_INET, { 255, 255, 255, 255 } }, 32 }, { { AF_INET6, { 0xfe, 0x80 } }, 10 },
	{ { AF_INET6, { 0xff, 0x02 } }, 16 },
};

/* The gateway stands for the host, and for whoever comes by a port that it publishes. */
static void add_family(const struct direction *direction, const struct network *network, int family)
{
	enum filter_place place = family == AF_INET ? PLACE_IPV4 : PLACE_IPV6;
	uint16_t protocol = family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
	struct prefix gateway = { .len = (uint8_t)(addr_size(family) * 8) };

	if (family == AF_INET6) {
		add_filter(direction, place, protocol, words_of_icmpv6(0xfc, 0x84), false);
		add_filter(direction, place, protocol, words_of_icmpv6(0xfe, 0x88), false);
	}
	for_each_subnet(subnet, network, family) {
		gateway.addr = subnet->gateway;
		if (addr_is_set(&gateway.addr))
			add_filter(direction, place, protocol,
				   words_of_address(&gateway, direction->sources), true);
		add_filter(direction, place, protocol,
			   words_of_address(&subnet->prefix, direction->sources), false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(link_scope); i++)
		if (link_scope[i].addr.family == family)
			add_filter(direction, place, protocol,
				   words_of_address(&link_scope[i], direction->sources), false);
}

static void add_filters(const struct direction *direction, const struct network *network)
{
	add_filter(direction, PLACE_ARP, ETH_P_ARP, words_of_all(), false);
	for_each_family(family)
		if (network_subnet(network, family))
			add_family(direction, network, family);
}

/* ---- doing ---- */

/* Nothing to delete is no error, nor is what others have put there. */
static int run_removal(const struct shaper *shaper, struct rtnl_batch *batch, const char *step)
{
	int r = rtnl_run_surely(shaper->handle, batch, -ENODEV, step);

	if (r == 0 || r == -ENOENT || r == -EINVAL)
		return 0;
	return rtnl_failure(shaper->error, batch, r, "lift the limit of endpoint %s",
			    shaper->endpoint->id);
}

static int remove_discipline(const struct shaper *shaper, uint32_t index, uint32_t parent,
			     uint32_t handle)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };

	/* by its kind: of another's there the kernel would ask for nothing else */
	add_discipline(&batch, RTM_DELQDISC, 0, index, parent, handle,
		       parent == TC_H_INGRESS ? "ingress" : NULL);
	return run_removal(shaper, &batch, "link.shape.remove");
}

/* The kernel says ENOENT for a discipline, a filter or an action that it has not, EOPNOTSUPP for a
 * kind of link. */
static int shape_error(const struct shaper *shaper, const struct rtnl_batch *batch, int code,
		       const char *option, const char *needs)
{
	const struct endpoint *endpoint = shaper->endpoint;

	if (code == -ENOENT || code == -EOPNOTSUPP)
		return error_set(shaper->error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				 "%s of endpoint %s needs %s, which this kernel has not got; load "
				 "the modules, or leave the option out",
				 option, endpoint->id, needs);
	if (code == -EEXIST)
		return error_set(shaper->error, -EEXIST, BN_REASON_KERNEL,
				 "%s of endpoint %s: somebody has put a discipline of traffic "
				 "control on interface %s; delete it",
				 option, endpoint->id, endpoint->host_interface);
	return rtnl_failure(shaper->error, batch, code, "set %s of endpoint %s", option,
			    endpoint->id);
}

/* *ret_lost: the answer was, so it may be there. */
static int run_in(const struct shaper *shaper, int flags, bool *ret_lost)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct endpoint *endpoint = shaper->endpoint;
	const struct direction direction = { &batch, shaper->port, ROOT, 0, true };
	const struct bucket bucket = bucket_in(endpoint);
	bool leaving = shape_in(endpoint) == SHAPE_LEAVING;
	int r;

	if (leaving) {
		add_classes(&batch, shaper->port, &bucket);
		add_filters(&direction, shaper->network);
	} else {
		add_bucket(&batch, flags, shaper->port, &bucket);
	}
	r = rtnl_run_step(shaper->handle, &batch, "link.shape.in");
	*ret_lost = batch.lost;
	/* there is none to change */
	if (r == 0 || (r == -ENOENT && !flags))
		return r;
	return shape_error(shaper, &batch, r, "rate-in",
			   leaving ? "the parts htb and u32 of traffic control" :
				     "the part tbf of traffic control");
}

static int run_out(const struct shaper *shaper, bool *ret_lost)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	const struct direction direction = { &batch, shaper->port, INGRESS, shaper->ifb, false };
	int r;

	add_discipline(&batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, shaper->port, TC_H_INGRESS,
		       INGRESS, "ingress");
	if (shape_out(shaper->endpoint) == SHAPE_LEAVING)
		add_filters(&direction, shaper->network);
	add_filter(&direction, PLACE_ALL, ETH_P_ALL, words_of_all(), true);
	r = rtnl_run_step(shaper->handle, &batch, "link.shape.out");
	*ret_lost = batch.lost;
	return r == 0 ? 0 :
			shape_error(shaper, &batch, r, "rate-out",
				    "the parts ingress, u32 and mirred of traffic control");
}

static int run_detour(const struct shaper *shaper, const struct bucket *bucket, bool anew)
{
	CLEANUP_BATCH struct rtnl_batch batch = { 0 };
	int r = 0;

	if (anew)
		r = remove_discipline(shaper, shaper->ifb, TC_H_ROOT, ROOT);
	if (r < 0)
		return r;
	add_bucket(&batch, NLM_F_CREATE | NLM_F_REPLACE, shaper->ifb, bucket);
	r = rtnl_run_surely(shaper->handle, &batch, 0, "link.shape.detour");
	return r == 0 ? 0 :
			shape_error(shaper, &batch, r, "rate-out",
				    "the part tbf of traffic control");
}

/* `before` NULL: nothing is there yet. */
static int set_in(const struct shaper *shaper, const struct endpoint *before)
{
	enum shape shape = shape_in(shaper->endpoint);
	bool lost = false;
	int r = 0;

	if (before && shape == SHAPE_ALL && shape_in(before) == SHAPE_ALL &&
	    !shrinks(bucket_in(before), bucket_in(shaper->endpoint))) {
		r = run_in(shaper, 0, &lost);
		if (r != -ENOENT && !lost)
			return r;
	}
	for (int i = 0; i < OUTCOME_LOOKS; i++) {
		r = before || lost ? remove_discipline(shaper, shaper->port, TC_H_ROOT, ROOT) : 0;
		if (r == 0 && shape != SHAPE_NONE)
			r = run_in(shaper, NLM_F_CREATE | NLM_F_EXCL, &lost);
		if (r == 0 || !lost)
			return r;
	}
	return OUTCOME_UNKNOWN;
}

static int set_redirection(const struct shaper *shaper, bool remove)
{
	bool lost = false;
	int r = 0;

	for (int i = 0; i < OUTCOME_LOOKS; i++) {
		r = remove || lost ? remove_discipline(shaper, shaper->port, TC_H_INGRESS, 0) : 0;
		if (r == 0 && shape_out(shaper->endpoint) != SHAPE_NONE)
			r = run_out(shaper, &lost);
		if (r == 0 || !lost)
			return r;
	}
	return OUTCOME_UNKNOWN;
}

static int set_out(struct shaper *shaper, const struct endpoint *before)
{
	const struct endpoint *endpoint = shaper->endpoint;
	enum shape shape = shape_out(endpoint), was = before ? shape_out(before) : SHAPE_NONE;
	bool anew = false;
	int r;

	if (shape != SHAPE_NONE) {
		const struct bucket bucket = bucket_out(endpoint);

		r = detour_make(shaper->handle, shaper->network, endpoint, &shaper->ifb, &anew,
				shaper->error);
		if (r == 0)
			r = run_detour(shaper, &bucket,
				       was != SHAPE_NONE && shrinks(bucket_out(before), bucket));
		if (r < 0)
			return r;
	}
	/* a device that was lost took the way to it along */
	r = shape == was && !anew ? 0 : set_redirection(shaper, before);
	if (r == 0 && shape == SHAPE_NONE)
		r = detour_remove(shaper->handle, shaper->network, endpoint, shaper->error);
	return r;
}

/* The burst that a rate has by default is no less than a packet. */
static bool same_in(const struct endpoint *before, const struct endpoint *after)
{
	const struct endpoint_policy *a = &before->policy, *b = &after->policy;

	return a->rate_in == b->rate_in && a->burst_in == b->burst_in &&
	       (!a->rate_in || (a->rate_local == b->rate_local &&
				bucket_in(before).burst == bucket_in(after).burst));
}

static bool same_out(const struct endpoint *before, const struct endpoint *after)
{
	const struct endpoint_policy *a = &before->policy, *b = &after->policy;

	return a->rate_out == b->rate_out && a->burst_out == b->burst_out &&
	       (!a->rate_out || (a->rate_local == b->rate_local &&
				 bucket_out(before).burst == bucket_out(after).burst));
}

static int find_port(struct shaper *shaper)
{
	const struct link_end end = { shaper->endpoint, shaper->network->id };
	CLEANUP_VECTOR index_vector indexes = { 0 };
	int r = link_ends_find(shaper->handle, &end, 1, &indexes, shaper->error);

	if (r < 0)
		return r;
	if (!indexes.len)
		return -ENODEV;
	shaper->port = indexes.items[0];
	return 0;
}

int link_shape(struct link_handle *handle, const struct network *network,
	       const struct endpoint *before, const struct endpoint *endpoint, struct error *error)
{
	struct shaper shaper = {
		.handle = handle,
		.network = network,
		.endpoint = endpoint,
		.error = error,
	};
	bool in = before ? !same_in(before, endpoint) : shape_in(endpoint) != SHAPE_NONE;
	bool out = before ? !same_out(before, endpoint) : shape_out(endpoint) != SHAPE_NONE;
	int r = 0;

	if (in || out)
		r = find_port(&shaper);
	/* one that is there no more holds nobody up */
	if (r == -ENODEV && before)
		return 0;
	if (r == -ENODEV)
		return error_set(
			error, r, BN_REASON_KERNEL,
			"interface %s of endpoint %s was deleted while it was being set up",
			endpoint->host_interface, endpoint->id);
	if (r == 0 && in)
		r = set_in(&shaper, before);
	if (r == 0 && out)
		r = set_out(&shaper, before);
	return r;
}
