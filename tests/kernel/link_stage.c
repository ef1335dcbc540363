/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link_stage.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

struct link_handle *handle;
struct deadline link_deadline;
struct error error;
struct link_endpoint_made endpoint_made;
int host_ns = -1;

/* ---- namespaces, ip(8) ---- */

static void *namespace_thread(void *argument)
{
	int *fd = argument;

	*fd = unshare(CLONE_NEWNET) < 0 ? -1 :
					  open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return NULL;
}

struct sandbox sandbox_new(void)
{
	struct sandbox sandbox = { .fd = -1 };
	pthread_t thread;
	int fd = -1;

	assert_int_equal(pthread_create(&thread, NULL, namespace_thread, &fd), 0);
	pthread_join(thread, NULL);
	assert_true(fd >= 0);
	assert_int_equal(sandbox_open_fd(fd, fd, &sandbox, &error), 0);
	close(fd);
	return sandbox;
}

json_t *ip_json(int ns, const char *const *arguments)
{
	static char text[4 << 20];
	size_t len = 0;
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0 || dup2(pipes[1], 1) < 0)
			_exit(126);
		close(2);
		execvp("ip", (char *const *)arguments);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(pipes[0]);
	text[len] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0 ? json_loads(text, 0, NULL) : NULL;
}

void ip_run(int ns, const char *const *arguments)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0)
			_exit(126);
		execvp("ip", (char *const *)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

bool link_is_there(int ns, const char *name)
{
	json_t *list = IP(ns, "link", "show", "dev", name);
	bool there = list != NULL;

	json_decref(list);
	return there;
}

size_t link_count(int ns)
{
	json_t *list = IP(ns, "link", "show");
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}

const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool has_address(int ns, const char *interface, const char *address, unsigned int len)
{
	json_t *list = IP(ns, "addr", "show", "dev", interface), *entry;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(json_array_get(list, 0), "addr_info"), i, entry)
	{
		if (strcmp(text_of(entry, "local"), address) == 0 &&
		    json_integer_value(json_object_get(entry, "prefixlen")) == len)
			found = !json_object_get(entry, "tentative");
	}
	json_decref(list);
	return found;
}

bool has_flag(json_t *link, const char *flag)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(link, "flags"), i, entry)
	{
		if (strcmp(json_string_value(entry), flag) == 0)
			return true;
	}
	return false;
}

int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

void write_number(const char *path, int value)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "%d", value);
	assert_int_equal(fclose(file), 0);
}

size_t entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* ---- values ---- */

struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

struct prefix prefix(const char *text)
{
	struct prefix value;

	assert_int_equal(prefix_parse(text, &value), 0);
	return value;
}

struct subnet subnet(const char *cidr, const char *gateway)
{
	return (struct subnet){ .prefix = prefix(cidr), .gateway = address(gateway) };
}

struct bridge_config bridge_config(bool ipv6)
{
	struct bridge_config config = {
		.name = BRIDGE,
		.alias = ALIAS,
		.mtu = 1500,
		.ipv4 = subnet("172.30.0.0/16", "172.30.0.1"),
	};

	if (ipv6)
		config.ipv6 = subnet("fd00:30::/64", "fd00:30::1");
	return config;
}

struct endpoint endpoint_number(unsigned int n, bool ipv6)
{
	struct endpoint endpoint = { .network = "lk",
				     .interface = "eth0",
				     .mtu = 1500,
				     .metric_ipv4 = 100,
				     .metric_ipv6 = 100 };
	char text[PREFIX_TEXT_MAX];

	snprintf(endpoint.id, sizeof(endpoint.id), "endpoint%u", n);
	snprintf(endpoint.host_interface, IFNAMSIZ, "bv%u", n);
	snprintf(text, sizeof(text), "172.30.%u.%u/16", (n + 2) / 256, (n + 2) % 256);
	endpoint.ipv4 = prefix(text);
	mac_from_addr(&endpoint.ipv4.addr, 0, endpoint.mac);
	if (ipv6) {
		snprintf(text, sizeof(text), "fd00:30::%x/64", n + 2);
		endpoint.ipv6 = prefix(text);
	}
	return endpoint;
}

struct link_endpoint_config endpoint_config(const struct endpoint *endpoint)
{
	static const source_vector alone;
	static char alias[ALIAS_MAX];
	struct link_endpoint_config config = {
		.metric_room = 20,
		.sources = &alone,
		.endpoint = endpoint,
		.bridge = BRIDGE,
		.bridge_index = link_index(handle, BRIDGE),
		.alias = alias,
		.gateway_ipv4 = address("172.30.0.1"),
	};

	link_alias(NETWORK_ID, endpoint->id, alias);
	if (endpoint->ipv6.addr.family)
		config.gateway_ipv6 = address("fd00:30::1");
	return config;
}

int attach(const struct sandbox *sandbox, const struct endpoint *endpoint)
{
	struct link_endpoint_config config = endpoint_config(endpoint);

	error_clear(&error);
	return link_endpoint_create(handle, sandbox, &config, &endpoint_made, &error);
}

struct link_end end_of(const struct endpoint *endpoint)
{
	return (struct link_end){ endpoint, NETWORK_ID };
}

int delete_one(void)
{
	const struct endpoint endpoint = endpoint_number(0, false);
	const struct link_end end = end_of(&endpoint);

	return link_endpoints_delete(handle, &end, 1, &error);
}

int cut_one(void)
{
	const struct endpoint endpoint = endpoint_number(0, false);
	const struct link_end end = end_of(&endpoint);

	return link_endpoints_cut(handle, &end, 1, &error);
}

void delete_numbered(unsigned int count)
{
	static struct endpoint endpoints[NUMBERED_MAX];
	static struct link_end ends[NUMBERED_MAX];

	for (unsigned int i = 0; i < count; i++) {
		endpoints[i] = endpoint_number(i, false);
		ends[i] = end_of(&endpoints[i]);
	}
	assert_int_equal(link_endpoints_delete(handle, ends, count, &error), 0);
}

/* ---- fixtures ---- */

int stage_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	host_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	IP_RUN(host_ns, "link", "set", "lo", "up");
	return host_ns < 0 ? -1 : link_open(&link_deadline, &handle, NULL);
}

int stage_teardown(void **state)
{
	(void)state;
	link_close(handle);
	close(host_ns);
	return 0;
}

int stage_setup_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	error_clear(&error);
	fault_hook = NULL;
	link_deadline = (struct deadline){ 0 };
	return bridge_create(handle, &config, NULL, &error);
}

int stage_teardown_bridge(void **state)
{
	struct bridge_config config = bridge_config(true);

	(void)state;
	fault_hook = NULL;
	link_deadline = (struct deadline){ 0 };
	return bridge_delete(handle, &config, NULL, &error);
}
