"""Pathological data through the whole chain: finite numbers, a counted skip, or one error line.

Constant, silent, short, huge and tiny recordings, features and scores.
"""

import json
import re

import numpy as np
import pytest
import soundfile
from drive import Commands

from sdtools.gmm.io import read_gmm
from sdtools.tables.table import open_table, open_writer

RATE_HZ = 16000
NUM_SAMPLES = 8000
NOISE = np.random.default_rng(4).standard_normal(NUM_SAMPLES)
T = np.arange(NUM_SAMPLES)
SOUNDS = {
    "silent": np.zeros(NUM_SAMPLES),
    "constant": np.full(NUM_SAMPLES, 0.25),
    "one_frame": 0.1 * NOISE[:320],
    "one_silent_frame": np.zeros(320),
    "short_of_a_frame": 0.1 * NOISE[:319],
    "huge": NOISE * 1e29,
    "large": NOISE * 1e10,
    "too_huge": NOISE * 1e35,
    "tiny": NOISE * 1e-30,
    "denormal": NOISE * 1e-40,
    "dc_and_impulse": 0.5 + 0.4 * (T == 4000),
    "impulse": 1.0 * (T == 4000),
    "alternating": np.where(T % 2, 1.0, -1.0),
    "alternating_beyond_full_scale": np.where(T % 2, 1e6, -1e6),
    "step": np.where(T < 4000, -1.0, 1.0),
    "sine": np.sin(2 * np.pi * 1000 * T / RATE_HZ),
    "half_silent": np.where(T < 4000, 0, 0.1 * NOISE),
    "least_bit": np.where(T % 7, 0, 2.0**-15),
    "plain": 0.1 * NOISE,
}
TOO_LOUD = {"huge", "large", "too_huge", "alternating_beyond_full_scale"}
SILENT = {"silent", "constant", "one_silent_frame", "impulse", "dc_and_impulse", "step"}
FEATURES = {  # name: command and options; their outputs
    **{
        f"iir_{order}": ["compute_feats", "--features=cf,cm,cfcm", f"--orders={order}"]
        for order in (0, 1, 2, 4, 6, 8)
    },
    **{
        f"triangular_{order}": [
            "compute_feats",
            "--bank=triangular",
            "--features=cm,cf",
            f"--orders={order}",
        ]
        for order in (0, 2, 6)
    },
    "cqcc": ["compute_cqcc_feats"],
    "tc": ["compute_tc_feats"],
    "modulation": ["compute_modulation_feats"],
}


@pytest.fixture(scope="module")
def commands():
    with Commands() as some:
        yield some


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    for name, samples in SOUNDS.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    (folder / "wav.scp").write_text("".join(f"{name} {name}.wav\n" for name in SOUNDS))
    return folder


def check(result, status=0):
    """Done without a word of an overflow, or one error line."""
    assert result.status == status and "Traceback" not in result.err, result
    assert len(re.findall("^ERROR", result.err, re.MULTILINE)) == status, result
    assert not re.search(r"encountered|\b(nan|inf)\b", result.err + result.out, re.IGNORECASE), (
        result
    )
    return result


def matrices(path):
    with open_table(f"ark:{path}") as table:
        return {entry.key: entry.load() for entry in table}


@pytest.mark.parametrize("skips_silence", [False, True])
@pytest.mark.parametrize("name", FEATURES)
def test_features_are_finite_or_the_sound_is_skipped(
    sounds, commands, tmp_path, fault, name, skips_silence
):
    command, *options = FEATURES[name]
    options.append(f"--skip-digital-silence={skips_silence}")
    holes = {"compute_feats": "{feature}{order}", "compute_modulation_feats": "{feature}"}.get(
        command, ""
    )
    out = f"ark:{tmp_path}/x{holes}.ark"
    with fault("number", len(SOUNDS)):
        result = commands.call(
            command, "--print-args=false", "--max-skip=99", *options, "scp:wav.scp", out, cwd=sounds
        )
        assert result.status == 0 and not re.search("Traceback|encountered|ERROR", result.err), (
            result
        )
        skipped = {"short_of_a_frame", *TOO_LOUD}
        skipped |= {"one_frame", "one_silent_frame"} if name == "cqcc" else set()
        skipped |= SILENT if skips_silence else set()
        assert set(re.findall(r"WARNING .* skipped (\w+) ", result.err)) == skipped
        assert (
            f"done {len(SOUNDS) - len(skipped)} of {len(SOUNDS)}, {len(skipped)} skipped"
            in result.err
        )
        for path in sorted(tmp_path.glob("*.ark")):
            feats = matrices(path)
            assert feats.keys() == SOUNDS.keys() - skipped
            assert all(
                len(feats[key]) and np.isfinite(feats[key]).all() and np.abs(feats[key]).max() < 2e4
                for key in feats
            ), path
    with fault("number", len(skipped)):
        for key in skipped:
            (tmp_path / "one.scp").write_text(f"{key} {key}.wav\n")
            alone = commands.call(
                command,
                *options,
                f"scp:{tmp_path}/one.scp",
                f"ark:{tmp_path}/y{holes}.ark",
                cwd=sounds,
            )
            assert (
                alone.status == 1
                and len(re.findall("^ERROR", alone.err, re.MULTILINE)) == 1
                and not list(tmp_path.glob("y*"))
            )


