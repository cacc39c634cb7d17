/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Users of libxdp and of libxsk on one interface at the same time:
 *	together PREFIX PEER_OF_LIBXDP PEER_OF_OURS LIBXSK_COMPAT RXDROP
 * The peers are peer.c built against either. Each case has a network namespace and a
 * mount namespace of its own, with nothing or a BPF file system at /sys/fs/bpf.
 * Verdicts are named PREFIX_case.
 */

#include "common.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define SECONDS 30

enum { LIBXDP, OURS, PRELOADED, PLAIN };

static char **programs;
static int with_bpffs;
static char *reason;	/* shared with the case's process */

#define FAIL(...) \
	do { \
		snprintf(reason, 1000, __VA_ARGS__); \
		_exit(1); \
	} while (0)

struct peer {
	pid_t pid;
	int in;
	FILE *out;
	int kind, queue, open, closed;
	unsigned int received;
	char said[600];
};

static const char *kind_name(int kind)
{
	return kind == LIBXDP ? "libxdp" : kind == OURS ? "ours" : "preloaded";
}

/* --- peers */

static void ask(struct peer *peer, const char *what)
{
	struct pollfd entry = { fileno(peer->out), POLLIN, 0 };

	if (what && write(peer->in, what, strlen(what)) != (ssize_t)strlen(what))
		FAIL("%s: asking %s: %s", kind_name(peer->kind), what, strerror(errno));
	if (poll(&entry, 1, 10000) != 1 || !fgets(peer->said, sizeof(peer->said), peer->out))
		FAIL("%s: no answer to %s", kind_name(peer->kind), what ? what : "start");
	peer->said[strcspn(peer->said, "\n")] = 0;
}

static struct peer launch(char *const *argv, int kind, const char *preload)
{
	struct peer peer = { .kind = kind };
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		FAIL("pipe");
	peer.pid = fork();
	if (peer.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (preload)
			setenv("LD_PRELOAD", preload, 1);
		execvp(argv[0], argv);
		_exit(126);
	}
	close(in[0]);
	close(out[1]);
	peer.in = in[1];
	peer.out = fdopen(out[0], "r");
	setvbuf(peer.out, NULL, _IONBF, 0);
	return peer;
}

/* `how` are words of a command before the program's. */
static struct peer start_with(int kind, const char *ifname, int queue, int inhibit,
			      char *const *how)
{
	char number[8], *argv[12];
	struct peer peer;
	int n = 0;

	snprintf(number, sizeof(number), "%d", queue);
	for (; how && *how; how++)
		argv[n++] = *how;
	argv[n++] = programs[kind == OURS ? 1 : 0];
	argv[n++] = (char *)(uintptr_t)ifname;
	argv[n++] = number;
	if (inhibit)
		argv[n++] = (char *)(uintptr_t)"inhibit";
	argv[n] = NULL;
	peer = launch(argv, kind, kind == PRELOADED ? programs[2] : NULL);
	peer.queue = queue;
	ask(&peer, NULL);
	peer.open = strcmp(peer.said, "open 0") == 0;
	return peer;
}

static struct peer start(int kind, int queue)
{
	return start_with(kind, "xa", queue, 0, NULL);
}

static void must_be_open(const struct peer *peer)
{
	if (!peer->open)
		FAIL("%s on queue %d: %s", kind_name(peer->kind), peer->queue, peer->said);
}

static void must_say(struct peer *peer, const char *what, const char *answer)
{
	ask(peer, what);
	if (strcmp(peer->said, answer) != 0)
		FAIL("%s on queue %d: %s, not %s", kind_name(peer->kind), peer->queue, peer->said,
		     answer);
}

static int wait_end(struct peer *peer)
{
	int status = -1;

	close(peer->in);
	waitpid(peer->pid, &status, 0);
	fclose(peer->out);
	peer->closed = 1;
	return status;
}

static void finish(struct peer *peer)
{
	int status;

	if (peer->open)
		must_say(peer, "close\n", "close 0");
	status = wait_end(peer);
	if (status != 0)
		FAIL("%s on queue %d ended with status %#x", kind_name(peer->kind), peer->queue,
		     status);
}

static void destroy(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	wait_end(peer);
}

