/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "firewall/firewall.h"
#include "model/port.h"

/* What doesn't fit is cut. */
static void PRINTF(3, 4) append(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + len, size - len, format, arguments);
	va_end(arguments);
}

/* Append a word, with a space before all but the first; what doesn't fit is cut. */
static void PRINTF(2, 3) append_word(char text[static RULE_EXTRA_MAX], const char *format, ...)
{
	size_t len = strlen(text);
	va_list arguments;

	if (len > 0 && len + 1 < RULE_EXTRA_MAX)
		text[len++] = ' ';
	va_start(arguments, format);
	vsnprintf(text + len, RULE_EXTRA_MAX - len, format, arguments);
	va_end(arguments);
}

static void append_target(const struct rule *rule, char text[static RULE_EXTRA_MAX])
{
	bool ipv6 = rule->to.family == AF_INET6;
	char addr[ADDR_TEXT_MAX], last[16] = "";

	if (rule->count > 1)
		snprintf(last, sizeof(last), "-%u", rule->to_port + rule->count - 1u);
	append_word(text, "to:%s%s%s:%u%s", ipv6 ? "[" : "", addr_format(&rule->to, addr),
		    ipv6 ? "]" : "", rule->to_port, last);
}

static void append_ports(const struct rule *rule, char text[static RULE_EXTRA_MAX])
{
	const char *original = rule->match & RULE_ORIGINAL ? "orig-" : "";

	if (rule->count > 1)
		append_word(text, "%s %sdpts:%u:%u", protocol_name(rule->protocol), original,
			    rule->host_port, rule->host_port + rule->count - 1u);
	else
		append_word(text, "%s %sdpt:%u", protocol_name(rule->protocol), original,
			    rule->host_port);
}

static void append_frame(const struct rule *rule, char text[static RULE_EXTRA_MAX])
{
	char mac[MAC_TEXT_MAX];

	if (mac_is_set(rule->mac))
		append_word(text, "MAC %s", mac_format(rule->mac, mac));
	if (rule->match & RULE_TAGGED)
		append_word(text, "vlan");
	if (rule->match & RULE_ARP)
		append_word(text, "arp");
	if (rule->match & RULE_DHCP_ANSWER)
		append_word(text,
			    rule->family == AF_INET ? "udp spt:67 dpt:68" : "udp spt:547 dpt:546");
	if (rule->match & RULE_REDIRECT)
		append_word(text, rule->family == AF_INET ? "icmptype 5" : "ipv6-icmptype 137");
	if (rule->match & RULE_ROUTER_ADVERT)
		append_word(text, "ipv6-icmptype 134");
	if (rule->match & RULE_NEIGHBOUR_ADVERT)
		append_word(text, "ipv6-icmptype 136");
	if (rule->match & RULE_NEIGHBOUR_PROBE)
		append_word(text, "ipv6-icmptype 135 src ::");
}

static void append_log(const struct rule *rule, char text[static RULE_EXTRA_MAX])
{
	char prefix[LOG_PREFIX_MAX];

	rule_log_prefix(rule, prefix);
	append_word(text, "limit: avg %d/sec burst %d LOG prefix \"%s\"", LOG_RATE, LOG_BURST,
		    prefix);
}

