"""sd-copy-feats and sd-post-feats: forms of a table, and features as the models see them."""

import os
import subprocess
import sys
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest

from sdtools.bin import copy_feats, post_feats, score_gmm, train_gmm
from sdtools.features.postprocess import PostOptions, add_deltas, cmvn_stats, normalize, postprocess
from sdtools.tables import table as tables

SPEAKERS = {"a-1": "a", "a-2": "a", "b-1": "b", "b-2": "b", "b-3": "b"}
NO_DELTAS = "--deltas=false"


@pytest.fixture
def feats(tmp_path, monkeypatch):
    """The matrices of feats.ark and feats.scp in the current directory, with utt2spk."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = {
        key: rng.normal(3, 2, (12 + i, 4)).astype(np.float32) for i, key in enumerate(SPEAKERS)
    }
    save("ark,scp:feats.ark,feats.scp", table)
    Path("utt2spk").write_text("".join(f"{key} {speaker}\n" for key, speaker in SPEAKERS.items()))
    return table


def save(wspecifier, table, kind="matrix"):
    with tables.open_writer(wspecifier, kind) as writer:
        for key, value in table.items():
            writer.write(key, value)


def load(rspecifier, kind="matrix"):
    with tables.open_table(rspecifier, kind) as table:
        return {entry.key: entry.load() for entry in table}


def read_by_kaldi(rspecifier, reader=kaldi.SequentialFloatMatrixReader):
    with reader(rspecifier) as table:
        return {key: np.array(value) for key, value in table}


def run(command, *argv):
    assert command.main(["--print-args=false", *argv]) == 0


def fails(command, capsys, *argv):
    """The one line on stderr of a command that must fail and leave no output."""
    capsys.readouterr()
    assert command.main(["--print-args=false", *argv]) == 1
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if not line.startswith(("WARNING", "LOG"))
    ]
    assert line.startswith(f"ERROR ({command.COMMAND.name}) ")
    assert [name for name in os.listdir() if name.startswith(("out", "."))] == []
    return line


def assert_equal_tables(got, expected, **tolerance):
    assert list(got) == list(expected)
    for key in expected:
        np.testing.assert_allclose(
            got[key], expected[key], **(tolerance or {"rtol": 0, "atol": 0}), err_msg=key
        )


# --- sd-copy-feats


@pytest.mark.parametrize(
    "wspecifier",
    [
        "ark:out.ark",
        "ark,t:out.ark",
        "ark,f:out.ark",
        "ark,scp:out.ark,out.scp",
        "ark:| cat > out.ark",
    ],
)
def test_copy_is_equal_to_ours_and_to_kaldis_reader(feats, wspecifier):
    run(copy_feats, "scp:feats.scp", wspecifier)
    tolerance = {"rtol": 1e-6} if ",t:" in wspecifier else {}
    for rspecifier in ["ark:out.ark", "ark:cat out.ark |"] + (
        ["scp:out.scp"] if "scp" in wspecifier else []
    ):
        assert_equal_tables(load(rspecifier), feats, **tolerance)
        assert_equal_tables(read_by_kaldi(rspecifier), feats, **tolerance)
    assert [name for name in os.listdir() if name.startswith(".")] == []


def test_frames_are_counted_of_what_is_written(feats):
    Path("some.scp").write_text("a-2 out.mat\n")
    run(copy_feats, "--write-num-frames=ark,t:out.txt", "scp:feats.scp", "scp,p:some.scp")
    assert Path("out.txt").read_text() == "a-2 13 \n"


def test_binary_copy_of_a_binary_archive_has_its_bytes(feats):
    run(copy_feats, "ark:feats.ark", "ark:out.ark")
    assert Path("out.ark").read_bytes() == Path("feats.ark").read_bytes()


def test_copy_between_standard_streams(feats):
    argv = [sys.executable, "-m", "sdtools.bin.copy_feats", "ark:-", "ark,t:-"]
    with open("feats.ark", "rb") as archive:
        result = subprocess.run(argv, stdin=archive, capture_output=True, timeout=60)
    assert result.returncode == 0 and b"done 5 of 5, 0 skipped" in result.stderr
    Path("text.ark").write_bytes(result.stdout)
    assert_equal_tables(load("ark:text.ark"), feats, rtol=1e-6)


def test_ranges_of_a_script_file(feats):
    place = Path("feats.scp").read_text().split()[1]
    Path("part.scp").write_text(f"x {place}[2:5,1:2]\ny {place}[0:0]\n")
    run(copy_feats, "scp:part.scp", "ark:out.ark")
    assert_equal_tables(
        read_by_kaldi("ark:out.ark"), {"x": feats["a-1"][2:6, 1:3], "y": feats["a-1"][:1]}
    )


def test_numbers_of_frames(feats):
    run(copy_feats, "--write-num-frames=ark,t:utt2num_frames", "scp:feats.scp", "ark:out.ark")
    lines = "a-1 12 \na-2 13 \nb-1 14 \nb-2 15 \nb-3 16 \n"  # the blanks are Kaldi's
    assert Path("utt2num_frames").read_text() == lines


def test_double_stays_double(feats):
    with kaldi.DoubleMatrixWriter("ark:double.ark") as writer:
        writer.write("x", np.array([[1 / 3, 2.0]]))
    run(copy_feats, "ark:double.ark", "ark:out.ark")
    assert Path("out.ark").read_bytes() == Path("double.ark").read_bytes()


@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_copy_has_the_bytes_of_kaldis(feats, method):
    table = {
        key: np.clip(value, 0, 255) / (255 if method == 7 else 1) for key, value in feats.items()
    }
    save("ark:in.ark", table)
    options = ["--compress=true", f"--compression-method={method}"]
    run(copy_feats, *options, "ark:in.ark", "ark,scp:out.ark,out.scp")
    with kaldi.CompressedMatrixWriter("ark:kaldi.ark") as writer:
        for key, value in table.items():
            writer.write(key, value, kaldi.CompressionMethod(method))
    assert Path("out.ark").read_bytes() == Path("kaldi.ark").read_bytes()
    assert_equal_tables(load("scp:out.scp"), table, atol={4: 0.51, 6: 0.51}.get(method, 0.05))


def test_compression_refuses_what_it_would_corrupt(feats, capsys):
    bad = {"empty": np.zeros((0, 0), np.float32), "nan": np.array([[1, np.nan]], np.float32)}
    for name, value in bad.items():
        save("ark:bad.ark", {"a-0": value} | feats)
        run(copy_feats, "ark:bad.ark", "ark:copy.ark")  # as it is
        assert load("ark:copy.ark")["a-0"].shape == value.shape
        line = fails(copy_feats, capsys, "--compress", "ark:bad.ark", "ark:out.ark")
        got = {"empty": "0 frames", "nan": "a value that is not finite"}[name]
        assert f"found {got}." in line and "a-0 (bad.ark:" in line
        run(copy_feats, "--compress", "--max-skip=1", "ark:bad.ark", "ark:out.ark")
        assert list(load("ark:out.ark")) == list(feats)
        os.unlink("out.ark")


@pytest.mark.parametrize("method", [0, 8])
def test_compression_method_that_kaldi_does_not_have(feats, method, capsys):
    argv = [f"--compression-method={method}", "ark:feats.ark", "ark:out.ark"]
    line = fails(copy_feats, capsys, *argv)
    assert f"--compression-method: expected 1 to 7, found {method}" in line


# --- sd-post-feats


def test_default_is_what_the_models_see(feats):
    run(post_feats, "scp:feats.scp", "ark,scp:out.ark,out.scp")
    assert_equal_tables(
        load("scp:out.scp"),
        {key: postprocess(value, PostOptions()) for key, value in feats.items()},
    )
    settings = Path("out.ark.conf").read_text()
    assert (
        "--delta-window=2\n" in settings
        and "--cmvn=true\n" in settings
        and "--norm-vars=true\n" in settings
    )


def test_selection_goes_before_deltas(feats):
    run(
        post_feats,
        "--select=0,3-2",
        "--delta-window=3",
        "--delta-order=1",
        "--cmvn=false",
        "ark:feats.ark",
        "ark:out.ark",
    )
    assert_equal_tables(
        load("ark:out.ark"),
        {key: add_deltas(value[:, [0, 3, 2]], 3, 1) for key, value in feats.items()},
    )


def test_nothing_asked_is_a_copy(feats):
    run(post_feats, NO_DELTAS, "--cmvn=false", "ark:feats.ark", "ark:out.ark")
    assert Path("out.ark").read_bytes() == Path("feats.ark").read_bytes()


def by_speaker(feats, norm_vars=True):
    """Each utterance normalised over all frames of its speaker, by numpy's mean and deviation."""
    out = {}
    for key, value in feats.items():
        frames = np.concatenate(
            [feats[other] for other in feats if SPEAKERS[other] == SPEAKERS[key]]
        ).astype(np.float64)
        out[key] = (value - frames.mean(axis=0)) / (frames.std(axis=0) if norm_vars else 1)
    return out


