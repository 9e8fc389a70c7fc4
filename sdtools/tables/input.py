"""Kaldi's extended file names (a file, ``file:byte``, ``-``, a command with ``|``) as bytes in and out, whole or not at all."""

import math
import os
import re
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import numpy as np

from sdtools.errors import SdError

AHEAD_BYTES = 512  # read with every array: room for the next key and header, so that an object costs one system call
BUFFER_BYTES = 1 << 16  # for text and streams
MAX_DRAIN_BYTES = (
    1 << 24
)  # that a command may say behind the last object: a few numbers, the end of a sound file
MAX_OFFSET_DIGITS = 18
FIFO_PATIENCE_SEC = 10  # for somebody to open the other end of a named pipe
DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/([0-9]{1,9})")
TABLE = re.compile(
    r"(\w+,)*(ark|scp)(,\w+)*:"
)  # how the name of a table begins, and that of a file does not
SHELL = ["bash", "-o", "pipefail", "-c"]  # of a pipeline each program counts
U1 = np.dtype("u1")


class Input:
    """Bytes of a file, ``file:byte``, ``-`` or ``command |``; a read is exact or raises SdError."""

    def __init__(self, rxfilename, allow_pipes=True):
        self.name, offset = rxfilename, 0
        self.position, self.size, self.process = (
            0,
            None,
            None,
        )  # the size is known of regular files only
        if rxfilename in ("", "-"):
            self.name = "standard input"
            if sys.stdin is None:
                raise SdError(
                    "standard input: got 'closed', need an open one. Redirect it, or name a file"
                )
            self.file = open(0, "rb", 0, closefd=False)  # noqa: SIM115 - closed by close()
        elif rxfilename.endswith("|"):
            if not allow_pipes:
                raise SdError(
                    f"{rxfilename}: got a command, need a file. Say --allow-pipes=true if you trust the script file"
                )
            self.process = subprocess.Popen(
                [*SHELL, rxfilename[:-1]], stdout=subprocess.PIPE, bufsize=0
            )
            self.file = self.process.stdout
        else:
            check_is_no_table(rxfilename)
            self.name, offset = split_offset(rxfilename)
            try:
                self.file = open(self.name, "rb", 0, opener=_open_at_once)  # noqa: SIM115 - closed by close()
            except (OSError, ValueError) as e:
                raise SdError(
                    f"{self.name}: got '{getattr(e, 'strerror', e)}', need a readable file. Check the path"
                ) from None
        self._descriptor = self.file.fileno()
        self._bytes = bytearray(BUFFER_BYTES)
        self._buffer = memoryview(self._bytes)
        self._ahead = self._buffer[:AHEAD_BYTES]
        self._base = self._stop = (
            0  # place of the buffer's first byte, number of its bytes; the position is always among them or behind
        )
        try:
            if self.process is None and rxfilename not in ("", "-"):
                self._size_up()
            self.seek(offset)
        except SdError:
            self.close()
            raise

    @property
    def where(self):
        """Where the next byte comes from."""
        return f"{self.name}:{self.position}"

    def _size_up(self):
        """Learn the size of a regular file, wait for the writer of a named pipe, refuse a device without an end."""
        status = os.fstat(self._descriptor)
        if stat.S_ISREG(status.st_mode):
            self.size = status.st_size
        elif stat.S_ISFIFO(status.st_mode) and not os.get_blocking(self._descriptor):
            self._await_writer()
            os.set_blocking(self._descriptor, True)
        elif stat.S_ISBLK(status.st_mode) or (
            stat.S_ISCHR(status.st_mode) and not _has_end(self._descriptor, status)
        ):
            raise SdError(
                f"{self.name}: got a device, need a file, a pipe or a terminal, which end. Check the path"
            )

    def _await_writer(self):
        """Take the first bytes of a named pipe as soon as somebody writes into it."""
        deadline = time.monotonic() + FIFO_PATIENCE_SEC
        with suppress(BlockingIOError):  # a writer that has nothing to say yet
            while not (num_read := os.readv(self._descriptor, (self._buffer,))):
                if time.monotonic() > deadline:
                    need = "a program that does. Start it, or check the path"
                    raise SdError(
                        f"{self.name}: got a pipe into which nobody writes for {FIFO_PATIENCE_SEC} s, need {need}"
                    )
                time.sleep(0.01)
            self._stop = num_read

    def seek(self, offset):
        """Go to a byte of a regular file."""
        if offset == self.position:
            return
        if offset >= (self.size or 0):
            raise SdError(
                f"{self.name}: offset: got {offset}, need less than {self.size or 0}; it belongs to another archive"
            )
        if not 0 <= offset - self._base <= self._stop:
            self._base, self._stop = offset, 0
        self.position = offset

    def fail_short(self, got, need):
        """Raise the error for data that end too early, which a failed command explains."""
        if self.process is not None:
            check_status(self.name, self.process)
        raise SdError(
            f"{self.where}: data: got {got} bytes, need {need}; the file is cut short or damaged. Write it again"
        )

    def _fail_system(self, e):
        """Raise the error for a read that the system refuses."""
        raise SdError(
            f"{self.where}: read: got '{e.strerror}', need a readable file. Check the disk"
        ) from None

    def _fill(self, size=AHEAD_BYTES):
        """Read on behind what is left in the buffer; return the number of new bytes, 0 at the end."""
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

    def peek(self, least=1, most=1):
        """Return the next bytes at hand without taking them; fewer than the least only at the end."""
        while self._base + self._stop - self.position < least and self._fill():
            pass
        start = self.position - self._base
        stop = start + most
        return self._buffer[start : stop if stop < self._stop else self._stop].tobytes()

    def peek_struct(self, layout):
        """Return the fields of the next bytes, which are not taken; None if fewer are at hand."""
        start = self.position - self._base
        return layout.unpack_from(self._bytes, start) if start + layout.size <= self._stop else None

    def read(self, num_bytes):
        """Return exactly so many bytes."""
        start = self.position - self._base
        stop = start + num_bytes
        if stop > self._stop:
            return self.read_array(U1, (num_bytes,)).tobytes()
        self.position += num_bytes
        return self._buffer[start:stop].tobytes()

    def read_array(self, dtype, shape):
        """Return a new array; more than the file holds is refused before memory is taken."""
        num_bytes = dtype.itemsize * math.prod(shape)
        if self.size is None or not num_bytes:
            return self._read_stream(num_bytes).view(dtype).reshape(shape)
        position = self.position
        stop = position + num_bytes
        if stop > self.size:
            self.fail_short(self.size - position, num_bytes)
        array = np.empty(shape, dtype)
        try:
            num_read = os.preadv(self._descriptor, (array, self._ahead), position)
            while num_read < num_bytes:  # at most 2 GiB come at once
                rest = memoryview(array).cast("B")[num_read:]
                num_new = os.preadv(self._descriptor, (rest, self._ahead), position + num_read)
                if not num_new:
                    self.fail_short(num_read, num_bytes)
                num_read += num_new
        except OSError as e:
            self._fail_system(e)
        self.position = self._base = stop
        self._stop = num_read - num_bytes
        return array

    def _take(self, most, end=None):
        """Next bytes at hand, at most so many and none behind the end, as a view to be used at once; empty only at the end of all."""
        start = self.position - self._base
        if start == self._stop:
            self._fill(BUFFER_BYTES)
            start = 0
        stop = min(start + most, self._stop)
        if end is not None:
            stop = self._bytes.find(end, start, stop) + 1 or stop
        self.position += stop - start
        return self._buffer[start:stop]

    def _read_stream(self, num_bytes):
        """Bytes of a stream, as an array; memory grows with what really comes."""
        data, start = bytearray(), self.position
        while (missing := num_bytes - len(data)) and (piece := self._take(missing)):
            data += piece
        if missing:
            self.position = start
            self.fail_short(len(data), num_bytes)
        return np.frombuffer(data, U1)

    def read_line(self):
        """Return the bytes up to and with the newline; at the end, what is left without one."""
        line = bytearray()
        while not line.endswith(b"\n") and (piece := self._take(BUFFER_BYTES, b"\n")):
            line += piece
        return bytes(line)

    def read_all(self):
        """Return the bytes that are left; a command must have ended well."""
        data = bytearray()
        while piece := self._take(BUFFER_BYTES):
            data += piece
        if self.process is not None:
            check_status(self.name, self.process)
        return bytes(data)

    def drain(self):
        """Read what a command still says, within a bound; return whether it came to its end."""
        end = self.position + MAX_DRAIN_BYTES
        while self.position < end:
            if not self._take(BUFFER_BYTES):
                return True
        return False

    def finish(self):
        """Close after the last read; a command must have ended well."""
        if self.process is not None:
            if not self.drain():
                raise SdError(
                    f"{self.name}: got more data behind one object, need a command that ends there. Correct the command"
                )
            check_status(self.name, self.process)
        self.close()

    def close(self):
        """Close, without judging a command that had more to say."""
        self.file.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def _open_at_once(path, flags):
    """Descriptor of a path; of a named pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK if is_fifo(path) else flags)


def is_fifo(path):
    """Whether a path is a named pipe; what is open already, such as /dev/stdin, has both ends."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode) and not DESCRIPTOR.fullmatch(
            os.path.abspath(path)
        )
    except (OSError, ValueError):
        return False


