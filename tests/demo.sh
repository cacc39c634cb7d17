#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# make demo, or: sudo tests/demo.sh build/examples
#
# Shows libxsk at work between two network namespaces, which it makes and which are
# gone afterwards however it ends: they have no names, and live as long as the
# processes in them, which die with this script. Nothing else is touched.
set -eu

PATH=$PATH:/usr/sbin:/sbin
SECONDS_TO_SEND=3

die() {
	echo "demo: $*" >&2
	exit 1
}

# --- outside: look what there is, then go on inside namespaces

if [ "${1-}" != --inside ]; then
	dir=${1-build/examples}
	[ "$(id -u)" = 0 ] || die "it makes network namespaces, for which it must be root: sudo make demo"
	for tool in ip unshare nsenter; do
		command -v $tool >/dev/null ||
			die "there is no '$tool' here: install iproute2 and util-linux"
	done
	for program in responder miniping rxdrop txgen; do
		[ -x "$dir/$program" ] || die "there is no $dir/$program: run 'make' first"
	done
	unshare --net --pid --fork --kill-child --mount-proc true ||
		die "this system does not let us make namespaces (CAP_SYS_ADMIN?)"

	# unshare(1) does not heed SIGTERM, hence it is watched from here. That it dies
	# with this shell, even of SIGKILL, is setpriv's doing (util-linux 2.33).
	bound=
	setpriv --pdeathsig KILL true 2>/dev/null && bound="setpriv --pdeathsig KILL"
	$bound unshare --net --pid --fork --kill-child --mount-proc \
		sh "$0" --inside "$dir" </dev/null &
	inside=$!
	interrupted() {
		trap '' INT TERM HUP
		kill -KILL $inside
		wait $inside || :
		echo "demo: interrupted; everything is removed" >&2
		exit "$1"
	}
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM HUP
	wait $inside
	exit
fi

# --- inside: the first process of a process namespace, in a network namespace

dir=$2

# Files without a name hold what the programs print.
output() {
	echo "/proc/$$/fd/$1"
}
for fd in 3 4 5 6; do
	file=$(mktemp)
	eval "exec $fd>\"\$file\""
	rm "$file"
done

# Runs a command in the other namespace.
other() {
	nsenter --target "$holder" --net "$@"
}

indent() {
	sed 's/^/     /'
}

# Waits until a program says that it runs: await PID FD
await() {
	until grep -q running "$(output "$2")"; do
		kill -0 "$1" 2>/dev/null || {
			cat "$(output "$2")" >&2
			die "it did not start, see above"
		}
		sleep 0.01
	done
}

# Ends a program as Ctrl-C does: finish PID FD
finish() {
	kill -INT "$1"
	wait "$1" || {
		cat "$(output "$2")" >&2
		die "it failed, see above"
	}
}

# Prints the number before a word: count FD WORD
count() {
	sed -n "s/.*$2 \([0-9]*\) packets.*/\1/p" "$(output "$1")"
}

no_ipv6() {
	# Its neighbour discovery would be noise.
	"$@" sh -c 'f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f'
}

unshare --net sleep 60 &
holder=$!
until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do
	sleep 0.01
done
no_ipv6 env
no_ipv6 other
ip link add name left type veth peer name right || die "this kernel has no veth interfaces"
ip link set right netns $holder
ip link set left up
other ip link set right up
other ip address add 192.0.2.2/24 dev right

cat <<-END
	libxsk on Linux $(uname -r): two network namespaces, joined by a veth pair

	        left                              right
	   AF_XDP, no address  <=============>  192.0.2.2, the network stack

	1. Left, responder answers ARP and ping for 192.0.2.1, past the network stack.

END

echo "   left  \$ responder -i left -a 192.0.2.1"
"$dir/responder" -i left -a 192.0.2.1 >&3 2>&1 &
responder=$!
await $responder 3
indent <"$(output 3)"

ping=$(command -v ping) || ping=$dir/miniping
echo "   right \$ ${ping##*/} -c 3 192.0.2.1"
other "$ping" -c 3 192.0.2.1 >&4 2>&1 || {
	indent <"$(output 4)"
	indent <"$(output 3)"
	die "no answer came"
}
indent <"$(output 4)"

echo "   left  \$ ^C"
finish $responder 3
tail -n 2 "$(output 3)" | indent

cat <<-END

	2. Right, txgen sends frames of 60 bytes as fast as one queue takes them; left,
	   rxdrop counts them. Both copy, as on every veth; a NIC can do without.

	   left  \$ rxdrop -i left
	   right \$ txgen -i right -t $SECONDS_TO_SEND
END

"$dir/rxdrop" -i left >&5 2>&1 &
rxdrop=$!
await $rxdrop 5
other "$dir/txgen" -i right -t $SECONDS_TO_SEND >&6 2>&1 || {
	cat "$(output 6)" >&2
	die "txgen failed, see above"
}
finish $rxdrop 5
sent=$(count 6 sent)
received=$(count 5 received)
[ "${received:-0}" -gt 0 ] || die "nothing arrived"
printf '     %-9s %9d packets, %8d a second\n' \
	sent: "$sent" $((sent / SECONDS_TO_SEND)) \
	received: "$received" $((received / SECONDS_TO_SEND))

echo
echo "Both work. What was made for this is gone; see c-examples/ for the programs."
