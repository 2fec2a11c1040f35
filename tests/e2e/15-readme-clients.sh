#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# The clients printed in the README work as they stand.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# block LANGUAGE - the README's code in that language, at this endpoint
block() {
	awk -v lang="\`\`\`$1" '$0 == lang { on = 1; next } /^```/ { on = 0 } on' \
	    "$root/README.md" | sed "s,tcp://127.0.0.1:5771,$SUBMIT,"
}

config
start
cd "$TMP_DIR" || exit 1
client pictures . 1 >/dev/null
mv ./*.jpg a.jpg 2>/dev/null || mv "$(find . -name '*.png' | head -n 1)" a.jpg

block python >client.py
timeout 30 "$PYTHON" client.py >out 2>&1
check "the Python client is accepted" grep -q '^ACCEPTED' out
check "the Python client gets a decision" grep -qE '^VERDICT (allow|review|block)' out

{
	printf '#include <stdio.h>\n#include <string.h>\n#include <zmq.h>\n'
	printf 'int main(void) {\nstatic char image[1 << 20];\n'
	printf 'size_t image_len = fread(image, 1, sizeof(image), fopen("a.jpg", "rb"));\n'
	block c | sed 's/upload-17/upload-18/'
	printf 'return 0;\n}\n'
} >client.c
check "the C client compiles" "${CC:-cc}" -Wall -o client client.c -lzmq
timeout 30 ./client >out 2>&1
check "the C client gets a verdict" grep -q '"decision":"' out
finish
