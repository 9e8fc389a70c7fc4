"""Folds by speaker, model directories and what their decisions cost, on made scores."""

import json
import math
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly
from scripts import run_script
from tiny_model import write_tiny_model

from sdtools.detect.model import load_model
from sdtools.scoring.files import read_scores
from sdtools.scoring.fusion import apply_fusion

LOCAL = Path(__file__).parents[2] / "local"
SPEAKERS = {"train": "abcdefgh", "dev": "ij", "eval": "klmnopqr"}


def write_data(folder, speakers, per_class=3):
    """Tables of a data directory with genuine and replayed utterances of each speaker."""
    folder.mkdir(parents=True, exist_ok=True)
    utts = [
        (f"{speaker}-{folder.name}-{label}{i}", speaker, label)
        for speaker in speakers
        for label in ("genuine", "spoof")
        for i in range(per_class)
    ]
    tables = {"utt2label": 2, "utt2spk": 1}
    for name, column in tables.items():
        (folder / name).write_text("".join(f"{utt[0]} {utt[column]}\n" for utt in utts))
    (folder / "feats.scp").write_text("".join(f"{utt[0]} f.ark:{utt[0]}\n" for utt in utts))
    return [utt[0] for utt in utts]


def keys(path):
    return [line.split()[0] for line in path.read_text().splitlines()]


def make_folds(tmp_path, *sets):
    data, out = tmp_path / "data", tmp_path / "folds"
    for name, speakers in zip(("train", "dev"), sets):
        write_data(data / name, speakers)
    return run_script(LOCAL / "make_folds.py", data, out), out


def test_each_speaker_is_held_out_once_and_trains_no_model_of_its_fold(tmp_path):
    result, out = make_folds(tmp_path, "abcde", "fg")
    assert (result.stdout, result.stderr) == ("5\n", "")
    held_out = []
    for fold in map(str, range(1, 6)):
        trained, scored = keys(out / fold / "feats.scp"), keys(out / fold / "held_out.scp")
        assert keys(out / fold / "utt2label") == trained
        assert not {utt[0] for utt in trained} & {utt[0] for utt in scored}
        assert len(trained) + len(scored) == 42
        held_out += scored
    assert len(held_out) == len(set(held_out)) == 42
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.scp")}
    make_folds(tmp_path, "abcde", "fg")
    assert times == {path: path.stat().st_mtime_ns for path in times}
    result, _ = make_folds(tmp_path, "a", "b")  # old folds go
    assert result.stdout == "2\n" and sorted(path.name for path in out.iterdir()) == ["1", "2"]


def test_one_speaker_is_folded_by_recording_with_a_warning(tmp_path):
    result, out = make_folds(tmp_path, "a", "a")
    assert result.returncode == 0 and int(result.stdout) >= 2
    assert "all genuine trials are of one speaker" in result.stderr
    assert len(keys(out / "1/held_out.scp")) < 6


@pytest.mark.parametrize("table", ["utt2label", "utt2spk", "feats.scp"])
@pytest.mark.parametrize("is_twice", [False, True])
def test_tables_that_do_not_fit_are_one_line(tmp_path, table, is_twice):
    for name, speakers in (("train", "abc"), ("dev", "de")):
        write_data(tmp_path / "data" / name, speakers)
    path = tmp_path / "data/dev" / table
    first, rest = path.read_text().split("\n", 1)
    path.write_text(f"{first}\n{rest}{first}\n" if is_twice else rest)
    result = run_script(LOCAL / "make_folds.py", tmp_path / "data", tmp_path / "folds")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "d-dev-genuine0" in result.stderr


