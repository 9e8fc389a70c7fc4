"""utils/slurm.py and utils/queue.py with the made-up schedulers of fake_schedulers.py."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import wait_for
from data_dirs import UTILS, load, missing

GRACE_SEC = 0.5  # of the fixture `fake`
LOG = re.compile(
    r"""# Running on \S+
# Started at \w+ \w+ +\d+ .*
# (?P<command>.*)
(?P<output>(?:.*\n)*)# Accounting: time=\d+ threads=(?P<threads>\d+)
# Finished at .* with status (?P<status>\d+)
"""
)


@pytest.fixture(params=["slurm", "queue"])
def who(request, fake):
    return f"{request.param}.py"


def start(cwd, who, *words):
    cwd.mkdir(exist_ok=True)
    command = [sys.executable, "-S", UTILS / who, *words]
    return subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True)


def run(cwd, who, *words):
    process = start(cwd, who, *words)
    stderr = process.communicate(timeout=60)[1]
    return process.returncode, stderr


def read_log(path):
    match = LOG.fullmatch(path.read_text())
    assert match, path.read_text()
    return match.groupdict()


def submissions(fake):
    return [text.splitlines() for text in (fake / "submitted").read_text().split("--\n")[:-1]]


def qstat(*jobs):
    """qstat -xml of (array, state, tasks)."""
    rows = ""
    for array, state, tasks in jobs:
        row = f"<JB_job_number>{array}</JB_job_number><state>{state}</state><tasks>{tasks}</tasks>"
        rows += f"<job_list>{row}</job_list>"
    return f"<job_info>{rows}</job_info>"


def test_jobs_run_with_logs_and_without_leftovers(tmp_path, fake, who):
    place = tmp_path / """it's "a" place"""
    place.mkdir()
    (place / "path.sh").write_text("export FROM_PATH=seen\n")
    words = ["x_JOB=JOB;", "echo", "aJOB", "$FROM_PATH", "${x_JOB}", "say JOB", 'a "JOB"']
    words += ["|", "cat;", "cat;", "printf", "end"]
    options = ["-pe", "smp", "4", "JOB=3:5"]
    assert run(place, who, *options, "exp/log/x.JOB.log", *words) == (0, "")
    for n in (3, 4, 5):
        log = read_log(place / f"exp/log/x.{n}.log")
        assert log["output"] == f'a{n} seen {n} say {n} a "{n}"\nend\n'
        assert (log["status"], log["threads"]) == ("0", "4")
        command = f'x_{n}={n}; echo a{n} $FROM_PATH ${{x_{n}}} "say {n}" \'a "{n}"\''
        assert log["command"] == f"{command} | cat; cat; printf end"
    assert sorted(path.name for path in (place / "exp/q").iterdir()) == ["x.log", "x.sh"]


@pytest.mark.parametrize(
    "log, script",
    [
        ("exp/log/x.JOB.log", "exp/q/x.sh"),
        ("exp/x.1.JOB.log", "exp/q/x.1.sh"),
        ("exp.JOB/log/x.log", "q/x.sh"),
        ("JOB", "q/jobs.sh"),
    ],
)
@pytest.mark.parametrize("who", ["slurm.py"])
def test_place_of_the_job_script(tmp_path, fake, who, log, script):
    assert run(tmp_path, who, "JOB=1:2", log, "true") == (0, "")
    assert (tmp_path / script).exists()
    assert read_log(tmp_path / log.replace("JOB", "2"))["command"] == "true"


def test_failures_in_kaldis_words_and_with_causes(tmp_path, fake, who):
    command = ["[", "JOB", "!=", "2", "]", "||", "exit", "7;"]
    command += ["[", "JOB", "!=", "3", "]", "||", "kill", "-9", "$$;"]
    command += ["false", "|", "test", "JOB", "=", "1"]
    if who == "slurm.py":
        (fake / "states").write_text(
            "102 1 0 7 0 FAILED NonZeroExitCode\n101 3 0 256 FAILED NonZeroExitCode\n"
        )
    else:
        (fake / "accounts").write_text("jobnumber 101\ntaskid 3\nfailed 0\n")
    code, stderr = run(tmp_path, who, "JOB=1:3", "log/x.JOB.log", *command)
    assert code == 1
    assert stderr.splitlines()[:3] == [
        f"{who}: 3 / 3 failed, log is in log/x.*.log",
        f"{who}: failed jobs: 1 (status 1), 2 (status 7), 3 (signal 9, out of memory?)",
        f"{who}: last lines of log/x.1.log:",
    ]
    assert stderr.splitlines()[-1].startswith("  # Finished at ")


