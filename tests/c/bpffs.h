/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A BPF file system that nobody else sees, and what is on an interface. */

#ifndef BPFFS_H
#define BPFFS_H

#include "bpf.h"
#include "users.h"

/* A folder in it: some kernels put something of their own beside. */
#define BPFFS "/run/bpf/tests"
/* What is to be pinned. */
#define PIN BPFFS "/capture"

static UNUSED const struct xsk_bind_params pinned = { .size = sizeof(pinned), .pin_path = PIN };

/* In a mount namespace of the case's own, with which it goes. */
static UNUSED void make_bpffs(void)
{
	make_private_dir();
	CHECK_OK(mkdir("/run/bpf", 0755));
	if (mount("bpf", "/run/bpf", "bpf", 0, NULL) != 0)
		SKIP("this kernel has no BPF file system");
	CHECK_OK(mkdir(BPFFS, 0755));
}

static UNUSED void pin_object(int fd, const char *path)
{
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path, .bpf_fd = (uint32_t)fd };

	if (bpf(BPF_OBJ_PIN, &attr) != 0)
		FAIL("BPF_OBJ_PIN %s: %s", path, strerror(errno));
}

/* Entries of a directory. */
static UNUSED int count_names(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		FAIL("%s: %s", path, strerror(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static UNUSED struct xsk_attach_info query_of(const char *ifname)
{
	struct xsk_attach_info info = { .size = sizeof(info) };

	CHECK_OK(xsk_attach_query(ifname, &info));
	return info;
}

/* Like open_end(), but all of bind's parameters are told, and failure is an answer. */
static UNUSED int try_end(struct end *end, const char *ifname, uint32_t queue,
			  const struct xsk_bind_params *params)
{
	int answer;

	end->umem = small_umem();
	CHECK_OK(xsk_socket_create(&end->socket, end->umem,
				   &XSK_SOCKET_PARAMS(.rx_size = 256, .tx_size = 256)));
	CHECK_OK(xsk_rx_burst(end->socket, NULL, 0));
	answer = xsk_socket_bind(end->socket, ifname, queue, params);
	if (answer != 0) {
		/* The sentence is the caller's to look at. */
		xsk_socket_destroy(end->socket);
		CHECK_OK(xsk_umem_destroy(end->umem));
	}
	return answer;
}

#endif
