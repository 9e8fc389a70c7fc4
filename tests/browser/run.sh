#!/usr/bin/env bash
# The tests of this folder, after the installation of what they need.
# usage: run.sh <python> [<pytest option>...]
# SDTOOLS_NEED_BROWSER=1: fail where it cannot be installed
set -euo pipefail
python=$1
shift

without() { # REASON
  echo "test-browser: $1: the report is not tested in a browser" >&2
  exit "${SDTOOLS_NEED_BROWSER:-0}"
}
if ! type -P chromium chromedriver >/dev/null; then
  [ "$(id -u)" = 0 ] || without "needs root to install chromium, got user $(id -un)"
  type -P apt-get >/dev/null || without "needs Debian's apt-get for chromium, got none"
  apt=(apt-get -qq -y -o DPkg::Lock::Timeout=300 -o APT::Install-Recommends=false)
  log=$(mktemp)
  { "${apt[@]}" update && "${apt[@]}" install chromium chromium-driver; } >"$log" 2>&1 ||
    {
      tail -n 20 "$log" >&2
      rm "$log"
      without "apt-get cannot install chromium and chromium-driver"
    }
  rm -f "$log"
fi
exec "$python" -m pytest "$(dirname "$0")" "$@"
