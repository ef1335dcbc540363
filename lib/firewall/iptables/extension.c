/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The matches that we write, as they are read. */
#include "firewall/iptables/extension.h"

#include <arpa/inet.h>

#include "firewall/iptables/kernel.h"

/* The offset behind the extension at `offset`, 0 if it is malformed. */
size_t extension_read(const uint8_t *data, size_t offset, size_t end,
		      struct extension *ret_extension)
{
	const struct xt_entry_match *match = (const void *)(data + offset);
	size_t size;

	if (offset % _Alignof(struct xt_entry_match) || end - offset < sizeof(*match))
		return 0;
	size = match->u.match_size;
	if (size < sizeof(*match) || size > end - offset ||
	    !memchr(match->u.user.name, '\0', sizeof(match->u.user.name)))
		return 0;
	*ret_extension = (struct extension){ match->u.user.name, match->u.user.revision,
					     data + offset + sizeof(*match),
					     size - sizeof(*match) };
	return offset + size;
}

bool extension_is(const struct extension *extension, const char *name, uint8_t revision,
		  size_t size)
{
	return strcmp(extension->name, name) == 0 && extension->revision == revision &&
	       extension->len >= size;
}

/* The destination ports, where that is all that it matches. */
bool match_ports(const struct extension *match, uint16_t *ret_first, uint16_t *ret_last)
{
	const struct xt_tcp *tcp = (const void *)match->data;
	const struct xt_udp *udp = (const void *)match->data;
	const struct xt_sctp_info *sctp = (const void *)match->data;
	const __u16 *ports;

	if (extension_is(match, "tcp", 0, sizeof(*tcp))) {
		if (tcp->invflags || tcp->flg_mask || tcp->option || tcp->spts[0] ||
		    tcp->spts[1] != 0xffff)
			return false;
		ports = tcp->dpts;
	} else if (extension_is(match, "udp", 0, sizeof(*udp))) {
		if (udp->invflags || udp->spts[0] || udp->spts[1] != 0xffff)
			return false;
		ports = udp->dpts;
	} else if (extension_is(match, "sctp", 0, sizeof(*sctp))) {
		if (sctp->flags != XT_SCTP_DEST_PORTS || sctp->invflags)
			return false;
		ports = sctp->dpts;
	} else {
		return false;
	}
	*ret_first = ports[0];
	*ret_last = ports[1];
	return ports[0] <= ports[1];
}

/* Where the connection was made to, before translation. */
static bool read_original(const struct xt_conntrack_mtinfo3 *info, struct rule *rule)
{
	size_t size = addr_size(rule->family);
	struct addr addr = { .family = rule->family };
	uint8_t all[16];

	memset(all, 0xff, sizeof(all));
	if (rule->count || addr_is_set(&rule->destination.addr) ||
	    info->origdst_port_high < info->origdst_port)
		return false;
	if (info->match_flags & XT_CONNTRACK_ORIGDST) {
		if (memcmp(&info->origdst_mask, all, size) != 0)
			return false;
		memcpy(addr.bytes, &info->origdst_addr, size);
		rule->destination = (struct prefix){ addr, (uint8_t)(size * 8) };
	}
	rule->match |= RULE_ORIGINAL;
	rule->host_port = info->origdst_port;
	rule->count = (uint16_t)(info->origdst_port_high - info->origdst_port + 1u);
	return true;
}

bool match_state(const struct extension *match, struct rule *rule)
{
	const struct xt_conntrack_mtinfo3 *info = (const void *)match->data;

	uint16_t flags;

	if (!extension_is(match, "conntrack", 3, sizeof(*info)))
		return false;
	flags = info->match_flags;
	if (info->invert_flags) {
		rule->match |= RULE_STATE_NEW;
		return info->invert_flags == XT_CONNTRACK_STATE && flags == XT_CONNTRACK_STATE &&
		       info->state_mask == STATE_ESTABLISHED;
	}
	if (flags & XT_CONNTRACK_ORIGDST_PORT) {
		if (!read_original(info, rule))
			return false;
		flags &= (uint16_t) ~(XT_CONNTRACK_ORIGDST_PORT | XT_CONNTRACK_ORIGDST);
		if (!flags)
			return true;
	}
	if (flags != XT_CONNTRACK_STATE)
		return false;
	if (info->state_mask == STATE_ESTABLISHED)
		rule->match |= RULE_STATE_ESTABLISHED;
	else if (info->state_mask == XT_CONNTRACK_STATE_INVALID)
		rule->match |= RULE_STATE_INVALID;
	else if (info->state_mask == XT_CONNTRACK_STATE_DNAT)
		rule->match |= RULE_STATUS_DNAT;
	else
		return false;
	return true;
}

