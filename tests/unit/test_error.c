/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* error.c and util.c. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"

static void test_error_set(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_error(error_set(&error, -ENOENT, BN_REASON_NETWORK_UNKNOWN, "no %s", "net"), -ENOENT,
		     BN_REASON_NETWORK_UNKNOWN, error, "no net");
	assert_int_equal(error_set(NULL, -EBUSY, BN_REASON_INVALID, "x"), -EBUSY);
	assert_error(error_set(&error, -EINVAL, BN_REASON_INVALID, "a '%s'", "\x1b[1m\n\x7f"),
		     -EINVAL, BN_REASON_INVALID, error, "a '?[1m?\?'");
	assert_int_equal(error_oom(&error), -ENOMEM);
	assert_int_equal(error.code, -ENOMEM);
	error_clear(&error);
	assert_int_equal(error.code, 0);
	assert_string_equal(error.message, "");
	error_clear(NULL);
	error_set_kernel(NULL, "x");
}

/* Whatever it was that could not be opened, it is not the kernel that refuses. */
static void test_error_of_too_many_files(void **state)
{
	struct error error = { 0 };
	char first[sizeof(error.message)];

	(void)state;
	assert_int_equal(error_set(&error, -EMFILE, BN_REASON_KERNEL, "cannot open it"), -EMFILE);
	assert_int_equal(error.reason, BN_REASON_NONE);
	assert_non_null(strstr(error.message, "RLIMIT_NOFILE"));
	assert_null(strstr(error.message, "open it"));
	/* what is added to it stays */
	memcpy(first, error.message, sizeof(first));
	error_set(&error, error.code, error.reason, "%.200s; later", first);
	assert_non_null(strstr(error.message, "RLIMIT_NOFILE"));
	assert_non_null(strstr(error.message, "; later"));
	error_set(&error, -ENFILE, BN_REASON_STATE, "cannot open it");
	assert_int_equal(error.reason, BN_REASON_NONE);
	assert_non_null(strstr(error.message, "fs.file-max"));
}

static void test_error_is_cut_at_a_character(void **state)
{
	struct error error = { 0 };
	char text[1024];

	(void)state;
	/* "é" over and over, at both alignments to the end of the buffer. */
	for (size_t shift = 0; shift < 2; shift++) {
		size_t len;

		memset(text, 'x', shift);
		for (size_t i = shift; i + 2 < sizeof(text); i += 2)
			memcpy(text + i, "\xc3\xa9", 3);
		error_set(&error, -EINVAL, BN_REASON_INVALID, "%s", text);
		len = strlen(error.message);
		assert_in_range(len, sizeof(error.message) - 3, sizeof(error.message) - 1);
		assert_string_equal(error.message + len - 3, "...");
		assert_int_equal((unsigned char)error.message[len - 4], 0xa9);
	}
}

static void test_error_of_full_length_is_not_cut(void **state)
{
	struct error error = { 0 };
	char text[sizeof(error.message)];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&error, -EINVAL, BN_REASON_INVALID, "%s", text);
	assert_string_equal(error.message, text);
}

static void test_error_kernel_text(void **state)
{
	struct error error = { 0 };
	char text[400];

	(void)state;
	error_set_kernel(&error, "Invalid\nlink");
	error_set(&error, -EINVAL, BN_REASON_KERNEL, "refused");
	assert_string_equal(error.kernel, "Invalid?link");
	memset(text, 'k', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set_kernel(&error, text);
	assert_int_equal(strlen(error.kernel), sizeof(error.kernel) - 1);
	assert_string_equal(error.kernel + sizeof(error.kernel) - 5, "k...");
	text[sizeof(error.kernel) - 1] = '\0';
	error_set_kernel(&error, text);
	assert_string_equal(error.kernel, text);
}

static void test_errno_text(void **state)
{
	(void)state;
	assert_string_equal(errno_text(ENOENT), "No such file or directory");
	/* no errno of any kernel */
	assert_string_equal(errno_text(4096), "unknown error");
}

static void test_string_copy(void **state)
{
	char text[4] = "abc";

	(void)state;
	assert_int_equal(string_copy(text, sizeof(text), "xyz"), 0);
	assert_string_equal(text, "xyz");
	assert_int_equal(string_copy(text, sizeof(text), "wxyz"), -ENAMETOOLONG);
	assert_string_equal(text, "");
	assert_int_equal(string_copy(text, sizeof(text), ""), 0);
}

static void test_vector(void **state)
{
	VECTOR(uint64_t) vector = { 0 };

	(void)state;
	assert_int_equal(vector_reserve(&vector, 0), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t *item = vector_push(&vector);

		assert_non_null(item);
		assert_int_equal(*item, 0);
		*item = i;
	}
	assert_int_equal(vector.len, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(vector.items[i], i);
	assert_int_equal(vector_reserve(&vector, SIZE_MAX), -ENOMEM);
	assert_int_equal(vector_reserve(&vector, SIZE_MAX / 8), -ENOMEM);
	assert_int_equal(vector_reserve(&vector, SIZE_MAX / 3 * 2), -ENOMEM);
	assert_int_equal(vector.items[999], 999);
	free(vector.items);
}

static void test_hash(void **state)
{
	(void)state;
	/* The published values for these. */
	assert_true(hash_text(HASH_START, "") == 0xcbf29ce484222325u);
	assert_true(hash_text(HASH_START, "a") == 0xaf63dc4c8601ec8cu);
	assert_true(hash_text(hash_text(HASH_START, "foo"), "bar") == 0x85944171f73967e8u);
}

static void test_descriptors(void **state)
{
	int kept, copy;

	(void)state;
	{
		CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_CLOSE int none = -1;

		assert_true(fd >= 0);
		copy = fd;
		kept = take_fd(&none);
	}
	assert_int_equal(kept, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	{
		CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		kept = take_fd(&fd);
		assert_int_equal(fd, -1);
	}
	assert_true(fcntl(kept, F_GETFD) >= 0);
	close(kept);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_set),
		cmocka_unit_test(test_error_of_too_many_files),
		cmocka_unit_test(test_error_is_cut_at_a_character),
		cmocka_unit_test(test_error_of_full_length_is_not_cut),
		cmocka_unit_test(test_error_kernel_text),
		cmocka_unit_test(test_errno_text),
		cmocka_unit_test(test_string_copy),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
