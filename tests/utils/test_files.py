"""utils/files.py and utils/messages.py: whole files, rendering of errors."""

import os

import pytest
from data_dirs import load, read, write

FILES, MESSAGES = load("files"), load("messages")


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"what": "the file is empty"}, "a: the file is empty"),
        ({"what": "the file is empty", "hint": "Check it"}, "a: the file is empty. Check it."),
        ({"what": "rate", "got": 8, "need": 16}, "a: rate: expected 16, found 8"),
        ({"what": "rate", "need": 16, "hint": "Change it"}, "a: rate: expected 16. Change it."),
        ({"what": "rate", "got": 0}, "a: rate: found 0"),
    ],
)
def test_problem_is_one_sentence(fields, text):
    assert str(MESSAGES.Problem("a", **fields)) == text


@pytest.mark.parametrize("shown", ["ä b", "你"])
def test_letters_are_printable(shown):
    assert MESSAGES.printable(shown) == shown


def test_control_characters_and_bytes_are_escaped():
    assert MESSAGES.printable("a\n\x1b\u00a0\udce4") == r"a\n\x1b\xa0\udce4"


def test_files_change_together_after_all_are_on_the_disk(tmp_path, monkeypatch):
    write(tmp_path, {"a": "old", "b": "old", "gone": "old"})
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(read(tmp_path)))
    names = {"a": b"new a", "gone": None, "b": b"new b"}
    FILES.write_whole({tmp_path / name: content for name, content in names.items()})
    assert [{name: now[name] for name in ("a", "b", "gone")} for now in seen] == [
        {"a": "old", "b": "old", "gone": "old"}
    ] * 2
    assert read(tmp_path) == {"a": "new a", "b": "new b"}


def test_nothing_changes_if_one_file_cannot_be_written(tmp_path):
    write(tmp_path, {"a": "old"})
    with pytest.raises(FileNotFoundError):
        FILES.write_whole({tmp_path / "a": b"new", tmp_path / "no/b": b"new"})
    assert read(tmp_path) == {"a": "old"}


def test_names_may_have_the_greatest_length(tmp_path):
    names = ["ä" * 127 + end for end in "xy"]
    FILES.write_whole({tmp_path / name: name.encode() for name in names})
    assert read(tmp_path) == {name: name for name in names}


def test_leftovers_of_dead_processes_of_this_host_are_removed(tmp_path):
    dead, host = 2**22 + 1, os.uname().nodename
    kept = [f".a.{host}-{os.getpid()}-0.tmp", f".a.other-{dead}-0.tmp", f"a.{host}-{dead}-0.tmp"]
    write(tmp_path, dict.fromkeys([*kept, f".a.{host}-{dead}-7.tmp"], "x"))
    FILES.remove_leftovers(tmp_path)
    assert sorted(read(tmp_path)) == sorted(kept)
