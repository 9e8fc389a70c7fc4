"""Files and folders that appear whole or not at all.

A file is written under a temporary name beside its own and renamed at the end. The writer holds a
lock on the temporary file, so that a later writer can tell a leftover of a killed process from a
file that is being written.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from sdtools.errors import SdError

MAX_BASE_CHARS = 50  # of the file's name in its temporary name, which must stay below 255 bytes
_targets: set[str] = set()  # files that are being written
_temporaries: set[str] = set()  # temporary files that have no final name yet


@atexit.register
def _remove_temporaries() -> None:
    """Remove temporary files that a signal left between two steps."""
    for path in _temporaries:
        with suppress(OSError):
            os.unlink(path)


@cache
def _remove_leftovers(folder: str) -> None:
    """Remove, once per process and folder, the temporary files of killed processes."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(r"\..+\.sd-[0-9a-f]{16}\.tmp", name):
                with suppress(OSError), open(os.path.join(folder, name), "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while it is written
                    os.unlink(file.name)


def _open_temporary(folder: str, base: str) -> BinaryIO:
    """A new file, locked while it is open, where the file system has locks."""
    while True:
        name = f".{base[:MAX_BASE_CHARS]}.sd-{secrets.token_hex(8)}.tmp"
        path = os.path.join(folder, name)
        _temporaries.add(path)
        file = open(path, "xb")  # noqa: SIM115 - closed by WholeFile
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process takes it for a leftover
            file.close()
            continue
        except OSError:
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


class WholeFile:
    """A file being written; `publish` gives it its final name, `discard` removes it without one.

    Raises
    ------
    SdError
        If this process is writing the same file already.
    OSError
        If the folder cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.target = os.path.realpath(path)
        if self.target in _targets:
            hint = "Give each output its own name"
            raise SdError(os.fspath(path), "this file is being written already", hint=hint)
        folder, base = os.path.split(self.target)
        _remove_leftovers(folder)
        self.file = _open_temporary(folder, base)
        self.temporary: str | None = self.file.name
        _targets.add(self.target)
        with suppress(OSError):  # an old file's rights are kept
            os.fchmod(self.file.fileno(), stat.S_IMODE(os.stat(self.target).st_mode))

    def sync(self) -> None:
        """Bring the data to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Give the file its name."""
        if self.temporary:
            os.replace(self.temporary, self.target)
            self._forget()
        self.discard()

    def discard(self) -> None:
        """Close the file, and remove it if it has no final name."""
        with suppress(OSError):
            self.file.close()
        if self.temporary:
            with suppress(OSError):
                os.unlink(self.temporary)
            self._forget()

    def _forget(self) -> None:
        if self.temporary:
            _temporaries.discard(self.temporary)
        self.temporary = None
        _targets.discard(self.target)


@contextmanager
def open_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing bytes; it appears only if the with-block ends well.

    Raises
    ------
    OSError
        If it cannot be written; an older file of that name is then as it was.
    """
    whole = WholeFile(path)
    try:
        try:
            yield whole.file
            whole.sync()
            whole.publish()
        except OSError as error:
            error.filename = error.filename or os.fspath(path)
            raise
    finally:
        whole.discard()


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder, yielded under a temporary name, that appears only if the with-block ends well.

    It takes the place of an older folder. A process that is killed between the two renames leaves
    neither; the next call removes what it left.
    """
    target = Path(path).resolve()
    new, old = (target.with_name(f".{target.name}.{word}") for word in ("tmp", "old"))
    try:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
