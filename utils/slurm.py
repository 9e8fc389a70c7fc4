#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on Slurm: the command line, logs and messages of Kaldi's slurm.pl.

usage: slurm.py [options] [JOB=1:N] <log-file> <command> <argument>...

JOB (any name) becomes the number of the job wherever it stands in the log file and the command. A word without blanks goes to bash as
it is, so \| and \> are shell syntax; one with blanks is put in double quotes, or in single quotes if it holds a double quote.
A pipeline fails if any part of it fails. Status 0 if all jobs ended with 0, 1 if not, 128+n if killed by signal n: the jobs are cancelled.

  --config FILE        what the options below become (default conf/slurm.conf if it exists, else what stands at the end)
  --mem SIZE           memory of a processor of a job: 500M, 2G, ... (a bare number: megabytes)
  --num-threads N      processors of a job
  --time TIME          limit: minutes, hours:minutes:seconds or days-hours:minutes:seconds
  --gpu N              GPUs of a job
  --max-jobs-run N     jobs at a time
  --resume true|false  skip jobs that ended with 0 before if command, files in it and files an scp lists are as they were (default false);
                       directories are not looked into
  --x Y                any other option that the configuration describes
  -x Y                 handed on to sbatch (-p long); -V and -sync Y, which have no meaning here, are not; -pe P N: N processors

example: utils/slurm.py --mem 500M --max-jobs-run 2 JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H

Built-in configuration, in the grammar of Kaldi's conf/slurm.conf ($0: the value):
"""

import re
from functools import partial

import launcher
from arrays import Arrays, State, ask

CAUSES = {
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), "time limit"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL"), "lost node"),
    **dict.fromkeys(("CANCELLED", "PREEMPTED", "REVOKED"), "cancelled"),
    "OUT_OF_MEMORY": "out of memory",
}
NEVER = (  # reasons of a pending job that no waiting ends
    r"BadConstraints|Partition(Config|NodeLimit|TimeLimit)|Invalid(Account|QOS)|(Account|QOS)NotAllowed|DependencyNeverSatisfied|"
    r"MaxMemPerLimit|\w+PerJob(Limit)?|launch.failed.requeued.held"
)


class Slurm:
    """What only Slurm knows."""

    config_path = "conf/slurm.conf"
    config = """\
command sbatch --export=ALL
option mem=* --mem-per-cpu=$0
option mem=0
option num_threads=* --cpus-per-task=$0
option time=* --time=$0
option gpu=* --gres=gpu:$0
option gpu=0
"""
    index = "SLURM_ARRAY_TASK_ID"
    id_form = r"^(?:Submitted batch job )?(\d+)(?:;\S*)?$"
    busy_form = "unable to contact|temporarily unable|connection refused|try again"

    def time(self, value):
        """Time in the scheduler's form: ours is Slurm's."""
        return value

    def passed_words(self, passed):
        """What sbatch gets of the options with one dash."""
        known = {"-V": lambda: [], "-sync": lambda value: [], "-pe": lambda name, number: [f"--cpus-per-task={number}"]}
        return [word for option, *values in passed for word in known.get(option, lambda *v, o=option: [o, *v])(*values)]

    def max_array_size(self):
        """Most tasks of one array; None if it is not known."""
        text = ask("scontrol", "show", "config")[1]
        limits = [int(size) - 1 for size in re.findall(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)]  # of the index, from 0
        return min(limits + [int(limit) for limit in re.findall(r"max_array_tasks=(\d+)", text)], default=None)

    def array_words(self, name, output, num_tasks, at_a_time, after):
        """Options of sbatch for an array with indices from 1, `at_a_time` of them together, once the array `after` is over."""
        array = f"--array=1-{num_tasks}" + (f"%{at_a_time}" if at_a_time else "")
        words = ["--parsable", "--no-requeue", "--open-mode=append", f"--job-name={name}", f"--output={output.replace('%', '%%')}", array]
        return words + ([f"--dependency=afterany:{after}"] if after else [])

    def states(self, keys, output):
        """States of the tasks (id of the array, index) that the queue knows; None if it does not answer."""
        form = "ArrayJobID:.20,ArrayTaskID:.20,JobID:.20,exit_code:.20,State:.30,Reason:.100"
        status, text, errors = ask(
            "squeue", "-a", "-h", "-r", "-t", "all", "-j", ",".join(sorted({array_id for array_id, _ in keys})), "-O", form
        )
        if status and "Invalid job id" not in errors:
            return None
        states = {}
        for line in text.splitlines():
            array_id, index, job_id, code, state, reason = [*line.split(None, 5), *[""] * 6][:6]
            if index.isdigit() and code.isdigit():
                states[array_id, int(index)] = self.state_of(state, reason, int(code) % 128, job_id, output)
        return states

    def state_of(self, state, reason, signum, job_id, output):
        """What Slurm's words mean for one task."""
        if state in CAUSES:
            return State("ended", CAUSES[state])
        if state == "FAILED" and signum:  # without cgroups the daemon kills what needs too much, and only its own output tells
            with open(output, errors="replace") as file:
                told = re.search(rf"(StepId=|[Jj]ob ){job_id}\b.*(memory|oom)|oom.*StepId={job_id}\b", file.read())
            return State("ended", "out of memory" if told else f"signal {signum}")
        if state in ("FAILED", "COMPLETED"):
            return State("ended", "")
        if state == "PENDING":
            return State("stuck", reason) if re.fullmatch(NEVER, reason) else State("waiting", "")
        return State("running", "")

    def reason(self, array_id):
        """Why an array waits."""
        return (ask("squeue", "-a", "-h", "-t", "pending", "-j", array_id, "-o", "%r")[1].splitlines() or ["no reason given"])[0]

    def cancel(self, name):
        """Cancel the jobs of a name; returns what went wrong."""
        return ask("scancel", f"--name={name}")[2].strip()

    def cancel_tasks(self, keys):
        """Cancel tasks."""
        ask("scancel", *(f"{array_id}_{index}" for array_id, index in keys))

    def any_left(self, name):
        """Whether the queue has jobs of a name, or does not answer."""
        status, text, _ = ask("squeue", "-a", "-h", f"--name={name}", "-o", "%i")
        return bool(status or text.strip())


if __name__ == "__main__":
    launcher.main(__doc__ + Slurm.config, lambda launch: partial(Arrays.run, Arrays(Slurm(), launch)))
