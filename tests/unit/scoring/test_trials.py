import math

import numpy as np
import pytest

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.files import write_scores
from sdtools.scoring.trials import join_scores, read_conditions, read_speakers, read_trials


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.fixture
def joinable(tmp_path):
    """Labels of 40 + 35 utterances and two score files, each in its own order."""
    rng = np.random.default_rng(0)
    labels = {f"u{i:02d}": "genuine" if i < 40 else "spoof" for i in range(75)}
    paths = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    systems = [{utt: float(rng.normal()) for utt in rng.permutation(list(labels))} for _ in paths]
    for path, system in zip(paths, systems):
        write_scores(path, system)
    text = "".join(f"{utt} {label}\n" for utt, label in labels.items())
    return write(tmp_path / "utt2label", text), paths, systems


# ---- joins


def test_join_is_by_utterance(joinable):
    utt2label, paths, systems = joinable
    trials = read_trials(utt2label, paths)
    assert trials.utts == sorted(systems[0]) and trials.num_dropped == 0
    assert trials.scores.tolist() == [[system[utt] for system in systems] for utt in trials.utts]
    assert trials.is_genuine.tolist() == [utt < "u40" for utt in trials.utts]
    again = join_scores(paths)
    assert again.utts == trials.utts and (again.scores == trials.scores).all()
    genuine, spoof = trials.by_class()[1]
    assert [*genuine, *spoof] == [systems[1][utt] for utt in trials.utts] and len(genuine) == 40


def test_utterance_without_a_score(joinable):
    utt2label, paths, systems = joinable
    lacking = "u03", "u50"
    write_scores(paths[1], {utt: llr for utt, llr in systems[1].items() if utt not in lacking})
    for read in (lambda: read_trials(utt2label, paths), lambda: join_scores(paths)):
        with pytest.raises(SdError) as info:
            read()
        error = info.value
        assert (error.who, error.got) == (paths[1], "none for 2 of 75 utterances (u03 u50)")
        assert "--missing=drop" in error.hint
    with pytest.warns(SdWarning, match="dropped 2 of 75 utterances"):
        trials = read_trials(utt2label, paths, "drop")
    assert (len(trials.utts), trials.num_dropped, trials.is_genuine.sum()) == (73, 2, 39)
    assert not {*lacking} & set(trials.utts)


def test_missing_scores_may_be_nan(joinable):
    utt2label, paths, systems = joinable
    write_scores(paths[1], {utt: llr for utt, llr in systems[1].items() if utt != "u03"})
    with pytest.warns(SdWarning) as caught:
        trials = read_trials(utt2label, paths, "zero")
    warning = caught[0].message
    assert warning.who == paths[1] and warning.what.startswith("1 of 75 utterances have no score")
    assert np.isnan(trials.scores[3, 1]) and np.isnan(trials.scores).sum() == 1


def test_only_ten_missing_utterances_are_named(joinable):
    utt2label, paths, systems = joinable
    write_scores(paths[0], {utt: llr for utt, llr in systems[0].items() if utt >= "u11"})
    with pytest.raises(SdError, match=r"none for 11 of 75 utterances \(u00 u01 .* u09 \.\.\.\)"):
        read_trials(utt2label, paths)


def test_scores_without_a_label_are_counted_and_ignored(joinable):
    utt2label, paths, systems = joinable
    expected = read_trials(utt2label, paths)
    write_scores(paths[0], {**systems[0], "extra1": 9.0, "extra2": math.inf})
    with pytest.warns(SdWarning) as caught:
        trials = read_trials(utt2label, paths)
    warning = caught[0].message
    assert warning.who == paths[0] and "2 of 77 scores have no label" in warning.what
    assert trials.utts == expected.utts and (trials.scores == expected.scores).all()


def test_nothing_in_common(joinable, tmp_path):
    other = write(tmp_path / "other.txt", "x 1\ny 2\n")
    with pytest.raises(SdError) as info:
        join_scores([joinable[1][0], other], missing="drop")
    error = info.value
    assert (error.who, error.what) == (f"{joinable[1][0]} {other}", "utterances")
    assert "belong together" in error.hint


@pytest.mark.parametrize("absent", ["genuine", "spoof"])
def test_class_without_trials(tmp_path, absent):
    present = {"genuine": "spoof", "spoof": "genuine"}[absent]
    utt2label = write(tmp_path / "utt2label", "".join(f"u{i} {present}\n" for i in range(40)))
    write_scores(str(tmp_path / "s.txt"), {f"u{i}": float(i) for i in range(40)})
    with pytest.raises(SdError) as info:
        read_trials(utt2label, [str(tmp_path / "s.txt")])
    error = info.value
    assert (error.who, error.what, error.got) == (utt2label, f"{absent} trials", 0)
    assert "labels" in error.hint


