"""What slurm.py and queue.py share: configuration, the script of an array of jobs, and the watch over it."""

import fcntl
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

from launcher import cause_of, hold_signals, num_bytes, quote, say

PATIENCE_SEC = float(os.environ.get("SDTOOLS_GRACE_SEC", 60))  # with late files, with cancelled jobs, and before saying what is waited for
ASK_SEC = (1, 15)  # between two questions to the queue: at first, at most
WORD_SEC = 20  # for the queue to say why it ended a task
NUM_SUBMISSIONS = 4

# What the queue says of a task. Phases: waiting, running, ended (word: the cause), stuck (for ever), gone (unless its file is late).
State = namedtuple("State", "phase word")

SCRIPT = """#!/bin/bash
cd -- {cwd} && [ -d {done} ] || {{ echo "$(uname -n): no {done}: the launch is over, or this host does not see the directory"; exit 1; }}
numbers=({numbers})
number=${{numbers[{index} + $1 - 1]}}
log={log}
command={command}
{fill_in}
done={done}
set --
[ ! -e "$done/$number" ] || exit 0
: >"$log" || exit 1
exec </dev/null >>"$log" 2>&1
echo "# Running on $(uname -n)"
echo "# Started at $(date)"
printf '# %s\\n' "$command"
ended_by_queue=0 ending='TERM INT HUP XCPU USR2'
trap ended_by_queue=1 $ending
trap '' USR1
( [ ! -f path.sh ] || . ./path.sh; exec bash -o pipefail -c "$command" ) &
pid=$!
wait $pid
status=$?
if [ $ended_by_queue = 1 ]; then
  trap '' $ending
  kill -TERM 0
  for ((i = 0; i < 50; i++)); do kill -0 $pid || break; sleep 0.1; done 2>/dev/null
fi
trap '' $ending
[ -z "$(tail -c 1 "$log")" ] || echo
echo "# Accounting: time=$SECONDS threads={threads}"
echo "# Finished at $(date) with status $status"
exec >/dev/null 2>&1
echo "$status $ended_by_queue $(uname -n)" >"$done/.$number.$$" && mv "$done/.$number.$$" "$done/$number"
[ $ended_by_queue = 0 ] || kill -KILL 0
exit $((status != 0))
"""


def ask(*words):
    """Exit status, output and errors of a program of the scheduler; 124 and no output if it does not answer."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", timeout=30, start_new_session=True
        )
    except FileNotFoundError:
        raise ValueError(f"{words[0]}: got no such program, need it in PATH. Work on a host that may submit jobs, or use run.py") from None
    except subprocess.TimeoutExpired:
        return 124, "", f"{words[0]} timed out"
    return done.returncode, done.stdout, done.stderr


def split_words(text, where):
    """The words of a shell's line."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{where}: got {text.strip()!r}, need words as of a shell ({error}). Correct the line") from None


def read_config(text, where):
    """Submit command, {(option, value or "*"): words} and {option: default} of a configuration in Kaldi's grammar."""
    command, options, defaults = [], {}, {}
    for number, line in enumerate(text.splitlines(), 1):
        kind, _, rest = re.sub(r"#.*", "", line).strip().partition(" ")
        pair = re.match(r"(\w+)=(\S+)(.*)", rest.strip())
        if kind == "command" and rest:
            command = split_words(rest, f"{where}:{number}")
        elif kind == "option" and pair:
            options[pair[1], pair[2]] = split_words(pair[3], f"{where}:{number}")
        elif kind == "default" and pair:
            defaults[pair[1]] = pair[2]
        elif kind:
            need = "command <words>, option <name>=<value or *> <words> or default <name>=<value>"
            raise ValueError(f"{where}:{number}: got {line.strip()!r}, need {need}. Correct the line")
    if not command:
        raise ValueError(f"{where}: got no command line, need command <submit command>. Add it")
    return command, options, defaults


