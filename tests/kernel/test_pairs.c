/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each verb stops at each of its steps, another process runs each other verb beside it, and the first
 * goes on. What both have answered, and all that the kernel and the state show, is as if one had run
 * after the other; the second may also have waited in vain. Then all goes away, and nothing stays.
 *
 * A first that is made to fail stops at each step behind that one, and is as if it had not run. Where
 * both fail they cross: the second stops before it is undone, until the first has ended.
 *
 * Families, backends and steps take turns over the pairs, and the pairs over the days; with BN_SOAK=1
 * every pair runs with all of them. BN_PAIRS is a regular expression of the pairs to run, at all steps: full/detach/publish.
 */
#include "../case.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "firewall/firewall.h"

/* of the second, which often is all that it can do: wait; more where that may have been too little */
#define SHORT_MS 150
#define LONGER_MS 2000
#define LONG_MS 20000
#define STANDS_LONG_MS 1500 /* almost what a verb has for undoing */
#define HANGS_S 60
#define WHAT_MAX 4500
#define DAY_S 86400

#ifdef __SANITIZE_ADDRESS__
#define STRIDE 36 /* it is the same code, and takes its time */
#else
#define STRIDE 12
#endif

struct pair {
	enum world world;
	const struct verb *first, *second;
	struct setting setting;
};
static struct pair *pairs;
static size_t pairs_len;

struct outcome {
	struct answer first[ACTS_MAX], second[ACTS_MAX];
	char seen[SEEN_MAX];
	bool stood_long; /* one of them, until its time to undo was over */
};

/* What is known of a pair. */
struct expected {
	bool done;
	struct outcome outcome;
};
#define ORDERS (ACTS_MAX + 1) /* the second comes before an act of the first, or after all */
static struct expected expected[ORDERS][1u << ACTS_MAX];

/* ---- the first stops ---- */

static struct shared {
	char step[64]; /* where */
	uint64_t stood_ms;
	struct answer first[ACTS_MAX], second[ACTS_MAX];
} * shared;
static struct totals {
	size_t steps, in_vain;
} * totals;
struct course {
	const struct verb *verb;
	size_t steps_left; /* until it stops; behind the one that fails, if one does */
	bool failed;
	int stopped[2], go_on[2];
};
static struct course *course; /* of this process */

static int at_step(const char *step)
{
	const char *fails = course->verb->fails;
	char byte;

	/* what the kernel is asked for is a step already */
	if (strncmp(step, "netlink.", 8) == 0)
		return 0;
	if (fails && !course->failed) {
		course->failed = strcmp(step, fails) == 0;
		return course->failed ? -EIO : 0;
	}
	if (course->steps_left-- != 0)
		return 0;
	/* that of the first is told */
	if (!shared->step[0])
		snprintf(shared->step, sizeof(shared->step), "%s", step);
	if (write(course->stopped[1], "", 1) != 1 || read(course->go_on[0], &byte, 1) != 1)
		_exit(1);
	return 0;
}

/* Is that verb one of the two? */
static bool is(const struct pair *pair, const char *name)
{
	return strcmp(pair->first->name, name) == 0 || strcmp(pair->second->name, name) == 0;
}

static bool by_state(const struct pair *pair)
{
	return is(pair, "switch");
}

/* A process that runs a verb, and stops on its way. */
static pid_t fork_course(struct course *own, uint32_t timeout_ms, bool by_state,
			 struct answer answers[static ACTS_MAX])
{
	pid_t pid;

