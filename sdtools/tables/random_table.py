"""Kaldi tables read by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sdtools.errors import SdError
from sdtools.tables.script_files import index_pairs
from sdtools.tables.table import Entry, TableReader


class RandomTable:
    """Values of a table by key, `table[key]` and `key in table`, read when they are needed.

    No key may come twice. From a script file, every value is read anew. An archive is read as
    far as needed, and what was read stays in memory; the options bound time and memory as in
    Kaldi:

    - `o`: a value is returned once, and then freed;
    - `s`: the keys are in byte order, also of a script file, and the search for an absent key
      ends at its place;
    - `s,cs`: the keys are requested in that order, too, and only one value is kept;
    - `p`: bad entries are absent, counted in `num_skipped`, and give a warning.

    Parameters
    ----------
    rspecifier, kind, allow_pipes
        As in `open_table`.

    Raises
    ------
    SdError
        If the table cannot be opened, or later if a key or its order is not as promised.
    """

    def __init__(self, rspecifier: str, kind: str = "matrix", allow_pipes: bool = False):
        self._name, self._reader = rspecifier, TableReader(rspecifier, kind, allow_pipes)
        options = self._reader.options
        self._permissive, self._sorted = "p" in options, "s" in options
        self._called_sorted, self._once = {"s", "cs"} <= options, "o" in options
        self._values: dict[str, Any] = {}
        self._last_read = self._last_asked = ""
        self._error: SdError | None = None
        self._script: dict[str, str] | None = None
        self._entries: Iterator[Entry] = iter(())
        if self._reader.script is None:
            self._entries = iter(self._reader)
        else:
            self._script = index_pairs(self._reader.script, self._reader.name)
            for key in self._script if self._sorted else ():
                self._check_order(key, self._reader.name)

    @property
    def num_skipped(self) -> int:
        """Bad entries met so far under option `p`."""
        return self._reader.num_skipped

    def __enter__(self) -> RandomTable:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        try:
            if exc_type is None and self._error is None:
                self._reader.check_command()
        finally:
            self._reader.close()

    def __contains__(self, key: str) -> bool:
        if self._script is None:
            return self._is_in_archive(key)
        return self._is_in_script(key, self._script)

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            hint = "Check that both tables come from the same data"
            raise SdError(self._name, f"key {key} is not in this table", hint=hint)
        if self._script is not None:
            if self._permissive:
                return self._values.pop(key)
            return self._reader.load(self._script[key])
        value = self._values[key]
        if self._once and not self._called_sorted:
            self._values[key] = None
        return value

    def _check_order(self, key: str, where: str) -> None:
        """Refuse a key that does not sort after the previous one."""
        if key <= self._last_read:
            got, need = f"{key} after {self._last_read}", "byte order under option s"
            hint = "Sort with LC_ALL=C, or leave out the option"
            raise SdError(where, "key", got=got, need=need, hint=hint)
        self._last_read = key

    def _is_in_script(self, key: str, script: dict[str, str]) -> bool:
        """Whether the script file has the key, and under option p a value for it."""
        if self._permissive and key in script and key not in self._values:
            try:
                self._values = {key: self._reader.load(script[key])}
            except SdError as e:
                self._reader.skip(e, f"{self._name}: {key} skipped")
                del script[key]
        return key in script

    def _is_in_archive(self, key: str) -> bool:
        """Whether the archive has the key; it is read as far as needed."""
        if self._called_sorted and key < self._last_asked:
            got, need = f"{key} after {self._last_asked}", "byte order under option cs"
            raise SdError(
                self._name, "requested key", got=got, need=need, hint="Sort the other table"
            )
        self._last_asked = key
        while key not in self._values and not (self._sorted and key <= self._last_read):
            if not self._read_on():
                break
        if self._values.get(key, key) is None:
            got, need = f"{key} again", "every key once under option o"
            raise SdError(
                self._name, "requested key", got=got, need=need, hint="Leave out the option"
            )
        return key in self._values

    def _read_on(self) -> bool:
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
                got, hint = f"{entry.key} again", "Write the archive again"
                raise SdError(entry.where, "key", got=got, need="every key once", hint=hint)
        except SdError as e:
            self._error = e  # kept, because a key after the damage may exist
            raise
        if self._called_sorted:
            self._values.clear()
        self._values[entry.key] = entry.load()
        return True


open_random_table = RandomTable
