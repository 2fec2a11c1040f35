#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# make install: the paths asked for, also after a build for others; what the
# operator changed stays.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

make_io() {	# PREFIX - one object that holds paths
	make -C "$root" --no-print-directory B="$TMP_DIR/b" PREFIX="$1" "$TMP_DIR/b/daemon/base/io.o" >/dev/null &&
	    grep -q "$1/libexec/clipward" "$TMP_DIR/b/daemon/base/io.o"
}
check "paths are those of the build's PREFIX" make_io /first
check "another PREFIX builds them anew" make_io /second
stamp=$(stat -c %Y.%i "$TMP_DIR/b/daemon/base/io.o")
check "the same one" make_io /second
same "does not" "$stamp" "$(stat -c %Y.%i "$TMP_DIR/b/daemon/base/io.o")"

into=$TMP_DIR/dest
put() {		# as root may who keeps files to himself
	(umask 077 && "$root/tests/install.sh" "$1" "$into" /opt/cw /opt/etc "$CW_BUILD") 2>"$TMP_DIR/err"
}
check "install" put install
same "every folder is for all to read" 755 "$(find "$into" -type d -printf '%m\n' | sort -u)"
same "so is every file" "644 755" "$(find "$into" -type f -printf '%m\n' | sort -u | xargs)"
same "and what runs, and that alone, may run" "" "$(find "$into" -type f \
    \( -perm 755 ! -path '*/bin/*' ! -path '*/sbin/*' ! -path '*/libexec/*' -o \
    -perm 644 \( -path '*/bin/*' -o -path '*/sbin/*' -o -path '*/libexec/*' \) \))"
check "the installed client runs" "$into/opt/cw/bin/clipward" --version
check "and reads the installed policies" "$into/opt/cw/bin/clipward" policy check "$into/opt/etc/clipward/policies"
echo "# ours" >>"$into/opt/etc/clipward/policies/hate.yaml"
check "install again" put install
check "a changed policy is kept" grep -q '# ours' "$into/opt/etc/clipward/policies/hate.yaml"
check "and the new one named" grep -q 'hate.yaml.new' "$TMP_DIR/err"
touch "$into/opt/cw/libexec/clipward/plugins/ours.so"
check "uninstall" put uninstall
same "leaves what was changed, and what is not its own" \
    "$into/opt/cw/libexec/clipward/plugins/ours.so $into/opt/etc/clipward/policies/hate.yaml" \
    "$(find "$into" -type f | sort | xargs)"
same "and no folder of its own without a file" "" \
    "$(find "$into" -type d -path '*clipward*' -empty)"
finish
