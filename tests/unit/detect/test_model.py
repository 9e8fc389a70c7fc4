"""Model directories: what is written is loaded, and scores as the commands do."""

import json
import re
import shutil

import numpy as np
import pytest
from fields import fails
from scipy.signal import resample_poly

from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.bin import (
    compute_cqcc_feats,
    compute_feats,
    compute_lfcc_feats,
    compute_modulation_feats,
    compute_tc_feats,
    score_gmm,
    train_gmm,
)
from sdtools.detect.model import load_model, write_model
from sdtools.errors import SdWarning
from sdtools.scoring.files import read_scores
from sdtools.scoring.fusion import Fusion, apply_fusion

RATE_HZ = 16000
SYSTEMS = {  # name: command, options
    "cf_sd6": (compute_feats, ["--features=cf", "--orders=6"]),
    "cm_sd0": (compute_feats, ["--features=cm", "--orders=0"]),
    "cmtri_sd2": (compute_feats, ["--features=cm", "--orders=2", "--bank=triangular"]),
    "lfcc": (compute_lfcc_feats, []),
    "cqcc": (compute_cqcc_feats, []),
    "tc": (compute_tc_feats, []),
    "mcf": (compute_modulation_feats, ["--features=mcf"]),
}
THRESHOLDS = {"thresholds": {"eer": {"threshold": 0.1, "p_miss": 0.1, "p_false_alarm": 0.1}}}


