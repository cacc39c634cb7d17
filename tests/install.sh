#!/bin/sh
# What `make install` puts where, and that programs build against it, both ways.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/cases.sh
CC=${CC:-cc}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
prefix=$scratch/prefix

case_is it_installs make -s install PREFIX="$prefix"
(cd "$prefix" && find . ! -type d | LC_ALL=C sort) >"$scratch/files"
cat >"$scratch/expected" <<E2
./include/xsk-compat/bpf/xsk.h
./include/xsk-compat/xdp/xsk.h
./include/xsk.h
./lib/libxsk-compat.so
./lib/libxsk-compat.so.1
./lib/libxsk-compat.so.$version
./lib/libxsk.a
./lib/libxsk.so
./lib/libxsk.so.1
./lib/libxsk.so.$version
./lib/pkgconfig/libxsk-compat.pc
./lib/pkgconfig/libxsk.pc
E2
case_is every_file_is_in_its_place diff "$scratch/expected" "$scratch/files"
links() {
	[ "$(readlink "$prefix/lib/libxsk.so")" = libxsk.so.1 ] &&
		[ "$(readlink "$prefix/lib/libxsk.so.1")" = "libxsk.so.$version" ]
}
case_is the_links_lead_to_the_library links

case_is it_installs_below_a_staging_root make -s install PREFIX=/usr DESTDIR="$scratch/stage"
case_is the_staging_root_is_not_in_the_pc_file \
	grep -qx 'prefix=/usr' "$scratch/stage/usr/lib/pkgconfig/libxsk.pc"

if has pkg-config; then
	export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
	case_is pkg-config_knows_the_version [ "$(pkg-config --modversion libxsk)" = "$version" ]
	example='-std=c99 c-examples/rxdrop.c c-examples/common.c'
	# shellcheck disable=SC2046,SC2086
	case_is an_example_builds_against_what_is_installed \
		$CC -o "$scratch/dynamic" $example $(pkg-config --cflags --libs libxsk)
	uses() {
		LD_LIBRARY_PATH="$prefix/lib" ldd "$scratch/dynamic" | grep -F "$prefix/lib/libxsk.so.1"
	}
	case_is it_uses_the_installed_library uses
	# shellcheck disable=SC2046,SC2086
	case_is an_example_builds_statically \
		$CC -static -o "$scratch/static" $example $(pkg-config --cflags --libs libxsk)
	runs() { # PROGRAM: what it says of an interface that is not there
		LD_LIBRARY_PATH="$prefix/lib" "$1" -i no-such-if >"$scratch/out" 2>&1
		[ $? = 1 ] && grep -q 'no-such-if\|CAP_NET_RAW' "$scratch/out"
	}
	case_is the_dynamic_example_runs runs "$scratch/dynamic"
	case_is the_static_example_runs runs "$scratch/static"
	sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$scratch/receive.c"
	# shellcheck disable=SC2046
	case_is the_program_in_the_readme_builds $CC -Wall -Wextra -Werror -o "$scratch/receive" \
		"$scratch/receive.c" $(pkg-config --cflags --libs libxsk)
	cat >"$scratch/legacy.c" <<'C'
#include <xdp/xsk.h>
#include <xsk.h>
int main(void) { return xsk_umem__delete(NULL) || xsk_umem__fd(NULL) >= 0 || !*xsk_version(); }
C
	# shellcheck disable=SC2046
	case_is a_program_for_libxdp_builds $CC -Wall -Wextra -Werror -o "$scratch/legacy" \
		"$scratch/legacy.c" $(pkg-config --cflags --libs libxsk-compat)
	case_is a_program_for_libxdp_runs env LD_LIBRARY_PATH="$prefix/lib" "$scratch/legacy"
	runs_readme() {
		LD_LIBRARY_PATH="$prefix/lib" "$scratch/receive" no-such-if >"$scratch/out" 2>&1
		[ $? = 1 ] && grep -q 'no-such-if\|CAP_NET_RAW' "$scratch/out"
	}
	case_is the_program_in_the_readme_runs runs_readme
else
	skip an_example_builds_against_what_is_installed 'no pkg-config'
fi

if has rustc; then
	cat >"$scratch/other.rs" <<'RS'
#[unsafe(no_mangle)]
pub extern "C" fn other(n: u32) -> usize { format!("{n:?}{:?}", vec![n]).len() }
RS
	cat >"$scratch/both.c" <<'C'
#include <xsk.h>
size_t other(uint32_t n);
int main(void) { return other(7) != 4 || xsk_umem_destroy(NULL) != 0; }
C
	both() {
		rustc --edition 2024 --crate-type staticlib -o "$scratch/libother.a" "$scratch/other.rs" &&
			$CC -I"$prefix/include" -o "$scratch/both" "$scratch/both.c" \
				"$prefix/lib/libxsk.a" "$scratch/libother.a" -lpthread -ldl -lm &&
			"$scratch/both"
	}
	sed -i '1i #include <stddef.h>' "$scratch/both.c"
	case_is the_archive_links_beside_another_rust_library both
else
	skip the_archive_links_beside_another_rust_library 'no rustc'
fi

case_is it_uninstalls make -s uninstall PREFIX="$prefix"
case_is nothing_is_left [ -z "$(find "$prefix" ! -type d)" ]
finish
