"""A front end of one file, through features, GMMs, a model directory and sd-detect.

It is the one of docs/how-to/add-a-front-end.md. All that knows of it is its record in FRONT_ENDS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.bin import compute_feats, detect, score_gmm, train_gmm
from sdtools.detect.model import load_model, write_model
from sdtools.errors import SdError
from sdtools.features.front_ends import FRONT_ENDS, FrontEnd, Row, kind_of
from sdtools.features.samples import check_samples, count_frames
from sdtools.features.silence import FrameGrid
from sdtools.scoring.files import read_scores
from sdtools.scoring.fusion import Fusion


@dataclass(frozen=True)
class PeakOptions:
    frame_length_ms: float = field(default=10.0, metadata={"help": "length of a frame"})

    def __post_init__(self):
        if not self.frame_length_ms >= 1:
            raise SdError("--frame-length-ms", got=self.frame_length_ms, need="1 or more")


class PeakExtractor:
    output_names = ("peak",)

    def __init__(self, options: PeakOptions = PeakOptions(), *, sample_rate_hz: int):
        self.frame_length = round(options.frame_length_ms * sample_rate_hz / 1000)
        self.grid = FrameGrid(self.frame_length, self.frame_length)

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        samples = check_samples(samples)
        num_frames = count_frames(len(samples), self.frame_length, self.frame_length)
        frames = samples[: num_frames * self.frame_length].reshape(num_frames, -1)
        return {"peak": np.abs(frames).max(axis=1, keepdims=True).astype(np.float32)}


RECORD = FrontEnd(
    kind="peak",
    summary="Writes the peak of every frame.",
    options=(PeakOptions,),
    make=lambda options, rate_hz: PeakExtractor(*options, sample_rate_hz=rate_hz),
    rows=(Row("peak", "Peak", "peak.conf"),),
)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    monkeypatch.setitem(FRONT_ENDS, "peak", RECORD)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label, rise in (("genuine", 0.1), ("spoof", 0.5)):
        for i in range(3):
            envelope = 0.2 + rise * np.sin(np.arange(16000) / (300 + 50 * i)) ** 2
            write_audio(f"{label}{i}.wav", envelope * rng.uniform(-1, 1, 16000), 16000)
    names = [f"{label}{i}" for label in ("genuine", "spoof") for i in range(3)]
    (tmp_path / "wav.scp").write_text("".join(f"{name} {name}.wav\n" for name in names))
    return tmp_path


def run(command, *argv):
    assert command.main(["--print-args=false", *argv]) == 0


def test_a_toy_front_end_goes_all_the_way(toy, capsys):
    (toy / "peak.conf").write_text("--kind=peak\n--frame-length-ms=20\n")
    run(compute_feats, "--config=peak.conf", "scp:wav.scp", "ark,scp:{system}.ark,{system}.scp")
    lines = (toy / "peak.scp").read_text().splitlines(keepends=True)
    for label in ("genuine", "spoof"):
        (toy / f"{label}.scp").write_text("".join(x for x in lines if x.startswith(label)))
        run(train_gmm, "--num-components=2", "--cmvn=false", f"scp:{label}.scp", f"{label}.gmm")
    run(score_gmm, "--cmvn=false", "genuine.gmm", "spoof.gmm", "scp:peak.scp", "scores.txt")
    scores = read_scores("scores.txt")
    fusion = Fusion(np.ones(1), 0.0, 0.5, 0.0, 0.4, 10, 10)
    about = {
        "name": "peak",
        "note": "",
        "sample_rate_hz": 16000,
        "thresholds": {"thresholds": {"eer": {"threshold": 0, "p_miss": 0, "p_false_alarm": 0}}},
        "trained_on": {},
        "calibrated_on": {},
    }
    write_model("model", {"peak": toy}, {"peak": toy / "peak.ark.conf"}, fusion, about)
    model = load_model("model")
    capsys.readouterr()
    run(detect, "--format=jsonl", "model", "genuine0.wav", "spoof0.wav")
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for name, result in zip(("genuine0", "spoof0"), results, strict=True):
        samples, _ = load_audio(f"{name}.wav")
        assert result["llr"] == pytest.approx(scores[name], abs=1e-5)
        (feats,) = model.extract(samples)
        assert model.systems[0].score(feats) == pytest.approx(scores[name], abs=1e-5)
    assert [result["file"] for result in results] == ["genuine0.wav", "spoof0.wav"]


def test_the_help_of_the_command_lists_its_options(toy, capsys):
    assert compute_feats.main(["--kind=peak", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--frame-length-ms=10.0" in text and RECORD.summary in text


def test_a_conf_without_its_kind_is_that_of_the_best_fit(toy):
    """The toy has a setting that other front ends have, too."""
    (toy / "peak.conf").write_text("--frame-length-ms=20\n")
    assert kind_of("peak.conf") == "peak"
