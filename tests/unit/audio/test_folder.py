import os
from pathlib import Path

import pytest
from fields import fails

from sdtools.audio.folder import (
    as_word,
    check_path,
    describe_left_out,
    find_sounds,
    name_sound,
    name_sounds,
)
from sdtools.errors import SdError, SdWarning


def make(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")


def test_sound_files_are_found_with_key_and_speaker(place):
    make("a-1.wav", "b.wav", "-c.wav", "deep/er/x y.flac", "d+e/1.MP3", ".hidden.wav", "notes.txt")
    make("memo.m4a", "a-2.raw")
    Path("link").symlink_to("deep")
    Path("dangling.wav").symlink_to("nowhere")
    Path("dangling.txt").symlink_to("nowhere")
    with pytest.warns(SdWarning) as warnings:
        found = find_sounds(place)
    assert len(warnings) == 1 and warnings[0].message.who == str(place)
    expected = "3 files left out: 1 .raw, 1 unreadable, 1 .txt; the first is a-2.raw"
    assert sorted(warnings[0].message.what) == sorted(expected)  # in any order of the folder
    assert "the first is a-2.raw" in warnings[0].message.what
    assert found == sorted(found)
    assert {name_sound(path, place) for path in found} == {
        ("a-1", "a"),
        ("b", "b"),
        ("_c", "_c"),
        ("deep-er-x_y", "deep"),
        ("d_e-1", "d_e"),
        ("link-er-x_y", "link"),
        ("dangling", "dangling"),
        ("memo", "memo"),
    }


def test_links_that_lead_back_are_not_followed(place):
    make("a/a.wav", "b/b.wav")
    for name in ("a/up", "b/up"):
        Path(name).symlink_to("..")
    Path("a/other").symlink_to("../b")
    assert find_sounds(".") == [Path("a/a.wav"), Path("a/other/b.wav"), Path("b/b.wav")]


def test_pipes_are_left_out(place):
    make("a.wav")
    os.mkfifo("fifo.wav")
    with pytest.warns(SdWarning, match="1 pipes or devices; the first is fifo.wav"):
        assert find_sounds(".") == [Path("a.wav")]


def test_a_folder_without_sound(place):
    make("notes.txt")
    with fails(who=str(place), what="this folder has no sound file") as info:
        find_sounds(place)
    assert info.value.hint.startswith("1 file left out: 1 .txt; the first is notes.txt.")
    with fails(who=f"{place}/none", what="no such folder"):
        find_sounds(f"{place}/none")


HEADS = {  # the first bytes of sounds
    "wav": b"RIFF\0\0\0\0WAVEfmt ",
    "flac": b"fLaC\0",
    "sph": b"NIST_1A\n   1024\n",
    "mp3": b"\xff\xfb\x90\x00" + bytes(60),
    "ogg": b"OggS\0",
    "m4a": b"\0\0\0\x20ftypM4A ",
    "amr": b"#!AMR\n",
    "webm": b"\x1a\x45\xdf\xa3",
}


def test_suffixes_are_a_hint_and_the_first_bytes_decide(place):
    for kind, head in HEADS.items():
        for name in (f"{kind}0", f"{kind}1.dat", f"{kind}2.TXT"):
            Path(name).write_bytes(head)
    for name in ("notes", "a.json", "b.json", "list.csv", "image.dat"):
        Path(name).write_bytes(b"\xff\xd8\xff\xe0JFIF" if name == "image.dat" else b"{text}\n")
    with pytest.warns(SdWarning) as caught:
        found = find_sounds(".")
    assert len(found) == 3 * len(HEADS) and not {"notes", "image.dat"} & set(map(str, found))
    what = caught[0].message.what
    assert what.startswith("5 files left out: 2 .json, ") and what.endswith("first is a.json")
    assert all(f"1 {reason}" in what for reason in (".csv", ".dat", "without suffix"))


SUFFIXES = "wav wave bwf flac ogg oga opus mp3 mp2 aif aiff aifc au snd caf w64 rf64 sph nist wv"


def test_a_damaged_file_with_the_suffix_of_a_sound_is_left_to_the_reader(place):
    names = {f"a.{suffix}" for suffix in f"{SUFFIXES} m4a mp4 3gp aac amr webm mka wma WAV".split()}
    make(*names)
    assert set(map(str, find_sounds("."))) == names


def test_a_folder_that_cannot_be_listed_is_counted(place, monkeypatch):
    """As an owner of everything, root can list every folder."""
    make("a/1.wav", "b/2.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(SdWarning, match="1 file left out: 1 unreadable; the first is b"):
        assert find_sounds(".") == [Path("a/1.wav")]


def test_many_kinds_of_files_are_not_all_named():
    reasons = {f"{i:02}": f".{i}" for i in range(10)}
    assert describe_left_out(reasons, ".").count("1 .") == 6
    assert "4 others; the first is 00" in describe_left_out(reasons, ".")
    assert describe_left_out({}, ".") == ""


def test_names_are_unique_and_can_stand_in_wav_scp(place):
    make("ann/1.wav", "ben-1.flac")
    sounds = {"ann-1": (Path("ann/1.wav"), "ann"), "ben-1": (Path("ben-1.flac"), "ben")}
    assert name_sounds(".") == sounds
    make("ben-1.wav")
    with pytest.raises(SdError) as info:
        name_sounds(".")
    assert info.value.who == "ben-1.wav"
    assert "ben-1.flac" in info.value.what and "ben-1" in info.value.what
    Path("ben-1.wav").unlink()
    make("a\nb.wav")
    with pytest.raises(SdError, match="wav.scp"):
        name_sounds(".")


def test_words_and_paths_of_a_table():
    assert as_word(" a\tb\u00a0c\nd\x1be\u200ef\udcffg é語 ") == "a_b_c_d_e_f_g_é語"
    for path in ("a b", " x", "a:1.wav", "é|.wav", Path("a")):
        assert check_path(path) == str(path)
    for path in ("a\nb", "a |", "a:1", "a[0:1]", "\udcff"):
        with pytest.raises(SdError) as info:
            check_path(path)
        assert info.value.who == path and "wav.scp" in info.value.what
        assert all(word in info.value.need for word in ("UTF-8", "one line", "|", "]", ":number"))