@pytest.mark.parametrize("who", ["queue.py"])
def test_failure_of_one_job(tmp_path, fake, who):
    code, stderr = run(tmp_path, who, "x.log", "echo", "MemoryError;", "exit", "4")
    assert code == 1
    assert stderr.splitlines()[:2] == [
        f"{who}: job failed with status 4, log is in x.log",
        f"{who}: failed jobs: 1 (status 4, out of memory?)",
    ]


def test_resume_runs_the_missing_jobs_whatever_the_launcher(tmp_path, monkeypatch, fake, who):
    command = ["--resume", "true", "JOB=1:9", "log/x.JOB.log", "echo", ";"]
    command += ["test", "-n", '"$OK"', "-o", "JOB", "!=", "3", "-a", "JOB", "!=", "7"]
    code, stderr = run(tmp_path, who, *command)
    assert code == 1
    assert "failed jobs: 3 (status 1), 7 (status 1)\n" in stderr
    before = (tmp_path / "log/x.2.log").stat()
    monkeypatch.setenv("OK", "yes")
    done = "were done before, log is in log/x.*.log\n"
    assert run(tmp_path, who, *command) == (0, f"{who}: 7 / 9 {done}")
    assert (tmp_path / "log/x.2.log").stat() == before
    assert "numbers=(3 7)\n" in (tmp_path / "q/x.sh").read_text()
    for other in ("run.py", "slurm.py", "queue.py"):
        assert run(tmp_path, other, *command) == (0, f"{other}: 9 / 9 {done}")


def test_arrays_above_the_limit_of_the_site_are_split(tmp_path, fake, who):
    words = ["--max-jobs-run", "2", "JOB=2:11", "log/x.JOB.log", "echo", "JOB"]
    assert run(tmp_path, who, *words) == (0, "")
    for n in range(2, 12):
        assert read_log(tmp_path / f"log/x.{n}.log")["output"] == f"{n}\n"
    texts = [" ".join(words) for words in submissions(fake)]
    if who == "slurm.py":
        array, after = [f"--array=1-{n}%2 " for n in (4, 4, 2)], "--dependency=afterany:10"
    else:
        array, after = [f"-t 1-{n} -tc 2 " for n in (4, 4, 2)], "-hold_jid 10"
    assert [words in text for words, text in zip(array, texts)] == [True] * 3
    assert [after in text for text in texts] == [False, True, True]
    assert [words[-1] for words in submissions(fake)] == ["0", "4", "8"]
    assert [bool(re.search(r"(--no-requeue|-r n) ", text)) for text in texts] == [True] * 3


SCHEDULERS = {"slurm.py": load("slurm").Slurm(), "queue.py": load("queue").GridEngine()}
ARRAYS, LAUNCHER, SUBMISSION = load("arrays"), load("launcher"), load("submission")
Problem = load("messages").Problem


def submit_words(who, *options):
    """What a submission begins with."""
    launch = LAUNCHER.parse_command_line([*options, "x.log", "true"])
    return SUBMISSION.submit_words(SCHEDULERS[who], launch)


@pytest.mark.parametrize(
    "options, slurm, queue",
    [
        ([], [], []),
        (
            ["--mem", "2G", "--num-threads", "3"],
            ["--mem-per-cpu=2G", "--cpus-per-task=3"],
            ["-l", "mem_free=2G,ram_free=2G", "-pe", "smp", "3"],
        ),
        (["--mem", "1.5GB"], ["--mem-per-cpu=1536M"], ["-l", "mem_free=1536M,ram_free=1536M"]),
        (["--mem", "500"], ["--mem-per-cpu=500M"], ["-l", "mem_free=500M,ram_free=500M"]),
        (["--mem", "0", "--gpu", "0", "--max-jobs-run", "3", "--resume", "true"], [], []),
        (["--time", "90"], ["--time=90"], ["-l", "h_rt=5400"]),
        (["--time", "4:00:01"], ["--time=4:00:01"], ["-l", "h_rt=14401"]),
        (["--time", "2:30"], ["--time=2:30"], ["-l", "h_rt=150"]),
        (["--time", "2-12"], ["--time=2-12"], ["-l", "h_rt=216000"]),
        (["--gpu", "2"], ["--gres=gpu:2"], ["-l", "gpu=2"]),
        (["-pe", "smp", "4", "-sync", "y", "-V"], ["--cpus-per-task=4"], ["-pe", "smp", "4", "-V"]),
        (["-p", "long one"], ["-p", "long one"], ["-p", "long one"]),
    ],
)
def test_built_in_configuration(tmp_path, monkeypatch, options, slurm, queue):
    monkeypatch.chdir(tmp_path)
    assert submit_words("slurm.py", *options) == ["sbatch", "--export=ALL", *slurm]
    assert submit_words("queue.py", *options) == ["qsub", "-V", "-w", "e", *queue]


