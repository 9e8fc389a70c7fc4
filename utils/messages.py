"""Errors as data, and messages of one line under the name of the script."""

import os
import sys
from collections.abc import Callable


class Problem(ValueError):
    """Something that the user can correct.

    It reads `who: what: expected <need>, found <got>. <hint>.`

    Parameters
    ----------
    who
        Place: a file with or without a line number, a directory, or an option.
    what
        A noun where `need` or `got` follows, otherwise a full clause.
    got, need
        What is there, and what should be there.
    hint
        What to do next, as an imperative sentence.
    """

    def __init__(
        self, who: object, what: str, *, got: object = None, need: object = None, hint: str = ""
    ) -> None:
        super().__init__(who, what)
        self.who, self.what, self.got, self.need, self.hint = str(who), what, got, need, hint

    def __str__(self) -> str:
        sides = (("expected", self.need), ("found", self.got))
        found = ", ".join(f"{word} {side}" for word, side in sides if side is not None)
        text = ": ".join(part for part in (self.who, self.what, found) if part)
        return f"{text}. {self.hint}." if self.hint else text


def printable(text: object) -> str:
    """`text` with control characters and bytes that are not UTF-8 as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def script_name() -> str:
    """Name of the running script."""
    return os.path.basename(sys.argv[0])


def say(message: object) -> None:
    """Print one line to stderr, in one write because other scripts may print at the same time."""
    line = f"{script_name()}: {printable(message)}\n"
    print(line, end="", file=sys.stderr, flush=True)


def status_of(main: Callable[[], int | None]) -> int:
    """Exit status of `main()`; a Problem or an error of the system is one line and status 1."""
    try:
        return main() or 0
    except OSError as error:
        say(f"{error.filename or 'input/output'}: {error.strerror}")
    except ValueError as error:
        say(error)
    return 1
