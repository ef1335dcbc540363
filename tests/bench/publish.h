/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two halves of the publish benchmark. */
#ifndef BN_BENCH_PUBLISH_H
#define BN_BENCH_PUBLISH_H

/* A host has connections, and what ends the flows of a mapping looks at those that there are: in
 * the kernel a walk over all buckets of the table of connections, whoever's they are, left out where
 * the namespace has none. It would have one without these: the bridge's own, of IGMP. */
#define CONNECTIONS 32

void publish_nftables(void);
void publish_iptables(void);

#endif
