"""What every command shares: command line, log, the loop over keys, exit status.

A command is one file in `sdtools/bin`: a `Command` and a body that opens, loops by key and returns.
Its command line follows Kaldi: options before the positionals, `--` ends the options,
`--config=file` holds the same flags, one per line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdtools import __version__
from sdtools.cli.files import check_files, named_files
from sdtools.cli.loop import Item, computed, with_bar, with_reports
from sdtools.cli.process import end_by_exit, logging_to, warnings_to
from sdtools.errors import SdError, UsageError, as_sd_error, printable
from sdtools.options import (
    BOOLEANS,
    flag,
    flag_name,
    known_fields,
    parse_flag,
    read_config,
    settings_lines,
)

MAX_MESSAGE = 5000  # characters; a longer message holds a value of a damaged file


@dataclass(frozen=True)
class CommonOptions:
    """Options that every command takes."""

    print_args: bool = field(
        default=True, metadata={"help": "log the version, command line and settings first"}
    )
    verbose: int = field(
        default=0, metadata={"help": "accepted because Kaldi's programs take it; no effect"}
    )
    debug: bool = field(default=False, metadata={"help": "show Python's traceback of an error"})


@dataclass(frozen=True)
class InputOptions:
    """How a command that loops over keys reads its input."""

    max_skip: int = field(
        default=0, metadata={"help": "number of bad entries to skip before the command fails"}
    )
    allow_pipes: bool = field(
        default=False, metadata={"help": "run the commands in the lines of an scp file"}
    )

    def __post_init__(self) -> None:
        if self.max_skip < 0:
            raise UsageError("--max-skip", got=self.max_skip, need="0 or more")


@dataclass(frozen=True)
class Command:
    """One command: its name, its arguments and its `--help`.

    Parameters
    ----------
    name
        As typed, such as `sd-score-gmm`.
    summary
        What it does, in a sentence or two.
    positionals
        Names in order, such as `("<gmm>", "<feats-rspecifier>")`. A name that ends in `...` stands
        for one or more words, `[<name>...]` for any number. Names of outputs end in `-out>`, or are
        `<wspecifier>`.
    example
        A command line that works in a recipe directory.
    options
        Option dataclasses (see `sdtools.options`).
    """

    name: str
    summary: str
    positionals: tuple[str, ...]
    example: str
    options: tuple[type, ...] = ()

    def run(self, body: Callable[[Context], int | None], argv: Sequence[str] | None = None) -> int:
        """Run `body(context)` and return its exit status.

        0 is success, 1 an error, and 128 + n means that signal n ended the command.
        """
        argv = list(sys.argv[1:] if argv is None else argv)
        if any(word in ("--help", "-h") for word in _flags(argv)):
            try:
                print(self.help(), flush=True)
            except BrokenPipeError:  # Python would complain once more at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        log = Log(self.name)
        try:
            with (
                end_by_exit(),
                logging_to(log.info),
                warnings_to(lambda warning: log.warning(as_sd_error(warning))),
            ):
                return body(self.parse(argv, log)) or 0
        except KeyboardInterrupt:
            log.error("interrupted")
            return 130
        except (ValueError, OSError, ArithmeticError, MemoryError, ImportError) as error:
            if _is_debug(argv):
                raise
            hint = f"{self.name} --help lists the options" if isinstance(error, UsageError) else ""
            log.error(as_sd_error(error).within(hint=hint))
            return 1

    def parse(self, argv: Sequence[str], log: Log) -> Context:
        """Options and positionals of `argv`.

        Logs the version, the command line and the settings unless `--print-args=false`.

        Raises
        ------
        UsageError
            If the command line does not fit.
        SdError
            If an output is also an input, or another output.
        """
        classes = (*self.options, CommonOptions)
        known = known_fields(classes)
        flags = _flags(argv)
        values: dict[str, Any] = {}
        for word in flags:
            if word == "--config":
                raise UsageError("--config", need="a file after '=', as in --config=conf/gmm.conf")
            if word.startswith("--config="):
                values |= read_config(word.split("=", 1)[1], known)
        for word in flags:
            if not word.startswith("--config="):
                behind = argv[len(flags)] if word is flags[-1] and len(argv) > len(flags) else ""
                name, value = parse_flag(word, known, "command line", behind)
                values[name] = value
        positionals = self._check_positionals(list(argv[len(flags) :]))
        options = {cls: _make(cls, values) for cls in classes}
        inputs, outputs = named_files(self.positionals, positionals, options)
        inputs += [word.split("=", 1)[1] for word in flags if word.startswith("--config=")]
        check_files(inputs, outputs)
        context = Context(self, log, positionals, options)
        if options[CommonOptions].print_args:
            log.info(f"sdtools {__version__}: {self.name} {shlex.join(argv)}")
            settings = " ".join(
                line for cls in self.options for line in settings_lines(options[cls])
            )
            if settings:
                log.info(f"settings {settings}")
        return context

    def _check_positionals(self, words: list[str]) -> list[str]:
        """The positionals, without the `--` that ends the options."""
        if words[:1] == ["--"]:
            words = words[1:]
        elif late := [word for word in words if word.startswith("--")]:
            hint = "Write options before the other arguments"
            raise UsageError("command line", f"{late[0]} stands after {words[0]}", hint=hint)
        is_open = any("..." in name for name in self.positionals)
        num_needed = sum(not name.startswith("[") for name in self.positionals)
        if len(words) < num_needed or (len(words) > len(self.positionals) and not is_open):
            hint = ""
            if words[:1] in (["true"], ["false"]):
                hint = "Write a value after '=', as in --name=true"
            need = " ".join(self.positionals) or "none"
            raise UsageError("command line", "arguments", got=len(words), need=need, hint=hint)
        return words

    def help(self) -> str:
        """The text of `--help`."""
        lines = [
            f"Usage: {self.name} [options] {' '.join(self.positionals)}",
            "",
            self.summary,
            "",
            "Example:",
            f"  {self.example}",
            "",
            "Options with their defaults (--config=file reads the same options, one per line):",
        ]
        for cls in (*self.options, CommonOptions):
            for f in dataclasses.fields(cls):
                choices = (
                    f" [{' | '.join(f.metadata['choices'])}]" if "choices" in f.metadata else ""
                )
                lines.append(f"  {flag(f.name, f.default):<32} {f.metadata['help']}{choices}")
        return "\n".join(lines)


def _make(cls: type, values: dict[str, Any]) -> Any:
    """An options object from those of the values that are its fields."""
    return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})


def _flags(argv: Sequence[str]) -> list[str]:
    """The words of a command line that come first and are options."""
    count = 0
    while count < len(argv) and argv[count].startswith("-") and argv[count] not in ("-", "--"):
        count += 1
    return list(argv[:count])


def _is_debug(argv: Sequence[str]) -> bool:
    """Whether the options hold a true `--debug`."""
    words = [word for word in _flags(argv) if flag_name(word) == "debug"]
    return any(BOOLEANS.get(word.partition("=")[2].lower()) for word in words)


class Log:
    """Lines `LEVEL (command) message` on stderr; stdout is for results."""

    def __init__(self, command: str):
        self.command = command

    def _line(self, level: str, message: object) -> None:
        message = str(message)
        if len(message) > MAX_MESSAGE:
            message = f"{message[:500]} ... {message[-500:]}"
        text = f"{level} ({self.command}) {printable(message)}"
        tqdm = sys.modules.get("tqdm")
        if tqdm is not None and sys.stderr.isatty():
            tqdm.tqdm.write(text, file=sys.stderr)
        else:  # one write, because other processes write too
            print(f"{text}\n", end="", file=sys.stderr, flush=True)

    def info(self, message: object) -> None:
        """Report what was decided or done."""
        self._line("LOG", message)

    def warning(self, message: object) -> None:
        """Report what the user should look at."""
        self._line("WARNING", message)

    def error(self, message: object) -> None:
        """Report why the command failed."""
        self._line("ERROR", message)


@dataclass
class Context:
    """A parsed command line, which the body of a command works with."""

    command: Command
    log: Log
    positionals: list[str]
    options: dict[type, Any]

    def __getitem__(self, cls: type) -> Any:
        """The options of one dataclass."""
        return self.options[cls]

    def for_each(
        self,
        entries: Iterable[Any],
        compute: Callable[[Any], object],
        write: Callable[[str, Any], object],
        *,
        total: int | None = None,
        num_threads: int = 1,
    ) -> int:
        """Call `write(key, compute(entry))` for each table entry, in order; return the exit status.

        An entry for which `compute` raises ValueError, OSError or ArithmeticError is skipped and
        counted while `--max-skip` allows it; else the command ends with key and place. An entry
        that the table itself leaves out under option `p` counts as skipped.

        Parameters
        ----------
        entries
            Table entries, with `key` and `where`.
        total
            Number of entries, for the progress bar.
        num_threads
            Computations at once; at most two entries per thread are held.

        Raises
        ------
        SdError
            If an entry cannot be used, or none was done.
        """
        can_skip = InputOptions in self.options
        max_skip = self.options[InputOptions].max_skip if can_skip else 0
        num_done = num_skipped = 0
        with contextlib.closing(computed(entries, compute, num_threads)) as results:
            for entry, value, error in self.progress(results, total):
                place = f"{entry.key} ({entry.where})"
                if error is None:
                    try:
                        write(entry.key, value)
                    except ValueError as e:
                        raise as_sd_error(e).within(place) from e
                    num_done += 1
                    continue
                problem = as_sd_error(error).within(place)
                if num_skipped == max_skip:
                    hint = f"--max-skip={max_skip + 1} or more would skip it" if can_skip else ""
                    raise as_sd_error(error).within(place, hint) from error
                num_skipped += 1
                self.log.warning(f"skipped {problem}")
        num_skipped += getattr(entries, "num_skipped", 0)
        if num_done == 0:
            name = getattr(entries, "name", "input")
            raise SdError(name, f"no usable entry, {num_skipped} skipped", need="at least one")
        done = f"done {num_done} of {num_done + num_skipped}, {num_skipped} skipped"
        if getattr(entries, "is_cut", False):
            done = f"done {num_done}; the rest of the archive could not be read"
        self.log.info(done)
        return 0

    def progress(self, items: Iterable[Item], total: int | None) -> Iterable[Item]:
        """The items; a bar on the terminal, or lines in the log, show how far the loop is."""
        if sys.stderr.isatty():
            return with_bar(items, total, self.command.name)
        return with_reports(items, total, self.log.info)
