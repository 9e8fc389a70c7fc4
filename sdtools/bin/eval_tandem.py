"""sd-eval-tandem: scores of a speaker verifier and of countermeasures -> min t-DCF and t-EER."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sdtools.cli.command import Command, Context
from sdtools.errors import SdError
from sdtools.scoring.asv_files import read_asv_scores
from sdtools.scoring.json_files import to_word, write_json
from sdtools.scoring.summary import aligned
from sdtools.scoring.tandem import Asv, Tandem, TandemOptions, evaluate_asv, evaluate_tandem
from sdtools.scoring.trials import JoinOptions, read_trials


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    asv_keys: str | None = field(
        default=None,
        metadata={
            "file": "in",
            "help": "file with the keys of <asv-scores>: trial_metadata.txt (2021) or a table with "
            "a head (ASVspoof 5)",
        },
    )
    json: str | None = field(
        default=None,
        metadata={"file": "out", "help": "also write the results here, with all digits"},
    )


COMMAND = Command(
    name="sd-eval-tandem",
    summary="Prints error rates and a-DCF of a speaker verifier (ASV), then metrics of each\n"
    "countermeasure (CM) in tandem with it: least t-DCF, normalised as in ASVspoof 2019 and as\n"
    "from 2021 on, the CM's threshold for both, and concurrent t-EER. The a-DCF is that of the\n"
    "score in <asv-scores> alone; for a spoofing-aware verifier, give its scores there.\n"
    "Lines of <asv-scores> are ASVspoof's: `source key score` (2019, 5), the same after speaker\n"
    "and utterance, or `speaker utterance score key`; the key is target, nontarget or spoof.\n"
    "Lines may also be those of trial_metadata.txt (2021, LA and PA) with the score at the end.\n"
    "--asv-keys takes the keys from another file and joins them by speaker and utterance:\n"
    '  2021: --asv-keys="grep -w eval trial_metadata.txt |" score.txt\n'
    "  ASVspoof 5, track 2: --asv-keys=keys.tsv scores.tsv (columns spk, filename, asv-label,\n"
    "  and asv-score, or else sasv-score)",
    positionals=("<asv-scores>", "<utt2label>", "<scores>..."),
    example="sd-eval-tandem exp/asv.txt data/eval/utt2label exp/cf_sd6/scores/eval.txt "
    "exp/cm_sd6/scores/eval.txt",
    options=(TandemOptions, JoinOptions, EvalOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, evaluate, print."""
    asv_path, utt2label, *paths = context.positionals
    options, own = context[TandemOptions], context[EvalOptions]
    asv_scores = read_asv_scores(asv_path, own.asv_keys)
    asv = evaluate_asv(asv_scores, options)
    trials = read_trials(utt2label, paths, context[JoinOptions].missing)
    results = [evaluate_tandem(*scores, asv_scores, asv, options) for scores in trials.by_class()]
    for path, result in zip(paths, results):
        if result.t_eer is None:
            what = "no t-EER, because no thresholds accept spoofs as often as nontargets"
            hint = (
                "Either this CM is worse than chance, or the ASV rejects spoofs better than "
                "nontargets. Check the labels and the sign of the scores"
            )
            context.log.warning(SdError(path, what, hint=hint))
    if own.json:
        record = {
            "asv_scores": asv_path,
            "asv_keys": own.asv_keys,
            "utt2label": utt2label,
            "num_dropped": trials.num_dropped,
            "options": asdict(options),
            "asv": figures(asv),
            "systems": [{"system": path, **figures(r)} for path, r in zip(paths, results)],
        }
        write_json(own.json, record)
    print(f"{aligned(asv_rows(asv_path, asv))}\n\n{aligned(rows(paths, results))}")
    return 0


def asv_rows(path: str, asv: Asv) -> list[list[str]]:
    """Head, and a row with number of trials, error rates at tau, and a-DCF of the ASV."""
    head = ["ASV", "target", "nontarget", "spoof", "tau", "Pmiss %", "Pfa %", "Pfa,spf %", "a-DCF"]
    rates = asv.p_miss, asv.p_false_alarm, asv.p_false_alarm_spoof
    row = [path, *map(str, (asv.num_target, asv.num_nontarget, asv.num_spoof)), f"{asv.tau:.4f}"]
    row += [*(f"{100 * rate:.2f}" for rate in rates), f"{asv.a_dcf:.4f}"]
    return [[*head, "threshold"], [*row, f"{asv.a_dcf_threshold:.4f}"]]


def rows(paths: Sequence[str], results: Sequence[Tandem]) -> list[list[str]]:
    """Head, and a row of tandem metrics for each system."""
    table = [["system", "min t-DCF (2019)", "min t-DCF (2021)", "threshold", "t-EER %"]]
    for path, r in zip(paths, results):
        costs = [f"{value:.4f}" for value in (r.min_tdcf_2019, r.min_tdcf_2021, r.threshold)]
        table.append([path, *costs, "none" if r.t_eer is None else f"{100 * r.t_eer:.2f}"])
    return table


def figures(result: Asv | Tandem) -> dict[str, Any]:
    """A result as JSON holds it."""
    return {name: to_word(value) for name, value in asdict(result).items()}


if __name__ == "__main__":
    raise SystemExit(main())
