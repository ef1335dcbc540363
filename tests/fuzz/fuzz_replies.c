/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What asks the kernel gets arbitrary answers: nothing is sent, and what is received is the input. An
 * input is the number of a question, and datagrams: each its length in two bytes, and its messages,
 * whose numbers become those of the requests. The linker puts these
 * for sendmsg() and recvmsg(). With -DSEEDS a program instead that asks the kernel it runs on, and writes what that
 * answers to the directory that it is given.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/plan_parts.h"
#include "base/netlink.h"
#include "firewall/nft/nft.h"
#include "link/bridge.h"
#include "link/link.h"

#define CALL_MS 200
#define ROOM 131072
#define SEEDS_OF_TYPE 12

ssize_t __wrap_sendmsg(int fd, const struct msghdr *datagram, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *datagram, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *datagram, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *datagram, int flags);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint32_t first, count; /* numbers of the last requests */
} asked;

static void note_requests(const struct msghdr *datagram)
{
	uint32_t count = 0;

	for (size_t i = 0; i < datagram->msg_iovlen; i++) {
		const struct nlmsghdr *header = datagram->msg_iov[i].iov_base;
		int left = (int)datagram->msg_iov[i].iov_len;

		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
			if (count++ == 0)
				asked.first = header->nlmsg_seq;
	}
	asked.count = count ? count : 1;
}

/* libnftnl loses what it had read of an expression that it then refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnftnl";
}

/* ---- the questions ---- */

static struct deadline deadline;
static const struct network network = {
	.name = "front",
	.id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	.driver = DRIVER_BRIDGE,
	.bridge = "bn0",
	.ipv4 = { .prefix = { { AF_INET, { 172, 17, 0, 0 } }, 16 },
		  .gateway = { AF_INET, { 172, 17, 0, 1 } } },
};
static const struct endpoint endpoint = {
	.network = "front",
	.id = "web",
	.interface = "eth0",
	.host_interface = "bv0",
	.ipv4 = { { AF_INET, { 172, 17, 0, 2 } }, 16 },
};

static void ask_interface(struct link_handle *link)
{
	struct interface interface = { 0 };

	link_interface_get(link, "lo", NULL, &interface, NULL);
	interface_clear(&interface);
}

static void ask_bridges(struct link_handle *link)
{
	struct guard guard = { 0 };

	link_bridges(link, &guard, NULL);
	guard_clear(&guard);
}

static void ask_prefixes(struct link_handle *link)
{
	CLEANUP_VECTOR prefix_vector routed = { 0 };
	CLEANUP_VECTOR prefix_vector addresses = { 0 };
	CLEANUP_VECTOR prefix_vector local = { 0 };

	link_routed_prefixes(link, &routed, NULL);
	link_local_addresses(link, &addresses, NULL);
	link_local_prefixes(link, &local, NULL);
}

static void ask_on_link(struct link_handle *link)
{
	struct link_on_link found;

	link_find_on_link(link, &network.ipv4.prefix, "", &found, NULL);
}

static void ask_places(struct link_handle *link)
{
	const struct link_end end = { &endpoint, network.id };
	struct link_place place;
	struct link_port port = { .name = "bv0" };

	link_places_get(link, &end, 1, &place, NULL);
	link_ports_get(link, &port, 1, NULL);
	link_endpoint_is_there(link, &end, NULL);
}

static void ask_bridge(struct link_handle *link)
{
	const struct bridge_config config = { .name = network.bridge,
					      .alias = "bridgenet:0123456789ab",
					      .mtu = 1500,
					      .ipv4 = network.ipv4 };
	uint8_t mac[MAC_LEN];
	uint32_t mtu, index;

	bridge_ready(link, &config, true, network.name, &index, NULL);
	bridge_mac(link, &config, mac);
	link_default_mtu(link, AF_INET, &mtu, NULL);
}

static void ask_found(struct link_handle *link)
{
	char *found = NULL;

	host_found(link, true, true, NULL, false, &found, NULL);
	free(found);
}

static void ask_sockets(struct link_handle *link)
{
	uint8_t bits[PORT_BITS] = { 0 };

	(void)link;
	link_used_ports(IPPROTO_TCP, &deadline, bits);
}

