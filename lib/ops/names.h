/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as data: those of endpoints, and the files of a namespace that has them. */
#ifndef BN_OPS_NAMES_H
#define BN_OPS_NAMES_H

#include "model/hosts.h"
#include "ops/context.h"

/* network NULL: all. *names are of *endpoints, and both the caller's to clear. */
int ops_names_list(bn_ctx *ctx, const char *network, endpoint_vector *endpoints,
		   host_name_vector *names);

int ops_sandbox_files(bn_ctx *ctx, const char *network, const char *endpoint, char **ret_hosts,
		      char **ret_resolv_conf);

#endif
