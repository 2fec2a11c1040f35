#!/bin/sh
# run.sh - from named package versions to models/starter, in one command.
#
# usage: models/train/run.sh [WORK_DIR]
#
# Resumable: what is in WORK_DIR already is not made again, and a training goes
# on from its last state. Needs npm, python3 with venv, a C++ compiler (for
# torch.compile), two cores, 4 GB of memory and about two hours; pulls packages
# from npm and PyPI by exact version.
# PYTHON names an interpreter that has requirements.txt already; CW_SEED, CW_STEPS
# change the run.
set -eu
cd "$(dirname "$0")"
work=${1:-${TMPDIR:-/tmp}/clipward-train}
seed=${CW_SEED:-1}
mkdir -p "$work"
work=$(cd "$work" && pwd)
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

if [ ! -d "$work/npm/node_modules" ]; then
	mkdir -p "$work/npm"
	cp package.json "$work/npm/"
	(cd "$work/npm" && npm install --no-audit --no-fund --ignore-scripts)
fi
if [ -z "${PYTHON:-}" ]; then
	PYTHON=$work/venv/bin/python
	[ -x "$PYTHON" ] || {
		python3 -m venv "$work/venv"
		"$work/venv/bin/pip" install -q -r requirements.txt
	}
fi
[ -e "$work/cache/sprites.json" ] ||
	"$PYTHON" icons.py "$work/npm/node_modules" "$work/cache"
python3 check_heldout.py

# both SCRIPT OUT ARG...: two processes of one thread that average gradients.
both() {
	script=$1 out=$2
	shift 2
	port=$((29500 + $$ % 400))
	nice -n 15 "$PYTHON" "$script" --cache "$work/cache" --out "$out" \
	    --seed "$seed" --processes 2 --rank 1 --port $port \
	    --tag clipward-train-proc "$@" &
	other=$!
	nice -n 15 "$PYTHON" "$script" --cache "$work/cache" --out "$out" \
	    --seed "$seed" --processes 2 --rank 0 --port $port \
	    --tag clipward-train-proc "$@"
	wait $other
}
both train.py "$work/clip-$seed" ${CW_STEPS:+--steps "$CW_STEPS"}
"$PYTHON" export.py "$work/clip-$seed/state.pt" ../starter
"$PYTHON" samples.py "$work/npm/node_modules" ../../tests/data
[ ! -x ../../build/clipward ] ||
	"$PYTHON" evaluate.py --cache "$work/cache" --program ../../build/clipward \
	    --model ../starter
