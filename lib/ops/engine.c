/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "ops/ops.h"
#include "ops/rules.h"

#define UNDO_MS 10000   /* undoing takes milliseconds, but must not hang */

void engine_log(struct engine *engine, int level, const char *format, ...)
{
	char message[512];
	va_list arguments;

	if (!engine->log)
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	engine->log(engine->log_userdata, level, message);
}

static deadline_ms deadline_after(uint32_t timeout_ms)
{
	struct timespec now;

	if (!timeout_ms)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + timeout_ms;
}

static void set_deadline(struct engine *engine, deadline_ms deadline)
{
	engine->deadline = deadline;
	if (engine->store)
		store_set_deadline(engine->store, deadline);
	if (engine->link)
		link_set_deadline(engine->link, deadline);
	if (engine->firewall)
		engine->firewall->deadline = deadline;
}

bool engine_nap(const struct engine *engine)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };

	if (engine->deadline && deadline_after(1) > engine->deadline)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

void engine_undo_begin(struct engine *engine, struct error *ret_cause)
{
	*ret_cause = engine->error;
	set_deadline(engine, deadline_after(UNDO_MS));
}

void engine_undo_end(struct engine *engine, const struct error *cause, int r)
{
	if (r < 0) {
		engine->undo_failed = true;
		engine_log(engine, LOG_ERR, "undo: %s", engine->error.message);
	}
	engine->error = *cause;
}

static int open_store(struct engine *engine, bool write)
{
	int r;

	/* reading without privilege: the state may have been made, or be writable, by now */
	if (engine->store && engine->store_read_only) {
		store_close(engine->store);
		engine->store = NULL;
	}
	if (engine->store)
		return 0;

	r = store_open(engine->state_dir, false, engine->deadline, &engine->store, &engine->error);
	engine->store_read_only = false;
	if ((r == -EACCES || r == -EPERM || r == -EROFS) && !write) {
		error_clear(&engine->error);
		r = store_open(engine->state_dir, true, engine->deadline, &engine->store,
			       &engine->error);
		engine->store_read_only = true;
	}
	return r;
}

int engine_try_backend(struct engine *engine, const struct firewall_backend *backend,
		       struct firewall **ret_firewall)
{
	const char *comments = options_get(&engine->options, "iptables.comments");
	const struct firewall_config config = {
		.log = engine->log,
		.userdata = engine->log_userdata,
		.lock_file = options_get(&engine->options, "iptables.lock-file"),
		.comments = comments && strcmp(comments, "yes") == 0,
	};
	int r;

	r = backend->open(&config, ret_firewall, &engine->error);
	if (r >= 0)
		(*ret_firewall)->deadline = engine->deadline;
	return r;
}

static int try_backend(struct engine *engine, const struct firewall_backend *backend,
		       const char *reason)
{
	int r;

	r = engine_try_backend(engine, backend, &engine->firewall);
	if (r < 0)
		return r;
	snprintf(engine->backend_reason, sizeof(engine->backend_reason), "%s", reason);
	engine_log(engine, LOG_DEBUG, "backend %s: %s", backend->name, reason);
	return 0;
}

static void engine_close_firewall(struct engine *engine)
{
	if (engine->firewall)
		engine->firewall->backend->close(engine->firewall);
	engine->firewall = NULL;
}

/* Asks a backend about its tables: 1, 0, negative. */
typedef int (*question_fn)(struct firewall *firewall, struct error *error);

