#!/bin/sh
# Runs the tests and counts their cases: run.sh [root | unit | vm | NAME...]
#
# Without an argument everything, after `make all tests`; `root` the part that needs
# root, `unit` the tests inside the Rust source, `vm` what tests/vm/check.sh runs in its
# guests, NAME one program of build/tests or one script of tests (rings, abi ...). Every
# test prints `ok NAME`, `not ok NAME: reason` or `skip NAME: reason`.
#
# With XSK_TEST_STRICT=1 a skipped case fails the run, unless XSK_TEST_OLD_KERNEL=1 and
# the reason is that `this kernel has no ...`. XSK_TEST_SLOW=1 is for an emulated
# machine: fewer packets, more time.
set -u
cd "$(dirname "$0")/.." || exit 1
CARGO=${CARGO:-cargo} MAKE=${MAKE:-make}
log=$(mktemp) || exit 1
all=$(mktemp) || exit 1
state=$(mktemp) || exit 1
trap 'rm -f "$log" "$all" "$state"' EXIT
trap 'exit 130' INT TERM

verdicts='^\(ok\|not ok\|skip\) [^ ]'

# NAME SECONDS COMMAND...: one test, which must end in time and with a verdict.
run() {
	name=$1 limit=$2
	shift 2
	[ "${XSK_TEST_SLOW:-0}" = 0 ] || limit=$((limit * 5))
	timeout -k 5 "$limit" "$@" >"$log" 2>&1
	code=$?
	# The case in which it was does not count as run.
	if [ "$code" = 124 ] || [ "$code" = 137 ]; then
		echo "not ok $name: no end after $limit s" >>"$log"
	elif ! grep -q "$verdicts" "$log"; then
		echo "not ok $name: exited with $code and no verdict" >>"$log"
	elif [ "$code" != 0 ] && [ "$code" != 77 ] && ! grep -q '^not ok ' "$log"; then
		echo "not ok $name: exited with $code" >>"$log"
	fi
	report
}

report() {
	grep "$verdicts" "$log" >>"$all"
	passed=$(grep -c '^ok ' "$log")
	if grep -q '^not ok ' "$log"; then
		echo "$name:"
		sed 's/^/	/' "$log"
	else
		echo "$name: $passed passed, $(grep -c '^skip ' "$log") skipped"
	fi
}

unit() {
	name=unit
	timeout -k 5 900 "$CARGO" test --locked --lib >"$log" 2>&1
	code=$?
	sed -i -e 's/^test \(.*\) \.\.\. ok$/ok \1/' \
		-e 's/^test \(.*\) \.\.\. FAILED$/not ok \1: see above/' \
		-e 's/^test \(.*\) \.\.\. ignored\(.*\)$/skip \1: ignored\2/' "$log"
	if [ "$code" != 0 ] && ! grep -q '^not ok ' "$log"; then
		echo "not ok unit: cargo test exited with $code" >>"$log"
	elif ! grep -q '^ok ' "$log"; then
		echo "not ok unit: cargo test ran nothing" >>"$log"
	fi
	report
}

programs() {
	for program in tests/c/*.c; do
		program=$(basename "$program" .c)
		[ "$program" = left ] || run "$program" 120 "build/tests/$program"
	done
}

null_is_complete() {
	name=null.c
	missing=$(grep -o '\bxsk_[a-z0-9_]*(' include/xsk.h | sort -u | while read -r function; do
		grep -qF "$function" tests/c/null.c || echo "$function)"
	done)
	if [ -z "$missing" ]; then
		echo 'ok every_function_of_the_header_stands_in_null.c'
	else
		echo "not ok every_function_of_the_header_stands_in_null.c:" $missing
	fi >"$log"
	report
}

script() {
	case $1 in
	abi) run abi 120 "$MAKE" -s check-abi ;;
	examples) run examples 300 tests/examples.sh build/examples ;;
	*) run "$1" 600 "tests/$1.sh" ;;
	esac
}

scripts() {
	for script in "$@"; do
		[ ! -f "tests/$script.sh" ] || script "$script"
	done
}

left() {
	XSK_TEST_STATE=$state build/tests/left note_what_is_there >/dev/null
}

nothing_left() {
	XSK_TEST_STATE=$state run left 30 build/tests/left nothing_is_left_behind
}

case ${1-} in
'')
	left
	unit
	programs
	null_is_complete
	scripts examples abi header install
	nothing_left
	;;
root)
	left
	programs
	scripts examples
	nothing_left
	;;
vm)
	left
	programs
	run wired 120 build/tests/wired
	run starved 120 build/tests/starved
	run dispatcher 120 build/tests/dispatcher
	nothing_left
	;;
*)
	for wanted in "$@"; do
		if [ "$wanted" = unit ]; then
			unit
		elif [ -x "build/tests/$wanted" ]; then
			run "$wanted" 120 "build/tests/$wanted"
		else
			script "$wanted"
		fi
	done
	;;
esac

passed=$(grep -c '^ok ' "$all")
failed=$(grep -c '^not ok ' "$all")
skipped=$(grep -c '^skip ' "$all")
echo
grep '^not ok ' "$all"
grep '^skip ' "$all" | sed 's/^skip [^:]*: //' | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 skipped: /'
code=0
[ "$failed" = 0 ] || code=1
if [ "${XSK_TEST_OLD_KERNEL:-0}" = 1 ]; then
	sed -i '/^skip [^:]*: this kernel has no /d' "$all"
fi
if [ "${XSK_TEST_STRICT:-0}" = 1 ] && grep '^skip ' "$all"; then
	echo "XSK_TEST_STRICT=1: what is skipped counts as failed"
	code=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $code
