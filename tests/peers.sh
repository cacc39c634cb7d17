#!/bin/sh
# libxsk-compat and the software that it is for: programs of the test's own against
# include/xdp/xsk.h; the same scenarios with Debian's libxdp and with ours; both on one
# interface; Debian's DPDK. Installs the Debian packages that it needs.
#
# Everything is in namespaces that end with this script, however it ends. Prints
# `ok NAME`, `not ok NAME: reason` or `skip NAME: reason`. Arguments are parts to run:
# source, newer, differential, together, testpmd.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CXX=${CXX:-c++}

install_packages() {
	wanted=
	[ -f /usr/include/xdp/xsk.h ] || wanted="$wanted libxdp-dev"
	[ -f /usr/include/bpf/bpf.h ] || wanted="$wanted libbpf-dev"
	has dpdk-testpmd || wanted="$wanted dpdk-dev"
	set -- /usr/lib/*/dpdk/pmds-*/librte_net_af_xdp.so
	[ -f "$1" ] || wanted="$wanted librte-net-af-xdp23 librte-mempool-ring23"
	[ -n "$wanted" ] || return 0
	if ! has apt-get; then
		echo "# no apt-get for$wanted"
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	apt-get install -qy --no-install-recommends $wanted >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -qy --no-install-recommends $wanted; } \
			>/dev/null 2>&1 || echo "# apt-get cannot install$wanted"
}

has() {
	command -v "$1" >/dev/null 2>&1
}

# Again, in namespaces whose processes die with this one.
if [ "${XSK_PEERS_INSIDE-}" != 1 ] && [ "$(id -u)" = 0 ]; then
	install_packages
	if unshare --mount --net --pid --fork --kill-child --mount-proc true 2>/dev/null; then
		export XSK_PEERS_INSIDE=1
		exec unshare --mount --net --pid --fork --kill-child --mount-proc "tests/$(basename "$0")" "$@"
	fi
