/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/netlink.h"

#define SOON_MS 2000
#define WAIT_MS 40

static const struct deadline long_ago = { .end = 1 };

/* What a callback saw, and what it answers. */
struct seen {
	size_t messages, pauses;
	int code;   /* of the last message that is a result */
	int answer; /* to a message */
	int answer_to_pause;
};

static int see(const struct nlmsghdr *message, void *userdata)
{
	struct seen *seen = userdata;

	if (!message) {
		seen->pauses++;
		return seen->answer_to_pause;
	}
	seen->messages++;
	if (message->nlmsg_type == NLMSG_ERROR)
		seen->code = netlink_result(message);
	return seen->answer;
}

static int open_socket(int family)
{
	int fd = netlink_open(family);

	assert_true(fd >= 0);
	return fd;
}

/* A request of `size` bytes that the kernel has no use for: it answers at once, with an error. */
static void send_nonsense(int fd, size_t size)
{
	struct nlmsghdr *message = calloc(1, size);
	struct iovec parts[2];

	assert_non_null(message);
	message->nlmsg_len = (uint32_t)size;
	message->nlmsg_type = RTM_MAX + 1;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	parts[0] = (struct iovec){ message, NLMSG_HDRLEN };
	parts[1] = (struct iovec){ message + 1, size - NLMSG_HDRLEN };
	assert_int_equal(netlink_send(fd, parts, 2), 0);
	free(message);
}

static void test_answer(void **state)
{
	struct seen seen = { .answer = 1 };
	int fd = open_socket(NETLINK_ROUTE);

	(void)state;
	/* What is there is taken, even after the deadline. */
	send_nonsense(fd, NLMSG_LENGTH(sizeof(struct rtgenmsg)));
	assert_int_equal(netlink_receive(fd, &long_ago, see, &seen), 0);
	assert_int_equal(seen.messages, 1);
	assert_int_equal(seen.pauses, 0);
	assert_int_equal(seen.code, -EOPNOTSUPP);
	/* Nothing more is: an answer that the callback gave up for does not come again. */
	assert_int_equal(netlink_receive(fd, &long_ago, see, &seen), -ETIMEDOUT);
	assert_int_equal(seen.messages, 1);
	assert_int_equal(seen.pauses, 1);
	close(fd);
}

static void test_callback(void **state)
{
	struct seen seen = { .answer = -EXDEV, .answer_to_pause = 1 };
	int fd = open_socket(NETLINK_ROUTE);

	(void)state;
	send_nonsense(fd, NLMSG_LENGTH(sizeof(struct rtgenmsg)));
	send_nonsense(fd, NLMSG_LENGTH(sizeof(struct rtgenmsg)));
	assert_int_equal(netlink_receive(fd, &(struct deadline){ clock_now_ms() + SOON_MS }, see,
					 &seen),
			 -EXDEV);
	assert_int_equal(seen.messages, 1);
	seen.answer = 0;
	assert_int_equal(
		netlink_receive(fd, &(struct deadline){ clock_now_ms() + SOON_MS }, see, &seen), 0);
	assert_int_equal(seen.messages, 2);
	assert_int_equal(seen.pauses, 1);
	seen.answer_to_pause = -EXDEV;
	assert_int_equal(netlink_receive(fd, &(struct deadline){ clock_now_ms() + SOON_MS }, see,
					 &seen),
			 -EXDEV);
	close(fd);
}

/* As many as one sends come as many messages, in order, whatever datagrams they are in. */
static void test_dump(void **state)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = { { sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0 }, { 0 } };
	struct iovec part = { &request, sizeof(request) };
	struct seen seen = { 0 };
	int fd = open_socket(NETLINK_ROUTE);

	(void)state;
	assert_int_equal(netlink_send(fd, &part, 1), 0);
	assert_int_equal(netlink_receive(fd, &long_ago, see, &seen), -ETIMEDOUT);
	/* lo, and the end of the dump */
	assert_true(seen.messages >= 2);
	close(fd);
}

