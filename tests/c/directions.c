/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets that only receive, only send, or do both: over a real interface. */
#include "bpf.h"

static void moves_packets(uint32_t direction, uint32_t mode)
{
	uint32_t xdp_mode = mode & XSK_BIND_SKB_MODE ? XSK_MODE_SKB : XSK_MODE_DRV;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, direction, mode);
	if (direction != XSK_SOCKET_TX_ONLY) {
		CHECK_EQ(info_of(end.socket).xdp_mode, xdp_mode);
		CHECK_EQ(attached_to(XA).mode,
			 xdp_mode == XSK_MODE_SKB ? XDP_ATTACHED_SKB : XDP_ATTACHED_DRV);
		for (uint32_t i = 0; i < 100; i++) {
			stack_send(stack, i);
			CHECK_EQ(end_receive(&end, 1000), i);
		}
	}
	if (direction != XSK_SOCKET_RX_ONLY) {
		for (uint32_t i = 1000; i < 1100; i++) {
			end_send(&end, i);
			CHECK_EQ(stack_receive(stack, 1000), i);
		}
	}
	close_end(&end);
}

TEST(a_socket_receives_only_in_native_mode)
{
	moves_packets(XSK_SOCKET_RX_ONLY, XSK_BIND_DRV_MODE);
}

TEST(a_socket_receives_only_in_generic_mode)
{
	moves_packets(XSK_SOCKET_RX_ONLY, XSK_BIND_SKB_MODE);
}

TEST(a_socket_sends_only)
{
	moves_packets(XSK_SOCKET_TX_ONLY, 0);
}

TEST(a_socket_does_both_in_native_mode)
{
	moves_packets(0, XSK_BIND_DRV_MODE);
}

TEST(a_socket_does_both_in_generic_mode)
{
	moves_packets(0, XSK_BIND_SKB_MODE);
}

TEST(one_that_only_sends_reaches_one_that_only_receives_in_either_mode)
{
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t mode = i ? XSK_BIND_SKB_MODE : XSK_BIND_DRV_MODE;
		struct end from, to;

		make_pair(1);
		from = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);
		to = open_end(XB, 0, XSK_SOCKET_RX_ONLY, mode);
		for (uint32_t number = 0; number < 1000; number++) {
			end_send(&from, number);
			CHECK_EQ(end_receive(&to, 1000), number);
		}
		close_end(&from);
		close_end(&to);
		link_delete(XA);
	}
}

static struct xsk_socket *create(struct xsk_umem *umem, struct xsk_socket_params params)
{
	struct xsk_socket *socket = NULL;

	params.size = sizeof(params);
	CHECK_OK(xsk_socket_create(&socket, umem, &params));
	return socket;
}

