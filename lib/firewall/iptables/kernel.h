/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel's entries are made of. */
#ifndef BN_FIREWALL_IPTABLES_KERNEL_H
#define BN_FIREWALL_IPTABLES_KERNEL_H

#include <net/if.h> /* before the kernel's headers about interfaces */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_TCPMSS.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_connlimit.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

/* What ICMP and ICMPv6 match by is the same under two names. */
_Static_assert(sizeof(struct ipt_icmp) == sizeof(struct ip6t_icmp), "the sizes must agree");
#define ECHO_REQUEST(family) ((family) == AF_INET ? 8 : 128)
#define ICMP_OF(family) ((family) == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)
#define ICMP_MATCH(family) ((family) == AF_INET ? "icmp" : "icmp6")

#define DNS_PORT 53

/* of a TCP header's flags */
#define FLAG_SYN 0x02
#define FLAG_RST 0x04

/* The kernel's own level of a message that says nothing else. */
#define LOG_LEVEL 4
/* of the match limit, between two packets */
#define LOG_INTERVAL (XT_LIMIT_SCALE / LOG_RATE)

#define STATE_ESTABLISHED \
	(XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) | XT_CONNTRACK_STATE_BIT(IP_CT_RELATED))

#endif
