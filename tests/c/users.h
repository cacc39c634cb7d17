/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Processes without privileges, Unix sockets in a directory that goes with the case,
 * and messages with descriptors.
 */

#ifndef USERS_H
#define USERS_H

#include "net.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>

#define NOBODY 65534

/* A directory that nobody else sees, and that is gone with the case: /run. */
static UNUSED void make_private_dir(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=755") != 0)
		SKIP("no mount namespace can be made");
}

/* Whether this kernel lets nobody without CAP_BPF use maps, own descriptor or not: before
 * Linux 5.19, unless it is told otherwise. */
static UNUSED int maps_are_for_some(void)
{
	FILE *file = fopen("/proc/sys/kernel/unprivileged_bpf_disabled", "r");
	int major = 0, minor = 0, disabled = 0;
	struct utsname kernel;

	CHECK_OK(uname(&kernel));
	CHECK_EQ(sscanf(kernel.release, "%d.%d", &major, &minor), 2);
	if (file) {
		CHECK_EQ(fscanf(file, "%d", &disabled), 1);
		fclose(file);
	}
	return disabled && (major < 5 || (major == 5 && minor < 19));
}

static UNUSED void limit_memlock(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
}

/* From now on this process is another user's and has no capability, nor any way to
 * get one. */
static UNUSED void become(uid_t uid, gid_t gid, gid_t other_group)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	CHECK_OK(setgroups(other_group ? 1 : 0, &other_group));
	CHECK_OK(setresgid(gid, gid, gid));
	CHECK_OK(setresuid(uid, uid, uid));
	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_OK(syscall(SYS_capset, &head, caps));
	CHECK_OK(syscall(SYS_capget, &head, caps));
	CHECK((caps[0].effective | caps[0].permitted | caps[1].effective | caps[1].permitted) == 0);
	/* Both were lost with the user. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	CHECK(socket(AF_XDP, SOCK_RAW, 0) < 0 && errno == EPERM);
}

/* --- Unix sockets that keep messages apart */

static UNUSED struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

static UNUSED int unix_listen(const char *path)
{
	struct sockaddr_un addr = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 4) != 0 ||
	    chmod(path, 0666) != 0)
		FAIL("listening at %s: %s", path, strerror(errno));
	return fd;
}

/* -1 with errno. */
static UNUSED int unix_connect(const char *path, int flags)
{
	struct sockaddr_un addr = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	int err;

	CHECK(fd >= 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

#define MOST_FDS 16

static UNUSED ssize_t unix_send(int to, const void *bytes, size_t len, const int *fds, size_t count)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(MOST_FDS * sizeof(int))]; } control = { 0 };
	struct iovec part = { (void *)(uintptr_t)bytes, len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	}
	return sendmsg(to, &message, MSG_NOSIGNAL);
}

/* The bytes of the next message, after at most 5 s; its descriptors, MOST_FDS at most. */
static UNUSED ssize_t unix_receive(int from, void *bytes, size_t room, int *fds, size_t *count)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(MOST_FDS * sizeof(int))]; } control = { 0 };
	struct iovec part = { bytes, room };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct pollfd entry = { from, POLLIN, 0 };
	ssize_t len;

	*count = 0;
	if (poll(&entry, 1, 5000) != 1)
		FAIL("no message after 5 s");
	len = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	/* What was said before the end can still be read. */
	if (len < 0 && errno == ECONNRESET)
		len = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	if (len >= 0 && message.msg_controllen >= sizeof(struct cmsghdr)) {
		*count = (control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(&control.head), *count * sizeof(int));
	}
	return len;
}

#endif
