"""Kaldi's extended file names for reading: a file, `file:byte`, `-`, or `command |`."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, NoReturn, cast

import numpy as np

from sdtools.errors import SdError

AHEAD_BYTES = 512  # read after an array, so that the next key and header need no system call
BUFFER_BYTES = 1 << 16  # for text and streams
MAX_DRAIN_BYTES = 1 << 24  # read after the last object: a few numbers, the end of a sound file
MAX_OFFSET_DIGITS = 18
FIFO_PATIENCE_SEC = 10  # for another program to open the other end of a named pipe
DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/([0-9]{1,9})")
TABLE = re.compile(r"(\w+,)*(ark|scp)(,\w+)*:")  # how the name of a table begins
SHELL = ["bash", "-o", "pipefail", "-c"]  # a pipeline fails if any of its programs fails


class Input:
    """Bytes of a file, `file:byte`, `-` or `command |`; every read is exact.

    Parameters
    ----------
    rxfilename
        Kaldi's extended file name.
    allow_pipes
        Whether a command may run.

    Attributes
    ----------
    position
        Number of bytes read, or the offset in a file.
    size
        Bytes of a regular file, else None.
    is_standard
        Whether it is standard input.

    Raises
    ------
    SdError
        If the input cannot be opened, or later read.
    """

    def __init__(self, rxfilename: str, allow_pipes: bool = True):
        self.name, offset = rxfilename, 0
        self.position = 0
        self.size: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.file: IO[bytes]
        self.is_standard = rxfilename in ("", "-")
        if self.is_standard:
            self.name = "standard input"
            if sys.stdin is None:
                raise SdError(self.name, "it is closed", hint="Redirect it, or name a file")
            self.file = open(0, "rb", 0, closefd=False)  # noqa: SIM115 - closed by close()
        elif rxfilename.endswith("|"):
            if not allow_pipes:
                hint = "Use --allow-pipes=true if you trust the script file"
                raise SdError(rxfilename, "commands in a script file are not run", hint=hint)
            command = [*SHELL, rxfilename[:-1]]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
            self.file = cast(IO[bytes], self.process.stdout)
        else:
            check_is_no_table(rxfilename)
            self.name, offset = split_offset(rxfilename)
            try:
                self.file = open(self.name, "rb", 0, opener=_open_at_once)  # noqa: SIM115
            except FileNotFoundError:
                raise SdError(self.name, "no such file", hint="Check the path") from None
            except (OSError, ValueError) as e:
                reason = getattr(e, "strerror", None) or e
                raise SdError(self.name, f"cannot read: {reason}", hint="Check the path") from None
        self._descriptor = self.file.fileno()
        self._bytes = bytearray(BUFFER_BYTES)
        self._buffer = memoryview(self._bytes)
        # Place of the buffer's first byte, and number of its bytes. The position is always
        # among them or right after.
        self._base = self._stop = 0
        try:
            if self.process is None and not self.is_standard:
                self._size_up()
            self.seek(offset)
        except SdError:
            self.close()
            raise

    @property
    def where(self) -> str:
        """Where the next byte comes from."""
        return f"{self.name}:{self.position}"

    def _size_up(self) -> None:
        """Get the size of a file, wait for the writer of a pipe, refuse an endless device."""
        status = os.fstat(self._descriptor)
        if stat.S_ISREG(status.st_mode):
            self.size = status.st_size
        elif stat.S_ISFIFO(status.st_mode) and not os.get_blocking(self._descriptor):
            self._await_writer()
            os.set_blocking(self._descriptor, True)
        elif stat.S_ISBLK(status.st_mode) or (
            stat.S_ISCHR(status.st_mode) and not _has_end(self._descriptor, status)
        ):
            hint = "Name a file, a pipe or a terminal"
            raise SdError(self.name, "this device has no end", hint=hint)

    def _await_writer(self) -> None:
        """Take the first bytes of a named pipe as soon as a program writes them."""
        deadline = time.monotonic() + FIFO_PATIENCE_SEC
        with suppress(BlockingIOError):  # the writer has opened the pipe and not yet written
            while not (num_read := os.readv(self._descriptor, (self._buffer,))):
                if time.monotonic() > deadline:
                    what = f"no program has written to this pipe for {FIFO_PATIENCE_SEC} s"
                    raise SdError(self.name, what, hint="Start the program, or check the path")
                time.sleep(0.01)
            self._stop = num_read

    def seek(self, offset: int) -> None:
        """Go to a byte of a regular file."""
        if offset == self.position:
            return
        if offset >= (self.size or 0):
            need = f"less than the size, {self.size or 0}"
            hint = "The offset is of another archive: write the script file again"
            raise SdError(self.name, "offset", got=offset, need=need, hint=hint)
        if not 0 <= offset - self._base <= self._stop:
            self._base, self._stop = offset, 0
        self.position = offset

    def fail_short(self, got: str, need: str) -> NoReturn:
        """Raise the error for data that end too early, which a failed command explains."""
        if self.process is not None:
            check_status(self.name, self.process)
        hint = "The file is cut short or damaged: write it again"
        raise SdError(self.where, "data", got=got, need=need, hint=hint)

    def _fail_system(self, error: OSError) -> NoReturn:
        """Raise the error for a read that the system refuses."""
        what = f"cannot read: {error.strerror}"
        raise SdError(self.where, what, hint="Check the disk") from None

    def _fill(self, size: int = AHEAD_BYTES) -> int:
        """Read more bytes after those left in the buffer; return the number of new bytes."""
        rest = self._bytes[self.position - self._base : self._stop]
        self._buffer[: len(rest)] = rest
        self._base, self._stop = self.position, len(rest)
        views = (self._buffer[len(rest) : size],)
        try:
            if self.size is None:
                num_read = os.readv(self._descriptor, views)
            else:
                num_read = os.preadv(self._descriptor, views, self._base + len(rest))
        except OSError as e:
            self._fail_system(e)
        self._stop += num_read
        return num_read

    def peek(self, least: int = 1, most: int = 1) -> bytes:
        """Return the next bytes without taking them; fewer than `least` only at the end."""
        while self._base + self._stop - self.position < least and self._fill():
            pass
        start = self.position - self._base
        stop = min(start + most, self._stop)
        return self._buffer[start:stop].tobytes()

    def read(self, num_bytes: int) -> bytearray | memoryview:
        """Return exactly `num_bytes`; too large a number fails before memory is allocated."""
        start = self.position - self._base
        stop = start + num_bytes
        if stop <= self._stop:
            self.position += num_bytes
            return self._bytes[start:stop]
        return self._read_stream(num_bytes) if self.size is None else self._read_file(num_bytes)

    def _read_file(self, num_bytes: int) -> memoryview:
        """Bytes of a regular file; the same call reads some bytes after them into the buffer."""
        position = self.position
        self._base, self._stop = position, 0
        if position + num_bytes > cast(int, self.size):
            left = cast(int, self.size) - position
            self.fail_short(f"{left} bytes", f"{num_bytes} bytes")
        data = np.empty(num_bytes, np.uint8).data
        num_read = 0
        try:
            while num_read < num_bytes:  # at most 2 GiB come at once
                views: tuple[Any, ...] = (data[num_read:], self._buffer[:AHEAD_BYTES])
                num_new = os.preadv(self._descriptor, views, position + num_read)
                if not num_new:
                    self.fail_short(f"{num_read} bytes", f"{num_bytes} bytes")
                num_read += num_new
        except OSError as e:
            self._fail_system(e)
        self.position = self._base = position + num_bytes
        self._stop = num_read - num_bytes
        return data

    def _take(self, most: int, end: bytes | None = None) -> memoryview:
        """Next available bytes, at most `most` and none after `end`; empty only at the end.

        The view must be used at once.
        """
        start = self.position - self._base
        if start == self._stop:
            self._fill(BUFFER_BYTES)
            start = 0
        stop = min(start + most, self._stop)
        if end is not None:
            stop = self._bytes.find(end, start, stop) + 1 or stop
        self.position += stop - start
        return self._buffer[start:stop]

    def _read_stream(self, num_bytes: int) -> bytearray:
        """Bytes of a stream; memory grows only as they arrive."""
        data, start = bytearray(), self.position
        while (missing := num_bytes - len(data)) and (piece := self._take(missing)):
            data += piece
        if missing:
            self.position = start
            self.fail_short(f"{len(data)} bytes", f"{num_bytes} bytes")
        return data

    def read_line(self) -> bytes:
        """Return the bytes up to and including the newline; at the end, the rest."""
        line = bytearray()
        while not line.endswith(b"\n") and (piece := self._take(BUFFER_BYTES, b"\n")):
            line += piece
        return bytes(line)

    def read_all(self) -> bytes:
        """Return the bytes that are left; refuse them if the command has failed."""
        data = bytearray()
        while piece := self._take(BUFFER_BYTES):
            data += piece
        if self.process is not None:
            check_status(self.name, self.process)
        return bytes(data)

    def read_available(self, most: int) -> bytes:
        """Return bytes of a stream as soon as there are some, at most `most`; none at the end."""
        return bytes(self._take(most))

    def drain(self) -> bool:
        """Read what is left, within a bound; return whether the end came."""
        end = self.position + MAX_DRAIN_BYTES
        while self.position < end:
            if not self._take(BUFFER_BYTES):
                return True
        return False

    def finish(self) -> None:
        """Close after the last read; raise an error if the command has failed."""
        if self.process is not None:
            if not self.drain():
                what = "the command writes more than one object"
                raise SdError(self.name, what, hint="Correct the command")
            check_status(self.name, self.process)
        self.close()

    def close(self) -> None:
        """Close; a command that has not ended is stopped."""
        self.file.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def _open_at_once(path: str, flags: int) -> int:
    """Descriptor of a path; of a named pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK if is_fifo(path) else flags)


