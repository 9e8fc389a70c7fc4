"""The commands of the pages, run in order as they stand; what docs/systems.md states."""

import json
import pkgutil
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from recipe_runs import ROOT, blocks, make_copy, run_block
from test_commands import COMMANDS, help_of, make_recipe_directory
from test_metrics import synthetic_set
from tiny_model import write_tiny_model

from sdtools.audio.decoding import load_audio
from sdtools.detect.model import load_model
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.modulation import ModulationExtractor, ModulationOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.features.subbands import SubbandExtractor
from sdtools.features.triangular import TriangularOptions
from sdtools.gmm.training import EM_PASSES, GmmOptions
from sdtools.tables import table as tables


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe's directory with data directories of noise, for all blocks of all pages."""
    folder = make_copy(tmp_path_factory.mktemp("docs"))
    make_recipe_directory(folder)
    keys = [line.split()[0] for line in (folder / "data/train/utt2label").read_text().splitlines()]
    (folder / "data/train/utt2spk").write_text("".join(f"{key} train\n" for key in keys))
    (folder / "data/train/spk2utt").write_text(f"train {' '.join(keys)}\n")
    return folder


def test_commands_for_scores(tmp_path):
    """With scores and conditions of a synthetic set."""
    folder = make_copy(tmp_path)
    columns, is_genuine = synthetic_set()
    utts = [f"u{i:03d}" for i in range(500)]

    def write(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{utt} {value}\n" for utt, value in zip(utts, values)))

    for name in ("dev", "eval"):
        data = folder / "data" / name
        write(data / "utt2label", np.where(is_genuine, "genuine", "spoof"))
        for table, num_values in (("utt2spk", 11), ("utt2env", 5)):
            write(data / table, [f"x{i % num_values}" for i in range(500)])
        for system, column in (("cf_sd6", columns[:, 0]), ("cm_sd6", columns[:, 1])):
            write(folder / "exp" / system / "scores" / f"{name}.txt", column)
    for name in ("fusion", "fusion_of_eval"):
        (folder / "exp" / name / "scores").mkdir(parents=True)
    for block in blocks("scores.md"):
        result = run_block(block, folder)
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        assert "WARNING" not in result.stderr, f"{block}\n{result.stderr}"
    assert (folder / "exp/report/index.html").stat().st_size > 100_000
    thresholds = json.loads((folder / "exp/cf_sd6/thresholds.json").read_text())["thresholds"]
    assert thresholds["false_alarm"]["p_false_alarm"] <= 0.05
    assert len((folder / "exp/fusion_of_eval/scores/eval.txt").read_text().splitlines()) == 500


def test_commands_for_kaldi_users(recipe):
    outputs = []
    for block in blocks("kaldi.md"):
        result = run_block(block, recipe)
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        outputs.append(result)
    features, _, gmm, _, resume = outputs
    assert "\ntrain-000  [\n" in features.stdout
    for table, line in (
        ("utt2num_frames", "train-000 39 \n"),
        ("utt2dur", "train-000 0.4 \n"),
        ("frame_shift", "0.01\n"),
    ):
        assert (recipe / "kaldi/cm_sd6/train" / table).read_text().startswith(line)
    assert gmm.stdout == "<DiagGMM> \n"
    assert (recipe / "kaldi/1.dubm").read_bytes().startswith(b"\0B<DiagGMM> ")
    assert re.findall(r"(\d) / 3\b", resume.stderr) == ["3", "2"]


@pytest.fixture(scope="module")
def with_model(recipe):
    """The recipe's directory with a model."""
    (recipe / "exp/fusion").mkdir(parents=True, exist_ok=True)
    write_tiny_model(recipe / "exp/fusion/model", recipe / "exp/sources")
    return recipe


def test_commands_for_large_collections(with_model):
    utts = [
        line.split()[0] for line in (with_model / "data/train/wav.scp").read_text().splitlines()
    ]
    for block in blocks("how-to/score-a-large-collection.md"):
        result = run_block(block, with_model)
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
    scores = (with_model / "scores.txt").read_text()
    assert [line.split()[0] for line in scores.splitlines()] == utts
    assert (with_model / "all.txt").read_text() == scores
    assert "".join((with_model / f"lists/{job}.txt").read_text() for job in (1, 2)) == scores


def test_the_server_of_the_page_answers(with_model, tmp_path):
    page = (ROOT / "docs/how-to/judge-sound-as-it-comes.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "server.py").write_text(code.replace("8000", url.rpartition(":")[2]))
    sound = Path((with_model / "data/train/wav.scp").read_text().split()[1])

    def ask(data):
        try:
            with urllib.request.urlopen(url, data, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    command = [sys.executable, tmp_path / "server.py"]
    with subprocess.Popen(command, cwd=with_model, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    good = ask((with_model / sound).read_bytes())
                    break
                except urllib.error.URLError:
                    assert time.monotonic() < deadline and server.poll() is None
                    time.sleep(0.1)
            bad = ask(b"no sound")
        finally:
            server.terminate()
    llr = load_model(with_model / "exp/fusion/model").score(*load_audio(with_model / sound))
    assert good == (200, {"llr": llr, "decision": "genuine" if llr >= 0 else "replayed"})
    assert bad[0] == 422 and "sound" in bad[1]["error"]


SYSTEMS = (ROOT / "docs" / "systems.md").read_text()


def rows(num_cells):
    """Rows with so many cells in tables of the page: text and words in backquotes of each cell."""
    lines = [line.split("|")[1:-1] for line in SYSTEMS.splitlines() if line.startswith("| ")]
    return [
        [(cell.strip(), re.findall(r"`([^`]+)`", cell)) for cell in cells]
        for cells in lines
        if len(cells) == num_cells
    ]


def options_of(name):
    """The options of a command: --name=default -> its sentence in --help."""
    lines = help_of(name).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.startswith("  --"))


HELP = {"sd-" + name.replace("_", "-"): options_of(name) for name in COMMANDS}
ALL_OPTIONS = [option for options in HELP.values() for option in options]


def test_commands_of_the_systems_give_the_dimensions_in_their_table(recipe):
    (block,) = blocks("systems.md")
    result = run_block(block, recipe)
    assert result.returncode == 0, result.stderr
    made = set()
    for _, (_, names), (static, _), (final, _), *_ in rows(6)[1:]:
        for name in names if static else ():  # a fusion has scores alone
            with tables.open_table(f"ark:{recipe}/feats/{name}.ark") as table:
                feats = next(iter(table)).load()
            dims = feats.shape[1], postprocess(feats, PostOptions()).shape[1]
            assert dims == (int(static), int(final)), name
            made.add(f"{name}.ark")
    assert made == {path.name for path in (recipe / "feats").glob("*.ark")}


def test_options_in_the_page_on_systems_have_these_defaults():
    for option in re.findall(r"`(--[^`]+)`", SYSTEMS):
        assert any(option in (known, known.split("=")[0]) for known in ALL_OPTIONS), option
    for _, (_, commands), (_, options), _ in rows(4):
        for command in commands:
            assert set(options) <= set(HELP[command]), command


def test_page_on_systems_lists_all_that_the_paper_leaves_open():
    listed = {
        (command, option)
        for _, (_, commands), (_, options), _ in rows(4)
        for command in commands
        for option in options
    }
    commands = [name for name in HELP if name.startswith("sd-compute-") or name == "sd-train-gmm"]
    free = {
        (name, option)
        for name in commands
        for option, text in HELP[name].items()
        if "not determined by the paper" in text
    }
    assert len(free) > 20 and free <= listed, free - listed


def test_names_in_the_page_on_systems_exist():
    assert set(re.findall(r"\bsd-[a-z-]+", SYSTEMS)) <= set(HELP)
    for name in re.findall(r"`(sdtools\.[\w.]+)`", SYSTEMS):
        pkgutil.resolve_name(name)
    for path in re.findall(r"`((?:local|tests)/[\w./]+)|\]\(([^)#]+)", SYSTEMS):
        assert (ROOT / path[0] if path[0] else ROOT / "docs" / path[1]).exists(), path
    confs = {path.name for path in (ROOT / "egs" / "asvspoof2017" / "sd" / "conf").iterdir()}
    assert set(re.findall(r"`conf/([^`]+)`", SYSTEMS)) <= confs
    for module, test in re.findall(r"`(test_\w+\.py)::(\w+)`", SYSTEMS):
        assert f"def {test}(" in next((ROOT / "tests").rglob(module)).read_text(), test


def test_effects_in_the_page_on_systems():
    samples = 0.1 * np.random.default_rng(0).standard_normal(4000)

    def features(**settings):
        bank, envelope = (
            cls(**{k: v for k, v in settings.items() if hasattr(cls, k)})
            for cls in (FilterBankOptions, EnvelopeOptions)
        )
        return SubbandExtractor(
            bank, envelope, sample_rate_hz=16000, orders=(0, 6), features=("cf", "cm", "cfcm")
        )(samples)

    usual = features()
    final = {key: postprocess(feats, PostOptions()) for key, feats in usual.items()}
    for name, feats in features(normalize_gain=True).items():
        is_close = np.allclose(postprocess(feats), final[name], atol=1e-3)
        assert is_close == name.endswith("_sd0")
    for settings in ({"min_freq_hz": 50.0}, {"magnitude_floor": 1e-20}):
        np.testing.assert_array_equal(features(**settings)["cm_sd6"], usual["cm_sd6"])
    assert (features(min_freq_hz=50.0)["cf_sd6"] > usual["cf_sd6"]).all()
    derivatives = np.split(final["cfcm_sd6"], 3, axis=1)
    both = [
        np.concatenate(parts, axis=1)
        for parts in zip(*(np.split(part, [80], axis=1) for part in derivatives))
    ]
    np.testing.assert_array_equal(both[0], final["cf_sd6"])
    np.testing.assert_array_equal(both[1], final["cm_sd6"])
    assert ModulationExtractor(
        TriangularOptions(), ModulationOptions(), sample_rate_hz=16000, features=("mcf",)
    ).freqs_hz.tolist() == [*range(2, 51, 2)]
    assert f"components: {' '.join(map(str, EM_PASSES))}, at the last" in " ".join(SYSTEMS.split())
    assert EM_PASSES[GmmOptions.num_components.bit_length() - 1] == GmmOptions.final_iters
