/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What reads entries of the kernel gets arbitrary bytes. An input is the family (even: IPv4), the
 * length of the target's name, the name, and the entry. With -DSEEDS a program instead that writes
 * such inputs, made from the rules of a plan, to the directory that it is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/plan_parts.h"
#include "firewall/iptables/iptables.h"

#define NAME_MAX_BYTES 29 /* the kernel's, without the 0 */

/* As it is written libiptc sees a verdict or a chain by its name; as it is read there is none. */
static void encode_as_read(const struct rule *rule, const char *target, uint32_t flags,
			   struct entry *entry)
{
	struct entry_head head;

	entry_encode(rule, target, flags, entry);
	if (rule->target == TARGET_DNAT || rule->target == TARGET_MASQUERADE)
		return;
	entry_head(rule->family, entry->data, &head);
	memset(entry->data + *head.target_offset + sizeof(uint16_t), 0, NAME_MAX_BYTES);
}

#ifndef SEEDS

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* What was understood in full is what we would have written ourselves. */
static void check_round_trip(int family, const char *target, int decoded, const struct rule *rule)
{
	struct entry entry;
	struct table_entry written = { .family = family, .data = entry.data, .target = target };
	struct rule again;

	encode_as_read(rule, target, decoded == DECODED_PREFIX ? ENTRY_PREFIX : 0, &entry);
	demand(entry.len <= sizeof(entry.data), "an entry fits its buffer");
	written.len = entry.len;
	demand(entry_decode(&written, &again) == decoded, "what was encoded is understood");
	demand(rule_compare_unowned(rule, &again) == 0, "what was encoded is the same rule");
}

static void check_entry(const struct table_entry *entry)
{
	uint16_t first = 1, last = 0;
	char text[ENTRY_TEXT_MAX];
	uint8_t protocol;
	struct rule rule;
	int r;

	r = entry_decode(entry, &rule);
	demand(r == -EBADMSG || r == 0 || r == DECODED_FOREIGN || r == DECODED_PREFIX,
	       "entry_decode() gives what it says");
	if (entry_ports(entry, &protocol, &first, &last))
		demand(first <= last, "a range of ports goes up");
	if (entry_is_unconditional(entry))
		demand(!rule.in[0] && !rule.out[0] && !rule.count && !rule.match,
		       "what matches every packet has no match");
	memset(text, 'x', sizeof(text));
	entry_text(entry, text);
	demand(memchr(text, '\0', sizeof(text)) != NULL, "a text has an end");
	if (r == 0 || r == DECODED_PREFIX)
		check_round_trip(entry->family, entry->target, r, &rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char target[NAME_MAX_BYTES + 1] = { 0 };
	size_t name_len;
	void *entry;

	if (size < 2)
		return 0;
	name_len = data[1] % (NAME_MAX_BYTES + 1);
	if (size < 2 + name_len)
		return 0;
	memcpy(target, data + 2, name_len);
	size -= 2 + name_len;
	/* of its very size, so that a byte too far is seen; malloc() aligns as the kernel does */
	entry = malloc(size ? size : 1);
	if (!entry)
		return 0;
	memcpy(entry, data + 2 + name_len, size);
	check_entry(&(struct table_entry){ .family = data[0] % 2 ? AF_INET6 : AF_INET,
					   .data = entry,
					   .len = size,
					   .target = target });
	free(entry);
	return 0;
}

#else

static void write_seed(const char *directory, size_t number, const struct rule *rule,
		       uint32_t flags)
{
	char path[256], jump[CHAIN_NAME_MAX] = "";
	const char *target = rule_target_name(rule);
	struct entry entry;
	FILE *file;

	iptables_jump_name(rule, jump);
	if (jump[0])
		target = jump;
	encode_as_read(rule, target, flags, &entry);
	snprintf(path, sizeof(path), "%s/rule-%02zu-%u", directory, number, flags);
	file = fopen(path, "we");
	if (!file ||
	    fprintf(file, "%c%c%s", rule->family == AF_INET6, (int)strlen(target), target) < 0 ||
	    fwrite(entry.data, entry.len, 1, file) != 1 || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void plan_all(const char *release, rule_vector *rules)
{
	const uint32_t traits = iptables_traits(release);
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct network network = { .name = "front", .driver = DRIVER_BRIDGE, .bridge = "bn0" };
	struct endpoint endpoint = { .network = "front", .id = "web" };
	struct port port = { .host_port = 8000, .container_port = 80, .count = 1 };

	if (prefix_parse("172.17.0.0/16", &network.ipv4.prefix) < 0 ||
	    prefix_parse("fd00:17::/64", &network.ipv6.prefix) < 0 ||
	    addr_parse("172.17.0.1", &network.ipv4.gateway) < 0 ||
	    addr_parse("fd00:17::1", &network.ipv6.gateway) < 0 ||
	    prefix_parse("172.17.0.2/16", &endpoint.ipv4) < 0 ||
	    prefix_parse("fd00:17::2/64", &endpoint.ipv6) < 0 ||
	    plan_parts(traits, PLAN_BASE, NULL, NULL, NULL, rules) < 0 ||
	    plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, rules) < 0 ||
	    plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, rules) < 0)
		exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		port.protocol = protocols[i];
		port.count = (uint16_t)(1 + i);
		if (i == 1 && addr_parse("127.0.0.1", &port.host_addr) < 0)
			exit(1);
		if (plan_parts(traits, PLAN_PORTS, NULL, &endpoint, &port, rules) < 0)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	bool seen[RULE_KIND_COUNT][2] = { { false } };
	rule_vector rules = { 0 };

	if (argc != 2)
		return 2;
	/* kernels that show postrouting the input device, and such that don't */
	plan_all("5.7", &rules);
	plan_all("5.6", &rules);
	rules_sort(&rules);
	for (size_t i = 0; i < rules.len; i++) {
		const struct rule *rule = &rules.items[i];
		bool *known = &seen[rule->kind][rule->family == AF_INET6];

		/* one of each kind, by turns of both families, and each port */
		if (rule->kind != RULE_PORT_DNAT &&
		    (*known || seen[rule->kind][0] || (rule->family == AF_INET && i % 2)))
			continue;
		*known = true;
		write_seed(argv[1], i, rule, i % 3 ? 0 : i % 2 ? ENTRY_COMMENT : ENTRY_PREFIX);
	}
	rules_clear(&rules);
	return 0;
}

#endif
