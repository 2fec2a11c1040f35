#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# What a configuration says holds for commands that need no daemon, or they
# say that it does not.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

starter="$root/models/starter"
HOME=$TMP_DIR/home
unset XDG_CACHE_HOME
export HOME
mkdir "$HOME"
cw() {
	"$CW_BUILD/clipward" -f "$TMP_DIR/config.yaml" "$@" >"$TMP_DIR/out" 2>"$TMP_DIR/err"
}

config "model: {path: $starter, cache: $TMP_DIR/packed}"
check "model prepare" cw model prepare
check "makes model.cache" test -n "$(ls "$TMP_DIR/packed" 2>/dev/null)"
packed=$(ls "$TMP_DIR"/packed/*.packed)
rm "$packed"
mkdir "$packed.new"
cw model prepare
same "weights that can't be kept there are an error" 2 $?
check "that says where" grep -q "$TMP_DIR/packed: the packed weights could not be kept there" "$TMP_DIR/err"
rmdir "$packed.new"
config "model: {path: $starter, cache: $TMP_DIR/absent/packed}"
check "where that can't be made" cw model prepare
check "it says so" grep -q "warning: $TMP_DIR/absent/packed: No such file.*packing in $HOME/.cache/clipward," "$TMP_DIR/err"
check "and tells the truth" test -n "$(ls "$HOME/.cache/clipward")"
check "an int8 file in the cache" cw model prepare --precision int8
cw model info --json
check "is not taken for auto" grep -q '"precision":"fp32"' "$TMP_DIR/out"

config "plugins: [png, nosuch]"
cw scan "$root/tests/data/drop-of-blood.png"
check "a plugin that is not there" test $? -le 1
check "is warned of" grep -q '^clipward: warning: plugin .*nosuch.so: No such file' "$TMP_DIR/err"
finish