def submit_words(scheduler, launch):
    """The submit command with what the configuration makes of the options."""
    where = launch.options.get("config", scheduler.config_path)
    if "config" in launch.options or os.path.exists(where):
        text = Path(where).read_text("utf-8", "surrogateescape")
    else:
        where, text = "the built-in configuration", scheduler.config
    words, options, defaults = read_config(text, where)
    given = {name: value for name, value in launch.options.items() if name not in ("config", "resume", "max_jobs_run")}
    for name, value in {**defaults, **given}.items():
        if name == "mem" and num_bytes(value) and not re.fullmatch(r"[0-9]+[kmgtKMGT]", value):  # forms that not all schedulers take
            value = f"{-(-num_bytes(value) // 2**20):.0f}M"
        if name == "time":
            value = scheduler.time(value)
        if not {(name, value), (name, "*")} & options.keys():
            need = f"a line option {name}=* or option {name}={value}"
            raise ValueError(
                f"--{name.replace('_', '-')}: got an option that {where} does not describe, need {need}. Add it or omit the option"
            )
        key = (name, value) if (name, value) in options else (name, "*")
        words += [word.replace("$0", value) for word in options[key]]
    return words + scheduler.passed_words(launch.passed)


def job_name(folder):
    """Name in the queue of the launch that has this completion directory."""
    return re.sub(r"^(?![A-Za-z])", "j", re.sub(r"[^\w.-]", "_", os.path.basename(folder), flags=re.ASCII))


def log_is_complete(path):
    """Whether the last line of a log has arrived; files may be late on a network."""
    if os.path.exists(path) and not os.path.isfile(path):
        return True  # /dev/null
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - 300, 0))
        return b"\n# Finished at " in file.read()
    return False


class Job:
    """A task on its way through the queue: what the queue says, the exit status once it has ended, and since when it is over."""

    def __init__(self, task):
        self.task, self.state = task, State("waiting", "")
        self.status = self.ended_by_queue = self.over_since = None

    def verdict(self):
        """Whether the task is settled, and the cause if it failed."""
        over_sec = time.monotonic() - self.over_since
        phase, word = self.state
        if self.status is None:
            if phase == "stuck":
                return True, f"never started: {word}"
            return over_sec > PATIENCE_SEC or (phase == "ended" and word), word or "gone from the queue"
        cause = cause_of(self.status)
        if self.status > 128:
            if phase != "ended" and over_sec < WORD_SEC:
                return False, None
            cause = word if phase == "ended" and word else "cancelled" if self.ended_by_queue else cause
        return over_sec > PATIENCE_SEC or log_is_complete(self.task.log), cause