fi
if [ "${XSK_PEERS_INSIDE-}" = 1 ]; then
	# What is left of files goes with the namespace.
	case $PWD in
	/mnt/*) ;;
	*) mount -t tmpfs none /mnt 2>/dev/null && TMPDIR=/mnt && export TMPDIR ;;
	esac
	for family in all default; do
		echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/$family/disable_ipv6
	done
fi

. tests/cases.sh

compat=$PWD/build/libxsk-compat.so.1
warnings='-Wall -Wextra -Wshadow -O2 -g'
ours="-Iinclude -Lbuild -Wl,-rpath,$PWD/build -lxsk-compat"
all_parts="source newer differential together testpmd"
parts=${*:-$all_parts}

# wants PART
wants() {
	case " $parts " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# Counts what a test program says of its own cases.
passed_on() {
	cat "$1"
	failures=$((failures + $(grep -c '^not ok ' "$1")))
}

# --- source

# used COMPILER SOURCE OPTION...: it compiles without a warning, and works
used() {
	compiler=$1 source=$2
	shift 2
	# shellcheck disable=SC2086
	$compiler -Wall -Wextra -pedantic -Werror -o "$scratch/use" "$@" "tests/compat/$source" \
		$ours $libbpf && [ "$("$scratch/use")" = ok ]
}

source_part() {
	libbpf=
	for standard in c89 gnu89 c99 gnu99 c11 gnu11 c17 gnu17; do
		case_is "source_$standard" used "$CC" use.c -std=$standard
	done
	for standard in 11 14 17 20; do
		case_is "source_c++$standard" used "$CXX" use.cpp -std=c++$standard
	done
	for standard in c89 c99 gnu11; do
		case_is "source_before_xsk.h_$standard" used "$CC" use.c -std=$standard -DNATIVE=2
		case_is "source_after_xsk.h_$standard" used "$CC" use.c -std=$standard -DNATIVE=1
	done
	case_is source_before_xsk.h_c++ used "$CXX" use.cpp -std=c++11 -DNATIVE=2
	case_is source_after_xsk.h_c++ used "$CXX" use.cpp -std=c++11 -DNATIVE=1
	case_is source_bpf_xsk.h used "$CC" use.c -std=c99 -DOLD
	case_is source_bpf_xsk.h_c++ used "$CXX" use.cpp -std=c++17 -DOLD
	for level in -O0 -O1 -Os -O3; do
		case_is "source_$level" used "$CC" use.c -std=gnu11 $level
	done
	if [ -f /usr/include/bpf/libbpf.h ]; then
		libbpf=-lbpf
		case_is source_before_libbpf.h used "$CC" use.c -std=gnu11 -DLIBBPF=2
		case_is source_after_libbpf.h used "$CC" use.c -std=gnu11 -DLIBBPF=1
		case_is source_all_of_them used "$CC" use.c -std=gnu11 -DLIBBPF=1 -DNATIVE=2 -DOLD
		case_is source_before_libbpf.h_c++ used "$CXX" use.cpp -std=c++17 -DLIBBPF=2
		case_is source_after_libbpf.h_c++ used "$CXX" use.cpp -std=c++17 -DLIBBPF=1
	else
		skip source_libbpf 'no libbpf-dev'
	fi
	if [ -f /usr/include/xdp/libxdp.h ]; then
		case_is source_after_libxdp.h used "$CC" use.c -std=gnu11 -DLIBXDP
	else
		skip source_after_libxdp.h 'no libxdp-dev'
	fi
}

# --- differential

# shellcheck disable=SC2086
differential_part() {
	$CC $warnings -std=gnu11 -o "$scratch/theirs" tests/compat/differential.c -lxdp &&
		$CC $warnings -std=gnu11 -o "$scratch/ours" tests/compat/differential.c $ours || {
		echo 'not ok differential: it does not compile'
		failures=$((failures + 1))
		return
	}
	if ldd "$scratch/theirs" | grep -q libxsk; then
		echo 'not ok differential: libxdp is ours'
		failures=$((failures + 1))
		return
	fi
	(
		# libxdp pins where a BPF file system is.
		mount -t tmpfs none /sys/fs/bpf
		"$scratch/theirs" >"$scratch/theirs.out" 2>"$scratch/theirs.err" &
		"$scratch/ours" >"$scratch/ours.out" 2>"$scratch/ours.err"
		echo $? >"$scratch/ours.code"
		wait $!
		echo $? >"$scratch/theirs.code"
		umount /sys/fs/bpf
	)
	if [ "$(cat "$scratch/theirs.code" "$scratch/ours.code" | tr -d '\n')" != 00 ]; then
		sed 's/^/# /' "$scratch/ours.err" | grep -v libxdp: | head -n 5
		echo 'not ok differential: the test itself failed'
		failures=$((failures + 1))
	fi
	awk -f tests/compat/compare.awk tests/compat/differences "$scratch/theirs.out" \
		"$scratch/ours.out" >"$scratch/verdicts"
	passed_on "$scratch/verdicts"
}

# --- together

# shellcheck disable=SC2086
together_part() {
	$CC $warnings -std=gnu11 -DLIBXDP -o "$scratch/peer_libxdp" tests/compat/peer.c -lxdp -lbpf &&
		$CC $warnings -std=gnu11 -o "$scratch/peer_ours" tests/compat/peer.c $ours &&
		$CC $warnings -std=gnu11 -o "$scratch/together" tests/compat/together.c || {
		echo 'not ok together: it does not compile'
		failures=$((failures + 1))
		return
	}
	"$scratch/together" together "$scratch/peer_libxdp" "$scratch/peer_ours" "$compat" \
		build/examples/rxdrop >"$scratch/verdicts" 2>"$scratch/together.err"
	if [ $? -gt 1 ] || ! grep -q '^ok ' "$scratch/verdicts"; then
		echo 'not ok together: the test itself failed' >>"$scratch/verdicts"
	fi
	passed_on "$scratch/verdicts"
}

# --- what libxdp 1.3 has not

# shellcheck disable=SC2086
newer_part() {
	if $CC $warnings -std=gnu11 -o "$scratch/newer" tests/compat/newer.c $ours -pthread; then
		"$scratch/newer" >"$scratch/verdicts" 2>&1
		grep -q '^ok ' "$scratch/verdicts" || echo 'not ok newer: no case' >>"$scratch/verdicts"
	else
		echo 'not ok newer: it does not compile' >"$scratch/verdicts"
	fi
	passed_on "$scratch/verdicts"
}

# --- Debian's DPDK

bound_to_libxdp=' to [^ ]*libxdp\.so[^ ]* .*symbol .xsk_'

# testpmd FRAMES MODE DEVICE DEVICE BACK: forwards so many frames from pb0, which come
# BACK from there, and from there to pb0
testpmd() {
	frames=$1 mode=$2 device0=$3 device1=$4 back=$5
	shift 5
	rm -f "$scratch"/bindings.* "$scratch/testpmd.out"
	for n in 0 1; do
		# What the stack sends arrives at queue 0.
		ip link add pa$n numrxqueues 2 numtxqueues 2 type veth peer name pb$n \
			numrxqueues 2 numtxqueues 1 || return 1
		ip link set pa$n up && ip link set pb$n up || return 1
	done
	lcores="(0-1)@0"
	[ "$(nproc)" -lt 2 ] || lcores="0@0,1@1"
	# Nothing of it outlives this: no file, no huge page.
	mkdir -p "$scratch/dpdk"
	RUNTIME_DIRECTORY=$scratch/dpdk LD_DEBUG=bindings LD_DEBUG_OUTPUT=$scratch/bindings LD_PRELOAD=$preload \
		dpdk-testpmd --lcores="$lcores" --no-huge -m 512 --no-pci --no-shconf --no-telemetry \
		--file-prefix=xsk --vdev="net_af_xdp0,iface=$device0" \
		--vdev="net_af_xdp1,iface=$device1" -- --auto-start --forward-mode="$mode" \
		--total-num-mbufs=16384 --stats-period=3600 "$@" >"$scratch/testpmd.out" 2>&1 </dev/null &
	testpmd_pid=$!
	said=0
	testpmd_forwards || said=1
	kill -INT $testpmd_pid 2>/dev/null
	for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		kill -0 $testpmd_pid 2>/dev/null || break
		sleep 0.2
	done
	if kill -9 $testpmd_pid 2>/dev/null; then
		echo "testpmd did not end after $tenth turns"
		said=1
	fi
	wait $testpmd_pid
	code=$?
	testpmd_ended || said=1
	[ "$said" = 0 ] || grep -v '^  ' "$scratch/testpmd.out" | tail -n 50
	ip link delete pa0
	ip link delete pa1
	return $said
}

testpmd_forwards() {
	# Until it forwards, or has ended.
	for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		! grep -q 'packet forwarding - ports' "$scratch/testpmd.out" || break
		kill -0 $testpmd_pid 2>/dev/null || break
		sleep 0.2
	done
	for device in "${device0%%,*}" "${device1%%,*}"; do
		how=$("$scratch/frames" -a "$device")
		if [ "$how" = none ]; then
			echo "no program on $device"
			return 1
		fi
	done
	sleep 0.2
	sent=$frames
	"$scratch/frames" pb0 "$back" "$frames" || return 1
	[ "$back" != pb0 ] || return 0
	sent=$((2 * frames))
	"$scratch/frames" "$back" pb0 "$frames"
}

testpmd_ended() {
	good=0
	case $code in
	0 | 130) ;;
	*)
		echo "testpmd exited with $code"
		good=1
		;;
	esac
	for n in 0 1; do
		how=$("$scratch/frames" -a pa$n)
		if [ "$how" != none ]; then
			echo "a program ($how) is left on pa$n"
			good=1
		fi
	done
	# testpmd's own count of what it forwarded
	counts=$(sed -n '/Accumulated forward statistics/,$s/.*RX-packets: *\([0-9]*\).*/rx \1/p
		/Accumulated forward statistics/,$s/.*TX-packets: *\([0-9]*\).*/tx \1/p' \
		"$scratch/testpmd.out" | tr '\n' ' ')
	if [ "$counts" != "rx $sent tx $sent " ]; then
		echo "testpmd counted $counts, not $sent each"
		good=1
	fi
	# Which library each of the names came from
	[ -n "$preload" ] || return $good
	if ! grep -q "librte_net_af_xdp.* to $compat .*xsk_umem__create" "$scratch"/bindings.* ||
		! grep -q "librte_net_af_xdp.* to $compat .*xsk_socket__create" "$scratch"/bindings.*; then
		echo "DPDK is not bound to $compat"
		good=1
	fi
	if grep "$bound_to_libxdp" "$scratch"/bindings.*; then
		echo "bound to libxdp"
		good=1
	fi
	return $good
}

