/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors behind one that can be polled, each of which may be left alone for a while: what it
 * has to tell waits then, and wakes nobody.
 */
#ifndef BN_OPS_SOURCES_H
#define BN_OPS_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCES_MAX 5

struct source {
	int fd;             /* -1: none */
	uint64_t muted_for; /* until then, by clock_now_ms(); 0: it is not */
};

struct sources {
	int epoll, timer;
	struct source items[SOURCES_MAX];
};
#define SOURCES_NONE                                                                               \
	{                                                                                          \
		.epoll = -1, .timer = -1,                                                          \
		.items = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 } }, \
	}

int sources_open(struct sources *sources); /* 0 or -errno */
void sources_close(struct sources *sources);
/* In the place of the one there is, which may be closed then; -1: none. 0 or -errno. */
int sources_set(struct sources *sources, size_t source, int fd);
/* A bit for each that has something to tell, and is not muted. */
uint32_t sources_poll(struct sources *sources);
void sources_mute(struct sources *sources, size_t source, uint64_t until);
/* Wakes at that time, or sooner for a source that is muted no longer; 0: at once, UINT64_MAX: not
 * for that. */
void sources_sleep(struct sources *sources, uint64_t until);

#endif
