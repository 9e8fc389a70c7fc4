#!/usr/bin/env python3
"""Run a command that may run once at a time: a second one with the same lock file is refused while a process of the first is left.

usage: alone.py <lock-file> <command> <argument>...

SIGINT, SIGTERM and SIGHUP reach everything that the command has started, as SIGTERM: to SIGINT jobs in the background are deaf. A SIGKILL
of this process ends it all, too. The lock goes with the last of these processes; the file, which says who took it last, stays.
Status: the command's, or 128+n if signal n ended it.

example: utils/alone.py exp/.lock ./run.sh --stage 3
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from launcher import hold_signals, say
from run import start_watchdog


def take(path):
    """The lock file, open and locked, with this process named in it."""
    file = open(path, "a+")  # noqa: SIM115 - open as long as the lock is needed
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise ValueError(
            f"{os.path.dirname(os.path.abspath(path))}: got a run that goes on ({file.read().strip()}), "
            "need one at a time. Wait for it, end it, or work in another directory"
        ) from None
    except OSError:  # no locks in this file system
        pass
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename} since {time.strftime('%F %T')}\n")
    file.flush()
    return file


def run(lock, argv):
    """Exit status of the command, once all that it has started is gone."""
    caught, mask = hold_signals()
    file = take(lock)
    caught.add(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    watcher, watchdog = start_watchdog()
    ended, alive = os.pipe()  # at its end when no process of the command has it any more

    def prepare():
        os.write(watchdog, b"+%d\n" % os.getpid())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    process, ended_by = subprocess.Popen(argv, start_new_session=True, pass_fds=[file.fileno(), alive], preexec_fn=prepare), 0
    os.close(alive)
    while process.poll() is None or not select.select([ended], [], [], 0)[0]:
        got = signal.sigtimedwait(caught, 60 if process.returncode is None else 0.05)
        if got and got.si_signo != signal.SIGCHLD:
            ended_by = got.si_signo
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGTERM)
    os.write(watchdog, b"-%d\n" % process.pid)
    os.close(watchdog)
    os.waitpid(watcher, 0)
    code = process.returncode
    return 128 + ended_by if ended_by and code else 128 - code if code < 0 else code


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] in ("--help", "-h"):
        print(__doc__)
        sys.exit(sys.argv[1:2] not in (["--help"], ["-h"]))
    try:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    except OSError as error:
        sys.exit(f"alone.py: {error.filename or 'input/output'}: {error.strerror}")
    except ValueError as error:
        say(error)
        sys.exit(1)
