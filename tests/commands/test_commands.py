"""Every command as a user types it: its help and example, its outputs, bad input in one line."""

import contextlib
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sdtools import bin as commands
from sdtools.audio.decoding import load_audio
from sdtools.audio.encoding import write_audio
from sdtools.bin import acc_gmm, compute_feats, eval_scores, score_gmm, train_fusion, train_gmm
from sdtools.detect.model import write_model
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.subbands import SubbandExtractor
from sdtools.gmm.io import read_gmm
from sdtools.scoring.fusion_file import read_fusion
from sdtools.tables.table import open_table

COMMANDS = sorted(path.stem for path in Path(commands.__path__[0]).glob("[a-z]*.py"))
NUM_UTTS = 40
RATE_HZ = 16000
CF_GMMS = ["exp/cf_sd6/genuine.gmm", "exp/cf_sd6/spoof.gmm"]


def main_of(name):
    return importlib.import_module(f"sdtools.bin.{name}").main


def help_of(name):
    """What --help prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main_of(name)(["--help"]) == 0
    return out.getvalue()


def pairs(path):
    return dict(line.split() for line in Path(path).read_text().splitlines())


def write_lines(path, lines):
    Path(path).write_text("".join(f"{line}\n" for line in lines))


def make_recipe_directory(folder):
    """Data directories of steady and gated noise, and folders with the names in the examples."""
    rng = np.random.default_rng(0)
    for name in ("train", "dev", "eval"):
        data = folder / "data" / name
        (data / "wav").mkdir(parents=True)
        keys = [f"{name}-{i:03d}" for i in range(NUM_UTTS)]
        for i, key in enumerate(keys):
            # One in five is of the other kind, or the scores would be separable.
            is_steady = (i % 2 == 1) != (i % 10 in (3, 4))
            # On and off in 50 ms: normalisation does not remove it.
            gate = 1 if is_steady else 0.1 + (np.arange(6400) // 800 + i // 2) % 2
            noise = 0.05 * gate * rng.standard_normal(6400)
            write_audio(data / "wav" / f"{key}.wav", noise, RATE_HZ)
        write_lines(data / "wav.scp", [f"{key} data/{name}/wav/{key}.wav" for key in keys])
        write_lines(data / "utt2spk", [f"{key} {key[:-1]}" for key in keys])
        labels = [f"{key} {('spoof', 'genuine')[i % 2]}" for i, key in enumerate(keys)]
        write_lines(data / "utt2label", labels)
    (folder / "feats").mkdir()
    for system in ("cf_sd6", "cm_sd6", "fusion"):
        (folder / "exp" / system / "scores").mkdir(parents=True)
    kinds = ("nontarget", "spoof", "target")
    trials = [(kinds[i % 3], i % 7 + 4 * (i % 3 > 0) + i / 1000) for i in range(3 * NUM_UTTS)]
    write_lines(folder / "exp" / "asv.txt", [f"- {kind} {score}" for kind, score in trials])


def succeed(main, *argv):
    assert main(["--print-args=false", *argv]) == 0


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe directory in which each example of a --help works."""
    folder = tmp_path_factory.mktemp("recipe")
    make_recipe_directory(folder)
    with inside(folder):
        for name in ("train", "dev", "eval"):
            for feature in ("cf", "cm"):
                out = f"data/{name}/{feature}"
                tables = f"scp:data/{name}/wav.scp", f"ark,scp:{out}.ark,{out}.scp"
                succeed(compute_feats.main, f"--features={feature}", "--orders=6", *tables)
            Path(f"data/{name}/feats.scp").write_bytes(Path(f"data/{name}/cf.scp").read_bytes())
        labels = pairs("data/train/utt2label")
        for system in ("cf", "cm"):
            lines = Path(f"data/train/{system}.scp").read_text().splitlines()
            for label in ("genuine", "spoof"):
                chosen = [line for line in lines if labels[line.split()[0]] == label]
                write_lines(f"data/train/{label}.scp", chosen)
                files = f"scp:data/train/{label}.scp", f"exp/{system}_sd6/{label}.gmm"
                succeed(train_gmm.main, "--num-components=2", *files)
            gmms = [f"exp/{system}_sd6/{label}.gmm" for label in ("genuine", "spoof")]
            for name in ("dev", "eval"):
                feats, out = f"scp:data/{name}/{system}.scp", f"exp/{system}_sd6/scores/{name}.txt"
                succeed(score_gmm.main, *gmms, feats, out)
        Path("exp/3.gmm").write_bytes(Path("exp/cm_sd6/genuine.gmm").read_bytes())
        for part, name in enumerate(("train", "dev"), 1):
            succeed(acc_gmm.main, "exp/3.gmm", f"scp:data/{name}/cm.scp", f"exp/3.{part}.acc")
        scores = [f"exp/{system}_sd6/scores/dev.txt" for system in ("cf", "cm")]
        files = ["data/dev/utt2label", *scores, "exp/fusion/fusion.json"]
        succeed(train_fusion.main, "--auto-ridge", *files)
        systems = {f"{system}_sd6": Path(f"exp/{system}_sd6") for system in ("cf", "cm")}
        confs = {f"{system}_sd6": Path(f"data/train/{system}.ark.conf") for system in ("cf", "cm")}
        threshold = {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}
        about = {"sample_rate_hz": RATE_HZ, "thresholds": {"thresholds": {"eer": threshold}}}
        fusion = read_fusion("exp/fusion/fusion.json")[0]
        write_model("exp/fusion/model", systems, confs, fusion, about)
        files = ["data/eval/utt2label", *(path.replace("dev", "eval") for path in scores)]
        succeed(eval_scores.main, "--bootstrap=0", "--json=exp/results.json", *files)
        yield folder


