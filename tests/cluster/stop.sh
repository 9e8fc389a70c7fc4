#!/usr/bin/env bash
# End every process of the cluster that start_slurm.sh or start_gridengine.sh made in <dir>, with
# its jobs and clients, and remove <dir>.
# usage: stop.sh <dir>
set -uo pipefail
# Without these variables, because they would make this script a client.
[ -z "${SLURM_CONF-}${SGE_ROOT-}" ] || exec env -u SLURM_CONF -u SGE_ROOT "$0" "$@"
dir=$(cd "$1" 2>/dev/null && pwd -P) || exit 0

members() { # their environment names <dir>; slurmstepd overwrites that, but has a log open there
  local proc
  for proc in /proc/[0-9]*; do
    if grep -qzE "^(SLURM_CONF|SGE_ROOT)=$dir(/|\$)" "$proc/environ" ||
      [ -n "$(find "$proc/fd" -lname "$dir/*" -print -quit)" ]; then
      echo "${proc#/proc/}"
    fi
  done 2>/dev/null
}
with_descendants() {
  ps -eo pid=,ppid= | awk -v pids="$*" '
    {parent[$1] = $2}
    END {
      split(pids, p)
      for (i in p) ours[p[i]]
      for (q in parent) {
        for (r = q; r > 1 && !(r in ours); r = parent[r]);
        if (r in ours) print q
      }
    }'
}
while pids=$(members); [ -n "$pids" ]; do
  kill -9 $(with_descendants $pids) 2>/dev/null
  sleep 0.1
done
rm -rf "$dir"
