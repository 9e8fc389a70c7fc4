"""slurm.py and queue.py on real schedulers.

What a user sees of each mishap, what is left, and what --resume true runs then.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from children import kill, processes_in, wait_for
from recipe_runs import SMALL, make_copy, results

# A job adds a line to ran.N: its array and its task on the scheduler. Then it does what the file
# mishap.N of a test contains, and waits while there is a file hold.
JOB = r"""
n=$1
echo ${SLURM_ARRAY_JOB_ID-$SLURM_JOB_ID}${JOB_ID-} ${SLURM_ARRAY_TASK_ID-}${SGE_TASK_ID-} >>ran.$n
exec 9>lock.$n
flock -n 9 || touch overlap
echo line of $n
if [ -e mishap.$n ]; then . ./mishap.$n; fi
while [ -e hold ]; do sleep 0.1; done
"""


@pytest.fixture
def work(tmp_path):
    (tmp_path / "job.sh").write_text(JOB)
    return tmp_path


def words(num_jobs=20):
    return f"JOB=1:{num_jobs}", "exp/log/x.JOB.log", "bash", "job.sh", "JOB"


def ran(work):
    """How often each job has started: {job: count}."""
    lines = {path: path.read_text().splitlines() for path in work.glob("ran.*")}
    return {int(path.suffix[1:]): len(lines[path]) for path in lines}


def where(work, job):
    """Array and task that the job was at last."""
    return (work / f"ran.{job}").read_text().splitlines()[-1].split()


def counts(**groups):
    """{job: count} from once=range(...), twice=range(...)."""
    count = {"once": 1, "twice": 2}
    return {job: count[name] for name, jobs in groups.items() for job in jobs}


def failed(cluster, jobs, cause):
    """The line about failed jobs."""
    text = ", ".join(f"{job} ({cause})" for job in jobs)
    return f"\n{cluster.launcher}: failed jobs: {text}\n"


def check_resumed(cluster, work, missing, num_jobs=20):
    """--resume true runs exactly the missing jobs, and a second time nothing."""
    before = ran(work)
    for num_done in (num_jobs - len(missing), num_jobs):
        result = cluster.launch(work, "--resume", "true", *words(num_jobs))
        done = f"{num_done} / {num_jobs} were done before, log is in exp/log/x.*.log"
        assert result == (0, f"{cluster.launcher}: {done}\n")
        jobs = range(1, num_jobs + 1)
        assert ran(work) == {job: before.get(job, 0) + (job in missing) for job in jobs}
    assert not (work / "overlap").exists()


def test_array_of_20(cluster, work):
    assert cluster.launch(work, *words()) == (0, "")
    assert ran(work) == counts(once=range(1, 21))
    assert len({where(work, n)[0] for n in range(1, 21)}) == 1  # one array on the scheduler itself
    for n in range(1, 21):
        form = (
            rf"# Running on {os.uname().nodename}\n# Started at .*\n(# SLURM_\w+=.*\n)*"
            rf"# bash job.sh {n}\nline of {n}\n"
            r"# Accounting: time=\d+ threads=1\n# Finished at .* with status 0\n"
        )
        assert re.fullmatch(form, (work / f"exp/log/x.{n}.log").read_text())
    check_resumed(cluster, work, [])


def test_mishaps_are_told_apart(cluster, work):
    """A job that fails, one killed by a signal, one over its time, one over its memory."""
    (work / "conf").mkdir()
    enforced = "option mem=* -l h_vmem=$0\noption time=* -l h_rt=$0\n"
    (work / "conf/queue.conf").write_text(f"command qsub\n{enforced}")
    eat = shlex.quote("x = b'x' * (150 << 20); import time; time.sleep(60)")
    mishaps = {
        3: "echo no such luck; exit 2",
        5: "kill -KILL $$",
        7: "touch late; sleep 300",
        9: f"python3 -S -c {eat} & python3 -S -c {eat}",
    }
    for n, mishap in mishaps.items():
        (work / f"mishap.{n}").write_text(mishap)
    process = cluster.popen(work, "--mem", "200M", "--time", cluster.time_limit, *words())
    wait_for((work / "late").exists)
    cluster.exceed_time(*where(work, 7))
    code, stderr = cluster.result_of(process)
    lines = stderr.splitlines()
    assert code == 1
    assert lines[:3] == [
        f"{cluster.launcher}: 4 / 20 failed, log is in exp/log/x.*.log",
        f"{cluster.launcher}: failed jobs: 3 (status 2), 5 (signal 9, out of memory?), "
        "7 (time limit), 9 (out of memory)",
        f"{cluster.launcher}: last lines of exp/log/x.3.log:",
    ]
    assert "  no such luck" in lines[3:] and len(lines) <= 13
    assert ran(work) == counts(once=range(1, 21))
    cluster.check_clean(work)
    for n in mishaps:
        (work / f"mishap.{n}").unlink()
    check_resumed(cluster, work, mishaps)


def start_and_hold(cluster, work):
    """An array: jobs 1 to 5 are done, 6 to 15 run while there is the file `hold`, others wait."""
    (work / "hold").touch()
    for n in range(1, 6):
        (work / f"mishap.{n}").write_text("exit")
    process = cluster.popen(work, *words())
    wait_for(lambda: ran(work) == counts(once=range(1, 16)))
    time.sleep(1)  # a task's completion may be a moment later than its last command
    return process


def test_array_cancelled_from_outside(cluster, work):
    process = start_and_hold(cluster, work)
    cluster.cancel(where(work, 6)[0])
    code, stderr = cluster.result_of(process)
    assert code == 1
    assert stderr.startswith(f"{cluster.launcher}: 15 / 20 failed, log is in exp/log/x.*.log\n")
    assert failed(cluster, range(6, 21), "cancelled") in stderr
    assert ran(work) == counts(once=range(1, 16))
    cluster.check_clean(work)
    (work / "hold").unlink()
    check_resumed(cluster, work, range(6, 21))


def test_node_lost_in_mid_array(cluster, work):
    process = start_and_hold(cluster, work)
    cluster.lose_node(work)
    (work / "hold").unlink()
    wait_for(cluster.node_is_down)
    cluster.restart_node()
    code, stderr = cluster.result_of(process)
    assert code == 1
    assert f"{cluster.launcher}: 10 / 20 failed, log is in exp/log/x.*.log\n" in stderr
    assert failed(cluster, range(6, 16), "lost node") in stderr
    assert ran(work) == counts(once=range(1, 21))
    cluster.check_clean(work)
    check_resumed(cluster, work, range(6, 16))


def kill_daemon(cluster, work):
    """Kill the daemon of the node while an array of 10 runs: 1 to 5 are done, the others hold."""
    (work / "hold").touch()
    for n in range(1, 6):
        (work / f"mishap.{n}").write_text("exit")
    process = cluster.popen(work, *words(10))
    wait_for(lambda: ran(work) == counts(once=range(1, 11)))
    time.sleep(1)
    kill([int(cluster.node_pid_file.read_text())])
    return process


def test_node_falls_silent_and_comes_back(cluster, work):
    code, stderr = cluster.result_of(kill_daemon(cluster, work))
    assert code == 1
    assert stderr.startswith(f"{cluster.launcher}: 5 / 10 failed, log is in exp/log/x.*.log\n")
    assert failed(cluster, range(6, 11), "lost node") in stderr
    assert processes_in(work) != []  # nobody can reach them
    cluster.restart_node()
    wait_for(lambda: processes_in(work) == [])
    cluster.forget(where(work, 6)[0])
    (work / "hold").unlink()
    check_resumed(cluster, work, range(6, 11), num_jobs=10)


def test_quick_restart_of_the_daemon_does_no_harm(cluster, work):
    process = kill_daemon(cluster, work)
    cluster.restart_node()
    (work / "hold").unlink()
    assert cluster.result_of(process) == (0, "")
    assert ran(work) == counts(once=range(1, 11))
    cluster.forget(where(work, 1)[0])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_launcher_is_interrupted(cluster, work, signum):
    process = start_and_hold(cluster, work)
    array = where(work, 6)[0]
    send = os.killpg if signum == signal.SIGINT else os.kill  # Ctrl-C goes to the children too
    send(process.pid, signum)
    message = f"{cluster.launcher}: got {signum.name}, cancelling {array}\n"
    assert cluster.result_of(process) == (128 + signum, message)
    cluster.check_clean(work)
    assert ran(work) == counts(once=range(1, 16))
    (work / "hold").unlink()
    check_resumed(cluster, work, range(6, 21))


def test_ctrl_c_around_the_submission(cluster, work):
    (work / "hold").touch()
    for delay_sec in (0.1, 0.15, 0.2, 0.4):
        process = cluster.popen(work, *words())
        time.sleep(delay_sec)
        os.killpg(process.pid, signal.SIGINT)
        code, _ = cluster.result_of(process)
        assert code in (130, 1, -signal.SIGINT)  # the last two while Python starts
    cluster.check_clean(work)


def test_array_of_a_killed_launcher_is_cancelled_by_the_next(cluster, work):
    process = start_and_hold(cluster, work)
    array = where(work, 6)[0]
    process.kill()
    process.communicate()
    time.sleep(1)
    assert cluster.queue() == [array]
    process = cluster.popen(work, *words())
    wait_for(lambda: ran(work).get(15) == 2)
    assert cluster.queue() == [where(work, 6)[0]] != [array]
    (work / "hold").unlink()
    code, stderr = cluster.result_of(process)
    message = rf"{cluster.launcher}: cancelling x\.\w{{8}}, which a killed launch has left\n"
    assert code == 0 and re.fullmatch(message, stderr)
    assert ran(work) == counts(twice=range(1, 16), once=range(16, 21))
    assert not (work / "overlap").exists()


def test_array_above_the_limit_of_the_site_is_split(cluster, work):
    (work / "mishap.30").write_text("exit 4")
    code, stderr = cluster.launch(work, *words(50))  # the limit is 24 tasks
    assert code == 1 and f"{cluster.launcher}: failed jobs: 30 (status 4)\n" in stderr
    assert ran(work) == counts(once=range(1, 51))
    indices = sorted(int(where(work, n)[1]) for n in range(1, 51))
    assert indices == sorted([*range(1, 25)] * 2 + [1, 2])
    assert len({where(work, n)[0] for n in range(1, 51)}) == 3
    cluster.check_clean(work)
    (work / "mishap.30").unlink()
    check_resumed(cluster, work, [30], num_jobs=50)


def test_jobs_at_a_time_are_limited(cluster, work):
    (work / "job.sh").write_text("touch at.$1; ls | grep -c ^at >>seen; sleep 0.5; rm at.$1")
    assert cluster.launch(work, "--max-jobs-run", "2", *words(6)) == (0, "")
    assert max(map(int, (work / "seen").read_text().split())) <= 2


CASES = [
    ["$x"],  # no blank: live shell syntax
    ["two  words", "$x two", "it's $x"],  # blanks: double quotes
    ['say "$x" | y', 'it\'s "so"'],  # blanks and a double quote: single quotes
    ["[", "", "]"],
    ["tab\there", "new\nline"],
    ["back\\slash", "back \\ slash", r"\$x", r"a \$x"],
    ["`echo hi`", "$(echo hi)", "a `echo hi`", "a $(echo hi)"],
    ["*.txt", "* .txt", "{1,2}", "100%", "a#b", "%s\\n", "!x"],
    ["JOB", "aJOBb", "${x_JOB}", "the JOB", "--x=JOB"],
    ["a", "|", "tr", "a", "b"],
    ["a>file;cat", "file"],
    ["err", r">&2"],
    [r"\|", r"\>", r"\;"],
    ["ä", "ä ö", "ä\u00a0ö"],
    ["$0", "$#", "a $#"],
]


def test_arguments_arrive_as_under_run_py(cluster, work):
    command = ["x=dollar;x_1=one", ";"]
    for case in CASES:
        command += ["printf", "'<%s>'", *case, ";", "echo", ";"]
    outputs = []
    for launcher in ("run.py", cluster.launcher):
        (work / launcher).mkdir()
        (work / launcher / "1.txt").touch()
        (work / launcher / "2.txt").touch()
        all_words = ["JOB=1:2", "x.JOB.log", *command, "true"]
        assert cluster.launch(work / launcher, *all_words, launcher=launcher) == (0, "")
        logs = [(work / launcher / f"x.{n}.log").read_text() for n in (1, 2)]
        outputs.append(
            [log[log.index("\n<dollar>\n") :].partition("\n# Accounting")[0] for log in logs]
        )
    assert outputs[0] == outputs[1]
    assert outputs[1][0].splitlines()[:5] == [
        "",
        "<dollar>",
        "<two  words><dollar two><it's dollar>",
        """<say "$x" | y><it's "so">""",
        "<[><><]>",
    ]


