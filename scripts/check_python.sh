#!/bin/sh
# Says in one sentence why a Python cannot be used, and fails; silent where it can.
set -u
python=$1
found=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null)
if [ -z "$found" ]; then
    echo "'$python' does not run: install Python 3.11 or newer, or name one as in 'make demo PYTHON=python3.12'." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed, but '$python' is $found: name another one as in 'make demo PYTHON=python3.12'." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "'$python' ($found) cannot make virtual environments: install its venv module (on Debian: apt-get install python3-venv)." >&2
    exit 1
fi
