import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import wait_for
from data_dirs import UTILS, load, missing, write

RUN = [sys.executable, "-S", UTILS / "run.py"]  # without site: standard library only
LOG = re.compile(
    r"""# (?P<command>.*)
# Started at \w+ \w+ +\d+ .*
#
(?P<output>(?:.*\n)*)# Accounting: time=(?P<time>\d+) threads=(?P<threads>\d+)
# Ended \((?P<status>code \d+(?:; signal \d+)?)\) at .*, elapsed time (?P=time) seconds
"""
)


def run(cwd, *words, **options):
    pipes = {"capture_output": True, "text": True}
    return subprocess.run([*RUN, *words], cwd=cwd, timeout=60, **pipes, **options)


def read_log(path):
    match = LOG.fullmatch(path.read_text())
    assert match, path.read_text()
    return match.groupdict()


def output_of(cwd, *command):
    """What one job with this command writes to its log."""
    done = run(cwd, "x.log", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
    return read_log(cwd / "x.log")["output"]


def test_log_of_a_job_that_ended_well(tmp_path):
    command = ["echo", "out", ";", "echo", "err", r">&2"]
    done = run(tmp_path, "--num-threads", "3", "a/b/x.log", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    log = read_log(tmp_path / "a/b/x.log")
    assert int(log.pop("time")) < 20
    assert log == {
        "command": "echo out ; echo err >&2",
        "output": "out\nerr\n",
        "threads": "3",
        "status": "code 0",
    }


def test_a_rerun_truncates_the_log_and_a_last_line_without_newline_is_ended(tmp_path):
    assert output_of(tmp_path, "echo", "a long first output") == "a long first output\n"
    assert output_of(tmp_path, "printf", "short") == "short\n"


def test_failure_of_one_job(tmp_path):
    done = run(tmp_path, "JOB=4", "log/x.JOB.log", "echo", "reason", ";", "exit", "7")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:3] == [
        "run.py: job failed, log is in log/x.4.log",
        "run.py: failed jobs: 4 (status 7)",
        "run.py: last lines of log/x.4.log:",
    ]
    assert "  reason\n" in done.stderr
    assert read_log(tmp_path / "log/x.4.log")["status"] == "code 7"


def test_forgotten_job_range_is_hinted_at(tmp_path):
    stderr = run(tmp_path, "x.JOB.log", "false").stderr
    assert "run.py: the log file is named after JOB: is JOB=1:N missing?\n" in stderr


def test_failures_of_an_array_are_numbered_and_the_first_log_is_shown(tmp_path):
    command = ["seq", "100;", "echo", "I", "am", "JOB;"]
    command += ["test", "JOB", "-ne", "2", "-a", "JOB", "-ne", "10"]
    done = run(tmp_path, "--max-jobs-run", "3", "JOB=1:11", "log/y.JOB.log", *command)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[:3] == [
        "run.py: 2 / 11 failed, log is in log/y.*.log",
        "run.py: failed jobs: 2 (status 1), 10 (status 1)",
        "run.py: last lines of log/y.2.log:",
    ]
    assert len(lines) == 13
    assert lines[-3] == "  I am 2"
    for n in range(1, 12):
        status = read_log(tmp_path / f"log/y.{n}.log")["status"]
        assert status == ("code 1" if n in (2, 10) else "code 0")


@pytest.mark.parametrize(
    "command, status, cause",
    [
        ("kill -9 $$", "code 0; signal 9", "signal 9, out of memory?"),
        ("(kill -9 $BASHPID; :) | cat", "code 137", "signal 9, out of memory?"),
        ("kill -15 $$", "code 0; signal 15", "signal 15"),
        ("echo MemoryError ; exit 3", "code 3", "status 3, out of memory?"),
        ("exit 255", "code 255", "status 255"),
    ],
)
def test_causes(tmp_path, command, status, cause):
    done = run(tmp_path, "x.log", *command.split(" "))
    assert done.returncode == 1
    assert f"run.py: failed jobs: 1 ({cause})\n" in done.stderr
    assert read_log(tmp_path / "x.log")["status"] == status


def test_very_many_failures_are_not_all_listed(tmp_path):
    stderr = run(tmp_path, "JOB=1:102", "log/x.JOB.log", "false").stderr
    assert re.search(r"failed jobs: 1 \(status 1\), .*100 \(status 1\), and 2 more\n", stderr)


def test_failure_anywhere_in_a_pipeline_counts(tmp_path):
    assert run(tmp_path, "x.log", "false", "|", "cat").returncode == 1
    assert run(tmp_path, "x.log", "echo", "a", "|", "no-such-program", "|", "cat").returncode == 1
    assert read_log(tmp_path / "x.log")["status"] == "code 127"


@pytest.mark.parametrize("name", ["JOB", "N_1"])
def test_number_is_filled_in_everywhere(tmp_path, name):
    command = ["echo", name, f"a{name}b{name}", f'say "{name}" $x']
    command += [f"plain {name} word", f"--x={name}"]
    assert run(tmp_path, f"{name}=9:10", f"log.{name}/{name}.log", *command).returncode == 0
    for n in (9, 10):
        log = read_log(tmp_path / f"log.{n}/{n}.log")
        assert log["output"] == f'{n} a{n}b{n} say "{n}" $x plain {n} word --x={n}\n'
        words = f'echo {n} a{n}b{n} \'say "{n}" $x\' "plain {n} word" --x={n}'
        assert log["command"] == words


@pytest.mark.parametrize(
    "words, expected",
    [
        (["$HOME"], "/home/x\n"),  # no blank: live shell syntax
        (["a", "|", "tr", "a", "b"], "b\n"),
        (["a>b;cat", "b"], "a\n"),
        (["*.txt"], "1.txt 2.txt\n"),
        (["two  words", "$HOME is home"], "two  words /home/x is home\n"),  # blanks: double quotes
        (["it's  $HOME"], "it's  /home/x\n"),
        (['say "$HOME" | x'], 'say "$HOME" | x\n'),  # blanks and a double quote: single quotes
        (['it\'s  "so"'], 'it\'s  "so"\n'),
        (["[", "", "]"], "[  ]\n"),
        (["tab\there", "new\nline"], "tab\there new\nline\n"),
        (["ä\u00a0ö;echo", "b"], "ä\u00a0ö\nb\n"),  # a no-break space is no blank to a shell
    ],
)
def test_quoting(tmp_path, words, expected):
    (tmp_path / "1.txt").touch()
    (tmp_path / "2.txt").touch()
    env = {"PATH": os.environ["PATH"], "HOME": "/home/x", "LC_ALL": "C"}
    assert run(tmp_path, "x.log", "echo", *words, env=env).returncode == 0
    text = (tmp_path / "x.log").read_text(encoding="utf-8")
    assert text.split("#\n", 1)[1].split("# Accounting")[0] == expected


def test_options_and_range_mix_in_any_order_and_unknown_ones_have_no_effect(tmp_path):
    options = "--mem 2G -V --config none.conf -tc 1 JOB=1:2 -pe smp 5 --gpu 1 -l x=1"
    options = [*options.split(), "--max-jobs-run", "5"]
    command = ["date", "+%s%N;", "sleep", ".1;", "date", "+%s%N"]
    assert run(tmp_path, *options, "x.JOB.log", *command).returncode == 0
    times = [read_log(tmp_path / f"x.{n}.log")["output"].split() for n in (1, 2)]
    assert int(times[0][1]) < int(times[1][0])  # the smaller of -tc and --max-jobs-run holds


@pytest.mark.parametrize(
    "options, expected",
    [
        (["--max-jobs-run", "4", "--num-threads", "1000"], 4),
        (["--max-jobs-run", "3"], 3),
        (["-tc", "2", "--max-jobs-run", "10"], 2),
        (["--num-threads", "1000"], 1),
        (["--mem", "1000000000"], 1),
        (["--mem", "1M"], min(4, len(os.sched_getaffinity(0)))),
        (["--mem", "0"], min(4, len(os.sched_getaffinity(0)))),
    ],
)
def test_number_of_jobs_at_a_time(tmp_path, options, expected):
    # a job says how many it has seen and leaves when one has seen the expected number
    (tmp_path / "job.sh").write_text(
        "touch at.$1; n=$(ls | grep -c at.); echo $n; touch seen.$n\n"
        "until [ -e seen.$2 ]; do sleep .01; done; sleep .05; rm at.$1"
    )
    command = ["bash", "job.sh", "JOB", str(expected)]
    assert run(tmp_path, *options, "JOB=1:4", "log/JOB", *command).returncode == 0
    assert max(int(read_log(tmp_path / f"log/{n}")["output"]) for n in range(1, 5)) == expected


def test_memory_of_the_control_group_limits_the_jobs(monkeypatch):
    module = load("run")
    texts = {
        "/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable:    5000000 kB\n",
        "/proc/self/cgroup": "0::/a/b\n",
        "/sys/fs/cgroup/a/b/memory.max": "max\n",
        "/sys/fs/cgroup/a/memory.max": "3000000\n",
    }

    def read_text(path):
        if str(path).replace("//", "/") not in texts:
            raise FileNotFoundError(path)
        return texts[str(path).replace("//", "/")]

    monkeypatch.setattr(module.Path, "read_text", read_text)
    monkeypatch.setattr(module.os, "sysconf", lambda name: 2**20)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: range(100))
    assert module.max_jobs_run({"mem": "1000k"}) == 2
    del texts["/sys/fs/cgroup/a/memory.max"]
    assert module.max_jobs_run({"mem": "1000k"}) == 100
    assert module.max_jobs_run({"mem": "1G", "num_threads": "10"}) == 4
    del texts["/proc/meminfo"]
    assert module.free_bytes() == 2**40


