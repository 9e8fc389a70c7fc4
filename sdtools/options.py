"""Option dataclasses as flags of a command line and as lines of a .conf file.

A dataclass of options has a default for every field and `metadata={"help": ..., "choices": (...)}`.
Its flags follow Kaldi: `--name=value`, a bare `--flag` for true, `_` equals `-`.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import math
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sdtools.errors import SdError, UsageError, warn
from sdtools.files import open_whole

BOOLEANS = {"true": True, "t": True, "1": True, "": True, "false": False, "f": False, "0": False}
COMMAND = re.compile(r"\|\s*$|^\s*\||[:,]\s*\|")  # a command, alone or in the name of a table
Known = Mapping[str, tuple[type, Any]]  # name of a field: its class and the field


def known_fields(classes: Iterable[type]) -> Known:
    """The fields of option dataclasses by name."""
    return {f.name: (cls, f) for cls in classes for f in dataclasses.fields(cls)}


def flag(name: str, value: object) -> str:
    """A field as a flag.

    Examples
    --------
    >>> flag("delta_window", 3), flag("orders", (0, 6)), flag("compress", True)
    ('--delta-window=3', '--orders=0,6', '--compress=true')
    """
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, tuple):
        text = ",".join(map(str, value))
    else:
        text = "" if value is None else str(value)
    return f"--{name.replace('_', '-')}={text}"


def flag_name(word: str) -> str:
    """The field that a flag sets."""
    return word.split("=", 1)[0].removeprefix("--").replace("-", "_").lower()


def parse_flag(word: str, known: Known, where: str, behind: str = "") -> tuple[str, Any]:
    """Name and value of one `--name=value`; its place and the word behind it are for messages.

    Raises
    ------
    UsageError
        If no field has this name, or the value does not fit it.
    """
    name = flag_name(word)
    option = f"--{name.replace('_', '-')}"
    if not word.startswith("--") or name not in known:
        if right := _right_form(word, known):
            raise UsageError(where, "option", got=repr(word), need=f"{right}, one for each option")
        near = difflib.get_close_matches(name, known, 1, 0.6)
        hint = f"Did you mean --{near[0].replace('_', '-')}?" if near else "Correct or remove it"
        raise UsageError(where, "unknown option", got=repr(word), hint=hint)
    cls, field = known[name]
    kind = typing.get_type_hints(cls)[name]
    if "=" not in word:
        if kind is bool:
            return name, True
        example = f"{option}={behind}" if behind else flag(name, field.default)
        need = f"a value after '=', such as {example}"
        raise UsageError(where, option, need=need)
    text = word.split("=", 1)[1]
    try:
        value = _convert(text, kind)
    except ValueError:
        raise UsageError(where, option, got=repr(text), need=_kind_name(kind)) from None
    choices = field.metadata.get("choices")
    if choices and any(v not in choices for v in (value if isinstance(value, tuple) else (value,))):
        raise UsageError(where, option, got=repr(text), need=" or ".join(choices))
    return name, value


def _right_form(word: str, known: Known) -> str:
    """What `features=cm` or `--features cm` should be; nothing if this is no known option."""
    match = re.fullmatch(r"-*\s*([A-Za-z][\w-]*)(?:\s*[=:]\s*|\s+)(.*)", word)
    if not match or flag_name(match[1]) not in known:
        return ""
    return f"--{flag_name(match[1]).replace('_', '-')}={match[2]}"


def _convert(text: str, kind: Any) -> Any:
    """`text` as a value of a field's type."""
    if kind is bool:
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    kinds = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return tuple(_convert(part, kinds[0]) for part in text.split(",")) if text else ()
    if type(None) in kinds:
        return _convert(text, next(k for k in kinds if k is not type(None))) if text else None
    if kind is not str and "_" in text:  # Python reads 1_0 as 10
        raise ValueError(text)
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _kind_name(kind: Any) -> str:
    """The type of a field in words."""
    kinds = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return f"a comma-separated list of {kinds[0].__name__}"
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a word"}
    if kind in names:
        return names[kind]
    return " or ".join("nothing" if k is type(None) else names[k] for k in kinds)


def config_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Place and text of every flag in a .conf file, without comments."""
    if not os.path.isfile(path):
        raise UsageError("--config", f"no such file: {path}")
    data = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.decode().split("#", 1)[0].strip()
        except ValueError:
            raise UsageError(
                f"{path}:{number}", "text", got=repr(line[:40]), need="UTF-8"
            ) from None
        if text:
            yield f"{path}:{number}", text


def read_config(path: str, known: Known) -> dict[str, Any]:
    """Values by field of a .conf file; a command as value is refused.

    Raises
    ------
    UsageError
        With file and line.
    """
    values = {}
    for where, line in config_lines(path):
        name, value = parse_flag(line, known, where)
        words = value if isinstance(value, tuple) else (value,)
        if commands := [word for word in words if COMMAND.search(str(word))]:
            option, hint = flag(name, "").rstrip("="), "Give a command on the command line only"
            raise UsageError(where, option, got=f"the command {commands[0]!r}", hint=hint)
        values[name] = value
    return values


def settings_lines(*options: Any) -> list[str]:
    """The fields of option dataclasses as flags."""
    return [flag(f.name, getattr(o, f.name)) for o in options for f in dataclasses.fields(o)]


def save_settings(path: str | os.PathLike[str], *options: Any, first: Iterable[str] = ()) -> None:
    """Write option dataclasses as a .conf file; `first` are lines to write before them."""
    with open_whole(path) as file:
        file.writelines(f"{line}\n".encode() for line in (*first, *settings_lines(*options)))


def load_settings(path: str | os.PathLike[str], cls: type) -> Any:
    """The `cls` that a .conf file describes; lines of other dataclasses are ignored.

    Raises
    ------
    UsageError
        If a value does not fit, with file and line.
    """
    known = known_fields([cls])
    lines = [(where, line) for where, line in config_lines(path) if flag_name(line) in known]
    return cls(**dict(parse_flag(line, known, where) for where, line in lines))


def check_settings(path: str, *options: Any) -> None:
    """Refuse settings other than those saved beside a file; warn where none are saved.

    Raises
    ------
    SdError
        With the settings that differ.
    """
    conf = f"{path}.conf"
    if not os.path.isfile(conf):
        settings = " ".join(settings_lines(*options))
        warn(path, f"{conf} does not exist, so {settings} cannot be checked against it")
        return
    saved = settings_lines(*(load_settings(conf, type(o)) for o in options))
    differing = [pair for pair in zip(settings_lines(*options), saved) if pair[0] != pair[1]]
    if differing:
        got, need = (" ".join(words) for words in zip(*differing))
        hint = (
            "Give the same settings to every command of a system. If sd-post-feats has applied "
            f"them already, remove {conf}"
        )
        raise SdError(path, "settings", got=got, need=f"{need} as in {conf}", hint=hint)
