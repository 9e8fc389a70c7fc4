"""One law of amplitude in every command: a little beyond full scale is sound, integers are not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scripts import run_script
from tiny_model import write_tiny_model

from sdtools import load_model
from sdtools.bin import compute_feats, detect, simulate_replay
from sdtools.errors import SdError

ROOT = Path(__file__).parents[2]
RATE_HZ = 16000
CAUSE = "16-bit integers stored as floats"
SPEAKERS = "abcdef"


def noise(seed):
    x = np.random.default_rng(seed).standard_normal(RATE_HZ)
    return x / np.abs(x).max()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_tiny_model(folder / "model", folder / "sources")
    return folder / "model"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Write recordings of a peak to the folders live and replayed."""
    monkeypatch.chdir(tmp_path)

    def write(peak):
        for i, label in enumerate(("live", "replayed")):
            (tmp_path / label).mkdir()
            for j, speaker in enumerate(SPEAKERS):
                path = tmp_path / label / f"{speaker}-1.wav"
                soundfile.write(path, peak * noise(10 * i + j), RATE_HZ, subtype="FLOAT")
        lines = [f"{speaker} live/{speaker}-1.wav\n" for speaker in SPEAKERS]
        (tmp_path / "wav.scp").write_text("".join(lines))

    return write


def statuses(model, capsys):
    """{command: (status, what it says)}."""
    results = {}
    for name, main, argv in (
        (
            "extraction",
            compute_feats.main,
            ["--features=cf", "--orders=0", "scp:wav.scp", "ark:cf.ark"],
        ),
        ("replay", simulate_replay.main, ["live", "copies"]),
        ("detect", detect.main, [str(model), "live"]),
    ):
        capsys.readouterr()
        status = main(["--print-args=false", *argv])
        results[name] = status, capsys.readouterr().err
    argv = ["--genuine=live", "--replayed=replayed", "--split=34,33,33", "data"]
    prepared = run_script(ROOT / "local/prepare_folder.py", *argv)
    results["preparation"] = prepared.returncode, prepared.stderr
    return results


@pytest.mark.parametrize("peak", [1.0005, 1.5])
def test_decoders_go_a_little_beyond_full_scale(folders, model, capsys, peak):
    folders(peak)
    for name, (status, err) in statuses(model, capsys).items():
        assert status == 0, (name, err)
    assert np.isfinite(load_model(model).score(peak * noise(0), RATE_HZ))


def test_integers_stored_as_floats_are_refused_with_the_cause(folders, model, capsys):
    folders(12000.0)
    for name, (status, err) in statuses(model, capsys).items():
        assert status == 1 and CAUSE in err and "-1.wav" in err, (name, err)
    with pytest.raises(SdError) as info:
        load_model(model).score(12000.0 * noise(0), RATE_HZ)
    assert CAUSE in info.value.hint
