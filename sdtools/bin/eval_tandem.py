"""sd-eval-tandem: scores of a speaker verifier and of countermeasures -> tables of the verifier's errors, min t-DCF and t-EER."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sdtools.cli.command import Command, Context, aligned
from sdtools.scoring import files as scores
from sdtools.scoring.evaluation import word
from sdtools.scoring.tandem import (
    Asv,
    AsvScores,
    Tandem,
    TandemOptions,
    evaluate_asv,
    evaluate_tandem,
    sort_asv_scores,
)
from sdtools.tables.input import open_input

NUM_WORDS = (3, 4, 5, 9)


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    json: str | None = field(
        default=None, metadata={"help": "also write the figures here, with all digits"}
    )


COMMAND = Command(
    name="sd-eval-tandem",
    summary="Prints error rates and a-DCF of a speaker verifier (ASV), then what it and each countermeasure (CM) do in tandem: least\n"
    "t-DCF, normalised as in ASVspoof 2019 and as from 2021 on, the CM's threshold for both, and concurrent t-EER. The a-DCF is that\n"
    "of the score in <asv-scores> alone; of a spoofing-aware verifier, name its scores there. <asv-scores> has ASVspoof's lines:\n"
    "`source key score` (2019, 5), the same behind speaker and utterance, or `speaker utterance score key`, where key is target,\n"
    "nontarget or spoof. For 2021, \"cut -d' ' -f3 score.txt | paste -d' ' trial_metadata.txt - | grep ' eval ' |\" makes one file.",
    positionals=("<asv-scores>", "<utt2label>", "<scores>..."),
    example="sd-eval-tandem exp/asv.txt data/eval/utt2label exp/cf_sd6/scores/eval.txt exp/cm_sd6/scores/eval.txt",
    options=(TandemOptions, scores.JoinOptions, EvalOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, evaluate, print."""
    asv_path, utt2label, *paths = context.positionals
    options, own = context[TandemOptions], context[EvalOptions]
    asv_scores = read_asv_scores(asv_path)
    asv = evaluate_asv(asv_scores, options)
    trials, is_genuine = scores.read_trials(utt2label, paths, context[scores.JoinOptions].missing)
    results = [
        evaluate_tandem(cm[is_genuine], cm[~is_genuine], asv_scores, asv, options)
        for cm in trials.scores.T
    ]
    for path, result in zip(paths, results):
        if result.t_eer is None:
            context.log.warning(
                f"{path}: no t-EER: no thresholds accept spoofs as often as nontargets; either this CM is worse than chance, "
                "or the ASV stops spoofs better than nontargets. Check the labels and the sign of the scores"
            )
    if own.json:
        systems = [{"system": path, **record(result)} for path, result in zip(paths, results)]
        inputs = {"asv_scores": asv_path, "utt2label": utt2label, "num_dropped": trials.num_dropped}
        scores.write_json(
            own.json, {**inputs, "options": asdict(options), "asv": record(asv), "systems": systems}
        )
    print(f"{asv_table(asv_path, asv)}\n\n{table(paths, results)}")
    return 0


def read_asv_scores(path: str) -> AsvScores:
    """The scores of each class in a file of ASVspoof's forms.

    Raises
    ------
    ValueError
        With file and line: a line of another form, another key, NaN; a class without trials.
    """
    with open_input(path) as source:
        lines = source.read_all().removesuffix(b"\n").split(b"\n")
    by_key: dict[bytes, list[float]] = {key.encode(): [] for key in AsvScores._fields}
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            if len(words) not in NUM_WORDS:
                raise ValueError
            key, score = words[5] if len(words) == 9 else words[-2], words[-1]
            if score in by_key:
                key, score = score, key
            by_key[key].append(float(score))
            if math.isnan(by_key[key][-1]):
                raise ValueError
        except (ValueError, KeyError):
            got = line[:80].decode(errors="backslashreplace")
            raise ValueError(
                f"{path}:{number}: line: got {got!r}, need {', '.join(map(str, NUM_WORDS))} words, of them a key (target, nontarget or "
                "spoof) and a score other than NaN. Bring it into a form that --help names"
            ) from None
    for key, values in zip(AsvScores._fields, by_key.values()):
        if not values:
            raise ValueError(f"{path}: {key} trials: got 0, need one or more. Check the keys")
        if len(values) < scores.MIN_TRIALS:
            few = f"{path}: {key} trials: got {len(values)}; with fewer than {scores.MIN_TRIALS} results are rough"
            warnings.warn(few, stacklevel=2)
    return sort_asv_scores(*by_key.values())


def asv_table(path: str, asv: Asv) -> str:
    """Number of trials, error rates at tau, and a-DCF of the ASV."""
    header = [
        "ASV",
        "target",
        "nontarget",
        "spoof",
        "tau",
        "Pmiss %",
        "Pfa %",
        "Pfa,spf %",
        "a-DCF",
        "threshold",
    ]
    rates = [
        f"{100 * rate:.2f}" for rate in (asv.p_miss, asv.p_false_alarm, asv.p_false_alarm_spoof)
    ]
    counts = map(str, (asv.num_target, asv.num_nontarget, asv.num_spoof))
    return aligned(
        [
            header,
            [
                path,
                *counts,
                f"{asv.tau:.4f}",
                *rates,
                f"{asv.a_dcf:.4f}",
                f"{asv.a_dcf_threshold:.4f}",
            ],
        ]
    )


def table(paths: Sequence[str], results: Sequence[Tandem]) -> str:
    """The metrics in aligned columns, one system a line."""
    rows = [["system", "min t-DCF (2019)", "min t-DCF (2021)", "threshold", "t-EER %"]]
    for path, r in zip(paths, results):
        figures = [f"{value:.4f}" for value in (r.min_tdcf_2019, r.min_tdcf_2021, r.threshold)]
        rows.append([path, *figures, "none" if r.t_eer is None else f"{100 * r.t_eer:.2f}"])
    return aligned(rows)


def record(result: Asv | Tandem) -> dict:
    """The figures as JSON holds them, an infinite threshold as a word."""
    return {name: word(value) for name, value in asdict(result).items()}


if __name__ == "__main__":
    raise SystemExit(main())
