"""Kaldi tables (archives and script files), the only module that opens an archive.

A table is named as on a Kaldi command line: ``ark:feats.ark``, ``scp,p:feats.scp``, ``ark:gunzip -c feats.ark.gz |``,
``ark,scp:feats.ark,feats.scp``, ``ark,t:-``. Nothing is ever unpickled. A command runs if it stands in the table's own name;
one that stands in a line of a script file runs only with ``allow_pipes``.
"""

import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sdtools.objects import KINDS, apply_range, encode, is_word, read_object
from sdtools.streams import Input, Output, TableError, open_input, split_offset


class Entry(NamedTuple):
    """One entry of a table: its key, where it stands (``path:line`` of a script file, ``path:byte`` of an archive), its value."""

    key: str
    where: str
    load: Callable[[], Any]


def parse_specifier(specifier, opposites):
    """Split ``ark,t:name`` into its form (``ark``, ``scp``, ``ark,scp``), the options that are on, and the name.

    ``opposites`` maps every known option to the one that takes it back.
    """
    head, colon, name = specifier.partition(":")
    form, options = [], set()
    for word in head.split(","):
        if word in ("ark", "scp"):
            form.append(word)
        elif word in opposites:
            options = (options | {word}) - {opposites[word]}
        else:
            colon = ""
    if not colon or form not in (["ark"], ["scp"], ["ark", "scp"]) or name != name.strip() or re.match(r"(\w+,)*(ark|scp)(,\w+)*:", name):
        known = ", ".join(opposites)
        raise TableError(f"{specifier!r}: not the name of a table, need ark:file or scp:file, options {known}. Write it as in Kaldi")
    return ",".join(form), options, name


def parse_rspecifier(rspecifier):
    """Split the name of a table to be read into its form, whether it is permissive (option ``p``), and the rxfilename."""
    pairs = {"o": "no", "s": "ns", "cs": "ncs", "p": "np", "bg": "nbg", "b": "t"}
    form, options, name = parse_specifier(rspecifier, pairs | {off: on for on, off in pairs.items()})
    if form == "ark,scp" or name.startswith("|"):
        raise TableError(f"{rspecifier!r}: not a table to read, need one of ark: and scp:, and no | in front. Name one input")
    return form, "p" in options, name


def read_scp(rxfilename):
    """Return key and value of every line of a script file, a dict in the order of the lines.

    Raises
    ------
    TableError
        On a line without key and value, or a key that comes twice.
    """
    with open_input(rxfilename) as source:
        lines = source.file.read().split(b"\n")
    if not lines[-1]:
        lines.pop()
    try:
        table = {key.decode(): value.rstrip().decode() for key, value in (line.split(None, 1) for line in lines)}
        if len(table) == len(lines):
            return table
    except ValueError:
        pass
    raise _scp_error(source.name, lines)


def _scp_error(name, lines):
    """What is wrong in the first bad line of a script file."""
    first = {}
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        try:
            key, _ = (part.decode() for part in line.split(None, 1))
        except ValueError:
            return TableError(f"{where}: line: got {line[:40]!r}, need a key and a value in UTF-8. Complete or remove it")
        if key in first:
            return TableError(f"{where}: key: got {key} again, first at {first[key]}, need every key once. Remove one of the lines")
        first[key] = where


def _read_key(source):
    """Next key of an archive, None at the end; the blank after it is taken, a newline is not."""
    key, blank, _ = source.file.peek(1)[:200].partition(b" ")
    if blank and key[:1] > b" " and len(key.split()) == 1:
        source.read(len(key) + 1)
    else:
        while (byte := source.peek()) and byte in b" \t\r\n":
            source.read(1)
        key = b""
        while (byte := source.peek()) and byte not in b" \t\n":
            key += source.read(1)
        if not key:
            return None
        if byte != b"\n":
            source.read(1)
    text = key.decode(errors="surrogateescape")
    if not is_word(text):
        raise TableError(f"{source.where}: key: got {key[:40]!r}, need printable text; damage or a wrong size before it")
    return text


