// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A program of C++11 against the header, compiled as use.c is.

#if NATIVE == 1
#include <xsk.h>
#endif
#if LIBBPF == 1
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#endif
#ifdef OLD
#include <bpf/xsk.h>
#else
#include <xdp/xsk.h>
#endif
#if NATIVE == 2
#include <xsk.h>
#endif
#if LIBBPF == 2
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#endif

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

static_assert(sizeof(xsk_ring_prod) == 48 && sizeof(xsk_ring_cons) == 48, "rings");
static_assert(sizeof(xsk_umem_config) == 20 && sizeof(xsk_socket_config) == 20, "configs");
static_assert(sizeof(xsk_umem_opts) == 48 && sizeof(xsk_socket_opts) == 64, "opts");
static_assert(XSK_UMEM__DEFAULT_FRAME_SIZE == 4096, "constants");

namespace {

struct Delete {
	void operator()(xsk_umem *umem) const { xsk_umem__delete(umem); }
	void operator()(xsk_socket *xsk) const { xsk_socket__delete(xsk); }
};

template <typename Handle> using Owned = std::unique_ptr<Handle, Delete>;

// The ring structs are members: they must not move while the handles live.
class Endpoint {
public:
	explicit Endpoint(std::size_t size) : memory(size)
	{
		xsk_umem_config config = {};
		config.fill_size = 64;
		config.comp_size = 64;
		config.frame_size = 2048;
		xsk_umem *made = nullptr;
		error = xsk_umem__create(&made, memory.empty() ? nullptr : memory.data(), size, &fill,
					 &comp, &config);
		umem.reset(made);
	}

	int open(const char *ifname)
	{
		xsk_socket_config config{};
		config.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD;
		xsk_socket *made = nullptr;
		int failed = xsk_socket__create(&made, ifname, 0, umem.get(), &rx, &tx, &config);
		socket.reset(made);
		return failed;
	}

	int error = 0;

private:
	std::vector<unsigned char> memory;
	xsk_ring_prod fill{}, tx{};
	xsk_ring_cons comp{}, rx{};
	Owned<xsk_umem> umem;
	Owned<xsk_socket> socket;
};

template <typename Ring> Ring ring_over(std::uint32_t *counters, void *entries)
{
	Ring ring{};
	ring.mask = 7;
	ring.size = 8;
	ring.producer = counters;
	ring.consumer = counters + 1;
	ring.flags = counters + 2;
	ring.ring = entries;
	return ring;
}

}

int main()
{
	std::uint32_t counters[3] = {};
	__u64 addresses[8] = {};
	auto fill = ring_over<xsk_ring_prod>(counters, addresses);
	fill.cached_cons = fill.size;
	__u32 idx = 0;
	std::function<__u32(xsk_ring_prod *, __u32, __u32 *)> reserve = xsk_ring_prod__reserve;
	bool good = reserve(&fill, 5, &idx) == 5;
	for (__u32 i = 0; i < 5; i++)
		*xsk_ring_prod__fill_addr(&fill, idx + i) = i;
	xsk_ring_prod__submit(&fill, 5);
	auto comp = ring_over<xsk_ring_cons>(counters, addresses);
	good = good && xsk_ring_cons__peek(&comp, 8, &idx) == 5;
	good = good && *xsk_ring_cons__comp_addr(&comp, idx + 4) == 4;
	xsk_ring_cons__release(&comp, 5);
	good = good && counters[0] == 5 && counters[1] == 5;
	good = good && xsk_umem__get_data(addresses, 8) == addresses + 1;

	Endpoint none(0);
	good = good && none.error == -EFAULT && none.open("lo") == -EFAULT;
	xsk_umem_opts opts{};
	opts.sz = sizeof(opts);
	good = good && !xsk_umem__create_opts(nullptr, &fill, &comp, &opts) && errno == EFAULT;
	if (good)
		std::puts("ok");
	return good ? 0 : 1;
}
