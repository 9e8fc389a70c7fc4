"""Signals, warnings and the place for compiled loops."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from sdtools.cli.command import Command


def test_sigterm_ends_through_the_with_blocks(tmp_path):
    """A command that is told to end leaves neither its output nor a temporary file."""
    code = (
        "import sys, time\nfrom sdtools.cli.command import Command\n"
        "from sdtools.tables.table import open_writer\n"
        "def body(context):\n"
        f"    with open_writer('ark:{tmp_path}/x.ark'):\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(30)\n"
        "sys.exit(Command('sd-try', '', (), '').run(body, []))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(25) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_in_a_callback_of_a_library_is_not_lost(tmp_path, signum, status):
    code = (
        "import ctypes, sys, time\nfrom sdtools.cli.command import Command\n"
        "from sdtools.tables.table import open_writer\n"
        "def sleep():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
        "def body(context):\n"
        f"    with open_writer('ark:{tmp_path}/x.ark'):\n"
        "        ctypes.CFUNCTYPE(None)(sleep)()\n"
        "        time.sleep(30)\n"
        "sys.exit(Command('sd-try', '', (), '').run(body, []))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signum)
        assert "Traceback" not in process.communicate(timeout=25)[1]
        assert process.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_what_else_a_library_swallows_is_shown():
    code = (
        "import ctypes, sys\nfrom sdtools.cli.command import Command\n"
        "fail = ctypes.CFUNCTYPE(None)(lambda: 1 / 0)\n"
        "sys.exit(Command('sd-try', '', (), '').run(lambda context: fail(), []))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and "ZeroDivisionError" in result.stderr


def test_lines_of_the_library_are_lines_of_the_command(capsys):
    def body(context):
        logging.getLogger("sdtools").warning("compiling")

    assert Command("sd-try", "", (), "").run(body, ["--print-args=false"]) == 0
    assert capsys.readouterr().err == "LOG (sd-try) compiling\n"
    assert logging.getLogger("sdtools").handlers == []
