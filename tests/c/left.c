/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a run of all tests leaves on the machine. tests/run.sh calls this before and
 * after; XSK_TEST_STATE names the file that keeps what was there before. */
#include "bpf.h"

struct state {
	int objects;		/* programs and maps of the library's */
	char names[4096];	/* interfaces, and namespaces with a name */
};

static struct state look(void)
{
	struct if_nameindex *links = if_nameindex();
	struct state state = { .objects = count_objects() };
	DIR *dir = opendir("/run/netns");
	struct dirent *entry;
	size_t len = 0;

	CHECK(links != NULL);
	for (uint32_t i = 0; links[i].if_index != 0; i++)
		len += (size_t)snprintf(state.names + len, sizeof(state.names) - len, "%s ",
					links[i].if_name);
	if_freenameindex(links);
	while (dir && (entry = readdir(dir)) && len < sizeof(state.names))
		len += (size_t)snprintf(state.names + len, sizeof(state.names) - len, "netns/%s ",
					entry->d_name);
	if (dir)
		closedir(dir);
	CHECK(len < sizeof(state.names));
	return state;
}

/* Another process that runs a program from where this one and the examples lie. */
static pid_t find_process(void)
{
	char ours[512], link[64], exe[512];
	struct dirent *entry;
	pid_t found = 0;
	DIR *dir = opendir("/proc");
	ssize_t len;

	len = readlink("/proc/self/exe", ours, sizeof(ours) - 1);
	CHECK(dir != NULL && len > 0);
	ours[len] = 0;
	for (int i = 0; i < 2; i++)	/* .../build/tests/left to .../build */
		*strrchr(ours, '/') = 0;
	while (!found && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == getpid() || pid == getppid())
			continue;
		snprintf(link, sizeof(link), "/proc/%d/exe", pid);
		len = readlink(link, exe, sizeof(exe) - 1);
		exe[len > 0 ? len : 0] = 0;
		if (strncmp(exe, ours, strlen(ours)) == 0 && exe[strlen(ours)] == '/')
			found = pid;
	}
	closedir(dir);
	return found;
}

static FILE *open_state(const char *mode)
{
	const char *path = getenv("XSK_TEST_STATE");
	FILE *file;

	if (geteuid() != 0)
		SKIP("needs root");
	if (!path)
		SKIP("tests/run.sh runs this");
	file = fopen(path, mode);
	CHECK(file != NULL);
	return file;
}

TEST_WITHOUT_ROOT(note_what_is_there)
{
	FILE *file = open_state("w");
	struct state state = look();

	CHECK_EQ(fwrite(&state, sizeof(state), 1, file), 1);
	CHECK_OK(fclose(file));
}

TEST_WITHOUT_ROOT(nothing_is_left_behind)
{
	FILE *file = open_state("r");
	struct state before, after;

	CHECK_EQ(fread(&before, sizeof(before), 1, file), 1);
	fclose(file);
	/* The kernel takes a while for what the last program had. */
	WAIT_FOR(count_objects() <= before.objects, 3000);
	WAIT_FOR(find_process() == 0, 1000);
	after = look();
	if (strcmp(before.names, after.names) != 0)
		FAIL("there was \"%s\", now there is \"%s\"", before.names, after.names);
}
