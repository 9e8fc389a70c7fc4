"""Score files, labels, their join by utterance id, and fusion files.

A score file has one `utterance llr` a line, positive for genuine speech; `utt2label` has `utterance genuine` or `utterance spoof`.
Both are named as tables are: a file, `-`, or `command |`.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from sdtools.scoring.fusion import Fusion
from sdtools.tables.input import open_input
from sdtools.tables.output import open_output

MAX_JSON_BYTES = 1 << 24  # Python takes up to 28 times as much
LABELS = {"genuine": True, "spoof": False}
MIN_TRIALS = 30
"""With fewer trials in a class the metrics say little."""


@dataclass(frozen=True)
class JoinOptions:
    """What becomes of utterances that a score file lacks."""

    missing: str = field(
        default="error",
        metadata={
            "help": "utterances without a score end the command, or are left out",
            "choices": ("error", "drop"),
        },
    )


@dataclass(frozen=True)
class FusionJoinOptions:
    """The same where scores are fused."""

    missing: str = field(
        default="error",
        metadata={
            "help": "utterances without a score of each system end the command, or are left out, or count as LLR 0 of that system",
            "choices": ("error", "drop", "zero"),
        },
    )


class Joined(NamedTuple):
    """Scores of the same utterances by several systems: utts sorted, scores (num_utts, num_systems) float64, NaN if missing is zero."""

    utts: list[str]
    scores: np.ndarray
    num_dropped: int


def read_scores(path: str) -> dict[str, float]:
    """LLR by utterance, -inf and inf included.

    Raises
    ------
    ValueError
        With file and line: a line that is not `utterance number`, NaN, an utterance that comes twice.
    """
    return _read_pairs(path, _number, "a score other than NaN", "Write the scores again")


def write_scores(path: str, llrs: Mapping[str, float]) -> None:
    """Write LLRs with as many digits as it takes to read the same numbers back.

    Raises
    ------
    ValueError
        A NaN.
    """
    bad = [utt for utt, llr in llrs.items() if math.isnan(llr)]
    if bad:
        raise ValueError(
            f"{path}: score of {bad[0]}: got NaN, need a number. Look at the features and the models"
        )
    with open_output(path) as file:
        file.write("".join(f"{utt} {float(llr)!r}\n" for utt, llr in llrs.items()).encode())


def read_utt2label(path: str) -> dict[str, bool]:
    """Whether each utterance is genuine.

    Raises
    ------
    ValueError
        With file and line: a line that is not `utterance genuine` or `utterance spoof`, an utterance that comes twice.
    """
    return _read_pairs(path, LABELS.__getitem__, "genuine or spoof", "Correct the labels")


def _number(text: str) -> float:
    """`text` as a number; NaN is none."""
    value = float(text)
    if math.isnan(value):
        raise ValueError(text)
    return value


def _read_pairs(path: str, parse: Callable[[str], Any], need: str, remedy: str) -> dict[str, Any]:
    """{key: parse(value)} of a file with two words a line."""
    with open_input(path) as source:
        lines = source.read_all().removesuffix(b"\n").split(b"\n")
    pairs: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        try:
            utt, text = (word.decode() for word in line.split())
            value = parse(text)
        except (ValueError, KeyError):
            got = line[:80].decode(errors="backslashreplace")
            raise ValueError(
                f"{path}:{number}: line: got {got!r}, need an utterance and {need}. {remedy}"
            ) from None
        if utt in pairs:
            raise ValueError(
                f"{path}:{number}: utterance: got {utt} twice, need each once. {remedy}"
            )
        pairs[utt] = value
    return pairs


def join_scores(
    paths: Sequence[str], utts: Iterable[str] | None = None, missing: str = "error"
) -> Joined:
    """Scores of `utts` (default: of every utterance in any file) from one file a system, joined by utterance id.

    Raises
    ------
    ValueError
        An utterance that a file lacks, unless `missing` is `drop` or `zero`; no utterance left. Also the errors of `read_scores`.

    Notes
    -----
    Utterances are in sorted order, so that results do not depend on the order of any file
    (`test_score_commands.py::test_order_of_lines_changes_no_byte`). Warns of scores that nobody asked for, and of what is dropped.
    """
    systems = [read_scores(path) for path in paths]
    wanted = set().union(*systems) if utts is None else set(utts)
    present = (
        wanted.intersection(*systems)
        if missing != "zero"
        else wanted.intersection(set().union(*systems))
    )
    for path, system in zip(paths, systems):
        lacks = sorted(wanted - system.keys())
        if lacks and missing == "error":
            first = " ".join(lacks[:10]) + " ..." * (len(lacks) > 10)
            raise ValueError(
                f"{path}: scores: got none for {len(lacks)} of {len(wanted)} utterances ({first}), need one for each; labels or scores "
                "of another set, or scoring that did not end. Score them or say --missing=drop"
            )
        if missing == "zero" and (num_filled := len(present - system.keys())):
            warnings.warn(
                f"{path}: {num_filled} of {len(wanted)} utterances have no score, which counts as LLR 0",
                stacklevel=2,
            )
        if missing == "zero" and not present & system.keys():
            raise ValueError(
                f"{path}: scores: got none of a labelled utterance, need some. Check that the files belong together"
            )
        if extra := len(system.keys() - wanted):
            warnings.warn(
                f"{path}: {extra} of {len(system)} scores have no label and are ignored",
                stacklevel=2,
            )
    if not present:
        raise ValueError(
            f"{' '.join(paths)}: utterances: got none with a label and all scores, need some. Check that the files belong together"
        )
    if len(present) < len(wanted):
        warnings.warn(
            f"dropped {len(wanted) - len(present)} of {len(wanted)} utterances, which lack a score",
            stacklevel=2,
        )
    ordered = sorted(present)
    scores = np.array([[system.get(utt, math.nan) for utt in ordered] for system in systems]).T
    return Joined(ordered, scores, len(wanted) - len(present))


def read_trials(
    utt2label: str, paths: Sequence[str], missing: str = "error"
) -> tuple[Joined, np.ndarray]:
    """The labelled utterances' scores from one file a system, and whether each is genuine, (num_utts,) bool.

    Raises
    ------
    ValueError
        A class without trials; the errors of `join_scores` and `read_utt2label`.

    Notes
    -----
    Warns of fewer than 30 trials in a class and of fewer than 3 distinct scores of a system.
    """
    labels = read_utt2label(utt2label)
    joined = join_scores(paths, labels, missing)
    is_genuine = np.array([labels[utt] for utt in joined.utts])
    for label, value in LABELS.items():
        num_trials = int((is_genuine == value).sum())
        if num_trials == 0:
            raise ValueError(
                f"{utt2label}: {label} trials: got 0, need one or more. Check the labels"
            )
        if num_trials < MIN_TRIALS:
            warnings.warn(
                f"{utt2label}: {label} trials: got {num_trials}; with fewer than {MIN_TRIALS} results are rough",
                stacklevel=2,
            )
    for path, column in zip(paths, joined.scores.T):
        if not ((column > np.nanmin(column)) & (column < np.nanmax(column))).any():
            warnings.warn(
                f"{path}: scores: got fewer than 3 distinct ones; were decisions written for scores?",
                stacklevel=2,
            )
    return joined, is_genuine


def read_conditions(utt2label: str, column: str, utts: Sequence[str]) -> dict[str, np.ndarray]:
    """By condition, in sorted order, the indices of its utterances in `utts`, from the table `utt2<column>` beside `utt2label`.

    Parameters
    ----------
    utts
        What the table says of others is ignored.

    Raises
    ------
    ValueError
        Labels that are no plain file, no such table, an utterance that the table lacks; with file and line: a line that is not
        `utterance condition`, an utterance that comes twice.
    """
    if not os.path.isfile(utt2label):
        raise ValueError(
            f"{utt2label}: labels: got no plain file, need one, beside which --by={column} reads utt2{column}. Write one"
        )
    path = os.path.join(os.path.dirname(utt2label), f"utt2{column}")
    if not os.path.isfile(path):
        raise ValueError(
            f"{path}: table: got no such file, need one for --by={column}. Write it beside {utt2label}, or correct --by"
        )
    table = _read_pairs(path, str, "a condition", "Correct the table")
    if lacks := [utt for utt in utts if utt not in table]:
        raise ValueError(
            f"{path}: conditions: got none for {len(lacks)} of {len(utts)} trials (first {lacks[0]}), need one for each. "
            f"Complete the table, or leave {column} out of --by"
        )
    indices: dict[str, list[int]] = {}
    for index, utt in enumerate(utts):
        indices.setdefault(table[utt], []).append(index)
    return {condition: np.array(indices[condition]) for condition in sorted(indices)}


def read_speakers(utt2label: str, utts: Sequence[str]) -> np.ndarray | None:
    """A number for the speaker of each utterance, (num_utts,), from `utt2spk` beside `utt2label`; None, with a warning, if nobody knows.

    Notes
    -----
    Where every utterance has a speaker of its own, as toolkits write it for want of better, speakers are not known.
    """
    path = os.path.join(os.path.dirname(utt2label), "utt2spk")
    lack = f"{path}: got no such file"
    if os.path.isfile(utt2label) and os.path.isfile(path):
        try:
            by_speaker = read_conditions(utt2label, "spk", utts)
        except ValueError as error:
            lack = str(error).partition(". ")[0]
        else:
            numbers = np.empty(len(utts), int)
            for number, indices in enumerate(by_speaker.values()):
                numbers[indices] = number
            if len(by_speaker) < len(utts):
                return numbers
            lack = f"{path}: got a speaker for each utterance"
    warnings.warn(f"{lack}: speakers are not known", stacklevel=2)
    return None


def read_trial_weights(path: str, utts: Sequence[str]) -> np.ndarray:
    """What each utterance counts, (num_utts,), from a file of `utterance weight` lines.

    Raises
    ------
    ValueError
        With file and line, as `read_scores`; an utterance that the file lacks.
    """
    weights = _read_pairs(path, _number, "a weight", "Correct it")
    if lacks := [utt for utt in utts if utt not in weights]:
        raise ValueError(
            f"{path}: weights: got none for {len(lacks)} of {len(utts)} trials (first {lacks[0]}), need one for each. Add it"
        )
    return np.array([weights[utt] for utt in utts])


def short_names(paths: Sequence[str]) -> list[str]:
    """Paths without the parts, at the beginning and at the end, that they have in common; one part at least stays of each.

    A path alone stays whole.
    """
    if len(paths) == 1:
        return list(paths)
    parts = [path.split("/") for path in paths]
    for _ in ("beginning", "end"):  # turned round after each
        most = min(map(len, parts)) - 1
        num_common = next((i for i in range(most) if len({p[i] for p in parts}) > 1), most)
        parts = [p[num_common:][::-1] for p in parts]
    return ["/".join(p) for p in parts]


def write_fusion(path: str, fusion: Fusion, systems: Sequence[str]) -> None:
    """Write a fusion and the names of the systems it was trained on as JSON."""
    record = {"systems": list(systems), **asdict(fusion), "weights": fusion.weights.tolist()}
    for name in ("neutral", "knots"):
        record[name] = None if record[name] is None else record[name].tolist()
    write_json(path, record)


def write_json(path: str, value: Any) -> None:
    """Write what a JSON file is to hold."""
    with open_output(path) as file:
        file.write((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: str, what: str, need: str, allow_pipes: bool = False) -> Any:
    """What a JSON file holds, `what` and `need` for the message.

    Raises
    ------
    ValueError
        No JSON, text that is not UTF-8, lists within lists beyond what Python can follow; a number that is not finite or has more than
        64 bits, which no arithmetic expects.
    """
    with open_input(path, allow_pipes) as source:
        if (source.size or 0) > MAX_JSON_BYTES:
            raise ValueError(
                f"{path}: {what}: got {source.size} bytes, at most {MAX_JSON_BYTES} are one, need {need}"
            )
        data = source.read_all()
    try:
        value = json.loads(
            data, parse_int=_json_int, parse_float=_json_float, parse_constant=_json_float
        )
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError:
        raise ValueError(
            f"{path}: {what}: got lists within lists without end, need {need}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {what}: got no JSON ({error}), need {need}") from None


def _json_int(text: str) -> int:
    if len(text) > 19:  # Python is slow at numbers of a million digits
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _json_float(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is not finite")
    return float(text)


def read_fusion(path: str) -> tuple[Fusion, list[str]]:
    """A fusion and the names of its systems, as `write_fusion` wrote them.

    Raises
    ------
    ValueError
        No JSON, other fields, a number that is none or not finite, not one weight for each system.
    """
    record = read_json(
        path, "fusion", "the output of sd-train-fusion. Train it again", allow_pipes=True
    )
    if isinstance(record, dict):
        record = {
            "neutral": None,
            "knots": None,
            "num_folds": 0,
            **record,
        }  # of a file from before there were any
    names = ["systems", *(f.name for f in fields(Fusion))]
    if not isinstance(record, dict) or set(record) != set(names):
        got = " ".join(record) if isinstance(record, dict) else type(record).__name__
        raise ValueError(
            f"{path}: fusion: got {got}, need the fields {' '.join(names)}. Train it again"
        )
    systems, weights, neutral, knots = (
        record.pop(name) for name in ("systems", "weights", "neutral", "knots")
    )
    lists = [each for each in (systems, weights, neutral) if each is not None]
    are_lists = all(isinstance(each, list) for each in (systems, weights, *lists))
    if (
        not are_lists
        or len({len(each) for each in lists}) != 1
        or not systems
        or not all(isinstance(system, str) for system in systems)
    ):
        raise ValueError(
            f"{path}: fusion: got systems {systems}, weights {weights}, need lists of one length, names and numbers. Train it again"
        )
    rows = [] if knots is None else knots
    if knots is not None and not (
        isinstance(rows, list) and len(rows) == 2 and all(isinstance(row, list) for row in rows)
    ):
        raise ValueError(
            f"{path}: fusion: knots: got {str(knots)[:60]}, need two lists. Train it again"
        )
    numbers = {
        "weights": weights,
        "neutral": neutral or [],
        "knots": [x for row in rows for x in row],
    }
    for name, value in [
        *record.items(),
        *((name, value) for name, values in numbers.items() for value in values),
    ]:
        if type(value) not in (int, float):
            raise ValueError(
                f"{path}: fusion: {name}: got {value!r}, need a finite number. Train it again"
            )
    if rows and (
        not 0 < len(rows[0]) == len(rows[1]) or not all(np.all(np.diff(row) > 0) for row in rows)
    ):
        raise ValueError(
            f"{path}: fusion: knots: got {str(rows)[:60]}, need as many rising LLRs as rising scores. Train it again"
        )
    arrays = [None if each is None else np.array(each, np.float64) for each in (neutral, knots)]
    return Fusion(
        np.array(weights, np.float64), **record, neutral=arrays[0], knots=arrays[1]
    ), systems