@pytest.mark.parametrize("norm_vars", ["true", "false"])
def test_normalisation_over_the_speaker(feats, norm_vars):
    run(
        post_feats,
        f"--norm-vars={norm_vars}",
        NO_DELTAS,
        "--utt2spk=ark:utt2spk",
        "ark:cat feats.ark |",
        "ark:out.ark",
    )
    assert_equal_tables(load("ark:out.ark"), by_speaker(feats, norm_vars == "true"), atol=2e-6)
    run(
        post_feats,
        f"--norm-vars={norm_vars}",
        "--utt2spk=ark:utt2spk",
        "scp:feats.scp",
        "ark:out.ark",
    )
    with_deltas = {key: add_deltas(value) for key, value in feats.items()}
    assert_equal_tables(
        load("ark:out.ark"), by_speaker(with_deltas, norm_vars == "true"), atol=2e-6
    )


@pytest.mark.parametrize("options", ["s,cs,", "o,"])
def test_speakers_that_may_be_asked_for_once(feats, options):
    run(post_feats, NO_DELTAS, f"--utt2spk={options}ark:utt2spk", "ark:feats.ark", "ark:out.ark")
    assert_equal_tables(load("ark:out.ark"), by_speaker(feats), atol=2e-6)


def test_statistics_are_kaldis_and_serve_again(feats):
    """Of speakers and of utterances, as Kaldi reads them; applied, they give the same features."""
    for option, expected in (
        (
            ["--utt2spk=ark:utt2spk"],
            {s: sum(cmvn_stats(feats[u]) for u in feats if SPEAKERS[u] == s) for s in "ab"},
        ),
        ([], {key: cmvn_stats(value) for key, value in feats.items()}),
    ):
        run(
            post_feats,
            NO_DELTAS,
            *option,
            "--write-cmvn-stats=ark,scp:cmvn.ark,cmvn.scp",
            "ark:feats.ark",
            "ark:out.ark",
        )
        assert_equal_tables(
            read_by_kaldi("scp:cmvn.scp", kaldi.SequentialDoubleMatrixReader), expected, rtol=1e-14
        )
        for stats in ("ark:cmvn.ark", "scp:cmvn.scp"):
            run(
                post_feats,
                NO_DELTAS,
                *option,
                f"--cmvn-stats={stats}",
                "ark:feats.ark",
                "ark:again.ark",
            )
            assert_equal_tables(load("ark:again.ark"), load("ark:out.ark"), atol=2e-6)


