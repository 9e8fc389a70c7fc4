#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on Grid Engine: the command line, logs and messages of Kaldi's queue.pl.

usage: queue.py [options] [JOB=1:N] <log-file> <command> <argument>...

JOB (any name) becomes the number of the job wherever it stands in the log file and the command. A word without blanks goes to bash as
it is, so \| and \> are shell syntax; one with blanks is put in double quotes, or in single quotes if it holds a double quote.
A pipeline fails if any part of it fails. Status 0 if all jobs ended with 0, 1 if not, 128+n if killed by signal n: the jobs are deleted.

  --config FILE        what the options below become (default conf/queue.conf if it exists, else what stands at the end)
  --mem SIZE           memory of a slot of a job: 500M, 2G, ... (a bare number: megabytes)
  --num-threads N      slots of a job
  --time TIME          limit: minutes, hours:minutes:seconds or days-hours:minutes:seconds
  --gpu N              GPUs of a job
  --max-jobs-run N     jobs at a time
  --resume true|false  skip jobs that ended with 0 before if command, files in it and files an scp lists are as they were (default false);
                       directories are not looked into
  --x Y                any other option that the configuration describes
  -x Y, -V, -pe P N    handed on to qsub (-q long.q, -l arch=*64*); -sync Y is not: this command always waits

example: utils/queue.py --max-jobs-run 2 JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H

Built-in configuration, in the grammar of Kaldi's conf/queue.conf ($0: the value):
"""

import os
import pwd
import re
from functools import partial
from xml.etree import ElementTree

import launcher
from arrays import Arrays, State, ask


class GridEngine:
    """What only Grid Engine knows."""

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

    def time(self, value):
        """Seconds of a time: minutes, minutes:seconds, hours:minutes:seconds or days-hours:minutes:seconds."""
        days, dash, rest = value.rpartition("-")
        parts = [int(part) for part in rest.split(":")]
        units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
        return str(int(days or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units)))

    def passed_words(self, passed):
        """What qsub gets of the options with one dash."""
        return [word for words in passed if words[0] != "-sync" for word in words]

    def max_array_size(self):
        """Most tasks of one array; None if it is not known or not limited."""
        limit = re.search(r"^max_aj_tasks\s+(\d+)", ask("qconf", "-sconf")[1], re.MULTILINE)
        return limit and int(limit[1])

    def array_words(self, name, output, num_tasks, at_a_time, after):
        """Options of qsub for an array with indices from 1, `at_a_time` of them together, once the array `after` is over."""
        words = ["-terse", "-notify", "-r", "n", "-S", "/bin/bash", "-j", "y", "-N", name, "-o", output, "-t", f"1-{num_tasks}"]
        return words + (["-tc", at_a_time] if at_a_time else []) + (["-hold_jid", after] if after else [])

    def states(self, keys, output):
        """States of the tasks (id of the array, index) that the queue or the accounting knows; None if the queue does not answer."""
        user, states, reasons = pwd.getpwuid(os.getuid()).pw_name, {}, {}
        ids = {array_id for array_id, _ in keys}
        for words in (("-u", user), ("-u", user, "-f", "-qs", "u")):  # the second: hosts that do not answer
            try:
                jobs = ElementTree.fromstring(ask("qstat", "-xml", *words)[1]).iter("job_list")
            except ElementTree.ParseError:
                return None
            for job in jobs:
                array_id, letters = job.findtext("JB_job_number"), job.findtext("state")
                if array_id not in ids:
                    continue
                if "E" in letters and array_id not in reasons:
                    reasons[array_id] = self.explain(array_id, r"error reason +\d+: +(?:[\d/]+ [\d:]+ \[[\d:]+\]: )?(.*)")
                if "E" in letters:
                    state = State("stuck", reasons[array_id])
                elif "q" in letters:
                    state = State("waiting", "")
                else:
                    state = State("gone", "lost node") if "-qs" in words else State("running", "")
                for first, last, step in re.findall(r"(\d+)(?:-(\d+):(\d+))?", job.findtext("tasks")):
                    states.update({(array_id, index): state for index in range(int(first), int(last or first) + 1, int(step or 1))})
        for array_id in {array_id for array_id, _ in keys - states.keys()}:
            states = {**self.accounts(array_id), **states}
        return states

    def accounts(self, array_id):
        """States of the tasks of an array that the accounting knows: they have ended."""
        states = {}
        for record in re.split(r"^=+$", ask("qacct", "-j", array_id)[1], flags=re.MULTILINE):
            fields = dict(line.split(None, 1) for line in record.splitlines() if len(line.split(None, 1)) == 2)
            if fields.get("taskid", "").strip().isdigit():
                states[array_id, int(fields["taskid"])] = State("ended", self.cause(fields))
        return states

    def cause(self, fields):
        """What an accounting record says of why a task was killed."""
        failed, category = int(fields["failed"].split()[0]), fields.get("category", "")
        if failed == 37:
            memory, time = re.search(r"h_vmem=([\d.]+\w?)", category), "h_rt=" in category
            if memory and (not time or launcher.num_bytes(fields["maxvmem"]) > 0.9 * launcher.num_bytes(memory[1])):
                return "out of memory"
            return "time limit" if time else "time or memory limit"
        return "cancelled" if failed == 100 else "lost node" if failed in (19, 20, 21, 22) else ""

    def explain(self, array_id, form):
        """What `qstat -j` says of an array where it matches `form`."""
        told = re.search(form, ask("qstat", "-j", array_id)[1])
        return told[1].strip() if told else "no reason given"

    def reason(self, array_id):
        """Why an array waits."""
        return self.explain(array_id, r"scheduling info: +(.*)")

    def cancel(self, name):
        """Delete the jobs of a name; returns what went wrong."""
        status, output, errors = ask("qdel", name)
        return f"{output} {errors}".strip() if status else ""

    def cancel_tasks(self, keys):
        """Delete tasks."""
        ask("qdel", *(f"{array_id}.{index}" for array_id, index in keys))

    def any_left(self, name):
        """Whether the queue has jobs of a name, or does not answer."""
        status, _, errors = ask("qstat", "-j", name)
        return status == 0 or "do not exist" not in errors


if __name__ == "__main__":
    launcher.main(__doc__ + GridEngine.config, lambda launch: partial(Arrays.run, Arrays(GridEngine(), launch)))