def test_a_gain_moves_features_as_it_should(commands, tmp_path, fault):
    """CF not at all, ln CM by the logarithm of the gain: the first cepstral coefficient only."""
    gains = [2.0**-13, 1.0, 2.0**3]  # louder samples are refused
    with fault("number", len(gains)):
        for i, gain in enumerate(gains):
            soundfile.write(tmp_path / f"{i}.wav", 0.1 * NOISE * gain, RATE_HZ, subtype="DOUBLE")
        (tmp_path / "wav.scp").write_text("".join(f"u{i} {i}.wav\n" for i in range(len(gains))))
        check(
            commands.call(
                "compute_feats",
                "--orders=0,6",
                "scp:wav.scp",
                "ark:{feature}{order}.ark",
                cwd=tmp_path,
            )
        )
        for order in (0, 6):
            cf, cm = (
                list(matrices(tmp_path / f"{feature}{order}.ark").values())
                for feature in ("cf", "cm")
            )
            for i in range(len(gains)):
                np.testing.assert_allclose(cf[i], cf[1], rtol=2e-3)
                np.testing.assert_allclose(cm[i][:, 1:], cm[1][:, 1:], atol=0.02)
                shift = (cm[i] - cm[1])[:, 0] / np.log(gains[i]) if gains[i] != 1 else np.ones(1)
                np.testing.assert_allclose(shift, shift[0], rtol=1e-3)


FEATS = {  # by utterance, for everything behind the features
    "plain": NOISE[:600].reshape(100, 6),
    "constant": np.full((50, 6), 3.0),
    "zero": np.zeros((50, 6)),
    "one_frame": NOISE[:6].reshape(1, 6),
    "two_equal_frames": np.repeat(NOISE[:6].reshape(1, 6), 2, axis=0),
    "one_constant_column": NOISE[:600].reshape(100, 6) * [1, 1, 0, 1, 1, 1] + [0, 0, 7, 0, 0, 0],
    "duplicate_frames": np.repeat(NOISE[:30].reshape(5, 6), 20, axis=0),
    "tiny": NOISE[:600].reshape(100, 6) * 1e-30,
    "denormal": NOISE[:600].reshape(100, 6) * 1e-42,
    "offset": NOISE[:600].reshape(100, 6) + 1e6,
    "impulse": np.eye(100, 6, -50),
    "large": NOISE[:600].reshape(100, 6) * 1e15,
    "huge": NOISE[:600].reshape(100, 6) * 1e37,
    "largest": np.where(NOISE[:600] > 0, 3e38, -3e38).reshape(100, 6),
    "mixed_sizes": NOISE[:600].reshape(100, 6) * [1e-20, 1e-10, 1, 1e5, 1e10, 1e15],
    "nan": np.where(np.arange(600) == 300, np.nan, NOISE[:600]).reshape(100, 6),
    "inf": np.where(np.arange(600) == 300, np.inf, NOISE[:600]).reshape(100, 6),
    "no_frame": np.zeros((0, 0)),
}
BAD = {"nan", "inf", "no_frame"}
POST = {
    "default": [],
    "static": ["--deltas=false"],
    "deltas_only": ["--cmvn=false"],
    "means": ["--norm-vars=false"],
    "speaker": ["--utt2spk=ark,t:utt2spk"],
    "speaker_means": [
        "--utt2spk=ark,t:utt2spk",
        "--norm-vars=false",
        "--write-cmvn-stats=ark:stats.ark",
    ],
    "statistics": ["--cmvn-stats=zero.stats", "--deltas=false"],
    "columns": ["--select=5,0-2", "--deltas=false"],
    "wide": ["--delta-window=9", "--delta-order=3"],
    "none": ["--deltas=false", "--cmvn=false"],
}


