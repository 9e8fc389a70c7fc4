"""Scores of a speaker verifier (ASV) in the forms of ASVspoof 2019, 2021 and 5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sdtools.errors import SdError, warn
from sdtools.scoring.files import check_num_trials, parse_number, read_lines, shown
from sdtools.scoring.tandem import AsvScores, sort_asv_scores

KEYS = AsvScores._fields
Columns = Mapping[str, int]  # "speaker", "utterance", "key", "score": place in a line, from 0
TRIAL = {"speaker": 0, "utterance": 1}
KEY_FORMS: dict[int, Columns] = {  # by the number of columns
    7: TRIAL | {"key": 4},  # 2021 PA, first stage
    8: TRIAL | {"key": 5},  # 2021 LA
    12: TRIAL | {"key": 9},  # 2021 PA, J-SpAW
}
SCORE_FORMS: dict[int, Columns] = {3: TRIAL | {"score": 2}}
FORMS: dict[int, Columns] = {  # of scores with keys
    3: {"key": 1, "score": 2},
    4: {"key": 2, "score": 3},
    5: {"key": 3, "score": 4},
    **{number + 1: {"key": c["key"], "score": number} for number, c in KEY_FORMS.items()},
}
HEADS = {  # names in the first line of a table of ASVspoof 5
    "speaker": ("spk", "tar_spk_anon"),
    "utterance": ("filename", "trial_anon"),
    "key": ("asv-label", "asv_label"),
    "score": ("asv-score", "sasv-score"),
}


def read_asv_scores(path: str, keys_path: str | None = None) -> AsvScores:
    """The scores of each class, from a file with keys, or from one of scores and one of keys.

    Parameters
    ----------
    path
        Lines `source key score`, the same behind speaker and utterance, `speaker utterance score
        key`, or the columns of `trial_metadata.txt` (2021) and a score. With `keys_path`: lines
        `speaker utterance score`. Or a table with a head that names columns as ASVspoof 5 does.
    keys_path
        `trial_metadata.txt` (2021), or a table of keys with a head (ASVspoof 5). The files are
        joined by speaker and utterance.

    Raises
    ------
    SdError
        With file and line, if a line has another form, an unknown key or NaN; if a trial with a key
        lacks a score; if a class has no trials.

    Notes
    -----
    Warns of scores without a key, and of classes with few trials.
    """
    scores: dict[str, list[float]] = {key: [] for key in KEYS}
    for key, score in _with_keys(path) if keys_path is None else _joined(path, keys_path):
        scores[key].append(score)
    for key, values in scores.items():
        check_num_trials(keys_path or path, key, len(values), "Check the keys")
    return sort_asv_scores(*scores.values())


def _with_keys(path: str) -> Iterator[tuple[str, float]]:
    """Key and score of each line of a file that has both."""
    for where, line, row in _rows(path, FORMS, ("key", "score")):
        if row["score"] in KEYS:
            row = {"key": row["score"], "score": row["key"]}
        if not (row["key"] in KEYS and _is_score(row["score"])):
            raise _wrong(where, line, FORMS, ("key", "score"))
        yield row["key"], float(row["score"])


def _joined(path: str, keys_path: str) -> Iterator[tuple[str, float]]:
    """Key and score of each trial that has a key."""
    key_of = _by_trial(keys_path, KEY_FORMS, "key")
    score_of = _by_trial(path, SCORE_FORMS, "score")
    if missing := [trial for trial in key_of if trial not in score_of]:
        got = f"none for {len(missing)} of {len(key_of)} trials of {keys_path} (first "
        got += f"{' '.join(missing[0])})"
        hint = "Check that both files are of the same set"
        if len(missing) == len(key_of):
            hint = f"Name the trials alike; the first here is {' '.join(next(iter(score_of)))}"
        raise SdError(path, "scores", got=got, need="one for each", hint=hint)
    if num_extra := len(score_of) - len(key_of):
        warn(path, f"{num_extra} of {len(score_of)} scores have no key and are ignored")
    for trial, key in key_of.items():
        yield key, float(score_of[trial])


def _by_trial(path: str, forms: Mapping[int, Columns], what: str) -> dict[tuple[str, str], str]:
    """Key or score by speaker and utterance."""
    values: dict[tuple[str, str], str] = {}
    needed = (*TRIAL, what)
    for where, line, row in _rows(path, forms, needed):
        trial, value = (row["speaker"], row["utterance"]), row[what]
        if not (value in KEYS if what == "key" else _is_score(value)):
            raise _wrong(where, line, forms, needed)
        if trial in values:
            got, hint = f"{' '.join(trial)} twice", "Remove one of the lines"
            raise SdError(where, "trial", got=got, need="each once", hint=hint)
        values[trial] = value
    return values


def _rows(
    path: str, forms: Mapping[int, Columns], needed: tuple[str, ...]
) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Place, line, and words by meaning of each line."""
    head: Columns | None = None
    for number, (where, line) in enumerate(read_lines(path)):
        words = line.decode(errors="replace").split()
        if number == 0 and (columns := _columns_of_head(words)):
            if absent := [meaning for meaning in needed if meaning not in columns]:
                need = " and ".join(" or ".join(HEADS[meaning]) for meaning in absent)
                hint = "Name the file of the keys with --asv-keys" * ("key" in absent)
                raise SdError(where, "columns", got=" ".join(words), need=need, hint=hint)
            head, num_columns = columns, len(words)
            continue
        row_columns = forms.get(len(words)) if head is None else head
        if row_columns is None or (head and len(words) != num_columns):
            raise _wrong(where, line, forms, needed)
        yield where, line, {meaning: words[row_columns[meaning]] for meaning in needed}


def _columns_of_head(words: list[str]) -> dict[str, int]:
    """The columns that a first line names; none if it is no head."""
    found = {}
    for meaning, names in HEADS.items():
        if places := [words.index(name) for name in names if name in words]:
            found[meaning] = places[0]
    return found


def _is_score(word: str) -> bool:
    try:
        parse_number(word)
    except ValueError:
        return False
    return True


def _wrong(
    where: str, line: bytes, forms: Mapping[int, Columns], needed: tuple[str, ...]
) -> SdError:
    """The error for a line of another form."""
    *counts, last = map(str, sorted(forms))
    numbers = f"{', '.join(counts)} or {last}" if counts else last
    words = {
        "speaker": "a speaker",
        "utterance": "an utterance",
        "key": f"a key ({', '.join(KEYS[:-1])} or {KEYS[-1]})",
        "score": "a score other than NaN",
    }
    *most, final = [words[meaning] for meaning in needed]
    need = f"{numbers} words, among them {', '.join(most)} and {final}"
    hint = "Write it in one of the forms that --help lists"
    if "key" in needed and "score" in needed and len(line.split()) == 3:
        hint += ", or give --asv-keys"
    return SdError(where, "line", got=shown(line), need=need, hint=hint)
