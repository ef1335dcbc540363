/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rule as an entry of the kernel. */
#include <arpa/inet.h>
#include <stdio.h>

#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"

static void *put(struct entry *entry, size_t size)
{
	void *data = entry->data + entry->len;

	entry->len += XT_ALIGN(size);
	return data;
}

/* A match or a target: their headers are the same. */
static void *put_extension(struct entry *entry, const char *name, uint8_t revision, size_t size)
{
	struct xt_entry_match *extension = put(entry, sizeof(*extension) + size);

	extension->u.user.match_size = (uint16_t)XT_ALIGN(sizeof(*extension) + size);
	string_copy(extension->u.user.name, sizeof(extension->u.user.name), name);
	extension->u.user.revision = revision;
	return extension->data;
}
_Static_assert(sizeof(struct xt_entry_match) == sizeof(struct xt_entry_target),
	       "a match and a target have the same header");

/* ---- the head ---- */

/* clang-format off */
#define HEAD(entry, ip, flag) { \
	(uint8_t *)&(entry)->ip.src, (uint8_t *)&(entry)->ip.smsk, (uint8_t *)&(entry)->ip.dst, \
	(uint8_t *)&(entry)->ip.dmsk, (entry)->ip.iniface, (entry)->ip.outiface, \
	(entry)->ip.iniface_mask, (entry)->ip.outiface_mask, &(entry)->ip.flags, \
	&(entry)->ip.invflags, &(entry)->target_offset, &(entry)->next_offset, \
	&(entry)->counters, sizeof(*(entry)), (flag) \
}
/* clang-format on */

void entry_head(int family, void *data, struct entry_head *ret_head)
{
	struct ipt_entry *ipv4 = data;
	struct ip6t_entry *ipv6 = data;

	if (family == AF_INET)
		*ret_head = (struct entry_head)HEAD(ipv4, ip, IPT_F_GOTO);
	else
		*ret_head = (struct entry_head)HEAD(ipv6, ipv6, IP6T_F_GOTO);
}

