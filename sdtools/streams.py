"""Kaldi's extended file names (a file, ``file:byte``, ``-``, a command with ``|``) as bytes in and out, whole or not at all."""

import atexit
import errno
import fcntl
import math
import os
import re
import secrets
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np

AHEAD_BYTES = 512  # read with every array: room for the next key and header, so that an object costs one system call
BUFFER_BYTES = 1 << 16  # for text and streams
MAX_DRAIN_BYTES = 1 << 24  # that a command may say behind the last object: a few numbers, the end of a sound file
MAX_OFFSET_DIGITS = 18
FIFO_PATIENCE_SEC = 10  # for somebody to open the other end of a named pipe
MAX_BASE_CHARS = 50  # of a file's name in that of its temporary file, which has to stay below 255 bytes
DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/([0-9]{1,9})")
TABLE = re.compile(r"(\w+,)*(ark|scp)(,\w+)*:")  # how the name of a table begins, and that of a file does not
SHELL = ["bash", "-o", "pipefail", "-c"]  # of a pipeline each program counts
STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
U1 = np.dtype("u1")
_targets = set()  # of the files that are being written
_temporaries = set()  # names of files that are not published yet


@atexit.register
def _remove_temporaries():
    """Remove what a signal has left between two steps of an Output."""
    for path in _temporaries:
        with suppress(OSError):
            os.unlink(path)


def printable(text):
    """A text on one line of any terminal: a name can hold anything."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class TableError(ValueError):
    """A table, or a file that belongs to one, that cannot be read or written as asked: one line with the file, and line or byte."""

    def __init__(self, message):
        super().__init__(printable(message))


class Input:
    """Bytes of a file, ``file:byte``, ``-`` or ``command |``; a read is exact or raises TableError."""

    def __init__(self, rxfilename, allow_pipes=True):
        self.name, offset = rxfilename, 0
        self.position, self.size, self.process = 0, None, None  # the size is known of regular files only
        if rxfilename in ("", "-"):
            self.name = "standard input"
            if sys.stdin is None:
                raise TableError("standard input: got 'closed', need an open one. Redirect it, or name a file")
            self.file = open(0, "rb", 0, closefd=False)  # noqa: SIM115 - closed by close()
        elif rxfilename.endswith("|"):
            if not allow_pipes:
                raise TableError(f"{rxfilename}: got a command, need a file. Say --allow-pipes=true if you trust the script file")
            self.process = subprocess.Popen([*SHELL, rxfilename[:-1]], stdout=subprocess.PIPE, bufsize=0)
            self.file = self.process.stdout
        else:
            check_is_no_table(rxfilename)
            self.name, offset = split_offset(rxfilename)
            try:
                self.file = open(self.name, "rb", 0, opener=_open_at_once)  # noqa: SIM115 - closed by close()
            except (OSError, ValueError) as e:
                raise TableError(f"{self.name}: got '{getattr(e, 'strerror', e)}', need a readable file. Check the path") from None
        self._descriptor = self.file.fileno()
        self._bytes = bytearray(BUFFER_BYTES)
        self._buffer = memoryview(self._bytes)
        self._ahead = self._buffer[:AHEAD_BYTES]
        self._base = self._stop = 0  # place of the buffer's first byte, number of its bytes; the position is always among them or behind
        try:
            if self.process is None and rxfilename not in ("", "-"):
                self._size_up()
            self.seek(offset)
        except TableError:
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
        elif stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not _has_end(self._descriptor, status)):
            raise TableError(f"{self.name}: got a device, need a file, a pipe or a terminal, which end. Check the path")

    def _await_writer(self):
        """Take the first bytes of a named pipe as soon as somebody writes into it."""
        deadline = time.monotonic() + FIFO_PATIENCE_SEC
        with suppress(BlockingIOError):  # a writer that has nothing to say yet
            while not (num_read := os.readv(self._descriptor, (self._buffer,))):
                if time.monotonic() > deadline:
                    need = "a program that does. Start it, or check the path"
                    raise TableError(f"{self.name}: got a pipe into which nobody writes for {FIFO_PATIENCE_SEC} s, need {need}")
                time.sleep(0.01)
            self._stop = num_read

    def seek(self, offset):
        """Go to a byte of a regular file."""
        if offset == self.position:
            return
        if offset >= (self.size or 0):
            raise TableError(f"{self.name}: offset: got {offset}, need less than {self.size or 0}; it belongs to another archive")
        if not 0 <= offset - self._base <= self._stop:
            self._base, self._stop = offset, 0
        self.position = offset

    def fail_short(self, got, need):
        """Raise the error for data that end too early, which a failed command explains."""
        if self.process is not None:
            _check_status(self.name, self.process)
        raise TableError(f"{self.where}: data: got {got} bytes, need {need}; the file is cut short or damaged. Write it again")

    def _fail_system(self, e):
        """Raise the error for a read that the system refuses."""
        raise TableError(f"{self.where}: read: got '{e.strerror}', need a readable file. Check the disk") from None

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
            _check_status(self.name, self.process)
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
                raise TableError(f"{self.name}: got more data behind one object, need a command that ends there. Correct the command")
            _check_status(self.name, self.process)
        self.close()

    def close(self):
        """Close, without judging a command that had more to say."""
        self.file.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def _open_at_once(path, flags):
    """Descriptor of a path; of a named pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK if _is_fifo(path) else flags)


