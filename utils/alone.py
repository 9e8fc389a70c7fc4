#!/usr/bin/env python3
"""Run a command that must not run twice at the same time.

usage: alone.py <lock-file> <command> <argument>...

A second call with the same lock file ends with status 1 while a process of the first one is left.
The lock file stays and names the last owner. SIGINT, SIGTERM and SIGHUP go as SIGTERM to everything
that the command has started, because jobs in the background ignore SIGINT. If SIGKILL ends this
process, it all ends, too. Status: that of the command, or 128+n if signal n ended it.

example: utils/alone.py exp/.lock ./run.sh --stage 3
"""

import os
import select
import signal
import sys

from files import lock
from messages import status_of
from processes import Children, send


def run(path: str, argv: list[str]) -> int:
    """Exit status of the command, after everything that it has started is gone."""
    children = Children()
    folder = os.path.dirname(os.path.abspath(path))
    file = lock(path, folder, "Wait for it, stop it, or work in another directory")
    ended, alive = os.pipe()  # `ended` is readable when no process of the command is left
    process = children.start(argv, pass_fds=[file.fileno(), alive])
    os.close(alive)
    ended_by = 0
    while process.poll() is None or not select.select([ended], [], [], 0)[0]:
        if signum := children.wait(60 if process.returncode is None else 0.05):
            ended_by = signum
            send(process, signal.SIGTERM)
    children.ended(process)
    children.close()
    code = process.returncode
    return 128 + ended_by if ended_by and code else 128 - code if code < 0 else code


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] in ("--help", "-h"):
        print(__doc__)
        sys.exit(sys.argv[1:2] not in (["--help"], ["-h"]))
    sys.exit(status_of(lambda: run(sys.argv[1], sys.argv[2:])))
