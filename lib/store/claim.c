/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that wait for what others are at. Some want a network, an endpoint or the whole state for
 * themselves, and beside many that come and go they would never find it idle.
 *
 * Whoever finds something in use takes a ticket, and claims it: he locks the byte of the lock file
 * that stands for what he waits for, for how he wants it (alone or with others) and for his
 * ticket; the kernel drops it with the process. Calls that come later, or have a later ticket, find
 * the claim as they reserve, and stand behind it. What is under way is not asked about claims, so
 * it comes to its end, and then the first one goes on. He with the first ticket of all stands
 * behind nobody: no two wait for each other.
 *
 * A claim that does not move is passed over: its process may be stopped, or what it waits for. Who
 * has waited behind it for PATIENCE_MS writes down that it counts no longer, for all who wait for
 * the same. He whose claim that was takes a new ticket after CLAIM_AGAIN_MS.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/text.h"
#include "store/private.h"

#define KEY_BITS 19
#define TICKET_BITS 40
#define TICKETS_MAX (UINT64_C(1) << TICKET_BITS)

#define PATIENCE_MS 1000
#define CLAIM_AGAIN_MS 3000
#define SHORT_LOOKS 8    /* before a thread is worth its while */
#define LOOK_AGAIN_MS 50 /* an operation's owner may have died, and a child of it hold the lock */

/* In the lock file, behind the numbers of the line. What makes no sense there costs somebody his
 * turn. */
#define TICKETS_AT 16
#define PASSED_AT (TICKETS_AT + (int64_t)sizeof(uint64_t))
#define PASSED_COUNT 256 /* keys that have the same one of them are passed over together */

/* The last that was given. */
static uint64_t last_ticket(const struct store *store)
{
	uint64_t last = 0;

	if (pread(store->probe_fd, &last, sizeof(last), TICKETS_AT) < 0 || last >= TICKETS_MAX)
		return 0;
	return last;
}

static int64_t passed_at(const struct claim *claim)
{
	return PASSED_AT + claim->key % PASSED_COUNT * (int64_t)sizeof(uint64_t);
}

/* The last that does not count any more, of those who wait for the same. */
static uint64_t passed_ticket(const struct store *store)
{
	uint64_t passed = 0;

	if (pread(store->probe_fd, &passed, sizeof(passed), passed_at(&store->claim)) < 0 ||
	    passed > last_ticket(store))
		return 0;
	return passed;
}

/* Two things may have one key: then somebody waits who need not. */
static uint32_t key_of(enum claim_on on, const char *network, const char *endpoint)
{
	uint64_t hash = HASH_START + on;

	if (network)
		hash = hash_text(hash, network);
	if (endpoint)
		hash = hash_text(hash_text(hash, "/"), endpoint);
	return (uint32_t)(hash ^ hash >> 32) & ((1u << KEY_BITS) - 1);
}

static int64_t byte_of(const struct claim *claim, bool alone, uint64_t ticket)
{
	return LINE_CLAIMS + ((((int64_t)alone << KEY_BITS) | claim->key) << TICKET_BITS) +
	       (int64_t)ticket;
}

static uint64_t ticket_of(int64_t byte)
{
	return (uint64_t)(byte - LINE_CLAIMS) & (TICKETS_MAX - 1);
}

/* ---- those before ---- */

/* Of the claims with a ticket from `first` on before `end`: the last one's byte, and the first
 * one's; or, with NULL for both, any. */
static bool find_claims(const struct store *store, bool alone, uint64_t first, uint64_t end,
			int64_t *last_byte, uint64_t *first_ticket)
{
	int64_t from = byte_of(&store->claim, alone, first);
	int64_t to = byte_of(&store->claim, alone, end), any = line_find(store, from, to);
	int64_t low = any, high = any, byte;

	if (any < 0 || !last_byte)
		return any >= 0;
	while ((byte = line_find(store, from, low)) >= 0)
		low = byte;
	while ((byte = line_find(store, high + 1, to)) >= 0)
		high = byte;
	if (*last_byte < 0 || ticket_of(high) > ticket_of(*last_byte))
		*last_byte = high;
	if (ticket_of(low) < *first_ticket)
		*first_ticket = ticket_of(low);
	return true;
}

