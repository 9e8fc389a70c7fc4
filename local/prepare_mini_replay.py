#!/usr/bin/env python3
"""Make a small replay-spoofing corpus in the layout of ASVspoof 2017 Version 2.0.

Genuine utterances are live recordings: synthetic speech (or your own, --speech-dir), each in a room
and with a microphone and background noise of its own. A replayed utterance is another such
recording of the same speech, played by a loudspeaker in a room and recorded again. Train, dev and
eval share no speakers, rooms, loudspeakers and recorders. Level, length, polarity and total noise
are drawn alike for both classes.

Example: local/prepare_mini_replay.py --nj 2 --seed 1 corpus/mini_replay
"""

import json
import shutil
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import synth_speech
from script import Script, three_numbers, whole_number
from tqdm import tqdm

from sdtools.audio.decoding import read_header, read_windows
from sdtools.audio.folder import find_sounds
from sdtools.errors import SdError
from sdtools.replay.acoustics import PEAK_LIMIT, record, replay
from sdtools.replay.devices import Chain
from sdtools.replay.simulation import (
    Devices,
    draw_devices,
    draw_live_recording,
    draw_recording,
    resample,
)

RATE_HZ = synth_speech.RATE_HZ
SETS = {"train": "T", "dev": "D", "eval": "E"}
NUM_DEVICES = {"train": 8, "dev": 5, "eval": 8}  # of each kind
LEVEL_DBFS = (-34, -24)
SNR_DB = (20, 40)
MAX_WINDOW_SEC = 3600.0
MIN_SEC, MAX_SEC = 1.5, 4.0  # of a file of one's own, and of a piece of it
SETTINGS = "mini_replay.json"  # marks a corpus of this script, which it may replace


class Synthetic(NamedTuple):
    """Speech that the synthesiser makes: which speaker says which phrase, and which time."""

    seed: int
    speaker: int
    phrase: int
    take: int

    def read(self) -> np.ndarray:
        """Samples at `RATE_HZ`."""
        voice = synth_speech.draw_speaker(np.random.default_rng([self.seed, self.speaker]))
        return synth_speech.synthesise(voice, self.phrase, np.random.default_rng([*self]))


class Piece(NamedTuple):
    """A part of a sound file."""

    path: str
    first: int
    end: int

    def read(self) -> np.ndarray:
        """Samples at `RATE_HZ`, the mean of all channels."""
        samples, rate_hz = self._read_at_once()
        if len(samples) != self.end - self.first:
            # libsndfile does not read this kind, or stops where the header says
            windows = list(read_windows(self.path, MAX_WINDOW_SEC))
            samples = np.concatenate([window.samples.mean(axis=1) for window in windows])
            samples, rate_hz = samples[self.first : self.end], windows[0].rate_hz
        samples = resample(samples, rate_hz, RATE_HZ)
        if not 0 < np.max(np.abs(samples)) < np.inf:
            what = f"samples {self.first} to {self.end} are silence or not finite"
            raise SdError(self.path, what, hint="Remove the file from --speech-dir")
        return samples

    def _read_at_once(self) -> tuple[np.ndarray, int]:
        """Mean of all channels and sample rate, without decoding what stands before."""
        options = {"start": self.first, "stop": self.end, "always_2d": True}
        try:
            samples, rate_hz = soundfile.read(self.path, **options)
        except soundfile.SoundFileError:
            return np.empty(0), 0
        return samples.mean(axis=1), rate_hz


class Speech(NamedTuple):
    """Who says what."""

    speaker: str
    phrase: str
    source: Synthetic | Piece


@dataclass(frozen=True)
class Utterance:
    """One line of a protocol; the samples depend on nothing else."""

    name: str
    speech: Speech
    devices: tuple[str, ...]  # environment, playback and recorder; empty if genuine
    seed: tuple[int, ...]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make, argv)


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    add = script.add_argument
    add("corpus", metavar="<corpus-dir>", type=Path)
    add(
        "--seed", type=whole_number, default=0, help="another seed gives another corpus (default 0)"
    )
    for option, what, default in (
        ("--num-speakers", "speakers (with --speech-dir, their proportion)", "20,10,20"),
        ("--num-genuine", "genuine utterances", "120,60,100"),
        ("--num-spoof", "replayed utterances", "120,60,200"),
    ):
        add(
            option,
            type=lambda text: dict(zip(SETS, three_numbers(text))),
            default=default,
            metavar="TRAIN,DEV,EVAL",
            help=f"{what} (default {default})",
        )
    add(
        "--speech-dir",
        type=Path,
        help="folder of speech to use instead of the synthesiser: sound files of 16 kHz or more, "
        "also in subfolders; the speaker is the file's name up to the first '-', or the name of "
        "its folder",
    )
    add("--nj", type=whole_number, default=2, help="processes; no effect on the result (default 2)")
    return script


