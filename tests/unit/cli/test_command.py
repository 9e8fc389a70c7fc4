import dataclasses
import subprocess
import sys
import warnings
from dataclasses import dataclass, field

import pytest

from sdtools.cli.command import Command, InputOptions
from sdtools.tables.table import Entry, open_table, open_writer


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

    return [Entry(f"u{i}", f"x.scp:{i + 1}", lambda v=v: load(v)) for i, v in enumerate(values)]


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


@pytest.mark.parametrize(
    ("argv", "who", "words"),
    [
        (["in"], "command line", "found 1"),
        (["in", "out", "more"], "command line", "expected <in> <out>, found 3"),
        (["in", "--loud"], "command line", "--loud stands after in"),
        (["--loud", "true", "in", "out"], "command line", "found 3. Write a value after '='"),
        (["--num-band=3", "in", "out"], "command line", "Did you mean --num-bands?"),
        (["-n", "in", "out"], "command line", "unknown option: found '-n'"),
        (["--num-bands=x", "in", "out"], "command line", "expected an integer, found 'x'"),
        (["--num-bands=1_0", "in", "out"], "command line", "expected an integer, found '1_0'"),
        (["--num-bands", "in", "out"], "command line", "--num-bands: expected a value after '='"),
        (["--kind", "b", "in", "out"], "command line", "such as --kind=b"),
        (["-kind=b", "in", "out"], "command line", "expected --kind=b"),
        (["--scale=nan", "in", "out"], "command line", "--scale: expected a number, found 'nan'"),
        (["--scale=inf", "in", "out"], "command line", "--scale: expected a number, found 'inf'"),
        (["--max-skip=-1", "in", "out"], "--max-skip", "expected 0 or more, found -1"),
        (["--loud=maybe", "in", "out"], "command line", "expected true or false, found 'maybe'"),
        (["--orders=1;2", "in", "out"], "command line", "a comma-separated list of int"),
        (["--orders=1,1_0", "in", "out"], "command line", "a comma-separated list of int"),
        (["--limit-hz=x", "in", "out"], "command line", "expected a number or nothing"),
        (["--kind=c", "in", "out"], "command line", "--kind: expected a or b, found 'c'"),
        (["--config", "x.conf", "in", "out"], "--config", "expected a file after '='"),
        (["--config=/nowhere.conf", "in", "out"], "--config", "no such file: /nowhere.conf"),
    ],
)
def test_command_lines_that_do_not_fit(argv, who, words, capsys):
    assert run(*argv)[0] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ERROR (sd-try) {who}: ") and words in line
    assert "sd-try --help lists the options" in line


def test_error_in_a_conf_file_names_its_line(tmp_path, capsys):
    (tmp_path / "a.conf").write_text("--loud=true\n--num-bands 3\n")
    assert run(f"--config={tmp_path}/a.conf", "in", "out")[0] == 1
    line = capsys.readouterr().err
    assert line.startswith(f"ERROR (sd-try) {tmp_path}/a.conf:2: ") and "'--num-bands 3'" in line


@pytest.mark.parametrize("line", ["num-bands=3", "num_bands 3", "--num-bands 3", "-num-bands: 3"])
def test_another_form_in_a_conf_file_is_answered_with_the_right_one(tmp_path, capsys, line):
    (tmp_path / "a.conf").write_text(f"--loud=true\n{line}\n")
    assert run(f"--config={tmp_path}/a.conf", "in", "out")[0] == 1
    err = capsys.readouterr().err
    assert err.startswith(f"ERROR (sd-try) {tmp_path}/a.conf:2: ")
    assert f"expected --num-bands=3, one for each option, found '{line}'" in err


OUTPUTS = Command("sd-try", "Tries.", ("<in>...", "<try-out>"), "sd-try a b", (Options,))


def test_an_output_that_is_an_input_is_refused_before_anything_is_read(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).write_text("")
    words = [f"{tmp_path}/a", f"{tmp_path}/b", f"{tmp_path}/../{tmp_path.name}/a"]
    assert OUTPUTS.run(lambda context: 0, words) == 1
    assert "this output is also an input" in capsys.readouterr().err
    assert OUTPUTS.run(lambda context: 0, [f"--config={tmp_path}/a", words[1], words[0]]) == 1
    assert "this output is also an input" in capsys.readouterr().err
    assert OUTPUTS.run(lambda context: 0, [*words[:2], f"{tmp_path}/c"]) == 0


def test_log_opens_with_version_command_and_settings(capsys):
    run("--num-bands=3", "in", "out x")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("LOG (sd-try) sdtools ") and lines[0].endswith(
        "sd-try --num-bands=3 in 'out x'"
    )
    assert lines[1].startswith(
        "LOG (sd-try) settings --num-bands=3 --scale=1.5 --limit-hz= --orders=0,2 --kind=a "
        "--loud=false"
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
    bad = entries(1, kind("x is bad"), 3)

    def body(context):
        return context.for_each(bad, lambda e: e.load(), lambda k, v: None)

    assert run("in", "out", body=body)[0] == 1
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("ERROR (sd-try) u1 (x.scp:2): x is bad. --max-skip=1 ")
    assert run("--max-skip=1", "in", "out", body=body)[0] == 0
    err = capsys.readouterr().err
    assert "WARNING (sd-try) skipped u1 (x.scp:2): x is bad" in err
    assert "done 2 of 3, 1 skipped" in err


def test_the_rest_of_an_archive_that_cannot_be_read_is_not_one_entry(tmp_path, capsys):
    with open_writer(f"ark,t:{tmp_path}/a", "int") as writer:
        for i in range(9):
            writer.write(f"u{i}", i)
    (tmp_path / "a").write_text((tmp_path / "a").read_text().replace("u3 3", "u3 x"))

    def body(context):
        with open_table(f"ark,p:{tmp_path}/a", "int") as table:
            return context.for_each(table, lambda e: e.load(), lambda k, v: None)

    assert run("in", "out", body=body)[0] == 0
    *_, warning, done = capsys.readouterr().err.splitlines()
    assert warning.startswith("WARNING (sd-try) the rest of the archive cannot be read: ")
    assert done == "LOG (sd-try) done 3; the rest of the archive could not be read"


def test_nothing_done_is_an_error(capsys):
    for given in ((), (ValueError("bad"),)):
        status, _ = run(
            "--max-skip=5",
            "in",
            "out",
            body=lambda c, g=given: c.for_each(entries(*g), lambda e: e.load(), lambda k, v: None),
        )
        assert status == 1
        assert f"input: no usable entry, {len(given)} skipped" in capsys.readouterr().err


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


def test_a_reader_of_the_help_may_leave():
    code = "from sdtools.bin import score_gmm; raise SystemExit(score_gmm.main(['--help']))"
    result = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | true; echo ${PIPESTATUS[0]}', sys.executable, code],
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")
