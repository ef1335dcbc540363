/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An entry of the kernel as a rule, and as text. Nothing in an entry is believed before it was
 * measured: it may be cut short, or not be what it says.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "firewall/iptables/extension.h"
#include "firewall/iptables/kernel.h"
#include "model/port.h"

/* Where the matches begin, the target begins and all ends: false if they don't fit. */
static bool layout(const struct table_entry *entry, struct entry_head *head)
{
	entry_head(entry->family, (void *)entry->data, head);
	return entry->len >= head->len && (uintptr_t)entry->data % _Alignof(uint64_t) == 0 &&
	       *head->next_offset <= entry->len && *head->target_offset >= head->len &&
	       *head->target_offset + sizeof(struct xt_entry_target) <= *head->next_offset;
}

static uint16_t entry_protocol(const struct table_entry *entry)
{
	const struct ipt_entry *ipv4 = entry->data;
	const struct ip6t_entry *ipv6 = entry->data;

	if (entry->family == AF_INET)
		return ipv4->ip.proto;
	return ipv6->ipv6.flags & IP6T_F_PROTO ? ipv6->ipv6.proto : 0;
}

/* ---- the head ---- */

/* False if the mask is not that of a prefix. */
static bool decode_prefix(int family, const uint8_t *addr, const uint8_t *mask,
			  struct prefix *prefix)
{
	size_t size = addr_size(family), ones = 0;
	uint8_t len, zeros;

	while (ones < size && mask[ones] == 0xff)
		ones++;
	len = (uint8_t)(ones * 8);
	/* the byte in which it ends */
	zeros = ones < size ? (uint8_t)~mask[ones] : 0;
	if (zeros & (zeros + 1))
		return false;
	if (ones < size)
		len = (uint8_t)(len + __builtin_popcount(mask[ones]));
	for (size_t i = ones + 1; i < size; i++) {
		if (mask[i])
			return false;
	}
	if (len) {
		prefix->addr.family = family;
		memcpy(prefix->addr.bytes, addr, size);
		prefix->len = len;
	}
	return true;
}

/* 0, DECODED_PREFIX, or DECODED_FOREIGN for what we would not write. iptables(8) leaves the '+' of
 * a prefix where it was typed, beyond the mask. */
static int decode_interface(const char *field, const unsigned char *mask, char *name)
{
	size_t len = strnlen(field, IFNAMSIZ), masked = 0;
	bool is_exact, is_prefix;

	while (masked < IFNAMSIZ && mask[masked] == 0xff)
		masked++;
	for (size_t i = masked; i < IFNAMSIZ; i++) {
		if (mask[i])
			return DECODED_FOREIGN;
	}
	is_exact = len < IFNAMSIZ && masked == (len ? len + 1 : 0);
	is_prefix = masked && masked + 1 == len && field[masked] == '+' && len < IFNAMSIZ;
	if (!is_exact && !is_prefix)
		return DECODED_FOREIGN;
	memcpy(name, field, is_prefix ? masked : len);
	return is_prefix ? DECODED_PREFIX : 0;
}

static int read_head(const struct table_entry *entry, const struct entry_head *head,
		     struct rule *rule)
{
	static const uint8_t known = IPT_INV_VIA_IN | IPT_INV_VIA_OUT | IPT_INV_SRCIP |
				     IPT_INV_DSTIP;
	uint8_t known_flags = head->goto_flag | (entry->family == AF_INET6 ? IP6T_F_PROTO : 0);
	uint16_t protocol = entry_protocol(entry);
	int family = entry->family, in, out;

	rule->family = family;
	rule->protocol = (uint8_t)protocol;
	rule->in_not = *head->inverted & IPT_INV_VIA_IN;
	rule->out_not = *head->inverted & IPT_INV_VIA_OUT;
	rule->source_not = *head->inverted & IPT_INV_SRCIP;
	rule->destination_not = *head->inverted & IPT_INV_DSTIP;
	in = decode_interface(head->in, head->in_mask, rule->in);
	out = decode_interface(head->out, head->out_mask, rule->out);
	if (!decode_prefix(family, head->source, head->source_mask, &rule->source) ||
	    !decode_prefix(family, head->destination, head->destination_mask, &rule->destination) ||
	    *head->inverted & ~known || *head->flags & ~known_flags || protocol > 255 ||
	    (in != out && rule->in[0] && rule->out[0]))
		return DECODED_FOREIGN;
	return in > out ? in : out;
}

/* ---- targets ---- */

