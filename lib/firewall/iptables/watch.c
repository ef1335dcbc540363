/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nobody is told when a table is changed. Who changes one takes the lock, mostly, and so closes its
 * file afterwards, which inotify tells; who takes none is found when the tables' sizes are asked
 * for, each second, or else their entries, now and then. What is in a table is kept as two numbers,
 * one of what is ours and one of the rest, which leave out what its rules have counted.
 */
#include <sys/inotify.h>

#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"

#define READ_ALL_MS 10000
#define READS 5 /* of a table that grows meanwhile */

struct seen_table {
	struct known_table heard; /* entries 0: it is not there */
	struct known_table stood; /* when its base was last looked at */
	uint64_t ours, others;    /* numbers of what is in it */
};

struct iptables_watch {
	struct firewall_watch base;
	char *lock_file;
	struct seen_table seen[FAMILY_COUNT][TABLE_COUNT];
	uint64_t read_at; /* all of them, by clock_now_ms() */
};

/* ---- what is in a table ---- */

/* Where a chain begins, in a table of that size. */
struct chain_start {
	uint32_t at;
	const char *name;
};

struct digest {
	int family;
	char *entries;
	size_t size;
	VECTOR(struct chain_start) chains; /* by place, as they come */
	uint64_t ours, others;
};

static uint64_t mix(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
	return digest ^ digest >> 29;
}

/* Entries are made of words of eight bytes. */
static uint64_t words_digest(uint64_t digest, const char *bytes, size_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		digest = mix(digest, word);
	}
	return digest;
}

/* False at the end, and where the table makes no sense. */
static bool entry_at(const struct digest *digest, size_t at, struct entry_head *ret_head)
{
	if (at + sizeof(struct ipt_entry) > digest->size)
		return false;
	entry_head(digest->family, digest->entries + at, ret_head);
	return *ret_head->next_offset >= ret_head->len + sizeof(struct xt_entry_target) &&
	       *ret_head->next_offset <= digest->size - at &&
	       *ret_head->target_offset + sizeof(struct xt_entry_target) <= *ret_head->next_offset;
}

static struct xt_entry_target *target_of(const struct digest *digest, size_t at,
					 const struct entry_head *head)
{
	return (struct xt_entry_target *)(digest->entries + at + *head->target_offset);
}

/* The name of the chain that begins behind the entry; NULL: it is a rule. */
static const char *chain_of(const struct xt_entry_target *target)
{
	if (strncmp(target->u.user.name, XT_ERROR_TARGET, sizeof(target->u.user.name)) != 0 ||
	    target->u.target_size < sizeof(struct xt_error_target))
		return NULL;
	return ((const struct xt_error_target *)target)->errorname;
}

