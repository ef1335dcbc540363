/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One who changes the rules tells the others that use the state what they need not look at then; how
 * much that is, and what is not believed. */
#include "verb_stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "firewall/nft/nft.h"
#include "ops/context.h"

#define CHAINS 8 /* that a look asks for, at the least */

static void command(const char *text)
{
	if (system(text) != 0)
		fail_msg("this failed: %s", text);
}

/* Messages to nftables so far. */
static uint32_t count_sent(const bn_ctx *ctx)
{
	return ctx->firewall ? ((const struct nft *)ctx->firewall)->sequence : 0;
}

static uint32_t count_of_publish(bn_ctx *ctx)
{
	uint32_t before = count_sent(ctx), sent;

	assert_int_equal(publish(ctx), 0);
	sent = count_sent(ctx) - before;
	assert_int_equal(unpublish(ctx), 0);
	return sent;
}

static void test_another_is_told(void **state)
{
	bn_ctx *ctx = new_context(), *other = new_context();
	uint32_t alone;

	(void)state;
	run(create);
	run(attach);
	count_of_publish(ctx);
	alone = count_of_publish(ctx);
	count_of_publish(other);
	for (int i = 0; i < 3; i++) {
		/* in vain, and once more */
		assert_int_equal(count_of_publish(ctx), 2 * alone);
		assert_int_equal(count_of_publish(other), 2 * alone);
	}
	assert_int_equal(count_of_publish(other), alone);
	command("nft add table inet foreign");
	assert_in_range(count_of_publish(other), 2 * alone + CHAINS, UINT32_MAX);
	assert_int_equal(count_of_publish(ctx), 2 * alone);
	bn_ctx_free(ctx);
	bn_ctx_free(other);
}

static uint32_t count_of_new(void)
{
	bn_ctx *ctx = new_context();
	uint32_t count = count_of_publish(ctx);

	bn_ctx_free(ctx);
	return count;
}

/* Who comes new spares the look; but for what others have changed, or when nobody tells. */
static void test_new_is_told(void **state)
{
	char path[64];
	uint32_t told;

	(void)state;
	run(create);
	run(attach);
	told = count_of_new();
	assert_int_equal(count_of_new(), told);
	snprintf(path, sizeof(path), "%s/generation", state_dir);
	/* as an earlier release leaves it */
	assert_int_equal(truncate(path, 32), 0);
	assert_in_range(count_of_new(), told + CHAINS, UINT32_MAX);
	assert_int_equal(count_of_new(), told);
	command("nft add table inet foreign");
	assert_in_range(count_of_new(), told + CHAINS, UINT32_MAX);
	assert_int_equal(count_of_new(), told);
}

/* As it was mended before. */
static void test_damage_is_mended(void **state)
{
	static const char *const damages[] = {
		"nft flush chain inet bridgenet ports",
		"nft add table inet bridgenet '{ flags dormant; }'",
		"nft delete table inet bridgenet",
	};
	static char whole[SNAPSHOT_MAX], mended[SNAPSHOT_MAX];
	bn_ctx *ctx = new_context(), *other = new_context();

	(void)state;
	run(create);
	run(attach);
	run(publish);
	snapshot(whole);
	run(unpublish);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		count_of_publish(ctx);
		count_of_publish(other);
		command(damages[i]);
		assert_int_equal(publish(ctx), 0);
		snapshot(mended);
		assert_same(whole, mended);
		assert_int_equal(unpublish(ctx), 0);
		command(damages[i]);
		run(publish);
		snapshot(mended);
		assert_same(whole, mended);
		run(unpublish);
	}
	bn_ctx_free(ctx);
	bn_ctx_free(other);
}

#define KEY 0x1234567u

static uint64_t recalled(const bn_ctx *ctx)
{
	const struct firewall_memory *memory = &ctx->firewall->memory;

	return memory->recall(memory->data, KEY);
}

/* The same number means another thing in another namespace, or after another start. */
static void test_told_of_another_place(void **state)
{
	bn_ctx *ctx = new_context();
	struct binding here;

	(void)state;
	assert_int_equal(create(ctx), 0);
	here = ctx->here;
	ctx->firewall->memory.keep(ctx, KEY, 41);
	assert_int_equal(recalled(ctx), 41);
	ctx->here.cookie++;
	assert_int_equal(recalled(ctx), 0);
	ctx->here = here;
	ctx->here.boot[0] ^= 1;
	assert_int_equal(recalled(ctx), 0);
	/* where that is not known, nothing is said */
	ctx->here.boot[0] = '\0';
	ctx->firewall->memory.keep(ctx, KEY, 42);
	assert_int_equal(recalled(ctx), 0);
	ctx->here = here;
	ctx->here.cookie = 0;
	ctx->firewall->memory.keep(ctx, KEY, 42);
	assert_int_equal(recalled(ctx), 0);
	ctx->here = here;
	assert_int_equal(recalled(ctx), 41);
	bn_ctx_free(ctx);
}

static int clear(void **state)
{
	int r = tidy(state);

	command("nft list tables | grep -q foreign && nft delete table inet foreign; true");
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_another_is_told, clear),
		cmocka_unit_test_teardown(test_new_is_told, clear),
		cmocka_unit_test_teardown(test_damage_is_mended, clear),
		cmocka_unit_test_teardown(test_told_of_another_place, clear),
	};

	/* the other backend has nothing to tell */
	backend = "nftables";
	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