static bool read_dnat(const struct extension *target, struct rule *rule)
{
	const struct nf_nat_range2 *range = (const void *)target->data;
	unsigned int flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;

	if (!extension_is(target, "DNAT", 2, sizeof(*range)))
		return false;
	if (rule->count > 1)
		flags |= NF_NAT_RANGE_PROTO_OFFSET;
	rule->target = TARGET_DNAT;
	rule->to.family = rule->family;
	memcpy(rule->to.bytes, &range->min_addr, addr_size(rule->family));
	rule->to_port = ntohs(range->min_proto.all);
	return range->flags == flags && rule->count &&
	       memcmp(&range->min_addr, &range->max_addr, addr_size(rule->family)) == 0 &&
	       ntohs(range->max_proto.all) == (uint16_t)(rule->to_port + rule->count - 1u) &&
	       (rule->count == 1 || ntohs(range->base_proto.all) == rule->host_port);
}

static bool read_snat(const struct extension *target, struct rule *rule)
{
	const struct nf_nat_ipv4_multi_range_compat *ipv4 = (const void *)target->data;
	const struct nf_nat_range *ipv6 = (const void *)target->data;
	bool is_ipv4 = rule->family == AF_INET;
	const void *first, *last;
	unsigned int flags;

	rule->target = TARGET_SNAT;
	if (is_ipv4 ? !extension_is(target, "SNAT", 0, sizeof(*ipv4)) || ipv4->rangesize != 1 :
		      !extension_is(target, "SNAT", 1, sizeof(*ipv6)))
		return false;
	flags = is_ipv4 ? ipv4->range[0].flags : ipv6->flags;
	first = is_ipv4 ? (const void *)&ipv4->range[0].min_ip : &ipv6->min_addr;
	last = is_ipv4 ? (const void *)&ipv4->range[0].max_ip : &ipv6->max_addr;
	rule->to.family = rule->family;
	memcpy(rule->to.bytes, first, addr_size(rule->family));
	rule->random_ports = flags & NF_NAT_RANGE_PROTO_RANDOM_FULLY;
	return (flags & ~(unsigned int)NF_NAT_RANGE_PROTO_RANDOM_FULLY) == NF_NAT_RANGE_MAP_IPS &&
	       memcmp(first, last, addr_size(rule->family)) == 0;
}

static bool read_masquerade(const struct extension *target, struct rule *rule)
{
	const struct nf_nat_ipv4_multi_range_compat *ipv4 = (const void *)target->data;
	const struct nf_nat_range *ipv6 = (const void *)target->data;
	bool is_ipv4 = rule->family == AF_INET;
	unsigned int flags;

	rule->target = TARGET_MASQUERADE;
	if (!extension_is(target, "MASQUERADE", 0, is_ipv4 ? sizeof(*ipv4) : sizeof(*ipv6)))
		return false;
	flags = is_ipv4 ? ipv4->range[0].flags : ipv6->flags;
	rule->random_ports = flags == NF_NAT_RANGE_PROTO_RANDOM_FULLY;
	return !flags || rule->random_ports;
}

static bool read_clamp(const struct extension *target, struct rule *rule)
{
	const struct xt_tcpmss_info *info = (const void *)target->data;

	rule->target = TARGET_CLAMP_MSS;
	return extension_is(target, "TCPMSS", 0, sizeof(*info)) &&
	       info->mss == XT_TCPMSS_CLAMP_PMTU;
}

/* Without a limit it is none of ours. */
static bool read_log(const struct extension *target, struct rule *rule)
{
	const struct xt_log_info *info = (const void *)target->data;

	rule->target = TARGET_LOG;
	if (!extension_is(target, "LOG", 0, sizeof(*info)) || info->level != LOG_LEVEL ||
	    info->logflags || !memchr(info->prefix, '\0', sizeof(info->prefix)) ||
	    !(rule->match & RULE_LIMITED))
		return false;
	rule->match ^= RULE_LIMITED;
	return rule_log_read(info->prefix, rule);
}

/* Until it is committed, an entry of ours still has the name of the chain that it jumps to. */
bool is_own_chain(const char *name)
{
	return strncmp(name, "BN-", 3) == 0 || strncmp(name, "BRIDGENET", 9) == 0;
}

/* A standard target has no name in the kernel; libiptc says what it is. */
static bool read_target(const struct extension *target, const char *name, struct rule *rule)
{
	rule->target = TARGET_OTHER;
	if (strcmp(name, "ACCEPT") == 0) {
		rule->target = TARGET_ACCEPT;
	} else if (strcmp(name, "DROP") == 0) {
		rule->target = TARGET_DROP;
	} else if (strcmp(name, "DNAT") == 0) {
		return read_dnat(target, rule);
	} else if (strcmp(name, "SNAT") == 0) {
		return read_snat(target, rule);
	} else if (strcmp(name, "MASQUERADE") == 0) {
		return read_masquerade(target, rule);
	} else if (strcmp(name, "TCPMSS") == 0) {
		return read_clamp(target, rule);
	} else if (strcmp(name, "LOG") == 0) {
		return read_log(target, rule);
	} else if (target->name[0] && strcmp(target->name, name) == 0 && !is_own_chain(name)) {
		return false;
	} else if (strcmp(name, "RETURN") == 0) {
		rule->target = TARGET_RETURN;
	} else if (name[0] && strcmp(name, "QUEUE") != 0) {
		rule->target = TARGET_JUMP;
	} else {
		return false;
	}
	return true;
}