/* With those who want it alone nobody gets it, with others those do who want it with others. */
static bool find_before(const struct store *store, int64_t *last_byte, uint64_t *first_ticket)
{
	const struct claim *claim = &store->claim;
	uint64_t first = passed_ticket(store) + 1;
	uint64_t end = claim->ticket ? claim->ticket : TICKETS_MAX - 1;
	bool found = find_claims(store, true, first, end, last_byte, first_ticket);

	if (claim->alone && (last_byte || !found))
		found |= find_claims(store, false, first, end, last_byte, first_ticket);
	return found;
}

static int behind_error(const struct store *store, const char *network, const char *endpoint,
			struct error *error)
{
	if (endpoint)
		return error_set(error, -EBUSY, BN_REASON_BUSY,
				 "another call waits for endpoint %s of network %s, and was there "
				 "before; try again",
				 endpoint, network);
	if (network)
		return error_set(
			error, -EBUSY, BN_REASON_BUSY,
			"another call waits for network %s, and was there before; try again",
			network);
	return error_set(error, -EBUSY, BN_REASON_BUSY,
			 "another call waits for the state in %s, and was there before; try again",
			 store->directory);
}

int claim_check(struct store *store, enum claim_on on, bool alone, const char *network,
		const char *endpoint, struct error *error)
{
	struct claim *claim = &store->claim, whole;

	claim->blocker = 0;
	whole = *claim;
	if (!claim->heeds)
		return 0;
	claim->on = on;
	claim->key = key_of(on, network, endpoint);
	claim->alone = alone;
	claim->is_behind = store->has_claims && find_before(store, NULL, NULL);
	/* what is wanted alone is waited for as a whole, not by its parts */
	if (!claim->is_behind && whole.alone &&
	    (whole.on < on || (whole.on == on && whole.key == claim->key)))
		*claim = whole;
	if (!claim->is_behind)
		return 0;
	return behind_error(store, network, endpoint, error);
}

int store_claim_state(struct store *store, bool alone, struct error *error)
{
	return claim_check(store, CLAIM_STATE, alone, NULL, NULL, error);
}

int store_claim_network(struct store *store, const char *name, struct error *error)
{
	return claim_check(store, CLAIM_NETWORK, true, name, NULL, error);
}

void claim_note_blocker(struct store *store, int64_t operation)
{
	store->claim.blocker = operation;
}

/* ---- in line ---- */

void store_claim_begin(struct store *store)
{
	struct claim *claim = &store->claim;

	*claim = (struct claim){ .heeds = true,
				 .ended = claim->ended,
				 .ticket = claim->ticket,
				 .locked = claim->locked,
				 .begun = claim->begun };
}

static void leave_line(struct store *store)
{
	if (store->claim.ticket)
		lock_byte(store->lock_fd, store->claim.locked, F_UNLCK);
	store->claim.ticket = 0;
}

void store_claim_end(struct store *store)
{
	leave_line(store);
	store->claim.heeds = false;
}

static void take_ticket(struct store *store)
{
	struct claim *claim = &store->claim;
	uint64_t ticket;

	if (line_open_door(store) < 0)
		return;
	ticket = last_ticket(store) + 1;
	claim->begun = clock_now_ms();
	claim->locked = byte_of(claim, claim->alone, ticket);
	if (lock_byte(store->lock_fd, claim->locked, F_WRLCK) == 0) {
		if (pwrite(store->lock_fd, &ticket, sizeof(ticket), TICKETS_AT) == sizeof(ticket))
			claim->ticket = ticket;
		else
			lock_byte(store->lock_fd, claim->locked, F_UNLCK);
	}
	line_close_door(store);
}

