/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libiptc/libiptc.h>

#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include "iptables.h"

#define TABLE "nat"
/* An entry is its head, its matches and its target, each of them aligned. */
#define ENTRY_SIZE XT_ALIGN(sizeof(struct ipt_entry))
#define MATCH_SIZE XT_ALIGN(sizeof(struct xt_entry_match) + sizeof(struct xt_tcp))
#define TARGET_SIZE(data) XT_ALIGN(sizeof(struct xt_entry_target) + (data))
#define RULE_SIZE (ENTRY_SIZE + MATCH_SIZE + TARGET_SIZE(sizeof(struct nf_nat_range2)))
/* A jump, a policy or the end of a chain; the head of a chain or the end of the table. */
#define STANDARD_SIZE (ENTRY_SIZE + TARGET_SIZE(sizeof(int)))
#define HEAD_SIZE (ENTRY_SIZE + TARGET_SIZE(XT_FUNCTION_MAXNAMELEN))
/* What follows the rules: the end of our chain, which is the last, and that of the table. */
#define TAIL_SIZE (STANDARD_SIZE + HEAD_SIZE)
#define TAIL_ENTRIES 2
/* With no rule: the policies of four chains, two jumps, the head of our chain and the tail. */
#define OTHER_ENTRIES (4 + 2 + 1 + TAIL_ENTRIES)

struct floor_iptables {
	int fd, own_namespace, table_namespace;
	struct ipt_getinfo info;
	struct ipt_get_entries *old;
	struct ipt_replace *new;
	struct xt_counters *old_counters;
	struct xt_counters_info *new_counters;
	size_t old_size, new_size, old_counters_size, new_counters_size;
};

static int grow(void *pointer, size_t *size, size_t need)
{
	void *buffer;

	if (need <= *size)
		return 0;
	buffer = realloc(*(void **)pointer, need);
	if (!buffer)
		return -ENOMEM;
	*(void **)pointer = buffer;
	*size = need;
	return 0;
}

/* -p tcp -m tcp --dport PORT -j DNAT --to-destination 10.250.0.2:80 */
static void make_rule(char *rule, size_t n)
{
	struct ipt_entry *entry = (struct ipt_entry *)rule;
	struct xt_entry_match *match = (struct xt_entry_match *)(rule + ENTRY_SIZE);
	struct xt_entry_target *target = (struct xt_entry_target *)(rule + ENTRY_SIZE + MATCH_SIZE);
	struct nf_nat_range2 *range = (struct nf_nat_range2 *)target->data;
	struct xt_tcp *tcp = (struct xt_tcp *)match->data;

	memset(rule, 0, RULE_SIZE);
	entry->ip.proto = IPPROTO_TCP;
	entry->target_offset = ENTRY_SIZE + MATCH_SIZE;
	entry->next_offset = RULE_SIZE;
	match->u.user.match_size = MATCH_SIZE;
	strcpy(match->u.user.name, "tcp");
	tcp->spts[1] = UINT16_MAX;
	tcp->dpts[0] = tcp->dpts[1] = (uint16_t)(n + 1);
	target->u.user.target_size = TARGET_SIZE(sizeof(*range));
	strcpy(target->u.user.name, "DNAT");
	target->u.user.revision = 2;
	range->flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
	range->min_addr.ip = range->max_addr.ip = inet_addr("10.250.0.2");
	range->min_proto.tcp.port = range->max_proto.tcp.port = htons(80);
}

static int read_table(struct floor_iptables *floor)
{
	socklen_t len = sizeof(floor->info);
	int r;

	strcpy(floor->info.name, TABLE);
	if (getsockopt(floor->fd, SOL_IP, IPT_SO_GET_INFO, &floor->info, &len) < 0)
		return -errno;
	len = (socklen_t)sizeof(*floor->old) + floor->info.size;
	r = grow(&floor->old, &floor->old_size, len);
	if (r < 0)
		return r;
	strcpy(floor->old->name, TABLE);
	floor->old->size = floor->info.size;
	if (getsockopt(floor->fd, SOL_IP, IPT_SO_GET_ENTRIES, floor->old, &len) < 0)
		return -errno;
	return 0;
}

