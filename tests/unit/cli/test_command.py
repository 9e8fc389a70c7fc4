import dataclasses
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass, field

import pytest

from sdtools.cli.command import Command, InputOptions
from sdtools.options import load_settings, save_settings
from sdtools.tables import table as tables


@dataclass(frozen=True)
class Options:
    num_bands: int = field(default=80, metadata={"help": "how many"})
    scale: float = field(default=1.5, metadata={"help": "how wide"})
    limit_hz: float | None = field(default=None, metadata={"help": "upper end"})
    orders: tuple[int, ...] = field(default=(0, 2), metadata={"help": "which"})
    kind: str = field(default="a", metadata={"help": "what", "choices": ("a", "b")})
    loud: bool = field(default=False, metadata={"help": "whether"})


COMMAND = Command("sd-try", "Tries.", ("<in>", "<out>"), "sd-try a b", (Options, InputOptions))


def run(*argv, body=lambda context: None):
    """Exit status and the context that the body saw."""
    seen = []
    status = COMMAND.run(lambda context: seen.append(context) or body(context), argv)
    return status, seen[0] if seen else None


def entries(*values):
    def load(value):
        if isinstance(value, Exception):
            raise value
        return value

    return [
        tables.Entry(f"u{i}", f"x.scp:{i + 1}", lambda v=v: load(v)) for i, v in enumerate(values)
    ]


def test_defaults_and_every_kind_of_value():
    assert run("in", "out")[1][Options] == Options()
    argv = [
        "--num-bands=3",
        "--scale=2",
        "--limit-hz=100",
        "--orders=1,3",
        "--kind=b",
        "--loud=true",
        "in",
        "out",
    ]
    _, context = run(*argv)
    assert context[Options] == Options(3, 2.0, 100.0, (1, 3), "b", True)
    assert context.positionals == ["in", "out"]


def test_kaldis_manners(tmp_path):
    """Bare flag, underscores, case, --, and a .conf file that the command line overrides."""
    assert run("--loud", "--NUM_BANDS=4", "--", "in", "--out")[1].positionals == ["in", "--out"]
    conf = tmp_path / "a.conf"
    conf.write_text("# comment\n--num-bands=7  # why\n\n--loud=T\n")
    _, context = run("--num-bands=9", f"--config={conf}", "in", "out")
    assert (context[Options].num_bands, context[Options].loud) == (9, True)


def test_settings_are_saved_and_read_back(tmp_path):
    options = Options(3, 2.0, None, (1, 3), "b", True)
    save_settings(tmp_path / "x.conf", options, InputOptions(max_skip=2))
    assert load_settings(tmp_path / "x.conf", Options) == options
    assert load_settings(tmp_path / "x.conf", InputOptions) == InputOptions(max_skip=2)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["in"], "arguments: got 1, need <in> <out>"),
        (["in", "out", "more"], "arguments: got 3, need <in> <out>"),
        (["in", "--loud"], "arguments: got --loud after in, need options before the positionals"),
        (
            ["--num-band=3", "in", "out"],
            "option: got '--num-band=3', need one of this command's options; did you mean --num-bands?",
        ),
        (["-n", "in", "out"], "option: got '-n'"),
        (["--num-bands=x", "in", "out"], "--num-bands: got 'x', need an integer"),
        (
            ["--num-bands", "in", "out"],
            "--num-bands: got no value, need --num-bands=80 or another value",
        ),
        (["--scale=nan", "in", "out"], "--scale: got 'nan', need a number"),
        (["--scale=inf", "in", "out"], "--scale: got 'inf', need a number"),
        (["--max-skip=-1", "in", "out"], "--max-skip: got -1, need 0 or more"),
        (["--loud=maybe", "in", "out"], "--loud: got 'maybe', need true or false"),
        (["--orders=1;2", "in", "out"], "--orders: got '1;2', need a comma-separated list of int"),
        (["--limit-hz=x", "in", "out"], "--limit-hz: got 'x', need a number or nothing"),
        (["--kind=c", "in", "out"], "--kind: got 'c', need a or b"),
        (["--config", "x.conf", "in", "out"], "--config: got no value, need a file after '='"),
        (
            ["--config=/nowhere.conf", "in", "out"],
            "--config: got /nowhere.conf, need a file of options",
        ),
    ],
)
def test_command_lines_that_do_not_fit(argv, message, capsys):
    assert run(*argv)[0] == 1
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1


def test_error_in_a_conf_file_names_its_line(tmp_path, capsys):
    (tmp_path / "a.conf").write_text("--loud=true\n--num-bands 3\n")
    assert run(f"--config={tmp_path}/a.conf", "in", "out")[0] == 1
    assert f"{tmp_path}/a.conf:2: option: got '--num-bands 3'" in capsys.readouterr().err


def test_log_opens_with_version_command_and_settings(capsys):
    run("--num-bands=3", "in", "out x")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("LOG (sd-try) sdtools ") and lines[0].endswith(
        "sd-try --num-bands=3 in 'out x'"
    )
    assert lines[1].startswith(
        "LOG (sd-try) settings --num-bands=3 --scale=1.5 --limit-hz= --orders=0,2 --kind=a --loud=false"
    )
    run("--print-args=false", "in", "out")
    assert capsys.readouterr().err == ""


