/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/thread.h"
#include "link/private.h"

struct link_visit {
	const struct sandbox *sandbox;
	pthread_t id;
	bool runs;  /* is to be waited for */
	bool files; /* is to open the directory, too */
	int ipv6;   /* -errno: why it could not */
	struct link_handle handle;
	struct error error;
	int result;
};

/* What is looked up here takes longer the more namespaces there are. */
static int open_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int enter_namespace(const struct sandbox *sandbox, struct error *error)
{
	if (setns(sandbox->fd, CLONE_NEWNET) == 0)
		return 0;
	return rtnl_failure(error, NULL, -errno, "enter network namespace %s",
			    sandbox_name(sandbox));
}

static int enter(struct link_visit *visit)
{
	int r = enter_namespace(visit->sandbox, &visit->error);

	if (r < 0)
		return r;
	r = rtnl_open_family(&visit->handle, NETLINK_ROUTE);
	if (r < 0)
		return rtnl_failure(&visit->error, NULL, r, "open a route netlink socket");
	if (visit->files)
		visit->ipv6 = open_ipv6();
	return 0;
}

static void *thread_main(void *argument)
{
	struct link_visit *visit = argument;

	visit->result = enter(visit);
	return NULL;
}

static int thread_error(const struct sandbox *sandbox, int r, struct error *error)
{
	return error_set(error, -r, BN_REASON_KERNEL,
			 "cannot start a thread to enter network namespace %s: %s",
			 sandbox_name(sandbox), errno_text(r));
}

static int visit_start(struct link_visit *visit, struct error *error)
{
	int r;

	visit->handle.fd = -1;
	visit->handle.single_use = true;
	visit->ipv6 = -ENOENT;
	r = thread_start(thread_main, visit, &visit->id);
	visit->runs = r == 0;
	return r == 0 ? 0 : thread_error(visit->sandbox, r, error);
}

int link_visit_start(const struct link_handle *handle, const struct sandbox *sandbox,
		     struct link_visit **ret_visit, struct error *error)
{
	CLEANUP_FREE struct link_visit *visit = calloc(1, sizeof(*visit));
	int r;

	if (!visit)
		return error_oom(error);
	visit->sandbox = sandbox;
	visit->handle.has_ipv6 = handle->has_ipv6;
	visit->handle.deadline = handle->deadline;
	visit->files = handle->has_ipv6;
	r = visit_start(visit, error);
	if (r == 0)
		*ret_visit = TAKE_POINTER(visit);
	return r;
}

int visit_end(struct link_visit *visit, struct link_handle *ret_handle, int *ret_ipv6,
	      struct error *error)
{
	if (visit->runs)
		pthread_join(visit->id, NULL);
	visit->runs = false;
	if (visit->result < 0) {
		rtnl_close(&visit->handle);
		if (error)
			*error = visit->error;
		return visit->result;
	}
	*ret_handle = visit->handle;
	*ret_ipv6 = visit->ipv6;
	visit->handle.fd = visit->ipv6 = -1;
	return 0;
}

struct run {
	const struct sandbox *sandbox;
	visit_fn function;
	void *userdata;
	struct error error;
	int result;
};

static void *run_main(void *argument)
{
	struct run *run = argument;

	run->result = enter_namespace(run->sandbox, &run->error);
	if (run->result == 0)
		run->result = run->function(run->userdata, &run->error);
	return NULL;
}

int sandbox_run(const struct sandbox *sandbox, visit_fn function, void *userdata,
		struct error *error)
{
	struct run run = { .sandbox = sandbox, .function = function, .userdata = userdata };
	pthread_t id;
	int r = thread_start(run_main, &run, &id);

	if (r != 0)
		return thread_error(sandbox, r, error);
	pthread_join(id, NULL);
	if (run.result < 0)
		*error = run.error;
	return run.result;
}

void link_visit_close(struct link_visit *visit)
{
	CLEANUP_RTNL struct link_handle inside = { .fd = -1 };
	CLEANUP_CLOSE int ipv6 = -1;

	if (!visit)
		return;
	visit_end(visit, &inside, &ipv6, NULL);
	free(visit);
}

int sandbox_link_open(const struct sandbox *sandbox, const struct deadline *deadline,
		      struct link_handle *ret_handle, struct error *error)
{
	struct link_visit visit = {
		.sandbox = sandbox,
		.handle = { .has_ipv6 = sysctl_has_ipv6(), .deadline = deadline },
	};
	int none, r = visit_start(&visit, error);

	return r < 0 ? r : visit_end(&visit, ret_handle, &none, error);
}
