/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the backends share: a namespace for each case, judges, and values. */
#ifndef BN_TESTS_FIREWALL_STAGE_H
#define BN_TESTS_FIREWALL_STAGE_H

#include "../case.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "firewall/firewall.h"

/* The one under test; each program says which. */
extern const struct firewall_backend *const backend;
extern struct firewall *firewall;
extern struct error error;
/* The records, of which the kernel's rules may say nothing. */
extern network_vector networks;
extern endpoint_vector endpoints;

void run(const char *command);
/* The output of a command; the caller frees. */
char *output_of(const char *command);
void assert_output_is(const char *command, const char *expected);

/* All iptables-legacy rules of both families with their counters, without what has a time in it. */
#define SAVE_ALL "{ iptables-legacy-save -c && ip6tables-legacy-save -c; } | grep -v '^#'"
size_t count_lines(const char *pattern); /* of those */
void assert_only_empty_tables(void);
/* To 7 packets and 700 bytes, of the rules that match, in a table of IPv4. */
void set_counters(const char *table, const char *pattern);

struct endpoint endpoint_of(const char *network, const char *id, const char *ipv4,
			    const char *ipv6);
void plan_mapping(const struct endpoint *endpoint, uint8_t protocol, const char *address,
		  uint16_t host_port, uint16_t container_port, uint16_t count, rule_vector *rules);
/* A network and its endpoint `web`, which has the second address of each subnet. */
struct endpoint plan_pair(const char *name, const char *bridge, const char *ipv4, const char *ipv6,
			  rule_vector *rules);
/* Two networks, one of both families, with endpoints and every kind of mapping. */
void plan_all(rule_vector *rules);
/* Networks of every policy about who is reached and by whom, on bridges of our own and others'. */
void plan_policies(rule_vector *rules);

int apply(const rule_vector *add, const rule_vector *remove, uint32_t flags);
int apply_beside(const rule_vector *stand, const rule_vector *add);
void list(const rule_vector *wanted, rule_vector *rules);
/* The kernel holds the base and these rules, nothing else, in this order. */
void assert_kernel_holds(const rule_vector *rules, const rule_vector *more);

/* For the cases. */
int stage_setup(void **state);
int stage_teardown(void **state);
#define FIREWALL_TEST(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
/* Open it again, with another configuration. */
void open_with(const struct firewall_config *config);
/* A case of every backend. */
void test_privilege(void **state);

#endif
