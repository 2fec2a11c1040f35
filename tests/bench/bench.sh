#!/bin/sh
# bench.sh - our speed beside that of the engines people would pick otherwise.
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
		echo "bench.sh: want python3-venv; only our own kernels follow" >&2
		python=
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

echo "clipward $(git describe --always --dirty 2>/dev/null || echo -)"
sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
"$build/tests/bench/kernel_bench"
[ -n "$python" ] || exit 0

want onnx onnx numpy onnx
want ort onnxruntime onnxruntime
want openvino openvino openvino
want nncf nncf nncf
torch=${CW_BENCH_TORCH:-$python}
if ! "$torch" -c 'import torch' 2>/dev/null; then
	missing="$missing torch=set_CW_BENCH_TORCH_to_a_python_that_has_it"
fi
if [ ! -e "$work/embed.npy" ]; then
	"$python" tests/bench/make_model.py "$shape" "$work/model"
	"$python" tests/bench/reference.py "$work/model" "$work"
fi
[ -e "$work/model.onnx" ] ||
	"$python" tests/bench/export_onnx.py "$work/model" "$work/model.onnx"
CW_BENCH_TORCH=$torch
export CW_BENCH_TORCH
# shellcheck disable=SC2086 # a list of words
"$python" tests/bench/bench.py "$build/clipward" "$work" $missing