/* Frames from the other interface's same queue arrive, and others leave. */
static void must_work(struct peer *peer, const char *when)
{
	struct peer sender = start_with(OURS, "xb", peer->queue, 1, NULL);
	int stack = stack_open("xb"), n = 0;
	uint64_t until = now_ms() + 2000;
	unsigned int got = 0;

	must_be_open(&sender);
	must_say(&sender, "tx 20\n", "tx 20");
	do {
		ask(peer, "rx\n");
		sscanf(peer->said, "rx %u", &got);
		nap_ms(1);
	} while (got < peer->received + 20 && now_ms() < until);
	if (got != peer->received + 20)
		FAIL("%s, queue %d: %s received %u of 20", when, peer->queue, kind_name(peer->kind),
		     got - peer->received);
	peer->received = got;
	must_say(peer, "tx 20\n", "tx 20");
	while (n < 20 && stack_receive(stack, 500) == n)
		n++;
	close(stack);
	if (n != 20)
		FAIL("%s, queue %d: %d of 20 that %s sent arrived", when, peer->queue, n,
		     kind_name(peer->kind));
	finish(&sender);
}

/* --- what is left */

/* Programs and maps of either library in the whole system. */
static int count_objects(void)
{
	union bpf_attr next, ask_for, get;
	int n = 0, fd, map;

	for (map = 0; map < 2; map++) {
		memset(&next, 0, sizeof(next));
		while (bpf_call(map ? BPF_MAP_GET_NEXT_ID : BPF_PROG_GET_NEXT_ID, &next) == 0) {
			struct bpf_prog_info prog_info;
			struct bpf_map_info map_info;
			const char *found = map ? map_info.name : prog_info.name;

			next.start_id = next.next_id;
			memset(&get, 0, sizeof(get));
			get.prog_id = next.next_id;
			fd = bpf_call(map ? BPF_MAP_GET_FD_BY_ID : BPF_PROG_GET_FD_BY_ID, &get);
			if (fd < 0)
				continue;
			memset(&prog_info, 0, sizeof(prog_info));
			memset(&map_info, 0, sizeof(map_info));
			memset(&ask_for, 0, sizeof(ask_for));
			ask_for.info.bpf_fd = (uint32_t)fd;
			ask_for.info.info_len = map ? sizeof(map_info) : sizeof(prog_info);
			ask_for.info.info = map ? (uint64_t)(uintptr_t)&map_info
						: (uint64_t)(uintptr_t)&prog_info;
			bpf_call(BPF_OBJ_GET_INFO_BY_FD, &ask_for);
			close(fd);
			n += !strncmp(found, "xsk_def", 7) || !strncmp(found, "xsks_map", 8) ||
			     !strncmp(found, "xdp_dispatcher", 14);
		}
	}
	return n;
}

static int count_pins(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char inner[600];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		n += entry->d_type == DT_DIR ? count_pins(inner) : 1;
	}
	closedir(dir);
	return n;
}

static int objects_before, pins_before;

static void must_be_clean(const char *when)
{
	uint64_t until = now_ms() + 2000;

	if (strcmp(attached_how("xa"), "none") != 0)
		FAIL("%s: a program (%s) is left on xa", when, attached_how("xa"));
	if (count_pins("/sys/fs/bpf") != pins_before)
		FAIL("%s: %d pins are left", when, count_pins("/sys/fs/bpf") - pins_before);
	while (count_objects() > objects_before && now_ms() < until)
		nap_ms(5);
	if (count_objects() > objects_before)
		FAIL("%s: %d BPF programs or maps are left", when,
		     count_objects() - objects_before);
}

/* --- cases: P has their parameters */

static int P[4];

/* One is there, another comes; one goes, the other stays. */
static void two(void)
{
	struct peer first = start(P[0], 0), second;
	const char *refused = "";

	must_be_open(&first);
	must_work(&first, "alone");
	second = start(P[1], 1);
	if (second.open) {
		must_work(&second, "after the other");
		must_work(&first, "with the other");
		finish(P[2] ? &first : &second);
		must_work(P[2] ? &second : &first, "after the other went");
		finish(P[2] ? &second : &first);
	} else {
		ask(&second, "reason\n");
		refused = second.said;
		if (strlen(refused) < strlen("reason ") + 10)
			FAIL("%s is refused without a reason", kind_name(P[1]));
		snprintf(reason, 1000, "# %s after %s is refused: %s", kind_name(P[1]),
			 kind_name(P[0]), refused + strlen("reason "));
		must_work(&first, "after the other was refused");
		finish(&second);
		must_work(&first, "after the refused one ended");
		finish(&first);
	}
	must_be_clean("at the end");
}

