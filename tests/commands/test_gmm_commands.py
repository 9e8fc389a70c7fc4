"""EM in parts and through files is EM in one process: the GMM commands, local/train_gmm.sh."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from sdtools.bin import acc_gmm, copy_gmm, est_gmm, init_gmm, post_feats, score_gmm, train_gmm
from sdtools.gmm.io import read_gmm, read_stats, write_gmm
from sdtools.gmm.mixture import DiagGmm, log_likelihood
from sdtools.gmm.training import GmmOptions, em_schedule
from sdtools.options import settings_lines

ROOT = Path(__file__).parents[2]
POST = ["--deltas=false", "--cmvn=false"]
SMALL = ["--num-components=2", "--final-iters=1"]
NUM_UTTS, DIM = 40, 5


def make_features(folder, name="feats", seed=0, num_utts=NUM_UTTS, shift_hz=0.0):
    """Frequencies in hertz, whose mean is 60 deviations; as archive and script file."""
    rng = np.random.default_rng(seed)
    centres = 3000 + shift_hz + 100 * rng.standard_normal((6, DIM))
    arrays = {}
    for index in range(num_utts):
        frames = centres[rng.integers(6, size=rng.integers(20, 120))]
        arrays[f"{name}-{index:03d}"] = (frames + 50 * rng.standard_normal(frames.shape)).astype(
            np.float32
        )
    kaldiio.save_ark(f"{folder}/{name}.ark", arrays, scp=f"{folder}/{name}.scp")
    return arrays


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_features(tmp_path)
    return tmp_path


def done(command, *argv):
    assert command.main(["--print-args=false", *map(str, argv)]) == 0


def refused(capsys, command, *argv):
    """The one line with which a command fails."""
    capsys.readouterr()
    assert command.main(["--print-args=false", *map(str, argv)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def em_in_parts(num_parts, num_components, final_iters, *options):
    """The models of all passes, as files 0.gmm, 1.gmm, ...; the number of the last."""
    settings = GmmOptions(num_components=num_components, final_iters=final_iters)
    done(init_gmm, *POST, *settings_lines(settings), "scp:feats.scp", "0.gmm")
    lines = Path("feats.scp").read_text().splitlines(True)
    for part in range(num_parts):
        Path(f"part{part}.scp").write_text("".join(lines[part::num_parts]))
    for number, em_pass in enumerate(em_schedule(settings)):
        accs = [f"{number}.{part}.acc" for part in range(num_parts)]
        for part, acc in enumerate(accs):
            done(acc_gmm, *POST, *options, f"{number}.gmm", f"scp:part{part}.scp", acc)
        split = f"--split={str(em_pass.is_split_after).lower()}"
        done(est_gmm, split, *options, f"{number}.gmm", *accs, f"{number + 1}.gmm")
    return number + 1


# Property


@pytest.mark.parametrize("options", [[], ["--binary=false"]])
def test_em_over_parts_through_files_is_em_in_one_process(folder, options):
    done(train_gmm, *POST, "--num-components=8", "--final-iters=3", "scp:feats.scp", "whole.gmm")
    for num_parts in (1, 3, 8):
        last = em_in_parts(num_parts, 8, 3, *options)
        assert last == 2 + 4 + 3
        done(copy_gmm, f"{last}.gmm", "copy.gmm")
        assert Path("copy.gmm").read_bytes() == Path("whole.gmm").read_bytes()
        assert Path("copy.gmm.conf").read_bytes() == Path("whole.gmm.conf").read_bytes()


def test_order_of_the_utterances_changes_nothing(folder):
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    lines = Path("feats.scp").read_text().splitlines(True)
    Path("reversed.scp").write_text("".join(reversed(lines)))
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "1.acc")
    done(acc_gmm, *POST, "0.gmm", "scp:reversed.scp", "2.acc")
    assert Path("1.acc").read_bytes() == Path("2.acc").read_bytes()


# Second implementation


def test_one_pass_against_a_plain_loop(folder):
    frames = np.concatenate(list(make_features(folder).values())).astype(np.float64)
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    start = read_gmm("0.gmm")
    centre, deviation = frames.mean(axis=0), frames.std(axis=0)
    widest = np.arange(DIM) == np.argmax(deviation)
    np.testing.assert_allclose(
        start.means, [centre - deviation * widest, centre + deviation * widest], rtol=1e-9
    )
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    done(est_gmm, "0.gmm", "0.acc", "1.gmm")
    distances = (
        (frames[:, None] - start.means) ** 2 / start.variances + np.log(start.variances)
    ).sum(axis=2)
    posteriors = np.exp(-0.5 * (distances - distances.min(axis=1, keepdims=True)))
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    weights = posteriors.mean(axis=0)
    means = posteriors.T @ frames / posteriors.sum(axis=0)[:, None]
    variances = np.stack(
        [p @ (frames - mean) ** 2 / p.sum() for p, mean in zip(posteriors.T, means)]
    )
    got = read_gmm("1.gmm")
    np.testing.assert_allclose(got.weights, weights, rtol=1e-5)
    np.testing.assert_allclose(got.means, means, rtol=1e-7)
    np.testing.assert_allclose(got.variances, variances, rtol=1e-4)


def kaldi_statistics(flags=7):
    """What gmm-global-acc-stats writes, of 4 frames, 3 of them of the first of two components."""
    parts = [
        b"\0B<GMMACCS> <VECSIZE> \x04",
        struct.pack("<i", 1),
        b"<NUMCOMPONENTS> \x04",
        struct.pack("<i", 2),
    ]
    parts += [
        b"<FLAGS> \xfe",
        struct.pack("<H", flags),
        b"<OCCUPANCY> FV \x04",
        struct.pack("<i2f", 2, 3, 1),
    ]
    parts += [b"<MEANACCS> FM \x04", struct.pack("<ibi2f", 2, 4, 1, 6, 5)]
    parts += [b"<DIAGVARACCS> FM \x04", struct.pack("<ibi2f", 2, 4, 1, 15, 26), b"</GMMACCS> "]
    return b"".join(parts)


def test_takes_over_from_kaldi_and_hands_over(folder):
    """Statistics in Kaldi's bytes: weights 3/4, 1/4; means 2, 5; variances 15/3 - 4, 26 - 25."""
    write_gmm("kaldi.gmm", DiagGmm([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]]))
    Path("kaldi.acc").write_bytes(kaldi_statistics())
    done(est_gmm, "kaldi.gmm", "kaldi.acc", "ours.gmm")
    got = read_gmm("ours.gmm")
    assert (
        got.weights.tolist() == [0.75, 0.25]
        and got.means.tolist() == [[2.0], [5.0]]
        and got.variances.tolist() == [[1.0], [1.0]]
    )
    assert not Path("ours.gmm.conf").exists()