@contextlib.contextmanager
def inside(folder):
    """As contextlib.chdir, which Python 3.10 lacks."""
    old = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(old)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_and_its_example_runs(recipe, name):
    text, command = help_of(name), "sd-" + name.replace("_", "-")
    assert text.startswith(f"Usage: {command} [options] ")
    assert max(map(len, text.splitlines())) <= 180
    example = re.search(r"^Examples?:\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    assert f"{command} " in example
    script = f'export PATH="{Path(sys.executable).parent}:$PATH"\n{example}'
    words = ["bash", "-ec", script]
    result = subprocess.run(words, cwd=recipe, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_error_is_one_line(name, capsys):
    assert main_of(name)(["--nonsense=1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ERROR (sd-{name.replace('_', '-')}) ") and "--nonsense" in line


def test_features_are_those_of_the_library_in_every_file(recipe, tmp_path):
    out = f"{tmp_path}/{{feature}}_{{order}}"
    tables = "scp:data/eval/wav.scp", f"ark,scp:{out}.ark,{out}.scp"
    assert compute_feats.main(["--features=cf,cm,cfcm", "--orders=0,6", *tables]) == 0
    key, path = Path("data/eval/wav.scp").read_text().split()[:2]
    options = {"sample_rate_hz": RATE_HZ, "orders": (0, 6), "features": ("cf", "cm", "cfcm")}
    extractor = SubbandExtractor(FilterBankOptions(), EnvelopeOptions(), **options)
    for name, feats in extractor(load_audio(path)[0]).items():
        feature, order = name.split("_sd")
        with open_table(f"scp:{tmp_path}/{feature}_{order}.scp") as table:
            entries = list(table)
            assert len(entries) == NUM_UTTS and entries[0].key == key
            np.testing.assert_array_equal(entries[0].load(), feats)


def test_threads_change_no_byte(recipe, tmp_path):
    for num_threads in (1, 3):
        out = f"ark:{tmp_path}/{{feature}}.{num_threads}.ark"
        options = f"--num-threads={num_threads}", "--orders=4"
        assert compute_feats.main([*options, "scp:data/eval/wav.scp", out]) == 0
    for feature in ("cf", "cm"):
        one, three = (tmp_path / f"{feature}.{num_threads}.ark" for num_threads in (1, 3))
        assert one.read_bytes() == three.read_bytes()


def test_settings_lie_beside_the_features_and_the_model(recipe):
    assert "--bandwidth-scale=12.0\n" in Path("data/eval/cf.ark.conf").read_text()
    assert "--num-components=2\n" in Path("exp/cf_sd6/genuine.gmm.conf").read_text()
    assert read_gmm("exp/cf_sd6/genuine.gmm").means.shape == (2, 240)
    assert read_gmm("exp/cm_sd6/genuine.gmm").means.shape == (2, 120)


def test_scores_tell_the_classes_apart_and_have_every_key(recipe):
    labels, llrs = pairs("data/eval/utt2label"), pairs("exp/cm_sd6/scores/eval.txt")
    assert llrs.keys() == labels.keys()
    genuine, spoof = (
        np.mean([float(llrs[key]) for key in llrs if labels[key] == label])
        for label in ("genuine", "spoof")
    )
    assert genuine > spoof


def test_memory_limit_changes_no_byte(recipe, tmp_path):
    limits = ("2", "0.0005", "0")
    for limit in limits:
        files = "scp:data/train/cf.scp", f"{tmp_path}/{limit}.gmm"
        assert train_gmm.main([f"--max-memory={limit}", "--num-components=4", *files]) == 0
    assert len({(tmp_path / f"{limit}.gmm").read_bytes() for limit in limits}) == 1


def test_standard_input_that_does_not_fit_into_memory(recipe, tmp_path):
    """It cannot be read again, as a pipe can."""
    words = [sys.executable, "-m", "sdtools.bin.train_gmm", "--max-memory=0", "ark:-"]
    words.append(f"{tmp_path}/x.gmm")
    with open("data/train/cf.ark", "rb") as archive:
        result = subprocess.run(words, stdin=archive, capture_output=True, text=True)
    assert result.returncode == 1 and "40" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and not (tmp_path / "x.gmm").exists()


def make_bad_audio(folder):
    """Audio that cannot be used, by key with words that the error must have."""
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(1600)
    soundfile.write(folder / "stereo.wav", np.stack([noise, noise], axis=1), RATE_HZ)
    soundfile.write(folder / "rate.wav", noise, 8000)
    with_nan = np.where(np.arange(1600) == 7, np.nan, noise)
    soundfile.write(folder / "nan.wav", with_nan, RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "empty.wav", noise[:0], RATE_HZ)
    soundfile.write(folder / "short.wav", noise[:319], RATE_HZ)
    soundfile.write(folder / "loud.wav", np.full(1600, 1e25), RATE_HZ, subtype="FLOAT")
    (folder / "text.wav").write_text("this is no sound\n")
    return {
        "stereo": ["channels", "1", "2"],
        "rate": ["sample rate", "16000 Hz", "8000 Hz"],
        "nan": ["sample 7"],
        "empty": ["samples", "0"],
        "short": ["319", "320"],
        "loud": ["loud.wav: sample 0"],
        "text": ["libsndfile"],
        "missing": ["missing.wav"],
    }


@pytest.mark.parametrize("num_threads", [1, 2])
def test_bad_audio_is_one_line_or_a_counted_skip(recipe, tmp_path, capsys, num_threads):
    good = Path("data/eval/wav.scp").read_text().splitlines()[:3]
    for key, needed in make_bad_audio(tmp_path).items():
        scp, out = tmp_path / "wav.scp", tmp_path / "x.ark"
        write_lines(scp, [good[0], f"{key} {tmp_path}/{key}.wav", *good[1:]])
        argv = [f"--num-threads={num_threads}", "--print-args=false", "--orders=0"]
        argv += ["--features=cf", f"scp:{scp}", f"ark:{out}"]
        assert compute_feats.main(argv) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{key} ({scp}:2): " in line and all(word in line for word in needed), line
        assert not out.exists()
        assert compute_feats.main(["--max-skip=1", *argv]) == 0
        assert "done 3 of 4, 1 skipped" in capsys.readouterr().err
        out.unlink()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_option_p_leaves_out_and_counts(recipe, tmp_path, capsys):
    first, second = Path("data/eval/wav.scp").read_text().splitlines()[:2]
    write_lines(tmp_path / "wav.scp", [first, "gone /gone.wav", second])
    tables = f"scp,p:{tmp_path}/wav.scp", f"ark:{tmp_path}/x.ark"
    assert compute_feats.main(["--orders=0", "--features=cf", *tables]) == 0
    err = capsys.readouterr().err
    assert "gone" in err and "done 2 of 3, 1 skipped" in err


@pytest.fixture
def refused(tmp_path, capsys):
    """Check that a command writes nothing and that the error, its last line, has these words."""

    def check(main, argv, *needed):
        assert main(list(map(str, argv))) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert all(word in line for word in needed), line
        assert [path for path in tmp_path.rglob("*") if path.suffix != ".in"] == []

    return check


def test_features_that_are_refused(recipe, tmp_path, refused):
    twice = tmp_path / "twice.in"
    write_lines(twice, Path("data/eval/wav.scp").read_text().splitlines()[:1] * 2)
    argv = ["--orders=0", "--features=cf", f"scp:{twice}", f"ark:{tmp_path}/x.ark"]
    refused(compute_feats.main, argv, "eval-000")
    one_file = f"ark:{tmp_path}/x.ark"
    refused(compute_feats.main, ["scp:data/eval/wav.scp", one_file], one_file, "{system}")
    one_scp = f"ark,scp:{tmp_path}/{{feature}}{{order}}.ark,{tmp_path}/feats.scp"
    refused(compute_feats.main, ["--orders=0,2", "scp:data/eval/wav.scp", one_scp], "{system}")
    for option, *needed in [
        ("--orders=-1", "'-1'"),
        ("--orders=2,2", "'2,2'"),
        ("--features=", "''"),
        ("--features=cf,cf", "'cf,cf'"),
        ("--num-threads=0", "1 or more"),
        ("--frame-length-ms=0.01", "0 samples", "160"),
    ]:
        out = f"ark:{tmp_path}/{{feature}}{{order}}.ark"
        name = option.partition("=")[0]
        refused(compute_feats.main, [option, "scp:data/eval/wav.scp", out], name, *needed)


def test_models_that_are_refused(recipe, tmp_path, refused):
    out = f"{tmp_path}/x.gmm"
    refused(train_gmm.main, ["--num-components=4096", "scp:data/train/cf.scp", out], "4096")
    (tmp_path / "none.in").touch()
    refused(train_gmm.main, [f"scp:{tmp_path}/none.in", out], "none.in")


def test_scores_that_are_refused(recipe, tmp_path, refused):
    cf, out = "scp:data/eval/cf.scp", f"{tmp_path}/x.txt"
    mixed = [CF_GMMS[0], "exp/cm_sd6/spoof.gmm"]
    refused(score_gmm.main, [*mixed, cf, out], "240", "120")
    window = "--delta-window=3"
    refused(score_gmm.main, [window, *CF_GMMS, cf, out], window, "--delta-window=2")
    refused(score_gmm.main, [*CF_GMMS, "scp:data/eval/cm.scp", out], "240", "120")


def test_few_frames_for_the_components_are_pointed_out(recipe, tmp_path, capsys):
    argv = ["--num-components=128", "scp:data/train/genuine.scp", f"{tmp_path}/x.gmm"]
    assert train_gmm.main(argv) == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("WARNING (sd-train-gmm) ")]
    assert "scp:data/train/genuine.scp" in line and "780" in line and "1280" in line


def test_model_without_settings_is_used_with_a_warning(recipe, tmp_path, capsys):
    gmms = [tmp_path / Path(gmm).name for gmm in CF_GMMS]
    for path, gmm in zip(gmms, CF_GMMS):
        path.write_bytes(Path(gmm).read_bytes())
    argv = [*map(str, gmms), "scp:data/eval/cf.scp", f"{tmp_path}/x.txt"]
    assert score_gmm.main(argv) == 0
    assert "WARNING (sd-score-gmm)" in capsys.readouterr().err
    assert (tmp_path / "x.txt").read_bytes() == Path("exp/cf_sd6/scores/eval.txt").read_bytes()
