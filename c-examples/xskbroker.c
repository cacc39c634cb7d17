/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Gives AF_XDP sockets to processes that have no privilege at all:
 *
 *	sudo build/examples/xskbroker -p /run/xsk -u $USER -i eth0:0-3
 *	build/examples/rxdrop --broker /run/xsk -q 2
 *
 * It needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF; packaging/xskbroker.service runs it
 * with these and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define MOST 64

static const char usage[] =
	"usage: xskbroker -p PATH -i IF[:FIRST[-LAST]] [-i ...] [options]\n"
	"Gives AF_XDP sockets for queues of interfaces to processes without privileges.\n"
	"  -p PATH     where clients connect: a Unix socket\n"
	"  -i IF:...   an interface, and which of its queues (all that are in use)\n"
	"  -u USER     a user who is given sockets, by name or number (this one)\n"
	"  -g GROUP    a group, likewise; -u, -g and -i can be given several times\n"
	"  -m MODE     permissions of the Unix socket (0666)\n"
	"  -b US,N     preset busy polling: microseconds and packets a call\n"
	"  -P FOLDER   of a BPF file system: keep the program of an interface there, in\n"
	"              FOLDER/IF, for the next start\n"
	"  -S | -N     XDP in the network stack (skb mode) | in the driver (native)\n";

struct offer {
	char *ifname;
	uint32_t first, count;
};

static struct offer offers[MOST];
static uint32_t uids[MOST], gids[MOST];
static size_t offer_count;
static struct xsk_grant_params params = { .size = sizeof(params), .uids = uids, .gids = gids };
static uint32_t bind_flags;
static const char *path, *pins;

static uint32_t user_of(const char *name)
{
	const struct passwd *user = getpwnam(name);

	return user ? user->pw_uid : (uint32_t)read_number(name, 0, UINT32_MAX - 1);
}

static uint32_t group_of(const char *name)
{
	const struct group *group = getgrnam(name);

	return group ? group->gr_gid : (uint32_t)read_number(name, 0, UINT32_MAX - 1);
}

/* Takes "IF", "IF:FIRST" or "IF:FIRST-LAST" apart; a count of 0 is for all. */
static struct offer read_offer(char *text)
{
	char *ifname = strsep(&text, ":"), *first = text ? strsep(&text, "-") : NULL;
	struct offer offer = { ifname, 0, 0 };

	if (first) {
		offer.first = (uint32_t)read_number(first, 0, UINT16_MAX);
		offer.count = 1;
	}
	if (text)
		offer.count = (uint32_t)read_number(text, offer.first, UINT16_MAX) - offer.first + 1;
	return offer;
}

static void read_options(int argc, char **argv)
{
	char *text;
	int letter;

	while ((letter = getopt(argc, argv, "p:i:u:g:m:b:P:SNh")) != -1) {
		if (offer_count == MOST || params.uid_count == MOST || params.gid_count == MOST)
			bad_usage("too many of: -", (char[]){ (char)letter, '\0' });
		switch (letter) {
		case 'p':
			path = optarg;
			break;
		case 'i':
			offers[offer_count++] = read_offer(optarg);
			break;
		case 'u':
			uids[params.uid_count++] = user_of(optarg);
			break;
		case 'g':
			gids[params.gid_count++] = group_of(optarg);
			break;
		case 'm':
			params.mode = (uint32_t)strtoul(optarg, &text, 8);
			if (*text || text == optarg)
				bad_usage("not permissions: ", optarg);
			break;
		case 'b':
			text = strchr(optarg, ',');
			if (!text)
				bad_usage("not microseconds and packets: ", optarg);
			*text = '\0';
			params.flags = XSK_SOCKET_PREFER_BUSY_POLL;
			params.busy_poll_us = (uint32_t)read_number(optarg, 1, INT32_MAX);
			params.busy_poll_budget = (uint32_t)read_number(text + 1, 1, UINT16_MAX);
			break;
		case 'P':
			pins = optarg;
			break;
		case 'S':
			bind_flags |= XSK_BIND_SKB_MODE;
			break;
		case 'N':
			bind_flags |= XSK_BIND_DRV_MODE;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc)
		bad_usage("not an option: ", argv[optind]);
	if (!path || offer_count == 0)
		bad_usage("where, and of which interface? ", "-p PATH -i IF");
}

static int add(struct xsk_grant *grant, const struct offer *offer)
{
	struct xsk_bind_params bind = { .size = sizeof(bind), .flags = bind_flags };
	char pin[PATH_MAX];

	if (pins) {
		snprintf(pin, sizeof(pin), "%s/%s", pins, offer->ifname);
		bind.pin_path = pin;
	}
	return xsk_grant_add(grant, offer->ifname, offer->first, offer->count, &bind);
}

/* Serves clients until a signal comes, which only comes while it waits. */
static int serve(struct xsk_grant *grant, const sigset_t *waiting)
{
	struct pollfd entry = { xsk_grant_fd(grant), POLLIN, 0 };
	int err = 0;

	while (err == 0 && !stopped) {
		if (ppoll(&entry, 1, NULL, waiting) > 0)
			err = xsk_grant_step(grant);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct xsk_grant *grant = NULL;
	sigset_t signals, waiting;
	size_t i;
	int err;

	read_options(argc, argv);
	catch_signals();
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &waiting);

	err = xsk_grant_create(&grant, path, &params);
	for (i = 0; err == 0 && i < offer_count; i++)
		err = add(grant, &offers[i]);
	if (err == 0) {
		printf("xskbroker: running, Ctrl-C ends it\n");
		fflush(stdout);
		err = serve(grant, &waiting);
	}
	if (err < 0)
		failed();
	xsk_grant_destroy(grant);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
