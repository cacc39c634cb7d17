/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The Kubernetes device plugin's protocol, against a server that speaks it, refuses,
 * answers nonsense, and is silent. */
#include "bpf.h"
#include "users.h"

#define DIRECTORY "/run"
#define POD "pod-a"

/* What the server does instead of what it should. */
enum mood {
	WILLING,
	SILENT,		/* to a request that begins so */
	CLOSING,
	SAYING,		/* `answer` */
};

struct server {
	enum mood mood;
	const char *to;		/* the request for which the mood is */
	const char *answer;
	int fd;			/* what goes with /fd_ack; -1 for none */
};

static void say(int to, const char *text, int fd)
{
	CHECK_EQ(unix_send(to, text, strlen(text), &fd, fd >= 0), strlen(text));
}

static int begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* One connection for a pod, as the plugin does it. */
static void serve(int listener, const struct server *server)
{
	struct pollfd entry = { listener, POLLIN, 0 };
	int connected = 0, over = 0;
	int fd;

	CHECK_EQ(poll(&entry, 1, 10000), 1);
	fd = accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	/* And nobody else. */
	close(listener);
	while (!over) {
		char text[65] = "";
		int fds[MOST_FDS];
		size_t count;
		ssize_t len = unix_receive(fd, text, 64, fds, &count);

		if (len <= 0)
			break;
		CHECK(text[len - 1] != 0);
		if (server->mood != WILLING && begins(text, server->to)) {
			if (server->mood == SILENT)
				pause();
			if (server->mood == CLOSING)
				break;
			say(fd, server->answer, server->fd);
			continue;
		}
		if (strcmp(text, "/connect," POD) == 0) {
			say(fd, "/host_ok", -1);
			connected = 1;
		} else if (begins(text, "/connect,")) {
			say(fd, "/host_nak", -1);
		} else if (!connected) {
			say(fd, "/nak", -1);
		} else if (strcmp(text, "/version") == 0) {
			say(fd, "0.1", -1);
		} else if (strcmp(text, "/xsk_map_fd," XA) == 0) {
			say(fd, "/fd_ack", server->fd);
		} else if (begins(text, "/xsk_map_fd,")) {
			say(fd, "/fd_nak", -1);
		} else if (begins(text, "/config_busy_poll,")) {
			unsigned int us, budget;
			int prefer = 1;

			CHECK_EQ(sscanf(text, "/config_busy_poll,%u,%u", &us, &budget), 2);
			if (count == 1 &&
			    setsockopt(fds[0], SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, 4) == 0 &&
			    setsockopt(fds[0], SOL_SOCKET, SO_BUSY_POLL, &us, 4) == 0 &&
			    setsockopt(fds[0], SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, 4) == 0)
				say(fd, "/config_busy_poll_ack", -1);
			else
				say(fd, "/config_busy_poll_nak", -1);
		} else if (strcmp(text, "/fin") == 0) {
			say(fd, "/fin_ack", -1);
			over = 1;
		} else {
			say(fd, "/nak", -1);
		}
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
	}
	close(fd);
	_exit(0);
}

static pid_t start_server(const struct server *server)
{
	int listener;
	pid_t pid;

	mkdir(DIRECTORY "/" XA, 0700);
	unlink(DIRECTORY "/" XA "/afxdp.sock");
	listener = unix_listen(DIRECTORY "/" XA "/afxdp.sock");
	pid = fork_child();
	if (pid == 0)
		serve(listener, server);
	close(listener);
	return pid;
}

#define PARAMS(...) \
	&XSK_K8S_PARAMS(.directory = DIRECTORY, .timeout_ms = 300, __VA_ARGS__)

static struct xsk_k8s *connect_pod(void)
{
	struct xsk_k8s *k8s = NULL;

	CHECK_OK(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = POD)));
	return k8s;
}

