"""Kaldi data directories as `{file name: {key: value}}`, all bytes: reading with file:line errors, subsets, repair, writing at once."""

import argparse
import gc
import os
import re
import shutil
import sys
from itertools import count
from math import inf
from pathlib import Path

HOST = os.uname().nodename
UTTERANCE_TABLE = re.compile(r"text|segments|feats\.scp|vad\.scp|utt2\w+", re.ASCII)
SPEAKER_TABLES = ("cmvn.scp", "spk2gender", "spk2warp")  # spk2utt is always derived from utt2spk
RECORDING_TABLES = ("wav.scp", "reco2dur", "reco2file_and_channel")  # a recording is an utterance where there is no file segments


class Parser(argparse.ArgumentParser):
    """Command line whose --help is the script's docstring and whose errors are one line."""

    def __init__(self, doc):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message):
        """Exit with status 1, as Kaldi's scripts do."""
        self.exit(1, f"{self.prog}: {message}. See {self.prog} --help\n")


def say(message):
    """Print one line to stderr under the script's name, whatever names are in it."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(message))
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)


def run(main):
    """Exit with the status of `main()`; bad input becomes one line and status 1."""
    gc.disable()  # tables have no cycles, but millions of entries to look through
    sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8
    try:
        status = main()
        sys.stdout.flush()
    except OSError as error:
        say(f"{error.filename or 'input/output'}: {error.strerror}")
        status = 1
    except ValueError as error:
        say(error)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.stderr.flush()
    os._exit(status or 0)  # a pipe that was closed has been reported; freeing the tables would take seconds


def show(word):
    """`word` as it stands in messages."""
    return repr(word.decode(errors="surrogateescape"))


def _number(low, high, whole=False):
    """Test whether a value is one number inside the open interval."""

    def valid(value):
        try:
            number = float(value)
            return low < number < high and (not whole or number.is_integer())
        except ValueError:
            return False

    return valid


def _is_segment(value):
    """Whether `value` is a recording, a start and a later end."""
    try:
        _, start, end = value.split()
        return 0 <= float(start) < float(end) < inf
    except ValueError:
        return False


_DURATION = (_number(0, inf), "a number of seconds above 0")
_WARP = (_number(0.5, 1.5), "a number between 0.5 and 1.5")
_FORMS = {  # file name: (test of what follows the key, what is needed there)
    "text": (lambda value: True, ""),
    "utt2spk": (lambda value: len(value.split()) == 1, "exactly one speaker"),
    "utt2label": ((b"genuine", b"spoof").__contains__, "genuine or spoof"),
    "utt2dur": _DURATION,
    "reco2dur": _DURATION,
    "utt2num_frames": (_number(0, inf, whole=True), "a whole number above 0"),
    "utt2warp": _WARP,
    "spk2warp": _WARP,
    "spk2gender": ((b"m", b"f").__contains__, "m or f"),
    "segments": (_is_segment, "'<recording> <start> <end>' with end > start >= 0, in seconds"),
    "reco2file_and_channel": (re.compile(rb"\S+\s+[AB1]").fullmatch, "'<file> <channel>' with channel A or B"),
    "wav.scp": (re.compile(rb"[^~]").match, "a path without ~, or a command that ends in |"),
    "frame_shift": (lambda value: not value, "nothing but a number of seconds"),
}


def fail(message):
    """Raise ValueError: what `read_table` does with a bad line unless told otherwise."""
    raise ValueError(message)


def read_table(path, report=fail, form=None):
    """`{key: value}` of one file in its own order; each line that cannot be used goes to `report` and is left out.

    `form` is the file name whose rules hold, by default the path's own.
    """
    valid, need = _FORMS.get(form or os.path.basename(path), (bool, "a value after the key"))
    table = {}
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            key, value = (*line.split(None, 1), b"", b"")[:2]  # between ASCII blanks, as C, awk and Kaldi see them
            value = value.rstrip()
            if not key:
                report(f"{path}:{number}: got an empty line, need a key and a value. Delete the line")
            elif key in table:
                report(f"{path}:{number}: got {show(key)} a second time, need each key once. Delete one of its lines")
            elif not valid(value):
                report(f"{path}:{number}: got {show(value[:80])} for {show(key)}, need {need}. Correct the line")
            else:
                table[key] = value
    return table


def kind_of(name):
    """What the file `name` of a data directory is keyed by: utt, spk, reco, dir for its one value, or None where it is no table of ours."""
    if name in SPEAKER_TABLES:
        return "spk"
    if name in RECORDING_TABLES:
        return "reco"
    if name == "frame_shift":
        return "dir"
    return "utt" if UTTERANCE_TABLE.fullmatch(name) else None


def read_dir(directory, report=fail):
    """All tables of a data directory but spk2utt."""
    directory = Path(directory)
    if not (directory / "utt2spk").is_file():
        raise ValueError(f"{directory}: got no file utt2spk there, need a data directory. Check the path")
    data = {path.name: read_table(path, report) for path in sorted(directory.iterdir()) if kind_of(path.name) and path.is_file()}
    if not data["utt2spk"]:
        report(f"{directory}/utt2spk: got no utterances, need at least one. Prepare the directory again")
    return data


def key_maps(data):
    """`{kind: {utterance: the key it has in tables of that kind}}`."""
    utts = {utt: utt for utt in data["utt2spk"]}
    recordings = {utt: value.split(None, 1)[0] for utt, value in data["segments"].items()} if "segments" in data else utts
    return {
        "utt": utts,
        "spk": data["utt2spk"],
        "reco": recordings,
        "dir": dict.fromkeys(utts, next(iter(data.get("frame_shift", ())), b"")),
    }


def subset(data, maps, utts):
    """The tables restricted to `utts`, their speakers and recordings; `maps` are `key_maps(data)`."""
    keys = {kind: dict.fromkeys(keys[utt] for utt in utts if utt in keys) for kind, keys in maps.items()}
    return {name: {key: table[key] for key in keys[kind_of(name)] if key in table} for name, table in data.items()}


def fix(directory, data):
    """The tables restricted to the utterances that all of them but vad.scp have; `directory` is for messages."""
    utts = sorted(data["utt2spk"])
    maps, kept = key_maps(data), set(utts)
    for name, table in data.items():
        lost = [utt for utt in utts if maps[kind_of(name)].get(utt) not in table]
        if lost and name not in ("vad.scp", "frame_shift"):
            words = b" ".join(lost).decode(errors="surrogateescape")
            say(f"{directory}/{name}: lacks {len(lost)} utterances: {words}")
            kept.difference_update(lost)
    if not kept:
        raise ValueError(f"{directory}: got no utterance that is in all files, need at least one. Compare the keys; nothing was changed")
    speakers = [data["utt2spk"][utt] for utt in utts if utt in kept]
    if speakers != sorted(speakers):
        raise ValueError(
            f"{directory}/utt2spk: got utterances that sort differently from their speakers, need one order for both."
            " Make the speaker and '-' the beginning of every utterance name; nothing was changed"
        )
    say(f"{directory}: kept " + (f"{len(kept)} utterances out of {len(utts)}" if len(kept) < len(utts) else f"all {len(utts)} utterances"))
    return subset(data, maps, [utt for utt in utts if utt in kept])


def spk2utt(utt2spk):
    """The inverse of `utt2spk`."""
    table = {}
    for utt in sorted(utt2spk):
        table.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: b" ".join(utts) for speaker, utts in table.items()}


def render(table):
    """Bytes of a table, in byte order (LC_ALL=C)."""
    return b"".join([(key + b" " + table[key]).rstrip() + b"\n" for key in sorted(table)])


def need_another(dest, sources):
    """Refuse a destination that is one of the sources."""
    if dest.resolve() in [source.resolve() for source in sources]:
        raise ValueError(f"{dest}: got the destination among the sources, need another directory. Name a new one")


def write_dir(directory, data, back_up=True):
    """Make `directory` hold exactly the tables `data` and spk2utt; files of other kinds, and tables that are right already, stay.

    All new files are whole before the first old one goes, utt2spk last. Old files stay in the first free one of .backup, .backup2, ...
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    old = {path.name: path for path in directory.iterdir() if path.name == "spk2utt" or kind_of(path.name)}
    new = {name: render(table) for name, table in {**data, "spk2utt": spk2utt(data["utt2spk"])}.items()}
    changed = sorted(name for name in old.keys() | new.keys() if name not in old or old[name].read_bytes() != new.get(name))
    changed.sort(key=lambda name: name == "utt2spk")
    if back_up and not old.keys().isdisjoint(changed):
        backup = next(path for n in count(1) if not (path := directory / f".backup{n if n > 1 else ''}").exists())
        backup.mkdir()
        for name in old.keys() & changed:
            shutil.copy2(old[name], backup / name)
        say(f"{directory}: old files are kept in {backup}")
    remove_leftovers(directory)
    temporary = {name: directory / f".{name}.{HOST}-{os.getpid()}.tmp" for name in changed if name in new}
    try:
        for name, path in temporary.items():
            with open(path, "wb") as file:
                file.write(new[name])
                file.flush()
                os.fsync(file.fileno())
        for name in changed:
            if name in new:
                os.replace(temporary[name], directory / name)
            else:
                old[name].unlink(missing_ok=True)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def remove_leftovers(directory):
    """Remove the temporary files of processes of this host that were killed."""
    for path in directory.glob(".*.tmp"):
        if match := re.fullmatch(rf"\..+\.{re.escape(HOST)}-(\d+)\.tmp", path.name):
            try:
                os.kill(int(match[1]), 0)
            except ProcessLookupError:
                path.unlink(missing_ok=True)
            except PermissionError:  # somebody else's, alive
                pass
