/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

const struct firewall_backend *firewall_backend_by_name(const char *name)
{
	for (size_t i = 0; firewall_backends[i]; i++) {
		if (strcmp(firewall_backends[i]->name, name) == 0)
			return firewall_backends[i];
	}
	return NULL;
}