void rule_render_extra(const struct rule *rule, char text[static RULE_EXTRA_MAX])
{
	char addr[ADDR_TEXT_MAX];

	text[0] = '\0';
	if (rule->kind == RULE_FOREIGN) {
		append_word(text, "%s", rule->foreign ? rule->foreign : "");
		return;
	}
	if (rule->match & RULE_LOCAL_DESTINATION)
		append_word(text, "ADDRTYPE match dst-type LOCAL");
	if (rule->match & RULE_INTERFACE_DESTINATION)
		append_word(text, "ADDRTYPE match dst-type LOCAL limit-in");
	if (rule->match & RULE_STATE_ESTABLISHED)
		append_word(text, "ctstate RELATED,ESTABLISHED");
	if (rule->match & RULE_STATE_NEW)
		append_word(text, "! ctstate RELATED,ESTABLISHED");
	if (rule->match & RULE_BEGINS)
		append_word(text, "! ctstatus CONFIRMED");
	if (rule->connections)
		append_word(text, "#conn src/%zu > %u", addr_size(rule->family) * 8,
			    rule->connections);
	if (rule->match & RULE_STATE_INVALID)
		append_word(text, "ctstate INVALID");
	if (rule->match & RULE_UNPUBLISHED)
		append_word(text, "not published");
	if (rule->match & RULE_STATUS_DNAT)
		append_word(text, "ctstate DNAT");
	if (rule->host_port)
		append_ports(rule, text);
	if (rule->match & RULE_ECHO_REQUEST)
		append_word(text, rule->family == AF_INET ? "icmptype 8" : "ipv6-icmptype 128");
	if (rule->match & RULE_ICMPV6_OTHER)
		append_word(text, "ipv6-icmptype !128");
	append_frame(rule, text);
	if (rule->match & RULE_TCP_SYN)
		append_word(text, "tcp flags:0x06/0x02");
	if (rule->match & RULE_ASKED_DNS)
		append_word(text, "ctorigdstport 53");
	if (rule->match & RULE_FROM_BRIDGE)
		append_word(text, "iifkind bridge");
	if (rule->match & RULE_TO_BRIDGE)
		append_word(text, "oifkind bridge");
	if (rule->match & RULE_SOURCE_ASTRAY)
		append_word(text, "rpfilter invert");
	if (rule->target == TARGET_LOG)
		append_log(rule, text);
	if (rule->target == TARGET_GOTO)
		append_word(text, "[goto]");
	if (rule->target == TARGET_CLAMP_MSS)
		append_word(text, "TCPMSS clamp to PMTU");
	if (rule->target == TARGET_SNAT)
		append_word(text, "to:%s", addr_format(&rule->to, addr));
	if (rule->random_ports)
		append_word(text, "random-fully");
	if (rule->target == TARGET_DNAT)
		append_target(rule, text);
}

void rule_render_address(const struct rule *rule, const struct prefix *prefix, bool negated,
			 char text[static PREFIX_TEXT_MAX + 1])
{
	const char *anywhere = "anywhere";

	if (addr_is_set(&prefix->addr)) {
		text[0] = '!';
		prefix_format(prefix, text + negated);
		if (prefix->len == addr_size(prefix->addr.family) * 8)
			*strchr(text, '/') = '\0';
		return;
	}
	if (rule->family == AF_INET)
		anywhere = "0.0.0.0/0";
	else if (rule->family == AF_INET6)
		anywhere = "::/0";
	snprintf(text, PREFIX_TEXT_MAX + 1, "%s", anywhere);
}

void rule_render_interface(const char *name, bool negated, char text[static IFNAMSIZ + 1])
{
	snprintf(text, IFNAMSIZ + 1, "%s%s", name[0] && negated ? "!" : "", name[0] ? name : "*");
}

static void append_place(const struct rule *rule, const char *word, const char *device,
			 bool device_not, const struct prefix *address, bool address_not,
			 char text[static RULE_LINE_MAX])
{
	char name[IFNAMSIZ + 1], prefix[PREFIX_TEXT_MAX + 1];

	if (!device[0] && !addr_is_set(&address->addr))
		return;
	append(text, RULE_LINE_MAX, ", %s", word);
	if (addr_is_set(&address->addr)) {
		rule_render_address(rule, address, address_not, prefix);
		append(text, RULE_LINE_MAX, " %s", prefix);
	}
	if (device[0]) {
		rule_render_interface(device, device_not, name);
		append(text, RULE_LINE_MAX, " %s", name);
	}
}

void rule_render_line(const struct firewall_backend *backend, const struct rule *rule,
		      char text[static RULE_LINE_MAX])
{
	char chain[CHAIN_NAME_MAX], jump[CHAIN_NAME_MAX], extra[RULE_EXTRA_MAX];

	firewall_chain_name(backend, rule, chain);
	if (rule->kind == RULE_FOREIGN) {
		snprintf(text, RULE_LINE_MAX, "%s in %s", rule->foreign ? rule->foreign : "",
			 chain);
		return;
	}
	firewall_jump_name(backend, rule, jump);
	snprintf(text, RULE_LINE_MAX, "%s%s in %s", rule_leads_on(rule) ? "jump to " : "",
		 rule_leads_on(rule) ? jump : rule_target_name(rule), chain);
	append_place(rule, "from", rule->in, rule->in_not, &rule->source, rule->source_not, text);
	append_place(rule, "to", rule->out, rule->out_not, &rule->destination,
		     rule->destination_not, text);
	rule_render_extra(rule, extra);
	if (extra[0])
		append(text, RULE_LINE_MAX, ", %s", extra);
}
