/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sixty-four processes, or threads with a context each, do anything at random to networks that they
 * share, while some are stopped for a while and some are killed. What each of them got is kept in a
 * table that they share: nothing is had by two. Each call ends in its time; and at the end a check has
 * nothing to tell, the kernel is as the state says, and nothing is left when all is deleted.
 *
 * Some seconds each; with BN_SOAK=1 a minute, with BN_SECONDS as long as that.
 */
#include "../case.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "firewall/firewall.h"

#define MANY 64
#define NETWORKS 4
#define OWN 2            /* endpoints of each, in one sandbox, on different networks */
#define FIRST_PORT 20000 /* those that all want */
#define WANTED_PORTS 24
#define HELD_MAX 4 /* ports that one has */
#define TIMEOUT_MS 10000
#define UNDO_MS 2000
#define SLACK_MS 10000 /* of a machine that has other things to do */
#define SECONDS_IN_CI 8
#define STOPPED_MS 1500
#define HANGS_S 60

static const char *const networks[NETWORKS] = { "front", "back", "spare", "side" };

/* ---- what all of them have ---- */

struct worker {
	pid_t pid;
	int stops; /* how often it was stopped */
	bool dead; /* what it had is nobody's */
};

static struct shared {
	int over, faults;
	long longest_ms;
	char longest[16];
	struct worker workers[MANY];
	uint16_t addresses[NETWORKS][256]; /* who has it: number + 1; 0: nobody */
	uint16_t ports[65536];
	struct {
		int there, deleters;
	} networks[NETWORKS];
	uint16_t names[NETWORKS][WANTED_PORTS]; /* of endpoints that all want */
} * shared;

