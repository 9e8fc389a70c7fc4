"""JSON files, written whole and read strictly."""

from __future__ import annotations

import json
import math
from typing import Any

from sdtools.errors import SdError
from sdtools.tables.input import open_input
from sdtools.tables.output import open_output

MAX_JSON_BYTES = 1 << 24  # Python needs up to 28 times as much memory
MAX_DIGITS = 19  # of an integer; Python is slow at numbers of a million digits


def write_json(path: str, value: Any) -> None:
    """Write a value as JSON."""
    with open_output(path) as file:
        file.write((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: str, what: str, need: str, hint: str, allow_pipes: bool = False) -> Any:
    """Read a JSON file; `what`, `need` and `hint` are for the message.

    Raises
    ------
    SdError
        If it is too large, not JSON, not UTF-8 or nested too deeply, or if a number is not finite
        or has more than 64 bits.
    """
    with open_input(path, allow_pipes) as source:
        if (source.size or 0) > MAX_JSON_BYTES:
            got, need = f"{source.size} bytes", f"{need}, at most {MAX_JSON_BYTES} bytes"
            raise SdError(path, what, got=got, need=need, hint=hint)
        data = source.read_all()
    try:
        value = json.loads(data, parse_int=_integer, parse_float=_number, parse_constant=_number)
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate
    except RecursionError:
        got = "lists that are nested too deeply"
        raise SdError(path, what, got=got, need=need, hint=hint) from None
    except ValueError as error:
        raise SdError(path, what, got=f"no JSON ({error})", need=need, hint=hint) from None
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is not finite")
    return float(text)


def to_word(value: Any) -> Any:
    """An infinite number as the word `inf` or `-inf`, which JSON can hold; others as they are.

    Examples
    --------
    >>> to_word(-math.inf), to_word(0.5)
    ('-inf', 0.5)
    """
    return str(value) if value in (math.inf, -math.inf) else value


class Fields:
    """The fields of a JSON object, which are checked as they are read.

    Parameters
    ----------
    value
        What should be an object.
    name
        Its place in the file, for messages.

    Raises
    ------
    SdError
        If the value is not an object; later, if a field is missing or of another kind.
    """

    def __init__(self, value: Any, name: str = ""):
        self.name = name
        self.values = self._check("", value, dict, "an object")

    def _check(self, name: str, value: Any, kinds: type | tuple[type, ...], need: str) -> Any:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SdError(self.place(name), got=repr(value)[:60], need=need)
        return value

    def place(self, name: str) -> str:
        """Name of a field with the names of the objects around it."""
        return ".".join(part for part in (self.name, name) if part)

    def any(self, name: str) -> Any:
        """A field of any kind."""
        if name not in self.values:
            raise SdError(self.place(name), "no such field")
        return self.values[name]

    def text(self, name: str) -> str:
        """A string."""
        return self._check(name, self.any(name), str, "a string")

    def integer(self, name: str) -> int:
        """An integer."""
        return self._check(name, self.any(name), int, "an integer")

    def number(self, name: str) -> float:
        """A finite number."""
        return self._check(name, self.any(name), (int, float), "a number")

    def extended(self, name: str) -> float:
        """A number or one of the words `inf` and `-inf`."""
        value = self.any(name)
        return float(value) if value in ("inf", "-inf") else self.number(name)

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers."""
        return self._list(name, (int, float), "a number")

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        return self._list(name, str, "a string")

    def lists(self, name: str) -> list[Fields]:
        """A list of lists; `numbers("")` of each gives its numbers."""
        values = self._list(name, list, "a list")
        return [Fields({"": value}, f"{self.place(name)}[{i}]") for i, value in enumerate(values)]

    def _list(self, name: str, kinds: type | tuple[type, ...], need: str) -> list[Any]:
        values = self._check(name, self.any(name), list, "a list")
        return [self._check(f"{name}[{i}]", v, kinds, need) for i, v in enumerate(values)]

    def object(self, name: str) -> Fields:
        """An object."""
        return Fields(self.any(name), self.place(name))

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        values = self._list(name, dict, "an object")
        return [Fields(value, f"{self.place(name)}[{i}]") for i, value in enumerate(values)]
