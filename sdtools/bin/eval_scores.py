"""sd-eval-scores: scores and labels -> a table of EER, Cllr, minCllr, minDCF and actDCF."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict, dataclass, field

from sdtools import cli, scores
from sdtools.metrics import MetricOptions, Metrics, evaluate
from sdtools.streams import open_output


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    json: str | None = field(default=None, metadata={"help": "also write the figures here, with all digits"})


COMMAND = cli.Command(
    name="sd-eval-scores",
    summary="Prints a row of metrics for each score file. Scores are natural-log likelihood ratios, positive for genuine speech; EER,\n"
    "minCllr and minDCF look only at their order. Cllr, 0 to 1 for useful LLRs, exceeds minCllr by what calibration would gain.",
    positionals=("<utt2label>", "<scores>..."),
    example="sd-eval-scores data/eval/utt2label exp/cf_sd6/scores/eval.txt exp/cm_sd6/scores/eval.txt",
    options=(MetricOptions, scores.JoinOptions, EvalOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: cli.Context) -> int:
    """Read, evaluate, print."""
    utt2label, *paths = context.positionals
    options = context[MetricOptions]
    trials, is_genuine = scores.read_trials(utt2label, paths, context[scores.JoinOptions].missing)
    results = []
    for path, column in zip(paths, trials.scores.T):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results.append(evaluate(column[is_genuine], column[~is_genuine], options))
        for warning in caught:
            context.log.warning(f"{path}: {warning.message}")
    print(table(paths, results))
    if context[EvalOptions].json:
        systems = [record(path, metrics) for path, metrics in zip(paths, results)]
        figures = {"utt2label": utt2label, "num_dropped": trials.num_dropped, "options": asdict(options), "systems": systems}
        with open_output(context[EvalOptions].json) as file:
            file.write((json.dumps(figures, indent=2, allow_nan=False) + "\n").encode())
    context.log.info(verdict(paths, results))
    return 0


def table(paths: list[str], results: list[Metrics]) -> str:
    """The metrics in aligned columns, one system a line."""
    rows = [["system", "genuine", "spoof", f"EER % ({results[0].eer.method})", "Cllr", "minCllr", "minDCF", "actDCF"]]
    for path, m in zip(paths, results):
        figures = [f"{value:.4f}" for value in (m.cllr, m.min_cllr, m.min_dcf, m.act_dcf)]
        rows.append([path, str(m.num_genuine), str(m.num_spoof), f"{100 * m.eer.value:.2f}", *figures])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in rows)


def record(path: str, metrics: Metrics) -> dict:
    """The metrics as JSON holds them; an infinite one as the word inf."""
    figures = {"system": path, **asdict(metrics), "eer": metrics.eer.value, "eer_threshold": metrics.eer.threshold}
    return {name: str(value) if value in (math.inf, -math.inf) else value for name, value in figures.items()}


def verdict(paths: list[str], results: list[Metrics]) -> str:
    """What the table says, in a sentence: the best system, and whether its LLRs can be taken at their word."""
    path, best = min(zip(paths, results), key=lambda pair: pair[1].eer.value)
    calibration = f"of its Cllr {best.cllr:.4f}, {best.cllr - best.min_cllr:.4f} is for want of calibration"
    advice = "; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion" if best.cllr > 1 else ""
    return f"best EER: {path}, {100 * best.eer.value:.2f} %; {calibration}{advice}"


if __name__ == "__main__":
    raise SystemExit(main())
