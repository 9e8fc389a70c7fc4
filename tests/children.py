"""Processes that tests start: waiting for them, finding them, ending them."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def wait_for(condition, timeout_sec=60, what="the condition"):
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, f"{what} does not hold after {timeout_sec} s"
        time.sleep(0.01)


def processes(is_meant):
    """Ids of the other processes for whose folder in /proc `is_meant` holds."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if int(folder.name) != os.getpid() and is_meant(folder):
                found.append(int(folder.name))
    return found


def processes_in(directory):
    """Ids of the processes whose current directory is `directory` or below."""
    return processes(lambda folder: (folder / "cwd").readlink().is_relative_to(directory))


def kill(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
