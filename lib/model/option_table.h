/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that there are, and the types of their values. What the policies hold of them is in
 * options.h. */
#ifndef BN_MODEL_OPTION_TABLE_H
#define BN_MODEL_OPTION_TABLE_H

#include "model/options.h"

struct known_option;

/* What values of a type are like: a row for each type. */
struct option_type {
	const char *name;
	const char *legal; /* for a sentence; NULL: the words, or the numbers, of the option */
	/* Judges the value and puts it where the option's field is. 0, -EINVAL, -ENOMEM; NULL: any
	 * value, and no field. */
	int (*decide)(const struct known_option *known, const char *value, void *field);
};

extern const struct option_type option_text, option_word, option_number, option_integer,
	option_address, option_addresses, option_prefixes, option_trusted, option_interface,
	option_host_name, option_path, option_path_or_none, option_rate, option_bytes, option_empty,
	option_pools, option_network_option;

enum option_live {
	LIVE_NO,  /* decided when its object is made */
	LIVE_YES, /* can be changed on what lives */
	LIVE_NEW  /* that too, but what is there already stays as it is */
};

/* A key that ends in '.' stands for all that begin with it and go on. */
struct known_option {
	enum option_scope scope;
	const char *key;
	const char *rest; /* what goes on, in a text: "NAME" */
	const struct option_type *type;
	const char *const *words; /* the values of the enum, in its order, and NULL */
	int family;               /* of addresses; 0: either */
	uint32_t first, last;     /* of a number */
	uint32_t number;          /* unless one is given */
	size_t field;             /* where it goes in the policy */
	size_t has_field;         /* a bool there that says that it was given; 0: none */
	const char *default_;     /* in a text; NULL: the first of the words, or the number */
	enum option_live live;
	bool setter;       /* a setter of the spec's says the same */
	const char *alias; /* another's name for it; NULL: none */
	/* Of an alias' value ours, into `text`. NULL: the same. */
	void (*translate)(const char *value, char *text, size_t size);
	const char *since;
	const char *description; /* sentences, for a reader of the manual */
};

/* In the order in which they are shown; NULL behind the last. */
const struct known_option *option_at(size_t i);
const struct known_option *option_find(enum option_scope scope, const char *key);
/* The name of the scope, as bn_options_list() takes it, or in a sentence. */
const char *option_scope_name(enum option_scope scope);
const char *option_scope_text(enum option_scope scope);
/* "yes or no", "a number from 1 to 3" */
#define OPTION_LEGAL_MAX 160
void option_legal(const struct known_option *known, char text[static OPTION_LEGAL_MAX]);
void option_default(const struct known_option *known, char text[static OPTION_LEGAL_MAX]);

#endif
