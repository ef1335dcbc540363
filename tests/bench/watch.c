/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How soon rules are back that somebody has taken out, by a process that watches and repairs; and
 * what that process costs while others change rules of their own as fast as they can:
 * watch [BACKEND]...
 */
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "floor/nft.h"

#define FLUSHES 20
#define STORM_MS 3000
#define PAUSE_US 150000

/* ---- the process that watches ---- */

static bn_ctx *context(const char *backend)
{
	bn_ctx *ctx;

	if (bn_ctx_new(0, &ctx) < 0 || bn_ctx_set_state_dir(ctx, bench_state_dir()) < 0 ||
	    bn_ctx_set_backend(ctx, backend) < 0 ||
	    bn_ctx_set_option(ctx, "iptables.lock-file", getenv("XTABLES_LOCKFILE")) < 0)
		bench_fail("make a context");
	return ctx;
}

static void repair(bn_ctx *ctx)
{
	bn_finding_list *list;

	bench_check(ctx, bn_repair(ctx, NULL, NULL, 0, &list), "repair");
	bn_finding_list_free(list);
}

/* Writes when it was done, each time that it has repaired something, and once when it begins. */
_Noreturn static void watch(const char *backend, int done)
{
	bn_ctx *ctx = context(backend);
	struct pollfd fd;
	bn_event *event;
	bn_watch *watching;
	double now = bench_now();

	bench_check(ctx, bn_watch_new(ctx, 0, &watching), "watch");
	repair(ctx);
	fd = (struct pollfd){ .fd = bn_watch_fd(watching), .events = POLLIN };
	for (;;) {
		int rules = 0;

		if (write(done, &now, sizeof(now)) != sizeof(now))
			exit(1);
		while (!rules) {
			poll(&fd, 1, -1);
			while (bn_watch_next(watching, 0, &event) == 0) {
				rules |= strcmp(bn_event_kind(event), "rules") == 0;
				bn_event_free(event);
			}
		}
		repair(ctx);
		now = bench_now();
	}
}

struct watcher {
	pid_t pid;
	int done;
};

static double wait_for(const struct watcher *watcher)
{
	struct pollfd fd = { .fd = watcher->done, .events = POLLIN };
	double when;

	if (poll(&fd, 1, 10000) <= 0 || read(watcher->done, &when, sizeof(when)) != sizeof(when))
		bench_fail("hear of the watcher");
	return when;
}

static struct watcher watcher_start(const char *backend)
{
	struct watcher watcher;
	int ends[2];

	if (pipe(ends) < 0)
		bench_fail("make a pipe");
	fflush(NULL);
	watcher.pid = fork();
	if (watcher.pid == 0) {
		close(ends[0]);
		watch(backend, ends[1]);
	}
	close(ends[1]);
	watcher.done = ends[0];
	wait_for(&watcher);
	return watcher;
}

static void watcher_end(struct watcher *watcher)
{
	kill(watcher->pid, SIGKILL);
	waitpid(watcher->pid, NULL, 0);
	close(watcher->done);
}

/* Microseconds of the processor. */
static double cost(pid_t pid)
{
	struct timespec spent;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) < 0)
		bench_fail("read the clock of the watcher");
	return (double)spent.tv_sec * 1e6 + (double)spent.tv_nsec / 1e3;
}

/* ---- what is done to it ---- */

static void put(char **at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource,
		const char *table)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(*at);
	struct nfgenmsg *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = family;
	header->res_id = resource;
	if (table)
		mnl_attr_put_strz(message, NFTA_TABLE_NAME, table);
	*at += message->nlmsg_len;
}

/* Not by nft(8), which takes longer to begin than all that is measured. */
static double delete_table(void)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	char buffer[1024] = "", *end = buffer;
	uint16_t nft = NFNL_SUBSYS_NFTABLES;
	double done;

	put(&end, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, __builtin_bswap16(nft), NULL);
	put(&end, (uint16_t)(nft << 8 | NFT_MSG_DELTABLE), 0, NFPROTO_INET, 0, "bridgenet");
	put(&end, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, __builtin_bswap16(nft), NULL);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, buffer, (size_t)(end - buffer)) < 0)
		bench_fail("delete the table");
	/* the kernel has done it by then */
	done = bench_now();
	mnl_socket_close(socket);
	return done;
}

static double flush_chains(void)
{
	bench_run("iptables-legacy -t nat -F");
	return bench_now();
}

