"""Sound files of a folder, and their names as keys and paths of tables."""

from __future__ import annotations

import os
import re
from pathlib import Path

import soundfile

from sdtools.errors import SdError, warn

MORE_SUFFIXES = {".mp3", ".opus", ".aif"}  # that libsndfile reads but does not list
UNREADABLE = {".m4a", ".aac", ".amr", ".wma", ".webm", ".mp4", ".3gp", ".sph"}  # other sound files


def find_sounds(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of all sound files in a folder and below, sorted.

    Links are followed, but not back to a folder above. Warns of sound files that libsndfile cannot
    read, pipes and devices.

    Raises
    ------
    SdError
        If there is no sound file.
    """
    suffixes = {f".{kind.lower()}" for kind in soundfile.available_formats()} - {".raw"}
    suffixes |= MORE_SUFFIXES
    if not os.path.isdir(folder):
        raise SdError(folder, "no such folder", hint="Check the path")
    found: list[Path] = []
    others: list[Path] = []
    for path in _files_below(folder):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or suffix not in suffixes | UNREADABLE:
            continue
        is_file = path.is_file() or not path.exists()  # the reader reports a broken link
        (found if suffix in suffixes - UNREADABLE and is_file else others).append(path)
    if others:
        what = f"libsndfile cannot read {len(others)} files here, for example {others[0].name}"
        warn(folder, what, hint="Convert them to WAV", stacklevel=2)
    if not found:
        raise SdError(folder, "this folder has no sound file", hint="Check the path")
    return sorted(found)


def _files_below(folder: str | os.PathLike[str]) -> list[Path]:
    """All files in a folder and below."""
    paths: list[Path] = []
    # Folders still to be entered: the real paths of each and of those above it.
    above = {os.fspath(folder): {os.path.realpath(folder)}}
    for place, below, names in os.walk(folder, followlinks=True):
        chain = above.pop(place)
        real = {name: os.path.realpath(os.path.join(place, name)) for name in below}
        below[:] = [name for name in below if real[name] not in chain]
        above |= {os.path.join(place, name): chain | {real[name]} for name in below}
        paths += [Path(place, name) for name in names]
    return paths


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
