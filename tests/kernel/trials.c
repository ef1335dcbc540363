/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trials.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firewall/firewall.h"

#define DAY_S 86400

static struct trial trials[512];
static size_t trials_len;
static bool (*trial_job)(const struct trial *trial);

bool is_soak(void)
{
	return getenv("BN_SOAK") != NULL;
}

size_t first_of(size_t stride)
{
	return (is_timed() ? (size_t)random() : (size_t)(time(NULL) / DAY_S)) % stride;
}

static bool is_switch(const struct verb *verb)
{
	return strcmp(verb->name, "switch") == 0;
}

/* ---- all verbs ---- */

static void add_trials(enum world world, const struct verb *verb, size_t *turn)
{
	size_t backends = firewall_backends[1] ? 2 : 1, settings = backends * FAMILIES;

	if (backends == 1 && is_switch(verb))
		return;
	for (size_t i = 0; i < (is_soak() || is_timed() ? settings : 1); i++) {
		size_t which = (*turn + i) % settings;

		trials[trials_len++] = (struct trial){
			.world = world,
			.verb = verb,
			.setting = { firewall_backends[which % backends]->name, which % FAMILIES },
		};
	}
	++*turn;
}

/* In another order each round, so that the time is not over before the same ones. */
static void shuffle(void)
{
	for (size_t i = trials_len; i > 1; i--) {
		size_t with = (size_t)random() % i;
		struct trial last = trials[i - 1];

		trials[i - 1] = trials[with];
		trials[with] = last;
	}
}

static bool run_trial(size_t i)
{
	if (time_is_over())
		return true;
	srandom((unsigned int)(getpid() ^ time(NULL)));
	setting = trials[i].setting;
	links_stay = strcmp(trials[i].verb->name, "detach-quick") == 0;
	return trial_job(&trials[i]);
}

void trials_run(bool (*job)(const struct trial *trial))
{
	const char *pattern = getenv("BN_TRIALS");
	size_t turn = 0, failed;
	char name[64];
	regex_t wanted;

	if (pattern)
		assert_int_equal(regcomp(&wanted, pattern, REG_EXTENDED | REG_NOSUB), 0);
	trials_len = 0;
	for (enum world world = 0; world < WORLDS; world++)
		for (size_t i = 0; i < verbs_len; i++) {
			snprintf(name, sizeof(name), "%s/%s", world_names[world], verbs[i].name);
			if (verbs[i].alone & IN(world) &&
			    (!pattern || regexec(&wanted, name, 0, NULL, 0) == 0))
				add_trials(world, &verbs[i], &turn);
		}
	if (pattern)
		regfree(&wanted);
	trial_job = job;
	time_begin(1);
	do {
		if (is_timed())
			shuffle();
		failed = workers_run(trials_len, run_trial);
	} while (is_timed() && !failed && !time_is_over());
	figures_tell();
	if (failed)
		tell("# %zu of %zu verbs have faults", failed, trials_len);
	assert_int_equal(failed, 0);
}

void trial_verb(const struct trial *trial, uint32_t timeout_ms, struct answer *answer)
{
	struct answer answers[ACTS_MAX];

	verb_run(trial->verb, timeout_ms, is_switch(trial->verb), 0, answers);
	*answer = answers[0];
}

/* ---- before, and after ---- */

static char before[SEEN_MAX], after[SEEN_MAX], seen[SEEN_MAX];
static char rebuilt[SEEN_MAX]; /* the rules are back, and no more: what a flush took is no loss */
static char
	finished[SEEN_MAX]; /* a quick detach whose link was not left to its namespace, but deleted */

/* What is there after a verb, which begins where the trial does. */
static int look_after(const struct trial *trial, const struct verb *verb, char *seen_after)
{
	const struct trial other = { trial->world, verb, trial->setting };
	struct answer answer;
	char what[WHAT_MAX];

	if (world_build(trial->world) < 0)
		return -1;
	trial_verb(&other, PATIENCE_MS, &answer);
	look(seen_after);
	if (answer.r < 0) {
		trial_fault(&other, &answer, "fails by itself");
		return -1;
	}
	if (world_clear(what, sizeof(what)) < 0) {
		trial_fault(&other, &answer, "%s", what);
		return -1;
	}
	return 0;
}

