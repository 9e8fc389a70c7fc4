from pathlib import Path

import numpy as np
import pytest
import soundfile
from scripts import run_script

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "local" / "augment_codecs.py"
RATE_HZ = 16000


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    samples = 0.3 * np.random.default_rng(0).standard_normal((2, RATE_HZ)).clip(-3, 3)
    for name, row in zip("ab", samples):
        soundfile.write(tmp_path / f"{name}.wav", row, RATE_HZ)
    (folder / "wav.scp").write_text(f"s1-a {tmp_path}/a.wav\ns2-b {tmp_path}/b.wav\n")
    (folder / "utt2spk").write_text("s1-a s1\ns2-b s2\n")
    (folder / "utt2label").write_text("s1-a genuine\ns2-b spoof\n")
    return folder


def lines(path):
    return [line.split(" ", 1) for line in path.read_text().splitlines()]


def test_each_recording_gets_a_copy_by_codec_with_its_values(data):
    result = run_script(SCRIPT, "--codecs", "opus,g711", data)
    assert result.returncode == 0, result.stderr
    assert "4 copies of 2 recordings" in result.stderr
    rows = ["s1-a", "s1-a-g711", "s1-a-opus", "s2-b", "s2-b-g711", "s2-b-opus"]
    for name in ("wav.scp", "utt2spk", "utt2label", "utt2coding"):
        assert [key for key, _ in lines(data / name)] == rows
    assert [label for _, label in lines(data / "utt2label")] == ["genuine"] * 3 + ["spoof"] * 3
    assert [coding for _, coding in lines(data / "utt2coding")] == ["-", "alaw", "opus"] * 2
    assert (data / "spk2utt").read_text().startswith("s1 s1-a s1-a-g711 s1-a-opus\n")
    wavs = dict(lines(data / "wav.scp"))
    source = soundfile.read(wavs["s1-a"])[0]
    for utt, most in (("s1-a-opus", 0.9), ("s1-a-g711", 0.6)):
        copy, rate_hz = soundfile.read(wavs[utt])
        assert (len(copy), rate_hz) == (len(source), RATE_HZ)
        assert 0.3 < np.corrcoef(copy, source)[0, 1] ** 2 < most


@pytest.mark.parametrize("text", ["s1-a genuine\n", "s1-a genuine\ns2-b spoof\ns1-a spoof\n"])
def test_tables_that_do_not_fit_are_one_line(data, text):
    (data / "utt2label").write_text(text)
    result = run_script(SCRIPT, "--codecs", "mp3", data)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"{data}/utt2label" in result.stderr
    assert ("s2-b" in result.stderr) != ("s1-a again" in result.stderr)
    assert not (data / "coded").exists()


def test_copies_of_copies_and_unknown_codecs_are_refused(data):
    assert run_script(SCRIPT, "--codecs", "mp3", data).returncode == 0
    before = (data / "wav.scp").read_bytes()
    again = run_script(SCRIPT, "--codecs", "mp3", data)
    assert again.returncode == 1 and "already has the copy s1-a-mp3" in again.stderr
    unknown = run_script(SCRIPT, "--codecs", "none", data)
    assert unknown.returncode == 1 and "'none'" in unknown.stderr
    assert (data / "wav.scp").read_bytes() == before
