"""Kaldi data directories as `{file name: {key: value}}`, all bytes: read, cut, repair, write."""

import argparse
import codecs
import gc
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from math import inf
from pathlib import Path

from files import remove_leftovers, write_whole
from messages import Problem, say, status_of

Table = dict[bytes, bytes]
Data = dict[str, Table]

UTTERANCE_TABLE = re.compile(r"text|segments|feats\.scp|vad\.scp|utt2\w+", re.ASCII)
LABELS = (b"genuine", b"spoof")
OTHER_LABELS = {b"bonafide": b"genuine"}  # words of the ASVspoof challenges
SPEAKER_TABLES = ("cmvn.scp", "spk2gender", "spk2warp")  # spk2utt is always derived from utt2spk
# Without a file segments each utterance is a recording.
RECORDING_TABLES = ("wav.scp", "reco2dur", "reco2file_and_channel")


class Parser(argparse.ArgumentParser):
    """Command line whose --help is the script's docstring and whose errors are one line."""

    def __init__(self, doc: str) -> None:
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(description=doc, formatter_class=form, allow_abbrev=False)

    def error(self, message: str) -> None:
        """Exit with status 1, as Kaldi's scripts do."""
        self.exit(1, f"{self.prog}: {message}. See {self.prog} --help\n")


def run(main: Callable[[], int | None]) -> None:
    """Exit with the status of `main()`; a Problem is one line and status 1."""

    def to_the_end() -> int | None:
        status = main()
        sys.stdout.flush()
        return status

    gc.disable()  # tables have no cycles, but millions of entries to look through
    sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8
    try:
        status = status_of(to_the_end)
    except KeyboardInterrupt:
        status = 130
    sys.stderr.flush()
    os._exit(status)  # freeing the tables would take seconds; a closed pipe is reported already


def show(word: bytes) -> str:
    """`word` in quotes for messages."""
    return repr(word.decode(errors="surrogateescape"))


def show_all(words: Iterable[bytes]) -> str:
    """Several words for messages."""
    return b" ".join(words).decode(errors="surrogateescape")


def number(word: bytes | str) -> float:
    """`word` as a number; `1_0`, which Python reads as 10, is none."""
    if (b"_" if isinstance(word, bytes) else "_") in word:
        raise ValueError(word)
    return float(word)