static void put_prefix(const struct prefix *prefix, uint8_t *addr, uint8_t *mask)
{
	if (!prefix->addr.family)
		return;
	memcpy(addr, prefix->addr.bytes, addr_size(prefix->addr.family));
	for (size_t i = 0; i < prefix->len; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static void put_interface(const char *name, uint32_t flags, char *field, unsigned char *mask)
{
	if (!name[0])
		return;
	string_copy(field, IFNAMSIZ, name);
	/* with its end: else all whose names begin so, of which iptables(8) writes the '+' too */
	if (flags & ENTRY_PREFIX)
		field[strlen(name)] = '+';
	memset(mask, 0xff, strlen(name) + !(flags & ENTRY_PREFIX));
}

static void put_head(struct entry *entry, const struct rule *rule, uint32_t flags)
{
	bool is_icmp = rule->match & (RULE_ECHO_REQUEST | RULE_ICMPV6_OTHER);
	uint8_t protocol = is_icmp ? ICMP_OF(rule->family) : rule->protocol;
	struct entry_head head;

	entry_head(rule->family, entry->data, &head);
	put(entry, head.len);
	put_prefix(&rule->source, head.source, head.source_mask);
	if (!(rule->match & RULE_ORIGINAL))
		put_prefix(&rule->destination, head.destination, head.destination_mask);
	put_interface(rule->in, flags, head.in, head.in_mask);
	put_interface(rule->out, flags, head.out, head.out_mask);
	*head.inverted = (uint8_t)((rule->in_not ? IPT_INV_VIA_IN : 0) |
				   (rule->out_not ? IPT_INV_VIA_OUT : 0) |
				   (rule->source_not ? IPT_INV_SRCIP : 0) |
				   (rule->destination_not ? IPT_INV_DSTIP : 0));
	if (rule->target == TARGET_GOTO)
		*head.flags = head.goto_flag;
	if (rule->family == AF_INET) {
		((struct ipt_entry *)entry->data)->ip.proto = protocol;
	} else if (protocol) {
		((struct ip6t_entry *)entry->data)->ipv6.proto = protocol;
		*head.flags |= IP6T_F_PROTO;
	}
}

/* ---- matches ---- */

static void put_ports(struct entry *entry, const struct rule *rule)
{
	uint16_t first = rule->host_port, last = (uint16_t)(rule->host_port + rule->count - 1u);

	if (rule->protocol == IPPROTO_TCP) {
		*(struct xt_tcp *)put_extension(entry, "tcp", 0, sizeof(struct xt_tcp)) =
			(struct xt_tcp){ .spts = { 0, 0xffff }, .dpts = { first, last } };
	} else if (rule->protocol == IPPROTO_UDP) {
		*(struct xt_udp *)put_extension(entry, "udp", 0, sizeof(struct xt_udp)) =
			(struct xt_udp){ .spts = { 0, 0xffff }, .dpts = { first, last } };
	} else {
		*(struct xt_sctp_info *)put_extension(entry, "sctp", 0,
						      sizeof(struct xt_sctp_info)) =
			(struct xt_sctp_info){ .spts = { 0, 0xffff },
					       .dpts = { first, last },
					       .flags = XT_SCTP_DEST_PORTS };
	}
}

static void put_comment(struct entry *entry, const struct rule *rule)
{
	struct xt_comment_info *info = put_extension(entry, "comment", 0, sizeof(*info));

	snprintf(info->comment, sizeof(info->comment), "%s%s%s",
		 rule->network[0] ? rule->network : "bridgenet", rule->endpoint[0] ? "/" : "",
		 rule->endpoint);
}

static void put_state(struct entry *entry, uint16_t state, bool inverted)
{
	struct xt_conntrack_mtinfo3 *info = put_extension(entry, "conntrack", 3, sizeof(*info));

	info->match_flags = XT_CONNTRACK_STATE;
	info->invert_flags = inverted ? XT_CONNTRACK_STATE : 0;
	info->state_mask = state;
}

static void put_original(struct entry *entry, const struct rule *rule)
{
	struct xt_conntrack_mtinfo3 *info = put_extension(entry, "conntrack", 3, sizeof(*info));
	const struct addr *addr = &rule->destination.addr;

	info->match_flags = XT_CONNTRACK_ORIGDST_PORT;
	info->origdst_port = rule->host_port;
	info->origdst_port_high = (uint16_t)(rule->host_port + rule->count - 1u);
	if (rule->match & RULE_STATUS_DNAT) {
		info->match_flags |= XT_CONNTRACK_STATE;
		info->state_mask = XT_CONNTRACK_STATE_DNAT;
	}
	if (!addr_is_set(addr))
		return;
	info->match_flags |= XT_CONNTRACK_ORIGDST;
	memcpy(&info->origdst_addr, addr->bytes, addr_size(addr->family));
	memset(&info->origdst_mask, 0xff, addr_size(addr->family));
}

/* The kernel takes the target for such segments alone. */
static void put_syn(struct entry *entry)
{
	struct xt_tcp *tcp = put_extension(entry, "tcp", 0, sizeof(*tcp));

	*tcp = (struct xt_tcp){ .spts = { 0, 0xffff },
				.dpts = { 0, 0xffff },
				.flg_mask = FLAG_SYN | FLAG_RST,
				.flg_cmp = FLAG_SYN };
}

static void put_begins(struct entry *entry)
{
	struct xt_conntrack_mtinfo3 *info = put_extension(entry, "conntrack", 3, sizeof(*info));

	info->match_flags = info->invert_flags = XT_CONNTRACK_STATUS;
	info->status_mask = IPS_CONFIRMED;
}

/* Of that very address, which the rule matches as well. */
static void put_connections(struct entry *entry, const struct rule *rule)
{
	struct xt_connlimit_info *info = put_extension(entry, "connlimit", 1, sizeof(*info));

	memset(&info->mask, 0xff, addr_size(rule->family));
	info->limit = rule->connections;
}

static void put_limit(struct entry *entry)
{
	struct xt_rateinfo *info = put_extension(entry, "limit", 0, sizeof(*info));

	info->avg = LOG_INTERVAL;
	info->burst = LOG_BURST;
}

static void put_matches(struct entry *entry, const struct rule *rule, uint32_t flags)
{
	struct xt_addrtype_info_v1 *type;
	struct xt_rpfilter_info *path;
	struct xt_conntrack_mtinfo3 *asked;
	struct ipt_icmp *icmp;

	if (rule->match & RULE_ORIGINAL)
		put_original(entry, rule);
	else if (rule->count)
		put_ports(entry, rule);
	if (rule->match & (RULE_ECHO_REQUEST | RULE_ICMPV6_OTHER)) {
		icmp = put_extension(entry, ICMP_MATCH(rule->family), 0, sizeof(*icmp));
		*icmp = (struct ipt_icmp){ ECHO_REQUEST(rule->family),
					   { 0, 0xff },
					   rule->match & RULE_ICMPV6_OTHER ? IPT_ICMP_INV : 0 };
	}
	if (rule->match & RULE_TCP_SYN)
		put_syn(entry);
	if (rule->match & (RULE_LOCAL_DESTINATION | RULE_INTERFACE_DESTINATION)) {
		type = put_extension(entry, "addrtype", 1, sizeof(*type));
		type->dest = XT_ADDRTYPE_LOCAL;
		if (rule->match & RULE_INTERFACE_DESTINATION)
			type->flags = XT_ADDRTYPE_LIMIT_IFACE_IN;
	}
	if (rule->match & RULE_STATE_ESTABLISHED)
		put_state(entry, STATE_ESTABLISHED, false);
	if (rule->match & RULE_STATE_NEW)
		put_state(entry, STATE_ESTABLISHED, true);
	if (rule->match & RULE_BEGINS)
		put_begins(entry);
	if (rule->connections)
		put_connections(entry, rule);
	if (rule->match & RULE_STATE_INVALID)
		put_state(entry, XT_CONNTRACK_STATE_INVALID, false);
	if (rule->match & RULE_STATUS_DNAT && !(rule->match & RULE_ORIGINAL))
		put_state(entry, XT_CONNTRACK_STATE_DNAT, false);
	if (rule->match & RULE_ASKED_DNS) {
		asked = put_extension(entry, "conntrack", 3, sizeof(*asked));
		asked->match_flags = XT_CONNTRACK_ORIGDST_PORT;
		asked->origdst_port = asked->origdst_port_high = DNS_PORT;
	}
	if (rule->match & RULE_SOURCE_ASTRAY) {
		path = put_extension(entry, "rpfilter", 0, sizeof(*path));
		path->flags = XT_RPFILTER_INVERT;
	}
	/* the last, for it counts what gets there */
	if (rule->target == TARGET_LOG)
		put_limit(entry);
	if (flags & ENTRY_COMMENT)
		put_comment(entry, rule);
}

/* ---- targets ---- */

static void put_dnat(struct entry *entry, const struct rule *rule)
{
	struct nf_nat_range2 *range = put_extension(entry, "DNAT", 2, sizeof(*range));

	range->flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
	memcpy(&range->min_addr, rule->to.bytes, addr_size(rule->to.family));
	range->max_addr = range->min_addr;
	range->min_proto.all = htons(rule->to_port);
	range->max_proto.all = htons((uint16_t)(rule->to_port + rule->count - 1u));
	if (rule->count > 1) {
		/* the n-th port of the one range to the n-th of the other */
		range->flags |= NF_NAT_RANGE_PROTO_OFFSET;
		range->base_proto.all = htons(rule->host_port);
	}
}

static void put_snat(struct entry *entry, const struct rule *rule)
{
	unsigned int ports = rule->random_ports ? NF_NAT_RANGE_PROTO_RANDOM_FULLY : 0;
	struct nf_nat_ipv4_multi_range_compat *ranges;
	struct nf_nat_range *range;

	if (rule->family == AF_INET6) {
		range = put_extension(entry, "SNAT", 1, sizeof(*range));
		range->flags = NF_NAT_RANGE_MAP_IPS | ports;
		memcpy(&range->min_addr, rule->to.bytes, addr_size(AF_INET6));
		range->max_addr = range->min_addr;
		return;
	}
	ranges = put_extension(entry, "SNAT", 0, sizeof(*ranges));
	ranges->rangesize = 1;
	ranges->range[0].flags = NF_NAT_RANGE_MAP_IPS | ports;
	memcpy(&ranges->range[0].min_ip, rule->to.bytes, addr_size(AF_INET));
	ranges->range[0].max_ip = ranges->range[0].min_ip;
}

static void put_masquerade(struct entry *entry, const struct rule *rule)
{
	unsigned int flags = rule->random_ports ? NF_NAT_RANGE_PROTO_RANDOM_FULLY : 0;
	struct nf_nat_ipv4_multi_range_compat *ranges;
	struct nf_nat_range *range;

	if (rule->family == AF_INET6) {
		range = put_extension(entry, "MASQUERADE", 0, sizeof(*range));
		range->flags = flags;
		return;
	}
	ranges = put_extension(entry, "MASQUERADE", 0, sizeof(*ranges));
	ranges->rangesize = 1;
	ranges->range[0].flags = flags;
}

static void put_clamp(struct entry *entry)
{
	struct xt_tcpmss_info *info = put_extension(entry, "TCPMSS", 0, sizeof(*info));

	info->mss = XT_TCPMSS_CLAMP_PMTU;
}

static void put_log(struct entry *entry, const struct rule *rule)
{
	struct xt_log_info *info = put_extension(entry, "LOG", 0, sizeof(*info));

	_Static_assert(sizeof(info->prefix) == LOG_PREFIX_MAX, "the sizes must agree");
	info->level = LOG_LEVEL;
	rule_log_prefix(rule, info->prefix);
}

static void put_action(struct entry *entry, const struct rule *rule, const char *jump)
{
	switch (rule->target) {
	case TARGET_DNAT:
		put_dnat(entry, rule);
		break;
	case TARGET_SNAT:
		put_snat(entry, rule);
		break;
	case TARGET_MASQUERADE:
		put_masquerade(entry, rule);
		break;
	case TARGET_CLAMP_MSS:
		put_clamp(entry);
		break;
	case TARGET_LOG:
		put_log(entry, rule);
		break;
	case TARGET_ACCEPT:
		put_extension(entry, "ACCEPT", 0, sizeof(int));
		break;
	case TARGET_DROP:
		put_extension(entry, "DROP", 0, sizeof(int));
		break;
	case TARGET_RETURN:
		put_extension(entry, "RETURN", 0, sizeof(int));
		break;
	case TARGET_JUMP:
	case TARGET_GOTO:
	case TARGET_OTHER:
		put_extension(entry, jump, 0, sizeof(int));
		break;
	}
}

void entry_encode(const struct rule *rule, const char *jump, uint32_t flags, struct entry *entry)
{
	struct entry_head head;

	memset(entry, 0, sizeof(*entry));
	put_head(entry, rule, flags);
	put_matches(entry, rule, flags);
	entry_head(rule->family, entry->data, &head);
	*head.target_offset = (uint16_t)entry->len;
	put_action(entry, rule, jump);
	*head.next_offset = (uint16_t)entry->len;
}
