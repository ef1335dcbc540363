/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "firewall/firewall.h"

#ifdef HAVE_NFTABLES
extern const struct firewall_backend nft_backend;
#endif
#ifdef HAVE_IPTABLES_LEGACY
extern const struct firewall_backend iptables_backend;
#endif

const struct firewall_backend *const firewall_backends[] = {
#ifdef HAVE_NFTABLES
	&nft_backend,
#endif
#ifdef HAVE_IPTABLES_LEGACY
	&iptables_backend,
#endif
	NULL,
};

bool firewall_kernel_is(const char *release, unsigned long major, unsigned long minor)
{
	char *dot;
	unsigned long first = strtoul(release, &dot, 10);
	unsigned long second = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;

	return first > major || (first == major && second >= minor);
}

const struct firewall_backend *firewall_backend_by_name(const char *name)
{
	for (size_t i = 0; firewall_backends[i]; i++) {
		if (strcmp(firewall_backends[i]->name, name) == 0)
			return firewall_backends[i];
	}
	return NULL;
}
