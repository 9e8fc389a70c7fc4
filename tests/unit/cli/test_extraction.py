"""The loop over recordings, with a feature of our own: the peak of every 100 samples."""

import numpy as np
import pytest

from sdtools.audio import decoding as audio
from sdtools.cli import extraction
from sdtools.cli.command import Command
from sdtools.tables import table as tables

LENGTHS = {"a": 300, "b": 1000, "c": 250}


def peaks(samples):
    blocks = samples[: len(samples) // 100 * 100].reshape(-1, 100)
    return {
        ("peak", 1): np.float32(abs(blocks).max(axis=1, keepdims=True)),
        ("half", 1): np.float32(blocks[:, :1]),
    }


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A command that writes both, in a directory with three recordings."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for key, num_samples in LENGTHS.items():
        audio.write_audio(f"{key}.wav", rng.uniform(-0.5, 0.5, num_samples), 8000)
    (tmp_path / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in LENGTHS))
    command = Command("sd-x", "", ("<wav-rspecifier>", "<wspecifier>"), "", extraction.OPTIONS)

    def body(context):
        rspecifier, wspecifier = context.positionals
        outputs = extraction.fill(wspecifier, feature=("peak", "half"), order=(1,))
        return extraction.run(context, rspecifier, outputs, peaks, lambda name: ())

    return lambda *argv: command.run(body, ["--print-args=false", *argv])


@pytest.mark.parametrize("num_threads", [1, 3])
def test_features_numbers_of_frames_and_durations_of_every_recording(run, tmp_path, num_threads):
    options = [
        f"--num-threads={num_threads}",
        "--write-num-frames=ark,t:frames",
        "--write-utt2dur=ark,t:dur",
        "--sample-rate-hz=8000",
    ]
    assert run(*options, "scp:wav.scp", "ark:{feature}_{order}.ark") == 0
    for feature in ("peak", "half"):
        with tables.open_table(f"ark:{feature}_1.ark") as table:
            got = {entry.key: entry.load() for entry in table}
        assert list(got) == list(LENGTHS)
        for key in LENGTHS:
            np.testing.assert_array_equal(
                got[key], peaks(audio.load_audio(f"{key}.wav")[0])[feature, 1]
            )
    assert (tmp_path / "frames").read_text() == "a 3 \nb 10 \nc 2 \n"
    assert (tmp_path / "dur").read_text() == "a 0.0375 \nb 0.125 \nc 0.03125 \n"
    assert "--sample-rate-hz=8000\n" in (tmp_path / "half_1.ark.conf").read_text()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["scp:wav.scp", "ark:{feature}.ark"],
            "a (wav.scp:1): a.wav: sample rate: got 8000 Hz, need 16000 Hz",
        ),
        (
            ["--sample-rate-hz=8000", "scp:wav.scp", "ark:x.ark"],
            "need {feature} and {order} in each file, or one feature and one order",
        ),
        (
            ["--sample-rate-hz=0", "scp:wav.scp", "ark:{feature}.ark"],
            "got --sample-rate-hz=0 --num-threads=1, need 1 or more",
        ),
        (
            ["--num-threads=0", "scp:wav.scp", "ark:{feature}.ark"],
            "got --sample-rate-hz=16000 --num-threads=0, need 1 or more",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(run, capsys, tmp_path, argv, message):
    assert run(*argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.glob("*.ark*")) == []
