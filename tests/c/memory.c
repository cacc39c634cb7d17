/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory runs out at each allocation in turn: an error each time, and nothing left. */
#include "bpf.h"

/* glibc's own, behind the one below. */
extern void *__libc_malloc(size_t size);

static long allocations_left = -1; /* -1: no limit */

void *malloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __libc_malloc(size);
}

TEST(memory_that_runs_out_is_an_error_and_leaves_nothing)
{
	long allowed, failed = 0;
	int fds, maps;

	make_pair(1);
	fds = count_fds();
	maps = count_maps();
	for (allowed = 0; allowed < 100; allowed++) {
		struct xsk_umem *umem = NULL;
		struct xsk_socket *sock = NULL;
		int err;

		allocations_left = allowed;
		err = xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = 64));
		if (err == 0)
			err = xsk_socket_open(&sock, umem, XA, 0, NULL, NULL);
		allocations_left = -1;
		CHECK_EQ(sock == NULL, err != 0);
		if (err != 0) {
			CHECK_EQ(err, -ENOMEM);
			CHECK(strlen(xsk_errmsg()) > 0);
			failed++;
		}
		xsk_socket_destroy(sock);
		CHECK_OK(xsk_umem_destroy(umem));
		CHECK_EQ(attached_id(XA), 0);
		if (err == 0)
			break;
	}
	CHECK(failed > 10);
	CHECK(allowed < 100);
	CHECK_EQ(count_fds(), fds);
	CHECK(count_maps() <= maps + 4);
}
