"""Arrays of jobs in the queue of a scheduler, for slurm.py and queue.py."""

import glob
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from files import lock
from launcher import NO_NAME, Finished, Launch, Task, cause_of, command_line
from messages import Problem, say
from processes import hold_signals
from submission import ask, submit_words

# Time for late files and cancelled jobs, and before the launcher says what it waits for.
PATIENCE_SEC = float(os.environ.get("SDTOOLS_GRACE_SEC", 60))
ASK_SEC = (min(1, PATIENCE_SEC), 15)  # between two questions to the queue: at first, at most
CAUSE_SEC = 20  # for the queue to give the cause after it has ended a task
NUM_SUBMISSIONS = 4

Key = tuple[str, int]  # of a task in the queue: id of its array, index in the array


class State(NamedTuple):
    """A task in the queue.

    Phases: waiting, running, ended, stuck (it will never run), gone (lost, unless its completion
    file is late). `reason`: why the queue ended it, or why it is stuck.
    """

    phase: str
    reason: str


SCRIPT = """#!/bin/bash
cd -- {cwd} && [ -d {done} ] || {{
  echo "$(uname -n): no directory {done}: the launch is over, or this host cannot see it"
  exit 1
}}
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
new=$done/.$number.$(uname -n)-$$.tmp
echo "$status $ended_by_queue $(uname -n)" >"$new" && mv "$new" "$done/$number"
[ $ended_by_queue = 0 ] || kill -KILL 0
exit $((status != 0))
"""


def job_name(folder: str) -> str:
    """Name in the queue for the launch with this completion directory."""
    name = re.sub(r"[^\w.-]", "_", os.path.basename(folder), flags=re.ASCII)
    return re.sub(r"^(?![A-Za-z])", "j", name)


def log_is_complete(path: str) -> bool:
    """Whether the last line of a log has arrived; on a network file system it may be late."""
    if os.path.exists(path) and not os.path.isfile(path):
        return True  # /dev/null
    with suppress(OSError), open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - 300, 0))
        return b"\n# Finished at " in file.read()
    return False


