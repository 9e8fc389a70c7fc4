import subprocess
from pathlib import Path

import pytest

PARSE_OPTIONS = Path(__file__).resolve().parents[1] / "utils" / "parse_options.sh"


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
for value in "$nj" "$some_name" "$empty" "$resume" "$cleanup" "$@"; do printf '%s\\0' "$value"; done
""")

    def run(*words, env=None):
        return subprocess.run(["bash", "./run.sh", *words], cwd=tmp_path, capture_output=True, text=True, timeout=20, env=env)

    return run


def values(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\0")[:-1]


DEFAULTS = ["4", "a b", "", "false", "true"]


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], DEFAULTS),
        (["data", "--nj", "8"], [*DEFAULTS, "data", "--nj", "8"]),  # options stand before the other words
        (["", "x"], [*DEFAULTS, "", "x"]),
        (["-"], [*DEFAULTS, "-"]),
        (["--nj", "8", "--some-name", "x", "data"], ["8", "x", "", "false", "true", "data"]),
        (["--some_name", "x", "--some-name", "y"], ["4", "y", "", "false", "true"]),
        (["--resume", "true", "--cleanup", "false"], ["4", "a b", "", "true", "false"]),
        (["--resume", "false", "--cleanup", "true"], DEFAULTS),
        (["--some-name", "", "--empty", "--nj"], ["4", "", "--nj", "false", "true"]),
        (["--some-name", "--opts=a=b --x"], ["4", "--opts=a=b --x", "", "false", "true"]),
        (["--some-name", "$(touch pwned) `touch pwned` $HOME \"q\" 'r' \\n * %s\n", "*"], None),
    ],
)
def test_options_set_variables(script, tmp_path, words, expected):
    if expected is None:  # the value arrives as it was written
        expected = [DEFAULTS[0], words[1], *DEFAULTS[2:], "*"]
    assert values(script(*words)) == expected
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["--unknown", "1"], "./run.sh: --unknown: got an invalid option, need one of this script's. See ./run.sh --help"),
        (["--", "1"], "./run.sh: --: got an invalid option"),
        (["--1x", "1"], "./run.sh: --1x: got an invalid option"),
        (["--x[$(touch pwned)]", "1"], "./run.sh: --x[$(touch pwned)]: got an invalid option"),
        (["--nj[$(touch pwned)]", "1"], "./run.sh: --nj[$(touch pwned)]: got an invalid option"),
        (["--nj=a=b"], "./run.sh: --nj=a=b: got one word, need options of the form --name value. Write '--nj a=b'"),
        (["--nj"], "./run.sh: --nj: got no value, need one. Write '--nj <value>'"),
        (["--nj", "3", "--resume"], "./run.sh: --resume: got no value, need one. Write '--resume <value>'"),
        (["--config"], "./run.sh: --config: got no value, need one. Write '--config <value>'"),
        (["--nj", "x"], "./run.sh: --nj: got 'x', need a whole number. Correct the value"),
        (["--nj", ""], "./run.sh: --nj: got '', need a whole number. Correct the value"),
        (["--resume", "yes"], "./run.sh: --resume: got 'yes', need true or false. Correct the value"),
        (["--cleanup", ""], "./run.sh: --cleanup: got '', need true or false. Correct the value"),
        (["--config", "none.conf"], "./run.sh: --config: got 'none.conf', need a file that can be read. Check the path"),
        (["--config", "."], "./run.sh: --config: got '.', need a file that can be read. Check the path"),
    ],
)
def test_errors_are_one_line(script, tmp_path, words, message):
    done = script(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "pwned").exists()


def test_a_read_only_variable_is_not_silently_left(tmp_path):
    (tmp_path / "run.sh").write_text(f"readonly nj=4\n. {PARSE_OPTIONS}\necho went on\n")
    done = subprocess.run(["bash", "run.sh", "--nj", "5"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "readonly variable" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--nj", "3", "--help", "data"]])
def test_help(script, words):
    done = script(*words)
    assert (done.returncode, done.stdout) == (0, "Usage: ./run.sh [--nj N] 100% <data>\n e.g. ./run.sh data\n")


def test_help_of_a_script_without_one(tmp_path):
    (tmp_path / "run.sh").write_text(f"set -euo pipefail\n. {PARSE_OPTIONS}\n")
    done = subprocess.run(["bash", "run.sh", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.startswith("run.sh: no help; ")) == (0, True)


def test_config_files_are_read_first_and_the_command_line_wins(script, tmp_path):
    (tmp_path / "a.conf").write_text("nj=5 # comment\nsome_name='from a'\n")
    (tmp_path / "b.conf").write_text("nj=6\nresume=true\n")
    assert values(script("--config", "a.conf")) == ["5", "from a", "", "false", "true"]
    both = values(script("--nj", "7", "--config", "a.conf", "--config", str(tmp_path / "b.conf"), "x"))
    assert both == ["7", "from a", "", "true", "true", "x"]


def test_config_comes_from_the_current_directory_and_not_from_path(script, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/a.conf").write_text("nj=666\n")
    (tmp_path / "a.conf").write_text("nj=5\n")
    assert values(script("--config", "a.conf", env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}))[0] == "5"


@pytest.mark.parametrize("strict", ["", "set -euo pipefail"])
def test_empty_cmd_is_an_error(tmp_path, strict):
    (tmp_path / "run.sh").write_text(f"{strict}\ncmd=run.py\n. {PARSE_OPTIONS}\necho $cmd\n")
    command = ["bash", "run.sh", "--cmd"]
    done = subprocess.run([*command, ""], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "run.sh: --cmd: got an empty value, need a launcher such as run.py. Check cmd.sh\n")
    done = subprocess.run([*command, "queue.pl --mem 4G"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "queue.pl --mem 4G\n")


def test_no_helper_variable_is_left(tmp_path):
    (tmp_path / "run.sh").write_text(f"nj=1\nname=mine\n. {PARSE_OPTIONS}\necho $nj $name\nset | grep '^_po_' || true\n")
    done = subprocess.run(["bash", "run.sh", "--nj", "2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2 mine\n"


def test_words_of_the_command_line_are_kept_and_are_no_option(tmp_path):
    (tmp_path / "run.sh").write_text(f'set -u\nnj=1\n. {PARSE_OPTIONS}\nprintf \'[%s]\' "${{given_words[@]}}" "$@"\n')
    done = subprocess.run(["bash", "run.sh", "--nj", "2", "a  b"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[--nj][2][a  b][a  b]"
    done = subprocess.run(["bash", "run.sh", "--given-words", "2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "--given-words: got an invalid option" in done.stderr
