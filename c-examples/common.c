/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the examples share; it is not about AF_XDP. See common.h. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

volatile sig_atomic_t stopped;

/* Where a line is being redrawn; NULL if nowhere. */
static FILE *terminal;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void clear_line(void)
{
	if (terminal) {
		fputs("\r\033[K", terminal);
		fflush(terminal);
	}
}

static void on_log(uint32_t level, const char *line, void *context)
{
	(void)level;
	(void)context;
	clear_line();
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, line);
}

void bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "%s: %s%s (-h for help)\n", program_invocation_short_name,
		what, value);
	exit(EXIT_USAGE);
}

/* Reads "all", "FIRST-LAST" or one queue. */
static void read_queues(struct options *options, const char *text)
{
	const char *dash = strchr(text, '-');
	char first[16];

	if (strcmp(text, "all") == 0) {
		options->queue_count = 0;
	} else if (!dash || dash == text) {
		options->queue = (uint32_t)read_number(text, 0, UINT32_MAX);
	} else {
		snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
		options->queue = (uint32_t)read_number(first, 0, UINT32_MAX - 1);
		options->queue_count = (uint32_t)read_number(dash + 1, options->queue,
							     UINT32_MAX - 1) - options->queue + 1;
	}
}

static void read_options(struct options *options, int argc, char **argv, const char *usage,
			 const char *letters, void (*own)(int letter, const char *value),
			 int takes_queues)
{
	static const struct option words[] = {
		{ "broker", required_argument, NULL, 'b' }, { NULL, 0, NULL, 0 },
	};
	/* Only where the letter is one of the program's. */
	const struct option *known = strstr(letters, "b:") ? words : words + 1;
	int letter;

	*options = (struct options){ .queue_count = 1, .count = UINT64_MAX };
	while ((letter = getopt_long(argc, argv, letters, known, NULL)) != -1) {
		switch (letter) {
		case 'i':
			options->ifname = optarg;
			break;
		case 'q':
			if (takes_queues)
				read_queues(options, optarg);
			else
				options->queue = (uint32_t)read_number(optarg, 0, UINT32_MAX);
			break;
		case 'b':
			options->broker = optarg;
			break;
		case 'c':
			options->count = read_number(optarg, 1, UINT64_MAX);
			break;
		case 't':
			options->seconds = read_number(optarg, 1, UINT32_MAX);
			break;
		case 'S':
			options->bind_flags |= XSK_BIND_SKB_MODE;
			break;
		case 'N':
			options->bind_flags |= XSK_BIND_DRV_MODE;
			break;
		case 'C':
			options->bind_flags |= XSK_BIND_COPY;
			break;
		case 'Z':
			options->bind_flags |= XSK_BIND_ZEROCOPY;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case '?':
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		default:
			own(letter, optarg);
		}
	}
	if (optind < argc)
		bad_usage("not an option: ", argv[optind]);
	if (!options->ifname && !options->broker)
		bad_usage("which interface? ", "-i IF");
	catch_signals();
}

void catch_signals(void)
{
	/* A second Ctrl-C ends the program at once. */
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	xsk_log_set(on_log, NULL, XSK_LOG_INFO);
}

void begin(struct options *options, int argc, char **argv, const char *usage,
	   const char *letters, void (*own)(int letter, const char *value))
{
	read_options(options, argc, argv, usage, letters, own, 0);
}

void begin_queues(struct options *options, int argc, char **argv, const char *usage,
		  const char *letters, void (*own)(int letter, const char *value))
{
	read_options(options, argc, argv, usage, letters, own, 1);
}

uint64_t read_number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	/* strtoull() takes "-1" for a large number. */
	if (errno || *end || end == text || strchr(text, '-') || number < min ||
	    number > max)
		bad_usage("not a number that fits here: ", text);
	return number;
}

void read_mac(const char *text, uint8_t mac[MAC_LEN])
{
	char end;

	if (sscanf(text, "%2" SCNx8 ":%2" SCNx8 ":%2" SCNx8 ":%2" SCNx8 ":%2" SCNx8
		   ":%2" SCNx8 "%c", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5], &end) != MAC_LEN)
		bad_usage("not a MAC address: ", text);
}

void read_ipv4(const char *text, uint8_t ip[4])
{
	if (inet_pton(AF_INET, text, ip) != 1)
		bad_usage("not an IPv4 address: ", text);
}

