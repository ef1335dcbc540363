/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* a call that is not meant to fail */
#define TRIES 10
#define OUT_OF_TIME "can't clean up yet: the time limit was over"

struct setting setting;
bool links_stay;
static char empty[SEEN_MAX];

/* ---- the host of a worker ---- */

const char *sandbox_path(size_t i)
{
	static char path[32];

	snprintf(path, sizeof(path), "/run/netns/s%zu", i);
	return path;
}

static int make_sandbox(size_t i)
{
	int fd = open(sandbox_path(i), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);

	if (fd < 0 || unshare(CLONE_NEWNET) < 0)
		return -1;
	close(fd);
	return mount("/proc/self/ns/net", sandbox_path(i), NULL, MS_BIND, NULL);
}

/* /run holds the lock of iptables, which would have the workers wait for each other. */
static int make_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0 || mkdir("/run/netns", 0755) < 0)
		return -1;
	for (size_t i = 0; i < SANDBOXES; i++)
		if (make_sandbox(i) < 0)
			return -1;
	return unshare(CLONE_NEWNET);
}

void host_remove(void)
{
	for (size_t i = 0; i < SANDBOXES; i++)
		umount2(sandbox_path(i), MNT_DETACH);
	umount2("/run", MNT_DETACH);
}

int host_make(void)
{
	if (make_mounts() < 0 ||
	    system("ip link set lo up; ip link add " HOST_BRIDGE " up type bridge") != 0)
		return -1;
	empty[0] = '\0';
	forwarding_restore(empty);
	if (touch_state() < 0)
		return -1;
	look(empty);
	return 0;
}

bn_ctx *context_new(uint32_t timeout_ms, bool by_state)
{
	bn_ctx *ctx;

	if (bn_ctx_new(0, &ctx) < 0)
		return NULL;
	bn_ctx_set_state_dir(ctx, STATE_DIR);
	bn_ctx_set_option(ctx, "persistent-dir", KEPT_DIR);
	bn_ctx_set_timeout_ms(ctx, timeout_ms);
	if (!by_state)
		bn_ctx_set_backend(ctx, setting.backend);
	return ctx;
}

static void note_lateness(void *is_late, int level, const char *message)
{
	(void)level;
	if (strncmp(message, OUT_OF_TIME, strlen(OUT_OF_TIME)) == 0)
		*(bool *)is_late = true;
}

/* What the dead left a call takes up for 2 s at most (ops/recover.c), which a machine that does other
 * things may take for a part of it: then the next one goes on. */
int touch_state(void)
{
	bool is_late = true;
	int r = 0;

	for (int i = 0; i < TRIES && is_late && r == 0; i++) {
		bn_ctx *ctx = context_new(PATIENCE_MS, true);

		is_late = false;
		bn_ctx_set_log(ctx, note_lateness, &is_late);
		r = bn_network_delete(ctx, "no-such-network", BN_DELETE_MISSING_OK);
		if (r < 0)
			tell("the next call fails: %s", bn_error_message(ctx));
		bn_ctx_free(ctx);
	}
	return r;
}

static int repair_once(char *what, size_t size, bool *is_late)
{
	bn_ctx *ctx = context_new(PATIENCE_MS, true);
	bn_finding_list *list = NULL;
	int r;

	*is_late = false;
	bn_ctx_set_log(ctx, note_lateness, is_late);
	r = bn_repair(ctx, NULL, NULL, 0, &list);
	if (r < 0)
		snprintf(what, size, "repair fails: %s", bn_error_message(ctx));
	for (size_t i = 0; r == 0 && i < bn_finding_list_len(list); i++) {
		const bn_finding *finding = bn_finding_list_at(list, i);

		if (bn_finding_repaired(finding) ||
		    bn_finding_severity(finding) == BN_SEVERITY_NOTE)
			continue;
		snprintf(what, size, "repair leaves: %s", bn_finding_text(finding));
		r = -EIO;
	}
	bn_finding_list_free(list);
	bn_ctx_free(ctx);
	return r;
}

int repair_state(char *what, size_t size)
{
	bool is_late = true;
	int r = -1;

	for (int i = 0; i < TRIES && r < 0 && is_late; i++)
		r = repair_once(what, size, &is_late);
	return r;
}

/* ---- verbs by themselves ---- */

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verbs_len; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	abort();
}

size_t acts_of(const struct verb *verb)
{
	size_t len = 0;

	while (len < ACTS_MAX && verb->acts[len])
		len++;
	return len;
}

bool in_vain(const struct answer *answer)
{
	return answer->r == -ETIMEDOUT || (answer->r == -EBUSY && answer->reason == BN_REASON_BUSY);
}

bool left_open(const struct answer *answer)
{
	return answer->r < 0 && (answer->reason == BN_REASON_UNKNOWN_OUTCOME ||
				 strstr(answer->message, "; the next call that changes") != NULL);
}

void verb_run(const struct verb *verb, uint32_t timeout_ms, bool by_state, unsigned int skip,
	      struct answer answers[static ACTS_MAX])
{
	bn_ctx *ctx;

