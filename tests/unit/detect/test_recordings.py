"""What the names on a command line stand for: in order, counted, and checked before work begins."""

import os
import subprocess
import sys

import pytest
from fields import fails

from sdtools.detect.recordings import Recording, find_recordings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds/deep").mkdir(parents=True)
    for name in ("b.wav", "a.wav", "deep/c.flac"):
        (tmp_path / "sounds" / name).touch()
    (tmp_path / "wav.scp").write_text("u1 x.wav\nu2 cat y.wav |\n")
    return tmp_path


def test_files_folders_and_script_files_in_order(folder):
    recordings, total = find_recordings(["z.wav", "sounds", "scp:wav.scp", "-"])
    assert list(recordings) == [
        ("z.wav", None),
        ("sounds/a.wav", None),
        ("sounds/b.wav", None),
        ("sounds/deep/c.flac", None),
        ("x.wav", "u1"),
        ("cat y.wav |", "u2"),
        ("-", None),
    ]
    assert total == 7


def test_a_list_from_a_pipe_is_read_once(folder):
    recordings, total = find_recordings(["scp:cat wav.scp |", "z.wav"])
    assert (len(list(recordings)), total) == (3, None)
    code = (
        "from sdtools.detect.recordings import find_recordings as f;"
        "r, n = f(['scp:-']); print(n, [x.utt for x in r])"
    )
    with open("wav.scp") as file:
        out = subprocess.check_output([sys.executable, "-c", code], stdin=file, text=True)
    assert out == "None ['u1', 'u2']\n"


def test_a_script_file_is_not_held_in_memory(folder):
    """It is read while the recordings are judged."""
    recordings, _ = find_recordings(["scp:wav.scp"])
    assert next(recordings) == ("x.wav", "u1")
    with open("wav.scp", "ab") as file:
        file.write(b"u3 w.wav\n" * 10000)
    assert sum(1 for _ in recordings) >= 1


@pytest.mark.parametrize(
    ("names", "who"),
    [
        ([""], "sound file"),
        (["sounds", "absent"], None),
        (["x.wav", "empty"], "empty"),
        (["x.wav", "scp:absent.scp"], "absent.scp"),
        (["x.wav", "scp:bad.scp"], "bad.scp:2"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_recording(folder, names, who):
    os.mkdir("empty")
    (folder / "bad.scp").write_text("u1 x.wav\nu2\n")
    if who is None:  # a missing sound file is one recording that cannot be read
        assert find_recordings(names)[1] == 4
        return
    with fails(who=who):
        find_recordings(names)


def test_names():
    assert Recording("take 1.wav").name == "take 1.wav"
    assert Recording("take 1.wav").key == "take_1.wav"
    assert Recording("take 1.wav", "u1").name == "u1 take 1.wav"
    assert Recording("take 1.wav", "u1").key == "u1"
