/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found to be otherwise than the state says. */
#ifndef BN_MODEL_FINDING_H
#define BN_MODEL_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "bridgenet.h"
#include "base/vector.h"

/* What is wrong; finding.c says how bad that is, how it reads, and what repair does about it. */
enum finding_code {
	/* rules */
	FINDING_RULES_GONE,
	FINDING_RULE_MISSING,
	FINDING_RULE_ALTERED,
	FINDING_RULE_ALIEN,
	FINDING_RULE_STRAY,
	FINDING_RULE_TWICE,
	FINDING_RULE_TAKEN,
	FINDING_RULES_UNKNOWN,
	FINDING_RULES_ORDER,
	FINDING_RULES_BASE,
	FINDING_TABLE_DORMANT,
	FINDING_RULE_SHADOWS,
	FINDING_FORWARD_STOPPED,
	FINDING_COEXIST_MISSING,
	FINDING_COEXIST_STRAY,
	/* the host's settings */
	FINDING_FORWARDING_OFF,
	FINDING_FORWARDING_REQUIRED,
	FINDING_SETTING_CHANGED,
	FINDING_SETTING_OTHERS,
	FINDING_FRAMES_FILTERED,
	/* bridges */
	FINDING_BRIDGE_MISSING,
	FINDING_BRIDGE_TAKEN,
	FINDING_BRIDGE_LEFT,
	FINDING_BRIDGE_RENAMED,
	FINDING_BRIDGE_DOWN,
	FINDING_BRIDGE_CHANGED,
	FINDING_BRIDGE_ADDRESS_MISSING,
	FINDING_BRIDGE_STRAY,
	FINDING_NETWORK_UNMADE,
	FINDING_DEFINITION_MISSING,
	FINDING_DEFINITION_DAMAGED,
	/* endpoints */
	FINDING_SANDBOX_GONE,
	FINDING_SANDBOX_HIDDEN,
	FINDING_SANDBOX_PATH,
	FINDING_LINK_MISSING,
	FINDING_LINK_RENAMED,
	FINDING_LINK_DOWN,
	FINDING_LINK_OFF_BRIDGE,
	FINDING_LINK_CHANGED,
	FINDING_LINK_STRAY,
	FINDING_INTERFACE_MISSING,
	FINDING_INTERFACE_RENAMED,
	FINDING_INTERFACE_DOWN,
	FINDING_INTERFACE_CHANGED,
	FINDING_ADDRESS_MISSING,
	FINDING_ROUTE_MISSING,
	FINDING_ROUTE_REPLACED,
	FINDING_ROUTE_STRAY,
	/* ports, addresses, flows */
	FINDING_PORT_LISTENER,
	FINDING_PORT_ADDRESS_GONE,
	FINDING_ADDRESS_TWICE,
	FINDING_SUBNET_OVERLAP,
	FINDING_FLOWS_STALE,
	/* the state */
	FINDING_OPERATION_DEAD,
	FINDING_STATE_ROW,
	FINDING_STATE_DAMAGED,
	FINDING_COUNT
};

struct finding {
	enum finding_code code;
	int severity;                        /* 0: that of its code */
	const char *network, *endpoint;      /* NULL: of none */
	const char *object, *is, *should_be; /* NULL: there is nothing to say */
	bool repaired, is_passing;
	size_t inspector; /* that has found it; ops/inspection.h */
};
/* Items have been made by findings_add(), and own their words. */
typedef VECTOR(struct finding) finding_vector;

/* A copy, with its words. 0, -ENOMEM */
int findings_add(finding_vector *findings, const struct finding *finding);
void finding_clear(struct finding *finding); /* one of them, which is to leave */
void findings_clear(finding_vector *findings);
/* The worst first, and of those in order of what they are about. */
void findings_sort(finding_vector *findings);
/* Is one among them, which are sorted, that is about the same and says the same? */
bool findings_have(const finding_vector *findings, const struct finding *finding);

const char *finding_code_text(enum finding_code code); /* "bridge-down" */
/* One sentence, and what repair would do about it; the caller's to free. 0, -ENOMEM */
int finding_text(const struct finding *finding, char **ret_text);

#endif
