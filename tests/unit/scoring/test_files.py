import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.scoring import files as scores
from sdtools.scoring.fusion import Fusion

FUSION = Fusion(np.array([1.8, 0.1 + 0.2]), -2.5, 0.5, 0.0, 0.44, 200, 300)


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.fixture
def joinable(tmp_path):
    """Labels of 40 + 35 utterances and the score files of two systems, each in an order of its own."""
    rng = np.random.default_rng(0)
    labels = {f"u{i:02d}": "genuine" if i < 40 else "spoof" for i in range(75)}
    paths = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    systems = [{utt: float(rng.normal()) for utt in rng.permutation(list(labels))} for _ in paths]
    for path, system in zip(paths, systems):
        scores.write_scores(path, system)
    return (
        write(tmp_path / "utt2label", "".join(f"{utt} {label}\n" for utt, label in labels.items())),
        paths,
        systems,
    )


# ---- score files and labels


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_scores_come_back_with_every_bit(tmp_path_factory, values):
    path = str(tmp_path_factory.mktemp("scores") / "s.txt")
    llrs = {f"utt-{i}": value for i, value in enumerate(values)}
    scores.write_scores(path, llrs)
    assert [(utt, value.hex()) for utt, value in scores.read_scores(path).items()] == [
        (utt, value.hex()) for utt, value in llrs.items()
    ]


def test_written_lines(tmp_path):
    scores.write_scores(
        str(tmp_path / "s.txt"), {"b": np.float64(0.1), "a": -math.inf, "c": np.float32(2)}
    )
    assert (tmp_path / "s.txt").read_text() == "b 0.1\na -inf\nc 2.0\n"


def test_scores_from_a_command_and_with_other_line_ends(tmp_path):
    path = write(tmp_path / "s.txt", "a 1\r\nb\t-2e-3\r\nc inf")
    assert scores.read_scores(f"cat {path} |") == {"a": 1, "b": -2e-3, "c": math.inf}


def test_nan_is_not_written(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"s\.txt: score of b: got NaN, need a number\. Look at the features and the models",
    ):
        scores.write_scores(str(tmp_path / "s.txt"), {"a": 1.0, "b": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a 1\nb nan\n",
            r"s\.txt:2: line: got 'b nan', need an utterance and a score other than NaN\. Write the scores again",
        ),
        ("a 1\nb\n", r"s\.txt:2: line: got 'b', need"),
        ("a 1 2\n", r"s\.txt:1: line: got 'a 1 2', need"),
        ("a one\n", r"s\.txt:1: line: got 'a one', need"),
        ("a 1\n\nb 2\n", r"s\.txt:2: line: got '', need"),
        ("", r"s\.txt:1: line: got '', need"),
        (
            "a 1\nb 2\na 1\n",
            r"s\.txt:3: utterance: got a twice, need each once\. Write the scores again",
        ),
        (b"a 1\n\xff\xfe 2\n".decode("latin-1"), None),
    ],
)
def test_score_files_that_are_refused(tmp_path, text, message):
    path = tmp_path / "s.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        ValueError, match=message or r"s\.txt:2: line: got '\\\\xff\\\\xfe 2', need"
    ):
        scores.read_scores(str(path))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        scores.read_scores(str(tmp_path / "nowhere"))


def test_labels(tmp_path):
    assert scores.read_utt2label(write(tmp_path / "l", "a genuine\nb spoof\n")) == {
        "a": True,
        "b": False,
    }
    with pytest.raises(
        ValueError,
        match=r"l:2: line: got 'b bonafide', need an utterance and genuine or spoof\. Correct the labels",
    ):
        scores.read_utt2label(write(tmp_path / "l", "a genuine\nb bonafide\n"))
    with pytest.raises(
        ValueError, match=r"l:2: utterance: got a twice, need each once\. Correct the labels"
    ):
        scores.read_utt2label(write(tmp_path / "l", "a genuine\na spoof\n"))


# ---- joins