int trial_begin(const struct trial *trial)
{
	char what[WHAT_MAX];

	rebuilt[0] = finished[0] = '\0';
	if (trial->world == WORLD_FLUSHED) {
		if (world_build(WORLD_FULL) < 0)
			return -1;
		look(rebuilt);
		if (world_clear(what, sizeof(what)) < 0)
			return -1;
	}
	if (links_stay && look_after(trial, verb_find("detach"), finished) < 0)
		return -1;
	if (look_after(trial, trial->verb, after) < 0 || world_build(trial->world) < 0)
		return -1;
	look(before);
	return 0;
}

bool trial_left_open(const struct trial *trial, const struct answer *answer)
{
	return left_open(answer) || is_switch(trial->verb);
}

enum standing trial_look(char what[static WHAT_MAX])
{
	char to_after[WHAT_MAX];

	look(seen);
	what[0] = '\0';
	if (strcmp(seen, before) == 0 || strcmp(seen, rebuilt) == 0)
		return STANDS_BEFORE;
	if (strcmp(seen, after) == 0 || strcmp(seen, finished) == 0)
		return STANDS_AFTER;
	strcpy(what, "almost as before:");
	strcpy(to_after, "almost as after:");
	if (differences(before, seen, what + strlen(what), WHAT_MAX - strlen(what)) >=
	    differences(after, seen, to_after + strlen(to_after), WHAT_MAX - strlen(to_after)))
		strcpy(what, to_after);
	return STANDS_BETWEEN;
}

bool trial_goes_on(const struct trial *trial)
{
	return strcmp(trial->verb->name, "repair") == 0 ||
	       strcmp(trial->verb->name, "repair-unknown") == 0;
}

int trial_recover(const struct trial *trial, size_t turn, char what[static WHAT_MAX])
{
	/* a repair collects what lost its namespace, which is neither before nor after */
	bool repairs = trial_goes_on(trial) || (turn % 2 && trial->world != WORLD_LOST);

	figure_add(repairs ? FIGURE_REPAIRS : FIGURE_NEXT_CALLS, 1);
	strcpy(what, "the next call fails");
	return repairs ? repair_state(what, WHAT_MAX) : touch_state();
}

enum standing trial_visit(char what[static WHAT_MAX])
{
	struct answer answers[ACTS_MAX];

	if (!same_but_sources(seen, after) && !same_but_sources(seen, finished))
		return STANDS_BETWEEN;
	verb_run(verb_find("visit"), PATIENCE_MS, true, 0, answers);
	if (trial_look(what) == STANDS_BETWEEN && !(links_stay && same_but_defaults(seen, after)))
		return STANDS_BETWEEN;
	return STANDS_AFTER;
}

enum standing trial_look_past_settings(void)
{
	if (same_but_settings(seen, before))
		return STANDS_BEFORE;
	return same_but_settings(seen, after) ? STANDS_AFTER : STANDS_BETWEEN;
}

int trial_again(const struct trial *trial, char what[static WHAT_MAX])
{
	int r;

	if (world_restore(trial->world, seen, before) == 0)
		return 0;
	r = world_clear(what, WHAT_MAX);
	return world_build(trial->world) < 0 ? -1 : r;
}

bool trial_again_unseen(const struct trial *trial)
{
	char what[WHAT_MAX];

	trial_look(what);
	return trial_again(trial, what) == 0 || trial_fault(trial, NULL, "%s", what);
}

int trial_end(char what[static WHAT_MAX])
{
	return world_clear(what, WHAT_MAX);
}

bool trial_fault(const struct trial *trial, const struct answer *answer, const char *format, ...)
{
	static const char *const families[] = { "ipv4", "ipv6", "dual" };
	char text[WHAT_MAX + 512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	tell("# FAULT %s/%s %s %s: %d (%s) %s\n    %s", world_names[trial->world],
	     trial->verb->name, trial->setting.backend, families[trial->setting.family],
	     answer ? answer->r : 0, answer ? bn_reason_name(answer->reason) : "",
	     answer ? answer->message : "", text);
	return false;
}
