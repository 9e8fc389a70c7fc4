"""Every command as a user types it: its example runs, outputs are right, bad input is one line."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sdtools.audio import decoding as audio
from sdtools.bin import acc_gmm, compute_feats, score_gmm, train_gmm
from sdtools.detect.model import write_model
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.subbands import SubbandExtractor
from sdtools.gmm.io import read_gmm
from sdtools.scoring.fusion_file import read_fusion
from sdtools.tables import table as tables

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path.stem for path in (ROOT / "sdtools" / "bin").glob("*.py") if path.stem != "__init__"
)
NUM_UTTS = 40
RATE_HZ = 16000


def pairs(path):
    return dict(line.split() for line in Path(path).read_text().splitlines())


def make_recipe_directory(folder):
    """Make data, features, models and scores under the names that the examples use."""
    rng = np.random.default_rng(0)
    for name in ("train", "dev", "eval"):
        data = folder / "data" / name
        (data / "wav").mkdir(parents=True)
        keys = [f"{name}-{i:03d}" for i in range(NUM_UTTS)]
        for i, key in enumerate(keys):
            steady = (i % 2 == 1) != (
                i % 10 in (3, 4)
            )  # one in five is of the other kind, or the scores would be separable
            gate = (
                1 if steady else 0.1 + (np.arange(6400) // 800 + i // 2) % 2
            )  # on and off in 50 ms: normalisation leaves it
            audio.write_audio(
                data / "wav" / f"{key}.wav", 0.05 * gate * rng.standard_normal(6400), RATE_HZ
            )
        (data / "wav.scp").write_text("".join(f"{key} data/{name}/wav/{key}.wav\n" for key in keys))
        (data / "utt2spk").write_text("".join(f"{key} {key[:-1]}\n" for key in keys))
        (data / "utt2label").write_text(
            "".join(f"{key} {('spoof', 'genuine')[i % 2]}\n" for i, key in enumerate(keys))
        )
    (folder / "feats").mkdir()
    systems = [folder / "exp" / name for name in ("cf_sd6", "cm_sd6")]
    for system in systems:
        (system / "scores").mkdir(parents=True)
    (folder / "exp" / "fusion" / "scores").mkdir(parents=True)
    trials = [
        (("nontarget", "spoof", "target")[i % 3], i % 7 + 4 * (i % 3 > 0) + i / 1000)
        for i in range(3 * NUM_UTTS)
    ]
    (folder / "exp" / "asv.txt").write_text("".join(f"- {key} {score}\n" for key, score in trials))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe directory in which each example of a --help works."""
    folder = tmp_path_factory.mktemp("recipe")
    make_recipe_directory(folder)
    old = Path.cwd()
    os.chdir(folder)
    try:
        for name in ("train", "dev", "eval"):
            for feature in ("cf", "cm"):
                out = f"data/{name}/{feature}"
                argv = [
                    f"--features={feature}",
                    "--orders=6",
                    f"scp:data/{name}/wav.scp",
                    f"ark,scp:{out}.ark,{out}.scp",
                ]
                assert compute_feats.main(["--print-args=false", *argv]) == 0
            (folder / "data" / name / "feats.scp").write_bytes(
                Path(f"data/{name}/cf.scp").read_bytes()
            )
        for system in ("cf", "cm"):
            labels = pairs("data/train/utt2label")
            for label in ("genuine", "spoof"):
                lines = [
                    line
                    for line in Path(f"data/train/{system}.scp").read_text().splitlines(True)
                    if labels[line.split()[0]] == label
                ]
                Path(f"data/train/{label}.scp").write_text("".join(lines))
                argv = [
                    "--num-components=2",
                    f"scp:data/train/{label}.scp",
                    f"exp/{system}_sd6/{label}.gmm",
                ]
                assert train_gmm.main(["--print-args=false", *argv]) == 0
            for name in ("dev", "eval"):
                gmms = [f"exp/{system}_sd6/{label}.gmm" for label in ("genuine", "spoof")]
                argv = [
                    *gmms,
                    f"scp:data/{name}/{system}.scp",
                    f"exp/{system}_sd6/scores/{name}.txt",
                ]
                assert score_gmm.main(["--print-args=false", *argv]) == 0
        (folder / "exp" / "3.gmm").write_bytes(Path("exp/cm_sd6/genuine.gmm").read_bytes())
        for part, name in enumerate(("train", "dev"), 1):
            assert (
                acc_gmm.main(
                    [
                        "--print-args=false",
                        "exp/3.gmm",
                        f"scp:data/{name}/cm.scp",
                        f"exp/3.{part}.acc",
                    ]
                )
                == 0
            )
        from sdtools.bin import eval_scores, train_fusion

        scores = [f"exp/{system}_sd6/scores/dev.txt" for system in ("cf", "cm")]
        assert (
            train_fusion.main(
                ["--auto-ridge", "data/dev/utt2label", *scores, "exp/fusion/fusion.json"]
            )
            == 0
        )
        systems = {f"{system}_sd6": Path(f"exp/{system}_sd6") for system in ("cf", "cm")}
        confs = {f"{system}_sd6": Path(f"data/train/{system}.ark.conf") for system in ("cf", "cm")}
        threshold = {"threshold": 0.0, "p_miss": 0.1, "p_false_alarm": 0.1}
        about = {"sample_rate_hz": RATE_HZ, "thresholds": {"thresholds": {"eer": threshold}}}
        write_model(
            "exp/fusion/model", systems, confs, read_fusion("exp/fusion/fusion.json")[0], about
        )
        scores = [f"exp/{system}_sd6/scores/eval.txt" for system in ("cf", "cm")]
        assert (
            eval_scores.main(
                ["--bootstrap=0", "--json=exp/results.json", "data/eval/utt2label", *scores]
            )
            == 0
        )
        yield folder
    finally:
        os.chdir(old)


