/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serve a page from a network namespace on port 8799 of its host, as docker run -p 8799:1337 does.
 * The host is a network namespace too, made for the purpose: it takes root, and nothing of this
 * machine changes.
 *
 *     cc serve.c -o serve $(pkg-config --cflags --libs bridgenet)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bridgenet.h>
#include <err.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char page[] = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nHello\n";

/* The child: a web server in a namespace that has no network yet. */
static void serve(int ready)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(1337) };
	int listener, client;
	char request[4096];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		err(1, "unshare");
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 8) < 0)
		err(1, "port 1337");
	if (write(ready, "r", 1) != 1)
		err(1, "pipe");
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		if (read(client, request, sizeof(request)) > 0)
			dprintf(client, "%s", page);
		close(client);
	}
	err(1, "accept");
}

static void check(bn_ctx *ctx, int r)
{
	if (r < 0)
		errx(1, "%s", ctx ? bn_error_message(ctx) : strerror(-r));
}

static void attach(bn_ctx *ctx, pid_t pid)
{
	bn_endpoint_spec *spec;
	bn_port_spec *port;

	check(ctx, bn_endpoint_spec_new("bridge", "web", &spec));
	check(ctx, bn_port_spec_new("8799:1337", &port));
	check(ctx, bn_endpoint_spec_set_sandbox_pid(spec, pid));
	check(ctx, bn_endpoint_spec_add_port(spec, port));
	check(ctx, bn_endpoint_attach(ctx, spec, 0, NULL));
	bn_port_spec_free(port);
	bn_endpoint_spec_free(spec);
}

static void fetch(void)
{
	struct sockaddr_in host = { AF_INET, htons(8799), { htonl(INADDR_LOOPBACK) }, { 0 } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[256];
	ssize_t len;

	if (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0)
		err(1, "127.0.0.1:8799");
	dprintf(fd, "GET / HTTP/1.0\r\n\r\n");
	len = read(fd, answer, sizeof(answer));
	if (len <= 0)
		err(1, "no answer");
	printf("%.*s\n", (int)len, answer);
	close(fd);
}

int main(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bn_ctx *ctx = NULL;
	bn_rule_list *rules;
	int fds[2];
	char ready;
	pid_t pid;

	/* a /run of its own, so that the state goes where the interfaces go: away */
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
	    mount("run", "/run", "tmpfs", 0, NULL) < 0 ||
	    ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &lo) < 0 || pipe(fds) < 0)
		err(1, "a namespace for the host");
	pid = fork();
	if (pid == 0)
		serve(fds[1]);
	close(fds[1]);
	if (read(fds[0], &ready, 1) != 1)
		errx(1, "no server");
	check(ctx, bn_ctx_new(0, &ctx));
	attach(ctx, pid);
	fetch();
	check(ctx, bn_rules_list(ctx, "bridge", BN_RULES_VERBOSE, &rules));
	for (size_t i = 0; i < bn_rule_list_len(rules); i++) {
		const bn_rule *rule = bn_rule_list_at(rules, i);

		printf("%5" PRIu64 " %-10s %s  # %s\n", bn_rule_packets(rule), bn_rule_target(rule),
		       bn_rule_extra(rule), bn_rule_purpose(rule));
	}
	bn_rule_list_free(rules);
	check(ctx, bn_endpoint_detach(ctx, "bridge", "web", 0));
	bn_ctx_free(ctx);
	return kill(pid, SIGKILL) < 0;
}
