/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two halves of the publish benchmark. */
#ifndef BN_BENCH_PUBLISH_H
#define BN_BENCH_PUBLISH_H

void publish_nftables(void);
void publish_iptables(void);

#endif
