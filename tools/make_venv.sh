#!/bin/sh
# Makes the environment $2 with the interpreter $1, and on Debian installs the module that does so where it is missing.
set -eu
python=${1:-}; venv=$2
[ -n "$python" ] || { echo "no python3 on this machine: install Python 3.11 or newer" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "$python is older than 3.11: name another with make PYTHON=/path/to/python3.11" >&2; exit 2; }
[ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
"$python" -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; }
"$python" -m venv --clear "$venv"
