#!/usr/bin/env bash
# Install what the tests of this folder need, then run them.
# usage: run.sh <python> [<pytest option>...]
# SDTOOLS_NEED_CLUSTERS=1: fail where it cannot be installed
set -euo pipefail
python=$1
shift
PATH=$PATH:/usr/sbin:/usr/lib/gridengine

without() { # REASON
  echo "test-cluster: $1: Slurm and Grid Engine are not tested" >&2
  exit "${SDTOOLS_NEED_CLUSTERS:-0}"
}
[ "$(id -u)" = 0 ] || without "expected user root, found $(id -un)"
if ! type -P munged slurmctld slurmd sbatch sge_qmaster sge_execd qsub >/dev/null; then
  type -P apt-get debconf-set-selections >/dev/null || without "this system has no apt-get"
  export DEBIAN_FRONTEND=noninteractive
  # The tests make their own configuration.
  echo 'gridengine-common shared/gridengineconfig boolean false' | debconf-set-selections
  if [ ! -e /usr/sbin/policy-rc.d ]; then # so that packages start no daemons
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  apt=(apt-get -qq -y -o DPkg::Lock::Timeout=300 -o APT::Install-Recommends=false)
  log=$(mktemp)
  packages=(munge slurmctld slurmd slurm-client gridengine-{master,exec,client})
  { "${apt[@]}" update && "${apt[@]}" install "${packages[@]}"; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm "$log"
    without "apt-get cannot install munge, slurm and gridengine"
  }
  rm -f "$log" /usr/sbin/policy-rc.d
  trap - EXIT
fi
exec "$python" -m pytest --durations=0 --durations-min=1 "$(dirname "$0")" "$@"
