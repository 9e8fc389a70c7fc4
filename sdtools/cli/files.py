"""Files that a command line names: no output may be an input, or another output."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sdtools.errors import SdError
from sdtools.features.postprocess import PostOptions
from sdtools.options import config_lines, flag_name, load_settings
from sdtools.tables.input import TABLE, split_offset
from sdtools.tables.output import makes_file
from sdtools.tables.script_files import iter_scp
from sdtools.tables.specifiers import parse_rspecifier, parse_wspecifier


def check_files(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuse outputs that are inputs, or of one name.

    Parameters
    ----------
    inputs, outputs
        Extended file names and names of tables. Names that no command could open are left to the
        command.

    Raises
    ------
    SdError
        With the name of the file.
    """
    written: dict[str, str] = {}
    for path in (path for name in outputs for path in _output_files(name)):
        real = os.path.realpath(path)
        if real in written:
            hint = "Give each output its own name"
            raise SdError(path, "two outputs have this name", hint=hint)
        written[real] = path
    existing = {real: path for real, path in written.items() if os.path.isfile(real)}
    if existing:
        for path in (path for name in inputs for path in _input_files(name)):
            if name := existing.get(os.path.realpath(path)):
                hint = "Give the output another name"
                raise SdError(name, "this output is also an input", hint=hint)


def named_files(
    names: Sequence[str], words: Sequence[str], options: Mapping[type, Any]
) -> tuple[list[str], list[str]]:
    """Inputs and outputs among the words of a command line.

    Parameters
    ----------
    names
        Of the positionals. Those of outputs end in `-out>`, or are `<wspecifier>`.
    words
        The positionals. A name that ends in `...` stands for several words.
    options
        Objects of option dataclasses; the metadata `file` of a field is `in` or `out`.
    """
    num_more = len(words) - len(names)
    inputs: list[str] = []
    outputs: list[str] = []
    place = 0
    for name in names:
        number = 1 + num_more if "..." in name else 1
        part = words[place : place + number]
        (outputs if name.endswith("-out>") or name == "<wspecifier>" else inputs).extend(part)
        place += number
    for group in options.values():
        for field in dataclasses.fields(group):
            side, name = field.metadata.get("file"), getattr(group, field.name)
            if side and name:
                (inputs if side == "in" else outputs).append(name)
    return inputs, outputs


def _output_files(name: str) -> Iterator[str]:
    """The regular files that an output makes."""
    files: Sequence[str | None] = [name]
    if TABLE.match(name):
        files = []
        with suppress(SdError):
            files = parse_wspecifier(name)[1:]
    yield from (file for file in files if file and makes_file(file))


def _input_files(name: str) -> Iterator[str]:
    """The files that an input reads; also those that a script file lists."""
    if not TABLE.match(name):
        yield split_offset(name)[0]
        return
    with suppress(SdError):
        form, _, path = parse_rspecifier(name)
        yield path
        if form == "scp" and os.path.isfile(path):
            last = ""
            for _, value in iter_scp(path):
                if (file := _archive(value)) != last:  # mostly the same as before
                    yield file
                    last = file


def _archive(rxfilename: str) -> str:
    """The file that a line of a script file names."""
    return split_offset(rxfilename.partition("[")[0] if rxfilename[-1] == "]" else rxfilename)[0]


def check_is_static(rspecifier: str, options: PostOptions) -> None:
    """Refuse features to which sd-post-feats has appended deltas, if they would be appended again.

    The `.conf` beside the archive, or beside the first of a script file, tells.

    Raises
    ------
    SdError
        With the table and the `.conf`.
    """
    if not options.deltas:
        return
    archive = ""
    with suppress(SdError):
        form, _, archive = parse_rspecifier(rspecifier)
        if form == "scp" and os.path.isfile(archive):
            archive = next((_archive(value) for _, value in iter_scp(archive)), "")
    conf = f"{archive}.conf"
    if not os.path.isfile(conf) or "deltas" not in [flag_name(f) for _, f in config_lines(conf)]:
        return
    if load_settings(conf, PostOptions).deltas:
        raise SdError(
            rspecifier,
            "features",
            got=f"deltas, which sd-post-feats has appended ({conf})",
            need="static features, because --deltas=true appends them",
            hint="Give --deltas=false, and --cmvn=false if they are normalised",
        )
