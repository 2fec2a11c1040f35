#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A picture seen before is looked at again for the map of a flag, if the job or
# else the policy wants one, and only then.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$TMP_DIR/policies"
# policy WHEN - one that flags everything
policy() {
	cat >"$TMP_DIR/policies/one.yaml" <<-EOT
		schema: clipward.policy/1
		id: one
		version: 1
		title: One
		templates: ["a photo of {}."]
		categories:
		  - id: one.a
		    title: A
		    severity: low
		    prompts: [a circle]
		    reason: {code: X-1, text: T.}
		neutral: [a dog, a cat, a house, a tree, a cup, a road, a chair, a hat]
		thresholds: {review: 0.0000001, block: 0.99999}
		explain: {when: $1}
	EOT
}
client pictures "$TMP_DIR" 1 >"$TMP_DIR/list"
picture=$(cat "$TMP_DIR/list")

jobs=0
# explained WANT NAME EXPLAIN - the picture again: how it was scored, its maps
explained() {
	jobs=$((jobs + 1))
	same "$2" "$1" "$(client score -p "e$jobs-" -H "{\"explain\":\"$3\",
	    \"context\":{\"surface\":\"s$jobs\"}}" "$picture" | "$PYTHON" -c '
import json, sys
v = json.load(sys.stdin)
print(v["decision"], "reused" if v["cached"] else "scored",
      len(v.get("maps", [])))')"
}
config "policies: $TMP_DIR/policies/"
policy never
start
explained "review scored 0" "a new picture" never
explained "review reused 0" "a known one" never
explained "review scored 1" "policy never, job flagged: a map" flagged
policy flagged
check "another policy" clipward reload
explained "review reused 0" "policy flagged, job never: nothing to look for" never
explained "review scored 1" "policy flagged, job flagged: a map" flagged
finish