class Arrays:
    """The jobs of a launch as arrays of a scheduler; `scheduler` is slurm.py's or queue.py's."""

    def __init__(self, scheduler, launch):
        self.scheduler, self.launch = scheduler, launch
        self.signals, _ = hold_signals()
        self.words = submit_words(scheduler, launch)
        folder, base = os.path.split(launch.words[0])
        while launch.name in folder:
            folder = os.path.dirname(folder)
        self.queue_dir = os.path.join(os.path.dirname(folder) if os.path.basename(folder) == "log" else folder, "q")
        self.base = os.path.join(self.queue_dir, re.sub(rf"\.?{re.escape(launch.name)}", "", base).removesuffix(".log") or "jobs")
        self.output = f"{os.path.abspath(self.base)}.log"
        self.jobs, self.in_queue = {}, False  # {(id of the array, index): job that is not settled}, whether the queue may hold any
        self.cancel_earlier()

    def cancel_earlier(self):
        """Cancel what a killed launch with the same log file has left in the queue."""
        for path in glob.glob(f"{glob.escape(self.base)}.????????/launcher"):
            with open(path, "a+") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError):
                    file.seek(0)
                    what = f"got a launch that still runs ({file.read()}), need one at a time"
                    raise ValueError(f"{self.launch.words[0]}: {what}. Wait for it, end it, or name another log file") from None
                except OSError:  # no locks in this file system
                    pass
                name = job_name(os.path.dirname(path))
                say(f"cancelling {name}, which a killed launch has left")
                if error := self.cancel(name):
                    raise ValueError(f"{name}: got jobs that do not end ({error}), need none left. Cancel them and try again")
                shutil.rmtree(os.path.dirname(path))

    def cancel(self, name):
        """Cancel all jobs of a name and wait until none is left; returns what went wrong, if anything did."""
        deadline = time.monotonic() + PATIENCE_SEC
        while True:
            error = self.scheduler.cancel(name)
            for pause_sec in (0.1, 0.2, 0.4, 0.8, 1.5, 2):
                if not self.scheduler.any_left(name):
                    return None
                if time.monotonic() > deadline:
                    return error or "still in the queue"
                time.sleep(pause_sec)

    def run(self, tasks, finished):
        """Run `tasks`, call finished(task, cause or None) for each, and return the file with the scheduler's own output."""
        os.makedirs(self.queue_dir, exist_ok=True)
        self.done = tempfile.mkdtemp(prefix=f"{os.path.basename(self.base)}.", dir=self.queue_dir)
        self.name, error = job_name(self.done), None
        with open(os.path.join(self.done, "launcher"), "w") as file:
            with suppress(OSError):  # no locks in this file system
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(f"process {os.getpid()} on {os.uname().nodename}")
            file.flush()
            try:
                self.submit(tasks)
                self.watch(finished)
            finally:
                if self.in_queue:
                    error = self.cancel(self.name)
                    self.collect()
                    for job in self.jobs.values():
                        if job.status == 0:
                            finished(job.task, None)
                if error:
                    say(f"could not cancel {self.name}: {error}. Cancel it by hand; the next launch with this log file tries it, too")
                else:
                    shutil.rmtree(self.done)
        return self.output

    def submit(self, tasks):
        """Hand `tasks` to the scheduler, in as many arrays as it needs."""
        for task in tasks:
            if os.path.isfile(task.log):  # not /dev/null
                os.unlink(task.log)
        log, *command = self.launch.words
        cwd = os.environ.get("PWD", "")  # the name that the user knows, where an automounter has others
        settings = {
            "cwd": cwd if os.path.isabs(cwd) and os.path.realpath(cwd) == os.getcwd() else os.getcwd(),
            "done": self.done,
            "log": log,
            "command": " ".join(map(quote, command)),
        }
        name, pe = self.launch.name, [values for values in self.launch.passed if values[0] == "-pe"]
        script = SCRIPT.format(
            **{key: shlex.quote(value) for key, value in settings.items()},
            numbers=" ".join(str(task.number) for task in tasks),
            index=self.scheduler.index,
            fill_in="" if name == "\0" else f"log=${{log//{name}/$number}} command=${{command//{name}/$number}}",
            threads=pe[-1][2] if pe else self.launch.options.get("num_threads", 1),
        )
        path = f"{self.base}.sh"
        Path(path).write_bytes(os.fsencode(script))
        Path(self.output).write_bytes(b"")
        size = (self.scheduler.max_array_size() if len(tasks) > 1 else 1) or len(tasks)
        at_a_time, array_id = self.launch.options.get("max_jobs_run"), None
        for first in range(0, len(tasks), size):
            part = tasks[first : first + size]
            after = array_id if at_a_time else None  # at_a_time holds for all arrays together
            array = self.scheduler.array_words(self.name, self.output, len(part), at_a_time, after)
            words = [*self.words, *array, path, str(first)]
            with open(path, "a", errors="surrogateescape") as file:
                file.write(f"# submitted with: {shlex.join(words)}\n")
            array_id = self.submit_array(words)
            self.jobs.update({(array_id, index): Job(task) for index, task in enumerate(part, 1)})

    def submit_array(self, words):
        """Id of the array that a submit command gives; tries again while the scheduler does not answer."""
        for attempt in range(NUM_SUBMISSIONS):
            self.pause(PATIENCE_SEC / 3 if attempt else 0)
            status, output, errors = ask(*words)
            ids = set(re.findall(self.scheduler.id_form, output, re.MULTILINE))
            self.in_queue |= bool(ids) or status == 124 or "timed out" in errors
            if status == 0 and len(ids) == 1:
                return ids.pop()
            if self.in_queue or not re.search(self.scheduler.busy_form, output + errors, re.IGNORECASE):
                break
        text = "; ".join(line.strip() for line in f"{errors}\n{output}".splitlines() if line.strip())
        what = f"got exit status {status} and {text!r}, need 0 and one job number"
        raise ValueError(f"{words[0]}: {what}. Correct the options or {self.scheduler.config_path}; the script is {self.base}.sh")

    def watch(self, finished):
        """Wait until every job is settled. The completion files tell; the queue is asked about the tasks that have none."""
        pause_sec, ask_sec, ask_at = 0.05, ASK_SEC[0], time.monotonic() + ASK_SEC[0]
        said, still_since, answered = 0, time.monotonic(), True
        while self.jobs:
            moved = self.collect()
            if any(job.status > 128 for job in moved):  # by whom?
                ask_at, ask_sec = 0, ASK_SEC[0]
            if time.monotonic() > ask_at:
                states = self.scheduler.states(self.jobs.keys(), self.output)
                answered = states is not None
                changed = answered and self.update(states)
                moved = changed or self.collect() or moved
                ask_sec = ASK_SEC[0] if moved else min(1.5 * ask_sec, ASK_SEC[1])
                ask_at = time.monotonic() + ask_sec
            self.settle(finished)
            now = time.monotonic()
            if moved:
                said, still_since = 0, now
            elif now - still_since > PATIENCE_SEC * 2**said:
                said += 1
                self.say_waiting(answered)
            pause_sec = 0.05 if moved else min(1.2 * pause_sec, 1)
            if self.jobs:
                self.pause(pause_sec)
        self.in_queue = False

    def collect(self):
        """Take up the completion files that are new; returns their jobs."""
        files, new = set(os.listdir(self.done)), []
        for job in self.jobs.values():
            if job.status is None and str(job.task.number) in files:
                words = Path(self.done, str(job.task.number)).read_text().split()
                if len(words) == 3:  # all of it has arrived
                    job.status, job.ended_by_queue, job.over_since = int(words[0]), words[1] == "1", time.monotonic()
                    new.append(job)
        return new

    def update(self, states):
        """Take up what the queue says; returns whether anything has changed."""
        changed = False
        for key, job in self.jobs.items():
            gone = job.state if job.state.phase == "gone" else State("gone", "cancelled" if job.state.phase == "waiting" else "")
            state = states.get(key, gone)
            changed |= state != job.state
            job.state = state
            if job.status is None:
                in_queue = state.phase in ("waiting", "running")
                job.over_since = None if in_queue else job.over_since or time.monotonic()
        return changed

    def settle(self, finished):
        """Hand on the jobs of which all is known, and cancel those that the queue holds for ever."""
        held = []
        for key, job in list(self.jobs.items()):
            if job.over_since is not None:
                settled, cause = job.verdict()
                if settled:
                    del self.jobs[key]
                    finished(job.task, cause)
                    if job.status is None and job.state.phase in ("stuck", "gone"):
                        held.append(key)
        if held:
            self.scheduler.cancel_tasks(held)

    def say_waiting(self, answered):
        """Say what the launcher waits for, if it is the queue."""
        waiting = [key for key, job in self.jobs.items() if job.status is None and job.state.phase == "waiting"]
        if not answered:
            say("waiting: the queue does not answer")
        elif waiting:
            say(f"waiting: {len(waiting)} pending ({self.scheduler.reason(waiting[0][0])})")

    def pause(self, seconds):
        """Sleep, and end the launch if a signal comes."""
        if got := signal.sigtimedwait(self.signals, seconds):
            ids = dict.fromkeys(array_id for array_id, _ in self.jobs)
            say(f"got {signal.Signals(got.si_signo).name}, cancelling {' '.join(ids) or self.name}")
            sys.exit(128 + got.si_signo)