def _is_fifo(path):
    """Whether a path is a named pipe; what is open already, such as /dev/stdin, has both ends."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode) and not DESCRIPTOR.fullmatch(os.path.abspath(path))
    except (OSError, ValueError):
        return False


def _has_end(descriptor, status):
    """Whether a character device is a terminal, or the null device."""
    return os.isatty(descriptor) or status.st_rdev == os.stat(os.devnull).st_rdev


def check_is_no_table(name):
    """Refuse a table's name where a file's is needed, as Kaldi does."""
    if TABLE.match(name):
        raise TableError(f"{name}: got the name of a table, need that of a file. Leave out what stands before the colon, and the colon")


def makes_file(wxfilename):
    """Whether an output is a file, beside which others can stand: no stream, pipe or device."""
    if wxfilename in ("", "-") or wxfilename[0] == "|" or DESCRIPTOR.fullmatch(os.path.abspath(wxfilename)):
        return False
    return os.path.isfile(wxfilename) or not os.path.exists(wxfilename)


def check_output(wxfilename):
    """Refuse before a long computation what could not be written at its end."""
    if makes_file(wxfilename):
        Output(wxfilename).discard()


def split_offset(rxfilename):
    """Split ``file:byte`` into the file and the byte, 0 where none is given."""
    path, _, digits = rxfilename.rpartition(":")
    if not (path and digits.isdecimal() and digits.isascii()):
        return rxfilename, 0
    if len(digits) > MAX_OFFSET_DIGITS:
        raise TableError(f"{path}: offset: got {digits[:MAX_OFFSET_DIGITS]}..., need {MAX_OFFSET_DIGITS} digits or fewer. Correct it")
    return path, int(digits)


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


@cache
def _remove_leftovers(folder):
    """Remove, once a run, the temporary files of killed processes: those that no writer has locked."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(r"\..+\.sd-[0-9a-f]{16}\.tmp", name):
                with suppress(OSError), open(os.path.join(folder, name), "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails also where the file system has no locks
                    os.unlink(file.name)


def _open_temporary(folder, base):
    """A new file, locked as long as it is open, where the file system has locks."""
    while True:
        path = os.path.join(folder, f".{base[:MAX_BASE_CHARS]}.sd-{secrets.token_hex(8)}.tmp")
        _temporaries.add(path)
        file = open(path, "xb")  # noqa: SIM115 - closed by the Output
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody takes it for a leftover
            file.close()
            continue
        except OSError:
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


def _open_when_read(path, flags):
    """Descriptor of a path to write to; of a named pipe as soon as somebody reads it."""
    if not _is_fifo(path):
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
            need = "a program that does. Start it, or check the path"
            raise TableError(f"{path}: got a pipe that nobody reads for {FIFO_PATIENCE_SEC} s, need {need}")
        time.sleep(0.01)


class Output:
    """Bytes to ``-``, ``| command``, or a file, which has a temporary name beside its own until ``publish``."""

    def __init__(self, wxfilename, allow_pipes=True):
        self.name, self.file, self.process, self.temporary = wxfilename, None, None, None
        self.is_standard = wxfilename in ("", "-")
        if self.is_standard:
            self.name = "standard output"
            if sys.stdout is None:
                raise TableError("standard output: got 'closed', need an open one. Redirect it, or name a file")
            self.file = sys.stdout.buffer
        elif wxfilename.startswith("|"):
            if not allow_pipes:
                raise TableError(f"{wxfilename}: got a command, need a file. Say --allow-pipes=true if you trust the script file")
            self.process = subprocess.Popen([*SHELL, wxfilename[1:]], stdin=subprocess.PIPE)
            self.file = self.process.stdin
        else:
            check_is_no_table(wxfilename)
            if wxfilename.endswith("|") or split_offset(wxfilename)[0] != wxfilename:
                raise TableError(f"{wxfilename}: got a name that is read as another, need one without | or :number at its end. Rename it")
            with self.errors():
                self._open(wxfilename)

    def _open(self, path):
        """Open a file under a temporary name; what is open already, and what is no regular file, in its place."""
        if match := DESCRIPTOR.fullmatch(os.path.abspath(path)):
            descriptor = STANDARD[match[1]] if match[1] else int(match[2])
            self.file = open(os.dup(descriptor), "wb")  # noqa: SIM115 - closed by finish() or discard()
        elif os.path.abspath(path).startswith("/proc/") or (os.path.exists(path) and not os.path.isfile(path)):
            self.file = open(path, "wb", opener=_open_when_read)  # noqa: SIM115 - closed by finish() or discard()
        else:
            self.target = os.path.realpath(path)
            if self.target in _targets:
                raise TableError(
                    f"{path}: got a file that is being written under this or another name, need one for each output. Rename it"
                )
            folder, base = os.path.split(self.target)
            _remove_leftovers(folder)
            self.file = _open_temporary(folder, base)
            self.temporary = self.file.name
            _targets.add(self.target)
            with suppress(OSError):
                os.fchmod(self.file.fileno(), stat.S_IMODE(os.stat(self.target).st_mode))

    @contextmanager
    def errors(self):
        """Turn the system's errors of writing into TableError."""
        try:
            yield
        except TableError:
            raise
        except (OSError, ValueError) as e:
            raise self.error(e) from None

    def error(self, e):
        """TableError for the system's error."""
        if isinstance(e, BrokenPipeError) and self.process is not None:
            _check_status(self.name, self.process)
            return self._early_end()
        if self.is_standard:
            with suppress(OSError), open(os.devnull, "wb") as nowhere:  # or Python writes the rest at exit, in vain and with a message
                os.dup2(nowhere.fileno(), self.file.fileno())
        reason = getattr(e, "strerror", e)
        if isinstance(e, BrokenPipeError):
            return TableError(
                f"{self.name}: write: got a reader that ended first, need one that reads all. Nothing is wrong if it had enough"
            )
        return TableError(f"{self.name}: write: got '{reason}', need a place to write to. Check path, rights and room")

    def _early_end(self):
        return TableError(f"{self.name}: write: got a command that ends before the data do, need one that reads them all. Correct it")

    def write(self, data):
        """Write bytes."""
        with self.errors():
            self.file.write(data)

    def flush(self):
        """Hand everything to the system."""
        with self.errors():
            self.file.flush()

    def finish(self):
        """Bring everything to the disk, or through the command."""
        self.flush()
        unread = None
        with suppress(OSError):  # what lies unread in a pipe shows at a second end of it, where the system has /proc
            unread = self.process and os.open(f"/proc/self/fd/{self.file.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with self.errors():
                if self.temporary:
                    os.fsync(self.file.fileno())
                elif not self.is_standard:
                    self.file.close()
            if self.process is not None:
                _check_status(self.name, self.process)
            if unread is not None and os.read(unread, 1):
                raise self._early_end()
        finally:
            if unread is not None:
                os.close(unread)

    def publish(self):
        """Give the file its name."""
        if self.temporary:
            with self.errors():
                os.replace(self.temporary, self.target)
            _temporaries.discard(self.temporary)
            self.temporary = None
            _targets.discard(self.target)
            self.discard()

    def discard(self):
        """Drop what is not published."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        with suppress(OSError):
            if not self.is_standard:
                self.file.close()
        if self.temporary:
            with suppress(OSError):
                os.unlink(self.temporary)
            _temporaries.discard(self.temporary)
            self.temporary = None
            _targets.discard(self.target)


@contextmanager
def open_output(wxfilename):
    """Open a name for writing bytes; a file appears under it only if the with-block ends well."""
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
