/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/sources.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"

#define TIMER SOURCES_MAX /* its number */

static int control(const struct sources *sources, int operation, int fd, size_t number,
		   uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = number };

	return epoll_ctl(sources->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int sources_open(struct sources *sources)
{
	sources->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sources->epoll < 0)
		return -errno;
	sources->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (sources->timer < 0)
		return -errno;
	return control(sources, EPOLL_CTL_ADD, sources->timer, TIMER, EPOLLIN);
}

void sources_close(struct sources *sources)
{
	cleanup_close(&sources->timer);
	cleanup_close(&sources->epoll);
	*sources = (struct sources)SOURCES_NONE;
}

/* A descriptor that a forked process has too would stay in the set when it is closed here. */
int sources_set(struct sources *sources, size_t source, int fd)
{
	struct source *item = &sources->items[source];

	if (item->fd >= 0 && !item->muted_for)
		control(sources, EPOLL_CTL_DEL, item->fd, source, 0);
	*item = (struct source){ .fd = fd };
	return fd < 0 ? 0 : control(sources, EPOLL_CTL_ADD, fd, source, EPOLLIN);
}

void sources_mute(struct sources *sources, size_t source, uint64_t until)
{
	struct source *item = &sources->items[source];

	if (item->fd < 0)
		return;
	/* in the set it would tell of errors all the same */
	if (!item->muted_for)
		control(sources, EPOLL_CTL_DEL, item->fd, source, 0);
	item->muted_for = until;
}

static void hear_again(struct sources *sources)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < SOURCES_MAX; i++) {
		struct source *item = &sources->items[i];

		if (!item->muted_for || item->muted_for > now)
			continue;
		item->muted_for = 0;
		control(sources, EPOLL_CTL_ADD, item->fd, i, EPOLLIN);
	}
}

uint32_t sources_poll(struct sources *sources)
{
	struct epoll_event events[SOURCES_MAX + 1];
	uint32_t ready = 0;
	int len;

	hear_again(sources);
	len = epoll_wait(sources->epoll, events, ARRAY_SIZE(events), 0);
	for (int i = 0; i < len; i++)
		if (events[i].data.u64 < SOURCES_MAX)
			ready |= 1u << events[i].data.u64;
	return ready;
}

/* To set it also takes back that it went off. */
void sources_sleep(struct sources *sources, uint64_t until)
{
	struct itimerspec when = { 0 };

	for (size_t i = 0; i < SOURCES_MAX; i++)
		if (sources->items[i].muted_for && sources->items[i].muted_for < until)
			until = sources->items[i].muted_for;
	/* a time of 0 would stop it */
	if (until == 0)
		until = 1;
	if (until < UINT64_MAX)
		when.it_value =
			(struct timespec){ (time_t)(until / 1000), (long)(until % 1000 * 1000000) };
	timerfd_settime(sources->timer, TFD_TIMER_ABSTIME, &when, NULL);
}
