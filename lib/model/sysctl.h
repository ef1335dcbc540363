/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options "sysctl.KEY" of an endpoint: settings of its interface in the namespace. */
#ifndef BN_MODEL_SYSCTL_H
#define BN_MODEL_SYSCTL_H

#include "model/records.h"

#define SYSCTL_PATH_MAX 96

struct sysctl {
	char path[SYSCTL_PATH_MAX]; /* below /proc/sys */
	const char *value;          /* in the options */
};
typedef VECTOR(struct sysctl) sysctl_vector;

/* Those of an endpoint, of the interface that it has. Appends. -EINVAL with a sentence for a key
 * that is about anything else than its interface, -ENOMEM. */
int sysctls_of(const struct endpoint *endpoint, sysctl_vector *sysctls, struct error *error);

/* Does one of them turn IPv6 off? */
bool sysctl_disables_ipv6(const struct endpoint *endpoint);

#endif