/* They come and go at random. */
static void many_times(void)
{
	int i;

	for (i = 0; i < 6; i++) {
		struct peer first, second;

		nap_ms(100);	/* libxdp does not wait for queues that are being torn down */
		first = start(i & 1 ? LIBXDP : OURS, 0);
		must_be_open(&first);
		second = start(i & 2 ? LIBXDP : OURS, 1);
		finish(i & 4 ? &first : &second);
		must_work(i & 4 && second.open ? &second : i & 4 ? &first : &first, "later");
		finish(i & 4 ? &second : &first);
		must_be_clean("after a round");
	}
}

/* A killed one leaves a program; the next clean exit of ours removes it. */
static void killed(void)
{
	struct peer first = start(P[0], 0), second;

	must_be_open(&first);
	must_work(&first, "before the kill");
	if (P[2]) {	/* while the other is there already */
		second = start(OURS, 1);
		if (!second.open) {
			finish(&second);
			finish(&first);
			snprintf(reason, 1000, "skip the other one is refused");
			return;
		}
		destroy(&first);
		must_work(&second, "after the kill");
	} else {
		destroy(&first);
		nap_ms(20);
		second = start(OURS, P[1]);
		must_be_open(&second);
		must_work(&second, "after the kill");
	}
	finish(&second);
	must_be_clean("after a clean exit");
}

/* libxdp comes after one of ours was killed, and ours after that. */
static void killed_and_libxdp(void)
{
	struct peer first = start(OURS, 0), second, third;

	must_be_open(&first);
	destroy(&first);
	nap_ms(20);
	second = start(LIBXDP, 0);
	if (second.open)
		must_work(&second, "after the kill");
	finish(&second);
	third = start(OURS, 1);
	must_be_open(&third);
	must_work(&third, "after both");
	finish(&third);
	must_be_clean("at the end");
}

/* A socket of the native interface beside one of libxdp's, by whichever library. P[0]: 0,
 * the native one comes first; 1, ours is there; 2, libxdp's is. P[1]: the native one goes
 * first. */
static void native(void)
{
	char *argv[] = { programs[3], (char *)(uintptr_t)"-i", (char *)(uintptr_t)"xa",
			 (char *)(uintptr_t)"-q", (char *)(uintptr_t)"0", NULL };
	struct peer drop, peer;
	int status;

	if (P[0]) {
		peer = start(P[0] == 2 ? LIBXDP : OURS, 1);
		must_be_open(&peer);
	}
	drop = launch(argv, OURS, NULL);
	nap_ms(300);
	if (waitpid(drop.pid, &status, WNOHANG) != 0)
		FAIL("rxdrop ended with status %#x", status);
	if (!P[0]) {
		peer = start(OURS, 1);
		must_be_open(&peer);
	}
	must_work(&peer, "beside the native one");
	if (P[1]) {
		kill(drop.pid, SIGINT);
		status = wait_end(&drop);
		if (status != 0)
			FAIL("rxdrop ended with status %#x", status);
		must_work(&peer, "after the native one");
		finish(&peer);
	} else {
		finish(&peer);
		if (strcmp(attached_how("xa"), "none") == 0)
			FAIL("the native one lost its program");
		kill(drop.pid, SIGINT);
		status = wait_end(&drop);
		if (status != 0)
			FAIL("rxdrop ended with status %#x", status);
	}
	must_be_clean("at the end");
}

/* In one process: ours is preloaded, and the program calls libxdp's and libbpf's other
 * functions.
 */
static void preloaded(void)
{
	struct peer peer = start(PRELOADED, 0);

	must_be_open(&peer);
	must_work(&peer, "preloaded");
	must_say(&peer, "query\n", "query 0 1 1");
	if (P[0]) {	/* as DPDK does while sockets are open */
		must_say(&peer, "detach\n", "detach 0");
		must_say(&peer, "query\n", "query 0 0 0");
	}
	ask(&peer, "reason\n");
	if (strstr(peer.said, "libxdp"))
		FAIL("it is not ours that is used: %s", peer.said);
	finish(&peer);
	must_be_clean("at the end");
}

