/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every function with NULL in every place, and with sizes, flags and structs that
 * make no sense: refused with a sentence, nothing written, nothing left behind.
 * tests/run.sh checks that each function of xsk.h stands here. */
#include "bpf.h"

#include <stddef.h>

/* -EINVAL with a sentence that is this call's own. */
#define REFUSED(call, ...) \
	do { \
		xsk_kick(NULL, 0); \
		CHECK_FAILS(call, -EINVAL, __VA_ARGS__); \
	} while (0)

TEST_WITHOUT_ROOT(null_in_the_first_place)
{
	struct xsk_umem_info umem_info = { .size = sizeof(umem_info) };
	struct xsk_socket_info info = { .size = sizeof(info) };
	struct xsk_socket_stats stats = { .size = sizeof(stats) };
	struct xsk_caps caps = { .size = sizeof(caps) };
	struct xsk_attach_info attached = { .size = sizeof(attached) };
	struct xsk_socket *sock = NULL;
	struct xsk_port *port = NULL;
	struct xsk_grant *grant = NULL;
	struct xsk_k8s *k8s = NULL;
	char text[4] = "old";
	struct xsk_buf buf = { .len = 5 };
	struct xdp_desc desc = { .len = 5 };
	const struct xdp_desc *descs = &desc;
	struct xdp_desc *room = &desc;
	uint64_t addr = 5, *places = &addr;
	const uint64_t *addrs = &addr;
	struct xsk_tx_timestamp stamp;
	uint32_t idx = 5;

	REFUSED(xsk_umem_create(NULL, NULL), "out is NULL");
	CHECK_OK(xsk_umem_destroy(NULL));
	REFUSED(xsk_umem_info(NULL, &umem_info), "umem is NULL");
	CHECK(xsk_umem_data(NULL, 0) == NULL);
	CHECK_EQ(xsk_umem_alloc(NULL, &addr, 1), 0);
	CHECK_EQ(xsk_umem_free(NULL, &addr, 1), 0);
	REFUSED(xsk_socket_create(NULL, NULL, NULL), "out is NULL");
	REFUSED(xsk_socket_create(&sock, NULL, NULL), "umem is NULL");
	REFUSED(xsk_socket_bind(NULL, "lo", 0, NULL), "socket is NULL");
	REFUSED(xsk_socket_open(NULL, NULL, "lo", 0, NULL, NULL), "out is NULL");
	REFUSED(xsk_socket_open(&sock, NULL, "lo", 0, NULL, NULL), "umem is NULL");
	xsk_socket_destroy(NULL);
	REFUSED(xsk_socket_fd(NULL), "socket is NULL");
	REFUSED(xsk_socket_wait(NULL, XSK_WAIT_RX, 0), "socket is NULL");
	REFUSED(xsk_socket_wait(NULL, XSK_WAIT_RX, -1), "socket is NULL");
	REFUSED(xsk_socket_check(NULL), "socket is NULL");
	REFUSED(xsk_socket_stats(NULL, &stats), "socket is NULL");
	REFUSED(xsk_socket_info(NULL, &info), "socket is NULL");
	REFUSED(xsk_program_create(NULL, NULL), "out is NULL");
	xsk_program_destroy(NULL);
	REFUSED(xsk_program_replace(NULL, NULL), "socket is NULL");
	REFUSED(xsk_program_counters(NULL, NULL, 0), "socket is NULL");
	REFUSED(xsk_program_pin(NULL, NULL), "socket is NULL");
	REFUSED(xsk_program_unpin(NULL), "path is NULL");
	REFUSED(xsk_attach_query(NULL, &attached), "ifname is NULL");
	REFUSED(xsk_attach_query("lo", NULL), "xsk_attach_info is NULL");
	REFUSED(xsk_xskmap_open(NULL), "path is NULL");
	CHECK(xsk_xskmap_of_program(0, NULL) < 0);
	REFUSED(xsk_rx_burst(NULL, &buf, 1), "socket is NULL");
	REFUSED(xsk_tx_burst(NULL, &buf, 1), "socket is NULL");
	CHECK_EQ(xsk_buf_alloc(NULL, &buf, 1), 0);
	CHECK_EQ(xsk_buf_free(NULL, &buf, 1), 0);
	REFUSED(xsk_buf_request_checksum(NULL, &buf, 0, 0), "socket is NULL");
	REFUSED(xsk_buf_request_timestamp(NULL, &buf, 0), "socket is NULL");
	REFUSED(xsk_buf_request_launch_time(NULL, &buf, 0), "socket is NULL");
	CHECK_EQ(xsk_tx_timestamps(NULL, &stamp, 1), 0);
	REFUSED(xsk_buf_rx_timestamp(NULL, &buf, &addr), "socket is NULL");
	REFUSED(xsk_buf_rx_hash(NULL, &buf, &idx, &idx), "socket is NULL");
	REFUSED(xsk_buf_rx_vlan(NULL, &buf, NULL, NULL), "socket is NULL");
	CHECK(xsk_umem_tx_metadata(NULL, 0) == NULL);
	REFUSED(xsk_port_open(NULL, "lo", NULL), "out is NULL");
	REFUSED(xsk_port_open(&port, NULL, NULL), "ifname is NULL");
	CHECK_EQ(xsk_port_queue_count(NULL), 0);
	CHECK(xsk_port_socket(NULL, 0) == NULL && xsk_port_umem(NULL, 0) == NULL);
	REFUSED(xsk_port_stats(NULL, &stats), "port is NULL");
	xsk_port_destroy(NULL);
	REFUSED(xsk_grant_create(NULL, "/nowhere/x", NULL), "out is NULL");
	REFUSED(xsk_grant_create(&grant, NULL, NULL), "path is NULL");
	REFUSED(xsk_grant_add(NULL, "lo", 0, 1, NULL), "grant is NULL");
	REFUSED(xsk_grant_fd(NULL), "grant is NULL");
	REFUSED(xsk_grant_step(NULL), "grant is NULL");
	xsk_grant_destroy(NULL);
	REFUSED(xsk_from_grant(NULL, "/nowhere/x", NULL, NULL), "out is NULL");
	REFUSED(xsk_from_grant(&port, NULL, NULL, NULL), "path is NULL");
	REFUSED(xsk_k8s_connect(NULL, "lo", NULL), "out is NULL");
	REFUSED(xsk_k8s_connect(&k8s, NULL, NULL), "netdev is NULL");
	REFUSED(xsk_k8s_version(NULL, text, sizeof(text)), "k8s is NULL");
	REFUSED(xsk_k8s_xskmap(NULL, "lo"), "k8s is NULL");
	REFUSED(xsk_k8s_busy_poll(NULL, NULL, 20, 64), "k8s is NULL");
	REFUSED(xsk_k8s_fin(NULL), "k8s is NULL");
	xsk_k8s_destroy(NULL);
	CHECK(grant == NULL && k8s == NULL && strcmp(text, "old") == 0);
	CHECK(port == NULL);
	CHECK_EQ(xsk_rx_peek(NULL, 1, &idx), 0);
	CHECK(xsk_rx_desc(NULL, 0) == NULL);
	CHECK_EQ(xsk_rx_release(NULL, 1), 0);
	CHECK_EQ(xsk_rx_cancel(NULL, 1), 0);
	CHECK_EQ(xsk_rx_get(NULL, &desc, 1), 0);
	CHECK_EQ(xsk_rx_peek_run(NULL, 1, &descs), 0);
	CHECK_EQ(xsk_rx_next_run(NULL, 1, &descs), 0);
	CHECK_EQ(xsk_rx_recycle_run(NULL, 1, &descs), 0);
	CHECK_EQ(xsk_tx_reserve_run(NULL, 1, &room), 0);
	CHECK_EQ(xsk_tx_put_addrs(NULL, &addr, 1, 60), 0);
	CHECK_EQ(xsk_comp_peek_run(NULL, 1, &addrs), 0);
	CHECK_EQ(xsk_comp_next_run(NULL, 1, &addrs), 0);
	CHECK_EQ(xsk_fill_reserve_run(NULL, 1, &places), 0);
	CHECK(descs == &desc && room == &desc && addrs == &addr && places == &addr);
	CHECK(xsk_socket_rx_ring(NULL) == NULL && xsk_socket_tx_ring(NULL) == NULL);
	CHECK(xsk_socket_fill_ring(NULL) == NULL && xsk_socket_comp_ring(NULL) == NULL);
	CHECK(xsk_socket_rx_monitor(NULL) == NULL);
	CHECK_EQ(xsk_fill_reserve(NULL, 1, &idx), 0);
	CHECK(xsk_fill_addr(NULL, 0) == NULL);
	CHECK_EQ(xsk_fill_submit(NULL, 1), 0);
	CHECK_EQ(xsk_fill_cancel(NULL, 1), 0);
	CHECK_EQ(xsk_fill_put(NULL, &addr, 1), 0);
	CHECK_EQ(xsk_tx_reserve(NULL, 1, &idx), 0);
	CHECK(xsk_tx_desc(NULL, 0) == NULL);
	CHECK_EQ(xsk_tx_submit(NULL, 1), 0);
	CHECK_EQ(xsk_tx_cancel(NULL, 1), 0);
	CHECK_EQ(xsk_tx_put(NULL, &desc, 1), 0);
	CHECK_EQ(xsk_comp_peek(NULL, 1, &idx), 0);
	CHECK(xsk_comp_addr(NULL, 0) == NULL);
	CHECK_EQ(xsk_comp_release(NULL, 1), 0);
	CHECK_EQ(xsk_comp_cancel(NULL, 1), 0);
	CHECK_EQ(xsk_comp_get(NULL, &addr, 1), 0);
	CHECK_FAILS(xsk_tx_kick(NULL, 0), -EINVAL, "socket is NULL");
	CHECK_EQ(xsk_tx_pending(NULL), 0);
	CHECK_FAILS(xsk_rx_kick(NULL, 0), -EINVAL, "socket is NULL");
	CHECK_FAILS(xsk_kick(NULL, 0), -EINVAL, "socket is NULL");
	REFUSED(xsk_probe(NULL, &caps), "ifname is NULL");
	REFUSED(xsk_probe("lo", NULL), "xsk_caps is NULL");
	/* Nothing was written. */
	CHECK(caps.ifindex == 0);
	CHECK(sock == NULL && idx == 5 && addr == 5 && buf.len == 5 && desc.len == 5);
}

