/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring loops as languages run them that cannot inline C: libxdp's helpers behind a
 * function each.
 */
#include "rings_shim.h"

#define xsk_ring_prod__reserve shim_reserve
#define xsk_ring_prod__submit shim_submit
#define xsk_ring_cons__peek shim_peek
#define xsk_ring_cons__release shim_release
#define xsk_ring_prod__tx_desc shim_tx_desc
#define xsk_ring_cons__rx_desc shim_rx_desc
#define xsk_ring_prod__fill_addr shim_fill_addr
#define xsk_ring_cons__comp_addr shim_comp_addr
#define LOOPS loops_ffi
#include "rings_inline.c"