int entry_decode(const struct table_entry *entry, struct rule *rule)
{
	struct extension extension = { 0 };
	struct entry_head head;
	size_t offset;
	int r;

	*rule = (struct rule){ 0 };
	if (!layout(entry, &head))
		return -EBADMSG;
	r = read_head(entry, &head, rule);
	for (offset = head.len; offset < *head.target_offset;) {
		offset = extension_read(entry->data, offset, *head.target_offset, &extension);
		if (!offset)
			return -EBADMSG;
		if (!match_read(&extension, rule))
			r = DECODED_FOREIGN;
	}
	if (!extension_read(entry->data, offset, *head.next_offset, &extension))
		return -EBADMSG;
	if (!read_target(&extension, entry->target, rule))
		r = DECODED_FOREIGN;
	if (*head.flags & head.goto_flag) {
		if (rule->target == TARGET_JUMP)
			rule->target = TARGET_GOTO;
		else
			r = DECODED_FOREIGN;
	}
	/* ports without a protocol are not what we write */
	if (rule->count && !rule->protocol)
		r = DECODED_FOREIGN;
	rule->packets = head.counters->pcnt;
	rule->bytes = head.counters->bcnt;
	return r;
}

bool entry_ports(const struct table_entry *entry, uint8_t *ret_protocol, uint16_t *ret_first,
		 uint16_t *ret_last)
{
	struct extension extension;
	struct entry_head head;

	if (!layout(entry, &head) || head.len == *head.target_offset ||
	    !extension_read(entry->data, head.len, *head.target_offset, &extension))
		return false;
	*ret_protocol = (uint8_t)entry_protocol(entry);
	return match_ports(&extension, ret_first, ret_last);
}

bool entry_is_unconditional(const struct table_entry *entry)
{
	struct rule rule = { 0 };
	struct entry_head head;

	return layout(entry, &head) && head.len == *head.target_offset &&
	       read_head(entry, &head, &rule) == 0 && !rule.protocol && !rule.in[0] &&
	       !rule.out[0] && !rule.source.addr.family && !rule.destination.addr.family;
}

bool entry_is_dead_end(const struct table_entry *entry)
{
	static const char *const ends[] = { "ACCEPT", "DROP", "REJECT", "RETURN" };
	struct rule rule;

	if (!entry_is_unconditional(entry))
		return false;
	if (entry_decode(entry, &rule) == 0 && rule.target == TARGET_GOTO)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(entry->target, ends[i]) == 0)
			return true;
	}
	return false;
}

/* ---- text ---- */

struct text {
	char *data; /* ENTRY_TEXT_MAX */
	size_t len;
};

