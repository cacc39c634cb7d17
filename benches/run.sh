#!/bin/sh
# The benchmark suite, libxdp and libxsk side by side: `make bench`, as root. Arguments
# are parts to run: rings, veth, setup, scale, steer; all of them without. Programs are
# compiled against the installed headers and libraries: libxdp's from the system, ours
# from build/bench/root. Prints tables, and writes build/bench/results.json.
#
# Status 0: all parts ran, whether or not they meet the goals; 1: one could not run.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
B=build/bench
OUT=$PWD/$B
ROWS=$OUT/rows.json
all_parts="rings veth setup scale steer"
parts=${*:-$all_parts}
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes'

die() {
	echo "bench: $*" >&2
	exit 1
}

has() {
	command -v "$1" >/dev/null 2>&1
}

install_packages() {
	wanted=
	has "$CC" || wanted="$wanted gcc"
	has pkg-config || wanted="$wanted pkg-config"
	has valgrind || wanted="$wanted valgrind"
	has strace || wanted="$wanted strace"
	has ip || wanted="$wanted iproute2"
	[ -f /usr/include/xdp/xsk.h ] || wanted="$wanted libxdp-dev"
	[ -n "$wanted" ] || return 0
	has apt-get || die "no apt-get to install$wanted"
	echo "bench: installing$wanted"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	apt-get install -qy --no-install-recommends $wanted >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -qy --no-install-recommends $wanted; } \
			>/dev/null || die "cannot install$wanted"
}

# --- programs

# program NAME SOURCE... [-l...]: a source's name says whose headers it wants
program() {
	name=$1 objects='' libs=''
	shift
	for file; do
		case $file in
		-*)
			libs="$libs $file"
			continue
			;;
		*compat*) headers=$(pkg-config --cflags libxsk-compat) ;;
		*libxdp*) headers=$(pkg-config --cflags libxdp) ;;
		*) headers=$(pkg-config --cflags libxsk) ;;
		esac
		object=$B/$(basename "$file" .c).o
		# shellcheck disable=SC2086
		$CC -std=gnu11 $warnings -O2 -g $headers -c -o "$object" "$file" || return 1
		objects="$objects $object"
	done
	# shellcheck disable=SC2086
	$CC -o "$B/$name" $objects $libs -pthread
}

build_rings() {
	# shellcheck disable=SC2046
	program rings benches/rings*.c benches/bench.c $libxdp $libxsk
}

ends='benches/end.c benches/end_libxdp.c benches/end_libxsk.c benches/calls.c benches/net.c
	benches/bench.c'

build_veth() {
	# shellcheck disable=SC2086
	program veth benches/veth.c $ends $libxdp -lbpf $libxsk
}

build_scale() {
	# shellcheck disable=SC2086
	program scale benches/scale.c $ends $libxdp -lbpf $libxsk
}

build_setup() {
	program setup benches/setup.c benches/net.c benches/bench.c &&
		program setup_none benches/setup_child.c benches/setup_none.c &&
		program setup_libxdp benches/setup_child.c benches/setup_libxdp.c $libxdp &&
		program setup_libxsk benches/setup_child.c benches/setup_libxsk.c $libxsk
}

build_steer() {
	program steer benches/steer.c benches/net.c benches/bench.c $libxdp $libxsk
}

# --- the machine, and the results

# json NAME TEXT
json() {
	printf '"%s":"%s"' "$1" "$(printf %s "$2" | tr -d '"\\\n')"
}

machine() {
	commit=$(git describe --always --dirty --abbrev=12 2>/dev/null)
	json cpu "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
	printf ',"cpus":%s,' "$(nproc)"
	json kernel "$(uname -sr)" && printf ,
	json libxdp "$(pkg-config --modversion libxdp)" && printf ,
	json libxsk "$(pkg-config --modversion libxsk)" && printf ,
	json commit "${commit:-unknown}" && printf ,
	json date "$(date -u +%Y-%m-%d)" && printf ,
	json compiler "$($CC --version | head -n 1)"
}

results() {
	printf '{"machine":{%s},\n"rows":[\n' "$(machine)"
	sed '$!s/$/,/' "$ROWS"
	printf ']}\n'
}

# --- here it starts

[ "$(id -u)" = 0 ] || die 'needs root: namespaces, XDP programs'
for part in $parts; do
	case " $all_parts " in
	*" $part "*) ;;
	*) die "no part $part; there are: $all_parts" ;;
	esac
done

if [ "${XSK_BENCH_INSIDE-}" != 1 ]; then
	install_packages
	mkdir -p $B
	# DESTDIR keeps it from telling the system's loader.
	${MAKE:-make} -s install DESTDIR=/ PREFIX="$OUT/root" || die 'libxsk cannot be installed'
	# Ours finds it as it finds what a distribution installed: a path in the program
	# would double the start-up cost. Elsewhere no ldconfig may run meanwhile, which
	# would end the mount below.
	{ echo "$OUT/root/lib" && cat /etc/ld.so.conf; } >$B/ld.so.conf
	(cd /etc && ldconfig -X -f "$OUT/ld.so.conf" -C "$OUT/ld.so.cache" 2>/dev/null) ||
		die 'ldconfig fails'
	export XSK_BENCH_INSIDE=1
	# In namespaces whose processes die with this one.
	exec unshare --mount --pid --fork --kill-child --mount-proc benches/run.sh "$@"
fi
mount --bind $B/ld.so.cache /etc/ld.so.cache || die 'no cache for the loader'

export PKG_CONFIG_PATH="$OUT/root/lib/pkgconfig" BENCH_JSON="$ROWS"
libxdp=$(pkg-config --libs libxdp) && libxsk=$(pkg-config --libs libxsk) || die 'pkg-config fails'
: >"$ROWS"
failed=
for part in $parts; do
	if [ ! -f benches/"$part".c ]; then
		echo "bench: part $part is not there yet"
		continue
	fi
	# shellcheck disable=SC2086
	"build_$part" && "$B/$part" $B || failed="$failed $part"
done
results >$B/results.json

echo
sed -n 's/.*"part":"\([^"]*\)","what":"\([^"]*\)","variant":"\([^"]*\)","batch":\([0-9]*\).*MISSED".*/missed: \1 \2 \3 \4/p' "$ROWS"
echo "goals met: $(grep -c ': met"' "$ROWS"), missed: $(grep -c ': MISSED"' "$ROWS"); $B/results.json"
[ -z "$failed" ] || die "could not run:$failed"
