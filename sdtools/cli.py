"""What every command shares: option dataclasses as flags and .conf files, logging, the loop over keys, exit status.

A command is one file in `sdtools/bin`: a `Command` and a body that opens, loops by key and returns. Options follow the
manners of Kaldi's binaries: `--name=value` before the positionals, bare `--flag` for true, `_` equals `-`, `--` ends the
options, `--config=file` holds the same flags one per line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import resource
import shlex
import signal
import sys
import threading
import typing
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sdtools import __version__, streams

MAX_MESSAGE = 5000  # characters: more is a value out of a damaged file
COMMAND = re.compile(r"\|\s*$|^\s*\||[:,]\s*\|")  # what streams would run, alone or in the name of a table
BOOLEANS = {"true": True, "t": True, "1": True, "": True, "false": False, "f": False, "0": False}


class UsageError(ValueError):
    """A command line that does not fit the command: the message says what would."""


@dataclass(frozen=True)
class CommonOptions:
    """Options that every command takes."""

    print_args: bool = field(default=True, metadata={"help": "log version, command line and settings first"})
    verbose: int = field(default=0, metadata={"help": "taken as by Kaldi's binaries; changes nothing"})
    debug: bool = field(default=False, metadata={"help": "show Python's traceback of an error"})


@dataclass(frozen=True)
class InputOptions:
    """How a command that loops over keys reads its input."""

    max_skip: int = field(default=0, metadata={"help": "bad keys that are skipped and counted before the command fails"})
    allow_pipes: bool = field(default=False, metadata={"help": "run the commands that stand in the lines of an scp file"})

    def __post_init__(self):
        if self.max_skip < 0:
            raise ValueError(f"--max-skip: got {self.max_skip}, need 0 or more")


@dataclass(frozen=True)
class Command:
    """One command: its name, what it takes and what `--help` says.

    Parameters
    ----------
    name
        As typed, e.g. `sd-score-gmm`.
    summary
        What it does, in a sentence or two.
    positionals
        Names in order, e.g. `("<gmm>", "<feats-rspecifier>")`; one that ends in `...` stands for one or more words, `[<name>...]` for any.
    example
        A command line that works in a recipe directory.
    options
        Option dataclasses; each field has a default and `metadata={"help": ..., "choices": (...)}`.
    """

    name: str
    summary: str
    positionals: tuple[str, ...]
    example: str
    options: tuple[type, ...] = ()

    def run(self, body: Callable[[Context], int | None], argv: Sequence[str] | None = None) -> int:
        """Exit status of `body(context)`: 0 done, 1 refused or failed, 128 + n ended by signal n."""
        argv = list(sys.argv[1:] if argv is None else argv)
        if any(word in ("--help", "-h") for word in _flags(argv)):
            try:
                print(self.help(), flush=True)
            except BrokenPipeError:  # a reader who has seen enough; Python would complain once more at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        log = Log(self.name)
        debug = any(_flag_name(word) == "debug" and BOOLEANS.get(word.partition("=")[2].lower()) for word in _flags(argv))
        try:
            with _terminate_as_exit(), _warnings_to(log):
                context = self.parse(argv, log)
                return body(context) or 0
        except KeyboardInterrupt:
            log.error("interrupted")
            return 130
        except (ValueError, OSError, ArithmeticError, MemoryError, ImportError) as error:
            if debug:
                raise
            hint = f" ({self.name} --help lists the options)" if isinstance(error, UsageError) else ""
            log.error(_one_line(error) + hint)
            return 1

    def parse(self, argv: Sequence[str], log: Log) -> Context:
        """Options and positionals of `argv`; logs version, command line and settings unless `--print-args=false`."""
        classes = (*self.options, CommonOptions)
        known = {f.name: (cls, f) for cls in classes for f in dataclasses.fields(cls)}
        flags = _flags(argv)
        positionals = list(argv[len(flags) :])
        if positionals[:1] == ["--"]:
            positionals = positionals[1:]
        elif late := [word for word in positionals if word.startswith("--")]:
            raise UsageError(f"{self.name}: arguments: got {late[0]} after {positionals[0]}, need options before the positionals")
        values: dict[str, object] = {}
        if "--config" in flags:
            raise UsageError(f"{self.name}: --config: got no value, need a file after '=', as in --config=conf/feats.conf")
        configs = [word.split("=", 1)[1] for word in flags if word.startswith("--config=")]
        for path in configs:
            for where, line in _config_lines(path):
                name, value = _parse_flag(line, known, where)
                if commands := [word for word in (value if isinstance(value, tuple) else [value]) if COMMAND.search(str(word))]:
                    flag, need = f"--{name.replace('_', '-')}", "a file. Give a command on the command line only"
                    raise UsageError(f"{where}: {flag}: got a command, {commands[0]!r}, need {need}")
                values[name] = value
        for word in flags:
            if not word.startswith("--config="):
                name, value = _parse_flag(word, known, self.name)
                values[name] = value
        self._check_positionals(positionals)
        options = {cls: cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}) for cls in classes}
        context = Context(self, log, positionals, options)
        if options[CommonOptions].print_args:
            log.info(f"sdtools {__version__}: {self.name} {shlex.join(argv)}")
            settings = " ".join(line for cls in self.options for line in settings_lines(options[cls]))
            if settings:
                log.info(f"settings {settings}")
        return context

    def _check_positionals(self, words: list[str]) -> None:
        variadic = any("..." in name for name in self.positionals)
        num_needed = sum(not name.startswith("[") for name in self.positionals)
        if len(words) < num_needed or (len(words) > len(self.positionals) and not variadic):
            cause = "; a value stands after '=', as in --name=true" if words[:1] in (["true"], ["false"]) else ""
            raise UsageError(f"{self.name}: arguments: got {len(words)}, need {' '.join(self.positionals) or 'none'}{cause}")

    def help(self) -> str:
        """The text of `--help`."""
        lines = [f"Usage: {self.name} [options] {' '.join(self.positionals)}", "", self.summary, "", "Example:", f"  {self.example}", ""]
        lines.append("Options (defaults shown; a file given as --config=file holds the same flags, one per line):")
        for cls in (*self.options, CommonOptions):
            for f in dataclasses.fields(cls):
                choices = f" [{' | '.join(f.metadata['choices'])}]" if "choices" in f.metadata else ""
                lines.append(f"  {_flag(f.name, f.default):<32} {f.metadata['help']}{choices}")
        return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    rows = [[streams.printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in rows)


class Log:
    """Lines `LEVEL (command) message` on stderr; stdout is for results."""

    def __init__(self, command: str):
        self.command = command

    def _line(self, level: str, message: str) -> None:
        if len(message) > MAX_MESSAGE:
            message = f"{message[:500]} ... {message[-500:]}"
        text = f"{level} ({self.command}) {streams.printable(message)}"
        tqdm = sys.modules.get("tqdm")
        if tqdm is not None and sys.stderr.isatty():
            tqdm.tqdm.write(text, file=sys.stderr)
        else:
            print(f"{text}\n", end="", file=sys.stderr, flush=True)  # at once: other processes write, too

    def info(self, message: str) -> None:
        """What was decided or done."""
        self._line("LOG", message)

    def warning(self, message: str) -> None:
        """What the user should look at."""
        self._line("WARNING", message)

    def error(self, message: str) -> None:
        """Why the command failed."""
        self._line("ERROR", message)


@dataclass
class Context:
    """A parsed command line: what a command's body works with."""

    command: Command
    log: Log
    positionals: list[str]
    options: dict[type, typing.Any]

    def __getitem__(self, cls: type) -> typing.Any:
        """The options of one dataclass."""
        return self.options[cls]

    def for_each(
        self,
        entries: Iterable,
        compute: Callable[[typing.Any], object],
        write: Callable[[str, typing.Any], None],
        *,
        total: int | None = None,
        num_threads: int = 1,
    ) -> int:
        """Exit status after `write(key, compute(entry))` for each table entry, in the entries' order.

        `compute` may raise ValueError, OSError or ArithmeticError: the key is then skipped and counted while `--max-skip` allows
        it, else the error ends the command, with key and place. `num_threads` computations run at once; up to two entries a thread are
        held. Nothing done is an error. Entries that a table leaves out under option `p` count as skipped.
        """
        max_skip = self.options[InputOptions].max_skip if InputOptions in self.options else 0
        num_done = num_skipped = 0
        results = _computed(entries, compute, num_threads)
        with contextlib.closing(results):  # the threads end before the caller goes on
            for entry, value, error in self._progress(results, total):
                if error is None:
                    try:
                        write(entry.key, value)
                    except ValueError as e:
                        raise ValueError(f"{entry.key} ({entry.where}): {e}") from e
                    num_done += 1
                    continue
                message = f"{entry.key} ({entry.where}): {_one_line(error)}"
                if num_skipped == max_skip:
                    remedy = f" (--max-skip={max_skip + 1} or more would skip it)" if InputOptions in self.options else ""
                    raise ValueError(message + remedy) from error
                num_skipped += 1
                self.log.warning(f"skipped {message}")
        num_skipped += getattr(entries, "num_skipped", 0)
        if num_done == 0:
            raise ValueError(f"{getattr(entries, 'name', 'input')}: got no usable entry ({num_skipped} skipped), need at least one")
        self.log.info(f"done {num_done} of {num_done + num_skipped}, {num_skipped} skipped")
        return 0

    def _progress(self, items: Iterable, total: int | None) -> Iterable:
        if not sys.stderr.isatty():
            return items
        from tqdm import tqdm

        return tqdm(items, total=total, unit="utt", desc=self.command.name, file=sys.stderr, leave=False)