static void ask_flows(struct link_handle *link)
{
	struct flow_filter filters[40];
	struct conntrack *conntrack = NULL;

	(void)link;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		filters[i] =
			(struct flow_filter){ .kind = i % 2 ? FLOWS_OF_ADDRESS : FLOWS_OF_MAPPING,
					      .to = endpoint.ipv4.addr,
					      .protocol = IPPROTO_TCP,
					      .host_port = (uint16_t)(8000 + i),
					      .count = 1,
					      .to_port = 80 };
	conntrack_drop_flows(&conntrack, filters, ARRAY_SIZE(filters), NULL, 0, &deadline, NULL);
	conntrack_close(conntrack);
}

static void plan(rule_vector *rules)
{
	const struct port port = { .network = "front",
				   .endpoint = "web",
				   .protocol = IPPROTO_TCP,
				   .host_port = 8000,
				   .container_port = 80,
				   .count = 2 };
	uint32_t traits = nft_backend.traits();

	if (plan_parts(traits, PLAN_NETWORKS, &network, NULL, NULL, rules) < 0 ||
	    plan_parts(traits, PLAN_ENDPOINTS, &network, &endpoint, NULL, rules) < 0 ||
	    plan_parts(traits, PLAN_PORTS, &network, &endpoint, &port, rules) < 0)
		abort();
	rules_sort(rules);
}

static void with_nft(void (*ask)(struct firewall *firewall, const rule_vector *planned))
{
	const struct firewall_config config = { 0 };
	CLEANUP(rules_clear) rule_vector planned = { 0 };
	struct firewall *firewall;

	if (nft_backend.open(&config, &firewall, NULL) < 0)
		return;
	firewall->deadline = &deadline;
	plan(&planned);
	ask(firewall, &planned);
	nft_backend.close(firewall);
}

static void list_all(struct firewall *firewall, const rule_vector *planned)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };

	(void)planned;
	if (nft_backend.list(firewall, NULL, &rules, NULL) >= 0)
		rules_sort(&rules);
}

static void list_wanted(struct firewall *firewall, const rule_vector *planned)
{
	CLEANUP(rules_clear) rule_vector rules = { 0 };

	nft_backend.present(firewall, NULL);
	nft_backend.in_use(firewall, NULL);
	nft_backend.list(firewall, planned, &rules, NULL);
}

static void apply(struct firewall *firewall, const rule_vector *planned)
{
	const struct firewall_change change = { .add = planned->items,
						.add_len = planned->len,
						.flags = FIREWALL_BASE };
	const struct firewall_change back = { .remove = planned->items,
					      .remove_len = planned->len };

	nft_backend.apply(firewall, &change, NULL);
	nft_backend.apply(firewall, &back, NULL);
	nft_backend.remove_base(firewall, NULL);
}

static void ask_rules(struct link_handle *link)
{
	(void)link;
	with_nft(list_all);
}

static void ask_wanted(struct link_handle *link)
{
	(void)link;
	with_nft(list_wanted);
}

static void ask_apply(struct link_handle *link)
{
	(void)link;
	with_nft(apply);
}

static void inspect(struct firewall *firewall, const rule_vector *planned)
{
	CLEANUP(findings_clear) finding_vector findings = { 0 };

	nft_backend.inspect(firewall, planned, true, &findings, NULL);
}

static void ask_inspection(struct link_handle *link)
{
	(void)link;
	with_nft(inspect);
}

static void pass_news(void *data, const char *owner, const char *name)
{
	(void)data;
	(void)owner;
	(void)name;
}

static void ask_news(struct link_handle *link)
{
	struct link_watch *watch;

	if (link_watch_open(link, &watch, NULL) < 0)
		return;
	link_watch_hear(watch, pass_news, NULL);
	link_watch_close(watch);
}

static void ask_sights(struct link_handle *link)
{
	struct link_sight sight = { .end = { &endpoint, network.id } };

	link_sights_get(link, &sight, 1, NULL);
}

