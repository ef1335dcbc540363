/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options, a row for each: bn_options_list() and bridgenet-options(7) show these, and nothing
 * says anything about an option elsewhere.
 */
#include <stdio.h>
#include <string.h>

#include "model/option_table.h"

/* ---- values of others' names for them ---- */

static bool is_true(const char *value)
{
	return strcmp(value, "true") == 0 || strcmp(value, "1") == 0 || strcmp(value, "yes") == 0;
}

static void invert(const char *value, char *text, size_t size)
{
	string_copy(text, size,
		    is_true(value) ? "no" :
		    strcmp(value, "false") == 0 || strcmp(value, "0") == 0 ||
				    strcmp(value, "no") == 0 ?
				     "yes" :
				     value);
}

static void colons_to_commas(const char *value, char *text, size_t size)
{
	string_copy(text, size, value);
	for (; *text; text++)
		if (*text == ':')
			*text = ',';
}

static void managed_or_not(const char *value, char *text, size_t size)
{
	string_copy(text, size,
		    strcmp(value, "unmanaged") == 0 ? "no" :
		    strcmp(value, "managed") == 0   ? "yes" :
						      value);
}

static void forward_or_require(const char *value, char *text, size_t size)
{
	string_copy(text, size,
		    is_true(value)                                         ? "on" :
		    strcmp(value, "false") == 0 || strcmp(value, "0") == 0 ? "require" :
									     value);
}