@pytest.mark.parametrize("options", [("--mem", "900G"), ("--num-threads", "64")])
def test_request_that_nothing_can_satisfy(cluster, work, options):
    reasons = {
        ("slurm", "--mem"): "Memory specification can not be satisfied",
        ("slurm", "--num-threads"): "1 (never started: PartitionConfig), 2 (never started",
        ("gridengine", "--mem"): "no suitable queues",
        ("gridengine", "--num-threads"): "no suitable queues",
    }
    code, stderr = cluster.launch(work, *options, *words())
    assert code == 1 and reasons[cluster.name, options[0]] in stderr and "Traceback" not in stderr
    assert ran(work) == {}


def test_launch_from_within_a_job(cluster, work):
    """Variables of another task in the environment, as in a recipe that runs in a job itself."""
    assert cluster.launch(work, "JOB=4:5", "env.JOB.log", "env", "-0", ">", "env.JOB") == (0, "")
    entries = (work / "env.5").read_text().strip("\0").split("\0")
    env = dict(entry.split("=", 1) for entry in entries)
    assert any(name in env for name in ("SLURM_ARRAY_TASK_ID", "SGE_TASK_ID"))
    if cluster.name == "slurm":
        env |= {"SLURM_MEM_PER_NODE": "100", "SLURM_CPUS_PER_TASK": "3", "SLURM_NTASKS": "4"}
    options, env = ["--mem", "300M", "--num-threads", "2"], {**env, **cluster.env}
    assert cluster.launch(work, *options, *words(3), env=env) == (0, "")
    assert ran(work) == counts(once=range(1, 4))
    assert [where(work, n)[1] for n in range(1, 4)] == ["1", "2", "3"]


