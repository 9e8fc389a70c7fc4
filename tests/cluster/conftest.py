"""A real Slurm and a real Grid Engine; each starts at its first test and ends with the session."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from children import kill, processes, processes_in, wait_for

HERE = Path(__file__).resolve().parent
UTILS = HERE.parents[1] / "utils"
OF_SCHEDULERS = ("SLURM", "SGE", "SBATCH")
CLEAN_ENV = {name: text for name, text in os.environ.items() if not name.startswith(OF_SCHEDULERS)}
GRACE = {"SDTOOLS_GRACE_SEC": "2"}


def pytest_configure():
    # Each ends the session and stops the clusters, also in the background.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)


def is_job(folder):
    return re.search(rb"(?:^|\0)(?:SLURM_)?JOB_ID=", (folder / "environ").read_bytes())


def free_port(ports):
    """A port on which nobody listens.

    Ports above 32767 may go to an outgoing connection while a daemon is down.
    """
    while True:
        port = random.choice(ports)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


class Cluster:
    """What both schedulers have in common."""

    def __init__(self):
        self.ports = [free_port(range(20000, 26000)), free_port(range(26000, 32000))]
        # a short path, because it contains Unix sockets
        self.directory = Path(tempfile.mkdtemp(prefix="sdtools-", dir="/tmp"))

    def start(self):
        command = [HERE / f"start_{self.name}.sh", self.directory, *self.ports]
        subprocess.run(command, env=CLEAN_ENV, check=True, timeout=120)

    def stop(self):
        command = [HERE / "stop.sh", self.directory]
        subprocess.run(command, env=CLEAN_ENV, check=True, timeout=60)

    def call(self, *words):
        """Output of a command of the scheduler."""
        pipes = {"capture_output": True, "text": True}
        return subprocess.run(words, env=self.env, check=True, timeout=60, **pipes).stdout

    def popen(self, directory, *words, launcher=None, env=None):
        command = [sys.executable, "-S", UTILS / (launcher or self.launcher), *words]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        options |= {"cwd": directory, "env": {**self.env, **(env or {})}}
        return subprocess.Popen(command, start_new_session=True, **options)

    def launch(self, directory, *words, **kwargs):
        return self.result_of(self.popen(directory, *words, **kwargs))

    def result_of(self, process):
        """Exit status and stderr of a launcher.

        Lines about what it waits for are left out, because they depend on the load.
        """
        try:
            output, stderr = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            stderr = process.communicate()[1]
            pytest.fail(f"{self.launcher} has not ended after 120 s; stderr: {stderr}")
        assert output == ""
        waiting = rf"^{self.launcher}: waiting: .*\n"
        return process.returncode, re.sub(waiting, "", stderr, flags=re.MULTILINE)

    def lose_node(self, directory):
        """Do what a power cut does to the node.

        Its daemon, the helpers of the scheduler and the jobs of `directory` are gone at once.
        """
        kill([int(self.node_pid_file.read_text()), *processes(self.is_helper)])
        kill(set(processes_in(directory)) & set(processes(is_job)))

    def restart_node(self):
        self.node_pid_file.unlink(missing_ok=True)
        options = {"env": self.env, "cwd": "/", "stdout": subprocess.DEVNULL, "timeout": 60}
        subprocess.run(self.node_command, check=True, **options)

    def check_clean(self, directory):
        """The queue is empty, no process of a job runs, no completion directory is left in q/."""
        with suppress(AssertionError):
            wait_for(lambda: not self.queue() and not processes_in(directory), 15)
        assert self.queue() == []
        assert processes_in(directory) == []
        assert [path for path in directory.rglob("q/*") if path.suffix not in (".sh", ".log")] == []


class Slurm(Cluster):
    name, launcher, time_limit = "slurm", "slurm.py", "1"

    def __init__(self):
        super().__init__()
        self.env = {**CLEAN_ENV, **GRACE, "SLURM_CONF": str(self.directory / "slurm.conf")}
        self.node_pid_file = self.directory / "slurmd.pid"
        self.node_command = ["slurmd", "-N", os.uname().nodename.partition(".")[0]]

    def is_helper(self, folder):
        is_stepd = (folder / "comm").read_text() == "slurmstepd\n"
        links = (folder / "fd").iterdir() if is_stepd else []
        return any(link.readlink().is_relative_to(self.directory) for link in links)

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
    name, launcher, time_limit = "gridengine", "queue.py", "0:0:15"

    def __init__(self):
        super().__init__()
        self.env = {
            **CLEAN_ENV,
            **GRACE,
            "SGE_ROOT": str(self.directory),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": self.ports[0],
            "SGE_EXECD_PORT": self.ports[1],
        }
        self.node_pid_file = self.directory / "execd.pid"
        pid_file = f"SGE_EXECD_PIDFILE={self.node_pid_file}"
        self.node_command = ["env", pid_file, "/usr/lib/gridengine/sge_execd"]

    def is_helper(self, folder):
        is_shepherd = (folder / "comm").read_text().startswith("sge_shepherd")
        variable = f"SGE_ROOT={self.directory}\0".encode()
        return is_shepherd and variable in (folder / "environ").read_bytes()

    def queue(self):
        return sorted(set(re.findall(r"^ *(\d+) ", self.call("qstat", "-u", "*"), re.MULTILINE)))

    def node_is_down(self):
        return re.search(r"^all.q@.* u$", self.call("qstat", "-f"), re.MULTILINE)

    def cancel(self, array):
        self.call("qdel", array)

    def forget(self, array):
        """A new execd looks only once a minute whether a task of the old one has ended."""
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
        # A second Ctrl-C must not leave daemons behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
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