@pytest.fixture(scope="module")
def feats(tmp_path_factory):
    """A folder with an archive per utterance, and statistics of 10 frames that are all zero."""
    folder = tmp_path_factory.mktemp("feats")
    for name, matrix in FEATS.items():
        with open_writer(f"ark:{folder}/{name}.ark") as writer:
            writer.write(name, matrix.astype(np.float32))
    (folder / "utt2spk").write_text("".join(f"{name} speaker\n" for name in FEATS))
    (folder / "zero.stats").write_text(" [\n  0 0 0 0 0 0 10\n  0 0 0 0 0 0 0 ]\n")
    return folder


@pytest.mark.parametrize("post", POST)
def test_normalised_features_are_finite_or_refused(feats, commands, fault, post):
    overflows = {
        "means": {"largest"},
        "speaker_means": {"largest"},
        "statistics": {"huge", "largest"},
    }.get(post, set())
    for name in FEATS:
        with fault("number"):
            (feats / "out.ark").unlink(missing_ok=True)
            is_bad = name in BAD | overflows
            result = commands.call(
                "post_feats",
                "--print-args=false",
                *POST[post],
                f"ark:{name}.ark",
                "ark:out.ark",
                cwd=feats,
            )
            if is_bad:
                errors = [line for line in result.err.splitlines() if not line.startswith("LOG")]
                assert (
                    result.status == 1
                    and len(errors) == 1
                    and re.match(r"ERROR \(sd-post-feats\) .*: features: .*[.] ", errors[0])
                ), result
                assert not (feats / "out.ark").exists()
            else:
                check(result)
                (out,) = matrices(feats / "out.ark").values()
                assert len(out) == len(FEATS[name]) and np.isfinite(out).all()
                if post in ("default", "static"):
                    assert np.abs(out.mean(axis=0, dtype=np.float64)).max() < 1e-4 * max(
                        1, np.abs(out).max()
                    )
                    assert out.std(axis=0, dtype=np.float64).max() < 1.01


GMM = {
    "one": ["--num-components=1"],
    "eight": ["--num-components=8"],
    "without_floor": ["--num-components=8", "--variance-floor=0"],
    "raw": ["--num-components=8", "--cmvn=false", "--deltas=false"],
    "raw_without_floor": [
        "--num-components=8",
        "--cmvn=false",
        "--deltas=false",
        "--variance-floor=0",
    ],
}
TOO_FEW = {"one_frame", "two_equal_frames"}
NO_MODEL = {"one": {"tiny", "denormal"}, "eight": {"tiny", "denormal"} | TOO_FEW}
NO_MODEL["without_floor"] = NO_MODEL["eight"]
NO_MODEL["raw"] = NO_MODEL["raw_without_floor"] = NO_MODEL["eight"] | {
    "huge",
    "largest",
    "mixed_sizes",
}


@pytest.mark.parametrize("settings", GMM)
def test_a_gmm_and_its_scores_are_finite_or_refused(feats, commands, fault, tmp_path, settings):
    """Duplicate frames, constant dimensions, empty components, few frames, extreme sizes."""
    options = GMM[settings]
    post = [option for option in options if "cmvn" in option or "deltas" in option]
    assert (
        commands.call(
            "train_gmm", *options, "ark:plain.ark", f"{tmp_path}/plain.gmm", cwd=feats
        ).status
        == 0
    )
    for name in FEATS:
        with fault("number"):
            gmm = tmp_path / f"{name}.gmm"
            result = commands.call("train_gmm", *options, f"ark:{name}.ark", gmm, cwd=feats)
            if name in BAD | NO_MODEL[settings]:
                errors = [line for line in result.err.splitlines() if line.startswith("ERROR")]
                assert (
                    result.status == 1
                    and "Traceback" not in result.err
                    and len(errors) == 1
                    and re.search(r"\. [A-Z].*\.$", errors[0])  # what to do next
                ), result
                assert not gmm.exists()
                continue
            assert result.status == 0 and "Traceback" not in result.err
            model = read_gmm(gmm)
            assert (
                np.isfinite(model.means).all()
                and (model.variances > 0).all()
                and np.isfinite(model.variances).all()
            )
            assert model.weights.sum() == pytest.approx(1) and (model.weights >= 0).all()
            for of in (name, "plain"):
                argv = [
                    "--print-args=false",
                    *post,
                    gmm,
                    tmp_path / "plain.gmm",
                    f"ark:{of}.ark",
                    tmp_path / "x.txt",
                ]
                check(commands.call("score_gmm", *argv, cwd=feats))
                (line,) = (tmp_path / "x.txt").read_text().splitlines()
                assert line.split()[0] == of and np.isfinite(float(line.split()[1]))