/* All rules come in one commit, and the table with them. */
static size_t tables_of_ours(void)
{
	static struct mnl_socket *socket;
	char buffer[1024] = "", *end = buffer;
	const struct nlmsghdr *answer = (const struct nlmsghdr *)(void *)buffer;
	ssize_t len;

	if (!socket) {
		socket = mnl_socket_open(NETLINK_NETFILTER);
		if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
			bench_fail("open a socket");
	}
	put(&end, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE), 0, NFPROTO_INET, 0,
	    "bridgenet");
	mnl_socket_sendto(socket, buffer, (size_t)(end - buffer));
	len = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	return len > 0 && answer->nlmsg_type != NLMSG_ERROR;
}

static size_t entries_of_nat(void)
{
	static int raw = -1;
	struct ipt_getinfo info = { .name = "nat" };
	socklen_t len = sizeof(info);

	if (raw < 0)
		raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (getsockopt(raw, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len) < 0)
		bench_fail("look at the table");
	return info.num_entries;
}

static void storm_of_nftables(void)
{
	struct floor_nft *floor;

	if (floor_nft_open(&floor) < 0)
		bench_fail("make the table of the storm");
	for (;;)
		if (floor_nft_add(floor, 0, 1) < 0 || floor_nft_delete(floor, 0, 1) < 0)
			bench_fail("change the table of the storm");
}

static void storm_of_iptables(void)
{
	for (;;)
		bench_run("iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT; "
			  "iptables-legacy -D INPUT -s 192.0.2.1 -j ACCEPT");
}

static const struct backend {
	const char *name;
	double (*flush)(void);
	size_t (*count)(void); /* of what has to be there again */
	void (*storm)(void);
} backends[] = {
	{ "nftables", delete_table, tables_of_ours, storm_of_nftables },
	{ "iptables-legacy", flush_chains, entries_of_nat, storm_of_iptables },
};

/* ---- measuring ---- */

static size_t count_rules(bn_ctx *ctx)
{
	bn_rule_list *list;
	size_t len;

	bench_check(ctx, bn_rules_list(ctx, NULL, 0, &list), "list the rules");
	len = bn_rule_list_len(list);
	bn_rule_list_free(list);
	return len;
}

static void measure_flushes(bn_ctx *ctx, const struct backend *backend,
			    const struct watcher *watcher, unsigned int ports)
{
	static struct samples samples, whole;
	size_t rules = count_rules(ctx), count = backend->count();
	char what[80], number[16];

	samples.len = whole.len = 0;
	for (int i = 0; i < FLUSHES; i++) {
		double flushed = backend->flush();

		while (backend->count() < count)
			usleep(50);
		samples_add(&samples, bench_now() - flushed);
		samples_add(&whole, wait_for(watcher) - flushed);
		usleep(PAUSE_US);
		if (count_rules(ctx) != rules)
			bench_fail("find all rules again");
	}
	snprintf(what, sizeof(what), "%s: rules back after a flush, %s ports", backend->name,
		 bench_thousands(number, ports));
	bench_report(what, &samples, NULL);
	snprintf(what, sizeof(what), "%s: and all else looked at, %s ports", backend->name, number);
	bench_report(what, &whole, NULL);
}

/* What each second costs of the processor. */
static void measure_storm(const struct backend *backend, const struct watcher *watcher,
			  unsigned int ports)
{
	static struct samples samples;
	char what[80], number[16];
	double begun, spent;
	pid_t storm;

	fflush(NULL);
	storm = fork();
	if (storm == 0) {
		backend->storm();
		_exit(1);
	}
	usleep(PAUSE_US);
	begun = bench_now();
	spent = cost(watcher->pid);
	usleep(STORM_MS * 1000);
	spent = cost(watcher->pid) - spent;
	samples.len = 0;
	samples_add(&samples, 1e6 * spent / (bench_now() - begun));
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
	snprintf(what, sizeof(what), "%s: a second beside a storm, %s ports", backend->name,
		 bench_thousands(number, ports));
	bench_report(what, &samples, NULL);
}

static void measure(const struct backend *backend, unsigned int ports)
{
	bn_ctx *ctx = bench_stage(backend->name);
	struct watcher watcher;

	bench_network(ctx);
	bench_attach(ctx, bench_sandbox(), 0, 0);
	bench_publish(ctx, 0, ports);
	watcher = watcher_start(backend->name);
	measure_flushes(ctx, backend, &watcher, ports);
	measure_storm(backend, &watcher, ports);
	watcher_end(&watcher);
	bench_leave(ctx);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		if (!bn_has_feature(backends[i].name) ||
		    (argc > 1 && strcmp(argv[1], backends[i].name) != 0))
			continue;
		measure(&backends[i], 1000);
		measure(&backends[i], 10000);
	}
	return 0;
}