testpmd_with_libxdp_alone() {
	testpmd 2000 io pa0 pa1 pb1
	grep -q "$bound_to_libxdp" "$scratch"/bindings.*
}

testpmd_part() {
	if ! has dpdk-testpmd; then
		skip testpmd 'no dpdk-testpmd'
		return
	fi
	# shellcheck disable=SC2086
	$CC $warnings -std=gnu11 -o "$scratch/frames" tests/compat/frames.c || {
		echo 'not ok testpmd: frames.c does not compile'
		failures=$((failures + 1))
		return
	}
	preload=$compat
	case_is testpmd_io testpmd 20000 io pa0 pa1 pb1
	case_is testpmd_macswap testpmd 2000 macswap pa0 pa1 pb1
	case_is testpmd_force_copy testpmd 2000 io pa0,force_copy=1 pa1,force_copy=1 pb1
	case_is testpmd_two_queues testpmd 2000 io pa0 pa0,start_queue=1 pb0
	case_is testpmd_without_busy_polling testpmd 2000 io pa0,busy_budget=0 pa1,busy_budget=0 pb1
	own=$(ls /usr/lib/*/bpf/xsk_def_xdp_prog.o 2>/dev/null | head -n 1)
	if [ -n "$own" ]; then
		case_is testpmd_own_program testpmd 2000 io "pa0,xdp_prog=$own" "pa1,xdp_prog=$own" pb1
	else
		skip testpmd_own_program 'no program of that kind'
	fi
	# That the look at the bindings would find libxdp's:
	preload=
	case_is testpmd_with_libxdp_alone testpmd_with_libxdp_alone
	preload=$compat
	pmd=$(ls /usr/lib/*/dpdk/pmds-*/librte_net_af_xdp.so)
	if nm -D "$pmd" | grep -q xsk_socket__create_shared; then
		case_is testpmd_shared_umem testpmd 2000 io pa0,shared_umem=1 pa1,shared_umem=1 pb1
		case_is testpmd_shared_umem_two_queues testpmd 2000 io pa0,shared_umem=1 \
			pa0,start_queue=1,shared_umem=1 pb0
	else
		echo "# testpmd_shared_umem is not there: this DPDK was built without it"
	fi
}

# --- all of it

for part in $all_parts; do
	wants "$part" || continue
	if [ "$part" = source ]; then
		source_part
	elif [ "${XSK_PEERS_INSIDE-}" != 1 ]; then
		skip "$part" "needs root, and namespaces"
	elif [ "$part" = newer ]; then
		newer_part
	elif [ "$part" != testpmd ] && [ ! -f /usr/include/xdp/libxdp.h ]; then
		skip "$part" 'no libxdp-dev'
	else
		"${part}_part"
	fi
done
finish
