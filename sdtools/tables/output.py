"""Kaldi's extended file names for writing: a file, `-`, or `| command`.

A regular file appears whole or not at all; see `sdtools.files`.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from sdtools.errors import SdError
from sdtools.files import WholeFile
from sdtools.tables.input import (
    DESCRIPTOR,
    FIFO_PATIENCE_SEC,
    SHELL,
    check_is_no_table,
    check_status,
    is_fifo,
    split_offset,
)

STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}


def makes_file(wxfilename: str) -> bool:
    """Whether an output is a regular file, not a stream, a pipe or a device."""
    if wxfilename in ("", "-") or wxfilename[0] == "|":
        return False
    if DESCRIPTOR.fullmatch(os.path.abspath(wxfilename)):
        return False
    return os.path.isfile(wxfilename) or not os.path.exists(wxfilename)


def check_output(wxfilename: str) -> None:
    """Check before a long computation that its output can be written."""
    if makes_file(wxfilename):
        Output(wxfilename).discard()


class Output:
    """Bytes to `-`, `| command` or a file, which has its own name only after `publish`.

    Raises
    ------
    SdError
        If the output cannot be opened, or later written.
    """

    file: IO[bytes]

    def __init__(self, wxfilename: str, allow_pipes: bool = True):
        self.name = wxfilename
        self.process: subprocess.Popen[bytes] | None = None
        self.whole: WholeFile | None = None
        self.is_standard = wxfilename in ("", "-")
        if self.is_standard:
            self.name = "standard output"
            if sys.stdout is None:
                raise SdError(self.name, "it is closed", hint="Redirect it, or name a file")
            self.file = sys.stdout.buffer
        elif wxfilename.startswith("|"):
            if not allow_pipes:
                hint = "Use --allow-pipes=true if you trust the script file"
                raise SdError(wxfilename, "commands in a script file are not run", hint=hint)
            command = [*SHELL, wxfilename[1:]]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
            self.file = cast(IO[bytes], self.process.stdin)
        else:
            check_is_no_table(wxfilename)
            if wxfilename.endswith("|") or split_offset(wxfilename)[0] != wxfilename:
                what = "an output name must not end in | or :number"
                raise SdError(wxfilename, what, hint="Rename it")
            with self.errors():
                self._open(wxfilename)

    def _open(self, path: str) -> None:
        """Open a regular file under a temporary name, anything else in its place."""
        absolute = os.path.abspath(path)
        if match := DESCRIPTOR.fullmatch(absolute):
            descriptor = STANDARD[match[1]] if match[1] else int(match[2])
            self.file = open(os.dup(descriptor), "wb")  # noqa: SIM115 - closed by discard()
        elif absolute.startswith("/proc/") or (os.path.exists(path) and not os.path.isfile(path)):
            self.file = open(path, "wb", opener=_open_when_read)  # noqa: SIM115 - the same
        else:
            self.whole = WholeFile(path)
            self.file = self.whole.file

    @property
    def is_temporary(self) -> bool:
        """Whether the output is a regular file that has no final name yet."""
        return self.whole is not None and self.whole.temporary is not None

    @property
    def target(self) -> str | None:
        """The real path of a regular file."""
        return self.whole.target if self.whole else None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the system's errors of writing into `SdError`."""
        try:
            yield
        except SdError:
            raise
        except (OSError, ValueError) as e:
            raise self.error(e) from None

    def error(self, e: Exception) -> SdError:
        """The system's error of writing as an `SdError`."""
        if isinstance(e, BrokenPipeError) and self.process is not None:
            check_status(self.name, self.process)
            what = "the command ended before it had read all data"
            return SdError(self.name, what, hint="Correct the command")
        if self.is_standard:  # else Python writes the rest at exit, in vain and with a message
            with suppress(OSError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.file.fileno())
        if isinstance(e, BrokenPipeError):
            what = "the reading program ended before it had read everything"
            return SdError(self.name, what, hint="If it has read enough, nothing is wrong")
        reason = getattr(e, "strerror", None) or str(e)
        hint = "Check the path, your rights and the free space"
        return SdError(self.name, f"cannot write: {reason}", hint=hint)

    def write(self, data: Any) -> None:
        """Write bytes."""
        with self.errors():
            self.file.write(data)

    def flush(self) -> None:
        """Hand all bytes to the system."""
        with self.errors():
            self.file.flush()

    def finish(self) -> None:
        """Bring all bytes to the disk, or through the command."""
        self.flush()
        with self.errors():
            if self.is_temporary:
                os.fsync(self.file.fileno())
            elif not self.is_standard:
                self.file.close()
        if self.process is not None:
            check_status(self.name, self.process)

    def publish(self) -> None:
        """Give a regular file its name."""
        if self.whole is not None:
            with self.errors():
                self.whole.publish()

    def discard(self) -> None:
        """Close the output, and drop what is not published."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        if self.whole is not None:
            self.whole.discard()
        elif not self.is_standard:
            with suppress(OSError):
                self.file.close()


def _open_when_read(path: str, flags: int) -> int:
    """Descriptor of a path to write to; of a named pipe as soon as a program reads it."""
    if not is_fifo(path):
        return os.open(path, flags)
    deadline = time.monotonic() + FIFO_PATIENCE_SEC
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NONBLOCK)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
        else:
            os.set_blocking(descriptor, True)
            return descriptor
        if time.monotonic() > deadline:
            what = f"no program has read this pipe for {FIFO_PATIENCE_SEC} s"
            raise SdError(path, what, hint="Start the program, or check the path")
        time.sleep(0.01)


@contextmanager
def open_output(wxfilename: str) -> Iterator[IO[bytes]]:
    """Open a name for writing bytes; a file appears only if the with-block ends well."""
    output = Output(wxfilename)
    try:
        try:
            yield output.file
        except OSError as e:
            raise e if e.filename else output.error(e) from None
        output.finish()
        output.publish()
    finally:
        output.discard()
