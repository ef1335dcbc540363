/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libip4tc and libip6tc, loaded when the backend is first used. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>

#include "firewall/iptables/iptables.h"

#define LIBRARY_IPV4 "libip4tc.so.2"
#define LIBRARY_IPV6 "libip6tc.so.2"

/*
 * What is loaded so stands in no list of needed libraries: a note says it to those who make
 * packages (systemd's "ELF dlopen metadata", owner FDO, type 0x407c0c0a).
 */
#define NOTE                                                                            \
	"[{\"feature\":\"iptables-legacy\","                                            \
	"\"description\":\"The iptables-legacy backend\",\"priority\":\"recommended\"," \
	"\"soname\":[\"" LIBRARY_IPV4 "\",\"" LIBRARY_IPV6 "\"]}]"
static const struct {
	uint32_t name_len, text_len, type;
	char name[4];
	_Alignas(4) char text[(sizeof(NOTE) + 3) / 4 * 4];
} note __attribute__((used, aligned(4), section(".note.dlopen"))) = {
	4, sizeof(NOTE), 0x407c0c0a, "FDO", NOTE,
};

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
	{ "init", offsetof(struct iptc, init) },
	{ "free", offsetof(struct iptc, free) },
	{ "commit", offsetof(struct iptc, commit) },
	{ "is_chain", offsetof(struct iptc, is_chain) },
	{ "builtin", offsetof(struct iptc, builtin) },
	{ "first_chain", offsetof(struct iptc, first_chain) },
	{ "next_chain", offsetof(struct iptc, next_chain) },
	{ "create_chain", offsetof(struct iptc, create_chain) },
	{ "delete_chain", offsetof(struct iptc, delete_chain) },
	{ "get_references", offsetof(struct iptc, get_references) },
	{ "first_rule", offsetof(struct iptc, first_rule) },
	{ "next_rule", offsetof(struct iptc, next_rule) },
	{ "get_target", offsetof(struct iptc, get_target) },
	{ "append_entry", offsetof(struct iptc, append_entry) },
	{ "insert_entry", offsetof(struct iptc, insert_entry) },
	{ "delete_num_entry", offsetof(struct iptc, delete_num_entry) },
	{ "get_policy", offsetof(struct iptc, get_policy) },
	{ "set_policy", offsetof(struct iptc, set_policy) },
};

static int load_error(const char *library, struct error *error)
{
	const char *text = dlerror();
	/* of a failure it has only words */
	CLEANUP_CLOSE int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		return error_set(error, -errno, BN_REASON_KERNEL, "can't load %s", library);
	return error_set(error, -EOPNOTSUPP, BN_REASON_BACKEND_UNAVAILABLE,
			 "backend iptables-legacy needs %s, which can't be loaded (%s); install "
			 "the package that has it (Debian: libip4tc2 and libip6tc2), or use "
			 "nftables",
			 library, text ? text : "no reason given");
}

int iptc_load(int family, struct iptc *iptc, struct error *error)
{
	const char *library = family == AF_INET ? LIBRARY_IPV4 : LIBRARY_IPV6;
	char name[40];

	memset(iptc, 0, sizeof(*iptc));
	iptc->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!iptc->library)
		return load_error(library, error);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void *function;

		snprintf(name, sizeof(name), "%s_%s", family == AF_INET ? "iptc" : "ip6tc",
			 functions[i].name);
		function = dlsym(iptc->library, name);
		if (!function) {
			iptc_unload(iptc);
			return load_error(library, error);
		}
		/* ISO C has no conversion of one to the other */
		memcpy((char *)iptc + functions[i].offset, &function, sizeof(function));
	}
	return 0;
}

void iptc_unload(struct iptc *iptc)
{
	if (iptc->library)
		dlclose(iptc->library);
	memset(iptc, 0, sizeof(*iptc));
}
