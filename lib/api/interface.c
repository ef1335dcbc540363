/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "api/api.h"

static void format_flags(uint32_t flags, char *text, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ IFF_UP, "UP" },
		{ IFF_BROADCAST, "BROADCAST" },
		{ IFF_LOOPBACK, "LOOPBACK" },
		{ IFF_RUNNING, "RUNNING" },
		{ IFF_PROMISC, "PROMISC" },
		{ IFF_ALLMULTI, "ALLMULTI" },
		{ IFF_MULTICAST, "MULTICAST" },
	};
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names) && len < size; i++)
		if (flags & names[i].bit)
			len += (size_t)snprintf(text + len, size - len, "%s%s", len ? " " : "",
						names[i].name);
}

struct bn_interface *interface_new(struct interface *data)
{
	struct bn_interface *interface_ = calloc(1, sizeof(*interface_));

	if (!interface_)
		return NULL;
	interface_->addresses = calloc(data->addresses.len + 1, sizeof(*interface_->addresses));
	if (!interface_->addresses) {
		free(interface_);
		return NULL;
	}
	interface_->data = *data;
	*data = (struct interface){ 0 };
	mac_format(interface_->data.mac, interface_->mac);
	format_flags(interface_->data.flags, interface_->flags, sizeof(interface_->flags));
	for (size_t i = 0; i < interface_->data.addresses.len; i++)
		prefix_format(&interface_->data.addresses.items[i], interface_->addresses[i]);
	return interface_;
}

void interface_free(struct bn_interface *interface_)
{
	if (!interface_)
		return;
	interface_clear(&interface_->data);
	free(interface_->addresses);
	free(interface_);
}

const char *bn_interface_name(const bn_interface *interface_)
{
	return interface_ ? interface_->data.name : "";
}

uint32_t bn_interface_index(const bn_interface *interface_)
{
	return interface_ ? interface_->data.index : 0;
}

const char *bn_interface_mac(const bn_interface *interface_)
{
	return interface_ ? interface_->mac : "";
}

uint32_t bn_interface_mtu(const bn_interface *interface_)
{
	return interface_ ? interface_->data.mtu : 0;
}

uint32_t bn_interface_flags(const bn_interface *interface_)
{
	return interface_ ? interface_->data.flags : 0;
}

const char *bn_interface_flags_text(const bn_interface *interface_)
{
	return interface_ ? interface_->flags : "";
}

size_t bn_interface_address_count(const bn_interface *interface_)
{
	return interface_ ? interface_->data.addresses.len : 0;
}

const char *bn_interface_address_at(const bn_interface *interface_, size_t i)
{
	return i < bn_interface_address_count(interface_) ? interface_->addresses[i] : "";
}

uint64_t bn_interface_rx_packets(const bn_interface *interface_)
{
	return interface_ ? interface_->data.rx_packets : 0;
}

uint64_t bn_interface_rx_bytes(const bn_interface *interface_)
{
	return interface_ ? interface_->data.rx_bytes : 0;
}

uint64_t bn_interface_rx_errors(const bn_interface *interface_)
{
	return interface_ ? interface_->data.rx_errors : 0;
}

uint64_t bn_interface_rx_dropped(const bn_interface *interface_)
{
	return interface_ ? interface_->data.rx_dropped : 0;
}

uint64_t bn_interface_tx_packets(const bn_interface *interface_)
{
	return interface_ ? interface_->data.tx_packets : 0;
}

uint64_t bn_interface_tx_bytes(const bn_interface *interface_)
{
	return interface_ ? interface_->data.tx_bytes : 0;
}

uint64_t bn_interface_tx_errors(const bn_interface *interface_)
{
	return interface_ ? interface_->data.tx_errors : 0;
}

uint64_t bn_interface_tx_dropped(const bn_interface *interface_)
{
	return interface_ ? interface_->data.tx_dropped : 0;
}
