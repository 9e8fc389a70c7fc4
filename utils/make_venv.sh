#!/usr/bin/env bash
# Make a virtual environment with pip. Debian and Ubuntu have python3-venv as a package of its own;
# it is installed if necessary.
# Usage: utils/make_venv.sh <python> <folder>
set -euo pipefail
python=$1 folder=$2
fail() { echo "$0: $*" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "$python: version:" \
  "expected Python 3.10 or later, found $("$python" --version 2>&1). Run: make PYTHON=python3.12"
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  command -v apt-get >/dev/null ||
    fail "$python: the module venv is missing. Install it with your system's package manager."
  echo "$0: installing $package" >&2
  $sudo apt-get -qq update
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq -y install "$package" >&2
fi
"$python" -m venv "$folder"
