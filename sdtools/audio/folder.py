"""Sound files of a folder, and their names as keys and paths of tables."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import soundfile

from sdtools.audio.containers import HEAD_BYTES, container_of
from sdtools.errors import SdError, warn

# What libsndfile and PyAV read, by the usual names; other files are sounds if their first bytes say
# so. A damaged file with such a name is an error of the reader.
SUFFIXES = {f".{kind.lower()}" for kind in soundfile.available_formats()} - {".raw"}
SUFFIXES |= {".aif", ".aifc", ".bwf", ".mp2", ".oga", ".opus", ".snd", ".sph", ".wave", ".wv"}
SUFFIXES |= {".3gp", ".aac", ".amr", ".m4a", ".mka", ".mp4", ".webm", ".wma"}
MAX_REASONS = 6  # in a message


def find_sounds(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of all sound files in a folder and below, sorted.

    Links are followed, but not back to a folder above. A file with another suffix than those of
    sounds is taken if its first bytes are those of a sound. What is left out is counted in one
    warning, except hidden files (`.name`).

    Raises
    ------
    SdError
        If there is no such folder, or no sound file in it.
    """
    if not os.path.isdir(folder):
        raise SdError(folder, "no such folder", hint="Check the path")
    left_out: dict[str, str] = {}
    paths = _files_below(os.fspath(folder), left_out)
    found = []
    for path in paths:
        if reason := _why_not(path):
            left_out[path] = reason
        else:
            found.append(Path(path))
    what = describe_left_out(left_out, folder)
    if not found:
        hint = f"{what}. Check the path" if what else "Check the path"
        raise SdError(folder, "this folder has no sound file", hint=hint)
    if what:
        warn(folder, what, stacklevel=2)
    return sorted(found)


def describe_left_out(reasons: Mapping[str, str], folder: str | os.PathLike[str]) -> str:
    """Return how many files are left out, by reason, and which is the first; nothing if none is.

    Examples
    --------
    >>> describe_left_out({"a/x.txt": ".txt", "a/y.txt": ".txt", "a/z": "without suffix"}, "a")
    '3 files left out: 2 .txt, 1 without suffix; the first is x.txt'
    """
    if not reasons:
        return ""
    counts = Counter(reasons.values()).most_common()
    parts = [f"{number} {reason}" for reason, number in counts[:MAX_REASONS]]
    if rest := sum(number for _, number in counts[MAX_REASONS:]):
        parts.append(f"{rest} others")
    first = os.path.relpath(min(reasons), folder)
    noun = "file" if len(reasons) == 1 else "files"
    return f"{len(reasons)} {noun} left out: {', '.join(parts)}; the first is {first}"


def _why_not(path: str) -> str:
    """Why a file is no sound to take; nothing if it is one."""
    suffix = os.path.splitext(path)[1].lower()
    is_sound = suffix in SUFFIXES
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "pipes or devices"
        if is_sound:
            return ""
        with open(path, "rb", 0) as file:
            if container_of(file.read(HEAD_BYTES)):
                return ""
    except OSError:  # the reader reports a sound that is a broken link
        return "" if is_sound else "unreadable"
    return suffix or "without suffix"


def _files_below(folder: str, unreadable: dict[str, str]) -> Iterable[str]:
    """All files in a folder and below that are not hidden; folders that cannot be listed."""

    def report(error: OSError) -> None:
        unreadable[error.filename] = "unreadable"

    # Folders still to be entered: the real paths of each and of those above it.
    above = {folder: {os.path.realpath(folder)}}
    for place, below, names in os.walk(folder, onerror=report, followlinks=True):
        chain = above.pop(place)
        real = {name: os.path.realpath(os.path.join(place, name)) for name in below}
        below[:] = [name for name in below if real[name] not in chain]
        above |= {os.path.join(place, name): chain | {real[name]} for name in below}
        yield from (os.path.join(place, name) for name in names if not name.startswith("."))


def as_word(text: str) -> str:
    """Return a text as a word for tables: `_` for blanks and characters that do not print.

    Examples
    --------
    >>> as_word("take 1")
    'take_1'
    """
    return "".join(char if char.isprintable() else "_" for char in "_".join(text.split()))


def check_path(path: str | os.PathLike[str]) -> str:
    """Return a path that can stand in a line of wav.scp.

    Raises
    ------
    SdError
        If a reader of wav.scp would take it for something else.
    """
    text = os.fspath(path)
    if re.search("[\n\ud800-\udfff]|[]|]$|:[0-9]+$", text):
        need = "UTF-8 in one line that does not end with |, ] or :number"
        raise SdError(text, "wav.scp cannot hold this name", need=need, hint="Rename the file")
    return text


def name_sounds(folder: str | os.PathLike[str]) -> dict[str, tuple[Path, str]]:
    """Return {key: (path, speaker)} of all sound files in a folder and below.

    Raises
    ------
    SdError
        If two files have the same key, or wav.scp cannot hold a path.
    """
    sounds: dict[str, tuple[Path, str]] = {}
    for path in find_sounds(folder):
        key, speaker = name_sound(path, folder)
        if key in sounds:
            what = f"{sounds[key][0]} has the same key {key}"
            raise SdError(path, what, hint="Rename one of the files")
        check_path(os.path.abspath(path))
        sounds[key] = path, speaker
    return sounds


def name_sound(path: Path, folder: str | os.PathLike[str]) -> tuple[str, str]:
    """Return (key, speaker) of a sound file below a folder.

    The speaker is the name of the subfolder, else the part of the file's name before the first `-`,
    else the whole name. The key is `<speaker>-<name>`. The speaker has no character that sorts
    before `-`, so keys and speakers sort alike, as Kaldi needs.

    Examples
    --------
    >>> name_sound(Path("live/anna/take 1.wav"), "live"), name_sound(Path("live/ben-2.wav"), "live")
    (('anna-take_1', 'anna'), ('ben-2', 'ben'))
    """
    words = [as_word(part) for part in (*path.relative_to(folder).parent.parts, path.stem)]
    if len(words) == 1 and "-" in words[0].strip("-"):
        words = words[0].strip("-").split("-", 1)
    speaker = re.sub(r"\W", "_", words[0])
    return "-".join([speaker, *words[1:]]), speaker
