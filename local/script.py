"""What the scripts of this folder share: options, and notes, warnings and errors of one line."""

import argparse
import sys
from collections.abc import Callable, Sequence
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

    def error(self, message: str) -> None:  # type: ignore[override]
        """End with status 1, as Kaldi's scripts do."""
        sys.exit(printable(f"{self.prog}: {message}. Try --help"))

    def run(
        self, body: Callable[[argparse.Namespace], None], argv: Sequence[str] | None = None
    ) -> None:
        """Call `body` with the options; an error ends the script with one line and status 1."""
        args = self.parse_args(argv)
        try:
            with warnings_to(lambda warning: self.note(f"warning: {warning}")):
                body(args)
        except (ValueError, OSError, ArithmeticError, MemoryError) as error:
            sys.exit(f"{self.prog}: {as_sd_error(error)}")


def three_numbers(text: str) -> list[int]:
    """Numbers for train, dev and eval from the value of an option."""
    values = text.split(",")
    if len(values) != 3 or not all(value.isdecimal() and int(value) for value in values):
        need = "three numbers of 1 or more, for example 20,10,20"
        raise argparse.ArgumentTypeError(f"expected {need}, found {text}")
    return [int(value) for value in values]
