import pytest
from fields import fails

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.asv_files import FORMS, KEY_FORMS, read_asv_scores

TRIALS = [
    (("S1", f"E_{i}"), key, float(value))
    for key, values in (
        ("target", range(1, 31)),
        ("nontarget", range(-30, 0)),
        ("spoof", range(30)),
    )
    for i, value in enumerate(values, 100 * len(key))
]
EXPECTED = {key: sorted(s for _, k, s in TRIALS if k == key) for key in ("target", "nontarget")}


def metadata(trial, key, form):
    """A line of trial_metadata.txt."""
    attack = ["A07"] if key == "spoof" else ["bonafide"]
    distances = ["r1", "m1", "s4", "c4"] if key == "spoof" else ["-"] * 4
    middle = {7: ["R3", "D4"], 8: ["alaw", "ita_tx", *attack], 12: ["R3", "M3", "D4", *distances]}
    return [*trial, *middle[form], key, "notrim", "eval"]


def write(path, rows, separator=" "):
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    return str(path)


def check(scores):
    assert scores.target.tolist() == EXPECTED["target"]
    assert scores.nontarget.tolist() == EXPECTED["nontarget"]
    assert scores.spoof.tolist() == list(range(30))


@pytest.mark.parametrize("form", [7, 8, 12])
def test_metadata_of_2021_with_the_score_at_the_end(tmp_path, form):
    """LA, PA and PA of the first stage."""
    rows = [[*metadata(*trial, form), score] for *trial, score in TRIALS]
    check(read_asv_scores(write(tmp_path / "asv", rows)))


@pytest.mark.parametrize("form", [7, 8, 12])
def test_scores_joined_with_the_keys_of_2021(tmp_path, form):
    """In any order; scores of other subsets are counted."""
    keys = write(tmp_path / "keys", [metadata(*trial, form) for *trial, _ in TRIALS])
    rows = [[*trial, score] for trial, _, score in reversed(TRIALS)]
    check(read_asv_scores(write(tmp_path / "asv", rows), keys))
    path = write(tmp_path / "asv", [["S1", "other", 5], *rows])
    with pytest.warns(SdWarning) as caught:
        check(read_asv_scores(path, f"grep eval {keys} |"))
    assert caught[0].message.what.startswith("1 of 91 scores")


SASV = ["spk", "filename", "cm-score", "asv-score", "sasv-score"]


@pytest.mark.parametrize("names", ["spk filename asv-label", "tar_spk_anon trial_anon asv_label"])
@pytest.mark.parametrize("separator", ["\t", " "])
def test_tables_of_asvspoof_5(tmp_path, names, separator):
    speaker, utterance, key_name = names.split()
    head = [speaker, utterance, "cm-label", key_name]
    keys = [[*trial, "spoof" if key == "spoof" else "bonafide", key] for trial, key, _ in TRIALS]
    keys = write(tmp_path / "keys", [head, *keys], separator)
    rows = [[*trial, 0.5, score, -score] for trial, _, score in TRIALS]
    check(read_asv_scores(write(tmp_path / "asv", [SASV, *rows], separator), keys))
    one = [[*trial, score] for trial, _, score in TRIALS]
    head = ["spk", "filename", "sasv-score"]
    check(read_asv_scores(write(tmp_path / "asv", [head, *one], separator), keys))


def test_a_table_with_a_head_and_keys(tmp_path):
    rows = [[*trial, score, key] for trial, key, score in TRIALS]
    head = ["spk", "filename", "asv-score", "asv-label"]
    check(read_asv_scores(write(tmp_path / "asv", [head, *rows])))


def test_few_trials_are_remarked_and_editors_tolerated(tmp_path):
    text = "A01 spoof 3\n- target 1\n" + "- nontarget 0\n- nontarget -2\n" * 15
    (tmp_path / "asv").write_text(text + "\n", encoding="utf-8-sig")
    with pytest.warns(SdWarning) as caught:
        scores = read_asv_scores(str(tmp_path / "asv"))
    assert scores.target.tolist() == [1] and scores.nontarget.tolist() == [-2] * 15 + [0] * 15
    assert [w.message.what for w in caught] == ["target trials", "spoof trials"]
    assert [w.message.got for w in caught] == [1, 1]


@pytest.mark.parametrize("number", sorted(set(range(14)) - set(FORMS)))
def test_other_numbers_of_columns_are_refused(tmp_path, number):
    path = write(tmp_path / "asv", [["target"] * number])
    with fails(who=f"{path}:1", what="line"):
        read_asv_scores(path)


def test_metadata_without_scores_is_not_taken_for_scores(tmp_path):
    for form in KEY_FORMS:
        path = write(tmp_path / "asv", [metadata(("S1", "E_1"), "target", form)])
        with fails(who=f"{path}:1"):
            read_asv_scores(path)


def joins(tmp_path, scores, keys):
    with pytest.raises(SdError) as info:
        read_asv_scores(write(tmp_path / "asv", scores), write(tmp_path / "keys", keys))
    return info.value


def test_joins_that_would_lose_a_trial_are_refused(tmp_path):
    keys = [metadata(*trial, 12) for *trial, _ in TRIALS]
    rows = [[*trial, score] for trial, _, score in TRIALS]
    error = joins(tmp_path, rows[1:], keys)
    assert error.who == str(tmp_path / "asv") and "1 of 90" in error.got
    assert "first S1 E_600" in error.got
    error = joins(tmp_path, [[*trial[:1], f"{trial[1]}.flac", 1] for trial, *_ in TRIALS], keys)
    assert "90 of 90" in error.got and "S1 E_600.flac" in error.hint
    error = joins(tmp_path, [*rows, rows[3]], keys)
    assert error.who.endswith("asv:91") and error.got == "S1 E_603 twice"
    assert joins(tmp_path, rows, [*keys, keys[3]]).who.endswith("keys:91")
    error = joins(tmp_path, rows, [*keys[:-1], [*keys[-1][:9], "Spoof", "notrim", "eval"]])
    assert error.who.endswith("keys:90") and "target, nontarget or spoof" in error.need
    error = joins(tmp_path, [*rows[:-1], [*rows[-1][:2], "nan"]], keys)
    assert error.who.endswith("asv:90")


def test_a_head_without_the_columns_that_are_needed(tmp_path):
    path = write(tmp_path / "asv", [SASV, ["S1", "E_1", 0, 1, 2]])
    with fails(who=f"{path}:1", what="columns") as info:
        read_asv_scores(path)
    assert "asv-label" in info.value.need and "--asv-keys" in info.value.hint


def test_a_line_of_a_table_that_is_short(tmp_path):
    head = ["spk", "filename", "asv-score", "asv-label"]
    path = write(tmp_path / "asv", [head, ["S1", "E_1", 1, "target"], ["S1", 1, "target"]])
    with fails(who=f"{path}:3", what="line"):
        read_asv_scores(path)