	for (size_t i = 0; i < acts_of(verb); i++) {
		struct answer *answer = &answers[i];

		if (skip & 1u << i)
			continue;
		memset(answer, 0, sizeof(*answer));
		ctx = context_new(timeout_ms, by_state);
		if (!ctx) {
			answer->r = -ENOMEM;
			strcpy(answer->message, "no context, for want of memory");
			continue;
		}
		answer->r = verb->acts[i](ctx, answer->text);
		if (answer->r < 0) {
			answer->reason = bn_error_reason(ctx);
			snprintf(answer->message, sizeof(answer->message), "%s",
				 bn_error_message(ctx));
		}
		bn_ctx_free(ctx);
	}
}

/* ---- what is there when a verb begins ---- */

const char *const world_names[WORLDS] = { "empty", "bare", "full", "flushed", "lost", "joined" };

/* In one context, for it is done often. */
static int do_verbs(const char *const *names)
{
	bn_ctx *ctx = context_new(PATIENCE_MS, false);
	char text[ANSWER_MAX] = "";
	int r = 0;

	for (; *names && r == 0; names++) {
		r = verb_find(*names)->acts[0](ctx, text);
		if (r < 0)
			tell("can't be prepared: %s: %s", *names, bn_error_message(ctx));
	}
	bn_ctx_free(ctx);
	return r;
}

static int flush_rules(void)
{
	return system("nft flush ruleset; for program in iptables-legacy ip6tables-legacy; do "
		      "for table in raw mangle nat filter; do "
		      "$program -t $table -F && $program -t $table -X; done; done");
}

/* The kernel takes the link of a namespace away in the background. */
static int await_links(const char *count)
{
	char command[96];

	snprintf(command, sizeof(command), "test $(ip -br link show type veth | grep -c ^bv) = %s",
		 count);
	for (int i = 0; i < 3000; i++, usleep(10 * 1000))
		if (system(command) == 0)
			return 0;
	tell("can't be prepared: a link outlives its namespace");
	return -1;
}

/* In a process of its own, whose namespace it is made in. */
static int build_lost(void)
{
	static const char *const lost[] = { "attach-lost", NULL };
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -1;
	if (pid == 0)
		_exit(make_sandbox(LOST_SANDBOX) < 0);
	r = wait_for(pid, 20) == 0 ? do_verbs(lost) : -1;
	umount2(sandbox_path(LOST_SANDBOX), MNT_DETACH);
	unlink(sandbox_path(LOST_SANDBOX));
	return r < 0 ? r : await_links("2");
}

static int build(enum world world)
{
	static const char *const bare[] = { "create", NULL };
	static const char *const full[] = { "create",    "create-spare",  "attach-web",
					    "attach-db", "publish-range", NULL };
	static const char *const joined[] = { "create",       "create-spare",  "create-side",
					      "attach-first", "attach-second", NULL };

	switch (world) {
	case WORLD_EMPTY:
	case WORLDS:
		return 0;
	case WORLD_BARE:
		return do_verbs(bare);
	case WORLD_FULL:
		return do_verbs(full);
	case WORLD_FLUSHED:
		return do_verbs(full) < 0 ? -1 : flush_rules();
	case WORLD_LOST:
		return do_verbs(full) < 0 ? -1 : build_lost();
	case WORLD_JOINED:
		return do_verbs(joined);
	}
	return -1;
}

/* A half of it would be in the way of the next. */
int world_build(enum world world)
{
	char what[1024];
	int r = build(world);

	if (r < 0) {
		tell("once more: world %s", world_names[world]);
		world_clear(what, sizeof(what));
		r = build(world);
	}
	return r;
}

/* The lines that begin so, which stand together. */
static bool same_part(const char *a, const char *b, const char *prefix)
{
	size_t len = strlen(prefix);

	a = strstr(a, prefix);
	b = strstr(b, prefix);
	if (!a || !b)
		return a == b;
	for (; strncmp(a, prefix, len) == 0 && strncmp(b, prefix, len) == 0;) {
		size_t line = strcspn(a, "\n") + 1;

		if (strncmp(a, b, line) != 0)
			return false;
		a += line;
		b += line;
	}
	return strncmp(a, prefix, len) != 0 && strncmp(b, prefix, len) != 0;
}

static int remove_added(bn_ctx *ctx, const char *seen)
{
	static const char *const networks[] = { "back", "bridge", "adopted", "kept" };
	static const char *const endpoints[][2] = {
		{ "front", "new" },  { "front", "served" }, { "front", "found" },
		{ "side", "extra" }, { "side", "better" },  { "front", "limited" },
	};
	char row[64];
	int r = 0;

	for (size_t i = 0; i < sizeof(networks) / sizeof(*networks) && r == 0; i++) {
		snprintf(row, sizeof(row), "row network|%s|0|", networks[i]);
		if (strstr(seen, row))
			r = bn_network_delete(ctx, networks[i], BN_DELETE_ENDPOINTS);
	}
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints) && r == 0; i++) {
		snprintf(row, sizeof(row), "row endpoint|%s|%s|", endpoints[i][0], endpoints[i][1]);
		if (strstr(seen, row))
			r = bn_endpoint_detach(ctx, endpoints[i][0], endpoints[i][1], 0);
	}
	return r;
}

