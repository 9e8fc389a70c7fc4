"""The one error class and the one warning class, and the one place that renders them."""

from __future__ import annotations

import resource
import warnings
from typing import Any


def printable(text: str) -> str:
    r"""`text` on one line of any terminal: what cannot be printed is escaped.

    Examples
    --------
    >>> printable("name\n\x1b[31m")
    'name\\n\\x1b[31m'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Problem(Exception):
    """What an error and a warning have in common.

    Parameters
    ----------
    who
        Where it happened: a file and line, an utterance, an option, a function.
    what
        What is wrong: a noun such as "sample rate" if `got` or `need` follow, else a clause.
    got, need
        What was found, and what was expected.
    hint
        What to do next, as a sentence.
    """

    def __init__(
        self,
        who: object,
        what: str = "",
        *,
        got: object = None,
        need: object = None,
        hint: str = "",
    ):
        super().__init__(who, what)
        self.who, self.what, self.got, self.need, self.hint = str(who), what, got, need, hint

    def __str__(self) -> str:
        sides = [("expected", self.need), ("found", self.got)]
        sides_text = ", ".join(f"{word} {side}" for word, side in sides if side is not None)
        text = ": ".join(part for part in (self.who, self.what, sides_text) if part)
        return printable(f"{text}. {_sentence(self.hint)}" if self.hint else text)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.who, self.what), self.__dict__

    def within(self, place: object = "", hint: str = "") -> Problem:
        """Return the same problem with `place` before `who`, and `hint` behind its own."""
        hints = " ".join(_sentence(each) for each in (self.hint, hint) if each)
        who = ": ".join(part for part in (str(place), self.who) if part)
        return type(self)(who, self.what, got=self.got, need=self.need, hint=hints)


def _sentence(text: str) -> str:
    """`text` with a full stop, unless it ends with a mark."""
    return text if text[-1] in ".?!" else f"{text}."


class SdError(Problem, ValueError):
    """Input, settings or files that cannot be used as asked.

    Examples
    --------
    >>> error = SdError("a.wav", "sample rate", got="8000 Hz", need="16000 Hz", hint="Resample it")
    >>> print(error)
    a.wav: sample rate: expected 16000 Hz, found 8000 Hz. Resample it.
    >>> error.got
    '8000 Hz'
    """


class UsageError(SdError):
    """A command line that does not fit its command."""


class SdWarning(Problem, UserWarning):
    """Something that the user should look at; the work goes on."""


def warn(
    who: object,
    what: str = "",
    *,
    got: object = None,
    need: object = None,
    hint: str = "",
    stacklevel: int = 2,
) -> None:
    """Issue an `SdWarning`; `stacklevel` 2 names the caller's caller."""
    warning = SdWarning(who, what, got=got, need=need, hint=hint)
    warnings.warn(warning, stacklevel=stacklevel + 1)


def as_sd_error(error: BaseException) -> SdError:
    """Any exception as an `SdError`, also those of the system and of libraries."""
    if isinstance(error, SdError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return SdError(error.filename or "input or output", error.strerror)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return SdError("memory", text or "exhausted", hint="Use smaller data or more memory")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    is_late_library = isinstance(error, (ImportError, OSError))
    if is_late_library and limit != resource.RLIM_INFINITY:
        hint = f"Raise the limit (ulimit -v), which is {limit // 1024} kB"
        return SdError("memory", f"a library could not be loaded ({text})", hint=hint)
    return SdError(text or type(error).__name__)
