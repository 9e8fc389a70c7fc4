"""What run.py, slurm.py and queue.py share: command line, records of finished jobs, report of failures."""

import glob
import hashlib
import json
import os
import re
import signal
import sys
from collections import deque, namedtuple
from contextlib import suppress
from pathlib import Path

WHO = os.path.basename(sys.argv[0])
CHECKED_OPTIONS = {
    **dict.fromkeys(("max_jobs_run", "num_threads"), (r"0*[1-9][0-9]*", "a whole number above 0")),
    "mem": (r"[0-9]+(\.[0-9]+)?[kKmMgGtT]?[bB]?", "a size such as 500M or 2G"),
    "time": (r"([0-9]+-)?[0-9]+(:[0-9]+){0,2}", "a time such as 90 (minutes), 4:00:00 or 2-12:00:00 (2 days 12 hours)"),
    "resume": ("true|false", "true or false"),
}
OUT_OF_MEMORY = r"MemoryError|bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory|oom-kill"

# One job: its number, and with that filled in its log file, the words of its command and what bash gets.
Task = namedtuple("Task", "number log words command")
# A word that names an input: a file of options, or a script file, of which those that it lists are inputs too.
INPUT = re.compile(r"--config=(?P<conf>.+)|(?:--(?!write)[\w-]+=)?scp(?:,\w+)*:(?P<scp>.+)")
# A command line: options with two dashes, those with one (each with its values), the word for the number, log file and command.
Launch = namedtuple("Launch", "options passed name words logs tasks")


def say(message):
    """Print one line to stderr under the launcher's name, at once, as two launchers may do so beside each other."""
    print(f"{WHO}: {message}\n", end="", file=sys.stderr, flush=True)


