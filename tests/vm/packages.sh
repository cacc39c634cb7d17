# Sourced by check.sh: what a guest is made of, from Debian's packages. They are
# downloaded and checked by apt with the archive's own keys, through lists of its own,
# and unpacked into a cache; nothing is installed.
#
# The archive is the one in the machine's apt sources, or XSK_VM_ARCHIVE. What cannot be
# had leaves its reason in $why. The cache may be removed at any time; then what is
# newest by now is fetched.
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/libxsk-vm
keys=/usr/share/keyrings/debian-archive-keyring.gpg
why=

# Those that the kernel has as modules go into the guest, with what they depend on.
modules='virtio_pci virtio_net igb veth dummy tun bridge 8021q xsk_diag netdevsim'

# What packages.sh and check.sh call on the host.
host_has_what_it_needs() {
	local program
	for program in apt-get apt-cache dpkg-deb awk flock ldd setpriv timeout unshare ip; do
		command -v "$program" >/dev/null || { why="no $program on this machine"; return 1; }
	done
	[ "$(uname -m)" = x86_64 ] || { why='only x86-64 machines are emulated, on such'; return 1; }
	[ -r "$keys" ] || { why='the package debian-archive-keyring is not installed'; return 1; }
}

archive() {
	if [ -n "${XSK_VM_ARCHIVE-}" ]; then
		echo "$XSK_VM_ARCHIVE"
	else
		# shellcheck disable=SC2016
		APT_CONFIG='' apt-get indextargets --format '$(REPO_URI)' 2>/dev/null |
			grep -m 1 -E '/debian/?$'
	fi
}

