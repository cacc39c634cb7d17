# Sourced by the shell tests: a case is a name and a command that must succeed.

failures=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

# case_is NAME COMMAND...
case_is() {
	name=$1
	shift
	if "$@" >"$scratch/said" 2>&1; then
		echo "ok $name"
	else
		failures=$((failures + 1))
		sed 's/^/# /' "$scratch/said"
		echo "not ok $name: $*"
	fi
}

# skip NAME REASON
skip() {
	echo "skip $1: $2"
}

has() {
	command -v "$1" >/dev/null 2>&1
}

finish() {
	[ "$failures" = 0 ]
	exit
}
