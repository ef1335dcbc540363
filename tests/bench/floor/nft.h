/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel asks for a published port: a bare netlink program that adds, deletes and dumps
 * the elements of one map with counters. The floor that the library is measured against.
 */
#ifndef BN_BENCH_FLOOR_NFT_H
#define BN_BENCH_FLOOR_NFT_H

#include <stddef.h>

struct floor_nft;

/* Ports are numbered from 0: 65,000 of TCP, then as many of UDP. */
#define FLOOR_NFT_PORTS 130000

/* Make the table `inet floor` with its map, in the caller's namespace. Each returns 0 or a negative
 * errno. */
int floor_nft_open(struct floor_nft **ret_floor);
/* Deletes the table too. */
void floor_nft_close(struct floor_nft *floor);

/* Ports first ... first + len - 1 in one transaction. */
int floor_nft_add(struct floor_nft *floor, size_t first, size_t len);
int floor_nft_delete(struct floor_nft *floor, size_t first, size_t len);

/* Read those by their keys, in one request, parsed as below. */
int floor_nft_get(struct floor_nft *floor, size_t first, size_t len, size_t *ret_len);
/* Read all with counters, each parsed into libnftnl's object. */
int floor_nft_dump(struct floor_nft *floor, size_t *ret_len);

#endif