def whole_number(text: str) -> int:
    """The argument of a script that is a whole number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)


def _number(low: float, high: float, whole: bool = False) -> Callable[[bytes], bool]:
    """Test whether a value is one number in the open interval."""

    def valid(value: bytes) -> bool:
        try:
            found = number(value)
            return low < found < high and (not whole or found.is_integer())
        except ValueError:
            return False

    return valid


def _is_segment(value: bytes) -> bool:
    """Whether `value` is a recording, a start and a later end."""
    try:
        _, start, end = value.split()
        return 0 <= number(start) < number(end) < inf
    except ValueError:
        return False


_DURATION = (_number(0, inf), "a number of seconds above 0")
_WARP = (_number(0.5, 1.5), "a number between 0.5 and 1.5")
_FORMS = {  # file name: (test of the value, expected form)
    "text": (lambda value: True, ""),
    "utt2spk": (lambda value: len(value.split()) == 1, "exactly one speaker"),
    "utt2label": (LABELS.__contains__, "genuine or spoof"),
    "utt2dur": _DURATION,
    "reco2dur": _DURATION,
    "utt2num_frames": (_number(0, inf, whole=True), "a whole number above 0"),
    "utt2warp": _WARP,
    "spk2warp": _WARP,
    "spk2gender": ((b"m", b"f").__contains__, "m or f"),
    "segments": (_is_segment, "<recording> <start> <end> in seconds with end > start >= 0"),
    "reco2file_and_channel": (
        re.compile(rb"\S+\s+[AB1]").fullmatch,
        "<file> <channel> with channel A or B",
    ),
    "wav.scp": (re.compile(rb"[^~]").match, "a path without ~, or a command that ends in |"),
    "frame_shift": (lambda value: not value, "only a number of seconds"),
}


def fail(problem: Problem) -> None:
    """Raise `problem`."""
    raise problem


def read_table(
    path: Path | str, report: Callable[[Problem], None] = fail, form: str | None = None
) -> Table:
    """`{key: value}` of one file in its own order.

    Each line that is not valid goes to `report` and is left out. `form` is the file name whose
    rules hold, by default that of the path. Byte order marks and a blank last line are skipped.
    ASVspoof's word for a genuine utterance becomes ours, which is reported on stderr.
    """
    form = form or os.path.basename(path)
    valid, need = _FORMS.get(form, (bool, "a value"))
    table, num_other_labels = {}, 0
    for place, key, value in _lines(path):
        if form == "utt2label" and value in OTHER_LABELS:
            value = OTHER_LABELS[value]
            num_other_labels += 1
        if not key:
            report(Problem(place, "the line is empty", hint="Delete it"))
        elif key in table:
            hint = "Delete one of its lines"
            report(Problem(place, f"the key {show(key)} appears twice", hint=hint))
        elif not valid(value):
            what, got = f"value of {show(key)}", show(value[:80])
            report(Problem(place, what, got=got, need=need, hint="Correct the line"))
        else:
            table[key] = value
    if num_other_labels:
        words = " ".join(word.decode() for word in OTHER_LABELS)
        say(f"{path}: {words!r} is taken as genuine (lines: {num_other_labels})")
    return table


def _lines(path: Path | str) -> Iterator[tuple[str, bytes, bytes]]:
    """Place, key and value of each line."""
    lines = Path(path).read_bytes().removesuffix(b"\n").split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    for place, line in enumerate(lines, 1):
        # between ASCII blanks, as in C, awk and Kaldi
        words = line.removeprefix(codecs.BOM_UTF8).split(None, 1)
        key, value = (*words, b"", b"")[:2]
        yield f"{path}:{place}", key, value.rstrip()


def kind_of(name: str) -> str | None:
    """Kind of the keys of a file: utt, spk, reco, dir (one value); None if it is not a table."""
    if name in SPEAKER_TABLES:
        return "spk"
    if name in RECORDING_TABLES:
        return "reco"
    if name == "frame_shift":
        return "dir"
    return "utt" if UTTERANCE_TABLE.fullmatch(name) else None


def read_dir(directory: Path, report: Callable[[Problem], None] = fail) -> Data:
    """All tables of a data directory except spk2utt."""
    directory = Path(directory)
    if not (directory / "utt2spk").is_file():
        what = "this is not a data directory, it has no file utt2spk"
        raise Problem(directory, what, hint="Check the path")
    data = {
        path.name: read_table(path, report)
        for path in sorted(directory.iterdir())
        if kind_of(path.name) and path.is_file()
    }
    if not data["utt2spk"]:
        hint = "Prepare the directory again"
        raise Problem(directory / "utt2spk", "there are no utterances", hint=hint)
    return data


def key_maps(data: Data) -> dict[str, Table]:
    """`{kind: {utterance: its key in tables of that kind}}`."""
    utts = {utt: utt for utt in data["utt2spk"]}
    recordings = utts
    if "segments" in data:
        recordings = {utt: value.split(None, 1)[0] for utt, value in data["segments"].items()}
    return {
        "utt": utts,
        "spk": data["utt2spk"],
        "reco": recordings,
        "dir": dict.fromkeys(utts, next(iter(data.get("frame_shift", ())), b"")),
    }


def subset(data: Data, maps: dict[str, Table], utts: Iterable[bytes]) -> Data:
    """The tables of `utts`, their speakers and recordings; `maps` is `key_maps(data)`."""
    keys = {
        kind: dict.fromkeys(keys[utt] for utt in utts if utt in keys) for kind, keys in maps.items()
    }
    return {
        name: {key: table[key] for key in keys[kind_of(name)] if key in table}
        for name, table in data.items()
    }


def report_extra(directory: Path, data: Data, maps: dict[str, Table]) -> None:
    """Report the lines that belong to no utterance, which `subset` leaves out."""
    for name, table in data.items():
        if extra := sorted(table.keys() - set(maps[kind_of(name)].values())):
            what = f"lines of no utterance of utt2spk are left out: {len(extra)}, the first"
            say(f"{directory}/{name}: {what} {show(extra[0])}")


def fix(directory: Path, data: Data) -> Data:
    """The tables of the utterances that all of them have; vad.scp does not count.

    `directory` is for messages.
    """
    utts = sorted(data["utt2spk"])
    maps, kept = key_maps(data), set(utts)
    report_extra(directory, data, maps)
    for name, table in data.items():
        keys = maps[kind_of(name)]
        lost = [utt for utt in utts if keys.get(utt) not in table]
        if lost and name not in ("vad.scp", "frame_shift"):
            what = f"{len(lost)} utterances are missing: {show_all(lost)}"
            say(f"{directory}/{name}: {what}")
            kept.difference_update(lost)
    if not kept:
        hint = "Compare the keys; nothing was changed"
        raise Problem(directory, "no utterance is in all files", hint=hint)
    speakers = [data["utt2spk"][utt] for utt in utts if utt in kept]
    if speakers != sorted(speakers):
        raise Problem(
            f"{directory}/utt2spk",
            "utterances and speakers are in different orders",
            hint="Begin every utterance name with the speaker and '-'; nothing was changed",
        )
    all_or_some = f"{len(kept)} of {len(utts)}" if len(kept) < len(utts) else f"all {len(utts)}"
    say(f"{directory}: kept {all_or_some} utterances")
    return subset(data, maps, [utt for utt in utts if utt in kept])


def spk2utt(utt2spk: Table) -> Table:
    """The inverse of `utt2spk`."""
    table = {}
    for utt in sorted(utt2spk):
        table.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: b" ".join(utts) for speaker, utts in table.items()}


def render(table: Table) -> bytes:
    """Content of the file of a table, in byte order (LC_ALL=C)."""
    return b"".join([(key + b" " + table[key]).rstrip() + b"\n" for key in sorted(table)])


def need_another(dest: Path, sources: list[Path]) -> None:
    """Refuse a destination that is one of the sources."""
    if dest.resolve() in [source.resolve() for source in sources]:
        raise Problem(dest, "the destination is also a source", hint="Name another directory")


def write_dir(directory: Path, data: Data, back_up: bool = True) -> None:
    """Make `directory` contain exactly the tables `data` and spk2utt.

    Tables that are right already and files that are not tables stay. The files change together at
    the end, utt2spk last. The old ones are kept in the first free of .backup, .backup2, ...
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = [path.name for path in directory.iterdir()]
    old = {name: directory / name for name in names if name == "spk2utt" or kind_of(name)}
    tables = {**data, "spk2utt": spk2utt(data["utt2spk"])}
    new = {name: render(table) for name, table in tables.items()}
    changed = [
        name
        for name in sorted(old.keys() | new.keys())
        if name not in old or old[name].read_bytes() != new.get(name)
    ]
    changed.sort(key=lambda name: name == "utt2spk")
    if back_up and not old.keys().isdisjoint(changed):
        backups = (directory / f".backup{n if n > 1 else ''}" for n in count(1))
        backup = next(path for path in backups if not path.exists())
        backup.mkdir()
        for name in old.keys() & changed:
            shutil.copy2(old[name], backup / name)
        say(f"{directory}: old files are kept in {backup}")
    remove_leftovers(directory)
    write_whole({directory / name: new.get(name) for name in changed})
