#!/usr/bin/env bash
# Start a Grid Engine (Son of Grid Engine 8.1) of one host for tests, as root, without systemd.
# All its files are in <dir>; stop.sh ends it.
# usage: start_gridengine.sh <dir> <qmaster-port> <execd-port>
# Clients need SGE_ROOT=<dir> SGE_CELL=default SGE_QMASTER_PORT=<qmaster-port>
# SGE_EXECD_PORT=<execd-port>.
set -euo pipefail
dir=$1 host=$(uname -n) bin=/usr/lib/gridengine share=/usr/share/gridengine
export SGE_ROOT=$dir SGE_CELL=default SGE_QMASTER_PORT=$2 SGE_EXECD_PORT=$3
export SGE_QMASTER_PIDFILE=$dir/qmaster.pid SGE_EXECD_PIDFILE=$dir/execd.pid LD_LIBRARY_PATH=$bin
common=$dir/default/common spool=$dir/spool/qmaster
fail() { echo "$0: $*" >&2; exit 1; }
set_lines() { # of a configuration on stdin: NAME=VALUE...
  awk 'BEGIN {
         for (i = 1; i < ARGC; i++) {
           n = index(ARGV[i], "=")
           set[substr(ARGV[i], 1, n - 1)] = substr(ARGV[i], n + 1)
         }
         ARGC = 1
       }
       {print (($1 in set) ? $1 " " set[$1] : $0)}' "$@"
}
quietly() { # COMMAND... : qconf talks on stdout and on stderr
  local output
  output=$("$@" 2>&1) || fail "$*: $output"
}
wait_for() { # COMMAND...
  local i
  for ((i = 0; i < 300; i++)); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  tail -n 20 "$spool"/messages "$dir"/spool/execd/*/messages >&2 || true
  fail "not after 30 s: $*"
}

umask 022
mkdir -p "$common" "$spool/job_scripts" "$dir"/{spool/execd,bin,lib,etc}
chmod 755 "$dir"
arch=$($share/util/arch)
ln -s $share/util "$dir/util"
ln -s $bin "$dir/bin/$arch"
ln -s $bin "$dir/lib/$arch"

# An alias, because the name that Grid Engine finds for its own address must be the host's name.
getent hosts "$host" >/dev/null ||
  fail "the host name $host has no address. Add '127.0.0.1 $host' to /etc/hosts."
echo "$host localhost" >"$common/host_aliases"
echo "$host" >"$common/act_qmaster"
cat >"$common/bootstrap" <<CONF
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params $common;$spool
binary_path $bin
qmaster_spool_dir $spool
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
CONF

# max_unheard: a silent host is lost after this time. max_aj_tasks: tasks of an array. gid_range:
# groups by which the execd knows the processes of a job. No other Grid Engine of this machine may
# have the same; the port belongs to this one alone.
reporting='accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00'
set_lines execd_spool_dir="$dir/spool/execd" mailer=/bin/true min_uid=0 min_gid=0 \
  load_report_time=00:00:02 max_unheard=00:00:08 max_aj_tasks=24 gid_range="${2}00-${2}99" \
  reporting_params="$reporting accounting_flush_time=00:00:00" \
  <$share/default-configuration >"$dir/etc/configuration"
cp -r $share/util/resources/centry "$dir/etc"
for memory in mem_free ram_free; do
  printf '%s\n' "name $memory" "shortcut ${memory/mem_free/mf}" 'type MEMORY' 'relop <=' \
    'requestable YES' 'consumable YES' 'default 0' 'urgency 0' >"$dir/etc/centry/$memory"
done
quietly $bin/spoolinit classic libspoolc "$common;$spool" init
quietly $bin/spooldefaults.bin configuration "$dir/etc/configuration"
quietly $bin/spooldefaults.bin complexes "$dir/etc/centry"
quietly $bin/spooldefaults.bin usersets $share/util/resources/usersets
quietly $bin/spooldefaults.bin managers root

(cd / && $bin/sge_qmaster </dev/null) || fail "sge_qmaster does not start"
wait_for qconf -sm
qconf -ah "$host" >/dev/null 2>&1 || true # both exit with 1 where the host has a place already
qconf -as "$host" >/dev/null 2>&1 || true
# Slots and memory are overstated: a wave of tasks starts each second, whatever the machine.
printf '%s\n' "hostname $host" 'load_scaling NONE' 'user_lists NONE' 'xuser_lists NONE' \
  'complex_values slots=10,mem_free=100G,ram_free=100G' 'projects NONE' 'xprojects NONE' \
  'usage_scaling NONE' 'report_variables NONE' >"$dir/etc/host"
qconf -Ae "$dir/etc/host" >/dev/null 2>&1 || quietly qconf -Me "$dir/etc/host"
printf '%s\n' 'pe_name smp' 'slots 999' 'user_lists NONE' 'xuser_lists NONE' \
  'start_proc_args NONE' 'stop_proc_args NONE' 'allocation_rule $pe_slots' 'control_slaves FALSE' \
  'job_is_first_task TRUE' 'urgency_slots min' 'accounting_summary FALSE' 'qsort_args NONE' \
  >"$dir/etc/pe"
quietly qconf -Ap "$dir/etc/pe"
# load_thresholds NONE, so that a busy machine does not close the queue
qconf -sq | set_lines qname=all.q hostlist="$host" slots=10 load_thresholds=NONE pe_list=smp \
  shell=/bin/bash shell_start_mode=unix_behavior notify=00:00:01 >"$dir/etc/queue"
quietly qconf -Aq "$dir/etc/queue"
qconf -ssconf | set_lines schedule_interval=0:0:1 flush_submit_sec=1 flush_finish_sec=1 \
  job_load_adjustments=NONE load_adjustment_decay_time=0:0:0 schedd_job_info=true \
  >"$dir/etc/scheduler"
quietly qconf -Msconf "$dir/etc/scheduler"
(cd / && $bin/sge_execd </dev/null) || fail "sge_execd does not start"
is_ready() { # the queue shows a load and no letter for trouble
  [ "$(qstat -f -q all.q | awk '/^all.q/ {print NF, $4 != "-NA-"}')" = "5 1" ]
}
wait_for is_ready
