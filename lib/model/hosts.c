/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/hosts.h"

#include <errno.h>
#include <string.h>

#define ALIAS "alias."

/* ---- names ---- */

typedef int (*name_fn)(const struct endpoint *endpoint, const char *name, void *data);

/* Each of its names once: the host name first, for hosts(5) takes the first for the true one. */
static int each_name(const struct endpoint *endpoint, name_fn found, void *data)
{
	const char *hostname = options_get(&endpoint->options, "hostname");
	int r = 0;

	if (hostname)
		r = found(endpoint, hostname, data);
	if (r >= 0 && (!hostname || strcmp(hostname, endpoint->id) != 0))
		r = found(endpoint, endpoint->id, data);
	for (size_t i = 0; i < endpoint->options.len && r >= 0; i++) {
		const char *key = endpoint->options.items[i].key, *name = key + strlen(ALIAS);

		if (strncmp(key, ALIAS, strlen(ALIAS)) == 0 && strcmp(name, endpoint->id) != 0 &&
		    (!hostname || strcmp(name, hostname) != 0))
			r = found(endpoint, name, data);
	}
	return r;
}

static int add_name(const struct endpoint *endpoint, const char *name, void *data)
{
	host_name_vector *names = data;

	for_each_family(family)
		for_each_address(prefix, endpoint, family)
			if (vector_append(names,
					  ((struct host_name){ name, endpoint, prefix->addr })) < 0)
				return -ENOMEM;
	return 0;
}

int hosts_list(const endpoint_vector *endpoints, host_name_vector *names)
{
	int r = 0;

	for (size_t i = 0; i < endpoints->len && r >= 0; i++)
		r = each_name(&endpoints->items[i], add_name, names);
	return r;
}

/* ---- hosts(5) ---- */

static int put_name(const struct endpoint *endpoint, const char *name, void *text)
{
	(void)endpoint;
	text_put(text, " ");
	text_put(text, name);
	return 0;
}

static void put_endpoint(struct text_buffer *text, const struct endpoint *endpoint)
{
	char addr[ADDR_TEXT_MAX];

	for_each_family(family)
		for_each_address(prefix, endpoint, family) {
			text_put(text, addr_format(&prefix->addr, addr));
			each_name(endpoint, put_name, text);
			text_put(text, "\n");
		}
}

static bool has_family(const endpoint_vector *endpoints, int family)
{
	for (size_t i = 0; i < endpoints->len; i++)
		if (endpoint_prefix(&endpoints->items[i], family))
			return true;
	return false;
}

int hosts_file(const endpoint_vector *own, const endpoint_vector *neighbours, char **ret_text)
{
	struct text_buffer text = { 0 };

	text_put(&text, "127.0.0.1 localhost\n");
	if (has_family(own, AF_INET6))
		text_put(&text, "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\n"
				"ff02::2 ip6-allrouters\n");
	for (size_t i = 0; i < own->len; i++)
		put_endpoint(&text, &own->items[i]);
	for (size_t i = 0; i < neighbours->len; i++)
		put_endpoint(&text, &neighbours->items[i]);
	return text_end(&text, ret_text);
}

/* ---- resolv.conf(5) ---- */

#define BLANKS " \t\r"

/* Of a line's word, what follows it, or NULL. */
static const char *after_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(line, word, len) != 0 || !line[len] || !strchr(BLANKS, line[len]))
		return NULL;
	return line + len + strspn(line + len, BLANKS);
}

struct resolver {
	struct text_buffer text;
	const addr_vector *given;
	bool ipv4, ipv6;
	bool loopback; /* one was left out that is on a loopback address */
	size_t count;
};

/* A line of two words. */
static void put_line(struct resolver *resolver, const char *word, const char *value)
{
	text_put(&resolver->text, word);
	text_put(&resolver->text, " ");
	text_put(&resolver->text, value);
	text_put(&resolver->text, "\n");
}

static void put_nameserver(struct resolver *resolver, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];

	put_line(resolver, "nameserver", addr_format(addr, text));
	resolver->count++;
}

/* One with a zone ("fe80::1%eth0") is no address here, and on a link that is not there. */
static void read_nameserver(struct resolver *resolver, const char *value)
{
	char text[ADDR_TEXT_MAX];
	size_t len = strcspn(value, BLANKS);
	struct addr addr;

	if (resolver->given->len || len >= sizeof(text))
		return;
	memcpy(text, value, len);
	text[len] = '\0';
	if (addr_parse(text, &addr) < 0 || addr_is_link_local(&addr))
		return;
	if (addr_is_loopback(&addr) || addr_is_unspecified(&addr))
		resolver->loopback = true;
	else if (addr.family == AF_INET ? resolver->ipv4 : resolver->ipv6)
		put_nameserver(resolver, &addr);
}

static void read_line(struct resolver *resolver, const char *line)
{
	static const char *const kept[] = { "search", "domain", "options", "sortlist" };
	const char *value = after_word(line, "nameserver");

	if (value)
		read_nameserver(resolver, value);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		value = after_word(line, kept[i]);
		if (value && *value)
			put_line(resolver, kept[i], value);
	}
}

static int read_lines(struct resolver *resolver, const char *text)
{
	CLEANUP_FREE char *copy = strdup(text);
	char *rest = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		read_line(resolver, line);
	return 0;
}

int resolver_file(const char *host_text, const addr_vector *given, bool ipv4, bool ipv6,
		  char **ret_text, bool *ret_loopback)
{
	struct resolver resolver = { .given = given, .ipv4 = ipv4, .ipv6 = ipv6 };
	char *text;
	int r;

	for (size_t i = 0; i < given->len; i++)
		put_nameserver(&resolver, &given->items[i]);
	r = read_lines(&resolver, host_text);
	resolver.text.failed |= r < 0;
	r = text_end(&resolver.text, &text);
	if (r < 0)
		return r;
	*ret_loopback = resolver.loopback;
	if (!resolver.count) {
		free(text);
		return -EADDRNOTAVAIL;
	}
	*ret_text = text;
	return 0;
}