def test_join_is_by_utterance(joinable):
    utt2label, paths, systems = joinable
    joined, is_genuine = scores.read_trials(utt2label, paths)
    assert joined.utts == sorted(systems[0]) and joined.num_dropped == 0
    assert joined.scores.tolist() == [[system[utt] for system in systems] for utt in joined.utts]
    assert is_genuine.tolist() == [utt < "u40" for utt in joined.utts]
    again = scores.join_scores(paths)
    assert again.utts == joined.utts and (again.scores == joined.scores).all()


def test_utterance_without_a_score(joinable):
    utt2label, paths, systems = joinable
    scores.write_scores(
        paths[1], {utt: llr for utt, llr in systems[1].items() if utt not in ("u03", "u50")}
    )
    with pytest.raises(
        ValueError,
        match=r"b\.txt: scores: got none for 2 of 75 utterances \(u03 u50\), need .* or say --missing=drop",
    ):
        scores.read_trials(utt2label, paths)
    with pytest.raises(ValueError, match=r"b\.txt: scores: got none for 2 of 75"):
        scores.join_scores(paths)
    with pytest.warns(UserWarning, match="dropped 2 of 75 utterances, which lack a score"):
        joined, is_genuine = scores.read_trials(utt2label, paths, "drop")
    assert (len(joined.utts), joined.num_dropped, is_genuine.sum()) == (73, 2, 39) and not {
        "u03",
        "u50",
    } & set(joined.utts)


def test_only_ten_missing_utterances_are_named(joinable):
    utt2label, paths, systems = joinable
    scores.write_scores(paths[0], {utt: llr for utt, llr in systems[0].items() if utt >= "u11"})
    with pytest.raises(
        ValueError,
        match=r"a\.txt: scores: got none for 11 of 75 utterances \(u00 u01 .* u09 \.\.\.\), need",
    ):
        scores.read_trials(utt2label, paths)


def test_scores_without_a_label_are_counted_and_ignored(joinable):
    utt2label, paths, systems = joinable
    expected, _ = scores.read_trials(utt2label, paths)
    scores.write_scores(paths[0], {**systems[0], "extra1": 9.0, "extra2": math.inf})
    with pytest.warns(UserWarning, match=r"a\.txt: 2 of 77 scores have no label and are ignored"):
        joined, _ = scores.read_trials(utt2label, paths)
    assert joined.utts == expected.utts and (joined.scores == expected.scores).all()


def test_nothing_in_common(joinable, tmp_path):
    other = write(tmp_path / "other.txt", "x 1\ny 2\n")
    with pytest.raises(
        ValueError,
        match=r"a\.txt .*other\.txt: utterances: got none with a label and all scores, need some\. Check",
    ):
        scores.join_scores([joinable[1][0], other], missing="drop")


@pytest.mark.parametrize("absent", ["genuine", "spoof"])
def test_class_without_trials(tmp_path, absent):
    present = {"genuine": "spoof", "spoof": "genuine"}[absent]
    utt2label = write(tmp_path / "utt2label", "".join(f"u{i} {present}\n" for i in range(40)))
    scores.write_scores(str(tmp_path / "s.txt"), {f"u{i}": float(i) for i in range(40)})
    with pytest.raises(
        ValueError, match=rf"utt2label: {absent} trials: got 0, need one or more\. Check the labels"
    ):
        scores.read_trials(utt2label, [str(tmp_path / "s.txt")])


def test_few_trials_and_few_distinct_scores(tmp_path):
    utt2label = write(
        tmp_path / "utt2label",
        "".join(f"u{i} {'genuine' if i < 29 else 'spoof'}\n" for i in range(59)),
    )
    path = str(tmp_path / "s.txt")
    scores.write_scores(path, {f"u{i}": float(i % 3) for i in range(59)})
    with pytest.warns(
        UserWarning,
        match=r"utt2label: genuine trials: got 29; with fewer than 30 results are rough",
    ) as caught:
        scores.read_trials(utt2label, [path])
    assert len(caught) == 1  # 30 spoof trials and 3 distinct scores are enough
    scores.write_scores(path, {f"u{i}": [0, math.inf][i % 2] for i in range(59)})
    with pytest.warns(UserWarning) as caught:
        scores.read_trials(utt2label, [path])
    assert (
        "s.txt: scores: got fewer than 3 distinct ones; were decisions written for scores?"
        in str(caught[1].message)
    )


