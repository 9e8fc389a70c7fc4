import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fields import fails

from sdtools.tables import output
from sdtools.tables.output import Output, check_output, open_output

FULL = "cannot write: No space left on device"
ABSENT = "cannot write: No such file or directory"
CODE = """
import sys
from sdtools.tables.output import open_output
try:
    with open_output(sys.argv[1]) as file:
        for _ in range(int(sys.argv[2])):
            file.write(b"new")
except ValueError as e:
    print(e, file=sys.stderr)
    raise SystemExit(1)
"""


def run(shell, folder, **options):
    """Run a line of shell in which `write NAME COUNT` writes "new" COUNT times."""
    environment = {**os.environ, "PYTHON": sys.executable, "CODE": CODE}
    shell = 'write() { "$PYTHON" -c "$CODE" "$@"; }; set -o pipefail; ' + shell
    command = ["bash", "-c", shell]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60, **options
    )


def test_standard_output_stays_open():
    code = CODE + "print('more')"
    command = [sys.executable, "-c", code, "-", "1"]
    result = subprocess.run(command, capture_output=True)
    assert (result.stdout, result.stderr) == (b"newmore\n", b"")


@pytest.mark.parametrize(
    ("shell", "what"),
    [
        ("write - 300000 | head -c 20 > head", "the reading program ended before"),
        ("write - 300000 > /dev/full", FULL),
        ("write - 1 >&-", "it is closed"),
    ],
)
def test_standard_output_that_takes_nothing_is_one_error(tmp_path, shell, what):
    result = run(shell, tmp_path)
    assert result.returncode == 1
    assert re.fullmatch(rf"standard output: {what}.*\n", result.stderr)


@pytest.mark.parametrize("command", ["head -c 20 > /dev/null", "true", "exec <&-; sleep 0.2"])
def test_command_that_ends_before_the_data_is_an_error(command):
    what = "the command ended before it had read all data"
    with fails(who=f"| {command}", what=what), open_output(f"| {command}") as file:
        for _ in range(1000):
            file.write(bytes(1000))


def test_status_of_the_command_comes_before_a_broken_pipe():
    with fails(who="| exit 5", got=5, need=0), open_output("| exit 5") as file:
        file.write(bytes(1_000_000))
    with fails(got=4, need=0), open_output("| cat; exit 4") as file:
        file.write(b"")


def test_slow_reader_gets_everything(tmp_path):
    with open_output(f"| sleep 0.2; cat > {tmp_path}/x") as file:
        file.write(bytes(1000))
    assert (tmp_path / "x").stat().st_size == 1000


@pytest.mark.parametrize("num_bytes", [4, 1 << 20])
def test_full_disk_is_an_error_inside_the_block_and_at_its_end(num_bytes):
    with fails(who="/dev/full", what=FULL), open_output("/dev/full") as file:
        file.write(bytes(num_bytes))


def test_other_files_keep_their_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"), open_output(f"{tmp_path}/x"):
        open("absent")  # noqa: SIM115
    assert os.listdir(tmp_path) == []


def test_command_in_a_script_file_may_be_forbidden(tmp_path):
    name = f"| touch {tmp_path}/ran"
    with fails(who=name, hint=re.compile("--allow-pipes=true")):
        Output(name, allow_pipes=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["absent/x", ".", "nul\0byte"])
def test_output_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with fails(who=name, what=re.compile("^cannot write: ."), hint=re.compile("free space")):
        Output(name)


@pytest.mark.parametrize("name", ["x:12", "cat x |"])
def test_names_that_a_reader_takes_for_something_else_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with fails(who=name, hint="Rename it"):
        Output(name)


def test_output_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_output(str(path)) as file:
        file.write(b"half")
        file.flush()
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with open_output(str(path)) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_what_is_no_regular_file_is_written_in_place(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    with open_output(str(tmp_path / "fifo")) as file:
        file.write(b"data")
    reader.join()
    assert got == [b"data"]
    with open_output("/dev/null") as file:
        file.write(b"data")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("write /dev/stdout 1 | cat > o", "new"),
        ("echo old > o; write /dev/stdout 1 >> o", "old\nnew"),
        ("{ echo old; write /dev/stdout 1; echo end; } > o", "old\nnewend\n"),
        ("write /dev/stderr 1 2> o", "new"),
        ("write /proc/self/fd/7 1 7> o", "new"),
        ("write >(cat > o) 1; until [ -s o ]; do sleep 0.01; done", "new"),
        ("write o 1 >&-", "new"),
    ],
)
def test_what_is_open_already_is_written_where_it_stands(tmp_path, shell, text):
    assert run(shell, tmp_path).returncode == 0
    assert (tmp_path / "o").read_text() == text
    assert os.listdir(tmp_path) == ["o"]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with fails(who=f"{tmp_path}/none/x", what=ABSENT):
        check_output(f"{tmp_path}/none/x")
    for name in ("-", "| cat", "/dev/null", f"{tmp_path}/x"):
        check_output(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ark:x", "ark,t:x", "scp,p:x", "t,ark:x"])
def test_the_name_of_a_table_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for use in (Output, check_output):
        with fails(who=name, hint=re.compile("colon")):
            use(name)
    assert list(tmp_path.iterdir()) == []


def test_a_named_pipe_waits_for_its_reader(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = subprocess.Popen(["sh", "-c", "sleep 0.3; cat fifo > copy"], cwd=tmp_path)
    with open_output(str(tmp_path / "fifo")) as file:
        file.write(bytes(256_000))
    assert reader.wait() == 0 and (tmp_path / "copy").read_bytes() == bytes(256_000)


def test_a_named_pipe_without_a_reader_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "FIFO_PATIENCE_SEC", 0.1)
    os.mkfifo("fifo")
    with fails(who="fifo", what="no program has read this pipe for 0.1 s"):
        Output("fifo")