def signal(seed):
    return 0.1 * np.random.default_rng(seed).standard_normal(RATE_HZ // 2 + 100 * seed)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """By system, what the commands made: folder of GMMs, settings of features, LLRs."""
    folder = tmp_path_factory.mktemp("parts")
    for seed in range(4):
        write_audio(folder / f"{seed}.wav", signal(seed), RATE_HZ)
    (folder / "wav.scp").write_text("".join(f"u{seed} {folder}/{seed}.wav\n" for seed in range(4)))

    def run(command, *argv):
        assert command.main(["--print-args=false", *map(str, argv)]) == 0

    made = {}
    for name, (command, options) in SYSTEMS.items():
        system, ark = folder / name, f"ark:{folder}/{name}.ark"
        system.mkdir()
        run(command, *options, f"scp:{folder}/wav.scp", ark)
        run(train_gmm, "--num-components=4", ark, system / "genuine.gmm")
        run(train_gmm, "--num-components=1", ark, system / "spoof.gmm")
        scores = system / "scores.txt"
        run(score_gmm, system / "genuine.gmm", system / "spoof.gmm", ark, scores)
        made[name] = system, folder / f"{name}.ark.conf", read_scores(str(scores))
    return folder, made


def write(folder, made, names, **about):
    fusion = Fusion(np.linspace(1, 2, len(names)), -0.5, 0.5, 0.0, 0.4, 10, 10)
    systems, confs = {n: made[n][0] for n in names}, {n: made[n][1] for n in names}
    about = {"thresholds": THRESHOLDS, "sample_rate_hz": RATE_HZ, **about}
    write_model(folder, systems, confs, fusion, about)
    return fusion


@pytest.mark.parametrize("name", SYSTEMS)
def test_scores_are_those_of_the_commands(parts, tmp_path, name):
    folder, made = parts
    fusion = write(tmp_path / "model", made, [name])
    model = load_model(tmp_path / "model")
    llrs = [made[name][2][f"u{seed}"] for seed in range(4)]
    assert min(map(abs, llrs)) > 0.1 and len(set(llrs)) == 4
    for seed, llr in enumerate(llrs):
        want = apply_fusion(fusion, [[llr]])[0]
        assert model.score(*load_audio(folder / f"{seed}.wav")) == pytest.approx(want, abs=1e-5)


def test_a_fusion_copied_elsewhere(parts, tmp_path):
    folder, made = parts
    names = ["cm_sd0", "cqcc", "mcf"]
    fusion = write(tmp_path / "model", made, names, note="Hello.")
    shutil.move(tmp_path / "model", tmp_path / "other place")
    model = load_model(tmp_path / "other place")
    want = apply_fusion(fusion, [[made[name][2]["u1"] for name in names]])[0]
    assert model.score(*load_audio(folder / "1.wav")) == pytest.approx(want, abs=1e-5)
    assert model.about["note"] == "Hello." and model.about["systems"] == names
    assert model.sample_rate_hz == RATE_HZ


@pytest.fixture
def lfcc(parts, tmp_path):
    write(tmp_path / "model", parts[1], ["lfcc"])
    return load_model(tmp_path / "model")


@pytest.mark.parametrize(("rate_hz", "up", "down"), [(48000, 1, 3), (44100, 160, 441)])
def test_higher_rates_are_resampled(lfcc, rate_hz, up, down):
    """Without a warning: docs/conditions.md shows that this hardly moves a score."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(rate_hz)
    llr = lfcc.score(samples, rate_hz)
    assert llr == lfcc.score(resample_poly(samples, up, down), RATE_HZ)


def test_lower_rates_have_to_be_allowed(lfcc):
    samples = signal(0)
    with fails(who="Model.score", what="sample rate", got="8000 Hz", need=re.compile("16000 Hz")):
        lfcc.score(samples, 8000)
    with pytest.warns(SdWarning) as warnings:
        llr = lfcc.score(samples, 8000, allow_narrowband=True)
    assert llr == lfcc.score(resample_poly(samples, 2, 1), RATE_HZ)
    (warning,) = warnings
    assert "resampled from 8 kHz" in warning.message.what
    assert warning.filename == __file__


@pytest.mark.parametrize("rate_hz", [0, -16000, 16000.5, float("nan"), 10**6])
def test_rates_of_no_sound(lfcc, rate_hz):
    with fails(what="sample rate", got=f"{rate_hz} Hz", need=re.compile("1000 to 768000 Hz")):
        lfcc.score(signal(0), rate_hz)


def test_samples_are_checked_and_lists_taken(lfcc):
    samples = signal(0)
    assert lfcc.score(samples.tolist(), RATE_HZ) == lfcc.score(samples, RATE_HZ)
    for bad in ((samples * 2**15).astype(np.int16), samples[:, None], samples * 2**15):
        with fails(who="samples"):
            lfcc.score(bad, RATE_HZ)


def test_silence_and_a_click_are_refused(lfcc):
    """As sd-detect refuses them."""
    for samples, reason in ((np.zeros(RATE_HZ), "silence"), (signal(0)[:320], "too short: 0.02 s")):
        with fails(who="Model.score", what=re.compile(reason)):
            lfcc.score(samples, RATE_HZ)


def test_a_model_of_an_earlier_version_keeps_digital_silence(parts, tmp_path):
    """Its feats.conf lacks the setting: zeros count as sound, which is a doubt at a lower share."""
    samples = np.concatenate([np.zeros(RATE_HZ // 2), signal(0)])
    _, made = parts
    source, conf, _ = made["lfcc"]
    write(tmp_path / "new", made, ["lfcc"])
    old_conf = tmp_path / "old.conf"
    old_conf.write_text(conf.read_text().replace("--skip-digital-silence=true\n", ""))
    write(tmp_path / "old", {"lfcc": (source, old_conf, {})}, ["lfcc"])
    old, new = load_model(tmp_path / "old"), load_model(tmp_path / "new")
    (old_feats,), (new_feats,) = old.extract(samples), new.extract(samples)
    assert (len(old_feats), len(new_feats)) == (99, 49)
    assert old.score(samples, RATE_HZ) != new.score(samples, RATE_HZ)
    assert old.score(samples[8000:], RATE_HZ) == new.score(samples[8000:], RATE_HZ)
    assert old.doubt_of_silence(0.02).startswith("digital silence (2 % of it), which")
    assert new.doubt_of_silence(0.02) == old.doubt_of_silence(0) == ""
    assert new.doubt_of_silence(0.12) == "digital silence (12 % of it)"


def test_thresholds_by_name(lfcc):
    assert lfcc.threshold("eer") == 0.1
    with fails(who=lfcc.path, what="threshold", got="bayes", need="eer"):
        lfcc.threshold("bayes")


def test_an_older_model_is_replaced_whole(parts, tmp_path):
    _, made = parts
    write(tmp_path / "model", made, ["cqcc", "tc"])
    write(tmp_path / "model", made, ["cm_sd0"])
    (tmp_path / "link").symlink_to(tmp_path / "model")
    write(tmp_path / "link", made, ["cm_sd0"])
    (tmp_path / "link").unlink()
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["cm_sd0", "fusion.json", "model.json"]
    lacking = {**made, "cqcc": (tmp_path, tmp_path / "none", {})}
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "model", lacking, ["cm_sd0", "cqcc"])
    assert load_model(tmp_path / "model").about["systems"] == ["cm_sd0"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def change(path, **values):
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **values}))


GMM = "cqcc/spoof.gmm"


@pytest.mark.parametrize(
    ("damage", "fields"),
    [
        (lambda m: shutil.rmtree(m), {"got": "no file model.json there", "hint": "Check the path"}),
        (
            lambda m: (m / "model.json").write_text("{"),
            {"who": r"model\.json", "got": "no JSON", "need": "such as a recipe's exp/"},
        ),
        (lambda m: (m / "model.json").write_text("{}"), {"who": r"model\.json: format"}),
        (lambda m: change(m / "model.json", thresholds={}), {"who": r"model\.json: thresholds"}),
        (
            lambda m: change(m / "model.json", thresholds={"thresholds": {"eer": 3}}),
            {"who": r"model\.json: thresholds\.thresholds\.eer", "got": "3"},
        ),
        (
            lambda m: change(m / "model.json", format=99),
            {"who": "format", "got": "99 of sdtools", "need": "1", "hint": "Make the model again"},
        ),
        (
            lambda m: change(m / "model.json", deployment={"thresholds": {}}),
            {"who": r"model\.json: deployment\.thresholds", "hint": "Make the model again"},
        ),
        (lambda m: (m / GMM).unlink(), {"who": GMM, "what": "no such file"}),
        (lambda m: (m / GMM).write_bytes(b"\0B"), {"who": GMM, "what": "the file has changed"}),
        (
            lambda m: change(m / "model.json", files={"../parts": "0"}),
            {"who": r"model/\.\./parts", "what": "no such file"},
        ),
        (lambda m: change(m / "model.json", files={}), {"what": "no fusion.json"}),
        (
            lambda m: change(m / "model.json", systems=["cm_sd0", "cqcc"]),
            {"what": "systems", "got": "cm_sd0 cqcc", "need": "cqcc cm_sd0"},
        ),
        (
            lambda m: change(m / "model.json", sample_rate_hz=8000),
            {"who": "cqcc", "what": "sample rate", "got": "16000 Hz", "need": "8000 Hz"},
        ),
    ],
)
def test_directories_that_are_no_model(parts, tmp_path, damage, fields):
    _, made = parts
    write(tmp_path / "model", made, ["cqcc", "cm_sd0"])
    damage(tmp_path / "model")
    with fails(**{name: re.compile(pattern) for name, pattern in fields.items()}):
        load_model(tmp_path / "model")


def test_models_of_other_features_and_unknown_settings(parts, tmp_path):
    _, made = parts
    write(tmp_path / "model", {"cqcc": (made["tc"][0], made["cqcc"][1], {})}, ["cqcc"])
    with fails(what=re.compile("dim|shape"), got=re.compile("63"), need=re.compile("120")):
        load_model(tmp_path / "model")
    (tmp_path / "none.conf").write_text("--sample-rate-hz=16000\n")
    write(tmp_path / "model", {"x": (made["tc"][0], tmp_path / "none.conf", {})}, ["x"])
    with fails(who=re.compile("x/feats.conf$"), got="none"):
        load_model(tmp_path / "model")
    other = tmp_path / "other"
    shutil.copytree(made["cqcc"][0], other)
    text = (other / "spoof.gmm.conf").read_text()
    (other / "spoof.gmm.conf").write_text(text.replace("--cmvn=true", "--cmvn=false"))
    write(tmp_path / "model", {"cqcc": (other, made["cqcc"][1], {})}, ["cqcc"])
    with fails(who=re.compile("cqcc$"), what="settings", got=re.compile("cmvn=True.*cmvn=False")):
        load_model(tmp_path / "model")