TEST(a_pod_gets_its_map_and_receives_on_all_queues_with_one_connection)
{
	int map, link, fd, fds, timeout = 25, value = 0;
	struct server server = { .fd = -1 };
	socklen_t len = sizeof(value);
	struct xsk_k8s *k8s;
	struct end from[2], ends[2];
	char version[8] = "";
	pid_t pid;

	make_private_dir();
	make_pair(2);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 4);
	link = attach_link(load_redirect(map), XA);
	server.fd = map;
	pid = start_server(&server);
	fds = count_fds();
	k8s = connect_pod();
	CHECK_OK(xsk_k8s_version(k8s, version, sizeof(version)));
	CHECK_EQ(strcmp(version, "0.1"), 0);
	for (uint32_t i = 0; i < 2; i++) {
		fd = xsk_k8s_xskmap(k8s, XA);
		CHECK(fd > 2);
		CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ends[i].umem = small_umem();
		CHECK_OK(xsk_socket_open(&ends[i].socket, ends[i].umem, XA, i, NULL, &XSK_BIND_PARAMS(
				.flags = XSK_BIND_XSKMAP, .xskmap_fd = fd)));
		CHECK_EQ(xsk_rx_burst(ends[i].socket, NULL, 0), 0);
		CHECK_OK(close(fd));
	}
	fd = xsk_socket_fd(ends[0].socket);
	if (getsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &value, &len) == 0) {
		CHECK_OK(xsk_k8s_busy_poll(k8s, ends[0].socket, (uint32_t)timeout, 64));
		CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &value, &len));
		CHECK_EQ(value, timeout);
		CHECK_EQ(info_of(ends[0].socket).busy_poll_us, timeout);
	}
	CHECK_FAILS(xsk_k8s_busy_poll(k8s, ends[0].socket, UINT32_MAX, UINT32_MAX), -EPERM,
		    "4294967295 us and 4294967295 packets");
	CHECK_OK(xsk_k8s_fin(k8s));
	CHECK_FAILS(xsk_k8s_fin(k8s), -ENOTCONN, "over");
	CHECK_FAILS(xsk_k8s_xskmap(k8s, XA), -ENOTCONN, "over");
	xsk_k8s_destroy(k8s);
	join_child(pid);
	for (uint32_t i = 0; i < 2; i++)
		from[i] = open_end(XB, i, XSK_SOCKET_TX_ONLY, 0);
	for (uint32_t i = 0; i < 100; i++) {
		end_send(&from[i % 2], i);
		CHECK_EQ(end_receive(&ends[i % 2], 1000), i);
	}
	for (uint32_t i = 0; i < 2; i++) {
		close_end(&from[i]);
		close_end(&ends[i]);
	}
	CHECK_EQ(count_fds(), fds);
	close(link);
}

TEST(refusals_say_what_was_refused_and_the_conversation_goes_on)
{
	struct server server = { .fd = -1 };
	struct xsk_k8s *k8s = NULL;
	char version[4];
	int fds, map;
	pid_t pid;

	make_private_dir();
	map = make_map(BPF_MAP_TYPE_XSKMAP, 4);
	server.fd = map;
	fds = count_fds();
	pid = start_server(&server);
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = "other")), -EACCES, "pod other", XA);
	join_child(pid);
	CHECK(k8s == NULL);
	CHECK_EQ(count_fds(), fds);

	pid = start_server(&server);
	k8s = connect_pod();
	CHECK_FAILS(xsk_k8s_xskmap(k8s, "eth7"), -ENODEV, "eth7");
	CHECK_FAILS(xsk_k8s_xskmap(k8s, "no/name"), -EINVAL, "no/name");
	CHECK_FAILS(xsk_k8s_version(k8s, version, 3), -ERANGE, "3 bytes");
	CHECK_OK(xsk_k8s_version(k8s, version, 4));
	map = xsk_k8s_xskmap(k8s, XA);
	CHECK(map >= 0);
	close(map);
	/* Destroyed without a word: the server sees that it is over. */
	xsk_k8s_destroy(k8s);
	join_child(pid);
	CHECK_EQ(count_fds(), fds);
}

TEST(the_pods_name_is_that_of_the_environment_or_of_the_host)
{
	struct server server = { .fd = -1 };
	struct xsk_k8s *k8s = NULL;
	char name[80];
	pid_t pid;

	make_private_dir();
	CHECK_OK(setenv("HOSTNAME", POD, 1));
	pid = start_server(&server);
	CHECK_OK(xsk_k8s_connect(&k8s, XA, PARAMS()));
	xsk_k8s_destroy(k8s);
	join_child(pid);
	CHECK_OK(unshare(CLONE_NEWUTS));
	CHECK_OK(sethostname(POD, strlen(POD)));
	for (int empty = 0; empty < 2; empty++) {
		CHECK_OK(empty ? setenv("HOSTNAME", "", 1) : unsetenv("HOSTNAME"));
		pid = start_server(&server);
		CHECK_OK(xsk_k8s_connect(&k8s, XA, PARAMS()));
		xsk_k8s_destroy(k8s);
		join_child(pid);
	}
	/* The plugin reads 64 bytes: "/connect," and 55. */
	k8s = NULL;
	memset(name, 'n', sizeof(name));
	name[55] = 0;
	pid = start_server(&server);
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = name)), -EACCES, "nnn");
	join_child(pid);
	name[55] = 'n';
	name[56] = 0;
	pid = start_server(&server);
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = name)), -ENAMETOOLONG, "64 bytes");
	join_child(pid);
	name[56] = 'n';
	name[79] = 0;
	CHECK_OK(setenv("HOSTNAME", name, 1));
	pid = start_server(&server);
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS()), -ENAMETOOLONG, "64 bytes");
	join_child(pid);
}

