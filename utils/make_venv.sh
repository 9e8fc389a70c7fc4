#!/usr/bin/env bash
# Make a virtual environment with pip in it, also on a fresh Debian or Ubuntu, where python3-venv is a package of its own.
# Usage: utils/make_venv.sh <python> <folder>
set -euo pipefail
python=$1 folder=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  { echo "$0: $python: got $("$python" --version 2>&1), need Python 3.10 or later. Name another: make PYTHON=python3.12" >&2; exit 1; }
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  command -v apt-get >/dev/null || { echo "$0: $python has no venv module. Install it with your system's package manager" >&2; exit 1; }
  echo "$0: installing $package" >&2
  $sudo apt-get -qq update && DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq -y install "$package" >&2
fi
"$python" -m venv "$folder"