def run_recipe(directory, launcher, env):
    """Bytes of models and scores: the whole recipe on a tiny corpus, and EM in array jobs."""
    recipe = make_copy(directory)
    (directory / ".venv").symlink_to(sys.prefix)  # where path.sh looks
    (recipe / "conf/em.conf").write_text("--num-components=4\n--final-iters=2\n")
    options = ["--nj", "3", "--cmd", f"utils/{launcher} --resume true --mem 2G"]
    em = ["--gmm-config", "conf/em.conf", "data/cf_sd6/train", "exp/em"]
    for command in (
        ["./run.sh", *options, "--orders", "6", "--corpus-opts", SMALL],
        ["local/train_gmm.sh", *options, *em],
    ):
        pipes = {"capture_output": True, "text": True, "timeout": 600}
        done = subprocess.run(command, cwd=recipe, env=env, **pipes)
        assert done.returncode == 0, done.stdout + done.stderr
    return results(recipe)


@pytest.fixture(scope="session")
def local_results(tmp_path_factory):
    return run_recipe(tmp_path_factory.mktemp("local"), "run.py", os.environ)


def test_recipe_gives_the_bytes_of_a_local_run(cluster, tmp_path, local_results):
    there = run_recipe(tmp_path, cluster.launcher, cluster.env)
    scores = {"exp/cm_sd6/scores/eval.txt", "exp/fusion/scores/eval.txt"}
    assert scores | {"exp/em/spoof.gmm"} <= there.keys()
    assert there == local_results
    logs = [path.read_text() for path in tmp_path.glob("egs/mini_replay/sd/*/**/log/*.log")]
    assert len(logs) > 50 and all(text.startswith("# Running on ") for text in logs)


def test_recipe_as_a_job_of_its_own(cluster, tmp_path):
    """Schedulers run a copy of the script, somewhere else."""
    recipe = make_copy(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    submit = {
        "slurm": "sbatch --wait --output=job.log",
        "gridengine": "qsub -sync y -cwd -V -S /bin/bash -j y -o job.log",
    }
    words = [*submit[cluster.name].split(), "run.sh", "--stop-stage", "1", "--corpus-opts", SMALL]
    pipes = {"capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(words, cwd=recipe, env=cluster.env, **pipes)
    assert done.returncode == 0, done.stdout + done.stderr + (recipe / "job.log").read_text()
    assert "Stage 1: validate" in (recipe / "job.log").read_text()
    assert (recipe / "data/eval/wav.scp").exists()
