import os
from pathlib import Path

import pytest

from sdtools.audio.folder import as_word, check_path, find_sounds, name_sound, name_sounds
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
    with pytest.warns(SdWarning) as warnings:
        found = find_sounds(place)
    assert len(warnings) == 1 and warnings[0].message.who == str(place)
    assert "1 file" in warnings[0].message.what and "memo.m4a" in warnings[0].message.what
    assert found == sorted(found)
    assert {name_sound(path, place) for path in found} == {
        ("a-1", "a"),
        ("b", "b"),
        ("_c", "_c"),
        ("deep-er-x_y", "deep"),
        ("d_e-1", "d_e"),
        ("link-er-x_y", "link"),
        ("dangling", "dangling"),
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
    with pytest.warns(SdWarning, match="fifo.wav"):
        assert find_sounds(".") == [Path("a.wav")]


def test_a_folder_without_sound(place):
    make("notes.txt")
    with pytest.raises(SdError) as info:
        find_sounds(place)
    assert info.value.who == str(place) and "no sound file" in info.value.what


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
