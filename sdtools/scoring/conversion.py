"""The command that turns a file of another form into lines of an utterance and a value."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Sequence

FOLDER, SUFFIX = r".*\/", r"\.[A-Za-z0-9]+$"  # of a sound file's path, for Python and for awk
OTHER_WORDS = ("genuine", "bonafide", "spoof", "target", "nontarget", "-")  # columns of keys


def conversion(
    path: str,
    lines: Sequence[bytes],
    parse: Callable[[str], object],
    known: Collection[str] = (),
) -> str:
    """Return a hint with the awk command for a file; empty if its columns cannot be told apart.

    Parameters
    ----------
    path
    lines
        The first two lines of the file.
    parse
        Reads a value; raises ValueError or KeyError for another word.
    known
        Names of utterances.

    Examples
    --------
    >>> conversion("cm.txt", [b"LA_0015 LA_E_1 6.9 bonafide"], float, {"LA_E_1"})
    "Convert it (awk '{print $2, $3}' cm.txt >converted.txt)"
    """
    rows = [line.decode(errors="replace").split() for line in lines[:2]]
    for number, words in enumerate(rows):
        values = [i for i, word in enumerate(words) if _fits(parse, word) and word not in known]
        if len(values) == 1 and len(words) > 1:
            column = _utterance(words, values[0], known)
            program = "; ".join(
                [*_substitutions(words[column], column, known), _print(column, *values)]
            )
            condition = "NR > 1 " * number
            return _command(path, f"{condition}{{{program}}}")
    return ""


def renaming(path: str, key: str, known: Collection[str]) -> str:
    """Return a hint with the awk command that makes a known name of `key`; empty if none does."""
    changes = _substitutions(key, 0, known)
    return _command(path, f"{{{'; '.join([*changes, _print(0, 1)])}}}") if changes else ""


def _fits(parse: Callable[[str], object], word: str) -> bool:
    """Whether a word is a value."""
    try:
        parse(word)
    except (ValueError, KeyError):
        return False
    return True


def _utterance(words: Sequence[str], value: int, known: Collection[str]) -> int:
    """The column of the utterance: a known one, else as in files of ASVspoof."""
    for column, word in enumerate(words):
        if column != value and (word in known or _substitutions(word, column, known)):
            return column
    if value == 0 or value >= 4:  # protocols begin with speaker and utterance
        return 1
    return 0 if words[value - 1] in OTHER_WORDS else value - 1


def _substitutions(word: str, column: int, known: Collection[str]) -> list[str]:
    """The statements of awk that make a known name of a word."""
    if word in known:
        return []
    for patterns in ((SUFFIX,), (FOLDER,), (FOLDER, SUFFIX)):
        name = word
        for pattern in patterns:
            name = re.sub(pattern, "", name)
        if name in known:
            return [f'gsub(/{pattern}/, "", ${column + 1})' for pattern in patterns]
    return []


def _print(utterance: int, value: int) -> str:
    return f"print ${utterance + 1}, ${value + 1}"


def _command(path: str, program: str) -> str:
    if path in ("", "-") or path.endswith("|"):
        return f"Pass it through a filter (awk '{program}')"
    return f"Convert it (awk '{program}' {shlex.quote(path)} >converted.txt)"
