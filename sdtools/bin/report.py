"""sd-report: an experiment's folder -> one page with its tables, plots and settings."""

from __future__ import annotations

from pathlib import Path

from sdtools.cli.command import Command, Context
from sdtools.errors import printable
from sdtools.scoring.evaluation import read_evaluation
from sdtools.scoring.experiment import Experiment, SystemFolder, system_names
from sdtools.scoring.metrics import sorted_eer
from sdtools.scoring.roc import sort_scores
from sdtools.scoring.trials import read_trials
from sdtools.tables.output import open_output

COMMAND = Command(
    name="sd-report",
    summary="Writes <out-dir>/index.html: tables, error trade-off, scores, calibration, conditions and settings of the systems in\n"
    "<exp-dir>/results.json, which sd-eval-scores --json wrote there. The page needs no network. Run it where sd-eval-scores ran.",
    positionals=("<exp-dir>", "<out-dir>"),
    example="sd-report exp exp/report",
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, draw, write."""
    exp, out = map(Path, context.positionals)
    path = Experiment(exp).results
    evaluation = read_evaluation(str(path))
    paths = [system.path for system in evaluation.systems]
    trials = read_trials(evaluation.utt2label, paths, "drop")
    if trials.num_dropped != evaluation.num_dropped:
        got, need = trials.num_dropped, evaluation.num_dropped
        raise ValueError(
            f"{path}: trials: got {got} without a score, need {need} as when it was written. Evaluate again"
        )
    results = Experiment(exp).tables
    settings = {str(path): path.read_text("utf-8", "replace") for path in _settings(exp, paths)}
    from sdtools.report import page as report  # here, so that --help does not wait for matplotlib

    columns = [sort_scores(*llrs) for llrs in trials.by_class()]
    for system, of_class in zip(evaluation.systems, columns):
        got, need = sorted_eer(of_class, evaluation.options.eer[0]).value, system.eer.value
        if abs(got - need) > 1e-12:
            raise ValueError(
                f"{system.path}: EER: got {got:.6f}, need {need:.6f} as in {path}; other scores by now. Evaluate again"
            )
    page = report.page(
        evaluation,
        [printable(name) for name in system_names(paths)],
        columns,
        results.read_text("utf-8", "replace") if results.is_file() else None,
        settings,
    )
    out.mkdir(parents=True, exist_ok=True)
    with open_output(str(out / "index.html")) as file:
        file.write(page.encode(errors="backslashreplace"))
    context.log.info(f"wrote {out / 'index.html'}")
    return 0


def _settings(exp: Path, paths: list[str]) -> list[Path]:
    """Files of settings beside the results and in the folders of the systems."""
    folders = [exp, *dict.fromkeys(Path(path).parent.parent for path in paths)]
    return [path for folder in folders for path in SystemFolder(folder).settings()]


if __name__ == "__main__":
    raise SystemExit(main())