static void privileges(void)
{
	static char *const bounded[] = { "setpriv", "--bounding-set", "-sys_resource",
					 "--inh-caps", "-sys_resource", NULL };
	static char *const locked[] = { "prlimit", "--memlock=65536:65536", NULL };
	static char *const both[] = { "prlimit", "--memlock=65536:65536", "setpriv",
				      "--bounding-set", "-sys_resource", NULL };
	struct peer peer = start_with(P[0], "xa", 0, 0, P[1] == 0 ? bounded : P[1] == 1 ? locked : both);

	must_be_open(&peer);
	must_work(&peer, "with less");
	finish(&peer);
	must_be_clean("at the end");
}

/* --- the runner */

static int failures;

static void __attribute__((format(printf, 2, 3))) run(void (*work)(void), const char *format, ...)
{
	char name[100];
	va_list args;
	int status = 0;
	pid_t pid, parent = getpid();

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	memset(reason, 0, 1000);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		alarm(SECONDS);
		enter_namespace();
		if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			FAIL("no mount namespace: %s", strerror(errno));
		/* One without BPF in any case. */
		if (mount("none", "/sys/fs/bpf", with_bpffs ? "bpf" : "tmpfs", 0, NULL) != 0)
			FAIL("/sys/fs/bpf: %s", strerror(errno));
		shell("printf 'link add xa numrxqueues 2 numtxqueues 2 type veth peer name xb "
		      "numrxqueues 2 numtxqueues 2\\nlink set xa up\\nlink set xb up\\n' | ip -batch -");
		objects_before = count_objects();
		pins_before = count_pins("/sys/fs/bpf");
		work();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (strncmp(reason, "skip ", 5) == 0) {
		printf("skip %s_%s: %s\n", programs[-1], name, reason + 5);
		return;
	}
	if (reason[0] == '#')
		printf("%s\n", reason);
	if (status == 0) {
		printf("ok %s_%s\n", programs[-1], name);
		return;
	}
	if (reason[0] == '#' || !reason[0])
		snprintf(reason, 1000, "ended with status %#x", status);
	printf("not ok %s_%s: %s\n", programs[-1], name, reason);
	failures++;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 6)
		return 2;
	programs = argv + 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	reason = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reason == MAP_FAILED)
		DIE("mmap");
	for (with_bpffs = 0; with_bpffs < 2; with_bpffs++) {
		const char *fs = with_bpffs ? "with_bpffs" : "without_bpffs";

		for (P[0] = 0; P[0] < 2; P[0]++)
			for (P[1] = !P[0]; P[1] < 2; P[1]++)
				for (P[2] = 0; P[2] < 2; P[2]++)
					run(two, "%s_then_%s_%s_goes_first_%s", kind_name(P[0]),
					    kind_name(P[1]), P[2] ? "first" : "second", fs);
		run(many_times, "many_times_%s", fs);
		for (P[0] = 0; P[0] < 2; P[0]++) {
			for (P[1] = 0; P[1] < 2; P[1]++) {
				P[2] = 0;
				run(killed, "%s_killed_then_ours_on_queue_%d_%s", kind_name(P[0]), P[1],
				    fs);
			}
			P[2] = 1;
			run(killed, "%s_killed_beside_ours_%s", kind_name(P[0]), fs);
		}
		run(killed_and_libxdp, "ours_killed_then_libxdp_then_ours_%s", fs);
		for (i = 0; i < 2; i++) {
			P[0] = i;
			run(preloaded, "in_one_process%s_%s", i ? "_detached" : "", fs);
		}
	}
	with_bpffs = 0;
	for (P[0] = 0; P[0] < 3; P[0]++)
		for (P[1] = 0; P[1] < 2; P[1]++)
			run(native, "native_%s_%s_%s_goes_first", P[0] ? "after" : "before",
			    P[0] == 2 ? "libxdp" : "ours", P[1] ? "native" : "other");
	for (P[0] = OURS; P[0] <= PRELOADED; P[0]++) {
		P[1] = 0;
		run(privileges, "%s_without_sys_resource", kind_name(P[0]));
		P[1] = 1;
		run(privileges, "%s_with_low_memlock", kind_name(P[0]));
		P[1] = 2;
		run(privileges, "%s_with_low_memlock_without_sys_resource", kind_name(P[0]));
	}
	return failures != 0;
}