static void take(uint16_t *of, size_t who, const char *what, const char *detail)
{
	uint16_t nobody = 0;

	if (__atomic_compare_exchange_n(of, &nobody, (uint16_t)(who + 1), false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return;
	tell("# FAULT %s %s was given to %zu, and %d has it", what, detail, who, nobody - 1);
	__atomic_fetch_add(&shared->faults, 1, __ATOMIC_SEQ_CST);
}

static void let_go(uint16_t *of, size_t who)
{
	uint16_t own = (uint16_t)(who + 1);

	__atomic_compare_exchange_n(of, &own, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- one of them ---- */

struct self {
	size_t number;
	unsigned int seed;
	bn_ctx *ctx;
	int sandbox;
	struct held {
		bool is_there;
		size_t network;
		char id[32];
		int wanted; /* the name is one that all want; -1: not */
		unsigned int last_byte;
		unsigned int ports[HELD_MAX];
		size_t ports_len;
	} held[OWN];
};

static unsigned int chance(struct self *self, unsigned int of)
{
	return (unsigned int)rand_r(&self->seed) % of;
}

static int make_sandbox(void)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (here < 0 || unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(here, CLONE_NEWNET) < 0)
		_exit(1);
	close(here);
	return fd;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What may come of it when others do as they like. */
static bool is_expected(int r)
{
	return r == 0 || r == -EEXIST || r == -ENOENT || r == -EBUSY || r == -EADDRINUSE ||
	       r == -ETIMEDOUT;
}

static void say_fault(const struct self *self, const char *call, const char *what)
{
	tell("# FAULT %zu: %s: %s: %s", self->number, call, what, bn_error_message(self->ctx));
	__atomic_fetch_add(&shared->faults, 1, __ATOMIC_SEQ_CST);
}

struct call {
	const char *name;
	long begun;
	int stops;
};

static struct call begin_call(const struct self *self, const char *name)
{
	return (struct call){ name, now_ms(), shared->workers[self->number].stops };
}

static int end_call(const struct self *self, const struct call *call, int r)
{
	long took = now_ms() - call->begun;

	figure_add(FIGURE_OPERATIONS, 1);
	figure_add(FIGURE_OPERATIONS_REFUSED, r < 0);
	figure_add(FIGURE_OPERATIONS_IN_VAIN,
		   r == -ETIMEDOUT ||
			   (r == -EBUSY && bn_error_reason(self->ctx) == BN_REASON_BUSY));
	if (!is_expected(r))
		say_fault(self, call->name, bn_reason_name(bn_error_reason(self->ctx)));
	if (call->stops != shared->workers[self->number].stops)
		return r;
	if (took > __atomic_load_n(&shared->longest_ms, __ATOMIC_RELAXED)) {
		__atomic_store_n(&shared->longest_ms, took, __ATOMIC_RELAXED);
		snprintf(shared->longest, sizeof(shared->longest), "%s %d", call->name, r);
	}
	if (took > TIMEOUT_MS + UNDO_MS + SLACK_MS)
		say_fault(self, call->name, "it took longer than its time");
	return r;
}

/* ---- what it does ---- */

static void create(struct self *self)
{
	size_t n = chance(self, NETWORKS);
	struct call call = begin_call(self, "create");
	bn_network_spec *spec;
	char subnet[32];
	int r;

	if (bn_network_spec_new(networks[n], &spec) < 0)
		_exit(1);
	snprintf(subnet, sizeof(subnet), "172.%zu.0.0/24", 28 + n);
	bn_network_spec_add_subnet(spec, subnet);
	r = end_call(self, &call, bn_network_create(self->ctx, spec, 0, NULL));
	bn_network_spec_free(spec);
	if (r == 0 && __atomic_exchange_n(&shared->networks[n].there, 1, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&shared->networks[n].deleters, __ATOMIC_SEQ_CST)) {
		tell("# FAULT network %s was made twice", networks[n]);
		__atomic_fetch_add(&shared->faults, 1, __ATOMIC_SEQ_CST);
	}
}

static void delete_network(struct self *self)
{
	size_t n = chance(self, NETWORKS);
	struct call call = begin_call(self, "delete");
	int r;

	__atomic_fetch_add(&shared->networks[n].deleters, 1, __ATOMIC_SEQ_CST);
	r = end_call(self, &call, bn_network_delete(self->ctx, networks[n], 0));
	if (r == 0)
		__atomic_store_n(&shared->networks[n].there, 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&shared->networks[n].deleters, 1, __ATOMIC_SEQ_CST);
}

static void take_port(struct self *self, struct held *held, const bn_port *port)
{
	unsigned int number = bn_port_host_port(port);
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	take(&shared->ports[number], self->number, "port", text);
	if (held->ports_len < HELD_MAX)
		held->ports[held->ports_len++] = number;
}

static void took_endpoint(struct self *self, struct held *held, const bn_endpoint *endpoint)
{
	const char *address = bn_endpoint_address_at(endpoint, 0);
	const bn_port_list *ports = bn_endpoint_ports(endpoint);
	unsigned int bytes[4] = { 0 };

	sscanf(address, "%u.%u.%u.%u", &bytes[0], &bytes[1], &bytes[2], &bytes[3]);
	held->is_there = true;
	held->last_byte = bytes[3] & 255;
	held->ports_len = 0;
	take(&shared->addresses[held->network][held->last_byte], self->number, "address", address);
	if (held->wanted >= 0)
		take(&shared->names[held->network][held->wanted], self->number, "endpoint",
		     held->id);
	for (size_t i = 0; i < bn_port_list_len(ports); i++)
		take_port(self, held, bn_port_list_at(ports, i));
}

static void mapping(struct self *self, char text[static 32])
{
	if (chance(self, 3))
		snprintf(text, 32, "%u:80", FIRST_PORT + chance(self, WANTED_PORTS));
	else
		snprintf(text, 32, "%u", 81 + chance(self, 100));
}

static void attach(struct self *self, struct held *held)
{
	struct call call = begin_call(self, "attach");
	bn_endpoint *endpoint = NULL;
	bn_endpoint_spec *spec;
	bn_port_spec *port;
	char text[32];

	held->network = (chance(self, NETWORKS / OWN) * OWN + (size_t)(held - self->held));
	held->wanted = chance(self, 4) ? -1 : (int)chance(self, WANTED_PORTS);
	if (held->wanted >= 0)
		snprintf(held->id, sizeof(held->id), "wanted%d", held->wanted);
	else
		snprintf(held->id, sizeof(held->id), "w%zu-%td", self->number, held - self->held);
	if (bn_endpoint_spec_new(networks[held->network], held->id, &spec) < 0)
		_exit(1);
	bn_endpoint_spec_set_sandbox_fd(spec, self->sandbox);
	if (chance(self, 2)) {
		mapping(self, text);
		if (bn_port_spec_new(text, &port) < 0)
			_exit(1);
		bn_endpoint_spec_add_port(spec, port);
		bn_port_spec_free(port);
	}
	if (end_call(self, &call, bn_endpoint_attach(self->ctx, spec, 0, &endpoint)) == 0)
		took_endpoint(self, held, endpoint);
	bn_endpoint_free(endpoint);
	bn_endpoint_spec_free(spec);
}

/* Before it goes: from then on another may get it. */
static void let_all_go(struct self *self, struct held *held)
{
	let_go(&shared->addresses[held->network][held->last_byte], self->number);
	if (held->wanted >= 0)
		let_go(&shared->names[held->network][held->wanted], self->number);
	for (size_t i = 0; i < held->ports_len; i++)
		let_go(&shared->ports[held->ports[i]], self->number);
}

static void detach(struct self *self, struct held *held)
{
	struct call call;
	int r;

	let_all_go(self, held);
	held->is_there = false;
	/* one that was given up is there still, as it was */
	do {
		call = begin_call(self, "detach");
		r = end_call(self, &call,
			     bn_endpoint_detach(self->ctx, networks[held->network], held->id,
						chance(self, 3) ? 0 : BN_DETACH_ASYNC));
	} while ((r == -EBUSY || r == -ETIMEDOUT) && !shared->over);
}

static void publish(struct self *self, struct held *held)
{
	struct call call = begin_call(self, "publish");
	bn_port *port = NULL;
	bn_port_spec *spec;
	char text[32];

	mapping(self, text);
	if (held->ports_len == HELD_MAX || bn_port_spec_new(text, &spec) < 0)
		return;
	if (end_call(self, &call,
		     bn_port_publish(self->ctx, networks[held->network], held->id, spec, 0,
				     &port)) == 0)
		take_port(self, held, port);
	bn_port_free(port);
	bn_port_spec_free(spec);
}

/* All that it has. */
static void unpublish(struct self *self, struct held *held)
{
	bn_port_list *list = NULL;
	bn_port_spec *spec;
	struct call call;
	char text[32];

	if (bn_ports_list(self->ctx, networks[held->network], held->id, 0, &list) < 0)
		return;
	for (size_t i = 0; i < held->ports_len; i++)
		let_go(&shared->ports[held->ports[i]], self->number);
	held->ports_len = 0;
	for (size_t i = 0; i < bn_port_list_len(list); i++) {
		const bn_port *port = bn_port_list_at(list, i);

		snprintf(text, sizeof(text), "%u:%u", bn_port_host_port(port),
			 bn_port_container_port(port));
		if (bn_port_spec_new(text, &spec) < 0)
			_exit(1);
		call = begin_call(self, "unpublish");
		end_call(self, &call,
			 bn_port_unpublish(self->ctx, networks[held->network], held->id, spec, 0));
		bn_port_spec_free(spec);
	}
	bn_port_list_free(list);
}

static void update(struct self *self)
{
	struct call call = begin_call(self, "update");
	bn_network_spec *spec;

	if (bn_network_spec_new(networks[chance(self, NETWORKS)], &spec) < 0)
		_exit(1);
	bn_network_spec_set_option(spec, "icc", chance(self, 2) ? "no" : "");
	end_call(self, &call, bn_network_update(self->ctx, spec, 0, NULL));
	bn_network_spec_free(spec);
}

static void move(struct self *self)
{
	const char *name = firewall_backends[chance(self, 2) && firewall_backends[1] ? 1 : 0]->name;
	struct call call = begin_call(self, "switch");

	end_call(self, &call, bn_backend_switch(self->ctx, name, 0));
}

static void repair(struct self *self)
{
	struct call call = begin_call(self, "repair");
	bn_finding_list *list = NULL;

	end_call(self, &call, bn_repair(self->ctx, NULL, NULL, 0, &list));
	bn_finding_list_free(list);
}

static void look_around(struct self *self)
{
	struct call call = begin_call(self, "list");
	bn_endpoint_list *list = NULL;

	end_call(self, &call, bn_endpoints_list(self->ctx, NULL, 0, &list));
	bn_endpoint_list_free(list);
}

static void act(struct self *self)
{
	struct held *held = &self->held[chance(self, OWN)];
	unsigned int what = chance(self, 100);

	if (what < 5)
		create(self);
	else if (what < 8)
		delete_network(self);
	else if (what < 10)
		update(self);
	else if (what < 12)
		repair(self);
	else if (what == 12 && chance(self, 4) == 0)
		move(self);
	else if (what < 18)
		look_around(self);
	else if (!held->is_there)
		attach(self, held);
	else if (what < 45)
		detach(self, held);
	else if (what < 75)
		publish(self, held);
	else
		unpublish(self, held);
}

static void *work(void *data)
{
	struct self *self = data;

	self->ctx = context_new(TIMEOUT_MS, true);
	self->sandbox = make_sandbox();
	if (!self->ctx || self->sandbox < 0)
		_exit(1);
	while (!__atomic_load_n(&shared->over, __ATOMIC_SEQ_CST))
		act(self);
	for (size_t i = 0; i < OWN; i++)
		if (self->held[i].is_there)
			detach(self, &self->held[i]);
	bn_ctx_free(self->ctx);
	close(self->sandbox);
	return NULL;
}

static struct self new_self(size_t number)
{
	return (struct self){ .number = number, .seed = (unsigned int)random() };
}

/* ---- all of them ---- */

static void start_process(size_t i)
{
	struct self self = new_self(i);
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(&self);
		_exit(0);
	}
	shared->workers[i].pid = pid;
}

static void forget(size_t who)
{
	uint16_t *first = &shared->addresses[0][0];

	for (size_t i = 0; i < NETWORKS * 256; i++)
		let_go(&first[i], who);
	for (size_t i = 0; i < 65536; i++)
		let_go(&shared->ports[i], who);
	first = &shared->names[0][0];
	for (size_t i = 0; i < NETWORKS * WANTED_PORTS; i++)
		let_go(&first[i], who);
}

/* What it had goes with its namespace, as soon as somebody sees that; the next one has its names. */
static void kill_process(size_t i)
{
	bn_ctx *ctx = context_new(TIMEOUT_MS, true);
	char id[32];

	kill(shared->workers[i].pid, SIGSTOP);
	forget(i);
	kill(shared->workers[i].pid, SIGKILL);
	waitpid(shared->workers[i].pid, NULL, 0);
	for (size_t n = 0; n < NETWORKS; n++) {
		snprintf(id, sizeof(id), "w%zu-%zu", i, n % OWN);
		bn_endpoint_detach(ctx, networks[n], id, BN_DETACH_MISSING_OK);
	}
	bn_ctx_free(ctx);
	start_process(i);
}

/* For a while each; the last one goes on when it is over. */
static void disturb(int seconds)
{
	long end = now_ms() + seconds * 1000L, until = 0;
	size_t stopped = MANY;

	while (now_ms() < end && !shared->faults) {
		if (stopped < MANY && now_ms() >= until) {
			kill(shared->workers[stopped].pid, SIGCONT);
			stopped = MANY;
		}
		usleep(20000 + (useconds_t)random() % 100000);
		if (stopped < MANY)
			continue;
		figure_add(FIGURE_STOPS, 1);
		if (random() % 2) {
			kill_process((size_t)random() % MANY);
			continue;
		}
		stopped = (size_t)random() % MANY;
		until = now_ms() + random() % STOPPED_MS;
		__atomic_fetch_add(&shared->workers[stopped].stops, 1, __ATOMIC_SEQ_CST);
		kill(shared->workers[stopped].pid, SIGSTOP);
	}
	if (stopped < MANY)
		kill(shared->workers[stopped].pid, SIGCONT);
}

static bool run_processes(int seconds)
{
	bool well = true;

	for (size_t i = 0; i < MANY; i++)
		start_process(i);
	disturb(seconds);
	shared->over = 1;
	for (size_t i = 0; i < MANY; i++)
		well = wait_for(shared->workers[i].pid, HANGS_S) == 0 && well;
	return well;
}

static bool run_threads(int seconds)
{
	static struct self selves[MANY];
	pthread_t threads[MANY];
	bool well = true;

	for (size_t i = 0; i < MANY; i++) {
		selves[i] = new_self(i);
		if (pthread_create(&threads[i], NULL, work, &selves[i]) != 0)
			abort();
	}
	sleep((unsigned int)seconds);
	shared->over = 1;
	for (size_t i = 0; i < MANY; i++) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += HANGS_S;
		well = pthread_timedjoin_np(threads[i], NULL, &until) == 0 && well;
	}
	return well;
}

/* ---- what comes of it ---- */

static bool fault(const char *what)
{
	tell("# FAULT %s: %s", setting.backend, what);
	return false;
}

static bool check_is_clean(void)
{
	bn_ctx *ctx = context_new(TIMEOUT_MS, true);
	bn_finding_list *list = NULL;
	int r = bn_check(ctx, NULL, NULL, 0, &list);
	bool well = r == 0 || fault(bn_error_message(ctx));

	for (size_t i = 0; r == 0 && i < bn_finding_list_len(list); i++)
		if (bn_finding_severity(bn_finding_list_at(list, i)) > BN_SEVERITY_NOTE)
			well = fault(bn_finding_text(bn_finding_list_at(list, i)));
	bn_finding_list_free(list);
	bn_ctx_free(ctx);
	return well;
}

static bool is_in_order(void)
{
	static char seen[SEEN_MAX];
	const char *alien;
	char what[4096];
	bool well = true;

	if (touch_state() < 0)
		return fault("the next call fails");
	well = check_is_clean();
	look(seen);
	alien = strstr(seen, "not there: ");
	if (!alien)
		alien = strstr(seen, "not planned: ");
	if (alien)
		well = fault(alien);
	if (world_clear(what, sizeof(what)) < 0)
		well = fault(what);
	return well;
}

static bool (*run_all)(int seconds);

static int crowd_seconds(void)
{
	if (getenv("BN_SECONDS"))
		return atoi(getenv("BN_SECONDS"));
	return getenv("BN_SOAK") ? 60 : SECONDS_IN_CI;
}

static bool run_crowd(size_t i)
{
	srandom((unsigned int)(time(NULL) ^ getpid()));
	setting.backend = firewall_backends[i % 2 && firewall_backends[1] ? 1 : 0]->name;
	memset(shared, 0, sizeof(*shared));
	if (!run_all(crowd_seconds()))
		return fault("one of them hangs, or crashed");
	tell("# the longest call took %ld ms: %s", shared->longest_ms, shared->longest);
	return !shared->faults && is_in_order();
}

static void run_with_backends(bool (*run)(int seconds))
{
	size_t failed;

	run_all = run;
	/* one after the other: it is one host that they crowd on */
	setenv("BN_WORKERS", "1", 1);
	failed = workers_run(2, run_crowd);
	figures_tell();
	assert_int_equal(failed, 0);
}

static void test_processes(void **state)
{
	(void)state;
	run_with_backends(run_processes);
}

static void test_threads(void **state)
{
	(void)state;
	run_with_backends(run_threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_threads),
	};

	shared = shared_new(sizeof(*shared));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