TEST_WITHOUT_ROOT(the_calls_without_a_handle)
{
	CHECK(xsk_errmsg() != NULL);
	CHECK_EQ(strcmp(xsk_version(), XSK_VERSION), 0);
	CHECK_OK(xsk_log_set(NULL, NULL, XSK_LOG_DEBUG));
	REFUSED(xsk_log_set(NULL, NULL, XSK_LOG_DEBUG + 1), "no level 4");
	REFUSED(xsk_log_set(NULL, NULL, UINT32_MAX), "no level");
	CHECK_OK(xsk_log_set(NULL, NULL, XSK_LOG_OFF));
}

static void null_behind_the_first_place(struct xsk_umem *umem, struct xsk_socket *sock)
{
	struct xsk_socket *none = NULL;

	REFUSED(xsk_umem_info(umem, NULL), "xsk_umem_info is NULL");
	CHECK_EQ(xsk_umem_alloc(umem, NULL, 4), 0);
	CHECK_EQ(xsk_umem_free(umem, NULL, 4), 0);
	REFUSED(xsk_socket_create(NULL, umem, NULL), "out is NULL");
	REFUSED(xsk_socket_bind(sock, NULL, 0, NULL), "ifname is NULL");
	REFUSED(xsk_socket_open(NULL, umem, XA, 1, NULL, NULL), "out is NULL");
	REFUSED(xsk_socket_open(&none, umem, NULL, 0, NULL, NULL), "ifname is NULL");
	REFUSED(xsk_socket_stats(sock, NULL), "xsk_socket_stats is NULL");
	REFUSED(xsk_socket_info(sock, NULL), "xsk_socket_info is NULL");
	REFUSED(xsk_program_counters(sock, NULL, 1), "counters is NULL");
	REFUSED(xsk_program_pin(sock, NULL), "path is NULL");
	REFUSED(xsk_socket_bind(sock, XA, 0, &XSK_BIND_PARAMS(.reserved = 1)), "reserved");
	REFUSED(xsk_rx_burst(sock, NULL, 1), "bufs is NULL");
	REFUSED(xsk_tx_burst(sock, NULL, 1), "bufs is NULL");
	CHECK_EQ(xsk_buf_alloc(sock, NULL, 1), 0);
	CHECK_EQ(xsk_buf_free(sock, NULL, 1), 0);
	REFUSED(xsk_buf_request_checksum(sock, NULL, 0, 0), "buf is NULL");
	REFUSED(xsk_buf_request_timestamp(sock, NULL, 0), "buf is NULL");
	REFUSED(xsk_buf_request_launch_time(sock, NULL, 0), "buf is NULL");
	CHECK_EQ(xsk_tx_timestamps(sock, NULL, 1), 0);
	REFUSED(xsk_buf_rx_timestamp(sock, NULL, NULL), "buf is NULL");
	REFUSED(xsk_buf_rx_hash(sock, NULL, NULL, NULL), "buf is NULL");
	REFUSED(xsk_buf_rx_vlan(sock, NULL, NULL, NULL), "buf is NULL");
	CHECK_EQ(xsk_rx_peek(sock, 1, NULL), 0);
	CHECK_EQ(xsk_rx_get(sock, NULL, 1), 0);
	CHECK_EQ(xsk_rx_peek_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_rx_next_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_rx_recycle_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_tx_reserve_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_tx_put_addrs(sock, NULL, 1, 60), 0);
	CHECK_EQ(xsk_comp_peek_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_comp_next_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_fill_reserve_run(sock, 1, NULL), 0);
	CHECK_EQ(xsk_fill_reserve(sock, 1, NULL), 0);
	CHECK_EQ(xsk_fill_put(sock, NULL, 1), 0);
	CHECK_EQ(xsk_tx_reserve(sock, 1, NULL), 0);
	CHECK_EQ(xsk_tx_put(sock, NULL, 1), 0);
	CHECK_EQ(xsk_comp_peek(sock, 1, NULL), 0);
	CHECK_EQ(xsk_comp_get(sock, NULL, 1), 0);
	/* What was refused claimed nothing: a put would be refused, too. */
	CHECK_EQ(xsk_tx_cancel(sock, UINT32_MAX), 0);
	CHECK_EQ(xsk_fill_cancel(sock, UINT32_MAX), 0);
	CHECK(none == NULL);
}