# SUITE...: apt-get and apt-cache see these from now on, and nothing else.
use_suites() {
	local uri suite
	local root=$cache/apt/${*// /+}
	root=${root// /+}
	uri=$(archive)
	[ -n "$uri" ] || { why='no Debian archive in the apt sources (XSK_VM_ARCHIVE)'; return 1; }
	export APT_CONFIG=$root/apt.conf
	[ ! -e "$root/complete" ] || return 0
	mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/parts"
	: >"$root/status"
	for suite in "$@"; do
		echo "deb [arch=amd64 signed-by=$keys] $uri $suite main"
	done >"$root/sources.list"
	cat >"$APT_CONFIG" <<-END
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Dir::Cache "$root";
		Dir::Etc::PreferencesParts "$root/parts";
		Dir::Etc::SourceList "$root/sources.list";
		Dir::Etc::SourceParts "$root/parts";
		Dir::State::Lists "$root/lists";
		Dir::State::Status "$root/status";
		Debug::NoLocking "true";
	END
	# By default a list that cannot be had is a warning.
	if ! apt-get -qq -o APT::Update::Error-Mode=any update >"$root/log" 2>&1; then
		why="apt-get update of $*: $(grep -m 1 '^[EW]:' "$root/log")"
		return 1
	fi
	touch "$root/complete"
}

# DIRECTORY PACKAGE...: unpacked there.
unpack() {
	local to=$1 debs=$cache/debs package
	shift
	rm -rf "$debs"
	mkdir -p "$debs" "$to"
	if ! (cd "$debs" && apt-get -qq download "$@") >"$cache/log" 2>&1; then
		why="apt-get download of $1: $(grep -m 1 '^E:' "$cache/log")"
		return 1
	fi
	for package in "$debs"/*.deb; do
		dpkg-deb -x "$package" "$to" || { why="$package cannot be unpacked"; return 1; }
	done
	rm -rf "$debs"
}

# The suites that fit the libraries of this machine.
host_suites() {
	# shellcheck disable=SC1091
	case $(. /etc/os-release && echo "${VERSION_CODENAME-}") in
	bookworm) echo bookworm bookworm-backports ;;
	trixie) echo trixie trixie-backports ;;
	*) why='QEMU 8 is not installed, and is fetched on Debian 12 and 13 only'; return 1 ;;
	esac
}

# Leaves a static busybox in $busybox: the guest's tools, and cpio and unxz here.
get_busybox() {
	busybox=$cache/busybox/bin/busybox
	[ ! -x "$busybox" ] || return 0
	use_suites bookworm || return 1
	unpack "$cache/busybox" busybox-static || return 1
	[ -x "$busybox" ] || { why='no busybox in busybox-static'; return 1; }
}

# Leaves the command in the array `qemu`. igb came with QEMU 8; what is older stays
# unused, and one is unpacked together with the libraries that this machine lacks.
get_qemu() {
	local version suites list
	version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.* version \([0-9]*\)\..*/\1/p')
	if [ "${version:-0}" -ge 8 ]; then
		qemu=(qemu-system-x86_64)
		return 0
	fi
	local root=$cache/qemu
	qemu=(env "LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/qemu-system-x86_64"
		-L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
	[ ! -e "$root/complete" ] || return 0
	suites=$(host_suites) || { host_suites >/dev/null; return 1; }
	# shellcheck disable=SC2086
	use_suites $suites || return 1
	list=$(apt-get -o Dir::State::Status=/var/lib/dpkg/status --no-install-recommends \
		-t "${suites#* }" --simulate install qemu-system-x86 |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p')
	rm -rf "$root"
	# shellcheck disable=SC2086
	unpack "$root" ${list:-qemu-system-x86} || return 1
	"${qemu[@]}" --version >"$cache/log" 2>&1 || { why="QEMU: $(head -n 1 "$cache/log")"; return 1; }
	touch "$root/complete"
}

# KERNEL (5.10, 6.18, newest ...): leaves vmlinuz and modules.cpio in $kernel, and the
# kernel's whole name in $release.
get_kernel() {
	local suites pattern packages='' package
	local name=$cache/kernel/$1.name
	if [ -r "$name" ]; then
		release=$(cat "$name")
		kernel=$cache/kernel/$release
		return 0
	fi
	case $1 in
	5.10*) suites=bullseye ;;
	6.1 | 6.1.*) suites=bookworm ;;
	6.12*) suites=trixie ;;
	*) suites='trixie-backports sid' ;;
	esac
	# shellcheck disable=SC2086
	use_suites $suites || return 1
	case $1 in
	newest) pattern='[0-9]' ;;
	*) pattern="${1//./\\.}[.+-]" ;;
	esac
	release=$(apt-cache pkgnames linux-image- | sed 's/^linux-image-//' |
		grep -E "^$pattern" | grep -E '[0-9]-amd64$' | sort -V | tail -n 1)
	[ -n "$release" ] || { why="no package of Linux $1 in $suites"; return 1; }
	kernel=$cache/kernel/$release
	# From 7 on the image is in several packages.
	for package in image binary modules; do
		package=linux-$package-$release
		if apt-cache pkgnames "$package" | grep -qxF "$package"; then
			packages="$packages $package"
		fi
	done
	rm -rf "$cache/unpacked" "$kernel"
	# shellcheck disable=SC2086
	unpack "$cache/unpacked" $packages && keep_kernel || return 1
	rm -rf "$cache/unpacked"
	echo "$release" >"$name"
}

# Keeps of a kernel that was unpacked what a guest needs.
keep_kernel() {
	local image module all=$cache/unpacked/all tree=$cache/unpacked/tree
	image=$(find "$cache/unpacked" -name 'vmlinuz*' -type f | head -n 1)
	[ -n "$image" ] || { why="no kernel in the packages of $release"; return 1; }
	mkdir -p "$kernel" "$tree/modules"
	cp "$image" "$kernel/vmlinuz"
	find "$cache/unpacked" -name '*.ko*' -type f >"$all"
	for module in $modules; do
		keep_module "$module"
	done
	(cd "$tree" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$kernel/modules.cpio"
}

# NAME: after what it depends on, which the module says itself. The number in front of
# the name is the order in which they are to be inserted.
keep_module() {
	local file next copy
	file=$(grep -m 1 -E "/${1//[-_]/[-_]}\.ko(\.xz)?\$" "$all") || return 0
	if [ -e "$tree/modules/"*"-$1.ko" ]; then return 0; fi
	copy=$cache/unpacked/$1.ko
	case $file in
	*.xz) "$busybox" unxz -c "$file" >"$copy" ;;
	*) cp "$file" "$copy" ;;
	esac
	for next in $(tr '\0' '\n' <"$copy" | sed -n 's/^depends=//p' | tr ',-' ' _'); do
		keep_module "$next"
	done
	mv "$copy" "$tree/modules/$(printf %02d "$(find "$tree/modules" -name '*.ko' | wc -l)")-$1.ko"
}
