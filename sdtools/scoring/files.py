"""Score files, labels and other files with two words per line.

A score file has one `utterance llr` per line; a positive LLR speaks for genuine speech. `utt2label`
has `utterance genuine` or `utterance spoof`. Names are those of `tables.input`: a file, `-`, or
`command |`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

from sdtools.errors import SdError, warn
from sdtools.scoring.conversion import conversion
from sdtools.tables.input import open_input
from sdtools.tables.output import open_output
from sdtools.tables.script_files import text_lines

Value = TypeVar("Value")
LABELS = {"genuine": True, "spoof": False}
BONAFIDE = "bonafide"  # ASVspoof's word for genuine
MIN_TRIALS = 30  # of a class; with fewer the metrics are rough


def read_scores(path: str, known: Collection[str] = ()) -> dict[str, float]:
    """LLR by utterance; -inf and inf are allowed. `known` names utterances, for the hint.

    Raises
    ------
    SdError
        With file and line: if a line is not `utterance number`, or an utterance comes twice.
    """
    need = "an utterance and a score other than NaN"
    return read_pairs(path, parse_number, need, "Write the scores again", known)


def write_scores(path: str, llrs: Mapping[str, float]) -> None:
    """Write LLRs with as many digits as are needed to read the same numbers back.

    Raises
    ------
    SdError
        If an LLR is NaN.
    """
    for utt, llr in llrs.items():
        if math.isnan(llr):
            hint = "Check the features and the models"
            raise SdError(path, f"score of {utt}", got="NaN", need="a number", hint=hint)
    with open_output(path) as file:
        file.write("".join(f"{utt} {float(llr)!r}\n" for utt, llr in llrs.items()).encode())


def read_utt2label(path: str) -> dict[str, bool]:
    """Whether each utterance is genuine.

    Raises
    ------
    SdError
        With file and line: if a line is not `utterance genuine` or `utterance spoof`, or an
        utterance comes twice.

    Notes
    -----
    ASVspoof's word `bonafide` is read as `genuine`, with a warning.
    """
    num_bonafide = 0

    def parse(text: str) -> bool:
        nonlocal num_bonafide
        if text == BONAFIDE:
            num_bonafide += 1
            return True
        return LABELS[text]

    labels = read_pairs(path, parse, "an utterance and genuine or spoof", "Correct the labels")
    if num_bonafide:
        warn(path, f"{num_bonafide} labels {BONAFIDE!r} are read as 'genuine'")
    return labels


def read_weights(path: str, utts: Sequence[str]) -> np.ndarray:
    """Weight of each of the utterances, (num_utts,), from a file of `utterance weight` lines.

    Raises
    ------
    SdError
        As `read_scores`; if an utterance has no weight.
    """
    weights = read_pairs(path, parse_number, "an utterance and a weight", "Correct it")
    check_complete(path, "weights", weights, utts, "Add them")
    return np.array([weights[utt] for utt in utts])


def check_num_trials(path: str, name: str, num_trials: int, hint: str) -> None:
    """Refuse a class without trials, and warn of one with few.

    Raises
    ------
    SdError
        If there are none.
    """
    if num_trials == 0:
        raise SdError(path, f"{name} trials", got=0, need="one or more", hint=hint)
    if num_trials < MIN_TRIALS:
        need, hint = f"{MIN_TRIALS} or more", "The metrics are rough"
        warn(path, f"{name} trials", got=num_trials, need=need, hint=hint, stacklevel=3)


def check_complete(
    path: str, what: str, table: Mapping[str, object], utts: Sequence[str], hint: str
) -> None:
    """Refuse a table that lacks an utterance.

    Raises
    ------
    SdError
        With the number of those that it lacks, and the first one.
    """
    if lacking := [utt for utt in utts if utt not in table]:
        got = f"none for {len(lacking)} of {len(utts)} trials (first {lacking[0]})"
        raise SdError(path, what, got=got, need="one for each", hint=hint)


def parse_number(text: str) -> float:
    """`text` as a number; -inf and inf are numbers, NaN is not.

    Raises
    ------
    ValueError
        Also for forms that only Python accepts, such as `1_0`.

    Examples
    --------
    >>> parse_number("-1e-3"), parse_number("inf")
    (-0.001, inf)
    >>> parse_number("1_0")
    Traceback (most recent call last):
        ...
    ValueError: 1_0
    """
    value = float(text)
    if math.isnan(value) or "_" in text or not text.isascii():
        raise ValueError(text)
    return value


def read_lines(path: str) -> list[tuple[str, bytes]]:
    """Place, as `file:number`, and content of each line of a file.

    An empty file has one empty line.
    """
    with open_input(path) as source:
        lines = text_lines(source.read_all()) or [b""]
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]


def read_pairs(
    path: str,
    parse: Callable[[str], Value],
    need: str,
    hint: str,
    known: Collection[str] = (),
) -> dict[str, Value]:
    """{key: parse(value)} of a file with two words per line; the others are for the message.

    Raises
    ------
    SdError
        With file and line: if a line has another form, or a key comes twice.
    """
    pairs: dict[str, Value] = {}
    lines = read_lines(path)
    for number, (where, line) in enumerate(lines):
        try:
            key, text = (word.decode() for word in line.split())
            value = parse(text)
        except (ValueError, KeyError):
            if number == 0:
                hint = conversion(path, [line for _, line in lines[:2]], parse, known) or hint
            raise SdError(where, "line", got=shown(line), need=need, hint=hint) from None
        if key in pairs:
            raise SdError(where, "utterance", got=f"{key} twice", need="each once", hint=hint)
        pairs[key] = value
    return pairs


def shown(line: bytes) -> str:
    """The beginning of a line, for messages."""
    return repr(line[:80].decode(errors="backslashreplace"))
