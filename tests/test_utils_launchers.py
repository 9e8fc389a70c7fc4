"""utils/slurm.py and utils/queue.py without a scheduler: made-up sbatch, squeue, qsub, ... stand on PATH."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[1] / "utils"
LOG = re.compile(
    r"""# Running on \S+
# Started at \w+ \w+ +\d+ .*
# (?P<command>.*)
(?P<output>(?:.*\n)*)# Accounting: time=\d+ threads=(?P<threads>\d+)
# Finished at .* with status (?P<status>\d+)
"""
)

# A scheduler of one line: the array runs in the background of the submission, task after task.
SUBMIT = """#!/bin/bash
printf '%s\\n' "$@" >>$FAKE/submitted; echo -- >>$FAKE/submitted
[ ! -e $FAKE/busy ] || { rm $FAKE/busy; echo "Unable to contact qmaster: commlib error" >&2; exit 1; }
[ ! -e $FAKE/refuse ] || { echo "no such partition" >&2; echo "giving up" >&2; exit 1; }
id=$((100 + $(grep -c -- ^--$ $FAKE/submitted)))
last=$(printf '%s\\n' "$@" | sed -nE 's/^(--array=)?1-([0-9]+)(%.*)?$/\\2/p')
[ -e $FAKE/hold ] ||
  (for ((i = 1; i <= last; i++)); do SLURM_ARRAY_TASK_ID=$i SGE_TASK_ID=$i setsid bash "${@: -2:1}" "${@: -1}"; done) >$FAKE/output 2>&1 &
cat $FAKE/banner 2>/dev/null
echo $id
"""
FAKES = {
    **dict.fromkeys(("sbatch", "qsub"), SUBMIT),
    "squeue": """#!/bin/bash
[ ! -e $FAKE/silent ] || exit 1
case $* in
  *--name*) [ ! -e $FAKE/left ] || cat $FAKE/left ;;
  *%r*) echo Resources here ;;
  *) cat $FAKE/states ;;
esac
""",
    "scontrol": "#!/bin/bash\necho MaxArraySize = 5\n",
    "qconf": "#!/bin/bash\necho max_aj_tasks 4\n",
    "qacct": "#!/bin/bash\ncat $FAKE/accounts\n",
    "qstat": """#!/bin/bash
[ ! -e $FAKE/silent ] || exit 1
case $* in
  *-qs*) cat $FAKE/unknown ;;
  -xml*) [ -s $FAKE/states ] && cat $FAKE/states || echo "<job_info/>" ;;
  -j\\ [0-9]*) cat $FAKE/explain ;;
  *) [ -e $FAKE/left ] || { echo "Following jobs do not exist" >&2; exit 1; } ;;
esac
""",
    **dict.fromkeys(("scancel", "qdel"), '#!/bin/bash\necho "$@" >>$FAKE/cancelled\n'),
}
EMPTY = {"accounts": "", "unknown": "<job_info/>", "explain": ""}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Directory that steers the made-up schedulers."""
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "states").touch()
    for name, text in FAKES.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    for name, text in EMPTY.items():
        (folder / name).write_text(text)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("SDTOOLS_GRACE_SEC", "1")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture(params=["slurm", "queue"])
def who(request, fake):
    return f"{request.param}.py"


def start(cwd, who, *words):
    cwd.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-S", UTILS / who, *words], cwd=cwd, stderr=subprocess.PIPE, text=True)


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
    rows = (f"<job_list><JB_job_number>{a}</JB_job_number><state>{s}</state><tasks>{t}</tasks></job_list>" for a, s, t in jobs)
    return f"<job_info>{''.join(rows)}</job_info>"


def test_jobs_run_with_logs_and_without_leftovers(tmp_path, fake, who):
    place = tmp_path / """it's "a" place"""
    place.mkdir()
    (place / "path.sh").write_text("export FROM_PATH=seen\n")
    words = ["x_JOB=JOB;", "echo", "aJOB", "$FROM_PATH", "${x_JOB}", "say JOB", 'a "JOB"', "|", "cat;", "cat;", "printf", "end"]
    assert run(place, who, "-pe", "smp", "4", "JOB=3:5", "exp/log/x.JOB.log", *words) == (0, "")
    for n in (3, 4, 5):
        log = read_log(place / f"exp/log/x.{n}.log")
        assert log["output"] == f'a{n} seen {n} say {n} a "{n}"\nend\n'
        assert (log["status"], log["threads"]) == ("0", "4")
        assert log["command"] == f'x_{n}={n}; echo a{n} $FROM_PATH ${{x_{n}}} "say {n}" \'a "{n}"\' | cat; cat; printf end'
    assert sorted(path.name for path in (place / "exp/q").iterdir()) == ["x.log", "x.sh"]


