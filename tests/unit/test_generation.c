/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A state that is older than it was is noticed, and one that is whole never taken for it. */
#include "store_fixture.h"

#define CHANGES 40
#define FLIPS 500

static const char *const files[] = { "state.db", "state.db-wal", "generation" };

static void path_of(const struct fixture *f, const char *name, char path[static 128])
{
	snprintf(path, 128, "%s/%s", f->directory, name);
}

struct content {
	uint8_t *bytes;
	size_t len;
};

static struct content read_whole(const struct fixture *f, const char *name)
{
	struct content content = { 0 };
	struct stat status;
	char path[128];
	int fd;

	path_of(f, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(fstat(fd, &status));
	content.len = (size_t)status.st_size;
	content.bytes = malloc(content.len + 1);
	assert_int_equal(read(fd, content.bytes, content.len), content.len);
	close(fd);
	return content;
}

static void write_whole(const struct fixture *f, const char *name, const struct content *content)
{
	char path[128];
	int fd;

	path_of(f, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content->bytes, content->len), content->len);
	close(fd);
}

static void change(struct fixture *f, int number)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", number);
	assert_ok(store_begin(f->store, &f->error));
	assert_ok(store_meta_set(f->store, "test", value, &f->error));
	commit(f);
}

static int changes_in(struct fixture *f)
{
	char value[META_MAX];

	assert_ok(store_meta_get(f->store, "test", value, &f->error));
	return atoi(value);
}

static int look_at(struct fixture *f)
{
	struct store_look look;
	int r = store_look(f->store, &look, &f->error);

	if (r == 0)
		r = store_check(f->store, &f->error);
	store_rollback(f->store);
	return r;
}

/* So far that the state is what it was last, or is refused. */
static bool open_again(struct fixture *f)
{
	int r = store_open(f->directory, false, 0, &f->store, &f->error);

	if (r == 0)
		r = look_at(f);
	if (r == 0)
		return true;
	assert_int_equal(r, -EBADMSG);
	assert_int_equal(f->error.reason, BN_REASON_STATE);
	store_close(f->store);
	f->store = NULL;
	return false;
}

static void take_away_index(struct fixture *f)
{
	char path[128];

	store_close(f->store);
	f->store = NULL;
	path_of(f, "state.db-shm", path);
	unlink(path);
}

/* Whichever bit of the journal is another: what a reader or a writer then has is no older state. */
static void test_flipped_bits(void **state)
{
	struct fixture *f = *state;
	struct content whole[ARRAY_SIZE(files)];
	struct store *reader;
	unsigned int refused = 0;
	uint32_t seed = 12345;
	uint64_t number;

	set_up_blue(f, "10.1.0.0/16");
	/* in whose way the journal is not emptied */
	assert_ok(store_open(f->directory, false, 0, &reader, &f->error));
	assert_ok(store_begin_read(reader, &f->error));
	assert_ok(store_generation(reader, &number, &f->error));
	for (int i = 1; i <= CHANGES; i++)
		change(f, i);
	take_away_index(f);
	store_close(reader);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		whole[i] = read_whole(f, files[i]);
	for (unsigned int i = 0; i < FLIPS; i++) {
		size_t place;

		seed = seed * 1664525 + 1013904223;
		place = seed % whole[1].len;
		whole[1].bytes[place] ^= (uint8_t)(1u << i % 8);
		for (size_t j = 0; j < ARRAY_SIZE(files); j++)
			write_whole(f, files[j], &whole[j]);
		whole[1].bytes[place] ^= (uint8_t)(1u << i % 8);
		if (open_again(f))
			assert_int_equal(changes_in(f), CHANGES);
		else
			refused++;
		take_away_index(f);
	}
	/* not by refusing what does not matter: most of a journal has been carried over, or is of
	 * pages that came again, but its frames are a chain */
	assert_true(refused > FLIPS / 10);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		write_whole(f, files[i], &whole[i]);
		free(whole[i].bytes);
	}
	assert_true(open_again(f));
	assert_int_equal(changes_in(f), CHANGES);
}