static void nonsense(struct xsk_umem *umem, struct xsk_socket *sock)
{
	static const uint32_t ring_sizes[] = { 3, 100, 4194305, 1 << 23, 1u << 31, UINT32_MAX };
	static const uint32_t struct_sizes[] = { 0, 1, 3, 4097, UINT32_MAX };
	static const uint32_t frame_sizes[] = { 1, 1024, 2047, 3000, 8192, UINT32_MAX };
	struct xsk_umem *new_umem = NULL;
	struct xsk_socket *new_sock = NULL;

	for (uint32_t i = 0; i < COUNT(ring_sizes); i++) {
		uint32_t size = ring_sizes[i];

		REFUSED(xsk_umem_create(&new_umem, &XSK_UMEM_PARAMS(.fill_size = size)), "fill_size");
		REFUSED(xsk_umem_create(&new_umem, &XSK_UMEM_PARAMS(.comp_size = size)), "comp_size");
		REFUSED(xsk_socket_create(&new_sock, umem, &XSK_SOCKET_PARAMS(.rx_size = size)),
			"rx_size");
		REFUSED(xsk_socket_open(&new_sock, umem, XA, 1, &XSK_SOCKET_PARAMS(.tx_size = size),
					NULL), "tx_size");
	}
	for (uint32_t i = 0; i < COUNT(frame_sizes); i++)
		REFUSED(xsk_umem_create(&new_umem, &XSK_UMEM_PARAMS(.frame_size = frame_sizes[i])),
			"frame_size");
	for (uint32_t i = 0; i < COUNT(struct_sizes); i++) {
		uint32_t size = struct_sizes[i];
		struct xsk_umem_params umem_params = { .size = size };
		struct xsk_socket_params params = { .size = size };
		struct xsk_bind_params bind_params = { .size = size };
		struct xsk_program_params program_params = { .size = size };
		struct xsk_program *program = NULL;

		REFUSED(xsk_umem_create(&new_umem, &umem_params), "xsk_umem_params.size");
		REFUSED(xsk_socket_create(&new_sock, umem, &params), "xsk_socket_params.size");
		REFUSED(xsk_socket_open(&new_sock, umem, XA, 1, NULL, &bind_params),
			"xsk_bind_params.size");
		REFUSED(xsk_socket_open(&new_sock, umem, XA, 1, &params, NULL),
			"xsk_socket_params.size");
		REFUSED(xsk_program_create(&program, &program_params), "xsk_program_params.size");
	}
	for (uint32_t bit = 0; bit < 32; bit++) {
		uint32_t flags = 1u << bit;

		if (bit > 2)
			REFUSED(xsk_umem_create(&new_umem, &XSK_UMEM_PARAMS(.flags = flags)), "flags");
		if (bit > 3)
			REFUSED(xsk_socket_create(&new_sock, umem, &XSK_SOCKET_PARAMS(.flags = flags)),
				"flags");
		if (bit > 8)
			REFUSED(xsk_socket_open(&new_sock, umem, XA, 1, NULL,
						&XSK_BIND_PARAMS(.flags = flags)), "flags");
		if (bit > 0) {
			REFUSED(xsk_tx_kick(sock, flags), "flags");
			REFUSED(xsk_rx_kick(sock, flags), "flags");
			REFUSED(xsk_kick(sock, flags), "flags");
		}
		if (bit > 1)
			REFUSED(xsk_socket_wait(sock, flags, 0), "events");
	}
	REFUSED(xsk_socket_open(&new_sock, umem, XA, 9, NULL, NULL), "no such queue");
	CHECK_EQ(xsk_socket_open(&new_sock, umem, "nosuch", 0, NULL, NULL), -ENODEV);
	CHECK_EQ(xsk_socket_open(&new_sock, umem, XA, 0, NULL, NULL), -EBUSY);
	CHECK_EQ(xsk_socket_open(&new_sock, umem, XA, 1, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)), -EOPNOTSUPP);
	CHECK(new_umem == NULL && new_sock == NULL);
	/* Huge counts that no ring has. */
	CHECK_EQ(xsk_rx_release(sock, UINT32_MAX), 0);
	CHECK_EQ(xsk_comp_release(sock, UINT32_MAX), 0);
	CHECK_EQ(xsk_tx_submit(sock, UINT32_MAX), 0);
	CHECK_EQ(xsk_fill_submit(sock, UINT32_MAX), 0);
	CHECK(xsk_rx_desc(sock, UINT32_MAX) != NULL);
	CHECK_EQ(xsk_umem_destroy(umem), -EBUSY);
}

