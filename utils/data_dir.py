"""Kaldi data directories as `{file name: {key: value}}`: keys of each file, reading with file:line errors, subsets, atomic writing."""

import argparse
import os
import re
import sys
from math import inf
from pathlib import Path

BLANK = " \t\r\n\v\f"
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
    """Print one line to stderr under the script's name."""
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)


def run(main):
    """Exit with the status of `main()`; bad input becomes one line and status 1."""
    try:
        sys.exit(main())
    except (ValueError, OSError) as error:
        say(error)
        sys.exit(1)


def byte_order(key):
    """Sort key of LC_ALL=C."""
    return key.encode("utf-8", "surrogateescape")


def fields(text, max_splits=0):
    """Words of `text` between ASCII blanks, as C, awk and Kaldi see them."""
    text = text.strip(BLANK)
    return re.split(r"\s+", text, maxsplit=max_splits, flags=re.ASCII) if text else []


def _between(words, low, high):
    """Whether `words` is one number inside the open interval."""
    try:
        return len(words) == 1 and low < float(words[0]) < high
    except ValueError:
        return False


def _is_segment(words):
    """Whether `words` are a recording, a start and a later end."""
    return len(words) == 3 and _between(words[1:2], -inf, inf) and _between(words[2:], float(words[1]), inf)


_DURATION = (lambda v: _between(v, 0, inf), "a number of seconds above 0")
_WARP = (lambda v: _between(v, 0.5, 1.5), "a number between 0.5 and 1.5")
_FORMS = {  # file name: (test of the words after the key, what is needed there)
    "text": (lambda v: True, ""),
    "utt2spk": (lambda v: len(v) == 1, "exactly one speaker"),
    "utt2label": (lambda v: v in (["genuine"], ["spoof"]), "genuine or spoof"),
    "utt2dur": _DURATION,
    "reco2dur": _DURATION,
    "utt2num_frames": (lambda v: _between(v, 0, inf) and float(v[0]).is_integer(), "a whole number above 0"),
    "utt2warp": _WARP,
    "spk2warp": _WARP,
    "spk2gender": (lambda v: v in (["m"], ["f"]), "m or f"),
    "segments": (_is_segment, "'<recording> <start> <end>' with end > start, in seconds"),
    "reco2file_and_channel": (lambda v: len(v) == 2 and v[1] in ("A", "B", "1"), "'<file> <channel>' with channel A or B"),
    "wav.scp": (lambda v: v and not v[0].startswith("~"), "a path without ~, or a command that ends in |"),
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
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            key, value = [*fields(line, 1), "", ""][:2]
            if not key:
                report(f"{path}:{number}: got an empty line, need a key and a value. Delete the line")
            elif key in table:
                report(f"{path}:{number}: got {key!r} a second time, need each key once. Delete one of its lines")
            elif not valid(fields(value)):
                report(f"{path}:{number}: got {value[:80]!r} for {key!r}, need {need}. Correct the line")
            else:
                table[key] = value
    return table


def kind_of(name):
    """What the file `name` of a data directory is keyed by: utt, spk, reco, or None where it is no table of ours."""
    if name in SPEAKER_TABLES:
        return "spk"
    if name in RECORDING_TABLES:
        return "reco"
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
    recordings = {utt: fields(value)[0] for utt, value in data["segments"].items()} if "segments" in data else utts
    return {"utt": utts, "spk": data["utt2spk"], "reco": recordings}


def subset(data, maps, utts):
    """The tables restricted to `utts`, their speakers and recordings; `maps` are `key_maps(data)`."""
    keys = {kind: dict.fromkeys(keys[utt] for utt in utts if utt in keys) for kind, keys in maps.items()}
    return {name: {key: table[key] for key in keys[kind_of(name)] if key in table} for name, table in data.items()}


def spk2utt(utt2spk):
    """The inverse of `utt2spk`."""
    table = {}
    for utt in sorted(utt2spk, key=byte_order):
        table.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: " ".join(utts) for speaker, utts in table.items()}


def render(table):
    """Bytes of a table, in byte order."""
    return b"".join(byte_order(f"{key} {table[key]}".rstrip(BLANK) + "\n") for key in sorted(table, key=byte_order))


def changes(directory, data):
    """`{file name: its new bytes, None = to be removed}`: what keeps `directory` from holding exactly `data`; utt2spk comes last."""
    old = {path.name: path for path in Path(directory).glob("*") if path.name == "spk2utt" or kind_of(path.name)}
    new = {name: render(table) for name, table in {**data, "spk2utt": spk2utt(data["utt2spk"])}.items()}
    changed = {name: new.get(name) for name in old.keys() | new.keys() if name not in old or old[name].read_bytes() != new.get(name)}
    return dict(sorted(changed.items(), key=lambda item: (item[0] == "utt2spk", item[0])))


def write_dir(directory, data):
    """Make `directory` hold exactly the tables `data` and spk2utt; files of other kinds, and tables that are right already, stay."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in changes(directory, data).items():
        if content is None:
            (directory / name).unlink()
        else:
            write_file(directory / name, content)


def write_file(path, content):
    """Replace a file as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