static int find_chains(struct digest *digest)
{
	struct entry_head head;

	for (size_t at = 0; entry_at(digest, at, &head); at += *head.next_offset) {
		const char *name = chain_of(target_of(digest, at, &head));
		uint32_t start = (uint32_t)(at + *head.next_offset);

		if (name &&
		    vector_append(&digest->chains, ((struct chain_start){ start, name })) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *chain_at(const struct digest *digest, uint32_t at)
{
	size_t first = 0, end = digest->chains.len;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (digest->chains.items[middle].at < at)
			first = middle + 1;
		else
			end = middle;
	}
	return first < digest->chains.len && digest->chains.items[first].at == at ?
		       digest->chains.items[first].name :
		       NULL;
}

/* A jump says how far it is to its chain, which changes with all that is in between: the name takes
 * its place. */
static const char *name_jump(const struct digest *digest, struct xt_entry_target *target)
{
	struct xt_standard_target *jump = (struct xt_standard_target *)target;
	const char *name;

	if (target->u.user.name[0] || target->u.target_size < sizeof(*jump) || jump->verdict < 0)
		return NULL;
	name = chain_at(digest, (uint32_t)jump->verdict);
	jump->verdict = name ? (int)(hash_text(HASH_START, name) & INT32_MAX) : 0;
	return name;
}

/* Ours are all entries of our chains, and what leads there from elsewhere. */
static void add_entries(struct digest *digest)
{
	uint64_t chain = HASH_START;
	struct entry_head head;
	bool own = false;

	for (size_t at = 0; entry_at(digest, at, &head); at += *head.next_offset) {
		struct xt_entry_target *target = target_of(digest, at, &head);
		const char *name = chain_of(target), *jump = name_jump(digest, target);
		uint64_t number;

		if (name) {
			own = is_own_chain(name);
			chain = hash_text(HASH_START, name);
		}
		memset(head.counters, 0, sizeof(*head.counters));
		number = words_digest(chain, digest->entries + at, *head.next_offset);
		/* the order counts within a chain of ours */
		if (own)
			chain = number;
		if (own || (jump && is_own_chain(jump)))
			digest->ours += number;
		else
			digest->others = mix(digest->others, number);
	}
}

/* Both families' questions have the same form. */
_Static_assert(offsetof(struct ipt_get_entries, entrytable) ==
		       offsetof(struct ip6t_get_entries, entrytable),
	       "the offsets must agree");

/* -EAGAIN: the table has another size by now. */
static int read_entries(const struct iptables *iptables, int family, enum table_id id, size_t size,
			struct digest *ret_digest)
{
	size_t place = offsetof(struct ipt_get_entries, entrytable);
	socklen_t len = (socklen_t)(place + size);
	CLEANUP_FREE struct ipt_get_entries *answer = calloc(1, len);
	int r;

	if (!answer)
		return -ENOMEM;
	string_copy(answer->name, sizeof(answer->name), table_name(id));
	answer->size = (unsigned int)size;
	if (getsockopt(iptables->fd[FAMILY_INDEX(family)],
		       family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, IPT_SO_GET_ENTRIES, answer,
		       &len) < 0)
		return -errno;
	*ret_digest = (struct digest){ .family = family,
				       .entries = (char *)answer + place,
				       .size = size };
	r = find_chains(ret_digest);
	if (r == 0)
		add_entries(ret_digest);
	free(ret_digest->chains.items);
	return r;
}

/* FIREWALL_CHANGED_*; what can't be read is told when it is looked at. */
static uint32_t read_table(const struct iptables *iptables, int family, enum table_id id,
			   struct seen_table *seen)
{
	struct digest digest = { 0 };
	struct known_table info;
	uint32_t changed = 0;
	int r = -EAGAIN;

	for (int i = 0; i < READS && r == -EAGAIN; i++) {
		if (iptables_table_info(iptables, family, id, &info) < 0)
			return 0;
		r = read_entries(iptables, family, id, info.size, &digest);
	}
	if (r < 0)
		return FIREWALL_CHANGED_OURS;
	if (digest.ours != seen->ours)
		changed |= FIREWALL_CHANGED_OURS;
	if (digest.others != seen->others)
		changed |= FIREWALL_CHANGED_OTHERS;
	seen->ours = digest.ours;
	seen->others = digest.others;
	return changed;
}

uint32_t iptables_changed(struct firewall_watch *base, struct firewall *firewall)
{
	struct iptables_watch *watch = (struct iptables_watch *)base;
	const struct iptables *iptables = (const struct iptables *)firewall;
	uint32_t changed = 0;

	for (int f = 0; f < FAMILY_COUNT; f++)
		for (enum table_id id = 0; id < TABLE_COUNT; id++)
			if (watch->seen[f][id].heard.entries)
				changed |=
					read_table(iptables, FAMILY_OF(f), id, &watch->seen[f][id]);
	watch->read_at = clock_now_ms();
	return changed;
}

/* Is one of another size than when this was last asked? */
static bool sizes_differ(struct iptables_watch *watch, const struct iptables *iptables)
{
	struct known_table info;
	bool differ = false;

	for (int f = 0; f < FAMILY_COUNT; f++)
		for (enum table_id id = 0; id < TABLE_COUNT; id++) {
			struct known_table *heard = &watch->seen[f][id].heard;

			/* asking for one makes it */
			if (iptables->fd[f] < 0 ||
			    (!heard->entries && !iptables_table_exists(FAMILY_OF(f), id)) ||
			    iptables_table_info(iptables, FAMILY_OF(f), id, &info) < 0)
				continue;
			differ |= info.entries != heard->entries || info.size != heard->size;
			*heard = info;
		}
	return differ;
}

/* ---- the lock ---- */

/* The file may be missing, or be made anew: its directory tells. */
static int watch_lock(const struct iptables_watch *watch)
{
	CLEANUP_FREE char *directory = strdup(watch->lock_file);
	char *end = directory ? strrchr(directory, '/') : NULL;

	if (!directory)
		return -ENOMEM;
	if (end)
		end[end == directory] = '\0';
	if (inotify_add_watch(watch->base.ours, end ? directory : ".",
			      IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return -errno;
	if (inotify_add_watch(watch->base.ours, watch->lock_file, IN_CLOSE) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* *ret_made: something has come into the directory. */
static bool read_lock_events(int inotify, bool *ret_made)
{
	_Alignas(struct inotify_event) char buffer[4096];
	const struct inotify_event *event;
	bool closed = false;
	ssize_t len;

	*ret_made = false;
	while ((len = read(inotify, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const struct inotify_event *)(buffer + at);
			*ret_made |= event->mask & (IN_CREATE | IN_MOVED_TO);
			closed |= event->mask & (IN_CLOSE | IN_Q_OVERFLOW);
		}
	}
	return closed;
}

/* ---- the watch ---- */

void iptables_unwatch(struct firewall_watch *base)
{
	struct iptables_watch *watch = (struct iptables_watch *)base;

	if (!watch)
		return;
	cleanup_close(&watch->base.ours);
	free(watch->lock_file);
	free(watch);
}

int iptables_watch(struct firewall *firewall, struct firewall_watch **ret_watch,
		   struct error *error)
{
	const struct iptables *iptables = (const struct iptables *)firewall;
	struct iptables_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return error_oom(error);
	watch->base = (struct firewall_watch){ &iptables_backend, -1, -1 };
	watch->lock_file = strdup(iptables->lock_file);
	watch->base.ours = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = watch->base.ours < 0 ? -errno : 0;
	if (r == 0)
		r = watch->lock_file ? watch_lock(watch) : -ENOMEM;
	if (r < 0) {
		iptables_unwatch(&watch->base);
		return error_set(error, r, error_reason(-r, BN_REASON_KERNEL),
				 "cannot watch the xtables lock %s: %s", iptables->lock_file,
				 errno_text(-r));
	}
	sizes_differ(watch, iptables);
	for (int f = 0; f < FAMILY_COUNT; f++)
		for (enum table_id id = 0; id < TABLE_COUNT; id++)
			watch->seen[f][id].stood = watch->seen[f][id].heard;
	iptables_changed(&watch->base, firewall);
	*ret_watch = &watch->base;
	return 0;
}

void iptables_hear(struct firewall_watch *base, struct firewall *firewall,
		   struct firewall_news *ret_news)
{
	struct iptables_watch *watch = (struct iptables_watch *)base;
	bool made, heard = read_lock_events(base->ours, &made);

	if (made)
		watch_lock(watch);
	heard |= made || clock_now_ms() - watch->read_at >= READ_ALL_MS;
	heard |= sizes_differ(watch, (const struct iptables *)firewall);
	*ret_news = (struct firewall_news){ .ours = heard };
}

/* ---- the base ---- */

static int table_stands(const struct iptables *iptables, int family, enum table_id id,
			struct error *error)
{
	struct table table = { .family = family, .id = id };
	CLEANUP_VECTOR item_vector base = { 0 };
	struct edit edit = { .table = &table };
	int r = items_pick(&base, iptables->rules.items, iptables->rules.len, &table);

	if (r < 0)
		return error_oom(error);
	if (!base.len)
		return 1;
	r = table_open(&iptables->iptc[FAMILY_INDEX(family)], family, id, &table, error);
	if (r < 0)
		return r;
	r = base_check(&edit, &base);
	table_close(&table);
	if (r == FIREWALL_BASE_MISSING)
		return 0;
	return r < 0 ? error_oom(error) : 1;
}

/* What has been taken out of a table makes it smaller. To read one that has all its rules takes
 * long, to read one that lacks them does not. */
int iptables_stands(struct firewall_watch *base, struct firewall *firewall, struct error *error)
{
	struct iptables_watch *watch = (struct iptables_watch *)base;
	const struct iptables *iptables = (const struct iptables *)firewall;
	int r = 1;

	for (int f = 0; f < FAMILY_COUNT; f++)
		for (enum table_id id = 0; id < TABLE_COUNT && r > 0; id++) {
			struct seen_table *seen = &watch->seen[f][id];

			if (seen->heard.entries && seen->heard.entries < seen->stood.entries)
				r = table_stands(iptables, FAMILY_OF(f), id, error);
			if (r > 0)
				seen->stood = seen->heard;
		}
	return r;
}