# The command line


def test_copies_between_all_forms(folder, capsys):
    done(train_gmm, *POST, "--num-components=2", "scp:feats.scp", "a.gmm")
    for source, target in (
        ("a.gmm", "b.npz"),
        ("b.npz", "c.txt"),
        ("c.txt", "d.npz"),
        ("d.npz", "e.gmm"),
    ):
        done(copy_gmm, f"--binary={str(not target.endswith('txt')).lower()}", source, target)
    assert Path("c.txt").read_text().startswith("<DiagGMM> \n<GCONSTS>  [ ")
    np.testing.assert_allclose(read_gmm("e.gmm").variances, read_gmm("a.gmm").variances, rtol=1e-5)
    assert Path("e.gmm.conf").read_bytes() == Path("a.gmm.conf").read_bytes()
    done(copy_gmm, "b.npz", "f.gmm")
    assert Path("f.gmm").read_bytes() == Path("a.gmm").read_bytes()


def test_model_on_standard_output(folder, capfdbinary):
    done(train_gmm, *POST, "--num-components=2", "scp:feats.scp", "a.gmm")
    capfdbinary.readouterr()
    code = "import sys; from sdtools.bin.copy_gmm import main; sys.exit(main(['a.gmm', '-']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert result.stdout == Path("a.gmm").read_bytes() and not Path("-.conf").exists()


@pytest.mark.parametrize("command", [train_gmm, init_gmm])
def test_no_settings_beside_a_stream(folder, command):
    done(command, *POST, "scp:feats.scp", "a.gmm")
    before = sorted(Path().iterdir())
    code = f"import sys; from {command.__name__} import main; sys.exit(main(sys.argv[1:]))"
    for output in ("-", "/dev/stdout", "| cat"):
        result = subprocess.run(
            [sys.executable, "-c", code, *POST, "scp:feats.scp", output], capture_output=True
        )
        assert result.returncode == 0 and result.stdout == Path("a.gmm").read_bytes(), result.stderr
    assert sorted(Path().iterdir()) == before