CONFIG = """# a site
command submit -A "my project"   # with an account
option mem=*   --memory $0 --twice=$0
option mem=0
option num_threads=1
option num_threads=* -n $0
default gpu=0
option gpu=0 --no-gpu
option gpu=* --gpus $0
option max_jobs_run=* -tc $0
option pick=*
"""


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], ["--no-gpu"]),
        (["--mem", "2G"], ["--no-gpu", "--memory", "2G", "--twice=2G"]),
        (["--mem", "0", "--num-threads", "1", "--pick", "all"], ["--no-gpu"]),
        (["--num_threads", "5"], ["--no-gpu", "-n", "5"]),
        (["--gpu", "1"], ["--gpus", "1"]),
    ],
)
def test_configuration_of_a_site(tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    for who, path in (("slurm.py", "conf/slurm.conf"), ("queue.py", "conf/queue.conf")):
        Path(path).write_text(CONFIG)
        assert submit_words(who, *options) == ["submit", "-A", "my project", *expected]
        Path(path).rename("other.conf")
        words = submit_words(who, "--config", "other.conf", *options)
        assert words == ["submit", "-A", "my project", *expected]


@pytest.mark.parametrize(
    "text, options, who, words",
    [
        ("option mem=*", "", "x.conf", ["command <submit command>"]),
        (
            "command qsub\n\noptoin mem=*",
            "",
            "x.conf:3",
            ["'optoin mem=*'", "command", "option", "default"],
        ),
        ("command qsub\noption mem", "", "x.conf:2", ["'option mem'", "<value or *>"]),
        ("command qsub 'x", "", "x.conf:1", ["No closing quotation"]),
        ("command qsub", "--some-thing 3", "--some-thing", ["x.conf", "option some_thing=*"]),
        ("command no-such-program", "-x y", "no-such-program", ["PATH", "run.py"]),
    ],
)
def test_bad_configurations(tmp_path, monkeypatch, text, options, who, words):
    monkeypatch.chdir(tmp_path)
    Path("x.conf").write_text(text)
    with pytest.raises(Problem) as caught:
        SUBMISSION.ask(*submit_words("queue.py", "--config", "x.conf", *options.split()))
    assert caught.value.who == who
    assert missing(str(caught.value), words) == [] and "\n" not in str(caught.value)


def test_a_missing_configuration_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match="x.conf"):
        submit_words("queue.py", "--config", str(tmp_path / "x.conf"))


def test_a_refused_submission_is_an_error_with_the_schedulers_words(tmp_path, fake, who):
    (fake / "refuse").touch()
    code, stderr = run(tmp_path, who, "JOB=1:2", "log/x.JOB.log", "true")
    assert code == 1
    program, conf = ("sbatch", "slurm") if who == "slurm.py" else ("qsub", "queue")
    assert stderr.startswith(f"{who}: {program}: ") and stderr.count("\n") == 1
    words = ["exit status 1", "'no such partition; giving up'", f"conf/{conf}.conf", "q/x.sh"]
    assert missing(stderr, words) == []
    assert not (fake / "cancelled").exists()
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == ["x.log", "x.sh"]


@pytest.mark.parametrize("who", ["queue.py"])
def test_a_submission_is_tried_again_while_the_scheduler_is_not_there(tmp_path, fake, who):
    (fake / "busy").touch()
    assert run(tmp_path, who, "x.log", "true") == (0, "")
    assert len(submissions(fake)) == 2