/* Who leaves more than a few frames in the journal empties it, but beside a reader; it stays. */
static void test_emptied_journal(void **state)
{
	struct fixture *f = *state;
	struct content journal;
	struct store *reader;
	uint64_t number;

	for (int beside = 1; beside >= 0; beside--) {
		assert_ok(store_open(f->directory, false, 0, &reader, &f->error));
		if (beside)
			assert_ok(store_begin_read(reader, &f->error));
		assert_ok(store_generation(reader, &number, &f->error));
		for (int i = 1; i <= CHANGES; i++)
			change(f, i);
		store_close(f->store);
		f->store = NULL;
		journal = read_whole(f, "state.db-wal");
		assert_int_equal(journal.len > 0, beside);
		free(journal.bytes);
		store_close(reader);
		assert_true(open_again(f));
		assert_int_equal(changes_in(f), CHANGES);
	}
}

/* An older copy, while it is open and after; and the way out that the sentence names. */
static void test_older_copy(void **state)
{
	struct fixture *f = *state;
	struct content older[2];
	char path[128];

	change(f, 1);
	take_away_index(f);
	for (size_t i = 0; i < ARRAY_SIZE(older); i++)
		older[i] = read_whole(f, files[i]);
	assert_true(open_again(f));
	change(f, 2);
	take_away_index(f);
	for (size_t i = 0; i < ARRAY_SIZE(older); i++) {
		write_whole(f, files[i], &older[i]);
		free(older[i].bytes);
	}
	assert_false(open_again(f));
	assert_says("older");
	path_of(f, "generation", path);
	assert_says(path);
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	assert_fails(store_begin(f->store, &f->error), -EBADMSG, BN_REASON_STATE);
	store_close(f->store);
	assert_ok(unlink(path));
	assert_true(open_again(f));
	assert_int_equal(changes_in(f), 1);
	change(f, 3);
	reopen(f);
	assert_ok(look_at(f));
}

/* What is taken over needs no other state's number. */
static void test_older_is_taken_over(void **state)
{
	struct fixture *f = *state;
	struct content newer;

	for (int i = 0; i < 9; i++)
		change(f, i);
	newer = read_whole(f, "generation");
	store_close(f->store);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[128];

		path_of(f, files[i], path);
		assert_ok(unlink(path));
	}
	write_whole(f, "generation", &newer);
	free(newer.bytes);
	assert_false(open_again(f));
	assert_ok(store_open(f->directory, false, 0, &f->store, &f->error));
	assert_int_equal(store_take_over(f->store, "namespace", "", &f->error), 1);
	change(f, 1);
	reopen(f);
	assert_ok(look_at(f));
}

/* A write of the number that was cut off, at either record and any length; or that never came. */
static void test_torn_number(void **state)
{
	struct fixture *f = *state;
	struct content before, after, torn;

	for (int i = 0; i < 2; i++) {
		change(f, 2 * i + 1);
		before = read_whole(f, "generation");
		change(f, 2 * i + 2);
		after = read_whole(f, "generation");
		assert_int_equal(before.len, after.len);
		torn = after;
		for (size_t len = 0; len < after.len; len++) {
			torn.bytes[len] = before.bytes[len];
			write_whole(f, "generation", &torn);
			assert_ok(look_at(f));
		}
		torn.len = 3;
		write_whole(f, "generation", &torn);
		assert_ok(look_at(f));
		free(before.bytes);
		free(after.bytes);
		/* the next change puts it right */
		change(f, 7);
		change(f, 8);
	}
}

