import numpy as np
import pytest

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.errors import SdError
from sdtools.replay.copies import Copies
from sdtools.replay.simulation import SimulationOptions, simulate_replay
from sdtools.tables.table import Entry

SAMPLES = 0.1 * np.random.default_rng(0).standard_normal(4000)


def entry(key, samples=SAMPLES):
    return Entry(key, "", lambda: (samples, 8000))


def test_copies_become_files_and_tables(tmp_path):
    options = SimulationOptions(copies=2, codecs=("8k", "none"))
    copies = Copies(tmp_path, options, {"u": "ann"})
    for key in ("u", "v"):
        copies.keep(key, copies.make(entry(key)))
    assert copies.tables["utt2spk"] == {"u-r1": "ann", "u-r2": "ann", "v-r1": "v", "v-r2": "v"}
    assert copies.tables["utt2source"]["v-r2"] == "v"
    assert set(copies.tables["utt2label"].values()) == {"spoof"}
    assert list(copies.devices) == [8000]
    copy, attack = simulate_replay(SAMPLES, 8000, options, key="v", number=2)
    path = copies.tables["wav.scp"]["v-r2"]
    write_audio(tmp_path / "same.wav", copy, 8000)
    assert np.array_equal(load_audio(path)[0], load_audio(tmp_path / "same.wav")[0])
    for name, word in attack.conditions.items():
        assert copies.tables[f"utt2{name}"]["v-r2"] == word


def test_a_copy_that_exists_is_not_made_again(tmp_path):
    copies = Copies(tmp_path, SimulationOptions(), {})
    (tmp_path / "u-r1.wav").write_text("old")
    assert "u-r1" in copies.make(entry("u", np.zeros(10)))
    assert (tmp_path / "u-r1.wav").read_text() == "old"


def test_keys_that_are_refused(tmp_path):
    copies = Copies(tmp_path, SimulationOptions(), {})
    with pytest.raises(SdError) as info:
        copies.make(entry("a/b"))
    assert info.value.who == "key" and "/" in info.value.what
    copies.keep("u", copies.make(entry("u")))
    with pytest.raises(SdError) as info:
        copies.keep("u", copies.make(entry("u")))
    assert info.value.who == "key" and "twice" in info.value.what
