"""What the figures of an evaluation say, in tables and in words; the figures are those of `sd-eval-scores --json`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sdtools import __version__
from sdtools.scoring import files as scores
from sdtools.scoring.metrics import Condition, MetricOptions, Metrics, Scores, roc, thresholds


def record(result: Metrics | Condition) -> dict:
    """The figures as JSON holds them, EERs by method; an infinite one as the word inf."""
    eers = {
        eer.method: {"value": eer.value, "threshold": word(eer.threshold)} for eer in result.eer
    }
    return {name: eers if name == "eer" else word(value) for name, value in asdict(result).items()}


def word(value: float) -> float | str:
    """An infinite number as a word, which JSON can hold."""
    return str(value) if value in (math.inf, -math.inf) else value


def threshold_record(
    utt2label: str,
    path: str,
    sorted_scores: Scores,
    options: MetricOptions,
    false_alarm_rate: float,
) -> dict:
    """Thresholds with the error rates that they have on these scores, and where they come from."""
    found = thresholds(sorted_scores, options, false_alarm_rate)
    points = roc(sorted_scores, [*found.values()])
    rows = zip(
        found, map(word, found.values()), points.p_miss.tolist(), points.p_false_alarm.tolist()
    )
    by_name = {
        name: {"threshold": t, "p_miss": miss, "p_false_alarm": false_alarm}
        for name, t, miss, false_alarm in rows
    }
    made_by = {"sdtools": __version__, "utt2label": utt2label, "scores": path}
    settings = {name: getattr(options, name) for name in ("p_spoof", "c_miss", "c_fa")} | {
        "false_alarm_rate": false_alarm_rate
    }
    counts = {
        "num_genuine": points.num_genuine,
        "num_spoof": points.num_spoof,
        "eer": options.eer[0],
    }
    return {**made_by, **counts, **settings, "thresholds": by_name}


def read_figures(path: str) -> dict:
    """What `sd-eval-scores --json` wrote, as far as tables and page use it.

    Raises
    ------
    ValueError
        No such figures; inputs that are commands, which a file of results shall not run.
    """
    need = "those of sd-eval-scores --json. Evaluate again"
    figures = scores.read_json(path, "figures", need)
    try:
        _check_figures(figures)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: figures: got {error!r}, need {need}") from None
    names = [figures["utt2label"], *(system["system"] for system in figures["systems"])]
    if commands := [name for name in names if name.endswith("|") or name == "-"]:
        raise ValueError(
            f"{path}: inputs: got {commands[0]!r}, need files, as a page of results runs no command. Evaluate files"
        )
    return figures


def _check_figures(figures: Mapping) -> None:
    """KeyError, TypeError or ValueError where figures lack something or have it in another form."""

    def check(value, kinds):
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{str(value)[:40]!r} for a value of another kind")

    def check_result(result):
        for method in methods:
            check(result["eer"][method]["value"], float)
            float(result["eer"][method]["threshold"])
        check(result["num_spoof"], int)

    methods, how, systems = figures["options"]["eer"], figures["eer_interval"], figures["systems"]
    for value, kind in (
        (methods, list),
        (systems, list),
        (figures["utt2label"], str),
        (figures["num_dropped"], int),
    ):
        check(value, kind)
    MetricOptions(**{**figures["options"], "eer": tuple(methods)})
    if how is not None:
        check(how["level"], float)
        check(how["by"], str)
        check(how["replicates"], int)
    if not systems:
        raise ValueError("no systems")
    for system in systems:
        check(system["system"], str)
        check_result(system)
        check(system["num_genuine"], int)
        for cost in ("cllr", "min_cllr", "min_dcf", "act_dcf"):
            float(system[cost])
        check(system["min_cllr"], float)
        for bound in system["eer_interval"] if how else ():
            check(bound, float)
        check(system["by"], dict)
        if system["by"].keys() != systems[0]["by"].keys():
            raise ValueError("systems with other conditions")
        for column, conditions in system["by"].items():
            if conditions.keys() != systems[0]["by"][column].keys():
                raise ValueError("systems with other conditions")
            for result in conditions.values():
                check_result(result)


def percent(fraction: float) -> str:
    """Two decimals, as in the paper."""
    return f"{100 * fraction:.2f}"


def interval_text(bounds: Sequence[float]) -> str:
    """Bounds in percent."""
    return "-".join(map(percent, bounds))


def first_eer(result: Mapping) -> float:
    """EER of a system or condition by the first method that was asked for."""
    return next(iter(result["eer"].values()))["value"]


def system_rows(figures: Mapping, names: Sequence[str]) -> list[list[str]]:
    """Head and a row for each system: trials, EERs, the interval behind the one that it is of, costs."""
    first, *others = [f"EER % ({method})" for method in figures["options"]["eer"]]
    how = figures["eer_interval"]
    rows = [
        [
            "system",
            "genuine",
            "spoof",
            first,
            *([f"{100 * how['level']:g} % interval"] if how else []),
            *others,
        ]
    ]
    rows[0] += ["Cllr", "minCllr", "minDCF", "actDCF"]
    for name, system in zip(names, figures["systems"]):
        first, *others = [percent(eer["value"]) for eer in system["eer"].values()]
        interval = [interval_text(system["eer_interval"])] if how else []
        costs = [
            f"{float(system[cost]):.4f}" for cost in ("cllr", "min_cllr", "min_dcf", "act_dcf")
        ]
        rows.append(
            [
                name,
                str(system["num_genuine"]),
                str(system["num_spoof"]),
                first,
                *interval,
                *others,
                *costs,
            ]
        )
    return rows


def condition_rows(figures: Mapping, column: str, names: Sequence[str]) -> list[list[str]]:
    """Head and a row for each condition: its spoof trials, and the first EER of each system in percent."""
    rows = [[column, "spoof", *names]]
    for condition, some in figures["systems"][0]["by"][column].items():
        values = [
            percent(first_eer(system["by"][column][condition])) for system in figures["systems"]
        ]
        rows.append([condition, str(some["num_spoof"]), *values])
    return rows


def verdict(figures: Mapping, names: Sequence[str]) -> str:
    """The best system, its interval, whether its LLRs can be taken at their word, and whether fusions help, in a sentence."""
    name, best = min(zip(names, figures["systems"]), key=lambda pair: first_eer(pair[1]))
    bounds = f" ({interval_text(best['eer_interval'])})" if figures["eer_interval"] else ""
    cllr = float(best["cllr"])
    calibration = (
        f"of its Cllr {cllr:.4f}, {cllr - best['min_cllr']:.4f} is for want of calibration"
    )
    advice = (
        "; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion" if cllr > 1 else ""
    )
    fusions = "".join(f"; {sentence}" for sentence in _fusion_sentences(figures))
    return f"best EER: {name}, {percent(first_eer(best))} %{bounds}; {calibration}{advice}{fusions}"


def is_fusion(system: Mapping) -> bool:
    """Whether a system's folder, the one above scores/<set>.txt, holds a fusion."""
    folder = _folder(system["system"])
    return folder != "" and os.path.isfile(os.path.join(folder, "fusion.json"))