class TableReader:
    """Entries of a table, in order; to be iterated once, as a context manager.

    With an archive, damage ends the iteration by TableError. With a script file it is ``load()`` that raises, and the iteration
    goes on. With option ``p`` a bad entry of a script file is left out, and an archive ends where its damage begins, each with a
    warning. The options ``o s cs bg`` only promise Kaldi an order, and change nothing here.

    Attributes
    ----------
    num_entries : int or None
        Lines of the script file; None for an archive.
    num_skipped : int
        Bad entries met so far under option ``p``.
    """

    def __init__(self, rspecifier, kind="matrix", allow_pipes=False, load=None):
        if kind not in KINDS:
            raise TableError(f"{rspecifier!r}: kind of table: got {kind!r}, need one of {', '.join(KINDS)}")
        form, self._permissive, name = parse_rspecifier(rspecifier)
        self._name, self._kind, self._allow_pipes, self._lock = name, kind, allow_pipes, threading.Lock()
        self._load = load or self._load_object
        self._source = Input(name) if form == "ark" else None
        self._script = read_scp(name) if form == "scp" else None
        self.num_entries = None if self._script is None else len(self._script)
        self.num_skipped = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Close the archive that is open."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def __iter__(self) -> Iterator[Entry]:
        entries = self._archive_entries() if self._script is None else self._script_entries()
        if not self._permissive:
            yield from entries
            return
        for entry in entries:
            try:
                value = entry.load()
            except TableError as e:
                self._skip(f"{entry.where}: {entry.key} skipped: {e}")
            else:
                yield entry._replace(load=lambda value=value: value)

    def _skip(self, message):
        self.num_skipped += 1
        warnings.warn(message, stacklevel=3)

    def _script_entries(self):
        for number, (key, rxfilename) in enumerate(self._script.items(), 1):
            yield Entry(key, f"{self._name}:{number}", partial(self._load, rxfilename))

    def _archive_entries(self):
        source = self._source
        try:
            while (key := _read_key(source)) is not None:
                where = source.where
                value = read_object(source, self._kind)
                yield Entry(key, where, lambda value=value: value)
            source.finish()
        except TableError as e:
            if not self._permissive:
                raise
            self._skip(f"reading ends here: {e}")

    def _load_object(self, rxfilename):
        """Object that a line of a script file names; neighbours in one archive share the open file."""
        name, bounds = rxfilename, None
        if name.endswith("]") and "[" in name:
            name, _, bounds = name[:-1].rpartition("[")
        path, offset = (name, 0) if name.endswith("|") else split_offset(name)
        with self._lock:
            try:
                if self._source is None or self._source.name != path:
                    self.close()
                    self._source = Input(name, self._allow_pipes)
                self._source.seek(offset)
                value = read_object(self._source, self._kind)
                if self._source.size is None:
                    self._source.finish()
                    self._source = None
            except BaseException:
                self.close()
                raise
        return value if bounds is None else apply_range(value, bounds, name)


open_table = TableReader


class RandomTable:
    """Values of a table by key: those of an archive are kept in memory, those of a script file are read when asked for."""

    def __init__(self, rspecifier, kind="matrix", allow_pipes=False):
        self._name, self._reader = rspecifier, TableReader(rspecifier, kind, allow_pipes)
        self._script, self._values = self._reader._script, {}
        if self._script is None:
            with self._reader:
                for key, where, load in self._reader:
                    if key in self._values:
                        raise TableError(f"{where}: key: got {key} again, need every key once. Write the archive again")
                    self._values[key] = load()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._reader.close()

    def __contains__(self, key):
        return key in (self._values if self._script is None else self._script)

    def __getitem__(self, key):
        if key not in self:
            raise TableError(f"{self._name}: key: got {key}, which is not there. Check that both tables come from the same data")
        return self._values[key] if self._script is None else self._reader._load(self._script[key])


open_random_table = RandomTable


class TableWriter:
    """Table being written: its files appear when the with-block ends well; else old ones stay as they were.

    Attributes
    ----------
    path : str or None
        The archive's file; None for a stream.
    """

    def __init__(self, wspecifier, kind="matrix"):
        if kind not in KINDS:
            raise TableError(f"{wspecifier!r}: kind of table: got {kind!r}, need one of {', '.join(KINDS)}")
        form, options, name = parse_specifier(wspecifier, {"b": "t", "t": "b", "f": "nf", "nf": "f", "p": "np"})
        ark, _, scp = name.partition(",") if form == "ark,scp" else (name, "", "")
        if form == "scp" or (form == "ark,scp" and (ark in ("", "-") or ark[0] == "|" or scp in ("", ark) or {ark[-1], scp[0]} & {" "})):
            raise TableError(f"{wspecifier!r}: not a table to write, need ark:file or ark,scp:archive,script. Name a file for the archive")
        self._kind, self._text, self._flush = kind, "t" in options, "f" in options
        self._archive, self._position, self._keys = ark, 0, set()
        self._outputs = [Output(ark)]
        self.path = ark if self._outputs[0].temporary else None
        if scp:
            try:
                self._outputs.append(Output(scp))
            except BaseException:
                self._discard()
                raise

    def write(self, key, value):
        """Append one entry.

        Raises
        ------
        TableError
            If the key is no word or comes again, the value does not fit the kind of table, or the disk is full.
        """
        if not is_word(key):
            raise TableError(f"{self._archive}: key: got {key!r}, need printable text without blanks. Rename the entry")
        if key in self._keys:
            raise TableError(f"{self._archive}: key: got {key} again, need every key once. Remove one of the entries")
        try:
            body = encode(value, self._kind, self._text)
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            got = f"shape {value.shape} of {value.dtype}" if isinstance(value, np.ndarray) else repr(value)[:40]
            raise TableError(
                f"{self._archive}: value of {key}: got {got}, need {KINDS[self._kind]} in range. Write a table of its kind"
            ) from None
        self._keys.add(key)
        head = key.encode() + b" "
        try:
            with self._outputs[0].errors():
                self._outputs[0].file.write(head)
                self._outputs[0].file.write(body)
            if len(self._outputs) > 1:
                with self._outputs[1].errors():
                    self._outputs[1].file.write(b"%s%s:%d\n" % (head, self._archive.encode(), self._position + len(head)))
            if self._flush:
                for output in self._outputs:
                    with output.errors():
                        output.file.flush()
        except TableError:
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
                if len(self._outputs) > 1 and self._outputs[1].temporary:
                    with suppress(FileNotFoundError):
                        os.unlink(self._outputs[1].target)  # at no moment may an old script file point into the new archive
                for output in self._outputs:
                    output.publish()
        finally:
            self._discard()


open_writer = TableWriter