def test_statistics_of_speakers_are_sorted(feats):
    Path("utt2spk").write_text("a-1 z\na-2 é\nb-1 Z\nb-2 z\nb-3 a-1\n")
    run(
        post_feats,
        "--utt2spk=ark:utt2spk",
        "--write-cmvn-stats=ark,scp:cmvn.ark,cmvn.scp",
        "ark:feats.ark",
        "ark:out.ark",
    )
    assert [line.split()[0] for line in Path("cmvn.scp").read_text().splitlines()] == [
        "Z",
        "a-1",
        "z",
        "é",
    ]


@pytest.mark.parametrize("binary", [True, False])
def test_one_file_of_statistics_for_all(feats, binary):
    """As compute-cmvn-stats writes it for a whole table: float, no key."""
    stats = sum(map(cmvn_stats, feats.values()))
    kaldi.FloatMatrix(stats.astype(np.float32)).write("global.stats", binary=binary)
    run(post_feats, NO_DELTAS, "--cmvn-stats=global.stats", "ark:feats.ark", "ark:out.ark")
    assert_equal_tables(
        load("ark:out.ark"),
        {key: normalize(value, stats) for key, value in feats.items()},
        atol=1e-5,
    )


def test_models_and_scores_are_those_of_features_made_on_the_fly(feats):
    run(post_feats, "ark:feats.ark", "ark:post.ark")
    for source, options in (("feats", []), ("post", [NO_DELTAS, "--cmvn=false"])):
        for label, num_components in (("genuine", 2), ("spoof", 4)):
            run(
                train_gmm,
                *options,
                f"--num-components={num_components}",
                f"ark:{source}.ark",
                f"{source}.{label}.gmm",
            )
        run(
            score_gmm,
            *options,
            f"{source}.genuine.gmm",
            f"{source}.spoof.gmm",
            f"ark:{source}.ark",
            f"{source}.txt",
        )
    for suffix in ("genuine.gmm", "spoof.gmm", "txt"):
        assert Path(f"feats.{suffix}").read_bytes() == Path(f"post.{suffix}").read_bytes()


