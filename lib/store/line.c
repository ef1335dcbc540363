/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line of those that wait to write the state. SQLite's lock goes to whoever asks for it as it
 * becomes free, which leaves some of many without it for seconds.
 *
 * Whoever finds the state locked, or others in line, takes a place: a number, and a lock on the
 * byte of the lock file that stands for it, which the kernel drops with the process. He waits in
 * the kernel for the one before him; once nobody is before him he is the first, waits for SQLite's
 * lock alone, and leaves the line as he gets it. So the next one is awake by the time that he
 * commits.
 *
 * The line decides about nothing but turns. Whoever has waited for LOOK_ANYWAY_MS tries without
 * his, and if he gets the lock the first one's place counts as served: its process may be stopped,
 * or dead while a child of it holds the place. A process of an older version does not stand in line
 * at all.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/waiter.h"
#include "store/private.h"

#define DOOR LINE_BEGIN
#define PLACE(number) (DOOR + 1 + (int64_t)(number))
#define NUMBERS_MAX (UINT64_C(1) << 60) /* short of LINE_CLAIMS */

#define DOOR_TRIES 40 /* of deadline_pause(): some 10 ms; it is held for microseconds */
#define SHORT_LOOKS 8 /* before a thread is worth its while */
#define LOOK_ANYWAY_MS 200

/* In the lock file. What makes no sense there costs somebody his turn. */
struct numbers {
	uint64_t last; /* that was given */
	uint64_t served;
};

static struct numbers read_numbers(const struct store *store)
{
	struct numbers numbers = { 0 };

	if (pread(store->probe_fd, &numbers, sizeof(numbers), 0) < 0 ||
	    numbers.last >= NUMBERS_MAX || numbers.served > numbers.last)
		return (struct numbers){ 0 };
	return numbers;
}

int64_t line_find(const struct store *store, int64_t first, int64_t end)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = end - first
	};

	if (first >= end || fcntl(store->probe_fd, F_OFD_GETLK, &range) < 0 ||
	    range.l_type == F_UNLCK)
		return -1;
	return range.l_start;
}

/* Mostly there is nobody, nor a claim, and so it costs one question. */
bool line_is_empty(struct store *store)
{
	store->has_claims = false;
	if (line_find(store, PLACE(1), INT64_MAX) < 0)
		return true;
	store->has_claims = line_find(store, LINE_CLAIMS, INT64_MAX) >= 0;
	return line_find(store, PLACE(read_numbers(store).served + 1), LINE_CLAIMS) < 0;
}

/* ---- a place ---- */

int line_open_door(const struct store *store)
{
	int r;

	for (unsigned int attempt = 0;
	     (r = lock_byte(store->lock_fd, DOOR, F_WRLCK)) == -EAGAIN && attempt < DOOR_TRIES;
	     attempt++)
		if (deadline_pause(store->deadline, attempt) < 0)
			break;
	return r;
}

void line_close_door(const struct store *store)
{
	lock_byte(store->lock_fd, DOOR, F_UNLCK);
}

static void take_place(struct store *store)
{
	uint64_t number = read_numbers(store).last + 1;

	if (lock_byte(store->lock_fd, PLACE(number), F_WRLCK) < 0)
		return;
	if (pwrite(store->lock_fd, &number, sizeof(number), offsetof(struct numbers, last)) ==
	    sizeof(number))
		store->number = number;
	else
		lock_byte(store->lock_fd, PLACE(number), F_UNLCK);
}

void line_join(struct store *store)
{
	if (line_open_door(store) < 0)
		return;
	take_place(store);
	line_close_door(store);
}

/* The first in line did not take the lock while it was free. */
static void pass_first_over(struct store *store)
{
	int64_t place = PLACE(store->number), first;
	uint64_t served = read_numbers(store).served;
	ssize_t written = 0;

	while ((first = line_find(store, PLACE(served + 1), place)) >= 0)
		place = first;
	served = (uint64_t)(place - PLACE(0));
	if (served < store->number)
		written = pwrite(store->lock_fd, &served, sizeof(served),
				 offsetof(struct numbers, served));
	(void)written; /* else the next one waits as long again */
}

void line_leave(struct store *store, bool in_turn)
{
	if (!store->number)
		return;
	if (!in_turn)
		pass_first_over(store);
	lock_byte(store->lock_fd, PLACE(store->number), F_UNLCK);
	store->number = 0;
}

/* ---- the one before ---- */

static int take_byte(int fd, int64_t byte)
{
	struct flock range = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLKW, &range) < 0 ? -errno : 0;
}

static void drop_byte(int fd, int64_t byte)
{
	lock_byte(fd, byte, F_UNLCK);
}

int line_wait_for(const struct store *store, struct waiter **waiter, int64_t locked,
		  const struct deadline *deadline)
{
	static const struct waited_for byte = { take_byte, drop_byte };
	CLEANUP_CLOSE int fd = fcntl(store->probe_fd, F_DUPFD_CLOEXEC, 0);
	int r = fd < 0 ? -EAGAIN : waiter_wait(waiter, &byte, &fd, locked, deadline);

	if (r == 0)
		drop_byte(fd, locked);
	return r;
}

/* Not all wait for the first: as he goes one shall wake, and not all. */
static int64_t who_is_before(const struct store *store)
{
	int64_t own = PLACE(store->number), place = line_find(store, own - 1, own);

	if (place > DOOR)
		return place;
	return line_find(store, PLACE(read_numbers(store).served + 1), own);
}

int line_wait(struct store *store)
{
	struct deadline deadline = deadline_within(store->deadline, LOOK_ANYWAY_MS);
	int64_t place;
	int r = 0;

	for (unsigned int attempt = 0; r == 0; attempt++) {
		place = store->number ? who_is_before(store) : -1;
		if (place < 0)
			return 1;
		r = attempt < SHORT_LOOKS ? -EAGAIN :
					    line_wait_for(store, &store->waiter, place, &deadline);
		if (r == -EAGAIN)
			r = deadline_pause(&deadline, attempt);
	}
	return deadline_check(store->deadline);
}
