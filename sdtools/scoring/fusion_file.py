"""Fusion files: a fusion and the names of its systems as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from sdtools.errors import SdError
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.json_files import Fields, read_json, write_json

NEED, HINT = "the output of sd-train-fusion", "Train it again"
LATER = {
    "neutral": None,
    "knots": None,
    "num_folds": 0,
    "bound": None,
}  # fields that older files lack
NAMES = ["systems", *(f.name for f in fields(Fusion))]


def write_fusion(path: str, fusion: Fusion, systems: Sequence[str]) -> None:
    """Write a fusion and the names of the systems that it was trained on."""
    record = {"systems": list(systems), **asdict(fusion)}
    for name in ("weights", "neutral", "knots"):
        record[name] = None if record[name] is None else record[name].tolist()
    write_json(path, record)


def read_fusion(path: str) -> tuple[Fusion, list[str]]:
    """Read a fusion and the names of its systems.

    Raises
    ------
    SdError
        If the file is not JSON, has other fields or a value that is not a finite number, or does
        not have one weight for each system.
    """
    record = read_json(path, "fusion", NEED, HINT, allow_pipes=True)
    try:
        return _from_json(record)
    except SdError as error:
        raise error.within(f"{path}: fusion", HINT) from None


def _from_json(record: Any) -> tuple[Fusion, list[str]]:
    """A fusion and its systems; places in errors are names of fields."""
    if not isinstance(record, dict) or set(LATER | record) != set(NAMES):
        got = " ".join(record) if isinstance(record, dict) else type(record).__name__
        raise SdError("fields", got=got, need=" ".join(NAMES))
    values = Fields(LATER | record)
    systems, weights = values.texts("systems"), values.numbers("weights")
    neutral = None if values.any("neutral") is None else values.numbers("neutral")
    lengths = {len(systems), len(weights), len(weights if neutral is None else neutral)}
    if not systems or len(lengths) > 1:
        got = f"{len(systems)} systems and {len(weights)} weights"
        raise SdError("systems, weights and neutral", got=got, need="lists of one length")
    fusion = Fusion(
        np.array(weights, np.float64),
        offset=values.number("offset"),
        prior=values.number("prior"),
        ridge=values.number("ridge"),
        objective=values.number("objective"),
        num_genuine=values.integer("num_genuine"),
        num_spoof=values.integer("num_spoof"),
        neutral=None if neutral is None else np.array(neutral, np.float64),
        knots=_knots(values),
        num_folds=values.integer("num_folds"),
        bound=_bound(values),
    )
    return fusion, systems


def _bound(values: Fields) -> float | None:
    """The limit of LLRs, if there is one."""
    if values.any("bound") is None:
        return None
    bound = values.number("bound")
    if bound < 0:
        raise SdError("bound", got=bound, need="0 or more")
    return bound


def _knots(values: Fields) -> np.ndarray | None:
    """Knots (2, num_knots), if there are any."""
    if values.any("knots") is None:
        return None
    knots = [row.numbers("") for row in values.lists("knots")]
    if len(knots) != 2:
        raise SdError("knots", got=f"{len(knots)} lists", need="two lists")
    if not 0 < len(knots[0]) == len(knots[1]) or not all((np.diff(row) > 0).all() for row in knots):
        got = repr(knots)[:60]
        raise SdError("knots", got=got, need="rising scores and as many rising LLRs")
    return np.array(knots, np.float64)
