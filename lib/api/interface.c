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

GETTER(const char *, bn_interface_name, bn_interface, self->data.name, "")
GETTER(uint32_t, bn_interface_index, bn_interface, self->data.index, 0)
GETTER(const char *, bn_interface_mac, bn_interface, self->mac, "")
GETTER(uint32_t, bn_interface_mtu, bn_interface, self->data.mtu, 0)
GETTER(uint32_t, bn_interface_flags, bn_interface, self->data.flags, 0)
GETTER(const char *, bn_interface_flags_text, bn_interface, self->flags, "")
GETTER(size_t, bn_interface_address_count, bn_interface, self->data.addresses.len, 0)
GETTER_AT(const char *, bn_interface_address_at, bn_interface, bn_interface_address_count,
	  self->addresses[i], "")
GETTER(uint64_t, bn_interface_rx_packets, bn_interface, self->data.rx_packets, 0)
GETTER(uint64_t, bn_interface_rx_bytes, bn_interface, self->data.rx_bytes, 0)
GETTER(uint64_t, bn_interface_rx_errors, bn_interface, self->data.rx_errors, 0)
GETTER(uint64_t, bn_interface_rx_dropped, bn_interface, self->data.rx_dropped, 0)
GETTER(uint64_t, bn_interface_tx_packets, bn_interface, self->data.tx_packets, 0)
GETTER(uint64_t, bn_interface_tx_bytes, bn_interface, self->data.tx_bytes, 0)
GETTER(uint64_t, bn_interface_tx_errors, bn_interface, self->data.tx_errors, 0)
GETTER(uint64_t, bn_interface_tx_dropped, bn_interface, self->data.tx_dropped, 0)
