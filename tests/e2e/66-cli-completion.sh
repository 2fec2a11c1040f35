#!/bin/bash
# What the shell offers is what the command takes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=daemon/cli/clipward.bash
. "$root/daemon/cli/clipward.bash"
# offers WHAT WANT WORD... - the offers for the last word, a space between
offers() {
	what=$1 want=$2
	shift 2
	COMP_WORDS=("$CW_BUILD/clipward" "$@")
	# shellcheck disable=SC2034  # read by the completion
	COMP_CWORD=$#
	_clipward
	same "$what" "$want" "${COMPREPLY[*]}"
}
offers "a command" "redact reload" re
offers "help is one" "help" he
offers "its second word" "test tune" policy t
offers "options before it" "--commands --config" --co
offers "options of it" "--rounds" bench --ro
offers "a precision" "fp32" scan --precision fp
offers "a percentage is none" "" policy tune --precision ""
offers "when to explain" "always" scan --explain a
offers "a flag wants nothing" "--batch" bench --explain --ba
offers "a flag takes no value" "" bench --explain ""
finish
