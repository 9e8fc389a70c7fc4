import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sdtools.streams import Input, TableError, open_input, open_output, split_offset

U1 = np.dtype("u1")


@pytest.mark.parametrize(
    ("rxfilename", "parts"),
    [
        ("a.ark:12", ("a.ark", 12)),
        ("a:1:20", ("a:1", 20)),
        ("a.ark", ("a.ark", 0)),
        ("a:b", ("a:b", 0)),
        (":5", (":5", 0)),
        ("a:1.5", ("a:1.5", 0)),
    ],
)
def test_offset_is_the_number_after_the_last_colon(rxfilename, parts):
    assert split_offset(rxfilename) == parts


def test_file_pipe_and_offset_give_the_same_bytes(tmp_path):
    path = tmp_path / "f"
    data = bytes(range(256)) * 40
    path.write_bytes(data)
    for name, start in ((str(path), 0), (f"cat {path} |", 0), (f"{path}:700", 700)):
        with open_input(name) as source:
            assert source.read(5) == data[start : start + 5]
            assert source.read_array(U1, (9000,)).tobytes() == data[start + 5 : start + 9005]
            assert source.where == f"{name.split(':')[0]}:{start + 9005}"


def test_seeks_near_and_far_go_to_the_same_byte(tmp_path):
    (tmp_path / "f").write_bytes(bytes(range(256)) * 40)
    with open_input(str(tmp_path / "f")) as source:
        for offset in (3, 100, 5000, 2, 2, 511, 512, 1024, 10239):
            source.seek(offset)
            assert source.read(1) == bytes([offset % 256])


def test_standard_input_and_output_stay_open(monkeypatch):
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"in")))
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("sys.stdout", stdout)
    with open_input("-") as source, open_output("-") as file:
        file.write(source.read(2))
    assert stdout.buffer.getvalue() == b"in"
    assert not stdin.buffer.closed


@pytest.mark.parametrize("where", ["{}", "cat {} |"])
def test_claims_beyond_the_end_are_refused_without_taking_memory(tmp_path, where):
    (tmp_path / "f").write_bytes(b"12345678")
    message = r"f( \|)?:0: data: got 8 bytes, need 4611686014132420609; the file is cut short"
    with open_input(where.format(tmp_path / "f")) as source, pytest.raises(TableError, match=message):
        source.read_array(U1, (2**31 - 1, 2**31 - 1))


def test_short_reads_say_how_much_is_missing(tmp_path):
    (tmp_path / "f").write_bytes(b"12345678")
    with open_input(str(tmp_path / "f")) as source:
        source.read(6)
        with pytest.raises(TableError, match="f:6: data: got 2 bytes, need 3; the file is cut short or damaged. Write it again"):
            source.read(3)
    with open_input(str(tmp_path / "f")) as source, pytest.raises(TableError, match="got 8 bytes, need a newline after them"):
        source.read_line()


def test_file_that_shrinks_while_it_is_read_is_short(tmp_path):
    (tmp_path / "f").write_bytes(bytes(5000))
    with open_input(str(tmp_path / "f")) as source:
        os.truncate(tmp_path / "f", 1000)
        with pytest.raises(TableError, match="got 1000 bytes, need 5000"):
            source.read_array(U1, (5000,))


@pytest.mark.parametrize("name", ["absent", ".", "nul\0byte"])
def test_input_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError, match=re.escape(name) + ": got .*, need a readable file. Check the path"):
        Input(name)


@pytest.mark.parametrize("name", ["absent/x", ".", "nul\0byte"])
def test_output_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    message = re.escape(name) + ": write: got .*, need a place to write to. Check path, rights and room"
    with pytest.raises(TableError, match=message), open_output(name):
        pass


def test_offset_past_the_end_is_refused(tmp_path):
    (tmp_path / "f").write_bytes(b"12345678")
    with pytest.raises(TableError, match="f: offset: got 8, need less than 8; it belongs to another archive"):
        Input(f"{tmp_path}/f:8")


def test_failing_command_is_an_error_when_reading_and_writing():
    message = r"^echo x; exit 3 \|: exit status of the command: got 3, need 0. Run it by itself"
    with pytest.raises(TableError, match=message), open_input("echo x; exit 3 |") as source:
        source.read(2)
    with pytest.raises(TableError, match="exit status of the command: got 4, need 0"), open_output("| cat; exit 4") as file:
        file.write(b"")


def test_command_may_be_forbidden(tmp_path):
    with pytest.raises(TableError, match="got a command, need a file. Say --allow-pipes=true if you trust the script file"):
        Input(f"touch {tmp_path}/ran |", allow_pipes=False)
    assert not (tmp_path / "ran").exists()


def test_command_that_says_more_than_is_read_still_ends_well():
    with open_input("seq 100000 |") as source:
        assert source.read_line() == b"1\n"


def test_leaving_by_an_exception_does_not_wait_for_the_command():
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError), open_input("exec sleep 60 |"), open_output("| exec sleep 60"):
        raise ZeroDivisionError
    assert time.monotonic() - started < 30


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
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_output_keeps_links_and_the_usual_rights(tmp_path):
    (tmp_path / "storage").mkdir()
    (tmp_path / "f").symlink_to("storage/g")
    with open_output(str(tmp_path / "f")) as file:
        file.write(b"data")
    (tmp_path / "plain").touch()
    assert (tmp_path / "f").is_symlink()
    assert (tmp_path / "storage/g").read_bytes() == b"data"
    assert (tmp_path / "storage/g").stat().st_mode == (tmp_path / "plain").stat().st_mode


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


def test_full_disk_is_an_error():
    with pytest.raises(TableError, match="^/dev/full: write: got 'No space left on device'"), open_output("/dev/full") as file:
        file.write(b"data")


def test_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    code = f"""
import time
from sdtools.streams import open_output
with open_output({str(path)!r}) as file:
    file.write(bytes(9999))
    file.flush()
    print(flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
