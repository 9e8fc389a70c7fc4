#!/usr/bin/env python3
r"""Run a command, or an array of jobs, on Slurm, as Kaldi's slurm.pl does.

usage: slurm.py [options] [JOB=1:N] <log-file> <command> <argument>...

  --config FILE        meaning of the options below in the form of Kaldi's conf/slurm.conf
                       (default: that file if it exists, otherwise the built-in configuration)
  --mem SIZE           memory for each processor: 500M, 2G, ... (without a unit: megabytes)
  --num-threads N      processors of a job
  --time TIME          limit: minutes, hours:minutes:seconds or days-hours:minutes:seconds
  --gpu N              GPUs of a job
  --max-jobs-run N     jobs at a time
  --resume true|false  skip finished jobs (default false)
  --x Y                any other option that the configuration describes
  -x Y                 option of sbatch, such as -p long; -V and -sync Y have no effect here,
                       -pe P N means N processors

example: utils/slurm.py --mem 500M JOB=1:3 exp/log/hello.JOB.log echo hello JOB \| tr h H
"""

import re
from collections.abc import Collection
from functools import partial

import launcher
from arrays import Arrays, Key, State
from submission import ask

CAUSES = {
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), "time limit"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL"), "lost node"),
    **dict.fromkeys(("CANCELLED", "PREEMPTED", "REVOKED"), "cancelled"),
    "OUT_OF_MEMORY": "out of memory",
}
NEVER = (  # reasons of a pending job that will not change
    r"BadConstraints|Partition(Config|NodeLimit|TimeLimit)|Invalid(Account|QOS)|"
    r"(Account|QOS)NotAllowed|DependencyNeverSatisfied|MaxMemPerLimit|\w+PerJob(Limit)?|"
    r"launch.failed.requeued.held"
)
QUEUE_COLUMNS = (
    "ArrayJobID:.20,ArrayTaskID:.20,JobID:.20,exit_code:.20,State:.30,Reason:.100"  # of squeue
)


class Slurm:
    """What is special to Slurm."""

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

    def time(self, value: str) -> str:
        """The time limit in the scheduler's form."""
        return value

    def passed_words(self, passed: list[tuple[str, ...]]) -> list[str]:
        """Words of sbatch for the options with one dash."""
        words = []
        for option, *values in passed:
            if option == "-pe":
                words.append(f"--cpus-per-task={values[1]}")
            elif option not in ("-V", "-sync"):
                words += [option, *values]
        return words

    def max_array_size(self) -> int | None:
        """Largest number of tasks in an array; None if unknown."""
        text = ask("scontrol", "show", "config")[1]
        limits = [int(limit) for limit in re.findall(r"max_array_tasks=(\d+)", text)]
        for size in re.findall(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE):
            limits.append(int(size) - 1)  # indices begin with 0 there, with 1 here
        return min(limits, default=None)

    def array_words(
        self, name: str, output: str, num_tasks: int, at_a_time: str | None, after: str | None
    ) -> list[str]:
        """Words of sbatch for an array with indices from 1.

        At most `at_a_time` tasks run together, and none before the array `after` is over.
        """
        words = ["--parsable", "--no-requeue", "--open-mode=append", f"--job-name={name}"]
        words.append(f"--output={output.replace('%', '%%')}")
        words.append(f"--array=1-{num_tasks}" + (f"%{at_a_time}" if at_a_time else ""))
        return words + ([f"--dependency=afterany:{after}"] if after else [])

    def states(self, keys: Collection[Key], output: str) -> dict[Key, State] | None:
        """States of the tasks that the queue knows; None if it does not answer."""
        ids = ",".join(sorted({array_id for array_id, _ in keys}))
        status, text, errors = ask(
            "squeue", "-a", "-h", "-r", "-t", "all", "-j", ids, "-O", QUEUE_COLUMNS
        )
        if status and "Invalid job id" not in errors:
            return None
        states = {}
        for line in text.splitlines():
            array_id, index, job_id, code, state, reason = [*line.split(None, 5), *[""] * 6][:6]
            if index.isdigit() and code.isdigit():
                signum = int(code) % 128
                key = array_id, int(index)
                states[key] = self.state_of(state, reason, signum, job_id, output)
        return states

    def state_of(self, state: str, reason: str, signum: int, job_id: str, output: str) -> State:
        """State of one task from Slurm's words for it."""
        if state in CAUSES:
            return State("ended", CAUSES[state])
        if state == "FAILED" and signum:
            # Without cgroups the daemon kills jobs that use too much memory, and only its own
            # output says so.
            form = rf"(StepId=|[Jj]ob ){job_id}\b.*(memory|oom)|oom.*StepId={job_id}\b"
            with open(output, errors="replace") as file:
                is_memory = re.search(form, file.read())
            return State("ended", "out of memory" if is_memory else f"signal {signum}")
        if state in ("FAILED", "COMPLETED"):
            return State("ended", "")
        if state == "PENDING":
            return State("stuck", reason) if re.fullmatch(NEVER, reason) else State("waiting", "")
        return State("running", "")

    def reason(self, array_id: str) -> str:
        """Why an array waits."""
        text = ask("squeue", "-a", "-h", "-t", "pending", "-j", array_id, "-o", "%r")[1]
        return (text.splitlines() or ["no reason given"])[0]

    def cancel(self, name: str) -> str:
        """Cancel the jobs of a name; returns the error message, if there is one."""
        return ask("scancel", f"--name={name}")[2].strip()

    def cancel_tasks(self, keys: Collection[Key]) -> None:
        """Cancel tasks."""
        ask("scancel", *(f"{array_id}_{index}" for array_id, index in keys))

    def any_left(self, name: str) -> bool:
        """Whether the queue has jobs of a name, or does not answer."""
        status, text, _ = ask("squeue", "-a", "-h", f"--name={name}", "-o", "%i")
        return bool(status or text.strip())


if __name__ == "__main__":
    launcher.main(
        __doc__ + launcher.HELP + f"\nBuilt-in configuration ($0: the value):\n{Slurm.config}",
        lambda launch: partial(Arrays.run, Arrays(Slurm(), launch)),
    )
