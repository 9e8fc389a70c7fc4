"""sd-report: an experiment's folder -> one page with its tables, plots and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sdtools.cli.command import Command, Context
from sdtools.errors import SdError, printable
from sdtools.scoring.deployment import Deployment, read_deployment
from sdtools.scoring.evaluation import Evaluation, read_evaluation
from sdtools.scoring.experiment import Experiment, SystemFolder, system_names
from sdtools.scoring.metrics import sorted_eer
from sdtools.scoring.roc import SortedScores, sort_scores
from sdtools.scoring.trials import read_trials
from sdtools.tables.output import open_output

COMMAND = Command(
    name="sd-report",
    summary="Writes <out-dir>/index.html from <exp-dir>/results.json, which sd-eval-scores --json"
    " wrote: tables,\nerror trade-off, scores, calibration, conditions and settings of the systems."
    " The page needs no\nnetwork. Run the command in the folder where sd-eval-scores ran.",
    positionals=("<exp-dir>", "<out-dir>"),
    example="sd-report exp exp/report",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, draw, write."""
    experiment, out = Experiment(Path(context.positionals[0])), Path(context.positionals[1])
    evaluation = read_evaluation(str(experiment.results))
    scores = _read_scores(experiment.results, evaluation)
    paths = [system.path for system in evaluation.systems]
    names = [printable(name) for name in system_names(paths)]
    tables = _text(experiment.tables) if experiment.tables.is_file() else None
    models = read_models(paths)
    settings = {str(path): _text(path) for path in _settings(experiment, paths)}

    from sdtools.report.page import page  # here, so that --help does not load matplotlib

    html = page(evaluation, names, scores, models, tables, settings)
    out.mkdir(parents=True, exist_ok=True)
    with open_output(str(out / "index.html")) as file:
        file.write(html.encode(errors="backslashreplace"))
    context.log.info(f"wrote {out / 'index.html'}")
    return 0


def _read_scores(results: Path, evaluation: Evaluation) -> list[SortedScores]:
    """The scores of each system, if they are still those of the evaluation."""
    paths = [system.path for system in evaluation.systems]
    trials = read_trials(evaluation.utt2label, paths, "drop")
    hint = "Evaluate again"
    if trials.num_dropped != evaluation.num_dropped:
        what, need = "number of trials without a score", f"{evaluation.num_dropped}, as before"
        raise SdError(results, what, got=trials.num_dropped, need=need, hint=hint)
    scores = [sort_scores(*by_class) for by_class in trials.by_class()]
    for system, of_system in zip(evaluation.systems, scores):
        eer = sorted_eer(of_system, evaluation.options.eer[0]).value
        if abs(eer - system.eer.value) > 1e-12:
            need = f"{system.eer.value:.6f} as in {results}"
            raise SdError(system.path, "EER", got=f"{eer:.6f}", need=need, hint=hint)
    return scores


def read_models(paths: Sequence[str]) -> dict[str, Deployment]:
    """What the decisions of the systems' models cost, by the path of the model directory."""
    found = {}
    for path in paths:
        folder = SystemFolder.of_scores(path)
        if folder is not None and (folder.model / "model.json").is_file():
            deployment = read_deployment(folder.model / "model.json")
            if deployment is not None:
                found[printable(str(folder.model))] = deployment
    return found


def _settings(experiment: Experiment, paths: Sequence[str]) -> list[Path]:
    """Files of settings beside the results and in the folders of the systems."""
    folders = [experiment.path, *dict.fromkeys(Path(path).parent.parent for path in paths)]
    return [path for folder in folders for path in SystemFolder(folder).settings()]


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace")


if __name__ == "__main__":
    raise SystemExit(main())
