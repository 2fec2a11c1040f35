#!/bin/sh
# deps.sh [-q] GROUP... - make sure the Debian packages of the groups are there.
#
# As root (or with password-less sudo) what is missing is installed; anybody
# else is told the exact line to run.  -q: only check, and only speak when
# something is missing.
set -eu

packages() {
	case $1 in
	build)
		echo build-essential pkg-config libevent-dev libzmq3-dev \
		    libturbojpeg0-dev libjpeg62-turbo-dev libopenblas-dev libyaml-dev \
		    libsqlite3-dev libjansson-dev libutf8proc-dev \
		    libseccomp-dev libpng-dev zlib1g-dev libwebp-dev libgif-dev \
		    libsystemd-dev libssl-dev
		;;
	demo)	echo python3 python3-zmq ;;
	test)
		echo libcmocka-dev git python3 python3-zmq python3-jsonschema \
		    python3-pil python3-numpy cppcheck shellcheck mandoc \
		    sqlite3 devscripts systemd procps
		;;
	esac
}

check_only=
if [ "${1-}" = -q ]; then
	check_only=1
	shift
fi
missing=
for group in "$@"; do
	for p in $(packages "$group"); do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null |
		    grep -qx installed || missing="$missing $p"
	done
done
[ -n "$missing" ] || exit 0

missing=$(echo "$missing" | xargs -n 1 | sort -u | xargs)
line="apt-get install -y --no-install-recommends $missing"
as_root=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		as_root="sudo -n"
	else
		echo "packages are missing; run:" >&2
		echo "  sudo $line" >&2
		exit 1
	fi
fi
if [ -n "$check_only" ]; then
	echo "installing what the build needs: $missing" >&2
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$as_root $line >/dev/null 2>&1 || {
	$as_root apt-get update -q >/dev/null
	$as_root $line >/dev/null
}