def test_memory_does_not_grow_with_the_table(feats):
    """A second table, forty times as long, of the same speakers."""
    import tracemalloc

    peaks = []
    for num_repeats in (5, 200):
        keys = [f"{i:03d}-{key}" for i in range(num_repeats) for key in feats]
        save("ark:long.ark", {key: np.ones((200, 40), np.float32) for key in keys})
        Path("utt2spk").write_text("".join(f"{key} {key[-3]}\n" for key in keys))
        tracemalloc.start()
        run(post_feats, "--utt2spk=ark:utt2spk", "ark:long.ark", "ark:/dev/null")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6  # the longer table has 32 MB, and keys and speakers in 0.3 MB


BAD = {
    "nan": (np.array([[1, 2, np.nan, 4]], np.float32), ["frame 0 ", "not finite"]),
    "empty": (np.zeros((0, 0), np.float32), ["frames: ", "1 or more", "found 0"]),
    "other": (np.zeros((5, 3), np.float32), ["dimensions: ", "4 as before", "found 3"]),
}


@pytest.mark.parametrize("options", [[], ["--utt2spk=ark:utt2spk"], ["--cmvn=false"]])
@pytest.mark.parametrize("name", BAD)
def test_bad_features_are_one_line_or_a_counted_skip(feats, name, options, capsys):
    value, words = BAD[name]
    save("ark:bad.ark", feats | {name: value})
    with open("utt2spk", "a") as file:
        file.write(f"{name} c\n")
    options = [*options, "--delta-window=1"]
    line = fails(post_feats, capsys, *options, "ark:bad.ark", "ark:out.ark")
    assert all(word in line for word in [*words, f"{name} (bad.ark:"])
    assert post_feats.main([*options, "--max-skip=1", "ark:bad.ark", "ark:out.ark"]) == 0
    assert "done 5 of 6, 1 skipped" in capsys.readouterr().err.splitlines()[-1]
    run(post_feats, *options, "ark:feats.ark", "ark:good.ark")
    assert Path("out.ark").read_bytes() == Path("good.ark").read_bytes()


def test_overflow_is_no_feature(feats, capsys):
    save("ark:huge.ark", {"huge": np.array([[3e38], [3e38], [3e38], [-3e38]], np.float32)})
    line = fails(post_feats, capsys, NO_DELTAS, "--norm-vars=false", "ark:huge.ark", "ark:out.ark")
    assert "huge (huge.ark:5): features: float32 overflows" in line
    # deltas cannot: the sizes of their taps add up to 1 at most
    run(post_feats, "ark:huge.ark", "ark:out.ark")


