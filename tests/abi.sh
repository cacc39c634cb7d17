#!/bin/sh
# What the libraries export, need and weigh: abi.sh SHARED_OBJECT ARCHIVE COMPAT
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/cases.sh
lib=$1 archive=$2 compat=$3
NM=${NM:-nm} CC=${CC:-cc}

sed -n 's/^[[:space:]]*\(xsk_[a-z0-9_]*\);/\1/p' src/libxsk.map | sort >"$scratch/map"
# A comment that names a function which is not there counts too.
grep -o 'xsk_[a-z0-9_]*(' include/xsk.h | tr -d '(' | sort -u >"$scratch/header"
$NM -D --defined-only "$lib" | sed -n 's/.* T \([^ ]*\)@@XSK_1\.0$/\1/p' | sort >"$scratch/lib"
$NM -D --defined-only "$lib" | grep -v ' A XSK_1\.0' | sed 's/.* . //; s/@.*//' | sort >"$scratch/all"
$NM -g --defined-only "$archive" | sed -n 's/^[0-9a-f]* . //p' | sort >"$scratch/archive"

case_is the_map_names_functions test -s "$scratch/map"
case_is header_and_map_name_the_same_functions diff "$scratch/header" "$scratch/map"
case_is the_shared_object_exports_them_at_XSK_1.0 diff "$scratch/map" "$scratch/lib"
case_is the_shared_object_exports_nothing_else diff "$scratch/map" "$scratch/all"
case_is the_archive_has_no_other_global_name diff "$scratch/map" "$scratch/archive"

readelf -d "$lib" >"$scratch/dynamic"
needed() {
	sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$scratch/dynamic" | grep -v '^libc\.so\.6$' && return 1
	grep -q 'NEEDED.*libc\.so\.6' "$scratch/dynamic"
}
case_is the_shared_object_needs_libc_only needed
case_is its_soname_is_libxsk.so.1 grep -q 'SONAME.*\[libxsk\.so\.1\]' "$scratch/dynamic"

strip -o "$scratch/stripped.so" "$lib"
size=$(wc -c <"$scratch/stripped.so")
relocations=$(readelf -r "$scratch/stripped.so" | grep -c ' R_')
echo "# stripped: $size bytes, $relocations relocations"
case_is stripped_it_has_200_KiB_at_most test "$size" -le 204800
case_is it_has_100_relocations_at_most test "$relocations" -le 100

# The drop-in: libxdp's names at libxdp's versions, ours, and no others.
sed -n 's/^\([A-Z_.0-9]*\) {.*/\1/p; s/^[[:space:]]*\(xsk_[a-z0-9_]*\);/\1/p' src/libxsk-compat.map |
	awk '/^LIBXDP/ { version = $1; next } { print $1 "@@" version }' >"$scratch/wanted"
sed 's/$/@@XSK_1.0/' "$scratch/map" >>"$scratch/wanted"
sort -o "$scratch/wanted" "$scratch/wanted"
$NM -D --defined-only "$compat" | sed -n 's/.* T //p' | sort >"$scratch/compat"
case_is the_drop_in_exports_each_name_at_its_version diff "$scratch/wanted" "$scratch/compat"
grep -o 'xsk_[a-z_]*__[a-z_]*(\|xsk_setup_xdp_prog(\|xsk_[a-z]*_nb_[a-z]*(' include/xdp/xsk.h |
	tr -d '(' | sort -u >"$scratch/compat-header"
grep -v '@@XSK' "$scratch/wanted" | sed 's/@.*//' | sort >"$scratch/compat-map"
case_is the_header_of_the_drop_in_names_them_all diff "$scratch/compat-header" "$scratch/compat-map"
case_is the_soname_of_the_drop_in_is_libxsk-compat.so.1 \
	sh -c "readelf -d '$compat' | grep 'SONAME.*\[libxsk-compat\.so\.1\]'"

# What is not in libc would be an unresolved name here.
cat >"$scratch/main.c" <<'C'
#include <stdio.h>
#include <xsk.h>
int main(void) { return puts(xsk_version()) < 0 || xsk_umem_destroy(NULL); }
C
case_is the_archive_links_with_libc_alone $CC -nodefaultlibs -Iinclude -o "$scratch/static" \
	"$scratch/main.c" "$archive" -lc

# Nothing of ours may panic: what calls the panic machinery is alloc's own code, in
# branches that a reservation made beforehand keeps from being taken.
no_panic() {
	objdump -d --no-show-raw-insn "$lib" | awk '
		/^[0-9a-f]+ <.*>:$/ { from = $2 }
		/(call|jmp).*(panicking|unwrap_failed|expect_failed)/ && from !~ /alloc|panicking/ {
			print from, $NF
			bad = 1
		}
		/(call|jmp).*panic/ { seen = 1 }
		END { exit bad || !seen }'
}
case_is no_function_of_ours_can_panic no_panic

no_path() {
	for file in "$lib" "$archive"; do
		strings -a "$file" | grep -F -e "$PWD" -e "${HOME:-/no/home}/" && return 1
	done
	return 0
}
case_is no_binary_holds_a_path_of_this_machine no_path
finish
