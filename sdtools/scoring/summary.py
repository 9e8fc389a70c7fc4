"""An evaluation as rows of tables and as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdtools.errors import SdError, printable
from sdtools.scoring.evaluation import Evaluation, SystemEvaluation
from sdtools.scoring.experiment import SystemFolder


@dataclass(frozen=True)
class FusionGain:
    """A fusion beside the best of its members.

    Parameters
    ----------
    fusion, member
        Their names.
    eer
        Of the fusion, within 0..1.
    gain
        EER of the member minus that of the fusion.
    is_unclear
        Whether the interval of the fusion's EER includes the EER of the member.
    """

    fusion: str
    member: str
    eer: float
    gain: float
    is_unclear: bool


def percent(fraction: float) -> str:
    """A fraction in percent, with two decimals as in the paper.

    Examples
    --------
    >>> percent(0.1084)
    '10.84'
    """
    return f"{100 * fraction:.2f}"


def interval_text(bounds: Sequence[float]) -> str:
    """The bounds of an interval in percent.

    Examples
    --------
    >>> interval_text((0.05, 0.125))
    '5.00-12.50'
    """
    return "-".join(map(percent, bounds))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
        for row in rows
    )


def system_rows(evaluation: Evaluation, names: Sequence[str]) -> list[list[str]]:
    """Head, and a row for each system: trials, EERs with the interval of the first one, costs."""
    methods, how = evaluation.options.eer, evaluation.interval
    head = [f"EER % ({method})" for method in methods]
    if how:
        head.insert(1, f"{100 * how.level:g} % interval")
    rows = [["system", "genuine", "spoof", *head, "Cllr", "minCllr", "minDCF", "actDCF"]]
    for name, system in zip(names, evaluation.systems):
        m = system.metrics
        eers = [percent(eer.value) for eer in m.eer]
        if system.interval:
            eers.insert(1, interval_text(system.interval))
        costs = [f"{cost:.4f}" for cost in (m.cllr, m.min_cllr, m.min_dcf, m.act_dcf)]
        rows.append([name, str(m.num_genuine), str(m.num_spoof), *eers, *costs])
    return rows


def condition_rows(evaluation: Evaluation, column: str, names: Sequence[str]) -> list[list[str]]:
    """Head, and a row for each condition: spoof trials, first EER of each system in percent."""
    systems = [system.by[column] for system in evaluation.systems]
    rows = [[column, "spoof", *names]]
    for condition, some in systems[0].items():
        eers = [percent(conditions[condition].eer[0].value) for conditions in systems]
        rows.append([condition, str(some.num_spoof), *eers])
    return rows


def best_system(evaluation: Evaluation) -> int:
    """The index of the system with the lowest EER."""
    eers = [system.eer.value for system in evaluation.systems]
    return eers.index(min(eers))


def is_fusion(system: SystemEvaluation) -> bool:
    """Whether the folder of a system holds a fusion."""
    folder = SystemFolder.of_scores(system.path)
    return folder is not None and folder.is_fusion


def fusion_gains(evaluation: Evaluation) -> list[FusionGain]:
    """Each fusion beside its best member, if all members were evaluated on the same set."""
    by_path = {Path(system.path): system for system in evaluation.systems}
    gains = []
    for path, fused in by_path.items():
        folder = SystemFolder.of_scores(fused.path)
        if folder is None or not folder.is_fusion:
            continue
        try:
            members = folder.members()
        except SdError:  # sd-apply-fusion reports this
            continue
        found = [by_path.get(member.scores(path.stem)) if member else None for member in members]
        scored = [system for system in found if system is not None]
        if len(scored) < len(members):
            continue
        best = min(scored, key=lambda system: system.eer.value)
        gain, bounds = best.eer.value - fused.eer.value, fused.interval
        is_unclear = bool(gain and bounds and bounds[0] <= best.eer.value <= bounds[1])
        member = SystemFolder.of_scores(best.path)
        name = member.name if member else best.path
        gains.append(FusionGain(folder.name, name, fused.eer.value, gain, is_unclear))
    return gains


def verdict(evaluation: Evaluation, names: Sequence[str]) -> str:
    """The best system, its calibration loss, and whether fusions help, in a sentence."""
    index = best_system(evaluation)
    best = evaluation.systems[index]
    bounds = f" ({interval_text(best.interval)})" if best.interval else ""
    cllr = best.metrics.cllr
    parts = [
        f"Best EER: {names[index]}, {percent(best.eer.value)} %{bounds}",
        f"Cllr {cllr:.3f}, of which {best.calibration_loss:.3f} is calibration loss",
    ]
    if cllr > 1:
        parts.append("its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion")
    return "; ".join([*parts, *map(_gain_text, fusion_gains(evaluation))])


def _gain_text(found: FusionGain) -> str:
    """A fusion beside its best member in words."""
    how = f"{percent(abs(found.gain))} points {'better' if found.gain > 0 else 'worse'} than"
    if found.gain == 0:
        how = "no better than"
    unclear = ", but its interval includes that EER" if found.is_unclear else ""
    return (
        f"{found.fusion} (a fusion): {percent(found.eer)} %, {how} its best member, "
        f"{found.member}{unclear}"
    )
