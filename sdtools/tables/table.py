"""Kaldi tables (archives and script files), read and written in order.

A table is named as on a Kaldi command line: `ark:feats.ark`, `scp,p:feats.scp`,
`ark:gunzip -c feats.ark.gz |`, `ark,scp:feats.ark,feats.scp`, `ark,t:-`. Nothing is ever
unpickled. A command in the table's own name runs; one in a line of a script file runs only with
`allow_pipes`.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sdtools.errors import SdError, warn
from sdtools.tables.input import AHEAD_BYTES, Input, split_offset
from sdtools.tables.objects import KINDS, apply_range, encode, is_word, read_object
from sdtools.tables.output import Output
from sdtools.tables.script_files import index_pairs, read_scp
from sdtools.tables.specifiers import parse_rspecifier, parse_wspecifier

MAX_KEY_BYTES = 1 << 16  # a longer key means that the file is damaged, or is not an archive


@dataclass(slots=True)
class Entry:
    """One entry of a table.

    Parameters
    ----------
    key
        Its name.
    where
        Its place: `path:line` of a script file, `path:byte` of an archive.
    load
        Returns its value.
    """

    key: str
    where: str
    load: Callable[[], Any]


def _check_kind(specifier: str, kind: str) -> None:
    """Refuse a kind of table that does not exist."""
    if kind not in KINDS:
        need = f"one of {', '.join(KINDS)}"
        raise SdError(specifier, "kind of table", got=repr(kind), need=need)


def _read_key(source: Input) -> str | None:
    """Next key of an archive, None at the end; reads a blank after it too, but not a newline."""
    head = source.peek(most=AHEAD_BYTES)
    short = head.partition(b" ")[0]
    text = short.decode(errors="surrogateescape")
    if is_word(text) and len(short) < len(head):
        source.position += len(short) + 1
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
        got, hint = (
            repr(bytes(key[:40])),
            "The archive is damaged, or a size before the key is wrong",
        )
        raise SdError(source.where, "key", got=got, need="printable text", hint=hint)
    return text


class TableReader:
    """A table to read: a with-block gives its entries, in order and once.

    With option `p`, bad entries of a script file are left out, and an archive ends where its
    damage begins; each gives a warning. The options `o`, `s`, `cs` and `bg` change nothing here.

    Parameters
    ----------
    rspecifier
        Name of the table, as in Kaldi.
    kind
        `matrix`, `vector`, `int`, `float`, `int_vector`, `token` or `tokens`.
    allow_pipes
        Whether commands in the lines of a script file may run.
    read
        Reads one object from an `Input`, instead of `kind`.

    Attributes
    ----------
    num_entries : int or None
        Lines of the script file; None for an archive.
    num_skipped : int
        Bad entries met so far under option `p`.
    is_cut : bool
        Whether an archive ended at its damage under option `p`.

    Raises
    ------
    SdError
        If the table cannot be opened. Later: from the iterator, if an archive is damaged; from
        `Entry.load`, if an entry of a script file is bad, and then the iteration can go on.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_writer(f"ark:{folder}/feats.ark") as writer:
    ...         was_written = writer.write("utt1", [[1, 2], [3, 4], [5, 6]])
    ...     with open_table(f"ark:{folder}/feats.ark") as table:
    ...         for entry in table:
    ...             print(entry.key, entry.load().shape)
    utt1 (3, 2)
    """

    def __init__(
        self,
        rspecifier: str,
        kind: str = "matrix",
        allow_pipes: bool = False,
        read: Callable[[Input], Any] | None = None,
    ):
        _check_kind(rspecifier, kind)
        form, self.options, self.name = parse_rspecifier(rspecifier)
        self._allow_pipes, self._read = allow_pipes, read or partial(read_object, kind=kind)
        self._archive = Input(self.name) if form == "ark" else None
        self.script = read_scp(self.name) if form == "scp" else None
        # At most one open file per thread: the next line often names the same.
        self._idle: list[Input] = []
        self.num_entries = None if self.script is None else len(self.script)
        self.num_skipped, self.is_cut = 0, False

    def __enter__(self) -> TableReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files that are open."""
        for source in (self._archive, *self._idle):
            if source is not None:
                source.close()
        self._idle.clear()

    def __iter__(self) -> Iterator[Entry]:
        if self._archive is not None:
            return self._archive_entries(self._archive)
        return self._good_entries() if "p" in self.options else self._script_entries()

    def check_command(self) -> None:
        """Check the exit status of a command that has little more to write than was read."""
        source = self._archive
        try:
            if source is None or source.process is None or source.file.closed:
                return
            if source.drain():
                source.finish()
        except SdError as e:
            if "p" not in self.options:
                raise
            self.skip(e)

    def skip(self, error: SdError, place: str = "") -> None:
        """Count and report a bad entry; without a place, the rest of an archive."""
        self.num_skipped += 1
        self.is_cut = not place
        e = error.within(place or "the rest of the archive cannot be read")
        warn(e.who, e.what, got=e.got, need=e.need, hint=e.hint, stacklevel=3)

    def _script_entries(self) -> Iterator[Entry]:
        for number, (key, rxfilename) in enumerate(self.script or (), 1):
            yield Entry(key, f"{self.name}:{number}", partial(self.load, rxfilename))

    def _good_entries(self) -> Iterator[Entry]:
        for entry in self._script_entries():
            try:
                value = entry.load()
            except SdError as e:
                self.skip(e, f"{entry.where}: {entry.key} skipped")
            else:
                yield Entry(entry.key, entry.where, partial(_same, value))

    def _archive_entries(self, source: Input) -> Iterator[Entry]:
        try:
            if source.peek(3, 3) == codecs.BOM_UTF8:  # of a text that an editor has saved
                source.position += 3
            while (key := _read_key(source)) is not None:
                where = source.where
                yield Entry(key, where, partial(_same, self._read(source)))
            source.finish()
        except SdError as e:
            if "p" not in self.options:
                raise
            self.skip(e)

    def load(self, rxfilename: str) -> Any:
        """Return the object that a line of a script file names."""
        name, bounds = rxfilename, None
        if name[-1] == "]" and "[" in name:
            name, _, bounds = name[:-1].rpartition("[")
        path, offset = split_offset(name)
        source = None
        with suppress(IndexError):
            source = self._idle.pop()
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


