"""What the scripts of local/ share."""

import subprocess
import sys
from pathlib import Path

import pytest
from scripts import run_script

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path
    for path in (ROOT / "local").glob("*.py")
    if path.name not in ("script.py", "synth_speech.py")
)
HEAD = f"import sys\nsys.path.insert(0, {str(ROOT / 'local')!r})\nfrom script import *\n"


def run(tmp_path, body, *argv):
    """Run a script whose body is this text."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"{HEAD}import warnings\ndef body(args):\n{lines}\nscript = Script('try.py', None)\n"
    code += "script.add_argument('--num', type=whole_number)\n"
    (tmp_path / "try.py").write_text(f"{code}script.run(body)\n")
    return run_script(tmp_path / "try.py", *argv)


def test_a_warning_of_a_library_is_one_line(tmp_path):
    done = run(tmp_path, "warnings.warn('two\\nlines')")
    assert (done.returncode, done.stderr) == (0, "try.py: warning: two lines\n")


def test_warnings_can_name_a_place(tmp_path):
    done = run(tmp_path, "with script.warnings('cf_sd6'):\n    warnings.warn('few trials')")
    assert done.stderr == "try.py: warning: cf_sd6: few trials\n"


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ("raise OSError(2, 'No such file or directory', 'x')", 1, "x: No such file or directory"),
        ("raise ValueError('two\\nlines')", 1, "two lines"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_what_ends_a_script_is_one_line(tmp_path, body, status, line):
    done = run(tmp_path, body)
    assert (done.returncode, done.stderr) == (status, f"try.py: {line}\n")


@pytest.mark.parametrize("number", ["1_0", "x", "1.5", "\u0661"])
def test_what_is_no_whole_number(tmp_path, number):
    done = run(tmp_path, "pass", f"--num={number}")
    assert done.returncode == 1 and number in done.stderr and done.stderr.count("\n") == 1
    assert run(tmp_path, "print(args.num)", "--num=-7").stdout == "-7\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_ends_with_one_line_in_one_form(path):
    done = run_script(path, "--no-such-option")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"{path.name}: ") and done.stderr.count("\n") == 1


def test_warnings_of_worker_processes(tmp_path):
    """Those of numpy, whose process has filters of its own."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'local')!r})\n"
        "import warnings, prepare_mini_replay as made\n"
        "made.write_utterance = lambda *_: warnings.warn('a library warns', RuntimeWarning)\n"
        "made.write_reporting(type('U', (), {'name': 'T_1'}), None, None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "prepare_mini_replay.py: warning: T_1: a library warns\n"
