#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on this machine: the command line, logs and messages of Kaldi's run.pl.

usage: run.py [options] [JOB=1:N] <log-file> <command> <argument>...

JOB (any name) becomes the number of the job wherever it stands in the log file and the command. A word without blanks goes to bash as
it is, so \| and \> are shell syntax; one with blanks is put in double quotes, or in single quotes if it holds a double quote.
A pipeline fails if any part of it fails. Status 0 if all jobs ended with 0, 1 if not, 128+n if killed by signal n: the jobs die too.

  --max-jobs-run N     jobs at a time (default: processors / threads, and no more than fit into the memory if --mem is given)
  --num-threads N      threads of a job (default 1)
  --mem SIZE           memory of a job: 500M, 2G, ... (a bare number: megabytes)
  --resume true|false  skip jobs that ended with 0 before if command, files in it and files an scp lists are as they were (default false);
                       directories are not looked into
  --gpu N, --x Y       any other option of Kaldi's launchers is accepted and has no effect here

example: utils/run.py --max-jobs-run 2 JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H
"""

import glob
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections import deque, namedtuple
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

WHO = os.path.basename(sys.argv[0])
CHECKED_OPTIONS = {
    **dict.fromkeys(("--max-jobs-run", "--num-threads"), (r"0*[1-9][0-9]*", "a whole number above 0")),
    "--mem": (r"[0-9]+(\.[0-9]+)?[kKmMgGtT]?[bB]?", "a size such as 500M or 2G"),
    "--resume": ("true|false", "true or false"),
}


def say(message):
    """Print one line to stderr under the launcher's name."""
    print(f"{WHO}: {message}", file=sys.stderr)


# One job: its number, and with that filled in its log file, the words of its command and what bash gets.
Task = namedtuple("Task", "number log words command")


