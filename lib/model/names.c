/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ASCII alone: isalnum() would ask the locale. */
static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int name_check(const char *what, const char *name, size_t max, struct error *error)
{
	if (!name || !name[0])
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "the %s is empty; give 1 to %zu letters, digits, '_', '.' or '-'",
				 what, max);
	if (strlen(name) > max)
		return error_set(error, -ENAMETOOLONG, BN_REASON_INVALID,
				 "%s '%.80s' is longer than %zu bytes; shorten it", what, name,
				 max);
	for (size_t i = 0; name[i]; i++) {
		if (is_letter_or_digit(name[i]) || (i > 0 && strchr("_.-", name[i])))
			continue;
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "%s '%s' is not valid; begin with a letter or digit and use "
				 "letters, digits, '_', '.' and '-' only",
				 what, name);
	}
	return 0;
}

int network_name_check(const char *name, struct error *error)
{
	return name_check("network name", name, NETWORK_NAME_MAX, error);
}

int endpoint_id_check(const char *id, struct error *error)
{
	return name_check("endpoint id", id, ENDPOINT_ID_MAX, error);
}

int interface_name_check(const char *name, struct error *error)
{
	if (!name || !name[0])
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "the interface name is empty; give 1 to %d bytes", IFNAMSIZ - 1);
	if (strlen(name) >= IFNAMSIZ)
		return error_set(error, -ENAMETOOLONG, BN_REASON_INVALID,
				 "interface name '%.80s' is longer than %d bytes; shorten it", name,
				 IFNAMSIZ - 1);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "interface name '%s' is not taken by the kernel; use another",
				 name);
	for (const char *c = name; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		/* The kernel's isspace() is that of Latin-1, where 0xa0 is a space. */
		if (byte > 0x20 && byte != 0x7f && byte != 0xa0 && !strchr("%/:", *c))
			continue;
		return error_set(error, -EINVAL, BN_REASON_INVALID,
				 "interface name '%s' is not valid; leave out '%%', '/', ':' and "
				 "white space",
				 name);
	}
	return 0;
}

#define INTERFACE_DIGITS 4

int interface_prefix_check(const char *prefix, struct error *error)
{
	if (strlen(prefix) + INTERFACE_DIGITS < IFNAMSIZ)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "option interface-prefix can't be '%s': a number of up to %d digits is to "
			 "follow, in %d bytes; give a shorter one",
			 prefix, INTERFACE_DIGITS, IFNAMSIZ - 1);
}

/* The kernel takes them, but iptables reads "br+" as any name that begins with "br", and nft "br*";
 * and neither escapes the others in what it saves. */
int bridge_name_check(const char *name, struct error *error)
{
	int r = interface_name_check(name, error);

	if (r < 0 || !strpbrk(name, "+*\"\\"))
		return r;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "bridge name '%s' is not valid: saved rules with a '+', '*', '\"' or '\\' "
			 "can't be restored, or match other bridges; use another",
			 name);
}

void network_label(const char *network, const char *id, char ret_label[static NETWORK_LABEL_MAX])
{
	if (string_copy(ret_label, NETWORK_LABEL_MAX, network) < 0)
		snprintf(ret_label, NETWORK_LABEL_MAX, "%.2s~%.12s", network, id);
}

void bridge_name(const char *network_id, char ret_name[static IFNAMSIZ])
{
	snprintf(ret_name, IFNAMSIZ, "bn-%.12s", network_id);
}

static void hashed_name(const char *prefix, uint64_t hash, char ret_name[static IFNAMSIZ])
{
	hash = (hash ^ hash >> 48) & 0xffffffffffffu;
	snprintf(ret_name, IFNAMSIZ, "%s%012llx", prefix, (unsigned long long)hash);
}

void host_interface_name(const char *network_id, const char *endpoint_id,
			 char ret_name[static IFNAMSIZ])
{
	uint64_t hash = hash_text(HASH_START, network_id);

	hashed_name("bv", hash_text(hash_text(hash, "/"), endpoint_id), ret_name);
}

void detour_name(const char *host_interface, char ret_name[static IFNAMSIZ])
{
	hashed_name("bi", hash_text(HASH_START, host_interface), ret_name);
}

int id_check(const char *id, struct error *error)
{
	if (strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN)
		return 0;
	return error_set(error, -EINVAL, BN_REASON_INVALID,
			 "id '%.80s' is not of %d hexadecimal digits in small letters", id, ID_LEN);
}

void id_format(const uint8_t bytes[static 32], char ret_id[static ID_LEN + 1])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
}

void link_alias(const char *network_id, const char *endpoint_id, char ret_alias[static ALIAS_MAX])
{
	snprintf(ret_alias, ALIAS_MAX, "bridgenet:%.12s%s%.64s", network_id, endpoint_id ? "/" : "",
		 endpoint_id ? endpoint_id : "");
}
