"""The loop over recordings, with a front end of our own: the peak of every 100 samples."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.cli.extraction import feature_command, run_feature_command
from sdtools.features.front_ends import FRONT_ENDS, FrontEnd
from sdtools.features.silence import FrameGrid
from sdtools.tables.table import open_table

LENGTHS = {"a": 300, "b": 1000, "c": 250}


@dataclass(frozen=True)
class PeakOptions:
    features: tuple[str, ...] = field(
        default=("peak", "half"), metadata={"help": "what to write", "choices": ("peak", "half")}
    )
    orders: tuple[int, ...] = field(default=(1,), metadata={"help": "for the names only"})


class Peaks:
    grid = FrameGrid(100, 100)

    def __init__(self, options):
        self.output_names = [f"{f}_{o}" for f in options.features for o in options.orders]

    def __call__(self, samples):
        blocks = samples[: len(samples) // 100 * 100].reshape(-1, 100)
        peak, half = abs(blocks).max(axis=1, keepdims=True), blocks[:, :1]
        feats = {"peak": np.float32(peak), "half": np.float32(half)}
        return {name: feats[name.split("_")[0]] for name in self.output_names}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A command that writes both, in a directory with three recordings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        FRONT_ENDS, "peaks", FrontEnd("peaks", "", (PeakOptions,), lambda o, _: Peaks(*o), ())
    )
    rng = np.random.default_rng(0)
    for key, num_samples in LENGTHS.items():
        write_audio(f"{key}.wav", rng.uniform(-0.5, 0.5, num_samples), 8000)
    (tmp_path / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in LENGTHS))
    command = feature_command("sd-x", ["peaks"], "")
    return lambda *argv: run_feature_command(command, ["peaks"], ["--print-args=false", *argv])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["scp:wav.scp", "ark:{sytem}.ark"], ["found {sytem}", "{system} or {feature} or {order}"]),
        (["--features=peak", "scp:wav.scp", "ark:{}.ark"], ["found {}"]),
        (["--features=peak", "scp:wav.scp", "ark,scp:x.ark,wav.scp"], ["wav.scp: ", "an input"]),
        (["--features=peak", "scp:wav.scp", "ark,scp:x.ark,{feature}"], ["peak: ", "an input"]),
        (["--write-utt2dur=ark,t:{system}.t", "scp:wav.scp", "ark:{system}"], ["found {system}"]),
    ],
)
def test_outputs_that_are_refused(run, tmp_path, capsys, argv, words):
    (tmp_path / "peak").write_bytes((tmp_path / "a.wav").read_bytes())
    if "an input" in words and words[0] == "peak: ":
        (tmp_path / "wav.scp").write_text("a peak\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(*argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words), line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("num_threads", [1, 3])
def test_features_numbers_of_frames_and_durations_of_every_recording(run, tmp_path, num_threads):
    options = [
        f"--num-threads={num_threads}",
        "--write-num-frames=ark,t:frames",
        "--write-utt2dur=ark,t:dur",
        "--sample-rate-hz=8000",
    ]
    assert run(*options, "scp:wav.scp", "ark:{feature}_{order}.ark") == 0
    for name in ("peak_1", "half_1"):
        with open_table(f"ark:{name}.ark") as table:
            got = {entry.key: entry.load() for entry in table}
        assert list(got) == list(LENGTHS)
        for key in LENGTHS:
            feats = Peaks(PeakOptions())(load_audio(f"{key}.wav")[0])
            np.testing.assert_array_equal(got[key], feats[name])
    assert (tmp_path / "frames").read_text() == "a 3 \nb 10 \nc 2 \n"
    assert (tmp_path / "dur").read_text() == "a 0.0375 \nb 0.125 \nc 0.03125 \n"
    conf = (tmp_path / "half_1.ark.conf").read_text().splitlines()
    assert conf[0] == "--kind=peaks"
    assert {"--sample-rate-hz=8000", "--features=half", "--orders=1"} <= set(conf)


def test_system_stands_for_the_name_of_an_output(run, tmp_path):
    assert run("--sample-rate-hz=8000", "scp:wav.scp", "ark:{system}.ark") == 0
    names = {path.name for path in tmp_path.glob("*.ark")}
    assert names == {"peak_1.ark", "half_1.ark"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["scp:wav.scp", "ark:{system}.ark"], ["a (wav.scp:1): a.wav", "8000", "16000"]),
        (["--sample-rate-hz=8000", "scp:wav.scp", "ark:x.ark"], ["ark:x.ark", "{system}"]),
        (["--sample-rate-hz=0", "scp:wav.scp", "ark:{system}.ark"], ["--sample-rate-hz", "0"]),
        (["--num-threads=0", "scp:wav.scp", "ark:{system}.ark"], ["--num-threads", "0"]),
        (["--kind=cqcc", "scp:wav.scp", "ark:{system}.ark"], ["--kind", "'cqcc'", "peaks"]),
    ],
)
def test_what_cannot_be_done_is_one_line(run, capsys, tmp_path, argv, words):
    assert run(*argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert list(tmp_path.glob("*.ark*")) == []


def test_infinite_features_are_refused(run, capsys, monkeypatch):
    monkeypatch.setattr(Peaks, "__call__", lambda self, samples: {"peak_1": np.array([[np.inf]])})
    assert run("--sample-rate-hz=8000", "--features=peak", "scp:wav.scp", "ark:x.ark") == 1
    assert "a (wav.scp:1): features: " in capsys.readouterr().err
