/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel has: tables, and extensions. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall/iptables/iptables.h"
#include "firewall/iptables/kernel.h"

/* The numbers of both families' options are the same. */
_Static_assert(IPT_SO_GET_INFO == IP6T_SO_GET_INFO, "both families have the same options");

static int level(int family)
{
	return family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

/* Is there that revision of a match or target? The kernel loads its module if it can. */
static int ask_revision(int family, int fd, bool target, const char *name, uint8_t revision)
{
	struct xt_get_revision question = { .revision = revision };
	socklen_t len = sizeof(question);
	/* these two differ between the families */
	int option = target ? IPT_SO_GET_REVISION_TARGET : IPT_SO_GET_REVISION_MATCH;

	if (family == AF_INET6)
		option = target ? IP6T_SO_GET_REVISION_TARGET : IP6T_SO_GET_REVISION_MATCH;
	string_copy(question.name, sizeof(question.name), name);
	return getsockopt(fd, level(family), option, &question, &len) < 0 ? -errno : 0;
}

bool iptables_table_exists(int family, enum table_id id)
{
	const char *path = family == AF_INET ? "/proc/thread-self/net/ip_tables_names" :
					       "/proc/thread-self/net/ip6_tables_names";
	FILE *file = fopen(path, "re");
	char line[64];
	bool found = false;

	/* without /proc the only way to know is to ask, which makes it */
	if (!file)
		return errno != ENOENT || access("/proc/self", F_OK) < 0;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, table_name(id)) == 0;
	}
	/* and where it can't be read to its end */
	found = found || ferror(file);
	fclose(file);
	return found;
}

int iptables_probe(int family, int *ret_fd, struct error *error)
{
	CLEANUP_CLOSE int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	int r = fd < 0 ? -errno : ask_revision(family, fd, true, "DNAT", 2);

	if (fd >= 0 && (r == 0 || r == -EPROTONOSUPPORT || r == -ENOENT)) {
		*ret_fd = take_fd(&fd);
		return 0;
	}
	if (r == -EPERM || r == -EACCES)
		return error_set(error, -EPERM, BN_REASON_PRIVILEGE,
				 "backend iptables-legacy needs CAP_NET_ADMIN and CAP_NET_RAW in "
				 "this network namespace; run as root");
	if (r == -ENOPROTOOPT || r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT)
		return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the kernel has no legacy xtables (%s): load the module %s, use a "
				 "kernel that has it, or use nftables",
				 family == AF_INET ? "IPv4" : "IPv6",
				 family == AF_INET ? "ip_tables" : "ip6_tables");
	return error_set(error, r, BN_REASON_KERNEL, "can't ask for xtables: %s", errno_text(-r));
}

int iptables_table_info(const struct iptables *iptables, int family, enum table_id id,
			struct known_table *ret_known)
{
	struct ipt_getinfo info = { 0 };
	socklen_t len = sizeof(info);

	string_copy(info.name, sizeof(info.name), table_name(id));
	if (getsockopt(iptables->fd[FAMILY_INDEX(family)], level(family), IPT_SO_GET_INFO, &info,
		       &len) < 0)
		return -errno;
	*ret_known = (struct known_table){ info.num_entries, info.size };
	return 0;
}

/* What our rules are made of, beyond what the tables themselves have. */
static const struct {
	const char *name;
	bool target;
	uint8_t revision;
} extensions[] = {
	{ "tcp", false, 0 },      { "udp", false, 0 },       { "sctp", false, 0 },
	{ "addrtype", false, 1 }, { "conntrack", false, 3 }, { "comment", false, 0 },
	{ "rpfilter", false, 0 }, { "DNAT", true, 2 },       { "MASQUERADE", true, 0 },
};

static size_t name_missing(const struct iptables *iptables, int family, char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(extensions) && len < size; i++) {
		int r = ask_revision(family, iptables->fd[FAMILY_INDEX(family)],
				     extensions[i].target, extensions[i].name,
				     extensions[i].revision);

		if (r == -EPROTONOSUPPORT || r == -ENOENT)
			len += (size_t)snprintf(text + len, size - len, "%s%s %s", len ? ", " : "",
						extensions[i].target ? "target" : "match",
						extensions[i].name);
	}
	return len;
}

int iptables_commit_error(const struct iptables *iptables, const struct table *table, int code,
			  struct error *error)
{
	const char *family = table->family == AF_INET ? "IPv4" : "IPv6";
	char missing[160] = "";

	if (code == -ENOMEM)
		return error_oom(error);
	if (code == -EAGAIN)
		return error_set(error, code, BN_REASON_KERNEL,
				 "table %s (%s) kept changing while it was written, by a program "
				 "that does not take the xtables lock; try again",
				 table_name(table->id), family);
	if ((code == -ENOENT || code == -EINVAL || code == -EPROTONOSUPPORT) &&
	    name_missing(iptables, table->family, missing, sizeof(missing)))
		return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the kernel's xtables (%s) lack what the rules need: %s; load the "
				 "modules, or use nftables",
				 family, missing);
	return error_set(error, code, BN_REASON_KERNEL, "the kernel refuses table %s (%s): %s",
			 table_name(table->id), family, errno_text(-code));
}

int iptables_can_log(struct firewall *firewall, struct error *error)
{
	struct iptables *iptables = (struct iptables *)firewall;

	for (int i = 0; i < FAMILY_COUNT; i++) {
		int limit = 0, log = 0;

		if (iptables->fd[i] >= 0) {
			limit = ask_revision(FAMILY_OF(i), iptables->fd[i], false, "limit", 0);
			log = ask_revision(FAMILY_OF(i), iptables->fd[i], true, "LOG", 0);
		}
		if (limit < 0 || log < 0)
			return error_set(error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
					 "the kernel's xtables (%s) lack the %s, by which drops "
					 "are logged: load the module %s, use nftables, or leave "
					 "out option log-drops",
					 i == FAMILY_IPV4 ? "IPv4" : "IPv6",
					 limit < 0 ? "match limit" : "target LOG",
					 limit < 0 ? "xt_limit" : "xt_LOG");
	}
	return 0;
}

int iptables_can_count(struct firewall *firewall, struct error *error)
{
	struct iptables *iptables = (struct iptables *)firewall;

	for (int i = 0; i < FAMILY_COUNT; i++) {
		int r = 0;

		if (iptables->fd[i] >= 0)
			r = ask_revision(FAMILY_OF(i), iptables->fd[i], false, "connlimit", 1);
		if (r == -EPROTONOSUPPORT || r == -ENOENT)
			return error_set(
				error, -EOPNOTSUPP, BN_REASON_UNSUPPORTED,
				"the kernel's xtables (%s) lack the match connlimit, which "
				"counts connections: load the module xt_connlimit, use "
				"nftables, or leave out option connections",
				i == FAMILY_IPV4 ? "IPv4" : "IPv6");
	}
	return 0;
}
