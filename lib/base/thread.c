/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/thread.h"

#include <signal.h>

#define STACK (256 * 1024) /* the sanitizers need more than the minimum */

int thread_start(void *(*function)(void *argument), void *argument, pthread_t *ret_id)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int r = pthread_attr_init(&attributes);

	if (r != 0)
		return r;
	pthread_attr_setstacksize(&attributes, STACK);
	if (!ret_id)
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* it inherits the mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_id ? ret_id : &id, &attributes, function, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}
