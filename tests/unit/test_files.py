import os
import signal
import subprocess
import sys

import pytest
from fields import fails

from sdtools.files import WholeFile, open_whole, whole_folder


def write(path, data):
    with open_whole(path) as file:
        file.write(data)


def raise_one(failures):
    """Raise the next error, if there is one."""
    if failures:
        raise failures.pop()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_whole(path) as file:
        file.write(b"half")
        file.flush()
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with open_whole(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as info:
        write(tmp_path / "absent/x", b"")
    assert str(tmp_path / "absent") in info.value.filename


def test_links_and_the_usual_rights_are_kept(tmp_path):
    (tmp_path / "storage").mkdir()
    (tmp_path / "f").symlink_to("storage/g")
    write(tmp_path / "f", b"data")
    (tmp_path / "plain").touch()
    assert (tmp_path / "f").is_symlink()
    assert (tmp_path / "storage/g").read_bytes() == b"data"
    assert (tmp_path / "storage/g").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(0o664)
    write(tmp_path / "x", b"1")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "\U0001f3b5" * 63])
def test_long_names_are_written(tmp_path, name):
    write(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]


def test_a_file_is_written_once_at_a_time_whatever_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("x", "link")
    with open_whole("x") as file:
        file.write(b"1")
        for name in ("./x", "link", str(tmp_path / "x")):
            with fails(who=name, what="this file is being written already"):
                WholeFile(name)
    with pytest.raises(ZeroDivisionError), open_whole("link"):
        raise ZeroDivisionError
    write("./x", b"2")
    assert (tmp_path / "x").read_bytes() == b"2"


def test_killed_writer_leaves_the_old_file_and_the_next_write_removes_its_temporary_one(
    tmp_path, monkeypatch
):
    (tmp_path / "f").write_text("old")
    code = """
import sys
from sdtools.files import open_whole
with open_whole(sys.argv[1]) as file:
    file.write(bytes(9999))
    file.flush()
    print(flush=True)
    file.write(input().encode())
"""

    def start(name):
        command = [sys.executable, "-c", code, tmp_path / name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        return process

    with start("f") as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "f").read_text() == "old"
    (left,) = tmp_path.glob(".f.*")
    with start("z") as process:
        # as in another container of the same host name, where no process can be looked for
        monkeypatch.setattr("os.kill", lambda *_: raise_one([ProcessLookupError()]))
        write(tmp_path / "y", b"2")
        monkeypatch.undo()
        assert not left.exists()
        process.communicate(b"alive\n")
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {"f": b"old", "y": b"2", "z": bytes(9999) + b"alive"}


def test_an_interrupt_between_two_steps_of_opening_leaves_no_temporary_file(tmp_path):
    code = """
import sys
from sdtools.files import WholeFile, fcntl

def flock(*_):
    raise KeyboardInterrupt

fcntl.flock = flock
WholeFile(sys.argv[1])
"""
    command = [sys.executable, "-c", code, tmp_path / "x"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "KeyboardInterrupt" in result.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [BlockingIOError, OSError])
def test_a_lock_that_fails_harms_nothing(tmp_path, monkeypatch, error):
    left = tmp_path / ".x.sd-0123456789abcdef.tmp"
    left.touch()
    failures = [error(), error()]  # of the look for leftovers, of the first temporary file
    monkeypatch.setattr("fcntl.flock", lambda *_: raise_one(failures))
    write(tmp_path / "y", b"2")
    assert (left.exists(), (tmp_path / "y").read_bytes()) == (True, b"2")


def test_a_temporary_file_that_is_removed_before_its_lock_is_made_again(tmp_path, monkeypatch):
    def remove(file, _):
        monkeypatch.undo()
        os.unlink(file.name)

    monkeypatch.setattr("fcntl.flock", remove)
    write(tmp_path / "y", b"2")
    assert (tmp_path / "y").read_bytes() == b"2"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "above/folder"
    with whole_folder(path) as new:
        (new / "a").write_text("1")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), whole_folder(path) as new:
        (new / "b").write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in path.iterdir()] == ["a"]
    with whole_folder(path) as new:
        (new / "c").write_text("2")
        assert [p.name for p in path.iterdir()] == ["a"]
    assert [p.name for p in path.iterdir()] == ["c"]
    assert os.listdir(tmp_path / "above") == ["folder"]


def test_a_folder_behind_a_link_and_what_a_killed_process_left(tmp_path):
    (tmp_path / "link").symlink_to("folder")
    for word in ("tmp", "old"):
        (tmp_path / f".folder.{word}/left").mkdir(parents=True)
    with whole_folder(tmp_path / "link") as new:
        (new / "a").write_text("1")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]
    assert os.listdir(tmp_path / "folder") == ["a"]