/* The first backend whose answer is yes is left open: 1, else 0. Negative: one could not say. */
static int find_backend(struct engine *engine, bool present, const char *reason)
{
	const struct firewall_backend *const *backend;
	question_fn question;
	int r;

	for (backend = firewall_backends; *backend; backend++) {
		r = try_backend(engine, *backend, reason);
		if (r < 0 && r != -EOPNOTSUPP)
			return r;
		if (r < 0) {
			/* what this kernel lacks has no rules */
			error_clear(&engine->error);
			continue;
		}
		question = present ? (*backend)->present : (*backend)->in_use;
		r = question(engine->firewall, &engine->error);
		if (r > 0)
			return 1;
		engine_close_firewall(engine);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The one that holds our rules, else the one that the host's own firewall uses, else the first that
 * opens. */
static int detect_backend(struct engine *engine)
{
	const struct firewall_backend *const *backend;
	int r;

	r = find_backend(engine, true, "it holds bridgenet's rules already");
	if (r == 0)
		r = find_backend(engine, false, "the host's own firewall uses it");
	if (r != 0)
		return r < 0 ? r : 0;
	r = -EOPNOTSUPP;
	for (backend = firewall_backends; *backend; backend++) {
		error_clear(&engine->error);
		r = try_backend(engine, *backend, "the first that this kernel has");
		if (r >= 0)
			return 0;
	}
	if (!firewall_backends[0])
		return error_set(&engine->error, r, BN_REASON_BACKEND_UNAVAILABLE,
				 "this build of the library has no backend; build it with one");
	return r;
}

int engine_open_firewall(struct engine *engine)
{
	char recorded[FACT_MAX];
	const char *wanted;
	int r;

	r = store_fact_get(engine->store, "backend", recorded, &engine->error);
	if (r < 0)
		return r;
	wanted = recorded[0] ? recorded : engine->backend;
	if (engine->firewall &&
	    (!wanted[0] || strcmp(wanted, engine->firewall->backend->name) == 0))
		return 0;
	/* moved by another process since it was opened */
	engine_close_firewall(engine);
	if (recorded[0] && engine->backend[0] && strcmp(recorded, engine->backend) != 0)
		return error_set(&engine->error, -EEXIST, BN_REASON_BACKEND_MISMATCH,
				 "the state in %s was made with backend %s, not %s; use that one, "
				 "or move it with bn_backend_switch() (bn backend switch %s)",
				 engine->state_dir, recorded, engine->backend, engine->backend);
	if (engine->backend[0])
		return try_backend(engine, firewall_backend_by_name(engine->backend),
				   "asked for by name");
	if (recorded[0] && !firewall_backend_by_name(recorded))
		return error_set(&engine->error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
				 "the state in %s was made with backend %s, which this build of "
				 "the library lacks; use a build that has it",
				 engine->state_dir, recorded);
	if (recorded[0])
		return try_backend(engine, firewall_backend_by_name(recorded),
				   "the state was made with it");
	return detect_backend(engine);
}

/* ---- the namespace ---- */

/* What the sockets of the context see must be what its thread sees. */
static int check_thread(struct engine *engine)
{
	uint64_t device, inode;
	int r;

	r = sandbox_current(&device, &inode, &engine->error);
	if (r < 0)
		return r;
	if (!engine->namespace_inode) {
		engine->namespace_device = device;
		engine->namespace_inode = inode;
	}
	if (engine->namespace_device == device && engine->namespace_inode == inode)
		return 0;
	return error_set(&engine->error, -EINVAL, BN_REASON_INVALID,
			 "the context was first used in another network namespace than this "
			 "thread is in now; make a context for each");
}

static void name_namespace(const struct engine *engine, char text[static FACT_MAX])
{
	snprintf(text, FACT_MAX, "%" PRIu64 ":%" PRIu64, engine->namespace_device,
		 engine->namespace_inode);
}

static int check_state(struct engine *engine)
{
	char recorded[FACT_MAX], here[FACT_MAX];
	int r;

	r = store_fact_get(engine->store, "namespace", recorded, &engine->error);
	if (r < 0 || !recorded[0])
		return r;
	name_namespace(engine, here);
	if (strcmp(recorded, here) == 0)
		return 0;
	return error_set(&engine->error, -EXDEV, BN_REASON_STATE,
			 "the state in %s is about another network namespace; go there, or use "
			 "another state directory here",
			 engine->state_dir);
}

int engine_bind_state(struct engine *engine)
{
	char here[FACT_MAX];
	int r;

	name_namespace(engine, here);
	r = store_fact_set(engine->store, "namespace", here, &engine->error);
	return r < 0 ? r : store_fact_set(engine->store, "backend",
					  engine->firewall->backend->name, &engine->error);
}

int engine_release_state(struct engine *engine)
{
	int r = store_fact_set(engine->store, "namespace", "", &engine->error);

	return r < 0 ? r : store_fact_set(engine->store, "backend", "", &engine->error);
}

int engine_start(struct engine *engine, enum engine_need need)
{
	int r;

	error_clear(&engine->error);
	engine->undo_failed = false;
	engine->deadline = deadline_after(engine->timeout_ms);

	r = open_store(engine, need == ENGINE_CHANGE);
	if (r < 0)
		return r;
	if (need != ENGINE_READ) {
		r = check_thread(engine);
		if (r >= 0)
			r = check_state(engine);
		if (r < 0)
			return r;
	}
	if ((need == ENGINE_LINKS || need == ENGINE_CHANGE) && !engine->link) {
		r = link_open(&engine->link, &engine->error);
		if (r < 0)
			return r;
	}
	set_deadline(engine, engine->deadline);

	if (need == ENGINE_RULES || need == ENGINE_CHANGE) {
		r = engine_open_firewall(engine);
		if (r < 0)
			return r;
	}

	return need == ENGINE_CHANGE ? ops_recover(engine) : 0;
}

void engine_close(struct engine *engine)
{
	engine_close_firewall(engine);
	link_close(engine->link);
	engine->link = NULL;
	store_close(engine->store);
	engine->store = NULL;
}