static void (*const questions[])(struct link_handle *link) = {
	ask_interface, ask_bridges, ask_prefixes,   ask_on_link, ask_places,
	ask_bridge,    ask_found,   ask_sockets,    ask_flows,   ask_rules,
	ask_wanted,    ask_apply,   ask_inspection, ask_news,    ask_sights,
};

static void ask(size_t question)
{
	struct link_handle *link;

	deadline = deadline_after(CALL_MS);
	if (link_open(&deadline, &link, NULL) < 0)
		return;
	questions[question](link);
	link_close(link);
}

#ifndef SEEDS

/* Each gets the number of a request, as far as messages have lengths that fit. */
static void number_messages(uint8_t *bytes, size_t len)
{
	struct nlmsghdr header;

	while (len >= sizeof(header)) {
		memcpy(&header, bytes, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len)
			break;
		header.nlmsg_seq = asked.first + header.nlmsg_seq % asked.count;
		memcpy(bytes, &header, sizeof(header));
		if (NLMSG_ALIGN(header.nlmsg_len) >= len)
			break;
		bytes += NLMSG_ALIGN(header.nlmsg_len);
		len -= NLMSG_ALIGN(header.nlmsg_len);
	}
}

static struct {
	const uint8_t *data;
	size_t left;
} input;

ssize_t __wrap_sendmsg(int fd, const struct msghdr *datagram, int flags)
{
	(void)fd;
	(void)flags;
	note_requests(datagram);
	return 1;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *datagram, int flags)
{
	struct iovec *part = datagram->msg_iov;
	uint16_t len;

	(void)fd;
	(void)flags;
	if (input.left < sizeof(len)) {
		errno = ECONNRESET;
		return -1;
	}
	memcpy(&len, input.data, sizeof(len));
	input.data += sizeof(len);
	input.left -= sizeof(len);
	if (len > input.left)
		len = (uint16_t)input.left;
	if (len > part->iov_len)
		len = (uint16_t)part->iov_len;
	memcpy(part->iov_base, input.data, len);
	number_messages(part->iov_base, len);
	input.data += len;
	input.left -= len;
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	input.data = data + 1;
	input.left = size - 1;
	ask(data[0] % ARRAY_SIZE(questions));
	return 0;
}

#else

static struct {
	uint8_t bytes[ROOM];
	size_t len;
	unsigned int types[UINT16_MAX + 1];
} heard;

/* The first ones of each type show what there is. */
static bool is_enough(uint16_t type)
{
	return type >= NLMSG_MIN_TYPE && ++heard.types[type] > SEEDS_OF_TYPE;
}

static void hear(const struct nlmsghdr *message, int left)
{
	size_t begin = heard.len;
	uint16_t len;

	heard.len += sizeof(len);
	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		struct nlmsghdr header = *message;

		if (is_enough(header.nlmsg_type))
			continue;
		memcpy(heard.bytes + heard.len, message, header.nlmsg_len);
		header.nlmsg_seq -= asked.first;
		memcpy(heard.bytes + heard.len, &header, sizeof(header));
		heard.len += NLMSG_ALIGN(message->nlmsg_len);
	}
	len = (uint16_t)(heard.len - begin - sizeof(len));
	memcpy(heard.bytes + begin, &len, sizeof(len));
	if (!len)
		heard.len = begin;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *datagram, int flags)
{
	note_requests(datagram);
	return __real_sendmsg(fd, datagram, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *datagram, int flags)
{
	ssize_t got = __real_recvmsg(fd, datagram, flags);

	if (got > 0 && heard.len + (size_t)got + sizeof(uint16_t) < sizeof(heard.bytes))
		hear(datagram->msg_iov->iov_base, (int)got);
	return got;
}

int main(int argc, char **argv)
{
	char path[256];
	FILE *file;

	if (argc != 2)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		memset(&heard, 0, sizeof(heard));
		ask(i);
		snprintf(path, sizeof(path), "%s/reply-%02zu", argv[1], i);
		file = fopen(path, "we");
		if (!file || fputc((int)i, file) == EOF ||
		    fwrite(heard.bytes, 1, heard.len, file) != heard.len || fclose(file) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

#endif
