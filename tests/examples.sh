#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Tests of c-examples/ and demo.sh on veth pairs: tests/examples.sh build/examples
#
# Prints "ok NAME", "not ok NAME: reason" or "skip NAME: reason", one a line, and
# exits with 1 if any is not ok. It runs in namespaces of its own, which are gone
# with it.
set -u
PATH=$PATH:/usr/sbin:/sbin

if [ "${1-}" != --inside ]; then
	dir=$(realpath "${1:-build/examples}")
	if [ "$(id -u)" != 0 ]; then
		echo "skip examples: must be root"
		exit 0
	fi
	if ! unshare --net --pid --fork --kill-child --mount-proc true 2>/dev/null; then
		echo "skip examples: this system does not let us make namespaces"
		exit 0
	fi
	exec timeout --signal=KILL 150 unshare --net --pid --fork --kill-child --mount-proc \
		bash "$0" --inside "$dir" "$(dirname "$(realpath "$0")")"
fi

dir=$2
tests=$3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
any_failed=0
why=

# --- the frame of a test

# Notes why the present test fails.
bad() {
	why=${why:+$why; }$*
}

# Runs a test, a function: run "name" function arguments
run() {
	local name=$1
	shift
	why=
	"$@"
	if [ -z "$why" ]; then
		echo "ok $name"
	else
		echo "not ok $name: ${why//$'\n'/ | }"
		any_failed=1
	fi
}

# Waits up to 5 s, or $limit steps of 10 ms, until a command succeeds.
await() {
	local i
	for ((i = 0; i < ${limit-500}; i++)); do
		"$@" 2>/dev/null && return 0
		sleep 0.01
	done
	return 1
}

# Starts an example, the output in $tmp/NAME; sets pid. start NAME arguments
start() {
	: >"$tmp/$1"	# what is in it is of an earlier one
	"$dir/$1" "${@:2}" >"$tmp/$1" 2>&1 &
	pid=$!
	await grep -q running "$tmp/$1" || bad "$1 does not start: $(cat "$tmp/$1")"
}

gone() {
	! kill -0 "$1"
}

# Waits until a process ends: it must do so with that exit code. ends PID CODE
ends() {
	local code
	if ! await gone "$1"; then
		bad "does not end"
		kill -INT "$1"
		await gone "$1" || kill -KILL "$1"
	fi
	{ wait "$1"; } 2>/dev/null
	code=$?
	[ $code = "$2" ] || bad "exit code $code, not $2"
}

# The output of an example must have that text. says NAME text
says() {
	grep -q -- "$2" "$tmp/$1" || bad "no \"$2\" in: $(cat "$tmp/$1")"
}

# Makes two interfaces that are joined: pair A B, addressed 02::a and 02::b
pair() {
	ip link add "$1" address 02:00:00:00:00:0a type veth peer name "$2" \
		address 02:00:00:00:00:0b
	ip link set "$1" up
	ip link set "$2" up
}

# The packets received, or sent, that the totals of an example tell.
total() {
	sed -n "s/.*$2 \([0-9]*\) packets.*/\1/p" "$tmp/$1" | tail -n 1
}

# --- frames in hex

us=02000000000b
them=02000000000a

# wire: sends the frames on its input, or prints those that come.
cat >"$tmp/wire.c" <<'END'
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)	/* wire send IF | wire recv IF COUNT */
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	static unsigned char frame[65536];
	static char line[2 * sizeof(frame) + 2];
	int fd, i, n, sends = strcmp(argv[1], "send") == 0;

	fd = socket(AF_PACKET, SOCK_RAW, htons(sends ? 0 : ETH_P_ALL));
	at.sll_ifindex = (int)if_nametoindex(argv[2]);
	at.sll_protocol = htons(sends ? 0 : ETH_P_ALL);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return perror("wire"), 1;
	while (sends && fgets(line, sizeof(line), stdin)) {
		for (n = 0; sscanf(line + 2 * n, "%2hhx", &frame[n]) == 1; n++)
			;
		if (send(fd, frame, (size_t)n, 0) != n)
			return perror("wire: send"), 1;
	}
	if (sends)
		return 0;
	puts("running");
	fflush(stdout);
	for (n = argc > 3 ? atoi(argv[3]) : 1; n > 0;) {
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long len;

		if (poll(&p, 1, 3000) != 1)
			return 1;
		len = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		for (i = 0; i < len; i++)
			printf("%02x", frame[i]);
		puts("");
		fflush(stdout);
		n--;
	}
	return 0;
}
END
if ! ${CC:-cc} -o "$tmp/wire" "$tmp/wire.c" 2>"$tmp/cc"; then
	echo "not ok examples: cc: $(head -n 1 "$tmp/cc")"
	exit 1
fi

# Starts to print COUNT frames that come in at IF; sets listener. listen IF COUNT
listen() {
	: >"$tmp/wire.$1"
	"$tmp/wire" recv "$1" "$2" >"$tmp/wire.$1" 2>&1 &
	listener=$!
	await grep -q running "$tmp/wire.$1" || bad "wire does not run"
}

# What it printed must be that. heard IF text
heard() {
	local got
	wait "$listener"
	got=$(sed 1d "$tmp/wire.$1")
	[ "$got" = "$2" ] || bad "on $1: $got, not $2"
}

