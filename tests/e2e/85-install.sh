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
put() {
	"$root/tests/install.sh" "$1" "$into" /opt/cw /opt/etc "$CW_BUILD" 2>"$TMP_DIR/err"
}
check "install" put install
check "the installed client runs" "$into/opt/cw/bin/clipward" --version
check "and reads the installed policies" "$into/opt/cw/bin/clipward" policy check "$into/opt/etc/clipward/policies"
echo "# ours" >>"$into/opt/etc/clipward/policies/hate.yaml"
check "install again" put install
check "a changed policy is kept" grep -q '# ours' "$into/opt/etc/clipward/policies/hate.yaml"
check "and the new one named" grep -q 'hate.yaml.new' "$TMP_DIR/err"
rm -f "$into/opt/etc/clipward/policies/hate.yaml.new"
check "uninstall" put uninstall
same "leaves what was changed" "$into/opt/etc/clipward/policies/hate.yaml" "$(find "$into" -type f)"
finish