def test_few_trials_and_few_distinct_scores(tmp_path):
    lines = [f"u{i} {'genuine' if i < 29 else 'spoof'}\n" for i in range(59)]
    utt2label = write(tmp_path / "utt2label", "".join(lines))
    path = str(tmp_path / "s.txt")
    write_scores(path, {f"u{i}": float(i % 3) for i in range(59)})
    with pytest.warns(SdWarning) as caught:
        read_trials(utt2label, [path])
    (warning,) = (w.message for w in caught)  # 30 spoof trials and 3 distinct scores are enough
    assert (warning.who, warning.what, warning.got) == (utt2label, "genuine trials", 29)
    assert warning.need == "30 or more" and "rough" in warning.hint
    write_scores(path, {f"u{i}": [0, math.inf][i % 2] for i in range(59)})
    with pytest.warns(SdWarning) as caught:
        read_trials(utt2label, [path])
    warning = caught[1].message
    assert (warning.who, warning.what) == (path, "distinct scores") and "decisions" in warning.hint


# ---- conditions


@pytest.fixture
def labelled(tmp_path):
    """The name of labels of three spoof trials and a genuine one."""
    return write(tmp_path / "utt2label", "a spoof\nb genuine\nc spoof\nd spoof\n")


def as_lists(conditions):
    return [(name, indices.tolist()) for name, indices in conditions.items()]


def test_conditions_are_sorted_and_may_hold_anything_but_blanks(labelled, tmp_path):
    """Genuine trials and utterances without a label have entries that do not matter, or none."""
    write(tmp_path / "utt2env", "stranger E9\nd Büro\u00a02,%s\\\nc E(1)\r\na\tBüro\u00a02,%s\\\n")
    found = as_lists(read_conditions(labelled, "env", ["a", "c", "d"]))
    assert found == [("Büro\u00a02,%s\\", [0, 2]), ("E(1)", [1])]
    write(tmp_path / "utt2spk", "a s\nb s\nc s\nd s\n")
    assert as_lists(read_conditions(labelled, "spk", ["a", "d"])) == [("s", [0, 1])]


@pytest.mark.parametrize(
    ("text", "place", "got", "hint"),
    [
        ("a E1\n", "", "none for 2 of 3 trials (first c)", "Complete the table, or leave env"),
        ("a E1\nc\n", ":2", "'c'", "Correct the table"),
        ("a E1 E2\n", ":1", "'a E1 E2'", "Correct the table"),
        ("a E1\na E1\n", ":2", "a twice", "Correct the table"),
        (None, "", None, "or correct --by"),
    ],
)
def test_conditions_that_are_refused(labelled, tmp_path, text, place, got, hint):
    if text is not None:
        write(tmp_path / "utt2env", text)
    with pytest.raises(SdError) as info:
        read_conditions(labelled, "env", ["a", "c", "d"])
    assert (info.value.who, info.value.got) == (f"{tmp_path}/utt2env{place}", got)
    assert hint in info.value.hint


@pytest.mark.parametrize("name", ["-", "cat {} |", "{}:0"])
def test_conditions_need_labels_that_are_a_plain_file(labelled, name):
    name = name.format(labelled)
    with pytest.raises(SdError) as info:
        read_conditions(name, "env", ["a"])
    assert (info.value.who, info.value.what) == (name, "labels")
    assert "plain file" in info.value.need and "utt2env" in info.value.need


# ---- speakers


def test_speakers(labelled, tmp_path):
    write(tmp_path / "utt2spk", "a s2\nb s1\nc s2\nd s10\n")
    assert read_speakers(labelled, ["a", "b", "c", "d"]).tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("a a\nb b\nc c\nd d\n", "every utterance has its own speaker"),
        ("a s\n", "none for 3 of 4 trials (first b)"),
        ("a\n", "an utterance and a condition"),
    ],
)
def test_unknown_speakers(labelled, tmp_path, text, problem):
    if text is not None:
        write(tmp_path / "utt2spk", text)
    with pytest.warns(SdWarning) as caught:
        assert read_speakers(labelled, ["a", "b", "c", "d"]) is None
    warning = caught[0].message
    assert warning.who.startswith(f"{tmp_path}/utt2spk") and problem in str(warning)
    assert warning.hint == "Speakers are unknown"
