"""Statistics for normalisation; tests/commands/test_feats_commands.py uses them in a command."""

import contextlib

import numpy as np
import pytest
from fields import fails

from sdtools.cli.command import Command, InputOptions
from sdtools.cli.statistics import StatsOptions, check_can_be_read_twice, open_stats
from sdtools.features.postprocess import PostOptions, cmvn_stats
from sdtools.tables.table import open_writer


@pytest.fixture
def feats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    rng = np.random.default_rng(0)
    table = {key: rng.standard_normal((5, 2)).astype(np.float32) for key in ("a-1", "a-2", "b-1")}
    with open_writer("ark:feats.ark") as writer:
        for key, value in table.items():
            writer.write(key, value)
    return table


def ask(*argv, keys=("a-1", "a-2", "b-1")):
    """What `open_stats` gives for each key, and by speaker."""
    asked = []

    def body(context):
        with contextlib.ExitStack() as stack:
            stats_of, by_speaker = open_stats(context, stack, lambda entry: entry.load())
            asked.append(({key: stats_of(key) for key in keys}, by_speaker))

    command = Command("sd-x", "", ("<feats>",), "", (StatsOptions, InputOptions))
    assert command.run(body, ["--print-args=false", *argv, "ark:feats.ark"]) == 0
    return asked[0]


def test_without_options_the_statistics_are_those_of_the_utterance(feats):
    assert ask() == ({"a-1": None, "a-2": None, "b-1": None}, {})


def test_statistics_of_speakers_are_sums(feats):
    by_key, by_speaker = ask("--utt2spk=ark:utt2spk")
    expected = cmvn_stats(feats["a-1"]) + cmvn_stats(feats["a-2"])
    np.testing.assert_array_equal(by_speaker["a"], expected)
    assert by_key["a-1"] is by_key["a-2"] is by_speaker["a"]
    assert by_key["b-1"] is by_speaker["b"]


def test_given_statistics_are_those_of_the_speaker_or_the_utterance(feats):
    with open_writer("ark:stats.ark") as writer:
        for number, key in enumerate(["a", "b", "a-1"]):
            writer.write(key, np.full((2, 3), float(number)))
    by_key, _ = ask("--utt2spk=ark:utt2spk", "--cmvn-stats=ark:stats.ark")
    assert [stats[0, 0] for stats in by_key.values()] == [0, 0, 1]
    by_key, _ = ask("--cmvn-stats=ark:stats.ark", keys=("a-1",))
    assert by_key["a-1"][0, 0] == 2


def test_streams_cannot_be_read_twice(feats):
    check_can_be_read_twice("ark:feats.ark")
    check_can_be_read_twice("ark:cat feats.ark |")
    for name in ("ark:-", "scp:-", "ark:/dev/null"):
        with fails(who=name, got="a stream"):
            check_can_be_read_twice(name)


@pytest.mark.parametrize(
    ("options", "who"),
    [
        ({"cmvn_stats": "ark:x", "write_cmvn_stats": "ark:y"}, "--cmvn-stats, --write-cmvn-stats"),
        ({"cmvn_stats": "x", "utt2spk": "ark:y"}, "--cmvn-stats"),
        ({"cmvn_stats": "ark:x"}, "--cmvn-stats"),
        ({"utt2spk": "ark:y"}, "--utt2spk"),
    ],
)
def test_options_that_do_not_fit(options, who):
    with fails(who=who):
        StatsOptions(**options).check_is_used(PostOptions(cmvn=False))