# ---- conditions


@pytest.fixture
def labelled(tmp_path):
    """The name of labels of three spoof trials and a genuine one."""
    return write(tmp_path / "utt2label", "a spoof\nb genuine\nc spoof\nd spoof\n")


def test_conditions_are_sorted_and_may_hold_anything_but_blanks(labelled, tmp_path):
    """Genuine trials and utterances without a label have entries that do not matter, or none."""
    write(tmp_path / "utt2env", "stranger E9\nd Büro\u00a02,%s\\\nc E(1)\r\na\tBüro\u00a02,%s\\\n")
    got = scores.read_conditions(labelled, "env", ["a", "c", "d"])
    assert [(name, indices.tolist()) for name, indices in got.items()] == [
        ("Büro\u00a02,%s\\", [0, 2]),
        ("E(1)", [1]),
    ]
    write(tmp_path / "utt2spk", "a s\nb s\nc s\nd s\n")
    assert {
        name: indices.tolist()
        for name, indices in scores.read_conditions(labelled, "spk", ["a", "d"]).items()
    } == {"s": [0, 1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a E1\n",
            r"utt2env: conditions: got none for 2 of 3 trials \(first c\), need one for each\. Complete the table, or",
        ),
        (
            "a E1\nc\n",
            r"utt2env:2: line: got 'c', need an utterance and a condition\. Correct the table",
        ),
        ("a E1 E2\n", r"utt2env:1: line: got 'a E1 E2', need an utterance and a condition"),
        ("a E1\na E1\n", r"utt2env:2: utterance: got a twice, need each once\. Correct the table"),
        (
            None,
            r"utt2env: table: got no such file, need one for --by=env\. Write it beside .*utt2label, or correct --by",
        ),
    ],
)
def test_conditions_that_are_refused(labelled, tmp_path, text, message):
    if text is not None:
        write(tmp_path / "utt2env", text)
    with pytest.raises(ValueError, match=message):
        scores.read_conditions(labelled, "env", ["a", "c", "d"])


@pytest.mark.parametrize("name", ["-", "cat {} |", "{}:0"])
def test_conditions_need_labels_that_are_a_plain_file(labelled, name):
    name = name.format(labelled)
    with pytest.raises(
        ValueError,
        match=r"labels: got no plain file, need one, beside which --by=env reads utt2env\. Write one",
    ) as error:
        scores.read_conditions(name, "env", ["a"])
    assert str(error.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("exp/cf_sd0/scores/eval.txt exp/cm_sd0/scores/eval.txt", "cf_sd0 cm_sd0"),
        ("a/x/dev.txt a/y/eval.txt", "x/dev.txt y/eval.txt"),
        ("a/dev.txt a/eval.txt", "dev.txt eval.txt"),
        ("a/b a/b/b", "b b/b"),
        ("b b/b b/a/b", "b b/b b/a/b"),
        ("/exp/a/s exp/a/s", "/exp exp"),
        ("a/s b/c/s", "a b/c"),
        ("a/s a/s", "s s"),
        ("exp/cf_sd0/scores/eval.txt", "exp/cf_sd0/scores/eval.txt"),
    ],
)
def test_short_names_of_systems(paths, names):
    assert scores.short_names(paths.split()) == names.split()


# ---- fusion files