	if (pipe2(own->stopped, O_CLOEXEC) < 0 || pipe2(own->go_on, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid) {
		close(own->stopped[1]);
		close(own->go_on[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(own->stopped[0]);
	close(own->go_on[1]);
	course = own;
	fault_hook = at_step;
	verb_run(own->verb, timeout_ms, by_state, 0, answers);
	_exit(0);
}

/* 1 when it stopped, 0 when it has ended before, -1 when neither. */
static int wait_for_stop(const struct course *other)
{
	struct pollfd pollfd = { .fd = other->stopped[0], .events = POLLIN };

	if (poll(&pollfd, 1, HANGS_S * 1000) <= 0)
		return -1;
	return pollfd.revents & POLLIN ? 1 : 0;
}

/* To its end, if it stopped. */
static bool end_course(struct course *other, pid_t pid, const char *who, char what[static WHAT_MAX])
{
	int status;

	if (write(other->go_on[1], "", 1) < 0 && errno != EPIPE)
		abort();
	close(other->go_on[1]);
	close(other->stopped[0]);
	status = wait_for(pid, HANGS_S);
	if (status)
		snprintf(what, WHAT_MAX, "the %s %s", who, status < 0 ? "hangs" : "crashes");
	return status == 0;
}

/* Both; 1 when the step was there, 0 when the first has fewer, -1 with what. */
static int run_beside(const struct pair *pair, size_t step, uint32_t timeout_ms,
		      char what[static WHAT_MAX])
{
	struct course first = { .verb = pair->first, .steps_left = step };
	bool cross = pair->second->fails;
	struct course second = { .verb = pair->second, .steps_left = cross ? 0 : SIZE_MAX };
	pid_t first_pid, second_pid;
	uint64_t begun;
	bool well = true;
	int r;

	/* one that has ended is told to go on, too */
	signal(SIGPIPE, SIG_IGN);
	first_pid = fork_course(&first, LONG_MS, by_state(pair), shared->first);
	r = wait_for_stop(&first);
	begun = clock_now_ms();
	if (r > 0) {
		second_pid = fork_course(&second, timeout_ms, by_state(pair), shared->second);
		wait_for_stop(&second);
		if (cross)
			well = end_course(&first, first_pid, "first", what);
		shared->stood_ms = clock_now_ms() - begun;
		well = end_course(&second, second_pid, "second", what) && well;
	}
	if (r <= 0 || !cross)
		well = end_course(&first, first_pid, "first", what) && well;
	return well ? r : -1;
}

/* ---- one after the other ---- */

static char prepared[SEEN_MAX]; /* the pair's world, "" when it is not there */

static int clear(char what[static WHAT_MAX])
{
	prepared[0] = '\0';
	return world_clear(what, WHAT_MAX);
}

static bool prepare(const struct pair *pair)
{
	if (prepared[0])
		return true;
	if (world_build(pair->world) < 0)
		return false;
	look(prepared);
	return true;
}

/* One that fails has done nothing, but that it has made rules again that were flushed. */
static void run_alone(const struct pair *pair, const struct verb *verb, unsigned int skip,
		      struct answer answers[static ACTS_MAX])
{
	struct course own = { .verb = verb, .steps_left = SIZE_MAX };

	if (verb->r && pair->world != WORLD_FLUSHED) {
		answers[0] = (struct answer){ .r = verb->r, .reason = BN_REASON_KERNEL };
		return;
	}
	course = &own;
	fault_hook = verb->r ? at_step : NULL;
	verb_run(verb, LONG_MS, by_state(pair), skip, answers);
	fault_hook = NULL;
}

static void compute_serial(const struct pair *pair, size_t position, unsigned int skip,
			   struct outcome *outcome)
{
	unsigned int before = (1u << position) - 1;
	char what[WHAT_MAX];

	if (!prepare(pair))
		return;
	run_alone(pair, pair->first, ~before, outcome->first);
	run_alone(pair, pair->second, skip, outcome->second);
	run_alone(pair, pair->first, before, outcome->first);
	look(outcome->seen);
	if (world_restore(pair->world, outcome->seen, prepared) < 0 && clear(what) < 0)
		tell("# FAULT %s: %s and %s, one after the other (%zu): %s",
		     world_names[pair->world], pair->first->name, pair->second->name, position,
		     what);
}

static const struct outcome *serial(const struct pair *pair, size_t position, unsigned int skip)
{
	struct expected *entry = &expected[position][skip];

	if (!entry->done)
		compute_serial(pair, position, skip, &entry->outcome);
	entry->done = true;
	return &entry->outcome;
}

/* ---- compared ---- */

static bool same_answer(const struct answer *a, const struct answer *b)
{
	return a->r == b->r && a->reason == b->reason && strcmp(a->text, b->text) == 0;
}

static bool is_out_of_time(const struct outcome *outcome, const struct answer *answer)
{
	return outcome->stood_long && left_open(answer);
}

/* a: beside each other; vain: acts of the second whose answer is that another was in the way. */
static bool same_answers(const struct pair *pair, unsigned int vain, const struct outcome *a,
			 const struct outcome *b)
{
	for (size_t i = 0; i < acts_of(pair->first); i++)
		if (!same_answer(&a->first[i], &b->first[i]) && !is_out_of_time(a, &a->first[i]))
			return false;
	for (size_t i = 0; i < acts_of(pair->second); i++)
		if (!(vain & 1u << i) && !same_answer(&a->second[i], &b->second[i]) &&
		    !(pair->second->fails && is_out_of_time(a, &a->second[i])))
			return false;
	return true;
}

static void print_answers(FILE *out, const char *who, const struct verb *verb,
			  const struct answer *answers)
{
	for (size_t i = 0; i < acts_of(verb); i++)
		fprintf(out, "\n    %s: %d (%s) %s%s", who, answers[i].r,
			bn_reason_name(answers[i].reason), answers[i].message, answers[i].text);
}

static void report(const struct pair *pair, size_t step, const struct outcome *outcome,
		   const char *what)
{
	static const char *const families[] = { "ipv4", "ipv6", "dual" };
	char text[6000] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	if (!out)
		abort();
	fprintf(out, "# FAULT %s/%s/%s %s %s step %zu %s", world_names[pair->world],
		pair->first->name, pair->second->name, pair->setting.backend,
		families[pair->setting.family], step, shared->step);
	print_answers(out, "first", pair->first, outcome->first);
	print_answers(out, "second", pair->second, outcome->second);
	fprintf(out, "\n    %s", what);
	fclose(out);
	tell("%s", text);
}

/* The orders, for whoever reads the report. */
static void print_orders(const struct pair *pair, unsigned int skip, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");

	fprintf(out, "no order of the two gives these answers, but:");
	for (size_t i = 0; i <= acts_of(pair->first); i++) {
		const struct outcome *order = serial(pair, i, skip);

		fprintf(out, "\n    after %zu of the first:", i);
		print_answers(out, "  first", pair->first, order->first);
		print_answers(out, "  second", pair->second, order->second);
	}
	fclose(out);
	text[size - 1] = '\0';
}

/* The acts of the second that were in vain, or those of them that the next call finishes. */
static unsigned int acts_in_vain(const struct pair *pair, const struct outcome *outcome, bool open)
{
	unsigned int acts = 0;

	for (size_t i = 0; i < acts_of(pair->second); i++)
		if (in_vain(&outcome->second[i]) && (!open || left_open(&outcome->second[i])))
			acts |= 1u << i;
	return acts;
}

static bool sources_stay; /* after the last step */

/* As if the second, but for the acts in skip, had come before or after the first? */
static bool is_serial(const struct pair *pair, const struct outcome *outcome, unsigned int skip,
		      char what[static WHAT_MAX])
{
	unsigned int vain = acts_in_vain(pair, outcome, false);
	const struct outcome *order;

	for (size_t i = 0; i <= acts_of(pair->first); i++) {
		order = serial(pair, i, skip);
		if (!same_answers(pair, vain, outcome, order))
			continue;
		if (strcmp(outcome->seen, order->seen) == 0)
			return true;
		sources_stay |= same_but_sources(outcome->seen, order->seen);
		strcpy(what, "what is there afterwards differs:");
		differences(order->seen, outcome->seen, what + strlen(what),
			    WHAT_MAX - strlen(what));
	}
	return false;
}

static bool judge(const struct pair *pair, const struct outcome *outcome,
		  char what[static WHAT_MAX])
{
	unsigned int vain = acts_in_vain(pair, outcome, false);
	unsigned int open = acts_in_vain(pair, outcome, true);

	what[0] = '\0';
	sources_stay = false;
	if (is_serial(pair, outcome, vain, what) ||
	    (open && is_serial(pair, outcome, vain & ~open, what)))
		return true;
	if (!what[0])
		print_orders(pair, vain, what, WHAT_MAX);
	return false;
}

/* ---- a pair ---- */

/* What was to come of it came, and it leaves nothing to the next call. */
static bool is_done(const struct verb *verb, const struct answer *answers)
{
	for (size_t i = 0; i < acts_of(verb); i++)
		if (answers[i].r < 0 && (answers[i].r != verb->r || left_open(&answers[i])))
			return false;
	return true;
}

/* 1 when all is well, 0 when the first has no such step, -1 for a fault. */
static int run_step(const struct pair *pair, size_t step, uint32_t timeout_ms,
		    struct outcome *outcome, char what[static WHAT_MAX])
{
	unsigned int vain;
	int r;

	if (!prepare(pair)) {
		strcpy(what, "it can't be prepared");
		return -1;
	}
	memset(shared, 0, sizeof(*shared));
	r = run_beside(pair, step, timeout_ms, what);
	memcpy(outcome->first, shared->first, sizeof(outcome->first));
	memcpy(outcome->second, shared->second, sizeof(outcome->second));
	outcome->stood_long = shared->stood_ms >= STANDS_LONG_MS;
	vain = acts_in_vain(pair, outcome, false);
	/* what could not be undone in time is left to whoever comes next */
	if ((!is_done(pair->first, outcome->first) || !is_done(pair->second, outcome->second)) &&
	    touch_state() < 0 && r > 0) {
		strcpy(what, "the next call fails");
		r = -1;
	}
	if (r == 0 && step == 0) {
		strcpy(what, "the first stops nowhere");
		r = -1;
	}
	look(outcome->seen);
	if (world_restore(pair->world, outcome->seen, prepared) < 0 && clear(what) < 0)
		r = -1;
	if (r <= 0)
		return r;
	__atomic_fetch_add(&totals->steps, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&totals->in_vain, vain != 0, __ATOMIC_RELAXED);
	return judge(pair, outcome, what) ? 1 : -1;
}

/* A second that had too little time says little: once more, with more of it. */
static int run_step_again(const struct pair *pair, size_t step)
{
	static struct outcome outcome;
	char what[WHAT_MAX];
	int r;

	r = run_step(pair, step, SHORT_MS, &outcome, what);
	if (r < 0 && (acts_in_vain(pair, &outcome, false) || sources_stay))
		r = run_step(pair, step, LONGER_MS, &outcome, what);
	if (r < 0)
		report(pair, step, &outcome, what);
	return r;
}

static bool run_pair(size_t i)
{
	const struct pair *pair = &pairs[i];
	bool all = !is_timed() && (getenv("BN_SOAK") || getenv("BN_PAIRS"));
	size_t stride = all ? 1 : STRIDE, step = i % stride, faults = 0;
	char what[WHAT_MAX];
	int r = 1;

	if (time_is_over())
		return true;

	if (!shared)
		shared = shared_new(sizeof(*shared));
	setting = pair->setting;
	links_stay = is(pair, "detach-quick");
	for (size_t order = 0; order < ORDERS; order++)
		for (size_t skip = 0; skip < 1u << ACTS_MAX; skip++)
			expected[order][skip].done = false;
	for (; step < STEPS_MAX && r != 0 && !time_is_over(); step += stride) {
		r = run_step_again(pair, step);
		faults += r < 0;
		/* a step that is not reached ends it, unless each one fails */
		if (r < 0 && !shared->step[0])
			break;
	}
	return (!prepared[0] || clear(what) == 0) && faults == 0;
}

/* ---- all pairs of a world ---- */

static void add_pairs(enum world world, size_t first, size_t second, const regex_t *wanted)
{
	bool soak = getenv("BN_SOAK") || is_timed();
	size_t backends = firewall_backends[1] ? 2 : 1, settings = backends * FAMILIES;
	char name[128];

	snprintf(name, sizeof(name), "%s/%s/%s", world_names[world], verbs[first].name,
		 verbs[second].name);
	if (wanted && regexec(wanted, name, 0, NULL, 0) != 0)
		return;
	/* where one fails it is the first, unless both come to nothing */
	if (verbs[second].fails && (!verbs[first].r || !verbs[second].r))
		return;
	/* what comes to nothing may be seen for a while */
	if (world == WORLD_EMPTY && verbs[first].r && strcmp(verbs[second].name, "list-rules") == 0)
		return;
	if (backends == 1 &&
	    (strcmp(verbs[first].name, "switch") == 0 || strcmp(verbs[second].name, "switch") == 0))
		return;
	/* all of them take twenty minutes: a sixth of them each day */
	if (!soak && !wanted && (first + 2 * second) % 6 != (size_t)(time(NULL) / DAY_S) % 6)
		return;
	for (size_t i = 0; i < (soak ? settings : 1); i++) {
		size_t turn = (first + second + i) % settings;

		pairs[pairs_len++] = (struct pair){
			.world = world,
			.first = &verbs[first],
			.second = &verbs[second],
			.setting = { firewall_backends[turn / FAMILIES]->name, turn % FAMILIES },
		};
	}
}

/* So that the time is not over before the same ones. */
static void shuffle(void)
{
	for (size_t i = pairs_len; i > 1; i--) {
		size_t with = (size_t)random() % i;
		struct pair last = pairs[i - 1];

		pairs[i - 1] = pairs[with];
		pairs[with] = last;
	}
}

static void run_world(enum world world)
{
	const char *pattern = getenv("BN_PAIRS");
	size_t failed;
	regex_t wanted;

	if (pattern)
		assert_int_equal(regcomp(&wanted, pattern, REG_EXTENDED | REG_NOSUB), 0);
	pairs = calloc(verbs_len * verbs_len * 2 * FAMILIES, sizeof(*pairs));
	assert_non_null(pairs);
	pairs_len = 0;
	for (size_t first = 0; first < verbs_len; first++)
		for (size_t second = 0; second < verbs_len; second++)
			if (verbs[first].worlds & verbs[second].worlds & IN(world) &&
			    acts_of(&verbs[first]) == 1)
				add_pairs(world, first, second, pattern ? &wanted : NULL);
	if (pattern)
		regfree(&wanted);
	totals = shared_new(sizeof(*totals));
	time_begin(WORLDS);
	if (is_timed())
		shuffle();
	failed = workers_run(pairs_len, run_pair);
	figure_add(FIGURE_PAIRS, totals->steps);
	figures_tell();
	tell("# %s: %zu of %zu pairs have faults; %zu steps, at %zu the second waited in vain",
	     world_names[world], failed, pairs_len, totals->steps, totals->in_vain);
	shared_free(totals, sizeof(*totals));
	free(pairs);
	assert_int_equal(failed, 0);
}

static void test_first_networks(void **state)
{
	(void)state;
	run_world(WORLD_EMPTY);
}

static void test_last_network(void **state)
{
	(void)state;
	run_world(WORLD_BARE);
}

static void test_networks_in_use(void **state)
{
	(void)state;
	run_world(WORLD_FULL);
}

static void test_rules_were_flushed(void **state)
{
	(void)state;
	run_world(WORLD_FLUSHED);
}

static void test_namespace_is_lost(void **state)
{
	(void)state;
	run_world(WORLD_LOST);
}

static void test_networks_in_one_namespace(void **state)
{
	(void)state;
	run_world(WORLD_JOINED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_networks),
		cmocka_unit_test(test_last_network),
		cmocka_unit_test(test_networks_in_use),
		cmocka_unit_test(test_rules_were_flushed),
		cmocka_unit_test(test_namespace_is_lost),
		cmocka_unit_test(test_networks_in_one_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
