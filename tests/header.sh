#!/bin/sh
# The header by itself, as each kind of program sees it.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/cases.sh
CC=${CC:-cc} CXX=${CXX:-c++} CARGO=${CARGO:-cargo}
strict='-pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only'

# Uses every kind of thing in the header, as the oldest C can.
cat >"$scratch/use.c" <<'C'
#include <xsk.h>
#include <xsk.h>

static void line(uint32_t level, const char *text, void *context)
{
	(void)level;
	(void)text;
	(void)context;
}

int use(struct xsk_umem *umem, struct xsk_socket *socket)
{
	struct xsk_umem_params params = { sizeof(params), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct xdp_desc *desc = xsk_tx_desc(socket, 0);
	const struct xdp_desc *received = xsk_rx_desc(socket, 0);
	struct xsk_buf buf;

	params.frame_count = 64;
	if (desc && received)
		desc->len = received->len;
	return xsk_umem_create(&umem, &params) + xsk_rx_burst(socket, &buf, 1) +
	       xsk_log_set(line, 0, XSK_LOG_WARN) + XSK_RETRY_NEVER;
}
C
cp "$scratch/use.c" "$scratch/use.cpp"
cat >"$scratch/macros.c" <<'C'
#include <xsk.h>

int use(struct xsk_umem **umem, struct xsk_socket **socket)
{
	return xsk_umem_create(umem, &XSK_UMEM_PARAMS(.frame_count = 64)) +
	       xsk_socket_open(socket, *umem, "eth0", 0, &XSK_SOCKET_PARAMS(.rx_size = 64),
			       &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY));
}
C

for std in c89 c99 c11 c17; do
	# shellcheck disable=SC2086
	case_is "the_header_is_$std" $CC -std=$std $strict "$scratch/use.c"
done
for std in c99 c11 c17; do
	# shellcheck disable=SC2086
	case_is "the_params_macros_are_$std" $CC -std=$std $strict "$scratch/macros.c"
done
if has "$CXX"; then
	for std in c++11 c++17 c++20; do
		# shellcheck disable=SC2086
		case_is "the_header_is_$std" "$CXX" -std=$std $strict "$scratch/use.cpp"
	done
else
	skip the_header_is_c++17 "no C++ compiler ($CXX)"
fi
case_is no_line_of_the_header_is_longer_than_90_columns \
	awk 'length > 90 { print FILENAME ":" FNR; bad = 1 } END { exit bad }' include/xsk.h
case_is the_committed_header_is_what_the_source_generates make -s check-header CARGO="$CARGO"
finish