def is_fifo(path: str) -> bool:
    """Whether a path is a named pipe; what is open already, such as /dev/stdin, has both ends."""
    try:
        is_open = DESCRIPTOR.fullmatch(os.path.abspath(path))
        return stat.S_ISFIFO(os.stat(path).st_mode) and not is_open
    except (OSError, ValueError):
        return False


def _has_end(descriptor: int, status: os.stat_result) -> bool:
    """Whether a character device is a terminal, or the null device."""
    return os.isatty(descriptor) or status.st_rdev == os.stat(os.devnull).st_rdev


def check_is_no_table(name: str) -> None:
    """Refuse a table's name where a file's is needed, as Kaldi does."""
    if TABLE.match(name):
        what = "this names a table, but a file is needed here"
        raise SdError(name, what, hint="Remove everything up to the colon")


def split_offset(rxfilename: str) -> tuple[str, int]:
    """Split `file:byte` into the file and the byte, which is 0 if it is absent.

    Raises
    ------
    SdError
        If the number is longer than any size of a file.
    """
    path, _, digits = rxfilename.rpartition(":")
    if not (path and digits.isdecimal() and digits.isascii()):
        return rxfilename, 0
    if len(digits) > MAX_OFFSET_DIGITS:
        got, need = f"{digits[:MAX_OFFSET_DIGITS]}...", f"at most {MAX_OFFSET_DIGITS} digits"
        raise SdError(path, "offset", got=got, need=need, hint="Correct it")
    return path, int(digits)


def check_status(name: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a command; its exit status must be 0."""
    if status := process.wait():
        hint = "Run it by itself to see why"
        raise SdError(name, "exit status of the command", got=status, need=0, hint=hint)


@contextmanager
def open_input(rxfilename: str, allow_pipes: bool = True) -> Iterator[Input]:
    """Open an `Input`; the with-block ends with an error if the command has failed."""
    source = Input(rxfilename, allow_pipes)
    try:
        yield source
        source.finish()
    finally:
        source.close()
