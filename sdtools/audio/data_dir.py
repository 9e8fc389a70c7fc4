"""Kaldi data directories: wav.scp, utt2spk, spk2utt and further tables utt2<name>."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sdtools.files import open_whole


def write_table(path: Path, rows: Iterable[tuple[str, object]]) -> None:
    """Write lines `<key> <value>`; the file appears whole or not at all."""
    lines = "".join(f"{key} {value}\n" for key, value in rows)
    with open_whole(path) as file:
        file.write(lines.encode(errors="surrogateescape"))  # paths may have any bytes


def write_data_dir(folder: Path, tables: Mapping[str, Mapping[str, object]]) -> None:
    """Write tables, {file name: {utterance: value}}, sorted by utterance, and spk2utt."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_table(folder / name, sorted(table.items()))
    utts_of: dict[object, list[str]] = {}
    for utt, speaker in sorted(tables["utt2spk"].items()):
        utts_of.setdefault(speaker, []).append(utt)
    spk2utt = sorted((str(speaker), " ".join(utts)) for speaker, utts in utts_of.items())
    write_table(folder / "spk2utt", spk2utt)