TEST(the_fill_ring_of_one_that_only_receives_has_the_size_asked_for)
{
	struct xsk_umem *umem = small_umem();	/* with fill_size 256 */
	struct xsk_socket *socket;
	struct xsk_socket_info info;
	uint32_t idx;

	socket = create(umem, (struct xsk_socket_params){
		.flags = XSK_SOCKET_RX_ONLY, .rx_size = 128, .fill_size = 64 });
	info = info_of(socket);
	CHECK_EQ(info.rx_size, 128);
	CHECK_EQ(info.fill_size, 64);
	CHECK_EQ(info.tx_size, 0);
	CHECK_EQ(xsk_fill_reserve(socket, UINT32_MAX, &idx), 64);
	xsk_socket_destroy(socket);

	socket = create(umem, (struct xsk_socket_params){ .flags = XSK_SOCKET_RX_ONLY });
	CHECK_EQ(info_of(socket).fill_size, 256);
	CHECK_EQ(info_of(socket).rx_size, 2048);
	CHECK_EQ(xsk_fill_reserve(socket, UINT32_MAX, &idx), 256);
	xsk_socket_destroy(socket);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(the_completion_ring_of_one_that_only_sends_has_the_size_asked_for)
{
	struct xsk_umem *umem = small_umem();	/* with comp_size 256 */
	struct xsk_socket *socket;
	struct xsk_socket_info info;
	uint32_t idx;

	socket = create(umem, (struct xsk_socket_params){
		.flags = XSK_SOCKET_TX_ONLY, .tx_size = 128, .comp_size = 32 });
	info = info_of(socket);
	CHECK_EQ(info.tx_size, 128);
	CHECK_EQ(info.comp_size, 32);
	CHECK_EQ(info.rx_size, 0);
	CHECK_EQ(xsk_tx_reserve(socket, UINT32_MAX, &idx), 128);
	xsk_socket_destroy(socket);

	socket = create(umem, (struct xsk_socket_params){ .flags = XSK_SOCKET_TX_ONLY });
	CHECK_EQ(info_of(socket).comp_size, 256);
	CHECK_EQ(info_of(socket).tx_size, 2048);
	xsk_socket_destroy(socket);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* As many completions come as the ring has entries, and the rest when it is read. */
TEST(the_completion_ring_of_one_that_only_sends_holds_what_it_was_asked_to)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socket;
	struct xdp_desc descs[64];
	uint64_t addrs[64];
	uint32_t done = 0;

	make_pair(1);
	socket = create(umem, (struct xsk_socket_params){
		.flags = XSK_SOCKET_TX_ONLY, .tx_size = 64, .comp_size = 16 });
	CHECK_OK(xsk_socket_bind(socket, XA, 0, NULL));
	for (uint32_t i = 0; i < 64; i++) {
		descs[i] = (struct xdp_desc){ .addr = i * 2048, .len = FRAME_LEN };
		write_frame(xsk_umem_data(umem, descs[i].addr), i, FRAME_LEN);
	}
	CHECK_EQ(xsk_tx_put(socket, descs, 64), 64);
	CHECK_EQ(xsk_tx_kick(socket, 0), XSK_KICK_AGAIN);
	WAIT_FOR((done += xsk_comp_get(socket, addrs + done, 64 - done)) == 16, 1000);
	while (done < 64) {
		uint32_t n;

		CHECK(xsk_tx_kick(socket, 0) >= 0);
		WAIT_FOR((n = xsk_comp_get(socket, addrs + done, 64 - done)) > 0, 1000);
		CHECK(n <= 16);
		done += n;
	}
	for (uint32_t i = 0; i < 64; i++)
		CHECK_EQ(addrs[i], i * 2048);
	xsk_socket_destroy(socket);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(one_that_only_sends_attaches_no_program)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(attached_id(XA), 0);
	CHECK_EQ(info_of(end.socket).xdp_mode, XSK_MODE_NONE);
	CHECK_EQ(info_of(end.socket).program_id, 0);
	close_end(&end);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	CHECK(attached_id(XA) != 0);
	CHECK_EQ(attached_id(XA), info_of(end.socket).program_id);
	close_end(&end);
}

TEST(the_rings_that_one_that_only_receives_lacks_give_nothing)
{
	struct end end;
	struct xdp_desc desc = { .len = 1 };
	struct xsk_buf buf = { .len = 1 };
	uint32_t idx = 77;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	CHECK_EQ(xsk_tx_reserve(end.socket, 1, &idx), 0);
	CHECK_EQ(xsk_tx_submit(end.socket, 1), 0);
	CHECK_EQ(xsk_tx_cancel(end.socket, 1), 0);
	CHECK_EQ(xsk_tx_put(end.socket, &desc, 1), 0);
	CHECK(xsk_tx_desc(end.socket, 0) == NULL);
	CHECK_FAILS(xsk_tx_kick(end.socket, 0), -EOPNOTSUPP, "only receives");
	CHECK_FAILS(xsk_tx_kick(end.socket, XSK_KICK_FORCE), -EOPNOTSUPP, "only receives");
	CHECK_FAILS(xsk_tx_burst(end.socket, &buf, 1), -EOPNOTSUPP, "only receives");
	CHECK_EQ(xsk_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	close_end(&end);
}

TEST(the_rings_that_one_that_only_sends_lacks_give_nothing)
{
	struct end end;
	struct xdp_desc desc;
	struct xsk_buf buf;
	uint32_t idx = 77;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_rx_peek(end.socket, 1, &idx), 0);
	CHECK_EQ(xsk_rx_release(end.socket, 1), 0);
	CHECK_EQ(xsk_rx_cancel(end.socket, 1), 0);
	CHECK_EQ(xsk_rx_get(end.socket, &desc, 1), 0);
	CHECK(xsk_rx_desc(end.socket, 0) == NULL);
	CHECK_FAILS(xsk_rx_kick(end.socket, 0), -EOPNOTSUPP, "only sends");
	CHECK_FAILS(xsk_rx_kick(end.socket, XSK_KICK_FORCE), -EOPNOTSUPP, "only sends");
	CHECK_FAILS(xsk_rx_burst(end.socket, &buf, 1), -EOPNOTSUPP, "only sends");
	CHECK_EQ(xsk_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	close_end(&end);
}

TEST(a_ring_size_for_the_direction_that_is_absent_is_refused)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socket = NULL;

	CHECK_FAILS(xsk_socket_create(&socket, umem, &XSK_SOCKET_PARAMS(
			.flags = XSK_SOCKET_RX_ONLY, .tx_size = 64)), -EINVAL, "tx_size");
	CHECK_FAILS(xsk_socket_create(&socket, umem, &XSK_SOCKET_PARAMS(
			.flags = XSK_SOCKET_TX_ONLY, .rx_size = 64)), -EINVAL, "rx_size");
	CHECK_FAILS(xsk_socket_create(&socket, umem, &XSK_SOCKET_PARAMS(
			.flags = XSK_SOCKET_TX_ONLY | XSK_SOCKET_RX_ONLY)), -EINVAL, "exclude");
	CHECK(socket == NULL);
	CHECK_OK(xsk_umem_destroy(umem));
}
