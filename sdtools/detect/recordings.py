"""The recordings of a command line: sound files, folders and script files, one after the other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sdtools.audio.folder import as_word, find_sounds
from sdtools.errors import UsageError
from sdtools.tables.script_files import iter_scp


class Recording(NamedTuple):
    """A recording to judge.

    Parameters
    ----------
    file
        A sound file, a value of a script file, or - for standard input.
    utt
        Its key in the script file; None without one.
    """

    file: str
    utt: str | None = None

    @property
    def name(self) -> str:
        """What lines for people begin with."""
        return f"{self.utt} {self.file}" if self.utt else self.file

    @property
    def key(self) -> str:
        """One word for Kaldi's tables."""
        return self.utt or ("stdin" if self.file == "-" else as_word(self.file))


def find_recordings(names: Sequence[str]) -> tuple[Iterator[Recording], int | None]:
    """The recordings that sound files, folders and scp:<script-file> stand for, and their number.

    Script files are read twice, first to check and count their lines, and never held in memory. A
    list from a pipe is read once; then the number is None.

    Raises
    ------
    SdError
        If a folder has no sound files, or a script file cannot be read; of a list from a pipe the
        iterator raises it.
    """
    total: int | None = 0
    parts: list[Iterable[Recording]] = []
    for name in names:
        if not name:
            hint = "Check whether a variable of the shell is empty"
            raise UsageError("sound file", "the name is empty", hint=hint)
        number: int | None = 1
        if name.startswith("scp:"):
            parts.append(_listed(name[4:]))
            number = None if _is_read_once(name[4:]) else sum(1 for _ in iter_scp(name[4:]))
        elif os.path.isdir(name):
            files = [os.fspath(path) for path in find_sounds(name)]
            parts.append(map(Recording, files))
            number = len(files)
        else:
            parts.append([Recording(name)])
        total = None if total is None or number is None else total + number
    return itertools.chain.from_iterable(parts), total


def _listed(script_file: str) -> Iterator[Recording]:
    """The recordings of a script file."""
    return (Recording(file, utt) for utt, file in iter_scp(script_file))


def _is_read_once(rxfilename: str) -> bool:
    """Whether an input is a pipe or another stream."""
    is_pipe = rxfilename in ("", "-") or rxfilename.endswith("|")
    return is_pipe or (os.path.exists(rxfilename) and not os.path.isfile(rxfilename))
