#!/usr/bin/env python3
"""Make a small replay-spoofing corpus in the layout of ASVspoof 2017 Version 2.0.

Genuine utterances are live recordings: synthetic speech (or your own, --speech-dir), each in a room, through a microphone and with a
background noise of its own. A replayed one is another such recording of the same speech, played by a loudspeaker in a room and recorded
again. Speakers, rooms, loudspeakers and recorders of train, dev and eval are all different. Level, length, polarity and total noise are
drawn alike for both classes.

Example: local/prepare_mini_replay.py --nj 2 --seed 1 corpus/mini_replay
"""

import argparse
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import soundfile
import synth_speech
from scipy import signal
from tqdm import tqdm

from sdtools.audio.folder import find_sounds
from sdtools.replay.acoustics import PEAK_LIMIT, record, replay
from sdtools.replay.devices import Chain
from sdtools.replay.simulation import draw_devices, draw_live_recording, draw_recording

RATE_HZ = synth_speech.RATE_HZ
SETS = {"train": "T", "dev": "D", "eval": "E"}
NUM_DEVICES = {
    "train": 8,
    "dev": 5,
    "eval": 8,
}  # environments, and as many playback devices and recorders
LEVEL_DBFS = (-34, -24)
SNR_DB = (20, 40)
SETTINGS = "mini_replay.json"  # says how the corpus was made, and that it may be replaced


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line and exits with 1, as Kaldi's scripts do."""

    def error(self, message):  # noqa: D102
        fail(f"{message}. Try --help")


@dataclass(frozen=True)
class Utterance:
    """One line of a protocol, and all that its samples depend on."""

    name: str
    speaker: str
    phrase: str
    source: tuple  # what read_source needs
    devices: tuple[str, ...]  # environment, playback, recorder; empty if genuine
    seed: tuple[int, ...]


def main(argv=None):
    """Run the command line."""
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("corpus", metavar="<corpus-dir>", type=Path)
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="another seed, another corpus; the same seed, the same bytes (default 0)",
    )
    for option, what, default in (
        ("--num-speakers", "speakers (with --speech-dir, their proportion)", "20,10,20"),
        ("--num-genuine", "genuine utterances", "120,60,100"),
        ("--num-spoof", "replayed utterances", "120,60,200"),
    ):
        parser.add_argument(
            option,
            type=counts,
            default=default,
            metavar="TRAIN,DEV,EVAL",
            help=f"{what} (default {default})",
        )
    parser.add_argument(
        "--speech-dir",
        type=Path,
        help="speech to use instead of the synthesiser: any sound files, 16 kHz or more, searched in subfolders; the speaker is the"
        " file's name up to the first '-', or its folder's name if there is none",
    )
    parser.add_argument(
        "--nj", type=int, default=2, help="processes; does not change the result (default 2)"
    )
    args = parser.parse_args(argv)
    for option, bound in (("seed", 0), ("nj", 1)):
        if getattr(args, option) < bound:
            fail(f"--{option}: got {getattr(args, option)}, need {bound} or more")
    if args.corpus.exists() and not (args.corpus / SETTINGS).exists():
        fail(
            f"{args.corpus}: exists and was not made by this script. Choose another directory or remove it"
        )
    new = args.corpus.with_name(f".{args.corpus.name}.tmp")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    try:
        make_corpus(args, own_speech(args) if args.speech_dir else synthetic_speech(args), new)
        if args.corpus.exists():
            keep_times(args.corpus, new)
            shutil.rmtree(args.corpus)
        new.rename(args.corpus)
    except (ValueError, OSError, soundfile.LibsndfileError) as error:
        fail(error)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    log(f"wrote {args.corpus}")


def counts(text):
    """Numbers for train, dev and eval from an option's value."""
    values = text.split(",")
    if len(values) != len(SETS) or not all(v.isdecimal() and int(v) for v in values):
        raise argparse.ArgumentTypeError(
            f"got {text}, need three numbers of 1 or more, as in 20,10,20"
        )
    return dict(zip(SETS, map(int, values)))


def log(message):
    """Tell the user how far we are."""
    print(f"{Path(__file__).name}: {message}", file=sys.stderr)