def _same(value: Any) -> Any:
    return value


open_table = TableReader


class TableWriter:
    """A table to write: its files appear when the with-block ends well; else old ones stay.

    `scp:file` writes each value into a file of its own, which the existing script file names and
    which appears at once. With `scp,p:` keys that are not listed are dropped.

    Parameters
    ----------
    wspecifier
        Name of the table, as in Kaldi.
    kind
        As for `open_table`. Matrices and vectors of float64 are written as such, all others as
        float32.
    compression_method
        Kaldi's number, 1 to 7, for compressed matrices; 0 for none. An empty matrix is never
        compressed: Kaldi's form for it makes whatever follows in the archive unreadable.
    allow_pipes
        Whether commands in the lines of `scp:file` may run.

    Attributes
    ----------
    path : str or None
        The archive's file; None for a stream and for `scp:file`.
    num_skipped : int
        Keys dropped so far under option `p`.

    Raises
    ------
    SdError
        If the files cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as writer:
    ...         was_written = writer.write("utt1", [[1, 2], [3, 4], [5, 6]])
    ...     print(sorted(os.listdir(folder)))
    ['feats.ark', 'feats.scp']
    """

    def __init__(
        self,
        wspecifier: str,
        kind: str = "matrix",
        compression_method: int = 0,
        allow_pipes: bool = False,
    ):
        _check_kind(wspecifier, kind)
        if compression_method not in range(8) or (compression_method and kind != "matrix"):
            got = f"{compression_method} for {KINDS[kind]}"
            need = "0, or 1 to 7 for a matrix"
            raise SdError(wspecifier, "compression method", got=got, need=need)
        self._options, ark, scp = parse_wspecifier(wspecifier)
        self._allow_pipes = allow_pipes
        self._name = ark if ark is not None else scp or ""
        text = "t" in self._options
        self._encode = partial(encode, kind=kind, text=text, compression_method=compression_method)
        self._position, self.num_skipped = 0, 0
        self._keys: set[str] = set()
        # The file of every key, if the script file exists before.
        self._files = index_pairs(read_scp(self._name), self._name) if ark is None else None
        self._outputs: list[Output] = []
        try:
            for name in (ark, scp) if ark is not None else ():
                if name is not None:
                    self._outputs.append(Output(name))
        except BaseException:
            self._discard()
            raise
        self.path = ark if self._outputs and self._outputs[0].is_temporary else None

    def write(self, key: str, value: Any) -> bool:
        """Append one entry; return whether it was written, which option `p` may prevent.

        Raises
        ------
        SdError
            If the key is not a word, was written before or is not in the script file, if the value
            does not fit the kind of table, or if the disk is full.
        """
        if not is_word(key):
            need, hint = "printable text without blanks", "Rename the entry"
            raise SdError(self._name, "key", got=repr(key), need=need, hint=hint)
        if key in self._keys:
            need, hint = "every key once", "Remove one of the entries"
            raise SdError(self._name, "key", got=f"{key} again", need=need, hint=hint)
        if self._files is not None and key not in self._files:
            if "p" not in self._options:
                hint = "List it, or use scp,p: to drop keys that are not listed"
                raise SdError(self._name, f"key {key} is not in this script file", hint=hint)
            self.num_skipped += 1
            return False
        try:
            body = self._encode(value)
        except SdError as e:
            raise e.within(f"{self._name}: {key}") from None
        self._keys.add(key)
        if self._files is not None:
            self._write_file(self._files[key], body)
        else:
            self._write_entry(key.encode() + b" ", body)
        return True

    def _write_file(self, wxfilename: str, body: bytes) -> None:
        """Write an object into the file that a line of the script file names."""
        if split_offset(wxfilename)[0] != wxfilename or wxfilename.endswith("]"):
            need, hint = "a file without offset or range", "Correct the line"
            raise SdError(self._name, "value", got=wxfilename, need=need, hint=hint)
        output = Output(wxfilename, self._allow_pipes)
        try:
            output.write(body)
            output.finish()
            output.publish()
        finally:
            output.discard()

    def _write_entry(self, head: bytes, body: bytes) -> None:
        """Append an object to the archive, and its place to the script file."""
        try:
            self._outputs[0].write(head)
            self._outputs[0].write(body)
            if len(self._outputs) > 1:
                line = b"%s%s:%d\n" % (head, self._name.encode(), self._position + len(head))
                self._outputs[1].write(line)
            if "f" in self._options:
                for output in self._outputs:
                    output.flush()
        except SdError:
            self._discard()  # nothing may be published after this, even if the caller goes on
            raise
        self._position += len(head) + len(body)

    def _discard(self) -> None:
        for output in self._outputs:
            output.discard()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        try:
            if exc_type is None:
                for output in self._outputs:
                    output.finish()
                for script in self._outputs[1:]:
                    # At no moment may an old script file point into the new archive.
                    if script.is_temporary and script.target:
                        with suppress(FileNotFoundError):
                            os.unlink(script.target)
                for output in self._outputs:
                    output.publish()
        finally:
            self._discard()
        if self.num_skipped and exc_type is None:
            what = f"{self.num_skipped} entries dropped, because their keys are not in this file"
            warn(self._name, what)


open_writer = TableWriter
