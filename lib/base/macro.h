/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_BASE_MACRO_H
#define BN_BASE_MACRO_H

#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

/* Put before the declaration: CLEANUP(networks_clear) network_vector networks = { 0 }; */
#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}
#define CLEANUP_FREE CLEANUP(cleanup_free)

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define CLEANUP_CLOSE CLEANUP(cleanup_close)

/* Hand the value over and forget it, so that its cleanup does nothing. */
#define TAKE_POINTER(pointer)                           \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