TEST(where_no_plugin_is_that_is_said)
{
	char directory[120];
	struct xsk_k8s *k8s = NULL;
	int listener;

	make_private_dir();
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = POD)), -ENOENT,
		    DIRECTORY "/" XA "/afxdp.sock", "device plugin");
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, NULL), -ENOENT, "/tmp/afxdp_dp/" XA "/afxdp.sock");
	CHECK_FAILS(xsk_k8s_connect(&k8s, "../x", PARAMS()), -EINVAL, "../x");
	memset(directory, 'd', sizeof(directory));
	directory[100] = 0;
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, &XSK_K8S_PARAMS(.directory = directory)),
		    -ENAMETOOLONG, "107");
	CHECK_OK(mkdir(DIRECTORY "/" XA, 0700));
	listener = unix_listen(DIRECTORY "/" XA "/afxdp.sock");
	close(listener);
	CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = POD)), -ECONNREFUSED, "one connection");
	/* Another user's. */
	pid_t pid = fork_child();

	if (pid == 0) {
		become(NOBODY, NOBODY, 0);
		CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = POD)), -EACCES, "pool");
		_exit(0);
	}
	join_child(pid);
	CHECK(k8s == NULL);
}

/* One server of that mood; what is asked fails so, in time, and then it is over. */
static void fails_at(const char *to, enum mood mood, const char *answer, int fd, int error,
		     const char *word, int goes_on)
{
	struct server server = { mood, to, answer, fd };
	struct xsk_k8s *k8s = NULL;
	struct end end = { NULL, NULL };
	uint64_t start = now_ms();
	int fds, result;
	char version[64];
	pid_t pid;

	pid = start_server(&server);
	fds = count_fds();
	if (begins(to, "/connect")) {
		CHECK_FAILS(xsk_k8s_connect(&k8s, XA, PARAMS(.hostname = POD)), error, word);
		CHECK(k8s == NULL);
	} else {
		k8s = connect_pod();
		if (begins(to, "/version")) {
			result = xsk_k8s_version(k8s, version, sizeof(version));
		} else if (begins(to, "/xsk_map_fd")) {
			result = xsk_k8s_xskmap(k8s, XA);
		} else if (begins(to, "/config")) {
			end.umem = small_umem();
			CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
			result = xsk_k8s_busy_poll(k8s, end.socket, 20, 64);
		} else {
			result = xsk_k8s_fin(k8s);
		}
		CHECK_FAILS(result, error, word);
		if (goes_on)
			CHECK_OK(begins(to, "/fin") ? xsk_k8s_version(k8s, version, sizeof(version)) :
						      xsk_k8s_fin(k8s));
		else
			CHECK_FAILS(xsk_k8s_fin(k8s), -ENOTCONN, "over");
		if (end.umem)
			close_end(&end);
		xsk_k8s_destroy(k8s);
	}
	CHECK_EQ(count_fds(), fds);
	if (mood == SILENT) {
		CHECK_WITHIN(now_ms() - start, 300, 2000);
		kill_child(pid);
	} else {
		CHECK_WITHIN(now_ms() - start, 0, 2000);
		join_child(pid);
	}
}

static const char *const requests[] = {
	"/connect,", "/version", "/xsk_map_fd,", "/config_busy_poll,", "/fin",
};

TEST(silence_ends_in_time)
{
	make_private_dir();
	for (uint32_t i = 0; i < COUNT(requests); i++)
		fails_at(requests[i], SILENT, NULL, -1, -ETIMEDOUT, "does not answer", 0);
}

TEST(a_closed_connection_is_told)
{
	make_private_dir();
	for (uint32_t i = 0; i < COUNT(requests); i++)
		fails_at(requests[i], CLOSING, NULL, -1, -ECONNRESET, "closed", 0);
}

TEST(answers_that_make_no_sense_are_told)
{
	static const char *const odd[] = {
		"/", "/host", "/host_okay", "/fd_ac", "/fin_nak", "\x01\xff", "/config_busy_poll_",
		"0123456789012345678901234567890123456789012345678901234567890123456789",
	};

	make_private_dir();
	for (uint32_t i = 0; i < COUNT(requests); i++) {
		for (uint32_t k = 0; k < COUNT(odd); k++) {
			/* Anything without a slash may be a version. */
			if (i == 1 && k == 5)
				continue;
			fails_at(requests[i], SAYING, odd[k], -1, -EPROTO, k == 7 ? "too much" : "answers",
				 0);
		}
		fails_at(requests[i], SAYING, "/nak", -1, -EOPNOTSUPP, "does not know", 1);
	}
	fails_at("/connect,", SAYING, "/error", -1, -EIO, "failed inside", 0);
}

TEST(what_comes_as_a_map_is_looked_at)
{
	int array, null;

	make_private_dir();
	array = make_map(BPF_MAP_TYPE_ARRAY, 4);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fails_at("/xsk_map_fd,", SAYING, "/fd_ack", -1, -EPROTO, "none came", 0);
	fails_at("/xsk_map_fd,", SAYING, "/fd_ack", array, -EPROTO, "something else", 1);
	fails_at("/xsk_map_fd,", SAYING, "/fd_ack", null, -EPROTO, "something else", 1);
	/* A descriptor that nobody asked for is closed. */
	fails_at("/xsk_map_fd,", SAYING, "/fd_nak", array, -ENODEV, XA, 1);
	fails_at("/connect,", SAYING, "/host_nak", array, -EACCES, "pod " POD, 0);
}
