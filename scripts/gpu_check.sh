#!/bin/sh
# Everything that needs a GPU, unattended, in 8 minutes, on a machine that has PyTorch for it:
#   scripts/gpu_check.sh OUT [WHEELS] [further options of benchmarks/gpu_check.py]
# WHEELS is a folder of wheels for what is missing there (PyG, Lightning, Captum …), such as
#   pip download --dest WHEELS --only-binary=:all: -c constraints.txt torch_geometric lightning captum …
# makes; without it what is installed is used. Call it again with the same OUT to go on where it stopped.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:?"usage: scripts/gpu_check.sh OUT [WHEELS] [options]"}
shift
if [ -d "${1:-}" ]; then
    site=$(mktemp -d)
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$1"/*.whl
    shift
    PYTHONPATH=$site:${PYTHONPATH:-}
fi
export PYTHONPATH="$here:${PYTHONPATH:-}"
exec "${PYTHON:-python3}" "$here/benchmarks/gpu_check.py" --out "$out" "$@"
