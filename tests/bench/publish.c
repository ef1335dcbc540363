/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Publishing, unpublishing and listing ports beside the floors of the backend, in one run:
 * publish [BACKEND]..., by default with each that this build has.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "publish.h"

static const struct {
	const char *name;
	void (*run)(void);
} backends[] = {
	{ "nftables", publish_nftables },
	{ "iptables-legacy", publish_iptables },
};
#define BACKENDS (sizeof(backends) / sizeof(*backends))

static int run(const char *name)
{
	for (size_t i = 0; i < BACKENDS; i++) {
		if (strcmp(backends[i].name, name) != 0)
			continue;
		if (!bn_has_feature(name))
			break;
		backends[i].run();
		return 0;
	}
	fprintf(stderr, "backend '%s' is not in this build\n", name);
	return 1;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run(argv[i]);
	for (size_t i = 0; argc < 2 && i < BACKENDS; i++) {
		if (bn_has_feature(backends[i].name))
			failed |= run(backends[i].name);
	}
	return failed;
}