@pytest.mark.parametrize(
    "log, script",
    [("exp/log/x.JOB.log", "exp/q/x.sh"), ("exp/x.1.JOB.log", "exp/q/x.1.sh"), ("exp.JOB/log/x.log", "q/x.sh"), ("JOB", "q/jobs.sh")],
)
@pytest.mark.parametrize("who", ["slurm.py"])
def test_place_of_the_job_script(tmp_path, fake, who, log, script):
    assert run(tmp_path, who, "JOB=1:2", log, "true") == (0, "")
    assert (tmp_path / script).exists()
    assert read_log(tmp_path / log.replace("JOB", "2"))["command"] == "true"


def test_failures_in_kaldis_words_and_with_causes(tmp_path, fake, who):
    command = [
        "[",
        "JOB",
        "!=",
        "2",
        "]",
        "||",
        "exit",
        "7;",
        "[",
        "JOB",
        "!=",
        "3",
        "]",
        "||",
        "kill",
        "-9",
        "$$;",
        "false",
        "|",
        "test",
        "JOB",
        "=",
        "1",
    ]
    if who == "slurm.py":
        (fake / "states").write_text("102 1 0 7 0 FAILED NonZeroExitCode\n101 3 0 256 FAILED NonZeroExitCode\n")
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
    assert stderr.startswith(f"{who}: job failed with status 4, log is in x.log\n{who}: failed jobs: 1 (status 4, out of memory?)\n")


def test_resume_runs_the_missing_jobs_whatever_the_launcher(tmp_path, fake, who):
    command = [
        "--resume",
        "true",
        "JOB=1:9",
        "log/x.JOB.log",
        "echo",
        ";",
        "test",
        "-n",
        '"$OK"',
        "-o",
        "JOB",
        "!=",
        "3",
        "-a",
        "JOB",
        "!=",
        "7",
    ]
    code, stderr = run(tmp_path, who, *command)
    assert code == 1
    assert "failed jobs: 3 (status 1), 7 (status 1)\n" in stderr
    before = (tmp_path / "log/x.2.log").stat()
    os.environ["OK"] = "yes"
    try:
        assert run(tmp_path, who, *command) == (0, f"{who}: 7 / 9 were done before, log is in log/x.*.log\n")
    finally:
        del os.environ["OK"]
    assert (tmp_path / "log/x.2.log").stat() == before
    assert "numbers=(3 7)\n" in (tmp_path / "q/x.sh").read_text()
    for other in ("run.py", "slurm.py", "queue.py"):
        assert run(tmp_path, other, *command) == (0, f"{other}: 9 / 9 were done before, log is in log/x.*.log\n")


def test_arrays_above_the_limit_of_the_site_are_split(tmp_path, fake, who):
    assert run(tmp_path, who, "--max-jobs-run", "2", "JOB=2:11", "log/x.JOB.log", "echo", "JOB") == (0, "")
    assert [read_log(tmp_path / f"log/x.{n}.log")["output"] for n in range(2, 12)] == [f"{n}\n" for n in range(2, 12)]
    text = [" ".join(words) for words in submissions(fake)]
    if who == "slurm.py":
        assert [re.findall(r"--array=\S+", t) for t in text] == [["--array=1-4%2"], ["--array=1-4%2"], ["--array=1-2%2"]]
        assert ["--dependency=afterany:10" in t for t in text] == [False, True, True]
    else:
        assert [re.findall(r"-t 1-\d -tc 2", t) for t in text] == [["-t 1-4 -tc 2"], ["-t 1-4 -tc 2"], ["-t 1-2 -tc 2"]]
        assert ["-hold_jid 10" in t for t in text] == [False, True, True]
    assert [words[-1] for words in submissions(fake)] == ["0", "4", "8"]
    assert [bool(re.search(r"(--no-requeue|-r n) ", t)) for t in text] == [True] * 3


def load(name):
    """A module of utils/."""
    sys.path.insert(0, str(UTILS))
    try:
        spec = importlib.util.spec_from_file_location(f"utils_{name}", UTILS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(UTILS))
    return module


SCHEDULERS = {"slurm.py": load("slurm").Slurm(), "queue.py": load("queue").GridEngine()}
ARRAYS, LAUNCHER = sys.modules["arrays"], sys.modules["launcher"]