class Job:
    """A task in the queue.

    `status` and `ended_by_queue` come from its completion file and are None before. `over_since`
    is the time when it left the queue or its file came.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.state = task, State("waiting", "")
        self.status = self.ended_by_queue = self.over_since = None

    def verdict(self) -> tuple[bool, str | None]:
        """Whether nothing more is to be expected of an ended job, and why it failed if it did."""
        over_sec = time.monotonic() - self.over_since
        phase, reason = self.state
        is_late = over_sec > PATIENCE_SEC
        if self.status is None:
            if phase == "stuck":
                return True, f"never started: {reason}"
            return is_late or (phase == "ended" and reason), reason or "gone from the queue"
        cause = cause_of(self.status)
        if self.status > 128:
            if phase != "ended" and over_sec < CAUSE_SEC:
                return False, None
            if phase == "ended" and reason:
                cause = reason
            elif self.ended_by_queue:
                cause = "cancelled"
        return is_late or log_is_complete(self.task.log), cause


class Arrays:
    """The jobs of a launch as arrays of a scheduler, which slurm.py or queue.py describes.

    Each launch has a completion directory. A job that ends writes a file there with its exit
    status. The queue is asked only about jobs without such a file.
    """

    def __init__(self, scheduler: object, launch: Launch) -> None:
        self.scheduler, self.launch = scheduler, launch
        self.signals, _ = hold_signals()
        self.words = submit_words(scheduler, launch)
        folder, base = os.path.split(launch.words[0])
        while launch.name in folder:
            folder = os.path.dirname(folder)
        if os.path.basename(folder) == "log":
            folder = os.path.dirname(folder)
        self.queue_dir = os.path.join(folder, "q")
        base = re.sub(rf"\.?{re.escape(launch.name)}", "", base).removesuffix(".log") or "jobs"
        self.base = os.path.join(self.queue_dir, base)
        self.output = f"{os.path.abspath(self.base)}.log"
        self.jobs: dict[Key, Job] = {}  # those that are not settled
        self.in_queue = False  # whether the queue may contain any job of this launch
        self.cancel_earlier()

    def cancel_earlier(self) -> None:
        """Cancel the jobs that a killed launch with the same log file has left in the queue."""
        for path in glob.glob(f"{glob.escape(self.base)}.????????/launcher"):
            hint = "Wait for it, stop it, or use another log file"
            with lock(path, self.launch.words[0], hint):
                name = job_name(os.path.dirname(path))
                say(f"cancelling {name}, which a killed launch has left")
                if error := self.cancel(name):
                    what = f"its jobs do not end ({error})"
                    raise Problem(name, what, hint="Cancel them and try again")
                shutil.rmtree(os.path.dirname(path))

    def cancel(self, name: str) -> str | None:
        """Cancel all jobs of a name and wait for their end; returns an error message or None."""
        deadline = time.monotonic() + PATIENCE_SEC
        while True:
            error = self.scheduler.cancel(name)
            for pause_sec in (0.1, 0.2, 0.4, 0.8, 1.5, 2):
                if not self.scheduler.any_left(name):
                    return None
                if time.monotonic() > deadline:
                    return error or "still in the queue"
                time.sleep(pause_sec)

    def run(self, tasks: list[Task], finished: Finished) -> str:
        """Run `tasks` and call finished(task, cause or None) for each.

        Returns the file with the scheduler's own output.
        """
        os.makedirs(self.queue_dir, exist_ok=True)
        self.done = tempfile.mkdtemp(prefix=f"{os.path.basename(self.base)}.", dir=self.queue_dir)
        self.name, error = job_name(self.done), None
        with lock(os.path.join(self.done, "launcher"), self.done, ""):
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
                    hint = "Cancel it by hand, or start a launch with this log file"
                    say(Problem(self.name, f"cannot cancel it ({error})", hint=hint))
                else:
                    shutil.rmtree(self.done)
        return self.output

    def script(self, tasks: list[Task]) -> bytes:
        """The script that runs one task of an array; its argument is the number of tasks before."""
        log, *command = self.launch.words
        cwd = os.environ.get("PWD", "")  # the user's name for it; an automounter may have others
        if not (os.path.isabs(cwd) and os.path.realpath(cwd) == os.getcwd()):
            cwd = os.getcwd()
        name, fill_in = self.launch.name, ""
        if name != NO_NAME:
            fill_in = f"log=${{log//{name}/$number}} command=${{command//{name}/$number}}"
        slots = [values[2] for values in self.launch.passed if values[0] == "-pe"]
        text = SCRIPT.format(
            cwd=shlex.quote(cwd),
            done=shlex.quote(self.done),
            log=shlex.quote(log),
            command=shlex.quote(command_line(command)),
            numbers=" ".join(str(task.number) for task in tasks),
            index=self.scheduler.index,
            fill_in=fill_in,
            threads=slots[-1] if slots else self.launch.options.get("num_threads", 1),
        )
        return os.fsencode(text)

    def submit(self, tasks: list[Task]) -> None:
        """Submit `tasks` in as many arrays as the scheduler's limit needs."""
        for task in tasks:
            if os.path.isfile(task.log):  # not /dev/null
                os.unlink(task.log)
        path = f"{self.base}.sh"
        Path(path).write_bytes(self.script(tasks))
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
            self.jobs.update({(array_id, n): Job(task) for n, task in enumerate(part, 1)})

    def submit_array(self, words: list[str]) -> str:
        """Submit an array and return its id; tries again while the scheduler does not answer."""
        for attempt in range(NUM_SUBMISSIONS):
            self.pause(PATIENCE_SEC / 3 if attempt else 0)
            status, output, errors = ask(*words)
            ids = set(re.findall(self.scheduler.id_form, output, re.MULTILINE))
            self.in_queue |= bool(ids) or status == 124 or "timed out" in errors
            if status == 0 and len(ids) == 1:
                return ids.pop()
            is_busy = re.search(self.scheduler.busy_form, output + errors, re.IGNORECASE)
            if self.in_queue or not is_busy:
                break
        lines = f"{errors}\n{output}".splitlines()
        text = "; ".join(line.strip() for line in lines if line.strip())
        conf = self.scheduler.config_path
        raise Problem(
            words[0],
            "answer to the submission",
            got=f"exit status {status} and {text!r}",
            need="exit status 0 and one job number",
            hint=f"Correct the options or {conf}; the script is {self.base}.sh",
        )

    def watch(self, finished: Finished) -> None:
        """Wait until every job is settled."""
        pause_sec, ask_sec, ask_at = 0.05, ASK_SEC[0], time.monotonic() + ASK_SEC[0]
        num_said, still_since, answered = 0, time.monotonic(), True
        while self.jobs:
            moved = self.collect()
            if any(job.status > 128 for job in moved):  # the queue knows who sent the signal
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
                num_said, still_since = 0, now
            elif now - still_since > PATIENCE_SEC * 2**num_said:
                num_said += 1
                self.say_waiting(answered)
            pause_sec = 0.05 if moved else min(1.2 * pause_sec, 1)
            if self.jobs:
                self.pause(pause_sec)
        self.in_queue = False

    def collect(self) -> list[Job]:
        """Read the completion files that are new; returns their jobs."""
        files, new = set(os.listdir(self.done)), []
        for job in self.jobs.values():
            if job.status is None and str(job.task.number) in files:
                words = Path(self.done, str(job.task.number)).read_text().split()
                if len(words) == 3:  # the whole file has arrived
                    job.status, job.ended_by_queue = int(words[0]), words[1] == "1"
                    job.over_since = time.monotonic()
                    new.append(job)
        return new

    def update(self, states: dict[Key, State]) -> bool:
        """Take the states that the queue gives; returns whether anything has changed."""
        changed = False
        for key, job in self.jobs.items():
            if key in states:
                state = states[key]
            elif job.state.phase == "gone":
                state = job.state
            else:
                state = State("gone", "cancelled" if job.state.phase == "waiting" else "")
            changed |= state != job.state
            job.state = state
            if job.status is None:
                in_queue = state.phase in ("waiting", "running")
                job.over_since = None if in_queue else job.over_since or time.monotonic()
        return changed

    def settle(self, finished: Finished) -> None:
        """Report the jobs that are settled, and cancel those that would stay in the queue."""
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

    def say_waiting(self, answered: bool) -> None:
        """Print what the launcher waits for, if it waits for the queue."""
        waiting = [
            key
            for key, job in self.jobs.items()
            if job.status is None and job.state.phase == "waiting"
        ]
        if not answered:
            say("waiting: the queue does not answer")
        elif waiting:
            say(f"waiting: {len(waiting)} pending ({self.scheduler.reason(waiting[0][0])})")

    def pause(self, seconds: float) -> None:
        """Sleep; a signal ends the launch."""
        if received := signal.sigtimedwait(self.signals, seconds):
            signum = signal.Signals(received.si_signo)
            ids = dict.fromkeys(array_id for array_id, _ in self.jobs)
            say(f"got {signum.name}, cancelling {' '.join(ids) or self.name}")
            sys.exit(128 + signum)
