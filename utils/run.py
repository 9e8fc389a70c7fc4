#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on this machine: the command line, logs and messages of Kaldi's run.pl.

usage: run.py [options] [JOB=1:N] <log-file> <command> <argument>...

JOB (any name) becomes the number of the job wherever it stands in the log file and the command. A word without blanks goes to bash as
it is, so \| and \> are shell syntax; one with blanks is put in double quotes, or in single quotes if it holds a double quote.
A pipeline fails if any part of it fails. Status 0 if all jobs ended with 0, 1 if not, 128+n if killed by signal n: the jobs die too.

  --max-jobs-run N     jobs at a time (default: processors / threads, and no more than fit into the free memory if --mem is given)
  --num-threads N      threads of a job (default 1)
  --mem SIZE           memory of a job: 500M, 2G, ... (a bare number: megabytes)
  --resume true|false  skip jobs that ended with 0 before if command, files in it and files an scp lists are as they were (default false);
                       directories are not looked into
  --gpu N, --x Y       any other option of Kaldi's launchers is accepted and has no effect here; instead of --pick use --resume

example: utils/run.py --max-jobs-run 2 JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H
"""

import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from subprocess import DEVNULL, Popen

import launcher


def max_jobs_run(options):
    """Jobs at a time: as asked for, or as many as the processors, and the free memory if --mem is given, allow."""
    if "max_jobs_run" in options:
        return int(options["max_jobs_run"])
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = processors // int(options.get("num_threads", 1))
    if size := launcher.num_bytes(options.get("mem", "0")):
        limit = min(limit, int(free_bytes() / size))
    return max(limit, 1)


def free_bytes():
    """Bytes of memory that jobs may use: what the kernel can give, or the limit of a control group around this process."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, StopIteration):
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
        sizes.append(int(line.split()[1]) * 1024)
    with suppress(OSError):
        group = PurePosixPath(Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2] or "/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # no such file; "max"
                sizes.append(int(Path(f"/sys/fs/cgroup/{folder}/memory.max").read_text()))
    return min(sizes)


def start_watchdog():
    """Process, and write end of a pipe to it, that kills the groups of which it was told (+, - once ended) when this process is gone."""
    read_end, write_end = os.pipe()
    if process := os.fork():
        os.close(read_end)
        return process, write_end
    os.setsid()  # it outlives a SIGKILL of the launcher's group, and the signals of a terminal are held back
    os.close(write_end)
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    groups = set()
    with os.fdopen(read_end) as pipe:
        for line in pipe:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)


class Job:
    """A running task: bash in a process group of its own that writes to the log."""

    def __init__(self, task, mask, watchdog):
        self.task, self.started, self.watchdog = task, time.time(), watchdog
        self.log = log = os.open(task.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        os.write(log, os.fsencode(f"# {task.command}\n# Started at {time.ctime()}\n#\n"))

        def prepare():
            os.write(watchdog, b"+%d\n" % os.getpid())  # here, so that no moment is left in which only the dead launcher knows the job
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        bash = ["bash", "-o", "pipefail", "-c", task.command]
        self.process = Popen(bash, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=prepare)

    def send(self, signum):
        """Send a signal (0: none) to the group and return whether any process of it was left."""
        self.process.poll()
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, if only a zombie is left
            os.killpg(self.process.pid, signum)
            return True
        return False

    def finish(self, num_threads):
        """Complete the log of the ended job and return its exit status."""
        os.write(self.watchdog, b"-%d\n" % self.process.pid)
        code, elapsed_sec = self.process.returncode, round(time.time() - self.started)
        status = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
        size = os.fstat(self.log).st_size  # 0 if the log is /dev/null
        text = "\n" if size and os.pread(self.log, 1, size - 1) != b"\n" else ""
        text += f"# Accounting: time={elapsed_sec} threads={num_threads}\n"
        text += f"# Ended ({status}) at {time.ctime()}, elapsed time {elapsed_sec} seconds\n"
        os.write(self.log, text.encode())
        os.close(self.log)
        return code


def kill(jobs):
    """End jobs with everything that they have started."""
    for signum, patience_sec in ((signal.SIGTERM, 2), (signal.SIGKILL, 1)):
        for job in jobs:
            job.send(signum)
        deadline = time.monotonic() + patience_sec
        while any(job.send(0) for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.02)


def run_tasks(options, tasks, finished):
    """Run `tasks` and call finished(task, cause or None) for each."""
    caught, mask = launcher.hold_signals()
    caught.add(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    process, watchdog = start_watchdog()
    limit, num_threads = max_jobs_run(options), options.get("num_threads", 1)
    waiting, running = deque(tasks), []
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                running.append(Job(waiting.popleft(), mask, watchdog))
            signum = signal.sigwait(caught)
            if signum != signal.SIGCHLD:
                numbers = " ".join(str(job.task.number) for job in running)
                launcher.say(f"got {signal.Signals(signum).name}, killing the jobs {numbers}")
                sys.exit(128 + signum)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                finished(job.task, launcher.cause_of(job.finish(num_threads)))
    finally:
        kill(running)
        for job in running:
            if job.process.returncode is not None:
                job.finish(num_threads)
        os.close(watchdog)
        os.waitpid(process, 0)  # so that nothing is left when the launcher is gone


if __name__ == "__main__":
    launcher.main(__doc__, lambda launch: partial(run_tasks, launch.options))