def submit_words(who, *options):
    """What a submission begins with."""
    return ARRAYS.submit_words(SCHEDULERS[who], LAUNCHER.parse_command_line([*options, "x.log", "true"]))


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
        assert submit_words(who, "--config", "other.conf", *options) == ["submit", "-A", "my project", *expected]


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("option mem=*", [], "x.conf: got no command line, need command <submit command>. Add it"),
        (
            "command qsub\n\noptoin mem=*",
            [],
            "x.conf:3: got 'optoin mem=*', need command <words>, option <name>=<value or *> <words> or default",
        ),
        ("command qsub\noption mem", [], "x.conf:2: got 'option mem', need command"),
        (
            "command qsub",
            ["--some-thing", "3"],
            "--some-thing: got an option that x.conf does not describe, need a line option some_thing=* or option some_thing=3. Add it",
        ),
        (
            "command no-such-program",
            ["-x", "y"],
            "no-such-program: got no such program, need it in PATH. Work on a host that may submit jobs, or use run.py",
        ),
        (None, [], "[Errno 2] No such file or directory: 'x.conf'"),
        ("command qsub", ["--time", "1h"], "--time: got '1h', need a time such as 90 (minutes), 4:00:00 or 2-12:00:00 (2 days 12 hours)"),
    ],
)
def test_bad_configurations(tmp_path, monkeypatch, text, options, message):
    monkeypatch.chdir(tmp_path)
    if text:
        Path("x.conf").write_text(text)
    with pytest.raises((ValueError, OSError)) as error:
        ARRAYS.ask(*submit_words("queue.py", "--config", "x.conf", *options))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_refused_submission_is_an_error_with_the_schedulers_words(tmp_path, fake, who):
    (fake / "refuse").touch()
    code, stderr = run(tmp_path, who, "JOB=1:2", "log/x.JOB.log", "true")
    assert code == 1
    program, conf = ("sbatch", "conf/slurm.conf") if who == "slurm.py" else ("qsub", "conf/queue.conf")
    assert stderr == (
        f"{who}: {program}: got exit status 1 and 'no such partition; giving up', need 0 and one job number. "
        f"Correct the options or {conf}; the script is q/x.sh\n"
    )
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
    assert "need 0 and one job number" in stderr
    assert (fake / "cancelled").read_text().split()[-1].removeprefix("--name=").startswith("x.")


SQUEUE = [  # state, exit code and reason of tasks 1, 2, ...: what becomes of a task without a completion file
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


def test_what_slurm_says_of_tasks_without_a_completion_file(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "scontrol").unlink()
    (fake / "scontrol").symlink_to("/bin/true")  # no word on the greatest array
    (fake / "states").write_text("".join(f"101 {n} 9 {state}\n" for n, (state, _) in enumerate(SQUEUE, 1)))
    code, stderr = run(tmp_path, "slurm.py", f"JOB=1:{len(SQUEUE) + 1}", "log/x.JOB.log", "true")
    assert code == 1
    causes = [cause for _, cause in SQUEUE] + ["cancelled"]  # the last has vanished while it waited
    assert stderr.splitlines()[1] == f"slurm.py: failed jobs: {', '.join(f'{n} ({cause})' for n, cause in enumerate(causes, 1))}"
    assert (fake / "cancelled").read_text().split() == ["101_7", "101_8"]


def test_what_grid_engine_says_of_tasks_without_a_completion_file(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "qconf").unlink()
    (fake / "qconf").symlink_to("/bin/true")
    (fake / "accounts").write_text("".join(f"====\njobnumber 101\ntaskid {n}\n{text}\n" for n, (text, _) in enumerate(ACCOUNTS, 1)))
    (fake / "explain").write_text("error reason          1:      11/23/2026 19:12:15 [0:7135]: error: can't open it\n")
    (fake / "states").write_text(qstat(("101", "Eqw", "9")))
    code, stderr = run(tmp_path, "queue.py", f"JOB=1:{len(ACCOUNTS) + 2}", "log/x.JOB.log", "true")
    assert code == 1
    causes = [cause for _, cause in ACCOUNTS] + ["never started: error: can't open it", "cancelled"]
    assert stderr.splitlines()[1] == f"queue.py: failed jobs: {', '.join(f'{n} ({cause})' for n, cause in enumerate(causes, 1))}"
    assert "101.9" in (fake / "cancelled").read_text()


def test_memory_is_told_by_the_daemons_output_where_slurm_has_no_word_for_it(tmp_path):
    (tmp_path / "output").write_text("slurmstepd: error: StepId=5.batch exceeded memory limit (9 > 8), being killed\n")
    assert SCHEDULERS["slurm.py"].state_of("FAILED", "JobLaunchFailure", 9, "5", tmp_path / "output") == ("ended", "out of memory")
    assert SCHEDULERS["slurm.py"].state_of("FAILED", "JobLaunchFailure", 9, "55", tmp_path / "output") == ("ended", "signal 9")


@pytest.mark.parametrize("who", ["slurm.py"])
def test_the_end_of_the_schedulers_own_output_is_shown_where_there_is_no_log(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "states").write_text("101 1 9 0 CANCELLED None\n" if who == "slurm.py" else qstat())
    process = start(tmp_path, who, "x.log", "true")
    wait_for(lambda: (fake / "submitted").exists())
    (tmp_path / "q/x.log").write_text("node 7: no such directory\n")
    assert process.communicate(timeout=60)[1].endswith(f"last lines of {tmp_path}/q/x.log:\n  node 7: no such directory\n")


def wait_for(condition, timeout_sec=20):
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def task(fake, tmp_path):
    """Run the one task of a held array."""
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "1", "SGE_TASK_ID": "1"}
    return subprocess.Popen(["bash", tmp_path / "q/x.sh", "0"], env=env, start_new_session=True)


