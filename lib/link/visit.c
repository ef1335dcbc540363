/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "link/private.h"

#define THREAD_STACK (256 * 1024) /* the sanitizers need more than the minimum */

/* ---- what only files can set ---- */

enum need {
	MUST,        /* without it the endpoint can't be */
	UNLESS_LEFT, /* nor without this, unless the caller takes IPv6 as it is */
	SHOULD,
};

/* Of net.ipv6.conf.INTERFACE, on networks with IPv6 and without. Nobody but us gives addresses and
 * routes: no router advertisement does, and there is no duplicate to wait for. */
static const struct {
	bool with_ipv6;
	const char *key;
	int value;
	enum need need;
} settings[] = {
	{ false, "disable_ipv6", 1, UNLESS_LEFT },
	{ true, "disable_ipv6", 0, MUST },
	{ true, "accept_ra", 0, UNLESS_LEFT },
	{ true, "autoconf", 0, SHOULD },
	{ true, "accept_dad", 0, SHOULD },
	{ true, "ignore_routes_with_linkdown", 1, SHOULD },
};

#define KEY_PATH_MAX (IFNAMSIZ + 40)

static const char *key_path(char path[static KEY_PATH_MAX], const char *interface, const char *key)
{
	snprintf(path, KEY_PATH_MAX, "%s/%s", interface, key);
	return path;
}

/* Where files can't be written they may be right all the same. */
static bool has_value(int directory, const char *path, int value)
{
	CLEANUP_CLOSE int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && atoi(text) == value;
}

static int write_value(int directory, const char *path, int value)
{
	CLEANUP_CLOSE int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
	char digit = (char)('0' + value);
	int r = fd >= 0 && write(fd, &digit, 1) == 1 ? 0 : -errno;

	return r == 0 || has_value(directory, path, value) ? 0 : r;
}

static int setting_failed(struct visit *visit, size_t i, int r)
{
	const struct link_endpoint_config *config = visit->config;
	bool must = settings[i].need == MUST ||
		    (settings[i].need == UNLESS_LEFT && !config->leaves_ipv6);
	char what[160];

	snprintf(what, sizeof(what), "cannot write %d to /proc/sys/net/ipv6/conf/%s/%s",
		 settings[i].value, config->endpoint->interface, settings[i].key);
	/* the first is the gravest */
	if (!must && visit->note[0])
		return 0;
	if (!must) {
		snprintf(visit->note, sizeof(visit->note), "endpoint %s: %s: %s",
			 config->endpoint->id, what, errno_text(-r));
		return 0;
	}
	return error_set(&visit->error, r, error_reason(-r, BN_REASON_KERNEL),
			 "%s in the namespace of endpoint %s: %s; make it writable%s", what,
			 config->endpoint->id, errno_text(-r),
			 settings[i].need == MUST ? "" :
						    ", or leave it as it is with the option "
						    "sandbox-ipv6=leave of the context");
}

/* directory: of the files; or why it could not be opened. */
static int set_up_ipv6(struct visit *visit, int directory)
{
	const struct endpoint *endpoint = visit->config->endpoint;
	bool with_ipv6 = endpoint->ipv6.addr.family;
	char path[KEY_PATH_MAX];
	int r = FAULT("link.endpoint.ipv6");

	/* too small for IPv6: it has no files, and no IPv6 */
	if (!with_ipv6 && endpoint->mtu < IPV6_MTU_MIN)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++) {
		if (settings[i].with_ipv6 != with_ipv6)
			continue;
		key_path(path, endpoint->interface, settings[i].key);
		r = directory < 0 ? directory : write_value(directory, path, settings[i].value);
		/* that an older kernel has no such file is no failure */
		if (r == -ENOENT && directory >= 0 && settings[i].need == SHOULD)
			r = 0;
		else if (r < 0)
			r = setting_failed(visit, i, r);
	}
	if (r == 0 && directory >= 0 && with_ipv6 && visit->config->announces)
		visit->ndisc_notify = openat(directory,
					     key_path(path, endpoint->interface, "ndisc_notify"),
					     O_WRONLY | O_CLOEXEC);
	return r;
}

/* ---- the thread ---- */

static int enter(struct visit *visit)
{
	int r;

	if (setns(visit->sandbox->fd, CLONE_NEWNET) < 0)
		return rtnl_failure(&visit->error, NULL, -errno, "enter network namespace %s",
				    sandbox_name(visit->sandbox));
	r = rtnl_open_family(&visit->handle, NETLINK_ROUTE);
	return r < 0 ? rtnl_failure(&visit->error, NULL, r, "open a route netlink socket") : 0;
}

static int work(struct visit *visit)
{
	int directory = -1, r = enter(visit);

	if (!visit->config)
		return r;
	/* What is looked up here takes longer the more namespaces there are; meanwhile the pair is
	 * made. */
	if (r == 0 && visit->handle.has_ipv6)
		directory = open("/proc/sys/net/ipv6/conf", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		directory = -errno;
	while (sem_wait(&visit->born) < 0)
		;
	if (r == 0 && visit->interface_is_there && visit->handle.has_ipv6)
		r = set_up_ipv6(visit, directory);
	if (directory >= 0)
		close(directory);
	return r;
}

static void *thread_main(void *argument)
{
	struct visit *visit = argument;

	visit->result = work(visit);
	return NULL;
}

static int thread_create(struct visit *visit)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int r = pthread_attr_init(&attributes);

	if (r != 0)
		return r;
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	/* The thread inherits the mask: the program's signal handlers must not run on it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&visit->id, &attributes, thread_main, visit);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}

int visit_start(struct visit *visit, const struct sandbox *sandbox,
		const struct link_endpoint_config *config, const struct deadline *deadline,
		struct error *error)
{
	int r;

	*visit = (struct visit){
		.sandbox = sandbox,
		.config = config,
		.handle = { .fd = -1,
			    .single_use = true,
			    .has_ipv6 = sysctl_has_ipv6(),
			    .deadline = deadline },
		.ndisc_notify = -1,
	};
	sem_init(&visit->born, 0, 0);
	r = thread_create(visit);
	if (r == 0)
		return 0;
	sem_destroy(&visit->born);
	return error_set(error, -r, BN_REASON_KERNEL,
			 "cannot start a thread to enter network namespace %s: %s",
			 sandbox_name(sandbox), errno_text(r));
}

void visit_go_on(struct visit *visit, bool interface_is_there)
{
	visit->interface_is_there = interface_is_there;
	sem_post(&visit->born);
}

int visit_end(struct visit *visit, struct link_handle *ret_handle, struct error *error)
{
	pthread_join(visit->id, NULL);
	sem_destroy(&visit->born);
	if (visit->result == 0) {
		*ret_handle = visit->handle;
		return 0;
	}
	rtnl_close(&visit->handle);
	if (error)
		*error = visit->error;
	return visit->result;
}

void visit_clear(struct visit *visit)
{
	if (visit->ndisc_notify >= 0)
		close(visit->ndisc_notify);
	visit->ndisc_notify = -1;
}

int sandbox_link_open(const struct sandbox *sandbox, const struct deadline *deadline,
		      struct link_handle *ret_handle, struct error *error)
{
	struct visit visit;
	int r = visit_start(&visit, sandbox, NULL, deadline, error);

	return r < 0 ? r : visit_end(&visit, ret_handle, error);
}
