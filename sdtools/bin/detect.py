"""sd-detect: a model directory and recordings -> live or replayed, how sure, and what to doubt."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.detect.detection import (
    DetectOptions,
    expand,
    judge,
    sentence,
    summary_line,
    threshold_of,
)
from sdtools.detect.model import load_model
from sdtools.errors import SdError, UsageError, printable
from sdtools.scoring.json_files import write_json
from sdtools.tables.output import check_output


@dataclass(frozen=True)
class OutputOptions:
    """Further outputs."""

    json: str | None = field(default=None, metadata={"help": "also write everything here"})
    info: bool = field(
        default=False, metadata={"help": "show what the model is before anything else"}
    )


COMMAND = Command(
    name="sd-detect",
    summary="Says of each recording whether it was spoken live or replayed by a loudspeaker: sound files that libsndfile reads, folders,\n"
    "scp:wav.scp, or - for standard input. The LLR is calibrated: log of how much more probable the sound is if it was live.\n"
    "Recordings that cannot be judged are said to be, and what makes a judgement doubtful. Status 1 if a file cannot be read.",
    positionals=("<model-dir>", "[<sound-file>...]"),
    example="sd-detect exp/fusion/model scp:data/eval/wav.scp",
    options=(DetectOptions, OutputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Load, loop by file, count, return."""
    options, own = context[DetectOptions], context[OutputOptions]
    model_dir, *names = context.positionals
    if not names and not own.info:
        raise UsageError("sound files: got none, need one or more, or --info")
    paths = list(expand(names))
    if own.json:
        check_output(own.json)
    model = load_model(model_dir)
    if own.info:
        print(
            json.dumps(
                {name: value for name, value in model.about.items() if name != "files"}, indent=2
            )
        )
    if model.about.get("note"):
        context.log.info(f"{model_dir}: {model.about['note']}")
    if names and math.isinf(threshold_of(model, options.threshold)):
        context.log.warning(
            f"{model_dir}: threshold {options.threshold} is infinite: dev had too few trials for it. Take another"
        )
    results, num_failed = [], 0
    for path in paths:
        of_path, judgements = [], judge(model, path, options)
        while True:
            try:
                result = next(judgements, None)
            except (ValueError, OSError) as error:
                num_failed += 1
                context.log.error(
                    str(error if isinstance(error, SdError) else SdError(f"{path}: {error}"))
                )
                break
            if result is None:
                break
            of_path.append(result)
            print(printable(sentence(result)), flush=True)
        if of_path and of_path[-1]["start_sec"]:
            print(printable(summary_line(of_path)), flush=True)
        results += of_path
    if own.json:
        write_json(own.json, {"model": model.about, "results": results})
    context.log.info(f"done {len(results)} judgements, {num_failed} files could not be read")
    return 1 if num_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