@pytest.mark.parametrize("who", ["slurm.py"])
def test_words_around_the_job_number_do_no_harm_but_two_numbers_are_cancelled(tmp_path, fake, who):
    (fake / "banner").write_text("Welcome to 3 clusters\n")
    assert run(tmp_path, who, "x.log", "true") == (0, "")
    (fake / "banner").write_text("77\n")
    code, stderr = run(tmp_path, who, "x.log", "true")
    assert code == 1
    assert "expected exit status 0 and one job number" in stderr
    assert (fake / "cancelled").read_text().split()[-1].removeprefix("--name=").startswith("x.")


# Exit code, state and reason of a task without a completion file: why it failed
SQUEUE = [
    ("9 TIMEOUT TimeLimit", "time limit"),
    ("0 OUT_OF_MEMORY OutOfMemory", "out of memory"),
    ("0 NODE_FAIL NodeDown", "lost node"),
    ("0 CANCELLED None", "cancelled"),
    ("9 FAILED JobLaunchFailure", "signal 9, out of memory?"),
    ("256 FAILED NonZeroExitCode", "gone from the queue"),
    ("0 PENDING PartitionConfig", "never started: PartitionConfig"),
]
ACCOUNTS = [
    ("failed 37 : limit\ncategory -l h_rt=3", "time limit"),
    ("failed 37 : limit\ncategory -l h_vmem=1G", "out of memory"),
    ("failed 37 : limit\nmaxvmem 1.100GB\ncategory -l h_rt=9,h_vmem=1G", "out of memory"),
    ("failed 37 : limit\nmaxvmem 1.100MB\ncategory -l h_rt=9,h_vmem=1G", "time limit"),
    ("failed 37 : limit\ncategory NONE", "time or memory limit"),
    ("failed 21 : in recognizing job", "lost node"),
    ("failed 100 : assumedly after job", "cancelled"),
    ("failed 0", "gone from the queue"),
]


def numbered(causes):
    return ", ".join(f"{n} ({cause})" for n, cause in enumerate(causes, 1))


def test_what_slurm_says_of_tasks_without_a_completion_file(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "scontrol").unlink()
    (fake / "scontrol").symlink_to("/bin/true")  # no word on the greatest array
    lines = [f"101 {n} 9 {state}\n" for n, (state, _) in enumerate(SQUEUE, 1)]
    (fake / "states").write_text("".join(lines))
    code, stderr = run(tmp_path, "slurm.py", f"JOB=1:{len(SQUEUE) + 1}", "log/x.JOB.log", "true")
    assert code == 1
    causes = [cause for _, cause in SQUEUE] + ["cancelled"]  # the last vanished while it waited
    assert stderr.splitlines()[1] == f"slurm.py: failed jobs: {numbered(causes)}"
    assert (fake / "cancelled").read_text().split() == ["101_7", "101_8"]


def test_what_grid_engine_says_of_tasks_without_a_completion_file(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "qconf").unlink()
    (fake / "qconf").symlink_to("/bin/true")
    start = "====\njobnumber 101\ntaskid"
    records = [f"{start} {n}\n{text}\n" for n, (text, _) in enumerate(ACCOUNTS, 1)]
    (fake / "accounts").write_text("".join(records))
    error = "error: can't open it"
    (fake / "explain").write_text(f"error reason    1:      11/23/2026 19:12:15 [0:71]: {error}\n")
    (fake / "states").write_text(qstat(("101", "Eqw", "9")))
    code, stderr = run(tmp_path, "queue.py", f"JOB=1:{len(ACCOUNTS) + 2}", "log/x.JOB.log", "true")
    assert code == 1
    causes = [cause for _, cause in ACCOUNTS] + [f"never started: {error}", "cancelled"]
    assert stderr.splitlines()[1] == f"queue.py: failed jobs: {numbered(causes)}"
    assert "101.9" in (fake / "cancelled").read_text()


def test_memory_is_told_by_the_daemons_output_where_slurm_has_no_word_for_it(tmp_path):
    output = tmp_path / "output"
    output.write_text("slurmstepd: error: StepId=5.batch exceeded memory limit (9 > 8), killed\n")
    state_of = SCHEDULERS["slurm.py"].state_of
    assert state_of("FAILED", "JobLaunchFailure", 9, "5", output) == ("ended", "out of memory")
    assert state_of("FAILED", "JobLaunchFailure", 9, "55", output) == ("ended", "signal 9")


