"""Replayed copies of a set of recordings, as sound files and tables."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from sdtools.audio.encoding import write_audio
from sdtools.errors import SdError
from sdtools.replay.simulation import (
    Devices,
    SimulationOptions,
    apply_attack,
    devices_of,
    draw_attack,
)
from sdtools.tables.table import Entry


class Copies:
    """The copies of a set of recordings: sound files in `folder`, and tables of a data directory.

    Parameters
    ----------
    speakers
        Speakers by key; a recording without one is its own speaker.

    Attributes
    ----------
    devices
        Devices by sample rate.
    tables
        {file name: {utterance: value}}.
    """

    def __init__(self, folder: Path, options: SimulationOptions, speakers: dict[str, str]):
        self.folder, self.options, self.speakers = folder, options, speakers
        self.devices: dict[int, Devices] = {}
        self.tables: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def make(self, entry: Entry) -> dict[str, dict[str, str]]:
        """Write the copies of one recording; return their lines of the tables."""
        if "/" in entry.key:
            hint = "Rename the entry"
            raise SdError("key", "it names a file, so it must not contain /", hint=hint)
        samples, rate_hz = entry.load()
        with self._lock:
            if rate_hz not in self.devices:
                self.devices[rate_hz] = devices_of(self.options, rate_hz)
            devices = self.devices[rate_hz]
        made = {}
        for number in range(1, self.options.copies + 1):
            attack = draw_attack(self.options, devices, entry.key, number)
            utt = f"{entry.key}-r{number}"
            path = self.folder / f"{utt}.wav"
            if not path.is_file():
                write_audio(path, apply_attack(attack, samples, rate_hz), rate_hz)
            made[utt] = {
                "wav.scp": os.path.abspath(path),
                "utt2spk": self.speakers.get(entry.key, entry.key),
                "utt2label": "spoof",
                "utt2source": entry.key,
                **{f"utt2{name}": word for name, word in attack.conditions.items()},
            }
        return made

    def keep(self, key: str, made: dict[str, dict[str, str]]) -> None:
        """Add what `make` returned to the tables."""
        if f"{key}-r1" in self.tables.get("wav.scp", {}):
            raise SdError("key", "it occurs twice", hint="Rename or remove one recording")
        for utt, row in made.items():
            for name, value in row.items():
                self.tables.setdefault(name, {})[utt] = value
