/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/finding.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

#define NOTE BN_SEVERITY_NOTE
#define BROKEN BN_SEVERITY_BROKEN
#define OPEN BN_SEVERITY_OPEN

/* The blanks {object}, {is}, {should_be}, {network}, {endpoint} are filled in; {of} is whose it is,
 * with a blank before it, or nothing. The remedy is what repair does: "" for nothing. */
/* clang-format off: a line for each part of a sentence */
static const struct finding_kind {
	const char *code;
	int severity;
	const char *sentence, *remedy;
} kinds[FINDING_COUNT] = {
	[FINDING_RULES_GONE] = {
		"rules-gone", OPEN,
		"{object} is {is}: none of our rules is there",
		"makes all of them again",
	},
	[FINDING_RULE_MISSING] = {
		"rule-missing", BROKEN,
		"a rule{of} is missing: {should_be}",
		"puts it back",
	},
	[FINDING_RULE_ALTERED] = {
		"rule-altered", BROKEN,
		"a rule{of} has been altered to: {is}; it should be: {should_be}",
		"puts back what it was",
	},
	[FINDING_RULE_ALIEN] = {
		"rule-alien", OPEN,
		"{object} has what is not ours: {is}; there should be {should_be}",
		"",
	},
	[FINDING_RULE_STRAY] = {
		"rule-stray", BROKEN,
		"a rule of ours belongs to nothing that the state has: {is}",
		"takes it out",
	},
	[FINDING_RULE_TWICE] = {
		"rule-twice", NOTE,
		"{object} has rules of ours twice: {is}",
		"takes out the copies",
	},
	[FINDING_RULE_TAKEN] = {
		"rule-taken", BROKEN,
		"a rule{of} can't stand beside one that may be of another state: {is}; it should "
		"be {should_be}",
		"puts it back when told to remove what is unknown",
	},
	[FINDING_RULES_UNKNOWN] = {
		"rules-unknown", NOTE,
		"{object} are marked as ours, and may be of another state: {is}",
		"takes them out when told to remove what is unknown",
	},
	[FINDING_RULES_ORDER] = {
		"rules-order", OPEN,
		"{object} has rules of ours out of order: {is}",
		"puts them in order",
	},
	[FINDING_RULES_BASE] = {
		"rules-base", OPEN,
		"{object} is not as it was made: {is}; it should be {should_be}",
		"makes it as it was",
	},
	[FINDING_TABLE_DORMANT] = {
		"table-dormant", OPEN,
		"{object} is dormant: none of its rules is looked at",
		"wakes it",
	},
	[FINDING_RULE_SHADOWS] = {
		"rule-shadows", BROKEN,
		"a rule of somebody else's comes before ours{of}: {is}",
		"",
	},
	[FINDING_FORWARD_STOPPED] = {
		"forward-stopped", BROKEN,
		"{object}, which is somebody else's, stops what is forwarded{of}: {is}; "
		"{should_be}",
		"",
	},
	[FINDING_COEXIST_MISSING] = {
		"coexist-missing", BROKEN,
		"{object}, which is somebody else's, should begin with two rules{of} that let "
		"pass what is forwarded (coexist=insert): {is}",
		"puts them there",
	},
	[FINDING_COEXIST_STRAY] = {
		"coexist-stray", BROKEN,
		"{object}, which is somebody else's, has rules{of} that let pass what is "
		"forwarded, and that are not to be there: {is}",
		"takes them out",
	},

	[FINDING_FORWARDING_OFF] = {
		"forwarding-off", BROKEN,
		"{object}{of} is {is}, so that what networks send and get is not forwarded",
		"turns it on",
	},
	[FINDING_FORWARDING_REQUIRED] = {
		"forwarding-required", BROKEN,
		"{object} is {is}, so that what networks send and get is not forwarded; with "
		"option forwarding=require it is yours to turn on",
		"",
	},
	[FINDING_SETTING_CHANGED] = {
		"setting-changed", BROKEN,
		"{object}{of} is {is}; it should be {should_be}",
		"sets it",
	},
	[FINDING_SETTING_OTHERS] = {
		"setting-others", BROKEN,
		"{object}{of} is {is}; the network needs {should_be}, but the bridge is somebody "
		"else's, so it is yours to set",
		"",
	},
	[FINDING_FRAMES_FILTERED] = {
		"frames-filtered", NOTE,
		"{object} is {is}: with icc=no, endpoints{of} don't reach the ports that it "
		"publishes itself",
		"",
	},

	[FINDING_BRIDGE_MISSING] = {
		"bridge-missing", BROKEN,
		"there is no bridge {object}{of}",
		"makes it again",
	},
	[FINDING_BRIDGE_TAKEN] = {
		"bridge-taken", BROKEN,
		"{object} should be the bridge of network {network}, and is {is}",
		"",
	},
	[FINDING_BRIDGE_LEFT] = {
		"bridge-left", BROKEN,
		"bridge {object}{of}, which somebody else has made, {is}; it is yours to bring "
		"back",
		"",
	},
	[FINDING_BRIDGE_RENAMED] = {
		"bridge-renamed", BROKEN,
		"the bridge of network {network} is called {is}; it should be {should_be}",
		"gives it its name back",
	},
	[FINDING_BRIDGE_DOWN] = {
		"bridge-down", BROKEN,
		"bridge {object}{of} is down",
		"brings it up",
	},
	[FINDING_BRIDGE_CHANGED] = {
		"bridge-changed", BROKEN,
		"bridge {object}{of} has {is}; it should be {should_be}",
		"sets it",
	},
	[FINDING_BRIDGE_ADDRESS_MISSING] = {
		"bridge-address-missing", BROKEN,
		"bridge {object}{of} lacks its address {should_be}",
		"gives it the address",
	},
	[FINDING_BRIDGE_STRAY] = {
		"bridge-stray", NOTE,
		"bridge {object} is marked as ours, and belongs to no network of the state ({is})",
		"takes it out when told to remove what is unknown",
	},

	[FINDING_NETWORK_UNMADE] = {
		"network-unmade", NOTE,
		"network {network} has come back without its bridge {object}, which the first "
		"endpoint would bring",
		"makes it",
	},
	[FINDING_DEFINITION_MISSING] = {
		"definition-missing", BROKEN,
		"the state does not have network {network}, which {object} defines",
		"takes it in",
	},
	[FINDING_DEFINITION_DAMAGED] = {
		"definition-damaged", BROKEN,
		"a persistent network can't be had: {is}",
		"",
	},

	[FINDING_SANDBOX_GONE] = {
		"sandbox-gone", BROKEN,
		"the namespace{of} is gone: {object}",
		"detaches the endpoint",
	},
	[FINDING_SANDBOX_HIDDEN] = {
		"sandbox-hidden", NOTE,
		"the namespace{of} can't be looked into: {is}",
		"",
	},
	[FINDING_SANDBOX_PATH] = {
		"sandbox-path", NOTE,
		"{object} leads to {is} by now, and not to the namespace{of}, {should_be}",
		"",
	},
	[FINDING_LINK_MISSING] = {
		"link-missing", BROKEN,
		"interface {object}{of} is missing: there is {is}",
		"makes it again",
	},
	[FINDING_LINK_RENAMED] = {
		"link-renamed", BROKEN,
		"the interface{of} is called {is}; it should be {should_be}",
		"gives it its name back",
	},
	[FINDING_LINK_DOWN] = {
		"link-down", BROKEN,
		"interface {object}{of} is down",
		"brings it up",
	},
	[FINDING_LINK_OFF_BRIDGE] = {
		"link-off-bridge", BROKEN,
		"interface {object}{of} is on {is}; it should be on bridge {should_be}",
		"puts it back",
	},
	[FINDING_LINK_CHANGED] = {
		"link-changed", BROKEN,
		"interface {object}{of} has {is}; it should be {should_be}",
		"sets it",
	},
	[FINDING_LINK_STRAY] = {
		"link-stray", NOTE,
		"interface {object} is marked as ours, and belongs to no endpoint of the state "
		"({is})",
		"takes it out when told to remove what is unknown",
	},
	[FINDING_INTERFACE_MISSING] = {
		"interface-missing", BROKEN,
		"interface {object} in the namespace{of} is missing: there is {is}",
		"makes it again",
	},
	[FINDING_INTERFACE_RENAMED] = {
		"interface-renamed", NOTE,
		"the interface in the namespace{of} is called {is}; it should be {should_be}",
		"gives it its name back",
	},
	[FINDING_INTERFACE_DOWN] = {
		"interface-down", BROKEN,
		"interface {object} in the namespace{of} is down",
		"brings it up",
	},
	[FINDING_INTERFACE_CHANGED] = {
		"interface-changed", BROKEN,
		"interface {object} in the namespace{of} has {is}; it should be {should_be}",
		"sets it",
	},
	[FINDING_ADDRESS_MISSING] = {
		"address-missing", BROKEN,
		"interface {object} in the namespace{of} lacks its address {should_be}",
		"gives it the address",
	},
	[FINDING_ROUTE_MISSING] = {
		"route-missing", BROKEN,
		"a route{of} is missing: {should_be}",
		"puts it back",
	},
	[FINDING_ROUTE_REPLACED] = {
		"route-replaced", NOTE,
		"a route{of} has another in its place: {is}; it was {should_be}",
		"",
	},
	[FINDING_ROUTE_STRAY] = {
		"route-stray", NOTE,
		"a route of ours belongs to no endpoint: {is}",
		"takes it out",
	},

	[FINDING_PORT_LISTENER] = {
		"port-listener", NOTE,
		"{is} listens on {object}, which is published{of}, and gets nothing from there",
		"",
	},
	[FINDING_PORT_ADDRESS_GONE] = {
		"port-address-gone", BROKEN,
		"{object} is published{of}, and {is}",
		"",
	},
	[FINDING_ADDRESS_TWICE] = {
		"address-twice", BROKEN,
		"{object}{of} is in use elsewhere: {is}",
		"",
	},
	[FINDING_SUBNET_OVERLAP] = {
		"subnet-overlap", NOTE,
		"subnet {object}{of} overlaps what the host reaches otherwise: {is}",
		"",
	},
	[FINDING_FLOWS_STALE] = {
		"flows-stale", BROKEN,
		"connections are still tracked to {object}: {is}",
		"drops them",
	},

	[FINDING_OPERATION_DEAD] = {
		"operation-dead", BROKEN,
		"a call has died half way{of}: {object}; {is}",
		"ends it",
	},
	[FINDING_STATE_ROW] = {
		"state-row", BROKEN,
		"the state has {object}, which belongs to nothing",
		"takes it out",
	},
	[FINDING_STATE_DAMAGED] = {
		"state-damaged", BROKEN,
		"the state has {object}, which is not there: it is damaged, and nothing else is "
		"repaired",
		"takes it out when told to remove what is unknown",
	},
};
/* clang-format on */

