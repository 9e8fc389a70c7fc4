"""Kaldi tables (archives and script files), the only module that opens an archive.

A table is named as on a Kaldi command line: ``ark:feats.ark``, ``scp,p:feats.scp``, ``ark:gunzip -c feats.ark.gz |``,
``ark,scp:feats.ark,feats.scp``, ``ark,t:-``. Nothing is ever unpickled. A command runs if it stands in the table's own name;
one that stands in a line of a script file runs only with ``allow_pipes``.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sdtools.errors import SdError
from sdtools.tables.input import AHEAD_BYTES, Input, index_pairs, read_scp, split_offset
from sdtools.tables.objects import KINDS, apply_range, encode, is_word, read_object
from sdtools.tables.output import Output
from sdtools.tables.specifiers import parse_rspecifier, parse_wspecifier

MAX_KEY_BYTES = 1 << 16  # more is damage, or no archive


@dataclass(slots=True)
class Entry:
    """One entry of a table: its key, where it stands (``path:line`` of a script file, ``path:byte`` of an archive), its value."""

    key: str
    where: str
    load: Callable[[], Any]


class _ScriptEntry:
    """An Entry of a script file, whose place is put into words only when it is asked for."""

    __slots__ = ("_number", "_reader", "_rxfilename", "key")

    def __init__(self, reader, number, key, rxfilename):
        self._reader, self._number, self.key, self._rxfilename = reader, number, key, rxfilename

    @property
    def where(self):
        return f"{self._reader.name}:{self._number}"

    def load(self):
        return self._reader.load(self._rxfilename)


def check_kind(specifier, kind):
    """Refuse a kind of table that does not exist."""
    if kind not in KINDS:
        raise SdError(f"{specifier!r}: kind of table: got {kind!r}, need one of {', '.join(KINDS)}")


def _read_key(source):
    """Next key of an archive, None at the end; the blank after it is taken, a newline is not."""
    head = source.peek(most=AHEAD_BYTES)
    key = head.partition(b" ")[0]
    text = key.decode(errors="surrogateescape")
    if is_word(text) and len(key) < len(head):
        source.position += len(key) + 1
        return text
    while (byte := source.peek()) and byte in b" \t\r\n":
        source.position += 1
    key = bytearray()
    while (byte := source.peek()) and byte not in b" \t\n" and len(key) < MAX_KEY_BYTES:
        key += byte
        source.position += 1
    if not key:
        return None
    if byte != b"\n":
        source.position += len(byte)
    text = key.decode(errors="surrogateescape")
    if not is_word(text) or len(key) == MAX_KEY_BYTES:
        raise SdError(
            f"{source.where}: key: got {bytes(key[:40])}, need printable text; damage or a wrong size before it"
        )
    return text


class TableReader:
    """Entries of a table, in order; to be iterated once, as a context manager.

    With an archive, damage ends the iteration by SdError. With a script file it is ``load()`` that raises, and the iteration
    goes on. With option ``p`` a bad entry of a script file is left out, and an archive ends where its damage begins, each with a
    warning. The options ``o s cs`` change nothing for a reader in order, as in Kaldi; nor does ``bg`` here.

    Parameters
    ----------
    rspecifier, kind : str
        The kind is one of ``KINDS``.
    allow_pipes : bool
        Whether commands in the lines of a script file may run.
    read : callable, optional
        Reads one object from an ``Input``, instead of ``kind``.

    Attributes
    ----------
    num_entries : int or None
        Lines of the script file; None for an archive.
    num_skipped : int
        Bad entries met so far under option ``p``.
    """

    def __init__(self, rspecifier, kind="matrix", allow_pipes=False, read=None):
        check_kind(rspecifier, kind)
        form, self.options, self.name = parse_rspecifier(rspecifier)
        self._allow_pipes, self._read = (
            allow_pipes,
            read or (lambda source: read_object(source, kind)),
        )
        self._archive = Input(self.name) if form == "ark" else None
        self.script = read_scp(self.name) if form == "scp" else None
        self._idle = []  # at most one open file a thread: the next line often names the same
        self.num_entries = None if self.script is None else len(self.script)
        self.num_skipped = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Close the files that are open."""
        for source in (self._archive, *self._idle):
            if source is not None:
                source.close()
        self._idle.clear()

    def __iter__(self) -> Iterator[Entry]:
        if self.script is None:
            return self._archive_entries()
        return self._good_entries() if "p" in self.options else self._script_entries()

    def judge(self):
        """Judge a command that has little more to say than was read; one with much more cannot be waited for."""
        source = self._archive
        try:
            if (
                source is not None
                and source.process is not None
                and not source.file.closed
                and source.drain()
            ):
                source.finish()
        except SdError as e:
            if "p" not in self.options:
                raise
            self.skip(f"reading ends here: {e}")

    def skip(self, message):
        """Count and report a bad entry."""
        self.num_skipped += 1
        warnings.warn(message, stacklevel=3)

    def _script_entries(self):
        for number, (key, rxfilename) in enumerate(self.script, 1):
            yield _ScriptEntry(self, number, key, rxfilename)

    def _good_entries(self):
        for entry in self._script_entries():
            try:
                value = entry.load()
            except SdError as e:
                self.skip(f"{entry.where}: {entry.key} skipped: {e}")
            else:
                yield Entry(entry.key, entry.where, lambda value=value: value)

    def _archive_entries(self):
        source = self._archive
        try:
            while (key := _read_key(source)) is not None:
                where = source.where
                value = self._read(source)
                yield Entry(key, where, lambda value=value: value)
            source.finish()
        except SdError as e:
            if "p" not in self.options:
                raise
            self.skip(f"reading ends here: {e}")

    def load(self, rxfilename):
        """Object that a line of a script file names."""
        name, bounds = rxfilename, None
        if name[-1] == "]" and "[" in name:
            name, _, bounds = name[:-1].rpartition("[")
        path, offset = split_offset(name)
        try:
            source = self._idle.pop()
        except IndexError:
            source = None
        if source is None or source.name != path:
            if source is not None:
                source.close()
            source = Input(name, self._allow_pipes)
        try:
            source.seek(offset)
            value = self._read(source)
            if source.size is None:
                source.finish()
        except BaseException:
            source.close()
            raise
        if source.size is not None:
            self._idle.append(source)
        return value if bounds is None else apply_range(value, bounds, name)