bool match_is_stray_source(const struct extension *match)
{
	const struct xt_rpfilter_info *info = (const void *)match->data;

	return extension_is(match, "rpfilter", 0, sizeof(*info)) &&
	       info->flags == XT_RPFILTER_INVERT;
}

/* RULE_ECHO_REQUEST, RULE_ICMPV6_OTHER, or 0. */
uint32_t match_icmp(const struct extension *match, int family)
{
	const struct ipt_icmp *icmp = (const void *)match->data;

	if (!extension_is(match, ICMP_MATCH(family), 0, sizeof(*icmp)) ||
	    icmp->type != ECHO_REQUEST(family) || icmp->code[0] != 0 || icmp->code[1] != 0xff ||
	    icmp->invflags & ~IPT_ICMP_INV)
		return 0;
	if (!icmp->invflags)
		return RULE_ECHO_REQUEST;
	return family == AF_INET6 ? RULE_ICMPV6_OTHER : 0;
}

bool match_is_asked_dns(const struct extension *match)
{
	const struct xt_conntrack_mtinfo3 *info = (const void *)match->data;

	return extension_is(match, "conntrack", 3, sizeof(*info)) && !info->invert_flags &&
	       info->match_flags == XT_CONNTRACK_ORIGDST_PORT && info->origdst_port == DNS_PORT &&
	       (info->origdst_port_high == DNS_PORT || !info->origdst_port_high);
}

bool match_begins(const struct extension *match)
{
	const struct xt_conntrack_mtinfo3 *info = (const void *)match->data;

	return extension_is(match, "conntrack", 3, sizeof(*info)) &&
	       info->match_flags == XT_CONNTRACK_STATUS &&
	       info->invert_flags == XT_CONNTRACK_STATUS && info->status_mask == IPS_CONFIRMED;
}

uint32_t match_connections(const struct extension *match, int family)
{
	const struct xt_connlimit_info *info = (const void *)match->data;
	uint8_t all[16];

	memset(all, 0xff, sizeof(all));
	if (!extension_is(match, "connlimit", 1, sizeof(*info)) || info->flags ||
	    memcmp(&info->mask, all, addr_size(family)) != 0)
		return 0;
	return info->limit;
}

bool match_is_syn(const struct extension *match)
{
	const struct xt_tcp *tcp = (const void *)match->data;

	return extension_is(match, "tcp", 0, sizeof(*tcp)) && !tcp->invflags && !tcp->option &&
	       tcp->flg_mask == (FLAG_SYN | FLAG_RST) && tcp->flg_cmp == FLAG_SYN &&
	       !tcp->spts[0] && tcp->spts[1] == 0xffff && !tcp->dpts[0] && tcp->dpts[1] == 0xffff;
}

/* Of what goes with TARGET_LOG. */
bool match_is_limit(const struct extension *match)
{
	const struct xt_rateinfo *info = (const void *)match->data;

	return extension_is(match, "limit", 0, sizeof(*info)) && info->avg == LOG_INTERVAL &&
	       info->burst == LOG_BURST;
}

bool match_read(const struct extension *match, struct rule *rule)
{
	const struct xt_addrtype_info_v1 *type = (const void *)match->data;
	uint16_t first, last;

	if (strcmp(match->name, "comment") == 0)
		return true;
	if (extension_is(match, "addrtype", 1, sizeof(*type))) {
		if (type->source || type->flags & ~(uint32_t)XT_ADDRTYPE_LIMIT_IFACE_IN ||
		    type->dest != XT_ADDRTYPE_LOCAL)
			return false;
		rule->match |= type->flags ? RULE_INTERFACE_DESTINATION : RULE_LOCAL_DESTINATION;
		return true;
	}
	if (match_is_stray_source(match)) {
		rule->match |= RULE_SOURCE_ASTRAY;
		return true;
	}
	if (match_icmp(match, rule->family) && rule->protocol == ICMP_OF(rule->family)) {
		rule->match |= match_icmp(match, rule->family);
		rule->protocol = 0;
		return true;
	}
	if (match_is_limit(match)) {
		rule->match |= RULE_LIMITED;
		return true;
	}
	if (match_is_syn(match)) {
		rule->match |= RULE_TCP_SYN;
		return true;
	}
	if (match_is_asked_dns(match)) {
		rule->match |= RULE_ASKED_DNS;
		return true;
	}
	if (match_begins(match)) {
		rule->match |= RULE_BEGINS;
		return true;
	}
	if (match_connections(match, rule->family) && !rule->connections) {
		rule->connections = match_connections(match, rule->family);
		return true;
	}
	if (!match_ports(match, &first, &last))
		return match_state(match, rule);
	if (rule->count || (first == 0 && last == 0xffff))
		return false;
	rule->host_port = first;
	rule->count = (uint16_t)(last - first + 1u);
	return true;
}