int failed(void)
{
	clear_line();
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, xsk_errmsg());
	return EXIT_FAILURE;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

void sleep_until(uint64_t ns)
{
	struct timespec when = { (time_t)(ns / SECOND), (long)(ns % SECOND) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

uint64_t pace_allows(struct pace *pace, uint64_t n)
{
	uint64_t now = now_ns(), due;

	if (pace->rate == 0)
		return n;
	for (; pace->done >= pace->rate; pace->done -= pace->rate)
		pace->start += SECOND;
	due = pace->start + pace->done * SECOND / pace->rate;
	if (now >= due + SECOND / 10) {
		/* What was missed for long (a link down) is not made up for. */
		pace->start += now - due;
		due = now;
	}
	if (now >= due) {
		uint64_t late = (now - due) * pace->rate / SECOND + 1;

		return late < n ? late : n;
	}
	sleep_until(due < now + SECOND / 10 ? due : now + SECOND / 10);
	return 0;
}

int mac_of(const char *ifname, uint8_t mac[MAC_LEN])
{
	struct ifreq request;
	int fd, err;

	memset(&request, 0, sizeof(request));
	strncpy(request.ifr_name, ifname, sizeof(request.ifr_name) - 1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -1;
	err = ioctl(fd, SIOCGIFHWADDR, &request);
	close(fd);
	if (err == 0)
		memcpy(mac, request.ifr_hwaddr.sa_data, MAC_LEN);
	return err;
}

uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void put64(uint8_t *at, uint64_t value)
{
	int i;

	for (i = 7; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

uint16_t checksum(const uint8_t *data, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	if (i < len)
		sum += (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Appends to a line of text; what does not fit is left out. */
static void add(char line[256], const char *format, ...)
{
	size_t used = strlen(line);
	va_list values;

	va_start(values, format);
	vsnprintf(line + used, 256 - used, format, values);
	va_end(values);
}

/* Adds "12.3 kpps": three digits and the unit's prefix. */
static void add_rate(char line[256], double rate, const char *unit)
{
	static const char *const prefixes[] = { "", "k", "M", "G", "T" };
	int power = 0;

	while (rate >= 999.5 && power < 4) {
		rate /= 1000;
		power++;
	}
	add(line, " %.*f %s%s", power == 0 || rate >= 99.95 ? 0 : rate >= 9.995 ? 1 : 2,
	    rate, prefixes[power], unit);
}

/* Adds what was lost, by cause. */
static void add_drops(char line[256], const struct xsk_socket_stats *stats,
		      const struct xsk_socket_info *info)
{
	/* Where it copies, the kernel counts a packet without a frame twice. */
	uint64_t twice = info->zero_copy ? 0 : stats->rx_fill_ring_empty_descs;
	const struct {
		uint64_t count;
		const char *cause;
	} drops[] = {
		{ stats->rx_ring_full, "RX ring full" },
		{ stats->rx_fill_ring_empty_descs, "no frame to receive into" },
		{ stats->rx_dropped - (twice < stats->rx_dropped ? twice : stats->rx_dropped), "other" },
		{ stats->rx_invalid_descs, "bad address in the fill ring" },
		{ stats->tx_invalid_descs, "bad descriptor in the TX ring" },
	};
	const char *before = ", dropped:";
	size_t i;

	for (i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
		if (drops[i].count == 0)
			continue;
		add(line, "%s %" PRIu64 " %s", before, drops[i].count, drops[i].cause);
		before = ",";
	}
}

static struct xsk_socket_stats read_stats(const struct meter *meter, int i)
{
	struct xsk_socket_stats stats = { .size = sizeof(stats) };

	/* Cannot fail: both pointers are there and the size is set. */
	if (meter->ports[i])
		xsk_port_stats(meter->ports[i], &stats);
	else
		xsk_socket_stats(meter->sockets[i], &stats);
	return stats;
}

static struct xsk_socket_info read_info(const struct xsk_socket *socket)
{
	struct xsk_socket_info info = { .size = sizeof(info) };

	xsk_socket_info(socket, &info);
	return info;
}

void meter_start(struct meter *meter, FILE *out, const struct options *options,
		 struct xsk_socket *first, struct xsk_socket *second)
{
	memset(meter, 0, sizeof(*meter));
	meter->out = out;
	meter->sockets[0] = first;
	meter->sockets[1] = second;
	meter->start = meter->last_line = now_ns();
	meter->end = options->seconds ? meter->start + options->seconds * SECOND :
					UINT64_MAX;
	if (isatty(fileno(out)))
		terminal = out;
	setvbuf(out, NULL, _IOLBF, BUFSIZ);
	fprintf(out, "%s: running, Ctrl-C ends it\n", program_invocation_short_name);
}

void meter_start_ports(struct meter *meter, FILE *out, const struct options *options,
		       struct xsk_port *first, struct xsk_port *second)
{
	meter_start(meter, out, options, xsk_port_socket(first, 0), xsk_port_socket(second, 0));
	meter->ports[0] = first;
	meter->ports[1] = second;
}

int meter_running(const struct meter *meter)
{
	return !stopped && (meter->end == UINT64_MAX || now_ns() < meter->end);
}

int meter_wait_ms(const struct meter *meter)
{
	uint64_t now = now_ns(), until = meter->last_line + SECOND;

	if (until > meter->end)
		until = meter->end;
	return until > now ? (int)((until - now) / 1000000 + 1) : 0;
}

int meter_due(const struct meter *meter)
{
	return now_ns() >= meter->last_line + SECOND;
}

void meter_line(struct meter *meter, const char *words)
{
	uint64_t now = now_ns();
	double seconds = (double)(now - meter->last_line) / SECOND;
	char line[256] = "";
	int i;

	for (i = 0; i < 2 && meter->sockets[i]; i++) {
		struct xsk_socket_stats stats = read_stats(meter, i);
		struct xsk_socket_stats *last = &meter->last[i];
		struct xsk_socket_info info = read_info(meter->sockets[i]);

		add(line, "%s%s:", i ? "; " : "", info.ifname);
		if (info.rx_size) {
			add(line, " rx");
			add_rate(line, (stats.rx_packets - last->rx_packets) / seconds, "pps");
			add_rate(line, (stats.rx_bytes - last->rx_bytes) * 8 / seconds, "bit/s");
		}
		if (info.tx_size) {
			add(line, "%s tx", info.rx_size ? "," : "");
			add_rate(line, (stats.tx_packets - last->tx_packets) / seconds, "pps");
			add_rate(line, (stats.tx_bytes - last->tx_bytes) * 8 / seconds, "bit/s");
		}
		add_drops(line, &stats, &info);
		*last = stats;
	}
	if (words)
		add(line, "; %s", words);
	meter->last_line = now;

	if (terminal) {
		struct winsize size = { .ws_col = 80 };

		/* A line that wraps could not be redrawn. */
		ioctl(fileno(terminal), TIOCGWINSZ, &size);
		if (size.ws_col > 1 && size.ws_col < sizeof(line))
			line[size.ws_col - 1] = '\0';
		fprintf(terminal, "\r%s\033[K", line);
		fflush(terminal);
	} else {
		fprintf(meter->out, "%s\n", line);
	}
}

void meter_totals(struct meter *meter, const char *words)
{
	double seconds = (double)(now_ns() - meter->start) / SECOND;
	int i;

	clear_line();
	for (i = 0; i < 2 && meter->sockets[i]; i++) {
		struct xsk_socket_stats stats = read_stats(meter, i);
		struct xsk_socket_info info = read_info(meter->sockets[i]);
		uint32_t queues = xsk_port_queue_count(meter->ports[i]);
		char line[256] = "";

		add(line, "%s queue%s %u", info.ifname, queues > 1 ? "s" : "", info.queue_id);
		if (queues > 1)
			add(line, "-%u", info.queue_id + queues - 1);
		add(line, ":");
		if (info.rx_size) {
			add(line, " received %" PRIu64 " packets, %" PRIu64 " bytes,",
			    stats.rx_packets, stats.rx_bytes);
			add_rate(line, stats.rx_packets / seconds, "pps");
		}
		if (info.tx_size) {
			add(line, "%s sent %" PRIu64 " packets, %" PRIu64 " bytes,",
			    info.rx_size ? ";" : "", stats.tx_packets, stats.tx_bytes);
			add_rate(line, stats.tx_packets / seconds, "pps");
		}
		add_drops(line, &stats, &info);
		fprintf(meter->out, "%s\n", line);
	}
	if (words)
		fprintf(meter->out, "%s\n", words);
}
