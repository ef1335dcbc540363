/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of endpoints, and the files that tell them to a namespace. */
#ifndef BN_MODEL_HOSTS_H
#define BN_MODEL_HOSTS_H

#include "model/records.h"

/* A name and an address of an endpoint. The texts are the rows'. */
struct host_name {
	const char *text;
	const struct endpoint *endpoint;
	struct addr addr;
};
typedef VECTOR(struct host_name) host_name_vector;

/* Each endpoint's id, host name and aliases, with each of its addresses; of endpoints in their
 * order. 0, -ENOMEM */
int hosts_list(const endpoint_vector *endpoints, host_name_vector *names);

/* hosts(5): the namespace's own endpoints first, then the neighbours. 0, -ENOMEM */
int hosts_file(const endpoint_vector *own, const endpoint_vector *neighbours, char **ret_text);

/*
 * resolv.conf(5) for a namespace with these families, from the text of the host's: less what can't
 * be reached from there, which is what is on the host's loopback addresses, or on a link. given:
 * the nameservers, in place of its own. 0, -EADDRNOTAVAIL if no nameserver is left (and
 * *ret_loopback: there was one on a loopback address), -ENOMEM.
 */
int resolver_file(const char *host_text, const addr_vector *given, bool ipv4, bool ipv6,
		  char **ret_text, bool *ret_loopback);

#endif
