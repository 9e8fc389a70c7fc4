import functools
import subprocess

import pytest
from data_dirs import UTILS, missing

PARSE_OPTIONS = UTILS / "parse_options.sh"


def run(folder, *words, env=None):
    """Run run.sh in the folder."""
    pipes = {"capture_output": True, "text": True, "timeout": 20}
    return subprocess.run(["bash", "./run.sh", *words], cwd=folder, env=env, **pipes)


@pytest.fixture(params=["", "set -euo pipefail"], ids=["plain", "strict"])
def script(request, tmp_path):
    """Run a script with defaults for some options that prints what it has got."""
    (tmp_path / "run.sh").write_text(f"""#!/bin/bash
{request.param}
nj=4
some_name="a b"
empty=
resume=false
cleanup=true
help_message="Usage: $0 [--nj N] 100% <data>\\n e.g. $0 data"
. {PARSE_OPTIONS}
for value in "$nj" "$some_name" "$empty" "$resume" "$cleanup" "$@"; do
  printf '%s\\0' "$value"
done
""")

    return functools.partial(run, tmp_path)


def values(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\0")[:-1]


DEFAULTS = ["4", "a b", "", "false", "true"]
SHELL_SYNTAX = "$(touch pwned) `touch pwned` $HOME \"q\" 'r' \\n * %s\n"


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], DEFAULTS),
        (
            ["data", "--nj", "8"],
            [*DEFAULTS, "data", "--nj", "8"],
        ),  # options stand before the other words
        (["", "x"], [*DEFAULTS, "", "x"]),
        (["-"], [*DEFAULTS, "-"]),
        (["--nj", "8", "--some-name", "x", "data"], ["8", "x", "", "false", "true", "data"]),
        (["--some_name", "x", "--some-name", "y"], ["4", "y", "", "false", "true"]),
        (["--resume", "true", "--cleanup", "false"], ["4", "a b", "", "true", "false"]),
        (["--resume", "false", "--cleanup", "true"], DEFAULTS),
        (["--some-name", "", "--empty", "--nj"], ["4", "", "--nj", "false", "true"]),
        (["--some-name", "--opts=a=b --x"], ["4", "--opts=a=b --x", "", "false", "true"]),
        (["--some-name", SHELL_SYNTAX, "*"], ["4", SHELL_SYNTAX, "", "false", "true", "*"]),
    ],
)
def test_options_set_variables(script, tmp_path, words, expected):
    assert values(script(*words)) == expected
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "words, option, mentioned",
    [
        (["--unknown", "1"], "--unknown", ["no such option", "./run.sh --help"]),
        (["--", "1"], "--", ["no such option"]),
        (["--1x", "1"], "--1x", ["no such option"]),
        (["--x[$(touch pwned)]", "1"], "--x[$(touch pwned)]", ["no such option"]),
        (["--nj[$(touch pwned)]", "1"], "--nj[$(touch pwned)]", ["no such option"]),
        (["--nj=a=b"], "--nj=a=b", ["'--nj a=b'"]),
        (["--nj"], "--nj", ["missing", "'--nj <value>'"]),
        (["--nj", "3", "--resume"], "--resume", ["missing", "'--resume <value>'"]),
        (["--config"], "--config", ["missing", "'--config <value>'"]),
        (["--nj", "x"], "--nj", ["whole number", "found 'x'"]),
        (["--nj", ""], "--nj", ["whole number", "found ''"]),
        (["--resume", "yes"], "--resume", ["true or false", "found 'yes'"]),
        (["--cleanup", ""], "--cleanup", ["true or false", "found ''"]),
        (["--config", "none.conf"], "--config", ["'none.conf'", "file"]),
        (["--config", "."], "--config", ["'.'", "file"]),
    ],
)
def test_errors_are_one_line(script, tmp_path, words, option, mentioned):
    done = script(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"./run.sh: {option}: ")
    assert missing(done.stderr, mentioned) == []
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "pwned").exists()


def test_a_read_only_variable_is_not_silently_left(tmp_path):
    (tmp_path / "run.sh").write_text(f"readonly nj=4\n. {PARSE_OPTIONS}\necho went on\n")
    done = run(tmp_path, "--nj", "5")
    assert (done.returncode, done.stdout) == (1, "")
    assert "readonly variable" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--nj", "3", "--help", "data"]])
def test_help(script, words):
    done = script(*words)
    assert (done.returncode, done.stdout) == (
        0,
        "Usage: ./run.sh [--nj N] 100% <data>\n e.g. ./run.sh data\n",
    )


def test_help_of_a_script_without_one(tmp_path):
    (tmp_path / "run.sh").write_text(f"set -euo pipefail\n. {PARSE_OPTIONS}\n")
    done = run(tmp_path, "--help")
    assert (done.returncode, done.stdout.startswith("./run.sh: no help")) == (0, True)


def test_config_files_are_read_first_and_the_command_line_wins(script, tmp_path):
    (tmp_path / "a.conf").write_text("nj=5 # comment\nsome_name='from a'\n")
    (tmp_path / "b.conf").write_text("nj=6\nresume=true\n")
    assert values(script("--config", "a.conf")) == ["5", "from a", "", "false", "true"]
    both = values(
        script("--nj", "7", "--config", "a.conf", "--config", str(tmp_path / "b.conf"), "x")
    )
    assert both == ["7", "from a", "", "true", "true", "x"]


def test_config_comes_from_the_current_directory_and_not_from_path(script, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/a.conf").write_text("nj=666\n")
    (tmp_path / "a.conf").write_text("nj=5\n")
    assert (
        values(script("--config", "a.conf", env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}))[0]
        == "5"
    )


@pytest.mark.parametrize("strict", ["", "set -euo pipefail"])
def test_empty_cmd_is_an_error(tmp_path, strict):
    (tmp_path / "run.sh").write_text(f"{strict}\ncmd=run.py\n. {PARSE_OPTIONS}\necho $cmd\n")
    done = run(tmp_path, "--cmd", "")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("./run.sh: --cmd: ")
    assert missing(done.stderr, ["launcher", "run.py", "cmd.sh"]) == []
    done = run(tmp_path, "--cmd", "queue.pl --mem 4G")
    assert (done.returncode, done.stdout) == (0, "queue.pl --mem 4G\n")


def test_no_helper_variable_is_left(tmp_path):
    script = f"nj=1\nname=mine\n. {PARSE_OPTIONS}\necho $nj $name\nset | grep '^_po_' || true\n"
    (tmp_path / "run.sh").write_text(script)
    done = run(tmp_path, "--nj", "2")
    assert done.stdout == "2 mine\n"


def test_words_of_the_command_line_are_kept_and_are_no_option(tmp_path):
    script = f'set -u\nnj=1\n. {PARSE_OPTIONS}\nprintf "[%s]" "${{given_words[@]}}" "$@"\n'
    (tmp_path / "run.sh").write_text(script)
    done = run(tmp_path, "--nj", "2", "a  b")
    assert done.stdout == "[--nj][2][a  b][a  b]"
    done = run(tmp_path, "--given-words", "2")
    assert done.returncode == 1 and "--given-words: " in done.stderr