static void test_foreign_sender(void **state)
{
	struct sockaddr_nl address = { 0 };
	socklen_t len = sizeof(address);
	int to = open_socket(NETLINK_USERSOCK), from = open_socket(NETLINK_USERSOCK);
	struct nlmsghdr message = { .nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = NLMSG_MIN_TYPE };
	struct seen seen = { .answer = 1 };

	(void)state;
	address.nl_family = AF_NETLINK;
	assert_int_equal(bind(to, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(to, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(sendto(from, &message, sizeof(message), 0, (struct sockaddr *)&address,
				sizeof(address)),
			 sizeof(message));
	assert_int_equal(netlink_receive(to, &(struct deadline){ clock_now_ms() + WAIT_MS }, see,
					 &seen),
			 -ETIMEDOUT);
	assert_int_equal(seen.messages, 0);
	/* It was there, and was taken from the queue. */
	assert_int_equal(recv(to, &message, sizeof(message), 0), -1);
	assert_int_equal(errno, EAGAIN);
	close(to);
	close(from);
}

static void test_truncation(void **state)
{
	struct seen seen = { .answer = 1 };
	int fd = open_socket(NETLINK_ROUTE), off = 0;

	(void)state;
	/* The kernel repeats the request in its error, more than any answer to us may hold. */
	assert_int_equal(setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &off, sizeof(off)), 0);
	send_nonsense(fd, 40000);
	assert_int_equal(netlink_receive(fd, &(struct deadline){ clock_now_ms() + SOON_MS }, see,
					 &seen),
			 -EMSGSIZE);
	assert_int_equal(seen.messages, 0);
	close(fd);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals = signals + 1;
}

static void test_waiting(void **state)
{
	struct itimerval timer = { { 0, 5000 }, { 0, 5000 } }, none = { 0 };
	struct sigaction action = { .sa_handler = count_signal }, before;
	uint64_t begun = clock_now_ms();
	struct seen seen = { 0 };
	int fd = open_socket(NETLINK_ROUTE), r;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
	r = netlink_receive(fd, &(struct deadline){ clock_now_ms() + WAIT_MS }, see, &seen);
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(signals > 0);
	assert_true(clock_now_ms() - begun >= WAIT_MS);
	assert_int_equal(seen.messages, 0);
	close(fd);
}

/* ---- what the kernel says ---- */

/* An error as the kernel makes it, with a text behind the request or the header of one. */
struct reply {
	_Alignas(struct nlmsghdr) char data[256];
	struct nlmsghdr *message;
};

static void make_error(struct reply *reply, uint16_t flags, size_t repeated, const char *text)
{
	struct nlmsgerr *error;
	struct nlattr *attribute;
	size_t offset;

	memset(reply, 0, sizeof(*reply));
	reply->message = (struct nlmsghdr *)reply->data;
	error = NLMSG_DATA(reply->message);
	error->error = -EINVAL;
	error->msg.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + repeated);
	offset = NLMSG_LENGTH(sizeof(*error));
	if (!(flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(repeated);
	attribute = (struct nlattr *)(reply->data + offset);
	attribute->nla_type = NLMSGERR_ATTR_MSG;
	attribute->nla_len = (uint16_t)(sizeof(*attribute) + strlen(text) + 1);
	memcpy(attribute + 1, text, strlen(text) + 1);
	*reply->message = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)(offset + NLMSG_ALIGN((size_t)attribute->nla_len)),
		.nlmsg_type = NLMSG_ERROR,
		.nlmsg_flags = flags,
	};
}

static void assert_text(struct reply *reply, const char *expected)
{
	char text[KERNEL_TEXT_MAX] = "left";

	netlink_text(reply->message, text);
	assert_string_equal(text, expected);
}

static void test_text(void **state)
{
	struct reply reply;

	(void)state;
	make_error(&reply, NLM_F_ACK_TLVS | NLM_F_CAPPED, 37, "no such thing");
	assert_text(&reply, "no such thing");
	make_error(&reply, NLM_F_ACK_TLVS, 37, "no such thing");
	assert_text(&reply, "no such thing");
	make_error(&reply, NLM_F_CAPPED, 37, "no such thing");
	assert_text(&reply, "");
	/* cut within the attribute, before it, and within the error itself */
	make_error(&reply, NLM_F_ACK_TLVS | NLM_F_CAPPED, 0, "no such thing");
	reply.message->nlmsg_len -= 8;
	assert_text(&reply, "");
	reply.message->nlmsg_len = NLMSG_LENGTH(sizeof(struct nlmsgerr));
	assert_text(&reply, "");
	reply.message->nlmsg_len = NLMSG_LENGTH(sizeof(int));
	assert_text(&reply, "");
	/* a request that can't have been that long */
	make_error(&reply, NLM_F_ACK_TLVS, 0, "no such thing");
	((struct nlmsgerr *)NLMSG_DATA(reply.message))->msg.nlmsg_len = 4000;
	assert_text(&reply, "");
}

static void test_result(void **state)
{
	struct reply reply;

	(void)state;
	make_error(&reply, NLM_F_CAPPED, 0, "");
	assert_int_equal(netlink_result(reply.message), -EINVAL);
	((struct nlmsgerr *)NLMSG_DATA(reply.message))->error = 0;
	assert_int_equal(netlink_result(reply.message), 0);
	((struct nlmsgerr *)NLMSG_DATA(reply.message))->error = 1;
	assert_int_equal(netlink_result(reply.message), -EBADMSG);
	reply.message->nlmsg_len = NLMSG_HDRLEN;
	assert_int_equal(netlink_result(reply.message), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),     cmocka_unit_test(test_callback),
		cmocka_unit_test(test_dump),       cmocka_unit_test(test_foreign_sender),
		cmocka_unit_test(test_truncation), cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_text),       cmocka_unit_test(test_result),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