def fail(message):
    """End with a one-line message."""
    sys.exit(f"{Path(__file__).name}: {message}")


def synthetic_speech(args):
    """What there is to say in every set: {set: [(speaker, phrase, source)]}."""
    sources, first = {}, 1
    for name, num_speakers in args.num_speakers.items():
        sources[name] = []
        for i in range(args.num_genuine[name]):
            take, speaker = divmod(i, num_speakers)
            phrase = 1 + (speaker + take) % synth_speech.NUM_PHRASES
            sources[name].append(
                (
                    f"M{first + speaker:04}",
                    f"S{phrase:02}",
                    (args.seed, first + speaker, phrase, take),
                )
            )
        first += num_speakers
    return sources


def own_speech(args):
    """The same from a folder of recordings: pieces of 2 to 4 s, used again (in other rooms) where there are fewer than utterances."""
    if not args.speech_dir.is_dir():
        raise ValueError(f"--speech-dir: got {args.speech_dir}, need a directory")
    pieces, num_short = {}, 0
    for path in find_sounds(args.speech_dir):
        info = soundfile.info(path)
        if info.samplerate < RATE_HZ:
            raise ValueError(
                f"{path}: sample rate: got {info.samplerate}, need {RATE_HZ} or more. Take it out of --speech-dir"
            )
        if info.duration < 1.5:
            num_short += 1
            continue
        speaker = path.name.split("-")[0] if "-" in path.name else path.parent.name
        edges = (
            np.linspace(0, info.frames, int(np.ceil(info.duration / 4)) + 1).astype(int).tolist()
        )
        pieces.setdefault(speaker, []).extend((str(path), *edge) for edge in pairwise(edges))
    if num_short:
        log(f"{args.speech_dir}: {num_short} files shorter than 1.5 s left out")
    if len(pieces) < 6:
        raise ValueError(
            f"{args.speech_dir}: got {len(pieces)} speakers, need 6 or more, two for every set. Name files <speaker>-<name>"
        )
    speakers = np.random.default_rng(args.seed).permutation(sorted(pieces)).tolist()
    share = (
        np.cumsum(list(args.num_speakers.values()))
        * len(speakers)
        / sum(args.num_speakers.values())
    )
    bounds = [
        0,
        *np.clip(
            share.round().astype(int), [2, 4, 6], len(speakers) - np.array([4, 2, 0])
        ).tolist(),
    ]
    sources = {}
    for name, begin, end in zip(SETS, bounds, bounds[1:]):
        every = [
            (f"M{i + 1:04}", "S00", piece)
            for i in range(begin, end)
            for piece in pieces[speakers[i]]
        ]
        order = np.random.default_rng([args.seed, begin]).permutation(len(every))
        sources[name] = [every[order[i % len(every)]] for i in range(args.num_genuine[name])]
        log(
            f"{name}: {end - begin} speakers, {len(every)} pieces of speech for {args.num_genuine[name]} genuine utterances"
        )
    return sources


def make_corpus(args, sources, corpus):
    """Write sound files and protocols, then the settings."""
    devices = draw_devices_of_sets(np.random.default_rng([args.seed, 1]))
    (corpus / "protocol_V2").mkdir(parents=True)
    for name in SETS:
        folder = corpus / f"ASVspoof2017_V2_{name}"
        folder.mkdir()
        utterances = plan_set(args, name, sources[name], devices[name])
        tasks = (
            joblib.delayed(write_utterance)(u, chosen(devices[name], u.devices), folder)
            for u in utterances
        )
        jobs = joblib.Parallel(args.nj, return_as="generator_unordered")(tasks)
        for _ in tqdm(jobs, desc=name, total=len(utterances), disable=None):
            pass
        lines = [
            " ".join(
                [
                    f"{u.name}.wav",
                    "spoof" if u.devices else "genuine",
                    u.speaker,
                    u.phrase,
                    *(u.devices or "---"),
                ]
            )
            for u in utterances
        ]
        protocol = f"ASVspoof2017_V2_{name}.{'trn' if name == 'train' else 'trl'}.txt"
        (corpus / "protocol_V2" / protocol).write_text("\n".join(lines) + "\n")
        log(
            f"{name}: {args.num_genuine[name]} genuine and {args.num_spoof[name]} replayed utterances"
        )
    settings = {key: value for key, value in vars(args).items() if key not in ("corpus", "nj")}
    settings["devices"] = {
        name: {key: figures for kind in asdict(some).values() for key, figures in kind.items()}
        for name, some in devices.items()
    }
    (corpus / SETTINGS).write_text(json.dumps(settings, indent=1, default=str) + "\n")


