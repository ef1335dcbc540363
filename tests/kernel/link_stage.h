/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of links share: a namespace that stands for the host, ip(8), and values. */
#ifndef BN_TEST_LINK_STAGE_H
#define BN_TEST_LINK_STAGE_H

#include "../case.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "link/bridge.h"
#include "base/fault.h"

#define BRIDGE "lk-bridge"
#define NETWORK_ID "0123456789ab"
#define ALIAS "bridgenet:" NETWORK_ID
#define NUMBERED_MAX 1000

extern struct link_handle *handle;
extern struct deadline link_deadline;           /* of it */
extern struct link_endpoint_made endpoint_made; /* by the last attach() */
extern struct error error;
extern int host_ns;

struct sandbox sandbox_new(void);
/* ip(8) in a namespace, its output parsed; NULL if it failed or said nothing. */
json_t *ip_json(int ns, const char *const *arguments);
#define IP(ns, ...) ip_json(ns, (const char *const[]){ "ip", "-j", "-d", __VA_ARGS__, NULL })
void ip_run(int ns, const char *const *arguments);
#define IP_RUN(ns, ...) ip_run(ns, (const char *const[]){ "ip", __VA_ARGS__, NULL })
bool link_is_there(int ns, const char *name);
size_t link_count(int ns);
const char *text_of(json_t *object, const char *key);
/* There, and past duplicate address detection. */
bool has_address(int ns, const char *interface, const char *address, unsigned int len);
bool has_flag(json_t *link, const char *flag);
int read_number(const char *path);
void write_number(const char *path, int value);
size_t entries(const char *path);

struct addr address(const char *text);
struct prefix prefix(const char *text);
struct subnet subnet(const char *cidr, const char *gateway);
struct bridge_config bridge_config(bool ipv6);
struct endpoint endpoint_number(unsigned int n, bool ipv6);
struct link_endpoint_config endpoint_config(const struct endpoint *endpoint);

int attach(const struct sandbox *sandbox, const struct endpoint *endpoint);
struct link_end end_of(const struct endpoint *endpoint);
/* bv0, that of endpoint_number(0) */
int delete_one(void);
int cut_one(void);
/* bv0, bv1, ... in one call */
void delete_numbered(unsigned int count);

/* For the program, and for a test with a bridge of both families. */
int stage_setup(void **state);
int stage_teardown(void **state);
int stage_setup_bridge(void **state);
int stage_teardown_bridge(void **state);
#define BRIDGE_TEST(test) \
	cmocka_unit_test_setup_teardown(test, stage_setup_bridge, stage_teardown_bridge)

#endif