def test_what_cannot_be_folded_is_one_line(tmp_path):
    data = tmp_path / "data"
    for name, label in (("train", "genuine"), ("dev", "spoof")):
        write_data(data / name, "a", per_class=1)
        for table in ("utt2label", "feats.scp"):
            lines = (data / name / table).read_text().splitlines(keepends=True)
            (data / name / table).write_text("".join(x for x in lines if f"-{label}" in x))
    result = run_script(LOCAL / "make_folds.py", data, tmp_path / "folds")
    assert result.returncode == 1 and "Add recordings" in result.stderr.splitlines()[-1]
    for name in ("train", "dev"):
        write_data(data / name, "a", per_class=1)
    (data / "train/feats.scp").write_text("")
    (data / "dev/feats.scp").write_text("")
    result = run_script(LOCAL / "make_folds.py", data, tmp_path / "folds")
    assert result.returncode == 1 and "a-dev-genuine0 has a label and no features" in result.stderr
    shutil.copy(data / "train/utt2label", data / "dev")
    result = run_script(LOCAL / "make_folds.py", data, tmp_path / "folds")
    assert result.returncode == 1 and "a-train-genuine0 is also in train" in result.stderr


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """Function that makes data and scores of two systems and a fusion, and their models."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "other", tmp_path / "sources")

    def make(speakers=SPEAKERS, eval_shift=0.0):
        rng = np.random.default_rng(0)
        utts = {name: write_data(Path("data", name), of) for name, of in speakers.items()}
        for system in ("a", "b"):
            for name in ("train", "dev"):
                folder = Path("data", system, name)
                shutil.copytree(Path("data", name), folder)
                (folder / "conf").mkdir()
                shutil.copy("sources/feats.conf", folder / "conf")
            shutil.copytree("sources", Path("exp", system))
            Path("exp", system, "scores").mkdir()
            for name, of in (("cross_fit", utts["train"] + utts["dev"]), ("eval", utts["eval"])):
                shift = eval_shift if name == "eval" else 0
                lines = (
                    f"{u} {rng.normal(2 if 'genuine' in u else -2, 1.5) + shift}\n" for u in of
                )
                Path("exp", system, "scores", f"{name}.txt").write_text("".join(lines))
        Path("exp/fusion/scores").mkdir(parents=True)
        fusion = json.loads(Path("other/fusion.json").read_text())
        fusion |= {"systems": [f"exp/{s}/scores/dev.txt" for s in "ab"], "weights": [1, 1]}
        Path("exp/fusion/fusion.json").write_text(json.dumps(fusion))
        options = ["--note", "Made up.", "data", "exp", "a", "fusion"]
        return run_script(LOCAL / "make_models.py", *options)

    return make


def show(name):
    return run_script(LOCAL / "show_model.py", f"exp/{name}/model")


def test_models_know_what_their_decisions_cost(experiment):
    result = experiment()
    assert (result.returncode, result.stderr) == (0, "")
    for name, systems in {"a": "a", "fusion": "ab"}.items():
        model = load_model(f"exp/{name}/model")
        assert model.fusion.bound == math.log(31) and len(model.systems) == len(systems)
        scores = [read_scores(f"exp/{system}/scores/eval.txt") for system in systems]
        llrs = read_scores(f"exp/{name}/scores/eval_model.txt")
        for utt, llr in llrs.items():
            want = apply_fusion(model.fusion, [[of[utt] for of in scores]])[0]
            assert llr == pytest.approx(want, rel=1e-6)
        rates = model.deployment.eval
        genuine = [llr for utt, llr in llrs.items() if "genuine" in utt]
        for threshold, level in model.deployment.thresholds.items():
            assert rates.miss[threshold].num_errors == sum(llr < level for llr in genuine)
        assert model.about["trained_on"]["num_speakers"] == 10
        assert model.deployment.num_speakers == 10
        shown = show(name)
        assert shown.returncode == 0 and shown.stderr == ""
        lines = shown.stdout.splitlines()
        for row in model.deployment.rows():
            assert any(all(cell in line for cell in row) for line in lines)


def test_few_speakers_and_a_failed_eval_are_warnings(experiment):
    result = experiment({"train": "ab", "dev": "c", "eval": "kl"}, eval_shift=6)
    assert result.returncode == 0
    told = [line for line in result.stderr.splitlines() if ": fusion: " in line]
    shown = show("fusion").stderr.splitlines()
    for lines in (told, shown):
        assert len(lines) == 2
        assert "failed its eval: " in lines[0]
        assert "of 3 speakers" in lines[1] and "10 or more" in lines[1]
    assert all(line.startswith("WARNING: exp/fusion/model: ") for line in shown)


def test_two_speakers_in_all_and_eval_without_labels(experiment):
    result = experiment({"train": "a", "dev": "b", "eval": "k"})
    assert result.returncode == 0 and "of 2 speakers" in result.stderr
    Path("data/eval/utt2label").unlink()
    result = run_script(LOCAL / "make_models.py", "data", "exp", "a")
    assert result.returncode == 0
    assert load_model("exp/a/model").deployment.eval is None
    assert "eval" not in "".join(show("a").stdout.splitlines()[3:])


def test_older_models_have_no_error_rates(tmp_path):
    write_tiny_model(tmp_path / "model", tmp_path / "sources")
    result = run_script(LOCAL / "show_model.py", tmp_path / "model")
    assert (result.returncode, result.stdout) == (0, "")
    assert "a model of an older version has no error rates" in result.stderr


def test_ranges_of_the_recordings_are_those_of_both_classes(tmp_path, monkeypatch):
    """Replays of a narrow band and another codec do not make these usual; a pipe is not run."""
    monkeypatch.syspath_prepend(str(LOCAL))
    measure = runpy.run_path(str(LOCAL / "make_models.py"))["measure_recordings"]
    rng = np.random.default_rng(0)
    folder = tmp_path / "train"
    folder.mkdir()
    tables = {"wav.scp": "", "utt2label": "", "utt2coding": ""}
    for utt, label, codec, seconds in (
        ("a", "genuine", "opus", 2),
        ("b", "genuine", "-", 3),
        ("c", "spoof", "opus", 2),
        ("d", "spoof", "aac", 4),
    ):
        sound = 0.1 * rng.standard_normal(seconds * 16000)
        if label == "spoof":
            sound = resample_poly(resample_poly(sound, 1, 2), 2, 1)
        soundfile.write(tmp_path / f"{utt}.wav", sound.clip(-1, 1), 16000)
        tables["wav.scp"] += f"{utt} {tmp_path}/{utt}.wav\n"
        tables["utt2label"] += f"{utt} {label}\n"
        tables["utt2coding"] += f"{utt} {codec}\n"
    tables["wav.scp"] += f"e touch {tmp_path}/ran |\n"
    tables["utt2label"] += "e spoof\n"
    for name, text in tables.items():
        (folder / name).write_text(text)
    ranges = measure([folder])
    assert ranges.num_recordings == 4 and ranges.codecs == ("opus",)
    assert ranges.duration_sec == pytest.approx((2.02, 2.99), abs=0.01)
    assert ranges.bandwidth_hz[0] > 7500
    assert not (tmp_path / "ran").exists()
    (folder / "wav.scp").unlink()
    assert measure([folder]) is None