def run(*argv, cwd=None):
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", COMMANDS)
def test_example_of_help_runs(recipe, name):
    command = importlib.import_module(f"sdtools.bin.{name}").COMMAND
    assert command.name == "sd-" + name.replace("_", "-")
    shell = f'export PATH="{Path(sys.executable).parent}:$PATH"\n{command.example}'
    result = run("bash", "-c", shell, cwd=recipe)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_and_states_the_defaults(name, capsys):
    module = importlib.import_module(f"sdtools.bin.{name}")
    assert module.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith(f"Usage: {module.COMMAND.name} [options] ")
        and max(map(len, out.splitlines())) <= 180
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_error_is_one_line(name, capsys):
    assert importlib.import_module(f"sdtools.bin.{name}").main(["--nonsense=1"]) == 1
    assert re.fullmatch(
        r"ERROR \(sd-[a-z-]+\) .*option: got '--nonsense=1'.*\n", capsys.readouterr().err
    )


def test_features_are_those_of_the_library_in_every_file(recipe, tmp_path):
    wspecifier = (
        f"ark,scp:{tmp_path}/{{feature}}_{{order}}.ark,{tmp_path}/{{feature}}_{{order}}.scp"
    )
    argv = ["--features=cf,cm,cfcm", "--orders=0,6", "scp:data/eval/wav.scp", wspecifier]
    assert compute_feats.main([*argv[:2], *argv[2:]]) == 0
    first = Path("data/eval/wav.scp").read_text().split()
    extractor = SubbandExtractor(
        FilterBankOptions(),
        EnvelopeOptions(),
        sample_rate_hz=RATE_HZ,
        orders=(0, 6),
        features=("cf", "cm", "cfcm"),
    )
    expected = extractor(audio.load_audio(first[1])[0])
    for name, feats in expected.items():
        feature, order = name.split("_sd")
        with tables.open_table(f"scp:{tmp_path}/{feature}_{order}.scp") as table:
            entries = list(table)
            assert len(entries) == NUM_UTTS and entries[0].key == first[0]
            np.testing.assert_array_equal(entries[0].load(), feats)


def test_threads_change_no_byte(recipe, tmp_path):
    for num_threads in (1, 3):
        out = f"ark:{tmp_path}/{{feature}}{{order}}.{num_threads}.ark"
        assert (
            compute_feats.main(
                [f"--num-threads={num_threads}", "--orders=4", "scp:data/eval/wav.scp", out]
            )
            == 0
        )
    for feature in ("cf", "cm"):
        assert (tmp_path / f"{feature}4.1.ark").read_bytes() == (
            tmp_path / f"{feature}4.3.ark"
        ).read_bytes()


def test_settings_lie_beside_the_features_and_the_model(recipe):
    assert "--bandwidth-scale=12.0\n" in Path("data/eval/cf.ark.conf").read_text()
    assert "--num-components=2\n" in Path("exp/cf_sd6/genuine.gmm.conf").read_text()
    assert read_gmm("exp/cf_sd6/genuine.gmm").means.shape == (2, 240)
    assert read_gmm("exp/cm_sd6/genuine.gmm").means.shape == (2, 120)


def test_scores_tell_the_classes_apart_and_have_every_key(recipe):
    labels = pairs("data/eval/utt2label")
    llrs = {key: float(value) for key, value in pairs("exp/cm_sd6/scores/eval.txt").items()}
    assert llrs.keys() == labels.keys()
    means = {
        label: np.mean([llrs[key] for key in llrs if labels[key] == label])
        for label in ("genuine", "spoof")
    }
    assert means["genuine"] > means["spoof"]


