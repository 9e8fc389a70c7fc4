"""The recordings of a wav.scp or of an archive of RIFF waves, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from sdtools.audio.decoding import read_sound
from sdtools.errors import UsageError
from sdtools.tables.table import TableReader


@dataclass(frozen=True)
class AudioOptions:
    """Recordings that a command accepts, and how many it works on at once."""

    sample_rate_hz: int = field(
        default=16000, metadata={"help": "sample rate that every recording must have"}
    )
    channel: int | None = field(
        default=None, metadata={"help": "channel to use if recordings have several, from 0"}
    )
    num_threads: int = field(default=1, metadata={"help": "utterances computed at once"})

    def __post_init__(self) -> None:
        if self.sample_rate_hz < 1:
            raise UsageError("--sample-rate-hz", got=self.sample_rate_hz, need="1 or more")
        if self.num_threads < 1:
            raise UsageError("--num-threads", got=self.num_threads, need="1 or more")


def open_audio(
    wav_rspecifier: str,
    *,
    sample_rate_hz: int | None = None,
    channel: int | None = None,
    allow_pipes: bool = False,
) -> TableReader:
    """Return a table whose entries load (samples, rate_hz), with the options of `load_audio`."""
    read = partial(read_sound, sample_rate_hz=sample_rate_hz, channel=channel)
    return TableReader(wav_rspecifier, allow_pipes=allow_pipes, read=read)