@pytest.mark.parametrize(
    ("of_b", "words"),
    [
        (None, ["ark:stats.ark: ", "key", " b"]),
        (np.ones((2, 4)), ["CMVN statistics: shape: ", "(2, 5)", "(2, 4)"]),
        (np.zeros((2, 5)), ["CMVN statistics: frames: ", "1 or more", "found 0"]),
        (np.full((2, 5), np.nan), ["CMVN statistics: ", "not finite"]),
    ],
)
def test_bad_statistics_make_bad_utterances(feats, of_b, words, capsys):
    with kaldi.DoubleMatrixWriter("ark:stats.ark") as writer:
        writer.write("a", np.ones((2, 5)))
        if of_b is not None:
            writer.write("b", of_b)
    argv = [NO_DELTAS, "--utt2spk=ark:utt2spk", "--cmvn-stats=ark:stats.ark", "ark:feats.ark"]
    line = fails(post_feats, capsys, *argv, "ark:out.ark")
    assert all(word in line for word in [*words, "b-1 (feats.ark:"])
    run(post_feats, "--max-skip=3", *argv, "ark:out.ark")
    assert list(load("ark:out.ark")) == ["a-1", "a-2"]


def test_missing_speaker(feats, capsys):
    Path("utt2spk").write_text("a-1 a\na-2 a\nb-1 b\nb-3 b\n")
    line = fails(post_feats, capsys, "--utt2spk=ark:utt2spk", "ark:feats.ark", "ark:out.ark")
    assert "b-2 (feats.ark:" in line and "ark:utt2spk: " in line
    run(post_feats, "--max-skip=1", "--utt2spk=ark:utt2spk", "ark:feats.ark", "ark:out.ark")
    assert list(load("ark:out.ark")) == ["a-1", "a-2", "b-1", "b-3"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--select=1:3"], ["--select: ", "'1:3'", "0-3,7,9-8"]),
        (["--select=0,4"], ["a-1 (feats.ark:4): features: column: ", "0 to 3", "found 4"]),
        (
            ["--cmvn-stats=ark:x", "--write-cmvn-stats=ark:y"],
            ["--cmvn-stats, --write-cmvn-stats: ", "both"],
        ),
        (["--cmvn-stats=ark:x", "--cmvn=false"], ["--cmvn-stats: ", "--cmvn=false"]),
        (["--utt2spk=ark:x", "--cmvn=false"], ["--utt2spk: ", "--cmvn=false"]),
        (
            ["--cmvn-stats=cmvn.ark", "--utt2spk=ark:utt2spk"],
            ["--cmvn-stats: ", "'cmvn.ark'", "ark: or scp:", "--utt2spk"],
        ),
        (["--cmvn-stats=feats.ark"], ["feats.ark", "b'a-1 "]),
        (["--cmvn-stats=gone"], ["gone: ", "no such file"]),
        (["--utt2spk=ark:gone"], ["gone: ", "no such file"]),
    ],
)
def test_settings_that_do_not_fit(feats, argv, words, capsys):
    line = fails(post_feats, capsys, *argv, "ark:feats.ark", "ark:out.ark")
    assert all(word in line for word in words)


@pytest.mark.parametrize("stream", ["ark:-", "scp:-", "ark:/dev/fd/{}"])
@pytest.mark.parametrize("is_feats", [True, False])
def test_stream_that_cannot_be_read_twice(feats, stream, is_feats, capsys):
    read_end, write_end = os.pipe()
    os.close(write_end)
    stream = stream.format(read_end)
    speakers, source = ("ark:utt2spk", stream) if is_feats else (stream, "ark:feats.ark")
    line = fails(post_feats, capsys, f"--utt2spk={speakers}", source, "ark:out.ark")
    os.close(read_end)
    assert line.split(") ")[1].startswith(f"{stream}: ") and "twice" in line
