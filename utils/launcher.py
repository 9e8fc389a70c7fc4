"""What run.py, slurm.py and queue.py share: command line, records of finished jobs, failures."""

import glob
import hashlib
import json
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from files import remove_leftovers, write_whole
from messages import Problem, say, script_name, status_of

HELP = r"""
JOB (any name) becomes the number of the job in the log file and in the command. bash reads a word
without blanks as it is, so \| and \> are shell syntax. A word with blanks is put in double quotes,
or in single quotes if it contains a double quote. A pipeline fails if any part of it fails.

--resume true skips a job that ended with status 0 before, if the command, the files that it names
and the files that an scp file lists have not changed. It does not look into directories.

Status: 0 if all jobs ended with 0, 1 if not, 128+n if signal n ended the launcher and its jobs.
"""

CHECKED_OPTIONS = {  # name: (pattern, need)
    **dict.fromkeys(("max_jobs_run", "num_threads"), (r"0*[1-9][0-9]*", "a whole number above 0")),
    "mem": (r"[0-9]+(\.[0-9]+)?[kKmMgGtT]?[bB]?", "a size such as 500M or 2G"),
    "time": (
        r"([0-9]+-)?[0-9]+(:[0-9]+){0,2}",
        "a time such as 90 (minutes), 4:00:00 or 2-12:00:00 (2 days 12 hours)",
    ),
    "resume": ("true|false", "true or false"),
}
OUT_OF_MEMORY = r"MemoryError|bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory|oom-kill"
MAX_FAILURES_SHOWN = 100
NO_NAME = "\0"  # of the job number, if there is none; no word contains a NUL

# A word that names an input: a file of options, or an scp file with the files that it lists.
INPUT = re.compile(r"--config=(?P<conf>.+)|(?:--(?!write)[\w-]+=)?scp(?:,\w+)*:(?P<scp>.+)")


class Task(NamedTuple):
    """One job with its number filled in: log file, words of the command, and the line for bash."""

    number: int
    log: str
    words: list[str]
    command: str


class Launch(NamedTuple):
    """A command line.

    `options` begin with two dashes, `passed` are those with one dash and their values. `words` are
    the log file and the command before the job number is filled in for `name`; `logs` is the log
    file with * for it.
    """

    options: dict[str, str]
    passed: list[tuple[str, ...]]
    name: str
    words: list[str]
    logs: str
    tasks: list[Task]


Finished = Callable[[Task, str | None], None]  # takes the cause of the failure, or None


