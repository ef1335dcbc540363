/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the neighbours of an endpoint that its addresses have its MAC now. */
#include <net/if_arp.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "link/private.h"

/*
 * With arp_notify and ndisc_notify on, the kernel announces all addresses of an interface when its
 * MAC is set, be it the one that it has. A packet socket of our own would take 10 ms to close.
 */
void link_announce(const struct link_announcer *announcer)
{
	struct ifreq request = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	if (announcer->fd < 0)
		return;
	string_copy(request.ifr_name, sizeof(request.ifr_name), announcer->interface);
	memcpy(request.ifr_hwaddr.sa_data, announcer->mac, MAC_LEN);
	ioctl(announcer->fd, SIOCSIFHWADDR, &request);
}

void link_announcer_close(struct link_announcer *announcer)
{
	if (announcer->fd >= 0)
		close(announcer->fd);
	announcer->fd = -1;
}

void announcer_begin(struct link_announcer *announcer, const struct endpoint *endpoint,
		     struct link_handle *inside, int ndisc_notify)
{
	announcer->fd = inside->fd;
	inside->fd = -1;
	string_copy(announcer->interface, sizeof(announcer->interface), endpoint->interface);
	memcpy(announcer->mac, endpoint->mac, MAC_LEN);
	/* Not before: the kernel would announce them when the link comes up, too, while the bridge
	 * may forward nothing yet. Where it can't be written, ARP is announced alone. */
	if (ndisc_notify >= 0)
		(void)!write(ndisc_notify, "1", 1);
	link_announce(announcer);
}