# The Internet checksum of bytes in hex, in hex.
checksum() {
	local sum=0 i
	for ((i = 0; i < ${#1}; i += 4)); do
		local word=${1:i:4}00
		sum=$((sum + 16#${word:0:4}))
	done
	while ((sum > 0xffff)); do
		sum=$(((sum & 0xffff) + (sum >> 16)))
	done
	printf %04x $((~sum & 0xffff))
}

# An echo frame: echo_frame TYPE(08|00) DST_MAC SRC_MAC SRC_IP DST_IP TTL DATA [OPTIONS]
echo_frame() {
	local icmp=${1}00 rest=12340001$7 options=${8-} ip len
	icmp=$icmp$(checksum "${icmp}0000$rest")$rest
	len=$(printf %04x $((20 + ${#options} / 2 + ${#icmp} / 2)))
	ip=$(printf %x $((0x45 + ${#options} / 8)))00${len}00000000${6}01
	ip=$ip$(checksum "${ip}0000$4$5$options")$4$5$options
	echo "$2${3}0800$ip$icmp"
}

# --- generators and sinks

counts_exactly() {
	pair xa xb
	start rxdrop -i xb -c 10000 "$@"
	"$dir/txgen" -i xa -r 20000 -c 10000 >"$tmp/txgen" 2>&1 || bad "txgen: exit code $?"
	ends $pid 0
	says txgen "sent 10000 packets, 600000 bytes"
	says rxdrop "received 10000 packets, 600000 bytes"
	says rxdrop "$xdp_mode"
	ip link del xa
}

keeps_rate() {
	local sent
	pair xa xb
	"$dir/txgen" -i xa -r "$1" -t 2 >"$tmp/txgen" 2>&1 || bad "txgen: exit code $?"
	sent=$(total txgen sent)
	# The first packet goes at once. A busy machine may keep it from its time.
	((sent >= 2 * $1 * 90 / 100 && sent <= 2 * $1 * 101 / 100 + 2)) ||
		bad "sent $sent in 2 s at -r $1"
	ip link del xa
}

sends_numbers() {
	local start=020000000001${them}88b5 rest
	rest=$(printf %084d 0)
	pair xa xb
	listen xb 2
	"$dir/txgen" -i xa -c 2 -s 64 >"$tmp/txgen" 2>&1 || bad "txgen: exit code $?"
	heard xb "${start}0000000000000000$rest"$'\n'"${start}0000000000000001$rest"
	ip link del xa
}

sends_udp() {
	local ip=45000032000000004011 ends=c6120001c0000207
	ip=$ip$(checksum "${ip}0000$ends")$ends
	pair xa xb
	listen xb 1
	"$dir/txgen" -i xa -c 1 -s 64 -d "02:00:00:00:00:0b" -a 192.0.2.7 -p 4660 \
		>"$tmp/txgen" 2>&1 || bad "txgen: exit code $?"
	heard xb "$us${them}0800${ip}12341234001e0000$(printf %044d 0)"
	ip link del xa
}

# --- l2fwd

two_pairs() {
	pair xa xb
	pair ya yb
}

some_frames() {
	local len
	for len in 60 61 64 1000 1514; do
		echo "02000000000a02000000000b88b5$(head -c $((len - 14)) /dev/urandom |
			od -An -v -tx1 | tr -d ' \n')"
	done
}

forwards() {
	local frames
	two_pairs
	start l2fwd -i xb -o yb "$@"
	for way in "xa ya" "ya xa"; do
		frames=$(some_frames)
		listen "${way#* }" 5
		"$tmp/wire" send "${way% *}" <<<"$frames"
		heard "${way#* }" "$frames"
	done
	kill -INT $pid
	ends $pid 0
	says l2fwd "xb queue 0: received 5 packets, 2699 bytes.*sent 5 packets, 2699 bytes"
	says l2fwd "unsent: 0"
	ip link del xa
	ip link del ya
}

readdresses() {
	local rest
	rest=88b5$(printf %092d 7)
	two_pairs
	ip link set yb address 02:00:00:00:00:bb
	start l2fwd -i xb -o yb -d 02:00:00:00:00:dd
	listen ya 1
	"$tmp/wire" send xa <<<"02000000000a02000000000b$rest"
	heard ya "0200000000dd0200000000bb$rest"
	kill -INT $pid
	ends $pid 0
	start l2fwd -i xb -o yb -x
	listen xa 1
	"$tmp/wire" send ya <<<"020000000001020000000002$rest"
	heard xa "020000000002020000000001$rest"
	kill -INT $pid
	ends $pid 0
	ip link del xa
	ip link del ya
}

# A veth pair with so many queues.
queues() {
	ip link add "$1" numrxqueues $3 numtxqueues $3 address 02:00:00:00:00:0a type veth \
		peer name "$2" numrxqueues $3 numtxqueues $3 address 02:00:00:00:00:0b
	ip link set "$1" up
	ip link set "$2" up
}

# Each thread of a process but the first must be on one CPU, in turns: has_threads COUNT
has_threads() {
	local cpus task distinct=$(nproc)
	cpus=$(for task in $(ls /proc/$pid/task | sort -n | sed 1d); do
		sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/$pid/task/$task/status
	done)
	[ "$(grep -cx '[0-9]*' <<<"$cpus")" = "$1" ] || bad "not $1 threads, a CPU each: $cpus"
	((distinct <= $1)) || distinct=$1
	[ "$(sort -u <<<"$cpus" | wc -l)" = $distinct ] || bad "not on $distinct CPUs: $cpus"
}

# Packets of each queue come out of the other end by the same queue:
# forwards_queues OPTION COUNT FIRST
forwards_queues() {
	local forwarder queue sink cpus
	queues xa xb 3
	queues ya yb 3
	start l2fwd -i xb -o yb -q "$1"
	forwarder=$pid
	has_threads "$2"
	for ((queue = $3; queue < $3 + $2; queue++)); do
		start rxdrop -i ya -q $queue -c 1500
		sink=$pid
		"$dir/txgen" -i xa -q $queue -r 20000 -c 1500 >"$tmp/txgen" 2>&1 ||
			bad "txgen: exit code $?"
		ends $sink 0
		says rxdrop "ya queue $queue: received 1500 packets"
	done
	kill -INT $forwarder
	ends $forwarder 0
	says l2fwd "xb queues $3-$((queue - 1)): received $((1500 * $2)) packets"
	says l2fwd "yb queues $3-$((queue - 1)): .*sent $((1500 * $2)) packets"
	says l2fwd "unsent: 0"
	! ip link show | grep -q xdp || bad "its program is still there"
	ip link del xa
	ip link del ya
}

# An interface that is deleted ends the threads of all queues: ends_queues INTERFACE
ends_queues() {
	queues xa xb 3
	queues ya yb 3
	start l2fwd -i xb -o yb -q all
	has_threads 3
	ip link del "$1"
	ends $pid 1
	says l2fwd "^l2fwd: .*of ${1/a/b}: the interface is gone"
	says l2fwd "unsent: 0"
	ip link del xa 2>/dev/null
	ip link del ya 2>/dev/null
}

wants_queues() {
	queues xa xb 3
	queues ya yb 2
	"$dir/l2fwd" -i xb -o yb -q all >"$tmp/l2fwd" 2>&1
	[ $? = 1 ] || bad "-q all: exit code not 1"
	says l2fwd "xb has 3 queues and yb 2"
	"$dir/l2fwd" -i xb -o yb -q 1-2 >"$tmp/l2fwd" 2>&1
	[ $? = 1 ] || bad "-q 1-2: exit code not 1"
	says l2fwd "bind: queue 2 of yb: no such queue, it has 2"
	for range in 2-1 1- -1 all0 0-4294967295 1-x "0 -1" 12345678901234567-99999999; do
		"$dir/l2fwd" -i xb -o yb -q "$range" >"$tmp/l2fwd" 2>&1
		[ $? = 2 ] || bad "-q $range: exit code not 2"
	done
	! ip link show | grep -q xdp || bad "its program is still there"
	ip link del xa
	ip link del ya
}

forwards_many() {
	local forwarder
	two_pairs
	start l2fwd -i xb -o yb
	forwarder=$pid
	start rxdrop -i ya -c 10000
	"$dir/txgen" -i xa -r 10000 -c 10000 >"$tmp/txgen" 2>&1
	ends $pid 0
	kill -INT $forwarder
	ends $forwarder 0
	says rxdrop "received 10000 packets"
	ip link del xa
	ip link del ya
}

# --- responder

our_ip=c0000201
their_ip=c0000202
arp_request=ffffffffffff${them}0806000108000604$(printf %s 0001$them$their_ip 000000000000$our_ip)
arp_reply=$them${us}0806000108000604$(printf %s 0002$us$our_ip $them$their_ip)

# An echo frame with other bytes at an offset, and the IP checksum right again:
# patched FRAME OFFSET BYTES
patched() {
	local frame=${1:0:2*$2}$3${1:2*$2+${#3}} ip
	ip=${frame:28:20}0000${frame:52:16}
	echo "${frame:0:28}${ip:0:20}$(checksum "$ip")${ip:24}${frame:68}"
}

# Frames that must not be answered.
malformed() {
	local good len
	# Cut off are zeros, as in memory behind the frame: the checksums stay right.
	good=$(echo_frame 08 $us $them $their_ip $our_ip 40 01020000000000)
	for ((len = 14; len < ${#good} / 2; len++)); do
		echo "${good:0:2*len}"
	done
	for ((len = 14; len < ${#arp_request} / 2; len++)); do
		echo "${arp_request:0:2*len}"
	done
	echo "${good:0:44}3f${good:46}"			# a wrong checksum: IP
	echo "${good%00}01"				# ICMP
	patched "$good" 14 44				# a header too short
	patched "$good" 14 46				# too long
	patched "$good" 14 4f				# longer than the frame
	patched "$good" 14 65				# IPv6 in the wrong place
	patched "$good" 16 0000				# a length too short
	patched "$good" 16 001b
	patched "$good" 16 ffff				# too long
	patched "$good" 20 2000				# the first fragment
	patched "$good" 20 0001				# another
	patched "$good" 23 11				# not ICMP
	echo_frame 08 $us $them e0000001 $our_ip 40 00	# from a multicast address
	echo_frame 08 $us $them $their_ip c0000203 40 00	# to another
	echo_frame 00 $us $them $their_ip $our_ip 40 00	# a reply
	echo_frame 08 020000000077 $them $their_ip $our_ip 40 00	# another's frame
	echo "${arp_request/0800060400/0800060500}"	# lengths that are wrong
	echo "${arp_request/06040001/06040002}"		# a reply
	echo "${arp_request%01}02"			# for another
	head -c 1200 /dev/urandom | od -An -v -tx1 -w60 | tr -d ' '
}

answers_frames() {
	pair xa xb
	start responder -i xb -a 192.0.2.1
	listen xa 1
	"$tmp/wire" send xa <<<"$arp_request"
	heard xa "$arp_reply"
	listen xa 4
	{
		echo_frame 08 $us $them $their_ip $our_ip 40 "$(printf %0112d 5)"
		echo_frame 08 $us $them $their_ip $our_ip 01 01020304050607	# odd
		echo_frame 08 $us $them $their_ip $our_ip ff "" 01010100	# options
		echo "$(echo_frame 08 $us $them $their_ip $our_ip 40 aa)a5a5a5"	# padded
	} | "$tmp/wire" send xa
	heard xa "$(
		echo_frame 00 $them $us $our_ip $their_ip 40 "$(printf %0112d 5)"
		echo_frame 00 $them $us $our_ip $their_ip 40 01020304050607
		echo_frame 00 $them $us $our_ip $their_ip 40 "" 01010100
		echo "$(echo_frame 00 $them $us $our_ip $their_ip 40 aa)a5a5a5"
	)"
	kill -INT $pid
	ends $pid 0
	says responder "answered: 1 ARP, 4 ping;"
	ip link del xa
}

ignores_malformed() {
	local frames count
	frames=$(malformed)
	count=$(wc -l <<<"$frames")
	pair xa xb
	start responder -i xb -a 192.0.2.1
	listen xa 1
	"$tmp/wire" send xa <<<"$frames"$'\n'"$arp_request"
	heard xa "$arp_reply"
	kill -INT $pid
	ends $pid 0
	# More than these comes from the other end's stack, if it has IPv6.
	says responder "answered: 1 ARP, 0 ping; ignored: $count; unsent: 0"
	ip link del xa
}

other_netns() {
	[ "$(readlink /proc/$1/ns/net)" != "$(readlink /proc/$$/ns/net)" ]
}

answers_ping() {
	local holder
	pair xa xb
	unshare --net sleep 60 &
	holder=$!
	await other_netns $holder
	ip link set xa netns $holder
	nsenter -t $holder -n ip link set xa up
	nsenter -t $holder -n ip address add 192.0.2.2/24 dev xa
	start responder -i xb -a 192.0.2.1
	nsenter -t $holder -n "$@" 192.0.2.1 >"$tmp/ping" 2>&1 || bad "$(cat "$tmp/ping")"
	grep -q '5 \(packets \)\?received' "$tmp/ping" || bad "$(cat "$tmp/ping")"
	kill -INT $pid
	ends $pid 0
	says responder " 5 ping"
	kill $holder
	wait $holder
	await no_interface xb
}

no_interface() {
	! ip link show "$1" >/dev/null
}

# --- xskdump

# Number at an offset of a file: field FILE OFFSET SIZE
field() {
	od -An -v -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# The frames of a pcap file, in hex.
pcap_frames() {
	local at=24 size captured
	size=$(stat -c %s "$1")
	while ((at < size)); do
		captured=$(field "$1" $((at + 8)) 4)
		[ "$captured" = "$(field "$1" $((at + 12)) 4)" ] || echo "cut short"
		od -An -v -tx1 -j$((at + 16)) -N"$captured" "$1" | tr -d ' \n'
		echo
		at=$((at + 16 + captured))
	done
	((at == size)) || echo "ends within a packet"
}

is_pcap() {
	local frames=$2 seconds
	[ "$(field "$1" 0 4) $(field "$1" 4 2) $(field "$1" 6 2) $(field "$1" 16 4) $(field "$1" 20 4)" = \
		"2712812621 2 4 65535 1" ] || bad "the file header is wrong"
	seconds=$(field "$1" 24 4)
	(($(date +%s) - seconds <= 10)) || bad "the time is wrong: $seconds"
	(($(field "$1" 28 4) < 1000000000)) || bad "the nanoseconds are wrong"
	[ "$(pcap_frames "$1")" = "$frames" ] || bad "the packets are others"
}

dumps() {
	local frames
	frames=$(some_frames)
	pair xa xb
	start xskdump -i xb -w "$tmp/pcap" -c 5
	"$tmp/wire" send xa <<<"$frames"$'\n'"$frames"
	ends $pid 0
	is_pcap "$tmp/pcap" "$frames"
	says xskdump "received 5 packets, 2699 bytes"
	ip link del xa
}

has_size() {
	[ "$(stat -c %s "$1")" = "$2" ]
}

# To a pipe, packets are there while it runs; the statistics go elsewhere.
dumps_to_pipe() {
	local frames
	frames=$(some_frames)
	pair xa xb
	: >"$tmp/xskdump"
	"$dir/xskdump" -i xb -w - 2>"$tmp/xskdump" > >(cat >"$tmp/pcap.pipe") &
	pid=$!
	await grep -q running "$tmp/xskdump" || bad "does not start"
	"$tmp/wire" send xa <<<"$frames"
	await has_size "$tmp/pcap.pipe" $((24 + 5 * 16 + 2699)) || bad "not written at once"
	kill -INT $pid
	ends $pid 0
	is_pcap "$tmp/pcap.pipe" "$frames"
	ip link del xa
}

tcpdump_reads() {
	local lengths
	lengths=$(tcpdump -enr "$tmp/pcap" 2>/dev/null | sed -n 's/.*length \([0-9]*\):.*/\1/p' | tr '\n' ' ')
	[ "$lengths" = "60 61 64 1000 1514 " ] || bad "lengths: $lengths"
}

# Only what the expression matches; the rest is not touched.
takes_matches() {
	local frames
	frames=$(some_frames)
	pair xa xb
	start xskdump -i xb -w "$tmp/pcap.filter" -c 2 -f 'greater 500'
	"$tmp/wire" send xa <<<"$frames"
	ends $pid 0
	is_pcap "$tmp/pcap.filter" "$(awk 'length >= 1000' <<<"$frames")"
	says xskdump "received 2 packets, 2514 bytes"
	"$dir/xskdump" -i xb -w /dev/null -f 'udp port nonsense' >"$tmp/xskdump" 2>&1
	[ $? = 2 ] || bad "exit code for what libpcap does not know"
	says xskdump "-f: .*nonsense"
	"$dir/xskdump" -i xb -w /dev/null -f 'ip protochain 6' >"$tmp/xskdump" 2>&1
	[ $? = 1 ] || bad "exit code for what the library refuses"
	says xskdump "filter: instruction .*: a jump behind the end"
	ip link del xa
}

full_disk() {
	pair xa xb
	start xskdump -i xb -w /dev/full
	some_frames | "$tmp/wire" send xa
	ends $pid 1
	says xskdump "/dev/full: No space left on device"
	"$dir/xskdump" -i xb -w "$tmp/none/such" >"$tmp/xskdump" 2>&1
	[ $? = 1 ] || bad "exit code for a directory that is not there"
	says xskdump "No such file"
	ip link del xa
}

# --- xskbroker

# Where another user can read, and make what he runs: a copy of rxdrop and the library.
open_place() {
	place=$(mktemp -d)
	mkdir "$place/examples"
	mkdir -m 777 "$place/run"
	chmod 755 "$place" "$place/examples"
	cp "$dir/rxdrop" "$dir/xskbroker" "$place/examples"
	cp "$dir/../libxsk.so.1" "$place"
}

# Sets $as to what runs a command as another user, with those capabilities alone:
# as_user UID CAPS
as_user() {
	as=(setpriv --reuid "$1" --regid "$1" --clear-groups --no-new-privs
		--bounding-set="-all$2" --inh-caps="-all$2" --ambient-caps="-all$2")
}

# Starts it as a user with three capabilities; sets broker.
start_broker() {
	: >"$tmp/xskbroker"
	as_user 1234 ,+net_raw,+net_admin,+bpf
	"${as[@]}" "$place/examples/xskbroker" -p "$place/run/xsk" "$@" \
		>"$tmp/xskbroker" 2>&1 &
	broker=$!
	await grep -q running "$tmp/xskbroker" || bad "does not start: $(cat "$tmp/xskbroker")"
}

receives_without_privileges() {
	local pid
	pair xa xb
	open_place
	start_broker -i xb:0 -u 4321 -b 20,64
	: >"$tmp/rxdrop"
	as_user 4321 ""
	"${as[@]}" "$place/examples/rxdrop" --broker "$place/run/xsk" -c 1000 >"$tmp/rxdrop" 2>&1 &
	pid=$!
	await grep -q running "$tmp/rxdrop" || bad "rxdrop does not start: $(cat "$tmp/rxdrop")"
	grep -q '^CapEff:[[:space:]]*0*$' /proc/$pid/status || bad "it has capabilities"
	"${as[@]}" "$place/examples/rxdrop" --broker "$place/run/xsk" >"$tmp/second" 2>&1 &&
		bad "a second one got the queue"
	says second "granted to another process"
	"$dir/txgen" -i xa -r 20000 -c 1000 >"$tmp/txgen" 2>&1 || bad "txgen: exit code $?"
	ends $pid 0
	says rxdrop "received 1000 packets"
	await grep -q "back from process $pid of user 4321" "$tmp/xskbroker" || says xskbroker "back from"
	as_user 4322 ""
	"${as[@]}" "$place/examples/rxdrop" --broker "$place/run/xsk" >"$tmp/rxdrop" 2>&1
	[ $? = 1 ] || bad "exit code for a user who is not listed"
	says rxdrop "not among those"
	says xskbroker "refused process .* of user 4322"
	kill -TERM $broker
	ends $broker 0
	[ -e "$place/run/xsk" ] && bad "the socket file is left"
	"${as[@]}" "$place/examples/rxdrop" -b "$place/run/xsk" >"$tmp/rxdrop" 2>&1
	[ $? = 1 ] || bad "exit code without a broker"
	says rxdrop "does the granter run"
	await sh -c '! ip link show xb | grep -q xdp' || bad "the program is left"
	rm -r "$place"
	ip link del xa
}

program_of() {
	ip -d link show "$1" | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p'
}

keeps_its_program() {
	local id
	pair xa xb
	open_place
	mkdir "$place/bpf"
	mount -t bpf -o mode=1777 bpf "$place/bpf" || bad "no BPF file system"
	start_broker -i xb:0 -P "$place/bpf"
	id=$(program_of xb)
	[ -n "$id" ] || bad "no program: $(ip -d link show xb)"
	kill -KILL $broker
	wait $broker 2>/dev/null
	[ "$(program_of xb)" = "$id" ] || bad "the program is gone"
	start_broker -i xb:0 -P "$place/bpf"
	[ "$(program_of xb)" = "$id" ] || bad "another program"
	kill -TERM $broker
	ends $broker 0
	[ "$(program_of xb)" = "$id" ] || bad "the program is gone with the second"
	rm -r "$place/bpf/xb"
	await sh -c '! ip link show xb | grep -q xdp' || bad "the program is left"
	umount "$place/bpf"
	rm -r "$place"
	ip link del xa
}

broker_refuses() {
	local options
	pair xa xb
	open_place
	for options in "" --bad "-p $place/s" "-i xb" "-p $place/s -i xb:x" "-p $place/s -i xb:3-1" \
		"-p $place/s -i xb -u no-such-user" "-p $place/s -i xb -m 9" "-p $place/s -i xb -b 20" \
		"-p $place/s -i xb -b 0,1" "-p $place/s -i xb junk"; do
		timeout 5 "$dir/xskbroker" $options >"$tmp/xskbroker" 2>&1
		[ $? = 2 ] || bad "$options: exit code not 2: $(cat "$tmp/xskbroker")"
		[ -s "$tmp/xskbroker" ] || bad "$options: says nothing"
	done
	"$dir/xskbroker" -h >"$tmp/xskbroker" || bad "-h: exit code $?"
	says xskbroker "usage: xskbroker"
	for options in "-i none" "-i xb:9000" "-i xb:0-9000"; do
		timeout 5 "$dir/xskbroker" -p "$place/s" $options >"$tmp/xskbroker" 2>&1
		[ $? = 1 ] || bad "$options: exit code not 1"
		[ -e "$place/s" ] && bad "$options: leaves the socket file"
	done
	says xskbroker "xb: it has"
	rm -r "$place"
	ip link del xa
}

# --- xskprobe

probe() {
	"$dir/xskprobe" "$@" >"$tmp/xskprobe" 2>&1 || bad "xskprobe $*: exit code $?"
}

# The leaves of a JSON text, a line each: a.b.0="text". A text that is none fails.
if command -v jq >/dev/null; then
	leaves() {
		jq -r 'tostream | select(length == 2) |
			(.[0] | map(tostring) | join(".")) + "=" + (.[1] | tojson)'
	}
elif command -v python3 >/dev/null; then
	leaves() {
		python3 -c '
import json, sys
def walk(path, value):
    items = []
    if isinstance(value, (dict, list)):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in items:
        walk(path + [str(key)], inner)
    if not items:
        print(".".join(path) + "=" + json.dumps(value, ensure_ascii=False))
walk([], json.load(sys.stdin))'
	}
fi

# What --json says of a leaf must be that: json_says LEAF VALUE
json_says() {
	grep -qxF -- "$1=$2" "$tmp/leaves" || bad "$1 is not $2: $(grep -F "$1=" "$tmp/leaves")"
}

probe_json() {
	probe -i "$1" --json
	leaves <"$tmp/xskprobe" >"$tmp/leaves" 2>"$tmp/parser" || bad "no JSON: $(cat "$tmp/parser")"
}

# The first number that `ethtool -l` or so has behind a name: ethtool_says OPTION IF NAME
ethtool_says() {
	ethtool "$1" "$2" 2>/dev/null | sed -n "s/^$3:[[:space:]]*//p" | tail -n 1
}

probes_as_tools() {
	local max
	ip link add xa numrxqueues $1 numtxqueues $1 mtu $2 type veth \
		peer name xb numrxqueues $1 numtxqueues $1
	ip link set xa up
	ip link set xb up
	probe_json xa
	json_says interface '"xa"'
	json_says driver "\"$(ethtool_says -i xa driver)\""
	json_says bus "\"$(ethtool_says -i xa bus-info)\""
	json_says queues "$(ethtool_says -l xa RX)"
	json_says rx_ring "$(ethtool_says -g xa RX | grep . || echo null)"
	json_says mtu "$(ip link show xa | sed -n 's/.* mtu \([0-9]*\).*/\1/p')"
	max=$(ip -d link show xa | sed -n 's/.* maxmtu \([0-9]*\).*/\1/p')
	json_says mtu_max "$max"
	json_says ifindex "$(ip link show xa | sed -n 's/^\([0-9]*\):.*/\1/p')"
	json_says up true
	json_says mtu $2
	json_says queues $1
	json_says numa_node null
	json_says programs '[]'
	json_says attached null
	json_says verdicts.zero-copy false
	probe -i xa
	says xskprobe "^zero-copy: no (driver veth)"
	says xskprobe "^queue 0$3\$"
	says xskprobe "^native mode: $4\$"
	says xskprobe "^default program: yes"
	ip link del xa
}

# The programs of others, as ip has them.
probes_programs() {
	local id
	pair xa xb
	start rxdrop -i xb "$1"
	id=$(ip link show xb | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p')
	probe_json xb
	json_says programs.0.id "$id"
	json_says programs.0.mode "\"$2\""
	json_says programs.0.name '"xsk_default"'
	json_says attached.id "$id"
	json_says attached.mode "\"$2\""
	json_says attached.kind '"default"'
	json_says attached.held '"link"'
	json_says attached.join.1 '"xskmap"'
	json_says attached.xskmaps.0.entries 64
	probe -i xb
	says xskprobe "^  held by  *link [0-9]"
	says xskprobe "xsks_map (id [0-9]*) of program $id, 64 entries"
	says xskprobe "^  can be joined  *by the default program, with its XSKMAP"
	says xskprobe "xsk_default (id $id), $2 mode"
	says xskprobe "^default program: yes"
	setpriv --reuid 65534 --clear-groups "$dir/xskprobe" -i xb >"$tmp/xskprobe" 2>&1 ||
		bad "not as root: exit code $?"
	says xskprobe "^sockets: no (CAP_NET_RAW is missing)"
	says xskprobe "^default program: unknown (one is there"
	says xskprobe "id $id), $2 mode"
	says xskprobe "kernel unknown .*multi-buffer"
	kill -INT $pid
	ends $pid 0
	ip link del xa
}

probes_no_native() {
	ip link add xa numrxqueues 1 numtxqueues 1 type veth peer name xb numrxqueues 2 numtxqueues 2
	probe -i xa
	says xskprobe "^native mode: no (driver veth)"
	says xskprobe "^jumbo: generic mode only"
	says xskprobe "^link: down (ip link set dev xa up)"
	ip link del xa
}

# An interface may be named with any byte but a space and a slash.
probes_odd_name() {
	local name=$'a"\\\x01\xff'
	ip link add "$name" type veth peer name xb || bad "ip link add $name"
	probe_json "$name"
	json_says interface '"a\"\\\u0001ÿ"'
	ip link del xb
}

probe_refuses() {
	local options
	for options in --bad "" "-i" "-i xb -q 0" "-i xb junk"; do
		"$dir/xskprobe" $options >"$tmp/xskprobe" 2>&1
		[ $? = 2 ] || bad "$options: exit code not 2: $(cat "$tmp/xskprobe")"
		[ -s "$tmp/xskprobe" ] || bad "$options: says nothing"
	done
	probe -h
	says xskprobe "usage: xskprobe "
	"$dir/xskprobe" -i nosuch >"$tmp/xskprobe" 2>&1
	[ $? = 1 ] || bad "nosuch: exit code not 1"
	says xskprobe "^xskprobe: probe: no interface is named nosuch"
}

# --- what holds of each

declare -A arguments=(
	[rxdrop]="-i xb" [txgen]="-i xb -r 100" [l2fwd]="-i xb -o yb"
	[responder]="-i xb -a 192.0.2.1" [xskdump]="-i xb -w $tmp/pcap.any"
)

ends_cleanly() {
	local signal
	two_pairs
	for signal in INT TERM; do
		start "$1" ${arguments[$1]}
		if [ "$1" != txgen ]; then
			ip link show xb | grep -q xdp || bad "has no program on the interface"
		fi
		kill -$signal $pid
		ends $pid 0
		says "$1" "xb queue 0: .* packets"
		! ip link show | grep -q xdp || bad "its program is still there"
	done
	start "$1" ${arguments[$1]} -t 1
	ends $pid 0
	ip link del xa
	ip link del ya
}

refuses_options() {
	local options
	for options in --bad "-i" "-q 0" "-i xb -q -1" "-i xb -q x" "-i xb -t 0" "-i xb junk" \
		"${arguments[$1]} -q 99999999999" "$2"; do
		"$dir/$1" $options >"$tmp/$1" 2>&1
		[ $? = 2 ] || bad "$options: exit code not 2: $(cat "$tmp/$1")"
		[ -s "$tmp/$1" ] || bad "$options: says nothing"
	done
	"$dir/$1" -h >"$tmp/$1" 2>/dev/null || bad "-h: exit code $?"
	says "$1" "usage: $1 "
}

wants_interface() {
	"$dir/$1" ${arguments[$1]} >"$tmp/$1" 2>&1
	[ $? = 1 ] || bad "exit code not 1"
	says "$1" "^$1: bind: .*xb.*no .*interface\|^$1: bind: .*no interface.*xb"
	pair xa xb
	"$dir/$1" ${arguments[$1]} -q 77 >"$tmp/$1" 2>&1
	[ $? = 1 ] || bad "queue 77: exit code not 1"
	says "$1" "^$1: bind: queue 77 of xb: no such queue"
	ip link del xa
}

survives_down() {
	two_pairs
	start "$1" ${arguments[$1]}
	ip link set xb down
	await grep -q "xb: the interface is down" "$tmp/$1" || bad "says nothing: $(cat "$tmp/$1")"
	ip link set xb up
	await grep -q "xb: the interface is up again" "$tmp/$1" || bad "says nothing: $(cat "$tmp/$1")"
	[ "$(grep -c "is down" "$tmp/$1")" = 1 ] || bad "says it more than once"
	echo "$arp_request" | "$tmp/wire" send xa
	await grep -q "^xb: [rt]x [1-9]" "$tmp/$1" || bad "no packet after it is up: $(cat "$tmp/$1")"
	kill -INT $pid
	ends $pid 0
	ip link del xa
	ip link del ya
}

notices_deletion() {
	two_pairs
	start "$1" ${arguments[$1]}
	ip link del xb
	ends $pid 1
	says "$1" "^$1: .*queue 0 of xb: the interface is gone"
	says "$1" "^xb queue 0: .* packets"
	ip link del ya
}

# --- the demo

# All that the demo could leave: interfaces, processes, namespaces, files.
surroundings() {
	ip -brief link | cut -d' ' -f1
	ls -d /proc/[0-9]* | wc -l
	readlink /proc/[0-9]*/ns/net | sort -u
	cat /proc/mounts
	ip netns list
	ls "$tmp/tmp"
}

as_before() {
	[ "$(surroundings)" = "$before" ]
}

demo_succeeds() {
	local before
	before=$(surroundings)
	TMPDIR=$tmp/tmp "$tests/demo.sh" "$dir" >"$tmp/demo" 2>&1 || bad "exit code $?"
	says demo "3 .*received"
	says demo "answered: 1 ARP, 3 ping"
	says demo "received: *[1-9][0-9]* packets"
	await as_before || bad "leaves: $(diff <(surroundings) <(echo "$before"))"
}

demo_interrupted() {
	local before target
	before=$(surroundings)
	# In a process group of its own, which a Ctrl-C is for.
	: >"$tmp/demo"
	set -m
	TMPDIR=$tmp/tmp "$tests/demo.sh" "$dir" >"$tmp/demo" 2>&1 &
	pid=$!
	set +m
	# Ctrl-C goes to all of the group, other signals to the script alone.
	target=$pid
	[ "$1" != INT ] || target=-$pid
	await grep -q "$3" "$tmp/demo" || bad "does not get to \"$3\""
	kill -"$1" -- $target
	ends $pid "$2"
	# Sooner than it would have ended by itself.
	limit=50 await as_before || bad "leaves: $(diff <(surroundings) <(echo "$before"))"
}

demo_wants_root() {
	setpriv --reuid 65534 --clear-groups "$tests/demo.sh" "$dir" >"$tmp/demo" 2>&1 &&
		bad "succeeds"
	says demo "must be root"
}

# --- all of it

no_ipv6=/proc/sys/net/ipv6/conf/default/disable_ipv6
[ ! -e $no_ipv6 ] || echo 1 >$no_ipv6
mkdir "$tmp/tmp"

xdp_mode=Native
run "rxdrop counts exactly what txgen sends" counts_exactly
run "rxdrop counts exactly in native mode, copying" counts_exactly -N -C
xdp_mode=Generic
run "rxdrop counts exactly in skb mode" counts_exactly -S
run "txgen keeps a rate of 100" keeps_rate 100
run "txgen keeps a rate of 30000" keeps_rate 30000
run "txgen numbers its frames" sends_numbers
run "txgen sends UDP" sends_udp
run "l2fwd forwards frames intact both ways" forwards
run "l2fwd forwards frames intact in skb mode" forwards -S
run "l2fwd sets and swaps addresses" readdresses
run "l2fwd forwards many without loss" forwards_many
run "l2fwd forwards all queues, each on its own CPU" forwards_queues all 3 0
run "l2fwd forwards a range of queues" forwards_queues 1-2 2 1
run "l2fwd ends all threads when an interface is deleted" ends_queues xa
run "l2fwd ends all threads when the other interface is deleted" ends_queues ya
run "l2fwd says which queues do not fit" wants_queues
run "responder answers ARP and ping byte for byte" answers_frames
run "responder ignores what is malformed" ignores_malformed
run "responder answers miniping" answers_ping "$dir/miniping" -c 5 -i 0.05
if command -v ping >/dev/null; then
	run "responder answers the system's ping" answers_ping ping -c 5 -i 0.2
else
	echo "skip responder answers the system's ping: there is no ping"
fi
run "xskdump writes a pcap file" dumps
if command -v tcpdump >/dev/null; then
	run "tcpdump reads what xskdump wrote" tcpdump_reads
else
	echo "skip tcpdump reads what xskdump wrote: there is no tcpdump"
fi
run "xskdump writes to a pipe as packets come" dumps_to_pipe
if ldconfig -p | grep -q 'libpcap\.so\.'; then
	run "xskdump takes what a filter matches" takes_matches
else
	echo "skip xskdump takes what a filter matches: there is no libpcap"
fi
run "xskdump tells of a full disk" full_disk
run "xskprobe refuses bad options and says which interface is missing" probe_refuses
if ! command -v leaves >/dev/null; then
	echo "skip xskprobe says what ethtool and ip say: there is neither jq nor python3"
elif ! command -v ethtool >/dev/null; then
	echo "skip xskprobe says what ethtool and ip say: there is no ethtool"
else
	run "xskprobe says what ethtool and ip say of one queue" probes_as_tools 1 1500 "" yes
	run "xskprobe says what ethtool and ip say of two queues" probes_as_tools 2 1400 "..1" yes
	run "xskprobe says that an MTU is too large for native mode" \
		probes_as_tools 2 9000 "..1" "no (MTU 9000, above 3506)"
	run "xskprobe tells a native program, and without root what it can" probes_programs -N native
	run "xskprobe tells a generic program, and without root what it can" \
		probes_programs -S generic
	run "xskprobe tells an interface without native XDP" probes_no_native
	run "xskprobe's JSON stays valid with an odd name" probes_odd_name
fi
run "xskbroker has rxdrop receive without any capability" receives_without_privileges
run "xskbroker goes on with the program that was pinned" keeps_its_program
run "xskbroker refuses bad options, and says which interface or queue is missing" broker_refuses
for example in rxdrop txgen l2fwd responder xskdump; do
	case $example in
	rxdrop) own="-i xb -c 0" ;;
	txgen) own="-i xb -s 59" ;;
	l2fwd) own="-i xb" ;;
	responder) own="-i xb -a 192.0.2.256" ;;
	xskdump) own="-i xb" ;;
	esac
	run "$example ends cleanly on a signal and in time" ends_cleanly $example
	run "$example refuses bad options" refuses_options $example "$own"
	run "$example says which interface or queue is missing" wants_interface $example
	run "$example survives a link that goes down" survives_down $example
	run "$example notices that the interface is deleted" notices_deletion $example
done
run "demo succeeds and leaves nothing" demo_succeeds
run "demo leaves nothing after Ctrl-C" demo_interrupted INT 130 "miniping\|ping -c"
run "demo leaves nothing after SIGTERM" demo_interrupted TERM 143 "txgen -i"
run "demo leaves nothing after SIGKILL" demo_interrupted KILL 137 "txgen -i" 2>/dev/null
run "demo says that it must be root" demo_wants_root
exit $any_failed
