"""sd-simulate-replay: replayed copies of recordings as a data directory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sdtools.audio.data_dir import write_data_dir, write_table
from sdtools.audio.entries import open_audio
from sdtools.audio.folder import check_path, name_sounds
from sdtools.cli.command import Command, Context, InputOptions
from sdtools.errors import SdError, UsageError, warn
from sdtools.files import open_whole
from sdtools.options import load_settings, save_settings, settings_lines
from sdtools.replay.copies import Copies
from sdtools.replay.simulation import SimulationOptions, devices_of
from sdtools.tables.input import TABLE
from sdtools.tables.specifiers import parse_rspecifier
from sdtools.tables.table import open_table

USUAL_RATE_HZ = 16000


@dataclass(frozen=True)
class ResourceOptions:
    """Settings without effect on results."""

    num_threads: int = field(
        default=1, metadata={"help": "recordings whose copies are made at once"}
    )

    def __post_init__(self) -> None:
        if self.num_threads < 1:
            raise UsageError("--num-threads", got=self.num_threads, need="1 or more")


COMMAND = Command(
    name="sd-simulate-replay",
    summary="Makes replayed copies of recordings: a codec stores each one, a loudspeaker plays it "
    "in a room,\nand a microphone records it again, with noise.\n"
    "<out-dir> becomes a data directory with wav.scp, utt2spk, spk2utt, utt2label, utt2env,\n"
    "utt2playback, utt2recorder, utt2codec, utt2source and utt2snr. <out-dir>/simulation.json has\n"
    "the figures of all devices. Speakers come from the file utt2spk beside the script file.\n"
    "A copy depends only on seed, utterance and number. Copies that exist are not made again: use\n"
    "a new <out-dir> for changed recordings. Of several channels the first one is used.",
    positionals=("<wav-rspecifier or folder>", "<out-dir>"),
    example="sd-simulate-replay --copies=2 --codecs=none,mp3 "
    "scp:data/eval/wav.scp data/eval_replayed",
    options=(SimulationOptions, ResourceOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Make the copies of each recording, then write the tables."""
    out, options = Path(context.positionals[1]), context[SimulationOptions]
    _check_output(out, options)
    devices_of(options, USUAL_RATE_HZ)  # finds wrong settings before anything is written
    rspecifier, speakers = _recordings(context.positionals[0], out)
    copies = Copies(out / "wav", options, speakers)
    allow_pipes = context[InputOptions].allow_pipes
    with open_audio(rspecifier, channel=0, allow_pipes=allow_pipes) as table:
        out.mkdir(parents=True, exist_ok=True)
        save_settings(out / "simulation.conf", options)  # before wav/: see _check_output
        copies.folder.mkdir(exist_ok=True)
        status = context.for_each(
            table,
            copies.make,
            copies.keep,
            total=table.num_entries,
            num_threads=context[ResourceOptions].num_threads,
        )
    sources = set(copies.tables["utt2source"].values())
    if speakers and (unknown := sorted(sources - speakers.keys())):
        got = f"none for {len(unknown)} of {len(sources)} recordings (first {unknown[0]})"
        hint = "Each of them counts as a speaker of its own"
        warn("utt2spk", "speakers", got=got, need="one for each", hint=hint)
    write_data_dir(out, copies.tables)
    figures = {str(rate_hz): asdict(copies.devices[rate_hz]) for rate_hz in sorted(copies.devices)}
    with open_whole(out / "simulation.json") as file:
        file.write(f"{json.dumps(figures, indent=1)}\n".encode())
    return status


def _check_output(out: Path, options: SimulationOptions) -> None:
    """Refuse a directory that other settings or another program began."""
    check_path(os.path.abspath(out / "wav" / "a.wav"))
    conf, hint = out / "simulation.conf", "Choose another directory, or remove this one"
    if not conf.is_file():
        if (out / "wav").exists():
            raise SdError(out, "this command did not make the folder wav in it", hint=hint)
        return
    old = load_settings(conf, SimulationOptions)
    if old != options:
        got, need = (" ".join(settings_lines(o)) for o in (options, old))
        raise SdError(out, "settings", got=got, need=f"{need} as in {conf}", hint=hint)


def _recordings(name: str, out: Path) -> tuple[str, dict[str, str]]:
    """Rspecifier of the recordings of a table or folder, and the speakers that are known."""
    if os.path.isdir(name):
        return _recordings_of_folder(name, out)
    if not TABLE.match(name):
        hint = "Check the path, or name a table such as scp:data/eval/wav.scp"
        raise SdError(name, "no such folder", hint=hint)
    form, _, path = parse_rspecifier(name)
    utt2spk = Path(path).with_name("utt2spk")
    if form != "scp" or not utt2spk.is_file():
        return name, {}
    with open_table(f"ark:{utt2spk}", "token") as entries:
        return name, {entry.key: entry.load() for entry in entries}


def _recordings_of_folder(name: str, out: Path) -> tuple[str, dict[str, str]]:
    """The same of a folder, whose sound files are listed in source.scp."""
    if out.resolve().is_relative_to(Path(name).resolve()):
        what, hint = f"it is inside {name}, so copies would be copied", "Choose another directory"
        raise SdError(out, what, hint=hint)
    sounds = name_sounds(name)
    out.mkdir(parents=True, exist_ok=True)
    rows = sorted((key, os.path.abspath(path)) for key, (path, _) in sounds.items())
    write_table(out / "source.scp", rows)
    return f"scp:{out / 'source.scp'}", {key: speaker for key, (_, speaker) in sounds.items()}


if __name__ == "__main__":
    raise SystemExit(main())