def test_fusion_comes_back_with_every_bit(tmp_path):
    path = str(tmp_path / "fusion.json")
    scores.write_fusion(path, FUSION, ["a.txt", "b.txt"])
    fusion, systems = scores.read_fusion(path)
    assert systems == ["a.txt", "b.txt"] and fusion.weights.tolist() == FUSION.weights.tolist()
    assert (
        fusion.offset,
        fusion.prior,
        fusion.ridge,
        fusion.objective,
        fusion.num_genuine,
        fusion.num_spoof,
    ) == (
        -2.5,
        0.5,
        0,
        0.44,
        200,
        300,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"extra": 1},
            r"got neutral knots num_folds systems .* extra, need the fields systems .* knots num_folds\. Train it again",
        ),
        ({"offset": ...}, r"got neutral knots num_folds systems weights prior .*, need the fields"),
        (
            {"systems": ["a.txt"]},
            r"got systems \['a\.txt'\], weights \[1\.8, .*\], need lists of one length",
        ),
        (
            {"systems": [1, 2]},
            r"got systems \[1, 2\], weights .*, need lists of one length, names and numbers",
        ),
        ({"systems": [], "weights": []}, r"got .*, need lists of one length"),
        ({"weights": 3.0, "systems": "a"}, r"got .*, need lists of one length"),
        ({"weights": [1.0, "2"]}, "weights: got '2', need a finite number"),
        (
            {"weights": [1.0, math.inf]},
            r"got no JSON \(Infinity is not finite\), need the output of sd-train-fusion\. Train it again",
        ),
        ({"offset": math.nan}, r"got no JSON \(NaN is not finite\)"),
        ({"offset": 10**19}, r"got no JSON \(an integer of 20 digits\)"),
        ({"offset": "\ud800"}, r"got no JSON \(.* surrogates not allowed\)"),
        ({"offset": None}, "offset: got None, need a finite number"),
        ({"neutral": [1.0]}, r"got .*, need lists of one length"),
        ({"neutral": [1.0, None]}, "neutral: got None, need a finite number"),
        ({"knots": [1.0, 2.0]}, r"knots: got \[1\.0, 2\.0\], need two lists"),
        ({"knots": [[1.0, 2.0], [3.0, "4"]]}, "knots: got '4', need a finite number"),
        (
            {"knots": [[1.0, 2.0], [3.0]]},
            "knots: got .*, need as many rising LLRs as rising scores",
        ),
        (
            {"knots": [[1.0, 1.0], [3.0, 4.0]]},
            "knots: got .*, need as many rising LLRs as rising scores",
        ),
        ({"knots": [[], []]}, "knots: got .*, need as many rising LLRs as rising scores"),
        ({"num_spoof": True}, "num_spoof: got True, need a finite number"),
    ],
)
def test_fusion_files_that_are_refused(tmp_path, change, message):
    path = tmp_path / "fusion.json"
    scores.write_fusion(str(path), FUSION, ["a.txt", "b.txt"])
    record = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not ...}))
    with pytest.raises(ValueError, match=r"fusion\.json: fusion: " + message):
        scores.read_fusion(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"got no JSON \(.*\), need the output of sd-train-fusion"),
        ("[1]", "got list, need the fields"),
    ],
)
def test_fusion_files_of_another_kind(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        scores.read_fusion(write(tmp_path / "fusion.json", text))


def test_fusion_with_neutral_scores_and_knots_comes_back(tmp_path):
    path = str(tmp_path / "fusion.json")
    fusion = replace(
        FUSION, neutral=np.array([0.5, -1 / 3]), knots=np.array([[0.0, 1, 7], [-3.0, 0.1, 2]])
    )
    scores.write_fusion(path, fusion, ["a.txt", "b.txt"])
    back, _ = scores.read_fusion(path)
    np.testing.assert_array_equal(back.neutral, fusion.neutral)
    np.testing.assert_array_equal(back.knots, fusion.knots)


def test_a_score_file_may_begin_behind_another(tmp_path):
    (tmp_path / "scores").write_text("no scores\nu1 1.5\n")
    assert scores.read_scores(f"{tmp_path}/scores:10") == {"u1": 1.5}
