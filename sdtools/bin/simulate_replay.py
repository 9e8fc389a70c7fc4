"""sd-simulate-replay: recordings -> replayed copies of them, by drawn or measured devices, as a data directory."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from sdtools.audio import decoding as audio
from sdtools.cli.command import Command, Context, InputOptions
from sdtools.options import load_settings, save_settings, settings_lines
from sdtools.replay import simulation
from sdtools.tables import table as tables
from sdtools.tables.output import open_output
from sdtools.tables.specifiers import parse_rspecifier

USUAL_RATE_HZ = 16000
TABLES = (
    "utt2spk",
    "utt2label",
    "utt2env",
    "utt2playback",
    "utt2recorder",
    "utt2codec",
    "utt2source",
    "utt2snr",
)


@dataclass(frozen=True)
class ResourceOptions:
    """What changes no result."""

    num_threads: int = field(
        default=1, metadata={"help": "recordings whose copies are made at once"}
    )

    def __post_init__(self):
        if self.num_threads < 1:
            raise ValueError(f"--num-threads: got {self.num_threads}, need 1 or more")


COMMAND = Command(
    name="sd-simulate-replay",
    summary="Writes replayed copies of recordings and <out-dir>/{wav.scp,utt2spk,spk2utt,utt2label,utt2env,utt2playback,utt2recorder,\n"
    "utt2codec,utt2source,utt2snr}: each copy is stored (codec), played by a loudspeaker in a room and recorded again, with noise.\n"
    "<out-dir>/simulation.json has the figures of all devices. Speakers are those of utt2spk beside the script file, if it is there.\n"
    "What a copy goes through depends on seed, utterance and number alone; copies that are there already are not made again: recordings\n"
    "that have changed want a new <out-dir>. Of several channels the first is taken.",
    positionals=("<wav-rspecifier or folder>", "<out-dir>"),
    example="sd-simulate-replay --copies=2 --codecs=none,mp3 scp:data/eval/wav.scp data/eval_replayed",
    options=(simulation.SimulationOptions, ResourceOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Draw devices, loop by recording, write tables."""
    rspecifier, out = context.positionals[0], Path(context.positionals[1])
    options = context[simulation.SimulationOptions]
    folder = out / "wav"
    conf = out / "simulation.conf"
    if conf.is_file() and (old := load_settings(conf, simulation.SimulationOptions)) != options:
        got, need = (" ".join(settings_lines(o)) for o in (options, old))
        raise ValueError(
            f"{out}: settings: got {got}, need {need} as it was begun with. Choose another directory, or remove this one"
        )
    if not conf.is_file() and folder.exists():
        raise ValueError(
            f"{out}: got a folder wav that this command did not make, need a new or an old directory of it. Choose another"
        )
    devices_at = lru_cache(None)(lambda rate_hz: simulation.draw_devices(options, rate_hz))
    devices_at(USUAL_RATE_HZ)  # a wrong setting is found before anything is written
    rspecifier, speakers = _recordings(rspecifier, out)
    rows: dict[str, dict[str, str]] = {}
    rates_hz, lock = set(), threading.Lock()
    with audio.open_audio(
        rspecifier, channel=0, allow_pipes=context[InputOptions].allow_pipes
    ) as table:
        out.mkdir(parents=True, exist_ok=True)
        save_settings(
            conf, options
        )  # before there is a folder wav, which without them would be taken for another's
        folder.mkdir(exist_ok=True)

        def copies(entry):
            if "/" in entry.key:
                raise ValueError(
                    "key: got a / in it, need none, as it becomes the name of a file. Rename the entry"
                )
            samples, rate_hz = entry.load()
            with lock:
                rates_hz.add(rate_hz)
                devices = devices_at(rate_hz)
            made = {}
            for number in range(1, options.copies + 1):
                utt = f"{entry.key}-r{number}"
                copy = simulation.plan(options, devices, entry.key, number)
                path = folder / f"{utt}.wav"
                if not path.is_file():
                    audio.write_audio(path, simulation.make(copy, samples, rate_hz), rate_hz)
                labels = {
                    "utt2spk": speakers.get(entry.key, entry.key),
                    "utt2label": "spoof",
                    "utt2source": entry.key,
                }
                made[utt] = {**labels, **copy.conditions, "wav.scp": os.path.abspath(path)}
            return made

        def keep(key, made):
            if f"{key}-r1" in rows:
                raise ValueError(
                    "name: got it twice, need each recording once. Rename or remove one"
                )
            rows.update(made)

        status = context.for_each(
            table,
            copies,
            keep,
            total=table.num_entries,
            num_threads=context[ResourceOptions].num_threads,
        )
    for name in ("wav.scp", *TABLES):
        _write(out / name, ((utt, rows[utt][name]) for utt in sorted(rows)))
    utts_of: dict[str, list[str]] = {}
    for utt in sorted(rows):
        utts_of.setdefault(rows[utt]["utt2spk"], []).append(utt)
    _write(
        out / "spk2utt", ((speaker, " ".join(utts)) for speaker, utts in sorted(utts_of.items()))
    )
    with open_output(str(out / "simulation.json")) as file:
        file.write(
            (
                json.dumps(
                    {str(rate_hz): asdict(devices_at(rate_hz)) for rate_hz in sorted(rates_hz)},
                    indent=1,
                )
                + "\n"
            ).encode()
        )
    return status


def _recordings(name: str, out: Path) -> tuple[str, dict[str, str]]:
    """Rspecifier of the recordings, and the speaker of each that has one: of a folder, or by utt2spk beside a script file."""
    if os.path.isdir(name):
        if out.resolve().is_relative_to(Path(name).resolve()):
            raise ValueError(
                f"{out}: got an output inside {name}, need one beside it, or copies would be copied. Choose another"
            )
        paths: dict[tuple[str, str], Path] = {}
        for path in audio.find_sounds(name):
            if (named := audio.name_sound(path, name)) in paths:
                raise ValueError(
                    f"{path}: name: got {named[0]} as of {paths[named]}, need each name once. Rename one"
                )
            paths[named] = path
        out.mkdir(parents=True, exist_ok=True)
        _write(
            out / "source.scp",
            sorted(
                (key, audio.check_path(os.path.abspath(path))) for (key, _), path in paths.items()
            ),
        )
        return f"scp:{out / 'source.scp'}", dict(paths.keys())
    form, _, path = parse_rspecifier(name)
    utt2spk = Path(path).with_name("utt2spk")
    if form != "scp" or not utt2spk.is_file():
        return name, {}
    with tables.open_table(f"ark:{utt2spk}", "token") as entries:
        return name, {entry.key: entry.load() for entry in entries}


def _write(path: Path, rows) -> None:
    with open_output(str(path)) as file:
        file.write("".join(f"{key} {value}\n" for key, value in rows).encode())


if __name__ == "__main__":
    raise SystemExit(main())