#define WORDS 5
static void words_of(const struct finding *finding, const char *words[static WORDS])
{
	words[0] = finding->network;
	words[1] = finding->endpoint;
	words[2] = finding->object;
	words[3] = finding->is;
	words[4] = finding->should_be;
}

int findings_add(finding_vector *findings, const struct finding *finding)
{
	const char *from[WORDS], *to[WORDS] = { NULL };
	struct finding *added = vector_push(findings);
	size_t size = 1;
	char *words;

	if (!added)
		return -ENOMEM;
	words_of(finding, from);
	for (size_t i = 0; i < WORDS; i++)
		size += from[i] ? strlen(from[i]) + 1 : 1;
	words = malloc(size);
	if (!words) {
		findings->len--;
		return -ENOMEM;
	}
	/* the network's is first, and what is freed */
	for (size_t i = 0; i < WORDS; i++) {
		to[i] = words;
		words = stpcpy(words, from[i] ? from[i] : "") + 1;
	}
	*added = *finding;
	added->network = to[0];
	added->endpoint = to[1];
	added->object = to[2];
	added->is = to[3];
	added->should_be = to[4];
	if (!added->severity)
		added->severity = kinds[finding->code].severity;
	return 0;
}

void finding_clear(struct finding *finding)
{
	free((char *)finding->network);
}