def quote(word):
    """`word` in Kaldi's quotes: shell syntax stays alive in a word without blanks, and $ in double quotes."""
    if word and not re.search(r"\s", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'" if '"' in word else f'"{word}"'


def parse_command_line(argv):
    """The launch that a command line asks for; options and JOB=1:N come in any order before the log file."""
    words, options, passed, name, numbers = deque(argv), {}, [], "\0", range(1, 2)  # no word holds a NUL
    while words:
        if spec := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", words[0], re.ASCII):
            name, numbers = spec[1], range(int(spec[2]), int(spec[3] or spec[2]) + 1)
            if not numbers or not numbers[0]:
                raise ValueError(f"{words[0]}: got an invalid job range, need {name}=first:last with 1 <= first <= last. Correct it")
            words.popleft()
        elif words[0].startswith("-"):
            option = words.popleft()
            num_values = {"-V": 0, "-pe": 2}.get(option, 1)
            if len(words) < num_values:
                raise ValueError(f"{option}: got no value, need one. Write {option} <value> before the log file")
            values = [words.popleft() for _ in range(num_values)]
            option = "--max-jobs-run" if option == "-tc" else option
            if not option.startswith("--"):
                passed.append((option, *values))
                continue
            key = option[2:].replace("-", "_")
            form, need = CHECKED_OPTIONS.get(key, (".*", ""))
            if not re.fullmatch(form, values[0], re.DOTALL):
                raise ValueError(f"{option}: got {values[0]!r}, need {need}. Correct the option")
            if key == "max_jobs_run":  # the smallest holds
                values = sorted([*values, options.get(key, values[0])], key=int)
            options[key] = values[0]
        else:
            break
    if len(words) < 2:
        raise ValueError(f"command line: got {len(words)} words after the options, need a log file and a command. See {WHO} --help")
    if re.fullmatch(r".+=.*:.*", words[0]):
        say(f"warning: suspicious first argument {words[0]}: it is no valid job range and is taken for the log file")
    if len(numbers) > 1 and name not in words[0]:
        raise ValueError(f"you are trying to run a parallel job but you are putting the output into just one log file ({words[0]})")
    tasks = []
    for number in numbers:
        log, *command = [word.replace(name, str(number)) for word in words]
        tasks.append(Task(number, log, command, " ".join(map(quote, command))))
    return Launch(options, passed, name, list(words), words[0].replace(name, "*"), tasks)


def num_bytes(size):
    """Bytes of a size such as 500M; a bare number is in megabytes."""
    number, unit = re.match(r"([0-9.]+)([kmgt]?)", size.lower()).groups()
    return float(number) * 1024 ** "_kmgt".index(unit or "m")


def record_of(task):
    """What a finished job depends on: its command; time and size of the files that a word or part of a word names, and that they list."""
    pieces = {piece for word in task.words for blanks in (r"\s", "") for piece in re.split(rf"[{blanks}'\"=:,|<>;&()]+", word)}
    pieces.update(task.words)
    files = {}
    for path in {path for piece in pieces for path in (piece, *glob.glob(piece)) if os.path.isfile(path)}:
        with suppress(OSError):  # deleted meanwhile
            files[path] = stamp(path)
            if path.endswith(".scp"):
                files[path].append(stamp_of_listed(path))
    return {"command": task.command, "files": files}


def stamp(path):
    """Time and size of a file."""
    status = os.stat(path)
    return [status.st_mtime_ns, status.st_size]


def stamp_of_listed(scp):
    """Digest of the stamps of the files that a script file lists: recordings, archives with or without an offset."""
    digest = hashlib.sha256()
    lines = Path(scp).read_text(errors="replace").splitlines()
    for path in sorted({re.sub(r":[0-9]+(\[.*\])?$", "", (*line.split(None, 1), "", "")[1].strip()) for line in lines}):
        with suppress(OSError, ValueError):  # a pipe, or not there
            digest.update(f"{path} {stamp(path)}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_done(task):
    """Whether the job has ended with 0 and would do the same again."""
    try:
        return os.path.exists(task.log) and json.loads(Path(f"{task.log}.done").read_text()) == record_of(task)
    except (OSError, ValueError, RecursionError):
        return False


def mark_done(task, before):
    """Record beside the log that the job ended with 0, with its inputs as they were before it: one that changes meanwhile may be unread."""
    if os.path.isfile(task.log):  # not /dev/null
        record = record_of(task)
        for word in filter(None, map(INPUT.fullmatch, task.words)):
            path = word["conf"] or word["scp"]
            if path in before["files"]:
                record["files"][path] = before["files"][path]
        temporary = Path(f"{task.log}.done.tmp")
        temporary.write_text(json.dumps(record))
        temporary.replace(f"{task.log}.done")


def cause_of(code):
    """What an exit status of bash, or of subprocess, says of why a job failed; None for 0."""
    number = -code if code < 0 else code - 128 if 128 < code < 128 + signal.NSIG else 0
    return f"signal {number}" if number else f"status {code}" if code else None


def last_lines(path):
    """The last ten lines of a log; none if it is no file."""
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                return deque(file, 10)
    return []


def report_failures(launch, causes, output):
    """Say which jobs failed and why, and show the end of the first one's log, or of the scheduler's own output where it left none."""
    failed = [task for task in launch.tasks if task.number in causes]
    log = failed[0].log
    if len(launch.tasks) == 1:
        status = f" with {causes[failed[0].number]}" if causes[failed[0].number].startswith("status") and WHO != "run.py" else ""
        say(f"job failed{status}, log is in {log}")  # run.pl does not tell the status
        if "JOB" in log:
            say("the log file is named after JOB: is JOB=1:N missing?")
    else:
        say(f"{len(failed)} / {len(launch.tasks)} failed, log is in {launch.logs}")
    for task in failed:
        cause = causes[task.number]
        if cause == "signal 9" or (cause.startswith("status") and re.search(OUT_OF_MEMORY, "".join(last_lines(task.log)))):
            causes[task.number] += ", out of memory?"
    more = f", and {len(failed) - 100} more" if len(failed) > 100 else ""
    say(f"failed jobs: {', '.join(f'{task.number} ({causes[task.number]})' for task in failed[:100])}{more}")
    log = log if last_lines(log) or not output else output
    if lines := last_lines(log):
        say(f"last lines of {log}:")
        sys.stderr.writelines(f"  {line.rstrip()}\n" for line in lines)


def main(doc, prepare):
    """Exit with the status of the launch; `prepare(launch)` gives run(tasks, finished), which calls finished(task, cause or None)."""
    if sys.argv[1:2] in (["--help"], ["-h"]):
        print(doc)
        sys.exit(0)
    try:
        launch = parse_command_line(sys.argv[1:])
        run = prepare(launch)
        to_do = [task for task in launch.tasks if not (launch.options.get("resume") == "true" and is_done(task))]
        if len(to_do) < len(launch.tasks):
            say(f"{len(launch.tasks) - len(to_do)} / {len(launch.tasks)} were done before, log is in {launch.logs}")
        causes, before = {}, {task.number: record_of(task) for task in to_do}
        for task in to_do:
            os.makedirs(os.path.dirname(task.log) or ".", exist_ok=True)
            Path(f"{task.log}.done").unlink(missing_ok=True)

        def finished(task, cause):
            if cause:
                causes[task.number] = cause
            else:
                mark_done(task, before[task.number])

        output = run(to_do, finished) if to_do else None
        if causes:
            report_failures(launch, causes, output)
        sys.exit(bool(causes))
    except OSError as error:
        sys.exit(f"{WHO}: {error.filename or 'input/output'}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"{WHO}: {error}")


def hold_signals():
    """Hold back the signals that end a launch, so that each is taken where it can do no harm; returns them and the mask before."""
    caught = {s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN}
    return caught, signal.pthread_sigmask(signal.SIG_BLOCK, caught)