/* The head of the request; what of its hooks is before our chain, and so stays where it is. */
static int start_replace(struct floor_iptables *floor, size_t size, uint32_t entries)
{
	struct ipt_replace *new;
	int r = grow(&floor->new, &floor->new_size, sizeof(*new) + size);

	if (r == 0)
		r = grow(&floor->old_counters, &floor->old_counters_size,
			 floor->info.num_entries * sizeof(struct xt_counters));
	if (r < 0)
		return r;
	new = floor->new;
	memset(new, 0, sizeof(*new));
	strcpy(new->name, TABLE);
	new->valid_hooks = floor->info.valid_hooks;
	new->num_entries = entries;
	new->size = (unsigned int)size;
	memcpy(new->hook_entry, floor->info.hook_entry, sizeof(new->hook_entry));
	memcpy(new->underflow, floor->info.underflow, sizeof(new->underflow));
	new->num_counters = floor->info.num_entries;
	new->counters = floor->old_counters;
	return 0;
}

/* The kernel starts the new table at zero and gives the old counters: add those of the entries
 * before and after the change. */
static int carry_counters(struct floor_iptables *floor, size_t kept)
{
	size_t entries = floor->new->num_entries;
	size_t size = sizeof(*floor->new_counters) + entries * sizeof(struct xt_counters);
	struct xt_counters *old = floor->old_counters, *counters;
	int r = grow(&floor->new_counters, &floor->new_counters_size, size);

	if (r < 0)
		return r;
	strcpy(floor->new_counters->name, TABLE);
	floor->new_counters->num_counters = (unsigned int)entries;
	counters = floor->new_counters->counters;
	memset(counters, 0, entries * sizeof(*counters));
	memcpy(counters, old, kept * sizeof(*counters));
	memcpy(counters + entries - TAIL_ENTRIES, old + floor->info.num_entries - TAIL_ENTRIES,
	       TAIL_ENTRIES * sizeof(*counters));
	if (setsockopt(floor->fd, SOL_IP, IPT_SO_SET_ADD_COUNTERS, floor->new_counters,
		       (socklen_t)size) < 0)
		return -errno;
	return 0;
}

static int replace(struct floor_iptables *floor, size_t kept)
{
	socklen_t len = (socklen_t)sizeof(*floor->new) + floor->new->size;

	if (setsockopt(floor->fd, SOL_IP, IPT_SO_SET_REPLACE, floor->new, len) < 0)
		return -errno;
	return carry_counters(floor, kept);
}

int floor_iptables_add(struct floor_iptables *floor, size_t first, size_t len)
{
	size_t before, kept;
	char *old, *at;
	int r = read_table(floor);

	if (r < 0)
		return r;
	before = floor->info.size - TAIL_SIZE;
	kept = floor->info.num_entries - TAIL_ENTRIES;
	r = start_replace(floor, floor->info.size + len * RULE_SIZE,
			  floor->info.num_entries + (uint32_t)len);
	if (r < 0)
		return r;
	old = (char *)floor->old->entrytable;
	at = (char *)floor->new->entries;
	memcpy(at, old, before);
	at += before;
	for (size_t n = first; n < first + len; n++, at += RULE_SIZE)
		make_rule(at, n);
	memcpy(at, old + before, TAIL_SIZE);
	return replace(floor, kept);
}

int floor_iptables_delete(struct floor_iptables *floor, size_t len)
{
	size_t before, kept;
	char *old, *at;
	int r = read_table(floor);

	if (r < 0)
		return r;
	if (floor->info.num_entries < OTHER_ENTRIES + len)
		return -ENOENT;
	before = floor->info.size - TAIL_SIZE - len * RULE_SIZE;
	kept = floor->info.num_entries - TAIL_ENTRIES - len;
	r = start_replace(floor, before + TAIL_SIZE, floor->info.num_entries - (uint32_t)len);
	if (r < 0)
		return r;
	old = (char *)floor->old->entrytable;
	at = (char *)floor->new->entries;
	memcpy(at, old, before);
	memcpy(at + before, old + floor->info.size - TAIL_SIZE, TAIL_SIZE);
	return replace(floor, kept);
}

