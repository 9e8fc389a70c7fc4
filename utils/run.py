#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on this machine, as Kaldi's run.pl does.

usage: run.py [options] [JOB=1:N] <log-file> <command> <argument>...

  --max-jobs-run N     jobs at a time (default: processors / threads; with --mem no more than fit
                       into the free memory)
  --num-threads N      threads of a job (default 1)
  --mem SIZE           memory of a job: 500M, 2G, ... (a number without a unit: megabytes)
  --resume true|false  skip finished jobs (default false)
  --gpu N, --x Y       any other option of Kaldi's launchers; it has no effect here
                       (instead of --pick use --resume)

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
from subprocess import DEVNULL

import launcher
from messages import say
from processes import Children, send


def max_jobs_run(options: dict[str, str]) -> int:
    """Jobs at a time: the option, or what the processors and, with --mem, the memory allow."""
    if "max_jobs_run" in options:
        return int(options["max_jobs_run"])
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count()
    limit = processors // int(options.get("num_threads", 1))
    if size := launcher.num_bytes(options.get("mem", "0")):
        limit = min(limit, int(free_bytes() / size))
    return max(limit, 1)


def free_bytes() -> int:
    """Bytes of memory for jobs: free memory, or the limit of a control group of this process."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        sizes.append(int(line.split()[1]) * 1024)
    with suppress(OSError):
        name = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        group = PurePosixPath(name or "/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # no such file; "max"
                sizes.append(int(Path(f"/sys/fs/cgroup/{folder}/memory.max").read_text()))
    return min(sizes)


class Job:
    """A running task: bash in its own process group, which writes to the log."""

    def __init__(self, task: launcher.Task, children: Children) -> None:
        self.task, self.started = task, time.time()
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self.log = log = os.open(task.log, flags, 0o666)
        os.write(log, os.fsencode(f"# {task.command}\n# Started at {time.ctime()}\n#\n"))
        bash = ["bash", "-o", "pipefail", "-c", task.command]
        self.process = children.start(bash, stdin=DEVNULL, stdout=log, stderr=log)

    def finish(self, num_threads: str) -> int:
        """Complete the log of the ended job and return its exit status."""
        code, elapsed_sec = self.process.returncode, round(time.time() - self.started)
        status = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
        size = os.fstat(self.log).st_size  # 0 if the log is /dev/null
        text = "\n" if size and os.pread(self.log, 1, size - 1) != b"\n" else ""
        text += f"# Accounting: time={elapsed_sec} threads={num_threads}\n"
        text += f"# Ended ({status}) at {time.ctime()}, elapsed time {elapsed_sec} seconds\n"
        os.write(self.log, text.encode())
        os.close(self.log)
        return code


def kill(jobs: list[Job]) -> None:
    """End jobs with everything that they have started."""
    for signum, patience_sec in ((signal.SIGTERM, 2), (signal.SIGKILL, 1)):
        for job in jobs:
            send(job.process, signum)
        deadline = time.monotonic() + patience_sec
        while any(send(job.process, 0) for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.02)


def run_tasks(
    options: dict[str, str], tasks: list[launcher.Task], finished: launcher.Finished
) -> None:
    """Run `tasks` and call finished(task, cause or None) for each."""
    children = Children()
    limit, num_threads = max_jobs_run(options), options.get("num_threads", "1")
    waiting, running = deque(tasks), []
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                running.append(Job(waiting.popleft(), children))
            if signum := children.wait():
                numbers = " ".join(str(job.task.number) for job in running)
                say(f"got {signum.name}, killing the jobs {numbers}")
                sys.exit(128 + signum)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                children.ended(job.process)
                finished(job.task, launcher.cause_of(job.finish(num_threads)))
    finally:
        kill(running)
        for job in running:
            if job.process.returncode is not None:
                children.ended(job.process)
                job.finish(num_threads)
        children.close()


if __name__ == "__main__":
    launcher.main(__doc__ + launcher.HELP, lambda launch: partial(run_tasks, launch.options))
