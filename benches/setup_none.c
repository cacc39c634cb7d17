/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>

#include "setup_side.h"

int side_umem(void *memory, uint64_t size)
{
	(void)memory;
	(void)size;
	return -ENOSYS;
}

int side_socket(const char *ifname)
{
	(void)ifname;
	return -ENOSYS;
}

void side_fill(void)
{
}

int side_fd(void)
{
	return -1;
}

unsigned int side_receive(void)
{
	return 0;
}

void side_close(void)
{
}
