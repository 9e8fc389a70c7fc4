"""Kaldi's extended file names (a file, ``file:byte``, ``-``, a command with ``|``) as bytes in and out, whole or not at all."""

import math
import os
import secrets
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress

import numpy as np

BUFFER_BYTES = 512  # room for a key and a header; the data go straight to their array


class TableError(ValueError):
    """A table, or a file that belongs to one, that cannot be read or written as asked: one line with the file, and line or byte."""


class Input:
    """Bytes of a file, ``file:byte``, ``-`` or ``command |``; a read is exact or raises TableError."""

    def __init__(self, rxfilename, allow_pipes=True):
        self.name, offset = rxfilename, 0
        self.position, self.size, self.process = 0, None, None  # the size is known of regular files only
        if rxfilename in ("", "-"):
            self.name, self.file = "standard input", sys.stdin.buffer
        elif rxfilename.endswith("|"):
            if not allow_pipes:
                raise TableError(f"{rxfilename}: got a command, need a file. Say --allow-pipes=true if you trust the script file")
            self.process = subprocess.Popen(["/bin/sh", "-c", rxfilename[:-1]], stdout=subprocess.PIPE)
            self.file = self.process.stdout
        else:
            self.name, offset = split_offset(rxfilename)
            try:
                self.file = open(self.name, "rb", BUFFER_BYTES)  # noqa: SIM115 - closed by close()
            except (OSError, ValueError) as e:
                raise TableError(f"{self.name}: got '{getattr(e, 'strerror', e)}', need a readable file. Check the path") from None
            status = os.fstat(self.file.fileno())
            if stat.S_ISREG(status.st_mode):
                self.size = status.st_size
        try:
            self.seek(offset)
        except TableError:
            self.close()
            raise

    @property
    def where(self):
        """Where the next byte comes from."""
        return f"{self.name}:{self.position}"

    def seek(self, offset):
        """Go to a byte of a regular file."""
        if offset == self.position:
            return
        if offset >= (self.size or 0):
            raise TableError(f"{self.name}: offset: got {offset}, need less than {self.size or 0}; it belongs to another archive")
        if 0 < offset - self.position < BUFFER_BYTES:
            self.file.read(offset - self.position)  # over the next key, for less than the price of a seek
        else:
            self.file.seek(offset)
        self.position = offset

    def fail_short(self, got, need):
        """Raise the error for data that end too early."""
        raise TableError(f"{self.where}: data: got {got} bytes, need {need}; the file is cut short or damaged. Write it again")

    def read(self, num_bytes):
        """Return exactly so many bytes."""
        data = self.file.read(num_bytes)
        if len(data) < num_bytes:
            self.fail_short(len(data), num_bytes)
        self.position += num_bytes
        return data

    def read_array(self, dtype, shape):
        """Return a new array; more than the file holds is refused before memory is taken."""
        num_bytes = dtype.itemsize * math.prod(shape)
        if self.size is None:  # memory grows with what really comes
            data = bytearray()
            while len(data) < num_bytes and (piece := self.file.read(min(num_bytes - len(data), 1 << 24))):
                data += piece
            num_read = len(data)
        elif (num_read := self.size - self.position) >= num_bytes:
            data = np.empty(shape, dtype)
            num_read = self.file.readinto(data)
        if num_read < num_bytes:
            self.fail_short(num_read, num_bytes)
        self.position += num_bytes
        return data if self.size is not None else np.frombuffer(data, dtype).reshape(shape)

    def read_line(self):
        """Return the bytes up to and with the newline, without which a line is not whole."""
        line = self.file.readline()
        if not line.endswith(b"\n"):
            self.fail_short(len(line), "a newline after them")
        self.position += len(line)
        return line

    def peek(self):
        """Return the next byte without taking it; nothing at the end."""
        return self.file.peek(1)[:1]

    def finish(self):
        """Close after the last read; a command must have ended well."""
        if self.process is not None:
            while self.file.read(1 << 20):
                pass
            _check_status(self.name, self.process)
        self.close()

    def close(self):
        """Close, without judging a command that had more to say."""
        if self.file is not sys.stdin.buffer:
            self.file.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def split_offset(rxfilename):
    """Split ``file:byte`` into the file and the byte, 0 where none is given."""
    path, _, digits = rxfilename.rpartition(":")
    return (path, int(digits)) if path and digits.isdecimal() and digits.isascii() else (rxfilename, 0)


def _check_status(name, process):
    if status := process.wait():
        raise TableError(f"{name}: exit status of the command: got {status}, need 0. Run it by itself to see why")


@contextmanager
def open_input(rxfilename, allow_pipes=True):
    """Open an Input; if it is a command, its exit status is judged at the end of the with-block."""
    source = Input(rxfilename, allow_pipes)
    try:
        yield source
        source.finish()
    finally:
        source.close()


class Output:
    """Bytes to ``-``, ``| command``, or a file, which has a temporary name beside its own until ``publish``."""

    def __init__(self, wxfilename):
        self.name, self.process, self.temporary = wxfilename, None, None
        if wxfilename in ("", "-"):
            self.file = sys.stdout.buffer
        elif wxfilename.startswith("|"):
            self.process = subprocess.Popen(["/bin/sh", "-c", wxfilename[1:]], stdin=subprocess.PIPE)
            self.file = self.process.stdin
        else:
            with self.errors():
                self.target = os.path.realpath(wxfilename)
                if os.path.isfile(self.target) or not os.path.exists(self.target):  # nothing else, such as /dev/null, is renamed over
                    folder, base = os.path.split(self.target)
                    self.temporary = os.path.join(folder, f".{base}.{secrets.token_hex(4)}.tmp")
                self.file = open(self.temporary or self.target, "wb")  # noqa: SIM115 - closed by finish() or discard()

    @contextmanager
    def errors(self):
        """Turn the system's errors of writing into TableError."""
        try:
            yield
        except (OSError, ValueError) as e:
            reason = getattr(e, "strerror", e)
            raise TableError(f"{self.name}: write: got '{reason}', need a place to write to. Check path, rights and room") from None

    def finish(self):
        """Bring everything to the disk, or through the command."""
        with self.errors():
            self.file.flush()
            if self.temporary:
                os.fsync(self.file.fileno())
            if self.file is not sys.stdout.buffer:
                self.file.close()
        if self.process is not None:
            _check_status(self.name, self.process)

    def publish(self):
        """Give the file its name."""
        if self.temporary:
            with self.errors():
                os.replace(self.temporary, self.target)
            self.temporary = None

    def discard(self):
        """Drop what is not published."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        with suppress(OSError):
            if self.file is not sys.stdout.buffer:
                self.file.close()
        if self.temporary:
            with suppress(OSError):
                os.unlink(self.temporary)


@contextmanager
def open_output(wxfilename):
    """Open a name for writing bytes; a file appears under it only if the with-block ends well."""
    output = Output(wxfilename)
    try:
        yield output.file
        output.finish()
        output.publish()
    finally:
        output.discard()