def _computed(entries: Iterable, compute: Callable, num_threads: int) -> Iterable:
    """(entry, value, error) of each entry, in order; BLAS uses one thread, ours are the only ones."""
    from threadpoolctl import threadpool_limits

    def one(entry):
        try:
            return entry, compute(entry), None
        except (ValueError, OSError, ArithmeticError) as error:
            return entry, None, error

    with threadpool_limits(1):
        if num_threads == 1:
            yield from map(one, entries)
            return
        pool, waiting = ThreadPoolExecutor(num_threads), deque()
        try:
            for entry in entries:
                waiting.append(pool.submit(one, entry))
                if len(waiting) == 2 * num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def settings_lines(*options: object) -> list[str]:
    """The fields of option dataclasses as flags, `--name=value`."""
    return [_flag(f.name, getattr(o, f.name)) for o in options for f in dataclasses.fields(o)]


def save_settings(path: str | os.PathLike, *options: object) -> None:
    """Write option dataclasses as a .conf file that `--config` reads."""
    with streams.open_output(str(path)) as file:
        file.write("".join(line + "\n" for line in settings_lines(*options)).encode())


def load_settings(path: str | os.PathLike, cls: type) -> typing.Any:
    """The `cls` that a .conf file written by `save_settings` describes; lines of other dataclasses are passed over.

    Raises
    ------
    UsageError
        A value that does not parse, with file and line.
    """
    known = {f.name: (cls, f) for f in dataclasses.fields(cls)}
    values = [_parse_flag(line, known, where) for where, line in _config_lines(path) if _flag_name(line) in known]
    return cls(**dict(values))


