/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subnets of a network as columns: what there is of several of a family stands in the same
 * column, one after another. */
#include <errno.h>
#include <string.h>

#include "store/private.h"

/* Of several subnets: the i-th of one column, "-" for none. */
static int take_gateway(const char *word, struct subnet *subnet)
{
	return strcmp(word, "-") == 0 ? 0 : addr_parse(word, &subnet->gateway);
}

static int take_range(const char *word, struct subnet *subnet)
{
	return strcmp(word, "-") == 0 ? 0 : range_parse(word, &subnet->range);
}

static int take_prefix(const char *word, struct subnet *subnet)
{
	return prefix_parse(word, &subnet->prefix);
}

static int column_words(sqlite3_stmt *statement, int column,
			int (*take)(const char *word, struct subnet *subnet),
			struct subnet subnets[static SUBNETS_MAX])
{
	const char *text = column_text(statement, column);
	char word[RANGE_TEXT_MAX];
	size_t len = 0;
	int r;

	while ((r = next_word(&text, word, sizeof(word))) > 0)
		if (len == SUBNETS_MAX || take(word, &subnets[len++]) < 0)
			return -EINVAL;
	return r;
}

int column_subnets(sqlite3_stmt *statement, int column,
		   struct subnet ret_subnets[static SUBNETS_MAX])
{
	int r = column_words(statement, column, take_prefix, ret_subnets);

	if (r == 0)
		r = column_words(statement, column + 1, take_gateway, ret_subnets);
	return r < 0 ? r : column_words(statement, column + 2, take_range, ret_subnets);
}

/* In place of what one lacks, where that is one of several. */
static char *put_word(char *end, bool first, bool alone, const char *word)
{
	if (!first)
		end = stpcpy(end, " ");
	return stpcpy(end, !word[0] && !alone ? "-" : word);
}

void format_subnets(const struct network *network, int family, struct subnet_columns *columns)
{
	char *prefixes = columns->prefixes, *gateways = columns->gateways;
	char *ranges = columns->ranges, word[RANGE_TEXT_MAX];
	const struct subnet *first = network_subnet(network, family);
	bool alone = !network_subnet_at(network, family, 1);

	*prefixes = *gateways = *ranges = '\0';
	for_each_subnet(subnet, network, family) {
		prefix_format(&subnet->prefix, word);
		prefixes = put_word(prefixes, subnet == first, alone, word);
		word[0] = '\0';
		if (addr_is_set(&subnet->gateway))
			addr_format(&subnet->gateway, word);
		gateways = put_word(gateways, subnet == first, alone, word);
		word[0] = '\0';
		if (addr_is_set(&subnet->range.first))
			range_format(&subnet->range, word);
		ranges = put_word(ranges, subnet == first, alone, word);
	}
}
