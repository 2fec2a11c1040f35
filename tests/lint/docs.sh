#!/bin/sh
# docs.sh - what the documents name exists.
set -eu
cd "$(dirname "$0")/../.."
build=${CW_BUILD:-build}
bad=0

# Files of the README's tour and of the man pages' FILES that are in the tree.
# shellcheck disable=SC2016  # the backquotes are Markdown's
for f in $(grep -oE '`(daemon|policies|plugins|models|tests|man|systemd)/[A-Za-z0-9_./-]+`' README.md |
    tr -d '`' | sort -u); do
	[ -e "$f" ] || { echo "README.md names $f, which is not there" >&2; bad=1; }
done

# Every setting has a paragraph, every command too.
keys=$("$build/clipward" config --keys)
for key in $keys; do
	grep -q "$(echo "$key" | sed 's/[._]/./g')" man/clipward-config.5 ||
	    { echo "clipward-config(5) does not name $key" >&2; bad=1; }
done
commands=$("$build/clipward" --commands)
for cmd in $commands; do
	grep -qE "(Ic|Cm|Nm clipward) $cmd|Ss $cmd" man/clipward.1 ||
	    { echo "clipward(1) does not name $cmd" >&2; bad=1; }
done
# Options without a letter: those with one are named by that.
options=$("$build/clipward" --commands | while read -r cmd; do
	# shellcheck disable=SC2086  # one or two words
	"$build/clipward" $cmd --help | sed -n 's/^      --\([a-z-]*\).*/\1/p'
done | sort -u)
for opt in $options; do
	grep -q -e "Fl -$opt\\>" man/clipward.1 ||
	    { echo "clipward(1) does not name --$opt" >&2; bad=1; }
done

# absent WHAT OPTIONS PATTERN PATH... - is there no such line in the tree?  A
# tarball has no git to ask: then what the build left is left out by name.
absent() {
	what=$1 options=$2 pattern=$3 rc=0
	shift 3
	if [ -e .git ]; then
		git grep "$options" "$pattern" -- "$@" ':!tests/lint/docs.sh' || rc=$?
	else
		grep -r "$options" --exclude=docs.sh --exclude='*.tar.gz' \
		    --exclude-dir='build*' --exclude-dir=__pycache__ "$pattern" "$@" || rc=$?
	fi
	[ $rc != 0 ] || echo "$what is in the tree" >&2
	[ $rc = 1 ]
}
# Nothing of a machine, and no promise of work.
absent "a machine's path" -nE '(/home/[a-z]|/work/|/farm/|/root/)' . || bad=1
absent "unfinished work" -nwE '(TODO|FIXME|XXX|HACK)' daemon plugins tests policies Makefile ||
    bad=1
exit $bad