static void PRINTF(2, 3) say(struct text *text, const char *format, ...)
{
	size_t room = ENTRY_TEXT_MAX - text->len;
	va_list arguments;
	int len;

	if (text->len && room > 1) {
		text->data[text->len++] = ' ';
		room--;
	}
	va_start(arguments, format);
	len = vsnprintf(text->data + text->len, room, format, arguments);
	va_end(arguments);
	if (len > 0)
		text->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void say_prefix(struct text *text, const char *flag, bool inverted, int family,
		       const uint8_t *addr, const uint8_t *mask)
{
	struct addr address = { .family = family }, holed = { .family = family };
	struct prefix prefix = { 0 };
	char buffer[PREFIX_TEXT_MAX], mask_text[ADDR_TEXT_MAX];

	if (decode_prefix(family, addr, mask, &prefix)) {
		if (prefix.addr.family)
			say(text, "%s%s %s", inverted ? "! " : "", flag,
			    prefix_format(&prefix, buffer));
		return;
	}
	memcpy(address.bytes, addr, addr_size(family));
	memcpy(holed.bytes, mask, addr_size(family));
	say(text, "%s%s %s/%s", inverted ? "! " : "", flag, addr_format(&address, buffer),
	    addr_format(&holed, mask_text));
}

static void say_interface(struct text *text, const char *flag, bool inverted, const char *field,
			  const unsigned char *mask)
{
	size_t len = strnlen(field, IFNAMSIZ);

	if (len)
		say(text, "%s%s %.*s%s", inverted ? "! " : "", flag, (int)len, field,
		    len < IFNAMSIZ && mask[len] ? "" : "+");
}

static void say_conntrack(struct text *text, const struct rule *rule)
{
	const char *state = rule->match & RULE_STATUS_DNAT       ? "DNAT" :
			    rule->match & RULE_STATE_INVALID     ? "INVALID" :
			    rule->match & RULE_STATE_ESTABLISHED ? "RELATED,ESTABLISHED" :
								   NULL;
	char addr[ADDR_TEXT_MAX];

	say(text, "-m conntrack");
	if (rule->match & RULE_STATE_NEW)
		say(text, "! --ctstate RELATED,ESTABLISHED");
	if (state)
		say(text, "--ctstate %s", state);
	if (addr_is_set(&rule->destination.addr))
		say(text, "--ctorigdst %s", addr_format(&rule->destination.addr, addr));
	if (rule->match & RULE_ORIGINAL && rule->count > 1)
		say(text, "--ctorigdstport %u:%u", rule->host_port,
		    rule->host_port + rule->count - 1u);
	else if (rule->match & RULE_ORIGINAL)
		say(text, "--ctorigdstport %u", rule->host_port);
}

static void say_match(struct text *text, int family, const struct extension *match)
{
	const struct xt_comment_info *comment = (const void *)match->data;
	struct rule rule = { 0 };
	uint16_t first, last;

	if (extension_is(match, "comment", 0, sizeof(*comment)))
		say(text, "-m comment --comment \"%.*s\"",
		    (int)strnlen(comment->comment, sizeof(comment->comment)), comment->comment);
	else if (match_ports(match, &first, &last) && first == last)
		say(text, "-m %s --dport %u", match->name, first);
	else if (match_ports(match, &first, &last))
		say(text, "-m %s --dport %u:%u", match->name, first, last);
	else if (match_icmp(match, family))
		say(text, "-m %s %s--%s-type %d", match->name,
		    match_icmp(match, family) == RULE_ECHO_REQUEST ? "" : "! ",
		    family == AF_INET ? "icmp" : "icmpv6", ECHO_REQUEST(family));
	else if (match_is_syn(match))
		say(text, "-m tcp --tcp-flags SYN,RST SYN");
	else if (match_is_asked_dns(match))
		say(text, "-m conntrack --ctorigdstport %d", DNS_PORT);
	else if (match_is_stray_source(match))
		say(text, "-m rpfilter --invert");
	else if (match_begins(match))
		say(text, "-m conntrack ! --ctstatus CONFIRMED");
	else if (match_connections(match, family))
		say(text,
		    "-m connlimit --connlimit-above %u --connlimit-mask %zu --connlimit-saddr",
		    match_connections(match, family), addr_size(family) * 8);
	else if (match_is_limit(match))
		say(text, "-m limit --limit %d/sec --limit-burst %d", LOG_RATE, LOG_BURST);
	else if (match_state(match, &rule))
		say_conntrack(text, &rule);
	else
		say(text, "[match %s]", match->name);
}

void entry_text(const struct table_entry *entry, char text[static ENTRY_TEXT_MAX])
{
	struct text out = { .data = text };
	char prefix[LOG_PREFIX_MAX];
	uint16_t protocol;
	struct extension match;
	struct entry_head head;
	struct rule rule;
	size_t offset;

	text[0] = '\0';
	if (!layout(entry, &head)) {
		say(&out, "[malformed]");
		return;
	}
	say_prefix(&out, "-s", *head.inverted & IPT_INV_SRCIP, entry->family, head.source,
		   head.source_mask);
	say_prefix(&out, "-d", *head.inverted & IPT_INV_DSTIP, entry->family, head.destination,
		   head.destination_mask);
	say_interface(&out, "-i", *head.inverted & IPT_INV_VIA_IN, head.in, head.in_mask);
	say_interface(&out, "-o", *head.inverted & IPT_INV_VIA_OUT, head.out, head.out_mask);
	protocol = entry_protocol(entry);
	if (protocol)
		say(&out, "%s-p %s", *head.inverted & XT_INV_PROTO ? "! " : "",
		    protocol_name((uint8_t)protocol));
	for (offset = head.len; offset && offset < *head.target_offset;) {
		offset = extension_read(entry->data, offset, *head.target_offset, &match);
		if (offset)
			say_match(&out, entry->family, &match);
	}
	if (entry->target[0])
		say(&out, "-%c %s", *head.flags & head.goto_flag ? 'g' : 'j', entry->target);
	if (entry_decode(entry, &rule) < 0)
		return;
	if (rule.random_ports)
		say(&out, "--random-fully");
	if (rule.target == TARGET_CLAMP_MSS)
		say(&out, "--clamp-mss-to-pmtu");
	if (rule.reason) {
		rule_log_prefix(&rule, prefix);
		say(&out, "--log-prefix \"%s\"", prefix);
	}
}
