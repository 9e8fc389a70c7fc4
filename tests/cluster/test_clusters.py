"""slurm.py and queue.py on the schedulers themselves: what a user sees of each mishap, what is left, and what --resume true runs then."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from conftest import kill, processes_in, wait_for
from recipe_runs import SMALL, make_copy, results

# A job adds a line to ran.N: its array and its task on the scheduler. What happens then says a file that a test makes.
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
    return {int(path.suffix[1:]): len(path.read_text().splitlines()) for path in work.glob("ran.*")}


def where(work, job):
    """Array and task that the job was at last."""
    return (work / f"ran.{job}").read_text().splitlines()[-1].split()


def counts(**groups):
    """{job: count} from once=range(...), twice=range(...)."""
    return {job: {"once": 1, "twice": 2}[name] for name, jobs in groups.items() for job in jobs}


def check_resumed(cluster, work, missing, num_jobs=20):
    """--resume true runs exactly the missing jobs, and a second time nothing."""
    before = ran(work)
    for num_done in (num_jobs - len(missing), num_jobs):
        result = cluster.launch(work, "--resume", "true", *words(num_jobs))
        assert result == (0, f"{cluster.launcher}: {num_done} / {num_jobs} were done before, log is in exp/log/x.*.log\n")
        assert ran(work) == {job: before.get(job, 0) + (job in missing) for job in range(1, num_jobs + 1)}
    assert not (work / "overlap").exists()


def test_array_of_20(cluster, work):
    assert cluster.launch(work, *words()) == (0, "")
    assert ran(work) == counts(once=range(1, 21))
    assert len({where(work, n)[0] for n in range(1, 21)}) == 1  # one array on the scheduler itself
    for n in range(1, 21):
        form = (
            rf"# Running on {os.uname().nodename}\n# Started at .*\n(# SLURM_\w+=.*\n)*# bash job.sh {n}\nline of {n}\n"
            r"# Accounting: time=\d+ threads=1\n# Finished at .* with status 0\n"
        )
        assert re.fullmatch(form, (work / f"exp/log/x.{n}.log").read_text())
    check_resumed(cluster, work, [])


def test_mishaps_are_told_apart(cluster, work):
    """A job that fails, one killed by a signal, one over its time, one over its memory."""
    (work / "conf").mkdir()
    (work / "conf/queue.conf").write_text("command qsub\noption mem=* -l h_vmem=$0\noption time=* -l h_rt=$0\n")  # a limit that is enforced
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
        f"{cluster.launcher}: failed jobs: 3 (status 2), 5 (signal 9, out of memory?), 7 (time limit), 9 (out of memory)",
        f"{cluster.launcher}: last lines of exp/log/x.3.log:",
    ]
    assert "  no such luck" in lines[3:] and len(lines) <= 13
    assert ran(work) == counts(once=range(1, 21))
    cluster.check_clean(work)
    for n in mishaps:
        (work / f"mishap.{n}").unlink()
    check_resumed(cluster, work, mishaps)


def start_and_hold(cluster, work):
    """An array of which jobs 1 to 5 are done, 6 to 15 run until the file `hold` is gone, and the others wait."""
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
    assert f"\n{cluster.launcher}: failed jobs: {', '.join(f'{n} (cancelled)' for n in range(6, 21))}\n" in stderr
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
    assert f"\n{cluster.launcher}: failed jobs: {', '.join(f'{n} (lost node)' for n in range(6, 16))}\n" in stderr
    assert ran(work) == counts(once=range(1, 21))
    cluster.check_clean(work)
    check_resumed(cluster, work, range(6, 16))


def kill_daemon(cluster, work):
    """Kill the daemon of the node while the tasks of an array of 10 run on: 1 to 5 are done, the others wait for the end of `hold`."""
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
    assert f"\n{cluster.launcher}: failed jobs: {', '.join(f'{n} (lost node)' for n in range(6, 11))}\n" in stderr
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
    (os.killpg if signum == signal.SIGINT else os.kill)(process.pid, signum)  # Ctrl-C goes to the children too
    assert cluster.result_of(process) == (128 + signum, f"{cluster.launcher}: got {signum.name}, cancelling {array}\n")
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
        assert cluster.result_of(process)[0] in (130, 1, -signal.SIGINT)  # the last two while Python starts
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
    assert code == 0 and re.fullmatch(rf"{cluster.launcher}: cancelling x\.\w{{8}}, which a killed launch has left\n", stderr)
    assert ran(work) == counts(twice=range(1, 16), once=range(16, 21))
    assert not (work / "overlap").exists()


def test_array_above_the_limit_of_the_site_is_split(cluster, work):
    (work / "mishap.30").write_text("exit 4")
    code, stderr = cluster.launch(work, *words(50))  # the limit is 24 tasks
    assert code == 1 and f"{cluster.launcher}: failed jobs: 30 (status 4)\n" in stderr
    assert ran(work) == counts(once=range(1, 51))
    assert sorted(int(where(work, n)[1]) for n in range(1, 51)) == sorted([*range(1, 25)] * 2 + [1, 2])
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
        assert cluster.launch(work / launcher, "JOB=1:2", "x.JOB.log", *command, "true", launcher=launcher) == (0, "")
        logs = [(work / launcher / f"x.{n}.log").read_text() for n in (1, 2)]
        outputs.append([log[log.index("\n<dollar>\n") :].partition("\n# Accounting")[0] for log in logs])
    assert outputs[0] == outputs[1]
    assert outputs[1][0].startswith('\n<dollar>\n<two  words><dollar two><it\'s dollar>\n<say "$x" | y><it\'s "so">\n<[><><]>\n')


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
    env = dict(entry.split("=", 1) for entry in (work / "env.5").read_text().strip("\0").split("\0"))
    assert any(name in env for name in ("SLURM_ARRAY_TASK_ID", "SGE_TASK_ID"))
    env |= {"SLURM_MEM_PER_NODE": "100", "SLURM_CPUS_PER_TASK": "3", "SLURM_NTASKS": "4"} if cluster.name == "slurm" else {}
    assert cluster.launch(work, "--mem", "300M", "--num-threads", "2", *words(3), env={**env, **cluster.env}) == (0, "")
    assert ran(work) == counts(once=range(1, 4))
    assert [where(work, n)[1] for n in range(1, 4)] == ["1", "2", "3"]


def run_recipe(directory, launcher, env):
    """Bytes of the models and scores of the whole recipe on a tiny corpus, and of a small model by EM in array jobs."""
    recipe = make_copy(directory)
    (directory / ".venv").symlink_to(sys.prefix)  # where path.sh looks
    (recipe / "conf/em.conf").write_text("--num-components=4\n--final-iters=2\n")
    options = ["--nj", "3", "--cmd", f"utils/{launcher} --resume true --mem 2G"]
    for command in (
        ["./run.sh", *options, "--orders", "6", "--corpus-opts", SMALL],
        ["local/train_gmm.sh", *options, "--gmm-config", "conf/em.conf", "data/cf_sd6/train", "exp/em"],
    ):
        done = subprocess.run(command, cwd=recipe, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
    return results(recipe)


@pytest.fixture(scope="session")
def local_results(tmp_path_factory):
    return run_recipe(tmp_path_factory.mktemp("local"), "run.py", os.environ)


def test_recipe_gives_the_bytes_of_a_local_run(cluster, tmp_path, local_results):
    there = run_recipe(tmp_path, cluster.launcher, cluster.env)
    assert {"exp/cm_sd6/scores/eval.txt", "exp/fusion/scores/eval.txt", "exp/em/spoof.gmm"} <= there.keys()
    assert there == local_results
    logs = [path.read_text() for path in tmp_path.glob("egs/mini_replay/sd/*/**/log/*.log")]
    assert len(logs) > 50 and all(text.startswith("# Running on ") for text in logs)


def test_recipe_as_a_job_of_its_own(cluster, tmp_path):
    """Schedulers run a copy of the script, somewhere else."""
    recipe = make_copy(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    submit = {
        "slurm": ["sbatch", "--wait", "--output=job.log"],
        "gridengine": ["qsub", "-sync", "y", "-cwd", "-V", "-S", "/bin/bash", "-j", "y", "-o", "job.log"],
    }
    words = [*submit[cluster.name], "run.sh", "--stop-stage", "1", "--corpus-opts", SMALL]
    done = subprocess.run(words, cwd=recipe, env=cluster.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr + (recipe / "job.log").read_text()
    assert "Stage 1: validate" in (recipe / "job.log").read_text() and (recipe / "data/eval/wav.scp").exists()
