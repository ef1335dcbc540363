/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network as the text of a file, which outlives the state. */
#ifndef BN_MODEL_DEFINITION_H
#define BN_MODEL_DEFINITION_H

#include "model/records.h"

/* All that it takes to make the network again as it is. -ENOMEM */
int definition_format(const struct network *network, char **ret_text);
/* -EBADMSG with what is wrong and in which line, or -ENOMEM. The text is cut up. */
int definition_parse(char *text, struct network *ret_network, struct error *error);

#endif