void findings_clear(finding_vector *findings)
{
	for (size_t i = 0; i < findings->len; i++)
		finding_clear(&findings->items[i]);
	free(findings->items);
	*findings = (finding_vector){ 0 };
}

static int compare_words(const struct finding *a, const struct finding *b)
{
	const char *left[WORDS], *right[WORDS];
	int r = 0;

	words_of(a, left);
	words_of(b, right);
	for (size_t i = 0; i < WORDS && r == 0; i++)
		r = strcmp(left[i], right[i]);
	return r;
}

static int compare(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	int r = b->severity - a->severity;

	if (r == 0)
		r = strcmp(a->network, b->network);
	if (r == 0)
		r = strcmp(a->endpoint, b->endpoint);
	if (r == 0)
		r = (int)a->code - (int)b->code;
	return r ? r : compare_words(a, b);
}

void findings_sort(finding_vector *findings)
{
	if (findings->len > 1)
		qsort(findings->items, findings->len, sizeof(*findings->items), compare);
}

bool findings_have(const finding_vector *findings, const struct finding *finding)
{
	return findings->len &&
	       bsearch(finding, findings->items, findings->len, sizeof(*finding), compare);
}

const char *finding_code_text(enum finding_code code)
{
	return kinds[code].code;
}

/* " of endpoint web on network front", " of network front" or "" */
static void put_whose(struct text_buffer *text, const struct finding *finding)
{
	if (!finding->network[0])
		return;
	text_put(text, " of ");
	if (finding->endpoint[0]) {
		text_put(text, "endpoint ");
		text_put(text, finding->endpoint);
		text_put(text, " on ");
	}
	text_put(text, "network ");
	text_put(text, finding->network);
}

static void put_blank(struct text_buffer *text, const struct finding *finding, const char *name)
{
	static const char *const names[WORDS] = { "network", "endpoint", "object", "is",
						  "should_be" };
	const char *words[WORDS];

	words_of(finding, words);
	if (strcmp(name, "of") == 0)
		put_whose(text, finding);
	for (size_t i = 0; i < WORDS; i++)
		if (strcmp(name, names[i]) == 0)
			text_put(text, words[i]);
}

int finding_text(const struct finding *finding, char **ret_text)
{
	const struct finding_kind *kind = &kinds[finding->code];
	struct text_buffer text = { 0 };
	const char *rest = kind->sentence;
	char word[64];

	while (*rest) {
		size_t len = strcspn(rest, "{}");

		if (len >= sizeof(word))
			len = sizeof(word) - 1;
		memcpy(word, rest, len);
		word[len] = '\0';
		rest += len;
		if (*rest == '}') {
			put_blank(&text, finding, word);
			rest++;
			continue;
		}
		text_put(&text, word);
		rest += *rest == '{';
	}
	if (kind->remedy[0] && !finding->repaired) {
		text_put(&text, "; repair ");
		text_put(&text, kind->remedy);
	}
	return text_end(&text, ret_text);
}
