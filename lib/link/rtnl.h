/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rtnetlink transport: batches of messages, their answers, dumps. Private to link/. */
#ifndef BN_LINK_RTNL_H
#define BN_LINK_RTNL_H

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "link/link.h"

#define IFA_PROTO_ATTRIBUTE 11 /* IFA_PROTO, which headers before 5.18 lack */
/*
 * Who has made an address, a route or a rule, where others make some too; the kernel and the
 * programs known to iproute2 have other numbers. A kernel before 5.18 drops it of an address, which
 * then stays on somebody else's bridge when the network goes.
 */
#define PROTOCOL_OURS 0xb2

struct link_handle {
	int fd;          /* -1 after a failure: reopened by the next call */
	int family;      /* NETLINK_* */
	bool single_use; /* of another namespace or family: never reopened */
	bool has_ipv6;
	uint32_t sequence;
	const struct deadline *deadline;
	/* what rtnl_watch_address() waits for */
	uint32_t watched_index; /* 0: nothing */
	struct addr watched;
	struct kept_bridge *kept;   /* of kept.c; NULL: none */
	struct deletion *deletions; /* delete.c: the kernel is at them still, the oldest first */
};

int rtnl_open(struct link_handle *handle, struct error *error);
int rtnl_open_family(struct link_handle *handle, int netlink_family); /* NETLINK_* */
void rtnl_close(struct link_handle *handle);
#define CLEANUP_RTNL CLEANUP(rtnl_close)

/* It is an answer to one of our questions, and whoever reads it may trust its lengths. */
bool rtnl_is_whole(int netlink_family, const struct nlmsghdr *message);

/* Called for each message that answers a request; NULL when a dump starts anew. A negative return
 * makes the call fail. */
typedef int (*rtnl_reply_fn)(void *userdata, const struct nlmsghdr *reply);

/* More acknowledgements than this may not fit the socket's buffer (256 do in the default one). */
#define RTNL_BATCH_MAX 128

/*
 * Requests that go to the kernel in one sendmsg(). It works through all of them, also past one that
 * fails, so what must not happen after a failure belongs in the next batch.
 */
struct rtnl_batch {
	struct nl_msg *messages[RTNL_BATCH_MAX];
	int results[RTNL_BATCH_MAX];
	size_t len;
	size_t failed; /* the first that failed; len: the transport did */
	bool changes;  /* it asks for more than to be told */
	bool lost;     /* the kernel has got the changes, and its answer was not heard */
	int error;     /* met while building; rtnl_run() returns it */
	rtnl_reply_fn reply;
	void *userdata;
	char kernel[KERNEL_TEXT_MAX]; /* the extended ack of the first that failed */
};
void rtnl_batch_clear(struct rtnl_batch *batch);
#define CLEANUP_BATCH CLEANUP(rtnl_batch_clear)

/* Begin a message; what is put afterwards goes into it. A failure is kept in batch->error. */
void rtnl_add(struct rtnl_batch *batch, int type, int flags, const void *header, size_t len);
void rtnl_add_link(struct rtnl_batch *batch, int type, int flags, uint32_t index);
/* The same about a link of that name. */
void rtnl_add_named(struct rtnl_batch *batch, int type, int flags, const char *name);
void rtnl_add_link_up(struct rtnl_batch *batch, uint32_t index);
void rtnl_append(struct rtnl_batch *batch, const void *data, size_t len);
void rtnl_put(struct rtnl_batch *batch, int attribute, const void *data, size_t len);
void rtnl_put_u8(struct rtnl_batch *batch, int attribute, uint8_t value);
void rtnl_put_u32(struct rtnl_batch *batch, int attribute, uint32_t value);
void rtnl_put_string(struct rtnl_batch *batch, int attribute, const char *value);
/* Set (or, for the others, keep) flags of the link that the last message is about. */
void rtnl_put_flags(struct rtnl_batch *batch, uint32_t flags, uint32_t change);
void rtnl_put_no_addr_gen(struct rtnl_batch *batch);
struct nlattr *rtnl_nest(struct rtnl_batch *batch, int attribute);
void rtnl_nest_end(struct rtnl_batch *batch, struct nlattr *nest);