def test_a_bad_utterance_among_good_ones_is_a_counted_skip(feats, commands, fault, tmp_path):
    lines = [f"{name} {name}.ark:{len(name) + 1}\n" for name in FEATS]
    (feats / "all.scp").write_text("".join(lines))
    gmm = tmp_path / "x.gmm"
    with fault("number", len(BAD)):
        for argv in (
            ["post_feats", "scp:all.scp", f"ark:{tmp_path}/o.ark"],
            ["train_gmm", "--num-components=2", "scp:all.scp", gmm],
            ["acc_gmm", gmm, "scp:all.scp", tmp_path / "x.acc"],
            ["score_gmm", gmm, gmm, "scp:all.scp", tmp_path / "x.txt"],
        ):
            result = commands.call(argv[0], f"--max-skip={len(BAD)}", *argv[1:], cwd=feats)
            assert (
                result.status == 0
                and f"done {len(FEATS) - 3} of {len(FEATS)}, 3 skipped" in result.err
            ), result
            assert set(re.findall(r"WARNING .* skipped (\w+) ", result.err)) == BAD
            assert (
                commands.call(argv[0], f"--max-skip={len(BAD) - 1}", *argv[1:], cwd=feats).status
                == 1
            )
        scores = dict(line.split() for line in (tmp_path / "x.txt").read_text().splitlines())
        assert scores.keys() == FEATS.keys() - BAD and set(map(float, scores.values())) == {0.0}


G, S = np.add([[1], [-1]], np.random.default_rng(0).standard_normal((2, 20)))
FIRST = np.arange(20) < 3
SCORES = {  # genuine and spoof; whether a calibration can come of it
    "plain": (G, S, True),
    "ties": (np.round(G), np.round(S), True),
    "equal": (0 * G + 2, 0 * S + 2, True),
    "decisions": (np.sign(G), np.sign(S), True),
    "separable": (abs(G) + 5, -abs(S) - 5, True),
    "inverted": (S, G, True),
    "offset": (G + 1e15, S + 1e15, True),
    "large": (G * 1e90, S * 1e90, True),
    "small": (G * 1e-90, S * 1e-90, True),
    "one_each": (G[:1], S[:1], True),
    "infinite_on_the_right_side": (np.where(FIRST, np.inf, G), np.where(FIRST, -np.inf, S), False),
    "infinite_on_the_wrong_side": (np.where(FIRST, -np.inf, G), np.where(FIRST, np.inf, S), False),
    "all_infinite": (np.full(20, np.inf), np.full(20, -np.inf), False),
    "all_the_same_infinite": (np.full(20, np.inf), np.full(20, np.inf), False),
    "nan": (np.where(FIRST, np.nan, G), S, False),
    "huge": (G * 1e307, S * 1e307, False),
    "one_huge": (np.where(FIRST, 1e308, G), S, False),
    "tiny": (G * 1e-300, S * 1e-300, False),
    "denormal": (G * 1e-320, S * 1e-320, False),
    "one_class": (G, S[:0], False),
    "none": (G[:0], S[:0], False),
}
NO_FIGURES = {"nan", "one_class", "none"}
IS_A_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(-[0-9.]+)?|inf")


def write_scores(folder, name):
    genuine, spoof, _ = SCORES[name]
    rows = [(f"g{i:02}", "genuine", x) for i, x in enumerate(genuine)] + [
        (f"s{i:02}", "spoof", x) for i, x in enumerate(spoof)
    ]
    (folder / "utt2label").write_text("".join(f"{utt} {label}\n" for utt, label, _ in rows))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt, *_ in rows))
    (folder / "scores").write_text("".join(f"{utt} {float(score)!r}\n" for utt, _, score in rows))
    other = np.random.default_rng(1).standard_normal(len(rows))
    (folder / "other").write_text(
        "".join(f"{utt} {score!r}\n" for (utt, *_), score in zip(rows, other.tolist()))
    )