static int put_back_endpoint(bn_ctx *ctx, const char *network, const char *id,
			     const char *const *attach, const char *seen, const char *prepared)
{
	char row[64], port[64];
	int r;

	snprintf(row, sizeof(row), "row endpoint|%s|%s|", network, id);
	snprintf(port, sizeof(port), "row port|%s|", id);
	if (same_part(seen, prepared, row) && same_part(seen, prepared, port))
		return 0;
	r = bn_endpoint_detach(ctx, network, id, BN_DETACH_MISSING_OK);
	return r < 0 ? r : do_verbs(attach);
}

static int put_back_joined(bn_ctx *ctx, const char *seen, const char *prepared)
{
	static const char *const spare[] = { "create-spare", NULL };
	static const char *const first[] = { "attach-first", NULL };
	static const char *const second[] = { "attach-second", NULL };
	int r = 0;

	/* it may have the ports of the other */
	if (!same_part(seen, prepared, "row port|twin|"))
		r = bn_endpoint_detach(ctx, "spare", "twin", BN_DETACH_MISSING_OK);
	if (r == 0 && !same_part(seen, prepared, "row network|spare|"))
		r = do_verbs(spare);
	if (r == 0)
		r = put_back_endpoint(ctx, "front", "web", first, seen, prepared);
	if (r == 0)
		r = put_back_endpoint(ctx, "spare", "twin", second, seen, prepared);
	return r;
}

static int put_back(bn_ctx *ctx, enum world world, const char *seen, const char *prepared)
{
	static const char *const spare[] = { "create-spare", NULL };
	static const char *const web[] = { "attach-web", "publish-range", NULL };
	static const char *const db[] = { "attach-db", NULL };
	int r = 0;

	if (!same_part(seen, prepared, "row network|spare|"))
		r = do_verbs(spare);
	if (r == 0)
		r = put_back_endpoint(ctx, "front", "web", web, seen, prepared);
	if (r == 0)
		r = put_back_endpoint(ctx, "front", "db", db, seen, prepared);
	if (r == 0 && world == WORLD_LOST &&
	    !same_part(seen, prepared, "row endpoint|front|lost|")) {
		r = bn_endpoint_detach(ctx, "front", "lost", BN_DETACH_MISSING_OK);
		if (r == 0)
			r = build_lost();
	}
	return r == 0 && world == WORLD_FLUSHED ? flush_rules() : r;
}

int world_restore(enum world world, const char *seen, const char *prepared)
{
	static const char *const back[] = { "update-back", NULL };
	static char now[SEEN_MAX];
	bn_ctx *ctx;
	int r;

	if (strcmp(seen, prepared) == 0)
		return 0;
	if (world == WORLD_EMPTY || links_stay || !strstr(seen, "row network|front|0|"))
		return -1;
	ctx = context_new(PATIENCE_MS, true);
	r = bn_network_delete(ctx, "no-such-network", BN_DELETE_MISSING_OK);
	/* and a move is not undone by another */
	if (r == 0 && strcmp(bn_ctx_backend(ctx), setting.backend) != 0)
		r = -1;
	if (r == 0 && !same_part(seen, prepared, "row network|front|"))
		r = do_verbs(back);
	if (r == 0)
		r = remove_added(ctx, seen);
	if (r == 0 && world == WORLD_JOINED)
		r = put_back_joined(ctx, seen, prepared);
	else if (r == 0 && world != WORLD_BARE)
		r = put_back(ctx, world, seen, prepared);
	bn_ctx_free(ctx);
	if (r < 0)
		return -1;
	forwarding_restore(prepared);
	look(now);
	return strcmp(now, prepared) == 0 ? 0 : -1;
}

int world_clear(char *what, size_t size)
{
	static const char *const names[] = { "front",  "back",    "spare", "side",
					     "bridge", "adopted", "kept" };
	static char seen[SEEN_MAX];
	bn_ctx *ctx = context_new(PATIENCE_MS, true);
	int r = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && r == 0; i++) {
		r = bn_network_delete(ctx, names[i], BN_DELETE_MISSING_OK | BN_DELETE_ENDPOINTS);
		if (r < 0)
			snprintf(what, size, "%s can't be deleted: %s", names[i],
				 bn_error_message(ctx));
	}
	bn_ctx_free(ctx);
	if (links_stay)
		system("for name in s0 s1 s2 s3; do for link in eth0 eth1; do "
		       "ip -n $name link delete $link; done; done 2>/dev/null");
	if (r == 0) {
		look(seen);
		if (strcmp(seen, empty) == 0)
			return 0;
		snprintf(what, size, "when all is taken away, this stays:");
		differences(empty, seen, what + strlen(what), size - strlen(what));
	}
	host_remove();
	if (host_make() < 0)
		abort();
	return -1;
}