def test_memory_limit_changes_no_byte(recipe, tmp_path):
    for max_memory in ("2", "0.0005", "0"):
        argv = [
            f"--max-memory={max_memory}",
            "--num-components=4",
            "scp:data/train/cf.scp",
            f"{tmp_path}/{max_memory}.gmm",
        ]
        assert train_gmm.main(argv) == 0
    assert (
        (tmp_path / "0.gmm").read_bytes()
        == (tmp_path / "2.gmm").read_bytes()
        == (tmp_path / "0.0005.gmm").read_bytes()
    )


def test_pipe_that_does_not_fit_into_memory(recipe, tmp_path, capsys):
    """A pipe can be run again, standard input cannot."""
    words = ["--max-memory=0", "ark:-", f"{tmp_path}/x.gmm"]
    code = f"import sys; from sdtools.bin.train_gmm import main; sys.exit(main({words}))"
    with open("data/train/cf.ark", "rb") as archive:
        result = subprocess.run(
            [sys.executable, "-c", code], stdin=archive, capture_output=True, text=True
        )
    assert (
        result.returncode == 1 and "number of entries when read again: expected 40" in result.stderr
    )
    assert "Traceback" not in result.stderr and not (tmp_path / "x.gmm").exists()


def bad_audio(folder):
    """Audio that cannot be used, with a piece of the line that must say so."""
    import soundfile

    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(1600)
    soundfile.write(folder / "stereo.wav", np.stack([noise, noise], axis=1), RATE_HZ)
    soundfile.write(folder / "rate.wav", noise, 8000)
    soundfile.write(
        folder / "nan.wav", np.where(np.arange(1600) == 7, np.nan, noise), RATE_HZ, subtype="FLOAT"
    )
    soundfile.write(folder / "empty.wav", noise[:0], RATE_HZ)
    soundfile.write(folder / "short.wav", noise[:319], RATE_HZ)
    (folder / "text.wav").write_text("this is no sound\n")
    return {
        "stereo": "number of channels: expected 1, found 2",
        "rate": "sample rate: expected 16000 Hz, found 8000 Hz",
        "nan": "sample 7",
        "empty": "number of samples: expected 1 or more, found 0",
        "short": "recording: got 319 samples, need 320",
        "text": "a format that libsndfile reads",
        "missing": "missing.wav",
    }


@pytest.mark.parametrize("num_threads", [1, 2])
def test_bad_audio_is_one_line_or_a_counted_skip(recipe, tmp_path, capsys, num_threads):
    bad = bad_audio(tmp_path)
    good = Path("data/eval/wav.scp").read_text().splitlines()[:3]
    for name, message in bad.items():
        scp = tmp_path / "wav.scp"
        scp.write_text("\n".join([good[0], f"{name} {tmp_path}/{name}.wav", *good[1:]]) + "\n")
        argv = [
            f"--num-threads={num_threads}",
            "--print-args=false",
            "--orders=0",
            "--features=cf",
            f"scp:{scp}",
        ]
        assert compute_feats.main([*argv, f"ark:{tmp_path}/x.ark"]) == 1
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1 and message in err and f"{name} ({scp}:2): " in err
        assert not (tmp_path / "x.ark").exists()
        assert compute_feats.main(["--max-skip=1", *argv, f"ark:{tmp_path}/x.ark"]) == 0
        assert "done 3 of 4, 1 skipped" in capsys.readouterr().err
        (tmp_path / "x.ark").unlink()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_option_p_leaves_out_and_counts(recipe, tmp_path, capsys):
    lines = Path("data/eval/wav.scp").read_text().splitlines()[:2]
    (tmp_path / "wav.scp").write_text("\n".join([lines[0], "gone /gone.wav", lines[1]]) + "\n")
    assert (
        compute_feats.main(
            ["--orders=0", "--features=cf", f"scp,p:{tmp_path}/wav.scp", f"ark:{tmp_path}/x.ark"]
        )
        == 0
    )
    err = capsys.readouterr().err
    assert "gone skipped" in err and "done 2 of 3, 1 skipped" in err