def test_jobs_have_no_stdin_and_run_in_the_current_directory(tmp_path):
    done = run(tmp_path, "x.log", "cat;", "pwd", input="not for the job")
    assert done.returncode == 0
    assert read_log(tmp_path / "x.log")["output"] == f"{tmp_path}\n"


def test_log_to_dev_null_leaves_no_record(tmp_path):
    assert run(tmp_path, "/dev/null", "true").returncode == 0
    assert not Path("/dev/null.done").exists()
    assert Path("/dev/null").is_char_device()


WHOLE, SIZE = "a whole number above 0", "a size such as 500M or 2G"
BAD_OPTIONS = [  # option, value, beginning of what is expected
    ("--max-jobs-run", "0", WHOLE),
    ("-tc", "x", WHOLE),
    ("--num-threads", "1.5", WHOLE),
    ("--mem", "lots", SIZE),
    ("--resume", "JOB=1:2", "true or false"),
    ("--time", "1h", "a time such as 90 (minutes), 4:00:00 or 2-12:00:00"),
]


@pytest.mark.parametrize("option, value, need", BAD_OPTIONS)
def test_values_of_options_are_checked(option, value, need):
    with pytest.raises(load("messages").Problem) as caught:
        load("launcher").parse_command_line([option, value, "x.log", "true"])
    assert caught.value.who == option.replace("-tc", "--max-jobs-run")
    assert caught.value.got == repr(value) and caught.value.need.startswith(need)