def quote(word: str) -> str:
    """`word` in Kaldi's quotes: shell syntax stays active in a word without blanks."""
    if word and not re.search(r"\s", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'" if '"' in word else f'"{word}"'


def command_line(words: list[str]) -> str:
    """The words as one line for bash."""
    return " ".join(map(quote, words))


def parse_command_line(argv: list[str]) -> Launch:
    """Parse options and JOB=1:N in any order, then the log file and the command."""
    words, options, passed, name, numbers = deque(argv), {}, [], NO_NAME, range(1, 2)
    while words:
        if spec := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", words[0], re.ASCII):
            name, numbers = spec[1], range(int(spec[2]), int(spec[3] or spec[2]) + 1)
            if not numbers or not numbers[0]:
                need = f"{name}=first:last with 1 <= first <= last"
                raise Problem(words[0], "invalid job range", need=need, hint="Correct it")
            words.popleft()
        elif words[0].startswith("-"):
            option, *values = _take_option(words)
            if option.startswith("--"):
                key = option[2:].replace("-", "_")
                smallest = key == "max_jobs_run" and key in options
                options[key] = min(values[0], options[key], key=int) if smallest else values[0]
            else:
                passed.append((option, *values))
        else:
            break
    if len(words) < 2:
        hint = f"See {script_name()} --help"
        raise Problem("command line", "log file or command is missing", hint=hint)
    log = words[0]
    if re.fullmatch(r".+=.*:.*", log):
        say(
            f"warning: suspicious first argument {log}:"
            " it is not a valid job range, so it is used as the log file"
        )
    if len(numbers) > 1 and name not in log:
        what = "the jobs of an array cannot share one log file"
        raise Problem(log, what, hint=f"Put {name} into its name")
    tasks = []
    for number in numbers:
        own_log, *command = [word.replace(name, str(number)) for word in words]
        tasks.append(Task(number, own_log, command, command_line(command)))
    return Launch(options, passed, name, list(words), log.replace(name, "*"), tasks)


def _take_option(words: deque[str]) -> list[str]:
    """Remove an option with its values from the front of the words."""
    option = words.popleft()
    num_values = {"-V": 0, "-pe": 2}.get(option, 1)
    if len(words) < num_values:
        hint = f"Write {option} <value> before the log file"
        raise Problem(option, "the value is missing", hint=hint)
    values = [words.popleft() for _ in range(num_values)]
    if option == "-tc":
        option = "--max-jobs-run"
    if option.startswith("--"):
        form, need = CHECKED_OPTIONS.get(option[2:].replace("-", "_"), (".*", ""))
        if not re.fullmatch(form, values[0], re.DOTALL):
            got, hint = repr(values[0]), "Correct the option"
            raise Problem(option, "value", got=got, need=need, hint=hint)
    return [option, *values]


def num_bytes(size: str) -> float:
    """Bytes of a size such as 500M; a number without a unit is in megabytes."""
    number, unit = re.match(r"([0-9.]+)([kmgt]?)", size.lower()).groups()
    return float(number) * 1024 ** "_kmgt".index(unit or "m")


def record_of(task: Task) -> dict:
    """What a job depends on: its command, and time and size of the files that it names."""
    pieces = {*task.words}
    for word in task.words:
        for blanks in (r"\s", ""):  # a file name may contain blanks
            pieces.update(re.split(rf"[{blanks}'\"=:,|<>;&()]+", word))
    paths = {path for piece in pieces for path in (piece, *glob.glob(piece))}
    files = {}
    for path in filter(os.path.isfile, paths):
        with suppress(OSError):  # deleted meanwhile
            files[path] = stamp(path)
            if path.endswith(".scp"):
                files[path].append(stamp_of_listed(path))
    return {"command": task.command, "files": files}


def stamp(path: str) -> list:
    """Time and size of a file."""
    status = os.stat(path)
    return [status.st_mtime_ns, status.st_size]


def stamp_of_listed(scp: str) -> str:
    """Digest of time and size of the files that an scp file lists: recordings and archives."""
    digest = hashlib.sha256()
    values = [
        (*line.split(None, 1), "", "")[1].strip()
        for line in Path(scp).read_text(errors="replace").splitlines()
    ]
    for path in sorted({re.sub(r":[0-9]+(\[.*\])?$", "", value) for value in values}):
        with suppress(OSError, ValueError):  # a pipe, or no such file
            digest.update(f"{path} {stamp(path)}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_done(task: Task) -> bool:
    """Whether the job ended with 0 before and nothing that it depends on has changed."""
    try:
        record = json.loads(Path(f"{task.log}.done").read_text())
        return os.path.exists(task.log) and record == record_of(task)
    except (OSError, ValueError, RecursionError):
        return False


def mark_done(task: Task, before: dict) -> None:
    """Record beside the log that the job ended with 0.

    `before` is `record_of(task)` from before the job. Inputs are recorded as they were then,
    because the job may not have read a later change.
    """
    if os.path.isfile(task.log):  # not /dev/null
        record = record_of(task)
        for word in filter(None, map(INPUT.fullmatch, task.words)):
            path = word["conf"] or word["scp"]
            if path in before["files"]:
                record["files"][path] = before["files"][path]
        write_whole({Path(f"{task.log}.done"): json.dumps(record).encode()}, sync=False)


def cause_of(code: int) -> str | None:
    """Why a job failed, from the exit status of bash or subprocess; None for 0."""
    number = -code if code < 0 else code - 128 if 128 < code < 128 + signal.NSIG else 0
    return f"signal {number}" if number else f"status {code}" if code else None


def last_lines(path: str) -> list[str]:
    """The last ten lines of a log; none if it is not a regular file."""
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                return list(deque(file, 10))
    return []


def report_failures(launch: Launch, causes: dict[int, str], output: str | None) -> None:
    """Print which jobs failed and why, and the last lines of the first one's log.

    If that log is empty, the last lines of `output` follow, the file with the scheduler's output.
    """
    failed = [task for task in launch.tasks if task.number in causes]
    log = failed[0].log
    if len(launch.tasks) == 1:
        cause = causes[failed[0].number]
        # run.pl does not print the status
        status = (
            f" with {cause}" if cause.startswith("status") and script_name() != "run.py" else ""
        )
        say(f"job failed{status}, log is in {log}")
        if "JOB" in log:
            say("the log file is named after JOB: is JOB=1:N missing?")
    else:
        say(f"{len(failed)} / {len(launch.tasks)} failed, log is in {launch.logs}")
    shown = []
    for task in failed[:MAX_FAILURES_SHOWN]:
        cause = causes[task.number]
        if cause == "signal 9" or (
            cause.startswith("status") and re.search(OUT_OF_MEMORY, "".join(last_lines(task.log)))
        ):
            cause += ", out of memory?"
        shown.append(f"{task.number} ({cause})")
    if len(failed) > len(shown):
        shown.append(f"and {len(failed) - len(shown)} more")
    say(f"failed jobs: {', '.join(shown)}")
    log = log if last_lines(log) or not output else output
    if lines := last_lines(log):
        say(f"last lines of {log}:")
        sys.stderr.writelines(f"  {line.rstrip()}\n" for line in lines)


def launch_jobs(prepare: Callable[[Launch], Callable]) -> int:
    """Run the jobs of the command line that are not done; returns the exit status."""
    launch = parse_command_line(sys.argv[1:])
    run = prepare(launch)
    resume = launch.options.get("resume") == "true"
    to_do = [task for task in launch.tasks if not (resume and is_done(task))]
    num_tasks, num_done = len(launch.tasks), len(launch.tasks) - len(to_do)
    if num_done:
        say(f"{num_done} / {num_tasks} were done before, log is in {launch.logs}")
    before = {task.number: record_of(task) for task in to_do}
    for folder in {os.path.dirname(task.log) or "." for task in to_do}:
        os.makedirs(folder, exist_ok=True)
        remove_leftovers(Path(folder))
    for task in to_do:
        Path(f"{task.log}.done").unlink(missing_ok=True)
    causes = {}

    def finished(task: Task, cause: str | None) -> None:
        if cause:
            causes[task.number] = cause
        else:
            mark_done(task, before[task.number])

    output = run(to_do, finished) if to_do else None
    if causes:
        report_failures(launch, causes, output)
    return int(bool(causes))


def main(doc: str, prepare: Callable[[Launch], Callable]) -> None:
    """Exit with the status of the launch.

    `prepare(launch)` returns a function run(tasks, finished), which calls finished(task, cause)
    for each task with the cause of its failure or None, and may return the file with the
    scheduler's own output.
    """
    if sys.argv[1:2] in (["--help"], ["-h"]):
        print(doc)
        sys.exit(0)
    sys.exit(status_of(lambda: launch_jobs(prepare)))