def make(args: Namespace) -> None:
    """Make the corpus under a temporary name, then let it replace an old one."""
    for option, bound in (("seed", 0), ("nj", 1)):
        if (value := getattr(args, option)) < bound:
            raise SdError(f"--{option}", got=value, need=f"{bound} or more")
    if args.corpus.exists() and not (args.corpus / SETTINGS).exists():
        hint = "Choose another directory or remove it"
        raise SdError(args.corpus, "this script did not make this directory", hint=hint)
    new = args.corpus.with_name(f".{args.corpus.name}.tmp")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    try:
        make_corpus(args, own_speech(args) if args.speech_dir else synthetic_speech(args), new)
        if args.corpus.exists():
            keep_times(args.corpus, new)
            shutil.rmtree(args.corpus)
        new.rename(args.corpus)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    SCRIPT.note(f"wrote {args.corpus}")


def synthetic_speech(args: Namespace) -> dict[str, list[Speech]]:
    """Speech of each set's genuine utterances, by the synthesiser."""
    speech: dict[str, list[Speech]] = {}
    first = 1
    for name, num_speakers in args.num_speakers.items():
        speech[name] = []
        for i in range(args.num_genuine[name]):
            take, speaker = divmod(i, num_speakers)
            phrase = 1 + (speaker + take) % synth_speech.NUM_PHRASES
            source = Synthetic(args.seed, first + speaker, phrase, take)
            speech[name].append(Speech(f"M{first + speaker:04}", f"S{phrase:02}", source))
        first += num_speakers
    return speech


def own_speech(args: Namespace) -> dict[str, list[Speech]]:
    """The same from a folder of recordings.

    They are cut into pieces of 2 to 4 s. If there are fewer pieces than utterances, they are used
    again, in other rooms.
    """
    pieces = pieces_of_speakers(args.speech_dir)
    speakers = np.random.default_rng(args.seed).permutation(sorted(pieces)).tolist()
    numbers = np.array(list(args.num_speakers.values()))
    bounds = (np.cumsum(numbers) * len(speakers) / sum(numbers)).round().astype(int)
    bounds = np.clip(bounds, [2, 4, 6], len(speakers) - np.array([4, 2, 0]))
    speech = {}
    for name, (begin, end) in zip(SETS, pairwise([0, *bounds.tolist()])):
        every = [
            Speech(f"M{i + 1:04}", "S00", piece)
            for i in range(begin, end)
            for piece in pieces[speakers[i]]
        ]
        order = np.random.default_rng([args.seed, begin]).permutation(len(every))
        num_genuine = args.num_genuine[name]
        speech[name] = [every[order[i % len(every)]] for i in range(num_genuine)]
        what = f"{end - begin} speakers, {len(every)} pieces of speech"
        SCRIPT.note(f"{name}: {what} for {num_genuine} genuine utterances")
    return speech


def pieces_of_speakers(folder: Path) -> dict[str, list[Piece]]:
    """Pieces of all sound files by speaker."""
    if not folder.is_dir():
        raise SdError("--speech-dir", got=folder, need="a directory")
    pieces: dict[str, list[Piece]] = {}
    num_short = 0
    for path in find_sounds(folder):
        header = read_header(path, count=True)
        if header.rate_hz < RATE_HZ:
            got, need = f"{header.rate_hz} Hz", f"{RATE_HZ} Hz or more"
            hint = "Remove the file from --speech-dir"
            raise SdError(path, "sample rate", got=got, need=need, hint=hint)
        duration_sec = header.num_frames / header.rate_hz
        if duration_sec < MIN_SEC:
            num_short += 1
            continue
        speaker = path.name.split("-")[0] if "-" in path.name else path.parent.name
        num_pieces = int(np.ceil(duration_sec / MAX_SEC))
        edges = np.linspace(0, header.num_frames, num_pieces + 1).astype(int).tolist()
        pieces.setdefault(speaker, []).extend(Piece(str(path), *edge) for edge in pairwise(edges))
    if num_short:
        SCRIPT.note(f"{folder}: {num_short} files shorter than {MIN_SEC} s are not used")
    if len(pieces) < 6:
        need, hint = "6 or more, two for every set", "Name files <speaker>-<name>"
        raise SdError(folder, "number of speakers", got=len(pieces), need=need, hint=hint)
    return pieces