@pytest.mark.parametrize(
    "command, words",
    [
        ("", ["command line: ", "log file", "command", "See run.py --help"]),
        ("JOB=1:2 x.JOB.log", ["command line: ", "log file", "command"]),
        ("JOB=0:2 x.JOB.log true", ["JOB=0:2: ", "JOB=first:last with 1 <= first <= last"]),
        ("JOB=3:2 x.JOB.log true", ["JOB=3:2: ", "JOB=first:last with 1 <= first <= last"]),
        ("JOB=1:2 x.log true", ["x.log: ", "one log file", "JOB"]),
        ("--num-threads 1.5 x.log true", ["--num-threads: ", WHOLE, "'1.5'"]),
        ("--mem", ["--mem: ", "Write --mem <value> before the log file"]),
        ("taken/x.log true", ["taken: File exists"]),
    ],
)
def test_bad_command_lines_give_one_line(tmp_path, command, words):
    (tmp_path / "taken").touch()
    done = run(tmp_path, *command.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"run.py: {words[0]}") and missing(done.stderr, words) == []
    assert done.stderr.count("\n") == 1


def test_a_command_that_is_too_long_gives_one_line(tmp_path):
    done = run(tmp_path, "x.log", "true", *["x" * 50_000] * 3)
    assert (done.returncode, done.stderr) == (1, "run.py: bash: Argument list too long\n")


def test_suspicious_log_file_is_warned_of(tmp_path):
    done = run(tmp_path, "JOB=1:", "true")
    assert done.returncode == 0 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("run.py: warning: suspicious first argument JOB=1:: ")
    assert "log file" in done.stderr


def test_example_of_the_help_works(tmp_path):
    help_text = run(tmp_path, "--help").stdout
    example = re.search(r"^example: (.*)$", help_text, re.MULTILINE)[1]
    (tmp_path / "utils").symlink_to(UTILS)
    assert subprocess.run(example, shell=True, cwd=tmp_path).returncode == 0
    for n in (1, 2, 3):
        assert read_log(tmp_path / f"exp/log/hello.{n}.log")["output"] == f"Hello {n}\n"


# Signals

TICKING = """(while sleep .05; do echo >>$1.child; done) &
bash -c 'while sleep .05; do echo >>'$1'.grandchild; done & wait'"""


def ticks(directory):
    """Lengths of the files to which the processes of TICKING add while they live."""
    return {path.name: path.stat().st_size for path in directory.glob("*child")}