def test_duplicate_key_in_wav_scp(recipe, tmp_path, capsys):
    line = Path("data/eval/wav.scp").read_text().splitlines()[0]
    (tmp_path / "wav.scp").write_text(f"{line}\n{line}\n")
    assert (
        compute_feats.main(
            ["--orders=0", "--features=cf", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/x.ark"]
        )
        == 1
    )
    assert "eval-000" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x.ark").exists()


def test_one_output_for_several_systems(recipe, capsys):
    assert compute_feats.main(["scp:data/eval/wav.scp", "ark:x.ark"]) == 1
    assert (
        "wspecifier: got 'ark:x.ark', need {feature} and {order} in each file"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--orders=-1", ["--orders: ", "'-1'", "one or more from 0, each once"]),
        ("--orders=2,2", ["--orders: ", "'2,2'"]),
        ("--features=", ["--features: ", "''"]),
        ("--features=cf,cf", ["--features: ", "'cf,cf'"]),
        ("--num-threads=0", ["--num-threads", "1 or more"]),
        ("--frame-length-ms=0.01", ["--frame-length-ms", "0 samples every 160", "2 or more"]),
    ],
)
def test_settings_that_make_no_features(option, words, capsys):
    assert compute_feats.main([option, "scp:data/eval/wav.scp", "ark:{feature}{order}.ark"]) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert all(word in err for word in words)


def test_samples_far_beyond_full_scale_are_refused(recipe, tmp_path, capsys):
    import soundfile

    soundfile.write(tmp_path / "loud.wav", np.full(1600, 1e25), RATE_HZ, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text(f"loud {tmp_path}/loud.wav\n")
    assert (
        compute_feats.main(
            ["--orders=0", "--features=cf", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/x.ark"]
        )
        == 1
    )
    assert (
        "loud.wav: sample 0 (0.000 s): expected a finite number up to 8" in capsys.readouterr().err
        and not (tmp_path / "x.ark").exists()
    )


def test_two_outputs_into_one_script_file(recipe, tmp_path, capsys):
    out = f"ark,scp:{tmp_path}/{{feature}}{{order}}.ark,{tmp_path}/feats.scp"
    assert compute_feats.main(["--orders=0,2", "scp:data/eval/wav.scp", out]) == 1
    assert (
        "need {feature} and {order} in each file" in capsys.readouterr().err
        and list(tmp_path.iterdir()) == []
    )


def test_few_frames_for_the_components_are_pointed_out(recipe, tmp_path, capsys):
    assert (
        train_gmm.main(["--num-components=128", "scp:data/train/genuine.scp", f"{tmp_path}/x.gmm"])
        == 0
    )
    line = "number of frames: expected at least 1280, 10 per component, found 780"
    assert f"WARNING (sd-train-gmm) scp:data/train/genuine.scp: {line}" in capsys.readouterr().err


def test_models_of_two_systems(recipe, tmp_path, capsys):
    gmms = ["exp/cf_sd6/genuine.gmm", "exp/cm_sd6/spoof.gmm"]
    assert score_gmm.main([*gmms, "scp:data/eval/cf.scp", f"{tmp_path}/x.txt"]) == 1
    assert "dimensions: expected equal ones, found 240, 120" in capsys.readouterr().err


def test_more_components_than_frames(recipe, tmp_path, capsys):
    assert (
        train_gmm.main(["--num-components=4096", "scp:data/train/cf.scp", f"{tmp_path}/x.gmm"]) == 1
    )
    assert "expected at least 4096" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_class_without_utterances(recipe, tmp_path, capsys):
    (tmp_path / "none.scp").write_text("")
    assert train_gmm.main([f"scp:{tmp_path}/none.scp", f"{tmp_path}/x.gmm"]) == 1
    assert "expected at least one" in capsys.readouterr().err
    assert not (tmp_path / "x.gmm").exists()


def test_scoring_with_other_settings_than_training(recipe, tmp_path, capsys):
    gmms = ["exp/cf_sd6/genuine.gmm", "exp/cf_sd6/spoof.gmm"]
    assert (
        score_gmm.main(["--delta-window=3", *gmms, "scp:data/eval/cf.scp", f"{tmp_path}/x.txt"])
        == 1
    )
    assert "settings: expected --delta-window=2 as in " in capsys.readouterr().err


def test_scoring_with_features_of_another_kind(recipe, tmp_path, capsys):
    gmms = ["exp/cf_sd6/genuine.gmm", "exp/cf_sd6/spoof.gmm"]
    assert score_gmm.main([*gmms, "scp:data/eval/cm.scp", f"{tmp_path}/x.txt"]) == 1
    assert "expected (num_frames, 240)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_model_without_settings_is_used_with_a_warning(recipe, tmp_path, capsys):
    for label in ("genuine", "spoof"):
        (tmp_path / f"{label}.gmm").write_bytes(Path(f"exp/cf_sd6/{label}.gmm").read_bytes())
    argv = [
        f"{tmp_path}/genuine.gmm",
        f"{tmp_path}/spoof.gmm",
        "scp:data/eval/cf.scp",
        f"{tmp_path}/x.txt",
    ]
    assert score_gmm.main(argv) == 0
    assert "WARNING (sd-score-gmm)" in capsys.readouterr().err
    assert (tmp_path / "x.txt").read_bytes() == Path("exp/cf_sd6/scores/eval.txt").read_bytes()
