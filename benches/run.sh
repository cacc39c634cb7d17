#!/bin/sh
# The benchmark suite, libxdp and libxsk side by side: `make bench`, as root. Arguments
# are parts to run: rings, insns, veth, setup, scale, steer; all of them without; `limits`
# counts instructions and compares them with benches/limits. Programs are compiled against the installed headers and libraries: libxdp's from the system, ours
# from build/bench/root. Prints tables, and writes build/bench/results.json.
#
# Status 0: all parts ran, whether or not they meet the goals; 1: one could not run, or
# a limit is exceeded.
# shellcheck disable=SC2086 # lists of flags are to be split
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
B=build/bench
OUT=$PWD/$B
ROWS=$OUT/rows.json
all_parts="rings insns veth setup scale steer"
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
	apt-get install -qy --no-install-recommends $wanted >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -qy --no-install-recommends $wanted; } \
			>/dev/null || die "cannot install$wanted"
}

# --- programs

# compile NAME FLAG... SOURCE: an object in build/bench
compile() {
	name=$1
	shift
	$CC -std=gnu11 $warnings -O2 -g "$@" -c -o "$B/$name.o"
}

# Those that are compiled alike: with our headers, or with libxdp's.
objects() {
	for name; do
		case $name in
		*_libxdp) compile "$name" $libxdp_headers "benches/$name.c" || return 1 ;;
		*) compile "$name" $libxsk_headers "benches/$name.c" || return 1 ;;
		esac
	done
}

# link PROGRAM OBJECT... [-l...]
link() {
	program=$1 linked=''
	shift
	for name; do
		case $name in
		-*) linked="$linked $name" ;;
		*) linked="$linked $B/$name.o" ;;
		esac
	done
	$CC -o "$B/$program" $linked -pthread
}

# The helpers of xdp/xsk.h are inline: one source, the two headers.
build_rings() {
	# Absolute, for the loader: build/bench is no place that it knows.
	$CC -std=gnu11 $warnings -O2 -g -fPIC -shared $libxdp_headers -o $B/librings_shim.so \
		benches/rings_shim.c || return 1
	objects bench rings rings_calls &&
		compile rings_ffi $libxdp_headers benches/rings_ffi.c &&
		compile rings_libxdp -DLOOPS=loops_libxdp $libxdp_headers benches/rings_inline.c &&
		compile rings_ours -DLOOPS=loops_inline $compat_headers benches/rings_inline.c &&
		link rings bench rings rings_calls rings_ffi rings_libxdp rings_ours $libxsk \
			-L$B -lrings_shim -Wl,-rpath,$OUT
}

run_rings() {
	$B/rings time
}

build_insns() {
	[ -x $B/rings ] && [ "$parts" = "$all_parts" ] || build_rings
}

run_insns() {
	rm -f $B/callgrind.out*
	valgrind -q --tool=callgrind --collect-atstart=no --callgrind-out-file=$B/callgrind.out \
		$B/rings count || return 1
	# "desc: Trigger: Client Request: VARIANT WORK BATCH", and the instructions behind
	awk '/^desc: Trigger: Client Request: / { name = $5 " " $6 " " $7 }
		/^(summary|totals): / && name { print name, $2; name = "" }' \
		$B/callgrind.out.* >$B/insns
	rm -f $B/callgrind.out*
	$B/rings insns $B/insns
}

build_limits() {
	build_insns
}

# Counts are the same on each run, but not with each compiler: hence some room.
run_limits() {
	run_insns >/dev/null || return 1
	sed -n 's/.*"part":"insns","what":"\([^"]*\)","variant":"\([^"]*\)","batch":\([0-9]*\),.*"libxsk":\([^,]*\),.*/\1\t\2\t\3\t\4/p' \
		"$ROWS" >$B/counts
	awk -F '\t' 'FILENAME == ARGV[1] { if ($0 !~ /^#/) limit[$1 FS $2 FS $3] = $4; next }
		!(($1 FS $2 FS $3) in limit) { print "no limit: " $0; bad = 1; next }
		$4 > limit[$1 FS $2 FS $3] * 1.05 {
			printf "%s, %s, batch %s: %s instructions, %s are recorded\n", $1, $2, $3, $4,
				limit[$1 FS $2 FS $3]
			bad = 1
		}
		{ n++ }
		END { printf "%d counts of instructions compared with benches/limits\n", n
			exit bad || n == 0 }' benches/limits $B/counts
}

ends='bench net end end_libxdp end_libxsk calls lane'

build_veth() {
	objects veth $ends && link veth veth $ends $libxdp $libxsk
}

build_scale() {
	objects scale $ends && link scale scale $ends $libxdp $libxsk
}

build_setup() {
	objects bench net setup setup_child setup_none setup_libxdp setup_libxsk &&
		link setup setup net bench &&
		link setup_none setup_child setup_none &&
		link setup_libxdp setup_child setup_libxdp $libxdp_only &&
		link setup_libxsk setup_child setup_libxsk $libxsk
}

run_setup() {
	$B/setup $B
}

build_steer() {
	objects bench net steer && link steer steer net bench $libxsk
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
	case " $all_parts limits " in
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
	# would double the start-up cost.
	{ echo "$OUT/root/lib" && cat /etc/ld.so.conf; } >$B/ld.so.conf
	(cd /etc && ldconfig -X -f "$OUT/ld.so.conf" -C "$OUT/ld.so.cache" 2>/dev/null) ||
		die 'ldconfig fails'
	export XSK_BENCH_INSIDE=1
	# In namespaces whose processes die with that one, which blocks other signals.
	unshare --mount --pid --fork --kill-child --mount-proc benches/run.sh "$@" &
	child=$!
	trap 'kill -KILL $child; exit 130' INT TERM HUP
	wait $child
	exit
fi
# Over the directory, not the file: an ldconfig elsewhere would end a mount on that.
mkdir -p $B/etc && mount -t tmpfs none $B/etc && mkdir $B/etc/upper $B/etc/work &&
	cp $B/ld.so.cache $B/etc/upper &&
	mount -t overlay none -o "lowerdir=/etc,upperdir=$B/etc/upper,workdir=$B/etc/work" /etc ||
	die 'no cache for the loader: it takes an overlay'

export PKG_CONFIG_PATH="$OUT/root/lib/pkgconfig" BENCH_JSON="$ROWS"
libxdp_only=$(pkg-config --libs libxdp) && libxdp=$(pkg-config --libs libxdp libbpf) &&
	libxdp_headers=$(pkg-config --cflags libxdp) && libxsk=$(pkg-config --libs libxsk) &&
	libxsk_headers=$(pkg-config --cflags libxsk) &&
	compat_headers=$(pkg-config --cflags libxsk-compat) || die 'pkg-config fails'
: >"$ROWS"
failed=
for part in $parts; do
	run=run_$part
	command -v "$run" >/dev/null || run=$B/$part
	"build_$part" && "$run" || failed="$failed $part"
done
results >$B/results.json

echo
sed -n 's/.*"part":"\([^"]*\)","what":"\([^"]*\)","variant":"\([^"]*\)","batch":\([0-9]*\).*MISSED".*/missed: \1 \2 \3 \4/p' "$ROWS" |
	sed 's/ 0$//'
echo "goals met: $(grep -c ': met"' "$ROWS"), missed: $(grep -c ': MISSED"' "$ROWS"); $B/results.json"
[ -z "$failed" ] || die "could not run:$failed"
