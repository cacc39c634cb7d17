#!/usr/bin/env bash
# Runs the C test programs on other kernels: check.sh [KERNEL...], or $VM_KERNELS, or all
# that are listed below. `make check-vm` builds what it needs.
#
# Each kernel is Debian's, in a machine that QEMU emulates, with pairs of network cards
# wired back to back: `zc`, one queue and zero-copy; `mq`, the same with two queues; `nz`,
# whose driver promises zero-copy that the machine cannot do; `ig`, Intel's igb. A guest has
# the file system in its memory, and none of the host's. It needs neither root nor KVM, and
# is over when this script is, however that ends.
#
# $VM_TESTS names programs to run in place of all. With XSK_TEST_STRICT=1 what is skipped
# fails the run, but for what an old kernel lacks.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/vm/packages.sh

kernels=${*:-${VM_KERNELS:-5.10 6.1 6.12 6.18 newest}}
limit=1500	# seconds for a guest
strict=${XSK_TEST_STRICT:-0}
run=$(mktemp -d /tmp/libxsk-vm.XXXXXX) || exit 1	# short: sockets have names in it
guest=
passed=0 failed=0 skipped=0 unrun=0
lines=()

end_guest() {
	if [ -n "$guest" ]; then
		kill "$guest" 2>/dev/null
		wait "$guest" 2>/dev/null
	fi
	rm -rf "$run"
}
trap end_guest EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# FILE: the libraries of a program of the host's, where it looks for them.
copy_libraries() {
	local library
	ldd "$1" 2>/dev/null | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p' | while read -r library; do
		case $library in "$PWD"/*) continue ;; esac
		mkdir -p "$tree${library%/*}"
		[ -e "$tree$library" ] || cp -L "$library" "$tree$library"
	done
}

# What all guests have: busybox, a shell and ip of the host's, the library, the tests.
make_tree() {
	local tree=$run/tree name file
	mkdir -p "$tree"/{bin,dev,etc,lib,lib64,proc,run,sbin,sys,tmp,usr,libxsk/build,libxsk/tests/c}
	ln -s ../bin ../sbin ../lib ../lib64 "$tree/usr/"
	cp "$busybox" "$tree/bin/busybox"
	for name in $("$busybox" --list); do
		[ -e "$tree/bin/$name" ] || ln -s busybox "$tree/bin/$name"
	done
	# Busybox's own shell would prefer its own `ip`.
	for name in sh ip ethtool; do
		file=$(PATH=$PATH:/usr/sbin:/sbin command -v $name) || continue
		rm -f "$tree/bin/$name"
		cp -L "$file" "$tree/bin/$name"
		copy_libraries "$file"
	done
	cp -a build/libxsk.so* build/tests "$tree/libxsk/build/"
	cp tests/run.sh "$tree/libxsk/tests/"
	cp tests/c/*.c "$tree/libxsk/tests/c/"
	for file in "$tree"/libxsk/build/tests/*; do
		copy_libraries "$file"
	done
	# The tests of filters and of libxdp's dispatcher load them at run time.
	for name in libpcap libxdp; do
		file=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | sed -n "s/.*$name\\.so\\..* => //p" | head -n 1)
		[ -n "$file" ] || continue
		mkdir -p "$tree${file%/*}"
		cp -L "$file" "$tree$file"
		copy_libraries "$file"
	done
	# Where libxdp looks for its programs.
	for file in /usr/lib/x86_64-linux-gnu/bpf/{xdp-dispatcher,xsk_def_xdp_prog*}.o; do
		[ -r "$file" ] || continue
		mkdir -p "$tree${file%/*}"
		cp -L "$file" "$tree$file"
	done
	echo root:x:0:0:root:/:/bin/sh >"$tree/etc/passwd"
	echo root:x:0: >"$tree/etc/group"
	cp tests/vm/init "$tree/init"
	echo "${VM_TESTS:-vm}" >"$tree/tests-to-run"
	chmod 755 "$tree/init"
	(cd "$tree" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$run/tree.cpio"
	rm -rf "$tree"
}

# NAME MODEL,OPTIONS: two cards, each on a port of its own, with addresses that the
# guest's init reads the names from. add_wire or add_taps comes next.
add_cards() {
	local i letters
	letters=$(printf %s "$1" | od -An -tx1 | tr ' ' :)
	for i in 0 1; do
		machine+=(-device "pcie-root-port,id=$1port$i,chassis=$((ports++))"
			-device "$2,bus=$1port$i,netdev=$1$i,mac=52:54:00$letters:0$i,romfile=")
	done
}

# NAME: what one card sends the other receives, in order, and waits where it cannot yet.
add_wire() {
	local i
	for i in 0 1; do
		machine+=(-netdev "dgram,id=$1$i,local.type=unix,local.path=$run/$1$i,remote.type=unix,remote.path=$run/$1$((1 - i))")
	done
}

add_taps() {
	local i
	for i in 0 1; do
		machine+=(-netdev "tap,id=$1$i,ifname=tap$i,queues=2,script=no,downscript=no,vhost=off")
	done
}

make_machine() {
	# A legacy device, or one that does not go through the IOMMU's interface, has no
	# zero-copy. A tap would have the card's offloads switched on.
	local virtio=virtio-net-pci,disable-legacy=on,iommu_platform ports=1
	local plain=guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off
	inside=()
	machine=(-nodefaults -no-user-config -display none -no-reboot -M q35 -cpu max -smp 2 -m 1024
		-accel tcg,thread=multi)
	add_wire zc
	add_cards zc "$virtio=on"
	add_wire nz
	add_cards nz "$virtio=off"
	add_wire ig
	add_cards ig igb
	if [ "$(id -u)" = 0 ]; then
		inside=(unshare --net tests/vm/taps.sh)
	else
		inside=(unshare --map-root-user --net tests/vm/taps.sh)
	fi
	if "${inside[@]}" true 2>/dev/null; then
		add_taps mq
		add_cards mq "$virtio=on,mq=on,vectors=8,$plain"
	else
		inside=()	# its cases say that there are no such cards
	fi
}

# NAME REASON: a kernel that was not run.
skip() {
	echo "skip $1: $2"
	lines+=("$1: skipped: $2")
	skipped=$((skipped + 1)) unrun=$((unrun + 1))
}

# KERNEL: boots it and counts what its tests say.
check() {
	local code options found shown
	flock 9
	get_kernel "$1"
	found=$?
	flock -u 9
	if [ $found != 0 ]; then
		skip "$1" "$why"
		return
	fi
	echo
	echo "== Linux $release"
	cat "$run/tree.cpio" "$kernel/modules.cpio" >"$run/initrd"
	options="console=ttyS0 quiet panic=-1 hugepages=16 XSK_TEST_SLOW=1 XSK_TEST_STRICT=$strict"
	case $1 in
	5.* | 6.[0-9] | 6.[0-9].* | 6.1[0-7]*) options="$options XSK_TEST_OLD_KERNEL=1" ;;
	esac
	rm -f "$run"/console "$run"/output "$run"/??[01]
	: >"$run/output"
	# Each dies with its parent, whatever that dies of.
	setpriv --pdeathsig TERM timeout -k 5 $limit "${inside[@]}" setpriv --pdeathsig KILL \
		"${qemu[@]}" "${machine[@]}" \
		-kernel "$kernel/vmlinuz" -initrd "$run/initrd" -append "$options" \
		-serial "file:$run/console" -serial "file:$run/output" \
		</dev/null >"$run/qemu" 2>&1 &
	guest=$!
	tail -n +1 -s 0.3 -f --pid=$guest "$run/output" &
	shown=$!
	wait $guest	# which a signal interrupts
	code=$?
	wait $shown
	guest=
	judge "$1" "$code"
}

# KERNEL CODE: how its guest ended.
judge() {
	local counts verdict=
	counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' \
		"$run/output" | tail -n 1)
	if [ "$2" = 124 ]; then
		verdict="no end after $limit s"
	elif ! grep -q '^exit ' "$run/output"; then
		verdict="the guest ended early: $(cat "$run/qemu" "$run/console" | tail -n 20)"
	elif grep -q -E 'BUG:|WARNING:|Oops|Kernel panic' "$run/console"; then
		verdict="the kernel complains: $(grep -m 1 -A 20 -E 'BUG:|WARNING:|Oops|Kernel panic' \
			"$run/console")"
	elif ! grep -q '^exit 0$' "$run/output" && [ "${counts#* 0 }" != "$counts" ]; then
		verdict='cases are skipped that must not be'
	fi
	# shellcheck disable=SC2086
	set -- "$1" ${counts:-0 0 0}
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	if [ -n "$verdict" ]; then
		echo "not ok $1: $verdict"
		failed=$((failed + 1))
	fi
	lines+=("$1 ($release): $2 passed, $3 failed, $4 skipped${verdict:+, not ok: ${verdict%%$'\n'*}}")
}

mkdir -p "$cache/kernel"
exec 9>"$cache/lock"
if ! host_has_what_it_needs || ! flock -w 900 9 || ! get_busybox || ! get_qemu; then
	for kernel in $kernels; do
		skip "$kernel" "${why:-the cache is in use}"
	done
else
	flock -u 9
	make_tree
	make_machine
	for name in $kernels; do
		check "$name"
	done
fi

echo
printf '%s\n' "${lines[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] || exit 1
[ "$strict" != 1 ] || [ "$unrun" = 0 ]
