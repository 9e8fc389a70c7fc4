"""A real Slurm and a real Grid Engine, each started for the session at its first test and ended with it."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
UTILS = HERE.parents[1] / "utils"
CLEAN_ENV = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SGE", "SBATCH"))}


def pytest_configure():
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # each ends the session with the clusters stopped, in the background too
        signal.signal(signum, signal.default_int_handler)


def wait_for(condition, timeout_sec=60):
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def processes(is_meant):
    """Ids of the processes for whose folder in /proc `is_meant` holds."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if is_meant(folder):
                found.append(int(folder.name))
    return found


def processes_in(directory):
    """Ids of the processes whose current directory is `directory` or below: jobs and launchers of a test."""
    return processes(lambda folder: (folder / "cwd").readlink().is_relative_to(directory))


def kill(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_job(folder):
    return re.search(rb"(?:^|\0)(?:SLURM_)?JOB_ID=", (folder / "environ").read_bytes())


def free_port(ports):
    """A port that nobody listens on; those above 32767 may go to an outgoing connection while a daemon is down."""
    while True:
        port = random.choice(ports)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


class Cluster:
    """What both schedulers have in common."""

    def __init__(self):
        self.ports = [free_port(range(20000, 26000)), free_port(range(26000, 32000))]
        self.directory = Path(tempfile.mkdtemp(prefix="sdtools-", dir="/tmp"))  # a short path: there are Unix sockets in it

    def start(self):
        subprocess.run([HERE / f"start_{self.name}.sh", self.directory, *self.ports], env=CLEAN_ENV, check=True, timeout=120)

    def stop(self):
        subprocess.run([HERE / "stop.sh", self.directory], env=CLEAN_ENV, check=True, timeout=60)

    def call(self, *words):
        """Output of a command of the scheduler."""
        return subprocess.run(words, env=self.env, check=True, capture_output=True, text=True, timeout=60).stdout

    def popen(self, directory, *words, launcher=None, env=None):
        command = [sys.executable, "-S", UTILS / (launcher or self.launcher), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=directory, env={**self.env, **(env or {})}, start_new_session=True, **pipes)

    def launch(self, directory, *words, **kwargs):
        return self.result_of(self.popen(directory, *words, **kwargs))

    def result_of(self, process):
        """Exit status and stderr without the lines that say for what the launcher waits: they depend on the load of the machine."""
        try:
            output, stderr = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"{self.launcher} has not ended after 120 s; stderr: {process.communicate()[1]}")
        assert output == ""
        return process.returncode, re.sub(rf"^{self.launcher}: waiting: .*\n", "", stderr, flags=re.MULTILINE)

    def lose_node(self, directory):
        """What a power cut does to the node: its daemon, the schedulers' helpers and the jobs of `directory` are gone at once."""
        kill([int(self.node_pid_file.read_text()), *processes(self.is_helper)])
        kill(set(processes_in(directory)) & set(processes(is_job)))

    def restart_node(self):
        self.node_pid_file.unlink(missing_ok=True)
        subprocess.run(self.node_command, env=self.env, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60)

    def check_clean(self, directory):
        """Nothing is in the queue, no process of a job runs, no completion directory has stayed in q/."""
        with suppress(AssertionError):
            wait_for(lambda: not self.queue() and not processes_in(directory), 15)
        assert self.queue() == []
        assert processes_in(directory) == []
        assert [path for path in directory.rglob("q/*") if path.suffix not in (".sh", ".log")] == []


class Slurm(Cluster):
    name, launcher, time_limit = "slurm", "slurm.py", "1"

    def __init__(self):
        super().__init__()
        self.env = {**CLEAN_ENV, "SLURM_CONF": str(self.directory / "slurm.conf"), "SDTOOLS_GRACE_SEC": "2"}
        self.node_pid_file = self.directory / "slurmd.pid"
        self.node_command = ["slurmd", "-N", os.uname().nodename.partition(".")[0]]

    def is_helper(self, folder):
        is_stepd = (folder / "comm").read_text() == "slurmstepd\n"
        return is_stepd and any(link.readlink().is_relative_to(self.directory) for link in (folder / "fd").iterdir())

    def queue(self):
        return sorted(set(self.call("squeue", "-h", "-o", "%F").split()))

    def node_is_down(self):
        return self.call("sinfo", "-h", "-o", "%t").startswith("down")

    def cancel(self, array):
        self.call("scancel", array)

    forget = cancel

    def exceed_time(self, array, task):
        """A time limit has whole minutes; its end can be moved."""
        self.call("scontrol", "update", f"jobid={array}_{task}", "EndTime=now+1seconds")


class GridEngine(Cluster):
    name, launcher, time_limit = "gridengine", "queue.py", "0:0:8"

    def __init__(self):
        super().__init__()
        ports = {"SGE_QMASTER_PORT": self.ports[0], "SGE_EXECD_PORT": self.ports[1]}
        self.env = {**CLEAN_ENV, "SGE_ROOT": str(self.directory), "SGE_CELL": "default", **ports, "SDTOOLS_GRACE_SEC": "2"}
        self.node_pid_file = self.directory / "execd.pid"
        self.node_command = ["env", f"SGE_EXECD_PIDFILE={self.node_pid_file}", "/usr/lib/gridengine/sge_execd"]

    def is_helper(self, folder):
        is_shepherd = (folder / "comm").read_text().startswith("sge_shepherd")
        return is_shepherd and f"SGE_ROOT={self.directory}\0".encode() in (folder / "environ").read_bytes()

    def queue(self):
        return sorted(set(re.findall(r"^ *(\d+) ", self.call("qstat", "-u", "*"), re.MULTILINE)))

    def node_is_down(self):
        return re.search(r"^all.q@.* u$", self.call("qstat", "-f"), re.MULTILINE)

    def cancel(self, array):
        self.call("qdel", array)

    def forget(self, array):
        """A restarted execd looks only once a minute whether a task of its predecessor has ended."""
        self.call("qdel", "-f", array)

    def exceed_time(self, array, task):
        """The limit that was asked for is near enough."""


@pytest.fixture(scope="session", params=[Slurm, GridEngine], ids=["slurm", "gridengine"])
def running_cluster(request):
    cluster = request.param()
    try:
        cluster.start()
        yield cluster
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave daemons behind
        cluster.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cluster(request, running_cluster, tmp_path):
    """The cluster; nothing of the test may be left in it."""
    yield running_cluster
    if request.session.exitstatus == pytest.ExitCode.INTERRUPTED:
        return
    try:
        running_cluster.check_clean(tmp_path)
    finally:  # a failure shall not disturb the next test
        kill(processes_in(tmp_path))
        for array in running_cluster.queue():
            running_cluster.forget(array)