def make_corpus(args: Namespace, speech: dict[str, list[Speech]], corpus: Path) -> None:
    """Write sound files and protocols, then the settings."""
    import joblib  # here, because it may warn when it is loaded

    devices = devices_of_sets(np.random.default_rng([args.seed, 1]))
    (corpus / "protocol_V2").mkdir(parents=True)
    for name in SETS:
        folder = corpus / f"ASVspoof2017_V2_{name}"
        folder.mkdir()
        utterances = plan_set(args, name, speech[name], devices[name])
        tasks = (joblib.delayed(write_reporting)(u, devices[name], folder) for u in utterances)
        jobs = joblib.Parallel(args.nj, return_as="generator_unordered")(tasks)
        for _ in tqdm(jobs, desc=name, total=len(utterances), disable=None):
            pass
        protocol = f"ASVspoof2017_V2_{name}.{'trn' if name == 'train' else 'trl'}.txt"
        lines = "".join(f"{protocol_line(utterance)}\n" for utterance in utterances)
        (corpus / "protocol_V2" / protocol).write_text(lines)
        num_genuine, num_spoof = args.num_genuine[name], args.num_spoof[name]
        SCRIPT.note(f"{name}: {num_genuine} genuine and {num_spoof} replayed utterances")
    settings = {key: value for key, value in vars(args).items() if key not in ("corpus", "nj")}
    settings["devices"] = {
        name: {key: figures for kind in asdict(some).values() for key, figures in kind.items()}
        for name, some in devices.items()
    }
    (corpus / SETTINGS).write_text(json.dumps(settings, indent=1, default=str) + "\n")


def protocol_line(utterance: Utterance) -> str:
    """An utterance as ASVspoof 2017 lists it."""
    label = "spoof" if utterance.devices else "genuine"
    speaker, phrase, _ = utterance.speech
    return " ".join(
        [f"{utterance.name}.wav", label, speaker, phrase, *(utterance.devices or "---")]
    )


def keep_times(old: Path, new: Path) -> None:
    """Give a recording the time of the same bytes in the old corpus.

    What was computed from it is then not computed again.
    """
    for path in new.rglob("*.wav"):
        before = old / path.relative_to(new)
        if before.is_file() and before.read_bytes() == path.read_bytes():
            shutil.copystat(before, path)


def devices_of_sets(rng: np.random.Generator) -> dict[str, Devices]:
    """Devices of every set; no two sets share one."""
    devices, first = {}, 1
    for name, number in NUM_DEVICES.items():
        devices[name] = draw_devices(rng, number, first)
        first += number
    return devices


def plan_set(args: Namespace, name: str, speech: list[Speech], devices: Devices) -> list[Utterance]:
    """Utterances of a set: genuine, then replayed ones of the same speech; shuffled in eval."""
    rng = np.random.default_rng([args.seed, 2, ord(SETS[name])])
    kinds = (devices.env, devices.playback, devices.recorder)
    drawn = zip(*(rng.choice(list(kind), args.num_spoof[name]).tolist() for kind in kinds))
    rows: list[tuple[Speech, tuple[str, ...]]] = [(each, ()) for each in speech]
    rows += [(speech[i % len(speech)], names) for i, names in enumerate(drawn)]
    order = rng.permutation(len(rows)) if name == "eval" else np.arange(len(rows))
    letter = SETS[name]
    utterances = []
    for i, j in enumerate(order.tolist()):
        said, names = rows[j]
        seed = (args.seed, ord(letter), j)
        utterances.append(Utterance(f"{letter}_{1000001 + i}", said, names, seed))
    return utterances


def write_reporting(utterance: Utterance, devices: Devices, folder: Path) -> None:
    """`write_utterance` in a process of its own, whose warnings must be reported there."""
    with SCRIPT.warnings(utterance.name):
        write_utterance(utterance, devices, folder)


def write_utterance(utterance: Utterance, devices: Devices, folder: Path) -> None:
    """Record, or record and replay, one utterance, and write it."""
    rng = np.random.default_rng(utterance.seed)
    dry = utterance.speech.source.read()
    dry = dry / np.max(np.abs(dry))
    noise = 10 ** (-rng.uniform(*SNR_DB) / 10)  # energy over that of the sound, in all recordings
    share = rng.uniform(0.2, 0.8) if utterance.devices else 1  # of the first recording
    live = draw_live_recording(rng, snr_db=-10 * np.log10(share * noise))
    if utterance.devices:
        env, playback, recorder = utterance.devices
        room, microphone = devices.env[env], devices.recorder[recorder]
        second = draw_recording(rng, room, microphone, snr_db=-10 * np.log10((1 - share) * noise))
        chain = Chain(live, devices.playback[playback], second)
        samples = replay(dry, RATE_HZ, chain, rng)
    else:
        samples = record(dry, RATE_HZ, live, rng)
    gain = 10 ** (rng.uniform(*LEVEL_DBFS) / 20) / np.sqrt(np.mean(samples**2))
    gain = min(gain, PEAK_LIMIT / np.max(np.abs(samples)))
    gain *= rng.choice([-1, 1])  # so that polarity does not tell the class
    soundfile.write(folder / f"{utterance.name}.wav", gain * samples, RATE_HZ, subtype="PCM_16")


SCRIPT = command_line()

if __name__ == "__main__":
    main()