def check_settings(path: str, *options: object, log: Log | None = None) -> None:
    """Refuse settings other than those saved beside a file; say so to the log where there are none.

    Raises
    ------
    ValueError
        With the settings that differ.
    """
    conf = f"{path}.conf"
    if not os.path.isfile(conf):
        if log:
            log.warning(f"{conf}: settings of {path} are not there: {' '.join(settings_lines(*options))} are not checked")
        return
    pairs = zip(settings_lines(*options), settings_lines(*(load_settings(conf, type(o)) for o in options)))
    if differ := [pair for pair in pairs if pair[0] != pair[1]]:
        got, need = (" ".join(words) for words in zip(*differ))
        raise ValueError(
            f"{path}: settings: got {got}, need {need} as in {conf}. Give the same to every command of a system; if "
            f"sd-post-feats has done it to the features already, take {conf} away"
        )


def _flags(argv: Sequence[str]) -> list[str]:
    """The leading words of a command line that are options."""
    count = 0
    while count < len(argv) and argv[count].startswith("-") and argv[count] not in ("-", "--"):
        count += 1
    return list(argv[:count])


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, tuple):
        text = ",".join(str(v) for v in value)
    else:
        text = "" if value is None else str(value)
    return f"--{name.replace('_', '-')}={text}"


