#!/usr/bin/env bash
# Start a Slurm of one node for tests, as root, without systemd, cgroups or accounting.
# All its files are in <dir>; stop.sh ends it.
# usage: start_slurm.sh <dir> <controller-port> <node-port>
# Clients need SLURM_CONF=<dir>/slurm.conf.
set -euo pipefail
dir=$1 host=$(uname -n)
host=${host%%.*}
fail() { echo "$0: $*" >&2; exit 1; }

umask 022
mkdir -p "$dir"/{munge,state,spool,log}
chmod 755 "$dir" # munge needs a socket that everybody can reach
(umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")

# A daemon that may not listen on all addresses listens on the address of its host name. Clients
# know only 127.0.0.1.
only_loopback=
[ "$(getent ahostsv4 "$(uname -n)" | awk 'NR == 1 {print $1}')" != 127.0.0.1 ] ||
  only_loopback=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny

# CPUs and memory are overstated, so that a wave of tasks starts each second on any machine.
# MaxArraySize=25: the highest index is 24. linuxproc, jobacct_gather: Slurm looks at /proc to track
# jobs and to limit memory. default_queue_depth: all tasks start at once.
scheduling=batch_sched_delay=0,sched_interval=1,sched_min_interval=100000,bf_interval=1
cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$2
NodeName=$host NodeAddr=127.0.0.1 Port=$3 CPUs=10 RealMemory=100000
PartitionName=all Nodes=ALL Default=YES DefaultTime=60
$only_loopback
SlurmUser=root
AuthInfo=socket=$dir/munge/socket
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=$scheduling,default_queue_depth=1000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=1000
MaxArraySize=25
ReturnToService=2
KillWait=2
SlurmdTimeout=5
BatchStartTimeout=5
MessageTimeout=5
TCPTimeout=2
CONF

export SLURM_CONF=$dir/slurm.conf # by which stop.sh knows all processes
munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
  --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed" ||
  fail "munged does not start, its log is in $dir/log/munged.log"
slurmctld || fail "slurmctld does not start, its log is in $dir/log/slurmctld.log"
slurmd -N "$host" || fail "slurmd does not start, its log is in $dir/log/slurmd.log"
for ((i = 0; i < 300; i++)); do
  [ "$(sinfo -h -o %t 2>/dev/null)" != idle ] || exit 0
  sleep 0.1
done
tail -n 20 "$dir"/log/slurm*.log >&2
fail "no idle node after 30 s"