def test_no_answer_of_the_queue_is_not_gone(tmp_path, fake, who):
    for name in ("hold", "silent"):
        (fake / name).touch()
    process = start(tmp_path, who, "x.log", "true")
    time.sleep(2.5)  # more than the time of grace
    assert process.poll() is None
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert set(process.communicate(timeout=20)[1].splitlines()) == {f"{who}: waiting: the queue does not answer"}
    assert process.returncode == 0


def test_a_long_wait_names_the_reason(tmp_path, fake, who):
    (fake / "hold").touch()
    waiting = "101 1 9 0 PENDING Resources here\n" if who == "slurm.py" else qstat(("101", "qw", "1-1:1"))
    (fake / "explain").write_text("scheduling info:            Resources here\n")
    (fake / "states").write_text(waiting)
    process = start(tmp_path, who, "x.log", "true")
    time.sleep(2.5)
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert set(process.communicate(timeout=20)[1].splitlines()) == {f"{who}: waiting: 1 pending (Resources here)"}
    assert process.returncode == 0


def test_a_host_of_grid_engine_that_does_not_answer_is_lost(tmp_path, fake):
    (fake / "hold").touch()
    (fake / "states").write_text(qstat(("101", "r", "1"), ("9", "r", "1"), ("101", "r", "2")))
    (fake / "unknown").write_text(qstat(("101", "r", "2")))
    process = start(tmp_path, "queue.py", "JOB=1:2", "log/x.JOB.log", "true")
    wait_for(lambda: (fake / "cancelled").exists())
    assert (fake / "cancelled").read_text() == "101.2\n"
    assert task(fake, tmp_path).wait(timeout=20) == 0
    assert "queue.py: 1 / 2 failed, log is in log/x.*.log\nqueue.py: failed jobs: 2 (lost node)\n" in process.communicate(timeout=20)[1]


@pytest.mark.parametrize("who, signum", [("slurm.py", signal.SIGINT), ("queue.py", signal.SIGTERM), ("slurm.py", signal.SIGHUP)])
def test_signals_cancel_the_array_and_keep_the_records_of_what_has_ended(tmp_path, fake, who, signum):
    (fake / "hold").touch()
    (fake / "states").write_text("101 1 9 0 RUNNING None\n" if who == "slurm.py" else qstat(("101", "r", "1-2:1")))
    process = start(tmp_path, who, "JOB=1:2", "log/x.JOB.log", "true")
    wait_for(lambda: "submitted with" in (tmp_path / "q/x.sh").read_text() if (tmp_path / "q/x.sh").exists() else False)
    wait_for(lambda: (fake / "submitted").exists())
    assert task(fake, tmp_path).wait(timeout=20) == 0
    wait_for(lambda: (tmp_path / "log/x.1.log.done").exists())
    process.send_signal(signum)
    assert process.communicate(timeout=20)[1] == f"{who}: got {signum.name}, cancelling 101\n"
    assert process.returncode == 128 + signum
    assert re.fullmatch(r"(--name=)?x\.\w{8}\n", (fake / "cancelled").read_text())
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == ["x.log", "x.sh"]


