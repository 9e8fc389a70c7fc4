"""sd-detect: a model directory and recordings -> live or replayed, how sure, and what to doubt."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.detect.detection import (
    DetectOptions,
    Judgement,
    find_recordings,
    judge,
    sentence,
    summary_line,
)
from sdtools.detect.model import Model, load_model
from sdtools.errors import SdError, UsageError, as_sd_error, printable
from sdtools.scoring.json_files import write_json
from sdtools.tables.output import check_output


@dataclass(frozen=True)
class OutputOptions:
    """Further outputs."""

    json: str | None = field(default=None, metadata={"help": "also write all results to this file"})
    info: bool = field(default=False, metadata={"help": "first show where the model comes from"})


COMMAND = Command(
    name="sd-detect",
    summary="Decides for each recording whether it was spoken live or replayed by a loudspeaker."
    " Recordings\nare sound files that libsndfile reads, folders, scp:wav.scp, or - for standard"
    " input.\nThe LLR is calibrated: the log of how much more probable the sound is if it was live."
    "\nThe command also reports which recordings cannot be judged, and what makes a judgement"
    "\ndoubtful. Its status is 1 if a file cannot be read.",
    positionals=("<model-dir>", "[<sound-file>...]"),
    example="sd-detect exp/fusion/model scp:data/eval/wav.scp",
    options=(DetectOptions, OutputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Load, loop by file, count, return."""
    options, own = context[DetectOptions], context[OutputOptions]
    model_dir, *names = context.positionals
    if not names and not own.info:
        raise UsageError("sound files", got="none", need="one or more, or --info")
    paths = list(find_recordings(names))
    if own.json:
        check_output(own.json)
    model = load_model(model_dir)
    if own.info:
        about = {name: value for name, value in model.about.items() if name != "files"}
        print(json.dumps(about, indent=2))
    if model.about.get("note"):
        context.log.info(f"{model_dir}: {model.about['note']}")
    if names and math.isinf(options.policy(model).threshold):
        what = f"the threshold {options.threshold} is infinite, because dev had too few trials"
        context.log.warning(SdError(model_dir, what, hint="Use another threshold"))
    results: list[Judgement] = []
    num_failed = 0
    for path in paths:
        of_path, is_whole = _judge_file(context, model, path)
        results += of_path
        num_failed += not is_whole
    if own.json:
        record = {"model": model.about, "results": [result.to_json() for result in results]}
        write_json(own.json, record)
    context.log.info(f"done {len(results)} judgements, {num_failed} files could not be read")
    return 1 if num_failed else 0


def _judge_file(context: Context, model: Model, path: str) -> tuple[list[Judgement], bool]:
    """Print and return the judgements of a recording, and whether it was read to its end."""
    results = []
    is_whole = True
    try:
        for result in judge(model, path, context[DetectOptions]):
            results.append(result)
            print(printable(sentence(result)), flush=True)
    except (ValueError, OSError) as error:
        is_whole = False
        is_ours = isinstance(error, SdError)
        context.log.error(error if is_ours else as_sd_error(error).within(path))
    if results and results[-1].segment.start_sec:
        print(printable(summary_line(results)), flush=True)
    return results, is_whole


if __name__ == "__main__":
    raise SystemExit(main())