def test_the_end_of_the_schedulers_own_output_is_shown_where_there_is_no_log(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "states").write_text("101 1 9 0 CANCELLED None\n")
    process = start(tmp_path, "slurm.py", "x.log", "true")
    wait_for((fake / "submitted").exists)
    (tmp_path / "q/x.log").write_text("node 7: no such directory\n")
    stderr = process.communicate(timeout=60)[1]
    assert stderr.endswith(f"last lines of {tmp_path}/q/x.log:\n  node 7: no such directory\n")


def task(fake, tmp_path):
    """Run the one task of a held array."""
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "1", "SGE_TASK_ID": "1"}
    return subprocess.Popen(["bash", tmp_path / "q/x.sh", "0"], env=env, start_new_session=True)


def test_no_answer_of_the_queue_is_not_gone(tmp_path, fake, who):
    for name in ("hold", "silent"):
        (fake / name).touch()
    process = start(tmp_path, who, "x.log", "true")
    line = process.stderr.readline()
    assert line == f"{who}: waiting: the queue does not answer\n"
    time.sleep(2 * GRACE_SEC)
    assert process.poll() is None
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert set(process.communicate(timeout=20)[1].splitlines(keepends=True)) <= {line}
    assert process.returncode == 0


def test_a_long_wait_names_the_reason(tmp_path, fake, who):
    (fake / "hold").touch()
    waiting = "101 1 9 0 PENDING Resources here\n"
    if who == "queue.py":
        waiting = qstat(("101", "qw", "1-1:1"))
    (fake / "explain").write_text("scheduling info:            Resources here\n")
    (fake / "states").write_text(waiting)
    process = start(tmp_path, who, "x.log", "true")
    line = process.stderr.readline()
    assert line == f"{who}: waiting: 1 pending (Resources here)\n"
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert set(process.communicate(timeout=20)[1].splitlines(keepends=True)) <= {line}
    assert process.returncode == 0


def test_a_host_of_grid_engine_that_does_not_answer_is_lost(tmp_path, fake):
    (fake / "hold").touch()
    states = qstat(("101", "r", "1"), ("9", "r", "1"), ("101", "r", "2"))
    (fake / "states").write_text(states)
    (fake / "unknown").write_text(qstat(("101", "r", "2")))
    process = start(tmp_path, "queue.py", "JOB=1:2", "log/x.JOB.log", "true")
    wait_for((fake / "cancelled").exists)
    assert (fake / "cancelled").read_text() == "101.2\n"
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert process.communicate(timeout=20)[1].splitlines()[:2] == [
        "queue.py: 1 / 2 failed, log is in log/x.*.log",
        "queue.py: failed jobs: 2 (lost node)",
    ]


@pytest.mark.parametrize(
    "who, signum",
    [
        ("slurm.py", signal.SIGINT),
        ("queue.py", signal.SIGTERM),
        ("slurm.py", signal.SIGHUP),
    ],
)
def test_signals_cancel_the_array_and_keep_the_records_of_what_has_ended(
    tmp_path, fake, who, signum
):
    (fake / "hold").touch()
    states = "101 1 9 0 RUNNING None\n" if who == "slurm.py" else qstat(("101", "r", "1-2:1"))
    (fake / "states").write_text(states)
    process = start(tmp_path, who, "JOB=1:2", "log/x.JOB.log", "true")
    wait_for((fake / "submitted").exists)
    assert task(fake, tmp_path).wait(timeout=20) == 0
    wait_for((tmp_path / "log/x.1.log.done").exists)
    process.send_signal(signum)
    assert process.communicate(timeout=20)[1] == f"{who}: got {signum.name}, cancelling 101\n"
    assert process.returncode == 128 + signum
    assert re.fullmatch(r"(--name=)?x\.\w{8}\n", (fake / "cancelled").read_text())
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == ["x.log", "x.sh"]


@pytest.mark.parametrize("who", ["queue.py"])
def test_what_a_killed_launch_has_left_is_cancelled_and_a_living_one_is_respected(
    tmp_path, fake, who
):
    (fake / "hold").touch()
    process = start(tmp_path, who, "x.log", "true")
    wait_for((fake / "submitted").exists)
    code, stderr = run(tmp_path, who, "x.log", "true")
    assert code == 1
    place = f"process {process.pid} on {os.uname().nodename}"
    assert stderr.startswith(f"{who}: x.log: ") and stderr.count("\n") == 1
    assert missing(stderr, ["in progress", place, "another log file"]) == []
    process.kill()
    process.communicate()
    (fake / "hold").unlink()
    folder = next((tmp_path / "q").glob("x.*/launcher")).parent
    message = f"{who}: cancelling {folder.name}, which a killed launch has left\n"
    assert run(tmp_path, who, "x.log", "true") == (0, message)
    assert (fake / "cancelled").read_text().strip().removeprefix("--name=") == folder.name
    assert not folder.exists()