def keep_times(old, new):
    """Give recordings the times of the same bytes in the corpus before, so that what was computed from them is not computed again."""
    for path in new.rglob("*.wav"):
        before = old / path.relative_to(new)
        if before.is_file() and before.read_bytes() == path.read_bytes():
            shutil.copystat(before, path)


def draw_devices_of_sets(rng):
    """Devices of every set, {set: Devices}; no two sets share one."""
    devices, first = {}, 1
    for name, number in NUM_DEVICES.items():
        devices[name] = draw_devices(rng, number, first)
        first += number
    return devices


def plan_set(args, name, sources, devices):
    """Utterances of a set: genuine ones first (in eval all are shuffled); the replayed ones go through the same sources."""
    rng = np.random.default_rng([args.seed, 2, ord(SETS[name])])
    num_spoof = args.num_spoof[name]
    kinds = (devices.env, devices.playback, devices.recorder)
    triples = zip(*(rng.choice(list(kind), num_spoof).tolist() for kind in kinds))
    rows = [(source, ()) for source in sources] + [
        (sources[i % len(sources)], triple) for i, triple in enumerate(triples)
    ]
    order = rng.permutation(len(rows)) if name == "eval" else np.arange(len(rows))
    return [
        Utterance(
            f"{SETS[name]}_{1000001 + i}", *rows[j][0], rows[j][1], (args.seed, ord(SETS[name]), j)
        )
        for i, j in enumerate(order.tolist())
    ]


def chosen(devices, names):
    """Room, loudspeaker and recorder by their names; nothing for no names."""
    kinds = (devices.env, devices.playback, devices.recorder)
    return [kind[name] for kind, name in zip(kinds, names)]


def read_source(source):
    """Dry speech at 16 kHz, synthetic or from a file, with its peak at full scale."""
    if isinstance(source[0], str):
        path, first, end = source
        samples, rate_hz = soundfile.read(path, start=first, stop=end, always_2d=True)
        samples = samples.mean(axis=1)
        if rate_hz != RATE_HZ:
            samples = signal.resample_poly(samples, RATE_HZ, rate_hz)
        if not 0 < np.max(np.abs(samples)) < np.inf:
            raise ValueError(
                f"{path}: samples {first} to {end}: got silence, NaN or infinity, need speech. Take it out of --speech-dir"
            )
    else:
        seed, speaker, phrase, take = source
        speaker_rng = np.random.default_rng([seed, speaker])
        samples = synth_speech.synthesise(
            synth_speech.draw_speaker(speaker_rng),
            phrase,
            np.random.default_rng([seed, speaker, phrase, take]),
        )
    return samples / np.max(np.abs(samples))


def write_utterance(utterance, devices, folder):
    """Record, or record and replay, one utterance and write it."""
    rng = np.random.default_rng(utterance.seed)
    dry = read_source(utterance.source)
    noise = 10 ** (-rng.uniform(*SNR_DB) / 10)  # of both recordings together, if there are two
    share = rng.uniform(0.2, 0.8) if devices else 1
    live = draw_live_recording(rng, snr_db=-10 * np.log10(share * noise))
    if devices:
        room, loudspeaker, microphone = devices
        second = draw_recording(rng, room, microphone, snr_db=-10 * np.log10((1 - share) * noise))
        samples = replay(dry, RATE_HZ, Chain(live, loudspeaker, second), rng)
    else:
        samples = record(dry, RATE_HZ, live, rng)
    gain = 10 ** (rng.uniform(*LEVEL_DBFS) / 20) / np.sqrt(np.mean(samples**2))
    gain = min(gain, PEAK_LIMIT / np.max(np.abs(samples))) * rng.choice(
        [-1, 1]
    )  # nor does polarity tell the class
    soundfile.write(folder / f"{utterance.name}.wav", gain * samples, RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