/* RTM_NEWADDR or RTM_DELADDR. */
void rtnl_add_address(struct rtnl_batch *batch, int type, uint32_t index,
		      const struct prefix *address, uint8_t protocol);
struct rtnl_route {
	const struct prefix *destination; /* NULL: the default route */
	const struct addr *gateway;       /* unspecified: whatever it is */
	uint32_t index;                   /* of the interface; 0: it has none */
	uint32_t metric;                  /* 0: the kernel's default */
	uint32_t table;                   /* 0: main; in others they are marked as ours */
	bool is_ours;                     /* in main, too */
	uint8_t type;                     /* RTN_*; 0: unicast */
};
/* RTM_NEWROUTE or RTM_DELROUTE. */
void rtnl_add_route(struct rtnl_batch *batch, int type, int flags, const struct rtnl_route *route);

struct rtnl_rule {
	uint32_t priority, table;
	struct addr source; /* family 0: any; then default routes of the table are passed over */
};
/* RTM_NEWRULE or RTM_DELRULE, marked as ours. */
void rtnl_add_rule(struct rtnl_batch *batch, int type, int family, const struct rtnl_rule *rule);

/* Pairs of IPV4_DEVCONF_* and value, for the link that the last message is about. */
void rtnl_put_ipv4_conf(struct rtnl_batch *batch, const int (*values)[2], size_t len);

/* Send and wait for every answer. 0, or the first failure (batch->failed), or the transport's. */
int rtnl_run(struct link_handle *handle, struct rtnl_batch *batch);
/* The same, a step that fails where a test wants it to. */
int rtnl_run_step(struct link_handle *handle, struct rtnl_batch *batch, const char *step);
/* The same, where one errno is no failure of any of the requests: -EEXIST of what is there, -ENODEV
 * of what is gone; 0 for none. */
int rtnl_run_passing(struct link_handle *handle, struct rtnl_batch *batch, int passed);
/* The same for what may be done twice: as long as the answer is lost it is sent again, at most
 * OUTCOME_LOOKS times in all, then OUTCOME_UNKNOWN. */
int rtnl_run_surely(struct link_handle *handle, struct rtnl_batch *batch, int passed,
		    const char *step);
/* To undo its creation; also when the time is up, as the kernel answers at once. */
int rtnl_delete_link(struct link_handle *handle, uint32_t index);
/* The only message of the batch asks for a dump. Where others keep changing what it shows, there
 * may be in it what has just gone, but nothing is missing that stays. */
int rtnl_dump(struct link_handle *handle, struct rtnl_batch *batch);

/* "cannot <format>: <why>", with the reason that fits the code. Returns code. */
int rtnl_failure(struct error *error, const struct rtnl_batch *batch, int code, const char *format,
		 ...) PRINTF(4, 5);

/* SIOCGIF*: one value of a link, asked without the lock that all of rtnetlink waits for. False if
 * there is no such link. For a name that nothing has the kernel tries to load a module: where that
 * may be, link_is_known() comes first. */
bool rtnl_link_ask(struct link_handle *handle, const char *name, unsigned long command,
		   struct ifreq *ret_answer);
uint32_t rtnl_link_index(struct link_handle *handle, const char *name); /* 0: none */
/* Let pending changes of the link's carrier take effect now. */
void rtnl_settle_carrier(struct link_handle *handle, const char *name);

/*
 * An IPv6 address answers neighbours only after a work queue has joined its multicast group, some
 * time after RTM_NEWADDR was acknowledged; the kernel announces that. Watch before the request, and
 * await or unwatch after it. An announcement that does not come within a second is given up.
 */
void rtnl_watch_address(struct link_handle *handle, uint32_t index, const struct addr *addr);
void rtnl_await_address(struct link_handle *handle);
void rtnl_unwatch_address(struct link_handle *handle);

#endif