open_table = TableReader


class RandomTable:
    """Values of a table by key, ``table[key]`` and ``key in table``, read when they are asked for.

    Of a script file, in which no key may come twice, every value is read anew. An archive is read as far as it takes, and what was
    read stays in memory; the options bound time and memory as in Kaldi: with ``o`` a value is given out once and let go, with ``s``
    (the keys are in byte order, else an error, as with a script file) an absent key is not looked for beyond its place, with
    ``s,cs`` (the keys are asked in that order too, else an error) one value is kept. With ``p`` bad entries are absent, counted in
    ``num_skipped``, each with a warning.
    """

    def __init__(self, rspecifier, kind="matrix", allow_pipes=False):
        self._name, self._reader = rspecifier, TableReader(rspecifier, kind, allow_pipes)
        options = self._reader.options
        self._permissive, self._sorted = "p" in options, "s" in options
        self._called_sorted, self._once = {"s", "cs"} <= options, "o" in options
        self._values, self._last_read, self._last_asked, self._error = {}, "", "", None
        self._script = self._entries = None
        if self._reader.script is None:
            self._entries = iter(self._reader)
        else:
            self._script = index_pairs(self._reader.script, self._reader.name)
            for key in self._script if self._sorted else ():
                self._check_order(key, self._reader.name)

    @property
    def num_skipped(self):
        """Bad entries met so far under option ``p``."""
        return self._reader.num_skipped

    def __enter__(self):
        return self

    def __exit__(self, exc_type, *exc):
        try:
            if exc_type is None and self._error is None:
                self._reader.judge()
        finally:
            self._reader.close()

    def __contains__(self, key):
        return (self._in_archive if self._script is None else self._in_script)(key)

    def __getitem__(self, key):
        if key not in self:
            raise SdError(
                f"{self._name}: key: got {key}, which is not there. Check that both tables come from the same data"
            )
        if self._script is not None:
            return (
                self._values.pop(key) if self._permissive else self._reader.load(self._script[key])
            )
        value = self._values[key]
        if self._once and not self._called_sorted:
            self._values[key] = None
        return value

    def _check_order(self, key, where):
        """Refuse a key that is not behind the one before it."""
        if key <= self._last_read:
            got = f"got {key} after {self._last_read}"
            raise SdError(
                f"{where}: key: {got}, need byte order under option s. Sort with LC_ALL=C, or leave out the option"
            )
        self._last_read = key

    def _in_script(self, key):
        """Whether the script file has the key, and under option p a value for it."""
        if self._permissive and key in self._script and key not in self._values:
            try:
                self._values = {key: self._reader.load(self._script[key])}
            except SdError as e:
                self._reader.skip(f"{self._name}: {key} skipped: {e}")
                del self._script[key]
        return key in self._script

    def _in_archive(self, key):
        """Whether the archive has the key, which is read as far as it takes."""
        if self._called_sorted and key < self._last_asked:
            got = f"got {key} after {self._last_asked}"
            raise SdError(
                f"{self._name}: key asked for: {got}, need byte order under option cs. Sort the other table"
            )
        self._last_asked = key
        while (
            key not in self._values
            and not (self._sorted and key <= self._last_read)
            and self._read_on()
        ):
            pass
        if self._values.get(key, key) is None:
            raise SdError(
                f"{self._name}: key asked for: got {key} again, need every key once under option o. Leave out the option"
            )
        return key in self._values

    def _read_on(self):
        """Read one more entry of the archive, if there is one."""
        if self._error is not None:
            raise self._error
        try:
            entry = next(self._entries, None)
            if entry is None:
                return False
            if self._sorted:
                self._check_order(entry.key, entry.where)
            elif entry.key in self._values:
                raise SdError(
                    f"{entry.where}: key: got {entry.key} again, need every key once. Write the archive again"
                )
        except SdError as e:
            self._error = e  # stays: a key behind the damage is not absent
            raise
        if self._called_sorted:
            self._values.clear()
        self._values[entry.key] = entry.load()
        return True