def _has_end(descriptor, status):
    """Whether a character device is a terminal, or the null device."""
    return os.isatty(descriptor) or status.st_rdev == os.stat(os.devnull).st_rdev


def check_is_no_table(name):
    """Refuse a table's name where a file's is needed, as Kaldi does."""
    if TABLE.match(name):
        raise SdError(
            f"{name}: got the name of a table, need that of a file. Leave out what stands before the colon, and the colon"
        )


def split_offset(rxfilename):
    """Split ``file:byte`` into the file and the byte, 0 where none is given."""
    path, _, digits = rxfilename.rpartition(":")
    if not (path and digits.isdecimal() and digits.isascii()):
        return rxfilename, 0
    if len(digits) > MAX_OFFSET_DIGITS:
        raise SdError(
            f"{path}: offset: got {digits[:MAX_OFFSET_DIGITS]}..., need {MAX_OFFSET_DIGITS} digits or fewer. Correct it"
        )
    return path, int(digits)


def check_status(name, process):
    if status := process.wait():
        raise SdError(
            f"{name}: exit status of the command: got {status}, need 0. Run it by itself to see why"
        )


@contextmanager
def open_input(rxfilename, allow_pipes=True):
    """Open an Input; if it is a command, its exit status is judged at the end of the with-block."""
    source = Input(rxfilename, allow_pipes)
    try:
        yield source
        source.finish()
    finally:
        source.close()
