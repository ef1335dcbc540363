/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that do one thing for a call. */
#ifndef BN_BASE_THREAD_H
#define BN_BASE_THREAD_H

#include <pthread.h>

/* With a small stack, and with all signals blocked: the program's handlers must not run on it.
 * ret_id: of the thread, to be joined; NULL for one that nobody waits for. 0, or an errno. */
int thread_start(void *(*function)(void *argument), void *argument, pthread_t *ret_id);

#endif
