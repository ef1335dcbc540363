/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets of netlink, and the one loop that takes answers from them. Who asks builds the messages,
 * and tells the answers to its requests from what else comes.
 */
#ifndef BN_BASE_NETLINK_H
#define BN_BASE_NETLINK_H

#include <libmnl/libmnl.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/error.h"

/* Close-on-exec and never waiting; the kernel says in words why it refuses, and does not repeat the
 * request. A descriptor, or -errno. */
int netlink_open(int family);
/* The same, to hear what is told to all: one without a number of its own is not told what comes of
 * the kernel itself. */
int netlink_open_listener(int family);
/* In one datagram, which may hold many messages. The kernel does the work before this returns. */
int netlink_send(int fd, struct iovec *parts, size_t len);

/* Each message from the kernel; NULL when no more is there yet, before it is waited for. 0 to go
 * on, 1 when it was the last, a negative errno to give up. */
typedef int (*netlink_message_fn)(const struct nlmsghdr *message, void *userdata);
/* Until `message` ends it: 0, its errno, or one of the socket. The deadline is for waiting, and
 * between the parts of a dump: the answer to a change that is there already is taken even later. */
int netlink_receive(int fd, const struct deadline *deadline, netlink_message_fn message,
		    void *userdata);

/* mnl_nlmsg_ok(), which takes a length beyond 2 GiB for less than what is left, right. */
bool netlink_message_fits(const struct nlmsghdr *header, int left);

/* Of an NLMSG_ERROR, which is also how success is told, or an NLMSG_DONE: 0 or a negative errno. */
int netlink_result(const struct nlmsghdr *message);
/* The kernel's own words (extended ack) in an NLMSG_ERROR, "" if there are none. */
void netlink_text(const struct nlmsghdr *message, char text[static KERNEL_TEXT_MAX]);

/*
 * What an attribute has to be for those who read it, as the kernel's own policies say: a number of
 * '1', '2', '4' or '8' bytes, 's' a text with its end, 'n' a nest; others may be of any length.
 */
bool netlink_fits(const struct nlattr *attribute, char form);
struct netlink_shape {
	uint16_t type;     /* of the message */
	uint16_t header;   /* bytes of its payload before the attributes */
	const char *forms; /* by the attributes' types; NULL: none is looked at */
	size_t len;
};
/* The message is of one of the types, and all that is said of it holds. */
bool netlink_is_whole(const struct nlmsghdr *message, const struct netlink_shape *shapes,
		      size_t len);

/* The attributes of a message, behind `skip` bytes of its payload, or of a nest, by their types up
 * to `max`; NULL for what is not there, and for everything of a nest that is not. */
void netlink_attributes(const struct nlmsghdr *message, size_t skip,
			const struct nlattr **ret_attributes, uint16_t max);
void netlink_nested(const struct nlattr *nest, const struct nlattr **ret_attributes, uint16_t max);
/* That one of a nest; NULL: it is not there, or there is no nest. */
const struct nlattr *netlink_of(const struct nlattr *nest, uint16_t type);

/* Walking through attributes. libmnl's own loops convert lengths without saying so, and call a
 * function for each step, which a long dump feels. */
static inline const struct nlattr *attribute_at(const void *at, const void *end)
{
	const struct nlattr *attribute = at;
	size_t left = (size_t)((const char *)end - (const char *)at);

	if (at >= end || left < sizeof(*attribute) || attribute->nla_len < sizeof(*attribute) ||
	    attribute->nla_len > left)
		return NULL;
	return attribute;
}

static inline const struct nlattr *attribute_next(const struct nlattr *attribute, const void *end)
{
	return attribute_at((const char *)attribute + (((size_t)attribute->nla_len + 3) & ~3ul),
			    end);
}

static inline uint16_t attribute_type(const struct nlattr *attribute)
{
	return (uint16_t)(attribute->nla_type & (unsigned int)NLA_TYPE_MASK);
}

static inline const void *attribute_payload(const struct nlattr *attribute)
{
	return attribute + 1;
}

static inline size_t attribute_payload_len(const struct nlattr *attribute)
{
	return attribute->nla_len - sizeof(*attribute);
}

static inline const void *attribute_end(const struct nlattr *attribute)
{
	return (const char *)attribute + attribute->nla_len;
}

#define for_each_between(attribute, first, end)                       \
	for ((attribute) = attribute_at((first), (end)); (attribute); \
	     (attribute) = attribute_next((attribute), (end)))
#define for_each_nested(attribute, nest) \
	for_each_between(attribute, attribute_payload(nest), attribute_end(nest))

#endif