def test_log_and_file_hold_the_likelihood_of_the_part(folder, capsys):
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    own = "--write-log-likelihood=loglike"
    done(acc_gmm, *POST, own, "0.gmm", "scp:feats.scp", "0.acc")
    frames = np.concatenate(list(make_features(folder).values()))
    expected = log_likelihood(read_gmm("0.gmm"), frames).mean()
    total, num_frames = Path("loglike").read_text().split()
    assert float(total) / len(frames) == pytest.approx(expected, rel=1e-12)
    assert int(num_frames) == len(frames)
    line = capsys.readouterr().err.splitlines()[-1]
    got, num_frames = re.fullmatch(
        r"LOG \(sd-acc-gmm\) 2 components: (\S+) per frame of (\d+)", line
    ).groups()
    assert float(got) == pytest.approx(expected, rel=1e-6) and int(num_frames) == len(frames)


def test_one_component_and_every_nth_frame(folder):
    arrays = make_features(folder)
    done(init_gmm, *POST, "--num-components=1", "scp:feats.scp", "0.gmm")
    np.testing.assert_allclose(
        read_gmm("0.gmm").means[0],
        np.concatenate(list(arrays.values())).mean(axis=0, dtype=np.float64),
        rtol=1e-9,
    )
    done(acc_gmm, *POST, "--subsample=7", "0.gmm", "scp:feats.scp", "0.acc")
    selected = np.concatenate([array[::7] for array in arrays.values()]).astype(np.float64)
    stats = read_stats("0.acc")
    assert stats.num_frames == len(selected)
    np.testing.assert_allclose(stats.first[0], selected.sum(axis=0), rtol=1e-9)


def test_schedule_is_written_for_the_passes_to_come(folder):
    options = ["--num-components=4", "--final-iters=1", "--write-schedule=schedule"]
    done(init_gmm, *POST, *options, "scp:feats.scp", "0.gmm")
    assert Path("schedule").read_text() == "2 1 2 1 false\n2 2 2 1 true\n4 1 1 1 false\n"
    done(init_gmm, *POST, *options, "--num-components=1", "scp:feats.scp", "0.gmm")
    assert Path("schedule").read_bytes() == b""


def test_constant_dimension_is_pointed_out(folder, capsys):
    kaldiio.save_ark("constant.ark", {"a": np.repeat(np.float32([[1, 2], [1, 3]]), 5, axis=0)})
    done(init_gmm, *POST, "--num-components=2", "ark:constant.ark", "0.gmm")
    line = "1 of 2 dimensions are constant, the first is 0 (from 0); their variance becomes 1e-06"
    assert f"WARNING (sd-init-gmm) frames: {line}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [init_gmm, train_gmm])
def test_one_normalised_gaussian_is_pointed_out(folder, capsys, command):
    done(command, "--num-components=1", "scp:feats.scp", "x.gmm")
    assert "all LLRs will be equal" in capsys.readouterr().err
    done(command, "--num-components=1", "--cmvn=false", "scp:feats.scp", "x.gmm")
    assert "all LLRs will be equal" not in capsys.readouterr().err


def test_empty_component_is_logged(folder, capsys):
    write_gmm("0.gmm", DiagGmm([0.5, 0.5], [[3000.0] * DIM, [1e6] * DIM], [[1e4] * DIM] * 2))
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    done(est_gmm, "0.gmm", "0.acc", "1.gmm")
    assert "component 1 is empty: re-seeded from component 0 of weight 1" in capsys.readouterr().err


def test_the_model_appears_after_its_settings(folder, monkeypatch):
    """Killed at any moment, a command leaves no model without them."""
    replace, appeared = os.replace, []
    monkeypatch.setattr(
        os,
        "replace",
        lambda source, target: (appeared.append(os.path.basename(target)), replace(source, target)),
    )
    done(train_gmm, *POST, "--num-components=2", "scp:feats.scp", "a.gmm")
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    done(est_gmm, "0.gmm", "0.acc", "1.gmm")
    done(copy_gmm, "1.gmm", "b.gmm")
    models = ("a.gmm", "0.gmm", "1.gmm", "b.gmm")
    assert [name for name in appeared if name != "0.acc"] == [
        name + end for name in models for end in (".conf", "")
    ]


# Limits and errors