int floor_iptables_read(struct floor_iptables *floor, size_t *ret_len)
{
	int r = read_table(floor);

	if (r == 0)
		*ret_len = floor->info.num_entries - OTHER_ENTRIES;
	return r;
}

static int commit(struct xtc_handle *handle, int good)
{
	int r = good && iptc_commit(handle) ? 0 : -errno;

	iptc_free(handle);
	return r;
}

int floor_libiptc_add(size_t first, size_t len)
{
	struct xtc_handle *handle = iptc_init(TABLE);
	xt_chainlabel chain = FLOOR_IPTABLES_CHAIN;
	_Alignas(struct _xt_align) char rule[RULE_SIZE];
	int good = 1;

	if (!handle)
		return -errno;
	for (size_t n = first; good && n < first + len; n++) {
		make_rule(rule, n);
		good = iptc_append_entry(chain, (struct ipt_entry *)rule, handle);
	}
	return commit(handle, good);
}

int floor_libiptc_delete(size_t count, size_t len)
{
	struct xtc_handle *handle = iptc_init(TABLE);
	xt_chainlabel chain = FLOOR_IPTABLES_CHAIN;
	int good = 1;

	if (!handle)
		return -errno;
	for (size_t i = 1; good && i <= len; i++)
		good = iptc_delete_num_entry(chain, (unsigned int)(count - i), handle);
	return commit(handle, good);
}

int floor_libiptc_list(size_t *ret_len)
{
	struct xtc_handle *handle = iptc_init(TABLE);
	const struct ipt_entry *entry;

	if (!handle)
		return -errno;
	*ret_len = 0;
	for (entry = iptc_first_rule(FLOOR_IPTABLES_CHAIN, handle); entry;
	     entry = iptc_next_rule(entry, handle))
		++*ret_len;
	iptc_free(handle);
	return 0;
}

static int make_chain(void)
{
	_Alignas(struct _xt_align) char jump[STANDARD_SIZE] = { 0 };
	struct ipt_entry *entry = (struct ipt_entry *)jump;
	struct xt_entry_target *target = (struct xt_entry_target *)(jump + ENTRY_SIZE);
	xt_chainlabel chain = FLOOR_IPTABLES_CHAIN, prerouting = "PREROUTING", output = "OUTPUT";
	struct xtc_handle *handle = iptc_init(TABLE);

	if (!handle)
		return -errno;
	entry->target_offset = ENTRY_SIZE;
	entry->next_offset = STANDARD_SIZE;
	target->u.user.target_size = TARGET_SIZE(sizeof(int));
	strcpy(target->u.user.name, chain);
	return commit(handle, iptc_create_chain(chain, handle) &&
				      iptc_append_entry(prerouting, entry, handle) &&
				      iptc_append_entry(output, entry, handle));
}

static int open_namespace(struct floor_iptables *floor)
{
	int r;

	floor->own_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (floor->own_namespace < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	floor->table_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	floor->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	r = floor->table_namespace < 0 || floor->fd < 0 ? -errno : make_chain();
	floor_iptables_leave(floor);
	return r;
}

int floor_iptables_open(struct floor_iptables **ret_floor)
{
	struct floor_iptables *floor = calloc(1, sizeof(*floor));
	int r;

	if (!floor)
		return -ENOMEM;
	floor->fd = floor->own_namespace = floor->table_namespace = -1;
	r = open_namespace(floor);
	if (r == 0)
		*ret_floor = floor;
	else
		floor_iptables_close(floor);
	return r;
}

void floor_iptables_close(struct floor_iptables *floor)
{
	close(floor->fd);
	close(floor->own_namespace);
	close(floor->table_namespace);
	free(floor->old);
	free(floor->new);
	free(floor->old_counters);
	free(floor->new_counters);
	free(floor);
}

void floor_iptables_enter(struct floor_iptables *floor)
{
	if (setns(floor->table_namespace, CLONE_NEWNET) < 0)
		abort();
}

void floor_iptables_leave(struct floor_iptables *floor)
{
	if (setns(floor->own_namespace, CLONE_NEWNET) < 0)
		abort();
}