/* What dies within its commit leaves the beginning of a frame. */
static void test_torn_journal(void **state)
{
	struct fixture *f = *state;
	struct content journal;

	change(f, 1);
	take_away_index(f);
	journal = read_whole(f, "state.db-wal");
	assert_true(open_again(f));
	change(f, 2);
	take_away_index(f);
	for (size_t cut = 1; cut < 400; cut += 7) {
		struct content torn = read_whole(f, "state.db-wal");
		struct content number = read_whole(f, "generation");

		assert_true(torn.len > journal.len);
		/* the next one's, after what stands: it was never committed */
		torn.bytes = realloc(torn.bytes, torn.len + cut);
		memcpy(torn.bytes + torn.len, torn.bytes + 32, cut);
		torn.len += cut;
		write_whole(f, "state.db-wal", &torn);
		assert_true(open_again(f));
		assert_int_equal(changes_in(f), 2);
		take_away_index(f);
		torn.len -= cut;
		write_whole(f, "state.db-wal", &torn);
		write_whole(f, "generation", &number);
		free(torn.bytes);
		free(number.bytes);
	}
	free(journal.bytes);
	assert_true(open_again(f));
}

#define HINT_KEY UINT64_C(0x0123456789abcdef)

/* Of no other key, through another handle, the newest of those that come late; and the number of
 * the state is not touched by it. */
static void test_hint(void **state)
{
	struct fixture *f = *state;
	struct store *other;

	change(f, 1);
	assert_ok(store_open(f->directory, false, 0, &other, &f->error));
	assert_int_equal(store_hint_get(other, HINT_KEY), 0);
	assert_int_equal(store_hint_get(other, 0), 0);
	for (uint64_t number = 7; number < 10; number++) {
		store_hint_set(f->store, HINT_KEY, number);
		assert_int_equal(store_hint_get(other, HINT_KEY), number);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(store_hint_get(other, HINT_KEY ^ UINT64_C(1) << bit), 0);
	}
	store_hint_set(other, HINT_KEY, 8);
	assert_int_equal(store_hint_get(f->store, HINT_KEY), 9);
	store_close(other);
	change(f, 2);
	assert_int_equal(store_hint_get(f->store, HINT_KEY), 9);
	assert_ok(look_at(f));
	assert_int_equal(changes_in(f), 2);
}

/* Cut off at any byte, with any bit another, or none at all: the one before it, or nothing. */
static void test_torn_hint(void **state)
{
	struct fixture *f = *state;
	struct content before, after, torn;
	uint64_t number;

	change(f, 1);
	change(f, 2);
	store_hint_set(f->store, HINT_KEY, UINT64_C(0x1020304));
	store_hint_set(f->store, HINT_KEY, UINT64_C(0x1020305));
	before = read_whole(f, "generation");
	store_hint_set(f->store, HINT_KEY, UINT64_C(0x2030406));
	after = read_whole(f, "generation");
	assert_int_equal(before.len, after.len);
	torn = read_whole(f, "generation");
	for (size_t i = 0; i < after.len * 8; i++) {
		torn.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		write_whole(f, "generation", &torn);
		torn.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		number = store_hint_get(f->store, HINT_KEY);
		assert_true(number == UINT64_C(0x1020305) || number == UINT64_C(0x2030406));
	}
	for (size_t len = 0; len < after.len; len++) {
		write_whole(f, "generation", &torn);
		number = store_hint_get(f->store, HINT_KEY);
		assert_true(number == UINT64_C(0x1020305) || number == UINT64_C(0x2030406));
		torn.bytes[len] = before.bytes[len];
	}
	for (torn.len = 0; torn.len < before.len; torn.len++) {
		write_whole(f, "generation", &torn);
		number = store_hint_get(f->store, HINT_KEY);
		assert_true(number == 0 || number == UINT64_C(0x1020304));
	}
	write_whole(f, "generation", &after);
	assert_ok(look_at(f));
	free(before.bytes);
	free(after.bytes);
	free(torn.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flipped_bits), TEST(test_emptied_journal),
		TEST(test_older_copy),   TEST(test_older_is_taken_over),
		TEST(test_torn_number),  TEST(test_torn_journal),
		TEST(test_hint),         TEST(test_torn_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