def quote(word):
    """`word` in Kaldi's quotes: shell syntax stays alive in a word without blanks, and $ in double quotes."""
    if word and not re.search(r"\s", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'" if '"' in word else f'"{word}"'


def parse_command_line(argv):
    """Checked options, tasks, and the log file with * for the number; options and JOB=1:N come in any order before the log file."""
    words, options, name, numbers = deque(argv), {}, "\0", range(1, 2)  # no word holds a NUL
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
            if option in CHECKED_OPTIONS:
                form, need = CHECKED_OPTIONS[option]
                if not re.fullmatch(form, values[0]):
                    raise ValueError(f"{option}: got {values[0]!r}, need {need}. Correct the option")
                if option == "--max-jobs-run":  # the smallest holds
                    values = sorted([*values, options.get(option, values[0])], key=int)
                options[option] = values[0]
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
    return options, tasks, words[0].replace(name, "*")


def record_of(task):
    """What a finished job depends on: its command; time and size of the files that a word or part of a word names, and that they list."""
    pieces = {piece for word in task.words for piece in [word, *re.split(r"[\s'\"=:,|<>;&()]+", word)]}
    files = {}
    for path in {path for piece in pieces for path in glob.glob(piece) if os.path.isfile(path)}:
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
    for path in sorted({re.sub(r":[0-9]+(\[.*\])?$", "", line.strip().partition(" ")[2].strip()) for line in lines}):
        with suppress(OSError, ValueError):  # a pipe, or not there
            digest.update(f"{path} {stamp(path)}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_done(task):
    """Whether the job has ended with 0 and would do the same again."""
    try:
        return os.path.exists(task.log) and json.loads(Path(f"{task.log}.done").read_text()) == record_of(task)
    except (OSError, ValueError):
        return False


def mark_done(task):
    """Record beside the log that the job ended with 0."""
    if os.path.isfile(task.log):  # not /dev/null
        temporary = Path(f"{task.log}.done.{os.getpid()}")
        temporary.write_text(json.dumps(record_of(task)))
        temporary.replace(f"{task.log}.done")


def report_failures(tasks, failed, logs):
    """Say which tasks failed and show the end of the first one's log."""
    failed.sort(key=lambda task: task.number)
    log = failed[0].log
    if len(tasks) == 1:
        say(f"job failed, log is in {log}")
        if "JOB" in log:
            say("the log file is named after JOB: is JOB=1:N missing?")
    else:
        say(f"{len(failed)} / {len(tasks)} failed, log is in {logs}")
        say(f"failed jobs: {' '.join(str(task.number) for task in failed)}")
    if os.path.isfile(log):
        say(f"last lines of {log}:")
        with open(log, encoding="utf-8", errors="replace") as file:
            sys.stderr.writelines(f"  {line}" for line in deque(file, 10))


# What stands above holds for every launcher; below it is for this machine.


def max_jobs_run(options):
    """Jobs at a time: as asked for, or as many as the processors, and the memory if --mem is given, allow."""
    if "--max-jobs-run" in options:
        return int(options["--max-jobs-run"])
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = processors // int(options.get("--num-threads", 1))
    number, unit = re.match(r"([0-9.]+)([kmgt]?)", options.get("--mem", "0").lower()).groups()
    if float(number):
        num_bytes = float(number) * 1024 ** "_kmgt".index(unit or "m")
        limit = min(limit, int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / num_bytes))
    return max(limit, 1)


class Job:
    """A running task: bash in a process group of its own that writes to the log."""

    def __init__(self, task, unblock_signals):
        self.task, self.started = task, time.time()
        os.makedirs(os.path.dirname(task.log) or ".", exist_ok=True)
        Path(f"{task.log}.done").unlink(missing_ok=True)
        self.log = log = os.open(task.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        os.write(log, os.fsencode(f"# {task.command}\n# Started at {time.ctime()}\n#\n"))
        bash = ["bash", "-o", "pipefail", "-c", task.command]
        self.process = Popen(bash, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=unblock_signals)

    def send(self, signum):
        """Send a signal (0: none) to the group and return whether any process of it was left."""
        self.process.poll()
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, if only a zombie is left
            os.killpg(self.process.pid, signum)
            return True
        return False

    def finish(self, num_threads):
        """Complete the log of the ended job and return its exit status."""
        code, elapsed_sec = self.process.returncode, round(time.time() - self.started)
        status = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
        size = os.fstat(self.log).st_size  # 0 if the log is /dev/null
        text = "\n" if size and os.pread(self.log, 1, size - 1) != b"\n" else ""
        text += f"# Accounting: time={elapsed_sec} threads={num_threads}\n"
        text += f"# Ended ({status}) at {time.ctime()}, elapsed time {elapsed_sec} seconds\n"
        os.write(self.log, text.encode())
        os.close(self.log)
        return code


def kill(jobs):
    """End jobs with everything that they have started."""
    for signum, patience_sec in ((signal.SIGTERM, 2), (signal.SIGKILL, 1)):
        for job in jobs:
            job.send(signum)
        deadline = time.monotonic() + patience_sec
        while any(job.send(0) for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.02)


def run_tasks(tasks, limit, num_threads):
    """Run `tasks`, at most `limit` at a time, and return those that failed."""
    # Signals are held back and taken one by one, so that none can fall between the start of a job and its registration.
    caught = {s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN} | {signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    waiting, running, failed = deque(tasks), [], []
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                running.append(Job(waiting.popleft(), lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask)))
            signum = signal.sigwait(caught)
            if signum != signal.SIGCHLD:
                say(f"got {signal.Signals(signum).name}, killing the jobs {' '.join(str(job.task.number) for job in running)}")
                sys.exit(128 + signum)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                if job.finish(num_threads):
                    failed.append(job.task)
                else:
                    mark_done(job.task)
    finally:
        kill(running)
        for job in running:
            if job.process.returncode is not None:
                job.finish(num_threads)
    return failed


def main():
    """Run what the command line says and return the exit status."""
    if sys.argv[1:2] in (["--help"], ["-h"]):
        print(__doc__)
        return 0
    options, tasks, logs = parse_command_line(sys.argv[1:])
    to_do = [task for task in tasks if not (options.get("--resume") == "true" and is_done(task))]
    if len(to_do) < len(tasks):
        say(f"{len(tasks) - len(to_do)} / {len(tasks)} were done before, log is in {logs}")
    if failed := run_tasks(to_do, max_jobs_run(options), options.get("--num-threads", 1)):
        report_failures(tasks, failed, logs)
        return 1
    return 0


try:
    sys.exit(main())
except (ValueError, OSError) as error:
    sys.exit(f"{WHO}: {error}")