open_random_table = RandomTable


class TableWriter:
    """Table being written: its files appear when the with-block ends well; else old ones stay as they were.

    ``scp:file`` writes each value into a file of its own, which the existing script file names, and which appears at once.
    With ``p`` keys that it does not list are dropped and counted.

    Parameters
    ----------
    wspecifier, kind : str
        The kind is one of ``KINDS``. Matrices and vectors of float64 are written as such, all others as float32.
    compression_method : int
        Kaldi's number, 1 to 7, for compressed matrices; 0 for none. An empty matrix is never compressed: Kaldi's form for it
        makes whatever follows in the archive unreadable.
    allow_pipes : bool
        Whether commands in the lines of ``scp:file`` may run.

    Attributes
    ----------
    path : str or None
        The archive's file; None for a stream and for ``scp:file``.
    num_skipped : int
        Keys dropped so far under option ``p``.
    """

    def __init__(self, wspecifier, kind="matrix", compression_method=0, allow_pipes=False):
        check_kind(wspecifier, kind)
        if compression_method not in range(8) or (compression_method and kind != "matrix"):
            got = f"got {compression_method} for {KINDS[kind]}"
            raise SdError(
                f"{wspecifier!r}: compression method: {got}, need 0, or 1 to 7 for a matrix. Choose another"
            )
        self._options, ark, scp = parse_wspecifier(wspecifier)
        self._kind, self._name, self._allow_pipes = (
            kind,
            ark if ark is not None else scp,
            allow_pipes,
        )
        self._encode = partial(
            encode, kind=kind, text="t" in self._options, compression_method=compression_method
        )
        self._position, self._keys, self.num_skipped = 0, set(), 0
        self._script = index_pairs(read_scp(scp), scp) if ark is None else None
        self._outputs = []
        try:
            for name in (ark, scp) if ark is not None else ():
                if name is not None:
                    self._outputs.append(Output(name))
        except BaseException:
            self._discard()
            raise
        self.path = ark if self._outputs and self._outputs[0].is_temporary else None

    def write(self, key, value):
        """Append one entry; return whether it was written, which option ``p`` may prevent.

        Raises
        ------
        SdError
            If the key is no word, comes again or is not in the script file, the value does not fit the kind of table, or the disk is
            full.
        """
        if not is_word(key):
            raise SdError(
                f"{self._name}: key: got {key!r}, need printable text without blanks. Rename the entry"
            )
        if key in self._keys:
            raise SdError(
                f"{self._name}: key: got {key} again, need every key once. Remove one of the entries"
            )
        if self._script is not None and key not in self._script:
            if "p" not in self._options:
                raise SdError(
                    f"{self._name}: key: got {key}, which is not there. List it, or say scp,p: to drop what is not listed"
                )
            self.num_skipped += 1
            return False
        try:
            body = self._encode(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError) as e:
            got = (
                f"shape {value.shape} of {value.dtype}"
                if isinstance(value, np.ndarray)
                else repr(value)[:40]
            )
            need = (
                str(e)
                if isinstance(e, SdError)
                else f"{KINDS[self._kind]} in range. Write a table of its kind"
            )
            raise SdError(f"{self._name}: value of {key}: got {got}, need {need}") from None
        self._keys.add(key)
        if self._script is not None:
            self._write_file(self._script[key], body)
        else:
            self._write_entry(key.encode() + b" ", body)
        return True

    def _write_file(self, wxfilename, body):
        """Write an object into the file that a line of the script file names."""
        if split_offset(wxfilename)[0] != wxfilename or wxfilename.endswith("]"):
            raise SdError(
                f"{self._name}: value: got {wxfilename}, need a file without offset or range. Correct the line"
            )
        output = Output(wxfilename, self._allow_pipes)
        try:
            output.write(body)
            output.finish()
            output.publish()
        finally:
            output.discard()

    def _write_entry(self, head, body):
        """Append an object to the archive, and its place to the script file."""
        try:
            self._outputs[0].write(head)
            self._outputs[0].write(body)
            if len(self._outputs) > 1:
                self._outputs[1].write(
                    b"%s%s:%d\n" % (head, self._name.encode(), self._position + len(head))
                )
            if "f" in self._options:
                for output in self._outputs:
                    output.flush()
        except SdError:
            self._discard()  # nothing may be published after this, even if the caller goes on
            raise
        self._position += len(head) + len(body)

    def _discard(self):
        for output in self._outputs:
            output.discard()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, *exc):
        try:
            if exc_type is None:
                for output in self._outputs:
                    output.finish()
                if len(self._outputs) > 1 and self._outputs[1].is_temporary:
                    with suppress(FileNotFoundError):
                        os.unlink(
                            self._outputs[1].target
                        )  # at no moment may an old script file point into the new archive
                for output in self._outputs:
                    output.publish()
        finally:
            self._discard()
        if self.num_skipped and exc_type is None:
            warnings.warn(
                f"{self._name}: {self.num_skipped} entries dropped, whose keys are not in it",
                stacklevel=2,
            )


open_writer = TableWriter