@pytest.mark.parametrize("who", ["queue.py"])
def test_what_a_killed_launch_has_left_is_cancelled_and_a_living_one_is_respected(tmp_path, fake, who):
    (fake / "hold").touch()
    process = start(tmp_path, who, "x.log", "true")
    wait_for(lambda: (fake / "submitted").exists())
    code, stderr = run(tmp_path, who, "x.log", "true")
    assert code == 1
    place = f"process {process.pid} on {os.uname().nodename}"
    assert (
        stderr
        == f"{who}: x.log: got a launch that still runs ({place}), need one at a time. Wait for it, end it, or name another log file\n"
    )
    process.kill()
    process.communicate()
    (fake / "hold").unlink()
    folder = next((tmp_path / "q").glob("x.*/launcher")).parent
    assert run(tmp_path, who, "x.log", "true") == (0, f"{who}: cancelling {folder.name}, which a killed launch has left\n")
    assert (fake / "cancelled").read_text().strip().removeprefix("--name=") == folder.name
    assert not folder.exists()


def test_jobs_that_cannot_be_cancelled_are_told_of_and_keep_the_next_launch_away(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "left").write_text("101_1\n")
    process = start(tmp_path, who, "x.log", "true")
    wait_for(lambda: (fake / "submitted").exists())
    process.terminate()
    stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 143
    name = next((tmp_path / "q").glob("x.*/launcher")).parent.name
    assert (
        f"{who}: could not cancel {name}: still in the queue. Cancel it by hand; the next launch with this log file tries it, too\n"
        in stderr
    )
    code, stderr = run(tmp_path, who, "x.log", "true")
    assert code == 1
    assert stderr.endswith(f"{who}: {name}: got jobs that do not end (still in the queue), need none left. Cancel them and try again\n")


def test_a_task_that_the_queue_ends_writes_its_log_and_leaves_no_process(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "states").write_text("101 1 9 0 TIMEOUT TimeLimit\n" if who == "slurm.py" else qstat())
    (fake / "accounts").write_text("taskid 1\nfailed 37 : limit\ncategory -l h_rt=3\n")
    (tmp_path / "job.sh").write_text("(while sleep .05; do echo >>child; done) & wait")
    process = start(tmp_path, who, "x.log", "bash", "job.sh")
    wait_for(lambda: (fake / "submitted").exists())
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


@pytest.mark.parametrize("who", ["queue.py"])
def test_a_task_does_not_run_twice_nor_after_its_launch(tmp_path, fake, who):
    (fake / "hold").touch()
    (fake / "states").write_text("101 2 9 0 RUNNING None\n" if who == "slurm.py" else qstat(("101", "r", "2")))
    process = start(tmp_path, who, "JOB=1:2", "log/x.JOB.log", "echo", ">>ran.JOB")
    wait_for(lambda: (fake / "submitted").exists())
    assert [task(fake, tmp_path).wait(timeout=20) for _ in range(2)] == [0, 0]
    assert (tmp_path / "ran.1").read_text() == "\n"
    process.terminate()
    assert process.wait(timeout=20) == 143
    process.stderr.close()
    assert task(fake, tmp_path).wait(timeout=20) == 1
    assert (tmp_path / "ran.1").read_text() == "\n"


@pytest.mark.parametrize("who", ["slurm.py"])
def test_a_completion_file_that_comes_before_its_log_is_not_taken_for_the_end(tmp_path, fake, who):
    (fake / "hold").touch()
    process = start(tmp_path, who, "x.log", "true")
    wait_for(lambda: (fake / "submitted").exists())
    folder = next((tmp_path / "q").glob("x.*/launcher")).parent
    (folder / "new").write_text("0 0 host\n")
    (folder / "new").rename(folder / "1")
    time.sleep(0.7)
    assert process.poll() is None
    (tmp_path / "x.log").write_text("# Running\n# Finished at now with status 0\n")
    assert process.wait(timeout=20) == 0
    process.stderr.close()
    assert (tmp_path / "x.log.done").exists()


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path):
    assert ARRAYS.log_is_complete("/dev/null")
    assert not ARRAYS.log_is_complete(tmp_path / "none")


def test_example_of_the_help_works(tmp_path, fake, who):
    help_text = subprocess.run([sys.executable, UTILS / who, "--help"], capture_output=True, text=True).stdout
    example = re.search(r"^example: (.*)$", help_text, re.MULTILINE)[1]
    assert "command sbatch" in help_text or "command qsub" in help_text
    (tmp_path / "utils").symlink_to(UTILS)
    assert subprocess.run(example, shell=True, cwd=tmp_path).returncode == 0
    assert [read_log(tmp_path / f"exp/log/hello.{n}.log")["output"] for n in (1, 2, 3)] == ["Hello 1\n", "Hello 2\n", "Hello 3\n"]
