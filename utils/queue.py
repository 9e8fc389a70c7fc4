#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on Grid Engine, as Kaldi's queue.pl does.

usage: queue.py [options] [JOB=1:N] <log-file> <command> <argument>...

  --config FILE        meaning of the options below in the form of Kaldi's conf/queue.conf
                       (default: that file if it exists, otherwise the built-in configuration)
  --mem SIZE           memory for each slot: 500M, 2G, ... (without a unit: megabytes)
  --num-threads N      slots of a job
  --time TIME          limit: minutes, hours:minutes:seconds or days-hours:minutes:seconds
  --gpu N              GPUs of a job
  --max-jobs-run N     jobs at a time
  --resume true|false  skip finished jobs (default false)
  --x Y                any other option that the configuration describes
  -x Y, -V, -pe P N    option of qsub, such as -q long.q or -l arch=*64*; -sync Y has no effect
                       here: this command always waits

example: utils/queue.py --max-jobs-run 2 JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H
"""

import os
import pwd
import re
from collections.abc import Collection
from functools import partial
from xml.etree import ElementTree

import launcher
from arrays import Arrays, Key, State
from submission import ask

ERROR_FORM = r"error reason +\d+: +(?:[\d/]+ [\d:]+ \[[\d:]+\]: )?(.*)"  # in qstat -j


def indices(text: str) -> list[int]:
    """Numbers of a list of ranges, such as 1-5:2,7."""
    numbers = []
    for first, last, step in re.findall(r"(\d+)(?:-(\d+):(\d+))?", text):
        numbers += range(int(first), int(last or first) + 1, int(step or 1))
    return numbers


class GridEngine:
    """What is special to Grid Engine."""

    config_path = "conf/queue.conf"
    config = """\
command qsub -V -w e
option mem=* -l mem_free=$0,ram_free=$0
option mem=0
option num_threads=* -pe smp $0
option num_threads=1
option time=* -l h_rt=$0
option gpu=* -l gpu=$0
option gpu=0
"""
    index = "SGE_TASK_ID"
    id_form = r"^(?:Your job(?:-array)? )?(\d+)(?:\.\d+-\d+:\d+)?(?: \(.*)?$"
    busy_form = "gdi request|qmaster|commlib"

    def time(self, value: str) -> str:
        """The time limit in seconds.

        It may be minutes, minutes:seconds, hours:minutes:seconds or days-hours:minutes:seconds.
        """
        days, dash, rest = value.rpartition("-")
        parts = [int(part) for part in rest.split(":")]
        units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
        seconds = sum(part * unit for part, unit in zip(parts, units))
        return str(int(days or 0) * 86400 + seconds)

    def passed_words(self, passed: list[tuple[str, ...]]) -> list[str]:
        """Words of qsub for the options with one dash."""
        return [word for words in passed if words[0] != "-sync" for word in words]

    def max_array_size(self) -> int | None:
        """Largest number of tasks in an array; None if unknown or unlimited."""
        limit = re.search(r"^max_aj_tasks\s+(\d+)", ask("qconf", "-sconf")[1], re.MULTILINE)
        return limit and int(limit[1])

    def array_words(
        self, name: str, output: str, num_tasks: int, at_a_time: str | None, after: str | None
    ) -> list[str]:
        """Words of qsub for an array with indices from 1.

        At most `at_a_time` tasks run together, and none before the array `after` is over.
        """
        words = ["-terse", "-notify", "-r", "n", "-S", "/bin/bash", "-j", "y"]
        words += ["-N", name, "-o", output, "-t", f"1-{num_tasks}"]
        words += ["-tc", at_a_time] if at_a_time else []
        return words + (["-hold_jid", after] if after else [])

    def states(self, keys: Collection[Key], output: str) -> dict[Key, State] | None:
        """States of the tasks that the queue or the accounting knows; None without an answer."""
        states, errors = {}, {}
        ids = {array_id for array_id, _ in keys}
        user = pwd.getpwuid(os.getuid()).pw_name
        for options in ((), ("-f", "-qs", "u")):  # the second: hosts that do not answer
            text = ask("qstat", "-xml", "-u", user, *options)[1]
            try:
                jobs = ElementTree.fromstring(text).iter("job_list")
            except ElementTree.ParseError:
                return None
            for job in jobs:
                array_id, letters = job.findtext("JB_job_number"), job.findtext("state")
                if array_id not in ids:
                    continue
                if "E" in letters:
                    if array_id not in errors:
                        errors[array_id] = self.explain(array_id, ERROR_FORM)
                    state = State("stuck", errors[array_id])
                elif "q" in letters:
                    state = State("waiting", "")
                else:
                    state = State("gone", "lost node") if options else State("running", "")
                states.update({(array_id, n): state for n in indices(job.findtext("tasks"))})
        for array_id in {array_id for array_id, _ in keys - states.keys()}:
            states = {**self.accounts(array_id), **states}
        return states

    def accounts(self, array_id: str) -> dict[Key, State]:
        """States of the tasks of an array that the accounting knows: they have ended."""
        states = {}
        text = ask("qacct", "-j", array_id)[1]
        for record in re.split(r"^=+$", text, flags=re.MULTILINE):
            pairs = [line.split(None, 1) for line in record.splitlines()]
            fields = dict(pair for pair in pairs if len(pair) == 2)
            if fields.get("taskid", "").strip().isdigit():
                states[array_id, int(fields["taskid"])] = State("ended", self.cause(fields))
        return states

    def cause(self, fields: dict[str, str]) -> str:
        """Why a task was killed, from its accounting record."""
        failed, category = int(fields["failed"].split()[0]), fields.get("category", "")
        if failed == 37:
            memory, time = re.search(r"h_vmem=([\d.]+\w?)", category), "h_rt=" in category
            if memory:
                limit = launcher.num_bytes(memory[1])
                if not time or launcher.num_bytes(fields["maxvmem"]) > 0.9 * limit:
                    return "out of memory"
            return "time limit" if time else "time or memory limit"
        if failed == 100:
            return "cancelled"
        return "lost node" if failed in (19, 20, 21, 22) else ""

    def explain(self, array_id: str, form: str) -> str:
        """The part of the text of `qstat -j` that matches the group of `form`."""
        match = re.search(form, ask("qstat", "-j", array_id)[1])
        return match[1].strip() if match else "no reason given"

    def reason(self, array_id: str) -> str:
        """Why an array waits."""
        return self.explain(array_id, r"scheduling info: +(.*)")

    def cancel(self, name: str) -> str:
        """Cancel the jobs of a name; returns the error message, if there is one."""
        status, output, errors = ask("qdel", name)
        return f"{output} {errors}".strip() if status else ""

    def cancel_tasks(self, keys: Collection[Key]) -> None:
        """Cancel tasks."""
        ask("qdel", *(f"{array_id}.{index}" for array_id, index in keys))

    def any_left(self, name: str) -> bool:
        """Whether the queue has jobs of a name, or does not answer."""
        status, _, errors = ask("qstat", "-j", name)
        return status == 0 or "do not exist" not in errors


if __name__ == "__main__":
    launcher.main(
        __doc__ + launcher.HELP + f"\nBuilt-in configuration ($0: the value):\n{GridEngine.config}",
        lambda launch: partial(Arrays.run, Arrays(GridEngine(), launch)),
    )