def test_help_names_every_option_and_goes_to_stdout(capsys):
    assert run("--help")[0] == 0
    out = capsys.readouterr().out
    for f in (*dataclasses.fields(Options), *dataclasses.fields(InputOptions)):
        assert f"--{f.name.replace('_', '-')}=" in out and f.metadata["help"] in out
    assert "sd-try a b" in out


def test_for_each_writes_in_order_and_counts(capsys):
    written = []
    values = list(range(20))
    for num_threads in (1, 3):
        written.clear()
        status, _ = run(
            "in",
            "out",
            body=lambda c, n=num_threads: c.for_each(
                entries(*values),
                lambda e: e.load() * 10,
                lambda k, v: written.append((k, v)),
                num_threads=n,
            ),
        )
        assert status == 0 and written == [(f"u{i}", i * 10) for i in values]
    assert "LOG (sd-try) done 20 of 20, 0 skipped" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [ValueError, OSError, ZeroDivisionError])
def test_bad_key_ends_the_command_unless_it_may_be_skipped(capsys, kind):
    bad = entries(1, kind("x: rate: got 8000, need 16000"), 3)
    body = lambda context: context.for_each(bad, lambda e: e.load(), lambda k, v: None)  # noqa: E731
    assert run("in", "out", body=body)[0] == 1
    err = capsys.readouterr().err
    assert (
        "ERROR (sd-try) u1 (x.scp:2): x: rate: got 8000, need 16000 (--max-skip=1 or more would skip it)"
        in err
    )
    assert run("--max-skip=1", "in", "out", body=body)[0] == 0
    err = capsys.readouterr().err
    assert (
        "WARNING (sd-try) skipped u1 (x.scp:2): x: rate" in err and "done 2 of 3, 1 skipped" in err
    )


def test_nothing_done_is_an_error(capsys):
    for given in ((), (ValueError("bad"),)):
        status, _ = run(
            "--max-skip=5",
            "in",
            "out",
            body=lambda c, g=given: c.for_each(entries(*g), lambda e: e.load(), lambda k, v: None),
        )
        assert status == 1
        assert (
            f"input: got no usable entry ({len(given)} skipped), need at least one"
            in capsys.readouterr().err
        )


def test_warnings_become_lines(capsys):
    status, _ = run("in", "out", body=lambda context: warnings.warn("few trials", stacklevel=1))
    assert status == 0 and "WARNING (sd-try) few trials" in capsys.readouterr().err


def test_errors_are_one_line_and_debug_shows_them_whole(capsys):
    def fail(context):
        raise OSError(28, "No space left on device", "/full/x")

    assert run("in", "out", body=fail)[0] == 1
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "ERROR (sd-try) /full/x: No space left on device"
    )
    assert run("--debug=0", "in", "out", body=fail)[0] == run("in", "--debug", body=fail)[0] == 1
    for debug in ("--debug", "--debug=true", "--debug=1"):
        with pytest.raises(OSError, match="No space"):
            run(debug, "in", "out", body=fail)


def test_sigterm_ends_through_the_with_blocks(tmp_path):
    """A command that is told to end leaves neither its output nor a temporary file."""
    code = (
        "import sys, time\nfrom sdtools import cli, tables\n"
        "def body(context):\n"
        f"    with tables.open_writer('ark:{tmp_path}/x.ark'):\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(30)\n"
        "sys.exit(Command('sd-try', '', (), '').run(body, []))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_in_a_callback_of_a_library_is_not_lost(tmp_path, signum, status):
    code = (
        "import ctypes, sys, time\nfrom sdtools import cli, tables\n"
        "def sleep():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
        "def body(context):\n"
        f"    with tables.open_writer('ark:{tmp_path}/x.ark'):\n"
        "        ctypes.CFUNCTYPE(None)(sleep)()\n"
        "        time.sleep(30)\n"
        "sys.exit(Command('sd-try', '', (), '').run(body, []))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signum)
        assert "Traceback" not in process.communicate(timeout=10)[1]
        assert process.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_what_else_a_library_swallows_is_shown():
    code = (
        "import ctypes, sys\nfrom sdtools import cli\n"
        "sys.exit(Command('sd-try', '', (), '').run(lambda context: ctypes.CFUNCTYPE(None)(lambda: 1 / 0)(), []))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and "ZeroDivisionError" in result.stderr


def test_a_reader_of_the_help_may_leave():
    code = "from sdtools.bin import score_gmm; raise SystemExit(score_gmm.main(['--help']))"
    result = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | true; echo ${PIPESTATUS[0]}', sys.executable, code],
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_a_value_after_a_blank_is_explained(capsys):
    assert run("--loud", "true", "in", "out")[0] == 1
    assert "got 3, need <in> <out>; a value stands after '='" in capsys.readouterr().err