/* clang-format off */
#define ROW(scope_, key_, type_, ...) \
	{ .scope = OPTION_##scope_, .key = (key_), .type = &option_##type_, __VA_ARGS__ }
#define WORDS(...) .words = (const char *const[]){ __VA_ARGS__, NULL }
#define NO_YES WORDS("no", "yes")
#define YES_NO WORDS("yes", "no")
#define NUMBER(from, to, default__) .first = (from), .last = (to), .number = (default__)
#define FIELD(scope_, name) .field = offsetof(struct scope_##_policy, name)
#define HAS_FIELD(scope_, name) .has_field = offsetof(struct scope_##_policy, name)
#define BRIDGE_ALIAS(name) .alias = "com.docker.network.bridge." name
#define NETWORK_ALIAS(name) .alias = "com.docker.network." name
#define SAYS(release, text) .since = (release), .description = (text)

static const struct known_option options[] = {
	/* ---- networks ---- */
	ROW(NETWORK, "label.", text, .rest = "NAME", .live = LIVE_YES, .default_ = "",
	    SAYS("0.1", "Any value, kept for the caller.")),
	ROW(NETWORK, "ipv4", word, YES_NO, .setter = true, NETWORK_ALIAS("enable_ipv4"),
	    SAYS("0.2", "Whether the network has IPv4, as bn_network_spec_set_ipv4(3) says.")),
	ROW(NETWORK, "ipv6", word, NO_YES, .setter = true, NETWORK_ALIAS("enable_ipv6"),
	    SAYS("0.2", "Whether the network has IPv6, as bn_network_spec_set_ipv6(3) says.")),
	ROW(NETWORK, "bridge", interface, .setter = true, .default_ = "bn- and 12 digits of the id",
	    BRIDGE_ALIAS("name"),
	    SAYS("0.2", "The bridge, as bn_network_spec_set_bridge(3) says.")),
	ROW(NETWORK, "mtu", number, NUMBER(0, 65535, 0), .setter = true, .live = LIVE_YES,
	    .default_ = "that of the host's way out", .alias = "com.docker.network.driver.mtu",
	    SAYS("0.2", "The MTU in bytes, from 68 on, as bn_network_spec_set_mtu(3) says; 0 is "
			"that of the interface of the host's default route. When it changes, the "
			"bridge "
			"follows, if it is not somebody else's, and both ends of each endpoint's "
			"link "
			"whose option mtu is not set; but not across 1280, below which there is no "
			"IPv6.")),
	ROW(NETWORK, "mtu-from", interface, FIELD(network, mtu_from), .live = LIVE_YES,
	    .default_ = "",
	    SAYS("0.2", "The MTU is that of this interface of the host, as it is when the network "
			"is made or updated.")),
	ROW(NETWORK, "mss-clamp", word, NO_YES, FIELD(network, mss_clamp), .live = LIVE_YES,
	    SAYS("0.2", "With yes, TCP connections that pass the bridge to or from elsewhere agree "
			"on segments that fit the route, for ways on which the messages that would "
			"say so are lost.")),
	ROW(NETWORK, "internal", word, NO_YES, FIELD(network, internal), .live = LIVE_YES,
	    NETWORK_ALIAS("internal"),
	    SAYS("0.1", "With yes, endpoints reach each other and the host's address on the "
			"bridge, and nothing else; they have no default route, and publish no "
			"ports. It can be changed while no endpoint is attached.")),
	ROW(NETWORK, "icc", word, YES_NO, FIELD(network, icc), .live = LIVE_YES,
	    BRIDGE_ALIAS("enable_icc"),
	    SAYS("0.1", "With no, endpoints of the network reach each other by published ports "
			"alone: their ports of the bridge are isolated. Where br_netfilter is on, "
			"they don't reach those that their own network publishes, either.")),
	ROW(NETWORK, "masquerade", word, YES_NO, FIELD(network, masquerade), .live = LIVE_YES,
	    BRIDGE_ALIAS("enable_ip_masquerade"),
	    SAYS("0.1", "What leaves the network takes the address of the host. With no, it keeps "
			"its own, and whoever answers needs a route to the network.")),
	ROW(NETWORK, "snat-ipv4", address, FIELD(network, snat_ipv4), .family = AF_INET,
	    .live = LIVE_YES, .default_ = "", NETWORK_ALIAS("host_ipv4"),
	    SAYS("0.2", "What leaves the network takes this address, and not the one that the "
			"host would take itself. That the host has it is the caller's to see to.")),
	ROW(NETWORK, "snat-ipv6", address, FIELD(network, snat_ipv6), .family = AF_INET6,
	    .live = LIVE_YES, .default_ = "", NETWORK_ALIAS("host_ipv6"),
	    SAYS("0.2", "The same for IPv6.")),
	ROW(NETWORK, "source-ports", word, WORDS("random", "keep"), FIELD(network, source_ports),
	    .live = LIVE_YES,
	    SAYS("0.2", "With random, what leaves the network by masquerade takes any port of the "
			"host's address. With keep, it keeps its own where that is free, for "
			"protocols that depend on it; then two endpoints that ask one server from "
			"the same port at once may lose a packet.")),
	ROW(NETWORK, "nat-exclude", prefixes, FIELD(network, nat_exclude), .live = LIVE_YES,
	    .default_ = "",
	    SAYS("0.2", "What goes there keeps its own address.")),
	ROW(NETWORK, "gateway-mode-ipv4", word, WORDS("nat", "nat-unprotected", "routed",
	    "isolated"), FIELD(network, gateway_mode_ipv4), .live = LIVE_YES,
	    BRIDGE_ALIAS("gateway_mode_ipv4"),
	    SAYS("0.1", "How endpoints are reached from outside by IPv4. With nat, by published "
			"ports alone. With nat-unprotected, at all their ports as well, by who has "
			"a route there. With routed, by their own addresses at the published "
			"ports, and nothing is translated. With isolated, which goes with "
			"internal=yes, not even the host is on the bridge. A network does not "
			"become isolated, or cease to be, while it stands.")),
	ROW(NETWORK, "gateway-mode-ipv6", word, WORDS("nat", "nat-unprotected", "routed",
	    "isolated"), FIELD(network, gateway_mode_ipv6), .live = LIVE_YES,
	    BRIDGE_ALIAS("gateway_mode_ipv6"),
	    SAYS("0.1", "The same for IPv6.")),
	ROW(NETWORK, "trusted", trusted, FIELD(network, trusted), .live = LIVE_YES, .default_ = "",
	    BRIDGE_ALIAS("trusted_host_interfaces"), .translate = colons_to_commas,
	    SAYS("0.2", "What arrives by these interfaces of the host, or from these networks, "
			"reaches published ports also at the endpoints' own addresses.")),
	ROW(NETWORK, "direct-routing", word, NO_YES, FIELD(network, direct_routing),
	    .live = LIVE_YES,
	    SAYS("0.2", "With yes, everybody reaches published ports also at the endpoints' own "
			"addresses.")),
	ROW(NETWORK, "bind", address, FIELD(network, bind), .live = LIVE_NEW, .default_ = "",
	    BRIDGE_ALIAS("host_binding_ipv4"),
	    SAYS("0.2", "Where ports are published that name no address of the host: this one, and "
			"not all of them. 0.0.0.0 stands for all of both families, :: for all of "
			"IPv6. It is nothing to a family that is routed.")),
	ROW(NETWORK, "bridge-address-ipv4", word, YES_NO, FIELD(network, bridge_address_ipv4),
	    BRIDGE_ALIAS("inhibit_ipv4"), .translate = invert,
	    SAYS("0.2", "With no, the bridge does not get the gateway's address: somebody else "
			"has it, or nobody; and endpoints have no default route of IPv4 but to "
			"default-gateway-ipv4.")),
	ROW(NETWORK, "bridge-address-ipv6", word, YES_NO, FIELD(network, bridge_address_ipv6),
	    SAYS("0.2", "The same for IPv6.")),
	ROW(NETWORK, "default-gateway-ipv4", address, FIELD(network, default_gateway_ipv4),
	    .family = AF_INET, .live = LIVE_NEW, .default_ = "the bridge's",
	    SAYS("0.2", "The address in the subnet that the default route of endpoints leads to.")),
	ROW(NETWORK, "default-gateway-ipv6", address, FIELD(network, default_gateway_ipv6),
	    .family = AF_INET6, .live = LIVE_NEW, .default_ = "the bridge's",
	    SAYS("0.2", "The same for IPv6.")),
	ROW(NETWORK, "managed", word, YES_NO, FIELD(network, managed), .alias = "mode",
	    .translate = managed_or_not,
	    SAYS("0.2", "With no, there are links and nothing else: the bridge has no address, and "
			"there are no rules and no settings of the host. Subnets, if the network "
			"has any, are what addresses of endpoints are chosen from; with neither "
			"IPv4 "
			"nor IPv6 endpoints have an interface and no address. There are no ports, "
			"and "
			"a default route only to default-gateway-ipv4 and -ipv6.")),
	ROW(NETWORK, "isolate", word, WORDS("strict", "yes", "no"), FIELD(network, isolate),
	    .live = LIVE_YES,
	    SAYS("0.2", "Two networks reach each other directly, unless one of them is strict or "
			"both are yes; else by published ports alone.")),
	ROW(NETWORK, "host-access", word, WORDS("all", "dns+icmp", "published", "none"),
	    FIELD(network, host_access), .live = LIVE_YES,
	    SAYS("0.2", "What endpoints reach of the host itself: all that its own rules let in; "
			"or port 53, echo and published ports; echo and published ports; or "
			"nothing. Connections that the host makes go on.")),
	ROW(NETWORK, "anti-spoof", word, WORDS("no", "mac", "full"), FIELD(network, anti_spoof),
	    .live = LIVE_YES,
	    SAYS("0.2", "With mac, an endpoint sends with its own MAC alone, and nobody takes it: "
			"the bridge knows where it is. With full, it also sends from its own "
			"addresses alone, and from what it has routes-for; tells nobody that "
			"it has others; and is no router and no DHCP server. Its IPv6 "
			"link-local address must be that of its MAC (EUI-64, which is the "
			"kernel's default): from another, as addr_gen_mode can make one up or "
			"as is added in the sandbox, nothing passes; what it sends from its "
			"other addresses does all the same. What is of a VLAN, or neither IP "
			"nor ARP, is dropped, as is the family that it has no address of. "
			"Frames with its MAC come by its own link only, whatever the bridge: "
			"no two such endpoints of the host have one MAC, and a container of "
			"others with just that MAC would be cut off. On a bridge of others "
			"its link must keep its name. It is done by nftables with either "
			"backend, in the table bridge bridgenet, which is there as long as an "
			"endpoint needs it; a kernel without nf_tables' bridge family refuses "
			"it.")),
	ROW(NETWORK, "log-drops", word, NO_YES, FIELD(network, log_drops), .live = LIVE_YES,
	    SAYS("0.2", "With yes, what the network's rules drop is told in the kernel's log "
			"(dmesg): by each rule 5 times a second at most, after 10 at once. A "
			"line begins with \"bn\" and, with iptables-legacy, the network's "
			"name; with nftables the network is that whose bridge or address the "
			"line has. Then comes why: direct (sent straight to an endpoint, from "
			"another network or from outside), outside (for another address of the "
			"subnet), forged (a source that is not there), loopback (for "
			"127.0.0.0/8 of the host), no-port (to what is not published), denied "
			"(by the lists of a port), icc, internal, host (host-access) and "
			"invalid (of no connection). It has a rule before each that drops, and "
			"changes nothing of what happens to a packet. Not told is what "
			"anti-spoof and connections drop, and what is for a published port and "
			"of no connection. For what is logged in a network namespace the "
			"kernel wants net.netfilter.nf_log_all_netns.")),
	ROW(NETWORK, "coexist", word, WORDS("report", "insert"), FIELD(network, coexist),
	    .live = LIVE_YES,
	    SAYS("0.2", "What is done where a firewall of the host, which is somebody else's, "
			"stops what the network forwards. With report, creating the network says "
			"so in the log, and a check tells of it, with the command that would mend "
			"it. With insert, two rules at the head of that chain let pass what comes "
			"from the bridge and what goes to it: ports that are not published stay "
			"shut by the library's own rules. They go with the network. Into what "
			"firewalld makes, or a program owns, nothing is put: then it is refused, "
			"and so it is on a bridge that was there before, which others cross, "
			"too.")),
	ROW(NETWORK, "interface-prefix", interface, FIELD(network, interface_prefix),
	    .live = LIVE_NEW, .default_ = "eth", NETWORK_ALIAS("container_iface_prefix"),
	    SAYS("0.2", "What the names of interfaces in namespaces begin with; a number "
			"follows.")),
	ROW(NETWORK, "advertise-count", number, NUMBER(0, 3, 1), FIELD(network, advertise_count),
	    .live = LIVE_NEW, NETWORK_ALIAS("advertise_addr_nmsgs"),
	    SAYS("0.2", "How often neighbours are told, by ARP and neighbour discovery, that the "
			"addresses of an endpoint have its MAC, when it is attached. The call that "
			"attaches lasts for the intervals in between, as long as its time limit "
			"allows or until it is cancelled; the endpoint stands from the first on, "
			"so that is a success.")),
	ROW(NETWORK, "advertise-interval-ms", number, NUMBER(100, 2000, 1000),
	    FIELD(network, advertise_interval_ms), .live = LIVE_NEW,
	    NETWORK_ALIAS("advertise_addr_ms"),
	    SAYS("0.2", "The time between two of them in milliseconds.")),
	ROW(NETWORK, "dns", addresses, FIELD(network, dns), .live = LIVE_YES, .default_ = "",
	    SAYS("0.2", "The nameservers for resolv.conf of a namespace, in place of the host's: "
			"see bn_sandbox_files_get(3).")),

	/* ---- endpoints ---- */
	ROW(ENDPOINT, "label.", text, .rest = "NAME", .live = LIVE_YES, .default_ = "",
	    SAYS("0.1", "Any value, kept for the caller.")),
	ROW(ENDPOINT, "alias.", empty, .rest = "NAME", .live = LIVE_YES, .default_ = "",
	    SAYS("0.2", "A further name of the endpoint on its network: see bn_names_list(3).")),
	ROW(ENDPOINT, "hostname", host_name, .live = LIVE_YES, .default_ = "",
	    SAYS("0.1", "The name that the endpoint goes by. It is kept and shown; the name of the "
			"namespace is the caller's to set.")),
	ROW(ENDPOINT, "interface-name", interface, .setter = true,
	    .default_ = "the network's prefix and a number",
	    .alias = "com.docker.network.endpoint.ifname",
	    SAYS("0.2", "The interface in the namespace, as "
			"bn_endpoint_spec_set_interface_name(3) says.")),
	ROW(ENDPOINT, "host-interface-name", interface, FIELD(endpoint, host_interface_name),
	    .default_ = "bv and 12 digits",
	    SAYS("0.2", "The other end of the link, on the bridge.")),
	ROW(ENDPOINT, "mtu", number, NUMBER(68, 65535, 0), FIELD(endpoint, mtu), .live = LIVE_YES,
	    .default_ = "the network's",
	    SAYS("0.2", "The MTU of both ends of the link, in bytes.")),
	ROW(ENDPOINT, "sysctl.", text, .rest = "KEY", .default_ = "",
	    .alias = "com.docker.network.endpoint.sysctls",
	    SAYS("0.2", "A setting of the namespace, such as "
			"sysctl.net.ipv4.conf.IFNAME.log_martians, where IFNAME stands for the "
			"interface's name there. The alias takes several, KEY=VALUE, parted by "
			"commas.")),
	ROW(ENDPOINT, "gateway-priority-ipv4", integer, FIELD(endpoint, gateway_priority_ipv4),
	    HAS_FIELD(endpoint, has_gateway_priority_ipv4),
	    .live = LIVE_YES, .alias = "gw-priority",
	    .default_ = "that of the setter",
	    SAYS("0.2", "Of the endpoints of a namespace that with the highest has the IPv4 "
			"default route that is used: see bn_endpoint_spec_set_gateway_priority(3) "
			"for both families.")),
	ROW(ENDPOINT, "gateway-priority-ipv6", integer, FIELD(endpoint, gateway_priority_ipv6),
	    HAS_FIELD(endpoint, has_gateway_priority_ipv6),
	    .live = LIVE_YES, .alias = "gw-priority",
	    .default_ = "that of the setter",
	    SAYS("0.2", "The same for IPv6.")),
	ROW(ENDPOINT, "default-route", word, YES_NO, FIELD(endpoint, default_route),
	    .live = LIVE_YES,
	    SAYS("0.2", "With no, the endpoint has no default route. In a namespace of several "
			"networks answers to what came by it leave by it all the same.")),
	ROW(ENDPOINT, "metric", number, NUMBER(1, UINT32_MAX, 0), FIELD(endpoint, metric),
	    .live = LIVE_YES, .default_ = "by priority, then order of attaching, from 100 on",
	    SAYS("0.2", "That of the endpoint's default routes. If another endpoint of the "
			"namespace, or somebody else's default route there, has it, it is the "
			"next that is free, which is what is shown. A default route of your own in "
			"the namespace is used before these if its metric is lower; without one, "
			"it is 0 for IPv4 and 1024 for IPv6. It should go by the interface of the "
			"best endpoint: what has the address of another leaves by the gateway of "
			"that one's network.")),
	ROW(ENDPOINT, "anti-spoof", word, WORDS("", "no", "mac", "full"),
	    FIELD(endpoint, anti_spoof), .live = LIVE_YES, .default_ = "the network's",
	    SAYS("0.2", "As the network's, for this endpoint.")),
	ROW(ENDPOINT, "routes-for", prefixes, FIELD(endpoint, routes_for), .live = LIVE_YES,
	    .default_ = "",
	    SAYS("0.2", "What lies behind the endpoint, as the clients of a VPN do: the host has "
			"routes there by it, and packets from there may come by it.")),
	ROW(ENDPOINT, "connections", number, NUMBER(0, 1000000, 0), FIELD(endpoint, connections),
	    .live = LIVE_YES,
	    SAYS("0.2", "How many connections the endpoint may have open at once that it began "
			"itself, from each of its addresses, to the outside, to other networks "
			"and to the host; 0 is any number. What begins another is dropped until "
			"one ends, at both sides or by a reset; one that nobody answers counts "
			"for as long as the kernel remembers it, and after many that were "
			"dropped at once the next may be, too: TCP comes through at its next "
			"try. Counted are those from its own addresses on the network that pass "
			"the host, not what comes from behind it (routes-for), from a "
			"link-local address or a neighbour's, or goes to a neighbour by the "
			"bridge alone. Those that it has when the option is set or changed, or "
			"when its rules are repaired or moved to the other backend, stay, and "
			"don't count; nor do, with iptables-legacy, those from before the last "
			"change of the table mangle by anybody.")),
	ROW(ENDPOINT, "rate-in", rate, FIELD(endpoint, rate_in), .live = LIVE_YES, .default_ = "",
	    SAYS("0.2", "How much may go to the endpoint, from wherever; without it, there is no "
			"limit. It waits at the host end of the pair, 50 ms at most.")),
	ROW(ENDPOINT, "rate-out", rate, FIELD(endpoint, rate_out), .live = LIVE_YES, .default_ = "",
	    SAYS("0.2", "How much may come from it. For that it has a device of its own, of the "
			"kind ifb, that goes with it. Where the kernel lacks that kind, or "
			"u32 and mirred of traffic control, the attach is refused.")),
	ROW(ENDPOINT, "burst-in", bytes, FIELD(endpoint, burst_in), .live = LIVE_YES,
	    .default_ = "20 ms of the rate, 16k at least",
	    SAYS("0.2", "How much of it may go at once.")),
	ROW(ENDPOINT, "burst-out", bytes, FIELD(endpoint, burst_out), .live = LIVE_YES,
	    .default_ = "20 ms of the rate, 16k at least",
	    SAYS("0.2", "How much of it may come at once.")),
	ROW(ENDPOINT, "rate-local", word, YES_NO, FIELD(endpoint, rate_local), .live = LIVE_YES,
	    SAYS("0.2", "With no, the limits are not about what stays on the bridge: what has to "
			"do with an address of the subnet other than the gateway's, or is of "
			"link-local scope, ARP and neighbour discovery.")),

	/* ---- ports ---- */
	ROW(PORT, "allow-from", prefixes, FIELD(port, allow_from), .live = LIVE_YES,
	    .default_ = "all",
	    SAYS("0.2", "Who may connect; the host itself always may. Of others nothing is "
			"answered, and nothing of the host's own gets it.")),
	ROW(PORT, "deny-from", prefixes, FIELD(port, deny_from), .live = LIVE_YES,
	    .default_ = "none",
	    SAYS("0.2", "Who may not, even if allow-from has it.")),

	/* ---- contexts ---- */
	ROW(CONTEXT, "iptables.comments", word, NO_YES, FIELD(context, iptables_comments),
	    SAYS("0.1", "With yes, the iptables-legacy backend writes into each rule, as a match "
			"of kind comment, the network and the endpoint that it is for. It makes "
			"each commit about 1.5 times dearer. A rule is the same with and without "
			"it, so contexts of one state need not agree.")),
	ROW(CONTEXT, "iptables.lock-file", path, .default_ = "/run/xtables.lock",
	    SAYS("0.1", "The lock that the iptables-legacy backend holds while it reads or changes "
			"the tables. All programs that change the tables of one network namespace "
			"must take the same; the default is that of iptables(8).")),
	ROW(CONTEXT, "state.take-over", word, WORDS("no", "if-gone", "yes"),
	    FIELD(context, take_over),
	    SAYS("0.1", "What to do with a state that is about another network namespace. With no, "
			"it is refused. With if-gone, what it has is forgotten, unless a process "
			"or a mount that can be seen has that namespace. With yes, it is forgotten "
			"at any rate. Nothing in the kernel is touched. See bridgenet-state(5).")),
	ROW(CONTEXT, "sandbox-ipv6", word, WORDS("off", "leave"), FIELD(context, sandbox_ipv6),
	    SAYS("0.2", "With off, attaching to a network without IPv6 is refused where /proc/sys "
			"can't be written to turn IPv6 off on the new interface and it is not off, "
			"and to one with IPv6 where router advertisements can't be refused. With "
			"leave, that stays as it is, and each attach says so to the log: a "
			"neighbour's router advertisement may then give the endpoint an address "
			"and a default route.")),
	ROW(CONTEXT, "forwarding", word, WORDS("on", "guard", "require"),
	    FIELD(context, forwarding), .alias = "ip-forward", .translate = forward_or_require,
	    SAYS("0.2", "What making a network does where the host does not forward packets of its "
			"family. With on, it is turned on, and the log is told that the host "
			"forwards between all its interfaces now. With guard, it is turned on, and "
			"what is forwarded and neither enters nor leaves a bridge that a network "
			"is on is dropped, for as long as it is only networks that forwarding is "
			"on for: see bridgenet-rules(7). With require, the network is not made: "
			"EOPNOTSUPP, BN_REASON_UNSUPPORTED. A guard that is there is kept by "
			"contexts that do not ask for it. It also stops a program that starts to "
			"forward later: one that needs forwarding has to turn it on before there "
			"is a network, and then there is no guard.")),
	ROW(CONTEXT, "pools", pools, FIELD(context, pools), .default_ = "Docker's",
	    .alias = "default-address-pool",
	    SAYS("0.2", "Where subnets are taken from that a network does not name: the first that "
			"is free and that the host has no route to, but for a default route and "
			"halves of one. Docker's are 172.17.0.0/16 to 172.31.0.0/16, then "
			"192.168.0.0/16 by /20.")),
	ROW(CONTEXT, "network-default.", network_option, .rest = "KEY", .default_ = "",
	    .alias = "default-network-opts",
	    SAYS("0.2", "The value of the option KEY for networks that the context makes and that "
			"don't give it. The alias takes one KEY=VALUE.")),
	ROW(CONTEXT, "persistent-dir", path_or_none,
	    .default_ = "/var/lib/bridgenet with the default state directory, else none",
	    SAYS("0.2", "Where definitions of persistent networks are kept, which come back after "
			"a reboot; nothing is none. See bridgenet-state(5).")),
};
/* clang-format on */

const struct known_option *option_at(size_t i)
{
	return i < ARRAY_SIZE(options) ? &options[i] : NULL;
}

const struct known_option *option_find(enum option_scope scope, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct known_option *known = &options[i];
		size_t len;

		if (known->scope != scope)
			continue;
		if (!known->rest && strcmp(known->key, key) == 0)
			return known;
		len = strlen(known->key);
		if (known->rest && strncmp(known->key, key, len) == 0 && key[len])
			return known;
	}
	return NULL;
}

static const struct {
	const char *name, *text;
} scopes[] = {
	[OPTION_NETWORK] = { "network", "a network" },
	[OPTION_ENDPOINT] = { "endpoint", "an endpoint" },
	[OPTION_PORT] = { "port", "a port" },
	[OPTION_CONTEXT] = { "context", "a context" },
};

const char *option_scope_name(enum option_scope scope)
{
	return scopes[scope].name;
}

const char *option_scope_text(enum option_scope scope)
{
	return scopes[scope].text;
}
