"""Files that appear whole or not at all, and locks."""

import fcntl
import os
import re
import time
from itertools import count
from pathlib import Path
from typing import TextIO

from messages import Problem

HOST = os.uname().nodename
MAX_NAME_BYTES = 100  # of the name in a temporary name, which also holds host and process
_numbers = count()


def write_whole(files: dict[Path, bytes | None], sync: bool = True) -> None:
    """Write or replace files; remove those whose content is None.

    All new content is on disk before the first file changes. Then the files change in the order
    of `files`. `sync=False` does not wait for the disk: after a power cut a file may be empty.
    """
    temporary = {path: _temporary(path) for path, content in files.items() if content is not None}
    try:
        for path, new in temporary.items():
            with open(new, "wb") as file:
                file.write(files[path])
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
        for path in files:
            if path in temporary:
                os.replace(temporary[path], path)
            else:
                path.unlink(missing_ok=True)
    finally:
        for new in temporary.values():
            new.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A new name beside `path` that contains host and process."""
    name = os.fsdecode(os.fsencode(path.name)[:MAX_NAME_BYTES])
    return path.with_name(f".{name}.{HOST}-{os.getpid()}-{next(_numbers)}.tmp")


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files of killed processes of this host."""
    for path in directory.glob(".*.tmp"):
        if match := re.fullmatch(rf"\..+\.{re.escape(HOST)}-(\d+)-\d+\.tmp", path.name, re.DOTALL):
            try:
                os.kill(int(match[1]), 0)
            except ProcessLookupError:
                path.unlink(missing_ok=True)
            except PermissionError:  # a process of another user
                pass


def lock(path: str, who: str, hint: str) -> TextIO:
    """Open and lock the file and write this process into it; closing the file ends the lock.

    Raises
    ------
    Problem
        With `who` and `hint`, if another process holds the lock.
    """
    file = open(path, "a+")  # noqa: SIM115 - open as long as the lock is needed
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        with file:
            file.seek(0)
            holder = file.read().strip()
        raise Problem(who, f"another run is in progress ({holder})", hint=hint) from None
    except OSError:  # this file system has no locks
        pass
    file.truncate(0)
    file.write(f"process {os.getpid()} on {HOST} since {time.strftime('%F %T')}\n")
    file.flush()
    return file
