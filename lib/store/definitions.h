/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks that outlive the state: a file of each in a directory for its owner alone. */
#ifndef BN_STORE_DEFINITIONS_H
#define BN_STORE_DEFINITIONS_H

#include "model/records.h"

/* Made or replaced, as a whole, and on the disk when it returns. The directory is made if need be.
 * -EACCES, -EROFS, -ENOSPC, ... BN_REASON_STATE with a sentence naming the file. */
int definition_write(const char *directory, const struct network *network, struct error *error);
/* The one of that name: 1, or 0 if there is none. -EBADMSG for a file that is damaged, -EACCES for
 * one that others could have written, with a sentence naming it. */
int definition_read(const char *directory, const char *network, struct network *ret_network,
		    struct error *error);
/* All that are whole, in any order; what is not is complained of. Appends. 1, or 0 if there is no
 * directory. */
int definitions_read(const char *directory, network_vector *networks,
		     void (*complain)(void *userdata, const struct error *error), void *userdata,
		     struct error *error);
/* One of that name that is of another network stays. What is gone already is no error. */
int definition_remove(const char *directory, const struct network *network, struct error *error);

#endif
