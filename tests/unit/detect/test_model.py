"""Model directories: what is written is loaded, scores as the commands do, and nothing else passes."""

import json
import shutil

import numpy as np
import pytest

from sdtools.audio.decoding import load_audio, write_audio
from sdtools.bin import (
    compute_cqcc_feats,
    compute_feats,
    compute_modulation_feats,
    compute_tc_feats,
    score_gmm,
    train_gmm,
)
from sdtools.detect import model
from sdtools.errors import SdError
from sdtools.scoring.files import read_scores
from sdtools.scoring.fusion import Fusion, apply_fusion

RATE_HZ = 16000
SYSTEMS = {  # name: command, options
    "cf_sd6": (compute_feats, ["--features=cf", "--orders=6"]),
    "cm_sd0": (compute_feats, ["--features=cm", "--orders=0"]),
    "cmtri_sd2": (compute_feats, ["--features=cm", "--orders=2", "--bank=triangular"]),
    "cqcc": (compute_cqcc_feats, []),
    "tc": (compute_tc_feats, []),
    "mcf": (compute_modulation_feats, ["--features=mcf"]),
}
THRESHOLDS = {"thresholds": {"eer": {"threshold": 0.1, "p_miss": 0.1, "p_false_alarm": 0.1}}}


def signal(seed):
    return 0.1 * np.random.default_rng(seed).standard_normal(RATE_HZ // 2 + 100 * seed)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Folders of GMMs, settings of features and LLRs of a recording, by system, made by the commands."""
    folder = tmp_path_factory.mktemp("parts")
    for seed in range(4):
        write_audio(folder / f"{seed}.wav", signal(seed), RATE_HZ)
    (folder / "wav.scp").write_text("".join(f"u{seed} {folder}/{seed}.wav\n" for seed in range(4)))
    made = {}
    for name, (command, options) in SYSTEMS.items():
        ark = f"{folder}/{name}.ark"
        assert (
            command.main(["--print-args=false", *options, f"scp:{folder}/wav.scp", f"ark:{ark}"])
            == 0
        )
        (folder / name).mkdir()
        for label, num_components in (("genuine", 4), ("spoof", 1)):
            gmm = f"{folder}/{name}/{label}.gmm"
            assert (
                train_gmm.main(
                    ["--print-args=false", f"--num-components={num_components}", f"ark:{ark}", gmm]
                )
                == 0
            )
        gmms = [f"{folder}/{name}/{label}.gmm" for label in ("genuine", "spoof")]
        out = f"{folder}/{name}/scores.txt"
        assert score_gmm.main(["--print-args=false", *gmms, f"ark:{ark}", out]) == 0
        made[name] = folder / name, folder / f"{name}.ark.conf", read_scores(out)
    return folder, made


def write(folder, made, names, **about):
    fusion = Fusion(np.linspace(1, 2, len(names)), -0.5, 0.5, 0.0, 0.4, 10, 10)
    systems, confs = {n: made[n][0] for n in names}, {n: made[n][1] for n in names}
    model.write_model(
        folder,
        systems,
        confs,
        fusion,
        {"thresholds": THRESHOLDS, "sample_rate_hz": RATE_HZ, **about},
    )
    return fusion


@pytest.mark.parametrize("name", SYSTEMS)
def test_scores_are_those_of_the_commands(parts, tmp_path, name):
    folder, made = parts
    fusion = write(tmp_path / "model", made, [name])
    loaded = model.load_model(tmp_path / "model")
    llrs = [made[name][2][f"u{seed}"] for seed in range(4)]
    assert min(map(abs, llrs)) > 0.1 and len(set(llrs)) == 4
    for seed, llr in enumerate(llrs):
        samples, _ = load_audio(folder / f"{seed}.wav")
        assert loaded.score(samples) == pytest.approx(apply_fusion(fusion, [[llr]])[0], abs=1e-5)


def test_a_fusion_copied_elsewhere(parts, tmp_path):
    folder, made = parts
    names = ["cm_sd0", "cqcc", "mcf"]
    fusion = write(tmp_path / "model", made, names, note="Hello.")
    shutil.move(tmp_path / "model", tmp_path / "other place")
    loaded = model.load_model(tmp_path / "other place")
    want = apply_fusion(fusion, [[made[name][2]["u1"] for name in names]])[0]
    assert loaded.score(load_audio(folder / "1.wav")[0]) == pytest.approx(want, abs=1e-5)
    assert (
        loaded.about["note"] == "Hello."
        and loaded.about["systems"] == names
        and loaded.sample_rate_hz == RATE_HZ
    )


def test_an_older_model_is_replaced_whole(parts, tmp_path):
    _, made = parts
    write(tmp_path / "model", made, ["cqcc", "tc"])
    write(tmp_path / "model", made, ["cm_sd0"])
    (tmp_path / "link").symlink_to(tmp_path / "model")
    write(tmp_path / "link", made, ["cm_sd0"])
    (tmp_path / "link").unlink()
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "cm_sd0",
        "fusion.json",
        "model.json",
    ]
    with pytest.raises(FileNotFoundError):
        write(
            tmp_path / "model",
            {**made, "cqcc": (tmp_path, tmp_path / "none", {})},
            ["cm_sd0", "cqcc"],
        )
    assert model.load_model(tmp_path / "model").about["systems"] == ["cm_sd0"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def change(path, **values):
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **values}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda m: shutil.rmtree(m),
            r"model: got no file model\.json there, need a directory like a recipe's exp/<system>/model",
        ),
        (
            lambda m: (m / "model.json").write_text("{"),
            r"model\.json: model: got no JSON \(.*\), need a directory like",
        ),
        (lambda m: (m / "model.json").write_text("{}"), r"model: got KeyError\('systems'\)"),
        (lambda m: change(m / "model.json", thresholds={}), r"model: got KeyError\('thresholds'\)"),
        (
            lambda m: change(m / "model.json", thresholds={"thresholds": {"eer": 3}}),
            r"model: got TypeError",
        ),
        (
            lambda m: change(m / "model.json", format=99),
            r"model: got format 99 of sdtools .*, need format 1\. Make it again",
        ),
        (lambda m: (m / "cqcc/spoof.gmm").unlink(), r"cqcc/spoof\.gmm: got another file, or none"),
        (
            lambda m: (m / "cqcc/spoof.gmm").write_bytes(b"\0B"),
            r"cqcc/spoof\.gmm: got another file, or none",
        ),
        (
            lambda m: change(m / "model.json", files={"../parts": "0"}),
            r"\.\./parts: got another file, or none",
        ),
        (
            lambda m: change(m / "model.json", files={}),
            r"model: got no fusion\.json among its files, need it\. Make it again",
        ),
        (
            lambda m: change(m / "model.json", systems=["cm_sd0", "cqcc"]),
            r"model: got parts of other systems than \['cm_sd0', 'cqcc'\], need theirs",
        ),
        (
            lambda m: change(m / "model.json", sample_rate_hz=8000),
            r"cqcc: sample rate: got 16000 Hz, need 8000 Hz as in model\.json",
        ),
    ],
)
def test_directories_that_are_no_model(parts, tmp_path, damage, message):
    _, made = parts
    write(tmp_path / "model", made, ["cqcc", "cm_sd0"])
    damage(tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        model.load_model(tmp_path / "model")


def test_models_of_other_features_and_unknown_settings(parts, tmp_path):
    _, made = parts
    write(tmp_path / "model", {"cqcc": (made["tc"][0], made["cqcc"][1], {})}, ["cqcc"])
    with pytest.raises(
        ValueError, match=r"gmm: frames: got shape \(\d+, 63\), need \(num_frames, 120\)"
    ):
        model.load_model(tmp_path / "model")
    (tmp_path / "none.conf").write_text("--sample-rate-hz=16000\n")
    write(tmp_path / "model", {"x": (made["tc"][0], tmp_path / "none.conf", {})}, ["x"])
    with pytest.raises(SdError) as info:
        model.load_model(tmp_path / "model")
    assert info.value.who.endswith("x/feats.conf") and info.value.got == "none"
    other = tmp_path / "other"
    shutil.copytree(made["cqcc"][0], other)
    text = (other / "spoof.gmm.conf").read_text()
    (other / "spoof.gmm.conf").write_text(text.replace("--cmvn=true", "--cmvn=false"))
    write(tmp_path / "model", {"cqcc": (other, made["cqcc"][1], {})}, ["cqcc"])
    with pytest.raises(
        ValueError,
        match=r"settings: got PostOptions\(.*\) and .* for genuine and spoof, need the same",
    ):
        model.load_model(tmp_path / "model")