def _fusion_sentences(figures: Mapping) -> list[str]:
    """Each fusion beside the best of its members, if all of them are there with scores of the same name."""
    by_path = {system["system"]: system for system in figures["systems"]}
    sentences = []
    for path, fused in by_path.items():
        if not is_fusion(fused):
            continue
        folder, file = _folder(path), os.path.basename(path)
        try:
            _, trained_on = scores.read_fusion(os.path.join(folder, "fusion.json"))
        except ValueError:  # whoever applies it will be told
            continue
        members = [
            by_path.get(os.path.join(os.path.dirname(member), file)) for member in trained_on
        ]
        if None in members:
            continue
        best = min(members, key=first_eer)
        gain = first_eer(best) - first_eer(fused)
        bounds = fused["eer_interval"]
        within = (
            ", less than its interval tells apart"
            if gain and bounds and bounds[0] <= first_eer(best) <= bounds[1]
            else ""
        )
        change = (
            f"gains {percent(gain)}"
            if gain > 0
            else f"loses {percent(-gain)}"
            if gain < 0
            else "changes nothing"
        )
        name, member = (
            os.path.basename(folder),
            os.path.basename(_folder(best["system"]) or best["system"]),
        )
        sentences.append(
            f"{name} (a fusion): {percent(first_eer(fused))} %, {change} on its best member, {member}{within}"
        )
    return sentences


def _folder(path: str) -> str:
    """That of the system whose scores/<set>.txt a path is; nothing if it is none."""
    folder, name = os.path.split(os.path.dirname(path))
    return folder if name == "scores" else ""
