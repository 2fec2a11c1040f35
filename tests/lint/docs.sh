#!/bin/sh
# docs.sh - what the documents name exists.
set -eu
cd "$(dirname "$0")/../.."
bad=0

# Files of the README's tour and of the man pages' FILES that are in the tree.
# shellcheck disable=SC2016  # the backquotes are Markdown's
for f in $(grep -oE '`(daemon|policies|plugins|models|tests|man|systemd)/[A-Za-z0-9_./-]+`' README.md |
    tr -d '`' | sort -u); do
	[ -e "$f" ] || { echo "README.md names $f, which is not there" >&2; bad=1; }
done

# Every setting has a paragraph, every command too.
if [ -x build/clipward ]; then
	for key in $(build/clipward config --keys); do
		grep -q "$(echo "$key" | sed 's/[._]/./g')" man/clipward-config.5 ||
		    { echo "clipward-config(5) does not name $key" >&2; bad=1; }
	done
	for cmd in $(build/clipward --commands); do
		grep -qE "(Ic|Cm|Nm clipward) $cmd|Ss $cmd" man/clipward.1 ||
		    { echo "clipward(1) does not name $cmd" >&2; bad=1; }
	done
fi

# Nothing of a machine, and no promise of work.
if git grep -nE '(/home/[a-z]|/work/|/farm/|/root/)' -- . ':!tests/lint/docs.sh'; then
	echo "a machine's path is in the tree" >&2
	bad=1
fi
if git grep -nwE '(TODO|FIXME|XXX|HACK)' -- daemon plugins tests policies Makefile \
    ':!tests/lint/docs.sh'; then
	echo "unfinished work is in the tree" >&2
	bad=1
fi
exit $bad
