#!/bin/sh
# layers.sh - who may include whom.
#
# A directory includes only itself and those listed beside it, and each
# third-party header is included by one .c file of a directory (libevent, the
# supervisor's idiom, is the exception).
set -eu
cd "$(dirname "$0")/../.."
bad=0

while read -r dir may; do
	seen=$(grep -rhoE '^#include "[a-z]+/' "daemon/$dir" |
	    sed 's/.*"//; s,/,,' | sort -u)
	for other in $seen; do
		case " $dir $may " in
		*" $other "*) ;;
		*) echo "daemon/$dir must not include $other/" >&2; bad=1 ;;
		esac
	done
done <<-EOT
	base
	format		base
	conf		format base
	model		base
	worker		model format base plugins
	gate		format base
	supervisor	conf format base plugins
	cli		conf format base
EOT

# header:directories that may have it; a directory not named may not.
while read -r header dirs; do
	for dir in base format conf model worker gate supervisor cli; do
		n=$(grep -lE "^#include <$header" -r "daemon/$dir" | wc -l)
		[ "$n" -gt 0 ] || continue
		case " $dirs " in
		*" $dir "*) ;;
		*) echo "daemon/$dir must not include <$header>" >&2; bad=1 ;;
		esac
		case " $dirs " in *" many "*) continue ;; esac
		if [ "$n" -gt 1 ]; then
			echo "daemon/$dir: <$header> in $n files, want one" >&2
			bad=1
		fi
	done
done <<-EOT
	zmq.h		gate cli
	event2/		supervisor many
	sqlite3.h	supervisor many
	yaml.h		conf
	turbojpeg.h	worker
	jpeglib.h	worker
	png.h		worker
	cblas.h		model
	seccomp.h	worker gate
	utf8proc.h	model
	openssl/	base
	systemd/	supervisor
	dlfcn.h		worker supervisor
	jansson.h	format model supervisor gate cli many
EOT

# Memory comes from base/arena.c; a library that hands over ownership is freed.
if grep -nE '\b(malloc|calloc|realloc)\(' -r daemon --include='*.[ch]' |
    grep -vE '^daemon/base/(arena|io)\.c:|^[^:]*:[0-9]+:[[:space:]]*\*|/\*'; then
	echo "malloc belongs to base/arena.c" >&2
	bad=1
fi
exit $bad
