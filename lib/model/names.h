/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which names are legal, and the names that are derived. */
#ifndef BN_MODEL_NAMES_H
#define BN_MODEL_NAMES_H

#include <net/if.h>

#include "base/error.h"
#include "base/text.h"

#define ID_LEN 64           /* hex digits of a network's id */
#define ID_SHORT_LEN 12     /* of these stand for it in names */
#define NETWORK_NAME_MAX 60 /* with an endpoint's id and '/', fits an nft comment */
#define ENDPOINT_ID_MAX 64

/* A letter or digit, then letters, digits, '_', '.', '-'. 0, -EINVAL or -ENAMETOOLONG in *error,
 * with a sentence that names the value. */
int network_name_check(const char *name, struct error *error);
int endpoint_id_check(const char *id, struct error *error);

/* What the kernel takes, and no '%' (which it would expand), '/' , ':' or white space, not "."
 * or ".."; at most 15 bytes. */
int interface_name_check(const char *name, struct error *error);
/* Of what a number is to follow; "" is fine. */
int interface_prefix_check(const char *prefix, struct error *error);
/* Of one that rules name. */
int bridge_name_check(const char *name, struct error *error);

/* The name of a network where the kernel has room for little: whole, or its beginning, '~' and the
 * first 12 digits of its id, which no two networks share. */
#define NETWORK_LABEL_MAX 16
void network_label(const char *network, const char *id, char ret_label[static NETWORK_LABEL_MAX]);

/* "bn-" and the first 12 digits of a network's id. */
void bridge_name(const char *network_id, char ret_name[static IFNAMSIZ]);

/* The host end of an endpoint's veth pair, "bv" and 12 hex digits that depend on both ids. */
void host_interface_name(const char *network_id, const char *endpoint_id,
			 char ret_name[static IFNAMSIZ]);

/* The device that what an endpoint sends is slowed down on, "bi" and 12 hex digits that depend on
 * its host end. */
void detour_name(const char *host_interface, char ret_name[static IFNAMSIZ]);

/* 64 hex digits from 32 random bytes. */
int id_check(const char *id, struct error *error); /* -EINVAL */
void id_format(const uint8_t bytes[static 32], char ret_id[static ID_LEN + 1]);

/* The mark in the alias of our links: "bridgenet:<network_id[12]>" or, for an endpoint,
 * "bridgenet:<network_id[12]>/<endpoint id>". */
#define ALIAS_MAX 96
void link_alias(const char *network_id, const char *endpoint_id, char ret_alias[static ALIAS_MAX]);

#endif
