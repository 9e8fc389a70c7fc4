"""What the scripts of this folder share: options, and notes, warnings and errors of one line."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sdtools.cli.process import warnings_to
from sdtools.errors import as_sd_error, printable


class Script(argparse.ArgumentParser):
    """Command line of a script; `file` and `doc` are its `__file__` and `__doc__`."""

    def __init__(self, file: str, doc: str | None):
        super().__init__(
            prog=Path(file).name,
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def note(self, text: object) -> None:
        """Report on standard error what was done or decided."""
        print(printable(f"{self.prog}: {text}"), file=sys.stderr)

    def warnings(self, place: object = "") -> AbstractContextManager[None]:
        """Report Python's warnings, ours and those of libraries, as notes that name the place."""
        return warnings_to(lambda w: self.note(f"warning: {as_sd_error(w).within(place)}"))

    def error(self, message: str) -> None:  # type: ignore[override]
        """End with status 1, as Kaldi's scripts do."""
        sys.exit(printable(f"{self.prog}: {message}. Try --help"))

    def run(
        self, body: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
    ) -> None:
        """Call `body` with the options; an error ends the script with one line and status 1."""
        args = self.parse_args(argv)
        try:
            with self.warnings():
                body(args)
        except KeyboardInterrupt:
            self.note("interrupted")
            sys.exit(130)
        except (ValueError, OSError, ArithmeticError, MemoryError) as error:
            sys.exit(f"{self.prog}: {as_sd_error(error)}")


def whole_number(text: str) -> int:
    """The value of an option that is a whole number; `1_0`, which Python reads as 10, is none."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text}")
    return int(text)


def three_numbers(text: str) -> list[int]:
    """Numbers for train, dev and eval from the value of an option."""
    values = text.split(",")
    if not re.fullmatch(r"0*[1-9][0-9]{,17}(,0*[1-9][0-9]{,17}){2}", text):
        need = "three numbers of 1 or more, for example 20,10,20"
        raise argparse.ArgumentTypeError(f"expected {need}, found {text}")
    return [int(value) for value in values]
