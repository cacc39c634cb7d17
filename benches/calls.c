/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "calls.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread struct calls calls;

static ssize_t counted(uint64_t start, ssize_t answer)
{
	calls.ticks += ticks() - start;
	calls.count++;
	return answer;
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	       socklen_t room)
{
	uint64_t start = ticks();
	ssize_t answer = syscall(SYS_sendto, fd, data, len, flags, to, room);

	return counted(start, answer);
}

ssize_t recvfrom(int fd, void *data, size_t len, int flags, struct sockaddr *from,
		 socklen_t *room)
{
	uint64_t start = ticks();
	ssize_t answer = syscall(SYS_recvfrom, fd, data, len, flags, from, room);

	return counted(start, answer);
}