TEST(null_and_nonsense_with_live_handles_leak_nothing)
{
	int fds = 0, maps = 0, objects;
	struct end end, from;

	make_pair(2);
	end = open_end(XA, 0, 0, 0);
	objects = count_objects();
	for (uint32_t round = 0; round < 10; round++) {
		null_behind_the_first_place(end.umem, end.socket);
		nonsense(end.umem, end.socket);
		/* The first round may have made the allocator and this thread's slot grow. */
		if (round == 0) {
			fds = count_fds();
			maps = count_maps();
		}
	}
	CHECK_EQ(count_fds(), fds);
	CHECK_WITHIN(count_maps(), 0, maps);
	WAIT_FOR(count_objects() <= objects, 3000);
	CHECK_EQ(attached_id(XA), info_of(end.socket).program_id);
	/* The socket still works. */
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	end_send(&from, 8);
	CHECK_EQ(end_receive(&end, 1000), 8);
	close_end(&from);
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0, 2000);
}

TEST(the_same_with_a_socket_that_is_not_bound)
{
	struct end end = { small_umem(), NULL };

	make_pair(2);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	null_behind_the_first_place(end.umem, end.socket);
	CHECK_EQ(xsk_umem_destroy(end.umem), -EBUSY);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, NULL));
	close_end(&end);
}

TEST(null_params_are_the_defaults)
{
	struct end end = { NULL, NULL };
	struct xsk_buf buf;

	make_pair(1);
	CHECK_OK(xsk_umem_create(&end.umem, NULL));
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0, NULL, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_EQ(xsk_tx_burst(end.socket, NULL, 0), 0);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 0), 0);
	CHECK_EQ(xsk_buf_alloc(end.socket, NULL, 0), 0);
	CHECK_EQ(xsk_buf_free(end.socket, NULL, 0), 0);
	close_end(&end);
}

TEST(handles_destroyed_in_the_wrong_order_stay_usable)
{
	struct end end;
	int fds = count_fds(), maps = 0;

	make_pair(1);
	for (uint32_t i = 0; i < 3; i++) {
		end = open_end(XA, 0, 0, 0);
		CHECK_FAILS(xsk_umem_destroy(end.umem), -EBUSY, "socket");
		CHECK_FAILS(xsk_umem_destroy(end.umem), -EBUSY, "socket");
		end_send(&end, 1);
		close_end(&end);
		CHECK_EQ(count_fds(), fds);
		if (i == 0)
			maps = count_maps();
	}
	CHECK_WITHIN(count_maps(), 0, maps);
}