/* The ticket stays, whatever it is that was in the way this time. */
static void stand_in_line(struct store *store)
{
	struct claim *claim = &store->claim;
	int64_t byte;

	if (claim->ticket && claim->ticket <= passed_ticket(store) &&
	    clock_now_ms() - claim->begun >= CLAIM_AGAIN_MS)
		leave_line(store);
	if (!claim->ticket) {
		take_ticket(store);
		return;
	}
	byte = byte_of(claim, claim->alone, claim->ticket);
	if (byte == claim->locked || lock_byte(store->lock_fd, byte, F_WRLCK) < 0)
		return;
	lock_byte(store->lock_fd, claim->locked, F_UNLCK);
	claim->locked = byte;
}

/* ---- waiting ---- */

static int wait_for_byte(struct store *store, int64_t byte, unsigned int attempt,
			 const struct deadline *deadline)
{
	int r = attempt < SHORT_LOOKS ? -EAGAIN :
					line_wait_for(store, &store->claim_waiter, byte, deadline);

	return r == -EAGAIN ? deadline_pause(deadline, attempt) : r;
}

/* 1 if it was waited for, or is not there any more; 0 if nobody is at it. */
static int wait_for_operation(struct store *store)
{
	struct deadline deadline = deadline_within(store->deadline, LOOK_AGAIN_MS);
	int64_t lock = 0;
	int r = 0, found;

	if (!store->claim.blocker)
		return 0;
	found = operation_find_lock(store, store->claim.blocker, &lock, NULL);
	if (found < 0 || (found == 0 && store->claim.ended == store->claim.blocker))
		return 0;
	if (found == 0) {
		store->claim.ended = store->claim.blocker;
		return 1;
	}
	if (line_find(store, lock, lock + 1) < 0)
		return 0;
	for (unsigned int attempt = 0; r == 0 && line_find(store, lock, lock + 1) >= 0; attempt++)
		r = wait_for_byte(store, lock, attempt, &deadline);
	r = deadline_check(store->deadline);
	return r < 0 ? r : 1;
}

static void pass_over(struct store *store, uint64_t ticket)
{
	ssize_t written = 0;

	if (ticket > passed_ticket(store))
		written = pwrite(store->lock_fd, &ticket, sizeof(ticket), passed_at(&store->claim));
	(void)written; /* else the next one waits as long again */
}

/* What does not move keeps nobody waiting until his time is over. */
static struct deadline patience(const struct store *store)
{
	uint64_t now = clock_now_ms(), ms = PATIENCE_MS;
	const struct deadline *deadline = store->deadline;

	if (deadline && deadline->end > now && (deadline->end - now) / 2 < ms)
		ms = (deadline->end - now) / 2;
	return deadline_within(deadline, ms ? (uint32_t)ms : 1);
}

static int wait_for_turn(struct store *store)
{
	struct deadline deadline = patience(store);
	uint64_t first, head = 0;
	int64_t last;
	int r = 0;

	for (unsigned int attempt = 0; r == 0; attempt++) {
		last = -1;
		first = TICKETS_MAX;
		if (!find_before(store, &last, &first))
			return 0;
		if (first != head)
			deadline = patience(store);
		head = first;
		r = wait_for_byte(store, last, attempt, &deadline);
		if (r == -ETIMEDOUT && deadline_check(store->deadline) == 0) {
			pass_over(store, head);
			r = 0;
		}
	}
	return r;
}

int store_claim_wait(struct store *store)
{
	bool is_behind = store->claim.is_behind;
	int waited, r;

	if (store->read_only)
		return 0;
	if (store->claim.heeds)
		stand_in_line(store);
	waited = is_behind ? 1 : wait_for_operation(store);
	if (waited < 0 || !store->claim.heeds)
		return waited;
	r = wait_for_turn(store);
	return r < 0 ? r : waited;
}