def test_signals_kill_jobs_and_grandchildren(tmp_path):
    launches = {}
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        directory = tmp_path / signum.name
        directory.mkdir()
        (directory / "job.sh").write_text(TICKING)
        words = ["JOB=1:3", "--max-jobs-run", "2", "log/x.JOB.log", "bash", "job.sh", "JOB"]
        pipes = {"stderr": subprocess.PIPE, "text": True}
        launches[signum] = directory, subprocess.Popen([*RUN, *words], cwd=directory, **pipes)
    for signum, (directory, process) in launches.items():
        wait_for(lambda directory=directory: len(ticks(directory)) == 4)
        process.send_signal(signum)
    for signum, (directory, process) in launches.items():
        assert (
            process.communicate(timeout=20)[1]
            == f"run.py: got {signum.name}, killing the jobs 1 2\n"
        )
        assert process.returncode == 128 + signum
        for n in (1, 2):
            assert read_log(directory / f"log/x.{n}.log")["status"] == "code 0; signal 15"
        assert len(list((directory / "log").iterdir())) == 2
    before = [ticks(directory) for directory, _ in launches.values()]
    time.sleep(0.2)
    assert [ticks(directory) for directory, _ in launches.values()] == before


def test_a_sigkill_of_the_launchers_group_kills_the_jobs(tmp_path):
    (tmp_path / "job.sh").write_text(TICKING)
    words = ["JOB=1:3", "--max-jobs-run", "2", "log/x.JOB.log"]
    words += ["[", "JOB", "=", "1", "]", "||", "bash", "job.sh", "JOB"]
    process = subprocess.Popen([*RUN, *words], cwd=tmp_path, start_new_session=True)
    wait_for(lambda: len(ticks(tmp_path)) == 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    def still():
        before = ticks(tmp_path)
        time.sleep(0.2)
        return ticks(tmp_path) == before

    wait_for(still)
    assert sorted(path.name for path in (tmp_path / "log").glob("*.done")) == ["x.1.log.done"]


def start(directory, script, wrapper=()):
    """run.py with one job, which is up when it has made the file `up`."""
    if not (directory / "job.sh").exists():
        (directory / "job.sh").write_text(script)
    command = [*wrapper, *RUN, "x.log", "bash", "job.sh"]
    process = subprocess.Popen(command, cwd=directory, stderr=subprocess.DEVNULL)
    wait_for((directory / "up").exists)
    return process


def test_a_job_that_ignores_sigterm_is_killed_all_the_same(tmp_path):
    process = start(tmp_path, "trap '' TERM; touch up; while :; do sleep .05; done")
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert read_log(tmp_path / "x.log")["status"] == "code 0; signal 9"


def test_a_killed_job_that_ends_with_0_does_not_count_as_done(tmp_path):
    process = start(tmp_path, "trap 'exit 0' TERM; touch up; while :; do sleep .05; done")
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert read_log(tmp_path / "x.log")["status"] == "code 0"
    assert not (tmp_path / "x.log.done").exists()


def test_nohup_is_respected(tmp_path):
    process = start(tmp_path, "touch up; until [ -e go ]; do sleep .05; done", wrapper=["nohup"])
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    (tmp_path / "go").touch()
    assert process.wait(timeout=20) == 0


# Resume

COMMAND = "cat in.JOB > out.JOB; echo >> ran.JOB; test ! -e fail.JOB"


@pytest.fixture
def array(tmp_path):
    """Run three jobs that read in.N, write out.N and fail where fail.N exists.

    Returns the exit status, how often each job has run so far, and stderr.
    """
    for n in (1, 2, 3):
        (tmp_path / f"in.{n}").write_text("input")

    def run_array(*options, command=COMMAND):
        done = run(tmp_path, *options, "JOB=1:3", "log/x.JOB.log", *command.split())
        runs = [len((tmp_path / f"ran.{n}").read_text()) for n in (1, 2, 3)]
        return done.returncode, runs, done.stderr

    return run_array


def test_resume_runs_nothing_twice_and_keeps_the_logs(tmp_path, array):
    assert array() == (0, [1, 1, 1], "")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    message = "run.py: 3 / 3 were done before, log is in log/x.*.log\n"
    assert array("--resume", "true") == (0, [1, 1, 1], message)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_without_resume_everything_runs_again(array):
    array()
    assert array()[1] == [2, 2, 2]
    assert array("--resume", "false")[1] == [3, 3, 3]


def test_resume_runs_what_failed(tmp_path, array):
    (tmp_path / "fail.2").touch()
    assert array("--resume", "true")[:2] == (1, [1, 1, 1])
    code, runs, stderr = array("--resume", "true")
    assert (code, runs) == (1, [1, 2, 1])
    assert stderr.splitlines()[:2] == [
        "run.py: 2 / 3 were done before, log is in log/x.*.log",
        "run.py: 1 / 3 failed, log is in log/x.*.log",
    ]
    (tmp_path / "fail.2").unlink()
    assert array("--resume", "true")[:2] == (0, [1, 3, 1])


def test_resume_runs_another_command(array):
    array()
    assert array("--resume", "true", command=COMMAND + "; true")[1] == [2, 2, 2]


def test_resume_runs_a_job_again_whose_record_does_not_hold(tmp_path, array):
    array()
    log = tmp_path / "log/x.3.log"
    record, other_record = tmp_path / "log/x.3.log.done", tmp_path / "log/x.2.log.done"
    changes = {
        "input": lambda: (tmp_path / "in.3").write_text("other"),
        "time of input": lambda: os.utime(tmp_path / "in.3", ns=(1, 1)),
        "no output": lambda: (tmp_path / "out.3").unlink(),
        "no log": log.unlink,
        "no record": record.unlink,
        "cut record": lambda: record.write_text(record.read_text()[:-9]),
        "other json": lambda: record.write_text("[]"),
        "not text": lambda: record.write_bytes(b"\xff"),
        "record of another job": lambda: record.write_bytes(other_record.read_bytes()),
    }
    for count, (name, change) in enumerate(changes.items(), 2):
        change()
        assert array("--resume", "true")[:2] == (0, [1, 1, count]), name
    assert array("--resume", "true")[:2] == (0, [1, 1, 10])


WORDS = ["{}", "ark,scp:x,{}", "--config={}", "scp:head -1 {} |", "ark:{}:1234", "in*"]
WORDS += ["'<({})'", "a b/{}", "scp:a b/{}", "a[b]/{}"]
ALL_DONE = "run.py: 1 / 1 were done before, log is in x.log\n"


@pytest.mark.parametrize("word", WORDS)
def test_resume_sees_the_files_inside_a_word(tmp_path, word):
    folder = next((folder for folder in ("a b", "a[b]") if folder in word), "")
    path = write(tmp_path / folder, {"in.1": "input"}) / "in.1"
    words = ["--resume", "true", "x.log", ":", word.format("in.1")]
    assert [run(tmp_path, *words).stderr for _ in range(2)] == ["", ALL_DONE]
    path.write_text("changed")
    assert run(tmp_path, *words).stderr == ""


@pytest.mark.parametrize("line", ["utt {}", "utt\t{}", "utt {}:4711", "utt {}:4711[0:3]"])
def test_resume_sees_the_files_that_a_script_file_lists(tmp_path, line):
    write(tmp_path, {"feats.scp": line.format("x.ark") + "\n", "x.ark": "a"})
    words = ["--resume", "true", "x.log", ":", "scp:feats.scp"]
    assert [run(tmp_path, *words).stderr for _ in range(2)] == ["", ALL_DONE]
    (tmp_path / "x.ark").write_text("bc")
    assert run(tmp_path, *words).stderr == ""


@pytest.mark.parametrize("word", ["--config=in", "scp:list.scp", "--utt2spk=scp,p:list.scp"])
def test_resume_sees_an_input_that_changed_while_the_job_ran(tmp_path, word):
    (tmp_path / "list.scp").write_text("utt in\n")
    (tmp_path / "in").write_text("old")
    script = "cp in out; [ -e changed ] || echo new >in; touch changed"
    words = ["--resume", "true", "x.log", "bash", "-c", script, "bash", word]
    assert run(tmp_path, *words).returncode == 0 and (tmp_path / "out").read_text() == "old"
    assert run(tmp_path, *words).stderr == "" and (tmp_path / "out").read_text() == "new\n"
    assert "1 / 1 were done before" in run(tmp_path, *words).stderr


def test_a_forced_rerun_that_is_killed_loses_the_old_record(tmp_path):
    process = start(tmp_path, "touch up; test ! -e slow || sleep 5")
    assert process.wait(timeout=20) == 0
    (tmp_path / "slow").touch()
    (tmp_path / "up").unlink()
    process = start(tmp_path, "touch up; test ! -e slow || sleep 5")
    process.kill()
    process.wait()
    (tmp_path / "slow").unlink()
    assert run(tmp_path, "--resume", "true", "x.log", "bash", "job.sh").stderr == ""