def test_too_few_frames_for_the_components(folder, capsys):
    kaldiio.save_ark(
        "few.ark", {"a": np.random.default_rng(0).standard_normal((20, DIM)).astype(np.float32)}
    )
    assert init_gmm.main([*POST, "--num-components=64", "ark:few.ark", "x.gmm"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "ark:few.ark: number of frames: expected at least 64, one per component" in line
    assert "found 20. Lower --num-components" in line
    assert not list(Path().glob("x.gmm*"))


@pytest.mark.parametrize("max_memory", [0, 2])
def test_an_utterance_that_comes_twice(folder, capsys, max_memory):
    lines = Path("feats.scp").read_text().splitlines(True)
    Path("twice.scp").write_text("".join([*lines, lines[7]]))
    assert (
        train_gmm.main(
            ["--print-args=false", *POST, f"--max-memory={max_memory}", "scp:twice.scp", "x.gmm"]
        )
        == 1
    )
    place = f"feats-007 (twice.scp:{NUM_UTTS + 1})"
    assert f"{place}: key: this utterance occurs twice" in capsys.readouterr().err
    assert not list(Path().glob("x.gmm*"))


def test_an_utterance_that_is_to_be_scored_twice(folder, capsys):
    """One of its scores would be lost."""
    done(init_gmm, *POST, "scp:feats.scp", "x.gmm")
    lines = Path("feats.scp").read_text().splitlines(keepends=True)
    Path("twice.scp").write_text("".join([*lines, lines[7]]))
    argv = ["--print-args=false", *POST, "x.gmm", "x.gmm", "scp:twice.scp", "scores"]
    assert score_gmm.main(argv) == 1 and not Path("scores").exists()
    assert f"feats-007 (twice.scp:{NUM_UTTS + 1}): key: " in capsys.readouterr().err


def test_model_without_settings_in_the_place_of_one_with(folder, capsys):
    write_gmm("m.mdl", DiagGmm([1.0], [[0.0]], [[1.0]]))
    Path("gmm.conf").write_text("--of-the-user=true\n")
    line = refused(capsys, copy_gmm, "m.mdl", "gmm")
    assert "gmm.conf: this file exists, but m.mdl.conf does not" in line
    assert not Path("gmm").exists() and Path("gmm.conf").read_text() == "--of-the-user=true\n"


def test_statistics_that_do_not_fit(folder, capsys):
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    done(est_gmm, "--split", "0.gmm", "0.acc", "1.gmm")
    done(acc_gmm, *POST, "1.gmm", "scp:feats.scp", "1.acc")
    before = sorted(os.listdir())
    line = refused(capsys, est_gmm, "0.gmm", "0.acc", "1.acc", "x.gmm")
    found = "components and dimension: expected (2, 5) as in 0.gmm, found (4, 5)"
    assert f"1.acc: {found}" in line
    Path("link.acc").symlink_to("0.acc")
    for name in ("0.acc", "./0.acc", "link.acc"):
        line = refused(capsys, est_gmm, "0.gmm", "0.acc", name, "x.gmm")
        assert "0.acc: these statistics are given twice" in line
    Path("link.acc").unlink()
    assert "missing.acc" in refused(capsys, est_gmm, "0.gmm", "missing.acc", "x.gmm")
    line = refused(capsys, est_gmm, "0.gmm", "0.gmm", "x.gmm")
    assert "0.gmm: byte 2: expected <GMMACCS>, found b'<DiagGMM> " in line
    line = refused(capsys, est_gmm, "0.acc", "0.acc", "x.gmm")
    assert "0.acc: byte 2: expected <DiagGMM>, found b'<GMMACCS> " in line
    assert "arguments: expected <gmm> <acc>... <gmm-out>, found 2" in refused(
        capsys, est_gmm, "0.gmm", "x.gmm"
    )
    assert "UpdateOptions" not in refused(
        capsys, est_gmm, "--variance-floor=2", "0.gmm", "0.acc", "x.gmm"
    )
    assert sorted(os.listdir()) == before


def test_statistics_of_kaldi_without_variances_or_frames(folder, capsys):
    write_gmm("0.gmm", DiagGmm([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]]))
    Path("mean.acc").write_bytes(kaldi_statistics(flags=5))
    line = refused(capsys, est_gmm, "0.gmm", "mean.acc", "x.gmm")
    assert "mean.acc: <FLAGS>: expected 7: means, variances and weights, found 5" in line
    Path("none.acc").write_bytes(kaldi_statistics().replace(struct.pack("<2f", 3, 1), bytes(8)))
    line = refused(capsys, est_gmm, "0.gmm", "none.acc", "x.gmm")
    assert "statistics: number of frames: expected at least 1, found 0" in line
    assert not Path("x.gmm").exists()


def test_features_that_have_their_deltas_already(folder, capsys):
    """The cause, which the .conf beside the archive tells, not a shape that does not fit."""
    done(init_gmm, *POST, "scp:feats.scp", "x.gmm")
    done(post_feats, "--deltas=true", "scp:feats.scp", "ark,scp:post.ark,post.scp")
    commands = {
        acc_gmm: ["x.gmm", "scp:post.scp", "x.acc"],
        score_gmm: ["x.gmm", "x.gmm", "ark:post.ark", "scores"],
        train_gmm: ["scp:post.scp", "y.gmm"],
        init_gmm: ["scp:post.scp", "y.gmm"],
        post_feats: ["scp:post.scp", "ark:z.ark"],
    }
    for command, words in commands.items():
        capsys.readouterr()
        assert command.main(["--print-args=false", "--deltas=true", *words]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert "deltas, which sd-post-feats has appended (post.ark.conf)" in line
        assert "--deltas=false" in line
    assert not Path("y.gmm").exists()


def test_other_settings_in_a_later_pass(folder, capsys):
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    line = refused(capsys, acc_gmm, "--deltas=false", "0.gmm", "scp:feats.scp", "x.acc")
    assert "0.gmm: settings: expected --cmvn=false as in 0.gmm.conf, found --cmvn=true" in line
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    line = refused(capsys, est_gmm, "--variance-floor=0.2", "0.gmm", "0.acc", "x.gmm")
    sides = "expected --variance-floor=0.1 as in 0.gmm.conf, found --variance-floor=0.2"
    assert f"0.gmm: settings: {sides}" in line
    line = refused(capsys, acc_gmm, "--subsample=0", "0.gmm", "scp:feats.scp", "x.acc")
    assert "--subsample: expected 1 or more, found 0" in line


def test_features_that_do_not_fit_are_named_or_skipped(folder, capsys):
    lines = Path("feats.scp").read_text().splitlines(True)
    kaldiio.save_ark("other.ark", {"other": np.ones((9, 3), np.float32)}, scp="other.scp")
    Path("mixed.scp").write_text(
        "".join([*lines[:3], *Path("other.scp").read_text().splitlines(True), *lines[3:]])
    )
    done(init_gmm, *POST, "scp:feats.scp", "0.gmm")
    done(acc_gmm, *POST, "0.gmm", "scp:feats.scp", "0.acc")
    done(train_gmm, *POST, *SMALL, "scp:feats.scp", "good.gmm")
    for command, argv in (
        (init_gmm, ["scp:mixed.scp", "x.gmm"]),
        (train_gmm, [*SMALL, "scp:mixed.scp", "y.gmm"]),
        (acc_gmm, ["0.gmm", "scp:mixed.scp", "x.acc"]),
    ):
        line = refused(capsys, command, *POST, *argv)
        found = "frames: shape: expected (num_frames, 5), found (9, 3)"
        assert f"other (mixed.scp:4): {found}" in line
        done(command, *POST, "--max-skip=1", *argv)
        assert f"done {NUM_UTTS} of {NUM_UTTS + 1}, 1 skipped" in capsys.readouterr().err
    assert Path("x.acc").read_bytes() == Path("0.acc").read_bytes()
    assert Path("x.gmm").read_bytes() == Path("0.gmm").read_bytes()
    assert Path("y.gmm").read_bytes() == Path("good.gmm").read_bytes()
    Path("none.scp").write_text("")
    assert "expected at least one" in refused(capsys, init_gmm, *POST, "scp:none.scp", "y.gmm")
    assert "expected at least one" in refused(
        capsys, acc_gmm, *POST, "0.gmm", "scp:none.scp", "y.acc"
    )


def test_a_huge_value_is_named_in_training_as_in_scoring(folder, capsys):
    done(train_gmm, *POST, *SMALL, "scp:feats.scp", "good.gmm")
    arrays = make_features(folder)
    arrays["feats-005"][3, 1] = -1e38
    kaldiio.save_ark("bad.ark", arrays, scp="bad.scp")
    for command, argv in (
        (score_gmm, ["good.gmm", "good.gmm", "scp:bad.scp", "x.txt"]),
        (acc_gmm, ["good.gmm", "scp:bad.scp", "x.acc"]),
        (init_gmm, ["scp:bad.scp", "x.gmm"]),
        (train_gmm, ["scp:bad.scp", "x.gmm"]),
    ):
        line = refused(capsys, command, *POST, *argv)
        assert "feats-005 (bad.scp:6): frame 3: largest magnitude: " in line
        assert "found 1e+38. " in line
    assert not list(Path().glob("x.*"))


def test_model_that_cannot_be_copied(folder, capsys):
    Path("bad.gmm").write_bytes(b"\0B<DiagGMM> ")
    line = refused(capsys, copy_gmm, "bad.gmm", "x.gmm")
    assert "bad.gmm: byte 12: expected <GCONSTS>, found b''. The file is cut short" in line
    assert "missing.gmm" in refused(capsys, copy_gmm, "missing.gmm", "x.npz")
    assert not Path("x.gmm").exists() and not Path("x.npz").exists()