def _flag_name(word: str) -> str:
    return word.split("=", 1)[0].removeprefix("--").replace("-", "_").lower()


def _parse_flag(word: str, known: dict[str, tuple[type, dataclasses.Field]], where: str) -> tuple[str, object]:
    """(field name, value) of one `--name=value`."""
    name = _flag_name(word)
    if not word.startswith("--") or name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, 1, 0.6)
        cause = f"; did you mean --{near[0].replace('_', '-')}?" if near else ""
        raise UsageError(f"{where}: option: got {word!r}, need one of this command's options{cause}")
    cls, f = known[name]
    kind = typing.get_type_hints(cls)[name]
    if "=" not in word:
        if kind is bool:
            return name, True
        raise UsageError(f"{where}: --{name.replace('_', '-')}: got no value, need {_flag(name, f.default)} or another value after '='")
    text = word.split("=", 1)[1]
    try:
        value = _convert(text, kind)
    except ValueError:
        raise UsageError(f"{where}: --{name.replace('_', '-')}: got {text!r}, need {_kind_name(kind)}") from None
    choices = f.metadata.get("choices")
    if choices and any(v not in choices for v in (value if isinstance(value, tuple) else (value,))):
        raise UsageError(f"{where}: --{name.replace('_', '-')}: got {text!r}, need {' or '.join(choices)}")
    return name, value


def _convert(text: str, kind: typing.Any) -> object:
    if kind is bool:
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(item(part) for part in text.split(",")) if text else ()
    if type(None) in typing.get_args(kind):
        item = next(k for k in typing.get_args(kind) if k is not type(None))
        return item(text) if text else None
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _kind_name(kind: typing.Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a comma-separated list of {typing.get_args(kind)[0].__name__}"
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a word"}
    return names.get(kind) or " or ".join("nothing" if k is type(None) else names[k] for k in typing.get_args(kind))


def _config_lines(path: str | os.PathLike) -> Iterable[tuple[str, str]]:
    if not os.path.isfile(path):
        raise UsageError(f"--config: got {path}, need a file of options, one per line. Check the path")
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode().split("#", 1)[0].strip()
            except ValueError:
                raise UsageError(f"{path}:{number}: line: got {line[:40]!r}, need UTF-8. Correct it") from None
            if text:
                yield f"{path}:{number}", text


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'input/output'}: {error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"memory: {text or 'exhausted'}"
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if isinstance(error, (ImportError, OSError)) and limit != resource.RLIM_INFINITY:  # a library that is loaded late
        return f"memory: got '{text}' under a limit (ulimit -v) of {limit // 1024} kB, need more. Raise it"
    return text


@contextlib.contextmanager
def _terminate_as_exit():
    """SIGTERM, SIGHUP and SIGINT end the command through its `with` blocks, so that no temporary file stays."""
    old, old_hook = {}, sys.unraisablehook

    def send_again(unraisable):
        """What a library swallows, as numba's callbacks do while loops are loaded: a little later, as here it would be swallowed, too."""
        error, signum = unraisable.exc_value, None
        if isinstance(error, KeyboardInterrupt):
            signum = signal.SIGINT
        elif isinstance(error, SystemExit) and error.code in (128 + signal.SIGTERM, 128 + signal.SIGHUP):
            signum = error.code - 128
        if signum is None:
            old_hook(unraisable)
        else:
            threading.Timer(0.01, os.kill, (os.getpid(), signum)).start()

    if threading.current_thread() is threading.main_thread():
        sys.unraisablehook = send_again
        old = {n: signal.signal(n, lambda n, frame: sys.exit(128 + n)) for n in (signal.SIGTERM, signal.SIGHUP)}
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as bin leaves it
            old[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        sys.unraisablehook = old_hook
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _warnings_to(log: Log):
    """Python warnings of ours or of a library become WARNING lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_, **__: log.warning(_one_line(message))
        yield
