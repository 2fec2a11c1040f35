#!/bin/sh
# bench.sh [growth] - our speed beside that of the engines people would pick
# otherwise, or how it grows.
#
# Makes a seeded ViT-B/32, an environment with the peers from PyPI (outside
# this tree) and one table; see README.md here.  Never fails for want of a
# peer: its row says what was missing.
set -eu
cd "$(dirname "$0")/../.."
build=${CW_BUILD:-$PWD/build}
home=${CW_BENCH_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/clipward-bench}
shape=${CW_BENCH_SHAPE:-ViT-B/32}
work=$home/$(echo "$shape" | tr / -)
python=$home/bin/python
missing=

mkdir -p "$home" "$work"
if [ ! -x "$python" ]; then
	python3 -m venv "$home" || {
		echo "bench.sh: want python3-venv" >&2
		exit 1
	}
fi

# want NAME MODULE PACKAGE...: install, or remember why not
want() {
	name=$1 module=$2
	shift 2
	"$python" -c "import $module" 2>/dev/null && return
	"$python" -m pip install -q "$@" >&2 2>"$home/pip.log" && return
	missing="$missing $name=not_installed:_see_$home/pip.log"
}

want pillow PIL numpy pillow
if [ "${1-}" = growth ]; then
	exec "$python" tests/bench/growth.py "$build/clipward" "$home"
fi
want ort onnxruntime onnx onnxruntime
want openvino openvino openvino
want nncf nncf nncf
want faster faster_clip faster-clip
torch=${CW_BENCH_TORCH:-$python}
if ! "$torch" -c 'import torch' 2>/dev/null; then
	missing="$missing torch=set_CW_BENCH_TORCH_to_a_python_that_has_it"
fi
# The words came into the vocabulary with the second form of these models.
if [ ! -e "$work/model/form-2" ]; then
	rm -rf "$work"
	"$python" tests/bench/make_model.py "$shape" "$work/model"
	"$python" tests/bench/reference.py "$work/model" "$work"
	touch "$work/model/form-2"
fi
[ -e "$work/model.onnx" ] ||
	"$python" tests/bench/export_onnx.py "$work/model" "$work/model.onnx"
CW_BENCH_TORCH=$torch
export CW_BENCH_TORCH
# shellcheck disable=SC2086 # a list of words
set -- "$build/clipward" "$home" "$work" $missing
exec "$python" tests/bench/bench.py "$@"