def test_jobs_that_cannot_be_cancelled_are_named_and_stop_the_next_launch(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "left").write_text("101_1\n")
    process = start(tmp_path, who, "x.log", "true")
    wait_for((fake / "submitted").exists)
    process.terminate()
    stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 143
    name = next((tmp_path / "q").glob("x.*/launcher")).parent.name
    (line,) = (line for line in stderr.splitlines() if line.startswith(f"{who}: {name}: "))
    assert missing(line, ["still in the queue", "by hand"]) == []
    code, stderr = run(tmp_path, who, "x.log", "true")
    assert code == 1
    line = stderr.splitlines()[-1]
    assert line.startswith(f"{who}: {name}: ")
    assert missing(line, ["still in the queue", "try again"]) == []


def test_a_task_that_the_queue_ends_writes_its_log_and_leaves_no_process(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "states").write_text("101 1 9 0 TIMEOUT TimeLimit\n" if who == "slurm.py" else qstat())
    (fake / "accounts").write_text("taskid 1\nfailed 37 : limit\ncategory -l h_rt=3\n")
    (tmp_path / "job.sh").write_text("(while sleep .05; do echo >>child; done) & wait")
    process = start(tmp_path, who, "x.log", "bash", "job.sh")
    wait_for((fake / "submitted").exists)
    job = task(fake, tmp_path)
    wait_for((tmp_path / "child").exists)
    job.send_signal(signal.SIGTERM if who == "slurm.py" else signal.SIGUSR2)
    stderr = process.communicate(timeout=20)[1]
    job.wait(timeout=20)
    assert f"{who}: failed jobs: 1 (time limit)\n" in stderr
    assert read_log(tmp_path / "x.log")["status"] == ("143" if who == "slurm.py" else "140")
    size = (tmp_path / "child").stat().st_size
    time.sleep(0.2)
    assert (tmp_path / "child").stat().st_size == size


def test_a_task_does_not_run_twice_nor_after_its_launch(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "states").write_text(qstat(("101", "r", "2")))
    process = start(tmp_path, "queue.py", "JOB=1:2", "log/x.JOB.log", "echo", ">>ran.JOB")
    wait_for((fake / "submitted").exists)
    assert [task(fake, tmp_path).wait(timeout=20) for _ in range(2)] == [0, 0]
    assert (tmp_path / "ran.1").read_text() == "\n"
    process.terminate()
    assert process.wait(timeout=20) == 143
    process.stderr.close()
    assert task(fake, tmp_path).wait(timeout=20) == 1
    assert (tmp_path / "ran.1").read_text() == "\n"


def test_a_completion_file_that_comes_before_its_log_is_not_taken_for_the_end(
    tmp_path, fake, monkeypatch
):
    monkeypatch.setenv("SDTOOLS_GRACE_SEC", "5")
    (fake / "hold").touch()
    process = start(tmp_path, "slurm.py", "x.log", "true")
    wait_for((fake / "submitted").exists)
    folder = next((tmp_path / "q").glob("x.*/launcher")).parent
    (folder / "new").write_text("0 0 host\n")
    (folder / "new").rename(folder / "1")
    time.sleep(0.5)
    assert process.poll() is None
    (tmp_path / "x.log").write_text("# Running\n# Finished at now with status 0\n")
    assert process.wait(timeout=20) == 0
    process.stderr.close()
    assert (tmp_path / "x.log.done").exists()


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path):
    assert ARRAYS.log_is_complete("/dev/null")
    assert not ARRAYS.log_is_complete(tmp_path / "none")


def test_example_of_the_help_works(tmp_path, fake, who):
    command = [sys.executable, UTILS / who, "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True).stdout
    example = re.search(r"^example: (.*)$", help_text, re.MULTILINE)[1]
    assert "command sbatch" in help_text or "command qsub" in help_text
    (tmp_path / "utils").symlink_to(UTILS)
    assert subprocess.run(example, shell=True, cwd=tmp_path).returncode == 0
    for n in (1, 2, 3):
        assert read_log(tmp_path / f"exp/log/hello.{n}.log")["output"] == f"Hello {n}\n"