@pytest.mark.parametrize("name", SCORES)
def test_figures_are_numbers_or_there_is_one_line(commands, fault, tmp_path, name):
    write_scores(tmp_path, name)
    argv = [
        "--print-args=false",
        "--json=x.json",
        "--by=spk",
        "--eer=interp,rocch",
        "utt2label",
        "scores",
    ]
    with fault("number"):
        result = commands.call("eval_scores", *argv, cwd=tmp_path)
        if name in NO_FIGURES:
            assert (
                result.status == 1
                and len(re.findall("^ERROR", result.err, re.MULTILINE)) == 1
                and not (tmp_path / "x.json").exists()
            )
            return
        assert result.status == 0 and not re.search("Traceback|ERROR|encountered", result.err), (
            result
        )
        figures = json.loads(
            (tmp_path / "x.json").read_text(), parse_constant=lambda word: pytest.fail(word)
        )["systems"][0]
        for value in figures["eer"].values() if isinstance(figures["eer"], dict) else []:
            assert 0 <= float(value["value"] if isinstance(value, dict) else value) <= 1
        cells = result.out.splitlines()[1].split()[1:]
        assert all(IS_A_NUMBER.fullmatch(cell) for cell in cells), cells
        assert ("inf" in cells) == (name in ("infinite_on_the_wrong_side", "all_the_same_infinite"))


@pytest.mark.parametrize(
    "options",
    [["--auto-ridge"], ["--auto-ridge", "--nonnegative"], ["--pav"], ["--auto-ridge", "two"]],
    ids=" ".join,
)
@pytest.mark.parametrize("name", SCORES)
def test_a_fusion_gives_finite_scores_or_is_refused(commands, fault, tmp_path, name, options):
    write_scores(tmp_path, name)
    files = ["scores", "other"] if "two" in options else ["scores"]
    options = [option for option in options if option != "two"]
    with fault("number"):
        result = commands.call(
            "train_fusion",
            "--print-args=false",
            *options,
            "utt2label",
            *files,
            "fusion.json",
            cwd=tmp_path,
        )
        errors = [line for line in result.err.splitlines() if line.startswith("ERROR")]
        assert not re.search("Traceback|encountered", result.err), result
        if not SCORES[name][2]:
            assert (
                result.status == 1
                and len(errors) == 1
                and ": expected " in errors[0]
                and not (tmp_path / "fusion.json").exists()
            ), result
            return
        assert (result.status, errors) == (0, [])
        check(
            commands.call(
                "apply_fusion", "--print-args=false", "fusion.json", *files, "out", cwd=tmp_path
            )
        )
        fused = dict(line.split() for line in (tmp_path / "out").read_text().splitlines())
        assert all(np.isfinite(float(llr)) and abs(float(llr)) < 100 for llr in fused.values())
        if name not in ("equal", "inverted"):
            assert max(map(float, fused.values())) > min(map(float, fused.values()))


def test_a_fusion_of_scores_unlike_those_of_training(commands, fault, tmp_path):
    """Never NaN: a score that a fusion cannot map is an error."""
    write_scores(tmp_path, "plain")
    for options in ([], ["--pav"]):
        assert (
            commands.call(
                "train_fusion", *options, "utt2label", "scores", "fusion.json", cwd=tmp_path
            ).status
            == 0
        )
        for score in ("1e308", "-1e308", "inf", "-inf", "5e-324", "nan"):
            with fault("number"):
                (tmp_path / "odd").write_text(f"u {score}\n")
                result = commands.call("apply_fusion", "fusion.json", "odd", "out", cwd=tmp_path)
                assert "Traceback" not in result.err and "encountered" not in result.err
                assert (
                    result.status == 1,
                    "an utterance and a score other than NaN" in result.err,
                ) == (score == "nan",) * 2
                if score != "nan":
                    llr = float((tmp_path / "out").read_text().split()[1])
                    assert not np.isnan(llr) and (
                        abs(float(score)) < 1 or np.sign(llr) == np.sign(float(score))
                    )
